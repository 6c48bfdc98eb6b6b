package audit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// told is the model of an event that the index was told about.
type told struct {
	event Event
	at    time.Time
}

// A query's answer is what going through all events gives, whatever is combined, also
// over a clock that was set back and forth, and from the open log as from the file.
func TestQueries(t *testing.T) {
	t.Parallel()
	start := time.Now().Truncate(time.Hour)
	var now atomic.Int64
	now.Store(start.UnixMilli())
	l, dir := newLog(t, Config{Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var all []told
	for i := range 900 {
		e := Event{
			ID: NewID(), Type: pick("request.decided", "response.decided"), Route: pick("desk", "chat"), Channel: pick("zendesk", "intercom"), Operation: pick("ticket.read", "ticket.list"),
			Decision: pick(DecisionAllow, DecisionDeny), Identity: pick("credential", "asserted", "proven"), Actor: Pseudonym{1, byte(r.IntN(3))}, Mail: Pseudonym{4, byte(r.IntN(3))},
		}
		if e.Type == "response.decided" {
			e.Outcome = pick(OutcomeReleased, OutcomeNotReleased, OutcomeCut)
			if r.IntN(5) == 0 {
				e.Released = []Count{{Class: "*", NotInspected: 1}}
			}
		}
		for n := range r.IntN(4) {
			ref := Ref{ID: Pseudonym{2, byte(r.IntN(5)), byte(n)}}
			for _, class := range []string{"credit_card", "email", "us_ssn"} {
				if r.IntN(3) == 0 {
					ref.Classes = append(ref.Classes, class)
				}
			}
			e.Subjects = append(e.Subjects, ref)
		}
		e.Records = []Ref{{ID: Pseudonym{3, byte(r.IntN(4))}}}
		// Mostly forward, at times far back: the order of the log is not that of time.
		now.Add(int64(r.IntN(2000)))
		if i%300 == 299 {
			now.Add(-int64(20 * time.Minute / time.Millisecond))
		}
		s, err := l.Reserve(t.Context(), LaneReserved)
		if err != nil {
			t.Fatal(err)
		}
		e.Flood = fmt.Sprint(i) // no two denials are counted together
		w := s.Append(e)
		all = append(all, told{e, time.UnixMilli(now.Load())})
		if i%50 == 49 || i == 899 {
			if _, err := w.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.Release()
	}
	queries := make([]Query, 150)
	if testing.Short() {
		queries = queries[:50]
	}
	actors, mails, subjects := make([]Pseudonym, len(queries)), make([]Pseudonym, len(queries)), make([]Pseudonym, len(queries))
	for i := range queries {
		q := &queries[i]
		if r.IntN(2) == 0 {
			q.From = start.Add(time.Duration(r.IntN(900)) * time.Second)
		}
		if r.IntN(2) == 0 {
			q.To = start.Add(time.Duration(r.IntN(900)) * time.Second)
		}
		if r.IntN(3) == 0 {
			actors[i] = Pseudonym{1, byte(r.IntN(4))}
			q.Actor = func(origin string) Pseudonym {
				if origin != l.Origin() {
					t.Errorf("asked for a pseudonym in %s", origin)
				}
				return actors[i]
			}
		}
		if r.IntN(3) == 0 {
			mails[i] = Pseudonym{4, byte(r.IntN(4))}
			q.Mail = func(string) Pseudonym { return mails[i] }
		}
		if r.IntN(3) == 0 {
			subjects[i] = Pseudonym{2, byte(r.IntN(5)), byte(r.IntN(3))}
			q.Subject = func(string) Pseudonym { return subjects[i] }
		} else if r.IntN(3) == 0 {
			q.Record = Pseudonym{3, byte(r.IntN(4))}
		}
		for _, f := range []struct {
			to     *string
			values []string
		}{{&q.Class, []string{"credit_card", "us_ssn", "iban"}}, {&q.Route, []string{"desk", "chat", "mail"}}, {&q.Channel, []string{"zendesk"}}, {&q.Type, []string{"response.decided"}}, {&q.Decision, []string{DecisionDeny}}, {&q.Operation, []string{"ticket.list"}}} {
			if r.IntN(4) == 0 {
				*f.to = pick(f.values...)
			}
		}
	}
	meant := func(i int, m told) bool {
		q, e := &queries[i], &m.event
		is := func(want, have string) bool { return want == "" || want == have }
		return (q.From.IsZero() || !m.at.Before(q.From)) && (q.To.IsZero() || m.at.Before(q.To)) && (q.Actor == nil || e.Actor == actors[i]) && (q.Mail == nil || e.Mail == mails[i]) &&
			is(q.Type, e.Type) && is(q.Route, e.Route) && is(q.Channel, e.Channel) && is(q.Operation, e.Operation) && is(q.Decision, e.Decision) && is(q.Reason, e.Reason)
	}
	refs := func(i int, e *Event) (out []Exposure) {
		q := &queries[i]
		for _, s := range e.Subjects {
			if (q.Subject == nil || s.ID == subjects[i]) && q.Record == (Pseudonym{}) {
				for _, c := range append(slices.Clone(s.Classes), "") {
					if q.Class == "" || q.Class == c {
						out = append(out, Exposure{Who: s.ID, Class: c})
					}
				}
			}
		}
		for _, s := range e.Records {
			if q.Subject == nil && (q.Record == (Pseudonym{}) || s.ID == q.Record) && q.Class == "" {
				out = append(out, Exposure{Who: s.ID, Record: true})
			}
		}
		return out
	}
	check := func(t *testing.T, x *Index) {
		t.Helper()
		for i, q := range queries {
			var want []ID
			exposed, answers, unread := map[Exposure]int64{}, map[string]int64{}, map[string]int64{}
			used, newest := map[Used]Used{}, map[Used]time.Time{}
			for _, m := range slices.Backward(all) {
				e := &m.event
				if !meant(i, m) {
					continue
				}
				key := Used{Origin: l.Origin(), Actor: e.Actor, Identity: e.Identity, Type: e.Type, Channel: e.Channel, Operation: e.Operation}
				u := used[key]
				if u.Events == 0 {
					u.Receipt = e.ID
				}
				u.Events, u.People = u.Events+1, u.People+int64(len(e.Subjects))
				if m.at.After(newest[key]) {
					newest[key] = m.at
				}
				used[key] = u
				found := refs(i, e)
				if q.Subject == nil && q.Record == (Pseudonym{}) && q.Class == "" || len(found) > 0 {
					want = append(want, e.ID)
				}
				if e.Outcome != OutcomeReleased && e.Outcome != OutcomeCut {
					continue
				}
				answers[e.Route]++
				unread[e.Route] += int64(len(e.Released))
				for _, f := range found {
					if f.Class != "" {
						f.Actor, f.Identity, f.Route, f.Channel = e.Actor, e.Identity, e.Route, e.Channel
						exposed[f]++
					}
				}
			}
			entries, more, err := x.Entries(t.Context(), q, 40)
			if err != nil {
				t.Fatal(err)
			}
			var got []ID
			for _, e := range entries {
				if e.Type != TypeGenesis && e.Type != TypeClockStepped {
					got = append(got, e.ID)
				}
			}
			if len(entries) < 40 && (more || !slices.Equal(got, want)) || len(entries) == 40 && (len(want) < len(got) || !slices.Equal(got, want[:len(got)])) {
				t.Errorf("query %d: got %d entries (more: %t), want %d in this order", i, len(got), more, len(want))
			}
			rows, more, err := x.Exposures(t.Context(), q, 10000)
			if err != nil || more || len(rows) != len(exposed) {
				t.Errorf("query %d: got %d exposures, want %d (%v)", i, len(rows), len(exposed), err)
			}
			for _, v := range rows {
				times := v.Times
				v.Times, v.First, v.Last, v.Receipt, v.Origin = 0, time.Time{}, time.Time{}, ID{}, ""
				if exposed[v] != times {
					t.Errorf("query %d: an exposure of %s %d times, want %d", i, v.Class, times, exposed[v])
				}
			}
			uses, err := x.Uses(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			uses = slices.DeleteFunc(uses, func(u Used) bool { return u.Type == TypeGenesis || u.Type == TypeClockStepped })
			if len(uses) != len(used) {
				t.Errorf("query %d: %d uses, want %d", i, len(uses), len(used))
			}
			for _, u := range uses {
				key := u
				key.Events, key.People, key.Last, key.Receipt = 0, 0, time.Time{}, ID{}
				if want := used[key]; u.Events != want.Events || u.People != want.People || u.Receipt != want.Receipt || !u.Last.Equal(newest[key]) {
					t.Errorf("query %d: %d events with %d people, last %s at %s; want %d, %d, %s at %s", i, u.Events, u.People, u.Receipt, u.Last, want.Events, want.People, want.Receipt, newest[key])
				}
			}
			coverage, err := x.Coverage(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if q.Subject == nil && q.Record == (Pseudonym{}) && q.Class == "" {
				for _, c := range coverage {
					if answers[c.Route] != c.Answers || unread[c.Route] != c.Unread {
						t.Errorf("query %d: route %s: %d answers, %d unread, want %d and %d", i, c.Route, c.Answers, c.Unread, answers[c.Route], unread[c.Route])
					}
				}
				if len(coverage) != len(answers) {
					t.Errorf("query %d: %d routes, want %d", i, len(coverage), len(answers))
				}
			}
		}
	}
	covered(t, l)
	check(t, l.Index())
	mustClose(t, l)
	x, err := OpenIndex(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	check(t, x)
}

// A page of 1,000 tickets is 1,000 exposures, and each names an event that shows it.
func TestExposuresOfPage(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, Config{})
	e := Event{Type: "response.decided", Outcome: OutcomeReleased, Route: "desk", Channel: "zendesk", Identity: "asserted", Actor: Pseudonym{1}}
	for i := range 1000 {
		e.Subjects = append(e.Subjects, Ref{ID: Pseudonym{5, byte(i >> 8), byte(i)}, Classes: []string{"credit_card"}})
	}
	record(t, l, e)
	record(t, l, e)
	covered(t, l)
	rows, more, err := l.Index().Exposures(t.Context(), Query{Class: "credit_card"}, 999)
	if err != nil || !more || len(rows) != 999 {
		t.Errorf("got %d rows, more %t (%v), want 999 and more", len(rows), more, err)
	}
	rows, more, err = l.Index().Exposures(t.Context(), Query{Class: "credit_card"}, 1000)
	if err != nil || more || len(rows) != 1000 {
		t.Fatalf("got %d rows, more %t (%v), want 1000", len(rows), more, err)
	}
	for _, v := range []Exposure{rows[0], rows[999]} {
		leaf, err := l.Find(t.Context(), v.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		if v.Times != 2 || !slices.ContainsFunc(leaf.Subjects, func(r Ref) bool { return r.ID == v.Who }) {
			t.Errorf("an exposure of %d times names an event that does not show it", v.Times)
		}
	}
}

// A log in which everything has left the intake is settled, also right after it was
// opened.
func TestSettleAfterOpen(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{})
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), dir, l.core.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := again.Settle(ctx); err != nil {
		t.Errorf("got %v", err)
	}
}

// So is one whose process died between the checkpoint and the deletion of its rows:
// nothing new has to be recorded first.
func TestSettleAfterCrash(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond, hooks: func(p hookPoint) error {
		if p == hookPublish && armed.Load() {
			return errInjected
		}
		return nil
	}})
	armed.Store(true)
	_, _ = tryRecord(t.Context(), l, sample(1))
	waitFailed(t, l)
	again := reopen(t, image(t, dir), Config{Checkpoint: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := again.Settle(ctx); err != nil {
		t.Errorf("got %v", err)
	}
}
