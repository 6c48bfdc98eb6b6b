package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

var (
	ndjsonType = http.Header{"Content-Type": {"application/x-ndjson"}}
	textType   = http.Header{"Content-Type": {"text/plain"}}
)

// seen is what a streaming upstream got of one request.
type seen struct {
	body   string
	err    error // of reading the body to its end
	header http.Header
	length int64
}

// sink is an upstream that reads a request as it comes and says what it got; the
// answer is for answer to give, an empty JSON object where that is nil.
func sink(t *testing.T, answer http.HandlerFunc) (url string, got func() seen) {
	t.Helper()
	var mu sync.Mutex
	var last *seen
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		last = &seen{body: string(body), err: err, header: r.Header.Clone(), length: r.ContentLength}
		mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		jsonUpstream(200, "{}")(w, r)
	}))
	t.Cleanup(u.Close)
	return u.URL, func() seen {
		mu.Lock()
		defer mu.Unlock()
		if last == nil {
			return seen{}
		}
		return *last
	}
}

// lines makes n lines of NDJSON, one in every with a card number.
func lines(n, every int) (sent, masked string) {
	var a, b strings.Builder
	for i := range n {
		value := "clean line of a chat"
		mask := value
		if i%every == 0 {
			value, mask = "card 4111 1111 1111 1111", "card XXXX XXXX XXXX 1111"
		}
		fmt.Fprintf(&a, "{\"id\":%d,\"body\":%q}\n", i, value)
		fmt.Fprintf(&b, "{\"id\":%d,\"body\":%q}\n", i, mask)
	}
	return a.String(), b.String()
}

// A large body of lines, and one of text, masked on the way to the upstream.
func TestRequestStreams(t *testing.T) {
	url, got := sink(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: url})
	sent, masked := lines(20000, 100)
	for name, test := range map[string]struct {
		header     http.Header
		sent, want string
	}{
		"ndjson":      {ndjsonType, sent, masked},
		"text":        {textType, strings.Repeat("my card is 4111 1111 1111 1111 and more text.\n", 5000), strings.Repeat("my card is XXXX XXXX XXXX 1111 and more text.\n", 5000)},
		"clean":       {textType, strings.Repeat("hello there ", 20000), strings.Repeat("hello there ", 20000)},
		"short lines": {ndjsonType, "{\"a\":\"4111111111111111\"}\n{}\n", "{\"a\":\"XXXXXXXXXXXX1111\"}\n{}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: test.sent, header: test.header})
			if a.status != 200 {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			s := got()
			if s.err != nil || s.body != test.want {
				t.Errorf("the upstream got %d bytes, %v; want %d", len(s.body), s.err, len(test.want))
			}
			for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
				t.Logf("%s %s %s %v %v", e.Type, e.Decision, e.Outcome, e.Attrs, e.Findings)
			}
		})
	}
	g.Verify()
}

func TestResponseStreams(t *testing.T) {
	sent, masked := lines(20000, 100)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, sent)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
	if a.status != 200 || a.body != masked {
		t.Fatalf("got %d, %d bytes", a.status, len(a.body))
	}
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		t.Logf("%s %s %s %v %v", e.Type, e.Decision, e.Outcome, e.Attrs, e.Findings)
	}
	g.Verify()
}
