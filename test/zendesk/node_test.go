// Package zendesk_test lets a real client library, node-zendesk, work through a
// real gateway against the sample helpdesk, and reads all three ends: what the
// helpdesk stored, what the client was given, and what stands in the log. It
// needs node and npm; without them it fails and says how to get them.
package zendesk_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// script is the driver of the library. It is read by node and not by this
// process, so the test looks at it once: otherwise a changed script would leave
// a cached test result standing.
const script = "client.cjs"

// answer is one HTTP answer that the library met.
type answer struct {
	Method, URL     string
	Status          int
	Receipt, Reason string
	// Problem is the body of a refusal. The library does not read it; programs get
	// it from the library's debug events.
	Problem *struct {
		Reason, Detail, Grant string
		FixedBy               string `json:"fixed_by"`
		Forwarded             bool
	}
}

// result is what came of one call of the library.
type result struct {
	Value json.RawMessage
	Error *struct {
		Message string
		Status  int
	}
	Answers []answer
}

// last is the newest answer of the call; it fails the test when there is none.
func (r result) last(t *testing.T) answer {
	t.Helper()
	if len(r.Answers) == 0 {
		t.Fatalf("the client met no answer: %+v", r.Error)
	}
	return r.Answers[len(r.Answers)-1]
}

// options are those of the library's createClient.
type options map[string]any

// with is o with one more option.
func (o options) with(name string, value any) options {
	out := options{name: value}
	for k, v := range o {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// client is a running node process with the library in it.
type client struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Scanner
	options options
}

// startClient installs the library if need be and starts a process that uses it
// with o; the process ends with the test.
func startClient(t *testing.T, o options) *client {
	t.Helper()
	install(t)
	if _, err := os.ReadFile(script); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting node: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the script ends with its input
		_ = cmd.Wait() // the test's context may have ended it before
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	return &client{t: t, in: in, out: lines, options: o}
}

// as is the same process with other options.
func (c *client) as(o options) *client {
	other := *c
	other.options = o
	return &other
}

// stream is an argument that the library gets as a readable stream.
func stream(content string) any { return map[string]string{"stream": content} }

// call runs one method of the library and waits for what comes of it.
func (c *client) call(method string, args ...any) result {
	c.t.Helper()
	if args == nil {
		args = []any{}
	}
	line, err := json.Marshal(map[string]any{"options": c.options, "call": method, "args": args})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.in, "%s\n", line); err != nil {
		c.t.Fatalf("%s: telling node: %v", method, err)
	}
	if !c.out.Scan() {
		c.t.Fatalf("%s: node gave no answer: %v", method, c.out.Err())
	}
	var r result
	if err := json.Unmarshal(c.out.Bytes(), &r); err != nil {
		c.t.Fatalf("%s: reading node's answer: %v", method, err)
	}
	return r
}

// must runs a call that has to succeed and decodes its value.
func (c *client) must(into any, method string, args ...any) answer {
	c.t.Helper()
	r := c.call(method, args...)
	if r.Error != nil {
		c.t.Fatalf("%s: %s (%+v)", method, r.Error.Message, r.Answers)
	}
	if into != nil {
		if err := json.Unmarshal(r.Value, into); err != nil {
			c.t.Fatalf("%s: decoding %s: %v", method, r.Value, err)
		}
	}
	return r.last(c.t)
}

var installed sync.Mutex

// install runs `npm ci` when the library is missing or older than the lock file.
func install(t *testing.T) {
	t.Helper()
	installed.Lock()
	defer installed.Unlock()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing, and this test drives a client written for it. On Debian: "+
				"apt-get update && apt-get install -y --no-install-recommends nodejs npm; elsewhere: https://nodejs.org (18 or newer)", program)
		}
	}
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	// npm writes this file last, so a broken-off installation is not taken for one.
	if done, err := os.Stat("node_modules/.package-lock.json"); err == nil && !done.ModTime().Before(lock.ModTime()) {
		return
	}
	fmt.Fprintln(os.Stderr, "== test/zendesk: npm ci (6 packages, 2 MB)")
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("npm ci in test/zendesk: %v; npm needs a registry: `npm config get registry` says which it asks", err)
	}
	fmt.Fprintf(os.Stderr, "== test/zendesk: npm ci took %s\n", time.Since(began).Round(time.Millisecond))
}
