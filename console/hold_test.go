package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// memoryHolds has one hold, h1, whose lifting the caller asked for.
type memoryHolds struct{ g *gateway }

func (m memoryHolds) one(id string) (Hold, error) {
	if id != "h1" {
		return Hold{}, fmt.Errorf("hold: %w", ErrNotFound)
	}
	at := time.Unix(2, 0).UTC()
	return Hold{ID: "h1", Matter: "CASE-7", Custodian: "legal", Reason: "zebra", State: "lifting", Placed: at, PlacedBy: "key:k1", LiftAsked: at, LiftAskedBy: "key:k1", LiftReason: "settled", LiftApproved: at, LiftApprovedBy: "key:k2",
		Scope:   &HoldScope{Subjects: 2, Records: []string{"desk/acme.example/ticket/35"}, Queries: []HoldQuery{{Channel: "desk", Host: "acme.example", Type: "ticket", Since: at, Until: at}}},
		TooLate: []LateHold{{Event: testReceipt, Begun: at}}}, m.g.eventErr
}

func (m memoryHolds) List(context.Context) ([]Hold, error) {
	h, err := m.one("h1")
	h.Scope, h.Reason = nil, ""
	return []Hold{h}, err
}

func (m memoryHolds) Get(_ context.Context, id string) (Hold, error) { return m.one(id) }

func (m memoryHolds) Place(_ context.Context, _ Actor, n NewHold) (Hold, error) {
	for _, s := range n.Subjects {
		if !strings.Contains(s, ":") {
			return Hold{}, fmt.Errorf("%w: subject", ErrInvalid)
		}
	}
	return m.one("h1")
}

func (m memoryHolds) Lift(_ context.Context, id string, _ Actor, _ string) (Hold, error) {
	return m.one(id)
}

func (m memoryHolds) ApproveLift(_ context.Context, id string, _ Actor) (Hold, error) {
	if id == "mine" {
		return Hold{}, fmt.Errorf("%w: whoever asks cannot agree", ErrInvalid)
	}
	return m.one(id)
}

