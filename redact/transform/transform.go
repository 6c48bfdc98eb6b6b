package transform

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

const (
	ssnMask = "XXX-XX-XXXX"
	removed = "[removed]"
)

// Append appends to dst what value, the decoded text of one finding of class c,
// becomes under action a, and returns the extended slice. Actions that do not
// rewrite append value itself. Tokenize and Block are carried out as Mask: a
// token needs the vault, which this package does not know, and a block that was
// not obeyed must not leave a value in the clear.
//
// dst and value may not overlap.
func Append(dst, value []byte, c redact.Class, a redact.Action) []byte {
	if !a.Rewrites() {
		return append(dst, value...)
	}
	keep := 0
	switch c {
	case redact.CreditCard:
		if a != redact.Drop && !codeBehind(value) {
			keep = 4
		}
	case redact.USSSN, redact.USITIN, redact.CardVerificationCode, redact.CardTrackData, redact.CardPIN:
	default:
		if a == redact.Drop {
			return append(dst, removed...)
		}
		if simple(value) {
			return maskAll(dst, value)
		}
		return maskWritten(dst, value, c, a, 0, true)
	}
	if out, ok := maskHex(dst, value, c, a); ok {
		return out
	}
	switch {
	case c == redact.CardTrackData && digitsIn(value) >= fewest(c):
		return maskTrack(dst, value)
	case !simple(value):
		return maskWritten(dst, value, c, a, keep, false)
	case c == redact.USSSN || c == redact.USITIN:
		return append(dst, ssnMask...)
	}
	return maskDigits(dst, value, keep)
}

// Digits of a usual card, and of its verification code.
const (
	cardDigits = 16
	codeDigits = 3
)

