package walk

import (
	"encoding/binary"
	"math/bits"
)

// form says what a string holds.
type form uint8

const (
	escaped form = 1 << iota // a backslash
	signed                   // a byte that is no digit and at which something may begin
	wide                     // a byte outside ASCII
	digits                   // an ASCII digit, or one behind an escape
)

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// scan reads the string content at i and returns the offset of the closing
// quote. It checks control characters, escapes, surrogates and UTF-8.
func (p *jsonReader) scan(i int) (end int, f form) {
	raw, begin, o := p.src, i, &p.view
	var number, other uint64 // signs, gathered
	for {
		if uint(i-o.from) >= uint(o.to-o.from) {
			if i >= len(raw) {
				return p.refuse(ReasonSyntax, len(raw)), f
			}
			o.look(p.det, raw, i)
		}
		at, shift := uint(i-o.from)/blockSize%outlookBlocks, uint(i-o.from)%blockSize
		stop, signs := o.stops[at]>>shift, &o.signs[at]
		if stop == 0 {
			number |= signs.Digits() >> shift
			other |= signs.Others() >> shift
			i += blockSize - int(shift)
			continue
		}
		n := uint(bits.TrailingZeros64(stop))
		inside := uint64(1)<<n - 1
		number |= signs.Digits() >> shift & inside
		other |= signs.Others() >> shift & inside
		if i += int(n); i >= len(raw) {
			return p.refuse(ReasonSyntax, len(raw)), f
		}
		switch raw[i] {
		case '"':
			if number != 0 {
				f |= digits
			}
			if other != 0 {
				f |= signed
				if !ascii(raw[begin:i]) {
					f |= wide
					if at := invalidUTF8(raw[begin:i]); at >= 0 {
						return p.refuse(ReasonUTF8, begin+at), f
					}
				}
			}
			return i, f
		case '\\':
			f |= escaped
			n := p.escape(i)
			if n < 0 {
				return n, f
			}
			if n > 2 {
				f |= digits // rarely: what \u stands for is looked at later
			}
			i += n
		default:
			if raw[i] == 0 {
				return p.refuse(ReasonNUL, i), f
			}
			return p.refuse(ReasonSyntax, i), f
		}
	}
}

// ascii reports whether all of text is ASCII.
func ascii(text []byte) bool {
	var high byte
	for ; len(text) >= 8; text = text[8:] {
		if binary.LittleEndian.Uint64(text)&highs != 0 {
			return false
		}
	}
	for _, b := range text {
		high |= b
	}
	return high < 0x80
}

// escape checks the escape at i and returns its length, or -1.
func (p *jsonReader) escape(i int) int {
	raw := p.raw
	if i+1 >= len(raw) {
		return p.refuse(ReasonSyntax, i)
	}
	switch raw[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
	default:
		return p.refuse(ReasonSyntax, i)
	}
	switch v := hex4(raw[i+2:]); {
	case v < 0:
		return p.refuse(ReasonSyntax, i)
	case v == 0:
		return p.refuse(ReasonNUL, i)
	case v < 0xD800 || v > 0xDFFF:
		return 6
	case v > 0xDBFF || i+12 > len(raw) || raw[i+6] != '\\' || raw[i+7] != 'u':
		return p.refuse(ReasonSurrogate, i)
	}
	if low := hex4(raw[i+8:]); low < 0xDC00 || low > 0xDFFF {
		return p.refuse(ReasonSurrogate, i)
	}
	return 12
}
