package login_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// desk is a site with a desk's pages and API behind the gateway, where people count by
// their login.
type desk struct {
	*stage
	upstream *proxytest.Upstream
}

func newDesk(t *testing.T, block, govern string) *desk {
	t.Helper()
	d := &desk{upstream: proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = []string{"desk=of-its-own; Path=/", "__Host-caregate=planted; Path=/; Secure", "caregate=planted", "__HOST-Caregate-login-x=planted"}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"ok":true}`)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>desk</title><p id="here">a page of the desk</p>`)
	})}
	d.stage = newSite(t, block, d.upstream.URL, "handle /caregate/* {\n caregate_api\n }\n handle {\n govern ./testdata/desk.yaml "+d.upstream.URL+" {\n route own\n identity session\n "+govern+"\n }\n }")
	return d
}

// opens are the headers of a browser that opens a page.
var opens = map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}

// once sends one call of a browser and follows nothing.
func (b *browser) once(method, to, body string, header map[string]string) page {
	b.t.Helper()
	follow := b.CheckRedirect
	defer func() { b.CheckRedirect = follow }()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h := map[string]string{}
	if body != "" {
		h["Content-Type"] = "application/json"
	}
	maps.Copy(h, header)
	return b.send(method, to, strings.NewReader(body), h)
}

