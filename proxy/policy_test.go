package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// patience is how long tests of this file wait for what takes half a second, and much longer
// while others want the processor.
const patience = 5 * time.Minute

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func policyStatus(g *proxytest.Gateway) console.PolicyStatus {
	var s console.Status
	g.API("GET", "/api/v1/status", "", http.StatusOK, &s)
	return s.Policy
}

// A change of the documents or of the rules takes effect by itself, a broken one changes
// nothing and says where, and every policy that counts is in the log before it does.
func TestPolicyIsReadAgain(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	dir := t.TempDir()
	document, rules := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "rules")
	if err := os.Mkdir(rules, 0o700); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(rules, "own.rego")
	const no = "package caregate.operator\n\ndeny contains \"no_%s\" if {\n\tinput.channel == \"zendesk\"\n\tinput.effect == \"%[1]s\"\n}\n"
	write(t, document, "version: 1\n")
	write(t, own, fmt.Sprintf(no, "delete"))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document + " " + rules})
	status := func(c call) int { return do(t, g, c).status }
	remove, read := call{method: "DELETE", path: "/api/v2/tickets/1.json"}, call{method: "GET", path: "/api/v2/tickets.json"}
	if status(remove) != 403 || status(read) != 200 {
		t.Fatal("the policy at the start does not count")
	}
	changes := func(what, file, text string) string {
		t.Helper()
		old := proxy.PolicyInForce()
		write(t, file, text)
		eventually(t, what, func() bool { return proxy.PolicyInForce() != old })
		return proxy.PolicyInForce()
	}

	before := g.WaitForEntries(1)
	digest := changes("the rules changed", own, fmt.Sprintf(no, "read"))
	g.WaitForEntries(before + 1)
	a := do(t, g, read)
	if a.status != 403 || a.problem.Reason != "policy_denied" {
		t.Errorf("the new rules: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Policy != digest {
		t.Errorf("the event was decided by %s, want %s", e.Policy, digest)
	}
	if status(remove) == 403 {
		t.Error("the old rules still count")
	}

	// What changes while it is read is not taken.
	if err := proxy.TakePolicy(t.Context(), "as it was before"); err == nil {
		t.Error("a policy whose files changed meanwhile was taken")
	}

	// Broken in either place: told with file and line, and nothing changes; nor does one of 50 MB.
	large := strings.Repeat("# a line\n", 50<<20/9)
	for _, tc := range []struct{ file, text, told string }{
		{own, "package caregate.operator\n\ndenied contains \"x\" if true\n", "no rule named deny"},
		{document, "version: 1\nenforcement:\n  - {class: iban, action: hide}\n", "policy.yaml:3: action"},
		{own, large, "own.rego: larger than"},
		{document, large, "policy.yaml: larger than"},
	} {
		good, err := os.ReadFile(tc.file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, tc.file, tc.text)
		eventually(t, "the trouble is told: "+tc.told, func() bool { return strings.Contains(policyStatus(g).Trouble, tc.told) })
		if proxy.PolicyInForce() != digest || status(read) != 403 {
			t.Errorf("%s: a broken policy changed something", tc.told)
		}
		var ready struct{ Checks []console.Check }
		g.API("GET", "/readyz", "", http.StatusOK, &ready)
		if c := ready.Checks[len(ready.Checks)-1]; c.Name != "policy" || !c.OK || c.Text == "" {
			t.Errorf("readyz: got %+v, want that the policy on disk is not in force", ready.Checks)
		}
		write(t, tc.file, string(good))
		eventually(t, "the trouble is over", func() bool { return policyStatus(g).Trouble == "" })
	}
	// A document among the rules would be about nothing.
	among := filepath.Join(filepath.Dir(own), "more.yaml")
	write(t, among, "version: 1\n")
	eventually(t, "the document among the rules is told", func() bool {
		return strings.Contains(policyStatus(g).Trouble, among+": a document among rules is not read")
	})
	if err := os.Remove(among); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trouble is over", func() bool { return policyStatus(g).Trouble == "" })
	// Gone is broken too.
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trouble is told", func() bool { return strings.Contains(policyStatus(g).Trouble, "no *.rego file") })
	if status(read) != 403 {
		t.Error("rules that went away do not count any more")
	}
	changes("the rules are there again", own, fmt.Sprintf(no, "delete"))

	// Grants belong to the policy.
	var refused struct{ Grant, Actor string }
	if err := json.Unmarshal([]byte(do(t, g, call{method: "GET", path: export}).body), &refused); err != nil || refused.Grant == "" {
		t.Fatalf("an export that nobody granted: %v", err)
	}
	changes("the grant is there", document, "version: 1\ngrants:\n  - {actor: \""+refused.Actor+"\", grants: [\""+refused.Grant+"\"]}\n")
	if got := status(call{method: "GET", path: export}); got != 200 {
		t.Errorf("an export that was granted: got %d", got)
	}
	g.Verify()
}

