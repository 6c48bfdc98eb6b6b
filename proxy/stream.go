package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/policy"
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

// Types of the further events of a streamed body. The opening one is the
// exchange's own request.decided or response.decided, with the attribute stream.
const (
	eventRequestWindow  = "request.window"
	eventRequestClosed  = "request.closed"
	eventResponseWindow = "response.window"
	eventResponseClosed = "response.closed"
)

// How a stream ended, in its closing event.
const (
	endComplete = "complete"
	endRefused  = "refused"
	endClient   = "client_gone"
	endUpstream = "upstream_aborted"
)

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

	opened  audit.ID
	windows int
	bytes   int64 // of the body, decoded, that were inspected
	totals  []audit.Count
}

// errStageFailed stands for a defect, which was logged.
var errStageFailed = errors.New("a stage failed")

// errStreamClosed answers a reader who reads after Close.
var errStreamClosed = errors.New("this body was closed")

// streams tells whether a body may be judged as it passes, by its headers. A
// short one of known length is read whole: its caller can still be told what is
// wrong with it.
func (x *exchange) streams(kind walk.Kind, length int64, incremental bool) bool {
	return kind.Streams() && (length < 0 || length > streamWindow || incremental)
}

// newStream begins to read a body. The stream is ended by endStreams.
func (x *exchange) newStream(side *half, req *http.Request, src io.Reader, unblock func()) *stream {
	b := &side.body
	s := &stream{
		x: x, side: side, req: req, ctx: req.Context(), unblock: unblock, kind: b.kind,
		feed:    newFeed(src, b.coding, int64(x.h.Limits.Ratio), x.observe()),
		closing: make(chan struct{}),
	}
	b.stream = s
	x.streaming = append(x.streaming, s)
	return s
}

// readFirst takes the first window of a body. When the body ends in it, or is of
// a sort that must be read whole, b holds it like any other and the stream is
// over; otherwise b holds a document of what is settled and the stream goes on.
func (s *stream) readFirst(incremental bool) *refusal {
	x, limits := s.x, &s.x.h.Limits
	var plain, wire []byte
	first, whole := time.NewTimer(streamDelay), time.NewTimer(time.Duration(limits.ReadTimeout))
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
		fields = s.x.match.Op.Response
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
	switch {
	case errors.Is(err, audit.ErrOverloaded):
		return refuse(reasonOverloaded)
	case err != nil:
		return refuseErr(reasonAuditUnavailable, err)
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
		s.out = b.doc.Rewrite(s.side.bodyAction, s.side.edits...)
	}
}

// open is called when the opening event is durable. From here on the stream has
// an exchange of its own.
func (s *stream) open() {
	own := *s.x
	own.slot, own.streaming = s.slot, nil
	s.totals, s.opened = slices.Clone(s.side.counts), own.last
	s.fromStart = s.unread != ""
	if s.side == &s.x.response {
		s.side = &own.response
	} else {
		s.side = &own.request
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
		s.out = doc.Rewrite(s.side.bodyAction, s.side.edits...)
	}
}

// judge takes one window through the stages of an exchange.
func (s *stream) judge() *refusal {
	x, side := s.x, s.side
	direction, kind := policy.Request, eventRequestWindow
	if side == &x.response {
		direction, kind = policy.Response, eventResponseWindow
	}
	if len(side.body.doc.Findings) > 0 {
		if ref := x.decide(s.req, side, direction); ref != nil {
			return ref
		}
		for _, c := range side.counts {
			add(&s.totals, c)
		}
	}
	if direction == policy.Request {
		if ref := x.maskedWrite(s.req); ref != nil {
			return ref
		}
	} else {
		x.rewriteURLs(side)
	}
	if !s.eventful() {
		return nil
	}
	ctx, cancel := detached(s.ctx)
	defer cancel()
	if err := x.index(ctx, side); err != nil {
		return refuseErr(reasonVaultUnavailable, err)
	}
	e := x.event(kind, direction, side, s.req.Method)
	e.Decision, e.Forwarded, e.Outcome = audit.DecisionAllow, true, audit.OutcomeReleased
	e.Attrs["opened"] = s.opened.String()
	if err := x.append(ctx, e, side, s.req); err != nil {
		return refuseErr(reasonAuditUnavailable, err)
	}
	s.windows++
	return nil
}

// eventful tells whether a window has something that the opening event did not
// permit and the closing one will not tell.
func (s *stream) eventful() bool {
	if len(s.side.counts) > 0 || s.side.withheld > 0 {
		return true
	}
	for _, c := range s.side.body.doc.Captures {
		if c.Label != "" && c.Flags&walk.URL == 0 {
			return true
		}
	}
	return false
}

// complete permits the end of the stream: not before it is recorded.
func (s *stream) complete() {
	if err := s.finish(endComplete, nil); err != nil {
		s.out = nil
		s.err = s.cut(refuseErr(reasonAuditUnavailable, err))
		return
	}
	s.whole.Store(true)
	s.err = io.EOF
}

// cut notes why the stream ends here, records it, and returns the error that its
// reader gets. What was permitted and not read yet goes no further.
func (s *stream) cut(ref *refusal) error {
	if s.ctx.Err() != nil {
		ref = refuse(reasonClientGone)
	}
	s.refused.CompareAndSwap(nil, ref)
	s.out = nil
	end := endRefused
	switch ref.code {
	case reasonClientGone, reasonIncomplete:
		end = endClient
	case reasonUpstreamAborted, reasonUpstreamTimeout, reasonUpstreamProtocol:
		end = endUpstream
	}
	if err := s.finish(end, ref); err != nil {
		s.x.h.logger.Error("recording the end of a stream", errField(err))
	}
	return ref
}

