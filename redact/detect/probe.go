package detect

import "strings"

// probes are what one look at 32 bytes finds: digits, @, underscore, bytes outside
// ASCII, letters of base64, and three bytes of each wake word. All are found by their
// half bytes: a table for each half gives the buckets of what has it there. For signs
// both halves tell; for words both halves of the first byte and the low halves of the
// other two, which is enough: where one bucket is left in all four its words may stand.
// It is only used where the processor has instructions for that (probe_amd64.s reads
// this layout).
type probes struct {
	halves [4][32]byte // low and high half of the first byte, low halves of the second and third, twice
	signs  [2][32]byte // low and high half of a sign
	fixed  [2][32]byte // the mask of a half, the bits of @ and underscore
}

// rareThrees are three bytes that are rare in messages, by bucket: a word is found by
// the first that it holds. Those of one bucket have half bytes in common, so that
// few others pass for them. The last bucket also takes what is left.
var rareThrees = [8][]string{{"ras"}, {"cov"}, {"ssw", "ssc"}, {"nnw", "htw"}, {"mne"}, {"mot"}, {"---"}, {"vra"}}

// letterCounts are how often letters stand in a thousand of English care messages,
// a to z.
var letterCounts = [26]int{65, 12, 24, 32, 100, 18, 17, 48, 60, 2, 9, 35, 22, 58, 67, 15, 1, 52, 53, 78, 26, 9, 18, 2, 18, 1}

// probeOf returns where the three bytes of word stand by which it is found, and
// their bucket.
func probeOf(word string) (at, bucket int) {
	for bucket, threes := range rareThrees {
		for _, three := range threes {
			if at := strings.Index(word, three); at >= 0 {
				return at, bucket
			}
		}
	}
	common := func(b byte) int {
		switch {
		case isLetter(b):
			return letterCounts[b|0x20-'a']
		case b == ' ':
			return 180
		}
		return 4
	}
	best := 1 << 30
	for i := 0; i+3 <= len(word); i++ {
		if n := common(word[i]) * common(word[i+1]) * common(word[i+2]); n < best {
			best, at = n, i
		}
	}
	return at, len(rareThrees) - 1
}

// newProbes builds the tables for words.
func newProbes(words []string) *probes {
	p := &probes{}
	for b := range byte(0x80) {
		var bit byte
		switch {
		case isDigit(b):
			bit = 0x80
		case b&^3 == 'L':
			bit = 0x40
		case b == '@':
			bit = 1
		case b == '_':
			bit = 2
		}
		for _, half := range [...]int{0, 16} {
			p.signs[0][half+int(b&15)] |= bit
			p.signs[1][half+int(b>>4)] |= bit
		}
	}
	for i, b := range [...]byte{0x0F, 0x03} {
		for k := range p.fixed[i] {
			p.fixed[i][k] = b
		}
	}
	for _, w := range words {
		at, bucket := probeOf(w)
		three := w[at : at+3]
		for k := range 3 {
			for _, b := range []byte{three[k], capital(three[k])} {
				for _, half := range []int{0, 16} {
					if k == 0 {
						p.halves[0][half+int(b&15)] |= 1 << bucket
						p.halves[1][half+int(b>>4)] |= 1 << bucket
						continue
					}
					p.halves[k+1][half+int(b&15)] |= 1 << bucket
				}
			}
		}
	}
	return p
}

func capital(b byte) byte {
	if b-'a' < 26 {
		return b &^ 0x20
	}
	return b
}
