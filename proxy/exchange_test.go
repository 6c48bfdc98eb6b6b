package proxy_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// The basic credential of a helpdesk tool: an e-mail with an API token.
const basicAuth = "Basic YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46c2VjcmV0LXRva2Vu"

// call is one request of a test.
type call struct {
	method, path, body string
	header             http.Header
}

// answer is what a caller got.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
	problem struct {
		Reason, Cause, Receipt, Gap string
		Status                      int
		Forwarded                   bool
		UpstreamStatus              int `json:"upstream_status"`
		Record                      string
	}
}

// do sends a call with the helpdesk tool's credential. The client follows no
// redirect and decodes nothing by itself.
func do(t *testing.T, g *proxytest.Gateway, c call) answer {
	t.Helper()
	return send(t, request(t, g, c))
}

// request makes the request of a call.
func request(t *testing.T, g *proxytest.Gateway, c call) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.method, g.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", basicAuth)
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range c.header {
		if v == nil {
			req.Header.Del(k)
		} else {
			req.Header[k] = v
		}
	}
	return req
}

func send(t *testing.T, req *http.Request) answer {
	t.Helper()
	a, err := trySend(t, req)
	if err != nil {
		t.Fatalf("calling the gateway: %v", err)
	}
	return a
}

// trySend's error says that there is no answer.
func trySend(t *testing.T, req *http.Request) (answer, error) {
	t.Helper()
	return trySendOver(t, &http.Transport{DisableCompression: true, DisableKeepAlives: true}, req)
}

// trySendOver is trySend over a transport of the test's own.
func trySendOver(t *testing.T, transport http.RoundTripper, req *http.Request) (answer, error) {
	t.Helper()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	a := answer{status: res.StatusCode, header: res.Header, trailer: res.Trailer, body: string(body)}
	if res.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(body, &a.problem); err != nil {
			t.Fatalf("problem document: %v", err)
		}
		if a.problem.Reason != res.Header.Get("Caregate-Error") {
			t.Errorf("Caregate-Error: got %q, want the problem's %q", res.Header.Get("Caregate-Error"), a.problem.Reason)
		}
	}
	return a, nil
}

