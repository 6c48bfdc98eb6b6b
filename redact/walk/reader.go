package walk

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// reader is what the readers of all kinds share: where they are, and what is
// done with a value.
type reader struct {
	*Doc
	masks *maskHits // nil while finding

	frames   []frame
	unit     int
	values   int
	secret   bool // the last name may be that of a password
	scratch  []byte
	decoded  []byte        // names with escapes, of the open objects
	paths    []byte        // of all captures, one behind the other
	joined   []byte        // the last name that was put together; see key
	labelled []byte        // the last name that was another member's; see label
	glance   detect.Glance // of the value being read
	glanced  bool          // it is
	names    *nameMemory
	texts    *textMemory
	foreseen *chains
	pathMem  []byte // for the paths of findings; what is written stays
	outer    outer

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
	begin int // raw offset of the container, which names it
	array bool
	index int // of the member or element being read
	name  ref
	// Of JSON only: the foldHash of the name, where it ends in raw, its number in the
	// chains, 0 for none, and how it ends.
	hash   uint64
	end    int
	number int32
	ends   detect.NameEnd
	turn   turnName
	turns  bool // the array holds turns of a conversation

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

// pathPiece is how much memory is taken at a time for the paths of findings, in
// bytes: a page of records has one in each record.
const pathPiece = 4 << 10

// maxIndex is how long the token of an element of an array may be.
const maxIndex = len("/9223372036854775807")

// maxAround is how much of the path of a container stays in the paths of findings, in
// bytes. Each of them is written out, so that many under long names would take more
// memory, and more time, than the document.
const maxAround = 512

// path returns the JSON Pointer of the value being read; of that of its container the
// middle is left out when it is longer than maxAround. Many share one piece of memory, of
// which nothing is written twice.
func (r *reader) path() string {
	r.around()
	prefix := r.outer.short
	if len(r.frames) < 2 {
		prefix = ""
	}
	last := r.frames[max(0, len(r.frames)-1):]
	from := r.room(len(prefix), last)
	r.pathMem = append(r.pathMem, prefix...)
	if len(last) > 0 {
		r.pathMem = r.appendToken(r.pathMem, &last[0])
	}
	return r.taken(from)
}

// room sees to memory for a path of so many bytes and the tokens of frames, and returns
// where it begins.
func (r *reader) room(n int, frames []frame) int {
	for i := range frames {
		n += maxIndex + 2*(frames[i].name.to-frames[i].name.from)
	}
	if cap(r.pathMem)-len(r.pathMem) < n {
		r.pathMem = make([]byte, 0, max(n, min(pathPiece, max(8*n, 256+len(r.raw)/32))))
	}
	return len(r.pathMem)
}

// taken is the path that was written from there on.
func (r *reader) taken(from int) string {
	return unsafe.String(unsafe.SliceData(r.pathMem[from:]), len(r.pathMem)-from)
}

// outer is the path of a container, which those of all its values begin with.
type outer struct {
	depth, begin int
	path         string
	short        string // as findings have it
}

// shortened returns path, without its middle where it is longer than maxAround.
func shortened(path string) string {
	if len(path) <= maxAround {
		return path
	}
	from, to := maxAround/2, len(path)-maxAround/2
	for from > 0 && !utf8.RuneStart(path[from]) {
		from--
	}
	for to < len(path) && !utf8.RuneStart(path[to]) {
		to++
	}
	return path[:from] + "\u2026" + path[to:]
}

// around returns the path of the container being read.
func (r *reader) around() string {
	n := len(r.frames)
	if n < 2 {
		return ""
	}
	if o := &r.outer; o.depth == n && o.begin == r.frames[n-1].begin {
		return o.path
	}
	from := r.room(0, r.frames[:n-1])
	for i := range r.frames[:n-1] {
		r.pathMem = r.appendToken(r.pathMem, &r.frames[i])
	}
	path := r.taken(from)
	r.outer = outer{n, r.frames[n-1].begin, path, shortened(path)}
	return r.outer.path
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
	b = append(b, r.around()...)
	if n := len(r.frames); n > 0 {
		b = r.appendToken(b, &r.frames[n-1])
	}
	return b
}

// appendToken appends what one container adds to the paths of its values.
func (r *reader) appendToken(b []byte, f *frame) []byte {
	b = append(b, '/')
	if f.array {
		return strconv.AppendInt(b, int64(f.index), 10)
	}
	name := r.bytes(f.name)
	if bytes.IndexByte(name, '~') < 0 && bytes.IndexByte(name, '/') < 0 {
		return append(b, name...)
	}
	for _, c := range name {
		switch c {
		case '~':
			b = append(b, '~', '0')
		case '/':
			b = append(b, '~', '1')
		default:
			b = append(b, c)
		}
	}
	return b
}

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
// outer is where the value ends with its quote. is says what is known of text; value
// returns what was, when text is unread and known at a glance.
func (r *reader) value(st int32, begin, end, outer int, text []byte, place redact.Place, is outcome) outcome {
	flags := r.fields.flags(st)
	if r.masks != nil {
		switch {
		case place != redact.PlaceText:
		case r.masks.holds(text) && r.guarded():
			r.form(outer)
		case !r.masks.only && standIn(r.det, text):
			r.masks.hit(flags, r.memberAt(outer))
		}
		return is
	}
	if flags&(Wanted|URL) != 0 {
		r.capture(st, begin, end, outer, place)
	}
	at := len(r.Findings)
	r.expect(begin)
	switch is {
	case unread:
		is = r.look(begin, end, text)
	case odd:
		r.search(begin, end, text)
	case mail:
		r.Findings = append(r.Findings, detect.Address(len(text)))
	}
	if flags&PaymentReference != 0 && len(text) > 0 && reference(r.Findings[at:]) && !standIn(r.det, text) {
		r.Findings = append(r.Findings[:at], redact.Finding{Class: redact.PaymentReference, End: len(text), Confidence: 1, Strong: true, Rule: "payment field"})
	}
	if len(r.Findings) == at {
		return is
	}
	r.settle(at, begin, end, text, place, flags&Never != 0)
	if flags&typed != 0 {
		r.mark(st, at)
	}
	return is
}

// reference reports whether a value at a place for payment references is one, whatever
// else was found in it: only what must not be kept, or not without being asked for, stays
// what it is.
func reference(found []redact.Finding) bool {
	for i := range found {
		switch found[i].Class {
		case redact.CreditCard, redact.CardVerificationCode, redact.CardTrackData, redact.CardPIN, redact.USSSN, redact.USITIN:
			return false
		}
	}
	return true
}

// expect sees to memory for one more finding, at begin: when there is none left, for as
// many as the rest of the document has if it is like what was read. append adds a quarter.
func (r *reader) expect(begin int) {
	if n := len(r.Findings); n == cap(r.Findings) && n > 0 {
		more := n * (len(r.raw) - begin) / (begin + 1)
		r.Findings = slices.Grow(r.Findings, min(max(more+more/8, n/2+1), 7*n))
	}
}

// look looks for findings in a text.
func (r *reader) look(begin, end int, text []byte) outcome {
	if !r.glanced {
		r.glance.Forget()
	}
	at, sure := len(r.Findings), false
	if r.Findings, sure = r.det.QuickAt(r.Findings, text, r.traits(), &r.glance); !sure {
		r.search(begin, end, text)
		return unread
	}
	if len(r.Findings) > at {
		return mail
	}
	return nothing
}

// search looks through a text that is not known at a glance, unless the document
// had it before beside the same name.
func (r *reader) search(begin, end int, text []byte) {
	h := detect.Hint{Key: r.hintKey()}
	if r.texts == nil || len(text) < shortestRemembered || r.texts.hopeless() {
		r.Findings = r.det.Text(r.Findings, text, h)
		return
	}
	s, known := r.texts.slot(r.raw, begin, end, r.key())
	if known {
		r.texts.said++
		r.Findings = append(r.Findings, r.texts.found[s.found[0]:s.found[1]]...)
		return
	}
	at := len(r.Findings)
	r.Findings = r.det.Text(r.Findings, text, h)
	r.texts.keep(s, r.Findings[at:])
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
				path = r.path()
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
