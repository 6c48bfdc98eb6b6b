package request_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/leaks"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/request"
)

func TestMain(m *testing.M) { leaks.MainOrDie(m, dieAt, changeAndDie) }

const onPostgres = "TestOnPostgres"

// TestOnPostgres runs the tests again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"Deletion": TestDeletion, "SecondCheckAnew": TestSecondCheckAnew, "Unproven": TestUnproven, "Proofs": TestProofs, "Clocks": TestClocks, "Flags": TestFlags, "Duplicates": TestDuplicates,
		"Others": TestOthers, "Rest": TestRest, "Raised": TestRaised, "Hostile": TestHostile, "Refusals": TestRefusals, "Killed": TestKilled,
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

// hand is a clock that the test moves.
type hand struct{ ms atomic.Int64 }

func (h *hand) now() time.Time      { return time.UnixMilli(h.ms.Load()).UTC() }
func (h *hand) set(t time.Time)     { h.ms.Store(t.UnixMilli()) }
func (h *hand) add(d time.Duration) { h.ms.Add(d.Milliseconds()) }

// world is a database with an index, duties and requests, a clock and a log.
type world struct {
	where  string
	db     *store.DB
	x      *index.Index
	duties *retention.Store
	s      *request.Store
	hand   *hand

	mu  sync.Mutex
	log []request.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	where := filepath.Join(t.TempDir(), "state.db")
	if strings.HasPrefix(t.Name(), onPostgres+"/") {
		where = pgtest.Database(t)
	}
	w := &world{where: where, hand: &hand{}}
	w.hand.set(noon)
	var err error
	if w.db, w.x, w.duties, w.s, err = openStores(t.Context(), where, w.hand); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.x.Close(), w.db.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func openStores(ctx context.Context, where string, h *hand) (*store.DB, *index.Index, *retention.Store, *request.Store, error) {
	db, err := store.Open(ctx, where, store.Options{Create: true})
	if err != nil {
		return nil, nil, nil, nil, err
	}
	x, err := index.Open(ctx, db)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	register, err := clock.Builtin()
	if err != nil {
		return nil, nil, nil, nil, err
	}
	duties, err := retention.Open(ctx, db, register)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	duties = duties.WithClock(h.now)
	s, err := request.New(ctx, request.Config{DB: db, Duties: duties, Register: register, Index: x, Seal: mirror{}, HoldInForce: func(_ context.Context, id string) (bool, error) {
		return id == "h1", nil
	}})
	return db, x, duties, s, err
}

func (w *world) record(_ context.Context, e request.Event) error {
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

// noon is a Friday, in California still the early morning.
var noon = time.Date(2026, 1, 2, 17, 0, 0, 0, time.UTC)

var ann, bob, eve = index.Person{1}, index.Person{2}, index.Person{3}

func name(p index.Person) request.Name { return request.Name{Person: p, Digest: index.NameDigest(p)} }

func wish(kind, place string, persons ...index.Person) request.NewRequest {
	n := request.NewRequest{Kind: kind, Place: place, Manner: "email", By: "key:a", Requester: request.Requester{Name: "Zelda Zebra", Address: "zelda@example.com"}}
	for _, p := range persons {
		n.Names = append(n.Names, name(p))
	}
	return n
}

func (w *world) open(t *testing.T, kind, place string, persons ...index.Person) request.Request {
	t.Helper()
	r, err := w.s.Open(t.Context(), wish(kind, place, persons...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var proofs atomic.Int64

// check is a check that was never made before.
func check() request.Check {
	return request.Check{Method: "account", Proof: "P-" + strconv.FormatInt(proofs.Add(1), 10)}
}

func (w *world) verify(t *testing.T, id string, names ...int) {
	t.Helper()
	c := check()
	c.Names = names
	if _, err := w.s.Verify(t.Context(), id, "key:b", c); err != nil {
		t.Fatal(err)
	}
}

func ticket(id string) index.Record {
	return index.Record{Channel: "desk", Host: "acme.example", Type: "ticket", ID: id}
}

func (w *world) see(t *testing.T, all ...index.Sighting) {
	t.Helper()
	for i := range all {
		all[i].At = noon
	}
	if err := w.x.Note(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

// ok fails the test for an error, and returns the request.
func ok(t *testing.T) func(request.Request, error) request.Request {
	return func(r request.Request, err error) request.Request {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// no fails unless err is a wish that cannot be, and its text has what is wanted.
func no(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, request.ErrWish) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// lastDay is the last day before a moment, in a zone.
func lastDay(t *testing.T, at time.Time, zone string) string {
	t.Helper()
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return at.Add(-time.Second).In(z).Format(time.DateOnly)
}

func duty(r request.Request, what string) request.Duty {
	for _, d := range r.Duties {
		if d.What == what {
			return d
		}
	}
	return request.Duty{}
}

// A deletion in California from its beginning to its end: the clocks of law, the check and the
// second one, what became of each record, and what is on record; who asks is nowhere in clear.
func TestDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann, bob}, Profile: []index.Person{ann, bob}}, index.Sighting{Record: ticket("2"), Persons: []index.Person{bob}}, index.Sighting{Record: ticket("3"), Persons: []index.Person{eve}})
	r := w.open(t, request.Deletion, "us-ca", ann)
	for what, want := range map[string]string{request.Acknowledge: "2026-01-16", request.Respond: "2026-02-16"} {
		if got := lastDay(t, duty(r, what).LegalDue, "America/Los_Angeles"); got != want {
			t.Errorf("%s: due %s, want %s", what, got, want)
		}
	}
	r = ok(t)(w.s.Acknowledged(t.Context(), r.ID, "key:b", "LETTER-1", time.Time{}))
	if duty(r, request.Acknowledge).Done.IsZero() || !duty(r, request.Respond).Done.IsZero() {
		t.Errorf("acknowledged: %+v", r.Duties)
	}
	_, err := w.s.Acknowledged(t.Context(), r.ID, "key:b", "LETTER-1", time.Time{})
	no(t, err, "no acknowledgement")
	w.verify(t, r.ID)
	erased := []request.Item{{Place: request.PlaceOf(ticket("1")), Result: request.Erased}}
	_, err = w.s.Note(t.Context(), r.ID, "key:b", erased, "")
	no(t, err, "proves again")
	_, err = w.s.Note(t.Context(), r.ID, "key:b", nil, request.Erased)
	no(t, err, "proves again")
	_, err = w.s.Reauthenticated(t.Context(), r.ID, "key:b", check())
	ok(t)(r, err)
	w.hand.add(24 * time.Hour)
	_, err = w.s.Note(t.Context(), r.ID, "key:b", erased, "")
	no(t, err, "proves again") // a day is over
	_, err = w.s.Reauthenticated(t.Context(), r.ID, "key:b", check())
	ok(t)(r, err)
	w.hand.add(-time.Hour)
	_, err = w.s.Note(t.Context(), r.ID, "key:b", erased, "")
	no(t, err, "proves again") // the clock was set back
	w.hand.add(time.Hour)
	r = ok(t)(w.s.Note(t.Context(), r.ID, "key:b", erased, ""))
	if r.Begun.IsZero() || r.Items[request.Erased] != 1 {
		t.Errorf("begun: %+v", r)
	}
	_, err = w.s.Answer(t.Context(), r.ID, "key:b", "LETTER-2")
	no(t, err, "nobody has noted") // ticket 2 is of a name that is hers, too
	w.hand.add(48 * time.Hour)     // what has begun goes on
	for result, want := range map[request.Item]string{
		{Result: request.KeptHold}:                                                    "names a hold",
		{Result: request.KeptHold, Hold: "h2"}:                                        "none of this id",
		{Result: request.KeptStatute, Statute: "AO-147"}:                              "until",
		{Result: request.KeptStatute, Statute: "two words", Until: "2030-12-31"}:      "statute",
		{Result: request.KeptStatute, Statute: "AO-147", Until: "2025-12-31"}:         "is over",
		{Result: request.Erased, Hold: "h1"}:                                          "names a hold",
		{Result: request.NotFound, Statute: "AO-147", Until: "2030-12-31"}:            "statute",
		{Result: request.Provided}:                                                    "result",
		{Place: request.Everything, Result: request.Erased}:                           "only not_found",
		{Place: request.Everything, Result: request.NotFound}:                         "stands alone",
		{Place: "zelda@example.com", Result: request.Erased}:                          "item",
		{Place: request.PlaceOf(ticket("3")), Result: request.Erased}:                 "of others",
		{Place: "desk/acme.example/ticket/" + strings.Repeat("x", 2000), Result: "x"}: "item",
	} {
		if result.Place == "" {
			result.Place = request.PlaceOf(ticket("2"))
		}
		_, err = w.s.Note(t.Context(), r.ID, "key:b", []request.Item{result}, "")
		no(t, err, want)
	}
	r = ok(t)(w.s.Note(t.Context(), r.ID, "key:b", []request.Item{
		{Place: request.PlaceOf(ticket("2")), Result: request.KeptHold, Hold: "h1"}, {Place: "billing", Result: request.KeptStatute, Statute: "AO-147", Until: "2030-12-31"}, {Place: "mailing", Result: request.ByHand},
	}, ""))
	_, err = w.s.Answer(t.Context(), r.ID, "key:b", "LETTER-2")
	no(t, err, "by hand")
	r = ok(t)(w.s.Note(t.Context(), r.ID, "key:b", []request.Item{{Place: "mailing", Result: request.Redacted}}, ""))
	_, err = w.s.Answer(t.Context(), r.ID, "key:b", "two words")
	no(t, err, "notice")
	r = ok(t)(w.s.Answer(t.Context(), r.ID, "key:b", "LETTER-2"))
	if r.State != request.Answered || r.Notice != "LETTER-2" || r.ClosedBy != "key:b" || duty(r, request.Respond).Done.IsZero() || len(r.Items) != 4 {
		t.Errorf("answered: %+v", r)
	}
	items, err := w.s.Items(t.Context(), r.ID, "", 10)
	if err != nil || len(items) != 4 || items[0].Place != "billing" || items[0].Until != "2030-12-31" || items[0].By != "key:b" {
		t.Errorf("got %+v, %v", items, err)
	}
	_, err = w.s.Persons(t.Context(), r.ID, false)
	no(t, err, "shown no more")
	_, err = w.s.Withdraw(t.Context(), r.ID, "key:b", "X")
	no(t, err, "it is answered")
	if o, err := w.duties.Get(t.Context(), "request/"+r.ID+"/respond"); err != nil || o.State != retention.StateDone {
		t.Errorf("the duty: %+v, %v", o, err)
	}

	away := errors.New("away")
	if err := w.s.Tell(t.Context(), func(context.Context, request.Event) error { return away }); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if err := w.s.Tell(t.Context(), w.record); err != nil {
			t.Fatal(err)
		}
	}
	var types []string
	for _, e := range w.log {
		types = append(types, strings.TrimPrefix(e.Type, "request."))
		if text := fmt.Sprint(e.Attrs); strings.Contains(text, "elda") || strings.Contains(text, "ticket/") || e.Request() != r.ID {
			t.Errorf("on record: %s %s", e.Type, text)
		}
	}
	if got := strings.Join(types, " "); got != "opened acknowledged verified reauthenticated reauthenticated items_noted items_noted items_noted closed" {
		t.Errorf("on record: %s", got)
	}
	var stored []byte
	if err := w.db.QueryRowContext(t.Context(), `SELECT requester FROM request WHERE id = $1`, r.ID).Scan(&stored); err != nil || bytes.Contains(stored, []byte("Zelda")) {
		t.Errorf("who asks is stored as %q, %v", stored, err)
	}
	if q, err := w.s.Requester(t.Context(), r.ID); err != nil || q.Name != "Zelda Zebra" || q.Address != "zelda@example.com" {
		t.Errorf("got %+v, %v", q, err)
	}
}

// While nobody has found out who a person is, nothing about the person is shown or done, by
// whatever call; each name is proven by itself.
func TestUnproven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann}}, index.Sighting{Record: ticket("2"), Persons: []index.Person{eve}})
	for _, kind := range request.Kinds() {
		if kind == request.OptOut || kind == request.Limit {
			continue
		}
		r := w.open(t, kind, "de", ann, eve)
		deeds := map[string]func(id string) error{
			"records":        func(id string) error { _, err := w.s.Persons(t.Context(), id, false); return err },
			"linked records": func(id string) error { _, err := w.s.Persons(t.Context(), id, true); return err },
			"items":          func(id string) error { _, err := w.s.Items(t.Context(), id, "", 1); return err },
			"note": func(id string) error {
				_, err := w.s.Note(t.Context(), id, "key:b", []request.Item{{Place: "*", Result: request.NotFound}}, "")
				return err
			},
			"note the rest": func(id string) error {
				_, err := w.s.Note(t.Context(), id, "key:b", nil, request.NotFound)
				return err
			},
			"answer": func(id string) error { _, err := w.s.Answer(t.Context(), id, "key:b", "L"); return err },
		}
		if kind == request.Deletion {
			deeds["again"] = func(id string) error {
				_, err := w.s.Reauthenticated(t.Context(), id, "key:b", check())
				return err
			}
			deeds["refuse"] = func(id string) error {
				_, err := w.s.Refuse(t.Context(), id, "key:b", "legal_claims", "L")
				return err
			}
		}
		for what, deed := range deeds {
			if err := deed(r.ID); !errors.Is(err, request.ErrUnproven) {
				t.Errorf("%s of %s: %v", what, kind, err)
			}
		}
		// A check that failed proves nothing.
		if _, err := w.s.VerifyFailed(t.Context(), r.ID, "key:b", check()); err != nil {
			t.Fatal(err)
		}
		if err := deeds["records"](r.ID); !errors.Is(err, request.ErrUnproven) {
			t.Errorf("after a failure: %v", err)
		}
		// Which of two names a check proves is said.
		_, err := w.s.Verify(t.Context(), r.ID, "key:b", check())
		no(t, err, "names")
		w.verify(t, r.ID, 1)
		persons, err := w.s.Persons(t.Context(), r.ID, true)
		if err != nil || len(persons) != 1 || persons[0] != ann {
			t.Errorf("%s shows %x, %v", kind, persons, err)
		}
		if kind == request.Restriction || kind == request.Objection {
			continue
		}
		_, err = w.s.Note(t.Context(), r.ID, "key:b", []request.Item{{Place: request.PlaceOf(ticket("2")), Result: request.ByHand}}, "")
		no(t, err, "of others")
		if _, err := w.s.Withdraw(t.Context(), r.ID, "key:b", "L"); err != nil {
			t.Fatal(err)
		}
	}
	// Two things that both know open no records in California; they do to a deletion.
	for kind, shown := range map[string]bool{request.Access: false, request.Portability: false, request.Deletion: true} {
		r := w.open(t, kind, "us-ca", ann)
		c := check()
		c.Method = request.ByDataPoints
		if _, err := w.s.Verify(t.Context(), r.ID, "key:b", c); err != nil {
			t.Fatal(err)
		}
		_, err := w.s.Persons(t.Context(), r.ID, false)
		if shown != (err == nil) {
			t.Errorf("%s shows records: %v", kind, err)
		}
		if !shown {
			no(t, err, "7024")
			w.verify(t, r.ID) // in another way
			if _, err := w.s.Persons(t.Context(), r.ID, false); err != nil {
				t.Error(err)
			}
		}
	}
	// An agent says with what right.
	n := wish(request.Access, "us-ca", ann)
	n.Agent, n.Requester.Agent = true, "Agents Ltd."
	r := ok(t)(w.s.Open(t.Context(), n))
	_, err := w.s.Verify(t.Context(), r.ID, "key:b", check())
	no(t, err, "authority")
	c := check()
	c.Method, c.Authority = request.ByAttorney, "signed_permission"
	_, err = w.s.Verify(t.Context(), r.ID, "key:b", c)
	no(t, err, "power of attorney")
	c.Method = "callback"
	if r, err = w.s.Verify(t.Context(), r.ID, "key:b", c); err != nil || r.Authority != "signed_permission" || r.Names[0].Method != "callback" {
		t.Errorf("got %+v, %v", r, err)
	}
	r = w.open(t, request.Access, "us-ca", bob)
	c = check()
	c.Authority = "signed_permission"
	_, err = w.s.Verify(t.Context(), r.ID, "key:b", c)
	no(t, err, "no agent")
}

