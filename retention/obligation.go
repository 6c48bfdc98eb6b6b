package retention

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/clock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// States of a duty.
const (
	// StateOpen: it is to be done, or is being done.
	StateOpen = "open"
	// StateNeedsHuman: no runner goes on with it; its clock does.
	StateNeedsHuman = "needs_human"
	// StateDone: every step is completed.
	StateDone = "done"
)

var (
	// ErrConflict is returned by Add for an id that exists with other contents.
	ErrConflict = errors.New("there is another duty of this id")
	// ErrNone is returned for a duty that does not exist, or not in the state that the
	// call is for.
	ErrNone = errors.New("there is no such duty")
)

// code is the form of ids, kinds, subjects, actors and reasons: codes, and no data of people.
var code = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)

// Store keeps duties in a database. It may be used concurrently, by several processes.
type Store struct {
	db       *store.DB
	register *clock.Register
	now      func(context.Context, *sql.Tx) (time.Time, error)
}

// Open brings the tables of duties in db up to date. The caller closes db.
func Open(ctx context.Context, db *store.DB, register *clock.Register) (*Store, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the tables of retention: %w", err)
	}
	if err := db.Migrate(ctx, "retention", sub); err != nil {
		return nil, err
	}
	s := &Store{db: db, register: register}
	s.now = s.databaseTime
	return s, nil
}

// WithClock is the store with another clock than the database's: for tests of what stands
// on duties.
func (s *Store) WithClock(now func() time.Time) *Store {
	other := *s
	other.now = func(context.Context, *sql.Tx) (time.Time, error) { return now(), nil }
	return &other
}

// Now is the time by which duties are due, in the caller's transaction.
func (s *Store) Now(ctx context.Context, tx *sql.Tx) (time.Time, error) { return s.now(ctx, tx) }

// databaseTime is the one clock that all gateways on a database share. SQLite's is the
// machine's.
func (s *Store) databaseTime(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	if s.db.Dialect != store.Postgres {
		return time.Now(), nil
	}
	var ms int64
	// The time of the statement, not of the transaction's begin: it may have waited.
	if err := tx.QueryRowContext(ctx, `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)`).Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("asking the database for the time: %w", err)
	}
	return time.UnixMilli(ms), nil
}

// Obligation is a duty.
type Obligation struct {
	// ID is chosen by who adds it: the fact it follows from with the duty's name, so that
	// nobody adds it twice.
	ID string
	// Kind says which steps carry it out.
	Kind string
	// Subject is whom or what it is about: a pseudonym, never a name.
	Subject string
	// Clock are the clock's events; the first is the start.
	Clock []clock.Event

	// Due is the moment of the work: not_before of what destroys, plan_by of the rest.
	// It and the rest are the store's.
	Due   time.Time
	State string
	// Failures are those in a row of the present step.
	Failures int
	// Claims counts how often a runner took it, and the events of its clock since it was added:
	// each makes the result of a step that runs a stale one.
	Claims int64
	// Steps are those that were begun.
	Steps []Progress
}

// Progress is one step of a duty, as far as it is.
type Progress struct {
	Name string
	Done bool
	// Tries counts how often it was begun; Result refers to the proof, once it is done.
	Tries  int
	Result string
}

// moment is when the work of a clock is due. A rule that says how long something is kept
// has not_before; all others have plan_by.
func moment(s clock.State) time.Time {
	if s.Kind == clock.Deadline {
		return s.PlanBy.At
	}
	return s.NotBefore.At
}

