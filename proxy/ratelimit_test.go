package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy/proxytest"
)

// Limits of the policy through a gateway: a caller who has had enough is refused and the log
// says of what, others go on, and what was counted survives a restart.
func TestPolicyLimits(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/api/v2/users/"), ".json")
		jsonUpstream(http.StatusOK, fmt.Sprintf(`{"user":{"id":%s,"email":"u%[1]s@customer.example"}}`, id))(w, r)
	})
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, `
version: 1
limits:
  - {of: calls, operation: "zendesk:*/write", most: 2, window: 24h}
  - {of: subjects, operation: "zendesk:user.*", roles: [agent], most: 3, window: 1h}
`)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	one, _ := newKey(t, g, "agent")
	other, _ := newKey(t, g, "agent")
	show := func(id int, h http.Header) call {
		return call{method: "GET", path: fmt.Sprintf("/api/v2/users/%d.json", id), header: h}
	}
	passes := func(what string, c call) {
		t.Helper()
		if a := do(t, g, c); a.status != http.StatusOK {
			t.Errorf("%s: got %d %s, want it to pass", what, a.status, a.body)
		}
	}
	told := map[string]bool{}
	refused := func(what string, c call, of, most string) {
		t.Helper()
		before := len(u.Requests())
		a := do(t, g, c)
		if a.status != http.StatusTooManyRequests || a.problem.Reason != "limit_reached" || a.problem.Forwarded || len(u.Requests()) != before {
			t.Errorf("%s: got %d %s", what, a.status, a.body)
			return
		}
		e := g.Event(a.problem.Receipt)
		if e.Reason == "limit_reached" && e.Type == "denials.counted" {
			return // one of many that somebody goes on with; the first has it all
		}
		told[of] = true
		if e.Reason != "limit_reached" || e.Decision != "deny" || e.Attrs["limit"] != of || e.Attrs["limit_most"] != most {
			t.Errorf("%s: the log says %+v", what, e)
		}
	}
	for i := range 2 {
		for id := 1; id <= 3; id++ {
			passes(fmt.Sprintf("user %d, look %d", id, i), show(id, one))
		}
	}
	refused("a fourth user", show(4, one), "subjects", "3")
	passes("one of the three again", show(2, one))
	passes("another caller", show(4, other))

	write := func(h http.Header) call {
		return call{method: "PUT", path: "/api/v2/users/1.json", body: `{"user":{"name":"x"}}`, header: h}
	}
	passes("a write", write(one))
	passes("a second write", write(one))
	refused("a third write", write(one), "calls", "2")
	refused("a fourth write", write(one), "calls", "2")
	passes("another caller's write", write(other))
	if !told["calls"] || !told["subjects"] {
		t.Errorf("the log has a leaf about %v, want calls and subjects", told)
	}

	g.Restart()
	refused("a write after a restart", write(one), "calls", "2")
	refused("a fourth user after a restart", show(4, one), "subjects", "3")

	// A higher number counts on with what was counted.
	write3(t, document, func() bool { return do(t, g, write(one)).status == http.StatusOK })
	refused("a fourth write under three", write(one), "calls", "3")
}

// write3 raises the limit of writes to three, and waits until it counts.
func write3(t *testing.T, document string, passed func() bool) {
	t.Helper()
	write(t, document, `
version: 1
limits:
  - {of: calls, operation: "zendesk:*/write", most: 3, window: 24h}
`)
	eventually(t, "the new limit counts", passed)
}

// An answer that names more persons than are left is withheld; callers whom nobody knows
// are counted apart by where they come from.
func TestPolicyLimitsOfAnswers(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"users":[{"id":1,"email":"a@customer.example"},{"id":2,"email":"b@customer.example"},{"id":3,"email":"c@customer.example"}]}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\nlimits:\n  - {of: subjects, most: 2, window: 1h}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	a := do(t, g, call{method: "GET", path: "/api/v2/users.json"})
	if a.status != http.StatusBadGateway || a.problem.Reason != "response_withheld" || a.problem.Cause != "limit_reached" || strings.Contains(a.body, "customer.example") {
		t.Errorf("three persons: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Attrs["limit"] != "subjects" || e.Attrs["cause"] != "limit_reached" {
		t.Errorf("the log says %+v", e)
	}
}

