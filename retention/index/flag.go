package index

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Kinds of flags.
const (
	// FlagRestriction: data of the person may be stored and little else (GDPR Art. 18).
	FlagRestriction = "restriction"
	// FlagOptOut: data of the person may not be sold or shared (Cal. Civ. Code 1798.120).
	FlagOptOut = "opt_out_sale_sharing"
	// FlagLimitSensitive: sensitive data of the person may be used for what the person asked
	// for (Cal. Civ. Code 1798.121).
	FlagLimitSensitive = "limit_sensitive"
	// FlagObjection: the person objects to processing, such as for direct marketing (GDPR
	// Art. 21).
	FlagObjection = "objection"
)

// FlagKinds are the kinds of flags, sorted.
func FlagKinds() []string {
	return []string{FlagLimitSensitive, FlagObjection, FlagOptOut, FlagRestriction}
}

// Outlives tells whether a flag of this kind is still a wish when the person was erased: what
// must not be done with data of the person, whenever there are some again. A restriction is
// about the data that there were.
func Outlives(kind string) bool { return slices.Contains(FlagKinds(), kind) && kind != FlagRestriction }

// FlagID names a flag.
type FlagID [16]byte

// Flag is one flag of one name of a person.
type Flag struct {
	ID     FlagID
	Kind   string
	Person Person
	// Since and Until are when it counts, to the millisecond. Until is zero for a flag that
	// counts until somebody ends it.
	Since, Until time.Time
	// Ended is when somebody ended it, or when it had been over as another one was set.
	Ended time.Time
	// Erased is when the person was erased. From then on it has a kind, Since, Until and
	// Ended, and is found by its name.
	Erased time.Time
	// Reason and Ticket are words of whoever set it; SetBy and EndBy are actors as policy
	// names them.
	Reason, Ticket string
	SetBy, EndBy   string
}

// Counts tells whether the flag counts at an instant.
func (f *Flag) Counts(at time.Time) bool {
	return f.Ended.IsZero() && !f.Since.After(at) && (f.Until.IsZero() || f.Until.After(at))
}

// ErrFlag is returned for a flag that cannot be: of an unknown kind, one that ends before it
// begins, or one that needs a name and has none.
var ErrFlag = errors.New("a flag has a known kind, ends after it begins, and has a name where it outlives the person")

// NameDigest is a digest of a person's name under a key of the deployment. It is the same
// when the person was erased and comes back.
type NameDigest [16]byte

// anyFlag finds flags that nobody ended.
const anyFlag = `FROM person_flag WHERE ended = 0`

func (x *Index) openFlags(ctx context.Context) (err error) {
	if x.flags, err = store.NewAny(ctx, x.db, anyFlag); err != nil {
		return fmt.Errorf("looking for flags of persons: %w", err)
	}
	return nil
}

// AnyFlag tells whether anybody has a flag, or had one that is over and that nobody ended, as
// store.Any does: while the database does not answer somebody may have one, and FlagsOf
// answers or denies.
func (x *Index) AnyFlag(ctx context.Context) bool { return x.flags.Some(ctx) }

// SetFlag gives a name of a person a flag, from f.Since on, and returns it as it stands. A
// flag of this kind that the name has already and that is not over stays as it is, and is
// returned; one that the new one covers, and that ends sooner or has not begun, gives way to it. Only Kind, Person, Since, Until, Reason, Ticket and SetBy of f count; name is for
// kinds that outlive the person.
func (x *Index) SetFlag(ctx context.Context, f Flag, name NameDigest, now time.Time) (set Flag, fresh bool, err error) {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return Flag{}, false, fmt.Errorf("setting a flag of a person: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if set, fresh, err = SetFlagIn(ctx, tx, f, name, now); err != nil {
		return Flag{}, false, err
	}
	if err := tx.Commit(); err != nil {
		return Flag{}, false, fmt.Errorf("setting a flag of a person: %w", err)
	}
	x.FlagsSet()
	return set, fresh, nil
}

