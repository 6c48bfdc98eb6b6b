package proxy

import (
	"bytes"
	"net"
	"net/http"
	"sync"
)

// maxTogether is how much of an answer is kept until its end, in bytes: more than most
// answers of helpdesks have.
const maxTogether = 16 << 10

// together keeps the begin of an answer that is held in memory until its end is there,
// so that both leave at once. Go's server writes whenever its buffer of 4 KiB is full,
// and each write costs a system call here and the caller another.
//
// What is kept is never more than an exchange has written: the handler that began
// keeping lets everything go before it returns. Its methods may be called from several
// goroutines.
type together struct {
	mu    sync.Mutex
	keeps bool          // guarded by mu, like what follows
	kept  *bytes.Buffer // nil when there is nothing
}

// togetherBuffers are reused: a connection has none while it rests.
var togetherBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keep begins to keep what is written.
func (t *together) keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keeps = true
}

// has tells whether something is kept.
func (t *together) has() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept != nil
}

// take keeps p when it should and can.
func (t *together) take(p []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.keeps {
		return false
	}
	if t.kept == nil {
		if len(p) > maxTogether {
			return false
		}
		t.kept = togetherBuffers.Get().(*bytes.Buffer)
	}
	if t.kept.Len()+len(p) > maxTogether {
		return false
	}
	t.kept.Write(p)
	return true
}

// letGo writes what was kept, and then p, to a connection, and keeps nothing from then
// on. The number is that of p's bytes. A connection on which a kept part was not
// written whole is closed: nothing may follow on it.
func (t *together) letGo(to net.Conn, p []byte) (int, error) {
	t.mu.Lock()
	kept := t.kept
	t.keeps, t.kept = false, nil
	t.mu.Unlock()
	if kept != nil {
		_, err := to.Write(kept.Bytes())
		kept.Reset()
		togetherBuffers.Put(kept)
		if err != nil {
			_ = to.Close()
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	return to.Write(p)
}

// keepTogether has the answer to this exchange leave in one piece, where its caller's
// connection can do that. HTTP/2 and HTTP/3 have many answers on one connection.
func (x *exchange) keepTogether(r *http.Request) {
	if !x.http1 {
		return
	}
	if c, ok := r.Context().Value(callerKey{}).(*refusingConn); ok {
		c.keep()
		x.caller = c
	}
}

// letGo ends what keepTogether began.
func (x *exchange) letGo(w http.ResponseWriter) {
	if x.caller == nil {
		return
	}
	if x.caller.has() {
		// What the server still has in its buffer belongs to it.
		_ = http.NewResponseController(w).Flush()
	}
	x.caller.letAllGo()
	x.caller = nil
}
