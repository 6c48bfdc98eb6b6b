package policy_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/policy"
)

const unusedFor = 90 * 24 * time.Hour

func openRevealRights(t testing.TB, path string, now func() time.Time) *policy.RevealRights {
	t.Helper()
	l, err := policy.OpenRevealRights(t.Context(), openDB(t, path), now)
	must(t, err)
	return l
}

// eventIDs draws ids that differ.
func eventIDs() func() [16]byte {
	var n atomic.Uint32
	return func() (id [16]byte) {
		i := n.Add(1)
		id[0], id[1] = byte(i>>8), byte(i)
		return id
	}
}

// The life of a right: seen, used, lapsed and told of once, renewed by somebody else.
func TestRevealRights(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"SQLite": statePath(t), "PostgreSQL": pgtest.Database(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			l := openRevealRights(t, path, c.Now)
			const dora, dan = "user:d0", "user:d1"
			newID := eventIDs()
			var told []policy.RevealRight
			tell := func(_ context.Context, r policy.RevealRight) error { told = append(told, r); return nil }
			sees := func(when, actor string, after time.Duration, want bool) {
				t.Helper()
				// After a restart it is no other.
				lapsed, err := openRevealRights(t, path, c.Now).See(t.Context(), actor, after)
				must(t, err)
				if lapsed != want {
					t.Errorf("%s: lapsed %t, want %t", when, lapsed, want)
				}
			}
			if err := l.Use(t.Context(), dora); !errors.Is(err, policy.ErrNoRevealRight) {
				t.Errorf("a use by nobody: %v", err)
			}
			if _, _, err := l.Renew(t.Context(), dora, "local", false); !errors.Is(err, policy.ErrNoRevealRight) {
				t.Errorf("renewing what nobody has: %v", err)
			}
			sees("at first", dora, unusedFor, false)
			c.Move(unusedFor - time.Second)
			sees("before the time is over", dora, unusedFor, false)
			sees("another one, at first", dan, unusedFor, false)
			must(t, l.Use(t.Context(), dora))
			c.Move(time.Second)
			sees("used", dora, unusedFor, false)
			c.Move(unusedFor - 2*time.Second)
			sees("before the time since the use is over", dora, unusedFor, false)
			must(t, l.Lapse(t.Context(), unusedFor, newID, tell))
			if len(told) != 0 {
				t.Errorf("told of what counts: %v", told)
			}
			c.Move(time.Second)
			sees("when it is over", dora, unusedFor, true)
			sees("where rights do not lapse", dora, 0, false)

			// Telling fails, is made up for under the same id, and is done.
			broken := errors.New("the log is down")
			var first policy.RevealRight
			err := l.Lapse(t.Context(), unusedFor, newID, func(_ context.Context, r policy.RevealRight) error { first = r; return broken })
			if !errors.Is(err, broken) || first.Actor != dora {
				t.Fatalf("told of %s: %v", first.Actor, err)
			}
			if _, _, err := l.Renew(t.Context(), dora, "key:k1", false); !errors.Is(err, policy.ErrRevealLapsing) {
				t.Errorf("renewed before the log knew: %v", err)
			}
			for range 2 {
				must(t, l.Lapse(t.Context(), unusedFor, newID, tell))
			}
			if len(told) != 2 || told[0].Event != first.Event || told[0].Actor != dora || told[1].Actor != dan || told[0].Event == told[1].Event || told[0].Since() != told[0].Used {
				t.Fatalf("told of %v", told)
			}
			sees("lapsed, with a longer time", dora, 10*unusedFor, true)

			for by, own := range map[string]bool{dora: false, "key:k1": true} {
				if _, _, err := l.Renew(t.Context(), dora, by, own); !errors.Is(err, policy.ErrOwnRevealRight) {
					t.Errorf("renewed by oneself: %v", err)
				}
			}
			r, undo, err := l.Renew(t.Context(), dora, "key:k1", false)
			must(t, err)
			if r.RenewedBy != "key:k1" || !r.Lapsed.IsZero() || r.Renewed.UnixMilli() != c.Now().UnixMilli() || r.Ends(unusedFor) != r.Renewed.Add(unusedFor) {
				t.Errorf("renewed: %+v", r)
			}
			sees("renewed", dora, unusedFor, false)
			must(t, undo(t.Context()))
			sees("the renewal taken back", dora, unusedFor, true)
			must(t, l.Lapse(t.Context(), unusedFor, newID, tell))
			if len(told) != 2 {
				t.Errorf("told again of what the log knows: %v", told)
			}
			_, _, err = l.Renew(t.Context(), dora, "key:k1", false)
			must(t, err)
			c.Move(unusedFor)
			sees("renewed and not used", dora, unusedFor, true)
			must(t, l.Lapse(t.Context(), unusedFor, newID, tell))
			if len(told) != 3 || told[2].Event == first.Event {
				t.Errorf("told of %v", told)
			}
			list, _, err := l.List(t.Context())
			must(t, err)
			if len(list) != 2 || list[0].Actor != dora || list[1].Actor != dan || list[0].Lapsed.IsZero() || list[0].Used.IsZero() || !list[1].Used.IsZero() {
				t.Errorf("listed: %+v", list)
			}
		})
	}
}