// The record of a check counts once, for whatever; one from before the request or from the
// future never.
func TestProofs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, hers := w.open(t, request.Deletion, "de", eve), w.open(t, request.Deletion, "de", ann)
	c := check()
	if _, err := w.s.Verify(t.Context(), mine.ID, "key:b", c); err != nil {
		t.Fatal(err)
	}
	for what, deed := range map[string]func() error{
		"for somebody else": func() error { _, err := w.s.Verify(t.Context(), hers.ID, "key:b", c); return err },
		"by another method": func() error {
			other := c
			other.Method = "document"
			_, err := w.s.Verify(t.Context(), hers.ID, "key:c", other)
			return err
		},
		"again":             func() error { _, err := w.s.Verify(t.Context(), mine.ID, "key:b", c); return err },
		"as the second one": func() error { _, err := w.s.Reauthenticated(t.Context(), mine.ID, "key:b", c); return err },
		"as a failure":      func() error { _, err := w.s.VerifyFailed(t.Context(), hers.ID, "key:b", c); return err },
	} {
		if err := deed(); !errors.Is(err, request.ErrWish) || !strings.Contains(err.Error(), "counts once") {
			t.Errorf("a check %s: %v", what, err)
		}
	}
	for what, change := range map[string]func(*request.Check){
		"from before the request": func(c *request.Check) { c.At = noon.Add(-time.Minute) },
		"from the future":         func(c *request.Check) { c.At = noon.Add(time.Minute) },
		"by no method":            func(c *request.Check) { c.Method = "" },
		"by a word":               func(c *request.Check) { c.Method = "trust_me" },
		"without a record":        func(c *request.Check) { c.Proof = "" },
		"with an address":         func(c *request.Check) { c.Proof = "ann@example.com" },
		"of nobody":               func(c *request.Check) { c.Names = []int{0} },
		"of somebody else's name": func(c *request.Check) { c.Names = []int{2} },
	} {
		c := check()
		change(&c)
		if _, err := w.s.Verify(t.Context(), hers.ID, "key:b", c); !errors.Is(err, request.ErrWish) {
			t.Errorf("a check %s: %v", what, err)
		}
	}
	if r, err := w.s.Get(t.Context(), hers.ID); err != nil || !r.Names[0].At.IsZero() {
		t.Errorf("she is %+v, %v", r.Names, err)
	}
	// The second check is not from before the first.
	w.hand.add(time.Hour)
	r := w.open(t, request.Deletion, "de", bob)
	w.hand.add(time.Hour)
	w.verify(t, r.ID)
	c = check()
	c.At = w.hand.now().Add(-time.Minute)
	_, err := w.s.Reauthenticated(t.Context(), r.ID, "key:b", c)
	no(t, err, "after the first time")
	// Five that failed are enough.
	for range 5 {
		if _, err := w.s.VerifyFailed(t.Context(), hers.ID, "key:b", check()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.s.Verify(t.Context(), hers.ID, "key:b", check())
	no(t, err, "have failed")
	if r, err := w.s.Refuse(t.Context(), hers.ID, "key:b", request.ReasonIdentity, "L"); err != nil || r.State != request.Refused {
		t.Errorf("got %+v, %v", r, err)
	}
	// Of two that come with one record at once, one counts.
	one, two := w.open(t, request.Access, "de", ann), w.open(t, request.Access, "de", eve)
	c = check()
	errs := make(chan error, 2)
	for _, id := range []string{one.ID, two.ID} {
		go func() { _, err := w.s.Verify(t.Context(), id, "key:b", c); errs <- err }()
	}
	if a, b := <-errs, <-errs; (a == nil) == (b == nil) {
		t.Errorf("got %v and %v", a, b)
	}
}

// The second check of a deletion is about all names that are proven, and about none any more
// when a check has failed since; after many that failed there is none.
func TestSecondCheckAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann}}, index.Sighting{Record: ticket("2"), Persons: []index.Person{bob}})
	r := w.open(t, request.Deletion, "us-ca", ann, bob)
	w.verify(t, r.ID, 1)
	again := func() { t.Helper(); ok(t)(w.s.Reauthenticated(t.Context(), r.ID, "key:b", check())) }
	erase := func(id string) error {
		_, err := w.s.Note(t.Context(), r.ID, "key:b", []request.Item{{Place: request.PlaceOf(ticket(id)), Result: request.Erased}}, "")
		return err
	}
	again()
	if err := erase("1"); err != nil {
		t.Fatal(err)
	}
	w.verify(t, r.ID, 2)
	no(t, erase("2"), "proves again")
	again()
	ok(t)(w.s.VerifyFailed(t.Context(), r.ID, "key:b", check()))
	no(t, erase("2"), "proves again")
	again()
	w.verify(t, r.ID, 2) // proven before: nothing new
	if err := erase("2"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		ok(t)(w.s.VerifyFailed(t.Context(), r.ID, "key:b", check()))
	}
	_, err := w.s.Reauthenticated(t.Context(), r.ID, "key:b", check())
	no(t, err, "checks have failed")
}

