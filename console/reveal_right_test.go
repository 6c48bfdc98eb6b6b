package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// memoryRevealRights has one right, of user:d0; user:me is the caller.
type memoryRevealRights struct {
	g      *gateway
	undone int
}

func (m *memoryRevealRights) right() RevealRight {
	at := time.Unix(2, 0).UTC()
	return RevealRight{Actor: "user:d0", FirstSeen: at, LastUsed: at, Lapses: at.Add(time.Hour), Lapsed: true, Event: strings.Repeat("0a", 16)}
}

func (m *memoryRevealRights) List(context.Context) (RevealRightList, error) {
	return RevealRightList{UnusedAfterDays: 90, Rights: []RevealRight{m.right(), {Actor: "user:d1", FirstSeen: time.Unix(2, 0).UTC()}}}, m.g.eventErr
}

func (m *memoryRevealRights) Renew(_ context.Context, actor string, by Actor) (RevealRight, func(context.Context) error, error) {
	switch actor {
	case "user:d0":
	case "user:me":
		return RevealRight{}, nil, fmt.Errorf("%w: nobody renews a right of one's own", ErrInvalid)
	default:
		return RevealRight{}, nil, fmt.Errorf("right: %w", ErrNotFound)
	}
	r := m.right()
	r.Lapsed, r.Event, r.Renewed, r.RenewedBy = false, "", time.Unix(3, 0).UTC(), by.ID
	return r, func(context.Context) error { m.undone++; return nil }, m.g.eventErr
}

// TestRevealRightAnswers calls the rights to reveal, also in ways that fail, and holds each
// answer against the description.
func TestRevealRightAnswers(t *testing.T) {
	t.Parallel()
	const list, renew = "/api/v1/access/reveals", "/api/v1/access/reveals/renew"
	fails := func(g *gateway) { g.eventErr = errors.New("database is locked") }
	checkAnswers(t, []answerCase{
		{name: "list", method: "GET", path: list, status: 200, cause: `"unused_after_days":90`},
		{name: "list without a database", method: "GET", path: list, status: 500, reason: "internal_error", set: fails},
		{name: "renew", method: "POST", path: renew, body: `{"actor":"user:d0"}`, status: 200, cause: `"lapsed":false`},
		{name: "renew what nobody has", method: "POST", path: renew, body: `{"actor":"user:d2"}`, status: 404, reason: "not_found"},
		{name: "renew one's own", method: "POST", path: renew, body: `{"actor":"user:me"}`, status: 400, reason: "invalid_request", cause: "own"},
		{name: "renew nobody", method: "POST", path: renew, status: 400, reason: "invalid_request", cause: "actor"},
		{name: "renew what is no actor", method: "POST", path: renew, body: `{"actor":"Jane Doe"}`, status: 400, reason: "invalid_request", cause: "actor"},
		{name: "renew something else", method: "POST", path: renew, body: `{"key":"k1"}`, status: 400, reason: "invalid_request", cause: "actor"},
		{name: "renew without a database", method: "POST", path: renew, body: `{"actor":"user:d0"}`, status: 500, reason: "internal_error", set: fails},
		{name: "renew when others agree", method: "POST", path: renew, body: `{"actor":"user:d0"}`, status: 403, reason: "approval_required", cause: "/api/v1/approvals/a9",
			set: func(g *gateway) { g.decision = Decision{Reason: "approval_required"} }},
		{name: "renew as nobody who may", method: "POST", path: renew, body: `{"actor":"user:d0"}`, status: 403, reason: "admin_needs_role",
			set: func(g *gateway) { g.decision = Decision{Reason: "admin_needs_role"} }},
	})
}

// A renewal that the log could not hold is taken back.
func TestRenewalIsRecorded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m := &memoryRevealRights{g: g}
	g = newGateway(t, func(c *Config) { c.RevealRights = m })
	m.g = g
	g.do("POST", "/api/v1/access/reveals/renew", `{"actor":"user:d0"}`, "Caregate-Ticket: CHG-7")
	records := g.journal.records
	if len(records) != 2 || records[0].Attrs["holder"] != "user:d0" || records[1].Attrs["holder"] != "user:d0" || records[1].Ticket != "CHG-7" || m.undone != 0 {
		t.Errorf("the events: %+v, %d undone", records, m.undone)
	}
	g.journal.failAt = len(records) + 2
	if w := g.do("POST", "/api/v1/access/reveals/renew", `{"actor":"user:d0"}`); w.Code != 503 || m.undone != 1 {
		t.Errorf("without the second event: status %d, %d undone", w.Code, m.undone)
	}
}
