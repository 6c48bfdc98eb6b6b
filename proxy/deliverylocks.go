package proxy

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// deliveryLocks tell the other gateways on a PostgreSQL database which deliveries are under
// way here. They are advisory locks of one session, which fall when the process ends: what
// was under way then is forgotten in all gateways, as it is in one. When the session is
// lost they are taken again in the next one; whoever came in between was let through as
// after a crash. Safe for concurrent use.
type deliveryLocks struct {
	db *store.DB

	turn chan struct{} // owns the others: who has put something in has the session
	conn *sql.Conn     // nil before the first, and when it was lost
	// held counts by number how many claims hold a lock here: one that was taken and could
	// not be written, and its repetition, hold the same.
	held map[int64]int
}

func newDeliveryLocks(db *store.DB) *deliveryLocks {
	return &deliveryLocks{db: db, turn: make(chan struct{}, 1), held: make(map[int64]int)}
}

// lockOf is the number of a key's lock. Two keys of one number would wait for each other,
// and no more.
func lockOf(k deliveryKey) int64 { return int64(binary.BigEndian.Uint64(k[:])) }

// try takes the locks of all keys or none, and says which. It does not wait. Each key's lock
// is held until it has been given back as often as it was taken.
func (l *deliveryLocks) try(ctx context.Context, keys []keptDelivery) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return false, fmt.Errorf("asking other gateways for a delivery: %w", ctx.Err())
	}
	if err := l.connect(ctx); err != nil {
		return false, fmt.Errorf("asking other gateways for a delivery: %w", err)
	}
	var mine []int64
	for _, k := range keys {
		n := lockOf(k.key)
		if l.held[n] > 0 {
			l.held[n]++
			mine = append(mine, n)
			continue
		}
		var got bool
		if err := l.conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, n).Scan(&got); err != nil {
			l.forget(mine)
			l.drop()
			return false, fmt.Errorf("asking other gateways for a delivery: %w", err)
		}
		if !got {
			l.unlock(ctx, mine)
			return false, nil
		}
		l.held[n] = 1
		mine = append(mine, n)
	}
	return true, nil
}

// connect makes sure of the session. A new one takes the locks of what is under way.
func (l *deliveryLocks) connect(ctx context.Context) error {
	if l.conn != nil {
		if l.conn.PingContext(ctx) == nil {
			return nil
		}
		l.drop()
	}
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	l.conn = conn
	for n := range l.held {
		// One that another gateway has taken meanwhile is no longer ours alone; what is under
		// way here ends all the same.
		if _, err := conn.ExecContext(ctx, `SELECT pg_try_advisory_lock($1)`, n); err != nil {
			l.drop()
			return err
		}
	}
	return nil
}

// free gives the locks of a delivery back that has ended.
func (l *deliveryLocks) free(keys []keptDelivery) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	var mine []int64
	for _, k := range keys {
		mine = append(mine, lockOf(k.key))
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	l.unlock(ctx, mine)
}

// lockTimeout bounds taking and giving back the locks of one delivery. When it is over the
// session ends, and with it all its locks.
const lockTimeout = 10 * time.Second

func (l *deliveryLocks) unlock(ctx context.Context, mine []int64) {
	mine = l.forget(mine)
	if l.conn == nil {
		return // they fell with the session
	}
	for _, n := range mine {
		if _, err := l.conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, n); err != nil {
			l.drop()
			return
		}
	}
}

// forget counts numbers as given back, and returns those that nobody here holds any more.
func (l *deliveryLocks) forget(mine []int64) (last []int64) {
	for _, n := range mine {
		if l.held[n]--; l.held[n] <= 0 {
			delete(l.held, n)
			last = append(last, n)
		}
	}
	return last
}

// drop ends the session with its locks, in place of giving it back to the pool.
func (l *deliveryLocks) drop() {
	_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = l.conn.Close()
	l.conn = nil
}

// close ends the session.
func (l *deliveryLocks) close() {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if l.conn != nil {
		l.drop()
	}
}
