package proxy

import (
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
)

// eachBudget runs a test on budgets of both databases, and of two gateways on each.
func eachBudget(t *testing.T, test func(t *testing.T, one, other *budgets)) {
	t.Helper()
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			where := filepath.Join(t.TempDir(), "state.db")
			if name == "PostgreSQL" {
				where = pgtest.Database(t)
			}
			open := func() *budgets {
				db, err := store.Open(t.Context(), where, store.Options{Create: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				sub, err := fs.Sub(migrations, "migrations")
				if err != nil {
					t.Fatal(err)
				}
				if err := db.Migrate(t.Context(), "proxy", sub); err != nil {
					t.Fatal(err)
				}
				return &budgets{db}
			}
			test(t, open(), open())
		})
	}
}

// Two gateways together take a fifth of what the vendor allows, whatever window of it one
// looks at, and nothing while less than a third is left, or while the vendor says so.
func TestBudget(t *testing.T) {
	t.Parallel()
	eachBudget(t, func(t *testing.T, one, other *budgets) {
		by := &channel.Budget{Rate: channel.Rate{Calls: 200, Per: time.Minute}, Limit: "X-Limit", Remaining: "X-Left", Reset: "X-Reset"}
		of := bucket{account: "desk/desk.example", rate: by.Rate}
		begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		at := begin
		take := func(b *budgets, buckets ...bucket) time.Duration {
			t.Helper()
			wait, err := b.take(t.Context(), at, buckets...)
			if err != nil {
				t.Fatal(err)
			}
			return wait
		}
		hear := func(status int, limit, left int, more ...string) {
			t.Helper()
			h := http.Header{"X-Limit": {strconv.Itoa(limit)}, "X-Left": {strconv.Itoa(left)}}
			for i := 0; i < len(more); i += 2 {
				h.Set(more[i], more[i+1])
			}
			if _, err := one.answered(t.Context(), at, of.account, by, status, h); err != nil {
				t.Fatal(err)
			}
		}
		count := func(d time.Duration, buckets ...bucket) (n int) {
			t.Helper()
			for end := at.Add(d); at.Before(end); at = at.Add(100 * time.Millisecond) {
				for _, b := range []*budgets{one, other} {
					if take(b, buckets...) == 0 {
						n++
					}
				}
			}
			return n
		}
		if n := count(time.Minute, of); n != 40 {
			t.Errorf("%d calls in a minute of 200, want 40", n)
		}
		hear(200, 700, 600)
		if n := count(time.Minute, of); n < 120 || n > 140 {
			t.Errorf("%d calls in a minute of 700, want at most 140", n)
		}
		// Two limits at once: the narrower one counts, and takes nothing of the other in vain.
		list := bucket{account: of.account + " tickets", rate: channel.Rate{Calls: 10, Per: time.Minute}, fixed: true}
		if n := count(5*time.Minute, of, list); n != 10 {
			t.Errorf("%d calls in five minutes of 10 each, want 10", n)
		}
		take(one, of, list)
		at = at.Add(time.Second)
		if take(one, of, list) == 0 {
			t.Error("a second later the list is asked again")
		}
		if take(other, of) != 0 {
			t.Error("a list that has to wait holds up the account")
		}
		hear(200, 700, 210)
		if at = at.Add(time.Second); take(one, of) != 0 {
			t.Error("30 of a hundred are left, and it waits")
		}
		hear(200, 700, 209, "X-Reset", "20")
		if wait := take(other, of); wait <= 19*time.Second || wait > 20*time.Second {
			t.Errorf("below 30 of a hundred it waits %s, want the rest of the window", wait)
		}
		at = at.Add(21 * time.Second)
		hear(429, 700, 0, "Retry-After", "90")
		if wait := take(other, of); wait != 90*time.Second {
			t.Errorf("after 429 it waits %s, want what the vendor says", wait)
		}
		hear(200, 700, 700)
		if wait := take(one, of); wait != 90*time.Second {
			t.Errorf("an answer that came in between lets it wait %s", wait)
		}
		at = at.Add(91 * time.Second)
		hear(503, 0, 0)
		if wait := take(one, of); wait != time.Minute {
			t.Errorf("after 503 without a time it waits %s, want a window", wait)
		}
		at = at.Add(2 * time.Minute)
		hear(429, 700, 0, "Retry-After", "999999999")
		if wait := take(one, of); wait != blockedMax {
			t.Errorf("it waits %s", wait)
		}
		// Headers that are none change nothing.
		at = at.Add(blockedMax)
		if _, err := one.answered(t.Context(), at, of.account, by, 200, http.Header{"X-Limit": {"many"}, "X-Left": {"-1"}, "X-Reset": {"x"}}); err != nil {
			t.Fatal(err)
		}
		if take(one, of) != 0 {
			t.Error("it waits for nothing")
		}
		// A clock that was set back holds nobody up for longer than the pause.
		at = begin
		if wait := take(one, bucket{account: list.account, rate: list.rate, fixed: true}); wait != 0 {
			t.Errorf("a clock that was set back: it waits %s", wait)
		}
	})
}
