package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// VerifyOptions says what to verify and whom to believe.
type VerifyOptions struct {
	// Dir is the data directory. A gateway may have the log open.
	Dir string
	// Trust are the log's verifier keys (c2sp.org/signed-note), obtained elsewhere.
	// Empty means the key beside the log, and Report.SelfConsistency is set: such a
	// check finds damage, not a forger who replaced log and key.
	Trust []string
	// Anchors are signed checkpoints that were seen earlier and kept elsewhere, see
	// Trust. The log must contain each: one that was set back does not.
	Anchors []string
	// Deadline ends the check; the zero time means none.
	Deadline time.Time

	patience time.Duration // tests only; zero means indexPatience
}

// Outcome is the result of a verification. Its values are the exit codes of
// `caregate audit verify`.
type Outcome uint8

const (
	// Valid: everything was checked and is right.
	Valid Outcome = iota
	// Invalid: at least one problem was found.
	Invalid
	// Incomplete: no problem was found, but something could not be checked.
	Incomplete
)

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case Valid:
		return "valid"
	case Invalid:
		return "invalid"
	default:
		return "incomplete"
	}
}

// Problem is one thing that is wrong.
type Problem struct {
	// Kind is one of: checkpoint, key, root, tile, entries, leaf, chain, genesis, shard,
	// seal, file, receipt, database, detail, index, intake.
	Kind string
	// Place is the file or the entry.
	Place string
	// Text says what is wrong; it holds nothing from inside an event.
	Text string
}

// Report is what a verification found.
type Report struct {
	Outcome Outcome
	// Origin, Size and Root are the checkpoint that was verified, of the newest shard.
	Origin string
	Size   int64
	Root   [32]byte
	// Shards are the checkpoints of all shards, the oldest first.
	Shards []ShardReport
	// Entries is how many leaves were read and checked.
	Entries int64
	// SelfConsistency is set when no key from outside was given.
	SelfConsistency bool
	// Problems are the first maxProblems; More counts the rest.
	Problems []Problem
	More     int
	// Unchecked says what could not be checked and why.
	Unchecked []string
	// Notes are what a reader may want to know and what is wrong in no way.
	Notes []string
	// Gaps are the periods in which something went on that the log does not know, as
	// the log itself says, and at the end those that it will say. The first maxGaps;
	// MoreGaps counts the rest.
	Gaps     []Gap
	MoreGaps int
	// First and Last are the wall times of the first and last leaf in ms since
	// 1970: claims of the writer.
	First, Last int64
	// Types and Policies count the leaves by type and by the policy bundle that
	// decided. Beyond maxNames names the rest is counted as "(others)".
	Types, Policies map[string]int64
	// Anchors is how many checkpoints from outside the log was held against, and
	// Receipts how many proofs of single events were verified.
	Anchors, Receipts int
}

// ShardReport is the checkpoint under which a shard was verified.
type ShardReport struct {
	Origin string
	Size   int64
	Root   [32]byte
}

// maxNames bounds the names in a report on a log that nobody wrote in good faith.
const maxNames = 200

// tally counts a name that an event has.
func tally(m map[string]int64, name string) {
	if name == "" {
		return
	}
	if _, known := m[name]; !known && len(m) >= maxNames {
		name = "(others)"
	}
	m[name]++
}

// maxGaps bounds the gaps in a report.
const maxGaps = 1000

// maxProblems bounds a report on a log that is wrong everywhere.
const maxProblems = 100

// maxCatchUps bounds how often Verify follows a log that grew while it read, so
// that little is left to compare with what is still in motion.
const maxCatchUps = 10

// indexPatience is how long Verify waits for a running gateway to bring the index
// up to the checkpoint. It is behind by milliseconds.
const indexPatience = 3 * time.Second

// Verify checks a log without changing anything and without trusting anything but
// the keys. It reads the checkpoint from the lock store, every entry, every tile,
// the details, the index and the intake, and ends before the deadline on any
// input (invariant A21). A log in use is checked up to the checkpoint that is
// locked when the check ends.
//
// It covers every byte of the tree's files and every row of the databases; free
// space inside a database file is nobody's and is not looked at. It cannot see
// that the whole directory was set back to an older state: that takes an anchor
// outside.
//
// The error is about the call (no log there, an unusable key), not the log.
func Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	dir := filepath.Join(o.Dir, auditDir)
	if _, err := os.Stat(dir); err != nil {
		return Report{}, fmt.Errorf("verifying audit log: %w: %w", ErrMissing, err)
	}
	return o.verify(ctx, func(ctx context.Context, v *verifier) {
		v.dir = dir
		v.run(ctx)
	})
}

