package detect

import "github.com/caregate/caregate/redact"

// The shortest and the longest text that whole looks at: nine digits, and nineteen with a
// separator between any two groups of four.
const (
	minWhole = shortest
	maxWhole = maxCard + maxCard/4
)

// whole finds the card or the tax number that text is and nothing else, as the values of
// an export are: digits, with blanks or hyphens between. The search for chains decides
// about it as always; the families need not be asked, because whatever they made of the
// same digits would give way to it, see rank.
func (d *Detector) whole(text []byte, h Hint) (f redact.Finding, ok bool) {
	n := len(text)
	if n < minWhole || n > maxWhole || !isDigit(text[0]) || !isDigit(text[n-1]) {
		return f, false
	}
	digits := 0
	for _, b := range text {
		switch {
		case isDigit(b):
			digits++
		case b != ' ' && b != '-':
			return f, false
		}
	}
	if digits < shortest || digits > maxCard {
		return f, false
	}
	s := scanner{d: d, text: text, hint: h, stop: n, final: true, card: -1}
	c := s.lead(0)
	if c.n > 0 {
		ok = c.ssn(&f) || c.card(&f)
	}
	s.forget()
	return f, ok && f.Start == 0 && f.End == n && rank(&f) >= rankEnforced
}

// owned spares the families that find nothing enforced the chain text[i:last) when all of
// its groups are in found, which are enforced: whatever they find there would give way to
// these.
func (s *scanner) owned(found []redact.Finding, i, last int) {
	if s.d.listed != nil {
		return
	}
	for k := range found {
		f := &found[k]
		if f.Start != i || f.Never || rank(f) < rankEnforced {
			return
		}
		i = digitAfter(s.text[:last], f.End)
	}
	if i < last {
		return
	}
	for n := range s.d.families {
		if s.d.families[n].yields {
			s.asked[n] = max(s.asked[n], last)
		}
	}
}
