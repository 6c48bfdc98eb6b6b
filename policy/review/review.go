package review

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
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// MaxItems bounds a review: it is read whole, and a person has to look at each.
const MaxItems = 10_000

// States of a Review.
const (
	Open    = "open"
	Closing = "closing"
	Closed  = "closed"
)

// Decisions about an Item, and what became of a revocation.
const (
	Keep   = "keep"
	Revoke = "revoke"

	Pending = "pending" // to be carried out by the gateway
	Done    = "done"    // carried out, as its event says
	ByHand  = "by_hand" // a task for people, whether done or not
)

// What an item's revocation takes: Item.Action.
const (
	ActKey      = "apikey.revoke"   // Target is the key's ID
	ActGrant    = "apikey.narrow"   // Target is the key's ID, a space and the grant
	ActApproval = "approval.refuse" // Target is the ID of a standing approval
	ActByHand   = ByHand            // Target is empty
)

var (
	// ErrNone is returned for a review, item or source that is not there.
	ErrNone = errors.New("there is no such review")
	// ErrWish is wrapped by errors about what cannot be done as it stands; their texts can
	// be shown.
	ErrWish = errors.New("the review cannot be changed so")
	// ErrOwn is wrapped by the error about somebody who decides about a right of their own.
	ErrOwn = errors.New("nobody reviews a right of one's own")
)

// Review is one review.
type Review struct {
	ID, State string
	// Opened and OpenedBy: when, and the ID of the actor; Ticket the change ticket.
	Opened           time.Time
	OpenedBy, Ticket string
	// Since and Until are the window of the log that was looked at, Due until when the
	// review had to be closed.
	Since, Until, Due time.Time
	// Log is the origin of the log that was looked at, Others are the gateways on the same
	// database whose logs were not.
	Log    string
	Others []string
	// Closing is when it began to close, by ClosedBy, with the agreement of Agreed and under
	// CloseTicket. Closed is when everything was carried out.
	Closing, Closed       time.Time
	ClosedBy, CloseTicket string
	Agreed                []string
	// Event is the event that says it is closed, Digest the SHA-256 of the report.
	Event  [16]byte
	Digest []byte
}

// Use is what the log knows of a right's use in the window.
type Use struct {
	// Calls were allowed; People counts persons whose data stood in answers, anew in each.
	Calls  int64 `json:"calls"`
	People int64 `json:"people"`
	// Last is the latest of the calls, Receipt its event.
	Last    time.Time `json:"last,omitzero"`
	Receipt string    `json:"receipt,omitempty"`
}

// Add adds the use of another operation.
func (u *Use) Add(v Use) {
	u.Calls += v.Calls
	u.People += v.People
	if v.Last.After(u.Last) {
		u.Last, u.Receipt = v.Last, v.Receipt
	}
}

