package retention_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
)

const month = 30 * 24 * time.Hour

// W1: a duty and the fact it follows from are there both or not at all; adding it again
// changes nothing, and another under its id is refused.
func TestAddedWithItsFact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := duty(t, "req-1:answer", "notice", "eu.dsar.respond", began)
	withFact := func(after error) error {
		return w.tx(t, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO fact (id) VALUES ('req-1')`); err != nil {
				return err
			}
			return errors.Join(w.s.Add(t.Context(), tx, o), after)
		})
	}
	facts := func() (n int) {
		if err := w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM fact`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := withFact(errors.New("the caller gave up")); err == nil {
		t.Fatal("the transaction was committed")
	}
	if _, err := w.s.Get(t.Context(), o.ID); !errors.Is(err, retention.ErrNone) || facts() != 0 {
		t.Fatalf("got %v and %d facts after a transaction that was rolled back", err, facts())
	}
	if err := withFact(nil); err != nil {
		t.Fatal(err)
	}
	got := w.get(t, o.ID)
	if want := "2026-07-01T22:00:00Z"; facts() != 1 || got.State != retention.StateOpen || got.Due.Format(time.RFC3339) != want {
		t.Errorf("got %+v with %d facts, want it open until %s with one", got, facts(), want)
	}
	again := func(o retention.Obligation) error {
		return w.tx(t, func(tx *sql.Tx) error { return w.s.Add(t.Context(), tx, o) })
	}
	if err := again(o); err != nil {
		t.Errorf("adding it again: %v", err)
	}
	other := o
	other.Subject = "sub-other"
	if err := again(other); !errors.Is(err, retention.ErrConflict) {
		t.Errorf("another duty under its id: %v", err)
	}
	if err := again(duty(t, o.ID, o.Kind, "eu.dsar.respond", began.Add(time.Hour))); !errors.Is(err, retention.ErrConflict) {
		t.Errorf("another clock under its id: %v", err)
	}
	named := o
	named.ID, named.Subject = "req-2", "jo@example.com"
	if err := again(named); err == nil {
		t.Error("a duty about an address was added")
	}
	drain(t, w.runner(t, notice(&calls{})))
	if got := w.entries(o.ID); !slices.Equal(got, []string{"obligation.added"}) {
		t.Errorf("the log has %q", got)
	}
}

// A clock's events move the moment of the work in the same transaction; what the rule
// does not allow is refused.
func TestClockMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(t, "req-1:answer", "notice", "eu.dsar.respond", began)
	happened := func(e clock.Event) (s clock.State, err error) {
		err = w.tx(t, func(tx *sql.Tx) error {
			s, err = w.s.Happened(t.Context(), tx, "req-1:answer", e)
			return err
		})
		return s, err
	}
	long := clock.Event{Kind: clock.Extended, At: began.Add(time.Hour), Actor: "dpo-1", Reason: "complex", Notice: "msg-1"}
	s, err := happened(long)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.get(t, "req-1:answer"); !got.Due.Equal(s.PlanBy.At) || got.Due.Format(time.DateOnly) != "2026-09-01" {
		t.Errorf("got %s, want the end of the first of September, %s", got.Due, s.PlanBy.At)
	}
	if _, err := happened(long); err == nil {
		t.Error("a second extension was stored")
	}
	// Added again with what it began with, it is the same duty still.
	o := duty(t, "req-1:answer", "notice", "eu.dsar.respond", began)
	if err := w.tx(t, func(tx *sql.Tx) error { return w.s.Add(t.Context(), tx, o) }); err != nil {
		t.Error(err)
	}
	if _, err := w.s.Happened(t.Context(), nopTx(t, w), "req-2", long); !errors.Is(err, retention.ErrNone) {
		t.Errorf("got %v for a duty that does not exist", err)
	}
}

