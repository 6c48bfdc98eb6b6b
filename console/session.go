package console

import (
	"context"
	"net/http"
	"time"
)

// Session is somebody who logged in with a browser, as it is listed.
type Session struct {
	// ID names the session in lists, logs and paths; it is not secret.
	ID string `json:"id"`
	// Actor is whom it makes; not personal.
	Actor string `json:"actor"`
	// Used is about when it was last used, Expires when it ends in any case.
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	Expires time.Time `json:"expires"`
}

// Sessions are the people who are logged in. Errors wrap ErrNotFound for an id that is not
// known.
type Sessions interface {
	// List returns those that have not expired, oldest first.
	List(ctx context.Context) ([]Session, error)
	// Revoke ends a session at once.
	Revoke(ctx context.Context, id string) error
}

// listSessions answers GET /api/v1/sessions.
func listSessions(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Sessions.List(c.ctx)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: struct {
		Sessions []Session `json:"sessions"`
	}{append([]Session{}, list...)}}, nil
}

// revokeSession answers DELETE /api/v1/sessions/{id}. A revocation whose event failed
// stays: it is the safe side, and the event before it stands.
func revokeSession(a *api, c *callState) (answer, *Refusal) {
	if err := a.Sessions.Revoke(c.ctx, c.param); err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusNoContent, attrs: map[string]string{"session": c.param}}, nil
}
