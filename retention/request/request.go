package request

import (
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
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/clock"
	"github.com/caregate/caregate/retention/index"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Limits of one request.
const (
	// MaxNames is by how many names a person asks.
	MaxNames = 32
	// MaxText bounds each text about who asks, in bytes.
	MaxText = 500
	// MaxItems bounds the items of one call, MaxAllItems those of a request.
	MaxItems    = 1000
	MaxAllItems = 50_000
	// MaxListed bounds a list.
	MaxListed = 1000
)

// States of a request.
const (
	Open      = "open"
	Answered  = "answered"
	Refused   = "refused"
	Withdrawn = "withdrawn"
	Duplicate = "duplicate"
)

// What is owed.
const (
	Acknowledge = "acknowledge"
	Respond     = "respond"
)

// Types of events.
const (
	EventOpened       = "request.opened"
	EventAcknowledged = "request.acknowledged"
	EventVerified     = "request.verified"
	EventFailed       = "request.verification_failed"
	EventAgain        = "request.reauthenticated"
	EventPaused       = "request.paused"
	EventResumed      = "request.resumed"
	EventRestarted    = "request.restarted"
	EventExtended     = "request.extended"
	EventItems        = "request.items_noted"
	EventClosed       = "request.closed"
	EventRaised       = "request.deadline_raised"
)

// Machine is the actor of what the gateway does by itself.
const Machine = "gateway"

var (
	// ErrNone is returned for a request that does not exist.
	ErrNone = errors.New("there is no such request")
	// ErrWish is wrapped by errors about what cannot be done as it stands; the text may be
	// shown.
	ErrWish = errors.New("the request cannot be made or changed so")
	// ErrUnproven is returned for what needs to know who somebody is, while nobody has found
	// that out. It wraps ErrWish.
	ErrUnproven = fmt.Errorf("%w: nobody has found out that the person is who they say: see verify", ErrWish)
)

func wish(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrWish, fmt.Sprintf(format, args...))
}

// Sealer seals what names people, under a name that it is opened by.
type Sealer interface {
	Seal(ctx context.Context, name string, plain []byte) ([]byte, error)
	Open(ctx context.Context, name string, stored []byte) ([]byte, error)
}

// Config is what a Store needs.
type Config struct {
	// DB is the database of Duties and Index; the caller closes it.
	DB       *store.DB
	Duties   *retention.Store
	Register *clock.Register
	Index    *index.Index
	Seal     Sealer
	// HoldInForce tells whether there is a legal hold of this id and it is in force.
	HoldInForce func(ctx context.Context, id string) (bool, error)
}

// Store is the register. It may be used concurrently, also by several processes.
type Store struct {
	Config
	// telling is held while events are put on record.
	telling sync.Mutex
	step    func(string)
	// patience is how long one transaction may take.
	patience time.Duration
}

// patience is the patience of a Store: a gateway whose machine is gone holds its locks until
// the server finds its connection dead.
const patience = 30 * time.Second

// New brings the tables of requests up to date. Those of the packages in c are there before.
func New(ctx context.Context, c Config) (*Store, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the tables of requests: %w", err)
	}
	if err := c.DB.Migrate(ctx, "request", sub); err != nil {
		return nil, err
	}
	return &Store{Config: c, step: func(string) {}, patience: patience}, nil
}

// Name is one name by which a person asks.
type Name struct {
	// Person is the pseudonym of the index. Digest is for flags that outlive the person.
	Person index.Person
	Digest index.NameDigest
}

// Requester is who asks. It is sealed, and in no list and no event.
type Requester struct {
	// Name and Address are how to reach whoever asks; Agent names who asks for the person,
	// Note is what else there is to say. Each may be empty, and has at most MaxText bytes.
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
	Agent   string `json:"agent,omitempty"`
	Note    string `json:"note,omitempty"`
}

