package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// wire is a caller who writes HTTP/1 by hand.
type wire struct {
	net.Conn
	answers *bufio.Reader
}

func dial(t *testing.T, g *proxytest.Gateway) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return &wire{conn, bufio.NewReader(conn)}
}

func (c *wire) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	return res, string(body)
}

// A second request, which stands where the first one's body is not over.
func smuggled(g *proxytest.Gateway) string {
	return "GET /api/v2/tickets/666 HTTP/1.1\r\nHost: " + g.Addr + "\r\nAuthorization: " + basicAuth + "\r\n\r\n"
}

// What is left of a refused request's body is never taken for a request, however
// the reading of the body ended.
func TestBodiesAreNotRequests(t *testing.T) {
	proxy.Within(t, proxy.FirstDelay, time.Minute) // a first window that comes is looked at first
	u := proxytest.NewUpstream(t, nil)
	patient := proxytest.Options{Upstream: u.URL, Govern: "limits {\n body 64KiB\n }"}
	hurried := proxytest.Options{Upstream: u.URL, Govern: "limits {\n body 64KiB\n read_timeout 500ms\n idle_timeout 500ms\n }"}
	g := proxytest.Start(t, patient)
	const (
		chunked  = "Transfer-Encoding: chunked\r\n"
		typed    = "Content-Type: application/json\r\n"
		lines    = "Content-Type: application/x-ndjson\r\n"
		override = "X-Http-Method: PUT\r\n"
	)
	for name, test := range map[string]struct {
		headers string
		first   string // of the body
		reason  string
		breaks  string // the stage that has a defect
		nobody  bool   // calls without a credential
	}{
		"chunks that stop":            {headers: typed + chunked, first: "5\r\n{", reason: "read_timeout"},
		"chunks that stop in between": {headers: typed + chunked, first: "1\r\n{\r\n", reason: "read_timeout"},
		"length that stops":           {headers: typed + "Content-Length: 5000\r\n", first: "{", reason: "read_timeout"},
		"malformed chunk":             {headers: typed + chunked, first: "zz\r\n", reason: "body_incomplete"},
		"malformed trailer":           {headers: typed + chunked, first: "2\r\n{}\r\n0\r\nno trailer\r\n\r\n", reason: "body_incomplete"},
		"over the limit":              {headers: typed + chunked, first: "20000\r\n" + strings.Repeat("x", 0x20000) + "\r\n", reason: "body_too_large"},
		"announced over the limit":    {headers: typed + "Content-Length: 700000\r\n", first: "{", reason: "body_too_large"},
		"refused at once":             {headers: override + chunked, first: "5\r\n{", reason: "method_override"},
		"refused at once, length":     {headers: override + "Content-Length: 700000\r\n", first: "{", reason: "method_override"},
		"refused at once, unasked":    {headers: override + "Expect: 100-continue\r\nContent-Length: 5000\r\n", reason: "method_override"},
		"nobody, length that stops":   {headers: typed + "Content-Length: 5000\r\n", first: "{", reason: "no_credential", nobody: true},
		"nobody, nothing comes":       {headers: typed + chunked, reason: "no_credential", nobody: true},
		"nobody, stream that stops":   {headers: lines + chunked, first: "5\r\n{", reason: "no_credential", nobody: true},
		"type":                        {headers: "Content-Type: image/png\r\n" + chunked, first: "5\r\n{", reason: "type_not_inspected"},
		"stream that stops":           {headers: lines + chunked, first: "5\r\n{", reason: "read_timeout"},
		"stream that is malformed":    {headers: lines + chunked, first: "6\r\n{\"a\":\n\r\nfffff\r\n" + fill, reason: "json_syntax"},
		"stream, malformed chunk":     {headers: lines + chunked, first: "zz\r\n", reason: "body_incomplete"},
		"stream, malformed trailer":   {headers: lines + chunked, first: "3\r\n{}\n\r\n0\r\nno trailer\r\n\r\n", reason: "body_incomplete"},
		"stream, defect":              {headers: lines + chunked, first: "fffff\r\n" + fill, breaks: "detect", reason: "internal_error"},
		"defect":                      {headers: typed + chunked, first: "5\r\n{", breaks: "identify", reason: "internal_error"},
		"cut stream":                  {headers: lines + chunked, first: "fffff\r\n" + fill + "{\"a\":\n" + fill, reason: "json_syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.reason == "read_timeout" { // the others may pause for longer on a busy machine
				if err := g.Load(hurried); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := g.Load(patient); err != nil {
						t.Error(err)
					}
				}()
			}
			before := len(u.Requests())
			if test.breaks != "" {
				defer proxy.Break(test.breaks)()
			}
			c := dial(t, g)
			head := "POST /api/v2/tickets HTTP/1.1\r\nHost: " + g.Addr + "\r\n" + test.headers
			if !test.nobody {
				head += "Authorization: " + basicAuth + "\r\n"
			}
			_, _ = io.WriteString(c, head+"\r\n"+test.first)
			res, body := c.answer(t)
			if !strings.Contains(body, `"`+test.reason+`"`) || !res.Close {
				t.Errorf("got %d %s, closes: %v; want %s and a connection that closes", res.StatusCode, body, res.Close, test.reason)
			}
			_, _ = io.WriteString(c, smuggled(g)+smuggled(g))
			_ = c.Conn.(*net.TCPConn).CloseWrite()
			if rest, _ := io.ReadAll(c.answers); len(rest) > 0 {
				t.Errorf("a second answer: %.200s", rest)
			}
			for _, r := range u.Requests()[before:] {
				if r.Target == "/api/v2/tickets/666" {
					t.Errorf("forwarded: %s", r.Target)
				}
			}
		})
	}
}

