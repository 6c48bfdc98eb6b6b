package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/caregate/caregate/internal/store"
)

// lockStore is lock.db, or its table on PostgreSQL: one row per origin with the last checkpoint signed for
// it. Whoever holds this row decides which history is ours, so the file is made
// by Create only, and a row only changes by compare and swap (invariants A7, A8,
// A20). On PostgreSQL the swap is the same statement.
type lockStore struct{ db *store.DB }

// openLockStore opens an existing lock store; with create it makes one.
func openLockStore(ctx context.Context, where string, create bool) (*lockStore, error) {
	db, err := store.Open(ctx, where, store.Options{Create: create, Sync: store.SyncExtra, MaxConns: 2})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "audit_lock", migrations("lock")); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &lockStore{db: db}, nil
}

// load returns the signed checkpoints by origin.
func (s *lockStore) load(ctx context.Context) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT origin, body FROM audit_lock`)
	if err != nil {
		return nil, fmt.Errorf("reading lock store: %w", err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var origin, body string
		if err := rows.Scan(&origin, &body); err != nil {
			return nil, fmt.Errorf("reading lock store: %w", err)
		}
		out[origin] = body
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading lock store: %w", err)
	}
	return out, nil
}

// insert adds an origin that has no row.
func (s *lockStore) insert(ctx context.Context, origin, body string) error {
	if _, err := s.db.ExecContext(ctx, `INSERT INTO audit_lock (origin, body) VALUES ($1, $2)`, origin, body); err != nil {
		return fmt.Errorf("writing lock store: %w", err)
	}
	return nil
}

// swap replaces the checkpoint of origin when it still is old. Anything else
// means that another writer is at work and is an error.
func (s *lockStore) swap(ctx context.Context, origin, old, body string) error {
	res, err := s.db.ExecContext(ctx, `UPDATE audit_lock SET body = $1 WHERE origin = $2 AND body = $3`, body, origin, old)
	if err != nil {
		return fmt.Errorf("writing lock store: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("writing lock store: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("%w: another checkpoint was signed for %s meanwhile", ErrCorrupt, origin)
	}
	return nil
}
