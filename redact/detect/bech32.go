package detect

// bech32Values gives the value of a character of bech32 (BIP-173), or 0xFF.
var bech32Values = func() (t [256]uint8) {
	for i := range t {
		t[i] = 0xFF
	}
	const chars = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	for i := range len(chars) {
		t[chars[i]] = uint8(i)
		if b := chars[i]; isLetter(b) {
			t[b&^0x20] = uint8(i)
		}
	}
	return t
}()

// The constants that the checksum leaves: bech32 for witness version 0, bech32m
// for all others (BIP-350).
const (
	bech32Const  = 1
	bech32mConst = 0x2bc830a3
)

// bech32Prefixes are the human-readable parts of the chains that are looked for,
// with the 1 behind them.
var bech32Prefixes = [...]struct{ prefix, rule string }{
	{"bc1", "bitcoin address"},
	{"tb1", "bitcoin test address"},
	{"ltc1", "litecoin address"},
}

// bech32Address returns the kind of segregated-witness address that word is, or
// "". Word is all lower case or all upper case, as BIP-173 wants it.
func bech32Address(word []byte) string {
	if len(word) < 14 || len(word) > 74 {
		return ""
	}
	upper, lower := has(word, setUpper), has(word, setLower)
	if upper && lower {
		return ""
	}
	for _, p := range bech32Prefixes {
		if len(word) > len(p.prefix)+7 && hasPrefixFold(word, p.prefix) && witness(word, len(p.prefix)-1) {
			return p.rule
		}
	}
	return ""
}

func hasPrefixFold(t []byte, word string) bool {
	return len(t) >= len(word) && hasSuffixFold(t[:len(word)], word)
}

// witness checks the checksum of word, whose human-readable part has hrp
// characters, and that what it holds is a witness program of a length that its
// version allows.
func witness(word []byte, hrp int) bool {
	sum := uint32(1)
	for _, b := range word[:hrp] {
		sum = bech32Step(sum) ^ uint32(lower(b)>>5)
	}
	sum = bech32Step(sum)
	for _, b := range word[:hrp] {
		sum = bech32Step(sum) ^ uint32(lower(b)&31)
	}
	for _, b := range word[hrp+1:] {
		v := bech32Values[b]
		if v == 0xFF {
			return false
		}
		sum = bech32Step(sum) ^ uint32(v)
	}
	version := bech32Values[word[hrp+1]]
	size := (len(word) - hrp - 8) * 5 / 8 // less the 1, the version and six characters of checksum
	switch {
	case version == 0:
		return sum == bech32Const && (size == 20 || size == 32)
	case version <= 16:
		return sum == bech32mConst && size >= 2 && size <= 40
	}
	return false
}

func bech32Step(sum uint32) uint32 {
	top := sum >> 25
	sum = sum & 0x1ffffff << 5
	for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}
