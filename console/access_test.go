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

// memoryReviews has one review, r1, with two items; the second is the caller's own.
type memoryReviews struct {
	g       *gateway
	decided int
	closing ReviewClosing
	opened  NewReview
	by      []string
}

func (m *memoryReviews) one() Review {
	at := time.Unix(2, 0).UTC()
	return Review{
		ID: "r1", State: "open", Opened: at, OpenedBy: "key:k1", Ticket: "CHG-1", Since: at, Until: at, Due: at, Log: "test/audit/2026h2", OtherGateways: []string{"eu-2"}, Undecided: 2 - m.decided, Kept: m.decided,
		Items: []ReviewItem{
			{Number: 1, Kind: "apikey", Holder: "key:k2", Source: "apikey", Name: "sync", Right: "roles service", Created: at, Use: &ReviewUse{Calls: 3, People: 9, Last: at, Receipt: testReceipt}},
			{Number: 2, Kind: "account", Holder: "jane", Source: "helpdesk", Name: "jane@example.com", Right: "admin", Reveals: true, Lapsed: at, LastLogin: at, Expires: at, MFA: "no", Active: "yes", Groups: []string{"all"},
				Decision: "revoke", Reviewer: "key:k1", Reason: "has left", Ticket: "CHG-2", Decided: at, Outcome: "by_hand"},
		},
	}
}

func (m *memoryReviews) find(id string) (Review, error) {
	if id != "r1" {
		return Review{}, fmt.Errorf("review: %w", ErrNotFound)
	}
	return m.one(), m.g.eventErr
}

func (m *memoryReviews) List(context.Context) (ReviewList, error) {
	r := m.one()
	r.Items = nil
	return ReviewList{Due: time.Unix(9, 0).UTC(), Reviews: []Review{r}, Imports: []AccountImport{{Source: "helpdesk", Format: "csv", At: r.Opened, By: "local", Accounts: 1, Digest: strings.Repeat("0a", 32)}}}, m.g.eventErr
}

func (m *memoryReviews) Get(_ context.Context, id string) (Review, error) { return m.find(id) }

func (m *memoryReviews) Open(_ context.Context, by Actor, n NewReview) (Review, error) {
	m.opened, m.by = n, append(m.by, by.ID)
	return m.one(), m.g.eventErr
}

func (m *memoryReviews) Decide(_ context.Context, id string, by Actor, d ReviewDecision) (Review, error) {
	for _, n := range d.Items {
		if n == 2 {
			return Review{}, fmt.Errorf("%w: nobody reviews a right of one's own", ErrInvalid)
		}
	}
	m.by = append(m.by, by.ID)
	m.decided = len(d.Items)
	return m.find(id)
}

func (m *memoryReviews) Decisions(_ context.Context, id string) (string, error) {
	_, err := m.find(id)
	return "1 keep", err
}

func (m *memoryReviews) Close(_ context.Context, id string, by Actor, c ReviewClosing) (Review, error) {
	m.closing, m.by = c, append(m.by, by.ID)
	r, err := m.find(id)
	r.State, r.ClosedBy, r.AgreedBy, r.Closed, r.Event, r.Digest = "closed", by.ID, c.Agreed, r.Opened, testReceipt, strings.Repeat("0b", 32)
	return r, err
}

func (m *memoryReviews) Report(_ context.Context, id string) (ReviewReport, error) {
	_, err := m.find(id)
	return ReviewReport{JSON: "{}", HTML: "<p>", Statement: "note"}, err
}

func (m *memoryReviews) Import(_ context.Context, by Actor, f AccountFile) (AccountImport, error) {
	if f.Format == "pdf" {
		return AccountImport{}, fmt.Errorf("%w: the formats are csv and scim", ErrInvalid)
	}
	m.by = append(m.by, by.ID)
	return AccountImport{Source: f.Source, Format: f.Format, At: time.Unix(2, 0).UTC(), By: by.ID, Accounts: 1, Digest: strings.Repeat("0a", 32)}, m.g.eventErr
}

