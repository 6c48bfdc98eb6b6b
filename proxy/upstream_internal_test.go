package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

// writesCounted counts the writes of a connection.
type writesCounted struct {
	net.Conn
	n *atomic.Int32
}

func (c writesCounted) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

// A call that is held in memory leaves in one piece with its header, a large one in two,
// and whatever else is sent arrives whole.
func TestCallsLeaveInOnePiece(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(upstream.Close)
	for _, tc := range []struct {
		name   string
		size   int
		stream bool
		writes int32 // at most
	}{
		{"empty", 0, false, 1},
		{"1 KiB", 1 << 10, false, 1},
		{"8 KiB", 8 << 10, false, 1},
		{"64 KiB", 64 << 10, false, 2},
		{"1 MiB", 1 << 20, false, 2},
		{"streamed", 100, true, 1 << 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var own Transport
			own.setBuffers()
			var writes atomic.Int32
			transport := &http.Transport{
				WriteBufferSize: own.WriteBufferSize, ReadBufferSize: own.ReadBufferSize,
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, addr)
					return &endConn{Conn: writesCounted{c, &writes}}, err
				},
			}
			defer transport.CloseIdleConnections()
			body := bytes.Repeat([]byte("b"), tc.size)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, upstream.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if tc.stream {
				r.Body, r.ContentLength = io.NopCloser(iotest.OneByteReader(bytes.NewReader(body))), -1
			} else {
				setRequestBody(r, body)
			}
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("the upstream got %d bytes, %v, want %d", len(got), err, len(body))
			}
			if n := writes.Load(); n > tc.writes {
				t.Errorf("%d writes, want %d at most", n, tc.writes)
			}
		})
	}
}

// Whoever copies to a connection to an upstream gets told what was written.
func TestEndConnReadFrom(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		from io.Reader
		want string
		err  error
	}{
		{"in memory", io.LimitReader(bytes.NewReader([]byte("whole")), 5), "whole", nil},
		{"shorter than announced", io.LimitReader(bytes.NewReader([]byte("short")), 9), "short", nil},
		{"longer than announced", io.LimitReader(bytes.NewReader([]byte("too long")), 3), "", errLonger},
		{"not in memory", io.LimitReader(strings.NewReader("text"), 9), "text", nil},
		{"without a limit", bytes.NewReader([]byte("bytes")), "bytes", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			read := make(chan string, 1)
			go func() {
				got, _ := io.ReadAll(far)
				read <- string(got)
			}()
			n, err := (&endConn{Conn: near}).ReadFrom(tc.from)
			_ = near.Close()
			if got := <-read; !errors.Is(err, tc.err) || got != tc.want || n != int64(len(tc.want)) {
				t.Errorf("got %q, %d, %v, want %q", got, n, err, tc.want)
			}
		})
	}
}
