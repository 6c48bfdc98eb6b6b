package detect

import (
	"crypto/sha256"
	_ "embed"
	"strings"
)

// bip39English is the English word list of BIP-39: 2,048 words of three to eight
// letters, sorted, known by their first four.
//
//go:embed words/bip39-english.txt
var bip39English string

// seedWords are the words of bip39English. The list is never changed.
var seedWords = strings.Fields(bip39English)

// The lengths of a seed phrase in words.
const (
	minSeedWords = 12
	maxSeedWords = 24
)

// seedIndex returns the number of a word, in any case, or -1.
func seedIndex(word []byte) int {
	if len(word) < 3 || len(word) > 8 {
		return -1
	}
	for at := seedHash(word); seedSlots[at] > 0; at = (at + 1) % uint32(len(seedSlots)) {
		if i := int(seedSlots[at]) - 1; foldEqual(word, seedWords[i]) {
			return i
		}
	}
	return -1
}

// seedSlots gives the numbers of the words, plus one, by their hash: each stands in the
// first free slot from there on.
var seedSlots = func() (t [1 << seedBits]uint16) {
	for i, w := range seedWords {
		at := seedHash(w)
		for t[at] > 0 {
			at = (at + 1) % uint32(len(t))
		}
		t[at] = uint16(i + 1)
	}
	return t
}()

const seedBits = 14

// seedHash is a hash of the first four letters of a word, or of three, by which the
// words of the list are known.
func seedHash[T []byte | string](word T) uint32 {
	h := uint32(word[0]&31)<<15 | uint32(word[1]&31)<<10 | uint32(word[2]&31)<<5
	if len(word) > 3 {
		h |= uint32(word[3] & 31)
	}
	return h * 0x9E3779B1 >> (32 - seedBits)
}

// seedRun is a row of words of the list, as far as one phrase, and one word more, may go.
// A phrase is tried from each of its words, and each word is looked up once.
type seedRun struct {
	words      [4 * maxSeedWords]seedWord
	head, tail int
	next       int  // where the word behind the last begins
	open       bool // it may be one of the list
}

// seedWord is a word of the list in a text.
type seedWord struct {
	number     uint16
	start, end int
}

// begin makes r the row that begins at i.
func (r *seedRun) begin(t []byte, i int) {
	if r.head < r.tail {
		r.head++
	}
	if r.head == r.tail || r.words[r.head].start != i {
		r.head, r.tail, r.next, r.open = 0, 0, i, true
	}
	for r.open && r.tail-r.head <= maxSeedWords {
		if r.tail == len(r.words) {
			r.tail = copy(r.words[:], r.words[r.head:])
			r.head = 0
		}
		start, word := r.next, spanOf(t, r.next, setUpper|setLower, 9)
		ix := seedIndex(t[start:word])
		if ix < 0 || word < len(t) && isWordByte(t[word]) {
			r.open = false
			return
		}
		r.words[r.tail] = seedWord{uint16(ix), start, word}
		r.tail++
		r.next, r.open = seedGap(t, word)
	}
}

// phrase returns where the recovery phrase of a wallet whose first word begins at i ends,
// or 0, and where the next phrase may begin. Between its words stand a blank, a line
// break, a comma, or these and the number of the next word. A phrase of 12, 15, 18, 21 or
// 24 words holds its own checksum (BIP-39), and as one ordinary text in sixteen would
// pass that of twelve words, the words have to stand alone: nothing else from the
// list goes on behind the last.
func (r *seedRun) phrase(t []byte, i int) (end, next int) {
	r.begin(t, i)
	words := r.words[r.head:r.tail]
	switch n := len(words); {
	case n > maxSeedWords: // a list of words
		return 0, words[1].start
	case n == 0:
		return 0, i + 1
	case n < minSeedWords:
		return 0, words[n-1].end // whatever begins inside is shorter still
	case n%3 != 0 || !manyWords(words) || !seedChecksum(words):
		return 0, words[1].start
	default:
		return words[n-1].end, words[n-1].end
	}
}

// manyWords reports whether at least half the words differ, as drawn ones do.
func manyWords(words []seedWord) bool {
	var seen [32]uint64
	different := 0
	for i := range words {
		v := words[i].number
		if bit := uint64(1) << (v & 63); seen[v>>6]&bit == 0 {
			seen[v>>6] |= bit
			different++
		}
	}
	return different > len(words)/2
}

// seedGap returns the offset of the letter behind what may stand between two
// words.
func seedGap(t []byte, i int) (int, bool) {
	end := min(len(t), i+8)
	at := i
	for at < end && !isLetter(t[at]) {
		switch b := t[at]; {
		case b == ' ' || b == '\n' || b == '\r' || b == '\t' || b == ',' || b == '-' || b == '.' || b == ')' || isDigit(b):
		default:
			return 0, false
		}
		at++
	}
	if at == i || at == end {
		return 0, false
	}
	return at, t[i] != '-' && t[i] != '.' && t[i] != ')' && !isDigit(t[i])
}

// seedChecksum checks the last bits of the last word: the begin of the SHA-256 of
// the bits before them, one bit for three words.
func seedChecksum(words []seedWord) bool {
	var entropy [33]byte
	acc, have, n, bit := uint32(0), 0, 0, 11*len(words)
	for i := range words {
		acc, have = acc<<11|uint32(words[i].number), have+11
		for ; have >= 8; n++ {
			have -= 8
			entropy[n] = byte(acc >> have)
		}
	}
	if have > 0 {
		entropy[n] = byte(acc << (8 - have))
	}
	check := len(words) / 3
	size := (bit - check) / 8
	sum := sha256.Sum256(entropy[:size])
	return sum[0]>>(8-check) == entropy[size]>>(8-check)
}
