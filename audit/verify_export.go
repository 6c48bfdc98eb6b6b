package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// VerifyExport checks an evidence folder as ExportEvidence writes it. o.Dir is the
// folder; nothing in it is trusted but, without o.Trust, its key, and then the
// outcome is at best Incomplete.
//
// It reads every file of the folder, and a file that does not belong there is a
// problem. Sealed details and the index are not part of an export: what the
// entries say of them is checked as far as the entries go.
//
// The error is about the call (no folder there, an unusable key), not the export.
func VerifyExport(ctx context.Context, o VerifyOptions) (Report, error) {
	if fi, err := os.Stat(o.Dir); err != nil {
		return Report{}, fmt.Errorf("verifying export: %w: %w", ErrMissing, err)
	} else if !fi.IsDir() {
		return Report{}, fmt.Errorf("verifying export: %w: %s is not a folder", ErrMissing, o.Dir)
	}
	return o.verify(ctx, func(ctx context.Context, v *verifier) {
		v.dir = o.Dir
		v.runExport(ctx)
	})
}

// export is the part of a verification that only evidence folders have.
type export struct {
	evidence
	known bool // whether this program writes the same views
	jsonl comparer
	csv   comparer
	views *views
	sizes map[string]int64 // of the verified trees, by shard
}

func (v *verifier) runExport(ctx context.Context) {
	x := &export{evidence: evidence{receipts: map[string]string{}}, sizes: map[string]int64{}}
	if !v.loadKeys() || !v.readAbout(x) {
		return
	}
	if len(v.trust) == 0 {
		v.unchecked("no key from outside was given: a log that was replaced together with its key would pass")
	}
	closeTables := v.openTables(x)
	defer closeTables()
	for i, s := range x.shards {
		_, shard, _ := splitOrigin(s.Origin) // read before
		v.begin(s.Origin, dirFiles(filepath.Join(v.dir, treeDir, shard)), len(x.shards) > 1)
		cp, ok := v.readExported(ctx, x, s)
		if !ok || !v.entries(ctx, cp) {
			return
		}
		if x.sizes[shard] = cp.size; i+1 < len(x.shards) {
			v.leave(x.signed[i])
		}
	}
	v.endChain()
	v.checkTables(x)
	v.checkReceipts(ctx, x)
	v.checkFolder(ctx, x)
}

