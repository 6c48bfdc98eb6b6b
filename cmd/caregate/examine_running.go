package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caregate/caregate/console"
)

// mostHeaders is what the headers of an honest call never come to. A server reads so
// many bytes for whoever connects, before anything is known of the caller.
const mostHeaders = 1 << 20

// lookAtHeaders compares what the server takes of headers with what the routes do: what
// is over the server's limit never gets to a route.
func (e *examination) lookAtHeaders(p *place) {
	var most int64 // of the routes
	for _, h := range p.routes {
		limit := h.Limits.Headers
		if limit == 0 {
			limit = 64 << 10
		}
		most = max(most, limit)
	}
	switch server := int64(p.headers); {
	case server == 0:
	case server > mostHeaders:
		e.add("headers", stateWarn, fmt.Sprintf("the server reads up to %d KiB of headers for every connection", server>>10),
			"lower max_header_size in the global options: { servers { max_header_size 72KiB } }")
	case server < most:
		e.add("headers", stateWarn, fmt.Sprintf("the server takes %d KiB of headers and refuses more by itself; a route would take %d KiB", server>>10, most>>10),
			fmt.Sprintf("raise max_header_size in the global options, { servers { max_header_size %dKiB } }, or lower `limits headers`", most>>10+8))
	default:
		e.add("headers", stateOK, fmt.Sprintf("up to %d KiB", most>>10), "")
	}
}

// lookAtGateway asks the running gateway.
func (e *examination) lookAtGateway(ctx context.Context, p *place) {
	g := newGateway(p.Dir)
	var s console.Status
	_, err := g.call(ctx, "GET", "/status", nil, &s)
	if errors.Is(err, errNotRunning) {
		e.add("gateway", stateWarn, "none runs on this data directory", "start it with `caregate run`")
		return
	}
	if err != nil {
		e.add("gateway", stateFail, err.Error(), "look at the gateway's log")
		return
	}
	e.add("gateway", stateOK, fmt.Sprintf("version %s, deployment %s, log %s, %d routes, up since %s", s.Version, s.Name, s.Log.Origin, len(s.Routes), instant(s.Started)), "")
	e.lookAtRunning(ctx, p, s.Configured)
	if b := s.Policy.Bundle; b != nil {
		e.lookAtBundle(b, s.Policy.Trouble)
	} else if s.Policy.Trouble != "" {
		e.add("policy", stateWarn, "what was changed is not in force, and the policy before goes on deciding: "+s.Policy.Trouble, "mend it: it takes effect by itself")
	}
	e.lookAtRollouts(s.Policy.Rollouts)
	e.lookAtTrails(s.Trails)
	e.lookAtTokens(s.Tokens)
	e.lookAtReview(s.Review, time.Now())
	checks, err := g.ready(ctx)
	if err != nil {
		e.add("ready", stateFail, err.Error(), "look at the gateway's log")
		return
	}
	for _, c := range checks {
		if !c.OK {
			e.add("ready: "+c.Name, stateFail, c.Text, "look at the gateway's log; after a failed write it must be restarted")
		}
	}
}

// lookAtBundle repeats what the gateway says of its policy bundle.
func (e *examination) lookAtBundle(b *console.BundleStatus, trouble string) {
	seen := "the source has not offered it since the start"
	if !b.Checked.IsZero() {
		seen = "offered by the source at " + instant(b.Checked)
	}
	text := fmt.Sprintf("bundle revision %d, signed by key %s, from %s, %s", b.Revision, b.Key, b.Source, seen)
	if trouble != "" {
		e.add("policy", stateWarn, text+"; it goes on deciding, because what there is now cannot be taken: "+trouble, "if the source cannot be reached, see to that; otherwise publish a bundle that can be taken (`caregate policy verify`), with a higher revision. Either takes effect by itself")
		return
	}
	e.add("policy", stateOK, text, "")
}

