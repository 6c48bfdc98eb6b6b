package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// bodies are one body of each kind that is made of pieces, and what is left of it.
var bodies = map[string]struct{ media, in, want string }{
	"html":      {"text/html; charset=utf-8", "<p>4111<b>1111</b>1111&#49;111</p>", "<p>XXXX<b>XXXX</b>XXXX&#49;111</p>"},
	"xml":       {"text/xml", "<r><m>my card 4111111111111111</m></r>", "<r><m>my card XXXXXXXXXXXX1111</m></r>"},
	"soap":      {"application/soap+xml", "<r><ssn>536228145</ssn></r>", "<r><ssn>XXX-XX-XXXX</ssn></r>"},
	"csv":       {"text/csv", "name,cvv\nJo,123\n", "name,cvv\nJo,XXX\n"},
	"ndjson":    {"application/x-ndjson", "{\"ssn\":\"536228145\"}\n{}\n", "{\"ssn\":\"XXX-XX-XXXX\"}\n{}\n"},
	"sse":       {"text/event-stream", "data: 4111 1111\ndata: 1111 1111\n\n", "data: XXXX XXXX\ndata: XXXX 1111\n\n"},
	"mail":      {"message/rfc822", "Subject: s\r\n\r\ncard 4111111111111111", "Subject: s\r\n\r\ncard XXXXXXXXXXXX1111"},
	"multipart": {"multipart/form-data; boundary=b", part("card 4111111111111111"), part("card XXXXXXXXXXXX1111")},
}

func part(text string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n" + text + "\r\n--b--\r\n"
}

func TestKindsOfBodies(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		c := bodies[strings.TrimPrefix(r.Header.Get("X-Case"), "of ")]
		w.Header().Set("Content-Type", c.media)
		_, _ = io.WriteString(w, c.in)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for name, c := range bodies {
		a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: c.in, header: http.Header{"Content-Type": {c.media}, "X-Case": {"of " + name}}})
		if a.status != 200 || a.body != c.want || string(u.Last(t).Body) != c.want {
			t.Errorf("%s: got %d %q, the upstream %q", name, a.status, a.body, u.Last(t).Body)
		}
	}
}

// Two readers of a multipart body must not find different parts in it.
func TestMultipartBoundaries(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, "{}"))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for name, media := range map[string]string{
		"missing":   "multipart/form-data",
		"another":   "multipart/form-data; boundary=c",
		"longer":    "multipart/form-data; boundary=bb",
		"continued": "multipart/form-data; boundary*0=b",
		"extended":  "multipart/form-data; boundary=b; boundary*=utf-8''c",
	} {
		a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: part("x"), header: http.Header{"Content-Type": {media}}})
		if a.status < 400 || a.problem.Forwarded {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}

// A part that nobody can read is refused, or passes beside the parts that are
// read, as the route says.
func TestPartsUnread(t *testing.T) {
	image := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG 4111111111111111\r\n"
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/form-data; boundary=b")
		_, _ = io.WriteString(w, image+part("x"))
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	upload := call{method: "POST", path: "/api/v2/tickets", body: image + part("card 4111111111111111"), header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}}
	if a := do(t, g, upload); a.status != http.StatusUnsupportedMediaType || a.problem.Reason != "type_not_inspected" || len(u.Requests()) != 0 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "uninspected pass"}); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, upload)
	if a.status != 200 || string(u.Last(t).Body) != image+part("card XXXXXXXXXXXX1111") {
		t.Fatalf("got %d, the upstream %q", a.status, u.Last(t).Body)
	}
	e := g.Event(a.header.Get("Caregate-Receipt"))
	if len(e.Findings) != 1 || e.Findings[0].Class != "*" || e.Findings[0].NotInspected != 1 {
		t.Errorf("event: got %+v, want one part not inspected", e.Findings)
	}
}
