package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// VerifyArchive checks a log from its bucket alone, below prefix. o.Dir is not
// used. Of a key that must never change the oldest version counts, which is the
// locked one; that it was overwritten or deleted since is told in Report.Notes and
// harms nothing. The newest locked checkpoint says what must be there.
//
// Shards that were deleted when their time was over make the check incomplete, as long
// as none in between is missing. Without o.Trust the key in the bucket is believed, and the outcome is at best
// Incomplete. Sealed details and the index are not part of an archive.
//
// A bucket that cannot be listed makes the check incomplete. The error is about the
// call (no archive there, an unusable key), not the archive.
func VerifyArchive(ctx context.Context, b Bucket, prefix string, o VerifyOptions) (Report, error) {
	var missing error
	r, err := o.verify(ctx, func(ctx context.Context, v *verifier) {
		missing = v.runArchive(ctx, b, prefix)
	})
	if err == nil && missing != nil {
		err = fmt.Errorf("verifying archive: %w", missing)
	}
	return r, err
}

// bucketFiles is the tree of one shard in a bucket, as it was listed.
type bucketFiles struct {
	bucket Bucket
	// first has the oldest version of each object by its name in the shard, last the
	// newest where it is not deleted.
	first, last map[string]ObjectVersion
	origin      string
	ended       bool // another shard follows
}

var _ treeFiles = (*bucketFiles)(nil)

