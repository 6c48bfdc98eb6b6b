package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/caregate/caregate/internal/store"
)

// fileCommits writes into audit.db through one connection of its own. The lock on
// the directory keeps other processes out, so that it claims no epoch.
type fileCommits struct {
	db      *store.DB
	node    string
	unclean bool
	conn    *sql.Conn
	begin   *sql.Stmt
	insert  *sql.Stmt
	step    *sql.Stmt
	prune   *sql.Stmt
	mark    *sql.Stmt
	commit  *sql.Stmt
}

// pruneCommits bounds the commits deleted in one commit, so that deleting never
// makes a caller wait for more than about a millisecond.
const pruneCommits = 32

// intakeCache is the page cache of the writer's connection in KiB: what some seconds of
// full load leave behind, which deleting would have to read again.
const intakeCache = 16 << 10

// leftWAL reports whether a process that had the file open did not close it.
func leftWAL(path string) bool {
	wal, err := os.Stat(path + "-wal")
	return err == nil && wal.Size() > 0
}

// openFileCommits prepares the writer's statements. Automatic WAL checkpoints are
// off, because they would run inside some caller's commit; the integrator starts
// them, see checkpointWAL.
func openFileCommits(ctx context.Context, db *store.DB, node string, unclean bool) (opened *fileCommits, err error) {
	w := &fileCommits{db: db, node: node, unclean: unclean}
	defer func() {
		if err != nil {
			opened, err = nil, errors.Join(fmt.Errorf("opening intake: %w", err), w.close())
		}
	}()
	if w.conn, err = db.Conn(ctx); err != nil {
		return nil, err
	}
	if _, err := w.conn.ExecContext(ctx, "PRAGMA wal_autocheckpoint = 0"); err != nil {
		return nil, err
	}
	if _, err := w.conn.ExecContext(ctx, "PRAGMA cache_size = -"+strconv.Itoa(intakeCache)); err != nil {
		return nil, err
	}
	prepare := func(q string) *sql.Stmt {
		if err != nil {
			return nil
		}
		var s *sql.Stmt
		s, err = w.conn.PrepareContext(ctx, q)
		return s
	}
	w.begin, w.commit = prepare("BEGIN IMMEDIATE"), prepare("COMMIT")
	w.insert = prepare(insertInto(db.Dialect) + "audit_intake (node, epoch, nseq, last, events) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING")
	w.step = prepare("SELECT epoch, last FROM audit_intake WHERE node = $1 ORDER BY epoch, nseq LIMIT 1 OFFSET $2")
	w.prune = prepare("DELETE FROM audit_intake WHERE node = $1 AND (epoch, nseq) <= ($2, $3) AND (epoch, last) <= ($2, $3)")
	w.mark = prepare(`INSERT INTO audit_pruned (node, epoch, nseq) VALUES ($1, $2, $3)
		ON CONFLICT (node) DO UPDATE SET epoch = excluded.epoch, nseq = excluded.nseq`)
	return w, err
}

// close closes the statements first: SQLite keeps a connection with open
// statements half alive, and its WAL would stay behind as after a crash.
func (w *fileCommits) close() error {
	var errs []error
	for _, s := range [...]*sql.Stmt{w.begin, w.insert, w.step, w.prune, w.mark, w.commit} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(errs...)
}

// claim makes SQLite's own recovery durable: what it read from the WAL may stand in
// the page cache only. The checkpoint syncs the WAL, copies it into the database file
// and syncs that (invariant A5). After an unclean stop SQLite checks its structure.
func (w *fileCommits) claim(ctx context.Context) (epoch int64, unclean bool, err error) {
	if err := checkpointWAL(ctx, w.conn, "TRUNCATE"); err != nil {
		return 0, w.unclean, err
	}
	if w.unclean {
		var result string
		if err := w.db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
			return 0, true, fmt.Errorf("%w: checking intake: %w", ErrCorrupt, err)
		}
		if result != "ok" {
			return 0, true, fmt.Errorf("%w: the intake database fails its integrity check", ErrCorrupt)
		}
	}
	return 0, w.unclean, nil
}

func (w *fileCommits) write(g *group, due *position) (pruned position, err error) {
	ctx := context.Background()
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return pruned, fmt.Errorf("beginning commit: %w", err)
	}
	if n := len(g.rows); n > 0 {
		first, last := g.rows[0].position, g.rows[n-1].position
		res, err := w.insert.ExecContext(ctx, w.node, first.epoch, first.seq, last.seq, g.events)
		if err == nil {
			var inserted int64
			if inserted, err = res.RowsAffected(); err == nil && inserted == 0 {
				err = insertedOnce(ctx, w.conn, w.node, first, last.seq, g.events)
			}
		}
		if err != nil {
			return pruned, fmt.Errorf("inserting events: %w", err)
		}
	}
	if due != nil {
		if pruned, err = w.pruneStep(ctx, *due); err != nil {
			return pruned, fmt.Errorf("deleting covered events: %w", err)
		}
	}
	if _, err := w.commit.ExecContext(ctx); err != nil {
		return pruned, fmt.Errorf("committing events: %w", err)
	}
	return pruned, nil
}

// pruneStep deletes up to pruneCommits commits that end at or before due.
func (w *fileCommits) pruneStep(ctx context.Context, due position) (position, error) {
	to := position{epoch: due.epoch, seq: due.seq}
	var end position
	err := w.step.QueryRowContext(ctx, w.node, pruneCommits-1).Scan(&end.epoch, &end.seq)
	switch {
	case err == nil && end.before(to):
		to = end
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return position{}, err
	}
	if _, err := w.prune.ExecContext(ctx, w.node, to.epoch, to.seq); err != nil {
		return position{}, err
	}
	_, err = w.mark.ExecContext(ctx, w.node, to.epoch, to.seq)
	return to, err
}

// walTidyBytes is how large the WAL may become before it is copied into the database
// file and used from its start again. Events live for some seconds and their pages are
// used again, so that a WAL of four times the size costs hardly more to copy. After a
// crash it is read once.
const walTidyBytes = 32 << 20

// prepareTidy copies a WAL of that size or more into the database file, in the
// integrator and off the callers' path, and leaves the few pages written meanwhile to tidy. It reports
// whether there is something left.
func (w *fileCommits) prepareTidy(ctx context.Context, from int64) (bool, error) {
	fi, err := os.Stat(w.db.Path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // nothing written yet, or the watch's business
	}
	if err != nil {
		return false, fmt.Errorf("checkpointing the WAL: %w", err)
	}
	if fi.Size() < from {
		return false, nil
	}
	return true, checkpointWAL(ctx, w.db, "PASSIVE")
}

// tidy ends what prepareTidy began, in the writer: only between two commits is the
// WAL quiet enough to be used from its start again.
func (w *fileCommits) tidy() error {
	return checkpointWAL(context.Background(), w.conn, "PASSIVE")
}

// checkpointWAL moves committed pages from the WAL into the database file and
// syncs both. mode is PASSIVE (never waits, leaves what others still read) or
// TRUNCATE (all of it, the WAL becomes empty; for start-up).
func checkpointWAL(ctx context.Context, q queryer, mode string) error {
	var busy, frames, moved int
	if err := q.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("checkpointing the WAL: %w", err)
	}
	if mode == "TRUNCATE" && busy != 0 {
		return errors.New("checkpointing the WAL: the database is in use")
	}
	return nil
}
