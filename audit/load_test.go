package audit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// overload is for a long search, see `make torture`: a disk that takes a second for each
// sync, with ten times the load that it takes, for this long.
var overload = flag.Duration("overload", 0, "how long a disk of one sync a second has ten times its load; 0 for a quicker disk and a moment")

// F16, A17: callers bring ten times of what a slow disk takes. The queue stays within
// its bounds, who finds no room hears so at once, denials and administration get through
// all the time, and every event that was acknowledged is there. At full length the memory
// of the process does not grow either.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	const maxEvents, maxBytes = 200, 1 << 20
	pace, enough := 20*time.Millisecond, func(acked int64) bool { return acked >= 40 }
	if *overload > 0 {
		began := time.Now()
		pace, enough = time.Second, func(int64) bool { return time.Since(began) > *overload }
	}
	disk := time.NewTicker(pace) // a sync each
	defer disk.Stop()
	again := time.NewTicker(100 * time.Microsecond)
	defer again.Stop()
	l, dir := newLog(t, Config{QueueEvents: maxEvents, QueueBytes: maxBytes, Checkpoint: 50 * time.Millisecond, hooks: func(p hookPoint) error {
		if p == hookCommit {
			<-disk.C
		}
		return nil
	}})
	var refused, security atomic.Int64
	var mu sync.Mutex
	var acked []ID
	var wg sync.WaitGroup
	stop := make(chan struct{})
	caller := func(lane Lane, turned *atomic.Int64) {
		for {
			select {
			case <-stop:
				return
			default:
			}
			h := l.Health()
			if h.QueuedEvents > maxEvents || h.QueuedBytes > maxBytes {
				t.Errorf("queue: %d events, %d bytes", h.QueuedEvents, h.QueuedBytes)
				return
			}
			s, err := l.Reserve(context.Background(), lane)
			if errors.Is(err, ErrOverloaded) {
				turned.Add(1)
				<-again.C // or a later one: many wait for it
				continue
			}
			if err != nil {
				t.Error(err)
				return
			}
			r, err := s.Append(sample(1)).Wait(context.Background())
			s.Release()
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			acked = append(acked, r.ID)
			mu.Unlock()
			if lane == LaneReserved && enough(security.Add(1)) {
				close(stop)
				return
			}
		}
	}
	var denied atomic.Int64
	for range 10 * maxEvents / slotEvents {
		wg.Go(func() { caller(LaneNormal, &refused) })
	}
	wg.Go(func() { caller(LaneReserved, &denied) })
	if *overload > 0 {
		heapStays(t, stop)
	}
	wg.Wait()
	if refused.Load() == 0 || denied.Load() > 0 {
		t.Errorf("ordinary events turned away %d times, want some; others %d times, want none", refused.Load(), denied.Load())
	}
	t.Logf("%d events acknowledged, %d of them of the reserved lane; %d calls turned away", len(acked), security.Load(), refused.Load())
	disk.Reset(time.Microsecond)
	mustClose(t, l)
	mustVerify(t, dir, Valid)
	once(t, dir, acked)
}

// heapStays looks at the live heap once a second until stop. What the second half of the
// time adds to the first must be less than a queue of the log's bounds, many times over.
func heapStays(t *testing.T, stop <-chan struct{}) {
	t.Helper()
	const room = 16 << 20
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var live []uint64
	for {
		select {
		case <-second.C:
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			live = append(live, m.HeapAlloc)
			continue
		case <-stop:
		}
		break
	}
	half := len(live) / 2
	if half == 0 {
		t.Fatal("too short to see whether memory grows")
	}
	first, later := slices.Max(live[:half]), slices.Max(live[half:])
	t.Logf("live heap: at most %d KiB, then %d KiB", first>>10, later>>10)
	if later > first+room {
		t.Errorf("the live heap grew from %d to %d bytes", first, later)
	}
}

