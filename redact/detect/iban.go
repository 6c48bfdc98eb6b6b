package detect

import (
	"encoding/binary"

	"github.com/caregate/caregate/redact"
)

// ibanLength gives the length of an IBAN by its country (registry of ISO 13616).
var ibanLength = map[[2]byte]int{
	{'A', 'D'}: 24, {'A', 'E'}: 23, {'A', 'L'}: 28, {'A', 'T'}: 20, {'A', 'Z'}: 28, {'B', 'A'}: 20, {'B', 'E'}: 16, {'B', 'G'}: 22, {'B', 'H'}: 22,
	{'B', 'I'}: 27, {'B', 'R'}: 29, {'B', 'Y'}: 28, {'C', 'H'}: 21, {'C', 'R'}: 22, {'C', 'Y'}: 28, {'C', 'Z'}: 24, {'D', 'E'}: 22, {'D', 'J'}: 27,
	{'D', 'K'}: 18, {'D', 'O'}: 28, {'E', 'E'}: 20, {'E', 'G'}: 29, {'E', 'S'}: 24, {'F', 'I'}: 18, {'F', 'K'}: 18, {'F', 'O'}: 18, {'F', 'R'}: 27,
	{'G', 'B'}: 22, {'G', 'E'}: 22, {'G', 'I'}: 23, {'G', 'L'}: 18, {'G', 'R'}: 27, {'G', 'T'}: 28, {'H', 'N'}: 28, {'H', 'R'}: 21, {'H', 'U'}: 28,
	{'I', 'E'}: 22, {'I', 'L'}: 23, {'I', 'Q'}: 23, {'I', 'S'}: 26, {'I', 'T'}: 27, {'J', 'O'}: 30, {'K', 'W'}: 30, {'K', 'Z'}: 20, {'L', 'B'}: 28,
	{'L', 'C'}: 32, {'L', 'I'}: 21, {'L', 'T'}: 20, {'L', 'U'}: 20, {'L', 'V'}: 21, {'L', 'Y'}: 25, {'M', 'C'}: 27, {'M', 'D'}: 24, {'M', 'E'}: 22,
	{'M', 'K'}: 19, {'M', 'N'}: 20, {'M', 'R'}: 27, {'M', 'T'}: 31, {'M', 'U'}: 30, {'N', 'I'}: 28, {'N', 'L'}: 18, {'N', 'O'}: 15, {'O', 'M'}: 23,
	{'P', 'K'}: 24, {'P', 'L'}: 28, {'P', 'S'}: 29, {'P', 'T'}: 25, {'Q', 'A'}: 29, {'R', 'O'}: 24, {'R', 'S'}: 22, {'R', 'U'}: 33, {'S', 'A'}: 24,
	{'S', 'C'}: 31, {'S', 'D'}: 18, {'S', 'E'}: 24, {'S', 'I'}: 19, {'S', 'K'}: 24, {'S', 'M'}: 27, {'S', 'O'}: 23, {'S', 'T'}: 25, {'S', 'V'}: 28,
	{'T', 'L'}: 23, {'T', 'N'}: 24, {'T', 'R'}: 26, {'U', 'A'}: 29, {'V', 'A'}: 22, {'V', 'G'}: 24, {'X', 'K'}: 20, {'Y', 'E'}: 30,
}

// ibanSizes is ibanLength by the letters of the country, in any case, 0 for none.
var ibanSizes = func() (t [32][32]uint8) {
	for country, n := range ibanLength {
		t[country[0]&31][country[1]&31] = uint8(n)
	}
	return t
}()

// maxIBAN is the longest IBAN in groups of four with blanks.
const maxIBAN = 34 + 8

// iban tries the token that begins at start, and whose first digit is at i, as an
// IBAN. Letters in front of the country are part of it only when they say "IBAN".
func (s *idScan) iban(start, i int) bool {
	if i-start > 2 && i-start == 6 && foldEqual(s.text[start:start+4], "iban") {
		start += 4
	}
	if i != start+2 || i+1 >= len(s.text) || !isDigit(s.text[i+1]) {
		return false
	}
	n := int(ibanSizes[s.text[start]&31][s.text[start+1]&31])
	if n == 0 {
		return false
	}
	end := ibanEnd(s.text, start, n)
	if end == 0 {
		return false
	}
	from := start
	if start >= 4 && foldEqual(s.text[start-4:start], "iban") {
		from = start - 4
	}
	if !s.apart(from, end, '-') {
		return false
	}
	how, by := s.named(end, nameIBAN|nameAccount|nameAnyAccount, false)
	proof := redact.EvidenceChecksum | redact.EvidenceIssuer
	if end-start > n {
		proof |= redact.EvidenceGrouping
	}
	f := s.found(redact.IBAN, start, end, how, by, proof, "country and check digits")
	f.Strong = true
	return true
}

// inIBAN reports whether text[start:end] lies in a valid IBAN, so that a bank
// account is not reported as the card that its digits happen to look like.
func inIBAN(t []byte, start, end int) bool {
	if !mayHoldLetters(t[lo(start, maxIBAN):start]) {
		return false // as mostly in rows of numbers
	}
	for p := start - 2; p >= 0 && start-p <= maxIBAN; p-- {
		if p+4 > len(t) || !isDigit(t[p+2]) || !isLetter(t[p+1]) || !isLetter(t[p]) || !isDigit(t[p+3]) || p > 0 && isWordByte(t[p-1]) {
			continue
		}
		if n := int(ibanSizes[t[p]&31][t[p+1]&31]); n > 0 && ibanEnd(t, p, n) >= end {
			return true
		}
	}
	return false
}

// mayHoldLetters reports whether t may hold letters: bytes with a bit that digits, and
// nearly all that stands between them, do not have.
func mayHoldLetters(t []byte) bool {
	for len(t) >= 8 {
		if binary.LittleEndian.Uint64(t)&(0x40*ones) != 0 {
			return true
		}
		t = t[8:]
	}
	all := byte(0)
	for _, b := range t {
		all |= b
	}
	return all&0x40 != 0
}

// ibanEnd returns where the IBAN of n characters that begins at p ends, or 0
// when its check digits are wrong (ISO 7064 mod 97-10).
func ibanEnd(t []byte, p, n int) int {
	const reduced = 1 << 56 // what is below takes two more digits
	rem := uint64(0)
	i, read := p+4, 4
	gapped := false
	for ; read < n && i < len(t); i++ {
		b := t[i]
		switch {
		case isDigit(b):
			rem = rem*10 + uint64(b-'0')
		case isLetter(b):
			rem = rem*100 + uint64(b|0x20-'a') + 10
		default:
			kind, size := separator(t, i)
			if gapped || kind != gapSpace && kind != gapDash && kind != gapDot {
				return 0
			}
			gapped = true
			i += size - 1
			continue
		}
		if rem >= reduced {
			rem %= 97
		}
		gapped = false
		read++
	}
	if read < n {
		return 0
	}
	for _, b := range t[p : p+4] {
		if isDigit(b) {
			rem = rem*10 + uint64(b-'0')
		} else {
			rem = rem%97*100 + uint64(b|0x20-'a') + 10
		}
	}
	if rem%97 != 1 {
		return 0
	}
	return i
}
