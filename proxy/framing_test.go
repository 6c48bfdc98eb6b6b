package proxy_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy/proxytest"
)

// Messages that two servers could take apart differently, and that Go's server would
// take, are refused with a receipt and stand in the log; nothing is forwarded.
func TestAmbiguousFraming(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	const chunks = "2\r\n{}\r\n0\r\n\r\n"
	for name, test := range map[string]struct{ version, head, body, reason string }{
		"length, then transfer coding": {"1.1", "Content-Length: 12\r\nTransfer-Encoding: chunked\r\n", chunks, "request_malformed"},
		"transfer coding, then length": {"1.1", "Transfer-Encoding: chunked\r\ncontent-length: 12\r\n", chunks, "request_malformed"},
		"the same length twice":        {"1.1", "Content-Length: 2\r\nContent-Length: 2\r\n", "{}", "request_malformed"},
		"version that is none":         {"1.2", "Content-Length: 2\r\n", "{}", "request_malformed"},
		"coding in HTTP/1.0":           {"1.0", "Transfer-Encoding: chunked\r\n", chunks, "request_malformed"},
		"folded header":                {"1.1", "X-Note: one\r\n two\r\nContent-Length: 2\r\n", "{}", "request_malformed"},
		"folded length":                {"1.1", "Content-Length:\r\n\t2\r\n", "{}", "request_malformed"},
		"line without CR":              {"1.1", "X-Note: one\nContent-Length: 2\r\n", "{}", "request_malformed"},
		"CR in a value":                {"1.1", "X-Note: one\rtwo\r\nContent-Length: 2\r\n", "{}", "request_malformed"},
		"padded length":                {"1.1", "Content-Length: " + strings.Repeat(" ", 60) + "2\r\n", "{}", "request_malformed"},
		"blank behind a chunk's size":  {"1.1", "Transfer-Encoding: chunked\r\n", "2 \r\n{}\r\n0\r\n\r\n", "body_incomplete"},
		"long extension of a chunk":    {"1.1", "Transfer-Encoding: chunked\r\n", "2;" + strings.Repeat("x", 300) + "\r\n{}\r\n0\r\n\r\n", "body_incomplete"},
		"folded trailer":               {"1.1", "Transfer-Encoding: chunked\r\nTrailer: X-A\r\n", "2\r\n{}\r\n0\r\nX-A: a\r\n b\r\n\r\n", "body_incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(u.Requests())
			answers := parsed(t, raw(t, g.Addr, "POST /api/v2/tickets HTTP/"+test.version+"\r\nHost: "+g.Addr+"\r\nAuthorization: "+basicAuth+
				"\r\nContent-Type: application/json\r\n"+test.head+"\r\n"+test.body, false))
			if len(answers) != 1 || answers[0].status != 400 || answers[0].problem.Reason != test.reason || answers[0].problem.Forwarded {
				t.Fatalf("got %+v", answers)
			}
			if len(u.Requests()) != before {
				t.Error("something was forwarded")
			}
			if e := g.Event(answers[0].problem.Receipt); e.Decision != "deny" && e.Type != "denials.counted" || e.Reason != test.reason || e.Forwarded {
				t.Errorf("event: got %+v", e)
			}
		})
	}
}

// Several requests on one connection, in pieces and at once, with all kinds of bodies,
// are served as they came.
func TestPlainFraming(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	head := func(method, rest string) string {
		return method + " /api/v2/tickets/1 HTTP/1.1\r\nHost: " + g.Addr + "\r\nAuthorization: " + basicAuth + "\r\nX-Long: " + strings.Repeat("x", 200) +
			"\r\nContent-Type: application/json\r\n" + rest + "\r\n"
	}
	all := head("PUT", "content-length:2\r\n") + `{}` + "\r\n" + // as some old callers end a body
		head("PUT", "Transfer-Encoding: Chunked\r\n") + "1\r\n{\r\n00001;note=x\r\n}\r\n0\r\nX-After: x\r\n\r\n" +
		head("GET", "Content-Length: 0\r\n") +
		head("PUT", "Content-Length: 14\r\nConnection: close\r\n") + "{\"a\":\n\r\r\n 1\n\n}"
	all = strings.Replace(all, "PUT", "POST", 1) // behind which the server skips the line
	conn, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	go func() {
		for i := 0; i < len(all); i += 7 {
			_, _ = io.WriteString(conn, all[i:min(i+7, len(all))])
		}
	}()
	pieces, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	for way, got := range map[string]string{"in pieces": string(pieces), "at once": raw(t, g.Addr, all, false)} {
		answers := parsed(t, got)
		if len(answers) != 4 {
			t.Fatalf("%s: got %d answers: %q", way, len(answers), got)
		}
		for i, a := range answers {
			if a.status != 200 || a.header.Get("Caregate-Receipt") == "" {
				t.Errorf("%s, %d: got %+v", way, i, a)
			}
		}
	}
	if got := len(u.Requests()); got != 8 {
		t.Errorf("forwarded: %d, want 8", got)
	}
}
