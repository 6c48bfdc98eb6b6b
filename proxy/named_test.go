package proxy_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A row about an operation that its channel does not have is a mistake with file and line: in a
// gateway that runs it changes nothing, and one that starts does not. Another gateway's channels
// and routes are none.
func TestRowsNameWhatThereIs(t *testing.T) {
	document := filepath.Join(t.TempDir(), "policy.yaml")
	const good = `version: 1
enforcement:
  - {class: iban, route: elsewhere, action: mask}
conditions:
  - {operation: "zendesk:ticket.*/write", purposes: [support]}
  - {operation: "otherdesk:thing.show", purposes: [support]}
  - {operation: "caregate:token.*", purposes: [support]}
limits:
  - {of: calls, operation: "*:ticket.show", most: 1000, window: 1h}
approvals:
  - {operation: "stripe:refund.create"}
  - {operation: "caregate:apikey.create"}
views:
  - {operation: "zendesk:unmapped.get", field: /a, view: hidden}
grants:
  - {actor: "key:7f3a", grants: ["zendesk:ticket.update_many"]}
`
	write(t, document, good)
	g := proxytest.Start(t, proxytest.Options{Upstream: "http://" + proxytest.FreeAddr(t), Block: "policy builtin " + document})
	for what, row := range map[string]string{
		"conditions": "conditions:\n  - {operation: \"zendesk:ticket.destroy\", purposes: [support]}\n",
		"limits":     "limits:\n  - {of: calls, operation: \"zendesk:tickets.*/read\", most: 1, window: 1h}\n",
		"approvals":  "approvals:\n  - {operation: \"zendesk:ticket.deleet\"}\n",
		"views":      "views:\n  - {operation: \"zendesk:user.shows\", field: /a, view: hidden}\n",
		"flags":      "flags:\n  - {flag: objection, operations: [\"zendesk:ticket.mail\"]}\n",
		"grants":     "grants:\n  - {actor: \"key:7f3a\", grants: [\"zendesk:ticket.export\"]}\n",
		"our own":    "conditions:\n  - {operation: \"caregate:token.unveil\", purposes: [support]}\n",
	} {
		write(t, document, "version: 1\n"+row)
		eventually(t, what+" is told", func() bool {
			var s console.Status
			g.API("GET", "/api/v1/status", "", http.StatusOK, &s)
			return strings.Contains(s.Policy.Trouble, document+":3: ") && strings.Contains(s.Policy.Trouble, "has no operation that")
		})
	}
	if err := g.Load(proxytest.Options{Upstream: "http://" + proxytest.FreeAddr(t), Block: "policy builtin " + document}); err == nil || !strings.Contains(err.Error(), "policy.yaml:3: ") {
		t.Errorf("a configuration with such a row starts: %v", err)
	}
	write(t, document, good)
	eventually(t, "the good one is in force again", func() bool {
		var s console.Status
		g.API("GET", "/api/v1/status", "", http.StatusOK, &s)
		return s.Policy.Trouble == ""
	})
}
