package detect

import (
	"bytes"
	"unicode/utf8"

	"github.com/caregate/caregate/redact/view"
)

// marks say where text has to be read another way: at a digit that is written in
// another script or an encoding, or at something hidden between two digits.
type marks uint8

const (
	markNormal marks = 1 << iota // view.Reader.Normal
	markQuoted                   // the same with quoted-printable undone
	mark64                       // view.Reader.Base64
	markHex                      // view.Reader.Hex
)

// printedGroup is how many digits the first group of a card has, as it is printed.
const printedGroup = 4

// maxBetween is how many characters, tags or escapes may stand between two digits
// of a number.
const maxBetween = 6

// opens are the bytes with which something begins that has to be undone.
var opens = [256]bool{'<': true, '&': true, '%': true, '\\': true, '=': true}

// The bytes that decide about a mark stand so far in front of it and behind it at most: the
// begin of its escape, and as many tags as may stand between two digits.
const (
	escapeReach = 8
	markLook    = maxBetween * 256
)

// markBytes are the bytes without which no mark asks for a way of reading.
var markBytes = func() (t [256]marks) {
	for b := range t {
		switch {
		case b == '=':
			t[b] = markQuoted
		case opens[b] || b >= 0x80:
			t[b] = markNormal
		}
	}
	return t
}()

// markAt says how the run of digits text[i:end], or what touches it, has to be
// read.
func markAt(text []byte, i, end int) marks {
	m := markBefore(text, i)
	if m == 0 && i > 0 && end-i >= printedGroup && (end-i >= minCard || end < len(text) && (asciiGap[text[end]] != none || text[end] >= utf8.RuneSelf)) {
		m = touchesEscape(text, i, end)
	}
	if end == len(text) {
		return m
	}
	c := text[end]
	if asciiGap[c] != none && end+1 < len(text) {
		c = text[end+1]
	}
	if opens[c] || c >= 0x80 {
		m |= markAfter(text, end)
	}
	return m
}

