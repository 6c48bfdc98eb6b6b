package policy_test

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/policy"
)

// steppedDatabase makes a database whose clock the test sets, as an offset from the
// server's.
func steppedDatabase(t *testing.T) (database string, step func(offset string)) {
	t.Helper()
	database = pgtest.Database(t)
	pgtest.Exec(t, database,
		"CREATE SCHEMA stepped", "CREATE TABLE stepped.step (offset_by interval NOT NULL)", "INSERT INTO stepped.step VALUES ('0')",
		"CREATE FUNCTION stepped.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.clock_timestamp() + offset_by FROM stepped.step'")
	u, err := url.Parse(database)
	must(t, err)
	q := u.Query()
	q.Set("search_path", "stepped,pg_catalog") // ours before the server's
	u.RawQuery = q.Encode()
	return u.String(), func(offset string) {
		t.Helper()
		pgtest.Exec(t, database, "UPDATE stepped.step SET offset_by = '"+offset+"'")
	}
}

// VT8 (V10): gateways on one database count by its clock and not by theirs. Of all they take
// together what one could, also beside one that starts, and whatever the clock has done before.
func TestLimitsByOneClock(t *testing.T) {
	t.Parallel()
	database, step := steppedDatabase(t)
	open := func() *policy.Limits {
		l, err := policy.OpenLimits(t.Context(), openDB(t, database), nil)
		must(t, err)
		return l
	}
	nodes := []*policy.Limits{open(), open(), open()}
	three := policy.Limit{Name: "reveal:person", Most: 3, Window: 24 * time.Hour, Take: 1}
	one := policy.Different{Name: "subjects:person", Most: 3, Window: 24 * time.Hour}
	// race has 24 calls on three nodes and one that starts meanwhile, and returns how many of
	// them took.
	race := func(take func(l *policy.Limits, i int) (over int, err error)) int64 {
		t.Helper()
		var taken atomic.Int64
		var wg sync.WaitGroup
		use := append(slices.Clone(nodes), open())
		for i := range 24 {
			wg.Go(func() {
				switch over, err := take(use[i%len(use)], i); {
				case err != nil:
					t.Error(err)
				case over < 0:
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		return taken.Load()
	}
	for _, tt := range []struct {
		name, offset string
		want         int64
	}{
		{"at first", "0", 3},
		{"set back by a month", "-30 days", 0},
		{"set right", "0", 0},
		{"before the window ends", "23 hours", 0},
		{"behind its end", "25 hours", 3},
		{"set right after it was ahead", "0", 0},
	} {
		step(tt.offset)
		if got := race(func(l *policy.Limits, _ int) (int, error) { return l.Take(context.Background(), three) }); got != tt.want {
			t.Errorf("%s: taken %d times, want %d", tt.name, got, tt.want)
		}
		if got := race(func(l *policy.Limits, i int) (int, error) {
			d := one
			d.Who = []string{tt.name + string(rune('a'+i))}
			return l.TakeDifferent(context.Background(), d)
		}); got != tt.want {
			t.Errorf("%s: %d different ones taken, want %d", tt.name, got, tt.want)
		}
		must(t, open().Sweep(t.Context()))
	}
}

// An approval's time is over for all gateways on a database at the same instant, and one of
// them tells.
func TestApprovalsByOneClock(t *testing.T) {
	t.Parallel()
	database, step := steppedDatabase(t)
	var nodes []*policy.Approvals
	for range 3 {
		a, err := policy.OpenApprovals(t.Context(), openDB(t, database), nil)
		must(t, err)
		nodes = append(nodes, a)
	}
	n := bulk(1)
	ap, _, err := nodes[0].Ask(t.Context(), n)
	must(t, err)
	_, err = nodes[1].Give(t.Context(), ap.ID, "key:other", nil)
	must(t, err)
	if _, err := nodes[2].Given(t.Context(), ap.ID, n.Requester, n.Digest); err != nil {
		t.Fatalf("what another gateway gave: %v", err)
	}
	step("2 days")
	for i, a := range nodes {
		if _, err := a.Use(t.Context(), ap.ID, n.Requester, n.Digest); err == nil {
			t.Errorf("gateway %d let an approval count whose time is over", i)
		}
	}
	var told atomic.Int64
	holding, all := make(chan struct{}), make(chan struct{})
	tell := func(context.Context, policy.Approval) error {
		if told.Add(1) == 1 {
			close(holding)
			<-all // the others have had their turn
		}
		return nil
	}
	first := make(chan error, 1)
	go func() { first <- nodes[0].Expire(context.Background(), tell) }()
	select {
	case <-holding:
	case err := <-first:
		t.Fatalf("nobody was told: %v", err)
	}
	for _, a := range nodes[1:] {
		must(t, a.Expire(t.Context(), tell))
	}
	close(all)
	must(t, <-first)
	must(t, nodes[1].Expire(t.Context(), tell))
	if got := told.Load(); got != 1 {
		t.Errorf("told %d times, want once", got)
	}
}
