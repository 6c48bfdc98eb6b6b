package purge

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

// postpone waits for a gateway that reaches the account: another one may. What lies in a trash may
// wait for it; what is under way becomes a person's.
func (s *Store) postpone(ctx context.Context, r *Run, it *item) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	before := it.next
	if it.state == Trash {
		it.next = now.Add(routePause).UnixMilli()
	} else if it.fail("no_route", now); it.state == NeedsHuman {
		return s.settle(ctx, r, it, it.state, it.reason)
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE purge_item SET failures = $1, next_try = $2 WHERE run = $3 AND n = $4 AND tries = $5 AND next_try = $6`, it.failures, it.next, r.ID, it.n, it.tries, before)
		return err
	})
}

// settle ends a record without a call.
func (s *Store) settle(ctx context.Context, r *Run, it *item, state, reason string) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error { return s.settleIn(ctx, tx, r.ID, it, state, reason, now) })
}

// settleIn ends a record, and with it those that go with it.
func (s *Store) settleIn(ctx context.Context, tx *sql.Tx, run string, it *item, state, reason string, now time.Time) error {
	if _, err := tx.ExecContext(ctx, `UPDATE purge_item SET state = $1, reason = $2, ended = $3 WHERE run = $4 AND n = $5`, state, reason, now.UnixMilli(), run, it.n); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE purge_item SET state = $1, reason = $2, ended = $3 WHERE run = $4 AND state = 'with' AND above_kind = $5 AND above = $6`, state, reason, now.UnixMilli(), run, it.kind, it.rec.ID)
	return err
}

// Untold are runs that have ended and of which nobody noted that the log has it.
func (s *Store) Untold(ctx context.Context) ([]string, error) {
	ids, err := store.List(ctx, s.db, store.Scanned[string], `SELECT id FROM purge_run WHERE state = 'done' AND told = 0 ORDER BY ended, id`)
	if err != nil {
		return nil, fmt.Errorf("looking for runs that have ended: %w", err)
	}
	return ids, nil
}

// Told notes that the log has that a run ended.
func (s *Store) Told(ctx context.Context, id string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE purge_run SET told = 1 WHERE id = $1 AND state = 'done'`, id); err != nil {
		return fmt.Errorf("noting what is on record: %w", err)
	}
	return nil
}

// end ends a run of which nothing is left to do.
func (s *Store) end(ctx context.Context, id string) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE purge_run SET state = 'done', ended = $1 WHERE id = $2 AND state = 'running' AND NOT EXISTS (
			SELECT 1 FROM purge_item WHERE run = $2 AND state IN ('open', 'job', 'read_back', 'trash'))`, now.UnixMilli(), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("ending a run: %w", err)
	}
	return nil
}

// toldAtOnce is how many events one call puts on record.
const toldAtOnce = 100

// tell puts on record what is not yet. An event that an earlier call left may be there already.
func (s *Store) tell(ctx context.Context, r *Run, g Gateway) error {
	type row struct {
		n, seq, at, status int64
		event              []byte
		operation, seen    string
		rec                index.Record
	}
	found, err := store.List(ctx, s.db, func(of store.Row) (e row, err error) {
		err = of.Scan(&e.n, &e.seq, &e.event, &e.operation, &e.at, &e.status, &e.seen, &e.rec.ID, &e.rec.Channel, &e.rec.Host, &e.rec.Type)
		return e, err
	}, `SELECT s.n, s.seq, s.event, s.operation, s.at, s.status, s.seen, i.name, i.channel, i.host, i.type FROM purge_step s JOIN purge_item i ON i.run = s.run AND i.n = s.n
		WHERE s.run = $1 AND s.told = 0 AND s.answered > 0 ORDER BY s.n, s.seq LIMIT $2`, r.ID, toldAtOnce)
	if err != nil {
		return fmt.Errorf("reading what is to be put on record: %w", err)
	}
	for _, e := range found {
		attrs := map[string]string{"run": r.ID, "record": r.Name(e.rec), "type": e.rec.Type, "step": strconv.FormatInt(e.seq, 10), "status": strconv.FormatInt(e.status, 10), "seen": e.seen, "at": strconv.FormatInt(e.at, 10)}
		if err := g.Tell(ctx, Event{ID: [16]byte(e.event), At: store.Moment(e.at), Channel: e.rec.Channel, Operation: e.operation, Attrs: attrs}); err != nil {
			return fmt.Errorf("putting a call to a vendor on record: %w", err)
		}
		s.step("told")
		if _, err := s.db.ExecContext(ctx, `UPDATE purge_step SET told = 1 WHERE run = $1 AND n = $2 AND seq = $3`, r.ID, e.n, e.seq); err != nil {
			return fmt.Errorf("noting what is on record: %w", err)
		}
	}
	return nil
}
