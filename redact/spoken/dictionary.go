package spoken

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// maxLanguages is how many tables one Reader holds.
const maxLanguages = 8

// maxWord is the longest word that is looked up, in bytes: German numbers are
// one word each.
const maxWord = 24

// role says what a word does in a spoken number, beside its value.
type role uint16

const (
	roleFiller role = 1 << iota
	roleAnd
	roleCorrection
	roleOrdinal
	roleCounted
	roleSpeaker
	roleHomophone
)

// sense is what a word means in one language.
type sense struct {
	roles role
	// val has size digits when the word alone is a number.
	val, size uint8
	// node is where phrases of several words that begin with it go on, 0 for none.
	node uint16
	// hundreds, thousands and repeat are what the tables say, 0 for nothing.
	hundreds, thousands, repeat uint8
	// homophone is the digit it may stand for, plus one.
	homophone uint8
}

// number reports whether a number phrase can begin with the word.
func (s *sense) number() bool {
	return s.size > 0 || s.node > 0 || s.hundreds > 0 || s.thousands > 0 || s.repeat > 0
}

// has is 1 when r is among the roles of the word, or 0.
func (s *sense) has(r role) uint8 {
	if s.roles&r != 0 {
		return 1
	}
	return 0
}

// node is a place in a phrase of several words.
type node struct {
	next []edge
	val  uint8
	size uint8 // 0 when no number ends here
}

type edge struct{ word, node uint16 }

// dictionary is the compiled form of all tables. It is never changed after New.
type dictionary struct {
	names  []string // of the words, 1 and up
	senses [][maxLanguages]sense
	parts  []uint8 // as langs, and also for words inside a number such as "y", "et"
	roles  []role  // of the word in any language
	langs  []uint8 // bit for each language in which the word is part of a number
	// numbers has a bit for each language in which a number phrase can begin with the
	// word, singles for those in which it says one digit, alone or in front of anything but
	// what scales has a bit for: hundreds and thousands.
	numbers, singles, scales []uint8
	fills                    []fill // see Reader.Between
	// weights are how many digits a word adds to a stretch; see stretch.
	weights []uint8
	// begins has the lengths of words that are a part of a number, a bit each, by five
	// bits of their first and of their second byte.
	begins [32][32]uint32
	// fillBegins is the same for words that may begin what stands within a number.
	fillBegins [32][32]uint32
	first      [256]bool // the bytes with which words begin, folded
	nodes      []node    // 1 and up
	slots      [slots]uint16
	brief      [slots]briefWord
	grams      [grams / 64]uint64
}

// briefWord is a word of at most eight letters of ASCII, folded, the first of which is
// the lowest byte of name, and its number; see findAt.
type briefWord struct {
	name uint64
	word uint16
}

const (
	slots     = 1 << 13
	hashSeed  = 0x811C9DC5
	hashPrime = 0x01000193
)

// lower folds ASCII letters. Letters of Latin-1 behind the lead byte 0xC3 are
// folded the same way, by bit five.
var lower = func() (t [256]byte) {
	for b := range t {
		t[b] = byte(b)
		if byte(b)-'A' < 26 {
			t[b] |= 0x20
		}
	}
	return t
}()

// fold writes a word of a table as find reads it.
func fold(name string) string {
	b, wide := []byte(name), byte(0)
	for i := range b {
		b[i] = lower[b[i]] | wide
		wide = 0
		if b[i] == 0xC3 {
			wide = 0x20
		}
	}
	return string(b)
}

// find returns the number of the word in text, 0 when it is not known.
func (d *dictionary) find(text []byte) uint16 {
	if len(text) > maxWord || len(text) == 0 || !d.first[lower[text[0]]] {
		return 0
	}
	var folded [maxWord]byte
	h, wide := uint32(hashSeed), byte(0)
	for i, b := range text {
		b = lower[b] | wide
		wide = 0
		if b == 0xC3 {
			wide = 0x20
		}
		folded[i] = b
		h = (h ^ uint32(b)) * hashPrime
	}
	for i := (h ^ h>>15) & (slots - 1); ; i = (i + 1) & (slots - 1) {
		w := d.slots[i]
		if w == 0 || d.names[w] == string(folded[:len(text)]) {
			return w
		}
	}
}

// findAt is find for the word text[start:end], which is letters and bytes outside ASCII.
// Most are short, and are looked up as one number.
func (d *dictionary) findAt(text []byte, start, end int) uint16 {
	n := end - start
	if n > 8 || n == 0 || start+8 > len(text) {
		return d.find(text[start:end])
	}
	w := binary.LittleEndian.Uint64(text[start:]) & (^uint64(0) >> (64 - 8*n))
	if w&highs != 0 {
		return d.find(text[start:end])
	}
	w |= 0x20 * ones >> (64 - 8*n)
	for i := briefHash(w); ; i = (i + 1) & (slots - 1) {
		if b := &d.brief[i]; b.name == w || b.name == 0 {
			return b.word
		}
	}
}

// briefHash is where to look for a word in dictionary.brief.
func briefHash(w uint64) uint64 { return w * 0x9E3779B97F4A7C15 >> 51 }

