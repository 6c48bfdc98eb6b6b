package clock_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/retention/clock"
)

func started(t testing.TB, r *clock.Register, rule, place, at string) clock.Event {
	t.Helper()
	e, err := r.Start(rule, instant(t, at), places[place])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func event(t testing.TB, kind clock.Kind, cause, at string) clock.Event {
	t.Helper()
	return clock.Event{Kind: kind, Cause: cause, At: instant(t, at), Actor: "dpo-1", Reason: "test"}
}

// What a rule does not allow is refused before it can move a date.
func TestFoldRefuses(t *testing.T) {
	t.Parallel()
	r := builtin(t)
	eu := started(t, r, "eu.dsar.respond", "DE", "2026-06-15T10:00:00Z")
	ca := started(t, r, "ca.dsar.respond", "US-CA", "2026-06-15T10:00:00Z")
	breach := started(t, r, "eu.breach.authority", "DE", "2026-06-15T10:00:00Z")
	dora := started(t, r, "dora.initial", "DE", "2026-06-15T10:00:00Z")
	change := func(e clock.Event, f func(*clock.Event)) clock.Event { f(&e); return e }
	notice := change(event(t, clock.Extended, "", "2026-06-20T10:00:00Z"), func(e *clock.Event) { e.Notice = "msg-1" })
	for _, tt := range []struct {
		name    string
		events  []clock.Event
		want    string
		unknown bool
	}{
		{"nothing", nil, "1 to 200 events", false},
		{"too much", make([]clock.Event, clock.MaxEvents+1), "1 to 200 events", false},
		{"no start", []clock.Event{notice}, "starts with its first event", false},
		{"two starts", []clock.Event{eu, eu}, "starts with its first event", false},
		{"unknown kind", []clock.Event{eu, event(t, "waived", "", "2026-06-20T10:00:00Z")}, "no kind of event", true},
		{"unknown rule", []clock.Event{change(eu, func(e *clock.Event) { e.Rule = "xx.dsar" })}, "not in the register", true},
		{"unknown version", []clock.Event{change(eu, func(e *clock.Event) { e.Version = 2 })}, "not in the register", true},
		{"unknown calendar", []clock.Event{change(eu, func(e *clock.Event) { e.Calendar = "DE@9" })}, "not in the register", true},
		{"no calendar", []clock.Event{change(eu, func(e *clock.Event) { e.Calendar = "" })}, "not in the register", true},
		{"another law's calendar", []clock.Event{change(eu, func(e *clock.Event) { e.Calendar = "US@1" })}, "newer version of one of", false},
		{"a calendar for nothing", []clock.Event{change(breach, func(e *clock.Event) { e.Calendar = "DE@1" })}, "no days off matter", false},
		{"no zone", []clock.Event{change(eu, func(e *clock.Event) { e.Zone = "" })}, "a zone has a name", false},
		{"the machine's zone", []clock.Event{change(eu, func(e *clock.Event) { e.Zone = "Local" })}, "a zone has a name", false},
		{"unknown zone", []clock.Event{change(eu, func(e *clock.Event) { e.Zone = "Europe/Atlantis" })}, "not in the register", true},
		{"unknown variant", []clock.Event{change(eu, func(e *clock.Event) { e.Variant = "noon" })}, "not in the register", true},
		{"a contract where there is none", []clock.Event{change(eu, func(e *clock.Event) { e.Agreed = clock.Period{Hours: 9000} })}, "leaves no number", false},
		{"a second time of what comes once", []clock.Event{change(eu, func(e *clock.Event) { e.Occurrence = 2 })}, "so many times", false},
		{"before the rule", []clock.Event{change(eu, func(e *clock.Event) { e.At = instant(t, "2018-05-24T10:00:00Z") })}, "not in force", false},
		{"too long ago", []clock.Event{change(eu, func(e *clock.Event) { e.At = instant(t, "1969-12-31T10:00:00Z") })}, "year", false},
		{"too far ahead", []clock.Event{change(eu, func(e *clock.Event) { e.At = instant(t, "2200-01-01T10:00:00Z") })}, "year", false},
		{"no time", []clock.Event{change(eu, func(e *clock.Event) { e.At = time.Time{} })}, "year", false},
		{"back in time", []clock.Event{eu, event(t, clock.Paused, "identity", "2026-06-15T09:59:59Z")}, "before the event ahead", false},
		{"nobody did it", []clock.Event{eu, change(notice, func(e *clock.Event) { e.Actor = "" })}, "missing", false},
		{"a name in place of an id", []clock.Event{eu, change(notice, func(e *clock.Event) { e.Actor = "Jo Doe <jo@example.com>" })}, "ids and codes", false},
		{"no proof of the notice", []clock.Event{eu, change(notice, func(e *clock.Event) { e.Notice = "" })}, "missing", false},
		{"members of another kind", []clock.Event{eu, change(notice, func(e *clock.Event) { e.Zone = "UTC" })}, "another kind", false},
		{"extended twice", []clock.Event{eu, notice, notice}, "extended before", false},
		{"extended where the law has none", []clock.Event{breach, change(notice, func(e *clock.Event) { e.At = breach.At })}, "no extension", false},
		{"paused where the law has none", []clock.Event{ca, event(t, clock.Paused, "identity", "2026-06-20T10:00:00Z")}, "pauses no clock", true},
		{"paused for what pauses nothing", []clock.Event{eu, event(t, clock.Paused, "holiday", "2026-06-20T10:00:00Z")}, "pauses no clock", true},
		{"paused twice", []clock.Event{eu, event(t, clock.Paused, "identity", "2026-06-20T10:00:00Z"), event(t, clock.Paused, "identity", "2026-06-21T10:00:00Z")}, "stands still already", false},
		{"paused when it was over", []clock.Event{eu, event(t, clock.Paused, "identity", "2026-07-15T22:00:00Z")}, "period is over", false},
		{"resumed without a pause", []clock.Event{eu, event(t, clock.Resumed, "", "2026-06-20T10:00:00Z")}, "not paused", false},
		{"restarted for what restarts nothing", []clock.Event{eu, event(t, clock.Restarted, "fee", "2026-06-20T10:00:00Z")}, "restarts no clock", true},
		{"restarted from tomorrow", []clock.Event{dora, change(event(t, clock.Restarted, "classified", "2026-06-15T12:00:00Z"), func(e *clock.Event) { e.Anchor = e.At.Add(time.Hour) })}, "still to come", false},
		{"the same calendar again", []clock.Event{eu, change(event(t, clock.Recalendared, "", "2026-06-20T10:00:00Z"), func(e *clock.Event) { e.Calendar = "DE@1" })}, "newer version", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := r.Fold(tt.events)
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, clock.ErrUnknown) != tt.unknown {
				t.Errorf("got %v, want an error with %q, unknown %v", err, tt.want, tt.unknown)
			}
		})
	}
}

