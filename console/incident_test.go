package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// memoryIncidents has one incident, i1.
type memoryIncidents struct {
	g     *gateway
	calls []string
}

func (m *memoryIncidents) find(id, what string, by Actor) (Incident, error) {
	m.calls = append(m.calls, what+" "+by.ID)
	switch {
	case id != "i1":
		return Incident{}, fmt.Errorf("incident: %w", ErrNotFound)
	case m.g.eventErr != nil:
		return Incident{}, m.g.eventErr
	}
	at := time.Unix(2, 0).UTC()
	return Incident{ID: "i1", Title: "An export", Phase: "known", OpenedAt: at, OpenedBy: "user:1", SuspectedAt: at, AwareAt: at, AwareBy: "failsafe",
		IncidentScope: IncidentScope{Places: []string{"de"}, Sectors: []string{"nis2"}, Role: "both", HighRiskAt: at, MaterialAt: at, ClassifiedAt: at, FixAt: at, From: at, To: at, Class: "iban", Route: "desk", Receipt: testReceipt},
		WithoutNotice: []string{"place:us"}, ClosedAt: at, Outcome: "settled",
		Duties:  []IncidentDuty{{Rule: "eu.breach.authority", Place: "de", State: "sent", CountsFrom: at, PlanBy: at, LegalDue: at, Urgency: "soon", Raised: "soon", Acknowledged: "soon", EndedAt: at, SentAt: at, Reason: "late", Proof: "LDA-1"}, {Rule: "eu.breach.subjects", Place: "de", State: "open", CountsFrom: at, PlanBy: at}},
		History: []IncidentEvent{{At: at, Kind: "incident.opened", Actor: "user:1", Facts: map[string]string{"places": "de"}, Receipt: testReceipt}}}, nil
}

func (m *memoryIncidents) List(context.Context) (IncidentList, error) {
	i, err := m.find("i1", "list", Actor{})
	i.History = nil
	return IncidentList{Incidents: []Incident{i}}, err
}

func (m *memoryIncidents) Get(_ context.Context, id string) (Incident, error) {
	return m.find(id, "get", Actor{})
}

func (m *memoryIncidents) Open(_ context.Context, by Actor, _ NewIncident) (Incident, error) {
	return m.find("i1", "open", by)
}

func (m *memoryIncidents) Aware(_ context.Context, id string, by Actor, d IncidentDecision) (Incident, error) {
	if d.Reason == "two words" {
		return Incident{}, fmt.Errorf("%w: the reason is a code", ErrInvalid)
	}
	return m.find(id, "aware", by)
}

func (m *memoryIncidents) Scope(_ context.Context, id string, by Actor, _ IncidentScope) (Incident, error) {
	return m.find(id, "scope", by)
}

func (m *memoryIncidents) Notice(_ context.Context, id string, by Actor, _ IncidentNotice) (Incident, error) {
	return m.find(id, "notice", by)
}

func (m *memoryIncidents) Waive(_ context.Context, id string, by Actor, _ IncidentNotice) (Incident, error) {
	return m.find(id, "waive", by)
}

func (m *memoryIncidents) Restore(_ context.Context, id string, by Actor, _ IncidentNotice) (Incident, error) {
	return m.find(id, "restore", by)
}

func (m *memoryIncidents) Ack(_ context.Context, id string, by Actor, _ []string) (Incident, error) {
	return m.find(id, "ack", by)
}

func (m *memoryIncidents) Close(_ context.Context, id string, by Actor) (Incident, error) {
	return m.find(id, "close", by)
}

func (m *memoryIncidents) Dismiss(_ context.Context, id string, by Actor, _ string) (Incident, error) {
	return m.find(id, "dismiss", by)
}

func (m *memoryIncidents) Affected(_ context.Context, id string, _ int) (ExposureList, error) {
	_, err := m.find(id, "affected", Actor{})
	return ExposureList{}, err
}

// memoryDuties has one that waits, d/1.
type memoryDuties struct{ g *gateway }

