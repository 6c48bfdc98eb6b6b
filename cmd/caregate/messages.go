package main

import (
	"fmt"
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/conversation"
	"github.com/caregate/caregate/redact/transform"
	"github.com/caregate/caregate/redact/walk"
)

// part is a finding that the message around it does not hold by itself: a piece
// of a value, or digits that the question before them names.
type part struct {
	message int
	redact.Finding
	// group is the same for all pieces of one value; 0 for a value in one piece.
	group int
}

// newTracker returns what finds values over several messages.
func (r *reader) newTracker() (*conversation.Tracker, error) {
	t, err := conversation.New(r.detector, conversation.Config{Conversations: 1})
	if err != nil {
		return nil, fmt.Errorf("building the tracker of conversations: %w", err)
	}
	return t, nil
}

// collected are the parts that were found so far.
type collected struct {
	parts []part
	group int
}

// add takes one value in. messages are the texts of its pieces by their index, nil
// when there is one text, which is then the one with the number message.
func (c *collected) add(f conversation.Found, messages []int, message int) {
	if len(f.Pieces) > 1 {
		c.group++
	}
	for _, p := range f.Pieces {
		x := part{message: message, Finding: redact.Finding{Class: f.Class, Start: p.Start, End: p.End, Confidence: f.Confidence, Rule: f.Rule, Evidence: f.Evidence, Strong: true}}
		if messages != nil {
			x.message = messages[p.Message.Index]
		}
		if len(f.Pieces) > 1 {
			x.group = c.group
		}
		// A value that grows by one more message is told again, as a whole.
		c.parts = slices.DeleteFunc(c.parts, func(o part) bool { return o.message == x.message && o.Start < x.End && x.Start < o.End })
		c.parts = append(c.parts, x)
	}
}

// sorted returns the parts in order.
func (c *collected) sorted() []part {
	slices.SortStableFunc(c.parts, func(a, b part) int {
		if a.message != b.message {
			return a.message - b.message
		}
		return a.Start - b.Start
	})
	return c.parts
}

// together finds what the texts of a line hold only together: the messages of a
// conversation, or the turns of a transcript. docs are the readings of the texts.
func (r *reader) together(l *line, docs []*walk.Doc) ([]part, error) {
	if len(docs) == 1 {
		return r.turns(docs[0], []byte(l.texts[0].value))
	}
	t, err := r.newTracker()
	if err != nil {
		return nil, err
	}
	var c collected
	var messages []int // of the line, for each that was added
	for i, doc := range docs {
		if doc.Kind != walk.Text {
			continue
		}
		messages = append(messages, i)
		for _, f := range t.Add(conversation.Message{Conversation: "line", Text: []byte(l.texts[i].value), Found: doc.Findings}) {
			c.add(f, messages, 0)
		}
	}
	return c.sorted(), nil
}

// turns finds what the turns of a transcript hold only together; other texts have
// nothing of the kind.
func (r *reader) turns(doc *walk.Doc, text []byte) ([]part, error) {
	if doc.Kind != walk.Text {
		return nil, nil
	}
	t, err := r.newTracker()
	if err != nil {
		return nil, err
	}
	var c collected
	for _, f := range t.Transcript(text, doc.Findings) {
		c.add(f, nil, 0)
	}
	return c.sorted(), nil
}

// covered reports whether a finding of one message is only what a part of a value
// looks like by itself.
func covered(parts []part, message int, f redact.Finding) bool {
	return slices.ContainsFunc(parts, func(p part) bool {
		return p.message == message && p.Start < f.End && f.Start < p.End && !offlineAction(f).Rewrites()
	})
}

// edits returns what masks the parts of one message in its document.
func edits[T string | []byte](parts []part, message int, text T) []walk.Edit {
	var out []walk.Edit
	for _, p := range parts {
		if p.message != message {
			continue
		}
		value := []byte(text[p.Start:p.End])
		var masked []byte
		if p.group > 0 {
			masked = transform.AppendPiece(nil, value, offlineAction(p.Finding))
		} else {
			masked = transform.Append(nil, value, p.Class, offlineAction(p.Finding))
		}
		out = append(out, walk.Edit{Start: p.Start, End: p.End, New: masked})
	}
	return out
}
