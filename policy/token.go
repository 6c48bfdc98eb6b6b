package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
)

const (
	maxToken = 16 << 10 // bytes; providers with many groups stay below 8 KiB
	maxJWKS  = 1 << 20  // bytes
	// jwksPause keeps tokens with invented key ids from making us call the provider
	// over and over.
	jwksPause   = 5 * time.Second
	jwksTimeout = 10 * time.Second
)

// signingAlgorithms are those a token may be signed with: public keys only. The
// symmetric ones are left out because a public key would serve as their secret,
// "none" because it is none.
var signingAlgorithms = [...]string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// Issuer is a provider whose signed tokens count as proof of identity.
type Issuer struct {
	// URL is the value of iss, compared byte for byte.
	URL string
	// Audience must be in aud. It is needed: without it a token that the person gave
	// to any other service would do.
	Audience string
	// JWKS is the address of the key set, HTTPS or loopback. It is fetched when a
	// token with an unknown key comes, at most every five seconds. Either JWKS or
	// Keys is needed.
	JWKS string
	// Keys is a fixed JSON Web Key Set instead.
	Keys []byte
	// Client fetches JWKS; nil means one with a time-out and no redirects.
	Client *http.Client
	// Algorithms may narrow the allowed signatures; empty means RS256 and ES256.
	Algorithms []string
	// RolesClaim is where roles stand, members joined by dots as
	// "realm_access.roles"; empty means "roles". The claim is a list or a string of
	// words.
	RolesClaim string
	// Roles says which of our roles a value of that claim gives. Values that are not
	// in it give none.
	Roles map[string][]string
	// NameClaims are the claims that an asserted user may equal; empty means sub and
	// email. An email with email_verified false never counts.
	NameClaims []string
	// ACR are values of acr that mean a second factor. Apart from them amr decides:
	// "mfa", or methods of two different kinds (RFC 8176).
	ACR []string
}

// issuer is an Issuer made ready.
type issuer struct {
	Issuer
	verifier *oidc.IDTokenVerifier
}

// prepare checks an Issuer and its roles.
func (i Issuer) prepare(t *tables, now func() time.Time) (*issuer, error) {
	if i.URL == "" || i.Audience == "" {
		return nil, errors.New("an issuer needs its URL and an audience")
	}
	if len(i.Algorithms) == 0 {
		i.Algorithms = []string{oidc.RS256, oidc.ES256}
	}
	for _, alg := range i.Algorithms {
		if !slices.Contains(signingAlgorithms[:], alg) {
			return nil, fmt.Errorf("issuer %s: algorithm %q is not allowed; the algorithms are %s", i.URL, alg, strings.Join(signingAlgorithms[:], ", "))
		}
	}
	for value, roles := range i.Roles {
		for _, role := range roles {
			if !t.Roles[role].Assignable {
				return nil, fmt.Errorf("issuer %s: claim value %q gives role %q, which cannot be given; the roles are %s", i.URL, value, role, strings.Join(t.assignable(), ", "))
			}
		}
	}
	if i.RolesClaim == "" {
		i.RolesClaim = "roles"
	}
	if len(i.NameClaims) == 0 {
		i.NameClaims = []string{"sub", "email"}
	}
	set, err := i.keySet()
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", i.URL, err)
	}
	return &issuer{Issuer: i, verifier: oidc.NewVerifier(i.URL, set, &oidc.Config{ClientID: i.Audience, SupportedSigningAlgs: i.Algorithms, Now: now})}, nil
}

func (i *Issuer) keySet() (oidc.KeySet, error) {
	if (i.JWKS == "") == (len(i.Keys) == 0) {
		return nil, errors.New("either the address of a key set or a key set is needed")
	}
	if len(i.Keys) > 0 {
		return parseKeySet(i.Keys)
	}
	u, err := url.Parse(i.JWKS)
	if err != nil {
		return nil, errors.New("the address of the key set is no URL")
	}
	if host := u.Hostname(); u.Scheme != "https" && (u.Scheme != "http" || host != "127.0.0.1" && host != "::1" && host != "localhost") {
		return nil, errors.New("the address of the key set must be HTTPS, or HTTP on this machine")
	}
	client := i.Client
	if client == nil {
		client = &http.Client{Timeout: jwksTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	paced := *client
	paced.Transport = &pacedTransport{next: client.Transport}
	return oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), &paced), i.JWKS), nil
}