// F8, A4, A7: whatever the clock does, the order of the log is that of its numbers, its
// checkpoints go forward, and a jump beyond the tolerance is on record.
func TestClocks(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	type tick struct{ wall, mono time.Duration }
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Log("no time zones here:", err) // the summer's end is one of the cases
		zone = time.UTC
	}
	for name, tt := range map[string]struct {
		start time.Time
		ticks []tick
		steps int
	}{
		"steady":              {time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), []tick{{time.Second, time.Second}, {time.Hour, time.Hour}}, 0},
		"frozen":              {time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), []tick{{0, time.Second}, {0, time.Second}, {0, time.Second}, {0, time.Hour}}, 2},
		"ten years on":        {time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), []tick{{10 * year, time.Second}}, 1},
		"ten years back":      {time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), []tick{{-10 * year, time.Second}, {time.Second, time.Second}}, 1},
		"steps of two":        {time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), []tick{{3 * time.Second, time.Second}, {-time.Second, time.Second}, {4 * time.Second, time.Second}, {-2 * time.Second, time.Second}}, 2},
		"the end of a summer": {time.Date(2026, 10, 25, 2, 59, 59, 0, zone), []tick{{time.Second, time.Second}, {time.Hour, time.Hour}}, 0},
		"before 1970":         {time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), []tick{{-100 * year, time.Second}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wall, mono atomic.Int64
			mono.Store(int64(time.Hour))
			l, dir := newLog(t, Config{Checkpoint: time.Millisecond,
				Now:  func() time.Time { return tt.start.Add(time.Duration(wall.Load())) },
				Mono: func() time.Duration { return time.Duration(mono.Load()) }})
			acked := []ID{record(t, l, sample(0)).ID}
			size := int64(0)
			for i, k := range tt.ticks {
				wall.Add(int64(k.wall))
				mono.Add(int64(k.mono))
				abreast(l) // or an hour would pass for one without a checkpoint
				acked = append(acked, record(t, l, sample(i)).ID)
				if now := l.Size(); now < size {
					t.Errorf("checkpoint of %d entries after one of %d", now, size)
				} else {
					size = now
				}
			}
			mustClose(t, l)
			mustVerify(t, dir, Valid)
			x, err := OpenIndex(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			steps, _, err := x.Entries(t.Context(), Query{Type: TypeClockStepped}, 100)
			if err != nil || len(steps) != tt.steps {
				t.Errorf("clock.stepped leaves: got %d, %v, want %d", len(steps), err, tt.steps)
			}
			for _, id := range acked {
				if _, err := Lookup(t.Context(), dir, id); err != nil {
					t.Errorf("acknowledged event: %v", err)
				}
			}
		})
	}
}

// F12, A4, A11: commits that are delivered one to five times, late ones again after
// newer ones, are stored once and in order.
func TestDeliveredAgain(t *testing.T) {
	t.Parallel()
	onEachIntake(t, func(t *testing.T, in *intake) {
		var groups []group
		at, events := position{epoch: 1}, 0
		for range 20 {
			g := groupOf(t, 1+rand.IntN(4), at)
			at = g.rows[len(g.rows)-1].position
			events += len(g.rows)
			groups = append(groups, g)
			for range 1 + rand.IntN(5) {
				again := &groups[len(groups)-1-rand.IntN(min(len(groups), 5))]
				for _, g := range []*group{again, &groups[len(groups)-1]} {
					if _, err := in.write(g, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		rows, err := in.rows(t.Context(), position{epoch: 1}, 1000, 1<<20)
		if err != nil || len(rows) != events || rows[len(rows)-1].position != at {
			t.Errorf("got %d events, %v, want %d", len(rows), err, events)
		}
	})
}

// F24, A20: a start that finds no log, an empty volume in its place, or a log of another
// name or of a time to come, makes nothing.
func TestStartMakesNothing(t *testing.T) {
	t.Parallel()
	future := Config{Deployment: "acme", Now: func() time.Time { return time.Now().AddDate(10, 0, 0) }}
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, dir string)
		opens   bool
	}{
		"no directory":    {func(t *testing.T, dir string) { remove(t, dir) }, false},
		"an empty volume": {func(*testing.T, string) {}, false},
		"an empty folder of the log": {func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, auditDir), 0o700); err != nil {
				t.Fatal(err)
			}
		}, false},
		"another origin": {func(t *testing.T, dir string) { create(t, dir, &Config{Deployment: "other"}) }, false},
		"another node":   {func(t *testing.T, dir string) { create(t, dir, &Config{Node: "node-9"}) }, false},
		"a shard of a time to come": {func(t *testing.T, dir string) {
			c := future
			create(t, dir, &c)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tt.prepare(t, dir)
			before := fmt.Sprint(treeShards(dir))
			l, err := Open(t.Context(), dir, Config{Deployment: "acme"})
			if (err == nil) != tt.opens {
				t.Errorf("open: got %v", err)
			}
			if err == nil {
				mustClose(t, l)
			}
			if after := fmt.Sprint(treeShards(dir)); after != before {
				t.Errorf("shards: got %s, had %s", after, before)
			}
			if _, err := os.Stat(filepath.Join(dir, "keys")); err == nil && before == "[]" {
				t.Error("a key was made")
			}
		})
	}
}

// treeShards lists the shards that have a tree below dir.
func treeShards(dir string) (names []string) {
	list, err := os.ReadDir(filepath.Join(dir, auditDir, treeDir))
	if err != nil {
		return nil
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
