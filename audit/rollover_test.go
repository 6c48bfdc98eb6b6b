package audit

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// calendar is a clock that tests turn forward. Both its times run with the real one.
type calendar struct {
	began time.Time
	base  time.Time
	ahead atomic.Int64 // of both clocks
	wrong atomic.Int64 // of the wall clock alone
}

// lateIn starts a quarter of an hour before the end of a half year.
func lateIn(year int, end time.Month) *calendar {
	return &calendar{began: time.Now(), base: time.Date(year, end, 1, 0, 0, 0, 0, time.UTC).Add(-15 * time.Minute)}
}

func (k *calendar) mono() time.Duration {
	return time.Since(k.began) + time.Duration(k.ahead.Load())
}
func (k *calendar) now() time.Time {
	return k.base.Add(k.mono() + time.Duration(k.wrong.Load()))
}
func (k *calendar) forward(d time.Duration) { k.ahead.Add(int64(d)) }

// abreast waits until a run of the integrator has ended that began after the call, or
// the log has failed. One that began before the clock went forward and covers what came
// later leaves its lag behind: going forward again would close the log.
func abreast(l *Log) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for then := int64(l.core.clock.mono()); l.core.health.signed.Load() < then; {
		select {
		case <-tick.C:
		case <-l.core.failed:
			return
		}
	}
}

// toNext goes over the end of the half year, in steps that no check for a hanging log
// takes for one.
func (k *calendar) toNext(t testing.TB, l *Log) {
	t.Helper()
	was := l.Origin()
	k.forward(7 * time.Minute)
	record(t, l, sample(0))
	covered(t, l)
	abreast(l)
	k.forward(9 * time.Minute)
	until(t, func() bool { return l.Origin() != was })
}

// nextHalf goes on from just behind the end of a half year to just before the next.
// Meanwhile nobody records anything: months without a checkpoint would close the log.
func (k *calendar) nextHalf(t testing.TB, l *Log) {
	t.Helper()
	covered(t, l)
	now := k.now()
	_, end, _ := strings.Cut(shardName(now), "h")
	to := time.Date(now.Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC)
	if end == "1" {
		to = time.Date(now.Year(), time.July, 1, 0, 0, 0, 0, time.UTC)
	}
	k.forward(to.Add(-15 * time.Minute).Sub(now))
	abreast(l)
}

func (k *calendar) config() Config {
	return Config{Checkpoint: 2 * time.Millisecond, Now: k.now, Mono: k.mono, free: func(string) int64 { return -1 }}
}

func until(t testing.TB, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("waited in vain")
		}
	}
}

// opened waits until the newest shard has its first checkpoint.
func opened(t testing.TB, dir, origin string) {
	t.Helper()
	until(t, func() bool {
		e, err := ExtentOf(dir)
		return err == nil && e.Last == origin
	})
}

// halves makes a log of the given number of shards, with some events in each, and
// closes it.
func halves(t testing.TB, shards int) (dir string, acked []ID) {
	t.Helper()
	k := lateIn(2026, time.July)
	l, dir := newLog(t, k.config())
	for i := range shards {
		acked = append(acked, recordMany(t, l, 300)...)
		covered(t, l)
		if i+1 < shards {
			k.toNext(t, l)
			opened(t, dir, l.Origin())
			k.nextHalf(t, l)
		}
	}
	mustClose(t, l)
	return dir, acked
}