// A refusal that came after the body was read to its end, or of a short body that
// came whole, leaves the connection as it is.
func TestRefusedConnectionsLive(t *testing.T) {
	proxy.Within(t, proxy.FirstDelay, time.Minute)
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	c := dial(t, g)
	for name, call := range map[string]struct{ raw, reason string }{
		"malformed":          {"Authorization: " + basicAuth + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n", "json_syntax"},
		"malformed line":     {"Authorization: " + basicAuth + "\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n", "json_syntax"},
		"no credential":      {"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "no_credential"},
		"without content":    {"Authorization: " + basicAuth + "\r\nX-Http-Method: PUT\r\n\r\n", "method_override"},
		"empty, no override": {"Authorization: " + basicAuth + "\r\nIf-None-Match: x\r\nConnection: If-None-Match\r\nContent-Length: 0\r\n\r\n", "header_ambiguous"},
	} {
		_, _ = io.WriteString(c, "POST /api/v2/tickets HTTP/1.1\r\nHost: "+g.Addr+"\r\n"+call.raw)
		if res, body := c.answer(t); !strings.Contains(body, `"`+call.reason+`"`) || res.Close {
			t.Errorf("%s: got %d %s, closes: %v", name, res.StatusCode, body, res.Close)
		}
	}
	_, _ = io.WriteString(c, smuggled(g))
	if res, body := c.answer(t); res.StatusCode != 200 {
		t.Errorf("afterwards: got %d %s", res.StatusCode, body)
	}
}

// A caller who sends everything before it reads hears why it was refused, also
// when the body is much longer than what anybody would read of it.
func TestRefusalsAreHeard(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "limits {\n body 64KiB\n }"})
	body := bytes.Repeat([]byte("{\"a\":\n"), 4<<20)
	for name, headers := range map[string]string{
		"JSON":          "Authorization: " + basicAuth + "\r\nContent-Type: application/json\r\n",
		"lines":         "Authorization: " + basicAuth + "\r\nContent-Type: application/x-ndjson\r\n",
		"no credential": "Content-Type: application/json\r\n",
		"type":          "Authorization: " + basicAuth + "\r\nContent-Type: image/png\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, g)
			_, _ = io.WriteString(c, "POST /api/v2/tickets HTTP/1.1\r\nHost: "+g.Addr+"\r\nContent-Length: 25165824\r\n"+headers+"\r\n")
			if _, err := c.Write(body); err != nil {
				t.Fatalf("sending: %v", err)
			}
			if res, body := c.answer(t); res.StatusCode < 400 || !strings.Contains(body, "receipt") {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
		})
	}
}

// Requests that follow each other without waiting are each their own, whatever
// became of the one before.
func TestPipelinedRequests(t *testing.T) {
	proxy.Within(t, proxy.FirstDelay, time.Minute)
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	head := "PUT /api/v2/tickets/1 HTTP/1.1\r\nHost: " + g.Addr + "\r\nAuthorization: " + basicAuth + "\r\n"
	ndjson := head + "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(fill), fill)
	for name, test := range map[string]struct {
		first  string
		status int
	}{
		"passed":                {head + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 200},
		"malformed":             {head + "Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{", 400},
		"refused by its header": {head + "X-Http-Method: PUT\r\nContent-Length: 2\r\n\r\n{}", 400},
		"streamed":              {ndjson + chunk, 200},
		"lines":                 {ndjson + "3\r\n{}\n\r\n0\r\n\r\n", 200},
		"malformed lines":       {ndjson + "2\r\n{\n\r\n0\r\n\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, g)
			go func() { _, _ = io.WriteString(c, test.first+smuggled(g)) }()
			if res, body := c.answer(t); res.StatusCode != test.status || res.Close {
				t.Fatalf("the first: got %d %s, closes: %v", res.StatusCode, body, res.Close)
			}
			if res, body := c.answer(t); res.StatusCode != 200 || u.Last(t).Target != "/api/v2/tickets/666" {
				t.Errorf("the second: got %d %s", res.StatusCode, body)
			}
		})
	}
}

// A body that passes unread, to an upstream that is not there.
func TestUnreadBodiesAreNotRequests(t *testing.T) {
	// The caller says no more until it has an answer, for which it waits for less time than
	// the gateway for the rest of the body.
	g := proxytest.Start(t, proxytest.Options{Upstream: "http://" + proxytest.FreeAddr(t), Govern: "uninspected pass\nlimits {\n read_timeout 1h\n idle_timeout 1h\n }"})
	for name, framing := range map[string]string{"chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\n{", "length": "Content-Length: 900000\r\n\r\n{", "short": "Content-Length: 50\r\n\r\n{"} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, g)
			_, _ = io.WriteString(c, "POST /api/v2/tickets HTTP/1.1\r\nHost: "+g.Addr+"\r\nAuthorization: "+basicAuth+"\r\nContent-Type: image/png\r\n"+framing)
			if res, body := c.answer(t); res.StatusCode != 502 || !res.Close {
				t.Errorf("got %d %s, closes: %v", res.StatusCode, body, res.Close)
			}
			_, _ = io.WriteString(c, smuggled(g))
			_ = c.Conn.(*net.TCPConn).CloseWrite()
			if rest, _ := io.ReadAll(c.answers); len(rest) > 0 {
				t.Errorf("a second answer: %.200s", rest)
			}
		})
	}
}
