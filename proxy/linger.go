package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// A refusal may be due while its caller is still sending over HTTP/1. Two things
// must not happen then. What is left of the body must not be taken for the next
// request: the connection closes behind the answer, whatever net/http thinks of
// it. And the close must not take the answer along: a connection that is closed
// while bytes arrive is reset, and the reset can overtake what was written, so that
// the caller never learns why it was refused. Therefore the answer goes out at once,
// and then what still arrives is read and thrown away until the caller has heard it
// and hung up, or the time for that is over (RFC 9112 section 9.6).

// bodyState is how far the body of a request was read.
type bodyState int

const (
	bodyUntouched bodyState = iota
	bodyBegun
	bodyWhole
)

// incoming is the body of a request as it was when the request came.
type incoming struct {
	body      io.Reader
	announced int64 // its length, -1 when unknown
	// unasked says that the caller waits to be asked for it (RFC 9110 section
	// 10.1.1), which reading would do.
	unasked bool
}

// Bounds of what a refused caller may go on sending.
const (
	// drainLimit and drainTimeout are for short bodies that nobody has looked at:
	// taking them saves the connection.
	drainLimit   = 256 << 10
	drainTimeout = 2 * time.Second
)

// lingerTime is for all others, after the answer. Whoever sends for longer may miss
// it.
var lingerTime = 10 * time.Second

// unfinished tells whether the caller of an HTTP/1 request may still be sending
// its body, so that the connection cannot serve another. refused says that the
// answer is ours: of a body that nobody looks at, an answer of the upstream's leaves
// the rest to net/http.
func (x *exchange) unfinished(w http.ResponseWriter, sent incoming, refused bool) bool {
	for _, s := range x.streaming {
		if s.caller != nil {
			return !s.whole.Load()
		}
	}
	switch {
	case !refused, sent.announced == 0, sent.body == nil, sent.body == http.NoBody, x.wire == bodyWhole:
		return false
	case x.wire == bodyBegun, sent.unasked, sent.announced < 0, sent.announced > drainLimit:
		return true
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(drainTimeout)) != nil {
		return true // without a deadline a slow caller would hold the answer up
	}
	if n, err := io.CopyN(io.Discard, sent.body, drainLimit+1); n != sent.announced || !errors.Is(err, io.EOF) {
		return true
	}
	_ = rc.SetReadDeadline(time.Time{})
	return false
}

// linger is called when the answer was written. The connection closes behind it,
// so the deadline stays: nothing may wait for the caller any longer.
func (x *exchange) linger(w http.ResponseWriter, sent incoming) {
	rc := http.NewResponseController(w)
	if rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return // the caller is gone
	}
	if sent.unasked && x.wire == bodyUntouched && x.lingering == nil {
		_ = rc.SetReadDeadline(time.Unix(1, 0))
		return // nothing is on its way
	}
	if x.lingering != nil {
		<-x.lingering.done
	}
	_, _ = io.Copy(io.Discard, sent.body)
}
