package proxy_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

const (
	revealsPath = "/api/v1/access/reveals"
	renewPath   = revealsPath + "/renew"
)

// later lets time pass for rights to reveal: what the table has is longer ago.
func later(t *testing.T, db *store.DB, d time.Duration) {
	t.Helper()
	for _, column := range []string{"seen", "used", "renewed", "lapsed"} {
		if _, err := db.ExecContext(t.Context(), "UPDATE reveal_right SET "+column+" = "+column+" - $1 WHERE "+column+" > 0", d.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
}

// stateOf is the gateway's database of state.
func stateOf(t *testing.T, g *proxytest.Gateway) *store.DB {
	t.Helper()
	db, err := g.OpenDB("state.db", store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func revealRights(t *testing.T, g *proxytest.Gateway) map[string]console.RevealRight {
	t.Helper()
	var list console.RevealRightList
	g.API("GET", revealsPath, "", 200, &list)
	out := make(map[string]console.RevealRight)
	for _, r := range list.Rights {
		out[r.Actor] = r
	}
	return out
}

// The life of a right to reveal: seen, used, lapsed, renewed by somebody else.
func TestRevealRightLapses(t *testing.T) {
	proxy.Within(t, proxy.LapseEvery, time.Hour) // a call that is denied tells, too
	g, token, p, o := startReveals(t)
	db := stateOf(t, g)
	dpo := p.is(t, "dora", "dpo", "otp")
	try := func(when string, who http.Header, tokens []string, status int, reason string) answer {
		t.Helper()
		a := ask(t, g, "POST", revealPath, wish(tokens, false), who)
		if a.status != status || a.problem.Reason != reason {
			t.Fatalf("%s: got %d %s, want %d %s", when, a.status, a.body, status, reason)
		}
		return a
	}
	one := func() (r console.RevealRight) {
		t.Helper()
		rights := revealRights(t, g)
		if len(rights) != 1 {
			t.Fatalf("%d rights, want one: %v", len(rights), rights)
		}
		for _, r = range rights {
		}
		return r
	}
	try("somebody else", p.is(t, "ada", "agent", "otp"), []string{token}, 403, "admin_needs_role")
	if rights := revealRights(t, g); len(rights) != 0 {
		t.Errorf("who holds none has one: %v", rights)
	}
	try("at first", dpo, []string{token}, 200, "")
	r := one()
	if r.Lapsed || r.LastUsed.IsZero() || r.Lapses.Sub(r.LastUsed) != 90*24*time.Hour || !strings.HasPrefix(r.Actor, "user:") || r.Event != "" {
		t.Errorf("used: %+v", r)
	}

	// Neither a denial nor a token that is none is a use.
	later(t, db, 89*24*time.Hour)
	used := one().LastUsed
	try("without the second factor", p.is(t, "dora", "dpo"), []string{token}, 403, "mfa_required")
	try("a token that is none", dpo, forged(1), 200, "")
	if got := one().LastUsed; !got.Equal(used) {
		t.Errorf("last used: got %v, want %v", got, used)
	}
	later(t, db, 2*24*time.Hour)
	// A call that reveals nothing has nothing to tell.
	if a := ask(t, g, "POST", "/api/v1/tokens/verify", map[string]any{"token": token, "typed": "3000"}, dpo); a.status != 200 {
		t.Errorf("to verify after 91 days: got %d %s", a.status, a.body)
	}
	if r := one(); r.Event != "" {
		t.Errorf("told by a call that reveals nothing: %+v", r)
	}
	a := try("after 91 days", dpo, []string{token}, 403, "reveal_lapsed")
	if !strings.Contains(a.body, "caregate access renew") {
		t.Errorf("it does not say what to do: %s", a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Reason != "reveal_lapsed" || e.Decision != "deny" {
		t.Errorf("its event: %+v", e)
	}
	r = one()
	if !r.Lapsed || r.Event == "" {
		t.Fatalf("lapsed: %+v", r)
	}
	if e := g.Event(r.Event); e.Type != "access.lapsed" || e.Channel != "caregate" || e.Attrs["holder"] != r.Actor || e.Attrs["unused_days"] != "91" || e.Attrs["last_used"] == "" {
		t.Errorf("the event of the lapse: %+v", e)
	}
	g.Restart()
	try("again", dpo, []string{token}, 403, "reveal_lapsed")
	if got := one(); got.Event != r.Event {
		t.Errorf("told again: %+v", got)
	}
	if a := ask(t, g, "POST", "/api/v1/tokens/verify", map[string]any{"token": token, "typed": "3000"}, dpo); a.status != 200 {
		t.Errorf("to verify: got %d %s", a.status, a.body)
	}

	// Renewed by another, never by oneself.
	if a := ask(t, g, "POST", renewPath, map[string]any{"actor": r.Actor}, dpo); a.status != 403 || a.problem.Reason != "admin_needs_role" {
		t.Errorf("a dpo renews: got %d %s", a.status, a.body)
	}
	both, err := jwt.Signed(p.signer).Claims(map[string]any{"iss": "https://id.example", "aud": "caregate", "sub": "dora@example.com",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "roles": []string{"dpo", "security"}, "amr": []string{"pwd", "otp"}}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(t, g, "POST", renewPath, map[string]any{"actor": r.Actor}, http.Header{"Caregate-Token": {both}}); a.status != 400 || !strings.Contains(a.body, "own") {
		t.Errorf("one's own: got %d %s", a.status, a.body)
	}
	if a := ask(t, g, "POST", renewPath, map[string]any{"actor": "user:" + strings.Repeat("0", 32)}, http.Header{}); a.status != 404 {
		t.Errorf("of nobody: got %d %s", a.status, a.body)
	}
	try("nobody renewed", dpo, []string{token}, 403, "reveal_lapsed")
	other := p.is(t, "sam", "security", "otp")
	other.Set("Caregate-Ticket", "CHG-17")
	a = ask(t, g, "POST", renewPath, map[string]any{"actor": r.Actor}, other)
	if a.status != 200 {
		t.Fatalf("renewing: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Type != "api.done" || e.Operation != "access.renew" || e.Attrs["holder"] != r.Actor || e.Attrs["ticket"] != "CHG-17" || e.Identity != "proven" {
		t.Errorf("the event of the renewal: %+v", e)
	}
	if r = one(); r.Lapsed || r.Event != "" || r.RenewedBy == "" || r.RenewedBy == r.Actor || r.Lapses.Sub(r.Renewed) != 90*24*time.Hour {
		t.Errorf("renewed: %+v", r)
	}
	try("renewed", dpo, []string{token}, 200, "")

	// What nobody can read lets nobody reveal, and stops nothing else.
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE reveal_right RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	try("without the table", dpo, []string{token}, 403, "policy_error")
	if a := ask(t, g, "POST", "/api/v1/tokens/verify", map[string]any{"token": token, "typed": "3000"}, dpo); a.status != 200 {
		t.Errorf("to verify without the table: got %d %s", a.status, a.body)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE elsewhere RENAME TO reveal_right"); err != nil {
		t.Fatal(err)
	}

	// Another policy: rights do not lapse.
	later(t, db, 365*24*time.Hour)
	try("after a year", dpo, []string{token}, 403, "reveal_lapsed")
	file := filepath.Join(t.TempDir(), "never.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nreveal: {unused_after_days: 0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Block += " " + file
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	try("where rights do not lapse", dpo, []string{token}, 200, "")
	if r := one(); r.Lapsed || !r.Lapses.IsZero() {
		t.Errorf("where rights do not lapse: %+v", r)
	}
	g.Verify()
}

// Where nobody can note a holder the governed call goes on, and none tries it for a while.
func TestRevealRightNotNoted(t *testing.T) {
	proxy.Within(t, proxy.LapseEvery, time.Hour)
	proxy.Within(t, proxy.NoteRevealerPause, time.Hour)
	g, _, p, _ := startReveals(t)
	db := stateOf(t, g)
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	get := func(when, sub string) {
		t.Helper()
		if a := do(t, g, call{method: "GET", path: "/orders/1", header: p.is(t, sub, "dpo", "otp")}); a.status != 200 {
			t.Fatalf("%s: got %d %s", when, a.status, a.body)
		}
	}
	rename("reveal_right", "elsewhere")
	get("without the table", "dora")
	rename("elsewhere", "reveal_right")
	get("the same again", "dora")
	get("somebody else", "dan")
	if rights := revealRights(t, g); len(rights) != 0 {
		t.Errorf("noted soon after a failure: %v", rights)
	}
}

// Somebody whom the gateway sees with the right only in calls to a governed system has it too,
// and the log hears that it lapsed without another call.
func TestRevealRightLapsesByItself(t *testing.T) {
	proxy.Within(t, proxy.LapseEvery, 20*time.Millisecond)
	g, _, p, _ := startReveals(t)
	db := stateOf(t, g)
	for _, role := range []string{"dpo", "agent"} {
		if a := do(t, g, call{method: "GET", path: "/orders/1", header: p.is(t, "d"+role, role, "otp")}); a.status != 200 {
			t.Fatalf("a call: got %d %s", a.status, a.body)
		}
	}
	rights := revealRights(t, g)
	if len(rights) != 1 {
		t.Fatalf("%d rights, want one: %v", len(rights), rights)
	}
	later(t, db, 91*24*time.Hour)
	told := 0
	for until := time.Now().Add(5 * time.Minute); told == 0; g.Verify() {
		if err := db.QueryRowContext(t.Context(), "SELECT told FROM reveal_right").Scan(&told); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(until) {
			t.Fatal("nobody told the log")
		}
	}
	for _, r := range revealRights(t, g) {
		if e := g.Event(r.Event); e.Type != "access.lapsed" || e.Attrs["last_used"] != "" || e.Attrs["first_seen"] == "" || e.Attrs["unused_days"] != "91" {
			t.Errorf("the event: %+v", e)
		}
	}
}
