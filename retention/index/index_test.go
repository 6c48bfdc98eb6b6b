package index_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

// childEnv has the test's program note records until it is killed.
const childEnv = "CAREGATE_INDEX_TEST_CHILD"

func TestMain(m *testing.M) {
	if where := os.Getenv(childEnv); where != "" {
		fmt.Fprintln(os.Stderr, noteForEver(where))
		os.Exit(1)
	}
	leaks.Main(m)
}

const onPostgres = "TestOnPostgres"

// TestOnPostgres runs the tests again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"Sightings":        TestSightings,
		"PlacesAreApart":   TestPlacesAreApart,
		"Pages":            TestPages,
		"Parents":          TestParents,
		"Profiles":         TestProfiles,
		"TooMany":          TestTooMany,
		"Forget":           TestForget,
		"KnownCostsNoRows": TestKnownCostsNoRows,
		"ManyWriters":      TestManyWriters,
		"Killed":           TestKilled,
		"Flags":            TestFlags,
		"FlagsGiveWay":     TestFlagsGiveWay,
		"FlagsListed":      TestFlagsListed,
		"FlagsOfErased":    TestFlagsOfErased,
		"FlagsOfLinked":    TestFlagsOfLinked,
		"FlagsElsewhere":   TestFlagsElsewhere,
		"Backfill":         TestBackfill,
	} {
		t.Run(name, test)
	}
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// open opens the index in a database of the test's own.
func open(t *testing.T) (string, *store.DB, *index.Index) {
	t.Helper()
	where := filepath.Join(t.TempDir(), "state.db")
	if strings.HasPrefix(t.Name(), onPostgres+"/") {
		where = pgtest.Database(t)
	}
	db, x := openAt(t, where)
	return where, db, x
}

