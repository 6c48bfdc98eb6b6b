package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// memoryRequests has one request, r1, whose person is known, and r2, whose is not.
type memoryRequests struct{ g *gateway }

func (m memoryRequests) find(id string) (PrivacyRequest, error) {
	switch {
	case id != "r1" && id != "r2":
		return PrivacyRequest{}, fmt.Errorf("request: %w", ErrNotFound)
	case m.g.eventErr != nil:
		return PrivacyRequest{}, m.g.eventErr
	}
	at := time.Unix(2, 0).UTC()
	return PrivacyRequest{ID: id, Kind: "deletion", Place: "de", Manner: "email", Agent: true, Authority: "signed_permission", Received: at, Opened: at, OpenedBy: "user:1", State: "answered",
		Duties:   []RequestDuty{{What: "respond", Rule: "eu.dsar.respond", PlanBy: at, LegalDue: at, Done: at, Urgency: "late", PausedSince: at, PauseCause: "identity", Extended: true, NeedsHuman: true, Steps: []string{"why"}}},
		RefuseBy: at, Names: []RequestName{{Verified: at, Method: "account"}, {}}, FailedChecks: 1, Authenticated: at, Items: map[string]int{"erased": 2}, Duplicates: []string{"r3"},
		Closed: at, ClosedBy: "user:1", Reason: "identity", Notice: "L-1", Other: "r3", History: []RequestEvent{{At: at, Kind: "request.opened", Actor: "user:1", Facts: map[string]string{"kind": "deletion"}}}}, nil
}

func (m memoryRequests) proven(id string) error {
	if _, err := m.find(id); err != nil {
		return err
	}
	if id == "r2" {
		return fmt.Errorf("%w: nobody has found out who the person is", ErrInvalid)
	}
	return nil
}

func (m memoryRequests) List(context.Context) ([]PrivacyRequest, error) {
	r, err := m.find("r1")
	r.Names, r.History = nil, nil
	return []PrivacyRequest{r}, err
}

func (m memoryRequests) Get(_ context.Context, id string) (PrivacyRequest, error) { return m.find(id) }

func (m memoryRequests) Open(_ context.Context, _ Actor, n NewPrivacyRequest) (PrivacyRequest, error) {
	if n.Place == "atlantis" {
		return PrivacyRequest{}, fmt.Errorf("%w: place: there are de", ErrInvalid)
	}
	return m.find("r1")
}

func (m memoryRequests) Change(_ context.Context, id string, _ Actor, c RequestChange) (PrivacyRequest, error) {
	if c.Deed == "note" {
		if err := m.proven(id); err != nil {
			return PrivacyRequest{}, err
		}
	}
	return m.find(id)
}

func (m memoryRequests) Requester(_ context.Context, id string) (RequestRequester, error) {
	_, err := m.find(id)
	return RequestRequester{Name: "Zelda Zebra", Address: "zelda@example.com", Agent: "Agents Ltd.", Note: "by post"}, err
}

func (m memoryRequests) Records(_ context.Context, id string, _ RecordQuestion) (RecordList, error) {
	return RecordList{Known: 1}, m.proven(id)
}

func (m memoryRequests) Items(_ context.Context, id, _ string, _ int) (RequestItems, error) {
	return RequestItems{Items: []RequestItem{{Place: "desk/a/ticket/1", Result: "kept_hold", Hold: "h1", Statute: "AO-147", Until: "2030-12-31", At: time.Unix(2, 0).UTC(), By: "user:1"}}}, m.proven(id)
}

