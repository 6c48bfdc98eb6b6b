package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	// idleEnough is how long a connection has rested before it may close under its
	// caller: one that is busy has sent the next call by then.
	idleEnough = time.Second
	// farewellTime bounds the wait, for calls that take long.
	farewellTime = 3 * time.Second
)

// farewell keeps callers from sending a call into a connection that closes. Caddy ends
// a configuration's servers at once, which closes their idle connections, and a call
// that was sent in that moment fails although nobody has seen it (RFC 9112 section 9.5
// and 9.6; HTTP/2 and HTTP/3 say goodbye by themselves, with GOAWAY). The configuration
// that leaves goes on serving until each of its connections has been told, at the end
// of an answer, or has rested for idleEnough.
type farewell struct {
	app   *App
	begun atomic.Bool

	mu          sync.Mutex
	servers     map[*caddyhttp.Server]bool // those that are watched
	connections map[net.Conn]connection    // those that are open
}

// connection is in a state since a time.
type connection struct {
	state http.ConnState
	since time.Time
}

// watch follows the connections of the server that a handler is being provisioned for.
func (f *farewell) watch(ctx context.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.servers[server] {
		f.servers[server] = true
		server.RegisterConnState(f.follow)
	}
}

// follow is told by a server what becomes of a connection.
func (f *farewell) follow(conn net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch state {
	case http.StateHijacked, http.StateClosed:
		delete(f.connections, conn)
	default:
		f.connections[conn] = connection{state, time.Now()}
	}
}

// busy tells whether a caller may believe that it can send another call on one of its
// connections, when the farewell began at a time. One that carries a call since then
// is told in the answer.
func (f *farewell) busy(begun time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.connections {
		switch {
		case c.state == http.StateActive && c.since.Before(begun): // the answer may be under way
			return true
		case c.state != http.StateActive && time.Since(c.since) < idleEnough:
			return true
		}
	}
	return false
}

// Handle is called by Caddy when the configuration is about to stop: its successor is
// up by then and gets all new connections. Nothing else happens until it returns.
// Without a successor there is no other connection that callers could open.
func (f *farewell) Handle(context.Context, caddy.Event) error {
	if f.app.gen == nil || !f.app.gen.data.socket.followed(f.app) || f.begun.Swap(true) {
		return nil
	}
	begun := time.Now()
	end := time.After(farewellTime)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for f.busy(begun) {
		select {
		case <-look.C:
		case <-end:
			return nil
		}
	}
	return nil
}

// say marks the answer to a call over HTTP/1 as the last one of its connection.
// It is said when the call comes and, for one that takes long, when its answer goes.
func (f *farewell) say(x *exchange) {
	if f != nil && x.http1 && f.begun.Load() {
		x.out.Set("Connection", "close")
	}
}

// sayFarewell asks Caddy to be told before this configuration stops.
func (a *App) sayFarewell(ctx caddy.Context) error {
	events, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("loading Caddy's events: %w", err)
	}
	a.farewell = newFarewell(a)
	return events.(*caddyevents.App).On("stopping", a.farewell)
}

func newFarewell(a *App) *farewell {
	return &farewell{app: a, servers: make(map[*caddyhttp.Server]bool), connections: make(map[net.Conn]connection)}
}
