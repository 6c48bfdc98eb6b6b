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
		if r.operation.Effect != effectRead && r.operation.Effect != effectWrite && r.operation.Effect != effectAdmin {
			t.Errorf("%s: effect %q", id, r.operation.Effect)
		}
		if r.recorded == (r.method == http.MethodGet) {
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
	key := `{"name":"sync job","roles":["service"],"grants":["ticket.export"],"expires":"2027-01-01T00:00:00Z"}`
	checkAnswers(t, []answerCase{
		{name: "alive", method: "GET", path: "/livez", status: 200},
		{name: "ready", method: "GET", path: "/readyz", status: 200},
		{name: "not ready", method: "GET", path: "/readyz", status: 503,
			set: func(g *gateway) {
				g.checks = append(g.checks, Check{Name: "vault", Text: "the keyset cannot be read"})
			}},
		{name: "the description", method: "GET", path: "/api/v1/openapi.json", status: 200},
		{name: "status", method: "GET", path: "/api/v1/status", status: 200},
		{name: "what was observed", method: "GET", path: "/api/v1/observed", status: 200},
		{name: "nothing was observed", method: "GET", path: "/api/v1/observed", status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("no memory") }},
		{name: "a draft", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"deny.rego":"package caregate.operator"},"from":"2026-11-01T00:00:00Z"}`, status: 200},
		{name: "a draft that changes nothing", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"data.yaml":"version: 1"}}`, status: 200},
		{name: "what is due", method: "POST", path: "/api/v1/retention/plan", status: 200},
		{name: "what will be due", method: "POST", path: "/api/v1/retention/plan", body: `{"schedule":"version: 1","at":"2027-01-01T00:00:00Z"}`, status: 200},
		{name: "a schedule with a mistake", method: "POST", path: "/api/v1/retention/plan", body: `{"schedule":"rules: []"}`, status: 400, reason: "invalid_request", cause: "schedule:1:1"},
		{name: "a schedule that is no text", method: "POST", path: "/api/v1/retention/plan", body: `{"schedule":{}}`, status: 400, reason: "invalid_request", cause: "schedule"},
		{name: "a draft of nothing", method: "POST", path: "/api/v1/policy/replay", status: 400, reason: "invalid_request", cause: "files"},
		{name: "a draft that is a list", method: "POST", path: "/api/v1/policy/replay", body: `{"files":["deny.rego"]}`, status: 400, reason: "invalid_request", cause: "files"},
		{name: "a draft without a text", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"deny.rego":null}}`, status: 400, reason: "invalid_request", cause: "files"},
		{name: "a draft with a file twice", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"deny.rego":"","deny.rego":"x"}}`, status: 400, reason: "invalid_request", cause: "files"},
		{name: "a large draft", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"deny.rego":"` + strings.Repeat("#", maxBody) + `"}}`, status: 200},
		{name: "a draft too large", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"deny.rego":"` + strings.Repeat("#", maxDraft) + `"}}`, status: 413, reason: "body_too_large"},
		{name: "a draft that does not compile", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"deny.rego":"deny"}}`, status: 400, reason: "invalid_request", cause: "deny.rego:1",
			set: func(g *gateway) { g.eventErr = fmt.Errorf("%w: deny.rego:1: package expected", ErrInvalid) }},
		{name: "a draft without a log", method: "POST", path: "/api/v1/policy/replay", body: `{"files":{"deny.rego":""}}`, status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("no such file") }},
		{name: "an event", method: "GET", path: "/api/v1/events/" + testReceipt, pattern: "/api/v1/events/{receipt}", status: 200},
		{name: "no such event", method: "GET", path: "/api/v1/events/" + strings.Repeat("0", 32), pattern: "/api/v1/events/{receipt}", status: 404, reason: "not_found"},
		{name: "not a receipt", method: "GET", path: "/api/v1/events/12", pattern: "/api/v1/events/{receipt}", status: 400, reason: "invalid_request", cause: "32"},
		{name: "the log fails", method: "GET", path: "/api/v1/events/" + testReceipt, pattern: "/api/v1/events/{receipt}", status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("database is locked") }},
		{name: "events of a person", method: "POST", path: "/api/v1/events/search", body: `{"subject":"email:jane@example.com","from":"2026-11-01T00:00:00Z","limit":1}`, status: 200},
		{name: "all events", method: "POST", path: "/api/v1/events/search", status: 200},
		{name: "events of a stranger's actor", method: "POST", path: "/api/v1/events/search", body: `{"same":"` + strings.Repeat("0", 32) + `"}`, status: 404, reason: "not_found"},
		{name: "too many events", method: "POST", path: "/api/v1/events/search", body: `{"limit":10001}`, status: 400, reason: "invalid_request", cause: "limit"},
		{name: "two actors", method: "POST", path: "/api/v1/events/search", body: `{"same":"` + testReceipt + `","actor":"local"}`, status: 400, reason: "invalid_request", cause: "same or actor"},
		{name: "no time", method: "POST", path: "/api/v1/events/search", body: `{"from":"yesterday"}`, status: 400, reason: "invalid_request", cause: "from"},
		{name: "exposures", method: "POST", path: "/api/v1/exposures/search", body: `{"class":"us_ssn"}`, status: 200},
		{name: "no exposures", method: "POST", path: "/api/v1/exposures/search", status: 200},
		{name: "a subject in no form", method: "POST", path: "/api/v1/exposures/search", body: `{"subject":"jane"}`, status: 400, reason: "invalid_request", cause: "form",
			set: func(g *gateway) { g.eventErr = fmt.Errorf("%w: subject", ErrInvalid) }},
		{name: "the index fails", method: "POST", path: "/api/v1/exposures/search", status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("database is locked") }},
		{name: "approvals", method: "GET", path: "/api/v1/approvals", status: 200},
		{name: "approvals that cannot be read", method: "GET", path: "/api/v1/approvals", status: 500, reason: "internal_error",
			set: func(g *gateway) { g.approvals.fail = errors.New("database is locked") }},
		{name: "an approval", method: "GET", path: "/api/v1/approvals/a1", pattern: "/api/v1/approvals/{id}", status: 200},
		{name: "no such approval", method: "GET", path: "/api/v1/approvals/a2", pattern: "/api/v1/approvals/{id}", status: 404, reason: "not_found"},
		{name: "give", method: "POST", path: "/api/v1/approvals/a1/give", pattern: "/api/v1/approvals/{id}/give", status: 200},
		{name: "give for ever", method: "POST", path: "/api/v1/approvals/a1/give", pattern: "/api/v1/approvals/{id}/give", status: 200,
			body: `{"standing":true,"filter":"cursor=*","rows":100,"from":"01:00","to":"04:00","until":"2027-01-01T00:00:00Z"}`},
		{name: "terms of nothing", method: "POST", path: "/api/v1/approvals/a1/give", pattern: "/api/v1/approvals/{id}/give", status: 400, reason: "invalid_request",
			body: `{"rows":100}`, cause: "standing"},
		{name: "give twice", method: "POST", path: "/api/v1/approvals/a1/give", pattern: "/api/v1/approvals/{id}/give", status: 400, reason: "invalid_request", cause: "over",
			set: func(g *gateway) { g.approvals.one.State = "given" }},
		{name: "refuse", method: "POST", path: "/api/v1/approvals/a1/refuse", pattern: "/api/v1/approvals/{id}/refuse", status: 200},
		{name: "refuse what is not there", method: "POST", path: "/api/v1/approvals/a2/refuse", pattern: "/api/v1/approvals/{id}/refuse", status: 404, reason: "not_found"},
		{name: "reveal", method: "POST", path: "/api/v1/tokens/reveal", body: `{"tokens":["t1","t2"],"reason":"refund by hand","ticket":"T-17"}`, status: 200},
		{name: "reveal without reason", method: "POST", path: "/api/v1/tokens/reveal", body: `{"tokens":["t1"],"ticket":"T-17"}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "reveal without ticket", method: "POST", path: "/api/v1/tokens/reveal", body: `{"tokens":["t1"],"reason":"refund by hand"}`, status: 400, reason: "invalid_request", cause: "ticket"},
		{name: "reveal nothing", method: "POST", path: "/api/v1/tokens/reveal", body: `{"reason":"refund by hand","ticket":"T-17"}`, status: 400, reason: "invalid_request", cause: "tokens"},
		{name: "reveal too many", method: "POST", path: "/api/v1/tokens/reveal", body: `{"tokens":[` + strings.Repeat(`"t1",`, 200) + `"t1"],"reason":"refund by hand","ticket":"T-17"}`,
			status: 400, reason: "invalid_request", cause: "200"},
		{name: "reveals are limited", method: "POST", path: "/api/v1/tokens/reveal", body: `{"tokens":["t1"],"reason":"refund by hand","ticket":"T-17"}`, status: 403, reason: "reveal_limit",
			set: func(g *gateway) { g.tokens.fail = &Refusal{Code: "reveal_limit"} }},
		{name: "the vault is down", method: "POST", path: "/api/v1/tokens/reveal", body: `{"tokens":["t1"],"reason":"refund by hand","ticket":"T-17"}`, status: 500, reason: "internal_error",
			set: func(g *gateway) { g.tokens.fail = errors.New("database is locked") }},
		{name: "a reveal that waits for others", method: "POST", path: "/api/v1/tokens/reveal", body: `{"tokens":["t1"],"reason":"refund by hand","ticket":"T-17"}`, status: 403, reason: "approval_required",
			cause: "/api/v1/approvals/a9", set: func(g *gateway) { g.later = &Decision{Reason: "approval_required"} }},
		{name: "verify", method: "POST", path: "/api/v1/tokens/verify", body: `{"token":"t1","typed":"7731"}`, status: 200},
		{name: "verify without a token", method: "POST", path: "/api/v1/tokens/verify", body: `{"typed":"7731"}`, status: 400, reason: "invalid_request", cause: "token"},
		{name: "verify nothing", method: "POST", path: "/api/v1/tokens/verify", body: `{"token":"t1"}`, status: 400, reason: "invalid_request", cause: "four digits"},
		{name: "verify what nobody types", method: "POST", path: "/api/v1/tokens/verify", body: `{"token":"t1","typed":"77"}`, status: 400, reason: "invalid_request", cause: "four digits",
			set: func(g *gateway) { g.tokens.fail = ErrInvalid }},
		{name: "verifying is limited", method: "POST", path: "/api/v1/tokens/verify", body: `{"token":"t1","typed":"7731"}`, status: 403, reason: "verify_limit",
			set: func(g *gateway) { g.tokens.fail = &Refusal{Code: "verify_limit"} }},
		{name: "the vault fails a verification", method: "POST", path: "/api/v1/tokens/verify", body: `{"token":"t1","typed":"7731"}`, status: 500, reason: "internal_error",
			set: func(g *gateway) { g.tokens.fail = errors.New("database is locked") }},
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
		{name: "sessions", method: "GET", path: "/api/v1/sessions", status: 200},
		{name: "sessions that cannot be read", method: "GET", path: "/api/v1/sessions", status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("database is locked") }},
		{name: "log somebody out", method: "DELETE", path: "/api/v1/sessions/s1", pattern: "/api/v1/sessions/{id}", status: 204},
		{name: "log out who is not there", method: "DELETE", path: "/api/v1/sessions/s9", pattern: "/api/v1/sessions/{id}", status: 404, reason: "not_found"},
		{name: "rotate", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", body: `{"overlap_seconds":60}`, set: withKey, status: 201},
		{name: "rotate without a body", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", set: withKey, status: 201},
		{name: "rotate what is not there", method: "POST", path: "/api/v1/apikeys/k9/rotate", pattern: "/api/v1/apikeys/{id}/rotate", status: 404, reason: "not_found"},
		{name: "rotate for years", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", body: `{"overlap_seconds":99999999}`, set: withKey, status: 400, reason: "invalid_request", cause: "overlap_seconds"},
		{name: "rotate into the past", method: "POST", path: "/api/v1/apikeys/k1/rotate", pattern: "/api/v1/apikeys/{id}/rotate", body: `{"overlap_seconds":-1}`, set: withKey, status: 400, reason: "invalid_request", cause: "overlap_seconds"},
		{name: "revoke", method: "DELETE", path: "/api/v1/apikeys/k1", pattern: "/api/v1/apikeys/{id}", set: withKey, status: 204},
		{name: "revoke what is not there", method: "DELETE", path: "/api/v1/apikeys/k9", pattern: "/api/v1/apikeys/{id}", status: 404, reason: "not_found"},
		{name: "a body where none belongs", method: "DELETE", path: "/api/v1/apikeys/k1", pattern: "/api/v1/apikeys/{id}", body: `{}`, set: withKey, status: 413, reason: "body_too_large"},
		{name: "plan an erasure", method: "POST", path: "/api/v1/subjects/erase", body: `{"subjects":["email:jane@example.com"],"ticket":"DSR-7"}`, status: 200},
		{name: "erase", method: "POST", path: "/api/v1/subjects/erase", body: `{"subjects":["email:jane@example.com"],"plan":"plan-1"}`, status: 200},
		{name: "erase by another plan", method: "POST", path: "/api/v1/subjects/erase", body: `{"subjects":["email:jane@example.com"],"plan":"plan-2"}`, status: 400, reason: "invalid_request", cause: "the plan is over"},
		{name: "erase nobody", method: "POST", path: "/api/v1/subjects/erase", status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "erase a long name", method: "POST", path: "/api/v1/subjects/erase", body: `{"subjects":["email:` + strings.Repeat("x", 600) + `"]}`, status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "a ticket that is a sentence", method: "POST", path: "/api/v1/subjects/erase", body: `{"subjects":["email:jane@example.com"],"ticket":"for Jane Doe"}`, status: 400, reason: "invalid_request", cause: "ticket"},
		{name: "a plan that is none", method: "POST", path: "/api/v1/subjects/erase", body: `{"subjects":["email:jane@example.com"],"plan":"a b"}`, status: 400, reason: "invalid_request", cause: "plan"},
		{name: "the vault fails at an erasure", method: "POST", path: "/api/v1/subjects/erase", body: `{"subjects":["email:jane@example.com"]}`, status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("database is locked") }},
		{name: "a flag", method: "POST", path: "/api/v1/subjects/flags", body: `{"subjects":["email:jane@example.com"],"flag":"restriction","since":"2026-11-22T08:00:00Z","until":"2026-12-22T08:00:00Z","reason":"accuracy","ticket":"DSR-7"}`, status: 200},
		{name: "a flag of nobody", method: "POST", path: "/api/v1/subjects/flags", body: `{"subjects":[],"flag":"restriction"}`, status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "a flag of a person in no form", method: "POST", path: "/api/v1/subjects/flags", body: `{"subjects":["jane"],"flag":"restriction"}`, status: 400, reason: "invalid_request", cause: "form"},
		{name: "no flag", method: "POST", path: "/api/v1/subjects/flags", body: `{"subjects":["email:jane@example.com"]}`, status: 400, reason: "invalid_request", cause: "flag"},
		{name: "a flag that there is not", method: "POST", path: "/api/v1/subjects/flags", body: `{"subjects":["email:jane@example.com"],"flag":"legal_hold"}`, status: 400, reason: "invalid_request", cause: "flag"},
		{name: "a flag for a sentence", method: "POST", path: "/api/v1/subjects/flags", body: `{"subjects":["email:jane@example.com"],"flag":"restriction","reason":"she said so"}`, status: 400, reason: "invalid_request", cause: "reason"},
		{name: "a flag since some time", method: "POST", path: "/api/v1/subjects/flags", body: `{"subjects":["email:jane@example.com"],"flag":"restriction","since":"monday"}`, status: 400, reason: "invalid_request", cause: "since"},
		{name: "the end of a flag", method: "POST", path: "/api/v1/subjects/flags/end", body: `{"subjects":["email:jane@example.com"],"flag":"restriction","ticket":"DSR-8"}`, status: 200},
		{name: "the end of a flag at a time", method: "POST", path: "/api/v1/subjects/flags/end", body: `{"subjects":["email:jane@example.com"],"flag":"restriction","until":"2026-12-22T08:00:00Z"}`, status: 400, reason: "invalid_request", cause: "unknown member"},
		{name: "the end of a flag for a sentence", method: "POST", path: "/api/v1/subjects/flags/end", body: `{"subjects":["email:jane@example.com"],"flag":"restriction","ticket":"a b"}`, status: 400, reason: "invalid_request", cause: "ticket"},
		{name: "flags of a person", method: "POST", path: "/api/v1/subjects/flags/list", body: `{"subjects":["email:jane@example.com"],"linked":true}`, status: 200},
		{name: "no flags of a person", method: "POST", path: "/api/v1/subjects/flags/list", body: `{"subjects":["email:jane@example.com"]}`, status: 200},
		{name: "flags of nobody", method: "POST", path: "/api/v1/subjects/flags/list", body: `{"subjects":[]}`, status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "flags of a person in no form", method: "POST", path: "/api/v1/subjects/flags/list", body: `{"subjects":["jane"]}`, status: 400, reason: "invalid_request", cause: "form"},
		{name: "flags that cannot be read", method: "POST", path: "/api/v1/subjects/flags/list", body: `{"subjects":["email:jane@example.com"]}`, status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("disk") }},
		{name: "records of a person", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":["email:jane@example.com"],"linked":true,"limit":1}`, status: 200},
		{name: "records behind a record", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":["email:jane@example.com"],"after":"desk/acme.example/ticket/35"}`, status: 200},
		{name: "records behind what nobody saw", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":["email:jane@example.com"],"after":"desk/none/ticket/1"}`, status: 404, reason: "not_found", cause: "after"},
		{name: "records of nobody", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":[]}`, status: 400, reason: "invalid_request", cause: "subjects"},
		{name: "records of a person in no form", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":["jane"]}`, status: 400, reason: "invalid_request", cause: "form"},
		{name: "too many records", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":["email:jane@example.com"],"limit":10001}`, status: 400, reason: "invalid_request", cause: "limit"},
		{name: "records behind two lines", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":["email:jane@example.com"],"after":"a\nb"}`, status: 400, reason: "invalid_request", cause: "after"},
		{name: "an index that cannot be read", method: "POST", path: "/api/v1/subjects/records", body: `{"subjects":["email:jane@example.com"]}`, status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("database is locked") }},
		{name: "rotate the vault's keys", method: "POST", path: "/api/v1/keys/rotate", status: 200},
		{name: "rotate the master key too", method: "POST", path: "/api/v1/keys/rotate", body: `{"master":true}`, status: 200},
		{name: "rotate something else", method: "POST", path: "/api/v1/keys/rotate", body: `{"index":true}`, status: 400, reason: "invalid_request", cause: "there are: master"},
		{name: "too many rotations", method: "POST", path: "/api/v1/keys/rotate", status: 400, reason: "invalid_request", cause: "16 keys",
			set: func(g *gateway) { g.eventErr = fmt.Errorf("%w: 16 keys", ErrInvalid) }},
		{name: "the vault fails", method: "POST", path: "/api/v1/keys/rotate", status: 500, reason: "internal_error",
			set: func(g *gateway) { g.eventErr = errors.New("database is locked") }},
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
	})
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

// An approval is given in the name of the caller, the log says which and under which
// terms, and one that the log does not take is refused again.
func TestApprovalsAreRecorded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.do("POST", "/api/v1/approvals/a1/give", `{"standing":true,"filter":"email=jane@example.com","rows":100,"from":"01:00","to":"04:00","until":"2027-01-01T00:00:00Z"}`)
	if w.Code != http.StatusOK || fmt.Sprint(g.approvals.one.Agreed) != "[local]" {
		t.Fatalf("got %d, agreed %v", w.Code, g.approvals.one.Agreed)
	}
	if len(g.journal.records) != 2 {
		t.Fatalf("%d events, want 2", len(g.journal.records))
	}
	if before := g.journal.records[0]; before.Done || before.Attrs["approval"] != "a1" {
		t.Errorf("before: %+v", before)
	}
	after := g.journal.records[1]
	for name, want := range map[string]string{"approval": "a1", "approval_step": "given", "approval_state": "standing", "rows": "100", "window": "01:00-04:00",
		"until": "2027-01-01T00:00:00Z", "of_operation": "ticket.update_many", "agreed": "1", "needed": "1"} {
		if after.Attrs[name] != want {
			t.Errorf("%s: got %q, want %q", name, after.Attrs[name], want)
		}
	}
	if strings.Contains(fmt.Sprint(after.Attrs), "jane") {
		t.Error("a filter's value is in the log")
	}

	g = newGateway(t)
	g.journal.failAt = 2
	if w := g.do("POST", "/api/v1/approvals/a1/give", ""); w.Code != http.StatusServiceUnavailable || g.approvals.one.State != "refused" {
		t.Errorf("not recorded: got %d, the approval is %s", w.Code, g.approvals.one.State)
	}
}

// V8: the event that names tokens, person and reason is durable before anything is opened,
// and no value is in the log.
func TestRevealIsRecordedFirst(t *testing.T) {
	t.Parallel()
	const body = `{"tokens":["t1","t2"],"reason":"refund by hand","ticket":"T-17","full":true}`
	g := newGateway(t)
	w := g.do("POST", "/api/v1/tokens/reveal", body)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), testValue) {
		t.Fatalf("got %d", w.Code)
	}
	if g.tokens.before != 1 || len(g.journal.records) != 2 {
		t.Fatalf("%d events before and %d in all, want 1 and 2", g.tokens.before, len(g.journal.records))
	}
	before, after := g.journal.records[0], g.journal.records[1]
	if before.Done || before.Operation.Name != "token.reveal_full" || fmt.Sprint(before.Tokens) != "[t1 t2]" || before.Detail["reason"] != "refund by hand" || before.Detail["ticket"] != "T-17" {
		t.Errorf("before: %+v", before)
	}
	if !after.Done || after.Attrs["tokens"] != "2" || after.Attrs["revealed"] != "1" || after.About != "about" {
		t.Errorf("after: %+v", after)
	}
	if len(g.asked) != 2 || g.asked[1].Name != "token.reveal_full" {
		t.Errorf("policy was asked about %+v", g.asked)
	}
	if strings.Contains(fmt.Sprint(g.journal.records), testValue) || strings.Contains(g.log.String(), testValue) || strings.Contains(g.log.String(), "refund by hand") {
		t.Error("a value or a reason is in a log")
	}
	for failAt := range 2 {
		g = newGateway(t)
		g.journal.failAt = failAt + 1
		if w := g.do("POST", "/api/v1/tokens/reveal", body); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), testValue) {
			t.Errorf("event %d fails: got %d %s", failAt+1, w.Code, w.Body)
		}
	}
}

