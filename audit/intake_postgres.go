package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// postgresCommits writes into PostgreSQL through one connection of its own. Who may
// write for a node is said by its row of audit_lease: a process that opens the log
// takes the row over under its own name and the next epoch, and each commit holds the
// row while it inserts, so that one that was shut out inserts nothing any more and
// releases nothing (invariant A10). The advisory lock beside it only tells a second
// process early that the first still lives.
//
// The connection is never opened anew: what became of a commit on a lost one is
// unknown, and the next process reads it (A3, A6).
type postgresCommits struct {
	db       *store.DB // of one connection
	node     string
	instance string
	epoch    int64
	warned   string // what the server said beside its last answer
	conn     *sql.Conn
	insert   *sql.Stmt
	prune    *sql.Stmt
}

// commitTime is how long a commit may take, a standby's answer included. After it the
// connection is closed and the outcome unknown.
const commitTime = 30 * time.Second

// errFenced means that another process has taken the node over.
var errFenced = errors.New("another process writes for this node now")

// openPostgresCommits connects the writer; with create the node gets its lease.
func openPostgresCommits(ctx context.Context, where, node string, create bool) (opened *postgresCommits, err error) {
	w := &postgresCommits{node: node, instance: NewID().String()}
	defer func() {
		if err != nil {
			opened, err = nil, errors.Join(fmt.Errorf("opening intake: %w", err), w.close())
		}
	}()
	if w.db, err = store.Open(ctx, where, store.Options{Sync: store.SyncFull, MaxConns: 1, Warning: func(text string) { w.warned = text }}); err != nil {
		return nil, err
	}
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return nil, err
	}
	if err = w.db.LockSession(ctx, w.conn, nodeLock(node)); err != nil {
		return nil, err
	}
	if create {
		res, err := w.conn.ExecContext(ctx, `INSERT INTO audit_lease (node, epoch, instance) VALUES ($1, 0, '') ON CONFLICT DO NOTHING`, node)
		if err != nil {
			return nil, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return nil, errors.Join(fmt.Errorf("%w: its node is known in the database", ErrExists), err)
		}
	}
	// One statement is one transaction, and the lease stays locked until it ends.
	const fence = `SELECT node FROM audit_lease WHERE node = $1 AND epoch = $2 AND instance = $3 FOR SHARE`
	if w.insert, err = w.conn.PrepareContext(ctx, `WITH fence AS (`+fence+`)
		INSERT INTO audit_intake (node, epoch, nseq, last, events)
		SELECT node, $2, $4::bigint, $5::bigint, $6::bytea FROM fence ON CONFLICT DO NOTHING`); err != nil {
		return nil, err
	}
	w.prune, err = w.conn.PrepareContext(ctx, `WITH fence AS (`+fence+`),
		gone AS (DELETE FROM audit_intake USING fence WHERE audit_intake.node = fence.node AND (audit_intake.epoch, audit_intake.nseq) <= ($4::bigint, $5::bigint)
			AND (audit_intake.epoch, audit_intake.last) <= ($4::bigint, $5::bigint))
		INSERT INTO audit_pruned (node, epoch, nseq) SELECT node, $4::bigint, $5::bigint FROM fence
		ON CONFLICT (node) DO UPDATE SET epoch = excluded.epoch, nseq = excluded.nseq`)
	return w, err
}

// nodeLock names the advisory lock of a node.
func nodeLock(node string) string { return "caregate audit node " + node }

// close ends the session, and with it the statements and the advisory lock. What was
// acknowledged is the server's; a lost connection has nothing more to say.
func (w *postgresCommits) close() error {
	if w.conn != nil {
		_ = w.conn.Close()
	}
	if w.db != nil {
		_ = w.db.Close()
	}
	return nil
}

// claim takes the node's lease over. Whoever held it cannot insert any more, so that
// the rows that are read from now on are all that he acknowledged. Recovery and its
// durability are the server's.
func (w *postgresCommits) claim(ctx context.Context) (epoch int64, unclean bool, err error) {
	tx, err := w.conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, false, fmt.Errorf("taking the node's lease: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
			err = fmt.Errorf("taking the node's lease: %w", err)
		}
	}()
	err = tx.QueryRowContext(ctx, `SELECT epoch FROM audit_lease WHERE node = $1 FOR UPDATE`, w.node).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, fmt.Errorf("%w: the database does not know node %s", ErrMissing, w.node)
	}
	if err != nil {
		return 0, false, err
	}
	// A lease that is older than the rows would give an epoch out twice.
	for _, q := range [...]string{`SELECT max(epoch) FROM audit_intake WHERE node = $1`, `SELECT max(epoch) FROM audit_pruned WHERE node = $1`} {
		var known sql.NullInt64
		if err := tx.QueryRowContext(ctx, q, w.node).Scan(&known); err != nil {
			return 0, false, err
		}
		epoch = max(epoch, known.Int64)
	}
	epoch++
	if _, err := tx.ExecContext(ctx, `UPDATE audit_lease SET epoch = $1, instance = $2 WHERE node = $3`, epoch, w.instance, w.node); err != nil {
		return 0, false, err
	}
	w.warned = ""
	if err := tx.Commit(); err != nil {
		return 0, false, err
	}
	if w.warned != "" {
		return 0, false, fmt.Errorf("the server warned: %s", w.warned)
	}
	w.epoch = epoch
	return epoch, false, nil
}

func (w *postgresCommits) write(g *group, due *position) (pruned position, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTime)
	defer cancel()
	w.warned = ""
	if n := len(g.rows); n > 0 {
		first, last := g.rows[0].position, g.rows[n-1].position
		res, err := w.insert.ExecContext(ctx, w.node, w.epoch, w.instance, first.seq, last.seq, g.events)
		if err == nil {
			var inserted int64
			if inserted, err = res.RowsAffected(); err == nil && inserted == 0 {
				err = w.notInserted(ctx, first, last.seq, g.events)
			}
		}
		if err != nil {
			return pruned, fmt.Errorf("committing events: %w", err)
		}
	}
	// Deleting costs a commit of its own, so all that is due goes at once.
	if due != nil {
		res, err := w.prune.ExecContext(ctx, w.node, w.epoch, w.instance, due.epoch, due.seq)
		if err == nil {
			var marked int64
			if marked, err = res.RowsAffected(); err == nil && marked == 0 {
				err = errFenced
			}
		}
		if err != nil {
			return pruned, fmt.Errorf("deleting covered events: %w", err)
		}
		pruned = position{epoch: due.epoch, seq: due.seq}
	}
	if w.warned != "" {
		// A server that gave up waiting for its standby says so in a warning, and
		// reports success: the commit may be lost with the server (A3).
		return pruned, fmt.Errorf("committing events: the server warned: %s", w.warned)
	}
	return pruned, nil
}

// notInserted tells a lost lease from a taken key.
func (w *postgresCommits) notInserted(ctx context.Context, first position, last int64, events []byte) error {
	var holder string
	if err := w.conn.QueryRowContext(ctx, `SELECT instance FROM audit_lease WHERE node = $1`, w.node).Scan(&holder); err != nil {
		return err
	}
	if holder != w.instance {
		return errFenced
	}
	return insertedOnce(ctx, w.conn, w.node, first, last, events)
}
