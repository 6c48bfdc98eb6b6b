package detect

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// Names of codes in letters of ASCII, in scripts that put no space between words.
func TestCodesGlued(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for want, texts := range map[string][]string{
		"123": {
			"CVV是123", "我的cvv是123，谢谢", "我的cvv123", "我的cvv 123", "卡的cvv123谢谢", "cvv码123", "cvv码是 123", "OK我的cvv是123", "OK安全码123", "CVVは123です", "私のCVCは123です",
			"cvv는 123입니다", "CVV2是123", "CVV2码：123", "我的cvv2是123", "我的CVV2 123", "CVVคือ123", "，CVV123です", "安全码123",
			"セキュリティコード：123です", "보안코드는 123입니다", "背面三位 123，", "รหัสความปลอดภัย123",
		},
		"": {"客户cid是123", "我的abc是123", "我的cvvs是123", "dcvv是123", "订单2是123", "éCVV123", "CVV是什么",
			// Organisations, medicine and ships have such names as well.
			"CVC投资123家企业", "2023年CVC基金投资了312个项目", "CSC奖学金2024年录取名单", "国家留学基金委CSC资助2024年", "CSC在2024年", "CVC置管120例患者", "美国CVN航母全长333米", "CVC収入1234円", "CSC电话1234", "cvv错误123次", "CVV2与2024年",
			"CSCは2024年に", "CVCは2020年、投資", "我申请了CSC，2024年"},
	} {
		for _, text := range texts {
			for _, around := range []string{"", "今天天气很好，我们", "오늘 날씨가 좋아요 ", "lorem ipsum "} {
				around = strings.Repeat(around, 40) // more than anybody looks back
				in, got := around+text+"。"+around, ""
				for _, f := range d.Text(nil, []byte(in), Hint{}) {
					if f.Class == redact.CardVerificationCode {
						got += in[f.Start:f.End]
					}
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", text, got, want)
				}
			}
		}
	}
}
