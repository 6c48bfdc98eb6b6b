package walk

import (
	"bytes"
	"slices"
	"sync"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// jsonReader reads one JSON document, strictly by RFC 8259 and its advice on
// what interoperates (I-JSON, RFC 7493): unique names, no lone surrogates.
type jsonReader struct {
	reader
	src     []byte // the document, at hand
	quiet   bool   // strings without signs have no finding, unless somebody speaks
	view    outlook
	keys    keySet
	chains  chains
	known   nameMemory
	heard   textMemory
	shapes  shapeMemory
	refused *Refusal
	turned  int // up to where a conversation was looked at; see turns
	mem     readerMemory
}

// readerMemory is what a reader keeps for its next document, empty.
type readerMemory struct {
	scratch, decoded, paths []byte
	joined, labelled        []byte
	findings                []redact.Finding
	captures                []Capture
	frames                  []frame // which hold offsets only
}

// jsonReaders recycles readers, which are larger than most documents. It holds no
// state, only memory: a reader that is put back knows nothing of its document.
var jsonReaders = sync.Pool{New: func() any { return new(jsonReader) }}

// begin readies the reader for d, which holds nothing yet.
func (p *jsonReader) begin(d *Doc, masks *maskHits) {
	p.reader = reader{Doc: d, masks: masks, scratch: p.mem.scratch, decoded: p.mem.decoded, paths: p.mem.paths, joined: p.mem.joined, labelled: p.mem.labelled}
	if masks == nil {
		d.Findings, d.Captures = p.mem.findings, p.mem.captures
	}
	p.frames = p.mem.frames
}

// end hands what was found over to the document and makes the reader forget it.
// Offsets into it stay in the memory of frames and key sets, which is cleared by
// being written.
func (p *jsonReader) end() {
	p.finish()
	if p.masks == nil {
		p.Findings, p.mem.findings = handOver(p.Findings)
		p.Captures, p.mem.captures = handOver(p.Captures)
	}
	p.mem.scratch, p.mem.decoded, p.mem.paths = wiped(p.scratch), wiped(p.decoded), wiped(p.paths)
	p.mem.joined, p.mem.labelled = wiped(p.joined), wiped(p.labelled)
	if p.mem.frames = p.frames[:0]; cap(p.frames) > maxKeptItems {
		p.mem.frames = nil
	}
	p.reader, p.refused, p.src = reader{}, nil, nil
	p.known.forget()
	p.chains.forget()
	p.heard.forget()
	p.keys.hashes, p.keys.names, p.keys.first, p.keys.table, p.keys.seen = nil, nil, 0, nil, [4]uint64{}
}

// maxKept is how much memory of one sort a reader keeps for its next document, in
// bytes of text, or in findings or captures.
const (
	maxKept      = 64 << 10
	maxKeptItems = 1 << 10
)

// handOver returns what was collected, a copy when it is little, and the memory without
// it for the next document.
func handOver[T any](all []T) (own, mem []T) {
	if len(all) == 0 {
		return nil, all
	}
	if cap(all) > maxKeptItems {
		return all, nil
	}
	own = slices.Clone(all)
	clear(all)
	return own, all[:0]
}

// wiped returns the memory of b with nothing in it.
func wiped(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	b = b[:cap(b)]
	clear(b)
	return b[:0]
}

// document reads all of raw.
func (p *jsonReader) document() *Refusal {
	p.frames, p.texts, p.turned = p.frames[:0], &p.heard, 0
	p.heard.forget()
	p.shapes.forget()
	p.src, p.quiet = p.raw, p.det.Plain()
	p.view.from, p.view.to = 0, 0
	if bytes.HasPrefix(p.raw, []byte("\xef\xbb\xbf")) {
		return &Refusal{ReasonBOM, 0}
	}
	if len(p.chains.names) == 0 {
		p.chains.forget()
	}
	p.names, p.foreseen = &p.known, &p.chains
	i := p.any(p.space(0), p.fields.root(), 0, 0)
	if i < 0 {
		return p.refused
	}
	if i = p.space(i); i < len(p.raw) {
		return &Refusal{ReasonTrailing, int64(i)}
	}
	return nil
}

// refuse notes why the document is refused and returns -1.
func (p *jsonReader) refuse(reason string, at int) int {
	if p.refused == nil {
		p.refused = &Refusal{reason, int64(at)}
	}
	return -1
}

// space returns the offset of the first byte at or after i that is no white
// space.
func (p *jsonReader) space(i int) int {
	if i < len(p.src) && p.src[i] > ' ' {
		return i
	}
	return skipSpace(p.src, i)
}

// any reads the value at i, which rules may mark as a record, and returns where it
// ends, or -1. place is the member that it is the value of, or that an array is the
// value of in which it is; see chains.
func (p *jsonReader) any(i int, st int32, depth int, place int32) int {
	if st == 0 || p.fields.states[st].flags&Unit == 0 {
		return p.inner(i, st, depth, place)
	}
	before := p.unit
	p.Units++
	p.unit = p.Units
	i = p.inner(i, st, depth, place)
	p.unit = before
	return i
}

// unmarked reports whether no rule says anything about values in state st.
func (p *jsonReader) unmarked(st int32) bool { return st == 0 || p.fields.states[st].flags == 0 }

// inner reads the value at i.
func (p *jsonReader) inner(i int, st int32, depth int, place int32) int {
	raw := p.src
	if i >= len(raw) {
		return p.refuse(ReasonSyntax, len(raw))
	}
	if p.values++; p.values > p.limits.Values {
		return p.refuse(ReasonValues, i)
	}
	switch b := raw[i]; b {
	case '"':
		return p.text(i, st, place)
	case '{', '[':
		return p.container(i, st, depth, place)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.number(i, st)
	case 't':
		return p.literal(i, st, "true")
	case 'f':
		return p.literal(i, st, "false")
	case 'n':
		return p.literal(i, st, "null")
	default:
		return p.refuse(ReasonSyntax, i)
	}
}

// container reads the object or array at i.
func (p *jsonReader) container(i int, st int32, depth int, place int32) int {
	if depth >= p.limits.Depth {
		return p.refuse(ReasonDepth, i)
	}
	array := p.src[i] == '['
	if i+1 < len(p.src) && p.src[i+1] == p.src[i]+2 && p.unmarked(st) { // [] and {}
		return i + 2
	}
	first := -1
	if p.masks == nil && p.fields.flags(st)&(Wanted|URL) != 0 {
		first = len(p.Captures)
		p.capture(st, i, i, i, redact.PlaceNumber)
	}
	last := len(p.Captures)
	masked := p.masks.mark()
	p.open(i, array)
	var end int
	if array {
		end = p.array(i, st, depth+1, place)
	} else {
		end = p.object(i, st, depth+1, place)
	}
	p.frames = p.frames[:len(p.frames)-1]
	switch {
	case p.masks == nil || end < 0:
	case array && p.masks.list == len(p.frames)+1:
		p.listed(masked, end)
	case p.fields.flags(st)&Overwrite != 0:
		p.masks.whole(masked, p.memberAt(end))
	}
	if first >= 0 && end >= 0 {
		for n := first; n < last; n++ {
			p.Captures[n].End, p.Captures[n].member.end = end, end
		}
	}
	return end
}

// open opens the frame of a container. What else is in a frame is written for
// every member.
func (p *jsonReader) open(i int, array bool) {
	n := len(p.frames)
	if n == cap(p.frames) {
		p.frames = append(p.frames, frame{})
	} else {
		p.frames = p.frames[:n+1]
	}
	f := &p.frames[n]
	f.begin, f.array, f.comma, f.turns = i, array, -1, false
}

func (p *jsonReader) literal(i int, st int32, word string) int {
	end := i + len(word)
	if end > len(p.src) || string(p.src[i:end]) != word {
		return p.refuse(ReasonSyntax, i)
	}
	if !p.unmarked(st) {
		p.value(st, i, end, end, nil, redact.PlaceNumber, nothing)
	}
	return end
}

func (p *jsonReader) object(i int, st int32, depth int, place int32) int {
	raw := p.src
	i = p.space(i + 1)
	if i < len(raw) && raw[i] == '}' {
		return i + 1
	}
	o := openObject{place: place, next: p.chains.names[place].child, kept: len(p.decoded)}
	p.chains.round++
	o.round = p.chains.round
	found, first, from := len(p.Findings), -1, 0 // see jsonReader.members
	turn := turnName(0)
	for n, comma := 0, -1; ; n++ {
		if i >= len(raw) || raw[i] != '"' {
			return p.refuse(ReasonSyntax, i)
		}
		f := &p.frames[len(p.frames)-1]
		f.index, f.member, f.comma = n, i, comma
		if o.strict || !p.follow(&o, f, i) {
			if !p.member(&o, f, i, st) {
				return -1
			}
		}
		p.secret = f.ends&detect.EndsPassword != 0
		part, begin := f.ends&detect.EndsPart != 0, i
		turn |= f.turn
		i = p.space(f.end + 1)
		if i >= len(raw) || raw[i] != ':' {
			return p.refuse(ReasonSyntax, i)
		}
		var next int32
		if st != 0 {
			next = p.step(st, f)
		}
		i = p.space(i + 1)
		value := i
		if part && first < 0 && p.digitAt(i) {
			first, from = n, begin
		}
		if next == 0 {
			i = p.inner(i, 0, depth, f.number)
		} else {
			i = p.any(i, next, depth, f.number)
		}
		if i < 0 {
			return i
		}
		if first == n && i-value > maxDetail+2 {
			first = -1
		}
		i = p.space(i)
		if i >= len(raw) {
			return p.refuse(ReasonSyntax, i)
		}
		switch raw[i] {
		case ',':
			comma = i
			i = p.space(i + 1)
		case '}':
			if first >= 0 && p.masks == nil {
				p.members(from, i, first, found, st)
			}
			if turn == namesTurn && len(p.frames) > 1 {
				p.frames[len(p.frames)-2].turns = true
			}
			if o.strict {
				p.keys.close(o.mark)
				p.decoded = p.decoded[:o.kept]
			}
			return i + 1
		default:
			return p.refuse(ReasonSyntax, i)
		}
	}
}

// digitAt reports whether the value at i begins with a digit.
func (p *jsonReader) digitAt(i int) bool {
	return i+1 < len(p.src) && (p.src[i]-'0' <= 9 || p.src[i] == '"' && p.src[i+1]-'0' <= 9)
}

// openObject is where an object is in its chain of names.
type openObject struct {
	place int32
	last  int32 // the name before, 0 for none
	next  int32 // the one that is expected
	round uint32
	// strict says that the object left its chain: its names are in the key set.
	strict bool
	mark   keyMark
	kept   int // how much of the decoded names is of other objects
}

// follow reads the name whose quote is at i when it is the expected one, or one soon
// behind it.
func (p *jsonReader) follow(o *openObject, f *frame, i int) bool {
	k := p.chains.find(o.next, p.src, i+1)
	if k == 0 {
		return false
	}
	m := &p.chains.names[k]
	m.round = o.round
	o.last, o.next = k, m.next
	f.end = i + 1 + int(m.n)
	f.name, f.hash, f.number, f.ends, f.turn = ref{from: i + 1, to: f.end}, m.hash, k, m.ends, m.turn
	return true
}

// member reads any other name at i. It returns false when the document is refused.
func (p *jsonReader) member(o *openObject, f *frame, i int, st int32) bool {
	end, form := p.scan(i + 1)
	if end < 0 {
		return false
	}
	at, name := ref{from: i + 1, to: end}, p.src[i+1:end]
	if form&escaped != 0 {
		at = ref{from: len(p.decoded), decoded: true}
		p.decoded = appendDecoded(JSON, p.decoded, name)
		at.to = len(p.decoded)
		name = p.bytes(at)
	}
	f.name, f.end, f.number, f.ends, f.turn = at, end, 0, detect.EndOf(name), turnNameOf(name)
	f.hash = foldHash(name, form&(wide|escaped) != 0)
	odd := len(name) >= shortestFinding && (form&(digits|wide) != 0 || form&signed != 0 && bytes.IndexByte(name, '@') >= 0)
	if !o.strict && !odd && form&(escaped|wide) == 0 {
		if k := p.chains.add(o.place, o.last, name, f.hash); k != 0 {
			p.chains.names[k].round = o.round
			o.last, f.number = k, k
			return true
		}
	}
	if !o.strict {
		o.mark, o.strict = p.strict(o.place, o.round), true
		name = p.bytes(at)
	}
	if !p.keys.fresh(f.hash, at) {
		if twin, same := p.keys.add(&p.reader, at, f.hash); same {
			p.refuse(ReasonDuplicate, i)
			return false
		} else if twin != nil && (p.fields.knows(st, name) || p.fields.knows(st, twin)) {
			p.refuse(ReasonAmbiguous, i)
			return false
		}
	}
	if odd {
		p.name(i+1, end, name)
	}
	return true
}

// step follows the rules from state st into the member of f.
func (p *jsonReader) step(st int32, f *frame) int32 {
	if f.number == 0 {
		return p.fields.member(st, p.bytes(f.name))
	}
	m := &p.chains.names[f.number]
	if m.st != st {
		m.st, m.to = st, p.fields.member(st, p.bytes(f.name))
	}
	return m.to
}

// shortestFinding is the shortest name that can hold a finding.
const shortestFinding = 9

func (p *jsonReader) array(i int, st int32, depth int, place int32) int {
	i = p.space(i + 1)
	if i < len(p.src) && p.src[i] == ']' {
		return i + 1
	}
	begin := i
	for n, comma := 0, -1; ; n++ {
		f := &p.frames[len(p.frames)-1]
		f.index, f.member, f.comma = n, i, comma
		var next int32
		if st != 0 {
			next = p.fields.element(st, n)
		}
		if i = p.any(i, next, depth, place); i < 0 {
			return i
		}
		i = p.space(i)
		if i >= len(p.src) {
			return p.refuse(ReasonSyntax, i)
		}
		switch p.src[i] {
		case ',':
			comma = i
			i = p.space(i + 1)
		case ']':
			if n > 0 && i-begin <= maxGroupBytes {
				p.groups(begin, i, st)
			}
			if n > 0 && p.frames[len(p.frames)-1].turns {
				p.turns(begin, i, st)
			}
			return i + 1
		default:
			return p.refuse(ReasonSyntax, i)
		}
	}
}

// text reads the string at i, quote included; see any for place.
func (p *jsonReader) text(i int, st int32, place int32) int {
	end, f := p.scan(i + 1)
	if end < 0 {
		return end
	}
	n := end - i - 1
	is := nothing
	if f != 0 || n >= shortestWords || p.secret {
		is = unread
	}
	if p.masks == nil && !p.secret && n >= shortestWords {
		is = p.foretold(i+1, end, f, place)
	}
	if is == nothing && p.masks == nil && p.unmarked(st) {
		return end + 1
	}
	text := p.src[i+1 : end]
	if f&escaped != 0 {
		p.scratch = appendDecoded(JSON, p.scratch[:0], text)
		text = p.scratch
	} else if o := &p.view; is == unread && i >= o.from && end <= o.to {
		p.glanced = p.glance.Take(o.signs[:], i+1-o.from, n)
	}
	was := is
	is = p.value(st, i+1, end, end+1, text, redact.PlaceText, is)
	p.glanced = false
	if was == unread && is != unread && p.masks == nil && !p.secret {
		p.remember(i+1, end, f, place, is)
	}
	return end + 1
}

// foretold says what the strings before, or one look, tell of src[from:to].
func (p *jsonReader) foretold(from, to int, f form, place int32) outcome {
	if place != 0 {
		if is := p.again(p.shapes.slot(place, len(p.chains.names), to-from), from, to, f&escaped != 0); is != unread {
			return is
		}
	}
	if f != 0 || !p.quiet || !p.traits().Silent() || p.det.Speaks(p.src[from:to]) {
		return unread
	}
	p.remember(from, to, f, place, nothing)
	return nothing
}

// remember makes src[from:to], of which is is known, the shape beside the name place.
func (p *jsonReader) remember(from, to int, f form, place int32, is outcome) {
	if n := to - from; place != 0 && n >= shortestWords && n <= maxShape {
		p.shapes.slot(place, len(p.chains.names), n).set(p.src, from, to, f&escaped != 0, is)
	}
}
