package review_test

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
	"github.com/caregate/caregate/policy/review"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// sealer turns bytes round, so that nothing stands as it is and nothing is opened under
// another name.
type sealer struct{}

func (sealer) Seal(_ context.Context, name string, plain []byte) ([]byte, error) {
	return append([]byte(name+"\n"), flipped(plain)...), nil
}

func (sealer) Open(_ context.Context, name string, stored []byte) ([]byte, error) {
	body, ok := bytes.CutPrefix(stored, []byte(name+"\n"))
	if !ok {
		return nil, errors.New("sealed under another name")
	}
	return flipped(body), nil
}

func flipped(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ 0xff
	}
	return out
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// open prepares the reviews in a database of the test's own: a file, or one in PostgreSQL
// below TestOnPostgres.
func open(t *testing.T) (*review.Store, *store.DB, *clock) {
	t.Helper()
	where, o := filepath.Join(t.TempDir(), "state.db"), store.Options{Create: true}
	if strings.HasPrefix(t.Name(), "TestOnPostgres/") {
		where = pgtest.Database(t)
	}
	db, err := store.Open(t.Context(), where, o)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	c := &clock{now: time.UnixMilli(1_800_000_000_000).UTC()}
	s, err := review.New(t.Context(), db, sealer{}, c.Now)
	must(t, err)
	return s, db, c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOnPostgres runs the tests of what is stored again, in PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"Life": TestLife, "Refused": TestRefused, "CarriedOutAgain": TestCarriedOutAgain, "OneItemFails": TestOneItemFails, "LostLease": lostLease, "Imports": TestImports, "NothingInClear": TestNothingInClear,
	} {
		t.Run(name, test)
	}
}

// An item that fails again and again keeps no other from being carried out; the review
// ends when it is done.
func TestOneItemFails(t *testing.T) {
	t.Parallel()
	s, _, _ := open(t)
	ctx := t.Context()
	r, err := s.Open(ctx, three())
	must(t, err)
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{1, 2, 3}, What: review.Revoke, Reviewer: "key:r1", Reason: "x"}, nobodys))
	must(t, s.Close(ctx, r.ID, review.Closer{By: "key:sec"}))
	broken := errors.New("broken")
	for range 2 {
		err := s.CarryOut(ctx, func(_ context.Context, _ review.Review, _ []review.Item, it review.Item) error {
			if it.Number == 1 {
				return broken
			}
			return nil
		}, nil)
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	got, items, err := s.Get(ctx, r.ID)
	must(t, err)
	if got.State != review.Closing || items[0].Outcome != review.Pending || items[2].Outcome != review.Done {
		t.Errorf("got %s with %s and %s", got.State, items[0].Outcome, items[2].Outcome)
	}
	must(t, s.CarryOut(ctx, func(context.Context, review.Review, []review.Item, review.Item) error { return nil },
		func(context.Context, review.Review, []review.Item, []byte) error { return nil }))
	if got, _, err := s.Get(ctx, r.ID); err != nil || got.State != review.Closed {
		t.Errorf("got %s, %v", got.State, err)
	}
}

// lostLease: a gateway whose lease another one has does nothing more, and leaves it alone.
func lostLease(t *testing.T) {
	s, db, c := open(t)
	ctx := t.Context()
	r, err := s.Open(ctx, three())
	must(t, err)
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{1, 2, 3}, What: review.Revoke, Reviewer: "key:r1", Reason: "x"}, nobodys))
	must(t, s.Close(ctx, r.ID, review.Closer{By: "key:sec"}))
	done := 0
	must(t, s.CarryOut(ctx, func(context.Context, review.Review, []review.Item, review.Item) error {
		done++
		c.move(3 * time.Minute)
		_, err := db.ExecContext(ctx, `UPDATE review SET lease = $1`, c.Now().Add(2*time.Minute).UnixMilli())
		return err
	}, nil))
	var lease int64
	must(t, db.QueryRowContext(ctx, `SELECT lease FROM review`).Scan(&lease))
	if done != 1 || lease == 0 {
		t.Errorf("%d items were carried out, want 1; the other's lease is %d", done, lease)
	}
}

func three() review.NewReview {
	at := time.UnixMilli(1_799_000_000_000).UTC()
	return review.NewReview{By: "key:sec", Ticket: "CHG-1", Since: at.AddDate(0, -3, 0), Until: at, Due: at.AddDate(0, 1, 0), Log: "acme.eu-1/audit/2026h2", Others: []string{"eu-2", "us-1"}, Items: []review.Item{
		{Kind: "apikey", Action: review.ActKey, Target: "k1", Facts: review.Facts{Holder: "key:k1", Source: "apikey", Name: "nightly zebra", Right: "roles service", Use: &review.Use{Calls: 7, People: 3, Last: at, Receipt: "aa"}}},
		{Kind: "account", Action: review.ActByHand, Facts: review.Facts{Holder: "jane.zebra", Source: "helpdesk", Right: "admin", MFA: review.No, Groups: []string{"all"}}},
		{Kind: "standing", Action: review.ActApproval, Target: "a1", Facts: review.Facts{Holder: "key:k2", Source: "approval", Right: "zendesk:ticket.export"}},
	}}
}

