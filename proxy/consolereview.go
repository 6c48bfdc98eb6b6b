package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy/review"
)

// consoleReviews gives reviews of access in console's types.
type consoleReviews struct{ a *App }

func consoleReview(r review.Review, items []review.Item) console.Review {
	out := console.Review{
		ID: r.ID, State: r.State, Opened: r.Opened, OpenedBy: r.OpenedBy, Ticket: r.Ticket, Since: r.Since, Until: r.Until, Due: r.Due, Log: r.Log, OtherGateways: r.Others,
		ClosedBy: r.ClosedBy, AgreedBy: r.Agreed, CloseTicket: r.CloseTicket, Closed: r.Closed,
	}
	if r.State != review.Open {
		out.Event = audit.ID(r.Event).String()
	}
	out.Digest = hex.EncodeToString(r.Digest)
	out.Undecided, out.Kept, out.Revoked, out.ByHand = review.Counts(items)
	for _, it := range items {
		f := it.Facts
		v := console.ReviewItem{
			Number: it.Number, Kind: it.Kind, Holder: f.Holder, Source: f.Source, Name: f.Name, Right: f.Right, Reveals: f.Reveals, Lapsed: f.Lapsed,
			Created: f.Created, Expires: f.Expires, LastLogin: f.LastLogin, MFA: f.MFA, Active: f.Active, Groups: f.Groups,
			Decision: it.Decision, Reviewer: it.Reviewer, Reason: it.Reason, Ticket: it.Ticket, Decided: it.Decided, Outcome: it.Outcome, Done: it.Finished,
		}
		if f.Use != nil {
			v.Use = &console.ReviewUse{Calls: f.Use.Calls, People: f.Use.People, Last: f.Use.Last, Receipt: f.Use.Receipt}
		}
		if it.Outcome == review.Done {
			v.Event = audit.ID(it.Event).String()
		}
		out.Items = append(out.Items, v)
	}
	return out
}

func consoleImport(in review.Import) console.AccountImport {
	return console.AccountImport{Source: in.Source, Format: in.Format, At: in.At, By: in.By, Accounts: in.Count, Digest: in.Digest}
}