// readAbout reads evidence.json, which says where the trees are.
func (v *verifier) readAbout(x *export) bool {
	data, err := readTreeFile(v.dir, aboutFile)
	if err != nil {
		v.problem("file", aboutFile, "cannot be read")
		return false
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err == nil && version.Version != evidenceVersion {
		v.unchecked(fmt.Sprintf("the export has layout version %d, this program knows %d", version.Version, evidenceVersion))
		return false
	}
	var a about
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil || len(a.Shards) == 0 {
		v.problem("file", aboutFile, "does not describe an export")
		return false
	}
	last := ""
	for _, s := range a.Shards {
		_, shard, err := splitOrigin(s.Origin)
		if err != nil || shard <= last {
			v.problem("file", aboutFile, "does not name shards of a log in their order")
			return false
		}
		last = shard
	}
	x.known, x.shards = a.Views == viewsVersion, a.Shards
	return true
}

// readExported reads and verifies the checkpoint of a shard.
func (v *verifier) readExported(ctx context.Context, x *export, s aboutShard) (checkpoint, bool) {
	place := v.place(checkpointFile)
	signed, err := v.src.read(ctx, checkpointFile)
	if err != nil {
		v.failedRead(ctx, "checkpoint", place)
		return checkpoint{}, false
	}
	cp, err := openCheckpoint(signed, v.known)
	if err != nil {
		v.problem("checkpoint", place, err.Error())
		return checkpoint{}, false
	}
	if cp.origin != s.Origin || cp.size != s.Size {
		v.problem("file", aboutFile, "describes another log than the checkpoint")
		return checkpoint{}, false
	}
	x.signed = append(x.signed, string(signed))
	v.checkpointIs(cp)
	return cp, true
}

// openTables makes each entry be held against the two tables.
func (v *verifier) openTables(x *export) (closeAll func()) {
	var open []*os.File
	for name, c := range map[string]*comparer{jsonlFile: &x.jsonl, csvFile: &x.csv} {
		path := filepath.Join(v.dir, name)
		fi, err := os.Stat(path)
		if err != nil || !fi.Mode().IsRegular() {
			c.differ = true
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			c.differ = true
			continue
		}
		open = append(open, f)
		c.r = bufio.NewReaderSize(f, 1<<16)
	}
	x.views = newViews(&x.jsonl, &x.csv)
	v.visit = func(e *Entry) {
		if x.known && x.views.add(e) != nil {
			x.jsonl.differ = true
		}
	}
	return func() {
		for _, f := range open {
			_ = f.Close() // opened for reading: nothing can be lost
		}
	}
}

// checkTables ends the comparison of the tables.
func (v *verifier) checkTables(x *export) {
	if !x.known {
		v.unchecked("tables, page and explanation were made by another version of this program; the entries are the evidence")
		return
	}
	if x.views.csv.Flush() != nil || !x.csv.end() {
		v.problem("file", csvFile, "does not follow from the entries")
	}
	if !x.jsonl.end() {
		v.problem("file", jsonlFile, "does not follow from the entries")
	}
}

// checkReceipts verifies each proof. It must lead to one of the checkpoints of the
// folder, which were verified, and whose entries were read.
func (v *verifier) checkReceipts(ctx context.Context, x *export) {
	dir := filepath.Join(v.dir, receiptsDir)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	err := walkFolder(ctx, dir, "", func(name string) error {
		place := receiptsDir + "/" + name
		id, isProof := strings.CutSuffix(name, proofSuffix)
		if _, err := ParseID(id); err != nil || !isProof || len(x.receipts) == maxReceipts {
			v.problem("file", place, "does not belong to the export")
			return nil //nolint:nilerr // told as a problem
		}
		data, err := readTreeFile(dir, name)
		if err != nil {
			v.problem("receipt", place, "cannot be read")
			return nil //nolint:nilerr // told as a problem
		}
		p, err := ParseProof(data)
		if err == nil && !slices.Contains(x.signed, p.Checkpoint) {
			err = errors.New("leads to another checkpoint")
		}
		if err == nil {
			var proven Proven
			if proven, err = p.Verify(v.used); err == nil && proven.Leaf.ID.String() != id {
				err = errors.New("proves another event")
			}
		}
		if err != nil {
			v.problem("receipt", place, err.Error())
			return nil
		}
		x.receipts[id] = string(data)
		v.report.Receipts++
		return nil
	})
	if err != nil && !v.expired(ctx) {
		v.problem("file", receiptsDir, "cannot be read")
	}
}

// checkFolder holds the small files against what they must be and looks for
// others. In a folder that nobody writes, a file of the tree beyond the checkpoint
// has no business either.
func (v *verifier) checkFolder(ctx context.Context, x *export) {
	keys, err := readTreeFile(v.dir, publicFile)
	if err != nil {
		v.problem("key", publicFile, "cannot be read")
	}
	x.evidence.keys = strings.Split(strings.TrimSuffix(string(keys), "\n"), "\n")
	want, err := x.files()
	if err != nil {
		v.problem("file", aboutFile, "does not describe an export")
		return
	}
	for name, data := range want {
		got, err := readTreeFile(v.dir, name)
		if (err != nil || !bytes.Equal(got, data)) && (x.known || name == publicFile) {
			v.problem("file", name, "is not what follows from the entries and this version of the program")
		}
	}
	err = walkFolder(ctx, v.dir, "", func(name string) error {
		if rest, ok := strings.CutPrefix(name, treeDir+"/"); ok {
			shard, tile, _ := strings.Cut(rest, "/")
			size, ours := x.sizes[shard]
			level, n, w, ok := parseTileName(tile)
			if !ours || tile != checkpointFile && (!ok || w != coveredOf(size, level, n)) {
				v.problem("file", name, "does not belong to the tree of this checkpoint")
			}
			return nil
		}
		if _, ok := want[name]; !ok && name != jsonlFile && name != csvFile && !strings.HasPrefix(name, receiptsDir+"/") {
			v.problem("file", name, "does not belong to the export")
		}
		return nil
	})
	if err != nil && !v.expired(ctx) {
		v.problem("file", v.dir, "cannot be read")
	}
}
