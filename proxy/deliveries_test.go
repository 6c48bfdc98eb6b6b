package proxy

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
)

func openTestDeliveries(t *testing.T) *deliveries {
	t.Helper()
	where := filepath.Join(t.TempDir(), "state.db")
	if strings.HasPrefix(t.Name(), "TestDeliveriesOnPostgres/") {
		where = pgtest.Database(t)
	}
	db, err := store.Open(t.Context(), where, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d, err := openDeliveries(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDeliveriesOnPostgres runs the tests of the table again, in PostgreSQL.
func TestDeliveriesOnPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"AreTakenOnce":        TestDeliveriesAreTakenOnce,
		"UnderWay":            TestDeliveriesUnderWay,
		"AfterACrash":         TestDeliveriesAfterACrash,
		"AreForgotten":        TestDeliveriesAreForgotten,
		"ThatCannotBeWritten": TestDeliveriesThatCannotBeWritten,
		"WithoutTable":        TestDeliveriesWithoutTable,
	} {
		t.Run(name, test)
	}
}

var began = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// key makes a key that counts for an hour.
func key(b byte) keptDelivery {
	return keptDelivery{deliveryKey{b}, began.Add(time.Hour)}
}

// What was taken stays taken for as long as its keys count, each for itself.
func TestDeliveriesAreTakenOnce(t *testing.T) {
	t.Parallel()
	d := openTestDeliveries(t)
	long, short := key(1), key(2)
	long.expires = began.Add(72 * time.Hour)
	c, err := d.claim(t.Context(), []keptDelivery{long, short}, []byte("body"), began, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.take(t.Context(), began); err != nil {
		t.Fatal(err)
	}
	c.end()
	c.end() // twice is once
	for name, test := range map[string]struct {
		keys  []keptDelivery
		body  string
		after time.Duration
		want  error
	}{
		"both keys":              {[]keptDelivery{long, short}, "body", time.Minute, errTaken},
		"one of them":            {[]keptDelivery{short}, "body", time.Minute, errTaken},
		"with another":           {[]keptDelivery{key(3), long}, "body", time.Minute, errTaken},
		"another body":           {[]keptDelivery{key(3), long}, "other", time.Minute, errOtherBody},
		"the short one expired":  {[]keptDelivery{short}, "body", time.Hour, nil},
		"the long one has not":   {[]keptDelivery{short, long}, "body", 2 * time.Hour, errTaken},
		"both expired":           {[]keptDelivery{short, long}, "body", 73 * time.Hour, nil},
		"a delivery of its own":  {[]keptDelivery{key(4), key(5)}, "body", time.Minute, nil},
		"expired, another body":  {[]keptDelivery{short}, "other", 2 * time.Hour, nil},
		"nothing that tells one": {nil, "body", time.Minute, nil},
	} {
		c, err := d.claim(t.Context(), test.keys, []byte(test.body), began.Add(test.after), 0)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		if c != nil {
			c.end()
		}
	}
}

// One of two gets the claim; the other learns the outcome.
func TestDeliveriesUnderWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		take bool
		want error
	}{
		"taken":  {true, errTaken},
		"failed": {false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openTestDeliveries(t)
			first, err := d.claim(t.Context(), []keptDelivery{key(1), key(2)}, []byte("body"), began, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.claim(t.Context(), []keptDelivery{key(2)}, []byte("body"), began, 0); !errors.Is(err, errUnderWay) {
				t.Errorf("without waiting: got %v", err)
			}
			gone, hangUp := context.WithCancel(t.Context())
			hangUp()
			if _, err := d.claim(gone, []keptDelivery{key(2)}, []byte("body"), began, time.Hour); !errors.Is(err, errUnderWay) {
				t.Errorf("of a caller who hung up: got %v", err)
			}
			waited := make(chan error)
			go func() {
				c, err := d.claim(t.Context(), []keptDelivery{key(2), key(3)}, []byte("body"), began, time.Hour)
				if c != nil {
					c.end()
				}
				waited <- err
			}()
			select {
			case err := <-waited:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			if test.take {
				if err := first.take(t.Context(), began); err != nil {
					t.Fatal(err)
				}
			}
			first.end()
			if err := <-waited; !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if len(d.runs) != 0 {
				t.Errorf("%d claims are left", len(d.runs))
			}
		})
	}
}

// A process that dies between the upstream's answer and the record of it forgets
// the delivery, and the vendor's repetition gets through; one that dies after the
// record remembers it.
func TestDeliveriesAfterACrash(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		take bool
		want error
	}{"before it was recorded": {false, nil}, "after": {true, errTaken}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			died := openTestDeliveries(t)
			c, err := died.claim(t.Context(), []keptDelivery{key(1)}, []byte("body"), began, 0)
			if err != nil {
				t.Fatal(err)
			}
			if test.take {
				if err := c.take(t.Context(), began); err != nil {
					t.Fatal(err)
				}
			}
			// Nothing is ended: the next process has the same file and nothing else.
			next, err := openDeliveries(t.Context(), died.db)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := next.claim(t.Context(), []keptDelivery{key(1)}, []byte("body"), began, 0); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// The table holds what counts and not more.
func TestDeliveriesAreForgotten(t *testing.T) {
	t.Parallel()
	d := openTestDeliveries(t)
	const n = 200
	for i := range n {
		at := began.Add(time.Duration(i) * time.Minute)
		c, err := d.claim(t.Context(), []keptDelivery{{deliveryKey{byte(i), 1}, at.Add(time.Hour)}}, []byte("body"), at, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.take(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		c.end()
	}
	var rows int
	if err := d.db.QueryRowContext(t.Context(), `SELECT count(*) FROM webhook_delivery`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if rows != 60 {
		t.Errorf("got %d rows after %d deliveries a minute apart, want the 60 that count", rows, n)
	}
}

// While what was taken cannot be written, nothing else is let through; afterwards it
// is known like any other.
func TestDeliveriesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	d := openTestDeliveries(t)
	exec := func(statement string) {
		t.Helper()
		if _, err := d.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	first, err := d.claim(t.Context(), []keptDelivery{key(1)}, []byte("body"), began, 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.claim(t.Context(), []keptDelivery{key(2)}, []byte("body"), began, 0)
	if err != nil {
		t.Fatal(err)
	}
	// What a full disk or one that became read-only looks like from here.
	if d.db.Dialect == store.Postgres {
		exec(`CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE disk_full; END'`)
		exec(`CREATE TRIGGER no_room BEFORE INSERT ON webhook_delivery FOR EACH ROW EXECUTE FUNCTION no_room()`)
	} else {
		exec(`CREATE TRIGGER no_room BEFORE INSERT ON webhook_delivery BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	}
	for _, c := range []*claim{first, second} {
		if err := c.take(t.Context(), began); err == nil {
			t.Fatal("taken without being written")
		}
		c.end()
	}
	for _, k := range []byte{1, 2, 3} {
		if c, err := d.claim(t.Context(), []keptDelivery{key(k)}, []byte("body"), began, 0); err == nil || errors.Is(err, errTaken) || c != nil {
			t.Errorf("delivery %d while nothing can be written: got %v", k, err)
		}
	}
	if d.db.Dialect == store.Postgres {
		exec(`DROP TRIGGER no_room ON webhook_delivery`)
	} else {
		exec(`DROP TRIGGER no_room`)
	}
	for k, want := range map[byte]error{1: errTaken, 2: errTaken, 3: nil} {
		c, err := d.claim(t.Context(), []keptDelivery{key(k)}, []byte("body"), began, 0)
		if !errors.Is(err, want) {
			t.Errorf("delivery %d afterwards: got %v, want %v", k, err, want)
		}
		if c != nil {
			c.end()
		}
	}
	if len(d.runs)+len(d.untold) != 0 {
		t.Error("something is left")
	}
}

// Without the table nobody can say that a delivery is new.
func TestDeliveriesWithoutTable(t *testing.T) {
	t.Parallel()
	d := openTestDeliveries(t)
	c, err := d.claim(t.Context(), []keptDelivery{key(1)}, []byte("body"), began, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.take(t.Context(), began); err == nil {
		t.Error("take: got no error")
	}
	c.end()
	if _, err := d.claim(t.Context(), []keptDelivery{key(1)}, []byte("body"), began, 0); err == nil || errors.Is(err, errTaken) || errors.Is(err, errUnderWay) {
		t.Errorf("claim: got %v", err)
	}
	if len(d.runs) != 0 {
		t.Error("the claim was not given back")
	}
}