// V8: both events of a try are durable before the answer, and what was typed is in no log.
func TestVerifyIsRecordedFirst(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for typed, want := range map[string]string{testTyped: "yes", "7732": "no"} {
		g.journal.records = nil
		w := g.do("POST", "/api/v1/tokens/verify", `{"token":"t1","typed":"`+typed+`"}`)
		if body := fmt.Sprintf("{\"matches\":%t}\n", want == "yes"); w.Code != http.StatusOK || w.Body.String() != body || w.Header().Get(headerReceipt) == "" {
			t.Fatalf("got %d %s, want %s", w.Code, w.Body, body)
		}
		if g.tokens.before != 1 || len(g.journal.records) != 2 {
			t.Fatalf("%d events before and %d in all, want 1 and 2", g.tokens.before, len(g.journal.records))
		}
		before, after := g.journal.records[0], g.journal.records[1]
		if before.Done || before.Operation.Name != "token.verify" || fmt.Sprint(before.Tokens) != "[t1]" || before.Attrs["answer"] != "" {
			t.Errorf("before: %+v", before)
		}
		if !after.Done || after.Attrs["answer"] != want || after.About != "about" || fmt.Sprint(after.Tokens) != "[t1]" {
			t.Errorf("after: %+v", after)
		}
		if strings.Contains(fmt.Sprintf("%+v", g.journal.records), typed) || strings.Contains(g.log.String(), typed) {
			t.Error("what was typed is in a log")
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", Verify{"t1", testTyped}, Verify{"t1", testTyped}, Verify{"t1", testTyped}); strings.Contains(s, testTyped) {
		t.Error("printing shows what was typed")
	}
	for failAt := range 2 {
		g = newGateway(t)
		g.journal.failAt = failAt + 1
		if w := g.do("POST", "/api/v1/tokens/verify", `{"token":"t1","typed":"7731"}`); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "matches") {
			t.Errorf("event %d fails: got %d %s", failAt+1, w.Code, w.Body)
		}
	}
}

