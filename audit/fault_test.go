package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

var errInjected = errors.New("injected")

// image copies a data directory as it lies on the disk, with its database.
func image(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	copyDir(t, to, dir)
	copyDatabase(t, to)
	return to
}

// copyDir copies the files alone.
func copyDir(t testing.TB, to, dir string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	// CopyFS does not keep the mode that the key file needs.
	keys, err := filepath.Glob(filepath.Join(to, "keys", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if err := os.Chmod(k, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func waitFailed(t testing.TB, l *Log) {
	t.Helper()
	select {
	case <-l.Failed():
	case <-time.After(2 * time.Minute):
		t.Fatal("the log did not fail")
	}
	// A run under way when another goroutine failed still ends.
	<-l.core.integratorDone
}

// mustBePoisoned checks that nothing is acknowledged any more by this process.
func mustBePoisoned(t testing.TB, l *Log, dir string) {
	t.Helper()
	if err := l.Ready(); !errors.Is(err, ErrPoisoned) {
		t.Errorf("ready: got %v, want ErrPoisoned", err)
	}
	if _, err := l.Reserve(t.Context(), LaneReserved); !errors.Is(err, ErrPoisoned) {
		t.Errorf("reserve: got %v, want ErrPoisoned", err)
	}
	if _, err := Open(t.Context(), dir, Config{Deployment: "acme"}); !errors.Is(err, ErrPoisoned) {
		t.Errorf("open beside it: got %v, want ErrPoisoned", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := Open(t.Context(), dir, Config{Deployment: "acme"}); !errors.Is(err, ErrPoisoned) {
		t.Errorf("open again in this process: got %v, want ErrPoisoned", err)
	}
}

// F1, F4, A1-A9: an error at any step poisons the writer, and a new
// process finds every acknowledged event once, under one valid history.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, point := range []hookPoint{hookCommit, hookCommitted, hookTiles, hookDetails, hookLock, hookPublish, hookIndex} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, hooks: func(p hookPoint) error {
				if p == point && armed.Load() {
					return errInjected
				}
				return nil
			}})
			acked := recordMany(t, l, 300)
			armed.Store(true)
			var failure error
			for i := range 10_000 {
				r, err := tryRecord(t.Context(), l, sample(i))
				if err != nil {
					failure = err
					break
				}
				acked = append(acked, r.ID)
			}
			waitFailed(t, l)
			if !errors.Is(failure, ErrPoisoned) {
				t.Errorf("append: got %v, want ErrPoisoned", failure)
			}
			// The disk as the crash left it, and as a new process finds it.
			crashed := image(t, dir)
			mustBePoisoned(t, l, dir)
			again := reopen(t, crashed, Config{Checkpoint: 2 * time.Millisecond})
			acked = append(acked, recordMany(t, again, 20)...)
			for _, id := range acked {
				if _, err := again.Find(t.Context(), id); err != nil {
					t.Fatalf("acknowledged event: %v", err)
				}
			}
			mustVerify(t, crashed, Valid)
			mustClose(t, again)
			mustVerify(t, crashed, Valid)
			once(t, crashed, acked)
		})
	}
}

// mustRecover checks what a process left, opens it, and checks again: nothing that is
// signed is wrong, every acknowledged event is there once, and the history is the one
// whose newest checkpoint was seen before.
func mustRecover(t testing.TB, dir string, acked []ID) {
	t.Helper()
	r, err := Verify(t.Context(), VerifyOptions{Dir: dir})
	if err != nil || r.Outcome == Invalid {
		t.Fatalf("as left: %v, %v", err, r.Problems)
	}
	before, err := TrustOf(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l := reopen(t, dir, Config{Checkpoint: time.Hour})
	r1 := record(t, l, sample(7))
	mustClose(t, l)
	r, err = Verify(t.Context(), VerifyOptions{Dir: dir, Trust: before.Keys, Anchors: before.Checkpoints})
	if err != nil || r.Outcome != Valid {
		t.Fatalf("opened again: %v, %v, %v", err, r.Problems, r.Unchecked)
	}
	once(t, dir, append(slices.Clone(acked), r1.ID))
}

// once checks that each event has exactly one row.
func once(t testing.TB, dir string, ids []ID) {
	t.Helper()
	rows, err := readAllIndex(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	n := map[ID]int{}
	for _, r := range rows {
		n[ID(r.eid)]++
	}
	for _, id := range ids {
		if n[id] != 1 {
			t.Fatalf("event %s: %d rows, want 1", id, n[id])
		}
	}
}

// F1, A6: a verify of what a crash left behind, before anyone repaired it, says no
// worse than incomplete: everything signed is right.
func TestVerifyCrashImage(t *testing.T) {
	t.Parallel()
	for _, point := range []hookPoint{hookCommitted, hookTiles, hookDetails, hookLock, hookPublish, hookIndex} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, hooks: func(p hookPoint) error {
				if p == point && armed.Load() {
					return errInjected
				}
				return nil
			}})
			recordMany(t, l, 300)
			covered(t, l)
			armed.Store(true)
			_, _ = tryRecord(t.Context(), l, sample(1))
			waitFailed(t, l)
			r, err := Verify(t.Context(), VerifyOptions{Dir: image(t, dir)})
			if err != nil || r.Outcome == Invalid {
				t.Errorf("got %s, %v: %v", r.Outcome, err, r.Problems)
			}
			if (r.Outcome == Incomplete) != (point == hookPublish || point == hookIndex) {
				t.Errorf("got %s, %v", r.Outcome, r.Unchecked)
			}
		})
	}
}