// NewRequest is a request that came in.
type NewRequest struct {
	// Kind, Place and Manner are of Kinds, Places and Manners.
	Kind, Place, Manner string
	// Received is when it came in; zero for now.
	Received time.Time
	Names    []Name
	// Agent: somebody asks for the person.
	Agent     bool
	Requester Requester
	// By is the id of the actor who notes it.
	By string
}

// Check is a check of who somebody is.
type Check struct {
	// Method is one of Methods. Proof names the record of the check, a code: it counts once.
	Method, Proof string
	// At is when it was made; zero for now.
	At time.Time
	// Names are the numbers of the names that it proved, from 1; none for all.
	Names []int
	// Authority is with what right an agent asks, one of Authorities.
	Authority string
}

// Item is what became of one thing.
type Item struct {
	// Place is CHANNEL/HOST/TYPE/ID, the code of another system, or Everything.
	Place  string
	Result string
	// Hold is the hold of KeptHold; Statute the code of the law and Until the last day, as
	// 2030-12-31, of KeptStatute.
	Hold, Statute, Until string
	At                   time.Time
	By                   string
}

// Verified is one name of a request: when it was found to be the person's, and how; zero and
// empty before.
type Verified struct {
	At     time.Time
	Method string
}

// Duty is what is owed.
type Duty struct {
	// ID is that of the duty in package retention. What is Acknowledge or Respond.
	ID, What, Rule string
	// PlanBy and LegalDue are as its clock says; while it stands still, as if it went on now.
	PlanBy, LegalDue time.Time
	// Done is when it ended, zero while it is owed.
	Done time.Time
	// Stage is what was raised last.
	Stage string
	// PausedSince, PauseCause, Extended and Steps are the clock's; NeedsHuman says that no
	// runner watches it. They are left out of lists.
	PausedSince time.Time
	PauseCause  string
	Extended    bool
	Steps       []string
	NeedsHuman  bool
	raised      time.Time
}

// Event is something that happened to a request.
type Event struct {
	// ID is the event's in the log: one that is there is not written again. By is the ID of the
	// actor, or Machine.
	ID       [16]byte
	Type, By string
	At       time.Time
	Attrs    map[string]string

	request string
	seq     int64
}

// Request is a request as it is stored, without who asks.
type Request struct {
	ID, Kind, Place, Manner string
	Agent                   bool
	Authority               string
	Received, Opened        time.Time
	OpenedBy                string
	State                   string
	// Failed counts checks that failed.
	Failed int
	// Again is when the person proved again who they are, Begun when the first thing was
	// noted as destroyed.
	Again, Begun time.Time
	Closed       time.Time
	ClosedBy     string
	// Reason is that of a refusal, Notice names what the person was told, Other the request
	// of which it is a duplicate.
	Reason, Notice, Other string
	// Names are left out of lists, like the rest; Duties are not.
	Names  []Verified
	Duties []Duty
	// RefuseBy is until when a refusal must be told, where that is another moment than that
	// of the answer.
	RefuseBy time.Time
	// Items are counted by result.
	Items map[string]int
	// Duplicates are other open requests of the kind by one of the names, older first.
	Duplicates []string
	Events     []Event

	sealed []byte
	people []person
}

// person is one name of a request.
type person struct {
	Name
	Verified
}

// proven tells whether it is known that the person is who they say, or need not be.
func (r *Request) proven() bool {
	return unproven(r.Kind) || slices.ContainsFunc(r.Names, func(v Verified) bool { return !v.At.IsZero() })
}

// shown tells whether records may be shown.
func (r *Request) shown() bool {
	return slices.ContainsFunc(r.Names, r.opens)
}

// opens tells whether the records of a name may be shown.
func (r *Request) opens(v Verified) bool {
	return !v.At.IsZero() && (r.Place != "us-ca" || v.Method != ByDataPoints || r.Kind != Access && r.Kind != Portability)
}

