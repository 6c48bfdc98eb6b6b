package view

import (
	"bytes"
	"unicode/utf8"
)

// maxLookalike is the longest word that is read as digits, in bytes: nineteen
// characters of two bytes.
const maxLookalike = 38

// lookalikes gives the letters that people and recognisers of print mistake for
// digits. Those of hexadecimal numbers in lower case are left out.
var lookalikes = [128]byte{
	'O': '0', 'o': '0', 'Q': '0', 'D': '0', 'l': '1', 'I': '1', 'i': '1', 'Z': '2', 'z': '2', 'S': '5', 's': '5', 'G': '6', 'B': '8', 'g': '9', 'q': '9',
}

// alike returns the digit that the character at the begin of b looks like, and the
// length of the character; 0 when it looks like none.
func alike(b []byte) (digit byte, size int) {
	if b[0] < utf8.RuneSelf {
		return lookalikes[b[0]], 1
	}
	r, n := utf8.DecodeRune(b)
	switch r {
	case 'О', 'о', 'Ο', 'ο': // Cyrillic and Greek
		return '0', n
	}
	return 0, n
}

// Alike returns the digit that the character at the begin of b, which is not empty, looks
// like, and the length of the character; 0 when it looks like none.
func Alike(b []byte) (digit byte, size int) { return alike(b) }

// Lookalike returns the end of the word with which b begins, and whether it is
// digits and letters that look like digits, some of each.
func Lookalike(b []byte) (end int, ok bool) {
	kinds := uint8(0)
	for end < len(b) && end < maxLookalike {
		kind, n := wordKinds[b[end]], 1
		if kind == wordWide {
			var d byte
			if d, n = alike(b[end:]); d != 0 {
				kind = wordAlike
			}
		}
		switch kind {
		case 0:
			return end, kinds == wordDigit|wordAlike
		case wordUnlike, wordWide:
			return end + n, false
		}
		kinds |= kind
		end += n
	}
	return end, kinds == wordDigit|wordAlike && end < maxLookalike
}

// EscapeRest returns how much of b[i:] belongs to the percent escape of a sign that begins right
// in front of i, so that the word behind it seems to be glued to two digits: %204O12. It is 0
// when there is none.
func EscapeRest(b []byte, i int) int {
	if i == 0 || b[i-1] != '%' || i+2 > len(b) {
		return 0
	}
	if c := hexByte(b, i); c < 0 || c >= utf8.RuneSelf || c == '%' || letter(byte(c)) || digit(byte(c)) {
		return 0
	}
	return 2
}

// groupOfLetters reports whether the word b[:end] is four letters that look like
// digits.
func groupOfLetters(b []byte, end int) bool {
	if end != 4 {
		return false
	}
	for _, c := range b[:end] {
		if c >= utf8.RuneSelf || lookalikes[c] == 0 {
			return false
		}
	}
	return end == len(b) || !letter(b[end]) && !digit(b[end]) && b[end] < utf8.RuneSelf
}

// digits reports whether b is digits only.
func digits(b []byte) bool {
	for _, c := range b {
		if !digit(c) {
			return false
		}
	}
	return true
}

// lookalikeGap is how many bytes may stand between two digits of one number:
// three separators of three bytes.
const lookalikeGap = 9

// LookalikeCount counts the digits, and the characters that look like one, of the
// row of them that text[i:end] belongs to, no farther than reach bytes on both
// sides. A letter that looks like no digit ends the row, but for X: it may stand for a
// digit that was masked, and the row is as long as it was before.
func LookalikeCount(text []byte, i, end, reach int) int {
	n := 0
	for at, gap := i, 0; at < len(text) && at < end+reach && gap <= lookalikeGap; {
		kind, size := rowKinds[text[at]], 1
		if kind == rowWide {
			var d byte
			if d, size = alike(text[at:]); d != 0 {
				kind = rowDigit
			}
		}
		switch kind {
		case rowDigit:
			n, gap = n+1, 0
		case rowEnd:
			at = len(text)
		default:
			gap += size
		}
		at += size
	}
	for at, gap := i, 0; at > 0 && at > i-reach && gap <= lookalikeGap; {
		kind, size := rowKinds[text[at-1]], 1
		if kind == rowWide {
			_, size = utf8.DecodeLastRune(text[:at])
			kind = rowKinds[text[at-size]]
			if d, _ := alike(text[at-size:]); d != 0 {
				kind = rowDigit
			}
		}
		switch kind {
		case rowDigit:
			n, gap = n+1, 0
		case rowEnd:
			return n
		default:
			gap += size
		}
		at -= size
	}
	return n
}