// jsonUpstream answers every call with one document.
func jsonUpstream(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestMasksOnTheWayInAndOut(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusCreated,
		`{"ticket":{"id":4402126792468,"subject":"refund","description":"old card 4242-4242-4242-4242","requester_id":33}}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	const in = `{ "ticket": {"subject":"refund", "comment":{"body":"my card is 4111 1111 1111 1111 thanks"},` +
		`"custom_fields":[{"id":360012345678,"value":"ssn 078-05-1120 and 219-09-9999"}],"requester":{"email":"eve@example.com"} }}`
	const want = `{ "ticket": {"subject":"refund", "comment":{"body":"my card is XXXX XXXX XXXX 1111 thanks"},` +
		`"custom_fields":[{"id":360012345678,"value":"ssn XXX-XX-XXXX and XXX-XX-XXXX"}],"requester":{"email":"eve@example.com"} }}`

	a := do(t, g, call{method: "POST", path: "/api/v2/tickets.json", body: in})
	if a.status != http.StatusCreated {
		t.Fatalf("status: got %d, want 201: %s", a.status, a.body)
	}
	got := u.Last(t)
	if string(got.Body) != want {
		t.Errorf("stored: got %s\nwant %s", got.Body, want)
	}
	if got.Length != int64(len(want)) {
		t.Errorf("Content-Length towards the upstream: got %d, want %d", got.Length, len(want))
	}
	if !strings.Contains(a.body, `"old card XXXX-XXXX-XXXX-4242"`) || !strings.Contains(a.body, "4402126792468") {
		t.Errorf("returned: got %s, want the card masked and the id kept", a.body)
	}

	response := g.Event(a.header.Get("Caregate-Receipt"))
	if response.Type != "response.decided" || response.Outcome != "released" || response.Status != 201 || !response.Forwarded {
		t.Errorf("event: got %+v", response)
	}
	masked := 0
	for _, f := range response.Findings {
		if f.Class == "credit_card" {
			masked = f.Masked
		}
	}
	if masked != 1 {
		t.Errorf("masked cards in the event: got %d, want 1", masked)
	}
	if response.Operation != "ticket.create" || response.Channel != "zendesk" {
		t.Errorf("operation: got %s of %s", response.Operation, response.Channel)
	}
	g.WaitForEntries(4) // genesis, configuration and two events
}

func TestCleanBodiesAreUntouched(t *testing.T) {
	// Order, spacing, number literals, escapes, unknown members: nothing may change.
	const odd = "{\r\n\t\"b\" : 1.0e+2 , \"a\":[ -0, 12345678901234567890.10 ,true , null ], \"u\":\"\\u00e9\\/\\t\", \"x y\" :{} }\n"
	zipped := zip(t, odd)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, zipped)
			return
		}
		_, _ = io.WriteString(w, odd)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})

	a := do(t, g, call{method: "POST", path: "/api/v2/tickets/1/tags", body: odd})
	if a.body != odd || string(u.Last(t).Body) != odd {
		t.Errorf("plain: got %q in and %q out", u.Last(t).Body, a.body)
	}
	a = do(t, g, call{method: "POST", path: "/api/v2/tickets/1/tags", body: zipped,
		header: http.Header{"Content-Encoding": {"gzip"}, "Accept-Encoding": {"br, gzip;q=0.5"}}})
	if a.body != zipped || a.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("answer in gzip: got coding %q, %d bytes", a.header.Get("Content-Encoding"), len(a.body))
	}
	if got := u.Last(t); string(got.Body) != zipped || got.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("request in gzip: got coding %q, %d bytes", got.Header.Get("Content-Encoding"), len(got.Body))
	}
}

// A finding inside a compressed body: identity goes on, in both directions.
func TestFindingsInCompressedBodies(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Digest", "sha-256=AAAA")
		_, _ = io.WriteString(w, zip(t, `{"d":"card 5555 5555 5555 4444"}`))
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: zip(t, `{"ticket":{"subject":"card 4111111111111111"}}`),
		header: http.Header{"Content-Encoding": {"gzip"}, "Content-Md5": {"x"}, "Accept-Encoding": {"gzip"}}})
	if got := u.Last(t); string(got.Body) != `{"ticket":{"subject":"card XXXXXXXXXXXX1111"}}` || got.Header.Get("Content-Encoding") != "" || got.Header.Get("Content-Md5") != "" {
		t.Errorf("upstream: got %q with %v", got.Body, got.Header)
	}
	if a.body != `{"d":"card XXXX XXXX XXXX 4444"}` || a.header.Get("Content-Encoding") != "" || a.header.Get("Digest") != "" {
		t.Errorf("answer: got %q with %v", a.body, a.header)
	}
}

func TestQueryPathAndHeaders(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	searched := do(t, g, call{method: "GET", path: "/api/v2/search.json?query=card+4111+1111+1111+1111&page=2", header: http.Header{"X-Note": {"pan 4111 1111 1111 1111"}}})
	if searched.status != http.StatusOK {
		t.Fatalf("search: got %d %s", searched.status, searched.body)
	}
	if got := u.Last(t); !strings.Contains(got.Target, "XXXX") || strings.Contains(got.Target, "4111+1111") || !strings.HasSuffix(got.Target, "&page=2") {
		t.Errorf("query: got %s", got.Target)
	} else if got.Header.Get("X-Note") != "pan XXXX XXXX XXXX 1111" {
		t.Errorf("header: got %q", got.Header.Get("X-Note"))
	}
	before := len(u.Requests())
	a := do(t, g, call{method: "GET", path: "/api/v2/nothing/4111111111111111"})
	if a.status != http.StatusUnprocessableEntity || a.problem.Reason != "finding_blocked" || a.problem.Forwarded || len(u.Requests()) != before {
		t.Errorf("card in a path: got %d %+v", a.status, a.problem)
	}
	// The same digits where the pattern names an id.
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/4111111111111111.json"}); a.status != http.StatusOK {
		t.Errorf("id in a path: got %d, want 200: %s", a.status, a.body)
	}
}

func TestRefusalsNameNoData(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for name, body := range map[string]string{
		"number":    `{"ticket":{"custom_fields":[{"id":1,"value":4111111111111111}]}}`,
		"malformed": `{"ticket":"4111 1111 1111 1111`,
	} {
		a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: body})
		if a.status < 400 || showsCard(a.body) || showsCard(strings.Join(a.header.Values("Caregate-Error"), "")) {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
		if e := g.Event(a.problem.Receipt); e.Decision != "deny" || e.Outcome != "not_released" || e.Forwarded || e.Sentence == "" {
			t.Errorf("%s: event %+v", name, e)
		}
	}
	if n := len(u.Requests()); n != 0 {
		t.Errorf("forwarded: got %d, want 0", n)
	}
}

