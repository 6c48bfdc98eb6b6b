package proxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caregate/caregate/proxy/proxytest"
)

const export = "/api/v2/incremental/tickets/cursor.json?start_time=1"

// A vendor credential may not export. A key that was granted the operation may,
// until it is revoked, and it may nothing else.
func TestGrantedKey(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"tickets":[]}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	a := do(t, g, call{method: "GET", path: export})
	var refused struct{ Grant, Actor string }
	if err := json.Unmarshal([]byte(a.body), &refused); err != nil || a.status != 403 || a.problem.Reason != "export_needs_grant" || refused.Grant == "" {
		t.Fatalf("vendor credential: got %d %s, want a denial that names the grant", a.status, a.body)
	}
	// The same by a policy document, for a program that cannot send a key.
	document := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(document, []byte("version: 1\ngrants:\n  - actor: "+refused.Actor+"\n    grants: [\""+refused.Grant+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document}); err != nil {
		t.Fatalf("policy document: %v", err)
	}
	if a := do(t, g, call{method: "GET", path: export}); a.status != 200 {
		t.Errorf("granted by document: got %d %s", a.status, a.body)
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL}); err != nil {
		t.Fatal(err)
	}

	var made struct {
		Key struct{ ID string }
		ID  string
		// Secret is shown once.
		Secret string
	}
	g.API("POST", "/api/v1/apikeys", `{"name":"warehouse","roles":["service"],"grants":["`+refused.Grant+`"]}`, http.StatusCreated, &made)
	with := http.Header{"Caregate-Key": {made.Secret}}
	if a := do(t, g, call{method: "GET", path: export, header: with}); a.status != 200 {
		t.Errorf("granted: got %d %s", a.status, a.body)
	}
	if got := u.Last(t).Header; got.Get("Caregate-Key") != "" || got.Get("Authorization") != basicAuth {
		t.Errorf("towards the vendor: %v", got)
	}
	if a := do(t, g, call{method: "DELETE", path: "/api/v2/tickets/1", header: with}); a.status != 403 {
		t.Errorf("not granted: got %d %s", a.status, a.body)
	}
	id := made.ID + made.Key.ID
	g.API("DELETE", "/api/v1/apikeys/"+id, "", http.StatusNoContent, nil)
	if a := do(t, g, call{method: "GET", path: export, header: with}); a.status != 401 || a.problem.Reason != "invalid_credential" {
		t.Errorf("revoked: got %d %s", a.status, a.body)
	}
}

// newIssuer makes an issuer and the file with its key. sign makes its token for an agent
// with a second factor, with the claims changed.
func newIssuer(t *testing.T) (sign func(change map[string]any) string, jwks string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	jwks = filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(jwks, set, 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(change map[string]any) string {
		claims := map[string]any{"iss": "https://id.example", "aud": "caregate", "sub": "agent@example.com", "exp": time.Now().Add(time.Hour).Unix(),
			"iat": time.Now().Unix(), "roles": []string{"support"}, "amr": []string{"pwd", "otp"}}
		maps.Copy(claims, change)
		s, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, jwks
}

// A token of a configured issuer proves a person, with roles and second factor.
func TestToken(t *testing.T) {
	sign, jwks := newIssuer(t)
	token := func(change map[string]any) http.Header { return http.Header{"Caregate-Token": {sign(change)}} }
	u := proxytest.NewUpstream(t, nil)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL,
		Block: "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role support agent\n }"})
	for name, test := range map[string]struct {
		header http.Header
		status int
		reason string
	}{
		"good":             {token(nil), 200, ""},
		"no second factor": {token(map[string]any{"amr": []string{"pwd"}}), 403, "mfa_required"},
		"expired":          {token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), 401, "invalid_credential"},
		"other audience":   {token(map[string]any{"aud": "shop"}), 401, "invalid_credential"},
		"other issuer":     {token(map[string]any{"iss": "https://evil.example"}), 401, "invalid_credential"},
		"somebody else":    {token(map[string]any{"sub": "mallory@example.com"}), 403, "identity_mismatch"},
		"no role":          {token(map[string]any{"roles": []string{"visitors"}}), 403, ""},
		"not a token":      {http.Header{"Caregate-Token": {"e30.e30."}}, 401, "invalid_credential"},
	} {
		a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: test.header})
		if a.status != test.status || test.reason != "" && a.problem.Reason != test.reason {
			t.Errorf("%s: got %d %s, want %d %s", name, a.status, a.problem.Reason, test.status, test.reason)
		}
		if name == "good" {
			if e := g.Event(a.header.Get("Caregate-Receipt")); e.Identity != "proven" {
				t.Errorf("identity in the log: got %q, want proven", e.Identity)
			}
		}
	}
}

