package policy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
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

// However much is taken, there are no more rows than parts of the window, and a clock that
// differs a little. What was taken counts for its window and at most one part longer.
func TestLimitParts(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	l, db := openLimits(t, path, c), openDB(t, path)
	c.Move(7 * time.Second)
	rows := func(name string) (n, sum int) {
		t.Helper()
		must(t, db.QueryRowContext(t.Context(), "SELECT count(*), coalesce(sum(n), 0) FROM limit_use WHERE name = $1", name).Scan(&n, &sum))
		return n, sum
	}
	take := func(what string, want int, lim policy.Limit) {
		t.Helper()
		over, err := l.Take(t.Context(), lim)
		must(t, err)
		if over != want {
			t.Errorf("%s: got %d, want %d", what, over, want)
		}
	}
	for range 1000 { // 2h46m40s
		c.Move(10 * time.Second)
		take("one of very many", -1, policy.Limit{Name: "busy", Most: 1_000_000, Window: time.Hour, Take: 1})
	}
	if n, sum := rows("busy"); n > 64*70/60+2 || sum < 360 {
		t.Errorf("after 1,000 takings: %d rows with %d", n, sum)
	}
	for _, tt := range []struct {
		name   string
		most   int
		longer time.Duration // than its window, what counts at most
	}{
		{"few", 64, 0},
		{"many", 65, time.Hour / 64},
	} {
		lim := policy.Limit{Name: tt.name, Most: tt.most, Window: time.Hour, Take: 1}
		for range tt.most {
			c.Move(time.Second)
			take(tt.name, -1, lim)
		}
		c.Move(time.Hour - time.Millisecond)
		lim.Take = tt.most // all of it, where the last taken is still there
		take(tt.name+" within the hour of the last", 0, lim)
		c.Move(time.Millisecond + tt.longer)
		take(tt.name+" after it", -1, lim)
		if n, _ := rows(tt.name); n > 65 {
			t.Errorf("%s: %d rows", tt.name, n)
		}
	}
}

// What the version before noted, a row for each taking, counts on, together by minutes.
func TestLimitPartsOfOldRows(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	db := openDB(t, path)
	old := fstest.MapFS{}
	files, err := filepath.Glob("migrations/0000[1-6]_*.sql")
	must(t, err)
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		old[filepath.Base(name)] = &fstest.MapFile{Data: text}
	}
	must(t, db.Migrate(t.Context(), "policy", old))
	for i := range 300 { // of which 3 within one hour are of the limit
		name := "other"
		if i%100 == 0 {
			name = "three"
		}
		_, err := db.ExecContext(t.Context(), "INSERT INTO limit_use (name, at, n) VALUES ($1, $2, 1)", name, c.Now().UnixMilli()+int64(i))
		must(t, err)
	}
	l := openLimits(t, path, c)
	var rows, sum int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*), sum(n) FROM limit_use").Scan(&rows, &sum))
	if rows != 2 || sum != 300 {
		t.Errorf("%d rows with %d, want 2 with 300", rows, sum)
	}
	three := policy.Limit{Name: "three", Most: 3, Window: time.Hour, Take: 1}
	for _, tt := range []struct {
		move time.Duration
		want int
	}{{time.Second, 0}, {time.Hour - time.Second, 0}, {time.Minute, -1}} {
		c.Move(tt.move)
		over, err := l.Take(t.Context(), three)
		must(t, err)
		if over != tt.want {
			t.Errorf("after another %v: got %d, want %d", tt.move, over, tt.want)
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
		c.Move(24*time.Hour + 24*time.Hour/64) // a day, and the step in which it slides
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

// More at once than one query looks for, and forgetting more than one piece.
func TestLimitsOfManyDifferentOnes(t *testing.T) {
	t.Parallel()
	path, c := statePath(t), newClock()
	l, db := openLimits(t, path, c), openDB(t, path)
	many := policy.Different{Name: "a", Most: 2100, Window: time.Hour}
	for i := range 2100 {
		many.Who = append(many.Who, fmt.Sprint(i))
	}
	one := policy.Different{Name: "a", Most: 2100, Window: time.Hour, Who: []string{"another"}}
	for i, tt := range []struct {
		lim  policy.Different
		want int
	}{{many, -1}, {many, -1}, {one, 0}} {
		over, err := l.TakeDifferent(t.Context(), tt.lim)
		must(t, err)
		if over != tt.want {
			t.Errorf("take %d: got %d, want %d", i, over, tt.want)
		}
	}
	c.Move(9 * 24 * time.Hour)
	must(t, l.Sweep(t.Context()))
	var left int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM limit_seen").Scan(&left))
	if left != 0 {
		t.Errorf("%d are left after nine days", left)
	}
}

// A look at one person does not read all whom the caller has seen, and these are counted in
// an index.
func TestLimitsOfDifferentOnesPlan(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	openLimits(t, path, newClock())
	db := openDB(t, path)
	for query, want := range map[string]string{
		policy.CountSeen:   "USING COVERING INDEX limit_seen_name (name=? AND at>?)",
		policy.LookSeen(2): "(name=? AND who=?)",
	} {
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, []any{"a", 0, 0}[:strings.Count(query, "$")]...)
		must(t, err)
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var line string
			must(t, rows.Scan(&id, &parent, &unused, &line))
			plan.WriteString(line + "\n")
		}
		must(t, rows.Err())
		must(t, rows.Close())
		if !strings.Contains(plan.String(), want) {
			t.Errorf("%s:\n%s, want %s", query, plan.String(), want)
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
	opens := limits("  - {of: calls, operation: \"zendesk:*\", roles: [agent, lead], most: 9, window: 60m, incident: true}\n")
	if len(opens) != 1 || !opens[0].Incident || one[0].Incident || opens[0].Name != one[0].Name {
		t.Errorf("a row that opens incidents: got %+v", opens)
	}
	if again := limits("  - {of: calls, most: 9, window: 1h, incident: true}\n", "  - {of: calls, most: 9, window: 1h, incident: false}\n"); len(again) != 1 || again[0].Incident {
		t.Errorf("a later row that opens none: got %+v", again)
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
