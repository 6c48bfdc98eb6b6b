package proxy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
)

func init() { caddy.RegisterModule(API{}) }

// API is the handler behind the directive `caregate_api`: /api/v1, /livez and
// /readyz of the gateway, for programs that hold a gateway key or token, and, with an
// identity provider, the pages below /caregate/ where people log in. What it
// does not know is left to the next handler.
type API struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.caregate_api", New: func() caddy.Module { return new(API) }}
}

// Provision joins the app.
func (h *API) Provision(ctx caddy.Context) (err error) {
	h.app, err = joinApp(ctx, "the console's API")
	return err
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *API) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	quietLogin(r)
	var gen *generation
	if h.app.started(r.Context()) {
		gen = h.app.gen.join()
	}
	if gen == nil {
		// Not an error for Caddy, whose error log prints the whole request, keys too.
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	defer func() {
		if err := gen.release(); err != nil {
			h.app.logger.Error("closing the data directory", errField(err))
		}
	}()
	if h.app.login != nil && strings.HasPrefix(r.URL.Path, pagesPrefix) {
		loginPages{h.app}.ServeHTTP(w, r)
		return nil
	}
	h.app.remote.ServeHTTP(w, r)
	return nil
}

// newConsole mounts package console on this configuration's services. Local is
// for the unix socket, whose users are administrators by the right to open it.
func newConsole(a *App, local bool) http.Handler {
	c := consoleMount{a}
	return console.New(console.Config{
		Local: local, Identify: func(r *http.Request) (console.Actor, error) { return c.identify(r, local) }, Authorize: c.authorize, Journal: c,
		Reason: consoleReason, Keys: consoleKeys{a.gen.data.Keys, a.checkWish}, Sessions: consoleSessions{a.gen.data.Sessions}, RotateKeys: c.rotateKeys, Erase: c.erase, Records: c.records, Flags: consoleFlags{a},
		Approvals: consoleApprovals{a.gen.data.Approvals, a.metrics}, Reviews: consoleReviews{a}, Incidents: consoleIncidents{a}, Requests: consoleRequests{a}, Duties: consoleDuties{a}, RevealRights: consoleRevealRights{a}, Holds: consoleHolds{a}, Imports: consoleImports{a}, Approve: c.approve, Tokens: consoleTokens{a},
		Event: c.event, Search: c.search().events, Exposures: c.search().exposures, Status: c.status, Observed: a.gen.data.observed.proposals, Replay: c.replay, PlanRetention: c.planRetention, Purges: consolePurges{a}, Checks: c.checks, Logger: processLogger(),
	})
}

// consoleMount gives console what it asks for. Its methods translate and decide
// nothing.
type consoleMount struct{ a *App }

// consoleProof is who calls and the policy that decides about the call, from its first
// question to its last.
type consoleProof struct {
	policy.Actor
	rules *rulesInForce
	// situation is where and when the call began.
	situation policy.Situation
	// rollouts are those that the caller is in.
	rollouts []string
	// reveal is how the caller's right to reveal stands.
	reveal revealStanding
}

func (a *App) consoleActor(ctx context.Context, p policy.Actor, rules *rulesInForce, s policy.Situation) console.Actor {
	return console.Actor{ID: p.ID, Proof: consoleProof{p, rules, s, a.rollouts(rules, &p), a.revealStanding(ctx, rules, &p)}}
}

// proofOf finds what identify noted of an actor.
func proofOf(a console.Actor) (consoleProof, error) {
	p, ok := a.Proof.(consoleProof)
	if !ok {
		return p, errors.New("an actor that nobody identified")
	}
	return p, nil
}

func (c consoleMount) identify(r *http.Request, local bool) (console.Actor, error) {
	p := policy.Presented{Channel: policy.OwnChannel, Local: local}
	for name, to := range map[string]*policy.Secret{headerKey: &p.Key, headerToken: &p.Token} {
		if v := r.Header.Values(name); len(v) == 1 {
			*to = policy.Secret(v[0])
		} else if len(v) > 1 {
			return console.Actor{}, &console.Refusal{Code: reasonHeader}
		}
	}
	if !local {
		session, ok := presentedSession(r)
		if !ok {
			return console.Actor{}, &console.Refusal{Code: reasonHeader}
		}
		p.Session, p.Chains = session, verifiedChains(r)
	}
	rules := c.a.rules()
	actor, err := rules.resolver.Resolve(r.Context(), p)
	if errors.Is(err, policy.ErrRefused) {
		return console.Actor{}, &console.Refusal{Code: policy.RefusalReason(err)}
	}
	address, _ := callerAddress(r)
	out := c.a.consoleActor(r.Context(), actor, rules, situationOf(rules.engine, address, c.a.now()))
	out.Cookie = p.Session != ""
	return out, err
}

