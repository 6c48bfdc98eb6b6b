package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testReceipt = "00112233445566778899aabbccddeeff"
	testValue   = "DE89 value of the test"
	testTyped   = "7731"
	testSecret  = "cgk1-the-secret-of-the-test"
)

// gateway is an API in front of fakes, with hooks to make them fail.
type gateway struct {
	t       *testing.T
	handler http.Handler
	journal *memoryJournal
	keys    *memoryKeys
	log     *bytes.Buffer

	approvals *memoryApprovals
	tokens    *memoryTokens

	mu       sync.Mutex
	decision Decision
	decide   error
	identify error
	cookie   bool
	asked    []Operation
	checks   []Check
	event    Event
	eventErr error
	wanted   Wanted
	later    *Decision
}

func newGateway(t *testing.T, change ...func(*Config)) *gateway {
	t.Helper()
	g := &gateway{
		t: t, journal: &memoryJournal{}, keys: &memoryKeys{}, log: new(bytes.Buffer), approvals: newMemoryApprovals(), tokens: &memoryTokens{},
		decision: Decision{Allow: true},
		checks:   []Check{{Name: "audit", OK: true}},
		event: Event{
			Receipt: testReceipt, Exchange: testReceipt, Time: time.Date(2026, 11, 22, 5, 4, 3, 0, time.UTC),
			Type: "request.decided", Channel: "zendesk", Operation: "ticket.export", Effect: "read", Scope: "export",
			Decision: "deny", Reason: "export_needs_grant", Identity: "credential", Status: 403,
		},
	}
	g.journal.keys, g.tokens.g = g.keys, g
	c := Config{
		Local: true,
		Identify: func(*http.Request) (Actor, error) {
			return Actor{ID: "local", Proof: g, Cookie: g.cookie}, g.identify
		},
		Authorize: func(_ context.Context, a Actor, op Operation) (Decision, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if a.Proof != g {
				t.Error("the actor's proof did not come back")
			}
			g.asked = append(g.asked, op)
			// later is what is answered when the body is known, until others have agreed.
			if g.later != nil && op.Approvals == 0 && len(g.asked)%2 == 0 {
				return *g.later, nil
			}
			return g.decision, g.decide
		},
		Journal: g.journal,
		Reason: func(code string) (Reason, bool) {
			if code != "export_needs_grant" {
				return Reason{}, false
			}
			return Reason{code, 403, "The call exports records in volume, and the caller has no grant for it.", "Grant the operation to the key.", "security"}, true
		},
		Keys: g.keys, Sessions: memorySessions{g}, Approvals: g.approvals, Reviews: &memoryReviews{g: g}, Incidents: &memoryIncidents{g: g}, Duties: memoryDuties{g},
		Holds: memoryHolds{g}, Imports: memoryImports{g}, Requests: memoryRequests{g}, RevealRights: &memoryRevealRights{g: g}, Tokens: g.tokens,
		Approve: func(_ context.Context, _ Actor, op Operation, w Wanted) (Agreement, error) {
			g.wanted = w
			switch {
			case len(w.Presented) == 0:
				return Agreement{ID: "a9", Until: time.Unix(902, 0).UTC(), Fresh: true}, nil
			case w.Presented[0] != "a9":
				return Agreement{}, &Refusal{Code: "approval_invalid"}
			}
			if strings.HasPrefix(op.Name, "token.") {
				g.decision = Decision{Allow: op.Scope == "bulk"}
			}
			return Agreement{ID: "a9", Agreed: 2, By: []string{"key:k7", "key:k8"}}, nil
		},
		RotateKeys: func(_ context.Context, k RotateKeys) (KeysRotated, error) {
			if g.eventErr != nil {
				return KeysRotated{}, g.eventErr
			}
			if k.Master {
				return KeysRotated{Rotated: []string{"data", "master"}}, nil
			}
			return KeysRotated{Rotated: []string{"data"}}, nil
		},
		Records: func(_ context.Context, q RecordQuestion) (RecordList, error) {
			switch {
			case g.eventErr != nil:
				return RecordList{}, g.eventErr
			case q.After == "desk/none/ticket/1":
				return RecordList{}, ErrNotFound
			case q.Subjects[0] == "jane":
				return RecordList{}, ErrInvalid
			}
			at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
			r := KnownRecord{Record: "desk/acme.example/ticket/35", Channel: "desk", Host: "acme.example", Type: "ticket", ID: "35", FirstSeen: at, LastSeen: at, Created: at, Gone: at, Parent: "desk/acme.example/case/1", Classes: []string{"email"}}
			return RecordList{Records: []KnownRecord{r}, Known: 1, Linked: 2, More: true}, nil
		},
		Flags: fakeFlags{g},
		Erase: func(_ context.Context, e Erasure) (ErasureAnswer, error) {
			out := ErasureAnswer{People: []ErasedPerson{{Kind: "email", Known: true, Tokens: 3}}}
			switch e.Plan {
			case "":
				out.Plan = "plan-1"
			case "plan-1":
				out.Erased, out.Event = true, testReceipt
			default:
				return out, fmt.Errorf("%w: the plan is over", ErrInvalid)
			}
			return out, g.eventErr
		},
		Event: func(_ context.Context, receipt string) (Event, error) {
			if g.eventErr != nil {
				return Event{}, g.eventErr
			}
			if receipt != g.event.Receipt {
				return Event{}, fmt.Errorf("looking: %w", ErrNotFound)
			}
			return g.event, nil
		},
		Search: func(_ context.Context, s Search) (FoundList, error) {
			if s.Same != "" && s.Same != g.event.Receipt {
				return FoundList{}, ErrNotFound
			}
			if g.eventErr != nil || s.Subject == "" {
				return FoundList{}, g.eventErr
			}
			return FoundList{Events: []Found{{Receipt: testReceipt, Time: g.event.Time, Type: "response.decided", Actor: testReceipt}}, More: s.Limit == 1}, nil
		},
		Exposures: func(_ context.Context, s Search) (ExposureList, error) {
			if g.eventErr != nil || s.Class == "" {
				return ExposureList{}, g.eventErr
			}
			return ExposureList{
				Exposures: []Exposure{{Kind: "subject", Who: testReceipt, Class: s.Class, Route: "desk", Channel: "zendesk", Times: 3, First: g.event.Time, Last: g.event.Time, Receipt: testReceipt}},
				Coverage:  []Coverage{{Route: "desk", Answers: 9, Unread: 1}},
			}, nil
		},
		Status: func(context.Context) (Status, error) {
			return Status{Version: "v1", Name: "test", Gateway: "eu-1", OtherGateways: []string{"eu-2"}, Started: time.Unix(1, 0).UTC(), Configured: time.Unix(2, 0).UTC(), Log: LogStatus{Origin: "test/audit/2026h2", PublicKey: "k", Size: 3},
				Routes: []Route{{Name: "desk", Channel: "zendesk", Upstream: "https://example.com"}},
				Trails: []Trail{{Name: "zendesk/audit", Upstream: "https://example.com", Until: time.Unix(2, 0).UTC(), Trouble: "credential", Status: 401, Gaps: 1}},
				Tokens: []VendorToken{{Name: "desk", Version: 3, Expires: time.Unix(3, 0).UTC(), Lost: "revoked", Trouble: "refused"}},
				Review: ReviewStatus{Due: time.Unix(9, 0).UTC(), Open: "r1"}}, nil
		},
		Replay: func(_ context.Context, d Draft) (Replayed, error) {
			if g.eventErr != nil {
				return Replayed{}, g.eventErr
			}
			digest := strings.Repeat("0a", 32)
			r := Replayed{Now: digest, Draft: digest, Decisions: 2, Situations: 1}
			if !d.From.IsZero() {
				r.Lost, r.Changes = 2, []PolicyChange{{Kind: "vendor", Roles: []string{"agent"}, Direction: "request", Before: "allow", After: "deny policy_denied", Decisions: 2, Receipts: []string{testReceipt}}}
			}
			return r, nil
		},
		Purges: memoryPurges{},
		PlanRetention: func(_ context.Context, q RetentionQuestion) (RetentionPlan, error) {
			switch {
			case g.eventErr != nil:
				return RetentionPlan{}, g.eventErr
			case q.Schedule == "rules: []":
				return RetentionPlan{}, fmt.Errorf("%w: schedule:1:1: the schedule has no `version`", ErrInvalid)
			}
			at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
			p := RetentionPlan{Schedule: strings.Repeat("0a", 32), Revision: "r1", Made: at, At: at, Due: []RetentionDue{}, Samples: []RetentionSample{}, Spared: []RetentionSpared{}, Kept: []RetentionKept{}, Uncovered: []RetentionNoRules{}}
			if !q.At.IsZero() {
				p.At, p.Doubt, p.Records, p.Matched, p.Held, p.Gone = q.At, "it is 1h behind what it was", 9, 4, 1, 1
				p.Due = append(p.Due, RetentionDue{Rule: "chats", Action: "delete", Carried: "by_hand", Channel: "desk", Type: "ticket", Records: 3, Reopened: 1, Classes: map[string]int64{"email": 2}})
				p.Samples = append(p.Samples, RetentionSample{Rule: "chats", Records: []string{"desk/acme.example/ticket/35"}})
				p.Spared = append(p.Spared, RetentionSpared{Hold: "h1", Matter: "CASE-7", Records: 1})
				p.Kept = append(p.Kept, RetentionKept{Rule: "chats", Why: "open", Records: 2})
				p.Uncovered = append(p.Uncovered, RetentionNoRules{Channel: "desk", Type: "user", Records: 2})
			}
			return p, nil
		},
		Observed: func(context.Context) (Observed, error) {
			if g.eventErr != nil {
				return Observed{}, g.eventErr
			}
			return Observed{Since: time.Unix(1, 0).UTC(), Proposals: []Proposal{{Pattern: "################", Field: "gift", Classes: []string{"credit_card"}, Findings: 7, Reason: "seven"}}}, nil
		},
		Checks: func(context.Context) []Check { return g.checks },
		Logger: slog.New(slog.NewTextHandler(g.log, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	g.handler = New(c)
	return g
}

// do sends one call. Body "" is none; headers are "Name: value".
func (g *gateway) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	return w
}

// memoryJournal is the audit log as this package sees it.
type memoryJournal struct {
	mu        sync.Mutex
	records   []Record
	keysAt    []int // how many keys there were when each record was made
	open      int
	failBegin bool
	failAt    int // fail the n-th record, from 1
	keys      *memoryKeys
}

var errJournal = errors.New("disk full")

func (j *memoryJournal) Begin(context.Context) (Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failBegin {
		return nil, errJournal
	}
	j.open++
	return &memoryEntry{journal: j}, nil
}

type memoryEntry struct {
	journal *memoryJournal
	ended   bool
}

func (e *memoryEntry) Record(ctx context.Context, rec Record) (string, error) {
	j := e.journal
	n := j.keys.count()
	j.mu.Lock()
	defer j.mu.Unlock()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if j.failAt == len(j.records)+1 {
		return "", errJournal
	}
	j.records = append(j.records, rec)
	j.keysAt = append(j.keysAt, n)
	return fmt.Sprintf("%032x", len(j.records)), nil
}

func (e *memoryEntry) End() {
	e.journal.mu.Lock()
	defer e.journal.mu.Unlock()
	if !e.ended {
		e.ended = true
		e.journal.open--
	}
}

// memoryKeys keeps keys in memory.
type memoryKeys struct {
	mu   sync.Mutex
	keys []Key
	fail error
}

func (m *memoryKeys) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.keys)
}

