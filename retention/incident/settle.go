package incident

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
)

// settle brings the duties of an incident to what its facts say: it adds what is owed and not
// there, and begins clocks anew whose beginning has moved. What is sent or waived stays.
func (s *Store) settle(ctx context.Context, tx *sql.Tx, i *Incident, now time.Time) error {
	last := map[string]*Duty{}
	for n := range i.Duties {
		d := &i.Duties[n]
		last[d.Rule+"/"+d.Place] = d // they come in their order
	}
	sent := func(rule, place string) time.Time {
		if d := last[rule+"/"+place]; d != nil && d.State == DutySent {
			return d.Sent
		}
		return time.Time{}
	}
	for _, o := range i.owes(sent) {
		old := last[o.rule+"/"+o.place]
		if old != nil && old.State != DutyOpen && old.State != DutyRestored {
			continue
		}
		// What was known before a rule was law is owed from when it became law.
		first, err := s.register.InForce(o.rule, o.at.Zone)
		if err != nil {
			return fmt.Errorf("the clock of a notice: %w", err)
		}
		o.trigger = later(o.trigger, first)
		if !o.classified.IsZero() {
			o.classified = later(o.trigger, o.classified)
		}
		if old != nil && old.State == DutyOpen {
			done, err := s.follow(ctx, tx, old, o, now)
			if err != nil {
				return err
			}
			if done {
				continue
			}
			if err := s.end(ctx, tx, old, now, DutyRebased, Notice{Reason: "rebased"}); err != nil {
				return err
			}
		}
		n := 1
		for _, d := range i.Duties {
			if d.Rule == o.rule && d.Place == o.place {
				n++
			}
		}
		if err := s.add(ctx, tx, i, o, n, now); err != nil {
			return err
		}
		s.step("notice")
	}
	return nil
}

// follow has the clock of an open notice follow the facts, if it can: done says that it does. Otherwise
// another takes its place.
func (s *Store) follow(ctx context.Context, tx *sql.Tx, d *Duty, o owed, now time.Time) (done bool, err error) {
	if o.rule == ruleInitial {
		duty, err := s.duties.In(ctx, tx, d.ID)
		if err != nil {
			return false, err
		}
		var told time.Time
		if e := duty.Clock[len(duty.Clock)-1]; e.Kind == clock.Restarted {
			told = e.Anchor
		}
		switch {
		case !duty.Clock[0].At.Equal(o.trigger):
			return false, nil
		case told.Equal(o.classified):
			return true, nil
		case !told.IsZero():
			return false, nil
		}
		return true, s.classify(ctx, tx, d, o, now)
	}
	if d.Anchor.Equal(o.trigger) {
		return true, nil
	}
	if o.rule != ruleEscalate && o.rule != ruleExternal {
		return false, nil
	}
	// Only a signed decision comes here: the fail-safe counts from the suspicion.
	state, err := s.duties.Happened(ctx, tx, d.ID, clock.Event{Kind: clock.Restarted, At: now, Actor: subject(d.Incident), Reason: "decided", Cause: "decision", Anchor: o.trigger})
	if err != nil {
		return false, err
	}
	return true, s.moved(ctx, tx, d, o.trigger, state)
}

// add adds the nth notice of its rule and place, with its duty.
func (s *Store) add(ctx context.Context, tx *sql.Tx, i *Incident, o owed, n int, now time.Time) error {
	start, err := s.register.Start(o.rule, o.trigger, o.at)
	if err != nil {
		return fmt.Errorf("the clock of a notice: %w", err)
	}
	state, err := s.register.Fold([]clock.Event{start})
	if err != nil {
		return fmt.Errorf("the clock of a notice: %w", err)
	}
	d := &Duty{ID: fmt.Sprintf("%s/%s/%s/%d", subject(i.ID), o.rule, o.place, n), Incident: i.ID, kind: kindOf(o.trigger, state.PlanBy.At)}
	if err := s.duties.Add(ctx, tx, retention.Obligation{ID: d.ID, Kind: d.kind, Subject: subject(i.ID), Clock: []clock.Event{start}}); err != nil {
		return err
	}
	s.step("duty")
	if _, err := tx.ExecContext(ctx, `INSERT INTO incident_duty (id, incident, rule, place, n, kind, anchor, plan, legal, state, ended, sent, reason, proof, stage, raised, acked, doubt)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', 0, 0, '', '', '', 0, '', 0)`,
		d.ID, i.ID, o.rule, o.place, n, d.kind, store.Millis(o.trigger), store.Millis(state.PlanBy.At), store.Millis(state.LegalDue.At)); err != nil {
		return fmt.Errorf("storing a notice: %w", err)
	}
	if o.classified.IsZero() {
		return nil
	}
	return s.classify(ctx, tx, d, o, now)
}

