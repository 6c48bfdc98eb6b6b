package proxy_test

import (
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// The counters that the documentation names are there, also after a reload, and none
// of their labels comes from a caller.
func TestMetrics(t *testing.T) {
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"ticket":{"id":1,"description":"4111 1111 1111 1111"}}`))
	addr := proxytest.FreeAddr(t)
	o := proxytest.Options{Upstream: u.URL, Sites: "http://" + addr + " {\n\tbind 127.0.0.1\n\tmetrics\n}\n"}
	g := proxytest.Start(t, o)
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/1?note=probably-not-a-label"}); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	for _, when := range []string{"at first", "after a reload"} {
		res, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		if err != nil || res.Body.Close() != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`caregate_exchanges_total\{.*route="zendesk"\} [1-9]`, `caregate_findings_total\{action="mask",class="credit_card",route="zendesk"\} [1-9]`,
			`caregate_audit_entries [1-9]`, `caregate_audit_queue_events \d`, `caregate_audit_queue_bytes \d`, `caregate_audit_unsigned_events \d`,
			`caregate_audit_lag_seconds \d`, `caregate_audit_free_disk_bytes [1-9]`, `caregate_audit_shard_overdue 0`, `caregate_audit_durable_wait_seconds_count [1-9]`,
		} {
			if !regexp.MustCompile("(?m)^" + want).Match(raw) {
				t.Errorf("%s: no counter like %s", when, want)
			}
		}
		// A value may be any number, also one with the digits of the card.
		if regexp.MustCompile(`\{[^}\n]*(probably-not-a-label|4111|agent@)`).Match(raw) {
			t.Errorf("%s: a label comes from a caller", when)
		}
		if err := g.Load(o); err != nil {
			t.Fatal(err)
		}
	}
}
