package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Environment names a server for the tests, as a URL of a database whose role may
// create others. Tests that set up a server of their own still start one.
const Environment = "CAREGATE_TEST_POSTGRES"

// shared starts the one server of this process. It lives until the process ends:
// there is no hook at the end of tests that a panic or a kill would not pass by.
var shared = sync.OnceValues(func() (*server, error) {
	s, err := start(nil)
	if err != nil {
		return nil, err
	}
	return s, s.ready()
})

// startTime is how long a server may take to come up on a busy machine.
const startTime = 5 * time.Minute

// ready waits until the server answers.
func (s *server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		db, err := store.Open(ctx, s.url("postgres"), store.Options{ReadOnly: true, MaxConns: 1})
		if err == nil {
			return db.Close()
		}
		if failure := s.failure(); failure != nil {
			return failure
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w; it says: %s", err, s.log())
		}
	}
}

// Database makes an empty database on the shared server, or on the one that the
// environment names, and returns its URL. At the end of the test a foreign server's
// is dropped, whoever is still connected; ours go away with their server.
func Database(t testing.TB) string {
	t.Helper()
	admin := os.Getenv(Environment)
	if admin == "" {
		s, err := shared()
		if err != nil {
			t.Fatal(err)
		}
		admin = s.url("postgres")
	}
	return create(t, admin, "template0")
}

// Server starts a server for this test alone, with settings like "fsync=off", and
// returns the URL of an empty database on it.
func Server(t testing.TB, settings ...string) string {
	t.Helper()
	return own(t, nil, settings...).url("postgres")
}

// own starts a server that ends with the test.
func own(t testing.TB, primary *server, settings ...string) *server {
	t.Helper()
	s, err := start(primary, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.life.Close() }) // the keeper does the rest
	if err := s.ready(); err != nil {
		t.Fatal(err)
	}
	return s
}

// create makes a database out of another one, through admin, a third one of the same
// server.
func create(t testing.TB, admin, template string) string {
	t.Helper()
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatalf("%s is not a URL", Environment)
	}
	name := "caregate_test_" + strings.ToLower(rand.Text())
	// The server itself waits seconds for those who are still connected to the template,
	// which on a busy machine is not long: its own cleaners are among them.
	for until := time.Now().Add(startTime); ; {
		err := run(t, admin, "CREATE DATABASE "+name+" TEMPLATE "+template)
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "is being accessed by other users") || time.Now().After(until) {
			t.Fatal(err)
		}
	}
	if os.Getenv(Environment) != "" {
		t.Cleanup(func() { Exec(t, admin, "DROP DATABASE "+name+" WITH (FORCE)") })
	}
	u.Path = "/" + name
	return u.String()
}

// Exec runs statements one by one, outside of a transaction.
func Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	if err := run(t, database, statements...); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, database string, statements ...string) error {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // for cleanups too
	// SyncNormal: whatever the server is set to, it is not this connection's business.
	db, err := store.Open(ctx, database, store.Options{Sync: store.SyncNormal, MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// Set gives the server of a database, which must be the test's own, another setting of
// those that need no restart, and returns when all of the server follows it.
func Set(t testing.TB, database, name, value string) {
	t.Helper()
	Exec(t, database, "ALTER SYSTEM SET "+name+" = '"+value+"'", "SELECT pg_reload_conf()")
	Await(t, database, "SELECT current_setting('"+name+"')", value)
	// A new session begins after all others were told, and the process that makes
	// checkpoints looks at what it was told before it makes one. It also decides for all
	// whether commits wait for a standby.
	Exec(t, database, "CHECKPOINT")
}

// Await asks a database until the one value that the query returns is the wanted one.
func Await(t testing.TB, database, query, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	db, err := store.Open(ctx, database, store.Options{ReadOnly: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for got := ""; ; {
		if err := db.QueryRowContext(ctx, query).Scan(&got); err != nil {
			t.Fatalf("waiting for %s of %s: got %q, %v", want, query, got, err)
		}
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waiting for %s of %s: got %q", want, query, got)
		}
	}
}

// Disconnect ends all connections to a database and returns when they have ended.
// It does not connect to the database itself, so several at once do not end each other.
func Disconnect(t testing.TB, database string) {
	t.Helper()
	admin, name := beside(t, database)
	Exec(t, admin, "SELECT pg_terminate_backend(pid, 120000) FROM pg_stat_activity WHERE datname = '"+name+"'")
}

// Copy makes a database with the contents of another, to which nobody may be
// connected, and returns its URL.
func Copy(t testing.TB, database string) string {
	t.Helper()
	admin, name := beside(t, database)
	return create(t, admin, name)
}

// beside returns the URL of another database on the server of a given one, and the
// name of that one.
func beside(t testing.TB, database string) (admin, name string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name = strings.TrimPrefix(u.Path, "/")
	u.Path = "/template1"
	return u.String(), name
}