func (m memoryDuties) Waiting(context.Context) (DutyList, error) {
	return DutyList{Waiting: 1, Duties: []Duty{{ID: "d/1", Kind: "incident.notice.days", Due: time.Unix(2, 0).UTC()}}}, m.g.eventErr
}

func (m memoryDuties) Retry(_ context.Context, _ Actor, id, _ string) error {
	if id != "d/1" {
		return fmt.Errorf("duty: %w", ErrNotFound)
	}
	return m.g.eventErr
}

func (m memoryDuties) TrustClock(context.Context, Actor, string) error { return m.g.eventErr }

// TestIncidentAnswers calls the incidents, also in ways that fail, and holds each answer
// against the description.
func TestIncidentAnswers(t *testing.T) {
	t.Parallel()
	const all, one = "/api/v1/incidents", "/api/v1/incidents/{id}"
	fails := func(g *gateway) { g.eventErr = errors.New("database is locked") }
	tests := []answerCase{
		{name: "list", method: "GET", path: all, status: 200},
		{name: "list without a database", method: "GET", path: all, status: 500, reason: "internal_error", set: fails},
		{name: "read", method: "GET", path: all + "/i1", status: 200},
		{name: "read what is not there", method: "GET", path: all + "/i2", status: 404, reason: "not_found"},
		{name: "open", method: "POST", path: all, body: `{"title":"An export","suspected_at":"2026-11-23T09:00:00Z","places":["de"],"drill":false}`, status: 201},
		{name: "open without a title", method: "POST", path: all, body: `{"places":["de"]}`, status: 400, reason: "invalid_request", cause: "title"},
		{name: "open on two lines", method: "POST", path: all, body: `{"title":"a\nb"}`, status: 400, reason: "invalid_request", cause: "title"},
		{name: "open everywhere", method: "POST", path: all, body: `{"title":"x","places":["` + strings.Repeat(`de","`, 64) + `de"]}`, status: 400, reason: "invalid_request", cause: "places"},
		{name: "open something else", method: "POST", path: all, body: `{"title":"x","who":"jane"}`, status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "open without a database", method: "POST", path: all, body: `{"title":"x"}`, status: 500, reason: "internal_error", set: fails},
		{name: "aware", method: "POST", path: all + "/i1/aware", body: `{"aware_at":"2026-11-23T09:00:00Z","reason":"confirmed"}`, status: 200},
		{name: "aware at no time", method: "POST", path: all + "/i1/aware", body: `{"reason":"confirmed"}`, status: 400, reason: "invalid_request", cause: "aware_at"},
		{name: "aware without a reason", method: "POST", path: all + "/i1/aware", body: `{"aware_at":"2026-11-23T09:00:00Z"}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "aware for words", method: "POST", path: all + "/i1/aware", body: `{"aware_at":"2026-11-23T09:00:00Z","reason":"two words"}`, status: 400, reason: "invalid_request", cause: "want a code"},
		{name: "scope", method: "POST", path: all + "/i1/scope", body: `{"places":["fr"],"from":"2026-11-23T09:00:00Z"}`, status: 200},
		{name: "scope of another type", method: "POST", path: all + "/i1/scope", body: `{"places":"fr"}`, status: 400, reason: "invalid_request", cause: "places"},
		{name: "notice", method: "POST", path: all + "/i1/notices", body: `{"notices":["eu.breach.authority"],"sent_at":"2026-11-23T09:00:00Z"}`, status: 200},
		{name: "notice with a proof", method: "POST", path: all + "/i1/notices", body: `{"notices":["eu.breach.authority"],"sent_at":"2026-11-23T09:00:00Z","proof":"LDA-4711","reason":"found_late"}`, status: 200},
		{name: "notice late by words", method: "POST", path: all + "/i1/notices", body: `{"notices":["eu.breach.authority"],"sent_at":"2026-11-23T09:00:00Z","reason":"Jane Doe slept"}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "notice of nothing", method: "POST", path: all + "/i1/notices", body: `{"sent_at":"2026-11-23T09:00:00Z"}`, status: 400, reason: "invalid_request", cause: "notices"},
		{name: "notice at no time", method: "POST", path: all + "/i1/notices", body: `{"notices":["eu.breach.authority"]}`, status: 400, reason: "invalid_request", cause: "sent_at"},
		{name: "waive", method: "POST", path: all + "/i1/waive", body: `{"notices":["eu.breach.authority"],"reason":"risk_unlikely"}`, status: 200},
		{name: "waive without a reason", method: "POST", path: all + "/i1/waive", body: `{"notices":["eu.breach.authority"]}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "waive nothing", method: "POST", path: all + "/i1/waive", body: `{"reason":"risk_unlikely"}`, status: 400, reason: "invalid_request", cause: "notices"},
		{name: "waive what was sent", method: "POST", path: all + "/i1/waive", body: `{"notices":["eu.breach.authority"],"reason":"x","sent_at":"2026-11-23T09:00:00Z"}`, status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "restore", method: "POST", path: all + "/i1/restore", body: `{"notices":["eu.breach.authority"],"reason":"risk_likely"}`, status: 200},
		{name: "aware with a correction", method: "POST", path: all + "/i1/aware", body: `{"aware_at":"2026-11-23T09:00:00Z","reason":"confirmed","classified_at":"2026-11-23T09:00:00Z"}`, status: 200},
		{name: "ack", method: "POST", path: all + "/i1/ack", body: `{"seen":["eu.breach.authority/de/soon"]}`, status: 200},
		{name: "ack of nothing", method: "POST", path: all + "/i1/ack", status: 400, reason: "invalid_request", cause: "seen"},
		{name: "close", method: "POST", path: all + "/i1/close", status: 200},
		{name: "close what is not there", method: "POST", path: all + "/i2/close", status: 404, reason: "not_found"},
		{name: "dismiss", method: "POST", path: all + "/i1/dismiss", body: `{"reason":"test_data_only"}`, status: 200},
		{name: "dismiss without a reason", method: "POST", path: all + "/i1/dismiss", body: `{}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "affected", method: "POST", path: all + "/i1/affected", status: 200},
		{name: "affected, too many", method: "POST", path: all + "/i1/affected", body: `{"limit":10001}`, status: 400, reason: "invalid_request", cause: "limit"},
		{name: "affected by nothing", method: "POST", path: all + "/i2/affected", status: 404, reason: "not_found"},
		{name: "duties that wait", method: "GET", path: "/api/v1/duties", status: 200},
		{name: "duties without a database", method: "GET", path: "/api/v1/duties", status: 500, reason: "internal_error", set: fails},
		{name: "retry", method: "POST", path: "/api/v1/duties/retry", body: `{"duty":"d/1","reason":"mended"}`, status: 204},
		{name: "retry what does not wait", method: "POST", path: "/api/v1/duties/retry", body: `{"duty":"d/2","reason":"mended"}`, status: 404, reason: "not_found"},
		{name: "retry nothing", method: "POST", path: "/api/v1/duties/retry", body: `{"reason":"mended"}`, status: 400, reason: "invalid_request", cause: "duty"},
		{name: "retry for words", method: "POST", path: "/api/v1/duties/retry", body: `{"duty":"d/1","reason":"we mended it"}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "trust the clock", method: "POST", path: "/api/v1/duties/clock", body: `{"reason":"looked"}`, status: 204},
		{name: "trust the clock without a database", method: "POST", path: "/api/v1/duties/clock", body: `{"reason":"looked"}`, status: 500, reason: "internal_error", set: fails},
	}
	for i := range tests {
		tests[i].pattern = strings.Replace(strings.Replace(tests[i].path, all+"/i1", one, 1), all+"/i2", one, 1)
	}
	checkAnswers(t, tests)
}

// TestIncidentEvents: the events of the API name the incident and its phase, and nothing that
// a person wrote.
func TestIncidentEvents(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.do("POST", "/api/v1/incidents", `{"title":"jane exported"}`)
	g.do("POST", "/api/v1/incidents/i1/affected", "")
	if len(g.journal.records) != 4 {
		t.Fatalf("%d events, want 4", len(g.journal.records))
	}
	if a := g.journal.records[1].Attrs; a["incident"] != "i1" || a["phase"] != "known" {
		t.Errorf("got %v", a)
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
