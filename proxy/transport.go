package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
)

func init() { caddy.RegisterModule(Transport{}) }

// Transport is the response side of a governed route: reverse_proxy's transport
// to the upstream, which reads, decides and records every answer before it
// returns it. It refuses requests that did not come through the handler, so a
// route with only this half forwards nothing.
//
// It is Caddy's HTTP transport in every other respect and takes the same
// options.
type Transport struct {
	reverseproxy.HTTPTransport
	// Route is the name of the governed route, by which the gateway finds the connections for
	// calls of its own. Default: none; such calls are not made then.
	Route string `json:"route,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.caregate", New: func() caddy.Module { return new(Transport) }}
}

// Provision sets up the connection pool. Answers are decoded here, within our
// limits, and never by net/http.
func (t *Transport) Provision(ctx caddy.Context) error {
	off := false
	t.Compression = &off
	if t.ResponseHeaderTimeout == 0 {
		t.ResponseHeaderTimeout = caddy.Duration(upstreamTimeout)
	}
	t.setBuffers()
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	t.watchEnds()
	if t.Route == "" {
		return nil
	}
	app, err := joinApp(ctx, "a governed route")
	if err != nil {
		return err
	}
	if app.transports == nil {
		app.transports = make(map[string]*Transport)
	}
	app.transports[t.Route] = t
	return nil
}

// upstreamTimeout is how long an upstream may take to begin its answer. Vendors'
// own gateways give up after 30 to 60 seconds.
const upstreamTimeout = 65 * time.Second

// Validate refuses a connection whose other end is nobody in particular.
func (t *Transport) Validate() error {
	if t.TLS != nil && t.TLS.InsecureSkipVerify {
		return errors.New("the certificate of an upstream is always verified: use trust_pool for a private authority")
	}
	return nil
}

// errNotGoverned answers requests that reached the transport by another way than
// the handler.
var errNotGoverned = errors.New("this transport serves governed routes only: put the caregate handler in front (directive govern)")

// RoundTrip forwards an admitted request and returns its answer when the event
// that permits its release is durable. Every error but a failed connection is
// final for the exchange.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if isWhoami(req.Context()) {
		return t.HTTPTransport.RoundTrip(req.WithContext(quietContext{req.Context()}))
	}
	x := exchangeFrom(req.Context())
	if x == nil || !x.admitted {
		return nil, errNotGoverned
	}
	if x.final != nil {
		return nil, x.final
	}
	if s := x.request.body.stream; s != nil && s.begun.Load() {
		// Part of the body is gone. Whoever retries must not send the rest as a whole.
		x.final = refuse(reasonUpstreamAborted)
		return nil, x.final
	}
	x.prepareUpstream(req)
	seen := new(upstreamSeen)
	out := req.WithContext(seen.within(quietContext{req.Context()}))
	if ref := cmp.Or(x.turnBack(out), x.add(t, out)); ref != nil {
		x.final = ref
		return nil, ref
	}
	earlier := x.forwarded // reverse_proxy may try more than once
	x.forwarded, x.asked = true, time.Now()
	if s := x.request.body.stream; s != nil {
		out.Body = sending{s}
	} else if out.Body != nil && out.GetBody != nil {
		// The same bytes without what reverse_proxy put around: those net/http knows to
		// be in memory, and sends them together with the header.
		body, err := out.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	res, err := t.HTTPTransport.RoundTrip(out)
	if err == nil {
		res, err = x.again(t, out, res)
	}
	if x.spend != nil && (earlier || seen.conns > 1) {
		x.spend.repeated = true // so does net/http, by itself, on the second of two connections
	}
	if ref := x.request.body.stream.wasCut(); ref != nil {
		if err == nil {
			_ = res.Body.Close()
		}
		x.final = ref
		return nil, ref
	}
	if err != nil {
		x.forwarded = earlier || t.mayHaveSent(seen, err)
		x.upstreamEnded = seen.ended()
		if x.added != nil {
			err = x.added.veil.err(err)
		}
		return nil, err
	}
	x.veilAnswer(res)
	x.delivered(req.Context(), res.StatusCode)
	x.spent(req.Context(), res.StatusCode)
	x.request.body.stream.hangUpAfter()
	if ref := x.admitResponse(req, res); ref != nil {
		x.final = ref
		_ = res.Body.Close()
		return nil, ref
	}
	x.settle() // before the caller can go on
	if b := &x.response.body; b.present && b.stream == nil && b.unread == "" {
		x.keepTogether(req)
	}
	// net/http writes trailers into the answer that it made when that one's body
	// ends. They are bytes nobody decided about, so the caller's is another.
	released := *res
	return &released, nil
}

// sending is a stream as the transport gets it, without what reverse_proxy put
// around: that one must not be read and closed at the same time, as an upstream that
// resets an HTTP/2 stream has it. A stream that nobody has read of can be sent to the
// next upstream.
type sending struct{ *stream }

func (s sending) Close() error {
	if !s.begun.Load() {
		return nil
	}
	return s.stream.Close()
}

// admitResponse runs the stages of the response, the same as the request's.
func (x *exchange) admitResponse(req *http.Request, res *http.Response) *refusal {
	res.Request = req
	x.response = half{}
	x.upstreamStatus = res.StatusCode
	speakForOurselves(res.Header)
	if x.h.Session {
		res.Header.Del("Clear-Site-Data") // no upstream logs anybody out of the gateway
	}
	x.h.cors.learn(x.origin, res.Header)
	if ref := x.readResponse(res); ref != nil {
		return withheld(ref)
	}
	x.detectHeaders(&x.response, res.Header)
	places, ref := x.responsePlaces()
	if ref == nil {
		ref = x.detectBody(&x.response, places)
	}
	if ref != nil {
		return withheld(ref)
	}
	x.converseBack()
	if ref := x.decide(req, &x.response, policy.Response); ref != nil {
		return withheld(ref)
	}
	if ref := x.countRows(req.Context()); ref != nil {
		return withheld(ref)
	}
	if ref := x.takeSubjects(req.Context(), &x.response); ref != nil {
		return withheld(ref)
	}
	if ref := x.tokenize(req.Context(), &x.response); ref != nil {
		return withheld(ref)
	}
	if ref := x.learn(req.Context(), res.StatusCode); ref != nil {
		return withheld(ref)
	}
	if b := &x.response.body; b.unread != "" && x.spend != nil && x.spend.value != nil {
		return withheld(refuse(reasonType)) // nobody can say whether the reference is in it
	}
	x.transformResponse(res)
	if ref := x.recordResponse(res); ref != nil {
		return ref
	}
	x.mark(res.Header)
	return nil
}

// speakForOurselves takes out of an answer what an upstream says under our name,
// and the list of headers that reverse_proxy would remove behind our back: an
// upstream that names Caregate-Receipt or Content-Encoding there must not decide
// what a caller learns. Hop-by-hop fields themselves are removed by reverse_proxy.
func speakForOurselves(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, headerPrefix) {
			delete(h, name)
		}
	}
	dropSetCookies(h)
	h.Del("Connection")
}

// withheld wraps the reason why an answer is not released. A failure of the
// upstream keeps its own name: there was no whole answer to withhold.
func withheld(ref *refusal) *refusal {
	switch ref.code {
	case reasonUpstreamAborted, reasonUpstreamTimeout, reasonUpstreamProtocol, reasonChallenge:
		return ref
	}
	return &refusal{code: reasonWithheld, cause: ref.code, inner: ref.inner, innerOp: ref.innerOp, offset: -1, err: ref.err}
}

// prepareUpstream asks for an answer that we can read.
func (x *exchange) prepareUpstream(req *http.Request) {
	// One coding, and only if the caller takes it as well: an answer without a
	// finding goes to the caller in the bytes in which it came. Where such bytes are to be
	// veiled, they are asked for without.
	if x.accepts && req.Method != http.MethodHead && !(x.h.Credential != nil && x.observe()) {
		req.Header.Set("Accept-Encoding", "gzip")
	} else {
		req.Header.Set("Accept-Encoding", "identity")
	}
	if p := x.h.ch.Payments; p != nil && p.Once {
		// net/http sends a call with such a key again when a connection breaks, which this
		// processor would take for another one.
		for _, name := range [...]string{p.Idempotency, "Idempotency-Key", "X-Idempotency-Key"} {
			req.Header.Del(name)
		}
	}
	// Trailers of a request are read and dropped with its body.
	req.Trailer = nil
	req.Header.Del("Te")
}

// readResponse reads an answer's body within the limits. A body that nobody may
// read, on a route that lets such bodies pass, stays on the wire.
func (x *exchange) readResponse(res *http.Response) *refusal {
	b := &x.response.body
	if res.StatusCode == http.StatusSwitchingProtocols {
		return refuse(reasonUpgrade)
	}
	if challengeMarked(res.StatusCode, res.Header) {
		if ref := x.stop(&x.response, refuse(reasonChallenge)); ref != nil {
			return ref
		}
	}
	if !responseHasContent(res) {
		return nil
	}
	b.present = true
	kind, coding, ref := x.bodyKind(res.Header)
	if ref == nil && res.StatusCode == http.StatusPartialContent {
		ref = refuse(reasonPartialUnasked)
	}
	if ref != nil {
		// An empty body of unknown length has nothing to refuse.
		var first [1]byte
		if n, err := io.ReadFull(res.Body, first[:]); n == 0 && err == io.EOF {
			b.present = false
			return nil
		}
		b.wire = first[:]
		return x.leaveUnread(&x.response, b, res.Body, ref)
	}
	b.kind, b.coding, b.boundary = kind, coding, boundaryOf(kind, res.Header)
	if !x.whole && x.streams(kind, res.ContentLength, caddyhttp.IsIncremental(res.Header)) {
		body := res.Body // which the stream will replace
		s := x.newStream(&x.response, res.Request, body, func() { _ = body.Close() })
		return s.readFirst(false)
	}
	if ref = x.readUpstream(res, b); ref != nil {
		return x.leaveUnread(&x.response, b, res.Body, ref)
	}
	if len(b.wire) == 0 {
		b.present = false
		return nil
	}
	if b.plain, ref = decode(b.coding, b.wire, x.h.Limits.Body, int64(x.h.Limits.Ratio)); ref != nil {
		return x.leaveUnread(&x.response, b, nil, ref)
	}
	x.veilDecoded(b)
	if challengePage(kind, res.StatusCode, b.plain, x.match.Mapped) {
		return x.stop(&x.response, refuse(reasonChallenge))
	}
	return nil
}

// readUpstream takes the whole body of an answer. An upstream that stops in
// mid-body is cut off when the time for a body is over: closing the body is the
// one way to end a read of it.
func (x *exchange) readUpstream(res *http.Response, b *reading) (ref *refusal) {
	limit := time.Duration(x.h.Limits.ReadTimeout)
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = res.Body.Close()
	})
	defer timer.Stop()
	b.wire, ref = readAll(res.Body, res.ContentLength, x.h.Limits.Body, time.Now().Add(limit))
	switch {
	case ref == nil:
	case late.Load(), ref.code == reasonReadTimeout:
		ref.code = reasonUpstreamTimeout
	case ref.code == reasonIncomplete:
		ref.code = reasonUpstreamAborted
	}
	return ref
}

// responseHasContent tells the answers whose framing has no content (RFC 9112
// section 6.3) from all others. 205 is not among them: RFC 9110 section 15.3.6
// forbids it content, but a reader finds whatever its sender put there.
func responseHasContent(res *http.Response) bool {
	switch {
	case res.Request.Method == http.MethodHead,
		res.StatusCode == http.StatusNoContent, res.StatusCode == http.StatusNotModified,
		res.Body == nil, res.Body == http.NoBody, res.ContentLength == 0:
		return false
	}
	return true
}

// transformResponse edits the answer and makes its headers say what is true of
// the edited one.
func (x *exchange) transformResponse(res *http.Response) {
	side, h := &x.response, res.Header
	if side.body.stream == nil {
		h.Del("Incremental") // the answer was read whole
	}
	maskHeaders(side, h)
	x.h.ch.RewriteHeaders(h, x.h.Upstream, x.public)
	exposeOurs(h)
	if x.session {
		keepPrivate(h)
	}
	if n := x.spend.concealHeaders(h); n > 0 {
		countFor(&side.counts, string(redact.PaymentReference)).Tokenized += n
	}
	res.Trailer = nil

	b := &side.body
	if b.stream != nil {
		x.rewriteURLs(side)
		b.stream.transform()
		x.releaseStream(res)
		return
	}
	if b.unread != "" {
		res.Body = b.passing()
		return
	}
	tagETag(h, x.tagSuffix)
	if h.Get("Accept-Ranges") != "" {
		h.Set("Accept-Ranges", "none")
	}
	if !b.present {
		// Whatever an upstream sends where no content may be goes nowhere.
		_ = res.Body.Close()
		res.Body = http.NoBody
		if res.Request.Method == http.MethodHead {
			// What GET would announce after masking is not known here.
			h.Del("Content-Length")
			dropDigests(h)
		}
		return
	}
	_ = res.Body.Close() // read to its end already
	x.rewriteURLs(side)
	out, repeated := x.spend.conceal(b.doc.Rewrite(side.bodyAction, side.allEdits()...))
	if repeated > 0 {
		countFor(&side.counts, string(redact.PaymentReference)).Tokenized += repeated
	}
	if same(out, b.plain) && !b.veiled {
		out = b.wire
	} else {
		h.Del("Content-Encoding")
		dropDigests(h)
	}
	addVary(h, "Accept-Encoding")
	res.Body = io.NopCloser(bytes.NewReader(out))
	res.ContentLength = int64(len(out))
	res.TransferEncoding = nil
	res.Uncompressed = false
	h.Set("Content-Length", strconv.Itoa(len(out)))
}

func addVary(h http.Header, name string) {
	for _, v := range h.Values("Vary") {
		if v == "*" || strings.Contains(strings.ToLower(v), strings.ToLower(name)) {
			return
		}
	}
	h.Add("Vary", name)
}

// quietContext hides reverse_proxy's trace from net/http. The trace forwards
// informational answers (1xx) with their headers at once, before anything could
// be decided or recorded about them.
type quietContext struct{ context.Context }

func (c quietContext) Value(key any) any {
	v := c.Context.Value(key)
	if _, is := v.(*httptrace.ClientTrace); is {
		return nil
	}
	return v
}

// UnmarshalCaddyfile reads the options of Caddy's HTTP transport.
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return t.HTTPTransport.UnmarshalCaddyfile(d)
}

var (
	_ caddy.Provisioner     = (*Transport)(nil)
	_ caddy.Validator       = (*Transport)(nil)
	_ caddyfile.Unmarshaler = (*Transport)(nil)
	_ http.RoundTripper     = (*Transport)(nil)
)
