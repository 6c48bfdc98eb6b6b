package proxy

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// deliveries is the replay window of webhooks: which deliveries are under way, in
// memory, and which were taken by the system behind the gateway, in state.db. It
// belongs to the data directory, so a reload or a restart forgets nothing of what
// was taken. What was under way when the process died is forgotten on purpose:
// nobody knows whether it arrived, and a vendor that repeats it must get through.
// Several gateways on one database tell one another what is under way by locks there.
// It is safe for concurrent use.
type deliveries struct {
	db *store.DB
	// shared are those locks; nil for a gateway that is alone.
	shared *deliveryLocks

	mu   sync.Mutex             // owns runs
	runs map[deliveryKey]*claim // what is under way

	// telling owns untold: what was taken and could not be written. Until it is,
	// nothing new is let through, so it is not more than what was under way when the
	// database failed.
	telling sync.Mutex
	untold  []*claim
}

// deliveryKey is a keyed digest: what is stored tells nothing about a vendor's
// ids to somebody who reads the disk.
type deliveryKey [32]byte

// keptDelivery is one key of a delivery, and how long it counts.
type keptDelivery struct {
	key     deliveryKey
	expires time.Time
}

// claim is the right to carry out one delivery. Whoever holds it calls end.
type claim struct {
	of   *deliveries
	keys []keptDelivery
	body []byte
	once sync.Once
	// locked tells that other gateways know of it, unwritten that they must go on to know
	// when it has ended: it was taken, and that is not written yet.
	locked    bool
	unwritten atomic.Bool
	done      chan struct{} // closed by end
}

// Answers of claim that are no failure.
var (
	// errTaken: the same delivery was taken before.
	errTaken = errors.New("the delivery was taken before")
	// errOtherBody: one with the same id and other bytes was taken before.
	errOtherBody = errors.New("a delivery of this id was taken with another body")
	// errUnderWay: the same delivery is still under way.
	errUnderWay = errors.New("the delivery is under way")
)

// repetitionWait is how long a repetition waits for the outcome of the first.
// Vendors repeat after five to ten seconds; one that waits here longer gives up
// by itself.
var repetitionWait = 5 * time.Second

func openDeliveries(ctx context.Context, db *store.DB) (*deliveries, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "proxy", sub); err != nil {
		return nil, err
	}
	return &deliveries{db: db, runs: make(map[deliveryKey]*claim)}, nil
}

// claim asks to carry out the delivery that has these keys. Of several askers one
// gets the claim; the others wait until it has ended, for wait at most, and then
// learn whether it was taken. The error is errTaken, errOtherBody, errUnderWay,
// or that the table could not be read.
func (d *deliveries) claim(ctx context.Context, keys []keptDelivery, body []byte, now time.Time, wait time.Duration) (*claim, error) {
	c := &claim{of: d, keys: keys, body: body, done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		other := d.begin(c)
		if other == nil {
			break
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, errUnderWay
		}
	}
	if err := d.lock(ctx, c); err != nil {
		c.end()
		return nil, err
	}
	if err := d.catchUp(context.WithoutCancel(ctx), now); err != nil {
		c.end()
		return nil, err
	}
	// The claim is held while the table is read, so nothing can be taken in between.
	if err := d.taken(context.WithoutCancel(ctx), c, now); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// otherRun is how often a delivery that is under way at another gateway is asked for again.
const otherRun = 100 * time.Millisecond

// lock waits until no other gateway has the delivery under way, and tells them that this one
// has.
func (d *deliveries) lock(ctx context.Context, c *claim) error {
	if d.shared == nil {
		return nil
	}
	for {
		taken, err := d.shared.try(context.WithoutCancel(ctx), c.keys)
		if err != nil {
			return err
		}
		if taken {
			c.locked = true
			return nil
		}
		select {
		case <-time.After(otherRun):
		case <-ctx.Done():
			return errUnderWay
		}
	}
}

// begin registers c, unless one of its keys is under way: then it returns whose.
func (d *deliveries) begin(c *claim) *claim {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range c.keys {
		if other := d.runs[k.key]; other != nil {
			return other
		}
	}
	for _, k := range c.keys {
		d.runs[k.key] = c
	}
	return nil
}

// taken looks for the keys in the table.
func (d *deliveries) taken(ctx context.Context, c *claim, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	found := false
	for _, k := range c.keys {
		var body []byte
		err := d.db.QueryRowContext(ctx, `SELECT body FROM webhook_delivery WHERE key = $1 AND expires > $2`, k.key[:], now.UnixMilli()).Scan(&body)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("looking for a delivery: %w", err)
		}
		if body == nil {
			continue
		}
		if !bytes.Equal(body, c.body) {
			return errOtherBody
		}
		found = true
	}
	if found {
		return errTaken
	}
	return nil
}

// sweepRows is how many expired rows one delivery takes along. Each adds two, so
// the table does not grow beyond what counts.
const sweepRows = 64

// take makes it durable that the delivery has arrived. It does not end the claim.
// When it fails the delivery is kept in memory, and no claim is given to anybody
// until it has been written: a window that cannot be written must not be open.
func (c *claim) take(ctx context.Context, now time.Time) error {
	err := c.write(ctx, now)
	if err != nil {
		c.of.telling.Lock()
		c.unwritten.Store(true)
		c.of.untold = append(c.of.untold, c)
		c.of.telling.Unlock()
	}
	return err
}

// catchUp writes what could not be written when it was taken.
func (d *deliveries) catchUp(ctx context.Context, now time.Time) error {
	d.telling.Lock()
	defer d.telling.Unlock()
	for len(d.untold) > 0 {
		if err := d.untold[0].write(ctx, now); err != nil {
			return err
		}
		if d.untold[0].locked {
			d.shared.free(d.untold[0].keys)
		}
		d.untold = d.untold[1:]
	}
	return nil
}

func (c *claim) write(ctx context.Context, now time.Time) error {
	tx, err := c.of.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("remembering a delivery: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	for _, k := range c.keys {
		if _, err := tx.ExecContext(ctx, `INSERT INTO webhook_delivery (key, body, expires) VALUES ($1, $2, $3)
			ON CONFLICT (key) DO UPDATE SET body = excluded.body, expires = excluded.expires`, k.key[:], c.body, k.expires.UnixMilli()); err != nil {
			return fmt.Errorf("remembering a delivery: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM webhook_delivery WHERE key IN (SELECT key FROM webhook_delivery WHERE expires <= $1 LIMIT $2)`, now.UnixMilli(), sweepRows); err != nil {
		return fmt.Errorf("forgetting old deliveries: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("remembering a delivery: %w", err)
	}
	return nil
}

// end gives the claim back, so that a repetition is judged by what take has
// written. It may be called twice.
func (c *claim) end() {
	c.once.Do(func() {
		if c.locked && !c.unwritten.Load() {
			c.of.shared.free(c.keys)
		}
		c.of.mu.Lock()
		for _, k := range c.keys {
			delete(c.of.runs, k.key)
		}
		c.of.mu.Unlock()
		close(c.done)
	})
}