// More tokens than one person may have at once wait for others, and go through when
// they have agreed.
func TestRevealOfManyWaits(t *testing.T) {
	t.Parallel()
	many := `{"tokens":[` + strings.Repeat(`"t1",`, 20) + `"t2"],"reason":"refund by hand","ticket":"T-17"}`
	g := newGateway(t)
	g.later = &Decision{Reason: "approval_required"}
	w := g.do("POST", "/api/v1/tokens/reveal", many)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"approval":"a9"`) || g.asked[1].Scope != "bulk" {
		t.Fatalf("got %d %s, asked %+v", w.Code, w.Body, g.asked)
	}
	if rec := g.journal.records[0]; rec.Attrs["approval"] != "a9" || rec.Attrs["approval_step"] != "asked" || !rec.Fresh || rec.Reason != "approval_required" {
		t.Errorf("the event of the asking: %+v", rec)
	}
	if g.wanted.Records != 21 || len(g.wanted.Bound) != 21 {
		t.Errorf("what others see: %+v", g.wanted)
	}
	if w := g.do("POST", "/api/v1/tokens/reveal", many, "Caregate-Approval: a8"); w.Code != http.StatusForbidden || w.Header().Get(headerError) != "approval_invalid" {
		t.Errorf("another approval: got %d %s", w.Code, w.Body)
	}
	if w := g.do("POST", "/api/v1/tokens/reveal", many, "Caregate-Approval: a9"); w.Code != http.StatusOK {
		t.Errorf("approved: got %d %s", w.Code, w.Body)
	}
	last := g.journal.records[len(g.journal.records)-2:]
	if last[0].Attrs["approval_step"] != "used" || last[0].Operation.Approvals != 2 || last[1].Attrs["approval"] != "a9" {
		t.Errorf("the events of the use: %+v", last)
	}
}

// TestSearchesAreRecorded: who asked about a person stands in the log, and not about
// whom.
func TestSearchesAreRecorded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	if w := g.do("POST", "/api/v1/events/search", `{"subject":"email:jane@example.com"}`); w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	if len(g.journal.records) != 2 {
		t.Fatalf("%d events, want 2", len(g.journal.records))
	}
	if after := g.journal.records[1]; after.Attrs["by"] != "subject" || after.Attrs["found"] != "1" || strings.Contains(fmt.Sprint(g.journal.records, g.log), "jane") {
		t.Errorf("recorded %v, want by what was asked and how much was found, and no name", after.Attrs)
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
