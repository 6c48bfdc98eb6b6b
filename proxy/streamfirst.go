package proxy

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/redact/walk"
)

// readFirst takes the first window of a body. When the body ends in it, or is of
// a sort that must be read whole, b holds it like any other and the stream is
// over; otherwise b holds a document of what is settled and the stream goes on.
func (s *stream) readFirst(incremental bool) *refusal {
	x, limits := s.x, &s.x.h.Limits
	var plain, wire []byte
	first, whole := time.NewTimer(firstDelay), time.NewTimer(time.Duration(limits.ReadTimeout))
	defer first.Stop()
	defer whole.Stop()
	late, looked := false, 0
	for {
		select {
		case c := <-s.feed.chunks:
			plain = append(plain, c.plain...)
			wire = append(wire, c.wire...)
			switch {
			case errors.Is(c.err, io.EOF):
				return s.readWhole(plain, wire)
			case c.err != nil:
				return s.notRead(plain, wire, s.readRefusal(c.err))
			case int64(max(len(plain), len(wire))) > limits.Body:
				return s.notRead(plain, wire, refuse(reasonTooLarge))
			}
		case <-first.C:
			late = true
		case <-whole.C:
			return s.readRefusal(nil)
		case <-s.ctx.Done():
			return refuse(reasonClientGone)
		}
		if !late && len(plain) < streamWindow || looked > 0 && len(plain) > 4<<10 && len(plain) < 2*looked {
			continue
		}
		looked = len(plain)
		if s.kind == walk.Text {
			other, escapes := x.maybeOther(plain)
			if s.escapes = escapes; other {
				if incremental {
					return s.notRead(plain, wire, refuse(reasonIncremental))
				}
				continue
			}
		}
		return s.begin(plain, wire)
	}
}

// maybeOther tells whether a text may be something else, so that it has to be read
// to its end: JSON, which begins like JSON, or a form, which has no
// blank. A text that only begins like JSON must not have an escape of JSON in it,
// see readAsSomethingElse.
func (x *exchange) maybeOther(begin []byte) (other, escapes bool) {
	if len(bytes.TrimSpace(begin)) == 0 || !bytes.ContainsAny(begin, " \t\r\n") {
		return true, false
	}
	if !looksJSON(begin) {
		return false, false
	}
	_, err := walk.Parse(walk.JSON, begin, x.det.detector, nil, x.h.Limits.walk())
	var w *walk.Refusal
	const torn = 16 // bytes at the end that may be half of something
	if errors.As(err, &w) && (w.Reason == walk.ReasonSyntax || w.Reason == walk.ReasonTrailing) && w.Offset < int64(len(begin)-torn) && !bytes.Contains(begin, []byte(`\u`)) {
		return false, true
	}
	return true, false
}

// readWhole makes b what reading it whole would have made it.
func (s *stream) readWhole(plain, wire []byte) *refusal {
	b := &s.side.body
	<-s.feed.done
	s.whole.Store(true)
	b.stream = nil
	b.veiled = s.feed.veiled.Load()
	if b.plain, b.wire = plain, wire; b.coding == "" {
		b.wire = plain
		if looksCompressed(plain) {
			return s.notRead(plain, wire, refuse(reasonCodingBroken))
		}
	}
	if len(b.wire) == 0 {
		b.present = false
	}
	return nil
}

// notRead refuses a body, or lets it pass as it comes on a route that observes.
func (s *stream) notRead(plain, wire []byte, ref *refusal) *refusal {
	b := &s.side.body
	if b.wire = wire; b.coding == "" {
		b.wire = plain
	}
	if ref := s.x.leaveUnread(s.side, b, nil, ref); ref != nil {
		return ref
	}
	select {
	case <-s.feed.done: // all of it is in wire
		b.stream = nil
		return nil
	default:
	}
	s.unread, s.out = b.unread, b.wire
	b.stream = s
	return s.reserve()
}

// begin judges the first window and leaves its document in b.
func (s *stream) begin(plain, wire []byte) *refusal {
	b := &s.side.body
	fields := s.x.match.Op.Request
	if s.side == &s.x.response {
		var ref *refusal
		if fields, ref = s.x.responsePlaces(); ref != nil {
			return ref
		}
	}
	var err error
	if s.walk, err = walk.NewStream(s.kind, s.x.det.detector, fields, s.x.h.Limits.walk()); err != nil {
		return refuseErr(reasonInternal, err)
	}
	if _, err = s.walk.Write(plain); err != nil {
		return s.notRead(plain, wire, walkRefusal(err))
	}
	b.doc = s.walk.Take()
	s.bytes = int64(len(plain))
	if s.slash = bytes.HasSuffix(plain, []byte(`\`)); s.x.observe() {
		if s.held = wire; b.coding == "" {
			s.held = plain
		}
	} else {
		s.feed.keep.Store(false)
	}
	return s.reserve()
}

// reserve takes room in the audit queue for what the stream will have to record.
func (s *stream) reserve() *refusal {
	slot, err := s.x.gen.data.Log.Reserve(s.ctx, audit.LaneNormal)
	if ref := s.x.takesNoEvents(err); ref != nil {
		return ref
	}
	s.slot = slot
	return nil
}

// transform edits the first window. What it returns is not to be used: the body
// is read from the stream.
func (s *stream) transform() {
	switch b := &s.side.body; {
	case b.unread != "":
	case s.x.observe():
		s.out, s.held = s.held, nil
	case b.doc != nil:
		s.out = b.doc.Rewrite(s.side.bodyAction, s.side.allEdits()...)
	}
}
