package conversation

import (
	"bytes"
	"hash/maphash"
	"slices"
	"unicode"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/spoken"
	"github.com/caregate/caregate/redact/view"
)

// maxMessage is how long a message with a piece may be, in bytes. Nobody types a
// part of a number into a longer one, of which no more is read than this much.
const maxMessage = 512

// maxLabel is how much of a longer message is looked at for who speaks.
const maxLabel = 64

// working is memory that is used by one call of Add at a time, under the lock.
type working struct {
	detector *detect.Detector
	outline  spoken.Outline
	view     view.Reader
	text     []byte
	marks    []mark
	found    []redact.Finding
}

// mark says of which piece a digit of the joined text is.
type mark struct{ piece, at int }

// Add takes the next message of a conversation and returns what it completes or
// explains. The findings of the message by itself are not repeated.
func (t *Tracker) Add(m Message) []Found {
	found, turn := t.Begin(m)
	t.End(turn, Said)
	return found
}

// add judges the next message of x. The caller holds the lock.
func (t *Tracker) add(x *tail, m *Message) []Found {
	ref := Ref{Index: x.count, ID: m.ID}
	x.count++
	if !m.At.IsZero() {
		x.last = m.At
	}
	asked := x.topics // by the messages before
	if x.topicAge++; x.topicAge > maxTopicAge {
		x.topics, asked = 0, 0
	}
	d := t.work.detector
	o := &t.work.outline
	long := len(m.Text) > maxMessage
	text := written{text: m.Text}
	switch {
	case long:
		text.text = m.Text[:maxLabel]
	case oddlyWritten(m.Text):
		if v := t.work.view.Normal(m.Text, 0, len(m.Text), false); v.Changed() {
			text = written{v.Text(), v}
			defer clear(v.Text())
		}
	}
	t.reader.Outline(o, text.text)
	for i := range o.Groups {
		o.Groups[i].Start, o.Groups[i].End = text.raw(o.Groups[i].Start, o.Groups[i].End)
	}
	defer o.Clear()
	if long {
		text.text = m.Text
	}
	speaker := uint64(o.Speaker)
	if m.Speaker != "" {
		speaker = maphash.String(t.seed, m.Speaker) | 1
	}
	topics := d.Topics(text.text[max(o.Body, lastWords(text.text)):]) | d.Topics(text.text[:o.Body])&^detect.TopicOther
	defer x.speakOf(topics)
	given := x.given > 0
	x.given = max(0, x.given-1)
	if slices.ContainsFunc(m.Found, whole) {
		x.clear()
		if slices.ContainsFunc(m.Found, wholeCard) {
			x.given = maxGiven
		}
		if !long && slices.ContainsFunc(m.Found, func(f redact.Finding) bool { return wholeCard(f) && covers(o, f.Start, f.End) }) {
			x.speaker = speaker
			x.push(ref, o, true)
			return nil
		}
		if asked&detect.TopicCode != 0 && !long { // "437, and the card is 4111 1111 1111 1111"
			return t.explained(m, text, ref, detect.TopicCode)
		}
		return nil
	}
	if long {
		x.aside(speaker, maxAside+1, topics)
		return nil
	}
	body := 0
	if o.Body > 0 {
		body, _ = text.raw(o.Body, len(text.text))
	}
	if given && len(o.Digits) > 0 && o.Words <= maxBeside && !slices.ContainsFunc(m.Found, isCode) {
		if f := t.judged(m, text, ref, givenCard, codeOnly); f != nil && saysMore(m.Text[min(body, f[0].Pieces[0].Start):f[0].Pieces[0].Start]) {
			x.clear()
			return f
		}
	}
	pure := o.Words == 0 || goesOn(text.text) || topics == 0 && (almost(o) || o.Words <= maxBeside && printed(o, text))
	about := (asked | topics) &^ detect.TopicOther
	switch {
	case len(o.Digits) == 0, len(o.Digits) == 1 && (o.Words+o.Fillers > maxBesideOne || o.Words > 0 && o.Groups[0].Spoken): // "in groups of four?", "forgot one"
		x.aside(speaker, o.Words+o.Fillers, topics)
		return nil
	case topics == detect.TopicOther, topics == 0 && asked == detect.TopicOther, len(o.Digits) > maxTail, counts(o), !pure && (about == 0 || o.Words > maxBeside):
		// Digits of something else.
		if x.aside(speaker, maxAside+1, topics); topics == 0 && asked != 0 && o.Words <= maxBeside {
			return t.explained(m, text, ref, asked)
		}
		return nil
	case x.n > 0 && speaker != 0 && x.speaker != 0 && speaker != x.speaker:
		x.aside(speaker, 0, topics) // read back by the other side
		return nil
	}
	if f, digits := t.completed(x, ref, about, pure); digits > 0 {
		if f.Class == redact.CreditCard {
			x.given = maxGiven
		}
		if digits >= usualCard {
			x.clear()
		} else {
			x.push(ref, o, pure) // more may follow: Visa has thirteen digits and sixteen
		}
		return []Found{f}
	}
	if f := t.explained(m, text, ref, asked); f != nil {
		x.clear()
		if f[0].Class == redact.CreditCard {
			x.given = maxGiven
			if p := f[0].Pieces[0]; covers(o, p.Start, p.End) {
				x.speaker = speaker
				x.push(ref, o, true)
			}
		}
		return f
	}
	if x.n == 0 {
		x.speaker = speaker
	}
	x.push(ref, o, pure)
	return nil
}

