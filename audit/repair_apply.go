package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// repairFile lies in the audit folder while a repair replaces files. A log with it is
// not opened: it may be half old and half new.
const repairFile = "REPAIR"

// repairPlan is what repairFile holds: all that is still to be done, each step of which
// can be repeated.
type repairPlan struct {
	// Aside is the folder in the data directory with the damaged files; its folder new
	// holds those that take their place.
	Aside string `json:"aside"`
	// Place are files to be put into the audit folder, Remove files to be taken out.
	Place  []string `json:"place"`
	Remove []string `json:"remove"`
	// Origin is the newest shard, Size where its tree ends. Lock is the checkpoint that
	// the lock store shall have of it, "" to leave it.
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Lock   string `json:"lock"`
	// Intake and Index say that these are replaced; in PostgreSQL, by their rows.
	Intake bool      `json:"intake"`
	Index  bool      `json:"index"`
	Rows   []planRow `json:"rows,omitempty"`
	Mark   [2]int64  `json:"mark"`
	Node   string    `json:"node"`
	// Details says that the detail store is replaced; in PostgreSQL, Unfit are taken out
	// of it and Restore put in.
	Details bool         `json:"details,omitempty"`
	Unfit   []planDetail `json:"unfit,omitempty"`
	Restore []planDetail `json:"restore,omitempty"`

	// Not in repairFile:
	files []planFiles
	lost  string // what the leaf says of lost details
}

type planRow struct {
	Epoch, First, Last int64
	Events             []byte
}

type planFiles struct {
	name string
	data []byte
}

// add plans a file of the audit folder.
func (p *repairPlan) add(name string, data []byte) {
	p.files = append(p.files, planFiles{name, data})
}

