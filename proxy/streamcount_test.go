package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// records are lines of NDJSON without findings, a record in each.
func records(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "{\"subject\":\"number %d\"}\n", i)
	}
	return b.String()
}

// Whoever sends records one at a time sends as many: rules see how many a stream has had.
func TestRecordsOfAStreamAddUp(t *testing.T) {
	const first = "{\"subject\":\"the first\"}\n"
	rules := func(t *testing.T, direction string) string {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "own.rego"), "package caregate.operator\n\ndeny contains \"too_many\" if {\n\tinput.direction == \""+direction+"\"\n\tinput.records >= 20\n}\n")
		return "policy builtin " + dir
	}
	t.Run("request", func(t *testing.T) {
		line, rest := make(chan string, 1), make(chan string, 1)
		u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := bufio.NewReader(r.Body)
			got, _ := body.ReadString('\n')
			line <- got
			more, err := io.ReadAll(body)
			rest <- fmt.Sprintf("%s%t", more, err == nil)
			jsonUpstream(200, "{}")(w, r)
		}))
		defer u.Close()
		g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: rules(t, "request")})
		body, feed := io.Pipe()
		defer body.Close()
		go func() {
			_, _ = io.WriteString(feed, first)
			if got := <-line; got != first { // it has passed: what follows is another window
				t.Errorf("the upstream got %q first", got)
			}
			_, _ = io.WriteString(feed, records(2, 40))
			_ = feed.Close()
		}()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v2/tickets", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {basicAuth}, "Content-Type": ndjsonType["Content-Type"]}
		a := send(t, req)
		if a.status != 403 || a.problem.Reason != "policy_denied" || !a.problem.Forwarded {
			t.Errorf("got %d %s, want a refusal in the middle", a.status, a.body)
		}
		if got := <-rest; strings.HasSuffix(got, "true") || strings.Contains(got, "number 40") {
			t.Errorf("the upstream got %q behind the first line, and whether it ended well", got)
		}
		g.Verify()
	})
	t.Run("answer", func(t *testing.T) {
		url, next := paced(t)
		g := proxytest.Start(t, proxytest.Options{Upstream: url, Block: rules(t, "response")})
		res, r := open(t, g)
		next <- first
		if got, err := r.ReadString('\n'); err != nil || got != first {
			t.Fatalf("got %q, %v", got, err)
		}
		next <- records(2, 40)
		if rest, err := io.ReadAll(r); err == nil || strings.Contains(string(rest), "number 40") {
			t.Errorf("got %q, %v, want it cut", rest, err)
		}
		close(next)
		if e := ended(t, g, res.Header.Get("Caregate-Receipt"), "response.closed"); e.Decision != "deny" || e.Reason != "policy_denied" {
			t.Errorf("closed with %+v", e)
		}
	})
}

// What others have to agree to, be it for the number of its records, never streams: they
// agree to the whole call. The first line is longer than a window, so that none of the
// records had been counted when a stream began.
func TestStreamsDoNotGoAroundApproval(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"job_status":{"id":"x"}}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\napprovals:\n  - {operation: \"zendesk:*/bulk\", records: 5}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"job","roles":["service"],"grants":["zendesk:*/bulk"]}`, http.StatusCreated, &made)
	header := http.Header{"Caregate-Key": {made.Secret}, "Content-Type": ndjsonType["Content-Type"]}
	long := "{\"subject\":\"" + strings.Repeat("long ", 50<<10) + "\"}\n"
	bulk := call{method: "POST", path: "/api/v2/tickets/create_many.json", body: long + records(2, 40), header: header}
	id := waits(t, do(t, g, bulk))
	var ap console.Approval
	if g.API("GET", "/api/v1/approvals/"+id, "", 200, &ap); ap.Records != 40 {
		t.Errorf("others are asked about %d records, want 40", ap.Records)
	}
	incremental := bulk
	incremental.header = header.Clone()
	incremental.header.Set("Incremental", "?1")
	if a := do(t, g, incremental); a.status != 501 || a.problem.Reason != "incremental_refused" {
		t.Errorf("incremental: got %d %s", a.status, a.body)
	}
	if n := len(u.Requests()); n != 0 {
		t.Fatalf("%d calls passed that nobody agreed to", n)
	}
	g.API("POST", "/api/v1/approvals/"+id+"/give", "", 200, &ap)
	more := bulk
	more.body, more.header = bulk.body+records(41, 41), with(header, id)
	if a := do(t, g, more); a.problem.Reason != "approval_invalid" {
		t.Errorf("a record more than agreed: got %d %s", a.status, a.body)
	}
	bulk.header = with(header, id)
	if a := do(t, g, bulk); a.status != 200 || string(u.Last(t).Body) != bulk.body {
		t.Errorf("what was agreed to: got %d %s", a.status, a.body)
	}
	few := call{method: "POST", path: bulk.path, body: records(1, 4), header: header}
	if a := do(t, g, few); a.status != 200 {
		t.Errorf("four records: got %d %s", a.status, a.body)
	}
	g.Verify()
}