func (m *memoryKeys) Create(_ context.Context, n NewKey) (Key, Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return Key{}, "", m.fail
	}
	k := Key{ID: fmt.Sprintf("k%d", len(m.keys)+1), Name: n.Name, Roles: n.Roles, Grants: n.Grants, Created: time.Unix(2, 0).UTC(), Expires: n.Expires}
	m.keys = append(m.keys, k)
	return k, testSecret, nil
}

func (m *memoryKeys) List(context.Context) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Key(nil), m.keys...), m.fail
}

func (m *memoryKeys) find(id string) (*Key, error) {
	for i := range m.keys {
		if m.keys[i].ID == id {
			return &m.keys[i], nil
		}
	}
	return nil, fmt.Errorf("key: %w", ErrNotFound)
}

func (m *memoryKeys) Rotate(ctx context.Context, id string, overlap time.Duration) (Key, Secret, error) {
	m.mu.Lock()
	k, err := m.find(id)
	if err != nil {
		m.mu.Unlock()
		return Key{}, "", err
	}
	k.Expires = time.Unix(3, 0).UTC().Add(overlap)
	n := NewKey{Name: k.Name, Roles: k.Roles, Grants: k.Grants}
	m.mu.Unlock()
	return m.Create(ctx, n)
}

func (m *memoryKeys) Revoke(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.find(id)
	if err != nil {
		return err
	}
	if m.fail != nil {
		return m.fail
	}
	k.Revoked = time.Unix(4, 0).UTC()
	return nil
}

