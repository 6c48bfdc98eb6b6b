package policy_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/policy"
)

// plainDigest stands for the vault's.
func plainDigest(purpose string, msg []byte) []byte {
	sum := sha256.Sum256(append([]byte(purpose), msg...))
	return sum[:]
}

// A statement of who changed something counts for what it was first made of, whoever asks on
// one database, after a restart too.
func TestStatements(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "state.db"), "postgres": pgtest.Database(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := policy.Authorship{Ticket: "CHG-1", Author: "jane@example.com"}
			second := policy.Authorship{Ticket: "CHG-1", Author: "jane@example.com", Approver: "joe@example.com"}
			for _, step := range []struct {
				name, of, content string
				by                policy.Authorship
				want              bool
			}{
				{"the first", "a.yaml", "a", first, true},
				{"the same again", "a.yaml", "a", first, true},
				{"it stayed behind", "a.yaml", "b", first, false},
				{"and another time", "a.yaml", "b", first, false},
				{"it was written anew", "a.yaml", "b", second, true},
				{"another document under the same ticket", "b.yaml", "b", first, true},
				{"back to what was there", "a.yaml", "a", first, true},
				{"back with the later statement", "a.yaml", "a", second, false},
			} {
				// Opened anew each time, as another gateway would.
				l, err := policy.OpenStatements(t.Context(), openDB(t, database), plainDigest)
				must(t, err)
				got, err := l.Counts(t.Context(), policy.Statement{Authorship: step.by, Of: step.of, Content: []byte(step.content)})
				if err != nil || got != step.want {
					t.Errorf("%s: got %t, %v, want %t", step.name, got, err, step.want)
				}
			}
		})
	}
}

// A statement is about all of its document, and the first one's about the rules beside it.
func TestStatementsOfDocuments(t *testing.T) {
	t.Parallel()
	contents := func(rules string, documents ...string) (out []string) {
		t.Helper()
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "own.rego"), []byte("package caregate.operator\n\n"+rules), 0o600))
		c := policy.Config{Dir: dir}
		for _, d := range documents {
			o, err := policy.ParseOverlay("a.yaml", []byte("version: 1\n"+d))
			must(t, err)
			c.Overlays = append(c.Overlays, o)
		}
		e, err := policy.NewEngine(t.Context(), c)
		must(t, err)
		for _, s := range e.Changes() {
			out = append(out, s.Ticket+string(s.Content))
		}
		return out
	}
	const rule, other = "deny contains \"a\" if input.effect == \"delete\"\n", "deny contains \"b\" if input.effect == \"delete\"\n"
	const one, two, edited = "change: {ticket: A}\n", "change: {ticket: B}\n", "change: {ticket: B}\nlogins: [{role: admin, max_age: 1h}]\n"
	was := contents(rule, one, two)
	if len(was) != 2 {
		t.Fatalf("got %d statements, want 2", len(was))
	}
	if now := contents(other, one, two); now[0] == was[0] || now[1] != was[1] {
		t.Error("rules belong to the first document and to no other")
	}
	if now := contents(rule, one, edited); now[0] != was[0] || now[1] == was[1] {
		t.Error("an edit of the second document is about that one alone")
	}
	if now := contents(rule, "", two); len(now) != 1 || now[0] != was[1] {
		t.Errorf("a document that says nothing: %d statements, or others", len(now))
	}
}

// A ticket is wanted of what changes who may do what, once any document says so.
func TestTicketsOfChanges(t *testing.T) {
	t.Parallel()
	engine := func(documents ...string) *policy.Engine {
		t.Helper()
		var c policy.Config
		for _, d := range documents {
			o, err := policy.ParseOverlay("a.yaml", []byte("version: 1\n"+d))
			must(t, err)
			c.Overlays = append(c.Overlays, o)
		}
		e, err := policy.NewEngine(t.Context(), c)
		must(t, err)
		return e
	}
	with := engine("changes: {ticket: required, approvers: 1}\n", "changes: {approvers: 1}\n")
	for operation, want := range map[string]bool{
		"access.close": true, "access.import": true, "access.renew": true, "apikey.create": true, "apikey.revoke": true, "apikey.rotate": true,
		"approval.give_standing": true, "keys.rotate": true, "session.revoke": true, "approval.give": false, "apikey.list": false, "hold.place": false,
	} {
		if got := with.WantsTicket(operation); got != want {
			t.Errorf("%s: got %t, want %t", operation, got, want)
		}
		if engine("changes: {approvers: 1}\n").WantsTicket(operation) {
			t.Errorf("%s: a ticket is wanted that no document speaks of", operation)
		}
	}
	for name, d := range map[string]string{"no ticket": "changes: {ticket: optional}", "many": "changes: {approvers: 2}", "nothing": "changes: {}", "a list": "changes: []", "unknown": "changes: {reason: required}"} {
		if _, err := policy.ParseOverlay("a.yaml", []byte("version: 1\n"+d)); err == nil || !strings.HasPrefix(err.Error(), "a.yaml:2: ") {
			t.Errorf("%s: got %v, want line 2", name, err)
		}
	}
}
