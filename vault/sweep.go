package vault

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// OrphanTime is how long a token that was never kept stays: far longer than any
// exchange lasts.
const OrphanTime = 24 * time.Hour

// sweepBatch is how many tokens one transaction of Sweep takes away; it keeps the
// database's one writer free for others.
const sweepBatch = 256

// marksBatch is how many calls one transaction sweeps up after.
const marksBatch = 16

// Swept says what Sweep took away.
type Swept struct {
	// Orphans were never released; Expired had their time.
	Orphans, Expired int
}

// Sweep takes away tokens whose time is over, those that were never kept within
// OrphanTime, and payments that no token leads to any more. It may run in several processes
// at once, and beside everything else: a token that is being kept or given more time
// meanwhile either stays or its caller is told so. Tokens whose event is in the log stay,
// though a crash kept their caller from saying so (Issue.KeepRecorded), and so do those
// about which the log could not be asked. When a part of it fails, the others are done all
// the same, and what is done stays so.
//
// Nothing of what was taken away stays in a SQLite file, and soon nothing in its
// write-ahead log.
func (v *Vault) Sweep(ctx context.Context) (s Swept, err error) {
	defer v.mover.emptying.Store(true)
	// A log that is damaged is no reason to keep what has expired.
	var expired, orphans error
	s.Expired, expired = v.sweepExpired(ctx)
	s.Orphans, orphans = v.sweepOrphans(ctx)
	return s, errors.Join(expired, orphans, v.sweepPayments(ctx))
}

// sweepPayments takes away payments that no token leads to any more.
func (v *Vault) sweepPayments(ctx context.Context) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := v.writer.ExecContext(ctx, `DELETE FROM payment WHERE NOT EXISTS (SELECT 1 FROM payment_token l WHERE l.payment = payment.id)`); err != nil {
		return fmt.Errorf("sweeping payments: %w", err)
	}
	return nil
}

// sweepSome takes away in one transaction what some does, which says how many tokens.
func (v *Vault) sweepSome(ctx context.Context, some func(context.Context, *sql.Tx) (taken int, err error)) (taken int, err error) {
	v.writing.Lock()
	defer v.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	err = untangled(func() error {
		tx, err := v.writer.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() // after a commit it has nothing to do
		if taken, err = some(ctx, tx); err != nil {
			return err
		}
		if taken > 0 {
			v.reached("swept")
		}
		return tx.Commit()
	})
	if err != nil {
		return 0, fmt.Errorf("sweeping tokens: %w", err)
	}
	return taken, nil
}

// oldMark is a call that made tokens long ago and has not kept them.
type oldMark struct {
	mark int64
	pendingRow
	released bool // the log has the event
}

// sweepOrphans takes away what calls made and never kept.
func (v *Vault) sweepOrphans(ctx context.Context) (taken int, err error) {
	before := v.now().Add(-OrphanTime)
	var unasked int
	var why error // of the first of them
	for last, more := int64(0), true; more; {
		old, err := v.oldMarks(ctx, before, last)
		if err != nil {
			return taken, fmt.Errorf("sweeping tokens: %w", err)
		}
		if more = len(old) == marksBatch; len(old) > 0 {
			last = old[len(old)-1].mark
		}
		// The log is asked while nobody waits for the database.
		var decided []oldMark
		for _, m := range old {
			if len(m.event) == idSize {
				if m.released, err = v.recorded(ctx, [idSize]byte(m.event)); err != nil {
					unasked, why = unasked+1, cmp.Or(why, err)
					continue
				}
			}
			decided = append(decided, m)
		}
		if ctx.Err() != nil {
			break
		}
		if len(decided) == 0 {
			continue
		}
		n, err := v.sweepSome(ctx, func(ctx context.Context, tx *sql.Tx) (int, error) { return v.sweepMarks(ctx, tx, decided) })
		if err != nil {
			return taken, err
		}
		taken += n
	}
	if why != nil {
		return taken, fmt.Errorf("asking the log for events, %d without an answer: %w", unasked, why)
	}
	return taken, ctx.Err()
}

// oldMarks reads marks behind the last one that were made before a time. Where nobody can
// ask the log, those with an event are left out.
func (v *Vault) oldMarks(ctx context.Context, before time.Time, last int64) (old []oldMark, err error) {
	longest := 0
	if v.recorded != nil {
		longest = idSize
	}
	rows, err := v.db.QueryContext(ctx, `SELECT mark, tokens, event FROM token_pending WHERE mark > $1 AND created < $2 AND length(event) <= $3 ORDER BY mark LIMIT $4`, last, before.UnixMilli(), longest, marksBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var m oldMark
		if err := rows.Scan(&m.mark, &m.ids, &m.event); err != nil {
			return nil, err
		}
		old = append(old, m)
	}
	return old, rows.Err()
}

// sweepMarks takes marks away that are still there, and the tokens under them that were not
// released. A token that another call has kept has lost its mark, and stays.
func (v *Vault) sweepMarks(ctx context.Context, tx *sql.Tx, old []oldMark) (taken int, err error) {
	for _, m := range old {
		// First the mark and then the tokens, so that whoever keeps them at this moment waits,
		// or we for them. A call that was refused meanwhile has lost its event, and the next
		// sweep takes it.
		res, err := tx.ExecContext(ctx, `DELETE FROM token_pending WHERE mark = $1 AND length(event) = $2`, m.mark, len(m.event))
		if err != nil {
			return 0, err
		}
		if n, err := res.RowsAffected(); err != nil {
			return 0, err
		} else if n == 0 || m.released {
			continue
		}
		for ids := m.ids; len(ids) >= idSize; {
			var args []any
			for len(args) < sweepBatch && len(ids) >= idSize {
				args, ids = append(args, ids[:idSize]), ids[idSize:]
			}
			res, err := tx.ExecContext(ctx, fmt.Sprintf(`DELETE FROM token WHERE id IN %s AND mark = $%d`, store.Places(1, len(args)), len(args)+1), append(args, m.mark)...)
			if err != nil {
				return 0, err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return 0, err
			}
			taken += int(n)
		}
	}
	return taken, nil
}

// sweepExpired takes away tokens whose time is over.
func (v *Vault) sweepExpired(ctx context.Context) (taken int, err error) {
	for n := sweepBatch; n == sweepBatch; taken += n {
		if n, err = v.sweepSome(ctx, v.sweepSomeExpired); err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// sweepSomeExpired is sweepExpired in one transaction, for sweepBatch tokens at most.
func (v *Vault) sweepSomeExpired(ctx context.Context, tx *sql.Tx) (taken int, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id FROM token WHERE expires > 0 AND expires <= $1 ORDER BY id LIMIT $2`+v.db.ForUpdate(), v.now().UnixMilli(), sweepBatch)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var ids []any
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return 0, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM token WHERE id IN `+store.Places(1, len(ids)), ids...)
	return len(ids), err
}