// almost reports whether a message has a run of digits that is a little short of a card: what
// is missing may follow.
func almost(o *spoken.Outline) bool {
	return len(o.Groups) == 1 && len(o.Digits) >= leastAlmost && len(o.Digits) < usualCard && o.Words <= maxBesideOne
}

// printed reports whether a message ends in half of a card as it is printed, in groups of four.
func printed(o *spoken.Outline, text written) bool {
	if len(o.Groups) != 1 || o.Groups[0].Spoken || text.view != nil {
		return false
	}
	g := &o.Groups[0]
	n := g.To - g.From
	if n < 8 || n%4 != 0 || g.End-g.Start != n+n/4-1 {
		return false
	}
	for i := g.Start + 4; i < g.End; i += 5 {
		if text.text[i]-'0' <= 9 {
			return false
		}
	}
	return len(bytes.Trim(text.text[g.End:], " .,-\r\n")) == 0
}

// counts reports whether the numbers of a message count and measure what its words name: "1 x
// Running shoe 42 - 89.95".
func counts(o *spoken.Outline) bool {
	short := 0
	for _, g := range o.Groups {
		if g.To-g.From <= 2 && !g.Spoken {
			short++
		}
	}
	return short > 1 && o.Words > 1
}

// leastAlmost is how many digits that are.
const leastAlmost = usualCard - 3

// goesOn reports whether a text ends in a separator behind digits: more is to come.
func goesOn(text []byte) bool {
	n := len(text)
	for n > 0 && text[n-1] == ' ' {
		n--
	}
	return n > 1 && (text[n-1] == '-' || text[n-1] == '/') && text[n-2]-'0' <= 9
}

// written is a message as it is read, and what it stands for as it was written.
type written struct {
	text []byte
	view *view.View // nil where it is written as it reads
}

// raw turns offsets of the text into those of the message.
func (w written) raw(start, end int) (int, int) {
	if w.view == nil {
		return start, end
	}
	return w.view.Raw(start, end)
}

// oddlyWritten reports whether a text may read otherwise than it is written: signs
// of other scripts, escapes.
func oddlyWritten(text []byte) bool {
	for _, b := range text {
		if b >= 0x80 || b == '&' || b == '%' || b == '\\' {
			return true
		}
	}
	return false
}