// code is the form of references: codes, and no data of people.
var code = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)

// number is the form of what people give numbers to: no address fits.
var number = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

var letters = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func draw() (id [16]byte) {
	rand.Read(id[:]) // never fails: the runtime ends the process first
	return id
}

// check refuses what cannot be a request. Texts name the part and nothing of it.
func (n *NewRequest) check() error {
	l, known := laws[n.Place]
	switch {
	case !slices.Contains(Kinds(), n.Kind):
		return wish("kind: there are %s", strings.Join(Kinds(), ", "))
	case !known:
		return wish("place: there are %s", strings.Join(Places(), ", "))
	case l.respond[n.Kind] == "":
		return wish("the law of this place, as far as it is known here, has no request of this kind")
	case !slices.Contains(Manners(), n.Manner):
		return wish("manner: there are %s", strings.Join(Manners(), ", "))
	case len(n.Names) == 0 || len(n.Names) > MaxNames:
		return wish("subjects: want 1 to %d", MaxNames)
	case !code.MatchString(n.By):
		return errors.New("opening a request: the actor is an id")
	case !n.Agent && n.Requester.Agent != "":
		return wish("who asks for the person is an agent: say so")
	}
	for _, s := range []string{n.Requester.Name, n.Requester.Address, n.Requester.Agent, n.Requester.Note} {
		if len(s) > MaxText || !utf8.ValidString(s) {
			return wish("who asks: want at most %d bytes of text each", MaxText)
		}
	}
	for i, name := range n.Names {
		if name.Person == (index.Person{}) || slices.ContainsFunc(n.Names[:i], func(o Name) bool { return o.Person == name.Person }) {
			return wish("subjects: want names of a person, each once")
		}
	}
	return nil
}

// Open opens a request: its duties run from when it was received, and a flag that needs no
// proof of who somebody is is set. ErrWish.
func (s *Store) Open(ctx context.Context, n NewRequest) (Request, error) {
	if err := n.check(); err != nil {
		return Request{}, err
	}
	raw := draw()
	id := letters.EncodeToString(raw[:])
	plain, err := json.Marshal(n.Requester)
	if err != nil {
		return Request{}, fmt.Errorf("opening a request: %w", err)
	}
	sealed, err := s.Seal.Seal(ctx, id, plain)
	if err != nil {
		return Request{}, fmt.Errorf("opening a request: %w", err)
	}
	l := laws[n.Place]
	err = s.write(ctx, func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if n.Received.IsZero() {
			n.Received = now
		}
		n.Received = n.Received.UTC().Truncate(time.Second)
		if n.Received.After(now) {
			return wish("received: it lies in the future")
		}
		agent := 0
		if n.Agent {
			agent = 1
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO request (id, kind, place, manner, agent, authority, requester, received, opened, opened_by, state, failed, again, begun, closed, closed_by, reason, notice, other)
			VALUES ($1, $2, $3, $4, $5, '', $6, $7, $8, $9, 'open', 0, 0, 0, 0, '', '', '', '')`, id, n.Kind, n.Place, n.Manner, agent, sealed, store.Millis(n.Received), store.Millis(now), n.By); err != nil {
			return err
		}
		s.step("opening: stored")
		for i, p := range n.Names {
			// The digest outlives the person: it is kept where a flag will need it.
			digest := []byte{}
			if index.Outlives(flags[n.Kind]) {
				digest = p.Digest[:]
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO request_person (request, n, person, name, verified, method) VALUES ($1, $2, $3, $4, 0, '')`, id, i+1, p.Person[:], digest); err != nil {
				return err
			}
		}
		attrs := map[string]string{"kind": n.Kind, "place": n.Place, "manner": n.Manner, "received": stamp(n.Received), "subjects": strconv.Itoa(len(n.Names))}
		if n.Agent {
			attrs["agent"] = "yes"
		}
		due, err := s.owe(ctx, tx, id, Respond, l.respond[n.Kind], n.Received, l)
		if err != nil {
			return err
		}
		attrs["rule"], attrs["plan_by"], attrs["legal_due"] = due.Rule, stamp(due.PlanBy), stamp(due.LegalDue)
		if slices.Contains(l.acks, n.Kind) {
			if due, err = s.owe(ctx, tx, id, Acknowledge, l.acknowledge, n.Received, l); err != nil {
				return err
			}
			attrs["acknowledge_by"] = stamp(due.LegalDue)
		}
		s.step("opening: owed")
		if unproven(n.Kind) {
			if err := s.flag(ctx, tx, id, n.Kind, n.By, n.Names, now); err != nil {
				return err
			}
			attrs["flag"] = flags[n.Kind]
		}
		return s.note(ctx, tx, id, EventOpened, n.By, attrs, now)
	})
	if unproven(n.Kind) {
		s.Index.FlagsSet()
	}
	if err != nil {
		return Request{}, fmt.Errorf("opening a request: %w", err)
	}
	s.step("opened")
	return s.Get(ctx, id)
}

