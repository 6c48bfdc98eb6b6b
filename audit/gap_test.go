package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// passed is a call that went on without the log.
func passed(route string, kind GapKind, cause error) Unrecorded {
	return Unrecorded{Route: route, Kind: kind, Cause: cause, Released: []Count{{Class: "credit_card", Masked: 1}, {Class: "email", Clear: 2}}}
}

// mustPass notes that something goes on, and demands that the marker says so already.
func mustPass(t testing.TB, l *Log, dir string, u Unrecorded) ID {
	t.Helper()
	id, err := l.Unrecorded(u)
	if err != nil {
		t.Fatal(err)
	}
	pending, err := pendingGaps(dir)
	if err != nil || !slices.ContainsFunc(pending, func(g Gap) bool { return g.ID == id }) {
		t.Fatalf("the marker has %v, %v, want gap %s", pending, err, id)
	}
	return id
}

// failing is a log whose next commit fails once it is armed, by the step that fails.
func failing(t testing.TB, point hookPoint) (l *Log, dir string, fail func() error) {
	t.Helper()
	var armed atomic.Bool
	l, dir = newLog(t, Config{Checkpoint: 2 * time.Millisecond, hooks: func(p hookPoint) error {
		if p == point && armed.Load() {
			return errInjected
		}
		return nil
	}})
	return l, dir, func() error {
		armed.Store(true)
		_, err := tryRecord(t.Context(), l, sample(1))
		waitFailed(t, l)
		return err
	}
}

// F22, A18: what goes on after the log failed is marked before it does, and the next
// process puts it on record: cause, times, routes and classes. The log verifies and
// says that it has a gap.
func TestGapAfterFailure(t *testing.T) {
	t.Parallel()
	l, dir, fail := failing(t, hookCommit)
	if err := l.PermitGaps(); err != nil {
		t.Fatal(err)
	}
	record(t, l, sample(1))
	cause := fail()
	before := time.Now().UnixMilli()
	id := mustPass(t, l, dir, passed("desk", GapRequest, cause))
	for _, u := range []Unrecorded{
		passed("desk", GapResponse, cause), passed("desk", GapRefused, cause), passed("hooks", GapRequest, cause), passed("desk", GapPart, cause),
	} {
		if again := mustPass(t, l, dir, u); again != id {
			t.Errorf("another gap: got %s, want %s", again, id)
		}
	}
	if g, ok := l.Gap(); !ok || g.ID != id || g.To != 0 {
		t.Errorf("the open gap: got %+v, %v", g, ok)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	crashed := image(t, dir)
	// The check of a log whose gap is not on record yet tells of it all the same.
	if r, err := Verify(t.Context(), VerifyOptions{Dir: crashed}); err != nil || len(r.Gaps) != 1 || r.Gaps[0].Index != -1 {
		t.Errorf("before recovery: got %+v, %v", r.Gaps, err)
	}
	again := reopen(t, crashed, Config{Checkpoint: 2 * time.Millisecond})
	if _, ok := again.Gap(); ok {
		t.Error("the gap is still open")
	}
	leaf, err := again.Find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Type != TypeGap {
		t.Errorf("type: got %s", leaf.Type)
	}
	record(t, again, sample(2))
	mustClose(t, again)
	r := mustVerify(t, crashed, Valid)
	if len(r.Gaps) != 1 || r.MoreGaps != 0 {
		t.Fatalf("gaps: got %+v", r.Gaps)
	}
	g := r.Gaps[0]
	if g.From < before || g.Last < g.From || g.To < g.Last || g.Index < 1 || g.Cause != GapFailed || g.ID != id {
		t.Errorf("gap: got %+v", g)
	}
	want := []GapRoute{{Route: "desk", Requests: 1, Responses: 1, Refused: 1}, {Route: "hooks", Requests: 1}}
	if !reflect.DeepEqual(g.Routes, want) {
		t.Errorf("routes: got %+v, want %+v", g.Routes, want)
	}
	if want := []Count{{Class: "credit_card", Masked: 4}, {Class: "email", Clear: 8}}; !reflect.DeepEqual(g.Released, want) {
		t.Errorf("released: got %+v, want %+v", g.Released, want)
	}
	// It is told once.
	mustClose(t, reopen(t, crashed, Config{}))
	if r := mustVerify(t, crashed, Valid); len(r.Gaps) != 1 {
		t.Errorf("opened again: got %d gaps", len(r.Gaps))
	}
}

// A18: a gap while the disk is nearly full ends in the same process, with its leaf.
func TestGapWhileClosed(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(diskWarn + 1)
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, free: func(string) int64 { return free.Load() }})
	if err := l.PermitGaps(); err != nil {
		t.Fatal(err)
	}
	free.Store(diskClose - 1)
	cause := gated(t, l)
	id := mustPass(t, l, dir, passed("desk", GapRequest, cause))
	free.Store(diskWarn + 1)
	until(t, func() bool {
		_, open := l.Gap()
		return !open
	})
	if _, err := l.Find(t.Context(), id); err != nil {
		t.Error(err)
	}
	// Another one is another gap.
	free.Store(diskClose - 1)
	cause = gated(t, l)
	if other := mustPass(t, l, dir, passed("desk", GapRequest, cause)); other == id {
		t.Error("a gap that is on record goes on")
	}
	mustClose(t, l)
	r := mustVerify(t, dir, Valid)
	if len(r.Gaps) != 2 || r.Gaps[0].Cause != GapDisk || r.Gaps[0].ID != id {
		t.Errorf("gaps: got %+v", r.Gaps)
	}
}