// Persons in an answer that streams are counted as they pass, in every window of it.
func TestPolicyLimitsOfStreams(t *testing.T) {
	const line = `{"note":"%s","customer":{"id":%d}}` + "\n"
	var body strings.Builder
	for id := range 40 {
		fmt.Fprintf(&body, line, strings.Repeat("hello ", 1000), id)
	}
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = w.Write([]byte(body.String()))
	})
	dir := t.TempDir()
	document, file := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "desk.yaml")
	write(t, document, "version: 1\nlimits:\n  - {of: subjects, most: 25, window: 1h}\n")
	write(t, file, `
version: 1
name: desk
title: A desk
reach: {governed: [calls], not_governed: [screens]}
credentials:
  - {kind: api_key, scheme: header, header: X-Api-Key}
fields:
  note: {text: [/note], subject: {id: /customer/id}}
operations:
  notes:
    response: {"": note}
    calls:
      note.list: GET /notes read one
`)
	g := proxytest.Start(t, proxytest.Options{Channel: "* " + file, Upstream: u.URL, Block: "policy builtin " + document})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/notes", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", "k")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if n := strings.Count(string(got), "customer"); err == nil || res.StatusCode != http.StatusOK || n == 0 || n > 25 {
		t.Errorf("got %d with %d persons and %v, want no more than 25 and the stream cut", res.StatusCode, n, err)
	}
}

// A route that observes counts and stops nobody.
func TestPolicyLimitsObserved(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"ticket":{"id":1}}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\nlimits:\n  - {of: calls, most: 1, window: 1h}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "observe", Block: "policy builtin " + document})
	for i, want := range []string{"", "limit_reached", "limit_reached"} {
		a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1"})
		if a.status != http.StatusOK {
			t.Fatalf("call %d: got %d %s", i, a.status, a.body)
		}
		if e := g.Exchange(a.header.Get("Caregate-Receipt"))[0]; e.Attrs["would"] != want {
			t.Errorf("call %d: would %q, want %q", i, e.Attrs["would"], want)
		}
	}
}

// Tokens that are revealed are limited by the policy, beside what the gateway limits itself.
func TestPolicyLimitsOfReveals(t *testing.T) {
	g, token, p, _ := startReveals(t, "{class: email, action: allow}\nlimits:\n  - {of: reveals, roles: [dpo], most: 2, window: 1h}")
	dora, dan := p.is(t, "dora", "dpo", "otp"), p.is(t, "dan", "dpo", "otp")
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		a := ask(t, g, "POST", revealPath, wish([]string{token}, false), dora)
		if a.status != want || want != http.StatusOK && a.problem.Reason != "limit_reached" {
			t.Errorf("reveal %d: got %d %s, want %d", i, a.status, a.body, want)
		}
	}
	if a := ask(t, g, "POST", revealPath, wish([]string{token, token, token}, false), dan); a.status != http.StatusTooManyRequests {
		t.Errorf("three at once: got %d %s, want 429", a.status, a.body)
	}
	if a := ask(t, g, "POST", revealPath, wish([]string{token}, false), dan); a.status != http.StatusOK {
		t.Errorf("somebody else: got %d %s, want 200", a.status, a.body)
	}
}

