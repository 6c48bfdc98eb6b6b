package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// signedTree is one tree as its published checkpoint describes it.
type signedTree struct {
	checkpoint
	shard  string
	signed []byte   // the checkpoint's note
	keys   []string // of its origin
	known  note.Verifiers
	files  dirFiles
}

// openTrees finds the trees of the log under the data directory dir, the oldest first,
// and verifies their checkpoints under the keys that lie beside it. A tree that has no
// checkpoint yet, being begun, is left out.
func openTrees(dir string) ([]*signedTree, error) {
	dir = filepath.Join(dir, auditDir)
	list, err := os.ReadDir(filepath.Join(dir, treeDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Read after the names: a shard's key is there before its checkpoint.
	public, keysErr := readTreeFile(dir, publicFile)
	if errors.Is(keysErr, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrMissing, keysErr)
	}
	if keysErr != nil {
		return nil, keysErr
	}
	trust, err := parseKeyList(string(public))
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", ErrCorrupt, publicFile, err)
	}
	known, err := verifiers(trust.Keys)
	if err != nil {
		return nil, err
	}
	var trees []*signedTree
	list = slices.DeleteFunc(list, func(e os.DirEntry) bool { return !e.IsDir() || !validShard(e.Name()) })
	for i, e := range list { // sorted by name, and so by time
		t := &signedTree{shard: e.Name(), files: dirFiles(filepath.Join(dir, treeDir, e.Name())), known: known}
		if err := t.refresh(); errors.Is(err, fs.ErrNotExist) && i > 0 && i == len(list)-1 {
			break
		} else if err != nil {
			return nil, err
		}
		t.keys = keysOf(trust.Keys, t.origin)
		trees = append(trees, t)
	}
	if len(trees) == 0 {
		return nil, fmt.Errorf("%w: no tree in %s", ErrMissing, dir)
	}
	return trees, nil
}

// refresh reads the published checkpoint, which a running log replaces.
func (t *signedTree) refresh() (err error) {
	if t.signed, err = readTreeFile(string(t.files), checkpointFile); err != nil {
		return err
	}
	if t.checkpoint, err = openCheckpoint(t.signed, t.known); err != nil {
		return fmt.Errorf("%w: published checkpoint: %w", ErrCorrupt, err)
	}
	if _, shard, err := splitOrigin(t.origin); err != nil || shard != t.shard {
		return fmt.Errorf("%w: the checkpoint names another shard than its folder", ErrCorrupt)
	}
	return nil
}

// locked reads the checkpoint of this tree in the lock store of the log under dir.
func (t *signedTree) locked(ctx context.Context, dir string) (checkpoint, error) {
	db, err := openReader(ctx, dir, lockFile)
	if err != nil {
		return checkpoint{}, err
	}
	rows, err := (&lockStore{db: db}).load(ctx)
	if err := errors.Join(err, db.Close()); err != nil {
		return checkpoint{}, err
	}
	return openCheckpoint([]byte(rows[t.origin]), t.known)
}

// each visits the entries from index from (included) to to (excluded), in order.
func (t *signedTree) each(ctx context.Context, from, to int64, visit func(Entry) error) error {
	for n := from / tileWidth; n*tileWidth < to; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := t.bundle(ctx, n, int(min(tileWidth, to-n*tileWidth)))
		if err != nil {
			return err
		}
		for i, data := range entries {
			idx := n*tileWidth + int64(i)
			if idx < from {
				continue
			}
			e, err := newEntry(t.origin, idx, data)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			if err := visit(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// bundle reads the first w entries of a bundle.
func (t *signedTree) bundle(ctx context.Context, n int64, w int) ([][]byte, error) {
	v := verifier{src: t.files}
	data, err := v.readAtLeast(ctx, levelEntries, n, w)
	if err != nil {
		return nil, fmt.Errorf("reading entries: %w", err)
	}
	entries, err := parseBundle(data, -1)
	if err != nil || len(entries) < w {
		return nil, fmt.Errorf("%w: entry bundle %d", ErrCorrupt, n)
	}
	return entries[:w], nil
}

// Entries visits the entries of the log under the data directory dir, the oldest shard
// first, as far as its published checkpoints reach. from is where to begin, counted
// over all shards, so that it goes on without a gap where a new shard begins; it is not
// the index of an entry in its shard. A negative from counts from the end: -10 are the
// last ten. It returns where to go on from later, works beside a running gateway, and
// writes nothing.
//
// The checkpoints' signatures are checked, and each entry's form; that the entries are
// those of the checkpoints is for Verify.
func Entries(ctx context.Context, dir string, from int64, visit func(Entry) error) (next int64, err error) {
	trees, err := openTrees(dir)
	if err != nil {
		return from, fmt.Errorf("reading audit log: %w", err)
	}
	total := totalSize(trees)
	if from < 0 {
		from = max(0, total+from)
	}
	if from >= total {
		return from, nil
	}
	var before int64
	for _, t := range trees {
		if at := from - before; at < t.size {
			if err := t.each(ctx, max(0, at), t.size, visit); err != nil {
				return from, fmt.Errorf("reading audit log: %w", err)
			}
		}
		before += t.size
	}
	return total, nil
}

func totalSize(trees []*signedTree) (n int64) {
	for _, t := range trees {
		n += t.size
	}
	return n
}

// Extent is how far a log reaches.
type Extent struct {
	// First is the origin of its oldest shard, Last that of its newest.
	First, Last string
	// Size is how many entries the published checkpoints of all shards cover.
	Size int64
}

// Over reports whether the half year of the newest shard is over at an instant. A
// running gateway begins the next shard soon after.
func (e Extent) Over(now time.Time) bool {
	_, shard, err := splitOrigin(e.Last)
	return err == nil && shard < shardName(now)
}

// ExtentOf reads how far the log under the data directory dir reaches.
func ExtentOf(dir string) (Extent, error) {
	trees, err := openTrees(dir)
	if err != nil {
		return Extent{}, fmt.Errorf("reading audit log: %w", err)
	}
	return Extent{First: trees[0].origin, Last: trees[len(trees)-1].origin, Size: totalSize(trees)}, nil
}

// Size is the Size of ExtentOf.
func Size(dir string) (int64, error) {
	e, err := ExtentOf(dir)
	return e.Size, err
}