// A18: nothing goes on that no configuration permitted, that a caller can bring about,
// or that no marker stands for.
func TestGapRefused(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, l *Log, why string, cause error) {
		t.Helper()
		if _, err := l.Unrecorded(passed("desk", GapRequest, cause)); err == nil {
			t.Errorf("%s: it went on", why)
		}
	}
	down := fmt.Errorf("%w: %w", ErrUnknown, ErrPoisoned)
	l, dir := newLog(t, Config{})
	refused(t, l, "not permitted", down)
	if err := l.PermitGaps(); err != nil {
		t.Fatal(err)
	}
	refused(t, l, "a full queue", ErrOverloaded)
	refused(t, l, "an event that does not fit", eventError("rel", "is too long"))
	refused(t, l, "no failure", nil)
	refused(t, l, "a closed log", ErrClosed)
	if pending, err := pendingGaps(dir); err != nil || len(pending) != 0 {
		t.Errorf("the marker has %v, %v", pending, err)
	}
	if err := os.Remove(filepath.Join(dir, gapFileName)); err != nil {
		t.Fatal(err)
	}
	refused(t, l, "no marker", down)
	if l.GapsPossible() == nil {
		t.Error("gaps are possible without a marker")
	}
	// A write that failed is final.
	if err := makeGapFile(filepath.Join(dir, gapFileName)); err != nil {
		t.Fatal(err)
	}
	refused(t, l, "a marker that failed before", down)
}

// F22, A6, A18: killed anywhere between the first call that passed and the end of the gap,
// the next process has exactly one leaf of it.
func TestGapKilled(t *testing.T) {
	t.Parallel()
	for _, point := range []hookPoint{hookCommit, hookCommitted} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			l, dir, fail := failing(t, hookCommit)
			if err := l.PermitGaps(); err != nil {
				t.Fatal(err)
			}
			id := mustPass(t, l, dir, passed("desk", GapRequest, fail()))
			mustClose(t, l)
			crashed := image(t, dir)
			var armed atomic.Bool
			armed.Store(true)
			c := stored(t, crashed, Config{Checkpoint: 2 * time.Millisecond, hooks: func(p hookPoint) error {
				if p == point && armed.Load() {
					return errInjected
				}
				return nil
			}})
			if _, err := Open(t.Context(), crashed, c); !errors.Is(err, ErrPoisoned) {
				t.Fatalf("recording the gap: got %v, want ErrPoisoned", err)
			}
			if _, err := Open(t.Context(), crashed, c); !errors.Is(err, ErrPoisoned) {
				t.Errorf("the process that failed opens it again: %v", err)
			}
			next := image(t, crashed)
			again := reopen(t, next, Config{Checkpoint: 2 * time.Millisecond})
			if _, err := again.Find(t.Context(), id); err != nil {
				t.Error(err)
			}
			mustClose(t, again)
			if r := mustVerify(t, next, Valid); len(r.Gaps) != 1 || r.Gaps[0].ID != id {
				t.Errorf("gaps: got %+v", r.Gaps)
			}
		})
	}
}

