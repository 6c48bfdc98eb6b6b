package incident

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// States of an incident.
const (
	Open   = "open"
	Closed = "closed"
)

// What made an incident count as known.
const (
	ByDecision = "decision"
	ByFailsafe = "failsafe"
)

// Outcomes of an incident that is closed.
const (
	OutcomeSettled  = "settled"   // every notice was sent, or was not owed
	OutcomeNoBreach = "no_breach" // a person decided that it was none
	OutcomeDrill    = "drill"
)

// States of a Duty.
const (
	DutyOpen      = "open"
	DutySent      = "sent"
	DutyWaived    = "waived"    // not owed, as a person says
	DutyRestored  = "restored"  // it was waived, or noted as sent by mistake, and is owed: another has its place
	DutyRebased   = "rebased"   // another with another beginning has its place
	DutyDismissed = "dismissed" // it was no breach
)

// Stages in which a notice is raised, each more urgent than the one before.
const (
	// Doubt: nothing is due, but the clock that says so jumped.
	Doubt   = "doubt"
	Soon    = "soon"
	Overdue = "overdue"
)

// rank orders stages.
var rank = map[string]int{Doubt: 1, Soon: 2, Overdue: 3}

// oldest is how long before an incident was opened something of it may have been known or
// suspected. No breach clock of the register runs for longer than 14 months, so what lies
// further back is taken for a slip of the year.
const oldest = 2 * 365 * 24 * time.Hour

var (
	// ErrNone is returned for an incident or duty that is not there.
	ErrNone = errors.New("there is no such incident")
	// ErrWish is wrapped by errors about what cannot be done as it stands; their texts can be
	// shown.
	ErrWish = errors.New("the incident cannot be changed so")
)

func wish(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrWish, fmt.Sprintf(format, args...))
}

// MaxTitle bounds a title in bytes.
const MaxTitle = 200

// code is the form of actors, reasons and proofs: codes, and no data of people.
var code = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)

// Facts are what the duties of an incident follow from, and where in the log it lies. Places,
// sectors and roles only grow, and the four moments only become earlier: but by a Decision.
type Facts struct {
	V int `json:"v"`
	// Places are those of Places, Sectors those of Sectors; Role is Controller, Processor or
	// Both.
	Places  []string `json:"places"`
	Sectors []string `json:"sectors"`
	Role    string   `json:"role"`
	// When a high risk for persons was found, materiality was decided (SEC), it was classified as
	// major (DORA), a fix was there (CRA); zero for not yet.
	HighRisk   time.Time `json:"high_risk,omitzero"`
	Material   time.Time `json:"material,omitzero"`
	Classified time.Time `json:"classified,omitzero"`
	Fix        time.Time `json:"fix,omitzero"`
	// The window and the calls of the log that it is about. Receipt is an event, whose caller
	// is meant.
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Class   string    `json:"class,omitempty"`
	Route   string    `json:"route,omitempty"`
	Receipt string    `json:"receipt,omitempty"`
}

const factsVersion = 1

// Incident is one.
type Incident struct {
	ID string
	// Title is what people call it.
	Title    string
	Drill    bool
	State    string
	Opened   time.Time
	OpenedBy string
	// Suspected is since when it was suspected as it was entered, Aware since when it was known, zero for not
	// yet; Basis says what decided that.
	Suspected, Aware time.Time
	Basis            string
	Facts            Facts
	Closed           time.Time
	Outcome          string
	// Duties and Events are left out of lists.
	Duties []Duty
	Events []Event
}

// Duty is one notice that an incident owes.
type Duty struct {
	ID, Incident, Rule, Place string
	// Anchor is what its clock counts from. PlanBy is when it is to be done, LegalDue the first
	// moment that is too late; zero where the law has no number.
	Anchor, PlanBy, LegalDue time.Time
	State                    string
	// Ended is when it was noted that it is open no more, Sent when it was sent. Reason is why
	// it was late or was not owed, Proof refers to what was sent.
	Ended, Sent   time.Time
	Reason, Proof string
	// Stage is the last that was raised, at Raised; Acked the stage that is acknowledged.
	Stage  string
	Raised time.Time
	Acked  string
	// kind is that of its obligation, which says how early it is raised. doubt is the doubt about
	// the clock in which it was acknowledged, 0 for none.
	kind  string
	doubt int64
}

// Due is the moment past which the notice is late.
func (d *Duty) Due() time.Time {
	if d.LegalDue.IsZero() {
		return d.PlanBy
	}
	return d.LegalDue
}

// Event is one thing that happened to an incident. Body has codes.
type Event struct {
	Seq   int64
	Kind  string
	At    time.Time
	Actor string
	Body  map[string]string
	// Leaf is its place in the log, empty while there is none.
	Leaf string
}

