package transform

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/view"
)

// How a value is written decides how its mask is. Digits that stand as they are
// become X in place. In any other writing the view says which raw bytes are a
// digit: those become an X, or the digit in ASCII when it is kept, tags and
// separators stay, and what nobody sees goes. Base64 is masked inside and written
// again.

// simple reports whether value stands for itself: ASCII without the signs that
// escapes and tags begin with, and without letters, which may be words or base64.
// The X of a mask is none.
func simple(value []byte) bool {
	for _, b := range value {
		if b >= utf8.RuneSelf || b == '&' || b == '%' || b == '\\' || b == '<' || b == '=' || b != 'X' && b|0x20 >= 'a' && b|0x20 <= 'z' {
			return false
		}
	}
	return true
}

// digitsIn counts ASCII digits.
func digitsIn(text []byte) int {
	n := 0
	for _, b := range text {
		if isDigit(b) {
			n++
		}
	}
	return n
}

// normal returns how value reads, and how many digits that has.
func normal(value []byte) (*view.View, int) {
	var r view.Reader
	v := r.Normal(value, 0, len(value), isQuoted(value))
	return v, digitsIn(v.Text())
}

// isQuoted reports whether value is quoted-printable: each of its equals signs
// begins a soft line break, or stands for a digit, a blank, a dash or a byte outside
// ASCII.
func isQuoted(value []byte) bool {
	some := false
	for i, b := range value {
		if b != '=' {
			continue
		}
		some = true
		if view.SoftBreak(value[i:]) > 0 {
			continue
		}
		if i+3 > len(value) {
			return false
		}
		hi, lo := value[i+1], value[i+2]
		if !(hi == '3' && isDigit(lo) || hi == '2' && (lo == '0' || lo|0x20 == 'd' || lo|0x20 == 'e') || (hi >= '8' && hi <= '9' || hi|0x20 >= 'a' && hi|0x20 <= 'f') && isHexDigit(lo)) {
			return false
		}
	}
	return some
}

// maskWritten masks the digits of value, a value of class c, all but the last
// keep, however they are written. all says that letters are masked too.
func maskWritten(dst, value []byte, c redact.Class, a redact.Action, keep int, all bool) []byte {
	v, n := normal(value)
	if c == redact.CreditCard {
		var r view.Reader
		if like := r.Lookalikes(value, 0, len(value)); like.Changed() && simple(like.Text()) {
			v, n = like, digitsIn(like.Text())
		}
	}
	counts := false
	if c == redact.CreditCard && !all && !v.Changed() { // the text itself, with words in it
		if without, ok := countersIn(v.Text()); ok {
			n, counts = n-without, true
		}
	}
	few := !all && (n < fewest(c) || says(value, v.Text()))
	if few && plain(c) != ssnMask {
		if out, ok := appendSpoken(dst, value, c, a); ok {
			return out
		}
	}
	if out, ok := mask64(dst, value, c, n, keep, all); ok {
		return out
	}
	switch {
	case few: // words, or what cannot be read: nothing of it stays
		return append(dst, plain(c)...)
	case (c == redact.USSSN || c == redact.USITIN) && bytes.IndexByte(value, '<') < 0:
		return append(dst, ssnMask...)
	}
	if keep > 0 && codeBehind(v.Text()) {
		keep = 0
	}
	at, text, start, most := 0, v.Text(), len(dst), keep
	for i := 0; i < len(text); {
		size := 1
		if text[i] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(text[i:])
		}
		from, to := v.Raw(i, i+size)
		from = max(from, at)
		dst = hidden(dst, value[at:from])
		b := text[i]
		switch {
		case counts && counter(text, i):
			dst = append(dst, b)
			most++
		case isDigit(b) && n <= keep:
			dst = append(dst, b)
			n--
		case isDigit(b):
			dst = append(dst, 'X')
			n--
		case all && (size > 1 || to-from > 1 || b|0x20 >= 'a' && b|0x20 <= 'z'):
			dst = append(dst, 'X')
		default:
			dst = append(dst, value[from:max(from, to)]...)
		}
		at = max(at, to)
		i += size
	}
	dst = append(dst, value[at:]...)
	// An X behind "&#" or "<" begins a reference or a tag, and what a tag or nothing was
	// between becomes one sign: a mask that reads as other digits is none.
	if _, left := normal(dst[start:]); left > most {
		return append(dst[:start], plain(c)...)
	}
	return dst
}

