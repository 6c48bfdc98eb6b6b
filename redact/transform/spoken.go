package transform

import (
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/spoken"
)

// minCard is the number of digits of the shortest card number.
const minCard = 12

// appendSpoken appends the mask of a value that is written in words, at least in
// part. Its words do not stay, only the digits that a mask of digits keeps. ok is
// false when value is written in digits.
func appendSpoken(dst, value []byte, c redact.Class, a redact.Action) (out []byte, ok bool) {
	letters := false
	for _, b := range value {
		letters = letters || b|0x20 >= 'a' && b|0x20 <= 'z'
	}
	if !letters {
		return dst, false
	}
	r, err := spoken.Default()
	if err != nil {
		return dst, false
	}
	var buf [32]byte
	digits := r.Digits(buf[:0], value)
	defer clear(digits[:cap(digits)])
	switch {
	case len(digits) == 0:
		return dst, false
	case c != redact.CreditCard:
		return maskDigits(dst, digits, 0), true
	case len(digits) < minCard || a == redact.Drop:
		return maskDigits(dst, digits, 0), true
	case len(digits) == cardDigits+codeDigits:
		// Words all stand apart, the last three too.
		if digits = slices.Insert(digits, cardDigits, ' '); codeBehind(digits) {
			return append(dst, plain(c)+" XXX"...), true
		}
		digits = slices.Delete(digits, cardDigits, cardDigits+1)
	}
	for i, b := range digits {
		if apart(i, len(digits)) {
			dst = append(dst, ' ')
		}
		if i < len(digits)-4 {
			b = 'X'
		}
		dst = append(dst, b)
	}
	return dst, true
}

// says reports whether value, which reads as text, is a number in words and not the
// digits in it: those are the times between the turns of a transcript.
func says(value, text []byte) bool {
	r, err := spoken.Default()
	if err != nil {
		return false
	}
	var buf [32]byte
	said := r.Digits(buf[:0], value)
	defer clear(said)
	if len(said) == 0 {
		return false
	}
	for _, b := range text {
		if !isDigit(b) {
			continue
		}
		if len(said) == 0 || b != said[0] {
			return true
		}
		said = said[1:]
	}
	return len(said) > 0
}

// apart reports whether the mask of a card of n digits has a space before digit i, as
// cards are printed. The last four, which are kept, stay behind an X: a group of
// digits alone would begin another number with what follows.
func apart(i, n int) bool {
	if n == 14 || n == 15 { // 4-6-4 and 4-6-5
		return i == 4 || i == 10
	}
	return i > 0 && i%4 == 0 && i <= n-4
}
