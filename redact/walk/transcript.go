package walk

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// transcriptReader reads the transcript of a call: JSON with the turns of its
// speakers in an array, as Amazon Connect Contact Lens and Twilio write them. It
// is read as JSON first. Then the turns of each speaker are one text, and all
// turns are: a number that is said in pieces is found, and one that only the
// question before it explains. There is one finding for each piece; of a number in
// several pieces no digit stays. A transcript that is no JSON is Text.
type transcriptReader struct {
	collector
	all joined
}

// turnLabels are the labels of the rules below.
const (
	labelTurn    = "turn"
	labelSpeaker = "speaker"
)

// turnFields are the shapes that are known.
var turnFields = sync.OnceValue(func() *Fields {
	var rules []Rule
	for _, turns := range []struct {
		text     string
		speakers []string
	}{
		{"/Transcript/*/Content", []string{"/Transcript/*/ParticipantId"}},
		{"/RealtimeContactAnalysisSegments/*/Transcript/Content", []string{"/RealtimeContactAnalysisSegments/*/Transcript/ParticipantId"}},
		{"/Segments/*/Transcript/Content", []string{"/Segments/*/Transcript/ParticipantId"}},
		{"/sentences/*/transcript", []string{"/sentences/*/media_channel"}},
		{"/segments/*/text", []string{"/segments/*/speaker"}},
		{"/utterances/*/text", []string{"/utterances/*/speaker"}},
	} {
		rules = append(rules, Rule{Pointer: turns.text, Label: labelTurn, Flags: Wanted})
		for _, s := range turns.speakers {
			rules = append(rules, Rule{Pointer: s, Label: labelSpeaker, Flags: Wanted})
		}
	}
	f, err := Compile(rules)
	if err != nil {
		panic(err) // the rules are above
	}
	return f
})

func (p *transcriptReader) document() *Refusal {
	// A text may begin with the time in brackets.
	if i := skipSpace(p.raw, 0); i == len(p.raw) || p.raw[i] != '{' {
		p.Kind = Text
		return refusalOf(p.Doc.read(p.masks))
	}
	p.Kind = JSON
	doc := *p.Doc
	if r := refusalOf(doc.read(p.masks)); r != nil {
		return r
	}
	p.Captures, p.Units = doc.Captures, doc.Units
	if p.masks != nil {
		return nil
	}
	p.addPart(part{doc: &doc, end: len(p.raw)})
	shape := Doc{Kind: JSON, raw: p.raw, det: p.det, fields: turnFields(), limits: p.limits}
	if r := refusalOf(shape.read(nil)); r != nil {
		return r // cannot be: it was read before
	}
	var turns []Capture
	speakers := map[int]string{} // by the object of the turn
	for _, c := range shape.Captures {
		switch {
		case c.Label == labelSpeaker:
			speakers[c.member.container] = string(p.raw[c.Start:c.End])
		case c.Place == redact.PlaceText:
			turns = append(turns, c)
		}
	}
	var names []string
	for _, t := range turns {
		if name := speakers[t.member.container]; !slices.Contains(names, name) && len(names) < maxSpeakers {
			names = append(names, name)
		}
	}
	if len(names) > 1 {
		for _, name := range names {
			p.spoken(slices.DeleteFunc(slices.Clone(turns), func(c Capture) bool { return speakers[c.member.container] != name }))
		}
	}
	p.spoken(turns)
	return nil
}

// maxSpeakers is how many speakers are told apart; a call has two or three.
const maxSpeakers = 8

// spoken looks at turns as one text.
func (p *transcriptReader) spoken(turns []Capture) {
	if len(turns) < 2 {
		return
	}
	p.all.reset()
	starts := make([]int, len(turns))
	for i, t := range turns {
		if i > 0 {
			p.all.gap("\n", turns[i-1].End, t.Start)
		}
		starts[i] = len(p.all.text)
		p.all.value(p.raw, t.Start, t.End)
	}
	p.found = p.det.Text(p.found[:0], p.all.text, detect.Hint{})
	slices.SortFunc(p.found, func(a, b redact.Finding) int { return a.Start - b.Start })
	p.settle()
	known := slices.Clone(p.Findings)
	for _, f := range p.found {
		switch f.Class {
		case redact.CreditCard, redact.CardVerificationCode, redact.CardPIN, redact.USSSN, redact.USITIN:
		default:
			continue // the other classes are not said in pieces
		}
		if start, end := p.all.raw(f.Start, f.End); overlap(known, start, end) {
			continue
		}
		p.pieces(f, turns, starts)
	}
}

// overlap reports whether one of the sorted findings, which has no place where it
// may not be rewritten, lies in raw[start:end].
func overlap(known []redact.Finding, start, end int) bool {
	i, _ := slices.BinarySearchFunc(known, start, func(f redact.Finding, at int) int {
		if f.End <= at {
			return -1
		}
		return 1
	})
	return i < len(known) && known[i].Start < end
}

// pieces makes a finding of each turn's share of f.
func (p *transcriptReader) pieces(f redact.Finding, turns []Capture, starts []int) {
	first, ok := slices.BinarySearch(starts, f.Start)
	if !ok {
		first--
	}
	several := first+1 < len(starts) && starts[first+1] < f.End
	if several {
		f.Evidence |= redact.EvidenceSplit
	}
	for i := first; i < len(turns) && starts[i] < f.End; i++ {
		piece := f
		piece.Start = max(f.Start, starts[i])
		if i+1 < len(starts) {
			piece.End = min(f.End, starts[i+1]-1) // without the line break
		}
		if piece.Start >= piece.End {
			continue
		}
		p.path = func() string { return turns[i].Path }
		n := len(p.sources)
		p.keep(&p.all, style{write: writeJSON}, []redact.Finding{piece})
		p.sources[n].spot.share = several
	}
	p.path = nil
}

// value adds the text of the JSON string at raw[from:to].
func (j *joined) value(raw []byte, from, to int) {
	var buf [utf8.UTFMax]byte
	for i := from; i < to; {
		begin := i
		for i < to && raw[i] != '\\' {
			i++
		}
		j.copy(raw, begin, i)
		if i < to {
			size, text := unit(JSON, raw, i, buf[:0])
			j.code(text, i, i+size)
			i += size
		}
	}
}

// writeJSON is the encoder of JSON strings.
func writeJSON(dst, text []byte) []byte { return appendEncoded(JSON, dst, text) }
