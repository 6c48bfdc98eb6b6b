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
	return find(ctx, c.integrator.index.db, c.intake.db, filepath.Join(c.dir, treeDir), eid)
}

// Has reports whether an event is durable in the log. The event itself is not read, so that
// one whose entry is damaged is there.
func (l *Log) Has(ctx context.Context, event [16]byte) (bool, error) {
	c := l.core
	index := c.integrator.index.db
	_, _, _, err := indexPlace(ctx, index, event)
	if errors.Is(err, ErrNotFound) {
		_, err = intakeRow(ctx, c.intake.db, event)
	}
	if errors.Is(err, ErrNotFound) { // as in find
		_, _, _, err = indexPlace(ctx, index, event)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Lookup is Find on the files under the data directory dir, whether a gateway has
// the log open or not. It writes nothing.
func Lookup(ctx context.Context, dir string, eid ID) (_ Leaf, err error) {
	dir = filepath.Join(dir, auditDir)
	index, err := openReader(ctx, dir, indexFile)
	if err != nil {
		return Leaf{}, lookupError(err)
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	in, err := openReader(ctx, dir, intakeFile)
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

// lookupPlace finds where the log under the data directory dir has an event.
func lookupPlace(ctx context.Context, dir string, eid ID) (shard string, idx int64, err error) {
	index, err := openReader(ctx, filepath.Join(dir, auditDir), indexFile)
	if err != nil {
		return "", 0, lookupError(err)
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	if shard, idx, _, err = indexPlace(ctx, index, eid); !errors.Is(err, ErrNotFound) {
		return shard, idx, err
	}
	in, err := openReader(ctx, filepath.Join(dir, auditDir), intakeFile)
	if err != nil {
		return "", 0, lookupError(err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if _, err = find(ctx, index, in, filepath.Join(dir, auditDir, treeDir), eid); err != nil {
		return "", 0, err
	}
	if shard, idx, _, err = indexPlace(ctx, index, eid); errors.Is(err, ErrNotFound) {
		err = ErrNotCovered
	}
	return shard, idx, err
}

// find looks into the index, then the intake, then the index again, because an
// event may move from the second to the first in between.
func find(ctx context.Context, index queryer, in *store.DB, trees string, eid ID) (Leaf, error) {
	f, err := findIndexed(ctx, index, trees, eid)
	if !errors.Is(err, ErrNotFound) {
		return f, err
	}
	c, err := intakeRow(ctx, in, eid)
	switch {
	case err == nil:
		return c.find(eid)
	case !errors.Is(err, ErrNotFound):
		return Leaf{}, err
	}
	return findIndexed(ctx, index, trees, eid)
}

// intakeRow reads the row of the intake that has an event.
func intakeRow(ctx context.Context, in *store.DB, eid ID) (c commitRow, err error) {
	// The intake has no index by event: it holds a few seconds of traffic. The two
	// databases have no function in common that searches bytes.
	search := "instr(events, $1) > 0"
	if in.Dialect == store.Postgres {
		search = "position($1 IN events) > 0"
	}
	err = in.QueryRowContext(ctx, `SELECT epoch, nseq, last, events FROM audit_intake WHERE `+search+` LIMIT 1`,
		[]byte(`"eid":"`+eid.String()+`"`)).Scan(&c.epoch, &c.first, &c.last, &c.events)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, fmt.Errorf("%w: %s", ErrNotFound, eid)
	case err != nil:
		return c, fmt.Errorf("looking up event: %w", err)
	}
	return c, nil
}

// find returns the leaf of an event that the row names.
func (c *commitRow) find(eid ID) (Leaf, error) {
	rows, err := c.rows()
	if err != nil {
		return Leaf{}, fmt.Errorf("looking up event: %w", err)
	}
	for _, r := range rows {
		l, err := ParseLeaf(r.leaf)
		if err != nil {
			return Leaf{}, fmt.Errorf("%w: intake event (%d, %d)", ErrCorrupt, r.epoch, r.seq)
		}
		if l.ID == eid {
			return l, nil
		}
	}
	return Leaf{}, fmt.Errorf("%w: intake row of event %s", ErrCorrupt, eid)
}

// indexPlace asks the index where an event is, and with which leaf hash.
func indexPlace(ctx context.Context, index queryer, eid ID) (shard string, idx int64, hash []byte, err error) {
	err = index.QueryRowContext(ctx, `SELECT shard, idx, leaf_hash FROM audit_index WHERE eid = $1`, eid[:]).Scan(&shard, &idx, &hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", 0, nil, fmt.Errorf("%w: %s", ErrNotFound, eid)
	case err != nil:
		return "", 0, nil, fmt.Errorf("looking up event: %w", err)
	case !validShard(shard) || idx < 0:
		return "", 0, nil, fmt.Errorf("%w: index row of event %s", ErrCorrupt, eid)
	}
	return shard, idx, hash, nil
}

// findIndexed takes only the place from the index; the leaf comes from the entry.
func findIndexed(ctx context.Context, index queryer, trees string, eid ID) (Leaf, error) {
	shard, idx, hash, err := indexPlace(ctx, index, eid)
	if err != nil {
		return Leaf{}, err
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
