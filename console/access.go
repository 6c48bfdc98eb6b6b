package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reviews are reviews of who has access. Errors wrap ErrNotFound for an id that is not known
// and ErrInvalid, with a text that may be shown, for what cannot be done. What they return
// names people who work with the gateway and the systems behind it.
type Reviews interface {
	// List returns all reviews, the newest first, the imports, and when the next is due.
	List(ctx context.Context) (ReviewList, error)
	// Get returns one with its items.
	Get(ctx context.Context, id string) (Review, error)
	// Open freezes who has access now.
	Open(ctx context.Context, by Actor, n NewReview) (Review, error)
	// Decide notes a decision about items, all or none. Nobody decides about a right of
	// one's own.
	Decide(ctx context.Context, id string, by Actor, d ReviewDecision) (Review, error)
	// Decisions describes what is decided as it stands, for others to agree to.
	Decisions(ctx context.Context, id string) (string, error)
	// Close carries out what was decided and writes the report.
	Close(ctx context.Context, id string, by Actor, c ReviewClosing) (Review, error)
	// Report returns the signed report of one that is closed.
	Report(ctx context.Context, id string) (ReviewReport, error)
	// Import takes in the accounts of another system, in place of an earlier import.
	Import(ctx context.Context, by Actor, f AccountFile) (AccountImport, error)
}

// Review is one review of who has access.
type Review struct {
	ID string `json:"id"`
	// State is open, closing (decided, and being carried out) or closed.
	State string `json:"state"`
	// Opened by an actor's ID, with the number of a change ticket.
	Opened   time.Time `json:"opened"`
	OpenedBy string    `json:"opened_by"`
	Ticket   string    `json:"ticket,omitempty"`
	// Since and Until are the window of the log that was looked at; Due is until when the
	// review was to be closed.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Due   time.Time `json:"due"`
	// Log is the origin of that log; OtherGateways are those on the same database whose logs
	// were not looked at.
	Log           string   `json:"log"`
	OtherGateways []string `json:"other_gateways,omitempty"`
	// Undecided, Kept, Revoked and ByHand count items. Revoked is what the gateway revokes
	// itself, ByHand what people have to.
	Undecided int `json:"undecided"`
	Kept      int `json:"kept"`
	Revoked   int `json:"revoked"`
	ByHand    int `json:"by_hand"`
	// ClosedBy closed it, AgreedBy agreed. Closed is when all was carried out; Event is the
	// event that says so, Digest the SHA-256 of the report, in hexadecimal digits.
	ClosedBy    string    `json:"closed_by,omitempty"`
	AgreedBy    []string  `json:"agreed_by,omitempty"`
	CloseTicket string    `json:"close_ticket,omitempty"`
	Closed      time.Time `json:"closed,omitzero"`
	Event       string    `json:"event,omitempty"`
	Digest      string    `json:"digest,omitempty"`
	// Items are left out of lists.
	Items []ReviewItem `json:"items,omitempty"`
}

// ReviewItem is one right of one holder.
type ReviewItem struct {
	Number int `json:"number"`
	// Kind is apikey, grant, policy_grant, role, standing or account.
	Kind string `json:"kind"`
	// Holder is an actor's ID, an actor's pseudonym in the log, or an account of Source;
	// Name says more of it.
	Holder string `json:"holder"`
	Source string `json:"source"`
	Name   string `json:"name,omitempty"`
	Right  string `json:"right"`
	// Reveals tells that the right is one to see what stands behind tokens.
	Reveals bool `json:"reveals,omitempty"`
	// Lapsed is when such a right lapsed unused; zero for one that counts.
	Lapsed time.Time `json:"lapsed,omitzero"`
	// Use is absent where the log cannot know it.
	Use       *ReviewUse `json:"use,omitempty"`
	Created   time.Time  `json:"created,omitzero"`
	Expires   time.Time  `json:"expires,omitzero"`
	LastLogin time.Time  `json:"last_login,omitzero"`
	MFA       string     `json:"mfa,omitempty"`
	Active    string     `json:"active,omitempty"`
	Groups    []string   `json:"groups,omitempty"`
	// Decision is empty, keep or revoke.
	Decision string    `json:"decision,omitempty"`
	Reviewer string    `json:"reviewer,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Ticket   string    `json:"ticket,omitempty"`
	Decided  time.Time `json:"decided,omitzero"`
	// Outcome of a revocation: pending, done (Done, Event), or by_hand, which says that
	// people have to and not that they did.
	Outcome string    `json:"outcome,omitempty"`
	Done    time.Time `json:"done,omitzero"`
	Event   string    `json:"event,omitempty"`
}

// ReviewUse is what the log knows of a right's use in the window.
type ReviewUse struct {
	Calls int64 `json:"calls"`
	// People counts persons whose data stood in answers, anew in each answer.
	People  int64     `json:"people"`
	Last    time.Time `json:"last,omitzero"`
	Receipt string    `json:"receipt,omitempty"`
}

// ReviewList is the answer of a list.
type ReviewList struct {
	// Due is until when the next review is to be closed.
	Due     time.Time       `json:"due"`
	Reviews []Review        `json:"reviews"`
	Imports []AccountImport `json:"imports"`
}

// AccountImport is the newest import of a source.
type AccountImport struct {
	Source   string    `json:"source"`
	Format   string    `json:"format"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Accounts int       `json:"accounts"`
	// Digest is the SHA-256 of the file, in hexadecimal digits.
	Digest string `json:"digest"`
}

