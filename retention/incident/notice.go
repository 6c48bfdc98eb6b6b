package incident

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// Notice says something of a notice.
type Notice struct {
	// Rule and Place name it; Place may be empty where one place alone has a duty of the rule,
	// open or ended.
	Rule, Place string
	// Sent is when it was.
	Sent time.Time
	// Reason is a code: why it was late, or is not owed, or is owed after all.
	Reason string
	// Proof refers to what was sent: the number of a file.
	Proof string
}

// Notice notes that notices were sent, all that are named or none, and ends their duties. What
// was sent after the last moment needs a reason. Of one that was sent already, it notes a
// further phase; one that was waived was sent all the same.
func (s *Store) Notice(ctx context.Context, id, by string, list ...Notice) (Incident, error) {
	return s.notices(ctx, id, by, list, s.sent)
}

// Waive notes a person's word that notices are not owed, with the reasons, and ends their
// duties: all or none.
func (s *Store) Waive(ctx context.Context, id, by string, list ...Notice) (Incident, error) {
	return s.notices(ctx, id, by, list, s.waive)
}

// Restore notes that notices that were waived, or noted as sent by mistake, are owed after all:
// their clocks run from where they began, and what was noted stays in the record. The latter
// needs a reason. All or none.
func (s *Store) Restore(ctx context.Context, id, by string, list ...Notice) (Incident, error) {
	return s.notices(ctx, id, by, list, s.restore)
}

// word is what is said of one notice; body is what the log is told of it.
type word func(ctx context.Context, tx *sql.Tx, i *Incident, d *Duty, now time.Time, by string, n Notice, body map[string]string) error

func (s *Store) notices(ctx context.Context, id, by string, list []Notice, say word) (Incident, error) {
	return s.change(ctx, id, by, "notice", func(tx *sql.Tx, i *Incident, now time.Time) error {
		if i.Drill {
			return wish("a drill owes no notices")
		}
		for _, n := range list {
			d, err := i.duty(n.Rule, n.Place)
			if err != nil {
				return err
			}
			body := map[string]string{"rule": d.Rule, "place": d.Place, "duty": d.ID}
			for name, v := range map[string]string{"reason": n.Reason, "proof": n.Proof} {
				if v == "" {
					continue
				}
				if !code.MatchString(v) {
					return wish("%s is a code without spaces", name)
				}
				body[name] = v
			}
			if err := say(ctx, tx, i, d, now, by, n, body); err != nil {
				return err
			}
			if i.Duties, err = s.dutiesOf(ctx, tx, i.ID); err != nil {
				return err
			}
		}
		// What follows a notice begins now.
		return s.settle(ctx, tx, i, now)
	})
}

func (s *Store) waive(ctx context.Context, tx *sql.Tx, i *Incident, d *Duty, now time.Time, by string, n Notice, body map[string]string) error {
	if n.Reason == "" || !n.Sent.IsZero() || d.State != DutyOpen {
		return wish("a notice that is open and not owed has a reason")
	}
	if err := s.end(ctx, tx, d, now, DutyWaived, n); err != nil {
		return err
	}
	return s.note(ctx, tx, i, now, EventWaived, by, body)
}

