package view

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// sextet gives the value of a byte in base64, in both alphabets, or 255.
var sextet = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	t['+'], t['-'], t['/'], t['_'] = 62, 62, 63, 63
	return t
}()

// MinBase64 is the length of the shortest base64 that is undone: a card number of
// fifteen digits takes twenty characters.
const MinBase64 = 20

// MinNumber64 is the length of the shortest base64 that is undone when it says
// nothing but a number, see Number64: nine digits take twelve letters.
const MinNumber64 = 12

// Number64 appends the digits that base64 of less than MinBase64 letters says, when
// it says a number: digits, blanks, hyphens and dots. grouped reports whether there is
// more than digits. Of anything else it returns dst as it was.
func Number64(dst, b []byte) (_ []byte, grouped bool) {
	acc, have, kept := uint32(0), 0, len(dst)
	for _, c := range b {
		x := sextet[c]
		if x == 255 {
			break // padding
		}
		if acc, have = acc<<6|uint32(x), have+6; have < 8 {
			continue
		}
		have -= 8
		switch d := byte(acc >> have); {
		case digit(d):
			dst = append(dst, d)
		case d == ' ' || d == '-' || d == '.':
			grouped = true
		default:
			return dst[:kept], false
		}
	}
	return dst, grouped
}

// Base64End returns where the base64 that begins at i ends, at most limit: letters
// of both alphabets, and single line ends between lines of at least 60 letters.
// Padding belongs to it.
func Base64End(b []byte, i, limit int) int {
	i, _ = letters64(b, i, i, limit)
	return padding(b, i, limit)
}

// Base64Ends is Base64End for two limits, the second of which lies so far behind the end for
// the first.
func Base64Ends(b []byte, i, limit, more int) (end, ahead int) {
	i, line := letters64(b, i, i, limit)
	end = padding(b, i, limit)
	i, _ = letters64(b, i, line, end+more)
	return end, padding(b, i, end+more)
}

// padding returns the end of the padding of base64 whose letters end at i, at most limit.
func padding(b []byte, i, limit int) int {
	limit = min(limit, len(b))
	for n := 0; n < 2 && i < limit && b[i] == '='; n++ {
		i++
	}
	return i
}

// letters64 returns where the letters of base64 from i on end, at most limit, and where their
// last line begins; the first begins at line.
func letters64(b []byte, i, line, limit int) (end, last int) {
	limit = min(limit, len(b))
	for i < limit {
		for i+8 <= limit {
			m := noSextets(binary.LittleEndian.Uint64(b[i:]))
			i += bits.TrailingZeros64(m) / 8
			if m != 0 {
				break
			}
		}
		if i == limit {
			break
		}
		if sextet[b[i]] != 255 {
			i++
			continue
		}
		next := i
		if next < limit && b[next] == '\r' {
			next++
		}
		if next < limit && b[next] == '\n' && i-line >= 60 && next+1 < limit && sextet[b[next+1]] != 255 {
			i = next + 1
			line = i
			continue
		}
		break
	}
	return i, line
}

// noSextets has the high bit set in each byte of w that is no letter of base64.
func noSextets(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x80 * 0x0101010101010101
	x := w & (0x7F * ones) // no sum below carries into the next byte
	y := x | 0x20*ones
	letters := (y + (0x80-'a')*ones) &^ (y + (0x80-'z'-1)*ones)
	digits := (x + (0x80-'0')*ones) &^ (x + (0x80-'9'-1)*ones)
	// The sums are 0x7F, without the high bit, for the sign itself alone: + and /, which
	// differ in one bit, - and _.
	signs := ((x | 4*ones) ^ '/'*ones + 0x7F*ones) & (x ^ '-'*ones + 0x7F*ones) & (x ^ '_'*ones + 0x7F*ones)
	return (^(letters|digits)&signs | w) & highs
}