// A4, A7-A9, A14, A22: a log that runs over the end of two half years goes on without
// a failed call, every event stands once in one of three shards, the stream of the node
// goes on across them, and whoever reads the log finds all.
func TestRollover(t *testing.T) {
	t.Parallel()
	k := lateIn(2026, time.July)
	l, dir := newLog(t, k.config())
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var pause sync.RWMutex
	var acked []ID
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				pause.RLock()
				r, err := tryRecord(context.WithoutCancel(ctx), l, sample(i))
				pause.RUnlock()
				if err != nil {
					t.Errorf("a call during rollover: %v", err)
					return
				}
				mu.Lock()
				acked = append(acked, r.ID)
				mu.Unlock()
				// The log is verified meanwhile, whose time grows with it: as fast as it
				// goes, neither would come to an end on a slow machine.
				<-pace.C
			}
		})
	}
	origins := []string{l.Origin()}
	keys := []string{l.PublicKey()}
	for range 2 {
		k.toNext(t, l)
		opened(t, dir, l.Origin())
		origins, keys = append(origins, l.Origin()), append(keys, l.PublicKey())
		if r := mustVerify(t, dir, Valid); len(r.Shards) != len(origins) {
			t.Errorf("in use: verified %d shards, want %d", len(r.Shards), len(origins))
		}
		pause.Lock()
		k.nextHalf(t, l)
		pause.Unlock()
	}
	stop()
	callers.Wait()
	want := []string{"acme/audit/2026h1", "acme/audit/2026h2", "acme/audit/2027h1"}
	if !slices.Equal(origins, want) {
		t.Fatalf("origins: got %v, want %v", origins, want)
	}
	for _, id := range acked {
		if _, err := l.Find(t.Context(), id); err != nil {
			t.Fatalf("acknowledged event: %v", err)
		}
	}
	mustClose(t, l)
	r := mustVerify(t, dir, Valid)
	once(t, dir, acked)

	// All entries in one sequence, the node's stream without a gap.
	var last position
	places := map[string]int64{}
	seen := map[ID]bool{}
	total, err := Entries(t.Context(), dir, 0, func(e Entry) error {
		if e.Index != places[e.Origin] {
			t.Errorf("entry %d of %s after %d", e.Index, e.Origin, places[e.Origin])
		}
		places[e.Origin]++
		seen[e.Leaf.ID] = true
		if e.Leaf.Type == TypeShardOpened {
			return nil
		}
		err := e.Leaf.follows(last)
		last = position{epoch: e.Leaf.Epoch, seq: e.Leaf.Seq, hash: e.Hash}
		return err
	})
	if err != nil || total != r.Entries || len(places) != 3 {
		t.Errorf("entries: got %d in %v, %v; verify read %d", total, places, err, r.Entries)
	}
	for _, id := range acked {
		if !seen[id] {
			t.Fatal("an acknowledged event is not among the entries")
		}
	}
	// From the end, over a border.
	n := places[origins[2]] + 3
	var first *Entry
	if _, err := Entries(t.Context(), dir, -n, func(e Entry) error {
		if first == nil {
			first = &e
		}
		return nil
	}); err != nil || first.Origin != origins[1] || first.Index != places[origins[1]]-3 {
		t.Errorf("from the end: %v, got entry %d of %s", err, first.Index, first.Origin)
	}
	// Each shard ends with a seal of its index, as every hour has one.
	if r.Types[TypeShardClosed] != 2 || r.Types[TypeShardOpened] != 2 || r.Types[TypeGenesis] != 1 || r.Types[TypeIndexSealed] < 2 {
		t.Errorf("types: got %v", r.Types)
	}

	// The key of any one shard, from outside, is enough for all.
	for _, key := range keys {
		if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: []string{key}}); err != nil || r.Outcome != Valid || r.SelfConsistency {
			t.Errorf("with one key: got %s, %v, %v", r.Outcome, err, r.Problems)
		}
	}
	_, other, err := newKey(origins[1])
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: []string{keys[0], other}}); err != nil || r.Outcome != Invalid {
		t.Errorf("with another key for a shard: got %s, %v", r.Outcome, err)
	}
	_, strange, err := newKey("acme/audit/2019h1")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: []string{strange}}); err != nil || r.Outcome != Invalid {
		t.Errorf("with the key of no shard: got %s, %v", r.Outcome, err)
	}
	trust, err := TrustOf(t.Context(), dir)
	if err != nil || !slices.Equal(trust.Keys, keys) || len(trust.Checkpoints) != 3 {
		t.Fatalf("trust: got %+v, %v", trust, err)
	}
	if r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: trust.Keys, Anchors: trust.Checkpoints}); err != nil || r.Outcome != Valid || r.Anchors != 3 {
		t.Errorf("with anchors: got %s, %v, %v, %d anchors", r.Outcome, err, r.Problems, r.Anchors)
	}
	// A receipt of the first shard is proven against its last checkpoint.
	p, err := Prove(t.Context(), dir, acked[0])
	if err != nil {
		t.Fatal(err)
	}
	if proven, err := p.Verify(trust.Keys); err != nil || proven.Origin != origins[0] || proven.Leaf.ID != acked[0] {
		t.Errorf("proof: got %s, %v", proven.Origin, err)
	}
	// The index is derived again for all shards, and equal.
	before, err := readAllIndex(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	dropIndex(t, dir)
	mustClose(t, reopen(t, dir, k.config()))
	mustVerify(t, dir, Valid)
	after, err := readAllIndex(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range before {
		if string(appendRow(nil, r)) != string(appendRow(nil, after[i])) {
			t.Fatalf("row %d of the new index differs", i)
		}
	}
}

// rolloverSteps are the steps of a rollover at which a process may die. Those that an
// ordinary run has too are counted from shard.closed on.
var rolloverSteps = []struct {
	point hookPoint
	nth   int32
	left  Outcome // of a verification of what is left behind
}{
	{hookKey, 1, Valid},
	{hookClose, 1, Valid},
	{hookCommit, 1, Valid},    // shard.closed is not committed
	{hookCommitted, 1, Valid}, // it is
	{hookTiles, 1, Valid},     // the end of the old shard
	{hookDetails, 1, Valid},
	{hookLock, 1, Valid},
	{hookPublish, 1, Incomplete},
	{hookIndex, 1, Incomplete},
	{hookAdopt, 1, Valid},
	{hookOpen, 1, Valid},
	{hookInsert, 1, Valid},
	{hookPublish, 2, Incomplete}, // the first checkpoint of the new shard
	{hookIndex, 2, Incomplete},
}

// dyingAt returns hooks that call die at a step, once armed.
func dyingAt(point hookPoint, nth int32, armed *atomic.Bool, die func() error) hooks {
	var closing atomic.Bool
	var count atomic.Int32
	return func(p hookPoint) error {
		if !armed.Load() {
			return nil
		}
		if p == hookClose {
			closing.Store(true)
		}
		if p == point && (p == hookKey || closing.Load()) && count.Add(1) == nth {
			return die()
		}
		return nil
	}
}

// A3, A5-A9, F1: a process that dies at any step of a rollover loses no acknowledged
// event; what it leaves verifies, and the next process ends what it began.
func TestRolloverFaults(t *testing.T) {
	t.Parallel()
	for _, step := range rolloverSteps {
		t.Run(fmt.Sprintf("%s %d", step.point, step.nth), func(t *testing.T) {
			t.Parallel()
			k := lateIn(2026, time.July)
			c := k.config()
			var armed atomic.Bool
			c.hooks = dyingAt(step.point, step.nth, &armed, func() error { return errInjected })
			l, dir := newLog(t, c)
			old := l.Origin()
			acked := recordMany(t, l, 300)
			covered(t, l)
			k.forward(7 * time.Minute)
			acked = append(acked, recordMany(t, l, 10)...)
			covered(t, l)
			armed.Store(true)
			abreast(l)
			k.forward(9 * time.Minute)
			for i := 0; ; i++ {
				r, err := tryRecord(t.Context(), l, sample(i))
				if err != nil {
					break
				}
				acked = append(acked, r.ID)
			}
			waitFailed(t, l)
			crashed := image(t, dir)
			mustBePoisoned(t, l, dir)
			if r, err := Verify(t.Context(), VerifyOptions{Dir: crashed, patience: time.Millisecond}); err != nil || r.Outcome == Invalid || step.left == Valid && r.Outcome != Valid {
				t.Errorf("as left: got %s, want %s; %v, %v, %v", r.Outcome, step.left, err, r.Problems, r.Unchecked)
			}
			again := reopen(t, crashed, k.config())
			acked = append(acked, recordMany(t, again, 20)...)
			if again.Origin() == old {
				// Nothing of it was committed: this process begins it anew, when it has seen
				// the clock go on for a while.
				k.forward(11 * time.Minute)
				until(t, func() bool { return again.Origin() != old })
			}
			opened(t, crashed, "acme/audit/2026h2")
			acked = append(acked, recordMany(t, again, 20)...)
			for _, id := range acked {
				if _, err := again.Find(t.Context(), id); err != nil {
					t.Fatalf("acknowledged event: %v", err)
				}
			}
			mustVerify(t, crashed, Valid)
			mustClose(t, again)
			if r := mustVerify(t, crashed, Valid); len(r.Shards) != 2 || r.Types[TypeShardClosed] != 1 {
				t.Errorf("got %d shards, %d times closed", len(r.Shards), r.Types[TypeShardClosed])
			}
			once(t, crashed, acked)
		})
	}
}

// D9, 1.8: a clock that was set does not end a half year, until it has been believed
// for a while; a clock that was set back does not begin an old one.
func TestRolloverNeedsAClock(t *testing.T) {
	t.Parallel()
	k := lateIn(2026, time.July)
	l, dir := newLog(t, k.config())
	was := l.Origin()
	rounds := func() { // of the integrator, which looks at the clock after each
		for i := range 5 {
			record(t, l, sample(i))
			covered(t, l)
		}
	}
	k.wrong.Store(int64(400 * 24 * time.Hour)) // set forward
	rounds()
	if l.Origin() != was {
		t.Fatalf("a jump of the clock began %s", l.Origin())
	}
	k.wrong.Store(0) // and corrected
	rounds()
	k.wrong.Store(-int64(400 * 24 * time.Hour))
	rounds()
	k.forward(11 * time.Minute)
	rounds()
	if l.Origin() != was {
		t.Fatalf("a clock set back began %s", l.Origin())
	}
	k.wrong.Store(0)
	rounds()
	k.forward(8 * time.Minute)
	rounds()
	if l.Origin() != was {
		t.Fatal("the half year ended minutes after the clock was set")
	}
	k.forward(3 * time.Minute)
	until(t, func() bool { return l.Origin() != was })
	opened(t, dir, "acme/audit/2026h2")
	mustClose(t, l)
	mustVerify(t, dir, Valid)
}

// A7: a signing key of the next shard that is there already may have signed another
// history; the old shard goes on.
func TestRolloverKeyExists(t *testing.T) {
	t.Parallel()
	k := lateIn(2026, time.July)
	l, dir := newLog(t, k.config())
	was := l.Origin()
	key := keyFile(filepath.Join(dir, "keys"), "2026h2")
	write(t, key, []byte("a key"))
	k.forward(7 * time.Minute)
	record(t, l, sample(1))
	covered(t, l)
	abreast(l)
	k.forward(9 * time.Minute)
	for i := range 5 {
		record(t, l, sample(i))
		covered(t, l)
	}
	if l.Origin() != was || l.Ready() != nil {
		t.Fatalf("got %s, %v", l.Origin(), l.Ready())
	}
	remove(t, key)
	until(t, func() bool { return l.Origin() != was })
	mustClose(t, l)
	mustVerify(t, dir, Valid)
}

// A repair knows all shards: a lock store gets the row of each again, and a log whose
// newest shard has no event yet is cut off behind the end of the one before.
func TestRepairShards(t *testing.T) {
	t.Parallel()
	t.Run("lock store", func(t *testing.T) {
		t.Parallel()
		dir, acked := halves(t, 3)
		write(t, filepath.Join(dir, auditDir, lockFile), []byte(strings.Repeat("no database ", 1000)))
		if r, err := Repair(t.Context(), dir, answered(t, dir)); err != nil || !r.Applied || r.Origin != "acme/audit/2027h1" {
			t.Fatalf("got %+v, %v", r, err)
		}
		if r := mustVerify(t, dir, Valid); len(r.Shards) != 3 {
			t.Errorf("got %d shards", len(r.Shards))
		}
		once(t, dir, acked)
	})
	t.Run("intake behind a shard without events", func(t *testing.T) {
		t.Parallel()
		k := lateIn(2026, time.July)
		c := k.config()
		var opening atomic.Bool
		begun, recorded := make(chan struct{}), make(chan struct{})
		c.hooks = func(p hookPoint) error {
			opening.Store(opening.Load() || p == hookInsert)
			if p == hookIndex && opening.Load() {
				close(begun)
				<-recorded // what the next shard has to cover
				return errInjected
			}
			return nil
		}
		l, dir := newLog(t, c)
		acked := recordMany(t, l, 300)
		covered(t, l)
		k.forward(7 * time.Minute)
		record(t, l, sample(0))
		covered(t, l)
		abreast(l)
		k.forward(9 * time.Minute)
		<-begun
		record(t, l, sample(0))
		close(recorded)
		waitFailed(t, l)
		crashed := image(t, dir)
		db := openForgery(t, crashed, intakeFile)
		if _, err := db.Exec("UPDATE audit_intake SET events = substr(events, 1, 100)"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		o := answered(t, crashed)
		o.Now, o.Mono = k.now, k.mono
		r, err := Repair(t.Context(), crashed, o)
		if err != nil || !r.Applied || r.Origin != "acme/audit/2026h2" || r.Size != 1 {
			t.Fatalf("got %+v, %v", r, err)
		}
		mustVerify(t, crashed, Valid)
		once(t, crashed, acked)
	})
}
