package proxy_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// people is an issuer whose tokens prove people, with the block that configures it.
type people struct {
	block  string
	signer jose.Signer
}

func newPeople(t *testing.T) *people {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	jwks := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(jwks, set, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &people{block: "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role dpo dpo\n role agent agent\n role security security\n }\n"}
	if p.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// is a person with a role, and a second factor or not.
func (p *people) is(t *testing.T, name, role string, factors ...string) http.Header {
	t.Helper()
	s, err := jwt.Signed(p.signer).Claims(map[string]any{"iss": "https://id.example", "aud": "caregate", "sub": name + "@example.com",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "roles": []string{role}, "amr": append([]string{"pwd"}, factors...)}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Caregate-Token": {s}}
}

// ask calls the gateway's API over its socket, as whoever header proves.
func ask(t *testing.T, g *proxytest.Gateway, method, path string, body any, header http.Header) answer {
	t.Helper()
	var raw []byte
	var err error
	if body != nil {
		if raw, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://local"+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.Data, proxy.SocketName))
	}}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(text)}
	if res.StatusCode >= 400 {
		if err := json.Unmarshal(text, &a.problem); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// iban is a value that these tests keep, and ibanMasked what is shown of it.
const (
	iban       = "DE89 3704 0044 0532 0130 00"
	ibanMasked = "XXXXXXXXXXXXXXXXXX3000"
)

// startReveals is a gateway with a token for an IBAN, and people.
func startReveals(t *testing.T, rows ...string) (g *proxytest.Gateway, token string, p *people, o proxytest.Options) {
	t.Helper()
	g, u, p, o := startTokens(t, rows...)
	return g, tokenFor(t, g, u, iban), p, o
}

// tokenFor is the token that the gateway makes of a value.
func tokenFor(t *testing.T, g *proxytest.Gateway, u *proxytest.Upstream, value string) (token string) {
	t.Helper()
	if a := do(t, g, call{method: "PUT", path: "/orders/1", body: `{"order":{"note":"pay to ` + value + ` please"}}`}); a.status != 200 {
		t.Fatalf("making a token: got %d %s", a.status, a.body)
	}
	if token = tokenForm.FindString(string(u.Last(t).Body)); token == "" {
		t.Fatalf("no token: %s", u.Last(t).Body)
	}
	return token
}

// startTokens is a gateway that tokenizes IBANs, and people.
func startTokens(t *testing.T, rows ...string) (g *proxytest.Gateway, u *proxytest.Upstream, p *people, o proxytest.Options) {
	t.Helper()
	p = newPeople(t)
	u = proxytest.NewUpstream(t, jsonUpstream(200, `{}`))
	file := filepath.Join(t.TempDir(), "policy.yaml")
	rows = append([]string{"{class: iban, action: tokenize}"}, rows...)
	if err := os.WriteFile(file, []byte("version: 1\nenforcement:\n  - "+strings.Join(rows, "\n  - ")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o = ordersOptions(t, u.URL, p.block+"policy builtin "+file)
	return proxytest.Start(t, o), u, p, o
}

func wish(tokens []string, full bool) map[string]any {
	return map[string]any{"tokens": tokens, "reason": "refund by bank transfer", "ticket": "T-4711", "full": full}
}

const revealPath = "/api/v1/tokens/reveal"

// Who may see what stands behind a token, and what the log knows of it (V8).
func TestReveal(t *testing.T) {
	g, token, p, o := startReveals(t)
	dpo := p.is(t, "dora", "dpo", "otp")
	key, _ := newKey(t, g, "dpo")
	for name, tc := range map[string]struct {
		header http.Header
		full   bool
		reason string
	}{
		"an agent":                   {p.is(t, "ada", "agent", "otp"), false, "admin_needs_role"},
		"whoever opens the socket":   {http.Header{}, false, "admin_needs_role"},
		"a dpo's key":                {key, false, "mfa_required"},
		"a dpo without other factor": {p.is(t, "dora", "dpo"), false, "mfa_required"},
		"a whole value":              {dpo, true, "full_needs_grant"},
	} {
		if a := ask(t, g, "POST", revealPath, wish([]string{token}, tc.full), tc.header); a.status != 403 || a.problem.Reason != tc.reason || strings.Contains(withoutIDs(a.body), "3000") {
			t.Errorf("%s: got %d %s, want %s", name, a.status, a.body, tc.reason)
		}
	}
	a := ask(t, g, "POST", revealPath, wish([]string{"<" + strings.ToUpper(token) + ">"}, false), dpo)
	if want := `{"tokens":[{"found":true,"class":"iban","value":"` + ibanMasked + `","masked":true}]}` + "\n"; a.status != 200 || a.body != want {
		t.Fatalf("got %d %s, want %s", a.status, a.body, want)
	}
	after := g.Event(a.header.Get("Caregate-Receipt"))
	if after.Type != "api.done" || after.Operation != "token.reveal" || after.Subjects != 1 || after.Attrs["revealed"] != "1" {
		t.Errorf("the event: %+v", after)
	}
	for _, f := range after.Findings {
		if f.Class != "iban" || f.Masked != 1 || f.Clear != 0 {
			t.Errorf("what was shown: %+v", f)
		}
	}
	names, err := proxy.TokenNames(t.Context(), after.Receipt)
	if err != nil || len(names) != 1 {
		t.Errorf("the event names %d tokens, %v", len(names), err)
	}

	// The grant for whole values, by the id that others see of whoever asks.
	waiting := ask(t, g, "POST", revealPath, wish(append(forged(20), token), false), dpo)
	id := waits(t, waiting)
	var ap console.Approval
	g.API("GET", "/api/v1/approvals/"+id, "", 200, &ap)
	file := filepath.Join(t.TempDir(), "grants.yaml")
	if err := os.WriteFile(file, []byte("version: 1\ngrants:\n  - actor: "+ap.Requester+"\n    grants: [\"caregate:token.reveal_full\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Block += " " + file
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	a = ask(t, g, "POST", revealPath, wish([]string{token}, true), dpo)
	if kept := strings.ReplaceAll(iban, " ", ""); a.status != 200 || !strings.Contains(a.body, `"value":"`+kept+`"`) {
		t.Fatalf("with the grant: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Operation != "token.reveal_full" || e.Findings[0].Clear != 1 {
		t.Errorf("its event: %+v", e)
	}
	// V1: neither value nor reason is anywhere in the data directory.
	g.Stop()
	err = filepath.WalkDir(g.Data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, secret := range []string{"0532013000", "0532 0130 00", "refund by bank", "T-4711"} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s is in %s", secret, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Verify()
}

// forged are tokens of the right form that nobody made, no two alike.
func forged(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("ptk1%030d", i)
	}
	return out
}

// V9, VT7: forged, truncated, misspelt, expired and forbidden tokens have one answer, and
// no call is answered before its time step is over.
func TestRevealAnswersAlike(t *testing.T) {
	g, token, p, _ := startReveals(t, "{class: iban, route: caregate, role: dpo, action: block}")
	begin := time.Now()
	for i, tc := range []struct{ name, token string }{
		{"forbidden", token}, {"forged", forged(1)[0]}, {"truncated", token[:30]}, {"no token", "hello"},
	} {
		who := p.is(t, fmt.Sprintf("dora%d", i), "dpo", "otp")
		began := time.Now()
		a := ask(t, g, "POST", revealPath, wish([]string{tc.token}, false), who)
		if want := `{"tokens":[{"found":false,"masked":false}]}` + "\n"; a.status != 200 || a.body != want {
			t.Errorf("%s: got %d %s, want %s", tc.name, a.status, a.body, want)
		}
		if took := time.Since(began); took < 50*time.Millisecond {
			t.Errorf("%s: answered after %v", tc.name, took)
		}
	}
	t.Logf("all took %v", time.Since(begin))
}

// V11: of more than 20 at once, two others have to agree, and the caller is neither.
func TestRevealOfMany(t *testing.T) {
	g, token, p, _ := startReveals(t)
	dpo := p.is(t, "dora", "dpo", "otp")
	many := wish(append(forged(20), token), false)
	id := waits(t, ask(t, g, "POST", revealPath, many, dpo))
	give := func(who http.Header) answer {
		return ask(t, g, "POST", "/api/v1/approvals/"+id+"/give", map[string]any{}, who)
	}
	if a := give(dpo); a.status != 403 {
		t.Errorf("by the caller: got %d %s", a.status, a.body)
	}
	if a := give(p.is(t, "sue", "security", "otp")); a.status != 200 {
		t.Fatalf("by one: got %d %s", a.status, a.body)
	}
	if a := give(p.is(t, "sue", "security", "otp")); a.status != 400 {
		t.Errorf("by the same again: got %d %s", a.status, a.body)
	}
	if a := ask(t, g, "POST", revealPath, many, with(dpo, id)); a.problem.Reason != "approval_invalid" {
		t.Errorf("with one of two: got %d %s", a.status, a.body)
	}
	if a := give(p.is(t, "sam", "security", "otp")); a.status != 200 || !strings.Contains(a.body, `"state":"given"`) {
		t.Fatalf("by the second: got %d %s", a.status, a.body)
	}
	other := wish(append(forged(21), token), false)
	if a := ask(t, g, "POST", revealPath, other, with(dpo, id)); a.problem.Reason != "approval_invalid" {
		t.Errorf("other tokens: got %d %s", a.status, a.body)
	}
	a := ask(t, g, "POST", revealPath, many, with(dpo, id))
	if a.status != 200 || strings.Count(a.body, `"found":true`) != 1 {
		t.Fatalf("approved: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Attrs["approval"] != id || e.Scope != "bulk" {
		t.Errorf("its event: %+v", e)
	}
	if a := ask(t, g, "POST", revealPath, many, with(dpo, id)); a.problem.Reason != "approval_invalid" {
		t.Errorf("again: got %d %s", a.status, a.body)
	}
}

// VT8, V10: five calls a minute, also of a gateway that was restarted; tokens that are none
// count too.
func TestRevealLimits(t *testing.T) {
	g, token, p, _ := startReveals(t)
	dpo := p.is(t, "dora", "dpo", "otp")
	for i := range 5 {
		if a := ask(t, g, "POST", revealPath, wish(forged(1), false), dpo); a.status != 200 {
			t.Fatalf("call %d: got %d %s", i, a.status, a.body)
		}
	}
	g.Restart()
	// However long that took, those five were a moment ago: what was taken later than now
	// counts as well.
	db, err := g.OpenDB("state.db", store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE limit_use SET at = at + $1", time.Hour.Milliseconds()); err != nil {
		t.Fatal(err)
	}
	a := ask(t, g, "POST", revealPath, wish([]string{token}, false), dpo)
	if a.status != 429 || a.problem.Reason != "reveal_limit" {
		t.Errorf("the sixth: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Reason != "reveal_limit" {
		t.Errorf("its event: %+v", e)
	}
	if a := ask(t, g, "POST", revealPath, wish([]string{token}, false), p.is(t, "dan", "dpo", "otp")); a.status != 200 {
		t.Errorf("another person: got %d %s", a.status, a.body)
	}
}
