package detect

// NamesCard reports whether a word of text names a payment card. It is for
// walkers that put a number together from places of its own, which only a word
// beside them makes one number.
func (d *Detector) NamesCard(text []byte) bool {
	for i := 0; i < len(text); {
		if !isLetter(text[i]) && text[i] < 0x80 {
			i++
			continue
		}
		from := i
		for i < len(text) && (isLetter(text[i]) || text[i] >= 0x80) {
			i++
		}
		if i-from <= maxWord && d.vocab.sense(text[from:i])&senseCard != 0 {
			return true
		}
	}
	return false
}

// NamesID reports whether a value with that key is an identifier by its place.
func NamesID(key string) bool { return senseOfKey(key) == keyID }
