package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// commitTimeout bounds one transaction that writes, without its waiting for others of this
// process: far longer than a machine needs that is overloaded. One that writes for several
// calls is detached from them, and each call ends when its own context does. Only tests
// change it.
var commitTimeout = 30 * time.Second

// commitBatch is how many wishes one transaction fulfils at most; it keeps the
// database's one writer free for others after a few milliseconds.
const commitBatch = 1024

// errClosed is what calls after Close get.
var errClosed = errors.New("the vault is closed")

// group collects what calls want to have written. The first call that finds nobody at
// work runs the transactions, for itself and for all that come meanwhile; its own
// duration is the batching, as in a group commit. The zero group is ready, with commit
// set.
type group[W, R any] struct {
	// commit fulfils the wishes of a batch in one transaction and sets made of each job.
	commit func(ctx context.Context, batch []*job[W, R]) error
	// writing is shared by the groups of a vault: SQLite has one writer, and waits for
	// it by sleeping.
	writing *sync.Mutex

	mu      sync.Mutex // owns what follows
	queue   []*job[W, R]
	busy    bool           // somebody runs transactions
	stopped bool           // stop was called
	work    sync.WaitGroup // the one who runs them
	timer   *time.Timer    // for what later queued
}

// job is what one call waits for. made, one for each wish, and err are written before
// done is closed.
type job[W, R any] struct {
	wanted []W
	done   chan struct{}
	made   []R
	err    error
}

// stop refuses new work and waits for what is under way.
func (g *group[W, R]) stop() {
	g.mu.Lock()
	g.stopped = true
	if g.timer != nil {
		g.timer.Stop()
	}
	g.mu.Unlock()
	g.start()
	g.work.Wait()
}

// do has w written and returns what became of each. A cancelled ctx returns early; what
// was begun may still be completed.
func (g *group[W, R]) do(ctx context.Context, w []W) ([]R, error) {
	j := &job[W, R]{wanted: w, done: make(chan struct{})}
	g.mu.Lock()
	if g.stopped {
		g.mu.Unlock()
		return nil, errClosed
	}
	g.queue = append(g.queue, j)
	if !g.busy {
		g.busy = true
		// In a goroutine, so that a leader whose caller has gone does not leave the
		// others behind, and so that this call can obey ctx too. It ends when the
		// queue is empty; stop waits for it.
		g.work.Go(g.run)
	}
	g.mu.Unlock()
	select {
	case <-j.done:
		return j.made, j.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the vault: %w", ctx.Err())
	}
}

// laterTime is for how long later leaves a wish to be fulfilled together with others.
const laterTime = 100 * time.Millisecond

// later has w written with what the next call wants, or after laterTime, and nobody waits.
// Nobody hears of a failure either.
func (g *group[W, R]) later(w W) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return
	}
	g.queue = append(g.queue, &job[W, R]{wanted: []W{w}, done: make(chan struct{})})
	if !g.busy && g.timer == nil {
		g.timer = time.AfterFunc(laterTime, g.start)
	}
}

// start has the queue worked off when nobody does it.
func (g *group[W, R]) start() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer = nil
	if !g.busy && len(g.queue) > 0 {
		g.busy = true
		g.work.Go(g.run)
	}
}

// addMost bounds what add queues, in jobs.
const addMost = 1024

// add has w written some time, and nobody waits. It is dropped when there is too much
// to do, or stop was called.
func (g *group[W, R]) add(w W) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || len(g.queue) >= addMost {
		return
	}
	g.queue = append(g.queue, &job[W, R]{wanted: []W{w}, done: make(chan struct{})})
	if !g.busy {
		g.busy = true
		g.work.Go(g.run)
	}
}

// run works the queue off.
func (g *group[W, R]) run() {
	for {
		g.mu.Lock()
		var batch []*job[W, R]
		n := 0
		for len(g.queue) > 0 && (n == 0 || n+len(g.queue[0].wanted) <= commitBatch) {
			n += len(g.queue[0].wanted)
			batch = append(batch, g.queue[0])
			g.queue = g.queue[1:]
		}
		if len(batch) == 0 {
			g.busy, g.queue = false, nil
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		err := g.write(batch)
		for i, j := range batch {
			// What one call wants may be what cannot be written: a value for somebody who
			// was erased meanwhile. The others do not fail with it.
			if j.err = err; err != nil && len(batch) > 1 && !errors.Is(err, context.DeadlineExceeded) {
				j.err = g.write(batch[i : i+1])
			}
			if j.err != nil {
				j.made = nil
			}
			close(j.done)
		}
	}
}

// write runs one transaction.
func (g *group[W, R]) write(batch []*job[W, R]) error {
	g.writing.Lock()
	defer g.writing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := untangled(func() error { return g.commit(ctx, batch) })
	if err != nil && ctx.Err() != nil {
		// A transaction that was ended meanwhile may say only that it has ended.
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// begun is the context of statements in a transaction that has begun, and of nothing else that
// is done meanwhile. On SQLite none of them waits for anybody, and to watch a context while one runs costs more than most of them: the
// driver starts a goroutine for each, and wakes a processor for it. Tx.Commit asks the context
// that the transaction began with.
func (v *Vault) begun(ctx context.Context) context.Context {
	if v.db.Dialect == store.SQLite {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// untangled runs a transaction again that PostgreSQL has ended because another one, of
// another gateway, waited for its rows while it waited for that one's.
func untangled(do func() error) error {
	const tries = 5
	for n := 1; ; n++ {
		if err := do(); n == tries || !store.IsDeadlock(err) {
			return err
		}
	}
}
