package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/vault"
)

// recordTimeout bounds a wait for the log. A commit takes about a millisecond;
// after five seconds the outcome is unknown and the exchange is denied (A3). This is a
// variable for the tests, as other times are: see export_test.go.
var recordTimeout = 5 * time.Second

// Types of the events of an exchange.
const (
	eventRequest  = "request.decided"
	eventResponse = "response.decided"
	eventRefused  = "exchange.refused"
	// eventOwn is the decision about a call of the gateway's own API.
	eventOwn = "api.decided"
)

// OCSF classes of our events (schema.ocsf.io 1.3): what a program did through an
// API, and an access that was turned away at the HTTP level.
const (
	ocsfAPIActivity  = 6003
	ocsfHTTPActivity = 4002
)

// recordRequest makes the decision to forward durable. When it returns nil the
// upstream may see the call (invariant A1).
func (x *exchange) recordRequest(r *http.Request) *refusal {
	ctx, cancel := detached(r.Context())
	defer cancel()
	if err := x.index(ctx, &x.request); err != nil && !x.withoutVault(err) {
		return refuseErr(reasonVaultUnavailable, err)
	}
	e := x.event(eventRequest, policy.Request, &x.request, r.Method)
	e.ID = x.request.keeping.event(e.ID)
	e.Decision, e.Forwarded = audit.DecisionAllow, true
	if x.request.body.stream != nil {
		e.Attrs["stream"] = "open"
	}
	indexed := x.noteDelivery(ctx)
	if err := x.append(ctx, e, &x.request, r); err != nil {
		return unrecordable(err)
	}
	if ref := indexed(); ref != nil {
		return ref
	}
	x.weighCall(false)
	if ref := x.request.keeping.release(ctx, x.last); ref != nil {
		return ref
	}
	for _, e := range x.earlier {
		x.h.app.metrics.earlierPiece(x.h.Route, e.class)
	}
	x.admitted = true
	if s := x.request.body.stream; s != nil {
		s.open()
	}
	return nil
}

// recordResponse makes the decision to release durable. When it returns nil the
// client may see the answer.
func (x *exchange) recordResponse(res *http.Response) *refusal {
	ctx, cancel := detached(res.Request.Context())
	defer cancel()
	if err := x.index(ctx, &x.response); err != nil && !x.withoutVault(err) {
		return withheld(refuseErr(reasonVaultUnavailable, err))
	}
	e := x.event(eventResponse, policy.Response, &x.response, res.Request.Method)
	e.ID = x.response.keeping.event(e.ID)
	e.Decision, e.Forwarded, e.Status, e.Outcome = audit.DecisionAllow, true, res.StatusCode, audit.OutcomeReleased
	if x.response.body.stream != nil {
		e.Attrs["stream"] = "open"
	}
	indexed := x.noteRecords(ctx, &x.response, res.StatusCode)
	if err := x.append(ctx, e, &x.response, res.Request); err != nil {
		return withheld(unrecordable(err))
	}
	if ref := indexed(); ref != nil {
		return withheld(ref)
	}
	if ref := x.response.keeping.release(ctx, x.last); ref != nil {
		return withheld(ref)
	}
	x.released = true
	x.h.app.farewell.say(x)
	if s := x.response.body.stream; s != nil {
		s.open()
	}
	// Both events are written. A caller who takes an hour to read the answer keeps
	// no room in the queue from others.
	if x.slot != nil {
		x.slot.Release()
	}
	return nil
}

// mostRules is how many of the deployment's own rules an event names.
const mostRules = 8

