package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// look makes the plan, from what everything rests on to what only derives from it.
func (r *repairer) look(ctx context.Context) error {
	base, err := r.lookAtCheckpoints(ctx)
	if err != nil {
		return err
	}
	r.report.Origin, r.report.Size = base.origin, base.size
	if err := r.lookAtTree(base); err != nil {
		return err
	}
	if err := r.lookAtIntake(ctx); err != nil {
		return err
	}
	if err := r.lookAtDetails(ctx, base); err != nil {
		return err
	}
	return r.lookAtIndex(ctx)
}

// newestShard is the shard that the lock store, or without one the tree, names last.
func (r *repairer) newestShard(rows map[string]string) (string, error) {
	var shards []string
	for origin := range rows {
		if deployment, shard, err := splitOrigin(origin); err == nil && deployment == r.cfg.Deployment {
			shards = append(shards, shard)
		}
	}
	if len(rows) == 0 {
		list, err := os.ReadDir(filepath.Join(r.dir, treeDir))
		if err != nil {
			return "", err
		}
		for _, e := range list {
			// One that has no checkpoint was about to begin, and begins again.
			_, err := os.Stat(filepath.Join(r.dir, treeDir, e.Name(), checkpointFile))
			if e.IsDir() && validShard(e.Name()) && err == nil {
				shards = append(shards, e.Name())
			}
		}
	}
	if len(shards) == 0 {
		return "", fmt.Errorf("%w: no shard of deployment %s", ErrUnrepairable, r.cfg.Deployment)
	}
	return slices.Max(shards), nil // names of shards sort by time
}

// lookAtCheckpoints finds the newest checkpoint that the key signed, in the lock store
// or in the tree.
func (r *repairer) lookAtCheckpoints(ctx context.Context) (checkpoint, error) {
	rows, lockErr := r.readLockStore(ctx)
	r.locked = rows
	shard, err := r.newestShard(rows)
	if err != nil {
		return checkpoint{}, err
	}
	r.origin, r.tree = originOf(r.cfg.Deployment, shard), filepath.Join(r.dir, treeDir, shard)
	if r.signer, r.public, err = loadKey(keyFile(r.cfg.KeyDir, shard), r.origin); err != nil {
		return checkpoint{}, fmt.Errorf("%w: %w", ErrUnrepairable, err)
	}
	known, err := verifiers([]string{r.public})
	if err != nil {
		return checkpoint{}, err
	}
	open := func(msg []byte, err error) (checkpoint, error) {
		if err != nil {
			return checkpoint{}, err
		}
		c, err := openCheckpoint(msg, known)
		if err == nil && c.origin != r.origin {
			err = errors.New("it has another origin")
		}
		return c, err
	}
	var locked checkpoint
	body := rows[r.origin]
	if lockErr == nil {
		locked, lockErr = open([]byte(body), nil)
	}
	signed, err := r.readTree(checkpointFile)
	published, pubErr := open(signed, err)
	switch {
	case lockErr != nil && pubErr != nil:
		return checkpoint{}, fmt.Errorf("%w: neither lock store nor tree has a checkpoint of its key: restore lock.db or the file checkpoint", ErrUnrepairable)
	case lockErr != nil:
		r.found("lock store", "has no checkpoint of its key", fmt.Sprintf("take the published one, of size %d", published.size),
			"a checkpoint that was signed after it and that nobody could read yet, if there was one")
		r.setLock(string(signed))
		return published, nil //nolint:nilerr // what is wrong is a finding
	case pubErr == nil && published.size > locked.size:
		r.found("lock store", fmt.Sprintf("is an older copy: it has size %d, the published checkpoint %d", locked.size, published.size), "take the published checkpoint", "")
		r.setLock(string(signed))
		return published, nil
	case pubErr != nil:
		r.found("checkpoint", "cannot be read, or is not of the log's key", "publish the locked one again", "")
		r.plan.add(r.treeName(checkpointFile), []byte(body))
	case published.size == locked.size && published.root != locked.root:
		return checkpoint{}, fmt.Errorf("%w: two checkpoints of size %d are signed: somebody else has used the key", ErrUnrepairable, locked.size)
	}
	return locked, nil
}

// setLock plans what the lock store shall have. That needs a new file only when the
// old one cannot be opened.
func (r *repairer) setLock(body string) {
	r.plan.Lock = body
}

// readLockStore reads the checkpoints. Of a file that is no database any more nothing
// is left.
func (r *repairer) readLockStore(ctx context.Context) (rows map[string]string, err error) {
	db, err := openReader(ctx, r.dir, lockFile)
	if err == nil {
		rows, err = (&lockStore{db: db}).load(ctx)
		err = errors.Join(err, r.intact(ctx, db), db.Close())
	}
	if err != nil && r.cfg.Database != "" {
		return nil, err // a server that does not answer is nothing to repair
	}
	r.replaceLock = err != nil
	return rows, err
}

