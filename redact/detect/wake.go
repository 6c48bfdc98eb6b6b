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
// stands, and those are looked up in a table of hashes. Only where one of them is
// known the word itself is compared.
type wakeWords struct {
	grams [1 << gramBits]uint8 // number of the list of words that hold such four bytes
	lists [][]wakeWord         // list 0 is empty
}

// wakeWord is a word that may stand around four bytes: they are its bytes from at.
type wakeWord struct {
	word   string
	at     int
	family int
}

const gramBits = 14

// add enters a word of a family; it fails when there are too many.
func (w *wakeWords) add(word string, family int) bool {
	if len(w.lists) == 0 {
		w.lists = make([][]wakeWord, 1)
	}
	for i := range 4 {
		h := gramHash(binary.LittleEndian.Uint32([]byte(word[i:])))
		if w.grams[h] == 0 {
			if len(w.lists) > 255 {
				return false
			}
			w.grams[h] = uint8(len(w.lists))
			w.lists = append(w.lists, nil)
		}
		w.lists[w.grams[h]] = append(w.lists[w.grams[h]], wakeWord{word, i, family})
	}
	return true
}

// caseBits fold four ASCII letters to lower case.
const caseBits = 0x20202020

// gramHash spreads four bytes, folded to lower case, over gramBits bits.
func gramHash(gram uint32) uint32 { return (gram | caseBits) * 0x9E3779B1 >> (32 - gramBits) }

// at returns a bit for each family that waits for a word that stands around i.
func (w *wakeWords) at(text []byte, i int) (families uint32) {
	if i+4 > len(text) {
		return 0
	}
	n := w.grams[gramHash(binary.LittleEndian.Uint32(text[i:]))]
	if n == 0 {
		return 0
	}
	for _, x := range w.lists[n] {
		if from := i - x.at; from >= 0 && from+len(x.word) <= len(text) && foldEqual(text[from:from+len(x.word)], x.word) {
			families |= 1 << x.family
		}
	}
	return families
}

// signs has marks in the high bits of the bytes of w that are triggers by
// themselves: digits, @, underscore, bytes outside ASCII. A mark may be wrong above
// a right one.
func signs(w uint64) uint64 {
	t, at, under := w^0x30*ones, w^'@'*ones, w^'_'*ones
	return (^((t&(0x7f*ones) + 0x76*ones) | t) | (at-ones)&^at | (under-ones)&^under | w) & highs
}

// groups is not zero when v and w, which follow each other, hold two letters L to O
// at a distance of eight, as the base64 of digits does: each third digit begins a
// group of four letters with M, N or O, and five groups in a row, the base64 of the
// shortest card, have such a pair in aligned words wherever they stand.
func groups(v, w uint64) uint64 {
	x := (v ^ 'L'*ones | w ^ 'L'*ones) & (0xFC * ones)
	return (x - ones) &^ x & highs
}

// next returns the offset of the first byte at or after i at which something may
// begin, or len(text): a digit, another trigger of one byte, four bytes of a wake
// word, letters of base64.
func (d *Detector) next(text []byte, i int) int {
	g := &d.wake.grams
	for i+16 <= len(text) {
		b := text[i : i+16 : i+16]
		v, w := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		x := g[gramHash(uint32(v))] | g[gramHash(uint32(v>>32))] | g[gramHash(uint32(w))] | g[gramHash(uint32(w>>32))]
		m, n := signs(v), signs(w)
		if m|n|groups(v, w)|uint64(x) == 0 {
			i += 16
			continue
		}
		at := 16
		switch {
		case m != 0:
			at = bits.TrailingZeros64(m) >> 3
		case n != 0:
			at = 8 + bits.TrailingZeros64(n)>>3
		}
		if z := groups(v, w); z != 0 {
			at = min(at, bits.TrailingZeros64(z)>>3)
		}
		if x != 0 {
			switch {
			case g[gramHash(uint32(v))] != 0:
				at = 0
			case g[gramHash(uint32(v>>32))] != 0:
				at = min(at, 4)
			case g[gramHash(uint32(w))] != 0:
				at = min(at, 8)
			default:
				at = min(at, 12)
			}
		}
		return i + at
	}
	for n := 0; i < len(text); i, n = i+1, n+1 {
		b := text[i]
		if isDigit(b) || spotKinds[b] != 0 || b&^3 == 'L' && i >= 4 && text[i-4]&^3 == 'L' {
			return i
		}
		if n&3 == 0 && d.wake.at(text, i) != 0 {
			return i
		}
	}
	return i
}