// clockOf are the events of the clock to answer.
func clockOf(t *testing.T, w *world, id string) []clock.Event {
	t.Helper()
	r := ok(t)(w.s.Get(t.Context(), id))
	d, err := w.duties.Get(t.Context(), duty(r, request.Respond).ID)
	if err != nil || len(d.Clock) < 2 {
		t.Fatalf("a clock of %d events, %v", len(d.Clock), err)
	}
	return d.Clock
}

// Pauses, extensions and restarts are what the law of the place allows, and an extension does
// not move a refusal.
func TestClocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.open(t, request.Access, "de", ann)
	due := duty(r, request.Respond)
	if got := lastDay(t, due.LegalDue, "Europe/Berlin"); got != "2026-02-02" || due.Rule != "eu.dsar.respond" || !r.RefuseBy.Equal(due.LegalDue) || len(due.Steps) == 0 {
		t.Errorf("due %s, %+v", got, r)
	}
	_, err := w.s.Pause(t.Context(), r.ID, "key:b", "clarification", "L-0", time.Time{})
	no(t, err, "not in the register")
	_, err = w.s.Pause(t.Context(), r.ID, "key:b", "identity", "", time.Time{})
	no(t, err, "notice")
	_, err = w.s.Resume(t.Context(), r.ID, "key:b", time.Time{})
	no(t, err, "not paused")
	_, err = w.s.Restart(t.Context(), r.ID, "key:b", "identity", time.Time{})
	no(t, err, "not in the register")
	w.hand.add(24 * time.Hour)
	_, err = w.s.Pause(t.Context(), r.ID, "key:b", "identity", "L-0", noon.Add(-time.Hour))
	no(t, err, "at:")
	_, err = w.s.Pause(t.Context(), r.ID, "key:b", "identity", "L-0", noon.Add(48*time.Hour))
	no(t, err, "at:")
	r = ok(t)(w.s.Pause(t.Context(), r.ID, "key:b", "identity", "L-0", time.Time{}))
	if d := duty(r, request.Respond); d.PauseCause != "identity" || d.PausedSince.IsZero() {
		t.Errorf("paused: %+v", d)
	}
	_, err = w.s.Pause(t.Context(), r.ID, "key:b", "identity", "L-0", time.Time{})
	no(t, err, "stands still already")
	// While it stands still nothing becomes urgent, and nobody raises it.
	w.hand.add(40 * 24 * time.Hour)
	if d := duty(r, request.Respond); d.StageAt(w.hand.now()) != "" {
		t.Errorf("a clock that stands still: %q", d.StageAt(w.hand.now()))
	}
	if stages, err := w.s.Stages(t.Context()); err != nil || stages[[2]string{request.Respond, ""}] != 1 {
		t.Errorf("clocks that stand still: %v, %v", stages, err)
	}
	// It goes on from when the person was checked, whenever that is noted.
	c := check()
	c.At = noon.Add(11 * 24 * time.Hour)
	r = ok(t)(w.s.Verify(t.Context(), r.ID, "key:b", c))
	w.hand.set(c.At)
	_, err = w.s.Pause(t.Context(), r.ID, "key:b", "identity", "L-0", time.Time{})
	no(t, err, "it is known who the person is")
	if d := duty(r, request.Respond); !d.PausedSince.IsZero() || lastDay(t, d.LegalDue, "Europe/Berlin") != "2026-02-12" || !r.RefuseBy.Equal(d.LegalDue) {
		t.Errorf("resumed: %+v, refuse by %s", d, r.RefuseBy)
	}
	_, err = w.s.Extend(t.Context(), r.ID, "key:b", "holidays", "L-1", time.Time{})
	no(t, err, "complexity")
	_, err = w.s.Extend(t.Context(), r.ID, "key:b", "complexity", "", time.Time{})
	no(t, err, "notice")
	refuse := r.RefuseBy
	r = ok(t)(w.s.Extend(t.Context(), r.ID, "key:b", "complexity", "L-1", time.Time{}))
	if d := duty(r, request.Respond); !d.Extended || lastDay(t, d.LegalDue, "Europe/Berlin") != "2026-04-13" || !r.RefuseBy.Equal(refuse) {
		t.Errorf("extended: %s, refuse by %s", lastDay(t, d.LegalDue, "Europe/Berlin"), r.RefuseBy)
	}
	_, err = w.s.Extend(t.Context(), r.ID, "key:b", "complexity", "L-2", time.Time{})
	no(t, err, "extended before")
	w.hand.set(refuse.Add(time.Hour))
	r = ok(t)(w.s.Refuse(t.Context(), r.ID, "key:b", "rights_of_others", "L-3"))
	if e := r.Events[len(r.Events)-1]; e.Attrs["late"] != "yes" || e.Attrs["reason"] != "rights_of_others" {
		t.Errorf("a refusal in the time of the extension: %v", e.Attrs)
	}

	// In California nothing pauses; the extension is once and in time.
	w.hand.set(noon)
	r = w.open(t, request.Access, "us-ca", ann)
	_, err = w.s.Pause(t.Context(), r.ID, "key:b", "identity", "L-0", time.Time{})
	no(t, err, "not in the register")
	w.hand.set(duty(r, request.Respond).LegalDue)
	_, err = w.s.Extend(t.Context(), r.ID, "key:b", "complexity", "L-1", time.Time{})
	no(t, err, "after the period")
	r = ok(t)(w.s.Extend(t.Context(), r.ID, "key:b", "complexity", "L-1", noon.Add(time.Hour))) // it was sent in time
	if got := lastDay(t, duty(r, request.Respond).LegalDue, "America/Los_Angeles"); got != "2026-04-02" {
		t.Errorf("extended to %s", got)
	}

	// The United Kingdom's counts anew from the answer about the identity, and pauses for scope.
	w.hand.set(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))
	r = w.open(t, request.Access, "gb-eaw", ann)
	w.hand.add(5 * 24 * time.Hour)
	before := duty(r, request.Respond).LegalDue
	_, err = w.s.Restart(t.Context(), r.ID, "key:b", "identity", w.hand.now().Add(time.Hour))
	no(t, err, "at:")
	_, err = w.s.Restart(t.Context(), r.ID, "key:b", "fee", time.Time{})
	no(t, err, "the identity only")
	w.hand.set(before)
	_, err = w.s.Restart(t.Context(), r.ID, "key:b", "identity", time.Time{})
	no(t, err, "was over")
	w.hand.set(time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC))
	r = ok(t)(w.s.Restart(t.Context(), r.ID, "key:b", "identity", time.Time{}))
	if !duty(r, request.Respond).LegalDue.After(before) {
		t.Errorf("restarted: %+v", r.Duties)
	}
	r = ok(t)(w.s.Pause(t.Context(), r.ID, "key:b", "clarification", "L-0", time.Time{}))
	if duty(r, request.Respond).PauseCause != "clarification" {
		t.Errorf("paused: %+v", r.Duties)
	}
	// A check ends no pause that is for something else.
	w.verify(t, r.ID)
	if r = ok(t)(w.s.Get(t.Context(), r.ID)); duty(r, request.Respond).PauseCause != "clarification" {
		t.Errorf("verified: %+v", r.Duties)
	}
	_, err = w.s.Restart(t.Context(), r.ID, "key:b", "identity", time.Time{})
	no(t, err, "it is known who the person is")
	id := r.ID
	r = w.open(t, request.Deletion, "gb-eaw", bob)
	_, err = w.s.Pause(t.Context(), r.ID, "key:b", "clarification", "L-0", time.Time{})
	no(t, err, "only an access request")
	// What is noted of a duty goes into the log, and says who did it by the request's own entry.
	for i, e := range clockOf(t, w, id) {
		if i > 0 && e.Actor != "request/"+id {
			t.Errorf("%s is of %q", e.Kind, e.Actor)
		}
	}
	// Each place has a clock for each kind that its law knows.
	w.hand.set(noon)
	for _, place := range request.Places() {
		known := 0
		for _, kind := range request.Kinds() {
			r, err := w.s.Open(t.Context(), wish(kind, place, eve))
			if err != nil {
				no(t, err, "no request of this kind")
				continue
			}
			known++
			if d := duty(r, request.Respond); d.PlanBy.IsZero() || d.LegalDue.Before(d.PlanBy) {
				t.Errorf("%s in %s: %+v", kind, place, d)
			}
		}
		if known == 0 {
			t.Errorf("%s has no requests", place)
		}
	}
}