// NewReview asks for a review.
type NewReview struct {
	// Since is where the window of the log begins; zero: a quarter ago.
	Since  time.Time
	Ticket string
}

// ReviewDecision is what a reviewer says about items.
type ReviewDecision struct {
	Items                    []int
	Decision, Reason, Ticket string
}

// ReviewClosing says who agreed to a closing, and to what.
type ReviewClosing struct {
	Agreed            []string
	Ticket, Decisions string
}

// ReviewReport is a report with the signature over it.
type ReviewReport struct {
	// JSON and HTML say the same. Statement is a note signed with the log's key that has the
	// digests of both.
	JSON      string `json:"json"`
	HTML      string `json:"html"`
	Statement string `json:"statement"`
}

// AccountFile is an export of another system.
type AccountFile struct {
	Source, Format, Text string
}

// Limits of reviews.
const (
	maxAccountFile   = 17 << 20 // a file of 8 MiB as a JSON string, in which each byte may have a backslash
	maxReviewItems   = 10_000
	maxReviewReason  = 500
	maxAccountSource = 64
)

// decodeNewReview reads {"since"}.
func decodeNewReview(body []byte) (any, *Refusal) {
	var n NewReview
	if ref := decodeObject(body, member{"since", &n.Since}); ref != nil {
		return nil, ref
	}
	return n, nil
}

// decodeReviewDecision reads {"items", "decision", "reason"}.
func decodeReviewDecision(body []byte) (any, *Refusal) {
	var d ReviewDecision
	if ref := decodeObject(body, member{"items", &d.Items}, member{"decision", &d.Decision}, member{"reason", &d.Reason}); ref != nil {
		return nil, ref
	}
	switch {
	case len(d.Items) == 0 || len(d.Items) > maxReviewItems:
		return nil, refuse(reasonInvalid, fmt.Sprintf("items: want 1 to %d numbers", maxReviewItems), nil)
	case d.Decision != "keep" && d.Decision != "revoke":
		return nil, refuse(reasonInvalid, "decision: want keep or revoke", nil)
	case !isText(d.Reason, maxReviewReason):
		return nil, refuse(reasonInvalid, fmt.Sprintf("reason: want 1 to %d bytes of printable text", maxReviewReason), nil)
	}
	return d, nil
}

// decodeAccountFile reads {"source", "format", "text"}.
func decodeAccountFile(body []byte) (any, *Refusal) {
	var f AccountFile
	if ref := decodeObject(body, member{"source", &f.Source}, member{"format", &f.Format}, member{"text", &f.Text}); ref != nil {
		return nil, ref
	}
	if !isWord(f.Source) || len(f.Source) > maxAccountSource {
		return nil, refuse(reasonInvalid, fmt.Sprintf("source: want 1 to %d letters, digits, dashes and underscores", maxAccountSource), nil)
	}
	return f, nil
}

// prepareClosing describes the closing of a review to those who may have to agree: they
// agree to its decisions as they stand.
func prepareClosing(a *api, c *callState, rec *Record) *Refusal {
	c.records, c.bound, rec.Attrs = 1, []string{"review=" + c.param}, make(map[string]string)
	d, err := a.Reviews.Decisions(c.ctx, c.param)
	if err != nil { // others would agree to nothing in particular
		return reviewRefusal(err)
	}
	c.bound = append(c.bound, reviewDecisions+d)
	return nil
}

const reviewDecisions = "decisions="

// listReviews answers GET /api/v1/access/reviews.
func listReviews(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Reviews.List(c.ctx)
	if err != nil {
		return answer{}, reviewRefusal(err)
	}
	return answer{status: http.StatusOK, body: list}, nil
}

