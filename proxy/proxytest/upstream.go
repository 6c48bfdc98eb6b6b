package proxytest

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Request is what an Upstream was sent.
type Request struct {
	Method, Target string
	Header         http.Header
	Trailer        http.Header
	Body           []byte
	Length         int64
}

// Upstream is a vendor that records every request and answers as it is told.
type Upstream struct {
	*httptest.Server
	mu       sync.Mutex
	requests []Request
}

// NewUpstream starts an upstream. The body is read and recorded before handle
// runs; a nil handle answers 200 with an empty JSON object.
func NewUpstream(tb testing.TB, handle http.HandlerFunc) *Upstream {
	tb.Helper()
	return newUpstream(tb, handle, httptest.NewServer)
}

// NewTLSUpstream is NewUpstream over TLS, with a certificate that nobody knows,
// and returns the file of its authority for `trust_pool file`.
func NewTLSUpstream(tb testing.TB, handle http.HandlerFunc) (u *Upstream, authority string) {
	tb.Helper()
	u = newUpstream(tb, handle, httptest.NewTLSServer)
	authority = filepath.Join(tb.TempDir(), "authority.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: u.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		tb.Fatal(err)
	}
	return u, authority
}

func newUpstream(tb testing.TB, handle http.HandlerFunc, start func(http.Handler) *httptest.Server) *Upstream {
	tb.Helper()
	u := &Upstream{}
	u.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a broken body is recorded as far as it came
		u.mu.Lock()
		u.requests = append(u.requests, Request{Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone(), Trailer: r.Trailer.Clone(), Body: body, Length: r.ContentLength})
		u.mu.Unlock()
		if handle == nil {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
			return
		}
		handle(w, r)
	}))
	tb.Cleanup(u.Server.Close)
	return u
}

// Requests returns what came so far.
func (u *Upstream) Requests() []Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Request(nil), u.requests...)
}

// Last returns the newest request; it fails the test when there is none.
func (u *Upstream) Last(tb testing.TB) Request {
	tb.Helper()
	all := u.Requests()
	if len(all) == 0 {
		tb.Fatal("nothing reached the upstream")
	}
	return all[len(all)-1]
}