// Kinds of events.
const (
	EventOpened    = "incident.opened"
	EventAware     = "incident.aware"
	EventScoped    = "incident.scoped"
	EventNoticed   = "incident.notice_sent"
	EventWaived    = "incident.notice_waived"
	EventRestored  = "incident.notice_restored"
	EventRaised    = "incident.notice_raised"
	EventAcked     = "incident.notice_acked"
	EventClosed    = "incident.closed"
	EventDismissed = "incident.dismissed"
)

// Machine is the actor of what the gateway does by itself.
const Machine = "gateway"

// Store keeps incidents in a database, beside its duties. It may be used concurrently, by
// several processes.
type Store struct {
	db       *store.DB
	duties   *retention.Store
	register *clock.Register
	// step is called between statements, by tests.
	step func(string)
}

// New brings the tables of incidents in db up to date. duties are those of the same database
// and register.
func New(ctx context.Context, db *store.DB, duties *retention.Store, register *clock.Register) (*Store, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the tables of incidents: %w", err)
	}
	if err := db.Migrate(ctx, "incident", sub); err != nil {
		return nil, err
	}
	return &Store{db: db, duties: duties, register: register, step: func(string) {}}, nil
}

var names = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewIncident asks for one.
type NewIncident struct {
	Title string
	Drill bool
	By    string
	// Suspected is since when; zero for now.
	Suspected time.Time
	Facts     Facts
}

// Cause is what the gateway itself opens an incident for.
type Cause struct {
	// Name tells causes apart, in 1 to 128 characters of a code: keyed digests, and nobody's name.
	Name string
	// Window is for how long after one was opened for it there is no other.
	Window time.Duration
	// Codes are put in the log with the incident.
	Codes map[string]string
}

// mostOwn is how many incidents the gateway itself opens in a day: who provokes more has drawn
// attention enough.
const mostOwn = 100

// ErrMany is returned by OpenFor when the gateway has opened as many in a day as it may.
var ErrMany = errors.New("the gateway itself has opened 100 incidents within a day, and opens no more")

// errOpened: an incident was opened for the cause before.
var errOpened = errors.New("opened before")

// OpenFor opens an incident that a machine suspects, if none was opened for its cause within
// its window: then id is "". The incident and that it was opened for the cause are there both or
// not at all.
func (s *Store) OpenFor(ctx context.Context, n NewIncident, c Cause) (id string, err error) {
	if !code.MatchString(c.Name) || c.Window <= 0 {
		return "", errors.New("opening an incident: the cause is not described")
	}
	// Who goes on with what an incident is about writes nothing.
	var at int64
	err = s.db.QueryRowContext(ctx, `SELECT at FROM incident_cause WHERE cause = $1`, c.Name).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("looking for an incident: %w", err)
	}
	if err == nil {
		tx, err := s.db.Snapshot(ctx)
		if err != nil {
			return "", fmt.Errorf("looking for an incident: %w", err)
		}
		now, err := s.duties.Now(ctx, tx)
		_ = tx.Rollback() // it only reads
		if err != nil {
			return "", err
		}
		if now.Sub(time.UnixMilli(at)).Abs() < c.Window {
			return "", nil
		}
	}
	n.By = Machine
	i, err := s.open(ctx, n, &c)
	if errors.Is(err, errOpened) {
		return "", nil
	}
	return i.ID, err
}

