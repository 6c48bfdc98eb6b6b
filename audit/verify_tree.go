package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// entries reads the entries from where the last call stopped up to the
// checkpoint, and holds against them: the leaves' form and chains, the details,
// the index, every tile, and the root. It reports false when going on makes no
// sense.
func (v *verifier) entries(ctx context.Context, cp checkpoint) bool {
	if cp.origin != v.origin {
		v.problem("checkpoint", v.place(checkpointFile), "names another shard than the tree")
		return false
	}
	compare := func(name string, want []byte) { v.compareTile(ctx, name, want) }
	for v.edge.size < cp.size {
		if v.expired(ctx) {
			return false
		}
		n, from := v.edge.size/tileWidth, int(v.edge.size%tileWidth)
		w := int(min(tileWidth, cp.size-n*tileWidth))
		data, err := v.readAtLeast(ctx, levelEntries, n, w)
		if err != nil {
			v.failedRead(ctx, "entries", v.place(tileName(levelEntries, n, w)))
			return false
		}
		all, err := parseBundle(data, -1)
		if err != nil || len(all) < w {
			v.problem("entries", v.place(tileName(levelEntries, n, w)), "is not an entry bundle")
			return false
		}
		var leaves []Leaf
		for i, entry := range all[from:w] {
			leaves = append(leaves, v.entry(n*tileWidth+int64(from+i), entry))
			v.edge.add(entry, tlog.RecordHash(entry), compare)
			v.report.Entries++
			v.checkMarks()
		}
		v.checkDetails(ctx, n*tileWidth+int64(from), leaves)
		v.checkIndexBlock(ctx, n, w)
	}
	v.edge.partials(compare)
	if v.edge.root() != cp.root {
		v.problem("root", v.place(lockFile), "the entries do not have the root that was signed")
	}
	return true
}

