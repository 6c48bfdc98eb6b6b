package zendesk_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A ticket's life, with each way in which an integration shows who it is.
func TestTicket(t *testing.T) {
	for name, who := range map[string]struct {
		options  options
		author   string // whom the helpdesk takes for the author
		identity string // how well the log knows the caller
	}{
		"API token":       {basic, agent, "asserted"},
		"OAuth":           {oauth, agent, "credential"},
		"as another user": {basic.with("asUser", other), other, "asserted"},
	} {
		t.Run(name, func(t *testing.T) {
			d, c := setup(t, who.options, "")

			var made stored
			a := c.must(&made, "tickets.create", map[string]any{"ticket": map[string]any{
				"subject":       "Refund",
				"comment":       map[string]any{"body": "My card is " + card + ", please refund."},
				"custom_fields": []any{map[string]any{"id": field, "value": ssn}},
				"requester":     map[string]any{"name": "Eve", "email": "eve@customer.example"},
				"tags":          []string{"refund"},
			}})
			e := d.event(a, "ticket.create", "released")
			if a.Status != 201 || e.Status != 201 || e.Identity != who.identity || e.Effect != "write" || e.Subjects == 0 || e.Records == 0 {
				t.Errorf("created: status %d, event %+v", a.Status, e)
			}
			if both := d.gateway.Exchange(a.Receipt); len(both) != 2 || both[0].Type != "request.decided" || masked(both[0], "credit_card") != 1 || masked(both[0], "us_ssn") != 1 {
				t.Errorf("events of the exchange: %+v", both)
			}
			if made.Description != "My card is "+maskedCard+", please refund." || len(made.CustomFields) != 1 || made.CustomFields[0].Value != maskedSSN {
				t.Errorf("returned by create: %+v", made)
			}
			if want := fmt.Sprintf("%s/api/v2/tickets/%d.json", d.gateway.URL, made.ID); made.URL != want {
				t.Errorf("address of the ticket: got %s, want %s", made.URL, want)
			}
			kept := d.ticket(made.ID)
			if kept.Description != made.Description || kept.CustomFields[0] != (fieldData{field, maskedSSN}) || !slices.Equal(kept.Tags, []string{"refund"}) {
				t.Errorf("stored by create: %+v", kept)
			}

			a = c.must(nil, "tickets.update", made.ID, map[string]any{"ticket": map[string]any{
				"status": "open",
				"comment": map[string]any{
					"public":    true,
					"body":      "Confirmed: " + card,
					"html_body": "<p>Confirmed: <b>" + card + "</b>, SSN&nbsp;" + ssn + "</p>",
				},
			}})
			d.event(a, "ticket.update", "released")
			kept = d.ticket(made.ID)
			reply := kept.Comments[len(kept.Comments)-1]
			if kept.Status != "open" || !reply.Public || reply.Body != "Confirmed: "+maskedCard ||
				reply.HTMLBody != "<p>Confirmed: <b>"+maskedCard+"</b>, SSN&nbsp;"+maskedSSN+"</p>" {
				t.Errorf("stored by update: status %s, comment %+v", kept.Status, reply)
			}
			if user := d.user(reply.AuthorID); user != who.author {
				t.Errorf("author of the comment: got %s, want %s", user, who.author)
			}

			var shown stored
			a = c.must(&shown, "tickets.show", made.ID)
			d.event(a, "ticket.show", "released")
			var comments []comment
			a = c.must(&comments, "tickets.getComments", made.ID)
			d.event(a, "comment.list", "released")
			if shown.ID != made.ID || shown.Status != "open" || len(comments) != 2 || comments[1].HTMLBody != reply.HTMLBody {
				t.Errorf("read: %+v with %+v", shown, comments)
			}

			a = c.must(nil, "tickets.delete", made.ID)
			if e := d.event(a, "ticket.delete", "released"); a.Status != 204 || e.Effect != "delete" {
				t.Errorf("deleted: status %d, effect %s", a.Status, e.Effect)
			}
			if _, there := d.Ticket(made.ID); there {
				t.Error("the ticket is still there")
			}
			if r := c.call("tickets.show", made.ID); r.Error == nil || r.Error.Status != 404 || r.last(t).Reason != "" {
				t.Errorf("a deleted ticket: got %+v, want the helpdesk's own 404", r.Error)
			}

			asked := 0
			for _, r := range d.arrived() {
				if r.Path == "/api/v2/oauth/tokens/current" {
					asked++
				}
				clean(t, r.Method+" "+r.Path+" at the helpdesk", slices.Concat([]byte(r.Query), r.Body))
				for name, values := range r.Header {
					if strings.HasPrefix(name, "Caregate-") {
						t.Errorf("%s reached the helpdesk: %v", name, values)
					}
				}
			}
			if want := map[string]int{"OAuth": 1}[name]; asked != want {
				t.Errorf("the gateway asked %d times whom the token belongs to, want %d", asked, want)
			}
			d.gateway.WaitForEntries(2 + 2*6)
		})
	}
}

