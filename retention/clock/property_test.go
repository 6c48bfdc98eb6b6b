package clock_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caregate/caregate/retention/clock"
)

// zones have whole, half and quarter hours, midnights that do not exist or come
// twice, and both ends of the world.
var zones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo", "America/Havana", "America/Santiago",
	"Asia/Beirut", "Asia/Kolkata", "Asia/Kathmandu", "Africa/Cairo", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Pago_Pago",
}

// random makes valid clocks of a rule.
type random struct {
	*rand.Rand
	r *clock.Register
}

// instant is any second of the rule's life, or of the years around today more
// often than not.
func (r random) instant(rule *clock.Rule) time.Time {
	from := time.Date(rule.Versions[0].From.Year, rule.Versions[0].From.Month, rule.Versions[0].From.Day, 0, 0, 0, 0, time.UTC).Add(48 * time.Hour).Unix()
	to := time.Date(2199, 10, 1, 0, 0, 0, 0, time.UTC).Unix()
	if r.IntN(2) == 0 {
		to = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	return time.Unix(from+r.Int64N(to-from), 0).UTC()
}

func (r random) place(rule *clock.Rule) clock.Place {
	p := clock.Place{Zone: zones[r.IntN(len(zones))]}
	if r.IntN(3) == 0 {
		p.ReceivedIn = zones[r.IntN(len(zones))]
	}
	v := rule.Versions[len(rule.Versions)-1]
	if n := len(v.Calendars); n > 0 {
		p.Calendar = v.Calendars[r.IntN(n)]
	}
	if v.Agreed && r.IntN(2) == 0 {
		p.Agreed = clock.Period{Hours: 1 + r.IntN(200)}
	}
	if v.Repeat {
		p.Occurrence = r.IntN(40)
	}
	if len(v.Variants) > 0 && r.IntN(2) == 0 && len(rule.Versions) == 1 {
		for name := range v.Variants {
			p.Variant = name
		}
	}
	return p
}

// later adds an event that the rule may or may not allow, a while after the last.
func (r random) later(rule *clock.Rule, after time.Time) clock.Event {
	v := rule.Versions[len(rule.Versions)-1]
	e := clock.Event{At: after.Add(time.Duration(r.IntN(20*24*3600)) * time.Second), Actor: "a", Reason: "r"}
	switch r.IntN(4) {
	case 0:
		e.Kind, e.Cause = clock.Paused, "identity"
		if n := len(v.Pauses); n > 0 {
			e.Cause = v.Pauses[r.IntN(n)].Cause
		}
	case 1:
		e.Kind = clock.Resumed
	case 2:
		e.Kind, e.Notice = clock.Extended, "n"
	default:
		e.Kind, e.Cause = clock.Restarted, "fee"
		if n := len(v.Restarts); n > 0 {
			e.Cause = v.Restarts[r.IntN(n)].Cause
		}
	}
	return e
}

func order(t *testing.T, rule *clock.Rule, what string, a, b clock.Moment) {
	t.Helper()
	if !a.IsZero() && !b.IsZero() && b.At.Before(a.At) {
		t.Errorf("%s: %s: %s comes before %s", rule.ID, what, b.At.Format(time.RFC3339), a.At.Format(time.RFC3339))
	}
}

// For every rule, at random moments, zones and calendars of the years 1970 to 2200:
// PlanBy is never after LegalDue, a later trigger never has an earlier end, what is
// left of an extension never ends earlier than without it, and nothing is due
// before its trigger.
func TestClockProperties(t *testing.T) {
	t.Parallel()
	r := random{rand.New(rand.NewPCG(7, 7)), builtin(t)}
	for _, rule := range r.r.Rules() {
		for range 150 {
			at, place := r.instant(rule), r.place(rule)
			fold := func(at time.Time) (clock.State, bool) {
				e, err := r.r.Start(rule.ID, at, place)
				if err != nil {
					t.Fatalf("%s at %s in %+v: %v", rule.ID, at, place, err)
				}
				s, err := r.r.Fold([]clock.Event{e})
				if err != nil {
					t.Fatal(err)
				}
				return s, true
			}
			s, _ := fold(at)
			order(t, rule, "plan_by, legal_due", s.PlanBy, s.LegalDue)
			if s.Kind != clock.Minimum {
				order(t, rule, "trigger, plan_by", clock.Moment{At: at}, s.PlanBy)
			}
			if s.PlanBy.IsZero() && s.NotBefore.IsZero() {
				t.Errorf("%s has no moment at all", rule.ID)
			}
			if s.Extension != nil {
				order(t, rule, "extended legal_due", s.LegalDue, s.Extension.LegalDue)
				order(t, rule, "extended plan_by", s.PlanBy, s.Extension.PlanBy)
				order(t, rule, "extended plan_by, legal_due", s.Extension.PlanBy, s.Extension.LegalDue)
			}
			next, _ := fold(at.Add(time.Duration(1+r.IntN(40*24*3600)) * time.Second))
			if next.Version == s.Version {
				order(t, rule, "a later trigger, plan_by", s.PlanBy, next.PlanBy)
				// By the noon rule Sunday's end is Monday noon, and Monday's 5 in the
				// morning stays.
				if place.Variant != "noon" {
					order(t, rule, "a later trigger, legal_due", s.LegalDue, next.LegalDue)
				}
				order(t, rule, "a later trigger, not_before", s.NotBefore, next.NotBefore)
			}
		}
	}
}

// However events follow each other: what Fold refuses leaves the clock as it was,
// a pause, its end and an extension never move an end forward in time, PlanBy stays
// before LegalDue, and events come back from storage as they were.
func TestEventProperties(t *testing.T) {
	t.Parallel()
	r := random{rand.New(rand.NewPCG(8, 7)), builtin(t)}
	for _, rule := range r.r.Rules() {
		for range 40 {
			at := r.instant(rule)
			if at.Year() > 2190 {
				continue
			}
			e, err := r.r.Start(rule.ID, at, r.place(rule))
			if err != nil {
				t.Fatal(err)
			}
			events := []clock.Event{e}
			before, err := r.r.Fold(events)
			if err != nil {
				t.Fatal(err)
			}
			paused := false
			for range 8 {
				e := r.later(rule, events[len(events)-1].At)
				after, err := r.r.Fold(append(slices.Clip(events), e))
				if err != nil {
					continue
				}
				events = append(events, e)
				order(t, rule, "plan_by, legal_due", after.PlanBy, after.LegalDue)
				// A classification shortens the day to four hours, a decision may find
				// that awareness was earlier, and a new beginning leaves pauses before it
				// behind. Everything else only moves ends away.
				if e.Kind == clock.Paused {
					paused = true
				}
				if e.Kind != clock.Restarted || e.Cause != "classified" && e.Cause != "decision" && !paused {
					order(t, rule, string(e.Kind)+", plan_by", before.PlanBy, after.PlanBy)
					order(t, rule, string(e.Kind)+", legal_due", before.LegalDue, after.LegalDue)
				}
				before = after
			}
			stored, err := clock.EncodeEvents(events)
			if err != nil {
				t.Fatal(err)
			}
			back, err := clock.DecodeEvents(stored)
			if err != nil {
				t.Fatal(err)
			}
			again, err := r.r.Fold(back)
			if err != nil || !reflect.DeepEqual(again, before) {
				t.Errorf("%s: from storage: got %+v (%v), want %+v", rule.ID, again, err, before)
			}
		}
	}
}

// A day has exactly one end in every zone: it lies a day to two after the day's
// noon UTC at most, the second before it is still that day or an earlier one, and it
// is itself a later one.
func TestEndOfDayProperties(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(9, 9))
	for _, name := range zones {
		z := zone(t, name)
		for range 2000 {
			d := clock.Date{Year: 1970 + rnd.IntN(231), Month: 1, Day: 1}.AddDays(rnd.IntN(365))
			end := clock.EndOf(d, z)
			if got := end.Add(-time.Nanosecond).In(z).Format(time.DateOnly); got > d.String() {
				t.Errorf("%s in %s: before the end it is %s", d, name, got)
			}
			if got := end.In(z).Format(time.DateOnly); got <= d.String() {
				t.Errorf("%s in %s: at the end it is %s", d, name, got)
			}
			if next := clock.EndOf(d.AddDays(1), z); next.Before(end) {
				t.Errorf("%s in %s ends after the next day", d, name)
			}
		}
	}
}

