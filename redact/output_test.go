package redact_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/view"
	"github.com/caregate/caregate/redact/walk"
)

// TestOutput redacts every message of the corpus: what is enforced by default, and
// whatever else is labelled in it. No card and no tax number that is labelled is
// left, reading the output finds nothing of these classes again, and redacting it
// again changes nothing. JSON stays JSON.
func TestOutput(t *testing.T) {
	t.Parallel()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range corpus(t) {
		kind, err := kindOf(m.Type)
		if err != nil {
			t.Fatalf("%s: %v", m.ID, err)
		}
		var texts []string
		var numbers []string // the digits of the labelled cards and tax numbers
		masked := map[redact.Class]bool{}
		for _, info := range redact.Classes() {
			masked[info.Class] = info.Default.Rewrites() && info.Class != redact.PaymentReference
		}
		for _, marked := range m.texts() {
			text, spans, err := labels(marked)
			if err != nil {
				t.Fatalf("%s: %v", m.ID, err)
			}
			texts = append(texts, text)
			for _, g := range spans {
				masked[g.class] = true
				if n := digitsOf([]byte(text[g.start:g.end])); len(n) >= 9 && !g.optional && (g.class == redact.CreditCard || g.class == redact.USSSN) {
					numbers = append(numbers, n)
				}
			}
		}
		mask := func(f redact.Finding) bool { return masked[f.Class] }
		readings := read(t, d, kind, texts)
		var out []string
		for i := range readings {
			text := readings[i].masked(texts[i], mask)
			if readings[i].doc.Kind == walk.JSON && !json.Valid(text) {
				t.Errorf("%s: text %d is no JSON any more", m.ID, i)
			}
			out = append(out, string(text))
		}
		all := digitsOf([]byte(strings.Join(out, "")))
		for n, number := range numbers {
			if strings.Contains(all, number) && !slices.Contains(missed, m.ID) {
				t.Errorf("%s: number %d is still there", m.ID, n)
			}
		}
		again := read(t, d, kind, out)
		for i := range again {
			for _, f := range again[i].findings() {
				if mask(f) && !f.Never {
					t.Errorf("%s: %s at %d to %d of output %d (%s)", m.ID, f.Class, f.Start, f.End, i, f.Rule)
				}
			}
			if twice := again[i].masked(out[i], mask); !bytes.Equal(twice, []byte(out[i])) {
				t.Errorf("%s: redacting text %d again changes it", m.ID, i)
			}
		}
	}
}

// missed are the messages in which TestCorpus misses a number, within its floors.
var missed = []string{"second-seps-0074", "sixth-found-238", "eighth-found-072"}

// digitsOf are the digits of text as they are read, escapes and other scripts
// undone, with nothing between.
func digitsOf(text []byte) string {
	var r view.Reader
	var b strings.Builder
	for _, c := range r.Normal(text, 0, len(text), false).Text() {
		if c-'0' <= 9 {
			b.WriteByte(c)
		}
	}
	return b.String()
}
