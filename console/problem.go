package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of ours on every answer that an event stands behind.
const (
	headerReceipt = "Caregate-Receipt"
	headerError   = "Caregate-Error"
	// headerApproval is how a caller names the approval that was given for its call.
	headerApproval = "Caregate-Approval"
	// headerTicket is how a caller names the change ticket behind its call.
	headerTicket = "Caregate-Ticket"
)

// Errors that implementations of Config's functions wrap.
var (
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the wish cannot be granted as it stands. The text of an error that
	// wraps it is shown to the caller.
	ErrInvalid = errors.New("invalid request")
)

// Reason is one entry of the catalogue of answers.
type Reason struct {
	// Code is stable; programs may branch on it.
	Code string
	// Status is the HTTP status.
	Status int
	// What says in one sentence what happened, Fix what to do about it.
	What, Fix string
	// Who can act: caller, security, operator or upstream.
	Who string
}

// Codes that this package answers with by itself.
const (
	reasonNotFound      = "not_found"
	reasonMethod        = "method_refused"
	reasonHost          = "host_refused"
	reasonOrigin        = "origin_refused"
	reasonInvalid       = "invalid_request"
	reasonType          = "type_not_inspected"
	reasonTooLarge      = "body_too_large"
	reasonSyntax        = "json_syntax"
	reasonPolicy        = "policy_denied"
	reasonPolicyError   = "policy_error"
	reasonNeedsApproval = "approval_required"
	// reasonTicketRequired is for a change without the ticket that the policy wants.
	reasonTicketRequired = "ticket_required"
	reasonCredential     = "invalid_credential"
	reasonAudit          = "audit_unavailable"
	reasonInternal       = "internal_error"
)

// catalogue is used for codes that Config.Reason does not know.
var catalogue = []Reason{
	{reasonNotFound, http.StatusNotFound, "There is nothing of this name.", "Check the path and the id; GET /api/v1/openapi.json lists every path.", "caller"},
	{reasonMethod, http.StatusMethodNotAllowed, "This path does not know the method.", "Use one of the methods in the Allow header.", "caller"},
	{reasonHost, http.StatusMisdirectedRequest, "The API was called over plain HTTP by a name that is not its own, as a page on another site would.",
		"Call it by its address, by localhost, over TLS, or through the unix socket in the data directory.", "caller"},
	{reasonOrigin, http.StatusForbidden, "A page of another site made this call.", "Call the API from a program, or from a page of its own site.", "caller"},
	{reasonInvalid, http.StatusBadRequest, "The call has a member that is missing, unknown, given twice or outside its limits.", "Correct the member that is named.", "caller"},
	{reasonType, http.StatusUnsupportedMediaType, "The body is not JSON.", "Send Content-Type: application/json.", "caller"},
	{reasonTooLarge, http.StatusRequestEntityTooLarge, "The body is larger than this API takes.", "Send less.", "caller"},
	{reasonSyntax, http.StatusBadRequest, "The body is not JSON as RFC 8259 defines it.", "Send one well-formed JSON object.", "caller"},
	{reasonPolicy, http.StatusForbidden, "No rule of the policy allows this operation to this caller.", "Ask for a role or grant that covers it.", "security"},
	{reasonPolicyError, http.StatusForbidden, "The policy gave no answer.", "Look at the gateway's log.", "security"},
	{reasonCredential, http.StatusUnauthorized, "The call carried no key or token that counts.", "Send a gateway key in Caregate-Key.", "caller"},
	{reasonAudit, http.StatusServiceUnavailable, "The audit log cannot take events, so nothing may be changed.", "Look at the gateway's log and disk; `caregate doctor` says what is wrong.", "operator"},
	{reasonInternal, http.StatusInternalServerError, "The gateway failed.", "Look at the gateway's log.", "operator"},
}

// Reasons returns the answers that this package gives by itself, so that the
// gateway's catalogue can hold them.
func Reasons() []Reason { return append([]Reason(nil), catalogue...) }

// Refusal is an answer that is no success.
type Refusal struct {
	// Code is looked up in the catalogue.
	Code string
	// Cause names what exactly, in words that may be shown: a member, a limit.
	Cause string

	approval Agreement // that the call waits for
	err      error     // for the log only
}

// Error has the code and the cause, and nothing of the call.
func (r *Refusal) Error() string {
	if r.Cause == "" {
		return r.Code
	}
	return r.Code + ": " + r.Cause
}

// Unwrap returns what went wrong inside.
func (r *Refusal) Unwrap() error { return r.err }

// refuse is a refusal with its inner error.
func refuse(code, cause string, err error) *Refusal {
	return &Refusal{Code: code, Cause: cause, err: err}
}

// problem is the body of a refusal (RFC 9457), in the shape of the proxy's.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Reason    string `json:"reason"`
	Cause     string `json:"cause,omitempty"`
	Receipt   string `json:"receipt,omitempty"`
	WhoFixes  string `json:"fixed_by"`
	Forwarded bool   `json:"forwarded"`
	// Approval is the id of the approval that the call waits for, ApprovalLink where it
	// is, ApprovalUntil how long others can give it.
	Approval      string    `json:"approval,omitempty"`
	ApprovalLink  string    `json:"approval_link,omitempty"`
	ApprovalUntil time.Time `json:"approval_until,omitzero"`
}

// reason finds a code in the gateway's catalogue, then in ours. A code that
// nobody knows keeps its name and is a plain denial.
func (a *api) reason(code string) Reason {
	if a.Reason != nil {
		if r, ok := a.Reason(code); ok {
			return r
		}
	}
	var denied Reason
	for _, r := range catalogue {
		if r.Code == code {
			return r
		}
		if r.Code == reasonPolicy {
			denied = r
		}
	}
	denied.Code = code
	return denied
}

// writeProblem answers with a refusal. The event that stands behind it is
// durable already, or it needs none.
func (a *api) writeProblem(w http.ResponseWriter, r *http.Request, ref *Refusal, receipt string) {
	reason := a.reason(ref.Code)
	h := w.Header()
	h.Set(headerError, reason.Code)
	if receipt != "" {
		h.Set(headerReceipt, receipt)
	}
	switch reason.Status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	}
	p := problem{
		Type: "urn:caregate:error:" + reason.Code, Title: reason.What, Status: reason.Status,
		Detail: reason.Fix, Reason: reason.Code, Cause: ref.Cause, Receipt: receipt, WhoFixes: reason.Who,
	}
	if ag := ref.approval; ag.ID != "" {
		p.Approval, p.ApprovalLink, p.ApprovalUntil = ag.ID, prefix+"/approvals/"+ag.ID, ag.Until.UTC()
		p.Detail = strings.ReplaceAll(p.Detail, "APPROVAL", ag.ID)
	}
	writeJSON(w, r, reason.Status, "application/problem+json", p)
}

// writeJSON writes a whole answer.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, contentType string, v any) {
	body, ok := v.(json.RawMessage)
	if !ok {
		var err error
		if body, err = json.Marshal(v); err != nil {
			panic(err) // the answers of this package have no field that can fail
		}
		body = append(body, '\n')
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; the events stand
	}
}