func (c consoleMount) authorize(ctx context.Context, actor console.Actor, op console.Operation) (console.Decision, error) {
	p, err := proofOf(actor)
	if err != nil {
		return console.Decision{}, err
	}
	if err := p.reveal.known(op); err != nil {
		return console.Decision{}, err
	}
	if p.reveal.lapsed && reveals(op) {
		c.a.tellLapse(ctx, p.rules)
	}
	d, err := p.rules.engine.Decide(ctx, consoleInput(p, op))
	if err != nil {
		return console.Decision{}, err
	}
	return console.Decision{Allow: d.Allow, Reason: d.Reason, Ticket: p.rules.engine.WantsTicket(op.Name)}, nil
}

// consoleInput describes a call of the gateway's own API as policy knows calls:
// one more channel.
func consoleInput(p consoleProof, op console.Operation) policy.Input {
	in := policy.Input{
		V: policy.InputVersion, Tenant: tenant, Route: policy.OwnChannel, Direction: policy.Request,
		Channel: policy.OwnChannel, Operation: op.Name, Mapped: true,
		Effect: op.Effect, Scope: scopeOf(op), Mark: op.Mark, Method: policy.MethodClass(op.Method),
		Actor: p.Input(), Network: "unknown", Approvals: op.Approvals, Rollouts: p.rollouts,
		Networks: p.situation.Networks, Regions: p.situation.Regions, Hours: p.situation.Hours,
	}
	in.Actor.RevealLapsed = p.reveal.lapsed && reveals(op)
	return in
}

func scopeOf(op console.Operation) string { return cmp.Or(op.Scope, "one") }

// Begin implements console.Journal. Administration has its own lane: it must get
// through when ordinary traffic fills the queue.
func (c consoleMount) Begin(ctx context.Context) (console.Entry, error) {
	slot, err := c.a.gen.data.Log.Reserve(ctx, audit.LaneReserved)
	if err != nil {
		return nil, err
	}
	return &consoleEntry{a: c.a, slot: slot, exchange: audit.NewID()}, nil
}

type consoleEntry struct {
	a        *App
	slot     *audit.Slot
	exchange audit.ID
}

// Record implements console.Entry.
func (e *consoleEntry) Record(ctx context.Context, rec console.Record) (string, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	p, err := proofOf(rec.Actor)
	if err != nil {
		p = consoleProof{Actor: policy.Actor{ID: policy.KindAnonymous, Kind: policy.KindAnonymous, Strength: policy.StrengthNone}, rules: e.a.rules()}
	}
	who, err := e.a.gen.data.Vault.Actor(ctx, p.ID)
	if err != nil {
		return "", err
	}
	ev := audit.Event{
		Exchange: e.exchange, Class: ocsfAPIActivity, Type: eventOwn, Tenant: tenant, Route: policy.OwnChannel,
		Decision: audit.DecisionAllow, Reason: rec.Reason, Policy: p.rules.engine.Digest(),
		Actor: who.Pseudonym(e.a.gen.data.Log.Origin()), Identity: p.Strength, MFA: p.MFA, Roles: p.Roles,
		Channel: policy.OwnChannel, Operation: rec.Operation.Name, Effect: rec.Operation.Effect, Scope: scopeOf(rec.Operation),
		Status: rec.Status, Attrs: rec.Attrs, Retention: retentionAdministration, Flood: p.ID, Tokens: rec.Tokens,
	}
	if rec.Fresh {
		ev.Flood = ""
	}
	if rec.Ticket != "" && rec.Attrs["ticket"] == "" {
		ev.Attrs = map[string]string{"ticket": rec.Ticket}
		maps.Copy(ev.Attrs, rec.Attrs)
	}
	if t, ok := rec.About.(told); ok {
		ev.Subjects, ev.Released = t.subjects, t.released
	}
	if len(rec.Detail) > 0 {
		ev.ID = audit.NewID()
		plain, err := json.Marshal(rec.Detail)
		if err != nil {
			return "", err
		}
		sealed, err := e.a.gen.data.seal(ctx, &ev, e.a.now(), who, partActor, plain)
		if err != nil {
			return "", err
		}
		ev.Details = append(ev.Details, sealed)
	}
	if rec.Done {
		ev.Type = "api.done"
	}
	if !rec.Decision.Allow {
		ev.Decision = audit.DecisionDeny
	}
	if !rec.Done || !rec.Decision.Allow { // once for each call: the event after the deed decides nothing
		in, err := json.Marshal(consoleInput(p, rec.Operation))
		if err != nil {
			return "", err
		}
		if len(in) <= audit.MaxInput {
			ev.Input = string(in)
		}
	}
	receipt, err := e.slot.Append(ev).Wait(ctx)
	return receipt.ID.String(), err
}