// memorySessions has one, s1.
type memorySessions struct{ g *gateway }

func (m memorySessions) List(context.Context) ([]Session, error) {
	if m.g.eventErr != nil {
		return nil, m.g.eventErr
	}
	at := time.Unix(2, 0).UTC()
	return []Session{{ID: "s1", Actor: "user:00", Created: at, Used: at, Expires: at}}, nil
}

func (m memorySessions) Revoke(_ context.Context, id string) error {
	if id != "s1" {
		return fmt.Errorf("session: %w", ErrNotFound)
	}
	return m.g.eventErr
}

// memoryApprovals has one approval, a1, that somebody else asked for.
type memoryApprovals struct {
	mu   sync.Mutex
	one  Approval
	fail error
}

func newMemoryApprovals() *memoryApprovals {
	return &memoryApprovals{one: Approval{
		ID: "a1", State: "asked", Requester: "key:k1", Route: "desk", Channel: "zendesk", Operation: "ticket.update_many", Effect: "write", Scope: "bulk",
		Inner: map[string]int{"ticket.update": 3}, Records: 3, Needed: 1, Asked: time.Unix(2, 0).UTC(), Expires: time.Unix(902, 0).UTC(),
	}}
}

func (m *memoryApprovals) List(context.Context) ([]Approval, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return []Approval{m.one}, m.fail
}

