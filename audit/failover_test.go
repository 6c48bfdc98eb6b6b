package audit

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
)

// onPair makes a log in the databases of a primary and its standby, and opens it.
func onPair(t testing.TB, p *pgtest.Pair, c Config) (*Log, string) {
	t.Helper()
	dir := t.TempDir()
	create(t, dir, &Config{Database: p.Either})
	return reopen(t, dir, c), dir
}

// nextProcess is the directory of a log as another process finds it, with the database
// at the given place.
func nextProcess(t testing.TB, dir, database string) string {
	t.Helper()
	next := t.TempDir()
	copyDir(t, next, dir)
	if err := store.WritePlace(filepath.Join(next, auditDir), database); err != nil {
		t.Fatal(err)
	}
	return next
}

// F9, A2, A3, A4, A6, A7: the primary dies under load and its standby, for which every
// commit waited, takes over. Nothing is acknowledged in between, everything that was is
// there, once, and continues every checkpoint that anybody saw.
func TestFailover(t *testing.T) {
	t.Parallel()
	p := pgtest.StartPair(t)
	l, dir := onPair(t, p, Config{Checkpoint: 5 * time.Millisecond})
	p.Synchronous(t)
	acked := underFire(t, l, 300, func() { p.Crash(t) })
	waitFailed(t, l)
	next := nextProcess(t, dir, p.Either)
	mustBePoisoned(t, l, dir)
	if _, err := Open(t.Context(), next, stored(t, next, Config{Database: p.Either})); err == nil {
		t.Error("a standby was opened before it took over")
	}
	p.Promote(t)
	mustRecover(t, next, acked)
	t.Logf("%d acknowledged events", len(acked))
}

// F9, A3, A10: the standby takes over while the primary lives and does not know. Who
// writes to the old one waits for an answer that never comes and so releases nothing,
// and the log goes on with the new one without his event.
func TestFailoverBehindTheWriter(t *testing.T) {
	t.Parallel()
	p := pgtest.StartPair(t)
	l, dir := onPair(t, p, Config{Checkpoint: time.Hour})
	p.Synchronous(t)
	acked := []ID{record(t, l, sample(1)).ID}
	p.Promote(t)
	e := sample(2)
	e.ID = NewID()
	done := make(chan error, 1)
	go func() {
		_, err := tryRecord(context.Background(), l, e)
		done <- err
	}()
	pgtest.Await(t, p.Primary, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1")
	next := nextProcess(t, dir, p.Standby)
	again := reopen(t, next, Config{})
	acked = append(acked, recordMany(t, again, 20)...)
	select {
	case err := <-done:
		t.Errorf("the old primary answered: %v", err)
	default:
	}
	p.Crash(t)
	if err := <-done; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrPoisoned) {
		t.Errorf("append to the old primary: got %v, want an unknown outcome", err)
	}
	waitFailed(t, l)
	mustBePoisoned(t, l, dir)
	if _, err := again.Find(t.Context(), e.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("event of the old primary: got %v, want ErrNotFound", err)
	}
	mustClose(t, again)
	mustRecover(t, next, acked)
}

// F9, A4, A7, A19: a standby for which nobody waited lacks the last commits when it takes
// over. The tree beside the gateway is further than the database, and neither the
// gateway nor a verification takes it. A repair takes the events from the tree; how many
// of their sealed details are lost, and which, is on record.
func TestFailoverToLaggard(t *testing.T) {
	t.Parallel()
	p := pgtest.StartPair(t)
	l, dir := onPair(t, p, Config{Checkpoint: 2 * time.Millisecond})
	acked := recordMany(t, l, 50)
	covered(t, l)
	p.Sever(t)
	acked = append(acked, recordMany(t, l, 50)...)
	covered(t, l)
	p.Crash(t)
	waitFailed(t, l)
	next := nextProcess(t, dir, p.Either)
	mustBePoisoned(t, l, dir)
	p.Promote(t)
	mustVerify(t, next, Invalid)
	if _, err := Open(t.Context(), next, stored(t, next, Config{})); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open: got %v, want ErrCorrupt", err)
	}
	// A repair takes what the tree has, and pretends nothing.
	if r, err := Repair(t.Context(), next, answered(t, next)); err != nil || !r.Applied || r.Gap == (ID{}) {
		t.Fatalf("repair: got %+v, %v", r, err)
	}
	again := reopen(t, next, Config{})
	for _, id := range acked {
		if _, err := again.Find(t.Context(), id); err != nil {
			t.Errorf("event under a checkpoint: %v", err)
		}
	}
	mustClose(t, again)
	r := mustVerify(t, next, Valid)
	if len(r.Gaps) != 1 || len(r.Gaps[0].Details) == 0 || r.Gaps[0].Lost["lost.details"] == "" {
		t.Errorf("after the repair: got %+v, want what was lost of the details", r.Gaps)
	}
}
