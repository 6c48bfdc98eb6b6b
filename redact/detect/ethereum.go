package detect

import (
	"hash"
	"sync"

	"golang.org/x/crypto/sha3"
)

// keccaks keeps the states of Keccak-256, which are too large to make one for each
// word that might be an address.
var keccaks = sync.Pool{New: func() any { return sha3.NewLegacyKeccak256() }}

// ethereumAddress reports whether word is 0x and forty hexadecimal digits, and
// whether the case of its letters is a checksum (EIP-55). An address in one case
// has none; one in both cases whose checksum is wrong is none.
func ethereumAddress(word []byte) (ok, checked bool) {
	if len(word) != 42 || word[0] != '0' || word[1]|0x20 != 'x' || !allHex(word[2:]) || !varied(word[2:], 6) {
		return false, false
	}
	digits := word[2:]
	if !has(digits, setUpper) || !has(digits, setLower) {
		return true, false
	}
	// The checksum is over the address in lower case, as text.
	var small [40]byte
	for i, b := range digits {
		small[i] = lower(b)
	}
	state := keccaks.Get().(hash.Hash)
	defer keccaks.Put(state)
	state.Reset()
	state.Write(small[:])
	var sum [32]byte
	state.Sum(sum[:0])
	for i, b := range digits {
		if !isLetter(b) {
			continue
		}
		nibble := sum[i/2] >> 4
		if i%2 == 1 {
			nibble = sum[i/2] & 15
		}
		if (nibble >= 8) != (b-'A' < 26) {
			return false, false
		}
	}
	return true, true
}
