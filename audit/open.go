package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// Open opens the log under dir, or shares the one this process has open. It never
// creates anything that the log stands on: a directory without a log is
// ErrMissing (invariant A20). Before it returns, everything left by a crash has
// been checked, synced again and put under a checkpoint; state that contradicts
// itself is ErrCorrupt and is not changed.
//
// Limits of an open log stay as they are when a second configuration opens it;
// messages go to the newest logger.
func Open(ctx context.Context, dir string, c Config) (*Log, error) {
	if err := c.setDefaults(dir); err != nil {
		return nil, fmt.Errorf("opening audit log: %w", err)
	}
	s, err := writers.acquire(ctx, filepath.Join(dir, auditDir), func(ctx context.Context) (*core, error) {
		opened, err := openCore(ctx, dir, c)
		if err != nil {
			return nil, err
		}
		if err := opened.recoverGaps(ctx); err != nil {
			return nil, errors.Join(err, opened.close())
		}
		return opened, nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening audit log: %w", err)
	}
	l := &Log{core: s.core, shared: s}
	if l.core.cfg.Deployment != c.Deployment || l.core.node != c.Node {
		return nil, errors.Join(fmt.Errorf("opening audit log: it is open as %s, node %s", l.Origin(), l.core.node), l.Close())
	}
	l.core.logger.Store(c.Logger)
	return l, nil
}

// present demands the files that make a log.
func present(dir, database string) error {
	if plan, err := readRepair(dir); plan != nil || err != nil {
		return errors.Join(fmt.Errorf("%w: a repair was interrupted: run caregate audit repair again", ErrCorrupt), err)
	}
	for _, name := range [...]string{treeDir, intakeFile, lockFile, detailFile} {
		if name == intakeFile {
			if err := sameKind(dir, database); err != nil || database != "" {
				return err
			}
		}
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is missing", ErrMissing, filepath.Join(dir, name))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// openCore recovers the log and starts its two goroutines.
func openCore(ctx context.Context, dir string, cfg Config) (_ *core, err error) {
	if err := present(filepath.Join(dir, auditDir), cfg.Database); err != nil {
		return nil, err
	}
	c := &core{
		cfg: cfg, data: dir, dir: filepath.Join(dir, auditDir), node: cfg.Node, clock: newClock(cfg),
		failed: make(chan struct{}), stopWriter: make(chan struct{}),
		writerDone: make(chan struct{}), integratorDone: make(chan struct{}),
	}
	c.gaps.path = filepath.Join(dir, gapFileName)
	c.hooks = cfg.hooks
	c.logger.Store(cfg.Logger)
	c.q = queue{maxEvents: cfg.QueueEvents, maxBytes: cfg.QueueBytes, wake: make(chan struct{}, 1)}
	c.pace = pacer{rate: cfg.DenyRate, mono: c.clock.mono, callers: map[string]*caller{}}
	if c.unlock, err = store.LockDir(c.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.closeFiles())
		}
	}()
	if err := c.recoverState(ctx); err != nil {
		return nil, err
	}
	if cfg.Database != "" { // it may have moved to another server
		if err := store.WritePlace(c.dir, cfg.Database); err != nil {
			return nil, err
		}
	}
	if c.watch, err = newWatch(c.watched()...); err != nil {
		return nil, err
	}
	c.integrator.sealed = c.clock.mono()
	c.health.events.Store(0)
	c.health.covered.Store(0)
	c.health.signed.Store(int64(c.clock.mono()))
	c.health.free.Store(c.cfg.free(c.dir))
	// The goroutines outlive the context of Open: they end with Close.
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stopIntegrator = stop
	go c.writeLoop()
	go c.integrateLoop(run)
	go c.healthLoop(run)
	return c, nil
}

// recoverState decides what the files left by the last process mean, in the order that
// makes each step rest on one already checked (audit invariants A2, A4, A5, A7).
func (c *core) recoverState(ctx context.Context) error {
	// 1. The lock store says which history is ours.
	lock, err := openLockStore(ctx, c.where(lockFile), false)
	if err != nil {
		return err
	}
	c.lock = lock
	locked, past, err := c.readLock(ctx)
	if err != nil {
		return err
	}
	// 2. The tree must have that root, recomputed from the last entries and the
	// right edge, and the published checkpoint must not be ahead of it.
	g := &c.integrator
	if g.edge, err = loadEdge(c.readTree, locked.size); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the tree has no edge at the size that the lock store knows (%d): one of the two is an older copy, or a file is missing: %w", ErrCorrupt, locked.size, err)
	} else if err != nil {
		return err
	}
	if g.edge.root() != locked.root {
		return fmt.Errorf("%w: the tree does not have the root of the locked checkpoint", ErrCorrupt)
	}
	g.size = locked.size
	c.size.Store(g.size)
	if err := c.comparePublished(locked, len(past) > 0); err != nil {
		return err
	}
	last, err := c.lastLeaf(locked.size, past)
	if err != nil {
		return err
	}
	g.at = last
	// 3. What was written beside the locked checkpoint counts only after this
	// process has written and synced it (A5).
	if err := c.rewriteEdge(); err != nil {
		return err
	}
	// 4. The intake: whole, no older than the tree, and chained to it.
	pruned, newest, err := c.openIntake(ctx, last)
	if err != nil {
		return err
	}
	// 5. The index of what the tree already has. Its details were stored before the
	// checkpoint was locked.
	if c.details, err = openDetails(ctx, c.where(detailFile), false); err != nil {
		return err
	}
	_, shard, _ := splitOrigin(c.origin)
	if g.index, err = openIndex(ctx, c.where(indexFile), shard); err != nil {
		return fmt.Errorf("%w (the index is only a view: %s and start again to derive it)", err, c.dropIndex())
	}
	for _, s := range past {
		end, err := unsignedCheckpoint([]byte(s.body))
		if err != nil {
			return fmt.Errorf("%w: lock store: shard %s: %w", ErrCorrupt, s.name, err)
		}
		if err := c.catchUpIndex(ctx, s.name, end.size); err != nil {
			return err
		}
	}
	if err := c.catchUpIndex(ctx, shard, g.size); err != nil {
		return err
	}
	// What the tree has may leave the intake: its details and its index are there.
	c.prunable.Store(&last)
	// 6. The committed rows that the tree does not have yet: one run now, so that
	// what a crash left is under a checkpoint soon, the rest of a large backlog later.
	if _, err := c.runOnce(ctx); err != nil {
		return err
	}
	c.w.at, c.w.pruned = newest, pruned
	c.epoch = max(c.epoch, newest.epoch+1)
	before := shard
	if n := len(past); n > 0 {
		before = past[n-1].name
	}
	c.removeLeftovers(before)
	// 7. The names of the WALs, which opening made. SQLite syncs the folder with the
	// first commit to each, but goes on when that fails, and a WAL without a name is
	// lost with everything that was acknowledged in it.
	return store.SyncDir(c.dir)
}

