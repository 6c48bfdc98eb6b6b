package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A log is a chain of shards: the last leaf of one names the origin and key of the
// next, whose first leaf holds the last checkpoint of the one before. So the key of any
// one shard, got from outside, is enough to verify all: what its entries say of the
// others is under its signature.

// begin turns to the shard of an origin, the next one in time. many says that there
// are others, so that problems have to say where.
func (v *verifier) begin(origin string, src treeFiles, many bool) {
	_, name, err := splitOrigin(origin)
	if err != nil {
		v.problem("checkpoint", lockFile, err.Error())
	}
	v.many = v.many || many
	v.shard, v.src, v.origin = name, src, origin
	v.marks, v.published, v.edge, v.blocks, v.rows, v.closed = nil, checkpoint{}, edge{}, nil, nil, nil
	v.keys = keysOf(v.trust, origin)
	if len(v.keys) > 0 {
		v.vouched = true
	} else {
		if v.keys = keysOf(v.beside, origin); len(v.keys) == 0 && v.lock != nil {
			v.loadKeys() // a gateway may have begun the shard meanwhile
			v.keys = keysOf(v.beside, origin)
		}
	}
	v.known, _ = verifiers(v.keys) // parsed before
	v.used = append(v.used, v.keys...)
	v.report.Shards = append(v.report.Shards, ShardReport{Origin: origin})
	for _, a := range v.anchors {
		if a.origin == origin {
			a.seen = true
		}
	}
}

