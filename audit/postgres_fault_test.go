package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
)

// underFire has callers record events until all of them are refused, which must be because
// the log failed. When n are acknowledged, it strikes. It returns what was acknowledged.
func underFire(t *testing.T, l *Log, n int, strike func()) (acked []ID) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	enough, over := make(chan struct{}), make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r, err := tryRecord(context.Background(), l, sample(i))
				if err != nil {
					if !errors.Is(err, ErrPoisoned) {
						t.Errorf("append: got %v, want ErrPoisoned", err)
					}
					return
				}
				mu.Lock()
				if acked = append(acked, r.ID); len(acked) == n {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	go func() {
		wg.Wait()
		close(over)
	}()
	select {
	case <-enough:
		strike()
	case <-over:
		t.Errorf("the log failed by itself after %d events", len(acked))
	}
	<-over
	return acked
}

// onEachIntake runs a test on an empty intake of either kind.
func onEachIntake(t *testing.T, test func(t *testing.T, in *intake)) {
	t.Helper()
	for name, where := range map[string]string{"file": filepath.Join(t.TempDir(), intakeFile), "postgres": pgtest.Database(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, err := openIntake(t.Context(), where, "node-1", true)
			if err != nil {
				t.Fatal(err)
			}
			defer in.close()
			if _, _, err := in.claim(t.Context()); err != nil {
				t.Fatal(err)
			}
			test(t, in)
		})
	}
}

// F9, A2, A3, A6: the server ends the writer's connection at any moment. Nothing is
// acknowledged after it, and everything that was is there, once.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	dir := t.TempDir()
	create(t, dir, &Config{Database: pgtest.Database(t)})
	var acked []ID
	for range rounds {
		l := reopen(t, dir, Config{Checkpoint: 5 * time.Millisecond})
		acked = append(acked, underFire(t, l, 200, func() {
			database := stored(t, dir, Config{}).Database
			pgtest.Exec(t, database, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
		})...)
		waitFailed(t, l)
		next := image(t, dir)
		mustBePoisoned(t, l, dir)
		dir = next
		l = reopen(t, dir, Config{})
		for _, id := range acked[max(0, len(acked)-300):] {
			if _, err := l.Find(t.Context(), id); err != nil {
				t.Fatalf("acknowledged event: %v", err)
			}
		}
		mustClose(t, l)
		mustVerify(t, dir, Valid)
		once(t, dir, acked)
	}
	t.Logf("%d acknowledged events in %d rounds", len(acked), rounds)
}

// F9, A3: the commit is on the server's disk and waits for a standby; the answer never
// comes, or comes with a warning that nobody waited. Both are unknown, and the next
// process finds the event.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"terminated": "pg_terminate_backend", "wait cancelled": "pg_cancel_backend"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := pgtest.Server(t)
			dir := t.TempDir()
			create(t, dir, &Config{Database: database})
			l := reopen(t, dir, Config{Checkpoint: time.Hour})
			before := record(t, l, sample(1))
			pgtest.Set(t, database, "synchronous_standby_names", "nobody")
			e := sample(2)
			e.ID = NewID()
			done := make(chan error, 1)
			go func() {
				_, err := tryRecord(context.Background(), l, e)
				done <- err
			}()
			pgtest.Await(t, database, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1")
			pgtest.Exec(t, database, "SELECT "+end+"(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
			if err := <-done; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrPoisoned) {
				t.Errorf("append: got %v, want an unknown outcome", err)
			}
			waitFailed(t, l)
			pgtest.Set(t, database, "synchronous_standby_names", "")
			next := t.TempDir()
			copyDir(t, next, dir)
			mustBePoisoned(t, l, dir)
			l = reopen(t, next, Config{})
			for _, id := range []ID{before.ID, e.ID} {
				if _, err := l.Find(t.Context(), id); err != nil {
					t.Errorf("event: %v", err)
				}
			}
			mustClose(t, l)
			mustVerify(t, next, Valid)
		})
	}
}

// F12, A10: a second process on the same database is refused while the first is connected,
// and one whose lease was taken writes and deletes nothing any more, connected or not.
func TestOneWriter(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Database: pgtest.Database(t), Checkpoint: time.Hour})
	record(t, l, sample(1))
	other := t.TempDir()
	copyDir(t, other, dir)
	if _, err := Open(t.Context(), other, stored(t, other, Config{})); !errors.Is(err, ErrInUse) {
		t.Errorf("second process: got %v, want ErrInUse", err)
	}
	record(t, l, sample(2))
	database := stored(t, dir, Config{}).Database
	pgtest.Exec(t, database, "UPDATE audit_lease SET epoch = epoch + 1, instance = 'another'")
	e := sample(3)
	e.ID = NewID()
	if _, err := tryRecord(t.Context(), l, e); !errors.Is(err, errFenced) || !errors.Is(err, ErrPoisoned) {
		t.Errorf("after the lease was taken: got %v, want errFenced", err)
	}
	if _, err := l.core.intake.write(&group{}, &position{epoch: 2, seq: 1}); !errors.Is(err, errFenced) {
		t.Errorf("deleting after the lease was taken: got %v, want errFenced", err)
	}
	if _, err := l.Find(t.Context(), e.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("event of the old writer: got %v, want ErrNotFound", err)
	}
	mustBePoisoned(t, l, dir)
	again := reopen(t, other, Config{})
	record(t, again, sample(4))
	if l.core.epoch >= again.core.epoch {
		t.Errorf("epoch: got %d after %d", again.core.epoch, l.core.epoch)
	}
	mustClose(t, again)
	mustVerify(t, other, Valid)
}

