package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caregate/caregate/internal/store"
)

// Bucket is an object store whose objects can be locked against deletion. Keys
// are slash-separated. An implementation is safe for concurrent use, honours ctx,
// and does not retry a call that may have succeeded without saying so.
type Bucket interface {
	// Check fails when objects cannot be locked there.
	Check(ctx context.Context) error
	// Create stores an object under a key that has none. When until is not zero, it
	// is locked in compliance mode: nobody, whatever their rights, can delete or
	// change that version before. A key that has an object is ErrObjectExists. Any
	// other error means that the object may have been stored or not.
	Create(ctx context.Context, key string, data []byte, until time.Time) error
	// Replace stores an object without a lock, whatever is there.
	Replace(ctx context.Context, key string, data []byte) error
	// Remove takes an object without a lock away; one that is missing is no error.
	Remove(ctx context.Context, key string) error
	// Oldest reads the first version that was ever stored under a key: where objects
	// are locked, the one that later overwriting and deleting cannot touch. A key
	// without any is an error that wraps fs.ErrNotExist.
	Oldest(ctx context.Context, key string) ([]byte, error)
	// Versions visits all versions of all objects whose keys begin with prefix, the
	// versions of one key together and the newest of them first.
	Versions(ctx context.Context, prefix string, visit func(ObjectVersion) error) error
	// Version reads one version.
	Version(ctx context.Context, v ObjectVersion) ([]byte, error)
}

// ObjectVersion is one version of an object, or the mark that it was deleted.
type ObjectVersion struct {
	Key, ID string
	Size    int64
	Deleted bool
}

// ErrObjectExists is returned by Bucket.Create for a key that has an object.
var ErrObjectExists = errors.New("an object with this key exists")

// ErrArchiveDiffers is wrapped when the archive holds something else than the
// log: two logs share it, or one of both was set back or forked. Archiving stops
// for good; nothing is overwritten.
var ErrArchiveDiffers = errors.New("the archive does not belong to this log")

// Names in a bucket, below the prefix and the shard, beside the tiles.
const (
	checkpointsDir = "checkpoints"
	archiveFile    = "archive.json" // the cursor, in the audit folder
)

// ArchiveConfig says where and how to archive.
type ArchiveConfig struct {
	// Bucket is required, and used by this log alone, see Prefix.
	Bucket Bucket
	// Prefix stands before every key, without slashes at its ends; may be empty.
	Prefix string
	// Retain is how many months objects stay locked after the end of their shard's
	// half year. Default 12 (PCI DSS 10.5.1).
	Retain int
	// Every is the time between two runs. Default 5 minutes. A run that finds
	// nothing new stores nothing.
	Every time.Duration
	// Logger takes messages. Default: discard.
	Logger *slog.Logger
	// Now gives wall time. Default time.Now.
	Now func() time.Time
}

// Archive copies a log to a bucket: full bundles, full tiles and checkpoints
// locked, the unfinished edge without a lock. Sealed details, secret keys, the
// index and the intake are never part of it (invariant A16). It reads the
// published tree only, so nothing that the gateway does waits for it.
//
// Every object is created under a key that must be free. What a run left
// unfinished, or finished without hearing so, is created again by the next one
// and found to be there with the same bytes; the cursor only spares that work.
type Archive struct {
	dir string // the data directory
	c   ArchiveConfig

	checked bool // the bucket was looked at, and its end compared
	cursor  archiveCursor
}

// archiveCursor is archive.json: how far the archive reaches.
type archiveCursor struct {
	Version int    `json:"version"`
	Shard   string `json:"shard"`
	Size    int64  `json:"size"`
	// Before is how many entries the shards before have, all of which are archived.
	Before int64 `json:"before,omitempty"`
	// Partials are the unlocked files of the checkpoint of that size.
	Partials []string `json:"partials"`
}

// archiveVersion is the version of the cursor.
const archiveVersion = 1

// total is how many entries of all shards the archive has.
func (c *archiveCursor) total() int64 { return c.Before + c.Size }

