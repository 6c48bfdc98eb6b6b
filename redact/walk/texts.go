package walk

import (
	"bytes"
	"hash/maphash"

	"github.com/caregate/caregate/redact"
)

// textSeed makes the hash of texts unpredictable, so that nobody can send texts
// that push each other out of memory.
var textSeed = maphash.MakeSeed()

// textSlots is how many texts are remembered. One that falls onto the slot of
// another takes its place.
const textSlots = 64

// The shortest text that is worth remembering, and the most findings of one.
const (
	shortestRemembered = 12
	mostRemembered     = 8
)

// textMemory remembers what was found in the texts of a document: records repeat
// subjects, signatures, answers from a template and the people who wrote them, and
// looking for numbers in words costs a hundred times what comparing does.
type textMemory struct {
	slots [textSlots]textSlot
	// found are the findings of all slots, with offsets into the text that was
	// looked through.
	found []redact.Finding
	// round tells the slots of this document from those of another.
	round uint32
	// kept is how many texts were remembered, and said how many were said again: an
	// export in which nothing comes twice is not worth remembering.
	kept, said int
}

// hopeless reports whether texts of this document hardly ever come again.
func (m *textMemory) hopeless() bool { return m.kept > 4*textSlots && m.said < m.kept/16 }

// textSlot is one text beside one name. What is found in a text depends on both and
// on nothing else.
type textSlot struct {
	hash     uint64
	round    uint32
	n        uint8
	key      [keyTail]byte
	from, to int      // the text in the document, as it is written there
	found    [2]int32 // in textMemory.found
}

// forget makes the memory forget all texts.
func (m *textMemory) forget() {
	clear(m.found)
	m.found, m.kept, m.said = m.found[:0], 0, 0
	if m.round++; m.round == 0 {
		*m = textMemory{round: 1, found: m.found}
	}
}

// slot returns where raw[from:to] beside key is or will be remembered, and whether
// it is.
func (m *textMemory) slot(raw []byte, from, to int, key []byte) (*textSlot, bool) {
	text := raw[from:to]
	h := maphash.Bytes(textSeed, text) ^ foldHash(key, false)
	s := &m.slots[h%textSlots]
	if s.hash == h && s.round == m.round && bytes.Equal(raw[s.from:s.to], text) && bytes.Equal(s.key[:s.n], key) {
		return s, true
	}
	*s = textSlot{hash: h, from: from, to: to}
	s.n = uint8(copy(s.key[:], key))
	return s, false
}

// keep remembers what was found in the text of s.
func (m *textMemory) keep(s *textSlot, found []redact.Finding) {
	if len(found) > mostRemembered {
		return
	}
	m.kept++
	from := len(m.found)
	m.found = append(m.found, found...)
	s.found, s.round = [2]int32{int32(from), int32(len(m.found))}, m.round
}
