package schedule_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/schedule"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// plainSeal seals nothing: reasons are no matter of these tests.
type plainSeal struct{}

func (plainSeal) Seal(_ context.Context, _ string, b []byte) ([]byte, error) { return b, nil }
func (plainSeal) Open(_ context.Context, _ string, b []byte) ([]byte, error) { return b, nil }

type world struct {
	db *store.DB
	x  *index.Index
	s  *hold.Store
}

func open(t testing.TB, where string) *world {
	t.Helper()
	w := new(world)
	var err error
	if w.db, err = store.Open(t.Context(), where, store.Options{Create: true, Sync: store.SyncNormal}); err != nil {
		t.Fatal(err)
	}
	if w.x, err = index.Open(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.x.Close(), w.db.Close()); err != nil {
			t.Error(err)
		}
	})
	if w.s, err = hold.Open(t.Context(), w.db, plainSeal{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) note(t testing.TB, all ...index.Sighting) {
	t.Helper()
	if err := w.x.Note(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

func (w *world) plan(t testing.TB, s *schedule.Schedule, at time.Time) *schedule.Plan {
	t.Helper()
	p, err := schedule.NewPlan(t.Context(), s, schedule.Sources{DB: w.db, At: at})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t testing.TB, src string) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse("t.yaml", []byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rec(typ string, id int) index.Record {
	return index.Record{Channel: "zendesk", Host: "acme.zendesk.com", Type: typ, ID: strconv.Itoa(id)}
}

func date(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

func closed(s string) index.Closing { return index.Closing{Known: true, At: date(s)} }

var seen = date("2026-11-01")

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, filepath.Join(t.TempDir(), "state.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, pgtest.Database(t)))
	})
}

const rules = `version: 1
revision: r1
regions:
  - {id: eu, hosts: ["*.eu.example.com"]}
rules:
  - {id: chats, purpose: support, channel: zendesk, types: [ticket, comment, attachment], from: closing, rule: int.chat, action: delete}
  - {id: cards, purpose: support, classes: [credit_card], from: creation, period: P30D, action: redact}
  - {id: eu-users, purpose: support, types: [user], region: eu, from: creation, period: P1M, action: delete}
  - {id: rows, purpose: support, types: [ticket], from: closing, period: P24M, action: forget}
`

// What is due, what is kept and why, what nothing covers: each row of a plan.
func TestPlan(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := index.Person{1}
		w.note(t,
			index.Sighting{Record: rec("ticket", 1), Created: date("2025-01-01"), Closed: closed("2025-05-22"), Classes: []string{"credit_card", "email"}, Persons: []index.Person{p}, At: seen},
			index.Sighting{Record: rec("comment", 2), Parent: rec("ticket", 1), Created: date("2025-01-01"), At: seen},     // closed with its ticket
			index.Sighting{Record: rec("attachment", 3), Parent: rec("comment", 2), Created: date("2025-01-01"), At: seen}, // and so is what hangs on it
			index.Sighting{Record: rec("ticket", 4), Created: date("2020-01-01"), Closed: closed("2025-05-23"), At: seen},  // a day too young
			index.Sighting{Record: rec("ticket", 5), Created: date("2020-01-01"), At: seen},                                // nobody said
			index.Sighting{Record: rec("ticket", 6), Created: date("2020-01-01"), Closed: index.Closing{Known: true}, At: seen},
			index.Sighting{Record: rec("ticket", 7), Created: date("2020-01-01"), Closed: closed("2020-02-01"), At: seen},
			index.Sighting{Record: rec("user", 8), Created: date("2020-01-01"), At: seen}, // of no region
			index.Sighting{Record: rec("user", 9), Classes: []string{"credit_card"}, At: seen},
			index.Sighting{Record: rec("ticket", 10), Closed: closed("2020-02-01"), Gone: true, At: seen},
			index.Sighting{Record: index.Record{Channel: "zendesk", Host: "a.eu.example.com", Type: "user", ID: "x@y"}, Created: date("2026-08-31"), At: seen},
		)
		w.note(t, index.Sighting{Record: rec("ticket", 7), Closed: index.Closing{Known: true}, At: seen.Add(time.Hour)}) // opened again
		s := parse(t, rules)
		got := w.plan(t, s, date("2026-11-23"))
		if got.Records != 11 || got.Matched != 5 || got.Held != 0 || got.Gone != 1 || got.Doubt != "" || got.Schedule != s.Digest {
			t.Errorf("got %+v", got)
		}
		due := []schedule.Due{
			{Rule: "chats", Action: "delete", Carried: "connector", Channel: "zendesk", Type: "attachment", Records: 1, Classes: map[string]int64{}},
			{Rule: "chats", Action: "delete", Carried: "connector", Channel: "zendesk", Type: "comment", Records: 1, Classes: map[string]int64{}},
			{Rule: "chats", Action: "delete", Carried: "connector", Channel: "zendesk", Type: "ticket", Records: 1, Classes: map[string]int64{"credit_card": 1, "email": 1}},
			{Rule: "cards", Action: "redact", Carried: "by_hand", Channel: "zendesk", Type: "ticket", Records: 1, Classes: map[string]int64{"credit_card": 1}},
			{Rule: "eu-users", Action: "delete", Carried: "connector", Channel: "zendesk", Type: "user", Records: 1, Classes: map[string]int64{}},
			{Rule: "rows", Action: "forget", Carried: "not_yet", Channel: "zendesk", Type: "ticket", Records: 1, Classes: map[string]int64{}},
		}
		if !reflect.DeepEqual(got.Due, due) {
			t.Errorf("due: got %+v, want %+v", got.Due, due)
		}
		kept := []schedule.Kept{
			{Rule: "chats", Why: "age", Records: 1}, {Rule: "chats", Why: "closing_unknown", Records: 1}, {Rule: "chats", Why: "open", Records: 1}, {Rule: "chats", Why: "open_again", Records: 1},
			{Rule: "cards", Why: "creation_unknown", Records: 1},
			{Rule: "rows", Why: "age", Records: 2}, {Rule: "rows", Why: "closing_unknown", Records: 1}, {Rule: "rows", Why: "open", Records: 1}, {Rule: "rows", Why: "open_again", Records: 1},
		}
		if !reflect.DeepEqual(got.Kept, kept) {
			t.Errorf("kept: got %+v, want %+v", got.Kept, kept)
		}
		if want := []schedule.Uncovered{{Channel: "zendesk", Type: "user", Records: 2}}; !reflect.DeepEqual(got.Uncovered, want) {
			t.Errorf("uncovered: got %+v", got.Uncovered)
		}
		text, err := json.Marshal(got)
		if err != nil || strings.Contains(string(text), "x@y") || !strings.Contains(string(text), `"zendesk/acme.zendesk.com/ticket/1"`) {
			t.Errorf("samples: %s, %v", text, err)
		}
		// The day before nothing of the 22nd is due: never before the end of the day.
		if before := w.plan(t, s, date("2026-11-23").Add(-time.Millisecond)); slicesOf(before, "chats") != 0 {
			t.Errorf("before the end of the day: %+v", before.Due)
		}
	})
}

func slicesOf(p *schedule.Plan, rule string) (n int64) {
	for _, d := range p.Due {
		if d.Rule == rule {
			n += d.Records
		}
	}
	return n
}

// No edit makes a record younger: neither a later creation nor an earlier closing counts.
func TestAgeStays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.note(t, index.Sighting{Record: rec("ticket", 1), Created: date("2020-01-01"), Classes: []string{"credit_card"}, At: seen})
		w.note(t, index.Sighting{Record: rec("ticket", 1), Created: date("2026-11-01"), Classes: []string{"credit_card"}, At: seen.Add(time.Hour)})
		if n := slicesOf(w.plan(t, parse(t, rules), date("2026-11-02")), "cards"); n != 1 {
			t.Errorf("%d records due after an edit, want 1", n)
		}
	})
}

