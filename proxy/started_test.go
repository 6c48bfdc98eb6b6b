package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Calls that reach a configuration which fails to start are turned away at once:
// Caddy waits for them before it gives the configuration up. The answer is no
// error for Caddy, which would print the request.
func TestCallsOfAFailedStart(t *testing.T) {
	t.Parallel()
	over, end := context.WithCancel(t.Context())
	app := &App{ready: make(chan struct{}), over: over.Done(), end: end}
	for name, h := range map[string]caddyhttp.MiddlewareHandler{"governed": &Handler{app: app}, "API": &API{app: app}} {
		w := httptest.NewRecorder()
		done := make(chan error)
		go func() { done <- h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v2/tickets", nil), nil) }()
		if err := app.Cleanup(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		select {
		case err := <-done:
			if err != nil || w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: got %v, %d %v", name, err, w.Code, w.Header())
			}
		case <-time.After(startWait):
			t.Fatalf("%s: still waiting", name)
		}
	}
}
