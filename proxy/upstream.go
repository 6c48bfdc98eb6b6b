package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// upstreamSeen is what is known of one attempt beside its error: net/http gives a
// hang-up in the middle of an answer's header the same name as a header that makes
// no sense.
type upstreamSeen struct {
	conn  net.Conn // that the call was given, nil before there was one
	conns int      // how many it was given: net/http may try again by itself
}

// within has net/http tell about the connection that it takes for a call.
func (s *upstreamSeen) within(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { s.conn, s.conns = info.Conn, s.conns+1 }})
}

// ended tells whether the upstream closed the connection before the answer's header
// was whole. It says false where that is not known.
func (s *upstreamSeen) ended() bool {
	c := s.conn
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = outer.NetConn()
	}
	watched, ok := c.(*endConn)
	return ok && watched.ended.Load()
}

// mayHaveSent tells whether the upstream may have seen a call that failed with err. It
// has not when there never was a connection, or when its TLS handshake failed.
func (t *Transport) mayHaveSent(s *upstreamSeen, err error) bool {
	var dial reverseproxy.DialError
	if errors.As(err, &dial) {
		return false
	}
	// The HTTP/3 client need not tell which connection it takes.
	return s.conn != nil || slices.Contains(t.Versions, "3")
}

// Defaults for connections to upstreams, where the configuration says nothing.
const (
	// upstreamBuffer lets most calls and answers of helpdesks pass in one piece, in
	// bytes for each direction of a connection.
	upstreamBuffer = 16 << 10
	// upstreamIdle is how many connections to one upstream may rest. Calls wait for the
	// same commits of the log and go on together, so that many connections rest for a
	// moment which are all needed in the next.
	upstreamIdle = 128
)

// setBuffers fills in these defaults.
func (t *Transport) setBuffers() {
	if t.ReadBufferSize == 0 {
		t.ReadBufferSize = upstreamBuffer
	}
	if t.WriteBufferSize == 0 {
		t.WriteBufferSize = upstreamBuffer
	}
	if t.KeepAlive == nil {
		t.KeepAlive = new(reverseproxy.KeepAlive)
	}
	if t.KeepAlive.MaxIdleConnsPerHost == 0 {
		t.KeepAlive.MaxIdleConnsPerHost = upstreamIdle
	}
}

// watchEnds has every connection remember that its other end closed it.
func (t *Transport) watchEnds() {
	dial := t.Transport.DialContext
	if dial == nil {
		return
	}
	t.Transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &endConn{Conn: c}, nil
	}
}

// endConn is a connection that remembers that its other end closed it. Like every
// connection it may be used by several goroutines.
type endConn struct {
	net.Conn
	ended atomic.Bool
}

func (c *endConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF { //nolint:errorlint // the contract of Read is this very value
		c.ended.Store(true)
	}
	return n, err
}

// ReadFrom writes the rest of a body that is in memory as it lies there. net/http would
// copy it through a buffer of its own.
func (c *endConn) ReadFrom(r io.Reader) (int64, error) {
	if body, ok := r.(*io.LimitedReader); ok {
		if held, ok := body.R.(io.WriterTo); ok {
			return held.WriteTo(announced{c.Conn, body})
		}
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// announced takes no more than what is left of an announced length.
type announced struct {
	to   io.Writer
	left *io.LimitedReader
}

func (a announced) Write(p []byte) (int, error) {
	if int64(len(p)) > a.left.N {
		return 0, errLonger
	}
	n, err := a.to.Write(p)
	a.left.N -= int64(n)
	return n, err
}

// errLonger ends a call whose body goes on behind its length. It would be read as the
// next call of the connection.
var errLonger = errors.New("the body of a call is longer than was announced")

// upstreamRefusal names the phase in which a call to the upstream failed. forwarded
// says that the upstream may have seen the call, ended that it closed the connection
// before the answer's header was whole. A call that it may have seen is never called
// one that found no connection: whoever repeats that could act twice.
func upstreamRefusal(err error, forwarded, ended bool) *refusal {
	var dial reverseproxy.DialError
	var nerr net.Error
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dial), errors.As(err, &cert) && !forwarded:
		return refuseErr(reasonUnreachable, err)
	case errors.As(err, &nerr) && nerr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return refuseErr(reasonUpstreamTimeout, err)
	case strings.Contains(err.Error(), "tls: first record"):
		return refuseErr(reasonUpstreamProtocol, err)
	case ended && forwarded:
		return refuseErr(reasonUpstreamAborted, err)
	case strings.Contains(err.Error(), "malformed"), strings.Contains(err.Error(), "bad request"):
		return refuseErr(reasonUpstreamProtocol, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &op):
		return refuseErr(reasonUpstreamAborted, err)
	}
	// Whatever else net/http says may quote what it read.
	err = fmt.Errorf("calling the upstream: %T", err)
	if forwarded {
		return refuseErr(reasonUpstreamProtocol, err)
	}
	return refuseErr(reasonUnreachable, err)
}
