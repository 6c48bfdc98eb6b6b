package view

import (
	"encoding/binary"
	"unicode/utf8"
)

// rounds is how often escapes are undone: escapes of escapes, twice.
const rounds = 3

// Reader makes views of stretches of text. It keeps their memory, so that a reader
// that is used again does not allocate; it is for one goroutine.
type Reader struct {
	a, b, folded View
}

// Normal reads raw[from:to] as it is meant to be read: escapes are undone up to
// three times, and then signs of other scripts become ASCII. With quoted,
// quoted-printable is undone too, which plain text with equals signs in it does
// not survive. The view is valid until the next call.
func (r *Reader) Normal(raw []byte, from, to int, quoted bool) *View {
	r.a.Reset()
	r.a.Copy(raw, from, to, 0)
	return r.normal(&r.a, quoted)
}

func (r *Reader) normal(src *View, quoted bool) *View {
	dst := &r.b
	changed := src.changed
	for range rounds {
		if !escaped(src.text) {
			break
		}
		dst.Reset()
		if !dst.undo(src, quoted) {
			break
		}
		changed++
		src, dst, quoted = dst, src, false
	}
	if ascii(src.text) {
		src.changed = changed
		return src
	}
	r.folded.Reset()
	r.folded.fold(src)
	r.folded.changed += changed
	return &r.folded
}

// ascii reports whether all of b is.
func ascii(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fold appends src with the signs of other scripts in ASCII: digits, spaces,
// dashes, line ends; what nobody sees is left out.
func (v *View) fold(src *View) {
	b, row := src.text, 0 // row is where the row of numerals ends that was read last
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			plain := i
			for i++; i < len(b) && b[i] < utf8.RuneSelf; i++ {
			}
			if i == plain+1 && len(v.spans) > 0 && v.changed > 0 { // between signs of two bytes and more
				v.text = append(v.text, b[plain])
				v.spans = append(v.spans, span{int32(src.start(plain)), int32(src.end(plain))})
				continue
			}
			v.copyOf(src, plain, i)
			continue
		}
		c, n := utf8.DecodeRune(b[i:])
		if c == zeroNumeral || c >= firstNumeral && c <= lastNumeral {
			if end := i + Numerals(b[i:]); end > i {
				// Digits of another kind beside them are another number.
				beside := digitBefore(v.text[row:]) || digitBehind(b[end:])
				for ; i < end; i += numeralSize {
					if !beside || string(b[i:i+numeralSize]) == string(zeroNumeral) {
						v.put(src, i, numeralSize, '0'+byte(numeral(b[i:])))
					} else {
						v.copyOf(src, i, i+numeralSize)
					}
				}
				if !beside {
					row = len(v.text)
				}
				continue
			}
		}
		switch s := SignOf(c); s {
		case None:
			v.copyOf(src, i, i+n)
		case Hidden:
			v.changed++
		case Space:
			v.put(src, i, n, ' ')
		case Dash:
			v.put(src, i, n, '-')
		case Line:
			v.put(src, i, n, '\n')
		default:
			v.put(src, i, n, '0'+byte(s))
		}
		i += n
	}
}

// Base64 reads raw[from:to], which is base64, with raw[context:from] in front of it
// as it stands. The view is valid until the next call.
func (r *Reader) Base64(raw []byte, context, from, to int) *View {
	r.a.Reset()
	r.a.Copy(raw, from, to, 0)
	r.folded.Reset()
	r.folded.Copy(raw, context, from, 0)
	if r.folded.base64(&r.a, 0, to-from) < 0 {
		r.folded.Reset()
	}
	return &r.folded
}
