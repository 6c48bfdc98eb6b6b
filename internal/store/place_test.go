package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/store"
)

// TestPlace: what is given goes before what is noted, what is noted before the file,
// and a note holds no password.
func TestPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "x.db")
	const given = "postgres://me:hush@db.example/care?sslmode=verify-full&password=hush&sslpassword=hush"
	const noted = "postgres://me@db.example/care?sslmode=verify-full"
	check := func(when, database, want string) {
		t.Helper()
		if got, err := store.Where(dir, database, "x.db"); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", when, got, err, want)
		}
	}
	check("nothing noted", "", file)
	check("nothing noted, one given", given, given)
	if err := store.WritePlace(dir, given); err != nil {
		t.Fatal(err)
	}
	check("noted", "", noted)
	check("noted, another given", given, given)
	path := filepath.Join(dir, "postgres")
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the note: got %v, %v, want mode 0600", fi, err)
	}
	if err := os.WriteFile(path, []byte("mysql://x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Where(dir, "", "x.db"); err == nil {
		t.Error("a note that names no PostgreSQL database: got no error")
	}
	if err := store.WritePlace(dir, "postgres://me:hush@%zz/"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("not a URL: got %v, want an error without the password", err)
	}
}
