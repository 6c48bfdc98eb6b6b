package proxy

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// SharedNetwork is the name of a network in the addresses that a server listens on, as
// in `caregate/127.0.0.1:8443`. It is TCP with one listening socket for all
// configurations of the process, so that a reload loses no connection; the adapter
// [AdapterName] puts it where a Caddyfile leaves the network open.
//
// On tcp Caddy opens another socket on the same port for each configuration
// (SO_REUSEPORT) and closes the old one's. The kernel resets the connections that
// wait at it (docs/design/0002).
const SharedNetwork = "caregate"

func init() {
	caddy.RegisterNetwork(SharedNetwork, listen)
	caddyhttp.RegisterNetworkHTTP3(SharedNetwork, "udp") // QUIC sockets are shared by Caddy
}

// listen is a [caddy.ListenerFunc].
func listen(ctx context.Context, _, host, ports string, offset uint, config net.ListenConfig) (any, error) {
	address, err := caddy.ParseNetworkAddress(caddy.JoinNetworkAddress("tcp", host, ports))
	if err != nil {
		return nil, fmt.Errorf("reading an address to listen on: %w", err)
	}
	open := func() (net.Listener, error) {
		v, err := address.Listen(ctx, offset, config)
		if err != nil {
			return nil, err
		}
		return v.(net.Listener), nil
	}
	if address.StartPort+offset == 0 { // another port each time: nothing to share
		return open()
	}
	key := address.JoinHostPort(offset)
	v, _, err := sockets.LoadOrNew(key, func() (caddy.Destructor, error) {
		ln, err := open()
		if err != nil {
			return nil, err
		}
		return newSocket(ln), nil
	})
	if err != nil {
		return nil, err
	}
	return &turn{socket: v.(*sharedSocket), key: key}, nil
}

// sockets holds the listening sockets that configurations share, by address. It is
// process-wide because Caddy keeps two configurations alive during a reload.
var sockets = caddy.NewUsagePool()

// sharedSocket is a listening socket with those who take its connections in turn.
type sharedSocket struct {
	listener net.Listener // from the first configuration, whose keep-alive settings stay until the end

	mu       sync.Mutex // owns the others
	changed  sync.Cond
	accepted *accepted // not taken yet
	turns    []*turn   // those that have begun to accept; the last one gets what comes
	closed   bool
}

// accepted is what [net.Listener.Accept] returned.
type accepted struct {
	conn net.Conn
	err  error
}

func newSocket(ln net.Listener) *sharedSocket {
	s := &sharedSocket{listener: ln}
	s.changed.L = &s.mu
	go s.accept()
	return s
}

// accept takes connections from the kernel, one at a time, until the socket closes.
func (s *sharedSocket) accept() {
	for {
		conn, err := s.listener.Accept()
		s.mu.Lock()
		s.accepted = &accepted{conn, err}
		s.changed.Broadcast()
		for s.accepted != nil && !s.closed {
			s.changed.Wait()
		}
		closed, left := s.closed, s.accepted
		s.mu.Unlock()
		if closed {
			if left != nil && left.conn != nil {
				_ = left.conn.Close() // nobody is there to serve it
			}
			return
		}
	}
}

// Destruct implements [caddy.Destructor]: nobody takes connections any more.
func (s *sharedSocket) Destruct() error {
	s.mu.Lock()
	s.closed = true
	s.changed.Broadcast()
	s.mu.Unlock()
	return s.listener.Close()
}

// turn is one configuration's listener: it takes the connections of a socket from its
// first Accept until a later configuration's first Accept, and again when that one
// ends before it does.
type turn struct {
	socket *sharedSocket
	key    string
	closed bool // owned by the socket's mutex
}

// Accept implements [net.Listener].
func (t *turn) Accept() (net.Conn, error) {
	s := t.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.closed && !slices.Contains(s.turns, t) {
		s.turns = append(s.turns, t)
	}
	for !t.closed {
		if a := s.accepted; a != nil && s.turns[len(s.turns)-1] == t {
			s.accepted = nil
			s.changed.Broadcast()
			return a.conn, a.err
		}
		s.changed.Wait()
	}
	return nil, net.ErrClosed
}

// Close implements [net.Listener].
func (t *turn) Close() error {
	s := t.socket
	s.mu.Lock()
	if t.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	t.closed = true
	s.turns = slices.DeleteFunc(s.turns, func(other *turn) bool { return other == t })
	s.changed.Broadcast()
	s.mu.Unlock()
	_, err := sockets.Delete(t.key)
	return err
}

// Addr implements [net.Listener].
func (t *turn) Addr() net.Addr { return t.socket.listener.Addr() }
