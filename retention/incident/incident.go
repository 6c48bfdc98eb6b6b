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
	"slices"
	"strings"
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
