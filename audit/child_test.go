package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// The test binary is its own child: an environment variable makes it live some part of a
// log's life, printing each acknowledged event, until it is killed or done.

// inChild runs body in place of the tests and ends the process. A child that is to be
// killed does not come back from body.
func inChild(body func() error) {
	if err := body(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// killSelf ends this process as kill -9 does. What was printed is in the pipe, which
// outlives it.
func killSelf() error {
	return errors.Join(syscall.Kill(os.Getpid(), syscall.SIGKILL), errors.New("still alive"))
}

// recordForEver records events from several callers and prints the acknowledged ones,
// until one fails. tell is told of each.
func recordForEver(l *Log, callers int, tell func()) error {
	var mu sync.Mutex
	failed := make(chan error, callers)
	for range callers {
		go func() {
			for i := 0; ; i++ {
				r, err := tryRecord(context.Background(), l, sample(i))
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Println(r.ID)
				tell()
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// child is a test binary that was started for what an environment variable says.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	acked []ID
}

func startChild(t testing.TB, variable, value string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], "-test.run=^$")}
	c.cmd.Env = append(os.Environ(), variable+"="+value)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(out)
	return c
}

// read takes up to n acknowledged events, all of them for a negative n, until the child
// has ended.
func (c *child) read(n int) {
	for ; n != 0 && c.lines.Scan(); n-- {
		if id, err := ParseID(c.lines.Text()); err == nil { // the last line may be torn
			c.acked = append(c.acked, id)
		}
	}
}

// mustBeKilled reads the rest and checks that the child was killed, and did not end.
func (c *child) mustBeKilled(t testing.TB) {
	t.Helper()
	c.read(-1)
	var exit *exec.ExitError
	if err := c.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the process ended with %v, want a kill", err)
	}
}
