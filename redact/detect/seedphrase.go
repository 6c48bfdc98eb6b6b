package detect

import (
	"crypto/sha256"
	_ "embed"
	"slices"
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
	a, b := word[0]&31, word[1]&31
	for i := int(seedPairs[a][b]); i < len(seedWords); i++ {
		w := seedWords[i]
		if w[0]&31 != a || w[1]&31 != b {
			break
		}
		if len(w) == len(word) && foldEqual(word, w) {
			return i
		}
	}
	return -1
}

// seedPairs gives, for the first two letters, the first word that begins with them,
// or a number behind the list.
var seedPairs = func() (t [32][32]uint16) {
	for a := range t {
		for b := range t[a] {
			t[a][b] = uint16(len(seedWords))
		}
	}
	for i, w := range slices.Backward(seedWords) {
		t[w[0]&31][w[1]&31] = uint16(i)
	}
	return t
}()

// seedPhrase returns where the recovery phrase of a wallet whose first word
// begins at i ends, or 0, and where the next phrase may begin. Between its words stand a blank, a line break, a comma,
// or these and the number of the next word. A phrase of 12, 15, 18, 21 or 24
// words holds its own checksum (BIP-39), and as one ordinary text in sixteen would
// pass that of twelve words, the words have to stand alone: nothing else from the
// list goes on behind the last.
func seedPhrase(t []byte, i int) (end, next int) {
	var numbers [maxSeedWords]uint16
	n, at, second := 0, i, 0
	for {
		word := spanOf(t, at, setUpper|setLower, 9)
		ix := seedIndex(t[at:word])
		if ix < 0 || word < len(t) && isWordByte(t[word]) {
			break
		}
		if n == maxSeedWords {
			return 0, second // a list of words
		}
		if n == 1 {
			second = at
		}
		numbers[n] = uint16(ix)
		n++
		end = word
		behind, ok := seedGap(t, word)
		if !ok {
			break
		}
		at = behind
	}
	if n < minSeedWords {
		return 0, max(end, i+1) // whatever begins inside is shorter still
	}
	if n%3 != 0 || !manyWords(numbers[:n]) || !seedChecksum(numbers[:n]) {
		return 0, second
	}
	return end, end
}

// manyWords reports whether at least half the words differ, as drawn ones do.
func manyWords(numbers []uint16) bool {
	different := 0
	for i, v := range numbers {
		if !slices.Contains(numbers[:i], v) {
			different++
		}
	}
	return different > len(numbers)/2
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
func seedChecksum(numbers []uint16) bool {
	var entropy [33]byte
	bit := 0
	for _, v := range numbers {
		for k := 10; k >= 0; k-- {
			entropy[bit/8] |= byte(v>>k&1) << (7 - bit%8)
			bit++
		}
	}
	check := len(numbers) / 3
	size := (bit - check) / 8
	sum := sha256.Sum256(entropy[:size])
	return sum[0]>>(8-check) == entropy[size]>>(8-check)
}
