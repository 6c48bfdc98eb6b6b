package walk

import (
	"encoding/binary"

	"github.com/caregate/caregate/redact/detect"
)

// Records of one kind have the same names in the same order. So the names of an
// object are remembered in a chain, without two that are the same or differ in case
// only: an object whose names follow each other in such a chain, some left out, has
// no name twice, and all that a name says is known. Where an object leaves its
// chain, its names go to the key set.
//
// There is a chain for each place in the document: for the object that is the value
// of a member, and for those in the array that is.

// memberName is a name in a chain.
type memberName struct {
	// The name with its closing quote: the first eight bytes and the last eight, or all
	// of it in head, under mask, when it is shorter.
	head, tail, mask uint64
	hash             uint64 // foldHash
	from             int32  // in chains.text
	n                int32  // its length, in bytes
	next             int32  // the name behind it in the chain, 0 for none
	child            int32  // the first name of the objects that are its value
	// Where a step from state st of the rules leads.
	st, to int32
	round  uint32 // the last object that had it
	size   int32  // of the chain of child
	seen   uint64 // a filter over the hashes of that chain
	traits detect.KeyTraits
	read   bool // traits are known

	ends detect.NameEnd
	turn turnName
}

// The most names in one chain, and in all. A name more is not remembered.
const (
	maxChainNames = 64
	maxNames      = 1 << 10
)

// lookahead is how many names of a chain an object may leave out at once.
const lookahead = 6

// longestForeseen is the longest name that is remembered, in bytes.
const longestForeseen = 64

// chains are the names of a document. Number 0 is the document.
type chains struct {
	names []memberName
	text  []byte // of all names, with their closing quotes
	round uint32 // counts objects
}

func (c *chains) forget() {
	if len(c.names) > 1 {
		clear(c.text)
		c.text = c.text[:0]
	}
	c.names = append(c.names[:0], memberName{})
}

// find returns the name that stands at raw[i:], behind its opening quote, when it is
// number k or follows soon in the chain, otherwise 0.
func (c *chains) find(k int32, raw []byte, i int) int32 {
	if len(raw)-i < 8 {
		return 0
	}
	head := binary.LittleEndian.Uint64(raw[i:])
	for range lookahead {
		if k == 0 {
			return 0
		}
		m := &c.names[k]
		if head&m.mask == m.head {
			if m.n < 8 {
				return k
			}
			end := i + int(m.n) + 1
			if end <= len(raw) && binary.LittleEndian.Uint64(raw[end-8:]) == m.tail &&
				(m.n < 16 || string(raw[i+8:end-8]) == string(c.text[m.from+8:m.from+m.n-7])) {
				return k
			}
		}
		k = m.next
	}
	return 0
}

// add enters a name into the chain of place, behind number last, 0 for the begin. It
// returns 0 when there is no room or the name, or one that may differ in case only,
// is there.
func (c *chains) add(place, last int32, name []byte, hash uint64) int32 {
	if len(c.names) == maxNames || c.names[place].size == maxChainNames || len(name) > longestForeseen || len(name) == 0 {
		return 0
	}
	bit := uint64(1) << (hash >> 58)
	if c.names[place].seen&bit != 0 {
		for k := c.names[place].child; k != 0; k = c.names[k].next {
			if c.names[k].hash == hash {
				return 0
			}
		}
	}
	c.names[place].seen |= bit
	m := memberName{hash: hash, from: int32(len(c.text)), n: int32(len(name)), mask: ^uint64(0), ends: detect.EndOf(name), turn: turnNameOf(name), st: -1}
	c.text = append(append(c.text, name...), '"')
	if n := len(name) + 1; n > 8 {
		m.head, m.tail = binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(c.text[len(c.text)-8:])
	} else {
		var b [8]byte
		copy(b[:], c.text[m.from:])
		m.head, m.mask = binary.LittleEndian.Uint64(b[:]), ^uint64(0)>>(64-8*n)
	}
	k := int32(len(c.names))
	if last == 0 {
		m.next, c.names[place].child = c.names[place].child, k
	} else {
		m.next, c.names[last].next = c.names[last].next, k
	}
	c.names[place].size++
	c.names = append(c.names, m)
	return k
}

// strict enters the names that the innermost object has had so far into the key set.
func (p *jsonReader) strict(place int32, round uint32) keyMark {
	mark := p.keys.open()
	for k := p.chains.names[place].child; k != 0; k = p.chains.names[k].next {
		if m := &p.chains.names[k]; m.round == round {
			at := ref{from: len(p.decoded), to: len(p.decoded) + int(m.n), decoded: true}
			p.decoded = append(p.decoded, p.chains.text[m.from:m.from+m.n]...)
			if !p.keys.fresh(m.hash, at) {
				p.keys.add(&p.reader, at, m.hash)
			}
		}
	}
	return mark
}
