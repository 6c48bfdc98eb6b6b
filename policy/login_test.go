package policy_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
)

// idp is a provider that says what a test wants, also what none would.
type idp struct {
	*httptest.Server
	t *testing.T
	c *clock

	mu sync.Mutex
	// describe changes its description, token makes the answer of its token endpoint out
	// of the claims that are due. asked are the forms that it was sent.
	describe func(map[string]any)
	token    func(claims map[string]any) any
	down     bool
	asked    []url.Values
	basic    [2]string
	nonce    string
	seen     map[string]int
}

const redirectURI = "https://desk.example.com/caregate/callback"

func newIDP(t *testing.T, c *clock) *idp {
	t.Helper()
	p := &idp{t: t, c: c, seen: make(map[string]int)}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		about := map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/auth?tenant=1", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys"}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.describe != nil {
			p.describe(about)
		}
		answer(w, about)
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { w.Write(jwks(t, rsaKey())) })
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked = append(p.asked, r.PostForm)
		p.basic[0], p.basic[1], _ = r.BasicAuth()
		claims := claimsAt(c.Now(), map[string]any{"iss": p.URL, "nonce": p.nonce, "auth_time": c.Now().Unix()})
		if p.token == nil {
			answer(w, map[string]any{"id_token": string(rsaKey().sign(t, jose.RS256, claims)), "access_token": "unused", "token_type": "Bearer"})
			return
		}
		if v := p.token(claims); v != nil {
			answer(w, v)
			return
		}
		http.Error(w, "down", http.StatusBadGateway)
	})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.seen[r.URL.Path]++
		p.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *idp) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// desk is a login with its sessions and whoever resolves them.
type desk struct {
	*policy.Login
	*policy.Resolver
	db       *store.DB
	sessions *policy.Sessions
	config   policy.LoginConfig
}

func (p *idp) desk(change func(*policy.LoginConfig)) *desk {
	p.t.Helper()
	db := openDB(p.t, statePath(p.t))
	c := policy.LoginConfig{
		Issuer: policy.Issuer{URL: p.URL, Audience: audience, Roles: map[string][]string{"desk-agents": {"agent"}}},
		Secret: "p/w +%", Scopes: []string{"email"}, MaxAge: time.Hour, Idle: 30 * time.Minute, Lasts: 8 * time.Hour, Digest: digest, Sessions: p.sessions(db), Now: p.c.Now,
	}
	if change != nil {
		change(&c)
	}
	d := p.with(c)
	d.db = db
	return d
}

func (p *idp) sessions(db *store.DB) *policy.Sessions {
	p.t.Helper()
	s, err := policy.OpenSessions(p.t.Context(), db, policy.KeysConfig{Digest: digest, Now: p.c.Now})
	must(p.t, err)
	p.t.Cleanup(func() { must(p.t, s.Close()) })
	return s
}

// again waits for what notes that sessions are used, and opens them as the next start does.
func (p *idp) again(d *desk) *desk {
	p.t.Helper()
	must(p.t, d.sessions.Close())
	c := d.config
	c.Sessions = p.sessions(d.db)
	next := p.with(c)
	next.db = d.db
	return next
}

func (p *idp) with(c policy.LoginConfig) *desk {
	p.t.Helper()
	l, err := policy.NewLogin(c)
	must(p.t, err)
	r, err := policy.NewResolver(policy.ResolverConfig{Digest: digest, Login: l, Now: p.c.Now})
	must(p.t, err)
	return &desk{Login: l, Resolver: r, sessions: c.Sessions, config: c}
}

// begin starts a login and has the provider know its nonce. The answer is what it would
// send the browser back with.
func (p *idp) begin(d *desk, again bool) (policy.Attempt, url.Values) {
	p.t.Helper()
	a, err := d.Begin(p.t.Context(), redirectURI, "/back", again)
	must(p.t, err)
	to, err := url.Parse(a.To)
	must(p.t, err)
	q := to.Query()
	p.set(func() { p.nonce = q.Get("nonce") })
	return a, url.Values{"state": {q.Get("state")}, "code": {"the code"}}
}

func (p *idp) logIn(d *desk) policy.LoggedIn {
	p.t.Helper()
	a, q := p.begin(d, false)
	in, err := d.Finish(p.t.Context(), a.Kept, q)
	must(p.t, err)
	return in
}

