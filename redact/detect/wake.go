package detect

import (
	"encoding/binary"
	"fmt"
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
	// words are those that may stand around a byte, by that byte and two behind it.
	words  [256][]wakeWord
	probes *probes
	quick  bool // the probe is used
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
				h := threeHash([]byte(word[i:]))
				w.words[h] = append(w.words[h], wakeWord{word, i, n})
			}
		}
	}
	w.probes, w.quick = newProbes(all), hasProbe
	return w, nil
}

// caseBits fold four ASCII letters to lower case.
const caseBits = 0x20202020

// gramHash spreads four bytes, folded to lower case, over gramBits bits.
func gramHash(gram uint32) uint32 { return (gram | caseBits) * 0x9E3779B1 >> (32 - gramBits) }

// threeHash spreads the first three bytes of text, folded to lower case, over eight bits.
func threeHash(text []byte) uint32 {
	_ = text[2]
	return (uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | caseBits) * 0x9E3779B1 >> 24
}

// at returns a bit for each family that waits for a word that stands around i, and
// where the first such word begins.
func (w *wakeWords) at(text []byte, i int) (families uint32, begin int) {
	begin = i
	if len(text)-i < 3 {
		return 0, begin
	}
	for _, x := range w.words[threeHash(text[i:])] {
		if from := i - x.at; from >= 0 && from+len(x.word) <= len(text) && foldEqual(text[from:from+len(x.word)], x.word) {
			families |= 1 << x.family
			begin = min(begin, from)
		}
	}
	return families, begin
}
