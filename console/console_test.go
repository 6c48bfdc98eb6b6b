package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDescription holds openapi.json against the routes: every route is in it,
// nothing else is, and operation, parameter, body and security agree.
func TestDescription(t *testing.T) {
	t.Parallel()
	d := describe(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("openapi %q, want 3.1", d.OpenAPI)
	}
	described := make(map[string]bool)
	for path, ops := range d.Paths {
		for method := range ops {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	delete(described, "GET /livez")
	delete(described, "GET /readyz")
	for _, r := range routes() {
		id := r.method + " " + prefix + r.pattern
		op, ok := d.Paths[prefix+r.pattern][strings.ToLower(r.method)]
		if !ok {
			t.Errorf("%s is not in openapi.json", id)
			continue
		}
		delete(described, id)
		if op.OperationID != r.operation.Name {
			t.Errorf("%s: operationId %q, want %q", id, op.OperationID, r.operation.Name)
		}
		if (op.RequestBody != nil) != (r.decode != nil) {
			t.Errorf("%s: description and code differ about a body", id)
		}
		if anonymous := op.Security != nil; anonymous != (r.operation.Mark == "anonymous") {
			t.Errorf("%s: description and code differ about who may call", id)
		}
		if got, want := len(op.Parameters), strings.Count(r.pattern, "{"); got != want {
			t.Errorf("%s: %d parameters, want %d", id, got, want)
		}
		if r.operation.Effect != effectRead && r.operation.Effect != effectAdmin {
			t.Errorf("%s: effect %q", id, r.operation.Effect)
		}
		if r.changes == (r.method == http.MethodGet) {
			t.Errorf("%s: a GET must not change, everything else must be recorded", id)
		}
	}
	for id := range described {
		t.Errorf("openapi.json has %s, which does not exist", id)
	}
}

// TestAnswers calls everything, also in ways that fail, and holds each answer
// against the description.
func TestAnswers(t *testing.T) {
	t.Parallel()
	d := describe(t)
	key := `{"name":"sync job","roles":["service"],"grants":["ticket.export"],"expires":"2027-01-01T00:00:00Z"}`
	tests := []struct {
		name, method, path, pattern, body string
		set                               func(*gateway)
		status                            int
		reason                            string // of a refusal
		cause                             string // part of the cause
	}{
		{name: "alive", method: "GET", path: "/livez", status: 200},
		{name: "ready", method: "GET", path: "/readyz", status: 200},
		{name: "not ready", method: "GET", path: "/readyz", status: 503,
			set: func(g *gateway) {
				g.checks = append(g.checks, Check{Name: "vault", Text: "the keyset cannot be read"})
			}},
		{name: "the description", method: "GET", path: "/api/v1/openapi.json", status: 200},
		{name: "status", method: "GET", path: "/api/v1/status", status: 200},
		{name: "an event", method: "GET", path: "/api/v1/events/" + testReceipt, pattern: "/api/v1/events/{receipt}", status: 200},
		{name: "no such event", method: "GET", path: "/api/v1/events/" + strings.Repeat("0", 32), pattern: "/api/v1/events/{receipt}", status: 404, reason: "not_found"},
		{name: "not a receipt", method: "GET", path: "/api/v1/events/12", pattern: "/api/v1/events/{receipt}", status: 400, reason: "invalid_request", cause: "32"},
		{name: "the log fails", method: "GET", path: "/api/v1/events/" + testReceipt, pattern: "/api/v1/events/{receipt}", status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("database is locked") }},
		{name: "keys", method: "GET", path: "/api/v1/apikeys", status: 200},
		{name: "make a key", method: "POST", path: "/api/v1/apikeys", body: key, status: 201},
		{name: "no name", method: "POST", path: "/api/v1/apikeys", body: `{"roles":["agent"]}`, status: 400, reason: "invalid_request", cause: "name"},
		{name: "no role", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x"}`, status: 400, reason: "invalid_request", cause: "roles"},
		{name: "no body", method: "POST", path: "/api/v1/apikeys", status: 400, reason: "invalid_request", cause: "name"},
		{name: "unknown member", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x","roles":["agent"],"admin":true}`, status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "member in another case", method: "POST", path: "/api/v1/apikeys", body: `{"Name":"x","roles":["agent"]}`, status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "member twice", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x","name":"y","roles":["agent"]}`, status: 400, reason: "invalid_request", cause: "name is given twice"},
		{name: "another type", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x","roles":"agent"}`, status: 400, reason: "invalid_request", cause: "roles"},
		{name: "null", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x","roles":null}`, status: 400, reason: "invalid_request", cause: "roles"},
		{name: "two documents", method: "POST", path: "/api/v1/apikeys", body: key + key, status: 400, reason: "json_syntax"},
		{name: "an array", method: "POST", path: "/api/v1/apikeys", body: `[]`, status: 400, reason: "json_syntax"},
		{name: "cut off", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x"`, status: 400, reason: "json_syntax"},
		{name: "not UTF-8", method: "POST", path: "/api/v1/apikeys", body: "{\"name\":\"\xff\",\"roles\":[\"agent\"]}", status: 400, reason: "json_syntax"},
		{name: "half a surrogate pair", method: "POST", path: "/api/v1/apikeys", body: `{"name":"\ud800","roles":["agent"]}`, status: 400, reason: "invalid_request", cause: "name"},
		{name: "two lines in a name", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x\ny","roles":["agent"]}`, status: 400, reason: "invalid_request", cause: "name"},
		{name: "too many roles", method: "POST", path: "/api/v1/apikeys", body: `{"name":"x","roles":[` + strings.Repeat(`"a",`, 32) + `"a"]}`, status: 400, reason: "invalid_request", cause: "roles"},
		{name: "too large", method: "POST", path: "/api/v1/apikeys", body: `{"name":"` + strings.Repeat("x", maxBody) + `"}`, status: 413, reason: "body_too_large"},
		{name: "policy of keys says no", method: "POST", path: "/api/v1/apikeys", body: key, status: 400, reason: "invalid_request", cause: "no such role",
			set: func(g *gateway) { g.keys.fail = fmt.Errorf("%w: no such role", ErrInvalid) }},
		{name: "rotate", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", body: `{"overlap_seconds":60}`, set: withKey, status: 201},
		{name: "rotate without a body", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", set: withKey, status: 201},
		{name: "rotate what is not there", method: "POST", path: "/api/v1/apikeys/k9/rotate", pattern: "/api/v1/apikeys/{id}/rotate", status: 404, reason: "not_found"},
		{name: "rotate for years", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", body: `{"overlap_seconds":99999999}`, set: withKey, status: 400, reason: "invalid_request", cause: "overlap_seconds"},
		{name: "rotate into the past", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", body: `{"overlap_seconds":-1}`, set: withKey, status: 400, reason: "invalid_request", cause: "overlap_seconds"},
		{name: "revoke", method: "DELETE", path: "/api/v1/apikeys/k1", pattern: "/api/v1/apikeys/{id}", set: withKey, status: 204},
		{name: "revoke what is not there", method: "DELETE", path: "/api/v1/apikeys/k9", pattern: "/api/v1/apikeys/{id}", status: 404, reason: "not_found"},
		{name: "a body where none belongs", method: "DELETE", path: "/api/v1/apikeys/k1", pattern: "/api/v1/apikeys/{id}", body: `{}`, set: withKey, status: 413, reason: "body_too_large"},
		{name: "policy denies", method: "GET", path: "/api/v1/apikeys", status: 403, reason: "export_needs_grant",
			set: func(g *gateway) { g.decision = Decision{Reason: "export_needs_grant"} }},
		{name: "policy denies with a code nobody knows", method: "GET", path: "/api/v1/apikeys", status: 403, reason: "made_up",
			set: func(g *gateway) { g.decision = Decision{Reason: "made_up"} }},
		{name: "policy fails", method: "GET", path: "/api/v1/apikeys", status: 403, reason: "policy_error",
			set: func(g *gateway) { g.decision = Decision{Allow: true}; g.decide = errors.New("time out") }},
		{name: "a key that does not count", method: "GET", path: "/api/v1/status", status: 401, reason: "invalid_credential",
			set: func(g *gateway) { g.identify = &Refusal{Code: "invalid_credential"} }},
		{name: "nobody can look", method: "GET", path: "/api/v1/status", status: 401, reason: "invalid_credential",
			set: func(g *gateway) { g.identify = errors.New("state.db is locked") }},
		{name: "the log takes no events", method: "POST", path: "/api/v1/apikeys", body: key, status: 503, reason: "audit_unavailable",
			set: func(g *gateway) { g.journal.failBegin = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			if tt.set != nil {
				tt.set(g)
			}
			w := g.do(tt.method, tt.path, tt.body)
			body := bodyOf(w)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, body)
			}
			pattern := tt.pattern
			if pattern == "" {
				pattern = tt.path
			}
			if err := d.checkAnswer(tt.method, pattern, w.Code, w.Header().Get("Content-Type"), body); err != nil {
				t.Errorf("the answer is not what is described: %v", err)
			}
			if got := w.Header().Get(headerError); got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
			if tt.cause != "" && !strings.Contains(string(body), tt.cause) {
				t.Errorf("the answer does not mention %q: %s", tt.cause, body)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			for name := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("the answer has %s", name)
				}
			}
			if g.journal.open != 0 {
				t.Errorf("%d reservations were not given back", g.journal.open)
			}
			if strings.Contains(g.log.String(), testSecret) {
				t.Error("the secret is in the log")
			}
		})
	}
}

func withKey(g *gateway) {
	if _, _, err := g.keys.Create(context.Background(), NewKey{Name: "job", Roles: []string{"service"}}); err != nil {
		g.t.Fatal(err)
	}
}

// TestChangesAreRecorded: one event before the deed, one after it, with what was
// done, and the receipt of the second on the answer.
func TestChangesAreRecorded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.do("POST", "/api/v1/apikeys", `{"name":"job","roles":["service"],"grants":["ticket.export"]}`)
	if w.Code != http.StatusCreated {
		t.Fatalf("status %d", w.Code)
	}
	if got, want := w.Header().Get(headerReceipt), fmt.Sprintf("%032x", 2); got != want {
		t.Errorf("receipt %q, want %q", got, want)
	}
	if got, want := w.Header().Get("Location"), "/api/v1/apikeys/k1"; got != want {
		t.Errorf("location %q, want %q", got, want)
	}
	if len(g.journal.records) != 2 {
		t.Fatalf("%d events, want 2", len(g.journal.records))
	}
	before, after := g.journal.records[0], g.journal.records[1]
	if before.Done || g.journal.keysAt[0] != 0 {
		t.Error("the first event was recorded after the deed")
	}
	if !after.Done || after.Status != http.StatusCreated || after.Attrs["key"] != "k1" || after.Attrs["grants"] != "ticket.export" {
		t.Errorf("the second event does not say what was done: %+v", after)
	}
	for _, rec := range g.journal.records {
		for name, value := range rec.Attrs {
			if strings.Contains(value, testSecret) {
				t.Errorf("attribute %s holds the secret", name)
			}
		}
	}
	var made struct{ Secret string }
	if err := json.Unmarshal(bodyOf(w), &made); err != nil || made.Secret != testSecret {
		t.Errorf("the secret is not in the one answer that shows it (%v)", err)
	}
}

// TestAuditFailures: nothing is done that the log cannot hold, and what was done
// is undone and not shown.
func TestAuditFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		failAt  int
		made    int
		revoked bool
	}{
		{"before the deed", 1, 0, false},
		{"after the deed", 2, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			g.journal.failAt = tt.failAt
			w := g.do("POST", "/api/v1/apikeys", `{"name":"job","roles":["service"]}`)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get(headerError) != "audit_unavailable" {
				t.Errorf("got %d %s, want 503 audit_unavailable", w.Code, w.Header().Get(headerError))
			}
			if strings.Contains(string(bodyOf(w)), testSecret) {
				t.Error("the answer shows a key that the log does not know")
			}
			keys := g.keys.keys
			if len(keys) != tt.made {
				t.Fatalf("%d keys, want %d", len(keys), tt.made)
			}
			if tt.made > 0 && keys[0].Revoked.IsZero() == tt.revoked {
				t.Errorf("revoked: got %t, want %t", !keys[0].Revoked.IsZero(), tt.revoked)
			}
		})
	}
}

// TestDenialsAreRecorded: a denial is one durable event, and nothing was done.
func TestDenialsAreRecorded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.decision = Decision{Reason: "export_needs_grant", Proof: "input"}
	w := g.do("POST", "/api/v1/apikeys", `{"name":"job","roles":["admin"]}`)
	if w.Code != http.StatusForbidden || w.Header().Get(headerReceipt) == "" {
		t.Errorf("got %d with receipt %q", w.Code, w.Header().Get(headerReceipt))
	}
	if len(g.journal.records) != 1 || g.keys.count() != 0 {
		t.Fatalf("%d events and %d keys, want 1 and 0", len(g.journal.records), g.keys.count())
	}
	rec := g.journal.records[0]
	if rec.Decision.Allow || rec.Reason != "export_needs_grant" || rec.Status != 403 || rec.Decision.Proof != "input" || rec.Operation.Name != "apikey.create" {
		t.Errorf("the event does not say what was denied: %+v", rec)
	}
}