// readLock finds the deployment's newest shard in the lock store, verifies its
// checkpoint under the key, and holds all shards against one another. past are those
// before, the oldest first.
func (c *core) readLock(ctx context.Context) (locked checkpoint, past []lockedShard, err error) {
	rows, err := c.lock.load(ctx)
	if err != nil {
		return checkpoint{}, nil, err
	}
	list, err := lockedShards(rows)
	if err != nil {
		return checkpoint{}, nil, err
	}
	newest := list[len(list)-1]
	if deployment, _, _ := splitOrigin(newest.origin); deployment != c.cfg.Deployment {
		return checkpoint{}, nil, fmt.Errorf("the log here is of deployment %s, not %s", deployment, c.cfg.Deployment)
	}
	c.origin, c.tree = newest.origin, filepath.Join(c.dir, treeDir, newest.name)
	if c.signer, c.public, err = loadKey(keyFile(c.cfg.KeyDir, newest.name), c.origin); err != nil {
		return checkpoint{}, nil, err
	}
	c.current.Store(&identity{origin: c.origin, public: c.public})
	c.integrator.locked = newest.body
	if locked, err = c.openSigned([]byte(newest.body), "locked checkpoint"); err != nil {
		return checkpoint{}, nil, err
	}
	return locked, list[:len(list)-1], c.checkChain(list)
}

