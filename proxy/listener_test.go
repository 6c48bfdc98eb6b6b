package proxy_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/internal/loopback"
	"github.com/caregate/caregate/proxy"
)

// Connections go to the newest configuration that accepts, and none is reset: not one
// that waits while the configurations change, and not one that comes in that moment.
func TestListener(t *testing.T) {
	address, err := loopback.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	na, err := caddy.ParseNetworkAddress(proxy.SharedNetwork + "/" + address)
	if err != nil {
		t.Fatal(err)
	}
	open := func(greeting string) (net.Listener, func()) {
		v, err := na.Listen(t.Context(), 0, net.ListenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		ln := v.(net.Listener)
		return ln, func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, greeting)
				_ = conn.Close()
			}
		}
	}
	greeting := func() string {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	first, serveFirst := open("1")
	wg.Go(serveFirst)
	if got := greeting(); got != "1" {
		t.Fatalf("got %q from the first", got)
	}
	second, serveSecond := open("2")
	if got := greeting(); got != "1" {
		t.Errorf("got %q before the second accepts", got)
	}
	wg.Go(serveSecond)
	for got := greeting(); got != "2"; got = greeting() { // until the second has begun
		if got != "1" {
			t.Fatalf("got %q", got)
		}
	}
	third, _ := open("3") // a configuration that is given up before it serves
	if err := third.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if got := greeting(); got != "2" {
		t.Errorf("got %q after the first has closed", got)
	}

	// One at work while others come and go, and one that waits while nobody accepts.
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadAll(conn); err != nil {
					t.Error(err)
				}
				_ = conn.Close()
			}
		})
	}
	last := second
	for range 100 {
		next, serve := open("n")
		wg.Go(serve)
		if err := last.Close(); err != nil {
			t.Error(err)
		}
		last = next
	}
	close(stop)
	callers.Wait()
	if err := last.Close(); err != nil {
		t.Error(err)
	}
	if err := last.Close(); err == nil {
		t.Error("closed twice: got nil")
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("the address still listens")
	}
}
