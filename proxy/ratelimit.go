package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact/walk"
	"github.com/caregate/caregate/retention/incident"
	"github.com/caregate/caregate/vault"
)

// limits are those of the policy that are about the call, also of a route that observes.
func (x *exchange) limits() []policy.RateLimit {
	switch d := x.ruled; {
	case d == nil:
		return nil
	case d.Would != nil:
		return d.Would.Limits
	default:
		return d.Limits
	}
}

// takeCall counts a call against the policy's limits. It is the last thing that is decided
// about a request before its approval is spent, so what is refused for anything else takes
// nothing.
func (x *exchange) takeCall(r *http.Request) *refusal {
	var of []policy.RateLimit
	var limits []policy.Limit
	for _, l := range x.limits() {
		if l.Of == policy.LimitCalls {
			of = append(of, l)
			limits = append(limits, policy.Limit{Name: x.limitName(l), Most: l.Most, Window: l.Period(), Norm: l.Norm, Take: max(1, x.partTakes[l.Name])})
		}
	}
	if len(limits) > 0 {
		ctx, cancel := detached(r.Context())
		defer cancel()
		over, err := x.gen.data.Limits.Take(ctx, limits...)
		if ref := x.overLimit(ctx, &x.request, of, over, err); ref != nil {
			return ref
		}
	}
	return x.takeSubjects(r.Context(), &x.request)
}

