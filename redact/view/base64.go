package view

import "unicode/utf8"

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

// Base64End returns where the base64 that begins at i ends, at most limit: letters
// of both alphabets, and single line ends between lines of at least 60 letters.
// Padding belongs to it.
func Base64End(b []byte, i, limit int) int {
	limit = min(limit, len(b))
	line := i
	for i < limit {
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
	for n := 0; n < 2 && i < limit && b[i] == '='; n++ {
		i++
	}
	return i
}

// Readable reports whether the first bytes of base64 decode to text, as what is
// worth undoing does: printable ASCII, or UTF-8.
func Readable(b []byte) bool {
	var out [24]byte
	n := 0
	var acc uint32
	have := 0
	for _, c := range b {
		x := sextet[c]
		if x == 255 {
			if c == '\r' || c == '\n' {
				continue
			}
			break
		}
		acc, have = acc<<6|uint32(x), have+1
		if have == 4 {
			if n+3 > len(out) {
				break
			}
			out[n], out[n+1], out[n+2] = byte(acc>>16), byte(acc>>8), byte(acc)
			n += 3
			acc, have = 0, 0
		}
	}
	odd := 0
	for _, c := range out[:n] {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
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
	return utf8.Valid(out[:whole])
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
