package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	findSQL = `SELECT b.tag, p.id, p.sort, p.wrapped, p.created FROM blind b JOIN person p ON p.id = b.person
WHERE b.tenant = $1 AND b.scope = $2 AND b.kind = $3 AND b.version = $4 AND b.mac = $5 AND p.tenant = $1`
	loadSQL = `SELECT sort, wrapped, created FROM person WHERE id = $1 AND tenant = $2`
)

// ErrRow is returned when a row of vault.db was changed by somebody else: its
// key does not unwrap, or the index points elsewhere (V15).
var ErrRow = errors.New("a row of vault.db was changed outside the vault")

// wanted is a person to be found: one row of the blind index.
type wanted struct {
	scope, kind string
	mac         [macSize]byte
}

// Subjects finds or creates the people behind idents and returns them in the
// same order. An ident whose canonical form is empty gives the zero Subject. All
// that are new are created in one transaction, together with the new people of
// concurrent calls; equal idents get equal subjects however many calls race for
// them, in this process or another. A cancelled ctx returns early; what was begun
// may still be completed.
func (v *Vault) Subjects(ctx context.Context, idents []Ident) ([]Subject, error) {
	return v.people(ctx, sortSubject, idents)
}

// Actor finds or creates the key of an actor, by policy's Actor.ID. Actors and
// subjects never share a key.
func (v *Vault) Actor(ctx context.Context, id string) (Subject, error) {
	if err := v.usable(); err != nil {
		return Subject{}, err
	}
	if id == "" {
		return Subject{}, errors.New("looking for an actor without an id")
	}
	if p, ok := v.actors.Get(id); ok && v.now().Sub(p.loaded) <= v.cacheTime {
		return Subject{p}, nil
	}
	since := v.forgotten.Load()
	s, err := v.people(ctx, sortActor, []Ident{{Kind: "id", Value: id}})
	if err != nil {
		return Subject{}, err
	}
	remember(v, v.actors, id, s[0].p, since)
	return s[0], nil
}

// Known finds the person behind an ident and creates nobody: for questions about
// people, which must not leave a key behind of somebody whom no call ever named. It
// returns the zero Subject for a stranger.
func (v *Vault) Known(ctx context.Context, id Ident) (Subject, error) {
	return v.known(ctx, sortSubject, id, true)
}

// KnownActor is Known for an actor, by policy's Actor.ID.
func (v *Vault) KnownActor(ctx context.Context, id string) (Subject, error) {
	return v.known(ctx, sortActor, Ident{Kind: "id", Value: id}, true)
}

// known finds a person, where remembered is false in the database only.
func (v *Vault) known(ctx context.Context, sort string, id Ident, remembered bool) (Subject, error) {
	if err := v.usable(); err != nil {
		return Subject{}, err
	}
	if id.Kind == "" {
		return Subject{}, errors.New("looking for a person: the ident has no kind")
	}
	var buf [128]byte
	canonical := appendCanonical(buf[:0], id.Kind, id.Value)
	if len(canonical) == 0 {
		return Subject{}, nil
	}
	w := wanted{scope: sort, kind: id.Kind, mac: v.blindOf(sort, id.Kind, canonical)}
	if p := v.cached(w.mac, v.now()); p != nil && remembered {
		return Subject{p}, nil
	}
	p, err := v.lookUp(ctx, v.find, w)
	if errors.Is(err, sql.ErrNoRows) {
		return Subject{}, nil
	}
	return Subject{p}, err
}

