package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() { caddy.RegisterModule(Refusals{}) }

// refusalsName is the module's name among listener wrappers.
const refusalsName = "caregate_refusals"

// Refusals is a listener wrapper for servers with governed routes. Go's HTTP server
// answers a request that it cannot parse by itself: no handler hears of it. With this
// wrapper such a request leaves a durable denial in the audit log like any other, and
// its caller gets a problem document with a reason and a receipt.
//
// It looks at what the server writes, and replaces the few answers that the server makes
// up alone. Of what callers send it follows the framing only, and withholds from the
// server what could be read in two ways ([framing]); nothing that it reads decides what a
// request is.
//
// It stands behind TLS, where Caddy puts listener wrappers by itself. HTTP/2 and HTTP/3
// have no such answers: a broken stream is reset.
type Refusals struct {
	app    *App
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Refusals) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners." + refusalsName, New: func() caddy.Module { return new(Refusals) }}
}

// Provision joins the app.
func (w *Refusals) Provision(ctx caddy.Context) (err error) {
	w.logger = ctx.Logger()
	if w.app, err = joinApp(ctx, "recording what a server refuses"); err != nil {
		return err
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterConnContext(withCaller)
		server.RegisterConnState(passRaw)
	}
	return nil
}

// callerKey is the key under which a call's context has the *refusingConn it came on.
type callerKey struct{}

// withCaller makes a connection known to its calls.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	if c := watched(conn); c != nil {
		return context.WithValue(ctx, callerKey{}, c)
	}
	return ctx
}

// passRaw ends the watching of a connection that a handler has taken over from the
// server, such as a WebSocket of a route of Caddy's own: what follows is no HTTP.
func passRaw(conn net.Conn, state http.ConnState) {
	if c := watched(conn); c != nil && state == http.StateHijacked {
		c.raw.Store(true)
	}
}

// callerAddr is the address of a caller as its connection tells it, and leads back to
// that. Caddy's listeners put a connection into another one that shows the methods of
// net.Conn alone.
type callerAddr struct {
	net.Addr
	conn *refusingConn
}

// watched is the connection of ours in one that the server has, nil when there is none.
func watched(conn net.Conn) *refusingConn {
	if a, ok := conn.RemoteAddr().(*callerAddr); ok {
		return a.conn
	}
	return nil
}

// UnmarshalCaddyfile reads the wrapper's name, which has no options.
func (w *Refusals) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() || d.NextBlock(0) {
		return d.Err("caregate_refusals has no options")
	}
	return nil
}

// WrapListener has every connection of l watched.
func (w *Refusals) WrapListener(l net.Listener) net.Listener {
	return &refusingListener{Listener: l, by: w}
}

type refusingListener struct {
	net.Listener
	by *Refusals
}

func (l *refusingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.by.watch(c), nil
}

// watch puts the wrapper around a connection.
func (w *Refusals) watch(c net.Conn) net.Conn {
	watched := &refusingConn{Conn: c, by: w}
	watched.addr = callerAddr{c.RemoteAddr(), watched}
	if secret, ok := c.(*tls.Conn); ok {
		return &refusingTLSConn{refusingConn: watched, secret: secret}
	}
	return watched
}

// refusingConn is a connection on which the server's own refusals are replaced. Like
// every connection it may be used by several goroutines, but read by one at a time.
type refusingConn struct {
	net.Conn
	together
	by      *Refusals
	addr    callerAddr
	raw     atomic.Bool // no longer the server's
	framing framing
	doubted bool // framing has stopped
	breaks  []byte
}

// RemoteAddr is the caller's address.
func (c *refusingConn) RemoteAddr() net.Addr { return &c.addr }

