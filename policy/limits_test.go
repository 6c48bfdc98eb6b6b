package policy_test

import (
	"context"
	"sync"
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
