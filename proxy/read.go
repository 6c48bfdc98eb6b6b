package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caregate/caregate/redact/walk"
)

// reading is one body as it was read.
type reading struct {
	// present is false for messages without content.
	present bool
	// wire is what came, in coding; plain is what it says.
	wire, plain []byte
	coding      string
	// veiled says that plain is not what wire says: a secret of ours was hidden.
	veiled bool
	kind   walk.Kind
	// boundary is the one that the type of a multipart body names.
	boundary string
	// unread, when set, says why nobody looked at the body; it passes as it came.
	unread string
	// rest is what of an unread body has not been taken from the wire.
	rest io.ReadCloser
	// stream, when set, is the body judged as it passes; doc is of its first window.
	stream *stream
	// partly, when set, says why parts of a body that was read pass unread.
	partly string

	// doc is how the body was read: own, unless it was read once more as something else.
	doc  *walk.Doc
	own  walk.Doc
	used bool // own is
}

// Reasons why a body passes unread, as they stand in metrics and log.
const (
	unreadType    = "type"    // a media type without a walker, on a route with uninspected pass
	unreadAuth    = "auth"    // an operation that carries credentials, in a type without a walker
	unreadObserve = "observe" // a route that observes lets pass what it would refuse
)

// readRequest reads the whole body within the limits, and undoes its coding. It
// leaves r without a body; transformRequest puts one back.
func (x *exchange) readRequest(w http.ResponseWriter, r *http.Request) *refusal {
	b := &x.request.body
	if !hasBody(r) {
		return nil
	}
	if guess := unlikelyBody(r); guess || r.ContentLength < 0 && r.Header.Get("Content-Type") == "" {
		if x.peek(w, r) {
			return nil
		}
		if guess && caddyhttp.IsIncremental(r.Header) && !streamed(r.Header) {
			if ref := x.stop(&x.request, refuse(reasonIncremental)); ref != nil {
				return ref
			}
		}
	}
	b.present = true
	// We answered a 100-continue by reading, or never; the upstream is not asked.
	defer r.Header.Del("Expect")
	kind, coding, ref := x.bodyKind(r.Header)
	if ref != nil {
		return x.leaveUnread(&x.request, b, r.Body, ref)
	}
	b.kind, b.coding, b.boundary = kind, coding, boundaryOf(kind, r.Header)

	incremental := caddyhttp.IsIncremental(r.Header)
	streams := x.hook == nil && x.streams(kind, r.ContentLength, incremental)
	waits := streams && x.mayWait(r)
	switch {
	case incremental && (x.hook != nil || waits):
		// A signature covers the whole body, and may have to be made anew; so does what
		// others agree to.
		if ref := x.stop(&x.request, refuse(reasonIncremental)); ref != nil {
			return ref
		}
	case streams && !waits:
		return x.streamRequest(w, r, incremental)
	}
	// The deadline is for the whole body: a byte a second keeps nothing open.
	rc := http.NewResponseController(w)
	limit := time.Duration(x.h.Limits.ReadTimeout)
	deadline := time.Now().Add(limit)
	_ = rc.SetReadDeadline(deadline) // not every writer below supports it; the clock in readAll is the second guard
	x.wire = bodyBegun
	b.wire, ref = readAll(r.Body, r.ContentLength, x.h.Limits.Body, deadline)
	_ = rc.SetReadDeadline(time.Time{})
	r.Trailer = nil // trailers are data nobody decided about
	if ref != nil {
		return x.leaveUnread(&x.request, b, r.Body, ref)
	}
	x.wire = bodyWhole
	if len(b.wire) == 0 {
		b.present = false
		return nil
	}
	if b.plain, ref = decode(b.coding, b.wire, x.h.Limits.Body, int64(x.h.Limits.Ratio)); ref != nil {
		return x.leaveUnread(&x.request, b, nil, ref)
	}
	return nil
}