// A clock that moves ends a pause of its duty: it may be due now.
func TestMovedClockEndsPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(t, "inc-1:escalate", "notice", "int.escalate", began)
	tried := 0
	r := w.runner(t, retention.Kind{Name: "notice", Margin: 72 * time.Hour, Steps: []retention.Step{{Name: "tell", Do: func(context.Context, retention.Work) (string, error) {
		tried++
		return "", retention.Later{After: time.Hour}
	}}}})
	drain(t, r)
	drain(t, r)
	if tried != 1 {
		t.Fatalf("tried %d times within its pause", tried)
	}
	if err := w.tx(t, func(tx *sql.Tx) error {
		_, err := w.s.Happened(t.Context(), tx, "inc-1:escalate", clock.Event{Kind: clock.Restarted, At: w.now(), Actor: "dpo-1", Reason: "decided", Cause: "decision", Anchor: began.Add(-time.Hour)})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	drain(t, r)
	if tried != 2 {
		t.Errorf("tried %d times, want it looked at when its clock had moved", tried)
	}
}

// Who moves a clock or ends a duty while its step runs is not overwritten by the outcome of the
// step, and nothing went wrong.
func TestMovedDuringStep(t *testing.T) {
	t.Parallel()
	for _, ends := range []bool{false, true} {
		w := newWorld(t)
		w.add(t, "inc-1:escalate", "notice", "int.escalate", began)
		tried := 0
		r := w.runner(t, retention.Kind{Name: "notice", Margin: 72 * time.Hour, Steps: []retention.Step{{Name: "tell", Do: func(ctx context.Context, _ retention.Work) (string, error) {
			if tried++; tried > 1 {
				return "", retention.Later{After: time.Hour}
			}
			return "", errors.Join(retention.Later{After: time.Hour}, w.tx(t, func(tx *sql.Tx) error {
				if ends {
					return w.s.End(ctx, tx, "inc-1:escalate", "dpo-1", "sent", "proof-1")
				}
				_, err := w.s.Happened(ctx, tx, "inc-1:escalate", clock.Event{Kind: clock.Restarted, At: w.now(), Actor: "dpo-1", Reason: "decided", Cause: "decision", Anchor: began.Add(-time.Hour)})
				return err
			}))
		}}}})
		for range 5 {
			if _, err := r.Once(t.Context()); err != nil {
				t.Errorf("ended %t: %v", ends, err)
			}
		}
		want, state := 2, retention.StateOpen
		if ends {
			want, state = 1, retention.StateDone
		}
		if o := w.get(t, "inc-1:escalate"); tried != want || o.State != state {
			t.Errorf("ended %t: tried %d times, want %d; %+v", ends, tried, want, o)
		}
	}
}

func nopTx(t *testing.T, w *world) *sql.Tx {
	t.Helper()
	tx, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// W3: what destroys is not done a millisecond before it is due, and is done when it is.
func TestNeverEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	r := w.runner(t, purge(c))
	o := w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(time.Hour-month))
	if !o.Due.Equal(began.Add(time.Hour)) {
		t.Fatalf("due %s", o.Due)
	}
	w.pass(time.Hour - time.Millisecond)
	drain(t, r)
	if n := c.count("log-1:purge/vendor"); n != 0 {
		t.Fatal("it was done too early")
	}
	w.pass(time.Millisecond)
	drain(t, r)
	got := w.get(t, o.ID)
	if got.State != retention.StateDone || c.count("log-1:purge/vendor") != 1 || c.count("log-1:purge/keys") != 1 {
		t.Errorf("got %+v, want each step done once", got)
	}
	want := []string{"obligation.added", "step.attempted vendor", "step.completed vendor", "step.attempted keys", "step.completed keys", "obligation.done"}
	if got := w.entries(o.ID); !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
	checkLog(t, w.log)

	// A deadline says when something must be done at the latest, not from when on
	// something may go: nothing is destroyed by it.
	w.add(t, "log-2:purge", "purge", "eu.dsar.respond", began.Add(-2*month))
	drain(t, r)
	if got := w.get(t, "log-2:purge"); got.State != retention.StateNeedsHuman || c.count("log-2:purge/vendor") != 0 {
		t.Errorf("got %+v, want it to wait for a person", got)
	}
}