func TestVendorURLsPointToTheGateway(t *testing.T) {
	var u *proxytest.Upstream
	u = proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", u.URL+"/api/v2/tickets/1.json")
		_, _ = io.WriteString(w, `{"tickets":[{"url":"`+u.URL+`/api/v2/tickets/1.json","subject":"see `+u.URL+`/x"}],"next_page":"`+
			strings.ReplaceAll(u.URL, "/", `\/`)+`\/api\/v2\/tickets.json?page=2","previous_page":null,"count":1}`)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets.json"})
	var doc struct {
		Tickets []struct{ URL, Subject string }
		Next    string `json:"next_page"`
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	if doc.Next != g.URL+"/api/v2/tickets.json?page=2" || doc.Tickets[0].URL != g.URL+"/api/v2/tickets/1.json" || a.header.Get("Location") != g.URL+"/api/v2/tickets/1.json" {
		t.Errorf("got %s, Location %s", a.body, a.header.Get("Location"))
	}
	if !strings.Contains(doc.Tickets[0].Subject, u.URL) {
		t.Errorf("an address in people's text was changed: %s", doc.Tickets[0].Subject)
	}
	if host := u.Last(t).Header.Get("X-Forwarded-Host"); host != g.Addr {
		t.Errorf("X-Forwarded-Host: got %q", host)
	}
}

func TestMaskedWriteBack(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "PUT", path: "/api/v2/tickets/7.json",
		body: `{"ticket":{"status":"open","subject":"card XXXX XXXX XXXX 1111","custom_fields":[{"id":1,"value":"XXX-XX-XXXX"},{"id":2,"value":"ok"}],"comment":{"body":"you said XXXX XXXX XXXX 1111"}}}`})
	if want := `{"ticket":{"status":"open","custom_fields":[{"id":2,"value":"ok"}],"comment":{"body":"you said XXXX XXXX XXXX 1111"}}}`; string(u.Last(t).Body) != want {
		t.Errorf("got %s\nwant %s (%d)", u.Last(t).Body, want, a.status)
	}
	before := len(u.Requests())
	a = do(t, g, call{method: "PUT", path: "/api/v2/unheard_of/7.json", body: `{"note":"XXXX XXXX XXXX 1111"}`})
	if a.status != http.StatusConflict || a.problem.Reason != "masked_write" || len(u.Requests()) != before {
		t.Errorf("unknown call: got %d %s", a.status, a.body)
	}
}

