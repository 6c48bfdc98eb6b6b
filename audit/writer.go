package audit

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// writer is the state of the writer goroutine: nobody else touches it while the
// goroutine runs.
type writer struct {
	at     position  // the last leaf written
	pruned position  // events up to here are deleted
	began  time.Time // when the last commit did
	rows   int       // events that it wrote
}

// A commit costs about a tenth of a millisecond of processor time however small
// it is, most of it in the kernel. A log so busy that crowdRows gathered while one
// commit ran lets the next gather until gatherTime after the beginning of the
// last, or until gatherRows make the commit worth its price, or until every exchange
// that could bring an event waits for this commit. Fewer rows are waited for less:
// rows that come more slowly than one in gatherPer wait less each time, until the log
// no longer waits at all. A log that is less busy never waits.
const (
	crowdRows  = 4
	gatherRows = 64
	gatherPer  = 300 * time.Microsecond
	gatherTime = 4 * time.Millisecond
)

// writeLoop commits what is queued until stop is closed. While one commit syncs,
// the next batch collects.
func (c *core) writeLoop() {
	defer close(c.writerDone)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-c.q.wake:
		case <-c.stopWriter:
			return
		}
		for more := true; more; more = c.writeOnce() {
			c.gather(pause)
		}
	}
}

// gather waits for company for the queued events, see crowdRows.
func (c *core) gather(pause *time.Timer) {
	if c.w.rows < crowdRows {
		return
	}
	rest := min(time.Duration(c.w.rows)*gatherPer, gatherTime) - time.Since(c.w.began)
	if rest <= 0 {
		return
	}
	pause.Reset(rest)
	for !c.q.worth(gatherRows) {
		select {
		case <-c.q.wake:
		case <-pause.C:
			return
		}
	}
}

// writeOnce commits the oldest batch with a bounded part of the due deletions. It
// reports whether there may be more to do.
func (c *core) writeOnce() bool {
	c.tidyWAL()
	b := c.q.take()
	due := c.nextPrune()
	if b == nil && due == nil {
		return false
	}
	if err := c.commit(b, due); err != nil {
		// The transaction may have reached the disk, wholly or not: unknown for this
		// batch and the end for this process. A second sync after a failed one can
		// report success for pages that were dropped, so nothing is tried again.
		err = fmt.Errorf("%w: %w: %w", ErrUnknown, ErrPoisoned, err)
		c.fail(err)
		if b != nil {
			b.err = err
			c.q.finish(b)
		}
		return false
	}
	if b != nil {
		if len(b.entries) == 0 && c.nextPrune() != nil {
			// A barrier also waits for the deletions.
			for due := c.nextPrune(); due != nil; due = c.nextPrune() {
				if err := c.commit(nil, due); err != nil {
					c.fail(fmt.Errorf("%w: %w", ErrPoisoned, err))
					b.err = err
					break
				}
			}
		}
		c.q.finish(b)
	}
	return true
}

// commit makes one transaction: a clock.stepped leaf when the clock jumped, the
// batch's leaves in order, the deletions. b and due may be nil.
func (c *core) commit(b *batch, due *position) error {
	if err := c.refused.Load(); err != nil {
		return *err
	}
	w := &c.w
	var g group
	var next *identity
	at := w.at
	w.began, w.rows = time.Now(), 0
	if b != nil && len(b.entries) > 0 {
		g.rows, g.events = make([]row, 0, b.rows+1), make([]byte, 0, b.bytes+eventSlack*int64(b.rows))
		if jump := c.clock.step(); jump != 0 {
			e, err := c.encode(&Event{ID: NewID(), Type: TypeClockStepped, Attrs: map[string]string{
				"jump_ms": strconv.FormatInt(jump.Milliseconds(), 10),
			}})
			if err != nil {
				return err
			}
			at = g.add(&e.leaf, nil, c.epoch, at)
			e.free()
		}
		b.receipts = make([]Receipt, len(b.entries))
		for i := range b.entries {
			e := &b.entries[i]
			at = g.add(&e.leaf, e.parts, c.epoch, at)
			b.receipts[i] = Receipt{ID: e.id, LeafHash: at.hash}
			next = cmp.Or(e.next, next)
			for j := range e.more {
				at = g.add(&e.more[j], nil, c.epoch, at)
			}
			e.free()
		}
	}
	if len(g.rows) == 0 && due == nil {
		return nil // a barrier
	}
	if err := c.hooks.run(hookCommit); err != nil {
		return err
	}
	pruned, err := c.intake.write(&g, due)
	if err != nil {
		return err
	}
	if err := c.hooks.run(hookCommitted); err != nil {
		return err
	}
	if next != nil {
		c.current.Store(next) // for the pseudonyms of what comes
	}
	before := w.at
	w.at, w.rows = at, len(g.rows)
	c.health.events.Add(int64(len(g.rows)))
	if due != nil {
		w.pruned = pruned
	}
	if len(g.rows) > 0 {
		c.hand.give(before, g.rows, int64(len(g.events)))
	}
	return nil
}

// nextPrune is up to where the integrator allowed to delete, nil when that is done.
func (c *core) nextPrune() *position {
	target := c.prunable.Load()
	if target == nil || !c.w.pruned.before(*target) {
		return nil
	}
	return target
}

// tidyWAL finishes a WAL checkpoint which the integrator has prepared.
func (c *core) tidyWAL() {
	if !c.tidy.CompareAndSwap(true, false) || c.refused.Load() != nil {
		return
	}
	if w, ok := c.intake.commits.(*fileCommits); ok {
		if err := w.tidy(); err != nil {
			c.fail(fmt.Errorf("%w: %w", ErrPoisoned, err))
		}
	}
}

// fail poisons the log: the first error is the answer to everything from now on.
func (c *core) fail(err error) {
	if !c.refused.CompareAndSwap(nil, &err) {
		return
	}
	close(c.failed)
	c.q.poison(err)
	c.log().Error("audit log failed; no further event is acknowledged by this process", "error", err)
}
