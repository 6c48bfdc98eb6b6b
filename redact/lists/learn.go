package lists

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/redact"
)

// Shapes counts the forms of findings, so that rows of an allow-list can be
// proposed from them. It keeps no value: of a finding it keeps the class, the name
// of the field, how many digits and letters stand in which groups, and of a card
// number the first four digits, which PCI DSS lets anybody keep. The zero value is
// ready. It is for one goroutine.
type Shapes struct {
	// Blind leaves the first digits out as well: not one digit of a value is kept, and
	// only rows for a field are proposed.
	Blind bool

	counts map[shape]*tally
	// dropped counts the findings that found no room.
	dropped int
}

// shape is what findings are counted by.
type shape struct {
	class                redact.Class
	field, form, leading string
}

type tally struct{ bare, named int }

// maxShapes bounds the memory of a Shapes; a helpdesk has a few hundred.
const maxShapes = 1 << 14

// leadingDigits is how much of a card number tells one kind of number from
// another: issuers and makers of gift cards have ranges of four digits and more.
const leadingDigits = 4

// Add counts one finding. field is the name beside it, empty in running text; value
// is its text.
func (s *Shapes) Add(f redact.Finding, field string, value []byte) {
	form, digits := formOf(value)
	if digits < 6 || len(form) > 40 {
		return // names, addresses and words are no identifiers of an operator
	}
	k := shape{class: f.Class, field: strings.ToLower(field), form: form}
	if f.Class == redact.CreditCard && !s.Blind {
		k.leading = leading(value)
	}
	if s.counts == nil {
		s.counts = make(map[shape]*tally)
	}
	t := s.counts[k]
	if t == nil {
		if len(s.counts) == maxShapes {
			s.dropped++
			return
		}
		t = new(tally)
		s.counts[k] = t
	}
	if f.Evidence&(redact.EvidenceWord|redact.EvidenceKey|redact.EvidenceBeside) != 0 {
		t.named++
	} else {
		t.bare++
	}
}

// FieldOf returns the last name in the path of a finding that is no index, which is
// the field of an allow row, or an empty string.
func FieldOf(path string) string {
	for path != "" {
		i := strings.LastIndexByte(path, '/')
		name := path[i+1:]
		if strings.Trim(name, "0123456789") != "" {
			return strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
		}
		path = path[:max(i, 0)]
	}
	return ""
}

// formOf writes digits as # and letters as ?, and counts the digits.
func formOf(value []byte) (form string, digits int) {
	var b strings.Builder
	for _, c := range value {
		switch {
		case c-'0' <= 9:
			digits++
			b.WriteByte('#')
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			b.WriteByte('?')
		case c == ' ' || c == '-' || c == '.' || c == '/' || c == '_':
			b.WriteByte(c)
		default:
			return "", 0 // not what a pattern can say
		}
	}
	return b.String(), digits
}

func leading(value []byte) string {
	var b []byte
	for _, c := range value {
		if c-'0' <= 9 {
			if b = append(b, c); len(b) == leadingDigits {
				return string(b)
			}
		}
	}
	return ""
}

// Proposal is a row that a person may accept.
type Proposal struct {
	// Pattern, Field and Classes are those of the row.
	Pattern string   `json:"pattern"`
	Field   string   `json:"field,omitempty"`
	Classes []string `json:"classes"`
	// Findings is how many findings the row would have taken away.
	Findings int `json:"findings"`
	// Reason says in words what speaks for it.
	Reason string `json:"reason"`
}

// Proposals are rows for forms that at least so many findings have, most first. A
// form of which some finding stood beside a word or under a key that names its class
// is never proposed: that is what real ones look like.
func (s *Shapes) Proposals(least int) []Proposal {
	type group struct{ byField, byForm shape }
	fields, forms := map[shape]*tally{}, map[shape]*tally{}
	add := func(to map[shape]*tally, k shape, t *tally) {
		if to[k] == nil {
			to[k] = new(tally)
		}
		to[k].bare += t.bare
		to[k].named += t.named
	}
	keys := map[shape]group{}
	for k, t := range s.counts {
		g := group{byField: shape{class: k.class, field: k.field, form: k.form}, byForm: shape{class: k.class, form: k.form, leading: k.leading}}
		keys[k] = g
		if k.field != "" {
			add(fields, g.byField, t)
		}
		if k.leading != "" {
			add(forms, g.byForm, t)
		}
	}
	var out []Proposal
	for k, t := range fields {
		if t.named == 0 && t.bare >= least {
			out = append(out, Proposal{Pattern: k.form, Field: k.field, Classes: []string{string(k.class)}, Findings: t.bare,
				Reason: fmt.Sprintf("%d findings in this field have this form, none stands beside a word that names a %s", t.bare, k.class)})
		}
	}
	for k, t := range forms {
		// A field of its own is the narrower row.
		outside := t.bare
		for key, g := range keys {
			if f := fields[g.byField]; g.byForm == k && f != nil && f.named == 0 && f.bare >= least {
				outside -= s.counts[key].bare
			}
		}
		if t.named == 0 && outside >= least {
			out = append(out, Proposal{Pattern: withLeading(k.form, k.leading), Classes: []string{string(k.class)}, Findings: outside,
				Reason: fmt.Sprintf("%d findings begin with %s and have this form, none stands beside a word that names a %s", outside, k.leading, k.class)})
		}
	}
	slices.SortFunc(out, func(a, b Proposal) int {
		return cmp.Or(b.Findings-a.Findings, cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Field, b.Field))
	})
	return out
}

// withLeading puts the first digits back into a form.
func withLeading(form, digits string) string {
	b := []byte(form)
	for i, n := 0, 0; i < len(b) && n < len(digits); i++ {
		if b[i] == '#' {
			b[i] = digits[n]
			n++
		}
	}
	return string(b)
}
