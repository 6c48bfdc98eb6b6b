package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/request"
)

// consoleRequests gives what persons ask for in console's types.
type consoleRequests struct{ a *App }

var _ console.Requests = consoleRequests{}

// openRequests opens the register of requests, whose duties, flags and holds are open.
func (d *Data) openRequests(ctx context.Context) error {
	register, err := clock.Builtin()
	if err != nil {
		return fmt.Errorf("reading the legal clocks: %w", err)
	}
	d.Requests, err = request.New(ctx, request.Config{
		DB: d.state, Duties: d.Duties, Register: register, Index: d.Index, Seal: requestSealer(d.Vault),
		HoldInForce: func(ctx context.Context, id string) (bool, error) {
			h, err := d.Holds.Get(ctx, id)
			if errors.Is(err, hold.ErrNone) {
				return false, nil
			}
			return err == nil && h.State != hold.Lifted, err
		},
	})
	if err != nil {
		return fmt.Errorf("opening the requests of persons: %w", err)
	}
	return nil
}

func consoleRequest(r request.Request, now time.Time) console.PrivacyRequest {
	out := console.PrivacyRequest{
		ID: r.ID, Kind: r.Kind, Place: r.Place, Manner: r.Manner, Agent: r.Agent, Authority: r.Authority, Received: r.Received, Opened: r.Opened, OpenedBy: r.OpenedBy, State: r.State,
		Duties: []console.RequestDuty{}, RefuseBy: r.RefuseBy, FailedChecks: r.Failed, Authenticated: r.Again, Items: r.Items, Duplicates: r.Duplicates,
		Closed: r.Closed, ClosedBy: r.ClosedBy, Reason: r.Reason, Notice: r.Notice, Other: r.Other,
	}
	for _, d := range r.Duties {
		out.Duties = append(out.Duties, console.RequestDuty{
			What: d.What, Rule: d.Rule, PlanBy: d.PlanBy, LegalDue: d.LegalDue, Done: d.Done, Urgency: d.StageAt(now), PausedSince: d.PausedSince, PauseCause: d.PauseCause,
			Extended: d.Extended, NeedsHuman: d.NeedsHuman, Steps: d.Steps,
		})
	}
	for _, n := range r.Names {
		out.Names = append(out.Names, console.RequestName{Verified: n.At, Method: n.Method})
	}
	for _, e := range r.Events {
		out.History = append(out.History, console.RequestEvent{At: e.At, Kind: e.Type, Actor: e.By, Facts: e.Attrs})
	}
	return out
}

