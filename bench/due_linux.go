package main

import (
	"os"
	"syscall"
	"time"
)

// sleepUntil returns at a time. Go's own timers may be a millisecond late where nothing else
// happens, which a wait of two or three would be counted with.
func sleepUntil(due time.Time) {
	for left := time.Until(due); left > 0; left = time.Until(due) {
		ts := syscall.NsecToTimespec(left.Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil) // interrupted: the rest of it
	}
}

// syncData syncs as SQLite does here.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
