package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Entry is what the index knows of a record.
type Entry struct {
	Record
	// Parent is the record it hangs on, zero for none.
	Parent Record
	// FirstSeen and LastSeen are by the gateway's clock. LastSeen is exact to ten minutes.
	FirstSeen, LastSeen time.Time
	// Created is the vendor's time, zero when it never said one. Closed likewise; Open says
	// that the vendor calls it open, and Reopened how often it was after it had been closed.
	Created, Closed time.Time
	Open            bool
	Reopened        int
	// Gone is when a call that deletes it passed; zero for a record that nobody deleted this
	// way, or that was seen since.
	Gone time.Time
	// Backfilled is when an import last showed it, zero for a record that none did.
	Backfilled time.Time
	// Classes are the data classes that were ever found in it, sorted.
	Classes []string
}

// ErrNone is returned for a record that the index does not know.
var ErrNone = errors.New("the index does not know this record")

// MaxPersons is how many pseudonyms one question may name: some, and all that are linked to
// them.
const MaxPersons = MaxOne + 64

// entrySQL reads entries and their classes; the rows of one entry come together.
const entrySQL = `SELECT k.channel, k.host, k.type, r.name, r.kind, coalesce(pk.channel, ''), coalesce(pk.host, ''), coalesce(pk.type, ''), r.parent,
	r.first_seen, r.last_seen, r.created, r.closed, r.reopened, r.gone, r.backfilled, coalesce(c.class, '')
	FROM record r JOIN record_kind k ON k.id = r.kind
	LEFT JOIN record_kind pk ON pk.id = r.parent_kind AND r.parent <> ''
	LEFT JOIN record_class c ON c.kind = r.kind AND c.name = r.name `

// Of returns the records that name one of the persons, in the order of their kinds and ids,
// at most limit, from behind the record after (zero for the first). It is one page; a full
// one may have a next.
func (x *Index) Of(ctx context.Context, persons []Person, after Record, limit int) ([]Entry, error) {
	if len(persons) == 0 || limit <= 0 {
		return nil, nil
	}
	if len(persons) > MaxPersons {
		return nil, fmt.Errorf("looking for records: %d pseudonyms, and %d at most in one question", len(persons), MaxPersons)
	}
	var begin recordKey
	if !after.IsZero() {
		err := x.db.QueryRowContext(ctx, `SELECT id FROM record_kind WHERE channel = $1 AND host = $2 AND type = $3`, after.Channel, after.Host, after.Type).Scan(&begin.kind)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, ErrNone
		}
		if err != nil {
			return nil, fmt.Errorf("looking for records: %w", err)
		}
		begin.name = after.ID
	}
	args := []any{begin.kind, begin.name, limit}
	list := make([]byte, 0, 8*len(persons))
	for i, p := range persons {
		args = append(args, p[:])
		list = fmt.Appendf(list, ", $%d", i+4)
	}
	return x.entries(ctx, `JOIN (SELECT DISTINCT kind, name FROM record_person WHERE (kind, name) > ($1, $2) AND person IN (`+string(list[2:])+`) ORDER BY kind, name LIMIT $3) o
		ON o.kind = r.kind AND o.name = r.name ORDER BY r.kind, r.name, c.class`, args...)
}

// Get returns what is known of a record, or ErrNone.
func (x *Index) Get(ctx context.Context, r Record) (Entry, error) {
	all, err := x.entries(ctx, `WHERE k.channel = $1 AND k.host = $2 AND k.type = $3 AND r.name = $4 ORDER BY c.class`, r.Channel, r.Host, r.Type, r.ID)
	if err != nil {
		return Entry{}, err
	}
	if len(all) == 0 {
		return Entry{}, ErrNone
	}
	return all[0], nil
}

// On returns the records that hang on r, at most limit, from behind the record after.
func (x *Index) On(ctx context.Context, r, after Record, limit int) ([]Entry, error) {
	return x.entries(ctx, `JOIN (SELECT h.kind, h.name FROM record h JOIN record_kind hk ON hk.id = h.parent_kind
		LEFT JOIN record_kind ak ON ak.channel = $5 AND ak.host = $6 AND ak.type = $7
		WHERE hk.channel = $1 AND hk.host = $2 AND hk.type = $3 AND h.parent = $4 AND h.parent <> '' AND (h.kind, h.name) > (coalesce(ak.id, 0), $8)
		ORDER BY h.kind, h.name LIMIT $9) o ON o.kind = r.kind AND o.name = r.name ORDER BY r.kind, r.name, c.class`,
		r.Channel, r.Host, r.Type, r.ID, after.Channel, after.Host, after.Type, after.ID, limit)
}

// PersonsOf returns the pseudonyms of those whom a record names, sorted.
func (x *Index) PersonsOf(ctx context.Context, r Record) ([]Person, error) {
	return x.persons(ctx, `SELECT p.person FROM record_person p JOIN record_kind k ON k.id = p.kind
		WHERE k.channel = $1 AND k.host = $2 AND k.type = $3 AND p.name = $4 ORDER BY p.person`, r.Channel, r.Host, r.Type, r.ID)
}

func (x *Index) persons(ctx context.Context, query string, args ...any) (out []Person, err error) {
	out, err = store.List(ctx, x.db, func(row store.Row) (p Person, err error) {
		b, err := store.Scanned[[]byte](row)
		switch {
		case err != nil:
			return p, err
		case len(b) != len(p):
			return p, errLength
		}
		return Person(b), nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("looking for persons: %w", err)
	}
	return out, nil
}

func (x *Index) entries(ctx context.Context, where string, args ...any) (out []Entry, err error) {
	rows, err := x.db.QueryContext(ctx, entrySQL+where, args...)
	if err != nil {
		return nil, fmt.Errorf("looking for records: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e Entry
		var kind, first, last, created, closed, gone, backfilled int64
		var class string
		if err := rows.Scan(&e.Channel, &e.Host, &e.Type, &e.ID, &kind, &e.Parent.Channel, &e.Parent.Host, &e.Parent.Type, &e.Parent.ID, &first, &last, &created, &closed, &e.Reopened, &gone, &backfilled, &class); err != nil {
			return nil, fmt.Errorf("looking for records: %w", err)
		}
		if n := len(out); n == 0 || out[n-1].Record != e.Record {
			e.FirstSeen, e.LastSeen, e.Created, e.Gone = store.Moment(first), store.Moment(last), store.Moment(created), store.Moment(gone)
			e.Backfilled = store.Moment(backfilled)
			if e.Open = closed < 0; !e.Open {
				e.Closed = store.Moment(closed)
			}
			out = append(out, e)
		}
		if class != "" {
			e := &out[len(out)-1]
			e.Classes = append(e.Classes, class)
		}
	}
	return out, rows.Err()
}
