package store_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
)

// TestPostgresIsDurable: a server that may lose what it acknowledged is refused, but
// for views and readers.
func TestPostgresIsDurable(t *testing.T) {
	t.Parallel()
	asDatabase := func(setting string) func(testing.TB) string {
		return func(t testing.TB) string {
			where := pgtest.Database(t)
			u, err := url.Parse(where)
			if err != nil {
				t.Fatal(err)
			}
			pgtest.Exec(t, where, "ALTER DATABASE "+strings.TrimPrefix(u.Path, "/")+" SET "+setting)
			return where
		}
	}
	server := func(setting string) func(testing.TB) string {
		return func(t testing.TB) string { return pgtest.Server(t, setting) }
	}
	tests := []struct {
		name string
		url  func(testing.TB) string
		o    store.Options
		want string // part of the error; empty for none
	}{
		{"as it comes", pgtest.Database, store.Options{}, ""},
		{"commits before the sync", asDatabase("synchronous_commit = off"), store.Options{}, "synchronous_commit is off"},
		{"commits before the standby's sync", asDatabase("synchronous_commit = remote_write"), store.Options{}, "synchronous_commit is remote_write"},
		{"commits after the standby's replay", asDatabase("synchronous_commit = remote_apply"), store.Options{}, ""},
		{"a view need not be durable", asDatabase("synchronous_commit = off"), store.Options{Sync: store.SyncNormal}, ""},
		{"a reader does not commit", asDatabase("synchronous_commit = off"), store.Options{ReadOnly: true}, ""},
		{"takes no writes", asDatabase("default_transaction_read_only = on"), store.Options{}, "takes no writes"},
		{"does not sync", server("fsync=off"), store.Options{}, "fsync"},
		{"writes half pages", server("full_page_writes=off"), store.Options{Sync: store.SyncNormal}, "full_page_writes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), tt.url(t), tt.o)
			if err == nil {
				defer db.Close()
			}
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want a database", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// What a server's or a database's defaults say about transactions and time-outs is not ours.
func TestPostgresSettings(t *testing.T) {
	t.Parallel()
	where := pgtest.Database(t)
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][2]string{"default_transaction_isolation": {"'repeatable read'", "read committed"}, "statement_timeout": {"'1min'", "0"}, "lock_timeout": {"'1min'", "0"}}
	for name, s := range settings {
		pgtest.Exec(t, where, "ALTER DATABASE "+strings.TrimPrefix(u.Path, "/")+" SET "+name+" = "+s[0])
	}
	db, err := store.Open(t.Context(), where, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, s := range settings {
		var got string
		if err := db.QueryRowContext(t.Context(), "SHOW "+name).Scan(&got); err != nil || got != s[1] {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, s[1])
		}
	}
	// Of a socket in the file system it is always 0.
	var idle int
	var local bool
	if err := db.QueryRowContext(t.Context(), "SELECT setting, inet_client_addr() IS NULL FROM pg_settings WHERE name = 'tcp_keepalives_idle'").Scan(&idle, &local); err != nil || idle != 15 && !local {
		t.Errorf("tcp_keepalives_idle: got %d, %v", idle, err)
	}
}

func TestPostgresMissing(t *testing.T) {
	t.Parallel()
	where := pgtest.Database(t)
	if _, err := store.Open(t.Context(), strings.Replace(where, "caregate_test_", "caregate_nowhere_", 1), store.Options{}); !errors.Is(err, store.ErrMissing) {
		t.Errorf("no such database: got %v, want ErrMissing", err)
	}
	if _, err := store.Open(t.Context(), "postgres://me:hush@127.0.0.1:1/x?connect_timeout=5", store.Options{}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("no such server: got %v, want an error without the password", err)
	}
	if _, err := store.Open(t.Context(), "postgres://me:hush@127.0.0.1:x/y", store.Options{}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("not a URL: got %v, want an error without the password", err)
	}
	db, err := store.Open(t.Context(), where, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files := migrations(map[string]string{"00001_t.sql": first})
	if err := db.Migrate(t.Context(), "test", files); !errors.Is(err, store.ErrMissing) {
		t.Errorf("migrating what was never created: got %v, want ErrMissing", err)
	}
	made, err := store.Open(t.Context(), where, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	for _, db := range []*store.DB{made, db} {
		if err := db.Migrate(t.Context(), "test", files); err != nil {
			t.Error(err)
		}
		for table, want := range map[string]bool{"t": true, "u": false} {
			if got, err := db.HasTable(t.Context(), table); err != nil || got != want {
				t.Errorf("table %s: got %t, %v, want %t", table, got, err, want)
			}
		}
	}
}

// TestMigrationsMakeTheSame: the replaced words and nothing else tell the two apart,
// text is in byte order on both, and the folder postgres goes before them.
func TestMigrationsMakeTheSame(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"00001_t.sql":          {Data: []byte("-- +goose Up\nCREATE TABLE t (\n\ta TEXT NOT NULL,\n\tb BLOB,\n\tPRIMARY KEY (a)\n) WITHOUT ROWID;\n-- +goose Down\nDROP TABLE t;\n")},
		"00002_u.sql":          {Data: []byte("-- +goose Up\nINSERT INTO t VALUES (printf('%d', 1), x'00');\n-- +goose Down\nDELETE FROM t;\n")},
		"postgres/00002_u.sql": {Data: []byte("-- +goose Up\nINSERT INTO t VALUES ('1', '\\x00');\n-- +goose Down\nDELETE FROM t;\n")},
	}
	for name, where := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.Database(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), where, store.Options{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for range 2 {
				if err := db.Migrate(t.Context(), "test", files); err != nil {
					t.Fatal(err)
				}
			}
			for _, a := range []string{"b", "B", "ä", ""} {
				if _, err := db.Exec("INSERT INTO t (a, b) VALUES ($1, $2)", a, []byte(a)); err != nil {
					t.Fatal(err)
				}
			}
			rows, err := db.Query("SELECT a, b FROM t ORDER BY a")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var got []string
			for rows.Next() {
				var a string
				var b []byte
				if err := rows.Scan(&a, &b); err != nil {
					t.Fatal(err)
				}
				got = append(got, a)
				if a != "1" && a != string(b) {
					t.Errorf("bytes of %q: got %x", a, b)
				}
			}
			if want := "|1|B|b|ä"; strings.Join(got, "|") != want || rows.Err() != nil {
				t.Errorf("order: got %q, %v, want %q", strings.Join(got, "|"), rows.Err(), want)
			}
		})
	}
}

// TestSnapshot: statements of one snapshot see one instant.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.Database(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), where, store.Options{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec("CREATE TABLE t (a BIGINT)"); err != nil {
				t.Fatal(err)
			}
			reader, err := store.Open(t.Context(), where, store.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			tx, err := reader.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			for range 2 {
				var n int
				if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
					t.Errorf("got %d rows, %v, want none", n, err)
				}
				if _, err := db.Exec("INSERT INTO t VALUES (1)"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := reader.Exec("DELETE FROM t"); err == nil {
				t.Error("a reader wrote")
			}
		})
	}
}

