package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// memoryPurges knows the run r1, which waits for others, and r2, which has ended.
type memoryPurges struct{}

func (m memoryPurges) Prepare(ctx context.Context, by Actor, schedule string) (PreparedPurge, error) {
	if schedule == "rules: []" {
		return PreparedPurge{}, fmt.Errorf("%w: schedule:1:1: the schedule has no `version`", ErrInvalid)
	}
	r, err := m.Get(ctx, "r1")
	r.PreparedBy = by.ID
	plan := RetentionPlan{Schedule: r.Schedule, Revision: "r", Made: r.At, At: r.At, Due: []RetentionDue{{Rule: "chats", Action: "delete", Carried: "connector", Channel: "desk", Type: "ticket", Records: 3, Classes: map[string]int64{}}},
		Samples: []RetentionSample{}, Spared: []RetentionSpared{}, Kept: []RetentionKept{}, Uncovered: []RetentionNoRules{}}
	return PreparedPurge{Run: r, Plan: plan}, err
}

func (m memoryPurges) List(ctx context.Context) ([]Purge, error) {
	p, err := m.Get(ctx, "r2")
	return []Purge{p}, err
}

func (m memoryPurges) Get(_ context.Context, id string) (Purge, error) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	p := Purge{ID: id, State: "planned", Schedule: strings.Repeat("0a", 32), Revision: "r", At: at, List: strings.Repeat("0b", 32), Prepared: at, PreparedBy: "key:a", Outcomes: []PurgeOutcome{{Rule: "chats", Action: "delete", Channel: "desk", Type: "ticket", State: "open", Records: 3}}}
	switch id {
	case "r2":
		p.State, p.Started, p.ApprovedBy, p.Ended, p.More = "done", at, "key:b", at, true
		p.Outcomes[0].State, p.Outcomes[0].Reason = "needs_human", "still_there"
	case "r1":
	default:
		return Purge{}, fmt.Errorf("%w: no run", ErrNotFound)
	}
	return p, nil
}

func (m memoryPurges) Start(ctx context.Context, id, list string, agreed []string) (Purge, error) {
	p, err := m.Get(ctx, id)
	switch {
	case err != nil:
		return p, err
	case len(agreed) == 0 || list != p.List:
		return p, fmt.Errorf("%w: nobody has agreed to it", ErrInvalid)
	}
	p.State, p.ApprovedBy = "running", strings.Join(agreed, ",")
	return p, nil
}

func (m memoryPurges) Next(ctx context.Context, id string) (PurgeStep, error) {
	if _, err := m.Get(ctx, id); err != nil {
		return PurgeStep{}, err
	}
	if id == "r2" {
		return PurgeStep{Done: true}, nil
	}
	return PurgeStep{Record: "0c", Operation: "ticket.delete", Status: 204, Seen: "done", Wait: 5}, nil
}

func (m memoryPurges) Certificate(_ context.Context, id string) (PurgeCertificate, error) {
	if id != "r2" {
		return PurgeCertificate{}, fmt.Errorf("%w: it goes on", ErrInvalid)
	}
	return PurgeCertificate{Certificate: "{}", Statement: "signed"}, nil
}

// TestPurgeAnswers calls runs, also in ways that fail, and holds each answer against the
// description.
func TestPurgeAnswers(t *testing.T) {
	t.Parallel()
	d := describe(t)
	const runs, one = "/api/v1/retention/runs", "/api/v1/retention/runs/{id}"
	for name, tt := range map[string]struct {
		method, path, pattern, body string
		set                         func(g *gateway)
		status                      int
		cause                       string
	}{
		"prepare":                         {method: "POST", path: runs, pattern: runs, body: `{"schedule":"version: 1"}`, status: 201, cause: `"planned"`},
		"prepare by the built-in one":     {method: "POST", path: runs, pattern: runs, status: 201},
		"prepare by mistakes":             {method: "POST", path: runs, pattern: runs, body: `{"schedule":"rules: []"}`, status: 400, cause: "schedule:1:1"},
		"prepare for another day":         {method: "POST", path: runs, pattern: runs, body: `{"at":"2027-01-01T00:00:00Z"}`, status: 400, cause: "unknown"},
		"list":                            {method: "GET", path: runs, pattern: runs, status: 200, cause: `"runs":[{"id":"r2"`},
		"read":                            {method: "GET", path: runs + "/r1", pattern: one, status: 200},
		"read one that has ended":         {method: "GET", path: runs + "/r2", pattern: one, status: 200, cause: "still_there"},
		"read none":                       {method: "GET", path: runs + "/r9", pattern: one, status: 404},
		"start when others have to":       {method: "POST", path: runs + "/r1/start", pattern: one + "/start", status: 403, cause: "/api/v1/approvals/a9", set: func(g *gateway) { g.decision = Decision{Reason: "approval_required"} }},
		"start to which nobody agreed":    {method: "POST", path: runs + "/r1/start", pattern: one + "/start", status: 400, cause: "nobody has agreed"},
		"start none":                      {method: "POST", path: runs + "/r9/start", pattern: one + "/start", status: 404},
		"next":                            {method: "POST", path: runs + "/r1/next", pattern: one + "/next", status: 200, cause: `"ticket.delete"`},
		"next of one that has ended":      {method: "POST", path: runs + "/r2/next", pattern: one + "/next", status: 200, cause: `"done":true`},
		"next of none":                    {method: "POST", path: runs + "/r9/next", pattern: one + "/next", status: 404},
		"the certificate":                 {method: "GET", path: runs + "/r2/certificate", pattern: one + "/certificate", status: 200, cause: "signed"},
		"the certificate of what goes on": {method: "GET", path: runs + "/r1/certificate", pattern: one + "/certificate", status: 400, cause: "goes on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			if tt.set != nil {
				tt.set(g)
			}
			w := g.do(tt.method, tt.path, tt.body)
			body := bodyOf(w)
			if w.Code != tt.status || !strings.Contains(string(body), tt.cause) {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, body)
			}
			if err := d.checkAnswer(tt.method, tt.pattern, w.Code, w.Header().Get("Content-Type"), body); err != nil {
				t.Error(err)
			}
		})
	}
	// What others have agreed to is the list.
	g := newGateway(t)
	g.later = &Decision{Reason: "approval_required"}
	if w := g.do(http.MethodPost, runs+"/r1/start", "", "Caregate-Approval: a9"); w.Code != http.StatusOK || !strings.Contains(string(bodyOf(w)), "key:k7,key:k8") {
		t.Errorf("starting: status %d: %s", w.Code, bodyOf(w))
	}
	if got, want := strings.Join(g.wanted.Bound, " "), "run=r1 list="+strings.Repeat("0b", 32); got != want {
		t.Errorf("the approval is bound to %q, want %q", got, want)
	}
}
