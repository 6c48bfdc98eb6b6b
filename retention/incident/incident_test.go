package incident_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/incident"
)

// The environment of a child that changes an incident and dies at a step.
const (
	dieAt    = "CAREGATE_INCIDENT_DIES_AT"
	dieDoing = "CAREGATE_INCIDENT_DIES_DOING"
	dieWhere = "CAREGATE_INCIDENT_DIES_IN"
)

func TestMain(m *testing.M) { leaks.MainOrDie(m, dieAt, changeAndDie) }

const onPostgres = "TestOnPostgres"

// TestOnPostgres runs the tests of what is stored again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"Dates": TestDates, "Failsafe": TestFailsafe, "Decision": TestDecision, "Drill": TestDrill, "Scope": TestScope, "Notices": TestNotices,
		"Causes": TestCauses, "CausesAtOnce": TestCausesAtOnce, "Waived": TestWaived, "Moments": TestMoments, "BeforeTheLaw": TestBeforeTheLaw, "Classified": TestClassified, "Doubt": TestDoubt, "WrongClock": TestWrongClock, "SecondDoubt": TestSecondDoubt, "SentBySlip": TestSentBySlip, "Listed": TestListed, "AwareBySlip": TestAwareBySlip, "Recounted": TestRecounted, "Seen": TestSeen,
		"Raised": TestRaised, "ManyGateways": TestManyGateways, "Closing": TestClosing, "Recorded": TestRecorded, "Killed": TestKilled,
	} {
		t.Run(name, test)
	}
}

// world is a database with incidents and a clock that only the test moves.
type world struct {
	where  string
	db     *store.DB
	duties *retention.Store
	s      *incident.Store

	mu     sync.Mutex
	wall   time.Time
	raised []string
}

var began = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func open(ctx context.Context, where string, now func() time.Time) (*store.DB, *retention.Store, *incident.Store, error) {
	db, err := store.Open(ctx, where, store.Options{Create: true})
	if err != nil {
		return nil, nil, nil, err
	}
	register, err := clock.Builtin()
	if err != nil {
		return nil, nil, nil, err
	}
	duties, err := retention.Open(ctx, db, register)
	if err != nil {
		return nil, nil, nil, err
	}
	if now != nil {
		duties = duties.WithClock(now)
	}
	s, err := incident.New(ctx, db, duties, register)
	return db, duties, s, err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{where: filepath.Join(t.TempDir(), "state.db"), wall: began}
	if strings.HasPrefix(t.Name(), onPostgres+"/") {
		w.where = pgtest.Database(t)
	}
	var err error
	if w.db, w.duties, w.s, err = open(t.Context(), w.where, w.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wall
}

func (w *world) set(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wall = at
}

// run lets a runner that was just started do what is due.
func (w *world) run(t *testing.T) {
	t.Helper()
	r := w.runner(t)
	for range 1000 {
		worked, err := r.Once(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !worked {
			return
		}
	}
	t.Fatal("the runner finds no end")
}

func (w *world) runner(t *testing.T) *retention.Runner {
	t.Helper()
	r, err := retention.NewRunner(retention.Config{Store: w.duties, Kinds: w.s.Kinds(func(d incident.Duty, stage string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.raised = append(w.raised, d.Rule+"/"+d.Place+" "+stage)
	}), Record: func(_ context.Context, e retention.Entry) (string, error) { return "leaf", nil }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// took returns what was raised since it was called last, sorted.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.raised
	w.raised = nil
	slices.Sort(list)
	return list
}

func (w *world) open(t *testing.T, suspected time.Time, f incident.Facts) incident.Incident {
	t.Helper()
	i, err := w.s.Open(t.Context(), incident.NewIncident{Title: "An export nobody asked for", By: "user:1", Suspected: suspected, Facts: f})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func must(t *testing.T) func(incident.Incident, error) incident.Incident {
	return func(i incident.Incident, err error) incident.Incident {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
}

// refused tells whether a change was refused with a text that may be shown.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, incident.ErrWish) {
		t.Errorf("%s: got %v, want it refused", what, err)
	}
}

// duty finds the duty of a rule that is not replaced.
func duty(t *testing.T, i incident.Incident, name string) incident.Duty {
	t.Helper()
	for _, d := range i.Duties {
		if (d.Rule == name || d.Rule+"/"+d.Place == name) && d.State != incident.DutyRebased {
			return d
		}
	}
	t.Fatalf("there is no duty %s in %v", name, names(i))
	return incident.Duty{}
}

func names(i incident.Incident) (list []string) {
	for _, d := range i.Duties {
		list = append(list, d.Rule+"/"+d.Place+" "+d.State)
	}
	slices.Sort(list)
	return list
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every breach clock of the register is known, and every rule that is named is in the register
// and in force.
func TestEveryBreachRule(t *testing.T) {
	t.Parallel()
	register, err := clock.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	known := incident.Rules()
	for _, r := range register.Rules() {
		breach := strings.Contains(r.ID, ".breach.") || r.ID == "br.breach" || slices.Contains([]string{"eu.processor.notify", "sec.8k105", "int.escalate", "int.external"}, r.ID) ||
			strings.HasPrefix(r.ID, "nis2.") || strings.HasPrefix(r.ID, "dora.") || strings.HasPrefix(r.ID, "cra.")
		if breach != slices.Contains(known, r.ID) {
			t.Errorf("%s: a breach clock is %v, known %v", r.ID, breach, !breach)
		}
	}
	slices.Sort(known)
	if len(slices.Compact(known)) != len(incident.Rules()) {
		t.Error("a rule is named twice")
	}
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: incident.Places(), Sectors: incident.Sectors(), Role: incident.Both, HighRisk: began, Material: began, Classified: began, Fix: began})
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	for _, rule := range []string{"nis2.notify", "dora.initial", "dora.intermediate", "cra.notify", "ca.breach.residents"} {
		for _, d := range i.Duties {
			if d.Rule == rule {
				i = must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: rule, Place: d.Place, Sent: began}))
			}
		}
	}
	var owed []string
	for _, d := range i.Duties {
		owed = append(owed, d.Rule)
	}
	slices.Sort(owed)
	if got := slices.Compact(owed); !slices.Equal(got, known) {
		t.Errorf("with every fact known, %v are owed, want %v", got, known)
	}
}

