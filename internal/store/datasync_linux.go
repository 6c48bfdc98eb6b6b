package store

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// On Linux SQLite is built to sync with fdatasync wherever distributions build it. The
// translation to Go that is used here was not, and calls fsync. Both make durable what was
// written and what is needed to read it again, the length of the file included. But fsync
// also waits until the time of the change is in the journal that all files of the disk share,
// behind what others have written. A write-ahead log is written over from its beginning, and
// needs nothing of that: beside other work on the same disk its slowest commits take half the
// time.
//
// dataSync registers a copy of SQLite's own VFS that differs in this call, once in a process,
// and returns the name under which a database asks for it.
var dataSync = sync.OnceValues(registerDataSync)

const dataSyncName = "caregate-datasync"

type (
	openFile = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	syncFile = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// dataSyncing is what our functions know.
var dataSyncing struct {
	open openFile // SQLite's

	mu sync.RWMutex // owns the maps; what is in them stays
	// methods are those of a kind of files with another one that syncs, by SQLite's, and own
	// are SQLite's ways to sync, by them.
	methods map[uintptr]uintptr
	own     map[uintptr]syncFile
}

func registerDataSync() (name string, err error) {
	d := &dataSyncing
	d.methods, d.own = map[uintptr]uintptr{}, map[uintptr]syncFile{}
	tls := libc.NewTLS()
	defer tls.Close()
	theirs := sqlite3.Xsqlite3_vfs_find(tls, 0)
	if theirs == 0 {
		return "", errors.New("SQLite has no VFS")
	}
	named, err := libc.CString(dataSyncName)
	if err != nil {
		return "", fmt.Errorf("registering a VFS with SQLite: %w", err)
	}
	vfs := **at[*sqlite3.Tsqlite3_vfs](&theirs)
	d.open = *at[openFile](&vfs.FxOpen)
	vfs.FpNext, vfs.FzName, vfs.FxOpen = 0, named, pointer(openDataSyncing)
	ours, err := kept(tls, vfs)
	if err != nil {
		return "", fmt.Errorf("registering a VFS with SQLite: %w", err)
	}
	if rc := sqlite3.Xsqlite3_vfs_register(tls, ours, 0); rc != sqlite3.SQLITE_OK {
		return "", fmt.Errorf("registering a VFS with SQLite: code %d", rc)
	}
	return dataSyncName, nil
}

// openDataSyncing opens a file as SQLite does, and gives it the other methods.
func openDataSyncing(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := dataSyncing.open(tls, vfs, name, file, flags, outFlags)
	if f := *at[*sqlite3.TunixFile](&file); rc == sqlite3.SQLITE_OK && f.FpMethod != 0 {
		// Without memory for the others it has SQLite's, which sync as well.
		if ours, err := syncing(tls, f.FpMethod); err == nil {
			f.FpMethod = ours
		}
	}
	return rc
}

// syncing are the methods that stand in place of SQLite's own.
func syncing(tls *libc.TLS, own uintptr) (ours uintptr, err error) {
	d := &dataSyncing
	d.mu.RLock()
	ours = d.methods[own]
	d.mu.RUnlock()
	if ours != 0 {
		return ours, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ours = d.methods[own]; ours != 0 {
		return ours, nil
	}
	m := **at[*sqlite3.Tsqlite3_io_methods](&own)
	theirs := *at[syncFile](&m.FxSync)
	m.FxSync = pointer(syncData)
	if ours, err = kept(tls, m); err == nil {
		d.methods[own], d.own[ours] = ours, theirs
	}
	return ours, err
}

// syncData syncs a file. The first time that a new one is synced, so is its directory: SQLite
// does that.
func syncData(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := *at[*sqlite3.TunixFile](&file)
	if f.FctrlFlags&sqlite3.UNIXFILE_DIRSYNC != 0 {
		dataSyncing.mu.RLock()
		own := dataSyncing.own[f.FpMethod]
		dataSyncing.mu.RUnlock()
		return own(tls, file, flags)
	}
	for {
		err := unix.Fdatasync(int(f.Fh))
		if err == nil {
			return sqlite3.SQLITE_OK
		}
		if !errors.Is(err, unix.EINTR) {
			var no unix.Errno
			if errors.As(err, &no) {
				f.FlastErrno = int32(no)
			}
			return sqlite3.SQLITE_IOERR_FSYNC
		}
	}
}

// kept copies a structure to where SQLite has its own, for ever: Go must not manage what
// SQLite has addresses of.
func kept[T any](tls *libc.TLS, v T) (address uintptr, err error) {
	address = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(v)))
	if address == 0 {
		return 0, errors.New("no memory")
	}
	**at[*T](&address) = v
	return address, nil
}

// at takes an address in SQLite's memory, which Go does not manage, for a pointer or a
// function.
func at[P any](address *uintptr) *P { return (*P)(unsafe.Pointer(address)) }

// pointer is what at takes for a function.
func pointer[F any](f F) uintptr {
	var boxed any = f
	return (*[2]uintptr)(unsafe.Pointer(&boxed))[1]
}