// A flag is set with the request where nobody proves who they are, else with the proof, for
// the names that it proves; without the one there is not the other.
func TestFlags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	has := func(p index.Person) []string {
		t.Helper()
		kinds, err := w.x.FlagsOf(t.Context(), []index.Person{p}, nil, nil, w.hand.now())
		if err != nil {
			t.Fatal(err)
		}
		return kinds
	}
	if w.x.AnyFlag(t.Context()) {
		t.Fatal("somebody has a flag")
	}
	r := w.open(t, request.OptOut, "us-ca", ann)
	if got := has(ann); !slices.Equal(got, []string{index.FlagOptOut}) || !w.x.AnyFlag(t.Context()) {
		t.Errorf("she has %v", got)
	}
	list, err := w.x.Flags(t.Context(), ann, index.NameDigest(ann))
	if err != nil || len(list) != 1 || list[0].Ticket != r.ID || list[0].Reason != "request" || list[0].SetBy != "key:a" {
		t.Errorf("got %+v, %v", list, err)
	}
	_, err = w.s.Verify(t.Context(), r.ID, "key:b", check())
	no(t, err, "nobody proves")
	_, err = w.s.Persons(t.Context(), r.ID, false)
	no(t, err, "no records are shown")
	if got := lastDay(t, duty(r, request.Respond).LegalDue, "America/Los_Angeles"); got != "2026-01-26" {
		t.Errorf("due %s", got)
	}
	if r, err := w.s.Answer(t.Context(), r.ID, "key:b", "L"); err != nil || r.State != request.Answered {
		t.Errorf("got %+v, %v", r, err)
	}
	for kind, flag := range map[string]string{request.Restriction: index.FlagRestriction, request.Objection: index.FlagObjection} {
		r := w.open(t, kind, "fr", bob, eve)
		if got := has(bob); slices.Contains(got, flag) {
			t.Errorf("before the proof he has %v", got)
		}
		w.verify(t, r.ID, 1)
		if got := has(bob); !slices.Contains(got, flag) {
			t.Errorf("he has %v", got)
		}
		if got := has(eve); len(got) != 0 {
			t.Errorf("who proved nothing has %v", got)
		}
	}
	// What fails behind the flag leaves none.
	broken := errors.New("broken")
	w.s.OnStep(func(step string) {
		if step == "before the commit" {
			panic(broken)
		}
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it was committed")
			}
		}()
		_, _ = w.s.Open(t.Context(), wish(request.Limit, "us-ca", eve))
	}()
	w.s.OnStep(func(string) {})
	if got := has(eve); len(got) != 0 {
		t.Errorf("she has %v", got)
	}
}