// readRepair returns the plan of a repair that was interrupted, nil when there is none.
func readRepair(dir string) (*repairPlan, error) {
	data, err := os.ReadFile(filepath.Join(dir, repairFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := new(repairPlan)
	if err := json.Unmarshal(data, p); err != nil || p.Aside != filepath.Base(p.Aside) {
		return nil, fmt.Errorf("%w: %s is not a plan of a repair", ErrUnrepairable, repairFile)
	}
	for _, name := range slices.Concat(p.Place, p.Remove) {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, fmt.Errorf("%w: %s is not a plan of a repair", ErrUnrepairable, repairFile)
		}
	}
	return p, nil
}

// apply carries the plan out. Up to the plan's own file nothing of the log is changed;
// behind it, everything is repeated until it is done.
func (r *repairer) apply(ctx context.Context, o *RepairOptions) error {
	p, now := &r.plan, time.UnixMilli(r.clock.wallMS()).UTC()
	p.Aside = "audit-damaged-" + now.Format("20060102T150405.000Z")
	p.Origin, p.Size, p.Node = r.report.Origin, r.report.Size, r.node
	aside := filepath.Join(r.data, p.Aside)
	r.report.Aside = aside
	if err := os.MkdirAll(filepath.Join(aside, "new"), 0o700); err != nil {
		return err
	}
	if err := r.makeFiles(ctx, filepath.Join(aside, "new")); err != nil {
		return err
	}
	kept, err := r.keepAside(ctx, aside)
	if err != nil {
		return err
	}
	if err := r.keepNote(aside, o.Note, now); err != nil {
		return err
	}
	if err := r.announce(o, kept, now); err != nil {
		return err
	}
	plan, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := store.WriteFile(filepath.Join(r.dir, repairFile), plan, 0o600); err != nil {
		return err
	}
	if err := r.cfg.hooks.run(hookRepair); err != nil {
		return err
	}
	return p.finish(ctx, r)
}

// makeFiles writes what takes the place of damaged files. Databases in PostgreSQL get
// their rows in finish.
func (r *repairer) makeFiles(ctx context.Context, to string) error {
	p := &r.plan
	var files []store.File
	for _, f := range p.files {
		files = append(files, store.File{Path: filepath.Join(to, filepath.FromSlash(f.name)), Data: f.data})
		p.Place = append(p.Place, f.name)
	}
	if err := store.WriteFiles(files, 0o600); err != nil {
		return err
	}
	if p.Intake {
		p.Mark = [2]int64{r.last.epoch, r.last.seq}
		for _, c := range r.rows {
			p.Rows = append(p.Rows, planRow{c.epoch, c.first, c.last, c.events})
		}
	}
	if r.cfg.Database != "" {
		p.Unfit, p.Restore = r.details.unfitRows, r.details.restore
		return nil
	}
	if p.Details {
		p.Place = append(p.Place, detailFile)
		if err := r.makeDetails(ctx, filepath.Join(to, detailFile)); err != nil {
			return err
		}
	}
	if p.Intake {
		p.Place = append(p.Place, intakeFile)
		if err := r.makeIntake(ctx, filepath.Join(to, intakeFile)); err != nil {
			return err
		}
		p.Rows = nil
	}
	if p.Lock != "" && r.replaceLock {
		p.Place = append(p.Place, lockFile)
		if err := r.makeLock(ctx, filepath.Join(to, lockFile)); err != nil {
			return err
		}
	}
	if p.Index {
		p.Remove = append(p.Remove, indexFile)
	}
	return nil
}

// makeIntake makes a file with the rows that are left.
func (r *repairer) makeIntake(ctx context.Context, path string) error {
	in, err := openIntake(ctx, path, r.node, true)
	if err != nil {
		return err
	}
	_, _, err = in.claim(ctx)
	if err == nil {
		_, err = in.write(&group{}, &r.last)
	}
	for _, c := range r.rows {
		if err == nil {
			_, err = in.db.ExecContext(ctx, `INSERT INTO audit_intake (node, epoch, nseq, last, events) VALUES ($1, $2, $3, $4, $5)`, r.node, c.epoch, c.first, c.last, c.events)
		}
	}
	return errors.Join(err, in.close())
}

// makeLock makes a lock store: of shards before the newest, what their trees have.
func (r *repairer) makeLock(ctx context.Context, path string) error {
	lock, err := openLockStore(ctx, path, true)
	if err != nil {
		return err
	}
	list, err := os.ReadDir(filepath.Join(r.dir, treeDir))
	for _, e := range list {
		if !e.IsDir() || !validShard(e.Name()) || e.Name() > filepath.Base(r.tree) || err != nil {
			continue
		}
		body := r.plan.Lock
		if e.Name() != filepath.Base(r.tree) {
			var signed []byte
			signed, err = readTreeFile(filepath.Join(r.dir, treeDir, e.Name()), checkpointFile)
			body = string(signed)
		}
		if err == nil {
			err = lock.insert(ctx, originOf(r.cfg.Deployment, e.Name()), body)
		}
	}
	return errors.Join(err, lock.db.Close())
}

// keepAside copies what will be replaced or taken out, with what SQLite keeps beside,
// and returns the hash of each copy by its name.
func (r *repairer) keepAside(ctx context.Context, aside string) (map[string]string, error) {
	kept := map[string]string{}
	names := slices.Concat(r.plan.Place, r.plan.Remove)
	if r.plan.Lock != "" && !r.replaceLock && r.cfg.Database == "" {
		names = append(names, lockFile)
	}
	for _, name := range names {
		for _, suffix := range databaseFiles(name) {
			sum, err := copyFile(filepath.Join(aside, filepath.FromSlash(name+suffix)), filepath.Join(r.dir, filepath.FromSlash(name+suffix)))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			kept[name+suffix] = sum
		}
	}
	if err := r.keepDetails(ctx, aside, kept); err != nil {
		return nil, err
	}
	if len(r.plan.Unfit) > 0 {
		if err := keepRows(aside, "audit_detail_unfit.json", r.plan.Unfit, kept); err != nil {
			return nil, err
		}
	}
	if r.plan.Intake && r.cfg.Database != "" {
		_, rows, err := r.readIntakeRows(ctx)
		if err != nil {
			return nil, err
		}
		var list []planRow
		for _, c := range rows {
			list = append(list, planRow{c.epoch, c.first, c.last, c.events})
		}
		if err := keepRows(aside, "audit_intake.json", list, kept); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// keepRows writes rows of a database aside.
func keepRows(aside, name string, rows any, kept map[string]string) error {
	data, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	if err := store.WriteFile(filepath.Join(aside, name), data, 0o600); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	kept[name] = hex.EncodeToString(sum[:])
	return nil
}

// keepDetails writes the sealed details aside that dropAhead will remove. A detail store
// that is replaced is kept whole.
func (r *repairer) keepDetails(ctx context.Context, aside string, kept map[string]string) error {
	if !r.plan.Intake || r.plan.Details && r.cfg.Database == "" {
		return nil
	}
	db, err := openReader(ctx, r.dir, detailFile)
	if err != nil {
		return err
	}
	rows, err := loadDetails(ctx, db, filepath.Base(r.tree), r.plan.Size, math.MaxInt64)
	if err := errors.Join(err, db.Close()); err != nil || len(rows) == 0 {
		return err
	}
	parts := map[int64][]Sealed{}
	for _, d := range rows {
		parts[d.idx] = append(parts[d.idx], d.Sealed)
	}
	return keepRows(aside, "audit_detail.json", parts, kept)
}

// databaseFiles are the endings of the files that belong to a database file.
func databaseFiles(name string) []string {
	if strings.HasSuffix(name, ".db") {
		return []string{"", "-wal", "-shm"}
	}
	return []string{""}
}

// copyFile copies durably and returns the SHA-256 of what it copied.
func copyFile(to, from string) (sum string, err error) {
	src, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(dst, h), src)
	if err := errors.Join(err, dst.Sync(), dst.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), store.SyncDir(filepath.Dir(to))
}

// keepNote writes for people what was found and who decided.
func (r *repairer) keepNote(aside, note string, now time.Time) error {
	text := fmt.Sprintf("Damaged files of the audit log %s, kept aside on %s.\n%s\n\n", r.origin, now.Format(time.RFC3339), note)
	for _, f := range r.report.Findings {
		text += fmt.Sprintf("%s %s.\n  done: %s\n  lost: %s\n", f.Part, f.What, f.Do, f.lost())
	}
	return store.WriteFile(filepath.Join(aside, "README.txt"), []byte(text), 0o600)
}

func (f *RepairFinding) lost() string {
	if f.Lost == "" {
		return "nothing"
	}
	return f.Lost
}

// maxKept bounds the files whose hashes stand in the leaf; the folder has all.
const maxKept = 16

// announce puts the gap into the marker before anything is changed, so that no
// interruption leaves a repaired log that does not say so.
func (r *repairer) announce(o *RepairOptions, kept map[string]string, now time.Time) error {
	path := filepath.Join(r.data, gapFileName)
	err := ensureGapFile(path)
	if errors.Is(err, errGapFile) {
		err = makeGapFile(path)
	}
	if err != nil {
		return err
	}
	seq, s, err := readGapFile(path)
	if err != nil {
		return err
	}
	id := NewID()
	actor, details, err := o.Seal(r.origin, id)
	if err != nil {
		return err
	}
	ms := now.UnixMilli()
	g := &gapRecord{
		ID: id.String(), Cause: GapRepair, From: r.wall, Last: ms, To: ms, Actor: ID(actor).String(), Details: details,
		Attrs: map[string]string{"aside": r.plan.Aside},
	}
	for _, f := range r.report.Findings {
		name := "lost." + strings.ReplaceAll(f.Part, " ", "_")
		if had := g.Attrs[name]; had != "" {
			g.Attrs[name] = had + "; " + f.lost()
			continue
		}
		g.Attrs[name] = f.lost()
	}
	if r.plan.lost != "" {
		g.Attrs[attrLostDetails] = r.plan.lost
	}
	names := make([]string, 0, len(kept))
	for name := range kept {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), maxKept)] {
		if key := "kept." + name; len(key) <= maxClass {
			g.Attrs[key] = kept[name]
		}
	}
	s.Gaps = append(s.Gaps, g)
	r.report.Gap = id
	return writeGapFile(path, seq+1, s)
}

