package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// checkDetails holds the detail store against the digests in consecutive leaves,
// the first of them entry from. Parts without a leaf show here as well.
func (v *verifier) checkDetails(ctx context.Context, from int64, leaves []Leaf) {
	if v.details == nil {
		return
	}
	have, err := loadDetails(ctx, v.details, v.shard, from, from+int64(len(leaves)))
	if err != nil {
		v.failed(ctx, "detail", detailFile, err)
		return
	}
	for i := range leaves {
		idx := from + int64(i)
		n := 0
		for n < len(have) && have[n].idx == idx {
			n++
		}
		if !sameDetails(have[:n], leaves[i].Digests) {
			v.problem("detail", "entry "+strconv.FormatInt(idx, 10), "does not have the sealed parts that its leaf says")
		}
		have = have[n:]
	}
}

func sameDetails(have []detailRow, want []DetailDigest) bool {
	if len(have) != len(want) {
		return false
	}
	for i := range have {
		if digestOf(have[i].Sealed) != want[i] {
			return false
		}
	}
	return true
}

// checkIndexBlock holds the index rows of one bundle against its entries; v.rows
// has what they must be. w is how much of the bundle the checkpoint covers.
func (v *verifier) checkIndexBlock(ctx context.Context, n int64, w int) {
	defer func() {
		if w == tileWidth {
			v.blocks = append(v.blocks, blockDigest(v.rows))
			v.rows = v.rows[:0]
		}
	}()
	if v.index == nil {
		return
	}
	from := n * tileWidth
	if !v.waitForIndex(ctx, from+int64(w)) {
		return
	}
	place := "rows " + strconv.FormatInt(from, 10) + " to " + strconv.FormatInt(from+int64(w)-1, 10)
	have, err := v.readIndex(ctx, from, from+int64(w))
	if err != nil {
		v.failed(ctx, "index", place, err)
		return
	}
	if blockDigest(have) != blockDigest(v.rows) {
		v.problem("index", place, "do not follow from the entries")
	}
	if w < tileWidth {
		return
	}
	var digest []byte
	err = v.index.QueryRowContext(ctx, `SELECT digest FROM audit_block WHERE shard = $1 AND n = $2`, v.shard, n).Scan(&digest)
	if want := blockDigest(v.rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		v.failed(ctx, "index", place, err)
	} else if !bytes.Equal(digest, want[:]) {
		v.problem("index", place, "have another block digest")
	}
}

// waitForIndex waits until the index covers size. It gives up for good when the
// patience is over.
func (v *verifier) waitForIndex(ctx context.Context, size int64) bool {
	patience, cancel := context.WithTimeout(ctx, v.patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var cover int64
		err := v.index.QueryRowContext(ctx, `SELECT size FROM audit_cover WHERE shard = $1`, v.shard).Scan(&cover)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			v.failed(ctx, "index", indexFile, err)
			break
		}
		if cover >= size {
			return true
		}
		select {
		case <-tick.C:
			continue
		case <-patience.Done():
		}
		v.checkIndexRange(ctx)
		v.unchecked(fmt.Sprintf("the index covers %d entries, the checkpoint more; start the gateway to bring it up", cover))
		break
	}
	_ = v.index.Close()
	v.index = nil
	return false
}

