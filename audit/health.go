package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Health is the state of a running log, for metrics and readiness.
type Health struct {
	// QueuedEvents and QueuedBytes are reserved or waiting for the next commit, of at
	// most MaxEvents and MaxBytes.
	QueuedEvents, MaxEvents int
	QueuedBytes, MaxBytes   int64
	// Unsigned is how many events this process made durable that no checkpoint covers
	// yet, and Lag how long the oldest of them may have waited for one. Durable events
	// are safe; as long as no checkpoint covers them, a change would go unnoticed.
	Unsigned int64
	Lag      time.Duration
	// FreeDisk is the room on the log's file system in bytes, -1 where the system does
	// not tell.
	FreeDisk int64
	// Overdue says that the half year of the newest shard is over by the wall clock and
	// the next has not begun. For minutes that is normal.
	Overdue bool
}

// Bounds of a log in trouble. Between warn and close it says so once; beyond close it
// takes no ordinary events, so that administration and denials still find room and the
// end is a 503 and no failed write.
const (
	lagWarn   = time.Minute
	lagClose  = 15 * time.Minute
	diskWarn  = 2 << 30
	diskClose = 128 << 20

	healthInterval = time.Second
)

// health watches what the log needs. Its fields are atomic: Reserve reads gate for
// every exchange.
type health struct {
	// events counts committed, covered those under a checkpoint, since Open.
	events, covered atomic.Int64
	// signed is when a checkpoint last covered everything, in nanoseconds since boot.
	signed atomic.Int64
	free   atomic.Int64
	gate   atomic.Pointer[error]
}

// healthLoop looks at lag and disk until ctx ends. It is a goroutine of its own,
// because what it has to notice is an integrator that hangs.
func (c *core) healthLoop(ctx context.Context) {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	var lagging, low bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.failed:
			return
		case <-tick.C:
		}
		lag, free := c.lag(), c.cfg.free(c.dir)
		c.health.free.Store(free)
		if lagging != (lag > lagWarn) {
			if lagging = !lagging; lagging {
				c.log().Warn("audit log: no checkpoint covers the newest events", "lag", lag.Round(time.Second))
			} else {
				c.log().Info("audit log: checkpoints cover all events again")
			}
		}
		if low != (free >= 0 && free < diskWarn) {
			if low = !low; low {
				c.log().Warn("audit log: the disk is nearly full; when it is full, nothing passes", "free_bytes", free)
			} else {
				c.log().Info("audit log: there is room on the disk again", "free_bytes", free)
			}
		}
		c.setGate(lag, free)
	}
}

// setGate closes the log to ordinary events, or opens it again.
func (c *core) setGate(lag time.Duration, free int64) {
	var err error
	switch {
	case lag > lagClose:
		err = fmt.Errorf("%w: no checkpoint covers the events of the last %s", ErrGated, lag.Round(time.Second))
	case free >= 0 && free < diskClose:
		err = fmt.Errorf("%w: the disk has %d MiB left", ErrGated, free>>20)
	}
	was := c.health.gate.Load()
	switch {
	case err == nil && was != nil:
		c.health.gate.Store(nil)
		c.log().Info("audit log takes events again")
	case err != nil && was == nil:
		c.health.gate.Store(&err)
		c.log().Error("audit log takes no ordinary events", "error", err)
	}
}

// lag is how long the oldest event without a checkpoint may have waited.
func (c *core) lag() time.Duration {
	if c.health.events.Load() <= c.health.covered.Load() {
		return 0
	}
	return max(0, c.clock.mono()-time.Duration(c.health.signed.Load()))
}

// Health returns the log's state.
func (l *Log) Health() Health {
	c := l.core
	h := Health{
		MaxEvents: c.q.maxEvents, MaxBytes: c.q.maxBytes,
		Unsigned: max(0, c.health.events.Load()-c.health.covered.Load()), Lag: c.lag(), FreeDisk: c.health.free.Load(),
	}
	_, shard, _ := splitOrigin(l.Origin())
	h.Overdue = shard < shardName(c.clock.now())
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	h.QueuedEvents, h.QueuedBytes = c.q.events, c.q.bytes
	return h
}

// Recoverable is nil when the next process can be expected to open a log that failed in
// this one: its files are there, the disk takes writes and has room, the database
// answers. It changes nothing, and proves nothing about what the failed write left.
func (l *Log) Recoverable(ctx context.Context) (err error) {
	c := l.core
	if err := present(c.dir, c.cfg.Database); err != nil {
		return err
	}
	if free := c.cfg.free(c.dir); free >= 0 && free < diskClose {
		return fmt.Errorf("the disk has %d MiB left", free>>20)
	}
	probe := filepath.Join(c.dir, ".tmp-probe")
	err = store.WriteFile(probe, make([]byte, 64<<10), 0o600)
	if err = errors.Join(err, os.RemoveAll(probe)); err != nil {
		return err
	}
	db, err := store.Open(ctx, c.where(intakeFile), store.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil) // takes the right to write where that is one database's
	if err != nil {
		return err
	}
	return tx.Rollback()
}
