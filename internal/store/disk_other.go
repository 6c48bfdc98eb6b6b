//go:build !linux && !darwin && !freebsd

package store

// FreeDisk is -1: the room on this system's disks is not known.
func FreeDisk(string) int64 { return -1 }
