package detect

// charset is a set of kinds of characters, for tokens whose alphabet is part of
// what identifies them.
type charset uint16

const (
	setDigit charset = 1 << iota
	setUpper
	setLower
	setDash
	setUnderscore
	setSlash  // slash and plus, of base 64
	setHex    // digits and a to f in lower case
	setBase32 // A to Z and 2 to 7 (RFC 4648)
	setBase58 // without 0, O, I, l
	setDot
	setEqual // the padding of base 64

	setAlnum     = setDigit | setUpper | setLower
	setBase64URL = setAlnum | setDash | setUnderscore
	setBase64    = setAlnum | setSlash
)

// charsets gives the sets that an ASCII byte belongs to.
var charsets = func() (t [256]charset) {
	for c := range byte(0x80) {
		var s charset
		switch {
		case isDigit(c):
			s = setDigit | setHex
			if c >= '2' && c <= '7' {
				s |= setBase32
			}
			if c != '0' {
				s |= setBase58
			}
		case c >= 'A' && c <= 'Z':
			s = setUpper | setBase32
			if c != 'O' && c != 'I' {
				s |= setBase58
			}
		case c >= 'a' && c <= 'z':
			s = setLower
			if c <= 'f' {
				s |= setHex
			}
			if c != 'l' {
				s |= setBase58
			}
		case c == '-':
			s = setDash
		case c == '_':
			s = setUnderscore
		case c == '/' || c == '+':
			s = setSlash
		case c == '.':
			s = setDot
		case c == '=':
			s = setEqual
		}
		t[c] = s
	}
	return t
}()

// spanOf returns the offset of the first byte at or after i that is not in set,
// and at most i+limit.
func spanOf(t []byte, i int, set charset, limit int) int {
	end := min(len(t), i+limit)
	for i < end && charsets[t[i]]&set != 0 {
		i++
	}
	return i
}

// spanOfWords is spanOf for sets that hold all letters and digits.
func spanOfWords(t []byte, i int, set charset, limit int) int {
	end := min(len(t), i+limit)
	for {
		i = wordSpan(t, i, end)
		if i >= end || charsets[t[i]]&set == 0 {
			return i
		}
		i++
	}
}

// wordEdge reports whether no ASCII letter, digit or underscore stands before i.
func wordEdge(t []byte, i int) bool {
	return i == 0 || charsets[t[i-1]]&(setAlnum|setUnderscore) == 0
}

// varied reports whether the text looks drawn at random rather than typed as a
// placeholder: at least want different characters. Masks, XXXX and 0000 are not.
func varied(t []byte, want int) bool {
	var seen [2]uint64
	n := 0
	for _, b := range t {
		if b >= 0x80 {
			continue
		}
		if bit := uint64(1) << (b & 63); seen[b>>6]&bit == 0 {
			seen[b>>6] |= bit
			if n++; n >= want {
				return true
			}
		}
	}
	return false
}

// has reports whether a byte of t is in set.
func has(t []byte, set charset) bool {
	for _, b := range t {
		if charsets[b]&set != 0 {
			return true
		}
	}
	return false
}
