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
	// PausedSince is since when its clock stands still, zero while it goes on.
	PausedSince time.Time
	// PauseCause, Extended and Steps are the clock's; NeedsHuman says that no runner watches it.
	// They are left out of lists.
	PauseCause string
	Extended   bool
	Steps      []string
	NeedsHuman bool
	raised     time.Time
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
