package request

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/clock"
)

// Acknowledged notes that the person was told that the request came in. notice names what was
// sent, at is when; zero for now.
func (s *Store) Acknowledged(ctx context.Context, id, by, notice string, at time.Time) (Request, error) {
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		at, err := r.moment(at, now)
		if err != nil {
			return err
		}
		if !code.MatchString(notice) {
			return errNotice
		}
		d := r.duty(Acknowledge)
		if d == nil || !d.Done.IsZero() {
			return wish("no acknowledgement is owed, or it was noted")
		}
		attrs := map[string]string{"notice": notice, "sent": stamp(at)}
		if !at.Before(d.LegalDue) {
			attrs["late"] = "yes"
		}
		if err := s.end(ctx, tx, id, d, "acknowledged", notice, now); err != nil {
			return err
		}
		return s.note(ctx, tx, id, EventAcknowledged, by, attrs, now)
	})
}

var errNotice = wish("notice: want the number of what the person was told: letters, digits and ._:/-")

// moment is when something happened that a person notes.
func (r *Request) moment(at, now time.Time) (time.Time, error) {
	if at.IsZero() {
		at = now
	}
	at = at.UTC().Truncate(time.Second)
	if at.After(now) || at.Before(r.Received) {
		return at, wish("at: it lies between when the request was received and now")
	}
	return at, nil
}

// Pause notes that the person was asked for something, so that the clock stands still where
// the rule knows this cause. notice names what the person was sent, at is when; zero for now.
func (s *Store) Pause(ctx context.Context, id, by, cause, notice string, at time.Time) (Request, error) {
	if !code.MatchString(notice) {
		return Request{}, errNotice
	}
	return s.clock(ctx, id, by, EventPaused, clock.Event{Kind: clock.Paused, At: at, Reason: "asked", Cause: cause, Notice: notice})
}

// Resume notes that the answer is there.
func (s *Store) Resume(ctx context.Context, id, by string, at time.Time) (Request, error) {
	return s.clock(ctx, id, by, EventResumed, clock.Event{Kind: clock.Resumed, At: at, Reason: "answered"})
}

// Restart has the clock count from another moment, where the rule knows this cause. from is
// not after now, and before the deadline that it moves; zero for now.
func (s *Store) Restart(ctx context.Context, id, by, cause string, from time.Time) (Request, error) {
	return s.clock(ctx, id, by, EventRestarted, clock.Event{Kind: clock.Restarted, Reason: "restarted", Cause: cause, Anchor: from})
}

// Extend notes that the person was told, in time, that it takes longer and why. notice names
// what was sent, at is when; zero for now. Reason is one that the law of the place knows.
func (s *Store) Extend(ctx context.Context, id, by, reason, notice string, at time.Time) (Request, error) {
	if !code.MatchString(notice) {
		return Request{}, errNotice
	}
	return s.clock(ctx, id, by, EventExtended, clock.Event{Kind: clock.Extended, At: at, Reason: reason, Notice: notice})
}

func (s *Store) clock(ctx context.Context, id, by, typ string, e clock.Event) (Request, error) {
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) (err error) {
		if l := laws[r.Place]; e.Kind == clock.Extended && !slices.Contains(l.extend, e.Reason) {
			return wish("reason: there are %s", strings.Join(l.extend, ", "))
		}
		if e.At, err = r.moment(e.At, now); err != nil {
			return err
		}
		if !e.Anchor.IsZero() {
			if e.Anchor, err = r.moment(e.Anchor, now); err != nil {
				return err
			}
		}
		d := r.duty(Respond)
		if err := r.moves(e, d, now); err != nil {
			return err
		}
		e.Actor = subject(id)
		if err := s.happened(ctx, tx, d, e); err != nil {
			return err
		}
		attrs := map[string]string{"at": stamp(e.At), "plan_by": stamp(d.PlanBy), "legal_due": stamp(d.LegalDue)}
		for name, v := range map[string]string{"cause": e.Cause, "notice": e.Notice} {
			if v != "" {
				attrs[name] = v
			}
		}
		if e.Kind == clock.Extended {
			attrs["reason"] = e.Reason
		}
		return s.note(ctx, tx, id, typ, by, attrs, now)
	})
}

// moves tells whether what is asked of a person may move the clock to answer. The rule of the
// clock says the rest.
func (r *Request) moves(e clock.Event, d *Duty, now time.Time) error {
	asked := e.Kind == clock.Paused || e.Kind == clock.Restarted
	anchor := e.Anchor
	if anchor.IsZero() {
		anchor = now
	}
	switch {
	case asked && e.Cause == ReasonIdentity && (unproven(r.Kind) || !slices.ContainsFunc(r.Names, func(v Verified) bool { return v.At.IsZero() })):
		return wish("cause: it is known who the person is")
	// UK GDPR Art. 12A: it says which information or processing is wanted.
	case asked && e.Cause == causeClarification && r.Kind != Access:
		return wish("cause: only an access request waits for what is wanted")
	case e.Kind == clock.Restarted && e.Cause != ReasonIdentity:
		return wish("cause: the clock of a request counts anew for the identity only")
	case e.Kind == clock.Restarted && !anchor.Before(d.LegalDue):
		return wish("from: the time to answer was over then")
	}
	return nil
}

// causeClarification is the cause of a pause for what the person wants.
const causeClarification = "clarification"

// happened adds an event to a duty's clock, and has d say what it says then.
func (s *Store) happened(ctx context.Context, tx *sql.Tx, d *Duty, e clock.Event) error {
	o, err := s.Duties.In(ctx, tx, d.ID)
	if err != nil {
		return err
	}
	if _, err := s.Register.Fold(append(o.Clock, e)); err != nil {
		return wish("%v", err) // codes, and what the rule allows
	}
	state, err := s.Duties.Happened(ctx, tx, d.ID, e)
	if err != nil {
		return err
	}
	s.step("clock")
	d.PlanBy, d.LegalDue = state.PlanBy.At, state.LegalDue.At
	_, err = tx.ExecContext(ctx, `UPDATE request_duty SET plan = $1, legal = $2, paused = $3, stage = '', raised = 0 WHERE id = $4`,
		store.Millis(d.PlanBy), store.Millis(d.LegalDue), store.Millis(state.PausedSince), d.ID)
	return err
}

func (r *Request) duty(what string) *Duty {
	for i := range r.Duties {
		if r.Duties[i].What == what {
			return &r.Duties[i]
		}
	}
	return nil
}

// end ends a duty of a request that is owed.
func (s *Store) end(ctx context.Context, tx *sql.Tx, id string, d *Duty, reason, result string, now time.Time) error {
	if err := s.Duties.End(ctx, tx, d.ID, subject(id), reason, result); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE request_duty SET state = 'done', ended = $1 WHERE id = $2`, store.Millis(now), d.ID)
	return err
}
