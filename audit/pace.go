package audit

import (
	"strconv"
	"sync"
	"time"
)

// Pacing of denials: a caller that is refused ten thousand times a second must
// leave a trace but not fill the log. Its first Config.DenyRate denials of a
// second are leaves of their own; further ones join a group that is written as
// one leaf, denials.counted, after denialWindow. Their waits resolve with that
// leaf's receipt, so each denial is still durable before it is answered, and the
// flood is slowed by the window.
const (
	defaultDenyRate = 10
	denialWindow    = 100 * time.Millisecond
	// maxCallers bounds the callers remembered. Beyond it they share one account,
	// which can only count more together, never lose one.
	maxCallers = 4096
)

// pacer remembers who was denied in the current second.
type pacer struct {
	rate int
	mono func() time.Duration

	mu      sync.Mutex
	callers map[string]*caller // guarded by mu, like all below
	swept   time.Duration      // when finished callers were last forgotten
	closed  bool
}

type caller struct {
	since time.Duration // start of its current second
	n     int
	group *denials
}

// denials is one group under way. event, count and last belong to the pacer's
// mutex until the group is flushed; wait is written before flushed is closed.
type denials struct {
	event   Event
	count   int
	first   int64
	last    int64
	timer   *time.Timer
	flushed chan struct{}
	wait    Wait
}

// join returns the group that e was counted into, nil when e stands for itself.
func (p *pacer) join(c *core, e *Event) *denials {
	now := p.mono()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	key := e.Flood
	who := p.callers[key]
	if who == nil {
		if len(p.callers) >= maxCallers && now-p.swept >= time.Second {
			// Once a second at most: a flood under changing names must not make each
			// of its denials walk the whole map.
			p.forget(now)
			p.swept = now
		}
		if len(p.callers) >= maxCallers {
			key = ""
			who = p.callers[key]
		}
		if who == nil {
			who = &caller{since: now}
			p.callers[key] = who
		}
	}
	if now-who.since >= time.Second {
		who.since, who.n = now, 0
	}
	if who.group == nil {
		if who.n++; who.n <= p.rate {
			return nil
		}
		g := &denials{event: *e, first: c.clock.wallMS(), flushed: make(chan struct{})}
		// The group outlives the call: keep nothing that the caller may change.
		g.event.Roles, g.event.Released, g.event.Subjects, g.event.Records = nil, nil, nil, nil
		g.event.Tokens, g.event.Details, g.event.Attrs, g.event.Input = nil, nil, nil, ""
		g.event.Exchange, g.event.Type = ID{}, TypeDenialsCounted
		g.timer = time.AfterFunc(denialWindow, func() { p.flush(c, key, g) })
		who.group = g
	}
	who.group.count++
	who.group.last = c.clock.wallMS()
	return who.group
}

// forget drops the callers whose second is over; p.mu is held.
func (p *pacer) forget(now time.Duration) {
	for key, who := range p.callers {
		if who.group == nil && now-who.since >= time.Second {
			delete(p.callers, key)
		}
	}
}

// flush writes a group as one leaf. Only the first of several calls does.
func (p *pacer) flush(c *core, key string, g *denials) {
	p.mu.Lock()
	who := p.callers[key]
	if who == nil || who.group != g {
		p.mu.Unlock()
		return
	}
	who.group = nil
	g.event.Attrs = map[string]string{
		"count":    strconv.Itoa(g.count),
		"first_ms": strconv.FormatInt(g.first, 10),
		"last_ms":  strconv.FormatInt(g.last, 10),
	}
	p.mu.Unlock()
	g.wait = c.appendOwn(&g.event)
	close(g.flushed)
}

// close writes the groups under way; later denials stand for themselves.
func (p *pacer) close(c *core) {
	p.mu.Lock()
	p.closed = true
	open := map[string]*denials{}
	for key, who := range p.callers {
		if who.group != nil && who.group.timer.Stop() {
			open[key] = who.group
		}
	}
	p.mu.Unlock()
	for key, g := range open {
		p.flush(c, key, g)
	}
}