// A call that others have agreed to and that goes over a limit spends no approval: once there
// is room, it is made without asking again.
func TestPolicyLimitSpendsNoApproval(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"job_status":{"id":"x"}}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	const row = "version: 1\nlimits:\n  - {of: calls, operation: \"zendesk:ticket.update_many\", most: %d, window: 24h}\n"
	write(t, document, fmt.Sprintf(row, 1))
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	lead, _ := newKey(t, g, "lead")
	approved := func(ids string) call {
		c := call{method: "PUT", path: "/api/v2/tickets/update_many.json?ids=" + ids, body: `{"ticket":{"status":"open"}}`, header: lead}
		id := waits(t, do(t, g, c))
		g.API("POST", "/api/v1/approvals/"+id+"/give", "", http.StatusOK, nil)
		c.header = with(lead, id)
		return c
	}
	first, second := approved("1,2"), approved("3,4")
	if a := do(t, g, first); a.status != http.StatusOK {
		t.Fatalf("the first: got %d %s", a.status, a.body)
	}
	// A call whose approval does not count takes nothing, and hears of no limit.
	if a := do(t, g, first); a.status != http.StatusForbidden || a.problem.Reason != "approval_invalid" {
		t.Errorf("the first again: got %d %s", a.status, a.body)
	}
	a := do(t, g, second)
	if a.status != http.StatusTooManyRequests || a.problem.Reason != "limit_reached" {
		t.Fatalf("the second: got %d %s", a.status, a.body)
	}
	if e := g.Event(a.problem.Receipt); e.Attrs["approval_step"] != "" {
		t.Errorf("the log says of the second: %+v", e)
	}
	write(t, document, fmt.Sprintf(row, 2))
	eventually(t, "the second is made with its approval", func() bool { return do(t, g, second).status == http.StatusOK })
	if a := do(t, g, second); a.status != http.StatusForbidden || a.problem.Reason != "approval_invalid" {
		t.Errorf("the second again: got %d %s", a.status, a.body)
	}
}

// incidentsOf are the incidents of a gateway, with their history.
func incidentsOf(t *testing.T, g *proxytest.Gateway) (list []console.Incident) {
	t.Helper()
	var found console.IncidentList
	g.API("GET", "/api/v1/incidents", "", http.StatusOK, &found)
	for _, i := range found.Incidents {
		var whole console.Incident
		g.API("GET", "/api/v1/incidents/"+i.ID, "", http.StatusOK, &whole)
		list = append(list, whole)
	}
	return list
}

