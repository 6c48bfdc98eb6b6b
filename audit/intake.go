package audit

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

//go:embed migrations
var migrationFiles embed.FS

// migrations returns the numbered SQL files of one of our databases.
func migrations(name string) fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations/"+name)
	if err != nil {
		panic(err) // the embedded folder is part of the build
	}
	return sub
}

// position is where a node's stream stands: its last leaf. The zero position
// stands before a node's first leaf.
type position struct {
	epoch, seq int64
	hash       tlog.Hash
}

func (p position) before(q position) bool {
	return p.epoch < q.epoch || p.epoch == q.epoch && p.seq < q.seq
}

// next reports whether q can follow p in a node's stream.
func (p position) next(q position) bool {
	return q.epoch == p.epoch && q.seq == p.seq+1 || q.epoch > p.epoch && q.seq == 1
}

// row is one committed row of the intake table.
type row struct {
	position // hash is that of leaf
	leaf     []byte
	detail   []byte
	// digests and view are what the integrator needs of the leaf; prev is for checks.
	digests []DetailDigest
	view    indexRow
	prev    tlog.Hash
}

func (r *row) fill(l *Leaf) {
	r.digests, r.view, r.prev = l.Digests, project(l), l.Prev
}

// intake is the durable side of the log: the table of committed events. The
// writer connection belongs to the writer goroutine (before it starts, to Open);
// everything else reads through db.
type intake struct {
	db     *store.DB
	node   string
	writer *sql.Conn
	insert map[int]*sql.Stmt // by number of rows
	begin  *sql.Stmt
	commit *sql.Stmt
	prune  *sql.Stmt
	mark   *sql.Stmt
}

// insertRows are the sizes of the prepared multi-row inserts, largest first. A
// commit is put together from them; one statement per row costs twice as much.
var insertRows = [...]int{128, 64, 32, 16, 8, 4, 2, 1}

// openIntake opens audit.db and prepares the writer's statements. Automatic WAL
// checkpoints are off, because they would run inside some caller's commit; the
// integrator starts them, see checkpointWAL.
func openIntake(ctx context.Context, path, node string) (opened *intake, err error) {
	db, err := store.Open(ctx, path, store.Options{Sync: store.SyncFull})
	if err != nil {
		return nil, err
	}
	in := &intake{db: db, node: node, insert: map[int]*sql.Stmt{}}
	defer func() {
		if err != nil {
			opened, err = nil, errors.Join(err, in.close())
		}
	}()
	if err := db.Migrate(ctx, "audit_intake", migrations("intake")); err != nil {
		return nil, err
	}
	if in.writer, err = db.Conn(ctx); err != nil {
		return nil, fmt.Errorf("opening intake: %w", err)
	}
	if _, err := in.writer.ExecContext(ctx, "PRAGMA wal_autocheckpoint = 0"); err != nil {
		return nil, fmt.Errorf("opening intake: %w", err)
	}
	prepare := func(q string) *sql.Stmt {
		if err != nil {
			return nil
		}
		var s *sql.Stmt
		if s, err = in.writer.PrepareContext(ctx, q); err != nil {
			err = fmt.Errorf("preparing intake: %w", err)
		}
		return s
	}
	for _, n := range insertRows {
		in.insert[n] = prepare(insertInto + "audit_intake (node, epoch, nseq, leaf, detail) VALUES " +
			strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?), ", n), ", "))
	}
	in.begin, in.commit = prepare("BEGIN IMMEDIATE"), prepare("COMMIT")
	in.prune = prepare("DELETE FROM audit_intake WHERE node = $1 AND (epoch, nseq) <= ($2, $3)")
	in.mark = prepare(`INSERT INTO audit_pruned (node, epoch, nseq) VALUES ($1, $2, $3)
		ON CONFLICT (node) DO UPDATE SET epoch = excluded.epoch, nseq = excluded.nseq`)
	return in, err
}

