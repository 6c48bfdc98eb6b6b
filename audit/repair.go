package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/caregate/caregate/internal/store"
)

// RepairOptions says what to repair and who answers for it.
type RepairOptions struct {
	// Config is that of Open. Without a Deployment it is the log's own, without a Database
	// the one that the directory names.
	Config
	// Apply carries the plan out. Without it nothing is changed.
	Apply bool
	// Seal gives who repairs, and the sealed details with name and reason, for the leaf
	// called id in the shard called origin. Required with Apply.
	Seal func(origin string, id ID) (Pseudonym, []Sealed, error)
	// Note is kept beside the damaged files, for people: who, why.
	Note string
}

// RepairFinding is one thing that keeps the log from being opened, or from verifying.
type RepairFinding struct {
	// Part is what is damaged: lock store, checkpoint, tree, intake, details, index.
	Part string
	// What is wrong, and what would be done about it.
	What, Do string
	// Lost is what cannot be brought back, empty for nothing.
	Lost string
}

// RepairReport is what Repair found, and did.
type RepairReport struct {
	// Origin and Size are the signed checkpoint that the log goes on from.
	Origin string
	Size   int64
	// Unfinished says that a repair was interrupted, and is finished first.
	Unfinished bool
	Findings   []RepairFinding
	// Applied is set when the plan was carried out. Aside is the folder with the damaged
	// files, Gap the log.gap leaf that tells of it.
	Applied bool
	Aside   string
	Gap     ID
}

// ErrUnrepairable is wrapped by Repair when what is missing can only come from a backup
// or the archive: going on without it would sign a second history (invariant A7), or
// leave entries that nobody can read any more.
var ErrUnrepairable = errors.New("the audit log cannot be repaired from what is here")

// repairer looks at a damaged log. Nothing is changed before its plan is complete.
type repairer struct {
	core
	report RepairReport
	plan   repairPlan
	// rows are what is left of the intake beyond the tree, which ends at last.
	rows []commitRow
	last position
	wall int64 // of the last leaf that is left
	// locked is what the lock store has, by origin.
	locked  map[string]string
	details detailRepair
	// replaceLock is set when lock.db cannot be opened.
	replaceLock bool
}

// Repair looks for what keeps the log under dir from being opened or from verifying,
// and with o.Apply sets it right as far as that can be done without pretending: what
// can be derived is derived again, what is damaged is cut off at the last event that
// is whole, and of the sealed details what fits its leaf is kept. The damaged files are kept aside, and a log.gap leaf says what was lost
// and who decided so. No gateway may have the log open. It may be repeated after an
// interruption.
//
// It works on the newest shard. Entries under a signed checkpoint are never given up:
// a damaged one is ErrUnrepairable, with the files to restore.
func Repair(ctx context.Context, dir string, o RepairOptions) (RepairReport, error) {
	report, err := repair(ctx, dir, &o)
	if err != nil {
		return report, fmt.Errorf("repairing audit log: %w", err)
	}
	return report, nil
}

func repair(ctx context.Context, dir string, o *RepairOptions) (_ RepairReport, err error) {
	if o.Database == "" {
		if o.Database, err = store.Place(filepath.Join(dir, auditDir)); err != nil {
			return RepairReport{}, err
		}
	}
	if o.Deployment == "" {
		o.Deployment = deploymentOf(filepath.Join(dir, auditDir))
	}
	if _, err := os.Stat(filepath.Join(dir, auditDir, treeDir)); err != nil {
		return RepairReport{}, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err := o.setDefaults(dir); err != nil {
		return RepairReport{}, err
	}
	if o.Apply && o.Seal == nil {
		return RepairReport{}, errors.New("nobody answers for it")
	}
	r := &repairer{core: core{cfg: o.Config, data: dir, dir: filepath.Join(dir, auditDir), node: o.Node, clock: newClock(o.Config)}}
	release, err := store.LockDir(r.dir)
	if err != nil {
		return RepairReport{}, err
	}
	letGo, err := holdNode(ctx, o.Database, o.Node)
	if err != nil {
		return RepairReport{}, errors.Join(err, release())
	}
	locked := true
	defer func() {
		if locked {
			err = errors.Join(err, letGo(), release())
		}
	}()
	if old, err := readRepair(r.dir); err != nil {
		return r.report, err
	} else if old != nil {
		r.report.Unfinished = true
		if !o.Apply {
			return r.report, nil
		}
		if err := old.finish(ctx, r); err != nil {
			return r.report, err
		}
	}
	if err := r.look(ctx); err != nil {
		return r.report, err
	}
	if !o.Apply || len(r.report.Findings) == 0 && !r.report.Unfinished {
		return r.report, nil
	}
	if len(r.report.Findings) > 0 {
		if err := r.apply(ctx, o); err != nil {
			return r.report, err
		}
	}
	locked = false
	if err := errors.Join(letGo(), release()); err != nil {
		return r.report, err
	}
	// Recovery proves that the log is whole again, and puts the repair on record.
	l, err := Open(ctx, dir, o.Config)
	if err != nil {
		return r.report, err
	}
	if err := errors.Join(l.Settle(ctx), l.Close()); err != nil {
		return r.report, err
	}
	r.report.Applied = true
	return r.report, nil
}

// deploymentOf reads the deployment's name out of the verifier keys beside the log, ""
// when they do not tell.
func deploymentOf(dir string) string {
	public, err := readTreeFile(dir, publicFile)
	if err != nil {
		return ""
	}
	origin, _, _ := strings.Cut(string(public), "+")
	deployment, _, err := splitOrigin(origin)
	if err != nil {
		return ""
	}
	return deployment
}

// holdNode keeps gateways on other machines away from the node's rows in PostgreSQL.
func holdNode(ctx context.Context, database, node string) (letGo func() error, err error) {
	if database == "" {
		return func() error { return nil }, nil
	}
	db, err := store.Open(ctx, database, store.Options{MaxConns: 1})
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := db.LockSession(ctx, conn, nodeLock(node)); err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	return func() error { return errors.Join(conn.Close(), db.Close()) }, nil
}

func (r *repairer) found(part, what, do, lost string) {
	r.report.Findings = append(r.report.Findings, RepairFinding{Part: part, What: what, Do: do, Lost: lost})
}