// recordRefusal makes a refusal durable before it is given: probing leaves
// traces. It uses the exchange's slot, or one of the reserved lane when the
// exchange never got one.
func (x *exchange) recordRefusal(r *http.Request, ref *refusal) error {
	ctx, cancel := detached(r.Context())
	defer cancel()
	if x.slot == nil { // a defect stopped the exchange before it had one
		slot, err := x.gen.data.Log.Reserve(ctx, audit.LaneReserved)
		if err != nil && !x.passes(err) {
			return err
		}
		x.slot, x.down = slot, err
		if err == nil && x.subject.IsZero() {
			// The rest of the queue was closed, and nobody looked for the actor's key. An
			// event without it is better than none.
			_ = x.nameActor(ctx)
		}
	}
	side, direction := &x.request, policy.Request
	if x.forwarded {
		side, direction = &x.response, policy.Response
	}
	e := x.event(eventRefused, direction, side, r.Method)
	if !x.refusal.IsZero() {
		e.ID = x.refusal
	}
	e.Class = ocsfHTTPActivity
	e.Decision, e.Reason, e.Forwarded, e.Outcome = audit.DecisionDeny, ref.code, x.forwarded, audit.OutcomeNotReleased
	e.Status = x.statusOf(ref)
	if ref.cause != "" {
		e.Attrs["cause"] = ref.cause
	}
	if ref.inner > 0 {
		e.Attrs["inner_index"] = strconv.Itoa(ref.inner - 1)
	}
	if ref.innerOp != "" {
		e.Attrs["inner_operation"] = ref.innerOp
	}
	if ref.needs != "" {
		e.Attrs["grant"] = ref.needs
	}
	if len(ref.rules) > 0 {
		e.Attrs["rules"] = strings.Join(ref.rules[:min(len(ref.rules), mostRules)], " ")
	}
	e.Released = nil // nothing was
	for i := range side.people.persons {
		side.people.persons[i].Classes = nil
	}
	if !x.agreeing.fresh && !x.alarm {
		e.Flood = x.actor.ID
	}
	x.noteVault(&e, ref)
	err := x.append(ctx, e, side, r)
	if err == nil && !x.forwarded {
		x.weighCall(true)
	}
	return err
}

// event fills in what all events of an exchange share.
func (x *exchange) event(kind, direction string, side *half, method string) audit.Event {
	op := x.match.Op
	e := audit.Event{
		ID: audit.NewID(), Exchange: x.id, Class: ocsfAPIActivity, Type: kind,
		Tenant: tenant, Route: x.h.Route, Policy: x.det.policy.engine.Digest(),
		Identity: x.actor.Strength, MFA: x.actor.MFA, Roles: x.actor.Roles,
		Channel: x.h.ch.Name, Operation: op.Name, Effect: string(op.Effect), Scope: string(op.Scope),
		Purpose: x.purpose, Network: x.network,
		Released: side.counts, Retention: retentionExchange,
		Attrs: map[string]string{"method": method},
	}
	if !x.subject.IsZero() {
		origin := x.gen.data.Log.Origin()
		e.Actor, e.Mail = x.subject.Pseudonym(origin), x.mail.Pseudonym(origin)
	}
	if d := side.decision; d != nil {
		e.Input = d.Input()
	} else if in, err := json.Marshal(x.input(side, direction, method)); err == nil {
		e.Input = string(in)
	}
	if len(e.Input) > audit.MaxInput {
		e.Input = ""
	}
	e.Subjects, e.Records = side.people.persons, side.people.records
	e.Tokens = side.keeping.names
	if kind != eventRefused {
		x.noteUndo(&e, side)
	}
	x.agreeing.note(e.Attrs)
	x.noteLimit(e.Attrs)
	x.noteInner(e.Attrs)
	if kind != eventRefused {
		side.noteViews(e.Attrs)
	}
	if n := x.touched(side); n > 0 && (op.Scope != channel.ScopeOne || len(x.inner) > 0) {
		e.Attrs["records"] = strconv.Itoa(n)
	}
	if s := x.spend; s != nil {
		if name, ok := x.gen.data.Vault.TokenName(s.Token); ok && side == &x.request {
			e.Tokens = append(slices.Clip(e.Tokens), name)
		}
		if s.outcome != "" {
			e.Attrs["spend"] = s.outcome
		}
	}
	if x.observe() {
		e.Attrs["observe"] = "1"
		x.noteObserved(e.Attrs, side)
	}
	if x.h.Credential != nil {
		e.Attrs["credential"] = policy.CredentialAdded
	}
	x.noteRollouts(e.Attrs, side.decision)
	if side.would != "" {
		e.Attrs["would"] = side.would
	}
	if side.body.unread != "" {
		e.Attrs["unread"] = side.body.unread
	}
	if side.body.partly != "" {
		e.Attrs["unread_parts"] = side.body.partly
	}
	if x.request.withheld > 0 {
		e.Attrs["masked_writes_removed"] = fmt.Sprint(x.request.withheld)
	}
	if len(x.earlier) > 0 {
		e.Attrs["earlier_pieces"] = fmt.Sprint(len(x.earlier))
	}
	if side == &x.response && x.request.body.stream == nil {
		// The caller holds the receipt of this event; what was done to its request
		// stands in the other one.
		if did := summary(x.request.counts); did != "" {
			e.Attrs["request"] = did
		}
		if why := x.request.body.unread; why != "" {
			e.Attrs["request_unread"] = why
		}
		if why := x.request.body.partly; why != "" {
			e.Attrs["request_unread_parts"] = why
		}
	}
	if !x.match.Mapped {
		e.Attrs["unmapped"] = "1"
	}
	if x.hook != nil && x.hook.resigned {
		e.Attrs["resigned"] = "1"
	}
	return e
}