// readIndex reads rows with their exposures, in order.
func (v *verifier) readIndex(ctx context.Context, from, to int64) (out []indexRow, err error) {
	rows, err := v.index.QueryContext(ctx, `SELECT idx, leaf_hash, eid, xid, type, wall, tenant, route, decision, reason, act, idk, chan, op, effect, scope, status, outcome
		FROM audit_index WHERE shard = $1 AND idx >= $2 AND idx < $3 ORDER BY idx`, v.shard, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r indexRow
		if err := rows.Scan(&r.idx, &r.hash, &r.eid, &r.xid, &r.typ, &r.wall, &r.tenant, &r.route, &r.decision, &r.reason,
			&r.act, &r.idk, &r.channel, &r.op, &r.effect, &r.scope, &r.status, &r.outcome); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	seen, err := v.index.QueryContext(ctx, `SELECT idx, kind, pseudonym, class FROM audit_exposure
		WHERE shard = $1 AND idx >= $2 AND idx < $3 ORDER BY idx, kind, pseudonym, class`, v.shard, from, to)
	if err != nil {
		return nil, err
	}
	defer seen.Close()
	for at := 0; seen.Next(); {
		var idx int64
		var e exposure
		if err := seen.Scan(&idx, &e.kind, &e.pseudonym, &e.class); err != nil {
			return nil, err
		}
		for at < len(out) && out[at].idx < idx {
			at++
		}
		if at == len(out) || out[at].idx != idx {
			return nil, fmt.Errorf("exposure of row %d without the row", idx)
		}
		out[at].exposures = append(out[at].exposures, e)
	}
	return out, seen.Err()
}

// checkIndexExtent checks how far the index reaches. Its cover cannot be past the
// checkpoint, because the index is written after it.
func (v *verifier) checkIndexExtent(ctx context.Context) {
	if v.index == nil || !v.waitForIndex(ctx, v.edge.size) {
		return
	}
	cover, ok := v.checkIndexRange(ctx)
	if !ok {
		return
	}
	// A running gateway may have locked more since: what the index covers must be
	// locked by now.
	if now, ok := v.lockedSize(ctx); ok && cover > now {
		v.problem("index", indexFile, "covers more than the locked checkpoint")
	}
}

// checkIndexRange looks for rows where none may be: outside the covered range or
// of another shard. It returns the cover.
func (v *verifier) checkIndexRange(ctx context.Context) (cover int64, ok bool) {
	tx, err := v.index.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		v.failed(ctx, "index", indexFile, err)
		return 0, false
	}
	defer func() { _ = tx.Rollback() }()
	var extra int64
	err = tx.QueryRowContext(ctx, `SELECT size FROM audit_cover WHERE shard = $1`, v.shard).Scan(&cover)
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM audit_entry WHERE shard <> $1 OR idx < 0 OR idx >= $2) +
			(SELECT count(*) FROM audit_kind WHERE kind NOT IN (SELECT kind FROM audit_entry)) +
			(SELECT count(*) FROM audit_exposure WHERE shard <> $1 OR idx < 0 OR idx >= $2) +
			(SELECT count(*) FROM audit_block WHERE shard <> $1 OR n < 0 OR n >= $2 / 256) +
			(SELECT count(*) FROM audit_cover WHERE shard <> $1)`, v.shard, cover).Scan(&extra)
	}
	if err != nil {
		v.failed(ctx, "index", indexFile, err)
		return 0, false
	}
	if extra != 0 {
		v.problem("index", indexFile, fmt.Sprintf("has %d rows that belong to no entry", extra))
	}
	return cover, true
}

func (v *verifier) lockedSize(ctx context.Context) (int64, bool) {
	rows, err := v.lock.load(ctx)
	if err != nil {
		v.failed(ctx, "database", lockFile, err)
		return 0, false
	}
	cp, err := openCheckpoint([]byte(rows[v.report.Origin]), v.known)
	if err != nil {
		v.problem("checkpoint", lockFile, err.Error())
		return 0, false
	}
	return cp.size, true
}

// pendingEvents is what the intake held when it was read.
type pendingEvents struct {
	read   bool
	pruned position
	node   string
	rows   []row // without leaf and detail bytes
}

// readIntake reads the intake at one instant and checks each row by itself.
func (v *verifier) readIntake(ctx context.Context) (p pendingEvents) {
	if v.intake == nil {
		return p
	}
	tx, err := v.intake.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		v.failed(ctx, "intake", intakeFile, err)
		return p
	}
	defer func() { _ = tx.Rollback() }()
	var nodes int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM audit_pruned`).Scan(&nodes); err != nil || nodes != 1 {
		v.failed(ctx, "intake", intakeFile, errors.Join(errors.New("must have one deletion mark"), err))
		return p
	}
	if err := tx.QueryRowContext(ctx, `SELECT node, epoch, nseq FROM audit_pruned`).Scan(&p.node, &p.pruned.epoch, &p.pruned.seq); err != nil {
		v.failed(ctx, "intake", intakeFile, err)
		return p
	}
	res, err := tx.QueryContext(ctx, `SELECT node, epoch, nseq, leaf, detail FROM audit_intake ORDER BY node, epoch, nseq`)
	if err != nil {
		v.failed(ctx, "intake", intakeFile, err)
		return p
	}
	defer res.Close()
	for res.Next() {
		var r row
		var node string
		if err := res.Scan(&node, &r.epoch, &r.seq, &r.leaf, &r.detail); err != nil {
			v.failed(ctx, "intake", intakeFile, err)
			return p
		}
		place := fmt.Sprintf("intake row (%d, %d)", r.epoch, r.seq)
		l, err := ParseLeaf(r.leaf)
		if err != nil {
			v.problem("intake", place, err.Error())
			continue
		}
		r.fill(&l)
		if node != p.node || l.Node != node || l.Epoch != r.epoch || l.Seq != r.seq {
			v.problem("intake", place, "holds another leaf than its key says")
		}
		if _, err := rowDetails(&r, 0); err != nil {
			v.problem("intake", place, "does not have the details of its leaf")
		}
		r.hash = tlog.RecordHash(r.leaf)
		r.leaf, r.detail, r.view = nil, nil, indexRow{}
		p.rows = append(p.rows, r)
	}
	if err := res.Err(); err != nil {
		v.failed(ctx, "intake", intakeFile, err)
		return p
	}
	p.read = true
	return p
}