// codeBehind reports whether a card number of nineteen digits may as well be one
// of sixteen and its verification code: three digits stand apart at the end, and
// those before have a right check digit. One card of nineteen digits in ten looks
// like that. Nothing of it is kept, because the last four digits of one reading
// hold the code of the other.
func codeBehind(value []byte) bool {
	n := len(value)
	if n <= cardDigits+codeDigits || isDigit(value[n-codeDigits-1]) {
		return false
	}
	digits, sum := 0, 0
	for i, b := range value {
		if !isDigit(b) {
			continue
		}
		digits++
		if i >= n-codeDigits || digits > cardDigits {
			continue
		}
		v := int(b - '0')
		if digits%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	last := value[n-codeDigits:]
	return digits == cardDigits+codeDigits && sum%10 == 0 && isDigit(last[0]) && isDigit(last[1]) && isDigit(last[2])
}

// maskDigits replaces every ASCII digit except the last keep by X.
func maskDigits(dst, value []byte, keep int) []byte {
	n := 0
	for _, b := range value {
		if isDigit(b) {
			n++
		}
	}
	for _, b := range value {
		if isDigit(b) {
			if n > keep {
				b = 'X'
			}
			n--
		}
		dst = append(dst, b)
	}
	return dst
}

// maskAll replaces every letter and digit by one X, whatever its script, and
// keeps ASCII punctuation and space. A sign in front, such as the plus of a
// telephone number, becomes an X as well, because a spreadsheet takes a cell that
// begins with one for a formula.
func maskAll(dst, value []byte) []byte {
	for i, b := range value {
		switch {
		case i == 0 && (b == '+' || b == '-' || b == '=' || b == '@'), isDigit(b), b|0x20 >= 'a' && b|0x20 <= 'z', b >= 0xC0:
			dst = append(dst, 'X')
		case b >= 0x80: // rest of a character that already became an X
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

func isDigit(b byte) bool { return b-'0' <= 9 }

func isHexDigit(b byte) bool { return isDigit(b) || (b|0x20)-'a' <= 5 }

// Masked reports whether text holds a mask of ours: a card with every digit but
// the last four replaced, a masked social security number, the mask of a bank account
// as it is printed, or the mark of a removed secret. It is asked about text that comes back in a write, where a
// mask must never replace the original. It does not allocate.
func Masked(text []byte) bool {
	for i := 0; i < len(text); {
		j := bytes.IndexByte(text[i:], 'X')
		if j < 0 {
			break
		}
		i += j
		if bytes.HasPrefix(text[i:], []byte(ssnMask)) {
			return true
		}
		ok, next := maskedCard(text, i)
		if ok {
			return true
		}
		i = next
	}
	return anyAccount(text) || bytes.Contains(text, []byte(removed))
}

// anyAccount reports whether text holds the mask of a bank account. Each run of X is asked for
// itself, because others may stand in front of the first group of it. Groups of four that are
// part of something else, by what they are glued to or because they are too many, are no mask
// from a later one on either; a word that ends in X, such as FEDEX, is no such group.
func anyAccount(text []byte) bool {
	for i := 0; i < len(text); {
		j := bytes.IndexByte(text[i:], 'X')
		if j < 0 {
			break
		}
		i += j
		if maskedAccount(text, i) {
			return true
		}
		first := runEnd(text, i)
		end := first
		for at := i; end-at == accountGroup && end+1 < len(text) && text[end] == ' ' && text[end+1] == 'X'; {
			next := runEnd(text, end+1)
			if next-end-1 > accountGroup {
				break
			}
			at, end = end+1, next
		}
		if i > 0 && inWord(text[i-1]) || bytes.Count(text[i:end], []byte("X")) > maxAccount {
			i = end
		} else {
			i = first
		}
	}
	return false
}

// runEnd returns where the X that begin at i end.
func runEnd(text []byte, i int) int {
	for i < len(text) && text[i] == 'X' {
		i++
	}
	return i
}

const (
	minMasked = 8  // a card has at least twelve digits, four of them stay
	maxMasked = 15 // and at most nineteen
	maxGap    = 12 // bytes of separator between two digits: three characters of four bytes
)

// maskedCard reads from the X at i: X and separators, then four digits, or none
// where the card may hold a code. It returns where to go on when this is no mask.
func maskedCard(text []byte, i int) (bool, int) {
	xs, gap, run := 0, 0, 0
	for ; i < len(text) && gap <= maxGap; i++ {
		switch b := text[i]; {
		case b == 'X':
			if gap > 0 {
				run = 0
			}
			xs++
			run++
			gap = 0
		case isDigit(b):
			if xs < minMasked || xs > maxMasked {
				return false, i
			}
			return lastFour(text, i), i
		case separator(b):
			gap++
		default:
			return xs == maxMasked+4 && run == 3, i // see codeBehind
		}
	}
	return xs == maxMasked+4 && run == 3, i
}

// The shortest international bank account number, the longest with what may stand between its
// groups (ISO 13616), and how it is grouped.
const (
	minAccount   = 15
	maxAccount   = 34 + 8
	accountGroup = 4
)

// maskedAccount reports whether the X at i begins what [Append] leaves of a bank account number, or of
// a card that was dropped: nothing but X, in one run or in groups of four with a blank between,
// the last of which may be shorter, and no other letter or digit beside. With dashes it is
// what people write in the place of any key.
func maskedAccount(text []byte, i int) bool {
	if i > 0 && inWord(text[i-1]) {
		return false
	}
	xs, run := 0, 0
	for ; i < len(text) && xs <= maxAccount; i++ {
		b := text[i]
		if b == ' ' && run == accountGroup && i+1 < len(text) && text[i+1] == 'X' {
			run = 0
			continue
		}
		if b != 'X' {
			if inWord(b) {
				return false
			}
			break
		}
		xs++
		run++
	}
	return xs >= minAccount && xs <= maxAccount && (run == xs || run <= accountGroup)
}

// inWord reports whether b is a letter or a digit of ASCII, or the line that keys are joined with.
// Blanks and words of other scripts stand right beside a value.
func inWord(b byte) bool {
	return b == '_' || isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'z'
}

// lastFour reports whether exactly four digits, possibly with separators
// between them, begin at i.
func lastFour(text []byte, i int) bool {
	n, gap := 0, 0
	for ; i < len(text) && n < 5 && gap <= maxGap; i++ {
		switch b := text[i]; {
		case isDigit(b):
			if n == 4 && gap > 0 {
				return true // another number follows
			}
			n++
			gap = 0
		case separator(b):
			gap++
		default:
			return n == 4
		}
	}
	return n == 4
}

// separator reports whether b may stand between the digits of a card; bytes of
// characters outside ASCII count, because the separators among them are many.
func separator(b byte) bool {
	switch b {
	case ' ', '\t', '\n', '\r', '-', '.', ',', '/', '_', '*', '|', ':':
		return true
	}
	return b >= 0x80
}
