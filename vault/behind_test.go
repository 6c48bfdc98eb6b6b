package vault_test

import (
	"fmt"
	"testing"
)

// A pseudonym leads to the actor who has it, in whichever of the logs; not to somebody
// else, not to a subject, and to nobody when there is no such actor.
func TestActorBehind(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	origins := []string{"acme/audit/2027h1", "acme/audit/2026h2"}
	for i := range 5 {
		_, err := v.Actor(t.Context(), fmt.Sprintf("key:%d", i))
		must(t, err)
	}
	who, err := v.KnownActor(t.Context(), "key:3")
	must(t, err)
	person := subject(t, v, "email", "ann@example.com")
	for _, tc := range []struct {
		name string
		of   [16]byte
		want bool
	}{
		{"in the newest", who.Pseudonym(origins[0]), true},
		{"in one before", who.Pseudonym(origins[1]), true},
		{"in another log", who.Pseudonym("acme/audit/2025h1"), false},
		{"of a subject", person.Pseudonym(origins[0]), false},
		{"of nobody", [16]byte{}, false},
	} {
		found, err := v.ActorBehind(t.Context(), tc.of, origins)
		must(t, err)
		if found.IsZero() == tc.want || tc.want && found.Pseudonym("x") != who.Pseudonym("x") {
			t.Errorf("%s: found %v, want %v", tc.name, !found.IsZero(), tc.want)
		}
	}
}
