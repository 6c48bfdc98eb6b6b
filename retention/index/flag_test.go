package index_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

// setFlag sets a flag that is not there yet.
func setFlag(t *testing.T, x *index.Index, f index.Flag, name byte) index.Flag {
	t.Helper()
	if f.Since.IsZero() {
		f.Since = noon
	}
	set, fresh, err := x.SetFlag(t.Context(), f, index.NameDigest{0: name}, f.Since)
	if err != nil || !fresh {
		t.Fatalf("setting %s: fresh %v, %v", f.Kind, fresh, err)
	}
	return set
}

func wantFlags(t *testing.T, x *index.Index, at time.Time, persons []index.Person, named []index.NameDigest, records []index.Record, want ...string) {
	t.Helper()
	got, err := x.FlagsOf(t.Context(), persons, named, records, at)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("flags: got %q, want %q", got, want)
	}
}

// Whoever asks for more has it: a flag that ends sooner, or begins later, gives way to one that
// covers it, and to no other.
func TestFlagsGiveWay(t *testing.T) {
	t.Parallel()
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	flag := func(since, until time.Time) index.Flag {
		return index.Flag{Kind: index.FlagRestriction, Person: person(1), Since: since, Until: until, SetBy: "key:2"}
	}
	for name, tt := range map[string]struct {
		old, second index.Flag
		now         time.Time
		fresh       bool
		counts      []int // hours from now on at which there is a flag, to 9
	}{
		"no end":                {flag(hour(0), hour(4)), flag(hour(2), time.Time{}), hour(2), true, []int{2, 3, 4, 5, 6, 7, 8, 9}},
		"a later end":           {flag(hour(0), hour(4)), flag(hour(2), hour(6)), hour(2), true, []int{2, 3, 4, 5}},
		"now, not later":        {flag(hour(5), time.Time{}), flag(hour(2), time.Time{}), hour(2), true, []int{2, 3, 4, 5, 6, 7, 8, 9}},
		"sooner, of those":      {flag(hour(7), time.Time{}), flag(hour(5), time.Time{}), hour(2), true, []int{5, 6, 7, 8, 9}},
		"a sooner end":          {flag(hour(0), hour(4)), flag(hour(2), hour(3)), hour(2), false, []int{2, 3}},
		"an end, where is none": {flag(hour(0), time.Time{}), flag(hour(2), hour(3)), hour(2), false, []int{2, 3, 4, 5, 6, 7, 8, 9}},
		"sooner, with an end":   {flag(hour(5), time.Time{}), flag(hour(2), hour(6)), hour(2), false, []int{5, 6, 7, 8, 9}},
		"from a day to come":    {flag(hour(0), hour(4)), flag(hour(3), time.Time{}), hour(2), false, []int{2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, x := open(t)
			first, _, err := x.SetFlag(t.Context(), tt.old, index.NameDigest{}, hour(0))
			if err != nil {
				t.Fatal(err)
			}
			set, fresh, err := x.SetFlag(t.Context(), tt.second, index.NameDigest{}, tt.now)
			if err != nil || fresh != tt.fresh || !fresh && set != first {
				t.Fatalf("set: %+v, fresh %v, %v", set, fresh, err)
			}
			list, err := x.Flags(t.Context(), person(1), index.NameDigest{})
			if err != nil {
				t.Fatal(err)
			}
			var counts []int
			for n := 2; n < 10; n++ {
				if slices.ContainsFunc(list, func(f index.Flag) bool { return f.Counts(hour(n)) }) {
					counts = append(counts, n)
				}
			}
			if !slices.Equal(counts, tt.counts) {
				t.Errorf("there is a flag in hours %v, want %v: %+v", counts, tt.counts, list)
			}
		})
	}
}

