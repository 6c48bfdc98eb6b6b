package policy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// attemptTime is how long a login may take, from here to the provider and back.
	attemptTime = 10 * time.Minute
	// skew is how far a provider's clock may be from ours, where a claim is about the past.
	skew = 5 * time.Minute
	// metadataFresh and metadataHold are how long a provider's description counts: it is
	// asked for again after the first and not used after the second.
	metadataFresh = time.Hour
	metadataHold  = 24 * time.Hour
	// mostExchanges is how many calls towards the provider are under way at once.
	mostExchanges = 16
	maxAttempt    = 3 << 10 // bytes of what the browser keeps during a login
	maxParameter  = 4 << 10 // bytes of a parameter of the provider's answer
)

// Codes of a LoginError.
const (
	// LoginState: the answer belongs to no login of this browser, or comes too late.
	LoginState = "login_state"
	// LoginRefused: the provider did not let the person in.
	LoginRefused = "login_refused"
	// LoginToken: what the provider says does not count.
	LoginToken = "login_token"
	// LoginUnavailable: the provider could not be asked.
	LoginUnavailable = "login_unavailable"
	// LoginRole: no claim of the person gives a role.
	LoginRole = "login_role"
)

// LoginError is a login that failed.
type LoginError struct {
	// Code is a constant of this package; Cause a word about what exactly, from a closed
	// list. Neither has anything of the person, the token or the provider's own words.
	Code, Cause string
	err         error
}

// Error has code and cause, and what went wrong towards the provider.
func (e *LoginError) Error() string {
	s := "logging in: " + e.Code
	if e.Cause != "" {
		s += " (" + e.Cause + ")"
	}
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s
}

// Unwrap returns what went wrong towards the provider.
func (e *LoginError) Unwrap() error { return e.err }

