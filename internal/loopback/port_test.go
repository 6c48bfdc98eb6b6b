package loopback

import (
	"net"
	"runtime"
	"testing"
)

func TestFreePort(t *testing.T) {
	t.Parallel()
	given := map[int]bool{}
	for range 50 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if port < first || port > last {
			t.Errorf("got %d, want %d to %d", port, first, last)
		}
		if given[port] && runtime.GOOS == "linux" {
			t.Errorf("%d is given twice", port)
		}
		given[port] = true
		addr, err := FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			t.Fatalf("nobody can listen on %s: %v", addr, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What one process claimed, no other is given, and a port that is claimed is passed over.
func TestClaim(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has names that a process holds until it ends")
	}
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if claim(port) {
		t.Errorf("%d is claimed twice", port)
	}
}