// W4: a notice is raised no later than its margin before plan_by.
func TestNoticesAreNotLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	r := w.runner(t, notice(c))
	w.add(t, "inc-1:authority", "notice", "eu.breach.authority", began)
	w.pass(60*time.Hour - time.Millisecond)
	drain(t, r)
	if n := c.count("inc-1:authority/tell"); n != 0 {
		t.Fatal("told before the margin")
	}
	w.pass(time.Millisecond)
	drain(t, r)
	if n := c.count("inc-1:authority/tell"); n != 1 {
		t.Errorf("told %d times when the margin began", n)
	}
}

// W3, W4: when the clock jumps, what destroys waits for a person and what tells somebody
// is done at once; leases and pauses that a clock ahead of time stored do not last.
func TestSuspectClock(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"an hour ahead": time.Hour, "a day ahead": 24 * time.Hour, "an hour back": -time.Hour, "a day back": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := &calls{}
			r := w.runner(t, purge(c), notice(c))
			w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(30*time.Minute-month))
			w.add(t, "inc-1:authority", "notice", "eu.breach.authority", began)
			drain(t, r)
			if c.count("log-1:purge/vendor")+c.count("inc-1:authority/tell") != 0 {
				t.Fatal("done before anything was due")
			}
			w.step(jump)
			drain(t, r)
			if c.count("log-1:purge/vendor") != 0 || c.count("inc-1:authority/tell") != 1 {
				t.Errorf("with a clock in doubt: %v, want the notice alone", c.made)
			}
			// Time goes on, and so does the doubt, also for a runner that begins now.
			w.pass(time.Hour)
			drain(t, r)
			drain(t, w.runner(t, purge(c), notice(c)))
			if c.count("log-1:purge/vendor") != 0 {
				t.Error("destroyed by a clock in doubt")
			}
			w.step(-jump)
			if err := w.s.TrustClock(t.Context(), "admin-1", "ntp_fixed"); err != nil {
				t.Fatal(err)
			}
			r = w.runner(t, purge(c), notice(c))
			drain(t, r)
			if c.count("log-1:purge/vendor") != 1 || w.get(t, "log-1:purge").State != retention.StateDone {
				t.Errorf("after the clock was set right: %v", c.made)
			}
			if got := w.entries(""); !slices.Equal(got, []string{"clock.suspect", "clock.trusted"}) {
				t.Errorf("of the clock the log has %q", got)
			}
			checkLog(t, w.log)
		})
	}
}

// W3: a runner that looked at the clock before it jumped destroys nothing after another
// has seen the jump.
func TestDoubtOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	a, b := w.runner(t, purge(c)), w.runner(t, purge(c))
	drain(t, b)
	w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(time.Hour-month))
	a.OnStep(func(s string) {
		if s == "before the claim" {
			w.step(24 * time.Hour)
			drain(t, b)
		}
	})
	if _, err := a.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := w.get(t, "log-1:purge"); o.Claims != 0 || c.count("log-1:purge/vendor") != 0 {
		t.Errorf("got %+v, want it unclaimed", o)
	}
}

