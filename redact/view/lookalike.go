package view

import "unicode/utf8"

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

// Lookalike returns the end of the word with which b begins, and whether it is
// digits and letters that look like digits, some of each.
func Lookalike(b []byte) (end int, ok bool) {
	digits, letters := false, false
	for end < len(b) && end < maxLookalike {
		if digit(b[end]) {
			digits = true
			end++
			continue
		}
		if !letter(b[end]) && b[end] < utf8.RuneSelf {
			break
		}
		d, n := alike(b[end:])
		if d == 0 {
			return end + n, false
		}
		letters = true
		end += n
	}
	return end, digits && letters && end < maxLookalike
}

// lookalikeGap is how many bytes may stand between two digits of one number:
// three separators of three bytes.
const lookalikeGap = 9

// LookalikeCount counts the digits, and the characters that look like one, of the
// row of them that text[i:end] belongs to, no farther than reach bytes on both
// sides. A letter that looks like no digit ends the row.
func LookalikeCount(text []byte, i, end, reach int) int {
	n := 0
	for at, gap := i, 0; at < len(text) && at < end+reach && gap <= lookalikeGap; {
		switch d, size := alike(text[at:]); {
		case digit(text[at]), d != 0:
			n, gap = n+1, 0
			at += size
		case letter(text[at]):
			at = len(text)
		default:
			gap += size
			at += size
		}
	}
	for at, gap := i, 0; at > 0 && at > i-reach && gap <= lookalikeGap; {
		size := 1
		if text[at-1] >= utf8.RuneSelf {
			_, size = utf8.DecodeLastRune(text[:at])
		}
		switch d, _ := alike(text[at-size:]); {
		case digit(text[at-size]), d != 0:
			n, gap = n+1, 0
		case letter(text[at-size]):
			return n
		default:
			gap += size
		}
		at -= size
	}
	return n
}

// Lookalikes reads raw[from:to] with letters that look like digits as digits, in
// words that have digits and no other letters. That says something only where a
// number is expected. The view is valid until the next call.
func (r *Reader) Lookalikes(raw []byte, from, to int) *View {
	v := &r.folded
	v.Reset()
	for i := from; i < to; {
		if !digit(raw[i]) && !letter(raw[i]) && raw[i] < utf8.RuneSelf {
			v.Append(raw[i], i, i+1)
			i++
			continue
		}
		end, ok := Lookalike(raw[i:to])
		for !ok && i+end < to && (digit(raw[i+end]) || letter(raw[i+end]) || raw[i+end] >= utf8.RuneSelf) {
			end++ // all of the word
		}
		for stop := i + end; i < stop; {
			size := 1
			b := raw[i]
			if ok && !digit(b) {
				b, size = alike(raw[i:stop])
				v.changed++
			}
			v.Append(b, i, i+size)
			i += size
		}
	}
	return v
}
