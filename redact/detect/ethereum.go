package detect

import (
	"encoding/binary"
	"hash"
	"io"
	"sync"

	"golang.org/x/crypto/sha3"
)

// keccaks keeps the states of Keccak-256, which are too large to make one for each
// word that might be an address.
var keccaks = sync.Pool{New: func() any {
	state := sha3.NewLegacyKeccak256()
	squeeze, _ := state.(io.Reader)
	return &keccak{state: state, squeeze: squeeze}
}}

// keccak is a state with the text it is asked about and the sum of that. squeeze is the
// state as a reader of the sum, which needs no copy of it, or nil.
type keccak struct {
	state   hash.Hash
	squeeze io.Reader
	small   [40]byte
	sum     [32]byte
}

// hash makes the sum of small.
func (k *keccak) hash() {
	k.state.Reset()
	k.state.Write(k.small[:])
	if k.squeeze == nil {
		k.state.Sum(k.sum[:0])
		return
	}
	_, _ = k.squeeze.Read(k.sum[:]) // which never fails
}

// ethereumAddress reports whether word is 0x and forty hexadecimal digits, and
// whether the case of its letters is a checksum (EIP-55). An address in one case
// has none; one in both cases whose checksum is wrong is none.
func ethereumAddress(word []byte) (ok, checked bool) {
	if len(word) != 42 || word[0] != '0' || word[1]|0x20 != 'x' {
		return false, false
	}
	digits, kinds := word[2:], charset(0)
	for _, b := range digits {
		if !isHex(b) {
			return false, false
		}
		kinds |= charsets[b]
	}
	if !varied(digits, 6) {
		return false, false
	}
	if kinds&setUpper == 0 || kinds&setLower == 0 {
		return true, false
	}
	// The checksum is over the address in lower case, as text.
	k := keccaks.Get().(*keccak)
	defer keccaks.Put(k)
	for i := 0; i < len(k.small); i += 8 { // which leaves digits as they are
		binary.LittleEndian.PutUint64(k.small[i:], binary.LittleEndian.Uint64(digits[i:])|0x20*ones)
	}
	k.hash()
	sum := &k.sum
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
