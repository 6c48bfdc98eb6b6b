package index

import (
	"context"
	"database/sql"
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
	kinds := make(map[int64]kindKey)
	found, err := store.List(ctx, tx, func(row store.Row) (k struct {
		id int64
		kindKey
	}, err error) {
		err = row.Scan(&k.id, &k.channel, &k.host, &k.typ)
		return k, err
	}, `SELECT id, channel, host, type FROM record_kind`)
	if err != nil {
		return fmt.Errorf("walking through the records: %w", err)
	}
	for _, k := range found {
		kinds[k.id] = k.kindKey
	}
	var after recordKey
	for {
		page, err := agedPage(ctx, tx, kinds, after)
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

// agedPage reads the records behind a key. The rows of one record come together.
func agedPage(ctx context.Context, tx *sql.Tx, kinds map[int64]kindKey, after recordKey) (page []Aged, err error) {
	page = make([]Aged, 0, WalkPage)
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
		FROM (SELECT * FROM record WHERE (kind, name) > ($1, $2) ORDER BY kind, name LIMIT $3) r
		LEFT JOIN record p ON r.parent <> '' AND p.kind = r.parent_kind AND p.name = r.parent
		LEFT JOIN record g ON p.parent <> '' AND g.kind = p.parent_kind AND g.name = p.parent
		LEFT JOIN record_class c ON c.kind = r.kind AND c.name = r.name
		ORDER BY r.kind, r.name, c.class`, after.kind, after.name, WalkPage)
	return page, err
}

// closing is a stored time of closing.
func closing(ms int64) (at time.Time, open bool) {
	if ms < 0 {
		return at, true
	}
	return store.Moment(ms), false
}
