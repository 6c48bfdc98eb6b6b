// Package login_test logs people in at a provider that others wrote, the library
// oidc-provider, through a real gateway with TLS, as a browser does. It needs node and
// npm; without them it fails and says how to get them.
package login_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/nodetest"
	"github.com/caregate/caregate/proxy/proxytest"
)

const (
	clientID     = "caregate"
	clientSecret = "the client's secret, with / and + and % in it"
)

// stage is a gateway with a site for its API over TLS, and a provider.
type stage struct {
	t        *testing.T
	gateway  *proxytest.Gateway
	options  proxytest.Options
	provider *nodetest.Process
	issuer   string
	site     string // https://127.0.0.1:port
	trust    *x509.CertPool
	access   string // the access log
}

func newStage(t *testing.T, block string) *stage {
	t.Helper()
	return newSite(t, block, "http://127.0.0.1:9", "caregate_api")
}

// newSite is a stage with another inside of its site.
func newSite(t *testing.T, block, upstream, inside string) *stage {
	t.Helper()
	dir := t.TempDir()
	site, idp := proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	s := &stage{t: t, provider: nodetest.Start(t, "provider.mjs"), site: "https://" + site, access: filepath.Join(dir, "access.log")}
	s.tell(map[string]any{"listen": idp, "client": map[string]any{
		"client_id": clientID, "client_secret": clientSecret, "redirect_uris": []string{s.site + "/caregate/callback"}, "response_types": []string{"code"}, "grant_types": []string{"authorization_code"},
	}})
	secret := filepath.Join(dir, "client.secret")
	write(t, secret, []byte(clientSecret))
	cert, key := s.certificate(dir)
	s.options = proxytest.Options{
		Upstream: upstream,
		Block:    "identity oidc " + s.issuer + " {\n client_id " + clientID + "\n client_secret {file." + secret + "}\n scopes email groups\n roles groups\n role desk-agents agent\n role platform admin\n" + block + "\n}",
		Sites:    s.site + " {\n bind 127.0.0.1\n tls " + cert + " " + key + "\n log {\n output file " + s.access + "\n }\n " + inside + "\n}\n",
	}
	s.gateway = proxytest.Start(t, s.options)
	return s
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tell gives the provider a command.
func (s *stage) tell(command map[string]any) {
	s.t.Helper()
	var said struct{ Issuer string }
	s.provider.Ask(command, &said)
	s.issuer = said.Issuer
}

// certificate makes the site's, which only this test trusts.
func (s *stage) certificate(dir string) (cert, key string) {
	s.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "site.pem"), filepath.Join(dir, "site.key")
	write(s.t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
	write(s.t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	s.trust = x509.NewCertPool()
	s.trust.AddCert(parsed)
	return cert, key
}

// browser is a client with cookies, which follows redirects.
type browser struct {
	t *testing.T
	*http.Client
	jar  *cookiejar.Jar
	site string
	via  []string // what it was sent to
}

func (s *stage) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b := &browser{t: s.t, jar: jar, site: s.site}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.trust}}
	s.t.Cleanup(transport.CloseIdleConnections)
	b.Client = &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		b.via = append(b.via, r.URL.String())
		r.Header.Del("Referer") // which no browser makes of a redirect
		return nil
	}}
	return b
}

type page struct {
	status int
	at     *url.URL
	header http.Header
	body   string
}

func (b *browser) do(method, to string, form url.Values, header map[string]string) page {
	b.t.Helper()
	if form == nil {
		return b.send(method, to, nil, header)
	}
	all := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	maps.Copy(all, header)
	return b.send(method, to, strings.NewReader(form.Encode()), all)
}

func (b *browser) send(method, to string, body io.Reader, header map[string]string) page {
	b.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.site + to
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, to, body)
	if err != nil {
		b.t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := b.Do(req)
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{res.StatusCode, res.Request.URL, res.Header, string(text)}
}

var formAction = regexp.MustCompile(`<form method="post" action="([^"]+)">`)

