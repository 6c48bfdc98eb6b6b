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
	_ "github.com/caddyserver/caddy/v2/modules/metrics"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/loopback"
	"github.com/caregate/caregate/internal/pgtest"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy"
)

// patience bounds every wait for something that takes a second or two on a machine with
// nothing else to do.
const patience = 5 * time.Minute

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
	// DatabaseFile holds the URL of its database in PostgreSQL; empty when it has files.
	DatabaseFile string

	tb       testing.TB
	o        Options
	database string // in PostgreSQL, "" for files
	socket   *http.Client
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
	if strings.HasPrefix(tb.Name(), OnPostgres+"/") {
		g.database = pgtest.Database(tb)
		g.DatabaseFile = filepath.Join(tb.TempDir(), "database")
		if err := os.WriteFile(g.DatabaseFile, []byte(g.database+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := proxy.CreateData(tb.Context(), proxy.DataConfig{Dir: g.Data, Database: g.database, Name: "test"}); err != nil {
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
	g.socket = &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.Data, proxy.SocketName))
		},
	}}
	tb.Cleanup(g.socket.CloseIdleConnections)
	return g
}

// OnPostgres is the name of the test under which gateways keep their tables in
// PostgreSQL: it runs tests that there are already.
const OnPostgres = "TestOnPostgres"

// OpenDB opens one of the gateway's databases, named by its file in the data
// directory. The caller closes it.
func (g *Gateway) OpenDB(file string, o store.Options) (*store.DB, error) {
	path := filepath.Join(g.Data, file)
	where, err := store.Where(filepath.Dir(path), g.database, filepath.Base(path))
	if err != nil {
		return nil, err
	}
	return store.Open(g.tb.Context(), where, o)
}

// Caddyfile is the configuration for o.
func (g *Gateway) Caddyfile(o Options) string {
	if o.Channel == "" {
		o.Channel = "zendesk"
	}
	place := "sqlite " + g.Data
	if g.database != "" {
		place = "postgres {file." + g.DatabaseFile + "} " + g.Data
	}
	return fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
	grace_period 5s
	%s
	caregate {
		name test
		store %s
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
`, o.Global, place, o.Block, g.Addr, o.Site, o.Channel, o.Upstream, o.Govern, o.Sites)
}

// Load (re)loads the gateway with other options, on the same data and address.
// When it returns, on Linux, nothing takes connections up but the configuration
// that runs: Caddy itself does not wait until a server that it ends, or one of a
// configuration that it rejects, has closed its socket.
func (g *Gateway) Load(o Options) error {
	cfg, warnings, err := caddyconfig.GetAdapter(proxy.AdapterName).Adapt([]byte(g.Caddyfile(o)), map[string]any{"filename": "Caddyfile"})
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
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
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
// it has. The gateway goes on meanwhile, and on a busy machine its index may be behind
// for longer than an auditor waits.
func (g *Gateway) Verify() audit.Report {
	g.tb.Helper()
	for deadline := time.Now().Add(patience); ; {
		report, err := audit.Verify(g.tb.Context(), audit.VerifyOptions{Dir: g.Data})
		if err != nil {
			g.tb.Fatalf("verifying the log: %v", err)
		}
		if report.Outcome == audit.Incomplete && time.Now().Before(deadline) {
			continue
		}
		if report.Outcome != audit.Valid {
			g.tb.Errorf("the log does not verify: %+v, %v", report.Problems, report.Unchecked)
		}
		return report
	}
}

// WaitForEntries verifies the log until a signed checkpoint covers n entries, and
// returns how many it covers then. Checkpoints are signed about every second.
func (g *Gateway) WaitForEntries(n int64) int64 {
	g.tb.Helper()
	deadline := time.Now().Add(patience)
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
	addr, err := loopback.FreeAddr()
	if err != nil {
		tb.Fatal(err)
	}
	return addr
}
