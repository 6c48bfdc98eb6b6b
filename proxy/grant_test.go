package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// tokenDesk is a helpdesk with a token endpoint that rotates: the newest access token
// counts, and the newest refresh token.
type tokenDesk struct {
	*httptest.Server
	mu              sync.Mutex
	access, refresh string
	given           int
	calls           []string // what the helpdesk was asked, and as what it answered
	bodies          []string
}

func newTokenDesk(t *testing.T) *tokenDesk {
	t.Helper()
	d := &tokenDesk{refresh: "first-refresh-token"}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/oauth/tokens" {
			body, _ := io.ReadAll(r.Body)
			status := http.StatusOK
			if r.Header.Get("Authorization") != "Bearer "+d.access {
				status = http.StatusUnauthorized
			}
			d.calls, d.bodies = append(d.calls, fmt.Sprint(r.Method, " ", status)), append(d.bodies, string(body))
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"said":%q}`, r.Header.Get("Authorization"))
			return
		}
		if r.FormValue("grant_type") != "client_credentials" && r.FormValue("refresh_token") != d.refresh {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		d.given++
		d.access, d.refresh = fmt.Sprintf("access-token-%d", d.given), fmt.Sprintf("refresh-token-%d", d.given)
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": d.access, "refresh_token": d.refresh, "token_type": "bearer", "expires_in": 1800})
	}))
	t.Cleanup(d.Close)
	return d
}

// withdraw has the helpdesk take the access token back.
func (d *tokenDesk) withdraw() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.access = "withdrawn"
	d.calls, d.bodies = nil, nil
}

func (d *tokenDesk) seen() (calls string, tokens int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.calls, ", "), d.given
}

// govern is the credential of the route.
func (d *tokenDesk) govern(seed string) string {
	return "credential oauth {\n\t\t\ttoken_url " + d.URL + "/oauth/tokens\n\t\t\tclient_id gateway\n\t\t\tclient_secret {env.VENDOR_SECRET}\n\t\t\trefresh_token {file." + seed + "}\n\t\t}"
}

// The gateway refreshes its own token, keeps each pair sealed before it calls with it, and
// goes on after a restart.
func TestOAuthCredential(t *testing.T) {
	t.Setenv("VENDOR_SECRET", vendorSecret)
	proxy.Within(t, proxy.YoungestToken, time.Nanosecond)
	d := newTokenDesk(t)
	seed := filepath.Join(t.TempDir(), "refresh")
	put := func(token string) {
		if err := os.WriteFile(seed, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("first-refresh-token")
	options := proxytest.Options{Upstream: d.URL, Govern: d.govern(seed)}
	g := proxytest.Start(t, options)
	header := http.Header{"Caregate-Key": {agentKey(g)}}
	get := call{method: "GET", path: "/api/v2/tickets/1", header: header}
	post := call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{"comment":{"body":"Where is it?"}}}`, header: header}
	for range 3 {
		if a := do(t, g, get); a.status != 200 || strings.Contains(a.body, "access-token") {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	if calls, tokens := d.seen(); calls != "GET 200, GET 200, GET 200" || tokens != 1 {
		t.Errorf("the helpdesk saw %s, and gave %d tokens", calls, tokens)
	}

	// A token that the vendor took back: one new token, one repetition with the same body.
	d.withdraw()
	if a := do(t, g, post); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if calls, tokens := d.seen(); calls != "POST 401, POST 200" || tokens != 2 || d.bodies[0] != d.bodies[1] || d.bodies[0] != post.body {
		t.Errorf("the helpdesk saw %s, and gave %d tokens", calls, tokens)
	}
	// A body that passes as it comes is not sent twice.
	d.withdraw()
	long := call{method: "POST", path: "/api/v2/imports/lines", body: noise(4000), header: http.Header{"Caregate-Key": {agentKey(g, "zendesk:unmapped.post")}, "Content-Type": {"application/x-ndjson"}}}
	if a := do(t, g, long); a.status != 401 {
		t.Errorf("a stream: got %d", a.status)
	}
	if calls, _ := d.seen(); calls != "POST 401" {
		t.Errorf("a stream: the helpdesk saw %s", calls)
	}
	if a := do(t, g, get); a.status != 200 {
		t.Errorf("the next call: got %d", a.status)
	}

	db, err := g.OpenDB("state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var sealed []byte
	if err := db.QueryRow(`SELECT sealed FROM upstream_token WHERE name = 'zendesk'`).Scan(&sealed); err != nil || strings.Contains(string(sealed), "token-") {
		t.Errorf("the stored pair: %v, %d bytes", err, len(sealed))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, before := d.seen()
	g.Restart()
	if a := do(t, g, get); a.status != 200 {
		t.Errorf("after a restart: got %d %s", a.status, a.body)
	}
	if _, tokens := d.seen(); tokens != before {
		t.Errorf("after a restart: %d tokens, want %d", tokens, before)
	}

	// Revoked by an administrator of the vendor: nobody is called, status says so, and a new
	// refresh token mends it.
	d.mu.Lock()
	d.access, d.refresh, d.calls = "withdrawn", "new-refresh-token", nil
	d.mu.Unlock()
	if a := do(t, g, get); a.status != 401 {
		t.Errorf("revoked: got %d %s", a.status, a.body)
	}
	var status struct{ Tokens []console.VendorToken }
	g.API("GET", "/api/v1/status", "", http.StatusOK, &status)
	if len(status.Tokens) != 1 || status.Tokens[0].Lost != "revoked" || status.Tokens[0].Name != "zendesk" {
		t.Errorf("status: %+v", status.Tokens)
	}
	put("new-refresh-token")
	if err := g.Load(options); err != nil {
		t.Fatal(err)
	}
	if a := do(t, g, get); a.status != 200 {
		t.Errorf("authorised again: got %d %s", a.status, a.body)
	}
}

// Without a token nothing is forwarded, and the answer says whose turn it is.
func TestOAuthWithoutToken(t *testing.T) {
	t.Setenv("VENDOR_SECRET", vendorSecret)
	d := newTokenDesk(t)
	seed := filepath.Join(t.TempDir(), "refresh")
	if err := os.WriteFile(seed, []byte("a-token-that-was-used"), 0o600); err != nil {
		t.Fatal(err)
	}
	away := proxytest.FreeAddr(t)
	site := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: d.URL, Govern: "observe\n\t\t" + d.govern(seed), Sites: "http://" + site + " {\n\tbind 127.0.0.1\n\tgovern zendesk " + d.URL +
		" {\n\t\troute away\n\t\tcredential oauth {\n\t\t\ttoken_url http://" + away + "/\n\t\t\tclient_id gateway\n\t\t\tclient_secret {env.VENDOR_SECRET}\n\t\t}\n\t}\n}\n"})
	key := agentKey(g)
	for host, reason := range map[string]string{g.Addr: "vendor_token_lost", site: "vendor_token_unavailable"} {
		req := request(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Caregate-Key": {key}}})
		req.URL.Host, req.Host = host, host
		if a := send(t, req); a.status != 503 || a.problem.Reason != reason {
			t.Errorf("got %d %s, want 503 %s", a.status, a.body, reason)
		}
	}
	if calls, tokens := d.seen(); calls != "" || tokens != 0 {
		t.Errorf("the helpdesk saw %s and gave %d tokens", calls, tokens)
	}
}
