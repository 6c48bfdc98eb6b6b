package proxy

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// written is a log that may be read while it is written.
type written struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// An upstream that sends a card behind its answer does not get it into the log.
func TestStdLogQuotesNothing(t *testing.T) {
	before := log.Writer()
	defer log.SetOutput(before)
	var out written
	log.SetOutput(&out)
	guardStdLog()
	guardStdLog() // a second configuration

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_ = r.Body.Close()
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		<-read
		_, _ = io.WriteString(conn, "4111 1111 1111 1111")
		_, _ = io.Copy(io.Discard, conn) // until the client has seen enough
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	close(read)
	deadline := time.After(5 * time.Minute)
	for tick := time.Tick(5 * time.Millisecond); !strings.Contains(out.String(), "Unsolicited response"); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("net/http said nothing; got %q", out.String())
		}
	}
	if got := out.String(); strings.Contains(got, "1111") || !strings.Contains(got, "[not logged]\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}
