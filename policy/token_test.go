package policy_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/caregate/caregate/policy"
)

const (
	issuerURL = "https://idp.example.com"
	audience  = "caregate"
)

// signer is a key of the provider. Making RSA keys takes long, so tests share one.
type signer struct {
	alg jose.SignatureAlgorithm
	id  string
	key crypto.Signer
}

var rsaKey = sync.OnceValue(func() *signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return &signer{jose.RS256, "rsa-1", k}
})

var strangerKey = sync.OnceValue(func() *signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &signer{jose.ES256, "ec-1", k}
})

// jwks is the public half of keys.
func jwks(t testing.TB, keys ...*signer) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig"})
	}
	raw, err := json.Marshal(set)
	must(t, err)
	return raw
}

// sign makes a token.
func (s *signer) sign(t testing.TB, alg jose.SignatureAlgorithm, claims map[string]any) policy.Secret {
	t.Helper()
	sig, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: s.key}, (&jose.SignerOptions{}).WithHeader("kid", s.id))
	must(t, err)
	raw, err := json.Marshal(claims)
	must(t, err)
	jws, err := sig.Sign(raw)
	must(t, err)
	out, err := jws.CompactSerialize()
	must(t, err)
	return policy.Secret(out)
}

// handmade is a token as an attacker writes one: any header, any signature.
func handmade(header, claims map[string]any, sign func(input string) []byte) policy.Secret {
	part := func(v any) string {
		raw, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	input := part(header) + "." + part(claims)
	return policy.Secret(input + "." + base64.RawURLEncoding.EncodeToString(sign(input)))
}

func claimsAt(now time.Time, changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": issuerURL, "aud": audience, "sub": "u-1", "email": "Ann@example.com", "email_verified": true,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "roles": []string{"desk-agents", "everyone"}, "amr": []string{"pwd", "otp"},
	}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func tokenResolver(t testing.TB, c *clock, change func(*policy.Issuer)) *policy.Resolver {
	t.Helper()
	i := policy.Issuer{URL: issuerURL, Audience: audience, Keys: jwks(t, rsaKey()), Roles: map[string][]string{
		"desk-agents": {"agent"}, "leads": {"lead", "agent"}, "jobs": {"service"},
	}}
	if change != nil {
		change(&i)
	}
	r, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Issuers: []policy.Issuer{i}, Now: c.Now})
	must(t, err)
	return r
}

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	c := newClock()
	for _, tc := range []struct {
		name     string
		issuer   func(*policy.Issuer)
		claims   map[string]any
		asserted string
		roles    []string
		mfa      bool
		mismatch bool
	}{
		{name: "an agent with two factors", roles: []string{"agent"}, mfa: true},
		{name: "one factor twice", claims: map[string]any{"amr": []string{"otp", "sms"}}, roles: []string{"agent"}},
		{name: "password only", claims: map[string]any{"amr": []string{"pwd"}}, roles: []string{"agent"}},
		{name: "the provider says mfa", claims: map[string]any{"amr": []string{"mfa"}}, roles: []string{"agent"}, mfa: true},
		{name: "an unknown method", claims: map[string]any{"amr": []string{"pwd", "magic"}}, roles: []string{"agent"}},
		{name: "nothing about factors", claims: map[string]any{"amr": nil}, roles: []string{"agent"}},
		{name: "acr that counts", issuer: func(i *policy.Issuer) { i.ACR = []string{"loa3"} }, claims: map[string]any{"amr": nil, "acr": "loa3"}, roles: []string{"agent"}, mfa: true},
		{name: "acr that does not", issuer: func(i *policy.Issuer) { i.ACR = []string{"loa3"} }, claims: map[string]any{"amr": nil, "acr": "loa2"}, roles: []string{"agent"}},
		{name: "two roles of one value", claims: map[string]any{"roles": []string{"leads"}}, roles: []string{"agent", "lead"}, mfa: true},
		{name: "roles as words", issuer: func(i *policy.Issuer) { i.RolesClaim = "scope" }, claims: map[string]any{"scope": "openid leads"}, roles: []string{"agent", "lead"}, mfa: true},
		{name: "roles inside", issuer: func(i *policy.Issuer) { i.RolesClaim = "realm_access.roles" }, claims: map[string]any{"realm_access": map[string]any{"roles": []string{"leads"}}}, roles: []string{"agent", "lead"}, mfa: true},
		{name: "roles under a URL", issuer: func(i *policy.Issuer) { i.RolesClaim = "https://example.com/roles" }, claims: map[string]any{"https://example.com/roles": []string{"leads"}}, roles: []string{"agent", "lead"}, mfa: true},
		{name: "no role that means something", claims: map[string]any{"roles": []string{"everyone"}}, roles: []string{}, mfa: true},
		{name: "roles of a strange type", claims: map[string]any{"roles": 7}, roles: []string{}, mfa: true},
		{name: "our own role names do not count by themselves", claims: map[string]any{"roles": []string{"admin"}}, roles: []string{}, mfa: true},
		{name: "asserts oneself", asserted: " ann@EXAMPLE.com", roles: []string{"agent"}, mfa: true},
		{name: "asserts oneself by subject", asserted: "u-1", roles: []string{"agent"}, mfa: true},
		{name: "asserts somebody else", asserted: "bob@example.com", roles: []string{"agent"}, mfa: true, mismatch: true},
		{name: "an unverified address proves nothing", claims: map[string]any{"email_verified": false}, asserted: "ann@example.com", roles: []string{"agent"}, mfa: true, mismatch: true},
		{name: "a machine asserts an agent", claims: map[string]any{"roles": []string{"jobs"}, "amr": nil}, asserted: "bob@example.com", roles: []string{"service"}},
		{name: "a machine that is a person too", claims: map[string]any{"roles": []string{"jobs", "leads"}}, asserted: "bob@example.com", roles: []string{"agent", "lead", "service"}, mfa: true, mismatch: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := tokenResolver(t, c, tc.issuer)
			a, err := r.Resolve(t.Context(), policy.Presented{Token: rsaKey().sign(t, jose.RS256, claimsAt(c.Now(), tc.claims)), Asserted: tc.asserted, VendorKind: "api_token", VendorSecret: "x"})
			must(t, err)
			if a.Kind != policy.KindToken || a.Strength != policy.StrengthProven || !strings.HasPrefix(a.ID, "user:") || strings.Contains(a.ID, "u-1") {
				t.Errorf("actor: got %v, kind %s, strength %s", a, a.Kind, a.Strength)
			}
			if !slices.Equal(a.Roles, tc.roles) || a.MFA != tc.mfa || a.Mismatch != tc.mismatch {
				t.Errorf("got roles %v, mfa %v, mismatch %v; want %v, %v, %v", a.Roles, a.MFA, a.Mismatch, tc.roles, tc.mfa, tc.mismatch)
			}
			if s := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(strings.ToLower(s), "example.com") {
				t.Error("the printed actor shows who it is")
			}
		})
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	now := c.Now()
	claims := claimsAt(now, nil)
	public, err := x509.MarshalPKIXPublicKey(rsaKey().key.Public())
	must(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	mac := func(key []byte) func(string) []byte {
		return func(in string) []byte {
			m := hmac.New(sha256.New, key)
			m.Write([]byte(in))
			return m.Sum(nil)
		}
	}
	nothing := func(string) []byte { return nil }
	good := string(rsaKey().sign(t, jose.RS256, claims))
	parts := strings.Split(good, ".")
	forged, err := json.Marshal(claimsAt(now, map[string]any{"roles": []string{"leads"}}))
	must(t, err)
	stranger := *strangerKey()
	posing := stranger
	posing.id = "rsa-1"

	for _, tc := range []struct {
		name  string
		token policy.Secret
	}{
		{"no token at all", "x"},
		{"two parts", policy.Secret(parts[0] + "." + parts[1])},
		{"claims exchanged", policy.Secret(parts[0] + "." + base64.RawURLEncoding.EncodeToString(forged) + "." + parts[2])},
		{"signature cut", policy.Secret(good[:len(good)-4])},
		{"signature of another token", policy.Secret(parts[0] + "." + parts[1] + "." + strings.Split(string(rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"sub": "u-2"}))), ".")[2])},
		{"alg none", handmade(map[string]any{"alg": "none"}, claims, nothing)},
		{"alg None", handmade(map[string]any{"alg": "None"}, claims, nothing)},
		{"alg none with the right key id", handmade(map[string]any{"alg": "none", "kid": "rsa-1"}, claims, nothing)},
		{"no alg", handmade(map[string]any{"kid": "rsa-1"}, claims, nothing)},
		{"public key as HMAC secret, DER", handmade(map[string]any{"alg": "HS256", "kid": "rsa-1"}, claims, mac(public))},
		{"public key as HMAC secret, PEM", handmade(map[string]any{"alg": "HS256", "kid": "rsa-1"}, claims, mac(publicPEM))},
		{"empty HMAC secret", handmade(map[string]any{"alg": "HS256"}, claims, mac(nil))},
		{"algorithm that is not allowed here", rsaKey().sign(t, jose.RS512, claims)},
		{"a stranger's key", stranger.sign(t, jose.ES256, claims)},
		{"a stranger's key under our key id", posing.sign(t, jose.ES256, claims)},
		{"a stranger's key inside the token", func() policy.Secret {
			sig, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: stranger.key}, &jose.SignerOptions{EmbedJWK: true})
			must(t, err)
			raw, err := json.Marshal(claims)
			must(t, err)
			jws, err := sig.Sign(raw)
			must(t, err)
			out, err := jws.CompactSerialize()
			must(t, err)
			return policy.Secret(out)
		}()},
		{"a critical header that nobody knows", handmade(map[string]any{"alg": "RS256", "kid": "rsa-1", "crit": []string{"b64"}, "b64": false}, claims, nothing)},
		{"JSON serialization", policy.Secret(fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, parts[1], parts[0], parts[2]))},
		{"JSON serialization with two dots", policy.Secret(fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q,"x":".%s."}`, parts[1], parts[0], parts[2], parts[1]))},
		{"expired", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"exp": now.Add(-time.Second).Unix()}))},
		{"no expiry", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"exp": nil}))},
		{"not valid yet", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"nbf": now.Add(time.Hour).Unix()}))},
		{"wrong audience", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"aud": "another-service"}))},
		{"no audience", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"aud": nil}))},
		{"wrong issuer", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"iss": "https://idp.example.org"}))},
		{"issuer with a slash more", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"iss": issuerURL + "/"}))},
		{"no subject", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"sub": nil}))},
		{"too long", rsaKey().sign(t, jose.RS256, claimsAt(now, map[string]any{"pad": strings.Repeat("x", 20<<10)}))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := tokenResolver(t, c, nil)
			a, err := r.Resolve(t.Context(), policy.Presented{Token: tc.token, VendorKind: "api_token", VendorSecret: "a good vendor credential"})
			if !errors.Is(err, policy.ErrRefused) || err.Error() != policy.ErrRefused.Error() || policy.RefusalReason(err) != "invalid_credential" {
				t.Errorf("got %v, %v, want exactly ErrRefused", a, err)
			}
		})
	}
	if _, err := tokenResolver(t, c, nil).Resolve(t.Context(), policy.Presented{Token: policy.Secret(good)}); err != nil {
		t.Errorf("the token they were made from: got %v, want it to count", err)
	}
	c.Move(2 * time.Hour)
	if _, err := tokenResolver(t, c, nil).Resolve(t.Context(), policy.Presented{Token: policy.Secret(good)}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("two hours later: got %v, want ErrRefused", err)
	}
}

// How long ago the person logged in, and how, is what rules see of a login, in words of a
// closed list; a row for one of the roles refuses what is older, or not known.
func TestLoginAge(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := tokenResolver(t, c, func(i *policy.Issuer) { i.ACR = []string{"two"} })
	e := engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, "version: 1\nlogins:\n  - {role: agent, max_age: 1h}\n")}})
	for name, tc := range map[string]struct {
		claims map[string]any
		age    int
		amr    string
		acr    string
		reason string
	}{
		"now":                {map[string]any{"auth_time": c.Now().Unix()}, 1, "otp pwd", "", ""},
		"a clock ahead":      {map[string]any{"auth_time": c.Now().Add(time.Minute).Unix()}, 1, "otp pwd", "", ""},
		"clocks differ":      {map[string]any{"auth_time": c.Now().Add(5 * time.Minute).Unix()}, 1, "otp pwd", "", ""},
		"yet to come":        {map[string]any{"auth_time": c.Now().Add(5*time.Minute + 2*time.Second).Unix()}, 0, "otp pwd", "", "login_too_old"},
		"in ages":            {map[string]any{"auth_time": 1 << 40}, 0, "otp pwd", "", "login_too_old"},
		"an hour ago":        {map[string]any{"auth_time": c.Now().Add(-time.Hour).Unix()}, 60, "otp pwd", "", ""},
		"a second more":      {map[string]any{"auth_time": c.Now().Add(-time.Hour - time.Second).Unix()}, 65, "otp pwd", "", "login_too_old"},
		"years ago":          {map[string]any{"auth_time": 1000}, 43200, "otp pwd", "", "login_too_old"},
		"nobody knows":       {nil, 0, "otp pwd", "", "login_too_old"},
		"no number":          {map[string]any{"auth_time": "yesterday"}, 0, "otp pwd", "", "login_too_old"},
		"before time itself": {map[string]any{"auth_time": -5}, 0, "otp pwd", "", "login_too_old"},
		"words of its own":   {map[string]any{"auth_time": c.Now().Unix(), "amr": []string{"mfa", "mfa", "ann@example.com"}, "acr": "ann@example.com"}, 1, "mfa", "", ""},
		"a class we name":    {map[string]any{"auth_time": c.Now().Unix(), "amr": nil, "acr": "two"}, 1, "", "two", ""},
	} {
		a, err := r.Resolve(t.Context(), policy.Presented{Token: rsaKey().sign(t, jose.RS256, claimsAt(c.Now(), tc.claims))})
		must(t, err)
		in := a.Input()
		if in.Age != tc.age || strings.Join(in.AMR, " ") != tc.amr || in.ACR != tc.acr {
			t.Errorf("%s: got age %d, amr %v, acr %q, want %d, %q, %q", name, in.Age, in.AMR, in.ACR, tc.age, tc.amr, tc.acr)
		}
		call := ticket()
		call.Actor, call.Findings = in, nil
		d, err := e.Decide(t.Context(), call)
		must(t, err)
		if d.Reason != tc.reason {
			t.Errorf("%s: got %q, want %q", name, d.Reason, tc.reason)
		}
	}
}

func TestRoundAge(t *testing.T) {
	t.Parallel()
	for in, want := range map[int]int{-1: 0, 0: 0, 1: 1, 15: 15, 16: 20, 20: 20, 61: 65, 120: 120, 121: 150, 1440: 1440, 1441: 2880, 1 << 40: 43200} {
		if got := policy.RoundAge(in); got != want {
			t.Errorf("%d minutes: got %d, want %d", in, got, want)
		}
	}
}

// A key set fetched from the provider: found when needed, kept when the provider
// is gone, and not fetched once per invented key id.
func TestRemoteKeySet(t *testing.T) {
	t.Parallel()
	c := newClock()
	var fetched atomic.Int32
	var down atomic.Bool
	set := jwks(t, rsaKey())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		if down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		w.Write(set)
	}))
	defer srv.Close()
	r := tokenResolver(t, c, func(i *policy.Issuer) { i.Keys, i.JWKS, i.Client = nil, srv.URL, srv.Client() })
	good := policy.Presented{Token: rsaKey().sign(t, jose.RS256, claimsAt(c.Now(), nil))}
	_, err := r.Resolve(t.Context(), good)
	must(t, err)
	down.Store(true)
	_, err = r.Resolve(t.Context(), good)
	must(t, err)
	for i := range 20 {
		k := *strangerKey()
		k.id = fmt.Sprint("invented-", i)
		if _, err := r.Resolve(t.Context(), policy.Presented{Token: k.sign(t, jose.ES256, claimsAt(c.Now(), nil))}); !errors.Is(err, policy.ErrRefused) {
			t.Fatalf("invented key: got %v, want ErrRefused", err)
		}
	}
	if n := fetched.Load(); n > 2 {
		t.Errorf("the key set was fetched %d times, want at most 2", n)
	}
	_, err = r.Resolve(t.Context(), good)
	must(t, err)
}

// Keys of a provider that is gone count until their time and deny after it; a key that it
// withdraws stops counting when the set is fetched again.
func TestKeysEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cache string
		hold  time.Duration
	}{
		"nothing said": {"", time.Hour},
		"no cache":     {"no-cache, no-store", time.Hour},
		"two hours":    {"public, Max-Age=7200, must-revalidate", 2 * time.Hour},
		"shorter":      {"max-age=1", 15 * time.Minute},
		"longer":       {"max-age=99999999", 24 * time.Hour},
		"not a number": {"max-age=-5", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			var fetched atomic.Int32
			var answer atomic.Pointer[[]byte]
			set := jwks(t, rsaKey(), strangerKey())
			answer.Store(&set)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				defer fetched.Add(1)
				body := answer.Load()
				if body == nil {
					http.Error(w, "down", http.StatusBadGateway)
					return
				}
				w.Header().Set("Cache-Control", tc.cache)
				w.Write(*body)
			}))
			defer srv.Close()
			r := tokenResolver(t, c, func(i *policy.Issuer) { i.Keys, i.JWKS, i.Client = nil, srv.URL, srv.Client() })
			resolve := func(s *signer) error {
				_, err := r.Resolve(t.Context(), policy.Presented{Token: s.sign(t, s.alg, claimsAt(c.Now(), nil))})
				return err
			}
			must(t, resolve(rsaKey()))
			must(t, resolve(strangerKey()))
			if n := fetched.Load(); n != 1 {
				t.Fatalf("fetched %d times, want once", n)
			}

			// The provider withdraws a key: it counts until the set is fetched again, beside
			// a call after half of its time.
			less := jwks(t, rsaKey())
			answer.Store(&less)
			must(t, resolve(strangerKey()))
			c.Move(tc.hold / 2)
			must(t, resolve(rsaKey()))
			for end := time.Now().Add(time.Minute); resolve(strangerKey()) == nil; {
				if time.Now().After(end) {
					t.Fatal("a key that was withdrawn counts")
				}
			}
			answer.Store(nil)
			c.Move(tc.hold - time.Second)
			if err := resolve(rsaKey()); err != nil {
				t.Errorf("provider away, before their time: got %v", err)
			}
			c.Move(time.Second)
			if err := resolve(rsaKey()); !errors.Is(err, policy.ErrRefused) {
				t.Errorf("provider away, after their time: got %v, want ErrRefused", err)
			}
			answer.Store(&less)
			c.Move(time.Minute)
			must(t, resolve(rsaKey()))
		})
	}
}

func TestIssuersThatAreRefused(t *testing.T) {
	t.Parallel()
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: strangerKey().key, KeyID: "1"}}})
	must(t, err)
	secret, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte("shared"), KeyID: "1"}}})
	must(t, err)
	base := policy.Issuer{URL: issuerURL, Audience: audience, Keys: jwks(t, rsaKey())}
	for _, tc := range []struct {
		name   string
		change func(*policy.Issuer)
		says   string
	}{
		{"no URL", func(i *policy.Issuer) { i.URL = "" }, "URL and an audience"},
		{"no audience", func(i *policy.Issuer) { i.Audience = "" }, "URL and an audience"},
		{"alg none", func(i *policy.Issuer) { i.Algorithms = []string{"none"} }, "not allowed"},
		{"symmetric alg", func(i *policy.Issuer) { i.Algorithms = []string{"RS256", "HS256"} }, "not allowed"},
		{"role that cannot be given", func(i *policy.Issuer) { i.Roles = map[string][]string{"x": {"public"}} }, "cannot be given"},
		{"unknown role", func(i *policy.Issuer) { i.Roles = map[string][]string{"x": {"king"}} }, "the roles are"},
		{"no keys", func(i *policy.Issuer) { i.Keys = nil }, "key set"},
		{"keys twice", func(i *policy.Issuer) { i.JWKS = "https://idp.example.com/keys" }, "either"},
		{"keys over the open network", func(i *policy.Issuer) { i.Keys, i.JWKS = nil, "http://idp.example.com/keys" }, "HTTPS"},
		{"no key set", func(i *policy.Issuer) { i.Keys = []byte("{") }, "not a JSON Web Key Set"},
		{"empty key set", func(i *policy.Issuer) { i.Keys = []byte(`{"keys":[]}`) }, "no key"},
		{"private key", func(i *policy.Issuer) { i.Keys = private }, "private"},
		{"shared secret", func(i *policy.Issuer) { i.Keys = secret }, "secret"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			i := base
			i.Roles = maps.Clone(base.Roles)
			tc.change(&i)
			if _, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Issuers: []policy.Issuer{i}}); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want a refusal saying %q", err, tc.says)
			}
		})
	}
}

func FuzzToken(f *testing.F) {
	c := newClock()
	r := tokenResolver(f, c, nil)
	good := string(rsaKey().sign(f, jose.RS256, claimsAt(c.Now(), nil)))
	f.Add(good)
	f.Add("a.b.c")
	f.Add("{}")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := r.Resolve(t.Context(), policy.Presented{Token: policy.Secret(s)})
		if s == "" {
			return
		}
		if err == nil && s != good && strings.TrimSpace(s) != good {
			t.Errorf("a token that nobody signed counts as %v", a)
		}
	})
}

func BenchmarkToken(b *testing.B) {
	c := newClock()
	r := tokenResolver(b, c, nil)
	p := policy.Presented{Token: rsaKey().sign(b, jose.RS256, claimsAt(c.Now(), nil))}
	for b.Loop() {
		if _, err := r.Resolve(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}