// F12, A11: a commit delivered twice is stored once; other events under its key stop.
func TestSameCommitTwice(t *testing.T) {
	t.Parallel()
	onEachIntake(t, func(t *testing.T, in *intake) {
		g := groupOf(t, 3, position{epoch: 1})
		for range 2 {
			if _, err := in.write(&g, nil); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := in.rows(t.Context(), position{epoch: 1}, 100, 1<<20)
		if err != nil || len(rows) != 3 {
			t.Errorf("got %d events, %v, want 3", len(rows), err)
		}
		for what, change := range map[string]func(*group){
			"other bytes":  func(g *group) { g.events[len(g.events)-1] ^= 1 },
			"other length": func(g *group) { g.rows = g.rows[:2] },
		} {
			bad := groupOf(t, 3, position{epoch: 1})
			bad.events = slices.Clone(g.events)
			change(&bad)
			if _, err := in.write(&bad, nil); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: got %v, want ErrCorrupt", what, err)
			}
			if in.db.Dialect == store.SQLite {
				break // the transaction is open, as an intake that failed is never used again
			}
		}
	})
}

// A20: a database belongs to one log, a log to one database, and neither is made by
// opening it. What names the database holds no password.
func TestDatabaseOfAnother(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	dir, files := t.TempDir(), t.TempDir()
	create(t, dir, &Config{Database: strings.Replace(database, "postgres@", "postgres:hush@", 1)})
	create(t, files, &Config{})
	if kept, err := store.Place(filepath.Join(dir, auditDir)); err != nil || kept == "" || strings.Contains(kept, "hush") {
		t.Errorf("the note beside the log holds the password, or nothing (%v)", err)
	}
	second := t.TempDir()
	if err := Create(t.Context(), second, Config{Deployment: "acme", Database: database}); !errors.Is(err, ErrExists) {
		t.Errorf("a second log in the database: got %v, want ErrExists", err)
	}
	if left, _ := os.ReadDir(second); len(left) > 1 { // the folder of keys, empty
		t.Errorf("a refused log left %v", left)
	}
	for name, tt := range map[string]struct{ dir, database string }{
		"no database":         {dir, ""},
		"an empty database":   {dir, pgtest.Database(t)},
		"files, a database":   {files, database},
		"nothing, a database": {t.TempDir(), database},
	} {
		if _, err := Open(t.Context(), tt.dir, Config{Deployment: "acme", Database: tt.database}); !errors.Is(err, ErrMissing) && !errors.Is(err, store.ErrMissing) {
			t.Errorf("%s: got %v, want ErrMissing", name, err)
		}
	}
	if _, err := Open(t.Context(), dir, Config{Deployment: "acme", Database: "mysql://x"}); err == nil {
		t.Error("another kind of database: opened")
	}
	mustClose(t, reopen(t, dir, Config{Database: database}))
}

// F6, F9, A4, A7: a database set back to an older state, as a replica is that was behind
// when it took over, does not fit the tree, nor an older tree the database.
func TestOlderDatabase(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Database: pgtest.Database(t), Checkpoint: 2 * time.Millisecond})
	recordMany(t, l, 300)
	mustClose(t, l)
	older := image(t, dir)
	l = reopen(t, dir, Config{})
	recordMany(t, l, 300)
	mustClose(t, l)
	mix := func(tree, database string) string {
		mixed := t.TempDir()
		copyDir(t, mixed, tree)
		if err := store.WritePlace(filepath.Join(mixed, auditDir), stored(t, database, Config{}).Database); err != nil {
			t.Fatal(err)
		}
		return mixed
	}
	for name, mixed := range map[string]string{"database": mix(dir, older), "tree": mix(older, dir)} {
		mustVerify(t, mixed, Invalid)
		if _, err := Open(t.Context(), mixed, stored(t, mixed, Config{})); !errors.Is(err, ErrCorrupt) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	mustVerify(t, older, Valid)
}

// Migrations make the same tables with the same columns on both databases, and text
// in byte order.
func TestMigrationsAlike(t *testing.T) {
	t.Parallel()
	columns := func(where, query string) (out []string) {
		db, err := store.Open(t.Context(), where, store.Options{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, owner := range []string{"intake", "lock", "detail", "index"} {
			if err := db.Migrate(t.Context(), "audit_"+owner, migrations(owner)); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var table, column, kind string
			if err := rows.Scan(&table, &column, &kind); err != nil {
				t.Fatal(err)
			}
			out = append(out, table+"."+column+" "+kind)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out)
		return out
	}
	file := columns(filepath.Join(t.TempDir(), "x.db"), `SELECT m.name, c.name, c.type || CASE WHEN m.type = 'view' THEN '' WHEN c."notnull" THEN ' NOT NULL' ELSE '' END
		FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.name LIKE 'audit%' AND m.type IN ('table', 'view')`)
	server := columns(pgtest.Database(t), `SELECT c.table_name, c.column_name, CASE c.data_type WHEN 'bytea' THEN 'BLOB' WHEN 'bigint' THEN 'BIGINT'
			WHEN 'text' THEN CASE c.collation_name WHEN 'C' THEN 'TEXT' ELSE 'text of a language' END ELSE c.data_type END ||
			CASE WHEN t.table_type = 'VIEW' OR c.is_nullable = 'YES' THEN '' ELSE ' NOT NULL' END
		FROM information_schema.columns c JOIN information_schema.tables t ON (t.table_schema, t.table_name) = (c.table_schema, c.table_name) WHERE c.table_name LIKE 'audit%'`)
	if !slices.Equal(file, server) {
		t.Errorf("columns: got on PostgreSQL\n%s\nwant as on SQLite\n%s", strings.Join(server, "\n"), strings.Join(file, "\n"))
	}
	if len(file) < 30 {
		t.Errorf("only %d columns", len(file))
	}
}