// LoginConfig is a provider at which people log in with a browser: the authorization code
// flow of OpenID Connect Core 1.0 with PKCE (RFC 7636).
type LoginConfig struct {
	// Issuer says which claims count and what they give; its Audience is the client's id.
	// JWKS and Keys are empty: the provider's description names them. Empty Algorithms
	// means every signature with a public key.
	Issuer Issuer
	// Secret of the client; empty for one that has none.
	Secret Secret
	// Scopes are asked for beside openid.
	Scopes []string
	// MaxAge is how long ago the provider may have asked for password and second factor;
	// Idle how long a session lasts that nobody uses, Lasts every session. Each from
	// ShortestSession to LongestSession.
	MaxAge, Idle, Lasts time.Duration
	// Digest is a keyed digest of 32 bytes, as vault.(*Vault).Digest, Sessions where those
	// who log in are kept. Both are needed.
	Digest   func(purpose string, b []byte) []byte
	Sessions *Sessions
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Login lets people log in at one provider. Safe for concurrent use.
type Login struct {
	LoginConfig
	issuer *issuer
	client *http.Client
	turns  chan struct{} // as many as mostExchanges

	asking chan struct{} // held while the provider is asked to describe itself
	mu     sync.Mutex
	known  *metadata
	at     time.Time // of known
	tried  time.Time
}

// metadata is what a provider says of itself (OpenID Connect Discovery 1.0, section 3).
type metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	JWKS          string   `json:"jwks_uri"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	// Names tells that its answers name it (RFC 9207).
	Names bool `json:"authorization_response_iss_parameter_supported"`
}

// NewLogin checks the configuration. It fetches nothing: a provider that is away keeps
// people from logging in and nothing else.
func NewLogin(c LoginConfig) (*Login, error) {
	if c.Digest == nil || c.Sessions == nil {
		return nil, errors.New("preparing the login: digest or sessions are missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := checkProviderURL(c.Issuer.URL); err != nil {
		return nil, fmt.Errorf("the issuer: %w", err)
	}
	for name, d := range map[string]time.Duration{"max_age": c.MaxAge, "idle": c.Idle, "lasts": c.Lasts} {
		if d < ShortestSession || d > LongestSession || d%time.Second != 0 {
			return nil, fmt.Errorf("%s wants whole seconds from %v to %v", name, ShortestSession, LongestSession)
		}
	}
	if c.Issuer.JWKS != "" || len(c.Issuer.Keys) > 0 {
		return nil, errors.New("preparing the login: the provider names its keys itself")
	}
	if len(c.Issuer.Algorithms) == 0 {
		c.Issuer.Algorithms = signingAlgorithms[:]
	}
	t, err := builtinTables()
	if err != nil {
		return nil, err
	}
	l := &Login{LoginConfig: c, client: providerClient(), turns: make(chan struct{}, mostExchanges), asking: make(chan struct{}, 1)}
	if c.Issuer.Client != nil {
		l.client = c.Issuer.Client
	}
	keys := &remoteKeySet{client: l.client, now: c.Now, address: func(ctx context.Context) (string, error) {
		m, err := l.metadata(ctx)
		if err != nil {
			return "", err
		}
		return m.JWKS, nil
	}}
	if l.issuer, err = c.Issuer.with(keys, t, c.Now); err != nil {
		return nil, err
	}
	return l, nil
}

// Attempt is a login that has begun.
type Attempt struct {
	// To is the provider's page to which the browser goes.
	To string
	// Name tells the attempts of one browser apart: letters, digits, dash and underscore.
	// Kept is what the browser keeps until it comes back, for at most Lasts.
	Name  string
	Kept  Secret
	Lasts time.Duration
}

// attempt is what the browser keeps, under a keyed digest. State, nonce and the verifier
// of PKCE come from Seed by keyed digests, so that nothing is stored here for somebody who
// only asked for the page, and what the browser holds is no use elsewhere.
type attempt struct {
	Seed     []byte `json:"s"`
	Begun    int64  `json:"t"` // milliseconds since 1970
	Issuer   string `json:"i"`
	Redirect string `json:"r"` // where the provider sends the browser
	Back     string `json:"b"` // where it goes then
	Again    bool   `json:"a"` // password and second factor are asked for in any case
}

const attemptVersion = "login attempt v1"

func (l *Login) derived(purpose string, a *attempt) string {
	return base64.RawURLEncoding.EncodeToString(l.Digest(purpose, a.Seed))
}

func (l *Login) state(a *attempt) string { return l.derived("login state v1", a) }

// attemptName is how the attempt of a state is called.
func attemptName(state string) string { return state[:min(len(state), 12)] }

// Begin starts a login. Redirect is where the provider sends the browser, which it must
// know of; back where the browser goes then. With again the provider asks for password and
// second factor whoever it knows already. A *LoginError with LoginUnavailable when the
// provider cannot be asked where its page is.
func (l *Login) Begin(ctx context.Context, redirect, back string, again bool) (Attempt, error) {
	m, err := l.metadata(ctx)
	if err != nil {
		return Attempt{}, &LoginError{Code: LoginUnavailable, err: err}
	}
	a := attempt{Seed: make([]byte, 32), Begun: l.Now().UnixMilli(), Issuer: l.Issuer.URL, Redirect: redirect, Back: back, Again: again}
	rand.Read(a.Seed) // never fails: the runtime ends the process first
	raw, err := json.Marshal(a)
	if err != nil {
		return Attempt{}, fmt.Errorf("beginning a login: %w", err)
	}
	kept := base64.RawURLEncoding.EncodeToString(raw) + "." + base64.RawURLEncoding.EncodeToString(l.Digest(attemptVersion, raw))
	if len(kept) > maxAttempt {
		return Attempt{}, errors.New("beginning a login: the page to come back to has a long name")
	}
	to, err := url.Parse(m.Authorization)
	if err != nil {
		return Attempt{}, &LoginError{Code: LoginUnavailable, err: errors.New("the provider's page has no URL")}
	}
	challenge := sha256.Sum256([]byte(l.derived("login verifier v1", &a)))
	q := to.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": l.Issuer.Audience, "redirect_uri": redirect, "scope": strings.Join(append([]string{oidc.ScopeOpenID}, l.Scopes...), " "),
		"state": l.state(&a), "nonce": l.derived("login nonce v1", &a),
		"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
		"max_age": strconv.FormatInt(int64(l.MaxAge/time.Second), 10), "acr_values": strings.Join(l.Issuer.ACR, " "),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if again {
		q.Set("prompt", "login")
	}
	to.RawQuery = q.Encode()
	return Attempt{To: to.String(), Name: attemptName(l.state(&a)), Kept: Secret(kept), Lasts: attemptTime}, nil
}

// AttemptOf is the name of the attempt that an answer of the provider belongs to, empty
// for one that belongs to none.
func AttemptOf(q url.Values) string {
	if v := q["state"]; len(v) == 1 && len(v[0]) <= maxParameter {
		return attemptName(v[0])
	}
	return ""
}

// read gives an attempt that this gateway made.
func (l *Login) read(kept Secret) (a attempt, ok bool) {
	body, mac, _ := strings.Cut(string(kept), ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	sum, err2 := base64.RawURLEncoding.DecodeString(mac)
	if len(kept) > maxAttempt || err != nil || err2 != nil || subtle.ConstantTimeCompare(sum, l.Digest(attemptVersion, raw)) != 1 {
		return a, false
	}
	return a, json.Unmarshal(raw, &a) == nil && a.Issuer == l.Issuer.URL
}

// LoggedIn is a login that succeeded.
type LoggedIn struct {
	Session Session
	// Secret is what the browser presents from now on.
	Secret Secret
	Actor  Actor
	// Back is what Begin was given.
	Back string
}

// Finish takes the provider's answer, kept what the browser had of the attempt. All errors
// but those of the database are *LoginError.
func (l *Login) Finish(ctx context.Context, kept Secret, q url.Values) (LoggedIn, error) {
	for _, name := range [...]string{"state", "code", "iss", "error"} {
		if v := q[name]; len(v) > 1 || len(v) == 1 && len(v[0]) > maxParameter {
			return LoggedIn{}, &LoginError{Code: LoginState, Cause: name}
		}
	}
	a, ok := l.read(kept)
	if !ok || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(l.state(&a))) != 1 {
		return LoggedIn{}, &LoginError{Code: LoginState}
	}
	begun := time.UnixMilli(a.Begun)
	if age := l.Now().Sub(begun); age > attemptTime || age < -skew {
		return LoggedIn{}, &LoginError{Code: LoginState, Cause: "late"}
	}
	m, err := l.metadata(ctx)
	if err != nil {
		return LoggedIn{}, &LoginError{Code: LoginUnavailable, err: err}
	}
	// RFC 9207: an answer of another provider is not for this one's token endpoint.
	if iss, said := q["iss"]; said && iss[0] != l.Issuer.URL || !said && m.Names {
		return LoggedIn{}, &LoginError{Code: LoginToken, Cause: "issuer"}
	}
	if q.Has("error") {
		return LoggedIn{}, &LoginError{Code: LoginRefused, Cause: knownError(q.Get("error"))}
	}
	if q.Get("code") == "" {
		return LoggedIn{}, &LoginError{Code: LoginState, Cause: "code"}
	}
	token, err := l.exchange(ctx, m, q.Get("code"), &a)
	if err != nil {
		return LoggedIn{}, err
	}
	who, claims, err := l.verify(ctx, token, &a)
	if err != nil {
		return LoggedIn{}, err
	}
	if len(who.roles) == 0 {
		return LoggedIn{}, &LoginError{Code: LoginRole}
	}
	out := LoggedIn{Actor: l.actor(who), Back: a.Back}
	out.Session, out.Secret, err = l.Sessions.open(ctx, out.Actor.ID, claims, l.Lasts)
	return out, err
}

// verify checks the provider's token and gives the claims that are kept of it. Which check
// failed is told, because nobody but the provider could have made the token up.
func (l *Login) verify(ctx context.Context, token Secret, a *attempt) (*person, []byte, error) {
	bad := func(cause string) (*person, []byte, error) {
		return nil, nil, &LoginError{Code: LoginToken, Cause: cause}
	}
	t, claims, err := l.issuer.claims(ctx, token)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return bad("expired")
	case err != nil:
		return bad("token")
	}
	if subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(l.derived("login nonce v1", a))) != 1 {
		return bad("nonce")
	}
	// Core, section 3.1.3.7: a token for several is for the one that azp names.
	if azp, said := claims["azp"]; said && azp != l.Issuer.Audience || !said && len(t.Audience) > 1 {
		return bad("audience")
	}
	now := l.Now()
	if t.IssuedAt.IsZero() || t.IssuedAt.After(now.Add(skew)) {
		return bad("issued")
	}
	who := l.issuer.person(claims)
	switch at := who.loggedIn; {
	case at.IsZero() && !a.Again:
	case at.After(now.Add(skew)), at.Before(now.Add(-l.MaxAge - skew)), a.Again && at.Before(time.UnixMilli(a.Begun).Add(-skew)):
		return bad("auth_time")
	}
	kept, err := json.Marshal(l.issuer.kept(claims))
	if err != nil {
		return bad("token")
	}
	return who, kept, nil
}

// resolve finds the person of a session. The claims are read again each time, so that a
// role that the configuration takes away is gone at once.
func (l *Login) resolve(ctx context.Context, presented Secret) (*person, error) {
	found, raw, err := l.Sessions.find(ctx, presented, l.Idle, l.Lasts)
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		return nil, ErrRefused
	}
	// A session of another provider ends with the configuration that named it.
	if claims["iss"] != l.Issuer.URL {
		return nil, ErrRefused
	}
	who := l.issuer.person(claims)
	if l.actor(who).ID != found.Actor {
		return nil, ErrRefused
	}
	return who, nil
}

func (l *Login) actor(who *person) Actor { return who.actor(l.Digest, l.Now()) }

// knownErrors are those of RFC 6749 sections 4.1.2.1 and 5.2 and of OpenID Connect Core
// section 3.1.2.6. What else a provider says is its own words, or anybody's.
var knownErrors = [...]string{
	"access_denied", "invalid_request", "invalid_scope", "server_error", "temporarily_unavailable", "unauthorized_client", "unsupported_response_type",
	"account_selection_required", "consent_required", "interaction_required", "login_required", "request_not_supported", "unmet_authentication_requirements",
	"invalid_client", "invalid_grant", "unsupported_grant_type",
}

func knownError(s string) string {
	if slices.Contains(knownErrors[:], s) {
		return s
	}
	return "other"
}

// exchange gives the code for the token, from the gateway to the provider (RFC 6749
// section 4.1.3).
func (l *Login) exchange(ctx context.Context, m *metadata, code string, a *attempt) (Secret, error) {
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	default:
		return "", &LoginError{Code: LoginUnavailable, Cause: "busy"}
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.Redirect}, "code_verifier": {l.derived("login verifier v1", a)}}
	basic := l.Secret != "" && (len(m.Methods) == 0 || slices.Contains(m.Methods, "client_secret_basic"))
	if !basic {
		form.Set("client_id", l.Issuer.Audience)
		if l.Secret != "" {
			form.Set("client_secret", string(l.Secret))
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return "", &LoginError{Code: LoginUnavailable, err: errors.New("the token endpoint has no URL")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if basic {
		req.SetBasicAuth(url.QueryEscape(l.Issuer.Audience), url.QueryEscape(string(l.Secret)))
	}
	body, _, status, err := fetch(l.client, req)
	if err != nil {
		return "", &LoginError{Code: LoginUnavailable, err: err}
	}
	var said struct {
		Token Secret `json:"id_token"`
		Error string `json:"error"`
	}
	err = json.Unmarshal(body, &said)
	switch {
	case status == http.StatusOK && err == nil && said.Token != "":
		return said.Token, nil
	case status == http.StatusOK:
		return "", &LoginError{Code: LoginToken, Cause: "missing"}
	case said.Error == "invalid_grant":
		return "", &LoginError{Code: LoginToken, Cause: said.Error} // a code that was used, or is somebody else's
	case said.Error != "":
		return "", &LoginError{Code: LoginUnavailable, Cause: knownError(said.Error)}
	}
	return "", &LoginError{Code: LoginUnavailable, err: fmt.Errorf("the token endpoint answered %d", status)}
}

// metadata is the provider's description, asked for when it is missing or old. While the
// provider is away an older one counts until its time.
func (l *Login) metadata(ctx context.Context) (*metadata, error) {
	if m, old := l.described(); m != nil && !old {
		return m, nil
	}
	select {
	case l.asking <- struct{}{}:
		defer func() { <-l.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, old := l.described() // somebody else may have asked meanwhile
	if m != nil && !old {
		return m, nil
	}
	now := l.Now()
	l.mu.Lock()
	since := now.Sub(l.tried)
	paced := !l.tried.IsZero() && since >= 0 && since < jwksPause
	if !paced {
		l.tried = now
	}
	l.mu.Unlock()
	err := errors.New("the provider did not answer a moment ago")
	if !paced {
		var asked *metadata
		if asked, err = l.discover(ctx); err == nil {
			l.mu.Lock()
			l.known, l.at = asked, now
			l.mu.Unlock()
			return asked, nil
		}
		l.mu.Lock()
		l.tried = l.Now() // those who waited meanwhile do not wait again
		l.mu.Unlock()
	}
	if m != nil {
		return m, nil
	}
	return nil, err
}

func (l *Login) described() (m *metadata, old bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := l.Now().Sub(l.at)
	if l.known == nil || age >= metadataHold {
		return nil, false
	}
	return l.known, age >= metadataFresh
}

// discover asks the provider to describe itself.
func (l *Login) discover(ctx context.Context) (*metadata, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), jwksTimeout)
	defer cancel()
	bounded := *l.client
	bounded.Transport = boundedTransport{l.client.Transport}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, &bounded), l.Issuer.URL)
	if err != nil {
		return nil, fmt.Errorf("asking the provider to describe itself: %w", plainError(err))
	}
	m := new(metadata)
	if err := p.Claims(m); err != nil {
		return nil, errors.New("the provider's description cannot be read")
	}
	for what, address := range map[string]string{"authorization_endpoint": m.Authorization, "token_endpoint": m.Token, "jwks_uri": m.JWKS} {
		if err := checkProviderURL(address); err != nil {
			return nil, fmt.Errorf("the provider's %s: %w", what, err)
		}
	}
	return m, nil
}

// plainError is an error of the library without what it quotes of an answer.
func plainError(err error) error {
	var mismatch *oidc.IssuerMismatchError
	var u *url.Error
	switch {
	case errors.As(err, &mismatch):
		return errors.New("it says that it is another issuer")
	case errors.As(err, &u):
		return u.Err
	}
	return errors.New("its answer is none")
}

// boundedTransport bounds what is read of an answer.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
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
