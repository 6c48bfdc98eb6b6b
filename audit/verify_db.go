package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// checkDetails holds the detail store against the digests in consecutive leaves,
// the first of them entry from. Parts without a leaf show here as well.
func (v *verifier) checkDetails(ctx context.Context, from int64, leaves []Leaf) {
	for i := range leaves {
		if l := &leaves[i]; l.Type == TypeDetailExpired {
			v.checkExpired(ctx, from+int64(i), l)
		}
	}
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
		if !v.sameParts(have[:n], idx, &leaves[i]) {
			v.problem("detail", v.place("entry "+strconv.FormatInt(idx, 10)), "does not have the sealed parts that its leaf says")
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
	place := v.place("rows " + strconv.FormatInt(from, 10) + " to " + strconv.FormatInt(from+int64(w)-1, 10))
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
	var first, last int64
	err = v.index.QueryRowContext(ctx, `SELECT digest, first, last FROM audit_block WHERE shard = $1 AND n = $2`, v.shard, n).Scan(&digest, &first, &last)
	want := blockDigest(v.rows)
	from, to := wallBounds(v.rows)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		v.failed(ctx, "index", place, err)
	case !bytes.Equal(digest, want[:]):
		v.problem("index", place, "have another block digest")
	case first != from || last != to:
		v.problem("index", place, "were written between other times")
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
		v.checkIndexRange(ctx) // as far as it goes
		v.unchecked(fmt.Sprintf("the index of "+v.shard+" covers %d entries, the checkpoint more; start the gateway to bring it up", cover))
		break
	}
	_ = v.index.Close()
	v.index = nil
	return false
}

