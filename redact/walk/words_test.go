package walk

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

// Text without a single digit holds findings too: numbers in words.
func TestWordsWithoutDigits(t *testing.T) {
	t.Parallel()
	const (
		said   = "four one one one, one one one one, one one one one, one one one one"
		masked = "XXXX XXXX XXXX 1111"
	)
	d := newDetector(t)
	for name, c := range map[string]struct {
		kind     Kind
		in, want string
	}{
		"json":          {JSON, `{"body":"it is ` + said + `.","n":1}`, `{"body":"it is ` + masked + `.","n":1}`},
		"json, escapes": {JSON, `{"body":"it is\n` + said + `\""}`, `{"body":"it is\n` + masked + `\""}`},
		"json, a code":  {JSON, `["the cvv is \"one two three\""]`, `["the cvv is \"XXX\""]`},
		"json, nested":  {JSON, `[{"a":[{"text":"` + said + `"}]}]`, `[{"a":[{"text":"` + masked + `"}]}]`},
		"form":          {Form, "body=card+four+one+one+one+one+one+one+one+one+one+one+one+one+one+one+one&x=y", "body=card+XXXX+XXXX+XXXX+1111&x=y"},
		"text":          {Text, "card " + said, "card " + masked},
		"html":          {HTML, "<p>card <b>" + said + "</b></p>", "<p>card <b>" + masked + "</b></p>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(c.kind, []byte(c.in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := string(doc.Rewrite(func(redact.Finding) redact.Action { return redact.Mask }))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
