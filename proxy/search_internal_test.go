package proxy

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/vault"
)

// A caller has another pseudonym in each half year. A receipt of one finds the same
// caller's events of the others too, and so does an e-mail address.
func TestSearchOverHalfYears(t *testing.T) {
	t.Parallel()
	began, ahead := time.Now(), new(atomic.Int64)
	mono := func() time.Duration { return time.Since(began) + time.Duration(ahead.Load()) }
	base := time.Date(2026, time.July, 1, 0, 0, 0, 0, time.UTC).Add(-15 * time.Minute)
	dir := t.TempDir()
	c := audit.Config{Deployment: "test", Now: func() time.Time { return base.Add(mono()) }, Mono: mono}
	if err := errors.Join(vault.Create(t.Context(), dir, vault.Config{}), audit.Create(t.Context(), dir, c)); err != nil {
		t.Fatal(err)
	}
	keys, err := vault.Open(t.Context(), dir, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := audit.Open(t.Context(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	event := func(actor, mail string) audit.ID {
		t.Helper()
		who, err := keys.Actor(t.Context(), actor)
		if err != nil {
			t.Fatal(err)
		}
		named, err := keys.Actor(t.Context(), mailActor(mail))
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Reserve(t.Context(), audit.LaneNormal)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Release()
		r, err := s.Append(audit.Event{Type: "request.decided", Actor: who.Pseudonym(l.Origin()), Mail: named.Pseudonym(l.Origin())}).Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	first := []audit.ID{event("vendor:1", "ann@example.com"), event("vendor:1", "bob@example.com"), event("vendor:2", "ann@example.com")}
	was := l.Origin()
	for _, step := range []time.Duration{7 * time.Minute, 9 * time.Minute} {
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		ahead.Add(int64(step))
		event("vendor:3", "carl@example.com")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for l.Origin() == was {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the half year does not end")
		}
	}
	event("vendor:1", "ann@example.com")
	event("vendor:2", "bob@example.com")

	s := search{vault: keys, index: l.Index(), find: l.Find, settle: l.Settle}
	count := func(in console.Search) int {
		t.Helper()
		list, err := s.events(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Events)
	}
	for name, tc := range map[string]struct {
		in   console.Search
		want int
	}{
		"the caller of a receipt":      {console.Search{Same: first[0].String()}, 3},
		"another one":                  {console.Search{Same: first[2].String()}, 2},
		"an address":                   {console.Search{Actor: "ann@example.com"}, 3},
		"written otherwise":            {console.Search{Actor: "email:BOB@example.com "}, 2},
		"both":                         {console.Search{Same: first[0].String(), Actor: "bob@example.com"}, 1},
		"an address that nobody named": {console.Search{Actor: "dora@example.com"}, 0},
		"the id of a credential":       {console.Search{Actor: "vendor:1"}, 3},
	} {
		if got := count(tc.in); got != tc.want {
			t.Errorf("%s: got %d events, want %d", name, got, tc.want)
		}
	}
	if _, err := s.events(t.Context(), console.Search{Same: audit.NewID().String()}); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("a receipt of another log: got %v", err)
	}
}