// logIn goes through the whole login and returns the page at its end.
func (b *browser) logIn(back, name, code string) page {
	b.t.Helper()
	p := b.do("GET", "/caregate/login?return="+url.QueryEscape(back), nil, nil)
	if strings.HasPrefix(p.at.String(), b.site) {
		return p // the provider knew the browser
	}
	return b.fill(p, name, code)
}

// fill types name and code into the provider's form.
func (b *browser) fill(p page, name, code string) page {
	b.t.Helper()
	action := formAction.FindStringSubmatch(p.body)
	if p.status != http.StatusOK || action == nil {
		b.t.Fatalf("the provider's form: got %d at %s, want a form: %s", p.status, p.at.Redacted(), p.body)
	}
	return b.do("POST", p.at.Scheme+"://"+p.at.Host+action[1], url.Values{"login": {name}, "code": {code}}, nil)
}

// session is the browser's session cookie.
func (b *browser) session() string {
	b.t.Helper()
	u, err := url.Parse(b.site)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.jar.Cookies(u) {
		if c.Name == "__Host-caregate" {
			return c.Value
		}
	}
	return ""
}

type session struct{ ID, Actor string }

func (s *stage) sessions() []session {
	s.t.Helper()
	var list struct{ Sessions []session }
	s.gateway.API("GET", "/api/v1/sessions", "", http.StatusOK, &list)
	return list.Sessions
}

// A whole login: to the provider and back, to the page that was wanted; then the API
// answers as policy says, changes need a page of the same site, and the end is an end.
func TestLogin(t *testing.T) {
	s := newStage(t, "acr two-factors")
	b := s.browser()
	if p := b.do("GET", "/api/v1/status", nil, nil); p.status != http.StatusUnauthorized {
		t.Fatalf("nobody: got %d", p.status)
	}
	p := b.logIn("/api/v1/status?x=1", "root", "123456")
	if p.status != http.StatusOK || p.at.String() != s.site+"/api/v1/status?x=1" {
		t.Fatalf("after the login: got %d at %s: %s", p.status, p.at.Redacted(), p.body)
	}
	first := b.session()
	if first == "" || len(s.sessions()) != 1 {
		t.Fatalf("sessions: got %+v", s.sessions())
	}
	if who := b.do("GET", "/caregate/session", nil, nil); !strings.Contains(who.body, "root@example.com") || !strings.Contains(who.body, "admin") {
		t.Errorf("who is logged in: got %d %s", who.status, who.body)
	}

	var made struct{ Secret string }
	s.gateway.API("POST", "/api/v1/apikeys", `{"name":"beside a session","roles":["admin"]}`, http.StatusCreated, &made)
	if made.Secret == "" {
		t.Fatal("a key without a secret")
	}
	key := `{"name":"made in a browser","roles":["agent"]}`
	for name, test := range map[string]struct {
		header map[string]string
		want   int
		reason string
	}{
		"a page of ours":          {map[string]string{"Origin": s.site}, http.StatusCreated, ""},
		"a page of ours, fetched": {map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusCreated, ""},
		"nobody knows whose":      {nil, http.StatusForbidden, "origin_refused"},
		"another site":            {map[string]string{"Origin": "https://attacker.example"}, http.StatusForbidden, "origin_refused"},
		"another site, fetched":   {map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden, "origin_refused"},
		"two proofs":              {map[string]string{"Origin": s.site, "Caregate-Key": made.Secret}, http.StatusUnauthorized, "invalid_credential"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.site+"/api/v1/apikeys", strings.NewReader(key))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for n, v := range test.header {
			req.Header.Set(n, v)
		}
		res, err := b.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != test.want || res.Header.Get("Caregate-Error") != test.reason {
			t.Errorf("%s: got %d %s, want %d %s", name, res.StatusCode, res.Header.Get("Caregate-Error"), test.want, test.reason)
		}
	}

	// Again: another session, and the one before has ended.
	if p := b.logIn("/api/v1/status", "root", "123456"); p.status != http.StatusOK {
		t.Fatalf("again: got %d %s", p.status, p.body)
	}
	if b.session() == first || len(s.sessions()) != 1 {
		t.Errorf("the second login kept the session of the first: %+v", s.sessions())
	}
	second := b.session()

	// Log out, from a page of ours only.
	if p := b.do("POST", "/caregate/logout", nil, map[string]string{"Origin": "https://attacker.example"}); p.status != http.StatusForbidden || len(s.sessions()) != 1 {
		t.Errorf("log out from another site: got %d", p.status)
	}
	if p := b.do("POST", "/caregate/logout", nil, map[string]string{"Origin": s.site}); p.status != http.StatusOK || b.session() != "" || len(s.sessions()) != 0 {
		t.Errorf("log out: got %d %s", p.status, p.body)
	}
	for _, old := range []string{first, second} {
		if p := s.browser().do("GET", "/api/v1/status", nil, map[string]string{"Cookie": "__Host-caregate=" + old}); p.status != http.StatusUnauthorized || p.header.Get("Caregate-Error") != "invalid_credential" {
			t.Errorf("a session that ended: got %d", p.status)
		}
	}
	s.keepsSecrets(b, first, second)
}

