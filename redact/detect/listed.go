package detect

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// Find is an operator's own identifier.
type Find struct {
	// Pattern is its shape; see the documentation of package lists.
	Pattern string
	// Class is payment_reference or blocklist.
	Class redact.Class
}

// Allow is a row that removes false alarms: a finding goes away when Pattern, Term
// and Field, as far as they are given, all fit. One of them must be given.
type Allow struct {
	// Pattern is the shape of a whole token that holds the finding.
	Pattern string
	// Term is the value itself, in any case.
	Term string
	// Field is the name of the member, form field or column, in any case; a star
	// at one end stands for any characters.
	Field string
	// Classes are the classes the row is about; none means all of them.
	Classes []redact.Class
}

// listed is what the operator's lists were compiled to.
type listed struct {
	terms *terms
	finds []foundPattern
	// byFirst are the patterns by the first byte they take.
	byFirst [128][]uint16
	allow   []allowed
}

type foundPattern struct {
	*pattern
	class redact.Class
}

type allowed struct {
	pattern *pattern
	term    string
	field   string
	classes []redact.Class
}

// maxFinds bounds the operator's patterns, because each one that begins alike is
// tried for itself.
const maxFinds = 500

// compile checks f.
func (f Find) compile() (foundPattern, error) {
	if f.Class != redact.PaymentReference && f.Class != redact.Blocklist {
		return foundPattern{}, fmt.Errorf("class %q cannot be found by a pattern; payment_reference and blocklist can", f.Class)
	}
	p, err := compilePattern(f.Pattern)
	if err == nil && !p.specific {
		err = fmt.Errorf("pattern %q fits any number or word: put in characters that stand for themselves", f.Pattern)
	}
	return foundPattern{p, f.Class}, err
}

// Check tells what is wrong with f, or nil.
func (f Find) Check() error {
	_, err := f.compile()
	return err
}

// compile checks a.
func (a Allow) compile() (row allowed, err error) {
	row = allowed{term: foldTerm(a.Term), field: strings.ToLower(a.Field), classes: a.Classes}
	if a.Pattern != "" {
		if row.pattern, err = compilePattern(a.Pattern); err != nil {
			return row, err
		}
	}
	switch {
	case row.pattern == nil && row.term == "" && a.Field == "":
		err = errors.New("the row names no pattern, term or field")
	case strings.Trim(a.Field, "*") == "" && a.Field != "":
		err = fmt.Errorf("field %q allows everything: name the field", a.Field)
	case strings.Contains(strings.Trim(a.Field, "*"), "*"):
		err = fmt.Errorf("field %q: a star stands at the begin or the end", a.Field)
	case row.pattern != nil && !row.pattern.specific && a.Field == "":
		err = fmt.Errorf("pattern %q fits every number of its length: begin it with the characters yours begin with, or name a field", a.Pattern)
	}
	return row, err
}

// Check tells what is wrong with a, or nil.
func (a Allow) Check() error {
	_, err := a.compile()
	return err
}

// CheckTerm tells what is wrong with a term of a blocklist, or nil. It does not
// repeat the term.
func CheckTerm(term string) error {
	f := foldTerm(term)
	if n := utf8.RuneCountInString(f); n < minTerm || len(f) > maxTerm || !utf8.ValidString(f) {
		return fmt.Errorf("a term has %d characters: it wants %d at least, and %d bytes at most", n, minTerm, maxTerm)
	}
	return nil
}

func newListed(c Config) (*listed, error) {
	l := &listed{}
	var err error
	if l.terms, err = compileTerms(c.Terms); err != nil {
		return nil, err
	}
	if len(c.Find) > maxFinds {
		return nil, fmt.Errorf("%d patterns to find: there may be %d", len(c.Find), maxFinds)
	}
	for n, f := range c.Find {
		p, err := f.compile()
		if err != nil {
			return nil, err
		}
		l.finds = append(l.finds, p)
		for b := range p.masks {
			if p.masks[b]&2 != 0 {
				l.byFirst[b] = append(l.byFirst[b], uint16(n))
			}
		}
	}
	for _, a := range c.Allow {
		row, err := a.compile()
		if err != nil {
			return nil, err
		}
		l.allow = append(l.allow, row)
	}
	if l.terms == nil && l.finds == nil && l.allow == nil {
		return nil, nil
	}
	return l, nil
}

