package policy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Errors of RevealRights.
var (
	// ErrNoRevealRight is returned for an actor whom nobody has seen with the right.
	ErrNoRevealRight = errors.New("the gateway has not seen this actor with a right to reveal")
	// ErrOwnRevealRight is returned to whoever would renew a right of one's own.
	ErrOwnRevealRight = errors.New("nobody renews a right of one's own")
	// ErrRevealLapsing is returned while the log does not have yet that the right lapsed.
	ErrRevealLapsing = errors.New("the log is about to be told that this right lapsed; try again")
)

// RevealRight is what is known of an actor's right to see what stands behind tokens.
type RevealRight struct {
	// Actor is the ID of who holds it.
	Actor string
	// Seen is when the gateway first saw them with the right, Used when they last used it,
	// zero for never.
	Seen, Used time.Time
	// Renewed is when another actor, RenewedBy, renewed it; zero for never.
	Renewed   time.Time
	RenewedBy string
	// Lapsed is when it lapsed, zero while it counts. It stays lapsed until it is renewed,
	// also when the time after which it lapses is made longer. Event is the id of the event
	// that tells of it.
	Lapsed time.Time
	Event  [16]byte
}

// Since is when the time began after which the right lapses: the latest of when it was first
// seen, used and renewed.
func (r *RevealRight) Since() time.Time {
	since := r.Seen
	for _, t := range [...]time.Time{r.Used, r.Renewed} {
		if t.After(since) {
			since = t
		}
	}
	return since
}

// Ends is when the right lapses if it is not used until then, or when it did. It is zero where
// rights do not lapse: after is zero.
func (r *RevealRight) Ends(after time.Duration) time.Time {
	switch {
	case after <= 0:
		return time.Time{}
	case !r.Lapsed.IsZero():
		return r.Lapsed
	}
	return r.Since().Add(after)
}

// HasLapsed tells whether the right has lapsed at now where rights lapse after a time without
// use, more than zero.
func (r *RevealRight) HasLapsed(after time.Duration, now time.Time) bool {
	return !r.Lapsed.IsZero() || !now.Before(r.Since().Add(after))
}

// RevealRights know who holds a right to see what stands behind tokens and when it was last
// used, in state.db: across restarts and gateways on one database. They go by one clock, the
// database's: set forward, it ends rights early. Safe for concurrent use.
type RevealRights struct {
	db  *store.DB
	now instants
}

// OpenRevealRights prepares the table. The database stays the caller's. now is the clock; nil
// means the database's.
func OpenRevealRights(ctx context.Context, db *store.DB, now func() time.Time) (*RevealRights, error) {
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return &RevealRights{db: db, now: instantsOf(db, now)}, nil
}

const revealRightColumns = `actor, seen, used, renewed, renewed_by, lapsed, event`

func scanRevealRight(scan func(...any) error) (r RevealRight, err error) {
	var seen, used, renewed, lapsed int64
	var event []byte
	if err := scan(&r.Actor, &seen, &used, &renewed, &r.RenewedBy, &lapsed, &event); err != nil {
		return r, err
	}
	r.Seen, r.Used, r.Renewed, r.Lapsed = store.Moment(seen), store.Moment(used), store.Moment(renewed), store.Moment(lapsed)
	copy(r.Event[:], event)
	return r, nil
}

// See notes that an actor holds the right, if that is not known, and tells whether it has
// lapsed: after is the time without use after which it does, zero for never. An error means
// that nobody knows, and the caller denies.
func (l *RevealRights) See(ctx context.Context, actor string, after time.Duration) (lapsed bool, err error) {
	now, err := l.now(ctx)
	if err != nil {
		return false, fmt.Errorf("looking at a right to reveal: %w", err)
	}
	r, err := l.get(ctx, actor)
	if errors.Is(err, ErrNoRevealRight) {
		if _, err = l.db.ExecContext(ctx, `INSERT INTO reveal_right (`+revealRightColumns+`, told) VALUES ($1, $2, 0, 0, '', 0, $3, 0) ON CONFLICT (actor) DO NOTHING`,
			actor, now.UnixMilli(), []byte{}); err == nil {
			r, err = l.get(ctx, actor)
		}
	}
	if err != nil {
		return false, fmt.Errorf("looking at a right to reveal: %w", err)
	}
	return after > 0 && r.HasLapsed(after, now), nil
}

func (l *RevealRights) get(ctx context.Context, actor string) (RevealRight, error) {
	r, err := scanRevealRight(l.db.QueryRowContext(ctx, `SELECT `+revealRightColumns+` FROM reveal_right WHERE actor = $1`, actor).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNoRevealRight
	}
	return r, err
}

