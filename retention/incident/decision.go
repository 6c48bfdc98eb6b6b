package incident

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/retention"
)

// Decision is a person's that it is a breach.
type Decision struct {
	// At is since when it was known, Reason a code.
	At     time.Time
	Reason string
	// HighRisk, Material, Classified and Fix are moments of Facts that are corrected with it,
	// also to later ones; zero leaves one as it is.
	HighRisk, Material, Classified, Fix time.Time
}

// Aware notes a person's decision. It begins the clocks of law, or replaces an earlier
// decision and begins them anew.
func (s *Store) Aware(ctx context.Context, id, by string, d Decision) (Incident, error) {
	return s.change(ctx, id, by, d.Reason, func(tx *sql.Tx, i *Incident, now time.Time) error {
		return s.aware(ctx, tx, i, now, by, ByDecision, d)
	})
}

func (s *Store) aware(ctx context.Context, tx *sql.Tx, i *Incident, now time.Time, by, basis string, d Decision) error {
	at := d.At.UTC().Truncate(time.Second)
	switch {
	case i.Drill:
		return wish("a drill makes nobody aware of a breach")
	case d.At.IsZero() || at.After(now):
		return wish("the moment since when it was known lies in the past")
	}
	if err := i.recent("aware_at", at); err != nil {
		return err
	}
	body, err := i.grow(Facts{HighRisk: d.HighRisk, Material: d.Material, Classified: d.Classified, Fix: d.Fix}, now, true)
	if err != nil {
		return err
	}
	i.Aware, i.Basis = at, basis
	if err := s.put(ctx, tx, i); err != nil {
		return err
	}
	s.step("aware")
	body["aware_at"], body["suspected_at"], body["basis"], body["reason"] = stamp(at), stamp(i.Suspected), basis, d.Reason
	if err := s.note(ctx, tx, i, now, EventAware, by, body); err != nil {
		return err
	}
	if basis == ByDecision {
		if err := s.duties.End(ctx, tx, failsafeID(i.ID), subject(i.ID), "decided", subject(i.ID)); err != nil && !errors.Is(err, retention.ErrNone) {
			return err
		}
		s.step("decided")
	}
	return s.settle(ctx, tx, i, now)
}

// Scope adds facts, and the duties that follow from them.
func (s *Store) Scope(ctx context.Context, id, by string, more Facts) (Incident, error) {
	return s.change(ctx, id, by, "scope", func(tx *sql.Tx, i *Incident, now time.Time) error {
		added, err := i.grow(more, now, false)
		if err != nil {
			return err
		}
		if len(added) == 0 {
			return wish("that is known already")
		}
		if err := s.put(ctx, tx, i); err != nil {
			return err
		}
		if err := s.note(ctx, tx, i, now, EventScoped, by, added); err != nil {
			return err
		}
		return s.settle(ctx, tx, i, now)
	})
}

// recent refuses a moment that is years old.
func (i *Incident) recent(name string, at time.Time) error {
	if first := i.Opened.Add(-oldest); at.Before(first) {
		return wish("%s lies before %s, two years before the incident was opened: no breach clock runs for so long, so that is taken for a slip of the year", name, stamp(first))
	}
	return nil
}

