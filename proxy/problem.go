package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/policy"
)

// Headers of ours. All others that begin with Caregate- are a caller's words to
// us (design: identify.go) and are removed before anything is forwarded.
const (
	headerPrefix  = "Caregate-"
	headerReceipt = "Caregate-Receipt"
	headerError   = "Caregate-Error"
	// headerGap stands in place of a receipt, or beside that of the request, when
	// something of the exchange went on without an event. Its value is the event that
	// the log will have of the gap.
	headerGap = "Caregate-Gap"
)

// problem is the body of every answer of ours (RFC 9457).
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Reason   string `json:"reason"`
	Cause    string `json:"cause,omitempty"`
	Receipt  string `json:"receipt,omitempty"`
	Gap      string `json:"gap,omitempty"`
	WhoFixes string `json:"fixed_by"`
	// Forwarded tells a caller whether the upstream saw the call: whether a
	// repetition could act twice.
	Forwarded bool `json:"forwarded"`
	// Offset is the byte at which a body stopped making sense.
	Offset *int64 `json:"offset,omitempty"`
	// Grant is what would have permitted the call, in the form that keys and policy
	// documents take.
	Grant string `json:"grant,omitempty"`
	// InnerIndex and InnerOperation say which call inside a composite one is refused, from
	// 0, and what it is. Of what a call would do to each of many records it is the second only.
	InnerIndex     *int   `json:"inner_index,omitempty"`
	InnerOperation string `json:"inner_operation,omitempty"`
	// Actor is what a policy document calls this caller when it grants: a digest of
	// its credential, and told to nobody but the caller itself.
	Actor string `json:"actor,omitempty"`
	// Approval is the id of the approval that the call waits for, ApprovalLink where the
	// gateway's API has it, and ApprovalUntil how long others can give it.
	Approval      string    `json:"approval,omitempty"`
	ApprovalLink  string    `json:"approval_link,omitempty"`
	ApprovalUntil time.Time `json:"approval_until,omitzero"`
	// Login is where somebody with a browser can log in, as a path of this site, on a route
	// that takes sessions.
	Login string `json:"login,omitempty"`
	// UpstreamStatus and Record let a caller find what a withheld call did.
	UpstreamStatus int    `json:"upstream_status,omitempty"`
	Record         string `json:"record,omitempty"`
	// Error is on routes to payment processors: Stripe's libraries take every answer of
	// JSON without it for success, whatever its status says.
	Error *processorError `json:"error,omitempty"`
}

// processorError is a refusal as the libraries of processors read it.
type processorError struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// retryAfter is what an overloaded gateway asks for, in seconds: the queue
// drains in milliseconds, so one second spreads the repetitions.
const retryAfter = 1

// mark tells the caller where the log has the exchange, or will have it.
func (x *exchange) mark(h http.Header) (receipt, gap string) {
	if !x.last.IsZero() {
		receipt = x.last.String()
		h.Set(headerReceipt, receipt)
	}
	if !x.gap.IsZero() {
		gap = x.gap.String()
		h.Set(headerGap, gap)
	}
	return receipt, gap
}

// writeProblem answers with a refusal. The event that permits the answer is
// durable already, or there is none because the log is what failed.
func (x *exchange) writeProblem(w http.ResponseWriter, r *http.Request, ref *refusal) {
	reason := reasonFor(ref.code)
	p := problem{
		Type:   "urn:caregate:error:" + reason.Code,
		Title:  reason.What,
		Status: reason.Status,
		Detail: reason.Fix,
		Reason: reason.Code, Cause: ref.cause, WhoFixes: string(reason.Who),
		Grant: ref.needs, Forwarded: x.forwarded, UpstreamStatus: x.upstreamStatus, Record: x.record,
		Login: x.loginAfter(ref),
	}
	if ref.needs != "" {
		p.Actor = x.actor.ID
		p.Detail = strings.ReplaceAll(p.Detail, "GRANT", ref.needs)
	}
	if a := &x.agreeing; ref.code == policy.NeedsApproval && a.asked {
		p.Approval, p.ApprovalLink, p.ApprovalUntil = a.id, approvalLink(a.id), a.until.UTC()
		p.Detail = strings.ReplaceAll(p.Detail, "APPROVAL", a.id)
	}
	p.InnerOperation = ref.innerOp
	if ref.inner > 0 {
		index := ref.inner - 1
		p.InnerIndex = &index
	}
	if ref.offset >= 0 {
		p.Offset = &ref.offset
	}
	if x.h.ch != nil && x.h.ch.Payments != nil { // a start that failed may have come before the channel
		p.Error = &processorError{Type: "invalid_request_error", Code: reason.Code, Message: reason.What + " " + p.Detail}
	}
	h := w.Header()
	p.Receipt, p.Gap = x.mark(h)
	h.Set(headerError, reason.Code)
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch reason.Status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	}
	body, err := json.Marshal(p)
	if err != nil { // no field of problem can fail to encode
		panic(err)
	}
	body = append(body, '\n')
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.answered = true
	w.WriteHeader(reason.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; the event stands
	}
}
