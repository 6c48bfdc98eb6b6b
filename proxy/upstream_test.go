package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy/proxytest"
)

// The upstream as the attacker, or simply broken: the answer names the phase,
// and nothing unread reaches the caller.
func TestHostileUpstreams(t *testing.T) {
	const card = "4111 1111 1111 1111"
	bomb := zip(t, `"`+strings.Repeat("0", 64<<20)+`"`)
	for name, test := range map[string]struct {
		handle         http.HandlerFunc
		status         int
		reason, cause  string
		upstreamStatus int
	}{
		"CAPTCHA": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			w.Header().Set("Cf-Mitigated", "challenge")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body><noscript>are you human? "+card+"</noscript></body></html>")
		}, 502, "upstream_challenge", "", 403},
		"CAPTCHA's picture": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/svg")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "are you human? "+card)
		}, 502, "response_withheld", "type_not_inspected", 403},
		"malformed":     {jsonUpstream(200, `{"a":"`+card), 502, "response_withheld", "json_syntax", 200},
		"duplicate key": {jsonUpstream(201, `{"id":1,"id":2}`), 502, "response_withheld", "json_duplicate_key", 201},
		"no type": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, card)
		}, 502, "response_withheld", "type_not_inspected", 200},
		"too large": {jsonUpstream(200, `"`+strings.Repeat("x", 2<<20)+`"`), 502, "response_withheld", "body_too_large", 200},
		"bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, bomb)
		}, 502, "response_withheld", "body_too_large", 200},
		"unasked part": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Range", "bytes 0-1/10")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "{}")
		}, 502, "response_withheld", "partial_unasked", 206},
		"hangs up in mid-body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"a":"`+card)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, 502, "upstream_aborted", "", 200},
		"hangs up at once": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "upstream_aborted", "", 0},
		"stops in mid-body": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"a":"`+card)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 504, "upstream_timeout", "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			u := proxytest.NewUpstream(t, test.handle)
			limits := "limits {\n body 1MiB\n }"
			if test.reason == "upstream_timeout" { // the others may pause for longer on a busy machine
				limits = "limits {\n read_timeout 1s\n }"
			}
			g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: limits})
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{}`})
			if a.status != test.status || a.problem.Reason != test.reason || a.problem.Cause != test.cause || !a.problem.Forwarded || a.problem.UpstreamStatus != test.upstreamStatus {
				t.Errorf("got %d %+v", a.status, a.problem)
			}
			if showsCard(a.body) {
				t.Errorf("unread bytes were released: %s", a.body)
			}
			if e := g.Event(a.problem.Receipt); e.Outcome != "not_released" || !e.Forwarded || e.Reason != test.reason {
				t.Errorf("event: %+v", e)
			}
		})
	}
}

func TestUpstreamOutOfReach(t *testing.T) {
	down := "http://" + proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: down})
	a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{}`})
	if a.status != 502 || a.problem.Reason != "upstream_unreachable" || a.problem.Forwarded {
		t.Errorf("down: got %d %+v", a.status, a.problem)
	}
	if err := g.Load(proxytest.Options{Upstream: rawUpstream(t, "SSH-2.0-OpenSSH_9.2 4111 1111 1111 1111\r\n\r\n")}); err != nil {
		t.Fatal(err)
	}
	a = do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{}`})
	if a.status != 502 || a.problem.Reason != "upstream_protocol" || showsCard(a.body) {
		t.Errorf("garbage: got %d %s", a.status, a.body)
	}
}

// An upstream that saw the whole call and answers what is no answer: never
// "unreachable", which would have a caller repeat a write.
func TestBrokenAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		answer, reason string
	}{
		"two lengths":                  {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "upstream_protocol"},
		"length that is no number":     {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: +2\r\n\r\n{}", "upstream_protocol"},
		"unknown transfer coding":      {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: xchunked\r\n\r\n{}", "upstream_protocol"},
		"status that is no number":     {"HTTP/1.1 XYZ OK\r\n\r\n", "upstream_protocol"},
		"another version":              {"HTTP/9.1.2 200 OK\r\n\r\n", "upstream_protocol"},
		"hangs up in the status line":  {"HTTP/1.1 20", "upstream_aborted"},
		"hangs up in a header's name":  {"HTTP/1.1 200 OK\r\nContent-Ty", "upstream_aborted"},
		"hangs up in a header's value": {"HTTP/1.1 200 OK\r\nContent-Type: appl", "upstream_aborted"},
		"hangs up between headers":     {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", "upstream_aborted"},
	} {
		t.Run(name, func(t *testing.T) {
			g := proxytest.Start(t, proxytest.Options{Upstream: rawUpstream(t, test.answer)})
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{}`})
			if a.status != 502 || a.problem.Reason != test.reason || !a.problem.Forwarded {
				t.Errorf("got %d %+v, want %s", a.status, a.problem, test.reason)
			}
			if e := g.Event(a.problem.Receipt); e.Reason != test.reason || !e.Forwarded {
				t.Errorf("event: %+v", e)
			}
		})
	}
}

