package audit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// Kinds of exposure rows.
const (
	kindSubject = 1
	kindRecord  = 2
	// kindMail is no exposure: it finds the calls of an e-mail address.
	kindMail = 3
)

// indexRow is what the index holds of one leaf: a projection and the exposures.
type indexRow struct {
	idx           int64
	hash          []byte
	eid, xid, act []byte
	wall          int64
	rowKind
	exposures []exposure
}

// rowKind is the part of a row that many rows share. Each of its fields is of a
// closed list, or a name out of the configuration.
type rowKind struct {
	typ, tenant, route, decision, reason, idk, channel, op, effect, scope, outcome string
	status                                                                         int64
	// unread is 1 where something passed that nobody had inspected.
	unread int64
}

type exposure struct {
	pseudonym []byte
	class     string
	kind      int64
}

// project is the pure function behind the index: a leaf in, its row out, but for
// place and hash, see place. The row shares no memory that a caller may change.
func project(l *Leaf) *indexRow {
	ids := slices.Concat(l.ID[:], l.Exchange[:], l.Actor[:], l.Mail[:])
	r := &indexRow{
		eid: ids[:16:16], xid: ids[16:32:32], act: ids[32:48:48],
		wall: l.Wall,
		rowKind: rowKind{
			typ: l.Type, tenant: l.Tenant, route: l.Route, decision: l.Decision, reason: l.Reason, idk: l.Identity,
			channel: l.Channel, op: l.Operation, effect: l.Effect, scope: l.Scope, outcome: l.Outcome, status: int64(l.Status),
		},
	}
	for _, n := range l.Released {
		if n.NotInspected > 0 {
			r.unread = 1
		}
	}
	for kind, refs := range [...][]Ref{kindSubject: l.Subjects, kindRecord: l.Records} {
		for i := range refs {
			id := refs[i].ID[:] // of our own copy, see normalRefs and ParseLeaf
			if len(refs[i].Classes) == 0 {
				r.exposures = append(r.exposures, exposure{pseudonym: id, kind: int64(kind)})
			}
			for _, class := range refs[i].Classes {
				r.exposures = append(r.exposures, exposure{pseudonym: id, class: class, kind: int64(kind)})
			}
		}
	}
	if l.Mail != (Pseudonym{}) {
		r.exposures = append(r.exposures, exposure{pseudonym: ids[48:], kind: kindMail})
	}
	slices.SortFunc(r.exposures, func(a, b exposure) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), bytes.Compare(a.pseudonym, b.pseudonym), cmp.Compare(a.class, b.class))
	})
	return r
}

// place completes a row.
func (r *indexRow) place(idx int64, hash tlog.Hash) *indexRow {
	r.idx, r.hash = idx, hash[:]
	return r
}

// appendRow writes a row unambiguously, for block digests.
func appendRow(b []byte, r *indexRow) []byte {
	b = binary.AppendVarint(b, r.idx)
	b = binary.AppendVarint(b, r.wall)
	b = binary.AppendVarint(b, r.status)
	b = binary.AppendVarint(b, r.unread)
	for _, f := range [...][]byte{r.hash, r.eid, r.xid, r.act} {
		b = appendPart(b, f)
	}
	for _, f := range [...]string{r.typ, r.tenant, r.route, r.decision, r.reason, r.idk, r.channel, r.op, r.effect, r.scope, r.outcome} {
		b = appendPart(b, f)
	}
	b = binary.AppendUvarint(b, uint64(len(r.exposures)))
	for _, e := range r.exposures {
		b = binary.AppendVarint(b, e.kind)
		b = appendPart(b, e.pseudonym)
		b = appendPart(b, e.class)
	}
	return b
}

// blockDigest is the digest of the rows of one entry bundle.
func blockDigest(rows []*indexRow) (digest tlog.Hash) {
	h := sha256.New()
	var b []byte
	for _, r := range rows {
		b = appendRow(b[:0], r)
		h.Write(b)
	}
	h.Sum(digest[:0])
	return digest
}