// reviewError gives review's errors the names under which console knows them.
func reviewError(err error) error {
	switch {
	case errors.Is(err, review.ErrNone):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case errors.Is(err, review.ErrWish), errors.Is(err, review.ErrOwn), errors.Is(err, review.ErrImport):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}

// reviewStatus says when the next review is due, and which is open.
func (d *Data) reviewStatus(ctx context.Context) (s console.ReviewStatus, err error) {
	list, err := d.Reviews.List(ctx)
	if err != nil {
		return s, err
	}
	var done time.Time // when the newest review that is closed was opened
	for _, r := range list {
		switch {
		case r.State != review.Closed:
			s.Open = r.ID
		case r.Opened.After(done):
			done = r.Opened
		}
	}
	anchor, err := d.Reviews.Anchor(ctx)
	if err != nil {
		return s, err
	}
	s.Due, err = reviewDue(anchor, done)
	return s, err
}

// List implements console.Reviews.
func (c consoleReviews) List(ctx context.Context) (out console.ReviewList, err error) {
	d := c.a.gen.data
	s, err := d.reviewStatus(ctx)
	if err != nil {
		return out, err
	}
	out = console.ReviewList{Due: s.Due, Reviews: []console.Review{}, Imports: []console.AccountImport{}}
	list, err := d.Reviews.List(ctx)
	if err != nil {
		return out, err
	}
	for _, r := range list {
		_, items, err := d.Reviews.Get(ctx, r.ID)
		if err != nil {
			return out, err
		}
		v := consoleReview(r, items)
		v.Items = nil
		out.Reviews = append(out.Reviews, v)
	}
	imports, err := d.Reviews.Imports(ctx)
	for _, in := range imports {
		out.Imports = append(out.Imports, consoleImport(in))
	}
	return out, err
}

// Get implements console.Reviews.
func (c consoleReviews) Get(ctx context.Context, id string) (console.Review, error) {
	r, items, err := c.a.gen.data.Reviews.Get(ctx, id)
	if err != nil {
		return console.Review{}, reviewError(err)
	}
	return consoleReview(r, items), nil
}

// reviewWindow is how far back the log is looked at where nobody says otherwise: a quarter,
// as long as any is.
const reviewWindow = 92 * day

// Open implements console.Reviews.
func (c consoleReviews) Open(ctx context.Context, by console.Actor, n console.NewReview) (console.Review, error) {
	d := c.a.gen.data
	until := c.a.now().UTC().Truncate(time.Millisecond)
	since := n.Since.UTC()
	if n.Since.IsZero() {
		since = until.Add(-reviewWindow)
	}
	if !since.Before(until) {
		return console.Review{}, fmt.Errorf("%w: since lies in the future", console.ErrInvalid)
	}
	status, err := d.reviewStatus(ctx)
	if err != nil {
		return console.Review{}, err
	}
	if status.Open != "" { // before the work
		return console.Review{}, fmt.Errorf("%w: review %s is open; close it first", console.ErrInvalid, status.Open)
	}
	others, err := d.gateways.others(ctx)
	if err != nil {
		return console.Review{}, err
	}
	items, err := d.collect(ctx, c.a.rules(), since, until)
	if err != nil {
		return console.Review{}, err
	}
	r, err := d.Reviews.Open(ctx, review.NewReview{By: by.ID, Ticket: n.Ticket, Since: since, Until: until, Due: status.Due, Log: d.Log.Origin(), Others: others, Items: items})
	if err != nil {
		return console.Review{}, reviewError(err)
	}
	return c.Get(ctx, r.ID)
}

// Decide implements console.Reviews.
func (c consoleReviews) Decide(ctx context.Context, id string, by console.Actor, wish console.ReviewDecision) (console.Review, error) {
	d := c.a.gen.data
	p, err := proofOf(by)
	if err != nil {
		return console.Review{}, err
	}
	own, err := d.own(ctx, &p.Actor)
	if err != nil {
		return console.Review{}, err
	}
	if err := d.Reviews.Decide(ctx, id, review.Decision{Items: wish.Items, What: wish.Decision, Reviewer: by.ID, Reason: wish.Reason, Ticket: wish.Ticket}, own); err != nil {
		return console.Review{}, reviewError(err)
	}
	return c.Get(ctx, id)
}

// Decisions implements console.Reviews.
func (c consoleReviews) Decisions(ctx context.Context, id string) (string, error) {
	s, err := c.a.gen.data.Reviews.Decisions(ctx, id)
	return s, reviewError(err)
}

// Close implements console.Reviews.
func (c consoleReviews) Close(ctx context.Context, id string, by console.Actor, wish console.ReviewClosing) (console.Review, error) {
	d := c.a.gen.data
	if err := d.Reviews.Close(ctx, id, review.Closer{By: by.ID, Agreed: wish.Agreed, Ticket: wish.Ticket, Decisions: wish.Decisions}); err != nil {
		return console.Review{}, reviewError(err)
	}
	// From here on it happens, by this call or by the next try.
	if err := d.finishReviews(ctx); err != nil {
		c.a.logger.Error("carrying out a review of access; it is tried again", errField(err))
	}
	return c.Get(ctx, id)
}

// Report implements console.Reviews.
func (c consoleReviews) Report(ctx context.Context, id string) (out console.ReviewReport, err error) {
	r, _, err := c.a.gen.data.Reviews.Get(ctx, id)
	if err != nil {
		return out, reviewError(err)
	}
	if r.State != review.Closed {
		return out, fmt.Errorf("%w: it is %s, and has a report when it is closed", console.ErrInvalid, r.State)
	}
	kept, err := c.a.gen.data.Reviews.Report(ctx, id)
	if err != nil {
		return out, reviewError(err)
	}
	var k keptReport
	if err := json.Unmarshal(kept, &k); err != nil {
		return out, fmt.Errorf("reading the report of a review: %w", err)
	}
	return console.ReviewReport(k), nil
}

// Import implements console.Reviews.
func (c consoleReviews) Import(ctx context.Context, by console.Actor, f console.AccountFile) (console.AccountImport, error) {
	accounts, err := review.ParseAccounts(f.Format, []byte(f.Text))
	if err != nil {
		return console.AccountImport{}, reviewError(err)
	}
	in := review.Import{Source: f.Source, Format: f.Format, By: by.ID, At: time.Now().UTC(), Count: len(accounts), Accounts: accounts}
	sum := sha256.Sum256([]byte(f.Text))
	in.Digest = hex.EncodeToString(sum[:])
	if err := c.a.gen.data.Reviews.Import(ctx, in); err != nil {
		return console.AccountImport{}, reviewError(err)
	}
	return consoleImport(in), nil
}

var _ console.Reviews = consoleReviews{}
