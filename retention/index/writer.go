package index

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// writer writes sightings. note is called by one goroutine.
type writer struct {
	records, persons, classes, links store.Bulk
	kinds                            map[kindKey]int64

	mu sync.Mutex
	// known are records whose last sighting said the same a short time ago: [0] is filled,
	// and takes the place of [1] when it is full.
	known [2]map[recordKey]told
}

// told is what was last written of a record.
type told struct {
	digest [16]byte
	at     time.Time
}

// What is remembered of what was written: so many records, twice, and for so long. Another
// process may have written since that a record is closed or open.
const (
	maxKnown  = 1 << 15
	knownTime = 10 * time.Minute
)

// older tells a page of an import that was asked for before the record was last seen: what
// passed since then counts.
const older = `(excluded.backfilled > 0 AND record.last_seen > excluded.last_seen)`

func (w *writer) prepare(ctx context.Context, db *store.DB) (err error) {
	w.kinds = make(map[kindKey]int64)
	w.forget()
	for _, s := range []struct {
		of         *store.Bulk
		head, tail string
		columns    int
	}{
		{&w.records, `INSERT INTO record (kind, name, parent_kind, parent, first_seen, last_seen, created, closed, reopened, gone, backfilled) VALUES `, ` ON CONFLICT (kind, name) DO UPDATE SET
			parent_kind = CASE WHEN excluded.parent <> '' THEN excluded.parent_kind ELSE record.parent_kind END,
			parent = CASE WHEN excluded.parent <> '' THEN excluded.parent ELSE record.parent END,
			first_seen = CASE WHEN excluded.first_seen < record.first_seen THEN excluded.first_seen ELSE record.first_seen END,
			last_seen = CASE WHEN excluded.last_seen > record.last_seen THEN excluded.last_seen ELSE record.last_seen END,
			created = CASE WHEN record.created = 0 THEN excluded.created ELSE record.created END,
			reopened = CASE WHEN excluded.closed = -1 AND record.closed > 0 AND NOT ` + older + ` THEN record.reopened + 1 ELSE record.reopened END,
			closed = CASE WHEN excluded.closed = 0 OR record.closed > excluded.closed AND excluded.closed > 0 OR record.closed <> 0 AND ` + older + ` THEN record.closed ELSE excluded.closed END,
			gone = CASE WHEN excluded.backfilled > 0 AND record.gone >= excluded.last_seen THEN record.gone ELSE excluded.gone END,
			backfilled = CASE WHEN excluded.backfilled > record.backfilled THEN excluded.backfilled ELSE record.backfilled END`, 11},
		{&w.persons, `INSERT INTO record_person (person, kind, name) VALUES `, ` ON CONFLICT (person, kind, name) DO NOTHING`, 3},
		{&w.classes, `INSERT INTO record_class (kind, name, class, seen) VALUES `, ` ON CONFLICT (kind, name, class) DO NOTHING`, 4},
		{&w.links, `INSERT INTO person_link (a, b, state, since) VALUES `, ` ON CONFLICT (a, b) DO NOTHING`, 4},
	} {
		if *s.of, err = store.PrepareBulk(ctx, db, s.head, s.columns, s.tail); err != nil {
			return fmt.Errorf("opening the index of records: %w", err)
		}
	}
	return nil
}

// forget has every record written again when it is seen next.
func (w *writer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = [2]map[recordKey]told{{}, {}}
}

// row is what the sightings of one record in one transaction come to.
type row struct {
	key, parent    recordKey
	first, last    int64
	created        int64
	closed, reopen int64
	gone           int64
	backfilled     int64
	persons        []Person
	classes        []string
	profiles       [][]Person
	digest         [16]byte
}

// tries is how often a transaction is begun that another process is in the way of.
const tries = 8

