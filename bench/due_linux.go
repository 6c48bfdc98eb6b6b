package main

import (
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
