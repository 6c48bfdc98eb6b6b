package proxy

import (
	"context"
	"time"
)

// Bounds of looking back for entries that turned up late.
const (
	// trailLookEvery is how often it is done at most. Vendors that write late write hours late,
	// and the entries keep their own times.
	trailLookEvery = time.Hour
	// trailLookShare is how many times as long as a look took nothing is looked for: a busy
	// vendor's log is read twice at the price of a twentieth.
	trailLookShare = 20
	// trailLookPages are read at one look at most: reading on waits meanwhile.
	trailLookPages = 200
	// trailLookTries are made of a page; what stays unreadable was read before.
	trailLookTries = 3
)

// openBack begins a window over what was read before, when it is time for that. It never
// moves the place up to which the trail was read. Entries that the log has are known by
// their ids, so only what is new there is recorded.
func (p *poller) openBack() bool {
	now := p.now().UTC()
	if p.trail.Overlap <= p.trail.Settles || now.Before(p.cur.Look) || p.end().Sub(p.cur.Until) > 2*p.every+p.trail.Settles {
		return false // reading on goes first, for a gateway that was away
	}
	from := p.cur.Until.Add(-p.trail.Overlap)
	if from.Before(p.cur.Begun) {
		from = p.cur.Begun
	}
	if keeps := p.trail.Keeps; keeps > 0 && from.Before(now.Add(-keeps)) {
		from = now.Add(-keeps)
	}
	if !from.Before(p.cur.Until.Add(-p.trail.Settles)) {
		p.cur.Look = now.Add(trailLookEvery) // every reading covers that
		return false
	}
	// Whether its pages are in order was told when they were read first.
	p.cur.Window = &trailWindow{From: from.Truncate(time.Second), To: p.cur.Until, Back: true, Disordered: true}
	return true
}

// looked ends a look that came to its end.
func (p *poller) looked(ctx context.Context) (more bool, err error) {
	w := p.cur.Window
	p.cur.Late += w.Entries - w.Repeated - w.Skipped
	p.cur.Window = nil
	p.cur.Look = p.now().UTC().Add(max(trailLookEvery, trailLookShare*time.Duration(w.Pages)*trailPace))
	return true, p.save(ctx)
}

// lookedEnough ends a look that did not come to its end, and says so.
func (p *poller) lookedEnough(ctx context.Context) (more bool, err error) {
	w := p.cur.Window
	from := w.From
	if p.trail.Ascending && w.Last.After(from) {
		from = w.Last
	}
	if err := p.gap(ctx, gapLate, from, w.To, nil); err != nil {
		return false, err
	}
	return p.looked(ctx)
}

// lookFailed counts what went wrong while looking back. It must not keep what is new
// from being read for long.
func (p *poller) lookFailed(ctx context.Context, cause error) (more bool, err error) {
	w := p.cur.Window
	if w.Failed++; w.Failed < trailLookTries {
		if err := p.save(ctx); err != nil {
			return false, err
		}
		return false, cause
	}
	return p.lookedEnough(ctx)
}
