package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
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

// sink is an upstream that reads a request as it comes and says what it got of each, one
// after the other; got waits for the next. The answer is for answer to give, an empty
// JSON object where that is nil.
func sink(t *testing.T, answer http.HandlerFunc) (url string, got func() seen) {
	t.Helper()
	all := make(chan seen, 100) // the caller may have its answer before the upstream sees the end
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		all <- seen{body: string(body), err: err, header: r.Header.Clone(), length: r.ContentLength}
		if answer != nil {
			answer(w, r)
			return
		}
		jsonUpstream(200, "{}")(w, r)
	}))
	t.Cleanup(u.Close)
	return u.URL, func() seen { return <-all }
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
		})
	}
	g.Verify()
}

// ended waits for the closing event of a streamed body.
func ended(t *testing.T, g *proxytest.Gateway, receipt, kind string) console.Event {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
		for _, e := range g.Exchange(receipt) {
			if e.Type == kind {
				return e
			}
		}
		g.Verify() // takes its time
	}
	t.Fatalf("no event %s", kind)
	return console.Event{}
}

// total adds up what the events of one direction say became of card numbers.
func total(events []console.Event, direction string) (masked int) {
	for _, e := range events {
		if strings.HasPrefix(e.Type, direction) {
			for _, f := range e.Findings {
				masked += f.Masked
			}
		}
	}
	return masked
}

// An answer streams, in whatever pieces it comes; its events add up.
func TestResponseStreams(t *testing.T) {
	sent, masked := lines(5000, 50)
	piece := 1 << 20
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Digest", "sha-256=:x:")
		w.Header().Set("Trailer", "X-Note")
		for rest := sent; rest != ""; {
			n := min(piece, len(rest))
			_, _ = io.WriteString(w, rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
		}
		w.Header().Set("X-Note", "4111 1111 1111 1111")
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for _, piece = range []int{1 << 20, 70001, 977, 31} {
		a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
		if a.status != 200 || a.body != masked {
			t.Fatalf("pieces of %d: got %d, %d bytes, want %d", piece, a.status, len(a.body), len(masked))
		}
		if a.header.Get("Content-Length") != "" || a.header.Get("Content-Digest") != "" || !strings.HasPrefix(a.header.Get("ETag"), `W/"v1-cg`) || len(a.trailer) != 0 {
			t.Errorf("pieces of %d: headers %v, trailers %v", piece, a.header, a.trailer)
		}
		receipt := a.header.Get("Caregate-Receipt")
		closed := ended(t, g, receipt, "response.closed")
		events := g.Exchange(receipt)
		if closed.Attrs["opened"] != receipt || closed.Attrs["end"] != "complete" || closed.Attrs["bytes"] != fmt.Sprint(len(sent)) ||
			closed.Attrs["findings"] != "100 credit_card masked" || closed.Outcome != "released" || total(events, "response") != 100 {
			t.Errorf("pieces of %d: closed with %+v; %d masked", piece, closed, total(events, "response"))
		}
		if opened := g.Event(receipt); opened.Type != "response.decided" || opened.Attrs["stream"] != "open" {
			t.Errorf("opened with %+v", opened)
		}
	}
}

// fill is more than one window of clean lines.
var fill = strings.Repeat("{\"body\":\"where is my parcel\"}\n", 5000)

// Whatever stops a request in the middle: the upstream sees a message that was
// cut off, the caller hears why, and the log says so.
func TestRequestIsCut(t *testing.T) {
	url, got := sink(t, nil)
	for name, test := range map[string]struct {
		last   string
		header http.Header
		silent bool
		status int
		reason string
	}{
		"long line":        {last: "{\"a\":\"" + strings.Repeat("x", 2<<20) + "\"}\n", header: ndjsonType, status: 413, reason: "line_too_long"},
		"malformed line":   {last: "{\"a\":\n", header: ndjsonType, status: 400, reason: "json_syntax"},
		"card in a number": {last: "{\"a\":4111111111111111}\n", header: ndjsonType, status: 422, reason: "finding_blocked"},
		"invalid text":     {last: "4111 1111 1111 1111\xff and so on", header: textType, status: 400, reason: "invalid_utf8"},
		"silence":          {silent: true, header: ndjsonType, status: 408, reason: "read_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			o := proxytest.Options{Upstream: url}
			if test.silent { // the others may pause for longer on a busy machine
				o.Govern = "limits {\n idle_timeout 1s\n }"
			}
			g := proxytest.Start(t, o)
			body, feed := io.Pipe()
			defer body.Close()
			go func() {
				_, _ = io.WriteString(feed, fill+test.last)
				if !test.silent {
					_, _ = io.WriteString(feed, fill)
					_ = feed.Close()
				}
			}()
			req, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/api/v2/tickets", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = test.header.Clone()
			req.Header.Set("Authorization", basicAuth)
			a := send(t, req)
			if a.status != test.status || a.problem.Reason != test.reason || !a.problem.Forwarded {
				t.Errorf("got %d %+v", a.status, a.problem)
			}
			closed := ended(t, g, a.problem.Receipt, "request.closed")
			if closed.Decision != "deny" || closed.Reason != test.reason || closed.Outcome != "cut" || closed.Attrs["end"] != "refused" {
				t.Errorf("closed with %+v", closed)
			}
			if s := got(); s.err == nil || showsCard(s.body) || !strings.HasPrefix(fill, s.body) {
				t.Errorf("the upstream got %d bytes and %v: want an error, and nothing behind the cut", len(s.body), s.err)
			}
		})
	}
}

