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

	"modernc.org/sqlite"
)

// minSQLite is the first release without the WAL-reset defect of 3.7.0 to 3.51.2
// (SQLite release notes, 3.51.3).
const minSQLite = 3_051_003

// busyTimeout is how long SQLite itself waits for another writer, in milliseconds, without
// a look at the context of the call; behind it this package asks again, see patience.
const busyTimeout = 5000

// openSQLite opens a file in WAL mode and proves with one query that it can be
// read. The file is created with mode 0600.
func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	if err := ensureFile(path, o.Create); err != nil {
		return nil, err
	}
	q := url.Values{}
	q.Add("_pragma", "busy_timeout("+strconv.Itoa(busyTimeout)+")")
	q.Add("_pragma", "foreign_keys(1)")
	q.Add("_txlock", "immediate")
	if o.UndoInMemory {
		q.Add("_pragma", "temp_store(MEMORY)")
	}
	if o.Overwrite {
		q.Add("_pragma", "secure_delete(1)")
	}
	if o.Cache > 0 {
		q.Add("_pragma", "cache_size(-"+strconv.Itoa(o.Cache)+")")
	}
	if o.Checkpoint > 0 {
		q.Add("_pragma", "wal_autocheckpoint("+strconv.Itoa(o.Checkpoint)+")")
	}
	if o.Page > 0 {
		q.Add("_pragma", "page_size("+strconv.Itoa(o.Page)+")")
	}
	if o.ReadOnly {
		q.Add("mode", "ro")
	} else {
		// Not one of the pragmas, which the driver sorts: this comes behind them, and it writes
		// the first page, behind which none has another size.
		q.Add("_journal_mode", "WAL")
		q.Add("_pragma", "synchronous("+string(o.Sync)+")")
	}
	vfs, err := dataSync()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if vfs != "" {
		q.Add("vfs", vfs)
	}
	connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db := sql.OpenDB(patientConnector{connector})
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	opened := &DB{DB: db, Dialect: SQLite, Path: path, create: o.Create}
	version, err := opened.Version(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	if n := versionNumber(version); n < minSQLite {
		return nil, errors.Join(fmt.Errorf("SQLite %s is older than 3.51.3 and may lose committed data", version), db.Close())
	}
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), db.Close())
	}
	return opened, nil
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