// End implements console.Entry.
func (e *consoleEntry) End() { e.slot.Release() }

func consoleReason(code string) (console.Reason, bool) {
	r, ok := LookupReason(code)
	return console.Reason{Code: r.Code, Status: r.Status, What: r.What, Fix: r.Fix, Who: string(r.Who)}, ok
}

func (c consoleMount) event(ctx context.Context, receipt string) (console.Event, error) {
	id, err := audit.ParseID(receipt)
	if err != nil {
		return console.Event{}, console.ErrNotFound
	}
	leaf, err := c.a.gen.data.Log.Find(ctx, id)
	if errors.Is(err, audit.ErrNotFound) {
		return console.Event{}, console.ErrNotFound
	}
	if err != nil {
		return console.Event{}, err
	}
	return EventView(leaf), nil
}

func (c consoleMount) search() search {
	d := c.a.gen.data
	return search{d.Vault, d.Log.Index(), d.Log.Find, d.Log.Settle, d.gateways}
}

// EventView shows a leaf to people: everything but what ties leaves together,
// with persons and records as counts.
func EventView(l audit.Leaf) console.Event {
	e := console.Event{
		Receipt: l.ID.String(), Time: time.UnixMilli(l.Wall).UTC(), Type: l.Type,
		Route: l.Route, Channel: l.Channel, Operation: l.Operation, Effect: l.Effect, Scope: l.Scope,
		Decision: l.Decision, Reason: l.Reason, Policy: l.Policy, Identity: l.Identity, Roles: l.Roles, Purpose: l.Purpose,
		Status: l.Status, Forwarded: l.Forwarded, Outcome: l.Outcome,
		Subjects: len(l.Subjects), Records: len(l.Records), Attrs: l.Attrs,
	}
	if !l.Exchange.IsZero() {
		e.Exchange = l.Exchange.String()
	}
	for _, c := range l.Released {
		e.Findings = append(e.Findings, console.Findings{Class: c.Class, Clear: c.Clear, Masked: c.Masked, Tokenized: c.Tokenized, Dropped: c.Dropped, NotInspected: c.NotInspected})
	}
	return console.Explain(e, consoleReason)
}

func (c consoleMount) status(ctx context.Context) (console.Status, error) {
	name := c.a.Name
	if name == "" {
		name = DefaultName
	}
	s := console.Status{
		Version: Version(), Name: name, Gateway: c.a.gen.data.gateway, Started: processStart, Configured: c.a.configured,
		Log:    console.LogStatus{Origin: c.a.gen.data.Log.Origin(), PublicKey: c.a.gen.data.Log.PublicKey(), Size: c.a.gen.data.Log.Size()},
		Policy: c.a.policyStatus(),
	}
	var err error
	if s.OtherGateways, err = c.a.gen.data.gateways.others(ctx); err != nil {
		return s, err
	}
	if s.Policy.Rollouts, err = c.a.rolloutStatus(ctx); err != nil {
		return s, err
	}
	if s.Review, err = c.a.gen.data.reviewStatus(ctx); err != nil {
		return s, err
	}
	for _, h := range c.a.routes {
		s.Routes = append(s.Routes, console.Route{Name: h.Route, Channel: h.ch.Name, Upstream: h.Upstream, Exceptions: h.exceptions()})
	}
	for _, t := range c.a.gen.data.upstream.Status() {
		s.Tokens = append(s.Tokens, console.VendorToken{Name: t.Name, Version: t.Version, Expires: t.Expires, Lost: t.Lost, Trouble: t.Trouble})
	}
	for _, p := range c.a.pollers {
		t := p.State()
		s.Trails = append(s.Trails, console.Trail{Name: p.name, Upstream: p.upstream, Until: t.Until, Trouble: t.Trouble, Status: t.Status, Gaps: t.Gaps})
	}
	return s, nil
}

