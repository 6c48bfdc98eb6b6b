package hold_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
)

var _ retention.Holds = (*hold.Store)(nil)

// W11, WT7: a hold that is placed at each step of an erasure wins before the gate, and is told
// behind it that it came too late, for this erasure and no other.
func TestHoldAtEachStep(t *testing.T) {
	t.Parallel()
	scopes := map[string]hold.Scope{
		"person": {Persons: []index.Person{ann}}, "record": {Records: []index.Record{ticket("1")}}, "query": {Queries: []hold.Query{{Channel: "desk", Type: "ticket"}}},
		"linked": {Persons: []index.Person{eve}},
	}
	for kind, scope := range scopes {
		for _, at := range []string{"before", "passed", "event written", "index forgotten", "keys gone", "failed before its event"} {
			t.Run(kind+"/"+at, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann}, Profile: []index.Person{ann, eve}}, index.Sighting{Record: comment("2"), Persons: []index.Person{bob}})
				if err := w.pass(t, 9, bob); err != nil {
					t.Fatal(err)
				}
				var h hold.Hold
				step := func(name string) {
					if name == at {
						h = w.place(t, scope)
					}
				}
				step("before")
				err := w.pass(t, 1, ann)
				if (err != nil) != (at == "before") {
					t.Fatalf("passing the gate: %v", err)
				}
				// Of an erasure that ended the index knows the records no more.
				late := at != "before" && (at != "keys gone" || kind == "person" || kind == "linked")
				if err == nil {
					step("passed")
					step("event written")
					if at == "failed before its event" {
						err = w.s.Dropped(t.Context(), [16]byte{1})
						late = false
					} else {
						err = w.x.Forget(t.Context(), []index.Person{ann})
						step("index forgotten")
						err = errors.Join(err, w.s.Ended(t.Context(), [16]byte{1}))
					}
					if err != nil {
						t.Fatal(err)
					}
					step("keys gone")
					step("failed before its event")
				}
				if h, err = w.s.Get(t.Context(), h.ID); err != nil {
					t.Fatal(err)
				}
				if late != (len(h.TooLate) == 1 && h.TooLate[0].Event == [16]byte{1} && !h.TooLate[0].Begun.IsZero()) || !late && len(h.TooLate) > 0 {
					t.Errorf("the hold came too late for %+v, want that: %v", h.TooLate, late)
				}
				w.tell(t)
				if got := w.log[0].Attrs["too_late"]; (got == "1") != late {
					t.Errorf("the log says %q", got)
				}
				// For everything from here on it counts.
				w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann}, Profile: []index.Person{ann, eve}})
				w.heldBy(t, ann, h.ID)
			})
		}
	}
}

// W11: holds and erasures that race: one of the two always knows of the other.
func TestRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for round := range 20 {
		p := index.Person{7, byte(round)}
		event := [16]byte{100, byte(round)}
		var h hold.Hold
		var errPlace, errPass error
		var wg sync.WaitGroup
		wg.Go(func() {
			h, errPlace = w.s.Place(t.Context(), wish(hold.Scope{Persons: []index.Person{p}}))
		})
		wg.Go(func() { errPass = w.s.Pass(t.Context(), event, "", []index.Person{p}) })
		wg.Wait()
		var held *hold.HeldError
		switch {
		case errPlace != nil:
			t.Fatal(errPlace)
		case errPass == nil && (len(h.TooLate) != 1 || h.TooLate[0].Event != event):
			t.Errorf("the erasure passed, and the hold came too late for %v", h.TooLate)
		case errPass != nil && (!errors.As(errPass, &held) || held.Hold != h.ID || held.Matter != "CASE-7" || len(h.TooLate) != 0):
			t.Errorf("the erasure: %v, and the hold came too late for %v", errPass, h.TooLate)
		}
	}
}

// W11: whoever waited at the gate sees what was committed meanwhile, also on a server whose
// transactions read at their beginning unless told otherwise.
func TestIsolationOfServer(t *testing.T) {
	t.Parallel()
	where := pgtest.Database(t)
	w := openWorld(t, where)
	var name string
	if err := w.db.QueryRowContext(t.Context(), "SELECT quote_ident(current_database())").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.ExecContext(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_isolation = 'repeatable read'"); err != nil {
		t.Fatal(err)
	}
	w = openWorld(t, where)
	locked, goOn, placed := make(chan bool), make(chan bool), make(chan error, 1)
	var once sync.Once
	w.s.OnStep(func(name string) {
		if name == "placing: locked" {
			once.Do(func() { close(locked); <-goOn })
		}
	})
	go func() {
		_, err := w.s.Place(t.Context(), wish(hold.Scope{Persons: []index.Person{ann}}))
		placed <- err
	}()
	<-locked
	other, passed := openWorld(t, where), make(chan error, 1)
	go func() { passed <- other.s.Pass(t.Context(), [16]byte{1}, "", []index.Person{ann}) }()
	waiting := 0
	for until := time.Now().Add(5 * time.Minute); waiting == 0; <-time.After(10 * time.Millisecond) {
		if err := w.db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting); err != nil {
			t.Error(err)
			break
		}
		if time.Now().After(until) {
			t.Error("the erasure does not wait at the gate")
			break
		}
	}
	close(goOn)
	if err := <-placed; err != nil {
		t.Error(err)
	}
	var held *hold.HeldError
	if err := <-passed; !errors.As(err, &held) {
		t.Errorf("the erasure: %v", err)
	}
}

