package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the "sqlite" driver
)

// Dialect names the SQL database behind a DB.
type Dialect string

// SQLite is the default database: one file, nothing to install.
const SQLite Dialect = "sqlite"

// Sync is SQLite's synchronous level, that is, when a commit has reached the disk.
type Sync string

const (
	// SyncFull makes a returned commit durable. The default.
	SyncFull Sync = "FULL"
	// SyncExtra additionally syncs the directory after the journal went away; for
	// the lock store, whose one row decides which history is ours.
	SyncExtra Sync = "EXTRA"
	// SyncNormal may lose the last commits on power loss, never consistency; for
	// views that can be rebuilt.
	SyncNormal Sync = "NORMAL"
)

// minSQLite is the first release without the WAL-reset defect of 3.7.0 to 3.51.2
// (SQLite release notes, 3.51.3).
const minSQLite = 3_051_003

// busyTimeout is how long a connection waits for another writer, in
// milliseconds. Our write transactions last milliseconds; five seconds tells a
// stuck process from a busy one.
const busyTimeout = 5000

// Options says how Open treats a SQLite file.
type Options struct {
	// Create makes the file when it is missing. Without it a missing file is
	// ErrMissing.
	Create bool
	// Sync is the durability of a commit; empty means SyncFull.
	Sync Sync
	// ReadOnly opens without the right to write; the file may be in use by
	// another process.
	ReadOnly bool
	// Cache bounds the page cache of one connection, in KiB; zero means SQLite's
	// 2,000. Inserts in random order into a large index need more.
	Cache int
	// MaxConns bounds the connections; zero means 4. A database with a single
	// writer goroutine sets 1 for its writer.
	MaxConns int
}

// ErrMissing is returned by Open for a file that does not exist, when Create was
// not asked for.
var ErrMissing = errors.New("database file is missing")

// DB is an open database with its dialect. It is safe for concurrent use.
type DB struct {
	*sql.DB
	// Dialect says which database this is.
	Dialect Dialect
	// Path is the SQLite file.
	Path string
}

// Open opens a SQLite file in WAL mode and proves with one query that it can be
// read. The file is created with mode 0600.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if o.Sync == "" {
		o.Sync = SyncFull
	}
	if o.MaxConns == 0 {
		o.MaxConns = 4
	}
	if err := ensureFile(path, o.Create); err != nil {
		return nil, err
	}
	q := url.Values{}
	q.Add("_pragma", "busy_timeout("+strconv.Itoa(busyTimeout)+")")
	q.Add("_pragma", "foreign_keys(1)")
	q.Add("_txlock", "immediate")
	if o.Cache > 0 {
		q.Add("_pragma", "cache_size(-"+strconv.Itoa(o.Cache)+")")
	}
	if o.ReadOnly {
		q.Add("mode", "ro")
	} else {
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "synchronous("+string(o.Sync)+")")
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	var version string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	if n := versionNumber(version); n < minSQLite {
		return nil, errors.Join(fmt.Errorf("SQLite %s is older than 3.51.3 and may lose committed data", version), db.Close())
	}
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), db.Close())
	}
	return &DB{DB: db, Dialect: SQLite, Path: path}, nil
}

// ensureFile makes path with mode 0600 when create is set, so that SQLite never
// creates it with the process's umask. It does not open a file that exists:
// closing any descriptor of a file drops all POSIX locks this process has on it,
// those of SQLite connections that are already open included, and another
// process's SQLite could then take our live WAL away.
func ensureFile(path string, create bool) error {
	_, err := os.Stat(path)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening database: %w", err)
	}
	if !create {
		return fmt.Errorf("%s: %w", path, ErrMissing)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("creating database: %w", err)
	}
	return f.Close()
}

// versionNumber turns "3.53.4" into 3053004; zero when it is not a version.
func versionNumber(v string) int {
	n := 0
	parts := strings.SplitN(v, ".", 3)
	if len(parts) != 3 {
		return 0
	}
	for _, p := range parts {
		i, err := strconv.Atoi(p)
		if err != nil {
			return 0
		}
		n = n*1000 + i
	}
	return n
}

// Migrate brings the tables of one owner up to the newest numbered SQL file in
// fsys (names like 00001_intake.sql, goose annotations inside), each in its own
// transaction. Owner is the package the tables belong to: state.db has several,
// and each counts its own versions in the table schema_<owner>. A database that
// is newer than the files is refused: an older binary must not write into it.
func (db *DB) Migrate(ctx context.Context, owner string, fsys fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db.DB, fsys, goose.WithTableName("schema_"+owner), goose.WithVerbose(false))
	if err != nil {
		return fmt.Errorf("reading migrations of %s: %w", db.Path, err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading schema version of %s: %w", db.Path, err)
	}
	if have > want {
		return fmt.Errorf("%s has %s schema %d and this binary knows %d: use the newer binary", db.Path, owner, have, want)
	}
	if have == want {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating %s: %w", db.Path, err)
	}
	return nil
}