func nobodys(review.Item) bool { return false }

// The life of a review: frozen, decided, closed, carried out, with a report.
func TestLife(t *testing.T) {
	t.Parallel()
	s, _, c := open(t)
	ctx := t.Context()
	anchor, err := s.Anchor(ctx)
	must(t, err)
	c.move(time.Hour)
	wish := three()
	r, err := s.Open(ctx, wish)
	must(t, err)
	got, items, err := s.Get(ctx, r.ID)
	must(t, err)
	if got.State != review.Open || got.OpenedBy != "key:sec" || got.Ticket != "CHG-1" || !got.Since.Equal(wish.Since) || !got.Until.Equal(wish.Until) || !got.Due.Equal(wish.Due) || got.Log != wish.Log || strings.Join(got.Others, " ") != "eu-2 us-1" || !got.Opened.After(anchor) {
		t.Errorf("opened: got %+v", got)
	}
	if len(items) != 3 || items[1].Number != 2 || items[1].Facts.Holder != "jane.zebra" || items[1].Facts.Use != nil || *items[0].Facts.Use != *wish.Items[0].Facts.Use {
		t.Errorf("items: got %+v", items)
	}
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{1, 2, 3}, What: review.Keep, Reviewer: "key:r1", Reason: "zebras work here"}, nobodys))
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{2, 3}, What: review.Revoke, Reviewer: "key:r2", Reason: "the zebra has left", Ticket: "CHG-2"}, nobodys))
	agreed, err := s.Decisions(ctx, r.ID)
	must(t, err)
	must(t, s.Close(ctx, r.ID, review.Closer{By: "key:sec", Agreed: []string{"key:o1", "key:o2"}, Ticket: "CHG-3", Decisions: agreed}))
	if err := s.Decide(ctx, r.ID, review.Decision{Items: []int{1}, What: review.Revoke, Reviewer: "key:r1", Reason: "x"}, nobodys); !errors.Is(err, review.ErrWish) {
		t.Errorf("decided after closing: got %v", err)
	}
	var did []string
	var reported []byte
	must(t, s.CarryOut(ctx, func(_ context.Context, r review.Review, _ []review.Item, it review.Item) error {
		did = append(did, it.Action+" "+it.Target+" "+it.Reviewer+" "+it.Ticket)
		if it.Event == [16]byte{} || r.Event == [16]byte{} || it.Event == r.Event {
			t.Errorf("the events are not drawn: %x and %x", it.Event, r.Event)
		}
		return nil
	}, func(ctx context.Context, r review.Review, items []review.Item, report []byte) error {
		if report != nil || items[2].Outcome != review.Done || items[1].Outcome != review.ByHand || items[0].Outcome != "" {
			t.Errorf("at the end: %+v with report %q", items, report)
		}
		reported = []byte("the report names zebras")
		return s.SetReport(ctx, r.ID, reported, []byte{1, 2})
	}))
	if strings.Join(did, ";") != "approval.refuse a1 key:r2 CHG-2" {
		t.Errorf("carried out %q", did)
	}
	got, items, err = s.Get(ctx, r.ID)
	must(t, err)
	if got.State != review.Closed || got.ClosedBy != "key:sec" || strings.Join(got.Agreed, " ") != "key:o1 key:o2" || got.CloseTicket != "CHG-3" || got.Closed.IsZero() || !bytes.Equal(got.Digest, []byte{1, 2}) {
		t.Errorf("closed: got %+v", got)
	}
	undecided, kept, revoked, byHand := review.Counts(items)
	if undecided != 0 || kept != 1 || revoked != 1 || byHand != 1 || items[2].Finished.IsZero() || !items[1].Finished.IsZero() || items[1].Reason != "the zebra has left" {
		t.Errorf("items: got %+v", items)
	}
	if report, err := s.Report(ctx, r.ID); err != nil || !bytes.Equal(report, reported) {
		t.Errorf("report: got %q, %v", report, err)
	}
	next, err := s.Open(ctx, three())
	must(t, err)
	list, err := s.List(ctx)
	if err != nil || len(list) != 2 || list[0].ID != next.ID {
		t.Errorf("list: got %+v, %v", list, err)
	}
	again, err := s.Anchor(ctx)
	if err != nil || !again.Equal(anchor) {
		t.Errorf("the anchor moved to %v, %v", again, err)
	}
}