// owe adds a duty.
func (s *Store) owe(ctx context.Context, tx *sql.Tx, id, what, rule string, at time.Time, l law) (Duty, error) {
	start, err := s.Register.Start(rule, at, clock.Place{Zone: l.zone, Calendar: l.calendar})
	if errors.Is(err, clock.ErrUnknown) {
		return Duty{}, wish("the law was not in force when it was received, or it is not known here")
	}
	if err != nil {
		return Duty{}, err
	}
	state, err := s.Register.Fold([]clock.Event{start})
	if err != nil {
		return Duty{}, err
	}
	d := Duty{ID: subject(id) + "/" + what, What: what, Rule: rule, PlanBy: state.PlanBy.At, LegalDue: state.LegalDue.At}
	if err := s.Duties.Add(ctx, tx, retention.Obligation{ID: d.ID, Kind: dutyKinds[what], Subject: subject(id), Clock: []clock.Event{start}}); err != nil {
		return d, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO request_duty (id, request, what, rule, plan, legal, state, ended, stage, raised) VALUES ($1, $2, $3, $4, $5, $6, 'open', 0, '', 0)`,
		d.ID, id, what, rule, store.Millis(d.PlanBy), store.Millis(d.LegalDue))
	return d, err
}

func subject(id string) string { return "request/" + id }

// flag sets the flag of a kind on names.
func (s *Store) flag(ctx context.Context, tx *sql.Tx, id, kind, by string, names []Name, now time.Time) error {
	for _, n := range names {
		if _, _, err := index.SetFlagIn(ctx, tx, index.Flag{Kind: flags[kind], Person: n.Person, Since: now, Reason: "request", Ticket: id, SetBy: by}, n.Digest, now); err != nil {
			return err
		}
	}
	s.step("flagged")
	return nil
}

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
		if err := s.end(ctx, tx, d, by, "acknowledged", notice, now); err != nil {
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

// Verify notes that somebody found out that names are the person's. From then on the records of
// these names are shown, and a flag that needs it is set. A clock that stood still for it goes
// on.
func (s *Store) Verify(ctx context.Context, id, by string, c Check) (Request, error) {
	sets := false
	r, err := s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		if r.Failed >= maxFailed {
			return wish("%d checks have failed: refuse it, and have the person ask anew", maxFailed)
		}
		var names []Name
		for _, n := range c.Names {
			if n < 1 || n > len(r.people) {
				return wish("names: they are numbers from 1 to %d", len(r.people))
			}
		}
		if len(c.Names) == 0 && len(r.people) > 1 {
			return wish("names: the request has %d; say which ones were proven, each by itself", len(r.people))
		}
		authority := r.Authority
		switch {
		case r.Agent && authority == "" && !slices.Contains(Authorities(), c.Authority):
			return wish("authority: an agent asks; say with what right: %s", strings.Join(Authorities(), ", "))
		case !r.Agent && (c.Authority != "" || c.Method == ByAttorney):
			return wish("authority: no agent asks")
		case c.Method == ByAttorney && c.Authority != ByAttorney:
			return wish("authority: a power of attorney is with what right the agent asks, too")
		case c.Authority != "":
			if !slices.Contains(Authorities(), c.Authority) {
				return wish("authority: there are %s", strings.Join(Authorities(), ", "))
			}
			authority = c.Authority
		}
		at, err := s.checked(ctx, tx, r, by, "identity", c, now)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request SET authority = $1 WHERE id = $2`, authority, id); err != nil {
			return err
		}
		for i, p := range r.people {
			if len(c.Names) > 0 && !slices.Contains(c.Names, i+1) {
				continue
			}
			names = append(names, p.Name)
			if _, err := tx.ExecContext(ctx, `UPDATE request_person SET verified = $1, method = $2 WHERE request = $3 AND n = $4`, store.Millis(at), c.Method, id, i+1); err != nil {
				return err
			}
		}
		s.step("verified")
		attrs := map[string]string{"method": c.Method, "proof": c.Proof, "checked": stamp(at), "names": strconv.Itoa(len(names))}
		if authority != "" {
			attrs["authority"] = authority
		}
		if flags[r.Kind] != "" && !unproven(r.Kind) {
			sets = true
			if err := s.flag(ctx, tx, id, r.Kind, by, names, now); err != nil {
				return err
			}
			attrs["flag"] = flags[r.Kind]
		}
		if d := r.duty(Respond); d.PauseCause == ReasonIdentity {
			if err := s.happened(ctx, tx, d, clock.Event{Kind: clock.Resumed, At: now, Actor: by, Reason: "verified"}); err != nil {
				return err
			}
			attrs["resumed"] = "yes"
		}
		return s.note(ctx, tx, id, EventVerified, by, attrs, now)
	})
	if sets {
		s.Index.FlagsSet()
	}
	return r, err
}