// wallBounds are the least and the greatest wall time of rows, of which there is one.
func wallBounds(rows []*indexRow) (first, last int64) {
	first, last = rows[0].wall, rows[0].wall
	for _, r := range rows[1:] {
		first, last = min(first, r.wall), max(last, r.wall)
	}
	return first, last
}

// index is index.db: a view that can be deleted and derived again (invariants
// A14, D5). It belongs to the integrator goroutine for writing.
type index struct {
	db    *store.DB
	shard string
	// size is how many leaves the view covers; tail are the rows of the unfinished
	// block at its end; blocks are the digests of all finished ones.
	size   int64
	tail   []*indexRow
	blocks []tlog.Hash
	kinds  map[rowKind]int64 // all rows of audit_kind
}

// indexCache is the page cache of index.db in KiB: what one second of full load
// touches.
const indexCache = 16 << 10

// openIndex opens the index, making an empty one when it is missing: being a view,
// it may be.
func openIndex(ctx context.Context, where, shard string) (opened *index, err error) {
	db, err := store.Open(ctx, where, store.Options{Create: true, Sync: store.SyncNormal, Cache: indexCache})
	if err != nil {
		return nil, err
	}
	x := &index{db: db}
	defer func() {
		if err != nil {
			opened, err = nil, errors.Join(err, db.Close())
		}
	}()
	if err := db.Migrate(ctx, "audit_index", migrations("index")); err != nil {
		return nil, err
	}
	if x.kinds, err = readKinds(ctx, db); err != nil {
		return nil, err
	}
	return x, x.turn(ctx, shard)
}

// turn makes shard the one that rows are added to.
func (x *index) turn(ctx context.Context, shard string) (err error) {
	x.shard, x.tail = shard, nil
	x.size, x.blocks, err = readCover(ctx, x.db, shard)
	return err
}