// Another open request of the kind is found by the name and by one that is the same person's;
// one that nobody has proven swallows none.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann, bob}, Profile: []index.Person{ann, bob}})
	thief := w.open(t, request.Access, "de", ann)
	w.hand.add(time.Minute)
	r := w.open(t, request.Access, "de", bob)
	other := w.open(t, request.Deletion, "de", bob)
	stranger := w.open(t, request.Access, "de", eve)
	if !slices.Equal(r.Duplicates, []string{thief.ID}) || len(other.Duplicates) != 0 || len(stranger.Duplicates) != 0 {
		t.Errorf("got %v, %v, %v", r.Duplicates, other.Duplicates, stranger.Duplicates)
	}
	_, err := w.s.DuplicateOf(t.Context(), r.ID, "key:b", thief.ID, "L")
	no(t, err, "who asks there")
	_, err = w.s.DuplicateOf(t.Context(), r.ID, "key:b", stranger.ID, "L")
	no(t, err, "no open request")
	_, err = w.s.DuplicateOf(t.Context(), r.ID, "key:b", r.ID, "L")
	no(t, err, "no open request")
	w.verify(t, thief.ID)
	_, err = w.s.DuplicateOf(t.Context(), r.ID, "key:b", thief.ID, "L")
	no(t, err, "each name") // she proved another name
	w.hand.add(time.Minute)
	again := w.open(t, request.Access, "de", ann)
	_, err = w.s.DuplicateOf(t.Context(), thief.ID, "key:b", again.ID, "L")
	no(t, err, "came later")
	again = ok(t)(w.s.DuplicateOf(t.Context(), again.ID, "key:b", thief.ID, "L"))
	if again.State != request.Duplicate || again.Other != thief.ID || len(again.Duplicates) != 0 {
		t.Errorf("got %+v", again)
	}
	// Two requests of a person do not see each other's.
	if r := ok(t)(w.s.Get(t.Context(), r.ID)); !r.Names[0].At.IsZero() {
		t.Errorf("proven by another request: %+v", r.Names)
	}
	if _, err := w.s.Persons(t.Context(), r.ID, true); !errors.Is(err, request.ErrUnproven) {
		t.Errorf("got %v", err)
	}
	list, err := w.s.List(t.Context())
	if err != nil || len(list) != 5 || list[4].ID != again.ID || list[0].Names != nil || len(list[0].Duties) != 1 {
		t.Errorf("got %+v, %v", list, err)
	}
}