const newerRules = `
version: 1
rules:
  - id: xx.answer
    title: answer
    trigger: receipt
    versions:
      - {version: 1, from: 2020-01-01, until: 2026-07-01, source: Act 1, read: text, period: P1M, roll: true, calendars: [DE]}
      - {version: 2, from: 2026-07-01, source: Act 2, read: text, period: P14D, roll: true, calendars: [DE]}
`

// July 2026: the first calendar does not know the holiday of the 20th yet.
const newerCalendars = `
version: 1
calendars:
  - {id: DE, version: 1, title: t, source: s, checked: [2026, 2026], substitute: none, holidays: []}
  - {id: DE, version: 2, title: t, source: s, checked: [2026, 2026], substitute: none, holidays: [{name: Jubilee, on: [2026-07-20]}]}
`

// A clock keeps the rule and the calendar it began with; what is newer is shown,
// and moves a date only by an event with an actor.
func TestVersionsOfRunningClocks(t *testing.T) {
	t.Parallel()
	r, err := clock.Parse([]byte(newerRules), []byte(newerCalendars))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at, legal string
		version   int
	}{
		{"2026-06-18T10:00:00Z", "2026-07-21", 1}, // Saturday the 18th, Sunday, the holiday
		{"2026-06-30T21:59:59Z", "2026-07-30", 1}, // 23:59:59 in Berlin
		{"2026-06-30T22:00:00Z", "2026-07-15", 2}, // the first of July in Berlin
	} {
		e, err := r.Start("xx.answer", instant(t, tt.at), places["DE"])
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Fold([]clock.Event{e})
		if err != nil {
			t.Fatal(err)
		}
		if s.Version != tt.version || s.LegalDue.Day.String() != tt.legal || s.Calendar != "DE@2" {
			t.Errorf("%s: got version %d, %s until %s; want version %d until %s", tt.at, s.Version, s.Calendar, s.LegalDue.Day, tt.version, tt.legal)
		}
	}

	// This clock began before the holiday was known and before the law changed.
	old := clock.Event{Kind: clock.Started, At: instant(t, "2026-06-18T10:00:00Z"), Rule: "xx.answer", Version: 1, Zone: "Europe/Berlin", Calendar: "DE@1"}
	s, err := r.Fold([]clock.Event{old})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.LegalDue.Day.String(); got != "2026-07-20" || len(s.Newer) != 2 {
		t.Errorf("got %s, newer %q; want 2026-07-20 and both newer ones named", got, s.Newer)
	}
	taken := clock.Event{Kind: clock.Recalendared, At: instant(t, "2026-07-02T10:00:00Z"), Calendar: "DE@2", Actor: "dpo-1", Reason: "jubilee"}
	s, err = r.Fold([]clock.Event{old, taken})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.LegalDue.Day.String(); got != "2026-07-21" || s.Version != 1 || len(s.Newer) != 1 {
		t.Errorf("got %s by version %d, newer %q; want 2026-07-21 by version 1", got, s.Version, s.Newer)
	}
	// A version that was not in force at the trigger is refused, also a newer one.
	old.Version = 2
	if _, err := r.Fold([]clock.Event{old}); err == nil {
		t.Error("a clock took a version that was not in force at its trigger")
	}
}

