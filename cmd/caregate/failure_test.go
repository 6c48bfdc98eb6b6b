package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
)

// TestReport: an error says what happened, in which command, and what to do.
func TestReport(t *testing.T) {
	t.Parallel()
	root := newRoot()
	run, _, err := root.Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		err  error
		code int
		want string // part of what is printed; empty for nothing printed
	}{
		{"with its own hint", fail("do that", "it broke"), exitFailed, "caregate run: it broke\n  do that\n"},
		{"a hint of two lines", fail("do this\nand that", "it broke"), exitFailed, "  do this\n  and that\n"},
		{"wrong usage", wrongUsage("want one file"), exitUsage, "`caregate run --help`"},
		{"the result said it already", silent(exitIncomplete), exitIncomplete, ""},
		{"without a hint", errors.New("it broke"), exitFailed, "caregate run: it broke\n"},
		{"no data", fmt.Errorf("opening: %w", proxy.ErrNoData), exitFailed, "caregate init"},
		{"no data, told by Caddy", errors.New("loading: " + proxy.ErrNoData.Error()), exitFailed, "caregate init"},
		{"a log is there", fmt.Errorf("x: %w", audit.ErrExists), exitFailed, "nothing was changed"},
		{"a damaged log", fmt.Errorf("x: %w", audit.ErrCorrupt), exitFailed, "caregate audit verify"},
		{"in use", fmt.Errorf("x: %w", store.ErrLocked), exitFailed, "caregate reload"},
		{"port in use", fmt.Errorf("listen: %w", syscall.EADDRINUSE), exitFailed, "change the port"},
		{"port in use, told by Caddy", errors.New("listen tcp 127.0.0.1:80: bind: address already in use"), exitFailed, "change the port"},
		{"low port", errors.New("listen tcp :80: bind: permission denied"), exitFailed, "below 1024"},
		{"long path", errors.New("listen unix /x/caregate.sock: bind: invalid argument"), exitFailed, "too long"},
		{"not ours", fmt.Errorf("open: %w", fs.ErrPermission), exitFailed, "owner"},
		{"disk full", fmt.Errorf("write: %w", syscall.ENOSPC), exitFailed, "disk is full"},
		{"read-only", fmt.Errorf("write: %w", syscall.EROFS), exitFailed, "read-only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if code := report(&b, run, tt.err); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if tt.want == "" && b.Len() > 0 || !strings.Contains(b.String(), tt.want) {
				t.Errorf("got %q, want it to have %q", b.String(), tt.want)
			}
		})
	}
}
