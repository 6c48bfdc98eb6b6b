package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy/proxytest"
)

// What passes the gateway arrives at the collector, before and after a reload, and a
// collector that is not there is no reason to refuse anything.
func TestSyslog(t *testing.T) {
	cert, key, _ := selfSigned(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mu sync.Mutex
	var got strings.Builder
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					length, err := r.ReadString(' ')
					n, convErr := strconv.Atoi(strings.TrimSuffix(length, " "))
					if err != nil || convErr != nil {
						return
					}
					msg := make([]byte, n)
					if _, err := io.ReadFull(r, msg); err != nil {
						return
					}
					mu.Lock()
					got.Write(msg)
					mu.Unlock()
				}
			}()
		}
	}()
	nobody := proxytest.FreeAddr(t)
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"ticket":{"id":1,"description":"4111 1111 1111 1111"}}`))
	o := proxytest.Options{Upstream: u.URL, Block: "syslog tls://" + l.Addr().String() + " {\n ca " + cert + "\n}\nsyslog tls://" + nobody}
	g := proxytest.Start(t, o)
	for _, when := range []string{"at first", "after a reload"} {
		a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
		receipt := a.header.Get("Caregate-Receipt")
		if a.status != 200 || receipt == "" {
			t.Fatalf("%s: got %d", when, a.status)
		}
		deadline := time.Now().Add(5 * time.Minute)
		tick := time.Tick(20 * time.Millisecond)
		for found := false; !found; <-tick {
			mu.Lock()
			found = strings.Contains(got.String(), receipt)
			mu.Unlock()
			if time.Now().After(deadline) {
				t.Fatalf("%s: the collector did not get the event", when)
			}
		}
		if err := g.Load(o); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(got.String(), "4111 1111") || strings.Contains(got.String(), "agent@example.com") {
		t.Error("a message holds personal data")
	}
}