// A person of whom nothing is known is answered so, and nobody else is.
func TestOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.see(t, index.Sighting{Record: ticket("1"), Persons: []index.Person{ann}})
	nothing := []request.Item{{Place: request.Everything, Result: request.NotFound}}
	r := w.open(t, request.Access, "de", eve)
	w.verify(t, r.ID)
	_, err := w.s.Answer(t.Context(), r.ID, "key:b", "L")
	no(t, err, "nothing is noted")
	ok(t)(w.s.Note(t.Context(), r.ID, "key:b", nothing, ""))
	if r, err = w.s.Answer(t.Context(), r.ID, "key:b", "L"); err != nil || r.State != request.Answered {
		t.Errorf("got %+v, %v", r, err)
	}
	r = w.open(t, request.Access, "de", ann)
	w.verify(t, r.ID)
	ok(t)(w.s.Note(t.Context(), r.ID, "key:b", nothing, ""))
	_, err = w.s.Answer(t.Context(), r.ID, "key:b", "L")
	no(t, err, "nobody has noted")
	// What is found takes the place of nothing.
	r = ok(t)(w.s.Note(t.Context(), r.ID, "key:b", []request.Item{{Place: request.PlaceOf(ticket("1")), Result: request.Provided}}, ""))
	if len(r.Items) != 1 || r.Items[request.Provided] != 1 {
		t.Errorf("got %+v", r.Items)
	}
	// What comes while it is answered is not left out.
	w.see(t, index.Sighting{Record: ticket("2"), Persons: []index.Person{ann}})
	_, err = w.s.Answer(t.Context(), r.ID, "key:b", "L")
	no(t, err, "nobody has noted")
}

