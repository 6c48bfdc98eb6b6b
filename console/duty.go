package console

import (
	"context"
	"net/http"
	"time"
)

// Duties are what is owed by law and carried out by the gateway.
type Duties interface {
	// Waiting returns those with which the gateway does not go on until somebody says so.
	Waiting(ctx context.Context) (DutyList, error)
	// Retry has the gateway go on with one. ErrNotFound when it does not wait.
	Retry(ctx context.Context, by Actor, id, reason string) error
	// TrustClock notes that somebody has looked at the clock by which duties are due, and that
	// it is right.
	TrustClock(ctx context.Context, by Actor, reason string) error
}

// DutyList is the answer of a list of duties that wait.
type DutyList struct {
	// Waiting is how many there are, Duties those that are due first, up to 1000.
	Waiting int    `json:"waiting"`
	Duties  []Duty `json:"duties"`
}

// Duty is one that waits for a person.
type Duty struct {
	ID   string    `json:"id"`
	Kind string    `json:"kind"`
	Due  time.Time `json:"due"`
}

// DutyRetry asks for one to be tried again.
type DutyRetry struct{ ID, Reason string }

// decodeDutyRetry reads {"duty", "reason"}.
func decodeDutyRetry(body []byte) (any, *Refusal) {
	var d DutyRetry
	if ref := decodeObject(body, member{"duty", &d.ID}, member{"reason", &d.Reason}); ref != nil {
		return nil, ref
	}
	if !isText(d.ID, maxIncidentCode) {
		return nil, refuse(reasonInvalid, "duty: want the id of a duty that waits", nil)
	}
	return d, checkIncidentReason(d.Reason)
}

// listDuties answers GET /api/v1/duties.
func listDuties(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Duties.Waiting(c.ctx)
	if err != nil {
		return answer{}, incidentRefusal(err)
	}
	return answer{status: http.StatusOK, body: list}, nil
}

// retryDuty answers POST /api/v1/duties/retry.
func retryDuty(a *api, c *callState) (answer, *Refusal) {
	d := c.body.(DutyRetry)
	if err := a.Duties.Retry(c.ctx, c.actor, d.ID, d.Reason); err != nil {
		return answer{}, incidentRefusal(err)
	}
	return answer{status: http.StatusNoContent, attrs: map[string]string{"duty": d.ID}}, nil
}

// trustClock answers POST /api/v1/duties/clock.
func trustClock(a *api, c *callState) (answer, *Refusal) {
	if err := a.Duties.TrustClock(c.ctx, c.actor, c.body.(string)); err != nil {
		return answer{}, incidentRefusal(err)
	}
	return answer{status: http.StatusNoContent, attrs: map[string]string{"clock": "trusted"}}, nil
}