// Whatever bytes come as events, Fold answers with an error or with a state whose
// moments are in order.
func FuzzFold(f *testing.F) {
	r := builtin(f)
	rnd := random{rand.New(rand.NewPCG(1, 1)), r}
	for _, rule := range r.Rules() {
		at := rnd.instant(rule)
		e, err := r.Start(rule.ID, at, rnd.place(rule))
		if err != nil {
			f.Fatal(err)
		}
		b, err := clock.EncodeEvents([]clock.Event{e, rnd.later(rule, at), rnd.later(rule, at.Add(30*24*time.Hour))})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"v":2,"events":[]}`))
	f.Add([]byte(`{"v":1,"events":[]} {}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := clock.DecodeEvents(b)
		if err != nil {
			return
		}
		s, err := r.Fold(events)
		if err != nil {
			return
		}
		if !s.LegalDue.IsZero() && s.PlanBy.At.After(s.LegalDue.At) {
			t.Errorf("plan_by %v is after legal_due %v", s.PlanBy, s.LegalDue)
		}
		if s.PlanBy.IsZero() && s.NotBefore.IsZero() || len(s.Steps) == 0 {
			t.Errorf("a clock without a moment or an explanation: %+v", s)
		}
		for _, m := range []clock.Moment{s.PlanBy, s.LegalDue, s.NotBefore} {
			if y := m.At.Year(); !m.IsZero() && (y < 1969 || y > 2700) {
				t.Errorf("a moment in the year %d", y)
			}
		}
		stored, err := clock.EncodeEvents(events)
		if err != nil {
			t.Fatal(err)
		}
		back, err := clock.DecodeEvents(stored)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.Fold(back); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("stored and read again: %+v (%v), want %+v", again, err, s)
		}
	})
}

