package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(runMain(os.Args[1:]))
}

// gcPercent lets the heap grow to five times what lives before it is collected.
// What lives is small (tens of MiB: policy, channel files, caches), what an
// exchange leaves behind is not, and Caddy limits the whole to the machine's or
// container's memory.
const gcPercent = 400

// runMain is the whole program without its exit.
func runMain(args []string) int {
	caddy.CustomBinaryName = binaryName
	caddy.CustomLongDescription = longDescription
	if caddy.CustomVersion == "" { // the linker sets it, see the Makefile
		caddy.CustomVersion = buildVersion()
	}
	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return exitOK
	}
	return report(os.Stderr, cmd, err)
}

// buildVersion is the version of a binary that was not built by the Makefile:
// what `go install` took, or dev.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
