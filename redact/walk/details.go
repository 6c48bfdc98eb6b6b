package walk

import (
	"bytes"
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// maxDetailBytes is how much of an object is looked at for members that are parts of
// one number or date, from the first of them on, and maxDetail how long the value of
// such a member is.
const (
	maxDetailBytes = 600
	maxDetail      = 10
)

// detail is a field that may hold a group of a card number or of a tax number, or a
// part of an expiry date.
type detail struct {
	name   string
	text   string // the value
	value  span
	index  int
	number bool // of JSON

	part detect.Part
	stem string

	in *placed // in bodies made of pieces
}

// placed is where a detail stands in a body made of pieces.
type placed struct {
	joined
	from, to int // in the text
	path     string
	style    style
}

// isDetail reports whether the text of a value is digits, or a date.
func isDetail(text []byte) bool {
	if len(text) == 0 || len(text) > maxDetail {
		return false
	}
	for _, b := range text {
		if b-'0' > 9 && b != '/' && b != '-' && b != '.' && b != ' ' {
			return false
		}
	}
	return text[0]-'0' <= 9
}

// members looks for details in members of the object that is being read:
// raw[from:to] are those from number index on, the first whose name is one of a
// detail. at is the number of the object's first finding.
func (p *jsonReader) members(from, to, index, at int, st int32) {
	to = min(to, from+maxDetailBytes)
	var all []detail
	for i := from; i < to && p.raw[i] == '"'; index++ {
		end := stringEnd(p.raw[:to], i+1)
		if end < 0 {
			break
		}
		name := p.raw[i+1 : end]
		if i = p.space(p.space(end+1) + 1); i >= to { // behind the colon
			break
		}
		d := detail{index: index, value: span{i, i}, number: p.raw[i] != '"'}
		switch p.raw[i] {
		case '"':
			if end = stringEnd(p.raw[:to], i+1); end < 0 {
				i = to
				break
			}
			d.value = span{i + 1, end}
			i = end + 1
		case '{', '[':
			i = to
		default:
			for i < to && p.raw[i] > ' ' && p.raw[i] != ',' {
				i++
			}
			d.value.to = i
			// The closing brace stands behind to, unless the object is longer.
			if i == to && p.raw[i] != '}' && p.raw[i] > ' ' {
				d.value.to = d.value.from
			}
		}
		if text := p.raw[d.value.from:d.value.to]; isDetail(text) && (!d.number || digitsEnd(text, 0) == len(text)) && detect.EndOf(name)&detect.EndsPart != 0 && bytes.IndexByte(name, '\\') < 0 {
			d.name, d.text = string(name), string(text)
			all = append(all, d)
		}
		if i = p.space(i); i >= to || p.raw[i] != ',' {
			break
		}
		i = p.space(i + 1)
	}
	p.details(all, at, st)
}

// details looks at fields of one object, or of a form, whose names say that they may
// be parts. at is the number of the first finding in it.
func (r *reader) details(all []detail, at int, st int32) {
	if len(all) == 0 {
		return
	}
	// The object's own name: of the innermost member around.
	outer, _ := r.memberName(len(r.frames) - 2)
	added, begin := len(r.Findings), r.frames[len(r.frames)-1].begin
	g := fieldGroup{
		det: r.det, around: string(outer), known: r.Findings[at:],
		card:  func() bool { return cardBeside(r.Findings, at, begin) },
		share: func(d *detail, f redact.Finding) { r.share(d, f, st) },
	}
	g.look(all)
	if len(r.Findings) > added {
		slices.SortStableFunc(r.Findings[at:], func(a, b redact.Finding) int { return a.Start - b.Start })
	}
}

// fieldGroup is what stands around fields that may be parts of one number or date.
type fieldGroup struct {
	det    *detect.Detector
	around string           // the name of what they are in
	known  []redact.Finding // what was found in them, in order
	card   func() bool      // whether a card stands beside them
	share  func(d *detail, f redact.Finding)
}

// look finds what the fields are parts of, and makes a finding of each share.
func (g *fieldGroup) look(all []detail) {
	for i := range all {
		all[i].part, all[i].stem = g.det.PartOf(all[i].name, g.around)
	}
	for i := 0; i < len(all); {
		n := i + 1
		for n < len(all) && all[n].part == all[i].part && all[n].stem == all[i].stem && all[n].index == all[n-1].index+1 {
			n++
		}
		if p := all[i].part; n-i > 1 && (p == detect.CardPart || p == detect.SSNPart) {
			g.number(all[i:n])
		}
		i = n
	}
	g.code(all)
	g.expiry(all)
}

// code takes a field that is named as a verification code, where a card stands beside
// it, and for some names also its expiry date.
func (g *fieldGroup) code(all []detail) {
	dated := slices.ContainsFunc(all, func(d detail) bool {
		return d.part >= detect.MonthPart && d.part <= detect.ExpiryPart && detect.IsExpiry([]byte(d.text), d.part)
	})
	for i := range all {
		d := &all[i]
		if d.part != detect.CodePart && (d.part != detect.MaybeCodePart || !dated) || !detect.IsCode([]byte(d.text)) || overlap(g.known, d.value.from, d.value.to) || !g.card() {
			continue
		}
		g.share(d, redact.Finding{
			Class: redact.CardVerificationCode, Confidence: 0.9, Strong: true, Rule: "code beside a card, key", Evidence: redact.EvidenceBeside | redact.EvidenceKey,
		})
	}
}

// number looks for a number whose groups are fields. Each group is a finding; none
// keeps a digit.
func (g *fieldGroup) number(groups []detail) {
	text, sep := append(make([]byte, 0, 64), "card"...), byte(' ')
	if groups[0].part == detect.SSNPart {
		// A number of nine digits, and nothing else: 3, 2 and 4.
		if len(groups) != 3 || len(groups[0].text) != 3 || len(groups[1].text) != 2 || len(groups[2].text) != 4 {
			return
		}
		text, sep = append(text[:0], "ssn"...), '-'
	}
	digits := 0
	for i, d := range groups {
		if len(d.text) > maxGroupDigit || digitsEnd([]byte(d.text), 0) != len(d.text) {
			return
		}
		digits += len(d.text)
		if i == 0 {
			text = append(text, ' ')
		} else {
			text = append(text, sep)
		}
		text = append(text, d.text...)
	}
	if digits > maxSpread || digits < minSpread && groups[0].part == detect.CardPart {
		return
	}
	found := g.det.Text(nil, text, detect.Hint{})
	if len(found) == 0 || found[0].Class != redact.CreditCard && found[0].Class != redact.USSSN && found[0].Class != redact.USITIN {
		return
	}
	f := found[0]
	f.Evidence |= redact.EvidenceSplit
	pos := bytes.IndexByte(text, ' ') + 1
	for i := range groups {
		d := &groups[i]
		end := pos + len(d.text)
		if pos < f.End && f.Start < end && !overlap(g.known, d.value.from, d.value.to) {
			g.share(d, f)
		}
		pos = end + 1
	}
}

// expiry takes fields that are named as an expiry date, or as month and year of one,
// where a card stands beside them.
func (g *fieldGroup) expiry(all []detail) {
	months, years, named := 0, 0, 0
	for i := range all {
		switch p := all[i].part; {
		case !detect.IsExpiry([]byte(all[i].text), p):
			all[i].part = detect.NoPart
		case all[i].stem != "":
			named++
		case p == detect.MonthPart:
			months++
		case p == detect.YearPart:
			years++
		}
	}
	pair := months == 1 && years == 1
	if named == 0 && !pair || !g.card() {
		return
	}
	for i := range all {
		d := &all[i]
		if d.part < detect.MonthPart || d.part > detect.ExpiryPart || d.stem == "" && !pair || overlap(g.known, d.value.from, d.value.to) {
			continue
		}
		g.share(d, redact.Finding{
			Class: redact.CardExpiry, Confidence: 0.95, Strong: true, Rule: "date beside a card, key", Evidence: redact.EvidenceBeside | redact.EvidenceKey,
		})
	}
}

// cardBeside reports whether one of the findings from number at on, which are those in
// the fields' object, is a card, or one shortly in front of begin, where the object begins.
func cardBeside(found []redact.Finding, at, begin int) bool {
	const reach = 400
	for i := len(found) - 1; i >= 0; i-- {
		f := &found[i]
		if i < at && f.End+reach < begin {
			return false
		}
		if f.Class == redact.CreditCard && (!f.Never || f.Strong) {
			return true
		}
	}
	return false
}

// share makes all of a field a finding.
func (r *reader) share(d *detail, f redact.Finding, st int32) {
	top := &r.frames[len(r.frames)-1]
	kept, n := len(r.decoded), len(r.Findings)
	r.decoded = append(r.decoded, d.name...)
	top.name, top.index = ref{kept, len(r.decoded), true}, d.index
	place := redact.PlaceText
	if d.number {
		place = redact.PlaceNumber
	}
	f.Start, f.End = 0, len(d.text)
	r.Findings = append(r.Findings, f)
	r.settle(n, d.value.from, d.value.to, []byte(d.text), place, r.fields.flags(r.fields.member(st, []byte(d.name)))&Never != 0)
	r.decoded = r.decoded[:kept]
}

// maxPlaced is the longest text around a detail in a body made of pieces, in bytes: with
// blanks and line breaks on both sides.
const maxPlaced = 64

// detailOf returns what stands in the text of j, beside a name, when it may be a part.
// index is its number among the fields beside it. nil means that it is none.
func (c *collector) detailOf(j *joined, name []byte, index int, st style) *detail {
	if c.masks != nil || len(j.text) > maxPlaced || detect.EndOf(name)&detect.EndsPart == 0 {
		return nil
	}
	text := bytes.TrimLeft(j.text, " \t\r\n")
	from := len(j.text) - len(text)
	if text = bytes.TrimRight(text, " \t\r\n"); !isDetail(text) {
		return nil
	}
	in := &placed{joined: joined{slices.Clone(j.text), slices.Clone(j.pieces)}, from: from, to: from + len(text), style: st}
	if c.path != nil {
		in.path = c.path()
	}
	start, end := j.raw(in.from, in.to)
	return &detail{name: string(name), text: string(text), value: span{start, end}, index: index, in: in}
}

// details looks at fields that stand beside each other in what is called around and
// begins at begin. at is the number of the first finding in it.
func (c *collector) details(all []detail, around []byte, at, begin int) {
	if len(all) == 0 {
		return
	}
	known := slices.Clone(c.Findings[at:])
	slices.SortFunc(known, func(a, b redact.Finding) int { return a.Start - b.Start })
	g := fieldGroup{
		det: c.det, around: string(around), known: known,
		card:  func() bool { return cardBeside(c.Findings, at, begin) },
		share: c.share,
	}
	g.look(all)
}

// share makes all of a field a finding.
func (c *collector) share(d *detail, f redact.Finding) {
	f.Start, f.End = d.in.from, d.in.to
	before := c.path
	c.path = func() string { return d.in.path }
	c.keep(&d.in.joined, d.in.style, []redact.Finding{f})
	c.path = before
	c.sources[len(c.sources)-1].spot.share = f.Evidence&redact.EvidenceSplit != 0
}
