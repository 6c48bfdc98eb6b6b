package purge_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/purge"
	"github.com/caregate/caregate/retention/schedule"
)

func TestMain(m *testing.M) { leaks.MainOrDie(m, dieAt, purgeAndDie) }

// old keeps tickets for a year from their closing, and comments for as long or longer.
const old = `version: 1
revision: r1
rules:
  - {id: tickets, purpose: support, channel: zendesk, types: [ticket], from: closing, period: P12M, action: delete}
  - {id: comments, purpose: support, channel: zendesk, types: [comment], from: closing, period: %s, action: delete}
`

// world is a store with a desk behind it, and a clock that is moved by hand.
type world struct {
	*desk
	db    *store.DB
	index *index.Index
	holds *hold.Store
	s     *purge.Store
	now   time.Time
}

func (w *world) time() time.Time { return w.now }

func (w *world) wait(d time.Duration) { w.now = w.now.Add(d) }

func (w *world) close() error { return errors.Join(w.index.Close(), w.db.Close()) }

// openWorld opens a world whose desk has tickets 1 to 4. By the index 1 and 2 are closed for
// years, 3 is open and 4 is closed since this year; 11 and 12 are comments of 1 and 2.
func openWorld(ctx context.Context, where, dir string) (w *world, err error) {
	w = &world{now: time.Now()}
	if w.desk, err = newDesk(dir); err != nil {
		return nil, err
	}
	if w.db, err = store.Open(ctx, where, store.Options{Create: true, Sync: store.SyncNormal}); err != nil {
		return nil, err
	}
	if w.index, err = index.Open(ctx, w.db); err != nil {
		return nil, err
	}
	if w.holds, err = hold.Open(ctx, w.db, plainSeal{}); err != nil {
		return nil, err
	}
	if w.s, err = purge.NewStore(ctx, w.db, w.index, w.holds); err != nil {
		return nil, err
	}
	w.s.SetClock(w.time)
	return w, nil
}

func record(typ, id string) index.Record {
	return index.Record{Channel: "zendesk", Host: "acme.zendesk.com", Type: typ, ID: id}
}

func (w *world) fill(ctx context.Context) error {
	for _, id := range []string{"1", "2", "3", "4"} {
		if err := os.WriteFile(filepath.Join(w.dir, "live", id), nil, 0o600); err != nil {
			return err
		}
	}
	long, lately := index.Closing{Known: true, At: w.now.AddDate(-3, 0, 0)}, index.Closing{Known: true, At: w.now.AddDate(0, -1, 0)}
	return w.index.Note(ctx, []index.Sighting{
		{Record: record("ticket", "1"), Closed: long, At: w.now},
		{Record: record("comment", "11"), Parent: record("ticket", "1"), At: w.now},
		{Record: record("ticket", "2"), Closed: long, At: w.now},
		{Record: record("comment", "12"), Parent: record("ticket", "2"), At: w.now},
		{Record: record("ticket", "3"), Closed: index.Closing{Known: true}, At: w.now},
		{Record: record("ticket", "4"), Closed: lately, At: w.now},
	})
}

// newWorld is a filled world for a test.
func newWorld(t *testing.T, where string) *world {
	t.Helper()
	w, err := openWorld(t.Context(), where, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, filepath.Join(t.TempDir(), "state.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, pgtest.Database(t)))
	})
}

// begin prepares a run and lets it begin.
func (w *world) begin(ctx context.Context, text string) (*purge.Run, error) {
	sched, err := w.Schedule(text)
	if err != nil {
		return nil, err
	}
	r, _, err := w.s.Prepare(ctx, sched, text, "key:a", "")
	if err != nil {
		return nil, err
	}
	return w.s.Start(ctx, r.ID, r.List, "key:b")
}

// finish goes on until the run has ended, and calls before ahead of each step.
func (w *world) finish(ctx context.Context, run string, before func()) error {
	for range 500 {
		before()
		step, err := w.s.Next(ctx, run, w)
		switch {
		case err != nil:
			return err
		case step.Done:
			return nil
		}
		w.wait(step.Wait)
	}
	return errors.New("the run does not end")
}

