package main

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// alarm waits for times. Go's own timers may be a millisecond late where nothing else
// happens, which a wait of two or three would be counted with. A call that sleeps keeps one of
// Go's processors for up to ten milliseconds, in which nobody else may run. A timer that is a
// file does neither: whoever reads it waits as for a request from the network.
type alarm struct{ timer *os.File }

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &alarm{os.NewFile(uintptr(fd), "timer")}, nil
}

// until returns at a time.
func (a *alarm) until(due time.Time) error {
	left := time.Until(due)
	if left <= 0 {
		return nil
	}
	raw, err := a.timer.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(left.Nanoseconds())}, nil)
	}); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	var times [8]byte
	_, err = a.timer.Read(times[:])
	return err
}

func (a *alarm) close() error { return a.timer.Close() }

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
