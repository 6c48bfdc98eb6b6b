package proxy_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// ids are receipts and other random names, which hold any four digits now and then.
var ids = regexp.MustCompile(`[0-9a-f]{32}`)

// withoutIDs is a text without them.
func withoutIDs(text string) string { return ids.ReplaceAllString(text, "") }

// showsCard reports whether a text holds the first digits of the card that these tests
// write.
func showsCard(text string) bool { return strings.Contains(withoutIDs(text), "4111") }

// The places and the shapes in which an answer can carry a card past somebody
// who looks at bodies of 200 only.
func TestNothingLeavesUnread(t *testing.T) {
	const card = "4111 1111 1111 1111"
	var handle http.HandlerFunc
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) { handle(w, r) })
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	withType := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, body)
		}
	}
	withHeader := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header()[name] = []string{value}
			jsonUpstream(200, "{}")(w, r)
		}
	}
	for name, test := range map[string]struct {
		handle http.HandlerFunc
		status int
		body   string      // when released
		header http.Header // as released
	}{
		"205 with content": {handle: jsonUpstream(http.StatusResetContent, `{"d":"`+card+`"}`), status: 205, body: `{"d":"XXXX XXXX XXXX 1111"}`},
		"205 without a type": {handle: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.WriteHeader(http.StatusResetContent)
			_, _ = io.WriteString(w, card)
		}, status: 502},
		"unknown status":          {handle: jsonUpstream(299, `{"d":"`+card+`"}`), status: 299, body: `{"d":"XXXX XXXX XXXX 1111"}`},
		"type in capitals":        {handle: withType("APPLICATION/JSON; CHARSET=UTF-8", `{"d":"`+card+`"}`), status: 200, body: `{"d":"XXXX XXXX XXXX 1111"}`},
		"number":                  {handle: jsonUpstream(200, `{"d":4111111111111111}`), status: 200, body: `{"d":null}`},
		"key":                     {handle: jsonUpstream(200, `{"`+card+`":1}`), status: 502},
		"utf-16":                  {handle: withType("application/json; charset=utf-16", `{}`), status: 502},
		"JSON as text":            {handle: withType("text/plain", `{"d":"\u0034111 1111 1111 1111"}`), status: 200, body: `{"d":"XXXX XXXX XXXX 1111"}`},
		"nearly JSON as text":     {handle: withType("text/plain", `{"d":"\u0034111 1111 1111 1111",}`), status: 502},
		"JSON twice as text":      {handle: withType("text/plain", `{"d":"a","d":"b"}`), status: 502},
		"marked JSON as text":     {handle: withType("text/plain", "\ufeff"+`{"d":"\u0034111 1111 1111 1111"}`), status: 502},
		"form as text":            {handle: withType("text/plain", `a=b&d=4111%201111%201111%201111`), status: 200, body: `a=b&d=XXXX%20XXXX%20XXXX%201111`},
		"people's brackets":       {handle: withType("text/plain", `[urgent] "call" me`), status: 200, body: `[urgent] "call" me`},
		"people's quotes":         {handle: withType("text/plain", `"Thanks" she wrote, 100% sure`), status: 200, body: `"Thanks" she wrote, 100% sure`},
		"under our name":          {handle: withHeader("Caregate-Note", card), status: 200, body: "{}", header: http.Header{"Caregate-Note": nil}},
		"header":                  {handle: withHeader("X-Note", card), status: 200, body: "{}", header: http.Header{"X-Note": {"XXXX XXXX XXXX 1111"}}},
		"header, encoded":         {handle: withHeader("Link", "</x?q=4111%201111%201111%201111&r=%41>"), status: 200, body: "{}", header: http.Header{"Link": {"</x?q=XXXX%20XXXX%20XXXX%201111&r=%41>"}}},
		"header name":             {handle: withHeader("X-4111111111111111", "y"), status: 502},
		"file name":               {handle: withHeader("Content-Disposition", `attachment; filename="`+card+`.pdf"`), status: 200, body: "{}", header: http.Header{"Content-Disposition": {`attachment; filename="XXXX XXXX XXXX 1111.pdf"`}}},
		"file name, encoded":      {handle: withHeader("Content-Disposition", "attachment; filename*=UTF-8''4111%201111%201111%201111.pdf"), status: 200, body: "{}", header: http.Header{"Content-Disposition": {"attachment; filename*=UTF-8''XXXX%20XXXX%20XXXX%201111.pdf"}}},
		"receipt made hop by hop": {handle: withHeader("Connection", "Caregate-Receipt"), status: 200, body: "{}"},
		"trailers": {handle: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Note")
			jsonUpstream(200, "{}")(w, r)
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("X-Note", card)
			w.Header().Set(http.TrailerPrefix+"X-Other", card)
		}, status: 200, body: "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			handle = test.handle
			a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
			if a.status != test.status || test.status != 502 && a.body != test.body {
				t.Errorf("got %d %s, want %d %s", a.status, a.body, test.status, test.body)
			}
			if test.status == 502 && a.problem.Reason != "response_withheld" || a.problem.Cause == "internal_error" {
				t.Errorf("got %+v", a.problem)
			}
			for name, want := range test.header {
				if got := strings.Join(a.header[name], "|"); got != strings.Join(want, "|") {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			for name, values := range a.header {
				if showsCard(name + strings.Join(values, "")) {
					t.Errorf("released: %s: %q", name, values)
				}
			}
			for name, values := range a.trailer {
				t.Errorf("trailer: %s: %q", name, values)
			}
			if showsCard(a.body) {
				t.Errorf("released: %s", a.body)
			}
			if e := g.Event(a.header.Get("Caregate-Receipt")); e.Exchange == "" {
				t.Errorf("event: %+v", e)
			}
		})
	}
}

