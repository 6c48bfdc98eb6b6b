package proxy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// Holds from end to end: whoever is held is not erased, by whatever the hold names them, and
// the refusal names the hold and nobody; one person places it and two lift it.
func TestHolds(t *testing.T) {
	sign, jwks := newIssuer(t)
	u := proxytest.NewUpstream(t, desk)
	api := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\n",
		Block: "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role support agent\n role watch security\n role privacy dpo\n }"})
	who := func(sub, role string) http.Header {
		return http.Header{"Caregate-Token": {sign(map[string]any{"sub": sub, "roles": []string{role}})}}
	}
	first, second, watch, agent := who("first@example.com", "privacy"), who("second@example.com", "privacy"), who("watch@example.com", "watch"), who("agent@example.com", "support")
	type problem struct{ Reason, Cause string }
	own := func(as http.Header, path, body string, want int, into any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+api+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = as.Clone()
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		a := send(t, req)
		if a.status != want {
			t.Fatalf("POST %s: got %d %s, want %d", path, a.status, a.body, want)
		}
		if into != nil {
			if err := json.Unmarshal([]byte(a.body), into); err != nil {
				t.Fatal(err)
			}
		}
	}
	place := func(scope string) (h console.Hold) {
		t.Helper()
		own(first, "/api/v1/holds", `{"matter":"CASE-7","custodian":"legal","reason":"zebra v. gnu",`+scope+`}`, 201, &h)
		return h
	}
	lift := func(id string) {
		t.Helper()
		own(first, "/api/v1/holds/"+id+"/lift", `{"reason":"settled"}`, 200, nil)
		own(watch, "/api/v1/holds/"+id+"/approve-lift", "", 200, nil)
	}
	erase := func(subject, plan string, want int, into any) {
		t.Helper()
		own(first, "/api/v1/subjects/erase", `{"subjects":["`+subject+`"],"plan":"`+plan+`"}`, want, into)
	}
	plan := func(subject string) string {
		t.Helper()
		var a console.ErasureAnswer
		own(first, "/api/v1/subjects/erase", `{"subjects":["`+subject+`"]}`, 200, &a)
		return a.Plan
	}
	refused := func(subject, plan string, h console.Hold) {
		t.Helper()
		body := `{"subjects":["` + subject + `"]}`
		if plan != "" {
			body = `{"subjects":["` + subject + `"],"plan":"` + plan + `"}`
		}
		var p problem
		own(first, "/api/v1/subjects/erase", body, 409, &p)
		if p.Reason != "legal_hold" || p.Cause != "hold "+h.ID+" of matter CASE-7" {
			t.Errorf("%s: got %+v", subject, p)
		}
	}
	for _, path := range []string{"/api/v2/tickets.json", "/api/v2/tickets/35/comments.json"} {
		if a := do(t, g, call{method: "GET", path: path}); a.status != 200 {
			t.Fatalf("%s: %d", path, a.status)
		}
	}

	// Who may.
	const any = `{"matter":"CASE-7","custodian":"legal","reason":"x","subjects":["email:jane@example.com"]}`
	own(agent, "/api/v1/holds", any, 403, nil)
	own(watch, "/api/v1/holds", any, 403, nil)
	own(first, "/api/v1/holds", `{"matter":"CASE-7","custodian":"legal","reason":"x","subjects":["jane"]}`, 400, nil)
	own(first, "/api/v1/holds", `{"matter":"CASE-7","custodian":"legal","reason":"x","records":["zendesk/35"]}`, 400, nil)

	// A plan that was made before the hold is not carried out after it.
	early := plan("zendesk:user:41")
	h := place(`"subjects":["zendesk:user:41"]`)
	if h.State != "placed" || h.Scope.Subjects != 1 || h.Reason != "zebra v. gnu" || len(h.TooLate) != 0 {
		t.Errorf("placed: %+v", h)
	}
	refused("zendesk:user:41", early, h)
	refused("zendesk:user:41", "", h)
	refused("email:jane@example.com", "", h) // linked by a profile
	plan("zendesk:user:42")

	// Two persons lift it, and the one who asks is none of them twice.
	var p problem
	own(agent, "/api/v1/holds/"+h.ID+"/lift", `{"reason":"x"}`, 403, nil)
	own(second, "/api/v1/holds/"+h.ID+"/approve-lift", "", 400, nil)
	own(first, "/api/v1/holds/"+h.ID+"/lift", `{"reason":"settled"}`, 200, nil)
	own(first, "/api/v1/holds/"+h.ID+"/approve-lift", "", 400, &p)
	if !strings.Contains(p.Cause, "cannot agree") {
		t.Errorf("agreeing with oneself: %+v", p)
	}
	own(agent, "/api/v1/holds/"+h.ID+"/approve-lift", "", 403, nil)
	refused("zendesk:user:41", early, h)
	own(second, "/api/v1/holds/"+h.ID+"/approve-lift", "", 200, &h)
	if h.State != "lifted" || h.LiftAskedBy == h.LiftApprovedBy || h.LiftReason != "settled" {
		t.Errorf("lifted: %+v", h)
	}
	plan("zendesk:user:41")

	// A key and the one that it was rotated to are one person.
	key, keyID := newKey(t, g, "dpo")
	h = place(`"subjects":["zendesk:user:41"]`)
	own(key, "/api/v1/holds/"+h.ID+"/lift", `{"reason":"settled"}`, 200, nil)
	var rotated struct{ Secret string }
	g.API("POST", "/api/v1/apikeys/"+strings.TrimPrefix(keyID, "key:")+"/rotate", `{"overlap_seconds":3600}`, 201, &rotated)
	own(http.Header{"Caregate-Key": {rotated.Secret}}, "/api/v1/holds/"+h.ID+"/approve-lift", "", 400, nil)
	own(watch, "/api/v1/holds/"+h.ID+"/approve-lift", "", 200, nil)

	// By a record, by what hangs on it, by a query.
	account := strings.TrimPrefix(u.URL, "http://")
	h = place(`"records":["zendesk/` + account + `/ticket/35"]`)
	refused("zendesk:user:41", "", h)
	refused("zendesk:user:43", "", h) // wrote a comment on it
	plan("zendesk:user:42")
	lift(h.ID)
	h = place(`"queries":[{"channel":"zendesk","type":"ticket","since":"2026-01-01T00:00:00Z","until":"2026-03-01T00:00:00Z"}]`)
	refused("zendesk:user:41", "", h)
	plan("zendesk:user:42")
	lift(h.ID)

	// Somebody whom nobody knows is held, with what comes later.
	h = place(`"subjects":["zendesk:user:45"]`)
	if a := do(t, g, call{method: "POST", path: "/api/v2/tickets.json", body: `{"ticket":{"subject":"Refund"}}`}); a.status != 201 {
		t.Fatalf("got %d", a.status)
	}
	refused("zendesk:user:45", "", h)
	if _, by := recordsOf(g, "", "zendesk:user:45"); len(by) != 1 {
		t.Errorf("the records of the held person: %v", names(by))
	}
	lift(h.ID)
	var done console.ErasureAnswer
	erase("zendesk:user:45", plan("zendesk:user:45"), 200, &done)
	if !done.Erased || done.Event == "" {
		t.Errorf("erased: %+v", done)
	}

	var list struct{ Holds []console.Hold }
	g.API("GET", "/api/v1/holds", "", 200, &list)
	if len(list.Holds) != 5 {
		t.Errorf("%d holds", len(list.Holds))
	}
	if e := g.Event(done.Event); e.Type != "subject.erased" {
		t.Errorf("got %+v", e)
	}
	for _, typ := range []string{"hold.placed", "hold.lift_requested", "hold.lifted"} {
		var found console.FoundList
		own(first, "/api/v1/events/search", `{"type":"`+typ+`","limit":100}`, 200, &found)
		if len(found.Events) != 5 {
			t.Errorf("%d events %s, want 5", len(found.Events), typ)
		}
		for _, f := range found.Events {
			e := g.Event(f.Receipt)
			if text, err := json.Marshal(e); err != nil || strings.Contains(string(text), "zebra") || strings.Contains(string(text), "settled") || e.Attrs["matter"] != "CASE-7" {
				t.Errorf("the log has %s, %v", text, err)
			}
		}
	}
}
