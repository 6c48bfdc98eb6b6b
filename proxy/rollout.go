package proxy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/vault"
)

// Attributes of an event that say what of a rollout was about it: the tags of those that
// decided something, and of those that would have if the caller were in them.
const (
	attrRollout     = "rollout"
	attrRolloutHeld = "rollout_held"
)

// mostRolloutTags bounds how many tags an event has.
const mostRolloutTags = 16

// eventReverted is the type of the event that a rollout went back.
const eventReverted = "rollout.reverted"

// rolloutTag names a rollout in the log: by its name, and by the begin of its id, because
// one that is changed keeps its name.
func rolloutTag(r *policy.Rollout) string { return r.Name + "@" + r.ID()[:8] }

// rollouts are the rollouts that an actor is in at this instant, in the order of their
// names. A call has them from its first byte to its last, as it has its policy. Rules that
// were enforced before are so for everybody.
func (a *App) rollouts(rules *rulesInForce, actor *policy.Actor) (names []string) {
	list := rules.engine.Rollouts()
	if len(list) == 0 {
		return nil
	}
	now := a.now()
	data := a.gen.data
	for i := range list {
		r := &list[i]
		if data.Rollbacks.ForAll(r) {
			names = append(names, r.Name)
			continue
		}
		if !r.Began(now) {
			continue
		}
		if _, back := data.Rollbacks.Ended(r.ID()); back {
			continue
		}
		if r.Includes(actor, data.Vault.Digest) {
			names = append(names, r.Name)
		}
	}
	return names
}

// noteRollouts says in an event what of rollouts was about it.
func (x *exchange) noteRollouts(attrs map[string]string, d *policy.Decision) {
	if d == nil {
		return
	}
	about := d.Rollouts
	if d.Would != nil {
		about = d.Would.Rollouts
	}
	if len(about) == 0 {
		return
	}
	var tags [2][]string
	list := x.det.policy.engine.Rollouts()
	for i := range list {
		if decided, ok := about[list[i].Name]; ok {
			to := &tags[1]
			if decided {
				to = &tags[0]
			}
			if len(*to) < mostRolloutTags {
				*to = append(*to, rolloutTag(&list[i]))
			}
		}
	}
	for i, name := range [...]string{attrRollout, attrRolloutHeld} {
		if len(tags[i]) > 0 {
			attrs[name] = strings.Join(tags[i], " ")
		}
	}
}

// isStaff tells whether a person has proven to be who calls, with a second factor: what
// anybody could do who has, or has not, a credential of the vendor's sends no rollout back.
func isStaff(a *policy.Actor) bool {
	machine := len(a.Roles) == 1 && a.Roles[0] == "service"
	return a.Kind == policy.KindToken && a.Strength == policy.StrengthProven && a.MFA && !a.Mismatch && !machine
}

// weighed are the rollouts about a call that can go back now.
func (x *exchange) weighed(yield func(*policy.Rollout) bool) {
	if len(x.rollouts) == 0 || x.observe() {
		return
	}
	now, list := x.h.app.now(), x.det.policy.engine.Rollouts()
	for i := range list {
		r := &list[i]
		if r.Revert != nil && slices.Contains(x.rollouts, r.Name) && r.Concerns(x.h.Route, &x.actor) && r.InWindow(now) && !yield(r) {
			return
		}
	}
}

// weighMasks counts the masks of a rollout that an event has made durable and that can be
// undone.
func (x *exchange) weighMasks() {
	side := &x.request
	for r := range x.weighed {
		if r.Class == "" || side.decision == nil || !side.decision.Rollouts[r.Name] {
			continue
		}
		masks := 0
		for _, at := range side.keeping.undo.at {
			if string(side.body.doc.Findings[at].Class) == r.Class {
				masks++
			}
		}
		if masks > 0 {
			x.gen.data.Rollbacks.Masked(r.ID(), masks)
		}
	}
}

// weighCall counts a call of proven staff whose decision is durable, and whether nothing
// but a rollout denied it.
func (x *exchange) weighCall(denied bool) {
	if !isStaff(&x.actor) {
		return
	}
	for r := range x.weighed {
		x.gen.data.Rollbacks.Called(r.ID())
		if d := x.request.decision; denied && d != nil && d.Rollouts[r.Name] && x.blames(r) {
			x.gen.data.Rollbacks.Denied(r.ID(), x.actor.ID)
		}
	}
}

// blames tells whether a denial would not be if it were not for a rollout.
func (x *exchange) blames(r *policy.Rollout) bool {
	d := x.request.decision
	if d.Allow || d.Input() == "" {
		return false
	}
	in, err := policy.ReadInput(d.Input())
	if err != nil {
		return false
	}
	in.Rollouts = slices.DeleteFunc(slices.Clone(in.Rollouts), func(name string) bool { return name == r.Name })
	without, err := x.det.policy.engine.Decide(context.Background(), in) // bounded by the engine's own limit
	return err == nil && without.Allow
}

