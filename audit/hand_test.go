package audit

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A2: the hand gives rows only where nothing stands between, also when the numbers of
// two epochs could follow on each other.
func TestHand(t *testing.T) {
	t.Parallel()
	at := func(epoch, seq int64) position {
		return position{epoch: epoch, seq: seq, hash: tlog.Hash{byte(epoch), byte(seq)}}
	}
	rows := func(epoch int64, seqs ...int64) (out []row) {
		for _, s := range seqs {
			out = append(out, row{position: at(epoch, s)})
		}
		return out
	}
	var h hand
	h.give(at(2, 320), rows(3, 1, 2), 10) // (2, 320) was left by a former process
	h.give(at(3, 2), rows(3, 3), 10)
	h.give(at(3, 9), rows(3, 10), 10) // after a gap: not taken
	if got := h.take(at(2, 319)); got != nil {
		t.Fatalf("before what a former process left: got %d rows", len(got))
	}
	if got := h.take(at(2, 320)); len(got) != 2 {
		t.Fatalf("got %d rows, want 2", len(got))
	}
	if got := h.take(at(3, 2)); len(got) != 1 {
		t.Fatalf("got %d rows, want 1", len(got))
	}
	if got := h.take(at(3, 3)); got != nil {
		t.Fatalf("after the last: got %d rows", len(got))
	}
	h.give(at(3, 3), rows(3, 4, 5), 10)
	h.give(at(3, 5), rows(3, 6, 7), 10)
	if got := h.take(at(3, 6)); len(got) != 1 || got[0].seq != 7 {
		t.Fatalf("from the middle: got %v", got)
	}
}

// A2, A4, 1.4: more than one run's worth of events that a crash left is under
// checkpoints later, and none of it is skipped for what the next process records
// meanwhile.
func TestBacklog(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("records some forty thousand events")
	}
	l, dir := newLog(t, Config{Checkpoint: time.Hour})
	var mu sync.Mutex
	var acked []ID
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			var waits []Wait
			for i := range maxRunRows/64 + 100 {
				s, err := l.Reserve(t.Context(), LaneNormal)
				if err != nil {
					t.Error(err)
					return
				}
				waits = append(waits, s.Append(Event{Type: "test.event", Status: i}))
				s.Release()
			}
			for _, w := range waits {
				r, err := w.Wait(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked = append(acked, r.ID)
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	crashed := image(t, dir)
	again := reopen(t, crashed, Config{Checkpoint: 2 * time.Millisecond})
	acked = append(acked, recordMany(t, again, 100)...)
	mustClose(t, again)
	mustVerify(t, crashed, Valid)
	once(t, crashed, acked)
}
