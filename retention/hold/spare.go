package hold

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/caregate/caregate/retention/index"
)

// Sparing says which records must stay, by the holds that were in force when its transaction
// looked. A record stays when a hold names a person that is named by the record, by one that
// it hangs on or by one that hangs on it; or when a hold covers one of these by its place or
// by a query: whoever deletes a ticket deletes its comments.
//
// It is for one goroutine and ends with the transaction. It permits nothing by itself: whoever
// destroys asks in the transaction of the destruction, behind Lock.
type Sparing struct {
	tx    *sql.Tx
	holds []Hold
	// persons are held names, with all that are linked to them; unclear are holds of which
	// nobody can say whom they name. Numbers are places in holds.
	persons map[index.Person][]int
	unclear []int
	number  map[string]int
	// records and queries tell whether any hold has such a scope.
	records, queries bool
}

// SparingIn reads the holds in force in a transaction on the store's database.
func SparingIn(ctx context.Context, tx *sql.Tx) (*Sparing, error) {
	s := &Sparing{tx: tx, persons: make(map[index.Person][]int), number: make(map[string]int)}
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
	for query, has := range map[string]*bool{
		`SELECT EXISTS (SELECT 1 FROM hold_record s JOIN hold h ON h.id = s.hold WHERE h.state <> 'lifted')`: &s.records,
		`SELECT EXISTS (SELECT 1 FROM hold_query s JOIN hold h ON h.id = s.hold WHERE h.state <> 'lifted')`:  &s.queries,
	} {
		if err := s.tx.QueryRowContext(ctx, query).Scan(has); err != nil {
			return err
		}
	}
	return nil
}

// Holds are those in force, the oldest first, with id and matter only.
func (s *Sparing) Holds() []Hold { return s.holds }

// Key is a record by the number of its kind and its id.
type Key struct {
	Kind int64
	ID   string
}

// parts are the records between two keys, both included, each with itself, all that it hangs
// on and all that hangs on it. UNION ends a circle.
const parts = `WITH RECURSIVE up (k0, n0, kind, name) AS (
	SELECT kind, name, kind, name FROM record WHERE (kind, name) >= ($1, $2) AND (kind, name) <= ($3, $4)
	UNION SELECT u.k0, u.n0, r.parent_kind, r.parent FROM up u JOIN record r ON r.kind = u.kind AND r.name = u.name WHERE r.parent <> ''),
down (k0, n0, kind, name) AS (
	SELECT kind, name, kind, name FROM record WHERE (kind, name) >= ($1, $2) AND (kind, name) <= ($3, $4)
	UNION SELECT d.k0, d.n0, r.kind, r.name FROM down d JOIN record r ON r.parent_kind = d.kind AND r.parent = d.name WHERE r.parent <> ''),
part AS (SELECT k0, n0, kind, name FROM up UNION SELECT k0, n0, kind, name FROM down) `

var sparings = struct{ persons, records, queries string }{
	persons: parts + `SELECT DISTINCT p.k0, p.n0, o.person FROM part p JOIN record_person o ON o.kind = p.kind AND o.name = p.name`,
	records: parts + `SELECT DISTINCT p.k0, p.n0, h.id FROM part p JOIN record_kind k ON k.id = p.kind
		JOIN hold_record s ON s.channel = k.channel AND s.host = k.host AND s.type = k.type AND s.name = p.name
		JOIN hold h ON h.id = s.hold WHERE h.state <> 'lifted'`,
	queries: parts + `SELECT DISTINCT p.k0, p.n0, h.id FROM part p JOIN record_kind k ON k.id = p.kind
		JOIN hold_query q ON q.channel = k.channel AND (q.host = '' OR q.host = k.host) AND (q.type = '' OR q.type = k.type)
		JOIN hold h ON h.id = q.hold LEFT JOIN record r ON r.kind = p.kind AND r.name = p.name
		WHERE h.state <> 'lifted' AND (q.until = 0 OR coalesce(r.created, 0) = 0 OR r.created < q.until) AND (q.since = 0 OR r.last_seen IS NULL OR r.last_seen + ` +
		strconv.FormatInt(seenWithin.Milliseconds(), 10) + ` >= q.since)`,
}

// Of returns which of the records between two keys, both included, must stay: by each its
// holds, as places in Holds, sorted.
func (s *Sparing) Of(ctx context.Context, first, last Key) (map[Key][]int, error) {
	out := make(map[Key][]int)
	note := func(k Key, holds ...int) {
		for _, n := range holds {
			if at, found := slices.BinarySearch(out[k], n); !found {
				out[k] = slices.Insert(out[k], at, n)
			}
		}
	}
	byID := func(rows *sql.Rows) error {
		var k Key
		var id string
		err := rows.Scan(&k.Kind, &k.ID, &id)
		note(k, s.number[id])
		return err
	}
	for _, q := range []struct {
		wanted bool
		query  string
		take   func(*sql.Rows) error
	}{
		{len(s.persons)+len(s.unclear) > 0, sparings.persons, func(rows *sql.Rows) error {
			var k Key
			var b []byte
			var p index.Person
			if err := rows.Scan(&k.Kind, &k.ID, &b); err != nil {
				return err
			}
			copy(p[:], b)
			note(k, s.persons[p]...)
			note(k, s.unclear...)
			return nil
		}},
		{s.records, sparings.records, byID},
		{s.queries, sparings.queries, byID},
	} {
		if !q.wanted {
			continue
		}
		if err := each(ctx, s.tx, q.query, q.take, first.Kind, first.ID, last.Kind, last.ID); err != nil {
			return nil, fmt.Errorf("looking for records that are held: %w", err)
		}
	}
	return out, nil
}
