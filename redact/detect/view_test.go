package detect

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestViewsQuick(t *testing.T) {
	d := newDetector(t)
	card := "4111 1111 1111 1111"
	bare := "4111111111111111"
	ent := func(s string) string {
		o := ""
		for _, r := range s {
			o += fmt.Sprintf("&#%d;", r)
		}
		return o
	}
	hexent := func(s string) string {
		o := ""
		for _, r := range s {
			o += fmt.Sprintf("&#x%04x", r)
		}
		return o
	}
	js := func(s string) string {
		o := ""
		for _, r := range s {
			o += fmt.Sprintf("\\u%04x", r)
		}
		return o
	}
	pct := func(s string) string {
		o := ""
		for i := range len(s) {
			o += fmt.Sprintf("%%%02X", s[i])
		}
		return o
	}
	qp := func(s string) string { return strings.ReplaceAll(pct(s), "%", "=") }
	fw := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r - '0' + 0xFF10
			}
			return r
		}, s)
	}
	b64 := base64.StdEncoding.EncodeToString
	for name, in := range map[string]string{
		"entities": ent(bare), "entities all": ent(card), "entities hex no semi": hexent(bare) + ";", "mixed": "4111 1111 1111 &#49;111", "nbsp": "4111&nbsp;1111&nbsp;1111&nbsp;1111",
		"json": js(bare), "json2": strings.ReplaceAll(js(bare), `\`, `\\`), "json n": `4111\n1111\n1111\n1111`,
		"percent": pct(bare), "percent2": strings.ReplaceAll(pct(bare), "%", "%25"), "pct20": "4111%201111%201111%201111", "query": "card=" + url.QueryEscape(fw(card)),
		"plus": "4111+1111+1111+1111",
		"qp":   qp(bare), "qp soft": "4111 1111 =\r\n1111 1111", "qp soft mid": "411111=\n1111111111", "qp a0": "4111=C2=A01111=C2=A01111=C2=A01111",
		"fullwidth": fw(card), "fullwidth bare": fw(bare), "zw": strings.Join(strings.Split(bare, ""), "\u200b"), "zw one": "41111111\u200b11111111", "keycap": strings.Join(strings.Split(bare, ""), "\ufe0f\u20e3") + "\ufe0f\u20e3",
		"tags": "<b>4111</b>1111<i>1111</i>1111", "td": "<td>4111</td><td>1111</td><td>1111</td><td>1111</td>", "comment": "4111<!-- x -->111111111111",
		"base64": b64([]byte(bare)), "base64 text": b64([]byte("please charge my card " + card + " today")), "base64 json": b64([]byte(`{"card":"` + js(bare) + `"}`)), "b64b64": b64([]byte("x: " + b64([]byte("my card is "+card+"")))),
		"rfc2047 q": "=?utf-8?Q?card_4111_1111_1111_1111?=", "rfc2047 b": "=?utf-8?B?" + b64([]byte("my card is "+card)) + "?=",
		"amp": "&amp;#52;&amp;#49;&amp;#49;&amp;#49;111111111111", "arabic": "٤١١١ ١١١١ ١١١١ ١١١١",
	} {
		for _, text := range []string{in, "hello, card " + in + " thanks", "x" + strings.Repeat(" lorem ipsum", 30) + " " + in + " and so on"} {
			found := d.Text(nil, []byte(text), Hint{})
			n := 0
			for _, f := range found {
				if f.Class == redact.CreditCard {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: %q: %+v", name, text, found)
			} else {
				t.Logf("%s: %q %v %v", name, text[found[0].Start:found[0].End], found[0].Evidence, found[0].Confidence)
			}
		}
	}
}