// classify has the initial notification of DORA count from the classification, or from
// awareness where that is later.
func (s *Store) classify(ctx context.Context, tx *sql.Tx, d *Duty, o owed, now time.Time) error {
	state, err := s.duties.Happened(ctx, tx, d.ID, clock.Event{Kind: clock.Restarted, At: now, Actor: subject(d.Incident), Reason: "classified", Cause: "classified", Anchor: o.classified})
	if err != nil {
		return err
	}
	return s.moved(ctx, tx, d, o.classified, state)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// moved stores what the clock of a notice says after an event.
func (s *Store) moved(ctx context.Context, tx *sql.Tx, d *Duty, anchor time.Time, state clock.State) error {
	if _, err := tx.ExecContext(ctx, `UPDATE incident_duty SET anchor = $1, plan = $2, legal = $3, stage = '', acked = '', doubt = 0 WHERE id = $4`,
		store.Millis(anchor), store.Millis(state.PlanBy.At), store.Millis(state.LegalDue.At), d.ID); err != nil {
		return fmt.Errorf("storing a notice: %w", err)
	}
	return nil
}

// recount stores the dates of an open notice that its clock comes to and its duty goes by, where
// they are others: a version of this program counted differently before, and a person has
// given the duty back (retention.Store.Retry). Until then, and where this version cannot count
// them, they stay.
func (s *Store) recount(ctx context.Context, tx *sql.Tx, d *Duty) error {
	if d.State != DutyOpen {
		return nil
	}
	o, err := s.duties.In(ctx, tx, d.ID)
	if errors.Is(err, retention.ErrClock) {
		return nil
	}
	if err != nil {
		return err
	}
	state, err := s.register.Fold(o.Clock)
	if err != nil {
		return nil //nolint:nilerr // the runner has it wait, for a person or another version
	}
	plan, legal := store.Millis(state.PlanBy.At), store.Millis(state.LegalDue.At)
	if o.Due.UnixMilli() != plan || store.Millis(d.PlanBy) == plan && store.Millis(d.LegalDue) == legal {
		return nil
	}
	d.PlanBy, d.LegalDue = store.Moment(plan), store.Moment(legal)
	if _, err := tx.ExecContext(ctx, `UPDATE incident_duty SET plan = $1, legal = $2 WHERE id = $3`, plan, legal, d.ID); err != nil {
		return fmt.Errorf("storing a notice: %w", err)
	}
	return nil
}

// end ends a notice; the duty of one that was waived has ended.
func (s *Store) end(ctx context.Context, tx *sql.Tx, d *Duty, now time.Time, state string, n Notice) error {
	if d.State != DutyWaived {
		if err := s.duties.End(ctx, tx, d.ID, subject(d.Incident), state, cmp.Or(n.Proof, d.ID)); err != nil {
			return err
		}
	}
	s.step("ended")
	if _, err := tx.ExecContext(ctx, `UPDATE incident_duty SET state = $1, ended = $2, sent = $3, reason = $4, proof = $5 WHERE id = $6`,
		state, store.Millis(now), store.Millis(n.Sent), n.Reason, n.Proof, d.ID); err != nil {
		return fmt.Errorf("storing a notice: %w", err)
	}
	return nil
}