func code(err error) string {
	var e *policy.LoginError
	if !errors.As(err, &e) {
		return ""
	}
	if e.Cause != "" {
		return e.Code + " " + e.Cause
	}
	return e.Code
}

func TestLoginAsks(t *testing.T) {
	t.Parallel()
	p := newIDP(t, newClock())
	d := p.desk(func(c *policy.LoginConfig) { c.Issuer.ACR = []string{"two", "three"} })
	a, q := p.begin(d, true)
	to, err := url.Parse(a.To)
	must(t, err)
	for name, want := range map[string]string{
		"tenant": "1", "response_type": "code", "client_id": audience, "redirect_uri": redirectURI, "scope": "openid email", "code_challenge_method": "S256",
		"max_age": "3600", "acr_values": "two three", "prompt": "login",
	} {
		if got := to.Query()[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(q.Get("state"), a.Name) || a.Name == "" || policy.AttemptOf(q) != a.Name {
		t.Errorf("the attempt's name: got %q", a.Name)
	}
	in, err := d.Finish(t.Context(), a.Kept, q)
	must(t, err)
	if in.Back != "/back" || in.Actor.Kind != policy.KindToken || in.Actor.Strength != policy.StrengthProven || !in.Actor.MFA || in.Actor.Proven != "ann@example.com" {
		t.Errorf("logged in: got %+v", in)
	}
	form := p.asked[0]
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != to.Query().Get("code_challenge") || form.Get("code") != "the code" || form.Get("redirect_uri") != redirectURI || form.Has("client_secret") {
		t.Errorf("the code was exchanged with %v", form)
	}
	if p.basic != [2]string{audience, url.QueryEscape("p/w +%")} {
		t.Errorf("the client proved itself with %q", p.basic)
	}
	// Others want the secret in the form, or have none.
	p.set(func() {
		p.describe = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} }
	})
	d = p.with(d.config)
	p.logIn(d)
	if form := p.asked[1]; form.Get("client_secret") != "p/w +%" || form.Get("client_id") != audience || p.basic[0] != "" {
		t.Errorf("in the form: got %v", form)
	}
	d.config.Secret = ""
	p.logIn(p.with(d.config))
	if form := p.asked[2]; form.Has("client_secret") || form.Get("client_id") != audience {
		t.Errorf("without a secret: got %v", form)
	}
	if printed := in.Secret.String() + a.Kept.String(); strings.Contains(printed, "cgs1") {
		t.Error("a secret was printed")
	}
}

