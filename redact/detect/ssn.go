package detect

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

// taxNumber says what nine digits can be. Areas 000, 666 and 900 to 999 were
// never given out as social security numbers, nor group 00 or serial 0000 (SSA
// POMS RM 10201.035). Taxpayer numbers begin with 9 and have 50-65, 70-88, 90-92
// or 94-99 in the middle (IRS IRM 3.21.263).
func taxNumber(n int) (redact.Class, bool) {
	area, group, serial := n/1000000, n/10000%100, n%10000
	if area >= 900 {
		itin := group >= 50 && group <= 65 || group >= 70 && group <= 88 || group >= 90 && group <= 92 || group >= 94
		return redact.USITIN, itin
	}
	return redact.USSSN, area != 0 && area != 666 && group != 0 && serial != 0
}

// famous reports whether n is a number that stands in print so often that it
// means nobody: a wallet card, an old pamphlet, advertisements, keyboard rows,
// one digit nine times.
func famous(n int) bool {
	switch n {
	case 78051120, 219099999, 457555462, 123456789, 987654321:
		return true
	}
	return n >= 987654320 && n <= 987654329 || n%111111111 == 0
}

// ssn tries the head of the chain as the begin of a social security or taxpayer
// number, and sets f to it.
func (c *chain) ssn(f *redact.Finding) bool {
	head := c.at(0)
	switch {
	case head.len() > 9:
		return false
	case head.gapLen > 0 && head.len() != 3 && head.len() != 9:
		return false // only the usual grouping and bare digits stand behind others
	}
	n, total, groups := 0, 0, 0
	for groups < c.n && total < 9 {
		g := c.at(groups)
		if total+g.len() > 9 {
			return false
		}
		for _, b := range c.text[g.start:g.end] {
			n = n*10 + int(b-'0')
		}
		total += g.len()
		groups++
	}
	if total != 9 {
		return false
	}
	class, ok := taxNumber(n)
	if !ok {
		return false
	}
	end := c.at(groups - 1).end
	if end < len(c.text) && tokenGoesOn[c.text[end]] {
		return false
	}
	var gaps gap
	mixed := false
	for i := 1; i < groups; i++ {
		a, b := c.at(i-1), c.at(i)
		gaps |= b.gap
		mixed = mixed || !bytes.Equal(c.text[a.end:b.start], c.text[c.at(0).end:c.at(1).start])
	}
	usual := groups == 3 && head.len() == 3 && c.at(1).len() == 2
	// The same separator every time: a postal code with four more digits, or two numbers
	// in a row, have other ones (presidio issue 362).
	if mixed && !usual {
		return false
	}
	joined := c.joinedBefore(0)
	w := c.wordsBefore(head.start, joined)
	key := c.keySense()
	near := key == keySSN && w.other() == 0 || w.says(senseSSN)
	if !near && !joinedAfter(c.text, end) {
		if w.other() != 0 {
			near = c.stated(end)&senseSSN != 0
		} else {
			near = c.after(end) == senseSSN
		}
	}
	// Other groupings, such as those of a postal code, and the usual one with unlike
	// separators, only right behind the name.
	if (!usual || mixed) && groups > 1 && (joined || joinedAfter(c.text, end) || key != keySSN && w.direct&senseSSN == 0) {
		return false
	}
	if !near && (!usual || famous(n) || gaps&^(gapSpace|gapDash|gapDot) != 0) {
		return false
	}
	if !c.ssnEdges(head, end, groups, usual && gaps&gapDash != 0, near) {
		return false
	}
	*f = redact.Finding{Class: class, Start: head.start, End: end, Strong: near, Evidence: redact.EvidenceShape}
	if usual {
		f.Evidence = redact.EvidenceGrouping
	}
	switch {
	case near && key == keySSN:
		f.Evidence |= redact.EvidenceKey
	case near:
		f.Evidence |= redact.EvidenceWord
	}
	switch {
	case near && usual:
		f.Confidence, f.Rule = 0.99, "tax number as printed, named"
	case near:
		f.Confidence, f.Rule = 0.95, "nine digits, named"
	case gaps&gapDash != 0:
		if w.other()&senseHard != 0 {
			return false
		}
		f.Confidence, f.Rule = 0.85, "tax number as printed"
		if w.other() != 0 {
			f.Confidence = 0.7
		}
	default:
		if w.other() != 0 || c.idPlace() {
			return false
		}
		f.Confidence, f.Rule = 0.6, "tax number in groups"
	}
	if c.idPlace() {
		f.Never, f.Confidence = true, 0.4
	}
	return true
}

// tokenGoesOn are the bytes behind nine digits that make them part of something longer.
var tokenGoesOn = func() (t [256]bool) {
	for b := range t {
		c := byte(b)
		t[b] = isLetter(c) || c == '_' || c == '@' || c == '%'
	}
	return t
}()

// ssnEdges looks at what touches the nine digits, behind which no token goes on. printed says that they stand
// as 000-00-0000.
func (c *chain) ssnEdges(head *group, end, groups int, printed, near bool) bool {
	t := c.text
	inner := none
	if groups > 1 {
		inner = c.at(1).gap
	}
	if head.start > 0 {
		b := t[head.start-1]
		switch {
		case isLetter(b):
			from := lo(head.start, 4)
			if b == 'X' || !near || head.start-from >= 4 && isWordByte(t[from]) || !foldEqual(t[max(from, head.start-3):head.start], "ssn") {
				return false
			}
		case b == '/' || b == '+' || b == '_' || b == '@' || b == '%':
			return false
		case b == '-' || b == '.':
			if head.start >= 2 && isWordByte(t[head.start-2]) {
				return false
			}
		case b == '#' || b == '$':
			if !near && !printed {
				return false
			}
		}
	}
	before := head.gap
	joined := head.gapLen > 0
	if !joined {
		before, joined = maskGapBefore(t, head.start)
	}
	if joined && (before == inner || before&(gapDash|gapDot|gapPath) != 0 || !near && !printed) {
		return false
	}
	if !printed && maskTail(t, head.start) {
		return false
	}
	if end == len(t) {
		return true
	}
	b := t[end]
	if (b == '-' || b == '/' || b == '.') && end+1 < len(t) && isWordByte(t[end+1]) && (b != '.' || isDigit(t[end+1])) {
		return false
	}
	if next, g := numberGapAfter(t, end); g != none && (g == inner && !near || !near && !printed || next-end == 1 && g&(gapDash|gapDot) != 0) {
		return false
	}
	return printed || near || !joinedAfter(t, end)
}
