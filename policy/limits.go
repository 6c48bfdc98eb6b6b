package policy

import (
	"cmp"
	"context"
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

// Sweep forgets what no limit counts any more.
func (l *Limits) Sweep(ctx context.Context) error {
	before := l.now().Add(-longestLimit).UnixMilli()
	for _, query := range [...]string{`DELETE FROM limit_use WHERE at <= $1`, `DELETE FROM limit_turn WHERE at <= $1`} {
		if _, err := l.db.ExecContext(ctx, query, before); err != nil {
			return fmt.Errorf("forgetting what was taken of limits: %w", err)
		}
	}
	return nil
}