// The dates of law, through the store: what an incident owes is due when the register's vectors
// say.
func TestDates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const eu, us = "de", "us"
	for _, v := range []struct {
		aware, rule, legal string
		facts              incident.Facts
	}{
		{"2026-12-18T16:00:00+01:00", "int.escalate", "2026-12-19T16:00:00+01:00", incident.Facts{}},
		{"2026-12-18T16:00:00+01:00", "int.external", "2026-12-21T16:00:00+01:00", incident.Facts{}},
		{"2026-12-18T16:00:00+01:00", "eu.breach.authority", "2026-12-21T16:00:00+01:00", incident.Facts{Places: []string{eu}}},
		{"2026-12-24T12:17:00+01:00", "eu.breach.authority", "2026-12-27T12:17:00+01:00", incident.Facts{Places: []string{eu}}},
		{"2027-03-26T18:30:00+01:00", "eu.breach.authority", "2027-03-29T19:30:00+02:00", incident.Facts{Places: []string{eu}}},
		{"2026-10-23T10:00:00+02:00", "eu.breach.authority", "2026-10-26T09:00:00+01:00", incident.Facts{Places: []string{eu}}},
		{"2026-10-25T02:30:00+02:00", "eu.breach.authority", "2026-10-28T01:30:00+01:00", incident.Facts{Places: []string{eu}}},
		{"2026-10-25T02:30:00+01:00", "eu.breach.authority", "2026-10-28T02:30:00+01:00", incident.Facts{Places: []string{eu}}},
		{"2027-03-13T20:00:00-05:00", "eu.breach.authority", "2027-03-16T21:00:00-04:00", incident.Facts{Places: []string{eu}}},
		{"2026-11-01T01:30:00-04:00", "int.escalate", "2026-11-02T00:30:00-05:00", incident.Facts{}},
		{"2026-11-20T23:45:00+11:00", "uk.breach.authority", "2026-11-23T12:45:00Z", incident.Facts{Places: []string{"gb"}}},
		{"2028-02-27T09:05:00Z", "uk.breach.authority", "2028-03-01T09:05:00Z", incident.Facts{Places: []string{"gb"}}},
		{"2026-01-31T12:00:00-08:00", "ca.breach.residents", "2026-03-03T00:00:00-08:00", incident.Facts{Places: []string{"us-ca"}}},
		{"2028-01-31T12:00:00-08:00", "ca.breach.residents", "2028-03-02T00:00:00-08:00", incident.Facts{Places: []string{"us-ca"}}},
		{"2026-11-22T12:00:00-08:00", "ca.breach.residents", "2026-12-23T00:00:00-08:00", incident.Facts{Places: []string{"us-ca"}}},
		{"2026-12-01T12:00:00-06:00", "us.tx.breach.ag", "2027-01-01T00:00:00-06:00", incident.Facts{Places: []string{"us-tx"}}},
		{"2026-12-01T12:00:00-06:00", "us.tx.breach.residents", "2027-01-31T00:00:00-06:00", incident.Facts{Places: []string{"us-tx"}}},
		{"2026-11-30T12:00:00-05:00", "hipaa.breach.individual", "2027-01-30T00:00:00-05:00", incident.Facts{Places: []string{us}, Sectors: []string{"hipaa"}}},
		{"2028-01-01T12:00:00-05:00", "hipaa.breach.individual", "2028-03-02T00:00:00-05:00", incident.Facts{Places: []string{us}, Sectors: []string{"hipaa"}}},
		{"2027-01-31T12:00:00-05:00", "hipaa.breach.hhs500", "2027-04-02T00:00:00-04:00", incident.Facts{Places: []string{us}, Sectors: []string{"hipaa"}}},
		{"2026-05-05T12:00:00-04:00", "hipaa.breach.small", "2027-03-02T00:00:00-05:00", incident.Facts{Places: []string{us}, Sectors: []string{"hipaa"}}},
		{"2027-05-05T12:00:00-04:00", "hipaa.breach.small", "2028-03-01T00:00:00-05:00", incident.Facts{Places: []string{us}, Sectors: []string{"hipaa"}}},
		{"2026-11-24T12:00:00-05:00", "sec.8k105", "2026-12-03T00:00:00-05:00", incident.Facts{Places: []string{us}, Sectors: []string{"sec"}, Material: at(t, "2026-11-25T12:00:00-05:00")}},
		{"2026-12-18T12:00:00-05:00", "sec.8k105", "2026-12-25T00:00:00-05:00", incident.Facts{Places: []string{us}, Sectors: []string{"sec"}, Material: at(t, "2026-12-19T12:00:00-05:00")}},
		{"2026-12-23T22:10:00+01:00", "nis2.warning", "2026-12-24T22:10:00+01:00", incident.Facts{Places: []string{eu}, Sectors: []string{"nis2"}}},
		{"2026-12-23T22:10:00+01:00", "nis2.notify", "2026-12-26T22:10:00+01:00", incident.Facts{Places: []string{eu}, Sectors: []string{"nis2"}}},
		{"2026-12-18T09:00:00+01:00", "dora.initial", "2026-12-18T15:30:00+01:00", incident.Facts{Places: []string{eu}, Sectors: []string{"dora"}, Classified: at(t, "2026-12-18T11:30:00+01:00")}},
		{"2026-12-18T09:00:00+01:00", "dora.initial", "2026-12-19T09:00:00+01:00", incident.Facts{Places: []string{eu}, Sectors: []string{"dora"}, Classified: at(t, "2026-12-19T07:00:00+01:00")}},
		{"2026-12-18T09:00:00+01:00", "dora.initial", "2026-12-20T12:00:00+01:00", incident.Facts{Places: []string{eu}, Sectors: []string{"dora"}, Classified: at(t, "2026-12-20T08:00:00+01:00")}},
		{"2027-02-10T09:00:00+01:00", "cra.final.fix", "2027-03-07T00:00:00+01:00", incident.Facts{Places: []string{eu}, Sectors: []string{"cra"}, Fix: at(t, "2027-02-20T12:00:00+01:00")}},
		{"2026-11-18T12:00:00-03:00", "br.breach", "2026-11-25T00:00:00-03:00", incident.Facts{Places: []string{"br"}}},
		{"2026-12-23T12:00:00-03:00", "br.breach", "2026-12-30T00:00:00-03:00", incident.Facts{Places: []string{"br"}}},
		{"2027-02-05T12:00:00-03:00", "br.breach", "2027-02-11T00:00:00-03:00", incident.Facts{Places: []string{"br"}}},
	} {
		w.set(at(t, v.aware).AddDate(0, 1, 0))
		i := w.open(t, at(t, v.aware), v.facts)
		i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: at(t, v.aware), Reason: "confirmed"}))
		d := duty(t, i, v.rule)
		if want := at(t, v.legal); !d.LegalDue.Equal(want) {
			t.Errorf("%s, known %s: due %s, want %s", v.rule, v.aware, d.LegalDue.Format(time.RFC3339), v.legal)
		}
		if d.PlanBy.After(d.LegalDue) {
			t.Errorf("%s, known %s: planned for %s, after it is due", v.rule, v.aware, d.PlanBy)
		}
		o, err := w.duties.Get(t.Context(), d.ID)
		if err != nil || !o.Due.Equal(d.PlanBy) || o.State != retention.StateOpen {
			t.Errorf("%s: the duty is %+v (%v), want it open and due %s", v.rule, o, err, d.PlanBy)
		}
	}
}

// What follows a notice is due when the vectors say.
func TestFollowing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, v := range []struct {
		aware, rule, sent, follows, legal string
		facts                             incident.Facts
	}{
		{"2026-12-23T22:10:00+01:00", "nis2.notify", "2026-12-26T10:00:00+01:00", "nis2.final", "2027-01-27T00:00:00+01:00", incident.Facts{Places: []string{"de"}, Sectors: []string{"nis2"}}},
		{"2027-01-30T22:10:00+01:00", "nis2.notify", "2027-01-31T10:00:00+01:00", "nis2.final", "2027-03-01T00:00:00+01:00", incident.Facts{Places: []string{"de"}, Sectors: []string{"nis2"}}},
		{"2026-12-18T09:00:00+01:00", "dora.initial", "2026-12-19T08:59:59+01:00", "dora.intermediate", "2026-12-22T08:59:59+01:00", incident.Facts{Places: []string{"de"}, Sectors: []string{"dora"}}},
		{"2027-01-30T09:00:00+01:00", "cra.notify", "2027-01-31T09:00:00+01:00", "cra.final.incident", "2027-03-01T00:00:00+01:00", incident.Facts{Places: []string{"de"}, Sectors: []string{"cra"}}},
		{"2026-03-01T09:00:00-08:00", "ca.breach.residents", "2026-03-02T09:00:00-08:00", "ca.breach.ag", "2026-03-18T00:00:00-07:00", incident.Facts{Places: []string{"us-ca"}}},
	} {
		w.set(at(t, v.aware).AddDate(0, 1, 0))
		i := w.open(t, at(t, v.aware), v.facts)
		must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: at(t, v.aware), Reason: "confirmed"}))
		i = must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: v.rule, Sent: at(t, v.sent)}))
		if d, want := duty(t, i, v.follows), at(t, v.legal); !d.LegalDue.Equal(want) {
			t.Errorf("%s after %s of %s: due %s, want %s", v.follows, v.rule, v.sent, d.LegalDue.Format(time.RFC3339), v.legal)
		}
	}
}