// readIndex reads rows with their exposures, in order.
func (v *verifier) readIndex(ctx context.Context, from, to int64) (out []*indexRow, err error) {
	rows, err := v.index.QueryContext(ctx, `SELECT idx, leaf_hash, eid, xid, type, wall, tenant, route, decision, reason, act, idk, chan, op, effect, scope, status, outcome, unread
		FROM audit_index WHERE shard = $1 AND idx >= $2 AND idx < $3 ORDER BY idx`, v.shard, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r := new(indexRow)
		if err := rows.Scan(&r.idx, &r.hash, &r.eid, &r.xid, &r.typ, &r.wall, &r.tenant, &r.route, &r.decision, &r.reason,
			&r.act, &r.idk, &r.channel, &r.op, &r.effect, &r.scope, &r.status, &r.outcome, &r.unread); err != nil {
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

// checkIndexExtent checks how far the index of the shard reaches. Its cover cannot be
// past the checkpoint, because the index is written after it.
func (v *verifier) checkIndexExtent(ctx context.Context) {
	if v.index == nil || !v.waitForIndex(ctx, v.edge.size) {
		return
	}
	var cover int64
	if err := v.index.QueryRowContext(ctx, `SELECT size FROM audit_cover WHERE shard = $1`, v.shard).Scan(&cover); err != nil {
		v.failed(ctx, "index", indexFile, err)
		return
	}
	// A running gateway may have locked more since: what the index covers must be
	// locked by now.
	list, ok := v.readLocked(ctx)
	if !ok {
		return
	}
	at := slices.IndexFunc(list, func(s lockedShard) bool { return s.name == v.shard })
	if at < 0 {
		v.problem("checkpoint", lockFile, "lost a shard during the check")
		return
	}
	now, err := openCheckpoint([]byte(list[at].body), v.known)
	if err != nil {
		v.problem("checkpoint", v.place(lockFile), err.Error())
	} else if cover > now.size {
		v.problem("index", v.place(indexFile), "covers more than the locked checkpoint")
	}
}

// checkIndexRange looks for rows where none may be: outside the covered ranges, or of
// a shard that is not locked.
func (v *verifier) checkIndexRange(ctx context.Context) {
	if v.index == nil {
		return
	}
	extra, shards, err := v.strayRows(ctx)
	if err != nil {
		v.failed(ctx, "index", indexFile, err)
		return
	}
	if extra != 0 {
		v.problem("index", indexFile, fmt.Sprintf("has %d rows that belong to no entry", extra))
	}
	list, ok := v.readLocked(ctx)
	for _, shard := range shards {
		if ok && !slices.ContainsFunc(list, func(s lockedShard) bool { return s.name == shard }) {
			v.problem("index", indexFile, "covers a shard that the log does not have")
		}
	}
}

// strayRows counts the rows outside of what the index says it covers, and returns the
// shards it covers.
func (v *verifier) strayRows(ctx context.Context) (extra int64, shards []string, err error) {
	tx, err := v.index.Snapshot(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = tx.Rollback() }()
	covers := map[string]int64{}
	rows, err := tx.QueryContext(ctx, `SELECT shard, size FROM audit_cover`)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var shard string
		var size int64
		if err := rows.Scan(&shard, &size); err != nil {
			return 0, nil, err
		}
		covers[shard] = size
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, nil, err
	}
	// All rows, less those that have their place.
	err = tx.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM audit_entry) + (SELECT count(*) FROM audit_exposure) + (SELECT count(*) FROM audit_block) +
		(SELECT count(*) FROM audit_kind WHERE kind NOT IN (SELECT kind FROM audit_entry))`).Scan(&extra)
	for shard, size := range covers {
		if err != nil {
			break
		}
		var right int64
		err = tx.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM audit_entry WHERE shard = $1 AND idx >= 0 AND idx < $2) +
			(SELECT count(*) FROM audit_exposure WHERE shard = $1 AND idx >= 0 AND idx < $2) +
			(SELECT count(*) FROM audit_block WHERE shard = $1 AND n >= 0 AND n < $2 / 256)`, shard, size).Scan(&right)
		extra -= right
		shards = append(shards, shard)
	}
	return extra, shards, err
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
	tx, err := v.intake.Snapshot(ctx)
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
	res, err := tx.QueryContext(ctx, `SELECT node, epoch, nseq, last, events FROM audit_intake ORDER BY node, epoch, nseq`)
	if err != nil {
		v.failed(ctx, "intake", intakeFile, err)
		return p
	}
	defer res.Close()
	for res.Next() {
		var c commitRow
		var node string
		if err := res.Scan(&node, &c.epoch, &c.first, &c.last, &c.events); err != nil {
			v.failed(ctx, "intake", intakeFile, err)
			return p
		}
		rows, err := c.rows()
		if err != nil {
			v.problem("intake", fmt.Sprintf("intake row (%d, %d)", c.epoch, c.first), err.Error())
			continue
		}
		for _, r := range rows {
			place := fmt.Sprintf("intake event (%d, %d)", r.epoch, r.seq)
			l, err := ParseLeaf(r.leaf)
			if err != nil {
				v.problem("intake", place, err.Error())
				continue
			}
			r.fill(&l)
			if node != p.node || l.Node != node || l.Epoch != r.epoch || l.Seq != r.seq {
				v.problem("intake", place, "holds another leaf than its key says")
			}
			if _, err := appendRowDetails(nil, &r, 0); err != nil {
				v.problem("intake", place, "does not have the details of its leaf")
			}
			r.hash = tlog.RecordHash(r.leaf)
			r.leaf, r.detail, r.view, r.closes = nil, nil, nil, l.Type == TypeShardClosed
			p.rows = append(p.rows, r)
		}
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
	v.noteAhead(p, last)
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
		place := fmt.Sprintf("intake event (%d, %d)", r.epoch, r.seq)
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

// noteAhead says how many events are durable and not in the tree yet. Their order is
// checked by their hashes; whoever can write the file can write those.
func (v *verifier) noteAhead(p pendingEvents, last position) {
	n := 0
	for _, r := range p.rows {
		if last.before(r.position) {
			n++
		}
	}
	switch n {
	case 0:
	case 1:
		v.note("1 durable event under no checkpoint yet: not checked against a signature, only whether it follows the last entry")
	default:
		v.note(fmt.Sprintf("%d durable events under no checkpoint yet: not checked against a signature, only whether they follow one another", n))
	}
}

// listDetails looks for sealed parts in a place that no entry can have, and returns
// those of entries beyond the checkpoint.
func (v *verifier) listDetails(ctx context.Context) []detailRow {
	if v.details == nil {
		return nil
	}
	args, places := []any{}, []string{}
	for _, s := range v.report.Shards {
		_, name, _ := splitOrigin(s.Origin)
		args = append(args, name)
		places = append(places, fmt.Sprintf("$%d", len(args)))
	}
	// A shard that began while we looked is looked at again in its turn.
	list, ok := v.readLocked(ctx)
	var strange int
	if err := v.details.QueryRowContext(ctx, `SELECT count(*) FROM audit_detail WHERE shard NOT IN (`+strings.Join(places, ", ")+`) OR idx < 0`, args...).Scan(&strange); err != nil {
		v.failed(ctx, "detail", detailFile, err)
		return nil
	}
	if after, still := v.readLocked(ctx); strange > 0 && ok && still && len(after) == len(list) && len(after) == len(v.report.Shards) {
		v.problem("detail", detailFile, fmt.Sprintf("has %d sealed parts that belong to no entry", strange))
	}
	return v.readDetails(ctx)
}

// readDetails returns the sealed parts of entries of the shard beyond the checkpoint.
func (v *verifier) readDetails(ctx context.Context) []detailRow {
	if v.details == nil {
		return nil
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
		if last.before(r.position) && v.closed == nil {
			next[idx] = r.digests
			idx++
		}
		if r.closes {
			break // what follows is of the next shard, and stored when that has begun
		}
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].idx == rows[0].idx {
			n++
		}
		if idx := rows[0].idx; idx >= v.edge.size && !sameDetails(rows[:n], next[idx]) {
			v.problem("detail", v.place("entry "+strconv.FormatInt(idx, 10)), "has sealed parts but no leaf")
		}
		rows = rows[n:]
	}
}