// TestReviewAnswers calls the reviews of access, also in ways that fail, and holds each
// answer against the description.
func TestReviewAnswers(t *testing.T) {
	t.Parallel()
	const reviews, one = "/api/v1/access/reviews", "/api/v1/access/reviews/{id}"
	fails := func(g *gateway) { g.eventErr = errors.New("database is locked") }
	checkAnswers(t, []answerCase{
		{name: "list", method: "GET", path: reviews, status: 200},
		{name: "list without a database", method: "GET", path: reviews, status: 500, reason: "internal_error", set: fails},
		{name: "open", method: "POST", path: reviews, status: 201},
		{name: "open a window", method: "POST", path: reviews, body: `{"since":"2026-01-01T00:00:00Z"}`, status: 201},
		{name: "open something else", method: "POST", path: reviews, body: `{"until":"2026-01-01T00:00:00Z"}`, status: 400, reason: "invalid_request", cause: "since"},
		{name: "open without a database", method: "POST", path: reviews, status: 500, reason: "internal_error", set: fails},
		{name: "read", method: "GET", path: reviews + "/r1", pattern: one, status: 200},
		{name: "read what is not there", method: "GET", path: reviews + "/r2", pattern: one, status: 404, reason: "not_found"},
		{name: "decide", method: "POST", path: reviews + "/r1/decide", pattern: one + "/decide", body: `{"items":[1],"decision":"keep","reason":"works here"}`, status: 200},
		{name: "decide about oneself", method: "POST", path: reviews + "/r1/decide", pattern: one + "/decide", body: `{"items":[1,2],"decision":"keep","reason":"works here"}`, status: 400, reason: "invalid_request", cause: "own"},
		{name: "decide nothing", method: "POST", path: reviews + "/r1/decide", pattern: one + "/decide", body: `{"items":[],"decision":"keep","reason":"works here"}`, status: 400, reason: "invalid_request", cause: "items"},
		{name: "decide otherwise", method: "POST", path: reviews + "/r1/decide", pattern: one + "/decide", body: `{"items":[1],"decision":"perhaps","reason":"works here"}`, status: 400, reason: "invalid_request", cause: "keep or revoke"},
		{name: "decide without a reason", method: "POST", path: reviews + "/r1/decide", pattern: one + "/decide", body: `{"items":[1],"decision":"keep"}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "decide by a word", method: "POST", path: reviews + "/r1/decide", pattern: one + "/decide", body: `{"items":["1"],"decision":"keep","reason":"x"}`, status: 400, reason: "invalid_request", cause: "items"},
		{name: "close", method: "POST", path: reviews + "/r1/close", pattern: one + "/close", status: 200},
		{name: "close what is not there", method: "POST", path: reviews + "/r2/close", pattern: one + "/close", status: 404, reason: "not_found"},
		{name: "close when others agree", method: "POST", path: reviews + "/r1/close", pattern: one + "/close", status: 403, reason: "approval_required", cause: "/api/v1/approvals/a9",
			set: func(g *gateway) { g.decision = Decision{Reason: "approval_required"} }},
		{name: "close when nobody knows what is decided", method: "POST", path: reviews + "/r1/close", pattern: one + "/close", status: 500, reason: "internal_error",
			set: func(g *gateway) {
				g.decision, g.eventErr = Decision{Reason: "approval_required"}, errors.New("no database")
			}},
		{name: "report", method: "GET", path: reviews + "/r1/report", pattern: one + "/report", status: 200},
		{name: "report of nothing", method: "GET", path: reviews + "/r2/report", pattern: one + "/report", status: 404, reason: "not_found"},
		{name: "import", method: "POST", path: "/api/v1/access/imports", body: `{"source":"helpdesk","format":"csv","text":"account\njane\n"}`, status: 200},
		{name: "import of another format", method: "POST", path: "/api/v1/access/imports", body: `{"source":"helpdesk","format":"pdf","text":"x"}`, status: 400, reason: "invalid_request", cause: "csv"},
		{name: "import of nothing", method: "POST", path: "/api/v1/access/imports", body: `{"format":"csv","text":"x"}`, status: 400, reason: "invalid_request", cause: "source"},
		{name: "import of a large file", method: "POST", path: "/api/v1/access/imports", body: `{"source":"helpdesk","format":"csv","text":"` + strings.Repeat("x", maxBody) + `"}`, status: 200},
	})
}

// TestReviewEvents: the events of a review name ids, numbers and tickets, and nothing that a
// person wrote.
func TestReviewEvents(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m := &memoryReviews{g: g}
	g = newGateway(t, func(c *Config) { c.Reviews = m })
	m.g = g
	g.do("POST", "/api/v1/access/reviews", "", "Caregate-Ticket: CHG-7")
	g.do("POST", "/api/v1/access/reviews/r1/decide", `{"items":[1,3,4,5,9],"decision":"revoke","reason":"jane has left"}`, "Caregate-Ticket: CHG-7")
	g.do("POST", "/api/v1/access/imports", `{"source":"helpdesk","format":"csv","text":"account\njane\n"}`)
	g.later = &Decision{Reason: "approval_required"}
	g.mu.Lock()
	g.asked = nil
	g.mu.Unlock()
	if w := g.do("POST", "/api/v1/access/reviews/r1/close", "", "Caregate-Approval: a9", "Caregate-Ticket: CHG-8"); w.Code != http.StatusOK {
		t.Fatalf("closing: status %d: %s", w.Code, bodyOf(w))
	}
	if m.opened.Ticket != "CHG-7" || m.closing.Ticket != "CHG-8" || strings.Join(m.closing.Agreed, ",") != "key:k7,key:k8" || m.closing.Decisions != "1 keep" || len(m.by) != 4 {
		t.Errorf("what came through: %+v, %+v by %v", m.opened, m.closing, m.by)
	}
	if got := strings.Join(g.wanted.Bound, " "); got != "review=r1 decisions=1 keep" {
		t.Errorf("the approval is bound to %q", got)
	}
	if len(g.journal.records) != 8 {
		t.Fatalf("%d events, want 8", len(g.journal.records))
	}
	if got := g.journal.records[3].Attrs["items"]; got != "1,3-5,9" {
		t.Errorf("items %q", got)
	}
	for _, rec := range g.journal.records {
		if text := fmt.Sprint(rec.Attrs, rec.Detail); strings.Contains(text, "jane") {
			t.Errorf("%s has %s", rec.Operation.Name, text)
		}
	}
	if strings.Contains(g.log.String(), "jane") {
		t.Error("the gateway's own log names somebody")
	}
}

// TestRanges: numbers are short in an event, however many there are.
func TestRanges(t *testing.T) {
	t.Parallel()
	odd := make([]int, 5000)
	for i := range odd {
		odd[i] = 2*i + 1
	}
	if got := ranges(odd); len(got) > 2*maxRanges || !strings.Contains(got, "+") {
		t.Errorf("%d bytes", len(got))
	}
	if got := ranges([]int{3, 1, 2, 2, 7}); got != "1-3,7" {
		t.Errorf("got %q, want 1-3,7", got)
	}
}