// Trailers of a body that passes unread are not part of what may pass.
func TestUnreadBodiesHaveNoTrailers(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
		_ = http.NewResponseController(w).Flush()
		w.Header().Set(http.TrailerPrefix+"Caregate-Receipt", "forged")
		w.Header().Set(http.TrailerPrefix+"X-Note", "4111 1111 1111 1111")
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "uninspected pass"})
	if a := do(t, g, call{method: "GET", path: "/api/v2/attachments/1.json"}); a.status != 200 || len(a.body) != 64<<10 || len(a.trailer) != 0 {
		t.Errorf("got %d, %d bytes, trailers %v", a.status, len(a.body), a.trailer)
	}
}

// What a caller sends where no body, no text and no method is looked for.
func TestNothingEntersUnread(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	const card, body, masked = "4111 1111 1111 1111", `{"d":"4111 1111 1111 1111"}`, `{"d":"XXXX XXXX XXXX 1111"}`
	form := func(extra http.Header) http.Header {
		h := formType.Clone()
		for k, v := range extra {
			h[k] = v
		}
		return h
	}
	for name, test := range map[string]struct {
		call   call
		status int
		reason string
		stored string
	}{
		"GET with a body":          {call: call{method: "GET", body: body}, status: 200, stored: masked},
		"DELETE with a body":       {call: call{method: "DELETE", body: body}, status: 200, stored: masked},
		"OPTIONS with a body":      {call: call{method: "OPTIONS", body: body}, status: 200, stored: masked},
		"preflight with a body":    {call: call{method: "OPTIONS", body: body, header: http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"GET"}}}, status: 200, stored: masked},
		"HEAD with a body":         {call: call{method: "HEAD", body: body}, status: 200, stored: masked},
		"JSON as text":             {call: call{body: `{"d":"\u0034111 1111 1111 1111"}`, header: http.Header{"Content-Type": {"text/plain"}}}, status: 200, stored: masked},
		"nearly JSON as text":      {call: call{body: `{"d":"\u0034111 1111 1111 1111",}`, header: http.Header{"Content-Type": {"text/plain"}}}, status: 400, reason: "json_syntax"},
		"form as text":             {call: call{body: "d=4111%201111%201111%201111", header: http.Header{"Content-Type": {"text/plain"}}}, status: 200, stored: "d=XXXX%20XXXX%20XXXX%201111"},
		"card in an address":       {call: call{method: "GET", header: http.Header{"Referer": {"https://a.example/?q=4111%201111%201111%201111"}}}, status: 200},
		"card as a header name":    {call: call{method: "GET", header: http.Header{"X-4111111111111111": {"1"}}}, status: 422, reason: "finding_blocked"},
		"card as a file name":      {call: call{body: "{}", header: http.Header{"Content-Disposition": {"attachment; filename=\"" + card + ".png\""}}}, status: 200, stored: "{}"},
		"card as a parameter name": {call: call{method: "GET", path: "/api/v2/tickets?4111+1111+1111+1111=x"}, status: 422, reason: "finding_blocked"},
		"method in a form":         {call: call{body: "a=b&_method=DELETE", header: form(nil)}, status: 400, reason: "method_override"},
		"method in a form, hidden": {call: call{body: "a=b&%5Fm%65thod=delete", header: form(nil)}, status: 400, reason: "method_override"},
		"method in a query":        {call: call{path: "/api/v2/tickets?_method=delete", body: "{}"}, status: 400, reason: "method_override"},
		"method in a header":       {call: call{body: "{}", header: http.Header{"X-Http-Method": {"DELETE"}}}, status: 400, reason: "method_override"},
		"type made hop by hop":     {call: call{body: "{}", header: http.Header{"Connection": {"close, Content-Type"}}}, status: 400, reason: "header_ambiguous"},
		"login made hop by hop":    {call: call{method: "GET", header: http.Header{"Connection": {"authorization"}}}, status: 400, reason: "header_ambiguous"},
	} {
		t.Run(name, func(t *testing.T) {
			c := test.call
			if c.method == "" {
				c.method = "POST"
			}
			if c.path == "" {
				c.path = "/api/v2/tickets"
			}
			before := len(u.Requests())
			a := do(t, g, c)
			reason := a.header.Get("Caregate-Error")
			if a.status != test.status || reason != test.reason {
				t.Errorf("got %d %s, want %d %s", a.status, reason, test.status, test.reason)
			}
			forwarded := u.Requests()[before:]
			if (test.reason == "") != (len(forwarded) == 1) {
				t.Fatalf("forwarded: %d", len(forwarded))
			}
			for _, r := range forwarded {
				if string(r.Body) != test.stored {
					t.Errorf("stored: got %s, want %s", r.Body, test.stored)
				}
				if showsCard(r.Target) {
					t.Errorf("target: %s", r.Target)
				}
				for name, values := range r.Header {
					if showsCard(name + strings.Join(values, "")) {
						t.Errorf("forwarded: %s: %q", name, values)
					}
				}
			}
		})
	}
}
