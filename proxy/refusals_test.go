package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// raw sends bytes over a connection of their own and returns all that comes back.
// done says that the caller sends no more.
func raw(t *testing.T, addr, bytes string, done bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	_, _ = io.WriteString(conn, bytes) // the answer may come before all is sent
	if done {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// parsed takes the answers on a connection apart.
func parsed(t *testing.T, all string) (out []answer) {
	t.Helper()
	in := bufio.NewReader(strings.NewReader(all))
	for {
		if _, err := in.Peek(1); err != nil {
			return out
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", len(out)+1, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatalf("answer %d: %v", len(out)+1, err)
		}
		if res.Close {
			res.Header.Set("Connection", "close") // which ReadResponse takes out
		}
		a := answer{status: res.StatusCode, header: res.Header, body: string(body)}
		_ = json.Unmarshal(body, &a.problem)
		out = append(out, a)
	}
}

// Requests that Go's server refuses before any handler runs get an answer of ours and
// stand in the log.
func TestServerRefusalsAreRecorded(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	post := "POST /api/v2/tickets HTTP/1.1\r\nHost: desk.example\r\nContent-Type: application/json\r\n"
	for name, test := range map[string]struct {
		sent   string
		status int
		reason string
	}{
		"two lengths":             {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400, "request_malformed"},
		"length with a sign":      {post + "Content-Length: +2\r\n\r\n{}", 400, "request_malformed"},
		"list of lengths":         {post + "Content-Length: 2, 3\r\n\r\n{}", 400, "request_malformed"},
		"hexadecimal length":      {post + "Content-Length: 0x2\r\n\r\n{}", 400, "request_malformed"},
		"unknown transfer coding": {post + "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 501, "transfer_coding_unsupported"},
		"two transfer codings":    {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 501, "transfer_coding_unsupported"},
		"two hosts":               {post + "Host: other.example\r\nContent-Length: 2\r\n\r\n{}", 400, "request_malformed"},
		"no host":                 {"GET / HTTP/1.1\r\n\r\n", 400, "request_malformed"},
		"host that is none":       {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "request_malformed"},
		"blank before colon":      {post + "X-Note : x\r\nContent-Length: 2\r\n\r\n{}", 400, "request_malformed"},
		"name with NUL":           {post + "X-\x00: x\r\nContent-Length: 2\r\n\r\n{}", 400, "request_malformed"},
		"name not in ASCII":       {post + "X-Tür: x\r\nContent-Length: 2\r\n\r\n{}", 400, "request_malformed"},
		"value with NUL":          {post + "X-Note: a\x00b\r\nContent-Length: 2\r\n\r\n{}", 400, "request_malformed"},
		"no version":              {"GET /api/v2/tickets\r\n\r\n", 400, "request_malformed"},
		"blank behind version":    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "request_malformed"},
		"other version":           {"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505, "version_unsupported"},
		"other expectation":       {post + "Expect: a-miracle\r\nContent-Length: 2\r\n\r\n{}", 417, "expectation_unsupported"},
		"header of 2 MiB":         {post + "X-Note: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", 431, "headers_too_large"},
		"a megabyte follows":      {post + "Content-Length: 1\r\nContent-Length: 1048576\r\n\r\n" + strings.Repeat("x", 1<<20), 400, "request_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(u.Requests())
			answers := parsed(t, raw(t, g.Addr, test.sent, false))
			if len(answers) != 1 {
				t.Fatalf("got %d answers, want 1", len(answers))
			}
			a := answers[0]
			if a.status != test.status || a.problem.Status != test.status || a.problem.Reason != test.reason || a.problem.Forwarded {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("media type: got %q", ct)
			}
			if a.header.Get("Caregate-Error") != test.reason || a.header.Get("Connection") != "close" {
				t.Errorf("header: got %v", a.header)
			}
			if len(u.Requests()) != before {
				t.Error("something was forwarded")
			}
			e := g.Event(a.problem.Receipt)
			// The callers of these are one to the log, which counts many in a second together.
			if e.Type != "exchange.refused" && e.Type != "denials.counted" || e.Decision != "deny" || e.Reason != test.reason || e.Forwarded || e.Status != test.status {
				t.Errorf("event: got %+v", e)
			}
		})
	}
}

// What the wrapper must leave alone.
func TestServerRefusalsOnly(t *testing.T) {
	// An upstream says what Go's server would say, as an answer and within one.
	bare := "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	large := strings.Repeat(bare+"\n", 4000)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if strings.HasPrefix(r.URL.Path, "/api/v2/large") {
			_, _ = io.WriteString(w, large)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "400 Bad Request")
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	if a := do(t, g, call{method: "GET", path: "/api/v2/small"}); a.status != 400 || a.body != "400 Bad Request" || a.header.Get("Caregate-Error") != "" {
		t.Errorf("an upstream's own 400: got %d %s", a.status, a.body)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/large"}); a.status != 200 || a.body != large {
		t.Errorf("a body that looks like refusals: got %d and %d bytes, want %d", a.status, len(a.body), len(large))
	}

	// A request behind one that was served is refused by itself.
	get := "GET /api/v2/small HTTP/1.1\r\nHost: " + g.Addr + "\r\nAuthorization: " + basicAuth + "\r\n\r\n"
	answers := parsed(t, raw(t, g.Addr, get+"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"+get, false))
	if len(answers) != 2 {
		t.Fatalf("got %d answers, want 2", len(answers))
	}
	if answers[0].problem.Reason != "" || answers[0].header.Get("Caregate-Receipt") == "" {
		t.Errorf("the request before: got %+v", answers[0])
	}
	if answers[1].problem.Reason != "request_malformed" {
		t.Errorf("the broken one: got %+v", answers[1])
	}

	// Who says nothing gets nothing.
	if got := raw(t, g.Addr, "", true); got != "" {
		t.Errorf("an empty connection: got %q", got)
	}
}

// Over TLS it is the same, and HTTP/2 is spoken as ever.
func TestServerRefusalsOverTLS(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	cert, key, roots := selfSigned(t)
	addr := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL,
		Sites: "https://" + addr + " {\n bind 127.0.0.1\n tls " + cert + " " + key + "\n govern zendesk " + u.URL + "\n}\n"})
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	two := &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}
	defer two.CloseIdleConnections()
	one := &http.Transport{TLSClientConfig: trust.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	defer one.CloseIdleConnections()
	for major, transport := range map[int]http.RoundTripper{1: one, 2: two} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/api/v2/tickets/1", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", basicAuth)
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 || res.ProtoMajor != major {
			t.Errorf("HTTP/%d: got %d over HTTP/%d", major, res.StatusCode, res.ProtoMajor)
		}
	}

	conn, err := tls.Dial("tcp", addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	_, _ = io.WriteString(conn, "GET /api/v2/tickets/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	answers := parsed(t, string(all))
	if len(answers) != 1 || answers[0].status != 400 || answers[0].problem.Reason != "request_malformed" {
		t.Fatalf("got %q", all)
	}
	if e := g.Event(answers[0].problem.Receipt); e.Type != "exchange.refused" || e.Reason != "request_malformed" || e.Forwarded {
		t.Errorf("event: got %+v", e)
	}

	// Who speaks no TLS made no request.
	if got := raw(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false); !strings.HasPrefix(got, "HTTP/1.0 400 ") || !strings.Contains(got, "HTTPS") {
		t.Errorf("in clear: got %q", got)
	}
	if got := raw(t, addr, "hello there, whoever you are", true); strings.Contains(got, "HTTP") {
		t.Errorf("noise: got %q", got)
	}
	var found struct{ Events []console.Event }
	g.Verify()
	g.API("POST", "/api/v1/events/search", `{"type":"exchange.refused"}`, http.StatusOK, &found)
	if len(found.Events) != 1 {
		t.Errorf("events: got %+v", found.Events)
	}
}

// A flood of broken requests slows down and is counted, as other denials are.
func TestServerRefusalsAreCounted(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	const callers = 40
	receipts := make(chan string, callers)
	for range callers {
		go func() {
			conn, err := net.Dial("tcp", g.Addr)
			if err != nil {
				receipts <- err.Error()
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
			all, _ := io.ReadAll(conn)
			var p struct{ Receipt string }
			_, body, _ := bytes.Cut(all, []byte("\r\n\r\n"))
			_ = json.Unmarshal(body, &p)
			receipts <- p.Receipt
		}()
	}
	denials := 0
	seen := make(map[string]bool)
	for range callers {
		r := <-receipts
		if len(r) != 32 {
			t.Fatalf("a receipt: got %q", r)
		}
		if seen[r] {
			continue
		}
		seen[r] = true
		switch e := g.Event(r); e.Type {
		case "exchange.refused":
			denials++
		case "denials.counted":
		default:
			t.Errorf("event: got %+v", e)
		}
	}
	if denials == 0 {
		t.Error("no denial stands for itself")
	}
}

// A route of Caddy's own beside a governed one may hand its connection over to another
// protocol, which has lines and bytes as it likes.
func TestOtherProtocolsPass(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, rw)
	})
	addr := proxytest.FreeAddr(t)
	cert, key, roots := selfSigned(t)
	site := "handle /echo {\n reverse_proxy " + u.URL + "\n}\n"
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Site: site,
		Sites: "https://" + addr + " {\n bind 127.0.0.1\n tls " + cert + " " + key + "\n " + site + "govern zendesk " + u.URL + " {\n  route secret\n }\n}\n"})
	for name, dial := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return net.Dial("tcp", g.Addr) },
		"tls": func() (net.Conn, error) {
			return tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
			if _, err := io.WriteString(conn, "GET /echo HTTP/1.1\r\nHost: "+conn.RemoteAddr().String()+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("got %v, %v", res, err)
			}
			for _, sent := range []string{"hello", "he\nllo", "he\rllo", "A B\r\n\r\nmore", "\x81\x85\n\r\n\r\x00", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"} {
				if _, err := io.WriteString(conn, sent); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(in, got); err != nil || string(got) != sent {
					t.Fatalf("got %q, %v, want %q", got, err, sent)
				}
			}
		})
	}
}
