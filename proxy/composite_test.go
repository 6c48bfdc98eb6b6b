package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy/proxytest"
)

const (
	compositePath = "/services/data/v60.0/composite"
	contactPath   = "/services/data/v60.0/sobjects/Contact"
)

// composite is a call that holds others, each written as it stands in the list.
func composite(calls ...string) call {
	return call{method: "POST", path: compositePath, body: `{"allOrNone":true,"compositeRequest":[` + strings.Join(calls, ",") + `]}`}
}

// inner is one of them; body is JSON, or empty.
func inner(method, url, body string) string {
	if body != "" {
		body = `,"body":` + body
	}
	return fmt.Sprintf(`{"method":%q,"url":%q,"referenceId":"r"%s}`, method, url, body)
}

// refusedCall is what a refusal says about the call inside that it is about.
func refusedCall(t *testing.T, a answer) (index int, operation string) {
	t.Helper()
	p := struct {
		Index     *int   `json:"inner_index"`
		Operation string `json:"inner_operation"`
	}{}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatal(err)
	}
	if p.Index == nil {
		return -1, p.Operation
	}
	return *p.Index, p.Operation
}

func startCRM(t *testing.T, answer, document string) (*proxytest.Upstream, *proxytest.Gateway) {
	t.Helper()
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, answer))
	return u, startCRMAt(t, u, document)
}

// startCRMAt is a gateway in front of a system of one's own.
func startCRMAt(t *testing.T, u *proxytest.Upstream, document string) *proxytest.Gateway {
	t.Helper()
	o := proxytest.Options{Channel: "testdata/crm.yaml", Upstream: u.URL}
	file, err := filepath.Abs(o.Channel)
	if err != nil {
		t.Fatal(err)
	}
	o.Channel = "* " + file
	if document != "" {
		policy := filepath.Join(t.TempDir(), "policy.yaml")
		write(t, policy, document)
		o.Block = "policy builtin " + policy
	}
	return proxytest.Start(t, o)
}

func bearer(c call) call {
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header["Authorization"] = []string{"Bearer 00D000000000001AAA"}
	return c
}

// Every call inside is decided as what it is, and one that is denied stops all of them.
func TestCompositeCallsAreDecidedOneByOne(t *testing.T) {
	u, g := startCRM(t, `{"compositeResponse":[]}`, `
version: 1
conditions:
  - {operation: "crm:contact.*/write", class: iban, purposes: [payout]}
  - {operation: "crm:contact.*/delete", purposes: [cleanup]}
`)
	show, create := inner("GET", contactPath+"/003A", ""), inner("POST", contactPath, `{"Description":"hello"}`)
	iban := inner("POST", contactPath, `{"Description":"My IBAN is DE89 3704 0044 0532 0130 00."}`)
	for _, tc := range []struct {
		name      string
		calls     []string
		reason    string
		index     int
		operation string
	}{
		{"reads and writes", []string{show, create, show}, "", 0, ""},
		{"a deletion for nothing", []string{show, inner("DELETE", contactPath+"/003A", "")}, "purpose_not_covered", 1, "contact.remove"},
		{"an export", []string{inner("GET", "/services/data/v60.0/export/7", ""), show}, "export_needs_grant", 0, "data.export"},
		{"a bulk call", []string{show, show, inner("PATCH", "/services/data/v60.0/composite/sobjects", `{"contacts":[{"Id":"1"}]}`)}, "bulk_needs_grant", 2, "contact.change_many"},
		{"a class that one of them may not have", []string{show, create, iban}, "purpose_not_covered", 2, "contact.create"},
	} {
		before := len(u.Requests())
		a := do(t, g, bearer(composite(tc.calls...)))
		passed := len(u.Requests()) - before
		if tc.reason == "" {
			if a.status != http.StatusOK || passed != 1 {
				t.Errorf("%s: got %d %s, want it to pass", tc.name, a.status, a.body)
			}
			continue
		}
		index, operation := refusedCall(t, a)
		if a.problem.Reason != tc.reason || passed != 0 || index != tc.index || operation != tc.operation {
			t.Errorf("%s: got %d %s, %d calls passed; want %s of call %d, %s", tc.name, a.status, a.body, passed, tc.reason, tc.index, tc.operation)
		}
	}
	// What the log has of both.
	a := do(t, g, bearer(composite(show, create, show)))
	events := g.Exchange(a.header.Get("Caregate-Receipt"))
	if len(events) != 2 || events[0].Operation != "composite.run" || events[0].Attrs["inner"] != "contact.create=1 contact.show=2" || events[0].Attrs["inner_calls"] != "3" || events[0].Attrs["records"] != "3" {
		t.Errorf("the log says %+v, want the operations inside with their counts", events)
	}
	a = do(t, g, bearer(composite(show, inner("DELETE", contactPath+"/003A", ""))))
	if a.problem.Receipt == "" {
		t.Fatalf("got %d %s, want a refusal", a.status, a.body)
	}
	events = g.Exchange(a.problem.Receipt)
	if len(events) != 1 || events[0].Attrs["inner_index"] != "1" || events[0].Attrs["inner_operation"] != "contact.remove" {
		t.Errorf("the log says %+v, want which call was refused", events)
	}
}