// maskTrack masks every digit of track data. Its own signs are those of escapes, "%B4" is
// one: digits that stand as they are go first, and then those in any other writing.
func maskTrack(dst, value []byte) []byte {
	masked := maskDigits(nil, value, 0)
	v, _ := normal(masked)
	at := 0
	for i, b := range v.Text() {
		if !isDigit(b) {
			continue
		}
		if from, to := v.Raw(i, i+1); from >= at {
			dst = append(append(dst, masked[at:from]...), 'X')
			at = to
		}
	}
	return append(dst, masked[at:]...)
}

// countersIn reports how many counters stand in text, and whether the digits without them
// pass the check of a card (ISO/IEC 7812-1 annex B). Those of another number may be its own
// digits, and do not stay.
func countersIn(text []byte) (n int, ok bool) {
	sum, double := 0, false
	for i := len(text) - 1; i >= 0; i-- {
		switch {
		case counter(text, i):
			n++
		case isDigit(text[i]):
			d := int(text[i] - '0')
			if double {
				d = d*2 - d/5*9
			}
			sum, double = sum+d, !double
		}
	}
	return n, n > 0 && sum%10 == 0
}

// counter reports whether the byte at i is the number of a name in front of a group of a
// card, as in "cc2=1111": it is none of the card and stays, so that the name does.
func counter(text []byte, i int) bool {
	if i < 2 || i+1 >= len(text) || !isDigit(text[i]) {
		return false
	}
	front, behind := text[i-1], text[i+1]
	if front == '[' || front == '_' || front == ' ' || front == '-' {
		front = text[i-2]
	}
	if behind == ']' && i+2 < len(text) {
		behind = text[i+2]
	}
	return front|0x20 >= 'a' && front|0x20 <= 'z' && front != 'X' && (behind == '=' || behind == ':')
}

// leastNumber is how many digits the shortest number has that is masked wherever it stands: that of
// a tax payer.
const leastNumber = 9

// hidden appends what stands between two characters of a view: tags and soft line
// breaks stay. A tag is no part of what is masked, but what it holds stands within the
// finding, and nobody else looks at it; see appendTag.
func hidden(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if n, _ := view.Tag(raw[i:]); n > 0 {
			dst = appendTag(dst, raw[i:i+n])
			i += n
			continue
		}
		if n := view.SoftBreak(raw[i:]); n > 0 {
			dst = append(dst, raw[i:i+n]...)
			i += n
			continue
		}
		i++
	}
	return dst
}

// appendTag appends a tag that stands within a value. Where its digits, of any script, may be a number,
// none of them stays, and of an e-mail address no letter.
func appendTag(dst, tag []byte) []byte {
	digits := 0
	for i := 0; i < len(tag); {
		r, size := utf8.DecodeRune(tag[i:])
		if isNumeral(r) {
			digits++
		}
		i += size
	}
	address := 0 // up to where one reaches
	for i := 0; i < len(tag); {
		if i >= address && inAddress(tag[i]) {
			address = addressEnd(tag, i)
		}
		r, size := utf8.DecodeRune(tag[i:])
		switch {
		case isNumeral(r) && digits >= leastNumber, i < address && (r >= utf8.RuneSelf || isDigit(tag[i]) || tag[i]|0x20 >= 'a' && tag[i]|0x20 <= 'z'):
			dst = append(dst, 'X')
		default:
			dst = append(dst, tag[i:i+size]...)
		}
		i += size
	}
	return dst
}

// isNumeral reports whether r is a digit of some script.
func isNumeral(r rune) bool {
	return r >= '0' && r <= '9' || r >= utf8.RuneSelf && view.SignOf(r) >= 0
}