// openSigned verifies a checkpoint of ours.
func (c *core) openSigned(msg []byte, what string) (checkpoint, error) {
	known, err := verifiers([]string{c.public})
	if err != nil {
		return checkpoint{}, err
	}
	cp, err := openCheckpoint(msg, known)
	if err != nil {
		return checkpoint{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
	}
	if cp.origin != c.origin {
		return checkpoint{}, fmt.Errorf("%w: %s has another origin", ErrCorrupt, what)
	}
	return cp, nil
}

// comparePublished accepts a published checkpoint equal to the locked one or
// behind it on the same history, and publishes the locked one again. The first of a
// shard that follows another may not have been published.
func (c *core) comparePublished(locked checkpoint, follows bool) error {
	msg, err := c.readTree(checkpointFile)
	if errors.Is(err, fs.ErrNotExist) && follows && locked.size == 1 {
		return c.publish()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the published checkpoint is missing", ErrCorrupt)
	}
	if err != nil {
		return err
	}
	pub, err := c.openSigned(msg, "published checkpoint")
	if err != nil {
		return err
	}
	switch {
	case pub.size > locked.size:
		return fmt.Errorf("%w: the published checkpoint (size %d) is ahead of the lock store (size %d): the lock store is an older copy", ErrCorrupt, pub.size, locked.size)
	case pub.size == locked.size && pub.root != locked.root:
		return fmt.Errorf("%w: published and locked checkpoint differ at size %d", ErrCorrupt, pub.size)
	case pub.size < locked.size:
		root, err := tlog.TreeHash(pub.size, tileHashes(c.readTree, locked))
		if err != nil {
			return fmt.Errorf("%w: published checkpoint: %w", ErrCorrupt, err)
		}
		if root != pub.root {
			return fmt.Errorf("%w: the published checkpoint is not on the locked history", ErrCorrupt)
		}
	}
	return c.publish()
}

// lastLeaf reads the position of the last entry of the newest tree in the node's
// stream, which a tree of nothing but shard.opened left where the tree before ends. A
// last entry shard.closed makes the next shard due.
func (c *core) lastLeaf(size int64, past []lockedShard) (position, error) {
	l, hash, err := c.lastEntry(c.tree, size)
	if err != nil {
		return position{}, err
	}
	if l.Type == TypeShardClosed {
		c.integrator.next = l.succession()
	}
	if n := len(past); l.Type == TypeShardOpened && n > 0 {
		end, err := unsignedCheckpoint([]byte(past[n-1].body))
		if err != nil {
			return position{}, fmt.Errorf("%w: lock store: shard %s: %w", ErrCorrupt, past[n-1].name, err)
		}
		if l, hash, err = c.lastEntry(filepath.Join(c.dir, treeDir, past[n-1].name), end.size); err != nil {
			return position{}, err
		}
	}
	if l.Node != c.node {
		return position{}, fmt.Errorf("the log here was written by node %s, not %s", l.Node, c.node)
	}
	return position{epoch: l.Epoch, seq: l.Seq, hash: hash}, nil
}

// lastEntry reads the last leaf of a tree.
func (c *core) lastEntry(tree string, size int64) (l Leaf, hash tlog.Hash, err error) {
	read := func(name string) ([]byte, error) { return readTreeFile(tree, name) }
	n, w := (size-1)/tileWidth, int((size-1)%tileWidth)+1
	data, err := readWidth(read, levelEntries, n, w)
	if err != nil {
		return l, hash, fmt.Errorf("reading the last entry: %w", err)
	}
	entries, err := parseBundle(data, w)
	if err != nil {
		return l, hash, fmt.Errorf("%w: last entry bundle: %w", ErrCorrupt, err)
	}
	data, err = readWidth(read, 0, n, w)
	if err != nil {
		return l, hash, fmt.Errorf("reading the last tile: %w", err)
	}
	hashes, err := parseTile(data, w)
	if err != nil {
		return l, hash, fmt.Errorf("%w: last tile: %w", ErrCorrupt, err)
	}
	if l, err = ParseLeaf(entries[w-1]); err != nil {
		return l, hash, fmt.Errorf("%w: last entry: %w", ErrCorrupt, err)
	}
	if hash = tlog.RecordHash(entries[w-1]); hash != hashes[w-1] {
		return l, hash, fmt.Errorf("%w: the last entry does not have the hash in its tile", ErrCorrupt)
	}
	return l, hash, nil
}

// rewriteEdge writes the unfinished tiles and bundle of the locked checkpoint
// again and notes which partial files of these tiles lie about.
func (c *core) rewriteEdge() error {
	g := &c.integrator
	var files []store.File
	g.edge.partials(func(name string, data []byte) {
		g.partials = append(g.partials, name)
		files = append(files, c.treeFile(name, data))
		dir := filepath.Dir(filepath.Join(c.tree, filepath.FromSlash(name)))
		if list, err := os.ReadDir(dir); err == nil { // a missing directory has no stale files
			for _, e := range list {
				if rel, err := filepath.Rel(c.tree, filepath.Join(dir, e.Name())); err == nil {
					g.stale = append(g.stale, filepath.ToSlash(rel))
				}
			}
		}
	})
	return c.writeTree(files)
}

// openIntake opens the intake, shuts other writers out and compares the rows with
// the tree, which ends at last. It returns up to where rows were deleted and where
// the stream ends.
func (c *core) openIntake(ctx context.Context, last position) (pruned, newest position, err error) {
	if c.intake, err = openIntake(ctx, c.where(intakeFile), c.node, false); err != nil {
		return pruned, newest, err
	}
	epoch, unclean, err := c.intake.claim(ctx)
	if unclean {
		c.log().Warn("audit log was not closed cleanly; checking it")
	}
	if err != nil {
		return pruned, newest, err
	}
	c.epoch = epoch
	pruned, newest, err = c.intake.bounds(ctx)
	if err != nil {
		return pruned, newest, err
	}
	if newest.before(last) {
		return pruned, newest, fmt.Errorf("%w: the intake ends at (%d, %d) and the tree at (%d, %d): the intake is an older copy", ErrCorrupt, newest.epoch, newest.seq, last.epoch, last.seq)
	}
	if last.before(pruned) {
		return pruned, newest, fmt.Errorf("%w: the intake was emptied up to (%d, %d) and the tree ends at (%d, %d): tree and lock store are older copies", ErrCorrupt, pruned.epoch, pruned.seq, last.epoch, last.seq)
	}
	// The whole rest is read once before anything is derived from it: a broken chain
	// must stop the start, not the middle of the work.
	for newest = last; ; {
		rows, err := c.intake.rows(ctx, newest, readRows, readBytes)
		if err != nil {
			return pruned, newest, err
		}
		if len(rows) == 0 {
			return pruned, newest, nil
		}
		newest = rows[len(rows)-1].position
	}
}

// catchUpIndex derives the index rows of a shard that are missing up to its locked
// size. An index that is ahead, or whose unfinished block does not match its size, is
// derived anew.
func (c *core) catchUpIndex(ctx context.Context, shard string, size int64) error {
	x := c.integrator.index
	if err := x.turn(ctx, shard); err != nil {
		return err
	}
	if x.size > size || int64(len(x.blocks)) != x.size/tileWidth {
		c.log().Warn("audit index does not fit the log; deriving it again")
		if err := x.clear(ctx); err != nil {
			return err
		}
	}
	// The rows of the unfinished block are needed in memory for its digest.
	from := x.size / tileWidth
	var pending []*indexRow
	err := eachEntry(filepath.Join(c.dir, treeDir, shard), from, size, func(idx int64, entry []byte) error {
		l, err := ParseLeaf(entry)
		if err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrCorrupt, idx, err)
		}
		r := project(&l).place(idx, tlog.RecordHash(entry))
		if idx < x.size {
			x.tail = append(x.tail, r)
			return nil
		}
		pending = append(pending, r)
		if len(pending) < readRows {
			return nil
		}
		err = x.add(ctx, pending)
		pending = pending[:0]
		return err
	})
	if err != nil || len(pending) == 0 {
		return err
	}
	return x.add(ctx, pending)
}