// entry checks one leaf by itself and in its node's stream, and notes its index
// row.
func (v *verifier) entry(idx int64, entry []byte) Leaf {
	place := v.place("entry " + strconv.FormatInt(idx, 10))
	if v.closed != nil {
		v.problem("shard", place, "stands behind the end of its shard")
	}
	l, err := ParseLeaf(entry)
	if err != nil {
		v.problem("leaf", place, err.Error())
		return Leaf{}
	}
	hash := tlog.RecordHash(entry)
	last, seen := v.streams[l.Node]
	// Of a stream that began in a shard that is not here, the first leaf is believed.
	if err := l.follows(last); err != nil && (seen || !v.prefix || v.before != nil || l.Node == v.origin) {
		v.problem("chain", place, err.Error())
	}
	v.streams[l.Node] = position{epoch: l.Epoch, seq: l.Seq, hash: hash}
	switch {
	case idx == 0:
		v.firstLeaf(place, &l)
	case l.Type == TypeGenesis || l.Type == TypeShardOpened:
		v.problem("genesis", place, "the genesis leaf is not the first")
	case l.Type == TypeShardClosed:
		v.closed = l.succession()
	}
	if l.Type == TypeIndexSealed {
		v.checkSeal(place, idx, &l)
	}
	if l.Type == TypeGap {
		g, err := gapOf(idx, &l)
		if err != nil {
			v.problem("leaf", place, err.Error())
		}
		v.gap(g)
		v.tellLost(place, idx, &g)
	}
	v.rows = append(v.rows, project(&l).place(idx, hash))
	if v.report.Entries == 0 {
		v.report.First = l.Wall
	}
	v.report.Last = l.Wall
	if v.visit != nil {
		v.visit(&Entry{Origin: v.origin, Index: idx, Hash: hash, Data: entry, Leaf: l})
	}
	tally(v.report.Types, l.Type)
	tally(v.report.Policies, l.Policy)
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

// mark is a checkpoint that must be on the verified history.
type mark struct {
	place string
	checkpoint
}

// addMark takes a checkpoint to hold against the entries when they reach its
// size. Marks are added before the first entry is read.
func (v *verifier) addMark(place string, c checkpoint) {
	v.marks = append(v.marks, mark{place: place, checkpoint: c})
	slices.SortStableFunc(v.marks, func(a, b mark) int { return cmp.Compare(a.size, b.size) })
}

// checkMarks compares the marks of the size just reached (invariant A7).
func (v *verifier) checkMarks() {
	for len(v.marks) > 0 && v.marks[0].size <= v.edge.size {
		m := v.marks[0]
		v.marks = v.marks[1:]
		if m.size < v.edge.size || v.edge.root() != m.root {
			v.problem("checkpoint", m.place, "is not on the history of the checkpoint that was verified")
		}
	}
}

// failedRead tells that a needed file could not be read. After the deadline that
// says nothing about the log.
func (v *verifier) failedRead(ctx context.Context, kind, place string) {
	if !v.expired(ctx) {
		v.problem(kind, place, "cannot be read")
	}
}

// readAtLeast reads a tile or bundle that has at least want nodes: the partial
// file of that width, a full one, or any wider partial one, because a running log
// replaces them.
func (v *verifier) readAtLeast(ctx context.Context, level int, n int64, want int) ([]byte, error) {
	read := func(name string) ([]byte, error) { return v.src.read(ctx, name) }
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
func (v *verifier) compareTile(ctx context.Context, name string, want []byte) {
	data, err := v.src.read(ctx, name)
	if err == nil && bytes.Equal(data, want) {
		return
	}
	if err != nil {
		level, n, w, _ := parseTileName(name)
		if data, err = v.readAtLeast(ctx, level, n, w); err != nil {
			v.failedRead(ctx, "tile", v.place(name))
			return
		}
		if w < tileWidth && bytes.HasPrefix(data, want) {
			return
		}
	}
	v.problem("tile", v.place(name), "does not follow from the entries")
}

// files walks the tree, so that no file of it stays unchecked: partial files of
// older checkpoints must begin what is there now, and nothing else may be there.
func (v *verifier) files(ctx context.Context) {
	err := v.src.walk(ctx, func(name string) error {
		if name == checkpointFile || strings.HasPrefix(path.Base(name), ".tmp-") {
			return nil
		}
		level, n, w, ok := parseTileName(name)
		if !ok {
			v.problem("file", v.place(name), "does not belong to the tree")
			return nil
		}
		v.checkFile(ctx, name, level, n, w)
		return ctx.Err()
	})
	if err != nil && !v.expired(ctx) {
		v.problem("file", treeDir, "cannot be read")
	}
}

// covered is how many nodes of a tile, or entries of a bundle, the checkpoint
// covers.
func (v *verifier) covered(level int, n int64) int { return coveredOf(v.edge.size, level, n) }

// coveredOf is covered for a checkpoint of the given size.
func coveredOf(count int64, level int, n int64) int {
	if level > 0 {
		count >>= tileHeight * level
	}
	return int(min(tileWidth, max(0, count-n*tileWidth)))
}

// checkFile checks one file as far as the checkpoint covers it.
func (v *verifier) checkFile(ctx context.Context, name string, level int, n int64, w int) {
	covered := v.covered(level, n)
	k := min(covered, w)
	if k == 0 || w == covered {
		return // beyond the checkpoint, or compared already
	}
	data, err := v.src.read(ctx, name)
	if err != nil {
		return // a running log dropped it meanwhile
	}
	full, err := v.readAtLeast(ctx, level, n, covered)
	if err != nil {
		v.problem("tile", v.place(name), "cannot be compared")
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
			v.problem("tile", v.place(name), "does not follow from the entries")
		}
		return
	}
	if len(data) != w*tlog.HashSize || !bytes.HasPrefix(full, data[:k*tlog.HashSize]) {
		v.problem("tile", v.place(name), fmt.Sprintf("does not begin the tile of width %d", covered))
	}
}