// touched is how many records one half has or names, a stream up to the end of its window.
func (x *exchange) touched(side *half) int {
	n := max(side.records, units(side.body.doc))
	if side == &x.request {
		return max(n, x.named)
	}
	return n
}

// summary says in a few words what became of findings: "2 credit_card masked".
func summary(counts []audit.Count) string {
	var parts []string
	for _, c := range counts {
		for _, n := range [...]struct {
			count int
			done  string
		}{{c.Masked, "masked"}, {c.Tokenized, "tokenized"}, {c.Dropped, "dropped"}, {c.Clear, "unchanged"}} {
			if n.count > 0 {
				parts = append(parts, fmt.Sprintf("%d %s %s", n.count, c.Class, n.done))
			}
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// append seals the details, hands the event to the log and waits until it is
// durable.
//
// On a route with `audit_down pass` a log that takes no event is no error: then the
// event is counted in a gap, whose marker is durable.
func (x *exchange) append(ctx context.Context, e audit.Event, side *half, r *http.Request) error {
	if x.down != nil {
		return x.unrecorded(&e)
	}
	if err := x.seal(ctx, &e, side, r); err != nil {
		switch {
		case x.noRoom(err): // for the key of a new day
			return x.unrecorded(&e)
		case x.withoutVault(err), e.Type == eventRefused:
			// A refusal, above all one for the vault's sake, is recorded without its
			// details rather than not at all.
			e.Details = nil
		default:
			return fmt.Errorf("%w: %w", errUnsealed, err)
		}
	}
	x.noteVault(&e, nil)
	began := time.Now()
	receipt, err := x.slot.Append(e).Wait(ctx)
	x.h.app.metrics.durable(time.Since(began))
	if err != nil && x.passes(err) {
		x.down = err
		return x.unrecorded(&e)
	}
	if err != nil {
		return err
	}
	x.last = receipt.ID
	if side == &x.request && e.Attrs[attrUndo] != "" {
		x.weighMasks()
	}
	if x.observe() && side.body.doc != nil {
		x.gen.data.observed.add(side.body.doc)
	}
	return nil
}

// actorDetail is sealed under the key of who called.
type actorDetail struct {
	Address   string `json:"address,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	Asserted  string `json:"asserted,omitempty"`
	Proven    string `json:"proven,omitempty"`
	Actor     string `json:"actor"`
}

// subjectDetail is sealed under the key of the person it is about.
type subjectDetail struct {
	Records  []string        `json:"records,omitempty"`
	Findings []findingDetail `json:"findings,omitempty"`
	// Earlier are pieces of the numbers that this message completes. They stand in
	// the upstream as they were written, in messages of earlier calls.
	Earlier []earlierDetail `json:"earlier,omitempty"`
}

type findingDetail struct {
	Class string `json:"class"`
	Path  string `json:"path"`
	// Evidence is "split" for a piece of a number.
	Evidence string `json:"evidence,omitempty"`
	// Undo is the number under which the mask can be undone, 0 for one that cannot.
	Undo int `json:"undo,omitempty"`
}

// earlierDetail names a message with a piece: the conversation's record, and the
// exchange that brought it there.
type earlierDetail struct {
	Class    string `json:"class"`
	Record   string `json:"record"`
	Exchange string `json:"exchange"`
}

// Bounds of one event's details. Sixteen people cover every single record; of a
// longer page, paths and record ids are kept under the day's key.
const (
	maxSealedPeople   = 16
	maxSealedFindings = 256
	maxSealedRecords  = 256
)

// maxUserAgent keeps an absurd User-Agent from filling the log.
const maxUserAgent = 512

// seal encrypts what may identify somebody, apart for the actor and the people.
func (x *exchange) seal(ctx context.Context, e *audit.Event, side *half, r *http.Request) error {
	if x.vaultDown != nil {
		return nil //nolint:nilerr // the event says so, and has nothing sealed
	}
	// Once per exchange: its events name each other, and whoever reads one finds
	// the other.
	if !x.subject.IsZero() && x.last.IsZero() {
		agent := r.UserAgent()
		if len(agent) > maxUserAgent {
			agent = agent[:maxUserAgent]
		}
		detail := actorDetail{Address: x.client, UserAgent: agent, Asserted: x.actor.Asserted, Proven: x.actor.Proven, Actor: x.actor.ID}
		if err := x.sealPart(ctx, e, x.subject, "actor", detail); err != nil {
			return err
		}
	}
	undo, at := &side.keeping.undo, 0
	if e.Type == eventRefused {
		undo = new(undoing)
	}
	detail := subjectDetail{Records: side.people.names}
	if len(detail.Records) > maxSealedRecords {
		detail.Records = detail.Records[:maxSealedRecords]
	}
	for _, o := range side.found {
		detail.Findings = append(detail.Findings, findingDetail{Class: string(o.finding.Class), Path: o.place})
	}
	if doc := side.body.doc; doc != nil {
		for i := range doc.Findings {
			if len(detail.Findings) >= maxSealedFindings {
				break
			}
			if f := &doc.Findings[i]; f.Path != "" {
				d := findingDetail{Class: string(f.Class), Path: f.Path, Undo: undo.number(i, &at)}
				if f.Evidence&redact.EvidenceSplit != 0 {
					d.Evidence = redact.EvidenceSplit.String()
				}
				detail.Findings = append(detail.Findings, d)
			}
		}
	}
	if side == &x.request {
		for _, e := range x.earlier {
			detail.Earlier = append(detail.Earlier, earlierDetail{Class: string(e.class), Record: e.record, Exchange: e.exchange})
		}
	}
	if len(detail.Records) == 0 && len(detail.Findings) == 0 {
		return nil
	}
	people := side.people.subjects
	if len(people) == 0 || len(people) > maxSealedPeople {
		// Nobody in particular, or a whole page: a key of the day, which can be
		// destroyed when the retention of the day's details ends.
		day := x.h.app.now().UTC().Format(time.DateOnly)
		of, err := x.gen.data.Vault.Subjects(ctx, []vault.Ident{{Kind: "caregate:day", Value: day}})
		if err != nil {
			return err
		}
		people = of
	}
	for i, s := range people {
		// The log wants parts of one event to have different names.
		part := "subject"
		if i > 0 {
			part = fmt.Sprintf("subject.%d", i+1)
		}
		if err := x.sealPart(ctx, e, s, part, detail); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) sealPart(ctx context.Context, e *audit.Event, s vault.Subject, part string, detail any) error {
	plain, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	sealed, err := x.gen.data.seal(ctx, e, x.h.app.now(), s, part, plain)
	if err != nil {
		return err
	}
	e.Details = append(e.Details, sealed)
	return nil
}
