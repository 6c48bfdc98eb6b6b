package hold

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
	"github.com/caregate/caregate/retention/index"
)

// Any tells whether a hold is in force, as store.Any does: a hold that another process placed
// is known within a second, and while the database does not answer one may be in force.
func (s *Store) Any(ctx context.Context) bool { return s.any.Some(ctx) }

// manyAtOnce is how many persons or records one statement of Covers has.
const manyAtOnce = 128

// Covers tells whether a hold is in force for what a call destroys: for one of the persons; for
// one of the records, with all that hangs on it and all that it hangs on; or for somebody whom
// one of these names, where a person is covered as Check says. A record that the index does
// not know is covered by a hold that names it and by every query about its place. It permits
// nothing: a hold that comes later comes too late for the call.
func (s *Store) Covers(ctx context.Context, persons []index.Person, records []index.Record) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	if held, err = s.covers(ctx, persons, records); err != nil {
		return false, fmt.Errorf("looking for holds: %w", err)
	}
	return held, nil
}

func (s *Store) covers(ctx context.Context, persons []index.Person, records []index.Record) (bool, error) {
	if len(persons)+len(records) == 0 {
		return false, nil
	}
	now, err := s.now(ctx)
	if err != nil {
		return false, err
	}
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	var some bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM hold WHERE state <> 'lifted')`).Scan(&some); err != nil || !some {
		return false, err
	}
	all := slices.Clone(persons)
	places := make(map[index.Record][]string)
	for _, r := range records {
		place := index.Record{Channel: r.Channel, Host: r.Host, Type: r.Type}
		places[place] = append(places[place], r.ID)
	}
	for place, ids := range places {
		for part := range slices.Chunk(ids, manyAtOnce) {
			held, named, err := coveringRecords(ctx, tx, place, part, now)
			if held || err != nil {
				return held, err
			}
			all = append(all, named...)
		}
	}
	slices.SortFunc(all, func(a, b index.Person) int { return slices.Compare(a[:], b[:]) })
	for part := range slices.Chunk(slices.Compact(all), manyAtOnce) {
		one, err := withLinked(ctx, tx, part)
		if err != nil {
			return false, err
		}
		for part := range slices.Chunk(one, manyAtOnce) {
			found, err := covering(ctx, tx, part, "")
			if len(found) > 0 || err != nil {
				return len(found) > 0, err
			}
		}
	}
	return false, nil
}

// withLinked returns pseudonyms with all that are linked to them, however many these are.
func withLinked(ctx context.Context, tx *sql.Tx, persons []index.Person) ([]index.Person, error) {
	args := make([]any, len(persons))
	for i, p := range persons {
		args[i] = p[:]
	}
	list := places(len(persons))
	more, err := store.List(ctx, tx, scanPerson, `WITH RECURSIVE same (person) AS (SELECT a FROM person_link WHERE a IN (`+list+`) UNION SELECT b FROM person_link WHERE b IN (`+list+`)
		UNION SELECT CASE WHEN l.a = s.person THEN l.b ELSE l.a END FROM same s JOIN person_link l ON (l.a = s.person OR l.b = s.person) AND l.state <> 'cut')
		SELECT person FROM same`, args...)
	return append(more, persons...), err
}

func scanPerson(row store.Row) (p index.Person, err error) {
	var raw []byte
	if err = row.Scan(&raw); err != nil {
		return p, err
	}
	if len(raw) != len(p) {
		return p, fmt.Errorf("a pseudonym of %d bytes", len(raw))
	}
	copy(p[:], raw)
	return p, nil
}

// below are records of one place ($1 to $3) with all that hangs on them. UNION ends a circle.
const below = `WITH RECURSIVE below (kind, name) AS (
	SELECT k.id, v.name FROM record_kind k JOIN record v ON v.kind = k.id
		WHERE k.channel = $1 AND k.host = $2 AND k.type = $3 AND v.name IN (NAMES)
	UNION SELECT k.id, v.name FROM record_kind k JOIN record_person v ON v.kind = k.id
		WHERE k.channel = $1 AND k.host = $2 AND k.type = $3 AND v.name IN (NAMES)
	UNION SELECT r.kind, r.name FROM below b JOIN record r ON r.parent_kind = b.kind AND r.parent = b.name WHERE r.parent <> '') `

// around are these with all that they hang on.
const around = below + `, around (kind, name) AS (
	SELECT kind, name FROM below
	UNION SELECT r.parent_kind, r.parent FROM around a JOIN record r ON r.kind = a.kind AND r.name = a.name WHERE r.parent <> '') `

// coveringRecords tells whether a hold in force covers one of the records of a place, which are
// to be destroyed now, what hangs on it or what it hangs on, and returns whom the first two
// name. That such a record was there since a query's beginning needs no sighting: it is there.
func coveringRecords(ctx context.Context, tx *sql.Tx, place index.Record, ids []string, now time.Time) (held bool, named []index.Person, err error) {
	args := []any{place.Channel, place.Host, place.Type}
	var names strings.Builder
	for i, id := range ids {
		if i > 0 {
			names.WriteString(", ")
		}
		args = append(args, id)
		names.WriteString("$" + strconv.Itoa(len(args)))
	}
	ask := func(query string, args ...any) error {
		return tx.QueryRowContext(ctx, `SELECT EXISTS (`+strings.ReplaceAll(query, "NAMES", names.String())+`)`, args...).Scan(&held)
	}
	at := "$" + strconv.Itoa(len(args)+1)
	timed := append(slices.Clip(args), now.UnixMilli())
	const inForce = ` JOIN hold h ON h.id = s.hold AND h.state <> 'lifted' `
	for _, q := range [...]struct {
		query string
		args  []any
	}{
		{`SELECT 1 FROM hold_record s` + inForce + `WHERE s.channel = $1 AND s.host = $2 AND s.type = $3 AND s.name IN (NAMES)`, args},
		{around + `SELECT 1 FROM around a JOIN record_kind k ON k.id = a.kind JOIN hold_record s ON s.channel = k.channel AND s.host = k.host AND s.type = k.type AND s.name = a.name` + inForce, args},
		{around + `SELECT 1 FROM around a JOIN record_kind k ON k.id = a.kind
			JOIN hold_query s ON s.channel = k.channel AND (s.host = '' OR s.host = k.host) AND (s.type = '' OR s.type = k.type)` + inForce + `
			LEFT JOIN record r ON r.kind = a.kind AND r.name = a.name
			WHERE s.since <= ` + at + ` AND (s.until = 0 OR coalesce(r.created, 0) = 0 OR r.created < s.until)`, timed},
	} {
		if err := ask(q.query, q.args...); held || err != nil {
			return held, nil, err
		}
	}
	known, err := store.List(ctx, tx, store.Scanned[string], strings.ReplaceAll(`SELECT r.name FROM record r JOIN record_kind k ON k.id = r.kind WHERE k.channel = $1 AND k.host = $2 AND k.type = $3 AND r.name IN (NAMES)`, "NAMES", names.String()), args...)
	if err != nil {
		return false, nil, err
	}
	if slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(known, id) }) {
		if err := ask(`SELECT 1 FROM hold_query s`+inForce+`WHERE s.channel = $1 AND (s.host = '' OR s.host = $2) AND (s.type = '' OR s.type = $3) AND s.since <= $4`, place.Channel, place.Host, place.Type, now.UnixMilli()); held || err != nil {
			return held, nil, err
		}
	}
	named, err = store.List(ctx, tx, scanPerson, strings.ReplaceAll(below+`SELECT DISTINCT p.person FROM below b JOIN record_person p ON p.kind = b.kind AND p.name = b.name`, "NAMES", names.String()), args...)
	return false, named, err
}
