package proxy_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy/proxytest"
)

// Requests of persons from end to end: nobody but the dpo finds out who asks or what is known
// of them, and the dpo only of a person who has proven to be the one; the flag of an opt-out
// counts for the next call; a deadline that is over is raised; who asks is nowhere in clear.
func TestRequests(t *testing.T) {
	sign, jwks := newIssuer(t)
	u := proxytest.NewUpstream(t, desk)
	api, metrics := proxytest.FreeAddr(t), proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\nhttp://" + metrics + " {\n bind 127.0.0.1\n metrics\n}\n",
		Block: "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role support agent\n role watch security\n role run admin\n role privacy dpo\n }"})
	who := func(sub, role string) http.Header {
		return http.Header{"Caregate-Token": {sign(map[string]any{"sub": sub, "roles": []string{role}})}}
	}
	dpo, admin, watch, agent := who("dpo@example.com", "privacy"), who("admin@example.com", "run"), who("watch@example.com", "watch"), who("agent@example.com", "support")
	own := func(as http.Header, method, path, body string, want int, into any) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+api+"/api/v1/requests"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = as.Clone()
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		a := send(t, req)
		if a.status != want {
			t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, want)
		}
		if into != nil {
			if r, ok := into.(*console.PrivacyRequest); ok {
				*r = console.PrivacyRequest{} // what is absent is not what was there before
			}
			if err := json.Unmarshal([]byte(a.body), into); err != nil {
				t.Fatal(err)
			}
		}
		return a
	}
	for _, path := range []string{"/api/v2/tickets.json", "/api/v2/tickets/35/comments.json"} {
		if a := do(t, g, call{method: "GET", path: path}); a.status != 200 {
			t.Fatalf("%s: %d", path, a.status)
		}
	}

	const requester = `,"requester":{"name":"Zelda Zebra","address":"zelda.zebra@example.org","note":"called twice"}`
	open := func(kind, place, subject, more string) (r console.PrivacyRequest) {
		t.Helper()
		own(admin, "POST", "", `{"kind":"`+kind+`","place":"`+place+`","manner":"email","subjects":["`+subject+`"]`+more+`}`, 201, &r)
		return r
	}
	own(agent, "POST", "", `{"kind":"access","place":"de","manner":"email","subjects":["email:a@example.com"]}`, 403, nil)
	own(watch, "POST", "", `{"kind":"access","place":"de","manner":"email","subjects":["email:a@example.com"]}`, 403, nil)
	own(dpo, "POST", "", `{"kind":"access","place":"de","manner":"email","subjects":["jane"]}`, 400, nil)
	r := open("access", "de", "zendesk:user:41", requester)
	one := "/" + r.ID
	if r.State != "open" || len(r.Duties) != 1 || r.Duties[0].Rule != "eu.dsar.respond" || len(r.Names) != 1 || !r.Names[0].Verified.IsZero() {
		t.Fatalf("opened: %+v", r)
	}

	// Who may: an admin takes requests in, and sees nobody.
	own(admin, "GET", one, "", 200, nil)
	own(watch, "GET", "", "", 200, nil)
	own(agent, "GET", one, "", 403, nil)
	for _, deed := range []string{"/requester", "/records", "/items", "/verify", "/note", "/answer", "/refuse", "/withdraw", "/duplicate", "/pause", "/extend", "/reauthenticate", "/acknowledge", "/resume", "/restart"} {
		for _, as := range []http.Header{admin, watch, agent} {
			own(as, "POST", one+deed, "", 403, nil)
		}
		g.API("POST", "/api/v1/requests"+one+deed, "", 403, nil) // whoever may open the socket
	}

	// Nobody is shown before somebody found out who asks, also not to the dpo.
	var asks console.RequestRequester
	own(dpo, "POST", one+"/requester", "", 200, &asks)
	if asks.Name != "Zelda Zebra" || asks.Address != "zelda.zebra@example.org" {
		t.Errorf("who asks: %+v", asks)
	}
	for _, deed := range []string{"/records", "/items"} {
		own(dpo, "POST", one+deed, "", 400, nil)
	}
	own(dpo, "POST", one+"/note", `{"rest":"provided"}`, 400, nil)
	own(dpo, "POST", one+"/answer", `{"notice":"L-1"}`, 400, nil)
	own(dpo, "POST", one+"/verify", `{"method":"account","proof":"CHECK-1"}`, 200, &r)
	if r.Names[0].Method != "account" {
		t.Errorf("verified: %+v", r)
	}
	var list console.RecordList
	own(dpo, "POST", one+"/records", `{"linked":true}`, 200, &list)
	_, by := recordsOf(g, `,"linked":true`, "zendesk:user:41")
	if len(list.Records) == 0 || len(list.Records) != len(by) || list.Linked == 0 {
		t.Errorf("%d records, the index has %d; %+v", len(list.Records), len(by), list)
	}
	// Another request of the same person opens nothing by it.
	other := open("access", "de", "email:jane@example.com", "")
	if len(other.Duplicates) != 1 || other.Duplicates[0] != r.ID {
		t.Errorf("duplicates: %+v", other.Duplicates)
	}
	own(dpo, "POST", "/"+other.ID+"/records", "", 400, nil)
	own(dpo, "POST", "/"+other.ID+"/verify", `{"method":"email_code","proof":"CHECK-1"}`, 400, nil)
	own(dpo, "POST", "/"+other.ID+"/withdraw", `{"notice":"MAIL-1"}`, 200, nil)

	own(dpo, "POST", one+"/answer", `{"notice":"L-1"}`, 400, nil)
	own(dpo, "POST", one+"/note", `{"rest":"provided"}`, 200, nil)
	var items console.RequestItems
	own(dpo, "POST", one+"/items", `{"limit":1}`, 200, &items)
	if len(items.Items) != 1 || items.Items[0].Result != "provided" || !items.More {
		t.Errorf("items: %+v", items)
	}
	own(dpo, "POST", one+"/answer", `{"notice":"L-1"}`, 200, &r)
	if r.State != "answered" || r.Duties[0].Done.IsZero() {
		t.Errorf("answered: %+v", r)
	}
	own(dpo, "POST", one+"/records", "", 400, nil)

	// An opt-out counts with the request.
	opt := open("opt_out_sale_sharing", "us-ca", "email:optout@example.com", "")
	var flags console.FlagList
	g.API("POST", "/api/v1/apikeys", `{"name":"flags","roles":["dpo"]}`, 201, nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+api+"/api/v1/subjects/flags/list", strings.NewReader(`{"subjects":["email:optout@example.com"]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = dpo.Clone()
	req.Header.Set("Content-Type", "application/json")
	if a := send(t, req); a.status != 200 || json.Unmarshal([]byte(a.body), &flags) != nil || len(flags.Flags) != 1 || !flags.Flags[0].Counts || flags.Flags[0].Ticket != opt.ID {
		t.Errorf("flags: %d %s", a.status, a.body)
	}

	// What is late is raised.
	late := open("deletion", "us-tx", "email:late@example.com", `,"received":"`+time.Now().AddDate(0, -3, 0).UTC().Format(time.RFC3339)+`"`)
	eventually(t, "the deadline is raised", func() bool {
		own(dpo, "GET", "/"+late.ID, "", 200, &late)
		for _, e := range late.History {
			if e.Kind == "request.deadline_raised" && e.Facts["stage"] == "late" {
				return true
			}
		}
		return false
	})
	eventually(t, "the metric", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+metrics+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		a := send(t, req)
		return a.status == 200 && strings.Contains(a.body, `caregate_request_deadlines{urgency="late",what="respond"} `) && strings.Contains(a.body, `caregate_request_deadlines_raised_total{urgency="late",what="respond"} `)
	})

	for _, typ := range []string{"request.opened", "request.verified", "request.items_noted", "request.closed", "request.deadline_raised"} {
		eventually(t, typ+" in the audit log", func() bool {
			req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+api+"/api/v1/events/search", strings.NewReader(`{"type":"`+typ+`","limit":100}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = dpo.Clone()
			req.Header.Set("Content-Type", "application/json")
			a := send(t, req)
			var found console.FoundList
			if a.status != 200 || json.Unmarshal([]byte(a.body), &found) != nil {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for _, f := range found.Events {
				if e := g.Event(f.Receipt); e.Attrs["request"] == "" || e.Attrs["entry"] == "" {
					t.Errorf("the log has %+v", e)
				}
			}
			return len(found.Events) > 0
		})
	}
	// Who asks is in no file of the gateway.
	err = filepath.WalkDir(g.Data, func(path string, e os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // the gateway still writes, and takes its own files away
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, word := range []string{"Zelda", "zelda.zebra", "called twice", "optout@example.com", "late@example.com"} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s has who asks, or by which name, in clear", filepath.Base(path))
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