// rawUpstream listens, takes one whole call after the other and gives each the bytes
// of answer, then hangs up.
func rawUpstream(t *testing.T, answer string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// Errors of the vendor are the vendor's: they pass with their status, inspected.
func TestUpstreamErrorsPass(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "93")
		w.Header().Set("X-Rate-Limit-Remaining", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":"TooManyRequests","description":"card 4111111111111111"}`)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
	if a.status != 429 || a.header.Get("Retry-After") != "93" || a.body != `{"error":"TooManyRequests","description":"card XXXXXXXXXXXX1111"}` {
		t.Errorf("got %d %v %s", a.status, a.header, a.body)
	}
}

func TestBodilessAnswers(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case r.Header.Get("If-None-Match") == `"v1"`:
			w.Header().Set("ETag", `"v1"`)
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Accept-Ranges", "bytes")
			w.Header().Set("Content-Length", "27")
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(w, `{"d":"card 4111111111111111"}`[:27])
			}
		}
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	if a := do(t, g, call{method: "DELETE", path: "/api/v2/tickets/1"}); a.status != 204 || a.body != "" || a.header.Get("Caregate-Receipt") == "" {
		t.Errorf("DELETE: got %d %v", a.status, a.header)
	}
	head := do(t, g, call{method: "HEAD", path: "/api/v2/tickets/1"})
	if head.status != 200 || head.header.Get("Content-Length") != "" || head.body != "" {
		t.Errorf("HEAD: got %d %v: the length before masking must not be announced", head.status, head.header)
	}
}

func TestValidators(t *testing.T) {
	var seen http.Header
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Accept-Ranges", "bytes")
		if strings.Contains(r.Header.Get("If-None-Match"), `"v1"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, `{"d":1}`)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	get := func(h http.Header) answer {
		return do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: h})
	}
	first := get(http.Header{"Range": {"bytes=0-3"}, "If-Range": {`"v1"`}, "If-Modified-Since": {"Sun, 22 Nov 2026 00:00:00 GMT"}})
	tag := first.header.Get("ETag")
	if first.status != 200 || !strings.HasPrefix(tag, `W/"v1-cg`) || first.header.Get("Accept-Ranges") != "none" {
		t.Fatalf("first: got %d %v", first.status, first.header)
	}
	for _, name := range []string{"Range", "If-Range", "If-Modified-Since"} {
		if seen.Get(name) != "" {
			t.Errorf("%s reached the upstream: a part, or an older copy, would come back", name)
		}
	}
	if a := get(http.Header{"If-None-Match": {tag}}); a.status != 304 || a.header.Get("ETag") != tag {
		t.Errorf("same tag: got %d %v", a.status, a.header)
	}
	// A copy that was masked under another policy, or not at all, is not vouched for.
	for name, other := range map[string]string{"another version": `W/"v1-cg00000000"`, "the vendor's own": `"v1"`} {
		if a := get(http.Header{"If-None-Match": {other}}); a.status != 200 {
			t.Errorf("%s: got %d, want 200", name, a.status)
		}
	}
	do(t, g, call{method: "PUT", path: "/api/v2/tickets/1", body: `{}`, header: http.Header{"If-Match": {tag}}})
	if got := seen.Get("If-Match"); got != `"v1"` {
		t.Errorf("If-Match towards the upstream: got %s", got)
	}
}

func TestContinueAndInformational(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</4111111111111111>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		jsonUpstream(200, `{"expect":"`+r.Header.Get("Expect")+`"}`)(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	conn, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	_, _ = io.WriteString(conn, "POST /api/v2/tickets HTTP/1.1\r\nHost: "+g.Addr+"\r\nAuthorization: "+basicAuth+"\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	first := make([]byte, 25)
	if _, err := io.ReadFull(conn, first); err != nil || string(first) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("got %q, %v", first, err)
	}
	_, _ = io.WriteString(conn, "{}")
	rest, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(rest), "HTTP/1.1 200 OK\r\n") || !strings.Contains(string(rest), `{"expect":""}`) || showsCard(string(rest)) {
		t.Errorf("got %s: early hints must not pass, and Expect is ours", rest)
	}
	// Refused from its headers: the body is never asked for.
	conn2, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn2.Close()
	_ = conn2.SetDeadline(time.Now().Add(5 * time.Minute))
	_, _ = io.WriteString(conn2, "POST /api/v2/tickets HTTP/1.1\r\nHost: "+g.Addr+"\r\nContent-Type: image/png\r\nContent-Length: 200000\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	rest, _ = io.ReadAll(conn2)
	if strings.Contains(string(rest), "100 Continue") || !strings.Contains(string(rest), "Caregate-Error") {
		t.Errorf("refused early: got %s", rest)
	}
}

func TestCORS(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if o := r.Header.Get("Origin"); o == "https://app.example.com" {
			w.Header().Set("Access-Control-Allow-Origin", o)
			w.Header().Set("Access-Control-Allow-Headers", "authorization")
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		jsonUpstream(200, "{}")(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	origin := func(o string) http.Header { return http.Header{"Origin": {o}, "Authorization": nil} }
	refused := do(t, g, call{method: "GET", path: "/api/v2/tickets", header: origin("https://app.example.com")})
	if refused.status != 401 || refused.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("before the upstream was asked: got %d %v: nothing may be granted by us", refused.status, refused.header)
	}
	h := origin("https://app.example.com")
	h["Access-Control-Request-Method"] = []string{"POST"}
	if a := do(t, g, call{method: "OPTIONS", path: "/api/v2/tickets", header: h}); a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("preflight: got %d %v", a.status, a.header)
	}
	refused = do(t, g, call{method: "GET", path: "/api/v2/tickets", header: origin("https://app.example.com")})
	if refused.status != 401 || refused.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(refused.header.Get("Access-Control-Expose-Headers"), "Caregate-Receipt") {
		t.Errorf("refusal: got %d %v", refused.status, refused.header)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets", header: origin("https://evil.example.com")}); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("other origin: got %v", a.header)
	}
}