// A wrong credential is the helpdesk's to refuse; none at all is the gateway's.
func TestWrongCredential(t *testing.T) {
	d, c := setup(t, basic.with("token", "not the token"), "")
	r := c.call("tickets.list")
	if r.Error == nil || r.Error.Status != 401 {
		t.Fatalf("wrong token: got %+v", r)
	}
	if e := d.event(r.last(t), "ticket.list", "released"); e.Status != 401 || !e.Forwarded {
		t.Errorf("wrong token: event %+v", e)
	}
	r = c.as(oauth.with("token", "not the bearer").with("endpointUri", c.options["endpointUri"])).call("tickets.list")
	if r.Error == nil || r.Error.Status != 401 {
		t.Fatalf("wrong bearer: got %+v", r)
	}
}

// The words that a person looks for may be a card number; no list, page or
// export of the past shows one.
func TestSearchListAndExport(t *testing.T) {
	const more = 230
	d, c := setup(t, basic, "")
	d.fill(more)
	all := len(d.Tickets())

	// Two pages of a hundred and a rest: the client follows links under its own
	// endpoint only, so each of them must have been rewritten.
	r := c.call("tickets.list")
	var list []stored
	d.pages(r, &list, "ticket.list", 3)
	if len(list) != all {
		t.Errorf("list: got %d tickets, want %d", len(list), all)
	}
	clean(t, "list", r.Value)
	if !strings.Contains(string(r.Value), "paid with "+maskedCard) {
		t.Error("list: no masked card number")
	}

	var found []stored
	r = c.call("search.queryAll", "type:ticket historic")
	d.pages(r, &found, "search.query", 3)
	if len(found) != more+4 { // those of the seed have the word as their tag
		t.Errorf("search: got %d results, want %d", len(found), more+4)
	}
	clean(t, "search", r.Value)

	a := c.must(nil, "search.query", "type:ticket "+`"`+card+`"`)
	e := d.event(a, "search.query", "released")
	arrived := d.arrived()
	query, err := url.QueryUnescape(arrived[len(arrived)-1].Query)
	if err != nil || !strings.Contains(query, maskedCard) {
		t.Errorf("the helpdesk was asked for %q (%v)", query, err)
	}
	clean(t, "the search at the helpdesk", []byte(query))
	if !e.Forwarded {
		t.Errorf("search: event %+v", e)
	}

	// Exports: not for somebody known by a credential alone, and not through a
	// role; by a grant.
	before := len(d.arrived())
	for call, operation := range map[string]string{
		"search.exportResults": "search.export", "tickets.incremental": "ticket.incremental", "ticketexport.exportCursor": "ticket.incremental_cursor",
	} {
		args := map[string][]any{"search.exportResults": {"historic", "ticket", 100}, "tickets.incremental": {1}, "ticketexport.exportCursor": {1, ""}}[call]
		r := c.call(call, args...)
		got := r.last(t)
		if r.Error == nil || r.Error.Status != 403 || got.Reason != "export_needs_grant" || got.Problem == nil || got.Problem.Grant != "zendesk:"+operation ||
			got.Problem.Forwarded || got.Problem.FixedBy != "security" {
			t.Errorf("%s without a grant: got %+v %+v", call, r.Error, got)
			continue
		}
		if e := d.event(got, operation, "not_released"); e.Forwarded || e.Reason != "export_needs_grant" || e.Scope != "export" {
			t.Errorf("%s without a grant: event %+v", call, e)
		}
	}
	if got := len(d.arrived()); got != before {
		t.Errorf("%d refused exports reached the helpdesk", got-before)
	}

	granted := c.as(c.options.with("customHeaders", map[string]string{
		"Caregate-Key": d.key("nightly export", []string{"service"}, []string{"zendesk:search.export", "zendesk:ticket.*/export"}),
	}))
	r = granted.call("search.exportResults", "historic", "ticket", 100)
	d.pages(r, &found, "search.export", 3)
	if len(found) != more+4 {
		t.Errorf("export of a search: got %d results, want %d", len(found), more+4)
	}
	clean(t, "export of a search", r.Value)

	r = granted.call("tickets.incremental", 1)
	if err := json.Unmarshal(r.Value, &list); err != nil || r.Error != nil || len(list) != all {
		t.Errorf("incremental export: got %d tickets, want %d: %v %+v", len(list), all, err, r.Error)
	}
	clean(t, "incremental export", r.Value)
	d.event(r.last(t), "ticket.incremental", "released")

	// The library has no loop for exports by cursor; programs follow after_url.
	got, next := 0, d.gateway.URL+"/api/v2/incremental/tickets/cursor.json?start_time=1&per_page=100"
	for range 10 {
		var page struct {
			Tickets     []stored
			AfterURL    string `json:"after_url"`
			EndOfStream bool   `json:"end_of_stream"`
		}
		a := granted.must(&page, "get", next)
		if e := d.event(a, "ticket.incremental_cursor", "released"); masked(e, "credit_card") < len(page.Tickets)/2 {
			t.Errorf("export by cursor: %d tickets, and the event has %+v", len(page.Tickets), e.Findings)
		}
		got += len(page.Tickets)
		if next = page.AfterURL; page.EndOfStream {
			break
		}
		if !strings.HasPrefix(next, d.gateway.URL+"/api/v2/incremental/") {
			t.Fatalf("export by cursor: the next page is at %s", next)
		}
	}
	if got != all {
		t.Errorf("export by cursor: got %d tickets, want %d", got, all)
	}
	d.gateway.Verify()
}