// read takes the oldest version of what never changes, and the newest of partial
// tiles, which are not locked until their shard has ended.
func (f *bucketFiles) read(ctx context.Context, name string) ([]byte, error) {
	from := f.first
	if _, _, w, ok := parseTileName(name); name == checkpointFile || ok && w < tileWidth && !f.ended {
		from = f.last
	}
	v, ok := from[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if v.Size > maxTreeFile {
		return nil, fmt.Errorf("%s is not a file of a tree", name)
	}
	return f.bucket.Version(ctx, v)
}

func (f *bucketFiles) walk(ctx context.Context, visit func(name string) error) error {
	for name := range f.last {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(name); err != nil {
			return err
		}
	}
	return nil
}

// maxNotes bounds the notes of a report.
const maxNotes = 20

func (v *verifier) note(text string) {
	if len(v.report.Notes) < maxNotes {
		v.report.Notes = append(v.report.Notes, text)
	}
}

// runArchive does the check. Its error is ErrMissing.
func (v *verifier) runArchive(ctx context.Context, b Bucket, prefix string) error {
	if prefix != "" {
		prefix = strings.Trim(prefix, "/") + "/"
	}
	shards, err := v.list(ctx, b, prefix)
	if err != nil {
		if !v.expired(ctx) {
			v.unchecked(err.Error())
		}
		return nil
	}
	if len(shards) == 0 {
		return fmt.Errorf("%w: no archive below %q", ErrMissing, prefix)
	}
	if len(v.trust) == 0 {
		v.unchecked("no key from outside was given: a log that was replaced together with its key would pass")
	}
	v.prefix = true
	names := slices.Sorted(maps.Keys(shards))
	for i, name := range names {
		files := shards[name]
		files.ended = i+1 < len(names)
		if !v.readArchivedKeys(ctx, name, files) {
			return nil
		}
		v.begin(files.origin, files, len(names) > 1)
		head, signed, ok := v.readCheckpoints(ctx, files)
		if !ok {
			return nil
		}
		v.checkpointIs(head)
		if !v.entries(ctx, head) {
			return nil
		}
		v.archived(ctx, files)
		if i+1 < len(names) {
			v.leave(signed)
		}
	}
	v.endChain()
	return nil
}

// readArchivedKeys reads the key that lies beside a shard, and from it the origin.
func (v *verifier) readArchivedKeys(ctx context.Context, name string, files *bucketFiles) bool {
	place := name + "/" + publicFile
	data, err := files.read(ctx, publicFile)
	if err != nil {
		v.failedRead(ctx, "key", place)
		return false
	}
	text, ended := strings.CutSuffix(string(data), "\n")
	keys := strings.Split(text, "\n")
	for _, line := range keys {
		k, err := note.NewVerifier(line)
		if err == nil {
			files.origin = k.Name()
			_, shard, bad := splitOrigin(files.origin)
			err = bad
			if err == nil && shard != name {
				err = errors.New("of another shard")
			}
		}
		if err != nil || !ended {
			v.problem("key", place, "is not a list of verifier keys of the shard")
			return false
		}
	}
	v.beside = append(v.beside, keys...)
	return true
}

// list reads the names of all versions, by shard.
func (v *verifier) list(ctx context.Context, b Bucket, prefix string) (map[string]*bucketFiles, error) {
	shards := map[string]*bucketFiles{}
	seen := map[string]bool{} // a newer version, or the mark of deletion, was listed
	err := b.Versions(ctx, prefix, func(o ObjectVersion) error {
		if err := ctx.Err(); err != nil {
			return err // whatever the store goes on to list
		}
		shard, name, _ := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/")
		if !validShard(shard) {
			v.problem("file", o.Key, "does not belong to the archive")
			return nil
		}
		f := shards[shard]
		if f == nil {
			f = &bucketFiles{bucket: b, first: map[string]ObjectVersion{}, last: map[string]ObjectVersion{}}
			shards[shard] = f
		}
		_, _, w, isTile := parseTileName(name)
		locked := isTile && w == tileWidth || strings.HasPrefix(name, checkpointsDir+"/")
		switch {
		case o.Deleted:
			if locked {
				v.note(shard + "/" + name + " was deleted since; its locked version counts")
			}
		default:
			if !seen[o.Key] {
				f.last[name] = o
			} else if _, older := f.first[name]; older && locked {
				v.note(shard + "/" + name + " was overwritten since; its oldest version counts")
			}
			f.first[name] = o // versions come newest first
		}
		seen[o.Key] = true
		return nil
	})
	return shards, err
}

// readCheckpoints verifies all locked checkpoints and takes them as marks. The
// largest is what the archive must hold of the shard.
func (v *verifier) readCheckpoints(ctx context.Context, f *bucketFiles) (head checkpoint, signed string, ok bool) {
	var names []string
	for name := range f.first {
		if strings.HasPrefix(name, checkpointsDir+"/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var list []mark
	for _, name := range names {
		if v.expired(ctx) {
			return checkpoint{}, "", false
		}
		text, err := f.read(ctx, name)
		if err != nil {
			v.failedRead(ctx, "checkpoint", v.place(name))
			continue
		}
		c, err := openCheckpoint(text, v.known)
		if err != nil {
			v.problem("checkpoint", v.place(name), err.Error())
			continue
		}
		if name != checkpointKey(c.size) {
			v.problem("checkpoint", v.place(name), "has another size than its name says")
		}
		list = append(list, mark{place: v.place(name), checkpoint: c})
		if c.size > head.size {
			head, signed = c, string(text)
		}
	}
	if head.size == 0 {
		if len(names) == 0 {
			v.problem("checkpoint", v.place(checkpointsDir), "holds no checkpoint")
		}
		return checkpoint{}, "", false
	}
	v.marks = append(v.marks, list...) // by size already, as their names are
	text, err := f.read(ctx, checkpointFile)
	if err != nil {
		v.failedRead(ctx, "checkpoint", v.place(checkpointFile))
		return head, signed, true
	}
	c, err := openCheckpoint(text, v.known)
	switch {
	case err != nil:
		v.problem("checkpoint", v.place(checkpointFile), err.Error())
	case c.size > head.size:
		v.problem("checkpoint", v.place(checkpointFile), "is ahead of the locked checkpoints")
	default:
		v.addMark(v.place(checkpointFile), c)
	}
	return head, signed, true
}

// archived looks for objects that are none of the archive's.
func (v *verifier) archived(ctx context.Context, f *bucketFiles) {
	for _, name := range slices.Sorted(maps.Keys(f.first)) {
		if v.expired(ctx) {
			return
		}
		if name == checkpointFile || name == publicFile {
			continue
		}
		if size, ok := strings.CutPrefix(name, checkpointsDir+"/"); ok {
			if n, err := strconv.ParseInt(size, 10, 64); err != nil || checkpointKey(n) != name {
				v.problem("file", v.place(name), "does not belong to the archive")
			}
			continue
		}
		level, n, w, ok := parseTileName(name)
		if !ok {
			v.problem("file", v.place(name), "does not belong to the tree")
			continue
		}
		// Full ones were compared with the entries; what lies beyond the newest
		// checkpoint was left by a run that was interrupted.
		if _, there := f.last[name]; there && w < tileWidth {
			v.checkFile(ctx, name, level, n, w)
		}
	}
}
