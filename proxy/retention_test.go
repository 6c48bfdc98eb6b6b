package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A plan of a purge from end to end: tickets that passed are due by a schedule, a hold spares
// one, mistakes come back with their line, and the question is on record without persons.
func TestRetentionPlan(t *testing.T) {
	u := proxytest.NewUpstream(t, desk)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	for _, path := range []string{"/api/v2/tickets.json", "/api/v2/tickets/35/comments.json"} {
		if a := do(t, g, call{method: "GET", path: path}); a.status != http.StatusOK {
			t.Fatalf("%s: %d", path, a.status)
		}
	}
	const question = `{"schedule":"version: 1\nrevision: r1\nrules:\n  - {id: all, purpose: support, channel: zendesk, types: [ticket], from: creation, period: P1D, action: delete}\n","at":"2100-01-01T00:00:00Z"}`
	var p console.RetentionPlan
	g.API("POST", "/api/v1/retention/plan", question, 200, &p)
	if p.Revision != "r1" || p.Matched == 0 || p.Held != 0 || len(p.Due) != 1 || p.Due[0].Carried != "connector" || p.Due[0].Records != p.Matched || len(p.Samples) != 1 || len(p.Uncovered) == 0 || p.Doubt != "" {
		t.Fatalf("got %+v", p)
	}
	g.API("POST", "/api/v1/holds", `{"matter":"CASE-7","custodian":"legal","reason":"x","records":["`+p.Samples[0].Records[0]+`"]}`, 201, nil)
	due := p.Matched
	g.API("POST", "/api/v1/retention/plan", question, 200, &p)
	if p.Matched != due || p.Held != 1 || len(p.Spared) != 1 || p.Spared[0].Matter != "CASE-7" {
		t.Errorf("held: %+v", p)
	}
	var wrong struct{ Reason, Cause string }
	g.API("POST", "/api/v1/retention/plan", `{"schedule":"version: 1\nrevision: r1\nrules:\n  - {id: all, purpose: support, types: [tickets], from: creation, period: P1D, action: delete}\n"}`, 400, &wrong)
	if !strings.Contains(wrong.Cause, "schedule:4:41: there are no records of the type") {
		t.Errorf("a mistake: %+v", wrong)
	}
	var found console.FoundList
	g.API("POST", "/api/v1/events/search", `{"operation":"retention.plan","limit":100}`, 200, &found)
	if len(found.Events) < 2 {
		t.Errorf("%d events", len(found.Events))
	}
	g.API("POST", "/api/v1/retention/plan", "", 200, &p)
	if p.Revision != "builtin-1" {
		t.Errorf("the built-in schedule: %+v", p)
	}
}
