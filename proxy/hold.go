package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/hold"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/vault"
)

// consoleHolds gives legal holds in console's types.
type consoleHolds struct{ a *App }

var _ console.Holds = consoleHolds{}

func consoleHold(h hold.Hold) console.Hold {
	out := console.Hold{
		ID: h.ID, Matter: h.Matter, Custodian: h.Custodian, Reason: h.Reason, State: h.State, Placed: h.Placed, PlacedBy: h.PlacedBy,
		LiftAsked: h.Asked, LiftAskedBy: h.AskedBy, LiftReason: h.AskedFor, LiftApproved: h.Agreed, LiftApprovedBy: h.AgreedBy,
	}
	for _, l := range h.TooLate {
		out.TooLate = append(out.TooLate, console.LateHold{Event: audit.ID(l.Event).String(), Begun: l.Begun})
	}
	return out
}

func wholeHold(h hold.Hold) console.Hold {
	out := consoleHold(h)
	s := &console.HoldScope{Subjects: h.Persons, Records: []string{}, Queries: []console.HoldQuery{}}
	for _, r := range h.Records {
		s.Records = append(s.Records, recordPlace(r))
	}
	for _, q := range h.Queries {
		s.Queries = append(s.Queries, console.HoldQuery(q))
	}
	out.Scope = s
	return out
}

// holdError gives the errors of holds the names under which console knows them.
func holdError(err error) error {
	switch {
	case errors.Is(err, hold.ErrNone):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case errors.Is(err, hold.ErrWish):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}

// List implements console.Holds.
func (c consoleHolds) List(ctx context.Context) ([]console.Hold, error) {
	list, err := c.a.gen.data.Holds.List(ctx)
	out := make([]console.Hold, len(list))
	for i, h := range list {
		out[i] = consoleHold(h)
	}
	return out, err
}

// Get implements console.Holds.
func (c consoleHolds) Get(ctx context.Context, id string) (console.Hold, error) {
	h, err := c.a.gen.data.Holds.Get(ctx, id)
	return wholeHold(h), holdError(err)
}

// Place implements console.Holds. A person whom no call ever named gets a key, under whose
// pseudonym later records come.
func (c consoleHolds) Place(ctx context.Context, by console.Actor, n console.NewHold) (console.Hold, error) {
	d := c.a.gen.data
	wish := hold.New{Matter: n.Matter, Custodian: n.Custodian, Reason: n.Reason, By: by.ID}
	idents := make([]vault.Ident, len(n.Subjects))
	var err error
	for i, s := range n.Subjects {
		if idents[i], err = subjectIdent(s); err != nil {
			return console.Hold{}, err
		}
	}
	for _, text := range n.Records {
		r, err := placeOfRecord(text)
		if err != nil {
			return console.Hold{}, err
		}
		wish.Scope.Records = append(wish.Scope.Records, r)
	}
	for _, q := range n.Queries {
		wish.Scope.Queries = append(wish.Scope.Queries, hold.Query(q))
	}
	people, err := d.Vault.Subjects(ctx, idents)
	if err != nil {
		return console.Hold{}, err
	}
	for _, p := range people {
		if p.IsZero() { // a name of nobody: an address without letters
			return console.Hold{}, fmt.Errorf("%w: subject", console.ErrInvalid)
		}
		wish.Scope.Persons = append(wish.Scope.Persons, index.Person(p.Pseudonym(pseudonymIndex)))
	}
	h, err := d.Holds.Place(ctx, wish)
	if err != nil {
		return console.Hold{}, holdError(err)
	}
	return c.told(ctx, h.ID)
}

// Lift implements console.Holds.
func (c consoleHolds) Lift(ctx context.Context, id string, by console.Actor, reason string) (console.Hold, error) {
	if _, err := c.a.gen.data.Holds.AskLift(ctx, id, by.ID, reason); err != nil {
		return console.Hold{}, holdError(err)
	}
	return c.told(ctx, id)
}

// ApproveLift implements console.Holds.
func (c consoleHolds) ApproveLift(ctx context.Context, id string, by console.Actor) (console.Hold, error) {
	d := c.a.gen.data
	// A key counts from the commit of its rotation on, so whoever calls with it is found here.
	same, err := d.Keys.SameHolder(ctx, by.ID)
	if err != nil {
		return console.Hold{}, err
	}
	if _, err := d.Holds.Approve(ctx, id, by.ID, same); err != nil {
		return console.Hold{}, holdError(err)
	}
	return c.told(ctx, id)
}

// told puts on record what happened and returns the hold. What cannot be recorded now is
// later; the hold is in force meanwhile.
func (c consoleHolds) told(ctx context.Context, id string) (console.Hold, error) {
	if err := c.a.gen.data.tellHolds(ctx); err != nil {
		c.a.logger.Error("recording what happened to legal holds; it is tried again", errField(err))
	}
	return c.Get(ctx, id)
}

// holdOperations are the calls that make events of holds.
var holdOperations = map[string]string{hold.EventPlaced: "hold.place", hold.EventLiftRequested: "hold.lift", hold.EventLifted: "hold.approve_lift"}

// tellHolds puts on record what happened to holds.
func (d *Data) tellHolds(ctx context.Context) error {
	return d.Holds.Tell(ctx, func(ctx context.Context, e hold.Event) error {
		return d.recordOnce(ctx, audit.Event{ID: audit.ID(e.ID), Type: e.Type, Operation: holdOperations[e.Type], Attrs: e.Attrs}, e.By)
	})
}

// heldRefusal turns an error of the gate into an answer: it names the hold, and nobody.
func heldRefusal(err error) error {
	var held *hold.HeldError
	switch {
	case errors.As(err, &held):
		return &console.Refusal{Code: reasonLegalHold, Cause: "hold " + held.Hold + " of matter " + held.Matter}
	case errors.Is(err, index.ErrTooMany):
		return fmt.Errorf("%w: a legal hold is in force, and %w", console.ErrInvalid, index.ErrTooMany)
	}
	return err
}

// settleErasures ends the marks that an unclean stop left: of an erasure that the log has, and
// that is carried out by now, and of one that it has not. It runs when the log's index has
// everything; left was read before this process erased anything.
func (d *Data) settleErasures(ctx context.Context, left [][16]byte, logger *slog.Logger) error {
	for _, event := range left {
		has, err := d.Log.Has(ctx, audit.ID(event))
		if err != nil {
			return err
		}
		if has {
			err = d.Holds.Ended(ctx, event)
		} else {
			logger.Warn("an erasure was interrupted before it was in the log, and did not happen", slog.String("event", audit.ID(event).String()))
			err = d.Holds.Dropped(ctx, event)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