// verify is what all verifications share: the deadline, the keys, the outcome.
func (o VerifyOptions) verify(ctx context.Context, run func(context.Context, *verifier)) (Report, error) {
	if !o.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, o.Deadline)
		defer cancel()
	}
	for _, k := range o.Trust {
		if _, err := note.NewVerifier(strings.TrimSpace(k)); err != nil {
			return Report{}, errors.New("verifying audit log: a trusted key is not a verifier key")
		}
	}
	if len(o.Anchors) > 0 && len(o.Trust) == 0 {
		return Report{}, errors.New("verifying audit log: a checkpoint from outside needs the key that signed it")
	}
	v := &verifier{
		streams: map[string]position{}, reported: map[Problem]bool{}, patience: o.patience, trust: o.Trust,
		report: Report{Types: map[string]int64{}, Policies: map[string]int64{}},
	}
	v.readAnchors(o.Anchors)
	if v.patience == 0 {
		v.patience = indexPatience
	}
	run(ctx, v)
	r := v.report
	r.SelfConsistency = len(o.Trust) == 0
	switch {
	case len(r.Problems) > 0:
		r.Outcome = Invalid
	case len(r.Unchecked) > 0:
		r.Outcome = Incomplete
	}
	return r, nil
}

// verifier holds one verification under way. It belongs to one goroutine.
type verifier struct {
	dir      string
	report   Report
	reported map[Problem]bool
	patience time.Duration

	trust   []string // keys from outside
	beside  []string // keys that lie beside the log
	anchors []*anchor

	lock    *lockStore
	details *store.DB // nil when it cannot be read
	index   *store.DB
	intake  *store.DB

	expiries expiries

	visit func(*Entry) // sees each entry that is a leaf; may be nil

	// Of the shard that is read, see begin.
	shard     string
	origin    string
	many      bool // there are other shards
	src       treeFiles
	known     note.Verifiers
	keys      []string
	marks     []mark // by size, those not reached yet
	published checkpoint
	// unpublished is set when that cannot be read, and may be so.
	unpublished bool
	edge        edge        // what the tree must be, from the entries
	blocks      []tlog.Hash // what the index's block digests must be
	rows        []*indexRow // of the unfinished block
	closed      *identity   // what its last leaf says is next

	// Of all shards before.
	streams map[string]position
	before  *ended // the shard right before, nil for the first
	prefix  bool   // shards before the first are missing, which may be
	opened  map[string]string
	vouched bool     // a shard was verified under a key from outside
	used    []string // the keys of all shards
}

// ended is what must be known of a shard when the next is read.
type ended struct {
	signed string    // its last checkpoint
	next   *identity // what shard.closed said, nil when there is none
}

// run does the check, shard by shard, from what everything rests on to what only
// derives from it.
func (v *verifier) run(ctx context.Context) {
	defer v.close()
	if !v.loadKeys() || !v.open(ctx) {
		return
	}
	for i, tries := 0, 0; ; {
		list, ok := v.readLocked(ctx)
		if !ok {
			return
		}
		if v.shard == "" || v.shard != list[min(i, len(list)-1)].name {
			if i >= len(list) {
				v.problem("checkpoint", lockFile, "lost a shard during the check")
				return
			}
			// The published checkpoint is read before the locked one: whoever could read it
			// could find it, or a later one, in the lock store (A8).
			v.begin(list[i].origin, dirFiles(filepath.Join(v.dir, treeDir, list[i].name)), i+1 < len(list))
			v.readPublished(ctx)
			continue
		}
		cp, ok := v.openLocked(list[i])
		if !ok || !v.entries(ctx, cp) {
			return
		}
		if i+1 < len(list) {
			v.endShard(ctx, list[i])
			i++
			continue
		}
		if list, ok = v.readLocked(ctx); !ok {
			return
		}
		if grown := v.lockedSize(list, i); i+1 < len(list) || grown-v.edge.size >= readRows && tries < maxCatchUps {
			tries++
			continue
		}
		// Meanwhile a running gateway went on. What changes under our eyes is read in
		// this order: details, intake, lock store. A detail that is not of a covered
		// leaf is then in the intake we read, and a deleted intake row under the
		// checkpoint we read.
		base := maps.Clone(v.streams)
		folders := v.listFolders()
		details := v.listDetails(ctx)
		pending := v.readIntake(ctx)
		if list, ok = v.readLocked(ctx); !ok {
			return
		}
		if i+1 < len(list) {
			continue
		}
		if cp, ok = v.openLocked(list[i]); !ok || !v.entries(ctx, cp) {
			return
		}
		v.files(ctx)
		v.checkFolders(ctx, folders, list)
		v.checkIntake(pending, base)
		v.checkIndexExtent(ctx)
		v.checkIndexRange(ctx)
		v.checkAhead(details, pending)
		v.checkMissing(ctx)
		v.readMarker()
		v.endChain()
		v.expired(ctx)
		return
	}
}

