package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

const (
	// longestLimit is how far back what was taken is known.
	longestLimit = 8 * 24 * time.Hour
	// limitParts is in how many parts of its window a limit counts, and for how many at most
	// it notes the instant of each.
	limitParts = 64
	// limitSkew is how far the clock may be set back without anything being missed that
	// counted before.
	limitSkew = 10 * time.Minute
	// sweepPiece is how many rows are forgotten at once. Others wait meanwhile.
	sweepPiece = 1000
	// lookPiece is how many are looked for in one query.
	lookPiece = 500
)

// endOfTime is behind whatever a wrong clock has noted.
var endOfTime = time.UnixMilli(1 << 60)

// Limit is how much may be taken of something.
type Limit struct {
	// Name says of what. Equal names share what is taken; one call names each once.
	Name string
	// Most may be taken within Window, at most eight days. The window slides: to the
	// millisecond where Most is 64 or less, and otherwise in steps of a 64th of it, so that
	// what was taken counts for up to one step longer, and never shorter.
	Most   int
	Window time.Duration
	// Take is how much this call wants; 1 or more.
	Take int
	// Norm, when set, makes Most what is due if that is more: Norm times what was taken in
	// an average Window of the seven days before this one. A breaker.
	Norm int
}

// Limits count what was taken, in state.db, so that limits hold across restarts and
// across gateways on one database (V10). They go by one clock, the database's. When that is set
// back they are stricter until it has caught up: what was taken in its future counts. Set
// forward, it ends windows early. Safe for concurrent use.
type Limits struct {
	db  *store.DB
	now instants
}

// instants tells what time it is by a clock that all who count in one table have in common.
type instants func(context.Context) (time.Time, error)

// instantsOf is a given clock, or that of the database.
func instantsOf(db *store.DB, now func() time.Time) instants {
	if now == nil {
		return db.Now
	}
	return func(context.Context) (time.Time, error) { return now(), nil }
}

