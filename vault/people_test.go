package vault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/vault"
)

func TestCanonicalForms(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	for _, tc := range []struct {
		name, kind, a, b string
		same             bool
	}{
		{"e-mail case and space", "email", " Ann@Example.COM\t", "ann@example.com", true},
		{"e-mail beyond ASCII", "email", "ÄNN@example.com", "änn@example.com", true},
		{"other e-mail", "email", "ann@example.com", "anna@example.com", false},
		{"phone punctuation", "phone", "+1 (415) 555-0132", "14155550132", true},
		{"phone with 00", "phone", "0049 30 1234567", "+49301234567", true},
		{"phone as URI", "phone", "tel:+1-415-555-0132;ext=12", "+14155550132", true},
		{"phone with extension", "phone", "+1 415 555 0132 x12", "whatsapp:+14155550132", true},
		{"phone extension sign", "phone", "+1 415 555 0132 #9", "+14155550132", true},
		{"national number is not guessed", "phone", "030 1234567", "+49301234567", false},
		{"vendor ids as they are", "zendesk:user", "ABC", "abc", false},
		{"vendor id with space", "zendesk:user", "1 ", "1", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := subject(t, v, tc.kind, tc.a).Pseudonym("o") == subject(t, v, tc.kind, tc.b).Pseudonym("o")
			if got != tc.same {
				t.Errorf("same person: got %v, want %v", got, tc.same)
			}
		})
	}
}

func TestNobody(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	got, err := v.Subjects(t.Context(), []vault.Ident{{Kind: "email", Value: " "}, {Kind: "phone", Value: "none"}, {Kind: "zendesk:user"}, {Kind: "email", Value: "ann@example.com"}})
	must(t, err)
	for i, want := range []bool{true, true, true, false} {
		if got[i].IsZero() != want {
			t.Errorf("subject %d: nobody is %v, want %v", i, got[i].IsZero(), want)
		}
	}
	if got[0].Pseudonym("o") != [16]byte{} {
		t.Error("nobody has a pseudonym")
	}
	if _, err := v.Seal(got[0], nil, []byte("x")); err == nil {
		t.Error("sealing for nobody: got nil, want an error")
	}
	if _, err := v.Subjects(t.Context(), []vault.Ident{{Value: "x"}}); err == nil {
		t.Error("an ident without a kind: got nil, want an error")
	}
	if _, err := v.Actor(t.Context(), ""); err == nil {
		t.Error("an actor without an id: got nil, want an error")
	}
}

// Kinds, scopes and shards keep names apart.
func TestNamesAreSeparate(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	actor, err := v.Actor(t.Context(), "4711")
	must(t, err)
	names := map[[16]byte]string{}
	for what, name := range map[string][16]byte{
		"a user":                  subject(t, v, "zendesk:user", "4711").Pseudonym("o1"),
		"the user in other shard": subject(t, v, "zendesk:user", "4711").Pseudonym("o2"),
		"another vendor's user":   subject(t, v, "intercom:user", "4711").Pseudonym("o1"),
		"an actor":                actor.Pseudonym("o1"),
		"a record":                v.Record("zendesk:ticket", "4711"),
		"another kind of record":  v.Record("zendesk:user", "4711"),
		"nobody's":                {},
		// Parts are length-prefixed: moving a character over the border is another name.
		"record ab|c": v.Record("ab", "c"),
		"record a|bc": v.Record("a", "bc"),
	} {
		if other, ok := names[name]; ok {
			t.Errorf("%s and %s have one name", what, other)
		}
		names[name] = what
	}
	s := subject(t, v, "zendesk:user", "4711")
	first := s.Pseudonym("o1")
	s.Pseudonym("o2")
	if s.Pseudonym("o1") != first {
		t.Error("a pseudonym is not stable")
	}
}

