package walk

import (
	"bytes"
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// maxNumberedBytes is how much of an object is looked at for members that are parts
// of one number, from the first of them on.
const maxNumberedBytes = 600

// numberedName reports whether a name ends in a digit, as those of such members do.
func numberedName(name []byte) bool { return len(name) > 1 && name[len(name)-1]-'0' <= 9 }

// stem is a name without the digits at its end.
func stem(name []byte) []byte { return bytes.TrimRight(name, "0123456789") }

// part of a number in a member: its value, and the member's name.
type numberedPart struct {
	value span
	name  ref
	index int
}

// numbered looks for a card number whose groups are members that are numbered:
// card1, card2. raw[from:to] are the members of the object from the first numbered
// one on, which is number index. Each group is a finding; none keeps a digit.
func (p *jsonReader) numbered(from, to, index, at int, st int32) {
	to = min(to, from+maxNumberedBytes)
	var mem [maxGroups]numberedPart
	parts, digits := mem[:0], 0
	text := append(p.scratch[:0], "card"...)
	for i := from; i < to && p.raw[i] == '"' && len(parts) < maxGroups; index++ {
		end := bytes.IndexByte(p.raw[i+1:to], '"')
		if end < 0 {
			break
		}
		part := numberedPart{name: ref{from: i + 1, to: i + 1 + end}, index: index}
		name := p.bytes(part.name)
		if !numberedName(name) || len(parts) > 0 && !bytes.Equal(stem(name), stem(p.bytes(parts[0].name))) {
			break
		}
		i = p.space(p.space(part.name.to+1) + 1) // behind the colon
		quoted := i < to && p.raw[i] == '"'
		if quoted {
			i++
		}
		part.value = span{i, digitsEnd(p.raw[:to], i)}
		n := part.value.to - i
		// The closing brace stands behind to, unless the object is longer.
		if i = part.value.to; n < 1 || n > maxGroupDigit || i == to && p.raw[i] != '}' || quoted && p.raw[i] != '"' {
			break
		}
		if quoted {
			i++
		}
		parts = append(parts, part)
		digits += n
		text = append(append(text, ' '), p.raw[part.value.from:part.value.to]...)
		if i = p.space(i); i >= to || p.raw[i] != ',' {
			break
		}
		i = p.space(i + 1)
	}
	p.scratch = text
	if len(parts) < 2 || digits < minSpread || digits > maxSpread || !p.det.NamesCard(stem(p.bytes(parts[0].name))) {
		return
	}
	found := p.det.Text(nil, text, detect.Hint{})
	if len(found) == 0 || found[0].Class != redact.CreditCard {
		return
	}
	f := found[0]
	f.Evidence |= redact.EvidenceSplit
	pos := len("card")
	top := &p.frames[len(p.frames)-1]
	known := slices.Clone(p.Findings[at:])
	for _, part := range parts {
		pos++
		end := pos + part.value.to - part.value.from
		if pos < f.End && f.Start < end && !overlap(known, part.value.from, part.value.to) {
			top.name, top.index = part.name, part.index
			place := redact.PlaceText
			if p.raw[part.value.from-1] != '"' {
				place = redact.PlaceNumber
			}
			n := len(p.Findings)
			x := f
			x.Start, x.End = 0, end-pos
			p.Findings = append(p.Findings, x)
			p.settle(n, part.value.from, part.value.to, p.raw[part.value.from:part.value.to], place, p.fields.flags(p.fields.member(st, p.bytes(part.name)))&Never != 0)
		}
		pos = end
	}
	slices.SortStableFunc(p.Findings[at:], func(a, b redact.Finding) int { return a.Start - b.Start })
}
