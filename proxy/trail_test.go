package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A running gateway reads the vendor's log, over a reload too, shows in its status what
// keeps it from reading, and governs on whatever becomes of it.
func TestTrailsOfARunningGateway(t *testing.T) {
	t.Setenv("TRAIL_TEST_TOKEN", "geheim")
	t.Setenv("TRAIL_TEST_ENDED", "geheim too")
	desk := sample.NewHelpdesk(sample.Options{Bearers: []sample.Bearer{{Token: "geheim", Email: "admin@example.com"}}})
	u := proxytest.NewUpstream(t, desk.ServeHTTP)
	note := func(at time.Time) {
		desk.NoteAudit(at, map[string]any{"action": "exported", "actor_id": 1234, "actor_name": "Sam Field", "source_type": "account"})
	}
	note(time.Now().Add(-time.Hour))
	o := proxytest.Options{Upstream: u.URL, Block: "trail zendesk/audit " + u.URL + " {\n bearer {env.TRAIL_TEST_TOKEN}\n}\n" +
		"trail zendesk/access " + u.URL + " {\n basic admin@example.com/token {env.TRAIL_TEST_ENDED}\n every 1h\n}\n"}
	g := proxytest.Start(t, o)
	trails := func(done func(audit, access console.Trail) bool) (audit console.Trail) {
		t.Helper()
		tick := time.Tick(20 * time.Millisecond)
		for deadline := time.Now().Add(5 * time.Minute); ; <-tick {
			var s console.Status
			g.API("GET", "/api/v1/status", "", http.StatusOK, &s)
			if len(s.Trails) != 2 || s.Trails[0].Name != "zendesk/audit" {
				t.Fatalf("the status has %+v", s.Trails)
			}
			if done(s.Trails[0], s.Trails[1]) {
				return s.Trails[0]
			}
			if time.Now().After(deadline) {
				t.Fatalf("the status stays at %+v", s.Trails)
			}
		}
	}
	events := func() int {
		var list console.FoundList
		g.API("POST", "/api/v1/events/search", `{"type":"vendor.event","actor":"zendesk:user:1234"}`, http.StatusOK, &list)
		for _, e := range list.Events {
			if e.Identity != "vendor" || e.Route != "zendesk/audit" {
				t.Errorf("an event is %+v", e)
			}
		}
		return len(list.Events)
	}
	first := trails(func(audit, access console.Trail) bool {
		return time.Since(audit.Until) < 30*time.Minute && access.Trouble == "credential" && access.Status == 401
	})
	if n := events(); n != 1 {
		t.Fatalf("got %d events, want 1", n)
	}
	note(time.Now().Add(-time.Minute))
	tick := time.Tick(50 * time.Millisecond)
	for time.Since(first.Until) < 12*time.Second { // a window begins where the last one ended
		<-tick
	}
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	trails(func(audit, _ console.Trail) bool { return audit.Until.After(first.Until) })
	if n := events(); n != 2 {
		t.Errorf("after a reload: got %d events, want 2", n)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets.json"}); a.status == http.StatusServiceUnavailable {
		t.Errorf("a call got %d", a.status)
	}
	g.Verify()
	if strings.Contains(g.Caddyfile(o), "geheim") {
		t.Error("the configuration holds a secret")
	}
}
