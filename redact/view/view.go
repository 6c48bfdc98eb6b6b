package view

import "sort"

// View is normalised text with a map back to the raw text it was made from. The
// zero value is an empty view. A View may be used again after Reset, which keeps
// its memory; it is for one goroutine.
type View struct {
	text       []byte
	start, end []int32 // raw offsets, one of each for every byte of text
	changed    int     // bytes that do not stand for themselves
}

// Reset empties the view.
func (v *View) Reset() {
	v.text, v.start, v.end, v.changed = v.text[:0], v.start[:0], v.end[:0], 0
}

// Text is the normalised text. It is valid until the next Append or Reset, and
// must not be changed.
func (v *View) Text() []byte { return v.text }

// Len is the number of bytes of Text.
func (v *View) Len() int { return len(v.text) }

// Changed reports whether some byte does not stand for itself, or some raw bytes
// were left out: a view that did not change finds nothing that the raw text does
// not.
func (v *View) Changed() bool { return v.changed > 0 }

// Append appends one byte that stands for the raw bytes [rawStart, rawEnd). Raw
// spans never go back: rawStart is at least the rawStart of the byte before. Raw
// bytes that no byte stands for are left out of the text and belong to a finding
// that reaches across them.
func (v *View) Append(b byte, rawStart, rawEnd int) {
	if rawEnd-rawStart != 1 || len(v.end) > 0 && int(v.end[len(v.end)-1]) != rawStart {
		v.changed++
	}
	v.text = append(v.text, b)
	v.start = append(v.start, int32(rawStart))
	v.end = append(v.end, int32(rawEnd))
}

// AppendString appends text all of whose bytes stand for the raw bytes
// [rawStart, rawEnd): a finding that holds some of them covers all of those.
func (v *View) AppendString(text string, rawStart, rawEnd int) {
	for i := range len(text) {
		v.Append(text[i], rawStart, rawEnd)
	}
	if len(text) > 0 {
		v.changed++
	}
}

// Copy appends raw[from:to], each byte standing for itself, with offset base added
// to its place.
func (v *View) Copy(raw []byte, from, to, base int) {
	for i := from; i < to; i++ {
		v.Append(raw[i], base+i, base+i+1)
	}
}

// Mark notes that a byte was replaced by another of the same size, which Append
// cannot see.
func (v *View) Mark() { v.changed++ }

// Raw returns the raw span of Text()[start:end], which must not be empty.
func (v *View) Raw(start, end int) (rawStart, rawEnd int) {
	return int(v.start[start]), int(v.end[end-1])
}

// At returns the offset of the first byte that stands for raw bytes at or behind
// raw, or Len when there is none.
func (v *View) At(raw int) int {
	return sort.Search(len(v.start), func(i int) bool { return int(v.start[i]) >= raw })
}

// Plain reports whether each byte of Text()[start:end] stands for itself and
// nothing was left out between: then the raw text reads the same there.
func (v *View) Plain(raw []byte, start, end int) bool {
	for i := start; i < end; i++ {
		if at := int(v.start[i]); at != int(v.start[start])+i-start || int(v.end[i]) != at+1 || raw[at] != v.text[i] {
			return false
		}
	}
	return true
}

// Producer appends to v what raw[from:to] reads as, and reports whether it undid
// anything. Raw offsets in the view are offsets of raw; a producer may look at raw
// beyond the stretch to see whether something is whole, and never writes for bytes
// outside it. Its time is linear in the stretch.
type Producer func(v *View, raw []byte, from, to int) bool
