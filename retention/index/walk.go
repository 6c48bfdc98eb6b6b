package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Aged is a record as whoever looks at ages sees it.
type Aged struct {
	Record
	// Kind is the number of the record's channel, host and type in this database.
	Kind int64
	// Created to Gone are as in Entry, and so are Classes.
	Created, Closed time.Time
	Open            bool
	Reopened        int
	LastSeen, Gone  time.Time
	Classes         []string
	// OnClosed and OnOpen are Closed and Open of the nearest record above that says either,
	// of the record that this one hangs on and the one that hangs on.
	OnClosed time.Time
	OnOpen   bool
}

// WalkPage is how many records a page of WalkIn has at most.
const WalkPage = 1000

// WalkIn calls take with all records in the order of their kinds and ids, in pages of at most
// WalkPage that are not kept. Between two pages the transaction is free for take's own
// questions. An error of take ends the walk and is returned.
func WalkIn(ctx context.Context, tx *sql.Tx, take func(page []Aged) error) error {
	kinds, err := kindsIn(ctx, tx)
	if err != nil {
		return fmt.Errorf("walking through the records: %w", err)
	}
	var after recordKey
	for {
		page, err := aged(ctx, tx, kinds, behind, after, WalkPage)
		if err != nil {
			return fmt.Errorf("walking through the records: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if err := take(page); err != nil {
			return err
		}
		if len(page) < WalkPage {
			return nil
		}
		last := &page[len(page)-1]
		after = recordKey{last.Kind, last.ID}
	}
}

// AroundIn returns a record as WalkIn does, all that it hangs on and all that hangs on it, in no
// order of their own; known is false where the index does not have it. ErrTooMany where more
// than most hang on it.
func AroundIn(ctx context.Context, tx *sql.Tx, kind int64, id string, most int) (rec Aged, above, below []Aged, known bool, err error) {
	kinds, err := kindsIn(ctx, tx)
	if err != nil {
		return rec, nil, nil, false, fmt.Errorf("looking around a record: %w", err)
	}
	of := func(which string) (all []Aged) {
		if err == nil {
			all, err = aged(ctx, tx, kinds, which, recordKey{kind, id}, most+1)
		}
		return all
	}
	one := of(`(kind, name) = ($1, $2)`)
	above, below = of(recordsAbove), of(recordsBelow)
	switch {
	case err != nil:
		return rec, nil, nil, false, fmt.Errorf("looking around a record: %w", err)
	case len(one) == 0:
		return rec, nil, nil, false, nil
	case len(above) > most || len(below) > most:
		return rec, nil, nil, false, fmt.Errorf("looking around a record: %w", ErrTooMany)
	}
	return one[0], above, below, true, nil
}

// AboveIn returns the key of the nearest record of a type that a record hangs on, where the
// index knows that way; ok is false where it does not.
func AboveIn(ctx context.Context, tx *sql.Tx, kind int64, id, typ string) (aboveKind int64, above string, ok bool, err error) {
	for range maxAbove {
		var parentType string
		err = tx.QueryRowContext(ctx, `SELECT r.parent_kind, r.parent, k.type FROM record r JOIN record_kind k ON k.id = r.parent_kind WHERE r.kind = $1 AND r.name = $2 AND r.parent <> ''`, kind, id).Scan(&kind, &id, &parentType)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return 0, "", false, nil
		case err != nil:
			return 0, "", false, fmt.Errorf("looking above a record: %w", err)
		case parentType == typ:
			return kind, id, true, nil
		}
	}
	return 0, "", false, nil
}

// maxAbove bounds a way up: a vendor's records may hang in a circle.
const maxAbove = 16

// Which records aged reads, around a key. UNION ends a circle, which may lead back to the record
// itself.
const (
	behind       = `(kind, name) > ($1, $2)`
	recordsAbove = `(kind, name) <> ($1, $2) AND (kind, name) IN (WITH RECURSIVE up (kind, name) AS (
		SELECT kind, name FROM record WHERE kind = $1 AND name = $2
		UNION SELECT r.parent_kind, r.parent FROM up u JOIN record r ON r.kind = u.kind AND r.name = u.name WHERE r.parent <> '') SELECT kind, name FROM up)`
	recordsBelow = `(kind, name) <> ($1, $2) AND (kind, name) IN (WITH RECURSIVE down (kind, name) AS (
		SELECT kind, name FROM record WHERE kind = $1 AND name = $2
		UNION SELECT r.kind, r.name FROM down d JOIN record r ON r.parent_kind = d.kind AND r.parent = d.name WHERE r.parent <> '') SELECT kind, name FROM down)`
)

// kindsIn are the kinds of records by their numbers.
func kindsIn(ctx context.Context, tx *sql.Tx) (map[int64]kindKey, error) {
	kinds := make(map[int64]kindKey)
	_, err := store.List(ctx, tx, func(row store.Row) (k kindKey, err error) {
		var id int64
		err = row.Scan(&id, &k.channel, &k.host, &k.typ)
		kinds[id] = k
		return k, err
	}, `SELECT id, channel, host, type FROM record_kind`)
	return kinds, err
}

// aged reads up to most records around a key. The rows of one record come together.
func aged(ctx context.Context, tx *sql.Tx, kinds map[int64]kindKey, which string, key recordKey, most int) (page []Aged, err error) {
	page = make([]Aged, 0, min(most, WalkPage))
	_, err = store.List(ctx, tx, func(row store.Row) (struct{}, error) {
		var kind, created, closed, last, gone, on, above int64
		var reopened int
		var name, class string
		if err := row.Scan(&kind, &name, &created, &closed, &reopened, &last, &gone, &on, &above, &class); err != nil {
			return struct{}{}, err
		}
		if n := len(page); n == 0 || page[n-1].Kind != kind || page[n-1].ID != name {
			k := kinds[kind]
			a := Aged{Record: Record{k.channel, k.host, k.typ, name}, Kind: kind, Created: store.Moment(created), Reopened: reopened, LastSeen: store.Moment(last), Gone: store.Moment(gone)}
			a.Closed, a.Open = closing(closed)
			if on == 0 {
				on = above
			}
			a.OnClosed, a.OnOpen = closing(on)
			page = append(page, a)
		}
		if class != "" {
			a := &page[len(page)-1]
			a.Classes = append(a.Classes, class)
		}
		return struct{}{}, nil
	}, `SELECT r.kind, r.name, r.created, r.closed, r.reopened, r.last_seen, r.gone, coalesce(p.closed, 0), coalesce(g.closed, 0), coalesce(c.class, '')
		FROM (SELECT * FROM record WHERE `+which+` ORDER BY kind, name LIMIT $3) r
		LEFT JOIN record p ON r.parent <> '' AND p.kind = r.parent_kind AND p.name = r.parent
		LEFT JOIN record g ON p.parent <> '' AND g.kind = p.parent_kind AND g.name = p.parent
		LEFT JOIN record_class c ON c.kind = r.kind AND c.name = r.name
		ORDER BY r.kind, r.name, c.class`, key.kind, key.name, most)
	return page, err
}

// closing is a stored time of closing.
func closing(ms int64) (at time.Time, open bool) {
	if ms < 0 {
		return at, true
	}
	return store.Moment(ms), false
}
