package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caregate/caregate/proxy/proxytest"
)

func init() { caddy.RegisterModule(writesWatched{}) }

// writesWatched is a listener wrapper that counts writes to callers.
type writesWatched struct{}

// writesSeen is their number: gateways of this package's tests run one after the other.
var writesSeen atomic.Int64

func (writesWatched) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.test_writes", New: func() caddy.Module { return new(writesWatched) }}
}

func (*writesWatched) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*writesWatched) WrapListener(l net.Listener) net.Listener { return writesListener{l} }

type writesListener struct{ net.Listener }

func (l writesListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return writesConn{c}, err
}

type writesConn struct{ net.Conn }

func (c writesConn) Write(p []byte) (int, error) {
	writesSeen.Add(1)
	return c.Conn.Write(p)
}

// Answers of all lengths arrive whole, one after the other on one connection, with
// nothing left behind for the next. Those that fit into 16 KiB with their header are written at once.
func TestAnswersLeaveTogether(t *testing.T) {
	body := func(n int) string { return `{"text":"` + strings.Repeat("a", n-len(`{"text":""}`)) + `"}` }
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body(n))
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Global: "servers {\n listener_wrappers {\n  test_writes\n }\n}\n"})
	conn, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	for i, n := range []int{100, 3500, 4096, 5000, 0, 4300, 12 << 10, 16 << 10, 17 << 10, 40 << 10, 1 << 20, 4500, 20} {
		path := "/api/v2/tickets.json"
		if n > 0 {
			path += "?page=" + strconv.Itoa(n)
		}
		before := writesSeen.Load()
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+g.Addr+"\r\nAuthorization: "+basicAuth+"\r\n\r\n"); err != nil {
			t.Fatalf("answer %d of %d bytes: %v", i, n, err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("answer %d of %d bytes: %v", i, n, err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		want := ""
		if n > 0 {
			want = body(n)
		}
		if err != nil || string(got) != want || res.Header.Get("Caregate-Receipt") == "" {
			t.Errorf("answer %d: got %d, %d bytes, %v, want %d bytes", i, res.StatusCode, len(got), err, n)
		}
		if writes := writesSeen.Load() - before; n <= 12<<10 && writes != 1 {
			t.Errorf("answer %d of %d bytes: %d writes, want 1", i, n, writes)
		}
		if answers.Buffered() > 0 {
			t.Errorf("answer %d of %d bytes has %d bytes behind it", i, n, answers.Buffered())
		}
	}
}
