package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// TypeGap is the type of the leaf about a period in which something went on that the
// log does not know, or about events that were lost (invariant A18). The log writes it.
const TypeGap = "log.gap"

// Causes of gaps, in their leaves.
const (
	// GapFailed: a write or sync had failed, and the process takes no event any more.
	GapFailed = "write_failed"
	// GapDisk: the disk was nearly full; GapLag: checkpoints hung.
	GapDisk = "disk_low"
	GapLag  = "checkpoints_late"
	// GapSilent: the log did not answer in time.
	GapSilent = "no_answer"
	// GapMarker: the marker itself was damaged; what it counted is not known.
	GapMarker = "marker_damaged"
	// GapRepair: `caregate audit repair` gave up what could not be read.
	GapRepair = "repair"
)

// GapKind says what went on without an event.
type GapKind uint8

const (
	// GapRequest was forwarded.
	GapRequest GapKind = iota
	// GapResponse was released.
	GapResponse
	// GapRefused was refused: nothing passed, and nobody can look it up.
	GapRefused
	// GapPart is a window or the end of a body that streams.
	GapPart
)

// Unrecorded is one thing that goes on although the log did not take its event.
type Unrecorded struct {
	Route    string
	Kind     GapKind
	Released []Count
	// Cause is what Reserve or Wait said.
	Cause error
}

// GapRoute counts what went on over one route; "*" stands for further routes.
type GapRoute struct {
	Route string `json:"route"`
	// Requests were forwarded and Responses released without an event; Refused were
	// turned away.
	Requests  int64 `json:"requests"`
	Responses int64 `json:"responses"`
	Refused   int64 `json:"refused"`
}

// Gap is what a log.gap leaf says.
type Gap struct {
	// ID is the event, and what answers were marked with meanwhile.
	ID ID
	// Index is the entry, -1 for a gap that has no leaf yet.
	Index int64
	Cause string
	// From is when it began; Last when the last thing happened that was counted; To
	// when the log took events again, zero for a gap that is still open. In ms since
	// 1970, by the gateway's clock.
	From, Last, To int64
	// Routes and Released count what passed, as far as known: a process that was killed
	// meanwhile takes the counts of its last second along.
	Routes   []GapRoute
	Released []Count
	// Lost says what a repair gave up, by part of the log, in words; Details are the
	// ranges of sealed details among that.
	Lost    map[string]string
	Details []LostDetails
}

// Bounds of what one gap counts apart. Routes and classes are of configured and closed
// lists; what is over is counted together.
const (
	maxGapRoutes  = 64
	maxGapClasses = maxCounts - 1
	// maxPending bounds the gaps that wait for their leaf. More cannot be told apart.
	maxPending = 4
)

// gapTick is how often an open gap writes its counts down and asks whether the log
// takes events again; gapWait bounds the wait for its leaf.
const (
	gapTick = time.Second
	gapWait = 5 * time.Second
)

// gaps keeps the marker. Its mutex is held while the marker is written: whoever passes
// unrecorded must wait for that, and nobody else takes it but metrics.
type gaps struct {
	path string

	mu     sync.Mutex
	ready  bool // PermitGaps was called; guarded by mu, like all below
	seq    uint64
	state  gapState
	open   *gapRecord // the last of state, nil when none is open
	dirty  bool
	broken error // the marker cannot be written any more
	stop   chan struct{}
	done   chan struct{} // closed when the loop has ended; nil when none ran
	closed bool
}

// PermitGaps prepares for routes that may go on while the log takes no events: it makes
// the marker that Unrecorded writes, with all the room that it will need. Configurations
// that permit it say so in the log first.
func (l *Log) PermitGaps() error {
	g := &l.core.gaps
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ready {
		return nil
	}
	if err := ensureGapFile(g.path); err != nil {
		return fmt.Errorf("preparing for gaps in the audit log: %w", err)
	}
	g.ready = true
	return nil
}