// lookAtRollouts tells of rollouts that went back, and of those that cannot.
func (e *examination) lookAtRollouts(list []console.RolloutStatus) {
	for _, r := range list {
		window := fmt.Sprintf("for %d %% of the callers, from %s, window until %s", r.Share, instant(r.From), instant(r.Until))
		switch {
		case r.All:
			e.add("rollout "+r.Name, stateWarn, window+"; but it counts for everybody and at once, and does not go back, because "+r.Rule+" was in force before without it",
				"take the row out; for some callers first, write the rule under another code and roll that out")
		case r.State == "reverted" && r.Rule != "":
			e.add("rollout "+r.Name, stateWarn, fmt.Sprintf("went back by itself at %s: %s; %s denies nobody where the row applies, also after the rule itself is mended, as long as this row stands", instant(r.Reverted), r.Why, r.Rule),
				"look at `caregate explain "+r.Event+"`, mend the rule, and change the row, which rolls it out anew, or take it out, which enforces the rule for everybody")
		case r.State == "reverted":
			e.add("rollout "+r.Name, stateWarn, fmt.Sprintf("went back by itself at %s: %s; what it enforced is as it was before", instant(r.Reverted), r.Why),
				"look at `caregate explain "+r.Event+"`, mend the row or rule, and roll it out anew: whatever is changed in it makes it another rollout")
		case r.Stays:
			e.add("rollout "+r.Name, stateWarn, window+"; it does not go back by itself, because it is about something that was enforced before", "leave revert out, or roll out what was not enforced")
		default:
			e.add("rollout "+r.Name, stateOK, r.State+", "+window, "")
		}
	}
}

// reviewNotice is how long before its end a quarter without a closed review is a warning.
const reviewNotice = 14 * 24 * time.Hour

// lookAtReview tells until when the next review of who has access is to be closed.
func (e *examination) lookAtReview(r console.ReviewStatus, now time.Time) {
	if r.Due.IsZero() {
		return // a gateway of another version
	}
	state, text, fix := stateOK, "the next one is to be closed by "+instant(r.Due), ""
	if r.Open != "" {
		text += "; review " + r.Open + " is open"
	}
	switch {
	case !now.Before(r.Due):
		state, text, fix = stateWarn, text+", which is over", "close one: `caregate access review open`, docs/access-reviews.md"
	case r.Due.Sub(now) < reviewNotice:
		state, fix = stateWarn, "`caregate access review open`, docs/access-reviews.md"
	}
	e.add("access review", state, text, fix)
}

// lookAtRunning tells whether the gateway runs with the configuration that stands in
// the file, and whether it would take another.
func (e *examination) lookAtRunning(ctx context.Context, p *place, since time.Time) {
	if since.IsZero() {
		return // a gateway of another version
	}
	loaded := "loaded " + instant(since)
	info, err := os.Stat(p.config)
	switch {
	case err == nil && info.ModTime().After(since):
		e.add("loaded", stateWarn, loaded+"; "+p.config+" was written after that", "`caregate reload` loads it")
	default:
		e.add("loaded", stateOK, loaded, "")
	}
	if p.config == "" {
		return
	}
	if p.admin == "" {
		e.add("reload", stateOK, "off (admin off): another configuration needs a restart", "")
		return
	}
	address, err := caddy.ParseNetworkAddress(p.admin)
	if err != nil {
		e.add("reload", stateWarn, "the admin endpoint has no address that can be read", "correct `admin` in the global options")
		return
	}
	// The mode of a unix socket stands behind its path.
	where, _, _ := strings.Cut(address.JoinHostPort(0), "|")
	d := net.Dialer{Timeout: callTime}
	conn, err := d.DialContext(ctx, address.Network, where)
	if err != nil {
		e.add("reload", stateWarn, "the gateway takes none at "+where, "restart it; the endpoint is `admin` in the configuration that it was started with")
		return
	}
	_ = conn.Close()
	e.add("reload", stateOK, "taken at "+where, "")
}
