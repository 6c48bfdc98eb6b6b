package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

// What is taken from a key is taken from its successors, up to one that is decided about by
// itself; a key that is left with nothing ends.
func TestKeyNarrow(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := openKeys(t, statePath(t), c)
	const bulk, export = "zendesk:*/bulk", "zendesk:ticket.export"
	made, secret, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"service"}, Grants: []string{bulk, export}})
	must(t, err)
	c.Move(time.Hour)
	known, _, err := k.Rotate(t.Context(), made.ID, 24*time.Hour) // reviewed by itself
	must(t, err)
	c.Move(time.Hour)
	itself := func(id string) bool { return id == known.ID }
	later, laterSecret, err := k.Rotate(t.Context(), known.ID, 24*time.Hour)
	must(t, err)
	_, err = k.Verify(t.Context(), secret) // in the cache
	must(t, err)
	state := func() string {
		list, err := k.List(t.Context())
		must(t, err)
		var b strings.Builder
		for _, id := range []string{made.ID, known.ID, later.ID} {
			for _, x := range list {
				if x.ID == id {
					fmt.Fprint(&b, len(x.Grants), !x.Revoked.IsZero(), " ")
				}
			}
		}
		return strings.TrimSpace(b.String())
	}
	for range 2 { // repeating it changes nothing
		must(t, k.Narrow(t.Context(), made.ID, bulk, itself))
	}
	if got := state(); got != "1 false 2 false 2 false" {
		t.Errorf("narrowed: got %s", got)
	}
	if key, err := k.Verify(t.Context(), secret); err != nil || len(key.Grants) != 1 {
		t.Errorf("the key that was in the cache has %d grants (%v), want 1", len(key.Grants), err)
	}
	must(t, k.Narrow(t.Context(), known.ID, export, itself))
	if got := state(); got != "1 false 1 false 1 false" {
		t.Errorf("narrowed with its successor: got %s", got)
	}
	must(t, k.RevokeAlong(t.Context(), known.ID, itself))
	must(t, k.RevokeAlong(t.Context(), known.ID, itself))
	if got := state(); got != "1 false 1 true 1 true" {
		t.Errorf("revoked with its successor: got %s", got)
	}
	if _, err := k.Verify(t.Context(), laterSecret); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("the successor: got %v, want ErrRefused", err)
	}
	c.Move(time.Hour)
	only, _, err := k.Create(t.Context(), policy.NewKey{Name: "y", Grants: []string{bulk}})
	must(t, err)
	must(t, k.Narrow(t.Context(), only.ID, bulk, itself))
	list, err := k.List(t.Context())
	must(t, err)
	if last := list[len(list)-1]; last.ID != only.ID || last.Revoked.IsZero() {
		t.Errorf("a key that is left with nothing: got %+v", last)
	}
	if err := k.Narrow(t.Context(), "x", bulk, itself); !errors.Is(err, policy.ErrNoKey) {
		t.Errorf("no key: got %v", err)
	}
	if err := k.RevokeAlong(t.Context(), "x", itself); !errors.Is(err, policy.ErrNoKey) {
		t.Errorf("no key: got %v", err)
	}
}

// A successor goes with its key whatever the clock said of the gateway that made it.
func TestKeyRevokeAlongAnotherClock(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := openKeys(t, statePath(t), c)
	made, _, err := k.Create(t.Context(), policy.NewKey{Name: "x", Roles: []string{"service"}})
	must(t, err)
	c.Move(-time.Hour) // the other gateway's clock
	_, secret, err := k.Rotate(t.Context(), made.ID, 24*time.Hour)
	must(t, err)
	c.Move(time.Hour)
	must(t, k.RevokeAlong(t.Context(), made.ID, func(string) bool { return false }))
	if _, err := k.Verify(t.Context(), secret); !errors.Is(err, policy.ErrRefused) {
		t.Errorf("the successor: got %v, want ErrRefused", err)
	}
}

// TestCovers: whether a grant covers a call is what the rules say, whatever grant and call.
func TestCovers(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{})
	grants := []string{
		"zendesk:ticket.read", "zendesk:ticket.export", "zendesk:ticket.*", "zendesk:*", "*:ticket.read", "*:*", "zendesk:user.*", "intercom:*", "zendesk:ticket",
		"zendesk:ticket.*/read", "zendesk:ticket.*/write", "zendesk:*/bulk", "zendesk:*/export", "zendesk:ticket.*/admin", "*:*/delete", "*:ticket.*/bulk",
	}
	for _, grant := range grants {
		must(t, policy.ParseGrant(grant))
		for _, op := range []string{"ticket.read", "ticket.export", "ticket", "user.read"} {
			for _, effect := range []string{"read", "write", "delete", "admin"} {
				for _, scope := range []string{"one", "bulk", "export"} {
					in := ticket()
					in.Operation, in.Effect, in.Scope, in.Findings = op, effect, scope, nil
					in.Actor = policy.InputActor{Kind: policy.KindKey, Strength: policy.StrengthCredential, Roles: []string{"service"}, Grants: []string{grant}}
					d, err := e.Decide(t.Context(), in)
					must(t, err)
					if got := policy.Covers(grant, in.Channel, op, effect, scope); got != d.Allow {
						t.Errorf("%s on %s (%s, %s): got %v, the rules say %v", grant, op, effect, scope, got, d.Allow)
					}
				}
			}
		}
	}
}
