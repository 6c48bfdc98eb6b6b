package hold_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
)

func TestMain(m *testing.M) { leaks.MainOrDie(m, dieAt, changeAndDie) }

const onPostgres = "TestOnPostgres"

// TestOnPostgres runs the tests again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"Life": TestLife, "Covers": TestCovers, "Hostile": TestHostile, "HoldAtEachStep": TestHoldAtEachStep, "Race": TestRace, "Marks": TestMarks, "HangsDeep": TestHangsDeep, "Held": TestHeld, "TwoAgree": TestTwoAgree, "CoversCalls": TestCoversCalls, "AnyHold": TestAnyHold, "Killed": TestKilled,
	} {
		t.Run(name, test)
	}
}

// mirror seals by turning round, and refuses another name.
type mirror struct{}

func (mirror) Seal(_ context.Context, name string, plain []byte) ([]byte, error) {
	return append([]byte(name+"\x00"), turned(plain)...), nil
}

func (mirror) Open(_ context.Context, name string, stored []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(stored, []byte(name+"\x00"))
	if !ok {
		return nil, errors.New("sealed under another name")
	}
	return turned(rest), nil
}

func turned(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

// world is a database with an index and holds, and a log.
type world struct {
	where string
	db    *store.DB
	x     *index.Index
	s     *hold.Store

	mu  sync.Mutex
	log []hold.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	where := filepath.Join(t.TempDir(), "state.db")
	if strings.HasPrefix(t.Name(), onPostgres+"/") {
		where = pgtest.Database(t)
	}
	return openWorld(t, where)
}

func openWorld(t *testing.T, where string) *world {
	t.Helper()
	w := &world{where: where}
	var err error
	if w.db, w.x, w.s, err = openStores(t.Context(), where); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.x.Close(), w.db.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func openStores(ctx context.Context, where string) (*store.DB, *index.Index, *hold.Store, error) {
	db, err := store.Open(ctx, where, store.Options{Create: true})
	if err != nil {
		return nil, nil, nil, err
	}
	x, err := index.Open(ctx, db)
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := hold.Open(ctx, db, mirror{})
	return db, x, s, err
}

func (w *world) record(_ context.Context, e hold.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, old := range w.log {
		if old.ID == e.ID {
			return nil
		}
	}
	w.log = append(w.log, e)
	return nil
}

func (w *world) tell(t *testing.T) {
	t.Helper()
	if err := w.s.Tell(t.Context(), w.record); err != nil {
		t.Fatal(err)
	}
}

func (w *world) place(t *testing.T, s hold.Scope) hold.Hold {
	t.Helper()
	h, err := w.s.Place(t.Context(), wish(s))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (w *world) lift(t *testing.T, id string) {
	t.Helper()
	if _, err := w.s.AskLift(t.Context(), id, "key:a", "settled"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.Approve(t.Context(), id, "key:b", nil); err != nil {
		t.Fatal(err)
	}
	w.tell(t)
}

// pass is an erasure that reaches the gate.
func (w *world) pass(t *testing.T, event byte, persons ...index.Person) error {
	t.Helper()
	err := w.s.Pass(t.Context(), [16]byte{event}, "", persons)
	var held *hold.HeldError
	if err != nil && !errors.As(err, &held) {
		t.Fatal(err)
	}
	return err
}

// heldBy fails unless a hold, "" for none, stops the erasure of a person.
func (w *world) heldBy(t *testing.T, p index.Person, want string) {
	t.Helper()
	err := w.s.Check(t.Context(), []index.Person{p})
	var held *hold.HeldError
	got := ""
	if errors.As(err, &held) {
		got = held.Hold
	} else if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("person %x is held by %q, want %q", p[:2], got, want)
	}
}

func (w *world) see(t *testing.T, all ...index.Sighting) {
	t.Helper()
	for i := range all {
		if all[i].At.IsZero() {
			all[i].At = now
		}
	}
	if err := w.x.Note(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var ann, bob, eve, joe = index.Person{1}, index.Person{2}, index.Person{3}, index.Person{4}

func wish(s hold.Scope) hold.New {
	return hold.New{Matter: "CASE-7", Custodian: "legal", Reason: "zebra against the company", By: "key:a", Scope: s}
}

func ticket(id string) index.Record {
	return index.Record{Channel: "desk", Host: "acme.example", Type: "ticket", ID: id}
}

func comment(id string) index.Record {
	return index.Record{Channel: "desk", Host: "acme.example", Type: "comment", ID: id}
}

// A hold from its beginning to its end: in force with the commit, until two persons agreed
// and the log has it; each change is on record once, without what people wrote.
func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.place(t, hold.Scope{Persons: []index.Person{ann, ann}, Records: []index.Record{ticket("1")}, Queries: []hold.Query{{Channel: "desk", Until: now}}})
	if h.State != hold.Placed || h.Persons != 1 || len(h.Records) != 1 || len(h.Queries) != 1 || !h.Queries[0].Until.Equal(now) || h.Reason != "zebra against the company" || h.PlacedBy != "key:a" || h.Placed.IsZero() {
		t.Errorf("got %+v", h)
	}
	w.heldBy(t, ann, h.ID)
	w.heldBy(t, bob, "")
	if _, err := w.s.Approve(t.Context(), h.ID, "key:b", nil); !errors.Is(err, hold.ErrWish) {
		t.Errorf("agreeing to what nobody asked for: %v", err)
	}
	if h, err := w.s.AskLift(t.Context(), h.ID, "key:a", "settled"); err != nil || h.State != hold.LiftRequested || h.AskedFor != "settled" || h.AskedBy != "key:a" {
		t.Errorf("got %+v, %v", h, err)
	}
	if _, err := w.s.AskLift(t.Context(), h.ID, "key:c", "settled"); !errors.Is(err, hold.ErrWish) {
		t.Errorf("asking twice: %v", err)
	}
	w.heldBy(t, ann, h.ID)
	for name, same := range map[string]map[string]bool{"key:a": nil, "key:a2": {"key:a2": true, "key:a": true}} {
		if _, err := w.s.Approve(t.Context(), h.ID, name, same); !errors.Is(err, hold.ErrSamePerson) || !errors.Is(err, hold.ErrWish) {
			t.Errorf("agreeing with oneself: %v", err)
		}
	}
	w.heldBy(t, ann, h.ID)
	if h, err := w.s.Approve(t.Context(), h.ID, "key:b", map[string]bool{"key:b": true}); err != nil || h.State != hold.Lifting || h.AgreedBy != "key:b" {
		t.Errorf("got %+v, %v", h, err)
	}
	// The log is away.
	away := errors.New("away")
	if err := w.s.Tell(t.Context(), func(context.Context, hold.Event) error { return away }); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	w.heldBy(t, ann, h.ID)
	w.tell(t)
	w.tell(t)
	w.heldBy(t, ann, "")
	if h, err := w.s.Get(t.Context(), h.ID); err != nil || h.State != hold.Lifted {
		t.Errorf("got %+v, %v", h, err)
	}
	want := []string{hold.EventPlaced + " key:a", hold.EventLiftRequested + " key:a", hold.EventLifted + " key:b"}
	if len(w.log) != len(want) {
		t.Fatalf("the log has %+v", w.log)
	}
	for i, e := range w.log {
		if got := e.Type + " " + e.By; got != want[i] || e.Attrs["hold"] != h.ID || e.Attrs["matter"] != "CASE-7" || strings.Contains(fmt.Sprint(e.Attrs), "zebra") {
			t.Errorf("event %d: got %s %v", i, got, e.Attrs)
		}
	}
	if got := w.log[2].Attrs; got["asked_by"] != "key:a" || got["approved_by"] != "key:b" {
		t.Errorf("got %v", got)
	}
	if _, err := w.s.AskLift(t.Context(), h.ID, "key:a", "again"); !errors.Is(err, hold.ErrWish) {
		t.Errorf("lifting what is lifted: %v", err)
	}
	second := w.place(t, hold.Scope{Persons: []index.Person{bob}})
	list, err := w.s.List(t.Context())
	if err != nil || len(list) != 2 || list[0].ID != second.ID || list[1].State != hold.Lifted || list[0].Reason != "" {
		t.Errorf("got %+v, %v", list, err)
	}
	var stored []byte
	if err := w.db.QueryRowContext(t.Context(), `SELECT reason FROM hold WHERE id = $1`, h.ID).Scan(&stored); err != nil || bytes.Contains(stored, []byte("zebra")) {
		t.Errorf("the reason is stored as %q, %v", stored, err)
	}
}

// Whom a hold covers: by name, by names that are linked, by a record, by what it hangs on, by
// a query; also by records that pass later.
func TestCovers(t *testing.T) {
	t.Parallel()
	old := now.AddDate(-1, 0, 0)
	seen := func(r index.Record, persons ...index.Person) index.Sighting {
		return index.Sighting{Record: r, Persons: persons}
	}
	for name, tt := range map[string]struct {
		scope  hold.Scope
		before []index.Sighting
		after  []index.Sighting
		held   []index.Person
		free   []index.Person
	}{
		"a name": {scope: hold.Scope{Persons: []index.Person{ann}}, held: []index.Person{ann}, free: []index.Person{bob}},
		"a linked name": {scope: hold.Scope{Persons: []index.Person{ann}}, before: []index.Sighting{{Record: ticket("1"), Persons: []index.Person{ann, bob}, Profile: []index.Person{ann, bob}}},
			held: []index.Person{ann, bob}, free: []index.Person{eve}},
		"a name that is linked later": {scope: hold.Scope{Persons: []index.Person{ann}}, after: []index.Sighting{{Record: ticket("1"), Persons: []index.Person{ann, bob}, Profile: []index.Person{ann, bob}}},
			held: []index.Person{bob}},
		"a record":                      {scope: hold.Scope{Records: []index.Record{ticket("1")}}, before: []index.Sighting{seen(ticket("1"), ann), seen(ticket("2"), bob)}, held: []index.Person{ann}, free: []index.Person{bob}},
		"a record that nobody has seen": {scope: hold.Scope{Records: []index.Record{ticket("1")}}, after: []index.Sighting{seen(ticket("1"), ann)}, held: []index.Person{ann}, free: []index.Person{bob}},
		"what hangs on a record": {scope: hold.Scope{Records: []index.Record{ticket("1")}}, after: []index.Sighting{
			{Record: comment("7"), Parent: ticket("1"), Persons: []index.Person{ann}}, {Record: comment("9"), Parent: comment("7"), Persons: []index.Person{eve}}, {Record: comment("8"), Parent: ticket("2"), Persons: []index.Person{bob}}},
			held: []index.Person{ann, eve}, free: []index.Person{bob}},
		"records in a circle": {scope: hold.Scope{Records: []index.Record{ticket("1")}}, after: []index.Sighting{
			{Record: comment("7"), Parent: comment("8"), Persons: []index.Person{bob}}, {Record: comment("8"), Parent: comment("7"), Persons: []index.Person{bob}}}, free: []index.Person{bob}},
		"a record of another account": {scope: hold.Scope{Records: []index.Record{{Channel: "desk", Host: "other.example", Type: "ticket", ID: "1"}}}, before: []index.Sighting{seen(ticket("1"), ann)}, free: []index.Person{ann}},
		"a channel":                   {scope: hold.Scope{Queries: []hold.Query{{Channel: "desk"}}}, after: []index.Sighting{seen(ticket("1"), ann)}, held: []index.Person{ann}, free: []index.Person{bob}},
		"another channel":             {scope: hold.Scope{Queries: []hold.Query{{Channel: "chat"}}}, before: []index.Sighting{seen(ticket("1"), ann)}, free: []index.Person{ann}},
		"a type":                      {scope: hold.Scope{Queries: []hold.Query{{Channel: "desk", Host: "acme.example", Type: "comment"}}}, before: []index.Sighting{seen(ticket("1"), ann), seen(comment("1"), bob)}, held: []index.Person{bob}, free: []index.Person{ann}},
		"a comment on a type":         {scope: hold.Scope{Queries: []hold.Query{{Channel: "desk", Type: "ticket"}}}, before: []index.Sighting{{Record: comment("7"), Parent: ticket("1"), Persons: []index.Person{ann}}}, held: []index.Person{ann}},
		"created before": {scope: hold.Scope{Queries: []hold.Query{{Channel: "desk", Until: now}}},
			before: []index.Sighting{{Record: ticket("1"), Persons: []index.Person{ann}, Created: old}, {Record: ticket("2"), Persons: []index.Person{bob}, Created: now.Add(time.Minute)}, {Record: ticket("3"), Persons: []index.Person{eve}}},
			held:   []index.Person{ann, eve}, free: []index.Person{bob}},
		"seen since": {scope: hold.Scope{Queries: []hold.Query{{Channel: "desk", Since: now}}},
			before: []index.Sighting{{Record: ticket("1"), Persons: []index.Person{ann}, At: now.Add(-time.Hour)}, {Record: ticket("2"), Persons: []index.Person{bob}}, {Record: ticket("3"), Persons: []index.Person{eve}, At: now.Add(-9 * time.Minute)}},
			held:   []index.Person{bob, eve}, free: []index.Person{ann}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.see(t, tt.before...)
			h := w.place(t, tt.scope)
			w.see(t, tt.after...)
			for _, p := range tt.held {
				w.heldBy(t, p, h.ID)
				if err := w.pass(t, 1, p); err == nil {
					t.Errorf("%x passed", p[:1])
				}
			}
			for _, p := range tt.free {
				w.heldBy(t, p, "")
			}
			w.lift(t, h.ID)
			for _, p := range append(tt.held, tt.free...) {
				w.heldBy(t, p, "")
			}
		})
	}
}

// What is no hold is none, whatever its size; and a hold of the largest size works.
func TestHostile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	persons, records, queries := make([]index.Person, hold.MaxPersons+1), make([]index.Record, hold.MaxRecords+1), make([]hold.Query, hold.MaxQueries+1)
	for i := range persons {
		persons[i] = index.Person{9, byte(i), byte(i >> 8)}
	}
	for i := range records {
		records[i] = ticket(fmt.Sprint("x", i))
	}
	for i := range queries {
		queries[i] = hold.Query{Channel: "desk", Type: fmt.Sprint("t", i)}
	}
	for name, change := range map[string]func(*hold.New){
		"no matter":         func(n *hold.New) { n.Matter = "" },
		"a name as matter":  func(n *hold.New) { n.Matter = "Ann v. Acme" },
		"no custodian":      func(n *hold.New) { n.Custodian = "" },
		"an address":        func(n *hold.New) { n.Custodian = "ann@example.com" },
		"no reason":         func(n *hold.New) { n.Reason = "" },
		"a long reason":     func(n *hold.New) { n.Reason = strings.Repeat("x", hold.MaxReason+1) },
		"nobody":            func(n *hold.New) { n.By = "" },
		"nothing":           func(n *hold.New) { n.Scope = hold.Scope{} },
		"too many persons":  func(n *hold.New) { n.Scope.Persons = persons },
		"too many records":  func(n *hold.New) { n.Scope.Records = records },
		"too many queries":  func(n *hold.New) { n.Scope.Queries = queries },
		"half a record":     func(n *hold.New) { n.Scope.Records = []index.Record{{Channel: "desk"}} },
		"a record with NUL": func(n *hold.New) { n.Scope.Records = []index.Record{ticket("a\x00b")} },
		"no channel":        func(n *hold.New) { n.Scope.Queries = []hold.Query{{Type: "ticket"}} },
		"an empty window":   func(n *hold.New) { n.Scope.Queries = []hold.Query{{Channel: "desk", Since: now, Until: now}} },
	} {
		n := wish(hold.Scope{Persons: []index.Person{ann}})
		change(&n)
		if _, err := w.s.Place(t.Context(), n); !errors.Is(err, hold.ErrWish) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"get":     func() error { _, err := w.s.Get(t.Context(), "none"); return err }(),
		"lift":    func() error { _, err := w.s.AskLift(t.Context(), "none", "key:a", "x"); return err }(),
		"approve": func() error { _, err := w.s.Approve(t.Context(), "none", "key:b", nil); return err }(),
	} {
		if !errors.Is(err, hold.ErrNone) {
			t.Errorf("%s of no hold: %v", name, err)
		}
	}
	w.heldBy(t, ann, "")
	h := w.place(t, hold.Scope{Persons: persons[1:], Records: records[1:], Queries: queries[1:]})
	if h.Persons != hold.MaxPersons || len(h.Records) != hold.MaxRecords || len(h.Queries) != hold.MaxQueries {
		t.Errorf("got %d, %d, %d", h.Persons, len(h.Records), len(h.Queries))
	}
	w.heldBy(t, persons[hold.MaxPersons], h.ID)
	// More names are linked than a person has: nobody can say whether one is held.
	var all []index.Sighting
	for i := range index.MaxOne + 1 {
		p := index.Person{8, byte(i), byte(i >> 8)}
		all = append(all, index.Sighting{Record: ticket(fmt.Sprint("u", i)), Persons: []index.Person{joe, p}, Profile: []index.Person{joe, p}})
	}
	w.see(t, all...)
	if err := w.s.Check(t.Context(), []index.Person{joe}); !errors.Is(err, index.ErrTooMany) {
		t.Errorf("got %v", err)
	}
	w.lift(t, h.ID)
	w.heldBy(t, joe, "")
}

// covers tells whether a call that destroys this is stopped.
func (w *world) covers(t *testing.T, persons []index.Person, records ...index.Record) bool {
	t.Helper()
	got, err := w.s.Covers(t.Context(), persons, records)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What a call destroys is held by person, linked name, record and query, with what hangs on it
// and what it hangs on.
func TestCoversCalls(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	one := func(p ...index.Person) hold.Scope { return hold.Scope{Persons: p} }
	of := func(r ...index.Record) hold.Scope { return hold.Scope{Records: r} }
	query := func(q hold.Query) hold.Scope { q.Channel = "desk"; return hold.Scope{Queries: []hold.Query{q}} }
	elsewhere := ticket("1")
	elsewhere.Host = "other"
	many := make([]index.Record, 300)
	for i := range many {
		many[i] = ticket(fmt.Sprint(1000 + i))
	}
	for name, tt := range map[string]struct {
		scope   hold.Scope
		persons []index.Person
		records []index.Record
		want    bool
	}{
		"the person":                        {scope: one(ann), persons: []index.Person{ann}, want: true},
		"somebody else":                     {scope: one(joe), persons: []index.Person{ann, bob}},
		"a linked name":                     {scope: one(ann), persons: []index.Person{bob, eve}, want: true},
		"a record of the person":            {scope: one(ann), records: []index.Record{ticket("2"), ticket("1")}, want: true},
		"a record of a linked name":         {scope: one(eve), records: []index.Record{ticket("1")}, want: true},
		"a record of somebody else":         {scope: one(ann), records: []index.Record{ticket("2")}},
		"a record on which the person's is": {scope: one(joe), records: []index.Record{ticket("3")}, want: true},
		"another account's record":          {scope: one(ann), records: []index.Record{elsewhere}},
		"the record":                        {scope: of(ticket("2")), records: []index.Record{ticket("2")}, want: true},
		"a record that nobody saw":          {scope: of(ticket("99")), records: []index.Record{ticket("99")}, want: true},
		"what hangs on the record":          {scope: of(ticket("3")), records: []index.Record{comment("31")}, want: true},
		"what the record hangs on":          {scope: of(comment("31")), records: []index.Record{ticket("3")}, want: true},
		"whoever the record names":          {scope: of(ticket("1")), persons: []index.Person{eve}, want: true},
		"another record":                    {scope: of(ticket("2")), records: []index.Record{ticket("3"), comment("31"), ticket("98")}},
		"the last of many":                  {scope: of(many[299]), records: many, want: true},
		"none of many":                      {scope: of(ticket("7")), records: many},
		"by query":                          {scope: query(hold.Query{Type: "ticket"}), records: []index.Record{ticket("2")}, want: true},
		"by query, of another type":         {scope: query(hold.Query{Type: "user"}), records: []index.Record{ticket("2")}},
		"by query, what nobody saw":         {scope: query(hold.Query{}), records: []index.Record{ticket("97")}, want: true},
		"by query, made before":             {scope: query(hold.Query{Until: day(6)}), records: []index.Record{ticket("2")}, want: true},
		"by query, made after":              {scope: query(hold.Query{Until: day(4)}), records: []index.Record{ticket("2")}},
		"by query, no day known":            {scope: query(hold.Query{Until: day(4)}), records: []index.Record{ticket("3")}, want: true},
		"by query, seen long ago":           {scope: query(hold.Query{Type: "ticket", Since: now.Add(-time.Hour)}), records: []index.Record{ticket("2")}, want: true},
		"by query, of days to come":         {scope: query(hold.Query{Since: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}), records: []index.Record{ticket("2"), ticket("97")}},
		"nothing":                           {scope: one(ann)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann, eve}, Profile: []index.Person{ann, eve}},
				index.Sighting{Record: ticket("2"), Persons: []index.Person{bob}, Created: day(5), At: day(7)},
				index.Sighting{Record: ticket("3")}, index.Sighting{Record: comment("31"), Parent: ticket("3"), Persons: []index.Person{joe}})
			if w.covers(t, tt.persons, tt.records...) {
				t.Error("held without a hold")
			}
			h := w.place(t, tt.scope)
			if got := w.covers(t, tt.persons, tt.records...); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			w.lift(t, h.ID)
			if w.covers(t, tt.persons, tt.records...) {
				t.Error("held after the hold")
			}
		})
	}
}

