package proxy_test

import (
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// Conditions through a gateway: where the call comes from as Caddy trusts it, when it
// begins, what for. What was decided before the hours ended ends with them.
func TestConditions(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"ticket":{"id":1}}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, `
version: 1
networks:
  - {name: office, addresses: [203.0.113.0/24], region: eu}
hours:
  - {name: desk, zone: Europe/Berlin, days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00"}
conditions:
  - {operation: "zendesk:*", roles: [agent], hours: [desk]}
  - {operation: "zendesk:*/write", networks: [office]}
  - {operation: "zendesk:ticket.*/delete", regions: [eu], purposes: [cleanup]}
  - {operation: "zendesk:*/write", class: iban, purposes: [payout]}
  - {operation: "caregate:*", networks: [office]}
`)
	api := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\n", Global: "servers {\n trusted_proxies static 127.0.0.1/32 ::1/128\n }"})
	var late atomic.Int64
	monday := time.Date(2026, 11, 23, 17, 59, 30, 0, time.FixedZone("CET", 3600))
	proxy.SetNow(func() time.Time { return monday.Add(time.Duration(late.Load())) })
	read, update, remove := call{method: "GET", path: "/api/v2/tickets/1"}, call{method: "PUT", path: "/api/v2/tickets/1", body: `{"ticket":{"comment":{"body":"hello"}}}`}, call{method: "DELETE", path: "/api/v2/tickets/1"}
	from := func(c call, address, purpose string) call {
		c.header = http.Header{"X-Forwarded-For": {address}}
		if purpose != "" {
			c.header.Set("Caregate-Purpose", purpose)
		}
		return c
	}
	iban := update
	iban.body = `{"ticket":{"comment":{"body":"My IBAN is DE89 3704 0044 0532 0130 00."}}}`
	for _, tc := range []struct {
		name  string
		later time.Duration
		call  call
		want  string
	}{
		{"a read", 0, from(read, "198.51.100.1", ""), ""},
		{"a write from the office", 0, from(update, "203.0.113.7", ""), ""},
		{"a write from elsewhere", 0, from(update, "198.51.100.1", ""), "outside_network"},
		{"an IBAN for nothing", 0, from(iban, "203.0.113.7", ""), "purpose_not_covered"},
		{"an IBAN for a payout", 0, from(iban, "203.0.113.7", "payout"), ""},
		{"a deletion from elsewhere", 0, from(remove, "198.51.100.1", "cleanup"), "outside_region"},
		{"a deletion for something else", 0, from(remove, "203.0.113.7", "support"), "purpose_not_covered"},
		{"a deletion", 0, from(remove, "203.0.113.7", "cleanup"), ""},
		{"a read when the hours are over", 30 * time.Second, from(read, "198.51.100.1", ""), "outside_hours"},
		{"a write when the hours are over", 30 * time.Second, from(update, "203.0.113.7", ""), "outside_hours"},
		{"a read the next morning", 14*time.Hour + 30*time.Second, from(read, "198.51.100.1", ""), ""},
		{"a read on Saturday", 5 * 24 * time.Hour, from(read, "198.51.100.1", ""), "outside_hours"},
	} {
		late.Store(int64(tc.later))
		before := len(u.Requests())
		a := do(t, g, tc.call)
		passed := len(u.Requests()) - before
		if tc.want == "" {
			if a.status != http.StatusOK || passed != 1 {
				t.Errorf("%s: got %d %s, want it to pass", tc.name, a.status, a.body)
			}
			continue
		}
		if a.status != http.StatusForbidden || a.problem.Reason != tc.want || passed != 0 {
			t.Errorf("%s: got %d %s, %d calls passed; want %s", tc.name, a.status, a.body, passed, tc.want)
		}
	}
	// The gateway's own API is a channel like others.
	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"runs it","roles":["admin"]}`, http.StatusCreated, &made)
	for address, want := range map[string]int{"203.0.113.7": http.StatusOK, "198.51.100.1": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+api+"/api/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Caregate-Key", made.Secret)
		req.Header.Set("X-Forwarded-For", address)
		if a := send(t, req); a.status != want || want != http.StatusOK && a.problem.Reason != "outside_network" {
			t.Errorf("the gateway's own API from %s: got %d %s, want %d", address, a.status, a.body, want)
		}
	}
	// The socket comes over no network, and its user can mend the policy.
	g.API("GET", "/api/v1/status", "", http.StatusOK, nil)
}

// How many records a call names decides whether others must agree to it, and stands in the log.
func TestManyRecordsNeedApproval(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(http.StatusOK, `{"job_status":{"id":"x"}}`))
	document := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, document, "version: 1\napprovals:\n  - {operation: \"zendesk:*/bulk\", records: 5}\n")
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Block: "policy builtin " + document})
	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"job","roles":["service"],"grants":["zendesk:*/bulk"]}`, http.StatusCreated, &made)
	key := http.Header{"Caregate-Key": {made.Secret}}
	for _, tc := range []struct {
		name, method, path, body, records string
		many                              bool
	}{
		{"four in the query", "PUT", "/api/v2/tickets/update_many.json?ids=1,2,3,4", `{"ticket":{"status":"solved"}}`, "4", false},
		{"five in the query", "PUT", "/api/v2/tickets/update_many.json?ids=1,2,3,4,5", `{"ticket":{"status":"solved"}}`, "5", true},
		{"two in the body", "PUT", "/api/v2/tickets/update_many.json", `{"tickets":[{"id":1,"status":"solved"},{"id":2,"status":"solved"}]}`, "2", false},
		{"six in the body", "PUT", "/api/v2/tickets/update_many.json", `{"tickets":[{"id":1},{"id":2},{"id":3},{"id":4},{"id":5},{"id":6}]}`, "6", true},
		{"six that are new", "POST", "/api/v2/tickets/create_many.json", `{"tickets":[{"subject":"a"},{"subject":"b"},{"subject":"c"},{"subject":"d"},{"subject":"e"},{"subject":"f"}]}`, "6", true},
	} {
		before := len(u.Requests())
		a := do(t, g, call{method: tc.method, path: tc.path, body: tc.body, header: key})
		if got := len(u.Requests()) - before; tc.many != (a.problem.Reason == "approval_required") || tc.many != (got == 0) {
			t.Errorf("%s: got %d %s, %d calls passed", tc.name, a.status, a.body, got)
			continue
		}
		receipt := a.header.Get("Caregate-Receipt")
		if tc.many {
			receipt = a.problem.Receipt
		}
		events := g.Exchange(receipt)
		if len(events) == 0 || events[0].Attrs["records"] != tc.records {
			t.Errorf("%s: the log says %+v, want %s records", tc.name, events, tc.records)
		}
	}
}