// SetFlagIn is SetFlag in a transaction on the index's database. The caller calls FlagsSet
// when the transaction has ended, however it has.
func SetFlagIn(ctx context.Context, tx *sql.Tx, f Flag, name NameDigest, now time.Time) (set Flag, fresh bool, err error) {
	f.Ended, f.Erased, f.EndBy = time.Time{}, time.Time{}, ""
	if !slices.Contains(FlagKinds(), f.Kind) || f.Person == (Person{}) || !f.Until.IsZero() && !f.Until.After(f.Since) || Outlives(f.Kind) && name == (NameDigest{}) {
		return Flag{}, false, ErrFlag
	}
	var stored []byte
	if Outlives(f.Kind) {
		stored = name[:]
	} else {
		stored = []byte{}
	}
	_, _ = rand.Read(f.ID[:]) // never fails
	// One that is over gives way, and keeps the time at which it was.
	if _, err := tx.ExecContext(ctx, `UPDATE person_flag SET ended = until WHERE person = $1 AND kind = $2 AND erased = 0 AND ended = 0 AND until > 0 AND until <= $3`, f.Person[:], f.Kind, now.UnixMilli()); err != nil {
		return Flag{}, false, fmt.Errorf("setting a flag of a person: %w", err)
	}
	// So does one of which the new one is more: a person who asks for longer has asked for longer.
	if _, err := tx.ExecContext(ctx, `UPDATE person_flag SET ended = $3, end_by = $4 WHERE person = $1 AND kind = $2 AND erased = 0 AND ended = 0
		AND (since > $3 AND since > $5 OR until > 0 AND (CAST($6 AS BIGINT) = 0 OR until < $6)) AND ($5 <= since OR CAST($5 AS BIGINT) <= $3) AND ($6 = 0 OR until > 0 AND until <= $6)`,
		f.Person[:], f.Kind, now.UnixMilli(), f.SetBy, store.Millis(f.Since), store.Millis(f.Until)); err != nil {
		return Flag{}, false, fmt.Errorf("setting a flag of a person: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO person_flag (id, kind, person, name, since, until, ended, erased, reason, ticket, set_by, end_by)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9, '') ON CONFLICT (person, kind) WHERE ended = 0 AND erased = 0 DO NOTHING`,
		f.ID[:], f.Kind, f.Person[:], stored, store.Millis(f.Since), store.Millis(f.Until), f.Reason, f.Ticket, f.SetBy); err != nil {
		return Flag{}, false, fmt.Errorf("setting a flag of a person: %w", err)
	}
	all, err := flagsWhere(ctx, tx, `person = $1 AND kind = $2 AND ended = 0 AND erased = 0`, f.Person[:], f.Kind)
	if err != nil {
		return Flag{}, false, err
	}
	if len(all) != 1 {
		return Flag{}, false, errors.New("setting a flag of a person: it is not there")
	}
	return all[0], all[0].ID == f.ID, nil
}

// FlagsSet has flags looked for that a transaction with SetFlagIn may have set.
func (x *Index) FlagsSet() { x.flags.Added() }

// EndFlags ends the flags of one kind of names of persons, by their pseudonyms and by the
// digests of their names: those are what is left of persons who were erased. It returns how many there were.
func (x *Index) EndFlags(ctx context.Context, kind string, persons []Person, named []NameDigest, by string, now time.Time) (n int64, err error) {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("ending flags of persons: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	end := func(query string, args ...any) error {
		r, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return fmt.Errorf("ending flags of persons: %w", err)
		}
		m, err := r.RowsAffected()
		n += m
		return err
	}
	for _, p := range persons {
		if err := end(`UPDATE person_flag SET ended = $1, end_by = $2 WHERE person = $3 AND kind = $4 AND erased = 0 AND ended = 0`, now.UnixMilli(), by, p[:], kind); err != nil {
			return 0, err
		}
	}
	for _, d := range named {
		if err := end(`UPDATE person_flag SET ended = $1 WHERE name = $2 AND kind = $3 AND ended = 0`, now.UnixMilli(), d[:], kind); err != nil {
			return 0, err
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("ending flags of persons: %w", err)
	}
	x.flags.Removed(ctx)
	return n, nil
}

// maxFlags bounds what is listed of one name.
const maxFlags = 200

// Flags lists the flags of a name of a person, those that ended too, and what is left of
// them when the person was erased: those that nobody ended first, and of both the newest
// first. It lists no more than 200.
func (x *Index) Flags(ctx context.Context, person Person, name NameDigest) ([]Flag, error) {
	return flagsWhere(ctx, x.db, `person = $1 AND erased = 0 OR name = $2`, person[:], name[:])
}

func flagsWhere(ctx context.Context, db store.Queryer, where string, args ...any) ([]Flag, error) {
	out, err := store.List(ctx, db, func(row store.Row) (f Flag, err error) {
		var id, person []byte
		var since, until, ended, erased int64
		if err = row.Scan(&id, &f.Kind, &person, &since, &until, &ended, &erased, &f.Reason, &f.Ticket, &f.SetBy, &f.EndBy); err != nil {
			return f, err
		}
		if len(id) != len(f.ID) || len(person) != len(f.Person) && len(person) != 0 {
			return f, errors.New("the index holds a pseudonym of a wrong length")
		}
		copy(f.ID[:], id)
		copy(f.Person[:], person)
		f.Since, f.Until, f.Ended, f.Erased = store.Moment(since), store.Moment(until), store.Moment(ended), store.Moment(erased)
		return f, nil
	}, fmt.Sprintf(`SELECT id, kind, person, since, until, ended, erased, reason, ticket, set_by, end_by FROM person_flag WHERE %s ORDER BY CASE WHEN ended = 0 THEN 0 ELSE 1 END, since DESC, kind, id LIMIT %d`, where, maxFlags), args...)
	if err != nil {
		return nil, fmt.Errorf("listing flags of a person: %w", err)
	}
	return out, nil
}

// manyAtOnce is how many pseudonyms, names or ids one statement of FlagsOf has.
const manyAtOnce = 128

// FlagsOf returns the kinds of the flags that count now, sorted, of these persons, of
// those whom these records name, of all who are one with them, and of whoever has one of
// these names, also of persons who were erased.
func (x *Index) FlagsOf(ctx context.Context, persons []Person, named []NameDigest, records []Record, now time.Time) (kinds []string, err error) {
	ask := func(query string, args ...any) error {
		found, err := store.List(ctx, x.db, store.Scanned[string], query, args...)
		if err != nil {
			return fmt.Errorf("looking for flags of persons: %w", err)
		}
		for _, kind := range found {
			if at, there := slices.BinarySearch(kinds, kind); !there {
				kinds = slices.Insert(kinds, at, kind)
			}
		}
		return nil
	}
	at := now.UnixMilli()
	for part := range slices.Chunk(persons, manyAtOnce) {
		list, args := placeholders([]any{at}, part, func(p Person) any { return p[:] })
		if err := ask(linkedSQL(`SELECT a FROM person_link WHERE a IN (`+list+`) UNION SELECT b FROM person_link WHERE b IN (`+list+`)`, `f.person IN (`+list+`) OR `), args...); err != nil {
			return nil, err
		}
	}
	for part := range slices.Chunk(named, manyAtOnce) {
		list, args := placeholders([]any{at}, part, func(d NameDigest) any { return d[:] })
		if err := ask(`SELECT DISTINCT f.kind FROM person_flag f WHERE `+countsSQL+` AND f.name IN (`+list+`)`, args...); err != nil {
			return nil, err
		}
	}
	byKind := make(map[kindKey][]string)
	for _, r := range records {
		byKind[r.kind()] = append(byKind[r.kind()], r.ID)
	}
	for k, ids := range byKind {
		for part := range slices.Chunk(ids, manyAtOnce) {
			list, args := placeholders([]any{at, k.channel, k.host, k.typ}, part, func(id string) any { return id })
			if err := ask(linkedSQL(`SELECT p.person FROM record_person p JOIN record_kind k ON k.id = p.kind WHERE k.channel = $2 AND k.host = $3 AND k.type = $4 AND p.name IN (`+list+`)`, ``), args...); err != nil {
				return nil, err
			}
		}
	}
	return kinds, nil
}

const countsSQL = `f.ended = 0 AND f.since <= $1 AND (f.until = 0 OR f.until > $1)`

// linkedSQL asks for the kinds of those whom first has and of all who are linked to them.
func linkedSQL(first, or string) string {
	return `WITH RECURSIVE same (person) AS (` + first + ` UNION SELECT CASE WHEN l.a = s.person THEN l.b ELSE l.a END FROM same s JOIN person_link l ON (l.a = s.person OR l.b = s.person) AND l.state <> 'cut')
		SELECT DISTINCT f.kind FROM person_flag f WHERE ` + countsSQL + ` AND f.erased = 0 AND (` + or + `f.person IN (SELECT person FROM same))`
}

// placeholders appends values to the arguments of a statement, and returns the list that
// names them there.
func placeholders[T any](args []any, values []T, arg func(T) any) (string, []any) {
	var list strings.Builder
	for i, v := range values {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "$%d", len(args)+1)
		args = append(args, arg(v))
	}
	return list.String(), args
}

// forgetFlags leaves of the flags of a person who is erased what outlives the person: kinds
// and times under the digest of a name.
func forgetFlags(ctx context.Context, tx *sql.Tx, p Person, now time.Time) error {
	// Kinds that end with the person have no name, and what is over is no wish any more.
	if _, err := tx.ExecContext(ctx, `DELETE FROM person_flag WHERE person = $1 AND erased = 0 AND (ended > 0 OR length(name) = 0 OR until > 0 AND until <= $2)`, p[:], now.UnixMilli()); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE person_flag SET erased = $1, person = $2, reason = '', ticket = '', set_by = '' WHERE person = $3 AND erased = 0`, now.UnixMilli(), []byte{}, p[:])
	return err
}
