package walk

import (
	"bytes"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// checkDoc holds the promises of every kind for one input that was accepted:
// findings are in order and in range, nothing changes without one, the output is
// accepted again, and nothing that is rewritten is found a second time.
func checkDoc(t *testing.T, kind Kind, raw []byte, d *detect.Detector) {
	t.Helper()
	doc, err := Parse(kind, raw, d, nil, Limits{})
	if err != nil {
		return
	}
	at := 0
	for _, f := range doc.Findings {
		if f.Start < at || f.End <= f.Start || f.End > len(raw) {
			t.Fatalf("finding out of order or range: %+v behind %d", f, at)
		}
		if at = f.End; doc.sources != nil {
			at = f.Start
		}
	}
	out := doc.Rewrite(byDefault)
	if len(doc.Findings) == 0 && !bytes.Equal(out, raw) {
		t.Fatal("changed without a finding")
	}
	again, err := Parse(kind, out, d, nil, Limits{})
	if err != nil {
		t.Fatalf("the output is refused: %v", err)
	}
	for _, f := range again.Findings {
		if a := byDefault(f); !f.Never && a.Rewrites() && a != redact.Tokenize {
			t.Errorf("found in the output: %+v in %q from %q", f, out, raw)
		}
	}
	settles(t, doc, byDefault)
	settles(t, doc, everything)
	edits, _ := again.MaskedWrites()
	if rest := again.Rewrite(byDefault, edits...); kind == JSON && !json.Valid(rest) {
		t.Fatal("taking masks out leaves no JSON")
	}
}

// overlapping is how many findings may overlap so that each shows only when a better
// one is masked: those of three ranks.
const overlapping = 3

// settles fails when more is found in what doc becomes. What lost against a better
// finding that overlapped it may show once that is masked, and is masked then: an
// address of mail that ends in the base64 of a card, a token around one. Nothing of a
// card, a code or a tax number shows in that way.
func settles(t *testing.T, doc *Doc, act func(redact.Finding) redact.Action) {
	t.Helper()
	out, kind, rest := doc.raw, doc.Kind, doc
	if doc.lines {
		kind = NDJSON
	}
	for range overlapping {
		out = rest.Rewrite(act)
		var err error
		if rest, err = Parse(kind, out, doc.det, nil, Limits{}); err != nil {
			t.Fatalf("the output is refused: %v", err)
		}
	}
	for _, f := range rest.Findings {
		if !f.Never && act(f).Rewrites() {
			t.Errorf("found where all of it is rewritten: %+v in %q from %q", f, out, doc.raw)
		}
	}
}

// everything masks all classes, also those that are only reported by default.
func everything(redact.Finding) redact.Action { return redact.Mask }

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e3,"x\u0034\n"],"b":{"c":null,"d":true}}`, `{"text":"my card 4111 1111 1111 1111 exp 12/26 123"}`,
		`["\u0034111 1111 1111 1111","536-22-8145",4.111111111111111e15]`, `{"ssn":536228145,"cvv":"123","id":4111111111111111}`,
		"[\"4111\\u00a01111\\u00a01111\\u00a01111\",\"\u00e9\"]", `"\ud83d\ude00"`, ` [ ] `,
		`[{"from":{"a":[1]},"text":"4111 1111"},{"by":"x"},{"text":"1111 \u0031111","from":null}]`, `[{"who":"a","said":"cvv?"},{"who":"b","said":"737"} ]`,
	} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		agreesWithStandard(t, d, raw)
		checkDoc(t, JSON, raw, d)
	})
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&b=2+3&c=%C3%A9&d&=", "Body=%34111+1111+1111+1111&ssn=536228145", "a=4111%C2%A01111%C2%A01111%C2%A01111&cvv=123"} {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := Parse(Form, raw, d, nil, Limits{}); err == nil {
			if _, err := url.ParseQuery(string(raw)); err != nil {
				t.Fatal("accepted what net/url refuses")
			}
		}
		checkDoc(t, Form, raw, d)
	})
}

func FuzzText(f *testing.F) {
	for _, s := range streamTexts {
		f.Add([]byte(s))
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, raw []byte) { checkDoc(t, Text, raw, d) })
}

// FuzzStream cuts a text, or lines of JSON, in three and compares with the whole.
func FuzzStream(f *testing.F) {
	for _, s := range streamTexts {
		f.Add([]byte(s), uint(3), uint(len(s)/2))
	}
	d := newDetector(f)
	for _, s := range []string{"{\"a\":\"4111111111111111\"}\n{\"b\":[1,\"536-22-8145\"]}\n", "{}\r\n\n[\"\\u0034111111111111111\"]"} {
		f.Add([]byte(s), uint(3), uint(len(s)/2))
	}
	f.Fuzz(func(t *testing.T, raw []byte, a, b uint) {
		for _, kind := range []Kind{Text, NDJSON} {
			doc, err := Parse(kind, raw, d, nil, Limits{})
			if err != nil {
				continue
			}
			first := int(a % uint(len(raw)+1))
			second := first + int(b%uint(len(raw)-first+1))
			out, found, err := streamed(t, d, kind, string(raw), int(a%512), first, second)
			if err != nil {
				t.Fatal(err)
			}
			if out != string(doc.Rewrite(byDefault)) || !same(found, doc.Findings) {
				t.Fatalf("%s cut at %d and %d: the stream differs from the whole", kind, first, second)
			}
		}
	})
}