// note writes sightings, and what also writes, if it is there, in the same transaction.
func (w *writer) note(ctx context.Context, db *store.DB, all []Sighting, also Also) error {
	for try := 1; ; try++ {
		err := w.noteOnce(ctx, db, all, also)
		if err == nil {
			return nil
		}
		if try == tries || !store.IsDeadlock(err) && !errors.Is(err, errKinds) {
			return fmt.Errorf("writing to the index of records: %w", err)
		}
	}
}

// errKinds: another process has numbered a kind meanwhile.
var errKinds = errors.New("numbering the kinds of records")

func (w *writer) noteOnce(ctx context.Context, db *store.DB, all []Sighting, also Also) error {
	var wanted []kindKey
	for i := range all {
		for _, r := range [...]Record{all[i].Record, all[i].Parent} {
			if k := r.kind(); !r.IsZero() && w.kinds[k] == 0 && !slices.Contains(wanted, k) {
				wanted = append(wanted, k)
			}
		}
	}
	if len(wanted) > 0 {
		if err := w.number(ctx, db, wanted); err != nil {
			return err
		}
	}
	rows := w.rows(all)
	if len(rows) == 0 && also == nil {
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := w.insert(ctx, tx, rows); err != nil {
		return err
	}
	if also != nil {
		if err := also(ctx, tx); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	w.remember(rows)
	return nil
}

// number numbers kinds, in a transaction of its own.
func (w *writer) number(ctx context.Context, db *store.DB, wanted []kindKey) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	fresh, err := numbers(ctx, tx, w.kinds, wanted)
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return errors.Join(errKinds, err)
	}
	for k, id := range fresh {
		w.kinds[k] = id
	}
	return nil
}

// rows joins the sightings of each record, in the order in which they came, and leaves out
// what was written a short time ago. They are sorted, so that two processes that write the
// same ones do not wait for each other in a circle.
func (w *writer) rows(all []Sighting) []*row {
	byKey := make(map[recordKey]*row, len(all))
	for i := range all {
		s := &all[i]
		key := recordKey{w.kinds[s.Record.kind()], s.Record.ID}
		at := s.At.UnixMilli()
		r := byKey[key]
		if r == nil {
			r = &row{key: key, first: at}
			byKey[key] = r
		}
		if !s.Parent.IsZero() {
			r.parent = recordKey{w.kinds[s.Parent.kind()], s.Parent.ID}
		}
		r.first, r.last = min(r.first, at), max(r.last, at)
		if r.created == 0 {
			r.created = believed(s.Created, s.At)
		}
		if s.Closed.Known {
			closed := believed(s.Closed.At, s.At)
			switch {
			case s.Closed.At.IsZero():
				if r.closed > 0 {
					r.reopen++
				}
				r.closed = -1
			case closed > r.closed:
				r.closed = closed
			}
		}
		r.gone = 0
		if s.Gone {
			r.gone = at
		}
		if s.Backfilled {
			r.backfilled = at
		}
		r.persons = append(r.persons, s.Persons...)
		r.classes = append(r.classes, s.Classes...)
		if len(s.Profile) > 1 {
			r.profiles = append(r.profiles, s.Profile)
		}
	}
	rows := make([]*row, 0, len(byKey))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range byKey {
		r.persons = sortedPersons(r.persons)
		slices.Sort(r.classes)
		r.classes = slices.Compact(r.classes)
		r.digest = r.sum()
		last, ok := w.known[0][r.key]
		if !ok {
			last = w.known[1][r.key]
		}
		if age := time.UnixMilli(r.last).Sub(last.at); last.digest != r.digest || r.gone != 0 || r.backfilled != 0 || age < 0 || age > knownTime {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return a.key.compare(b.key) })
	return rows
}

// earliest is the oldest time that is believed: no vendor's records are older.
var earliest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

// believed is a vendor's time in milliseconds, 0 for one that cannot be.
func believed(t, seen time.Time) int64 {
	if t.Before(earliest) || t.After(seen.Add(24*time.Hour)) {
		return 0
	}
	return t.UnixMilli()
}

