package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/sample"
	"github.com/caregate/caregate/proxy"
	"github.com/caregate/caregate/proxy/proxytest"
	"github.com/caregate/caregate/retention/purge"
)

// A run from end to end: what a helpdesk has from years before is imported, listed, agreed to by
// somebody else, deleted, purged by jobs, and read back after its trash; what is open or held is
// still there, the vendor's limit was kept, and the certificate verifies.
func TestPurge(t *testing.T) {
	helpdesk := sample.NewHelpdesk(sample.Options{APITokens: []string{"desk-token-of-the-gateway"}, History: 6, Rate: 1_000_000, Working: 1})
	u := proxytest.NewUpstream(t, helpdesk.ServeHTTP)
	// A vendor whose trash is over at once.
	words := strings.Fields(quickDesk(t, 50))
	file, err := os.ReadFile(words[1])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("trash: 30d", "trash: 1s", "limit: {calls: 400, per: 1m}", "limit: {calls: 1000000, per: 1m}").Replace(string(file))
	if err := os.WriteFile(words[1], []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("desk-token-of-the-gateway"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proxytest.Start(t, proxytest.Options{Channel: strings.Join(words, " "), Upstream: u.URL, Govern: "credential basic ana@helpdesk.example/token {file." + secret + "}"})
	for i := beginImport(g); !i.Done; {
		if i = next(g, t, i.ID); i.Trouble != "" {
			t.Fatal(i.Trouble)
		}
	}
	const first = 4_025_900_000_011 // the first ticket; each third one is open
	g.API("POST", "/api/v1/holds", `{"matter":"CASE-7","custodian":"legal","reason":"x","records":["`+fmt.Sprintf("zendesk/%s/ticket/%d", strings.TrimPrefix(u.URL, "http://"), first+37*2)+`"]}`, 201, nil)

	var made struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"dpo","roles":["dpo"],"grants":[]}`, http.StatusCreated, &made)
	dpo := http.Header{"Caregate-Key": {made.Secret}}
	wish := map[string]string{"schedule": "version: 1\nrevision: r1\nrules:\n  - {id: chats, purpose: support, channel: zendesk, types: [ticket, comment], from: closing, period: P12M, action: delete}\n"}
	var prepared console.PreparedPurge
	into := func(a answer, want int, v any) {
		t.Helper()
		if a.status != want {
			t.Fatalf("got %d %s, want %d", a.status, a.body, want)
		}
		if err := json.Unmarshal([]byte(a.body), v); err != nil {
			t.Fatal(err)
		}
	}
	into(ask(t, g, "POST", "/api/v1/retention/runs", wish, dpo), 201, &prepared)
	if prepared.Plan.Held != 1 || len(prepared.Plan.Due) != 1 || prepared.Plan.Due[0].Carried != "connector" || len(prepared.Run.Outcomes) != 1 || prepared.Run.Outcomes[0].Records != 3 {
		t.Fatalf("prepared: %+v", prepared)
	}
	run := "/api/v1/retention/runs/" + prepared.Run.ID
	if a := ask(t, g, "POST", run+"/next", nil, dpo); a.status != 400 {
		t.Errorf("before anybody agreed: %d %s", a.status, a.body)
	}
	id := waits(t, ask(t, g, "POST", run+"/start", nil, dpo))
	g.API("POST", "/api/v1/approvals/"+id+"/give", "", 200, nil)
	var p console.Purge
	into(ask(t, g, "POST", run+"/start", nil, with(dpo, id)), 200, &p)
	if p.State != "running" || p.ApprovedBy == "" {
		t.Fatalf("started: %+v", p)
	}
	pause := func(d time.Duration) { // as the gateway says
		t.Helper()
		select {
		case <-time.After(d):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	calls, seen := 0, 0
	for seen < 3 { // until each of the three was read back
		var s console.PurgeStep
		into(ask(t, g, "POST", run+"/next", nil, dpo), 200, &s)
		if s.Operation != "" {
			calls++
		}
		if s.Operation == "ticket.show" {
			seen++
		}
		if pause(time.Duration(s.Wait) * time.Millisecond); calls > 60 {
			t.Fatalf("%d calls", calls)
		}
	}
	// What lies in no trash any more the gateway looks at by itself.
	pause(time.Second)
	for p.State != "done" {
		wait, err := proxy.LookAgain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pause(min(wait, time.Second))
		p = console.Purge{}
		into(ask(t, g, "GET", run, nil, dpo), 200, &p)
	}
	into(ask(t, g, "GET", run, nil, dpo), 200, &p)
	if p.State != "done" || len(p.Outcomes) != 1 || p.Outcomes[0].State != "erased" || p.Outcomes[0].Records != 3 {
		t.Errorf("ended: %+v", p)
	}
	for n := range 6 {
		_, there := helpdesk.Ticket(int64(first + 37*n))
		if want := n%3 == 0 || n == 2; there != want {
			t.Errorf("ticket %d is there: %t, want %t", n, there, want)
		}
	}
	var c console.PurgeCertificate
	into(ask(t, g, "GET", run+"/certificate", nil, dpo), 200, &c)
	cert, statement, err := purge.Statement([]byte(c.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	var status console.Status
	g.API("GET", "/api/v1/status", "", 200, &status)
	if signed, _, err := audit.OpenStatement([]byte(c.Statement), purge.CertificateKind, []string{status.Log.PublicKey}); err != nil || signed != statement {
		t.Errorf("the certificate is signed as %q, %v, want %q", signed, err, statement)
	}
	if strings.Contains(c.Certificate, "40259") {
		t.Error("the certificate has the vendor's ids")
	}
	events := 0
	for _, rec := range cert.Records {
		for _, call := range rec.Calls {
			e := g.Event(call.Event)
			if e.Type != "retention.call" || e.Operation != call.Operation || e.Attrs["record"] != rec.Record || e.Attrs["seen"] != call.Seen {
				t.Errorf("the event of %+v is %+v", call, e)
			}
			events++
		}
	}
	if events < calls || events != 3*6 {
		t.Errorf("%d calls were asked for, %d are in the certificate", calls, events)
	}
	var found console.FoundList
	g.API("POST", "/api/v1/events/search", `{"type":"retention.ended","limit":10}`, 200, &found)
	if len(found.Events) != 1 {
		t.Errorf("%d ends are on record", len(found.Events))
	}
	// What was deleted is gone for the index as well.
	var plan console.RetentionPlan
	into(ask(t, g, "POST", "/api/v1/retention/plan", wish, dpo), 200, &plan)
	if plan.Matched != 1 || plan.Gone != 3 {
		t.Errorf("planned again: %+v", plan)
	}
}
