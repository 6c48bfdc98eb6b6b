package walk

import (
	"bytes"
	"math"

	"github.com/caregate/caregate/redact/detect"
)

// sseReader reads an event stream (HTML standard, section 9.2). The unit is the
// event: its data lines are one text, or one JSON document where that is what
// they hold; its other fields and its comments are texts of their own. Lines end
// with LF, CRLF or CR, as the standard says.
type sseReader struct {
	collector
	data  joined
	field joined
}

func (p *sseReader) document() *Refusal {
	if at := invalidUTF8(p.raw); at >= 0 {
		return &Refusal{ReasonUTF8, int64(at)}
	}
	if at := bytes.IndexByte(p.raw, 0); at >= 0 {
		return &Refusal{ReasonSSE, int64(at)} // in an id it is left out
	}
	for i := 0; i < len(p.raw); {
		end, _ := eventEnd(p.raw, i, true)
		if end-i > p.limits.Line {
			return &Refusal{ReasonLine, int64(i)}
		}
		if r := p.event(i, end); r != nil {
			return r
		}
		i = end
	}
	return nil
}

// sseLine returns where the line at i ends, and where the next begins.
func sseLine(raw []byte, i int) (end, next int) {
	for end = i; end < len(raw) && raw[end] != '\n' && raw[end] != '\r'; end++ {
	}
	switch {
	case end+1 < len(raw) && raw[end] == '\r' && raw[end+1] == '\n':
		return end, end + 2
	case end < len(raw):
		return end, end + 1
	}
	return end, end
}

// eventEnd returns the offset behind the event that begins at raw[from:], its
// empty line included. When that is not there yet and final is not set, ok is
// false, and at is from where a later call need not look again.
func eventEnd(raw []byte, from int, final bool) (at int, ok bool) {
	for i := from; i < len(raw); {
		end, next := sseLine(raw, i)
		if !final && (next == end || next == len(raw) && raw[next-1] == '\r') {
			return i, false // the line goes on, or a line feed may follow
		}
		if end == i && next > end {
			return next, true
		}
		i = next
	}
	return len(raw), final
}

// event reads raw[from:to].
func (p *sseReader) event(from, to int) *Refusal {
	if r := p.count(from); r != nil {
		return r
	}
	p.data.reset()
	lines := 0
	for i := from; i < to; {
		end, next := sseLine(p.raw[:to], i)
		line := p.raw[i:end]
		if i == 0 && bytes.HasPrefix(line, []byte("\xef\xbb\xbf")) {
			i += 3
			line = line[3:]
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		value := i + len(name)
		if ok {
			value++
			if value < end && p.raw[value] == ' ' {
				value++
			}
		}
		switch {
		case ok && string(name) == "data":
			if lines++; lines > 1 {
				p.data.gap("\n", i, i)
			}
			p.data.copy(p.raw, value, end)
		case !ok || len(name) == 0:
			p.aside(i, end, detect.Hint{}) // a comment, or nothing that anybody knows
		default:
			p.aside(value, end, detect.Hint{Key: string(name[max(0, len(name)-keyTail):])})
		}
		i = next
	}
	if lines == 0 {
		return nil
	}
	if looksJSON(p.data.text) {
		if done, r := p.json(); done || r != nil {
			return r
		}
	}
	p.scan(&p.data, detect.Hint{}, style{write: asLine})
	return nil
}

// asLine is the encoder of data lines: a line end in a mask would begin a field.
func asLine(dst, text []byte) []byte {
	for _, b := range text {
		if b == '\n' || b == '\r' {
			b = ' '
		}
		dst = append(dst, b)
	}
	return dst
}

func (p *sseReader) aside(from, to int, h detect.Hint) {
	if to-from < 3 {
		return
	}
	p.field.reset()
	p.field.copy(p.raw, from, to)
	p.scan(&p.field, h, style{write: asLine})
}

// json reads the data as a document. done is false when it is none.
func (p *sseReader) json() (done bool, _ *Refusal) {
	first, last := int(p.data.pieces[0].from), int(p.data.pieces[len(p.data.pieces)-1].to)
	if len(p.data.pieces) == 1 { // nearly always
		doc, r := p.asJSON(p.raw[first:last])
		if r != nil {
			r.Offset += int64(first)
		} else if doc != nil {
			p.addPart(part{doc: doc, start: first, end: last})
		}
		return doc != nil, r
	}
	doc, r := p.asJSON(bytes.Clone(p.data.text))
	if doc == nil || r != nil {
		if r != nil {
			r.Offset = int64(p.data.rawAt(int(r.Offset)))
		}
		return false, r
	}
	pieces := make(pieceLayer, 0, len(p.data.pieces))
	for i := range p.data.pieces {
		c := &p.data.pieces[i]
		pieces = append(pieces, pieceRange{text: int(c.at), raw: int(c.from) - first, size: p.data.end(i) - int(c.at), fixed: c.as == between})
	}
	p.addPart(part{doc: doc, start: first, end: last, layers: []layer{pieces}})
	return true, nil
}

// rawAt returns the raw offset of the text's byte at.
func (j *joined) rawAt(at int) int {
	for i := range j.pieces {
		if at < j.end(i) || i == len(j.pieces)-1 {
			return j.pieces[i].raw(max(at, int(j.pieces[i].at)), false)
		}
	}
	return at
}

// pieceLayer is the layer of a text that was put together from lines.
type pieceLayer []pieceRange

// pieceRange says where text[text:text+size] stands.
type pieceRange struct {
	text, raw, size int
	fixed           bool // it stands for a line end and what begins the next line
}

func (l pieceLayer) outward(_ []byte, offsets []int) {
	n := 0
	for i, at := range offsets {
		for n+1 < len(l) && at >= l[n].text+l[n].size {
			n++
		}
		offsets[i] = l[n].raw + min(at-l[n].text, l[n].size)
	}
}

// rewrite leaves what joins the lines where it is. JSON allows a line end between
// its tokens only, and no edit goes over one.
func (l pieceLayer) rewrite(raw, _ []byte, edits []Edit) []Edit {
	out := outwardEdits(l, raw, edits)
	for i := range out {
		out[i].New = edits[i].New
	}
	return out
}

// events settles the complete events of a stream. Only how much is found in them
// is kept: their document is made of all that are taken at once.
func (s *Stream) events(final bool) error {
	// One byte back, because a carriage return may have waited for its line feed.
	fresh := s.buf[max(0, s.looked-s.base-1):]
	s.looked = s.base + len(s.buf)
	for s.settled < len(s.buf) && (final || bytes.ContainsAny(fresh, "\r\n")) {
		end, ok := eventEnd(s.buf, max(s.settled, s.scanned), final)
		if !ok {
			s.scanned = end
			break
		}
		doc, err := Parse(SSE, s.buf[s.settled:end], s.det, s.fields, s.limits)
		if err != nil {
			if r := refusalOf(err); r != nil {
				return &Refusal{r.Reason, r.Offset + int64(s.base+s.settled)}
			}
			return err
		}
		s.ready.Findings = append(s.ready.Findings, doc.Findings...)
		s.settled, s.scanned = end, end
	}
	if len(s.buf)-s.settled > s.limits.Line {
		return &Refusal{ReasonLine, int64(s.base + s.settled)}
	}
	return nil
}

// takeEvents reads what is settled again, as one document.
func (s *Stream) takeEvents(doc Doc) *Doc {
	doc.Findings = nil
	doc.limits.Values = math.MaxInt // each event was within the limit
	s.ready = Doc{}
	s.taken = s.settled
	if doc.read(nil) != nil {
		return nil // cannot be: each event was read before
	}
	return &doc
}
