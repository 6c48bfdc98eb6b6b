package proxy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
)

// A review of who has access: everything that there is, with its use as the log knows it;
// nobody decides about a right of one's own; what is revoked does not count any more, what
// the gateway cannot revoke is never called done; and the report is signed.
func TestReview(t *testing.T) {
	sign, jwks := newIssuer(t)
	token := func(sub, role string) http.Header {
		return http.Header{"Caregate-Token": {sign(map[string]any{"sub": sub, "roles": []string{role}})}}
	}
	u := proxytest.NewUpstream(t, jsonUpstream(200, `{"tickets":[{"id":1,"requester_id":41},{"id":2,"requester_id":42}],"job_status":{"id":"x"}}`))
	api := proxytest.FreeAddr(t)
	g := proxytest.Start(t, proxytest.Options{Upstream: u.URL, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\n",
		Block: "identity jwt {\n issuer https://id.example\n audience caregate\n jwks " + jwks + "\n role support agent\n role watch security\n role privacy dpo\n }"})
	// own is a call of the API by a person, with its receipt.
	own := func(who http.Header, method, path, body string, want int, into any) string {
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
		if into != nil {
			if err := json.Unmarshal([]byte(a.body), into); err != nil {
				t.Fatal(err)
			}
		}
		return a.header.Get("Caregate-Receipt")
	}
	agent, watch, other, privacy := token("agent@example.com", "support"), token("watch@example.com", "watch"), token("other@example.com", "watch"), token("dpo@example.com", "privacy")

	// A program with a grant that it uses and one that it does not.
	var made struct {
		Key    struct{ ID string }
		Secret string
	}
	g.API("POST", "/api/v1/apikeys", `{"name":"nightly","roles":["service"],"grants":["zendesk:ticket.*","zendesk:user.*/bulk"]}`, 201, &made)
	program, holder := http.Header{"Caregate-Key": {made.Secret}}, "key:"+made.Key.ID
	for range 3 {
		if a := do(t, g, call{method: "GET", path: "/api/v2/tickets.json", header: program}); a.status != 200 {
			t.Fatalf("the program: got %d %s", a.status, a.body)
		}
	}
	// A standing approval.
	lead, leadID := newKey(t, g, "lead")
	bulk := call{method: "PUT", path: "/api/v2/tickets/update_many.json?ids=1,2", body: `{"ticket":{"status":"open"}}`, header: lead}
	approval := waits(t, do(t, g, bulk))
	g.API("POST", "/api/v1/approvals/"+approval+"/give", `{"standing":true,"filter":"ids=*","rows":1000,"until":"`+time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339)+`"}`, 200, nil)
	if a := do(t, g, bulk); a.status != 200 {
		t.Fatalf("the standing approval: got %d %s", a.status, a.body)
	}
	// People.
	for range 2 {
		if a := do(t, g, call{method: "GET", path: "/api/v2/tickets.json", header: agent}); a.status != 200 {
			t.Fatalf("the agent: got %d %s", a.status, a.body)
		}
	}
	own(privacy, "POST", "/api/v1/events/search", "", 200, nil)
	own(watch, "POST", "/api/v1/access/imports", `{"source":"helpdesk","format":"csv","text":"account,email,roles,mfa\nz.ebra,Agent@example.com,agent;admin,no\nw.atch,watch@example.com,,yes\nidle,,agent,\n"}`, 200, nil)

	later(t, stateOf(t, g), 91*24*time.Hour) // for rights to reveal
	var r console.Review
	own(agent, "POST", "/api/v1/access/reviews", "", 403, nil)
	own(privacy, "POST", "/api/v1/access/reviews", "", 403, nil)
	own(watch, "POST", "/api/v1/access/reviews", "", 201, &r)
	find := func(kind, right, holderOrName string) console.ReviewItem {
		t.Helper()
		for _, it := range r.Items {
			if it.Kind == kind && it.Right == right && (it.Holder == holderOrName || it.Name == holderOrName) {
				return it
			}
		}
		t.Fatalf("there is no %s %s of %s in %+v", kind, right, holderOrName, r.Items)
		return console.ReviewItem{}
	}
	uses := func(what string, it console.ReviewItem, calls, people int64) {
		t.Helper()
		if it.Use == nil || it.Use.Calls != calls || it.Use.People != people || (calls > 0) == it.Use.Last.IsZero() || (calls > 0) != (len(it.Use.Receipt) == 32) {
			t.Errorf("%s: use %+v, want %d calls with %d people", what, it.Use, calls, people)
		}
	}
	uses("the key", find("apikey", "roles service", holder), 3, 6)
	used, idle := find("grant", "zendesk:ticket.*", holder), find("grant", "zendesk:user.*/bulk", holder)
	uses("the grant in use", used, 3, 6)
	uses("the grant nobody uses", idle, 0, 0)
	var route struct{ Routes []struct{ Name string } }
	g.API("GET", "/api/v1/status", "", 200, &route)
	standing := find("standing", "zendesk:ticket.update_many on route "+route.Routes[0].Name+", up to 1000 rows a day", leadID)
	if standing.Use == nil || standing.Use.Calls != 1 {
		t.Errorf("the standing approval: use %+v, want one call", standing.Use)
	}
	role := find("role", "agent", "z.ebra")
	uses("the agent", role, 2, 4)
	if role.MFA != "yes" || role.Reveals || len(role.Holder) != 32 {
		t.Errorf("the agent: %+v", role)
	}
	account := find("account", "admin", "z.ebra")
	uses("the agent's account, by everybody who claims its address", account, 6, 12)
	if account.Source != "helpdesk" || account.MFA != "no" || account.Name != "Agent@example.com" {
		t.Errorf("the agent's account: %+v", account)
	}
	if it := find("account", "agent", "idle"); it.Use != nil {
		t.Errorf("an account that the log cannot know: use %+v", it.Use)
	}
	var dpo, mine *console.ReviewItem
	for i := range r.Items {
		switch it := &r.Items[i]; {
		case it.Kind == "role" && it.Right == "dpo":
			dpo = it
		case it.Kind == "role" && it.Right == "security":
			mine = it
		}
	}
	if dpo == nil || !dpo.Reveals || dpo.Lapsed.IsZero() || dpo.Lapsed.After(time.Now()) || mine == nil || !mine.Lapsed.IsZero() || !role.Lapsed.IsZero() {
		t.Fatalf("the dpo %+v, the reviewer %+v", dpo, mine)
	}

	// Decisions: not about one's own role, nor about one's own account.
	path := "/api/v1/access/reviews/" + r.ID
	decide := func(who http.Header, what, reason string, want int, items ...int) {
		t.Helper()
		list, _ := json.Marshal(items)
		own(who, "POST", path+"/decide", fmt.Sprintf(`{"items":%s,"decision":"%s","reason":"%s"}`, list, what, reason), want, nil)
	}
	revoke := []int{idle.Number, standing.Number, role.Number, account.Number}
	var keep []int
	for _, it := range r.Items {
		if it.Number != mine.Number && it.Holder != "w.atch" {
			keep = append(keep, it.Number)
		}
	}
	decide(watch, "keep", "x", 400, mine.Number)
	decide(watch, "keep", "x", 400, append(keep, find("account", "account", "w.atch").Number)...)
	decide(watch, "keep", "zebras work here", 200, keep...)
	decide(watch, "revoke", "the zebra has left", 200, revoke...)
	own(watch, "POST", path+"/close", "", 400, nil)
	decide(other, "keep", "reviews access", 200, mine.Number, find("account", "account", "w.atch").Number)
	own(privacy, "POST", path+"/close", "", 403, nil)
	who := other.Clone()
	who.Set("Caregate-Ticket", "CHG-17")
	receipt := own(who, "POST", path+"/close", "", 200, &r)
	if r.State != "closed" || r.Revoked != 2 || r.ByHand != 2 || len(r.Digest) != 64 || r.CloseTicket != "CHG-17" {
		t.Fatalf("closed: %+v", r)
	}
	if e := g.Event(receipt); e.Attrs["ticket"] != "CHG-17" || e.Attrs["report"] != r.Digest || e.Identity != "proven" {
		t.Errorf("the event of the closing: %+v", e)
	}

	// What was revoked.
	var keys struct{ Keys []console.Key }
	g.API("GET", "/api/v1/apikeys", "", 200, &keys)
	for _, k := range keys.Keys {
		if k.ID == made.Key.ID && (len(k.Grants) != 1 || k.Grants[0] != "zendesk:ticket.*" || !k.Revoked.IsZero()) {
			t.Errorf("the key has %v", k.Grants)
		}
	}
	if a := do(t, g, bulk); a.problem.Reason != "approval_required" {
		t.Errorf("the standing approval: got %d %s", a.status, a.body)
	}
	for n, want := range map[int]string{idle.Number: "done", standing.Number: "done", role.Number: "by_hand", account.Number: "by_hand", used.Number: ""} {
		it := r.Items[n-1]
		if it.Outcome != want || (want == "done") != (it.Event != "") || (want == "done") == it.Done.IsZero() {
			t.Errorf("item %d: outcome %s with event %q, want %s", n, it.Outcome, it.Event, want)
		}
	}
	e := g.Event(r.Items[idle.Number-1].Event)
	if e.Type != "access.revoked" || e.Operation != "apikey.narrow" || e.Attrs["key"] != made.Key.ID || e.Attrs["grants"] != idle.Right || e.Attrs["review"] != r.ID || e.Attrs["ticket"] != "CHG-17" {
		t.Errorf("the event of the grant: %+v", e)
	}
	e = g.Event(r.Event)
	if e.Type != "access.reviewed" || e.Attrs["report"] != r.Digest || e.Attrs["by_hand"] != "2" || e.Attrs["revoked"] != "2" {
		t.Errorf("the event of the review: %+v", e)
	}

	// The report.
	var report console.ReviewReport
	own(privacy, "GET", path+"/report", "", 200, &report)
	var status struct {
		Log struct {
			PublicKey string `json:"public_key"`
		}
	}
	g.API("GET", "/api/v1/status", "", 200, &status)
	keysOf := []string{status.Log.PublicKey}
	v, err := proxy.VerifyReview([]byte(report.Statement), []byte(report.JSON), []byte(report.HTML), keysOf)
	if err != nil || v.Digest != r.Digest || v.Event != r.Event || v.Review != r.ID {
		t.Errorf("the report: %+v, %v; want digest %s", v, err, r.Digest)
	}
	for name, change := range map[string]func(s, j, h string) (string, string, string){
		"the JSON": func(s, j, h string) (string, string, string) { return s, strings.Replace(j, "keep", "kept", 1), h },
		"the page": func(s, j, h string) (string, string, string) { return s, j, h + " " },
		"the statement": func(s, j, h string) (string, string, string) {
			return strings.Replace(s, r.ID, strings.Repeat("0", len(r.ID)), 1), j, h
		},
	} {
		s, j, h := change(report.Statement, report.JSON, report.HTML)
		if _, err := proxy.VerifyReview([]byte(s), []byte(j), []byte(h), keysOf); err == nil {
			t.Errorf("%s can be changed", name)
		}
	}
	if strings.Contains(report.HTML, "<script") || !strings.Contains(report.HTML, "to be done by people") || !strings.Contains(report.HTML, "(reveals; lapsed unused 20") || !strings.Contains(report.HTML, "z.ebra") || !strings.Contains(report.JSON, "the zebra has left") {
		t.Error("the report does not say what was decided")
	}

	// Nobody's name or reason is in the log, in the databases' files or in what the gateway
	// printed of itself.
	if rep := g.Verify(); len(rep.Problems) > 0 {
		t.Errorf("the log: %v", rep.Problems)
	}
	err = filepath.WalkDir(g.Data, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		for _, personal := range []string{"z.ebra", "gent@example.com", "the zebra has left", "w.atch"} {
			if bytes.Contains(b, []byte(personal)) {
				t.Errorf("%s holds a name or a reason", filepath.Base(name))
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