// finish does what the plan says, from its begin or from where an interruption left
// it, and then takes the plan away.
func (p *repairPlan) finish(ctx context.Context, r *repairer) error {
	fresh := filepath.Join(r.data, p.Aside, "new")
	dirs := map[string]bool{r.dir: true}
	for _, name := range p.Place {
		from, to := filepath.Join(fresh, filepath.FromSlash(name)), filepath.Join(r.dir, filepath.FromSlash(name))
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue // done before the interruption
		}
		if err := removeBeside(to, name); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
		dirs[filepath.Dir(to)] = true
		if err := r.cfg.hooks.run(hookRepair); err != nil {
			return err
		}
	}
	for _, name := range p.Remove {
		to := filepath.Join(r.dir, filepath.FromSlash(name))
		if err := errors.Join(removeBeside(to, name), os.RemoveAll(to)); err != nil {
			return err
		}
	}
	for dir := range dirs {
		if err := store.SyncDir(dir); err != nil {
			return err
		}
	}
	if err := p.finishRows(ctx, r); err != nil {
		return err
	}
	if err := r.cfg.hooks.run(hookRepair); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(r.dir, repairFile)); err != nil {
		return err
	}
	return store.SyncDir(r.dir)
}

// removeBeside removes what SQLite keeps beside a database file: it must not be taken
// for that of the new one.
func removeBeside(path, name string) error {
	for _, suffix := range databaseFiles(name)[1:] {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// dropAhead removes the sealed details that were stored ahead of the tree: those of
// events that are left are stored again, those of others belong to nothing.
func (p *repairPlan) dropAhead(ctx context.Context, r *repairer) error {
	_, shard, err := splitOrigin(p.Origin)
	if err != nil {
		return err
	}
	details, err := openDetails(ctx, r.where(detailFile), false)
	if err != nil {
		return err
	}
	_, err = details.ExecContext(ctx, `DELETE FROM audit_detail WHERE shard = $1 AND idx >= $2`, shard, p.Size)
	return errors.Join(err, details.Close())
}

// finishRows changes rows where they stand: the lock store's, and in PostgreSQL those
// of intake and index.
func (p *repairPlan) finishRows(ctx context.Context, r *repairer) (err error) {
	if p.Lock != "" && !slices.Contains(p.Place, lockFile) {
		lock, err := openLockStore(ctx, r.where(lockFile), false)
		if err != nil {
			return err
		}
		_, err = lock.db.ExecContext(ctx, `INSERT INTO audit_lock (origin, body) VALUES ($1, $2) ON CONFLICT (origin) DO UPDATE SET body = excluded.body`, p.Origin, p.Lock)
		if err := errors.Join(err, lock.db.Close()); err != nil {
			return err
		}
	}
	if p.Intake || p.Details {
		if err := p.dropAhead(ctx, r); err != nil {
			return err
		}
	}
	if err := p.finishDetails(ctx, r); err != nil {
		return err
	}
	if r.cfg.Database == "" || !p.Intake && !p.Index {
		return nil
	}
	db, err := store.Open(ctx, r.cfg.Database, store.Options{})
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
	if p.Intake {
		if _, err := tx.ExecContext(ctx, `DELETE FROM audit_intake WHERE node = $1`, p.Node); err != nil {
			return err
		}
		for _, c := range p.Rows {
			if _, err := tx.ExecContext(ctx, `INSERT INTO audit_intake (node, epoch, nseq, last, events) VALUES ($1, $2, $3, $4, $5)`, p.Node, c.Epoch, c.First, c.Last, c.Events); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO audit_pruned (node, epoch, nseq) VALUES ($1, $2, $3)
			ON CONFLICT (node) DO UPDATE SET epoch = excluded.epoch, nseq = excluded.nseq`, p.Node, p.Mark[0], p.Mark[1]); err != nil {
			return err
		}
	}
	if p.Index {
		for _, table := range [...]string{"audit_entry", "audit_exposure", "audit_block", "audit_cover", "audit_kind"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}