// Read reads what is in no doubt. Behind that it fails, and the server refuses.
func (c *refusingConn) Read(p []byte) (int, error) {
	if c.raw.Load() {
		return c.Conn.Read(p)
	}
	if c.doubted {
		return c.end(p)
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	taken := c.framing.feed(p[:n])
	if taken == n {
		return n, err
	}
	c.doubted, c.breaks = true, c.framing.breaks()
	if taken == 0 {
		return c.end(p)
	}
	return taken, nil
}

// end is what stands in place of the bytes in doubt.
func (c *refusingConn) end(p []byte) (int, error) {
	if len(c.breaks) == 0 {
		return 0, errFraming
	}
	n := copy(p, c.breaks)
	c.breaks = c.breaks[n:]
	return n, nil
}

// refusingTLSConn is one over TLS. Caddy asks for the state of those.
type refusingTLSConn struct {
	*refusingConn
	secret *tls.Conn
	shaken bool
}

// ConnectionState tells what was agreed in the handshake.
func (c *refusingTLSConn) ConnectionState() tls.ConnectionState { return c.secret.ConnectionState() }

// Read does the handshake first, so that a caller without one is no request. Whoever
// speaks HTTP in clear is told so, as net/http does on connections it knows to be TLS.
func (c *refusingTLSConn) Read(p []byte) (int, error) {
	if !c.shaken {
		err := c.secret.Handshake()
		var clear tls.RecordHeaderError
		if errors.As(err, &clear) && clear.Conn != nil && looksLikeHTTP(clear.RecordHeader) {
			_, _ = io.WriteString(clear.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}
		if err != nil {
			return 0, &net.OpError{Op: "read", Net: "tcp", Err: err} // which the server does not answer
		}
		c.shaken = true
	}
	return c.refusingConn.Read(p)
}

// looksLikeHTTP tells whether a record's first bytes are those of a request in clear.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}

// Write passes p on, or a problem document in its place.
func (c *refusingConn) Write(p []byte) (int, error) {
	if c.take(p) {
		return len(p), nil
	}
	code := refusedByServer(p)
	if code == "" || !calledByServer() {
		return c.letGo(c.Conn, p)
	}
	answer := c.by.refuse(c.RemoteAddr(), code)
	if answer == nil {
		answer = p
	}
	if _, err := c.Conn.Write(answer); err != nil {
		return 0, err
	}
	c.linger()
	return len(p), nil
}

// linger takes what the caller is still sending, for the reason that linger.go gives:
// the server closes the connection now.
func (c *refusingConn) linger() {
	if c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.Copy(io.Discard, c.Conn)
	}
}

// letAllGo writes what was kept.
func (c *refusingConn) letAllGo() { _, _ = c.letGo(c.Conn, nil) }

// CloseWrite says that nothing more will be written, as far as the connection can.
func (c *refusingConn) CloseWrite() error {
	c.letAllGo()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ReadFrom keeps the kernel's way of copying a file to a socket (sendfile).
func (c *refusingConn) ReadFrom(r io.Reader) (int64, error) {
	c.letAllGo()
	if from, ok := c.Conn.(io.ReaderFrom); ok {
		return from.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// serversHeader is what stands behind the status line in the answers that
// net/http.(*conn).serve writes when a request makes no sense to it. An answer of a
// handler has a Date at least.
const serversHeader = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// refusedByServer tells by the bytes of an answer whether it can be one that the server
// made up alone, and gives the reason code of it, "" for all others.
func refusedByServer(p []byte) string {
	const version, digits = "HTTP/1.1 ", 3
	if len(p) < len(version)+digits || string(p[:len(version)]) != version {
		return ""
	}
	rest := p[len(version):]
	switch string(rest[:digits]) {
	case "417": // is written as a handler's would be
		return reasonExpectation
	case "400":
		if header(rest) {
			return reasonMalformed
		}
	case "431":
		if header(rest) {
			return reasonHeadersTooLarge
		}
	case "501":
		if header(rest) {
			return reasonTransferCoding
		}
	case "505":
		if header(rest) {
			return reasonVersion
		}
	}
	return ""
}

// header tells whether serversHeader follows the status line.
func header(p []byte) bool {
	end := bytes.IndexByte(p, '\r')
	return end >= 0 && bytes.HasPrefix(p[end:], []byte(serversHeader))
}

// calledByServer tells whether the Write that called it was called by the server's own
// code for a request that never got to a handler. What the bytes look like does not
// prove it: an upstream could put the same ones into a body.
//
// A Go release that names these functions otherwise would have the server's answers go
// out as they are; the tests notice.
func calledByServer() bool {
	var pcs [16]uintptr
	const skip = 3 // runtime.Callers, this, Write
	frames := runtime.CallersFrames(pcs[:runtime.Callers(skip, pcs[:])])
	var before string
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "net/http.(*conn).serve":
			// Everything that the server writes comes from there, and nearly all of it
			// through its buffer.
			return before == "fmt.Fprintf"
		case f.Function == "net/http.(*response).sendExpectationFailed":
			return true
		case !more:
			return false
		}
		before = f.Function
	}
}

// refuse records the refusal of a request that no handler saw and returns the answer
// for its caller, or nil when a defect keeps it from making one.
func (w *Refusals) refuse(from net.Addr, code string) (answer []byte) {
	r := &http.Request{Header: http.Header{}}
	out := &rawAnswer{header: http.Header{"Connection": {"close"}}}
	x := w.app.unrouted(w.logger, from.String(), out.header)
	x.http1 = true
	defer func() {
		if p := recover(); p != nil {
			x.logPanic(p)
			answer = nil
		}
	}()
	if !x.enter(r.Context()) {
		x.writeProblem(out, r, refuse(reasonAuditUnavailable))
		return out.bytes()
	}
	defer x.close()
	x.answer(out, r, x.refuseUnrouted(r, code))
	x.report(r)
	return out.bytes()
}

// rawAnswer is an answer as it will stand on the wire, for one that no server writes.
type rawAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *rawAnswer) Header() http.Header { return a.header }

func (a *rawAnswer) WriteHeader(status int) { a.status = status }

func (a *rawAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *rawAnswer) bytes() []byte {
	var out bytes.Buffer
	out.WriteString("HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status) + "\r\n")
	_ = a.header.Write(&out) // a buffer takes everything
	out.WriteString("\r\n")
	out.Write(a.body.Bytes())
	return out.Bytes()
}

var (
	_ caddy.Provisioner     = (*Refusals)(nil)
	_ caddy.ListenerWrapper = (*Refusals)(nil)
	_ caddyfile.Unmarshaler = (*Refusals)(nil)
	_ http.ResponseWriter   = (*rawAnswer)(nil)
)