// Nobody waits for ever for a gateway that died with the gate locked.
func TestGateStaysLocked(t *testing.T) {
	t.Parallel()
	w := openWorld(t, pgtest.Database(t))
	tx, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var id int
	if err := tx.QueryRowContext(t.Context(), "SELECT id FROM hold_gate FOR UPDATE").Scan(&id); err != nil {
		t.Fatal(err)
	}
	w.s.Wait(100 * time.Millisecond)
	if err := w.s.Pass(t.Context(), [16]byte{1}, "", []index.Person{ann}); err == nil {
		t.Error("it passed a locked gate")
	}
	if _, err := w.s.Place(t.Context(), wish(hold.Scope{Persons: []index.Person{ann}})); err == nil {
		t.Error("a hold was placed at a locked gate")
	}
}

// A record holds whatever hangs on it, however far below, and a circle ends.
func TestHangsDeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const depth = 40
	for i := range depth {
		s := index.Sighting{Record: ticket(strconv.Itoa(i + 1)), Parent: ticket(strconv.Itoa(i))}
		if i == depth-1 {
			s.Persons = []index.Person{ann}
		}
		w.see(t, s)
	}
	w.see(t, index.Sighting{Record: ticket("0"), Parent: ticket("7")}, index.Sighting{Record: comment("1"), Parent: comment("1"), Persons: []index.Person{bob}})
	h := w.place(t, hold.Scope{Records: []index.Record{ticket("0")}})
	w.heldBy(t, ann, h.ID)
	w.heldBy(t, bob, "")
}

// Marks of erasures that nobody ended are found by the gateway that left them.
func TestMarks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, gateway := range []string{"a", "a", "b"} {
		if err := w.s.Pass(t.Context(), [16]byte{byte(i + 1)}, gateway, []index.Person{ann, bob}); err != nil {
			t.Fatal(err)
		}
	}
	h := w.place(t, hold.Scope{Persons: []index.Person{bob}})
	if len(h.TooLate) != 3 {
		t.Errorf("got %+v", h.TooLate)
	}
	if err := errors.Join(w.s.Ended(t.Context(), [16]byte{1}), w.s.Ended(t.Context(), [16]byte{1}), w.s.Dropped(t.Context(), [16]byte{3})); err != nil {
		t.Fatal(err)
	}
	for gateway, want := range map[string][][16]byte{"a": {{2}}, "b": nil} {
		got, err := w.s.Unended(t.Context(), gateway)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, %v, want %v", gateway, got, err, want)
		}
	}
	if h, err := w.s.Get(t.Context(), h.ID); err != nil || len(h.TooLate) != 2 {
		t.Errorf("got %+v, %v", h.TooLate, err)
	}
}

// W3, W11: a duty asks in its transaction.
func TestHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := func(subject string, want bool) {
		t.Helper()
		tx, err := w.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if got, err := w.s.Held(t.Context(), tx, subject); err != nil || got != want {
			t.Errorf("held: got %v, %v, want %v", got, err, want)
		}
	}
	subject := func(p index.Person) string { return hex.EncodeToString(p[:]) }
	held(subject(ann), false)
	held("ticket-1", false)
	h := w.place(t, hold.Scope{Persons: []index.Person{ann}})
	held(subject(ann), true)
	held(subject(bob), false)
	held("ticket-1", true) // nobody can say that it is not
	held(subject(bob)[:30], true)
	w.lift(t, h.ID)
	held(subject(ann), false)
	held("ticket-1", false)
}

// Of two who agree at once, one does.
func TestTwoAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.place(t, hold.Scope{Persons: []index.Person{ann}})
	if _, err := w.s.AskLift(t.Context(), h.ID, "key:a", "x"); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.s.Approve(t.Context(), h.ID, fmt.Sprint("key:b", i), nil)
			errs[i] = errors.Join(errs[i], w.s.Tell(t.Context(), w.record))
		})
	}
	wg.Wait()
	agreed := 0
	for _, err := range errs {
		if err == nil {
			agreed++
		} else if !errors.Is(err, hold.ErrWish) {
			t.Error(err)
		}
	}
	w.tell(t)
	if agreed != 1 || len(w.log) != 3 {
		t.Errorf("%d agreed, and the log has %+v", agreed, w.log)
	}
}

// The environment of a child that changes holds and dies at a step, the n-th time it comes
// there.
const (
	dieAt    = "CAREGATE_HOLD_DIES_AT"
	dieNth   = "CAREGATE_HOLD_DIES_NTH"
	dieWhere = "CAREGATE_HOLD_DIES_IN"
	dieLog   = "CAREGATE_HOLD_DIES_LOG"
)