// What a data protection officer reads.
func TestExplanation(t *testing.T) {
	t.Parallel()
	r := builtin(t)
	eu := started(t, r, "eu.dsar.respond", "DE", "2028-01-31T09:30:00+01:00")
	long := event(t, clock.Extended, "", "2028-02-10T09:00:00Z")
	long.Notice = "msg-7"
	uk := started(t, r, "uk.dsar.respond", "GB-EAW", "2026-11-02T09:30:00Z")
	for _, tt := range []struct {
		name   string
		events []clock.Event
		want   string
	}{
		{"extended over May Day", []clock.Event{eu, long}, `
eu.dsar.respond@1, in force for triggers from 2018-05-25: Regulation (EU) 2016/679 Art. 12(3), counted by Regulation (EEC, Euratom) 1182/71 Art. 3.
It counts from 2028-01-31T09:30:00+01:00 (receipt of the request).
Extended by 2 months, to 3 months in all.
3 months after 2028-01-31: there is no day 31 in that month, so its last, Sun 2028-04-30.
Counted in two steps it would be Sat 2028-04-29; the plan goes by that.
2028-04-30 is a Sunday; the next working day by calendar DE@1 (computed by rule; nobody has checked that year yet) is Tue 2028-05-02.
plan_by: the end of Sat 2028-04-29 in Europe/Berlin (2028-04-29T22:00:00Z).
legal_due: the end of Tue 2028-05-02 in Europe/Berlin (2028-05-02T22:00:00Z).`},
		{"paused", []clock.Event{uk, event(t, clock.Restarted, "identity", "2026-11-16T10:00:00Z"), event(t, clock.Paused, "clarification", "2026-11-18T10:00:00Z")}, `
uk.dsar.respond@2, in force for triggers from 2026-02-05: UK GDPR Art. 12A (SI 2026/82); Data Protection Act 2018 s. 54.
The trigger was 2026-11-02T09:30:00Z (receipt of the request); it counts from 2026-11-16T10:00:00Z.
1 month after 2026-11-16, that day not counted: Wed 2026-12-16.
The day of the trigger may count as the first: the plan is Tue 2026-12-15.
plan_by: the end of Tue 2026-12-15 in Europe/London (2026-12-16T00:00:00Z).
legal_due: the end of Wed 2026-12-16 in Europe/London (2026-12-17T00:00:00Z).
With a notice sent by then it may be extended once by 2 months, to the end of Tue 2027-02-16 in Europe/London (2027-02-17T00:00:00Z) at the latest.
The clock has stood still since 2026-11-18T10:00:00Z (clarification); both moments move with it.`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := r.Fold(tt.events)
			if err != nil {
				t.Fatal(err)
			}
			if got := "\n" + strings.Join(s.Steps, "\n"); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}
