package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// Names inside the data directory.
const (
	auditDir       = "audit"
	intakeFile     = "audit.db"
	lockFile       = "lock.db"
	indexFile      = "index.db"
	detailFile     = "detail.db"
	treeDir        = "tree"
	publicFile     = "log.pub"
	checkpointFile = "checkpoint"
)

// Create makes a new log under dir: its signing key, lock store, first shard with
// the genesis leaf, and the files beside them. dir and its keys folder are made
// when missing. A log that exists is ErrExists and is not touched; a key without
// a log is refused too, because signing a second history with a known key is the
// one thing a log must never do (invariants A7, A20).
//
// Everything is built in a temporary folder and appears under its name by one
// rename, so that a crash leaves a whole log or none.
func Create(ctx context.Context, dir string, c Config) error {
	if err := c.setDefaults(dir); err != nil {
		return fmt.Errorf("creating audit log: %w", err)
	}
	final := filepath.Join(dir, auditDir)
	if _, err := os.Lstat(final); err == nil {
		return fmt.Errorf("creating audit log: %w: %s", ErrExists, final)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("creating audit log: %w", err)
	}
	clock := newClock(c)
	shard := shardName(clock.now())
	origin := originOf(c.Deployment, shard)
	keyPath := keyFile(c.KeyDir, shard)
	if _, err := os.Lstat(keyPath); err == nil {
		return fmt.Errorf("creating audit log: %w: its signing key %s is there without it; restore the log, or move the key away if its log is given up", ErrExists, keyPath)
	}
	for _, d := range [...]string{dir, c.KeyDir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("creating audit log: %w", err)
		}
	}
	temp, err := os.MkdirTemp(dir, ".audit-*")
	if err != nil {
		return fmt.Errorf("creating audit log: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // gone already when all went well

	private, public, err := newKey(origin)
	if err != nil {
		return err
	}
	if err := build(ctx, temp, shard, origin, private, public, &c, clock); err != nil {
		return fmt.Errorf("creating audit log: %w", err)
	}
	if err := store.WriteFile(keyPath, []byte(private+"\n"), 0o600); err != nil {
		return fmt.Errorf("creating audit log: %w", err)
	}
	if err := os.Rename(temp, final); err != nil {
		return errors.Join(fmt.Errorf("creating audit log: %w", err), os.Remove(keyPath))
	}
	return store.SyncDir(dir)
}

// build makes the files of a new log with its genesis leaf in dir.
func build(ctx context.Context, dir, shard, origin, private, public string, c *Config, k *clock) (err error) {
	genesis := Leaf{
		Event: Event{ID: NewID(), Type: TypeGenesis, Attrs: map[string]string{"key": public, "origin": origin}},
		Node:  c.Node, Epoch: 1, Seq: 1, Wall: k.wallMS(), Mono: int64(k.mono()), Boot: k.boot, Clock: k.state(),
	}
	if err := genesis.check(); err != nil {
		return err
	}
	leaf, _, _ := appendLeaf(nil, &genesis)
	hash := tlog.RecordHash(leaf)

	var e edge
	tree := filepath.Join(dir, treeDir, shard)
	var files []store.File
	add := func(name string, data []byte) {
		files = append(files, store.File{Path: filepath.Join(tree, filepath.FromSlash(name)), Data: data})
	}
	e.add(leaf, hash, add)
	e.partials(add)
	signer, _, err := parseKey(private)
	if err != nil {
		return err
	}
	signed, err := checkpoint{origin: origin, size: e.size, root: e.root()}.sign(signer)
	if err != nil {
		return err
	}
	add(checkpointFile, signed)
	files = append(files, store.File{Path: filepath.Join(dir, publicFile), Data: []byte(public + "\n")})
	if err := store.WriteFiles(files, 0o600); err != nil {
		return err
	}

	if c.Database != "" {
		if err := store.WritePlace(dir, c.Database); err != nil {
			return err
		}
	}
	lock, err := openLockStore(ctx, whereIs(dir, c.Database, lockFile), true)
	if err != nil {
		return err
	}
	rows, err := lock.load(ctx)
	if err == nil && len(rows) > 0 {
		// Only a database outside of the new folder can have any; it belongs to one log
		// (A20), also to one whose creation was interrupted.
		err = fmt.Errorf("%w: %s has a log", ErrExists, lock.db.Path)
	}
	if err != nil {
		return errors.Join(err, lock.db.Close())
	}
	if err := errors.Join(lock.insert(ctx, origin, string(signed)), lock.db.Close()); err != nil {
		return err
	}
	in, err := openIntake(ctx, whereIs(dir, c.Database, intakeFile), c.Node, true)
	if err != nil {
		return err
	}
	if _, _, err = in.claim(ctx); err == nil {
		_, err = in.write(&group{}, &position{epoch: 1, seq: 1})
	}
	if err := errors.Join(err, in.close()); err != nil {
		return err
	}
	details, err := openDetails(ctx, whereIs(dir, c.Database, detailFile), true)
	if err != nil {
		return err
	}
	if err := details.Close(); err != nil {
		return err
	}
	x, err := openIndex(ctx, whereIs(dir, c.Database, indexFile), shard)
	if err != nil {
		return err
	}
	return errors.Join(x.add(ctx, []*indexRow{project(&genesis).place(0, hash)}), x.db.Close())
}

// openDetails opens the detail store.
func openDetails(ctx context.Context, where string, create bool) (*store.DB, error) {
	db, err := store.Open(ctx, where, store.Options{Create: create})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "audit_detail", migrations("detail")); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
