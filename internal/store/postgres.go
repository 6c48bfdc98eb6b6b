package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// minPostgres is the oldest release taken, as server_version_num: the one that knows
// idle_session_timeout, which would end the log's quiet writer.
const minPostgres = 140000

// keepAlive finds a server that is gone, and keeps firewalls from forgetting the
// log's connection while nothing happens.
const keepAlive = 15 * time.Second

// SQLSTATE codes that mean something to callers (PostgreSQL manual, appendix A).
const (
	codeNoDatabase    = "3D000"
	codeLockNotInTime = "55P03"
	codeDeadlock      = "40P01"
)

// IsDeadlock tells that PostgreSQL ended a transaction because it and others waited for
// each other. It left nothing, and may be run again.
func IsDeadlock(err error) bool {
	return code(err) == codeDeadlock
}

// openPostgres opens a database and checks what an acknowledged commit is worth
// there. URLs are as in libpq (postgres://user:password@host:port/database?sslmode=...);
// what they leave out comes from libpq's environment variables. A pooler in between
// must leave one session one connection: locks and settings belong to sessions.
func openPostgres(ctx context.Context, where string, o Options) (*DB, error) {
	c, err := pgx.ParseConfig(where)
	if err != nil {
		return nil, fmt.Errorf("the URL of the PostgreSQL database cannot be used: %w", err) // pgx leaves the password out
	}
	c.DialFunc = (&net.Dialer{KeepAlive: keepAlive}).DialContext
	// The time-outs of a role are made for people. Ours end at our own deadlines.
	for _, name := range [...]string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"} {
		c.RuntimeParams[name] = "0"
	}
	// Whoever waited for a row's lock reads what was committed meanwhile, whatever the server's
	// default is. Transactions that need more say so.
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	// A machine of ours that is gone keeps no locks: the server's own default is two hours.
	for name, value := range map[string]string{"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"} {
		c.RuntimeParams[name] = value
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "caregate"
	}
	if o.Sync == SyncNormal {
		c.RuntimeParams["synchronous_commit"] = "off"
	}
	if o.ReadOnly {
		c.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if o.Warning != nil {
		c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			if n.SeverityUnlocalized == "WARNING" {
				o.Warning(n.Message)
			}
		}
	}
	db := &DB{DB: stdlib.OpenDB(*c), Dialect: Postgres, Path: "PostgreSQL database " + c.Database + " on " + c.Host, create: o.Create}
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	if err := db.checkServer(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", db.Path, err), db.Close())
	}
	return db, nil
}

// checkServer refuses a server whose acknowledged commits may be lost.
func (db *DB) checkServer(ctx context.Context, o Options) error {
	var version int
	var encoding, commit, sync, pages, readOnly string
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
		current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'), current_setting('transaction_read_only')`).
		Scan(&version, &encoding, &commit, &sync, &pages, &readOnly)
	if code(err) == codeNoDatabase {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err != nil {
		return err
	}
	var wrong []string
	if version < minPostgres {
		wrong = append(wrong, fmt.Sprintf("version %d.%d is older than %d", version/10000, version%10000, minPostgres/10000))
	}
	if encoding != "UTF8" {
		wrong = append(wrong, "its encoding is "+encoding+" and must be UTF8")
	}
	if !o.ReadOnly {
		if readOnly != "off" {
			wrong = append(wrong, "it is a standby or takes no writes")
		}
		if sync != "on" || pages != "on" {
			wrong = append(wrong, "it does not sync what it commits: set fsync = on and full_page_writes = on")
		}
		// remote_write and local acknowledge what a fail-over may lose; off, what a
		// crash may.
		if o.Sync != SyncNormal && commit != "on" && commit != "remote_apply" {
			wrong = append(wrong, "synchronous_commit is "+commit+" for this role or database and must be on")
		}
	}
	if wrong != nil {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// code is the SQLSTATE of a server's refusal, "" for anything else.
func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// sessionLockTime is how long LockSession waits: longer than a server needs to see
// that a killed process is gone, and shorter than an operator's patience.
const sessionLockTime = 2 * time.Second

// LockSession takes the advisory lock called name for the session of conn, which
// holds it until the connection ends, however it ends. ErrLocked when another session
// has it. PostgreSQL only. It tells a second process that it is not wanted; it does
// not stop one whose connection was lost, so a write needs a fence of its own.
func (db *DB) LockSession(ctx context.Context, conn *sql.Conn, name string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("locking %s in %s: %w", name, db.Path, err)
	}
	defer func() { _ = tx.Rollback() }() // after the commit there is nothing to do
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", sessionLockTime.Milliseconds())); err != nil {
		return fmt.Errorf("locking %s in %s: %w", name, db.Path, err)
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", name); code(err) == codeLockNotInTime {
		return fmt.Errorf("locking %s in %s: %w", name, db.Path, ErrLocked)
	} else if err != nil {
		return fmt.Errorf("locking %s in %s: %w", name, db.Path, err)
	}
	return tx.Commit()
}
