//go:build !linux

package main

import (
	"os"
	"time"
)

// alarm waits for times, or up to a millisecond longer.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

// until returns at a time.
func (a *alarm) until(due time.Time) error {
	time.Sleep(time.Until(due)) //nolint:forbidigo // calls are offered at set times
	return nil
}

func (a *alarm) close() error { return nil }

// memoryDir is a directory in memory; none is known here.
func memoryDir() string { return "" }

// syncData syncs as SQLite does here.
func syncData(f *os.File) error { return f.Sync() }
