//go:build linux || darwin || freebsd

package main

import "syscall"

// freeDisk is how many bytes an ordinary user may still write below dir.
func freeDisk(dir string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
