package detect

// edges looks at the characters that touch a candidate. It refuses fractions,
// hexadecimal runs and parts of longer tokens, and returns senseSoft where a
// character says that the digits name something else: #, $, a path.
func (c *chain) edges(k *candidate, near bool) (sense, bool) {
	t := c.text
	bare := k.shape == withoutGroup
	if k.shape <= evenGroups && c.at(0).len() == 2 && hexPairs(t, k.start, k.end) {
		return 0, false
	}
	var sym sense
	if k.start > 0 {
		b := t[k.start-1]
		switch {
		case isLetter(b):
			// In "cvv2 123" the digit belongs to the word.
			if c.at(0).len() == 1 && !bare && digitWord(t[lo(k.start, maxWord):k.start], t[k.start]) || !c.gluedBefore(k.start, near) {
				return 0, false
			}
		case b == '.' && bare:
			// 0.4111..., .4111...: a fraction. "number.4111..." is not.
			if k.start < 2 || !isLetter(t[k.start-2]) {
				return 0, false
			}
		case b == ',' && bare && k.start >= 2 && t[k.start-2] == '0' && (k.start < 3 || !isDigit(t[k.start-3])):
			return 0, false // decimal comma
		case b == '-' || b == '_':
			if k.start >= 2 && (isLetter(t[k.start-2]) || bare && isDigit(t[k.start-2])) && !c.cardToken(k.start-1) {
				sym = senseSoft
			}
		case b == '/' && k.start >= 2 && isWordByte(t[k.start-2]) && !isDigit(t[k.start-2]):
			sym = senseSoft // a path
			if bare {
				sym = senseHard
			}
		case b == '#' || b == '$':
			sym = senseSoft
		case b == '+' && k.digits <= 15 && bare && !near:
			return 0, false // a telephone number
		}
	}
	if k.end < len(t) {
		b := t[k.end]
		switch {
		case isLetter(b):
			if !c.gluedAfter(k, near) {
				return 0, false
			}
		case (b == '-' || b == '_') && bare && k.end+1 < len(t) && isLetter(t[k.end+1]):
			sym = max(sym, senseSoft)
		case b == '-' && bare && k.end+1 < len(t) && isDigit(t[k.end+1]):
			if _, ok := dumpAfter(t, k.end); !ok {
				sym = max(sym, senseSoft)
			}
		case b == '@':
			sym = max(sym, senseSoft)
		}
	}
	return sym, true
}

// hexPairs reports whether pairs of digits stand in a row of bytes in
// hexadecimal: the pair before or behind has a letter in it. The pair "cc" before
// is what people write for a credit card.
func hexPairs(t []byte, start, end int) bool {
	pair := func(i int) bool {
		return i >= 0 && i+2 <= len(t) && isHex(t[i]) && isHex(t[i+1]) && (isLetter(t[i]) || isLetter(t[i+1]))
	}
	if b := start - 3; pair(b) && t[start-1] == ' ' && (b == 0 || !isWordByte(t[b-1])) && !foldEqual(t[b:b+2], "cc") {
		return true
	}
	return end < len(t) && t[end] == ' ' && pair(end+1) && (end+3 == len(t) || !isWordByte(t[end+3]))
}

// gluedBefore reports whether the letters right before i may stand there: the
// name of a card, or any word when a card is spoken of. Letters with digits
// before them are hexadecimal or an id, an X is a mask.
func (c *chain) gluedBefore(i int, near bool) bool {
	t, from := c.text, lo(i, maxWord)
	at := i
	for at > from && isLetter(t[at-1]) && !maskEnds(t, at) {
		at--
	}
	if i-at >= 4 && cardEnding(t[at:i]) {
		return true // no hexadecimal digits
	}
	if at > from && (isDigit(t[at-1]) || maskEnds(t, at)) || at == from && from > 0 || t[i-1]|0x20 == 'x' {
		return false
	}
	return near || cardEnding(t[at:i]) || c.d.vocab.sense(t[at:i])&(senseCard|senseCVV|sensePIN|senseSSN) != 0
}

