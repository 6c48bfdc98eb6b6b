package proxy

import (
	"bytes"
	"strings"
	"testing"
)

func TestAmountOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, currency string
		decimal      bool
		want         int64
		ok           bool
	}{
		{"1050", "EUR", false, 1050, true},
		{"0", "EUR", false, 0, true},
		{"10.50", "EUR", true, 1050, true},
		{"10.5", "EUR", true, 1050, true},
		{"10", "EUR", true, 1000, true},
		{"10", "JPY", true, 10, true},
		{"10.123", "KWD", true, 10123, true},
		{"10", "", true, 1000, true},
		{"10.5", "JPY", true, 0, false},
		{"10.505", "EUR", true, 0, false},
		{"10.50", "EUR", false, 0, false},
		{"10.", "EUR", true, 0, false},
		{".50", "EUR", true, 0, false},
		{"1.0.0", "EUR", true, 0, false},
		{"1,00", "EUR", true, 0, false},
		{"-1", "EUR", false, 0, false},
		{"+1", "EUR", false, 0, false},
		{" 1", "EUR", false, 0, false},
		{"", "EUR", false, 0, false},
		{"null", "EUR", false, 0, false},
		{"999999999999999", "EUR", false, 999_999_999_999_999, true},
		{"1000000000000000", "EUR", false, 0, false},
		{"99999999999999", "EUR", true, 0, false},
	} {
		if got, ok := amountOf(c.in, c.currency, c.decimal); got != c.want || ok != c.ok {
			t.Errorf("%q %s, decimal %v: got %d, %v, want %d, %v", c.in, c.currency, c.decimal, got, ok, c.want, c.ok)
		}
	}
}

func TestUnescapedJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`plain`: "plain", `\u0070tk1`: "ptk1", `a\nb\tc\r`: "a\nb\tc\n", `\\u0070`: `\u0070`, `\u00`: "u00", `\uzzzz`: "uzzzz", `end\`: `end\`, `\"`: `"`,
	} {
		if got := unescapedJSON(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// A reference behind an escape is no part of a longer word.
func TestConcealBehindEscapes(t *testing.T) {
	t.Parallel()
	s := &spending{value: []byte("ch_1aQx")}
	s.Token = "TOKEN"
	for in, want := range map[string]string{
		`no charge:\nch_1aQx`: `no charge:\nTOKEN`, `\u0020ch_1aQx\u0020`: `\u0020TOKEN\u0020`, "?a%3Dch_1aQx%26b": "?a%3DTOKEN%26b",
		"xch_1aQx": "xch_1aQx", "ch_1aQxx": "ch_1aQxx", "20ch_1aQx": "20ch_1aQx", "u0020ch_1aQx": "u0020ch_1aQx",
	} {
		if out, _ := s.conceal([]byte(in)); string(out) != want {
			t.Errorf("%s: got %s, want %s", in, out, want)
		}
	}
}

// FuzzConceal: whatever an answer holds, its reference is nowhere a word of its own
// afterwards, and all the rest is as it was.
func FuzzConceal(f *testing.F) {
	const value = "ch_1aQx"
	token := "ptk1" + strings.Repeat("z", 30)
	for _, seed := range []string{"", value, value + value, "x" + value, value + "x", "_" + value + "_", "ch_ch_1aQx.ch_1aQ", `{"a":"` + value + `"}`,
		`{"a":"no\n` + value + `\nno"}`, `\u0020` + value, "?a%3D" + value + "%26", `\` + value, "%" + value} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := &spending{value: []byte(value)}
		s.Token = token
		out, n := s.conceal(text)
		if bytes.Contains(text, []byte(token)) {
			return // what was put there cannot be told from what was
		}
		if back := bytes.ReplaceAll(out, []byte(token), []byte(value)); !bytes.Equal(back, text) || bytes.Count(out, []byte(token)) != n {
			t.Errorf("something else was changed")
		}
		if again, more := s.conceal(out); more != 0 || !bytes.Equal(again, out) {
			t.Errorf("%d were left", more)
		}
	})
}