// checked stores a check, which counts once.
func (s *Store) checked(ctx context.Context, tx *sql.Tx, r *Request, by, purpose string, c Check, now time.Time) (time.Time, error) {
	if unproven(r.Kind) {
		return time.Time{}, wish("nobody proves who they are for this: the flag is set")
	}
	if !slices.Contains(Methods(), c.Method) {
		return time.Time{}, wish("method: there are %s", strings.Join(Methods(), ", "))
	}
	if !number.MatchString(c.Proof) {
		return time.Time{}, wish("proof: want the number of the record of the check: 1 to 64 letters, digits, dashes and underscores")
	}
	at, err := r.moment(c.At, now)
	if err != nil {
		return at, err
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO request_check (proof, request, purpose, method, at, noted, actor) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (proof) DO NOTHING`,
		c.Proof, r.ID, purpose, c.Method, store.Millis(at), store.Millis(now), by)
	if err != nil {
		return at, err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return at, errors.Join(err, wish("proof: a check counts once, and this one has"))
	}
	return at, nil
}

// VerifyFailed notes that a check did not find the person to be who they say.
func (s *Store) VerifyFailed(ctx context.Context, id, by string, c Check) (Request, error) {
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		at, err := s.checked(ctx, tx, r, by, "failed", c, now)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request SET failed = failed + 1 WHERE id = $1`, id); err != nil {
			return err
		}
		return s.note(ctx, tx, id, EventFailed, by, map[string]string{"method": c.Method, "proof": c.Proof, "checked": stamp(at), "failed": strconv.Itoa(r.Failed + 1)}, now)
	})
}

