package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Any knows whether a table has something that counts, so that a deployment in which nothing
// does asks the database nothing. It may be used concurrently.
type Any struct {
	db    *DB
	query string

	some atomic.Bool
	// looking is held by whoever asks the database and changes some after that.
	//
	// shared: another process may add the first one. Then looked is when the database was
	// asked last, in nanoseconds after start.
	shared bool
	start  time.Time
	looked atomic.Int64
	// failed is when a question was begun last that got no answer.
	failed  atomic.Int64
	looking sync.Mutex
}

// How old it may be what is known of what other processes add: from the first on somebody
// asks, from the second on everybody waits for the answer. The second, with lookTime, is what
// the first one of a deployment takes to count everywhere.
const (
	lookAfter = 400 * time.Millisecond
	lookAtOld = 700 * time.Millisecond
	lookTime  = 300 * time.Millisecond
)

// NewAny returns an Any about what one has: FROM and WHERE of a statement, constants of the
// program. It asks once.
func NewAny(ctx context.Context, db *DB, one string) (*Any, error) {
	a := &Any{db: db, query: `SELECT count(*) FROM (SELECT 1 ` + one + ` LIMIT 1) f`, shared: db.Dialect == Postgres, start: time.Now()}
	if err := a.look(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Any) look(ctx context.Context) error {
	begun := time.Since(a.start)
	var n int
	if err := a.db.QueryRowContext(ctx, a.query).Scan(&n); err != nil {
		return fmt.Errorf("looking for whether there is any: %w", err)
	}
	a.some.Store(n > 0)
	a.looked.Store(int64(begun))
	return nil
}

// Some tells whether there is one. On SQLite, which has one process, it reads one word of
// memory. On PostgreSQL it asks the database a few times a second, whoever calls, and what
// another process added is known within a second. While the database does not answer, there
// may be one: whoever needs to know which asks on, and has the error.
func (a *Any) Some(ctx context.Context) bool {
	if !a.shared {
		return a.some.Load()
	}
	age := func() time.Duration { return time.Since(a.start) - time.Duration(a.looked.Load()) }
	came := int64(time.Since(a.start))
	switch old := age(); {
	case old < lookAfter:
		return a.some.Load()
	case old < lookAtOld:
		if !a.looking.TryLock() {
			return a.some.Load()
		}
	default:
		a.looking.Lock()
	}
	defer a.looking.Unlock()
	if age() < lookAfter { // somebody was faster
		return a.some.Load()
	}
	begun := int64(time.Since(a.start))
	if a.failed.Load() > came { // no use in waiting one behind the other
		return true
	}
	limited, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if a.look(limited) != nil {
		if ctx.Err() == nil {
			a.failed.Store(begun)
		}
		return true
	}
	return a.some.Load()
}

// Added notes that a transaction of this process that may have added one has ended, however it
// has.
func (a *Any) Added() {
	a.looking.Lock() // an answer from before the commit must not come after it
	defer a.looking.Unlock()
	a.some.Store(true)
}

// Removed asks the database again, after a transaction that took some away. After a failure
// one is looked for in vain, and none is missed.
func (a *Any) Removed(ctx context.Context) {
	a.looking.Lock()
	defer a.looking.Unlock()
	_ = a.look(ctx)
}

// Age has the next call of Some ask, where it asks at all: for tests.
func (a *Any) Age() { a.looked.Store(-int64(time.Hour)) }