// Every record of a person is there, however many, and the rest of them is noted at once.
func TestRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []index.Sighting
	for i := range 1203 {
		all = append(all, index.Sighting{Record: ticket(strconv.Itoa(i)), Persons: []index.Person{ann}})
	}
	all = append(all, index.Sighting{Record: ticket("x"), Persons: []index.Person{eve}})
	w.see(t, all...)
	r := w.open(t, request.Access, "de", ann)
	w.verify(t, r.ID)
	r = ok(t)(w.s.Note(t.Context(), r.ID, "key:b", []request.Item{{Place: request.PlaceOf(ticket("7")), Result: request.Withheld}}, request.Provided))
	if r.Items[request.Provided] != 1202 || r.Items[request.Withheld] != 1 {
		t.Errorf("got %v", r.Items)
	}
	_, err := w.s.Note(t.Context(), r.ID, "key:b", nil, request.Provided)
	no(t, err, "nothing is left")
	_, err = w.s.Note(t.Context(), r.ID, "key:b", nil, request.KeptHold)
	no(t, err, "each thing")
	first, err := w.s.Items(t.Context(), r.ID, "", 1000)
	if err != nil || len(first) != 1000 {
		t.Fatalf("%d items, %v", len(first), err)
	}
	if more, err := w.s.Items(t.Context(), r.ID, first[999].Place, 1000); err != nil || len(more) != 203 {
		t.Errorf("%d items, %v", len(more), err)
	}
	if r, err = w.s.Answer(t.Context(), r.ID, "key:b", "L"); err != nil || r.State != request.Answered {
		t.Errorf("got %+v, %v", r, err)
	}
}

// What nears its end is raised in each stage, on record and to whoever listens, until a person
// closes the request; a clock that jumps raises all at once.
func TestRaised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var raised []string
	var cfg retention.Config
	cfg.Store, cfg.Log = w.duties, slog.New(slog.DiscardHandler)
	cfg.Record = func(_ context.Context, e retention.Entry) (string, error) { return e.ID, nil }
	cfg.Kinds = w.s.Kinds(func(id string, d request.Duty, stage string) { raised = append(raised, d.What+" "+stage) })
	runner, err := retention.NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.duties.TrustClock(t.Context(), "key:b", "test"); err != nil {
		t.Fatal(err)
	}
	// run looks as a runner that has just begun, to which no clock has jumped forward.
	run := func(at time.Time) string {
		t.Helper()
		w.hand.set(at)
		if runner, err = retention.NewRunner(cfg); err != nil {
			t.Fatal(err)
		}
		raised = nil
		for worked := true; worked; {
			if worked, err = runner.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return strings.Join(raised, ", ")
	}
	r := w.open(t, request.Deletion, "us-ca", ann)
	ack, respond := duty(r, request.Acknowledge), duty(r, request.Respond)
	day := 24 * time.Hour
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{noon.Add(time.Hour), ""},
		{ack.PlanBy.Add(-3 * day), "acknowledge soon"},
		{ack.PlanBy.Add(-3*day + 2*time.Hour), ""}, // it was
		{ack.PlanBy.Add(-2*day + time.Minute), "acknowledge soon"},
		{ack.LegalDue, "acknowledge late"},
		{respond.PlanBy.Add(-7 * day), "acknowledge late, respond soon"},
	} {
		if got := run(tt.at); got != tt.want {
			t.Errorf("at %s: raised %q, want %q", tt.at, got, tt.want)
		}
	}
	ok(t)(w.s.Acknowledged(t.Context(), r.ID, "key:b", "L", time.Time{}))
	if got := run(respond.PlanBy); got != "respond overdue" {
		t.Errorf("raised %q", got)
	}
	if got := run(respond.LegalDue); got != "respond late" {
		t.Errorf("raised %q", got)
	}
	stages, err := w.s.Stages(t.Context())
	if err != nil || stages[[2]string{request.Respond, request.Late}] != 1 || stages[[2]string{request.Acknowledge, request.Late}] != 0 {
		t.Errorf("got %v, %v", stages, err)
	}
	w.verify(t, r.ID)
	ok(t)(w.s.Note(t.Context(), r.ID, "key:b", []request.Item{{Place: request.Everything, Result: request.NotFound}}, ""))
	r = ok(t)(w.s.Answer(t.Context(), r.ID, "key:b", "L"))
	if last := r.Events[len(r.Events)-1]; last.Attrs["late"] != "yes" {
		t.Errorf("closed: %v", last.Attrs)
	}
	n := 0
	for _, e := range r.Events {
		if e.Type == request.EventRaised {
			if n++; e.By != request.Machine {
				t.Errorf("raised by %s", e.By)
			}
		}
	}
	if n != 7 {
		t.Errorf("%d are on record as raised", n)
	}
	if got := run(w.hand.now().Add(48 * time.Hour)); got != "" {
		t.Errorf("raised %q of what is closed", got)
	}
	// Back to before: nobody knows how late it is, and all is raised at once.
	w.hand.set(w.hand.now().Add(-24 * time.Hour))
	r = w.open(t, request.Access, "de", bob)
	if got := run(w.hand.now()); got != "respond soon" {
		t.Errorf("the clock jumped: raised %q", got)
	}
	if o, err := w.duties.Get(t.Context(), "request/"+r.ID+"/respond"); err != nil || o.State != retention.StateOpen {
		t.Errorf("got %+v, %v", o, err)
	}
}

