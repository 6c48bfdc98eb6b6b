package audit

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// torturedEnv makes the test binary record events in the named directory until it
// is killed, printing each acknowledged one.
const torturedEnv = "CAREGATE_AUDIT_TORTURED"

func tortured(dir string) error {
	database, err := store.Place(filepath.Join(dir, auditDir))
	if err != nil {
		return err
	}
	l, err := Open(context.Background(), dir, Config{Deployment: "acme", Database: database, Checkpoint: 3 * time.Millisecond, SealIndex: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	return recordForEver(l, 8, func() {})
}

// F1, A2: a process killed at a random moment loses no acknowledged event,
// and the next one finds each exactly once.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	create(t, dir, &Config{})
	var acked []ID
	for round := range rounds {
		c := startChild(t, torturedEnv, dir)
		c.read(1 + rand.IntN(1500))
		// Another process's log verifies while it is in use (A8, A9).
		if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, patience: time.Minute}); err != nil || r.Outcome != Valid {
			t.Errorf("round %d, in use: got %s, %v, %v, %v", round, r.Outcome, err, r.Problems, r.Unchecked)
		}
		if _, err := Open(t.Context(), dir, stored(t, dir, Config{})); !errors.Is(err, ErrInUse) {
			t.Errorf("round %d: opening a log in use: got %v, want ErrInUse", round, err)
		}
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.mustBeKilled(t) // acknowledged before, and still in the pipe
		acked = append(acked, c.acked...)
		if r, err := Verify(t.Context(), VerifyOptions{Dir: dir}); err != nil || r.Outcome == Invalid {
			t.Fatalf("round %d, as left: %v, %v", round, err, r.Problems)
		}
		mustClose(t, reopen(t, dir, Config{}))
		mustVerify(t, dir, Valid)
		once(t, dir, acked)
	}
	t.Logf("%d acknowledged events in %d rounds", len(acked), rounds)
}
