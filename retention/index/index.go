package index

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Person is a person's pseudonym for this index.
type Person [16]byte

func (p Person) compare(o Person) int { return bytes.Compare(p[:], o[:]) }

// Record is the place of a record.
type Record struct {
	// Channel is the name of the channel; Host is the account's, with its port if it has one.
	Channel, Host string
	// Type is a word of the channel file; ID is the vendor's, as it writes it.
	Type, ID string
}

// IsZero reports whether r names no record.
func (r Record) IsZero() bool { return r == Record{} }

// Valid reports whether r can be noted: all of it is there, the id has at most MaxID bytes,
// and every database takes them as text.
func (r Record) Valid() bool {
	return r.Channel != "" && r.Host != "" && r.Type != "" && r.ID != "" && len(r.ID) <= MaxID && utf8.ValidString(r.ID) && strings.IndexByte(r.ID, 0) < 0
}

// MaxID is how many bytes an id has at most. Vendors' have 64.
const MaxID = 256

// Closing is what a vendor says about the end of a record.
type Closing struct {
	// Known is false when the sighting says nothing of it. A record that is known to be open
	// has no time.
	Known bool
	At    time.Time
}

// Sighting is one look at a record.
type Sighting struct {
	Record Record
	// Parent is the record that this one hangs on, zero for none or not known.
	Parent Record
	// Persons are those that the record names. Profile are those of them who are one, because
	// the record describes this person.
	Persons []Person
	Profile []Person
	// Classes are the data classes that were found in it, in clear or not.
	Classes []string
	// Created is the vendor's time, zero for not known.
	Created time.Time
	Closed  Closing
	// Gone says that the record was deleted, by a call that passed.
	Gone bool
	// Backfilled says that it did not pass: an import asked the vendor for what it has. At is
	// when the vendor was asked then, so that a call which deletes it meanwhile counts.
	Backfilled bool
	// At is when it was seen.
	At time.Time
}

// Errors of Note.
var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the index of records is closed")
	// ErrRecord is returned for a sighting of no record, or of an id that is too long.
	ErrRecord = errors.New("a record has a channel, a host, a type and an id of 1 to 256 bytes of text")
)

// Index is an open index. It may be used concurrently, also by several processes.
type Index struct {
	db *store.DB

	queue chan noting
	quit  chan struct{} // closed by Close
	done  chan struct{} // closed by the writer
	close sync.Once

	w writer

	flags *store.Any
}

// noting is one call of Note that waits.
type noting struct {
	sightings []Sighting
	also      Also
	done      chan<- error
}

// Also is written in the transaction of sightings. It may be called again after a
// transaction that failed; with its error nothing is written.
type Also func(ctx context.Context, tx *sql.Tx) error

// Open brings the tables of the index in db up to date and starts its writer. The caller
// closes the index, and db after it.
func Open(ctx context.Context, db *store.DB) (*Index, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading the tables of the index: %w", err)
	}
	if err := db.Migrate(ctx, "index", sub); err != nil {
		return nil, err
	}
	x := &Index{db: db, queue: make(chan noting, 256), quit: make(chan struct{}), done: make(chan struct{})}
	if err := x.w.prepare(ctx, db); err != nil {
		return nil, err
	}
	if err := x.openFlags(ctx); err != nil {
		return nil, err
	}
	go x.write()
	return x, nil
}

// Close waits for what is being written. Calls of Note that wait then get ErrClosed.
func (x *Index) Close() error {
	x.close.Do(func() { close(x.quit) })
	<-x.done
	return nil
}

// Note adds sightings to the index, and returns when they are committed. What the index
// knows already costs no write. After an error nothing of this call is known to be
// written, nor not to be: the caller calls again, which does no harm.
func (x *Index) Note(ctx context.Context, sightings []Sighting) error {
	if len(sightings) == 0 {
		return nil
	}
	return x.note(ctx, sightings, nil)
}

// NoteWith is Note with something that is written if and only if the sightings are: the place
// up to which they were read. Both are in a transaction of their own.
func (x *Index) NoteWith(ctx context.Context, sightings []Sighting, also Also) error {
	return x.note(ctx, sightings, also)
}

