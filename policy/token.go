package policy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// maxToken is in bytes; providers with many groups stay below 8 KiB.
const maxToken = 16 << 10

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
	// token with an unknown key comes, at most every five seconds, and again when half of
	// the time is over for which its Cache-Control lets it be kept: 15 minutes to a day,
	// an hour when it says nothing. While the provider is away its keys count until then.
	// Either JWKS or Keys is needed.
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
	// RegionsClaim is where regions of the person stand, as in RolesClaim; empty means none.
	// Regions says which of our names a value of it gives; values that are not in it give
	// none.
	RegionsClaim string
	Regions      map[string][]string
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

// prepare checks an Issuer and its keys.
func (i Issuer) prepare(t *tables, now func() time.Time) (*issuer, error) {
	set, err := i.keySet(now)
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", i.URL, err)
	}
	return i.with(set, t, now)
}

// with checks an Issuer and its roles. Its tokens are verified with the keys of set.
func (i Issuer) with(set oidc.KeySet, t *tables, now func() time.Time) (*issuer, error) {
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
	if (i.RegionsClaim == "") != (len(i.Regions) == 0) {
		return nil, fmt.Errorf("issuer %s: a claim with regions goes together with what its values mean", i.URL)
	}
	known := make(map[string]bool)
	for value, regions := range i.Regions {
		for _, s := range regions {
			known[s] = true
		}
		if slices.ContainsFunc(regions, func(s string) bool { return !isWord(s) }) {
			return nil, fmt.Errorf("issuer %s: claim value %q gives a region that is no name: 1 to 64 lower-case letters, digits, hyphens and underscores", i.URL, value)
		}
	}
	if len(known) > maxNetworks {
		return nil, fmt.Errorf("issuer %s: more than %d regions", i.URL, maxNetworks)
	}
	if len(i.NameClaims) == 0 {
		i.NameClaims = []string{"sub", "email"}
	}
	return &issuer{Issuer: i, verifier: oidc.NewVerifier(i.URL, set, &oidc.Config{ClientID: i.Audience, SupportedSigningAlgs: i.Algorithms, Now: now})}, nil
}

func (i *Issuer) keySet(now func() time.Time) (oidc.KeySet, error) {
	if (i.JWKS == "") == (len(i.Keys) == 0) {
		return nil, errors.New("either the address of a key set or a key set is needed")
	}
	if len(i.Keys) > 0 {
		return publicKeys(i.Keys, true)
	}
	if err := checkProviderURL(i.JWKS); err != nil {
		return nil, fmt.Errorf("the address of the key set: %w", err)
	}
	client := i.Client
	if client == nil {
		client = providerClient()
	}
	return &remoteKeySet{client: client, now: now, address: func(context.Context) (string, error) { return i.JWKS, nil }}, nil
}

// person is what a verified token says.
type person struct {
	issuer, subject string
	roles           []string
	regions         []string // sorted
	names           []string // canonical, what an asserted user may equal
	display         string   // personal: for sealed details
	mfa             bool
	amr             []string  // those of RFC 8176, sorted
	acr             string    // one of the configured
	loggedIn        time.Time // auth_time; zero when it is not told
}

// verify checks a token against one issuer. The library's error is left out: it
// may quote the token.
func (i *issuer) verify(ctx context.Context, token Secret) (*person, error) {
	_, claims, err := i.claims(ctx, token)
	if err != nil {
		return nil, ErrRefused
	}
	return i.person(claims), nil
}

// claims are those of a token whose issuer, audience, time and signature are right. Its
// errors may quote the token.
func (i *issuer) claims(ctx context.Context, token Secret) (*oidc.IDToken, map[string]any, error) {
	if len(token) > maxToken || !isCompact(string(token)) {
		return nil, nil, ErrRefused
	}
	t, err := i.verifier.Verify(ctx, string(token))
	if err != nil {
		return nil, nil, err
	}
	if t.Subject == "" {
		return nil, nil, ErrRefused
	}
	var claims map[string]any
	if err := t.Claims(&claims); err != nil {
		return nil, nil, ErrRefused
	}
	// What the library has compared is what counts, also where the token spells a claim
	// in two ways.
	claims["iss"], claims["sub"] = t.Issuer, t.Subject
	return t, claims, nil
}

// isCompact tells whether a token is a JWS in its compact form (RFC 7515, section 7.1): the
// only one that a JWT has. The library reads the other one too, in which what is looked at
// beforehand, as the type of a voucher, stands elsewhere.
func isCompact(token string) bool {
	parts := strings.Split(token, ".")
	return len(parts) == 3 && !slices.ContainsFunc(parts, func(part string) bool {
		return part == "" || strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != ""
	})
}

// person reads claims that were verified.
func (i *issuer) person(claims map[string]any) *person {
	p := &person{mfa: i.mfa(claims), amr: methods(claims["amr"]), loggedIn: claimTime(claims["auth_time"])}
	if acr, _ := claims["acr"].(string); slices.Contains(i.ACR, acr) {
		p.acr = acr
	}
	p.issuer, _ = claims["iss"].(string)
	p.subject, _ = claims["sub"].(string)
	p.display = p.subject
	for _, value := range words(claimAt(claims, i.RolesClaim)) {
		p.roles = append(p.roles, i.Roles[value]...)
	}
	p.roles = sorted(p.roles)
	if i.RegionsClaim != "" {
		for _, value := range words(claimAt(claims, i.RegionsClaim)) {
			p.regions = append(p.regions, i.Regions[value]...)
		}
		p.regions = sorted(p.regions)
	}
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
	return p
}

// kept are the claims that person looks at, and no others: what else a provider says of
// somebody is not kept.
func (i *issuer) kept(claims map[string]any) map[string]any {
	out := make(map[string]any)
	looked := append([]string{"iss", "sub", "amr", "acr", "auth_time", "email_verified", i.RolesClaim}, i.NameClaims...)
	if i.RegionsClaim != "" {
		looked = append(looked, i.RegionsClaim)
	}
	for _, name := range looked {
		head, _, _ := strings.Cut(name, ".")
		for _, n := range [...]string{name, head} {
			if v, ok := claims[n]; ok {
				out[n] = v
			}
		}
	}
	return out
}

// methods are the known ones of a claim.
func methods(v any) []string {
	var out []string
	for _, m := range words(v) {
		if knownMethod(m) {
			out = append(out, m)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// age is how many minutes ago the person logged in, 0 when nobody knows: also when it is
// said to be yet to come, by more than clocks differ.
func (p *person) age(now time.Time) int {
	if p.loggedIn.IsZero() || p.loggedIn.After(now.Add(skew)) {
		return 0
	}
	return RoundAge(max(1, int(min((now.Sub(p.loggedIn)+time.Minute-1)/time.Minute, oldestLogin))))
}

// actor is the person as one who calls now.
func (p *person) actor(digest digestFunc, now time.Time) Actor {
	return Actor{
		AMR: p.amr, ACR: p.acr, Age: p.age(now),
		ID:   "user:" + hex.EncodeToString(digest("token subject", joined(p.issuer, p.subject))[:16]),
		Kind: KindToken, Strength: StrengthProven, Roles: p.roles, Regions: p.regions, Proven: p.display, MFA: p.mfa,
	}
}

// claimTime reads seconds since 1970 (RFC 7519, NumericDate).
func claimTime(v any) time.Time {
	n, ok := v.(float64)
	if !ok || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0)
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

// knownMethod tells the methods of RFC 8176 that say something of the person: a closed
// list, because rules see them.
func knownMethod(s string) bool { return s == "mfa" || factor[s] != 0 }

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
