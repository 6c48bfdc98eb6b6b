package proxy_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// newKey makes an API key and returns the header with it, and its actor.
func newKey(t *testing.T, g *proxytest.Gateway, role string) (http.Header, string) {
	t.Helper()
	var made struct {
		Key    struct{ ID string }
		Secret string
	}
	g.API("POST", "/api/v1/apikeys", `{"name":"`+role+`","roles":["`+role+`"]}`, http.StatusCreated, &made)
	return http.Header{"Caregate-Key": {made.Secret}}, "key:" + made.Key.ID
}

// waits is what a refusal says about the approval that its call waits for.
func waits(t *testing.T, a answer) (id string) {
	t.Helper()
	var p struct {
		Approval      string
		ApprovalLink  string    `json:"approval_link"`
		ApprovalUntil time.Time `json:"approval_until"`
		Detail        string
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 403 || a.problem.Reason != "approval_required" || a.problem.Forwarded ||
		p.Approval == "" || p.ApprovalLink != "/api/v1/approvals/"+p.Approval || p.ApprovalUntil.Before(time.Now()) || !strings.Contains(p.Detail, p.Approval) {
		t.Fatalf("got %d %s, want approval_required with an id", a.status, a.body)
	}
	return p.Approval
}

// with is headers with an approval.
func with(h http.Header, approval string) http.Header {
	h = h.Clone()
	h["Caregate-Approval"] = []string{approval}
	return h
}

// A call that others must agree to: nothing of it is kept, it counts for this caller and
// this call, once, and every step is a leaf.
func TestApproval(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"job_status":{"id":"x"}}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	lead, actor := newKey(t, g, "lead")
	other, _ := newKey(t, g, "lead")
	const path = "/api/v2/tickets/update_many.json?ids=1,2,3"
	bulk := call{method: "PUT", path: path, body: `{"ticket":{"comment":{"body":"zebra card 4111 1111 1111 1111"}}}`, header: lead}
	a := do(t, g, bulk)
	id := waits(t, a)
	asked := g.Event(a.problem.Receipt)
	if asked.Attrs["approval"] != id || asked.Attrs["approval_step"] != "asked" || asked.Reason != "approval_required" {
		t.Errorf("the leaf of the asking: %+v", asked)
	}
	if again := waits(t, do(t, g, bulk)); again != id {
		t.Errorf("asked again: got another id")
	}
	if a := do(t, g, call{method: "PUT", path: path, body: bulk.body, header: with(lead, id)}); a.problem.Reason != "approval_invalid" || a.problem.Forwarded {
		t.Errorf("before it was given: got %d %s", a.status, a.body)
	}

	var ap console.Approval
	g.API("GET", "/api/v1/approvals/"+id, "", 200, &ap)
	if ap.Requester != actor || ap.Operation != "ticket.update_many" || ap.Scope != "bulk" || ap.Needed != 1 || ap.Findings["credit_card"] != 1 {
		t.Errorf("what waits: %+v", ap)
	}
	g.API("POST", "/api/v1/approvals/"+id+"/give", "", 200, &ap)
	if ap.State != "given" || ap.Agreed[0] != "local" {
		t.Errorf("given: %+v", ap)
	}
	for name, c := range map[string]call{
		"another caller":    {method: "PUT", path: path, body: bulk.body, header: with(other, id)},
		"other records":     {method: "PUT", path: "/api/v2/tickets/update_many.json?ids=1,2,4", body: bulk.body, header: with(lead, id)},
		"other counts":      {method: "PUT", path: path, body: `{"ticket":{"comment":{"body":"zebra"}}}`, header: with(lead, id)},
		"another operation": {method: "DELETE", path: "/api/v2/tickets/destroy_many.json?ids=1,2,3", header: with(lead, id)},
		"two approvals":     {method: "PUT", path: path, body: bulk.body, header: http.Header{"Caregate-Key": lead["Caregate-Key"], "Caregate-Approval": {id, id}}},
	} {
		if a := do(t, g, c); a.status != 403 || a.problem.Reason != "approval_invalid" {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
	if n := len(u.Requests()); n != 0 {
		t.Errorf("the upstream saw %d calls", n)
	}
	a = do(t, g, call{method: "PUT", path: path, body: strings.Replace(bulk.body, "zebra", "giraffe", 1), header: with(lead, id)})
	if a.status != 200 {
		t.Fatalf("approved: got %d %s", a.status, a.body)
	}
	if got := u.Last(t); got.Header.Get("Caregate-Approval") != "" || !strings.Contains(string(got.Body), "XXXX 1111") {
		t.Errorf("towards the upstream: %v %s", got.Header, got.Body)
	}
	if e := g.Event(a.header.Get("Caregate-Receipt")); e.Attrs["approval"] != id || e.Attrs["approval_step"] != "used" || e.Decision != "allow" {
		t.Errorf("the leaf of the use: %+v", e)
	}
	if a := do(t, g, call{method: "PUT", path: path, body: bulk.body, header: with(lead, id)}); a.problem.Reason != "approval_invalid" {
		t.Errorf("used twice: got %d %s", a.status, a.body)
	}

	// One that is refused.
	id = waits(t, do(t, g, bulk))
	g.API("POST", "/api/v1/approvals/"+id+"/refuse", "", 200, &ap)
	if ap.State != "refused" || ap.RefusedBy != "local" {
		t.Errorf("refused: %+v", ap)
	}
	if a := do(t, g, call{method: "PUT", path: path, body: bulk.body, header: with(lead, id)}); a.problem.Reason != "approval_invalid" {
		t.Errorf("refused: got %d %s", a.status, a.body)
	}
	for _, step := range []struct{ operation, done string }{{"approval.give", "given"}, {"approval.refuse", "refused"}} {
		var found console.FoundList
		g.API("POST", "/api/v1/events/search", `{"operation":"`+step.operation+`","type":"api.done"}`, 200, &found)
		if len(found.Events) != 1 {
			t.Errorf("%s: %d leaves, want 1", step.operation, len(found.Events))
			continue
		}
		if e := g.Event(found.Events[0].Receipt); e.Attrs["approval_step"] != step.done || e.Attrs["of_operation"] != "ticket.update_many" {
			t.Errorf("the leaf of %s: %+v", step.operation, e)
		}
	}
	if err := proxy.TellExpired(t.Context(), policy.Approval{ID: "e1", Route: "zendesk", Channel: "zendesk", Operation: "ticket.update_many", Effect: "write", Scope: "bulk"}); err != nil {
		t.Fatal(err)
	}
	var ends console.FoundList
	g.API("POST", "/api/v1/events/search", `{"type":"approval.expired"}`, 200, &ends)
	if len(ends.Events) != 1 {
		t.Errorf("%d leaves of ends, want 1", len(ends.Events))
	} else if e := g.Event(ends.Events[0].Receipt); e.Attrs["approval"] != "e1" || !strings.Contains(e.Sentence, "the time for an approval of ticket.update_many of zendesk was over") {
		t.Errorf("the leaf of an end: %+v", e)
	}
	g.Stop()
	for _, file := range []string{"state.db", "state.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(g.Data, file))
		if err == nil && (strings.Contains(string(raw), "zebra") || strings.Contains(string(raw), "1111 1111")) {
			t.Errorf("%s holds something of the body", file)
		}
	}
	g.Verify()
}

// What a call deletes counts against the rows of a standing approval wherever it is named.
func TestStandingApprovalOfDeletions(t *testing.T) {
	document := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(document, []byte("version: 1\napprovals:\n  - {operation: \"zendesk:ticket.*/delete\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := proxytest.NewUpstream(t, jsonUpstream(204, ""))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	lead, _ := newKey(t, g, "lead")
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	several := call{method: "DELETE", path: "/api/v2/tickets/destroy_many.json?ids=1,2,3", header: lead}
	one := call{method: "DELETE", path: "/api/v2/tickets/9.json", header: lead}
	for _, c := range []struct {
		call    call
		filter  string
		records int
		pass    int // of five rows
	}{{several, "ids=*", 3, 1}, {one, "", 1, 5}} {
		id := waits(t, do(t, g, c.call))
		var ap console.Approval
		g.API("POST", "/api/v1/approvals/"+id+"/give", `{"standing":true,"filter":"`+c.filter+`","rows":5,"until":"`+until+`"}`, 200, &ap)
		if ap.Records != c.records {
			t.Errorf("%s: approvers see %d records, want %d", c.call.path, ap.Records, c.records)
		}
		for i := range c.pass {
			if a := do(t, g, c.call); a.status != 204 {
				t.Fatalf("%s, call %d: got %d %s", c.call.path, i, a.status, a.body)
			}
		}
		before := len(u.Requests())
		if a := do(t, g, c.call); a.problem.Reason != "approval_required" || len(u.Requests()) != before {
			t.Errorf("%s, beyond its rows: got %d %s", c.call.path, a.status, a.body)
		}
	}
}

// An export that a standing approval covers needs no header, within its rows.
func TestStandingApproval(t *testing.T) {
	document := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(document, []byte("version: 1\napprovals:\n  - {operation: \"zendesk:*/export\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"tickets":[{"id":1,"subject":"a"},{"id":2,"subject":"b"}]}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	dpo, _ := newKey(t, g, "dpo")
	nightly := call{method: "GET", path: export, header: dpo}
	id := waits(t, do(t, g, nightly))
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	var ap console.Approval
	g.API("POST", "/api/v1/approvals/"+id+"/give", `{"standing":true,"filter":"start_time=*","rows":5,"until":"`+until+`"}`, 200, &ap)
	if ap.State != "standing" {
		t.Fatalf("given: %+v", ap)
	}
	for i := range 2 {
		a := do(t, g, nightly)
		if a.status != 200 {
			t.Fatalf("call %d: got %d %s", i, a.status, a.body)
		}
		if e := g.Event(a.header.Get("Caregate-Receipt")); e.Attrs["approval"] != id || e.Attrs["approval_step"] != "standing" {
			t.Errorf("its leaf: %+v", e)
		}
	}
	if a := do(t, g, nightly); a.problem.Reason != "response_withheld" || a.problem.Cause != "approval_rows" {
		t.Errorf("beyond its rows: got %d %s", a.status, a.body)
	}
	if a := do(t, g, call{method: "GET", path: export + "&include=users", header: dpo}); a.problem.Reason != "approval_required" {
		t.Errorf("beyond its filter: got %d %s", a.status, a.body)
	}
	g.API("GET", "/api/v1/approvals/"+id, "", 200, &ap)
	if ap.Rows != 4 {
		t.Errorf("rows: got %d, want 4", ap.Rows)
	}
}