// Unrecorded notes that something goes on without an event, and returns the gap that it
// belongs to. When it returns no error, a durable marker outside of the log says that
// there is a gap; its leaf comes when the log takes events again. Any error means that
// nothing may go on: gaps were not permitted, the marker cannot be written, or the log
// is only overloaded, closed, or refuses this one event.
func (l *Log) Unrecorded(u Unrecorded) (ID, error) {
	if !gapCause(u.Cause) {
		return ID{}, fmt.Errorf("no reason for a gap in the audit log: %w", u.Cause)
	}
	c, g := l.core, &l.core.gaps
	now := c.clock.wallMS()
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !g.ready, g.closed:
		return ID{}, fmt.Errorf("gaps in the audit log are not permitted: %w", u.Cause)
	case g.broken != nil:
		return ID{}, g.broken
	}
	if g.open != nil {
		g.open.count(&u, now)
		g.dirty = true
		return mustID(g.open.ID), nil
	}
	r := &gapRecord{ID: NewID().String(), Cause: c.gapCode(u.Cause), From: now}
	r.count(&u, now)
	g.open = r
	g.state.Gaps = append(g.state.Gaps, r)
	if err := g.write(); err != nil {
		return ID{}, err
	}
	c.log().Error("audit log: calls pass that it does not know", "gap", r.ID, "cause", r.Cause)
	if g.stop == nil {
		g.stop, g.done = make(chan struct{}), make(chan struct{})
		go c.gapLoop(g.stop, g.done)
	}
	return mustID(r.ID), nil
}

// gapCause tells the states in which the log cannot write from those that a caller can
// bring about: a flood, or an event that does not fit.
func gapCause(err error) bool {
	return err != nil && !errors.Is(err, ErrOverloaded) && !errors.Is(err, ErrEvent) && !errors.Is(err, ErrClosed)
}

// gapCode names the cause in a closed list.
func (c *core) gapCode(err error) string {
	switch {
	case errors.Is(err, ErrPoisoned):
		return GapFailed
	case errors.Is(err, ErrGated) && c.lag() > lagClose:
		return GapLag
	case errors.Is(err, ErrGated):
		return GapDisk
	}
	return GapSilent
}

// mustID reads an id that this process made or checked.
func mustID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic("audit: an id of ours does not parse")
	}
	return id
}

// count adds one thing to the gap.
func (r *gapRecord) count(u *Unrecorded, now int64) {
	r.Last = max(r.Last, now)
	i := slices.IndexFunc(r.Routes, func(c *GapRoute) bool { return c.Route == u.Route })
	if i < 0 && len(r.Routes) >= maxGapRoutes {
		i = len(r.Routes) - 1
		r.Routes[i].Route = "*"
	}
	if i < 0 {
		i = len(r.Routes)
		r.Routes = append(r.Routes, &GapRoute{Route: u.Route})
	}
	switch route := r.Routes[i]; u.Kind {
	case GapRequest:
		route.Requests++
	case GapResponse:
		route.Responses++
	case GapRefused:
		route.Refused++
		return // nothing was released
	}
	if r.Released == nil {
		r.Released = map[string]Count{}
	}
	for _, n := range u.Released {
		have, known := r.Released[n.Class]
		if !known && len(r.Released) >= maxGapClasses {
			n.Class = "(others)"
			have = r.Released[n.Class]
		}
		r.Released[n.Class] = Count{
			Class: n.Class, Clear: have.Clear + n.Clear, Masked: have.Masked + n.Masked, Tokenized: have.Tokenized + n.Tokenized,
			Dropped: have.Dropped + n.Dropped, NotInspected: have.NotInspected + n.NotInspected,
		}
	}
}

// write makes the state durable; g.mu is held. After an error the marker is given up:
// what is behind a failed sync cannot be known.
func (g *gaps) write() error {
	if g.broken != nil {
		return g.broken
	}
	g.seq++
	if err := writeGapFile(g.path, g.seq, &g.state); err != nil {
		g.broken = err
		return err
	}
	g.dirty = false
	return nil
}

// gapLoop serves gaps until none is left or stop is closed.
func (c *core) gapLoop(stop, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(gapTick)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if c.takesEvents() {
			ctx, cancel := context.WithTimeout(context.Background(), gapWait)
			if err := c.settleGaps(ctx); err != nil {
				c.log().Error("audit log: a gap could not be recorded yet", "error", err)
			}
			cancel()
		}
		g := &c.gaps
		g.mu.Lock()
		if g.dirty {
			if err := g.write(); err != nil {
				c.log().Error("audit log: nothing passes any more: the marker of the gap cannot be written", "error", err)
			}
		}
		if len(g.state.Gaps) == 0 && g.stop == stop {
			g.stop = nil
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
	}
}

