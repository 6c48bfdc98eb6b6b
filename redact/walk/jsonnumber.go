package walk

import (
	"encoding/binary"
	"math/bits"
	"strconv"

	"github.com/caregate/caregate/redact"
)

// shortestNumber is how many digits a number has at least to be looked at: those of
// a verification code.
const shortestNumber = 3

// number reads the number at i.
func (p *jsonReader) number(i int, st int32) int {
	raw, begin := p.src, i
	if raw[i] == '-' {
		i++
	}
	first := i
	i = digitsEnd(raw, i)
	if i == first || raw[first] == '0' && i > first+1 {
		return p.refuse(ReasonSyntax, begin)
	}
	whole := i
	if i < len(raw) && raw[i] == '.' {
		i++
		if from := i; digitsEnd(raw, i) == from {
			return p.refuse(ReasonSyntax, begin)
		}
		i = digitsEnd(raw, i)
	}
	fraction := i
	if i < len(raw) && raw[i]|0x20 == 'e' {
		i++
		if i < len(raw) && (raw[i] == '+' || raw[i] == '-') {
			i++
		}
		from := i
		if i = digitsEnd(raw, i); i == from {
			return p.refuse(ReasonSyntax, begin)
		}
	}
	if i < len(raw) && (raw[i] == '_' || (raw[i]|0x20)-'a' < 26 || raw[i] == '.' || raw[i] == '+') {
		return p.refuse(ReasonSyntax, begin)
	}
	text, is := raw[first:whole], unread
	switch {
	case i > whole:
		p.scratch = plain(p.scratch[:0], text, raw[whole:fraction], raw[fraction:i])
		text = p.scratch
	case p.masks == nil && len(text) >= shortestNumber:
		if is = odd; p.det.PlainNumber(text, p.traits()) {
			is = nothing
		}
	}
	if len(text) < shortestNumber {
		is = nothing
	}
	if is != nothing || !p.unmarked(st) {
		p.value(st, begin, i, i, text, redact.PlaceNumber, is)
	}
	return i
}

// digitsEnd returns the offset of the first byte at or after i that is no digit.
func digitsEnd(raw []byte, i int) int {
	for i+8 <= len(raw) {
		if m := others(binary.LittleEndian.Uint64(raw[i:])) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(raw) && raw[i]-'0' <= 9 {
		i++
	}
	return i
}

// longestPlain is the most digits a number may have before its point to be
// written out: a card has nineteen.
const longestPlain = 20

// plain writes the digits before the point of a number with a fraction or an
// exponent, rounded, as a program that reads it into an integer may: 4.1e2 is
// 410, 410.9 is 411. Numbers that are too large or below one give nothing.
func plain(dst, whole, fraction, exponent []byte) []byte {
	shift := 0
	if len(exponent) > 0 {
		n, err := strconv.Atoi(string(exponent[1:min(len(exponent), 8)]))
		if err != nil || len(exponent) > 8 || n > longestPlain || n < -4*longestPlain {
			return dst
		}
		shift = n
	}
	if len(fraction) > 0 {
		fraction = fraction[1:]
	}
	at := func(i int) byte {
		switch {
		case i < 0:
			return '0'
		case i < len(whole):
			return whole[i]
		case i-len(whole) < len(fraction):
			return fraction[i-len(whole)]
		}
		return '0'
	}
	point := len(whole) + shift
	for i := 0; i < point && len(dst) < longestPlain; i++ {
		if b := at(i); b != '0' || len(dst) > 0 {
			dst = append(dst, b)
		}
	}
	if len(dst) == longestPlain {
		return dst[:0]
	}
	if len(dst) > 0 && at(point) >= '5' {
		for i := len(dst) - 1; i >= 0; i-- {
			if dst[i]++; dst[i] <= '9' {
				break
			}
			dst[i] = '0'
		}
	}
	return dst
}
