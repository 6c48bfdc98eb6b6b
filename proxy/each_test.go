package proxy_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A call on many records is decided as itself and as what it does to each: rows and own rules
// about the operation on one record hold for it, a limit counts its records, and nobody needs the
// right to the one for having that to the many.
func TestCallsOnManyAreDecidedAsEach(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"tickets":[{"id":1,"subject":"hello","requester_id":7},{"id":2,"subject":"hello","requester_id":8}],"job_status":{"id":"x"}}`))
	document, rules := filepath.Join(t.TempDir(), "policy.yaml"), t.TempDir()
	write(t, document, `
version: 1
conditions:
  - {operation: "zendesk:ticket.delete", purposes: [cleanup]}
approvals:
  - {operation: "zendesk:ticket.update", records: 5}
limits:
  - {of: calls, operation: "zendesk:ticket.create", most: 5, window: 24h}
views:
  - {operation: "zendesk:ticket.show", field: /ticket/subject, view: hidden}
  - {operation: "zendesk:ticket.show", field: "/tickets/*/requester_id", view: hidden}
`)
	write(t, filepath.Join(rules, "own.rego"), `package caregate.operator

deny contains "nobody_is_merged_away" if {
	input.operation == "user.delete"
}

deny contains "not_by_this_job" if {
	input.many == "organization.destroy_many"
}
`)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document + " " + rules})
	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"job","roles":["service"],"grants":["zendesk:*/bulk"]}`, http.StatusCreated, &made)
	key := http.Header{"Caregate-Key": {made.Secret}}
	for _, tc := range []struct {
		name, method, path, body, purpose string
		reason, inner                     string
	}{
		{"deletions for nothing", "DELETE", "/api/v2/tickets/destroy_many.json?ids=1,2", "", "", "purpose_not_covered", "ticket.delete"},
		{"deletions that clean up", "DELETE", "/api/v2/tickets/destroy_many.json?ids=1,2", "", "cleanup", "", ""},
		{"spam is another thing", "PUT", "/api/v2/tickets/mark_many_as_spam.json?ids=1,2", "{}", "", "", ""},
		{"four changes", "PUT", "/api/v2/tickets/update_many.json?ids=1,2,3,4", `{"ticket":{"status":"solved"}}`, "", "", ""},
		{"five changes", "PUT", "/api/v2/tickets/update_many.json?ids=1,2,3,4,5", `{"ticket":{"status":"solved"}}`, "", "approval_required", "ticket.update"},
		{"three new ones", "POST", "/api/v2/tickets/create_many.json", `{"tickets":[{"subject":"a"},{"subject":"b"},{"subject":"c"}]}`, "", "", ""},
		{"three more", "POST", "/api/v2/tickets/create_many.json", `{"tickets":[{"subject":"a"},{"subject":"b"},{"subject":"c"}]}`, "", "limit_reached", ""},
		{"two more", "POST", "/api/v2/tickets/create_many.json", `{"tickets":[{"subject":"a"},{"subject":"b"}]}`, "", "", ""},
		{"an own rule about one", "DELETE", "/api/v2/users/destroy_many.json?ids=1", "", "", "policy_denied", "user.delete"},
		{"an own rule about each of many", "DELETE", "/api/v2/organizations/destroy_many.json?ids=1", "", "", "policy_denied", "organization.delete"},
		{"a job that may delete", "POST", "/api/v2/custom_objects/shoe/jobs", `{"job":{"action":"bulk_delete","items":["1"]}}`, "", "", ""},
	} {
		before := len(u.Requests())
		c := call{method: tc.method, path: tc.path, body: tc.body, header: key.Clone()}
		if tc.purpose != "" {
			c.header.Set("Caregate-Purpose", tc.purpose)
		}
		a := do(t, g, c)
		passed := len(u.Requests()) - before
		if tc.reason == "" {
			if a.status != http.StatusOK || passed != 1 {
				t.Errorf("%s: got %d %s, want it to pass", tc.name, a.status, a.body)
			}
			continue
		}
		if a.problem.Reason != tc.reason || passed != 0 {
			t.Errorf("%s: got %d %s, %d calls passed; want %s of %q", tc.name, a.status, a.body, passed, tc.reason, tc.inner)
		}
		if want := `"inner_operation":"` + tc.inner + `"`; tc.inner != "" && !strings.Contains(a.body, want) || strings.Contains(a.body, "inner_index") {
			t.Errorf("%s: got %s, want %s and no index", tc.name, a.body, want)
		}
		if e := g.Event(a.problem.Receipt); e.Attrs["inner_operation"] != tc.inner {
			t.Errorf("%s: the log says %+v, want %q", tc.name, e.Attrs, tc.inner)
		}
	}

	// Others agree to the whole call, as they read it.
	changes := call{method: "PUT", path: "/api/v2/tickets/update_many.json?ids=1,2,3,4,5", body: `{"ticket":{"status":"solved"}}`, header: key}
	id := waits(t, do(t, g, changes))
	var ap console.Approval
	if g.API("POST", "/api/v1/approvals/"+id+"/give", "", http.StatusOK, &ap); ap.Operation != "ticket.update_many" || ap.Records != 5 {
		t.Errorf("others agreed to %+v, want ticket.update_many of 5", ap)
	}
	changes.header = with(key, id)
	if a := do(t, g, changes); a.status != http.StatusOK {
		t.Errorf("five changes that somebody agreed to: got %d %s", a.status, a.body)
	}

	// What a role does not see of one record it does not see of several.
	a := do(t, g, call{method: "GET", path: "/api/v2/tickets/show_many.json?ids=1,2"})
	if want := `{"tickets":[{"id":1,"subject":"hello"},{"id":2,"subject":"hello"}],"job_status":{"id":"x"}}`; a.status != http.StatusOK || a.body != want {
		t.Errorf("several tickets: got %d %s, want %s", a.status, a.body, want)
	}
	g.Verify()
}