// The whole round of a person at a desk: a page, the login, the page, a change, an attack,
// the log-out, and nothing more.
func TestDesk(t *testing.T) {
	d := newDesk(t, "", "")
	b := d.browser()
	p := b.do("GET", "/agent/1?tab=a&x=%2F", nil, opens)
	if len(d.upstream.Requests()) != 0 {
		t.Fatal("a page was shown to nobody")
	}
	p = b.fill(p, "ada", "123456")
	if p.status != http.StatusOK || p.at.String() != d.site+"/agent/1?tab=a&x=%2F" || !strings.Contains(p.body, "a page of the desk") {
		t.Fatalf("after the login: got %d at %s: %s", p.status, p.at.Redacted(), p.body)
	}
	secret := b.session()
	if secret == "" || secret == "planted" {
		t.Fatal("the browser has no session of the gateway's")
	}
	if e := d.gateway.Event(p.header.Get("Caregate-Receipt")); e.Identity != "proven" || !slices.Equal(e.Roles, []string{"agent"}) || e.Operation != "page.show" {
		t.Errorf("the event of the page: %+v", e)
	}

	same := map[string]string{"Origin": d.site, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	if p := b.once("POST", "/api/tickets/1", `{"state":"open"}`, same); p.status != http.StatusOK || p.body != `{"ok":true}` {
		t.Errorf("a change: got %d %s", p.status, p.body)
	}
	if got := d.upstream.Last(t).Header["Cookie"]; !strings.Contains(strings.Join(got, ";"), "desk=of-its-own") || strings.Contains(strings.ToLower(strings.Join(got, ";")), "caregate") {
		t.Errorf("the desk's cookies: got %q", got)
	}

	before := len(d.upstream.Requests())
	for name, test := range map[string]struct {
		method, path string
		header       map[string]string
	}{
		"a form elsewhere":       {"POST", "/api/tickets/1", map[string]string{"Origin": "https://attacker.example", "Sec-Fetch-Site": "cross-site"}},
		"a form next door":       {"POST", "/api/tickets/1", map[string]string{"Origin": "https://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}},
		"without TLS":            {"POST", "/api/tickets/1", map[string]string{"Origin": strings.Replace(d.site, "https:", "http:", 1)}},
		"nobody knows whose":     {"POST", "/api/tickets/1", nil},
		"a page without address": {"POST", "/api/tickets/1", map[string]string{"Origin": "null"}},
		"one of the two lies":    {"POST", "/api/tickets/1", map[string]string{"Origin": d.site, "Sec-Fetch-Site": "cross-site"}},
		"the other one lies":     {"POST", "/api/tickets/1", map[string]string{"Origin": "https://attacker.example", "Sec-Fetch-Site": "same-origin"}},
		"a link that changes":    {"GET", "/api/tickets/1/close", opens},
		"in another spelling":    {"GET", "/agent/drop.x", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}},
		"an image that changes":  {"GET", "/api/tickets/1/close", nil},
		"a read from next door":  {"GET", "/api/tickets/1", map[string]string{"Origin": "https://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}},
		"a frame elsewhere":      {"GET", "/agent/1", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}},
	} {
		body := ""
		if test.method == "POST" {
			body = `{"state":"closed"}`
		}
		if p := b.once(test.method, test.path, body, test.header); p.status != http.StatusForbidden || p.header.Get("Caregate-Error") != "origin_refused" {
			t.Errorf("%s: got %d %s", name, p.status, p.header.Get("Caregate-Error"))
		}
	}
	if now := len(d.upstream.Requests()); now != before {
		t.Errorf("%d attacks reached the desk", now-before)
	}
	for name, test := range map[string]struct {
		method, path string
		header       map[string]string
	}{
		"a link from elsewhere": {"GET", "/agent/2", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}},
		"an old browser":        {"GET", "/agent/2", map[string]string{"Accept": "text/html"}},
		"a script of the desk":  {"GET", "/api/tickets/1/close", map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}},
		"a form that hides":     {"POST", "/api/tickets/1", map[string]string{"Origin": "null", "Sec-Fetch-Site": "same-origin"}},
	} {
		if p := b.once(test.method, test.path, "", test.header); p.status != http.StatusOK {
			t.Errorf("%s: got %d %s", name, p.status, p.header.Get("Caregate-Error"))
		}
	}
	// The gateway's own API is not there, whatever the desk has at its place.
	if p := b.once("GET", "/api/v1/status", "", same); p.body != `{"ok":true}` {
		t.Errorf("the place of the gateway's API: got %d %s", p.status, p.body)
	}

	if p := b.do("POST", "/caregate/logout", nil, map[string]string{"Origin": d.site}); p.status != http.StatusOK || b.session() != "" {
		t.Errorf("log out: got %d", p.status)
	}
	d.gone(secret)
	d.keepsSecrets(b, secret)
}

// gone looks for what an ended session still gives.
func (d *desk) gone(secret string) {
	d.t.Helper()
	before := len(d.upstream.Requests())
	cookie := "__Host-caregate=" + secret
	p := d.browser().once("GET", "/api/tickets/1", "", map[string]string{"Cookie": cookie, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
	var told struct{ Reason, Login string }
	if err := json.Unmarshal([]byte(p.body), &told); err != nil || p.status != http.StatusUnauthorized || told.Reason != "invalid_credential" || told.Login != "/caregate/login" {
		d.t.Errorf("an ended session: got %d %+v, %v", p.status, told, err)
	}
	header := map[string]string{"Cookie": cookie}
	maps.Copy(header, opens)
	if p := d.browser().once("GET", "/agent/1", "", header); p.status != http.StatusSeeOther || p.header.Get("Location") != "/caregate/login?return=%2Fagent%2F1" {
		d.t.Errorf("a page of an ended session: got %d to %s", p.status, p.header.Get("Location"))
	}
	if len(d.upstream.Requests()) != before {
		d.t.Error("an ended session reached the desk")
	}
}

// What callers may show, and what it gives.
func TestSessionsAtDesk(t *testing.T) {
	d := newDesk(t, "", "")
	b := d.browser()
	if p := b.logIn("/agent/1", "ada", "1"); p.status != http.StatusOK {
		t.Fatalf("log in: got %d %s", p.status, p.body)
	}
	secret := b.session()
	bent := []byte(secret)
	bent[10] ^= 1
	var key struct{ Secret string }
	d.gateway.API("POST", "/api/v1/apikeys", `{"name":"a program","roles":["agent"]}`, http.StatusCreated, &key)
	ours := "__Host-caregate=" + secret
	without := func(more map[string]string) map[string]string {
		h := map[string]string{"Cookie": "a=1; b=2"}
		maps.Copy(h, more)
		return h
	}
	d.bothWays(func(way string, client *browser) {
		for name, test := range map[string]struct {
			method, path string
			header       map[string]string
			status       int
			reason       string
			cookies      string // towards the desk, where it was reached
		}{
			"a session":               {"GET", "/api/tickets/1", map[string]string{"Cookie": "a=1; " + ours + "; b=2"}, 200, "", "a=1; b=2"},
			"nobody":                  {"GET", "/api/tickets/1", without(nil), 401, "no_credential", ""},
			"nobody, a public page":   {"GET", "/help/1", without(opens), 200, "", "a=1; b=2"},
			"forged":                  {"GET", "/api/tickets/1", map[string]string{"Cookie": "__Host-caregate=cgs1" + strings.Repeat("0", 56)}, 401, "invalid_credential", ""},
			"bent":                    {"GET", "/api/tickets/1", map[string]string{"Cookie": "__Host-caregate=" + string(bent)}, 401, "invalid_credential", ""},
			"empty":                   {"GET", "/api/tickets/1", map[string]string{"Cookie": "__Host-caregate="}, 401, "no_credential", ""},
			"not of this very host":   {"GET", "/api/tickets/1", map[string]string{"Cookie": "caregate=" + secret}, 401, "no_credential", ""},
			"in capitals":             {"GET", "/api/tickets/1", map[string]string{"Cookie": "__HOST-caregate=" + secret}, 401, "no_credential", ""},
			"two":                     {"GET", "/api/tickets/1", map[string]string{"Cookie": ours + "; a=1; " + ours}, 400, "header_ambiguous", ""},
			"two, one of them forged": {"GET", "/api/tickets/1", map[string]string{"Cookie": "__Host-caregate=x; " + ours}, 400, "header_ambiguous", ""},
			"beside a key":            {"GET", "/api/tickets/1", map[string]string{"Cookie": ours, "Caregate-Key": key.Secret}, 401, "invalid_credential", ""},
			"a key alone":             {"POST", "/api/tickets/1", without(map[string]string{"Caregate-Key": key.Secret}), 200, "", "a=1; b=2"},
			"the desk's own token":    {"POST", "/api/tickets/1", without(map[string]string{"Authorization": "Bearer abc"}), 200, "", "a=1; b=2"},
			"as a key":                {"GET", "/api/tickets/1", map[string]string{"Caregate-Key": string(bent)}, 401, "invalid_credential", ""},
			"as a token":              {"GET", "/api/tickets/1", map[string]string{"Caregate-Token": string(bent)}, 401, "invalid_credential", ""},
			"a page":                  {"GET", "/agent/1", without(opens), 303, "no_credential", ""},
			"a page, an old browser":  {"GET", "/agent/1", without(map[string]string{"Accept": "text/html"}), 303, "no_credential", ""},
			"a page in a frame":       {"GET", "/agent/1", without(map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}), 401, "no_credential", ""},
			"a script for HTML":       {"GET", "/agent/1", without(map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}), 401, "no_credential", ""},
			"an old script":           {"GET", "/agent/1", without(map[string]string{"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}), 401, "no_credential", ""},
			"a form":                  {"POST", "/api/tickets/1", without(opens), 401, "no_credential", ""},
			"a program with a key":    {"GET", "/agent/1", without(map[string]string{"Accept": "text/html", "Caregate-Key": "cgk1x"}), 401, "invalid_credential", ""},
			"a WebSocket":             {"GET", "/agent/1", map[string]string{"Cookie": ours, "Upgrade": "websocket", "Connection": "Upgrade"}, 501, "upgrade_unsupported", ""},
		} {
			if name == "a WebSocket" && way == "HTTP/2" {
				continue // HTTP/2 has no such header
			}
			before, body := len(d.upstream.Requests()), ""
			if test.method == "POST" {
				body = `{"state":"open"}`
			}
			p := client.once(test.method, test.path, body, test.header)
			if p.status != test.status || p.header.Get("Caregate-Error") != test.reason {
				t.Errorf("%s, %s: got %d %s, want %d %s", way, name, p.status, p.header.Get("Caregate-Error"), test.status, test.reason)
			}
			if reached := len(d.upstream.Requests()) > before; reached != (test.status == 200) {
				t.Errorf("%s, %s: the desk was reached: %v", way, name, reached)
			} else if reached {
				if got := strings.Join(d.upstream.Last(t).Header["Cookie"], "; "); got != test.cookies {
					t.Errorf("%s, %s: the desk got the cookies %q, want %q", way, name, got, test.cookies)
				}
				if got := p.header["Set-Cookie"]; !slices.Equal(got, []string{"desk=of-its-own; Path=/"}) {
					t.Errorf("%s, %s: the desk gave the cookies %q", way, name, got)
				}
			}
			if test.status == 303 {
				if to := p.header.Get("Location"); to != "/caregate/login?return=%2Fagent%2F1" || p.header.Get("Cache-Control") != "no-store" || p.body != "" {
					t.Errorf("%s, %s: got %q", way, name, to)
				}
				if e := d.gateway.Event(p.header.Get("Caregate-Receipt")); e.Decision != "deny" || e.Status != 303 {
					t.Errorf("%s, %s: event %+v", way, name, e)
				}
			}
		}
	})
	// An administrator ends it.
	d.gateway.API("DELETE", "/api/v1/sessions/"+d.sessions()[0].ID, "", http.StatusNoContent, nil)
	d.gone(secret)
	d.gateway.Stop()
	access, err := os.ReadFile(d.access)
	if err != nil || bytes.Contains(access, []byte(secret)) || !bytes.Contains(access, []byte("/api/tickets/1")) {
		t.Errorf("the access log has a session, or nothing: %v", err)
	}
}

// bothWays gives clients of HTTP/1.1 and of HTTP/2, which sends each cookie by itself.
// They keep no cookies.
func (d *desk) bothWays(try func(way string, client *browser)) {
	d.t.Helper()
	for way, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		b := d.browser()
		b.Jar = nil
		transport, ok := b.Transport.(*http.Transport)
		if !ok {
			d.t.Fatal("another transport")
		}
		transport.ForceAttemptHTTP2 = two
		try(way, b)
	}
}

// The way back after a login is to this site, whatever somebody called.
func TestWayBackToDesk(t *testing.T) {
	d := newDesk(t, "", "")
	b := d.browser()
	for name, test := range map[string]struct{ path, back string }{
		"plain":              {"/agent/1", "/agent/1"},
		"with a query":       {"/agent/1?return=https://attacker.example&again", "/agent/1?return=https://attacker.example&again"},
		"another host":       {"//attacker.example/agent", "/caregate/session"},
		"a host in a path":   {"/agent//attacker.example", "/caregate/session"},
		"an address":         {"/https://attacker.example", "/caregate/session"},
		"a header":           {"/agent/1%0d%0aSet-Cookie:%20x=1", "/agent/1%0D%0ASet-Cookie:%20x=1"},
		"a long address":     {"/agent/1?" + strings.Repeat("a", 2000), "/caregate/session"},
		"the login's places": {"/agent/1?x=/caregate/logout", "/agent/1?x=/caregate/logout"},
	} {
		p := b.once("GET", test.path, "", opens)
		to, err := url.Parse(p.header.Get("Location"))
		if p.status == http.StatusBadRequest && name != "plain" {
			continue // ambiguous, and nobody is sent anywhere
		}
		if err != nil || p.status != http.StatusSeeOther || to.Host != "" || to.Scheme != "" || to.Path != "/caregate/login" {
			t.Errorf("%s: got %d to %q", name, p.status, p.header.Get("Location"))
			continue
		}
		if p := d.browser().logIn(to.Query().Get("return"), "ada", "1"); p.at.Scheme+"://"+p.at.Host != d.site || !strings.EqualFold(p.at.RequestURI(), test.back) {
			t.Errorf("%s: after the login at %s, want %s", name, p.at.Redacted(), test.back)
		}
	}
}

// longStream is more than the gateway looks at before it lets anything pass.
var longStream = strings.Repeat(`{"ok":true}`+"\n", 50_000)

// What one person was shown is no copy for the next, and the desk says nothing to the browser
// that is the gateway's to say.
func TestDeskCopies(t *testing.T) {
	d := &desk{upstream: proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
		w.Header().Set("CDN-Cache-Control", "max-age=600")
		w.Header().Set("Surrogate-Control", "max-age=600")
		w.Header().Set("Clear-Site-Data", `"cookies"`)
		w.Header().Set("Cache-Control", "max-age=600, public")
		if r.URL.Path == "/agent/2" {
			w.Header().Set("Cache-Control", "private, No-Store")
		}
		if strings.Contains(r.Header.Get("If-None-Match"), `"v1"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		switch r.URL.Path {
		case "/agent/3": // passes as it comes
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Incremental", "?1")
			fmt.Fprint(w, longStream)
			return
		case "/agent/4": // passes unread
			w.Header().Set("Content-Type", "image/png")
			fmt.Fprint(w, "\x89PNG\r\n\x1a\n")
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>desk</title><p>DE89 3704 0044 0532 0130 00</p>`)
	})}
	file := filepath.Join(t.TempDir(), "data.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nenforcement:\n  - {class: iban, action: report}\n  - {class: iban, role: agent, action: mask}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.stage = newSite(t, "role platform lead", d.upstream.URL, "handle /caregate/* {\n caregate_api\n }\n handle {\n govern ./testdata/desk.yaml "+d.upstream.URL+" {\n route own\n identity session\n uninspected pass\n }\n }")
	o := d.options
	o.Block += "\npolicy builtin " + file
	if err := d.gateway.Load(o); err != nil {
		t.Fatal(err)
	}
	tagged := func(b *browser, tag string) page {
		h := map[string]string{"If-None-Match": tag}
		maps.Copy(h, opens)
		return b.once("GET", "/agent/1", "", h)
	}
	lead, agent := d.browser(), d.browser()
	seen := lead.logIn("/agent/1", "root", "1")
	masked := agent.logIn("/agent/1", "ada", "1")
	if !strings.Contains(seen.body, "0532") || masked.status != http.StatusOK || strings.Contains(masked.body, "0532") {
		t.Fatalf("the lead got %d %s, the agent %d %s", seen.status, seen.body, masked.status, masked.body)
	}
	if p := tagged(agent, seen.header.Get("ETag")); p.status != http.StatusOK || strings.Contains(p.body, "0532") {
		t.Errorf("the agent with the lead's tag: got %d %s", p.status, p.body)
	}
	for name, p := range map[string]page{"lead": tagged(lead, seen.header.Get("ETag")), "agent": tagged(agent, masked.header.Get("ETag")), "page": seen} {
		if name != "page" && p.status != http.StatusNotModified {
			t.Errorf("%s with their own tag: got %d", name, p.status)
		}
		if got := p.header.Get("Cache-Control"); got != "private, no-cache" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		for _, other := range []string{"Expires", "CDN-Cache-Control", "Surrogate-Control", "Clear-Site-Data"} {
			if p.header.Get(other) != "" {
				t.Errorf("%s: %s passed", name, other)
			}
		}
	}
	if got := lead.once("GET", "/agent/2", "", opens).header.Get("Cache-Control"); got != "private, No-Store" {
		t.Errorf("what nobody may keep: Cache-Control %q", got)
	}
	stream, picture := lead.once("GET", "/agent/3", "", opens), lead.once("GET", "/agent/4", "", opens)
	if stream.header.Get("Incremental") != "?1" || stream.body != longStream {
		t.Errorf("a stream: got %d with %d bytes, %v", stream.status, len(stream.body), stream.header)
	}
	if e := d.gateway.Exchange(picture.header.Get("Caregate-Receipt")); picture.body != "\x89PNG\r\n\x1a\n" || len(e) == 0 || e[len(e)-1].Attrs["unread"] != "type" {
		t.Errorf("a picture: got %d with %d bytes, %+v", picture.status, len(picture.body), e)
	}
	for name, p := range map[string]page{"a stream": stream, "a picture": picture} {
		for header, want := range map[string]string{"Cache-Control": "private, no-cache", "Expires": "", "CDN-Cache-Control": "", "Surrogate-Control": ""} {
			if got := p.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
	if got := d.browser().once("GET", "/help/1", "", opens).header.Get("Cache-Control"); got != "max-age=600, public" {
		t.Errorf("a public page, without a session: Cache-Control %q", got)
	}
	p := d.browser().once("GET", "/api/tickets/1", "", map[string]string{"Cookie": "__Host-caregate=cgs1" + strings.Repeat("0", 56), "Authorization": "Bearer abc"})
	var told struct{ Reason, Login string }
	if err := json.Unmarshal([]byte(p.body), &told); err != nil || p.status != http.StatusUnauthorized || told.Login != "/caregate/login" {
		t.Errorf("an ended session beside a script's Authorization: got %d %+v, %v", p.status, told, err)
	}
}
