package console

import (
	"net/http"
	"strings"
	"testing"
)

// TestTicket: the change ticket that a call names is with each of its events, and one that
// is no number of another system is refused before anything is done.
func TestTicket(t *testing.T) {
	t.Parallel()
	key := `{"name":"sync job","roles":["service"]}`
	for _, bad := range []string{"", "two words", "jane@example.com", strings.Repeat("x", maxWord+1)} {
		g := newGateway(t)
		if w := g.do("POST", "/api/v1/apikeys", key, "Caregate-Ticket: "+bad); w.Code != http.StatusBadRequest || g.keys.count() != 0 || len(g.journal.records) != 0 {
			t.Errorf("ticket %q: status %d, %d keys, %d events; want 400 and nothing done", bad, w.Code, g.keys.count(), len(g.journal.records))
		}
	}
	g := newGateway(t)
	if w := g.do("POST", "/api/v1/apikeys", key, "Caregate-Ticket: CHG-17"); w.Code != http.StatusCreated {
		t.Fatalf("status %d, want 201", w.Code)
	}
	if w := g.do("DELETE", "/api/v1/apikeys/k1", "", "Caregate-Ticket: CHG-18"); w.Code != http.StatusNoContent {
		t.Fatalf("status %d, want 204", w.Code)
	}
	var got []string
	for _, rec := range g.journal.records {
		got = append(got, rec.Operation.Name+" "+rec.Ticket)
	}
	want := "apikey.create CHG-17,apikey.create CHG-17,apikey.revoke CHG-18,apikey.revoke CHG-18"
	if strings.Join(got, ",") != want {
		t.Errorf("events %q, want %s", got, want)
	}
}

// TestChangeWaitsForOthers: where policy wants others to agree to a change of keys, it is
// made when they have, and the event says who.
func TestChangeWaitsForOthers(t *testing.T) {
	t.Parallel()
	key := `{"name":"sync job","roles":["service"],"grants":["zendesk:ticket.export"],"expires":"2027-01-01T10:00:00Z"}`
	asks := []func(g *gateway){
		func(g *gateway) { g.decision = Decision{Reason: "approval_required"} },
		func(g *gateway) { g.later = &Decision{Reason: "approval_required"} },
	}
	for _, ask := range asks {
		g := newGateway(t)
		ask(g)
		w := g.do("POST", "/api/v1/apikeys", key)
		if w.Code != http.StatusForbidden || !strings.Contains(string(bodyOf(w)), "/api/v1/approvals/a9") || g.keys.count() != 0 {
			t.Fatalf("status %d with %d keys, want 403 that names the approval and none", w.Code, g.keys.count())
		}
		rec := g.journal.records[0]
		if rec.Attrs["approval"] != "a9" || rec.Attrs["roles"] != "service" || rec.Attrs["grants"] != "zendesk:ticket.export" || rec.Attrs["expires"] != "2027-01-01" {
			t.Errorf("the event that asks has %v", rec.Attrs)
		}
		if got, want := strings.Join(g.wanted.Bound, " "), "name=sync job roles=service grants=zendesk:ticket.export expires=2027-01-01"; got != want {
			t.Errorf("bound to %q, want %q", got, want)
		}
	}
	g := newGateway(t)
	g.later = &Decision{Reason: "approval_required"}
	g.keys.keys = []Key{{ID: "k1", Roles: []string{"service"}}}
	if w := g.do("DELETE", "/api/v1/apikeys/k1", "", "Caregate-Approval: a9"); w.Code != http.StatusNoContent {
		t.Fatalf("status %d, want 204", w.Code)
	}
	before, after := g.journal.records[0].Attrs, g.journal.records[1].Attrs
	if before["key"] != "k1" || before["approval"] != "a9" || before["approved_by"] != "key:k7,key:k8" {
		t.Errorf("the event before has %v", before)
	}
	if after["key"] != "k1" || after["approval"] != "a9" || after["approved_by"] != "key:k7,key:k8" {
		t.Errorf("the event after has %v", after)
	}
	if got := strings.Join(g.wanted.Bound, " "); got != "key=k1" {
		t.Errorf("bound to %q", got)
	}
}