// W5: a worker that was paused past its lease has lost the duty; what it brings is
// refused, and the duty is completed once.
func TestStaleWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	k := notice(c)
	w.add(t, "inc-1:authority", "notice", "eu.breach.authority", began.Add(-72*time.Hour))
	a, b := w.runner(t, k), w.runner(t, k)
	a.OnStep(func(s string) {
		if s != "acted" {
			return
		}
		// While it stands still its lease ends, and another goes on.
		w.pass(retention.Lease + time.Second)
		drain(t, b)
	})
	if _, err := a.Once(t.Context()); !errors.Is(err, retention.ErrFenced) {
		t.Errorf("the stale worker got %v", err)
	}
	o := w.get(t, "inc-1:authority")
	if o.State != retention.StateDone || o.Claims != 2 || o.Steps[0].Tries != 2 {
		t.Errorf("got %+v, want it done by the second claim", o)
	}
	// Also when the other one failed and the duty is open still.
	w.add(t, "inc-3:authority", "notice", "eu.breach.authority", began.Add(-72*time.Hour))
	failing := k
	failing.Steps = []retention.Step{{Name: "tell", Do: func(context.Context, retention.Work) (string, error) { return "", errors.New("503") }}}
	b = w.runner(t, failing)
	if _, err := a.Once(t.Context()); !errors.Is(err, retention.ErrFenced) {
		t.Errorf("the stale worker got %v", err)
	}
	if o := w.get(t, "inc-3:authority"); o.State != retention.StateOpen || o.Failures != 1 || o.Steps[0].Done {
		t.Errorf("got %+v, want it open after the failure of the second claim", o)
	}
	checkLog(t, w.log)
	b = w.runner(t, k)
	// Before its lease is over nobody else takes a duty.
	w.add(t, "inc-2:authority", "notice", "eu.breach.authority", began.Add(-72*time.Hour))
	a.OnStep(func(s string) {
		if s == "acted" {
			w.pass(retention.Lease - time.Second)
			drain(t, b)
		}
	})
	drain(t, a)
	if o := w.get(t, "inc-2:authority"); o.State != retention.StateDone || o.Claims != 1 {
		t.Errorf("got %+v, want it done by the one claim", o)
	}
}

// W5: a worker that stood still between its claim and the step does not begin it.
func TestClaimTooOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(-2*month))
	r := w.runner(t, purge(c))
	r.SetLease(0)
	if _, err := r.Once(t.Context()); !errors.Is(err, context.DeadlineExceeded) || c.count("log-1:purge/vendor") != 0 {
		t.Fatalf("got %v, and %d calls", err, c.count("log-1:purge/vendor"))
	}
	drain(t, w.runner(t, purge(c)))
	if o := w.get(t, "log-1:purge"); o.State != retention.StateDone || c.count("log-1:purge/vendor") != 1 || o.Steps[0].Tries != 2 {
		t.Errorf("got %+v, want it done by the second claim", o)
	}
}

// W6: a step whose reply was lost runs again with the same key and says so, and the
// vendor ends where one call would have left it.
func TestLostReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	records := map[string]bool{"sub-log-1:purge": true}
	deleted, looked := 0, 0
	k := retention.Kind{Name: "purge", Destroys: true, Steps: []retention.Step{{Name: "vendor", Do: func(_ context.Context, job retention.Work) (string, error) {
		if job.Key != "log-1:purge/vendor" {
			t.Errorf("key %s", job.Key)
		}
		if job.Try > 1 {
			looked++
			if !records[job.Subject] {
				return "gone", nil
			}
		}
		delete(records, job.Subject)
		deleted++
		return "", errors.New("the reply was lost")
	}}}}
	w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(-2*month))
	r := w.runner(t, k)
	drain(t, r)
	o := w.get(t, "log-1:purge")
	if o.State != retention.StateOpen || o.Failures != 1 {
		t.Fatalf("got %+v after a lost reply, want it open with one failure", o)
	}
	w.pass(time.Minute)
	drain(t, r)
	o = w.get(t, "log-1:purge")
	if o.State != retention.StateDone || deleted != 1 || looked != 1 || o.Steps[0].Result != "gone" {
		t.Errorf("got %+v, deleted %d times, looked %d times", o, deleted, looked)
	}
	checkLog(t, w.log)
}

