package detect

import (
	"encoding/binary"
	"math/bits"
)

// The shortest and longest words that families may wait for.
const (
	minWake = 7
	maxWake = 32
)

// wakeWords finds words that families wait for without looking at every byte: a
// word of seven letters holds four bytes at a multiple of four, wherever it
// stands, and those are looked up in a set of hashes.
type wakeWords struct {
	grams [1 << gramBits]uint8 // 1 for each piece of some word
	// pieces are the pieces themselves: most hits of grams are chance, and asking a
	// family costs more than looking here.
	pieces map[uint32]struct{}
}

const gramBits = 12

func (w *wakeWords) add(word string) {
	if w.pieces == nil {
		w.pieces = make(map[uint32]struct{})
	}
	for i := range 4 {
		piece := binary.LittleEndian.Uint32([]byte(word[i:]))
		w.grams[gramHash(piece)] = 1
		w.pieces[piece|caseBits] = struct{}{}
	}
}

// caseBits fold four ASCII letters to lower case.
const caseBits = 0x20202020

// gramHash spreads four bytes, folded to lower case, over gramBits bits.
func gramHash(gram uint32) uint32 { return (gram | caseBits) * 0x9E3779B1 >> (32 - gramBits) }

// at reports whether a word may stand around i.
func (w *wakeWords) at(text []byte, i int) bool {
	if i+4 > len(text) {
		return false
	}
	piece := binary.LittleEndian.Uint32(text[i:])
	if w.grams[gramHash(piece)] == 0 {
		return false
	}
	_, ok := w.pieces[piece|caseBits]
	return ok
}

// signs has marks in the high bits of the bytes of w that are triggers by
// themselves. The lowest mark is exact, those above it may be wrong.
func signs(w uint64) uint64 {
	t, at, under := w^0x30*ones, w^'@'*ones, w^'_'*ones
	return (^((t&(0x7f*ones) + 0x76*ones) | t) | (at-ones)&^at | (under-ones)&^under | w) & highs
}

// next returns the offset of the first byte at or after i at which something may
// begin, or len(text): a digit, another trigger of one byte, four bytes of a wake
// word.
func (d *Detector) next(text []byte, i int) int {
	g := &d.wake.grams
	for i+16 <= len(text) {
		b := text[i : i+16 : i+16]
		v, w := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		x := g[gramHash(uint32(v))] | g[gramHash(uint32(v>>32))]
		y := g[gramHash(uint32(w))] | g[gramHash(uint32(w>>32))]
		if signs(v)|signs(w)|uint64(x|y) != 0 {
			break
		}
		i += 16
	}
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		n := 8
		if hit := signs(w); hit != 0 {
			n = bits.TrailingZeros64(hit) >> 3
		}
		if g[gramHash(uint32(w))] != 0 {
			n = 0
		} else if g[gramHash(uint32(w>>32))] != 0 {
			n = min(n, 4)
		}
		if n < 8 {
			return i + n
		}
	}
	for ; i < len(text); i++ {
		if isDigit(text[i]) || spotKinds[text[i]] != 0 {
			return i
		}
	}
	return i
}
