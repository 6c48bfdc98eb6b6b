package walk

import (
	"bytes"
	"iter"
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// A conversation in JSON of any shape is an array of objects, each with who says it and what
// is said. Its turns are read as one text, those of each speaker first, so that a number that is
// said in pieces is found: {"from":"ann","text":"4111 1111"},{"from":"ann","text":"1111 1111"}.

// turnName says which of the two a member may be, by its name.
type turnName uint8

const (
	namesSpeaker turnName = 1 << iota
	namesSaid
	namesTurn = namesSpeaker | namesSaid // what both members of one object say
)

// maxTurns is how many turns of a conversation are looked at together, and maxTurnBytes how long its
// array may be, in bytes: a number is not spread over more.
const (
	maxTurns     = 256
	maxTurnBytes = 32 << 10
)

// longestTurnName is the longest name of such a member, without signs between its words.
const longestTurnName = len("participantrole")

// turnNameOf reads the name of a member.
func turnNameOf(name []byte) turnName {
	var buf [longestTurnName]byte
	n := 0
	for _, b := range name {
		if b == '_' || b == '-' {
			continue
		}
		if n == len(buf) {
			return 0
		}
		if b-'A' < 26 {
			b |= 0x20
		}
		buf[n] = b
		n++
	}
	switch string(buf[:n]) {
	case "author", "authorid", "authortype", "authorname", "speaker", "speakerid", "speakername", "speakerlabel", "speakerrole", "from", "fromid", "fromname", "fromuser", "fromtype",
		"role", "who", "sender", "senderid", "sendername", "sendertype", "senderrole", "participant", "participantid", "participantrole", "user", "userid", "username", "userrole",
		"actor", "actorid", "actortype", "by", "party", "side", "direction", "createdby", "postedby", "writer", "nick", "nickname", "source":
		return namesSpeaker
	case "text", "body", "message", "content", "utterance", "said", "says", "msg", "transcript", "comment", "words", "speech", "phrase", "sentence", "line", "reply", "note", "plainbody",
		"bodyplain", "plaintext", "bodytext", "textbody", "messagetext", "messagebody":
		return namesSaid
	}
	return 0
}

// turn is one object of a conversation.
type turn struct {
	speaker, name, said span // as they stand, without the quotes of name and said
	index               int
}

// turns looks for numbers that are spread over the turns of the conversation in the array
// raw[from:to], brackets left out. Each share is a finding; none keeps a digit. An array around
// one that was looked at is none.
func (p *jsonReader) turns(from, to int, st int32) {
	if p.masks != nil || to-from > maxTurnBytes || p.turned > from {
		return
	}
	p.turned = to
	digits := false // most conversations have none
	for t := range p.eachTurn(from, to) {
		if said := p.raw[t.said.from:t.said.to]; hasPiece(said) || p.det.Speaks(said) {
			digits = true
			break
		}
	}
	if !digits {
		return
	}
	all := slices.Collect(p.eachTurn(from, to))
	first := len(p.Findings) // in the array
	for first > 0 && p.Findings[first-1].End > from {
		first--
	}
	var speakers [][]byte
	for _, t := range all {
		if who := p.raw[t.speaker.from:t.speaker.to]; len(speakers) < maxSpeakers && !slices.ContainsFunc(speakers, func(s []byte) bool { return bytes.Equal(s, who) }) {
			speakers = append(speakers, who)
		}
	}
	if len(speakers) > 1 {
		for _, who := range speakers {
			p.together(slices.DeleteFunc(slices.Clone(all), func(t turn) bool { return !bytes.Equal(p.raw[t.speaker.from:t.speaker.to], who) }), first, st)
		}
	}
	p.together(all, first, st)
}

// eachTurn yields the objects of an array that say something.
func (p *jsonReader) eachTurn(from, to int) iter.Seq[turn] {
	return func(yield func(turn) bool) {
		for i, index := from, 0; i < to && p.raw[i] == '{' && index < maxTurns; index++ {
			t, end := p.turn(i, to)
			t.index = index
			if t.said.to > t.said.from && !yield(t) {
				return
			}
			if i = p.space(end); i >= to || p.raw[i] != ',' {
				return
			}
			i = p.space(i + 1)
		}
	}
}

// hasPiece reports whether a text has a run of digits that may be a group of a number.
func hasPiece(text []byte) bool {
	run := 0
	for _, b := range text {
		if b-'0' > 9 {
			run = 0
			continue
		}
		if run++; run == 3 {
			return true
		}
	}
	return false
}

// turn reads the object at raw[i], and where it ends.
func (p *jsonReader) turn(i, to int) (t turn, end int) {
	raw := p.raw[:to]
	for i = p.space(i + 1); i < to && raw[i] == '"'; i = p.space(i + 1) {
		last := stringEnd(raw, i+1)
		name := span{i + 1, last}
		i = p.space(p.space(last+1) + 1)
		value := span{i, p.skip(i, to)}
		i = value.to
		switch turnNameOf(raw[name.from:name.to]) {
		case namesSpeaker:
			if t.speaker.to == 0 {
				t.speaker = value
			}
		case namesSaid:
			if t.said.to == 0 && raw[value.from] == '"' {
				t.name, t.said = name, span{value.from + 1, value.to - 1}
			}
		}
		if i = p.space(i); i >= to || raw[i] != ',' {
			break
		}
	}
	return t, min(i+1, to)
}

// skip returns where the value at raw[i] ends.
func (p *jsonReader) skip(i, to int) int {
	raw := p.raw[:to]
	for depth := 0; i < to; i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i+1)
			if i < 0 {
				return to
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i // behind a number, or a word
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return to
}

// together looks at turns as one text. first is the number of the first finding of the array.
func (p *jsonReader) together(all []turn, first int, st int32) {
	if len(all) < 2 {
		return
	}
	var j joined
	starts := make([]int, len(all))
	for i, t := range all {
		if i > 0 {
			j.gap("\n", all[i-1].said.to, t.said.from)
		}
		starts[i] = len(j.text)
		j.value(p.raw, t.said.from, t.said.to)
	}
	known := slices.Clone(p.Findings[first:])
	slices.SortFunc(known, func(a, b redact.Finding) int { return a.Start - b.Start })
	for _, f := range p.det.Text(nil, j.text, detect.Hint{}) {
		switch f.Class {
		case redact.CreditCard, redact.CardVerificationCode, redact.CardPIN, redact.USSSN, redact.USITIN:
		default:
			continue // the other classes are not said in pieces
		}
		if start, end := j.raw(f.Start, f.End); overlap(known, start, end) {
			continue
		}
		last, _ := slices.BinarySearch(starts, f.End) // behind it
		at := last
		for at > 0 && starts[at-1] > f.Start {
			at--
		}
		if at > 0 {
			at--
		}
		if last-at > 1 {
			f.Evidence |= redact.EvidenceSplit
		}
		for ; at < last; at++ {
			end := len(j.text)
			if at+1 < len(starts) {
				end = starts[at+1] - 1 // without the line break
			}
			share := f
			share.Start, share.End = max(f.Start, starts[at])-starts[at], min(f.End, end)-starts[at]
			if share.Start < share.End {
				p.said(&all[at], share, j.text[starts[at]:end], st)
			}
		}
	}
	slices.SortStableFunc(p.Findings[first:], func(a, b redact.Finding) int { return a.Start - b.Start })
}

// said adds the share of a turn, with offsets in its text.
func (p *jsonReader) said(t *turn, f redact.Finding, text []byte, st int32) {
	top := &p.frames[len(p.frames)-1]
	top.index = t.index
	element := p.fields.element(st, t.index)
	p.open(t.name.from, false)
	o := &p.frames[len(p.frames)-1]
	o.name = ref{from: t.name.from, to: t.name.to}
	p.expect(t.said.from)
	at := len(p.Findings)
	p.Findings = append(p.Findings, f)
	p.settle(at, t.said.from, t.said.to, text, redact.PlaceText, p.fields.flags(p.fields.member(element, p.raw[t.name.from:t.name.to]))&Never != 0)
	p.frames = p.frames[:len(p.frames)-1]
}
