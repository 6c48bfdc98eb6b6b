package detect

import (
	"bytes"
	"unicode/utf8"
)

// orderStem is how the words for orders and invoices begin in languages that decline them,
// or write longer names in one word with them.
type orderStem struct {
	stem []byte
	noun []byte // what stands behind the stem in the noun, and in no verb
}

var orderStems = func() (stems []orderStem) {
	for _, s := range [...][2]string{
		{"bestell", "ung"}, {"bestel", "ling"}, {"beställ", "ning"}, {"bestill", "ing"}, {"rechnung", ""}, {"faktur", ""}, {"objednáv", "k"}, {"objednáv", "c"}, {"objednav", "k"},
		{"objednav", "c"}, {"zamówieni", ""}, {"zamowieni", ""}, {"rendelés", ""}, {"naročil", ""}, {"narocil", ""}, {"narudžb", ""}, {"narudzb", ""}, {"tellimus", ""}, {"tilau", "s"},
		{"tilau", "ks"}, {"замовлен", "н"}, {"поръчк", ""}, {"παραγγελί", ""}, {"παραγγελι", ""}, {"sipariş", ""}, {"siparis", ""},
	} {
		stems = append(stems, orderStem{[]byte(s[0]), []byte(s[1])})
	}
	return stems
}()

// stemPairs has, for the low bits of the byte with which one of them begins, a bit for those of
// the byte behind it.
var stemPairs = func() (t [64]uint64) {
	for i := range orderStems {
		s := orderStems[i].stem
		t[s[0]&63] |= 1 << (s[1] & 63)
	}
	return t
}()

// mayBeStem reports whether one of orderStems may begin a word.
func mayBeStem(word []byte) bool {
	const shortest = len("tilau")
	return len(word) >= shortest && stemPairs[word[0]&63]>>(word[1]&63)&1 != 0
}

// longestEnding is how many letters an ending of declension has at most. With more of them
// the word is another one: facturation, Rechnungsdaten.
const longestEnding = 4

// Parts of names in one word: the last of them says what the name is of.
var (
	cardParts  = nameParts("kart", "kort", "card", "kaart", "visa", "amex", "master", "maestro", "kredit", "krediet", "debit", "bankomat", "kárt", "bankpas", "betaalpas", "pinpas", "pasnummer", "bancontact", "prepaid")
	thingParts = nameParts("bestel", "beställ", "bestill", "rechnung", "faktur", "factuur", "auftrag", "vertrag", "order", "ordre", "tilau", "vorgang", "versand", "sendung", "kund", "klant", "serie")
	// paidParts are of names that say how something is paid, and not by what.
	paidParts  = nameParts("zahl", "betal", "betaal")
	numberTail = byteWords("nummer", "nr", "numero", "númer", "szám")
)

// namePart is a part of names, with a bit for each of its bytes: most words have not got all of
// those.
type namePart struct {
	text  []byte
	bytes uint64
}

func nameParts(words ...string) (out []namePart) {
	for _, w := range words {
		out = append(out, namePart{[]byte(w), bytesOf(w)})
	}
	return out
}

func byteWords(words ...string) (out [][]byte) {
	for _, w := range words {
		out = append(out, []byte(w))
	}
	return out
}

// bytesOf has a bit for each byte of text, by its low bits.
func bytesOf[T []byte | string](text T) (set uint64) {
	for i := range len(text) {
		set |= 1 << (text[i] & 63)
	}
	return set
}

// compound is the sense of a long word in lower case that no table has: languages that
// write a name in one word have more of them than a table holds, and the number of
// something that is no card is no card number: Retourennummer, kollinummer,
// seurantanumero.
func compound(word []byte) sense {
	if n := len(word); !mayBeStem(word) && word[n-1] != 'r' && word[n-1] != 'o' && (word[n-1] != 'm' || n < 2 || word[n-2] < utf8.RuneSelf) {
		return 0 // as mostly: neither a stem nor one of numberTail
	}
	number := false
	for _, tail := range numberTail {
		number = number || bytes.HasSuffix(word, tail)
	}
	stem := -1
	for i := range orderStems {
		if s := &orderStems[i]; word[0] == s.stem[0] && bytes.HasPrefix(word, s.stem) {
			stem = i
			if bytes.HasPrefix(word[len(s.stem):], s.noun) {
				break
			}
		}
	}
	if stem < 0 && !number {
		return 0
	}
	switch card := lastOf(cardParts, word); {
	case card > lastOf(thingParts, word):
		return senseCard
	case bytes.HasPrefix(word, []byte("sozialvers")):
		return senseSSN
	case number:
		if lastOf(paidParts, word) >= 0 {
			return 0
		}
		return senseSoft
	}
	s := &orderStems[stem]
	ending := word[len(s.stem):]
	if !bytes.HasPrefix(ending, s.noun) || utf8.RuneCount(ending[len(s.noun):]) > longestEnding {
		return 0
	}
	return senseSoft
}

// lastOf returns where the last of parts begins in word, or -1.
func lastOf(parts []namePart, word []byte) int {
	last, set := -1, bytesOf(word)
	for i := range parts {
		if p := &parts[i]; p.bytes&^set == 0 {
			last = max(last, bytes.LastIndex(word, p.text))
		}
	}
	return last
}
