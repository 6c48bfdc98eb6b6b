package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// Whose clear card could a caller have seen: what observe let pass shows, per person,
// with the receipt; what was masked does not; what nobody read shows in the coverage.
func TestWhoSawWhat(t *testing.T) {
	u := proxytest.NewUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/7.json") {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("\x89PNG"))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"tickets":[{"id":1,"requester_id":41,"description":"card 4111 1111 1111 1111"},{"id":2,"requester_id":42,"description":"hello"},{"id":3,"requester_id":43,"description":"ssn 219-09-9999"}]}`)
	})
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Govern: "observe"})
	seen := do(t, g, call{method: "GET", path: "/api/v2/tickets.json"})
	if seen.status != 200 || !strings.Contains(seen.body, "4111 1111 1111 1111") {
		t.Fatalf("observed: got %d", seen.status)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets/7.json"}); a.status != 200 {
		t.Fatalf("a picture: got %d", a.status)
	}
	if err := g.Load(proxytest.Options{Upstream: u.URL}); err != nil {
		t.Fatal(err)
	}
	if a := do(t, g, call{method: "GET", path: "/api/v2/tickets.json"}); a.status != 200 || strings.Contains(a.body, "4111 1111 1111 1111") {
		t.Fatalf("enforced: got %d", a.status)
	}
	receipt := seen.header.Get("Caregate-Receipt")
	ask := func(body string) (list console.ExposureList) {
		t.Helper()
		g.API("POST", "/api/v1/exposures/search", body, http.StatusOK, &list)
		return list
	}
	cards := ask(`{"class":"credit_card","same":"` + receipt + `"}`)
	kinds := map[string]int{}
	for _, e := range cards.Exposures {
		kinds[e.Kind]++
		if e.Receipt != receipt || e.Times != 1 || e.Route == "" || e.Identity != "asserted" {
			t.Errorf("the exposure is %+v, want the one answer %s", e, receipt)
		}
	}
	if kinds["subject"] != 1 || kinds["record"] != 1 {
		t.Errorf("cards: got %v, want one person and one ticket", kinds)
	}
	if len(cards.Coverage) != 1 || cards.Coverage[0].Answers != 3 || cards.Coverage[0].Unread != 1 {
		t.Errorf("coverage: got %+v, want 3 answers, one of them unread", cards.Coverage)
	}
	for body, want := range map[string]int{
		`{"subject":"zendesk:user:43","class":"us_ssn"}`:      1,
		`{"subject":"zendesk:user:43","class":"credit_card"}`: 0,
		`{"subject":"zendesk:user:44"}`:                       0,
		`{"record":"zendesk:ticket:1","class":"credit_card"}`: 1,
		`{"actor":"key:unknown"}`:                             0,
		`{"actor":"agent@example.com","class":"credit_card"}`: 2,
		`{"actor":"email: Agent@Example.com"}`:                len(ask(`{"same":"` + receipt + `"}`).Exposures),
		`{"actor":"nobody@example.com"}`:                      0,
		`{"to":"2026-01-01T00:00:00Z"}`:                       0,
	} {
		if list := ask(body); len(list.Exposures) != want {
			t.Errorf("%s: got %d exposures, want %d", body, len(list.Exposures), want)
		}
	}
	var events console.FoundList
	g.API("POST", "/api/v1/events/search", `{"subject":"zendesk:user:41","type":"response.decided"}`, http.StatusOK, &events)
	if len(events.Events) != 2 || events.Events[1].Receipt != receipt {
		t.Errorf("events of a person: got %+v, want the two answers", events.Events)
	}
	raw, err := json.Marshal(events)
	if err != nil || strings.Contains(string(raw), "agent@example.com") {
		t.Errorf("the answer names the agent (%v)", err)
	}
}