// people is Subjects for one sort. The sort is the scope of the blind index too.
func (v *Vault) people(ctx context.Context, sort string, idents []Ident) ([]Subject, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	out := make([]Subject, len(idents))
	now := v.now()
	var missing []wanted
	var at []int // index into idents, beside missing
	var buf [128]byte
	for i, id := range idents {
		if id.Kind == "" {
			return nil, fmt.Errorf("looking for a person: ident %d has no kind", i)
		}
		canonical := appendCanonical(buf[:0], id.Kind, id.Value)
		if len(canonical) == 0 {
			continue
		}
		w := wanted{scope: sort, kind: id.Kind, mac: v.blindOf(sort, id.Kind, canonical)}
		if p := v.cached(w.mac, now); p != nil {
			out[i] = Subject{p}
			continue
		}
		p, err := v.lookUp(ctx, v.find, w)
		if errors.Is(err, sql.ErrNoRows) {
			missing, at = append(missing, w), append(at, i)
			continue
		}
		if err != nil {
			return nil, err
		}
		out[i] = Subject{p}
	}
	if len(missing) == 0 {
		return out, nil
	}
	made, err := v.create.do(ctx, missing)
	if err != nil {
		return nil, err
	}
	for j, i := range at {
		out[i] = Subject{made[j]}
	}
	return out, nil
}

// cached is the person under mac, unless its time is over.
func (v *Vault) cached(mac [macSize]byte, now time.Time) *person {
	p, ok := v.byMAC.Get(mac)
	if !ok || now.Sub(p.loaded) > v.cacheTime {
		return nil
	}
	return p
}

// lookUp reads one row through the prepared statement and caches it; the error is
// sql.ErrNoRows when there is none.
func (v *Vault) lookUp(ctx context.Context, find *sql.Stmt, w wanted) (*person, error) {
	since := v.forgotten.Load()
	p, err := v.unwrap(ctx, func() (r personRow, err error) {
		var tag, id []byte
		err = find.QueryRowContext(ctx, v.tenant, w.scope, w.kind, v.keys.index.version(), w.mac[:]).Scan(&tag, &id, &r.sort, &r.wrapped, &r.created)
		if errors.Is(err, sql.ErrNoRows) {
			return r, err
		}
		if err != nil {
			return r, fmt.Errorf("looking for a person: %w", err)
		}
		if len(id) != idSize || r.sort != w.scope {
			return r, v.changed("blind", id)
		}
		r.id = [idSize]byte(id)
		if want := v.linkTag(w.scope, w.kind, w.mac, r.id); subtle.ConstantTimeCompare(tag, want[:]) != 1 {
			return r, v.changed("blind", id)
		}
		return r, nil
	})
	if err != nil {
		return nil, err
	}
	remember(v, v.byMAC, w.mac, p, since)
	remember(v, v.byRow, p.id, p, since)
	return p, nil
}

// byID reads a person by row id, for opening what was sealed.
func (v *Vault) byID(ctx context.Context, id [idSize]byte) (*person, error) {
	if p, ok := v.byRow.Get(id); ok && v.now().Sub(p.loaded) <= v.cacheTime {
		return p, nil
	}
	since := v.forgotten.Load()
	p, err := v.unwrap(ctx, func() (personRow, error) { return v.readPerson(ctx, id) })
	if err != nil {
		return nil, err
	}
	remember(v, v.byRow, id, p, since)
	return p, nil
}

// personRow is a row of the table person.
type personRow struct {
	id      [idSize]byte
	sort    string
	wrapped []byte
	created int64
}

// readPerson reads one of them; the error is ErrNoKey when there is none.
func (v *Vault) readPerson(ctx context.Context, id [idSize]byte) (personRow, error) {
	r := personRow{id: id}
	err := v.load.QueryRowContext(ctx, id[:], v.tenant).Scan(&r.sort, &r.wrapped, &r.created)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNoKey
	}
	if err != nil {
		return r, fmt.Errorf("reading a person's key: %w", err)
	}
	return r, nil
}

// unwrap reads a person's row and decrypts the key; any column that was changed makes it
// fail.
func (v *Vault) unwrap(ctx context.Context, read func() (personRow, error)) (*person, error) {
	var r personRow
	key, err := v.unwrapKey(ctx, func() (wrapped, ad []byte, err error) {
		r, err = read()
		return r.wrapped, personAD(v.tenant, r.sort, r.id, r.created), err
	})
	if errors.Is(err, errWrapped) {
		return nil, v.changed("person", r.id[:])
	}
	if err != nil {
		return nil, err
	}
	v.touched(tablePerson, r.id, r.wrapped)
	defer clear(key)
	return newPerson(r.id, key, v.now())
}