// VT4 for subjects: 64 racing callers in two processes' worth of vaults make one
// person of one address (V3).
func TestRacingWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vaults := []*vault.Vault{open(t, dir), open(t, dir)}
	const writers = 64
	names := make([][16]byte, writers)
	errs := make([]error, writers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			<-start
			s, err := vaults[i%2].Subjects(context.Background(), []vault.Ident{
				{Kind: "email", Value: fmt.Sprintf("own-%d@example.com", i)},
				{Kind: "email", Value: "shared@example.com"},
				{Kind: "email", Value: "Shared@example.com"}, // twice in one call
			})
			if err != nil {
				errs[i] = err
				return
			}
			if s[1].Pseudonym("o") != s[2].Pseudonym("o") {
				errs[i] = errors.New("two subjects of one address in one call")
			}
			names[i] = s[1].Pseudonym("o")
		})
	}
	close(start)
	wg.Wait()
	for i := range writers {
		must(t, errs[i])
		if names[i] != names[0] {
			t.Fatalf("writer %d got another subject than writer 0", i)
		}
	}
	db := openDB(t, dir)
	var people, blind int
	must(t, db.QueryRow("SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM blind)").Scan(&people, &blind))
	if people != writers+1 || blind != writers+1 {
		t.Errorf("rows: got %d people and %d index rows, want %d of both", people, blind, writers+1)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	idents := make([]vault.Ident, 3000) // more than one transaction takes
	for i := range idents {
		idents[i] = vault.Ident{Kind: "zendesk:user", Value: fmt.Sprint(i)}
	}
	first, err := v.Subjects(t.Context(), idents)
	must(t, err)
	again, err := v.Subjects(t.Context(), idents)
	must(t, err)
	seen := map[[16]byte]bool{}
	for i := range first {
		if first[i].Pseudonym("o") != again[i].Pseudonym("o") {
			t.Fatalf("subject %d is somebody else the second time", i)
		}
		seen[first[i].Pseudonym("o")] = true
	}
	if len(seen) != len(idents) {
		t.Errorf("distinct subjects: got %d, want %d", len(seen), len(idents))
	}
}

func TestCancelledCallReturns(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Subjects(ctx, []vault.Ident{{Kind: "email", Value: "ann@example.com"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: got %v, want context.Canceled", err)
	}
	subject(t, v, "email", "ann@example.com") // the vault is none the worse
}

// VT2, V15: every column of a row exchanged with that of another row.
func TestSwappedRows(t *testing.T) {
	t.Parallel()
	const ann, bob = "ann@example.com", "bob@example.com"
	for _, tc := range []struct{ name, sql string }{
		{"wrapped keys exchanged", `UPDATE person SET wrapped = (SELECT q.wrapped FROM person q WHERE q.id <> person.id AND q.sort = person.sort) WHERE sort = 'subject'`},
		{"key moved to another time", `UPDATE person SET created = created + 1`},
		{"key moved to another sort", `UPDATE person SET sort = 'actor'`},
		{"key and index moved to another sort", `UPDATE person SET sort = 'actor'; UPDATE blind SET scope = 'actor'`},
		{"index pointed at the other person", `UPDATE blind SET person = (SELECT c.person FROM blind c WHERE c.mac <> blind.mac)`},
		{"index and tag pointed at the other person", `UPDATE blind SET (person, tag) = (SELECT c.person, c.tag FROM blind c WHERE c.mac <> blind.mac)`},
		{"ids exchanged", `UPDATE person SET id = CAST(x'00' || id AS BLOB);
UPDATE person SET id = (SELECT c.person FROM blind c WHERE CAST(x'00' || c.person AS BLOB) <> person.id)`},
		{"person lost", `DELETE FROM person`},
		{"kind changed", `UPDATE blind SET kind = 'phone'`},
		{"ciphertext damaged", `UPDATE person SET wrapped = CAST(substr(wrapped, 1, length(wrapped) - 1) || CASE WHEN substr(wrapped, length(wrapped), 1) = x'00' THEN x'01' ELSE x'00' END AS BLOB)`},
		{"ciphertext empty", `UPDATE person SET wrapped = x''`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v := open(t, dir)
			a, b := subject(t, v, "email", ann), subject(t, v, "email", bob)
			before := map[[16]byte]bool{a.Pseudonym("o"): true, b.Pseudonym("o"): true}
			sealed, err := v.Seal(a, nil, []byte("detail"))
			must(t, err)
			must(t, v.Close())
			db := openDB(t, dir)
			statements := append([]string{"PRAGMA foreign_keys = 0"}, strings.Split(tc.sql, ";")...)
			if db.Dialect == store.Postgres {
				statements[0] = "SET session_replication_role = replica" // no foreign keys either
			}
			for _, q := range statements {
				_, err = db.Exec(forgery(db, q))
				must(t, err)
			}
			must(t, db.Close())

			w := open(t, dir)
			s, err := w.Subjects(t.Context(), []vault.Ident{{Kind: "email", Value: ann}})
			// Either the change is noticed, or the row does not count and the address is
			// a new person. Never may the address lead to one of the old keys.
			if err == nil && before[s[0].Pseudonym("o")] {
				t.Error("the address leads to an old key through a changed row")
			}
			if err != nil && !errors.Is(err, vault.ErrRow) {
				t.Errorf("Subjects: got %v, want ErrRow", err)
			}
			if tc.name == "index pointed at the other person" || tc.name == "index and tag pointed at the other person" || tc.name == "kind changed" {
				return // the person's own row is untouched and opens by its id
			}
			if plain, err := w.Open(t.Context(), sealed, nil); err == nil {
				t.Errorf("a detail of %d bytes opened under a changed row", len(plain))
			}
		})
	}
}