func (v *verifier) problem(kind, place, text string) {
	p := Problem{Kind: kind, Place: place, Text: text}
	if v.reported[p] {
		return
	}
	if len(v.report.Problems) == maxProblems {
		v.report.More++
		return
	}
	v.reported[p] = true
	v.report.Problems = append(v.report.Problems, p)
}

// gap takes a gap into the report. A log with gaps is valid: it says what it lacks.
func (v *verifier) gap(g Gap) {
	if len(v.report.Gaps) == maxGaps {
		v.report.MoreGaps++
		return
	}
	v.report.Gaps = append(v.report.Gaps, g)
}

// readMarker reports the gaps that have no leaf yet.
func (v *verifier) readMarker() {
	pending, err := pendingGaps(filepath.Dir(v.dir))
	if err != nil {
		v.unchecked(gapFileName + " cannot be read: whether calls pass now that the log does not know is not known")
	}
	for _, g := range pending {
		if !slices.ContainsFunc(v.report.Gaps, func(told Gap) bool { return told.ID == g.ID }) {
			v.gap(g)
		}
	}
}

func (v *verifier) unchecked(text string) {
	if !slices.Contains(v.report.Unchecked, text) {
		v.report.Unchecked = append(v.report.Unchecked, text)
	}
}

// expired reports whether the time is over, and says so once.
func (v *verifier) expired(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	v.unchecked("the deadline passed before the check was complete")
	return true
}

// failed tells a database error: after the deadline it says nothing about the log.
func (v *verifier) failed(ctx context.Context, kind, place string, err error) {
	switch {
	case v.expired(ctx):
	case errors.Is(err, fs.ErrPermission):
		v.unchecked(place + " cannot be read: permission denied")
	default:
		v.problem(kind, place, err.Error())
	}
}

// loadKeys reads the keys beside the log.
func (v *verifier) loadKeys() bool {
	data, err := readTreeFile(v.dir, publicFile)
	if err != nil {
		v.problem("key", publicFile, "cannot be read")
		return len(v.trust) > 0
	}
	text, ended := strings.CutSuffix(string(data), "\n")
	lines := strings.Split(text, "\n")
	if _, err := verifiers(lines); err != nil || !ended {
		v.problem("key", publicFile, "is not a list of verifier keys")
		return false
	}
	v.beside = lines
	return true
}

// open opens the databases for reading and has SQLite check their structure.
func (v *verifier) open(ctx context.Context) bool {
	v.openLock(ctx)
	v.details, v.intake = v.openFile(ctx, detailFile, true), v.openFile(ctx, intakeFile, true)
	v.index = v.openFile(ctx, indexFile, false)
	v.intake, v.index = v.ofThisVersion(ctx, v.intake, "intake"), v.ofThisVersion(ctx, v.index, "index")
	if v.intake != nil && v.intake.Dialect == store.SQLite {
		if err := checkWAL(v.intake.Path + "-wal"); err != nil {
			v.failed(ctx, "intake", intakeFile+"-wal", err)
		}
	}
	return v.lock != nil
}

// ofThisVersion leaves out a database whose tables another version made: what they lack
// or have more says nothing about the log.
func (v *verifier) ofThisVersion(ctx context.Context, db *store.DB, name string) *store.DB {
	if db == nil {
		return nil
	}
	switch order, err := db.CompareSchema(ctx, "audit_"+name, migrations(name)); {
	case err != nil || order == 0:
		return db // an error comes back with the first question
	case order < 0:
		v.unchecked("the " + name + " is as an older version of caregate left it; start the gateway to bring it up")
	default:
		v.unchecked("the " + name + " is of a newer version of caregate; verify with that")
	}
	_ = db.Close() // opened for reading: nothing can be lost
	return nil
}

// openLock opens the lock store for reading.
func (v *verifier) openLock(ctx context.Context) bool {
	if db := v.openFile(ctx, lockFile, true); db != nil {
		v.lock = &lockStore{db: db}
	}
	return v.lock != nil
}