// W7: the database itself refuses a second completion of a step and one without proof;
// a step that brings none has failed.
func TestCompletedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(-2*month))
	drain(t, w.runner(t, purge(&calls{})))
	for what, statement := range map[string]string{
		"a second completion": `INSERT INTO obligation_event (obligation, seq, kind, step, at, body, leaf) VALUES ('log-1:purge', 99, 'step.completed', 'vendor', 0, '', '')`,
		"no proof":            `UPDATE obligation_step SET result = '' WHERE obligation = 'log-1:purge' AND n = 0`,
		"a third state":       `UPDATE obligation SET state = 'gone' WHERE id = 'log-1:purge'`,
	} {
		if _, err := w.db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s was stored", what)
		}
	}
	w.add(t, "log-2:purge", "purge", "int.logpii", began.Add(-2*month))
	drain(t, w.runner(t, retention.Kind{Name: "purge", Destroys: true, Steps: []retention.Step{{Name: "vendor", Do: func(context.Context, retention.Work) (string, error) { return "", nil }}}}))
	if o := w.get(t, "log-2:purge"); o.Failures != 1 || o.Steps[0].Done {
		t.Errorf("got %+v, want a failure", o)
	}
	checkLog(t, w.log)
}

// W9: after many failures a duty that destroys waits for a person and stays in sight, with its
// moment; the person gives it back, and nothing is lost however often that happens.
func TestFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(-2*month))
	tried, broken := 0, true
	k := retention.Kind{Name: "purge", Destroys: true, Steps: []retention.Step{{Name: "tell", Do: func(context.Context, retention.Work) (string, error) {
		tried++
		if broken {
			return "", errors.New("503 from a vendor")
		}
		return "sent", nil
	}}}}
	r := w.runner(t, k)
	for tried < 26 {
		drain(t, r)
		if n, err := w.s.CountWaiting(t.Context()); err != nil || n != 0 != (tried%retention.MaxFailures == 0 && w.get(t, o.ID).State == retention.StateNeedsHuman) {
			t.Fatalf("%d wait for a person after %d tries (%v)", n, tried, err)
		}
		if waiting, err := w.s.Waiting(t.Context(), 10); err != nil {
			t.Fatal(err)
		} else if len(waiting) == 1 {
			if tried%retention.MaxFailures != 0 {
				t.Fatalf("it waits for a person after %d tries", tried)
			}
			if got := w.get(t, o.ID); got.State != retention.StateNeedsHuman || !got.Due.Equal(o.Due) {
				t.Errorf("got %+v, want its moment unchanged", got)
			}
			if err := w.s.Retry(t.Context(), o.ID, "dpo-1", "vendor_called"); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(31 * time.Minute)
	}
	broken = false
	w.pass(time.Hour)
	drain(t, r)
	if got := w.get(t, o.ID); got.State != retention.StateDone || got.Steps[0].Tries != 27 {
		t.Errorf("got %+v, want it done by the 27th try", got)
	}
	if err := w.s.Retry(t.Context(), o.ID, "dpo-1", "again"); !errors.Is(err, retention.ErrNone) {
		t.Errorf("a duty that is done was given back: %v", err)
	}
	checkLog(t, w.log)

	// What tells somebody something is tried on, and never given up by itself.
	o = w.add(t, "inc-1:authority", "notice", "eu.breach.authority", began)
	tried, broken = 0, true
	k.Name, k.Destroys, k.Margin = "notice", false, 72*time.Hour
	r = w.runner(t, k)
	for tried < 3*retention.MaxFailures {
		drain(t, r)
		if got := w.get(t, o.ID); got.State != retention.StateOpen || got.Failures != tried {
			t.Fatalf("got %+v after %d tries", got, tried)
		}
		w.pass(31 * time.Minute)
	}
	broken = false
	drain(t, r)
	if got := w.get(t, o.ID); got.State != retention.StateDone {
		t.Errorf("got %+v, want it done", got)
	}

	// What no repetition mends waits at once.
	w.add(t, "inc-2:authority", "notice", "eu.breach.authority", began)
	k.Steps = []retention.Step{{Name: "tell", Do: func(context.Context, retention.Work) (string, error) {
		return "", fmt.Errorf("%w: the recipient is unknown", retention.ErrPerson)
	}}}
	drain(t, w.runner(t, k))
	if got := w.get(t, "inc-2:authority"); got.State != retention.StateNeedsHuman || got.Failures != 1 {
		t.Errorf("got %+v, want it to wait for a person after one failure", got)
	}
}