// Nobody decides: when the time of the escalation is over, the incident counts as known since
// it was suspected, and the clocks of law run from then.
func TestFailsafe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began.Add(-time.Hour), incident.Facts{Places: []string{"de"}})
	if got, want := names(i), []string{"int.escalate/all open", "int.external/all open"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	w.set(began.Add(23*time.Hour - time.Second))
	w.run(t)
	if i = must(t)(w.s.Get(t.Context(), i.ID)); !i.Aware.IsZero() {
		t.Fatalf("known since %s before the time was over", i.Aware)
	}
	w.set(began.Add(23 * time.Hour))
	w.run(t)
	i = must(t)(w.s.Get(t.Context(), i.ID))
	if !i.Aware.Equal(i.Suspected) || i.Basis != incident.ByFailsafe {
		t.Fatalf("known since %s by %q, want the suspicion and the fail-safe", i.Aware, i.Basis)
	}
	if d := duty(t, i, "eu.breach.authority/de"); !d.LegalDue.Equal(i.Suspected.Add(72 * time.Hour)) {
		t.Errorf("due %s", d.LegalDue)
	}
	// A person decides after all: the clocks count from what was decided.
	known := began.Add(10 * time.Hour)
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: known, Reason: "confirmed"}))
	for _, name := range []string{"eu.breach.authority/de", "int.external/all"} {
		if d := duty(t, i, name); !d.LegalDue.Equal(known.Add(72 * time.Hour)) {
			t.Errorf("%s: due %s, want it counted from the decision", name, d.LegalDue)
		}
	}
	if got := names(i); !slices.Contains(got, "eu.breach.authority/de rebased") {
		t.Errorf("the clock before is lost: %v", got)
	}
}

// A decision in time ends the wait for it.
func TestDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began.Add(-time.Hour), incident.Facts{Places: []string{"fr"}})
	for what, at := range map[string]time.Time{"in the future": began.Add(time.Second), "never": {}} {
		_, err := w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: at, Reason: "confirmed"})
		refused(t, what, err)
	}
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	if i.Basis != incident.ByDecision || !duty(t, i, "int.escalate").LegalDue.Equal(began.Add(24*time.Hour)) {
		t.Errorf("got %+v", i)
	}
	// Known earlier than it was suspected: the suspicion stays as it was entered.
	early := began.Add(-48 * time.Hour)
	if i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: early, Reason: "confirmed"})); !i.Aware.Equal(early) || !i.Suspected.Equal(began.Add(-time.Hour)) {
		t.Errorf("known since %s, suspected since %s", i.Aware, i.Suspected)
	}
	w.set(began.Add(30 * time.Hour))
	w.run(t)
	if i = must(t)(w.s.Get(t.Context(), i.ID)); i.Basis != incident.ByDecision || !i.Aware.Equal(early) {
		t.Errorf("the decision was replaced: %+v", i)
	}
}

