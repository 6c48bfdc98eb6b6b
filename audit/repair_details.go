package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// detailRepair is what a repair knows of the sealed details. They are believed only
// when they have the digests that stand in their leaf, so nothing that damage made of
// them is ever kept.
type detailRepair struct {
	shards []signedSize
	// spare are details that stand in the intake as well, by the hash of their leaf.
	spare map[tlog.Hash][]Sealed
	// told are the parts that the log says are not there, each kind with the leaf up to
	// which details expired.
	told    expiries
	expired map[expiryKey]int64
	lost    lostDetails
	// fitting parts were found where they belong, restored ones in the intake.
	fitting, restored int64
	// unfit belong to no leaf. They are kept in memory for a database only: of a file
	// there is a copy.
	unfit     int64
	unfitRows []planDetail
	restore   []planDetail
}

// planDetail is a row of the detail store in a plan.
type planDetail struct {
	Shard string `json:"shard"`
	Idx   int64  `json:"idx"`
	Sealed
}

// lookAtDetails holds the detail store against the leaves of all shards. What does not
// fit goes, what is not there is told as lost, unless the log says that it expired or
// was lost before.
func (r *repairer) lookAtDetails(ctx context.Context, base checkpoint) error {
	d := &r.details
	if err := r.signedSizes(base); err != nil {
		return err
	}
	if err := r.readTold(ctx); err != nil {
		return err
	}
	r.readSpare(ctx)
	why := ""
	db, err := openReader(ctx, r.dir, detailFile)
	if err == nil {
		err = r.intact(ctx, db)
	}
	if err != nil && r.cfg.Database != "" {
		return err // a server that does not answer is nothing to repair
	}
	if err != nil {
		why = "cannot be read whole as a database"
		if _, err := os.Stat(filepath.Join(r.dir, detailFile)); errors.Is(err, fs.ErrNotExist) {
			why = "are missing"
		}
	}
	err = errors.Join(r.scanDetails(ctx, db), r.scanStray(ctx, db))
	if db != nil {
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		return err
	}
	lost := d.lost.text()
	r.plan.Details = why != "" || d.unfit > 0 || d.restored > 0
	switch {
	case why != "":
	case d.unfit > 0:
		why = fmt.Sprintf("have %d parts that are not those of their entries", d.unfit)
	case lost != "" || d.restored > 0:
		why = "lack parts, and no entry says that they expired"
	default:
		return nil
	}
	if r.plan.lost, err = d.lost.encode(); err != nil {
		return err
	}
	r.found("details", why, fmt.Sprintf("keep the %d parts that fit their entries and %d that the intake still has, and no other", d.fitting, d.restored), lost)
	return nil
}

// signedSizes lists the shards up to the newest with the sizes of their checkpoints.
func (r *repairer) signedSizes(base checkpoint) error {
	list, err := os.ReadDir(filepath.Join(r.dir, treeDir))
	if err != nil {
		return err
	}
	newest := filepath.Base(r.tree)
	for _, e := range list {
		if name := e.Name(); e.IsDir() && validShard(name) && name < newest {
			body := []byte(r.locked[originOf(r.cfg.Deployment, name)])
			if len(body) == 0 {
				if body, err = readTreeFile(filepath.Join(r.dir, treeDir, name), checkpointFile); err != nil {
					return fmt.Errorf("%w: %w", ErrUnrepairable, err)
				}
			}
			c, err := unsignedCheckpoint(body)
			if err != nil {
				return fmt.Errorf("%w: the checkpoint of shard %s: %w", ErrUnrepairable, name, err)
			}
			r.details.shards = append(r.details.shards, signedSize{name, c.size})
		}
	}
	r.details.shards = append(r.details.shards, signedSize{newest, base.size})
	return nil
}