// Holds spare the record they cover, what hangs on it and what it hangs on, and nothing else.
func TestHoldsSpare(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann, linked, bob := index.Person{1}, index.Person{2}, index.Person{3}
		old := func(typ string, id int, on index.Record, who ...index.Person) index.Sighting {
			return index.Sighting{Record: rec(typ, id), Parent: on, Persons: who, Created: date("2020-01-01"), Closed: closed("2020-02-01"), At: seen}
		}
		for n := range 6 {
			w.note(t, old("ticket", n, index.Record{}), old("comment", 100+n, rec("ticket", n)), old("comment", 200+n, rec("ticket", n)))
		}
		w.note(t, old("comment", 101, rec("ticket", 1), linked), old("comment", 105, rec("ticket", 5), bob))
		tx, err := w.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.x.Merge(t.Context(), tx, ann, linked, seen); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		s := parse(t, rules)
		at := date("2026-11-23")
		if p := w.plan(t, s, at); p.Matched != 18 || p.Held != 0 || len(p.Spared) != 0 {
			t.Fatalf("without holds: %+v", p)
		}
		place := func(matter string, scope hold.Scope) hold.Hold {
			t.Helper()
			h, err := w.s.Place(t.Context(), hold.New{Matter: matter, Custodian: "legal", Reason: "x", By: "local", Scope: scope})
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		byPerson := place("PERSON", hold.Scope{Persons: []index.Person{ann}})
		byRecord := place("RECORD", hold.Scope{Records: []index.Record{rec("ticket", 2)}})
		byComment := place("COMMENT", hold.Scope{Records: []index.Record{rec("comment", 103)}})
		byQuery := place("QUERY", hold.Scope{Queries: []hold.Query{{Channel: "zendesk", Type: "ticket", Until: date("2019-01-01")}}})
		p := w.plan(t, s, at)
		// Comment 101 names the person, and its ticket would take it along; 201 hangs on the same
		// ticket, and can go.
		want := map[string]int64{byPerson.ID: 2, byRecord.ID: 3, byComment.ID: 2}
		got := make(map[string]int64)
		for _, sp := range p.Spared {
			got[sp.Hold] = sp.Records
		}
		if !reflect.DeepEqual(got, want) || p.Held != 7 || p.Matched != 18 || slicesOf(p, "chats") != 11 {
			t.Errorf("spared %v, want %v; %+v (query %s)", got, want, p, byQuery.ID)
		}
		place("ALL", hold.Scope{Queries: []hold.Query{{Channel: "zendesk"}}})
		if p := w.plan(t, s, at); p.Held != 18 || len(p.Due) != 0 {
			t.Errorf("all held: %+v", p)
		}
	})
}

