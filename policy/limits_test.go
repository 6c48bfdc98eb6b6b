package policy_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/policy"
)

func openLimits(t testing.TB, path string, c *clock) *policy.Limits {
	t.Helper()
	l, err := policy.OpenLimits(t.Context(), openDB(t, path), c.Now)
	must(t, err)
	return l
}

// VT8 (V10): limits hold across nodes, clock steps and restarts.
func TestLimits(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	three := policy.Limit{Name: "verify:record", Most: 3, Window: time.Hour, Take: 1}
	var nodes []*policy.Limits
	for range 3 {
		nodes = append(nodes, openLimits(t, path, c))
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	taken := 0
	for i := range 24 {
		wg.Go(func() {
			over, err := nodes[i%len(nodes)].Take(context.Background(), three)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if over < 0 {
				taken++
			}
		})
	}
	wg.Wait()
	if taken != 3 {
		t.Fatalf("taken %d times by three nodes, want 3", taken)
	}
	full := func(when string, want bool) {
		t.Helper()
		over, err := openLimits(t, path, c).Take(t.Context(), three) // a restart
		must(t, err)
		if full := over == 0; full != want {
			t.Errorf("%s: full %v, want %v", when, full, want)
		}
	}
	full("after a restart", true)
	c.Move(-30 * 24 * time.Hour)
	full("with a clock set back", true)
	c.Move(30*24*time.Hour + 59*time.Minute)
	full("within the hour", true)
	c.Move(time.Minute)
	full("after the hour", false)
	c.Move(9 * 24 * time.Hour)
	must(t, nodes[0].Sweep(t.Context()))
	full("after a sweep", false)
}

// Of several limits all are taken or none.
func TestLimitsTogether(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := openLimits(t, statePath(t), c)
	minute := policy.Limit{Name: "b", Most: 5, Window: time.Minute, Take: 1}
	day := policy.Limit{Name: "a", Most: 20, Window: 24 * time.Hour, Take: 15}
	for i, want := range []int{-1, 1, 1} {
		over, err := l.Take(t.Context(), minute, day)
		must(t, err)
		if over != want {
			t.Errorf("call %d: got %d, want %d", i, over, want)
		}
	}
	minute.Take = 4 // what was refused took nothing of the minute
	if over, err := l.Take(t.Context(), minute); err != nil || over != -1 {
		t.Errorf("four more: got %d, %v", over, err)
	}
	if over, err := l.Take(t.Context(), policy.Limit{Name: "b", Most: 5, Window: time.Minute, Take: 1}); err != nil || over != 0 {
		t.Errorf("a sixth: got %d, %v", over, err)
	}
	for name, bad := range map[string]policy.Limit{
		"no name":           {Most: 1, Window: time.Hour, Take: 1},
		"nothing to take":   {Name: "x", Most: 1, Window: time.Hour},
		"a year":            {Name: "x", Most: 1, Window: 365 * 24 * time.Hour, Take: 1},
		"a norm of an hour": {Name: "x", Most: 1, Window: time.Hour, Take: 1, Norm: 5},
	} {
		if _, err := l.Take(t.Context(), bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A breaker opens at five times the norm of the week before.
func TestLimitBreaker(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := openLimits(t, statePath(t), c)
	breaker := policy.Limit{Name: "all", Most: 50, Window: 24 * time.Hour, Take: 20, Norm: 5}
	for range 7 { // 20 a day
		over, err := l.Take(t.Context(), breaker)
		must(t, err)
		if over != -1 {
			t.Fatal("an ordinary day is over the limit")
		}
		c.Move(24 * time.Hour)
	}
	for i, want := range []int{-1, -1, -1, -1, -1, 0} { // 100 are five times the norm
		over, err := l.Take(t.Context(), breaker)
		must(t, err)
		if over != want {
			t.Errorf("call %d of this day: got %d, want %d", i, over, want)
		}
	}
}

// Different ones are counted once within the window, by all nodes together; of several limits
// all are taken or none.
func TestLimitsOfDifferentOnes(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	nodes := []*policy.Limits{openLimits(t, path, c), openLimits(t, path, c)}
	turn := 0
	take := func(want int, limits ...policy.Different) {
		t.Helper()
		turn++
		over, err := nodes[turn%len(nodes)].TakeDifferent(t.Context(), limits...)
		must(t, err)
		if over != want {
			t.Errorf("take %d: got %d, want %d", turn, over, want)
		}
	}
	people := func(name string, who ...string) policy.Different {
		return policy.Different{Name: name, Most: 3, Window: time.Hour, Who: who}
	}
	take(-1, people("a", "1", "2"))
	take(-1, people("a", "1", "2"))
	take(-1, people("a", "2", "3"))
	take(0, people("a", "4"))
	take(0, people("a", "1", "4")) // one of them is too many
	take(-1, people("a"))          // nobody
	take(-1, people("b", "4"))     // another caller's
	take(1, people("b", "5"), people("a", "5"))
	take(-1, people("b", "6", "7")) // what was refused took nothing of the other
	c.Move(59 * time.Minute)
	take(-1, people("a", "1")) // seen again, so it counts for another hour
	c.Move(time.Minute)
	take(-1, people("a", "4", "5")) // the others' hour is over
	take(0, people("a", "2"))
	nodes = append(nodes, openLimits(t, path, c)) // a restart
	take(0, people("a", "2"))
	c.Move(-30 * 24 * time.Hour)
	take(0, people("a", "9")) // a clock that is set back makes it stricter
	c.Move(30*24*time.Hour + 9*24*time.Hour)
	must(t, nodes[0].Sweep(t.Context()))
	take(-1, people("a", "7", "8", "9"))
	for name, lim := range map[string]policy.Different{
		"no name":   {Most: 3, Window: time.Hour},
		"no window": {Name: "a", Most: 3},
		"no number": {Name: "a", Window: time.Hour},
		"a month":   {Name: "a", Most: 3, Window: 31 * 24 * time.Hour},
	} {
		if _, err := nodes[0].TakeDifferent(t.Context(), lim); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}

// Many at once by several nodes never get more than there may be.
func TestLimitsOfDifferentOnesAtOnce(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	nodes := []*policy.Limits{openLimits(t, path, c), openLimits(t, path, c), openLimits(t, path, c)}
	var wg sync.WaitGroup
	var taken atomic.Int64
	for i := range 24 {
		wg.Go(func() {
			over, err := nodes[i%len(nodes)].TakeDifferent(context.Background(), policy.Different{Name: "a", Most: 7, Window: time.Hour, Who: []string{fmt.Sprint(i)}})
			if err != nil {
				t.Error(err)
			} else if over < 0 {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 7 {
		t.Errorf("%d of 24 were taken by three nodes, want 7", n)
	}
}

// A row that changes its number goes on with what was counted, and another row is another.
func TestLimitRows(t *testing.T) {
	t.Parallel()
	limits := func(docs ...string) []policy.RateLimit {
		t.Helper()
		var overlays []*policy.Overlay
		for _, src := range docs {
			overlays = append(overlays, overlay(t, "version: 1\nlimits:\n"+src))
		}
		d, err := engine(t, policy.Config{Overlays: overlays}).Decide(t.Context(), ticket())
		must(t, err)
		return d.Limits
	}
	one := limits("  - {of: calls, operation: \"zendesk:*\", roles: [lead, agent], most: 3, window: 1h}\n")
	other := limits("  - {of: calls, operation: \"zendesk:*\", roles: [agent, lead], most: 9, window: 60m}\n")
	if len(one) != 1 || len(other) != 1 || one[0].Name != other[0].Name || one[0].Most != 3 || other[0].Most != 9 || one[0].Period() != time.Hour {
		t.Errorf("a row with another number: got %+v and %+v", one, other)
	}
	both := limits("  - {of: calls, most: 3, window: 1h}\n  - {of: calls, most: 9, window: 2h}\n  - {of: subjects, most: 9, window: 1h}\n  - {of: calls, roles: [dpo], most: 1, window: 1h}\n",
		"  - {of: calls, most: 4, window: 1h}\n")
	most := 0
	for _, l := range both {
		most += l.Most
	}
	if len(both) != 3 || most != 4+9+9 {
		t.Errorf("several rows: got %+v", both)
	}
}