// A drill makes no duty and nobody aware, whatever time passes.
func TestDrill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i, err := w.s.Open(t.Context(), incident.NewIncident{Title: "Drill", Drill: true, By: "user:1", Facts: incident.Facts{Places: []string{"de"}, HighRisk: began}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"})
	refused(t, "awareness", err)
	_, err = w.s.Dismiss(t.Context(), i.ID, "user:1", "nothing")
	refused(t, "a decision", err)
	_, err = w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: "int.escalate", Sent: began})
	refused(t, "a notice", err)
	must(t)(w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{Places: []string{"at"}}))
	w.set(began.Add(240 * time.Hour))
	w.run(t)
	i = must(t)(w.s.Close(t.Context(), i.ID, "user:1"))
	var n int
	if err := w.db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM obligation) + (SELECT count(*) FROM obligation_event) + (SELECT count(*) FROM incident_duty)`).Scan(&n); err != nil || n != 0 {
		t.Errorf("a drill left %d rows of duties (%v)", n, err)
	}
	if !i.Aware.IsZero() || i.Outcome != incident.OutcomeDrill {
		t.Errorf("got %+v", i)
	}
	for _, e := range i.Events {
		if e.Body["drill"] != "yes" {
			t.Errorf("%s does not say that it is of a drill", e.Kind)
		}
	}
	if _, err := w.db.ExecContext(t.Context(), `UPDATE incident SET aware = 1, basis = 'decision'`); err == nil {
		t.Error("the table lets a drill make somebody aware")
	}
}

// Places, sectors and roles add duties, from the same beginning; nothing is taken away.
func TestScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: []string{"de"}, Role: incident.Processor})
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	if got, want := names(i), []string{"eu.processor.notify/de open", "int.escalate/all open", "int.external/all open"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	w.set(began.Add(5 * time.Hour))
	i = must(t)(w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{Places: []string{"fr", "de", "gb"}, Sectors: []string{"dora"}, Role: incident.Controller, HighRisk: began.Add(time.Hour)}))
	want := []string{"dora.initial/de open", "dora.initial/fr open", "eu.breach.authority/de open", "eu.breach.authority/fr open", "eu.breach.subjects/de open", "eu.breach.subjects/fr open",
		"eu.processor.notify/de open", "eu.processor.notify/fr open", "int.escalate/all open", "int.external/all open", "uk.breach.authority/gb open"}
	if got := names(i); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d := duty(t, i, "eu.breach.authority/fr"); !d.LegalDue.Equal(began.Add(72 * time.Hour)) {
		t.Errorf("a place that was found later has its own time: %s", d.LegalDue)
	}
	for what, f := range map[string]incident.Facts{
		"a place nobody knows": {Places: []string{"atlantis"}}, "a sector nobody knows": {Sectors: []string{"magic"}}, "a role nobody knows": {Role: "owner"},
		"nothing new": {Places: []string{"de"}}, "a risk in the future": {HighRisk: began.Add(6 * time.Hour)}, "a window that ends before it begins": {From: began, To: began.Add(-1)},
		"a name with spaces": {Class: "jane doe"},
	} {
		_, err := w.s.Scope(t.Context(), i.ID, "user:1", f)
		refused(t, what, err)
	}
	if got := names(must(t)(w.s.Get(t.Context(), i.ID))); !slices.Equal(got, want) {
		t.Errorf("what was refused left %v", got)
	}
	if _, err := w.s.Scope(t.Context(), "none", "user:1", incident.Facts{}); !errors.Is(err, incident.ErrNone) {
		t.Errorf("got %v", err)
	}
}

// A notice ends its duty; a late one needs a reason; one that is not owed, too.
func TestNotices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: []string{"de", "fr", "at"}})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	w.set(began.Add(80 * time.Hour))
	in := began.Add(71 * time.Hour)
	for what, n := range map[string]incident.Notice{
		"no place":              {Rule: "eu.breach.authority", Sent: in},
		"a rule it owes not":    {Rule: "br.breach", Sent: in},
		"late and no reason":    {Rule: "eu.breach.authority", Place: "de", Sent: began.Add(72 * time.Hour)},
		"in the future":         {Rule: "eu.breach.authority", Place: "de", Sent: began.Add(81 * time.Hour)},
		"before the suspicion":  {Rule: "eu.breach.authority", Place: "de", Sent: began.Add(-time.Hour)},
		"at no time":            {Rule: "eu.breach.authority", Place: "de"},
		"a reason of words":     {Rule: "eu.breach.authority", Place: "de", Reason: "we slept"},
		"a proof that is words": {Rule: "eu.breach.authority", Place: "de", Sent: in, Proof: "in the drawer"},
	} {
		_, err := w.s.Notice(t.Context(), i.ID, "user:1", n)
		refused(t, what, err)
	}
	must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: "eu.breach.authority", Place: "de", Sent: in, Proof: "LDA-4711"}))
	must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: "eu.breach.authority", Place: "fr", Sent: began.Add(72 * time.Hour), Reason: "facts_unknown"}))
	must(t)(w.s.Waive(t.Context(), i.ID, "user:1", incident.Notice{Rule: "eu.breach.authority", Place: "at", Reason: "risk_unlikely"}))
	i = must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: "eu.breach.authority", Place: "de", Sent: began.Add(79 * time.Hour)}))
	if got, want := names(i), []string{"eu.breach.authority/at waived", "eu.breach.authority/de sent", "eu.breach.authority/fr sent", "int.escalate/all open", "int.external/all open"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d := duty(t, i, "eu.breach.authority/de"); !d.Sent.Equal(in) || d.Proof != "LDA-4711" {
		t.Errorf("got %+v", d)
	}
	phases, late := 0, 0
	for _, e := range i.Events {
		if e.Body["phase"] == "further" {
			phases++
		}
		if e.Body["late"] == "yes" {
			late++
		}
	}
	if phases != 1 || late != 1 {
		t.Errorf("%d further phases and %d late notices are noted, want one each", phases, late)
	}
	for _, d := range i.Duties {
		o, err := w.duties.Get(t.Context(), d.ID)
		if err != nil || (o.State == retention.StateDone) != (d.State != incident.DutyOpen) {
			t.Errorf("%s is %s, its duty %s (%v)", d.ID, d.State, o.State, err)
		}
	}
	// A notice that is settled stays so, whatever is decided later.
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began.Add(time.Hour), Reason: "confirmed"}))
	if got := names(i); !slices.Contains(got, "eu.breach.authority/at waived") || !slices.Contains(got, "eu.breach.authority/de sent") {
		t.Errorf("got %v", got)
	}
}

// A notice is raised before it is due and when it is over, again and again until somebody
// acknowledges the stage.
func TestRaised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: []string{"de"}})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	must(t)(w.s.Waive(t.Context(), i.ID, "user:1", incident.Notice{Rule: "int.external", Reason: "other_way"}))
	at := func(d time.Duration, want ...string) {
		t.Helper()
		w.set(began.Add(d))
		w.run(t)
		if got := w.took(); !slices.Equal(got, want) {
			t.Errorf("%s later %v was raised, want %v", d, got, want)
		}
	}
	const escalate, authority = "int.escalate/all ", "eu.breach.authority/de "
	at(15 * time.Hour)
	at(16*time.Hour, escalate+"soon")
	at(16*time.Hour + time.Minute)
	at(17*time.Hour, escalate+"soon")
	must(t)(w.s.Ack(t.Context(), i.ID, "user:1", incident.Seen{Rule: "int.escalate", Place: "all", Stage: incident.Soon}))
	at(18 * time.Hour)
	at(23*time.Hour + 50*time.Minute)
	at(24*time.Hour, escalate+"overdue") // also within the hour after the last look
	at(25*time.Hour, escalate+"overdue")
	must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: "int.escalate", Sent: began.Add(time.Hour)}))
	at(47 * time.Hour)
	at(48*time.Hour, authority+"soon")
	at(72*time.Hour, authority+"overdue")
	must(t)(w.s.Ack(t.Context(), i.ID, "user:1", incident.Seen{Rule: "eu.breach.authority", Place: "de", Stage: incident.Overdue}))
	at(200 * time.Hour)
	i = must(t)(w.s.Get(t.Context(), i.ID))
	if d := duty(t, i, "eu.breach.authority"); d.State != incident.DutyOpen || d.StageAt(w.now()) != incident.Overdue || d.Acked != incident.Overdue {
		t.Errorf("acknowledging ended the duty: %+v", d)
	}
	count, err := w.s.Stages(t.Context())
	if err != nil || count[incident.Overdue] != 1 || count[incident.Soon] != 0 {
		t.Errorf("got %v (%v)", count, err)
	}
	raised := 0
	for _, e := range i.Events {
		if e.Kind == incident.EventRaised {
			raised++
		}
	}
	if raised != 6 {
		t.Errorf("%d entries say that something was raised, want 6", raised)
	}
}

// A notice that is not owed says why; it is sent all the same, or owed after all, and then its
// clock runs from where it began.
func TestWaived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: []string{"us-ca", "de"}})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	residents, authority, escalate := incident.Notice{Rule: "ca.breach.residents"}, incident.Notice{Rule: "eu.breach.authority"}, incident.Notice{Rule: "int.escalate"}
	for what, n := range map[string]incident.Notice{"no reason": authority, "it was sent": {Rule: authority.Rule, Sent: began, Reason: "late"}} {
		_, err := w.s.Waive(t.Context(), i.ID, "user:1", n)
		refused(t, what, err)
	}
	_, err := w.s.Restore(t.Context(), i.ID, "user:1", authority)
	refused(t, "it was not waived", err)
	for _, n := range []incident.Notice{residents, authority, escalate} {
		n.Reason = "risk_unlikely"
		must(t)(w.s.Waive(t.Context(), i.ID, "user:1", n))
		_, err := w.s.Waive(t.Context(), i.ID, "user:1", n)
		refused(t, "waived again", err)
	}
	// Sent all the same: what follows it begins.
	w.set(began.Add(2 * time.Hour))
	residents.Sent = began.Add(time.Hour)
	i = must(t)(w.s.Notice(t.Context(), i.ID, "user:1", residents))
	if d := duty(t, i, residents.Rule); d.State != incident.DutySent || !d.Sent.Equal(residents.Sent) {
		t.Errorf("got %+v", d)
	}
	if d := duty(t, i, "ca.breach.ag"); !d.Anchor.Equal(residents.Sent) {
		t.Errorf("what follows counts from %s", d.Anchor)
	}
	// Owed after all, by a decision that was corrected meanwhile.
	known := began.Add(-time.Hour)
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: known, Reason: "confirmed"}))
	must(t)(w.s.Restore(t.Context(), i.ID, "user:1", authority, escalate))
	_, err = w.s.Restore(t.Context(), i.ID, "user:1", authority)
	refused(t, "restored again", err)
	i = must(t)(w.s.Get(t.Context(), i.ID))
	for rule, hours := range map[string]time.Duration{"eu.breach.authority": 72, "int.escalate": 24} {
		d := duty(t, i, rule)
		if d.State != incident.DutyOpen || !d.LegalDue.Equal(known.Add(hours*time.Hour)) {
			t.Errorf("%s: got %+v", rule, d)
		}
		if o, err := w.duties.Get(t.Context(), d.ID); err != nil || o.State != retention.StateOpen || !o.Due.Equal(d.PlanBy) {
			t.Errorf("%s: its duty is %+v (%v)", rule, o, err)
		}
	}
	if got := names(i); !slices.Contains(got, "eu.breach.authority/de restored") {
		t.Errorf("what was waived is lost: %v", got)
	}
	w.set(known.Add(24 * time.Hour))
	w.run(t)
	if got := w.took(); !slices.Contains(got, "int.escalate/all overdue") {
		t.Errorf("raised: %v", got)
	}
	// It can be sent, and waived again.
	must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: authority.Rule, Sent: began.Add(2 * time.Hour)}))
	escalate.Reason = "done_by_phone"
	i = must(t)(w.s.Waive(t.Context(), i.ID, "user:1", escalate))
	if got := names(i); !slices.Contains(got, "eu.breach.authority/de sent") || !slices.Contains(got, "int.escalate/all waived") {
		t.Errorf("got %v", got)
	}
}

// The moments that clocks count from become earlier, and later by a decision alone.
func TestMoments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(began.Add(10 * time.Hour))
	hour := func(n int) time.Time { return began.Add(time.Duration(n) * time.Hour) }
	i := w.open(t, began, incident.Facts{Places: []string{"de", "us"}, Sectors: []string{"sec", "dora", "cra"}, HighRisk: hour(5), Material: hour(5), Classified: hour(5), Fix: hour(5)})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: hour(1), Reason: "confirmed"}))
	for what, f := range map[string]incident.Facts{"high risk": {HighRisk: hour(6)}, "materiality": {Material: hour(6)}, "the classification": {Classified: hour(6)}, "the fix": {Fix: hour(6)}} {
		_, err := w.s.Scope(t.Context(), i.ID, "user:1", f)
		refused(t, what+" later", err)
	}
	all := func(n int) incident.Facts {
		return incident.Facts{HighRisk: hour(n), Material: hour(n), Classified: hour(n), Fix: hour(n)}
	}
	check := func(i incident.Incident, want time.Time) {
		t.Helper()
		for _, rule := range []string{"eu.breach.subjects", "sec.8k105", "dora.initial", "cra.final.fix"} {
			if d := duty(t, i, rule); d.State != incident.DutyOpen || !d.Anchor.Equal(want) {
				t.Errorf("%s: got %+v, want it counted from %s", rule, d, want)
			}
		}
		if d := duty(t, i, "dora.initial"); !d.LegalDue.Equal(want.Add(4 * time.Hour)) {
			t.Errorf("the initial notification is due %s", d.LegalDue)
		}
	}
	check(must(t)(w.s.Get(t.Context(), i.ID)), hour(5))
	check(must(t)(w.s.Scope(t.Context(), i.ID, "user:1", all(3))), hour(3))
	f := all(7)
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: hour(1), Reason: "wrong_entry", HighRisk: f.HighRisk, Material: f.Material, Classified: f.Classified, Fix: f.Fix}))
	check(i, hour(7))
	if e := i.Events[len(i.Events)-1]; e.Kind != incident.EventAware || e.Body["classified_at"] != hour(7).Format(time.RFC3339) {
		t.Errorf("the entry of the correction is %+v", e)
	}
	_, err := w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: hour(1), Reason: "wrong_entry", Fix: hour(11)})
	refused(t, "a fix in the future", err)
}

// What was known before a rule was law is owed from when it became law; a moment that is years
// old is a slip.
func TestBeforeTheLaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known := at(t, "2026-09-01T12:00:00+02:00")
	i := w.open(t, known, incident.Facts{Places: []string{"de"}, Sectors: []string{"cra"}})
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: known, Reason: "confirmed"}))
	if d, law := duty(t, i, "cra.warning"), at(t, "2026-09-11T00:00:00+02:00"); !d.Anchor.Equal(law) || !d.LegalDue.Equal(law.Add(24*time.Hour)) {
		t.Errorf("got %+v, want it counted from %s", d, law)
	}
	// A correction within the time before the law changes nothing, one after it does.
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: known.Add(-time.Hour), Reason: "confirmed"}))
	if got := names(i); slices.Contains(got, "cra.warning/de rebased") || !slices.Contains(got, "cra.warning/de open") {
		t.Errorf("got %v", got)
	}
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	if d := duty(t, i, "cra.warning"); !d.Anchor.Equal(began) {
		t.Errorf("after the correction it counts from %s", d.Anchor)
	}

	slip := began.AddDate(-3, 0, 0)
	_, err := w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: slip, Reason: "confirmed"})
	refused(t, "known for years", err)
	_, err = w.s.Open(t.Context(), incident.NewIncident{Title: "x", By: "user:1", Suspected: slip})
	refused(t, "suspected for years", err)
	_, err = w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{HighRisk: slip})
	refused(t, "a high risk for years", err)
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began.AddDate(-1, -11, 0), Reason: "confirmed"}))
}

// The initial notification of DORA counts from the later of awareness and classification, at
// most 24 hours after awareness.
func TestClassified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(began.Add(30 * time.Hour))
	hour := func(n int) time.Time { return began.Add(time.Duration(n) * time.Hour) }
	for _, v := range []struct{ classified, aware, due int }{{1, 5, 9}, {5, 5, 9}, {6, 5, 10}, {28, 5, 29}, {29, 2, 33}} {
		for _, first := range []bool{true, false} {
			f := incident.Facts{Places: []string{"de"}, Sectors: []string{"dora"}}
			if first {
				f.Classified = hour(v.classified)
			}
			i := w.open(t, began, f)
			i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: hour(v.aware), Reason: "confirmed"}))
			if !first {
				i = must(t)(w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{Classified: hour(v.classified)}))
			}
			d := duty(t, i, "dora.initial")
			if !d.LegalDue.Equal(hour(v.due)) || !d.Anchor.Equal(hour(max(v.classified, v.aware))) {
				t.Errorf("%+v, classified first %v: due %s, counted from %s", v, first, d.LegalDue, d.Anchor)
			}
			// A change of something else leaves it alone.
			i = must(t)(w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{HighRisk: hour(1)}))
			if got := duty(t, i, "dora.initial"); got.ID != d.ID || !got.LegalDue.Equal(d.LegalDue) {
				t.Errorf("%+v: got %+v", v, got)
			}
			must(t)(w.s.Dismiss(t.Context(), i.ID, "user:1", "next"))
		}
	}
	// Its urgency goes by the margin with which it is raised, wherever its clock has moved.
	i := w.open(t, began, incident.Facts{Places: []string{"de"}, Sectors: []string{"dora"}})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	i = must(t)(w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{Classified: hour(29)}))
	d := duty(t, i, "dora.initial")
	if before := d.PlanBy.Add(-9 * time.Hour); d.StageAt(before) != "" || d.StageAt(before.Add(time.Hour)) != incident.Soon {
		t.Errorf("nine hours before it is %q", d.StageAt(before))
	}
}

// By a clock in doubt every notice is raised, as that: who acknowledges it has not acknowledged
// that it is due soon.
func TestDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(t)
	i := w.open(t, began, incident.Facts{})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	w.set(began.Add(-10 * time.Minute)) // the clock goes back
	w.run(t)
	if got, want := w.took(), []string{"int.escalate/all doubt", "int.external/all doubt"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	w.set(began)
	escalate := incident.Seen{Rule: "int.escalate", Place: "all", Stage: incident.Doubt}
	must(t)(w.s.Ack(t.Context(), i.ID, "user:1", escalate, incident.Seen{Rule: "int.external", Place: "all", Stage: incident.Doubt}))
	if err := w.duties.TrustClock(t.Context(), "user:1", "looked"); err != nil {
		t.Fatal(err)
	}
	w.set(began.Add(2 * time.Hour))
	w.run(t)
	if got := w.took(); len(got) > 0 {
		t.Errorf("the clock is trusted, and %v was raised", got)
	}
	w.set(began.Add(17 * time.Hour))
	w.run(t)
	if got, want := w.took(), []string{"int.escalate/all soon"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// Doubt is less than soon: what is acknowledged as due soon is not raised for it.
	escalate.Stage = incident.Soon
	must(t)(w.s.Ack(t.Context(), i.ID, "user:1", escalate))
	w.set(began)
	w.run(t)
	if got := w.took(); len(got) > 0 {
		t.Errorf("raised: %v", got)
	}
}

// A notice that was noted as sent by mistake is owed again, and one with a wrong moment is
// corrected, with what follows it. What was noted stays in the record.
func TestSentBySlip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: []string{"de"}, Sectors: []string{incident.NIS2}})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	w.set(began.Add(10 * time.Hour))
	n := incident.Notice{Rule: "nis2.notify", Place: "de", Sent: began.Add(time.Hour), Proof: "NB-1"}
	i = must(t)(w.s.Notice(t.Context(), i.ID, "key:1", n))
	final := duty(t, i, "nis2.final").PlanBy
	_, err := w.s.Restore(t.Context(), i.ID, "user:1", incident.Notice{Rule: "nis2.notify", Place: "de"})
	refused(t, "taking it back without a reason", err)
	i = must(t)(w.s.Restore(t.Context(), i.ID, "user:1", incident.Notice{Rule: "nis2.notify", Place: "de", Reason: "wrong_moment"}))
	var states []string
	for _, d := range i.Duties {
		if d.Rule != "nis2.notify" {
			continue
		}
		states = append(states, d.State)
		if d.State == incident.DutyRestored && (!d.Sent.Equal(n.Sent) || d.Proof != "NB-1") {
			t.Errorf("what was noted is gone: %+v", d)
		}
		if o, err := w.duties.Get(t.Context(), d.ID); err != nil || (o.State == retention.StateOpen) != (d.State == incident.DutyOpen) || d.State == incident.DutyOpen && !d.Anchor.Equal(began) {
			t.Errorf("%+v has the duty %+v (%v)", d, o, err)
		}
	}
	slices.Sort(states)
	if !slices.Equal(states, []string{incident.DutyOpen, incident.DutyRestored}) {
		t.Fatalf("got %v", states)
	}
	if e := i.Events[len(i.Events)-1]; e.Kind != incident.EventRestored || e.Body["was"] != incident.DutySent || e.Body["reason"] != "wrong_moment" || e.Body["sent_at"] != "2026-11-23T10:00:00Z" {
		t.Errorf("got %+v", e)
	}
	// The final report is counted from the new moment.
	n.Sent = began.Add(9 * time.Hour)
	i = must(t)(w.s.Notice(t.Context(), i.ID, "user:1", n))
	open := 0
	for _, d := range i.Duties {
		if d.Rule == "nis2.final" && d.State == incident.DutyOpen {
			if open++; !d.Anchor.Equal(n.Sent) || d.PlanBy.Before(final) {
				t.Errorf("the final report counts from %s, is due %s", d.Anchor, d.PlanBy)
			}
		}
	}
	if open != 1 {
		t.Errorf("%d final reports are open", open)
	}
	_, err = w.s.Restore(t.Context(), i.ID, "user:1", incident.Notice{Rule: "nis2.warning", Place: "de", Reason: "slip"})
	refused(t, "taking back what was not noted", err)
}

// A decision with a moment that is too early leaves nothing behind when another replaces it.
func TestAwareBySlip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: []string{"us-ca"}})
	early := began.AddDate(0, -2, 0)
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: early, Reason: "slip"}))
	if d := duty(t, i, "ca.breach.residents"); !d.Anchor.Equal(early) {
		t.Errorf("it counts from %s, and somebody knew it at %s", d.Anchor, early)
	}
	i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "corrected"}))
	if !i.Suspected.Equal(began) {
		t.Errorf("suspected since %s, want %s as it was entered", i.Suspected, began)
	}
	open := 0
	for _, d := range i.Duties {
		if d.Rule == "ca.breach.residents" && d.State == incident.DutyOpen {
			if open++; d.Anchor.Before(began) {
				t.Errorf("it counts from %s still", d.Anchor)
			}
		}
	}
	if open != 1 {
		t.Errorf("%d notices are open", open)
	}
}

// Incidents that are open are listed first, the oldest first; those that are closed behind, the newest first.
func TestListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for n := range 4 {
		w.set(began.Add(time.Duration(n) * time.Hour))
		want = append(want, w.open(t, w.now(), incident.Facts{}).ID)
	}
	for _, id := range want[2:] {
		must(t)(w.s.Dismiss(t.Context(), id, "user:1", "test_data"))
	}
	want[2], want[3] = want[3], want[2]
	list, err := w.s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range list {
		got = append(got, i.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// onward lets a runner that saw the time before do what is due.
func onward(t *testing.T, r *retention.Runner) {
	t.Helper()
	for range 1000 {
		worked, err := r.Once(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !worked {
			return
		}
	}
	t.Fatal("the runner finds no end")
}

// What a wrong clock raised as overdue is acknowledged for the doubt alone: when the clock is right,
// each stage is raised.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.runner(t)
	onward(t, r)
	i := w.open(t, began, incident.Facts{Places: []string{"de"}})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	w.set(began.Add(100 * time.Hour))
	onward(t, r)
	if got, want := w.took(), []string{"eu.breach.authority/de overdue", "int.escalate/all overdue", "int.external/all overdue"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	seen := func(rule, place string) incident.Seen {
		return incident.Seen{Rule: rule, Place: place, Stage: incident.Overdue}
	}
	i = must(t)(w.s.Ack(t.Context(), i.ID, "user:1", seen("int.escalate", "all"), seen("eu.breach.authority", "de")))
	if d := duty(t, i, "int.escalate"); d.Acked != incident.Doubt {
		t.Errorf("in doubt %s was acknowledged", d.Acked)
	}
	if e := i.Events[len(i.Events)-3]; e.Kind != incident.EventRaised || e.Body["clock"] != "in_doubt" {
		t.Errorf("the entry does not tell of the doubt: %+v", e)
	}
	w.set(began.Add(time.Minute))
	if err := w.duties.TrustClock(t.Context(), "user:1", "put_right"); err != nil {
		t.Fatal(err)
	}
	// Whoever comes later to what the wrong clock raised acknowledges nothing.
	_, err := w.s.Ack(t.Context(), i.ID, "user:1", seen("int.external", "all"))
	refused(t, "an acknowledgement of what is not overdue", err)
	for _, v := range []struct {
		hours int
		want  []string
	}{
		{15, nil}, {17, []string{"int.escalate/all soon"}}, {25, []string{"int.escalate/all overdue"}},
		{50, []string{"eu.breach.authority/de soon", "int.escalate/all overdue", "int.external/all soon"}},
		{73, []string{"eu.breach.authority/de overdue", "int.escalate/all overdue", "int.external/all overdue"}},
	} {
		w.set(began.Add(time.Duration(v.hours) * time.Hour))
		w.run(t)
		if got := w.took(); !slices.Equal(got, v.want) {
			t.Errorf("after %d hours %v was raised, want %v", v.hours, got, v.want)
		}
	}
	// A jump that nobody saw was trusted, and is acknowledged as what it seemed to be.
	j := w.open(t, began.Add(73*time.Hour), incident.Facts{})
	w.set(began.Add(120 * time.Hour))
	w.run(t)
	must(t)(w.s.Ack(t.Context(), j.ID, "user:1", seen("int.escalate", "all")))
	w.set(began.Add(73 * time.Hour))
	if err := w.duties.TrustClock(t.Context(), "user:1", "put_right"); err != nil {
		t.Fatal(err)
	}
	w.set(began.Add(90 * time.Hour))
	w.run(t)
	j = must(t)(w.s.Get(t.Context(), j.ID))
	if d := duty(t, j, "int.escalate"); d.Stage != incident.Soon || d.Acked != "" {
		t.Errorf("raised as %q, acknowledged as %q", d.Stage, d.Acked)
	}
}

// What is acknowledged in one doubt is raised in the next.
func TestSecondDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(t)
	i := w.open(t, began, incident.Facts{})
	all := []string{"int.escalate/all doubt", "int.external/all doubt"}
	for _, now := range []time.Time{began, began.Add(2 * time.Hour), began.Add(2 * time.Hour)} {
		w.set(now)
		w.run(t)
		w.set(now.Add(-10 * time.Minute))
		w.run(t)
		if got := w.took(); !slices.Equal(got, all) {
			t.Fatalf("got %v, want %v", got, all)
		}
		w.set(now)
		must(t)(w.s.Ack(t.Context(), i.ID, "user:1", incident.Seen{Rule: "int.escalate", Place: "all", Stage: incident.Doubt}, incident.Seen{Rule: "int.external", Place: "all", Stage: incident.Doubt}))
		w.set(now.Add(2 * time.Hour))
		w.run(t)
		if got := w.took(); len(got) > 0 {
			t.Errorf("raised again: %v", got)
		}
		w.set(now)
		if err := w.duties.TrustClock(t.Context(), "user:1", "looked"); err != nil {
			t.Fatal(err)
		}
	}
}

// When a date comes out differently by this version, and a person has given the duty back, the
// incident has that date.
func TestRecounted(t *testing.T) {
	t.Parallel()
	for _, raised := range []bool{true, false} {
		w := newWorld(t)
		i := w.open(t, began, incident.Facts{Places: []string{"us-ca"}})
		i = must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
		d := duty(t, i, "ca.breach.residents")
		for _, q := range []string{`UPDATE obligation SET due = due + 864000000 WHERE id = $1`, `UPDATE incident_duty SET plan = plan + 864000000, legal = legal + 864000000 WHERE id = $1`} {
			if _, err := w.db.ExecContext(t.Context(), q, d.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.set(d.PlanBy.Add(6 * 24 * time.Hour))
		w.run(t)
		w.took()
		if o, err := w.duties.Get(t.Context(), d.ID); err != nil || o.State != retention.StateNeedsHuman {
			t.Fatalf("got %+v (%v)", o, err)
		}
		// A change before it leaves the date to the person.
		i = must(t)(w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{Class: "email"}))
		if got := duty(t, i, "ca.breach.residents"); got.PlanBy.Equal(d.PlanBy) {
			t.Errorf("the date is %s, and nobody has seen it", got.PlanBy)
		}
		if err := w.duties.Retry(t.Context(), d.ID, "user:1", "looked"); err != nil {
			t.Fatal(err)
		}
		if raised {
			w.run(t)
			if got := w.took(); !slices.Contains(got, "ca.breach.residents/us-ca overdue") {
				t.Errorf("raised: %v", got)
			}
			i = must(t)(w.s.Get(t.Context(), i.ID))
		} else {
			_, err := w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: "ca.breach.residents", Sent: w.now()})
			refused(t, "a late notice without a reason", err)
			i = must(t)(w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{Route: "desk"}))
		}
		if got := duty(t, i, "ca.breach.residents"); !got.PlanBy.Equal(d.PlanBy) || !got.LegalDue.Equal(d.LegalDue) {
			t.Errorf("the dates are %s and %s, want %s and %s", got.PlanBy, got.LegalDue, d.PlanBy, d.LegalDue)
		}
	}
}

// Somebody acknowledges what they saw, and not what it came to meanwhile.
func TestSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{})
	escalate := incident.Seen{Rule: "int.escalate", Place: "all", Stage: incident.Soon}
	for what, v := range map[string][]incident.Seen{
		"nothing": nil, "it was not raised": {escalate}, "a stage nobody knows": {{Rule: "int.escalate", Place: "all", Stage: "late"}}, "no stage": {{Rule: "int.escalate", Place: "all"}},
		"another place": {{Rule: "int.escalate", Place: "de", Stage: incident.Soon}},
	} {
		_, err := w.s.Ack(t.Context(), i.ID, "user:1", v...)
		refused(t, what, err)
	}
	w.set(began.Add(20 * time.Hour))
	w.run(t)
	w.set(began.Add(24 * time.Hour))
	w.run(t)
	w.took()
	i = must(t)(w.s.Ack(t.Context(), i.ID, "user:1", escalate))
	if d := duty(t, i, "int.escalate"); d.Acked != incident.Soon || d.Stage != incident.Overdue {
		t.Errorf("got %+v", d)
	}
	w.set(began.Add(25 * time.Hour))
	w.run(t)
	if got := w.took(); !slices.Contains(got, "int.escalate/all overdue") {
		t.Errorf("what nobody saw is raised no more: %v", got)
	}
	escalate.Stage = incident.Overdue
	i = must(t)(w.s.Ack(t.Context(), i.ID, "user:1", escalate))
	escalate.Stage = incident.Soon // somebody who looked at it earlier
	n := len(i.Events)
	if i = must(t)(w.s.Ack(t.Context(), i.ID, "user:1", escalate)); duty(t, i, "int.escalate").Acked != incident.Overdue || len(i.Events) != n {
		t.Errorf("got %+v", i)
	}
}

// Facts from which no notice follows are named.
func TestIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, v := range []struct {
		facts incident.Facts
		want  []string
	}{
		{incident.Facts{}, nil},
		{incident.Facts{Places: []string{"de", "us"}, Sectors: []string{"nis2", "sec"}, HighRisk: began}, nil},
		{incident.Facts{Places: []string{"de", "us"}}, []string{"place:us"}},
		{incident.Facts{Places: []string{"gb"}, Role: incident.Processor}, []string{"place:gb"}},
		{incident.Facts{Places: []string{"us"}, Sectors: []string{"hipaa", "dora"}, Classified: began, HighRisk: began}, []string{"sector:dora", "high_risk_at", "classified_at"}},
		{incident.Facts{Places: []string{"de"}, Sectors: []string{"dora"}, Classified: began, Fix: began, Material: began}, []string{"material_at", "fix_at"}},
	} {
		i := w.open(t, began, v.facts)
		if got := i.Idle(); !slices.Equal(got, v.want) {
			t.Errorf("%+v: got %v, want %v", v.facts, got, v.want)
		}
	}
	i, err := w.s.Open(t.Context(), incident.NewIncident{Title: "x", Drill: true, By: "user:1", Facts: incident.Facts{Places: []string{"us"}}})
	if err != nil || i.Idle() != nil {
		t.Errorf("a drill: %v (%v)", i.Idle(), err)
	}
}

// Of several gateways one raises.
func TestManyGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open(t, began, incident.Facts{})
	w.set(began.Add(20 * time.Hour))
	var group sync.WaitGroup
	for range 4 {
		r := w.runner(t)
		group.Go(func() {
			for {
				worked, err := r.Once(t.Context())
				if err != nil {
					t.Error(err)
				}
				if !worked || err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	if got, want := w.took(), []string{"int.escalate/all soon"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// An incident closes when nothing is owed; a decision that it was none ends its duties.
func TestClosing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{})
	_, err := w.s.Close(t.Context(), i.ID, "user:1")
	refused(t, "nothing is decided", err)
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	_, err = w.s.Close(t.Context(), i.ID, "user:1")
	refused(t, "something is owed", err)
	for _, rule := range []string{"int.escalate", "int.external"} {
		must(t)(w.s.Notice(t.Context(), i.ID, "user:1", incident.Notice{Rule: rule, Sent: began}))
	}
	if i = must(t)(w.s.Close(t.Context(), i.ID, "user:1")); i.State != incident.Closed || i.Outcome != incident.OutcomeSettled || i.Closed.IsZero() {
		t.Errorf("got %+v", i)
	}
	_, err = w.s.Scope(t.Context(), i.ID, "user:1", incident.Facts{Places: []string{"de"}})
	refused(t, "it is closed", err)

	j := w.open(t, began, incident.Facts{Places: []string{"de"}})
	j = must(t)(w.s.Dismiss(t.Context(), j.ID, "user:1", "test_data_only"))
	if got, want := names(j), []string{"int.escalate/all dismissed", "int.external/all dismissed"}; !slices.Equal(got, want) || j.Outcome != incident.OutcomeNoBreach {
		t.Errorf("got %v %s", got, j.Outcome)
	}
	w.set(began.Add(100 * time.Hour))
	w.run(t)
	if got := w.took(); len(got) > 0 {
		t.Errorf("raised of incidents that are closed: %v", got)
	}
	if j = must(t)(w.s.Get(t.Context(), j.ID)); !j.Aware.IsZero() {
		t.Error("the fail-safe came after the decision")
	}
	list, err := w.s.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("got %d incidents (%v)", len(list), err)
	}
}

// Whatever happens is in the log once for each id, also when recording it is interrupted.
func TestRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.open(t, began, incident.Facts{Places: []string{"de"}})
	must(t)(w.s.Aware(t.Context(), i.ID, "user:1", incident.Decision{At: began, Reason: "confirmed"}))
	log := map[[16]byte]string{}
	fail := true
	put := func(_ context.Context, e incident.Entry) (string, error) {
		log[e.ID] = e.Kind
		if fail && e.Kind == incident.EventAware {
			return "", errors.New("the log is away")
		}
		return fmt.Sprintf("leaf-%d", e.Seq), nil
	}
	if n, err := w.s.Record(t.Context(), put); err == nil || n != 1 {
		t.Errorf("recorded %d (%v), want one and an error", n, err)
	}
	fail = false
	if n, err := w.s.Record(t.Context(), put); err != nil || n != 1 {
		t.Errorf("recorded %d (%v), want the other", n, err)
	}
	if n, err := w.s.Record(t.Context(), put); err != nil || n != 0 || len(log) != 2 {
		t.Errorf("recorded %d (%v), the log has %d", n, err, len(log))
	}
	i = must(t)(w.s.Get(t.Context(), i.ID))
	if i.Events[0].Leaf != "leaf-1" || i.Events[1].Leaf != "leaf-2" {
		t.Errorf("got %+v", i.Events)
	}
}

// changeAndDie opens an incident, or decides about the one that is there, and ends itself as
// kill -9 does.
func changeAndDie() error {
	ctx := context.Background()
	db, _, s, err := open(ctx, os.Getenv(dieWhere), nil)
	if err != nil {
		return err
	}
	defer db.Close()
	s.OnStep(func(step string) {
		if step == os.Getenv(dieAt) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	if os.Getenv(dieDoing) == "open" {
		_, err = s.Open(ctx, incident.NewIncident{Title: "x", By: "user:1", Facts: incident.Facts{Places: []string{"de"}}})
		return err
	}
	if os.Getenv(dieDoing) == "cause" {
		_, err = s.OpenFor(ctx, incident.NewIncident{Title: "x", Facts: incident.Facts{Places: []string{"de"}}}, limitCause())
		return err
	}
	list, err := s.List(ctx)
	if err != nil || len(list) != 1 {
		return errors.Join(err, errors.New("no incident"))
	}
	_, err = s.Aware(ctx, list[0].ID, "user:1", incident.Decision{At: list[0].Suspected, Reason: "confirmed"})
	return err
}

// limitCause is a caller who went over a limit.
func limitCause() incident.Cause {
	return incident.Cause{Name: "policy:0123:abcd", Window: time.Hour, Codes: map[string]string{"cause": "limit", "limit": "subjects"}}
}

// What the gateway itself suspects opens one incident for a cause and window, with a suspicion
// and nothing that is known, and no more than some in a day.
func TestCauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open := func(c incident.Cause) string {
		t.Helper()
		id, err := w.s.OpenFor(t.Context(), incident.NewIncident{Title: "A limit"}, c)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	c := limitCause()
	first := open(c)
	i := must(t)(w.s.Get(t.Context(), first))
	if !i.Suspected.Equal(began) || !i.Aware.IsZero() || i.OpenedBy != incident.Machine || len(i.Events) != 1 || i.Events[0].Body["limit"] != "subjects" || len(i.Duties) != 2 {
		t.Errorf("got %+v", i)
	}
	w.set(began.Add(time.Hour - time.Millisecond))
	if id := open(c); id != "" {
		t.Error("a second one within the window")
	}
	other := c
	other.Name = "policy:0123:ef01"
	if id := open(other); id == "" || id == first {
		t.Errorf("another caller: got %q", id)
	}
	w.set(began.Add(time.Hour))
	second := open(c)
	if second == "" || second == first {
		t.Errorf("after the window: got %q", second)
	}
	w.set(began.Add(time.Hour - time.Minute)) // set back a little
	if id := open(c); id != "" {
		t.Error("another one because the clock was set back")
	}
	w.set(began.Add(-100 * time.Hour)) // the clock had been far ahead
	if id := open(c); id == "" {
		t.Error("none until the clock has caught up")
	}
	for _, bad := range []incident.Cause{{Name: "jane doe", Window: time.Hour}, {Name: "x"}} {
		if _, err := w.s.OpenFor(t.Context(), incident.NewIncident{Title: "x"}, bad); err == nil {
			t.Errorf("%+v opened an incident", bad)
		}
	}

	w.set(began.Add(200 * time.Hour))
	for n := range 100 {
		c.Name = fmt.Sprintf("policy:0123:%d", n)
		open(c)
	}
	c.Name = "policy:0123:last"
	if _, err := w.s.OpenFor(t.Context(), incident.NewIncident{Title: "x"}, c); !errors.Is(err, incident.ErrMany) {
		t.Errorf("got %v, want it refused", err)
	}
	w.set(began.Add(224 * time.Hour))
	if id := open(c); id == "" {
		t.Error("none on the day after")
	}
}

// Of many at once, in several gateways, one opens an incident.
func TestCausesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group sync.WaitGroup
	opened := make(chan string, 8)
	for range 8 {
		group.Go(func() {
			id, err := w.s.OpenFor(t.Context(), incident.NewIncident{Title: "A limit"}, limitCause())
			if err != nil {
				t.Error(err)
			}
			if id != "" {
				opened <- id
			}
		})
	}
	group.Wait()
	list, err := w.s.List(t.Context())
	if err != nil || len(list) != 1 || len(opened) != 1 {
		t.Errorf("%d were opened and %d are there (%v), want one", len(opened), len(list), err)
	}
}

// W1: whoever is killed while an incident is opened or decided about leaves all of it or
// nothing: the incident, its duties, their clocks and what goes into the log.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ doing, step string }{
		{"open", "opened"}, {"open", "noted"}, {"open", "waiting"}, {"open", "duty"}, {"open", "notice"}, {"open", "committed"},
		{"cause", "opened"}, {"cause", "claimed"}, {"cause", "noted"}, {"cause", "waiting"}, {"cause", "notice"}, {"cause", "committed"},
		{"aware", "aware"}, {"aware", "decided"}, {"aware", "duty"}, {"aware", "notice"}, {"aware", "committed"},
	} {
		t.Run(v.doing+"/"+v.step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			incidents, duties, events := 0, 0, 0
			if v.doing == "aware" {
				w.open(t, began.Add(-365*24*time.Hour), incident.Facts{Places: []string{"de"}})
				incidents, duties, events = 1, 2, 1
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), dieAt+"="+v.step, dieDoing+"="+v.doing, dieWhere+"="+w.where)
			var says bytes.Buffer
			cmd.Stdout, cmd.Stderr = &says, &says
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, says.String())
			}
			if v.step == "committed" {
				events++
				if v.doing != "aware" {
					incidents, duties = 1, 2
				} else {
					duties = 3
				}
			}
			list, err := w.s.List(t.Context())
			if err != nil || len(list) != incidents {
				t.Fatalf("%d incidents (%v), want %d", len(list), err, incidents)
			}
			count := func(query string) (n int) {
				t.Helper()
				if err := w.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
					t.Fatal(err)
				}
				return n
			}
			obligations := duties
			if incidents > 0 {
				obligations++ // the wait for a decision
			}
			causes := 0
			if v.doing == "cause" && v.step == "committed" {
				causes = 1
			}
			if got := count(`SELECT count(*) FROM incident_cause`); got != causes {
				t.Errorf("%d causes, want %d", got, causes)
			}
			if got := count(`SELECT count(*) FROM incident_duty`); got != duties {
				t.Errorf("%d notices, want %d", got, duties)
			}
			if got := count(`SELECT count(*) FROM obligation`); got != obligations {
				t.Errorf("%d duties, want %d", got, obligations)
			}
			if got := count(`SELECT count(*) FROM incident_event`); got != events {
				t.Errorf("%d entries for the log, want %d", got, events)
			}
			aware := v.doing == "aware" && v.step == "committed"
			if incidents > 0 && list[0].Aware.IsZero() == aware {
				t.Errorf("known since %s", list[0].Aware)
			}
		})
	}
}
