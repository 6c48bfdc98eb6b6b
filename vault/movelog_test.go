package vault_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
)

// Behind a move the write-ahead log begins anew: what is written then takes the place of
// what was, and the file does not grow.
func TestMovedLogBeginsAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	vault.StopMover(v)
	write := func(from, n int) (size int64) {
		t.Helper()
		for i := range n {
			tokenOf(t, v, "", val("iban", fmt.Sprint("N", from+i)))
		}
		return logSize(t, dir)
	}
	was := write(0, 40)
	if write(40, 10) <= was {
		t.Fatal("the log does not grow, so the test sees nothing")
	}
	was = write(50, 1)
	moved(t, v)
	if size := write(60, 20); size != was {
		t.Errorf("the log grew from %d to %d bytes behind a move", was, size)
	}
}

// moved moves the log, of which nothing may be left then.
func moved(t *testing.T, v *vault.Vault) {
	t.Helper()
	if whole, err := vault.MoveLog(t.Context(), v); err != nil || !whole {
		t.Fatalf("moving the log: got %v, %v", whole, err)
	}
}

// logSize is the length of the write-ahead log.
func logSize(t *testing.T, dir string) int64 {
	t.Helper()
	fi, err := os.Stat(filepath.Join(dir, "vault.db-wal"))
	must(t, err)
	return fi.Size()
}

// readOn begins to read the vault's database and goes on until the test ends or what it
// returns is called.
func readOn(t *testing.T, dir string) (end func()) {
	t.Helper()
	tx, err := openDB(t, dir).Snapshot(t.Context())
	must(t, err)
	var n int
	must(t, tx.QueryRowContext(t.Context(), "SELECT count(*) FROM person").Scan(&n))
	return sync.OnceFunc(func() { must(t, tx.Rollback()) })
}

// saying is a log of what was said, safe for concurrent use.
type saying struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (w *saying) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.Write(b)
}

func (w *saying) count(of string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.all.String(), of)
}

// Whoever reads on for long keeps the log from being moved. Nobody who writes hears of
// it, it is said once, and when the reader has come to its end all is moved without anything new
// being written.
func TestLogBesideAReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vault.StopMover(open(t, dir)) // it would be in the way of the other
	said := &saying{}
	v := opened(t, dir, vault.Config{Logger: slog.New(slog.NewTextHandler(said, nil))})
	vault.StopMover(v)
	moved(t, v)
	tokenOf(t, v, "", val("iban", "BEFORE"))
	end := readOn(t, dir)
	tokenOf(t, v, "", val("iban", "BEHIND"))
	_, err := v.Sweep(t.Context()) // which wants the log emptied
	must(t, err)
	for range 100 {
		vault.LookAtLog(t.Context(), v)
	}
	if n := said.count("cannot be moved"); n != 1 {
		t.Errorf("said %d times that the log cannot be moved, want once", n)
	}
	if logSize(t, dir) == 0 {
		t.Fatal("the log was emptied, so the test sees nothing")
	}
	end()
	vault.LookAtLog(t.Context(), v)
	if size := logSize(t, dir); size != 0 {
		t.Errorf("the log has %d bytes when nobody reads any more, want none", size)
	}
	if n := said.count("moved into the file again"); n != 1 {
		t.Errorf("said %d times that it is over, want once", n)
	}
}

// What another process has written, and what is no token, is moved too: rotations, sweeps,
// days, payments.
func TestLogOfAnotherIsMoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, mover := open(t, dir), open(t, dir)
	vault.StopMover(writer)
	vault.StopMover(mover)
	moved(t, mover)
	db := openDB(t, dir)
	left := func() int {
		t.Helper()
		var busy, pages, done int
		must(t, db.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &pages, &done))
		return pages - done
	}
	_, err := writer.Period(t.Context(), "exchange/subject", time.Unix(1_800_000_000, 0))
	must(t, err)
	if left() == 0 {
		t.Fatal("nothing is left to be moved, so the test sees nothing")
	}
	for range 60 { // it is little, so it waits
		vault.LookAtLog(t.Context(), mover)
	}
	if n := left(); n != 0 {
		t.Errorf("%d pages were not moved", n)
	}
}

// Two that move the log of one file at once come to the same end, and nobody is told
// of a failure.
func TestTwoMovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vaults := []*vault.Vault{open(t, dir), open(t, dir)}
	var wg sync.WaitGroup
	for i, v := range vaults {
		vault.StopMover(v)
		wg.Go(func() {
			for n := range 20 {
				is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{val("iban", fmt.Sprint("OF", i, "/", n))})
				if err == nil {
					err = is.Keep(t.Context())
				}
				if err == nil {
					_, err = vault.MoveLog(t.Context(), v)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	moved(t, vaults[0])
}
