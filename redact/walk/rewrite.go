package walk

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/transform"
)

// Edit replaces raw[Start:End] by New, which is in the encoding of the document.
type Edit struct {
	Start, End int
	New        []byte
}

// Rewrite returns the document with its findings transformed: act says what
// happens to each. Findings at Never places stay, and it is for the caller to
// refuse the document because of them. A JSON number that is to be rewritten
// becomes null. Block is carried out like Mask, and so is Tokenize where no token was
// given with Substitute.
//
// more are further edits, in any order, of this document: from SetString, Remove
// or MaskedWrites. One that takes bytes out wins over findings and other edits in
// it; any other edit gives way to a finding that is rewritten in its range.
//
// Rewrite returns raw itself when nothing changes. It may be called again.
func (d *Doc) Rewrite(act func(redact.Finding) redact.Action, more ...Edit) []byte {
	if len(more) == 0 && d.sources == nil && !slices.ContainsFunc(d.Findings, changesWhole) {
		return d.rewrite(act)
	}
	edits := d.edits(func(i int) redact.Action { return act(d.Findings[i]) })
	if len(more) > 0 {
		edits = d.merge(edits, more)
	}
	if len(edits) == 0 {
		return d.raw
	}
	return apply(d.raw, edits)
}

// rewrite is Rewrite where each finding becomes something in its own place: what most
// documents ask for, and those of nothing but findings need no list of edits for it.
func (d *Doc) rewrite(act func(redact.Finding) redact.Action) []byte {
	var out writer
	var piece []byte
	at := 0
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Never {
			continue
		}
		a := act(*f)
		if !a.Rewrites() {
			continue
		}
		if piece == nil {
			piece = make([]byte, 0, 128)
			out.Grow(len(d.raw))
		}
		piece = d.appendNew(piece[:0], i, a)
		out.Write(d.raw[at:f.Start])
		out.Write(piece)
		at = f.End
	}
	if piece == nil {
		return d.raw
	}
	out.Write(d.raw[at:])
	return out.bytes()
}

// changesWhole reports whether the whole value that f is in may be changed because of it.
func changesWhole(f redact.Finding) bool {
	return f.Place == redact.PlaceText && (f.Field == redact.FieldExact || f.Field == redact.FieldCard)
}

// edits returns what becomes of the findings, in order. act is asked about each
// that may be rewritten, by its number.
func (d *Doc) edits(act func(i int) redact.Action) []Edit {
	if d.sources != nil {
		return d.partEdits(act)
	}
	var edits []Edit
	var arena []byte
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Never {
			continue
		}
		a := act(i)
		if !a.Rewrites() {
			continue
		}
		if len(edits) == cap(edits) {
			// As many as the rest has if it is like what was seen: append adds a quarter.
			rest := len(d.Findings) - i
			edits = slices.Grow(edits, min(rest, max(len(edits)+16, len(edits)*rest/(i+1))))
			if done := len(edits); done > 0 {
				// What is written takes about the room of what is left of the document, unless
				// a few long values at its begin make the mean too high.
				left := 2*(len(d.raw)-f.Start) + 4<<10
				arena = slices.Grow(arena, min(left, (cap(edits)-done)*(len(arena)/done+1)))
			}
		}
		if changesWhole(*f) {
			edits = d.editWhole(edits, *f, a)
			continue
		}
		at := len(arena)
		arena = d.appendNew(arena, i, a)
		edits = append(edits, Edit{f.Start, f.End, arena[at:len(arena):len(arena)]})
	}
	return edits
}

// merge adds further edits to those of findings, sorted and without overlaps.
func (d *Doc) merge(found, more []Edit) []Edit {
	type ranked struct {
		Edit
		rank int
	}
	all := make([]ranked, 0, len(found)+len(more))
	for _, e := range more {
		if e.Start < 0 || e.End > len(d.raw) || e.Start > e.End {
			continue // of another document
		}
		rank := 2
		if len(e.New) == 0 {
			rank = 0
		}
		all = append(all, ranked{e, rank})
	}
	for _, e := range found {
		all = append(all, ranked{e, 1})
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return a.Start - b.Start })
	out := all[:0]
	for _, e := range all {
		for len(out) > 0 && e.Start < out[len(out)-1].End && e.rank < out[len(out)-1].rank {
			out = out[:len(out)-1]
		}
		if len(out) > 0 && e.Start < out[len(out)-1].End {
			// Two removals that overlap are one.
			if last := &out[len(out)-1]; e.rank == 0 && last.rank == 0 {
				last.End = max(last.End, e.End)
			}
			continue
		}
		out = append(out, e)
	}
	edits := make([]Edit, len(out))
	for i := range out {
		edits[i] = out[i].Edit
	}
	return edits
}

// appendNew appends what finding number i becomes.
func (d *Doc) appendNew(dst []byte, i int, a redact.Action) []byte {
	if token := d.token(i, a); token != "" {
		return append(dst, token...)
	}
	return d.appendEdit(dst, d.Findings[i], a)
}

// appendEdit appends what the raw bytes of f become.
func (d *Doc) appendEdit(dst []byte, f redact.Finding, a redact.Action) []byte {
	raw := d.raw[f.Start:f.End]
	if f.Place == redact.PlaceNumber {
		return append(dst, "null"...)
	}
	text := decode(d.Kind, raw)
	at := len(dst)
	if (d.Kind == JSON || d.Kind == Form) && f.Evidence&redact.EvidenceSplit != 0 {
		dst = transform.AppendPiece(dst, text, a)
	} else if f.Field == redact.FieldTag {
		dst = transform.AppendTag(dst, text, f.Class, a)
	} else {
		dst = transform.Append(dst, text, f.Class, a)
	}
	masked := dst[at:]
	if d.Kind == Text || len(masked) == len(text) && bytes.Equal(text, raw) && inert(masked, text) {
		return dst
	}
	// Something is encoded, or the length changes: go through it unit by unit, so
	// that only what the mask changed is written anew.
	masked = append([]byte(nil), masked...)
	dst = dst[:at]
	if len(masked) != len(text) {
		return appendEncoded(d.Kind, dst, masked)
	}
	var buf [utf8.UTFMax]byte
	for i, n := 0, 0; i < len(raw); {
		size, is := unit(d.Kind, raw, i, buf[:0])
		if becomes := masked[n : n+len(is)]; bytes.Equal(is, becomes) {
			dst = append(dst, raw[i:i+size]...)
		} else {
			dst = appendEncoded(d.Kind, dst, becomes)
		}
		i += size
		n += len(is)
	}
	return dst
}

// inert reports whether masked, of the same length as the text it replaces,
// differs from it in plain letters only, and so needs no encoding.
func inert(masked, text []byte) bool {
	for i := range masked {
		if masked[i] != text[i] && masked[i] != 'X' {
			return false
		}
	}
	return true
}

// SetString returns the edit that makes value the value of c, encoded for the
// document. A JSON number, literal, array or object becomes a string. value must
// be valid UTF-8.
func (d *Doc) SetString(c Capture, value string) Edit {
	if c.Place == redact.PlaceText {
		return Edit{c.Start, c.End, appendEncoded(d.Kind, nil, []byte(value))}
	}
	b := append(make([]byte, 0, len(value)+2), '"')
	b = appendEncoded(d.Kind, b, []byte(value))
	return Edit{c.Start, c.End, append(b, '"')}
}
