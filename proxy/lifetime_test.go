package proxy_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// kinds are exchanges that end in every way an exchange can end.
var kinds = map[string]call{
	"released":      {method: "POST", path: "/api/v2/tickets", body: `{"ticket":{"subject":"card 4111 1111 1111 1111"}}`},
	"empty":         {method: "DELETE", path: "/api/v2/tickets/1"},
	"head":          {method: "HEAD", path: "/api/v2/tickets/1"},
	"no credential": {method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Authorization": nil}},
	"bad key":       {method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Caregate-Key": {"cgk1x"}}},
	"unread":        {method: "POST", path: "/api/v2/tickets", body: "4111 1111 1111 1111", header: http.Header{"Content-Type": {"image/png"}}},
	"malformed":     {method: "POST", path: "/api/v2/tickets", body: `{"a":"4111 1111 1111 1111`},
	"blocked":       {method: "POST", path: "/api/v2/tickets", body: `{"a":4111111111111111}`},
	"card in path":  {method: "GET", path: "/api/v2/none/4111111111111111"},
	"card in query": {method: "GET", path: "/api/v2/search?query=4111+1111+1111+1111"},
	"withheld":      {method: "GET", path: "/api/v2/tickets/400"},
	"aborted":       {method: "GET", path: "/api/v2/tickets/500"},
	"preflight":     {method: "OPTIONS", path: "/api/v2/tickets", header: http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"GET"}}},
	"dots":          {method: "GET", path: "/api/v2/%2e%2e/4111111111111111"},
	"bad query":     {method: "GET", path: "/api/v2/search?query=4111111111111111%zz"},
	"header":        {method: "GET", path: "/api/v2/tickets/1", header: http.Header{"X-Note": {"4111 1111 1111 1111"}}},
}

func kindsUpstream(tb testing.TB) *proxytest.Upstream {
	return proxytest.NewUpstream(tb, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/400"):
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "4111 1111 1111 1111")
		case strings.HasSuffix(r.URL.Path, "/500"):
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("X-Note", "4111 1111 1111 1111")
			jsonUpstream(200, `{"d":"card 4111 1111 1111 1111"}`)(w, r)
		}
	})
}

// However exchanges end, none keeps the data directory, a connection or a
// goroutine, and none leaves a card in the log, not even at debug level.
func TestNothingIsKept(t *testing.T) {
	rounds := 20 // times 16 kinds
	if testing.Short() {
		rounds = 3
	}
	u := kindsUpstream(t)
	logs := filepath.Join(t.TempDir(), "gateway.log")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Global: "debug\n log {\n output file " + logs + "\n level DEBUG\n }"})
	for name, c := range kinds { // once, so that what is made once exists
		if a := do(t, g, c); a.header.Get("Caregate-Receipt") == "" && a.status != 0 {
			t.Errorf("%s: got %d without a receipt", name, a.status)
		}
	}
	before := goleak.IgnoreCurrent()
	for range rounds {
		for _, c := range kinds {
			do(t, g, c)
		}
	}
	u.CloseClientConnections()
	g.Stop()
	if err := leaks.Find(before); err != nil {
		t.Errorf("after %d exchanges: %v", rounds*len(kinds), err)
	}
	d, err := proxy.OpenData(t.Context(), proxy.DataConfig{Dir: g.Data, Name: "test"})
	if err != nil {
		t.Fatalf("the directory is still held: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	g.Verify()
	printed, err := os.ReadFile(logs)
	if err != nil || len(printed) == 0 {
		t.Fatalf("nothing was logged: %v", err)
	}
	for line := range strings.Lines(string(printed)) {
		for _, form := range []string{"4111 1111", "4111+1111", "41111111", "4111%20"} {
			if strings.Contains(line, form) {
				t.Fatalf("logged: %s", line)
			}
		}
	}
}

// A defect in any stage releases nothing, is recorded, and harms no other call.
func TestPanics(t *testing.T) {
	proxy.Within(t, proxy.RolloutEvery, time.Hour)
	proxy.Within(t, proxy.LapseEvery, time.Hour)
	u := kindsUpstream(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for _, stage := range []string{"identify", "detect"} {
		repair := proxy.Break(stage)
		before := len(u.Requests())
		a := do(t, g, kinds["released"])
		repair()
		if a.status != 500 || a.problem.Reason != "internal_error" || len(u.Requests()) != before {
			t.Errorf("%s: got %d %s", stage, a.status, a.body)
			continue
		}
		if e := g.Event(a.problem.Receipt); e.Decision != "deny" || e.Reason != "internal_error" {
			t.Errorf("%s: event %+v", stage, e)
		}
		if a := do(t, g, kinds["released"]); a.status != 200 {
			t.Errorf("after %s: got %d %s", stage, a.status, a.body)
		}
	}
	// A defect that stops the refusal as well cuts the connection.
	repair := proxy.Break("decide") // the policy's name stands in every event
	before := len(u.Requests())
	if res, err := http.Post(g.URL+"/api/v2/tickets", "application/json", strings.NewReader("{}")); err == nil {
		res.Body.Close()
		t.Errorf("without events: got %d, want nothing", res.StatusCode)
	}
	repair()
	if len(u.Requests()) != before {
		t.Error("without events: something was forwarded")
	}
	// In the other direction: the upstream has the call, the caller gets nothing.
	u2 := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		repair = proxy.Break("detect") // the only call under way waits for this answer
		jsonUpstream(200, `{"d":"card 4111 1111 1111 1111"}`)(w, r)
	})
	if err := g.Load(proxytest.Options{Upstream: u2.URL}); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, kinds["released"])
	repair()
	if a.status != 502 || a.problem.Cause != "internal_error" || !a.problem.Forwarded || strings.Contains(a.body, "card") {
		t.Errorf("answer: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Outcome != "not_released" || !e.Forwarded {
		t.Errorf("answer: event %+v", e)
	}
}

