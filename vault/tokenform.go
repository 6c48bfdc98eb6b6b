package vault

import "bytes"

// The form of a token: ptk1, 26 characters for 128 random bits, 4 characters of check,
// from the lower-case alphabet of Crockford's base 32, which lacks i, l, o and u. It
// has no more than six digits in a row, so that nothing that looks for the digits of a
// card stops at it (V4). This file writes and reads the form; whether a token is ours is
// for the key to say.
const (
	tokenPrefix = "ptk1"
	bodyChars   = 26
	checkChars  = 4
	// TokenSize is the length of a token in bytes, as it is issued.
	TokenSize = len(tokenPrefix) + bodyChars + checkChars
	// tokenAlphabet is in the order of the values.
	tokenAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	// maxDigitRun is how many digits may follow each other. The shortest card has
	// twelve, a telephone number without its area seven.
	maxDigitRun = 6
	checkBits   = 5 * checkChars
)

// tokenForm is what a token says.
type tokenForm struct {
	body  [idSize]byte
	check uint32 // checkBits of it
}

// appendForm appends the token.
func appendForm(dst []byte, f tokenForm) []byte {
	dst = append(dst, tokenPrefix...)
	var acc uint32
	bits := 0
	for _, b := range f.body {
		acc, bits = acc<<8|uint32(b), bits+8
		for bits >= 5 {
			bits -= 5
			dst = append(dst, tokenAlphabet[acc>>bits&31])
		}
	}
	dst = append(dst, tokenAlphabet[acc<<(5-bits)&31]) // three bits, then two of zero
	for shift := checkBits - 5; shift >= 0; shift -= 5 {
		dst = append(dst, tokenAlphabet[f.check>>shift&31])
	}
	return dst
}

// desksafe reports whether no row of digits in a token is too long.
func desksafe(token []byte) bool {
	run := 0
	for _, b := range token {
		if run++; b-'0' > 9 {
			run = 0
		}
		if run > maxDigitRun {
			return false
		}
	}
	return true
}

// issuable reports whether a token may be given out: one that is safe for a desk and has a
// zero. The base 58 of cryptocurrencies has none, and what takes a long word of it for an
// address, where a text speaks of sending, must not take a token for one (V4). Three in
// five have a zero. It is no part of the form: tokens without one are read.
func issuable(token []byte) bool {
	return desksafe(token) && bytes.IndexByte(token, '0') >= 0
}

// maxGap bounds what a mail program may put between two characters of a token, in
// bytes: a line end, the marks of quoting and some blanks.
const maxGap = 24

// shapeAt reads the form of a token that begins at text[i]. It is tolerant of case and of
// what wraps lines; the characters in front and behind must not be letters or digits.
// Nothing is guessed: i, l, o and u are no characters of a token.
func shapeAt(text []byte, i int) (f tokenForm, end int, ok bool) {
	if i > 0 && isWord(text[i-1]) {
		return f, 0, false
	}
	var chars [TokenSize]byte
	at := i
	for n := range chars {
		if n > 0 {
			at += gap(text[at:])
		}
		if at == len(text) {
			return f, 0, false
		}
		c := text[at]
		if c-'A' < 26 {
			c |= 0x20
		}
		if n < len(tokenPrefix) && c != tokenPrefix[n] || tokenValue[c] == noValue {
			return f, 0, false
		}
		chars[n] = c
		at++
	}
	if at < len(text) && isWord(text[at]) || !desksafe(chars[:]) {
		return f, 0, false
	}
	var acc uint32
	bits, n := 0, 0
	for _, c := range chars[len(tokenPrefix) : len(tokenPrefix)+bodyChars] {
		acc, bits = acc<<5|uint32(tokenValue[c]), bits+5
		if bits >= 8 {
			bits -= 8
			f.body[n] = byte(acc >> bits)
			n++
		}
	}
	if acc&3 != 0 {
		return f, 0, false // no token is written so
	}
	for _, c := range chars[len(tokenPrefix)+bodyChars:] {
		f.check = f.check<<5 | uint32(tokenValue[c])
	}
	return f, at, true
}

// gap returns how many bytes at the beginning of text only wrap or hide: blanks, line
// ends with the marks of quoting behind them, the soft line break of quoted-printable,
// hyphens, characters that nobody sees.
func gap(text []byte) int {
	line := false // a line has ended
	n := 0
	for n < len(text) && n < maxGap {
		rest := text[n:]
		switch c := rest[0]; {
		case c == '\n' || c == '\r':
			line = true
			n++
		case c == ' ', c == '\t', c == '-', line && (c == '>' || c == '|'):
			n++
		case c == '=' && len(rest) > 1 && (rest[1] == '\n' || rest[1] == '\r'):
			n++
		default:
			size := unseen(rest)
			if size == 0 {
				return n
			}
			n += size
		}
	}
	return n
}

// unseen is the length of the invisible character at the beginning of text: no-break
// space, soft hyphen, zero-width space, joiners, word joiner, byte order mark.
func unseen(text []byte) int {
	switch {
	case len(text) >= 2 && text[0] == 0xC2 && (text[1] == 0xA0 || text[1] == 0xAD):
		return 2
	case len(text) < 3:
	case text[0] == 0xE2 && (text[1] == 0x80 && text[2] >= 0x8B && text[2] <= 0x8D || text[1] == 0x81 && text[2] == 0xA0),
		text[0] == 0xEF && text[1] == 0xBB && text[2] == 0xBF:
		return 3
	}
	return 0
}

// nextShape returns the first form of a token at text[from:], and where it stands.
func nextShape(text []byte, from int) (f tokenForm, start, end int, ok bool) {
	for i := from; i+TokenSize <= len(text); i++ {
		if text[i]|0x20 != tokenPrefix[0] {
			continue
		}
		if f, end, ok := shapeAt(text, i); ok {
			return f, i, end, true
		}
	}
	return f, 0, 0, false
}

func isWord(b byte) bool { return b-'0' <= 9 || b|0x20-'a' < 26 }

const noValue = 0xFF

// tokenValue is the value of a character of a token, noValue for others.
var tokenValue = func() (values [256]byte) {
	for i := range values {
		values[i] = noValue
	}
	for i := range tokenAlphabet {
		values[tokenAlphabet[i]] = byte(i)
	}
	return values
}()
