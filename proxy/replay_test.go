package proxy_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy/proxytest"
)

// One delivery has one effect: what was taken is answered and not forwarded, also
// under another path, with a fresh time, after a reload and after a restart.
func TestWebhookReplays(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	o := proxytest.Options{Upstream: u.URL}
	g := startHooks(t, o)
	now := time.Now()
	first := hook(event("r1", "hello"), now)
	if a := do(t, g, first); a.status != 200 || a.problem.Reason != "" {
		t.Fatalf("the first: got %d %s", a.status, a.body)
	}
	again := func(t *testing.T, c call, status int, reason string) {
		t.Helper()
		before := len(u.Requests())
		a := do(t, g, c)
		if a.status != status || a.problem.Reason != reason || a.problem.Forwarded {
			t.Errorf("got %d %s, want %d %s", a.status, a.problem.Reason, status, reason)
		}
		if len(u.Requests()) != before {
			t.Error("it was forwarded")
		}
		if e := g.Event(a.problem.Receipt); e.Reason != reason || fmt.Sprint(e.Roles) != "[vendor]" {
			t.Errorf("event: got %s by %v", e.Reason, e.Roles)
		}
	}
	elsewhere := first
	elsewhere.path, elsewhere.method = "/hooks/other", "PUT"
	for _, when := range []string{"at once", "after a reload", "after a restart"} {
		switch when {
		case "after a reload":
			o.Channel, o.Govern = "zendesk/webhooks", "webhook_secret {env.HOOK_SECRET}\nlimits {\n body 1MiB\n }"
			if err := g.Load(o); err != nil {
				t.Fatal(err)
			}
		case "after a restart":
			g.Restart()
		}
		t.Run(when, func(t *testing.T) {
			again(t, first, 200, "webhook_duplicate")
			again(t, elsewhere, 200, "webhook_duplicate")
			again(t, hook(first.body, now.Add(time.Second)), 200, "webhook_duplicate")
			again(t, hook(event("r1", "something else"), now), 422, "webhook_conflict")
		})
	}
	if a := do(t, g, hook(event("r2", "hello"), now)); a.status != 200 || a.problem.Reason != "" {
		t.Errorf("another delivery: got %d %s", a.status, a.body)
	}
	// Without a body a delivery is what its address says; two of the same second have
	// the same signature.
	get := hook("", now)
	get.method = "GET"
	for _, test := range []struct{ path, reason string }{
		{"/hooks?ticket=12", ""}, {"/hooks?ticket=13", ""}, {"/hooks?ticket=12", "webhook_duplicate"},
	} {
		get.path = test.path
		if a := do(t, g, get); a.status != 200 || a.problem.Reason != test.reason {
			t.Errorf("%s: got %d %s, want %q", test.path, a.status, a.problem.Reason, test.reason)
		}
	}
	// The id in a body that somebody wrote is a ticket's and names no delivery.
	for _, status := range []string{"open", "solved", "open"} {
		now = now.Add(time.Second)
		if a := do(t, g, hook(`{"id":12,"account_id":7,"status":"`+status+`"}`, now)); a.problem.Reason != "" {
			t.Errorf("a ticket that is %s: got %d %s", status, a.status, a.body)
		}
	}
	// Without an id, the same text at another time is another delivery.
	for i := range 2 {
		if a := do(t, g, hook(`{"open":true}`, now.Add(time.Duration(i)*time.Second))); a.problem.Reason != "" {
			t.Errorf("without an id, %d: got %d %s", i, a.status, a.body)
		}
	}
}

// What failed on its way is not lost: the vendor's repetition gets through, with
// the same signature or with a fresh one.
func TestWebhookThatFailedIsRepeated(t *testing.T) {
	var status atomic.Int64
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		if s := int(status.Load()); s != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(s)
			fmt.Fprint(w, "{}")
			return
		}
		panic(http.ErrAbortHandler)
	})
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	now := time.Now()
	first, fresh := hook(event("f1", "hello"), now), hook(event("f1", "hello"), now.Add(time.Second))
	for _, s := range []int{503, 429, 409, 400, 302, 0} {
		status.Store(int64(s))
		want := s
		if s == 0 {
			want = 502
		}
		if a := do(t, g, first); a.status != want {
			t.Errorf("upstream %d: got %d %s", s, a.status, a.body)
		}
	}
	status.Store(201)
	if a := do(t, g, fresh); a.status != 201 {
		t.Errorf("the repetition: got %d %s", a.status, a.body)
	}
	if a := do(t, g, first); a.problem.Reason != "webhook_duplicate" {
		t.Errorf("the one after it: got %d %s", a.status, a.body)
	}
	if n := len(u.Requests()); n != 7 {
		t.Errorf("the upstream saw %d requests, want 7", n)
	}
}