// outcomes are the states of records with their reasons.
func outcomes(r *purge.Run) string {
	var all []string
	for _, o := range r.Outcomes {
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%s %d %s %s", o.Type, o.Records, o.State, o.Reason), " "))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// What is due is deleted, purged, read back, and looked at again when the trash is over; nothing
// else is touched, and the certificate says how it is known.
func TestRun(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, err := w.begin(t.Context(), fmt.Sprintf(old, "P12M"))
		if err != nil {
			t.Fatal(err)
		}
		if r.State != purge.Running || r.ApprovedBy != "key:b" || outcomes(r) != "comment 2 with, ticket 2 open" {
			t.Fatalf("begun: %s, %s", r.State, outcomes(r))
		}
		begun := w.time()
		early := true
		if err := w.finish(t.Context(), r.ID, func() {
			if early && w.time().Sub(begun) < 29*24*time.Hour {
				if got, err := w.s.Get(t.Context(), r.ID); err != nil || strings.Contains(outcomes(got), "erased") {
					t.Fatalf("before the trash is over: %s, %v", outcomes(got), err)
				}
				return
			}
			early = false
		}); err != nil {
			t.Fatal(err)
		}
		if got := w.time().Sub(begun); got < 30*24*time.Hour {
			t.Errorf("ended after %s", got)
		}
		if r, err = w.s.Get(t.Context(), r.ID); err != nil || r.State != purge.Done || outcomes(r) != "comment 2 erased, ticket 2 erased" {
			t.Fatalf("ended: %s, %s, %v", r.State, outcomes(r), err)
		}
		if live, trash := w.list("live"), w.list("trash"); !slices.Equal(live, []string{"3", "4"}) || len(trash) > 0 {
			t.Errorf("live %q, trash %q", live, trash)
		}
		doc, err := w.s.Certificate(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		c, statement, err := purge.Statement(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, other, err := purge.Statement(append(doc, '\n')); err != nil || other == statement {
			t.Errorf("another certificate has the same statement, %v", err)
		}
		if len(c.Records) != 4 || c.Outcomes[purge.Erased] != 4 || !strings.Contains(statement, "\nerased 4\n") || strings.Contains(string(doc), `"1"`) {
			t.Errorf("certified: %s\n%s", statement, doc)
		}
		told := w.list("log")
		for _, one := range c.Records {
			var calls []string
			for _, call := range one.Calls {
				calls = append(calls, fmt.Sprintf("%s %d %s", call.Operation, call.Status, call.Seen))
				if !slices.Contains(told, call.Event) {
					t.Errorf("a call is not on record: %+v", call)
				}
			}
			want := "ticket.delete 204 done, deleted_ticket.purge 200 done, job.show 200 done, ticket.show 404 gone, ticket.show 404 gone"
			if one.Type == "comment" {
				want = ""
			}
			if got := strings.Join(calls, ", "); got != want || (one.With == "") != (one.Type == "ticket") {
				t.Errorf("%s: %s, with %q", one.Type, got, one.With)
			}
		}
		// What is gone is due no more.
		sched, err := w.Schedule(fmt.Sprintf(old, "P12M"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := schedule.NewPlan(t.Context(), sched, schedule.Sources{DB: w.db}); err != nil || again.Matched != 0 || again.Gone != 4 {
			t.Errorf("planned again: %+v, %v", again, err)
		}
	})
}

// Nobody begins what nobody agreed to, and nobody agrees to another list.
func TestAgreed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		text := fmt.Sprintf(old, "P12M")
		sched, err := w.Schedule(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.s.Prepare(t.Context(), sched, text, "key:a", "it jumped"); !errors.Is(err, purge.ErrDoubt) {
			t.Errorf("by a clock in doubt: %v", err)
		}
		r, plan, err := w.s.Prepare(t.Context(), sched, text, "key:a", "")
		if err != nil || plan.Matched != 4 {
			t.Fatalf("%+v, %v", plan, err)
		}
		if _, err := w.s.Next(t.Context(), r.ID, w); !errors.Is(err, purge.ErrState) {
			t.Errorf("before anybody agreed: %v", err)
		}
		if _, err := w.s.Start(t.Context(), r.ID, strings.Repeat("0", 64), "key:b"); !errors.Is(err, purge.ErrState) {
			t.Errorf("another list: %v", err)
		}
		if _, err := w.s.Start(t.Context(), r.ID, r.List, ""); !errors.Is(err, purge.ErrState) {
			t.Errorf("by nobody: %v", err)
		}
		if _, err := w.s.Start(t.Context(), r.ID, r.List, "key:b"); err != nil {
			t.Error(err)
		}
		if _, err := w.s.Start(t.Context(), r.ID, r.List, "key:b"); !errors.Is(err, purge.ErrState) {
			t.Errorf("twice: %v", err)
		}
		if _, err := w.s.Certificate(t.Context(), r.ID); !errors.Is(err, purge.ErrState) {
			t.Errorf("a certificate of what goes on: %v", err)
		}
		if _, err := w.s.Next(t.Context(), "none", w); !errors.Is(err, purge.ErrNone) {
			t.Errorf("no run: %v", err)
		}
		w.doubt = "it jumped"
		if _, err := w.s.Next(t.Context(), r.ID, w); !errors.Is(err, purge.ErrDoubt) || len(w.list("live")) != 4 {
			t.Errorf("by a clock in doubt: %v", err)
		}
	})
}

// Whatever a vendor answers and whatever happens meanwhile: what is said to be erased is, and
// what must stay does.
func TestTrouble(t *testing.T) {
	for name, tt := range map[string]struct {
		comments string                       // for how long they are kept
		first    func(t *testing.T, w *world) // before anything is called
		at       int                          // before which step
		then     func(t *testing.T, w *world)
		want     string
		live     string // with what is in the trash behind a slash
	}{
		"an answer to the deletion that nobody hears": {first: func(_ *testing.T, w *world) { w.lost["ticket.delete"] = true }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"an answer to the purge that nobody hears":    {first: func(_ *testing.T, w *world) { w.lost["deleted_ticket.purge"] = true }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"a read-back that nobody hears":               {first: func(_ *testing.T, w *world) { w.lost["ticket.show"] = true }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"too many calls":                              {first: func(_ *testing.T, w *world) { w.status["ticket.delete"] = 429 }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"no budget for a while":                       {first: func(_ *testing.T, w *world) { w.budget = time.Minute }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"a job that fails":                            {first: func(_ *testing.T, w *world) { w.failing = 2 }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"jobs that fail for ever":                     {first: func(_ *testing.T, w *world) { w.failing = 1000 }, want: "comment 2 needs_human job_failed, ticket 2 needs_human job_failed", live: "3 4/1 2"},
		"a vendor that answers and deletes nothing":   {first: func(_ *testing.T, w *world) { w.lies = true }, want: "comment 2 needs_human still_there, ticket 2 needs_human still_there", live: "1 2 3 4/"},
		"a refusal that passes":                       {first: func(_ *testing.T, w *world) { w.status["ticket.delete"] = 403 }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"an error of the vendor":                      {first: func(_ *testing.T, w *world) { w.status["ticket.delete"] = 500 }, want: "comment 2 erased, ticket 2 erased", live: "3 4/"},
		"no way to the account":                       {first: func(_ *testing.T, w *world) { w.nowhere = true }, want: "comment 2 needs_human no_route, ticket 2 needs_human no_route", live: "1 2 3 4/"},
		"one that was not there": {first: func(t *testing.T, w *world) {
			if err := os.Remove(filepath.Join(w.dir, "live", "1")); err != nil {
				t.Fatal(err)
			}
		}, want: "comment 1 absent, comment 1 erased, ticket 1 absent, ticket 1 erased", live: "3 4/"},
		"one that lay in the trash, and a purge that nobody hears": {first: func(t *testing.T, w *world) {
			if err := os.Rename(filepath.Join(w.dir, "live", "1"), filepath.Join(w.dir, "trash", "1")); err != nil {
				t.Fatal(err)
			}
			w.lost["deleted_ticket.purge"] = true
		}, want: "comment 1 erased, comment 1 erased answer_lost, ticket 1 erased, ticket 1 erased answer_lost", live: "3 4/"},
		"one that comes back": {at: 10, then: func(t *testing.T, w *world) {
			if err := os.WriteFile(filepath.Join(w.dir, "live", "1"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, want: "comment 1 erased, comment 1 needs_human came_back, ticket 1 erased, ticket 1 needs_human came_back", live: "1 3 4/"},
		"a hold on the ticket": {first: func(t *testing.T, w *world) { w.place(t, record("ticket", "1")) }, want: "comment 1 erased, comment 1 held, ticket 1 erased, ticket 1 held", live: "1 3 4/"},
		"a hold on a comment":  {first: func(t *testing.T, w *world) { w.place(t, record("comment", "12")) }, want: "comment 1 erased, comment 1 held, ticket 1 erased, ticket 1 held", live: "2 3 4/"},
		"a hold on what was there later than anybody saw it": {first: func(t *testing.T, w *world) {
			w.placed(t, hold.Scope{Queries: []hold.Query{{Channel: "zendesk", Type: "ticket", Since: w.time().Add(time.Hour)}}})
		}, want: "comment 2 held, ticket 2 held", live: "1 2 3 4/"},
		"a hold between deletion and purge":   {at: 1, then: func(t *testing.T, w *world) { w.place(t, record("ticket", "1")) }, want: "comment 1 erased, comment 1 needs_human held_meanwhile, ticket 1 erased, ticket 1 needs_human held_meanwhile", live: "3 4/1"},
		"a ticket that was opened again":      {first: func(t *testing.T, w *world) { w.see(t, "1", index.Closing{Known: true}) }, want: "comment 1 erased, comment 1 kept not_due, ticket 1 erased, ticket 1 kept not_due", live: "1 3 4/"},
		"comments that are kept longer":       {comments: "P120M", want: "ticket 2 kept below_not_due", live: "1 2 3 4/"},
		"a ticket that was deleted meanwhile": {first: func(t *testing.T, w *world) { w.gone(t, "1") }, want: "comment 1 absent gone_already, comment 1 erased, ticket 1 absent gone_already, ticket 1 erased", live: "1 3 4/"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				r, err := w.begin(t.Context(), fmt.Sprintf(old, cmp.Or(tt.comments, "P12M")))
				if err != nil {
					t.Fatal(err)
				}
				if tt.first != nil {
					tt.first(t, w)
				}
				n := 0
				if err := w.finish(t.Context(), r.ID, func() {
					if n == tt.at && tt.then != nil {
						tt.then(t, w)
					}
					n++
				}); err != nil {
					t.Fatal(err)
				}
				if r, err = w.s.Get(t.Context(), r.ID); err != nil || outcomes(r) != tt.want {
					t.Errorf("got %s, %v, want %s", outcomes(r), err, tt.want)
				}
				if got := strings.Join(w.list("live"), " ") + "/" + strings.Join(w.list("trash"), " "); got != tt.live {
					t.Errorf("the desk has %s, want %s", got, tt.live)
				}
			})
		})
	}
}

// An action of one call, whose answer nobody hears: the record is looked at before the call is
// made again.
func TestOneCall(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if err := w.index.Note(t.Context(), []index.Sighting{{Record: record("suspended_ticket", "4"), Created: w.now.AddDate(-3, 0, 0), At: w.now}}); err != nil {
			t.Fatal(err)
		}
		w.lost["suspended_ticket.delete"] = true
		r, err := w.begin(t.Context(), `{version: 1, revision: r1, rules: [{id: all, purpose: support, types: [suspended_ticket], from: creation, period: P1M, action: delete}]}`)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.finish(t.Context(), r.ID, func() {}); err != nil {
			t.Fatal(err)
		}
		if r, err = w.s.Get(t.Context(), r.ID); err != nil || outcomes(r) != "suspended_ticket 1 erased answer_lost" {
			t.Errorf("got %s, %v", outcomes(r), err)
		}
		if effects := w.list("effects"); len(effects) != 1 {
			t.Errorf("the desk did %q", effects)
		}
	})
}

// A vendor that hides everything from the gateway, and answers 404: nothing is called erased, and it
// all stays due.
func TestHidden(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, id := range w.list("live") {
			if err := os.Remove(filepath.Join(w.dir, "live", id)); err != nil {
				t.Fatal(err)
			}
		}
		r, err := w.begin(t.Context(), fmt.Sprintf(old, "P12M"))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.finish(t.Context(), r.ID, func() {}); err != nil {
			t.Fatal(err)
		}
		if r, err = w.s.Get(t.Context(), r.ID); err != nil || outcomes(r) != "comment 2 absent, ticket 2 absent" {
			t.Errorf("got %s, %v", outcomes(r), err)
		}
		if r, err = w.begin(t.Context(), fmt.Sprintf(old, "P12M")); err != nil || outcomes(r) != "comment 2 with, ticket 2 open" {
			t.Errorf("listed again: %s, %v", outcomes(r), err)
		}
	})
}

// Redacting inside of a record that stays: by the ids of both, and read back as redacted.
func TestRedact(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if err := os.WriteFile(filepath.Join(w.dir, "live", "part"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		conversation := index.Record{Channel: "intercom", Host: "api.intercom.io", Type: "conversation", ID: "77"}
		part, alone := conversation, conversation
		part.Type, part.ID, alone.Type, alone.ID = "part", "part", "part", "alone"
		old := w.now.AddDate(-3, 0, 0)
		if err := w.index.Note(t.Context(), []index.Sighting{{Record: conversation, Created: w.now, At: w.now}, {Record: part, Parent: conversation, Created: old, At: w.now}, {Record: alone, Created: old, At: w.now}}); err != nil {
			t.Fatal(err)
		}
		w.lost["conversation.redact"] = true
		const redact = `{version: 1, revision: r1, rules: [{id: all, purpose: support, channel: intercom, types: [part], from: creation, period: P1M, action: redact}]}`
		r, err := w.begin(t.Context(), redact)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.finish(t.Context(), r.ID, func() {}); err != nil {
			t.Fatal(err)
		}
		if r, err = w.s.Get(t.Context(), r.ID); err != nil || outcomes(r) != "part 1 erased answer_lost, part 1 needs_human above_unknown" {
			t.Errorf("got %s, %v", outcomes(r), err)
		}
		if effects := w.list("effects"); len(effects) != 1 {
			t.Errorf("the desk did %q", effects)
		}
		// What is redacted already is not asked for again.
		if r, err = w.begin(t.Context(), redact); err != nil {
			t.Fatal(err)
		}
		if err := w.finish(t.Context(), r.ID, func() {}); err != nil {
			t.Fatal(err)
		}
		if r, err = w.s.Get(t.Context(), r.ID); err != nil || outcomes(r) != "part 1 absent redacted_already, part 1 needs_human above_unknown" || len(w.list("effects")) != 1 {
			t.Errorf("again: %s, %v", outcomes(r), err)
		}
		// It is there still, and so the index does not say that it is gone.
		if sched, err := w.Schedule(`{version: 1, revision: r2, rules: [{id: all, purpose: support, channel: intercom, types: [part], from: creation, period: P1M, action: delete}]}`); err != nil {
			t.Fatal(err)
		} else if p, err := schedule.NewPlan(t.Context(), sched, schedule.Sources{DB: w.db}); err != nil || p.Matched != 2 || p.Gone != 0 {
			t.Errorf("planned again: %+v, %v", p, err)
		}
	})
}

// A gateway looks again by itself when the trash is over, and ends the run; it deletes nothing by
// itself.
func TestLook(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		look := func() (run string, step purge.Step) {
			t.Helper()
			run, step, err := w.s.Look(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			return run, step
		}
		r, err := w.begin(t.Context(), fmt.Sprintf(old, "P12M"))
		if err != nil {
			t.Fatal(err)
		}
		if run, _ := look(); run != "" || len(w.list("live")) != 4 {
			t.Fatal("something was done that nobody asked for")
		}
		for wait := time.Duration(0); wait < 24*time.Hour; {
			step, err := w.s.Next(t.Context(), r.ID, w)
			if err != nil {
				t.Fatal(err)
			}
			if wait = step.Wait; wait < 24*time.Hour {
				w.wait(wait)
			}
		}
		if run, _ := look(); run != "" {
			t.Error("it was looked at too early")
		}
		w.wait(30*24*time.Hour + time.Second)
		w.doubt = "it jumped"
		if _, _, err := w.s.Look(t.Context(), w); !errors.Is(err, purge.ErrDoubt) {
			t.Errorf("by a clock in doubt: %v", err)
		}
		w.doubt, w.nowhere = "", true
		if run, _ := look(); run != "" {
			t.Error("it was looked at over no route")
		}
		w.nowhere = false
		w.wait(time.Hour)
		for _, want := range []string{"ticket.show", "ticket.show", ""} {
			if run, step := look(); run != r.ID || step.Operation != want || step.Done != (want == "") {
				t.Errorf("got %s, %+v, want %s", run, step, want)
			}
		}
		if run, _ := look(); run != "" {
			t.Error("a run that has ended is looked at")
		}
		for _, want := range []int{1, 0} {
			ids, err := w.s.Untold(t.Context())
			if err != nil || len(ids) != want {
				t.Fatalf("untold: %q, %v", ids, err)
			}
			if err := w.s.Told(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
		}
		if r, err = w.s.Get(t.Context(), r.ID); err != nil || r.State != purge.Done || outcomes(r) != "comment 2 erased, ticket 2 erased" {
			t.Errorf("ended: %s, %s, %v", r.State, outcomes(r), err)
		}
	})
}

// Two processes carry one run on at once: whoever answers last says nothing, each call is on
// record, and nothing is done twice.
func TestTwoAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other, err := purge.NewStore(t.Context(), w.db, w.index, w.holds)
		if err != nil {
			t.Fatal(err)
		}
		other.SetClock(w.time)
		r, err := w.begin(t.Context(), fmt.Sprintf(old, "P12M"))
		if err != nil {
			t.Fatal(err)
		}
		between := 0
		w.s.OnStep(func(step string) {
			if step == "noted" || step == "asked" {
				between++
				if _, err := other.Next(t.Context(), r.ID, w); err != nil {
					t.Errorf("the other one: %v", err)
				}
			}
		})
		if err := w.finish(t.Context(), r.ID, func() {}); err != nil {
			t.Fatal(err)
		}
		if r, err = w.s.Get(t.Context(), r.ID); err != nil || outcomes(r) != "comment 2 erased, ticket 2 erased" || between < 6 {
			t.Errorf("got %s after %d, %v", outcomes(r), between, err)
		}
		if effects := w.list("effects"); len(effects) != 4 || len(w.list("live")) != 2 {
			t.Errorf("the desk did %q", effects)
		}
		doc, err := w.s.Certificate(t.Context(), r.ID)
		if calls, log := strings.Count(string(doc), `"event"`), len(w.list("log")); err != nil || calls != log {
			t.Errorf("%d calls, %d on record, %v", calls, log, err)
		}
	})
}

// A list to which nobody agrees is forgotten.
func TestForgotten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		text := fmt.Sprintf(old, "P12M")
		sched, err := w.Schedule(text)
		if err != nil {
			t.Fatal(err)
		}
		list := func() *purge.Run {
			r, _, err := w.s.Prepare(t.Context(), sched, text, "key:a", "")
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		first := list()
		if _, err := w.db.ExecContext(t.Context(), `UPDATE purge_run SET prepared = prepared - $1`, int64(31*24*time.Hour/time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		second := list()
		if all, err := w.s.List(t.Context()); err != nil || len(all) != 1 || all[0].ID != second.ID || outcomes(all[0]) != "comment 2 with, ticket 2 open" {
			t.Errorf("listed: %+v, %v", all, err)
		}
		if _, err := w.s.Get(t.Context(), first.ID); !errors.Is(err, purge.ErrNone) {
			t.Errorf("the first: %v", err)
		}
		if _, err := w.s.Get(t.Context(), second.ID); err != nil {
			t.Errorf("the second: %v", err)
		}
	})
}

func (w *world) place(t *testing.T, rec index.Record) {
	t.Helper()
	w.placed(t, hold.Scope{Records: []index.Record{rec}})
}

func (w *world) placed(t *testing.T, scope hold.Scope) {
	t.Helper()
	if _, err := w.holds.Place(t.Context(), hold.New{Matter: "M-1", Custodian: "legal", Reason: "a dispute", By: "key:c", Scope: scope}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) see(t *testing.T, id string, closed index.Closing) {
	t.Helper()
	if err := w.index.Note(t.Context(), []index.Sighting{{Record: record("ticket", id), Closed: closed, At: w.time().Add(time.Second)}}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) gone(t *testing.T, id string) {
	t.Helper()
	if err := w.index.Note(t.Context(), []index.Sighting{{Record: record("ticket", id), Gone: true, At: w.time().Add(time.Second)}}); err != nil {
		t.Fatal(err)
	}
}
