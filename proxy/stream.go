package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/redact/walk"
)

// A window of a stream: how many bytes with something to record in them wait for
// each other, and how long the first of them waits. 64 KiB keeps a stream of a
// gigabyte at 16,000 events when every window has a finding; 200 ms is what a
// person who watches a chat does not notice.
const (
	streamWindow = 64 << 10
	streamDelay  = 200 * time.Millisecond
)

// firstDelay is how long the first window is waited for, which is refused like any other
// body. Whoever sends nothing has the stream begin with nothing.
var firstDelay = streamDelay

// stream is a body that is judged as it passes. Whoever sends it on reads from it:
// the transport towards the upstream, reverse_proxy towards the caller. What Read
// returns is permitted by a durable event: clean bytes by the opening one, a
// window in which something was found or somebody is named by its own. The clean
// end waits for the closing event. Whatever fails on the way is an error of Read,
// which cuts the message off, and never its end.
//
// Request and response of one exchange may stream at the same time, so a stream
// works on a copy of the exchange that is its own.
type stream struct {
	x    *exchange // the exchange it belongs to, until it is opened; then a copy
	side *half     // of x, the window being judged
	req  *http.Request
	ctx  context.Context // of the call; done when the caller hung up
	// unblock makes a read of the wire return.
	unblock func()
	// caller is who sends a request over HTTP/1, nil for other bodies.
	caller http.ResponseWriter

	feed *feed
	kind walk.Kind
	slot *audit.Slot

	closing chan struct{} // closed by Close: nobody reads any more
	once    sync.Once
	begun   atomic.Bool
	whole   atomic.Bool             // its end was released
	refused atomic.Pointer[refusal] // why the stream was cut, for the exchange

	// mu is held by Read and by finish. It guards what follows.
	mu     sync.Mutex
	walk   *walk.Stream
	out    []byte // permitted, not yet read
	err    error  // after out
	over   bool   // the closing event was appended, or cannot be
	window *time.Timer
	wait   bool // the window is open
	idle   *time.Timer
	// slash and escapes watch for JSON in a text that began like JSON and is none.
	escapes, slash bool
	// unread, when set, says why the rest passes unread, on a route that observes.
	unread string
	// fromStart says that the opening event tells so already.
	fromStart bool
	held      []byte // on a route that observes: the bytes as they came

	// units and named are the records of the body so far, by lines and by what they name;
	// asked is how many of them policy was asked about.
	units, named, asked int

	opened  audit.ID
	windows int
	bytes   int64 // of the body, decoded, that were inspected
	totals  []audit.Count
}

// errStageFailed stands for a defect, which was logged.
var errStageFailed = errors.New("a stage failed")

// errStreamClosed answers a reader who reads after Close.
var errStreamClosed = errors.New("this body was closed")

// newStream begins to read a body. The stream is ended by endStreams.
func (x *exchange) newStream(side *half, req *http.Request, src io.Reader, unblock func()) *stream {
	b := &side.body
	s := &stream{
		x: x, side: side, req: req, ctx: req.Context(), unblock: unblock, kind: b.kind,
		feed:    newFeed(src, b.coding, int64(x.h.Limits.Ratio), x.observe(), x.veilOf(side)),
		closing: make(chan struct{}),
	}
	b.stream = s
	x.streaming = append(x.streaming, s)
	return s
}

// open is called when the opening event is durable. From here on the stream has
// an exchange of its own.
func (s *stream) open() {
	own := *s.x
	own.slot, own.streaming = s.slot, nil
	s.totals, s.opened = slices.Clone(s.side.counts), own.last
	s.fromStart = s.unread != ""
	s.units, s.asked = units(s.side.body.doc), s.x.touched(s.side)
	if s.side == &s.x.response {
		s.side = &own.response
	} else {
		s.side, s.named = &own.request, own.named
	}
	own.request, own.response = half{}, half{}
	s.x = &own
	s.idle = time.NewTimer(time.Hour)
	s.window = time.NewTimer(time.Hour)
	s.window.Stop()
}

