package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/proxy/proxytest"
)

// A call that no route answers is refused and stands in the log. One that a route of
// Caddy's own answers is left to it.
func TestUnrouted(t *testing.T) {
	u := proxytest.NewUpstream(t, nil)
	addr := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Site: "handle /health {\n respond fine\n}\n",
		Sites: "http://paths.example:" + addr[strings.LastIndexByte(addr, ':')+1:] + " {\n bind 127.0.0.1\n handle_path /desk/* {\n  govern zendesk " + u.URL + " {\n   route by-path\n  }\n }\n handle /health {\n  respond fine\n }\n}\n"})
	for name, test := range map[string]struct {
		addr, host, path string
		body             string
		status           int
	}{
		"another host":             {addr, "other.example", "/api/v2/tickets", "", 421},
		"another host with a body": {addr, "other.example", "/api/v2/tickets", `{"ticket":{}}`, 421},
		"a path of no route":       {addr, "paths.example", "/api/v2/tickets", "", 421},
		"a governed path":          {addr, "paths.example", "/desk/api/v2/tickets/1", "", 200},
		"a path of Caddy's own":    {addr, "paths.example", "/health", "", 200},
		"a site of the wrong port": {g.Addr, "paths.example", "/desk/api/v2/tickets/1", "", 421},
		"one beside a govern":      {g.Addr, g.Addr, "/health", "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(u.Requests())
			method := "GET"
			if test.body != "" {
				method = "POST"
			}
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+test.addr+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Host = test.host
			r.Header.Set("Authorization", basicAuth)
			a := send(t, r)
			if a.status != test.status {
				t.Fatalf("got %d %s, want %d", a.status, a.body, test.status)
			}
			if test.status == http.StatusOK {
				return
			}
			if a.problem.Reason != "misdirected" || a.problem.Forwarded || len(u.Requests()) != before {
				t.Errorf("got %s", a.body)
			}
			if e := g.Event(a.problem.Receipt); e.Decision != "deny" || e.Reason != "misdirected" || e.Forwarded || e.Status != test.status {
				t.Errorf("event: got %+v", e)
			}
		})
	}
}