// processStart is when the binary was started.
var processStart = time.Now()

func (c consoleMount) checks(ctx context.Context) []console.Check {
	check := func(name string, err error) console.Check {
		if err != nil {
			return console.Check{Name: name, Text: err.Error()}
		}
		return console.Check{Name: name, OK: true}
	}
	return []console.Check{
		c.a.auditCheck(),
		check("vault", c.a.gen.data.Vault.Ready(ctx)),
		c.a.policyCheck(),
	}
}

// consoleKeys gives policy's API keys in console's types.
type consoleKeys struct {
	keys  *policy.Keys
	check func(console.NewKey) error
}

func consoleKey(k policy.Key) console.Key {
	return console.Key{ID: k.ID, Name: k.Name, Roles: k.Roles, Grants: k.Grants, Created: k.Created, Expires: k.Expires, LastUsed: k.LastUsed, Revoked: k.Revoked}
}

func (c consoleKeys) Create(ctx context.Context, n console.NewKey) (console.Key, console.Secret, error) {
	if err := c.check(n); err != nil {
		return console.Key{}, "", err
	}
	k, secret, err := c.keys.Create(ctx, policy.NewKey{Name: n.Name, Roles: n.Roles, Grants: n.Grants, Expires: n.Expires})
	return consoleKey(k), console.Secret(secret), consoleError(err)
}

func (c consoleKeys) List(ctx context.Context) ([]console.Key, error) {
	keys, err := c.keys.List(ctx)
	out := make([]console.Key, len(keys))
	for i, k := range keys {
		out[i] = consoleKey(k)
	}
	return out, err
}

func (c consoleKeys) Rotate(ctx context.Context, id string, overlap time.Duration) (console.Key, console.Secret, error) {
	k, secret, err := c.keys.Rotate(ctx, id, overlap)
	return consoleKey(k), console.Secret(secret), consoleError(err)
}

// consoleSessions gives policy's sessions in console's types.
type consoleSessions struct{ sessions *policy.Sessions }

func (c consoleSessions) List(ctx context.Context) ([]console.Session, error) {
	list, err := c.sessions.List(ctx)
	out := make([]console.Session, len(list))
	for i, s := range list {
		out[i] = console.Session(s)
	}
	return out, err
}

func (c consoleSessions) Revoke(ctx context.Context, id string) error {
	return consoleError(c.sessions.Revoke(ctx, id))
}

func (c consoleKeys) Revoke(ctx context.Context, id string) error {
	return consoleError(c.keys.Revoke(ctx, id))
}

var (
	_ caddy.Provisioner           = (*API)(nil)
	_ caddyhttp.MiddlewareHandler = (*API)(nil)
	_ console.Journal             = consoleMount{}
	_ console.Entry               = (*consoleEntry)(nil)
	_ console.Keys                = consoleKeys{}
	_ console.Sessions            = consoleSessions{}
)

// consoleError gives policy's errors the names under which console knows them.
func consoleError(err error) error {
	switch {
	case errors.Is(err, policy.ErrNoKey), errors.Is(err, policy.ErrNoSession), errors.Is(err, policy.ErrNoApproval), errors.Is(err, policy.ErrNoRevealRight):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case errors.Is(err, policy.ErrNewKey), errors.Is(err, policy.ErrKeyEnded), errors.Is(err, policy.ErrApprovalEnded),
		errors.Is(err, policy.ErrOwnApproval), errors.Is(err, policy.ErrAgreedAlready), errors.Is(err, policy.ErrTerms),
		errors.Is(err, policy.ErrOwnRevealRight), errors.Is(err, policy.ErrRevealLapsing):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}
