package walk

import (
	"bytes"
	"unsafe"

	"github.com/caregate/caregate/redact/detect"
)

// nameSlots is how many names are remembered: a helpdesk's records have fifty to
// two hundred. One that falls onto the slot of another is read anew.
const nameSlots = 128

// nameMemory remembers what names say about the values beside them. A document
// repeats a few names for all of its records, and reading a name costs more than
// reading most of the values.
type nameMemory struct {
	slots [nameSlots]nameSlot
	// round tells the slots of this document from those of another.
	round uint32
}

// nameSlot is one name and what it says.
type nameSlot struct {
	hash   uint64 // foldHash of the name
	round  uint32
	traits detect.KeyTraits
	n      uint8
	name   [keyTail]byte
}

// forget makes the memory forget all names.
func (m *nameMemory) forget() {
	if m.round++; m.round == 0 {
		*m = nameMemory{round: 1}
	}
}

// traits returns what the name key, of hash h, says.
func (m *nameMemory) traits(key []byte, h uint64) detect.KeyTraits {
	s := &m.slots[h>>32%nameSlots]
	if s.hash == h && s.round == m.round && bytes.Equal(s.name[:s.n], key) {
		return s.traits
	}
	t := detect.TraitsOf(key)
	s.hash, s.round, s.traits, s.n = h, m.round, t, uint8(copy(s.name[:], key))
	return t
}

// traits returns what the name beside the value being read says about it.
func (r *reader) traits() detect.KeyTraits {
	b, i := r.memberName(len(r.frames) - 1)
	if i < 0 {
		return detect.TraitsOf(b)
	}
	f := &r.frames[i]
	if l := r.label(i, b); len(l) > 0 {
		return detect.TraitsOf(l)
	}
	if f.number != 0 {
		if m := &r.foreseen.names[f.number]; m.read {
			return m.traits
		}
	}
	h := f.hash
	if generic(b) {
		b = r.within(i, b)
		h = foldHash(b, false)
	}
	if r.names == nil {
		return detect.TraitsOf(b)
	}
	t := r.names.traits(b, h)
	if f.number != 0 {
		m := &r.foreseen.names[f.number]
		m.traits, m.read = t, true
	}
	return t
}

// key returns the name beside the value being read: of the member, or of the
// nearest member an array is in. A name that says nothing by itself follows the
// name of the object it is in: "order number". Only the end is kept, which
// decides (package detect), so that the string stays off the heap.
func (r *reader) key() []byte {
	b, i := r.memberName(len(r.frames) - 1)
	if l := r.label(i, b); len(l) > 0 {
		return l
	}
	return r.within(i, b)
}

// within returns the name b of the member of frame i, behind that of the object it is in
// where it says nothing by itself.
func (r *reader) within(i int, b []byte) []byte {
	if !generic(b) {
		return b
	}
	if outer, _ := r.memberName(i - 1); len(outer) > 0 {
		outer = outer[max(0, len(outer)-(keyTail-1-len(b))):]
		r.joined = append(append(append(r.joined[:0], outer...), ' '), b...)
		return r.joined
	}
	return b
}

// memberName returns the end of the name of the innermost member at or outside
// frame i, and its frame, -1 for none.
func (r *reader) memberName(i int) ([]byte, int) {
	for ; i >= 0; i-- {
		if f := &r.frames[i]; !f.array {
			n := f.name
			n.from = max(n.from, n.to-keyTail)
			return r.bytes(n), i
		}
	}
	return nil, i
}

// maxLabelled is how far behind the begin of its object a value may stand that another
// member names, in bytes; so what is read for it stays small, however many there are.
const maxLabelled = 256

// label returns the name that another member of the object of frame i gives to the value
// called name: {"field": "ssn", "value": "..."}. It is empty where none does, and where
// the object's own name says more: no label takes away that {"cvv": {...}} holds a code.
func (r *reader) label(i int, name []byte) []byte {
	if len(name) < 5 || len(name) > 6 || i != len(r.frames)-1 || r.Kind != JSON {
		return nil
	}
	switch string(name) {
	case "value", "Value", "answer", "Answer":
	default:
		return nil
	}
	f := &r.frames[i]
	if f.member-f.begin > maxLabelled {
		return nil
	}
	label, by := labelled(r.raw[f.begin:f.member])
	if by == 0 {
		return nil
	}
	r.labelled = appendDecoded(JSON, r.labelled[:0], label)
	label = r.labelled[max(0, len(r.labelled)-keyTail):]
	says := detect.TellOf(label)
	if says == detect.TellsData {
		return label
	}
	if detect.TellOf(r.within(i, name)) != detect.TellsNothing {
		return nil
	}
	if says == detect.TellsThing && by == labelsAny && !r.amongFields(i) {
		// Who speaks, or a person whose name reads like a thing's.
		label = append(label[max(0, len(label)+len(" value")-keyTail):], " value"...)
	}
	return label
}

// labelled returns what the first member of the object that raw begins with says the
// value behind it is, in the notation of JSON, and what kind of label that member is.
func labelled(raw []byte) (label []byte, by labelKind) {
	depth := 0
	for at := 0; at < len(raw); at++ {
		switch raw[at] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := stringEnd(raw, at+1)
			if end < 0 {
				return nil, 0
			}
			text := raw[at+1 : end]
			at = end
			if depth != 1 {
				continue
			}
			if by != 0 {
				return text, by
			}
			colon := skipSpace(raw, end+1)
			if colon == len(raw) || raw[colon] != ':' {
				continue
			}
			at = skipSpace(raw, colon+1) - 1
			if at+1 < len(raw) && raw[at+1] == '"' {
				by = labels(text)
			}
		}
	}
	return nil, 0
}

// labelKind says what a member says by its name about what it holds.
type labelKind uint8

const (
	labelsField labelKind = iota + 1 // what the value beside it is
	labelsAny                        // that, or somebody's name
)

// labels returns what kind of label a member of that name holds, 0 for none.
func labels(name []byte) labelKind {
	switch string(name) {
	case "name", "Name", "title":
		return labelsAny
	case "key", "Key", "field", "Field", "label", "Label", "question", "Question", "attribute", "fieldName", "field_name":
		return labelsField
	}
	return 0
}

// amongFields reports whether the object of frame i stands in an array whose name says that
// its objects are fields: each has the name of its own value, and nobody speaks in it.
func (r *reader) amongFields(i int) bool {
	if i == 0 || !r.frames[i-1].array {
		return false
	}
	name, _ := r.memberName(i - 1)
	switch string(name) {
	case "fields", "Fields", "custom_fields", "customFields", "attributes", "properties", "answers":
		return true
	}
	return false
}

// generic reports whether a name says only that something is a number.
func generic(name []byte) bool {
	if len(name) > 6 {
		return false
	}
	switch string(name) {
	case "number", "Number", "no", "num", "nr", "value", "code":
		return true
	}
	return false
}

// hintKey is key as a string that shares its bytes. The detector reads it during
// one call and keeps nothing of it, and the bytes do not change meanwhile: a copy
// for every value with a digit in it would be most of what a clean document
// allocates.
func (r *reader) hintKey() string {
	k := r.key()
	return unsafe.String(unsafe.SliceData(k), len(k))
}

// keyTail is how much of a name is handed to the detector, in bytes.
const keyTail = 32
