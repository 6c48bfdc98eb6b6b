package proxy_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/rights"
	"github.com/caregate/caregate/proxy/proxytest"
)

// beside is a site with a route that lets nothing pass without record, and the API.
func beside(strict, api, upstream string) string {
	return "http://" + strict + " {\n bind 127.0.0.1\n govern zendesk " + upstream + " {\n  route strict\n }\n}\n" +
		"http://" + api + " {\n bind 127.0.0.1\n caregate_api\n metrics /metrics\n}\n"
}

// fetch is the body of a plain GET.
func fetch(t *testing.T, url string) string {
	t.Helper()
	_, body := fetched(t, url)
	return body
}

// A18, F22: while the log is down, a route with audit_down pass goes on, masks and
// decides as before, and says in every answer that no event stands for it; others are
// closed. After the recovery the log says what it does not know.
func TestAuditDownPass(t *testing.T) {
	way := waysToFail(t)[0]
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ticket":{"id":35,"description":"card 4111 1111 1111 1111"}}`))
	})
	strict, api := proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "audit_down pass", Sites: beside(strict, api, u.URL)})
	write := call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{"comment":{"body":"card 4111 1111 1111 1111"}}}`}
	a := do(t, g, write)
	if a.status != 200 || a.header.Get("Caregate-Receipt") == "" || a.header.Get("Caregate-Gap") != "" {
		t.Fatalf("before: got %d %v", a.status, a.header)
	}
	letGo := way.fail(t, g)
	var gap string
	for i := range 3 {
		a := do(t, g, write)
		if a.status != 200 || a.header.Get("Caregate-Receipt") != "" || a.header.Get("Caregate-Gap") == "" {
			t.Fatalf("while the log is down: got %d %v %s", a.status, a.header, a.body)
		}
		if id := a.header.Get("Caregate-Gap"); i > 0 && id != gap {
			t.Errorf("another gap: got %s, want %s", id, gap)
		}
		gap = a.header.Get("Caregate-Gap")
		if !strings.Contains(a.body, "XXXX XXXX XXXX 1111") || strings.Contains(a.body, "4111 1111 1111 1111") {
			t.Errorf("the answer was not masked: %s", a.body)
		}
		if got := string(u.Last(t).Body); !strings.Contains(got, "XXXX XXXX XXXX 1111") {
			t.Errorf("the request was not masked: %s", got)
		}
	}
	nobody := write
	nobody.header = http.Header{"Authorization": nil}
	if a := do(t, g, nobody); a.status != 401 || a.problem.Reason != "no_credential" || a.problem.Gap != gap || a.problem.Receipt != "" {
		t.Errorf("policy: got %d %+v", a.status, a.problem)
	}
	pass := g.URL
	g.URL = "http://" + strict
	if a := do(t, g, write); a.status != 503 || a.problem.Reason != "audit_unavailable" || a.header.Get("Caregate-Gap") != "" {
		t.Errorf("another route: got %d %+v", a.status, a.problem)
	}
	g.URL = pass
	if status := get(t, "http://"+api+"/readyz"); status != 503 {
		t.Errorf("/readyz: got %d, want 503, because one route is closed", status)
	}
	if body := fetch(t, "http://"+api+"/readyz"); !strings.Contains(body, "passing without record: zendesk; gap "+gap) {
		t.Errorf("/readyz: %s", body)
	}
	if m := fetch(t, "http://"+api+"/metrics"); !strings.Contains(m, "caregate_audit_gap 1") || !strings.Contains(m, `caregate_unrecorded_total{route="zendesk"}`) {
		t.Error("the metrics do not tell of the gap")
	}
	letGo()
	g.Restart()
	e := g.Event(gap)
	if e.Type != audit.TypeGap || e.Attrs["cause"] == "" || !strings.Contains(e.Attrs["routes"], `{"route":"zendesk","requests":3,"responses":3,"refused":1}`) {
		t.Errorf("the event of the gap: %+v", e)
	}
	var masked int
	for _, f := range e.Findings {
		masked += f.Masked
	}
	if masked != 6 {
		t.Errorf("masked in the gap: got %d, want 6", masked)
	}
	if a := do(t, g, write); a.status != 200 || a.header.Get("Caregate-Receipt") == "" || a.header.Get("Caregate-Gap") != "" {
		t.Errorf("after: got %d %v", a.status, a.header)
	}
	g.WaitForEntries(5)
	r := g.Verify()
	if len(r.Gaps) != 1 || r.Gaps[0].ID.String() != gap || r.Gaps[0].To == 0 {
		t.Errorf("gaps: got %+v", r.Gaps)
	}
	var status console.Status
	g.API(http.MethodGet, "/api/v1/status", "", http.StatusOK, &status)
	for _, r := range status.Routes {
		if got := slices.Contains(r.Exceptions, "audit_down pass"); got != (r.Name == "zendesk") {
			t.Errorf("exceptions of %s: got %v", r.Name, r.Exceptions)
		}
	}
}

// A18: the marker has its room before the disk is full. Calls of callers that the vault
// has no key of pass as well, and name persons whom it does not know: each has a receipt
// or the gap, and the gap counts the latter.
func TestAuditDownPassOnAFullDisk(t *testing.T) {
	d, ok := newDisk(t)
	if !ok {
		t.Skip("told to go without " + rights.Mount + "; what the marker needs on a full disk is asked of a file system of its own")
	}
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"ticket":{"id":1,"requester_id":%d}}`, time.Now().UnixNano())
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Data: filepath.Join(d.dir, "data"), Govern: "audit_down pass"})
	d.fill(t)
	requests, answers, callers, alone := 0, 0, 0, 0
	for deadline := time.Now().Add(5 * time.Minute); answers < 20; callers++ {
		token := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "agent%d@example.com/token:secret-of-%d", callers, callers))
		a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1", header: http.Header{"Authorization": {"Basic " + token}}})
		receipt, gap := a.header.Get("Caregate-Receipt"), a.header.Get("Caregate-Gap")
		if a.status != 200 || receipt == "" && gap == "" {
			t.Fatalf("caller %d: got %d %+v, receipt %q, gap %q", callers, a.status, a.problem, receipt, gap)
		}
		if gap != "" {
			answers++
			if receipt == "" {
				requests++
			} else {
				alone++ // its request was recorded
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the disk is not full")
		}
	}
	t.Logf("%d callers, %d without any record, %d without that of the answer", callers, requests, alone)
	d.free(t)
	g.Restart()
	g.WaitForEntries(4)
	r := g.Verify()
	var counted audit.GapRoute
	for _, gap := range r.Gaps {
		for _, route := range gap.Routes {
			counted.Requests += route.Requests
			counted.Responses += route.Responses
			counted.Refused += route.Refused
		}
	}
	if counted.Requests != int64(requests) || counted.Responses != int64(answers) || counted.Refused != 0 {
		t.Errorf("the log counts %+v, want %d requests and %d answers", counted, requests, answers)
	}
}
