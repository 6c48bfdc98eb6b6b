package walk

import (
	"bytes"
	"encoding/binary"
)

// outcome is what is known about a text before it is looked at.
type outcome uint8

const (
	unread  outcome = iota // nothing
	odd                    // it is not known at a glance
	nothing                // there is no finding in it
	mail                   // it is one e-mail address
)

// shape is a string that was known at a glance, as the next records repeat it: the same
// words, or the same but for the digits of an identifier, an address or a time. What
// [detect.Detector.Quick] says depends on where digits stand and not on which they
// are, except that so many as a card has may be one.
type shape struct {
	from   int32  // in the document
	n      uint16 // how many bytes, 0 for no shape
	run    uint16 // where its run of longRun digits or more begins
	digits uint8  // how many those are, 0 for none
	exact  bool   // it has escapes: a digit may be part of one
	is     outcome
}

// nameShapes are the last strings beside one name, by length.
type nameShapes struct {
	round uint32
	last  [4]shape
}

// shapeMemory has the shapes of each name in the chains, by its number.
type shapeMemory struct {
	names []nameShapes
	round uint32 // tells the shapes of this document from those of another
}

// maxShape is the longest text that is a shape, in bytes.
const maxShape = 4 << 10

// longRun is how many digits may be the number of a card.
const longRun = 10

// forget makes the memory forget all shapes.
func (m *shapeMemory) forget() {
	if m.round++; m.round == 0 {
		*m = shapeMemory{round: 1}
	}
}

// slot returns where a text of n bytes beside name number k of the chains, one of so
// many, is or will be remembered.
func (m *shapeMemory) slot(k int32, names, n int) *shape {
	for len(m.names) < names {
		m.names = append(m.names, nameShapes{})
	}
	s := &m.names[k]
	if s.round != m.round {
		*s = nameShapes{round: m.round}
	}
	return &s.last[n%len(s.last)]
}

// again says what is known of src[from:to], with or without escapes, when it is of the
// shape f.
func (p *jsonReader) again(f *shape, from, to int, escapes bool) outcome {
	if int(f.n) != to-from || f.exact != escapes {
		return unread
	}
	text, last := p.src[from:to], p.src[f.from:int(f.from)+int(f.n)]
	if escapes {
		if !bytes.Equal(text, last) {
			return unread
		}
	} else if !sameShape(text, last) {
		return unread
	}
	if f.digits > 0 && !p.det.PlainNumber(text[f.run:int(f.run)+int(f.digits)], p.traits()) {
		return unread
	}
	return f.is
}

// sameShape reports whether two texts of one length, eight bytes at least, are the same
// but for digits at the same places.
func sameShape(a, b []byte) bool {
	n := len(a)
	b = b[:n]
	for i := 0; i+8 <= n; i += 8 {
		if !sameWord(binary.LittleEndian.Uint64(a[i:]), binary.LittleEndian.Uint64(b[i:])) {
			return false
		}
	}
	return sameWord(binary.LittleEndian.Uint64(a[n-8:]), binary.LittleEndian.Uint64(b[n-8:]))
}

// sameWord is sameShape for eight bytes.
func sameWord(a, b uint64) bool {
	differs := a ^ b
	if differs == 0 {
		return true
	}
	differs |= differs&(0x7f*ones) + 0x7f*ones // in the high bits
	return differs&(others(a)|others(b))&highs == 0
}

// others has the high bit set in each byte of w that is no ASCII digit.
func others(w uint64) uint64 {
	t := w ^ 0x30*ones
	return t&(0x7f*ones) + 0x76*ones | t
}

// set makes the string src[from:to], of which is is known, the shape f.
// One with two long numbers, or with one that is longer than any card's, is no shape.
func (f *shape) set(src []byte, from, to int, escapes bool, is outcome) {
	*f = shape{from: int32(from), n: uint16(to - from), exact: escapes, is: is}
	if escapes {
		return
	}
	text := src[from:to]
	// Of so many digits in a row one stands at each of these places.
	for i := longRun - 1; i < len(text); i += longRun {
		if text[i]-'0' > 9 {
			continue
		}
		begin := i
		for begin > 0 && text[begin-1]-'0' <= 9 {
			begin--
		}
		end := digitsEnd(text, i)
		if end-begin >= longRun {
			if f.digits > 0 || end-begin >= longestPlain {
				f.n = 0
				return
			}
			f.run, f.digits = uint16(begin), uint8(end-begin)
		}
		i += (end - i) / longRun * longRun
	}
}