// Read returns the next permitted bytes. It waits until there are some.
func (s *stream) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun.Store(true)
	// The transport's own goroutine reads here: a defect must not end the process.
	defer func() {
		if r := recover(); r != nil {
			s.x.logPanic(r)
			s.out, s.err = nil, s.cut(refuse(reasonInternal))
			n, err = 0, s.err
		}
	}()
	for len(s.out) == 0 && s.err == nil {
		s.advance()
	}
	if len(s.out) == 0 {
		return 0, s.err
	}
	n = copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// Close says that nobody reads any more. It does not wait for a Read.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.closing) })
	return nil
}

// advance waits for the next thing to happen.
func (s *stream) advance() {
	s.idle.Reset(time.Duration(s.x.h.Limits.IdleTimeout))
	select {
	case <-s.closing:
		s.err = errStreamClosed
	case <-s.ctx.Done():
		s.err = s.cut(refuse(reasonClientGone))
	case <-s.idle.C:
		s.err = s.cut(s.readRefusal(nil))
	case <-s.window.C:
		s.release()
	case c := <-s.feed.chunks:
		s.take(c)
	}
}

// take judges what arrived.
func (s *stream) take(c chunk) {
	if s.x.observe() {
		s.held = append(s.held, c.came()...)
	}
	if s.unread == "" && len(c.plain) > 0 {
		s.bytes += int64(len(c.plain))
		if _, err := s.walk.Write(c.plain); err != nil {
			s.stop(walkRefusal(err))
		} else if s.escapes && s.escaped(c.plain) {
			s.stop(refuse(walk.ReasonSyntax))
		}
	}
	ended := errors.Is(c.err, io.EOF)
	switch {
	case s.err != nil:
		return
	case ended && s.unread == "":
		if err := s.walk.Close(); err != nil {
			s.stop(walkRefusal(err))
		}
	case c.err != nil && !ended:
		s.stop(s.readRefusal(c.err))
	}
	if s.err != nil {
		return
	}
	n, marked := 0, false
	if s.walk != nil {
		n, marked = s.walk.Settled()
	}
	if ended || !marked || n >= streamWindow {
		s.release()
		if ended && s.err == nil {
			s.complete()
		}
		return
	}
	if !s.wait {
		s.wait = true
		s.window.Reset(streamDelay)
	}
}

// stop cuts the stream, or lets the rest of it pass unread on a route that
// observes.
func (s *stream) stop(ref *refusal) {
	if ref = s.x.stop(s.side, ref); ref != nil {
		s.err = s.cut(ref)
		return
	}
	if s.unread == "" {
		s.unread = unreadObserve
		s.x.h.app.metrics.uninspected(s.x.h.Route, s.unread)
	}
}

// escaped reports whether the text has an escape of JSON in it, also across two
// chunks.
func (s *stream) escaped(p []byte) bool {
	found := s.slash && p[0] == 'u' || bytes.Contains(p, []byte(`\u`))
	s.slash = p[len(p)-1] == '\\'
	return found
}

// release permits what is settled, with an event of its own when something was
// found in it or somebody is named.
func (s *stream) release() {
	s.wait = false
	s.window.Stop()
	var doc *walk.Doc
	if s.walk != nil {
		doc = s.walk.Take()
	}
	would := s.side.would
	*s.side = half{would: would}
	if doc != nil {
		s.side.body = reading{present: true, kind: s.kind, doc: doc}
		if ref := s.judge(); ref != nil {
			s.err = s.cut(ref)
			return
		}
	}
	switch {
	case s.x.observe():
		s.out, s.held = s.held, nil
	case doc != nil:
		s.out = doc.Rewrite(s.side.bodyAction, s.side.allEdits()...)
	}
}

// readRefusal names what went wrong on the wire, nil for silence.
func (s *stream) readRefusal(err error) *refusal {
	var ref *refusal
	switch {
	case s.ctx.Err() != nil:
		return refuse(reasonClientGone)
	case err == nil:
		ref = refuse(reasonReadTimeout)
	case !errors.As(err, &ref):
		ref = readRefusal(err)
	}
	if s.side == &s.x.response {
		ref = fromUpstream(ref)
	}
	return ref
}

// fromUpstream gives a failure to read the name that it has when it is the
// upstream's.
func fromUpstream(ref *refusal) *refusal {
	switch ref.code {
	case reasonReadTimeout:
		ref.code = reasonUpstreamTimeout
	case reasonIncomplete:
		ref.code = reasonUpstreamAborted
	}
	return ref
}

var _ io.ReadCloser = (*stream)(nil)
