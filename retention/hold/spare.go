package hold

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/caregate/caregate/retention/index"
)

// Sparing says which records must stay, by the holds that were in force when its transaction
// looked. A record stays when a hold names a person that is named by the record, by one that
// it hangs on or by one that hangs on it; or when a hold covers one of these by its place or
// by a query: whoever deletes a ticket deletes its comments.
//
// It is for one goroutine and ends with the transaction. It permits nothing: it does not lock
// the gate, so a hold that is placed a moment later is not seen.
type Sparing struct {
	tx    *sql.Tx
	holds []Hold
	// persons are held names, with all that are linked to them; unclear are holds of which
	// nobody can say whom they name. Numbers are places in holds.
	persons map[index.Person][]int
	unclear []int
	number  map[string]int
	// queries are those of holds, by the kind of record they cover.
	queries map[int64][]spareQuery
	// there says that the records are there now, whenever they were seen last.
	there bool
}

// SparingIn reads the holds in force in a transaction on the store's database.
func SparingIn(ctx context.Context, tx *sql.Tx) (*Sparing, error) {
	s := &Sparing{tx: tx, persons: make(map[index.Person][]int), number: make(map[string]int), queries: make(map[int64][]spareQuery)}
	if err := s.read(ctx); err != nil {
		return nil, fmt.Errorf("reading the holds in force: %w", err)
	}
	return s, nil
}

func (s *Sparing) read(ctx context.Context) error {
	err := each(ctx, s.tx, `SELECT id, matter FROM hold WHERE state <> 'lifted' ORDER BY placed, id`, func(rows *sql.Rows) error {
		var h Hold
		err := rows.Scan(&h.ID, &h.Matter)
		s.number[h.ID] = len(s.holds)
		s.holds = append(s.holds, h)
		return err
	})
	if err != nil || len(s.holds) == 0 {
		return err
	}
	named := make([][]index.Person, len(s.holds))
	err = each(ctx, s.tx, `SELECT p.hold, p.person FROM hold_person p JOIN hold h ON h.id = p.hold WHERE h.state <> 'lifted'`, func(rows *sql.Rows) error {
		var id string
		var b []byte
		var p index.Person
		if err := rows.Scan(&id, &b); err != nil {
			return err
		}
		if copy(p[:], b) != len(b) || len(b) != len(p) {
			return errors.New("a hold names a pseudonym of a wrong length")
		}
		named[s.number[id]] = append(named[s.number[id]], p)
		return nil
	})
	if err != nil {
		return err
	}
	for n, persons := range named {
		for _, p := range persons { // one by one: several of a hold are no person together
			all, err := index.SameIn(ctx, s.tx, []index.Person{p})
			if errors.Is(err, index.ErrTooMany) {
				if !slices.Contains(s.unclear, n) {
					s.unclear = append(s.unclear, n)
				}
				continue
			}
			if err != nil {
				return err
			}
			for _, q := range all {
				if !slices.Contains(s.persons[q], n) {
					s.persons[q] = append(s.persons[q], n)
				}
			}
		}
	}
	return each(ctx, s.tx, `SELECT k.id, q.hold, q.since, q.until FROM hold_query q JOIN hold h ON h.id = q.hold
		JOIN record_kind k ON k.channel = q.channel AND (q.host = '' OR q.host = k.host) AND (q.type = '' OR q.type = k.type) WHERE h.state <> 'lifted'`, func(rows *sql.Rows) error {
		var kind int64
		var id string
		var q spareQuery
		err := rows.Scan(&kind, &id, &q.since, &q.until)
		q.hold = s.number[id]
		s.queries[kind] = append(s.queries[kind], q)
		return err
	})
}

// Holds are those in force, the oldest first, with id and matter only.
func (s *Sparing) Holds() []Hold { return s.holds }

// Key is a record by the number of its kind and its id.
type Key struct {
	Kind int64
	ID   string
}

// spareSQL are the records between two keys, both included, each with itself, all that it hangs
// on and all that hangs on it, and of each of these what holds can cover it by. UNION ends a
// circle.
const spareSQL = `WITH RECURSIVE up (k0, n0, kind, name) AS (
	SELECT kind, name, kind, name FROM record WHERE (kind, name) >= ($1, $2) AND (kind, name) <= ($3, $4)
	UNION SELECT u.k0, u.n0, r.parent_kind, r.parent FROM up u JOIN record r ON r.kind = u.kind AND r.name = u.name WHERE r.parent <> ''),
down (k0, n0, kind, name) AS (
	SELECT kind, name, kind, name FROM record WHERE (kind, name) >= ($1, $2) AND (kind, name) <= ($3, $4)
	UNION SELECT d.k0, d.n0, r.kind, r.name FROM down d JOIN record r ON r.parent_kind = d.kind AND r.parent = d.name WHERE r.parent <> '')
SELECT p.k0, p.n0, p.kind, coalesce(r.created, 0), coalesce(r.last_seen, -1), o.person, coalesce(s.hold, '')
	FROM (SELECT k0, n0, kind, name FROM up UNION SELECT k0, n0, kind, name FROM down) p
	JOIN record_kind k ON k.id = p.kind
	LEFT JOIN record r ON r.kind = p.kind AND r.name = p.name
	LEFT JOIN record_person o ON o.kind = p.kind AND o.name = p.name
	LEFT JOIN hold_record s ON s.channel = k.channel AND s.host = k.host AND s.type = k.type AND s.name = p.name`

// Of returns which of the records between two keys, both included, must stay: by each its
// holds, as places in Holds, sorted.
func (s *Sparing) Of(ctx context.Context, first, last Key) (map[Key][]int, error) {
	out := make(map[Key][]int)
	if len(s.holds) == 0 {
		return out, nil
	}
	note := func(k Key, n int) {
		if at, found := slices.BinarySearch(out[k], n); !found {
			out[k] = slices.Insert(out[k], at, n)
		}
	}
	err := each(ctx, s.tx, spareSQL, func(rows *sql.Rows) error {
		var k Key
		var kind, created, seen int64
		var person []byte
		var byRecord string
		if err := rows.Scan(&k.Kind, &k.ID, &kind, &created, &seen, &person, &byRecord); err != nil {
			return err
		}
		if s.there {
			seen = -1
		}
		if n, ok := s.number[byRecord]; ok {
			note(k, n)
		}
		for i := range s.queries[kind] {
			if q := &s.queries[kind][i]; q.covers(created, seen) {
				note(k, q.hold)
			}
		}
		if person == nil {
			return nil
		}
		var p index.Person
		copy(p[:], person)
		for _, n := range s.persons[p] {
			note(k, n)
		}
		for _, n := range s.unclear {
			note(k, n)
		}
		return nil
	}, first.Kind, first.ID, last.Kind, last.ID)
	if err != nil {
		return nil, fmt.Errorf("looking for records that are held: %w", err)
	}
	return out, nil
}

// spareQuery is a query of a hold, for records of one kind.
type spareQuery struct {
	hold         int
	since, until int64
}

// covers tells whether a record was there in the time of the query, as the gate sees it; seen
// is negative for a record that was only named by others.
func (q *spareQuery) covers(created, seen int64) bool {
	return (q.until == 0 || created == 0 || created < q.until) && (q.since == 0 || seen < 0 || seen+seenWithin.Milliseconds() >= q.since)
}