// What is refused leaves everything as it was.
func TestRefused(t *testing.T) {
	t.Parallel()
	s, _, _ := open(t)
	ctx := t.Context()
	none := three()
	none.Items = nil
	if _, err := s.Open(ctx, none); !errors.Is(err, review.ErrWish) {
		t.Errorf("a review of nothing: got %v", err)
	}
	many := three()
	many.Items = make([]review.Item, review.MaxItems+1)
	if _, err := s.Open(ctx, many); !errors.Is(err, review.ErrWish) {
		t.Errorf("a review of too much: got %v", err)
	}
	r, err := s.Open(ctx, three())
	must(t, err)
	if _, err := s.Open(ctx, three()); !errors.Is(err, review.ErrWish) {
		t.Errorf("two at once: got %v", err)
	}
	d := review.Decision{Items: []int{1, 2}, What: review.Keep, Reviewer: "key:k1", Reason: "x"}
	own := func(it review.Item) bool { return it.Facts.Holder == "jane.zebra" }
	for name, try := range map[string]struct {
		err  error
		want error
	}{
		"one's own right": {s.Decide(ctx, r.ID, d, own), review.ErrOwn},
		"no such item":    {s.Decide(ctx, r.ID, review.Decision{Items: []int{1, 4}, What: review.Keep, Reviewer: "r"}, nobodys), review.ErrWish},
		"item 0":          {s.Decide(ctx, r.ID, review.Decision{Items: []int{0}, What: review.Keep, Reviewer: "r"}, nobodys), review.ErrWish},
		"another word":    {s.Decide(ctx, r.ID, review.Decision{Items: []int{1}, What: "perhaps", Reviewer: "r"}, nobodys), review.ErrWish},
		"nobody":          {s.Decide(ctx, r.ID, review.Decision{Items: []int{1}, What: review.Keep}, nobodys), review.ErrWish},
		"no such review":  {s.Decide(ctx, "x", d, nobodys), review.ErrNone},
		"closed early":    {s.Close(ctx, r.ID, review.Closer{By: "key:sec"}), review.ErrWish},
		"closed nowhere":  {s.Close(ctx, "x", review.Closer{By: "key:sec"}), review.ErrNone},
		"report early":    {s.SetReport(ctx, r.ID, []byte("x"), []byte("y")), review.ErrWish},
	} {
		if !errors.Is(try.err, try.want) {
			t.Errorf("%s: got %v, want %v", name, try.err, try.want)
		}
	}
	if _, err := s.Report(ctx, r.ID); !errors.Is(err, review.ErrNone) {
		t.Errorf("no report: got %v", err)
	}
	_, items, err := s.Get(ctx, r.ID)
	must(t, err)
	if undecided, _, _, _ := review.Counts(items); undecided != 3 {
		t.Errorf("%d items are undecided, want 3", undecided)
	}
	// Others agreed to what has changed since.
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{1, 2, 3}, What: review.Keep, Reviewer: "r"}, nobodys))
	agreed, err := s.Decisions(ctx, r.ID)
	must(t, err)
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{1}, What: review.Revoke, Reviewer: "r"}, nobodys))
	if err := s.Close(ctx, r.ID, review.Closer{By: "key:sec", Agreed: []string{"key:o1"}, Decisions: agreed}); !errors.Is(err, review.ErrWish) {
		t.Errorf("closed with what nobody agreed to: got %v", err)
	}
}