// noteUndone counts that a person undid a mask, when a rollout made it.
func (c consoleTokens) noteUndone(ctx context.Context, p *consoleProof, token, class string) {
	list := p.rules.engine.Rollouts()
	place, ok := vault.ParsePlace(token)
	if !ok || len(list) == 0 || !isStaff(&p.Actor) {
		return
	}
	leaf, err := c.a.gen.data.Log.Find(ctx, audit.ID(place.Event))
	if err != nil {
		return // a rollout goes back later, never sooner
	}
	tags, now := strings.Fields(leaf.Attrs[attrRollout]), c.a.now()
	for i := range list {
		r := &list[i]
		if r.Class != class || !r.InWindow(now) || !slices.Contains(tags, rolloutTag(r)) {
			continue
		}
		if name, ok := c.a.gen.data.Vault.TokenName(token); ok {
			c.a.gen.data.Rollbacks.Undone(r.ID(), p.ID, name)
		}
	}
}

// rolloutEvery is how often what was counted of rollouts is written and judged, and how
// soon a rollout that another gateway sent back is so here.
var rolloutEvery = 250 * time.Millisecond

// watchRollouts sends rollouts back until this configuration is given up. noted is the
// policy of which it is known what it enforces.
func (a *App) watchRollouts(tick *time.Ticker, noted *policy.Engine) {
	ctx := a.running()
	defer tick.Stop()
	complained := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		e := a.rules().engine
		if e == noted && len(e.Rollouts()) == 0 {
			continue
		}
		if !a.gen.acquire() { // so that the log is not closed meanwhile
			return
		}
		err := a.judgeRollouts(ctx, e, e != noted)
		if errClose := a.gen.release(); errClose != nil {
			a.logger.Error("closing the data directory", errField(errClose))
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			noted, complained = e, ""
		case err.Error() != complained:
			complained = err.Error()
			a.logger.Error("rollouts cannot be judged; none goes back meanwhile", zap.Error(err))
		}
	}
}

// judgeRollouts writes what was counted and sends back what passes its rates.
func (a *App) judgeRollouts(ctx context.Context, e *policy.Engine, fresh bool) error {
	back := a.gen.data.Rollbacks
	if fresh {
		if err := back.NoteEnforced(ctx, e, a.now()); err != nil {
			return err
		}
	}
	if err := back.Flush(ctx); err != nil {
		return err
	}
	return back.Judge(ctx, e, a.now(), func() [16]byte { return audit.NewID() }, a.tellReverted)
}

// tellReverted records that a rollout goes back, once, and raises the alarm.
func (a *App) tellReverted(ctx context.Context, end policy.Ended) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	known, err := a.gen.data.Log.Has(ctx, end.Event)
	if err != nil {
		return err
	}
	ev := end.Evidence
	if !known {
		slot, err := a.gen.data.Log.Reserve(ctx, audit.LaneReserved)
		if err != nil {
			return err
		}
		defer slot.Release()
		attrs := map[string]string{
			attrRollout: end.Name + "@" + end.ID[:8], "rollout_id": end.ID, "why": ev.Why,
			"undone": strconv.Itoa(ev.Undone), "masks": strconv.Itoa(ev.Masks), "undone_by": strconv.Itoa(ev.UndoneBy),
			"denied": strconv.Itoa(ev.Denied), "calls": strconv.Itoa(ev.Calls), "denied_to": strconv.Itoa(ev.DeniedTo),
		}
		e := a.rules().engine
		if _, err := slot.Append(audit.Event{ID: end.Event, Type: eventReverted, Tenant: tenant, Policy: e.Digest(), Attrs: attrs, Retention: retentionAdministration}).Wait(ctx); err != nil {
			return err
		}
	}
	a.metrics.reverted.WithLabelValues(end.Name).Inc()
	a.logger.Error("a rollout went back by itself: what it enforced is as it was before", zap.String("rollout", end.Name), zap.String("why", revertWords(&ev)))
	return nil
}

// revertWords say what sent a rollout back.
func revertWords(ev *policy.Evidence) string {
	if ev.Why == "undone" {
		return fmt.Sprintf("%d of %d masks were undone, by %d persons", ev.Undone, ev.Masks, ev.UndoneBy)
	}
	return fmt.Sprintf("%d of %d calls of proven staff were denied for nothing else, of %d persons", ev.Denied, ev.Calls, ev.DeniedTo)
}

// rolloutStatus is what the gateway's administrators are told of rollouts.
func (a *App) rolloutStatus(ctx context.Context) (out []console.RolloutStatus, err error) {
	list, now := a.rules().engine.Rollouts(), a.now()
	for i := range list {
		r := &list[i]
		s := console.RolloutStatus{Name: r.Name, ID: r.ID(), Rule: r.Rule, Share: r.Share, From: r.From, Until: r.Until, State: "running"}
		s.All = a.gen.data.Rollbacks.ForAll(r)
		end, back := a.gen.data.Rollbacks.Ended(s.ID)
		back = back && !s.All
		switch {
		case back:
			s.State, s.Reverted, s.Why, s.Event = "reverted", end.At, revertWords(&end.Evidence), audit.ID(end.Event).String()
		case !r.Began(now):
			s.State = "waiting"
		case !r.InWindow(now):
			s.State = "over"
		}
		if s.Stays = s.All; r.Revert != nil && !back {
			if s.Stays, err = a.gen.data.Rollbacks.EnforcedBefore(ctx, r); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	return out, nil
}
