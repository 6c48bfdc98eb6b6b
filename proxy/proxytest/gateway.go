package proxytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode" // what the Caddyfiles of tests use
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"
	_ "github.com/caddyserver/caddy/v2/modules/logging"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
)

// turn is held by the gateway that runs.
var turn sync.Mutex

// Options of a Gateway; the zero value governs Zendesk in front of Upstream.
type Options struct {
	// Channel is the first word of govern; zendesk when empty.
	Channel string
	// Upstream is the URL that is governed.
	Upstream string
	// Data is the data directory to create, a temporary one when empty. Start reads
	// it, Load does not.
	Data string
	// Govern is the inside of the govern block.
	Govern string
	// Global is put into the global options, Block into the caregate block, Site
	// into the site beside govern, Sites after it.
	Global, Block, Site, Sites string
}

// Gateway is a running gateway.
type Gateway struct {
	// URL is where callers reach it, Addr the same as host:port.
	URL, Addr string
	// Data is its data directory; Restart changes it.
	Data string

	tb     testing.TB
	o      Options
	socket *http.Client
}

// Start creates a data directory, starts a gateway on it and stops it when the
// test ends.
func Start(tb testing.TB, o Options) *Gateway {
	tb.Helper()
	turn.Lock()
	tb.Cleanup(turn.Unlock)
	g := &Gateway{Data: o.Data, Addr: FreeAddr(tb), tb: tb, o: o}
	g.URL = "http://" + g.Addr
	if g.Data == "" {
		g.Data = filepath.Join(tb.TempDir(), "data")
	}
	if _, err := proxy.CreateData(tb.Context(), proxy.DataConfig{Dir: g.Data, Name: "test"}); err != nil {
		tb.Fatalf("creating data: %v", err)
	}
	if err := g.Load(o); err != nil {
		tb.Fatalf("loading the configuration: %v", err)
	}
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Errorf("stopping: %v", err)
		}
	})
	g.socket = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.Data, proxy.SocketName))
		},
	}}
	tb.Cleanup(g.socket.CloseIdleConnections)
	return g
}

// Caddyfile is the configuration for o.
func (g *Gateway) Caddyfile(o Options) string {
	if o.Channel == "" {
		o.Channel = "zendesk"
	}
	return fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
	grace_period 5s
	%s
	caregate {
		name test
		store sqlite %s
		%s
	}
}
http://%s {
	bind 127.0.0.1
	%s
	govern %s %s {
		%s
	}
}
%s
`, o.Global, g.Data, o.Block, g.Addr, o.Site, o.Channel, o.Upstream, o.Govern, o.Sites)
}

// Load (re)loads the gateway with other options, on the same data and address.
// When it returns, on Linux, nothing takes connections up but the configuration
// that runs: Caddy itself does not wait until a server that it ends, or one of a
// configuration that it rejects, has closed its socket.
func (g *Gateway) Load(o Options) error {
	cfg, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(g.Caddyfile(o)), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			g.tb.Logf("caddyfile: %v", w)
		}
	}
	err = caddy.Load(cfg, true)
	if runtime.GOOS != "linux" {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		n := 0
		for _, addr := range Listeners(g.tb) {
			if addr.String() == g.Addr {
				n++
			}
		}
		if n <= 1 {
			return err
		}
		if time.Now().After(deadline) {
			return errors.Join(err, fmt.Errorf("%d servers listen on one address", n))
		}
	}
}

// stop ends Caddy and waits for the exchanges that it leaves behind.
func stop() error {
	err := caddy.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return errors.Join(err, proxy.Drained(ctx))
}

// Stop ends the gateway; Load starts it again.
func (g *Gateway) Stop() {
	g.tb.Helper()
	if err := stop(); err != nil {
		g.tb.Fatalf("stopping: %v", err)
	}
	g.socket.CloseIdleConnections()
}

// Restart ends the gateway and starts it again on the same data, with the options
// of Start and at the same address. A log that failed is never served again by
// the process it failed in, and knows its directory by its path; so that this
// process can stand for the next one, the directory is moved.
func (g *Gateway) Restart() {
	g.tb.Helper()
	g.Stop()
	moved := g.Data + "-again"
	if err := os.Rename(g.Data, moved); err != nil {
		g.tb.Fatal(err)
	}
	g.Data = moved
	if err := g.Load(g.o); err != nil {
		g.tb.Fatalf("starting again: %v", err)
	}
}

// Event reads an event from the gateway's log, over its own socket.
func (g *Gateway) Event(receipt string) console.Event {
	g.tb.Helper()
	var e console.Event
	g.API(http.MethodGet, "/api/v1/events/"+receipt, "", http.StatusOK, &e)
	return e
}

// API calls the gateway's API as its administrator and decodes the answer.
func (g *Gateway) API(method, path, body string, want int, into any) {
	g.tb.Helper()
	req, err := http.NewRequestWithContext(g.tb.Context(), method, "http://local"+path, strings.NewReader(body))
	if err != nil {
		g.tb.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := g.socket.Do(req)
	if err != nil {
		g.tb.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		g.tb.Fatalf("%s %s: got status %d, want %d", method, path, res.StatusCode, want)
	}
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			g.tb.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// Verify checks the whole log, as an auditor would, and returns how many entries
// it has. The gateway goes on meanwhile.
func (g *Gateway) Verify() audit.Report {
	g.tb.Helper()
	report, err := audit.Verify(g.tb.Context(), audit.VerifyOptions{Dir: g.Data})
	if err != nil {
		g.tb.Fatalf("verifying the log: %v", err)
	}
	if report.Outcome != audit.Valid {
		g.tb.Errorf("the log does not verify: %+v", report.Problems)
	}
	return report
}

// WaitForEntries verifies the log until a signed checkpoint covers n entries, and
// returns how many it covers then. Checkpoints are signed about every second.
func (g *Gateway) WaitForEntries(n int64) int64 {
	g.tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := g.Verify().Entries
		if got >= n {
			return got
		}
		if time.Now().After(deadline) {
			g.tb.Fatalf("log: got %d entries, want %d", got, n)
		}
	}
}

// FreeAddr finds a loopback address that nobody listens on.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