// What is no request is none.
func TestHostile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	many := make([]request.Name, request.MaxNames+1)
	for i := range many {
		many[i] = name(index.Person{9, byte(i)})
	}
	for what, change := range map[string]func(*request.NewRequest){
		"no kind":         func(n *request.NewRequest) { n.Kind = "" },
		"another kind":    func(n *request.NewRequest) { n.Kind = "erasure" },
		"no place":        func(n *request.NewRequest) { n.Place = "" },
		"another place":   func(n *request.NewRequest) { n.Place = "atlantis" },
		"no kind there":   func(n *request.NewRequest) { n.Kind = request.OptOut },
		"no manner":       func(n *request.NewRequest) { n.Manner = "" },
		"the future":      func(n *request.NewRequest) { n.Received = noon.Add(time.Minute) },
		"before the law":  func(n *request.NewRequest) { n.Received = time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no names":        func(n *request.NewRequest) { n.Names = nil },
		"too many names":  func(n *request.NewRequest) { n.Names = many },
		"a name twice":    func(n *request.NewRequest) { n.Names = []request.Name{name(ann), name(ann)} },
		"an empty name":   func(n *request.NewRequest) { n.Names = []request.Name{{}} },
		"a long text":     func(n *request.NewRequest) { n.Requester.Note = strings.Repeat("x", request.MaxText+1) },
		"no text":         func(n *request.NewRequest) { n.Requester.Note = "\xff" },
		"an agent, named": func(n *request.NewRequest) { n.Requester.Agent = "Agents Ltd." },
	} {
		n := wish(request.Deletion, "de", ann)
		change(&n)
		if _, err := w.s.Open(t.Context(), n); !errors.Is(err, request.ErrWish) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if list, err := w.s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("there are %d, %v", len(list), err)
	}
	if n, err := w.duties.Waiting(t.Context(), 10); err != nil || len(n) != 0 {
		t.Errorf("got %v, %v", n, err)
	}
	for what, err := range map[string]error{
		"get":       func() error { _, err := w.s.Get(t.Context(), "none"); return err }(),
		"requester": func() error { _, err := w.s.Requester(t.Context(), "none"); return err }(),
		"records":   func() error { _, err := w.s.Persons(t.Context(), "none", false); return err }(),
		"items":     func() error { _, err := w.s.Items(t.Context(), "none", "", 1); return err }(),
		"verify":    func() error { _, err := w.s.Verify(t.Context(), "none", "key:b", check()); return err }(),
		"answer":    func() error { _, err := w.s.Answer(t.Context(), "none", "key:b", "L"); return err }(),
		"withdraw":  func() error { _, err := w.s.Withdraw(t.Context(), "none", "key:b", "L"); return err }(),
	} {
		if !errors.Is(err, request.ErrNone) {
			t.Errorf("%s of no request: %v", what, err)
		}
	}
	// A row of a request that stands under another's id opens as nobody's.
	a, b := w.open(t, request.Access, "de", ann), w.open(t, request.Access, "de", bob)
	if _, err := w.db.ExecContext(t.Context(), `UPDATE request SET requester = (SELECT requester FROM request WHERE id = $1) WHERE id = $2`, a.ID, b.ID); err != nil {
		t.Fatal(err)
	}
	if q, err := w.s.Requester(t.Context(), b.ID); err == nil || q != (request.Requester{}) {
		t.Errorf("got %+v, %v", q, err)
	}
	// One in the past counts from there.
	n := wish(request.Access, "de", eve)
	n.Received = noon.Add(-20 * 24 * time.Hour)
	if r, err := w.s.Open(t.Context(), n); err != nil || lastDay(t, duty(r, request.Respond).LegalDue, "Europe/Berlin") != "2026-01-13" {
		t.Errorf("got %+v, %v", r.Duties, err)
	}
}

// A request is refused for reasons that the law of its place knows for its kind, and of a
// person whom nobody knows for those that say nothing about the person.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		kind, place, reason string
		proven              bool
		cause               string // "" for refused
	}{
		{request.Deletion, "de", "legal_claims", true, ""},
		{request.Deletion, "de", "legal_claims", false, "nobody has found out"},
		{request.Deletion, "de", "identity", false, ""},
		{request.Deletion, "de", "identity", true, "the person is known"},
		{request.Deletion, "de", "not_controller", false, ""},
		{request.Deletion, "de", "agent_authority", false, "no agent asks"},
		{request.Deletion, "de", "excessive", true, "there are"},
		{request.Deletion, "de", "", true, "there are"},
		{request.Deletion, "de", "rights_of_others", true, "there are"},
		{request.Access, "de", "rights_of_others", true, ""},
		{request.Objection, "gb", "compelling_ground", true, ""},
		{request.Deletion, "us-ca", "free_speech", true, ""},
		{request.Deletion, "us-ca", "compelling_ground", true, "there are"},
		{request.OptOut, "us-ca", "identity", false, "there are"},
		{request.OptOut, "us-ca", "fraudulent", false, ""},
		{request.Deletion, "us-tx", "legal_obligation", true, ""},
	} {
		r := w.open(t, tt.kind, tt.place, ann)
		if tt.proven {
			w.verify(t, r.ID)
		}
		r, err := w.s.Refuse(t.Context(), r.ID, "key:b", tt.reason, "L")
		if tt.cause != "" {
			no(t, err, tt.cause)
			continue
		}
		if err != nil || r.State != request.Refused || r.Reason != tt.reason {
			t.Errorf("%+v: got %+v, %v", tt, r, err)
		}
	}
}
