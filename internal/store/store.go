package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Dialect names the SQL database behind a DB.
type Dialect string

const (
	// SQLite is the default database: one file, nothing to install.
	SQLite Dialect = "sqlite"
	// Postgres is PostgreSQL 14 or newer, for several gateways or one with no disk
	// of its own.
	Postgres Dialect = "postgres"
)

// Sync says when a commit has reached the disk, in SQLite's words.
type Sync string

const (
	// SyncFull makes a returned commit durable. The default. On PostgreSQL the server
	// must be set so: Open refuses one that acknowledges commits it may lose.
	SyncFull Sync = "FULL"
	// SyncExtra additionally syncs the directory after the journal went away; for
	// the lock store, whose one row decides which history is ours. PostgreSQL has no
	// more than SyncFull.
	SyncExtra Sync = "EXTRA"
	// SyncNormal may lose the last commits on power loss, never consistency; for
	// views that can be rebuilt. PostgreSQL: synchronous_commit=off.
	SyncNormal Sync = "NORMAL"
)

// Options says how Open treats a database.
type Options struct {
	// Create makes the file, or on PostgreSQL the tables, when they are missing.
	// Without it that is ErrMissing, from Open for a file and from Migrate for tables.
	// A PostgreSQL database itself is never made.
	Create bool
	// Sync is the durability of a commit; empty means SyncFull.
	Sync Sync
	// ReadOnly opens without the right to write; a file may be in use by another
	// process.
	ReadOnly bool
	// Cache bounds the page cache of one connection, in KiB; zero means SQLite's
	// 2,000. Inserts in random order into a large index need more. PostgreSQL's is
	// the server's.
	Cache int
	// Page is the size of a page of a SQLite file that is made, in bytes; zero means SQLite's
	// 4,096. A file that exists keeps its own. A commit writes whole pages: who changes little in
	// many places writes less with smaller ones.
	Page int
	// Checkpoint is how many pages the WAL of a SQLite file may grow to before a
	// commit moves them into the file; zero means SQLite's 1,000. Inserts in random order
	// change the same pages again and again, and more of them are moved once only.
	Checkpoint int
	// Overwrite has SQLite write zeros over what is deleted, in the file too: else it stays
	// readable there until its place is used again. PostgreSQL's VACUUM does that in its time.
	Overwrite bool
	// UndoInMemory keeps in memory what a statement of several rows would undo should it
	// fail, and not in a file for each such statement. SQLite then sorts in memory as well,
	// however much that is, so it is nothing for connections that migrate or search.
	// PostgreSQL ignores it.
	UndoInMemory bool
	// MaxConns bounds the connections; zero means 4. A database with a single
	// writer goroutine sets 1 for its writer.
	MaxConns int
	// Warning, when set, gets the text of each warning that PostgreSQL sends beside an
	// answer, before the statement's call returns, in the goroutine of that call.
	Warning func(text string)
}

// ErrMissing is returned for a file, database or tables that do not exist, when
// Create was not asked for.
var ErrMissing = errors.New("database is missing")

// DB is an open database with its dialect. It is safe for concurrent use.
type DB struct {
	*sql.DB
	// Dialect says which database this is.
	Dialect Dialect
	// Path is the SQLite file. For PostgreSQL it names database and server for
	// messages, without user and password.
	Path string

	create bool // see Options
}

// IsURL reports whether where names a PostgreSQL database and not a file.
func IsURL(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// Open opens the SQLite file or the PostgreSQL database (a URL, see IsURL) named by
// where, and proves that it answers. What would make it lose a commit that it
// acknowledged is refused here: an old SQLite library, a PostgreSQL server that does
// not sync.
func Open(ctx context.Context, where string, o Options) (*DB, error) {
	if o.Sync == "" {
		o.Sync = SyncFull
	}
	if o.MaxConns == 0 {
		o.MaxConns = 4
	}
	if IsURL(where) {
		return openPostgres(ctx, where, o)
	}
	return openSQLite(ctx, where, o)
}

// Version is the SQLite library's or the PostgreSQL server's.
func (db *DB) Version(ctx context.Context) (version string, err error) {
	query := "SELECT sqlite_version()"
	if db.Dialect == Postgres {
		query = "SELECT current_setting('server_version')"
	}
	if err := db.QueryRowContext(ctx, query).Scan(&version); err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", db.Path, err)
	}
	return version, nil
}

// Now is the time that all who share the database go by: the server's on PostgreSQL,
// whatever the clocks of their machines say, and this machine's for a file, which has
// one process. It may go back, as clocks do.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	if db.Dialect != Postgres {
		return time.Now(), nil
	}
	var ms int64
	if err := db.QueryRowContext(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("asking %s for the time: %w", db.Path, err)
	}
	return time.UnixMilli(ms), nil
}

// HasTable reports whether the database has the table.
func (db *DB) HasTable(ctx context.Context, name string) (bool, error) {
	query := "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = $1"
	if db.Dialect == Postgres {
		query = "SELECT to_regclass($1) IS NOT NULL"
	}
	var there bool
	if err := db.QueryRowContext(ctx, query, name).Scan(&there); err != nil {
		return false, fmt.Errorf("looking for tables in %s: %w", db.Path, err)
	}
	return there, nil
}

// Snapshot begins a transaction that only reads, and whose statements all see the
// database of one instant. A SQLite transaction always does.
func (db *DB) Snapshot(ctx context.Context) (*sql.Tx, error) {
	o := sql.TxOptions{ReadOnly: true}
	if db.Dialect == Postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	return db.BeginTx(ctx, &o)
}