// What a provider, or somebody in its place, may answer with: only a token of this login
// counts.
func TestLoginTokens(t *testing.T) {
	t.Parallel()
	signed := func(claims, change map[string]any) any {
		claims = maps.Clone(claims)
		for k, v := range change {
			if claims[k] = v; v == nil {
				delete(claims, k)
			}
		}
		return map[string]any{"id_token": string(rsaKey().sign(t, jose.RS256, claims))}
	}
	changed := func(change map[string]any) func(map[string]any) any {
		return func(claims map[string]any) any { return signed(claims, change) }
	}
	forged := func(header map[string]any, sign func(string) []byte) func(map[string]any) any {
		return func(claims map[string]any) any {
			return map[string]any{"id_token": string(handmade(header, claims, sign))}
		}
	}
	public, err := x509.MarshalPKIXPublicKey(rsaKey().key.Public())
	must(t, err)
	spki := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	mac := func(key []byte) func(string) []byte {
		return func(input string) []byte {
			h := hmac.New(sha256.New, key)
			h.Write([]byte(input))
			return h.Sum(nil)
		}
	}
	now := newClock().Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, tc := range []struct {
		name  string
		token func(map[string]any) any
		again bool
		want  string
	}{
		{"good", nil, false, ""},
		{"expired", changed(map[string]any{"exp": at(-time.Second)}), false, "login_token expired"},
		{"not yet", changed(map[string]any{"nbf": at(10 * time.Minute)}), false, "login_token token"},
		{"a clock that is a little ahead", changed(map[string]any{"iat": at(time.Minute), "auth_time": at(time.Minute)}), false, ""},
		{"issued in the future", changed(map[string]any{"iat": at(10 * time.Minute)}), false, "login_token issued"},
		{"issued never", changed(map[string]any{"iat": nil}), false, "login_token issued"},
		{"another issuer", changed(map[string]any{"iss": "https://attacker.example"}), false, "login_token token"},
		{"another audience", changed(map[string]any{"aud": "shop"}), false, "login_token token"},
		{"for several, and another", changed(map[string]any{"aud": []string{audience, "shop"}, "azp": "shop"}), false, "login_token audience"},
		{"for several", changed(map[string]any{"aud": []string{audience, "shop"}}), false, "login_token audience"},
		{"for several, ours", changed(map[string]any{"aud": []string{audience, "shop"}, "azp": audience}), false, ""},
		{"another's", changed(map[string]any{"azp": "shop"}), false, "login_token audience"},
		{"another login", changed(map[string]any{"nonce": strings.Repeat("A", 43)}), false, "login_token nonce"},
		{"no nonce", changed(map[string]any{"nonce": nil}), false, "login_token nonce"},
		{"nobody", changed(map[string]any{"sub": ""}), false, "login_token token"},
		{"logged in long ago", changed(map[string]any{"auth_time": at(-2 * time.Hour)}), false, "login_token auth_time"},
		{"logged in in the future", changed(map[string]any{"auth_time": at(time.Hour)}), false, "login_token auth_time"},
		{"nobody knows when", changed(map[string]any{"auth_time": nil}), false, ""},
		{"again, and it was not", changed(map[string]any{"auth_time": at(-30 * time.Minute)}), true, "login_token auth_time"},
		{"again, and nobody knows when", changed(map[string]any{"auth_time": nil}), true, "login_token auth_time"},
		{"again", nil, true, ""},
		{"no role", changed(map[string]any{"roles": []string{"everyone"}}), false, "login_role"},
		{"no roles claim", changed(map[string]any{"roles": nil}), false, "login_role"},
		{"alg none", forged(map[string]any{"alg": "none"}, func(string) []byte { return nil }), false, "login_token token"},
		{"the public key as a secret", forged(map[string]any{"alg": "HS256", "kid": "rsa-1"}, mac(spki)), false, "login_token token"},
		{"the client's secret", forged(map[string]any{"alg": "HS256"}, mac([]byte("p/w +%"))), false, "login_token token"},
		{"a stranger's key", func(claims map[string]any) any {
			return map[string]any{"id_token": string(strangerKey().sign(t, jose.ES256, claims))}
		}, false, "login_token token"},
		{"a stranger's key in the header", func(claims map[string]any) any {
			sig, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: strangerKey().key}, &jose.SignerOptions{EmbedJWK: true})
			must(t, err)
			raw, err := json.Marshal(claims)
			must(t, err)
			jws, err := sig.Sign(raw)
			must(t, err)
			out, err := jws.CompactSerialize()
			must(t, err)
			return map[string]any{"id_token": out}
		}, false, "login_token token"},
		{"no token", func(map[string]any) any { return map[string]any{"access_token": "x"} }, false, "login_token missing"},
		{"no JSON", func(map[string]any) any { return "text" }, false, "login_token missing"},
		{"no answer", func(map[string]any) any { return nil }, false, "login_unavailable"},
		{"a long token", func(map[string]any) any { return map[string]any{"id_token": strings.Repeat("a", 1<<15)} }, false, "login_token token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t, newClock())
			d := p.desk(nil)
			p.set(func() { p.token = tc.token })
			a, q := p.begin(d, tc.again)
			in, err := d.Finish(t.Context(), a.Kept, q)
			if tc.want == "" {
				must(t, err)
				if _, err := d.Resolve(t.Context(), policy.Presented{Session: in.Secret}); err != nil {
					t.Errorf("the session: got %v", err)
				}
				return
			}
			if code(err) != tc.want || in.Secret != "" {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if list, err := d.sessions.List(t.Context()); err != nil || len(list) != 0 {
				t.Errorf("sessions: got %v %v", list, err)
			}
		})
	}
}