// checkIntake chains the intake's rows to one another and to the tree. Rows that
// the tree has already are vouched for by the one at the tree's end. base is where
// the streams of the tree ended before the intake was read.
func (v *verifier) checkIntake(p pendingEvents, base map[string]position) {
	if !p.read {
		return
	}
	last := v.streams[p.node]
	newest := p.pruned
	if n := len(p.rows); n > 0 {
		newest = p.rows[n-1].position
	}
	if last.before(p.pruned) {
		v.problem("intake", intakeFile, "was emptied further than the tree reaches")
	}
	if newest.before(base[p.node]) || newest.before(p.pruned) {
		v.problem("intake", intakeFile, "ends before the tree: it is an older copy")
	}
	for i, r := range p.rows {
		place := fmt.Sprintf("intake row (%d, %d)", r.epoch, r.seq)
		if r.position.epoch == last.epoch && r.position.seq == last.seq && r.hash != last.hash {
			v.problem("intake", place, "differs from its entry in the tree")
		}
		prev := p.pruned
		prev.hash = r.prev // known only when the row before is at hand
		if i > 0 {
			prev = p.rows[i-1].position
		} else if prev.epoch == last.epoch && prev.seq == last.seq {
			prev = last
		}
		if !prev.next(r.position) || r.prev != prev.hash {
			v.problem("intake", place, "does not follow the row before")
		}
	}
}

// listDetails returns the sealed parts of entries beyond the checkpoint, and
// looks for parts in a place that no entry can have.
func (v *verifier) listDetails(ctx context.Context) []detailRow {
	if v.details == nil {
		return nil
	}
	var strange int
	if err := v.details.QueryRowContext(ctx, `SELECT count(*) FROM audit_detail WHERE shard <> $1 OR idx < 0`, v.shard).Scan(&strange); err != nil {
		v.failed(ctx, "detail", detailFile, err)
		return nil
	}
	if strange > 0 {
		v.problem("detail", detailFile, fmt.Sprintf("has %d sealed parts that belong to no entry", strange))
	}
	rows, err := loadDetails(ctx, v.details, v.shard, v.edge.size, math.MaxInt64)
	if err != nil {
		v.failed(ctx, "detail", detailFile, err)
	}
	return rows
}

// checkAhead holds sealed parts stored ahead of the checkpoint against the intake,
// whose rows become the next entries. An interrupted integration leaves such.
func (v *verifier) checkAhead(rows []detailRow, p pendingEvents) {
	if !p.read {
		return // told already
	}
	last := v.streams[p.node]
	next := map[int64][]DetailDigest{}
	idx := v.edge.size
	for _, r := range p.rows {
		if last.before(r.position) {
			next[idx] = r.digests
			idx++
		}
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].idx == rows[0].idx {
			n++
		}
		if idx := rows[0].idx; idx >= v.edge.size && !sameDetails(rows[:n], next[idx]) {
			v.problem("detail", "entry "+strconv.FormatInt(idx, 10), "has sealed parts but no leaf")
		}
		rows = rows[n:]
	}
}
