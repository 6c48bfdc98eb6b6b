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

// memoryDir is a directory in memory, empty where there is none.
func memoryDir() string {
	const dir, tmpfs = "/dev/shm", 0x01021994
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || int64(s.Type) != tmpfs {
		return ""
	}
	return dir
}

// syncData syncs as SQLite does here.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
