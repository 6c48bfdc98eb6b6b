package view

import (
	"slices"
	"sort"
)

// View is normalised text with a map back to the raw text it was made from. The
// zero value is an empty view. A View may be used again after Reset, which keeps
// its memory; it is for one goroutine.
type View struct {
	text []byte
	// Most views begin with text that stands for itself: so many bytes, from the raw
	// offset base on.
	plain, base int
	spans       []span // of each byte behind those
	changed     int    // bytes that do not stand for themselves
}

// span is the raw bytes that a byte stands for.
type span struct{ start, end int32 }

// Reset empties the view.
func (v *View) Reset() {
	v.text, v.plain, v.base, v.spans, v.changed = v.text[:0], 0, 0, v.spans[:0], 0
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
	one := rawEnd-rawStart == 1
	if !one || len(v.text) > 0 && v.last() != rawStart {
		v.changed++
	}
	v.text = append(v.text, b)
	if one {
		v.stand(rawStart, 1)
	} else {
		v.spans = append(v.spans, span{int32(rawStart), int32(rawEnd)})
	}
}

// last is where the raw bytes of the last byte end.
func (v *View) last() int {
	if n := len(v.spans); n > 0 {
		return int(v.spans[n-1].end)
	}
	return v.base + v.plain
}

// stand notes that n bytes that were appended stand for themselves, from the raw offset
// start on.
func (v *View) stand(start, n int) {
	if len(v.spans) == 0 && (v.plain == 0 || v.base+v.plain == start) {
		if v.plain == 0 {
			v.base = start
		}
		v.plain += n
		return
	}
	at := len(v.spans)
	v.spans = slices.Grow(v.spans, n)[:at+n]
	for i := range v.spans[at:] {
		v.spans[at+i] = span{int32(start + i), int32(start + i + 1)}
	}
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
	if from >= to {
		return
	}
	if len(v.text) > 0 && v.last() != base+from {
		v.changed++
	}
	v.text = append(v.text, raw[from:to]...)
	v.stand(base+from, to-from)
}

// copyOf appends src[from:to], standing for what it stands for in src.
func (v *View) copyOf(src *View, from, to int) {
	if from >= to {
		return
	}
	if len(v.text) > 0 && v.last() != src.start(from) {
		v.changed++
	}
	v.text = append(v.text, src.text[from:to]...)
	if from < src.plain {
		n := min(to, src.plain) - from
		v.stand(src.base+from, n)
		from += n
	}
	if from < to {
		v.spans = append(v.spans, src.spans[from-src.plain:to-src.plain]...)
	}
}

// Mark notes that a byte was replaced by another of the same size, which Append
// cannot see.
func (v *View) Mark() { v.changed++ }

// Raw returns the raw span of Text()[start:end], which must not be empty.
func (v *View) Raw(start, end int) (rawStart, rawEnd int) {
	return v.start(start), v.end(end - 1)
}

// start is where the raw bytes of Text()[i] begin.
func (v *View) start(i int) int {
	if i < v.plain {
		return v.base + i
	}
	return int(v.spans[i-v.plain].start)
}

// end is where they end.
func (v *View) end(i int) int {
	if i < v.plain {
		return v.base + i + 1
	}
	return int(v.spans[i-v.plain].end)
}

// At returns the offset of the first byte that stands for raw bytes at or behind
// raw, or Len when there is none.
func (v *View) At(raw int) int {
	if raw < v.base+v.plain {
		return max(0, raw-v.base)
	}
	n := len(v.spans)
	switch {
	case n == 0 || int(v.spans[0].start) >= raw:
		return v.plain
	case int(v.spans[n-1].start) < raw:
		return v.plain + n
	}
	return v.plain + sort.Search(n, func(i int) bool { return int(v.spans[i].start) >= raw })
}

// Plain reports whether each byte of Text()[start:end] stands for itself and
// nothing was left out between: then the raw text reads the same there.
func (v *View) Plain(raw []byte, start, end int) bool {
	first := v.start(start)
	for i := start; i < end; i++ {
		if at := v.start(i); at != first+i-start || v.end(i) != at+1 || raw[at] != v.text[i] {
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
