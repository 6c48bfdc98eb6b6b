package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/walk"
)

// What is counted while a route observes holds no digit, is told only when there is
// enough of it, and comes from fields with nothing but the number in them.
func TestObserved(t *testing.T) {
	t.Parallel()
	det, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	o := newObserved()
	add := func(body string, times int) {
		doc, err := walk.Parse(walk.JSON, []byte(body), det, nil, walk.Limits{})
		if err != nil || len(doc.Findings) == 0 {
			t.Fatalf("%v, or nothing is found", err)
		}
		for range times {
			o.add(doc)
		}
	}
	add(`{"gift":"6011111111111117"}`, leastObserved)
	add(`{"voucher":"6011111111111117"}`, leastObserved-1)                             // too few
	add(`{"by_person":{"jane@example.com":"6011111111111117"}}`, leastObserved)        // no name that programmers give
	add(`{"note":"6011111111111117 was empty","x":"6011111111111117"}`, leastObserved) // x only
	add(`{"card":"6011111111111117"}`, leastObserved)                                  // named: a card
	got, err := o.proposals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, p := range got.Proposals {
		fields = append(fields, p.Field)
		if strings.ContainsAny(p.Pattern+p.Field, "0123456789") || strings.Contains(fmt.Sprint(p), "6011") {
			t.Error("a proposal holds digits")
		}
	}
	if fmt.Sprint(fields) != "[gift x]" || got.Since.IsZero() {
		t.Errorf("got rows for %v", fields)
	}
}

// Of a User-Agent, which anybody can fill with anything, a word of a closed list remains.
func TestProgramOf(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"": "unnamed", "ann@example.com": "other", "python-requests/2.32": "python", "Zapier": "zapier", "curl/8.5": "curl",
		"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0": "browser", "Mozilla/5.0 (compatible) node-fetch": "node",
		strings.Repeat("a", 4*maxUserAgent) + "curl/": "other",
	} {
		if got := programOf(agent); got != want {
			t.Errorf("%.40q: got %s, want %s", agent, got, want)
		}
	}
}
