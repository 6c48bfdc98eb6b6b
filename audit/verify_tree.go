package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// entries reads the entries from where the last call stopped up to the
// checkpoint, and holds against them: the leaves' form and chains, the details,
// the index, every tile, and the root. It reports false when going on makes no
// sense.
func (v *verifier) entries(ctx context.Context, cp checkpoint) bool {
	if _, shard, err := splitOrigin(cp.origin); err != nil || shard != v.shard {
		v.problem("checkpoint", lockFile, "names another shard than the tree")
		return false
	}
	compare := func(name string, want []byte) { v.compareTile(name, want) }
	for v.edge.size < cp.size {
		if v.expired(ctx) {
			return false
		}
		n, from := v.edge.size/tileWidth, int(v.edge.size%tileWidth)
		w := int(min(tileWidth, cp.size-n*tileWidth))
		data, err := v.readAtLeast(levelEntries, n, w)
		if err != nil {
			v.problem("entries", tileName(levelEntries, n, w), "cannot be read")
			return false
		}
		all, err := parseBundle(data, -1)
		if err != nil || len(all) < w {
			v.problem("entries", tileName(levelEntries, n, w), "is not an entry bundle")
			return false
		}
		var leaves []Leaf
		for i, entry := range all[from:w] {
			leaves = append(leaves, v.entry(n*tileWidth+int64(from+i), entry))
			v.edge.add(entry, tlog.RecordHash(entry), compare)
			v.report.Entries++
			if v.edge.size == v.published.size && v.edge.root() != v.published.root {
				v.problem("checkpoint", checkpointFile, "is not on the history of the lock store")
			}
		}
		v.checkDetails(ctx, n*tileWidth+int64(from), leaves)
		v.checkIndexBlock(ctx, n, w)
	}
	v.edge.partials(compare)
	if v.edge.root() != cp.root {
		v.problem("root", lockFile, "the entries do not have the root that was signed")
	}
	return true
}

// entry checks one leaf by itself and in its node's stream, and notes its index
// row.
func (v *verifier) entry(idx int64, entry []byte) Leaf {
	place := "entry " + strconv.FormatInt(idx, 10)
	l, err := ParseLeaf(entry)
	if err != nil {
		v.problem("leaf", place, err.Error())
		return Leaf{}
	}
	hash := tlog.RecordHash(entry)
	if err := l.follows(v.streams[l.Node]); err != nil {
		v.problem("chain", place, err.Error())
	}
	v.streams[l.Node] = position{epoch: l.Epoch, seq: l.Seq, hash: hash}
	if (idx == 0) != (l.Type == TypeGenesis) {
		v.problem("genesis", place, "the genesis leaf is not the first")
	}
	if idx == 0 && l.Attrs["origin"] != v.report.Origin {
		v.problem("genesis", place, "names another origin")
	}
	if l.Type == TypeIndexSealed {
		v.checkSeal(place, idx, &l)
	}
	v.rows = append(v.rows, project(&l).placed(idx, hash))
	return l
}

// checkSeal holds an index.sealed leaf against the block digests that follow from
// the entries.
func (v *verifier) checkSeal(place string, idx int64, l *Leaf) {
	n, err := strconv.Atoi(l.Attrs["blocks"])
	if err != nil || n < 0 || n > len(v.blocks) || int64(n)*tileWidth > idx {
		v.problem("seal", place, "seals more blocks than there are")
		return
	}
	want := ""
	if n > 0 {
		root := merkleRoot(v.blocks[:n])
		want = hex.EncodeToString(root[:])
	}
	if l.Attrs["root"] != want {
		v.problem("seal", place, "does not seal the index of its entries")
	}
}

// readAtLeast reads a tile or bundle that has at least want nodes: the partial
// file of that width, a full one, or any wider partial one, because a running log
// replaces them.
func (v *verifier) readAtLeast(level int, n int64, want int) ([]byte, error) {
	read := func(name string) ([]byte, error) { return readTreeFile(v.tree, name) }
	data, err := readWidth(read, level, n, want)
	for w := want + 1; err != nil && w < tileWidth; w++ {
		data, err = read(tileName(level, n, w))
	}
	if err != nil {
		data, err = readWidth(read, level, n, want)
	}
	return data, err
}

// compareTile holds a file of the tree against what it must be. Only when it has
// given way to a wider one is it enough that this begins the same.
func (v *verifier) compareTile(name string, want []byte) {
	data, err := readTreeFile(v.tree, name)
	if err == nil && bytes.Equal(data, want) {
		return
	}
	if err != nil {
		level, n, w, _ := parseTileName(name)
		if data, err = v.readAtLeast(level, n, w); err != nil {
			v.problem("tile", name, "cannot be read")
			return
		}
		if w < tileWidth && bytes.HasPrefix(data, want) {
			return
		}
	}
	v.problem("tile", name, "does not follow from the entries")
}

// files walks the tree, so that no file of it stays unchecked: partial files of
// older checkpoints must begin what is there now, and nothing else may be there.
func (v *verifier) files(ctx context.Context) {
	err := filepath.WalkDir(v.tree, func(p string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile; needed files were read before
		}
		rel, relErr := filepath.Rel(v.tree, p)
		if relErr != nil || d.IsDir() {
			return relErr
		}
		name := filepath.ToSlash(rel)
		if name == checkpointFile || strings.HasPrefix(path.Base(name), ".tmp-") {
			return nil
		}
		level, n, w, ok := parseTileName(name)
		if !ok {
			v.problem("file", name, "does not belong to the tree")
			return nil
		}
		v.checkFile(name, level, n, w)
		return nil
	})
	if err != nil && !v.expired(ctx) {
		v.problem("file", treeDir, "cannot be read")
	}
}

// checkFile checks one file as far as the checkpoint covers it.
func (v *verifier) checkFile(name string, level int, n int64, w int) {
	count := v.edge.size
	if level > 0 {
		count >>= tileHeight * level
	}
	covered := int(min(tileWidth, max(0, count-n*tileWidth)))
	k := min(covered, w)
	if k == 0 || w == covered {
		return // beyond the checkpoint, or compared already
	}
	data, err := readTreeFile(v.tree, name)
	if err != nil {
		return // a running log dropped it meanwhile
	}
	full, err := v.readAtLeast(level, n, covered)
	if err != nil {
		v.problem("tile", name, "cannot be compared")
		return
	}
	if level == levelEntries {
		a, errA := parseBundle(data, -1)
		b, errB := parseBundle(full, -1)
		bad := errA != nil || errB != nil || len(a) != w || len(b) < k
		for i := 0; !bad && i < k; i++ {
			bad = !bytes.Equal(a[i], b[i])
		}
		if bad {
			v.problem("tile", name, "does not follow from the entries")
		}
		return
	}
	if len(data) != w*tlog.HashSize || !bytes.HasPrefix(full, data[:k*tlog.HashSize]) {
		v.problem("tile", name, fmt.Sprintf("does not begin the tile of width %d", covered))
	}
}
