package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// memoryImports knows the route desk, whose import m1 has one page.
type memoryImports struct{ g *gateway }

func (m memoryImports) Begin(_ context.Context, n NewImport) (Import, error) {
	switch n.Route {
	case "desk":
		return Import{ID: "m1", Route: "desk", Account: "desk/desk.example", Begun: time.Unix(1_800_000_000, 0).UTC(), Lists: []ImportList{{Name: "cases"}}}, nil
	case "bare":
		return Import{}, fmt.Errorf("%w: no credential", ErrInvalid)
	}
	return Import{}, fmt.Errorf("%w: no route", ErrNotFound)
}

func (m memoryImports) Next(ctx context.Context, id string) (Import, error) {
	if id != "m1" {
		return Import{}, fmt.Errorf("%w: no import", ErrNotFound)
	}
	i, err := m.Begin(ctx, NewImport{Route: "desk"})
	i.Lists[0] = ImportList{Name: "cases", Pages: 1, Records: 2, Done: true}
	i.Wait, i.Trouble, i.Again = 5, "the vendor answered 500", true
	return i, err
}

// TestImportAnswers calls the imports, also in ways that fail, and holds each answer against
// the description.
func TestImportAnswers(t *testing.T) {
	t.Parallel()
	d := describe(t)
	const imports, next = "/api/v1/imports", "/api/v1/imports/{id}/next"
	for _, tt := range []struct {
		name, path, pattern, body string
		status                    int
		reason, cause             string
	}{
		{name: "begin", path: imports, pattern: imports, body: `{"route":"desk"}`, status: 200},
		{name: "begin anew", path: imports, pattern: imports, body: `{"route":"desk","restart":true}`, status: 200},
		{name: "begin without a credential", path: imports, pattern: imports, body: `{"route":"bare"}`, status: 400, reason: "invalid_request", cause: "no credential"},
		{name: "begin nowhere", path: imports, pattern: imports, body: `{"route":"elsewhere"}`, status: 404, reason: "not_found"},
		{name: "begin without a name", path: imports, pattern: imports, body: `{}`, status: 400, reason: "invalid_request", cause: "route"},
		{name: "begin by a long name", path: imports, pattern: imports, body: `{"route":"` + strings.Repeat("x", 129) + `"}`, status: 400, reason: "invalid_request", cause: "route"},
		{name: "begin with a word nobody knows", path: imports, pattern: imports, body: `{"route":"desk","speed":9}`, status: 400, reason: "invalid_request", cause: "unknown"},
		{name: "next", path: imports + "/m1/next", pattern: next, status: 200},
		{name: "next of what is not there", path: imports + "/m2/next", pattern: next, status: 404, reason: "not_found"},
		{name: "next with a body", path: imports + "/m1/next", pattern: next, body: `{}`, status: 413, reason: "body_too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			w := g.do(http.MethodPost, tt.path, tt.body)
			body := bodyOf(w)
			if w.Code != tt.status || w.Header().Get("Caregate-Error") != tt.reason || !strings.Contains(string(body), tt.cause) {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, body)
			}
			if err := d.checkAnswer(http.MethodPost, tt.pattern, w.Code, w.Header().Get("Content-Type"), body); err != nil {
				t.Error(err)
			}
		})
	}
}