// Facts are what a reviewer sees of an item. They may name persons.
type Facts struct {
	// Holder is an actor's ID, an actor's pseudonym in the log, or an account; Source where
	// that is from: apikey, policy, log, approval, or the name of an import.
	Holder string `json:"holder"`
	Source string `json:"source"`
	// Origin is of the log that a pseudonym is of, else empty.
	Origin string `json:"origin,omitempty"`
	// Name says more of the holder: the name of a key, an e-mail address.
	Name string `json:"name,omitempty"`
	// Right is what the holder has: a role, a grant, the terms of an approval.
	Right string `json:"right"`
	// Reveals tells that the right is one to see what stands behind tokens.
	Reveals bool `json:"reveals,omitempty"`
	// Lapsed is when a right to reveal lapsed unused; zero for one that counts, and for others.
	Lapsed time.Time `json:"lapsed,omitzero"`
	// Use is nil where the log cannot know it.
	Use *Use `json:"use,omitempty"`
	// Created, Expires and LastLogin are zero where they do not apply.
	Created   time.Time `json:"created,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	LastLogin time.Time `json:"last_login,omitzero"`
	// MFA and Active are yes, no or empty.
	MFA    string   `json:"mfa,omitempty"`
	Active string   `json:"active,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Item is one right in a review.
type Item struct {
	// Number counts from 1.
	Number int
	Kind   string
	// Action and Target say how the right is taken away.
	Action, Target string
	Facts          Facts
	// Decision is empty, Keep or Revoke; Reviewer the ID of the actor who decided at
	// Decided, Reason why.
	Decision, Reviewer, Reason, Ticket string
	Decided                            time.Time
	// Outcome is empty, Pending, Done or ByHand, Finished when it was done, Event the event
	// that says so.
	Outcome  string
	Finished time.Time
	Event    [16]byte
}

// Import is a source's newest import.
type Import struct {
	Source, Format, By string
	At                 time.Time
	Count              int
	// Digest is the SHA-256 of the file, in hexadecimal digits.
	Digest string
	// Accounts are left out of lists.
	Accounts []Account
}

// Sealer keeps what names persons from whoever reads the database.
type Sealer interface {
	Seal(ctx context.Context, name string, plain []byte) ([]byte, error)
	Open(ctx context.Context, name string, stored []byte) ([]byte, error)
}

// Store are the reviews in state.db. Safe for concurrent use, also by several processes on
// one database.
type Store struct {
	db   *store.DB
	seal Sealer
	now  func() time.Time
}

// New prepares the tables. The database stays the caller's. now is the clock; nil means
// time.Now.
func New(ctx context.Context, db *store.DB, seal Sealer, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the tables of reviews: %w", err)
	}
	if err := db.Migrate(ctx, "review", sub); err != nil {
		return nil, err
	}
	s := &Store{db: db, seal: seal, now: now}
	if _, err := db.ExecContext(ctx, `INSERT INTO review_anchor (one, at) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`, now().UnixMilli()); err != nil {
		return nil, fmt.Errorf("preparing the reviews: %w", err)
	}
	return s, nil
}

// Anchor is the moment from which the quarters are counted: when this database first knew
// of reviews.
func (s *Store) Anchor(ctx context.Context) (time.Time, error) {
	var at int64
	if err := s.db.QueryRowContext(ctx, `SELECT at FROM review_anchor WHERE one = 1`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("reading the reviews: %w", err)
	}
	return store.Moment(at), nil
}

// NewReview asks for a review.
type NewReview struct {
	By, Ticket        string
	Since, Until, Due time.Time
	Log               string
	Others            []string
	Items             []Item
}

var names = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// draw makes 16 random bytes.
func draw() []byte {
	b := make([]byte, 16)
	rand.Read(b) // never fails: the runtime ends the process first
	return b
}

