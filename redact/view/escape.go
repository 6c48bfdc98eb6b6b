package view

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// The longest constructs that are undone, in bytes. Longer ones are left as they
// are, which keeps a stream's look-ahead bounded.
const (
	maxEntity = 32
	maxTag    = 256
	maxWord   = 128 // an encoded word; RFC 2047 allows 75
)

// undo appends to v what src reads as when its escapes are undone once: HTML
// entities, tags and comments, percent escapes, backslash escapes, encoded words,
// and with quoted the escapes of quoted-printable. It reports whether there were
// any.
func (v *View) undo(src *View, quoted bool) bool {
	b, some := src.text, false
	plain := 0 // from here on up to i nothing is to be undone
	for i := 0; i < len(b); i++ {
		if !opens[b[i]] {
			continue
		}
		v.copyOf(src, plain, i)
		n := 0
		switch b[i] {
		case '&':
			n = v.entity(src, i)
		case '<':
			n = v.tags(src, i)
		case '%':
			if x := hexByte(b, i+1); x >= 0 {
				n = 3
				v.put(src, i, n, byte(x))
			}
		case '\\':
			n = v.backslash(src, i)
		case '=':
			if i+1 < len(b) && b[i+1] == '?' {
				n = v.encodedWord(src, i)
			} else if quoted {
				n = v.quoted(src, i)
			}
		}
		plain = i
		if n > 0 {
			some = true
			plain = i + n
			i += n - 1
		}
	}
	v.copyOf(src, plain, len(b))
	if some {
		v.changed++
	}
	return some
}

// opens are the bytes with which something begins that may have to be undone.
var opens = [256]bool{'&': true, '<': true, '%': true, '\\': true, '=': true}

// escaped reports whether b may hold something that undo undoes.
func escaped(b []byte) bool {
	for _, c := range b {
		if opens[c] {
			return true
		}
	}
	return false
}

// put appends one byte that stands for n bytes of src at i.
func (v *View) put(src *View, i, n int, b byte) {
	if n == 1 {
		v.Append(b, src.start(i), src.end(i))
		return
	}
	v.text = append(v.text, b)
	v.spans = append(v.spans, span{int32(src.start(i)), int32(src.end(i + n - 1))})
	v.changed++
}

// putRune appends a character that stands for n bytes of src at i.
func (v *View) putRune(src *View, i, n int, r rune) {
	var buf [utf8.UTFMax]byte
	for _, b := range utf8.AppendRune(buf[:0], r) {
		v.put(src, i, n, b)
	}
}

// entities are the named characters that may stand in or beside a number, and
// those that hide others.
var entities = map[string]rune{
	"nbsp": 0xA0, "ensp": 0x2002, "emsp": 0x2003, "emsp13": 0x2004, "emsp14": 0x2005, "numsp": 0x2007, "puncsp": 0x2008, "thinsp": 0x2009, "ThinSpace": 0x2009,
	"hairsp": 0x200A, "VeryThinSpace": 0x200A, "MediumSpace": 0x205F, "NonBreakingSpace": 0xA0, "Tab": '\t', "NewLine": '\n',
	"shy": 0xAD, "zwnj": 0x200C, "zwj": 0x200D, "lrm": 0x200E, "rlm": 0x200F, "ZeroWidthSpace": 0x200B, "NegativeThinSpace": 0x200B, "NegativeMediumSpace": 0x200B,
	"NegativeThickSpace": 0x200B, "NegativeVeryThinSpace": 0x200B, "NoBreak": 0x2060, "ApplyFunction": 0x2061, "af": 0x2061, "InvisibleTimes": 0x2062, "it": 0x2062,
	"InvisibleComma": 0x2063, "ic": 0x2063,
	"hyphen": 0x2010, "dash": 0x2010, "ndash": 0x2013, "mdash": 0x2014, "horbar": 0x2015, "minus": 0x2212, "middot": 0xB7, "centerdot": 0xB7, "CenterDot": 0xB7, "bull": 0x2022, "bullet": 0x2022,
	"amp": '&', "AMP": '&', "lt": '<', "LT": '<', "gt": '>', "GT": '>', "quot": '"', "QUOT": '"', "apos": '\'', "num": '#', "percnt": '%', "bsol": '\\', "sol": '/', "period": '.', "comma": ',',
	"colon": ':', "semi": ';', "lowbar": '_', "ast": '*', "midast": '*', "plus": '+', "equals": '=', "lpar": '(', "rpar": ')', "lsqb": '[', "lbrack": '[', "rsqb": ']', "rbrack": ']',
	"verbar": '|', "vert": '|', "VerticalLine": '|', "commat": '@', "dollar": '$', "excl": '!', "quest": '?', "grave": '`', "Hat": '^', "lcub": '{', "lbrace": '{', "rcub": '}', "rbrace": '}',
	"sup1": 0xB9, "sup2": 0xB2, "sup3": 0xB3,
}

