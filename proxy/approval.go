package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact/walk"
)

// headerApproval is how a caller names the approval that was given for its call.
const headerApproval = "Caregate-Approval"

// maxApprovalID is longer than any ID.
const maxApprovalID = 64

// agreeing is what an exchange knows of others' agreement.
type agreeing struct {
	presented string // the approval that the caller names
	// agreed is how many others have agreed to this call, id the approval that says so
	// or was asked for.
	agreed int
	id     string
	// standing is set when the approval is a standing one, unspent when it counts once and
	// has not been spent on this call yet, which digest describes.
	standing, unspent bool
	digest            []byte
	// asked is set when this exchange asked, and fresh when nobody had before.
	asked, fresh bool
	until        time.Time
}

// approve finds out whether others have agreed to a call that policy permits only so,
// and decides again if they have. Otherwise it asks, and the refusal says for what.
// Nothing of the body is kept. An approval that counts once is spent by spendApproval.
func (x *exchange) approve(r *http.Request) *refusal {
	if x.down != nil {
		return refuseErr(reasonAuditUnavailable, x.down) // no approval counts that the log does not know
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	digest := x.callDigest(r)
	approvals := x.gen.data.Approvals
	a := &x.agreeing
	var err error
	if a.presented != "" {
		a.agreed, err = approvals.Given(ctx, a.presented, x.actor.ID, digest)
		a.unspent, a.digest = err == nil, digest
	} else if err = policy.ErrApproval; len(x.inner) == 0 { // a standing one names no calls inside
		a.id, a.agreed, err = approvals.Stand(ctx, policy.StandingCall{Requester: x.actor.ID, Route: x.h.Route, Channel: x.h.ch.Name,
			Operation: x.match.Op.Name, Query: r.URL.Query(), Rows: x.rowsAsked(r)})
		a.standing = err == nil
	}
	switch {
	case err == nil:
		if a.standing {
			x.h.app.metrics.approval(stepStanding)
		}
		ref := x.decide(r, &x.request, policy.Request)
		if ref != nil && ref.code == policy.NeedsApproval {
			return refuse(reasonApprovalInvalid) // the policy wants more than were asked then
		}
		return ref
	case !errors.Is(err, policy.ErrApproval):
		return refuseErr(reasonApprovalsDown, err)
	case a.presented != "":
		return refuse(reasonApprovalInvalid)
	}
	ap, fresh, err := approvals.Ask(ctx, x.wanted(r, digest))
	switch {
	case errors.Is(err, policy.ErrApprovalsFull):
		return refuse(reasonApprovalsFull)
	case err != nil:
		return refuseErr(reasonApprovalsDown, err)
	}
	if fresh {
		x.h.app.metrics.approval(stepAsked)
	}
	a.id, a.asked, a.fresh, a.until = ap.ID, true, fresh, ap.Expires
	return refuse(policy.NeedsApproval)
}

// mayWait tells before the body is read whether the call is one that policy lets through
// only when others agree, be it for the number of its records, or of which it counts the
// records. They agree to all of a call, and what they agreed to has to be what is sent: its body
// is read whole.
func (x *exchange) mayWait(r *http.Request) bool {
	if x.observe() {
		return false // nothing waits there
	}
	if x.match.Op.Composite != nil {
		return true // one of the calls inside may be
	}
	in := x.input(&x.request, policy.Request, r.Method)
	in.Records = math.MaxInt
	d, err := x.det.policy.engine.Decide(r.Context(), in)
	if err != nil || d.Approvers > 0 {
		return true // what fails now is told when the call is decided
	}
	// Of what is done to each of many records a limit of calls counts as many as there are.
	return slices.ContainsFunc(x.parts(&x.request, in), func(p part) bool {
		d, err := x.det.policy.engine.Decide(r.Context(), p.in)
		return err != nil || d.Approvers > 0 || slices.ContainsFunc(d.Limits, func(l policy.RateLimit) bool { return l.Of == policy.LimitCalls })
	})
}

// spendApproval spends the approval that the call has, if it counts once. It comes behind
// everything that can refuse the call, limits too: others need not agree again to a call
// that was made too early. Of several calls with one approval at the same moment, one is made.
func (x *exchange) spendApproval(r *http.Request) *refusal {
	a := &x.agreeing
	if !a.unspent {
		return nil
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	switch _, err := x.gen.data.Approvals.Use(ctx, a.presented, x.actor.ID, a.digest); {
	case errors.Is(err, policy.ErrApproval):
		return refuse(reasonApprovalInvalid)
	case err != nil:
		return refuseErr(reasonApprovalsDown, err)
	}
	a.unspent, a.id = false, a.presented
	x.h.app.metrics.approval(stepUsed)
	return nil
}

// wanted describes the call for those who are to agree.
func (x *exchange) wanted(r *http.Request, digest []byte) policy.NewApproval {
	op := x.match.Op
	effect, scope := x.inner.reach(op)
	n := policy.NewApproval{
		Requester: x.actor.ID, Route: x.h.Route, Channel: x.h.ch.Name, Operation: op.Name, Effect: string(effect), Scope: string(scope), Inner: x.inner.counts(),
		Purpose: x.purpose, Records: max(x.rowsAsked(r), len(x.recordNames())), Counts: make(map[string]int), Digest: digest, Needed: x.request.decision.Approvers,
	}
	for _, o := range x.request.found {
		n.Counts[string(o.finding.Class)]++
	}
	if doc := x.request.body.doc; doc != nil {
		for i := range doc.Findings {
			n.Counts[string(doc.Findings[i].Class)]++
		}
	}
	return n
}

// appendParts appends strings, each with its length.
func appendParts(b []byte, parts ...string) []byte {
	for _, p := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
	}
	return b
}

// boundParts is what an approval of the gateway's own API is bound to.
func boundParts(parts []string, records int) []byte {
	return binary.AppendUvarint(appendParts(nil, parts...), uint64(records))
}

func units(doc *walk.Doc) int {
	if doc == nil {
		return 0
	}
	return doc.Units
}

// rowsAsked is how many records a request touches: those of its body and, in one that
// changes something, those that its path names or a list of ids in its query.
func (x *exchange) rowsAsked(r *http.Request) int {
	if x.match.Op.Effect == channel.EffectRead {
		return units(x.request.body.doc) // what it reads is in the answer
	}
	return max(units(x.request.body.doc), x.recordsNamed(r))
}

// recordsNamed is how many records the path, the body and lists of ids in the query name.
func (x *exchange) recordsNamed(r *http.Request) int {
	return max(len(x.recordNames()), idsListed(x.match.Op, r.URL.Query()), x.inner.listed())
}

// callDigest binds an approval to the call: route, method, path, query, operation, the
// records that it names and what is found in it, by class and place. The digest is
// keyed, so that nobody can try which records they are.
func (x *exchange) callDigest(r *http.Request) []byte {
	op := x.match.Op
	var b []byte
	add := func(parts ...string) { b = appendParts(b, parts...) }
	add(tenant, x.h.Route, x.h.ch.Name, op.Name, string(op.Effect), string(op.Scope), r.Method, r.URL.EscapedPath(), r.URL.Query().Encode(), x.purpose)
	names := x.recordNames()
	b = binary.AppendUvarint(b, uint64(len(names)))
	add(names...)
	b = binary.AppendUvarint(b, uint64(units(x.request.body.doc)))
	b = binary.AppendUvarint(b, uint64(len(x.inner)))
	for i := range x.inner {
		add(x.inner[i].Method, x.inner[i].Path, x.inner[i].RawQuery)
	}
	counts := make(map[string]int)
	for _, o := range x.request.found {
		counts[string(o.finding.Class)+" "+o.place]++
	}
	if doc := x.request.body.doc; doc != nil {
		for i := range doc.Findings {
			counts[string(doc.Findings[i].Class)+" "+placeOf(&doc.Findings[i])]++
		}
	}
	if s := x.spend; s != nil {
		// Whose money and how much: others agree to this refund and to no other.
		add(s.Token, s.Account, s.Order, s.Currency)
		b = binary.AppendUvarint(b, uint64(s.Amount))
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		add(name)
		b = binary.AppendUvarint(b, uint64(counts[name]))
	}
	return x.gen.data.Vault.Digest("approval", b)
}

// recordNames are the vendor's records that the request names, sorted.
func (x *exchange) recordNames() []string {
	return recordsIn(x.pathParams(), x.request.body.doc)
}

// recordsIn are the vendor's records that parameters of a path and a body name, sorted. doc
// may be nil.
func recordsIn(params []channel.Param, doc *walk.Doc) []string {
	var names []string
	note := func(label, value string) {
		if kind, ok := strings.CutPrefix(label, channel.LabelRecord); ok && value != "" && value != "null" {
			names = append(names, kind+":"+value)
		}
	}
	for _, p := range params {
		note(p.Label, p.Value)
	}
	if doc != nil {
		for _, c := range doc.Captures {
			if channel.Indexed(c.Label) && c.Flags&walk.URL == 0 {
				note(c.Label, string(doc.Value(c)))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// countRows takes the rows of an answer from what a standing approval lets through. An
// answer whose rows cannot be counted, because it is a stream or nobody could read it, has
// none left.
func (x *exchange) countRows(ctx context.Context) *refusal {
	if !x.agreeing.standing {
		return nil
	}
	b := &x.response.body
	if b.stream != nil || b.unread != "" || b.partly != "" {
		return refuse(reasonApprovalRows)
	}
	rows := units(b.doc)
	if rows == 0 {
		return nil
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	switch err := x.gen.data.Approvals.Count(ctx, x.agreeing.id, rows); {
	case errors.Is(err, policy.ErrApproval):
		return refuse(reasonApprovalRows)
	case err != nil:
		return refuseErr(reasonApprovalsDown, err)
	}
	return nil
}

// note tells the log which approval stands behind an exchange, or was asked for.
func (a *agreeing) note(attrs map[string]string) {
	if a.id == "" {
		return
	}
	attrs["approval"] = a.id
	switch {
	case a.asked:
		attrs["approval_step"] = stepAsked
	case a.standing:
		attrs["approval_step"] = stepStanding
	default:
		attrs["approval_step"] = stepUsed
	}
}

// approvalLink is where the gateway's API has an approval.
func approvalLink(id string) string { return "/api/v1/approvals/" + id }

// Steps in the life of an approval, in metrics and in the attribute approval_step.
const (
	stepAsked    = "asked"
	stepGiven    = "given"
	stepRefused  = "refused"
	stepUsed     = "used"
	stepStanding = "standing"
	stepExpired  = "expired"
)

// expireApprovalsEvery is how often approvals are ended whose time is over. They do not count
// from the instant on; this is when the log hears of it.
const expireApprovalsEvery = time.Minute

// eventExpired is the type of the event that an approval's time was over.
const eventExpired = "approval.expired"

// expireApprovals keeps ending approvals until the data directory is closed.
func (d *Data) expireApprovals(ctx context.Context, logger *slog.Logger) {
	for next(ctx, expireApprovalsEvery) {
		if err := d.Approvals.Expire(ctx, d.tellExpired); err != nil && ctx.Err() == nil {
			logger.Error("ending approvals", slog.Any("error", err))
		}
		if err := d.tellHolds(ctx); err != nil && ctx.Err() == nil {
			logger.Error("recording what happened to legal holds; it is tried again", slog.Any("error", err))
		}
		if err := d.Limits.Sweep(ctx); err != nil && ctx.Err() == nil {
			logger.Error("forgetting what was taken of limits", slog.Any("error", err))
		}
		if err := d.Vouchers.Sweep(ctx); err != nil && ctx.Err() == nil {
			logger.Error("forgetting vouchers", slog.Any("error", err))
		}
	}
}

// tellExpired records that an approval's time was over.
func (d *Data) tellExpired(ctx context.Context, ap policy.Approval) error {
	slot, err := d.Log.Reserve(ctx, audit.LaneReserved)
	if err != nil {
		return err
	}
	defer slot.Release()
	_, err = slot.Append(audit.Event{
		Type: eventExpired, Tenant: tenant, Route: ap.Route, Channel: ap.Channel, Operation: ap.Operation, Effect: ap.Effect, Scope: ap.Scope,
		Attrs: map[string]string{"approval": ap.ID, "approval_step": stepExpired}, Retention: retentionAdministration,
	}).Wait(ctx)
	if err == nil {
		processMetrics.approval(stepExpired)
	}
	return err
}