func (s *Store) restore(ctx context.Context, tx *sql.Tx, i *Incident, d *Duty, now time.Time, by string, n Notice, body map[string]string) error {
	switch {
	case d.State != DutyWaived && d.State != DutySent:
		return wish("the notice %s/%s was neither waived nor sent", d.Rule, d.Place)
	case d.State == DutySent && n.Reason == "":
		return wish("that the notice %s/%s was not sent as it was noted has a reason", d.Rule, d.Place)
	}
	body["was"] = d.State
	if d.State == DutySent {
		body["sent_at"] = stamp(d.Sent)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE incident_duty SET state = 'restored' WHERE id = $1`, d.ID); err != nil {
		return fmt.Errorf("storing a notice: %w", err)
	}
	return s.note(ctx, tx, i, now, EventRestored, by, body)
}

func (s *Store) sent(ctx context.Context, tx *sql.Tx, i *Incident, d *Duty, now time.Time, by string, n Notice, body map[string]string) error {
	if n.Sent.IsZero() {
		return wish("want when it was sent")
	}
	n.Sent = n.Sent.UTC().Truncate(time.Second)
	if n.Sent.After(now) || n.Sent.Before(i.discovered()) {
		return wish("it was sent between the suspicion and now")
	}
	body["sent_at"] = stamp(n.Sent)
	late := !n.Sent.Before(d.Due())
	switch {
	case d.State == DutySent:
		body["phase"] = "further"
		return s.note(ctx, tx, i, now, EventNoticed, by, body)
	case late && n.Reason == "":
		return wish("it was due before %s: a late notice has a reason", stamp(d.Due()))
	case late:
		body["late"] = "yes"
	}
	if d.State == DutyWaived {
		body["was"] = DutyWaived
	}
	if err := s.end(ctx, tx, d, now, DutySent, n); err != nil {
		return err
	}
	return s.note(ctx, tx, i, now, EventNoticed, by, body)
}

// discovered is the first moment at which it is known that somebody suspected or knew it: who
// knew it suspected it. The suspicion is kept as it was entered, so that a decision that was a
// slip can be replaced by another.
func (i *Incident) discovered() time.Time {
	if !i.Aware.IsZero() && i.Aware.Before(i.Suspected) {
		return i.Aware
	}
	return i.Suspected
}

// duty finds the one that is named: the open one, or else the last.
func (i *Incident) duty(rule, place string) (found *Duty, err error) {
	for n := range i.Duties {
		d := &i.Duties[n]
		if d.Rule != rule || place != "" && d.Place != place || d.State == DutyRebased || d.State == DutyRestored {
			continue
		}
		if found != nil && found.Place != d.Place {
			return nil, wish("there are several of %s: name the place, as %s/%s", rule, rule, d.Place)
		}
		if found == nil || d.State == DutyOpen {
			found = d
		}
	}
	if found == nil || found.State == DutyDismissed {
		return nil, wish("it owes no notice by this rule: see its duties")
	}
	return found, nil
}

// Seen is a notice in a stage in which somebody has seen it raised.
type Seen struct{ Rule, Place, Stage string }

// Ack acknowledges what was seen, and no more: what came to a further stage meanwhile is
// raised on. While the clock is in doubt nobody knows the stage: only the doubt is
// acknowledged, and this one alone.
func (s *Store) Ack(ctx context.Context, id, by string, seen ...Seen) (Incident, error) {
	return s.change(ctx, id, by, "ack", func(tx *sql.Tx, i *Incident, now time.Time) error {
		if len(seen) == 0 {
			return wish("want what was seen, as int.escalate/all/soon")
		}
		doubt, err := s.duties.Doubt(ctx, tx)
		if err != nil {
			return err
		}
		for _, v := range seen {
			n := slices.IndexFunc(i.Duties, func(d Duty) bool { return d.Rule == v.Rule && d.Place == v.Place && d.State == DutyOpen })
			if n < 0 || rank[v.Stage] == 0 || rank[v.Stage] > rank[i.Duties[n].Stage] {
				return wish("the notice %s/%s is not open and raised as %s", v.Rule, v.Place, v.Stage)
			}
			d := &i.Duties[n]
			counts := v.Stage
			switch {
			case doubt != 0:
				counts = Doubt
			case rank[v.Stage] > max(rank[Doubt], rank[stage(d, now)]):
				return wish("the notice %s/%s was raised as %s by a wrong clock, and is not", v.Rule, v.Place, v.Stage)
			}
			d.forget(stage(d, now), doubt)
			if rank[d.Acked] >= rank[counts] {
				continue // somebody else was faster
			}
			d.Acked = counts
			if _, err := tx.ExecContext(ctx, `UPDATE incident_duty SET acked = $1, doubt = $2 WHERE id = $3`, d.Acked, doubt, d.ID); err != nil {
				return fmt.Errorf("acknowledging a notice: %w", err)
			}
			if err := s.note(ctx, tx, i, now, EventAcked, by, map[string]string{"rule": d.Rule, "place": d.Place, "duty": d.ID, "stage": d.Acked}); err != nil {
				return err
			}
		}
		return nil
	})
}