// changed reports a row that does not authenticate: a caller only denies, and
// somebody has to look. The row's id is random and says nothing.
func (v *Vault) changed(table string, id []byte) error {
	v.log.Error("a row of vault.db was changed outside the vault", slog.String("table", table), slog.String("row", hex.EncodeToString(id)))
	return ErrRow
}

// remember puts what was read since the caches were emptied last into one of them. Read
// before an erasure and put there after it, an erased key would stay for CacheTime (V13).
func remember[K comparable, T any](v *Vault, cache *lru.Cache[K, T], key K, value T, since int64) {
	v.reached("remembering")
	cache.Add(key, value)
	if v.forgotten.Load() != since {
		cache.Remove(key)
	}
}

// createAll creates what batch wants in one transaction. People are cached only
// after the commit: one whose row never became durable must not seal anything.
func (v *Vault) createAll(ctx context.Context, batch []*job[wanted, *person]) error {
	return v.whileRotated(ctx, func() error { return v.createBatch(ctx, batch) })
}

func (v *Vault) createBatch(ctx context.Context, batch []*job[wanted, *person]) error {
	since := v.forgotten.Load()
	tx, err := v.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("creating people's keys: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	h, err := v.fenced(ctx, tx)
	if err != nil {
		return err
	}
	// In one order, so that two gateways on one PostgreSQL never wait for each other's
	// rows crosswise.
	var all []wanted
	for _, job := range batch {
		all = append(all, job.wanted...)
	}
	slices.SortFunc(all, func(a, b wanted) int { return bytes.Compare(a.mac[:], b.mac[:]) })
	made := make(map[[macSize]byte]*person)
	for _, w := range all {
		if made[w.mac] == nil {
			if made[w.mac], err = v.createOne(ctx, tx, h, w); err != nil {
				return err
			}
		}
	}
	for _, job := range batch {
		job.made = make([]*person, len(job.wanted))
		for i, w := range job.wanted {
			job.made[i] = made[w.mac]
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("creating people's keys: %w", err)
	}
	for mac, p := range made {
		remember(v, v.byMAC, mac, p, since)
		remember(v, v.byRow, p.id, p, since)
	}
	return nil
}

// createOne inserts one person, or reads the one another process inserted first.
func (v *Vault) createOne(ctx context.Context, tx *sql.Tx, h *held, w wanted) (*person, error) {
	var id [idSize]byte
	rand.Read(id[:]) // never fails: the runtime ends the process first
	tag := v.linkTag(w.scope, w.kind, w.mac, id)
	res, err := tx.ExecContext(ctx, `INSERT INTO blind (tenant, scope, kind, version, mac, person, tag) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING`, v.tenant, w.scope, w.kind, v.keys.index.version(), w.mac[:], id[:], tag[:])
	if err != nil {
		return nil, fmt.Errorf("creating a person's key: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return nil, fmt.Errorf("creating a person's key: %w", err)
	}
	if n == 0 {
		find, err := tx.PrepareContext(ctx, findSQL) // v.find may be of other connections
		if err != nil {
			return nil, fmt.Errorf("creating a person's key: %w", err)
		}
		defer find.Close()
		p, err := v.lookUp(ctx, find, w)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, v.changed("blind", nil) // it leads to nobody: rows go together or not at all
		}
		return p, err
	}
	key := make([]byte, 32)
	defer clear(key)
	rand.Read(key)
	now := v.now()
	created := now.UnixMilli()
	wrapped, err := h.data.Encrypt(key, personAD(v.tenant, w.scope, id, created))
	if err != nil {
		return nil, fmt.Errorf("wrapping a person's key: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO person (id, tenant, sort, wrapped, created, key_version) VALUES ($1, $2, $3, $4, $5, $6)`,
		id[:], v.tenant, w.scope, wrapped, created, h.primary); err != nil {
		return nil, fmt.Errorf("creating a person's key: %w", err)
	}
	return newPerson(id, key, now)
}