// shorten fills brief.
func (d *dictionary) shorten() {
	for w, name := range d.names {
		if w == 0 || len(name) > 8 {
			continue
		}
		var buf [8]byte
		copy(buf[:], name)
		key := binary.LittleEndian.Uint64(buf[:])
		if key&highs != 0 {
			continue
		}
		i := briefHash(key)
		for d.brief[i].name != 0 {
			i = (i + 1) & (slots - 1)
		}
		d.brief[i] = briefWord{key, uint16(w)}
	}
}

// word returns the number of a word, and adds it when it is new.
func (d *dictionary) word(name string) uint16 {
	name = fold(name)
	if w := d.find([]byte(name)); w != 0 {
		return w
	}
	h := uint32(hashSeed)
	for i := 0; i < len(name); i++ {
		h = (h ^ uint32(name[i])) * hashPrime
	}
	i := (h ^ h>>15) & (slots - 1)
	for d.slots[i] != 0 {
		i = (i + 1) & (slots - 1)
	}
	w := uint16(len(d.names))
	d.slots[i] = w
	d.first[name[0]] = true
	d.names = append(d.names, name)
	d.senses = append(d.senses, [maxLanguages]sense{})
	d.langs = append(d.langs, 0)
	d.parts = append(d.parts, 0)
	d.roles = append(d.roles, 0)
	return w
}

// step returns where the phrase at node n goes on with the word, or 0.
func (d *dictionary) step(n, word uint16) uint16 {
	for _, e := range d.nodes[n].next {
		if e.word == word {
			return e.node
		}
	}
	return 0
}

// phrase adds a number of one or more words.
func (d *dictionary) phrase(lang int, say string, val, size uint8) {
	words := strings.Fields(strings.ReplaceAll(say, "-", " "))
	first := d.word(words[0])
	s := &d.senses[first][lang]
	d.langs[first] |= 1 << lang
	d.parts[first] |= 1 << lang
	if len(words) == 1 {
		s.val, s.size = val, size
		return
	}
	if s.node == 0 {
		s.node = d.grow()
	}
	at := s.node
	for _, w := range words[1:] {
		id := d.word(w)
		d.parts[id] |= 1 << lang
		next := d.step(at, id)
		if next == 0 {
			next = d.grow()
			d.nodes[at].next = append(d.nodes[at].next, edge{id, next})
		}
		at = next
	}
	d.nodes[at].val, d.nodes[at].size = val, size
}

func (d *dictionary) grow() uint16 {
	d.nodes = append(d.nodes, node{})
	return uint16(len(d.nodes) - 1)
}

// each calls f for the alternatives of a row.
func each(row string, f func(say string)) {
	for say := range strings.SplitSeq(row, "|") {
		if say != "" {
			f(say)
		}
	}
}

// add compiles one table.
func (d *dictionary) add(lang int, l *Language) error {
	two := func(row string, v int) {
		each(row, func(say string) { d.phrase(lang, say, uint8(v), 2) })
	}
	for v := range 10 {
		if l.Digits[v] == "" || l.Teens[v] == "" {
			return fmt.Errorf("language %s: no word for %d or %d", l.Name, v, 10+v)
		}
		each(l.Digits[v], func(say string) { d.phrase(lang, say, uint8(v), 1) })
		two(l.Teens[v], 10+v)
		each(l.Homophones[v], func(say string) {
			w := d.word(say)
			d.senses[w][lang].homophone = uint8(v) + 1
			d.roles[w] |= roleHomophone
		})
	}
	// compound writes the ways to say tens and the number behind it.
	compound := func(tens, rest string, v int) {
		for _, pattern := range l.Compounds {
			each(tens, func(t string) {
				each(rest, func(u string) {
					two(strings.NewReplacer("{t}", t, "{u}", u).Replace(pattern), v)
				})
			})
		}
	}
	for t := 2; t < 10; t++ {
		two(l.Tens[t], 10*t)
		for u := 1; u < 10; u++ {
			unit := l.Inner[u]
			if unit == "" {
				unit = l.Digits[u]
			}
			compound(l.Tens[t], unit, 10*t+u)
		}
		if from, ok := l.Borrowed[t]; ok {
			for u := range 10 {
				compound(l.Tens[from], l.Teens[u], 10*t+u)
			}
		}
	}
	for digits, row := range l.More {
		if len(digits) != 2 || digits[0]-'0' > 9 || digits[1]-'0' > 9 {
			return fmt.Errorf("language %s: More is for numbers of two digits", l.Name)
		}
		two(row, int(digits[0]-'0')*10+int(digits[1]-'0'))
	}
	mark := func(word string) *sense {
		w := d.word(word)
		d.langs[w] |= 1 << lang
		d.parts[w] |= 1 << lang
		return &d.senses[w][lang]
	}
	for word, n := range l.Hundreds {
		mark(word).hundreds = uint8(n)
	}
	for word, n := range l.Thousands {
		mark(word).thousands = uint8(n)
	}
	for word, n := range l.Repeat {
		mark(word).repeat = uint8(n)
	}
	for _, r := range []struct {
		row  string
		role role
	}{{l.Fillers, roleFiller}, {l.And, roleAnd}, {l.Corrections, roleCorrection}, {l.Ordinals, roleOrdinal}, {l.Counted, roleCounted}, {l.Roles, roleSpeaker}} {
		each(r.row, func(say string) {
			w := d.word(say)
			d.senses[w][lang].roles |= r.role
			d.roles[w] |= r.role
		})
	}
	return nil
}
