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

// TestChangeWantsTicket: where policy wants a ticket for changes, nobody is asked to agree to
// one without, and what others agree to has this ticket.
func TestChangeWantsTicket(t *testing.T) {
	t.Parallel()
	key := `{"name":"sync job","roles":["service"]}`
	for _, waits := range []bool{false, true} {
		g := newGateway(t)
		g.decision.Ticket = true
		if waits {
			g.decision = Decision{Reason: "approval_required", Ticket: true}
		}
		w := g.do("POST", "/api/v1/apikeys", key)
		if w.Code != http.StatusForbidden || w.Header().Get("Caregate-Error") != "ticket_required" || g.keys.count() != 0 || g.wanted.Bound != nil {
			t.Errorf("waits %t: status %d %s, %d keys, asked for %q; want 403 ticket_required and nothing", waits, w.Code, w.Header().Get("Caregate-Error"), g.keys.count(), g.wanted.Bound)
		}
	}
	g := newGateway(t)
	g.decision.Ticket = true
	if w := g.do("POST", "/api/v1/apikeys", key, "Caregate-Ticket: CHG-17"); w.Code != http.StatusCreated {
		t.Errorf("with a ticket: status %d, want 201", w.Code)
	}
	g = newGateway(t)
	g.later = &Decision{Reason: "approval_required", Ticket: true}
	g.do("POST", "/api/v1/apikeys", key, "Caregate-Ticket: CHG-17")
	if got, want := strings.Join(g.wanted.Bound, " "), "name=sync job roles=service grants= ticket=CHG-17"; got != want {
		t.Errorf("bound to %q, want %q", got, want)
	}
}

// TestStandingWaitsForOthers: a standing approval is a right, and others can be made to agree
// to it: to these terms. An approval of one call is none.
func TestStandingWaitsForOthers(t *testing.T) {
	t.Parallel()
	const terms = `{"standing":true,"filter":"cursor=*","rows":20,"until":"2027-01-01T10:00:00Z"}`
	g := newGateway(t)
	g.later = &Decision{Reason: "approval_required"}
	if w := g.do("POST", "/api/v1/approvals/a1/give", terms); w.Code != http.StatusForbidden {
		t.Fatalf("status %d, want 403", w.Code)
	}
	if got, want := strings.Join(g.wanted.Bound, " "), "approval=a1 filter=cursor=* rows=20 from= to= until=2027-01-01"; got != want {
		t.Errorf("bound to %q, want %q", got, want)
	}
	rec := g.journal.records[0]
	if rec.Operation.Name != "approval.give_standing" || rec.Attrs["of_approval"] != "a1" || rec.Attrs["approval"] != "a9" || rec.Attrs["rows"] != "20" {
		t.Errorf("the event that asks is of %s and has %v", rec.Operation.Name, rec.Attrs)
	}
	g.do("POST", "/api/v1/approvals/a1/give", "")
	if last := g.journal.records[len(g.journal.records)-1]; last.Operation.Name != "approval.give" {
		t.Errorf("an approval of one call is %s", last.Operation.Name)
	}
}
