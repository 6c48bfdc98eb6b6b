package store

import (
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// codeDiskFull is PostgreSQL's disk_full (Appendix A of its manual).
const codeDiskFull = "53100"

// NoRoom reports whether a database could not be written because its disk is full.
func NoRoom(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		// The second one: the file beside the WAL that processes share could not grow.
		return lite.Code()&0xff == sqlite3.SQLITE_FULL || lite.Code() == sqlite3.SQLITE_IOERR_SHMSIZE
	}
	return code(err) == codeDiskFull || errors.Is(err, syscall.ENOSPC)
}