// What a byte is in a row of digits and letters that look like them: none of it, a digit,
// a letter that ends it, or one of a character outside ASCII.
const (
	rowGap = iota
	rowDigit
	rowEnd
	rowWide
)

var rowKinds = func() (t [256]uint8) {
	for b := range t {
		switch c := byte(b); {
		case c >= utf8.RuneSelf:
			t[b] = rowWide
		case digit(c), lookalikes[c] != 0, c == 'X':
			t[b] = rowDigit
		case letter(c):
			t[b] = rowEnd
		}
	}
	return t
}()

// What a byte is in a word: a digit, a letter that looks like one, any other letter, or part
// of a character outside ASCII.
const (
	wordDigit = 1 << iota
	wordAlike
	wordUnlike
	wordWide
)

var wordKinds = func() (t [256]uint8) {
	for b := range t {
		switch c := byte(b); {
		case c >= utf8.RuneSelf:
			t[b] = wordWide
		case digit(c):
			t[b] = wordDigit
		case letter(c) && lookalikes[c] != 0:
			t[b] = wordAlike
		case letter(c):
			t[b] = wordUnlike
		}
	}
	return t
}()

// Lookalikes reads raw[from:to] with letters that look like digits as digits, in
// words that have digits and no other letters, and in groups of four such letters
// right behind one of those, or behind four digits. Percent escapes of signs are undone in
// front of words, which they would be glued to. That says something only where a
// number is expected. The view is valid until the next call.
func (r *Reader) Lookalikes(raw []byte, from, to int) *View {
	v := &r.folded
	v.Reset()
	behind := from // where the last word of digits ended
	plain := from  // up to where the raw text was appended
	if ascii(raw[from:to]) && bytes.IndexByte(raw[from:to], '%') < 0 {
		v.Copy(raw, from, to, 0) // each letter is as long as its digit
		plain = to
	}
	for i := from; i < to; {
		if wordKinds[raw[i]] == 0 {
			i++
			continue
		}
		if i > from && raw[i-1] == '%' {
			if n := EscapeRest(raw[:to], i); n > 0 {
				v.Copy(raw, plain, i-1, 0)
				v.Append(byte(hexByte(raw, i)), i-1, i+n)
				i += n
				plain = i
				continue
			}
		}
		stop, kinds := i, uint8(0)
		for ; stop < to && wordKinds[raw[stop]] != 0; stop++ {
			kinds |= wordKinds[raw[stop]]
		}
		if kinds == wordDigit || kinds&(wordUnlike|wordWide) == wordUnlike { // as mostly: no letters, or others
			if kinds == wordDigit && stop-i == 4 {
				behind = stop
			}
			i = stop
			continue
		}
		end, ok := Lookalike(raw[i:to])
		ok = ok || behind > from && i-behind <= lookalikeGap && groupOfLetters(raw[i:to], end)
		for !ok && i+end < to && wordKinds[raw[i+end]] != 0 {
			end++ // all of the word
		}
		if ok || end == 4 && digits(raw[i:i+end]) {
			behind = i + end
		}
		if !ok {
			i += end
			continue
		}
		if stop = i + end; kinds&wordWide == 0 {
			if plain < stop {
				v.Copy(raw, plain, stop, 0)
				plain = stop
			}
			for word := v.text[len(v.text)-(plain-i):][:end]; len(word) > 0; word = word[1:] {
				if b := lookalikes[word[0]]; b != 0 {
					word[0] = b
					v.changed++
				}
			}
			i = stop
			continue
		}
		v.Copy(raw, plain, i, 0)
		for i < stop {
			b, size := raw[i], 1
			if !digit(b) {
				b, size = alike(raw[i:stop])
				v.changed++
			}
			v.Append(b, i, i+size)
			i += size
		}
		plain = i
	}
	v.Copy(raw, plain, to, 0)
	return v
}