// bareEntities are those that browsers also read without a semicolon.
var bareEntities = [...]string{"nbsp", "shy", "middot", "amp", "lt", "gt", "quot", "sup1", "sup2", "sup3"}

// entity appends the character of the entity at i and returns its length, or 0.
func (v *View) entity(src *View, i int) int {
	r, n := Entity(src.text[i:])
	if n > 0 {
		v.putRune(src, i, n, r)
	}
	return n
}

// Entity reads the HTML character reference with which b begins: numeric, with or
// without leading zeros and semicolon, or one of the names that matter in
// numbers. It returns the character and how many bytes the reference takes, 0 when
// there is none.
func Entity(b []byte) (rune, int) {
	if len(b) < 3 || b[0] != '&' {
		return 0, 0
	}
	b = b[:min(len(b), maxEntity)]
	if b[1] != '#' {
		n := 1
		for n < len(b) && (letter(b[n]) || digit(b[n])) {
			n++
		}
		if n < len(b) && b[n] == ';' {
			if r, ok := entities[string(b[1:n])]; ok {
				return r, n + 1
			}
			return 0, 0
		}
		for _, name := range bareEntities {
			if len(b) > len(name) && string(b[1:1+len(name)]) == name {
				return entities[name], 1 + len(name)
			}
		}
		return 0, 0
	}
	i, base := 2, rune(10)
	if b[2]|0x20 == 'x' {
		i, base = 3, 16
	}
	first, r := i, rune(0)
	for ; i < len(b); i++ {
		d := hexDigit(b[i])
		if d < 0 || rune(d) >= base {
			break
		}
		if r = r*base + rune(d); r > utf8.MaxRune {
			return 0, 0
		}
	}
	if i == first || r == 0 || i == len(b) && len(b) == maxEntity {
		return 0, 0
	}
	if i < len(b) && b[i] == ';' {
		i++
	}
	return r, i
}

// tags leaves out the tags and comments at i, and appends a blank where they keep
// apart what stands on both sides. It returns how many bytes of src they take.
func (v *View) tags(src *View, i int) int {
	b, at, block := src.text, i, false
	for at < len(b) && b[at] == '<' {
		n, apart := Tag(b[at:])
		if n == 0 {
			break
		}
		at += n
		block = block || apart
	}
	if at == i {
		return 0
	}
	if block || wordEnds(v.text) || wordBegins(b[at:]) {
		v.put(src, i, at-i, ' ')
	}
	return at - i
}

// wordEnds reports whether b ends with a letter, but for one of a mask of ours: what
// is masked stands where it stood as digits.
func wordEnds(b []byte) bool {
	n := len(b)
	return n > 0 && letter(b[n-1]) && (b[n-1] != 'X' || n < 2 || b[n-2] != 'X' && !digit(b[n-2]))
}

// wordBegins is the same for the letter with which b begins.
func wordBegins(b []byte) bool {
	return len(b) > 0 && letter(b[0]) && (b[0] != 'X' || len(b) < 2 || b[1] != 'X' && !digit(b[1]))
}

// apartTag reports whether the content of an element stands on its own line or in its
// own cell.
func apartTag(name []byte) bool {
	switch string(name) {
	case "br", "td", "th", "tr", "p", "div", "li", "ul", "ol", "hr", "table", "tbody", "dd", "dt", "dl", "h1", "h2", "h3", "h4", "h5", "h6",
		"pre", "section", "article", "blockquote", "option", "input", "label", "img":
		return true
	}
	return false
}

// Tag reads the HTML tag or comment with which b begins. It returns its length, 0
// when there is none, and whether it keeps its neighbours apart.
func Tag(b []byte) (n int, apart bool) {
	if len(b) < 3 || b[0] != '<' {
		return 0, false
	}
	if bytes.HasPrefix(b, []byte("<!--")) {
		if end := bytes.Index(b[4:min(len(b), maxTag)], []byte("-->")); end >= 0 {
			return end + 7, false
		}
		return 0, false
	}
	i := 1
	if b[i] == '/' {
		i++
	}
	if !letter(b[i]) {
		return 0, false
	}
	var name [12]byte
	k := 0
	for ; i < len(b) && k < len(name) && (letter(b[i]) || digit(b[i])); i++ {
		name[k] = b[i]
		if letter(b[i]) {
			name[k] |= 0x20
		}
		k++
	}
	end := bytes.IndexByte(b[i:min(len(b), maxTag)], '>')
	if end < 0 || bytes.IndexByte(b[i:i+end], '<') >= 0 {
		return 0, false
	}
	return i + end + 1, apartTag(name[:k])
}