// Whether a hold is in force is known at once where it was placed and lifted; on PostgreSQL
// also, and soon, where another process did, and in doubt one may be.
func TestAnyHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shared := w.db.Dialect == store.Postgres
	await := func(want bool) {
		t.Helper()
		for begun := time.Now(); w.s.Any(t.Context()) != want; {
			if !shared || time.Since(begun) > time.Minute {
				t.Fatalf("a hold in force: want %v", want)
			}
		}
	}
	await(false)
	h := w.place(t, hold.Scope{Persons: []index.Person{ann}})
	if !w.s.Any(t.Context()) {
		t.Error("a hold was placed and is not known")
	}
	if _, err := w.s.AskLift(t.Context(), h.ID, "key:a", "settled"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.Approve(t.Context(), h.ID, "key:b", nil); err != nil {
		t.Fatal(err)
	}
	if !w.s.Any(t.Context()) {
		t.Error("a hold whose lifting is not on record is in force")
	}
	w.tell(t)
	await(false)
	if shared {
		other := openWorld(t, w.where)
		h = other.place(t, hold.Scope{Persons: []index.Person{ann}})
		await(true)
		other.lift(t, h.ID)
		await(false)
	}
	if _, err := w.db.ExecContext(t.Context(), `ALTER TABLE hold RENAME TO elsewhere`); err != nil {
		t.Fatal(err)
	}
	await(shared) // nobody knows
	if _, err := w.s.Covers(t.Context(), []index.Person{ann}, nil); err == nil {
		t.Error("holds were found in no table")
	}
	// A process that begins finds what is in force.
	if _, err := w.db.ExecContext(t.Context(), `ALTER TABLE elsewhere RENAME TO hold`); err != nil {
		t.Fatal(err)
	}
	await(false)
	w.place(t, hold.Scope{Persons: []index.Person{ann}})
	if shared {
		if again := openWorld(t, w.where); !again.s.Any(t.Context()) {
			t.Error("after a start: no hold in force")
		}
	}
}
