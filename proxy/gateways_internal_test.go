package proxy

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/vault"
)

// fleet makes the data directories of gateways on one database, the keys of the first
// brought to the others.
func fleet(t *testing.T, database string, names ...string) (list []DataConfig) {
	t.Helper()
	for i, name := range names {
		c := DataConfig{Dir: filepath.Join(t.TempDir(), "data"), Database: database, Gateway: name, Name: "test"}
		if i > 0 {
			bringKeys(t, list[0], c)
		}
		made, err := CreateData(t.Context(), c)
		if err != nil {
			t.Fatalf("creating %s: %v", name, err)
		}
		if deployment, _, _ := strings.Cut(made.Origin, "/"); deployment != "test."+name {
			t.Errorf("the log of %s is %s", name, made.Origin)
		}
		list = append(list, c)
	}
	return list
}

// bringKeys copies the key files of the vault from one gateway to another.
func bringKeys(t *testing.T, from, to DataConfig) {
	t.Helper()
	dir := filepath.Join(to.Dir, "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range [...]string{"master.json", "index.json", "check.json"} {
		raw, err := os.ReadFile(filepath.Join(from.Dir, "keys", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// opens opens a gateway's data until the test ends or close is called.
func opens(t *testing.T, c DataConfig) (d *Data, closeIt func()) {
	t.Helper()
	d, err := OpenData(t.Context(), c)
	if err != nil {
		t.Fatalf("opening %s: %v", c.Gateway, err)
	}
	var once sync.Once
	closeIt = func() {
		once.Do(func() {
			if err := d.Close(); err != nil {
				t.Errorf("closing %s: %v", c.Gateway, err)
			}
		})
	}
	t.Cleanup(closeIt)
	return d, closeIt
}

// VT8 (V10): of what a limit permits three gateways take together as much as one could, also
// when one of them ends and starts again.
func TestLimitsOfGateways(t *testing.T) {
	t.Parallel()
	list := fleet(t, pgtest.Database(t), "a", "b", "c")
	var nodes []*Data
	var ends []func()
	for _, c := range list {
		d, end := opens(t, c)
		nodes, ends = append(nodes, d), append(ends, end)
	}
	limit := policy.Limit{Name: "reveals", Most: 10, Window: 24 * time.Hour, Take: 1}
	race := func() int64 {
		var taken atomic.Int64
		var wg sync.WaitGroup
		for i := range 15 {
			wg.Go(func() {
				switch over, err := nodes[i%len(nodes)].Limits.Take(context.Background(), limit); {
				case err != nil:
					t.Error(err)
				case over < 0:
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		return taken.Load()
	}
	if got := race(); got != 10 {
		t.Errorf("taken %d times by three gateways, want 10", got)
	}
	ends[1]()
	nodes[1], _ = opens(t, list[1])
	if got := race(); got != 0 {
		t.Errorf("after a restart %d more were taken", got)
	}
	for _, d := range nodes {
		others, err := d.gateways.others(t.Context())
		if err != nil || len(others) != 2 {
			t.Errorf("the others of %s: %q, %v", d.gateway, others, err)
		}
	}
}

// F13: a second log under one name, and whatever else joins without being one of them, is
// refused and changes nothing.
func TestGatewaysThatAreRefused(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	first := fleet(t, database, "a")[0]
	at := func(c DataConfig) DataConfig {
		c.Dir = filepath.Join(t.TempDir(), "data")
		return c
	}
	none := at(DataConfig{Database: database, Gateway: "b", Name: "test"})
	if _, err := CreateData(t.Context(), none); !errors.Is(err, vault.ErrKeyFile) {
		t.Errorf("without keys: %v", err)
	}
	other := fleet(t, pgtest.Database(t), "x")[0]
	foreign := at(DataConfig{Database: database, Gateway: "b", Name: "test"})
	bringKeys(t, other, foreign)
	if _, err := CreateData(t.Context(), foreign); !errors.Is(err, vault.ErrKeyMismatch) {
		t.Errorf("with the keys of others: %v", err)
	}
	same := at(first)
	bringKeys(t, first, same)
	if _, err := CreateData(t.Context(), same); err == nil {
		t.Error("a second log has the name of the first")
	}
	alone := at(DataConfig{Database: database, Name: "test"})
	bringKeys(t, first, alone)
	if _, err := CreateData(t.Context(), alone); !errors.Is(err, vault.ErrExists) {
		t.Errorf("a gateway that is alone: %v", err)
	}
	lone := at(DataConfig{Database: pgtest.Database(t), Name: "test"})
	if _, err := CreateData(t.Context(), lone); err != nil {
		t.Fatal(err)
	}
	joins := at(DataConfig{Database: lone.Database, Gateway: "b", Name: "test"})
	bringKeys(t, lone, joins)
	if _, err := CreateData(t.Context(), joins); err == nil {
		t.Error("somebody joined a gateway that is alone")
	}
	files := at(DataConfig{Gateway: "b", Name: "test"})
	if _, err := CreateData(t.Context(), files); err == nil {
		t.Error("a gateway of several on files")
	}
	for _, c := range []DataConfig{none, foreign, same, alone, joins, files} {
		if _, err := os.Stat(filepath.Join(c.Dir, "postgres")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a directory that was refused counts as made: %v", err)
		}
	}
	d, _ := opens(t, first)
	if others, err := d.gateways.others(t.Context()); err != nil || len(others) != 0 {
		t.Errorf("somebody has joined: %q, %v", others, err)
	}
	for _, bad := range []string{"", "a.b", "a/b", "ä", "a_b", "a b", "abcdefghijklmnopqrstuvwxyz-abcdefg"} {
		if validGateway(bad) == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

// F13, A10: of two processes with one gateway's directory and a copy of it the one that came last goes
// on, and the other takes no further event.
func TestCopiedGateway(t *testing.T) {
	t.Parallel()
	c := fleet(t, pgtest.Database(t), "a", "b")[0]
	copied := c
	copied.Dir = filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(copied.Dir, os.DirFS(c.Dir)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(copied.Dir, 0o700), chmodAll(copied.Dir)); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	first, _ := opens(t, c)
	if first.lookAtName(t.Context(), quiet) {
		t.Fatal("a gateway that is the only one of its name gave up")
	}
	second, _ := opens(t, copied)
	if !first.lookAtName(t.Context(), quiet) {
		t.Error("the process before goes on")
	}
	if second.lookAtName(t.Context(), quiet) {
		t.Error("the newest process gave up")
	}
	if _, err := first.Log.Reserve(t.Context(), audit.LaneReserved); err == nil && first.Log.Ready() == nil {
		t.Error("the log of the process before takes events")
	}
	if err := second.Log.Ready(); err != nil {
		t.Errorf("the log of the newest process: %v", err)
	}
}

// chmodAll gives copied files the mode that keys must have.
func chmodAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && path == dir {
			return err
		}
		if e.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
}

// VT9, V13, A13: the erasures that a gateway's log holds are carried out by that gateway after
// a backup of the shared database was restored, whichever marks the others have.
func TestGatewaysReplayTheirErasures(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	list := fleet(t, database, "a", "b")
	quiet := slog.New(slog.DiscardHandler)
	people := []vault.Ident{{Kind: "email", Value: "ann@example.com"}, {Kind: "email", Value: "bob@example.com"}}
	start := func(c DataConfig) (*Data, func()) {
		d, end := opens(t, c)
		if err := d.ReplayErasures(t.Context(), quiet); err != nil {
			t.Fatalf("replaying on %s: %v", c.Gateway, err)
		}
		return d, end
	}
	a, endA := start(list[0])
	if _, err := a.Vault.Subjects(t.Context(), people); err != nil {
		t.Fatal(err)
	}
	endA()
	backup := pgtest.Copy(t, database)
	var ends []func()
	for i, c := range list { // each erases one
		d, end := start(c)
		ends = append(ends, end)
		found, err := d.Vault.FindErasable(t.Context(), people[i:i+1])
		if err != nil || found[0].Subject.IsZero() {
			t.Fatalf("looking for a person: %v", err)
		}
		if _, err := d.recordErasure(t.Context(), audit.NewID(), []vault.PersonID{found[0].ID}, nil); err != nil {
			t.Fatal(err)
		}
		if err := d.Log.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.ReplayErasures(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
	}
	for _, end := range ends {
		end()
	}
	for i := range list {
		list[i].Database = backup
	}
	known := func(d *Data) (n int) {
		t.Helper()
		for _, p := range people {
			s, err := d.Vault.Known(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if !s.IsZero() {
				n++
			}
		}
		return n
	}
	b, _ := start(list[1])
	if got := known(b); got != 1 {
		t.Errorf("after the start of b %d persons are known, want the one whom a erased", got)
	}
	a, _ = start(list[0])
	if got := known(a); got != 0 {
		t.Errorf("after the start of both %d persons are known", got)
	}
}

// A15: what one gateway's retention ends, by its own clock and periods, are details in its
// own log.
func TestGatewaysEndTheirOwnDetails(t *testing.T) {
	t.Parallel()
	list := fleet(t, pgtest.Database(t), "a", "b")
	a, _ := opens(t, list[0])
	b, _ := opens(t, list[1])
	people, err := a.Vault.Subjects(t.Context(), []vault.Ident{{Kind: "email", Value: "ann@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().AddDate(0, 0, -60)
	sealed := func(d *Data) (vault.Sealed, []byte) {
		t.Helper()
		e := audit.Event{ID: audit.NewID(), Retention: retentionExchange}
		s, err := d.seal(t.Context(), &e, long, people[0], partSubject, []byte("what was found"))
		if err != nil {
			t.Fatal(err)
		}
		return vault.Sealed{Key: s.Key, Ciphertext: s.Ciphertext, Commitment: s.Commitment}, vault.AD(d.Log.Origin(), e.ID, partSubject)
	}
	ofA, adA := sealed(a)
	ofB, adB := sealed(b)
	periods, err := (*DetailsConfig)(nil).periods()
	if err != nil {
		t.Fatal(err)
	}
	if why, _, err := a.expire(t.Context(), time.Now(), periods, time.Time{}); err != nil || why != "" {
		t.Fatalf("expiring: %q, %v", why, err)
	}
	if _, err := a.Vault.Open(t.Context(), ofA, adA); !errors.Is(err, vault.ErrNoKey) {
		t.Errorf("what has expired: %v, want no key", err)
	}
	if _, err := b.Vault.Open(t.Context(), ofB, adB); err != nil {
		t.Errorf("what another gateway keeps: %v", err)
	}
}

// A delivery that is under way at one gateway is so for the others: until it ends, also over
// a connection that was lost, and until the process ends.
func TestDeliveriesOfGateways(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	gateway := func() *deliveries {
		t.Helper()
		db, err := store.Open(t.Context(), database, store.Options{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() }) // the server may have ended its connections
		d, err := openDeliveries(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		locks, err := store.Open(t.Context(), database, store.Options{MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = locks.Close() })
		d.shared = newDeliveryLocks(locks)
		t.Cleanup(d.shared.close)
		return d
	}
	one, two := gateway(), gateway()
	body := []byte("body")
	claims := func(d *deliveries, want error, keys ...keptDelivery) *claim {
		t.Helper()
		c, err := d.claim(t.Context(), keys, body, began, 0)
		if !errors.Is(err, want) {
			t.Fatalf("claim: got %v, want %v", err, want)
		}
		return c
	}
	first := claims(one, nil, key(1), key(2))
	claims(two, errUnderWay, key(3), key(2))
	claims(two, nil, key(3)).end() // nothing is held by who was refused
	const sessions = `FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	pgtest.Exec(t, database, `SELECT count(pg_terminate_backend(pid)) `+sessions)
	pgtest.Await(t, database, `SELECT count(*) `+sessions, "0")
	other := claims(one, nil, key(4)) // over the next connection, which has the locks too
	claims(two, errUnderWay, key(1))
	waiting := make(chan error, 1)
	go func() {
		c, err := two.claim(context.Background(), []keptDelivery{key(1)}, body, began, time.Minute)
		if err == nil {
			c.end()
		}
		waiting <- err
	}()
	if err := first.take(t.Context(), began); err != nil {
		t.Fatal(err)
	}
	first.end()
	if err := <-waiting; !errors.Is(err, errTaken) {
		t.Errorf("a repetition at another gateway: got %v, want %v", err, errTaken)
	}
	claims(two, errUnderWay, key(4))
	one.shared.close()                                                                 // as the end of its process does
	c, err := two.claim(t.Context(), []keptDelivery{key(4)}, body, began, time.Minute) // the server sees it a moment later
	if err != nil {
		t.Fatalf("a delivery whose gateway has ended: %v", err)
	}
	c.end()
	other.end()

	// What was taken and could not be written stays under way for the others until it is.
	lost := claims(one, nil, key(5))
	pgtest.Exec(t, database, "ALTER TABLE webhook_delivery RENAME TO elsewhere")
	if lost.take(t.Context(), began) == nil {
		t.Fatal("it was written without a table")
	}
	lost.end()
	// Its repetition, which ends when nothing can be written, leaves the lock as it is.
	if _, err := one.claim(t.Context(), []keptDelivery{key(5), key(7)}, body, began, 0); err == nil {
		t.Fatal("a repetition was let through without a table")
	}
	pgtest.Exec(t, database, "ALTER TABLE elsewhere RENAME TO webhook_delivery")
	claims(two, errUnderWay, key(5))
	claims(two, errUnderWay, key(5), key(7))
	claims(two, nil, key(7)).end() // what only the repetition held it gave back
	claims(one, nil, key(6)).end() // writes it
	claims(two, errTaken, key(5))
	pgtest.Await(t, database, `SELECT count(*) `+sessions, "0")
}

// V12, V16: a new master key reaches the other gateways as a file. Until it has, they refuse
// what needs a new key, and lose nothing; then they go on without a restart.
func TestMasterKeyOfGateways(t *testing.T) {
	t.Parallel()
	list := fleet(t, pgtest.Database(t), "a", "b")
	a, _ := opens(t, list[0])
	b, _ := opens(t, list[1])
	ann := []vault.Ident{{Kind: "email", Value: "ann@example.com"}}
	before, err := b.Vault.Subjects(t.Context(), ann)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Vault.Rotate(t.Context()), a.Vault.RotateMaster(t.Context())); err != nil {
		t.Fatal(err)
	}
	bob := []vault.Ident{{Kind: "email", Value: "bob@example.com"}}
	if _, err := b.Vault.Subjects(t.Context(), bob); !errors.Is(err, vault.ErrKeyMismatch) {
		t.Errorf("a new person with the old master key: got %v, want %v", err, vault.ErrKeyMismatch)
	}
	bringKeys(t, list[0], list[1])
	if _, err := b.Vault.Subjects(t.Context(), bob); err != nil {
		t.Errorf("a new person with the new master key: %v", err)
	}
	after, err := a.Vault.Subjects(t.Context(), ann)
	if err != nil || after[0].Pseudonym("o") != before[0].Pseudonym("o") {
		t.Errorf("a person has another pseudonym, or none: %v", err)
	}
}