// TestCallerHangsUp: a change that was begun is finished and recorded.
func TestCallerHangsUp(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/apikeys", strings.NewReader(`{"name":"job","roles":["service"]}`))
	r.Header.Set("Content-Type", "application/json")
	g.handler.ServeHTTP(httptest.NewRecorder(), r)
	if len(g.journal.records) != 2 || g.keys.count() != 1 {
		t.Errorf("%d events and %d keys, want 2 and 1", len(g.journal.records), g.keys.count())
	}
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path string
		status             int
		allow              string
	}{
		{"unknown path", "GET", "/api/v1/tickets", 404, ""},
		{"outside the API", "GET", "/", 404, ""},
		{"a slash too many", "GET", "/api/v1/apikeys/", 404, ""},
		{"an escape", "GET", "/api/v1/api%6beys", 404, ""},
		{"dots", "GET", "/api/v1/events/../status", 404, ""},
		{"another method", "PUT", "/api/v1/apikeys", 405, "GET, POST"},
		{"a health check that writes", "POST", "/readyz", 405, "GET"},
		{"HEAD is GET without a body", "HEAD", "/api/v1/status", 200, ""},
		{"a long id", "DELETE", "/api/v1/apikeys/" + strings.Repeat("a", 65), 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newGateway(t).do(tt.method, tt.path, "")
			if w.Code != tt.status || w.Header().Get("Allow") != tt.allow {
				t.Errorf("got %d Allow %q, want %d %q", w.Code, w.Header().Get("Allow"), tt.status, tt.allow)
			}
			if tt.method == http.MethodHead && w.Body.Len() > 0 {
				t.Error("a HEAD has a body")
			}
		})
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	body := `{"name":"job","roles":["service"]}`
	tests := []struct {
		name, header string
		status       int
	}{
		{"JSON", "Content-Type: application/json", 201},
		{"JSON in UTF-8", "Content-Type: application/json; charset=utf-8", 201},
		{"JSON in something else", "Content-Type: application/json; charset=utf-16", 415},
		{"what a form can send", "Content-Type: text/plain", 415},
		{"compressed", "Content-Encoding: gzip", 415},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if w := newGateway(t).do("POST", "/api/v1/apikeys", body, tt.header); w.Code != tt.status {
				t.Errorf("got %d, want %d", w.Code, tt.status)
			}
		})
	}
}

// TestEveryCallIsAuthorised: no route reaches its deed without policy.
func TestEveryCallIsAuthorised(t *testing.T) {
	t.Parallel()
	for _, r := range routes() {
		t.Run(r.operation.Name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			g.decision = Decision{}
			path := strings.NewReplacer("{id}", "k1", "{receipt}", testReceipt).Replace(r.pattern)
			if w := g.do(r.method, prefix+path, ""); w.Code != http.StatusForbidden {
				t.Errorf("got %d, want 403", w.Code)
			}
			want := r.operation
			want.Method = r.method
			if len(g.asked) != 1 || g.asked[0] != want {
				t.Errorf("policy was asked about %+v, want %+v", g.asked, want)
			}
		})
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("New took an empty Config")
		}
	}()
	New(Config{})
}
