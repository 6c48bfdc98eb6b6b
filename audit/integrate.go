package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Bounds of one integration run. Rows are read in portions, so that a backlog
// does not have to fit into memory; what one checkpoint adds to the index does.
const (
	readRows   = 4096
	readBytes  = 8 << 20
	maxRunRows = 1 << 15
)

// integrator derives tree, detail store and index from committed rows. It belongs
// to the integrator goroutine; before that starts and after it ends, to Open and
// Close.
type integrator struct {
	edge   *edge
	at     position // the last leaf in the tree
	locked string   // the signed checkpoint in the lock store
	size   int64    // its size
	index  *index
	rows   []*indexRow // in the tree, not yet in the index
	// partials are the names of the partial files of the published checkpoint,
	// stale those of the one before, kept for readers that still follow it.
	partials, stale []string
	sealed          time.Duration // when the index was last sealed, monotonic

	drained bool      // the last run found nothing more to integrate
	closing bool      // shard.closed is on its way
	next    *identity // the tree ends with shard.closed, which names it
	told    string    // the last warning about a rollover
}

// integrateLoop runs the integrator until stop is closed. Any error is the end of
// the whole log: a tree that cannot be written is a log that cannot be verified.
func (c *core) integrateLoop(ctx context.Context) {
	defer close(c.integratorDone)
	run, watch := time.NewTicker(c.cfg.Checkpoint), time.NewTicker(watchInterval)
	defer run.Stop()
	defer watch.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-c.failed:
			return
		case <-watch.C:
			err = c.watch.check()
		case <-run.C:
			_, err = c.runOnce(context.WithoutCancel(ctx))
			if err == nil && c.clock.mono()-c.integrator.sealed >= c.cfg.SealIndex {
				c.sealIndex()
			}
			if err == nil {
				err = c.rollover()
			}
		}
		if err != nil {
			c.fail(fmt.Errorf("%w: %w", ErrPoisoned, err))
			return
		}
	}
}

// runOnce puts committed rows under one new checkpoint and returns how many; zero
// means that there was nothing to do and nothing was signed. The order of its
// steps is what makes a crash at any line recoverable:
//
//  1. full bundles and tiles, then details: derived data beyond the checkpoint,
//     made again from the same rows with the same bytes (invariant A4);
//  2. partial bundles and tiles of the new size, so that the checkpoint, once
//     readable, has all its files (A9);
//  3. the signature into the lock store, by compare and swap: from here on this
//     is the history (A7, A8);
//  4. the checkpoint file by rename;
//  5. the index, which is caught up from entries when the crash comes before;
//  6. permission for the writer to delete the rows.
//
// A shard ends within a run: what follows in the intake waits for the next run, and
// the next shard is begun before it ends.
func (c *core) runOnce(ctx context.Context) (int64, error) {
	if err := c.openNext(ctx); err != nil { // left by a former process
		return 0, err
	}
	added, err := c.cover(ctx)
	if err != nil {
		return 0, err
	}
	return added, c.openNext(ctx)
}

// cover is a run within one shard.
func (c *core) cover(ctx context.Context) (int64, error) {
	g := &c.integrator
	began := c.clock.mono()
	g.drained = false
	for len(g.rows) < maxRunRows && g.next == nil {
		groups, err := c.nextRows(ctx)
		if err != nil {
			return 0, err
		}
		if len(groups) == 0 {
			g.drained = true
			break
		}
		if err := c.integrate(ctx, groups); err != nil {
			return 0, err
		}
	}
	added := g.edge.size - g.size
	if added == 0 {
		c.health.signed.Store(int64(began))
		return 0, nil
	}
	var files []store.File
	var partials []string
	g.edge.partials(func(name string, data []byte) {
		partials = append(partials, name)
		files = append(files, c.treeFile(name, data))
	})
	if err := c.writeTree(files); err != nil {
		return 0, err
	}
	signed, err := checkpoint{origin: c.origin, size: g.edge.size, root: g.edge.root()}.sign(c.signer)
	if err != nil {
		return 0, err
	}
	if err := c.hooks.run(hookLock); err != nil {
		return 0, err
	}
	if err := c.lock.swap(ctx, c.origin, g.locked, string(signed)); err != nil {
		return 0, err
	}
	g.locked, g.size = string(signed), g.edge.size
	c.size.Store(g.size)
	if err := c.publish(); err != nil {
		return 0, err
	}
	if err := c.hooks.run(hookIndex); err != nil {
		return 0, err
	}
	if err := g.index.add(ctx, g.rows); err != nil {
		return 0, err
	}
	g.rows = g.rows[:0]
	c.dropStale(partials)
	at := g.at
	c.prunable.Store(&at)
	c.health.covered.Add(added)
	c.health.signed.Store(int64(began))
	if err := c.prepareTidy(ctx); err != nil {
		return 0, err
	}
	c.q.signal()
	return added, nil
}

// nextRows returns committed events that follow the tree, in one or more groups: from
// the writer's hand, or from the database for what did not fit into it.
func (c *core) nextRows(ctx context.Context) (groups [][]row, err error) {
	at := c.integrator.at
	for n := 0; n < readRows; {
		rows := c.hand.take(at)
		if rows == nil {
			break
		}
		groups = append(groups, rows)
		n += len(rows)
		at = rows[len(rows)-1].position
	}
	if groups != nil {
		return groups, nil
	}
	rows, err := c.intake.rows(ctx, at, readRows, readBytes)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return [][]row{rows}, nil
}

