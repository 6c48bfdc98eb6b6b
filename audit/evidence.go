package audit

import (
	"bufio"
	"bytes"
	"context"
	_ "embed" // the page and its script
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Files of an evidence folder. Beside them it holds tree/SHARD with checkpoint,
// tiles and entry bundles in the form of c2sp.org/tlog-tiles.
const (
	aboutFile   = "evidence.json"
	readmeFile  = "README.txt"
	pageFile    = "verify.html"
	jsonlFile   = "events.jsonl"
	csvFile     = "events.csv"
	receiptsDir = "receipts"
	proofSuffix = ".tlog-proof"
)

// evidenceVersion is the version of the folder's layout, viewsVersion that of
// what is derived from the entries: both tables, the page and the explanation.
const (
	evidenceVersion = 2
	viewsVersion    = 3
)

// maxReceipts bounds the receipts of one evidence folder.
const maxReceipts = 1000

//go:embed page/verify.html
var pageHTML string

//go:embed page/hashes.js
var hashesScript string

//go:embed page/verify.js
var verifyScript string

// pageScript is one script; its parts are apart for those who read them.
func pageScript() string { return hashesScript + verifyScript }

//go:embed page/README.txt
var readmeText string

// about is evidence.json. Nothing in it is free to choose, so that every bit of
// it can be checked.
type about struct {
	Version int          `json:"version"`
	Views   int          `json:"views"`
	Shards  []aboutShard `json:"shards"` // the oldest first
}

type aboutShard struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
}

// evidence is what the small files of a folder follow from.
type evidence struct {
	keys     []string
	signed   []string // the checkpoints, the oldest shard's first
	shards   []aboutShard
	receipts map[string]string // event id to tlog-proof
}

// files are the small files that every evidence folder has, by name.
func (e *evidence) files() (map[string][]byte, error) {
	manifest, err := json.MarshalIndent(about{Version: evidenceVersion, Views: viewsVersion, Shards: e.shards}, "", "  ")
	if err != nil {
		return nil, err
	}
	// encoding/json escapes <, > and &, so that the data cannot end the element.
	data, err := json.Marshal(struct {
		Keys        string            `json:"keys"`
		Checkpoints []string          `json:"checkpoints"`
		Receipts    map[string]string `json:"receipts"`
	}{strings.Join(e.keys, "\n"), e.signed, e.receipts})
	if err != nil {
		return nil, err
	}
	before, after, _ := strings.Cut(pageHTML, "EVIDENCE")
	middle, end, _ := strings.Cut(after, "SCRIPT")
	files := map[string][]byte{
		aboutFile:  append(manifest, '\n'),
		publicFile: []byte(strings.Join(e.keys, "\n") + "\n"),
		readmeFile: []byte(readmeText),
		pageFile:   []byte(before + string(data) + middle + pageScript() + end),
	}
	for id, proof := range e.receipts {
		files[receiptsDir+"/"+id+proofSuffix] = []byte(proof)
	}
	return files, nil
}

// views writes the two tables of a folder, entry by entry.
type views struct {
	jsonl io.Writer
	csv   *CSV
}

func newViews(jsonl, csv io.Writer) *views { return &views{jsonl: jsonl, csv: NewCSV(csv)} }

func (v *views) add(e *Entry) error {
	line, err := e.OCSF()
	if err != nil {
		return err
	}
	if _, err := v.jsonl.Write(append(line, '\n')); err != nil {
		return err
	}
	return v.csv.Add(e)
}

// EvidenceOptions says what to export.
type EvidenceOptions struct {
	// Dir is the data directory; a gateway may have the log open.
	Dir string
	// Out is the folder to make. It must not exist, or be empty.
	Out string
	// Receipts are the events to prove one by one, for example receipts that a
	// customer kept. At most 1,000.
	Receipts []ID
}

// EvidenceReport says what an export holds: Origin is that of the newest of the Shards,
// Size all their entries.
type EvidenceReport struct {
	Origin   string
	Shards   int
	Size     int64
	Receipts int
}

// ExportEvidence writes a folder that an auditor can verify alone: checkpoint,
// entries, tiles, keys, proofs of receipts, the events as tables, and a page that
// checks all this in a browser without a network. Sealed details and secret keys
// are never part of it.
//
// The tiles are derived anew from the entries and must have the signed root:
// evidence that would not verify is not written.
func ExportEvidence(ctx context.Context, o EvidenceOptions) (EvidenceReport, error) {
	r, err := exportEvidence(ctx, o)
	if err != nil {
		return EvidenceReport{}, fmt.Errorf("exporting evidence: %w", err)
	}
	return r, nil
}

