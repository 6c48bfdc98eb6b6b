package store

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Every file of a database is synced by our function, and what it hears of the kernel SQLite
// hears: a commit that may be lost is none.
func TestDataSync(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (a)"); err != nil {
		t.Fatal(err)
	}
	dataSyncing.mu.RLock()
	kinds := len(dataSyncing.methods)
	dataSyncing.mu.RUnlock()
	if kinds == 0 {
		t.Fatal("no file was opened with the other methods")
	}

	tls := libc.NewTLS()
	defer tls.Close()
	made := func(f sqlite3.TunixFile) (address uintptr, file *sqlite3.TunixFile) {
		t.Helper()
		address, err := kept(tls, f)
		if err != nil {
			t.Fatal(err)
		}
		return address, *at[*sqlite3.TunixFile](&address)
	}
	address, file := made(sqlite3.TunixFile{Fh: -1})
	if rc := syncData(tls, address, 0); rc != sqlite3.SQLITE_IOERR_FSYNC || file.FlastErrno != int32(unix.EBADF) {
		t.Errorf("a sync that failed: got %d, errno %d", rc, file.FlastErrno)
	}
	// The first sync of a new file is SQLite's, for the sake of its directory.
	methods, asked := uintptr(7), 0
	dataSyncing.mu.Lock()
	dataSyncing.own[methods] = func(_ *libc.TLS, _ uintptr, flags int32) int32 { asked++; return flags }
	dataSyncing.mu.Unlock()
	address, _ = made(sqlite3.TunixFile{Fh: -1, FctrlFlags: sqlite3.UNIXFILE_DIRSYNC, FpMethod: methods})
	if rc := syncData(tls, address, 8); rc != 8 || asked != 1 {
		t.Errorf("a new file: got %d, SQLite was asked %d times", rc, asked)
	}
}