// Gateways on one database go by its clock, and one of them tells.
func TestRevealRightsByOneClock(t *testing.T) {
	t.Parallel()
	database, step := steppedDatabase(t)
	var nodes []*policy.RevealRights
	for range 3 {
		nodes = append(nodes, openRevealRights(t, database, nil))
	}
	const actor = "user:d0"
	all := func(when string, want bool) {
		t.Helper()
		var wg sync.WaitGroup
		got := make([]bool, len(nodes))
		for i, l := range nodes {
			wg.Go(func() {
				var err error
				if got[i], err = l.See(context.Background(), actor, unusedFor); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if slices.Contains(got, !want) {
			t.Errorf("%s: lapsed %v, want %t", when, got, want)
		}
	}
	all("at first", false)
	step("89 days")
	all("before the time is over", false)
	step("91 days")
	all("behind it", true)
	var told atomic.Int64
	newID := eventIDs()
	var wg sync.WaitGroup
	for _, l := range nodes {
		wg.Go(func() {
			if err := l.Lapse(context.Background(), unusedFor, newID, func(context.Context, policy.RevealRight) error { told.Add(1); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if told.Load() != 1 {
		t.Errorf("told %d times, want once", told.Load())
	}
	step("0")
	all("lapsed, with a clock that was set back", true)
	_, _, err := nodes[1].Renew(t.Context(), actor, "key:k1", false)
	must(t, err)
	all("renewed", false)
}

// What a document says of rights to reveal, and who holds one.
func TestRevealPolicy(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		docs []string
		want time.Duration
	}{
		"nothing":        {nil, unusedFor},
		"other rows":     {[]string{"version: 1\n"}, unusedFor},
		"days":           {[]string{"version: 1\nreveal: {unused_after_days: 30}\n"}, 30 * 24 * time.Hour},
		"never":          {[]string{"version: 1\nreveal: {unused_after_days: 30}\n", "version: 1\nreveal:\n  unused_after_days: 0\n"}, 0},
		"the last wins":  {[]string{"version: 1\nreveal: {unused_after_days: 0}\n", "version: 1\nreveal: {unused_after_days: 7}\n"}, 7 * 24 * time.Hour},
		"not said later": {[]string{"version: 1\nreveal: {unused_after_days: 7}\n", "version: 1\n"}, 7 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c policy.Config
			for i, src := range tt.docs {
				o, err := policy.ParseOverlay("policy"+string(rune('0'+i))+".yaml", []byte(src))
				must(t, err)
				c.Overlays = append(c.Overlays, o)
			}
			e, err := policy.NewEngine(t.Context(), c)
			must(t, err)
			if got := e.RevealsUnusedFor(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for _, a := range []struct {
				actor policy.Actor
				want  bool
			}{
				{policy.Actor{Kind: policy.KindToken, Roles: []string{"agent", "dpo"}}, true},
				{policy.Actor{Kind: policy.KindToken, Roles: []string{"agent", "security", "admin", "lead"}}, false},
				{policy.Actor{Kind: policy.KindKey, Roles: []string{"dpo"}}, false},
				{policy.Actor{Kind: policy.KindAnonymous}, false},
			} {
				if got := e.Reveals(&a.actor); got != a.want {
					t.Errorf("%s with %v: got %t, want %t", a.actor.Kind, a.actor.Roles, got, a.want)
				}
			}
		})
	}
	for _, src := range []string{"reveal: {unused_after_days: -1}", "reveal: {unused_after_days: soon}", "reveal: {unused_after_days: 3651}", "reveal: {}", "reveal: 90", "reveal: {after: 90}"} {
		if _, err := policy.ParseOverlay("policy.yaml", []byte("version: 1\n"+src+"\n")); err == nil {
			t.Errorf("%s: taken", src)
		}
	}
}
