package proxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/proxy/proxytest"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
)

// placeHold places a hold of this scope over the gateway's socket.
func placeHold(g *proxytest.Gateway, scope string) (h console.Hold) {
	g.API("POST", "/api/v1/holds", `{"matter":"CASE-7","custodian":"legal","reason":"zebra v. gnu",`+scope+`}`, http.StatusCreated, &h)
	return h
}

// noSeal leaves reasons as they are.
type noSeal struct{}

func (noSeal) Seal(_ context.Context, _ string, plain []byte) ([]byte, error)  { return plain, nil }
func (noSeal) Open(_ context.Context, _ string, stored []byte) ([]byte, error) { return stored, nil }

// What a legal hold covers is not deleted through the gateway, by whatever the hold names it,
// from its placing to its lifting; other calls, and deletions of other things, go on.
func TestHoldsStopDeletions(t *testing.T) {
	u := proxytest.NewUpstream(t, desk)
	api := proxytest.FreeAddr(t)
	o := proxytest.Options{Upstream: u.URL, Sites: "http://" + api + " {\n bind 127.0.0.1\n caregate_api\n}\n"}
	g := proxytest.Start(t, o)
	account := strings.TrimPrefix(u.URL, "http://")
	shared := strings.HasPrefix(t.Name(), proxytest.OnPostgres+"/")
	security, _ := newKey(t, g, "security")
	lift := func(h console.Hold) {
		t.Helper()
		g.API("POST", "/api/v1/holds/"+h.ID+"/lift", `{"reason":"settled"}`, http.StatusOK, nil)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+api+"/api/v1/holds/"+h.ID+"/approve-lift", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = security.Clone()
		if a := send(t, req); a.status != http.StatusOK {
			t.Fatalf("agreeing to the lifting: got %d %s", a.status, a.body)
		}
	}
	var many struct{ Secret string }
	g.API("POST", "/api/v1/apikeys", `{"name":"cleaner","roles":["service"],"grants":["zendesk:ticket.destroy_many"]}`, http.StatusCreated, &many)
	remove := func(id string) call { return call{method: "DELETE", path: "/api/v2/tickets/" + id + ".json"} }
	bulk := func(ids string) call {
		return call{method: "DELETE", path: "/api/v2/tickets/destroy_many.json?ids=" + ids, header: http.Header{"Caregate-Key": {many.Secret}}}
	}
	user := func(id string) call { return call{method: "DELETE", path: "/api/v2/users/" + id + ".json"} }
	want := func(name string, c call, reason string) {
		t.Helper()
		before := len(u.Requests())
		a := do(t, g, c)
		passed := len(u.Requests()) - before
		if a.problem.Reason != reason || passed != 1 && reason == "" || passed != 0 && reason != "" {
			t.Errorf("%s: got %d %s, %d calls passed; want %q", name, a.status, a.body, passed, reason)
		}
		if reason != "legal_hold" {
			return
		}
		if a.status != http.StatusConflict || strings.Contains(a.body, "CASE-7") || strings.Contains(a.body, "jane") {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
		events := g.Exchange(a.problem.Receipt)
		text, err := json.Marshal(events)
		if err != nil || len(events) != 1 || events[0].Reason != "legal_hold" || strings.Contains(string(text), "jane") || strings.Contains(string(text), "zebra") {
			t.Errorf("%s: the log has %s, %v", name, text, err)
		}
	}
	list := call{method: "GET", path: "/api/v2/tickets.json"}
	want("reading", list, "")
	want("reading", call{method: "GET", path: "/api/v2/tickets/35/comments.json"}, "") // tells that user 41 is jane@example.com

	// Without a hold, and for calls that delete nothing, no table of holds is read. On
	// PostgreSQL somebody else may have placed one, so deletions ask.
	db, err := g.OpenDB("state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	hidden := func(do func()) {
		t.Helper()
		rename := func(from, to string) {
			if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
				t.Fatal(err)
			}
		}
		rename("hold", "hold_elsewhere")
		do()
		rename("hold_elsewhere", "hold")
	}
	if !shared {
		hidden(func() { want("a deletion without holds", remove("36"), "") })
	} else {
		want("a deletion without holds", remove("36"), "")
	}

	// By the person, by another name, by a record of the person, one of many.
	h := placeHold(g, `"subjects":["email:jane@example.com"]`)
	want("the linked name", user("41"), "legal_hold")
	want("a record of the person", remove("35"), "legal_hold")
	want("several records", bulk("36,35"), "legal_hold")
	want("records of others", bulk("36,38"), "")
	want("a record of somebody else", remove("36"), "")
	want("somebody else", user("42"), "")
	want("a text taken out of a record", call{method: "PUT", path: "/api/v2/chat_redactions/35.json", body: `{}`}, "legal_hold")
	want("reading of a held person", list, "")
	want("writing to a held person's record", call{method: "PUT", path: "/api/v2/tickets/35.json", body: `{"ticket":{"comment":{"body":"hello"}}}`}, "")

	// While nobody can say what is held, only what deletes waits.
	hidden(func() {
		want("a deletion while holds cannot be read", remove("36"), "index_unavailable")
		want("reading while holds cannot be read", list, "")
	})
	lift(h)
	want("after the lifting", remove("35"), "")

	// By the record and by query.
	h = placeHold(g, `"records":["zendesk/`+account+`/ticket/36"]`)
	want("the record", remove("36"), "legal_hold")
	want("whom it names", user("42"), "legal_hold")
	want("another record", remove("35"), "")
	lift(h)
	h = placeHold(g, `"queries":[{"channel":"zendesk","type":"ticket","until":"2026-02-01T00:00:00Z"}]`)
	want("a record by query", remove("35"), "legal_hold")
	want("a record that the query leaves out", remove("36"), "")
	want("a record that nobody saw", remove("4711"), "legal_hold")
	lift(h)
	want("after the last lifting", remove("36"), "")

	if shared {
		// Another gateway places one and lifts it.
		other, err := hold.Open(t.Context(), db, noSeal{})
		if err != nil {
			t.Fatal(err)
		}
		placed, err := other.Place(t.Context(), hold.New{Matter: "CASE-7", Custodian: "legal", Reason: "x", By: "key:a",
			Scope: hold.Scope{Records: []index.Record{{Channel: "zendesk", Host: account, Type: "ticket", ID: "36"}}}})
		if err != nil {
			t.Fatal(err)
		}
		await := func(reason string) {
			t.Helper()
			for begun := time.Now(); do(t, g, remove("36")).problem.Reason != reason; {
				if time.Since(begun) > time.Minute {
					t.Fatalf("what another gateway does to holds does not come: want %q", reason)
				}
			}
		}
		await("legal_hold")
		_, asked := other.AskLift(t.Context(), placed.ID, "key:a", "settled")
		_, agreed := other.Approve(t.Context(), placed.ID, "key:b", nil)
		if err := errors.Join(asked, agreed, other.Tell(t.Context(), func(context.Context, hold.Event) error { return nil })); err != nil {
			t.Fatal(err)
		}
		await("")
	}

	// Rules see what the gateway found, also where a route watches.
	h = placeHold(g, `"subjects":["email:jane@example.com"]`)
	watching := o
	watching.Govern = "observe"
	if err := g.Load(watching); err != nil {
		t.Fatal(err)
	}
	if events := g.Exchange(do(t, g, remove("35")).header.Get("Caregate-Receipt")); len(events) == 0 || events[0].Attrs["would"] != "legal_hold" {
		t.Errorf("a route that watches: %+v", events)
	}
	// A gateway that starts knows what is in force.
	g.Stop()
	if err := g.Load(o); err != nil {
		t.Fatal(err)
	}
	want("after a start", remove("35"), "legal_hold")
	lift(h)
	want("at the end", remove("35"), "")
}