// OpenLimits prepares the tables. The database stays the caller's. now is the clock; nil
// means the database's (store.DB.Now), so that no gateway's clock has a say where several
// count together.
func OpenLimits(ctx context.Context, db *store.DB, now func() time.Time) (*Limits, error) {
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Limits{db: db, now: instantsOf(db, now)}, nil
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
	// Read before the rows are locked: whoever had them until then may have noted a later
	// time, which counts.
	now, err := l.now(ctx)
	if err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
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
		if _, err := tx.ExecContext(ctx, `INSERT INTO limit_use (name, at, n) VALUES ($1, $2, $3) ON CONFLICT (name, at) DO UPDATE SET n = limit_use.n + excluded.n`,
			lim.Name, noted(now, lim.Window, most), lim.Take); err != nil {
			return 0, fmt.Errorf("taking of a limit: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM limit_use WHERE name = $1 AND at <= $2`, lim.Name, now.Add(-lim.kept()).UnixMilli()); err != nil {
			return 0, fmt.Errorf("taking of a limit: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
	return -1, nil
}

// noted is the time that something taken now is noted with, in milliseconds: the end of the
// part of the window that now is in. Of a limit with few there are no more rows than may be
// taken anyway, and they have the time itself.
func noted(now time.Time, window time.Duration, most int) int64 {
	at, part := now.UnixMilli(), max(window.Milliseconds()/limitParts, 1)
	if most <= limitParts {
		return at
	}
	return at - at%part + part - 1
}

// kept is for how long what was taken is of use.
func (l *Limit) kept() time.Duration {
	if l.Norm > 0 {
		return longestLimit + limitSkew
	}
	return l.Window + limitSkew
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
	now, err := l.now(ctx)
	if err != nil {
		return 0, fmt.Errorf("taking of a limit: %w", err)
	}
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
		seen, err := seenOf(ctx, tx, lim, now)
		if err != nil {
			return 0, err
		}
		if fresh := len(lim.Who) - len(seen); fresh > 0 {
			var all int
			if err := tx.QueryRowContext(ctx, countSeen, lim.Name, lim.begin(now)).Scan(&all); err != nil {
				return 0, fmt.Errorf("taking of a limit: %w", err)
			}
			if all+fresh > lim.Most {
				return i, nil
			}
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
func allSeen(ctx context.Context, db store.Queryer, now time.Time, limits []Different) (bool, error) {
	all := true
	for i := range limits {
		lim := &limits[i]
		if lim.Name == "" || lim.Most < 1 || lim.Window <= 0 || lim.Window > longestLimit {
			return false, errors.New("taking of a limit: it is not described")
		}
		if !all {
			continue
		}
		seen, err := seenOf(ctx, db, lim, now)
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

// begin is when the window begins that ends now, in milliseconds.
func (d *Different) begin(now time.Time) int64 { return now.Add(-d.Window).UnixMilli() }

// countSeen counts all of one name, without reading who they are.
const countSeen = `SELECT count(*) FROM limit_seen WHERE name = $1 AND at > $2`

// seenOf are those of the call that count at now, each with when it was seen last. A time to
// come is that of a clock which was set back since, and counts.
func seenOf(ctx context.Context, db store.Queryer, lim *Different, now time.Time) (map[string]time.Time, error) {
	seen := make(map[string]time.Time, len(lim.Who))
	for who := range slices.Chunk(lim.Who, lookPiece) {
		if err := addSeen(ctx, db, seen, lim.Name, lim.begin(now), who); err != nil {
			return nil, fmt.Errorf("taking of a limit: %w", err)
		}
	}
	return seen, nil
}

// lookSeen looks for n of one name, whenever they were seen: asked for a time as well, a
// database may go through all that were seen since.
func lookSeen(n int) string {
	var b strings.Builder
	b.WriteString(`SELECT who, at FROM limit_seen WHERE name = $1 AND who IN ($2`)
	for i := 1; i < n; i++ {
		b.WriteString(", $" + strconv.Itoa(i+2))
	}
	b.WriteString(")")
	return b.String()
}

// addSeen adds to seen those of who that were seen after begin.
func addSeen(ctx context.Context, db store.Queryer, seen map[string]time.Time, name string, begin int64, who []string) error {
	args := []any{name}
	for _, one := range who {
		args = append(args, one)
	}
	rows, err := db.QueryContext(ctx, lookSeen(len(who)), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		var at int64
		if err := rows.Scan(&one, &at); err != nil {
			return err
		}
		if at > begin {
			seen[one] = time.UnixMilli(at)
		}
	}
	return rows.Err()
}

// Sweep forgets what no limit counts any more, a piece at a time. What one call leaves, of
// rows that others forget at the same time, is left to the next.
func (l *Limits) Sweep(ctx context.Context) error {
	now, err := l.now(ctx)
	if err != nil {
		return fmt.Errorf("forgetting what was taken of limits: %w", err)
	}
	before := now.Add(-longestLimit - limitSkew).UnixMilli()
	for _, query := range [...]string{
		`DELETE FROM limit_use WHERE (name, at) IN (SELECT name, at FROM limit_use WHERE at <= $1 ORDER BY at LIMIT $2)`,
		`DELETE FROM limit_turn WHERE name IN (SELECT name FROM limit_turn WHERE at <= $1 ORDER BY at LIMIT $2)`,
		`DELETE FROM limit_seen WHERE (name, who) IN (SELECT name, who FROM limit_seen WHERE at <= $1 ORDER BY at LIMIT $2)`,
	} {
		for more := true; more; {
			res, err := l.db.ExecContext(ctx, query, before, sweepPiece)
			if err != nil {
				return fmt.Errorf("forgetting what was taken of limits: %w", err)
			}
			n, err := res.RowsAffected()
			if err != nil {
				return fmt.Errorf("forgetting what was taken of limits: %w", err)
			}
			more = n == sweepPiece
		}
	}
	return nil
}