// openFile opens one database, nil when it cannot be read, which was told.
func (v *verifier) openFile(ctx context.Context, name string, need bool) *store.DB {
	if database, err := store.Place(v.dir); err != nil {
		v.problem("file", "postgres", "does not name a database")
		return nil
	} else if database != "" {
		return v.openPostgres(ctx, database, name)
	}
	path := filepath.Join(v.dir, name)
	// A device or a pipe under this name would block, not fail.
	if fi, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if need {
			v.problem("file", name, "is missing")
		} else {
			v.unchecked(name + " is missing; start the gateway to derive it again")
		}
		return nil
	} else if err == nil && !fi.Mode().IsRegular() {
		v.problem("file", name, "is not a file")
		return nil
	}
	db, err := store.Open(ctx, path, store.Options{ReadOnly: true})
	if err != nil {
		v.failed(ctx, "database", name, err)
		return nil
	}
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
		v.failed(ctx, "database", name, err)
	} else if result != "ok" {
		v.problem("database", name, "fails SQLite's integrity check")
	}
	return db
}

// openPostgres is openFile for a log whose databases are one in PostgreSQL. A server
// that cannot be reached says nothing about the log.
func (v *verifier) openPostgres(ctx context.Context, database, name string) *store.DB {
	db, err := store.Open(ctx, database, store.Options{ReadOnly: true, MaxConns: 2})
	if err != nil {
		v.unchecked("the database cannot be opened: " + err.Error())
		return nil
	}
	if name != indexFile {
		return db
	}
	if there, err := db.HasTable(ctx, "audit_cover"); err != nil || there {
		return db // an error comes back with the first question
	}
	v.unchecked("the index is missing; start the gateway to derive it again")
	_ = db.Close() // opened for reading: nothing can be lost
	return nil
}

func (v *verifier) close() {
	for _, db := range []*store.DB{v.details, v.index, v.intake} {
		if db != nil {
			_ = db.Close() // opened for reading: nothing can be lost
		}
	}
	if v.lock != nil {
		_ = v.lock.db.Close()
	}
}

// readLocked reads the lock store.
func (v *verifier) readLocked(ctx context.Context) ([]lockedShard, bool) {
	rows, err := v.lock.load(ctx)
	if err != nil {
		v.failed(ctx, "database", lockFile, err)
		return nil, false
	}
	list, err := lockedShards(rows)
	if err != nil {
		v.problem("checkpoint", lockFile, err.Error())
		return nil, false
	}
	return list, true
}

// openLocked verifies the checkpoint that the lock store has of the shard that is
// read. Later calls must find the same history.
func (v *verifier) openLocked(s lockedShard) (checkpoint, bool) {
	cp, err := openCheckpoint([]byte(s.body), v.known)
	if err == nil && cp.origin != s.origin {
		err = errors.New("has another origin in its row than in its text")
	}
	if err != nil {
		v.problem("checkpoint", v.place(lockFile), err.Error())
		return checkpoint{}, false
	}
	if cp.size < v.edge.size {
		v.problem("checkpoint", v.place(lockFile), "went back to a smaller size during the check")
		return checkpoint{}, false
	}
	if v.published.size > cp.size {
		v.problem("checkpoint", v.place(checkpointFile), "is ahead of the lock store")
	} else if v.edge.size == 0 && v.published.size > 0 {
		v.addMark(v.place(checkpointFile), v.published)
	}
	if v.unpublished {
		v.unpublished = false
		if _, err := v.src.read(context.Background(), checkpointFile); err != nil && cp.size == 1 {
			v.unchecked("the checkpoint of shard " + v.shard + " is not published yet; start the gateway")
		} else if err != nil {
			v.problem("checkpoint", v.place(checkpointFile), "cannot be read")
		}
	}
	v.checkpointIs(cp)
	return cp, true
}

// lockedSize is the size of a shard in the lock store, whose signature is looked at
// later.
func (v *verifier) lockedSize(list []lockedShard, i int) int64 {
	if i < len(list) {
		if cp, err := unsignedCheckpoint([]byte(list[i].body)); err == nil {
			return cp.size
		}
	}
	return 0
}

// readPublished verifies the shard's checkpoint file. The first checkpoint of a shard
// after another may be locked and not published yet.
func (v *verifier) readPublished(ctx context.Context) {
	msg, err := v.src.read(ctx, checkpointFile)
	v.unpublished = errors.Is(err, fs.ErrNotExist) && v.before != nil
	switch {
	case v.unpublished:
	case err != nil:
		v.problem("checkpoint", v.place(checkpointFile), "cannot be read")
	default:
		if v.published, err = openCheckpoint(msg, v.known); err != nil {
			v.problem("checkpoint", v.place(checkpointFile), err.Error())
		}
	}
}