// readKinds returns the numbers of all kinds.
func readKinds(ctx context.Context, q queryer) (map[rowKind]int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT kind, type, tenant, route, decision, reason, idk, chan, op, effect, scope, status, outcome, unread FROM audit_kind`)
	if err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	defer rows.Close()
	kinds := map[rowKind]int64{}
	for rows.Next() {
		var n int64
		var k rowKind
		if err := rows.Scan(&n, &k.typ, &k.tenant, &k.route, &k.decision, &k.reason, &k.idk, &k.channel, &k.op, &k.effect, &k.scope, &k.status, &k.outcome, &k.unread); err != nil {
			return nil, fmt.Errorf("reading index: %w", err)
		}
		kinds[k] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading index: %w", err)
	}
	return kinds, nil
}

// readCover returns how far the view reaches and its block digests.
func readCover(ctx context.Context, q queryer, shard string) (size int64, blocks []tlog.Hash, err error) {
	err = q.QueryRowContext(ctx, `SELECT size FROM audit_cover WHERE shard = $1`, shard).Scan(&size)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, nil, fmt.Errorf("reading index: %w", err)
	}
	rows, err := q.QueryContext(ctx, `SELECT n, digest FROM audit_block WHERE shard = $1 ORDER BY n`, shard)
	if err != nil {
		return 0, nil, fmt.Errorf("reading index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var digest []byte
		if err := rows.Scan(&n, &digest); err != nil {
			return 0, nil, fmt.Errorf("reading index: %w", err)
		}
		if n != int64(len(blocks)) || len(digest) != tlog.HashSize {
			return 0, nil, fmt.Errorf("reading index: %w: block digests have a gap", ErrCorrupt)
		}
		blocks = append(blocks, tlog.Hash(digest))
	}
	if err := rows.Err(); err != nil {
		return 0, nil, fmt.Errorf("reading index: %w", err)
	}
	return size, blocks, nil
}

// clear empties the view of this shard, for deriving it again.
func (x *index) clear(ctx context.Context) error {
	for _, table := range [...]string{"audit_entry", "audit_exposure", "audit_block", "audit_cover"} {
		if _, err := x.db.ExecContext(ctx, "DELETE FROM "+table+" WHERE shard = $1", x.shard); err != nil {
			return fmt.Errorf("clearing index: %w", err)
		}
	}
	// What no other shard uses is forgotten.
	if _, err := x.db.ExecContext(ctx, "DELETE FROM audit_kind WHERE kind NOT IN (SELECT kind FROM audit_entry)"); err != nil {
		return fmt.Errorf("clearing index: %w", err)
	}
	x.size, x.tail, x.blocks = 0, nil, nil
	kinds, err := readKinds(ctx, x.db)
	x.kinds = kinds
	return err
}

// add stores the next rows in one transaction.
func (x *index) add(ctx context.Context, rows []*indexRow) (err error) {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing index: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	main := inserter{tx: tx, dialect: x.db.Dialect, into: "audit_entry (shard, idx, leaf_hash, eid, xid, wall, act, kind)", cols: 8}
	seen := inserter{tx: tx, dialect: x.db.Dialect, into: "audit_exposure (pseudonym, class, kind, shard, idx)", cols: 5}
	tail, size := slices.Clip(x.tail), x.size
	var blocks []tlog.Hash
	fresh := map[rowKind]int64{} // kinds of this transaction
	var newest int64             // the greatest number of a kind; clear leaves gaps
	for _, n := range x.kinds {
		newest = max(newest, n)
	}
	for _, r := range rows {
		if r.idx != size {
			return fmt.Errorf("writing index: row %d does not follow %d", r.idx, size)
		}
		size++
		kind, known := x.kinds[r.rowKind]
		if !known {
			kind, known = fresh[r.rowKind]
		}
		if !known {
			newest++
			kind = newest
			fresh[r.rowKind] = kind
			k := &r.rowKind
			if _, err := tx.ExecContext(ctx, `INSERT INTO audit_kind (kind, type, tenant, route, decision, reason, idk, chan, op, effect, scope, status, outcome, unread)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
				kind, k.typ, k.tenant, k.route, k.decision, k.reason, k.idk, k.channel, k.op, k.effect, k.scope, k.status, k.outcome, k.unread); err != nil {
				return fmt.Errorf("writing index: %w", err)
			}
		}
		if err := main.add(ctx, x.shard, r.idx, r.hash, r.eid, r.xid, r.wall, r.act, kind); err != nil {
			return fmt.Errorf("writing index: %w", err)
		}
		for _, e := range r.exposures {
			if err := seen.add(ctx, e.pseudonym, e.class, e.kind, x.shard, r.idx); err != nil {
				return fmt.Errorf("writing index: %w", err)
			}
		}
		if tail = append(tail, r); len(tail) == tileWidth {
			digest := blockDigest(tail)
			first, last := wallBounds(tail)
			if _, err := tx.ExecContext(ctx, `INSERT INTO audit_block (shard, n, digest, first, last) VALUES ($1, $2, $3, $4, $5)`,
				x.shard, r.idx/tileWidth, digest[:], first, last); err != nil {
				return fmt.Errorf("writing index: %w", err)
			}
			blocks, tail = append(blocks, digest), nil
		}
	}
	if err := errors.Join(main.flush(ctx), seen.flush(ctx)); err != nil {
		return fmt.Errorf("writing index: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO audit_cover (shard, size) VALUES ($1, $2) ON CONFLICT (shard) DO UPDATE SET size = excluded.size`, x.shard, size); err != nil {
		return fmt.Errorf("writing index: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("writing index: %w", err)
	}
	x.size, x.tail, x.blocks = size, tail, append(x.blocks, blocks...)
	maps.Copy(x.kinds, fresh)
	return nil
}