// readTold reads what the log says of details that are not there.
func (r *repairer) readTold(ctx context.Context) error {
	d := &r.details
	d.expired = map[expiryKey]int64{}
	for _, s := range d.shards {
		err := r.eachLeaf(ctx, s, func(idx int64, _ tlog.Hash, l *Leaf) error {
			switch l.Type {
			case TypeDetailExpired:
				k, s, err := expiredRange(l)
				if err != nil {
					return err
				}
				d.told.tell(k, s)
				d.expired[k] = max(d.expired[k], s.to)
			case TypeGap:
				g, err := gapOf(idx, l)
				if err != nil {
					return err
				}
				for _, lost := range g.Details {
					d.told.tell(lost.key(), span{lost.From, lost.To})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	d.told.settle()
	return nil
}

// eachLeaf reads the leaves of a shard.
func (r *repairer) eachLeaf(ctx context.Context, s signedSize, do func(idx int64, hash tlog.Hash, l *Leaf) error) error {
	err := eachEntry(filepath.Join(r.dir, treeDir, s.shard), 0, s.size, func(idx int64, entry []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		l, err := ParseLeaf(entry)
		if err != nil {
			return err
		}
		return do(idx, tlog.RecordHash(entry), &l)
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: the entries of shard %s, which say what details there are: %w", ErrUnrepairable, s.shard, err)
	}
	return err
}

// readSpare finds details in the intake of events that the tree has already: they are
// deleted there a moment after they were stored. An intake that cannot be read has none.
func (r *repairer) readSpare(ctx context.Context) {
	_, commits, _ := r.readIntakeRows(ctx) // an error is told by lookAtIntake
	r.details.spare = map[tlog.Hash][]Sealed{}
	for i := range commits {
		rows, err := commits[i].rows()
		if err != nil {
			continue
		}
		for j := range rows {
			if parts, err := parseDetails(rows[j].detail); err == nil {
				r.details.spare[tlog.RecordHash(rows[j].leaf)] = parts
			}
		}
	}
}

// scanDetails compares all stored details with the leaves. A nil db has none.
func (r *repairer) scanDetails(ctx context.Context, db *store.DB) error {
	d := &r.details
	d.lost = newLostDetails()
	return r.eachDetail(ctx, db, func(shard string, idx int64, l *Leaf, have []detailRow, spare []Sealed) error {
		kept := 0
		for _, want := range l.Digests {
			k := expiryKey{shard, l.Retention, partKind(want.Part)}
			fits := func(s Sealed) bool { return s.Part == want.Part && digestOf(s) == want }
			at := slices.IndexFunc(spare, fits)
			switch {
			case slices.ContainsFunc(have, func(row detailRow) bool { return fits(row.Sealed) }):
				kept++
				d.lost.there(k, idx)
			case d.told.covered(k, span{idx, idx + 1}):
				d.lost.there(k, idx)
			case at >= 0:
				d.restored++
				d.lost.there(k, idx)
				if r.cfg.Database != "" {
					d.restore = append(d.restore, planDetail{shard, idx, spare[at]})
				}
			default:
				d.lost.add(k, idx)
			}
		}
		d.fitting += int64(kept)
		d.unfit += int64(len(have) - kept)
		for _, row := range have {
			if r.cfg.Database != "" && !fitsLeaf(row.Sealed, l) {
				d.unfitRows = append(d.unfitRows, planDetail{shard, idx, row.Sealed})
			}
		}
		return nil
	})
}

// fitsLeaf reports whether a leaf has the digest of a sealed part.
func fitsLeaf(s Sealed, l *Leaf) bool { return slices.Contains(l.Digests, digestOf(s)) }

// eachDetail reads all leaves with the details stored in their places, and those that
// the intake has.
func (r *repairer) eachDetail(ctx context.Context, db *store.DB, do func(shard string, idx int64, l *Leaf, have []detailRow, spare []Sealed) error) error {
	for _, s := range r.details.shards {
		var have []detailRow
		err := r.eachLeaf(ctx, s, func(idx int64, hash tlog.Hash, l *Leaf) error {
			if idx%tileWidth == 0 {
				var err error
				if have, err = r.salvage(ctx, db, s.shard, idx, min(idx+tileWidth, s.size)); err != nil {
					return err
				}
			}
			n := 0
			for n < len(have) && have[n].idx == idx {
				n++
			}
			// What a damaged page says may stand in the wrong place; it is not believed.
			mine := have[:n]
			for have = have[n:]; len(have) > 0 && have[0].idx <= idx; have = have[1:] {
				r.details.unfit++
			}
			return do(s.shard, idx, l, mine, r.details.spare[hash])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// salvage reads the details of a range of entries. What a file cannot give at once is
// asked for in halves, so that only what stands on damaged pages is not there.
func (r *repairer) salvage(ctx context.Context, db *store.DB, shard string, from, to int64) ([]detailRow, error) {
	if db == nil {
		return nil, nil
	}
	rows, err := loadDetails(ctx, db, shard, from, to)
	switch {
	case err == nil:
		return rows, nil
	case ctx.Err() != nil || r.cfg.Database != "":
		return nil, err
	case to-from > 1:
		half := from + (to-from)/2
		first, err := r.salvage(ctx, db, shard, from, half)
		if err != nil {
			return nil, err
		}
		rest, err := r.salvage(ctx, db, shard, half, to)
		return append(first, rest...), err
	}
	return r.salvageParts(ctx, db, shard, from)
}

// salvageParts reads what can be read of one entry's details, up to the first that
// cannot from either end.
func (r *repairer) salvageParts(ctx context.Context, db *store.DB, shard string, idx int64) (out []detailRow, err error) {
	for _, order := range [...]string{"", " DESC"} {
		// That it ends in an error is why we are here.
		rows, _ := readDetails(ctx, db, `SELECT idx, part, key, ciphertext, commitment FROM audit_detail WHERE shard = $1 AND idx = $2 ORDER BY part`+order, shard, idx)
		for _, row := range rows {
			if !slices.ContainsFunc(out, func(o detailRow) bool { return o.Part == row.Part }) {
				out = append(out, row)
			}
		}
	}
	return out, ctx.Err()
}

// shardsOfDetails are those that have any.
func shardsOfDetails(ctx context.Context, db *store.DB) (shards []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT DISTINCT shard FROM audit_detail`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var shard string
		if err := rows.Scan(&shard); err != nil {
			return shards, err
		}
		shards = append(shards, shard)
	}
	return shards, rows.Err()
}

// scanStray looks for details in places that no entry has. Those of entries that the
// tree is about to get have theirs in the intake.
func (r *repairer) scanStray(ctx context.Context, db *store.DB) error {
	if db == nil {
		return nil
	}
	d := &r.details
	sizes := map[string]int64{}
	for _, s := range d.shards {
		sizes[s.shard] = s.size
	}
	shards, err := shardsOfDetails(ctx, db)
	next := r.nextDigests()
	for _, shard := range shards {
		for _, outside := range [...][2]int64{{math.MinInt64, 0}, {sizes[shard], math.MaxInt64}} {
			stray, e := loadDetails(ctx, db, shard, outside[0], outside[1])
			err = errors.Join(err, e)
			for _, row := range stray {
				if row.idx >= 0 && shard == filepath.Base(r.tree) && slices.Contains(next[row.idx], digestOf(row.Sealed)) {
					continue
				}
				d.unfit++
				if r.cfg.Database != "" {
					d.unfitRows = append(d.unfitRows, planDetail{shard, row.idx, row.Sealed})
				}
			}
		}
	}
	if r.cfg.Database == "" && ctx.Err() == nil {
		return nil // what cannot be read of a file is not taken over
	}
	return err
}

// nextDigests are those of the entries that the tree will get from the intake.
func (r *repairer) nextDigests() map[int64][]DetailDigest {
	next, idx := map[int64][]DetailDigest{}, r.report.Size
	for i := range r.rows {
		rows, err := r.rows[i].rows()
		if err != nil {
			return next // cannot be: they were read before
		}
		for j := range rows {
			l, err := ParseLeaf(rows[j].leaf)
			if err != nil {
				return next
			}
			if r.last.before(rows[j].position) {
				next[idx] = l.Digests
				idx++
			}
		}
	}
	return next
}

// makeDetails makes a detail store of what fits.
func (r *repairer) makeDetails(ctx context.Context, path string) (err error) {
	old, err := openReader(ctx, r.dir, detailFile)
	if err != nil {
		old = nil
	} else {
		defer func() { err = errors.Join(err, old.Close()) }()
	}
	made, err := openDetails(ctx, path, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	if err := r.copyProgress(ctx, made, old); err != nil {
		return err
	}
	var batch []detailRow
	at := ""
	flush := func() error {
		err := storeDetails(ctx, made, at, batch)
		batch = batch[:0]
		return err
	}
	err = r.eachDetail(ctx, old, func(shard string, idx int64, l *Leaf, have []detailRow, spare []Sealed) error {
		if shard != at || len(batch) >= readRows {
			if err := flush(); err != nil {
				return err
			}
			at = shard
		}
		for _, want := range l.Digests {
			fits := func(s Sealed) bool { return digestOf(s) == want }
			if i := slices.IndexFunc(have, func(row detailRow) bool { return fits(row.Sealed) }); i >= 0 {
				batch = append(batch, have[i])
			} else if i := slices.IndexFunc(spare, fits); i >= 0 && !r.details.told.covered(expiryKey{shard, l.Retention, partKind(want.Part)}, span{idx, idx + 1}) {
				batch = append(batch, detailRow{idx, spare[i]})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// copyProgress takes over how far details have expired and when the clock was believed.
// What cannot be read is taken from the log: it says how far details have expired, and
// its last entry is the least that the clock was.
func (r *repairer) copyProgress(ctx context.Context, made, old *store.DB) error {
	for k, to := range r.details.expired {
		done, gone := to, to
		if old != nil {
			if d, g, err := readExpiry(ctx, old, k.shard, &Expiry{Class: k.class, Part: k.part}); err == nil {
				done, gone = max(done, d), max(gone, g)
			}
		}
		if err := writeExpiry(ctx, made, k.shard, &Expiry{Class: k.class, Part: k.part}, done, gone); err != nil {
			return err
		}
	}
	wall, mono, boot := r.wall, int64(0), ""
	if old != nil {
		var w, m int64
		var b string
		if old.QueryRowContext(ctx, `SELECT wall, mono, boot FROM audit_clock WHERE id = 1`).Scan(&w, &m, &b) == nil {
			wall, mono, boot = w, m, b
		}
	}
	_, err := made.ExecContext(ctx, `INSERT INTO audit_clock (id, wall, mono, boot) VALUES (1, $1, $2, $3)`, wall, mono, boot)
	return err
}

// finishDetails changes rows in PostgreSQL: it takes out what does not fit and puts in
// what the intake had.
func (p *repairPlan) finishDetails(ctx context.Context, r *repairer) (err error) {
	if len(p.Unfit) == 0 && len(p.Restore) == 0 {
		return nil
	}
	db, err := openDetails(ctx, r.where(detailFile), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	for _, d := range p.Unfit {
		if _, err := tx.ExecContext(ctx, `DELETE FROM audit_detail WHERE shard = $1 AND idx = $2 AND part = $3`, d.Shard, d.Idx, d.Part); err != nil {
			return err
		}
	}
	for _, d := range p.Restore {
		if _, err := tx.ExecContext(ctx, `INSERT INTO audit_detail (shard, idx, part, key, ciphertext, commitment) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			d.Shard, d.Idx, d.Part, d.Key, nonNil(d.Ciphertext), nonNil(d.Commitment)); err != nil {
			return err
		}
	}
	return tx.Commit()
}
