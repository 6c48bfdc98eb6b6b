package detect

import "encoding/binary"

// The shortest and longest words that families may wait for.
const (
	minWake = 7
	maxWake = 32
)

// wakeWords finds words that families wait for without looking at every byte: each
// word of seven letters has four letters that lie in an aligned word of four
// bytes, whatever its place, and those are looked up in a set of hashes.
type wakeWords struct {
	grams [64]uint64
}

func (w *wakeWords) add(word string) {
	for i := 0; i+4 <= len(word) && i < 4; i++ {
		h := gramHash(binary.LittleEndian.Uint32([]byte(word[i:])))
		w.grams[h>>6] |= 1 << (h & 63)
	}
}

// gramHash is the hash of four letters in lower case.
func gramHash(gram uint32) uint32 { return (gram | 0x20202020) * 0x9E3779B1 >> 20 }

// at reports whether a word may stand around i.
func (w *wakeWords) at(text []byte, i int) bool {
	if i+4 > len(text) {
		return false
	}
	h := gramHash(binary.LittleEndian.Uint32(text[i:]))
	return w.grams[h>>6]>>(h&63)&1 != 0
}
