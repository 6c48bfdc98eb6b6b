package detect

// namingBits is the size of the filter over naming words, in bits: the words of all
// languages fill a fortieth of it.
const namingBits = 15

// namingWords has a bit for every word of ASCII letters that may name a number, or a
// code, so that it is a finding; see Detector.names.
type namingWords [1 << namingBits / 64]uint64

// naming are the senses of words beside which a short number may be a finding.
const naming = nameAny | senseCard | senseSSN | senseCVV | sensePIN | senseTail | senseSecurity | senseBack

// otherNaming are words that rules look for by themselves.
var otherNaming = [...]string{"security", "code", "verification", "crypto"}

func newNamingWords(v *vocabulary) *namingWords {
	w := &namingWords{}
	for _, x := range v.words {
		if x.sense&(naming|sensePhrase) != 0 {
			w.add(x.word)
		}
	}
	for _, word := range otherNaming {
		w.add(word)
	}
	for _, p := range passwordWords {
		w.add(p.word)
	}
	return w
}

func (w *namingWords) add(word string) {
	h := namingHash(0)
	for i := range len(word) {
		if !isLetter(word[i]) {
			return // found by its parts, or where nothing is plain
		}
		h = h.and(word[i])
	}
	k := h.slot()
	w[k/64] |= 1 << (k % 64)
}

// namingHash is the hash of a word, letter by letter, without regard to case.
type namingHash uint32

func (h namingHash) and(b byte) namingHash { return h*33 + namingHash(b&31) }

func (h namingHash) slot() uint32 { return uint32(h) * 0x9E3779B1 >> (32 - namingBits) }

// names reports whether text has a word that may name a number, or a byte that may
// not stand there; see addressBytes. It may be wrong on the side of yes.
func (d *Detector) names(text []byte, in uint8) bool {
	from, h := 0, namingHash(0)
	for i, b := range text {
		if addressBytes[b]&in == 0 {
			return true
		}
		if letter := letters[b]; letter != 0 {
			if h == 0 {
				from = i
			}
			h = h*33 + namingHash(letter)
			continue
		}
		if h != 0 && d.naming.has(h) && d.namesAt(text, from, i) {
			return true
		}
		h = 0
	}
	return h != 0 && d.naming.has(h) && d.namesAt(text, from, len(text))
}

// letters has the number of a letter, 0 for other bytes.
var letters = func() (t [256]uint8) {
	for b := range t {
		if isLetter(byte(b)) {
			t[b] = uint8(b) & 31
		}
	}
	return t
}()

func (w *namingWords) has(h namingHash) bool {
	k := h.slot()
	return w[k/64]>>(k%64)&1 != 0
}

// namesAt looks closely at the word text[from:to], for which the filter has a bit.
func (d *Detector) namesAt(text []byte, from, to int) bool {
	for _, w := range otherNaming {
		if foldEqual(text[from:to], w) {
			return true
		}
	}
	if end, _ := passwordWord(text, from); end == to {
		return true
	}
	return d.vocab.phrase(text, from, to, 0)&naming != 0
}
