package walk

import (
	"bytes"
	"strings"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// An array that holds a number in groups is short: nineteen digits, each perhaps
// an element of its own.
const (
	maxGroups     = 19
	maxGroupDigit = 8
	maxGroupBytes = 200
	usualDigits   = 15 // of a card at least, but for a few
)

// bareGroups is how sure it is that four texts of four digits are a card that nothing names.
const bareGroups = 0.7

// groups looks for a card number whose groups or digits are the elements of the
// array in raw[from:to], brackets left out. Lists of small numbers look like one
// at times, so that the name beside the array must be that of a card, or say that these
// are the digits of something and each of them is one. Four texts of four digits, as a card is
// printed, need no more than a name that says of nothing what it is: "number", "parts", or none.
// Each group is a finding; none keeps a digit.
func (p *jsonReader) groups(from, to int, st int32) {
	if first := p.raw[from]; p.masks != nil || first-'0' > 9 && (first != '"' || p.raw[from+1]-'0' > 9) {
		return
	}
	var mem [maxGroups]span
	p.scratch = append(p.scratch[:0], "card"...)
	text := p.scratch
	all, digits := mem[:0], 0
	for i := p.space(from); i < to; {
		if len(all) == maxGroups {
			return
		}
		quote := p.raw[i] == '"'
		if quote {
			i++
		}
		g := span{i, digitsEnd(p.raw, i)}
		if n := g.to - g.from; n == 0 || n > maxGroupDigit {
			return
		}
		if i = g.to; quote {
			if p.raw[i] != '"' {
				return
			}
			i++
		}
		if i = p.space(i); i < to {
			if p.raw[i] != ',' {
				return
			}
			i = p.space(i + 1)
		}
		all = append(all, g)
		digits += g.to - g.from
		text = append(append(text, ' '), p.raw[g.from:g.to]...)
	}
	p.scratch = text
	if len(all) < 2 || digits < minSpread || digits > maxSpread {
		return
	}
	bare := false // nothing says what they are
	if key := p.key(); !p.det.NamesCard(key) && (len(all) != digits || digits < usualDigits || !strings.EqualFold(string(key), "digits")) {
		if !printed(all) || p.raw[all[0].from-1] != '"' {
			return
		}
		if bare = !number(key); bare && !neutral(key) {
			return
		}
	}
	first := len(p.Findings) // in the array
	for first > 0 && p.Findings[first-1].End > from {
		first--
	}
	known := p.Findings[first:]
	front := 0 // with the word, which some issuers' numbers need
	if bare {
		front = len("card ")
	}
	found := p.det.Text(nil, text[front:], detect.Hint{})
	for _, f := range found {
		if f.Class != redact.CreditCard {
			continue
		}
		if bare {
			f.Confidence = bareGroups
		}
		f.Evidence |= redact.EvidenceSplit
		f.Place = redact.PlaceText
		pos := len("card") - front
		for n, g := range all {
			pos++
			end := pos + g.to - g.from
			if pos < f.End && f.Start < end && !overlap(known, g.from, g.to) {
				p.group(f, g, n, st)
			}
			pos = end
		}
		return
	}
}

// group adds the share of one element.
func (p *jsonReader) group(f redact.Finding, g span, n int, st int32) {
	top := &p.frames[len(p.frames)-1]
	top.index = n
	p.expect(g.from)
	p.Findings = append(p.Findings, f)
	begin, place := g.from, redact.PlaceText
	if p.raw[g.from-1] != '"' {
		place = redact.PlaceNumber
	}
	at := len(p.Findings) - 1
	p.Findings[at].Start, p.Findings[at].End = 0, g.to-g.from
	p.settle(at, begin, g.to, p.raw[begin:g.to], place, p.fields.flags(p.fields.element(st, n))&Never != 0)
}

// printed reports whether groups are as a card has them: four of four digits.
func printed(groups []span) bool {
	for _, g := range groups {
		if g.to-g.from != 4 {
			return false
		}
	}
	return len(groups) == 4
}

// neutral reports whether a name says nothing of what its array holds, only that these are values,
// or parts of one: values, fieldValues, FIELD_VALUES.
func neutral(key []byte) bool {
	for len(key) > 0 {
		n := 0
		for n < len(key) && (key[n]|0x20)-'a' < 26 && (n == 0 || key[n]-'A' >= 26 || key[n-1]-'A' < 26) {
			n++
		}
		if n > 0 && !neutralNames[string(bytes.ToLower(key[:n]))] {
			return false
		}
		if n == 0 {
			if c := key[0]; c != '_' && c != '-' && c != ' ' && c != '.' {
				return false
			}
			n = 1
		}
		key = key[n:]
	}
	return true
}

var neutralNames = func() map[string]bool {
	m := make(map[string]bool)
	for name := range strings.FieldsSeq("value values data content contents text texts body message messages input inputs field fields answer answers reply " +
		"part parts piece pieces group groups block blocks chunk chunks segment segments split quad quads list array item items element elements") {
		m[name] = true
	}
	return m
}()

// number reports whether a name ends in "number", and says of nothing else.
func number(key []byte) bool {
	return bytes.HasSuffix(bytes.ToLower(key), []byte("number")) && !detect.NamesID(string(key))
}
