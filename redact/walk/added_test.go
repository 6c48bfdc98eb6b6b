package walk

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// A finding of the caller's is masked as a piece, in the notation of its place.
func TestAdd(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	f, err := Compile([]Rule{{Pointer: "/body", Label: "message", Flags: Wanted}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind     Kind
		in       string
		value    string // what is found of the decoded value
		want     string
		findings int
	}{
		"json":                     {JSON, `{"a":"ssn 536-22-8145","body":"and 1111 1111","z":"pin 1234"}`, "1111 1111", `{"a":"ssn XXX-XX-XXXX","body":"and XXXX XXXX","z":"pin XXXX"}`, 3},
		"json, escapes in front":   {JSON, `{"body":"\u00e4\n\"1111\" 11"}`, `1111" 11`, `{"body":"\u00e4\n\"XXXX\" XX"}`, 1},
		"json, escaped digits":     {JSON, `{"body":"\u0031111 11"}`, "1111 11", `{"body":"XXXX XX"}`, 1},
		"json, a number":           {JSON, `{"body":1111}`, "1111", `{"body":null}`, 1},
		"form":                     {Form, "x=1&body=and+1111+1111&y=2", "1111 1111", "x=1&body=and+XXXX+XXXX&y=2", 1},
		"form, percent":            {Form, "body=%31111%201", "1111 1", "body=XXXX%20X", 1},
		"what it touches is in it": {JSON, `{"body":"pin 1234 5"}`, "4 5", `{"body":"pin XXXX X"}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(c.kind, []byte(c.in), d, f, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(doc.Captures) != 1 {
				t.Fatalf("%d captures", len(doc.Captures))
			}
			at := doc.Captures[0]
			value := string(doc.Value(at))
			from := strings.Index(value, c.value)
			if !doc.Add(at, redact.Finding{Class: redact.CreditCard, Start: from, End: from + len(c.value), Evidence: redact.EvidenceSplit}) {
				t.Fatal("it was not taken")
			}
			if got := string(doc.Rewrite(byDefault)); got != c.want || len(doc.Findings) != c.findings {
				t.Errorf("got %s with %d findings, want %s with %d", got, len(doc.Findings), c.want, c.findings)
			}
			for i := 1; i < len(doc.Findings); i++ {
				if doc.Findings[i].Start < doc.Findings[i-1].End {
					t.Error("findings overlap or are not sorted")
				}
			}
			if doc.Add(at, redact.Finding{Start: 0, End: len(value) + 1}) {
				t.Error("a finding beyond the value was taken")
			}
			inside := doc.Within(at)
			if c.kind == JSON && at.Place == redact.PlaceText && (len(inside) != 1 || !strings.Contains(value[inside[0].Start:inside[0].End], c.value)) {
				t.Errorf("within: %+v", inside)
			}
		})
	}
	text, err := Parse(Text, []byte("1111"), d, nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if text.Add(Capture{End: 4}, redact.Finding{End: 4}) {
		t.Error("a text took a finding")
	}
}
