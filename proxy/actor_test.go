package proxy_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caregate/caregate/proxy/proxytest"
)

const voucherType = "caregate-actor+jwt"

// sealer signs vouchers of a test.
type sealer struct {
	t    *testing.T
	key  any
	alg  jose.SignatureAlgorithm
	base map[string]any
}

// sign makes a voucher with the claims changed; nil takes one out.
func (s sealer) sign(typ string, change map[string]any) string {
	s.t.Helper()
	o := new(jose.SignerOptions)
	if typ != "" {
		o = o.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, o)
	if err != nil {
		s.t.Fatal(err)
	}
	claims := maps.Clone(s.base)
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	claims["jti"] = base64.RawURLEncoding.EncodeToString(id)
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	out, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// A trusted program says with each call who makes it, and nothing else that stands in its
// header counts.
func TestActorHeader(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "a"}, {Key: &curve.PublicKey, KeyID: "b"}, {Key: &long.PublicKey, KeyID: "c"}}})
	if err != nil {
		t.Fatal(err)
	}
	jwks := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(jwks, set, 0o600); err != nil {
		t.Fatal(err)
	}
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{}`))
	signerBlock := "identity actor {\n issuer https://desk.example\n jwks " + jwks + "\n role support agent\n }"
	o := proxytest.Options{Upstream: u.URL, Block: signerBlock + "\n identity jwt {\n issuer https://desk.example\n audience test\n jwks " + jwks + "\n role support agent\n }"}
	g := proxytest.Start(t, o)
	now := time.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	base := map[string]any{"iss": "https://desk.example", "aud": "test", "sub": "7", "email": "agent@example.com", "iat": at(0), "exp": at(4 * time.Minute), "roles": []string{"support"}, "amr": []string{"pwd", "otp"},
		"htm": "GET", "htu": g.URL + "/api/v2/tickets/1"}
	s := sealer{t, private, jose.EdDSA, base}
	es, rs, other := sealer{t, curve, jose.ES256, base}, sealer{t, long, jose.RS256, base}, sealer{t, foreign, jose.ES256, base}
	der, err := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	confused := sealer{t, der, jose.HS256, base}
	good := s.sign(voucherType, nil)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"` + voucherType + `"}`))
	type change = map[string]any
	used := s.sign(voucherType, nil)
	header := func(v ...string) http.Header { return http.Header{"Caregate-Actor": v} }
	with := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		h.Set(name, value)
		return h
	}
	esParts := strings.Split(es.sign(voucherType, change{"htm": "PUT", "htu": "https://desk.example/"}), ".")
	key, _ := newKey(t, g, "agent")
	asserting := func(user string) http.Header {
		return with(header(s.sign(voucherType, nil)), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+"/token:secret-token")))
	}
	for _, tc := range []struct {
		name   string
		header http.Header
		reason string
	}{
		{"EdDSA", header(good), ""},
		{"ES256", header(es.sign(voucherType, nil)), ""},
		{"a list of one audience", header(s.sign(voucherType, change{"aud": []string{"test"}})), ""},
		{"scheme and host in capitals", header(s.sign(voucherType, change{"htu": strings.ToUpper(g.URL[:7]) + g.URL[7:] + "/api/v2/tickets/1"})), ""},
		{"before the vendor's own user, who is the same", asserting("Agent@example.com"), ""},
		{"once", header(used), ""},
		{"twice", header(used), "invalid_credential"},
		{"before another user", asserting("other@example.com"), "identity_mismatch"},
		{"without a second factor", header(s.sign(voucherType, change{"amr": []string{"pwd"}})), "mfa_required"},
		{"without a role", header(s.sign(voucherType, change{"roles": nil})), "role_not_allowed"},
		{"expired", header(s.sign(voucherType, change{"iat": at(-5 * time.Minute), "exp": at(-time.Minute)})), "invalid_credential"},
		{"for too long", header(s.sign(voucherType, change{"exp": at(6 * time.Minute)})), "invalid_credential"},
		{"for ever", header(s.sign(voucherType, change{"exp": nil})), "invalid_credential"},
		{"since nobody knows when", header(s.sign(voucherType, change{"iat": nil})), "invalid_credential"},
		{"to come", header(s.sign(voucherType, change{"iat": at(30 * time.Minute), "exp": at(31 * time.Minute)})), "invalid_credential"},
		{"not yet", header(s.sign(voucherType, change{"nbf": at(3 * time.Minute)})), "invalid_credential"},
		{"for another gateway", header(s.sign(voucherType, change{"aud": "staging"})), "invalid_credential"},
		{"for two gateways", header(s.sign(voucherType, change{"aud": []string{"test", "staging"}})), "invalid_credential"},
		{"for none", header(s.sign(voucherType, change{"aud": nil})), "invalid_credential"},
		{"of another issuer", header(s.sign(voucherType, change{"iss": "https://desk.example/"})), "invalid_credential"},
		{"of nobody", header(s.sign(voucherType, change{"sub": nil})), "invalid_credential"},
		{"without a name", header(s.sign(voucherType, change{"jti": nil})), "invalid_credential"},
		{"with a short name", header(s.sign(voucherType, change{"jti": "1"})), "invalid_credential"},
		{"for another method", header(s.sign(voucherType, change{"htm": "PUT"})), "invalid_credential"},
		{"for any method", header(s.sign(voucherType, change{"htm": nil})), "invalid_credential"},
		{"for another address", header(s.sign(voucherType, change{"htu": g.URL + "/api/v2/tickets/2"})), "invalid_credential"},
		{"for another host", header(s.sign(voucherType, change{"htu": "http://desk.example/api/v2/tickets/1"})), "invalid_credential"},
		{"for any address", header(s.sign(voucherType, change{"htu": nil})), "invalid_credential"},
		{"with an address that has a fragment", header(s.sign(voucherType, change{"htu": g.URL + "/api/v2/tickets/1#x"})), "invalid_credential"},
		{"a token", header(s.sign("JWT", nil)), "invalid_credential"},
		{"a token without a type", header(s.sign("", nil)), "invalid_credential"},
		{"by a foreign key", header(other.sign(voucherType, nil)), "invalid_credential"},
		{"by a key of another kind", header(rs.sign(voucherType, nil)), "invalid_credential"},
		{"by the public key as a secret", header(confused.sign(voucherType, nil)), "invalid_credential"},
		{"by nobody", header(none + "." + parts[1] + "."), "invalid_credential"},
		{"with another's signature", header(parts[0] + "." + parts[1] + "." + strings.Split(es.sign(voucherType, nil), ".")[2]), "invalid_credential"},
		{"without a signature", header(parts[0] + "." + parts[1] + "."), "invalid_credential"},
		{"a name", header("agent@example.com"), "invalid_credential"},
		{"far too long", header(good + strings.Repeat("A", 20<<10)), "invalid_credential"},
		{"two of them", header(s.sign(voucherType, nil), s.sign(voucherType, nil)), "header_ambiguous"},
		{"beside a key", with(key, "Caregate-Actor", s.sign(voucherType, nil)), "invalid_credential"},
		{"beside a token", with(header(s.sign(voucherType, nil)), "Caregate-Token", es.sign("JWT", nil)), "invalid_credential"},
		{"as a token", http.Header{"Caregate-Token": {es.sign(voucherType, nil)}}, "invalid_credential"},
		{"as a token, spelled otherwise", http.Header{"Caregate-Token": {es.sign("application/Caregate-Actor+JWT", nil)}}, "invalid_credential"},
		{"as a token, in another serialization", http.Header{"Caregate-Token": {fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q,"x":".%s."}`, esParts[1], esParts[0], esParts[2], esParts[1])}}, "invalid_credential"},
		{"a token as a token", http.Header{"Caregate-Token": {es.sign("JWT", nil)}}, ""},
	} {
		before := len(u.Requests())
		a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1?include=users", header: tc.header})
		passed := len(u.Requests()) - before
		if tc.reason == "" {
			if a.status != http.StatusOK || passed != 1 || u.Last(t).Header.Get("Caregate-Actor") != "" {
				t.Errorf("%s: got %d %s, want it to pass without the header", tc.name, a.status, a.body)
			} else if e := g.Event(a.header.Get("Caregate-Receipt")); e.Identity != "proven" {
				t.Errorf("%s: the log says %s, want proven", tc.name, e.Identity)
			}
			continue
		}
		if a.problem.Reason != tc.reason || passed != 0 {
			t.Errorf("%s: got %d %s, %d calls passed; want %s", tc.name, a.status, a.body, passed, tc.reason)
		}
	}
	// What was used stays used.
	g.Restart()
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: header(used)}); a.problem.Reason != "invalid_credential" {
		t.Errorf("after a restart: got %d %s", a.status, a.body)
	}
	// The address is the one that was called, whatever the site's routes make of it.
	base["htu"] = g.URL + "/desk/api/v2/tickets/1"
	o.Site = "handle_path /desk/* {\n govern zendesk " + u.URL + " {\n route by-path\n }\n}\n"
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		htu  string
		want int
	}{{"/desk/api/v2/tickets/1", http.StatusOK}, {"/api/v2/tickets/1", http.StatusUnauthorized}} {
		if a := do(t, g, call{method: "GET", path: "/desk/api/v2/tickets/1", header: header(s.sign(voucherType, change{"htu": g.URL + tc.htu}))}); a.status != tc.want {
			t.Errorf("a site with a prefix, for %s: got %d %s, want %d", tc.htu, a.status, a.body, tc.want)
		}
	}
	o.Site, base["htu"] = "", g.URL+"/api/v2/tickets/1"
	// Not bound to a call, where the configuration says so; what is named has to be right.
	o.Block = strings.Replace(o.Block, "role support agent", "unbound\n role support agent", 1)
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change change
		want   int
	}{
		"unbound":            {change{"htm": nil, "htu": nil}, http.StatusOK},
		"for another method": {change{"htm": "PUT", "htu": nil}, http.StatusUnauthorized},
		"for another host":   {change{"htm": nil, "htu": "https://desk.example/"}, http.StatusUnauthorized},
	} {
		if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: header(s.sign(voucherType, tc.change))}); a.status != tc.want {
			t.Errorf("with unbound, %s: got %d %s, want %d", name, a.status, a.body, tc.want)
		}
	}
}