// TestRequestAnswers calls the requests of persons, also in ways that fail, and holds each
// answer against the description.
func TestRequestAnswers(t *testing.T) {
	t.Parallel()
	const all, one = "/api/v1/requests", "/api/v1/requests/{id}"
	fails := func(g *gateway) { g.eventErr = errors.New("database is locked") }
	with := func(more string) string {
		return `{"kind":"deletion","place":"de","manner":"email","subjects":["email:jane@example.com"]` + more + `}`
	}
	item := `{"place":"desk/a/ticket/1","result":"erased"}`
	tests := []answerCase{
		{name: "list", method: "GET", path: all, status: 200},
		{name: "list without a database", method: "GET", path: all, status: 500, reason: "internal_error", set: fails},
		{name: "read", method: "GET", path: all + "/r1", status: 200},
		{name: "read what is not there", method: "GET", path: all + "/r9", status: 404, reason: "not_found"},
		{name: "open", method: "POST", path: all, body: with(`,"received":"2026-11-23T09:00:00Z","agent":true,"requester":{"name":"Zelda","address":"zelda@example.com","agent":"Agents Ltd.","note":"x"}`), status: 201},
		{name: "open somewhere else", method: "POST", path: all, body: strings.Replace(with(""), `"de"`, `"atlantis"`, 1), status: 400, reason: "invalid_request", cause: "place"},
		{name: "open for nobody", method: "POST", path: all, body: `{"kind":"deletion","place":"de","manner":"email"}`, status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "open for too many", method: "POST", path: all, body: `{"kind":"deletion","place":"de","manner":"email","subjects":["` + strings.Repeat(`email:a","`, 32) + `email:b"]}`, status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "open as somebody else", method: "POST", path: all, body: with(`,"opened_by":"user:9"`), status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "open as verified", method: "POST", path: all, body: with(`,"verified":true`), status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "open with who asks in another form", method: "POST", path: all, body: with(`,"requester":"Zelda"`), status: 400, reason: "json_syntax"},
		{name: "open with a long name", method: "POST", path: all, body: with(`,"requester":{"name":"` + strings.Repeat("x", 501) + `"}`), status: 400, reason: "invalid_request", cause: "requester"},
		{name: "open with two lines", method: "POST", path: all, body: with(`,"requester":{"name":"a\nb"}`), status: 400, reason: "invalid_request", cause: "requester"},
		{name: "open with a long kind", method: "POST", path: all, body: strings.Replace(with(""), `"deletion"`, `"`+strings.Repeat("x", 200)+`"`, 1), status: 400, reason: "invalid_request", cause: "codes"},
		{name: "open without a database", method: "POST", path: all, body: with(""), status: 500, reason: "internal_error", set: fails},
		{name: "requester", method: "POST", path: all + "/r1/requester", status: 200},
		{name: "requester of nothing", method: "POST", path: all + "/r9/requester", status: 404, reason: "not_found"},
		{name: "records", method: "POST", path: all + "/r1/records", body: `{"linked":true,"after":"desk/a/ticket/1","limit":10}`, status: 200},
		{name: "records of a person nobody knows", method: "POST", path: all + "/r2/records", status: 400, reason: "invalid_request", cause: "who the person is"},
		{name: "records of somebody else", method: "POST", path: all + "/r1/records", body: `{"subjects":["email:bob@example.com"]}`, status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "too many records", method: "POST", path: all + "/r1/records", body: `{"limit":10001}`, status: 400, reason: "invalid_request", cause: "limit"},
		{name: "items", method: "POST", path: all + "/r1/items", body: `{"after":"a","limit":10}`, status: 200},
		{name: "items of a person nobody knows", method: "POST", path: all + "/r2/items", status: 400, reason: "invalid_request", cause: "who the person is"},
		{name: "acknowledge", method: "POST", path: all + "/r1/acknowledge", body: `{"notice":"L-1","at":"2026-11-23T09:00:00Z"}`, status: 200},
		{name: "verify", method: "POST", path: all + "/r1/verify", body: `{"method":"account","proof":"P-1","at":"2026-11-23T09:00:00Z","names":[1],"authority":"signed_permission","failed":false}`, status: 200},
		{name: "verify too many", method: "POST", path: all + "/r1/verify", body: `{"names":[` + strings.Repeat("1,", 32) + `1]}`, status: 400, reason: "invalid_request", cause: "names"},
		{name: "verify by nobody's name", method: "POST", path: all + "/r1/verify", body: `{"names":["jane"]}`, status: 400, reason: "invalid_request", cause: "names"},
		{name: "reauthenticate", method: "POST", path: all + "/r1/reauthenticate", body: `{"method":"account","proof":"P-2"}`, status: 200},
		{name: "pause", method: "POST", path: all + "/r1/pause", body: `{"cause":"identity","notice":"L-1"}`, status: 200},
		{name: "pause with a reason", method: "POST", path: all + "/r1/pause", body: `{"reason":"identity"}`, status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "resume", method: "POST", path: all + "/r1/resume", body: `{"at":"2026-11-23T09:00:00Z"}`, status: 200},
		{name: "restart", method: "POST", path: all + "/r1/restart", body: `{"cause":"identity","from":"2026-11-23T09:00:00Z"}`, status: 200},
		{name: "extend", method: "POST", path: all + "/r1/extend", body: `{"reason":"complexity","notice":"L-1"}`, status: 200},
		{name: "note", method: "POST", path: all + "/r1/note", body: `{"items":[` + item + `],"rest":"erased"}`, status: 200},
		{name: "note as many as may be", method: "POST", path: all + "/r1/note", body: `{"items":[` + strings.Repeat(item+",", 999) + item + `]}`, status: 200},
		{name: "note too many", method: "POST", path: all + "/r1/note", body: `{"items":[` + strings.Repeat(item+",", 1000) + item + `]}`, status: 400, reason: "invalid_request", cause: "items"},
		{name: "note no place", method: "POST", path: all + "/r1/note", body: `{"items":[{"result":"erased"}]}`, status: 400, reason: "invalid_request", cause: "place"},
		{name: "note for somebody else", method: "POST", path: all + "/r1/note", body: `{"items":[{"place":"a","result":"erased","by":"user:9"}]}`, status: 400, reason: "invalid_request", cause: "items: unknown"},
		{name: "note of a person nobody knows", method: "POST", path: all + "/r2/note", body: `{"items":[` + item + `]}`, status: 400, reason: "invalid_request", cause: "who the person is"},
		{name: "answer", method: "POST", path: all + "/r1/answer", body: `{"notice":"L-1"}`, status: 200},
		{name: "refuse", method: "POST", path: all + "/r1/refuse", body: `{"reason":"identity","notice":"L-1"}`, status: 200},
		{name: "withdraw", method: "POST", path: all + "/r1/withdraw", body: `{"notice":"L-1"}`, status: 200},
		{name: "duplicate", method: "POST", path: all + "/r1/duplicate", body: `{"other":"r3","notice":"L-1"}`, status: 200},
		{name: "change nothing that is there", method: "POST", path: all + "/r9/answer", body: `{"notice":"L-1"}`, status: 404, reason: "not_found"},
	}
	for i := range tests {
		tt := &tests[i]
		tt.pattern = tt.path
		for _, id := range []string{"/r1", "/r2", "/r9"} {
			tt.pattern = strings.Replace(tt.pattern, all+id, one, 1)
		}
	}
	checkAnswers(t, tests)
}

