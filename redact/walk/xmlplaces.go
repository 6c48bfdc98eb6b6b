package walk

import (
	"github.com/caregate/caregate/redact"
)

// enter follows the rules into the element that begins.
func (p *xmlReader) enter(e *xmlElement, around int32) {
	e.outer = p.unit
	if around == 0 {
		return
	}
	e.st = p.fields.member(around, p.raw[e.name.from:e.name.to])
	if p.fields.flags(e.st)&Unit != 0 && p.masks == nil {
		p.Units++
		p.unit = p.Units
	}
}

// leave takes the innermost element away.
func (p *xmlReader) leave() {
	n := len(p.open) - 1
	p.unit = p.open[n].outer
	p.open = p.open[:n]
}

// located carries out what the rules say of the text of the innermost element, in which
// the findings from number first on stand.
func (p *xmlReader) located(first int) {
	e := &p.open[len(p.open)-1]
	flags := p.fields.flags(e.st)
	if flags&Element == 0 || p.masks != nil {
		return
	}
	if flags&Wanted != 0 {
		start, end := p.run.raw(0, len(p.run.text))
		text := string(p.run.text)
		for _, n := range p.fields.states[e.st].rules {
			if r := &p.fields.rules[n]; r.Flags&Element != 0 {
				p.Captures = append(p.Captures, Capture{Label: r.Label, Flags: flags, Start: start, End: end, Unit: p.unit, Path: p.place(), Place: redact.PlaceText, text: text, member: member{container: -1}})
			}
		}
	}
	if flags&PaymentReference != 0 && reference(p.Findings[first:]) && !standIn(p.det, p.run.text) {
		p.Findings, p.sources = p.Findings[:first], p.sources[:first]
		p.keep(&p.run, style{write: writeHTML}, []redact.Finding{{Class: redact.PaymentReference, End: len(p.run.text), Confidence: 1, Strong: true, Rule: "payment field"}})
	}
}