// Reauthenticated notes that a person who asks for deletion proved again who they are. It is a
// check of its own, made after the first.
func (s *Store) Reauthenticated(ctx context.Context, id, by string, c Check) (Request, error) {
	return s.change(ctx, id, by, func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error {
		if r.Kind != Deletion {
			return wish("only who asks for deletion proves again who they are")
		}
		if !r.proven() {
			return ErrUnproven
		}
		at, err := s.checked(ctx, tx, r, by, "again", c, now)
		if err != nil {
			return err
		}
		for _, p := range r.people {
			if at.Before(p.At) {
				return wish("at: the person proves again who they are after the first time")
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE request SET again = $1 WHERE id = $2`, store.Millis(at), id); err != nil {
			return err
		}
		return s.note(ctx, tx, id, EventAgain, by, map[string]string{"method": c.Method, "proof": c.Proof, "checked": stamp(at)}, now)
	})
}

// Pause notes that the person was asked for something, so that the clock stands still where
// the rule knows this cause. at is when; zero for now.
func (s *Store) Pause(ctx context.Context, id, by, cause string, at time.Time) (Request, error) {
	return s.clock(ctx, id, by, EventPaused, clock.Event{Kind: clock.Paused, At: at, Reason: "asked", Cause: cause})
}

// Resume notes that the answer is there.
func (s *Store) Resume(ctx context.Context, id, by string, at time.Time) (Request, error) {
	return s.clock(ctx, id, by, EventResumed, clock.Event{Kind: clock.Resumed, At: at, Reason: "answered"})
}

// Restart has the clock count from another moment, where the rule knows this cause. from is
// not after now; zero for now.
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
		e.Actor = by
		d := r.duty(Respond)
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
	_, err = tx.ExecContext(ctx, `UPDATE request_duty SET plan = $1, legal = $2, stage = '', raised = 0 WHERE id = $3`, store.Millis(d.PlanBy), store.Millis(d.LegalDue), d.ID)
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

// end ends a duty that is owed.
func (s *Store) end(ctx context.Context, tx *sql.Tx, d *Duty, by, reason, result string, now time.Time) error {
	if err := s.Duties.End(ctx, tx, d.ID, by, reason, result); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE request_duty SET state = 'done', ended = $1 WHERE id = $2`, store.Millis(now), d.ID)
	return err
}

// change changes an open request while nobody else does.
func (s *Store) change(ctx context.Context, id, by string, do func(ctx context.Context, tx *sql.Tx, r *Request, now time.Time) error) (Request, error) {
	if !code.MatchString(by) {
		return Request{}, errors.New("changing a request: the actor is an id")
	}
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		r, err := s.read(ctx, tx, id, s.DB.ForUpdate())
		if err != nil {
			return err
		}
		if r.State != Open {
			return wish("it is %s", r.State)
		}
		return do(ctx, tx, &r, now)
	})
	if err != nil {
		return Request{}, fmt.Errorf("changing a request: %w", err)
	}
	s.step("changed")
	return s.Get(ctx, id)
}

// write runs do in a transaction, which ends when s.patience does: do uses the context that it
// is given.
func (s *Store) write(ctx context.Context, do func(ctx context.Context, tx *sql.Tx, now time.Time) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	now, err := s.Duties.Now(ctx, tx)
	if err != nil {
		return err
	}
	if err := do(ctx, tx, now.UTC().Truncate(time.Millisecond)); err != nil {
		return err
	}
	s.step("before the commit")
	return tx.Commit()
}

// note stores what is to be put on record, in the transaction in which it happens, which has
// made the request or locked it.
func (s *Store) note(ctx context.Context, tx *sql.Tx, id, typ, by string, attrs map[string]string, now time.Time) error {
	body, err := json.Marshal(attrs)
	if err != nil {
		return err
	}
	event := draw()
	_, err = tx.ExecContext(ctx, `INSERT INTO request_event (request, seq, event, type, at, actor, attrs, told)
		SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6, 0 FROM request_event WHERE request = $1`, id, event[:], typ, store.Millis(now), by, body)
	return err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}