// where tells where one of the log's databases is.
func (c *core) where(name string) string { return whereIs(c.dir, c.cfg.Database, name) }

// watched are the paths that must go on leading to the files in use.
func (c *core) watched() []string {
	paths := []string{c.dir, c.tree}
	if c.cfg.Database == "" {
		intake := c.where(intakeFile)
		paths = append(paths, intake, intake+"-wal")
	}
	return paths
}

// dropIndex says how an operator gets rid of the index.
func (c *core) dropIndex() string {
	if c.cfg.Database == "" {
		return "delete " + c.where(indexFile)
	}
	return "drop the view audit_index and the tables audit_entry, audit_kind, audit_exposure, audit_block, audit_cover, schema_audit_index"
}

// eachEntry reads the entries of a tree from bundle from on, up to size.
func eachEntry(tree string, from, size int64, do func(idx int64, entry []byte) error) error {
	read := func(name string) ([]byte, error) { return readTreeFile(tree, name) }
	for n := from; n*tileWidth < size; n++ {
		w := int(min(tileWidth, size-n*tileWidth))
		data, err := readWidth(read, levelEntries, n, w)
		if err != nil {
			return fmt.Errorf("reading entries: %w", err)
		}
		entries, err := parseBundle(data, w)
		if err != nil {
			return fmt.Errorf("%w: entry bundle %d: %w", ErrCorrupt, n, err)
		}
		for i, e := range entries {
			if err := do(n*tileWidth+int64(i), e); err != nil {
				return err
			}
		}
	}
	return nil
}

