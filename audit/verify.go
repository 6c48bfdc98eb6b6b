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
	// Kind is one of: checkpoint, key, root, tile, entries, leaf, chain, genesis,
	// seal, file, database, detail, index, intake.
	Kind string
	// Place is the file or the entry.
	Place string
	// Text says what is wrong; it holds nothing from inside an event.
	Text string
}

// Report is what a verification found.
type Report struct {
	Outcome Outcome
	// Origin, Size and Root are the checkpoint that was verified.
	Origin string
	Size   int64
	Root   [32]byte
	// Entries is how many leaves were read and checked.
	Entries int64
	// SelfConsistency is set when no key from outside was given.
	SelfConsistency bool
	// Problems are the first maxProblems; More counts the rest.
	Problems []Problem
	More     int
	// Unchecked says what could not be checked and why.
	Unchecked []string
}

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
	if !o.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, o.Deadline)
		defer cancel()
	}
	dir := filepath.Join(o.Dir, auditDir)
	if _, err := os.Stat(dir); err != nil {
		return Report{}, fmt.Errorf("verifying audit log: %w: %w", ErrMissing, err)
	}
	for _, k := range o.Trust {
		if _, err := note.NewVerifier(strings.TrimSpace(k)); err != nil {
			return Report{}, errors.New("verifying audit log: a trusted key is not a verifier key")
		}
	}
	v := &verifier{dir: dir, streams: map[string]position{}, reported: map[Problem]bool{}, patience: o.patience}
	if v.patience == 0 {
		v.patience = indexPatience
	}
	v.run(ctx, o.Trust)
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
	dir, tree string
	shard     string
	report    Report
	reported  map[Problem]bool
	patience  time.Duration

	known     note.Verifiers
	lock      *lockStore
	details   *store.DB // nil when it cannot be read
	index     *store.DB
	intake    *store.DB
	published checkpoint

	edge    edge // what the tree must be, from the entries
	streams map[string]position
	blocks  []tlog.Hash // what the index's block digests must be
	rows    []indexRow  // of the unfinished block
}

// run does the check, from what everything rests on to what only derives from it.
func (v *verifier) run(ctx context.Context, trust []string) {
	defer v.close()
	if !v.loadKeys(trust) || !v.open(ctx) {
		return
	}
	// The published checkpoint is read before the locked one: whoever could read it
	// could find it, or a later one, in the lock store (A8).
	pubErr := v.readPublished()
	locked, ok := v.readLocked(ctx)
	if !ok {
		return
	}
	if pubErr != nil {
		v.problem("checkpoint", checkpointFile, pubErr.Error())
	} else if v.published.size > locked.size {
		v.problem("checkpoint", checkpointFile, "is ahead of the lock store")
	}
	for range maxCatchUps {
		if !v.entries(ctx, locked) {
			return
		}
		if locked, ok = v.readLocked(ctx); !ok {
			return
		}
		if locked.size-v.edge.size < readRows {
			break
		}
	}
	// Meanwhile a running gateway went on. What changes under our eyes is read in
	// this order: details, intake, lock store. A detail that is not of a covered
	// leaf is then in the intake we read, and a deleted intake row under the
	// checkpoint we read.
	base := maps.Clone(v.streams)
	details := v.listDetails(ctx)
	pending := v.readIntake(ctx)
	if locked, ok = v.readLocked(ctx); !ok || !v.entries(ctx, locked) {
		return
	}
	v.files(ctx)
	v.checkIntake(pending, base)
	v.checkIndexExtent(ctx)
	v.checkAhead(details, pending)
	v.expired(ctx)
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

// loadKeys decides which keys to believe and holds log.pub against them.
func (v *verifier) loadKeys(trust []string) bool {
	beside, err := readTreeFile(v.dir, publicFile)
	if err != nil {
		v.problem("key", publicFile, "cannot be read")
	}
	text, ended := strings.CutSuffix(string(beside), "\n")
	lines := strings.Split(text, "\n")
	if err == nil && !ended {
		v.problem("key", publicFile, "is not a list of verifier keys")
	}
	keys := trust
	if len(keys) == 0 {
		keys = lines
	}
	known, kerr := verifiers(keys)
	if kerr != nil {
		v.problem("key", publicFile, "is not a list of verifier keys")
		return false
	}
	v.known = known
	for _, line := range lines {
		if err == nil && len(trust) > 0 && !slices.ContainsFunc(trust, func(k string) bool { return strings.TrimSpace(k) == line }) {
			v.problem("key", publicFile, "holds a key that is not trusted")
		}
	}
	return err == nil || len(trust) > 0
}

// open opens the databases for reading and has SQLite check their structure.
func (v *verifier) open(ctx context.Context) bool {
	open := func(name string, need bool) *store.DB {
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
	if db := open(lockFile, true); db != nil {
		v.lock = &lockStore{db: db}
	}
	v.details, v.index, v.intake = open(detailFile, true), open(indexFile, false), open(intakeFile, true)
	return v.lock != nil
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

// readLocked reads and verifies the checkpoint in the lock store. Later calls must
// find the same history.
func (v *verifier) readLocked(ctx context.Context) (checkpoint, bool) {
	rows, err := v.lock.load(ctx)
	if err != nil {
		v.failed(ctx, "database", lockFile, err)
		return checkpoint{}, false
	}
	if len(rows) != 1 {
		v.problem("checkpoint", lockFile, fmt.Sprintf("holds %d origins, want 1", len(rows)))
		return checkpoint{}, false
	}
	for origin, body := range rows {
		cp, err := openCheckpoint([]byte(body), v.known)
		if err == nil && cp.origin != origin {
			err = errors.New("has another origin in its row than in its text")
		}
		if err != nil {
			v.problem("checkpoint", lockFile, err.Error())
			return checkpoint{}, false
		}
		if cp.size < v.edge.size {
			v.problem("checkpoint", lockFile, "went back to a smaller size during the check")
			return checkpoint{}, false
		}
		v.report.Origin, v.report.Size, v.report.Root = cp.origin, cp.size, cp.root
		return cp, true
	}
	return checkpoint{}, false
}

// readPublished finds the shard and verifies its checkpoint file.
func (v *verifier) readPublished() error {
	list, err := os.ReadDir(filepath.Join(v.dir, treeDir))
	if err != nil {
		return errors.New("the tree cannot be read")
	}
	for _, e := range list {
		if !e.IsDir() || !validShard(e.Name()) || v.shard != "" {
			v.problem("file", treeDir+"/"+e.Name(), "does not belong to the log")
			continue
		}
		v.shard, v.tree = e.Name(), filepath.Join(v.dir, treeDir, e.Name())
	}
	if v.shard == "" {
		return errors.New("there is no tree")
	}
	msg, err := readTreeFile(v.tree, checkpointFile)
	if err != nil {
		return errors.New("cannot be read")
	}
	v.published, err = openCheckpoint(msg, v.known)
	return err
}