// lastWords is where the last maxMessage bytes of a text begin, at a word.
func lastWords(text []byte) int {
	i := len(text) - maxMessage
	if i <= 0 {
		return 0
	}
	for i < len(text) && text[i] != ' ' && text[i] != '\n' {
		i++
	}
	return i
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

// saysMore reports whether what stands in front of a code says what it is: a word, or a date
// with a stroke in it. "1111 1111" behind a card are digits of something else.
func saysMore(front []byte) bool {
	return bytes.ContainsFunc(front, func(r rune) bool { return r == '/' || unicode.IsLetter(r) })
}

// wholeCard reports whether a finding is a whole card.
func wholeCard(f redact.Finding) bool { return f.Class == redact.CreditCard && whole(f) }

// isCode reports whether a finding is the code of a card.
func isCode(f redact.Finding) bool { return f.Class == redact.CardVerificationCode }

// mostShort is how many digits a card has at most behind which its rest may follow: those of
// twelve and thirteen digits are printed as three quarters of most others are.
const mostShort = 13

// covers reports whether the digits of a message are those of a card from start to end and no
// others, and so few that they may be the begin of a longer one, whose rest follows.
func covers(o *spoken.Outline, start, end int) bool {
	n := len(o.Groups)
	return n > 0 && len(o.Digits) <= mostShort && start <= o.Groups[0].Start && end >= o.Groups[n-1].End
}

// speakOf notes what a message names. While pieces of a card are coming, another number
// that is named is one topic more, or none when nobody spoke of a card: "sorry, the phone rang".
func (m *memory) speakOf(topics detect.Topic) {
	if topics == detect.TopicOther && m.n > 0 {
		if topics |= m.topics; m.topics == 0 {
			return
		}
	}
	if topics != 0 {
		m.topics, m.topicAge = topics, 0
	}
}

// aside takes note of a message without a piece.
func (m *memory) aside(speaker uint64, words int, topics detect.Topic) {
	if m.n == 0 {
		return
	}
	m.silent++
	other := speaker != 0 && m.speaker != 0 && speaker != m.speaker
	if m.silent > maxSilent || !other && words > maxAside && topics&(detect.TopicCard|detect.TopicSSN) == 0 {
		m.clear()
	}
}

// prefixes are the words that stand for a topic in a text that is judged.
var prefixes = []struct {
	topic   detect.Topic
	text    string
	classes []redact.Class
}{
	{detect.TopicCard, "card ", []redact.Class{redact.CreditCard, redact.CardVerificationCode}},
	{detect.TopicSSN, "ssn ", []redact.Class{redact.USSSN, redact.USITIN}},
	{detect.TopicCode, "cvv ", []redact.Class{redact.CardVerificationCode}},
	{detect.TopicPIN, "pin ", []redact.Class{redact.CardPIN}},
}

// joining is which groups are put together.
type joining uint8

const (
	joinAll  joining = iota
	joinOnce         // without those that repeat the one before, as a reader-back does
	joinLong         // without single digits, which count: "Teil 2: 41111111"
)

// completed judges the digits of the tail and of the message at hand together, in
// their groups, in each way of joining. It returns how many digits the value has. Where
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
		for _, how := range [...]joining{joinAll, joinOnce, joinLong} {
			f, digits := t.join(x, ref, words, how, p.classes)
			if digits > 0 && (named || digits == 19 || digits >= 14 && digits <= usualCard) {
				return f, digits
			}
		}
	}
	return Found{}, 0
}

// join writes the pieces and the groups at hand behind words and judges that.
func (t *Tracker) join(x *tail, ref Ref, words string, how joining, classes []redact.Class) (Found, int) {
	w := &t.work
	w.text, w.marks = append(w.text[:0], words...), w.marks[:0]
	defer func() { clear(w.text) }()
	var all []Piece
	var before []byte
	skipped := false
	add := func(p Piece, digits []byte) {
		if how == joinOnce && string(before) == string(digits) || how == joinLong && len(digits) == 1 {
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
		n := int(p.digits)
		add(Piece{Message: p.message, Start: int(p.start), End: int(p.end), Earlier: true}, x.digits[at:at+n])
		at += n
	}
	o := &w.outline
	for _, g := range o.Groups {
		add(Piece{Message: ref, Start: g.Start, End: g.End}, o.Digits[g.From:g.To])
	}
	if how != joinAll && !skipped {
		return Found{}, 0
	}
	w.found = w.detector.Text(w.found[:0], w.text, detect.Hint{})
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
func (t *Tracker) explained(m *Message, text written, ref Ref, asked detect.Topic) []Found {
	for _, p := range prefixes {
		if asked&p.topic == 0 {
			continue
		}
		if f := t.judged(m, text, ref, p.text, p.classes); f != nil {
			return f
		}
	}
	return nil
}

// givenCard stands for a card that was given in a message before, behind which its code is
// judged. It is a number for tests.
const givenCard = "4111 1111 1111 1111 "

var codeOnly = []redact.Class{redact.CardVerificationCode}

// judged returns the first value of one of the classes in the message at hand, as it reads
// behind prefix.
func (t *Tracker) judged(m *Message, text written, ref Ref, prefix string, classes []redact.Class) []Found {
	w := &t.work
	defer func() { clear(w.text) }()
	body := text.text[w.outline.Body:]
	for len(body) > 0 && body[0] == ' ' {
		body = body[1:]
	}
	skip := len(text.text) - len(body)
	w.text = append(append(w.text[:0], prefix...), body...)
	w.found = w.detector.Text(w.found[:0], w.text, detect.Hint{})
	for _, f := range w.found {
		if f.Start < len(prefix) || !slices.Contains(classes, f.Class) {
			continue
		}
		start, end := text.raw(f.Start-len(prefix)+skip, f.End-len(prefix)+skip)
		if slices.ContainsFunc(m.Found, func(o redact.Finding) bool { return o.Start < end && start < o.End && whole(o) }) {
			continue
		}
		return []Found{{Class: f.Class, Confidence: f.Confidence, Rule: f.Rule, Evidence: f.Evidence, Pieces: []Piece{{Message: ref, Start: start, End: end}}}}
	}
	return nil
}
