//go:build !linux

package store

// dataSync names SQLite's own VFS: only on Linux there is something to gain.
func dataSync() (name string, err error) { return "", nil }