// TestRequestEvents: the events of a request name it, and nobody.
func TestRequestEvents(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.do("POST", "/api/v1/requests", `{"kind":"deletion","place":"de","manner":"email","subjects":["email:jane@example.com"],"requester":{"name":"Zelda Zebra"}}`)
	g.do("POST", "/api/v1/requests/r1/requester", "")
	g.do("POST", "/api/v1/requests/r1/records", "")
	g.do("POST", "/api/v1/requests/r1/note", `{"items":[{"place":"desk/a/ticket/1","result":"erased"}]}`)
	if len(g.journal.records) != 8 {
		t.Fatalf("%d events, want two for each call", len(g.journal.records))
	}
	for _, rec := range g.journal.records {
		if text := fmt.Sprint(rec.Attrs, rec.Detail, rec.About); strings.Contains(text, "jane") || strings.Contains(text, "elda") || strings.Contains(text, "ticket/1") {
			t.Errorf("%s has %s", rec.Operation.Name, text)
		}
		if rec.Done && rec.Attrs["request"] != "r1" {
			t.Errorf("%s has %v", rec.Operation.Name, rec.Attrs)
		}
	}
	if text := g.log.String(); strings.Contains(text, "jane") || strings.Contains(text, "elda") {
		t.Error("the gateway's own log says who")
	}
}
