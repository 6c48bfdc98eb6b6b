package conversation

import (
	"hash/maphash"
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/spoken"
)

// maxMessage is how long a message with a piece may be, in bytes. Nobody types a
// part of a number into a longer one.
const maxMessage = 2 << 10

// working is memory that is used by one call of Add at a time, under the lock.
type working struct {
	outline spoken.Outline
	text    []byte
	marks   []mark
	found   []redact.Finding
}

// mark says of which piece a digit of the joined text is.
type mark struct{ piece, at int }

// Add takes the next message of a conversation and returns what it completes or
// explains. The findings of the message by itself are not repeated.
func (t *Tracker) Add(m Message) []Found {
	if m.Conversation == "" || len(m.Conversation) > maxKey {
		return nil
	}
	if len(m.ID) > maxKey {
		m.ID = ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.tail(m.Conversation, m.At)
	ref := Ref{Index: x.count, ID: m.ID}
	x.count++
	if !m.At.IsZero() {
		x.last = m.At
	}
	asked := x.topics // by the messages before
	if x.topicAge++; x.topicAge > maxTopicAge {
		x.topics, asked = 0, 0
	}
	if len(m.Text) > maxMessage {
		x.clear()
		x.speakOf(t.detector.Topics(m.Text))
		return nil
	}

	o := &t.work.outline
	t.reader.Outline(o, m.Text)
	defer o.Clear()
	speaker := uint64(o.Speaker)
	if m.Speaker != "" {
		speaker = maphash.String(t.seed, m.Speaker) | 1
	}
	topics := t.detector.Topics(m.Text[o.Body:]) | t.detector.Topics(m.Text[:o.Body])&^detect.TopicOther
	defer x.speakOf(topics)
	if slices.ContainsFunc(m.Found, whole) {
		x.clear()
		return nil
	}
	pure := o.Words == 0
	about := (asked | topics) &^ detect.TopicOther
	switch {
	case len(o.Digits) == 0:
		x.aside(speaker, o.Words+o.Fillers, topics)
		return nil
	case topics == detect.TopicOther, topics == 0 && asked == detect.TopicOther, len(o.Digits) > maxTail, !pure && (about == 0 || o.Words > maxBeside):
		// Digits of something else.
		if x.aside(speaker, maxAside+1, topics); topics == 0 && asked != 0 && o.Words <= maxBeside {
			return t.explained(x, &m, ref, asked)
		}
		return nil
	case x.n > 0 && speaker != 0 && x.speaker != 0 && speaker != x.speaker:
		x.aside(speaker, 0, topics) // read back by the other side
		return nil
	}
	if f, digits := t.completed(x, ref, about, pure); digits > 0 {
		if digits >= usualCard {
			x.clear()
		} else {
			x.push(ref, o, pure) // more may follow: Visa has thirteen digits and sixteen
		}
		return []Found{f}
	}
	if f := t.explained(x, &m, ref, asked); f != nil {
		x.clear()
		return f
	}
	if x.n == 0 {
		x.speaker = speaker
	}
	x.push(ref, o, pure)
	return nil
}

// usualCard is how many digits most cards have.
const usualCard = 16

// whole reports whether a finding is a value that ends a tail.
func whole(f redact.Finding) bool {
	switch f.Class {
	case redact.CreditCard, redact.CardTrackData, redact.USSSN, redact.USITIN:
		return !f.Never || f.Strong
	}
	return false
}

// speakOf notes what a message names.
func (x *tail) speakOf(topics detect.Topic) {
	if topics != 0 {
		x.topics, x.topicAge = topics, 0
	}
}

// aside takes note of a message without a piece.
func (x *tail) aside(speaker uint64, words int, topics detect.Topic) {
	if x.n == 0 {
		return
	}
	x.silent++
	other := speaker != 0 && x.speaker != 0 && speaker != x.speaker
	if x.silent > maxSilent || !other && words > maxAside && topics&(detect.TopicCard|detect.TopicSSN) == 0 {
		x.clear()
	}
}

// prefixes are the words that stand for a topic in a text that is judged.
var prefixes = []struct {
	topic   detect.Topic
	text    string
	classes []redact.Class
}{
	{detect.TopicCard, "card ", []redact.Class{redact.CreditCard}},
	{detect.TopicSSN, "ssn ", []redact.Class{redact.USSSN, redact.USITIN}},
	{detect.TopicCode, "cvv ", []redact.Class{redact.CardVerificationCode}},
	{detect.TopicPIN, "pin ", []redact.Class{redact.CardPIN}},
}

// completed judges the digits of the tail and of the message at hand together, in
// their groups: all of them, and once more without groups that repeat the one
// before, as a reader-back does. It returns how many digits the value has. Where
// nobody speaks of a card, a number has to have one of the usual lengths.
func (t *Tracker) completed(x *tail, ref Ref, about detect.Topic, pure bool) (Found, int) {
	if x.n == 0 {
		return Found{}, 0
	}
	for _, p := range prefixes[:2] {
		named := about&p.topic != 0
		if !named && (p.topic != detect.TopicCard || !pure || !x.pure) {
			continue
		}
		words := p.text
		if !named {
			words = ""
		}
		for _, repeats := range []bool{true, false} {
			f, digits := t.join(x, ref, words, repeats, p.classes)
			if digits > 0 && (named || digits == 19 || digits >= 14 && digits <= usualCard) {
				return f, digits
			}
		}
	}
	return Found{}, 0
}

// join writes the pieces and the groups at hand behind words and judges that.
func (t *Tracker) join(x *tail, ref Ref, words string, repeats bool, classes []redact.Class) (Found, int) {
	w := &t.work
	w.text, w.marks = append(w.text[:0], words...), w.marks[:0]
	defer func() { clear(w.text) }()
	var all []Piece
	var before []byte
	skipped := false
	add := func(p Piece, digits []byte) {
		if !repeats && string(before) == string(digits) {
			skipped = true
			before = nil
			return
		}
		before = digits
		if len(all) > 0 {
			w.text = append(w.text, ' ')
		}
		for range digits {
			w.marks = append(w.marks, mark{len(all), len(w.text)})
			w.text = append(w.text, digits[0])
			digits = digits[1:]
		}
		all = append(all, p)
	}
	at := 0
	for _, p := range x.pieces {
		add(Piece{Message: p.message, Start: p.start, End: p.end, Earlier: true}, x.digits[at:at+p.digits])
		at += p.digits
	}
	o := &w.outline
	for _, g := range o.Groups {
		add(Piece{Message: ref, Start: g.Start, End: g.End}, o.Digits[g.From:g.To])
	}
	if !repeats && !skipped {
		return Found{}, 0
	}
	w.found = t.detector.Text(w.found[:0], w.text, detect.Hint{})
	for _, f := range w.found {
		if !slices.Contains(classes, f.Class) {
			continue
		}
		out := Found{Class: f.Class, Confidence: f.Confidence, Rule: f.Rule, Evidence: f.Evidence | redact.EvidenceSplit}
		digits := 0
		for i, m := range w.marks {
			if m.at < f.Start || m.at >= f.End {
				continue
			}
			if digits++; i == 0 || digits == 1 || w.marks[i-1].piece != m.piece {
				out.Pieces = append(out.Pieces, all[m.piece])
			}
		}
		if out.Pieces = perMessage(out.Pieces); len(out.Pieces) > 1 && out.Pieces[0].Earlier && !out.Pieces[len(out.Pieces)-1].Earlier {
			return out, digits
		}
	}
	return Found{}, 0
}

// perMessage joins the pieces of one message to one.
func perMessage(pieces []Piece) []Piece {
	out := pieces[:0]
	for _, p := range pieces {
		if n := len(out); n > 0 && out[n-1].Message == p.Message && out[n-1].Earlier == p.Earlier {
			out[n-1].End = p.End
			continue
		}
		out = append(out, p)
	}
	return out
}

// explained judges the message at hand by what was spoken of before it.
func (t *Tracker) explained(x *tail, m *Message, ref Ref, asked detect.Topic) []Found {
	w := &t.work
	defer func() { clear(w.text) }()
	body := m.Text[w.outline.Body:]
	for len(body) > 0 && body[0] == ' ' {
		body = body[1:]
	}
	skip := len(m.Text) - len(body)
	for _, p := range prefixes {
		if asked&p.topic == 0 {
			continue
		}
		w.text = append(append(w.text[:0], p.text...), body...)
		w.found = t.detector.Text(w.found[:0], w.text, detect.Hint{})
		for _, f := range w.found {
			if f.Start < len(p.text) || !slices.Contains(p.classes, f.Class) {
				continue
			}
			start, end := f.Start-len(p.text)+skip, f.End-len(p.text)+skip
			if slices.ContainsFunc(m.Found, func(o redact.Finding) bool { return o.Start < end && start < o.End && whole(o) }) {
				continue
			}
			return []Found{{Class: f.Class, Confidence: f.Confidence, Rule: f.Rule, Evidence: f.Evidence, Pieces: []Piece{{Message: ref, Start: start, End: end}}}}
		}
	}
	return nil
}
