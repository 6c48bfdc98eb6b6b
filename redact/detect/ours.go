package detect

import "github.com/caregate/caregate/redact"

// spared takes the findings out that hold nothing but what is ours, in place.
func (d *Detector) spared(t []byte, found []redact.Finding) []redact.Finding {
	ours := d.ours(nil, t)
	if ours == nil {
		return found
	}
	out := found[:0]
	for _, f := range found {
		if !within(t, f.Start, f.End, ours) {
			out = append(out, f)
		}
	}
	return out
}

// within reports whether t[from:to] has no letter and no digit outside of the spans,
// and touches one.
func within(t []byte, from, to int, spans [][2]int) bool {
	touched := false
	for _, s := range spans {
		if s[1] <= from {
			continue
		}
		if s[0] >= to {
			break
		}
		if says(t[from:max(from, s[0])]) {
			return false
		}
		from, touched = s[1], true
		if from >= to {
			return true
		}
	}
	return touched && !says(t[from:to])
}

// says reports whether t has a letter or a digit, of any script.
func says(t []byte) bool {
	for _, b := range t {
		if isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80 {
			return true
		}
	}
	return false
}

// Ours returns where text holds something of ours, see Config.Ours.
func (d *Detector) Ours(text []byte) [][2]int {
	if d.ours == nil {
		return nil
	}
	return d.ours(nil, text)
}