// Whatever stops an answer in the middle: the caller never sees a clean end.
func TestResponseIsCut(t *testing.T) {
	for name, test := range map[string]struct {
		rest        http.HandlerFunc
		end, reason string
	}{
		"malformed line": {rest: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{\"a\":\n"+fill) }, end: "refused", reason: "json_syntax"},
		"card as a name": {rest: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "{\"4111 1111 1111 1111\":1}\n"+fill)
		}, end: "refused", reason: "finding_blocked"},
		"upstream hangs up": {rest: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, end: "upstream_aborted", reason: "upstream_aborted"},
		"upstream stops":    {rest: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, end: "upstream_aborted", reason: "upstream_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/x-ndjson")
				_, _ = io.WriteString(w, fill)
				_ = http.NewResponseController(w).Flush()
				test.rest(w, r)
			})
			o := proxytest.Options{Upstream: u.URL}
			if test.reason == "upstream_timeout" { // the others may pause for longer on a busy machine
				o.Govern = "limits {\n idle_timeout 1s\n }"
			}
			g := proxytest.Start(t, o)
			res, body, err := stream(t, g, "GET", "/api/v2/tickets/1", nil)
			if err == nil || !strings.HasPrefix(fill, body) {
				t.Errorf("got %d bytes, %v: want an error, and nothing behind the cut", len(body), err)
			}
			closed := ended(t, g, res.Header.Get("Caregate-Receipt"), "response.closed")
			if closed.Reason != test.reason || closed.Outcome != "cut" || closed.Attrs["end"] != test.end {
				t.Errorf("closed with %+v", closed)
			}
		})
	}
}

// stream makes a call and reads the answer as far as it comes.
func stream(t *testing.T, g *proxytest.Gateway, method, path string, body io.Reader) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", basicAuth)
	req.Header.Set("Content-Type", "application/x-ndjson")
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return res, string(got), err
}

// The first window is read before anything is forwarded: what is wrong in it is
// refused like any other body.
func TestStreamRefusedAtOnce(t *testing.T) {
	proxy.Within(t, proxy.FirstDelay, time.Minute)
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for name, test := range map[string]struct {
		call   call
		status int
		reason string
	}{
		"malformed line": {call{body: "{\"a\":\n" + fill, header: ndjsonType}, 400, "json_syntax"},
		"card number":    {call{body: "{\"a\":4111111111111111}\n" + fill, header: ndjsonType}, 422, "finding_blocked"},
		"no credential":  {call{body: fill, header: http.Header{"Content-Type": {"application/x-ndjson"}, "Authorization": nil}}, 401, "no_credential"},
		"bomb":           {call{body: zip(t, strings.Repeat("0 ", 32<<20)), header: http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {"gzip"}}}, 413, "expansion_limit"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(u.Requests())
			test.call.method, test.call.path = "POST", "/api/v2/tickets"
			a := do(t, g, test.call)
			if a.status != test.status || a.problem.Reason != test.reason || a.problem.Forwarded {
				t.Errorf("got %d %+v", a.status, a.problem)
			}
			if n := len(u.Requests()) - before; n != 0 {
				t.Errorf("%d calls were forwarded", n)
			}
		})
	}
}