// readTree reads a file of the tree.
func (c *core) readTree(name string) ([]byte, error) { return readTreeFile(c.tree, name) }

// maxTreeFile is the largest file of a tree: 256 entries of 65,535 bytes.
const maxTreeFile = tileWidth * (2 + 1<<16)

func readTreeFile(tree, name string) ([]byte, error) {
	path := filepath.Join(tree, filepath.FromSlash(name))
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxTreeFile {
		return nil, fmt.Errorf("%s is not a file of a tree", path)
	}
	return os.ReadFile(path)
}

// closeTimeout bounds the closing of a log on a disk that hangs; coverTimeout ends
// the covering of a backlog before.
const (
	closeTimeout = 30 * time.Second
	coverTimeout = 5 * time.Second
)

// close ends the two goroutines, commits and covers what is left, and releases
// the directory.
func (c *core) close() error {
	c.closeGaps()
	c.pace.close(c)
	c.q.close()
	c.stopIntegrator()
	<-c.integratorDone
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := c.drain(ctx)
	if failure := c.refused.Load(); failure != nil {
		err = nil // told by every wait and by Ready; closing is not what failed
	} else if err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrPoisoned, err))
	}
	close(c.stopWriter)
	<-c.writerDone
	return errors.Join(err, c.closeFiles())
}

// drain commits the queue, and covers and deletes as much as fits into the time:
// what stays behind is durable and the next start goes on with it.
func (c *core) drain(ctx context.Context) error {
	if _, err := c.q.barrier().Wait(ctx); err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < coverTimeout; {
		n, err := c.runOnce(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	_, err := c.q.barrier().Wait(ctx)
	return err
}

func (c *core) closeFiles() error {
	var err error
	if c.intake != nil {
		err = errors.Join(err, c.intake.close())
	}
	if c.details != nil {
		err = errors.Join(err, c.details.Close())
	}
	if c.integrator.index != nil {
		err = errors.Join(err, c.integrator.index.db.Close())
	}
	if c.lock != nil {
		err = errors.Join(err, c.lock.db.Close())
	}
	return errors.Join(err, c.unlock())
}