// readReview answers GET /api/v1/access/reviews/{id}.
func readReview(a *api, c *callState) (answer, *Refusal) {
	r, err := a.Reviews.Get(c.ctx, c.param)
	if err != nil {
		return answer{}, reviewRefusal(err)
	}
	return answer{status: http.StatusOK, body: r}, nil
}

// openReview answers POST /api/v1/access/reviews. A review whose event failed stays: it
// changes nothing that anybody may do.
func openReview(a *api, c *callState) (answer, *Refusal) {
	wish := c.body.(NewReview)
	wish.Ticket = c.ticket
	r, err := a.Reviews.Open(c.ctx, c.actor, wish)
	if err != nil {
		return answer{}, reviewRefusal(err)
	}
	return answer{status: http.StatusCreated, body: r, location: prefix + "/access/reviews/" + r.ID, attrs: map[string]string{
		"review": r.ID, "items": strconv.Itoa(len(r.Items)), "since": r.Since.Format(time.RFC3339), "until": r.Until.Format(time.RFC3339)}}, nil
}

// decideReview answers POST /api/v1/access/reviews/{id}/decide. A decision whose event
// failed stays undone by whoever repeats it: until the review closes, it changes nothing.
func decideReview(a *api, c *callState) (answer, *Refusal) {
	d := c.body.(ReviewDecision)
	d.Ticket = c.ticket
	r, err := a.Reviews.Decide(c.ctx, c.param, c.actor, d)
	if err != nil {
		return answer{}, reviewRefusal(err)
	}
	return answer{status: http.StatusOK, body: r, attrs: map[string]string{
		"review": r.ID, "review_decision": d.Decision, "items": ranges(d.Items), "undecided": strconv.Itoa(r.Undecided)}}, nil
}

// closeReview answers POST /api/v1/access/reviews/{id}/close. What could not be carried out
// yet is carried out later: the answer says how far it is.
func closeReview(a *api, c *callState) (answer, *Refusal) {
	closing := ReviewClosing{Agreed: c.agreed, Ticket: c.ticket}
	if len(c.agreed) > 0 && len(c.bound) > 1 {
		closing.Decisions = strings.TrimPrefix(c.bound[1], reviewDecisions)
	}
	r, err := a.Reviews.Close(c.ctx, c.param, c.actor, closing)
	if err != nil {
		return answer{}, reviewRefusal(err)
	}
	attrs := map[string]string{"review": r.ID, "review_state": r.State, "kept": strconv.Itoa(r.Kept), "revoked": strconv.Itoa(r.Revoked), "by_hand": strconv.Itoa(r.ByHand)}
	if r.Digest != "" {
		attrs["report"] = r.Digest
	}
	return answer{status: http.StatusOK, body: r, attrs: attrs}, nil
}

// reportReview answers GET /api/v1/access/reviews/{id}/report.
func reportReview(a *api, c *callState) (answer, *Refusal) {
	r, err := a.Reviews.Report(c.ctx, c.param)
	if err != nil {
		return answer{}, reviewRefusal(err)
	}
	return answer{status: http.StatusOK, body: r}, nil
}

// importAccounts answers POST /api/v1/access/imports. An import whose event failed stays: it
// changes nothing that anybody may do.
func importAccounts(a *api, c *callState) (answer, *Refusal) {
	in, err := a.Reviews.Import(c.ctx, c.actor, c.body.(AccountFile))
	if err != nil {
		return answer{}, reviewRefusal(err)
	}
	// Without the file's digest: names that somebody guesses could be tried on it.
	return answer{status: http.StatusOK, body: in, attrs: map[string]string{"source": in.Source, "format": in.Format, "accounts": strconv.Itoa(in.Accounts)}}, nil
}

// maxRanges bounds what an event repeats of a list of numbers.
const maxRanges = 1000

// ranges writes numbers as 1-3,7. What does not fit is left out and counted: 1-3,+12.
func ranges(numbers []int) string {
	sorted := slices.Compact(slices.Sorted(slices.Values(numbers)))
	var b []byte
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		if len(b) > maxRanges {
			return string(b) + "+" + strconv.Itoa(len(sorted)-i)
		}
		b = strconv.AppendInt(b, int64(sorted[i]), 10)
		if j > i {
			b = strconv.AppendInt(append(b, '-'), int64(sorted[j]), 10)
		}
		i = j + 1
	}
	return string(b)
}

// reviewRefusal turns an error of Reviews into an answer.
func reviewRefusal(err error) *Refusal {
	switch {
	case errors.Is(err, ErrNotFound):
		return refuse(reasonNotFound, "", err)
	case errors.Is(err, ErrInvalid):
		return refuse(reasonInvalid, strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "), err)
	}
	return refuse(reasonInternal, "", err)
}