// The same written as a form: what the file names is taken out, and what it does not
// name is refused, because it could be a value that is replaced.
func TestMaskedWriteBackInForms(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	do(t, g, call{method: "PUT", path: "/api/v2/tickets/1", header: form, body: "ticket[subject]=XXX-XX-XXXX&ticket[status]=open"})
	if got := string(u.Last(t).Body); got != "ticket[status]=open" {
		t.Errorf("a field that the file names: got %s", got)
	}
	before := len(u.Requests())
	for name, body := range map[string]string{
		"unknown field": "ticket[unheard_of]=XXX-XX-XXXX",
		"custom field":  "ticket[custom_fields][][id]=1&ticket[custom_fields][][value]=XXX-XX-XXXX",
		"dots":          "ticket.subject=XXX-XX-XXXX",
	} {
		a := do(t, g, call{method: "PUT", path: "/api/v2/tickets/1", header: form, body: body})
		if a.status != http.StatusConflict || a.problem.Reason != "masked_write" || len(u.Requests()) != before {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}

// The caller of a call that passed unread holds the receipt of the answer: that one
// tells it too.
func TestReceiptTellsOfWhatPassedUnread(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"d":"card 4242 4242 4242 4242"}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "uninspected pass"})
	a := do(t, g, call{method: "POST", path: "/api/v2/uploads?filename=a.pdf", header: http.Header{"Content-Type": {"application/pdf"}}, body: "%PDF-1.7"})
	e := g.Event(a.header.Get("Caregate-Receipt"))
	if a.status != 200 || e.Attrs["request_unread"] != "type" || e.Attrs["unread"] != "" || !strings.Contains(e.Sentence, "the request's body passed unread (type)") {
		t.Errorf("got %d %+v", a.status, e)
	}
	b := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{}`})
	if e := g.Event(b.header.Get("Caregate-Receipt")); strings.Contains(e.Sentence, "unread") {
		t.Errorf("a call that was read: %s", e.Sentence)
	}
}

func TestObserveChangesNothing(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"d":"card 4242 4242 4242 4242"}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "observe"})
	for name, body := range map[string]string{
		"card":      `{"ticket":{"subject":"card 4111 1111 1111 1111"}}`,
		"number":    `{"n":4111111111111111}`,
		"malformed": `{"n":`,
	} {
		a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: body})
		if a.status != 200 || string(u.Last(t).Body) != body || a.body != `{"d":"card 4242 4242 4242 4242"}` {
			t.Errorf("%s: got %d, forwarded %s, answered %s", name, a.status, u.Last(t).Body, a.body)
		}
		if e := g.Event(a.header.Get("Caregate-Receipt")); e.Attrs["observe"] != "1" {
			t.Errorf("%s: event %+v", name, e)
		}
	}
	// What the report of it needs, and nothing of the caller's or of the data.
	a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{"subject":"4111111111111111 and card 4242 4242 4242 4242"}}`,
		header: http.Header{"User-Agent": {"python-requests/2 of ann@example.com"}, "X-Acme-Signature": {"v1=00"}}})
	for _, e := range g.Exchange(a.header.Get("Caregate-Receipt")) {
		request := e.Type == "request.decided"
		if e.Attrs["program"] != "python" || (e.Attrs["signed"] == "1") != request {
			t.Errorf("%s: attributes %v", e.Type, e.Attrs)
		}
		if doubts := e.Attrs["doubts"]; request && doubts != "credit_card checksum+issuer 1" || !request && doubts != "" {
			t.Errorf("%s: doubts %q", e.Type, doubts)
		}
	}
	for name, h := range map[string]http.Header{
		"image":         {"Content-Type": {"image/png"}},
		"no credential": {"Authorization": nil},
	} {
		if a := do(t, g, call{method: "POST", path: "/api/v2/uploads?filename=a.png", body: "\x89PNG", header: h}); a.status != 200 || string(u.Last(t).Body) != "\x89PNG" {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}

func TestUninspectedPass(t *testing.T) {
	png := strings.Repeat("\x89PNG 4111111111111111", 1000)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, png)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	upload := call{method: "POST", path: "/api/v2/uploads.json?filename=a.png", body: png, header: http.Header{"Content-Type": {"image/png"}}}
	if a := do(t, g, upload); a.status != http.StatusUnsupportedMediaType || a.problem.Reason != "type_not_inspected" || len(u.Requests()) != 0 {
		t.Errorf("upload: got %d %s", a.status, a.body)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1.json"}); a.status != http.StatusBadGateway || a.problem.Reason != "response_withheld" || a.problem.Cause != "type_not_inspected" || a.problem.UpstreamStatus != 200 || strings.Contains(a.body, "PNG") {
		t.Errorf("download: got %d %.200s", a.status, a.body)
	}
	o := proxytest.Options{Upstream: u.URL, Govern: "uninspected pass"}
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, upload)
	if a.status != 200 || a.body != png || string(u.Last(t).Body) != png {
		t.Fatalf("pass: got %d, %d bytes", a.status, len(a.body))
	}
	e := g.Event(a.header.Get("Caregate-Receipt"))
	if len(e.Findings) != 1 || e.Findings[0].Class != "*" || e.Findings[0].NotInspected != 1 {
		t.Errorf("event: got %+v, want one body not inspected", e)
	}
}