// close closes the statements first: SQLite keeps a connection with open
// statements half alive, and its WAL would stay behind as after a crash.
func (in *intake) close() error {
	var errs []error
	for _, s := range in.insert {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	for _, s := range [...]*sql.Stmt{in.begin, in.commit, in.prune, in.mark} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if in.writer != nil {
		errs = append(errs, in.writer.Close())
	}
	return errors.Join(append(errs, in.db.Close())...)
}

// write inserts rows and, when pruned is not nil, deletes the rows up to it, in
// one transaction. When it returns nil the rows are on the disk. An error leaves
// the outcome unknown: the caller must not use this intake again (invariant A6).
// It takes no context: a commit under way is not given up because someone left.
func (in *intake) write(rows []row, pruned *position) error {
	ctx := context.Background()
	if _, err := in.begin.ExecContext(ctx); err != nil {
		return fmt.Errorf("beginning commit: %w", err)
	}
	args := make([]any, 0, 5*min(len(rows), insertRows[0]))
	for len(rows) > 0 {
		n := 0
		for _, n = range insertRows {
			if n <= len(rows) {
				break
			}
		}
		args = args[:0]
		for i := range rows[:n] {
			r := &rows[i]
			args = append(args, in.node, r.epoch, r.seq, r.leaf, r.detail)
			if r.detail == nil {
				args[len(args)-1] = nil
			}
		}
		if _, err := in.insert[n].ExecContext(ctx, args...); err != nil {
			return fmt.Errorf("inserting events: %w", err)
		}
		rows = rows[n:]
	}
	if pruned != nil {
		if _, err := in.prune.ExecContext(ctx, in.node, pruned.epoch, pruned.seq); err != nil {
			return fmt.Errorf("deleting covered events: %w", err)
		}
		if _, err := in.mark.ExecContext(ctx, in.node, pruned.epoch, pruned.seq); err != nil {
			return fmt.Errorf("deleting covered events: %w", err)
		}
	}
	if _, err := in.commit.ExecContext(ctx); err != nil {
		return fmt.Errorf("committing events: %w", err)
	}
	return nil
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

// rows reads committed rows after p in stream order, at most limit of them or
// about maxBytes, and proves the chain: every leaf must parse, follow its
// predecessor without a gap and name its hash. The error wraps ErrCorrupt when it
// does not.
func (in *intake) rows(ctx context.Context, p position, limit, maxBytes int) ([]row, error) {
	res, err := in.db.QueryContext(ctx, `SELECT epoch, nseq, leaf, detail FROM audit_intake
		WHERE node = $1 AND (epoch, nseq) > ($2, $3) ORDER BY epoch, nseq LIMIT $4`, in.node, p.epoch, p.seq, limit)
	if err != nil {
		return nil, fmt.Errorf("reading intake: %w", err)
	}
	defer res.Close()
	var out []row
	for size := 0; size < maxBytes && res.Next(); {
		var r row
		if err := res.Scan(&r.epoch, &r.seq, &r.leaf, &r.detail); err != nil {
			return nil, fmt.Errorf("reading intake: %w", err)
		}
		l, hash, err := nextInStream(r.leaf, in.node, p)
		if err != nil {
			return nil, fmt.Errorf("intake row (%d, %d): %w", r.epoch, r.seq, err)
		}
		if l.Epoch != r.epoch || l.Seq != r.seq {
			return nil, fmt.Errorf("%w: intake row (%d, %d) holds another leaf", ErrCorrupt, r.epoch, r.seq)
		}
		r.hash = hash
		r.fill(&l)
		p = r.position
		size += len(r.leaf) + len(r.detail)
		out = append(out, r)
	}
	if err := res.Err(); err != nil {
		return nil, fmt.Errorf("reading intake: %w", err)
	}
	return out, nil
}

// nextInStream parses a leaf and checks that it follows p in the node's stream.
func nextInStream(data []byte, node string, p position) (Leaf, tlog.Hash, error) {
	l, err := ParseLeaf(data)
	if err != nil {
		return Leaf{}, tlog.Hash{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if l.Node != node {
		return Leaf{}, tlog.Hash{}, fmt.Errorf("%w: leaf of another node", ErrCorrupt)
	}
	if err := l.follows(p); err != nil {
		return Leaf{}, tlog.Hash{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return l, tlog.RecordHash(data), nil
}

// follows checks that the leaf comes right after p in its node's stream.
func (l *Leaf) follows(p position) error {
	if l.Prev != p.hash {
		return errors.New("the chain of leaves is broken")
	}
	if !p.next(position{epoch: l.Epoch, seq: l.Seq}) {
		return errors.New("gap in the stream of leaves")
	}
	return nil
}

// bounds returns the greatest position ever written and still known (rows or
// the deletion mark).
func (in *intake) bounds(ctx context.Context) (pruned, last position, err error) {
	err = in.db.QueryRowContext(ctx, `SELECT epoch, nseq FROM audit_pruned WHERE node = $1`, in.node).Scan(&pruned.epoch, &pruned.seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return position{}, position{}, fmt.Errorf("reading intake: %w", err)
	}
	last = pruned
	err = in.db.QueryRowContext(ctx, `SELECT epoch, nseq FROM audit_intake WHERE node = $1 ORDER BY epoch DESC, nseq DESC LIMIT 1`, in.node).Scan(&last.epoch, &last.seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return position{}, position{}, fmt.Errorf("reading intake: %w", err)
	}
	return pruned, last, nil
}
