package retention

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/retention/clock"
)

// Replay brings back what the log knows and the database does not: after the database was
// restored from an older copy, or lost. Entries come as they were recorded, those of one
// duty in their order, and leaf is their place in the log; what is there already changes
// nothing. It runs before any Runner does. ErrConflict means that the database has gone
// another way than the log since: a person has to look.
//
// What was noted and not yet recorded when the database was lost is in no log; runners
// record at once what they note.
func (s *Store) Replay(ctx context.Context, e Entry, leaf string) error {
	id, number, ok := strings.Cut(e.ID, "#")
	seq, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || seq < 1 || id != e.Obligation || leaf == "" {
		return errors.New("replaying the log: this is no entry of a duty")
	}
	var d detail
	if err := json.Unmarshal(e.Body, &d); err != nil || d.V != 1 {
		return errors.New("replaying the log: the entry is not as this program writes them")
	}
	return s.write(ctx, func(tx *sql.Tx, _ time.Time) error {
		var body []byte
		var kind, step string
		err := tx.QueryRowContext(ctx, `SELECT body, kind, step FROM obligation_event WHERE obligation = $1 AND seq = $2`, id, seq).Scan(&body, &kind, &step)
		if err == nil {
			if !bytes.Equal(body, e.Body) || kind != e.Kind || step != e.Step {
				return fmt.Errorf("replaying the log: %w", ErrConflict)
			}
			// The copy may be from before it was recorded.
			_, err := tx.ExecContext(ctx, `UPDATE obligation_event SET leaf = $1 WHERE obligation = $2 AND seq = $3 AND leaf = ''`, leaf, id, seq)
			return err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("replaying the log: %w", err)
		}
		var last int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM obligation_event WHERE obligation = $1`, id).Scan(&last); err != nil {
			return fmt.Errorf("replaying the log: %w", err)
		}
		if seq != last+1 {
			return fmt.Errorf("replaying the log: entry %d of a duty comes after entry %d: %w", seq, last, ErrConflict)
		}
		if err := s.redo(ctx, tx, e, d); err != nil {
			return fmt.Errorf("replaying the log: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO obligation_event (obligation, seq, kind, step, at, body, leaf) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			id, seq, e.Kind, e.Step, e.At.UnixMilli(), e.Body, leaf); err != nil {
			return fmt.Errorf("replaying the log: %w", err)
		}
		return nil
	})
}

// redo does to the rows what the entry tells. A lease is not brought back: whoever had it
// is gone with the database.
func (s *Store) redo(ctx context.Context, tx *sql.Tx, e Entry, d detail) error {
	id := e.Obligation
	exec := func(statement string, args ...any) error {
		res, err := tx.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, ErrConflict)
		}
		return nil
	}
	due := func() (int64, error) {
		events, err := clock.DecodeEvents(d.Clock)
		if err != nil {
			return 0, err
		}
		state, err := s.register.Fold(events)
		return moment(state).UnixMilli(), err
	}
	switch e.Kind {
	case "clock.suspect":
		return exec(`UPDATE obligation_time SET suspect = $1 WHERE id = 1`, max(e.At.UnixMilli(), 1))
	case "clock.trusted":
		return exec(`UPDATE obligation_time SET high = $1, suspect = 0 WHERE id = 1`, e.At.UnixMilli())
	case "obligation.added":
		at, err := due()
		if err != nil {
			return err
		}
		return exec(`INSERT INTO obligation (id, kind, subject, clock, due, state, lease, fence, failures, next_try) VALUES ($1, $2, $3, $4, $5, 'open', 0, 0, 0, 0)`,
			id, d.Kind, d.Subject, []byte(d.Clock), at)
	case "step.attempted":
		if err := exec(`UPDATE obligation SET fence = $1 WHERE id = $2`, d.Fence, id); err != nil {
			return err
		}
		done, err := steps(ctx, tx, id)
		if err != nil {
			return err
		}
		n := len(done)
		if n > 0 && done[n-1].Name == e.Step {
			n--
		}
		return exec(`INSERT INTO obligation_step (obligation, n, name, state, tries, result) VALUES ($1, $2, $3, 'started', $4, '')
			ON CONFLICT (obligation, n) DO UPDATE SET tries = excluded.tries`, id, n, e.Step, d.Try)
	case "step.failed":
		return exec(`UPDATE obligation SET failures = failures + 1 WHERE id = $1`, id)
	case "step.completed":
		if err := exec(`UPDATE obligation_step SET state = 'done', result = $1 WHERE obligation = $2 AND name = $3`, d.Result, id, e.Step); err != nil {
			return err
		}
		return exec(`UPDATE obligation SET failures = 0 WHERE id = $1`, id)
	case "obligation.needs_human":
		return exec(`UPDATE obligation SET state = 'needs_human' WHERE id = $1`, id)
	case "obligation.retried":
		return exec(`UPDATE obligation SET state = 'open', failures = 0 WHERE id = $1`, id)
	case "step.waiting":
		return exec(`UPDATE obligation SET failures = 0 WHERE id = $1`, id)
	case "obligation.done", "obligation.ended":
		return exec(`UPDATE obligation SET state = 'done' WHERE id = $1`, id)
	}
	if strings.HasPrefix(e.Kind, "clock.") {
		at, err := due()
		if err != nil {
			return err
		}
		return exec(`UPDATE obligation SET clock = $1, due = $2, fence = fence + 1 WHERE id = $3`, []byte(d.Clock), at, id)
	}
	// An older program must not count a duty done whose log it does not understand.
	return fmt.Errorf("an entry of kind %.40q: %w", e.Kind, clock.ErrUnknown)
}