// grow adds facts and says, in codes, which are new. Moments move to later ones by a decision
// alone.
func (i *Incident) grow(more Facts, now time.Time, decided bool) (map[string]string, error) {
	f, added := &i.Facts, map[string]string{}
	list := func(name string, into *[]string, values, known []string) error {
		var fresh []string
		for _, v := range values {
			if !slices.Contains(known, v) {
				return wish("%s: there are %s", name, strings.Join(known, ", "))
			}
			if !slices.Contains(*into, v) && !slices.Contains(fresh, v) {
				fresh = append(fresh, v)
			}
		}
		if len(fresh) > 0 {
			*into = append(*into, fresh...)
			slices.Sort(*into)
			added[name] = strings.Join(fresh, ",")
		}
		return nil
	}
	if err := list("places", &f.Places, more.Places, Places()); err != nil {
		return nil, err
	}
	if err := list("sectors", &f.Sectors, more.Sectors, Sectors()); err != nil {
		return nil, err
	}
	switch more.Role {
	case "", f.Role:
	case Both, Controller, Processor:
		// A further role comes beside the first.
		was := f.Role
		if f.Role = Both; was == "" {
			f.Role = more.Role
		}
		if f.Role != was {
			added["role"] = f.Role
		}
	default:
		return nil, wish("role: there are controller, processor and both")
	}
	for _, t := range []struct {
		name string
		into *time.Time
		at   time.Time
	}{{"high_risk_at", &f.HighRisk, more.HighRisk}, {"material_at", &f.Material, more.Material}, {"classified_at", &f.Classified, more.Classified}, {"fix_at", &f.Fix, more.Fix}} {
		at := t.at.UTC().Truncate(time.Second)
		if t.at.IsZero() || at.Equal(*t.into) {
			continue
		}
		if at.After(now) {
			return nil, wish("%s lies in the future", t.name)
		}
		if !decided && !t.into.IsZero() && at.After(*t.into) {
			return nil, wish("%s is %s and only becomes earlier: a later one belongs to a decision since when it was known", t.name, stamp(*t.into))
		}
		if err := i.recent(t.name, at); err != nil {
			return nil, err
		}
		*t.into, added[t.name] = at, stamp(at)
	}
	for _, t := range []struct {
		name string
		into *time.Time
		at   time.Time
	}{{"from", &f.From, more.From}, {"to", &f.To, more.To}} {
		if !t.at.IsZero() && !t.at.Equal(*t.into) {
			*t.into, added[t.name] = t.at.UTC(), stamp(t.at)
		}
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return nil, wish("the window ends before it begins")
	}
	for _, v := range []struct {
		name string
		into *string
		is   string
	}{{"class", &f.Class, more.Class}, {"route", &f.Route, more.Route}, {"receipt", &f.Receipt, more.Receipt}} {
		if v.is == "" || v.is == *v.into {
			continue
		}
		if !code.MatchString(v.is) {
			return nil, wish("%s is a name without spaces", v.name)
		}
		*v.into, added[v.name] = v.is, v.is
	}
	return added, nil
}

// Close closes an incident that owes nothing any more.
func (s *Store) Close(ctx context.Context, id, by string) (Incident, error) {
	return s.change(ctx, id, by, "close", func(tx *sql.Tx, i *Incident, now time.Time) error {
		i.Outcome = OutcomeSettled
		if i.Drill {
			i.Outcome = OutcomeDrill
		} else if i.Aware.IsZero() {
			return wish("nobody has decided whether it is a breach: decide since when it was known, or that it was none")
		}
		for _, d := range i.Duties {
			if d.State == DutyOpen {
				return wish("the notice %s/%s is open: say when it was sent, or why it is not owed", d.Rule, d.Place)
			}
		}
		return s.close(ctx, tx, i, now, by, EventClosed, "")
	})
}

// Dismiss notes a person's decision that it was no breach, and closes it. Reason is a code.
func (s *Store) Dismiss(ctx context.Context, id, by, reason string) (Incident, error) {
	return s.change(ctx, id, by, reason, func(tx *sql.Tx, i *Incident, now time.Time) error {
		if i.Drill {
			return wish("a drill is closed, and nothing is decided by it")
		}
		for n := range i.Duties {
			if d := &i.Duties[n]; d.State == DutyOpen {
				if err := s.end(ctx, tx, d, now, DutyDismissed, Notice{Reason: reason}); err != nil {
					return err
				}
			}
		}
		i.Outcome = OutcomeNoBreach
		return s.close(ctx, tx, i, now, by, EventDismissed, reason)
	})
}

func (s *Store) close(ctx context.Context, tx *sql.Tx, i *Incident, now time.Time, by, kind, reason string) error {
	i.State, i.Closed = Closed, now
	if err := s.put(ctx, tx, i); err != nil {
		return err
	}
	if !i.Drill {
		if err := s.duties.End(ctx, tx, failsafeID(i.ID), subject(i.ID), "closed", subject(i.ID)); err != nil && !errors.Is(err, retention.ErrNone) {
			return err
		}
	}
	body := map[string]string{"outcome": i.Outcome}
	if reason != "" {
		body["reason"] = reason
	}
	return s.note(ctx, tx, i, now, kind, by, body)
}
