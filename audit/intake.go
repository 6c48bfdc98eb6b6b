package audit

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

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

// row is one committed event.
type row struct {
	position // hash is that of leaf
	leaf     []byte
	detail   []byte
	// digests and view are what the integrator needs of the leaf; prev is for checks.
	// parts are the sealed details of an event that comes from the writer.
	parts   []Sealed
	digests []DetailDigest
	view    *indexRow
	prev    tlog.Hash
	closes  bool // it ends its shard; for checks
}

func (r *row) fill(l *Leaf) {
	r.digests, r.view, r.prev = l.Digests, project(l), l.Prev
}

// intake is the durable side of the log: the table of committed events. Its commits
// belong to the writer goroutine (before it starts, to Open); everything else reads
// through db.
type intake struct {
	db   *store.DB
	node string
	commits
}

// commits is the way into the intake: what SQLite and PostgreSQL do differently to
// make a commit durable and to keep a second writer out. It is used by one goroutine.
type commits interface {
	// claim shuts every other writer of the node out and makes what a former one left
	// durable, so that what is read afterwards stays true. It returns the least epoch
	// that this process may write under, and whether the former one was not closed. It
	// is called once, before all others.
	claim(ctx context.Context) (epoch int64, unclean bool, err error)
	// write stores a group of events, unless it is empty, and deletes commits that end
	// at or before due, the oldest first, in one step. It returns how far it deleted:
	// up to due or less. When it returns no error, the events are on the disk. An
	// error leaves the outcome unknown: the caller must not use this intake again
	// (invariants A3, A6). It takes no context: a commit under way is not given up
	// because someone left.
	write(g *group, due *position) (pruned position, err error)
	close() error
}

// openIntake opens the intake and prepares the writer's statements; with create it
// makes one.
func openIntake(ctx context.Context, where, node string, create bool) (opened *intake, err error) {
	unclean := leftWAL(where)
	if unclean {
		if err := checkWAL(where + "-wal"); err != nil {
			return nil, err
		}
	}
	db, err := store.Open(ctx, where, store.Options{Sync: store.SyncFull, Create: create})
	if err != nil {
		return nil, err
	}
	in := &intake{db: db, node: node}
	defer func() {
		if err != nil {
			opened, err = nil, errors.Join(err, in.close())
		}
	}()
	if err := db.Migrate(ctx, "audit_intake", migrations("intake")); err != nil {
		return nil, err
	}
	if db.Dialect == store.Postgres {
		w, err := openPostgresCommits(ctx, where, node, create)
		if err != nil {
			return nil, err
		}
		in.commits = w
		return in, nil
	}
	w, err := openFileCommits(ctx, db, node, unclean)
	if err != nil {
		return nil, err
	}
	in.commits = w
	return in, nil
}

func (in *intake) close() error {
	var err error
	if in.commits != nil {
		err = in.commits.close()
	}
	return errors.Join(err, in.db.Close())
}

// insertedOnce is for an insert that found its key taken: the same bytes are the same
// commit, delivered twice; other bytes are two writers under one name, and nothing
// that either says can be believed (invariant A11).
func insertedOnce(ctx context.Context, q queryer, node string, first position, last int64, events []byte) error {
	var haveLast int64
	var have []byte
	err := q.QueryRowContext(ctx, `SELECT last, events FROM audit_intake WHERE node = $1 AND epoch = $2 AND nseq = $3`, node, first.epoch, first.seq).Scan(&haveLast, &have)
	if err != nil {
		return err
	}
	if haveLast != last || !bytes.Equal(have, events) {
		return fmt.Errorf("%w: intake row (%d, %d) holds other events than were to be written", ErrCorrupt, first.epoch, first.seq)
	}
	return nil
}

// rows reads committed events after p in stream order, whole commits, until there
// are limit of them or about maxBytes, and proves the chain: every leaf must parse,
// follow its predecessor without a gap and name its hash. The error wraps ErrCorrupt
// when it does not.
func (in *intake) rows(ctx context.Context, p position, limit, maxBytes int) ([]row, error) {
	res, err := in.db.QueryContext(ctx, `SELECT epoch, nseq, last, events FROM audit_intake
		WHERE node = $1 AND (epoch, last) > ($2, $3) ORDER BY epoch, nseq`, in.node, p.epoch, p.seq)
	if err != nil {
		return nil, fmt.Errorf("reading intake: %w", err)
	}
	defer res.Close()
	var out []row
	for size := 0; size < maxBytes && len(out) < limit && res.Next(); {
		var c commitRow
		if err := res.Scan(&c.epoch, &c.first, &c.last, &c.events); err != nil {
			return nil, fmt.Errorf("reading intake: %w", err)
		}
		rows, err := c.rows()
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if !p.before(r.position) {
				continue // taken from the writer's hand
			}
			l, hash, err := nextInStream(r.leaf, in.node, p)
			if err != nil {
				return nil, fmt.Errorf("intake event (%d, %d): %w", r.epoch, r.seq, err)
			}
			if l.Epoch != r.epoch || l.Seq != r.seq {
				return nil, fmt.Errorf("%w: intake event (%d, %d) holds another leaf", ErrCorrupt, r.epoch, r.seq)
			}
			r.hash = hash
			r.fill(&l)
			p = r.position
			out = append(out, r)
		}
		size += len(c.events)
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
	err = in.db.QueryRowContext(ctx, `SELECT epoch, last FROM audit_intake WHERE node = $1 ORDER BY epoch DESC, nseq DESC LIMIT 1`, in.node).Scan(&last.epoch, &last.seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return position{}, position{}, fmt.Errorf("reading intake: %w", err)
	}
	return pruned, last, nil
}
