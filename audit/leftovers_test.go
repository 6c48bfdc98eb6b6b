package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// leftovers are the temporary files in the log's folder.
func leftovers(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, auditDir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && store.IsTemp(d.Name()) {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A start removes the temporary files of former processes, and nothing else; who does
// not hold the lock removes nothing.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	l, dir := newLog(t, Config{Checkpoint: 2 * time.Millisecond})
	recordMany(t, l, 300)
	covered(t, l)
	tree := newestTree(t, dir)
	var ours, others []string
	for _, at := range []string{filepath.Join(dir, auditDir), tree, filepath.Join(tree, "tile", "0"), filepath.Join(tree, "tile", "entries")} {
		ours = append(ours, filepath.Join(at, ".tmp-123456789"))
		others = append(others, filepath.Join(at, ".tmp-12a"), filepath.Join(at, ".tmp-"), filepath.Join(at, "x.tmp-1"))
	}
	others = append(others, filepath.Join(dir, ".tmp-1"), filepath.Join(dir, "keys", ".tmp-1"), filepath.Join(tree, ".tmp-2", "file"))
	for _, name := range slices.Concat(ours, others) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, name, []byte("left behind"))
	}
	there := func(names []string) (n int) {
		for _, name := range names {
			if _, err := os.Stat(name); err == nil {
				n++
			}
		}
		return n
	}
	if _, err := openCore(t.Context(), dir, l.core.cfg); !errors.Is(err, ErrInUse) {
		t.Fatalf("a log in use: got %v", err)
	}
	if n := there(ours); n != len(ours) {
		t.Errorf("without the lock %d files were removed", len(ours)-n)
	}
	mustClose(t, l)
	mustClose(t, reopen(t, dir, Config{}))
	if n := there(ours); n != 0 {
		t.Errorf("%d files are left", n)
	}
	if n := there(others); n != len(others) {
		t.Errorf("%d files of others were removed", len(others)-n)
	}
}
