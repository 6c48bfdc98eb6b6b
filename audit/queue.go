package audit

import (
	"context"
	"fmt"
	"sync"
)

// Shares of the queue. A slot reserves room for two events before their size is
// known; nominalBytes is about the size of one with its details, and what an
// event really weighs replaces it when it is appended.
const (
	defaultQueueEvents = 1 << 16
	defaultQueueBytes  = 128 << 20
	nominalBytes       = 2 << 10
	slotEvents         = 2
	normalShare        = 90 // percent; the rest is the reserved lane
)

// Bounds of one commit: enough to fill a disk's sync with work, small enough that
// the last event of a full batch does not wait for milliseconds of inserting.
const (
	maxBatchRows  = 1024
	maxBatchBytes = 1 << 20
)

// queue holds what waits for the writer goroutine. Nothing under its mutex does
// I/O, so callers never wait for the disk here.
type queue struct {
	maxEvents int
	maxBytes  int64
	// wake tells the writer that there is work; one token is enough, because the
	// writer empties the queue each time.
	wake chan struct{}

	mu      sync.Mutex
	events  int // reserved and queued, guarded by mu like all below
	bytes   int64
	batches []*batch
	open    int // slots with events left
	closed  bool
	err     error // why the log is poisoned
	// held counts the slots of each client that names itself, see ReserveFor.
	held map[string]int
}

// batch is one group commit. Its entries belong to the queue's mutex until the
// writer takes it; receipts and err are written before done is closed and only
// read after.
type batch struct {
	entries  []entry
	rows     int
	bytes    int64
	halves   int  // entries whose slot has another event left
	ends     bool // with shard.closed: a commit is within one shard, and deleted as one
	done     chan struct{}
	receipts []Receipt
	err      error
}

// entry is one encoded event: its leaf, continuation leaves, sealed details.
type entry struct {
	id    ID
	leaf  encoded
	more  []encoded
	parts []Sealed
	bytes int64
	next  *identity // of shard.closed: the shard of all later events
}

// encoded is a leaf without its sequence number and previous hash, with its index
// row but for place and hash. buf goes back to leafBuffers after the commit.
type encoded struct {
	buf            *[]byte
	nseqAt, prevAt int
	digests        []DetailDigest
	view           *indexRow
}

// Slot is room in the queue for the two events of one exchange. Its methods may
// be called from several goroutines.
type Slot struct {
	log  *core
	left int // events not yet used, guarded by the queue's mutex like what follows
	// client holds this slot until left is zero; empty for nobody in particular.
	client string
}

// Wait is the future of one appended event.
type Wait struct {
	batch *batch
	at    int
	group *denials
	err   error
}

// reserve takes room for slotEvents. A client that is named gets no more than half of
// what it and nobody else could have: what it holds stays below what is free. However
// many slots it wants, others find room, and a client that is alone can have half of
// the queue. With n such clients each gets a part in n+1, and one part stays free.
func (q *queue) reserve(lane Lane, client string) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.refusal(); err != nil {
		return 0, err
	}
	events, bytes := q.maxEvents, q.maxBytes
	if lane == LaneNormal {
		events, bytes = events*normalShare/100, bytes*normalShare/100
	}
	if q.events+slotEvents > events || q.bytes+slotEvents*nominalBytes > bytes {
		return 0, ErrOverloaded
	}
	if client != "" {
		n := q.held[client] * slotEvents
		if n+slotEvents > events-q.events || int64(n+slotEvents)*nominalBytes > bytes-q.bytes {
			return 0, ErrOverloaded
		}
		if q.held == nil {
			q.held = make(map[string]int)
		}
		q.held[client]++
	}
	q.open++
	q.events += slotEvents
	q.bytes += slotEvents * nominalBytes
	return slotEvents, nil
}

// use takes n events from a slot, and ends its client's hold of it when nothing is
// left; q.mu is held.
func (q *queue) use(s *Slot, n int) {
	if n == 0 {
		return
	}
	if s.left -= n; s.left > 0 {
		return
	}
	q.open--
	if s.client == "" {
		return
	}
	if q.held[s.client]--; q.held[s.client] == 0 {
		delete(q.held, s.client)
	}
	s.client = ""
}

// refusal says why nothing may be queued; q.mu is held.
func (q *queue) refusal() error {
	if q.err != nil {
		return q.err
	}
	if q.closed {
		return ErrClosed
	}
	return nil
}

