package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// killedEnv makes the test binary run a log over the end of a half year and kill itself
// at a step: directory, step and count, with bars between. It prints each acknowledged
// event.
const killedEnv = "CAREGATE_AUDIT_KILLED"

func killedInRollover(where string) error {
	parts := strings.Split(where, "|")
	nth, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil {
		return err
	}
	k := lateIn(2026, time.July)
	c := k.config()
	c.Deployment = "acme"
	var armed atomic.Bool
	c.hooks = dyingAt(hookPoint(parts[1]), int32(nth), &armed, killSelf)
	l, err := Open(context.Background(), parts[0], c)
	if err != nil {
		return err
	}
	var count atomic.Int64
	failed := make(chan error, 1)
	pace := time.NewTicker(time.Millisecond) // all is verified afterwards: some thousand are enough
	defer pace.Stop()
	go func() {
		failed <- recordForEver(l, 4, func() {
			count.Add(1)
			<-pace.C
		})
	}()
	// Each time the clock goes forward, a checkpoint has to come between.
	for _, d := range [...]time.Duration{7 * time.Minute, 9 * time.Minute} {
		tick := time.NewTicker(time.Millisecond)
		for was := count.Load(); count.Load() < was+100; {
			<-tick.C
		}
		tick.Stop()
		if err := l.Settle(context.Background()); err != nil {
			return err
		}
		abreast(l)
		armed.Store(true)
		k.forward(d)
	}
	return <-failed // until the step comes
}

// mustRollOver checks what a process left that died at the end of a half year, and that
// the next one is done with the rollover: nothing that is signed is wrong or taken back,
// and every acknowledged event is there once.
func mustRollOver(t testing.TB, dir string, acked []ID) {
	t.Helper()
	r, err := Verify(t.Context(), VerifyOptions{Dir: dir, patience: time.Millisecond})
	if err != nil || r.Outcome == Invalid {
		t.Fatalf("as left: got %s, %v, %v", r.Outcome, err, r.Problems)
	}
	before, err := TrustOf(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	k := lateIn(2026, time.July)
	l := reopen(t, dir, k.config())
	acked = append(recordMany(t, l, 20), acked...)
	for range 2 { // minutes in which the clock is right; not more than makes the log wait
		if l.Origin() == "acme/audit/2026h1" {
			covered(t, l)
			abreast(l)
			k.forward(9 * time.Minute)
		}
	}
	opened(t, dir, "acme/audit/2026h2")
	mustClose(t, l)
	r, err = Verify(t.Context(), VerifyOptions{Dir: dir, Trust: before.Keys, Anchors: before.Checkpoints})
	if err != nil || r.Outcome != Valid || len(r.Shards) != 2 || r.Types[TypeShardClosed] != 1 {
		t.Errorf("opened again: got %s of %d shards, %d times closed, %v, %v, %v", r.Outcome, len(r.Shards), r.Types[TypeShardClosed], err, r.Problems, r.Unchecked)
	}
	once(t, dir, acked)
}

// A2, A3, A5-A9, F1: kill -9 at each step of a rollover. No acknowledged event is lost,
// what is left verifies, and the next process is done with the rollover.
func TestRolloverKilled(t *testing.T) {
	t.Parallel()
	for _, step := range rolloverSteps {
		t.Run(fmt.Sprintf("%s %d", step.point, step.nth), func(t *testing.T) {
			t.Parallel()
			k := lateIn(2026, time.July)
			dir := t.TempDir()
			c := k.config()
			create(t, dir, &c)
			child := startChild(t, killedEnv, fmt.Sprintf("%s|%s|%d", dir, step.point, step.nth))
			child.mustBeKilled(t)
			mustRollOver(t, dir, child.acked)
			t.Logf("%d acknowledged events", len(child.acked))
		})
	}
}
