package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// asking is a detector that passes over nothing.
func asking(t testing.TB) *Detector {
	d := newDetector(t)
	d.brief.whole = false
	return d
}

// FuzzDull: what is passed over as dull holds nothing that is found otherwise.
func FuzzDull(f *testing.F) {
	for _, group := range []string{"text", "tokens"} {
		for _, piece := range hostile(f, group) {
			f.Add(piece+"pw a1 ", "", uint8(longText/len(piece)))
		}
	}
	f.Add("カード4111は12回、密码", "", uint8(40))
	f.Add("карта4111пароль ", "card", uint8(20))
	f.Add("card 63264111x536228145年1990年", "", uint8(8))
	f.Add("senha é1990年 é1 ", "", uint8(20))
	d := newDetector(f)
	slow := asking(f)
	f.Fuzz(func(t *testing.T, piece, key string, n uint8) {
		text := []byte(strings.Repeat(piece, 1+int(n)))
		if len(text) > 4*longText { // as much as there is of a long text in two stretches
			t.Skip()
		}
		h := Hint{Key: key}
		if got, want := fmt.Sprint(d.Text(nil, text, h)), fmt.Sprint(slow.Text(nil, text, h)); got != want {
			t.Errorf("findings differ\ngot  %s\nwant %s", got, want)
		}
	})
}

// TestDullWide: the same of letters of other scripts with digits between, among values.
func TestDullWide(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	slow := asking(t)
	words := strings.Fields("カード 注文 番号 は 卡号 四一一一 一一一一 四 パスワード 密码是 密码 код карта пароль это заказ 카드 비밀번호 年 月 日 のカード番号 é är ü hasło jelszó है ا О о ４ ٤ 。 、 ・ \u200b \u3000 \u00a0 \xe3 " +
		"4 12 123 4111 1111 1111 4111111111111111 536228145 19900512 1990 123456 cvv cvv2 card pw Hunter2x ( : a Xy7!kkp0")
	r := rand.New(rand.NewPCG(4, 50))
	for n := range 1500 {
		var b strings.Builder
		for size := longText + r.IntN(200); b.Len() < size; {
			b.WriteString(words[r.IntN(len(words))])
			if r.IntN(8) == 0 {
				b.WriteByte(' ')
			}
		}
		text, h := []byte(b.String()), Hint{Key: []string{"", "text", "card"}[r.IntN(3)]}
		if got, want := fmt.Sprint(d.Text(nil, text, h)), fmt.Sprint(slow.Text(nil, text, h)); got != want {
			t.Fatalf("text %d: findings differ\ngot  %s\nwant %s", n, got, want)
		}
	}
}

// TestDull: the same of short words between all signs, among values.
func TestDull(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	slow := asking(t)
	var words []string
	markedCases(t, "testdata/tokens.txt", func(_ int, _, want string) { words = append(words, strings.Fields(unmark(want))...) })
	words = append(words, "cvv123", "exp", "12/27", "pw", "senha", "4O12", "8888", "DE89", "12th", "March", "card", "4111", "1111", "1111", "1111", "ssn", "12.ABC.345/01DE-35", "34313131", "%3A", "&#x34;", "=34")
	slices.Sort(words)
	const letters = "abcdeXYZ0123456789012345678901234567890123456789"
	const signs = "      /+-_.,:;=%&#<>\\\"'()|@$\n"
	r := rand.New(rand.NewPCG(3, 50))
	for n := range 1500 {
		var b strings.Builder
		for b.Len() < longText+r.IntN(200) {
			if r.IntN(6) == 0 {
				b.WriteString(words[r.IntN(len(words))])
			} else {
				for range 1 + r.IntN(7) {
					b.WriteByte(letters[r.IntN(len(letters))])
				}
			}
			b.WriteByte(signs[r.IntN(len(signs))])
		}
		text := []byte(b.String())
		if got, want := fmt.Sprint(d.Text(nil, text, Hint{})), fmt.Sprint(slow.Text(nil, text, Hint{})); got != want {
			t.Fatalf("text %d: findings differ\ngot  %s\nwant %s", n, got, want)
		}
	}
}
