package proxy

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
)

// eventAccessLapsed is the type of the event that somebody's right to see what stands behind
// tokens lapsed.
const eventAccessLapsed = "access.lapsed"

// reveals tells whether a call of the gateway's own API opens tokens.
func reveals(op console.Operation) bool { return strings.HasPrefix(op.Name, "token.reveal") }

// revealStanding is how a caller's right to reveal stands, from the first question about a
// call to its last.
type revealStanding struct {
	lapsed bool
	err    error
}

// known is why nobody knows whether a call may reveal, nil for other calls.
func (s revealStanding) known(op console.Operation) error {
	if !reveals(op) {
		return nil
	}
	return s.err
}

// revealStanding looks at the right of whoever calls the gateway's own API.
func (a *App) revealStanding(ctx context.Context, rules *rulesInForce, actor *policy.Actor) (s revealStanding) {
	if !rules.engine.Reveals(actor) {
		return s
	}
	s.lapsed, s.err = a.gen.data.RevealRights.See(ctx, actor.ID, rules.engine.RevealsUnusedFor())
	return s
}

// tellLapse tells the log of a right that has just lapsed, before a call that would use it is
// denied.
func (a *App) tellLapse(ctx context.Context, rules *rulesInForce) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := a.lapseRevealRights(ctx, rules.engine); err != nil {
		a.logger.Error("telling of a right to reveal that lapsed; it is tried again", errField(err))
	}
}

// mostRevealers bounds how many holders of the right are remembered in memory. Beyond that
// they are looked up again.
const mostRevealers = 4096

// noteRevealerTimeout is how long a governed call waits for the state database to note a holder.
const noteRevealerTimeout = time.Second

// noteRevealerPause is for how long no call waits for that after one waited in vain.
var noteRevealerPause = time.Minute

// seenRevealers are actors who need not be noted again, and until when nobody is noted.
type seenRevealers struct {
	mu     sync.Mutex
	ids    map[string]bool
	paused time.Time
}

// due tells whether an actor was not noted yet and may be at now.
func (s *seenRevealers) due(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ids[id] && !now.Before(s.paused)
}

func (s *seenRevealers) pause(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = until
}

func (s *seenRevealers) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil || len(s.ids) >= mostRevealers {
		s.ids = make(map[string]bool)
	}
	s.ids[id] = true
}

// noteRevealer notes that somebody who calls a governed system holds a right to reveal, once:
// the time begins in which it lapses unused. The call does not depend on it, and waits for it
// no longer than noteRevealerTimeout.
func (a *App) noteRevealer(ctx context.Context, rules *rulesInForce, actor *policy.Actor) {
	data := a.gen.data
	if !rules.engine.Reveals(actor) || !data.revealers.due(actor.ID, time.Now()) {
		return
	}
	see, cancel := context.WithTimeout(ctx, noteRevealerTimeout)
	defer cancel()
	if _, err := data.RevealRights.See(see, actor.ID, 0); err != nil {
		if ctx.Err() != nil { // the caller is gone
			return
		}
		data.revealers.pause(time.Now().Add(noteRevealerPause))
		a.logger.Warn("noting who holds a right to reveal; it is tried again", zap.String("actor", actor.ID), errField(err))
		return
	}
	data.revealers.add(actor.ID)
}

// lapseEvery is how often unused rights to reveal are looked for. They do not count from the
// instant on; this is when the log hears of it.
var lapseEvery = time.Minute

// watchRevealRights ends unused rights to reveal until this configuration is given up.
func (a *App) watchRevealRights(tick *time.Ticker) {
	ctx := a.running()
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !a.gen.acquire() { // so that the log is not closed meanwhile
			return
		}
		err := a.lapseRevealRights(ctx, a.rules().engine)
		if errClose := a.gen.release(); errClose != nil {
			a.logger.Error("closing the data directory", errField(errClose))
		}
		if err != nil && ctx.Err() == nil {
			a.logger.Error("ending unused rights to reveal", errField(err))
		}
	}
}

// lapseRevealRights ends the rights to reveal that a policy wants ended, and tells the log of
// each once.
func (a *App) lapseRevealRights(ctx context.Context, e *policy.Engine) error {
	after := e.RevealsUnusedFor()
	if after == 0 {
		return nil
	}
	d := a.gen.data
	return d.RevealRights.Lapse(ctx, after, func() [16]byte { return audit.NewID() }, func(ctx context.Context, r policy.RevealRight) error {
		ctx, cancel := context.WithTimeout(ctx, recordTimeout)
		defer cancel()
		attrs := map[string]string{"holder": r.Actor, "unused_days": strconv.Itoa(int(r.Lapsed.Sub(r.Since()) / day)), "first_seen": r.Seen.Format(time.RFC3339)}
		for name, at := range map[string]time.Time{"last_used": r.Used, "renewed": r.Renewed} {
			if !at.IsZero() {
				attrs[name] = at.Format(time.RFC3339)
			}
		}
		if err := d.recordOnce(ctx, audit.Event{ID: r.Event, Type: eventAccessLapsed, Operation: "access.lapse", Policy: e.Digest(), Attrs: attrs}, r.Actor); err != nil {
			return err
		}
		a.logger.Warn("a right to see what stands behind tokens has lapsed unused", zap.String("actor", r.Actor))
		return nil
	})
}

// consoleRevealRights gives rights to reveal in console's types.
type consoleRevealRights struct{ a *App }

func consoleRevealRight(r policy.RevealRight, after time.Duration, now time.Time) console.RevealRight {
	out := console.RevealRight{Actor: r.Actor, FirstSeen: r.Seen, LastUsed: r.Used, Renewed: r.Renewed, RenewedBy: r.RenewedBy, Lapses: r.Ends(after)}
	if after > 0 {
		out.Lapsed = r.HasLapsed(after, now)
	}
	if r.Event != [16]byte{} {
		out.Event = audit.ID(r.Event).String()
	}
	return out
}

// List implements console.RevealRights.
func (c consoleRevealRights) List(ctx context.Context) (console.RevealRightList, error) {
	after := c.a.rules().engine.RevealsUnusedFor()
	out := console.RevealRightList{UnusedAfterDays: int(after / day)}
	list, now, err := c.a.gen.data.RevealRights.List(ctx)
	for _, r := range list {
		out.Rights = append(out.Rights, consoleRevealRight(r, after, now))
	}
	return out, err
}

// Renew implements console.RevealRights.
func (c consoleRevealRights) Renew(ctx context.Context, actor string, by console.Actor) (out console.RevealRight, undo func(context.Context) error, err error) {
	d := c.a.gen.data
	e := c.a.rules().engine
	// One that has just lapsed is told of before.
	if err := c.a.lapseRevealRights(ctx, e); err != nil {
		return out, nil, err
	}
	mine, err := d.Keys.SameHolder(ctx, by.ID)
	if err != nil {
		return out, nil, err
	}
	r, undo, err := d.RevealRights.Renew(ctx, actor, by.ID, mine[actor])
	if err != nil {
		return out, nil, consoleError(err)
	}
	return consoleRevealRight(r, e.RevealsUnusedFor(), r.Renewed), undo, nil
}

var _ console.RevealRights = consoleRevealRights{}
