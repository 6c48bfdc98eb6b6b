package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caregate/caregate/policy"
)

// Where a refused caller is sent, and with which status.
func TestLoginAfter(t *testing.T) {
	t.Parallel()
	page := http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	for name, test := range map[string]struct {
		method, path string
		header       http.Header
		kind, code   string
		status       int
		to           string
	}{
		"a page":                       {"GET", "/agent/1?a=b&c", page, policy.KindAnonymous, reasonNoCredential, 303, "/caregate/login?return=%2Fagent%2F1%3Fa%3Db%26c"},
		"an ended session":             {"GET", "/", page, policy.KindAnonymous, reasonBadCredential, 303, "/caregate/login?return=%2F"},
		"the gateway's credential":     {"GET", "/", page, policy.KindAnonymous, reasonGatewayCredential, 303, "/caregate/login?return=%2F"},
		"an old login":                 {"GET", "/a", page, policy.KindToken, reasonLoginAge, 303, "/caregate/login?again&return=%2Fa"},
		"an old login of a script":     {"GET", "/a", nil, policy.KindToken, reasonLoginAge, 403, "/caregate/login?again"},
		"a script":                     {"GET", "/a", nil, policy.KindAnonymous, reasonNoCredential, 401, "/caregate/login"},
		"a form":                       {"POST", "/a", page, policy.KindAnonymous, reasonNoCredential, 401, "/caregate/login"},
		"a head":                       {"HEAD", "/a", page, policy.KindAnonymous, reasonNoCredential, 401, "/caregate/login"},
		"two modes":                    {"GET", "/a", http.Header{"Sec-Fetch-Mode": {"navigate", "cors"}, "Sec-Fetch-Dest": {"document"}}, policy.KindAnonymous, reasonNoCredential, 401, "/caregate/login"},
		"who has not the right":        {"GET", "/a", page, policy.KindToken, "role_not_allowed", 403, ""},
		"who has no second factor":     {"GET", "/a", page, policy.KindToken, "mfa_required", 403, ""},
		"somebody's key":               {"GET", "/a", page, policy.KindKey, reasonNoCredential, 401, ""},
		"another refusal":              {"GET", "/a", page, policy.KindAnonymous, reasonHeader, 400, ""},
		"a failing log":                {"GET", "/a", page, policy.KindAnonymous, reasonAuditUnavailable, 503, ""},
		"the login's page":             {"GET", pageLogin + "?return=/", page, policy.KindAnonymous, reasonNoCredential, 401, ""},
		"the login's page, as spelled": {"GET", "/%63aregate/login", page, policy.KindAnonymous, reasonNoCredential, 401, ""},
	} {
		r := httptest.NewRequest(test.method, "https://desk.example.com"+test.path, nil)
		r.Header = test.header
		x := &exchange{login: loginFor(r), actor: policy.Actor{Kind: test.kind}}
		ref := refuse(test.code)
		if got := x.loginAfter(ref); got != test.to || x.statusOf(ref) != test.status {
			t.Errorf("%s: got %d to %q, want %d to %q", name, x.statusOf(ref), got, test.status, test.to)
		}
	}
	if x := (&exchange{}); x.loginAfter(refuse(reasonLoginAge)) != "" || x.statusOf(refuse(reasonNoCredential)) != 401 {
		t.Error("a route without sessions leads to the login")
	}
}

// Whatever address was called, the browser is sent to the login of this site, which sends
// it to a page of this site.
func FuzzLoginFor(f *testing.F) {
	for _, s := range []string{"/agent/1?a=b", "//attacker.example", "/\\attacker.example", "/a?return=https://attacker.example", "/%0d%0aLocation:%20x", "/caregate/logout", "/a;b?c;d", "/?%zz", "*", ""} {
		f.Add(s)
	}
	site := &url.URL{Scheme: "https", Host: "desk.example.com", Path: "/"}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil || u.Host != "" || u.Scheme != "" {
			return // a server takes it for no path
		}
		l := loginFor(&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"Accept": {"text/html"}}})
		if l == (login{}) {
			return
		}
		for _, to := range []string{l.to, l.again} {
			at, err := site.Parse(to)
			if err != nil || at.Host != site.Host || at.Scheme != "https" || at.Path != pageLogin || strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
				t.Fatalf("leads to %q", to)
			}
			back, err := site.Parse(backTo(at.Query().Get("return")))
			if err != nil || back.Host != site.Host || back.Scheme != "https" || back.User != nil {
				t.Fatalf("leads back to %q", back)
			}
		}
	})
}
