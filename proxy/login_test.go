package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// What a browser shows the gateway does not reach the upstream, and the upstream gives no
// browser what counts here, on a route that knows nothing of logins too.
func TestCookiesOfTheGateway(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"desk=1", "__Host-caregate=planted; Path=/; Secure", "caregate=planted"}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Cookie": {"_zendesk=a; caregate=cgs1secret; __Host-caregate=cgs1secret; lang=de"}}})
	if a.status != http.StatusOK || !slices.Equal(a.header["Set-Cookie"], []string{"desk=1"}) {
		t.Errorf("the answer: got %d with %q", a.status, a.header["Set-Cookie"])
	}
	if got := u.Last(t).Header["Cookie"]; !slices.Equal(got, []string{"_zendesk=a; lang=de"}) {
		t.Errorf("towards the upstream: got %q", got)
	}
}

// The pages are there with a provider only, and give no session over a connection that
// others can read.
func TestLoginPages(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	api := proxytest.FreeAddr(t)
	o := proxytest.Options{Upstream: u.URL, Sites: "http://" + api + ", http://gateway.example:" + api[strings.LastIndexByte(api, ':')+1:] + " {\n bind 127.0.0.1\n caregate_api\n}\n"}
	g := proxytest.Start(t, o)
	get := func(method, path, host string, header http.Header) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+api+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		req.Header = header
		return send(t, req)
	}
	if a := get("GET", "/caregate/login", "", nil); a.status != http.StatusNotFound {
		t.Errorf("without a provider: got %d", a.status)
	}
	// Nobody listens there: the provider is away from the start.
	o.Block = "identity oidc http://" + proxytest.FreeAddr(t) + " {\n client_id caregate\n role staff agent\n}"
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	other := "gateway.example:" + api[strings.LastIndexByte(api, ':')+1:]
	for name, test := range map[string]struct {
		method, path, host string
		header             http.Header
		status             int
		reason             string
	}{
		"away":                   {"GET", "/caregate/login", "", nil, 503, "login_unavailable"},
		"in the open":            {"GET", "/caregate/login", other, nil, 403, "login_insecure"},
		"an answer in the open":  {"GET", "/caregate/callback?code=1&state=2", other, nil, 403, "login_insecure"},
		"nobody's answer":        {"GET", "/caregate/callback?code=1&state=2", "", nil, 400, "login_state"},
		"no query":               {"GET", "/caregate/callback?%zz", "", nil, 400, "query_unparsable"},
		"a long query":           {"GET", "/caregate/callback?" + strings.Repeat("a", 9<<10), "", nil, 400, "query_unparsable"},
		"nobody":                 {"GET", "/caregate/session", "", nil, 200, ""},
		"a session of nobody":    {"GET", "/caregate/session", "", http.Header{"Cookie": {"caregate=cgs1" + strings.Repeat("0", 56)}}, 200, ""},
		"a link that logs out":   {"GET", "/caregate/logout", "", nil, 405, "method_refused"},
		"a form elsewhere":       {"POST", "/caregate/logout", "", http.Header{"Origin": {"https://attacker.example"}}, 403, "origin_refused"},
		"a form in a frame":      {"POST", "/caregate/logout", "", http.Header{"Origin": {"null"}}, 403, "origin_refused"},
		"a form elsewhere, told": {"POST", "/caregate/logout", "", http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {"cross-site"}}, 403, "origin_refused"},
		"a form of nobody":       {"POST", "/caregate/logout", "", nil, 403, "origin_refused"},
		"nothing":                {"GET", "/caregate/", "", nil, 404, "not_found"},
		"two sessions":           {"GET", "/api/v1/status", "", http.Header{"Cookie": {"caregate=a; caregate=b"}}, 400, "header_ambiguous"},
		"no session":             {"GET", "/api/v1/status", "", http.Header{"Cookie": {"caregate=a"}}, 401, "invalid_credential"},
	} {
		a := get(test.method, test.path, test.host, test.header)
		if a.status != test.status || a.header.Get("Caregate-Error") != test.reason {
			t.Errorf("%s: got %d %s, want %d %s", name, a.status, a.header.Get("Caregate-Error"), test.status, test.reason)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", test.path, name, got)
			}
		}
		if len(a.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: got a cookie", test.path)
		}
	}
	// As browsers send the form of a page that does not tell where it is.
	if a := get("POST", "/caregate/logout", "", http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {"same-origin"}}); a.status != 303 {
		t.Errorf("a form of ours: got %d", a.status)
	}
	if a := get("GET", "/caregate/callback", "", nil); a.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers of the answer's page: got %v", a.header)
	}
	if a := get("GET", "/caregate/session", "", nil); a.header.Get("Referrer-Policy") != "strict-origin" || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("headers of a page: got %v", a.header)
	}
}

// A route takes sessions where people can log in, and knows nothing of them unless it says
// so.
func TestSessionsOfARoute(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "identity session"}); err == nil || !strings.Contains(err.Error(), "identity session needs identity oidc") {
		t.Fatalf("without a provider: got %v", err)
	}
	o := proxytest.Options{Upstream: u.URL, Block: "identity oidc http://" + proxytest.FreeAddr(t) + " {\n client_id caregate\n role staff agent\n}"}
	bare := func(cookie string) call {
		return call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Authorization": nil, "Accept": {"text/html"}, "Cookie": {cookie}}}
	}
	made := "caregate=cgs1" + strings.Repeat("0", 56)
	for _, step := range []struct {
		name, govern, cookie string
		status               int
		reason, to           string
	}{
		{"off", "", made, 401, "no_credential", ""},
		{"on", "identity session", made, 303, "invalid_credential", "/caregate/login?return=%2Fapi%2Fv2%2Ftickets%2F1"},
		{"on, two", "identity session", made + "; " + made, 400, "header_ambiguous", ""},
		{"on, nobody", "identity session", "a=1", 303, "no_credential", "/caregate/login?return=%2Fapi%2Fv2%2Ftickets%2F1"},
		{"watching", "identity session\nobserve", made, 200, "", ""},
		{"the gateway's credential", "identity session\ncredential bearer {env.DESK_TOKEN}", "a=1", 303, "gateway_credential_required", "/caregate/login?return=%2Fapi%2Fv2%2Ftickets%2F1"},
	} {
		t.Setenv("DESK_TOKEN", "a-token-of-the-desk")
		o.Govern = step.govern
		if err := g.Load(o); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		before := len(u.Requests())
		a := do(t, g, bare(step.cookie))
		if a.status != step.status || a.header.Get("Caregate-Error") != step.reason || a.header.Get("Location") != step.to {
			t.Errorf("%s: got %d %s to %q", step.name, a.status, a.header.Get("Caregate-Error"), a.header.Get("Location"))
		}
		if reached := len(u.Requests()) > before; reached != (step.status == 200) {
			t.Errorf("%s: the upstream was reached: %v", step.name, reached)
		}
	}
	// Over a connection that others can read no session counts, and the login says so.
	open := proxytest.FreeAddr(t)
	o.Govern, o.Sites = "", "http://desk.example:"+open[strings.LastIndexByte(open, ':')+1:]+" {\n bind 127.0.0.1\n govern zendesk "+u.URL+" {\n route open\n identity session\n }\n}\n"
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	req := request(t, g, bare(made+"; "+made))
	req.Host, req.URL.Host = "desk.example:"+open[strings.LastIndexByte(open, ':')+1:], open
	if a := send(t, req); a.status != 303 || a.header.Get("Caregate-Error") != "no_credential" {
		t.Errorf("in the open: got %d %s", a.status, a.header.Get("Caregate-Error"))
	}
}
