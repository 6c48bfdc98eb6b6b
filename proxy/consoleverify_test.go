package proxy_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
)

const verifyPath = "/api/v1/tokens/verify"

func typed(token, what string) map[string]any { return map[string]any{"token": token, "typed": what} }

const (
	answersYes = `{"matches":true}` + "\n"
	answersNo  = `{"matches":false}` + "\n"
)

// Who may check what a customer says, what is answered, and what the log knows of it (V8).
func TestVerify(t *testing.T) {
	const address = "jane.verify@example.com"
	g, u, p, _ := startTokens(t, "{class: email, action: tokenize}")
	token := tokenFor(t, g, u, iban)
	agent, _ := newKey(t, g, "agent")
	security, _ := newKey(t, g, "security")
	for name, tc := range map[string]struct {
		header http.Header
		reason string
	}{
		"security":                       {security, "role_not_allowed"},
		"whoever opens the socket":       {http.Header{}, "role_not_allowed"},
		"an agent without other factor":  {p.is(t, "ada", "agent"), "mfa_required"},
		"who shows a key that is no key": {http.Header{"Caregate-Key": {"cgk1nothing"}}, "invalid_credential"},
	} {
		if a := ask(t, g, "POST", verifyPath, typed(token, "3000"), tc.header); a.status/100 != 4 || a.problem.Reason != tc.reason || strings.Contains(a.body, "matches") {
			t.Errorf("%s: got %d %s, want %s", name, a.status, a.body, tc.reason)
		}
	}
	if a := ask(t, g, "POST", verifyPath, typed(token, "300"), agent); a.status != 400 || a.problem.Reason != "invalid_request" || strings.Contains(a.body, `"300"`) {
		t.Errorf("three digits: got %d %s", a.status, a.body)
	}
	event := func(a answer) console.Event { return g.Event(a.header.Get("Caregate-Receipt")) }
	no := ask(t, g, "POST", verifyPath, typed(token, "3001"), agent)
	if e := event(no); no.status != 200 || no.body != answersNo || e.Type != "api.done" || e.Operation != "token.verify" || e.Attrs["answer"] != "no" || e.Subjects != 1 || len(e.Findings) != 0 {
		t.Errorf("another number: got %d %s, event %+v", no.status, no.body, e)
	}
	yes := ask(t, g, "POST", verifyPath, typed("<"+strings.ToUpper(token)+">", "3000"), p.is(t, "ada", "agent", "otp"))
	if e := event(yes); yes.status != 200 || yes.body != answersYes || e.Attrs["answer"] != "yes" || e.Subjects != 1 ||
		len(e.Findings) != 1 || e.Findings[0].Class != "iban" || e.Findings[0].Masked != 1 || e.Findings[0].Clear != 0 {
		t.Errorf("the number: got %d %s, event %+v", yes.status, yes.body, e)
	}
	names, err := proxy.TokenNames(t.Context(), yes.header.Get("Caregate-Receipt"))
	if err != nil || len(names) != 1 {
		t.Errorf("the event names %d tokens, %v", len(names), err)
	}

	// An address is typed whole, and what was typed is nowhere in the data directory (V1).
	mail := tokenFor(t, g, u, address)
	if a := ask(t, g, "POST", verifyPath, typed(mail, "Jane.Verify@example.com"), agent); a.body != answersYes {
		t.Errorf("the address: got %d %s", a.status, a.body)
	}
	if a := ask(t, g, "POST", verifyPath, typed(mail, "john.verify@example.com"), agent); a.body != answersNo {
		t.Errorf("another address: got %d %s", a.status, a.body)
	}
	g.Stop()
	err = filepath.WalkDir(g.Data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(strings.ToLower(string(raw)), ".verify@example") {
			t.Errorf("an address is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Verify()
}

// V9: forged, truncated, misspelt and forbidden tokens have the answer of a wrong number,
// and no call is answered before its time step is over.
func TestVerifyAnswersAlike(t *testing.T) {
	g, token, _, _ := startReveals(t, "{class: iban, route: caregate, role: agent, action: block}")
	agent, _ := newKey(t, g, "agent")
	for _, tc := range []struct{ name, token string }{
		{"forbidden", token}, {"forged", forged(1)[0]}, {"truncated", token[:30]}, {"no token", "hello"},
	} {
		began := time.Now()
		a := ask(t, g, "POST", verifyPath, typed(tc.token, "3000"), agent)
		if a.status != 200 || a.body != answersNo {
			t.Errorf("%s: got %d %s, want %s", tc.name, a.status, a.body, answersNo)
		}
		if took := time.Since(began); took < 50*time.Millisecond {
			t.Errorf("%s: answered after %v", tc.name, took)
		}
	}
}

// V10: three tries an hour for one token, whoever tries and however it is written, real or
// not; the right answer comes too late as well. A new process goes on counting.
func TestVerifyLimits(t *testing.T) {
	g, token, p, _ := startReveals(t)
	agent, _ := newKey(t, g, "agent")
	lead, _ := newKey(t, g, "lead")
	for name, token := range map[string]string{"a token": token, "a forged one": forged(1)[0]} {
		for i, try := range []struct {
			who  http.Header
			text string
		}{{agent, token}, {lead, token}, {p.is(t, "dora", "dpo", "otp"), token}} {
			if a := ask(t, g, "POST", verifyPath, typed(try.text, fmt.Sprint(1000+i)), try.who); a.status != 200 || a.body != answersNo {
				t.Fatalf("%s, try %d: got %d %s", name, i, a.status, a.body)
			}
		}
		a := ask(t, g, "POST", verifyPath, typed(token, "3000"), agent)
		if a.status != 429 || a.problem.Reason != "verify_limit" || strings.Contains(a.body, "matches") {
			t.Errorf("%s, the fourth: got %d %s", name, a.status, a.body)
		}
		if e := g.Event(a.problem.Receipt); e.Reason != "verify_limit" || e.Operation != "token.verify" {
			t.Errorf("%s, its event: %+v", name, e)
		}
	}
	if a := ask(t, g, "POST", verifyPath, typed(" "+strings.ToUpper(token), "3000"), lead); a.status != 429 {
		t.Errorf("in capitals: got %d %s", a.status, a.body)
	}
	g.Restart()
	if a := ask(t, g, "POST", verifyPath, typed(token, "3000"), lead); a.status != 429 {
		t.Errorf("after a restart: got %d %s", a.status, a.body)
	}
}
