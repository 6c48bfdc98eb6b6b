package hold

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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Limits of one hold.
const (
	MaxPersons = 500
	MaxRecords = 1000
	MaxQueries = 16
	// MaxReason bounds a reason, in bytes.
	MaxReason = 500
	// MaxListed bounds a list.
	MaxListed = 1000
)

// States of a hold. It is in force in all but the last.
const (
	Placed        = "placed"
	LiftRequested = "lift_requested" // waits for another person
	Lifting       = "lifting"        // two agreed; the log does not have it yet
	Lifted        = "lifted"
)

// Types of events.
const (
	EventPlaced        = "hold.placed"
	EventLiftRequested = "hold.lift_requested"
	EventLifted        = "hold.lifted"
)

var (
	// ErrNone is returned for a hold that does not exist.
	ErrNone = errors.New("there is no such hold")
	// ErrWish is wrapped by errors about what cannot be done as it stands; the text may be
	// shown.
	ErrWish = errors.New("the hold cannot be changed so")
	// ErrSamePerson is returned by Approve to whoever asked for the lifting, also with a key
	// that theirs was rotated from or to. It wraps ErrWish.
	ErrSamePerson = fmt.Errorf("%w: whoever asks for the lifting cannot agree to it", ErrWish)
)

// HeldError is returned when something that is to be destroyed is held. It names the first
// hold that says so, and nobody.
type HeldError struct{ Hold, Matter string }

func (e *HeldError) Error() string {
	return "hold " + e.Hold + " of matter " + e.Matter + " is in force"
}

// Query covers records by where they stand and when they were there.
type Query struct {
	// Channel is the channel's name. Host and Type are empty for every account, every type.
	Channel, Host, Type string
	// Since and Until bound the time in which a record was there: created before Until, and
	// seen by the gateway at or after Since. Zero for no bound. A record of which no vendor
	// said when it was created is covered however old it is.
	Since, Until time.Time
}

// Scope is what a hold covers: all of it, not what its parts have in common.
type Scope struct {
	// Persons are pseudonyms of the index.
	Persons []index.Person
	Records []index.Record
	Queries []Query
}

// New is a hold to be placed.
type New struct {
	// Matter is the number of the case and Custodian who keeps its evidence, both codes and
	// no names: they stand in refusals and in the log.
	Matter, Custodian string
	// Reason is text of 1 to MaxReason bytes; it is sealed.
	Reason string
	// By is the ID of the actor who places it.
	By    string
	Scope Scope
}

// Late is an erasure for which a hold came too late.
type Late struct {
	// Event is the id of its event in the log, Begun when it passed the gate.
	Event [16]byte
	Begun time.Time
}

// Hold is a hold as it is stored.
type Hold struct {
	ID, Matter, Custodian, Reason, State string
	Placed                               time.Time
	PlacedBy                             string
	// Asked to Agreed are who asked for the lifting, when and why, and who agreed; zero and
	// empty before.
	Asked               time.Time
	AskedBy, AskedFor   string
	Agreed              time.Time
	AgreedBy            string
	Persons             int
	Records             []index.Record
	Queries             []Query
	TooLate             []Late
	sealed, sealedAsked []byte
}

// Sealer seals what people write, under a name that it is opened by.
type Sealer interface {
	Seal(ctx context.Context, name string, plain []byte) ([]byte, error)
	Open(ctx context.Context, name string, stored []byte) ([]byte, error)
}

// Store are the holds in state.db. It may be used concurrently, also by several processes.
type Store struct {
	db   *store.DB
	seal Sealer
	now  func(context.Context) (time.Time, error)
	// any knows whether a hold is in force.
	any *store.Any
	// telling is held while events are put on record.
	telling sync.Mutex
	step    func(string)
	// patience is how long one transaction may take.
	patience time.Duration
}

// patience is the patience of a Store: a gateway whose machine is gone holds its locks until
// the server finds its connection dead.
const patience = 30 * time.Second

