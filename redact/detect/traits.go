package detect

// KeyTraits are what a key says about the numbers beside it, as far as one can tell
// without them. A walker that meets a key again and again reads it once; see
// [Detector.Quick].
type KeyTraits uint8

const (
	// keyMayName: a number may be an identifier, or a text is a password, because of the
	// key; see [MayName].
	keyMayName KeyTraits = 1 << iota
	// keyMayCue: a few digits may be a finding because of the key; see cueInKey.
	keyMayCue
	// keyMayBeCard: thirteen digits, which cards have not had for long, may be one
	// because of the key, or because there is none; see chain.loose.
	keyMayBeCard
)

// Silent reports whether a text without signs is no finding beside the key, unless
// somebody speaks in it.
func (k KeyTraits) Silent() bool { return k&keyMayName == 0 }

// TraitsOf reads a key. It is quick, and may be wrong on the side of more.
func TraitsOf(key []byte) KeyTraits {
	var t KeyTraits
	if len(key) == 0 {
		t = keyMayBeCard
	}
	if MayName(key) || namesPassword(key) {
		t |= keyMayName
	}
	if cueInKey(key) {
		t |= keyMayCue
	}
	for i := 0; i < len(key); {
		if !isLetter(key[i]) {
			i++
			continue
		}
		var c uint32
		if c, i = keyCue(key, i); cardCues[c>>6]>>(c&63)&1 != 0 {
			t |= keyMayBeCard
		}
	}
	return t
}

// cardCues has a bit for each word of a key that makes it that of a card or of prose.
var cardCues = func() (t [1 << 16 / 64]uint64) {
	for w, s := range keyTable {
		if s&(keyCard|keyText) != 0 {
			c, _ := keyCue(w, 0)
			t[c>>6] |= 1 << (c & 63)
		}
	}
	return t
}()
