package view

import (
	"slices"
	"unicode/utf8"
)

// MinHex is the length of the shortest hexadecimal text that is undone, in letters:
// nine digits take two each.
const MinHex = 18

// maxHexLook is how many letters of hexadecimal text HexText decodes.
const maxHexLook = 128

// HexText reports whether hexadecimal digits are pairs that stand for text, printable
// ASCII or UTF-8, as far as a look goes.
func HexText(b []byte) bool {
	if len(b)%2 != 0 || len(b) < MinHex {
		return false
	}
	var text [maxHexLook / 2]byte
	n := 0
	for ; n < len(text) && 2*n < len(b); n++ {
		c := hexDigit(b[2*n])<<4 | hexDigit(b[2*n+1])
		if c == 0x7F || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
		text[n] = byte(c)
	}
	for k := 1; 2*n < len(b) && k < utf8.UTFMax; k++ {
		if utf8.RuneStart(text[n-k]) {
			n -= k // the last character may be cut
			break
		}
	}
	return utf8.Valid(text[:n])
}

// Hex reads raw[from:to], pairs of hexadecimal digits, with raw[context:from] in
// front of it as it stands but for the sign 0x or \x. Each byte stands for the pair it
// is written in. The view is valid until the next call.
func (r *Reader) Hex(raw []byte, context, from, to int) *View {
	r.folded.Reset()
	front := from
	if front-2 >= context && raw[front-1]|0x20 == 'x' {
		front -= 2
	}
	v := &r.folded
	v.Copy(raw, context, front, 0)
	pairs := raw[from : from+max(0, to-from)/2*2]
	v.text, v.spans = slices.Grow(v.text, len(pairs)/2), slices.Grow(v.spans, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		v.text = append(v.text, byte(hexDigits[pairs[i]]<<4|hexDigits[pairs[i+1]]))
		v.spans = append(v.spans, span{int32(from + i), int32(from + i + 2)})
		v.changed++
	}
	return v
}