// A configuration that fails while it starts leaves the one that runs as it was:
// its routes, its socket, its hold on the data.
func TestRejectedWhileStarting(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	o := proxytest.Options{Upstream: u.URL}
	g := proxytest.Start(t, o)
	broken := o
	broken.Govern = "route other"
	for name, change := range map[string]func(*proxytest.Options){
		// Caddy starts its apps in no order, so each is tried often enough for both.
		"an address of somebody else": func(o *proxytest.Options) { o.Sites = "http://192.0.2.1:9 {\n bind 192.0.2.1\n}\n" },
		"keys that are none": func(o *proxytest.Options) {
			o.Block = "identity jwt {\n issuer https://id.example\n audience a\n jwks /does/not/exist\n }"
		},
	} {
		o := broken
		change(&o)
		for range 8 {
			if err := g.Load(o); err == nil {
				t.Fatalf("%s: was accepted", name)
			}
			var status struct{ Routes []struct{ Name string } }
			g.API("GET", "/api/v1/status", "", http.StatusOK, &status)
			if len(status.Routes) != 1 || status.Routes[0].Name != "zendesk" {
				t.Fatalf("%s: the socket speaks for %+v", name, status.Routes)
			}
			a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
			if a.status != 200 {
				t.Fatalf("%s: got %d %s", name, a.status, a.body)
			}
		}
	}
	g.Stop()
	d, err := proxy.OpenData(t.Context(), proxy.DataConfig{Dir: g.Data, Name: "test"})
	if err != nil {
		t.Fatalf("the directory is still held: %v", err)
	}
	_ = d.Close()
}

// A caller who hangs up while sending, and one who hangs up while reading.
func TestCallersWhoHangUp(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"d":"`+strings.Repeat("x", 4<<20)+`"}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	n := g.WaitForEntries(2)
	head := " /api/v2/tickets/1 HTTP/1.1\r\nHost: " + g.Addr + "\r\nAuthorization: " + basicAuth + "\r\n"
	for name, test := range map[string]struct {
		raw     string
		read    int
		entries int64
	}{
		"before the body":  {raw: "PUT" + head + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n", entries: 1},
		"within the body":  {raw: "PUT" + head + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":", entries: 1},
		"within the chunk": {raw: "PUT" + head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{", entries: 1},
		"while reading":    {raw: "GET" + head + "\r\n", read: 1000, entries: 2},
	} {
		conn, err := net.Dial("tcp", g.Addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
		if _, err := io.WriteString(conn, test.raw); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, test.read)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		conn.Close()
		n += test.entries
		if got := g.WaitForEntries(n); got != n {
			t.Errorf("%s: got %d entries, want %d", name, got, n)
		}
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"}); a.status != 200 {
		t.Errorf("afterwards: got %d", a.status)
	}
}