// markBefore says whether the run of digits at i is part of an escape that stands
// for a digit.
func markBefore(text []byte, i int) marks {
	if i == 0 {
		return 0
	}
	b := text[i-1]
	if !opens[b] && b != '#' && !isLetter(b) {
		return 0
	}
	j := i
	for j > 0 && i-j < escapeReach && isHex(text[j-1]) {
		j--
	}
	if j == 0 {
		return 0
	}
	front := text[:j]
	switch text[j-1] {
	case '#', 'x', 'X':
		if text[j-1] != '#' {
			front = front[:j-1]
		}
		switch {
		case bytes.HasSuffix(front, []byte("&#")):
			if r, n := view.Entity(text[len(front)-2:]); n > 0 && isNumeral(r) {
				return markNormal
			}
		case bytes.HasSuffix(front, []byte("&amp;#")):
			return markNormal
		case text[j-1] == 'x' && bytes.HasSuffix(front, []byte(`\`)):
			return markNormal
		}
	case 'u':
		if j >= 2 && text[j-2] == '\\' {
			if r, n := view.UnicodeEscape(text[j-2:]); n > 0 && isNumeral(r) {
				return markNormal
			}
		}
	case '%', '=':
		if i-j > 1 {
			break
		}
		return markTriple(text, j-1)
	}
	return 0
}

// touchesEscape says how to undo an escape of percent, of JSON or of quoted-printable that ends
// in front of the run of digits text[i:end] or in it, so that the run is longer than the number,
// or seems to be glued to a letter: %20, %3D, \u0020 or =20 in front of a card.
func touchesEscape(text []byte, i, end int) marks {
	if b := text[i-1]; b != '%' && b != 'u' && b != '=' && !isHex(b) || !mayBegin(text, i, end) {
		return 0
	}
	j := i
	for j > 0 && i-j < len("000") && isHex(text[j-1]) {
		j--
	}
	if j == 0 {
		return 0
	}
	m := markNormal
	r, n := rune(0), 0
	switch b := text[j-1]; {
	case b == '%':
		r, n = triple(text, j-1)
		n -= len("%")
	case b == '=':
		m = markQuoted
		if r, n = triple(text, j-1); r < 0x80 && isLetter(byte(r)) {
			return 0 // nobody writes those so: card=4111...
		}
		n -= len("=")
	case b == 'u' && j >= 2 && text[j-2] == '\\':
		r, n = view.UnicodeEscape(text[j-2:])
		n -= len(`\u`)
	case j+1 < i:
		// Three hexadecimal digits, of which the first may stand behind a fourth.
		if j < 3 || !isHex(text[j-1]) || text[j-2] != 'u' || text[j-3] != '\\' {
			return 0
		}
		j--
		r, n = view.UnicodeEscape(text[j-2:])
		n -= len(`\u`)
	}
	if n <= 0 || isNumeral(r) || j+n < i || !mayBegin(text, j+n, end) {
		return 0
	}
	return m
}

// mayBegin reports whether a card may begin with the digits text[i:end]: there are enough of
// them, or other groups stand behind.
func mayBegin(text []byte, i, end int) bool {
	digits := end - i
	for digits > 0 && digits < minCard {
		next, g := gapAfter(text, end)
		if g == none {
			return false
		}
		end = runEnd(text, next)
		digits += end - next
	}
	return digits > 0
}

// markTriple says whether the percent or quoted-printable escape at i stands for
// a digit, for part of one, or for a sign of another escape.
func markTriple(text []byte, i int) marks {
	m := markNormal
	if text[i] == '=' {
		m = markQuoted
	}
	r, n := triple(text, i)
	switch {
	case n == 0:
		return 0
	case isNumeral(r):
		return m
	case r == '%' && m == markNormal && i+5 <= len(text) && isHex(text[i+3]) && isHex(text[i+4]):
		return m
	}
	return 0
}

// triple reads the character that the escape at i belongs to, written as one to
// four escapes of three bytes: %XX or =XX. It returns the character and how many
// bytes behind i belong to it.
func triple(text []byte, i int) (rune, int) {
	if i+3 > len(text) {
		return 0, 0
	}
	x := hexValue(text[i+1])<<4 | hexValue(text[i+2]) // negative when one of them is
	if x < 0 {
		return 0, 0
	}
	if x < 0x80 {
		return rune(x), 3
	}
	return wideTriple(text, i, x)
}

// wideTriple is triple for the escape at i of the byte x, which is not ASCII.
func wideTriple(text []byte, i, x int) (rune, int) {
	sign := text[i]
	value := func(i int) int {
		if i < 0 || i+3 > len(text) || text[i] != sign {
			return -1
		}
		return max(-1, hexValue(text[i+1])<<4|hexValue(text[i+2]))
	}
	first := i
	for n := 0; n < 3 && x&0xC0 == 0x80; n++ {
		first -= 3
		if x = value(first); x < 0 {
			return 0, 0
		}
	}
	var buf [utf8.UTFMax]byte
	n := 0
	for at := first; n < len(buf); at += 3 {
		x := value(at)
		if x < 0 || n > 0 && x&0xC0 != 0x80 {
			break
		}
		buf[n] = byte(x)
		n++
	}
	r, size := utf8.DecodeRune(buf[:n])
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, first + 3*size - i
}

// hexValue is the value of a hexadecimal digit, or -1.
func hexValue(b byte) int { return int(hexValues[b]) }

var hexValues = func() (t [256]int8) {
	for b := range t {
		switch c := byte(b); {
		case isDigit(c):
			t[b] = int8(c - '0')
		case isHex(c):
			t[b] = int8(c|0x20-'a') + 10
		default:
			t[b] = -1
		}
	}
	return t
}()

// markAfter says whether a digit follows end with something between that has to be
// undone or left out.
func markAfter(text []byte, end int) marks {
	if _, g := gapAfter(text, end); g != none && g&gapMark == 0 {
		return 0 // as mostly, what stands there needs nothing undone
	}
	var m marks
	for n, i := 0, end; n < maxBetween && i < len(text); n++ {
		if isDigit(text[i]) {
			return m
		}
		r, size, kind := unitAt(text, i)
		switch {
		case size == 0:
			return 0
		case isNumeral(r):
			return m | kind
		case r >= 0 && (r >= 0x80 || asciiGap[byte(r)] == none && pieceSigns[r] == 0) && view.SignOf(r) == view.None:
			return 0
		}
		if r >= 0x80 && view.SignOf(r) == view.Hidden {
			kind |= markNormal
		}
		m |= kind
		i += size
	}
	return 0
}

// unitAt reads the character at i, which may be escaped; a tag or a soft line break
// is the character -1. kind says what undoes it, 0 for a plain character.
func unitAt(text []byte, i int) (r rune, size int, kind marks) {
	switch b := text[i]; {
	case b >= 0x80:
		r, size = utf8.DecodeRune(text[i:])
		switch s := view.SignOf(r); s {
		case view.None, view.Hidden:
		case view.Space, view.Dash, view.Line:
			if g, _ := separator(text, i); g == none { // one of the rarer ones
				kind = markNormal
			}
		default:
			kind = markNormal
		}
		return r, size, kind
	case b == '<':
		n, _ := view.Tag(text[i:])
		return -1, n, markNormal
	case b == '&':
		r, n := view.Entity(text[i:])
		if n > 0 && r == '&' {
			if size := escapedEntity(text[i+n:]); size > 0 {
				return ' ', n + size, markNormal // &amp;nbsp;
			}
			return -1, n, markNormal // &amp;#52;
		}
		return r, n, markNormal
	case b == '%':
		r, n := triple(text, i)
		if n > 0 && r == '%' {
			return -1, n, markNormal
		}
		return r, n, markNormal
	case b == '=':
		if n := view.SoftBreak(text[i:]); n > 0 {
			return -1, n, markQuoted
		}
		r, n := triple(text, i)
		if n == 0 {
			return '=', 1, 0
		}
		return r, n, markQuoted
	case b == '\\':
		if i+1 < len(text) {
			switch text[i+1] {
			case 'n', 'r', 't':
				return ' ', 2, markNormal
			case '/':
				return '/', 2, markNormal
			case '\\':
				return -1, 1, markNormal
			}
		}
		r, n := view.UnicodeEscape(text[i:])
		return r, n, markNormal
	default:
		return rune(b), 1, 0
	}
}

// escapedEntity is the length of the rest of the entity of a separator, or of what nobody
// sees, whose ampersand was escaped and stands in front of text, or 0.
func escapedEntity(text []byte) int {
	const longest = len("&ZeroWidthSpace;")
	if len(text) < 2 || !isLetter(text[0]) {
		return 0
	}
	var buf [longest]byte
	buf[0] = '&'
	r, n := view.Entity(buf[:1+copy(buf[1:], text)])
	if n < 2 || text[n-2] != ';' {
		return 0
	}
	if s := view.SignOf(r); r < 0x80 && asciiGap[byte(r)] == none || r >= 0x80 && (s == view.None || s >= 0) {
		return 0
	}
	return n - 1
}

// isNumeral reports whether r is a digit of some script.
func isNumeral(r rune) bool { return r >= '0' && r <= '9' || r >= 0x80 && view.SignOf(r) >= 0 }
