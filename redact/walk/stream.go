package walk

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/caregate/caregate/redact/detect"
)

// Stream reads Text, NDJSON or SSE as it arrives. What is settled is taken out in
// documents: their findings are those of the whole, and what their Rewrite
// returns, put together, equals what Parse and Rewrite make of the whole, however
// the input is cut and whenever it is taken. It holds back the bytes that an open
// candidate can still reach, or one line, or one event. A Stream is for one goroutine.
type Stream struct {
	kind   Kind
	det    *detect.Detector
	fields *Fields
	limits Limits

	buf     []byte // some context, what is settled, what is not
	taken   int    // buf[:taken] was taken and is there as context only
	settled int    // buf[taken:settled] is ready to be taken
	base    int    // offset of buf in the input
	scanned int    // up to where buf was searched for a line end
	looked  int    // SSE: how much of the input was searched for one
	carry   detect.Carry
	// ready has the findings and captures of what is settled, with offsets into buf.
	ready  Doc
	lined  jsonReader // of one line after the other
	err    error
	closed bool
}

// NewStream returns a stream of Text, NDJSON or SSE; f and l are for NDJSON.
func NewStream(kind Kind, d *detect.Detector, f *Fields, l Limits) (*Stream, error) {
	if !kind.Streams() {
		return nil, fmt.Errorf("walk: a body of kind %s does not stream", kind)
	}
	l.setDefaults()
	return &Stream{kind: kind, det: d, fields: f, limits: l}, nil
}

// Streams reports whether a body of kind k can be read as it arrives.
func (k Kind) Streams() bool { return k == Text || k == NDJSON || k == SSE }

// Write takes the next bytes. The error is a *[Refusal] with an offset into the
// input; after one the stream takes no more, and what was settled before it can
// still be taken. A document taken earlier is no longer valid.
func (s *Stream) Write(p []byte) (int, error) {
	if s.err == nil && s.closed {
		s.err = fmt.Errorf("walk: write after close")
	}
	if s.err != nil {
		return 0, s.err
	}
	s.forget()
	for n := 0; n < len(p); {
		// In pieces, so that one large write is not scanned again and again.
		piece := p[n:min(len(p), n+streamPiece)]
		s.buf = append(s.buf, piece...)
		n += len(piece)
		if s.err = s.settle(false); s.err != nil {
			return n, s.err
		}
	}
	return len(p), nil
}

// streamPiece is how much is scanned at a time, in bytes.
const streamPiece = 32 << 10

// Close settles what was held back. It may be called more than once.
func (s *Stream) Close() error {
	if s.closed || s.err != nil {
		return s.err
	}
	s.closed = true
	s.forget()
	s.err = s.settle(true)
	return s.err
}

// Settled returns how many bytes can be taken, and whether anything was found or
// captured in them.
func (s *Stream) Settled() (n int, marked bool) {
	return s.settled - s.taken, len(s.ready.Findings)+len(s.ready.Captures) > 0
}

// Take returns what is settled as a document, nil when nothing is. Its offsets
// are its own, of NDJSON it holds whole lines. It is valid until the next Write
// or Close.
func (s *Stream) Take() *Doc {
	if s.settled == s.taken {
		return nil
	}
	doc := s.ready
	doc.Kind, doc.raw, doc.det, doc.fields, doc.limits = s.kind, s.buf[s.taken:s.settled], s.det, s.fields, s.limits
	switch s.kind {
	case NDJSON:
		doc.Kind, doc.lines = JSON, true
	case SSE:
		return s.takeEvents(doc)
	}
	doc.shift(0, 0, -s.taken)
	s.ready = Doc{}
	s.taken = s.settled
	return &doc
}

// forget lets go of what was taken, but for the context that is still needed.
func (s *Stream) forget() {
	cut := s.taken
	if s.kind == Text {
		cut -= detect.LookBehind
	}
	if cut <= 0 {
		return
	}
	s.buf = s.buf[:copy(s.buf, s.buf[cut:])]
	s.base += cut
	s.taken -= cut
	s.settled -= cut
	s.scanned = max(0, s.scanned-cut)
	s.ready.shift(0, 0, -cut)
}

func (s *Stream) settle(final bool) error {
	switch s.kind {
	case NDJSON:
		return s.lines(final)
	case SSE:
		return s.events(final)
	}
	return s.text(final)
}