// Open freezes items as a new review; their numbers are given in their order. ErrWish when
// one is open already, or there is nothing to review, or too much.
func (s *Store) Open(ctx context.Context, n NewReview) (Review, error) {
	if len(n.Items) == 0 || len(n.Items) > MaxItems {
		return Review{}, fmt.Errorf("%w: it would have %d rights, and can have 1 to %d", ErrWish, len(n.Items), MaxItems)
	}
	r := Review{ID: names.EncodeToString(draw()), State: Open, Opened: s.now(), OpenedBy: n.By, Ticket: n.Ticket, Since: n.Since, Until: n.Until, Due: n.Due, Log: n.Log, Others: n.Others}
	facts := make([][]byte, len(n.Items))
	for i, it := range n.Items {
		var err error
		if facts[i], err = s.sealed(ctx, r.ID, it.Facts); err != nil {
			return Review{}, fmt.Errorf("opening a review: %w", err)
		}
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return Review{}, fmt.Errorf("opening a review: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	var others int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM review WHERE state <> 'closed'`).Scan(&others); err != nil {
		return Review{}, fmt.Errorf("opening a review: %w", err)
	}
	if others > 0 {
		return Review{}, fmt.Errorf("%w: one is open already; close it first", ErrWish)
	}
	// Of two gateways that open one at the same moment, the index of open ones refuses one.
	if _, err := tx.ExecContext(ctx, `INSERT INTO review (id, state, opened, opened_by, ticket, since, until, due, log, others, closing, closed_by, agreed, close_ticket, closed, event, digest, report, lease)
VALUES ($1, 'open', $2, $3, $4, $5, $6, $7, $8, $9, 0, '', '', '', 0, $10, $10, $10, 0)`,
		r.ID, store.Millis(r.Opened), r.OpenedBy, r.Ticket, store.Millis(r.Since), store.Millis(r.Until), store.Millis(r.Due), r.Log, strings.Join(r.Others, ","), []byte{}); err != nil {
		return Review{}, fmt.Errorf("opening a review: %w", err)
	}
	for i, it := range n.Items {
		if _, err := tx.ExecContext(ctx, `INSERT INTO review_item (review, n, kind, action, target, facts, decision, reviewer, why, ticket, decided, outcome, event, done)
VALUES ($1, $2, $3, $4, $5, $6, '', '', $7, '', 0, '', $7, 0)`, r.ID, i+1, it.Kind, it.Action, it.Target, facts[i], []byte{}); err != nil {
			return Review{}, fmt.Errorf("opening a review: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return Review{}, fmt.Errorf("opening a review: %w", err)
	}
	return r, nil
}

// sealed is v as JSON, sealed.
func (s *Store) sealed(ctx context.Context, name string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.seal.Seal(ctx, name, plain)
}

// opened reads what sealed wrote; nothing for nothing.
func (s *Store) opened(ctx context.Context, name string, stored []byte, v any) error {
	if len(stored) == 0 {
		return nil
	}
	plain, err := s.seal.Open(ctx, name, stored)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, v)
}

const columns = `id, state, opened, opened_by, ticket, since, until, due, log, others, closing, closed_by, agreed, close_ticket, closed, event, digest`

func scan(row store.Row) (r Review, err error) {
	var opened, since, until, due, closing, closed int64
	var agreed, others string
	var event []byte
	if err := row.Scan(&r.ID, &r.State, &opened, &r.OpenedBy, &r.Ticket, &since, &until, &due, &r.Log, &others, &closing, &r.ClosedBy, &agreed, &r.CloseTicket, &closed, &event, &r.Digest); err != nil {
		return r, err
	}
	r.Opened, r.Since, r.Until, r.Due, r.Closing, r.Closed = store.Moment(opened), store.Moment(since), store.Moment(until), store.Moment(due), store.Moment(closing), store.Moment(closed)
	if agreed != "" {
		r.Agreed = strings.Split(agreed, ",")
	}
	if others != "" {
		r.Others = strings.Split(others, ",")
	}
	copy(r.Event[:], event)
	return r, nil
}

// List returns the reviews, the newest first.
func (s *Store) List(ctx context.Context) ([]Review, error) {
	list, err := store.List(ctx, s.db, scan, `SELECT `+columns+` FROM review ORDER BY opened DESC, id`)
	if err != nil {
		return nil, fmt.Errorf("listing reviews: %w", err)
	}
	return list, nil
}

// Get returns a review with its items. ErrNone.
func (s *Store) Get(ctx context.Context, id string) (Review, []Item, error) {
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return Review{}, nil, fmt.Errorf("reading a review: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	r, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM review WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, nil, ErrNone
	}
	if err != nil {
		return r, nil, fmt.Errorf("reading a review: %w", err)
	}
	items, err := s.items(ctx, tx, id)
	return r, items, err
}

// items reads the items of a review.
func (s *Store) items(ctx context.Context, tx store.Queryer, id string) ([]Item, error) {
	list, err := store.List(ctx, tx, func(row store.Row) (it Item, err error) {
		var facts, why, event []byte
		var decided, done int64
		if err := row.Scan(&it.Number, &it.Kind, &it.Action, &it.Target, &facts, &it.Decision, &it.Reviewer, &why, &it.Ticket, &decided, &it.Outcome, &event, &done); err != nil {
			return it, err
		}
		if err := errors.Join(s.opened(ctx, id, facts, &it.Facts), s.opened(ctx, id, why, &it.Reason)); err != nil {
			return it, err
		}
		it.Decided, it.Finished = store.Moment(decided), store.Moment(done)
		copy(it.Event[:], event)
		return it, nil
	}, `SELECT n, kind, action, target, facts, decision, reviewer, why, ticket, decided, outcome, event, done FROM review_item WHERE review = $1 ORDER BY n`, id)
	if err != nil {
		return nil, fmt.Errorf("reading a review: %w", err)
	}
	return list, nil
}
