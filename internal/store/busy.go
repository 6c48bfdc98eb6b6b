package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// patience is how long a transaction, or a statement outside of one, waits for other
// writers of a SQLite file, if its context does not end before. SQLite has no queue: who
// waits looks now and then whether the lock is free, and on a busy machine others can be
// quicker many times over. Who holds it for a minute is stuck.
const patience = time.Minute

// patiencePause lies between two tries. In most of them SQLite has waited by itself.
const patiencePause = 5 * time.Millisecond

// patiently runs do again as long as the file is locked.
func patiently[T any](ctx context.Context, do func() (T, error)) (T, error) {
	for begun := time.Now(); ; {
		got, err := do()
		if !locked(err) || time.Since(begun) > patience {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(patiencePause):
		}
	}
}

// locked tells that somebody else has the lock that was wanted. Whoever has read what
// another one then wrote waits for nothing (SQLITE_BUSY_SNAPSHOT).
func locked(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY && e.Code() != sqlite3.SQLITE_BUSY_SNAPSHOT
}

// patientConnector opens connections that wait as long as patience and their callers'
// contexts allow.
type patientConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c patientConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := patiently(ctx, func() (driver.Conn, error) { return c.Connector.Connect(ctx) })
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver of SQLite is not the one this package knows"), conn.Close())
	}
	return patientConn{whole}, nil
}

// sqliteConn is what database/sql asks a connection for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// patientConn waits where a lock is taken. Within a transaction that writes nothing waits,
// because it has the lock from its begin.
type patientConn struct{ sqliteConn }

// BeginTx implements driver.ConnBeginTx.
func (c patientConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return patiently(ctx, func() (driver.Tx, error) { return c.sqliteConn.BeginTx(ctx, o) })
}

// ExecContext implements driver.ExecerContext.
func (c patientConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return patiently(ctx, func() (driver.Result, error) { return c.sqliteConn.ExecContext(ctx, query, args) })
}

// QueryContext implements driver.QueryerContext.
func (c patientConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return patiently(ctx, func() (driver.Rows, error) { return c.sqliteConn.QueryContext(ctx, query, args) })
}
