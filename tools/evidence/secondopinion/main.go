// Command secondopinion reads a log of ours with the code of other people, the
// client and fsck of Tessera, and says whether it accepts it. It shares nothing
// with what it checks but the public formats (c2sp.org/tlog-tiles,
// tlog-checkpoint, tlog-proof).
//
//	secondopinion [-older CHECKPOINT] [-deadline TIME] TREE KEY [PROOF ...]
//
// TREE is the folder with checkpoint and tiles, KEY the file of the verifier key.
// It checks the whole tree, that the older checkpoint is consistent with the tree,
// and each proof file. It ends with 0 when everything is right.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	older := flag.String("older", "", "file with an earlier checkpoint of the log")
	// This fsck waits for ever on a log that was damaged in some ways.
	deadline := flag.Duration("deadline", time.Minute, "when to give up")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: secondopinion [-older CHECKPOINT] [-deadline TIME] TREE KEY [PROOF ...]")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *deadline)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- check(ctx, flag.Arg(0), flag.Arg(1), *older, flag.Args()[2:]) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errors.New("not done before the deadline")
	}
	if err != nil {
		fmt.Println("REFUSED:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}

func check(ctx context.Context, tree, keyFile, older string, proofs []string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return err
	}
	files := &client.FileFetcher{Root: tree}
	if err := fsck.New(verifier.Name(), verifier, files, leafHashes, fsck.Opts{N: 1}).Check(ctx); err != nil {
		return fmt.Errorf("fsck: %w", err)
	}
	cp, signed, _, err := client.FetchCheckpoint(ctx, files.ReadCheckpoint, verifier, verifier.Name())
	if err != nil {
		return err
	}
	builder, err := client.NewProofBuilder(ctx, cp.Size, files.ReadTile)
	if err != nil {
		return err
	}
	if older != "" {
		if err := checkOlder(ctx, builder, cp, verifier, older); err != nil {
			return fmt.Errorf("older checkpoint: %w", err)
		}
	}
	for _, name := range proofs {
		if err := checkProof(ctx, builder, cp, signed, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// leafHashes are the hashes of the entries of a bundle.
func leafHashes(data []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(data); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, e := range b.Entries {
		out = append(out, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return out, nil
}

func checkOlder(ctx context.Context, builder *client.ProofBuilder, cp *log.Checkpoint, verifier note.Verifier, name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	old, _, _, err := log.ParseCheckpoint(text, verifier.Name(), verifier)
	if err != nil {
		return err
	}
	path, err := builder.ConsistencyProof(ctx, old.Size, cp.Size)
	if err != nil {
		return err
	}
	return proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, cp.Size, path, old.Hash, cp.Hash)
}

// checkProof reads a tlog-proof and holds it against the one made here.
func checkProof(ctx context.Context, builder *client.ProofBuilder, cp *log.Checkpoint, signed []byte, name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	head, checkpoint, _ := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || checkpoint != string(signed) {
		return errors.New("not a proof for this checkpoint")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseUint(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var path [][]byte
	for _, line := range lines[3:] {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return err
		}
		path = append(path, h)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, cp.Size, rfc6962.DefaultHasher.HashLeaf(entry), path, cp.Hash); err != nil {
		return err
	}
	want, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return err
	}
	if !bytes.Equal(bytes.Join(want, nil), bytes.Join(path, nil)) {
		return errors.New("another path than the client's own")
	}
	return nil
}
