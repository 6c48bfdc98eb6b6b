//go:build !linux

package main

import (
	"os"
	"time"
)

// sleepUntil returns at a time, or up to a millisecond behind it.
func sleepUntil(due time.Time) {
	time.Sleep(time.Until(due)) //nolint:forbidigo // calls are offered at set times
}

// syncData syncs as SQLite does here.
func syncData(f *os.File) error { return f.Sync() }
