package proxytest

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Listeners returns the addresses on which this process accepts TCP connections
// or receives UDP packets, as Linux lists them (proc(5), /proc/net/tcp). On other
// systems the test fails: there is nothing it could look at.
func Listeners(tb testing.TB) []netip.AddrPort {
	tb.Helper()
	own := make(map[string]bool) // inodes of this process's sockets
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(fds) == 0 {
		tb.Fatalf("listing the process's sockets needs Linux: %v", err)
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var out []netip.AddrPort
	for table, state := range map[string]string{"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"} {
		f, err := os.Open("/proc/self/net/" + table)
		if err != nil {
			continue // a machine without IPv6
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != state || !own[fields[9]] {
				continue
			}
			addr, err := kernelAddr(fields[1])
			if err != nil {
				tb.Errorf("%s: %v", table, err)
				continue
			}
			out = append(out, addr)
		}
		_ = f.Close()
	}
	return out
}

// kernelAddr reads "0100007F:1F90": the address in the byte order of the machine,
// word by word, and the port. Only little-endian machines are tested on.
func kernelAddr(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	p, err2 := hex.DecodeString(port)
	if !ok || err != nil || err2 != nil || len(p) != 2 {
		return netip.AddrPort{}, fmt.Errorf("unexpected address %q", s)
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("unexpected address %q", s)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(p[0])<<8|uint16(p[1])), nil
}