func (x *Index) note(ctx context.Context, sightings []Sighting, also Also) error {
	for i := range sightings {
		if s := &sightings[i]; !s.Record.Valid() || !s.Parent.IsZero() && !s.Parent.Valid() {
			return ErrRecord
		}
	}
	done := make(chan error, 1)
	select {
	case x.queue <- noting{sightings, also, done}:
	case <-x.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-x.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeTime bounds a transaction with all its tries. A commit takes about a millisecond.
const writeTime = 5 * time.Second

// pageTime bounds one with the thousands of sightings of a page.
const pageTime = 30 * time.Second

// maxTogether bounds the sightings of one transaction.
const maxTogether = 2048

// write is the one goroutine that writes.
func (x *Index) write() {
	defer close(x.done)
	var apart *noting // came while others were collected
	for {
		var waiting []noting
		n := 0
		if apart != nil {
			waiting, n, apart = append(waiting, *apart), len(apart.sightings), nil
		} else {
			select {
			case first := <-x.queue:
				waiting, n = append(waiting, first), len(first.sightings)
			case <-x.quit:
				return
			}
		}
		for more := waiting[0].also == nil; more && n < maxTogether; {
			select {
			case next := <-x.queue:
				if next.also != nil {
					apart, more = &next, false
					break
				}
				waiting, n = append(waiting, next), n+len(next.sightings)
			default:
				more = false
			}
		}
		all := make([]Sighting, 0, n)
		for _, w := range waiting {
			all = append(all, w.sightings...)
		}
		// Nobody waits longer, and a database that answers no more stops no shutdown.
		limit := writeTime
		if waiting[0].also != nil {
			limit = pageTime
		}
		limited, cancel := context.WithTimeout(context.Background(), limit)
		err := x.w.note(limited, x.db, all, waiting[0].also)
		cancel()
		for _, w := range waiting {
			w.done <- err
		}
	}
}

// Forget ends what the index knows of persons: which records name them, who they are one
// with, and their flags but for what outlives them. Their records stay, as nobody's, until
// they are gone at the vendor.
func (x *Index) Forget(ctx context.Context, persons []Person) error {
	persons = sortedPersons(slices.Clone(persons)) // in the order in which sightings are written
	for try := 1; ; try++ {
		err := x.forget(ctx, persons)
		if err == nil {
			x.w.forget()
		}
		if err == nil || try == tries || !store.IsDeadlock(err) {
			return err
		}
	}
}

func (x *Index) forget(ctx context.Context, persons []Person) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("forgetting persons in the index: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, p := range persons {
		for _, q := range [...]string{`DELETE FROM record_person WHERE person = $1`, `DELETE FROM person_link WHERE a = $1 OR b = $1`} {
			if _, err := tx.ExecContext(ctx, q, p[:]); err != nil {
				return fmt.Errorf("forgetting persons in the index: %w", err)
			}
		}
		if err := forgetFlags(ctx, tx, p, time.Now()); err != nil {
			return fmt.Errorf("forgetting persons in the index: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("forgetting persons in the index: %w", err)
	}
	return nil
}

// kindKey is what a number of record_kind stands for.
type kindKey struct{ channel, host, typ string }

func (r Record) kind() kindKey { return kindKey{r.Channel, r.Host, r.Type} }

// recordKey is the primary key of a record's row.
type recordKey struct {
	kind int64
	name string
}

func (k recordKey) compare(o recordKey) int {
	return cmp.Or(cmp.Compare(k.kind, o.kind), strings.Compare(k.name, o.name))
}

// numbers returns the numbers of kinds, and gives one to those that have none.
func numbers(ctx context.Context, tx *sql.Tx, known map[kindKey]int64, wanted []kindKey) (fresh map[kindKey]int64, err error) {
	fresh = make(map[kindKey]int64)
	for _, k := range wanted {
		if known[k] != 0 || fresh[k] != 0 {
			continue
		}
		// Two processes that do so at once try for the same number: one of them meets the
		// primary key, and its caller begins anew.
		if _, err := tx.ExecContext(ctx, `INSERT INTO record_kind (id, channel, host, type) SELECT coalesce(max(id), 0) + 1, $1, $2, $3 FROM record_kind WHERE true ON CONFLICT (channel, host, type) DO NOTHING`, k.channel, k.host, k.typ); err != nil {
			return nil, err
		}
		var id int64
		if err := tx.QueryRowContext(ctx, `SELECT id FROM record_kind WHERE channel = $1 AND host = $2 AND type = $3`, k.channel, k.host, k.typ).Scan(&id); err != nil {
			return nil, err
		}
		fresh[k] = id
	}
	return fresh, nil
}

// ordered brings a pair into the order in which it is stored.
func ordered(a, b Person) (Person, Person) {
	if a.compare(b) > 0 {
		return b, a
	}
	return a, b
}

// sortedPersons sorts and makes unique.
func sortedPersons(all []Person) []Person {
	slices.SortFunc(all, Person.compare)
	return slices.Compact(all)
}
