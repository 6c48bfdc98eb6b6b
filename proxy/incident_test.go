package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// An incident from the suspicion to its end, in a gateway: a person decides, the clocks of law
// count from the decision, what is overdue is raised in the log and in a metric, each step and
// each duty is in the audit log, and the affected list is that of the index.
func TestIncident(t *testing.T) {
	sign, jwks := newIssuer(t)
	token := func(sub, role string, factors ...string) http.Header {
		return http.Header{"Caregate-Token": {sign(map[string]any{"sub": sub, "roles": []string{role}, "amr": append([]string{"pwd"}, factors...)})}}
	}
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"tickets":[{"id":1,"requester_id":41,"description":"call jane@example.com"},{"id":2,"requester_id":42}]}`))
	api, metrics := proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\nhttp://" + metrics + " {\n bind 127.0.0.1\n metrics\n}\n",
		Block: "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role support agent\n role watch security\n role privacy dpo\n }"})
	own := func(who http.Header, method, path, body string, want int, into any) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+api+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = who.Clone()
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		a := send(t, req)
		if a.status != want {
			t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, want)
		}
		if p, ok := into.(*console.Incident); ok {
			*p = console.Incident{} // what is absent is not what was there before
		}
		if into != nil {
			if err := json.Unmarshal([]byte(a.body), into); err != nil {
				t.Fatal(err)
			}
		}
		return a
	}
	agent, dpo, weak := token("agent@example.com", "support", "otp"), token("dpo@example.com", "privacy", "otp"), token("weak@example.com", "privacy")
	call1 := do(t, g, call{method: "GET", path: "/api/v2/tickets.json", header: agent})
	if call1.status != 200 {
		t.Fatalf("the agent: got %d %s", call1.status, call1.body)
	}

	const incidents = "/api/v1/incidents"
	at := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
	own(agent, "POST", incidents, `{"title":"x"}`, 403, nil)
	own(weak, "GET", incidents, "", 403, nil)
	var i console.Incident
	own(dpo, "POST", incidents, fmt.Sprintf(`{"title":"Export nobody asked for","suspected_at":%q,"places":["de"],"from":%q,"receipt":%q}`, at(90*time.Hour), at(2*time.Hour), call1.header.Get("Caregate-Receipt")), 201, &i)
	one := incidents + "/" + i.ID
	if i.Phase != "suspected" || len(i.Duties) != 2 || i.Duties[0].Urgency != "overdue" {
		t.Fatalf("opened: %+v", i)
	}
	// Nobody decided for 90 hours: the gateway lets it count as known, and owes what law says.
	eventually(t, "the fail-safe", func() bool {
		own(dpo, "GET", one, "", 200, &i)
		return i.AwareBy == "failsafe" && len(i.Duties) == 3
	})
	if i.AwareAt != i.SuspectedAt {
		t.Errorf("known since %s, suspected since %s", i.AwareAt, i.SuspectedAt)
	}
	eventually(t, "all is raised and in the audit log", func() bool {
		own(dpo, "GET", one, "", 200, &i)
		raised := map[string]bool{}
		for _, e := range i.History {
			if e.Receipt == "" {
				return false
			}
			if e.Kind == "incident.notice_raised" {
				raised[e.Facts["rule"]+" "+e.Facts["stage"]] = true
			}
		}
		return raised["int.escalate overdue"] && raised["int.external overdue"] && raised["eu.breach.authority overdue"]
	})
	eventually(t, "the metric", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+metrics+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		a := send(t, req)
		return strings.Contains(a.body, `caregate_incident_notices{urgency="overdue"} 3`) && strings.Contains(a.body, `caregate_incident_notices_raised_total{rule="eu.breach.authority",urgency="overdue"}`)
	})

	// Who decides has a second factor, and is a person.
	decision := fmt.Sprintf(`{"aware_at":%q,"reason":"confirmed"}`, at(time.Hour))
	g.API("POST", one+"/aware", decision, 403, nil)
	own(dpo, "POST", one+"/ack", `{"seen":["int.escalate/all/overdue","eu.breach.authority/de/soon"]}`, 200, &i)
	for _, d := range i.Duties {
		if want := map[string]string{"int.escalate": "overdue", "eu.breach.authority": "soon"}[d.Rule]; d.Raised != "overdue" || d.Acknowledged != want {
			t.Errorf("acknowledged: %+v, want %q", d, want)
		}
	}
	own(dpo, "POST", one+"/aware", decision, 200, &i)
	for _, d := range i.Duties {
		if d.State == "open" && d.Rule != "int.escalate" && (d.Urgency != "" || d.LegalDue.Sub(i.AwareAt) != 72*time.Hour) {
			t.Errorf("after the decision: %+v", d)
		}
	}
	own(dpo, "POST", one+"/close", "", 400, nil)
	// That a notice is not owed people say who have a second factor, and no key or socket; that it
	// is owed after all anybody of the role.
	key, _ := newKey(t, g, "dpo")
	const waiver = `{"notices":["eu.breach.authority/de"],"reason":"risk_unlikely"}`
	state := func() string {
		for _, d := range i.Duties {
			if d.Rule == "eu.breach.authority" && d.State != "rebased" && d.State != "restored" {
				return d.State
			}
		}
		return ""
	}
	own(key, "POST", one+"/waive", waiver, 403, nil)
	g.API("POST", one+"/waive", waiver, 403, nil)
	if own(dpo, "POST", one+"/waive", waiver, 200, &i); state() != "waived" {
		t.Errorf("after the waiver: %+v", i.Duties)
	}
	if own(key, "POST", one+"/restore", waiver, 200, &i); state() != "open" {
		t.Errorf("after it was restored: %+v", i.Duties)
	}
	// A place from which nothing follows is named.
	if own(dpo, "POST", one+"/scope", `{"places":["us"]}`, 200, &i); !slices.Equal(i.WithoutNotice, []string{"place:us"}) {
		t.Errorf("without a notice: %v", i.WithoutNotice)
	}
	var duties console.DutyList
	if own(dpo, "GET", "/api/v1/duties", "", 200, &duties); duties.Waiting != 0 || duties.Duties == nil {
		t.Errorf("duties that wait: %+v", duties)
	}
	own(dpo, "POST", "/api/v1/duties/retry", `{"duty":"incident/x","reason":"looked"}`, 404, nil)
	// The word of a key or of the socket ends no notice without a proof; what was noted by mistake
	// is taken back.
	sent := fmt.Sprintf(`{"notices":["eu.breach.authority/de"],"sent_at":%q`, at(0))
	own(key, "POST", one+"/notices", sent+"}", 403, nil)
	g.API("POST", one+"/notices", sent+"}", 403, nil)
	if own(key, "POST", one+"/notices", sent+`,"proof":"LDA-4711"}`, 200, &i); state() != "sent" {
		t.Errorf("after the notice: %+v", i.Duties)
	}
	if own(key, "POST", one+"/restore", `{"notices":["eu.breach.authority/de"],"reason":"slip"}`, 200, &i); state() != "open" {
		t.Errorf("after it was taken back: %+v", i.Duties)
	}
	if own(dpo, "POST", one+"/notices", sent+"}", 200, &i); state() != "sent" {
		t.Errorf("after the word of a person: %+v", i.Duties)
	}
	own(key, "POST", one+"/restore", `{"notices":["eu.breach.authority/de"],"reason":"slip"}`, 200, &i)
	own(dpo, "POST", one+"/notices", fmt.Sprintf(`{"notices":["eu.breach.authority/de","int.external","int.escalate"],"sent_at":%q,"proof":"LDA-4711"}`, at(0)), 200, &i)
	if slices.ContainsFunc(i.Duties, func(d console.IncidentDuty) bool { return d.State == "open" }) {
		t.Errorf("after the notices: %+v", i.Duties)
	}

	// The affected list.
	var affected, asked console.ExposureList
	own(dpo, "POST", one+"/affected", "", 200, &affected)
	own(dpo, "POST", "/api/v1/exposures/search", fmt.Sprintf(`{"from":%q,"same":%q}`, i.From.Format(time.RFC3339), i.Receipt), 200, &asked)
	if len(affected.Coverage) != 1 || affected.Coverage[0].Answers != 1 || fmt.Sprint(affected.Exposures) != fmt.Sprint(asked.Exposures) {
		t.Errorf("affected: %+v, the index says %+v", affected, asked)
	}

	decider := ""
	for _, e := range i.History {
		if e.Kind == "incident.aware" && e.Actor != "" {
			decider = e.Actor
		}
	}
	own(dpo, "POST", one+"/close", "", 200, &i)
	if i.Phase != "closed" || i.Outcome != "settled" {
		t.Errorf("closed: %+v", i)
	}
	// What happened is in the log: of the incident, and of its duties.
	eventually(t, "the end is in the audit log", func() bool {
		own(dpo, "GET", one, "", 200, &i)
		return !slices.ContainsFunc(i.History, func(e console.IncidentEvent) bool { return e.Receipt == "" })
	})
	for _, e := range i.History {
		var ev console.Event
		own(dpo, "GET", "/api/v1/events/"+e.Receipt, "", 200, &ev)
		if ev.Type != e.Kind || ev.Attrs["incident"] != i.ID {
			t.Errorf("%s is the event %+v", e.Kind, ev)
		}
	}
	for _, kind := range []string{"duty.added", "duty.ended", "duty.clock.restarted", "duty.step.waiting", "duty.step.completed"} {
		eventually(t, kind+" in the audit log", func() bool {
			var found console.FoundList
			own(dpo, "POST", "/api/v1/events/search", `{"type":"`+kind+`"}`, 200, &found)
			return len(found.Events) > 0
		})
	}

	// A drill owes nothing; what has no window has no affected list; what is no breach is dismissed.
	own(dpo, "POST", incidents, `{"title":"Drill","drill":true,"places":["de"]}`, 201, &i)
	if len(i.Duties) != 0 {
		t.Errorf("a drill owes %+v", i.Duties)
	}
	own(dpo, "POST", incidents+"/"+i.ID+"/affected", "", 400, nil)
	own(dpo, "POST", incidents+"/"+i.ID+"/aware", decision, 400, nil)
	own(dpo, "POST", incidents, `{"title":"Perhaps"}`, 201, &i)
	own(dpo, "POST", incidents+"/"+i.ID+"/dismiss", `{"reason":"test_data_only"}`, 200, &i)
	if i.Outcome != "no_breach" {
		t.Errorf("dismissed: %+v", i)
	}
	own(dpo, "GET", incidents+"/none", "", 404, nil)
	own(key, "POST", "/api/v1/duties/clock", `{"reason":"looked"}`, 403, nil)
	g.API("POST", "/api/v1/duties/clock", `{"reason":"looked"}`, 403, nil)
	own(dpo, "POST", "/api/v1/duties/clock", `{"reason":"looked"}`, 204, nil)
	// The log has duties end and clocks change without the name of who decided it: that is in the
	// incident's own entry, or is the person's pseudonym.
	if decider == "" {
		t.Fatal("nobody decided")
	}
	for _, kind := range []string{"duty.ended", "duty.clock.restarted", "duty.clock.trusted"} {
		var found console.FoundList
		eventually(t, kind+" in the audit log", func() bool {
			own(dpo, "POST", "/api/v1/events/search", `{"type":"`+kind+`"}`, 200, &found)
			return len(found.Events) > 0
		})
		for _, f := range found.Events {
			var ev console.Event
			own(dpo, "GET", "/api/v1/events/"+f.Receipt, "", 200, &ev)
			var said struct{ Actor string }
			if err := json.Unmarshal([]byte(ev.Attrs["body0"]), &said); err != nil {
				t.Fatal(err)
			}
			if named := regexp.MustCompile(`^(incident/[A-Za-z0-9]+|[0-9a-f]{32})$`); !named.MatchString(said.Actor) || strings.Contains(fmt.Sprint(ev.Attrs), decider) {
				t.Errorf("%s is of %q: %v", kind, said.Actor, ev.Attrs)
			}
		}
	}
}