// A review that is interrupted anywhere goes on where it was, with the events that were
// drawn, and with the report that was kept.
func TestCarriedOutAgain(t *testing.T) {
	t.Parallel()
	s, db, c := open(t)
	ctx := t.Context()
	r, err := s.Open(ctx, three())
	must(t, err)
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{1, 2, 3}, What: review.Revoke, Reviewer: "key:r1", Reason: "x"}, nobodys))
	must(t, s.Close(ctx, r.ID, review.Closer{By: "key:sec"}))
	events := map[int][16]byte{}
	ends, tries := 0, 0
	killed, seen := errors.New("killed"), map[string]bool{}
	// step fails where it is reached the first time.
	step := func(name string) error {
		if !seen[name] {
			seen[name] = true
			return killed
		}
		return nil
	}
	for {
		tries++
		err := s.CarryOut(ctx, func(_ context.Context, _ review.Review, _ []review.Item, it review.Item) error {
			if before, known := events[it.Number]; known && before != it.Event {
				t.Errorf("item %d has another event at its next try", it.Number)
			}
			events[it.Number] = it.Event
			return step(fmt.Sprint("item ", it.Number))
		}, func(ctx context.Context, r review.Review, _ []review.Item, report []byte) error {
			if err := step("before the report"); err != nil {
				return err
			}
			if report == nil {
				ends++
				must(t, s.SetReport(ctx, r.ID, []byte(fmt.Sprint("report ", ends)), []byte("d")))
			}
			return step("behind the report")
		})
		if err == nil {
			break
		}
		if !errors.Is(err, killed) {
			t.Fatal(err)
		}
		s, err = review.New(ctx, db, sealer{}, c.Now) // a new process
		must(t, err)
	}
	must(t, s.CarryOut(ctx, nil, nil)) // nothing is left to do
	if len(events) != 2 || ends != 1 || tries != 4 {
		t.Errorf("%d items and %d reports in %d tries, want 2, 1 and 4", len(events), ends, tries)
	}
	report, err := s.Report(ctx, r.ID)
	must(t, err)
	got, _, err := s.Get(ctx, r.ID)
	must(t, err)
	if string(report) != "report 1" || got.State != review.Closed {
		t.Errorf("got %q, %s", report, got.State)
	}
}

// The newest import of a source counts.
func TestImports(t *testing.T) {
	t.Parallel()
	s, _, _ := open(t)
	ctx := t.Context()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	must(t, s.Import(ctx, review.Import{Source: "helpdesk", Format: review.FormatCSV, By: "local", Count: 1, Digest: "aa", Accounts: []review.Account{{Name: "jane"}}}))
	must(t, s.Import(ctx, review.Import{Source: "idp", Format: review.FormatSCIM, By: "local", Digest: "bb"}))
	must(t, s.Import(ctx, review.Import{Source: "helpdesk", Format: review.FormatSCIM, By: "key:k", Count: 2, Digest: "cc", Accounts: []review.Account{{Name: "joe", LastLogin: at}, {Name: "ann", MFA: review.Yes}}}))
	list, err := s.Imports(ctx)
	must(t, err)
	if len(list) != 2 || list[0].Source != "helpdesk" || list[0].Format != review.FormatSCIM || list[0].Count != 2 || list[0].By != "key:k" || list[0].Accounts[1].Name != "ann" || !list[0].Accounts[0].LastLogin.Equal(at) || list[0].At.IsZero() {
		t.Errorf("got %+v", list)
	}
}

// Who reads the database reads no name, no reason and no account.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	s, db, _ := open(t)
	ctx := t.Context()
	r, err := s.Open(ctx, three())
	must(t, err)
	must(t, s.Decide(ctx, r.ID, review.Decision{Items: []int{1, 2, 3}, What: review.Keep, Reviewer: "key:r1", Reason: "zebras work here"}, nobodys))
	must(t, s.Import(ctx, review.Import{Source: "helpdesk", Format: review.FormatCSV, By: "local", Accounts: []review.Account{{Name: "zebra"}}}))
	must(t, s.Close(ctx, r.ID, review.Closer{By: "key:sec"}))
	must(t, s.CarryOut(ctx, func(context.Context, review.Review, []review.Item, review.Item) error { return nil }, func(ctx context.Context, r review.Review, _ []review.Item, _ []byte) error {
		return s.SetReport(ctx, r.ID, []byte("zebra"), []byte("d"))
	}))
	for _, query := range []string{`SELECT facts FROM review_item`, `SELECT why FROM review_item`, `SELECT accounts FROM review_import`, `SELECT report FROM review`} {
		rows, err := db.QueryContext(ctx, query)
		must(t, err)
		n := 0
		for rows.Next() {
			var b []byte
			must(t, rows.Scan(&b))
			if n++; len(b) == 0 || bytes.Contains(b, []byte("zebra")) {
				t.Errorf("%s: %d bytes in clear", query, len(b))
			}
		}
		must(t, errors.Join(rows.Err(), rows.Close()))
		if n == 0 {
			t.Errorf("%s: no row", query)
		}
	}
}

// What many sources bring is bounded; those that are there can be brought anew.
func TestSourcesAreBounded(t *testing.T) {
	t.Parallel()
	s, _, _ := open(t)
	bring := func(n int) error {
		return s.Import(t.Context(), review.Import{Source: fmt.Sprintf("s%d", n), Format: "csv", By: "key:a", Accounts: []review.Account{{Name: "jane"}}})
	}
	for n := range review.MaxSources {
		if err := bring(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := bring(review.MaxSources); !errors.Is(err, review.ErrWish) {
		t.Errorf("one more: got %v", err)
	}
	if err := bring(0); err != nil {
		t.Errorf("one of them again: got %v", err)
	}
}