// Masks stand in each body, by the places of its own operation, and nowhere else.
func TestCompositeBodiesAreMaskedInPlace(t *testing.T) {
	u, g := startCRM(t, `{"compositeResponse":[{"body":{"Id":"003A","Description":"card 4111 1111 1111 1111"},"httpStatusCode":200,"referenceId":"r"}]}`, "")
	a := do(t, g, bearer(composite(
		inner("GET", contactPath+"/003A?fields=4111111111111111", ""),
		inner("POST", contactPath, `{"Id":"4111111111111111","Description":"my card is 4111 1111 1111 1111"}`),
		inner("PATCH", contactPath+"/003B", `{"Phone__c":"XXXX XXXX XXXX 1111","Description":"kept"}`),
	)))
	if a.status != http.StatusOK || !strings.Contains(a.body, "card XXXX XXXX XXXX 1111") {
		t.Fatalf("got %d %s, want a masked answer", a.status, a.body)
	}
	want := composite(
		inner("GET", contactPath+"/003A?fields=4111111111111111", ""),
		inner("POST", contactPath, `{"Id":"4111111111111111","Description":"my card is XXXX XXXX XXXX 1111"}`),
		inner("PATCH", contactPath+"/003B", `{"Description":"kept"}`),
	).body
	if got := string(u.Last(t).Body); got != want {
		t.Errorf("the vendor got\n%s\nwant\n%s", got, want)
	}
	// In an address nothing can be masked.
	for name, url := range map[string]string{"query": contactPath + "/003A?note=4111111111111111", "path": "/services/data/4111111111111111/composite/sobjects/x"} {
		a := do(t, g, bearer(composite(inner("GET", url, ""))))
		if index, _ := refusedCall(t, a); a.status < 400 || a.problem.Forwarded || name == "query" && a.problem.Reason != "finding_blocked" {
			t.Errorf("a card in the %s of an address: got %d %s (call %d), want a refusal", name, a.status, a.body, index)
		}
	}
}

