package proxy_test

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"compress/zlib"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// codings of streams, by the name that Content-Encoding has.
func codings(t *testing.T) map[string]func(string) string {
	return map[string]func(string) string{
		"gzip": func(s string) string { return zip(t, s) },
		"br": func(s string) string {
			return through(t, s, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
		},
		"zstd": func(s string) string {
			return through(t, s, func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
		},
		"deflate": func(s string) string {
			return through(t, s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
		},
	}
}

// noise makes lines that no coding makes much shorter, so that a stream of them
// has many windows on the wire as well.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		b.WriteString("{\"body\":\"")
		for range 60 {
			b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ  .,"[r.IntN(56)])
		}
		b.WriteString("\"}\n")
	}
	return b.String()
}

// Each coding, in both directions, decoded as it comes.
func TestCodingsOfStreams(t *testing.T) {
	sent := noise(3000) + cardLine + noise(3000)
	masked := strings.Replace(sent, cardLine, maskedLine, 1)
	var coding, respond string
	url, got := sink(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.Header().Set("Content-Encoding", coding)
		for rest := respond; rest != ""; {
			n := min(len(rest), 9999)
			_, _ = io.WriteString(w, rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
		}
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: url})
	for name, encode := range codings(t) {
		coding, respond = name, encode(sent)
		a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: respond, header: http.Header{"Content-Type": ndjsonType["Content-Type"], "Content-Encoding": {name}}})
		if s := got(); s.err != nil || s.body != masked || s.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: the upstream got %d bytes in %q, %v; want %d", name, len(s.body), s.header.Get("Content-Encoding"), s.err, len(masked))
		}
		if a.status != 200 || a.body != masked || a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: got %d, %d bytes in %q; want %d", name, a.status, len(a.body), a.header.Get("Content-Encoding"), len(masked))
		}
	}
}

// A bomb behind honest lines: the stream is cut, in both directions, and never ends
// cleanly.
func TestBombsInMidStream(t *testing.T) {
	honest := noise(3000)
	bomb := honest + strings.Repeat("{\"a\":\"00000000000000000000000000000000000000000000\"}\n", 2<<20)
	for name, encode := range codings(t) {
		if testing.Short() && name != "gzip" && name != "zstd" {
			continue // making bombs takes most of the time
		}
		t.Run(name, func(t *testing.T) {
			coded := encode(bomb)
			var respond atomic.Value // set while the upstream may still answer the first call
			respond.Store("")
			url, got := sink(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-ndjson")
				body := respond.Load().(string)
				if body != "" {
					w.Header().Set("Content-Encoding", name)
				}
				_, _ = io.WriteString(w, body)
			})
			g := proxytest.Start(t, proxytest.Options{Upstream: url})
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: coded, header: http.Header{"Content-Type": ndjsonType["Content-Type"], "Content-Encoding": {name}}})
			if a.status != 413 || a.problem.Reason != "expansion_limit" || !a.problem.Forwarded {
				t.Errorf("request: got %d %+v", a.status, a.problem)
			}
			closed := ended(t, g, a.problem.Receipt, "request.closed")
			if closed.Reason != "expansion_limit" || closed.Outcome != "cut" || closed.Attrs["end"] != "refused" {
				t.Errorf("request: closed with %+v", closed)
			}
			if s := got(); s.err == nil || len(s.body) > len(bomb)/2 || !strings.HasPrefix(bomb, s.body) {
				t.Errorf("the upstream got %d bytes, %v", len(s.body), s.err)
			}
			respond.Store(coded)
			res, body, err := stream(t, g, "GET", "/api/v2/tickets/1", nil)
			if err == nil || len(body) > len(bomb)/2 || !strings.HasPrefix(bomb, body) {
				t.Errorf("answer: got %d bytes, %v", len(body), err)
			}
			if closed := ended(t, g, res.Header.Get("Caregate-Receipt"), "response.closed"); closed.Reason != "expansion_limit" || closed.Outcome != "cut" {
				t.Errorf("answer: closed with %+v", closed)
			}
		})
	}
}

// What lines name and hold is indexed and withheld as in a body that is read whole.
func TestPeopleAndWritesInStreams(t *testing.T) {
	line := func(i int, subject string) string {
		return fmt.Sprintf("{\"ticket\":{\"id\":%d,\"requester_id\":%d,%s\"status\":\"open\"}}\n", i, 1000+i%2, subject)
	}
	var sent, want strings.Builder
	for i := range 4000 {
		subject, left := "\"subject\":\"where is my parcel\",", ""
		if left = subject; i == 3000 { // far behind the first window
			subject, left = "\"subject\":\"card XXXX XXXX XXXX 1111\",", ""
		}
		sent.WriteString(line(i, subject))
		want.WriteString(line(i, left))
	}
	url, got := sink(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, sent.String())
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: url})
	a := do(t, g, call{method: "PUT", path: "/api/v2/tickets/7", body: sent.String(), header: ndjsonType})
	if a.status != 200 || a.body != sent.String() {
		t.Errorf("got %d, %d bytes, want %d", a.status, len(a.body), sent.Len())
	}
	if s := got(); s.err != nil || s.body != want.String() {
		t.Errorf("the upstream got %d bytes, %v; want %d, without the masked subject", len(s.body), s.err, want.Len())
	}
	ended(t, g, a.header.Get("Caregate-Receipt"), "response.closed")
	removed, subjects, records := "", 0, 0
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		removed += e.Attrs["masked_writes_removed"]
		if strings.HasPrefix(e.Type, "response.") {
			subjects, records = max(subjects, e.Subjects), records+e.Records
		}
	}
	if subjects != 2 || records != 4000 || removed != "1" {
		t.Errorf("the log names %d people and %d records, and has %q writes removed; want 2, 4000 and 1", subjects, records, removed)
	}
}