// claim notes in the incident's transaction what it is opened for. Of several at once one
// comes through. A time that is further ahead than the window is that of a wrong clock.
func (s *Store) claim(ctx context.Context, tx *sql.Tx, i *Incident, c *Cause) error {
	window := c.Window.Milliseconds()
	res, err := tx.ExecContext(ctx, `INSERT INTO incident_cause (cause, at, incident) VALUES ($1, $2, $3)
		ON CONFLICT (cause) DO UPDATE SET at = excluded.at, incident = excluded.incident WHERE incident_cause.at <= $4 OR incident_cause.at >= $5`,
		c.Name, i.Opened.UnixMilli(), i.ID, i.Opened.UnixMilli()-window, i.Opened.UnixMilli()+window)
	if err != nil {
		return fmt.Errorf("noting the cause of an incident: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return fmt.Errorf("noting the cause of an incident: %w", err)
	} else if n == 0 {
		return errOpened
	}
	var today int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM incident WHERE opened_by = $1 AND opened > $2`, Machine, i.Opened.Add(-24*time.Hour).UnixMilli()).Scan(&today); err != nil {
		return fmt.Errorf("counting incidents: %w", err)
	}
	if today > mostOwn { // with this one
		return ErrMany
	}
	return nil
}

// Open opens an incident, with the clocks that begin at the suspicion.
func (s *Store) Open(ctx context.Context, n NewIncident) (Incident, error) {
	return s.open(ctx, n, nil)
}

func (s *Store) open(ctx context.Context, n NewIncident, c *Cause) (Incident, error) {
	if n.Title == "" || len(n.Title) > MaxTitle || !code.MatchString(n.By) {
		return Incident{}, wish("it has a title of 1 to %d bytes", MaxTitle)
	}
	b := make([]byte, 16)
	rand.Read(b) // never fails: the runtime ends the process first
	i := Incident{ID: names.EncodeToString(b), Title: n.Title, Drill: n.Drill, State: Open, OpenedBy: n.By, Suspected: n.Suspected, Facts: Facts{V: factsVersion}}
	n.Facts.Role = cmp.Or(n.Facts.Role, Controller)
	err := s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		i.Opened = now
		if i.Suspected.IsZero() {
			i.Suspected = now
		}
		i.Suspected = i.Suspected.UTC().Truncate(time.Second)
		if i.Suspected.After(now) {
			return wish("nobody suspects something in the future")
		}
		if err := i.recent("suspected_at", i.Suspected); err != nil {
			return err
		}
		added, err := i.grow(n.Facts, now, false)
		if err != nil {
			return err
		}
		facts, err := json.Marshal(i.Facts)
		if err != nil {
			return err
		}
		drill := 0
		if i.Drill {
			drill = 1
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO incident (id, title, drill, state, opened, opened_by, suspected, aware, basis, facts, closed, outcome)
			VALUES ($1, $2, $3, 'open', $4, $5, $6, 0, '', $7, 0, '')`, i.ID, i.Title, drill, store.Millis(i.Opened), i.OpenedBy, store.Millis(i.Suspected), facts); err != nil {
			return fmt.Errorf("opening an incident: %w", err)
		}
		s.step("opened")
		if c != nil {
			if err := s.claim(ctx, tx, &i, c); err != nil {
				return err
			}
			for name, v := range c.Codes {
				added[name] = v
			}
			s.step("claimed")
		}
		added["suspected_at"] = stamp(i.Suspected)
		if err := s.note(ctx, tx, &i, now, EventOpened, n.By, added); err != nil {
			return err
		}
		s.step("noted")
		if !i.Drill {
			// The wait for a decision is as long as that for the escalation, and begins with it.
			start, err := s.register.Start(ruleEscalate, i.Suspected, clock.Place{Zone: "UTC"})
			if err != nil {
				return fmt.Errorf("the clock of an incident: %w", err)
			}
			if err := s.duties.Add(ctx, tx, retention.Obligation{ID: failsafeID(i.ID), Kind: kindFailsafe, Subject: subject(i.ID), Clock: []clock.Event{start}}); err != nil {
				return err
			}
			s.step("waiting")
		}
		return s.settle(ctx, tx, &i, now)
	})
	if err != nil {
		return Incident{}, err
	}
	s.step("committed")
	return s.Get(ctx, i.ID)
}

// change changes an open incident in one transaction, and returns it.
func (s *Store) change(ctx context.Context, id, by, reason string, do func(tx *sql.Tx, i *Incident, now time.Time) error) (Incident, error) {
	if !code.MatchString(by) {
		return Incident{}, errors.New("changing an incident: the actor is an id")
	}
	if !code.MatchString(reason) {
		return Incident{}, wish("the reason is a code without spaces")
	}
	err := s.write(ctx, func(tx *sql.Tx, now time.Time) error {
		i, err := s.read(ctx, tx, id, s.db.ForUpdate())
		if err != nil {
			return err
		}
		if i.State != Open {
			return wish("it is closed")
		}
		if i.Duties, err = s.dutiesOf(ctx, tx, id); err != nil {
			return err
		}
		for n := range i.Duties {
			if err := s.recount(ctx, tx, &i.Duties[n]); err != nil {
				return err
			}
		}
		return do(tx, &i, now)
	})
	if err != nil {
		return Incident{}, err
	}
	s.step("committed")
	return s.Get(ctx, id)
}

// write runs do in a transaction. Now has whole milliseconds, as it is stored.
func (s *Store) write(ctx context.Context, do func(tx *sql.Tx, now time.Time) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	now, err := s.duties.Now(ctx, tx)
	if err != nil {
		return err
	}
	if err := do(tx, now.UTC().Truncate(time.Millisecond)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, tx *sql.Tx, i *Incident) error {
	facts, err := json.Marshal(i.Facts)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE incident SET state = $1, suspected = $2, aware = $3, basis = $4, facts = $5, closed = $6, outcome = $7 WHERE id = $8`,
		i.State, store.Millis(i.Suspected), store.Millis(i.Aware), i.Basis, facts, store.Millis(i.Closed), i.Outcome, i.ID); err != nil {
		return fmt.Errorf("storing an incident: %w", err)
	}
	return nil
}

// note keeps what happened, in the transaction in which it does. Who notes something holds the
// incident's row, so numbers do not collide.
func (s *Store) note(ctx context.Context, tx *sql.Tx, i *Incident, at time.Time, kind, by string, body map[string]string) error {
	if i.Drill {
		body["drill"] = "yes"
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO incident_event (incident, seq, kind, at, actor, body, leaf)
		SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, '' FROM incident_event WHERE incident = $1`, i.ID, kind, store.Millis(at), by, b); err != nil {
		return fmt.Errorf("noting what happened to an incident: %w", err)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
