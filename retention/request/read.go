package request

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/index"
)

const columns = `id, kind, place, manner, agent, authority, requester, received, opened, opened_by, state, failed, again, begun, closed, closed_by, reason, notice, other`

func scan(row store.Row) (r Request, err error) {
	var agent int
	var received, opened, again, begun, closed int64
	err = row.Scan(&r.ID, &r.Kind, &r.Place, &r.Manner, &agent, &r.Authority, &r.sealed, &received, &opened, &r.OpenedBy, &r.State, &r.Failed, &again, &begun, &closed, &r.ClosedBy, &r.Reason, &r.Notice, &r.Other)
	r.Agent, r.Received, r.Opened, r.Again, r.Begun, r.Closed = agent == 1, store.Moment(received), store.Moment(opened), store.Moment(again), store.Moment(begun), store.Moment(closed)
	return r, err
}

// read reads a request with its names, duties and counts of items; lock is the end of the
// statement.
func (s *Store) read(ctx context.Context, tx *sql.Tx, id, lock string) (Request, error) {
	r, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM request WHERE id = $1`+lock, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNone
	}
	if err != nil {
		return r, fmt.Errorf("reading a request: %w", err)
	}
	if r.people, err = store.List(ctx, tx, func(row store.Row) (p person, err error) {
		var who, name []byte
		var at int64
		if err := row.Scan(&who, &name, &at, &p.Method); err != nil {
			return p, err
		}
		if len(who) != len(p.Person) || len(name) != 0 && len(name) != len(p.Digest) {
			return p, errors.New("a request holds a pseudonym of a wrong length")
		}
		copy(p.Person[:], who)
		copy(p.Digest[:], name)
		p.At = store.Moment(at)
		return p, nil
	}, `SELECT person, name, verified, method FROM request_person WHERE request = $1 ORDER BY n`, id); err != nil {
		return r, fmt.Errorf("reading the names of a request: %w", err)
	}
	for _, p := range r.people {
		r.Names = append(r.Names, p.Verified)
	}
	if r.Duties, err = s.dutiesOf(ctx, tx, id); err != nil {
		return r, err
	}
	r.Items = map[string]int{}
	if _, err := store.List(ctx, tx, func(row store.Row) (struct{}, error) {
		var result string
		var n int
		err := row.Scan(&result, &n)
		r.Items[result] = n
		return struct{}{}, err
	}, `SELECT result, count(*) FROM request_item WHERE request = $1 GROUP BY result`, id); err != nil {
		return r, fmt.Errorf("reading the items of a request: %w", err)
	}
	for i := range r.Duties {
		d := &r.Duties[i]
		o, err := s.Duties.In(ctx, tx, d.ID)
		if err != nil {
			return r, fmt.Errorf("reading a duty of a request: %w", err)
		}
		d.NeedsHuman = o.State == retention.StateNeedsHuman
		state, err := s.Register.Fold(o.Clock)
		if errors.Is(err, clock.ErrUnknown) {
			d.NeedsHuman = true // another version of the program may know it
			continue
		}
		if err != nil {
			return r, fmt.Errorf("the clock of a request: %w", err)
		}
		d.PausedSince, d.PauseCause, d.Extended, d.Steps = state.PausedSince, state.PauseCause, state.Extended, state.Steps
		if d.What == Respond {
			if r.RefuseBy, err = s.refuseBy(laws[r.Place].refuse, o.Clock); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// refuseBy is when a refusal must be told by a rule of its own, which no extension moves.
func (s *Store) refuseBy(rule string, events []clock.Event) (time.Time, error) {
	if rule == "" {
		return time.Time{}, nil
	}
	start := events[0]
	name, _, _ := strings.Cut(start.Calendar, "@")
	found, err := s.Register.Start(rule, start.At, clock.Place{Zone: start.Zone, Calendar: name})
	if err != nil {
		return time.Time{}, fmt.Errorf("the clock of a refusal: %w", err)
	}
	found.Calendar = start.Calendar // in the version of the answer's clock
	own := []clock.Event{found}
	for _, e := range events[1:] {
		if e.Kind == clock.Paused || e.Kind == clock.Resumed {
			if _, err := s.Register.Fold(append(own, e)); err == nil { // after its end nothing moves it
				own = append(own, e)
			}
		}
	}
	state, err := s.Register.Fold(own)
	if err != nil {
		return time.Time{}, fmt.Errorf("the clock of a refusal: %w", err)
	}
	return state.LegalDue.At, nil
}

func (s *Store) dutiesOf(ctx context.Context, tx *sql.Tx, id string) ([]Duty, error) {
	list, err := store.List(ctx, tx, scanDuty, `SELECT `+dutyColumns+` FROM request_duty WHERE request = $1 ORDER BY what`, id)
	if err != nil {
		return nil, fmt.Errorf("reading the duties of a request: %w", err)
	}
	return list, nil
}

const dutyColumns = `id, what, rule, plan, legal, ended, paused, stage, raised`

func scanDuty(row store.Row) (d Duty, err error) {
	var plan, legal, ended, paused, raised int64
	err = row.Scan(&d.ID, &d.What, &d.Rule, &plan, &legal, &ended, &paused, &d.Stage, &raised)
	d.PausedSince, d.PlanBy, d.LegalDue, d.Done, d.raised = store.Moment(paused), store.Moment(plan), store.Moment(legal), store.Moment(ended), store.Moment(raised)
	return d, err
}

// Get returns a request, without who asks. ErrNone.
func (s *Store) Get(ctx context.Context, id string) (Request, error) {
	tx, err := s.DB.Snapshot(ctx)
	if err != nil {
		return Request{}, fmt.Errorf("reading a request: %w", err)
	}
	defer tx.Rollback()
	r, err := s.read(ctx, tx, id, "")
	if err != nil {
		return r, err
	}
	if r.Duplicates, err = s.duplicates(ctx, tx, &r); err != nil {
		return r, err
	}
	if r.Events, err = events(ctx, tx, `request = $1 ORDER BY seq`, id); err != nil {
		return r, err
	}
	return r, nil
}

// duplicates lists other open requests of the kind by one of the names or one that is the same
// person's, older first, while r is open.
func (s *Store) duplicates(ctx context.Context, tx *sql.Tx, r *Request) ([]string, error) {
	if r.State != Open {
		return nil, nil
	}
	var persons []index.Person
	for _, p := range r.people {
		persons = append(persons, p.Person)
	}
	same, err := index.SameIn(ctx, tx, persons)
	if errors.Is(err, index.ErrTooMany) {
		same, err = persons, nil // by the names themselves
	}
	if err != nil {
		return nil, err
	}
	args := []any{r.Kind, r.ID}
	list := ""
	for i, p := range same {
		if i > 0 {
			list += ", "
		}
		args = append(args, p[:])
		list += fmt.Sprintf("$%d", len(args))
	}
	ids, err := store.List(ctx, tx, store.Scanned[string], `SELECT r.id FROM request r WHERE r.state = 'open' AND r.kind = $1 AND r.id <> $2
		AND EXISTS (SELECT 1 FROM request_person p WHERE p.request = r.id AND p.person IN (`+list+`)) ORDER BY r.received, r.id LIMIT 100`, args...)
	if err != nil {
		return nil, fmt.Errorf("looking for duplicates of a request: %w", err)
	}
	return ids, nil
}

// List returns the requests with their duties, those that are open first and of those what is due
// first, then the newest; at most MaxListed.
func (s *Store) List(ctx context.Context) ([]Request, error) {
	tx, err := s.DB.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing requests: %w", err)
	}
	defer tx.Rollback()
	list, err := store.List(ctx, tx, scan, `SELECT `+columns+` FROM request r ORDER BY CASE WHEN state = 'open' THEN 0 ELSE 1 END,
		CASE WHEN state = 'open' THEN (SELECT min(d.plan) FROM request_duty d WHERE d.request = r.id AND d.state = 'open') ELSE 0 END, opened DESC, id LIMIT $1`, MaxListed)
	if err != nil {
		return nil, fmt.Errorf("listing requests: %w", err)
	}
	for i := range list {
		if list[i].Duties, err = s.dutiesOf(ctx, tx, list[i].ID); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Requester says who asks.
func (s *Store) Requester(ctx context.Context, id string) (q Requester, err error) {
	r, err := scan(s.DB.QueryRowContext(ctx, `SELECT `+columns+` FROM request WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return q, ErrNone
	}
	if err != nil {
		return q, fmt.Errorf("reading a request: %w", err)
	}
	plain, err := s.Seal.Open(ctx, id, r.sealed)
	if err != nil {
		return q, fmt.Errorf("reading who makes a request: %w", err)
	}
	if json.Unmarshal(plain, &q) != nil {
		return q, errors.New("who makes a request is not as this program writes it")
	}
	return q, nil
}

