package audit

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unpack writes a data directory of testdata/older, and returns the events that were
// acknowledged there.
func unpack(t *testing.T, archive string) (dir string, acked []ID) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, data)
	}
	list, err := os.ReadFile(filepath.Join(dir, "acknowledged"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Fields(string(list)) {
		id, err := ParseID(line)
		if err != nil {
			t.Fatal(err)
		}
		acked = append(acked, id)
	}
	return dir, acked
}

// F21, A2, A4, A7, A22: data directories that older versions made, and left when they
// were killed, are verified, opened and gone on with, and their half years end, without
// an event lost or a checkpoint taken back. testdata/older/generate.go says how each was
// made; the name is the commit's.
func TestOlderDirectory(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob(filepath.Join("testdata", "older", "*.tar.gz"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no directories: %v", err)
	}
	for _, archive := range archives {
		name, _, _ := strings.Cut(filepath.Base(archive), ".")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, acked := unpack(t, archive)
			if len(acked) < 250 {
				t.Fatalf("only %d events", len(acked))
			}
			before, err := TrustOf(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			// Tables of an older version are not damage, and not proof either.
			if r := mustVerify(t, dir, Incomplete); len(r.Unchecked) != 2 {
				t.Errorf("as left: not checked: %q", r.Unchecked)
			}
			k := lateIn(2026, time.July)
			l := reopen(t, dir, k.config())
			acked = append(acked, recordMany(t, l, 20)...)
			for _, id := range acked {
				if _, err := l.Find(t.Context(), id); err != nil {
					t.Fatalf("acknowledged event: %v", err)
				}
			}
			covered(t, l)
			mustVerify(t, dir, Valid)
			k.toNext(t, l)
			opened(t, dir, "acme/audit/2026h2")
			acked = append(acked, recordMany(t, l, 20)...)
			mustClose(t, l)
			r, err := Verify(t.Context(), VerifyOptions{Dir: dir, Trust: before.Keys, Anchors: before.Checkpoints})
			if err != nil || r.Outcome != Valid || len(r.Shards) != 2 || r.Anchors != 1 {
				t.Errorf("at the end: got %s of %d shards, %v, %v, %v", r.Outcome, len(r.Shards), err, r.Problems, r.Unchecked)
			}
			once(t, dir, acked)
			blocks := 0 // sealed in the epochs of the older version
			if _, err := Entries(t.Context(), dir, 0, func(e Entry) error {
				if e.Leaf.Type == TypeIndexSealed && e.Leaf.Epoch <= 3 && e.Leaf.Attrs["blocks"] != "0" {
					blocks++
				}
				return nil
			}); err != nil || blocks == 0 {
				t.Errorf("the older version sealed no block of its index: %v", err)
			}
		})
	}
}