// Use notes that an actor has used the right. It is durable when Use returns; before that
// nobody may see what was revealed. After a crash behind it the right counts as used, whether
// or not the answer arrived.
func (l *RevealRights) Use(ctx context.Context, actor string) error {
	now, err := l.now(ctx)
	if err != nil {
		return fmt.Errorf("noting the use of a right to reveal: %w", err)
	}
	res, err := l.db.ExecContext(ctx, `UPDATE reveal_right SET used = $1 WHERE actor = $2`, now.UnixMilli(), actor)
	if err != nil {
		return fmt.Errorf("noting the use of a right to reveal: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("noting the use of a right to reveal: %w", errors.Join(err, ErrNoRevealRight))
	}
	return nil
}

// Renew lets the right of an actor count again, or for longer, as by wishes. own tells
// whether an actor is the one who wishes it. undo takes that back. Errors: ErrNoRevealRight,
// ErrOwnRevealRight, ErrRevealLapsing.
func (l *RevealRights) Renew(ctx context.Context, actor, by string, own bool) (r RevealRight, undo func(context.Context) error, err error) {
	if own || actor == by {
		return r, nil, ErrOwnRevealRight
	}
	now, err := l.now(ctx)
	if err != nil {
		return r, nil, fmt.Errorf("renewing a right to reveal: %w", err)
	}
	was, err := l.get(ctx, actor)
	if err != nil {
		return r, nil, fmt.Errorf("renewing a right to reveal: %w", err)
	}
	// An event that the log does not have is written first: it would be lost.
	res, err := l.db.ExecContext(ctx, `UPDATE reveal_right SET renewed = $1, renewed_by = $2, event = $3, lapsed = 0, told = 0 WHERE actor = $4 AND (lapsed = 0 OR told = 1)`,
		now.UnixMilli(), by, []byte{}, actor)
	if err != nil {
		return r, nil, fmt.Errorf("renewing a right to reveal: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return r, nil, fmt.Errorf("renewing a right to reveal: %w", errors.Join(err, ErrRevealLapsing))
	}
	undo = func(ctx context.Context) error {
		told := 0
		if !was.Lapsed.IsZero() {
			told = 1
		}
		_, err := l.db.ExecContext(ctx, `UPDATE reveal_right SET renewed = $1, renewed_by = $2, lapsed = $3, told = $4, event = $5 WHERE actor = $6 AND renewed = $7 AND renewed_by = $8`,
			store.Millis(was.Renewed), was.RenewedBy, store.Millis(was.Lapsed), told, was.Event[:], actor, now.UnixMilli(), by)
		if err != nil {
			return fmt.Errorf("taking back the renewal of a right to reveal: %w", err)
		}
		return nil
	}
	r, err = l.get(ctx, actor)
	return r, undo, err
}

// List returns all that are known, by actor, and what time it is by the clock that they go by.
func (l *RevealRights) List(ctx context.Context) (list []RevealRight, now time.Time, err error) {
	if now, err = l.now(ctx); err == nil {
		list, err = l.list(ctx, "1 = 1")
	}
	if err != nil {
		return nil, now, fmt.Errorf("listing rights to reveal: %w", err)
	}
	return list, now, nil
}

func (l *RevealRights) list(ctx context.Context, where string, args ...any) ([]RevealRight, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT `+revealRightColumns+` FROM reveal_right WHERE `+where+` ORDER BY actor`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []RevealRight
	for rows.Next() {
		r, err := scanRevealRight(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// Lapse notes the rights that have not been used for a time, more than zero, and tells about
// each, also about those that a process noted and died before telling. One that tell fails
// for is told again by the next call, under the same id of its event, which newID draws. It
// may run in several processes at once: one of them tells. One that dies between telling and
// noting that it did is followed by one that tells again.
func (l *RevealRights) Lapse(ctx context.Context, after time.Duration, newID func() [16]byte, tell func(ctx context.Context, r RevealRight) error) error {
	now, err := l.now(ctx)
	if err != nil {
		return fmt.Errorf("ending unused rights to reveal: %w", err)
	}
	begin := now.Add(-after).UnixMilli()
	list, err := l.list(ctx, "lapsed = 0 AND seen <= $1 AND used <= $1 AND renewed <= $1", begin)
	if err != nil {
		return fmt.Errorf("ending unused rights to reveal: %w", err)
	}
	for _, r := range list {
		id := newID()
		if _, err := l.db.ExecContext(ctx, `UPDATE reveal_right SET lapsed = $1, event = $2, told = 0 WHERE actor = $3 AND lapsed = 0 AND seen <= $4 AND used <= $4 AND renewed <= $4`, now.UnixMilli(), id[:], r.Actor, begin); err != nil {
			return fmt.Errorf("ending unused rights to reveal: %w", err)
		}
	}
	// From here on a crash is made up for by the next call.
	if list, err = l.list(ctx, "lapsed > 0 AND told = 0"); err != nil {
		return fmt.Errorf("ending unused rights to reveal: %w", err)
	}
	for _, r := range list {
		if err := l.tellLapsed(ctx, r.Actor, tell); err != nil {
			return err
		}
	}
	return nil
}

// tellLapsed tells of one right that lapsed and notes that it did. On PostgreSQL it holds the
// row meanwhile, so that other gateways pass it by; a file has no others.
func (l *RevealRights) tellLapsed(ctx context.Context, actor string, tell func(ctx context.Context, r RevealRight) error) error {
	const note, untold = `UPDATE reveal_right SET told = 1 WHERE actor = $1 AND lapsed > 0 AND event = $2`, `SELECT ` + revealRightColumns + ` FROM reveal_right WHERE actor = $1 AND lapsed > 0 AND told = 0`
	fail := func(err error) error { return fmt.Errorf("telling of a right to reveal that lapsed: %w", err) }
	if l.db.Dialect != store.Postgres {
		r, err := scanRevealRight(l.db.QueryRowContext(ctx, untold, actor).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // it was told meanwhile
		}
		if err != nil {
			return fail(err)
		}
		if err := tell(ctx, r); err != nil {
			return fail(err)
		}
		if _, err := l.db.ExecContext(ctx, note, actor, r.Event[:]); err != nil {
			return fail(err)
		}
		return nil
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	r, err := scanRevealRight(tx.QueryRowContext(ctx, untold+` FOR UPDATE SKIP LOCKED`, actor).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // another gateway tells, or has told
	}
	if err != nil {
		return fail(err)
	}
	if err := tell(ctx, r); err != nil {
		return fail(err)
	}
	if _, err := tx.ExecContext(ctx, note, actor, r.Event[:]); err != nil {
		return fail(err)
	}
	if err := tx.Commit(); err != nil {
		return fail(err)
	}
	return nil
}