// keepsSecrets looks for what must stand nowhere: sessions, the provider's codes and
// states, the person.
func (s *stage) keepsSecrets(b *browser, secrets ...string) {
	s.t.Helper()
	found := 0
	for _, to := range b.via {
		u, err := url.Parse(to)
		if err != nil {
			s.t.Fatal(err)
		}
		if u.Path == "/caregate/callback" {
			found++
			secrets = append(secrets, u.Query().Get("code"), u.Query().Get("state"))
		}
	}
	if found == 0 {
		s.t.Error("the browser was never sent back")
	}
	secrets = append(secrets, clientSecret, "root@example.com")
	s.gateway.Stop()
	access, err := os.ReadFile(s.access)
	if err != nil || !bytes.Contains(access, []byte("/api/v1/status")) {
		s.t.Errorf("the access log has nothing of the other calls: %v", err)
	}
	if bytes.Contains(access, []byte("/caregate/callback")) {
		s.t.Error("the access log has the provider's answer")
	}
	err = filepath.WalkDir(filepath.Dir(s.access), func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(name, "client.secret") {
			return err
		}
		raw, err := os.ReadFile(name)
		for _, secret := range secrets {
			if secret != "" && bytes.Contains(raw, []byte(secret)) {
				s.t.Errorf("%s has what belongs to the browser or the provider", filepath.Base(name))
			}
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	err = filepath.WalkDir(s.gateway.Data, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(name)
		for _, secret := range secrets {
			if secret != "" && bytes.Contains(raw, []byte(secret)) {
				s.t.Errorf("%s has what belongs to the browser or the provider", filepath.Base(name))
			}
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

// Who may log in, and as what.
func TestWhoLogsIn(t *testing.T) {
	s := newStage(t, "")
	for name, test := range map[string]struct {
		who, code, back string
		status          int
		reason, at      string
	}{
		"without second factor":   {"root", "", "/api/v1/status", 403, "mfa_required", "/api/v1/status"},
		"a role for other calls":  {"ada", "1", "/api/v1/status", 403, "role_not_allowed", "/api/v1/status"},
		"nobody's group":          {"mallory", "1", "/api/v1/status", 403, "login_role", "/caregate/callback"},
		"unknown to the provider": {"eve", "1", "/api/v1/status", 403, "login_refused", "/caregate/callback"},
		"to another site":         {"root", "1", "https://attacker.example/", 200, "", "/caregate/session"},
		"to another host":         {"root", "1", "//attacker.example/", 200, "", "/caregate/session"},
		"to another host, bent":   {"root", "1", `/\attacker.example/`, 200, "", "/caregate/session"},
	} {
		b := s.browser()
		p := b.logIn(test.back, test.who, test.code)
		if p.status != test.status || p.header.Get("Caregate-Error") != test.reason || p.at.Path != test.at || p.at.Scheme+"://"+p.at.Host != s.site {
			t.Errorf("%s: got %d %s at %s, want %d %s at %s", name, p.status, p.header.Get("Caregate-Error"), p.at.Path, test.status, test.reason, test.at)
		}
		if refused := strings.HasPrefix(test.reason, "login_"); refused && b.session() != "" {
			t.Errorf("%s: has a session", name)
		} else if refused {
			var e struct{ Reason, Operation string }
			s.gateway.API("GET", "/api/v1/events/"+p.header.Get("Caregate-Receipt"), "", http.StatusOK, &e)
			if e.Reason != test.reason || e.Operation != "session.create" {
				t.Errorf("%s: event %+v", name, e)
			}
		}
	}
}

// The provider's answer counts in the browser that began the login, once.
func TestAnswersThatDoNotCount(t *testing.T) {
	s := newStage(t, "")
	// began goes to the provider, logs in, and stops before the gateway.
	began := func(b *browser) *url.URL {
		t.Helper()
		var back *url.URL
		follow := b.CheckRedirect
		defer func() { b.CheckRedirect = follow }()
		b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if r.URL.Path == "/caregate/callback" {
				back = r.URL
				r.Header.Del("Referer")
				return http.ErrUseLastResponse
			}
			return nil
		}
		if p := b.do("GET", "/caregate/login", nil, nil); back == nil {
			b.fill(p, "root", "1")
		}
		if back == nil {
			t.Fatal("the provider did not send the browser back")
		}
		return back
	}
	with := func(u *url.URL, change func(url.Values)) string {
		q := u.Query()
		change(q)
		return u.Path + "?" + q.Encode()
	}
	for name, test := range map[string]struct {
		change func(url.Values)
		reason string
	}{
		"another state":    {func(q url.Values) { q.Set("state", strings.Repeat("A", len(q.Get("state")))) }, "login_state"},
		"the state bent":   {func(q url.Values) { q.Set("state", q.Get("state")[:20]+"x") }, "login_state"},
		"no state":         {func(q url.Values) { q.Del("state") }, "login_state"},
		"two states":       {func(q url.Values) { q.Add("state", q.Get("state")) }, "login_state"},
		"another issuer":   {func(q url.Values) { q.Set("iss", "https://attacker.example") }, "login_token"},
		"no issuer":        {func(q url.Values) { q.Del("iss") }, "login_token"},
		"another code":     {func(q url.Values) { q.Set("code", "made-up") }, "login_token"},
		"no code":          {func(q url.Values) { q.Del("code") }, "login_state"},
		"somebody's error": {func(q url.Values) { q.Set("error", "<script>") }, "login_refused"},
		"a long code":      {func(q url.Values) { q.Set("code", strings.Repeat("a", 5000)) }, "login_state"},
	} {
		b := s.browser()
		p := b.do("GET", with(began(b), test.change), nil, nil)
		if p.header.Get("Caregate-Error") != test.reason || b.session() != "" || strings.Contains(p.body, "<script>") {
			t.Errorf("%s: got %d %s", name, p.status, p.header.Get("Caregate-Error"))
		}
	}

	// An answer that somebody else began: the victim must not be logged in as them.
	attacker, victim := s.browser(), s.browser()
	theirs := began(attacker)
	if p := victim.do("GET", theirs.RequestURI(), nil, nil); p.header.Get("Caregate-Error") != "login_state" || victim.session() != "" {
		t.Errorf("planted: got %d", p.status)
	}
	// Also when both have begun: each answer belongs to its own attempt.
	began(victim)
	if p := victim.do("GET", theirs.RequestURI(), nil, nil); p.header.Get("Caregate-Error") != "login_state" || victim.session() != "" {
		t.Errorf("planted in a browser that began, too: got %d", p.status)
	}
	// A code of another's login in one's own answer fails at the provider: PKCE.
	mine := began(victim)
	if p := victim.do("GET", with(mine, func(q url.Values) { q.Set("code", theirs.Query().Get("code")) }), nil, nil); p.header.Get("Caregate-Error") != "login_token" || victim.session() != "" {
		t.Errorf("injected code: got %d %s", p.status, p.header.Get("Caregate-Error"))
	}
	// Twice.
	b := s.browser()
	back := began(b)
	if p := b.do("GET", back.RequestURI(), nil, nil); p.status != http.StatusOK || b.session() == "" {
		t.Fatalf("once: got %d %s", p.status, p.body)
	}
	if p := b.do("GET", back.RequestURI(), nil, nil); p.header.Get("Caregate-Error") != "login_state" {
		t.Errorf("twice: got %d %s", p.status, p.header.Get("Caregate-Error"))
	}
	// Two tabs at once.
	b = s.browser()
	one, two := began(b), began(b)
	for _, back := range []*url.URL{one, two} {
		if p := b.do("GET", back.RequestURI(), nil, nil); p.status != http.StatusOK {
			t.Errorf("two tabs: got %d %s", p.status, p.body)
		}
	}
}

// A provider that is away keeps people from logging in, and nobody from working; a new
// key of it is found.
func TestProviderAway(t *testing.T) {
	s := newStage(t, "")
	b := s.browser()
	if p := b.logIn("/api/v1/status", "root", "1"); p.status != http.StatusOK {
		t.Fatalf("log in: got %d %s", p.status, p.body)
	}
	s.tell(map[string]any{"rotate": true})
	for deadline := time.Now().Add(5 * time.Minute); ; { // the keys were fetched a moment ago
		p := s.browser().logIn("/api/v1/status", "root", "1")
		if p.status == http.StatusOK {
			break
		}
		if p.header.Get("Caregate-Error") != "login_token" || time.Now().After(deadline) {
			t.Fatalf("a new key: got %d %s", p.status, p.header.Get("Caregate-Error"))
		}
	}
	s.tell(map[string]any{"close": true})
	if p := b.do("GET", "/api/v1/status", nil, nil); p.status != http.StatusOK {
		t.Errorf("a session while the provider is away: got %d", p.status)
	}
	// A gateway that has never asked cannot say where the provider's page is.
	if err := s.gateway.Load(s.options); err != nil {
		t.Fatal(err)
	}
	if p := s.browser().do("GET", "/caregate/login", nil, nil); p.status != http.StatusServiceUnavailable || p.header.Get("Caregate-Error") != "login_unavailable" {
		t.Errorf("log in while the provider is away: got %d %s", p.status, p.header.Get("Caregate-Error"))
	}
	if p := b.do("GET", "/api/v1/status", nil, nil); p.status != http.StatusOK {
		t.Errorf("the session after a reload: got %d", p.status)
	}
	s.tell(map[string]any{"open": true})
	for deadline := time.Now().Add(5 * time.Minute); ; {
		p := s.browser().do("GET", "/caregate/login", nil, nil)
		if p.status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the provider is back: got %d", p.status)
		}
	}
	if p := s.browser().logIn("/api/v1/status", "root", "1"); p.status != http.StatusOK {
		t.Errorf("log in when it is back: got %d %s", p.status, p.header.Get("Caregate-Error"))
	}

	// Who has no role any more has none at once, whatever the session was made with.
	o := s.options
	o.Block = strings.Replace(o.Block, "role platform admin\n", "", 1)
	if err := s.gateway.Load(o); err != nil {
		t.Fatal(err)
	}
	if p := b.do("GET", "/api/v1/status", nil, nil); p.status != http.StatusForbidden {
		t.Errorf("without the role: got %d", p.status)
	}
	// An administrator ends a session.
	list := s.sessions()
	for _, one := range list {
		s.gateway.API("DELETE", "/api/v1/sessions/"+one.ID, "", http.StatusNoContent, nil)
	}
	if p := b.do("GET", "/api/v1/status", nil, nil); len(list) == 0 || p.status != http.StatusUnauthorized {
		t.Errorf("ended by an administrator: got %d", p.status)
	}
	var refused struct{ Reason string }
	if p := b.do("GET", "/api/v1/status", nil, nil); json.Unmarshal([]byte(p.body), &refused) != nil || refused.Reason != "invalid_credential" {
		t.Errorf("the answer: got %s", p.body)
	}
}
