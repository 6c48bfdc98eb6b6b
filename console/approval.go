package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Approvals are calls that wait for others to agree. Errors wrap ErrNotFound for an id
// that is not known and ErrInvalid, with a text that may be shown, for what cannot be done.
type Approvals interface {
	// List returns them all, open ones first.
	List(ctx context.Context) ([]Approval, error)
	// Get returns one.
	Get(ctx context.Context, id string) (Approval, error)
	// Give notes that approver agrees, with terms to all such calls. The one who asked
	// cannot.
	Give(ctx context.Context, id, approver string, terms *Terms) (Approval, error)
	// Refuse ends one that is open.
	Refuse(ctx context.Context, id, approver string) (Approval, error)
}

// Approval is a call that waits, or waited, for others to agree.
type Approval struct {
	ID string `json:"id"`
	// State is asked, given, standing, used, refused or expired.
	State string `json:"state"`
	// Requester is the actor who asked.
	Requester string `json:"requester"`
	Route     string `json:"route"`
	Channel   string `json:"channel"`
	Operation string `json:"operation"`
	// Effect and Scope are the strongest and the widest of what the call does.
	Effect string `json:"effect"`
	Scope  string `json:"scope"`
	// Inner is how many calls of each operation a composite call holds.
	Inner   map[string]int `json:"inner,omitempty"`
	Purpose string         `json:"purpose,omitempty"`
	// Records is how many records the call touches, Findings how many findings of each
	// class are in it.
	Records  int            `json:"records"`
	Findings map[string]int `json:"findings"`
	// Needed is how many others have to agree, Agreed who has.
	Needed    int      `json:"needed"`
	Agreed    []string `json:"agreed"`
	RefusedBy string   `json:"refused_by,omitempty"`
	// Asked, Expires, Settled: the last is zero while it is open.
	Asked   time.Time `json:"asked"`
	Expires time.Time `json:"expires"`
	Settled time.Time `json:"settled,omitzero"`
	// Terms are those of a standing approval, Rows what its last window let through.
	Terms *Terms `json:"terms,omitempty"`
	Rows  int    `json:"rows"`
}

// Terms are what a standing approval is bound to.
type Terms struct {
	// Filter is what the query must be, as status=closed&cursor=*.
	Filter string `json:"filter"`
	// Rows may pass in one window.
	Rows int `json:"rows"`
	// From and To are the window of each day in UTC, as 01:00; empty for the whole day.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Until is when it ends.
	Until time.Time `json:"until"`
}

// normal makes lists of nobody empty lists.
func (a Approval) normal() Approval {
	if a.Agreed == nil {
		a.Agreed = []string{}
	}
	if a.Findings == nil {
		a.Findings = map[string]int{}
	}
	return a
}

// approvalDone is the answer of give and refuse.
func approvalDone(ap Approval, step string, undo func(context.Context) error) answer {
	ap = ap.normal()
	attrs := map[string]string{
		"approval": ap.ID, "approval_step": step, "approval_state": ap.State, "requester": ap.Requester,
		"of_channel": ap.Channel, "of_operation": ap.Operation, "agreed": strconv.Itoa(len(ap.Agreed)), "needed": strconv.Itoa(ap.Needed),
	}
	if t := ap.Terms; t != nil { // without the filter, whose values may be somebody's
		attrs["rows"], attrs["until"] = strconv.Itoa(t.Rows), t.Until.UTC().Format(time.RFC3339)
		if t.From != "" {
			attrs["window"] = t.From + "-" + t.To
		}
	}
	return answer{status: http.StatusOK, body: ap, attrs: attrs, undo: undo}
}

// approvalRefusal turns an error of Approvals into an answer.
func approvalRefusal(err error) *Refusal {
	switch {
	case errors.Is(err, ErrNotFound):
		return refuse(reasonNotFound, "", err)
	case errors.Is(err, ErrInvalid):
		return refuse(reasonInvalid, strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "), err)
	}
	return refuse(reasonInternal, "", err)
}