// requestError gives the errors of requests the names under which console knows them.
func requestError(err error) error {
	switch {
	case errors.Is(err, request.ErrNone):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case errors.Is(err, request.ErrWish):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}

// List implements console.Requests.
func (c consoleRequests) List(ctx context.Context) ([]console.PrivacyRequest, error) {
	list, err := c.a.gen.data.Requests.List(ctx)
	out := make([]console.PrivacyRequest, len(list))
	for i, r := range list {
		out[i] = consoleRequest(r, time.Now())
	}
	return out, err
}

// Get implements console.Requests.
func (c consoleRequests) Get(ctx context.Context, id string) (console.PrivacyRequest, error) {
	r, err := c.a.gen.data.Requests.Get(ctx, id)
	return consoleRequest(r, time.Now()), requestError(err)
}

// Open implements console.Requests. A person whom no call ever named gets a key, under whose
// pseudonym later records come.
func (c consoleRequests) Open(ctx context.Context, by console.Actor, n console.NewPrivacyRequest) (console.PrivacyRequest, error) {
	flags := consoleFlags(c)
	all, err := flags.names(ctx, n.Subjects, true)
	if err != nil {
		return console.PrivacyRequest{}, err
	}
	wish := request.NewRequest{Kind: n.Kind, Place: n.Place, Manner: n.Manner, Received: n.Received, Agent: n.Agent, Requester: request.Requester(n.Requester), By: by.ID}
	for i := range all {
		wish.Names = append(wish.Names, request.Name{Person: all[i].person(), Digest: all[i].name})
	}
	r, err := c.a.gen.data.Requests.Open(ctx, wish)
	if err != nil {
		return console.PrivacyRequest{}, requestError(err)
	}
	// A person who was erased meanwhile comes back as somebody else, and would not be found by
	// what is stored here.
	if err := flags.stillThere(ctx, all); err != nil {
		return console.PrivacyRequest{}, fmt.Errorf("the request %s is open: %w", r.ID, err)
	}
	return c.told(ctx, r.ID)
}

// Change implements console.Requests.
func (c consoleRequests) Change(ctx context.Context, id string, by console.Actor, w console.RequestChange) (console.PrivacyRequest, error) {
	s := c.a.gen.data.Requests
	check := request.Check{Method: w.Method, Proof: w.Proof, At: w.At, Names: w.Names, Authority: w.Authority}
	var err error
	switch {
	case w.Deed == "acknowledge":
		_, err = s.Acknowledged(ctx, id, by.ID, w.Notice, w.At)
	case w.Deed == "verify" && w.Failed:
		_, err = s.VerifyFailed(ctx, id, by.ID, check)
	case w.Deed == "verify":
		_, err = s.Verify(ctx, id, by.ID, check)
	case w.Deed == "reauthenticate":
		_, err = s.Reauthenticated(ctx, id, by.ID, check)
	case w.Deed == "pause":
		_, err = s.Pause(ctx, id, by.ID, w.Cause, w.Notice, w.At)
	case w.Deed == "resume":
		_, err = s.Resume(ctx, id, by.ID, w.At)
	case w.Deed == "restart":
		_, err = s.Restart(ctx, id, by.ID, w.Cause, w.From)
	case w.Deed == "extend":
		_, err = s.Extend(ctx, id, by.ID, w.Reason, w.Notice, w.At)
	case w.Deed == "note":
		items := make([]request.Item, len(w.Items))
		for i, it := range w.Items {
			items[i] = request.Item{Place: it.Place, Result: it.Result, Hold: it.Hold, Statute: it.Statute, Until: it.Until}
		}
		_, err = s.Note(ctx, id, by.ID, items, w.Rest)
	case w.Deed == "answer":
		_, err = s.Answer(ctx, id, by.ID, w.Notice)
	case w.Deed == "refuse":
		_, err = s.Refuse(ctx, id, by.ID, w.Reason, w.Notice)
	case w.Deed == "withdraw":
		_, err = s.Withdraw(ctx, id, by.ID, w.Notice)
	case w.Deed == "duplicate":
		_, err = s.DuplicateOf(ctx, id, by.ID, w.Other, w.Notice)
	default:
		err = fmt.Errorf("%w: nobody knows this change", console.ErrInvalid)
	}
	if err != nil {
		return console.PrivacyRequest{}, requestError(err)
	}
	return c.told(ctx, id)
}

// told puts on record what happened and returns the request. What cannot be recorded now is
// later.
func (c consoleRequests) told(ctx context.Context, id string) (console.PrivacyRequest, error) {
	d := c.a.gen.data
	if err := d.tellRequests(ctx); err != nil {
		c.a.logger.Error("recording what happened to requests of persons; it is tried again", errField(err))
	}
	d.dutiesSoon()
	return c.Get(ctx, id)
}

// Requester implements console.Requests.
func (c consoleRequests) Requester(ctx context.Context, id string) (console.RequestRequester, error) {
	q, err := c.a.gen.data.Requests.Requester(ctx, id)
	return console.RequestRequester(q), requestError(err)
}

// Records implements console.Requests. Whose records they are the register says, and says
// nobody while it is not known who the person is.
func (c consoleRequests) Records(ctx context.Context, id string, q console.RecordQuestion) (list console.RecordList, err error) {
	d := c.a.gen.data
	proven, err := d.Requests.Persons(ctx, id, false)
	if err != nil {
		return list, requestError(err)
	}
	all, err := d.Requests.Persons(ctx, id, true)
	if err != nil {
		return list, requestError(err)
	}
	list.Known, list.Linked = len(proven), len(all)-len(proven)
	if !q.Linked {
		all = proven
	}
	return c.a.recordsOf(ctx, list, all, q)
}

// Items implements console.Requests.
func (c consoleRequests) Items(ctx context.Context, id, after string, limit int) (list console.RequestItems, err error) {
	found, err := c.a.gen.data.Requests.Items(ctx, id, after, limit+1)
	if err != nil {
		return list, requestError(err)
	}
	if list.More = len(found) > limit; list.More {
		found = found[:limit]
	}
	for _, it := range found {
		list.Items = append(list.Items, console.RequestItem(it))
	}
	return list, nil
}

// requestOperations are the calls that make events of requests; the gateway makes the rest by
// itself.
var requestOperations = map[string]string{
	request.EventOpened: "request.open", request.EventAcknowledged: "request.acknowledge", request.EventVerified: "request.verify", request.EventFailed: "request.verify",
	request.EventAgain: "request.reauthenticate", request.EventPaused: "request.pause", request.EventResumed: "request.resume", request.EventRestarted: "request.restart",
	request.EventExtended: "request.extend", request.EventItems: "request.note",
}

// closeOperations are those that close one, by its outcome.
var closeOperations = map[string]string{request.Answered: "request.answer", request.Refused: "request.refuse", request.Withdrawn: "request.withdraw", request.Duplicate: "request.duplicate"}

// tellRequests puts on record what happened to requests.
func (d *Data) tellRequests(ctx context.Context) error {
	return d.Requests.Tell(ctx, func(ctx context.Context, e request.Event) error {
		attrs := map[string]string{"request": e.Request(), "entry": strconv.FormatInt(e.Seq(), 10)}
		for name, v := range e.Attrs {
			attrs[name] = v
		}
		op, by := requestOperations[e.Type], e.By
		if e.Type == request.EventClosed {
			op = closeOperations[attrs["outcome"]]
		}
		if by == request.Machine {
			by = ""
		}
		return d.recordOnce(ctx, audit.Event{ID: audit.ID(e.ID), Type: e.Type, Operation: op, Attrs: attrs}, by)
	})
}

// raiseDeadline tells whoever reads the gateway's log, and metrics, of a deadline that comes or
// is over. The entry in the audit log is made with it.
func raiseDeadline(logger *slog.Logger) request.Raised {
	return func(id string, d request.Duty, stage string) {
		processMetrics.deadlinesRaised.WithLabelValues(d.What, stage).Inc()
		logger.Error("what is owed to a person who asked for something by law is "+stage+": caregate request show", slog.String("request", id), slog.String("what", d.What), slog.String("rule", d.Rule),
			slog.String("plan_by", d.PlanBy.Format(time.RFC3339)), slog.String("legal_due", d.LegalDue.Format(time.RFC3339)), slog.String("paused", d.PauseCause))
	}
}

func (d *Data) countDeadlines(ctx context.Context) error {
	stages, err := d.Requests.Stages(ctx)
	for of, n := range stages {
		if of[1] == "" {
			of[1] = "later"
		}
		processMetrics.deadlines.WithLabelValues(of[0], of[1]).Set(float64(n))
	}
	return err
}
