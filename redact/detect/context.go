package detect

import "bytes"

// words is what the words in front of a number say. Offsets are where the word
// begins; -1 means there is none within wordWindow.
type words struct {
	near   sense // of the nearest word that names a card, another number, or an SSN
	nearAt int
	direct sense // what a word or key right in front says, with only link words between; it outweighs near
}

// says reports whether the words name the number what s says.
func (w *words) says(s sense) bool {
	if w.direct != 0 {
		return w.direct&s != 0
	}
	return w.near&s != 0
}

// other is senseSoft or senseHard when the number is named something else.
func (w *words) other() sense { return w.direct & (senseSoft | senseHard) }

// directReach is how far a word may stand and still name the number.
const directReach = 40

// before reads the words in front of the group that begins at i. joined says
// that other digits stand between: then no word is right in front of it.
func (s *scanner) before(i int, joined bool) words {
	w := words{nearAt: -1}
	from := lo(i, wordWindow)
	direct, at := !joined, i
	if direct {
		if speaker := s.spokenBy(i); speaker >= 0 {
			direct, at = false, speaker
		}
	}
	if direct {
		switch s.keyBefore(i) {
		case keyID:
			w.direct = senseSoft
		case keyCard:
			w.direct = senseCard
		case keySSN:
			w.direct = senseSSN
		}
		direct = w.direct == 0
	}
	if !s.hint.near.any(&s.d.vocab, s.text, i, i, namesCard) {
		return w
	}
	if direct {
		at = s.placeBefore(at, from)
	}
	d := denial{scanner: s}
	for direct || w.near == 0 {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok {
			break
		}
		if w.direct != 0 && clauseEnds(s.text[end:at]) {
			direct = false // "paid by card. Order 4111..."
		}
		sn := s.wordSense(start, end, from)
		named := sn & (senseCard | senseSoft | senseHard | senseSSN)
		if direct && named&senseSoft != 0 && s.spokenBy(at) == start {
			direct, named = false, 0 // "Customer: The number is 4111..."
		}
		if direct {
			switch {
			case i-end > directReach:
				direct = false
			case named&(senseSoft|senseHard) != 0 && s.d.vocab.wishes(s.text[start:end]),
				named&senseSoft != 0 && foldEqual(bytes.TrimSpace(s.text[end:i]), "to"):
				direct = false // "charge the order to 4111..."
			case named&(senseSoft|senseHard) != 0:
				if w.direct == 0 || named&senseHard != 0 && sn&(senseCard|namePhone) == 0 && oneName(s.text[end:at]) {
					w.direct = named & (senseSoft | senseHard) // "loyalty membership number"
				}
				direct = d.names(start, end, at)
			case named&senseCard != 0:
				if d.yields(start, end, at, w.direct) {
					w.direct = senseCard
				}
				direct = false
			case named&senseSSN != 0:
				if w.direct == 0 {
					w.direct = senseSSN
				}
				direct = false
			default:
				direct = d.link(start, end, at, w.direct, sn&senseLink != 0)
			}
		}
		at = start
		if named != 0 && w.near == 0 {
			w.near, w.nearAt = named, start
		}
	}
	return w
}

// maxPlace is how many words may say where something is: "on the kitchen fridge".
const maxPlace = 2

// placeBefore returns where the words begin that stand right in front of i and say where the
// number of another thing stands, or what has it: "serial number on the fridge: 4111...". Without
// such words, or where they name anything themselves, it is i.
func (s *scanner) placeBefore(i, from int) int {
	at := i
	for n := 0; n <= maxPlace; n++ {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok || i-start > directReach || clauseEnds(s.text[end:at]) {
			return i
		}
		if n > 0 && s.among(placeArticles, start, end) {
			a, b, ok := wordBefore(s.text, start, from)
			if ok && s.among(placeWords, a, b) {
				start = a
			} else if !s.among(placeOf, start, end) {
				return i
			}
			if a, b, ok = wordBefore(s.text, start, from); !ok {
				return i
			}
			if sn := s.wordSense(a, b, from); s.role(a, b)&saysNumber != 0 || sn&senseHard != 0 {
				return start
			}
			return i
		}
		if n == maxPlace || isDigit(s.text[start]) || s.d.vocab.sense(s.text[start:end]) != 0 || s.among(placeSides, start, end) || s.role(start, end) != 0 {
			return i
		}
		at = start
	}
	return i
}

// Words for where something is: such as stand in front of an article, the articles, those of
// them that say both, and what a card has and other things do not.
var (
	placeWords    = wordsOf("on of in at inside under behind an auf unter hinter von en de sur sous su sotto op van onder na pe")
	placeArticles = wordsOf("the my our this that a der dem den die das meinem meiner unserem unserer el la los las mi nuestro nuestra le les mon ma notre il lo mio mia o meu minha het mijn onze am im vom zum del du al nel nella sul sulla della dello do da no")
	placeOf       = wordsOf("am im vom zum del du al nel nella sul sulla della dello do da no")
	placeSides    = wordsOf("front side reverse face top bottom plastic chip stripe strip one vorne vorderseite frente delante devant recto davanti fronte voorkant")
)