// finish records the end of the stream, once.
func (s *stream) finish(end string, ref *refusal) (err error) {
	if s.over {
		return nil
	}
	s.over = true
	defer func() { // it is called when a defect has been met already
		if r := recover(); r != nil {
			s.x.logPanic(r)
			err = errStageFailed
		}
	}()
	x := s.x
	direction, kind := policy.Request, eventRequestClosed
	if s.side == &x.response {
		direction, kind = policy.Response, eventResponseClosed
	}
	would := s.side.would
	*s.side = half{would: would}
	if s.unread != "" && !s.fromStart {
		s.side.body.unread = s.unread
		countFor(&s.side.counts, notInspected).NotInspected++
	}
	e := x.event(kind, direction, s.side, s.req.Method)
	e.Decision, e.Forwarded, e.Outcome = audit.DecisionAllow, true, audit.OutcomeReleased
	if end != endComplete {
		e.Outcome = audit.OutcomeCut
	}
	if ref != nil {
		e.Reason = ref.code
		if end == endRefused {
			e.Decision = audit.DecisionDeny
		}
	}
	e.Attrs["opened"], e.Attrs["end"] = s.opened.String(), end
	e.Attrs["bytes"], e.Attrs["windows"] = strconv.FormatInt(s.bytes, 10), strconv.Itoa(s.windows)
	if did := summary(s.totals); did != "" {
		e.Attrs["findings"] = did
	}
	x.h.app.metrics.streamed(x.h.Route, direction, end, s.bytes)
	ctx, cancel := detached(s.ctx)
	defer cancel()
	return x.append(ctx, e, s.side, s.req)
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

// hangUpAfter closes the caller's HTTP/1 connection behind the answer when the
// answer may begin while the caller is still sending: net/http would take what is
// left of the body for the next request. s may be nil.
func (s *stream) hangUpAfter() {
	if s != nil && s.caller != nil && !s.whole.Load() {
		s.caller.Header().Set("Connection", "close")
	}
}

// wasCut is why the stream was cut, nil while it was not. s may be nil.
func (s *stream) wasCut() *refusal {
	if s == nil {
		return nil
	}
	return s.refused.Load()
}

// endStreams ends what still streams and returns when nothing of it runs. A
// stream that nobody read to its end was left by its receiver. With linger, the
// goroutine that reads from a caller who is still sending is told to end and not
// waited for: the caller's answer comes first, see linger.
func (x *exchange) endStreams(linger bool) {
	for _, s := range x.streaming {
		_ = s.Close()
		if linger && s.caller != nil {
			x.lingering = s.feed
			s.feed.tell(func() { _ = http.NewResponseController(s.caller).SetReadDeadline(time.Now().Add(lingerTime)) })
		} else {
			s.feed.stop(s.unblock)
		}
		if s.side == &s.x.response {
			s.unblock() // also where the body was read to its end
		}
		s.mu.Lock()
		if s.window != nil && !s.over {
			ref := refuse(reasonUpstreamAborted)
			if s.side == &s.x.response || s.ctx.Err() != nil {
				ref = refuse(reasonClientGone)
			}
			s.err = s.cut(ref)
		}
		s.mu.Unlock()
		if s.slot != nil {
			s.slot.Release()
		}
	}
	x.streaming = nil
}

// streamRequest begins to read a request that streams.
func (x *exchange) streamRequest(w http.ResponseWriter, r *http.Request, incremental bool) *refusal {
	rc := http.NewResponseController(w)
	if r.ProtoMajor == 1 {
		// Without it net/http takes what the caller is still sending out of our hands
		// as soon as the answer begins, and the upstream would get a body with a hole.
		if err := rc.EnableFullDuplex(); err != nil {
			return refuseErr(reasonInternal, err)
		}
	}
	s := x.newStream(&x.request, r, r.Body, func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) })
	if r.ProtoMajor == 1 {
		s.caller = w
	}
	r.Trailer = nil // trailers are data nobody decided about
	return s.readFirst(incremental)
}

// sendStream makes the stream the body of the request. Nobody can send it twice.
func (x *exchange) sendStream(r *http.Request) {
	r.Body, r.GetBody = x.request.body.stream, nil
	if x.observe() {
		return // the bytes are those that came
	}
	r.ContentLength, r.TransferEncoding = -1, nil
	r.Header.Del("Content-Length")
	r.Header.Del("Content-Encoding")
	dropDigests(r.Header)
}

// releaseStream makes the stream the body of the answer.
func (x *exchange) releaseStream(res *http.Response) {
	h := res.Header
	res.Body = x.response.body.stream
	if x.observe() {
		return
	}
	tagETag(h, x.det.suffix)
	if h.Get("Accept-Ranges") != "" {
		h.Set("Accept-Ranges", "none")
	}
	addVary(h, "Accept-Encoding")
	dropDigests(h)
	for _, name := range [...]string{"Content-Length", "Content-Encoding"} {
		h.Del(name)
	}
	// Without a length reverse_proxy flushes after every write.
	res.ContentLength, res.TransferEncoding, res.Uncompressed = -1, nil, false
}

// streamed tells by its headers whether a body may stream.
func streamed(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return false
	}
	kind, ok := kindOf(media)
	return ok && kind.Streams()
}

func add(counts *[]audit.Count, c audit.Count) {
	to := countFor(counts, c.Class)
	to.Clear += c.Clear
	to.Masked += c.Masked
	to.Tokenized += c.Tokenized
	to.Dropped += c.Dropped
	to.NotInspected += c.NotInspected
}

var _ io.ReadCloser = (*stream)(nil)