// cardEndings are what people write right against a card number.
var cardEndings = [...]string{
	"card", "cc", "ccn", "pan", "visa", "amex", "mastercard", "mc", "discover", "diners", "jcb", "maestro", "number", "num", "no", "nr",
	"carte", "karte", "tarjeta", "carta", "nummer",
}

func cardEnding(word []byte) bool {
	for _, e := range cardEndings {
		if len(word) >= len(e) && foldEqual(word[len(word)-len(e):], e) {
			return true
		}
	}
	return false
}

// cardToken reports whether the letters that end at i name a card.
func (c *chain) cardToken(i int) bool {
	at := i
	for at > 0 && i-at < maxWord && isLetter(c.text[at-1]) {
		at--
	}
	return at < i && (c.d.vocab.sense(c.text[at:i])&senseCard != 0 || cardEnding(c.text[at:i]))
}

// gluedAfter reports whether the letters right behind a candidate may follow a
// card number: "exp", a card word, or any word behind a card as printed or when a
// card is spoken of.
func (c *chain) gluedAfter(k *candidate, near bool) bool {
	t, i := c.text, k.end
	end := i
	for end < len(t) && end-i < maxWord && isLetter(t[end]) && (end == i || !maskAt(t, end)) {
		end++
	}
	w := t[i:end]
	switch {
	case w[0] == 'X':
		return false
	case k.shape == brandGroups, len(w) >= 2 && foldEqual(w[:2], "ex"), len(w) >= 3 && foldEqual(w[:2], "cv"), len(w) >= 5 && foldEqual(w[:5], "valid"):
		return true
	case end < len(t) && (isDigit(t[end]) || t[end] == '_' || maskAt(t, end) || escapedDigit(t, end)):
		return false // hexadecimal, or an id
	case len(w) >= 2 && c.d.vocab.sense(w)&(senseCard|senseCVV|senseSSN|senseLink) != 0:
		return true
	}
	return near
}

// escapedDigit reports whether an escape that stands for a digit begins at i: a view reads
// the digit there.
func escapedDigit(t []byte, i int) bool {
	if !opens[t[i]] {
		return false
	}
	r, n, _ := unitAt(t, i)
	return n > 1 && isNumeral(r)
}

// fileEndings are those of pictures and papers that people send.
var fileEndings = [...]string{"pdf", "jpg", "jpeg", "png", "heic", "webp", "tif", "tiff", "txt", "doc", "docx"}

// fileOfCard reports whether the digits that end at i end the name of a file, and what
// is said of it behind names a card: "scan_4111111111111111.pdf, that is my card".
func (c *chain) fileOfCard(i int) bool {
	to := min(len(c.text), i+wordWindow)
	start, at, ok := wordAfter(c.text, i, to)
	if !ok || start != i+1 || c.text[i] != '.' || at-start > 4 {
		return false
	}
	file := false
	for _, e := range fileEndings {
		file = file || foldEqual(c.text[start:at], e)
	}
	for file {
		start, end, ok := wordAfter(c.text, at, to)
		if !ok || isDigit(c.text[start]) {
			return false
		}
		switch sn := c.d.vocab.sense(c.text[start:end]); {
		case sn&senseCard != 0:
			return true
		case sn&(senseSoft|senseHard) != 0:
			return false
		}
		at = end
	}
	return false
}

// plain is the last question about a card, and the dearest: whether it is part
// of a UUID or of an IBAN.
func (c *chain) plain(k *candidate) bool {
	return !inUUID(c.text, k.start, k.end) && !inIBAN(c.text, k.start, k.end)
}

// inUUID reports whether text[start:end] lies in a UUID: 8-4-4-4-12 hexadecimal
// digits.
func inUUID(t []byte, start, end int) bool {
	const length = 36
	for start > 0 && end-start <= length && (isHex(t[start-1]) || t[start-1] == '-') {
		start--
	}
	for end < len(t) && end-start <= length && (isHex(t[end]) || t[end] == '-') {
		end++
	}
	if end-start != length {
		return false
	}
	for i, b := range t[start:end] {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (b == '-') {
			return false
		}
	}
	return true
}

func isHex(b byte) bool { return isDigit(b) || (b|0x20)-'a' < 6 }