// A1, A6, F3, F7, with real errors: the database may not grow, the tree's folder is in
// the way, the open database is deleted, replaced or cut.
func TestRealFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, l *Log, dir string){
		"disk full": func(t *testing.T, l *Log, _ string) {
			var pages int
			q := l.core.intake.commits.(*fileCommits).conn
			if err := q.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
				t.Fatal(err)
			}
			if err := q.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+20)).Scan(&pages); err != nil {
				t.Fatal(err)
			}
		},
		"tree cannot be written": func(t *testing.T, l *Log, _ string) {
			covered(t, l) // nobody makes the folder anew in between
			if err := os.RemoveAll(filepath.Join(l.core.tree, "tile")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(l.core.tree, "tile"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"database deleted": func(t *testing.T, l *Log, dir string) {
			if err := os.Remove(filepath.Join(dir, auditDir, intakeFile)); err != nil {
				t.Fatal(err)
			}
		},
		"WAL replaced": func(t *testing.T, l *Log, dir string) {
			wal := filepath.Join(dir, auditDir, intakeFile+"-wal")
			if err := os.Rename(wal, wal+".old"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(wal, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"database cut": func(t *testing.T, l *Log, dir string) { cut(t, filepath.Join(dir, auditDir, intakeFile)) },
		"second name": func(t *testing.T, l *Log, dir string) {
			path := filepath.Join(dir, auditDir, intakeFile)
			if err := os.Link(path, path+".kept"); err != nil {
				t.Fatal(err)
			}
		},
		"tree moved away": func(t *testing.T, l *Log, dir string) {
			if err := os.Rename(l.core.tree, l.core.tree+".old"); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, dir := newLog(t, Config{Checkpoint: 50 * time.Millisecond})
			record(t, l, sample(1))
			fail(t, l, dir)
			var err error
			for began := time.Now(); err == nil && time.Since(began) < 5*time.Minute; {
				e := sample(1)
				e.Details[0].Ciphertext = make([]byte, 4000)
				_, err = tryRecord(context.Background(), l, e)
			}
			waitFailed(t, l)
			mustBePoisoned(t, l, dir)
		})
	}
}

// F6, F14, A4, A7: parts of a log set back to an older state do not fit
// together and are refused, by the gateway and by verify.
func TestOlderCopies(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond})
	recordMany(t, l, 300)
	mustClose(t, l)
	older := image(t, dir)
	l = reopen(t, dir, Config{})
	recordMany(t, l, 300)
	mustClose(t, l)
	tests := map[string][]string{
		"lock store":                 {lockFile},
		"intake":                     {intakeFile},
		"tree":                       {treeDir},
		"tree and lock store":        {treeDir, lockFile},
		"tree, lock store and index": {treeDir, lockFile, indexFile},
	}
	for name, parts := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mixed := image(t, dir)
			for _, p := range parts {
				to := filepath.Join(mixed, auditDir, p)
				if err := os.RemoveAll(to); err != nil {
					t.Fatal(err)
				}
				from := filepath.Join(older, auditDir, p)
				if fi, err := os.Stat(from); err != nil {
					t.Fatal(err)
				} else if fi.IsDir() {
					if err := os.CopyFS(to, os.DirFS(from)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				b, err := os.ReadFile(from)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			mustVerify(t, mixed, Invalid)
			if _, err := Open(t.Context(), mixed, Config{Deployment: "acme"}); !errors.Is(err, ErrCorrupt) && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("open: got %v, want a refusal", err)
			}
		})
	}
	// An older index alone is only a view behind: it is caught up.
	behind := image(t, dir)
	b, err := os.ReadFile(filepath.Join(older, auditDir, indexFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(behind, auditDir, indexFile), b, 0o600); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, behind, Incomplete)
	mustClose(t, reopen(t, behind, Config{}))
	mustVerify(t, behind, Valid)
}

// cut takes the second half of a file away, behind the back of who has it open.
func cut(t testing.TB, path string) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, fi.Size()/2); err != nil {
		t.Fatal(err)
	}
}

func removeIfThere(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}