// text settles plain text.
func (s *Stream) text(final bool) error {
	whole := len(s.buf)
	if !final {
		whole -= tornRune(s.buf[s.settled:])
	}
	if at := invalidUTF8(s.buf[s.settled:whole]); at >= 0 {
		return &Refusal{ReasonUTF8, int64(s.base + s.settled + at)}
	}
	s.ready.Findings, s.settled = s.det.Window(s.ready.Findings, s.buf[:whole], s.settled, final, &s.carry)
	return nil
}

// tornRune returns how many bytes at the end of b are the begin of a character
// that is not complete.
func tornRune(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if c >= 0x80 && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// lines settles the complete lines of NDJSON.
func (s *Stream) lines(final bool) error {
	for s.settled < len(s.buf) {
		end := bytes.IndexByte(s.buf[s.scanned:], '\n')
		if end < 0 && !final {
			s.scanned = len(s.buf)
			break
		}
		next := len(s.buf)
		if end >= 0 {
			next = s.scanned + end + 1
		}
		s.ready.det, s.ready.fields, s.ready.limits = s.det, s.fields, s.limits
		if err := s.ready.line(&s.lined, s.buf, s.settled, next, nil); err != nil {
			if r := (*Refusal)(nil); errors.As(err, &r) {
				r.Offset += int64(s.base)
			}
			return err
		}
		s.settled, s.scanned = next, next
	}
	if len(s.buf)-s.settled > s.limits.Line {
		return &Refusal{ReasonLine, int64(s.base + s.settled)}
	}
	return nil
}

// reuse readies p for a document after one that was accepted, which left nothing
// open.
func (p *jsonReader) reuse(d *Doc, masks *maskHits, captured int) {
	p.Doc, p.masks, p.captured = d, masks, captured
	p.unit, p.values, p.decoded, p.paths, p.outer = 0, 0, p.decoded[:0], p.paths[:0], outer{}
}

// readLines reads a whole body of NDJSON.
func (d *Doc) readLines(masks *maskHits) error {
	all := d.raw
	defer func() { d.raw = all }()
	var p jsonReader
	for begin := 0; begin < len(all); {
		next := len(all)
		if end := bytes.IndexByte(all[begin:], '\n'); end >= 0 {
			next = begin + end + 1
		}
		if err := d.line(&p, all, begin, next, masks); err != nil {
			return err
		}
		begin = next
	}
	return nil
}

// line reads all[begin:next], one line with its line feed, as a document of its
// own. An empty line passes. What it finds has offsets into all; what is
// captured and found in one line is one unit, so that it is of the same people.
func (d *Doc) line(p *jsonReader, all []byte, begin, next int, masks *maskHits) error {
	d.raw = all[begin:next]
	if len(bytes.TrimSuffix(d.raw, []byte("\n"))) > d.limits.Line {
		return &Refusal{ReasonLine, int64(begin)}
	}
	if skipSpace(d.raw, 0) == len(d.raw) {
		return nil
	}
	found, captured := len(d.Findings), len(d.Captures)
	before := masks.mark()
	p.reuse(d, masks, captured)
	d.Kind, d.lines = JSON, true
	if d.fields.flags(d.fields.root())&Unit == 0 {
		d.Units++
		p.unit = d.Units
	}
	refused := p.document()
	p.finish()
	if refused != nil {
		refused.Offset += int64(begin)
		d.Findings, d.Captures = d.Findings[:found], d.Captures[:captured]
		return refused
	}
	d.shift(found, captured, begin)
	if masks != nil {
		for i := range masks.removable[len(before.removable):] {
			masks.removable[len(before.removable)+i].shift(begin)
		}
	}
	return nil
}

// shift moves the findings and captures from the given numbers on.
func (d *Doc) shift(found, captured, by int) {
	for i := range d.Findings[found:] {
		f := &d.Findings[found+i]
		f.Start += by
		f.End += by
	}
	for i := range d.Captures[captured:] {
		c := &d.Captures[captured+i]
		c.Start += by
		c.End += by
		c.member.shift(by)
	}
}

func (m *member) shift(by int) {
	if m.container < 0 {
		m.end += by
		return
	}
	m.container += by
	m.start += by
	m.end += by
	if m.comma >= 0 {
		m.comma += by
	}
}