// NewArchive prepares the archive of the log under the data directory dir.
func NewArchive(dir string, c ArchiveConfig) (*Archive, error) {
	if c.Bucket == nil {
		return nil, errors.New("an archive needs a bucket")
	}
	if c.Retain < 0 || c.Every < 0 {
		return nil, errors.New("an archive keeps for a positive time")
	}
	if c.Retain == 0 {
		c.Retain = 12
	}
	if c.Every == 0 {
		c.Every = 5 * time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Prefix != "" {
		c.Prefix = strings.Trim(c.Prefix, "/") + "/"
	}
	return &Archive{dir: dir, c: c}, nil
}

// Compare asks the bucket for its newest checkpoint and returns ErrArchiveDiffers when
// the log here is not a later state of the same history: it was set back to an older
// copy, or another log writes there. Whoever serves asks before the log is opened, which
// signs new checkpoints on what it finds (invariant A19). Any other error means that
// the bucket could not be asked.
func (a *Archive) Compare(ctx context.Context) error {
	trees, err := openTrees(a.dir)
	if err != nil {
		return fmt.Errorf("comparing with the archive: %w", err)
	}
	// A power failure may have taken the newest published checkpoint back, never the
	// one in the lock store, whose tiles are there.
	for _, t := range trees {
		if locked, err := t.locked(ctx, filepath.Join(a.dir, auditDir)); err == nil && locked.size > t.size {
			t.checkpoint = locked
		}
	}
	if err := a.begin(ctx, trees); err != nil {
		return fmt.Errorf("comparing with the archive: %w", err)
	}
	a.checked = true
	return nil
}

// Pauses after runs that failed, doubled up to archiveLongest.
const (
	archivePause   = 5 * time.Second
	archiveLongest = 5 * time.Minute
)

// archiveRunTimeout ends a run on a bucket that does not answer. What it did
// counts, so a large backlog goes on with the next.
const archiveRunTimeout = 10 * time.Minute

// Run archives until ctx ends, and tells after each run how far the archive
// reaches, or why not. It returns early, with ErrArchiveDiffers, only when going
// on would hide that something is wrong.
func (a *Archive) Run(ctx context.Context, told func(size int64, err error)) error {
	pause := archivePause
	for {
		run, cancel := context.WithTimeout(ctx, archiveRunTimeout)
		_, err := a.runOnce(run)
		cancel()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is how a caller stops it
		}
		told(a.cursor.total(), err)
		wait := a.c.Every
		switch {
		case errors.Is(err, ErrArchiveDiffers):
			a.c.Logger.Error("archiving has stopped", "error", err)
			return err
		case err != nil:
			a.c.Logger.Warn("the archive could not be written; calls go on, and it is tried again", "error", err, "pause", pause)
			wait, pause = pause, min(2*pause, archiveLongest)
		default:
			pause = archivePause
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// runOnce brings the archive up to the published checkpoint and returns how many
// entries it gained. Each step may be repeated; the order keeps a checkpoint in
// the bucket from being readable before what it covers (invariant A9):
//
//  1. full bundles and tiles, locked, each authenticated against the signed
//     checkpoint before it is locked for years;
//  2. the partial ones of this checkpoint, without a lock;
//  3. the checkpoint under a key of its own, locked, then as "checkpoint" for
//     clients of tlog-tiles;
//  4. the cursor, then the partial files of the checkpoint before go.
//
// A shard is archived to its end before the next is begun.
func (a *Archive) runOnce(ctx context.Context) (int64, error) {
	trees, err := openTrees(a.dir)
	if err != nil {
		return 0, fmt.Errorf("archiving: %w", err)
	}
	if !a.checked {
		if err := a.begin(ctx, trees); err != nil {
			return 0, fmt.Errorf("archiving: %w", err)
		}
		a.checked = true
	}
	from, before := a.cursor.total(), int64(0)
	for _, t := range trees {
		if t.shard > a.cursor.Shard {
			a.cursor = archiveCursor{Version: archiveVersion, Shard: t.shard, Before: before}
		}
		if t.shard == a.cursor.Shard {
			if t.size < a.cursor.Size {
				return 0, fmt.Errorf("archiving: %w: it covers %d entries, the log here %d; the log was set back", ErrArchiveDiffers, a.cursor.Size, t.size)
			}
			if t.size > a.cursor.Size {
				if err := a.copy(ctx, t); err != nil {
					return 0, fmt.Errorf("archiving: %w", err)
				}
			}
		}
		before += t.size
	}
	return a.cursor.total() - from, nil
}

// begin looks at the bucket once, and compares its newest checkpoint of each shard with
// the log: one that is ahead shows that the log here was set back (invariant A19).
func (a *Archive) begin(ctx context.Context, trees []*signedTree) error {
	if err := a.c.Bucket.Check(ctx); err != nil {
		return err
	}
	if raw, err := os.ReadFile(a.cursorPath()); err == nil {
		// A cursor that cannot be read only costs work.
		if json.Unmarshal(raw, &a.cursor) != nil || a.cursor.Version != archiveVersion || a.cursor.Size < 0 || a.cursor.Before < 0 {
			a.cursor = archiveCursor{}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := trees[len(trees)-1].shard
	for later := nextShard(ours); validShard(later) && later <= shardName(a.c.Now()); later = nextShard(later) {
		if newest, err := a.newest(ctx, later); err != nil {
			return err
		} else if newest != "" {
			return fmt.Errorf("%w: it has shard %s, the log here ends with %s; the log was set back", ErrArchiveDiffers, later, ours)
		}
	}
	if a.cursor.Shard > ours {
		a.cursor = archiveCursor{}
	}
	for _, t := range trees {
		newest, err := a.newest(ctx, t.shard)
		if err != nil {
			return err
		}
		if newest == "" {
			if a.cursor.Shard >= t.shard {
				a.cursor = archiveCursor{} // whatever it says, it is not there
			}
			continue
		}
		text, err := a.c.Bucket.Oldest(ctx, newest)
		if err != nil {
			return err
		}
		last, err := openCheckpoint(text, t.known)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrArchiveDiffers, newest, err)
		}
		if a.cursor.Shard == t.shard {
			a.cursor.Size = min(a.cursor.Size, last.size)
		}
		if err := t.extends(last); err != nil {
			return err
		}
	}
	return nil
}

// newest is the key of the newest checkpoint of a shard, "" when there is none.
func (a *Archive) newest(ctx context.Context, shard string) (key string, err error) {
	err = a.c.Bucket.Versions(ctx, a.key(shard, checkpointsDir+"/"), func(v ObjectVersion) error {
		if !v.Deleted {
			key = max(key, v.Key) // they sort by size
		}
		return nil
	})
	return key, err
}

// extends tells whether the tree is a later state of the log with checkpoint last.
func (t *signedTree) extends(last checkpoint) error {
	if last.size > t.size {
		// The log may have gone on since its checkpoint was read.
		if err := t.refresh(); err != nil {
			return err
		}
	}
	if last.size > t.size {
		return fmt.Errorf("%w: its newest checkpoint covers %d entries, the log here %d; the log was set back", ErrArchiveDiffers, last.size, t.size)
	}
	root, err := tlog.TreeHash(last.size, tileHashes(t.readFile, t.checkpoint))
	if err != nil {
		return err
	}
	if root != last.root {
		return fmt.Errorf("%w: its newest checkpoint is of another history", ErrArchiveDiffers)
	}
	return nil
}

// readFile reads a file of the tree. A running log replaces partial tiles by wider
// ones, which begin the same, so one of those serves as well.
func (t *signedTree) readFile(name string) ([]byte, error) {
	data, err := readTreeFile(string(t.files), name)
	level, n, w, ok := parseTileName(name)
	for range proveTries {
		if err == nil || !ok || w == tileWidth {
			break
		}
		v := verifier{src: t.files}
		data, err = v.readAtLeast(context.Background(), level, n, w)
	}
	return data, err
}

// copy is the four steps of runOnce.
func (a *Archive) copy(ctx context.Context, t *signedTree) error {
	until, err := a.until(t.shard)
	if err != nil {
		return err
	}
	hashes := tileHashes(t.readFile, t.checkpoint)
	ended, err := t.ended(ctx)
	if err != nil {
		return err
	}
	// The edge of a tree that has ended stays as it is, and is locked like the rest.
	old := a.cursor.Partials
	edge := func(name string, data []byte) error {
		if !ended {
			return a.c.Bucket.Replace(ctx, a.key(t.shard, name), data)
		}
		if slices.Contains(old, name) { // there without a lock
			if err := a.c.Bucket.Remove(ctx, a.key(t.shard, name)); err != nil {
				return err
			}
		}
		return a.create(ctx, t.shard, name, data, until)
	}
	if err := a.create(ctx, t.shard, publicFile, []byte(strings.Join(t.keys, "\n")+"\n"), until); err != nil {
		return err
	}
	for n := a.cursor.Size / tileWidth; n < t.size/tileWidth; n++ {
		bundle, err := t.authentic(ctx, hashes, n, tileWidth)
		if err != nil {
			return err
		}
		if err := a.create(ctx, t.shard, tileName(levelEntries, n, tileWidth), bundle, until); err != nil {
			return err
		}
	}
	var partials []string
	for level := range maxLevels {
		from, to := a.cursor.Size>>(tileHeight*level), t.size>>(tileHeight*level)
		for n := from / tileWidth; n < to/tileWidth; n++ {
			tile, err := tlog.ReadTileData(tlog.Tile{H: tileHeight, L: level, N: n, W: tileWidth}, hashes)
			if err != nil {
				return err
			}
			if err := a.create(ctx, t.shard, tileName(level, n, tileWidth), tile, until); err != nil {
				return err
			}
		}
		if w := int(to % tileWidth); w > 0 {
			tile, err := tlog.ReadTileData(tlog.Tile{H: tileHeight, L: level, N: to / tileWidth, W: w}, hashes)
			if err != nil {
				return err
			}
			name := tileName(level, to/tileWidth, w)
			if err := edge(name, tile); err != nil {
				return err
			}
			partials = append(partials, name)
		}
	}
	if w := int(t.size % tileWidth); w > 0 {
		bundle, err := t.authentic(ctx, hashes, t.size/tileWidth, w)
		if err != nil {
			return err
		}
		name := tileName(levelEntries, t.size/tileWidth, w)
		if err := edge(name, bundle); err != nil {
			return err
		}
		partials = append(partials, name)
	}
	if err := a.create(ctx, t.shard, checkpointKey(t.size), t.signed, until); err != nil {
		return err
	}
	if err := a.c.Bucket.Replace(ctx, a.key(t.shard, checkpointFile), t.signed); err != nil {
		return err
	}
	a.cursor = archiveCursor{Version: archiveVersion, Shard: t.shard, Size: t.size, Before: a.cursor.Before, Partials: partials}
	raw, err := json.Marshal(a.cursor)
	if err != nil {
		return err
	}
	if err := store.WriteFile(a.cursorPath(), append(raw, '\n'), 0o600); err != nil {
		return err
	}
	now := map[string]bool{}
	for _, name := range partials {
		now[name] = true
	}
	for _, name := range old {
		if _, _, w, ok := parseTileName(name); ok && w < tileWidth && !now[name] {
			if err := a.c.Bucket.Remove(ctx, a.key(t.shard, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ended reports whether the tree ends with shard.closed.
func (t *signedTree) ended(ctx context.Context) (ended bool, err error) {
	err = t.each(ctx, t.size-1, t.size, func(e Entry) error {
		ended = e.Leaf.Type == TypeShardClosed
		return nil
	})
	return ended, err
}

// authentic reads the first w entries of a bundle and checks their hashes against
// the checkpoint.
func (t *signedTree) authentic(ctx context.Context, hashes tlog.HashReader, n int64, w int) ([]byte, error) {
	entries, err := t.bundle(ctx, n, w)
	if err != nil {
		return nil, err
	}
	data, err := tlog.ReadTileData(tlog.Tile{H: tileHeight, L: 0, N: n, W: w}, hashes)
	if err != nil {
		return nil, err
	}
	var bundle []byte
	for i, e := range entries {
		h := tlog.RecordHash(e)
		if !bytes.Equal(h[:], data[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
			return nil, fmt.Errorf("%w: entry %d does not have the hash in its tile", ErrCorrupt, n*tileWidth+int64(i))
		}
		bundle = appendEntry(bundle, e)
	}
	return bundle, nil
}

// create stores a locked object. One that is there with the same bytes is fine:
// an earlier run stored it (invariant A11).
func (a *Archive) create(ctx context.Context, shard, name string, data []byte, until time.Time) error {
	key := a.key(shard, name)
	err := a.c.Bucket.Create(ctx, key, data, until)
	if !errors.Is(err, ErrObjectExists) {
		return err
	}
	have, err := a.c.Bucket.Oldest(ctx, key)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, data) {
		return fmt.Errorf("%w: %s is there with other content. Look which log wrote it before anything else; nothing was overwritten", ErrArchiveDiffers, key)
	}
	return nil
}

func (a *Archive) key(shard, name string) string { return a.c.Prefix + shard + "/" + name }

func (a *Archive) cursorPath() string { return filepath.Join(a.dir, auditDir, archiveFile) }

// checkpointKey names a checkpoint by its size, so that names sort by size.
func checkpointKey(size int64) string { return fmt.Sprintf("%s/%020d", checkpointsDir, size) }

// until is when the objects of a shard may be deleted: Retain months after the
// half year has ended. A time that has passed means no lock.
func (a *Archive) until(shard string) (time.Time, error) {
	var year, half int
	if _, err := fmt.Sscanf(shard, "%4dh%d", &year, &half); err != nil {
		return time.Time{}, fmt.Errorf("shard %s: %w", shard, err)
	}
	end := time.Date(year, time.Month(1+6*half), 1, 0, 0, 0, 0, time.UTC)
	until := end.AddDate(0, a.c.Retain, 0)
	if !until.After(a.c.Now().Add(time.Minute)) {
		return time.Time{}, nil
	}
	return until, nil
}

// ArchivedSize is how many entries of all shards of the log under the data directory
// dir its archive held after the last run, as the cursor says. An error that wraps
// fs.ErrNotExist means that no run has ended yet.
func ArchivedSize(dir string) (int64, error) {
	raw, err := os.ReadFile(filepath.Join(dir, auditDir, archiveFile))
	if err != nil {
		return 0, fmt.Errorf("reading the archive's cursor: %w", err)
	}
	var c archiveCursor
	if err := json.Unmarshal(raw, &c); err != nil {
		return 0, fmt.Errorf("reading the archive's cursor: %w", err)
	}
	return c.total(), nil
}