// takeSubjects counts the persons whom one half names. Different names of one person, an
// id and an address, are counted apart and each kind on its own, because a record has
// most often one of each.
func (x *exchange) takeSubjects(ctx context.Context, side *half) *refusal {
	var of []policy.RateLimit
	var limits []policy.Different
	var who map[string]map[string]bool
	for _, l := range x.limits() {
		if l.Of != policy.LimitSubjects {
			continue
		}
		if who == nil {
			who = x.whoByKind(side)
		}
		for _, kind := range slices.Sorted(maps.Keys(who)) {
			of = append(of, l)
			limits = append(limits, policy.Different{Name: x.limitName(l) + ":" + kind, Most: l.Most, Window: l.Period(), Who: slices.Sorted(maps.Keys(who[kind]))})
		}
	}
	if len(limits) == 0 {
		return nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	over, err := x.gen.data.Limits.TakeDifferent(ctx, limits...)
	return x.overLimit(ctx, side, of, over, err)
}

// whoByKind are keyed digests of everybody whom one half names, by the kind of name.
func (x *exchange) whoByKind(side *half) map[string]map[string]bool {
	who := make(map[string]map[string]bool)
	note := func(label, value string) {
		id, _, ok := identOf(x.h.ch.Name, label, value)
		if !ok || value == "" || value == "null" {
			return
		}
		if who[id.Kind] == nil {
			who[id.Kind] = make(map[string]bool)
		}
		who[id.Kind][digestName(x.gen.data.Vault, "limit subject", id.Kind, strings.ToLower(strings.TrimSpace(id.Value)))] = true
	}
	if side == &x.request {
		for _, p := range x.pathParams() {
			note(p.Label, p.Value)
		}
	}
	if doc := side.body.doc; doc != nil {
		for _, c := range doc.Captures {
			if channel.Indexed(c.Label) && c.Flags&walk.URL == 0 {
				note(c.Label, string(doc.Value(c)))
			}
		}
	}
	return who
}

// limitName is what a limit of this caller is counted under. Nobody in particular is a
// caller for each address: one of them must not use up what all have.
func (x *exchange) limitName(l policy.RateLimit) string {
	who := x.actor.ID
	if x.actor.Kind == policy.KindAnonymous {
		who += " " + clientShare(x.client)
	}
	return limitOf(x.gen.data.Vault, l, who)
}

// limitOf names the count of a limit for one caller.
func limitOf(v *vault.Vault, l policy.RateLimit, actor string) string {
	return "policy:" + l.Name + ":" + digestName(v, "limit actor", actor)
}

// digestName is a keyed digest for the tables of limits, which have no names in them.
func digestName(v *vault.Vault, purpose string, parts ...string) string {
	return hex.EncodeToString(v.Digest(purpose, appendParts(nil, parts...))[:16])
}

// overLimit is the refusal of a call that goes over the limit number over, if any. Of a limit
// that opens incidents the incident is there before the refusal: whoever ends the process between
// the two loses the refusal.
func (x *exchange) overLimit(ctx context.Context, side *half, of []policy.RateLimit, over int, err error) *refusal {
	switch {
	case err != nil:
		return x.stop(side, refuseErr(reasonLimitsDown, err))
	case over < 0:
		return nil
	}
	ref := refuse(reasonLimit)
	ref.limit = &of[over]
	x.limited = ref.limit
	x.h.app.metrics.limitReached(x.h.Route, ref.limit.Of)
	if x.gen.data.alarms.first(x.limitName(*ref.limit), x.h.app.now(), ref.limit.Period()) {
		x.alarm = true
		x.h.logger.Warn("a caller has reached a limit of the policy", zap.String("actor", x.actor.ID), zap.String("limit", limitWords(ref.limit)), zap.Bool("observe", x.observe()))
	}
	// A route that observes tries a policy out, and nobody is suspected by one that is tried out.
	if ref.limit.Incident && !x.observe() {
		receipt := ""
		if !x.released {
			receipt = x.refusalID().String()
		}
		id, err := openBreach(ctx, x.gen.data, x.h.logger, *ref.limit, x.actor.ID, receipt)
		if err != nil {
			return x.stop(side, refuseErr(reasonLimitsDown, err))
		}
		if id != "" {
			x.incident, x.alarm = id, true
		}
	}
	return x.stop(side, ref)
}

// refusalID is the id of the event that an exchange is refused with.
func (x *exchange) refusalID() audit.ID {
	if x.refusal.IsZero() {
		x.refusal = audit.NewID()
	}
	return x.refusal
}

// openBreach opens an incident about a caller who went over a limit, unless there was one of
// the two within the limit's window: then it returns "". Receipt names an event of the caller, or is
// empty. An error means that nobody could.
func openBreach(ctx context.Context, d *Data, logger *zap.Logger, l policy.RateLimit, actor, receipt string) (string, error) {
	cause := limitOf(d.Vault, l, actor) // whoever comes without a name is one
	id, err := d.Incidents.OpenFor(ctx, incident.NewIncident{
		Title: "A caller went over a limit of the policy: " + limitWords(&l), Facts: incident.Facts{From: time.Now().Add(-l.Period()), Receipt: receipt},
	}, incident.Cause{Name: cause, Window: l.Period(), Codes: map[string]string{"cause": "limit", "limit": l.Of, "limit_most": strconv.Itoa(l.Most), "limit_window": strconv.Itoa(l.Window)}})
	switch {
	case errors.Is(err, incident.ErrMany):
		if d.alarms.first("incidents", time.Now(), l.Period()) {
			logger.Error("a caller has reached a limit of the policy, and NO INCIDENT was opened", zap.String("actor", actor), zap.String("limit", limitWords(&l)), zap.Error(err))
		}
		return "", nil
	case err != nil:
		return "", err
	case id != "":
		logger.Error("an incident was opened, because a caller has reached a limit of the policy: caregate incident show", zap.String("incident", id), zap.String("actor", actor), zap.String("limit", limitWords(&l)))
		d.dutiesSoon()
	}
	return id, nil
}

// limitWords are a limit in the log: "200 subjects in 1h0m0s".
func limitWords(l *policy.RateLimit) string {
	return strconv.Itoa(l.Most) + " " + l.Of + " in " + l.Period().String()
}

// noteLimit tells the log which limit was reached.
func (x *exchange) noteLimit(attrs map[string]string) {
	if l := x.limited; l != nil {
		attrs["limit"], attrs["limit_most"], attrs["limit_window"] = l.Of, strconv.Itoa(l.Most), fmt.Sprint(l.Window)
	}
	if x.incident != "" {
		attrs["incident"] = x.incident
	}
}

// alarms remember which breaches of limits were told of, so that a caller who goes on
// trying fills no log. They are safe for concurrent use.
type alarms struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// mostAlarms bounds what is remembered. Over it everything is told again.
const mostAlarms = 4096

// first tells whether nobody was told of a name within the window before now.
func (a *alarms) first(name string, now time.Time, window time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.told[name]; ok && now.Sub(at) < window && !now.Before(at) {
		return false
	}
	if a.told == nil || len(a.told) >= mostAlarms {
		a.told = make(map[string]time.Time)
	}
	a.told[name] = now
	return true
}