// takesEvents reports whether ordinary events would be taken now.
func (c *core) takesEvents() bool { return c.refused.Load() == nil && c.health.gate.Load() == nil }

// settleGaps writes the leaf of each gap in the marker and takes it out. It may be
// repeated at any time: a leaf that is there already is not written again.
func (c *core) settleGaps(ctx context.Context) error {
	g := &c.gaps
	g.mu.Lock()
	none := len(g.state.Gaps) == 0
	g.mu.Unlock()
	if none {
		return nil
	}
	// A log that hangs takes events into its queue too.
	if _, err := c.q.barrier().Wait(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	if g.open != nil && len(g.state.Gaps) <= maxPending {
		// From here on nothing is counted in it any more: should the outcome of its leaf
		// be unknown, what comes after is another gap.
		g.open.To = c.clock.wallMS()
		g.open = nil
		if err := g.write(); err != nil {
			g.mu.Unlock()
			return err
		}
	}
	var due []*gapRecord
	for _, r := range g.state.Gaps {
		if r != g.open {
			due = append(due, r)
		}
	}
	g.mu.Unlock()

	for _, r := range due {
		if err := c.recordGap(ctx, r); err != nil {
			return err
		}
		g.mu.Lock()
		g.state.Gaps = slices.DeleteFunc(g.state.Gaps, func(o *gapRecord) bool { return o == r })
		err := g.write()
		g.mu.Unlock()
		if err != nil {
			return err
		}
		c.log().Warn("audit log: a gap is on record", "gap", r.ID, "cause", r.Cause)
	}
	return nil
}

// recordGap makes the leaf of a gap durable, once.
func (c *core) recordGap(ctx context.Context, r *gapRecord) error {
	id := mustID(r.ID)
	if _, err := (&Log{core: c}).Find(ctx, id); err == nil || !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err := c.appendOwn(r.event(id)).Wait(ctx)
	return err
}

// event is the leaf of a gap.
func (r *gapRecord) event(id ID) *Event {
	attrs := map[string]string{"cause": r.Cause}
	for name, ms := range map[string]int64{"from": r.From, "last": r.Last, "to": r.To} {
		if ms > 0 {
			attrs[name] = strconv.FormatInt(ms, 10)
		}
	}
	if len(r.Routes) > 0 {
		attrs["routes"] = encodeGapRoutes(r.Routes)
	}
	for name, v := range r.Attrs {
		attrs[name] = v
	}
	actor, _ := parsePseudonym(r.Actor) // checked when it was read
	e := &Event{ID: id, Type: TypeGap, Attrs: attrs, Actor: actor, Details: r.Details}
	if len(r.Details) > 0 {
		e.Retention = "administration"
	}
	for class, n := range r.Released {
		n.Class = class
		e.Released = append(e.Released, n)
	}
	slices.SortFunc(e.Released, func(a, b Count) int { return cmp.Compare(a.Class, b.Class) })
	return e
}

// encodeGapRoutes writes the counts as JSON that fits into a leaf. What does not fit
// is counted together under "*".
func encodeGapRoutes(list []*GapRoute) string {
	routes := make([]GapRoute, len(list))
	for i, r := range list {
		routes[i] = *r
	}
	slices.SortFunc(routes, func(a, b GapRoute) int { return cmp.Compare(a.Route, b.Route) })
	for {
		text, err := json.Marshal(routes)
		if err != nil {
			panic("audit: counts of routes cannot be encoded: " + err.Error()) // strings and integers
		}
		n := len(routes)
		if len(text) <= maxValue || n < 2 {
			return string(text)
		}
		last, rest := routes[n-1], &routes[n-2]
		*rest = GapRoute{Route: "*", Requests: rest.Requests + last.Requests, Responses: rest.Responses + last.Responses, Refused: rest.Refused + last.Refused}
		routes = routes[:n-1]
	}
}

// gapOf reads a log.gap leaf.
func gapOf(idx int64, l *Leaf) (Gap, error) {
	g := Gap{ID: l.ID, Index: idx, Cause: l.Attrs["cause"], Released: l.Released}
	for name, v := range l.Attrs {
		var err error
		switch name {
		case "cause":
		case "from":
			g.From, err = strconv.ParseInt(v, 10, 64)
		case "last":
			g.Last, err = strconv.ParseInt(v, 10, 64)
		case "to":
			g.To, err = strconv.ParseInt(v, 10, 64)
		case "routes":
			err = json.Unmarshal([]byte(v), &g.Routes)
		case attrLostDetails:
			g.Details, err = parseLostDetails(v)
		default:
			if g.Lost == nil {
				g.Lost = map[string]string{}
			}
			g.Lost[name] = v
		}
		if err != nil {
			return g, fmt.Errorf("the leaf of a gap has no readable %s", name)
		}
	}
	return g, nil
}

// recoverGaps reads the marker that a former process left and puts what it says on
// record, before the log is handed out.
func (c *core) recoverGaps(ctx context.Context) error {
	g := &c.gaps
	g.mu.Lock()
	seq, s, err := readGapFile(g.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		g.mu.Unlock()
		return nil
	case errors.Is(err, errGapFile):
		now := c.clock.wallMS()
		s = &gapState{Gaps: []*gapRecord{{ID: NewID().String(), Cause: GapMarker, From: now, Last: now}}}
		if err = makeGapFile(g.path); err == nil {
			seq = 1
			err = writeGapFile(g.path, seq, s)
		}
	}
	if err != nil {
		g.mu.Unlock()
		return err
	}
	g.seq, g.state = seq, *s
	for _, r := range g.state.Gaps {
		if r.To == 0 {
			r.To = c.clock.wallMS()
		}
	}
	g.mu.Unlock()
	return c.settleGaps(ctx)
}

// closeGaps ends the loop. It puts an open gap on record when the log can, and
// otherwise leaves it to the next process.
func (c *core) closeGaps() {
	g := &c.gaps
	g.mu.Lock()
	g.closed = true
	stop, done := g.stop, g.done
	g.stop = nil
	g.mu.Unlock()
	if stop != nil {
		close(stop)
	}
	if done != nil {
		<-done
	}
	if c.refused.Load() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), gapWait)
		defer cancel()
		if err := c.settleGaps(ctx); err != nil {
			c.log().Error("audit log: the next start records the gap", "error", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dirty {
		if err := g.write(); err != nil {
			c.log().Error("audit log: the last counts of the gap are lost", "error", err)
		}
	}
}

// Gap returns the gap that is open, or waits for its leaf; ok is false when there is
// none.
func (l *Log) Gap() (gap Gap, ok bool) {
	g := &l.core.gaps
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.state.Gaps); n > 0 {
		return g.state.Gaps[n-1].gap(), true
	}
	return Gap{}, false
}

// GapsPossible is nil while Unrecorded would let something go on.
func (l *Log) GapsPossible() error {
	g := &l.core.gaps
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ready {
		return errors.New("gaps in the audit log are not permitted")
	}
	return g.broken
}

func (r *gapRecord) gap() Gap {
	g := Gap{ID: mustID(r.ID), Index: -1, Cause: r.Cause, From: r.From, Last: r.Last, To: r.To, Lost: maps.Clone(r.Attrs)}
	if text, ok := g.Lost[attrLostDetails]; ok {
		delete(g.Lost, attrLostDetails)
		g.Details, _ = parseLostDetails(text) // the leaf's reader tells when it is none
	}
	for _, n := range r.Routes {
		g.Routes = append(g.Routes, *n)
	}
	g.Released = r.event(g.ID).Released
	return g
}

// pendingGaps reads which gaps the marker in the data directory knows that are not on
// record yet.
func pendingGaps(dir string) ([]Gap, error) {
	_, s, err := readGapFile(filepath.Join(dir, gapFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Gap
	for _, r := range s.Gaps {
		out = append(out, r.gap())
	}
	return out, nil
}
