package audit

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// BenchmarkDurableWait is the wait of a caller at 1,000 events/s, open loop.
// Budget: p50 ≤ 1 ms, p99 ≤ 10 ms.
func BenchmarkDurableWait(b *testing.B) {
	l, _ := newLog(b, Config{})
	var mu sync.Mutex
	var waits []time.Duration
	var wg sync.WaitGroup
	e := sample(1)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	b.ResetTimer()
	for range b.N {
		<-tick.C
		wg.Go(func() {
			start := time.Now()
			if _, err := tryRecord(context.Background(), l, e); err != nil {
				b.Error(err)
			}
			d := time.Since(start)
			mu.Lock()
			waits = append(waits, d)
			mu.Unlock()
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkCapacity is how many events/s the log takes from many callers at once,
// with the integrator at work. Budget: 40,000 events/s.
func BenchmarkCapacity(b *testing.B) {
	l, _ := newLog(b, Config{})
	e := sample(1)
	b.SetParallelism(512)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := tryRecord(context.Background(), l, e); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkBareInsert is what the disk and SQLite give: rows of the same size, in
// transactions of 256, into a bare table with the same sync setting.
func BenchmarkBareInsert(b *testing.B) {
	db, err := store.Open(b.Context(), b.TempDir()+"/bare.db", store.Options{Create: true, Sync: store.SyncFull, MaxConns: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE bare (n INTEGER PRIMARY KEY, leaf BLOB, detail BLOB)"); err != nil {
		b.Fatal(err)
	}
	leaf := make([]byte, 1100)
	b.ResetTimer()
	for n := 0; n < b.N; {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		in := inserter{tx: tx, dialect: db.Dialect, into: "bare (n, leaf, detail)", cols: 3}
		for end := min(n+256, b.N); n < end; n++ {
			if err := in.add(b.Context(), n, leaf, leaf[:280]); err != nil {
				b.Fatal(err)
			}
		}
		if err := in.flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func benchLeaf(b *testing.B) []byte {
	c := core{node: "node-1", epoch: 1, clock: newClock(Config{})}
	e := sample(1)
	e.ID = NewID()
	enc, err := c.encode(&e)
	if err != nil {
		b.Fatal(err)
	}
	return patchLeaf(nil, *enc.leaf.buf, enc.leaf.nseqAt, enc.leaf.prevAt, 12345, tlog.Hash{1})
}

// BenchmarkTree is tile building per leaf. Budget: 10 µs.
func BenchmarkTree(b *testing.B) {
	leaf := benchLeaf(b)
	var e edge
	b.SetBytes(int64(len(leaf)))
	b.ReportAllocs()
	for b.Loop() {
		e.add(leaf, tlog.RecordHash(leaf), func(string, []byte) {})
	}
}

func BenchmarkEncode(b *testing.B) {
	c := core{node: "node-1", epoch: 1, clock: newClock(Config{})}
	e := sample(1)
	e.ID = NewID()
	b.ReportAllocs()
	for b.Loop() {
		enc, err := c.encode(&e)
		if err != nil {
			b.Fatal(err)
		}
		enc.free()
	}
}

func BenchmarkParseLeaf(b *testing.B) {
	leaf := benchLeaf(b)
	b.SetBytes(int64(len(leaf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseLeaf(leaf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIntegrate is all of the integrator's work per event: tree, details,
// index, checkpoint.
func BenchmarkIntegrate(b *testing.B) {
	l, _ := newLog(b, Config{Checkpoint: time.Hour})
	s, err := l.Reserve(b.Context(), LaneNormal)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Release()
	var w Wait
	for i := range b.N {
		if w = s.Append(sample(i)); i%1024 == 1023 {
			if _, err := w.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := w.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	before := cpuTime(b)
	for n := 0; n < b.N; {
		k, err := l.core.runOnce(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		n += int(k)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/event")
}

// cpuTime is what the process has used of all cores: the figure that counts when
// the integrator shares them with requests.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