// addressEnd returns the end of the e-mail address that begins at i, the first of a row of bytes
// that one has, and i when that is none.
func addressEnd(text []byte, i int) int {
	end, at := i, -1
	for ; end < len(text) && (inAddress(text[end]) || text[end] == '@'); end++ {
		if text[end] == '@' {
			at = end
		}
	}
	if at <= i || at+1 >= end {
		return i
	}
	return end
}

// inAddress reports whether b may stand in an e-mail address on either side of its sign.
func inAddress(b byte) bool {
	return b >= utf8.RuneSelf || inWord(b) || b == '.' || b == '-' || b == '+'
}

// mask64 masks value, of class c, as base64 when that reading has more digits than
// the n of the other one. Whole groups of four letters go in and come out, so that what stands
// around them still decodes.
func mask64(dst, value []byte, c redact.Class, n, keep int, all bool) ([]byte, bool) {
	enc, letters := base64.RawStdEncoding, make([]byte, 0, len(value))
	for _, b := range value {
		switch b {
		case '-', '_':
			enc = base64.RawURLEncoding
		case '\r', '\n', '=':
			continue
		}
		letters = append(letters, b)
	}
	text, err := enc.DecodeString(string(letters))
	if err != nil {
		return dst, false
	}
	_, m := normal(text)
	var masked []byte
	switch {
	case all && (len(value) < view.MinBase64 || !view.Readable(value)), !all && n >= fewest(c) && m <= n:
		return dst, false
	case all && simple(text):
		masked = maskAll(nil, text)
	case all:
		masked = maskWritten(nil, text, c, redact.Mask, keep, true)
	case m < fewest(c): // base64 in base64, whose groups do not begin here
	case simple(text):
		if codeBehind(bytes.TrimRight(text, " \r\n")) { // the last group of letters may hold more
			keep = 0
		}
		masked = maskDigits(nil, text, keep)
	default:
		masked = maskWritten(nil, text, redact.CardVerificationCode, redact.Mask, keep, false)
	}
	out := make([]byte, enc.EncodedLen(len(text)))
	if len(masked) == len(text) {
		enc.Encode(out, masked)
	}
	// What cannot be written in its place, or leaves letters that may be the value too,
	// when they are taken for what they are: nothing of it stays.
	if len(masked) != len(text) || !all && n >= fewest(c) && digitsIn(out) > keep {
		enc.Encode(out, bytes.Repeat([]byte{'X'}, len(text)))
	}
	for _, b := range value {
		if b == '\r' || b == '\n' || b == '=' {
			dst = append(dst, b)
			continue
		}
		dst = append(dst, out[0])
		out = out[1:]
	}
	return dst, true
}

// fewest is how many digits a value of class c has at least.
func fewest(c redact.Class) int {
	switch c {
	case redact.CreditCard, redact.CardTrackData:
		return 12
	case redact.USSSN, redact.USITIN:
		return 9
	}
	return 3
}

// plain is the mask of a value that is not written in digits.
func plain(c redact.Class) string {
	switch c {
	case redact.CreditCard, redact.CardTrackData:
		return "XXXX XXXX XXXX XXXX"
	case redact.USSSN, redact.USITIN:
		return ssnMask
	case redact.CardPIN:
		return "XXXX"
	}
	return "XXX"
}

// maskHex masks a value of class c that is written in hexadecimal, inside, and writes
// it again. No value in plain digits is as long.
func maskHex(dst, value []byte, c redact.Class, a redact.Action) ([]byte, bool) {
	const longest = 19 // digits of a card
	if len(value)%2 != 0 || len(value) < 2*fewest(c) || fewest(c) < 9 || fewest(c) > 9 && len(value) <= longest {
		return dst, false
	}
	text, err := hex.DecodeString(string(value))
	if err != nil {
		return dst, false
	}
	if _, n := normal(text); n < fewest(c) {
		return dst, false
	}
	masked := Append(nil, text, c, a)
	if len(masked) != len(text) { // it cannot be written in its place: nothing of it stays
		masked = bytes.Repeat([]byte{'X'}, len(text))
	}
	return hex.AppendEncode(dst, masked), true
}
