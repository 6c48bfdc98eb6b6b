package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"github.com/pressly/goose/v3"
)

// Migrate brings the tables of one owner up to the newest numbered SQL file in
// fsys (names like 00001_intake.sql, goose annotations inside), each in its own
// transaction. Owner is the package the tables belong to: state.db has several,
// and each counts its own versions in the table schema_<owner>. A database that
// is newer than the files is refused: an older binary must not write into it.
// On PostgreSQL an owner without tables is ErrMissing, unless Open was told to
// create: a log must not begin anew because a URL has a typing error.
//
// The files are written for SQLite; see the package comment for what PostgreSQL gets.
func (db *DB) Migrate(ctx context.Context, owner string, fsys fs.FS) (err error) {
	dialect, table := goose.DialectSQLite3, "schema_"+owner
	if db.Dialect == Postgres {
		dialect, fsys = goose.DialectPostgres, postgresFiles{fsys}
		unlock, err := db.lockMigration(ctx, owner, table)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	p, err := goose.NewProvider(dialect, db.DB, fsys, goose.WithTableName(table), goose.WithVerbose(false))
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

// CompareSchema says whether the tables of an owner are older (-1) or newer (+1) than the
// files in fsys make them, without changing anything. It is for readers, who must not
// take the tables of another version for damaged ones.
func (db *DB) CompareSchema(ctx context.Context, owner string, fsys fs.FS) (int, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("reading migrations of %s: %w", owner, errors.Join(err, fs.ErrNotExist))
	}
	want, err := goose.NumericComponent(slices.Max(names))
	if err != nil {
		return 0, fmt.Errorf("reading migrations of %s: %w", owner, err)
	}
	var have int64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM schema_"+owner).Scan(&have); err != nil {
		return 0, fmt.Errorf("reading schema version of %s: %w", db.Path, err)
	}
	return cmp.Compare(have, want), nil
}

// lockMigration keeps other processes from migrating the same tables at once, until
// unlock is called. SQLite's transactions lock the whole file anyway.
func (db *DB) lockMigration(ctx context.Context, owner, table string) (unlock func() error, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrating %s: %w", db.Path, err)
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", table); err != nil {
		return nil, errors.Join(fmt.Errorf("migrating %s: %w", db.Path, err), conn.Close())
	}
	unlock = func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(hashtextextended($1, 0))", table)
		return errors.Join(err, conn.Close())
	}
	if db.create {
		return unlock, nil
	}
	there, err := db.HasTable(ctx, table)
	if err == nil && !there {
		err = fmt.Errorf("%w: it has no tables of %s", ErrMissing, owner)
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// postgresFiles shows migrations written for SQLite as PostgreSQL wants them, see the
// package comment.
type postgresFiles struct{ fs.FS }

// Open opens postgres/NAME when there is one, else NAME with its words replaced.
func (p postgresFiles) Open(name string) (fs.File, error) {
	if name == "." {
		return p.FS.Open(name)
	}
	if f, err := p.FS.Open("postgres/" + name); !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err := p.FS.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(p.FS, name)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return replaced{File: f, Reader: bytes.NewReader(postgresSQL(data))}, nil
}

// replaced is a file with other bytes.
type replaced struct {
	fs.File
	*bytes.Reader
}

// Read reads the other bytes.
func (r replaced) Read(b []byte) (int, error) { return r.Reader.Read(b) }

var sqliteWord = regexp.MustCompile(`\bBLOB\b|\bTEXT\b|\s*\bWITHOUT ROWID\b`)

// postgresSQL replaces the words that the package comment names.
func postgresSQL(sql []byte) []byte {
	return sqliteWord.ReplaceAllFunc(sql, func(word []byte) []byte {
		switch string(word) {
		case "BLOB":
			return []byte("BYTEA")
		case "TEXT":
			return []byte(`TEXT COLLATE "C"`)
		}
		return nil
	})
}
