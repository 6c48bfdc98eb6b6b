package retention_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
)

// W2, W7: from the log alone, and from any older state with the log, the duties come back
// as they were, also when the log is read twice; and what goes on from there does nothing
// over again.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rnd := rand.New(rand.NewPCG(5, 5))
	made := map[string]int{}
	do := func(name string) retention.Step {
		return retention.Step{Name: name, Do: func(_ context.Context, job retention.Work) (string, error) {
			if rnd.IntN(3) == 0 {
				return "", errors.New("not now")
			}
			made[job.Key]++
			return "proof-" + name, nil
		}}
	}
	kinds := []retention.Kind{
		{Name: "purge", Destroys: true, Steps: []retention.Step{do("vendor"), do("keys")}},
		{Name: "notice", Steps: []retention.Step{{Name: "tell", Do: func(context.Context, retention.Work) (string, error) {
			return "", fmt.Errorf("%w: nobody there", retention.ErrPerson)
		}}}},
	}
	var ids []string
	for i := range 8 {
		id, kind, rule := fmt.Sprintf("d-%d", i), "purge", "int.logpii"
		if i%4 == 3 {
			kind, rule = "notice", "eu.dsar.respond"
		}
		w.add(t, id, kind, rule, began.Add(-month-time.Duration(i)*time.Hour+4*time.Hour))
		ids = append(ids, id)
	}
	long := clock.Event{Kind: clock.Extended, At: began.Add(-month + 20*time.Hour), Actor: "dpo-1", Reason: "complex", Notice: "msg-1"}
	if err := w.tx(t, func(tx *sql.Tx) error {
		_, err := w.s.Happened(t.Context(), tx, "d-7", long)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r := w.runner(t, kinds...)
	w.step(24 * time.Hour)
	for range 4 {
		drain(t, r)
		w.pass(3 * time.Minute)
	}
	w.step(-24 * time.Hour)
	drain(t, r)
	if err := w.s.TrustClock(t.Context(), "admin-1", "ntp_fixed"); err != nil {
		t.Fatal(err)
	}
	r = w.runner(t, kinds...)
	for range 3 {
		drain(t, r)
		w.pass(time.Hour)
	}
	if waiting, err := w.s.Waiting(t.Context(), 10); err != nil || len(waiting) == 0 {
		t.Fatalf("nothing waits for a person (%v): the test has lost its point", err)
	} else if err := w.s.Retry(t.Context(), waiting[0].ID, "dpo-1", "again"); err != nil {
		t.Fatal(err)
	}
	drain(t, r)

	// The database of another day: what the first n entries come to.
	for _, n := range []int{0, 1, len(w.log) / 3, len(w.log) - 1, len(w.log)} {
		copied := newWorld(t)
		copied.wall, copied.real, copied.log = w.wall, w.real, append([]retention.Entry(nil), w.log...)
		for range 2 {
			for i, e := range w.log[:n] {
				if err := copied.s.Replay(t.Context(), e, fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, e := range w.log {
			if err := copied.s.Replay(t.Context(), e, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range ids {
			if got, want := copied.get(t, id), w.get(t, id); !reflect.DeepEqual(got, want) {
				t.Errorf("from %d of %d entries:\n got %+v\nwant %+v", n, len(w.log), got, want)
			}
		}
		// It goes on where the other one was, and each entry stays single.
		before := map[string]int{}
		for key, n := range made {
			before[key] = n
		}
		r := copied.runner(t, kinds...)
		for range 40 {
			drain(t, r)
			copied.pass(time.Hour)
		}
		for _, id := range ids {
			o := copied.get(t, id)
			if o.Kind == "purge" && o.State != retention.StateDone && o.State != retention.StateNeedsHuman {
				t.Errorf("%s is %s", id, o.State)
			}
			for _, p := range w.get(t, id).Steps {
				if key := id + "/" + p.Name; p.Done && made[key] != before[key] {
					t.Errorf("%s was done again", key)
				}
			}
		}
		checkLog(t, copied.log)
	}
}

// What cannot be of this log is refused.
func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(t, "d-1", "purge", "int.logpii", began.Add(-2*month))
	drain(t, w.runner(t, purge(&calls{})))
	change := func(i int, f func(*retention.Entry)) retention.Entry {
		e := w.log[i]
		e.Body = append([]byte(nil), e.Body...)
		f(&e)
		return e
	}
	for name, tt := range map[string]struct {
		e    retention.Entry
		want error
	}{
		"another body":   {change(1, func(e *retention.Entry) { e.Body = []byte(`{"v":1,"try":9}`) }), retention.ErrConflict},
		"another kind":   {change(1, func(e *retention.Entry) { e.Kind = "step.failed" }), retention.ErrConflict},
		"a gap":          {change(1, func(e *retention.Entry) { e.ID = "d-1#99" }), retention.ErrConflict},
		"another duty":   {change(1, func(e *retention.Entry) { e.ID = "d-2#1" }), nil},
		"an unknown one": {change(0, func(e *retention.Entry) { e.ID, e.Obligation, e.Kind = "d-3#1", "d-3", "obligation.waived" }), clock.ErrUnknown},
		"no number":      {change(1, func(e *retention.Entry) { e.ID = "d-1" }), nil},
		"a new version":  {change(1, func(e *retention.Entry) { e.Body = []byte(`{"v":2}`) }), nil},
		"a step of none": {change(1, func(e *retention.Entry) { e.ID, e.Obligation = "d-4#1", "d-4" }), retention.ErrConflict},
	} {
		if err := w.s.Replay(t.Context(), tt.e, "1"); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	if o := w.get(t, "d-1"); o.State != retention.StateDone {
		t.Errorf("got %+v", o)
	}
}