func events(ctx context.Context, q store.Queryer, tail string, args ...any) ([]Event, error) {
	list, err := store.List(ctx, q, func(row store.Row) (e Event, err error) {
		var id, attrs []byte
		var at int64
		if err := row.Scan(&e.request, &e.seq, &id, &e.Type, &at, &e.By, &attrs); err != nil {
			return e, err
		}
		copy(e.ID[:], id)
		e.At = store.Moment(at)
		return e, json.Unmarshal(attrs, &e.Attrs)
	}, `SELECT request, seq, event, type, at, actor, attrs FROM request_event WHERE `+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("reading what happened to requests: %w", err)
	}
	return list, nil
}

// Request is the id of the request that it happened to.
func (e *Event) Request() string { return e.request }

// Seq is the number of the event among those of its request, from 1.
func (e *Event) Seq() int64 { return e.seq }

// tellAtOnce bounds the events that one call puts on record.
const tellAtOnce = 100

// Tell puts on record what is not yet, each request's in the order in which it happened.
// record writes an event unless the log has one of its ID. A crash, or an error, between the
// record and the note has the event recorded again.
func (s *Store) Tell(ctx context.Context, record func(context.Context, Event) error) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	found, err := events(ctx, s.DB, `told = 0 ORDER BY request, seq LIMIT $1`, tellAtOnce)
	if err != nil {
		return err
	}
	for _, e := range found {
		if err := s.tell(ctx, e, record); err != nil {
			return fmt.Errorf("recording what happened to a request: %w", err)
		}
	}
	return nil
}

// tell tells of one event and notes that it did. On PostgreSQL it holds the event's row
// meanwhile, so that other gateways pass it by; a file has no others.
func (s *Store) tell(ctx context.Context, e Event, record func(context.Context, Event) error) error {
	if s.DB.Dialect != store.Postgres {
		if err := record(ctx, e); err != nil {
			return err
		}
		s.step("recorded")
	}
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx, _ time.Time) error {
		if s.DB.Dialect == store.Postgres {
			var one int
			err := tx.QueryRowContext(ctx, `SELECT 1 FROM request_event WHERE request = $1 AND seq = $2 AND told = 0 FOR UPDATE SKIP LOCKED`, e.request, e.seq).Scan(&one)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := record(ctx, e); err != nil {
				return err
			}
			s.step("recorded")
		}
		_, err := tx.ExecContext(ctx, `UPDATE request_event SET told = 1 WHERE request = $1 AND seq = $2`, e.request, e.seq)
		return err
	})
}