// backslash appends what the escape at i stands for and returns its length, or 0:
// the escapes of JSON, and \xNN.
func (v *View) backslash(src *View, i int) int {
	b := src.text
	if i+1 >= len(b) {
		return 0
	}
	c := b[i+1]
	switch c {
	case 'n', 'r', 't':
		v.put(src, i, 2, "\n\r\t"[bytes.IndexByte([]byte("nrt"), c)])
		return 2
	case '"', '\\', '/', '\'':
		v.put(src, i, 2, c)
		return 2
	case 'x':
		if x := hexByte(b, i+2); x >= 0 {
			v.put(src, i, 4, byte(x))
			return 4
		}
		return 0
	case 'u':
	default:
		return 0
	}
	r, n := UnicodeEscape(b[i:])
	if n > 0 {
		v.putRune(src, i, n, r)
	}
	return n
}

// UnicodeEscape reads \uNNNN, or a pair of them for a character beyond the basic
// plane, with which b begins. It returns the character and the length, or 0.
func UnicodeEscape(b []byte) (rune, int) {
	unit := func(i int) rune {
		if len(b) < i+6 || b[i] != '\\' || b[i+1] != 'u' {
			return -1
		}
		hi, lo := hexByte(b, i+2), hexByte(b, i+4)
		if hi < 0 || lo < 0 {
			return -1
		}
		return rune(hi<<8 | lo)
	}
	r := unit(0)
	switch {
	case r < 0:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	if r = utf16.DecodeRune(r, unit(6)); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// quoted appends what the quoted-printable escape at i stands for and returns its
// length, or 0. A soft line break stands for nothing.
func (v *View) quoted(src *View, i int) int {
	if n := SoftBreak(src.text[i:]); n > 0 {
		return n
	}
	x := hexByte(src.text, i+1)
	if x < 0 {
		return 0
	}
	v.put(src, i, 3, byte(x))
	return 3
}

// SoftBreak returns the length of the soft line break with which b begins: an
// equals sign, perhaps blanks, and a line end. It is 0 when there is none.
func SoftBreak(b []byte) int {
	if len(b) == 0 || b[0] != '=' {
		return 0
	}
	i := 1
	for i < len(b) && i < 4 && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	if i < len(b) && b[i] == '\r' {
		i++
	}
	if i < len(b) && b[i] == '\n' {
		return i + 1
	}
	return 0
}

// encodedWord appends the text of the encoded word of RFC 2047 at i and returns
// its length, or 0. Blanks between two of them stand for nothing. Characters of
// other charsets than UTF-8 are kept as bytes: digits and the signs between them
// are the same in all of them.
func (v *View) encodedWord(src *View, i int) int {
	b := src.text[i:min(len(src.text), i+maxWord)]
	charset := bytes.IndexByte(b[2:], '?')
	if charset < 1 || charset+5 > len(b) || b[charset+4] != '?' {
		return 0
	}
	from := charset + 5
	end := bytes.Index(b[from:], []byte("?="))
	if end < 0 || bytes.IndexByte(b[from:from+end], ' ') >= 0 {
		return 0
	}
	end += from
	if i > 0 && src.text[i-1] > ' ' && src.text[i-1] != '=' && end > from {
		v.put(src, i, from, ' ') // apart from what it should not touch
	}
	switch b[charset+3] | 0x20 {
	case 'q':
		for k := from; k < end; k++ {
			switch x := hexByte(b[:end], k+1); {
			case b[k] == '=' && x >= 0:
				v.put(src, i+k, 3, byte(x))
				k += 2
			case b[k] == '_':
				v.put(src, i+k, 1, ' ')
			default:
				v.put(src, i+k, 1, b[k])
			}
		}
	case 'b':
		if v.base64(src, i+from, i+end) < 0 {
			return 0
		}
	default:
		return 0
	}
	end += 2
	next := end
	for next < len(b) && (b[next] == ' ' || b[next] == '\t' || b[next] == '\r' || b[next] == '\n') {
		next++
	}
	if next > end && bytes.HasPrefix(b[next:], []byte("=?")) {
		return next
	}
	return end
}

func letter(b byte) bool { return (b|0x20)-'a' < 26 }

func digit(b byte) bool { return b-'0' <= 9 }

// hexDigit returns the value of a hexadecimal digit, or -1.
func hexDigit(b byte) int { return int(hexDigits[b]) }

var hexDigits = func() (t [256]int8) {
	for b := range t {
		switch c := byte(b); {
		case digit(c):
			t[b] = int8(c - '0')
		case (c|0x20)-'a' < 6:
			t[b] = int8(c|0x20-'a') + 10
		default:
			t[b] = -1
		}
	}
	return t
}()

// hexByte returns the value of the two hexadecimal digits at b[i:], or -1.
func hexByte(b []byte, i int) int {
	if i < 0 || i+2 > len(b) {
		return -1
	}
	return max(-1, hexDigit(b[i])<<4|hexDigit(b[i+1]))
}
