package console

import (
	"errors"
	"net/http"
	"time"
)

// Event is one entry of the audit log, without what ties entries together. It
// holds no personal data: persons and records appear as counts.
type Event struct {
	// Receipt is the event's id, Exchange the id of the call it belongs to.
	Receipt  string `json:"receipt"`
	Exchange string `json:"exchange,omitempty"`
	// Time is when the gateway wrote it, by its own clock.
	Time time.Time `json:"time"`
	// Type is the verb: request.decided, response.decided, config.loaded ...
	Type string `json:"type"`
	// Route, Channel, Operation, Effect and Scope say what was called.
	Route     string `json:"route,omitempty"`
	Channel   string `json:"channel,omitempty"`
	Operation string `json:"operation,omitempty"`
	Effect    string `json:"effect,omitempty"`
	Scope     string `json:"scope,omitempty"`
	// Decision is allow or deny; Reason the code of a refusal.
	Decision string `json:"decision,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Policy is the digest of the policy that decided.
	Policy string `json:"policy,omitempty"`
	// Identity is how well the caller was known, Roles what it was.
	Identity string   `json:"identity,omitempty"`
	Roles    []string `json:"roles"`
	Purpose  string   `json:"purpose,omitempty"`
	// Status is what the caller was answered, Forwarded whether the upstream saw
	// the call, Outcome what became of the bytes.
	Status    int    `json:"status,omitempty"`
	Forwarded bool   `json:"forwarded"`
	Outcome   string `json:"outcome,omitempty"`
	// Findings counts, per data class, what left in which form.
	Findings []Findings `json:"findings"`
	// Subjects and Records are how many persons and records were touched.
	Subjects int `json:"subjects"`
	Records  int `json:"records"`
	// Attrs has what only this type of event has.
	Attrs map[string]string `json:"attrs,omitempty"`

	// Sentence explains the event to people; it is filled in by Explain.
	Sentence string `json:"sentence"`
	// Fix and FixedBy say what to do about a refusal, and who can.
	Fix     string `json:"fix,omitempty"`
	FixedBy string `json:"fixed_by,omitempty"`
}

// Findings counts what became of the findings of one data class.
type Findings struct {
	Class        string `json:"class"`
	Clear        int    `json:"clear"`
	Masked       int    `json:"masked"`
	Tokenized    int    `json:"tokenized"`
	Dropped      int    `json:"dropped"`
	NotInspected int    `json:"not_inspected"`
}

// receiptDigits is the length of a receipt.
const receiptDigits = 32

// readEvent answers GET /api/v1/events/{receipt}.
func readEvent(a *api, c *callState) (answer, *Refusal) {
	if len(c.param) != receiptDigits {
		return answer{}, refuse(reasonInvalid, "a receipt has 32 lower-case hexadecimal digits", nil)
	}
	e, err := a.Event(c.ctx, c.param)
	switch {
	case errors.Is(err, ErrNotFound):
		return answer{}, refuse(reasonNotFound, "the log holds no event of this receipt", err)
	case errors.Is(err, ErrInvalid):
		return answer{}, refuse(reasonInvalid, "a receipt has 32 lower-case hexadecimal digits", err)
	case err != nil:
		return answer{}, refuse(reasonInternal, "", err)
	}
	return answer{status: http.StatusOK, body: Explain(e, a.Reason)}, nil
}