// An upstream that answers while the request is still coming: its answer arrives
// whole and at once, the rest of the request goes nowhere, and the log says that it
// was left.
func TestEarlyAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
		want   string
	}{
		"refused": {jsonUpstream(413, `{"error":"enough, card 4111 1111 1111 1111"}`), 413, `{"error":"enough, card XXXX XXXX XXXX 1111"}`},
		"streamed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-ndjson")
			_, _ = io.WriteString(w, fill+cardLine)
		}, 200, fill + maskedLine},
	} {
		t.Run(name, func(t *testing.T) {
			u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				_, _ = bufio.NewReader(r.Body).ReadString('\n')
				test.answer(w, r)
			}))
			defer u.Close()
			g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
			c := dial(t, g)
			_ = c.SetDeadline(time.Now().Add(proxy.LingerTime() / 2)) // less than anybody would linger
			_, _ = fmt.Fprintf(c, "POST /api/v2/tickets HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", g.Addr, basicAuth, len(fill), fill)
			res, body := c.answer(t)
			if res.StatusCode != test.status || body != test.want || !res.Close {
				t.Errorf("got %d, %d bytes, closes: %v", res.StatusCode, len(body), res.Close)
			}
			_, _ = fmt.Fprintf(c, "%x\r\n%s\r\n%s", len(fill), fill, smuggled(g))
			_ = c.Close()
			closed := ended(t, g, res.Header.Get("Caregate-Receipt"), "request.closed")
			if closed.Outcome != "cut" || closed.Attrs["end"] == "complete" {
				t.Errorf("closed with %+v", closed)
			}
		})
	}
}

// An upstream over HTTP/2 resets the stream in the middle: the caller sees a cut.
func TestUpstreamResets(t *testing.T) {
	u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("got HTTP/%d", r.ProtoMajor)
		}
		if r.Method == http.MethodPost {
			_, _ = r.Body.Read(make([]byte, 100))
			panic(http.ErrAbortHandler) // RST_STREAM
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, fill)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	u.EnableHTTP2 = true
	u.StartTLS()
	defer u.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: u.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "trust_pool file " + ca})
	res, body, err := stream(t, g, "GET", "/api/v2/tickets/1", nil)
	if err == nil || !strings.HasPrefix(fill, body) {
		t.Errorf("answer: got %d bytes, %v", len(body), err)
	}
	if closed := ended(t, g, res.Header.Get("Caregate-Receipt"), "response.closed"); closed.Reason != "upstream_aborted" || closed.Attrs["end"] != "upstream_aborted" {
		t.Errorf("answer: closed with %+v", closed)
	}
	coming, feed := io.Pipe() // which nobody ends
	go func() { _, _ = io.WriteString(feed, fill) }()
	defer feed.Close()
	req := request(t, g, call{method: "POST", path: "/api/v2/tickets", header: ndjsonType})
	req.Body, req.ContentLength, req.GetBody = coming, -1, nil
	a := send(t, req)
	if a.status != 502 || !a.problem.Forwarded {
		t.Errorf("request: got %d %+v", a.status, a.problem)
	}
	if closed := ended(t, g, a.problem.Receipt, "request.closed"); closed.Outcome != "cut" {
		t.Errorf("request: closed with %+v", closed)
	}
}

// An event of a live event stream arrives before the next one is sent, masked
// where something was found.
func TestLiveEvents(t *testing.T) {
	next := make(chan string)
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for e := range next {
			_, _ = io.WriteString(w, e)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer u.Close()
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	res, r := open(t, g)
	if media := res.Header.Get("Content-Type"); media != "text/event-stream" {
		t.Errorf("got %s", media)
	}
	for _, test := range []struct{ sent, want string }{
		{"data: hello\n\n", "data: hello\n\n"},
		{": still here\n\n", ": still here\n\n"},
		{"id: 7\nevent: message\ndata: card 4111 1111\ndata: 1111 1111\n\n", "id: 7\nevent: message\ndata: card XXXX XXXX\ndata: XXXX 1111\n\n"},
		{"data: {\"text\":\"4111111111111111\"}\r\n\r\n", "data: {\"text\":\"XXXXXXXXXXXX1111\"}\r\n\r\n"},
	} {
		next <- test.sent // a gateway that waited for another would keep the test for ever
		got := make([]byte, len(test.want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != test.want {
			t.Fatalf("got %q, %v; want %q", got, err, test.want)
		}
	}
	close(next)
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("the end: got %q, %v", rest, err)
	}
	if closed := ended(t, g, res.Header.Get("Caregate-Receipt"), "response.closed"); closed.Attrs["end"] != "complete" || closed.Attrs["findings"] != "2 credit_card masked" {
		t.Errorf("closed with %+v", closed)
	}
}