// integrate adds events to the tree's edge, writes the files that became full and
// stores the details.
func (c *core) integrate(ctx context.Context, groups [][]row) error {
	g := &c.integrator
	var files []store.File
	var details []detailRow
integration:
	for _, rows := range groups {
		for i := range rows {
			r := &rows[i]
			var err error
			if details, err = appendRowDetails(details, r, g.edge.size); err != nil {
				return err
			}
			g.rows = append(g.rows, r.view.place(g.edge.size, r.hash))
			g.edge.add(r.leaf, r.hash, func(name string, data []byte) {
				files = append(files, c.treeFile(name, data))
			})
			g.at = r.position
			if r.view.typ == TypeShardClosed {
				// What follows is of the next shard, and read again for it.
				l, err := ParseLeaf(r.leaf)
				if err != nil {
					return fmt.Errorf("%w: intake event (%d, %d)", ErrCorrupt, r.epoch, r.seq)
				}
				g.next = l.succession()
				break integration
			}
		}
	}
	if err := c.writeTree(files); err != nil {
		return err
	}
	if err := c.hooks.run(hookDetails); err != nil {
		return err
	}
	return storeDetails(ctx, c.details, g.index.shard, details)
}

// appendRowDetails appends the details of a row, whose leaf is entry idx. What comes
// out of the database is decoded and held against the leaf.
func appendRowDetails(out []detailRow, r *row, idx int64) ([]detailRow, error) {
	for _, p := range r.parts {
		out = append(out, detailRow{idx: idx, Sealed: p})
	}
	if r.parts != nil {
		return out, nil
	}
	if len(r.detail) == 0 {
		if len(r.digests) > 0 {
			return nil, fmt.Errorf("%w: intake event (%d, %d) lost its details", ErrCorrupt, r.epoch, r.seq)
		}
		return out, nil
	}
	parts, err := parseDetails(r.detail)
	if err != nil || len(parts) != len(r.digests) {
		return nil, fmt.Errorf("%w: details of intake event (%d, %d)", ErrCorrupt, r.epoch, r.seq)
	}
	for i, p := range parts {
		if digestOf(p) != r.digests[i] {
			return nil, fmt.Errorf("%w: details of intake event (%d, %d) are not those of its leaf", ErrCorrupt, r.epoch, r.seq)
		}
		out = append(out, detailRow{idx: idx, Sealed: p})
	}
	return out, nil
}

// treeFile copies data, which the edge goes on using.
func (c *core) treeFile(name string, data []byte) store.File {
	return store.File{Path: filepath.Join(c.tree, filepath.FromSlash(name)), Data: bytes.Clone(data)}
}

func (c *core) writeTree(files []store.File) error {
	if len(files) == 0 {
		return nil
	}
	if err := c.hooks.run(hookTiles); err != nil {
		return err
	}
	return store.WriteFiles(files, 0o600)
}

// publish renames the locked checkpoint into place.
func (c *core) publish() error {
	if err := c.hooks.run(hookPublish); err != nil {
		return err
	}
	return store.WriteFile(filepath.Join(c.tree, checkpointFile), []byte(c.integrator.locked), 0o600)
}

// dropStale removes the partial files of the checkpoint before the last. What
// stays behind after a crash is correct and only takes room, so errors do not
// matter; a directory is removed with its last file.
func (c *core) dropStale(now []string) {
	g := &c.integrator
	keep := map[string]bool{}
	for _, name := range append(g.partials, now...) {
		keep[name] = true
	}
	for _, name := range g.stale {
		if !keep[name] {
			path := filepath.Join(c.tree, filepath.FromSlash(name))
			_ = os.Remove(path)
			_ = os.Remove(filepath.Dir(path))
		}
	}
	g.stale, g.partials = g.partials, now
}

// prepareTidy does the large part of the work on a WAL that has grown, off the
// callers' path, and leaves the rest to the writer. Only a file has one.
func (c *core) prepareTidy(ctx context.Context) error {
	w, ok := c.intake.commits.(*fileCommits)
	if !ok {
		return nil
	}
	left, err := w.prepareTidy(ctx, c.cfg.walTidy)
	if left && err == nil {
		c.tidy.Store(true)
	}
	return err
}

// sealIndex appends a leaf with the Merkle root over all block digests, so that
// the index is bound to the tree. It is written also when nothing happened: a
// silent hour is a statement too.
func (c *core) sealIndex() {
	g := &c.integrator
	g.sealed = c.clock.mono()
	attrs := map[string]string{"blocks": strconv.Itoa(len(g.index.blocks))}
	if len(g.index.blocks) > 0 {
		root := merkleRoot(g.index.blocks)
		attrs["root"] = hex.EncodeToString(root[:])
	}
	// Nobody waits: the leaf is covered by a later checkpoint or the log is poisoned.
	if w := c.appendOwn(&Event{Type: TypeIndexSealed, Attrs: attrs}); w.err != nil && !errors.Is(w.err, ErrClosed) {
		c.log().Error("index could not be sealed", "error", w.err)
	}
}

// appendOwn queues a leaf of the log's own.
func (c *core) appendOwn(e *Event) Wait {
	if e.ID.IsZero() {
		e.ID = NewID()
	}
	enc, err := c.encode(e)
	if err != nil {
		return Wait{err: err}
	}
	return c.q.push(enc, nil)
}
