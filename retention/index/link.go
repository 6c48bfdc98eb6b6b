package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// States of a link.
const (
	linkSeen   = "seen"   // by a profile of a vendor
	linkMerged = "merged" // by a person
	linkCut    = "cut"
)

// Link says that two pseudonyms are one person.
type Link struct {
	A, B Person
	// Merged is false for what a vendor's profile said.
	Merged bool
	Since  time.Time
}

// MaxOne is how many pseudonyms one person has at most: of more, something else is linked
// than persons.
const MaxOne = 1000

// ErrTooMany is returned for a person of more than MaxOne pseudonyms.
var ErrTooMany = errors.New("more pseudonyms are linked than one person has: a system gives the same address or number to many, and its links have to be cut")

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Same returns all pseudonyms of the person who has one of these, sorted, and the links that
// say so. ErrTooMany.
func (x *Index) Same(ctx context.Context, persons []Person) ([]Person, []Link, error) {
	return same(ctx, x.db, persons)
}

// SameIn is Same in a transaction on the index's database, for who decides by it.
func SameIn(ctx context.Context, tx *sql.Tx, persons []Person) ([]Person, error) {
	all, _, err := same(ctx, tx, persons)
	return all, err
}

func same(ctx context.Context, db queryer, persons []Person) ([]Person, []Link, error) {
	known := make(map[Person]bool, len(persons))
	for _, p := range persons {
		known[p] = true
	}
	next := slices.Clone(persons)
	var seen []Link
	for len(next) > 0 {
		p := next[0]
		next = next[1:]
		found, err := links(ctx, db, p)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range found {
			other := l.A
			if other == p {
				other = l.B
			}
			if !known[other] {
				known[other] = true
				next = append(next, other)
			}
			if p == l.A { // the other end comes to it as well
				seen = append(seen, l)
			}
		}
		if len(known) > MaxOne {
			return nil, nil, ErrTooMany
		}
	}
	all := make([]Person, 0, len(known))
	for p := range known {
		all = append(all, p)
	}
	return sortedPersons(all), seen, nil
}

// links returns the links of one pseudonym that are not cut.
func links(ctx context.Context, db queryer, p Person) (out []Link, err error) {
	out, err = store.List(ctx, db, func(row store.Row) (l Link, err error) {
		var a, b []byte
		var state string
		var since int64
		switch err := row.Scan(&a, &b, &state, &since); {
		case err != nil:
			return l, err
		case len(a) != len(p) || len(b) != len(p):
			return l, errLength
		}
		return Link{A: Person(a), B: Person(b), Merged: state == linkMerged, Since: store.Moment(since)}, nil
	}, `SELECT a, b, state, since FROM person_link WHERE (a = $1 OR b = $1) AND state <> 'cut' ORDER BY a, b LIMIT $2`, p[:], MaxOne+1)
	if err != nil {
		return nil, fmt.Errorf("looking for links of a person: %w", err)
	}
	return out, nil
}

// errLength is a row that somebody else wrote.
var errLength = errors.New("the index holds a pseudonym of a wrong length")

// Merge links two pseudonyms in the caller's transaction, also when their link was cut: a
// person says so now.
func (x *Index) Merge(ctx context.Context, tx *sql.Tx, a, b Person, at time.Time) error {
	return x.set(ctx, tx, a, b, linkMerged, at)
}

// Split ends the link between two pseudonyms in the caller's transaction, for good: no
// profile brings it back. They stay one person if other links say so.
func (x *Index) Split(ctx context.Context, tx *sql.Tx, a, b Person, at time.Time) error {
	return x.set(ctx, tx, a, b, linkCut, at)
}

func (x *Index) set(ctx context.Context, tx *sql.Tx, a, b Person, state string, at time.Time) error {
	if a == b {
		return errors.New("a person is linked to another one, not to itself")
	}
	a, b = ordered(a, b)
	if _, err := tx.ExecContext(ctx, `INSERT INTO person_link (a, b, state, since) VALUES ($1, $2, $3, $4)
		ON CONFLICT (a, b) DO UPDATE SET state = excluded.state, since = excluded.since`, a[:], b[:], state, at.UnixMilli()); err != nil {
		return fmt.Errorf("writing a link of a person: %w", err)
	}
	return nil
}