// sum is over what the row says, but for the times at which it was seen.
func (r *row) sum() (d [16]byte) {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.created))
	b = binary.BigEndian.AppendUint64(b, uint64(r.closed))
	b = binary.BigEndian.AppendUint64(b, uint64(r.reopen))
	b = binary.BigEndian.AppendUint64(b, uint64(r.parent.kind))
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.parent.name)))
	b = append(b, r.parent.name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.persons)))
	for _, p := range r.persons {
		b = append(b, p[:]...)
	}
	for _, one := range r.profiles {
		b = binary.BigEndian.AppendUint32(b, uint32(len(one)))
		for _, p := range one {
			b = append(b, p[:]...)
		}
	}
	b = binary.BigEndian.AppendUint32(b, 0)
	for _, c := range r.classes {
		b = append(append(b, c...), 0)
	}
	s := sha256.Sum256(b)
	return [16]byte(s[:16])
}

func (w *writer) remember(rows []*row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range rows {
		if len(w.known[0]) >= maxKnown {
			w.known[0], w.known[1] = make(map[recordKey]told, maxKnown), w.known[0]
		}
		t := told{digest: r.digest, at: time.UnixMilli(r.last)}
		if r.gone != 0 || r.backfilled != 0 {
			t = told{}
		}
		w.known[0][r.key] = t
	}
}

// insert writes rows in a transaction.
func (w *writer) insert(ctx context.Context, tx *sql.Tx, rows []*row) error {
	type of[T any] struct {
		r *row
		v T
	}
	var persons []of[Person]
	var classes []of[string]
	links := make(map[[2]Person]int64)
	for _, r := range rows {
		for _, p := range r.persons {
			persons = append(persons, of[Person]{r, p})
		}
		for _, c := range r.classes {
			classes = append(classes, of[string]{r, c})
		}
		for _, all := range r.profiles {
			for _, p := range all[1:] {
				if a, b := ordered(all[0], p); a != b {
					links[[2]Person{a, b}] = r.first
				}
			}
		}
	}
	slices.SortStableFunc(persons, func(a, b of[Person]) int { return a.v.compare(b.v) })
	pairs := slices.SortedFunc(maps.Keys(links), func(a, b [2]Person) int { return cmp.Or(a[0].compare(b[0]), a[1].compare(b[1])) })
	err := inBulk(ctx, tx, &w.records, rows, func(args []any, r *row) []any {
		return append(args, r.key.kind, r.key.name, r.parent.kind, r.parent.name, r.first, r.last, r.created, r.closed, r.reopen, r.gone, r.backfilled)
	})
	if err != nil {
		return err
	}
	err = inBulk(ctx, tx, &w.persons, persons, func(args []any, p of[Person]) []any {
		return append(args, p.v[:], p.r.key.kind, p.r.key.name)
	})
	if err != nil {
		return err
	}
	err = inBulk(ctx, tx, &w.classes, classes, func(args []any, c of[string]) []any {
		return append(args, c.r.key.kind, c.r.key.name, c.v, c.r.first)
	})
	if err != nil {
		return err
	}
	return inBulk(ctx, tx, &w.links, pairs, func(args []any, p [2]Person) []any {
		return append(args, p[0][:], p[1][:], linkSeen, links[p])
	})
}

func inBulk[T any](ctx context.Context, tx *sql.Tx, b *store.Bulk, all []T, row func(args []any, v T) []any) error {
	for chunk := range store.InBulk(all) {
		args := make([]any, 0, 11*len(chunk))
		for _, v := range chunk {
			args = row(args, v)
		}
		if _, err := tx.StmtContext(ctx, b.Of(len(chunk))).ExecContext(ctx, args...); err != nil { //nolint:sqlclosecheck // the end of the transaction closes it
			return err
		}
	}
	return nil
}
