package redact_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/conversation"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/transform"
	"github.com/caregate/caregate/redact/walk"
)

// message is one line of testdata/corpus: a message as a person or a system
// wrote it. Protected data stands in brackets with its class, ⟦credit_card|4111
// 1111 1111 1111⟧; with a question mark before the class, finding it or not is
// both right. Every other finding is a false alarm.
type message struct {
	ID string `json:"id"`
	// Form is how the data is written: plain, separators, unicode, encoded, spoken,
	// context, split; clean for messages without any.
	Form string `json:"form"`
	// Lang is the language (BCP 47), Channel where it was written. Both are for
	// readers of the corpus.
	Lang    string `json:"lang"`
	Channel string `json:"channel"`
	// Type is the kind of text as `caregate scan --type` takes it; empty is found
	// out from the text.
	Type string `json:"type"`
	Text string `json:"text"`
	// Messages are those of a conversation, in place of Text. A value in pieces has
	// a bracket around each of them.
	Messages []string `json:"messages"`

	// part is the name of the corpus part it belongs to.
	part string
}

// texts are the texts of the message, with their brackets.
func (m *message) texts() []string {
	if m.Messages != nil {
		return m.Messages
	}
	return []string{m.Text}
}

// gold is one labelled span of a text.
type gold struct {
	class      redact.Class
	start, end int
	optional   bool
}

// labels takes the brackets out of a text.
func labels(marked string) (text string, spans []gold, err error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(marked, "⟦")
		b.WriteString(before)
		if !ok {
			return b.String(), spans, nil
		}
		inside, after, ok := strings.Cut(rest, "⟧")
		class, value, named := strings.Cut(inside, "|")
		if !ok || !named {
			return "", nil, fmt.Errorf("a bracket without end or class")
		}
		class, optional := strings.CutPrefix(class, "?")
		if _, known := redact.Lookup(class); !known {
			return "", nil, fmt.Errorf("unknown class %q", class)
		}
		start := b.Len()
		b.WriteString(value)
		spans = append(spans, gold{redact.Class(class), start, b.Len(), optional})
		marked = after
	}
}

// The parts of the corpus. They were written by different people, so that a rule
// made for one is tried on the other.
const (
	firstPart   = "first"
	secondPart  = "second"  // files named second-*
	thirdPart   = "third"   // files named third-*
	fourthPart  = "fourth"  // files named fourth-*
	fifthPart   = "fifth"   // files named fifth-*
	sixthPart   = "sixth"   // files named sixth-*
	seventhPart = "seventh" // files named seventh-*
	eighthPart  = "eighth"  // files named eighth-*
	ninthPart   = "ninth"   // files named ninth-*
	tenthPart   = "tenth"   // files named tenth-*
	allParts    = "all"
)

// corpus reads every message of testdata/corpus.
func corpus(tb testing.TB) []message {
	tb.Helper()
	names, err := filepath.Glob("testdata/corpus/*.jsonl")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no corpus: %v", err)
	}
	var all []message
	seen := map[string]bool{}
	for _, name := range names {
		part := firstPart
		for _, later := range []string{secondPart, thirdPart, fourthPart, fifthPart, sixthPart, seventhPart, eighthPart, ninthPart, tenthPart} {
			if strings.HasPrefix(filepath.Base(name), later+"-") {
				part = later
			}
		}
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			m := message{part: part}
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				tb.Fatalf("%s:%d: %v", name, n, err)
			}
			if m.ID == "" || m.Form == "" || seen[m.ID] {
				tb.Fatalf("%s:%d: id %q: missing, double, or without a form", name, n, m.ID)
			}
			if (m.Text == "") == (m.Messages == nil) {
				tb.Fatalf("%s:%d: want either text or messages", name, n)
			}
			seen[m.ID] = true
			all = append(all, m)
		}
		if err := lines.Err(); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

// reading is what the engine makes of one text: its document, and what it holds
// only together with the texts around it.
type reading struct {
	doc      *walk.Doc
	together []redact.Finding
}

// findings are all findings that count; identifiers at places of identifiers do
// not.
func (r *reading) findings() []redact.Finding {
	out := slices.Clone(r.together)
	for _, f := range r.doc.Findings {
		if !f.Never || f.Strong {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b redact.Finding) int { return a.Start - b.Start })
	return out
}

// masked is the text with everything that is labelled or enforced by default taken
// out.
func (r *reading) masked(text string, mask func(redact.Finding) bool) []byte {
	act := func(f redact.Finding) redact.Action {
		if !mask(f) {
			return redact.Report
		}
		if info, _ := redact.Lookup(string(f.Class)); info.Default == redact.Drop {
			return redact.Drop
		}
		return redact.Mask
	}
	var more []walk.Edit
	for _, f := range r.together {
		if a := act(f); a.Rewrites() {
			more = append(more, walk.Edit{Start: f.Start, End: f.End, New: transform.AppendPiece(nil, []byte(text[f.Start:f.End]), a)})
		}
	}
	return r.doc.Rewrite(act, more...)
}

// read reads the texts of one message as the command line does.
func read(tb testing.TB, d *detect.Detector, kind walk.Kind, texts []string) []reading {
	tb.Helper()
	tracker, err := conversation.New(d, conversation.Config{Conversations: 1})
	if err != nil {
		tb.Fatal(err)
	}
	out := make([]reading, len(texts))
	var index []int // of the texts, for each that the tracker saw
	for i, text := range texts {
		doc, err := parse(d, kind, []byte(text))
		if err != nil {
			tb.Fatal(err)
		}
		out[i].doc = doc
		if doc.Kind != walk.Text {
			continue
		}
		var found []conversation.Found
		if len(texts) == 1 {
			found = tracker.Transcript([]byte(text), doc.Findings)
		} else {
			index = append(index, i)
			found = tracker.Add(conversation.Message{Conversation: "corpus", Text: []byte(text), Found: doc.Findings})
		}
		for _, f := range found {
			for _, p := range f.Pieces {
				r := &out[i]
				if len(texts) > 1 {
					r = &out[index[p.Message.Index]]
				}
				r.together = slices.DeleteFunc(r.together, func(o redact.Finding) bool { return o.Start < p.End && p.Start < o.End })
				r.together = append(r.together, redact.Finding{Class: f.Class, Start: p.Start, End: p.End, Confidence: f.Confidence, Rule: f.Rule, Strong: true})
			}
		}
	}
	return out
}

// parse reads one text; what is refused as the kind it looks like is text.
func parse(d *detect.Detector, kind walk.Kind, text []byte) (*walk.Doc, error) {
	guessed := kind == walk.Auto
	if guessed {
		kind = walk.Guess(text)
	}
	doc, err := walk.Parse(kind, text, d, nil, walk.Limits{})
	var refusal *walk.Refusal
	if guessed && errors.As(err, &refusal) {
		return walk.Parse(walk.Text, text, d, nil, walk.Limits{})
	}
	return doc, err
}

// kindOf reads the type of a message.
func kindOf(name string) (walk.Kind, error) {
	for _, k := range []walk.Kind{walk.Auto, walk.JSON, walk.Form, walk.Text, walk.HTML, walk.XML, walk.CSV, walk.MIME} {
		if name == k.String() || name == "" && k == walk.Auto {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", name)
}
