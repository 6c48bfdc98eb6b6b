package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// Find reads one durable event by its receipt. Events that no checkpoint covers
// yet are found too. ErrNotFound for others.
func (l *Log) Find(ctx context.Context, eid ID) (Leaf, error) {
	c := l.core
	return find(ctx, c.integrator.index.db, c.intake.db, filepath.Dir(c.tree), eid)
}

// Lookup is Find on the files under the data directory dir, whether a gateway has
// the log open or not. It writes nothing.
func Lookup(ctx context.Context, dir string, eid ID) (_ Leaf, err error) {
	dir = filepath.Join(dir, auditDir)
	index, err := store.Open(ctx, filepath.Join(dir, indexFile), store.Options{ReadOnly: true})
	if err != nil {
		return Leaf{}, lookupError(err)
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	in, err := store.Open(ctx, filepath.Join(dir, intakeFile), store.Options{ReadOnly: true})
	if err != nil {
		return Leaf{}, lookupError(err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return find(ctx, index, in, filepath.Join(dir, treeDir), eid)
}

func lookupError(err error) error {
	if errors.Is(err, store.ErrMissing) {
		return fmt.Errorf("looking up event: %w: %w", ErrMissing, err)
	}
	return fmt.Errorf("looking up event: %w", err)
}

// find looks into the index, then the intake, then the index again, because an
// event may move from the second to the first in between.
func find(ctx context.Context, index, in queryer, trees string, eid ID) (Leaf, error) {
	f, err := findIndexed(ctx, index, trees, eid)
	if !errors.Is(err, ErrNotFound) {
		return f, err
	}
	// The intake has no index by event: it holds a few seconds of traffic.
	var leaf []byte
	err = in.QueryRowContext(ctx, `SELECT leaf FROM audit_intake WHERE instr(leaf, $1) > 0 LIMIT 1`, []byte(`"eid":"`+eid.String()+`"`)).Scan(&leaf)
	switch {
	case err == nil:
		l, err := ParseLeaf(leaf)
		if err != nil || l.ID != eid {
			return Leaf{}, fmt.Errorf("%w: intake row of event %s", ErrCorrupt, eid)
		}
		return l, nil
	case !errors.Is(err, sql.ErrNoRows):
		return Leaf{}, fmt.Errorf("looking up event: %w", err)
	}
	return findIndexed(ctx, index, trees, eid)
}

// findIndexed takes only the place from the index; the leaf comes from the entry.
func findIndexed(ctx context.Context, index queryer, trees string, eid ID) (Leaf, error) {
	var shard string
	var idx int64
	var hash []byte
	err := index.QueryRowContext(ctx, `SELECT shard, idx, leaf_hash FROM audit_index WHERE eid = $1`, eid[:]).Scan(&shard, &idx, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return Leaf{}, fmt.Errorf("%w: %s", ErrNotFound, eid)
	}
	if err != nil {
		return Leaf{}, fmt.Errorf("looking up event: %w", err)
	}
	if !validShard(shard) || idx < 0 {
		return Leaf{}, fmt.Errorf("%w: index row of event %s", ErrCorrupt, eid)
	}
	entry, err := readEntry(filepath.Join(trees, shard), idx)
	if err != nil {
		return Leaf{}, fmt.Errorf("looking up event: %w", err)
	}
	want := tlog.RecordHash(entry)
	l, err := ParseLeaf(entry)
	if err != nil || l.ID != eid || string(hash) != string(want[:]) {
		return Leaf{}, fmt.Errorf("%w: the index does not lead to event %s", ErrCorrupt, eid)
	}
	return l, nil
}

// readEntry reads one entry from its full bundle or from any partial one that
// reaches it.
func readEntry(tree string, idx int64) ([]byte, error) {
	n, at := idx/tileWidth, int(idx%tileWidth)
	data, err := readTreeFile(tree, tileName(levelEntries, n, tileWidth))
	if err != nil {
		dir := filepath.Join(tree, filepath.FromSlash(tileName(levelEntries, n, tileWidth))) + ".p"
		list, dirErr := os.ReadDir(dir)
		if dirErr != nil {
			return nil, err
		}
		for _, e := range list {
			name := tileName(levelEntries, n, tileWidth) + ".p/" + e.Name()
			if _, _, w, ok := parseTileName(name); ok && w > at {
				if data, err = readTreeFile(tree, name); err == nil {
					break
				}
			}
		}
		if err != nil {
			// The partial files may have given way to a full one meanwhile.
			if data, err = readTreeFile(tree, tileName(levelEntries, n, tileWidth)); err != nil {
				return nil, err
			}
		}
	}
	entries, err := parseBundle(data, -1)
	if err != nil || at >= len(entries) {
		return nil, fmt.Errorf("%w: entry bundle %d", ErrCorrupt, n)
	}
	return entries[at], nil
}
