package walk

import (
	"strconv"
	"unsafe"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/transform"
)

// reader is what the readers of all kinds share: where they are, and what is
// done with a value.
type reader struct {
	*Doc
	masks *maskHits // nil while finding

	frames  []frame
	unit    int
	values  int
	scratch []byte
	decoded []byte // names with escapes, of the open objects
	paths   []byte // of all captures, one behind the other
	joined  []byte // the last name that was put together; see key

	captured int // how many captures the document had before this reader
}

// finish gives the captures their paths, which share one string.
func (r *reader) finish() {
	all := string(r.paths)
	for i := range r.Captures[r.captured:] {
		c := &r.Captures[r.captured+i]
		c.Path = all[c.path[0]:c.path[1]]
	}
}

// frame is one open array or object, or the form.
type frame struct {
	begin  int // raw offset of the container, which names it
	array  bool
	index  int // of the member or element being read
	name   ref
	member int // raw offset where it begins
	comma  int // raw offset of the comma before it, -1 for the first
}

// ref is a name: a range of raw, or of the decoded names when it has escapes. It
// holds no pointer, because frames and key sets are written for every name.
type ref struct {
	from, to int
	decoded  bool
}

// bytes returns the text of a name.
func (r *reader) bytes(n ref) []byte {
	if n.decoded {
		return r.decoded[n.from:n.to]
	}
	return r.raw[n.from:n.to]
}

// member says where a value's member or element stands in its container, for
// taking it out.
type member struct {
	container, index  int
	start, end, comma int
}

// memberAt describes the member being read, whose value ends at end.
func (r *reader) memberAt(end int) member {
	if len(r.frames) == 0 {
		return member{container: -1, end: end}
	}
	f := &r.frames[len(r.frames)-1]
	return member{container: f.begin, index: f.index, start: f.member, end: end, comma: f.comma}
}

// appendPath appends the JSON Pointer of the value being read.
func (r *reader) appendPath(b []byte) []byte {
	for i := range r.frames {
		f := &r.frames[i]
		b = append(b, '/')
		if f.array {
			b = strconv.AppendInt(b, int64(f.index), 10)
			continue
		}
		for _, c := range r.bytes(f.name) {
			switch c {
			case '~':
				b = append(b, '~', '0')
			case '/':
				b = append(b, '~', '1')
			default:
				b = append(b, c)
			}
		}
	}
	return b
}

// key returns the name beside the value being read: of the member, or of the
// nearest member an array is in. A name that says nothing by itself follows the
// name of the object it is in: "order number". Only the end is kept, which
// decides (package detect), so that the string stays off the heap.
func (r *reader) key() []byte {
	b, i := r.memberName(len(r.frames) - 1)
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
// frame i, and its frame.
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

// count takes note of one more value.
func (r *reader) count(at int) *Refusal {
	if r.values++; r.values > r.limits.Values {
		return &Refusal{ReasonValues, int64(at)}
	}
	return nil
}

// shortestWords is the shortest text without a digit that is looked into, in bytes:
// it may hold an e-mail address, a code in words, a password.
const shortestWords = 8

// value does what is to be done with a scalar at raw[begin:end] whose decoded
// text is text: raw offsets are those of a string's content or of a literal.
// outer is where the value ends with its quote. ask says whether text can hold a
// finding at all.
func (r *reader) value(st int32, begin, end, outer int, text []byte, place redact.Place, ask bool) {
	flags := r.fields.flags(st)
	if r.masks != nil {
		if place == redact.PlaceText && transform.Masked(text) {
			r.masks.hit(flags, r.memberAt(outer))
		}
		return
	}
	if flags&(Wanted|URL) != 0 {
		r.capture(st, begin, end, outer, place)
	}
	ask = ask && !r.det.Silent(text) && (!r.det.Nothing(text) || detect.MayName(r.key()))
	if !ask && flags&PaymentReference == 0 {
		return
	}
	at := len(r.Findings)
	if ask {
		r.Findings = r.det.Text(r.Findings, text, detect.Hint{Key: r.hintKey()})
	}
	if flags&PaymentReference != 0 && len(r.Findings) == at && len(text) > 0 {
		r.Findings = append(r.Findings, redact.Finding{Class: redact.PaymentReference, End: len(text), Confidence: 1, Strong: true, Rule: "payment field"})
	}
	if len(r.Findings) == at {
		return
	}
	r.settle(at, begin, end, text, place, flags&Never != 0)
}

// settle gives the findings from number at on their place in the document: raw
// offsets, path, unit.
func (r *reader) settle(at, begin, end int, text []byte, place redact.Place, never bool) {
	found := r.Findings[at:]
	path := ""
	for i := range found {
		f := &found[i]
		f.Place, f.Unit = place, r.unit
		f.Never = f.Never || never
		if !f.Never || f.Strong {
			if path == "" {
				var buf [256]byte
				path = string(r.appendPath(buf[:0]))
			}
			f.Path = path
		}
		if place == redact.PlaceNumber {
			f.Start, f.End = 0, end-begin // a number is one thing
		}
	}
	if place == redact.PlaceNumber {
		found[0].Start, found[0].End = begin, end
		r.Findings = r.Findings[:at+1]
		return
	}
	if len(text) == end-begin {
		for i := range found {
			found[i].Start += begin
			found[i].End += begin
		}
		return
	}
	rawOffsets(r.Kind, r.raw[begin:end], begin, found)
}

// capture records the value for each rule that wants it.
func (r *reader) capture(st int32, begin, end, outer int, place redact.Place) {
	if r.Captures == nil {
		// Records of a helpdesk have a few captures in each kilobyte.
		r.Captures = make([]Capture, 0, 4+len(r.raw)/512)
	}
	from := len(r.paths)
	r.paths = r.appendPath(r.paths)
	for _, n := range r.fields.states[st].rules {
		rule := &r.fields.rules[n]
		r.Captures = append(r.Captures, Capture{
			Label: rule.Label, Flags: r.fields.states[st].flags, Unit: r.unit, Start: begin, End: end, Place: place, member: r.memberAt(outer), path: [2]int{from, len(r.paths)},
		})
	}
}

// name looks for findings in the name of a member. Names are never rewritten.
func (r *reader) name(begin, end int, text []byte) {
	if r.masks != nil {
		return
	}
	at := len(r.Findings)
	r.Findings = r.det.Text(r.Findings, text, detect.Hint{})
	if len(r.Findings) > at {
		r.settle(at, begin, end, text, redact.PlaceKey, true)
	}
}
