package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// impatient opens a file so that SQLite does not wait by itself for others: it is as if its
// time-out were over.
func impatient(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.ExecContext(t.Context(), "PRAGMA busy_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	return db
}

// A machine that is slow is slow: whoever waits for another writer goes on waiting when
// SQLite gives up, as long as the call allows it.
func TestWaitForAnotherWriter(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(ctx context.Context, db *store.DB) error{
		"a transaction": func(ctx context.Context, db *store.DB) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Commit()
		},
		"a statement": func(ctx context.Context, db *store.DB) error {
			_, err := db.ExecContext(ctx, "INSERT INTO t VALUES (1)")
			return err
		},
		"a statement that answers": func(ctx context.Context, db *store.DB) error {
			var a int
			return db.QueryRowContext(ctx, "INSERT INTO t VALUES (2) RETURNING a").Scan(&a)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.db")
			holder, err := store.Open(t.Context(), path, store.Options{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			defer holder.Close()
			if _, err := holder.ExecContext(t.Context(), "CREATE TABLE t (a INTEGER)"); err != nil {
				t.Fatal(err)
			}
			db := impatient(t, path)
			tx, err := holder.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			err = write(ctx, db)
			if err == nil {
				t.Fatal("written beside another writer")
			}
			if ctx.Err() == nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("gave up with %v, want its deadline", err)
			}
			// Whether the lock is let go before or behind the first try, it is had.
			done := make(chan error, 1)
			go func() { done <- write(t.Context(), db) }()
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("when the other one had ended: %v", err)
			}
		})
	}
}

// Whoever has read what another one then wrote would wait for nothing.
func TestNoWaitWithAnOldSnapshot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	other, err := store.Open(t.Context(), path, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "CREATE TABLE t (a INTEGER)"); err != nil {
		t.Fatal(err)
	}
	tx, err := impatient(t, path).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), "INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (2)"); err == nil || ctx.Err() != nil {
		t.Errorf("writing with an old snapshot: got %v, %v", err, ctx.Err())
	}
}

// What is sorted goes to a file when it is much, but where the caller said that
// nothing is.
func TestPragmas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	for name, tc := range map[string]struct {
		o    store.Options
		want map[string]int
	}{
		"as it comes":     {store.Options{Create: true}, map[string]int{"temp_store": 0, "secure_delete": 0}},
		"undo in memory":  {store.Options{Create: true, UndoInMemory: true}, map[string]int{"temp_store": 2, "secure_delete": 0}},
		"deleted is gone": {store.Options{Create: true, Overwrite: true}, map[string]int{"temp_store": 0, "secure_delete": 1}},
	} {
		db, err := store.Open(t.Context(), path, tc.o)
		if err != nil {
			t.Fatal(err)
		}
		for pragma, want := range tc.want {
			var got int
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: PRAGMA %s: got %d, %v, want %d", name, pragma, got, err, want)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