// Add inserts a duty in the caller's transaction, so that it and the fact it follows from
// are there both or not at all (W1). Adding it again with the same contents changes
// nothing; with others it is ErrConflict. Errors of the clock are those of Fold.
func (s *Store) Add(ctx context.Context, tx *sql.Tx, o Obligation) error {
	for _, c := range []string{o.ID, o.Kind, o.Subject} {
		if !code.MatchString(c) {
			return errors.New("adding a duty: id, kind and subject are codes")
		}
	}
	state, err := s.register.Fold(o.Clock)
	if err != nil {
		return fmt.Errorf("adding a duty: %w", err)
	}
	events, err := clock.EncodeEvents(o.Clock)
	if err != nil {
		return fmt.Errorf("adding a duty: %w", err)
	}
	now, err := s.now(ctx, tx)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO obligation (id, kind, subject, clock, due, state, lease, fence, failures, next_try)
		VALUES ($1, $2, $3, $4, $5, 'open', 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING`,
		o.ID, o.Kind, o.Subject, events, moment(state).UnixMilli())
	if err != nil {
		return fmt.Errorf("adding a duty: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return fmt.Errorf("adding a duty: %w", err)
	} else if n == 1 {
		return s.note(ctx, tx, o.ID, "obligation.added", "", now, detail{Kind: o.Kind, Subject: o.Subject, Clock: events})
	}
	// The clock that it was added with is the beginning of the one it has now.
	old, err := s.read(ctx, tx, o.ID, "")
	if err != nil {
		return err
	}
	if old.Kind != o.Kind || old.Subject != o.Subject || len(old.Clock) < len(o.Clock) {
		return ErrConflict
	}
	begun, err := clock.EncodeEvents(old.Clock[:len(o.Clock)])
	if err != nil || !bytes.Equal(begun, events) {
		return ErrConflict
	}
	return nil
}

// Happened adds an event to the clock of a duty that is not done, in the caller's
// transaction, and returns what the clock then says. What the rule does not allow is
// refused, with the errors of Fold. A pause of the duty ends, because its moment may be another,
// and a step that runs meanwhile loses its claim: what it found belongs to the moment before.
func (s *Store) Happened(ctx context.Context, tx *sql.Tx, id string, e clock.Event) (clock.State, error) {
	o, err := s.read(ctx, tx, id, s.db.ForUpdate())
	if err != nil {
		return clock.State{}, err
	}
	if o.State == StateDone {
		return clock.State{}, ErrNone
	}
	events := append(o.Clock, e)
	state, err := s.register.Fold(events)
	if err != nil {
		return clock.State{}, fmt.Errorf("the clock of a duty: %w", err)
	}
	encoded, err := clock.EncodeEvents(events)
	if err != nil {
		return clock.State{}, err
	}
	now, err := s.now(ctx, tx)
	if err != nil {
		return clock.State{}, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE obligation SET clock = $1, due = $2, next_try = 0, fence = fence + 1, lease = 0 WHERE id = $3`, encoded, moment(state).UnixMilli(), id); err != nil {
		return clock.State{}, fmt.Errorf("storing the clock of a duty: %w", err)
	}
	return state, s.note(ctx, tx, id, "clock."+string(e.Kind), "", now, detail{Actor: e.Actor, Reason: e.Reason, Clock: encoded})
}

// End ends a duty in the caller's transaction because somebody has done it, or it is owed no
// more. Actor refers to who says so, reason is a code, result refers to the proof. A step
// that runs meanwhile loses its claim. ErrNone when the duty does not exist or is done.
func (s *Store) End(ctx context.Context, tx *sql.Tx, id, actor, reason, result string) error {
	for _, c := range []string{actor, reason, result} {
		if !code.MatchString(c) {
			return errors.New("ending a duty: actor, reason and result are codes")
		}
	}
	o, err := s.read(ctx, tx, id, s.db.ForUpdate())
	if err != nil {
		return err
	}
	if o.State == StateDone {
		return ErrNone
	}
	now, err := s.now(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE obligation SET state = 'done', failures = 0, next_try = 0, lease = 0 WHERE id = $1`, id); err != nil {
		return fmt.Errorf("ending a duty: %w", err)
	}
	return s.note(ctx, tx, id, "obligation.ended", "", now, detail{Actor: actor, Reason: reason, Result: result})
}

// Get reads a duty.
func (s *Store) Get(ctx context.Context, id string) (Obligation, error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return Obligation{}, fmt.Errorf("reading a duty: %w", err)
	}
	defer tx.Rollback()
	o, err := s.read(ctx, tx, id, "")
	if err != nil {
		return Obligation{}, err
	}
	o.Steps, err = steps(ctx, tx, id)
	return o, err
}

// In reads a duty in the caller's transaction, without its steps.
func (s *Store) In(ctx context.Context, tx *sql.Tx, id string) (Obligation, error) {
	return s.read(ctx, tx, id, "")
}

// read reads the row of a duty; lock is the end of the statement.
func (s *Store) read(ctx context.Context, tx *sql.Tx, id, lock string) (o Obligation, err error) {
	var events []byte
	var due int64
	err = tx.QueryRowContext(ctx, `SELECT id, kind, subject, clock, due, state, fence, failures FROM obligation WHERE id = $1`+lock, id).
		Scan(&o.ID, &o.Kind, &o.Subject, &events, &due, &o.State, &o.Claims, &o.Failures)
	if errors.Is(err, sql.ErrNoRows) {
		return o, ErrNone
	}
	if err != nil {
		return o, fmt.Errorf("reading a duty: %w", err)
	}
	o.Due = time.UnixMilli(due).UTC()
	if o.Clock, err = clock.DecodeEvents(events); err != nil {
		return o, fmt.Errorf("%w: %w", ErrClock, err)
	}
	return o, nil
}

// ErrClock is wrapped by errors about the clock of a row that cannot be read. A newer version
// of this program may have written it.
var ErrClock = errors.New("the clock of a duty cannot be read")

func steps(ctx context.Context, tx *sql.Tx, id string) (found []Progress, err error) {
	found, err = store.List(ctx, tx, func(row store.Row) (p Progress, err error) {
		var state string
		err = row.Scan(&p.Name, &state, &p.Tries, &p.Result)
		p.Done = state == "done"
		return p, err
	}, `SELECT name, state, tries, result FROM obligation_step WHERE obligation = $1 ORDER BY n`, id)
	if err != nil {
		return nil, fmt.Errorf("reading the steps of a duty: %w", err)
	}
	return found, nil
}

// CountWaiting says how many duties wait for a person.
func (s *Store) CountWaiting(ctx context.Context) (n int, err error) {
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM obligation WHERE state = 'needs_human'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting duties that wait: %w", err)
	}
	return n, nil
}

// Waiting lists the duties that wait for a person, those due first, up to limit: their ID,
// Kind and Due, because of some the clock cannot be read.
func (s *Store) Waiting(ctx context.Context, limit int) (list []Obligation, err error) {
	list, err = store.List(ctx, s.db, func(row store.Row) (o Obligation, err error) {
		var due int64
		err = row.Scan(&o.ID, &o.Kind, &due)
		o.Due, o.State = time.UnixMilli(due).UTC(), StateNeedsHuman
		return o, err
	}, `SELECT id, kind, due FROM obligation WHERE state = 'needs_human' ORDER BY due, id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("reading duties that wait: %w", err)
	}
	return list, nil
}

