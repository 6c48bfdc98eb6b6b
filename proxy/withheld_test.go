package proxy_test

import (
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// A withheld answer names the record that the call made, so that a caller can
// look for it, but never repeats what it was withheld for.
func TestWithheldAnswersNameTheRecord(t *testing.T) {
	for name, test := range map[string]struct{ answer, record string }{
		"a card in a reference":    {`{"ticket":{"id":4025900000011,"external_id":"card 4111 1111 1111 1111"}}`, "ticket/4025900000011"},
		"a card instead of the id": {`{"ticket":{"id":"card 4111 1111 1111 1111"}}`, ""},
		"no record":                {`{"card 4111 1111 1111 1111":1}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := proxytest.NewUpstream(t, jsonUpstream(201, test.answer))
			g := proxytest.Start(t, proxytest.Options{Upstream: u.URL})
			a := do(t, g, call{method: "POST", path: "/api/v2/tickets", body: `{"ticket":{}}`})
			if a.status != 502 || a.problem.Cause != "finding_blocked" || a.problem.Record != test.record || a.problem.UpstreamStatus != 201 {
				t.Errorf("got %d %+v", a.status, a.problem)
			}
			if showsCard(a.body) {
				t.Error("the answer repeats what it was withheld for")
			}
		})
	}
}