// TestLockSession: the lock is one session's, falls with its connection, and a
// process that meets it is told so.
func TestLockSession(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), pgtest.Database(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	one, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if err := db.LockSession(t.Context(), one, "a"); err != nil {
		t.Fatal(err)
	}
	if err := db.LockSession(t.Context(), two, "a"); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second session: got %v, want ErrLocked", err)
	}
	if err := db.LockSession(t.Context(), two, "b"); err != nil {
		t.Errorf("another name: %v", err)
	}
	var pid int
	if err := one.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(context.Background(), "SELECT pg_terminate_backend($1, 60000)", pid); err != nil {
		t.Fatal(err)
	}
	if err := db.LockSession(t.Context(), two, "a"); err != nil {
		t.Errorf("after the first connection ended: %v", err)
	}
	_ = one.Close() // its server side was ended above
}

// TestWarning: a server's warning is heard before the statement's call returns.
func TestWarning(t *testing.T) {
	t.Parallel()
	var heard []string
	db, err := store.Open(t.Context(), pgtest.Database(t), store.Options{MaxConns: 1, Warning: func(text string) { heard = append(heard, text) }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DO $$ BEGIN RAISE NOTICE 'quiet'; RAISE WARNING 'loud'; END $$"); err != nil {
		t.Fatal(err)
	}
	if len(heard) != 1 || heard[0] != "loud" {
		t.Errorf("heard %q, want the warning alone", heard)
	}
}
