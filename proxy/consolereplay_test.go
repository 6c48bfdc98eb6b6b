package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A draft is tried on what the gateway has decided, while it goes on deciding.
func TestDraftIsReplayed(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[]}`))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	remove, read := call{method: "DELETE", path: "/api/v2/tickets/1.json"}, call{method: "GET", path: "/api/v2/tickets.json"}
	receipt := do(t, g, remove).header.Get("Caregate-Receipt")
	do(t, g, remove)
	do(t, g, read)
	g.WaitForEntries(6)
	draft := func(files map[string]string, more string) string {
		list, err := json.Marshal(files)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"files":%s%s}`, list, more)
	}
	const no = "package caregate.operator\n\ndeny contains \"no_deletes\" if {\n\tinput.effect == \"delete\"\n\tinput.direction == \"request\"\n}\n"

	var r console.Replayed
	eventually(t, "a checkpoint covers the calls", func() bool {
		g.API("POST", "/api/v1/policy/replay", draft(map[string]string{"own/deny.rego": no}, ""), http.StatusOK, &r)
		return r.Lost == 2
	})
	if len(r.Changes) != 1 || r.Changes[0].After != "deny policy_denied operator.no_deletes" || len(r.Changes[0].Receipts) != 2 || r.Changes[0].Operation != "ticket.delete" {
		t.Errorf("got %+v", r)
	}
	if e := g.Event(receipt); r.Now != e.Policy || r.Draft == r.Now {
		t.Errorf("compared %s and %s, the gateway decides by %s", r.Now, r.Draft, e.Policy)
	}
	// The command line says the same of the same log.
	want, err := policy.Draft(t.Context(), map[string]string{"own/deny.rego": no})
	if err != nil || want.Digest() != r.Draft {
		t.Errorf("the draft's digest is %s, want %s, %v", r.Draft, want.Digest(), err)
	}
	decisions := 0
	for rec, err := range proxy.Decisions(t.Context(), g.Data, time.Time{}, time.Now().Add(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(rec.Input, `"ticket.delete"`) && strings.Contains(rec.Input, `"request"`) {
			decisions++
		}
	}
	if decisions != 2 {
		t.Errorf("the log tells of %d deletions, want 2", decisions)
	}

	// Before anything was decided nothing changes, and what is no policy is told with its line.
	g.API("POST", "/api/v1/policy/replay", draft(map[string]string{"deny.rego": no}, `,"to":"2020-01-01T00:00:00Z"`), http.StatusOK, &r)
	if r.Decisions != 0 || len(r.Changes) != 0 {
		t.Errorf("of another time: got %+v", r)
	}
	var problem struct{ Cause string }
	g.API("POST", "/api/v1/policy/replay", draft(map[string]string{"deny.rego": no + "\ndeny contains"}, ""), http.StatusBadRequest, &problem)
	if !strings.Contains(problem.Cause, "deny.rego:") {
		t.Errorf("a broken draft: got %q", problem.Cause)
	}
	// The draft decided nothing.
	if a := do(t, g, remove); a.status != http.StatusOK {
		t.Errorf("after the replay: got %d %s", a.status, a.body)
	}
	g.Verify()
}