// push queues e for the next commit. With a slot it uses up one of its events;
// without one, or when the slot's are used up (the windows of a stream), there
// must be room for it in the whole queue.
func (q *queue) push(e entry, s *Slot) Wait {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.refusal(); err != nil {
		return Wait{err: err}
	}
	switch {
	case s != nil && s.left > 0:
		q.use(s, 1)
		q.bytes += e.bytes - nominalBytes
	case s != nil && (q.events >= q.maxEvents || q.bytes+e.bytes > q.maxBytes):
		return Wait{err: ErrOverloaded}
	default:
		// The log's own leaves (s == nil) are few and must not be lost.
		q.events++
		q.bytes += e.bytes
	}
	var b *batch
	if n := len(q.batches); n > 0 {
		b = q.batches[n-1]
	}
	if rows := 1 + len(e.more); b == nil || b.ends || b.rows+rows > maxBatchRows || b.bytes+e.bytes > maxBatchBytes {
		// A single event over the bounds gets a batch of its own: its continuation
		// leaves must not be torn apart.
		b = &batch{done: make(chan struct{})}
		q.batches = append(q.batches, b)
	}
	b.entries = append(b.entries, e)
	b.rows += 1 + len(e.more)
	b.bytes += e.bytes
	if s != nil && s.left > 0 {
		b.halves++
	}
	b.ends = e.next != nil
	q.signal()
	return Wait{batch: b, at: len(b.entries) - 1}
}

// signal wakes the writer without blocking.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// worth reports whether a commit need not wait for more events: rows of them are
// queued, or nobody is left who could bring another soon, or somebody waits for the
// end of the queue. An exchange waits for its first event before it has a second.
func (q *queue) worth(rows int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.batches) > 1 {
		return true
	}
	if len(q.batches) == 0 {
		return false
	}
	b := q.batches[0]
	return b.rows >= rows || b.rows == 0 || b.halves >= q.open
}

// take removes the oldest batch, nil when there is none.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		return nil
	}
	b := q.batches[0]
	q.batches = q.batches[1:]
	if len(q.batches) == 0 {
		q.batches = nil // do not hold the taken batch's memory
	}
	return b
}

// finish gives back the room of a committed batch and resolves its waits.
func (q *queue) finish(b *batch) {
	q.mu.Lock()
	q.events -= len(b.entries)
	q.bytes -= b.bytes
	q.mu.Unlock()
	b.entries = nil
	close(b.done)
}

// poison makes err the answer to every wait and every later call. Only the first
// cause counts.
func (q *queue) poison(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return
	}
	q.err = err
	for _, b := range q.batches {
		b.err = err
		close(b.done)
	}
	q.batches = nil
}

// close refuses further events; what is queued still commits.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// barrier queues an empty batch, also on a closed queue: its wait resolves when
// everything before it is committed and all due deletions are done.
func (q *queue) barrier() Wait {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return Wait{err: q.err}
	}
	b := &batch{done: make(chan struct{}), receipts: make([]Receipt, 1)}
	q.batches = append(q.batches, b)
	q.signal()
	return Wait{batch: b}
}

// Release gives back the events the slot has not used. It may be called more than
// once and after Append; a released slot still appends as far as the whole queue
// has room.
func (s *Slot) Release() {
	q := &s.log.q
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events -= s.left
	q.bytes -= int64(s.left) * nominalBytes
	q.use(s, s.left)
}

// useOne gives back one of the slot's events, for one that was counted together
// with others.
func (s *Slot) useOne() {
	q := &s.log.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.left > 0 {
		q.use(s, 1)
		q.events--
		q.bytes -= nominalBytes
	}
}

// Append queues an event and returns at once; it never touches the disk and knows
// no context, so a caller that hangs up cannot take its record back (the event is
// written even when nobody waits for it). The event's slices and maps are read
// before Append returns and not kept, but for the ciphertexts of its details, which
// must not change afterwards.
//
// The Wait fails at once with ErrEvent for an event that cannot be encoded, with
// ErrOverloaded for a third event when the queue is full, and with ErrClosed or
// ErrPoisoned.
func (s *Slot) Append(e Event) Wait {
	c := s.log
	if e.ID.IsZero() {
		e.ID = NewID()
	}
	if e.Decision == DecisionDeny && e.Flood != "" {
		if g := c.pace.join(c, &e); g != nil {
			s.useOne()
			return Wait{group: g}
		}
	}
	enc, err := c.encode(&e)
	if err != nil {
		return Wait{err: err}
	}
	return c.q.push(enc, s)
}

// Wait returns when the event is durable. Any error means that the caller must
// deny: ErrEvent, ErrOverloaded and ErrClosed say that nothing was stored,
// ErrUnknown that it may or may not have been (invariant A3). A cancelled context
// ends the wait with ErrUnknown, not the write. Wait may be called again.
func (w Wait) Wait(ctx context.Context) (Receipt, error) {
	if w.group != nil {
		select {
		case <-w.group.flushed:
			w = w.group.wait
		case <-ctx.Done():
			return Receipt{}, fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
		}
	}
	if w.err != nil {
		return Receipt{}, w.err
	}
	if w.batch == nil {
		return Receipt{}, fmt.Errorf("%w: nothing was appended", ErrEvent)
	}
	select {
	case <-w.batch.done:
	default:
		select {
		case <-w.batch.done:
		case <-ctx.Done():
			return Receipt{}, fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
		}
	}
	if w.batch.err != nil {
		return Receipt{}, w.batch.err
	}
	return w.batch.receipts[w.at], nil
}