// intact asks SQLite whether the structure of a file is whole.
func (r *repairer) intact(ctx context.Context, db *store.DB) error {
	if db.Dialect == store.Postgres {
		return nil
	}
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return fmt.Errorf("%w: it fails SQLite's integrity check", ErrCorrupt)
	}
	return nil
}

// treeName is the name of a file of the newest tree inside the audit folder.
func (r *repairer) treeName(name string) string {
	return treeDir + "/" + filepath.Base(r.tree) + "/" + name
}

// lookAtTree derives every tile from the entries. Those must be whole: nothing else has
// them.
func (r *repairer) lookAtTree(base checkpoint) error {
	var e edge
	wrong := 0
	compare := func(name string, want []byte) {
		if have, err := r.readTree(name); err != nil || !bytes.Equal(have, want) {
			wrong++
			r.plan.add(r.treeName(name), bytes.Clone(want))
		}
	}
	var damaged []string
	err := eachEntry(r.tree, 0, base.size, func(_ int64, entry []byte) error {
		e.add(entry, tlog.RecordHash(entry), compare)
		return nil
	})
	if err == nil {
		e.partials(compare)
		if e.root() == base.root {
			if wrong > 0 {
				r.found("tree", fmt.Sprintf("has %d tiles that do not follow from the entries", wrong), "derive them again", "")
			}
			return r.lookAtEnd(base.size)
		}
	}
	// Which bundles are damaged is told by the hashes in the tiles.
	for n := int64(0); n*tileWidth < base.size; n++ {
		w := int(min(tileWidth, base.size-n*tileWidth))
		if !r.bundleFits(n, w) {
			damaged = append(damaged, tileName(levelEntries, n, w))
		}
	}
	if len(damaged) == 0 {
		return fmt.Errorf("%w: its entries do not have the root that was signed: the tree is another one, or an older copy; restore the tree of %s at size %d", ErrUnrepairable, base.origin, base.size)
	}
	text := strings.Join(damaged[:min(len(damaged), 10)], ", ")
	return fmt.Errorf("%w: %d entry bundles are damaged or missing; restore them from the archive or a backup: %s", ErrUnrepairable, len(damaged), text)
}

// bundleFits holds a bundle against the tile of its hashes.
func (r *repairer) bundleFits(n int64, w int) bool {
	data, err := readWidth(r.readTree, levelEntries, n, w)
	if err != nil {
		return false
	}
	entries, err := parseBundle(data, w)
	if err != nil {
		return false
	}
	data, err = readWidth(r.readTree, 0, n, w)
	if err != nil {
		return true // not known
	}
	hashes, err := parseTile(data, w)
	for i := range hashes {
		if tlog.RecordHash(entries[i]) != hashes[i] {
			return false
		}
	}
	return err == nil
}

// lookAtEnd finds where the node's stream ends in the tree, or, of one that has only
// its first leaf, in the tree before.
func (r *repairer) lookAtEnd(size int64) error {
	err := eachEntry(r.tree, (size-1)/tileWidth, size, func(_ int64, entry []byte) error {
		l, err := ParseLeaf(entry)
		if err != nil {
			return err
		}
		if l.Node == r.node {
			r.last = position{epoch: l.Epoch, seq: l.Seq, hash: tlog.RecordHash(entry)}
		}
		r.wall = l.Wall
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnrepairable, err)
	}
	if r.last == (position{}) && size == 1 {
		if err := r.lookAtEndBefore(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnrepairable, err)
		}
	}
	if r.last == (position{}) {
		return fmt.Errorf("%w: the last entries of the tree are not of node %s; start the gateway once it has the node's name", ErrUnrepairable, r.node)
	}
	return nil
}

// lookAtEndBefore finds the end of the node's stream in the shard before the newest,
// which has no event yet.
func (r *repairer) lookAtEndBefore() error {
	first, _, err := r.lastEntry(r.tree, 1)
	if err != nil || first.Type != TypeShardOpened {
		return err
	}
	end, err := unsignedCheckpoint([]byte(first.Attrs[attrPrevCheckpoint]))
	if err != nil {
		return err
	}
	_, shard, err := splitOrigin(end.origin)
	if err != nil {
		return err
	}
	l, hash, err := r.lastEntry(filepath.Join(r.dir, treeDir, shard), end.size)
	if err == nil && l.Node == r.node {
		r.last = position{epoch: l.Epoch, seq: l.Seq, hash: hash}
	}
	return err
}

