package walk

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/redact"
)

// TestTextsWithoutDigits are values in which no ASCII digit stands: readers of
// JSON and forms pass over most of those, and not over these.
func TestTextsWithoutDigits(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, c := range map[string]struct {
		kind Kind
		in   string
		want []redact.Class
	}{
		"address":                  {JSON, `{"to":"jo@example.com"}`, []redact.Class{redact.Email}},
		"address in a name":        {JSON, `{"jo@example.com":true}`, []redact.Class{redact.Email}},
		"digits of another script": {JSON, `{"t":"card ４１１１１１１１１１１１１１１１"}`, []redact.Class{redact.CreditCard}},
		"spoken":                   {JSON, `{"t":"card four one one one, one one one one, one one one one, one one one one"}`, []redact.Class{redact.CreditCard}},
		"short words":              {JSON, `{"status":"open","priority":"normal"}`, nil},
		"address, form":            {Form, "to=jo%40example.com", []redact.Class{redact.Email}},
		"another script, form":     {Form, "t=card+%D9%A4%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1%D9%A1", []redact.Class{redact.CreditCard}},
		"spoken, form":             {Form, "t=card+four+one+one+one+one+one+one+one+one+one+one+one+one+one+one+one", []redact.Class{redact.CreditCard}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(c.kind, []byte(c.in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var got []redact.Class
			for _, f := range doc.Findings {
				got = append(got, f.Class)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
