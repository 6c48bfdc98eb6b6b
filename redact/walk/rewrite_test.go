package walk

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

// What findings become is the same whether they are written one by one or as edits beside
// others.
func TestRewriteInPlace(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	nothing := Edit{} // takes out no byte
	for name, c := range map[string]struct {
		kind Kind
		raw  string
	}{
		"cards":            {JSON, `["4111111111111111","5555-5555-5555-4444"]`},
		"beside text":      {JSON, `{"text":"my card is 4111 1111 1111 1111 exp 12/27 cvv 123","ssn":"536-22-8145"}`},
		"numbers":          {JSON, `{"pan":4111111111111111,"id":7}`},
		"escapes":          {JSON, `{"text":"card\n\u0034111 1111 1111 1111, \"cvv 123\""}`},
		"longer and never": {JSON, `{"email":"jo.doe@example.com","order_id":"4111111111111111"}`},
		"clean":            {JSON, `{"id":4402126792469}`},
		"form":             {Form, `a=4111+1111+1111+1111&b=c`},
		"text":             {Text, "my ssn is 536-22-8145, card 4111 1111 1111 1111"},
	} {
		for _, a := range []redact.Action{redact.Report, redact.Mask, redact.Drop, redact.Tokenize} {
			t.Run(name+"/"+a.String(), func(t *testing.T) {
				t.Parallel()
				doc, err := Parse(c.kind, []byte(c.raw), d, nil, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				for i := range doc.Findings {
					if a == redact.Tokenize && i%2 == 0 {
						doc.Substitute(i, "ptk1somethingmuchlongerthanthevalueitself0")
					}
				}
				act := func(redact.Finding) redact.Action { return a }
				got, want := string(doc.Rewrite(act)), string(doc.Rewrite(act, nothing))
				if got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if a == redact.Mask && name != "clean" && got == c.raw {
					t.Error("nothing was masked")
				}
			})
		}
	}
}