// The answer belongs to one attempt, of this browser, of this provider, in time.
func TestLoginAttempts(t *testing.T) {
	t.Parallel()
	c := newClock()
	p := newIDP(t, c)
	d := p.desk(nil)
	a, q := p.begin(d, false)
	b, _ := p.begin(d, false)
	other := newIDP(t, c).desk(nil)
	with := func(name string, values ...string) url.Values {
		out := maps.Clone(q)
		out[name] = values
		return out
	}
	kept := string(a.Kept)
	for name, tc := range map[string]struct {
		kept policy.Secret
		q    url.Values
		want string
	}{
		"nothing kept":         {"", q, "login_state"},
		"of another attempt":   {b.Kept, q, "login_state"},
		"bent":                 {policy.Secret("A" + kept[1:]), q, "login_state"},
		"cut":                  {policy.Secret(kept[:len(kept)-1]), q, "login_state"},
		"no digest":            {policy.Secret(kept[:strings.IndexByte(kept, '.')]), q, "login_state"},
		"another state":        {a.Kept, with("state", strings.Repeat("A", 43)), "login_state"},
		"two codes":            {a.Kept, with("code", "a", "b"), "login_state code"},
		"another issuer":       {a.Kept, with("iss", "https://attacker.example"), "login_token issuer"},
		"refused":              {a.Kept, with("error", "access_denied"), "login_refused access_denied"},
		"refused in own words": {a.Kept, with("error", "ann@example.com"), "login_refused other"},
	} {
		if _, err := d.Finish(t.Context(), tc.kept, tc.q); code(err) != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		} else if strings.Contains(err.Error(), "ann@example.com") {
			t.Errorf("%s: the error repeats what came", name)
		}
	}
	if _, err := other.Finish(t.Context(), a.Kept, q); code(err) != "login_state" {
		t.Errorf("at another provider: got %v", err)
	}
	p.set(func() {
		p.describe = func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = true }
	})
	named := p.with(d.config)
	if _, err := named.Finish(t.Context(), a.Kept, q); code(err) != "login_token issuer" {
		t.Errorf("a provider that names itself did not: got %v", err)
	}
	c.Move(11 * time.Minute)
	if _, err := d.Finish(t.Context(), a.Kept, q); code(err) != "login_state late" {
		t.Errorf("late: got %v", err)
	}
	c.Move(-20 * time.Minute)
	if _, err := d.Finish(t.Context(), a.Kept, q); code(err) != "login_state late" {
		t.Errorf("from the future: got %v", err)
	}
}

// How a session ends.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	c := newClock()
	p := newIDP(t, c)
	d := p.desk(nil)
	counts := func(in policy.LoggedIn) error {
		_, err := d.Resolve(t.Context(), policy.Presented{Session: in.Secret})
		return err
	}
	// Idle.
	in := p.logIn(d)
	c.Move(29 * time.Minute)
	must(t, counts(in))
	d = p.again(d)
	c.Move(29 * time.Minute)
	must(t, counts(in))
	d = p.again(d)
	c.Move(30 * time.Minute)
	if err := counts(in); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("not used for long: got %v", err)
	}
	// In any case, and when the configuration says earlier than it did.
	d = p.desk(nil)
	in = p.logIn(d)
	shorter := d.config
	shorter.Lasts = time.Hour
	for range 3 {
		c.Move(29 * time.Minute)
		must(t, counts(in))
		d = p.again(d)
	}
	if _, err := p.with(shorter).Resolve(t.Context(), policy.Presented{Session: in.Secret}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("older than it may be now: got %v", err)
	}
	must(t, counts(in))
	// By hand.
	list, err := d.sessions.List(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].ID != in.Session.ID || list[0].Actor != in.Actor.ID {
		t.Fatalf("list: got %+v", list)
	}
	must(t, d.sessions.Revoke(t.Context(), in.Session.ID))
	if err := counts(in); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("revoked: got %v", err)
	}
	if err := d.sessions.Revoke(t.Context(), in.Session.ID); !errors.Is(err, policy.ErrNoSession) {
		t.Errorf("revoked twice: got %v", err)
	}
	// By who has it.
	in = p.logIn(d)
	if ended, found, err := d.sessions.End(t.Context(), in.Secret); err != nil || !found || ended.ID != in.Session.ID {
		t.Errorf("log out: got %+v %v %v", ended, found, err)
	}
	if _, found, err := d.sessions.End(t.Context(), in.Secret); err != nil || found {
		t.Errorf("log out twice: got %v %v", found, err)
	}
	if err := counts(in); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("logged out: got %v", err)
	}
	// One person has so many; the oldest end.
	first := p.logIn(d)
	for range 20 {
		c.Move(time.Second)
		in = p.logIn(d)
	}
	if err := counts(first); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("the oldest of very many: got %v", err)
	}
	must(t, counts(in))
	// With another provider, or without one.
	if _, err := newIDP(t, c).with(other(d.config, "https://other.example")).Resolve(t.Context(), policy.Presented{Session: in.Secret}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("of another provider: got %v", err)
	}
	if _, err := tokenResolver(t, c, nil).Resolve(t.Context(), policy.Presented{Session: in.Secret}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("without a provider: got %v", err)
	}
	// A role that is taken away is gone at once.
	less := d.config
	less.Issuer.Roles = map[string][]string{"desk-agents": {"dpo"}}
	if a, err := p.with(less).Resolve(t.Context(), policy.Presented{Session: in.Secret}); err != nil || len(a.Roles) != 1 || a.Roles[0] != "dpo" {
		t.Errorf("other roles: got %v %v", a.Roles, err)
	}
	for name, presented := range map[string]policy.Presented{
		"with a key":   {Session: in.Secret, Key: "cgk1"},
		"with a token": {Session: in.Secret, Token: "a.b.c"},
		"cut":          {Session: in.Secret[:len(in.Secret)-1]},
		"bent":         {Session: policy.Secret("cgs1" + strings.Repeat("0", 56))},
		"a key":        {Session: policy.Secret("cgk1" + strings.Repeat("0", 56))},
	} {
		if _, err := d.Resolve(t.Context(), presented); !errors.Is(err, policy.ErrRefused) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if a, err := d.Resolve(t.Context(), policy.Presented{Session: in.Secret, Asserted: "Ann@Example.com"}); err != nil || a.Mismatch {
		t.Errorf("asserted as oneself: got %+v %v", a, err)
	}
	if a, err := d.Resolve(t.Context(), policy.Presented{Session: in.Secret, Asserted: "bob@example.com"}); err != nil || !a.Mismatch {
		t.Errorf("asserted as another: got %+v %v", a, err)
	}
}

