package vault

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// When the write-ahead log of a SQLite file is moved into the file. A commit that finds it
// long would move it itself, and a hundred others would wait for that.
const (
	moveEvery = time.Second // how often it is looked at
	moveFrom  = 16 << 20    // bytes that are worth it
	moveIdle  = 60          // looks after which fewer are moved too
	moveStuck = 30          // tries in a row that did not move all, after which somebody should know
	// Passes are made beside the writer until one moves less than moveFew pages, movePasses
	// at most: what is written during a pass the next one moves.
	moveFew    = 1000
	movePasses = 4
	// moveHold is how long the writer waits at most for a pass that syncs the file. There are
	// syncRounds of them at most, until less than syncFew pages were written during one: the
	// writer waits for all of the last one.
	moveHold   = 2 * time.Millisecond
	syncRounds = 4
	syncFew    = 250
	// emptyWait is for how many milliseconds writers are held up, in this process and in
	// others, so that readers come to their end from whom the log could be emptied.
	emptyWait = 20
)

// mover moves the write-ahead log beside the calls that fill it.
type mover struct {
	// emptying is set when something stands in the log that was destroyed. It is cleared
	// with the vault's writing held, by whoever has emptied the log.
	emptying atomic.Bool
	// moving is held while somebody moves the log, because SQLite refuses a second one. It
	// is taken after the vault's writing.
	moving sync.Mutex
	stop   context.CancelFunc
	work   sync.WaitGroup
	// from is moveFrom in pages of the file.
	from int

	// Of the goroutine that looks: how many looks ago the log was moved, how many tries in
	// a row did not move all of it.
	looks, stuck int
}

// logState is what SQLite says of the log.
type logState struct {
	busy         int // 1 when somebody was in the way
	pages, moved int
}

// whole tells that nothing is left to be moved.
func (s logState) whole() bool { return s.busy == 0 && s.moved == s.pages }

// startMover begins to move the log, until stopMover. PostgreSQL does that itself.
func (v *Vault) startMover() {
	if v.db.Dialect != store.SQLite {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	v.mover.stop = cancel
	v.mover.work.Go(func() {
		tick := time.NewTicker(moveEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				v.lookAtLog(ctx)
			}
		}
	})
}

func (v *Vault) stopMover() {
	if v.mover.stop != nil {
		v.mover.stop()
	}
	v.mover.work.Wait()
}

// lookAtLog moves the log when it is worth that, whoever has written it, and tells once
// when that cannot be done for long.
func (v *Vault) lookAtLog(ctx context.Context) {
	m := &v.mover
	m.looks++
	whole, err := true, error(nil)
	if m.emptying.Load() {
		whole, err = v.moveLog(ctx)
	} else {
		var s logState
		s, err = v.checkpoint(ctx, v.db, "NOOP")
		if n := s.pages - s.moved; err == nil && n < m.from && (n == 0 || m.looks < moveIdle) {
			return
		} else if err == nil {
			whole, err = v.moveLog(ctx)
		}
	}
	m.looks = 0
	if ctx.Err() != nil {
		return
	}
	if err == nil && whole {
		if m.stuck >= moveStuck {
			v.log.Info("the write-ahead log of vault.db is moved into the file again")
		}
		m.stuck = 0
		return
	}
	if m.stuck++; m.stuck == moveStuck {
		if err == nil {
			err = errors.New("somebody reads the database all the time")
		}
		v.log.Warn("the write-ahead log of vault.db cannot be moved into the file: it grows, and what was destroyed may still stand in it", slog.Any("error", err))
	}
}

// moveLog moves what the log holds into the file, and tells whether nothing is left to be
// moved. Nearly all of that happens beside calls that write. Behind a pass that leaves
// nothing the log begins anew, and such a pass also syncs the file: calls wait for its
// begin only, in which it copies pages. What they write during the sync is less, and the next
// sync shorter, until the last one is so short that they wait for it. The log is empty then
// when something was destroyed.
func (v *Vault) moveLog(ctx context.Context) (whole bool, err error) {
	for pass, before := 0, 0; pass < movePasses; pass++ {
		s, err := v.movePages(ctx)
		if err != nil {
			return false, err
		}
		if s.moved-before < moveFew {
			break
		}
		before = s.moved
	}
	for range syncRounds {
		s, ended, err := v.beginSync(ctx)
		if err != nil || ended && !v.mover.emptying.Load() {
			return s.whole(), err
		}
		if s, err = v.checkpoint(ctx, v.db, "NOOP"); err != nil {
			return false, err
		}
		if s.pages == s.moved && !v.mover.emptying.Load() {
			return true, nil
		}
		if s.pages-s.moved < syncFew {
			break
		}
	}
	v.writing.Lock()
	defer v.writing.Unlock()
	if !v.mover.emptying.Load() {
		s, err := v.movePages(ctx)
		return s.whole(), err
	}
	if s, err := v.emptyLog(ctx); err != nil || s.busy != 0 {
		return false, err
	}
	v.mover.emptying.Store(false)
	return true, nil
}

// beginSync makes a pass while nobody writes for moveHold at most, and reports whether it
// ended within that.
func (v *Vault) beginSync(ctx context.Context) (s logState, ended bool, err error) {
	done := make(chan struct{})
	hold := time.NewTimer(moveHold)
	defer hold.Stop()
	v.writing.Lock()
	go func() {
		defer close(done)
		s, err = v.movePages(ctx)
	}()
	select {
	case <-done:
		ended = true
	case <-hold.C:
		select {
		case <-done: // while this goroutine waited for a processor
			ended = true
		default:
		}
	}
	v.writing.Unlock()
	<-done
	return s, ended, err
}

// movePages makes one pass.
func (v *Vault) movePages(ctx context.Context) (logState, error) {
	v.mover.moving.Lock()
	defer v.mover.moving.Unlock()
	return v.checkpoint(ctx, v.db, "PASSIVE")
}

// emptyLog moves what the log holds and cuts the file off, if nobody reads from it. For
// that SQLite keeps others from writing, for as long as the connection may wait, which
// is not long here.
func (v *Vault) emptyLog(ctx context.Context) (s logState, err error) {
	v.mover.moving.Lock()
	defer v.mover.moving.Unlock()
	conn, err := v.db.Conn(ctx)
	if err != nil {
		return s, fmt.Errorf("emptying the write-ahead log: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var was int
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&was); err != nil {
		return s, fmt.Errorf("emptying the write-ahead log: %w", err)
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", emptyWait)); err != nil {
		return s, fmt.Errorf("emptying the write-ahead log: %w", err)
	}
	defer func() {
		if _, errBack := conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout = %d", was)); errBack != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // nobody else gets it
		}
	}()
	return v.checkpoint(ctx, conn, "TRUNCATE")
}

// checkpoint has SQLite move the log in one of its modes. NOOP only looks.
func (v *Vault) checkpoint(ctx context.Context, in interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, mode string) (s logState, err error) {
	if err := in.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&s.busy, &s.pages, &s.moved); err != nil {
		return s, fmt.Errorf("moving the write-ahead log: %w", err)
	}
	return s, nil
}
