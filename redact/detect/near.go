package detect

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"unicode/utf8"
)

// nearNames knows where words stand that name numbers. Most numbers in a text full of
// them have no such word near them, and then nothing that needs one is tried. Each
// stretch of text is read once, from left to right.
type nearNames struct {
	to     int // how far the text is read
	whole  int // from where on it is
	at     [nameKinds]int
	last   int  // where the last number stands that was asked for
	sparse bool // it stands far behind the one before

	cueTo, cueAt int // how far text is read for words that name a code, and where one may stand last; see cue
	// The stretch of text that was read for names of months, and where one may stand last in
	// it; see month.
	monthFrom, monthTo, monthAt int
	alikeOf, alikePast          int // what lookalikeEnd said last, and of which word, plus one
	// The stretch of text that was read for signs behind a key, and where one may stand last in it; see keySign.
	signFrom, signTo, signAt int
	paidTo, paidAt           int // how far text is read for payment processors, and where one may be named last; see processor

	groups groupRow // of cards in pieces
	ids    idScan   // of the scanner that this belongs to
}

// nameKind is a group of senses.
type nameGroup uint8

const (
	namesID    nameGroup = iota // nameAny: an identifier of this file's family
	namesSSN                    // senseSSN
	namesCard                   // what scanner.before and scanner.after look for
	namesValue                  // a card, what stands beside one, or a tax number
	anyWord                     // any of two letters or more that is no mask
	nameKinds
)

// How far in front of a number and behind it a word may begin that names it.
const (
	nearBefore = wordWindow + 4
	nearBehind = wordWindow + 4
)

// nowhere are the places of words when there are none.
var nowhere = [nameKinds]int{-1, -1, -1, -1, -1}

// begin forgets all that was read.
func (m *nearNames) begin() {
	m.to, m.whole, m.last, m.sparse, m.at = -1, -1, -2*nearBefore, false, nowhere
	m.paidTo, m.paidAt = -1, -1
	m.alikeOf = 0
	m.signFrom, m.signTo, m.signAt = -1, -1, -1
	m.cueTo, m.cueAt = -1, -1
	m.monthFrom, m.monthTo, m.monthAt = -1, -1, -1
	m.groups.first, m.groups.n = 0, 0
}

// groupRow is the row of groups of the text, nil for a nil m.
func (m *nearNames) groupRow() *groupRow {
	if m == nil {
		return nil
	}
	return &m.groups
}

// any reports whether a word of a group may stand near text[i:end]. It may be wrong on
// the side of yes. A nil m knows nothing.
func (m *nearNames) any(v *vocabulary, text []byte, i, end int, g nameGroup) bool {
	if m == nil {
		return true
	}
	// Where numbers are far apart it costs less to look at the word beside each.
	if i != m.last {
		m.sparse, m.last = i-m.last > nearBefore, i
	}
	if m.sparse {
		return true
	}
	from := max(0, i-nearBefore)
	if from < m.whole || from > m.to {
		at := from
		for at > 0 && from-at < maxWord && isWordByte(text[at-1]) {
			at--
		}
		m.to, m.whole, m.at = at, from, nowhere
	}
	if to := min(len(text), end+nearBehind); m.to < to {
		m.read(v, text, to)
	}
	return m.at[g] >= from
}

// read reads the words that begin before to.
func (m *nearNames) read(v *vocabulary, text []byte, to int) {
	i := m.to
	for i < to {
		switch byteKinds[text[i]] {
		case otherByte, digitByte:
			i++
			continue
		case wideByte:
			r, size := utf8.DecodeRune(text[i:])
			if !wordRune(r) {
				i += size
				continue
			}
		}
		start, odd, wide := i, false, false
	word:
		for i < len(text) {
			switch byteKinds[text[i]] {
			case letterByte:
				odd = odd || text[i] == 'X'
				i++
			case wideByte:
				r, size := utf8.DecodeRune(text[i:])
				if !wordRune(r) {
					break word
				}
				wide = true
				i += size
			default:
				break word
			}
		}
		switch {
		case odd && maskIn(text, start, i):
			m.oddWord(text, start, i)
		case wide:
			m.wideWord(v, text, start, i)
		default:
			m.word(v, text, start, i)
		}
	}
	m.to = i
}

// maskIn reports whether a mask of ours stands in text[start:end], or goes on beside it.
func maskIn(text []byte, start, end int) bool {
	for i := start; i < end; i++ {
		if text[i] == 'X' && (maskAt(text, i) || maskEnds(text, i+1)) {
			return true
		}
	}
	return false
}

// oddWord is word for text with a mask in it, parts of which may be words of their own.
func (m *nearNames) oddWord(text []byte, start, end int) {
	if !allX(text[start:end]) {
		m.at = [nameKinds]int{start, start, start, start, start}
	}
}

// wideWord is word for text with letters outside ASCII.
func (m *nearNames) wideWord(v *vocabulary, text []byte, start, end int) {
	if m.word(v, text, start, end) != 0 {
		m.at[namesValue] = start // security codes are named in two words
	}
}