// fileLog is a log that outlives a process: an event is a file, named by its id.
type fileLog struct{ dir string }

func (l fileLog) record(_ context.Context, e hold.Event) error {
	name := filepath.Join(l.dir, hex.EncodeToString(e.ID[:]))
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.WriteFile(name+".new", []byte(e.Type), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// changeAndDie places a hold, has it lifted and erases somebody, and ends itself as kill -9
// does. It returns only when the step was not reached.
func changeAndDie() error {
	ctx := context.Background()
	_, _, s, err := openStores(ctx, os.Getenv(dieWhere))
	if err != nil {
		return err
	}
	nth, err := strconv.Atoi(os.Getenv(dieNth))
	if err != nil {
		return err
	}
	s.OnStep(func(step string) {
		if step != os.Getenv(dieAt) {
			return
		}
		if nth--; nth == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	log := fileLog{os.Getenv(dieLog)}
	h, err := s.Place(ctx, wish(hold.Scope{Persons: []index.Person{ann}}))
	if err != nil {
		return err
	}
	if err := s.Tell(ctx, log.record); err != nil {
		return err
	}
	if _, err := s.AskLift(ctx, h.ID, "key:a", "settled"); err != nil {
		return err
	}
	if _, err := s.Approve(ctx, h.ID, "key:b", nil); err != nil {
		return err
	}
	if err := s.Tell(ctx, log.record); err != nil {
		return err
	}
	if err := s.Pass(ctx, [16]byte{1}, "", []index.Person{ann}); err != nil {
		return err
	}
	return errors.New("the step was not reached")
}

// A process that is killed at any step of placing, lifting and passing leaves a hold that is
// there with its event or not at all, and that is in force until two persons agreed and the
// log has it; every event is on record once.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step  string
		nth   int
		state string // "" for no hold
		after string // when everything is told
		log   int
		mark  bool
	}{
		{step: "placing: locked", nth: 1},
		{step: "before the commit", nth: 1},
		{step: "placed", nth: 1, state: hold.Placed, after: hold.Placed, log: 1},
		{step: "recorded", nth: 1, state: hold.Placed, after: hold.Placed, log: 1},
		{step: "before the commit", nth: 2, state: hold.Placed, after: hold.Placed, log: 1},
		{step: "before the commit", nth: 3, state: hold.Placed, after: hold.Placed, log: 1},
		{step: "asked", nth: 1, state: hold.LiftRequested, after: hold.LiftRequested, log: 2},
		{step: "before the commit", nth: 4, state: hold.LiftRequested, after: hold.LiftRequested, log: 2},
		{step: "agreed", nth: 1, state: hold.Lifting, after: hold.Lifted, log: 3},
		{step: "recorded", nth: 2, state: hold.Lifting, after: hold.Lifted, log: 3},
		{step: "recorded", nth: 3, state: hold.Lifting, after: hold.Lifted, log: 3},
		{step: "before the commit", nth: 6, state: hold.Lifting, after: hold.Lifted, log: 3},
		{step: "passing: locked", nth: 1, state: hold.Lifted, after: hold.Lifted, log: 3},
		{step: "passed", nth: 1, state: hold.Lifted, after: hold.Lifted, log: 3, mark: true},
	} {
		t.Run(fmt.Sprintf("%s/%d", tt.step, tt.nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			log := fileLog{t.TempDir()}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), dieAt+"="+tt.step, dieNth+"="+strconv.Itoa(tt.nth), dieWhere+"="+w.where, dieLog+"="+log.dir)
			says, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, says)
			}
			list, err := w.s.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			id, state := "", ""
			if len(list) > 0 {
				id, state = list[0].ID, list[0].State
			}
			if state != tt.state {
				t.Fatalf("the hold is %q, want %q", state, tt.state)
			}
			if state == hold.Lifted {
				id = ""
			}
			w.heldBy(t, ann, id)
			// PostgreSQL may take a while to see that the child is gone; until then it has the
			// row of the event that was being told, which Tell passes by.
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for end := time.Now().Add(2 * time.Minute); ; <-tick.C {
				if err := w.s.Tell(t.Context(), log.record); err != nil {
					t.Fatal(err)
				}
				var left int
				if err := w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM hold_event WHERE told = 0`).Scan(&left); err != nil {
					t.Fatal(err)
				}
				if left == 0 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%d events are not told", left)
				}
			}
			if tt.state != "" {
				h, err := w.s.Get(t.Context(), list[0].ID)
				if err != nil || h.State != tt.after {
					t.Errorf("it ended as %s, %v, want %s", h.State, err, tt.after)
				}
			}
			if got, err := filepath.Glob(filepath.Join(log.dir, "*")); err != nil || len(got) != tt.log {
				t.Errorf("the log has %d events, %v, want %d", len(got), err, tt.log)
			}
			if marks, err := w.s.Unended(t.Context(), ""); err != nil || (len(marks) == 1) != tt.mark {
				t.Errorf("marks: %v, %v", marks, err)
			}
		})
	}
}
