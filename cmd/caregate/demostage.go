package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/internal/loopback"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy"
)

// Credentials of the sample helpdesk. It answers loopback connections only.
const (
	demoUser  = "ana@helpdesk.example/token"
	demoToken = "demo-token"
)

// stopTime is how long the last calls of the demo may take to end.
const stopTime = 5 * time.Second

// stage is a sample helpdesk with a gateway in front of it.
type stage struct {
	data     string
	helpdesk *sample.Helpdesk

	gatewayURL, apiURL, helpdeskURL string
	port                            int

	server  *http.Server
	served  chan error
	stopped func() error // stops the gateway, once
}

// openStage starts both on loopback ports. Port 0 is any free one.
func openStage(ctx context.Context, data string, port int) (_ *stage, err error) {
	s := &stage{data: data, served: make(chan error, 1)}
	s.helpdesk = sample.NewHelpdesk(sample.Options{APITokens: []string{demoToken}, Seed: true})
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the sample helpdesk: %w", err)
	}
	s.helpdeskURL = "http://" + l.Addr().String()
	s.server = &http.Server{Handler: s.helpdesk, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.server.Serve(l) }()
	s.stopped = func() error { return nil }
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if port, err = claimPort(ctx, port); err != nil {
		return nil, err
	}
	s.port = port
	s.gatewayURL = fmt.Sprintf("http://desk.localhost:%d", port)
	s.apiURL = fmt.Sprintf("http://gateway.localhost:%d", port)
	config, err := adapt([]byte(s.caddyfile(port)), "Caddyfile of the demo", proxy.AdapterName)
	if err != nil {
		return nil, err
	}
	if err := caddy.Load(config, true); err != nil {
		return nil, fmt.Errorf("starting the gateway: %w", err)
	}
	s.stopped = sync.OnceValue(func() error {
		err := caddy.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		return errors.Join(err, proxy.Drained(ctx))
	})
	return s, nil
}

// caddyfile is the demo's configuration. Its site names end in localhost, which
// is this machine by definition, and it listens nowhere else. Not every program
// resolves such names, so the address alone works too.
func (s *stage) caddyfile(port int) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 5s
	log {
		level ERROR
	}
	caregate {
		name   %[1]s
		store  sqlite %[2]s
		policy builtin
	}
}
http://desk.localhost:%[3]d, http://127.0.0.1:%[3]d {
	bind 127.0.0.1
	govern zendesk %[4]s
}
http://gateway.localhost:%[3]d {
	bind 127.0.0.1
	caregate_api
}
`, demoName, strconv.Quote(s.data), port, s.helpdeskURL)
}

// claimPort finds out before Caddy does whether the port can be had, because
// the answer should name it.
func claimPort(ctx context.Context, port int) (int, error) {
	if port == 0 {
		port, err := loopback.FreePort()
		if err != nil {
			return 0, fmt.Errorf("looking for a port: %w", err)
		}
		return port, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fail(fmt.Sprintf("end it, or choose another port: caregate demo --port %d", port+1), "port %d on 127.0.0.1 is in use by another program", port)
	}
	if err != nil {
		return 0, fmt.Errorf("looking for a port: %w", err)
	}
	return port, l.Close()
}

// stopGateway stops the gateway and closes its log. It may be called twice.
func (s *stage) stopGateway() error { return s.stopped() }

// close stops everything.
func (s *stage) close() error {
	err := s.stopGateway()
	err = errors.Join(err, s.server.Close())
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// client calls the gateway. The names under localhost are dialed as 127.0.0.1,
// because not every system resolves them.
func (s *stage) client() *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(addr)
				if err != nil {
					return nil, err
				}
				var d net.Dialer
				return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
			},
		},
	}
}
