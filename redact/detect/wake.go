package detect

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The shortest and longest words that families may wait for.
const (
	minWake = 7
	maxWake = 32
)

// wakeWords finds words that families wait for without looking at every byte: a
// word of seven letters holds four bytes at a multiple of four, wherever it
// stands, and those are looked up in a set of hashes. Only where one of them is
// known the word itself is compared.
type wakeWords struct {
	grams [1 << gramBits]uint8 // 1 for any four bytes of some word
	// words are those that may stand around a byte, by its low five bits.
	words  [32][]wakeWord
	probes *probes
}

// wakeWord is a word of a family, and where in it the byte stands at which it is
// found.
type wakeWord struct {
	word   string
	at     int
	family int
}

const gramBits = 14

// newWakeWords builds the tables for the words of all families. An error names the
// family whose word is too short or too long.
func newWakeWords(families []family) (w wakeWords, err error) {
	var all []string
	for n, f := range families {
		for k, word := range f.wake {
			if len(word) < minWake || len(word) > maxWake {
				return w, fmt.Errorf("family %s: word %d to wait for has not %d to %d letters", f.name, k, minWake, maxWake)
			}
			all = append(all, word)
			probe, _ := probeOf(word)
			for i := range len(word) - 3 {
				w.grams[gramHash(binary.LittleEndian.Uint32([]byte(word[i:])))] = 1
			}
			for i := range len(word) {
				if i != probe && i+4 > len(word) {
					continue
				}
				w.words[word[i]&31] = append(w.words[word[i]&31], wakeWord{word, i, n})
			}
		}
	}
	w.probes = newProbes(all)
	return w, nil
}

// caseBits fold four ASCII letters to lower case.
const caseBits = 0x20202020

// gramHash spreads four bytes, folded to lower case, over gramBits bits.
func gramHash(gram uint32) uint32 { return (gram | caseBits) * 0x9E3779B1 >> (32 - gramBits) }

// at returns a bit for each family that waits for a word that stands around i, and
// where the first such word begins.
func (w *wakeWords) at(text []byte, i int) (families uint32, begin int) {
	begin = i
	for _, x := range w.words[text[i]&31] {
		if from := i - x.at; from >= 0 && from+len(x.word) <= len(text) && foldEqual(text[from:from+len(x.word)], x.word) {
			families |= 1 << x.family
			begin = min(begin, from)
		}
	}
	return families, begin
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
	if hasProbe && len(text)-i >= 34 {
		n := probe(&text[i], len(text)-i, d.wake.probes)
		if n >= 0 {
			return i + n
		}
		i += ^n
	}
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
		if n&3 == 0 && i+4 <= len(text) && g[gramHash(binary.LittleEndian.Uint32(text[i:]))] != 0 {
			return i
		}
	}
	return i
}