// A flag counts from its begin to its end, for whom it was set and nobody else.
func TestFlags(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	nobody(t, x)
	ann, bob := person(1), person(2)
	first := setFlag(t, x, index.Flag{Kind: index.FlagRestriction, Person: ann, Until: noon.Add(time.Hour), Reason: "accuracy", Ticket: "DSR-1", SetBy: "key:1"}, 0)
	setFlag(t, x, index.Flag{Kind: index.FlagOptOut, Person: ann, SetBy: "key:1"}, 1)
	setFlag(t, x, index.Flag{Kind: index.FlagObjection, Person: bob, Since: noon.Add(time.Minute)}, 2)
	if !x.AnyFlag(t.Context()) {
		t.Error("nobody has a flag")
	}
	wantFlags(t, x, noon, []index.Person{ann}, nil, nil, index.FlagOptOut, index.FlagRestriction)
	wantFlags(t, x, noon, []index.Person{bob}, nil, nil)
	wantFlags(t, x, noon.Add(-1), []index.Person{ann}, nil, nil)
	wantFlags(t, x, noon.Add(time.Minute), []index.Person{bob, ann, person(3)}, nil, nil, index.FlagObjection, index.FlagOptOut, index.FlagRestriction)
	wantFlags(t, x, noon.Add(time.Hour), []index.Person{ann}, nil, nil, index.FlagOptOut)
	wantFlags(t, x, noon, nil, []index.NameDigest{{0: 1}}, nil, index.FlagOptOut) // as the name counts from the start
	wantFlags(t, x, noon, []index.Person{person(3)}, nil, nil)
	many := make([]index.Person, 300)
	for i := range many {
		many[i] = index.Person{5: byte(i), 6: byte(i >> 8), 7: 1}
	}
	wantFlags(t, x, noon, append(many, ann), nil, nil, index.FlagOptOut, index.FlagRestriction)

	// The same again, and what is less, leaves it as it was.
	again, fresh, err := x.SetFlag(t.Context(), index.Flag{Kind: index.FlagRestriction, Person: ann, Since: noon.Add(time.Minute), Until: noon.Add(time.Hour), Ticket: "DSR-2"}, index.NameDigest{}, noon.Add(time.Minute))
	if err != nil || fresh || again != first {
		t.Errorf("set again: got %+v, fresh %v, %v; want %+v", again, fresh, err, first)
	}
	// When it is over another one takes its place, and both are listed.
	later, fresh, err := x.SetFlag(t.Context(), index.Flag{Kind: index.FlagRestriction, Person: ann, Since: noon.Add(2 * time.Hour)}, index.NameDigest{}, noon.Add(2*time.Hour))
	if err != nil || !fresh {
		t.Fatalf("after it was over: fresh %v, %v", fresh, err)
	}
	list, err := x.Flags(t.Context(), ann, index.NameDigest{})
	if err != nil || len(list) != 3 || list[0] != later || list[2].Ended != noon.Add(time.Hour) || list[2].Ticket != "DSR-1" || list[2].SetBy != "key:1" || list[2].Reason != "accuracy" ||
		list[2].Counts(noon.Add(time.Minute)) || !list[0].Counts(noon.Add(3*time.Hour)) || list[0].Counts(noon) {
		t.Errorf("listed: got %+v, %v", list, err)
	}

	for _, p := range []index.Person{ann, bob} {
		for _, kind := range index.FlagKinds() {
			if _, err := x.EndFlags(t.Context(), kind, []index.Person{p}, nil, "key:2", noon.Add(3*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantFlags(t, x, noon.Add(3*time.Hour), []index.Person{ann, bob}, nil, nil)
	nobody(t, x)
	if n, err := x.EndFlags(t.Context(), index.FlagOptOut, []index.Person{ann}, []index.NameDigest{{0: 1}}, "key:2", noon); n != 0 || err != nil {
		t.Errorf("ended twice: got %d, %v", n, err)
	}

	for name, f := range map[string]index.Flag{
		"no kind":          {Person: ann, Since: noon},
		"an unknown kind":  {Kind: "legal_hold", Person: ann, Since: noon},
		"nobody":           {Kind: index.FlagRestriction, Since: noon},
		"over as it began": {Kind: index.FlagRestriction, Person: ann, Since: noon, Until: noon},
		"without a name":   {Kind: index.FlagOptOut, Person: ann, Since: noon},
	} {
		if _, _, err := x.SetFlag(t.Context(), f, index.NameDigest{}, noon); !errors.Is(err, index.ErrFlag) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// When a person is erased, what the person does not want stays under the digest of the name,
// and says nothing else; a restriction and what was over are gone.
func TestFlagsOfErased(t *testing.T) {
	t.Parallel()
	_, db, x := open(t)
	ann, name := person(1), index.NameDigest{0: 7}
	setFlag(t, x, index.Flag{Kind: index.FlagRestriction, Person: ann, SetBy: "key:1"}, 0)
	setFlag(t, x, index.Flag{Kind: index.FlagOptOut, Person: ann, SetBy: "key:1", Reason: "gpc", Ticket: "T-1"}, 7)
	setFlag(t, x, index.Flag{Kind: index.FlagObjection, Person: ann, SetBy: "key:1"}, 7)
	if n, err := x.EndFlags(t.Context(), index.FlagObjection, []index.Person{ann}, nil, "key:1", noon); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	past := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	setFlag(t, x, index.Flag{Kind: index.FlagLimitSensitive, Person: ann, SetBy: "key:1", Since: past, Until: past.Add(time.Hour)}, 7)
	for range 2 { // an erasure does it twice
		if err := x.Forget(t.Context(), []index.Person{ann}); err != nil {
			t.Fatal(err)
		}
	}
	wantFlags(t, x, noon, []index.Person{ann}, nil, nil)
	wantFlags(t, x, noon, nil, []index.NameDigest{name}, nil, index.FlagOptOut)
	wantFlags(t, x, noon, nil, []index.NameDigest{{0: 8}, {}}, nil)
	var n, said int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*), sum(length(person) + length(reason) + length(ticket) + length(set_by)) FROM person_flag`).Scan(&n, &said); err != nil || n != 1 || said != 0 {
		t.Errorf("left: %d rows, which say %d bytes more than they should, %v", n, said, err)
	}
	list, err := x.Flags(t.Context(), index.Person{}, name)
	if err != nil || len(list) != 1 || list[0].Erased.IsZero() || list[0].Kind != index.FlagOptOut {
		t.Errorf("listed: got %+v, %v", list, err)
	}
	// The person comes back, under another pseudonym, and is erased again.
	setFlag(t, x, index.Flag{Kind: index.FlagOptOut, Person: person(2), SetBy: "key:1"}, 7)
	if err := x.Forget(t.Context(), []index.Person{person(2)}); err != nil {
		t.Fatal(err)
	}
	if n, err := x.EndFlags(t.Context(), index.FlagOptOut, nil, []index.NameDigest{name}, "key:1", noon); n != 2 || err != nil {
		t.Errorf("ended: got %d, %v", n, err)
	}
	wantFlags(t, x, noon, nil, []index.NameDigest{name}, nil)
	nobody(t, x)
}

// A flag that stands is listed, however many there were, and its name is enough to end it.
func TestFlagsListed(t *testing.T) {
	t.Parallel()
	_, _, x := open(t)
	ann, name := person(1), index.NameDigest{0: 1}
	for i := range 205 {
		at := noon.Add(time.Duration(i) * time.Minute)
		setFlag(t, x, index.Flag{Kind: index.FlagObjection, Person: ann, Since: at}, 1)
		if n, err := x.EndFlags(t.Context(), index.FlagObjection, []index.Person{ann}, []index.NameDigest{name}, "key:1", at.Add(time.Second)); n != 1 || err != nil {
			t.Fatalf("round %d: ended %d, %v", i, n, err)
		}
	}
	first := setFlag(t, x, index.Flag{Kind: index.FlagRestriction, Person: ann, Since: noon.Add(-time.Hour)}, 0)
	last := setFlag(t, x, index.Flag{Kind: index.FlagObjection, Person: ann, Since: noon.Add(-time.Minute)}, 1)
	list, err := x.Flags(t.Context(), ann, name)
	if err != nil || len(list) != 200 || list[0] != last || list[1] != first || !list[2].Since.Equal(noon.Add(204*time.Minute)) || list[2].EndBy != "key:1" {
		t.Fatalf("listed: %d flags, %v", len(list), err)
	}
	// Whoever has a new pseudonym has the name.
	wantFlags(t, x, noon, []index.Person{person(2)}, []index.NameDigest{name}, nil, index.FlagObjection)
	if n, err := x.EndFlags(t.Context(), index.FlagObjection, []index.Person{person(2)}, []index.NameDigest{name}, "key:1", noon); n != 1 || err != nil {
		t.Errorf("ended by the name: got %d, %v", n, err)
	}
	wantFlags(t, x, noon, []index.Person{ann}, []index.NameDigest{name}, nil, index.FlagRestriction)
}

// nobody waits until it is known that nobody has a flag: while PostgreSQL does not answer at
// once somebody may have one.
func nobody(t *testing.T, x *index.Index) {
	t.Helper()
	for begun := time.Now(); x.AnyFlag(t.Context()); {
		if time.Since(begun) > time.Minute {
			t.Fatal("somebody has a flag")
		}
	}
}

// Who is one with somebody has the flags of both, by records too, until the link is cut.
func TestFlagsOfLinked(t *testing.T) {
	t.Parallel()
	_, db, x := open(t)
	profile := func(r string, who ...index.Person) {
		note(t, x, index.Sighting{Record: ticket(r), Persons: who, Profile: who})
	}
	profile("1", person(1), person(2))
	profile("2", person(3), person(2))
	note(t, x, index.Sighting{Record: ticket("3"), Persons: []index.Person{person(3)}}, index.Sighting{Record: ticket("4"), Persons: []index.Person{person(9)}})
	setFlag(t, x, index.Flag{Kind: index.FlagRestriction, Person: person(1)}, 0)
	setFlag(t, x, index.Flag{Kind: index.FlagOptOut, Person: person(3)}, 3)
	both := []string{index.FlagOptOut, index.FlagRestriction}
	for _, n := range []byte{1, 2, 3} {
		wantFlags(t, x, noon, []index.Person{person(n)}, nil, nil, both...)
	}
	wantFlags(t, x, noon, nil, nil, []index.Record{ticket("3")}, both...)
	wantFlags(t, x, noon, nil, nil, []index.Record{ticket("4"), ticket("5"), {Channel: "zendesk", Host: "acme.zendesk.com", Type: "user", ID: "3"}, {Channel: "zendesk", Host: "other", Type: "ticket", ID: "3"}})
	wantFlags(t, x, noon, nil, nil, []index.Record{ticket("4"), ticket("1")}, both...)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Split(t.Context(), tx, person(1), person(2), noon), tx.Commit()); err != nil {
		t.Fatal(err)
	}
	wantFlags(t, x, noon, nil, nil, []index.Record{ticket("3")}, index.FlagOptOut)
	wantFlags(t, x, noon, []index.Person{person(1)}, nil, nil, index.FlagRestriction)
}

// A deployment without flags asks its database nothing, on SQLite; on PostgreSQL, where
// another process may set the first one, it is known soon, and while the database does not
// answer, somebody may have one.
func TestFlagsElsewhere(t *testing.T) {
	t.Parallel()
	where, db, x := open(t)
	shared := strings.HasPrefix(t.Name(), onPostgres+"/")
	hide := func() { run(t, db, `ALTER TABLE person_flag RENAME TO elsewhere`) }
	show := func() { run(t, db, `ALTER TABLE elsewhere RENAME TO person_flag`) }
	nobody(t, x)
	hide()
	for range 2 { // no answer is not kept
		index.AgeFlags(x)
		if got := x.AnyFlag(t.Context()); got != shared {
			t.Errorf("while the database does not answer: got %v", got)
		}
	}
	show()
	nobody(t, x)
	_, other := openAt(t, where)
	setFlag(t, other, index.Flag{Kind: index.FlagRestriction, Person: person(1)}, 0)
	if shared {
		for begun := time.Now(); !x.AnyFlag(t.Context()); {
			if time.Since(begun) > 30*time.Second {
				t.Fatal("what another process set is not known")
			}
		}
	} else if x.AnyFlag(t.Context()) {
		t.Fatal("on SQLite the database was asked")
	}
	wantFlags(t, x, noon, []index.Person{person(1)}, nil, nil, index.FlagRestriction)
	hide()
	defer show()
	index.AgeFlags(x)
	if got := x.AnyFlag(t.Context()); got != shared {
		t.Errorf("while the database does not answer: got %v", got)
	}
	if _, err := x.FlagsOf(t.Context(), []index.Person{person(1)}, nil, nil, noon); err == nil {
		t.Error("flags of a person were found in no table")
	}
}

func run(t *testing.T, db *store.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Error(err)
	}
}

// What a call pays where nobody has a flag.
func BenchmarkAnyFlagNone(b *testing.B) {
	where := b.TempDir() + "/state.db"
	db, x, err := openIndex(b.Context(), where)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _, _ = x.Close(), db.Close() }()
	for b.Loop() {
		if x.AnyFlag(b.Context()) {
			b.Fatal("somebody has a flag")
		}
	}
}
