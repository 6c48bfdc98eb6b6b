package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// paced is an upstream whose answers are lines that the test sends one by one.
func paced(t *testing.T) (url string, next chan string) {
	t.Helper()
	next = make(chan string)
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			_, _ = io.Copy(io.Discard, r.Body)
			jsonUpstream(200, "{}")(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case line, more := <-next:
				if !more {
					return
				}
				_, _ = io.WriteString(w, line)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(u.Close)
	t.Cleanup(u.CloseClientConnections)
	return u.URL, next
}

// open makes a call whose answer is read while it comes.
func open(t *testing.T, g *proxytest.Gateway) (*http.Response, *bufio.Reader) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/api/v2/tickets/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", basicAuth)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

const cardLine, maskedLine = "{\"d\":\"card 4111 1111 1111 1111\"}\n", "{\"d\":\"card XXXX XXXX XXXX 1111\"}\n"

// A slow live stream arrives line by line: its headers before the first line,
// clean lines at once, lines with a finding after a window's time; and it finishes
// on the configuration that it began with.
func TestLiveStream(t *testing.T) {
	url, next := paced(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: url})
	res, r := open(t, g)
	for i, line := range []string{"{}\n", cardLine, "{\"id\":1}\n", cardLine} {
		if i == 2 {
			if err := g.Load(proxytest.Options{Upstream: url, Govern: "limits {\n depth 64\n }"}); err != nil {
				t.Fatal(err)
			}
		}
		next <- line // a gateway that waited for the end would keep the test for ever
		got, err := r.ReadString('\n')
		if want := strings.Replace(line, cardLine, maskedLine, 1); err != nil || got != want {
			t.Fatalf("line %d: got %q, %v", i, got, err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("the end: got %q, %v", rest, err)
	}
	if closed := ended(t, g, res.Header.Get("Caregate-Receipt"), "response.closed"); closed.Attrs["end"] != "complete" || closed.Attrs["findings"] != "2 credit_card masked" {
		t.Errorf("closed with %+v", closed)
	}
}

// A caller who asks for incremental forwarding gets it where the type streams.
func TestIncrementalRequest(t *testing.T) {
	lines := make(chan string, 1)
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bufio.NewReader(r.Body)
		line, _ := body.ReadString('\n')
		lines <- r.Header.Get("Incremental") + " " + line
		_, _ = io.Copy(io.Discard, body)
		jsonUpstream(200, "{}")(w, r)
	}))
	defer u.Close()
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	body, feed := io.Pipe()
	go func() { _, _ = io.WriteString(feed, cardLine) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v2/tickets", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {basicAuth}, "Content-Type": {"application/x-ndjson"}, "Incremental": {"?1"}}
	go func() {
		if got := <-lines; got != "?1 "+maskedLine {
			t.Errorf("got %q", got)
		}
		_ = feed.Close()
	}()
	if a := send(t, req); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	for name, header := range map[string]http.Header{"JSON": {"Incremental": {"?1"}}, "text that may be JSON": {"Incremental": {"?1"}, "Content-Type": {"text/plain"}}} {
		if a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{"a":"` + strings.Repeat("x ", 64<<10) + `"}`, header: header}); a.status != 501 || a.problem.Reason != "incremental_refused" {
			t.Errorf("%s: got %d %+v", name, a.status, a.problem)
		}
	}
}

// The log fails in the middle: whoever receives sees the message cut off, also
// when nothing was found in the rest of it, and nothing unrecorded passes.
func TestLogFailsInMidStream(t *testing.T) {
	for name, last := range map[string]string{"a finding": cardLine, "the end": "{}\n"} {
		if testing.Short() && name == "the end" {
			continue // each takes as long as the database is waited for
		}
		t.Run("answer, "+name, func(t *testing.T) {
			url, next := paced(t)
			g := proxytest.Start(t, proxytest.Options{Upstream: url})
			_, r := open(t, g)
			next <- "{}\n"
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			letGo := holdIntake(t, g.Data)
			next <- last
			if name == "the end" {
				close(next)
			}
			rest, err := io.ReadAll(r)
			if err == nil || strings.Contains(string(rest), "card") {
				t.Errorf("got %q, %v", rest, err)
			}
			letGo()
		})
		t.Run("request, "+name, func(t *testing.T) {
			got, begun := make(chan error, 1), make(chan struct{})
			u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = r.Body.Read(make([]byte, 1))
				close(begun)
				body, err := io.ReadAll(r.Body)
				if err == nil || strings.Contains(string(body), "card") {
					err = fmt.Errorf("got %d bytes, %w", len(body), err)
				} else {
					err = nil
				}
				got <- err
			}))
			defer u.Close()
			g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
			body, feed := io.Pipe()
			letGo := make(chan func(), 1)
			go func() {
				_, _ = io.WriteString(feed, fill)
				<-begun
				letGo <- holdIntake(t, g.Data)
				_, _ = io.WriteString(feed, last)
				_ = feed.Close()
			}()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v2/tickets", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"Authorization": {basicAuth}, "Content-Type": {"application/x-ndjson"}}
			if a := send(t, req); a.status != 503 || a.problem.Reason != "audit_unavailable" || !a.problem.Forwarded {
				t.Errorf("got %d %+v", a.status, a.problem)
			}
			if err := <-got; err != nil {
				t.Errorf("the upstream: %v", err)
			}
			(<-letGo)()
		})
	}
}

// A caller who hangs up in the middle, sending or reading: the upstream learns,
// the log says so, and nothing is kept.
func TestCallersWhoHangUpOnStreams(t *testing.T) {
	url, next := paced(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: url})
	warm, _ := open(t, g) // what is made once exists
	_ = warm.Body.Close()
	before := goleak.IgnoreCurrent()

	res, r := open(t, g)
	next <- cardLine
	if line, err := r.ReadString('\n'); err != nil || line != maskedLine {
		t.Fatalf("got %q, %v", line, err)
	}
	_ = res.Body.Close()
	closed := ended(t, g, res.Header.Get("Caregate-Receipt"), "response.closed")
	if closed.Reason != "client_gone" || closed.Outcome != "cut" || closed.Attrs["end"] != "client_gone" || closed.Decision != "allow" {
		t.Errorf("while reading: %+v", closed)
	}

	n := g.Verify().Entries
	conn, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "POST /api/v2/tickets HTTP/1.1\r\nHost: "+g.Addr+"\r\nAuthorization: "+basicAuth+"\r\nContent-Type: application/x-ndjson\r\nContent-Length: 900000\r\n\r\n"+fill)
	g.WaitForEntries(n + 1) // opened
	_ = conn.Close()
	g.WaitForEntries(n + 3) // closed, and refused

	g.Stop()
	if err := leaks.Find(before); err != nil {
		t.Errorf("left behind: %v", err)
	}
	d, err := proxy.OpenData(t.Context(), proxy.DataConfig{Dir: g.Data, Name: "test"})
	if err != nil {
		t.Fatalf("the directory is still held: %v", err)
	}
	_ = d.Close()
}

// A defect while a stream passes cuts it, in whatever goroutine it happens, and
// harms no other call.
func TestPanicInMidStream(t *testing.T) {
	proxy.Within(t, proxy.RolloutEvery, time.Hour)
	proxy.Within(t, proxy.LapseEvery, time.Hour)
	type result struct {
		body string
		err  error
	}
	got, begun := make(chan result, 2), make(chan struct{}, 2)
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, len(fill))) // so that nothing of it is decided on any more
		begun <- struct{}{}
		body, err := io.ReadAll(r.Body)
		got <- result{string(body), err}
		jsonUpstream(200, "{}")(w, r)
	}))
	defer u.Close()
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	body, feed := io.Pipe()
	repair := make(chan func(), 1)
	go func() {
		_, _ = io.WriteString(feed, fill)
		<-begun
		repair <- proxy.Break("decide")
		_, _ = io.WriteString(feed, cardLine+fill)
		_ = feed.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v2/tickets", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {basicAuth}, "Content-Type": {"application/x-ndjson"}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if res, err := client.Do(req); err == nil {
		_ = res.Body.Close()
		t.Errorf("got %d: without a policy no refusal can be recorded", res.StatusCode)
	}
	s := <-got // the stage is left
	(<-repair)()
	if s.err == nil || showsCard(s.body) {
		t.Errorf("the upstream got %d bytes, %v", len(s.body), s.err)
	}
	if a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: fill, header: ndjsonType}); a.status != 200 {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
}

// A coded stream is decoded as it comes; a route that only observes passes the
// bytes that came, whatever they are.
func TestCodedStreams(t *testing.T) {
	url, got := sink(t, nil)
	const n = 100_000 // compressed it must still be long enough to stream
	sent, masked := lines(n, 500)
	count := fmt.Sprint(n/500, " credit_card ")
	coded := zip(t, sent)
	torn := coded[:len(coded)-9]
	noise := coded[:len(coded)/2] + strings.Repeat("noise", 20000)
	for name, test := range map[string]struct {
		govern, body string
		status       int
		coding, want string
		findings     string
	}{
		"masked":          {body: coded, status: 200, want: masked, findings: count + "masked"},
		"torn":            {body: torn, status: 400},
		"observed":        {govern: "observe", body: coded, status: 200, coding: "gzip", want: coded, findings: count + "unchanged"},
		"torn, observed":  {govern: "observe", body: torn, status: 200, coding: "gzip", want: torn},
		"noise, observed": {govern: "observe", body: noise, status: 200, coding: "gzip", want: noise},
	} {
		t.Run(name, func(t *testing.T) {
			g := proxytest.Start(t, proxytest.Options{Upstream: url, Govern: test.govern})
			h := ndjsonType.Clone()
			h["Content-Encoding"] = []string{"gzip"}
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: test.body, header: h})
			if a.status != test.status {
				t.Fatalf("got %d %+v", a.status, a.problem)
			}
			if test.status != 200 {
				ended(t, g, a.problem.Receipt, "request.closed")
				if s := got(); s.err == nil {
					t.Error("the upstream saw a clean end")
				}
				return
			}
			if s := got(); s.err != nil || s.body != test.want || s.header.Get("Content-Encoding") != test.coding {
				t.Errorf("the upstream got %d bytes of %q, %v; want %d", len(s.body), s.header.Get("Content-Encoding"), s.err, len(test.want))
			}
			closed := ended(t, g, a.header.Get("Caregate-Receipt"), "request.closed")
			if test.findings != "" && closed.Attrs["findings"] != test.findings || test.findings == "" && closed.Attrs["unread"] == "" {
				t.Errorf("closed with %+v", closed)
			}
		})
	}
}

// Texts that may be something else are read whole, whatever their length.
func TestTextsThatMayBeSomethingElse(t *testing.T) {
	long := strings.Repeat("word ", 30000)
	for name, test := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"JSON":                    {`{"a":"` + long + `\u0034111 1111 1111 1111"}`, 200, `{"a":"` + long + `XXXX XXXX XXXX 1111"}`},
		"a form":                  {"a=" + strings.Repeat("x", 100000) + "&d=4111%201111%201111%201111", 200, "a=" + strings.Repeat("x", 100000) + "&d=XXXX%20XXXX%20XXXX%201111"},
		"brackets":                {"[urgent] " + long + "4111 1111 1111 1111.", 200, "[urgent] " + long + "XXXX XXXX XXXX 1111."},
		"brackets and an escape":  {"[urgent] " + long + `\u0034111 1111 1111 1111`, 400, ""},
		"JSON beyond the limit":   {`{"a":"` + strings.Repeat(long, 10) + `"}`, 413, ""},
		"a text beyond the limit": {strings.Repeat(long, 10) + "4111 1111 1111 1111", 200, strings.Repeat(long, 10) + "XXXX XXXX XXXX 1111"},
	} {
		t.Run(name, func(t *testing.T) {
			url, got := sink(t, nil) // of its own: what is refused late has been forwarded in part
			g := proxytest.Start(t, proxytest.Options{Upstream: url, Govern: "limits {\n body 1MiB\n }"})
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: test.body, header: textType})
			if a.status != test.status {
				t.Fatalf("got %d %+v", a.status, a.problem)
			}
			if test.status != 200 {
				return
			}
			if s := got(); s.err != nil || s.body != test.want {
				t.Errorf("the upstream got %d bytes, %v; want %d", len(s.body), s.err, len(test.want))
			}
		})
	}
}

// Under HTTP/1.0 a cut answer looks like a complete one, so it is read whole.
func TestOldCallersGetWholeAnswers(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, fill+"{\"a\":\n")
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	conn, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	_, _ = io.WriteString(conn, "GET /api/v2/tickets/1 HTTP/1.0\r\nHost: "+g.Addr+"\r\nAuthorization: "+basicAuth+"\r\n\r\n")
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(got, []byte("response_withheld")) || bytes.Contains(got, []byte("parcel")) {
		t.Errorf("got %.300s, %v", got, err)
	}
}

// Bodies of 256 MiB in all, in both directions, take no more memory than a few windows.
func TestStreamedMemory(t *testing.T) {
	// Heap that nobody uses any more is part of what is measured below, so there should be
	// little of it, however much the tests before have left and whenever the collector runs.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	size := 128 << 20 // each way
	if testing.Short() {
		size = 16 << 20
	}
	block, masked := lines(20000, 7000)
	blocks := size / len(block)
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		buf := make([]byte, 64<<10)
		for {
			m, err := r.Body.Read(buf)
			n += m
			if bytes.Contains(buf[:m], []byte("4111 1111")) {
				t.Error("a card passed")
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("after %d bytes: %v", n, err)
				return
			}
		}
		if n != blocks*len(masked) {
			t.Errorf("the upstream got %d bytes, want %d", n, blocks*len(masked))
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		for range blocks {
			_, _ = io.WriteString(w, block)
		}
	}))
	defer u.Close()
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var top uint64
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				top = max(top, now.HeapInuse+now.StackInuse)
			case <-stop:
				tick.Stop()
				peak <- top
				return
			}
		}
	}()
	body, feed := io.Pipe()
	go func() {
		for range blocks {
			_, _ = io.WriteString(feed, block)
		}
		_ = feed.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v2/tickets", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {basicAuth}, "Content-Type": {"application/x-ndjson"}}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := make([]byte, len(masked))
	for i := range blocks {
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != masked {
			t.Fatalf("block %d of %d differs, or %v", i, blocks, err)
		}
	}
	if n, err := res.Body.Read(got); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d bytes, %v", n, err)
	}
	close(stop)
	grown := int64(<-peak) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("%d MiB in both directions: memory grew by %d MiB", size>>20, grown>>20)
	if grown > 64<<20 {
		t.Errorf("memory grew by %d MiB, want at most 64", grown>>20)
	}
}
