package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// A shard lasts half a year and has its own origin, key and tree. A running log goes
// over to the next one in steps, each of which the files show, so that a process that
// dies after any of them is followed by one that goes on from there:
//
//  1. the integrator makes the next key under a temporary name;
//  2. it appends shard.closed, which names the next origin and key: from its commit
//     on, later events belong to the next shard, and nothing else marks the border;
//  3. it covers the old shard up to that leaf: its last checkpoint;
//  4. it gives the key its name, writes the next shard's first leaf, shard.opened,
//     which holds the old shard's last checkpoint, and adds the key to log.pub;
//  5. the next shard's first checkpoint goes into the lock store, and only then into
//     the tree: from here on it is the newest.
//
// Events are committed all the while; they wait for their checkpoint a little longer.
// The streams of the nodes go on across the border. shard.opened is none of theirs: it
// is the only leaf of a stream named as its origin.

// rolloverSettle is how long wall and monotonic clock must have agreed before the log
// believes the wall clock that a half year is over: long enough for a machine that
// woke up with a wrong clock to be corrected.
const rolloverSettle = 10 * time.Minute

// nextKeySuffix is behind the name of a key that has signed nothing yet.
const nextKeySuffix = ".next"

// Attributes of shard.closed and shard.opened.
const (
	attrNext           = "next"     // closed: the next shard's origin
	attrNextKey        = "next_key" // closed: its verifier key
	attrOrigin         = "origin"   // opened, and log.genesis
	attrKey            = "key"
	attrPrevOrigin     = "prev_origin"
	attrPrevSize       = "prev_size"
	attrPrevRoot       = "prev_root"
	attrPrevCheckpoint = "prev_checkpoint"
)

// identity names a shard to whoever is outside of the integrator.
type identity struct{ origin, public string }

// succession reads what a shard.closed leaf says: the next shard.
func (l *Leaf) succession() *identity {
	return &identity{origin: l.Attrs[attrNext], public: l.Attrs[attrNextKey]}
}

// opensAfter checks a shard.opened leaf against the last checkpoint of the shard
// before, as the lock store or the tree has it.
func (l *Leaf) opensAfter(origin, signed string) error {
	prev, err := unsignedCheckpoint([]byte(signed))
	switch {
	case err != nil:
		return fmt.Errorf("the shard before: %w", err)
	case l.Type != TypeShardOpened:
		return errors.New("the first leaf does not open a shard after another")
	case l.Attrs[attrOrigin] != origin:
		return errors.New("the first leaf names another origin")
	case l.Attrs[attrPrevOrigin] != prev.origin:
		return errors.New("the first leaf follows another shard than the one before")
	case l.Attrs[attrPrevCheckpoint] != signed,
		l.Attrs[attrPrevSize] != strconv.FormatInt(prev.size, 10), l.Attrs[attrPrevRoot] != hex.EncodeToString(prev.root[:]):
		return errors.New("the first leaf names another end of the shard before")
	}
	return nil
}

// lockedShard is one row of the lock store.
type lockedShard struct{ name, origin, body string }

