package policy

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// longestLimit is how far back what was taken is known.
const longestLimit = 8 * 24 * time.Hour

// endOfTime is behind whatever a wrong clock has noted.
var endOfTime = time.UnixMilli(1 << 60)

// Limit is how much may be taken of something.
type Limit struct {
	// Name says of what. Equal names share what is taken; one call names each once.
	Name string
	// Most may be taken within Window, at most eight days. The window slides.
	Most   int
	Window time.Duration
	// Take is how much this call wants; 1 or more.
	Take int
	// Norm, when set, makes Most what is due if that is more: Norm times what was taken in
	// an average Window of the seven days before this one. A breaker.
	Norm int
}

// Limits count what was taken, in state.db, so that limits hold across restarts and
// across gateways on one database (V10). A clock that is set back makes them stricter
// until it has caught up: what was taken in its future counts. Safe for concurrent use.
type Limits struct {
	db  *store.DB
	now func() time.Time
}

// OpenLimits prepares the tables. The database stays the caller's. now is the clock; nil
// means time.Now.
func OpenLimits(ctx context.Context, db *store.DB, now func() time.Time) (*Limits, error) {
	if now == nil {
		now = time.Now
	}
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Limits{db: db, now: now}, nil
}

// Take takes of all limits, or of none: then over is the index of one that has not
// enough left, and otherwise -1. An error means that nobody could count, and the caller
// denies.
func (l *Limits) Take(ctx context.Context, limits ...Limit) (over int, err error) {
	for _, lim := range limits {
		if lim.Name == "" || lim.Take < 1 || lim.Window <= 0 || lim.Window > longestLimit || lim.Norm > 0 && lim.Window != 24*time.Hour {
			return 0, errors.New("taking of a limit: it is not described")
		}
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	now := l.now()
	// In one order, so that two calls never wait for each other's rows crosswise.
	order := make([]int, len(limits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(limits[a].Name, limits[b].Name) })
	for _, i := range order {
		if _, err := tx.ExecContext(ctx, `INSERT INTO limit_turn (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = $2`, limits[i].Name, now.UnixMilli()); err != nil {
			return 0, fmt.Errorf("taking of a limit: %w", err)
		}
	}
	sum := func(name string, from, to time.Time) (n int, err error) {
		err = tx.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM limit_use WHERE name = $1 AND at > $2 AND at <= $3`, name, from.UnixMilli(), to.UnixMilli()).Scan(&n)
		return n, err
	}
	for i, lim := range limits {
		begin := now.Add(-lim.Window)
		taken, err := sum(lim.Name, begin, endOfTime)
		if err != nil {
			return 0, fmt.Errorf("taking of a limit: %w", err)
		}
		most := lim.Most
		if lim.Norm > 0 {
			week, err := sum(lim.Name, begin.Add(-7*24*time.Hour), begin)
			if err != nil {
				return 0, fmt.Errorf("taking of a limit: %w", err)
			}
			most = max(most, lim.Norm*week/7)
		}
		if taken+lim.Take > most {
			return i, nil
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO limit_use (name, at, n) VALUES ($1, $2, $3)`, lim.Name, now.UnixMilli(), lim.Take); err != nil {
			return 0, fmt.Errorf("taking of a limit: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
	return -1, nil
}

// Different is how many different ones there may be of something.
type Different struct {
	// Name says of what, as in a Limit. At most Most may be seen within Window.
	Name   string
	Most   int
	Window time.Duration
	// Who are those of this call, as keyed digests, each once.
	Who []string
}

// TakeDifferent takes of all limits, or of none, and returns what Take does. One that was
// taken within the window already takes nothing, and counts from now on anew.
func (l *Limits) TakeDifferent(ctx context.Context, limits ...Different) (over int, err error) {
	now := l.now()
	// Most calls are about people that the caller has just looked at: they write nothing.
	if known, err := allSeen(ctx, l.db, now, limits); err != nil || known {
		return -1, err
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	order := slices.SortedFunc(slices.Values(limits), func(a, b Different) int { return cmp.Compare(a.Name, b.Name) })
	for i := range order { // in one order, as in Take
		if _, err := tx.ExecContext(ctx, `INSERT INTO limit_turn (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = $2`, order[i].Name, now.UnixMilli()); err != nil {
			return 0, fmt.Errorf("taking of a limit: %w", err)
		}
	}
	for i := range limits {
		lim := &limits[i]
		seen, err := seenWithin(ctx, tx, lim, now)
		if err != nil {
			return 0, err
		}
		fresh := 0
		for _, one := range lim.Who {
			if _, known := seen[one]; !known {
				fresh++
			}
		}
		if fresh > 0 && len(seen)+fresh > lim.Most {
			return i, nil
		}
		for _, one := range lim.Who {
			if at, known := seen[one]; known && !lim.stale(at, now) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO limit_seen (name, who, at) VALUES ($1, $2, $3) ON CONFLICT (name, who) DO UPDATE SET at = $3`, lim.Name, one, now.UnixMilli()); err != nil {
				return 0, fmt.Errorf("taking of a limit: %w", err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
	return -1, nil
}

// stale tells whether one that was seen at a time should be noted again. A small part of the
// window is what a write for each look would not be worth.
func (d *Different) stale(at, now time.Time) bool { return now.Sub(at) > d.Window/64 }

// allSeen tells whether all of them count already, for each limit, and need not be noted.
func allSeen(ctx context.Context, db querier, now time.Time, limits []Different) (bool, error) {
	all := true
	for i := range limits {
		lim := &limits[i]
		if lim.Name == "" || lim.Most < 1 || lim.Window <= 0 || lim.Window > longestLimit {
			return false, errors.New("taking of a limit: it is not described")
		}
		if !all {
			continue
		}
		seen, err := seenWithin(ctx, db, lim, now)
		if err != nil {
			return false, err
		}
		all = !slices.ContainsFunc(lim.Who, func(one string) bool {
			at, known := seen[one]
			return !known || lim.stale(at, now)
		})
	}
	return all, nil
}

// querier is a database or a transaction in it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// seenWithin are those that count at now, each with when it was seen last. A time to come is
// that of a clock which was set back since, and counts.
func seenWithin(ctx context.Context, db querier, lim *Different, now time.Time) (map[string]time.Time, error) {
	rows, err := db.QueryContext(ctx, `SELECT who, at FROM limit_seen WHERE name = $1 AND at > $2`, lim.Name, now.Add(-lim.Window).UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("taking of a limit: %w", err)
	}
	defer rows.Close()
	seen := make(map[string]time.Time)
	for rows.Next() {
		var who string
		var at int64
		if err := rows.Scan(&who, &at); err != nil {
			return nil, fmt.Errorf("taking of a limit: %w", err)
		}
		seen[who] = time.UnixMilli(at)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("taking of a limit: %w", err)
	}
	return seen, nil
}

// Sweep forgets what no limit counts any more.
func (l *Limits) Sweep(ctx context.Context) error {
	before := l.now().Add(-longestLimit).UnixMilli()
	for _, query := range [...]string{`DELETE FROM limit_use WHERE at <= $1`, `DELETE FROM limit_turn WHERE at <= $1`, `DELETE FROM limit_seen WHERE at <= $1`} {
		if _, err := l.db.ExecContext(ctx, query, before); err != nil {
			return fmt.Errorf("forgetting what was taken of limits: %w", err)
		}
	}
	return nil
}