// Files that never stand still are never read, and that is told until they do.
func TestPolicyThatNeverStandsStill(t *testing.T) {
	proxy.Within(t, proxy.RestlessAfter, 300*time.Millisecond)
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	k, dir := newBundleKey(t), t.TempDir()
	for name, tc := range map[string]struct {
		block, file, text string
		revision          float64
	}{
		"documents": {"policy builtin " + filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "policy.yaml"), "version: 1\n", 0},
		"a bundle":  {"policy bundle " + filepath.Join(dir, "bundle.tar.gz") + " {\n key " + k.file + "\n}", filepath.Join(dir, "bundle.tar.gz"), string(k.sign(t, 7, denies("delete"))), 7},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, tc.file, tc.text)
			g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: tc.block})
			digest := proxy.PolicyInForce()
			done, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for n := int64(1); ; n++ {
					select {
					case <-done:
						return
					case <-time.After(10 * time.Millisecond):
						if err := os.Chtimes(tc.file, time.Time{}, time.Unix(n, 0)); err != nil {
							t.Error(err)
						}
					}
				}
			}()
			eventually(t, "the trouble is told", func() bool { return strings.Contains(policyStatus(g).Trouble, "changing since") })
			if behind, revision := proxy.PolicyMetrics(); behind != 1 || revision != tc.revision {
				t.Errorf("the metrics say %v of revision %v", behind, revision)
			}
			close(done)
			<-stopped
			eventually(t, "the trouble is over", func() bool { return policyStatus(g).Trouble == "" })
			if proxy.PolicyInForce() != digest {
				t.Error("touching files changed the policy")
			}
			if behind, _ := proxy.PolicyMetrics(); behind != 0 {
				t.Error("the metric stays")
			}
		})
	}
}

// While fifty clients call on one connection each, the policy is replaced again and again.
// No connection is lost, and no exchange is decided by two policies: one leaves the last
// four digits of a card, the other none, both in the call and in the answer to it.
func TestPolicyIsReplacedUnderLoad(t *testing.T) {
	document := filepath.Join(t.TempDir(), "policy.yaml")
	replaceUnderLoad(t, "policy builtin "+document, func(action string) {
		write(t, document, fmt.Sprintf("version: 1\nenforcement:\n  - {class: credit_card, action: %s}\n", action))
	})
}

// replaceUnderLoad starts a gateway with a block and replaces its policy with put, which
// says what is done with card numbers.
func replaceUnderLoad(t *testing.T, block string, put func(action string)) {
	t.Helper()
	const clients, swaps = 50, 4
	var held atomic.Int64 // answers that waited for another policy than their call's
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(r.URL.RawQuery, "page=2") {
			old, deadline := proxy.PolicyInForce(), time.Now().Add(30*time.Second) // half of what an upstream may take
			tick := time.NewTicker(5 * time.Millisecond)
			for r.Context().Err() == nil && time.Now().Before(deadline) && proxy.PolicyInForce() == old {
				<-tick.C
			}
			tick.Stop()
			if proxy.PolicyInForce() != old {
				held.Add(1)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"ticket":{"id":1,"description":"4242 4242 4242 4242"},"got":%s}`, body)
	}))
	t.Cleanup(u.Close)
	put("mask")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: block})

	ctx, done := context.WithCancel(t.Context())
	defer done()
	var dialled, masked, dropped, mixed atomic.Int64
	var all sync.WaitGroup
	defer all.Wait()
	defer done()
	for i := range clients {
		all.Go(func() {
			c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialled.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}}}
			defer c.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				path := g.URL + "/api/v2/tickets.json"
				if i%10 == 0 && n%2 == 0 {
					path += "?page=2"
				}
				// Not under ctx: an exchange that began is to end.
				req, err := http.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(`{"ticket":{"comment":{"body":"4111 1111 1111 1111"}}}`))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", basicAuth)
				req.Header.Set("Content-Type", "application/json")
				res, err := c.Do(req)
				if err != nil {
					t.Errorf("a connection was lost: %v", err)
					return
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("an answer: got %d, %v: %s", res.StatusCode, err, body)
					return
				}
				call, answer := strings.Contains(string(body), "XXXX XXXX XXXX 1111"), strings.Contains(string(body), "XXXX XXXX XXXX 4242")
				switch {
				case call && answer:
					masked.Add(1)
				case !call && !answer && strings.Count(string(body), "XXXX XXXX XXXX XXXX") == 2:
					dropped.Add(1)
				default:
					mixed.Add(1)
				}
			}
		})
	}
	counts := []*atomic.Int64{&dropped, &masked}
	for i := range swaps {
		old := proxy.PolicyInForce()
		count := counts[i%2]
		had := count.Load()
		put([]string{"drop", "mask"}[i%2])
		eventually(t, "the policy changed", func() bool { return proxy.PolicyInForce() != old })
		eventually(t, "exchanges are decided by it", func() bool { return count.Load() > had+clients })
	}
	// Those that wait in the upstream are let go.
	done()
	put("drop")
	all.Wait()
	if mixed.Load() != 0 || dialled.Load() != clients || held.Load() == 0 {
		t.Errorf("decided by two policies: %d of %d; connections: %d, want %d; answered under another policy than asked: %d",
			mixed.Load(), masked.Load()+dropped.Load(), dialled.Load(), clients, held.Load())
	}
	t.Logf("%d exchanges, %d of them across a change", masked.Load()+dropped.Load(), held.Load())
}
