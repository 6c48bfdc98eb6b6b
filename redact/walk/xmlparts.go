package walk

import "bytes"

// maxParts is how many elements beside each other, or attributes of one, are looked at
// as parts of one number or date.
const maxParts = 24

// part notes the text of the innermost element, or its attribute value, for the one
// around it when it may be part of a number or of a date by its name.
func (p *xmlReader) part(j *joined, st style) {
	n := len(p.open) - 1
	if n < 1 || len(j.text) == 0 || p.open[n].children > 0 || len(p.open[n-1].shares) == maxParts {
		return
	}
	e := &p.open[n]
	if d := p.detailOf(j, p.local(e.key), e.index, st); d != nil {
		p.open[n-1].shares = append(p.open[n-1].shares, *d)
	}
}

// together looks at the elements in the one that ends.
func (p *xmlReader) together() {
	e := &p.open[len(p.open)-1]
	p.details(e.shares, p.local(e.key), e.found, e.name.from)
}

// local is a name without its namespace; only its end decides.
func (p *xmlReader) local(name span) []byte {
	b := p.raw[max(name.from, name.to-keyTail):name.to]
	return b[bytes.LastIndexByte(b, ':')+1:]
}