// Open brings the tables of holds in db up to date. Those of package index are in the same
// database, and were opened before. The caller closes db.
func Open(ctx context.Context, db *store.DB, seal Sealer) (*Store, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the tables of holds: %w", err)
	}
	if err := db.Migrate(ctx, "hold", sub); err != nil {
		return nil, err
	}
	anyHold, err := store.NewAny(ctx, db, `FROM hold WHERE state <> 'lifted'`)
	if err != nil {
		return nil, fmt.Errorf("looking for holds: %w", err)
	}
	return &Store{db: db, seal: seal, any: anyHold, now: db.Now, step: func(string) {}, patience: patience}, nil
}

// word is the form of matters and custodians.
var word = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func draw() (id [16]byte) {
	rand.Read(id[:]) // never fails: the runtime ends the process first
	return id
}

var letters = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// check refuses what cannot be a hold. Texts name the part and nothing of it.
func (n *New) check() error {
	s := &n.Scope
	switch {
	case !word.MatchString(n.Matter):
		return fmt.Errorf("%w: matter: want 1 to 64 letters, digits, dashes and underscores", ErrWish)
	case !word.MatchString(n.Custodian):
		return fmt.Errorf("%w: custodian: want 1 to 64 letters, digits, dashes and underscores", ErrWish)
	case n.Reason == "" || len(n.Reason) > MaxReason:
		return fmt.Errorf("%w: reason: want 1 to %d bytes", ErrWish, MaxReason)
	case n.By == "":
		return fmt.Errorf("%w: nobody places it", ErrWish)
	case len(s.Persons)+len(s.Records)+len(s.Queries) == 0:
		return fmt.Errorf("%w: it covers nothing; name subjects, records or a query", ErrWish)
	case len(s.Persons) > MaxPersons || len(s.Records) > MaxRecords || len(s.Queries) > MaxQueries:
		return fmt.Errorf("%w: at most %d subjects, %d records and %d queries in one hold", ErrWish, MaxPersons, MaxRecords, MaxQueries)
	}
	for _, r := range s.Records {
		if !r.Valid() {
			return fmt.Errorf("%w: records: %w", ErrWish, index.ErrRecord)
		}
	}
	for _, q := range s.Queries {
		if q.Channel == "" {
			return fmt.Errorf("%w: queries: want a channel", ErrWish)
		}
		if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
			return fmt.Errorf("%w: queries: since lies behind until", ErrWish)
		}
	}
	return nil
}

// Place places a hold. It is in force when it returns without an error; after an error it may
// be in force or not. TooLate of what it returns are the erasures of persons in its scope that
// had passed the gate. ErrWish.
func (s *Store) Place(ctx context.Context, n New) (Hold, error) {
	if err := n.check(); err != nil {
		return Hold{}, err
	}
	raw := draw()
	id := letters.EncodeToString(raw[:])
	reason, err := s.seal.Seal(ctx, id, []byte(n.Reason))
	if err != nil {
		return Hold{}, fmt.Errorf("placing a hold: %w", err)
	}
	err = s.write(ctx, func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if err := s.lock(ctx, tx); err != nil {
			return err
		}
		s.step("placing: locked")
		if _, err := tx.ExecContext(ctx, `INSERT INTO hold (id, matter, custodian, reason, state, placed, placed_by, asked, asked_by, asked_for, agreed, agreed_by)
			VALUES ($1, $2, $3, $4, 'placed', $5, $6, 0, '', $7, 0, '')`, id, n.Matter, n.Custodian, reason, now.UnixMilli(), n.By, []byte{}); err != nil {
			return err
		}
		for _, p := range n.Scope.Persons {
			if _, err := tx.ExecContext(ctx, `INSERT INTO hold_person (hold, person) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, p[:]); err != nil {
				return err
			}
		}
		for i, r := range n.Scope.Records {
			if _, err := tx.ExecContext(ctx, `INSERT INTO hold_record (hold, n, channel, host, type, name) VALUES ($1, $2, $3, $4, $5, $6)`, id, i, r.Channel, r.Host, r.Type, r.ID); err != nil {
				return err
			}
		}
		for i, q := range n.Scope.Queries {
			if _, err := tx.ExecContext(ctx, `INSERT INTO hold_query (hold, n, channel, host, type, since, until) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				id, i, q.Channel, q.Host, q.Type, store.Millis(q.Since), store.Millis(q.Until)); err != nil {
				return err
			}
		}
		late, err := s.late(ctx, tx, id, len(n.Scope.Records)+len(n.Scope.Queries) > 0, now)
		if err != nil {
			return err
		}
		attrs := map[string]string{"hold": id, "matter": n.Matter, "custodian": n.Custodian, "subjects": strconv.Itoa(len(n.Scope.Persons)),
			"records": strconv.Itoa(len(n.Scope.Records)), "queries": strconv.Itoa(len(n.Scope.Queries))}
		if late > 0 {
			attrs["too_late"] = strconv.Itoa(late)
		}
		return s.note(ctx, tx, id, EventPlaced, n.By, attrs, now)
	})
	s.any.Added() // also when the commit failed: nobody knows then
	if err != nil {
		return Hold{}, fmt.Errorf("placing a hold: %w", err)
	}
	s.step("placed")
	return s.Get(ctx, id)
}

