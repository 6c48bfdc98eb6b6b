package walk

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// Sink takes the next bytes of a stream's output, already rewritten, and the
// findings that were in them, with offsets into the whole input. It is called
// with nothing to write only for findings that vanish. The caller records the
// findings before it releases the bytes. Both arguments are reused after it
// returns; its error ends the stream.
type Sink func(out []byte, found []redact.Finding) error

// Stream rewrites Text or NDJSON as it arrives. What reaches the sink in all
// equals what Parse and Rewrite make of the whole, however the input is cut: of
// the document for Text, of each line for NDJSON. It holds back the bytes that
// an open candidate can still reach, or one line. A Stream is for one goroutine.
type Stream struct {
	kind   Kind
	sink   Sink
	det    *detect.Detector
	fields *Fields
	limits Limits
	act    func(redact.Finding) redact.Action

	buf     []byte // what is not settled yet, behind some context
	settled int    // up to where buf was given to the sink
	base    int    // offset of buf in the input
	scanned int    // NDJSON: up to where buf was searched for a line end
	carry   detect.Carry
	out     []byte
	found   []redact.Finding
	err     error
	closed  bool
}

// NewStream returns a stream of Text or NDJSON. act says what happens to each
// finding; f and l are for NDJSON.
func NewStream(kind Kind, sink Sink, d *detect.Detector, f *Fields, l Limits, act func(redact.Finding) redact.Action) (*Stream, error) {
	if kind != Text && kind != NDJSON {
		return nil, fmt.Errorf("walk: a body of kind %s does not stream", kind)
	}
	l.setDefaults()
	return &Stream{kind: kind, sink: sink, det: d, fields: f, limits: l, act: act}, nil
}

// Write takes the next bytes. The error is a *[Refusal], or the sink's; after one
// the stream takes no more.
func (s *Stream) Write(p []byte) (int, error) {
	if s.err == nil && s.closed {
		s.err = fmt.Errorf("walk: write after close")
	}
	if s.err != nil {
		return 0, s.err
	}
	for n := 0; n < len(p); {
		// In pieces, so that one large write does not grow the buffer.
		piece := p[n:min(len(p), n+streamPiece)]
		s.buf = append(s.buf, piece...)
		n += len(piece)
		if s.err = s.settle(false); s.err != nil {
			return n, s.err
		}
	}
	return len(p), nil
}

// streamPiece is how much is taken in at a time, in bytes.
const streamPiece = 32 << 10

// Close settles what was held back. It may be called more than once.
func (s *Stream) Close() error {
	if s.closed || s.err != nil {
		return s.err
	}
	s.closed = true
	s.err = s.settle(true)
	return s.err
}

func (s *Stream) settle(final bool) error {
	if s.kind == NDJSON {
		return s.lines(final)
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
	var to int
	s.found, to = s.det.Window(s.found[:0], s.buf[:whole], s.settled, final, &s.carry)
	if to == s.settled && len(s.found) == 0 {
		return nil
	}
	doc := Doc{Kind: Text, raw: s.buf[s.settled:to], Findings: s.found}
	for i := range s.found {
		s.found[i].Start -= s.settled
		s.found[i].End -= s.settled
	}
	s.out = append(s.out[:0], doc.Rewrite(s.act)...)
	for i := range s.found {
		s.found[i].Start += s.base + s.settled
		s.found[i].End += s.base + s.settled
	}
	if err := s.sink(s.out, s.found); err != nil {
		return err
	}
	s.settled = to
	if cut := to - detect.LookBehind; cut > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[cut:])]
		s.base += cut
		s.settled -= cut
	}
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

// lines settles the complete lines of NDJSON. Empty lines pass.
func (s *Stream) lines(final bool) error {
	done := 0
	for {
		end := bytes.IndexByte(s.buf[s.scanned:], '\n')
		if end < 0 {
			s.scanned = len(s.buf)
			if !final {
				break
			}
			end = len(s.buf)
		} else {
			end += s.scanned
		}
		if err := s.line(done, end); err != nil {
			return err
		}
		if done = min(end+1, len(s.buf)); done == len(s.buf) {
			s.scanned = done
			break
		}
		s.scanned = done
	}
	s.buf = s.buf[:copy(s.buf, s.buf[done:])]
	s.base += done
	s.scanned -= done
	if len(s.buf) > s.limits.Line {
		return &Refusal{ReasonLine, int64(s.base)}
	}
	return nil
}

// line settles buf[begin:end] and the line feed behind it.
func (s *Stream) line(begin, end int) error {
	raw := s.buf[begin:end]
	if len(raw) > s.limits.Line {
		return &Refusal{ReasonLine, int64(s.base + begin)}
	}
	s.out, s.found = append(s.out[:0], raw...), s.found[:0]
	if skipSpace(raw, 0) < len(raw) {
		doc, err := Parse(JSON, raw, s.det, s.fields, s.limits)
		if err != nil {
			if r := (*Refusal)(nil); errors.As(err, &r) {
				r.Offset += int64(s.base + begin)
			}
			return err
		}
		s.out = append(s.out[:0], doc.Rewrite(s.act)...)
		for _, f := range doc.Findings {
			f.Start += s.base + begin
			f.End += s.base + begin
			s.found = append(s.found, f)
		}
	}
	if end < len(s.buf) {
		s.out = append(s.out, '\n')
	}
	if len(s.out) == 0 {
		return nil
	}
	return s.sink(s.out, s.found)
}
