package vault

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// How long a destruction waits for readers that keep the write-ahead log from being emptied.
const (
	shredTries = 50
	shredPause = 20 * time.Millisecond
)

// shredding runs do in a transaction whose deletions and replacements leave nothing in
// the database's files: its connections overwrite what they delete. While somebody reads on
// who began before, the pages as they were stay in the write-ahead log; that is waited
// for a little, and left to the mover then. Copies that were made before have it as long
// as they are kept. do may be run more than once.
func (v *Vault) shredding(ctx context.Context, do func(tx *sql.Tx) error) error {
	if err := v.shred(ctx, do); err != nil || v.db.Dialect != store.SQLite {
		return err
	}
	for range shredTries {
		whole, err := v.moveLog(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("destroying keys: %w", err)
		}
		if whole {
			return nil
		}
		v.reached("the log is not empty")
		select {
		case <-ctx.Done():
			return nil // the deed is done
		case <-time.After(shredPause):
		}
	}
	return nil
}

// shred is the transaction of shredding.
func (v *Vault) shred(ctx context.Context, do func(tx *sql.Tx) error) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	return untangled(func() error {
		tx, err := v.db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("destroying keys: %w", err)
		}
		defer tx.Rollback() // after a commit it has nothing to do
		if err := do(tx); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("destroying keys: %w", err)
		}
		v.mover.emptying.Store(true)
		return nil
	})
}