func exportEvidence(ctx context.Context, o EvidenceOptions) (EvidenceReport, error) {
	if len(o.Receipts) > maxReceipts {
		return EvidenceReport{}, fmt.Errorf("at most %d receipts fit into one export", maxReceipts)
	}
	if list, err := os.ReadDir(o.Out); err == nil && len(list) > 0 {
		return EvidenceReport{}, fmt.Errorf("%s is not empty", o.Out)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return EvidenceReport{}, err
	}
	trees, err := openTrees(o.Dir)
	if err != nil {
		return EvidenceReport{}, err
	}
	out := folder{root: o.Out}
	e := evidence{receipts: map[string]string{}}
	err = out.tables(func(v *views) error {
		for _, t := range trees {
			if err := t.copyTo(ctx, &out, v); err != nil {
				return err
			}
			e.keys = append(e.keys, t.keys...)
			e.signed = append(e.signed, string(t.signed))
			e.shards = append(e.shards, aboutShard{Origin: t.origin, Size: t.size})
		}
		return nil
	})
	if err != nil {
		return EvidenceReport{}, err
	}
	for _, id := range o.Receipts {
		p, err := proofFrom(ctx, trees, &out, o.Dir, id)
		if err != nil {
			return EvidenceReport{}, fmt.Errorf("receipt %s: %w", id, err)
		}
		e.receipts[id.String()] = p.String()
	}
	files, err := e.files()
	if err != nil {
		return EvidenceReport{}, err
	}
	// The checkpoints are last: a folder without one was not finished.
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out.write(name, files[name])
	}
	for _, t := range trees {
		out.write(t.folder()+checkpointFile, t.signed)
	}
	return EvidenceReport{Origin: trees[len(trees)-1].origin, Shards: len(trees), Size: totalSize(trees), Receipts: len(e.receipts)}, out.err
}

// folder is where a tree lies in an evidence folder.
func (t *signedTree) folder() string { return treeDir + "/" + t.shard + "/" }

// copyTo writes the tree's files as they follow from its entries.
func (t *signedTree) copyTo(ctx context.Context, out *folder, v *views) error {
	var e edge
	emit := func(name string, data []byte) { out.write(t.folder()+name, data) }
	err := t.each(ctx, 0, t.size, func(entry Entry) error {
		e.add(entry.Data, entry.Hash, emit)
		return errors.Join(out.err, v.add(&entry))
	})
	if err != nil {
		return err
	}
	e.partials(emit)
	if e.root() != t.root {
		return fmt.Errorf("%w: the entries do not have the root that was signed; run caregate audit verify", ErrCorrupt)
	}
	return out.err
}

// proofFrom proves one event against the exported trees.
func proofFrom(ctx context.Context, trees []*signedTree, out *folder, dir string, id ID) (Proof, error) {
	shard, idx, err := lookupPlace(ctx, dir, id)
	if err != nil {
		return Proof{}, err
	}
	at := slices.IndexFunc(trees, func(t *signedTree) bool { return t.shard == shard })
	if at < 0 || idx >= trees[at].size {
		return Proof{}, ErrNotCovered
	}
	t := trees[at]
	tree := out.tree(t.folder())
	read := func(name string) ([]byte, error) { return readTreeFile(tree, name) }
	return proveAt(read, func() ([]byte, error) { return readEntry(tree, idx) }, t.signed, t.checkpoint, idx)
}

// folder writes files below root; the first error sticks.
type folder struct {
	root string
	err  error
}

func (f *folder) tree(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

func (f *folder) write(name string, data []byte) {
	if f.err != nil {
		return
	}
	path := filepath.Join(f.root, filepath.FromSlash(name))
	if f.err = os.MkdirAll(filepath.Dir(path), 0o700); f.err == nil {
		f.err = os.WriteFile(path, data, 0o600)
	}
}

// tables opens the two tables for the time of fill.
func (f *folder) tables(fill func(*views) error) (err error) {
	if err := os.MkdirAll(f.root, 0o700); err != nil {
		return err
	}
	var writers [2]*bufio.Writer
	for i, name := range [...]string{jsonlFile, csvFile} {
		file, err := os.OpenFile(filepath.Join(f.root, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		writers[i] = bufio.NewWriterSize(file, 1<<16)
	}
	v := newViews(writers[0], writers[1])
	return errors.Join(fill(v), v.csv.Flush(), writers[0].Flush(), writers[1].Flush())
}

// comparer is a writer that only compares: what is written must be what the file
// holds.
type comparer struct {
	r      *bufio.Reader
	differ bool
	buf    []byte
}

func (c *comparer) Write(p []byte) (int, error) {
	if c.differ {
		return len(p), nil
	}
	c.buf = slices.Grow(c.buf[:0], len(p))[:len(p)]
	if _, err := io.ReadFull(c.r, c.buf); err != nil || !bytes.Equal(c.buf, p) {
		c.differ = true
	}
	return len(p), nil
}

// end reports whether the file held what was written, and nothing more.
func (c *comparer) end() bool {
	if c.differ {
		return false
	}
	_, err := c.r.ReadByte()
	return errors.Is(err, io.EOF)
}

// proveAt makes a proof and checks that it leads to the checkpoint.
func proveAt(read readFile, entry func() ([]byte, error), signed []byte, cp checkpoint, idx int64) (Proof, error) {
	data, err := entry()
	if err != nil {
		return Proof{}, err
	}
	path, err := tlog.ProveRecord(cp.size, idx, tileHashes(read, cp))
	if err != nil {
		return Proof{}, err
	}
	if err := tlog.CheckRecord(path, cp.size, cp.root, idx, tlog.RecordHash(data)); err != nil {
		return Proof{}, fmt.Errorf("%w: entry %d does not have the hash in its tile", ErrCorrupt, idx)
	}
	p := Proof{Entry: slices.Clone(data), Index: idx, Checkpoint: string(signed)}
	for _, h := range path {
		p.Hashes = append(p.Hashes, h)
	}
	return p, nil
}