// parseKeySet reads a fixed key set; only public keys for signatures are taken.
func parseKeySet(src []byte) (*fixedKeySet, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(src, &set); err != nil {
		return nil, errors.New("the key set is not a JSON Web Key Set")
	}
	var out fixedKeySet
	for _, k := range set.Keys {
		if !k.Valid() || !k.IsPublic() {
			return nil, errors.New("the key set holds a key that is invalid, secret or private")
		}
		if k.Use == "" || k.Use == "sig" {
			out.keys = append(out.keys, k)
		}
	}
	if len(out.keys) == 0 {
		return nil, errors.New("the key set holds no key for signatures")
	}
	return &out, nil
}

// fixedKeySet verifies with keys that do not change. A token names its key; one
// that names none is tried with all.
type fixedKeySet struct{ keys []jose.JSONWebKey }

// VerifySignature implements oidc.KeySet.
func (s *fixedKeySet) VerifySignature(_ context.Context, token string) ([]byte, error) {
	var algs []jose.SignatureAlgorithm
	for _, a := range signingAlgorithms {
		algs = append(algs, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSigned(token, algs) // the verifier has narrowed them already
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errors.New("the token is malformed")
	}
	h := jws.Signatures[0].Header
	for i := range s.keys {
		k := &s.keys[i]
		if h.KeyID != "" && k.KeyID != "" && h.KeyID != k.KeyID || k.Algorithm != "" && k.Algorithm != h.Algorithm {
			continue
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key verifies the token")
}

// pacedTransport bounds how often and how much is fetched.
type pacedTransport struct {
	next http.RoundTripper

	mu   sync.Mutex
	last time.Time
}

var errPaced = errors.New("the key set was fetched a moment ago")

// RoundTrip implements http.RoundTripper.
func (p *pacedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	wait := !p.last.IsZero() && time.Since(p.last) < jwksPause
	if !wait {
		p.last = time.Now()
	}
	p.mu.Unlock()
	if wait {
		return nil, errPaced
	}
	next := p.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, maxJWKS), res.Body}
	return res, nil
}

// person is what a verified token says.
type person struct {
	issuer, subject string
	roles           []string
	names           []string // canonical, what an asserted user may equal
	display         string   // personal: for sealed details
	mfa             bool
}

// verify checks a token against one issuer. The library's error is left out: it
// may quote the token.
func (i *issuer) verify(ctx context.Context, token Secret) (*person, error) {
	if len(token) > maxToken {
		return nil, ErrRefused
	}
	t, err := i.verifier.Verify(ctx, string(token))
	if err != nil || t.Subject == "" {
		return nil, ErrRefused
	}
	var claims map[string]any
	if err := t.Claims(&claims); err != nil {
		return nil, ErrRefused
	}
	p := &person{issuer: t.Issuer, subject: t.Subject, display: t.Subject, mfa: i.mfa(claims)}
	for _, value := range words(claimAt(claims, i.RolesClaim)) {
		p.roles = append(p.roles, i.Roles[value]...)
	}
	p.roles = sorted(p.roles)
	for _, name := range i.NameClaims {
		value, _ := claimAt(claims, name).(string)
		if verified, said := claims["email_verified"]; name == "email" && said && verified != true && verified != "true" {
			continue
		}
		if value != "" {
			p.names = append(p.names, canonicalName(value))
		}
	}
	if len(p.names) > 0 {
		p.display = p.names[len(p.names)-1]
	}
	return p, nil
}

// canonicalName is the form in which an asserted and a proven user are compared.
func canonicalName(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// claimAt follows members joined by dots. A claim whose own name has dots (a URL,
// as some providers demand) is found first.
func claimAt(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	head, rest, ok := strings.Cut(path, ".")
	if !ok {
		return nil
	}
	next, _ := claims[head].(map[string]any)
	return claimAt(next, rest)
}

// words are the values of a claim that is a list of strings or a string.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// factor sorts the authentication methods of RFC 8176 by kind: what one knows,
// has or is.
var factor = map[string]byte{
	"pwd": 'k', "pin": 'k', "kba": 'k',
	"otp": 'h', "hwk": 'h', "swk": 'h', "sc": 'h', "sms": 'h', "tel": 'h', "pop": 'h',
	"fpt": 'i', "face": 'i', "iris": 'i', "retina": 'i', "vbm": 'i',
}

// mfa tells whether the claims prove a second factor.
func (i *issuer) mfa(claims map[string]any) bool {
	if acr, ok := claims["acr"].(string); ok && slices.Contains(i.ACR, acr) {
		return true
	}
	seen := make(map[byte]bool)
	for _, method := range words(claims["amr"]) {
		if method == "mfa" {
			return true
		}
		if f := factor[method]; f != 0 {
			seen[f] = true
		}
	}
	return len(seen) > 1
}
