package audit

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// A17: with the disk nearly full the log takes no ordinary events, and still those of
// the reserved lane; with room again it opens by itself.
func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(diskWarn + 1)
	l, dir := newLog(t, Config{free: func(string) int64 { return free.Load() }})
	record(t, l, sample(1))
	free.Store(diskClose - 1)
	gated(t, l)
	s, err := l.Reserve(t.Context(), LaneReserved)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	if _, err := s.Append(sample(2)).Wait(t.Context()); err != nil {
		t.Errorf("a reserved event: %v", err)
	}
	free.Store(diskWarn + 1)
	until(t, func() bool { // the watchdog opens it
		s, err := l.Reserve(t.Context(), LaneNormal)
		if err == nil {
			s.Release()
		}
		return err == nil
	})
	mustClose(t, l)
	mustVerify(t, dir, Valid)
}

// A hanging integrator shows as lag, and closes the gate after a quarter of an hour.
func TestCheckpointsHang(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var ahead atomic.Int64
	hang := make(chan struct{})
	var hung atomic.Bool
	l, _ := newLog(t, Config{
		Checkpoint: time.Millisecond,
		Mono:       func() time.Duration { return time.Since(start) + time.Duration(ahead.Load()) },
		hooks: func(p hookPoint) error {
			if p == hookLock && hung.Load() {
				<-hang
			}
			return nil
		},
	})
	defer close(hang)
	record(t, l, sample(1))
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := l.Health(); h.Unsigned != 0 || h.Lag != 0 || h.FreeDisk == 0 || h.QueuedEvents != 0 {
		t.Errorf("a quiet log: %+v", h)
	}
	hung.Store(true)
	record(t, l, sample(2))
	ahead.Store(int64(lagWarn + time.Second))
	if h := l.Health(); h.Unsigned < 1 || h.Lag < lagWarn {
		t.Errorf("a log that hangs: %+v", h)
	}
	ahead.Store(int64(lagClose + time.Second))
	gated(t, l)
}

// gated waits until the watchdog has closed the log to ordinary events, and returns what
// who brings one is told.
func gated(t *testing.T, l *Log) (err error) {
	t.Helper()
	until(t, func() bool {
		var s *Slot
		if s, err = l.Reserve(t.Context(), LaneNormal); err == nil {
			s.Release()
			return false
		}
		if !errors.Is(err, ErrGated) {
			t.Fatalf("an ordinary event: got %v, want ErrGated", err)
		}
		return true
	})
	return err
}
