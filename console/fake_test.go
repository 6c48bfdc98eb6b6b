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
	testSecret  = "cgk1-the-secret-of-the-test"
)

// gateway is an API in front of fakes, with hooks to make them fail.
type gateway struct {
	t       *testing.T
	handler http.Handler
	journal *memoryJournal
	keys    *memoryKeys
	log     *bytes.Buffer

	mu       sync.Mutex
	decision Decision
	decide   error
	identify error
	asked    []Operation
	checks   []Check
	event    Event
	eventErr error
}

func newGateway(t *testing.T, change ...func(*Config)) *gateway {
	t.Helper()
	g := &gateway{
		t: t, journal: &memoryJournal{}, keys: &memoryKeys{}, log: new(bytes.Buffer),
		decision: Decision{Allow: true},
		checks:   []Check{{Name: "audit", OK: true}},
		event: Event{
			Receipt: testReceipt, Exchange: testReceipt, Time: time.Date(2026, 11, 22, 5, 4, 3, 0, time.UTC),
			Type: "request.decided", Channel: "zendesk", Operation: "ticket.export", Effect: "read", Scope: "export",
			Decision: "deny", Reason: "export_needs_grant", Identity: "credential", Status: 403,
		},
	}
	g.journal.keys = g.keys
	c := Config{
		Local: true,
		Identify: func(*http.Request) (Actor, error) {
			return Actor{ID: "local", Proof: g}, g.identify
		},
		Authorize: func(_ context.Context, a Actor, op Operation) (Decision, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if a.Proof != g {
				t.Error("the actor's proof did not come back")
			}
			g.asked = append(g.asked, op)
			return g.decision, g.decide
		},
		Journal: g.journal,
		Reason: func(code string) (Reason, bool) {
			if code != "export_needs_grant" {
				return Reason{}, false
			}
			return Reason{code, 403, "The call exports records in volume, and the caller has no grant for it.", "Grant the operation to the key.", "security"}, true
		},
		Keys: g.keys,
		Event: func(_ context.Context, receipt string) (Event, error) {
			if g.eventErr != nil {
				return Event{}, g.eventErr
			}
			if receipt != g.event.Receipt {
				return Event{}, fmt.Errorf("looking: %w", ErrNotFound)
			}
			return g.event, nil
		},
		Status: func(context.Context) (Status, error) {
			return Status{Version: "v1", Name: "test", Started: time.Unix(1, 0).UTC(), Log: LogStatus{Origin: "test/audit/2026h2", PublicKey: "k", Size: 3},
				Routes: []Route{{Name: "desk", Channel: "zendesk", Upstream: "https://example.com"}}}, nil
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

func bodyOf(w *httptest.ResponseRecorder) []byte {
	b, _ := io.ReadAll(w.Result().Body)
	return b
}