// peek looks for the first byte of a body of unknown length, and makes r a request
// without a body when there is none. A byte that is there stays in front of the rest.
func (x *exchange) peek(w http.ResponseWriter, r *http.Request) (none bool) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(time.Duration(x.h.Limits.ReadTimeout)))
	var first [1]byte
	n, err := io.ReadFull(r.Body, first[:])
	_ = rc.SetReadDeadline(time.Time{})
	if n == 0 && err == io.EOF {
		x.wire = bodyWhole
		r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
		return true
	}
	x.wire = bodyBegun
	r.Body = (&reading{wire: first[:n], rest: r.Body}).passing()
	return false
}

// leaveUnread decides about a body that cannot be read: it passes on routes and
// operations that say so, and is refused otherwise.
func (x *exchange) leaveUnread(side *half, b *reading, rest io.ReadCloser, ref *refusal) *refusal {
	switch {
	case x.observe() && !unobservable(ref.code):
		side.would, b.unread = ref.code, unreadObserve
	case ref.code == reasonType && x.match.Op.Mark == markAuth:
		b.unread = unreadAuth
	case ref.code == reasonType && x.h.Uninspected == "pass":
		b.unread = unreadType
	default:
		return ref
	}
	b.plain, b.rest = nil, rest
	return nil
}

// bodyKind reads the headers that say how a body is to be understood.
func (x *exchange) bodyKind(h http.Header) (walk.Kind, string, *refusal) {
	types := h.Values("Content-Type")
	if len(types) > 1 {
		return 0, "", refuse(reasonHeader)
	}
	coding, ref := contentCoding(h.Values("Content-Encoding"))
	if ref != nil {
		return 0, "", ref
	}
	if len(types) == 0 {
		return 0, "", refuse(reasonType)
	}
	if types[0] == "application/json" { // nearly always
		return walk.JSON, coding, nil
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil && charsets(types[0]) > 1 {
		return 0, "", refuse(reasonCharset)
	}
	if err != nil {
		return 0, "", refuseErr(reasonType, err)
	}
	kind, ok := kindOf(media)
	if !ok {
		return 0, "", refuse(reasonType)
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return 0, "", refuse(reasonCharset)
	}
	if charsets(types[0]) > 1 {
		return 0, "", refuse(reasonCharset) // two that agree are two for somebody who appends
	}
	return kind, coding, nil
}

// charsets counts how often a media type names a charset. One within the quoted value
// of another parameter counts too: some readers see it.
func charsets(header string) (n int) {
	for param := range strings.SplitSeq(header, ";") {
		name, _, ok := strings.Cut(param, "=")
		if name, _, _ = strings.Cut(strings.TrimSpace(name), "*"); ok && strings.EqualFold(name, "charset") {
			n++
		}
	}
	return n
}

// kindOf maps a media type to its walker. text/plain is walked by what it holds:
// a JSON document sent as text is read as JSON by those who receive it.
func kindOf(media string) (walk.Kind, bool) { return walk.KindOf(media) }

// readAll takes a whole body. announced is its Content-Length or -1. On a
// refusal it returns what it has, so that an observing route can pass it on.
func readAll(r io.Reader, announced, max int64, deadline time.Time) ([]byte, *refusal) {
	if announced > max {
		return nil, refuse(reasonTooLarge)
	}
	// An announcement is a claim: a caller who sends nothing gets 64 KiB, not 10 MiB.
	size := int64(4 << 10)
	if announced > 0 {
		size = min(announced, 64<<10)
	}
	buf := make([]byte, 0, size+bytes.MinRead)
	for {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), 2*cap(buf))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > max {
			return buf, refuse(reasonTooLarge)
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, readRefusal(err)
		}
		if time.Now().After(deadline) {
			return buf, refuse(reasonReadTimeout)
		}
	}
}

func readRefusal(err error) *refusal {
	var nerr net.Error
	switch {
	case errors.As(err, &nerr) && nerr.Timeout():
		return refuseErr(reasonReadTimeout, err)
	case errors.Is(err, context.Canceled):
		return refuseErr(reasonClientGone, err)
	default:
		return refuseErr(reasonIncomplete, err)
	}
}

// passing is the body of an unread message: what was taken, then the rest.
func (b *reading) passing() io.ReadCloser {
	if b.rest == nil {
		return io.NopCloser(bytes.NewReader(b.wire))
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b.wire), b.rest), b.rest}
}