// What cannot be read as calls of this system is not forwarded.
func TestHostileCompositeCalls(t *testing.T) {
	u, g := startCRM(t, `{}`, "")
	show := inner("GET", contactPath+"/003A", "")
	many := func(n int) call {
		calls := make([]string, n)
		for i := range calls {
			calls[i] = show
		}
		return composite(calls...)
	}
	body := func(s string) call { return call{method: "POST", path: compositePath, body: s} }
	typed := func(c call, media string) call {
		c.header = http.Header{"Content-Type": {media}}
		return c
	}
	for _, tc := range []struct {
		name   string
		call   call
		reason string
	}{
		{"as many as there may be", many(100), ""},
		{"one more", many(101), "composite_limit"},
		{"ten thousand", many(10_000), "composite_limit"},
		{"none", composite(), "composite_unreadable"},
		{"no list", body(`{"allOrNone":true}`), "composite_unreadable"},
		{"a list elsewhere", body(`{"graphs":[{"compositeRequest":[` + show + `]}]}`), "composite_unreadable"},
		{"two lists", body(`{"compositeRequest":[` + show + `],"compositeRequest":[` + show + `]}`), "composite_unreadable"},
		{"two lists in two cases", body(`{"compositeRequest":[` + show + `],"CompositeRequest":[` + show + `]}`), "composite_unreadable"},
		{"two lists, one escaped", body(`{"compositeRequest":[` + show + `],"composite\u0052equest":[` + show + `]}`), "composite_unreadable"},
		{"two addresses", composite(`{"method":"GET","url":"` + contactPath + `/1","url":"/services/data/v60.0/export/1"}`), "composite_unreadable"},
		{"two methods in two cases", composite(`{"method":"GET","Method":"DELETE","url":"` + contactPath + `/1"}`), "composite_unreadable"},
		{"no method", composite(`{"url":"` + contactPath + `/1"}`), "composite_unreadable"},
		{"a method in small letters", composite(inner("delete", contactPath+"/1", "")), "composite_unreadable"},
		{"a method that is a number", composite(`{"method":1,"url":"` + contactPath + `/1"}`), "composite_unreadable"},
		{"headers of its own", composite(`{"method":"POST","url":"` + contactPath + `","httpHeaders":{"X-HTTP-Method-Override":"DELETE"}}`), "composite_unreadable"},
		{"a body in a string", composite(inner("POST", contactPath, `"{\"Description\":\"4111 1111 1111 1111\"}"`)), "composite_unreadable"},
		{"an element that is no object", composite(`"GET /"`), "composite_unreadable"},
		{"another document behind it", body(composite(show).body + `{}`), "json_trailing_data"},
		{"names that stand twice in a body", composite(inner("POST", contactPath, `{"a":1,"a":2}`)), "json_duplicate_key"},
		{"another host", composite(inner("GET", "https://elsewhere.example"+contactPath+"/1", "")), "path_ambiguous"},
		{"another host without a scheme", composite(inner("GET", "//elsewhere.example"+contactPath+"/1", "")), "path_ambiguous"},
		{"another host behind a backslash", composite(inner("GET", `/\\elsewhere.example/x`, "")), "path_ambiguous"},
		{"a fragment", composite(inner("GET", contactPath+"/1#/../../export/1", "")), "path_ambiguous"},
		{"dot segments", composite(inner("GET", contactPath+"/../../export/1", "")), "path_ambiguous"},
		{"dot segments, encoded", composite(inner("GET", contactPath+"/%2e%2e/%2e%2e/export/1", "")), "path_ambiguous"},
		{"encoded twice", composite(inner("GET", "/services/data/v60.0/export%252F1", "")), "path_ambiguous"},
		{"a blank", composite(inner("GET", contactPath+"/1 HTTP/1.1", "")), "path_ambiguous"},
		{"a line end", composite(inner("GET", contactPath+`/1\r\nHost: x`, "")), "path_ambiguous"},
		{"one inside another", composite(inner("POST", compositePath, composite(show).body)), "composite_operation"},
		{"one inside another, in another spelling", composite(inner("POST", "/services/data/v60.0/Composite.json", composite(show).body)), "composite_operation"},
		{"a login", composite(inner("POST", "/services/data/v60.0/login", `{}`)), "composite_operation"},
		{"a call that nobody knows", composite(show, inner("GET", "/services/data/v60.0/limits", "")), "composite_operation"},
		{"a reference in an address", composite(show, inner("GET", contactPath+"/@{r.Id}", "")), "composite_reference"},
		{"a reference in an address, encoded", composite(show, inner("GET", contactPath+"/%40%7Br.Id%7D", "")), "composite_reference"},
		{"a reference in a body", composite(show, inner("POST", contactPath, `{"Description":"\u0040{r.Email}"}`)), "composite_reference"},
		{"a method in a query", composite(inner("POST", contactPath+"?_method=DELETE", `{}`)), "method_override"},
		{"no body", call{method: "POST", path: compositePath}, "composite_unreadable"},
		{"a form", typed(body("compositeRequest=x"), "application/x-www-form-urlencoded"), "composite_unreadable"},
		{"as text", typed(composite(show), "text/plain"), "composite_unreadable"},
		{"as lines", typed(composite(show), "application/x-ndjson"), "composite_unreadable"},
	} {
		before := len(u.Requests())
		a := do(t, g, bearer(tc.call))
		passed := len(u.Requests()) - before
		if tc.reason == "" {
			if a.status != http.StatusOK || passed != 1 {
				t.Errorf("%s: got %d %s, want it to pass", tc.name, a.status, a.body)
			}
			continue
		}
		if a.problem.Reason != tc.reason || passed != 0 || strings.Contains(a.body, "4111") || strings.Contains(a.body, "elsewhere") {
			t.Errorf("%s: got %d %s, %d calls passed; want %s", tc.name, a.status, a.body, passed, tc.reason)
		}
	}
}

