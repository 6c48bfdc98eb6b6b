package incident

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
)

const columns = `id, title, drill, state, opened, opened_by, suspected, aware, basis, facts, closed, outcome`

func scan(row store.Row) (i Incident, err error) {
	var drill, opened, suspected, aware, closed int64
	var facts []byte
	if err := row.Scan(&i.ID, &i.Title, &drill, &i.State, &opened, &i.OpenedBy, &suspected, &aware, &i.Basis, &facts, &closed, &i.Outcome); err != nil {
		return i, err
	}
	i.Drill, i.Opened, i.Suspected, i.Aware, i.Closed = drill == 1, store.Moment(opened), store.Moment(suspected), store.Moment(aware), store.Moment(closed)
	if err := json.Unmarshal(facts, &i.Facts); err != nil || i.Facts.V != factsVersion {
		return i, errors.New("the facts of an incident are not as this program writes them")
	}
	return i, nil
}

func (s *Store) read(ctx context.Context, tx *sql.Tx, id, lock string) (Incident, error) {
	i, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM incident WHERE id = $1`+lock, id))
	if errors.Is(err, sql.ErrNoRows) {
		return i, ErrNone
	}
	if err != nil {
		return i, fmt.Errorf("reading an incident: %w", err)
	}
	return i, nil
}

// Get reads an incident with its duties and its history.
func (s *Store) Get(ctx context.Context, id string) (i Incident, err error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return i, fmt.Errorf("reading an incident: %w", err)
	}
	defer tx.Rollback() // it only reads
	if i, err = s.read(ctx, tx, id, ""); err != nil {
		return i, err
	}
	if i.Duties, err = s.dutiesOf(ctx, tx, id); err != nil {
		return i, err
	}
	byPlan(i.Duties)
	list, err := entries(ctx, tx, `incident = $1 ORDER BY seq`, id)
	for _, e := range list {
		i.Events = append(i.Events, e.Event)
	}
	return i, err
}

// MaxListed bounds List.
const MaxListed = 1000

// List reads incidents with their duties, up to MaxListed: first those that are open, the oldest
// first, so that what was opened since puts none of them out of the list, then those that are
// closed, the newest first.
func (s *Store) List(ctx context.Context) (list []Incident, err error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the incidents: %w", err)
	}
	defer tx.Rollback() // it only reads
	if list, err = store.List(ctx, tx, scan, `SELECT `+columns+` FROM incident ORDER BY state DESC, CASE WHEN state = 'open' THEN opened ELSE -opened END, id LIMIT $1`, MaxListed); err != nil {
		return nil, fmt.Errorf("reading the incidents: %w", err)
	}
	for n := range list {
		if list[n].Duties, err = s.dutiesOf(ctx, tx, list[n].ID); err != nil {
			return nil, err
		}
		byPlan(list[n].Duties)
	}
	return list, nil
}

// byPlan has what is due first come first.
func byPlan(list []Duty) {
	slices.SortStableFunc(list, func(a, b Duty) int { return a.PlanBy.Compare(b.PlanBy) })
}

const dutyColumns = `id, incident, rule, place, kind, anchor, plan, legal, state, ended, sent, reason, proof, stage, raised, acked, doubt`

func scanDuty(row store.Row) (d Duty, err error) {
	var anchor, plan, legal, ended, sent, raised int64
	if err := row.Scan(&d.ID, &d.Incident, &d.Rule, &d.Place, &d.kind, &anchor, &plan, &legal, &d.State, &ended, &sent, &d.Reason, &d.Proof, &d.Stage, &raised, &d.Acked, &d.doubt); err != nil {
		return d, err
	}
	d.Anchor, d.PlanBy, d.LegalDue, d.Ended, d.Sent, d.Raised = store.Moment(anchor), store.Moment(plan), store.Moment(legal), store.Moment(ended), store.Moment(sent), store.Moment(raised)
	return d, nil
}

func (s *Store) dutiesOf(ctx context.Context, tx *sql.Tx, id string) (list []Duty, err error) {
	if list, err = store.List(ctx, tx, scanDuty, `SELECT `+dutyColumns+` FROM incident_duty WHERE incident = $1 ORDER BY rule, place, n`, id); err != nil {
		return nil, fmt.Errorf("reading the duties of an incident: %w", err)
	}
	return list, nil
}

// entry is an event with the incident it is of.
type entry struct {
	Event
	incident string
}

func scanEntry(row store.Row) (e entry, err error) {
	var at int64
	var body []byte
	if err := row.Scan(&e.incident, &e.Seq, &e.Kind, &at, &e.Actor, &body, &e.Leaf); err != nil {
		return e, err
	}
	e.At = store.Moment(at)
	if err := json.Unmarshal(body, &e.Body); err != nil {
		return e, errors.New("what happened to an incident is not as this program writes it")
	}
	return e, nil
}

func entries(ctx context.Context, q store.Queryer, tail string, args ...any) ([]entry, error) {
	list, err := store.List(ctx, q, scanEntry, `SELECT incident, seq, kind, at, actor, body, leaf FROM incident_event WHERE `+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("reading what happened to incidents: %w", err)
	}
	return list, nil
}

// Entry is what goes into the log of something that happened.
type Entry struct {
	// ID is its own: a log keeps one of an id.
	ID       [16]byte
	Incident string
	Event
}

// recordAtOnce bounds what one Record puts in the log.
const recordAtOnce = 100

// Record puts in the log what is not yet there, through put, which returns its place there and
// is called again with the same entry after a crash. It reports how many.
func (s *Store) Record(ctx context.Context, put func(context.Context, Entry) (leaf string, err error)) (n int, err error) {
	list, err := entries(ctx, s.db, `leaf = '' ORDER BY incident, seq LIMIT $1`, recordAtOnce)
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		sum := sha256.Sum256(fmt.Appendf(nil, "incident event\n%s\n%d", e.incident, e.Seq))
		leaf, err := put(ctx, Entry{ID: [16]byte(sum[:16]), Incident: e.incident, Event: e.Event})
		if err != nil {
			return n, fmt.Errorf("recording what happened to an incident: %w", err)
		}
		s.step("recorded")
		if _, err := s.db.ExecContext(ctx, `UPDATE incident_event SET leaf = $1 WHERE incident = $2 AND seq = $3 AND leaf = ''`, leaf, e.incident, e.Seq); err != nil {
			return n, fmt.Errorf("noting what was recorded: %w", err)
		}
		n++
	}
	return n, nil
}

// Stages counts open duties by stage; "" are those that nobody needs to hurry for.
func (s *Store) Stages(ctx context.Context) (map[string]int, error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting notices: %w", err)
	}
	defer tx.Rollback() // it only reads
	now, err := s.duties.Now(ctx, tx)
	if err != nil {
		return nil, err
	}
	count := map[string]int{"": 0, Soon: 0, Overdue: 0}
	list, err := store.List(ctx, tx, scanDuty, `SELECT `+dutyColumns+` FROM incident_duty WHERE state = 'open'`)
	if err != nil {
		return nil, fmt.Errorf("counting notices: %w", err)
	}
	for n := range list {
		count[stage(&list[n], now)]++
	}
	return count, nil
}

// stage says how urgent an open notice is.
func stage(d *Duty, now time.Time) string {
	switch {
	case !now.Before(d.PlanBy):
		return Overdue
	case !now.Before(d.PlanBy.Add(-marginOf(d))):
		return Soon
	}
	return ""
}

// marginOf is how long before plan_by the notice is raised: that of the kind that its duty has,
// also when its clock has moved.
func marginOf(d *Duty) time.Duration { return margins[d.kind] }

// StageAt is how urgent the notice is at a moment: empty, Soon or Overdue.
func (d *Duty) StageAt(now time.Time) string {
	if d.State != DutyOpen {
		return ""
	}
	return stage(d, now)
}

// again is how long a notice that nobody has acknowledged rests before it is raised again;
// acknowledged ones are looked at as often as the runner allows.
const (
	again   = 30 * time.Minute
	quietly = time.Hour
)

// Raised is told of a notice and the stage in which it is: Soon, Overdue or Doubt.
type Raised func(d Duty, stage string)

// Kinds are what a runner needs for the duties of incidents. raised is called after it was
// noted that one was raised.
func (s *Store) Kinds(raised Raised) []retention.Kind {
	kinds := []retention.Kind{{Name: kindFailsafe, Steps: []retention.Step{{Name: "count_as_known", Do: s.failsafe}}}}
	for _, name := range []string{kindHours, kindDays, kindLong} {
		kinds = append(kinds, retention.Kind{Name: name, Margin: margins[name], Steps: []retention.Step{{Name: "raise", Do: func(ctx context.Context, w retention.Work) (string, error) {
			return s.raise(ctx, w, raised)
		}}}})
	}
	return kinds
}

// failsafe has an incident count as known since it was suspected, because nobody has decided. It leaves
// one that is decided or closed as it is. By a clock in doubt it comes early, which is the safe side:
// the clocks count from the suspicion in any case.
func (s *Store) failsafe(ctx context.Context, w retention.Work) (string, error) {
	err := s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		i, err := s.read(ctx, tx, incidentOf(w.Subject), s.db.ForUpdate())
		if err != nil {
			return err
		}
		if i.State != Open || i.Drill || !i.Aware.IsZero() {
			return nil
		}
		if i.Duties, err = s.dutiesOf(ctx, tx, i.ID); err != nil {
			return err
		}
		return s.aware(ctx, tx, &i, now, Machine, ByFailsafe, Decision{At: i.Suspected, Reason: "nobody_decided"})
	})
	return "failsafe", err
}

// forget takes an acknowledgement for none that is of another time: above the stage in which the
// notice is now, by a clock that was wrong, or of another doubt than this. While the clock is in
// doubt, one above nothing may be right.
func (d *Duty) forget(is string, doubt int64) {
	other := d.Acked == Doubt && d.doubt != doubt
	above := rank[d.Acked] > rank[is] && (doubt == 0 || is != "")
	if other || above {
		d.Acked, d.doubt = "", 0
	}
}

// raise raises a notice, unless its stage is acknowledged, and has itself called again: only
// a person's word ends the duty. A clock in doubt may raise it as what it is not: what is raised
// then is acknowledged as the doubt alone, and raised as what it is when the clock is trusted.
func (s *Store) raise(ctx context.Context, w retention.Work, raised Raised) (string, error) {
	var d Duty
	var is string
	var rest time.Duration
	fresh, over := false, false
	err := s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		i, err := s.read(ctx, tx, incidentOf(w.Subject), s.db.ForUpdate())
		if err != nil {
			return err
		}
		if d, err = scanDuty(tx.QueryRowContext(ctx, `SELECT `+dutyColumns+` FROM incident_duty WHERE id = $1`, w.Obligation)); err != nil {
			return fmt.Errorf("reading a notice: %w", err)
		}
		if over = d.State != DutyOpen; over {
			return nil
		}
		if err := s.recount(ctx, tx, &d); err != nil {
			return err
		}
		doubt, err := s.duties.Doubt(ctx, tx)
		if err != nil {
			return err
		}
		acked, was := d.Acked, d.Stage
		d.forget(stage(&d, now), doubt)
		// It is looked at when it comes to the next stage, too.
		rest = quietly
		switch is = stage(&d, now); is {
		case Soon:
			rest = min(rest, max(d.PlanBy.Sub(now), time.Second))
		case "":
			rest = min(rest, max(d.PlanBy.Add(-marginOf(&d)).Sub(now), time.Second))
			if doubt != 0 {
				is = Doubt
			}
		}
		fresh = rank[is] > rank[d.Acked]
		if fresh {
			d.Stage, d.Raised = is, now
		} else if doubt == 0 && rank[d.Stage] > rank[is] {
			d.Stage = "" // it was raised by a wrong clock
		}
		if d.Acked != acked || d.Stage != was || fresh {
			if _, err := tx.ExecContext(ctx, `UPDATE incident_duty SET stage = $1, raised = $2, acked = $3, doubt = $4 WHERE id = $5`, d.Stage, store.Millis(d.Raised), d.Acked, d.doubt, d.ID); err != nil {
				return fmt.Errorf("raising a notice: %w", err)
			}
		}
		if !fresh {
			return nil
		}
		body := map[string]string{"rule": d.Rule, "place": d.Place, "duty": d.ID, "stage": is, "plan_by": stamp(d.PlanBy)}
		if doubt != 0 {
			body["clock"] = "in_doubt"
		}
		return s.note(ctx, tx, &i, now, EventRaised, Machine, body)
	})
	switch {
	case err != nil:
		return "", err
	case over:
		return "ended", nil
	case !fresh:
		return "", retention.Later{After: rest}
	}
	raised(d, is)
	return "", retention.Later{After: min(rest, again)}
}
