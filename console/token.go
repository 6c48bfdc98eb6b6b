package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tokens opens what stands behind tokens, or says yes or no about it. An error that is a
// *Refusal is the answer.
type Tokens interface {
	// Names are the names that the log has of those of the tokens that have the form of
	// one. Nothing is looked up.
	Names(tokens []string) []string
	// Reveal answers for each token, in order. It counts the call before it looks. Tokens
	// that are forged, unknown, expired, of another tenant or not for this caller have one
	// answer and one time class (invariant V9). about is for the Journal.
	Reveal(ctx context.Context, a Actor, op Operation, r Reveal) (out []Revealed, about any, err error)
	// Verify answers yes or no, and counts the try before it looks. Every token that Reveal
	// would not find, and a wrong answer, is a no (V9). ErrInvalid for what nobody could
	// type; about is for the Journal.
	Verify(ctx context.Context, a Actor, op Operation, v Verify) (matches bool, about any, err error)
}

// Limits of a call that reveals.
const (
	// revealBulk is how many tokens one person may have revealed at once; more needs two
	// others. A call with no more counts as about single records, which some roles read of
	// restricted persons too.
	revealBulk = 20
	maxReveal  = 200
	maxToken   = 256 // with the punctuation around it
	maxReason  = 500
	minReason  = 8
	maxTicket  = 64
)

// Reveal asks for what stands behind tokens.
type Reveal struct {
	// Tokens are texts of tokens, or places of masks that can be undone: a receipt, a slash
	// and a number.
	Tokens []string
	// Reason and Ticket say why. They are sealed in the log under the caller's key.
	Reason, Ticket string
	// Full asks for the whole values, not for the last four.
	Full bool
}

// Revealed is the answer for one token.
type Revealed struct {
	// Found is false for every token that is not to be revealed, whyever.
	Found bool `json:"found"`
	// Class is the data class, Value what stands behind the token, masked unless Full was
	// asked for.
	Class  string `json:"class,omitempty"`
	Value  string `json:"value,omitempty"`
	Masked bool   `json:"masked"`
}

// String shows no value.
func (r Revealed) String() string { return r.Class + ":[personal]" }

// Wanted describes a call that others must agree to.
type Wanted struct {
	// Presented are the values of the header Caregate-Approval.
	Presented []string
	// Records is how many things the call is about, Bound names them, sorted.
	Records int
	Bound   []string
}

// Agreement is what others have to do with a call.
type Agreement struct {
	// ID is the approval that was used, or that the call waits for until Until.
	ID    string
	Until time.Time
	// Agreed is how many have agreed. When it is zero, the call waits.
	Agreed int
	// By are the actors who have agreed, as their own calls name them.
	By []string
	// Fresh tells that nobody had asked before.
	Fresh bool
}

// agree decides about a call whose body is known, and finds out whether others have
// agreed where policy wants that.
func (a *api) agree(r *http.Request, c *callState, rec *Record) *Refusal {
	var err error
	if rec.Decision, err = a.Authorize(r.Context(), rec.Actor, rec.Operation); err != nil {
		rec.Decision = Decision{Reason: reasonPolicyError}
		return refuse(reasonPolicyError, "", err)
	}
	if waits := rec.Decision.Reason == reasonNeedsApproval; rec.Decision.Ticket && rec.Ticket == "" && (waits || rec.Decision.Allow) {
		return refuse(reasonTicketRequired, "", nil) // before others are asked
	}
	if rec.Decision.Ticket {
		c.bound = append(c.bound, "ticket="+rec.Ticket)
	}
	if rec.Decision.Reason == reasonNeedsApproval {
		// A caller who hangs up has used the approval all the same.
		ctx := context.WithoutCancel(r.Context())
		ag, err := a.Approve(ctx, rec.Actor, rec.Operation, Wanted{Presented: r.Header.Values(headerApproval), Records: c.records, Bound: c.bound})
		var ref *Refusal
		switch {
		case errors.As(err, &ref):
			return ref
		case err != nil:
			return refuse(reasonInternal, "", err)
		case ag.Agreed == 0:
			rec.Attrs["approval"], rec.Attrs["approval_step"], rec.Fresh = ag.ID, "asked", ag.Fresh
			ref := refuse(reasonNeedsApproval, "", nil)
			ref.approval = ag
			return ref
		}
		rec.Attrs["approval"], rec.Attrs["approval_step"], rec.Attrs["approved_by"] = ag.ID, "used", strings.Join(ag.By, ",")
		rec.Operation.Approvals, c.agreed = ag.Agreed, ag.By
		if rec.Decision, err = a.Authorize(r.Context(), rec.Actor, rec.Operation); err != nil {
			rec.Decision = Decision{Reason: reasonPolicyError}
			return refuse(reasonPolicyError, "", err)
		}
	}
	if !rec.Decision.Allow {
		if rec.Decision.Reason == "" {
			rec.Decision.Reason = reasonPolicy
		}
		return refuse(rec.Decision.Reason, "", nil)
	}
	return nil
}