// A limit with incident: whoever goes over it is refused and suspected, once for a caller and
// window, also across a restart. The incident is there before the refusal: without it, nobody
// hears of a limit.
func TestLimitIncidents(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"user":{"id":1,"email":"a@customer.example"}}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, `
version: 1
limits:
  - {of: calls, operation: "zendesk:*/write", most: 1, window: 24h, incident: true}
  - {of: subjects, operation: "zendesk:user.*/read", most: 1, window: 24h, incident: true}
  - {of: calls, operation: "zendesk:ticket.*", most: 1, window: 24h}
`)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	one, _ := newKey(t, g, "agent")
	other, _ := newKey(t, g, "agent")
	asks := func(what string, c call, status int, reason string) answer {
		t.Helper()
		a := do(t, g, c)
		if a.status != status || a.problem.Reason != reason {
			t.Errorf("%s: got %d %s, want %d %s", what, a.status, a.body, status, reason)
		}
		return a
	}
	put := func(h http.Header) call {
		return call{method: "PUT", path: "/api/v2/users/1.json", body: `{"user":{"name":"x"}}`, header: h}
	}
	ticket := call{method: "GET", path: "/api/v2/tickets/1.json", header: one}
	asks("a ticket", ticket, http.StatusOK, "")
	asks("over a limit without incidents", ticket, http.StatusTooManyRequests, "limit_reached")
	asks("a write", put(one), http.StatusOK, "")
	if list := incidentsOf(t, g); len(list) != 0 {
		t.Fatalf("incidents before anything happened: %+v", list)
	}

	// While no incident can be opened, the call is refused for that.
	db, err := g.OpenDB("state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("incident_cause", "away")
	asks("a second write, no incident", put(one), http.StatusServiceUnavailable, "limits_unavailable")
	rename("away", "incident_cause")

	refused := asks("a second write", put(one), http.StatusTooManyRequests, "limit_reached")
	list := incidentsOf(t, g)
	if len(list) != 1 {
		t.Fatalf("got %d incidents, want one", len(list))
	}
	i := list[0]
	if i.Phase != "suspected" || i.OpenedBy != "gateway" || !i.AwareAt.IsZero() || i.SuspectedAt.IsZero() || len(i.Duties) != 2 || i.Receipt != refused.problem.Receipt {
		t.Errorf("got %+v", i)
	}
	if f := i.History[0].Facts; f["cause"] != "limit" || f["limit"] != "calls" || f["limit_most"] != "1" || f["limit_window"] != "86400" {
		t.Errorf("its history begins with %v", f)
	}
	if e := g.Event(refused.problem.Receipt); e.Reason != "limit_reached" || e.Attrs["incident"] != i.ID {
		t.Errorf("the refusal in the log is %+v", e)
	}
	var affected console.ExposureList
	g.API("POST", "/api/v1/incidents/"+i.ID+"/affected", "", http.StatusOK, &affected)

	for range 3 {
		asks("a further write", put(one), http.StatusTooManyRequests, "limit_reached")
	}
	g.Restart()
	asks("a write after a restart", put(one), http.StatusTooManyRequests, "limit_reached")
	if list := incidentsOf(t, g); len(list) != 1 {
		t.Errorf("got %d incidents for one caller, limit and window", len(list))
	}
	asks("another caller's write", put(other), http.StatusOK, "")
	asks("another caller's second write", put(other), http.StatusTooManyRequests, "limit_reached")
	if list := incidentsOf(t, g); len(list) != 2 {
		t.Errorf("got %d incidents, want one for each of two callers", len(list))
	}

	// An answer that names too many is withheld, and opens one, too.
	asks("a user", call{method: "GET", path: "/api/v2/users/1.json", header: one}, http.StatusOK, "")
	if a := do(t, g, call{method: "GET", path: "/api/v2/users/2.json", header: one}); a.status == http.StatusOK {
		t.Errorf("a second user: got %d %s", a.status, a.body)
	}
	eventually(t, "all is in the log", func() bool {
		list = incidentsOf(t, g)
		for _, i := range list {
			if i.History[0].Receipt == "" {
				return false
			}
		}
		return len(list) == 3
	})
	for _, i := range list {
		if e := g.Event(i.History[0].Receipt); e.Type != "incident.opened" || e.Attrs["cause"] != "limit" || e.Attrs["incident"] != i.ID {
			t.Errorf("the log says %+v", e)
		}
	}
}

// A route that observes suspects nobody.
func TestLimitIncidentsObserved(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\nlimits:\n  - {of: calls, most: 1, window: 1h, incident: true}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "observe", Block: "policy builtin " + document})
	show := call{method: "GET", path: "/api/v2/tickets/1.json"}
	for range 3 {
		if a := do(t, g, show); a.status != http.StatusOK {
			t.Fatalf("observed: got %d %s", a.status, a.body)
		}
	}
	if list := incidentsOf(t, g); len(list) != 0 {
		t.Errorf("a policy that is tried out opened %+v", list)
	}
}

// Reveals over a limit with incident open one.
func TestLimitIncidentsOfReveals(t *testing.T) {
	g, token, p, _ := startReveals(t, "{class: email, action: allow}\nlimits:\n  - {of: reveals, roles: [dpo], most: 1, window: 1h, incident: true}")
	dora := p.is(t, "dora", "dpo", "otp")
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		if a := ask(t, g, "POST", revealPath, wish([]string{token}, false), dora); a.status != want {
			t.Errorf("got %d %s, want %d", a.status, a.body, want)
		}
	}
	list := incidentsOf(t, g)
	if len(list) != 1 || list[0].History[0].Facts["limit"] != "reveals" || !list[0].AwareAt.IsZero() {
		t.Errorf("got %+v", list)
	}
}
