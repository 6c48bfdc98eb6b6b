package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// createTimeout bounds one transaction that creates people. It is detached from
// the calls that wait for it, because one transaction serves several of them.
const createTimeout = 10 * time.Second

// createBatch is how many people one transaction creates at most; it keeps the
// database's one writer free for others after a few milliseconds.
const createBatch = 1024

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
	if id == "" {
		return Subject{}, errors.New("looking for an actor without an id")
	}
	if p, ok := v.actors.Get(id); ok && v.now().Sub(p.loaded) <= v.cacheTime {
		return Subject{p}, nil
	}
	s, err := v.people(ctx, sortActor, []Ident{{Kind: "id", Value: id}})
	if err != nil {
		return Subject{}, err
	}
	v.actors.Add(id, s[0].p)
	return s[0], nil
}

// people is Subjects for one sort. The sort is the scope of the blind index too.
func (v *Vault) people(ctx context.Context, sort string, idents []Ident) ([]Subject, error) {
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
	made, err := v.create.do(ctx, v, missing)
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
	var tag, id, wrapped []byte
	var sort string
	var created int64
	err := find.QueryRowContext(ctx, v.tenant, w.scope, w.kind, v.keys.index.version(), w.mac[:]).Scan(&tag, &id, &sort, &wrapped, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a person: %w", err)
	}
	if len(id) != idSize || sort != w.scope {
		return nil, v.changed("blind", id)
	}
	want := v.linkTag(w.scope, w.kind, w.mac, [idSize]byte(id))
	if subtle.ConstantTimeCompare(tag, want[:]) != 1 {
		return nil, v.changed("blind", id)
	}
	p, err := v.unwrap([idSize]byte(id), sort, wrapped, created)
	if err != nil {
		return nil, err
	}
	v.remember(w.mac, p)
	return p, nil
}

// byID reads a person by row id, for opening what was sealed.
func (v *Vault) byID(ctx context.Context, id [idSize]byte) (*person, error) {
	if p, ok := v.byRow.Get(id); ok && v.now().Sub(p.loaded) <= v.cacheTime {
		return p, nil
	}
	var sort string
	var wrapped []byte
	var created int64
	err := v.load.QueryRowContext(ctx, id[:], v.tenant).Scan(&sort, &wrapped, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("reading a person's key: %w", err)
	}
	p, err := v.unwrap(id, sort, wrapped, created)
	if err != nil {
		return nil, err
	}
	v.byRow.Add(id, p)
	return p, nil
}

// unwrap decrypts a person's key; any column that was changed makes it fail.
func (v *Vault) unwrap(id [idSize]byte, sort string, wrapped []byte, created int64) (*person, error) {
	key, err := v.data.Decrypt(wrapped, personAD(v.tenant, sort, id, created))
	if err != nil {
		return nil, v.changed("person", id[:])
	}
	defer clear(key)
	return newPerson(id, key, v.now())
}

// changed reports a row that does not authenticate: a caller only denies, and
// somebody has to look. The row's id is random and says nothing.
func (v *Vault) changed(table string, id []byte) error {
	v.log.Error("a row of vault.db was changed outside the vault", slog.String("table", table), slog.String("row", hex.EncodeToString(id)))
	return ErrRow
}

func (v *Vault) remember(mac [macSize]byte, p *person) {
	v.byMAC.Add(mac, p)
	v.byRow.Add(p.id, p)
}

// creator collects people to be created. The first call that finds nobody at work
// runs the transactions, for itself and for all that come meanwhile; its own
// duration is the batching, as in a group commit.
type creator struct {
	mu      sync.Mutex
	queue   []*creation
	busy    bool           // somebody runs transactions
	stopped bool           // stop was called
	work    sync.WaitGroup // the one who runs them
}

// errClosed is what calls after Close get.
var errClosed = errors.New("the vault is closed")

// stop refuses new work and waits for what is under way.
func (c *creator) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.work.Wait()
}

// creation is what one call waits for. made and err are written before done is
// closed.
type creation struct {
	wanted []wanted
	done   chan struct{}
	made   []*person
	err    error
}

// do creates w, or finds what another call or process created meanwhile.
func (c *creator) do(ctx context.Context, v *Vault, w []wanted) ([]*person, error) {
	job := &creation{wanted: w, done: make(chan struct{})}
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return nil, errClosed
	}
	c.queue = append(c.queue, job)
	if !c.busy {
		c.busy = true
		// In a goroutine, so that a leader whose caller has gone does not leave the
		// others behind, and so that this call can obey ctx too. It ends when the
		// queue is empty; stop waits for it.
		c.work.Go(func() { c.run(v) })
	}
	c.mu.Unlock()
	select {
	case <-job.done:
		return job.made, job.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a person's key: %w", ctx.Err())
	}
}

// run works the queue off.
func (c *creator) run(v *Vault) {
	for {
		c.mu.Lock()
		var batch []*creation
		n := 0
		for len(c.queue) > 0 && (n == 0 || n+len(c.queue[0].wanted) <= createBatch) {
			n += len(c.queue[0].wanted)
			batch = append(batch, c.queue[0])
			c.queue = c.queue[1:]
		}
		if len(batch) == 0 {
			c.busy, c.queue = false, nil
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
		err := v.createAll(ctx, batch)
		cancel()
		for _, job := range batch {
			if job.err = err; err != nil {
				job.made = nil
			}
			close(job.done)
		}
	}
}

// createAll creates what batch wants in one transaction. People are cached only
// after the commit: one whose row never became durable must not seal anything.
func (v *Vault) createAll(ctx context.Context, batch []*creation) error {
	tx, err := v.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("creating people's keys: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do
	made := make(map[[macSize]byte]*person)
	for _, job := range batch {
		job.made = make([]*person, len(job.wanted))
		for i, w := range job.wanted {
			p := made[w.mac]
			if p == nil {
				if p, err = v.createOne(ctx, tx, w); err != nil {
					return err
				}
				made[w.mac] = p
			}
			job.made[i] = p
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("creating people's keys: %w", err)
	}
	for mac, p := range made {
		v.remember(mac, p)
	}
	return nil
}

// createOne inserts one person, or reads the one another process inserted first.
func (v *Vault) createOne(ctx context.Context, tx *sql.Tx, w wanted) (*person, error) {
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
		p, err := v.lookUp(ctx, tx.StmtContext(ctx, v.find), w)
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
	wrapped, err := v.data.Encrypt(key, personAD(v.tenant, w.scope, id, created))
	if err != nil {
		return nil, fmt.Errorf("wrapping a person's key: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO person (id, tenant, sort, wrapped, created) VALUES ($1, $2, $3, $4, $5)`,
		id[:], v.tenant, w.scope, wrapped, created); err != nil {
		return nil, fmt.Errorf("creating a person's key: %w", err)
	}
	return newPerson(id, key, now)
}
