package detect

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// nonDigits has the high bit set in each byte of the result whose byte in w is
// no ASCII digit. The digit's distance from '0' is exact in the low seven bits
// after the exclusive or, so adding 0x76 carries into bit seven from ten on;
// bytes that had bit seven set keep it through the or.
func nonDigits(w uint64) uint64 {
	t := w ^ 0x30*ones
	return ((t&(0x7f*ones) + 0x76*ones) | t) & highs
}

// nextDigit returns the offset of the first ASCII digit at or after i, or
// len(text) when there is none.
func nextDigit(text []byte, i int) int {
	if i+8 <= len(text) { // mostly it is near
		if m := nonDigits(binary.LittleEndian.Uint64(text[i:])) ^ highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i+32 <= len(text) {
		b := text[i : i+32 : i+32]
		n := nonDigits(binary.LittleEndian.Uint64(b)) &
			nonDigits(binary.LittleEndian.Uint64(b[8:])) &
			nonDigits(binary.LittleEndian.Uint64(b[16:])) &
			nonDigits(binary.LittleEndian.Uint64(b[24:]))
		if n != highs {
			break
		}
		i += 32
	}
	for i+8 <= len(text) {
		if m := nonDigits(binary.LittleEndian.Uint64(text[i:])) ^ highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(text) && !isDigit(text[i]) {
		i++
	}
	return i
}

// digitAfter is nextDigit behind a run of digits that ends at i: mostly one separator
// stands between it and the next.
func digitAfter(text []byte, i int) int {
	if i+1 < len(text) && isDigit(text[i+1]) && !isDigit(text[i]) {
		return i + 1
	}
	return nextDigit(text, i)
}

// runEnd returns the offset of the first byte at or after i that is no digit.
func runEnd(text []byte, i int) int {
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	return i
}

// longRunEnd is runEnd for runs of which most are long.
func longRunEnd(text []byte, i int) int {
	for i+8 <= len(text) {
		if m := nonDigits(binary.LittleEndian.Uint64(text[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	return runEnd(text, i)
}

func isDigit(b byte) bool { return b-'0' <= 9 }

// wordSpan returns the offset of the first byte at or after i that is no ASCII letter or
// digit, and at most limit, which is at most len(text); i when that is behind limit.
func wordSpan(text []byte, i, limit int) int {
	if i >= limit || charsets[text[i]]&setAlnum == 0 {
		return i // as mostly
	}
	for i < limit && i+8 <= len(text) {
		w := binary.LittleEndian.Uint64(text[i:])
		x := w & (0x7F * ones) // no sum below carries into the next byte
		y := x | 0x20*ones
		letters := (y + (0x80-'a')*ones) &^ (y + (0x80-'z'-1)*ones)
		digits := (x + (0x80-'0')*ones) &^ (x + (0x80-'9'-1)*ones)
		if m := (^(letters | digits) | w) & highs; m != 0 {
			return min(limit, i+bits.TrailingZeros64(m)>>3)
		}
		i += 8
	}
	for i < limit && charsets[text[i]]&setAlnum != 0 {
		i++
	}
	return min(i, limit)
}

// wordStart is wordSpan for what stands in front of i: where the letters and digits of
// ASCII begin of which the last is in front of i, no farther back than low.
func wordStart(text []byte, i, low int) int {
	for i > low && i >= 8 {
		w := binary.LittleEndian.Uint64(text[i-8:])
		x := w & (0x7F * ones) // no sum below carries into the next byte
		y := x | 0x20*ones
		letters := (y + (0x80-'a')*ones) &^ (y + (0x80-'z'-1)*ones)
		digits := (x + (0x80-'0')*ones) &^ (x + (0x80-'9'-1)*ones)
		if m := (^(letters | digits) | w) & highs; m != 0 {
			return max(low, i-bits.LeadingZeros64(m)>>3)
		}
		i -= 8
	}
	for i > low && charsets[text[i-1]]&setAlnum != 0 {
		i--
	}
	return max(i, low)
}

// gap says what stands between two digit groups.
type gap uint8

const (
	gapSpace gap = 1 << iota // blank, tab, and the spaces of Unicode
	gapDash                  // hyphen, and the dashes and middle dots of Unicode
	gapDot
	gapLine // line feed or carriage return
	gapPath // slash, underscore, plus, brackets
	gapWeak // comma, colon, star, pipe: more often between numbers than within one
	gapMark // invisible characters
)

// none means that no separator of ours stands there.
const none gap = 0

// maxGapChars is how many separator characters may stand between two groups:
// " - " is the longest that people type, CR LF counts two.
const maxGapChars = 3

// asciiGap gives the gap kind of an ASCII byte.
var asciiGap = [256]gap{
	' ': gapSpace, '\t': gapSpace, '-': gapDash, '.': gapDot, '\n': gapLine, '\r': gapLine,
	'/': gapPath, '_': gapPath, '+': gapPath, '(': gapPath, ')': gapPath, '[': gapPath, ']': gapPath, ',': gapWeak, ':': gapWeak, '*': gapWeak, '|': gapWeak,
}

// separator returns the kind and the length in bytes of the separator character
// at i, or none.
func separator(text []byte, i int) (gap, int) {
	if b := text[i]; b < 0x80 {
		return asciiGap[b], 1
	}
	return wideSeparator(text, i)
}

// wideSeparator is separator for characters outside ASCII.
func wideSeparator(text []byte, i int) (gap, int) {
	b := text[i]
	switch b {
	case 0xC2:
		if i+1 < len(text) {
			switch text[i+1] {
			case 0xA0: // no-break space
				return gapSpace, 2
			case 0xB7: // middle dot
				return gapDash, 2
			case 0xAD: // soft hyphen
				return gapMark, 2
			}
		}
	case 0xE2:
		if i+2 < len(text) {
			c, d := text[i+1], text[i+2]
			switch {
			case c == 0x80 && d >= 0x80 && d <= 0x8A, // U+2000 to U+200A
				c == 0x80 && d == 0xAF, c == 0x81 && d == 0x9F: // U+202F, U+205F
				return gapSpace, 3
			case c == 0x80 && d >= 0x90 && d <= 0x95, // U+2010 to U+2015
				c == 0x80 && d == 0xA2, c == 0x88 && d == 0x92: // bullet, minus
				return gapDash, 3
			case c == 0x80 && d == 0xA6: // three dots in one
				return gapDot, 3
			case c == 0x80 && (d == 0xA8 || d == 0xA9): // line and paragraph separator
				return gapLine, 3
			case c == 0x80 && (d >= 0x8B && d <= 0x8F || d >= 0xAA && d <= 0xAE),
				c == 0x81 && (d == 0xA0 || d >= 0xA6 && d <= 0xA9): // zero width, direction
				return gapMark, 3
			}
		}
	case 0xE3:
		if i+2 < len(text) && text[i+1] == 0x80 && text[i+2] == 0x80 { // ideographic space
			return gapSpace, 3
		}
		if i+2 < len(text) && text[i+1] == 0x83 && text[i+2] == 0xBB { // katakana middle dot
			return gapDash, 3
		}
	case 0xEF:
		if i+2 < len(text) {
			switch c, d := text[i+1], text[i+2]; {
			case c == 0xB9 && (d == 0x98 || d == 0xA3), c == 0xBC && d == 0x8D: // small and full-width dashes
				return gapDash, 3
			case c == 0xBB && d == 0xBF: // zero width no-break space
				return gapMark, 3
			}
		}
	}
	return none, 0
}

// gapAfter returns the offset of the digit that follows one to three separator
// characters at i, and what they are. The result is none when something else
// stands there.
func gapAfter(text []byte, i int) (int, gap) {
	if i+1 < len(text) && text[i] < 0x80 { // mostly there is one separator or none
		g, b := asciiGap[text[i]], text[i+1]
		switch {
		case g == none:
			return i, none
		case isDigit(b):
			return i + 1, g
		case asciiGap[b] == none && b < 0x80:
			return i + 1, none
		}
	}
	return longGapAfter(text, i)
}

// longGapAfter is gapAfter for anything that is not usual.
func longGapAfter(text []byte, i int) (int, gap) {
	var kinds gap
	for n := 0; n < maxGapChars && i < len(text); n++ {
		g, size := separator(text, i)
		if g == none {
			return i, none
		}
		kinds |= g
		i += size
		if i < len(text) && isDigit(text[i]) {
			return i, kinds
		}
	}
	return i, none
}

// gapBefore returns the offset just behind the digit that stands before one to
// three separator characters that end at i, and what they are, or none. It
// looks no further than lo.
func gapBefore(text []byte, i, lo int) (int, gap) {
	var kinds gap
	for n := 0; n < maxGapChars && i > lo; n++ {
		g, size := separatorBefore(text, i)
		if g == none {
			return i, none
		}
		kinds |= g
		i -= size
		if i > lo && isDigit(text[i-1]) {
			return i, kinds
		}
	}
	return i, none
}