// AskLift asks for a hold to be lifted; another person has to agree. ErrNone, ErrWish.
func (s *Store) AskLift(ctx context.Context, id, by, reason string) (Hold, error) {
	if reason == "" || len(reason) > MaxReason || by == "" {
		return Hold{}, fmt.Errorf("%w: reason: want 1 to %d bytes", ErrWish, MaxReason)
	}
	if _, err := s.Get(ctx, id); err != nil { // nothing is sealed under ids of nothing
		return Hold{}, err
	}
	sealed, err := s.seal.Seal(ctx, id+"/lift", []byte(reason))
	if err != nil {
		return Hold{}, fmt.Errorf("asking for a hold to be lifted: %w", err)
	}
	err = s.change(ctx, id, func(ctx context.Context, tx *sql.Tx, h *Hold, now time.Time) error {
		if h.State != Placed {
			return fmt.Errorf("%w: it is %s", ErrWish, h.State)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE hold SET state = 'lift_requested', asked = $1, asked_by = $2, asked_for = $3 WHERE id = $4`, now.UnixMilli(), by, sealed, id); err != nil {
			return err
		}
		return s.note(ctx, tx, id, EventLiftRequested, by, map[string]string{"hold": id, "matter": h.Matter}, now)
	})
	if err != nil {
		return Hold{}, fmt.Errorf("asking for a hold to be lifted: %w", err)
	}
	s.step("asked")
	return s.Get(ctx, id)
}

// Approve agrees to the lifting that somebody else asked for. The hold ends when Tell has put
// that on record. same are the IDs of the actors who are whoever agrees, by included.
// ErrNone, ErrSamePerson, ErrWish.
func (s *Store) Approve(ctx context.Context, id, by string, same map[string]bool) (Hold, error) {
	err := s.change(ctx, id, func(ctx context.Context, tx *sql.Tx, h *Hold, now time.Time) error {
		switch {
		case by == "":
			return fmt.Errorf("%w: nobody agrees", ErrWish)
		case h.State != LiftRequested:
			return fmt.Errorf("%w: it is %s, and nobody waits for somebody to agree", ErrWish, h.State)
		case h.AskedBy == by || same[h.AskedBy]:
			return ErrSamePerson
		}
		if _, err := tx.ExecContext(ctx, `UPDATE hold SET state = 'lifting', agreed = $1, agreed_by = $2 WHERE id = $3`, now.UnixMilli(), by, id); err != nil {
			return err
		}
		return s.note(ctx, tx, id, EventLifted, by, map[string]string{"hold": id, "matter": h.Matter, "asked_by": h.AskedBy, "approved_by": by}, now)
	})
	if err != nil {
		return Hold{}, fmt.Errorf("agreeing to the lifting of a hold: %w", err)
	}
	s.step("agreed")
	return s.Get(ctx, id)
}

// change changes a hold while nobody else does.
func (s *Store) change(ctx context.Context, id string, do func(ctx context.Context, tx *sql.Tx, h *Hold, now time.Time) error) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		h, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM hold WHERE id = $1`+s.db.ForUpdate(), id))
		if err != nil {
			return err
		}
		return do(ctx, tx, &h, now)
	})
}