func openAt(t *testing.T, where string) (*store.DB, *index.Index) {
	t.Helper()
	db, x, err := openIndex(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(x.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return db, x
}

func openIndex(ctx context.Context, where string) (*store.DB, *index.Index, error) {
	db, err := store.Open(ctx, where, store.Options{Create: true, Sync: store.SyncNormal})
	if err != nil {
		return nil, nil, err
	}
	x, err := index.Open(ctx, db)
	return db, x, err
}

func ticket(id string) index.Record {
	return index.Record{Channel: "zendesk", Host: "acme.zendesk.com", Type: "ticket", ID: id}
}

// person makes a pseudonym.
func person(n byte) index.Person { return index.Person{0: n, 15: n} }

func note(t *testing.T, x *index.Index, all ...index.Sighting) {
	t.Helper()
	for i := range all {
		if all[i].At.IsZero() {
			all[i].At = noon
		}
	}
	if err := x.Note(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, x *index.Index, r index.Record) index.Entry {
	t.Helper()
	e, err := x.Get(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ids are the types and ids of entries.
func ids(all []index.Entry) (out []string) {
	for _, e := range all {
		out = append(out, e.Type+"/"+e.ID)
	}
	return out
}

// What later sightings change, and what they do not.
func TestSightings(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	still := index.Closing{Known: true}
	closed := func(at time.Time) index.Closing { return index.Closing{Known: true, At: at} }
	type want struct {
		created, closed time.Time
		open            bool
		reopened        int
		gone            bool
		classes         string
	}
	for name, test := range map[string]struct {
		seen []index.Sighting // an hour apart
		want want
	}{
		"nothing but its place":         {seen: []index.Sighting{{}}},
		"created stays":                 {seen: []index.Sighting{{Created: noon.Add(-day)}, {Created: noon.Add(-9 * day)}, {Created: noon}}, want: want{created: noon.Add(-day)}},
		"created is learned later":      {seen: []index.Sighting{{}, {Created: noon.Add(-day)}}, want: want{created: noon.Add(-day)}},
		"created in the future":         {seen: []index.Sighting{{Created: noon.Add(48 * time.Hour)}}},
		"created before there was any":  {seen: []index.Sighting{{Created: time.Unix(0, 0)}, {Created: noon.Add(-day)}}, want: want{created: noon.Add(-day)}},
		"open":                          {seen: []index.Sighting{{Closed: still}}, want: want{open: true}},
		"open and closed":               {seen: []index.Sighting{{Closed: still}, {Closed: closed(noon)}}, want: want{closed: noon}},
		"closed, then nothing said":     {seen: []index.Sighting{{Closed: closed(noon)}, {}}, want: want{closed: noon}},
		"opened again":                  {seen: []index.Sighting{{Closed: closed(noon)}, {Closed: still}, {Closed: still}}, want: want{open: true, reopened: 1}},
		"closed twice":                  {seen: []index.Sighting{{Closed: closed(noon)}, {Closed: still}, {Closed: closed(noon.Add(time.Hour))}}, want: want{closed: noon.Add(time.Hour), reopened: 1}},
		"the latest closing":            {seen: []index.Sighting{{Closed: closed(noon)}, {Closed: closed(noon.Add(-day))}}, want: want{closed: noon}},
		"a closing that cannot be":      {seen: []index.Sighting{{Closed: closed(noon)}, {Closed: closed(noon.Add(9 * day))}}, want: want{closed: noon}},
		"classes add up":                {seen: []index.Sighting{{Classes: []string{"us_ssn", "credit_card"}}, {Classes: []string{"email", "us_ssn"}}}, want: want{classes: "credit_card email us_ssn"}},
		"deleted":                       {seen: []index.Sighting{{Created: noon}, {Gone: true}}, want: want{created: noon, gone: true}},
		"deleted and there again":       {seen: []index.Sighting{{Gone: true}, {}}},
		"in one call: closed, reopened": {seen: []index.Sighting{{Closed: closed(noon), At: noon}, {Closed: still, At: noon}}, want: want{open: true, reopened: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Once sighting by sighting, once all in one call.
			for _, together := range []bool{false, true} {
				_, _, x := open(t)
				for i := range test.seen {
					s := &test.seen[i]
					if s.Record = ticket("35"); s.At.IsZero() || !together {
						s.At = noon.Add(time.Duration(i) * time.Hour)
					}
					if !together {
						note(t, x, *s)
					}
				}
				if together {
					note(t, x, test.seen...)
				}
				e := get(t, x, ticket("35"))
				got := want{e.Created, e.Closed, e.Open, e.Reopened, !e.Gone.IsZero(), strings.Join(e.Classes, " ")}
				if got != test.want {
					t.Errorf("together %v: got %+v, want %+v", together, got, test.want)
				}
				if last := test.seen[len(test.seen)-1].At; !e.FirstSeen.Equal(noon) || !e.LastSeen.Equal(last) {
					t.Errorf("together %v: seen from %v to %v, want %v to %v", together, e.FirstSeen, e.LastSeen, noon, last)
				}
			}
		})
	}
}

// Records of one id in different channels, accounts and types are different records; what
// is no record is refused.
func TestPlacesAreApart(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	all := []index.Record{
		ticket("35"), {Channel: "zendesk", Host: "other.zendesk.com", Type: "ticket", ID: "35"},
		{Channel: "zendesk", Host: "acme.zendesk.com", Type: "comment", ID: "35"}, {Channel: "intercom", Host: "acme.zendesk.com", Type: "ticket", ID: "35"},
	}
	for i, r := range all {
		note(t, x, index.Sighting{Record: r, Persons: []index.Person{person(byte(i))}})
	}
	for i, r := range all {
		got, err := x.PersonsOf(t.Context(), r)
		if err != nil || !slices.Equal(got, []index.Person{person(byte(i))}) {
			t.Errorf("record %d: got %v persons, %v", i, len(got), err)
		}
	}
	for name, r := range map[string]index.Record{
		"no channel": {Host: "h", Type: "t", ID: "1"}, "no host": {Channel: "c", Type: "t", ID: "1"}, "no type": {Channel: "c", Host: "h", ID: "1"},
		"no id": {Channel: "c", Host: "h", Type: "t"}, "an id that is no text": {Channel: "c", Host: "h", Type: "t", ID: "\xff"}, "an id with a NUL": {Channel: "c", Host: "h", Type: "t", ID: "a\x00"}, "a long id": {Channel: "c", Host: "h", Type: "t", ID: strings.Repeat("1", index.MaxID+1)}, "nothing": {},
	} {
		if err := x.Note(t.Context(), []index.Sighting{{Record: r, At: noon}}); !errors.Is(err, index.ErrRecord) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := x.Note(t.Context(), []index.Sighting{{Record: ticket("1"), Parent: r, At: noon}}); (err != nil) != (r != index.Record{}) {
			t.Errorf("%s, as a parent: got %v", name, err)
		}
	}
	if _, err := x.Get(t.Context(), ticket("36")); !errors.Is(err, index.ErrNone) {
		t.Errorf("a record that nobody saw: %v", err)
	}
}

// Pages of a person's records are without gaps and repetitions, whatever their size.
func TestPages(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	var want []string
	var all []index.Sighting
	for i := range 100 {
		r := ticket(strconv.Itoa(1000 + i))
		if i%3 == 0 {
			r.Type = "comment"
		}
		who := []index.Person{person(byte(i % 4)), person(9)}
		all = append(all, index.Sighting{Record: r, Persons: who, Classes: []string{"email", "us_ssn"}})
		if i%4 < 2 {
			want = append(want, r.Type+"/"+r.ID)
		}
	}
	note(t, x, all...)
	slices.Sort(want)
	for _, size := range []int{1, 7, 50, 1000} {
		var got []string
		after := index.Record{}
		for {
			page, err := x.Of(t.Context(), []index.Person{person(0), person(1)}, after, size)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > size {
				t.Fatalf("a page of %d has %d", size, len(page))
			}
			for _, e := range page {
				if !slices.Equal(e.Classes, []string{"email", "us_ssn"}) {
					t.Fatalf("got classes %q", e.Classes)
				}
			}
			got = append(got, ids(page)...)
			if len(page) < size {
				break
			}
			after = page[len(page)-1].Record
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("in pages of %d: got %d records, want %d", size, len(got), len(want))
		}
	}
	if got, err := x.Of(t.Context(), []index.Person{person(200)}, index.Record{}, 10); err != nil || len(got) != 0 {
		t.Errorf("a person whom nothing names: got %d records, %v", len(got), err)
	}
	if _, err := x.Of(t.Context(), []index.Person{person(1)}, index.Record{Channel: "none", Host: "h", Type: "t", ID: "1"}, 10); !errors.Is(err, index.ErrNone) {
		t.Errorf("behind a record of no known kind: %v", err)
	}
	if _, err := x.Of(t.Context(), make([]index.Person, index.MaxPersons+1), index.Record{}, 10); err == nil {
		t.Error("a question about too many persons was answered")
	}
}

// What hangs on a record is found by it, and a sighting that does not name the parent does
// not take it away.
func TestParents(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	comment := func(id string) index.Record {
		return index.Record{Channel: "zendesk", Host: "acme.zendesk.com", Type: "comment", ID: id}
	}
	note(t, x, index.Sighting{Record: comment("1"), Parent: ticket("35")}, index.Sighting{Record: comment("2"), Parent: ticket("35")}, index.Sighting{Record: comment("3"), Parent: ticket("36")})
	note(t, x, index.Sighting{Record: comment("1"), Classes: []string{"email"}, At: noon.Add(time.Hour)})
	first, err := x.On(t.Context(), ticket("35"), index.Record{}, 1)
	if err != nil || !slices.Equal(ids(first), []string{"comment/1"}) || first[0].Parent != ticket("35") {
		t.Fatalf("got %q, %v", ids(first), err)
	}
	next, err := x.On(t.Context(), ticket("35"), first[0].Record, 10)
	if err != nil || !slices.Equal(ids(next), []string{"comment/2"}) {
		t.Fatalf("behind it: got %q, %v", ids(next), err)
	}
	if got, err := x.On(t.Context(), ticket("99"), index.Record{}, 10); err != nil || len(got) != 0 {
		t.Errorf("on no record: got %q, %v", ids(got), err)
	}
}

// A profile links its names; a link that was cut stays so whatever profiles say, until a
// person links them again.
func TestProfiles(t *testing.T) {
	t.Parallel()
	_, db, x := open(t)
	user := index.Record{Channel: "zendesk", Host: "acme.zendesk.com", Type: "user", ID: "7"}
	same := func(of byte, want ...byte) {
		t.Helper()
		got, links, err := x.Same(t.Context(), []index.Person{person(of)})
		var all []index.Person
		for _, n := range want {
			all = append(all, person(n))
		}
		if err != nil || !slices.Equal(got, all) {
			t.Fatalf("person %d: got %v, %v, want %v", of, got, err, want)
		}
		if len(links) < len(want)-1 {
			t.Fatalf("person %d: %d links for %d names", of, len(links), len(want))
		}
	}
	tx := func(do func(*sql.Tx) error) {
		t.Helper()
		tx, err := db.BeginTx(t.Context(), nil)
		if err == nil {
			err = errors.Join(do(tx), tx.Commit())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	same(1, 1)
	// A ticket names several persons.
	note(t, x, index.Sighting{Record: ticket("1"), Persons: []index.Person{person(1), person(5)}})
	same(1, 1)
	profile := index.Sighting{Record: user, Persons: []index.Person{person(1), person(2), person(3), person(8)}, Profile: []index.Person{person(3), person(1), person(2)}}
	note(t, x, profile)
	same(1, 1, 2, 3)
	same(2, 1, 2, 3)
	tx(func(tx *sql.Tx) error { return x.Split(t.Context(), tx, person(3), person(2), noon) })
	same(2, 2)
	same(3, 1, 3)
	profile.At = noon.Add(time.Hour)
	note(t, x, profile)
	same(2, 2)
	tx(func(tx *sql.Tx) error { return x.Merge(t.Context(), tx, person(2), person(5), noon) })
	same(2, 2, 5)
	tx(func(tx *sql.Tx) error { return x.Merge(t.Context(), tx, person(2), person(3), noon) })
	same(5, 1, 2, 3, 5)
	_, links, err := x.Same(t.Context(), []index.Person{person(5)})
	if err != nil || len(links) != 3 {
		t.Fatalf("got %d links, %v", len(links), err)
	}
	merged := 0
	for _, l := range links {
		if l.Merged {
			merged++
		}
	}
	if merged != 2 {
		t.Errorf("%d of the links are by a person, want 2", merged)
	}
	self, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = self.Rollback() }()
	if err := x.Merge(t.Context(), self, person(1), person(1), noon); err == nil {
		t.Error("a person was linked to itself")
	}
}

// A shared address that many profiles name makes no person of a thousand.
func TestTooMany(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	var all []index.Sighting
	for i := range index.MaxOne + 1 {
		p := index.Person{0: byte(i), 1: byte(i >> 8), 15: 1}
		all = append(all, index.Sighting{Record: ticket(strconv.Itoa(i)), Persons: []index.Person{{}, p}, Profile: []index.Person{{}, p}})
	}
	note(t, x, all...)
	if _, _, err := x.Same(t.Context(), []index.Person{{}}); !errors.Is(err, index.ErrTooMany) {
		t.Errorf("got %v", err)
	}
}

// Who is forgotten is named by no record and no link, and the records stay. What is seen
// anew is written anew, although the index had it in memory.
func TestForget(t *testing.T) {
	t.Parallel()
	_, db, x := open(t)
	s := index.Sighting{Record: ticket("35"), Persons: []index.Person{person(1), person(2)}, Profile: []index.Person{person(1), person(2)}}
	note(t, x, s)
	if err := x.Forget(t.Context(), []index.Person{person(1)}); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM record_person WHERE person = $1) + (SELECT count(*) FROM person_link WHERE a = $1 OR b = $1)`, person1()).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
	if got, err := x.PersonsOf(t.Context(), ticket("35")); err != nil || !slices.Equal(got, []index.Person{person(2)}) {
		t.Errorf("got %v, %v", got, err)
	}
	note(t, x, s)
	if got, err := x.PersonsOf(t.Context(), ticket("35")); err != nil || len(got) != 2 {
		t.Errorf("after a new sighting: got %v, %v", got, err)
	}
}

func person1() []byte { p := person(1); return p[:] }

// The same sighting again within minutes is not written; what differs is, and so is the
// same after a while.
func TestKnownCostsNoRows(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	s := index.Sighting{Record: ticket("35"), Persons: []index.Person{person(1)}}
	last := func() time.Time { return get(t, x, ticket("35")).LastSeen }
	for _, step := range []struct {
		after   time.Duration
		change  func()
		written bool
	}{
		{0, func() {}, true},
		{time.Minute, func() {}, false},
		{2 * time.Minute, func() { s.Classes = []string{"email"} }, true},
		{3 * time.Minute, func() { s.Closed.Known = true }, true},
		{4 * time.Minute, func() { s.Persons = []index.Person{person(1), person(1)} }, false},
		{5 * time.Minute, func() { s.Gone = true }, true},
		{6 * time.Minute, func() { s.Gone = false }, true},
		{7 * time.Minute, func() {}, false},
		{17 * time.Minute, func() {}, true},
	} {
		step.change()
		s.At = noon.Add(step.after)
		note(t, x, s)
		if got := last().Equal(s.At); got != step.written {
			t.Errorf("after %v: written is %v, want %v", step.after, got, step.written)
		}
	}
}

// Two processes with many callers each note overlapping records: the index has all that
// any of them said.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	where, _, first := open(t)
	_, second := openAt(t, where)
	const records = 40
	type said struct{ classes, persons map[string]bool }
	want := make([]said, records)
	for i := range want {
		want[i] = said{map[string]bool{}, map[string]bool{}}
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			x := []*index.Index{first, second}[g%2]
			for range 20 {
				var all []index.Sighting
				for range random.IntN(12) {
					i, c, p := random.IntN(records), "c"+strconv.Itoa(random.IntN(5)), person(byte(random.IntN(20)))
					r := ticket(strconv.Itoa(i))
					r.Type = []string{"ticket", "comment", "user"}[i%3]
					all = append(all, index.Sighting{Record: r, Classes: []string{c}, Persons: []index.Person{p}, At: noon})
					mu.Lock()
					want[i].classes[c], want[i].persons[string(p[:])] = true, true
					mu.Unlock()
				}
				if err := x.Note(t.Context(), all); err != nil {
					t.Errorf("writer %d: %v", g, err)
					return
				}
			}
		})
	}
	group.Wait()
	for i := range want {
		r := ticket(strconv.Itoa(i))
		r.Type = []string{"ticket", "comment", "user"}[i%3]
		if len(want[i].classes) == 0 {
			continue
		}
		e := get(t, first, r)
		persons, err := first.PersonsOf(t.Context(), r)
		if err != nil || len(e.Classes) != len(want[i].classes) || len(persons) != len(want[i].persons) {
			t.Errorf("record %d: %d classes and %d persons, %v, want %d and %d", i, len(e.Classes), len(persons), err, len(want[i].classes), len(want[i].persons))
		}
	}
}

// noteForEver notes a record after another, and says each when it is noted.
func noteForEver(where string) error {
	ctx := context.Background()
	_, x, err := openIndex(ctx, where)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := x.Note(ctx, []index.Sighting{{Record: ticket(strconv.Itoa(i)), Persons: []index.Person{person(1)}, Classes: []string{"email"}, At: noon}}); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// What Note returned for is there after a kill.
func TestKilled(t *testing.T) {
	t.Parallel()
	where, _, _ := open(t)
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+where)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				break // the last line may be cut
			}
			if last = n; n == 40*(round+1) {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if last < 40*(round+1) {
			t.Fatalf("round %d: the child ended by itself at %d", round, last)
		}
		_, x := openAt(t, where)
		for i := range last + 1 {
			if e := get(t, x, ticket(strconv.Itoa(i))); !slices.Equal(e.Classes, []string{"email"}) {
				t.Fatalf("round %d: record %d of %d has classes %q", round, i, last, e.Classes)
			}
		}
		got, err := x.Of(t.Context(), []index.Person{person(1)}, index.Record{}, 100000)
		if err != nil || len(got) <= last {
			t.Fatalf("round %d: %d records of the person, %v, want more than %d", round, len(got), err, last)
		}
	}
}

// A closed index says so and leaves nothing running.
func TestClosed(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Note(t.Context(), []index.Sighting{{Record: ticket("1"), At: noon}}); !errors.Is(err, index.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// What an import shows and what passes come together, whichever was first, and what is
// written with the sightings stands or falls with them.
func TestBackfill(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	ctx := t.Context()
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	r := index.Record{Channel: "desk", Host: "desk.example", Type: "ticket", ID: "1"}
	note := func(s index.Sighting) {
		t.Helper()
		s.Record = r
		var err error
		if s.Backfilled {
			err = x.NoteWith(ctx, []index.Sighting{s}, func(context.Context, *sql.Tx) error { return nil })
		} else {
			err = x.Note(ctx, []index.Sighting{s})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, created, closed, gone, backfilled time.Time, reopened int) {
		t.Helper()
		e, err := x.Get(ctx, r)
		if err != nil || !e.Created.Equal(created) || !e.Closed.Equal(closed) || !e.Gone.Equal(gone) || !e.Backfilled.Equal(backfilled) || e.Reopened != reopened {
			t.Errorf("%s: got %+v, %v", what, e, err)
		}
	}
	var none time.Time
	note(index.Sighting{At: day(10), Created: day(2), Closed: index.Closing{Known: true, At: day(4)}})
	want("traffic", day(2), day(4), none, none, 0)
	note(index.Sighting{At: day(11), Backfilled: true, Created: day(1), Closed: index.Closing{Known: true, At: day(5)}})
	want("the first creation stays, the latest closing counts", day(2), day(5), none, day(11), 0)
	note(index.Sighting{At: day(9), Backfilled: true, Closed: index.Closing{Known: true}})
	want("a page that is older than the last look opens nothing", day(2), day(5), none, day(11), 0)
	note(index.Sighting{At: day(12), Gone: true})
	note(index.Sighting{At: day(11), Backfilled: true})
	want("nor does it bring back what was deleted", day(2), day(5), day(12), day(11), 0)
	note(index.Sighting{At: day(13), Backfilled: true, Closed: index.Closing{Known: true}})
	want("one that is younger does both", day(2), none, none, day(13), 1)
	note(index.Sighting{At: day(14)})
	want("traffic leaves the mark", day(2), none, none, day(13), 1)

	other := index.Record{Channel: "desk", Host: "desk.example", Type: "ticket", ID: "2"}
	broken := errors.New("the place could not be written")
	if err := x.NoteWith(ctx, []index.Sighting{{Record: other, At: day(1)}}, func(context.Context, *sql.Tx) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := x.Get(ctx, other); !errors.Is(err, index.ErrNone) {
		t.Errorf("a page without its place is noted: %v", err)
	}
}