func TestCallersWordsStayHere(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Caregate-Receipt", "00000000000000000000000000000000")
		w.Header().Set("Caregate-Anything", "forged")
		_, _ = io.WriteString(w, "{}")
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Caregate-Reason": {"x"}, "Caregate-Purpose": {"support"}, "Idempotency-Key": {"k-1"}, "User-Agent": {"desk/1"}}})
	for name := range u.Last(t).Header {
		if strings.HasPrefix(name, "Caregate-") {
			t.Errorf("%s reached the upstream", name)
		}
	}
	if h := u.Last(t).Header; h.Get("Idempotency-Key") != "k-1" || h.Get("User-Agent") != "desk/1" || h.Get("Authorization") != basicAuth {
		t.Errorf("headers changed: %v", h)
	}
	if a.header.Get("Caregate-Anything") != "" || strings.HasPrefix(a.header.Get("Caregate-Receipt"), "0000000000") {
		t.Errorf("the upstream spoke for us: %v", a.header)
	}
	a = do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Caregate-Key": {"cgk1forged"}}})
	if a.status != http.StatusUnauthorized || a.problem.Receipt == "" {
		t.Errorf("forged key: got %d %s", a.status, a.body)
	}
}

// Whoever speaks in the gateway's name is told that it does not count.
func TestForgedHeaders(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for name, h := range map[string]http.Header{
		"a receipt":          {"Caregate-Receipt": {"00000000000000000000000000000000"}},
		"a gap":              {"Caregate-Gap": {"00000000000000000000000000000000"}},
		"a verdict":          {"Caregate-Verified": {"yes"}},
		"a person, unproven": {"Caregate-Actor": {"dpo@example.com"}},
		"in lower case":      {"caregate-tenant": {"other"}},
		"without a value":    {"Caregate-Admin": {""}},
		"beside a key":       {"Caregate-Key": {"cgk1forged"}, "Caregate-Role": {"admin"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{}`, header: h})
			status, reason := 400, "header_forged"
			if h.Get("Caregate-Key") != "" {
				status, reason = 401, "invalid_credential"
			}
			if a.status != status || a.problem.Reason != reason || a.problem.Forwarded {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if e := g.Event(a.problem.Receipt); e.Decision != "deny" || e.Reason != reason || e.Forwarded || e.Operation != "ticket.create" {
				t.Errorf("event: got %+v", e)
			}
		})
	}
	if n := len(u.Requests()); n != 0 {
		t.Errorf("%d calls were forwarded", n)
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "observe"}); err != nil {
		t.Fatal(err)
	}
	a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{}`, header: http.Header{"Caregate-Verified": {"yes"}}})
	if a.status != 200 || u.Last(t).Header.Get("Caregate-Verified") != "" {
		t.Errorf("observe: got %d, forwarded %v", a.status, u.Last(t).Header)
	}
	e := g.Exchange(a.header.Get("Caregate-Receipt"))
	if len(e) != 2 || e[0].Attrs["would"] != "header_forged" {
		t.Errorf("observe: events: got %+v", e)
	}
}

func zip(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
