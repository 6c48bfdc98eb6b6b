package spoken

// join says what stands between a token and the one before it.
type join uint8

const (
	joinNone   join = iota // nothing: letters and digits side by side
	joinHyphen             // one hyphen or dash
	joinTight              // blanks, and hyphens with blanks
	joinComma              // a comma and blanks
	joinSoft               // other punctuation, a line end, anything else
)

// token is a word, a run of digits, or the name of a speaker.
type token struct {
	start, end int
	word       uint16 // of the dictionary; 0 for unknown words and for digits
	kind       kind
	join       join
}

type kind uint8

const (
	kindWord kind = iota
	kindDigits
	kindLabel // a speaker's name and colon, or the time in front of it
	kindOther // digits that are a time, a price, an ordinal
)

// next reads the token at or after i. ok is false at the end of the text. It
// looks no further than maxLabel bytes around the token, so that it reads the
// same wherever it began.
func (r *Reader) next(text []byte, i int) (t token, ok bool) {
	from := i
	t.join = joinNone
	for i < len(text) && !wordByte(text[i]) && text[i]-'0' > 9 {
		switch b := text[i]; b {
		case ' ', '\t', 0xA0:
			t.join = max(t.join, joinTight)
		case '-':
			t.join = max(t.join, joinHyphen)
		case 0xC2, 0xE2:
			// Blanks and dashes outside ASCII; other characters there are punctuation.
			if size := wideBlank(text[i:]); size > 0 {
				i += size - 1
				t.join = max(t.join, joinTight)
			} else {
				t.join = joinSoft
			}
		case '\'':
			t.join = max(t.join, joinHyphen)
		case ',':
			t.join = max(t.join, joinComma)
		default:
			t.join = joinSoft
		}
		i++
	}
	if i == len(text) {
		return t, false
	}
	if t.join == joinHyphen && i-from > 1 {
		t.join = joinTight
	}
	t.start = i
	if text[i]-'0' <= 9 {
		for i < len(text) && text[i]-'0' <= 9 {
			i++
		}
		t.end, t.kind = i, kindDigits
		if !plainDigits(text, t.start, t.end) {
			t.kind = kindOther
			if end := clock(text, t.start, t.end); end > 0 {
				t.end, t.kind = end, kindLabel
			}
		}
		return t, true
	}
	for i < len(text) && wordByte(text[i]) {
		i++
	}
	t.end = i
	t.word = r.dict.findAt(text, t.start, t.end)
	if t.word == 0 || r.dict.langs[t.word] == 0 {
		if end := r.label(text, t.start, t.end); end > 0 {
			t.end, t.kind = end, kindLabel
		}
	}
	return t, true
}

// wideBlank returns the size of the blank or dash outside ASCII at the begin of
// text, 0 when there is none.
func wideBlank(text []byte) int {
	switch {
	case len(text) >= 2 && text[0] == 0xC2 && text[1] == 0xA0:
		return 2
	case len(text) >= 3 && text[0] == 0xE2 && text[1] == 0x80 && (text[2] <= 0x95 || text[2] == 0xAF):
		return 3
	}
	return 0
}

// maxDigits is the longest run of digits that may be part of a spoken number; a
// longer one is no card and no part of one.
const maxDigits = 19

// plainDigits reports whether the digits may be part of a spoken number: not a
// price, a share, an ordinal, a time or a fraction.
func plainDigits(text []byte, start, end int) bool {
	if end-start > maxDigits {
		return false
	}
	if start > 0 {
		switch b := text[start-1]; {
		case wordByte(b), b == '$', b == '#', b == '+', b == '_', b == '/':
			return false
		case b == ':' && start > 1 && text[start-2]-'0' <= 9:
			return false
		}
	}
	if end < len(text) {
		switch b := text[end]; {
		case wordByte(b), b == '%', b == '_', b == '/':
			return false
		case b == ':':
			return end+1 == len(text) || text[end+1]-'0' > 9 && text[end+1] != ' '
		}
	}
	return true
}

// clock returns the end of the time that begins at start, 0:05, 00:01:12.345, with
// a bracket behind it, or 0.
func clock(text []byte, start, end int) int {
	colons := 0
	for end < len(text) && end-start < 16 && (text[end] == ':' || text[end] == '.' || text[end]-'0' <= 9) {
		if text[end] == ':' {
			colons++
		}
		end++
	}
	if colons == 0 {
		return 0
	}
	return end
}

// maxLabel is how long the name of a speaker may be, in bytes.
const maxLabel = 32

// label returns the end of the speaker's name that begins with the word at
// text[start:end], behind the colon, or 0. At the begin of a line any one to
// three words are a name, elsewhere only those that the tables have as roles.
func (r *Reader) label(text []byte, start, end int) int {
	if r.column(text, start, end) {
		return end
	}
	i := end
	for i < len(text) && i-start < maxLabel && (wordByte(text[i]) || text[i]-'0' <= 9 || text[i] == ' ' || text[i] == '(' || text[i] == ')' || text[i] == '_') {
		i++
	}
	if i == len(text) || i-start >= maxLabel || text[i] != ':' {
		return 0
	}
	words := 1
	for j := end; j < i; j++ {
		if text[j] == ' ' {
			words++
		}
	}
	role, part := false, false
	if w := r.dict.find(text[start:end]); w != 0 {
		for _, s := range r.dict.senses[w] {
			role = role || s.roles&roleSpeaker != 0
			part = part || s.roles&roleOrdinal != 0 && s.roles&roleFiller != 0
		}
	}
	if text[i-1]-'0' <= 9 && (part || !role && text[i-2] == ' ') {
		return 0 // "first 4: 4111", "Teil 2: 4111" name a part of the number
	}
	if words > 3 || !role && !lineBegins(text, start) || words > 1 && role && !lineBegins(text, start) && text[i-1]-'0' > 9 {
		return 0
	}
	return i + 1
}

// column reports whether the word text[start:end] is the role of a speaker in a column of its
// own: at the begin of a line, with a tab or more than one blank behind it.
func (r *Reader) column(text []byte, start, end int) bool {
	if end+1 >= len(text) || text[end] != '\t' && (text[end] != ' ' || text[end+1] != ' ') {
		return false
	}
	for _, s := range r.dict.senses[r.dict.find(text[start:end])] {
		if s.roles&roleSpeaker != 0 {
			return lineBegins(text, start)
		}
	}
	return false
}

// lineBegins reports whether nothing but blanks, brackets and a time stand
// between i and the begin of its line.
func lineBegins(text []byte, i int) bool {
	for n := 0; i > 0 && n < maxLabel; n++ {
		b := text[i-1]
		if b == '\n' || b == '\r' {
			return true
		}
		if b != ' ' && b != '\t' && b != '[' && b != ']' && b != '(' && b != ')' && b != ':' && b != '.' && b != '*' && b != '>' && b != '-' && b-'0' > 9 {
			return false
		}
		i--
	}
	return i == 0
}