// Retry gives a duty that waits for a person back to the runners. Actor refers to who
// says so, reason a code. ErrNone when no such duty waits.
func (s *Store) Retry(ctx context.Context, id, actor, reason string) error {
	if !code.MatchString(actor) || !code.MatchString(reason) {
		return errors.New("giving back a duty: actor and reason are codes")
	}
	return s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		o, err := s.read(ctx, tx, id, s.db.ForUpdate())
		if err != nil {
			return err
		}
		if o.State != StateNeedsHuman {
			return ErrNone
		}
		// A date that came out differently is what the person has seen and taken.
		state, err := s.register.Fold(o.Clock)
		if err != nil {
			return fmt.Errorf("giving back a duty: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE obligation SET state = 'open', due = $1, failures = 0, next_try = 0, lease = 0 WHERE id = $2`, moment(state).UnixMilli(), id); err != nil {
			return fmt.Errorf("giving back a duty: %w", err)
		}
		return s.note(ctx, tx, id, "obligation.retried", "", now, detail{Actor: actor, Reason: reason})
	})
}

// TrustClock ends the doubt about the clock: a person has looked at it and says that the
// database's time is right.
func (s *Store) TrustClock(ctx context.Context, actor, reason string) error {
	if !code.MatchString(actor) || !code.MatchString(reason) {
		return errors.New("trusting the clock: actor and reason are codes")
	}
	return s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		if _, err := tx.ExecContext(ctx, `UPDATE obligation_time SET high = $1, suspect = 0 WHERE id = 1`, now.UnixMilli()); err != nil {
			return fmt.Errorf("trusting the clock: %w", err)
		}
		return s.note(ctx, tx, "", "clock.trusted", "", now, detail{Actor: actor, Reason: reason})
	})
}

// Doubt is the number of the doubt in which the clock is, in the caller's transaction: each has
// its own, so that what somebody says in one of them counts for no other. 0 is a clock that is
// trusted.
func (s *Store) Doubt(ctx context.Context, tx *sql.Tx) (n int64, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT CASE WHEN suspect = 0 THEN 0
		ELSE (SELECT coalesce(max(seq), 0) FROM obligation_event WHERE obligation = '' AND kind = 'clock.suspect') + 1 END
		FROM obligation_time WHERE id = 1`).Scan(&n); err != nil {
		return 0, fmt.Errorf("asking whether the clock is in doubt: %w", err)
	}
	return n, nil
}

// write runs do in a transaction.
func (s *Store) write(ctx context.Context, do func(tx *sql.Tx, now time.Time) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer tx.Rollback()
	now, err := s.now(ctx, tx)
	if err != nil {
		return err
	}
	if err := do(tx, now); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// detail is the body of an event. It holds codes and digests.
type detail struct {
	V       int             `json:"v"`
	Kind    string          `json:"kind,omitempty"`
	Subject string          `json:"subject,omitempty"`
	Actor   string          `json:"actor,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Result  string          `json:"result,omitempty"`
	Try     int             `json:"try,omitempty"`
	Fence   int64           `json:"fence,omitempty"`
	Suspect bool            `json:"suspect,omitempty"`
	Clock   json.RawMessage `json:"clock,omitempty"`
}

// note stores what happened in the transaction in which it happens. Whoever notes
// something of a duty holds its row, so numbers do not collide; of the clock, its row.
func (s *Store) note(ctx context.Context, tx *sql.Tx, id, kind, step string, at time.Time, d detail) error {
	d.V = 1
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("noting what happened to a duty: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO obligation_event (obligation, seq, kind, step, at, body, leaf)
		SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, '' FROM obligation_event WHERE obligation = $1`,
		id, kind, step, at.UnixMilli(), body)
	if err != nil {
		return fmt.Errorf("noting what happened to a duty: %w", err)
	}
	return nil
}