func other(c policy.LoginConfig, issuer string) policy.LoginConfig {
	c.Issuer.URL = issuer
	return c
}

// What stands in the database names nobody, and is no use to who reads or changes it.
func TestSessionsAtRest(t *testing.T) {
	t.Parallel()
	c := newClock()
	p := newIDP(t, c)
	d := p.desk(nil)
	db := d.db
	p.set(func() {
		p.token = func(claims map[string]any) any {
			claims["phone_number"] = "+1 555 0100"
			return map[string]any{"id_token": string(rsaKey().sign(t, jose.RS256, claims))}
		}
	})
	in := p.logIn(d)
	rows, err := db.QueryContext(t.Context(), `SELECT id, digest, actor, claims FROM session`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var id, actor string
		var sum, claims []byte
		must(t, rows.Scan(&id, &sum, &actor, &claims))
		all := id + string(sum) + actor + string(claims)
		for _, personal := range []string{"Ann", "ann@", "u-1", "desk-agents", "phone", string(in.Secret), string(in.Secret)[4:56]} {
			if strings.Contains(all, personal) {
				t.Errorf("the row has what is not its")
			}
		}
	}
	must(t, rows.Err())
	_, err = db.ExecContext(t.Context(), `UPDATE session SET actor = 'user:somebody else'`)
	must(t, err)
	if _, err := d.Resolve(t.Context(), policy.Presented{Session: in.Secret}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("another actor in the row: got %v", err)
	}
	in = p.logIn(d)
	_, err = db.ExecContext(t.Context(), `UPDATE session SET claims = $1`, []byte(strings.Repeat("x", 200)))
	must(t, err)
	if _, err := d.Resolve(t.Context(), policy.Presented{Session: in.Secret}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("other claims in the row: got %v", err)
	}
}

