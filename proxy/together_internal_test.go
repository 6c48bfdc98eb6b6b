package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// recordedConn remembers what was written to it, write by write.
type recordedConn struct {
	net.Conn
	writes []string
	fails  bool
	closed bool
}

func (c *recordedConn) Write(p []byte) (int, error) {
	if c.fails {
		return 0, errors.New("the caller is gone")
	}
	c.writes = append(c.writes, string(p))
	return len(p), nil
}

func (c *recordedConn) Close() error { c.closed = true; return nil }

// What is kept leaves in the order in which it was written, whole, and when it is due.
func TestTogether(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("l", maxTogether)
	type step func(c *refusingConn)
	write := func(s string) step {
		return func(c *refusingConn) { _, _ = c.Write([]byte(s)) }
	}
	keep := func(c *refusingConn) { c.keep() }
	let := func(c *refusingConn) { c.letAllGo() }
	file := func(c *refusingConn) { _, _ = c.ReadFrom(strings.NewReader("file")) }
	for _, tc := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"not asked", []step{write("a"), write("b")}, []string{"a", "b"}},
		{"one answer", []step{keep, write("a"), write("b"), let}, []string{"ab"}},
		{"not let go", []step{keep, write("a")}, nil},
		{"nothing to keep", []step{keep, let}, nil},
		{"the next answer is not kept", []step{keep, write("a"), let, write("b"), write("c")}, []string{"a", "b", "c"}},
		{"the next answer is kept", []step{keep, write("a"), let, keep, write("b"), write("c"), let}, []string{"a", "bc"}},
		{"too long behind what is kept", []step{keep, write("a"), write(long), write("b"), let}, []string{"a", long, "b"}},
		{"too long at once", []step{keep, write(long + "x"), write("b"), let}, []string{long + "x", "b"}},
		{"just long enough", []step{keep, write(long), let}, []string{long}},
		{"a file behind what is kept", []step{keep, write("a"), file, let}, []string{"a", "file"}},
		{"let go twice", []step{keep, write("a"), let, let}, []string{"a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			to := new(recordedConn)
			c := &refusingConn{Conn: to}
			for _, s := range tc.steps {
				s(c)
			}
			if got, want := strings.Join(to.writes, "|"), strings.Join(tc.want, "|"); got != want {
				t.Errorf("got %d writes of %d bytes, want %d of %d", len(to.writes), len(got), len(tc.want), len(want))
			}
			if to.closed {
				t.Error("the connection was closed")
			}
		})
	}
}

// Nothing may follow on a connection on which a kept part was lost.
func TestTogetherFails(t *testing.T) {
	t.Parallel()
	to := &recordedConn{fails: true}
	c := &refusingConn{Conn: to}
	c.keep()
	if n, err := c.Write([]byte("begin")); n != len("begin") || err != nil {
		t.Fatalf("keeping: got %d, %v", n, err)
	}
	if n, err := io.Copy(c, bytes.NewReader(make([]byte, maxTogether))); n != 0 || err == nil || !to.closed {
		t.Errorf("got %d, %v, closed %v, want an error on a closed connection", n, err, to.closed)
	}
}
