package transform_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caregate/caregate/redact/transform"
)

func TestForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Ana Núñez":            "XXX XXXXX",
		"ana@customer.example": "XXX@XXXXXXXX.XXXXXXX",
		"+1 212 555 0134":      "+X XXX XXX XXXX",
		"a\tb\r\nc\x00\u00a0€": "X\tX\r\nXXXX",
		"":                     "",
		"--- ...":              "--- ...",
	} {
		if got := transform.Form(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// What a form is mistaken for, and what for a form.
func TestIsForm(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"XXX XXXXX", "xxx@xxxxxxxx.xxxxxxx", "Xxx Xxxxx", "+X XXX XXX XXXX", "X", "(X)\r\n"} {
		if !transform.IsForm([]byte(text)) {
			t.Errorf("%q is the form of something", text)
		}
	}
	for _, text := range []string{"", " ", "---", "Xbox", "100%", "XXL", "taxi", "line\\nX", "Ann X.", "[removed]", "null", "XX7", "X\u00a0X", "é X", "XXXX XXXX XXXX 1111", "X\x00"} {
		if transform.IsForm([]byte(text)) {
			t.Errorf("%q is the form of nothing", text)
		}
	}
}

// A form is one, in any case, unless nothing was hidden in it; and it has as many characters
// as its text.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"Ana Núñez", "xX", "---", "\xff", "a\u2028b", "4111 1111 1111 1111"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form := transform.Form(text)
		if got, want := utf8.RuneCountInString(form), utf8.RuneCountInString(text); got != want {
			t.Errorf("%d characters became %d", want, got)
		}
		if again := transform.Form(form); again != form {
			t.Errorf("the form of a form is another")
		}
		for _, written := range []string{form, strings.ToLower(form)} {
			if transform.IsForm([]byte(written)) != bytes.ContainsRune([]byte(form), 'X') {
				t.Errorf("a form is not known for one")
			}
		}
		if transform.IsForm([]byte(text)) && !strings.EqualFold(form, text) {
			t.Errorf("a text is taken for the form of another")
		}
	})
}