const columns = `id, matter, custodian, reason, state, placed, placed_by, asked, asked_by, asked_for, agreed, agreed_by`

func scan(row interface{ Scan(...any) error }) (h Hold, err error) {
	var placed, asked, agreed int64
	err = row.Scan(&h.ID, &h.Matter, &h.Custodian, &h.sealed, &h.State, &placed, &h.PlacedBy, &asked, &h.AskedBy, &h.sealedAsked, &agreed, &h.AgreedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return h, ErrNone
	}
	h.Placed, h.Asked, h.Agreed = store.Moment(placed), store.Moment(asked), store.Moment(agreed)
	return h, err
}

// Get returns a hold. ErrNone.
func (s *Store) Get(ctx context.Context, id string) (Hold, error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return Hold{}, fmt.Errorf("reading a hold: %w", err)
	}
	defer tx.Rollback()
	h, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM hold WHERE id = $1`, id))
	if err == nil {
		err = s.fill(ctx, tx, &h)
	}
	if err != nil {
		return Hold{}, fmt.Errorf("reading a hold: %w", err)
	}
	tx.Rollback() // opening may wait for another database
	reason, err := s.seal.Open(ctx, id, h.sealed)
	if err != nil {
		return Hold{}, fmt.Errorf("reading the reason of a hold: %w", err)
	}
	h.Reason = string(reason)
	if len(h.sealedAsked) > 0 {
		if reason, err = s.seal.Open(ctx, id+"/lift", h.sealedAsked); err != nil {
			return Hold{}, fmt.Errorf("reading the reason of a hold: %w", err)
		}
		h.AskedFor = string(reason)
	}
	return h, nil
}

// fill adds what a hold covers.
func (s *Store) fill(ctx context.Context, tx *sql.Tx, h *Hold) error {
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM hold_person WHERE hold = $1`, h.ID).Scan(&h.Persons); err != nil {
		return err
	}
	err := each(ctx, tx, `SELECT channel, host, type, name FROM hold_record WHERE hold = $1 ORDER BY n`, func(rows *sql.Rows) error {
		var r index.Record
		err := rows.Scan(&r.Channel, &r.Host, &r.Type, &r.ID)
		h.Records = append(h.Records, r)
		return err
	}, h.ID)
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT channel, host, type, since, until FROM hold_query WHERE hold = $1 ORDER BY n`, func(rows *sql.Rows) error {
		var q Query
		var since, until int64
		err := rows.Scan(&q.Channel, &q.Host, &q.Type, &since, &until)
		q.Since, q.Until = store.Moment(since), store.Moment(until)
		h.Queries = append(h.Queries, q)
		return err
	}, h.ID)
	if err != nil {
		return err
	}
	return each(ctx, tx, `SELECT event, begun FROM hold_late WHERE hold = $1 ORDER BY begun, event`, func(rows *sql.Rows) error {
		var l Late
		var event []byte
		var begun int64
		err := rows.Scan(&event, &begun)
		copy(l.Event[:], event)
		l.Begun = store.Moment(begun)
		h.TooLate = append(h.TooLate, l)
		return err
	}, h.ID)
}

// List returns the holds without reasons and scopes, those in force first, then the newest
// first; at most MaxListed.
func (s *Store) List(ctx context.Context) ([]Hold, error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing holds: %w", err)
	}
	defer tx.Rollback()
	list := []Hold{}
	err = each(ctx, tx, `SELECT `+columns+` FROM hold ORDER BY CASE WHEN state = 'lifted' THEN 1 ELSE 0 END, placed DESC, id LIMIT $1`, func(rows *sql.Rows) error {
		h, err := scan(rows)
		list = append(list, h)
		return err
	}, MaxListed)
	if err != nil {
		return nil, fmt.Errorf("listing holds: %w", err)
	}
	return list, nil
}

// Event is a change of a hold, to be put on record.
type Event struct {
	// ID is the event's in the log: one that is there is not written again.
	ID [16]byte
	// Type is EventPlaced, EventLiftRequested or EventLifted; By is the ID of the actor.
	Type, By string
	Attrs    map[string]string

	hold string
	seq  int64
}

// note stores what is to be put on record, in the transaction in which it happens, which has
// made the hold or locked it.
func (s *Store) note(ctx context.Context, tx *sql.Tx, id, typ, by string, attrs map[string]string, now time.Time) error {
	body, err := json.Marshal(attrs)
	if err != nil {
		return err
	}
	event := draw()
	var seq int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) + 1 FROM hold_event WHERE hold = $1`, id).Scan(&seq); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO hold_event (hold, seq, event, type, at, actor, attrs, told) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`, id, seq, event[:], typ, now.UnixMilli(), by, body)
	return err
}

// tellAtOnce bounds the events that one call puts on record.
const tellAtOnce = 100

// Tell puts on record what is not yet, each hold's in the order in which it happened, and ends
// the holds whose lifting is on record then. record writes an event unless the log has one of
// its ID. A crash, or an error, between the record and the note has the event recorded again.
func (s *Store) Tell(ctx context.Context, record func(context.Context, Event) error) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("reading what happened to holds: %w", err)
	}
	defer tx.Rollback()
	var found []Event
	err = each(ctx, tx, `SELECT hold, seq, event, type, actor, attrs FROM hold_event WHERE told = 0 ORDER BY hold, seq LIMIT $1`, func(rows *sql.Rows) error {
		var e Event
		var event, attrs []byte
		if err := rows.Scan(&e.hold, &e.seq, &event, &e.Type, &e.By, &attrs); err != nil {
			return err
		}
		copy(e.ID[:], event)
		found = append(found, e)
		return json.Unmarshal(attrs, &found[len(found)-1].Attrs)
	}, tellAtOnce)
	if err != nil {
		return fmt.Errorf("reading what happened to holds: %w", err)
	}
	tx.Rollback()
	for _, e := range found {
		if err := s.tell(ctx, e, record); err != nil {
			return fmt.Errorf("recording what happened to a hold: %w", err)
		}
	}
	return nil
}

// tell tells of one event and notes that it did. On PostgreSQL it holds the event's row
// meanwhile, so that other gateways pass it by; a file has no others.
func (s *Store) tell(ctx context.Context, e Event, record func(context.Context, Event) error) error {
	if s.db.Dialect != store.Postgres {
		if err := record(ctx, e); err != nil {
			return err
		}
		s.step("recorded")
	}
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx, _ time.Time) error {
		if s.db.Dialect == store.Postgres {
			var one int
			err := tx.QueryRowContext(ctx, `SELECT 1 FROM hold_event WHERE hold = $1 AND seq = $2 AND told = 0 FOR UPDATE SKIP LOCKED`, e.hold, e.seq).Scan(&one)
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
		if _, err := tx.ExecContext(ctx, `UPDATE hold_event SET told = 1 WHERE hold = $1 AND seq = $2`, e.hold, e.seq); err != nil {
			return err
		}
		if e.Type != EventLifted {
			return nil
		}
		_, err := tx.ExecContext(ctx, `UPDATE hold SET state = 'lifted' WHERE id = $1 AND state = 'lifting'`, e.hold)
		return err
	})
	if e.Type == EventLifted {
		s.any.Removed(ctx)
	}
	return err
}

// write runs do in a transaction, which ends when s.patience does: do uses the context that it
// is given.
func (s *Store) write(ctx context.Context, do func(ctx context.Context, tx *sql.Tx, now time.Time) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(ctx, tx, now); err != nil {
		return err
	}
	s.step("before the commit")
	return tx.Commit()
}

// each calls take for each row.
func each(ctx context.Context, tx *sql.Tx, query string, take func(*sql.Rows) error, args ...any) (err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// places are the places of n arguments, from the first.
func places(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String()
}
