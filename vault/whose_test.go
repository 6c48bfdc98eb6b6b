package vault_test

import (
	"errors"
	"testing"

	"github.com/caregate/caregate/vault"
)

// A token is about whoever's key its value is under, and about whom the value names.
func TestWhose(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	ctx := t.Context()
	people, err := v.Subjects(ctx, []vault.Ident{{Kind: "desk:user", Value: "7"}, {Kind: "email", Value: "Jane@Example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	owner, jane := people[0], people[1]
	is, err := v.Tokenize(ctx, "", 0, []vault.Value{
		{Kind: "email", Text: []byte("jane@example.com"), Subject: owner},
		{Kind: "email", Text: []byte("joe@example.com"), Subject: owner},
		{Kind: "us_ssn", Text: []byte("078051120")},
	})
	if err != nil {
		t.Fatal(err)
	}
	name := func(value string) [16]byte {
		n, _ := v.NameDigest("x", vault.Ident{Kind: "email", Value: value})
		return n
	}
	for i, want := range []vault.Whose{{Owner: owner, Named: jane, Name: name("jane@example.com")}, {Owner: owner, Name: name("joe@example.com")}} {
		got, err := v.Whose(ctx, "<"+is.Tokens[i].Text+">", "x")
		if err != nil || got.Owner.Pseudonym("o") != want.Owner.Pseudonym("o") || got.Named.Pseudonym("o") != want.Named.Pseudonym("o") || got.Name != want.Name {
			t.Errorf("token %d: got %v, %v", i, got, err)
		}
	}
	if who, err := v.Known(ctx, vault.Ident{Kind: "email", Value: "joe@example.com"}); err != nil || !who.IsZero() {
		t.Errorf("somebody was made: %v", err)
	}
	if got, err := v.Whose(ctx, is.Tokens[2].Text, "x"); err != nil || !got.Named.IsZero() || got.Owner.IsZero() {
		t.Errorf("nobody's number: got %v, %v", got, err)
	}
	if _, err := v.Whose(ctx, "ptk1nothing", "x"); !errors.Is(err, vault.ErrToken) {
		t.Errorf("no token: got %v", err)
	}
}