// decodeReveal reads {"tokens", "reason", "ticket", "full"}.
func decodeReveal(body []byte) (any, *Refusal) {
	var v Reveal
	ref := decodeObject(body, member{"tokens", &v.Tokens}, member{"reason", &v.Reason}, member{"ticket", &v.Ticket}, member{"full", &v.Full})
	if ref != nil {
		return nil, ref
	}
	if len(v.Tokens) == 0 || len(v.Tokens) > maxReveal {
		return nil, refuse(reasonInvalid, fmt.Sprintf("tokens: want 1 to %d", maxReveal), nil)
	}
	for _, token := range v.Tokens {
		if token == "" || len(token) > maxToken {
			return nil, refuse(reasonInvalid, fmt.Sprintf("tokens: want 1 to %d bytes each", maxToken), nil)
		}
	}
	if !isText(v.Reason, maxReason) || len(v.Reason) < minReason {
		return nil, refuse(reasonInvalid, fmt.Sprintf("reason: want %d to %d bytes of printable text", minReason, maxReason), nil)
	}
	if !isText(v.Ticket, maxTicket) {
		return nil, refuse(reasonInvalid, fmt.Sprintf("ticket: want 1 to %d bytes of printable text", maxTicket), nil)
	}
	return v, nil
}

// prepareReveal describes a call that reveals.
func prepareReveal(a *api, c *callState, rec *Record) *Refusal {
	v := c.body.(Reveal)
	if v.Full {
		rec.Operation.Name = operationRevealFull
	}
	if len(v.Tokens) > revealBulk {
		rec.Operation.Scope = scopeBulk
	}
	c.records, c.bound = len(v.Tokens), a.Tokens.Names(v.Tokens)
	rec.Tokens = c.bound
	rec.Attrs = map[string]string{"tokens": strconv.Itoa(len(v.Tokens))}
	rec.Detail = map[string]string{"reason": v.Reason, "ticket": v.Ticket}
	return nil
}

// revealTokens answers POST /api/v1/tokens/reveal. The event before it is durable.
func revealTokens(a *api, c *callState) (answer, *Refusal) {
	out, about, err := a.Tokens.Reveal(c.ctx, c.actor, c.operation, c.body.(Reveal))
	if ref := tokenRefusal(err); ref != nil {
		return answer{}, ref
	}
	found := 0
	for i := range out {
		if out[i].Found {
			found++
		}
	}
	return answer{
		status: http.StatusOK, about: about,
		attrs: map[string]string{"tokens": strconv.Itoa(len(out)), "revealed": strconv.Itoa(found)},
		body: struct {
			Tokens []Revealed `json:"tokens"`
		}{out},
	}, nil
}

// tokenRefusal turns an error of Tokens into an answer; nil for nil.
func tokenRefusal(err error) *Refusal {
	var ref *Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ref):
		return ref
	}
	return refuse(reasonInternal, "", err)
}