// clauseEnds reports whether a clause ends in what stands between two words.
func clauseEnds(between []byte) bool {
	for i, b := range between {
		switch b {
		case '.', ',', ';', '!', '?', '\n':
			return true
		case 0xE3, 0xEF:
			if wideStop(between[i:]) {
				return true
			}
		}
	}
	return false
}

// wideStop reports whether text begins with a sign that ends a clause in Chinese or Japanese.
func wideStop(text []byte) bool {
	if len(text) < 3 {
		return false
	}
	switch string(text[:3]) {
	case "。", "、", "，", "；", "！", "？":
		return true
	}
	return false
}

// wordNames reports whether a word in front of i says what set says.
func (s *scanner) wordNames(i int, set sense) bool {
	from := lo(i, wordWindow)
	for at := i; ; {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok || s.wordSense(start, end, from)&set != 0 {
			return ok
		}
		at = start
	}
}

// wordSense is the sense of one word, with the words in front that change it:
// a gift card is no card, social media no social security; the social insurance
// number is Canadian.
func (s *scanner) wordSense(start, end, from int) sense {
	sn := s.d.vocab.sense(s.text[start:end])
	w := s.text[start:end]
	if len(w) == 1 && w[0]|0x20 == 'n' {
		if s.spelled(start, from) {
			return senseSSN
		}
		if start >= 2 && s.text[start-1] == '/' && s.text[start-2]|0x20 == 's' && (start == 2 || !isWordByte(s.text[start-3])) {
			return senseHard // S/N
		}
	}
	if sn&(senseCard|senseSSN|namePhone) == 0 {
		return sn
	}
	switch {
	case sn&senseHard != 0 && foldEqual(w, "phone") && s.byWay(start, from):
		return senseLink
	case sn&senseCard != 0 && (len(w) == 4 || len(w) == 5) && (w[0]|0x20 == 'c' || w[0]|0x20 == 'k') && w[1]|0x20 == 'a':
		if a, b, ok := wordBefore(s.text, start, lo(start, wordWindow/2)); ok && oneName(s.text[b:start]) && s.d.vocab.sense(s.text[a:b])&senseKind != 0 {
			return senseHard
		}
	case sn&senseCard != 0 && foldEqual(w, "credit"):
		if a, b, ok := wordAfter(s.text, end, min(len(s.text), end+8)); ok && (foldEqual(s.text[a:b], "note") || foldEqual(s.text[a:b], "memo")) {
			return senseSoft
		}
	case sn&senseSSN != 0 && len(w) == 6 && w[0]|0x20 == 's' && w[1]|0x20 == 'o': // social
		if a, b, ok := wordAfter(s.text, end, min(len(s.text), end+16)); ok && (foldEqual(s.text[a:b], "media") || foldEqual(s.text[a:b], "insurance")) {
			return 0
		}
	}
	return sn
}

// oneName reports whether what stands between two words makes them parts of one name: "key
// card" and "Payback-Karte", but not "I pay for parking, card 4111".
func oneName(between []byte) bool {
	return len(between) == 1 && between[0] == '-' || len(bytes.Trim(between, " \t\u00a0")) == 0
}

// spelled reports whether "s s" stands in front of the n at i: somebody spells SSN.
func (s *scanner) spelled(i, from int) bool {
	for range 2 {
		a, b, ok := wordBefore(s.text, i, from)
		if !ok || b-a != 1 || s.text[a]|0x20 != 's' || i-b > 2 {
			return false
		}
		i = a
	}
	return true
}

// byWay reports whether the word that begins at i is how something was told, and
// not what: "the card over the phone 4111...".
func (s *scanner) byWay(i, from int) bool {
	a, b, ok := wordBefore(s.text, i, from)
	if ok && foldEqual(s.text[a:b], "the") {
		a, b, ok = wordBefore(s.text, a, from)
	}
	if !ok {
		return false
	}
	w := s.text[a:b]
	return foldEqual(w, "over") || foldEqual(w, "by") || foldEqual(w, "via")
}

// keyBefore reads the name in "name: 123", "name=123" or `"name":"123"` that
// stands in front of the digits at i.
func (s *scanner) keyBefore(i int) keySense {
	t, from := s.text, lo(i, wordWindow)
	skip := func(set string) {
		for i > from && indexByte(set, t[i-1]) {
			i--
		}
	}
	skip(" \"'\\[")
	if i == from || t[i-1] != ':' && t[i-1] != '=' {
		return 0
	}
	i--
	skip(" \"'\\")
	end := i
	for i > from && !(end-i >= 3 && isDigit(t[i]) && isDigit(t[i+1]) && isDigit(t[i+2])) && !maskEnds(t, i) && (isLetter(t[i-1]) || isDigit(t[i-1]) || t[i-1] == '_' || t[i-1] == '-' || t[i-1] == '[' || t[i-1] == ']') {
		i--
	}
	if i == from && from > 0 || i == end {
		return 0
	}
	var buf [wordWindow]byte
	n := copy(buf[:], t[i:end])
	return senseOfKey(string(buf[:n]))
}

func indexByte(set string, b byte) bool {
	for i := 0; i < len(set); i++ {
		if set[i] == b {
			return true
		}
	}
	return false
}

// foldEqual compares ASCII text with a lower-case word.
func foldEqual(text []byte, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i := range text {
		if text[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}
