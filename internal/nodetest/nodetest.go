// Package nodetest drives libraries that are written for Node in tests. Nothing outside of
// tests imports it. It needs node and npm; without them a test fails and says how to get
// them.
package nodetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Process is a script that reads one JSON text a line from its standard input and answers
// each with one on its standard output. It is for one goroutine at a time.
type Process struct {
	tb     testing.TB
	script string
	in     io.Writer
	out    *bufio.Reader
}

// Start runs a script of the test's own folder, which ends with the test. The libraries of
// the package-lock.json beside it are installed first when they are missing or older.
func Start(tb testing.TB, script string) *Process {
	tb.Helper()
	install(tb)
	// The script is read by node and not by this process, so the test looks at it once:
	// otherwise a changed one would leave a cached result of `go test` standing.
	if _, err := os.ReadFile(script); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), "node", script)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("starting node: %v", err)
	}
	tb.Cleanup(func() {
		_ = in.Close() // the script ends with its input
		_ = cmd.Wait() // the test's context may have ended it before
	})
	return &Process{tb: tb, script: script, in: in, out: bufio.NewReader(out)}
}

// Ask tells the script something, waits for its answer, and decodes it into answer. It
// returns the answer as it stood on the line.
func (p *Process) Ask(question, answer any) (line string) {
	p.tb.Helper()
	text, err := json.Marshal(question)
	if err != nil {
		p.tb.Fatal(err)
	}
	if _, err := p.in.Write(append(text, '\n')); err != nil {
		p.tb.Fatalf("telling %s: %v", p.script, err)
	}
	said, err := p.out.ReadBytes('\n')
	if err != nil {
		p.tb.Fatalf("%s gave no answer: %v", p.script, err)
	}
	if err := json.Unmarshal(said, answer); err != nil {
		p.tb.Fatalf("reading what %s answered: %v", p.script, err)
	}
	return string(bytes.TrimSuffix(said, []byte("\n")))
}

var installing sync.Mutex

// install runs `npm ci` when the libraries are missing or older than the lock file.
func install(tb testing.TB) {
	tb.Helper()
	installing.Lock()
	defer installing.Unlock()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			tb.Fatalf("%s is missing, and this test drives what is written for it. On Debian: "+
				"apt-get update && apt-get install -y --no-install-recommends nodejs npm; elsewhere: https://nodejs.org (20 or newer)", program)
		}
	}
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		tb.Fatal(err)
	}
	// npm writes this file last, so a broken-off installation is not taken for one.
	if done, err := os.Stat("node_modules/.package-lock.json"); err == nil && !done.ModTime().Before(lock.ModTime()) {
		return
	}
	folder, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	name := "test/" + filepath.Base(folder)
	fmt.Fprintf(os.Stderr, "== %s: npm ci\n", name)
	began := time.Now()
	cmd := exec.CommandContext(tb.Context(), "npm", "ci", "--no-audit", "--no-fund")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		tb.Fatalf("npm ci in %s: %v; npm needs a registry: `npm config get registry` says which it asks", name, err)
	}
	fmt.Fprintf(os.Stderr, "== %s: npm ci took %s\n", name, time.Since(began).Round(time.Millisecond))
}
