package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that one entry is in a log, to somebody who holds nothing but the
// log's key. Its text form is c2sp.org/tlog-proof@v1 with the entry itself as the
// extra data, so that one file is enough.
type Proof struct {
	// Entry are the bytes of the leaf, as ParseLeaf reads them.
	Entry []byte
	// Index is the entry's place in the log.
	Index int64
	// Hashes lead from the leaf's sibling up to a child of the root (RFC 6962).
	Hashes [][32]byte
	// Checkpoint is the signed note with the root that the proof leads to.
	Checkpoint string
}

// proofMagic is the first line of the text form.
const proofMagic = "c2sp.org/tlog-proof@v1"

// maxProof bounds the text form in bytes: an entry in base64, 63 hashes, and a
// checkpoint with room for cosignatures.
const maxProof = 64 << 10

// maxProofHashes is the height of the largest tree that int64 can count.
const maxProofHashes = 63

// String is the text form.
func (p Proof) String() string {
	var b strings.Builder
	b.WriteString(proofMagic + "\n")
	if len(p.Entry) > 0 {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Entry) + "\n")
	}
	b.WriteString("index " + strconv.FormatInt(p.Index, 10) + "\n")
	for _, h := range p.Hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n" + p.Checkpoint)
	return b.String()
}

// ParseProof accepts exactly what String prints. It checks the form, not the
// proof.
func ParseProof(data []byte) (Proof, error) {
	bad := errors.New("not a tlog-proof")
	if len(data) > maxProof {
		return Proof{}, bad
	}
	head, checkpoint, ok := strings.Cut(string(data), "\n\n")
	if !ok {
		return Proof{}, bad
	}
	p := Proof{Checkpoint: checkpoint}
	lines := strings.Split(head, "\n")
	if lines[0] != proofMagic {
		return Proof{}, bad
	}
	lines = lines[1:]
	var err error
	if extra, ok := strings.CutPrefix(first(lines), "extra "); ok {
		if p.Entry, err = base64.StdEncoding.DecodeString(extra); err != nil {
			return Proof{}, bad
		}
		lines = lines[1:]
	}
	index, ok := strings.CutPrefix(first(lines), "index ")
	if !ok || len(lines)-1 > maxProofHashes {
		return Proof{}, bad
	}
	if p.Index, err = strconv.ParseInt(index, 10, 64); err != nil || p.Index < 0 {
		return Proof{}, bad
	}
	for _, line := range lines[1:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return Proof{}, bad
		}
		p.Hashes = append(p.Hashes, tlog.Hash(raw))
	}
	if p.String() != string(data) {
		return Proof{}, bad
	}
	return p, nil
}

func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// Proven is what a proof proves.
type Proven struct {
	// Leaf is the event.
	Leaf Leaf
	// Origin, Size and Root are those of the checkpoint.
	Origin string
	Size   int64
	Root   [32]byte
}

// Verify checks the checkpoint's signature under one of the keys, and that the
// entry is in its tree. It proves presence: that the log holds this event in this
// place. It says nothing about other events.
func (p Proof) Verify(keys []string) (Proven, error) {
	known, err := verifiers(keys)
	if err != nil {
		return Proven{}, err
	}
	cp, err := openCheckpoint([]byte(p.Checkpoint), known)
	if err != nil {
		return Proven{}, err
	}
	path := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		path[i] = h
	}
	if p.Index >= cp.size {
		return Proven{}, errors.New("the entry lies beyond the checkpoint")
	}
	if tlog.CheckRecord(path, cp.size, cp.root, p.Index, tlog.RecordHash(p.Entry)) != nil {
		return Proven{}, errors.New("the entry does not lead to the checkpoint's root")
	}
	l, err := ParseLeaf(p.Entry)
	if err != nil {
		return Proven{}, err
	}
	return Proven{Leaf: l, Origin: cp.origin, Size: cp.size, Root: cp.root}, nil
}

// ErrNotCovered is returned by Prove for an event that is durable and not yet
// under a signed checkpoint. A running gateway signs one every second.
var ErrNotCovered = errors.New("the event is not under a checkpoint yet")

// proveTries is how often Prove follows a log that replaced its tiles meanwhile.
const proveTries = 5

// Prove makes the proof of one event of the log under the data directory dir,
// whether a gateway has it open or not. It writes nothing. ErrNotFound for an
// event that the log does not hold.
//
// The proof leads to the published checkpoint and is checked against it before it
// is returned; whether the checkpoint is rightly signed is for Verify.
func Prove(ctx context.Context, dir string, eid ID) (Proof, error) {
	shard, idx, err := lookupPlace(ctx, dir, eid)
	if err != nil {
		return Proof{}, err
	}
	tree := filepath.Join(dir, auditDir, treeDir, shard)
	for try := 1; ; try++ {
		p, err := prove(tree, idx)
		if err == nil || try == proveTries || !errors.Is(err, fs.ErrNotExist) {
			if err != nil && !errors.Is(err, ErrNotCovered) {
				err = fmt.Errorf("proving event: %w", err)
			}
			return p, err
		}
	}
}

// prove reads the checkpoint of a tree and proves an entry against it.
func prove(tree string, idx int64) (Proof, error) {
	read := func(name string) ([]byte, error) { return readTreeFile(tree, name) }
	signed, err := read(checkpointFile)
	if err != nil {
		return Proof{}, err
	}
	cp, err := unsignedCheckpoint(signed)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: published checkpoint: %w", ErrCorrupt, err)
	}
	if idx >= cp.size {
		return Proof{}, ErrNotCovered
	}
	return proveAt(read, func() ([]byte, error) { return readEntry(tree, idx) }, signed, cp, idx)
}

// unsignedCheckpoint reads the checkpoint in a signed note without looking at the
// signature.
func unsignedCheckpoint(signed []byte) (checkpoint, error) {
	text, _, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok {
		return checkpoint{}, errors.New("not a checkpoint")
	}
	return parseCheckpoint(string(text) + "\n")
}
