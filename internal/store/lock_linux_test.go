package store_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/caregate/caregate/internal/store"
)

// TestSecondOpenKeepsLocks: POSIX locks belong to the process and fall with the
// first descriptor closed, so opening a file a second time must not close one. Only
// Linux shows them (proc(5), /proc/locks).
func TestSecondOpenKeepsLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	locks := func() int {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		inode := ":" + strconv.FormatUint(fi.Sys().(*syscall.Stat_t).Ino, 10) + " "
		return strings.Count(string(b), inode)
	}
	db, err := store.Open(t.Context(), path, store.Options{Create: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (a)"); err != nil {
		t.Fatal(err)
	}
	if locks() == 0 {
		t.Fatal("an open WAL database shows no lock: the test cannot see")
	}
	again, err := store.Open(t.Context(), path, store.Options{ReadOnly: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if locks() == 0 {
		t.Error("the second Open dropped the first one's locks")
	}
}
