package conversation

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// TestCorpus holds the tracker to its floors on testdata/conversations.jsonl, which
// the rules were not written from. Values stand in brackets with their class; every
// piece of a card is to be found, and nothing else that is enforced by default.
func TestCorpus(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/conversations.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr := newTracker(t, Config{})
	hit, miss, alarm := 0, 0, 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var c struct {
			ID       string   `json:"id"`
			Messages []string `json:"messages"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		type span struct{ message, start, end int }
		var want, got []span
		for i, marked := range c.Messages {
			text := ""
			for {
				before, rest, ok := strings.Cut(marked, "⟦")
				text += before
				if !ok {
					break
				}
				inside, after, _ := strings.Cut(rest, "⟧")
				_, value, _ := strings.Cut(inside, "|")
				want = append(want, span{i, len(text), len(text) + len(value)})
				text += value
				marked = after
			}
			found := tr.detector.Text(nil, []byte(text), detect.Hint{})
			for _, x := range found {
				if info, _ := redact.Lookup(string(x.Class)); info.Default.Rewrites() && x.Class != redact.PaymentReference {
					got = append(got, span{i, x.Start, x.End})
				}
			}
			for _, x := range tr.Add(Message{Conversation: c.ID, Text: []byte(text), Found: found}) {
				for _, p := range x.Pieces {
					got = append(got, span{p.Message.Index, p.Start, p.End})
				}
			}
		}
		for _, w := range want {
			if slices.ContainsFunc(got, func(g span) bool { return g.message == w.message && g.start <= w.start && g.end >= w.end }) {
				hit++
			} else {
				miss++
				t.Logf("%s: message %d at %d to %d missed", c.ID, w.message, w.start, w.end)
			}
		}
		for _, g := range got {
			if !slices.ContainsFunc(want, func(w span) bool { return g.message == w.message && g.start < w.end && w.start < g.end }) {
				alarm++
				t.Logf("%s: message %d at %d to %d is a false alarm", c.ID, g.message, g.start, g.end)
			}
		}
	}
	t.Logf("%d pieces found, %d missed, %d false alarms", hit, miss, alarm)
	if recall := float64(hit) / float64(hit+miss); hit < 100 || recall < 0.95 {
		t.Errorf("recall %.4f of %d pieces, want 0.95", recall, hit+miss)
	}
	if precision := float64(hit) / float64(hit+alarm); precision < 0.99 {
		t.Errorf("precision %.4f, want 0.99", precision)
	}
}