// The API answers on a site too, for programs with a key; health needs none.
func TestAPIOnASite(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	api := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\n"})
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/api/v1/openapi.json": 200, "/api/v1/status": 401, "/api/v1/apikeys": 401, "/nothing": 404} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+api+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := send(t, req); a.status != want {
			t.Errorf("%s: got %d, want %d: %s", path, a.status, want, a.body)
		}
	}
	var status struct {
		Name   string
		Routes []struct{ Name, Channel string }
	}
	g.API("GET", "/api/v1/status", "", http.StatusOK, &status)
	if status.Name != "test" || len(status.Routes) != 1 || status.Routes[0].Channel != "zendesk" {
		t.Errorf("status: got %+v", status)
	}
}

// The vendor is asked whom a bearer belongs to over the same connection as the
// calls, also where a private authority vouches for it, once for each bearer, and
// with nothing of the call but the bearer.
func TestWhoami(t *testing.T) {
	const path = "/api/v2/oauth/tokens/current"
	var asked sync.Map
	u, authority := proxytest.NewTLSUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			asked.Store(r.Header.Get("Authorization"), r.Header.Clone())
			if r.Header.Get("Authorization") == "Bearer broken" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			jsonUpstream(200, `{"token":{"user_id":7,"client_id":9}}`)(w, r)
			return
		}
		jsonUpstream(200, "{}")(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "trust_pool file " + authority})
	actor := func(bearer string) string {
		t.Helper()
		var refused struct{ Actor string }
		a := do(t, g, call{method: "GET", path: export, header: http.Header{"Authorization": {"Bearer " + bearer}, "Cookie": {"session=1"}, "Caregate-Purpose": {"support"}}})
		if err := json.Unmarshal([]byte(a.body), &refused); err != nil || a.status != 403 || refused.Actor == "" {
			t.Fatalf("%s: got %d %s, want a denial that names the actor", bearer, a.status, a.body)
		}
		return refused.Actor
	}
	first, second, broken := actor("first"), actor("second"), actor("broken")
	if first != second || first == broken {
		t.Errorf("actors: two bearers of one account %s and %s, one of nobody %s", first, second, broken)
	}
	actor("first")
	if n := len(u.Requests()); n != 3 {
		t.Errorf("questions: got %d, want one for each bearer", n)
	}
	header, ok := asked.Load("Bearer first")
	if !ok {
		t.Fatal("the first bearer was not asked about")
	}
	for name := range header.(http.Header) {
		switch name {
		case "Authorization", "Accept", "Accept-Encoding", "User-Agent", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		default:
			t.Errorf("the question carries %s", name)
		}
	}
}

// Rules of a deployment's own deny what the built-in policy allows, and which of them did
// stands in the event.
func TestOwnRules(t *testing.T) {
	rules := t.TempDir()
	if err := os.WriteFile(filepath.Join(rules, "own.rego"), []byte("package caregate.operator\n\ndeny contains \"no_deletes\" if input.effect == \"delete\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"ticket":{}}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + rules})
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"}); a.status != 200 {
		t.Errorf("what they do not name: got %d %s", a.status, a.body)
	}
	before := len(u.Requests())
	a := do(t, g, call{method: "DELETE", path: "/api/v2/tickets/1"})
	if a.status != 403 || a.problem.Reason != "policy_denied" || len(u.Requests()) != before {
		t.Errorf("what they deny: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Reason != "policy_denied" || e.Attrs["rules"] != "no_deletes" {
		t.Errorf("event: got %+v", e)
	}
}

// Where people belong is what their issuer says of them, and nothing else.
func TestRegionsOfPeople(t *testing.T) {
	sign, jwks := newIssuer(t)
	u := proxytest.NewUpstream(t, nil)
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\nconditions:\n  - {operation: \"zendesk:ticket.*\", actor_regions: [eu, ch]}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document +
		"\n identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role support agent\n regions office.country\n region DE eu\n region US us\n }"})
	in := func(country any) http.Header {
		return http.Header{"Caregate-Token": {sign(map[string]any{"office": map[string]any{"country": country}})}}
	}
	for name, tc := range map[string]struct {
		header http.Header
		want   string
	}{
		"of the region":      {in("DE"), ""},
		"of two":             {in([]string{"US", "DE"}), ""},
		"of another":         {in("US"), "actor_outside_region"},
		"of an unknown one":  {in("eu"), "actor_outside_region"},
		"of none":            {http.Header{"Caregate-Token": {sign(nil)}}, "actor_outside_region"},
		"vendor credentials": {nil, "actor_outside_region"},
	} {
		if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: tc.header}); a.problem.Reason != tc.want || tc.want == "" && a.status != http.StatusOK {
			t.Errorf("%s: got %d %s, want %q", name, a.status, a.body, tc.want)
		}
	}
}
