package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/internal/store"
)

func migrations(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, body := range files {
		m[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return m
}

const first = "-- +goose Up\nCREATE TABLE t (a INTEGER PRIMARY KEY);\n-- +goose Down\nDROP TABLE t;\n"

func TestOpenMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c.db") // characters that a URL would eat
	if _, err := store.Open(t.Context(), path, store.Options{}); !errors.Is(err, store.ErrMissing) {
		t.Fatalf("Open of a missing file: got %v, want ErrMissing", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("Open created the file without being asked")
	}
	db, err := store.Open(t.Context(), path, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "test", migrations(map[string]string{"00001_t.sql": first})); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, want 0600", fi.Mode().Perm())
	}
	if fi.Size() == 0 {
		t.Error("the tables went into another file than the named one")
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("PRAGMA %s: got %q, %v, want %q", pragma, got, err, want)
		}
	}
}

func TestMigrateRefusesNewerSchema(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	both := map[string]string{
		"00001_t.sql": first,
		"00002_u.sql": "-- +goose Up\nCREATE TABLE u (a INTEGER);\n-- +goose Down\nDROP TABLE u;\n",
	}
	compare := func(files map[string]string, want int) {
		t.Helper()
		if got, err := db.CompareSchema(t.Context(), "test", migrations(files)); err != nil || got != want {
			t.Errorf("comparing with %d files: got %d, %v, want %d", len(files), got, err, want)
		}
	}
	if _, err := db.CompareSchema(t.Context(), "test", migrations(both)); err == nil {
		t.Error("comparing without tables: no error")
	}
	old := map[string]string{"00001_t.sql": first}
	if err := db.Migrate(t.Context(), "test", migrations(old)); err != nil {
		t.Fatal(err)
	}
	compare(both, -1)
	for range 2 { // the second run finds nothing to do
		if err := db.Migrate(t.Context(), "test", migrations(both)); err != nil {
			t.Fatal(err)
		}
	}
	compare(both, 0)
	compare(old, 1)
	delete(both, "00002_u.sql")
	if err := db.Migrate(t.Context(), "test", migrations(both)); err == nil || !strings.Contains(err.Error(), "newer binary") {
		t.Fatalf("older binary: got %v, want a refusal", err)
	}
}

func TestWriteFileReplaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	for _, want := range []string{"one", "two"} {
		if err := store.WriteFile(path, []byte(want), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o640 {
		t.Errorf("mode: got %v, want 0640", fi.Mode().Perm())
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("files left: got %d, %v, want 1", len(left), err)
	}
	if err := store.WriteFile(filepath.Join(path, "below-a-file"), nil, 0o600); err == nil {
		t.Error("writing below a file: got nil, want an error")
	}
}

func TestWriteFilesMakesDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := []store.File{
		{Path: filepath.Join(dir, "a/b/1"), Data: []byte("one")},
		{Path: filepath.Join(dir, "a/2"), Data: []byte("two")},
	}
	if err := store.WriteFiles(files, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if got, err := os.ReadFile(f.Path); err != nil || string(got) != string(f.Data) {
			t.Errorf("%s: got %q, %v", f.Path, got, err)
		}
	}
	// A directory in the way of the second file: nothing temporary stays behind.
	err := store.WriteFiles([]store.File{
		{Path: filepath.Join(dir, "a/3"), Data: nil},
		{Path: filepath.Join(dir, "a/b"), Data: nil},
	}, 0o600)
	if err == nil {
		t.Error("renaming over a directory: got nil, want an error")
	}
	left, err := filepath.Glob(filepath.Join(dir, "a/.tmp-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files left: got %v, %v, want none", left, err)
	}
}

func TestLockDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release, err := store.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.LockDir(dir); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second lock: got %v, want ErrLocked", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = store.LockDir(dir)
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	_ = release()
}

func TestOpenHonoursContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if db, err := store.Open(ctx, filepath.Join(t.TempDir(), "x.db"), store.Options{Create: true}); err == nil {
		db.Close()
		t.Fatal("Open with a cancelled context: got nil, want an error")
	}
}