// TestHoldAnswers calls the legal holds, also in ways that fail, and holds each answer against
// the description.
func TestHoldAnswers(t *testing.T) {
	t.Parallel()
	const holds, one = "/api/v1/holds", "/api/v1/holds/{id}"
	fails := func(g *gateway) { g.eventErr = errors.New("database is locked") }
	place := func(scope string) string {
		return `{"matter":"CASE-7","custodian":"legal","reason":"zebra",` + scope + `}`
	}
	list := func(n int, one string) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	checkAnswers(t, []answerCase{
		{name: "list", method: "GET", path: holds, status: 200},
		{name: "list without a database", method: "GET", path: holds, status: 500, reason: "internal_error", set: fails},
		{name: "read", method: "GET", path: holds + "/h1", pattern: one, status: 200},
		{name: "read what is not there", method: "GET", path: holds + "/h2", pattern: one, status: 404, reason: "not_found"},
		{name: "place on a person", method: "POST", path: holds, body: place(`"subjects":["email:jane@example.com"]`), status: 201},
		{name: "place on a record", method: "POST", path: holds, body: place(`"records":["desk/acme.example/ticket/35"]`), status: 201},
		{name: "place by a query", method: "POST", path: holds, body: place(`"queries":[{"channel":"desk","host":"acme.example","type":"ticket","since":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"}]`), status: 201},
		{name: "place as large as it may be", method: "POST", path: holds, body: place(`"subjects":` + list(500, `"email:`+strings.Repeat("x", 500)+`"`) + `,"records":` + list(1000, `"desk/acme.example/ticket/35"`) + `,"queries":` + list(16, `{"channel":"desk"}`)), status: 201},
		{name: "place on nothing", method: "POST", path: holds, body: place(`"subjects":[]`), status: 400, reason: "invalid_request", cause: "a hold of everything"},
		{name: "place on too many", method: "POST", path: holds, body: place(`"subjects":` + list(501, `"email:a"`)), status: 400, reason: "invalid_request", cause: "at most 500"},
		{name: "place on too many records", method: "POST", path: holds, body: place(`"records":` + list(1001, `"a/b/c/d"`)), status: 400, reason: "invalid_request", cause: "at most 500"},
		{name: "place by too many queries", method: "POST", path: holds, body: place(`"queries":` + list(17, `{"channel":"desk"}`)), status: 400, reason: "invalid_request", cause: "at most 500"},
		{name: "place what is too large", method: "POST", path: holds, body: place(`"subjects":["` + strings.Repeat("x", 2<<20) + `"]`), status: 413, reason: "body_too_large"},
		{name: "place on a long name", method: "POST", path: holds, body: place(`"subjects":["` + strings.Repeat("x", 513) + `"]`), status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "place on a name of no form", method: "POST", path: holds, body: place(`"subjects":["jane"]`), status: 400, reason: "invalid_request", cause: "subject"},
		{name: "place on a long record", method: "POST", path: holds, body: place(`"records":["` + strings.Repeat("x", 1025) + `"]`), status: 400, reason: "invalid_request", cause: "records"},
		{name: "place by a query of a word nobody knows", method: "POST", path: holds, body: place(`"queries":[{"channel":"desk","region":"eu"}]`), status: 400, reason: "invalid_request", cause: "queries: unknown"},
		{name: "place by a query twice", method: "POST", path: holds, body: place(`"queries":[{"channel":"desk","channel":"chat"}]`), status: 400, reason: "invalid_request", cause: "twice"},
		{name: "place by a query of no channel", method: "POST", path: holds, body: place(`"queries":[{"type":"ticket"}]`), status: 400, reason: "invalid_request", cause: "channel"},
		{name: "place by a query of null", method: "POST", path: holds, body: place(`"queries":[null]`), status: 400, reason: "json_syntax"},
		{name: "place by an empty window", method: "POST", path: holds, body: place(`"queries":[{"channel":"desk","since":"2026-02-01T00:00:00Z","until":"2026-01-01T00:00:00Z"}]`), status: 400, reason: "invalid_request", cause: "since"},
		{name: "place for a matter of words", method: "POST", path: holds, body: `{"matter":"Jane v. Acme","custodian":"legal","reason":"x","subjects":["email:a"]}`, status: 400, reason: "invalid_request", cause: "matter"},
		{name: "place with an address as custodian", method: "POST", path: holds, body: `{"matter":"CASE-7","custodian":"jane@example.com","reason":"x","subjects":["email:a"]}`, status: 400, reason: "invalid_request", cause: "custodian"},
		{name: "place without a reason", method: "POST", path: holds, body: `{"matter":"CASE-7","custodian":"legal","subjects":["email:a"]}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "place as somebody else", method: "POST", path: holds, body: place(`"subjects":["email:a"],"placed_by":"key:k9"`), status: 400, reason: "invalid_request", cause: "unknown"},
		{name: "place without a database", method: "POST", path: holds, body: place(`"subjects":["email:a"]`), status: 500, reason: "internal_error", set: fails},
		{name: "lift", method: "POST", path: holds + "/h1/lift", pattern: one + "/lift", body: `{"reason":"settled"}`, status: 200},
		{name: "lift without a reason", method: "POST", path: holds + "/h1/lift", pattern: one + "/lift", status: 400, reason: "invalid_request", cause: "reason"},
		{name: "lift what is not there", method: "POST", path: holds + "/h2/lift", pattern: one + "/lift", body: `{"reason":"settled"}`, status: 404, reason: "not_found"},
		{name: "lift for somebody else", method: "POST", path: holds + "/h1/lift", pattern: one + "/lift", body: `{"reason":"settled","by":"key:k9"}`, status: 400, reason: "invalid_request", cause: "unknown"},
		{name: "agree", method: "POST", path: holds + "/h1/approve-lift", pattern: one + "/approve-lift", status: 200},
		{name: "agree with oneself", method: "POST", path: holds + "/mine/approve-lift", pattern: one + "/approve-lift", status: 400, reason: "invalid_request", cause: "cannot agree"},
		{name: "agree as somebody else", method: "POST", path: holds + "/h1/approve-lift", pattern: one + "/approve-lift", body: `{"by":"key:k9"}`, status: 413, reason: "body_too_large"},
	})
}

// TestHoldEvents: the events of a hold name it and its matter, and nothing that a person wrote
// or was named by.
func TestHoldEvents(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.do("POST", "/api/v1/holds", `{"matter":"CASE-7","custodian":"legal","reason":"zebra","subjects":["email:jane@example.com"]}`)
	g.do("POST", "/api/v1/holds/h1/lift", `{"reason":"zebra"}`)
	if w := g.do("POST", "/api/v1/holds/h1/approve-lift", ""); w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	if len(g.journal.records) != 6 {
		t.Fatalf("%d events, want 6", len(g.journal.records))
	}
	for i, rec := range g.journal.records {
		if text := fmt.Sprint(rec.Attrs, rec.Detail, rec.About); strings.Contains(text, "zebra") || strings.Contains(text, "jane") {
			t.Errorf("%s has %s", rec.Operation.Name, text)
		}
		if i%2 == 1 && (rec.Attrs["hold"] != "h1" || rec.Attrs["matter"] != "CASE-7") {
			t.Errorf("%s has %v", rec.Operation.Name, rec.Attrs)
		}
	}
	if strings.Contains(g.log.String(), "zebra") || strings.Contains(g.log.String(), "jane") {
		t.Error("the gateway's own log says why or whom")
	}
}
