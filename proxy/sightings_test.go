package proxy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy/proxytest"
)

// desk answers like a helpdesk: the tickets, their comments, a user.
func desk(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch key := r.Method + " " + r.URL.Path; key {
	case "GET /api/v2/tickets.json":
		fmt.Fprint(w, `{"tickets":[
			{"id":35,"requester_id":41,"created_at":"2026-01-05T10:00:00Z","description":"card 4111 1111 1111 1111","metric_set":{"solved_at":"2026-02-01T00:00:00Z"}},
			{"id":36,"requester_id":42,"created_at":"2026-03-05T10:00:00Z","description":"hello","metric_set":{"solved_at":null}}]}`)
	case "GET /api/v2/tickets/35/comments.json":
		fmt.Fprint(w, `{"comments":[{"id":900,"author_id":41,"body":"my ssn is 219-09-9999","created_at":"2026-01-06T10:00:00Z","attachments":[{"id":7001,"file_name":"scan.pdf"}]},
			{"id":901,"author_id":43,"body":"thank you"}],"users":[{"id":41,"name":"Jane","email":"jane@example.com"}]}`)
	case "GET /api/v2/tickets/35/audits.json":
		fmt.Fprint(w, `{"audits":[{"id":5,"ticket_id":35,"author_id":44,"created_at":"2026-05-01T00:00:00Z","events":[]}]}`)
	case "POST /api/v2/tickets.json":
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"ticket":{"id":37,"requester_id":45,"created_at":"2026-06-01T00:00:00Z"}}`)
	case "PUT /api/v2/tickets/36.json":
		fmt.Fprint(w, `{"ticket":{"id":36,"requester_id":42}}`)
	case "DELETE /api/v2/tickets/35.json":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"ticket":{"id":99,"requester_id":41},"error":"RecordNotFound"}`)
	}
}

// recordsOf asks for the records of persons and returns TYPE/ID of each with it by that.
func recordsOf(g *proxytest.Gateway, more string, subjects ...string) (list console.RecordList, by map[string]console.KnownRecord) {
	g.API("POST", "/api/v1/subjects/records", `{"subjects":["`+strings.Join(subjects, `","`)+`"]`+more+`}`, http.StatusOK, &list)
	by = make(map[string]console.KnownRecord)
	for _, r := range list.Records {
		by[r.Type+"/"+r.ID] = r
	}
	return list, by
}