// A gap whose marker is damaged is a gap of unknown extent, not none.
func TestGapMarkerDamaged(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{})
	if err := l.PermitGaps(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	path := filepath.Join(dir, gapFileName)
	if err := os.WriteFile(path, make([]byte, 2*gapSlot), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(t.Context(), VerifyOptions{Dir: dir}); err != nil || r.Outcome != Incomplete {
		t.Errorf("verify: got %s, %v", r.Outcome, err)
	}
	mustClose(t, reopen(t, dir, Config{}))
	if r := mustVerify(t, dir, Valid); len(r.Gaps) != 1 || r.Gaps[0].Cause != GapMarker {
		t.Errorf("gaps: got %+v", r.Gaps)
	}
}

// A write of the marker that is cut off anywhere leaves the state before it or the one
// it wrote.
func TestGapFileTorn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), gapFileName)
	if err := makeGapFile(path); err != nil {
		t.Fatal(err)
	}
	old := &gapState{Gaps: []*gapRecord{{ID: NewID().String(), Cause: GapDisk, From: 1, Last: 2}}}
	if err := writeGapFile(path, 1, old); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after := &gapState{Gaps: []*gapRecord{old.Gaps[0], {ID: NewID().String(), Cause: GapLag, From: 3, Last: 4}}}
	slot, err := encodeGapSlot(2, after)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(slot) + 1 {
		torn := bytes.Clone(before)
		copy(torn, slot[:n]) // the slot of even numbers is the first
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		seq, s, err := readGapFile(path)
		if err != nil {
			t.Fatalf("cut off after %d bytes: %v", n, err)
		}
		if want := 1 + n/len(slot); len(s.Gaps) != want || int(seq) != want {
			t.Fatalf("cut off after %d bytes: got %d gaps, number %d", n, len(s.Gaps), seq)
		}
	}
}

// A gap of many routes and classes still fits into its marker and its leaf.
func TestGapBounds(t *testing.T) {
	t.Parallel()
	r := &gapRecord{ID: NewID().String(), Cause: GapSilent, From: 1}
	for i := range 500 {
		u := passed(strings.Repeat("r", 200)+fmt.Sprint(i), GapRequest, nil)
		u.Released = []Count{{Class: fmt.Sprintf("class-%d", i), Clear: 1}}
		r.count(&u, int64(i))
	}
	if _, err := encodeGapSlot(1, &gapState{Gaps: []*gapRecord{r, r, r, r, r}}); err != nil {
		t.Error(err)
	}
	e := r.event(mustID(r.ID))
	l := Leaf{Event: *e, Node: "n", Clock: ClockSteady, Boot: "b"}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	if _, err := encodeLeaf(&l); err != nil {
		t.Error(err)
	}
	g, err := gapOf(7, &l)
	if err != nil {
		t.Fatal(err)
	}
	var calls int64
	for _, r := range g.Routes {
		calls += r.Requests
	}
	clear := 0
	for _, n := range g.Released {
		clear += n.Clear
	}
	if calls != 500 || clear != 500 || g.Routes[len(g.Routes)-1].Route != "*" {
		t.Errorf("got %d calls and %d in clear", calls, clear)
	}
}

// What a slot is read as is written the same again.
func FuzzGapSlot(f *testing.F) {
	r := &gapRecord{ID: NewID().String(), Cause: GapDisk, From: 1, Last: 2, Attrs: map[string]string{"a": "b"}, Details: []Sealed{{Part: "actor", Key: "k"}}}
	u := passed("desk", GapRequest, nil)
	r.count(&u, 5)
	slot, err := encodeGapSlot(3, &gapState{Gaps: []*gapRecord{r}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slot)
	f.Add([]byte(gapMagic + " 1 2 x\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, s, err := parseGapSlot(data)
		if err != nil {
			return
		}
		for _, r := range s.Gaps {
			r.gap() // must not panic
		}
		again, err := encodeGapSlot(seq, s)
		if err != nil {
			t.Fatal(err)
		}
		if _, back, err := parseGapSlot(again); err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("got %+v, %v, want %+v", back, err, s)
		}
	})
}