// Readable reports whether the first bytes of base64 decode to text, as what is
// worth undoing does: printable ASCII, or UTF-8.
func Readable(b []byte) bool {
	var out [24]byte
	n := 0
	var acc uint32
	have := 0
	strange := false // a byte was there that is in no UTF-8, and is not the last
	for i := 0; i < len(b) && n < len(out); {
		if have == 0 && i+4 <= len(b) { // the usual case: four letters in a row
			if x, y, z, w := sextet[b[i]], sextet[b[i+1]], sextet[b[i+2]], sextet[b[i+3]]; max(x, y, z, w) != 255 {
				acc, have = uint32(x)<<18|uint32(y)<<12|uint32(z)<<6|uint32(w), 4
				i += 4
			}
		}
		if have < 4 {
			x := sextet[b[i]]
			if x == 255 {
				if b[i] != '\r' && b[i] != '\n' {
					break
				}
				i++
				continue
			}
			i++
			if acc, have = acc<<6|uint32(x), have+1; have < 4 {
				continue
			}
		}
		c0, c1, c2 := byte(acc>>16), byte(acc>>8), byte(acc)
		if strange || control(c0) || control(c1) || control(c2) {
			return false
		}
		strange = max(c0, c1, c2) >= 0xF8
		out[n], out[n+1], out[n+2] = c0, c1, c2
		n += 3
		acc, have = 0, 0
	}
	odd := 0
	for _, c := range out[:n] {
		if c >= 0x80 {
			odd++
		}
	}
	if n < 9 || odd*3 > n*2 {
		return false
	}
	whole := n
	for k := 1; k < utf8.UTFMax && odd > 0; k++ {
		if c := out[n-k]; c < 0x80 || utf8.RuneStart(c) {
			if c >= 0x80 {
				whole = n - k // the last character may be cut
			}
			break
		}
	}
	return odd == 0 || utf8.Valid(out[:whole])
}

// control reports whether c is a control character other than blanks and line ends.
func control(c byte) bool { return controls[c] }

var controls = func() (t [256]bool) {
	for c := range t {
		t[c] = c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0x7F
	}
	return t
}()

// Plain64 appends what the base64 b says to dst, without a map back to it; ok is false when
// b has more in it than the letters of base64, line ends between and padding behind, and only
// the view can tell.
func Plain64(dst, b []byte) (plain []byte, ok bool) {
	plain = dst
	acc, have := uint32(0), 0
	for i := 0; i < len(b); i++ {
		for have == 0 && i+4 <= len(b) { // the usual case: four letters in a row
			x, y, z, w := sextet[b[i]], sextet[b[i+1]], sextet[b[i+2]], sextet[b[i+3]]
			if max(x, y, z, w) == 255 {
				break
			}
			plain = append(plain, x<<2|y>>4, y<<4|z>>2, z<<6|w)
			i += 4
		}
		if i == len(b) {
			break
		}
		x := sextet[b[i]]
		if x == 255 {
			if b[i] == '\r' || b[i] == '\n' {
				continue
			}
			if b[i] != '=' {
				return nil, false
			}
			break
		}
		if acc, have = acc<<6|uint32(x), have+1; have == 4 {
			plain = append(plain, byte(acc>>16), byte(acc>>8), byte(acc))
			acc, have = 0, 0
		}
	}
	if have > 1 {
		acc <<= 6 * (4 - have)
		plain = append(plain, byte(acc>>16), byte(acc>>8))[:len(plain)+have-1]
	}
	return plain, true
}

// base64 appends what the base64 src[from:to] says; each byte stands for the four
// letters it is in, so that a mask can be written in whole groups. It returns the
// number of bytes, or -1 when src holds something else.
func (v *View) base64(src *View, from, to int) int {
	b := src.text
	var group [4]int
	var acc uint32
	have, n := 0, 0
	flush := func(bytes int) {
		start, _ := src.Raw(group[0], group[0]+1)
		_, end := src.Raw(group[have-1], group[have-1]+1)
		for k := range bytes {
			v.Append(byte(acc>>(16-8*k)), start, end)
		}
		n += bytes
	}
	for i := from; i < to; i++ {
		for have == 0 && i+4 <= to { // the usual case: four letters in a row
			x, y, z, w := sextet[b[i]], sextet[b[i+1]], sextet[b[i+2]], sextet[b[i+3]]
			if max(x, y, z, w) == 255 {
				break
			}
			all := span{int32(src.start(i)), int32(src.end(i + 3))}
			v.text = append(v.text, x<<2|y>>4, y<<4|z>>2, z<<6|w)
			v.spans = append(v.spans, all, all, all)
			v.changed++
			n += 3
			i += 4
		}
		if i == to {
			break
		}
		x := sextet[b[i]]
		if x == 255 {
			switch b[i] {
			case '\r', '\n':
				continue
			case '=':
				if have < 2 {
					return -1
				}
				acc <<= 6 * (4 - have)
				bytes := have - 1
				for have < 4 && i < to && b[i] == '=' {
					group[have] = i
					have++
					i++
				}
				flush(bytes)
				v.changed++
				return n
			}
			return -1
		}
		group[have] = i
		acc, have = acc<<6|uint32(x), have+1
		if have == 4 {
			flush(3)
			acc, have = 0, 0
		}
	}
	if have > 1 { // unpadded
		acc <<= 6 * (4 - have)
		flush(have - 1)
	}
	v.changed++
	return n
}
