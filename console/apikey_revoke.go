package console

import "net/http"

// revokeAPIKey answers DELETE /api/v1/apikeys/{id}. A revocation whose event
// failed stays: it is the safe side, and the event before it stands.
func revokeAPIKey(a *api, c *callState) (answer, *Refusal) {
	if err := a.Keys.Revoke(c.ctx, c.param); err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusNoContent, attrs: map[string]string{"key": c.param}}, nil
}
