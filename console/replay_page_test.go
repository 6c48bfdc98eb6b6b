package console

import (
	"net/http"
	"strings"
	"testing"
)

// The page of drafts is the same for everybody, runs nothing but its own script, and is not
// shown under another site's name.
func TestReplayPage(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config) { c.Local = false })
	for _, tc := range []struct {
		name, method, host string
		status             int
		reason             string
	}{
		{"read", "GET", "127.0.0.1", 200, ""},
		{"head", "HEAD", "127.0.0.1", 200, ""},
		{"written", "POST", "127.0.0.1", 405, "method_refused"},
		{"another site's name", "GET", "attacker.example", 421, "host_refused"},
	} {
		w := g.do(tc.method, replayPagePath, "", "Host: "+tc.host)
		if w.Code != tc.status || w.Header().Get("Caregate-Error") != tc.reason || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %v, want %d %s", tc.name, w.Code, w.Header(), tc.status, tc.reason)
		}
		if got := w.Body.String(); tc.status == http.StatusOK && (got == replayPage) != (tc.method == "GET") {
			t.Errorf("%s: got %d bytes", tc.name, len(got))
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", tc.name, policy)
		}
	}
	if len(g.journal.records) != 0 {
		t.Errorf("%d records of a page that holds nothing", len(g.journal.records))
	}
	for what, times := range map[string]int{"<script": 1, "<style": 1, "innerHTML": 0, "insertAdjacentHTML": 0, "document.write": 0, "src=": 0, "style=": 0, "eval(": 0} {
		if n := strings.Count(replayPage, what); n != times {
			t.Errorf("the page has %q %d times, want %d", what, n, times)
		}
	}
}