func names(by map[string]console.KnownRecord) (out []string) {
	for name := range by {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Every record that passes is in the index before the answer leaves: where it stands, of
// whom, how old it is, what was found in it, what it hangs on, and that it was deleted.
func TestRecordsAreIndexed(t *testing.T) {
	u := proxytest.NewUpstream(t, desk)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	want := func(subject, more string, want ...string) map[string]console.KnownRecord {
		t.Helper()
		_, by := recordsOf(g, more, subject)
		if got := names(by); !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		return by
	}
	ok := func(status int, c call) {
		t.Helper()
		if a := do(t, g, c); a.status != status {
			t.Fatalf("%s %s: got %d", c.method, c.path, a.status)
		}
	}
	want("zendesk:user:41", "")
	ok(404, call{method: "GET", path: "/api/v2/tickets/99.json"})
	want("zendesk:user:41", "")

	ok(200, call{method: "GET", path: "/api/v2/tickets.json"})
	first := want("zendesk:user:41", "", "ticket/35")["ticket/35"]
	if !slices.Equal(first.Classes, []string{"credit_card"}) || first.Created.Format("2006-01-02") != "2026-01-05" || first.Closed.Format("2006-01-02") != "2026-02-01" || first.Open ||
		first.Parent != "" || first.Channel != "zendesk" || !strings.HasSuffix("http://"+first.Host, strings.TrimPrefix(u.URL, "http://")) || first.FirstSeen.IsZero() {
		t.Errorf("got %+v", first)
	}
	if r := want("zendesk:user:42", "", "ticket/36")["ticket/36"]; !r.Open || !r.Closed.IsZero() || len(r.Classes) != 0 {
		t.Errorf("an open ticket: got %+v", r)
	}

	ok(200, call{method: "GET", path: "/api/v2/tickets/35/comments.json"})
	by := want("zendesk:user:41", "", "comment/900", "ticket/35", "user/41")
	if c := by["comment/900"]; !strings.HasSuffix(c.Parent, "/ticket/35") || !slices.Equal(c.Classes, []string{"us_ssn"}) {
		t.Errorf("a comment: got %+v", c)
	}
	if by["user/41"].Parent != "" {
		t.Errorf("a user hangs on %q", by["user/41"].Parent)
	}
	// The profile says that the address is the user's.
	list, by := recordsOf(g, "", "email:jane@example.com")
	if got := names(by); !slices.Equal(got, []string{"user/41"}) || list.Known != 1 || list.Linked != 1 {
		t.Errorf("by the address: got %q, %d known, %d linked", got, list.Known, list.Linked)
	}
	want("email:jane@example.com", `,"linked":true`, "comment/900", "ticket/35", "user/41")

	// An audit is about the ticket, and not as old as it.
	ok(200, call{method: "GET", path: "/api/v2/tickets/35/audits.json"})
	if r := want("zendesk:user:44", "", "ticket/35")["ticket/35"]; r.Created != first.Created || r.Closed != first.Closed {
		t.Errorf("after an audit: got %+v", r)
	}

	// What a request says of the object that is answered is of the answer's record.
	ok(201, call{method: "POST", path: "/api/v2/tickets.json", body: `{"ticket":{"subject":"s","requester":{"name":"Bob","email":"bob@example.com"},"comment":{"body":"card 4111 1111 1111 1111"}}}`})
	if r := want("email:bob@example.com", "", "ticket/37")["ticket/37"]; !slices.Equal(r.Classes, []string{"credit_card", "email"}) {
		t.Errorf("a ticket that was made: got %+v", r)
	}
	ok(200, call{method: "PUT", path: "/api/v2/tickets/36.json", body: `{"ticket":{"comment":{"body":"my ssn is 219-09-9999"}}}`})
	if r := want("zendesk:user:42", "", "ticket/36")["ticket/36"]; !slices.Equal(r.Classes, []string{"us_ssn"}) || !r.Open {
		t.Errorf("a ticket that was changed: got %+v", r)
	}

	ok(204, call{method: "DELETE", path: "/api/v2/tickets/35.json"})
	if r := want("zendesk:user:44", "", "ticket/35")["ticket/35"]; r.Gone.IsZero() {
		t.Errorf("a ticket that was deleted: got %+v", r)
	}

	// Pages.
	page, _ := recordsOf(g, `,"limit":2`, "zendesk:user:41")
	rest, _ := recordsOf(g, `,"after":"`+page.Records[1].Record+`"`, "zendesk:user:41")
	if len(page.Records) != 2 || !page.More || len(rest.Records) != 1 || rest.More {
		t.Errorf("got %d records (more: %v) and %d (more: %v)", len(page.Records), page.More, len(rest.Records), rest.More)
	}

	// Who is erased is in no record.
	var plan console.ErasureAnswer
	g.API("POST", "/api/v1/subjects/erase", `{"subjects":["zendesk:user:41"]}`, http.StatusOK, &plan)
	g.API("POST", "/api/v1/subjects/erase", `{"subjects":["zendesk:user:41"],"plan":"`+plan.Plan+`"}`, http.StatusOK, &plan)
	if list, _ := recordsOf(g, "", "zendesk:user:41"); list.Known != 0 || len(list.Records) != 0 {
		t.Errorf("after the erasure: got %d records of %d names", len(list.Records), list.Known)
	}
	if list, _ := recordsOf(g, "", "email:jane@example.com"); list.Linked != 0 {
		t.Errorf("after the erasure %d names are linked", list.Linked)
	}
}

// What the index does not take does not leave, but for a route that only watches.
func TestIndexDown(t *testing.T) {
	u := proxytest.NewUpstream(t, desk)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	db, err := g.OpenDB("state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `ALTER TABLE record RENAME TO record_elsewhere`); err != nil {
		t.Fatal(err)
	}
	get := call{method: "GET", path: "/api/v2/tickets.json"}
	a := do(t, g, get)
	events := g.Exchange(a.header.Get("Caregate-Receipt"))
	last := events[len(events)-1]
	if a.status != http.StatusBadGateway || a.header.Get("Caregate-Error") != "response_withheld" || last.Attrs["cause"] != "index_unavailable" || strings.Contains(a.body, "hello") {
		t.Errorf("got %d %s, cause %q", a.status, a.header.Get("Caregate-Error"), last.Attrs["cause"])
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL, Govern: "observe"}); err != nil {
		t.Fatal(err)
	}
	if a := do(t, g, get); a.status != http.StatusOK {
		t.Errorf("a route that watches: got %d", a.status)
	}
}

// What a vendor tells by webhook is in the index before it is passed on.
func TestRecordsOfWebhooks(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	g := startHooks(t, proxytest.Options{Upstream: u.URL})
	if a := do(t, g, hook(event("index-1", "card 4111 1111 1111 1111"), time.Now())); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	_, by := recordsOf(g, "", "zendesk:user:8447388090494")
	if r := by["webhook_object/5158"]; len(by) != 1 || !slices.Equal(r.Classes, []string{"credit_card"}) || r.Host != "unknown" {
		t.Errorf("got %+v", by)
	}
}

// Nobody is tied to a record of somebody else, nor to somebody else: not by lines that are
// written alike, not by what a caller writes, not by a number that two share, and not by
// the place in a list.
func TestRecordsKeepPersonsApart(t *testing.T) {
	answers := map[string]struct{ media, body string }{
		"GET /api/v2/chat/chats":              {"application/x-ndjson", `{"id":"c1","visitor":{"email":"a@example.com"}}` + "\n" + `{"id":"c2","visitor":{"email":"b@example.com"}}` + "\n"},
		"PUT /api/v2/users/41.json":           {"application/json", `{"user":{"id":41,"email":"jane@example.com","phone":"+15555550100"}}`},
		"GET /api/v2/users/42.json":           {"application/json", `{"user":{"id":42,"email":"bob@example.com","phone":"+15555550100"}}`},
		"PUT /api/v2/chat_redactions/36.json": {"application/json", `{"chat_redaction":{}}`},
	}
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		a, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", a.media)
		fmt.Fprint(w, a.body)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
	ok := func(method, path, body string) {
		t.Helper()
		if a := do(t, g, call{method: method, path: path, body: body}); a.status != http.StatusOK {
			t.Fatalf("%s %s: got %d %s", method, path, a.status, a.body)
		}
	}
	want := func(subject string, linked int, want ...string) {
		t.Helper()
		list, by := recordsOf(g, `,"linked":true`, subject)
		if got := names(by); !slices.Equal(got, want) || list.Linked != linked {
			t.Errorf("got %q with %d names linked, want %q with %d", got, list.Linked, want, linked)
		}
		for _, r := range list.Records {
			if !r.Gone.IsZero() {
				t.Errorf("%s is said to be deleted", r.Record)
			}
		}
	}
	ok("GET", "/api/v2/chat/chats", "")
	want("email:a@example.com", 0, "chat/c1")
	want("email:b@example.com", 0, "chat/c2")
	ok("PUT", "/api/v2/users/41.json", `{"user":{"email":"bob@example.com"}}`)
	ok("GET", "/api/v2/users/42.json", "")
	want("email:jane@example.com", 1, "user/41")
	want("zendesk:user:42", 1, "user/41", "user/42") // bob's address was written into user 41, and stands in that record
	ok("PUT", "/api/v2/chat_redactions/36.json", `{"external_attachment_urls":[]}`)
	want("phone:+15555550100", 0, "user/41", "user/42")
}