// searches reports whether there is something to look for, beside rows that take
// findings away.
func (l *listed) searches() bool { return l != nil && (l.terms != nil || l.finds != nil) }

// listedFamily looks for the operator's terms and patterns; it is there only when
// some are.
func listedFamily() family {
	return family{name: "listed", on: onAlways, find: (*Detector).findListed}
}

// findListed finds terms and patterns that begin in t[from:to).
func (d *Detector) findListed(dst []redact.Finding, t []byte, from, to int, h Hint) []redact.Finding {
	l := d.listed
	if l.terms != nil {
		l.terms.find(t, from, to, func(start, end int) {
			dst = append(dst, redact.Finding{
				Class: redact.Blocklist, Start: start, End: end, Confidence: 1, Rule: "term of the operator's list", Evidence: redact.EvidenceListed, Never: h.ID,
			})
		})
	}
	if l.finds == nil {
		return dst
	}
	for i := from; i < to; i++ {
		if t[i] >= 0x80 || l.byFirst[t[i]] == nil || !patternBegin(t, i) {
			continue
		}
		for _, n := range l.byFirst[t[i]] {
			f := &l.finds[n]
			if end := f.end(t, i); end > 0 {
				dst = append(dst, redact.Finding{
					Class: f.class, Start: i, End: end, Confidence: 0.95, Rule: "pattern of the operator's list", Evidence: redact.EvidenceListed, Never: h.ID,
				})
			}
		}
	}
	return dst
}

// permitted takes the findings out that stand in what is ours, and those that the
// operator's allow-list names, in place.
func (d *Detector) permitted(t []byte, found []redact.Finding, h Hint) []redact.Finding {
	if d.ours != nil && len(found) > 0 {
		found = d.spared(t, found)
	}
	if d.listed == nil || d.listed.allow == nil {
		return found
	}
	out := found[:0]
	for _, f := range found {
		if !d.listed.allows(t, f, h) {
			out = append(out, f)
		}
	}
	return out
}

func (l *listed) allows(t []byte, f redact.Finding, h Hint) bool {
	for i := range l.allow {
		if a := &l.allow[i]; a.about(f.Class) && a.inField(h.Key) && a.isTerm(t[f.Start:f.End]) && a.inPattern(t, f) {
			return true
		}
	}
	return false
}

func (a *allowed) about(c redact.Class) bool {
	for _, x := range a.classes {
		if x == c {
			return true
		}
	}
	return len(a.classes) == 0
}

func (a *allowed) inField(key string) bool {
	if a.field == "" {
		return true
	}
	name := strings.Trim(a.field, "*")
	begin, end := a.field[0] != '*', a.field[len(a.field)-1] != '*'
	switch {
	case len(key) < len(name):
		return false
	case begin && end:
		return strings.EqualFold(key, name)
	case begin:
		return strings.EqualFold(key[:len(name)], name)
	case end:
		return strings.EqualFold(key[len(key)-len(name):], name)
	}
	return strings.Contains(strings.ToLower(key), name)
}

func (a *allowed) isTerm(value []byte) bool {
	return a.term == "" || len(value) <= 4*maxTerm && foldTerm(string(value)) == a.term
}

// inPattern reports whether a token of the pattern holds the finding.
func (a *allowed) inPattern(t []byte, f redact.Finding) bool {
	if a.pattern == nil {
		return true
	}
	for i := f.Start; i >= 0 && f.Start-i <= a.pattern.longest; i-- {
		if t[i] < 0x80 && a.pattern.masks[t[i]]&2 != 0 && patternBegin(t, i) && a.pattern.end(t, i) >= f.End {
			return true
		}
	}
	return false
}
