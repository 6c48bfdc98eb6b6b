//go:build linux || darwin || freebsd

package store

import "syscall"

// FreeDisk is how many bytes an ordinary user may still write below dir, -1 where the
// system does not tell.
func FreeDisk(dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