func (m *memoryApprovals) Get(_ context.Context, id string) (Approval, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id != m.one.ID {
		return Approval{}, fmt.Errorf("approval: %w", ErrNotFound)
	}
	return m.one, m.fail
}

func (m *memoryApprovals) Give(ctx context.Context, id, approver string, terms *Terms) (Approval, error) {
	a, err := m.Get(ctx, id)
	if err != nil {
		return a, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.one.State != "asked" {
		return a, fmt.Errorf("%w: the approval is over", ErrInvalid)
	}
	m.one.State, m.one.Agreed, m.one.Terms = "given", []string{approver}, terms
	if terms != nil {
		m.one.State = "standing"
	}
	return m.one, nil
}

func (m *memoryApprovals) Refuse(ctx context.Context, id, approver string) (Approval, error) {
	a, err := m.Get(ctx, id)
	if err != nil {
		return a, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.one.State, m.one.RefusedBy, m.one.Settled = "refused", approver, time.Unix(5, 0).UTC()
	return m.one, nil
}

// memoryTokens knows the token t1. journal is looked at before it is opened.
type memoryTokens struct {
	before int // events there were before the tokens were opened
	fail   error
	g      *gateway
}

func (m *memoryTokens) Names(tokens []string) []string { return append([]string(nil), tokens...) }

func (m *memoryTokens) Reveal(_ context.Context, _ Actor, _ Operation, r Reveal) ([]Revealed, any, error) {
	if m.g != nil {
		m.before = len(m.g.journal.records)
	}
	if m.fail != nil {
		return nil, nil, m.fail
	}
	out := make([]Revealed, len(r.Tokens))
	for i, t := range r.Tokens {
		if t == "t1" {
			out[i] = Revealed{Found: true, Class: "iban", Value: testValue, Masked: !r.Full}
		}
	}
	return out, "about", nil
}

func (m *memoryTokens) Verify(_ context.Context, _ Actor, _ Operation, v Verify) (bool, any, error) {
	if m.g != nil {
		m.before = len(m.g.journal.records)
	}
	return v.Token == "t1" && v.Typed == testTyped, "about", m.fail
}

func bodyOf(w *httptest.ResponseRecorder) []byte {
	b, _ := io.ReadAll(w.Result().Body)
	return b
}

// fakeFlags knows one flag of jane's.
type fakeFlags struct{ g *gateway }

func (f fakeFlags) change(n NewFlag) (FlagAnswer, error) {
	switch {
	case f.g.eventErr != nil:
		return FlagAnswer{}, f.g.eventErr
	case n.Subjects[0] == "jane" || n.Flag == "legal_hold":
		return FlagAnswer{}, ErrInvalid
	}
	return FlagAnswer{Changed: 1, Event: "00112233445566778899aabbccddeeff"}, nil
}

func (f fakeFlags) Set(_ context.Context, _ Actor, n NewFlag) (FlagAnswer, error) {
	out, err := f.change(n)
	out.Flags = []SubjectFlag{{Subject: 1, ID: "00112233445566778899aabbccddeeff", Flag: n.Flag, Counts: true, Since: n.Since, Until: n.Until, Reason: n.Reason, Ticket: n.Ticket, SetBy: "key:1"}}
	return out, err
}

func (f fakeFlags) End(_ context.Context, _ Actor, n NewFlag) (FlagAnswer, error) { return f.change(n) }

func (f fakeFlags) List(_ context.Context, q FlagQuestion) (FlagList, error) {
	switch {
	case f.g.eventErr != nil:
		return FlagList{}, f.g.eventErr
	case q.Subjects[0] == "jane":
		return FlagList{}, ErrInvalid
	case !q.Linked:
		return FlagList{}, nil
	}
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	return FlagList{Flags: []SubjectFlag{{ID: "00112233445566778899aabbccddeeff", Flag: "objection", Since: at, Until: at, Ended: at, Erased: at, EndBy: "key:2"}}}, nil
}