// word takes note of what text[start:end] says, and returns that.
func (m *nearNames) word(v *vocabulary, text []byte, start, end int) sense {
	w := text[start:end]
	if len(w) > 1 {
		m.at[anyWord] = start
	}
	sn := v.phrase(text, start, end, lo(start, wordWindow))
	if sn&nameAny != 0 {
		m.at[namesID] = start
	}
	n := len(w)
	// W-9 and the like; somebody spells SSN; see digitWord.
	short := n == 1 && (w[0]|0x20 == 'w' || w[0]|0x20 == 'n')
	if sn&senseSSN != 0 || short {
		m.at[namesSSN] = start
	}
	glued := short || n >= 3 && (foldEqual(w[:3], "exp") || foldEqual(w[n-3:n-1], "cv"))
	if glued || sn&(senseCard|senseSoft|senseHard|senseSSN|senseCVV) != 0 {
		m.at[namesCard] = start
	}
	if glued || sn&(senseCard|senseSSN|senseCVV|sensePIN|senseTail|nameExpiry) != 0 || n >= 4 && foldEqual(w[:3], "cod") {
		m.at[namesValue] = start // see code and expiry
	}
	return sn
}

// cue is the function cue for places from left to right, of which there are many: what
// two of them look at is read once.
func (m *nearNames) cue(text []byte, i int) bool {
	const reach = cueWindows*cueStep + 1
	if m == nil || m.sparse || i <= reach {
		return cue(text, i)
	}
	from := i - reach
	if m.cueTo < from || m.cueTo > i {
		m.cueTo, m.cueAt = from, -1
	}
	for m.cueTo < i {
		at := min(max(m.cueTo-1, from), i-8) // a pair may begin with the last byte that was read
		if pairs := cueIn(binary.LittleEndian.Uint64(text[at:])); pairs != 0 {
			m.cueAt = at + bits.Len64(pairs)/8 - 1
		}
		m.cueTo = at + 8
	}
	return m.cueAt >= from
}

// keySign reports whether a colon or an equals sign may stand in text[from:to), as behind the name
// in front of a number, or the escape of one; see keyBefore. Of places from left to right, what is
// near two of them is read once.
func (m *nearNames) keySign(text []byte, from, to int) bool {
	if from < m.signFrom || from > m.signTo {
		m.signFrom, m.signTo, m.signAt = from, from, -1
	}
	for at := to - 1; at >= m.signTo; at-- {
		if b := text[at]; b == ':' || b == '=' || b == '%' {
			m.signAt = at
			break
		}
	}
	m.signTo = max(m.signTo, to)
	return m.signAt >= from
}

// month reports whether the name of a month may stand so near text[i:end], a day, that
// monthNear and monthBehind find it. Of places from left to right, what is near two of them
// is read once; of one that is far from the others nothing is.
func (m *nearNames) month(text []byte, i, end int) bool {
	const front, behind = idLead + 2, 16
	if m == nil {
		return true
	}
	from := lo(i, front)
	if from < m.monthFrom || from > m.monthTo {
		m.monthFrom, m.monthTo, m.monthAt = from, from, -1
		return true
	}
	to := min(end+behind, len(text)-2)
	for m.monthTo < to && m.monthTo+8 <= len(text) && lone(binary.LittleEndian.Uint64(text[m.monthTo:])) {
		m.monthTo += 7
	}
	for at := to - 1; at >= m.monthTo; at-- {
		if monthAt(text, at) || text[at] >= 0x80 || text[at] == 'X' {
			m.monthAt = at
			break
		}
	}
	m.monthTo = max(m.monthTo, to)
	return m.monthAt >= from || end+behind > len(text)-2
}

// lone reports whether all eight bytes of w are ASCII, no two letters stand side by side, and
// none is the sign of a mask.
func lone(w uint64) bool {
	y := w | 0x20*ones
	letters := (y + (0x80-'a')*ones) &^ (y + (0x80-'z'-1)*ones) & highs
	return w&highs|letters&(letters>>8)|zeros(w, 'X') == 0
}

// allX reports whether w is nothing but the sign of a mask.
func allX(w []byte) bool {
	for _, b := range w {
		if b != 'X' {
			return false
		}
	}
	return true
}

// memory is what a scanner keeps from one text to the next. In the pool it holds offsets,
// and nothing of a text.
type memory struct {
	row   row
	near  nearNames
	cards []span // in a stream, where the text itself has cards
}

// span is a stretch of text.
type span struct{ start, end int }

// memories keeps the memory of scanners between calls.
type memories struct{ pool sync.Pool }

func (p *memories) get() *memory {
	m, ok := p.pool.Get().(*memory)
	if !ok {
		m = &memory{row: row{groups: make([]group, 0, 2*maxDropped)}}
	}
	m.near.begin()
	m.cards = m.cards[:0]
	return m
}

func (p *memories) put(m *memory) {
	if m.near.ids.d != nil {
		m.near.ids = idScan{} // it refers to text of the caller
	}
	if m.near.groups.n > 0 {
		m.near.groups = groupRow{} // it has the digits of groups
	}
	p.pool.Put(m)
}

// longText is the length from which on it pays to know where names stand, in bytes.
const longText = 192

// remember gives the scanner its memory.
func (s *scanner) remember() {
	s.mem = s.d.memories.get()
	if len(s.text) >= longText {
		s.hint.near = &s.mem.near
	} else {
		s.hint.near = nil
	}
}

// forget takes the memory back.
func (s *scanner) forget() {
	if s.mem != nil {
		s.d.memories.put(s.mem)
		s.mem, s.hint.near = nil, nil
	}
}
