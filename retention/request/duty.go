package request

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
)

// Stages in which a deadline is raised.
const (
	Soon    = "soon"
	Overdue = "overdue"
	// Late is behind the last moment that the law has.
	Late = "late"
)

// dutyKinds name the duties of requests, margins are how long before plan_by one is raised.
var dutyKinds = map[string]string{Respond: "request.respond", Acknowledge: "request.acknowledge"}

var margins = map[string]time.Duration{Respond: 7 * 24 * time.Hour, Acknowledge: 3 * 24 * time.Hour}

const (
	// again is how long a deadline rests before it is raised again in the same stage, quietly
	// how long before it is looked at again.
	again   = 24 * time.Hour
	quietly = time.Hour
)

// at is the moment that a duty's clock shows: of one that stands still, when that began.
func (d *Duty) at(now time.Time) time.Time {
	if !d.PausedSince.IsZero() && d.PausedSince.Before(now) {
		return d.PausedSince
	}
	return now
}

// StageAt is how urgent a duty is at a moment: empty, Soon, Overdue behind PlanBy or Late
// behind LegalDue. While its clock stands still it is as urgent as when that began.
func (d *Duty) StageAt(now time.Time) string {
	now = d.at(now)
	switch {
	case !d.Done.IsZero():
		return ""
	case !now.Before(d.LegalDue):
		return Late
	case !now.Before(d.PlanBy):
		return Overdue
	case !now.Before(d.PlanBy.Add(-margins[d.What])):
		return Soon
	}
	return ""
}

// Raised is told of a duty that is due soon or overdue, with the id of its request.
type Raised func(request string, d Duty, stage string)

// Kinds are what a runner needs for the duties of requests. raised is called after it was
// noted that one was raised. No runner ends such a duty: the person who closes the request
// does.
func (s *Store) Kinds(raised Raised) []retention.Kind {
	var kinds []retention.Kind
	for _, what := range []string{Acknowledge, Respond} {
		kinds = append(kinds, retention.Kind{Name: dutyKinds[what], Margin: margins[what], Steps: []retention.Step{{Name: "raise", Do: func(ctx context.Context, w retention.Work) (string, error) {
			return s.raise(ctx, w, raised)
		}}}})
	}
	return kinds
}

// raise raises a deadline in each stage once, and once a day while it lasts.
func (s *Store) raise(ctx context.Context, w retention.Work, raised Raised) (string, error) {
	id := strings.TrimPrefix(w.Subject, "request/")
	var d *Duty
	var is string
	fresh, rest := false, quietly
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		r, err := s.read(ctx, tx, id, s.DB.ForUpdate())
		if err != nil {
			return err
		}
		for i := range r.Duties {
			if r.Duties[i].ID == w.Obligation {
				d = &r.Duties[i]
			}
		}
		if d == nil {
			return errors.New("a duty of a request that the request does not know")
		}
		if !d.Done.IsZero() {
			return nil
		}
		is = d.StageAt(now)
		if is == "" && !d.PausedSince.IsZero() {
			return nil
		}
		if is == "" {
			is = Soon // the clock is in doubt
		}
		next := map[string]time.Time{Soon: d.PlanBy, Overdue: d.LegalDue}[is]
		if !next.IsZero() {
			rest = min(rest, max(next.Sub(now), time.Second))
		}
		if fresh = d.Stage != is || now.Before(d.raised) || now.Sub(d.raised) >= again; !fresh {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request_duty SET stage = $1, raised = $2 WHERE id = $3`, is, store.Millis(now), d.ID); err != nil {
			return fmt.Errorf("raising a deadline: %w", err)
		}
		attrs := map[string]string{"duty": d.What, "rule": d.Rule, "stage": is, "plan_by": stamp(d.PlanBy), "legal_due": stamp(d.LegalDue)}
		if !d.PausedSince.IsZero() {
			attrs["paused"] = d.PauseCause
		}
		return s.note(ctx, tx, id, EventRaised, Machine, attrs, now)
	})
	switch {
	case err != nil:
		return "", err
	case !d.Done.IsZero():
		return "ended", nil
	case fresh:
		raised(id, *d, is)
	}
	return "", retention.Later{After: rest}
}

// Stages counts duties that are owed by what is owed and stage; "" are those that nobody needs
// to hurry for.
func (s *Store) Stages(ctx context.Context) (map[[2]string]int, error) {
	tx, err := s.DB.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting deadlines: %w", err)
	}
	defer tx.Rollback()
	now, err := s.Duties.Now(ctx, tx)
	if err != nil {
		return nil, err
	}
	count := map[[2]string]int{}
	for _, what := range []string{Acknowledge, Respond} {
		for _, stage := range []string{"", Soon, Overdue, Late} {
			count[[2]string{what, stage}] = 0
		}
	}
	list, err := store.List(ctx, tx, scanDuty, `SELECT `+dutyColumns+` FROM request_duty WHERE state = 'open'`)
	if err != nil {
		return nil, fmt.Errorf("counting deadlines: %w", err)
	}
	for _, d := range list {
		count[[2]string{d.What, d.StageAt(now)}]++
	}
	return count, nil
}