// lockedShards sorts the rows of the lock store, the oldest first. All must be of one
// deployment. The error wraps ErrCorrupt.
func lockedShards(rows map[string]string) ([]lockedShard, error) {
	var list []lockedShard
	var one string
	for origin, body := range rows {
		deployment, name, err := splitOrigin(origin)
		if err != nil {
			return nil, fmt.Errorf("%w: lock store: %w", ErrCorrupt, err)
		}
		if one != "" && one != deployment {
			return nil, fmt.Errorf("%w: the lock store has logs of two deployments", ErrCorrupt)
		}
		one = deployment
		list = append(list, lockedShard{name: name, origin: origin, body: body})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: the lock store is empty", ErrCorrupt)
	}
	// Names of shards sort by time.
	slices.SortFunc(list, func(a, b lockedShard) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// rollover begins the next shard when the half year of this one is over (steps 1 and
// 2). It is called when everything committed is in the tree, so that no shard.closed
// of a former process can be on its way.
func (c *core) rollover() error {
	g := &c.integrator
	now := shardName(c.clock.now())
	_, name, _ := splitOrigin(c.origin)
	if g.closing || !g.drained || now <= name {
		return nil
	}
	if !c.clock.trusted(rolloverSettle) {
		c.tellOnce("audit log: a half year seems to be over, but the clock was set a short while ago; the shard goes on", "shard", name, "clock_says", now)
		return nil
	}
	path := keyFile(c.cfg.KeyDir, now)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		// A key that may have signed: a second history under it would be a lie (A7).
		// The old shard goes on, which costs nothing but its name.
		c.tellOnce("audit log: the next shard cannot begin, because its signing key is there without it; restore the log it belongs to, or move the key away if that log is given up", "key", path)
		return nil
	}
	next := identity{origin: originOf(c.cfg.Deployment, now)}
	private, public, err := newKey(next.origin)
	if err != nil {
		return err
	}
	next.public = public
	if err := c.hooks.run(hookKey); err != nil {
		return err
	}
	if err := store.WriteFile(path+nextKeySuffix, []byte(private+"\n"), 0o600); err != nil {
		return err
	}
	if err := c.hooks.run(hookClose); err != nil {
		return err
	}
	c.sealIndex()
	enc, err := c.encode(&Event{ID: NewID(), Type: TypeShardClosed, Attrs: map[string]string{attrNext: next.origin, attrNextKey: next.public}})
	if err != nil {
		return err
	}
	enc.next = &next
	if w := c.q.push(enc, nil); w.err != nil {
		return nil //nolint:nilerr // closed or poisoned: the next process begins anew
	}
	g.closing = true
	c.log().Info("audit log: the half year is over", "shard", name, "next", now)
	return nil
}

// tellOnce warns about something that lasts.
func (c *core) tellOnce(text string, args ...any) {
	if c.integrator.told != text {
		c.integrator.told = text
		c.log().Warn(text, args...)
	}
}

// openNext begins the shard that the last leaf of the tree names (steps 4 and 5).
// Whatever a former process did of it is done again with the same result, or, as long
// as nothing of it is in the lock store, with another one that nobody has seen.
func (c *core) openNext(ctx context.Context) error {
	g := &c.integrator
	if g.next == nil {
		return nil
	}
	next := *g.next
	deployment, name, err := splitOrigin(next.origin)
	if _, now, _ := splitOrigin(c.origin); err != nil || deployment != c.cfg.Deployment || name <= now {
		return fmt.Errorf("%w: shard.closed names no later shard of this log", ErrCorrupt)
	}
	signer, err := c.adoptKey(name, next)
	if err != nil {
		return err
	}
	prev, err := unsignedCheckpoint([]byte(g.locked))
	if err != nil {
		return fmt.Errorf("%w: last checkpoint: %w", ErrCorrupt, err)
	}
	first := Leaf{
		Event: Event{ID: NewID(), Type: TypeShardOpened, Attrs: map[string]string{
			attrOrigin: next.origin, attrKey: next.public, attrPrevOrigin: prev.origin, attrPrevSize: strconv.FormatInt(prev.size, 10),
			attrPrevRoot: hex.EncodeToString(prev.root[:]), attrPrevCheckpoint: g.locked,
		}},
		Node: next.origin, Epoch: 1, Seq: 1, Wall: c.clock.wallMS(), Mono: int64(c.clock.mono()), Boot: c.clock.boot, Clock: c.clock.state(),
	}
	if err := first.check(); err != nil {
		return err
	}
	leaf, _, _ := appendLeaf(nil, &first)
	hash := tlog.RecordHash(leaf)
	var e edge
	tree := filepath.Join(c.dir, treeDir, name)
	var files []store.File
	var partials []string
	add := func(name string, data []byte) {
		partials = append(partials, name)
		files = append(files, store.File{Path: filepath.Join(tree, filepath.FromSlash(name)), Data: slices.Clone(data)})
	}
	e.add(leaf, hash, add)
	e.partials(add)
	if err := c.hooks.run(hookOpen); err != nil {
		return err
	}
	if err := store.WriteFiles(files, 0o600); err != nil {
		return err
	}
	if err := addPublicKey(c.dir, next.public); err != nil {
		return err
	}
	signed, err := checkpoint{origin: next.origin, size: e.size, root: e.root()}.sign(signer)
	if err != nil {
		return err
	}
	if err := c.hooks.run(hookInsert); err != nil {
		return err
	}
	if err := c.lock.insert(ctx, next.origin, string(signed)); err != nil {
		return err
	}
	c.origin, c.public, c.signer, c.tree = next.origin, next.public, signer, tree
	c.current.Store(&next)
	g.edge, g.size, g.locked = &e, e.size, string(signed)
	g.partials, g.stale = partials, nil
	g.next, g.closing, g.told = nil, false, ""
	c.size.Store(g.size)
	if err := c.publish(); err != nil {
		return err
	}
	if c.watch != nil { // nil while the log is being opened
		if c.watch, err = newWatch(c.watched()...); err != nil {
			return err
		}
	}
	if err := c.hooks.run(hookIndex); err != nil {
		return err
	}
	if err := g.index.turn(ctx, name); err != nil {
		return err
	}
	c.log().Info("audit log: a new shard has begun", "shard", name, "public_key", next.public)
	if g.index.size > 0 {
		// Left by a process that was the first to begin this shard, and of whose lock
		// store this is an older copy. The index is only a view.
		if err := g.index.clear(ctx); err != nil {
			return err
		}
	}
	return g.index.add(ctx, []*indexRow{project(&first).place(0, hash)})
}

// adoptKey gives the key that shard.closed names its final name, and reads it.
func (c *core) adoptKey(name string, next identity) (note.Signer, error) {
	path := keyFile(c.cfg.KeyDir, name)
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, public, err := loadKey(path+nextKeySuffix, next.origin); err != nil {
			return nil, err
		} else if public != next.public {
			return nil, fmt.Errorf("%w: %s is not the key that shard.closed names", ErrCorrupt, path+nextKeySuffix)
		}
		if err := c.hooks.run(hookAdopt); err != nil {
			return nil, err
		}
		if err := os.Rename(path+nextKeySuffix, path); err != nil {
			return nil, fmt.Errorf("beginning a shard: %w", err)
		}
		if err := store.SyncDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("beginning a shard: %w", err)
	}
	signer, public, err := loadKey(path, next.origin)
	if err != nil {
		return nil, err
	}
	if public != next.public {
		return nil, fmt.Errorf("%w: %s is not the key that shard.closed names", ErrCorrupt, path)
	}
	return signer, nil
}

// addPublicKey adds a verifier key to log.pub in the audit folder dir, unless it is
// there.
func addPublicKey(dir, key string) error {
	path := filepath.Join(dir, publicFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("adding to the log's keys: %w", err)
	}
	if slices.Contains(strings.Split(string(data), "\n"), key) {
		return nil
	}
	return store.WriteFile(path, append(data, key+"\n"...), 0o600)
}

// checkChain holds each shard of the lock store against the one before, and the first
// against the beginning of a log.
func (c *core) checkChain(list []lockedShard) error {
	for i, s := range list {
		data, err := readEntry(filepath.Join(c.dir, treeDir, s.name), 0)
		if err != nil {
			return fmt.Errorf("reading the first leaf of shard %s: %w", s.name, err)
		}
		l, err := ParseLeaf(data)
		if err == nil && i > 0 {
			err = l.opensAfter(s.origin, list[i-1].body)
		} else if err == nil && l.Type != TypeGenesis {
			err = errors.New("it follows a shard that the lock store does not have")
		}
		if err != nil {
			return fmt.Errorf("%w: shard %s: %w", ErrCorrupt, s.name, err)
		}
	}
	return nil
}