// Whatever text comes as a register, Parse answers with an error or with rules of
// which each can be asked for.
func FuzzParse(f *testing.F) {
	f.Add([]byte(newerRules), []byte(newerCalendars))
	f.Add([]byte("version: 1\nrules: []\n"), []byte("version: 1\ncalendars: [{id: US, version: 1, title: t, source: s, checked: [1, 2], substitute: next, holidays: [{name: n, nth: last monday 05, except: {2020: 2020-05-08}}, {name: m, easter: -2}]}]\n"))
	f.Add([]byte("version: 1\nrules: [{id: a.b, title: t, trigger: t, versions: [{version: 1, from: 2020-01-01, source: s, read: own, target: PT1H, agreed: true, pauses: [{cause: c}]}]}]\n"), []byte("version: 1\ncalendars: []\n"))
	f.Fuzz(func(t *testing.T, rules, calendars []byte) {
		if len(rules) > 4096 || len(calendars) > 4096 {
			return
		}
		r, err := clock.Parse(rules, calendars)
		if err != nil {
			return
		}
		for _, rule := range r.Rules() {
			v := rule.Versions[0]
			if v.From.Year > 2100 {
				continue
			}
			place := clock.Place{Zone: "Europe/Berlin"}
			if len(v.Calendars) > 0 {
				place.Calendar = v.Calendars[0]
			}
			e, err := r.Start(rule.ID, time.Date(v.From.Year, v.From.Month, v.From.Day, 12, 0, 0, 0, time.UTC), place)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Fold([]clock.Event{e}); err != nil {
				t.Error(err)
			}
		}
	})
}