// A deletion inside another call is one, and stops all that is with it.
func TestHoldsStopDeletionsInside(t *testing.T) {
	u, g := startCRM(t, `{"compositeResponse":[{"body":{"Id":"003A","Email":"jane@example.com","Description":"hello"},"httpStatusCode":200,"referenceId":"r"}]}`, "")
	account := strings.TrimPrefix(u.URL, "http://")
	show, remove, other := inner("GET", contactPath+"/003A", ""), inner("DELETE", contactPath+"/003A", ""), inner("DELETE", contactPath+"/003B", "")
	want := func(name, reason string, at int, calls ...string) {
		t.Helper()
		before := len(u.Requests())
		a := do(t, g, bearer(composite(calls...)))
		passed := len(u.Requests()) - before
		if reason == "" {
			if a.status != http.StatusOK || passed != 1 {
				t.Errorf("%s: got %d %s, want it to pass", name, a.status, a.body)
			}
			return
		}
		index, operation := refusedCall(t, a)
		if a.status != http.StatusConflict || a.problem.Reason != reason || passed != 0 || index != at || operation != "contact.remove" {
			t.Errorf("%s: got %d %s, %d calls passed; want %s of call %d", name, a.status, a.body, passed, reason, at)
		}
	}
	want("without holds", "", 0, show, remove)
	want("a record on its own", "", 0, show)
	placeHold(g, `"records":["crm/`+account+`/contact/003A"]`)
	want("the record inside", "legal_hold", 1, show, remove)
	want("behind another", "legal_hold", 0, other, remove)
	want("another record", "", 0, other)
	want("reading", "", 0, show)
	placeHold(g, `"subjects":["email:kim@example.com"]`)
	want("a held person by the body", "legal_hold", 0, other, inner("POST", contactPath, `{"Email":"kim@example.com"}`))
	want("a held person, nothing deleted", "", 0, inner("POST", contactPath, `{"Email":"kim@example.com"}`))
}