// keysOf are those of the keys that sign for an origin.
func keysOf(keys []string, origin string) (out []string) {
	for _, k := range keys {
		k = strings.TrimSpace(k)
		// One that stands there twice would be ambiguous.
		if v, err := note.NewVerifier(k); err == nil && v.Name() == origin && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// checkpointIs notes the checkpoint that is verified.
func (v *verifier) checkpointIs(cp checkpoint) {
	v.report.Origin, v.report.Size, v.report.Root = cp.origin, cp.size, cp.root
	v.report.Shards[len(v.report.Shards)-1] = ShardReport{Origin: cp.origin, Size: cp.size, Root: cp.root}
	if v.edge.size == 0 {
		v.addAnchors(cp)
	}
}

// place says where in a log of several shards something is.
func (v *verifier) place(name string) string {
	if v.many {
		return v.shard + "/" + name
	}
	return name
}

// firstLeaf checks the leaf that begins a shard.
func (v *verifier) firstLeaf(place string, l *Leaf) {
	switch {
	case v.before != nil:
		if err := l.opensAfter(v.origin, v.before.signed); err != nil {
			v.problem("genesis", place, err.Error())
		}
		if next := v.before.next; next == nil || next.origin != v.origin || next.public != l.Attrs[attrKey] {
			v.problem("shard", place, "is not the shard, or has not the key, that the shard before names as the next")
		}
	case l.Type == TypeShardOpened && v.prefix:
		v.unchecked("the shards before " + v.shard + " are not here; the first leaf has the last checkpoint of " + l.Attrs[attrPrevOrigin])
	case l.Type == TypeShardOpened:
		v.problem("shard", place, "follows a shard that is missing")
	case l.Type != TypeGenesis:
		v.problem("genesis", place, "the genesis leaf is not the first")
	}
	if l.Attrs[attrOrigin] != v.origin {
		v.problem("genesis", place, "names another origin")
	}
	if !slices.Contains(v.keys, l.Attrs[attrKey]) {
		v.problem("key", place, "names another key than the checkpoint is signed with")
	}
	if v.opened == nil {
		v.opened = map[string]string{}
	}
	v.opened[v.origin] = l.Attrs[attrKey]
}

// leave ends a shard that another follows.
func (v *verifier) leave(signed string) {
	if v.closed == nil {
		v.problem("shard", v.shard, "does not end with a leaf that names the next: its end is missing")
	}
	v.before = &ended{signed: signed, next: v.closed}
}

// endShard checks a shard of a log that has gone over to the next: it does not change
// any more.
func (v *verifier) endShard(ctx context.Context, s lockedShard) {
	if msg, err := v.src.read(ctx, checkpointFile); err == nil && string(msg) != s.body {
		v.problem("checkpoint", v.place(checkpointFile), "is not the last of its shard")
	}
	v.files(ctx)
	if beyond := v.readDetails(ctx); len(beyond) > 0 {
		v.problem("detail", fmt.Sprintf("entry %d", beyond[0].idx), "has sealed parts but no leaf")
	}
	v.checkIndexExtent(ctx)
	v.leave(s.body)
}

// endChain checks what concerns all shards, after the newest.
func (v *verifier) endChain() {
	if len(v.trust) > 0 && !v.vouched {
		v.problem("key", publicFile, "no shard of the log is signed with a trusted key")
	}
	for _, line := range v.beside {
		k, err := note.NewVerifier(line)
		if err != nil {
			continue // told when it was read
		}
		key, known := v.opened[k.Name()]
		switch trusted := keysOf(v.trust, k.Name()); {
		case len(trusted) > 0 && !slices.Contains(trusted, line):
			v.problem("key", publicFile, "holds a key that is not trusted")
		case known && key != line:
			v.problem("key", publicFile, "holds a key that its shard does not name")
		case !known && (v.closed == nil || *v.closed != identity{origin: k.Name(), public: line}):
			v.problem("key", publicFile, "holds a key of a shard that is not here")
		}
	}
	newest := v.report.Origin
	mine, _, _ := splitOrigin(newest)
	for _, a := range v.anchors {
		deployment, _, err := splitOrigin(a.origin)
		switch {
		case a.seen:
		case err != nil || deployment != mine:
			v.unchecked(a.place + " belongs to another log")
		case a.origin > newest:
			v.problem("checkpoint", a.place, "is of a later shard than the log has: the log was set back to an older state")
		case v.prefix:
			v.unchecked(a.place + " is of a shard that is not here")
		default:
			v.problem("checkpoint", a.place, "is of a shard that the log does not have")
		}
	}
}

// anchor is a checkpoint from outside.
type anchor struct {
	place string
	checkpoint
	seen  bool // its shard was verified
	added bool // it is a mark
}

// readAnchors verifies the checkpoints from outside under the keys from outside.
func (v *verifier) readAnchors(texts []string) {
	for i, text := range texts {
		place := fmt.Sprintf("checkpoint %d from outside", i+1)
		origin, _, _ := strings.Cut(text, "\n")
		known, _ := verifiers(keysOf(v.trust, origin)) // parsed before
		c, err := openCheckpoint([]byte(text), known)
		if err != nil {
			v.problem("checkpoint", place, err.Error())
			continue
		}
		v.anchors = append(v.anchors, &anchor{place: place, checkpoint: c})
	}
}

// addAnchors takes the checkpoints from outside as marks on the history of a shard
// that ends at now. One beyond it shows that the log was set back, which nothing in
// the log itself can show (invariant A19).
func (v *verifier) addAnchors(now checkpoint) {
	for _, a := range v.anchors {
		switch {
		case a.origin != now.origin || a.added:
		case a.size > now.size:
			v.problem("checkpoint", a.place, fmt.Sprintf("covers %d entries, the log %d: the log was set back to an older state", a.size, now.size))
		default:
			a.added = true
			v.addMark(a.place, a.checkpoint)
			v.report.Anchors++
		}
	}
}

// listFolders returns the names in the folder of trees.
func (v *verifier) listFolders() (names []string) {
	list, err := os.ReadDir(filepath.Join(v.dir, treeDir))
	if err != nil {
		v.problem("file", treeDir, "cannot be read")
	}
	for _, e := range list {
		if !e.IsDir() || !validShard(e.Name()) {
			v.problem("file", treeDir+"/"+e.Name(), "does not belong to the log")
			continue
		}
		names = append(names, e.Name())
	}
	return names
}

// checkFolders looks for trees of no shard. The next one may be there before its first
// checkpoint is: then it has no checkpoint yet.
func (v *verifier) checkFolders(ctx context.Context, names []string, list []lockedShard) {
	for _, name := range names {
		if slices.ContainsFunc(list, func(s lockedShard) bool { return s.name == name }) {
			continue
		}
		bad := true
		if v.closed != nil {
			_, next, err := splitOrigin(v.closed.origin)
			bad = err != nil || next != name
		}
		if !bad {
			err := dirFiles(filepath.Join(v.dir, treeDir, name)).walk(ctx, func(file string) error {
				_, _, _, tile := parseTileName(file)
				bad = bad || !tile && !strings.HasPrefix(filepath.Base(file), ".tmp-")
				return nil
			})
			bad = bad || err != nil
			// A running gateway may have begun the shard while we looked.
			if now, ok := v.readLocked(ctx); ok && slices.ContainsFunc(now, func(s lockedShard) bool { return s.name == name }) {
				continue
			}
		}
		if bad && !v.expired(ctx) {
			v.problem("file", treeDir+"/"+name, "does not belong to the log")
		}
	}
}