// W10: kinds, rules and clocks that this program does not know are left alone, and stand
// in nobody's way.
func TestUnknownIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	long := began.Add(-100 * 24 * time.Hour)
	w.add(t, "a:other", "made_by_a_newer_binary", "int.logpii", long)
	w.add(t, "b:purge", "purge", "int.logpii", long)
	w.add(t, "c:purge", "purge", "int.logpii", long)
	w.add(t, "d:purge", "purge", "int.logpii", began.Add(-2*month))
	// As a newer version would have written them.
	change := func(id string, f func(string) string) {
		var events []byte
		if err := w.db.QueryRowContext(t.Context(), `SELECT clock FROM obligation WHERE id = $1`, id).Scan(&events); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.ExecContext(t.Context(), `UPDATE obligation SET clock = $1 WHERE id = $2`, []byte(f(string(events))), id); err != nil {
			t.Fatal(err)
		}
	}
	change("b:purge", func(s string) string { return strings.Replace(s, "int.logpii", "int.newer", 1) })
	change("c:purge", func(s string) string { return strings.Replace(s, `"v":1`, `"v":2`, 1) })
	r := w.runner(t, purge(c))
	for range 3 {
		drain(t, r)
		w.pass(2 * retention.HeldPause)
	}
	if o := w.get(t, "d:purge"); o.State != retention.StateDone {
		t.Errorf("got %+v: what is known was not done", o)
	}
	if o := w.get(t, "a:other"); o.State != retention.StateOpen || o.Claims != 0 {
		t.Errorf("got %+v, want the unknown kind untouched", o)
	}
	var open int
	if err := w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM obligation WHERE state = 'open' AND fence = 0 AND id IN ('b:purge', 'c:purge')`).Scan(&open); err != nil || open != 2 {
		t.Errorf("%d of 2 with unknown clocks are as they were (%v)", open, err)
	}
	// The program that knows them goes on.
	change("b:purge", func(s string) string { return strings.Replace(s, "int.newer", "int.logpii", 1) })
	change("c:purge", func(s string) string { return strings.Replace(s, `"v":2`, `"v":1`, 1) })
	w.pass(2 * retention.HeldPause)
	drain(t, r)
	for _, id := range []string{"b:purge", "c:purge"} {
		if o := w.get(t, id); o.State != retention.StateDone {
			t.Errorf("got %+v, want it done once it is known", o)
		}
	}
	checkLog(t, w.log)
}

// W3: what is due must come out of the clock again; a row that says otherwise is for a
// person, who gives it back with the moment that comes out now.
func TestChangedDueIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	o := w.add(t, "log-1:purge", "purge", "int.logpii", began)
	w.exec(t, `UPDATE obligation SET due = 1 WHERE id = 'log-1:purge'`)
	r := w.runner(t, purge(c))
	drain(t, r)
	if got := w.get(t, o.ID); got.State != retention.StateNeedsHuman || c.count("log-1:purge/vendor") != 0 {
		t.Fatalf("got %+v, want it to wait for a person", got)
	}
	if err := w.s.Retry(t.Context(), o.ID, "dpo-1", "row_was_changed"); err != nil {
		t.Fatal(err)
	}
	drain(t, r)
	if got := w.get(t, o.ID); got.State != retention.StateOpen || !got.Due.Equal(o.Due) || c.count("log-1:purge/vendor") != 0 {
		t.Errorf("got %+v, want it open until %s", got, o.Due)
	}
}

// W3, W11: a hold that was set before the work of a step was claimed stops it and all
// steps behind it, and when it is gone the duty goes on.
func TestHoldWins(t *testing.T) {
	t.Parallel()
	for _, at := range []int{0, 1} {
		t.Run(fmt.Sprintf("before step %d", at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := &calls{}
			r := w.runner(t, purge(c))
			o := w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(-2*month))
			other := w.add(t, "log-2:purge", "purge", "int.logpii", began.Add(-2*month))
			for range at {
				if _, err := r.Once(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.hold(t, o.Subject)
			drain(t, r)
			w.pass(3 * retention.HeldPause)
			drain(t, r)
			if done := c.count("log-1:purge/vendor") + c.count("log-1:purge/keys"); done != at {
				t.Errorf("%d steps were done under a hold that was set after %d", done, at)
			}
			if got := w.get(t, other.ID); got.State != retention.StateDone {
				t.Errorf("the hold stopped another subject's duty: %+v", got)
			}
			w.exec(t, `DELETE FROM held`)
			w.pass(3 * retention.HeldPause)
			drain(t, r)
			if got := w.get(t, o.ID); got.State != retention.StateDone || c.count("log-1:purge/vendor") != 1 || c.count("log-1:purge/keys") != 1 {
				t.Errorf("after the hold: %+v", got)
			}
			checkLog(t, w.log)
		})
	}
}

// W11: holds that are set while runners claim: a step begins only for subjects whose hold
// was not committed when it was claimed.
func TestHoldsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 24
	var mu sync.Mutex
	committed := map[string]bool{}
	var ids []string
	for i := range n {
		id := fmt.Sprintf("log-%02d:purge", i)
		w.add(t, id, "purge", "int.logpii", began.Add(-2*month))
		ids = append(ids, id)
	}
	k := retention.Kind{Name: "purge", Destroys: true, Steps: []retention.Step{{Name: "vendor", Do: func(_ context.Context, job retention.Work) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if committed[job.Subject] {
			t.Errorf("%s was destroyed although its hold was there before the claim", job.Subject)
		}
		return "gone", nil
	}}}}
	var wg sync.WaitGroup
	for range 3 {
		r := w.runner(t, k)
		wg.Go(func() { drain(t, r) })
	}
	for i := len(ids) - 1; i >= n/2; i-- {
		// One that was claimed by now is too late for its hold.
		w.hold(t, "sub-"+ids[i])
		mu.Lock()
		if o := w.get(t, ids[i]); o.Claims == 0 {
			committed["sub-"+ids[i]] = true
		}
		mu.Unlock()
	}
	wg.Wait()
	for i, id := range ids {
		o := w.get(t, id)
		if committed["sub-"+id] && o.Claims != 0 {
			t.Errorf("%s was claimed under its hold: %+v", id, o)
		}
		if i < n/2 && o.State != retention.StateDone {
			t.Errorf("%s, which nobody holds: %+v", id, o)
		}
	}
	checkLog(t, w.log)
}

// W5, W7: several runners on one database do each step once.
func TestManyRunners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &calls{}
	var ids []string
	for i := range 20 {
		id := fmt.Sprintf("log-%02d:purge", i)
		w.add(t, id, "purge", "int.logpii", began.Add(-2*month))
		ids = append(ids, id)
	}
	var wg sync.WaitGroup
	for range 4 {
		r := w.runner(t, purge(c))
		wg.Go(func() { drain(t, r) })
	}
	wg.Wait()
	for _, id := range ids {
		if o := w.get(t, id); o.State != retention.StateDone || o.Claims != 2 || c.count(id+"/vendor") != 1 || c.count(id+"/keys") != 1 {
			t.Errorf("%s: %+v, called %d and %d times", id, o, c.count(id+"/vendor"), c.count(id+"/keys"))
		}
	}
	checkLog(t, w.log)
}

// W2, W3, W4, W9: a year in which the clock steps by an hour and by a day, both ways, and
// steps fail now and then: nothing is destroyed before its time, no notice is later than
// its margin by more than the pauses after failures, and nothing is lost.
func TestVirtualYear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rnd := rand.New(rand.NewPCG(3, 3))
	due := map[string]time.Time{}
	var r *retention.Runner
	check := func(name string, late bool) retention.Step {
		return retention.Step{Name: name, Do: func(_ context.Context, job retention.Work) (string, error) {
			w.mu.Lock()
			real := w.real
			w.mu.Unlock()
			at := due[job.Obligation]
			if !late && real.Before(at) {
				t.Errorf("%s was destroyed %s too early", job.Obligation, at.Sub(real))
			}
			// The test looks once a day, and failures come at most thrice in a row.
			if late && real.After(at.Add(4*24*time.Hour)) {
				t.Errorf("%s was told %s too late", job.Obligation, real.Sub(at))
			}
			if rnd.IntN(4) == 0 && job.Try < 4 {
				return "", errors.New("not now")
			}
			return "proof", nil
		}}
	}
	kinds := []retention.Kind{
		{Name: "purge", Destroys: true, Steps: []retention.Step{check("vendor", false), check("keys", false)}},
		{Name: "notice", Margin: 12 * time.Hour, Steps: []retention.Step{check("tell", true)}},
	}
	const n = 60
	for i := range n {
		id, kind, rule := fmt.Sprintf("n-%03d", i), "notice", []string{"eu.dsar.respond", "eu.breach.authority"}[i%2]
		if i%3 == 0 {
			kind, rule = "purge", []string{"int.logpii", "int.chat", "pci.logs.hot"}[rnd.IntN(3)]
		}
		start := began.Add(time.Duration(rnd.IntN(300*24)) * time.Hour)
		if rule == "int.chat" {
			start = start.AddDate(-1, -6, 0)
		}
		due[id] = w.add(t, id, kind, rule, start).Due
	}
	r = w.runner(t, kinds...)
	skew := time.Duration(0)
	for range 420 {
		w.pass(24 * time.Hour)
		switch rnd.IntN(30) {
		case 0, 1:
			by := []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour}[rnd.IntN(4)]
			w.step(by)
			skew += by
		case 2:
			// A restart: the new one has no memory of the clock.
			r = w.runner(t, kinds...)
		}
		drain(t, r)
		if skew != 0 && rnd.IntN(6) == 0 {
			w.step(-skew)
			skew = 0
			if err := w.s.TrustClock(t.Context(), "admin-1", "ntp_fixed"); err != nil {
				t.Fatal(err)
			}
			r = w.runner(t, kinds...)
		}
	}
	for id := range due {
		if o := w.get(t, id); o.State != retention.StateDone {
			t.Errorf("%s of %s is %s after the year", id, due[id], o.State)
		}
	}
	checkLog(t, w.log)
}

// W7: what could not be put on record is tried again, in order, and stays noted until the
// log has it; an answer that was lost leaves one entry.
func TestRecordingIsTriedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := 0
	r, err := retention.NewRunner(retention.Config{
		Store: w.s, Kinds: []retention.Kind{purge(&calls{})}, Holds: w, Log: quiet(),
		Record: func(ctx context.Context, e retention.Entry) (string, error) {
			n++
			if n%3 == 1 {
				return "", errors.New("the log is away")
			}
			leaf, err := w.record(ctx, e)
			if n%3 == 2 {
				return "", errors.New("the answer was lost")
			}
			return leaf, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.SetMono(w.mono)
	w.add(t, "log-1:purge", "purge", "int.logpii", began.Add(-2*month))
	for range 100 {
		if worked, err := r.Once(t.Context()); err == nil && !worked {
			break
		}
	}
	want := []string{"obligation.added", "step.attempted vendor", "step.completed vendor", "step.attempted keys", "step.completed keys", "obligation.done"}
	if got := w.entries("log-1:purge"); !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
	checkLog(t, w.log)
}
