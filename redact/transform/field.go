package transform

import "github.com/caregate/caregate/redact"

// AppendTag is [Append] for a value in a tag: what is no letter, digit, hyphen or
// underscore of the mask becomes an underscore, so that the tag stays one.
func AppendTag(dst, value []byte, c redact.Class, a redact.Action) []byte {
	n := len(dst)
	dst = Append(dst, value, c, a)
	if !a.Rewrites() {
		return dst
	}
	out := dst[:n]
	for _, b := range dst[n:] {
		switch {
		case isDigit(b), b|0x20 >= 'a' && b|0x20 <= 'z', b == '-', b == '_':
			out = append(out, b)
		case b < 0x80 || b >= 0xC0: // of a character that is longer, once
			out = append(out, '_')
		}
	}
	return out
}

// Bounds of what a field for masked cards takes.
const (
	fewestX = 9
	mostX   = 15
)

// AppendCardField appends what a field for masked card numbers takes in the place of
// one: X for all digits but the last four, and nothing else. It appends nothing where
// no digit may stay.
func AppendCardField(dst, card []byte, a redact.Action) []byte {
	var buf [64]byte
	masked := Append(buf[:0], card, redact.CreditCard, a)
	var last [4]byte
	xs, digits := 0, 0
	for _, b := range masked {
		switch {
		case b == 'X':
			xs++
		case isDigit(b):
			copy(last[:], last[1:])
			last[3] = b
			digits++
		}
	}
	if digits != 4 {
		return dst
	}
	for range min(max(xs, fewestX), mostX) {
		dst = append(dst, 'X')
	}
	return append(dst, last[:]...)
}
