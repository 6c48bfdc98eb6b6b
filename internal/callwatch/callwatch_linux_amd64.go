package callwatch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is one system call of the child on a file below its folder.
type Call struct {
	Name string // as pwrite64
	Path string // relative to the folder; "." for the folder
	args [6]uint64
	pid  uint32
}

// Writes says that the call writes, or makes durable what was written. The memory that
// SQLite's connections share is no content.
func (c Call) Writes() bool {
	switch c.Name {
	case "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat":
		return !strings.HasSuffix(c.Path, "-shm")
	}
	return false
}

// Verdict is what becomes of a call. The zero value lets it go on.
type Verdict struct {
	Errno unix.Errno // answered with this error, when not zero
	Short bool       // half of the bytes are written
	Kill  bool       // the child ends before the call is made
}

// watched are the calls that the filter stops.
var watchedCalls = map[uint32]string{
	unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync",
	unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_RENAME: "rename", unix.SYS_RENAMEAT: "renameat", unix.SYS_UNLINK: "unlink",
	unix.SYS_UNLINKAT: "unlinkat", unix.SYS_RMDIR: "rmdir", unix.SYS_MKDIR: "mkdir", unix.SYS_MKDIRAT: "mkdirat",
	unix.SYS_OPEN: "open", unix.SYS_OPENAT: "openat", unix.SYS_FALLOCATE: "fallocate",
}

// ErrNotPermitted says that the kernel, or what this runs in, does not allow calls to be
// watched.
var ErrNotPermitted = errors.New("system calls cannot be watched here")

// watchOwnCalls installs the filter in this process, for all its threads, and returns
// the listener.
func watchOwnCalls() (listener int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the number of the call
	for nr := range watchedCalls {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: 0, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotPermitted, err)
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, fmt.Errorf("%w: %w", ErrNotPermitted, errno)
	}
	return int(fd), nil
}

// HandOver gives this process's calls into the hands of who started it, over its file
// descriptor 3, and returns when they are watched.
func HandOver() error {
	listener, err := watchOwnCalls()
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(listener), nil, 0); err != nil {
		return err
	}
	if err := unix.Close(listener); err != nil {
		return err
	}
	_, err = unix.Read(3, make([]byte, 1))
	return err
}

// Supervise starts cmd, which calls HandOver, with decide asked about each of its calls
// on files below root. decide runs in one goroutine. It returns how cmd ended.
func Supervise(t testing.TB, cmd *exec.Cmd, root string, decide func(Call) Verdict) error {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(ours.Fd()), make([]byte, 1), oob, 0)
	if err != nil || n == 0 {
		return <-ended // it could not hand over, and says so
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	listener := fds[0]
	defer func() { _ = unix.Close(listener) }() // the child has ended
	if _, err := ours.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	for {
		call, id, ok := nextCall(t, listener)
		if !ok {
			return <-ended
		}
		answer := notifyAnswer{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if rel, ok := strings.CutPrefix(call.Path, root); ok && (rel == "" || rel[0] == '/') {
			if call.Path = strings.TrimPrefix(rel, "/"); rel == "" {
				call.Path = "."
			}
			switch v := decide(call); {
			case v.Kill:
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			case v.Errno != 0:
				answer.flags, answer.err = 0, -int32(v.Errno)
			case v.Short:
				answer.flags, answer.value = 0, halfWrite(t, call)
			}
		}
		// A caller that was killed meanwhile takes no answer.
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&answer)))
	}
}

// notify is struct seccomp_notif, notifyAnswer struct seccomp_notif_resp (linux/seccomp.h).
type notify struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type notifyAnswer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// nextCall waits for the next call, false when the child has ended.
func nextCall(t testing.TB, listener int) (call Call, id uint64, ok bool) {
	t.Helper()
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return call, 0, false
		}
		var n notify
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno == unix.ENOENT || errno == unix.EINTR {
			continue // the caller was killed before it could be asked
		} else if errno != 0 {
			t.Fatal(errno)
		}
		call = Call{Name: watchedCalls[uint32(n.nr)], args: n.args, pid: n.pid}
		at := func(arg int) string { return readCString(n.pid, n.args[arg]) }
		switch call.Name {
		case "open":
			if n.args[1]&unix.O_CREAT != 0 {
				call.Path = at(0)
			}
		case "openat":
			if n.args[2]&unix.O_CREAT != 0 {
				call.Path = at(1)
			}
		case "rename":
			call.Path = at(1)
		case "renameat":
			call.Path = at(3)
		case "unlink", "rmdir", "mkdir":
			call.Path = at(0)
		case "unlinkat", "mkdirat":
			call.Path = at(1)
		default:
			call.Path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, int32(n.args[0])))
		}
		return call, n.id, true
	}
}

// memory opens the memory of a stopped caller.
func memory(pid uint32) (*os.File, error) { return os.Open(fmt.Sprintf("/proc/%d/mem", pid)) }

func readCString(pid uint32, at uint64) string {
	m, err := memory(pid)
	if err != nil {
		return ""
	}
	defer m.Close()
	buf := make([]byte, 4096)
	n, _ := m.ReadAt(buf, int64(at))
	path, _, _ := strings.Cut(string(buf[:n]), "\x00")
	return path
}

// halfWrite writes half of what the caller asked for in its place and returns how much.
func halfWrite(t testing.TB, c Call) int64 {
	t.Helper()
	m, err := memory(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	buf := make([]byte, c.args[2]/2)
	if _, err := m.ReadAt(buf, int64(c.args[1])); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	fd := fmt.Sprintf("/proc/%d/fd/%d", c.pid, int32(c.args[0]))
	f, err := os.OpenFile(fd, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := int64(c.args[3])
	if c.Name == "write" { // its place is the descriptor's own, which only the child can move
		return 0
	}
	if _, err := f.WriteAt(buf, at); err != nil {
		t.Fatal(err)
	}
	return int64(len(buf))
}