// An upstream that took a delivery and answered what may not be released is not
// asked again.
func TestWebhookWithAWithheldAnswer(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"a":`))
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	c := hook(event("w1", "hello"), time.Now())
	if a := do(t, g, c); a.status != 502 || a.problem.Reason != "response_withheld" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if a := do(t, g, c); a.status != 200 || a.problem.Reason != "webhook_duplicate" {
		t.Errorf("the repetition: got %d %s", a.status, a.body)
	}
	if n := len(u.Requests()); n != 1 {
		t.Errorf("the upstream saw %d requests, want 1", n)
	}
}

// However many come at once, one is forwarded.
func TestWebhookRepeatedAtOnce(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	now := time.Now()
	const n = 50
	errs := make(chan error, n)
	for i := range n {
		go func() {
			// Half of them as the vendor repeats itself, half of them replayed.
			res, err := post(t.Context(), g, hook(event("at-once", "hello"), now.Add(time.Duration(i%2)*time.Second)))
			if err == nil && res.StatusCode != 200 {
				err = fmt.Errorf("status %d %s", res.StatusCode, res.Header.Get("Caregate-Error"))
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := len(u.Requests()); got != 1 {
		t.Errorf("the upstream saw %d requests, want 1", got)
	}
}

// A repetition that comes while the first is under way waits for its outcome.
func TestWebhookRepeatedWhileUnderWay(t *testing.T) {
	arrived, answer := make(chan struct{}, 2), make(chan int)
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		w.WriteHeader(<-answer)
	})
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	for name, test := range map[string]struct {
		first     int
		forwarded bool // the repetition
		want      []string
	}{
		"taken":  {204, false, []string{"200 webhook_duplicate", "204 "}},
		"failed": {500, true, []string{"204 ", "500 "}},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			answers := make(chan outcome, 2)
			post := func(c call) {
				a, err := post(t.Context(), g, c)
				answers <- outcome{a, err}
			}
			go post(hook(event("u-"+name, "hello"), now))
			<-arrived
			go post(hook(event("u-"+name, "hello"), now.Add(time.Second)))
			answer <- test.first
			if test.forwarded {
				<-arrived
				answer <- 204
			}
			var got []string
			for range 2 {
				a := <-answers
				if a.err != nil {
					t.Fatal(a.err)
				}
				got = append(got, fmt.Sprintf("%d %s", a.StatusCode, a.Header.Get("Caregate-Error")))
			}
			if slices.Sort(got); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// outcome is what came of a call in a goroutine of its own.
type outcome struct {
	*http.Response
	err error
}

// post is do for other goroutines than the test's.
func post(ctx context.Context, g *proxytest.Gateway, c call) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, g.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	req.Header.Del("Authorization")
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err == nil {
		res.Body.Close()
	}
	return res, err
}

// While nobody can look up what was taken, nothing is forwarded; a delivery that
// was taken and could not be remembered is answered all the same.
func TestWebhooksWithoutTheWindow(t *testing.T) {
	var db *store.DB
	drop := func() {
		if _, err := db.ExecContext(context.Background(), `DROP TABLE webhook_delivery`); err != nil {
			t.Error(err)
		}
	}
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		drop()
		w.WriteHeader(http.StatusNoContent)
	})
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	var err error
	if db, err = g.OpenDB("state.db", store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if a := do(t, g, hook(event("n1", "hello"), time.Now())); a.status != 204 {
		t.Errorf("it was taken: got %d %s", a.status, a.body)
	}
	a := do(t, g, hook(event("n2", "hello"), time.Now()))
	if a.status != 503 || a.problem.Reason != "webhook_window_unavailable" || a.problem.Forwarded || a.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Reason != "webhook_window_unavailable" || e.Decision != "deny" {
		t.Errorf("event: got %s %s", e.Decision, e.Reason)
	}
	if n := len(u.Requests()); n != 1 {
		t.Errorf("the upstream saw %d requests, want 1", n)
	}
}
