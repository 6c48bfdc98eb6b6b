package zendesk_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A program that repeats a call with its idempotency key gets the first answer,
// and there is one ticket: masking must give the same bytes each time, or the
// helpdesk would see another call under the same key.
func TestRepeatedCreate(t *testing.T) {
	d, c := setup(t, basic, "")
	before := len(d.Tickets())
	c = c.as(c.options.with("customHeaders", map[string]string{"Idempotency-Key": "order-17"}))
	ticket := map[string]any{"ticket": map[string]any{"subject": "Refund to " + card, "comment": map[string]any{"body": "SSN " + ssn}}}
	var first, second stored
	c.must(&first, "tickets.create", ticket)
	a := c.must(&second, "tickets.create", ticket)
	if first.ID == 0 || first.ID != second.ID || len(d.Tickets()) != before+1 {
		t.Errorf("got tickets %d and %d, %d more stored", first.ID, second.ID, len(d.Tickets())-before)
	}
	if second.Subject != "Refund to "+maskedCard {
		t.Errorf("repeated: got subject %q", second.Subject)
	}
	d.event(a, "ticket.create", "released")
}

// Many at once: not by a role, but by a grant; every ticket of the list is read,
// and the address of the job stays under the gateway.
func TestManyAtOnce(t *testing.T) {
	d, c := setup(t, basic, "")
	before := len(d.Tickets())
	var tickets []any
	for i := range 5 {
		tickets = append(tickets, map[string]any{"subject": fmt.Sprintf("import %d", i), "comment": map[string]any{"body": "card " + card}})
	}
	body := map[string]any{"tickets": tickets}
	r := c.call("tickets.createMany", body)
	a := r.last(t)
	if r.Error == nil || r.Error.Status != 403 || a.Reason != "bulk_needs_grant" || a.Problem == nil || a.Problem.Grant != "zendesk:ticket.create_many" || a.Problem.Forwarded {
		t.Errorf("without a grant: got %+v %+v", r.Error, a)
	}
	if len(d.arrived()) != 0 || len(d.Tickets()) != before {
		t.Error("a refused import reached the helpdesk")
	}

	granted := c.as(c.options.with("customHeaders", map[string]string{"Caregate-Key": d.key("import", []string{"service"}, []string{"zendesk:ticket.create_many"})}))
	var made struct {
		JobStatus struct{ URL string } `json:"job_status"`
	}
	a = granted.must(&made, "tickets.createMany", body)
	if e := d.event(a, "ticket.create_many", "released"); e.Scope != "bulk" || e.Identity != "asserted" {
		t.Errorf("with a grant: event %+v", e)
	}
	if e := d.gateway.Exchange(a.Receipt)[0]; masked(e, "credit_card") != len(tickets) {
		t.Errorf("with a grant: the event counts %+v", e.Findings)
	}
	if !strings.HasPrefix(made.JobStatus.URL, d.gateway.URL+"/api/v2/job_statuses/") {
		t.Errorf("the job is at %s", made.JobStatus.URL)
	}
	if got := len(d.Tickets()) - before; got != len(tickets) {
		t.Errorf("%d tickets stored, want %d", got, len(tickets))
	}
	for _, seen := range d.arrived() {
		clean(t, "the import at the helpdesk", seen.Body)
	}
	// The key is no free pass: what it was not granted is refused.
	if r := granted.call("tickets.list"); r.Error == nil || r.Error.Status != http.StatusForbidden {
		t.Errorf("a key beyond its grants: got %+v", r.Error)
	}
	// An unknown key is refused, although the credential beside it is good.
	if r := granted.as(granted.options.with("customHeaders", map[string]string{"Caregate-Key": "cgk1" + strings.Repeat("0", 30)})).call("tickets.createMany", body); r.Error == nil ||
		r.Error.Status != 401 || r.last(t).Reason != "invalid_credential" {
		t.Errorf("an unknown key: got %+v", r.Error)
	}
}