// lookAtIntake keeps what follows on the tree without a break, and gives up the rest.
func (r *repairer) lookAtIntake(ctx context.Context) error {
	pruned, rows, err := r.readIntakeRows(ctx)
	if err != nil && r.cfg.Database != "" {
		return err
	}
	why := ""
	if err != nil {
		why = "cannot be read whole as a database"
	}
	switch {
	case r.last.before(pruned):
		return fmt.Errorf("%w: the intake was emptied up to (%d, %d) and the tree ends at (%d, %d): tree and lock store are older copies; restore the newer ones",
			ErrUnrepairable, pruned.epoch, pruned.seq, r.last.epoch, r.last.seq)
	case why == "" && pruned == (position{}):
		why = "does not say how far it was emptied"
	}
	at, lostCommits, lostEvents := r.last, 0, int64(0)
	newest := pruned
	var from position
	cut := false
	for _, c := range rows {
		newest = position{epoch: c.epoch, seq: c.last}
		if !cut {
			kept, end := r.keep(&c, at)
			if at = end; kept != nil {
				r.rows = append(r.rows, *kept)
			}
			if cut = !(position{epoch: c.epoch, seq: c.last}).upTo(at); !cut {
				continue
			}
			from = position{epoch: at.epoch, seq: at.seq}
			if kept != nil {
				c.first = kept.last + 1
			}
		}
		lostCommits++
		lostEvents += max(0, c.last-c.first+1)
	}
	lost := ""
	switch {
	case cut:
		if why == "" {
			why = fmt.Sprintf("is damaged behind event (%d, %d)", from.epoch, from.seq)
		}
		lost = fmt.Sprintf("%d events in %d commits behind event (%d, %d), which callers may have receipts of", lostEvents, lostCommits, from.epoch, from.seq)
	case why != "":
		lost = "events that were acknowledged behind the last that can be read; how many is not known"
	case newest.before(r.last):
		why = fmt.Sprintf("ends at (%d, %d) and the tree at (%d, %d): it is an older copy", newest.epoch, newest.seq, r.last.epoch, r.last.seq)
		lost = "events that were acknowledged and not in the tree yet; how many is not known"
	default:
		return nil
	}
	r.found("intake", why, fmt.Sprintf("keep %d commits that follow on the tree, and no other", len(r.rows)), lost)
	r.plan.Intake = true
	return nil
}

// upTo reports whether p stands at q or before.
func (p position) upTo(q position) bool { return !q.before(p) }

// keep returns the part of a commit that follows on at without a break, nil for none,
// and where that ends. What the tree has already is not kept and breaks nothing.
func (r *repairer) keep(c *commitRow, at position) (*commitRow, position) {
	if end := (position{epoch: c.epoch, seq: c.last}); end.upTo(at) {
		return nil, at
	}
	rows, err := c.rows()
	if err != nil {
		return nil, at
	}
	size, n := 0, 0
	for i := range rows {
		e := &rows[i]
		if at.before(e.position) {
			l, hash, err := nextInStream(e.leaf, r.node, at)
			if err != nil || l.Epoch != e.epoch || l.Seq != e.seq {
				break
			}
			e.fill(&l)
			if _, err := appendRowDetails(nil, e, 0); err != nil {
				break
			}
			at = position{epoch: e.epoch, seq: e.seq, hash: hash}
			r.wall = l.Wall
		}
		size += lengths + len(e.leaf) + len(e.detail)
		n++
	}
	if n == 0 {
		return nil, at
	}
	return &commitRow{epoch: c.epoch, first: c.first, last: c.first + int64(n) - 1, events: c.events[:size]}, at
}

// readIntakeRows reads what can be read of the intake. The error says that it is not
// all there was.
func (r *repairer) readIntakeRows(ctx context.Context) (pruned position, rows []commitRow, err error) {
	db, err := openReader(ctx, r.dir, intakeFile)
	if err != nil {
		return pruned, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	whole := r.intact(ctx, db)
	err = db.QueryRowContext(ctx, `SELECT epoch, nseq FROM audit_pruned WHERE node = $1`, r.node).Scan(&pruned.epoch, &pruned.seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	res, qerr := db.QueryContext(ctx, `SELECT epoch, nseq, last, events FROM audit_intake WHERE node = $1 ORDER BY epoch, nseq`, r.node)
	if qerr != nil {
		return pruned, nil, errors.Join(whole, err, qerr)
	}
	defer res.Close()
	for res.Next() {
		var c commitRow
		if err := res.Scan(&c.epoch, &c.first, &c.last, &c.events); err != nil {
			return pruned, rows, errors.Join(whole, err)
		}
		rows = append(rows, c)
	}
	return pruned, rows, errors.Join(whole, err, res.Err())
}

// lookAtIndex has the whole log verified, which reads the index too: a view that does
// not follow from the entries is derived again.
func (r *repairer) lookAtIndex(ctx context.Context) error {
	report, err := Verify(ctx, VerifyOptions{Dir: r.data, patience: time.Millisecond})
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		if p.Kind == "index" || p.Place == indexFile {
			r.found("index", "does not follow from the entries", "derive it again at the next start", "")
			r.plan.Index = true
			return nil
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, indexFile)); r.cfg.Database == "" && err == nil {
		// An index that cannot be opened at all is not among the problems.
		if x, err := openReader(ctx, r.dir, indexFile); err == nil {
			_, _, err = readCover(ctx, x, filepath.Base(r.tree))
			if err = errors.Join(err, x.Close()); err == nil {
				return nil
			}
		}
		r.found("index", "cannot be opened", "derive it again at the next start", "")
		r.plan.Index = true
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
