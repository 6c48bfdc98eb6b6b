package walk

import (
	"slices"

	"github.com/caregate/caregate/redact"
)

// Within returns the findings in the value of c, with offsets in what [Doc.Value]
// returns. One that begins or ends outside is cut there.
func (d *Doc) Within(c Capture) []redact.Finding {
	var out []redact.Finding
	for _, f := range d.Findings {
		if f.Start >= c.End || f.End <= c.Start {
			continue
		}
		from, to := max(f.Start, c.Start), min(f.End, c.End)
		f.Start, f.End = from-c.Start, to-c.Start
		if c.Place == redact.PlaceText {
			f.Start = len(decode(d.Kind, d.raw[c.Start:from]))
			f.End = f.Start + len(decode(d.Kind, d.raw[from:to]))
		}
		out = append(out, f)
	}
	return out
}

// Add takes a finding of the caller's into the document, at the place of c; its
// offsets are those in what [Doc.Value] returns. It is for what the document does
// not tell by itself: a number of which the rest stands elsewhere. Findings that it
// touches become part of it. Only JSON and forms take findings, and Add reports
// whether it was taken; of a number in JSON the whole is one.
func (d *Doc) Add(c Capture, f redact.Finding) bool {
	if d.Kind != JSON && d.Kind != Form || f.Start < 0 || f.Start >= f.End || f.End > len(d.Value(c)) {
		return false
	}
	f.Place, f.Unit, f.Path = c.Place, c.Unit, c.Path
	if f.Never = c.Flags&Never != 0; f.Never {
		f.Strong = true
	}
	switch raw := d.raw[c.Start:c.End]; {
	case c.Place != redact.PlaceText:
		f.Start, f.End = c.Start, c.End
	case len(d.Value(c)) == len(raw):
		f.Start, f.End = f.Start+c.Start, f.End+c.Start
	default:
		one := [1]redact.Finding{f}
		rawOffsets(d.Kind, raw, c.Start, one[:])
		f = one[0]
	}
	d.Findings = slices.DeleteFunc(d.Findings, func(o redact.Finding) bool {
		if o.Start >= f.End || o.End <= f.Start {
			return false
		}
		f.Start, f.End = min(f.Start, o.Start), max(f.End, o.End)
		return true
	})
	at := len(d.Findings)
	for at > 0 && d.Findings[at-1].Start > f.Start {
		at--
	}
	d.Findings = slices.Insert(d.Findings, at, f)
	return true
}
