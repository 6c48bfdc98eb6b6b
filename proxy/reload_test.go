package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// 200 reloads while 50 clients run: no call fails, no event is lost (F21, A22), and
// afterwards everybody listens on loopback only.
func TestReloadUnderLoad(t *testing.T) {
	reloads, clients := 200, 50
	if testing.Short() {
		reloads = 10
	}
	u := proxytest.NewUpstream(t, nil)
	o := proxytest.Options{Upstream: u.URL}
	g := proxytest.Start(t, o)
	entries := g.WaitForEntries(2) // genesis and the first configuration

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			// Each has a connection of its own, as programs do. In a pool that several share
			// connections can rest unused and be taken in the very moment they close.
			transport := new(http.Transport)
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for before := time.Now(); ctx.Err() == nil; {
				began := time.Now()
				err := callOnce(client, g)
				var lost *url.Error
				if errors.As(err, &lost) && time.Since(before) >= proxy.IdleEnough {
					continue // this machine had its connection rest as long as one that may close
				}
				if err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
				before = began
				calls.Add(1)
			}
		})
	}
	for i := range reloads {
		next := o
		if i%2 == 0 {
			next.Govern = "limits {\n depth 64\n }"
		}
		if i%10 == 5 { // a configuration that is rejected must leave the running one alone
			broken := o
			broken.Govern = "uninspected maybe"
			if err := g.Load(broken); err == nil {
				t.Error("a broken configuration was accepted")
			}
		}
		if err := g.Load(next); err != nil {
			t.Fatalf("reload %d: %v", i, err)
		}
	}
	cancel()
	wg.Wait()
	if n := calls.Load(); n == 0 || n != int64(len(u.Requests())) {
		t.Errorf("calls: %d answered, %d forwarded", n, len(u.Requests()))
	}
	t.Logf("%d reloads, %d calls", reloads, calls.Load())
	for _, r := range u.Requests() {
		if showsCard(string(r.Body)) {
			t.Fatal("a card passed during a reload")
		}
	}
	// Two events per call and one per configuration that started.
	want := entries + 2*calls.Load() + int64(reloads)
	if got := g.WaitForEntries(want); got != want {
		t.Errorf("entries: got %d, want %d", got, want)
	}
	loopbackOnly(t, g)
}

// callOnce makes one call, which must be answered with a receipt.
func callOnce(client *http.Client, g *proxytest.Gateway) error {
	req, err := http.NewRequest(http.MethodPut, g.URL+"/api/v2/tickets/1", strings.NewReader(`{"ticket":{"subject":"card 4111111111111111"}}`))
	if err != nil {
		return err
	}
	req.GetBody = nil // the client must not repeat it unseen
	req.Header.Set("Authorization", basicAuth)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Caregate-Receipt") == "" {
		return fmt.Errorf("status %d, %v: %s", res.StatusCode, err, body)
	}
	return nil
}

// A request that is in the upstream's hands while its configuration is replaced
// ends under the configuration it began with, and is recorded.
func TestReloadInMidRequest(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(goOn) })
	defer letGo() // a test that fails before must not wait for the upstream
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v2/tickets/1" {
			close(inside)
			<-goOn
		}
		jsonUpstream(200, `{"d":"card 4111111111111111"}`)(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	done := make(chan answer, 1)
	go func() { done <- do(t, g, call{method: "GET", path: "/api/v2/tickets/1"}) }()
	<-inside
	for range 3 {
		if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "observe"}); err != nil {
			t.Fatal(err)
		}
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/2"}); !strings.Contains(a.body, "4111111111111111") {
		t.Errorf("new configuration: got %s, want it to observe", a.body)
	}
	letGo()
	if a := <-done; a.status != 200 || a.body != `{"d":"card XXXXXXXXXXXX1111"}` {
		t.Errorf("old configuration: got %d %s, want the card masked", a.status, a.body)
	}
	g.Verify()
}

// A caller who hangs up does not erase the record of what happened.
func TestCallerHangsUp(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v2/tickets/1" {
			close(inside)
			<-goOn
		}
		jsonUpstream(200, "{}")(w, r)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	before := g.WaitForEntries(2)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+"/api/v2/tickets/1", nil)
	req.Header.Set("Authorization", basicAuth)
	failed := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req)
		failed <- err
	}()
	<-inside
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	close(goOn)
	g.WaitForEntries(before + 2) // the request and its end
}

// loopbackOnly looks at what the process listens on.
func loopbackOnly(t *testing.T, g *proxytest.Gateway) {
	t.Helper()
	found := false
	for _, addr := range proxytest.Listeners(t) {
		if !addr.Addr().IsLoopback() {
			t.Errorf("the gateway listens on %s", addr)
		}
		found = found || addr.String() == g.Addr
	}
	if !found {
		t.Errorf("the gateway's own address %s is not among the listeners", g.Addr)
	}
}