// A plan goes over several pages and says of the clock what the index knows.
func TestManyAndDoubt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var all []index.Sighting
		for n := range 2*index.WalkPage + 7 {
			all = append(all, index.Sighting{Record: rec("ticket", n), Closed: closed("2020-02-01"), Classes: []string{"email", "phone"}, At: seen})
		}
		w.note(t, all...)
		s := parse(t, rules)
		p := w.plan(t, s, date("2026-11-23"))
		if n := int64(len(all)); p.Records != n || slicesOf(p, "chats") != n || p.Due[0].Classes["phone"] != n || len(p.Samples[0].Records) != 5 || p.Doubt != "" {
			t.Errorf("got %+v", p)
		}
		w.note(t, index.Sighting{Record: rec("user", 1), At: time.Now().AddDate(1, 0, 0)})
		if p := w.plan(t, s, time.Time{}); p.Doubt == "" {
			t.Error("seen in a year, and no doubt")
		}
		p, err := schedule.NewPlan(t.Context(), s, schedule.Sources{DB: w.db, Doubt: "because"})
		if err != nil || p.Doubt != "because" {
			t.Errorf("got %+v, %v", p, err)
		}
	})
}

// The vectors of the default policy: months of the calendar, hours of the UTC timeline.
func TestKeepUntil(t *testing.T) {
	t.Parallel()
	for anchor, want := range map[string]string{
		"P18M 2025-08-31T10:00:00Z": "2027-03-01T00:00:00Z", "P18M 2026-08-29T00:00:00Z": "2028-03-01T00:00:00Z", "P18M 2026-08-31T23:59:59Z": "2028-03-01T00:00:00Z",
		"P18M 2027-08-30T12:00:00Z": "2029-03-01T00:00:00Z", "P18M 2028-02-29T12:00:00Z": "2029-08-30T00:00:00Z", "P18M 2026-05-22T12:00:00Z": "2027-11-23T00:00:00Z",
		"PT720H 2027-03-01T00:30:00+01:00": "2027-03-30T23:30:00Z", "PT720H 2026-10-01T00:30:00+02:00": "2026-10-30T22:30:00Z", "PT720H 2028-02-15T12:00:00Z": "2028-03-16T12:00:00Z",
	} {
		period, from, _ := strings.Cut(anchor, " ")
		p, err := clock.ParsePeriod(period)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.KeepUntil(at, time.UTC).Format(time.RFC3339); got != want {
			t.Errorf("%s: got %s, want %s", anchor, got, want)
		}
	}
}

var benchRecords = flag.Int("records", 100_000, "how many records the index of the benchmark has")

// BenchmarkPlan plans a purge over an index of -records, of which all tickets are due, with a
// hold in force and without.
func BenchmarkPlan(b *testing.B) {
	w := open(b, filepath.Join(b.TempDir(), "state.db"))
	for first := 0; first < *benchRecords; first += 2000 {
		var all []index.Sighting
		for n := first; n < min(first+2000, *benchRecords); n += 2 {
			who := []index.Person{{byte(n), byte(n >> 8), byte(n >> 16)}}
			all = append(all,
				index.Sighting{Record: rec("ticket", n), Persons: who, Created: date("2020-01-01"), Closed: closed("2020-02-01"), Classes: []string{"email"}, At: seen},
				index.Sighting{Record: rec("comment", n+1), Parent: rec("ticket", n), Persons: who, Created: date("2020-01-01"), Classes: []string{"email", "phone"}, At: seen})
		}
		w.note(b, all...)
	}
	s := parse(b, rules)
	for _, held := range []bool{false, true} {
		if held {
			if _, err := w.s.Place(b.Context(), hold.New{Matter: "M", Custodian: "legal", Reason: "x", By: "local", Scope: hold.Scope{
				Persons: []index.Person{{1}}, Records: []index.Record{rec("ticket", 4)}, Queries: []hold.Query{{Channel: "zendesk", Type: "user"}}}}); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("held=%v", held), func(b *testing.B) {
			for b.Loop() {
				if p := w.plan(b, s, date("2026-11-23")); p.Matched == 0 {
					b.Fatal("nothing is due")
				}
			}
		})
	}
}