// A provider that is away: what it said of itself counts for a day, and nothing after it.
func TestProviderAway(t *testing.T) {
	t.Parallel()
	c := newClock()
	p := newIDP(t, c)
	p.set(func() { p.down = true })
	d := p.desk(nil)
	for range 5 {
		if _, err := d.Begin(t.Context(), redirectURI, "/", false); code(err) != "login_unavailable" {
			t.Fatalf("away from the start: got %v", err)
		}
	}
	if n := p.seen["/.well-known/openid-configuration"]; n != 1 {
		t.Errorf("it was asked %d times at once, want 1", n)
	}
	c.Move(time.Minute)
	p.set(func() { p.down = false })
	in := p.logIn(d)
	c.Move(2 * time.Hour)
	p.set(func() { p.down = true })
	a, q := p.begin(d, false)
	if _, err := d.Finish(t.Context(), a.Kept, q); code(err) != "login_unavailable" {
		t.Errorf("away: got %v", err)
	}
	c.Move(22 * time.Hour)
	if _, err := d.Begin(t.Context(), redirectURI, "/", false); code(err) != "login_unavailable" {
		t.Errorf("away for a day: got %v", err)
	}
	if _, err := d.Resolve(t.Context(), policy.Presented{Session: in.Secret}); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("a session of yesterday: got %v", err)
	}
	for name, describe := range map[string]func(map[string]any){
		"another issuer":      func(m map[string]any) { m["issuer"] = "https://attacker.example" },
		"keys in the open":    func(m map[string]any) { m["jwks_uri"] = "http://keys.example" },
		"codes in the open":   func(m map[string]any) { m["token_endpoint"] = "http://token.example" },
		"a page that is none": func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"nowhere to go":       func(m map[string]any) { delete(m, "authorization_endpoint") },
	} {
		p.set(func() { p.down, p.describe = false, describe })
		if _, err := p.with(d.config).Begin(t.Context(), redirectURI, "/", false); code(err) != "login_unavailable" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLoginsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newIDP(t, newClock())
	base := p.desk(nil).config
	for name, tc := range map[string]struct {
		change func(*policy.LoginConfig)
		says   string
	}{
		"no digest":             {func(c *policy.LoginConfig) { c.Digest = nil }, "digest"},
		"no sessions":           {func(c *policy.LoginConfig) { c.Sessions = nil }, "sessions"},
		"no issuer":             {func(c *policy.LoginConfig) { c.Issuer.URL = "" }, "no URL"},
		"over the open network": {func(c *policy.LoginConfig) { c.Issuer.URL = "http://idp.example.com" }, "HTTPS"},
		"no client":             {func(c *policy.LoginConfig) { c.Issuer.Audience = "" }, "audience"},
		"keys of its own":       {func(c *policy.LoginConfig) { c.Issuer.JWKS = "https://idp.example.com/keys" }, "itself"},
		"no such role":          {func(c *policy.LoginConfig) { c.Issuer.Roles = map[string][]string{"x": {"king"}} }, "the roles are"},
		"for ever":              {func(c *policy.LoginConfig) { c.Lasts = 365 * 24 * time.Hour }, "lasts wants"},
		"for a moment":          {func(c *policy.LoginConfig) { c.Idle = time.Second }, "idle wants"},
		"any login will do":     {func(c *policy.LoginConfig) { c.MaxAge = 0 }, "max_age wants"},
	} {
		c := base
		tc.change(&c)
		if _, err := policy.NewLogin(c); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want a refusal saying %q", name, err, tc.says)
		}
	}
}

// Whatever a browser keeps or presents: only what the gateway gave it counts.
func FuzzLogin(f *testing.F) {
	c := newClock()
	l, err := policy.NewLogin(policy.LoginConfig{
		Issuer: policy.Issuer{URL: issuerURL, Audience: audience}, MaxAge: time.Hour, Idle: time.Hour, Lasts: time.Hour,
		Digest: digest, Sessions: new(policy.Sessions), Now: c.Now,
	})
	must(f, err)
	payload := `{"s":"AAAA","t":0,"i":"` + issuerURL + `"}`
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(payload))+"."+base64.RawURLEncoding.EncodeToString(digest("login attempt v1", []byte(payload))), "state=a&code=b")
	f.Add("", "state=&code=&iss=")
	f.Add(".", "state=a&state=b")
	f.Add("e30.e30", "%zz")
	f.Fuzz(func(t *testing.T, kept, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		policy.AttemptOf(q)
		if _, err := l.Finish(t.Context(), policy.Secret(kept), q); code(err) == "" || !strings.HasPrefix(code(err), "login_state") {
			t.Errorf("an attempt that nobody began: got %v", err)
		}
	})
}
