package loopback

import (
	"errors"
	"fmt"
	"syscall"
)

// claim makes a port this process's until it ends, for all who ask this package: other
// processes that run tests at the same time, and itself. What is claimed is a name among
// the abstract sockets of the network namespace, which leaves nothing on the disk; its
// descriptor stays open, and no child has it. It reports false when somebody has it.
func claim(port int) bool {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // nothing can be claimed here, and nobody else can
	}
	err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: fmt.Sprintf("@caregate-port-%d", port)})
	if err == nil {
		return true
	}
	_ = syscall.Close(fd)
	return !errors.Is(err, syscall.EADDRINUSE)
}
