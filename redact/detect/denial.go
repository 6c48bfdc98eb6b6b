package detect

import (
	"bytes"
	"strings"
)

// denial reads what stands between a word that names another number and one that names a
// card, from right to left. The card wins, unless the other word names the number itself:
// "my card order number 4111...", and the card's number all the same in "the card for my
// order: 4111...".
type denial struct {
	*scanner
	named    bool // a word for another number was read
	numbered bool // "order number", "order #": the number is the order's
	stated   bool // "the order is:", "the order:": what it is of stands in front
	meant    bool // "this order": it is known, and not being named here
	prefix   bool // "for the order": what it is for is something else
	between  int  // words between the prefix and the card
	relative bool // the leftmost of them begins what is said of the card
}

// romanceCards are words for a card behind which its adjectives stand: "cartão novo
// para a reserva".
var romanceCards = wordsOf("tarjeta tarjetas carte cartes carta cartão cartões cartao")

// maxSaidOfCard is how many words of its own a card may have: "the card I paid with for ...".
const maxSaidOfCard = 4

// wordRole is what a word does between the names of numbers.
type wordRole uint16

const (
	saysNumber wordRole = 1 << iota // what it stands beside has a number, which is meant
	saysIs                          // stands between what a number is called and the number
	saysWhich                       // says which one of its kind is meant
	saysThat                        // stands for a number that was just said: "that's my card"
	saysFor                         // stands between a card and what it is for
	saysForThe                      // that, with an article in it
	saysOf                          // begins what is said of a card: "the card that I used for ..."
	saysWhere                       // is a link that says where something is, and not what
	saysWhose                       // stands in front of cards that somebody has, and does not sell
)

// wordRoles are the words that do something there, in lower case.
var wordRoles = func() map[string]wordRole {
	m := map[string]wordRole{}
	for role, words := range map[wordRole]string{
		saysNumber: `number numbers no nr num nos id nummer numéro numero número numer numeru номер номером
			номера číslo čísla szám száma numara numarası nomor nro broj številka 番号 번호 n nº`,
		saysIs: "is was are es ist lautet war est è é jest er är este είναι هو هي adalah là это s thats",
		saysWhich: `the this that these those my our your his her their mein meine meinen meiner meinem die der das den dem diese diesen dieser unsere unsere ma mon mes notre la le les cette ce l mi mis nuestra
			nuestro el esta este il lo mia mio questo questa o a os as meu minha este esta mijn onze de het deze dit moja moje mojego mojej mój min mitt mina mine моя мой моё мою наша benim`,
		saysThat:   "that this it which thats to das dies c ce ça cela eso esto ese esta questo questa isso isto dat dit det denna",
		saysFor:    "for für fuer zum zur pour para per por voor för til till do для к за за pentru pe en za na",
		saysForThe: "zum zur nel nella al alla allo",
		saysOf:     "i we you he she they that which die que qu che som który którą którym jeg jag ich ik die",
		saysWhere:  "on to and und as at back ending please bitte here no value",
		saysWhose:  "my our your his her their",
	} {
		for w := range strings.FieldsSeq(words) {
			m[w] |= role
		}
	}
	return m
}()

// role returns what the word text[start:end] does.
func (s *scanner) role(start, end int) wordRole {
	if end-start > maxWord || isDigit(s.text[start]) {
		return 0
	}
	var buf [2 * maxWord]byte
	return wordRoles[string(fold(buf[:0], s.text[start:end]))]
}

// names reads a word for another number, behind which at begins, and reports whether one
// in front of it may still say something.
func (d *denial) names(start, end, at int) bool {
	if d.prefix {
		return false
	}
	if !d.named {
		d.mark(end, at)
	}
	d.named = true
	w := d.text[start:end]
	d.numbered = d.numbered || foldEqual(w, "id") || bytes.HasSuffix(w, []byte("nummer"))
	return true
}

// mark reads the signs between two words, or a word and the number.
func (d *denial) mark(from, to int) {
	for _, b := range d.text[from:to] {
		d.stated = d.stated || b == ':' || b == '='
		d.numbered = d.numbered || b == '#'
	}
}

// link reads any other word, behind which at begins, and reports whether one in front of
// it may still say something. direct is what was read, and link says that the word may
// stand between a name and its number.
func (d *denial) link(start, end, at int, direct sense, link bool) bool {
	if direct == 0 && !link {
		return false
	}
	role := d.role(start, end)
	if direct == 0 {
		d.mark(end, at)
		d.stated = d.stated || role&saysIs != 0
		d.numbered = d.numbered || role&saysNumber != 0
		return true
	}
	switch {
	case d.prefix:
		d.relative = role&saysOf != 0
		if !link && role&saysWhich == 0 {
			d.between++
		}
		return d.between <= maxSaidOfCard
	case role&saysNumber != 0:
		d.numbered = true
	case role&saysWhich != 0:
		d.meant = true
		return true
	case role&saysFor != 0:
		d.meant = d.meant || role&saysForThe != 0
		d.prefix = !d.numbered && (d.stated || d.meant && direct&senseHard == 0)
		return link || d.prefix
	}
	return link
}

// yields reports whether the word for a card at text[start:end], behind which at begins,
// is what names the number, though direct was read behind it.
func (d *denial) yields(start, end, at int, direct sense) bool {
	switch {
	case direct == 0:
		return true
	case d.prefix:
		return d.between == 0 || d.relative || d.between <= 2 && d.among(romanceCards, start, end)
	case direct&senseHard != 0:
		return false
	case !foldEqual(d.text[start:end], "cards") || at != end+1:
		return true
	}
	// "card account number": the account is the card's. "Greeting cards order 4111..." is
	// an order of cards, if they are nobody's.
	if _, b, ok := wordAfter(d.text, at, min(len(d.text), at+maxWord)); !ok || b-at < 5 || !foldEqual(d.text[at:at+5], "order") {
		return true
	}
	a, b, ok := wordBefore(d.text, start, lo(start, wordWindow/2))
	return ok && (d.role(a, b)&saysWhose != 0 || d.d.vocab.sense(d.text[a:b])&senseCard != 0)
}
