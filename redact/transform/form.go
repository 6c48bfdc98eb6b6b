package transform

import (
	"bytes"
	"strings"
)

// Form is what is left of a text of which only the form is shown: every character becomes X
// but blanks, line ends, and the signs of ASCII. So its length is seen, and where its words
// end.
func Form(text string) string {
	return strings.Map(func(r rune) rune {
		if staysInForm(r) {
			return r
		}
		return 'X'
	}, text)
}

// staysInForm tells whether a character is the same in the form of a text.
func staysInForm(r rune) bool {
	switch {
	case r == ' ' || r == '\t' || r == '\r' || r == '\n':
		return true
	case r < '!' || r > '~':
		return false
	}
	return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
}

// IsForm reports whether text is a form, in capitals or not, because some who store texts
// change that: it has an X, and nothing that Form would have changed. A text that has no
// character to hide in it is none.
func IsForm(text []byte) bool {
	if bytes.IndexByte(text, 'X') < 0 && bytes.IndexByte(text, 'x') < 0 {
		return false
	}
	for _, b := range text {
		if b|0x20 != 'x' && !staysInForm(rune(b)) {
			return false
		}
	}
	return true
}
