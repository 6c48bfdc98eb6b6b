package proxy

import (
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// While a configuration takes its leave it answers, and says that the connection
// closes; before, and over HTTP/2, which says so itself, it does not. It leaves when
// no connection may be about to carry a call.
func TestFarewell(t *testing.T) {
	t.Parallel()
	gen := &generation{data: new(Data)}
	old, successor := &App{gen: gen}, &App{gen: gen}
	gen.data.socket.handlers = []socketHandler{{owner: old}}
	f := newFarewell(old)
	said := func(major int) string {
		x := &exchange{out: make(http.Header), http1: major == 1}
		f.say(x)
		return x.out.Get("Connection")
	}
	if got := said(1); got != "" {
		t.Errorf("before: got Connection %q", got)
	}
	if err := f.Handle(t.Context(), caddy.Event{}); err != nil || said(1) != "" {
		t.Errorf("nobody follows: got %v, Connection %q", err, said(1))
	}
	gen.data.socket.handlers = append(gen.data.socket.handlers, socketHandler{owner: successor})
	told, resting := new(net.TCPConn), new(net.TCPConn)
	f.follow(told, http.StateActive)
	f.follow(resting, http.StateNew)
	left, began := make(chan error, 1), time.Now()
	go func() { left <- f.Handle(t.Context(), caddy.Event{}) }()
	for !f.begun.Load() {
		runtime.Gosched()
	}
	if got := said(1); got != "close" {
		t.Errorf("HTTP/1: got Connection %q, want close", got)
	}
	if got := said(2); got != "" {
		t.Errorf("HTTP/2: got Connection %q", got)
	}
	f.follow(new(net.TCPConn), http.StateActive) // is told in its answer
	from := time.Now()
	f.follow(told, http.StateIdle)
	start := time.Now()
	f.follow(resting, http.StateIdle)
	still := time.Since(from) // this machine, between the two
	select {
	case err := <-left:
		if time.Since(began) < idleEnough { // else this machine stood still
			t.Error("left while a connection might carry a call")
		}
		left <- err
	default:
	}
	f.follow(told, http.StateActive)
	f.follow(told, http.StateClosed)
	if err := <-left; err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < idleEnough && time.Since(began) < farewellTime && still < idleEnough {
		t.Errorf("left after %v, want %v of rest", d, idleEnough)
	}
}