// References in bodies pass where what nobody read may pass, and the log says so.
func TestCompositeReferences(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{}`))
	file, err := filepath.Abs("testdata/crm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g := proxytest.Start(t, proxytest.Options{Channel: "* " + file, Upstream: u.URL, Govern: "uninspected pass"})
	a := do(t, g, bearer(composite(inner("GET", contactPath+"/1", ""), inner("POST", contactPath, `{"Description":"@{r.Email}"}`))))
	events := g.Exchange(a.header.Get("Caregate-Receipt"))
	if a.status != http.StatusOK || len(events) != 2 || events[0].Attrs["inner_references"] != "1" {
		t.Errorf("a reference in a body: got %d %s, %+v", a.status, a.body, events)
	}
	if a := do(t, g, bearer(composite(inner("GET", contactPath+"/@{r.Id}", "")))); a.problem.Reason != "composite_reference" {
		t.Errorf("a reference in an address: got %d %s", a.status, a.body)
	}
	// What is of another kind is no composite call that anybody decided about.
	if a := do(t, g, bearer(call{method: "POST", path: compositePath, body: "x", header: http.Header{"Content-Type": {"application/x-unknown"}}})); a.problem.Reason != "composite_unreadable" {
		t.Errorf("a body that nobody reads: got %d %s", a.status, a.body)
	}
}

// Limits, and the number from which on others must agree, count the calls inside.
func TestCompositeCallsCount(t *testing.T) {
	u, g := startCRM(t, `{}`, `
version: 1
approvals:
  - {operation: "crm:contact.change", records: 5}
limits:
  - {operation: "crm:contact.show", most: 10, window: 1h, of: calls}
`)
	agent, _ := newKey(t, g, "agent")
	send := func(c call) answer {
		c = bearer(c)
		c.header["Caregate-Key"] = agent["Caregate-Key"]
		return do(t, g, c)
	}
	shows := func(n int) (calls []string) {
		for i := range n {
			calls = append(calls, inner("GET", fmt.Sprintf("%s/%d", contactPath, i), ""))
		}
		return calls
	}
	for i, want := range []int{http.StatusOK, http.StatusTooManyRequests, http.StatusOK} {
		if a := send(composite(shows([]int{7, 4, 3}[i])...)); a.status != want {
			t.Errorf("call %d: got %d %s, want %d", i, a.status, a.body, want)
		}
	}
	var changes []string
	for i := range 6 {
		changes = append(changes, inner("PATCH", fmt.Sprintf("%s/%d", contactPath, i), `{"Description":"x"}`))
	}
	if a := send(composite(changes[:4]...)); a.status != http.StatusOK {
		t.Errorf("four changes: got %d %s", a.status, a.body)
	}
	before := len(u.Requests())
	a := send(composite(changes...))
	id := waits(t, a)
	if index, operation := refusedCall(t, a); index != 0 || operation != "contact.change" || len(u.Requests()) != before {
		t.Errorf("six changes wait: got call %d %s", index, operation)
	}
	g.API("POST", "/api/v1/approvals/"+id+"/give", `{}`, http.StatusOK, nil)
	other := composite(append(changes[:5:5], inner("PATCH", contactPath+"/99", `{"Description":"x"}`))...)
	other.header = http.Header{"Caregate-Approval": {id}}
	if a := send(other); a.problem.Reason != "approval_invalid" {
		t.Errorf("an approval for another contact: got %d %s", a.status, a.body)
	}
	same := composite(changes...)
	same.header = http.Header{"Caregate-Approval": {id}}
	if a := send(same); a.status != http.StatusOK {
		t.Errorf("with the approval: got %d %s", a.status, a.body)
	}
}

// Others are shown what a composite call does, and agree to the one call only.
func TestCompositeApprovalSaysWhatIsInside(t *testing.T) {
	u, g := startCRM(t, `{}`, `
version: 1
approvals:
  - {operation: "crm:contact.*/delete", records: 5}
`)
	calls := []string{inner("GET", contactPath+"/7", "")}
	for i := range 6 {
		calls = append(calls, inner("DELETE", fmt.Sprintf("%s/%d", contactPath, i), ""))
	}
	id := waits(t, do(t, g, bearer(composite(calls...))))
	var list struct {
		Approvals []struct {
			ID, Operation, Effect, Scope string
			Inner                        map[string]int
		}
	}
	g.API("GET", "/api/v1/approvals", "", http.StatusOK, &list)
	if len(list.Approvals) != 1 || list.Approvals[0].ID != id {
		t.Fatalf("got %+v, want the approval that was asked for", list)
	}
	if ap := list.Approvals[0]; ap.Operation != "composite.run" || ap.Effect != "delete" || ap.Scope != "one" || fmt.Sprint(ap.Inner) != "map[contact.remove:6 contact.show:1]" {
		t.Errorf("the approval says %+v, want the calls inside and their effect", ap)
	}
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	g.API("POST", "/api/v1/approvals/"+id+"/give", `{"standing":true,"filter":"","rows":100,"until":"`+until+`"}`, http.StatusBadRequest, nil)
	g.API("POST", "/api/v1/approvals/"+id+"/give", `{}`, http.StatusOK, nil)
	again := composite(calls...)
	again.header = http.Header{"Caregate-Approval": {id}}
	if a := do(t, g, bearer(again)); a.status != http.StatusOK || len(u.Requests()) != 1 {
		t.Errorf("with the approval: got %d %s", a.status, a.body)
	}
}

// A route that observes notes what would have been, and changes nothing.
func TestObservedCompositeCalls(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{}`))
	file, err := filepath.Abs("testdata/crm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g := proxytest.Start(t, proxytest.Options{Channel: "* " + file, Upstream: u.URL, Govern: "observe"})
	for _, tc := range []struct{ name, would string }{{"GET", "export_needs_grant"}, {"get", "composite_unreadable"}} {
		c := composite(inner(tc.name, "/services/data/v60.0/export/1", ""))
		a := do(t, g, bearer(c))
		events := g.Exchange(a.header.Get("Caregate-Receipt"))
		if a.status != http.StatusOK || string(u.Last(t).Body) != c.body || len(events) != 2 || events[0].Attrs["would"] != tc.would {
			t.Errorf("%s: got %d %s, %+v; want would be %s", tc.name, a.status, a.body, events, tc.would)
		}
	}
}
