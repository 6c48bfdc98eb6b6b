package proxy

import (
	"net/http"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/redact"
)

const markAuth = channel.MarkAuth

// decideRequest asks policy and refuses what it denies, what it blocks, and a
// masked value that would overwrite its original.
func (x *exchange) decideRequest(r *http.Request) *refusal {
	x.named = x.recordsNamed(r)
	ref := x.decide(r, &x.request, policy.Request)
	if ref != nil && ref.code == policy.NeedsApproval {
		inner, operation := ref.inner, ref.innerOp
		if ref = x.approve(r); ref != nil {
			ref.inner, ref.innerOp = inner, operation
		}
	}
	if ref != nil {
		return ref
	}
	x.ruled = x.request.decision
	if _, ref := x.responsePlaces(); ref != nil {
		return x.stop(&x.request, ref) // before it is made: its answer could not be shown
	}
	if ref := x.maskedWrite(r); ref != nil {
		return ref
	}
	if ref := x.takeCall(r); ref != nil {
		return ref
	}
	return x.spendApproval(r)
}

// decideUnread asks about the call of somebody unknown before its body is read, as if
// nothing were found in it: who has no right to call keeps neither room in the audit
// queue nor memory for as long as they like to send. A delivery is known by its
// signature, which is of the body.
func (x *exchange) decideUnread(r *http.Request) *refusal {
	if x.actor.Kind != policy.KindAnonymous || x.h.Webhooks || x.observe() || !hasBody(r) {
		return nil
	}
	return x.decide(r, &x.request, policy.Request)
}

// decide asks policy about one half of the exchange. Everything that goes wrong
// is a denial.
func (x *exchange) decide(r *http.Request, side *half, direction string) *refusal {
	var err error
	if side.flags, err = x.flagsOf(r.Context(), side, r.URL.RawQuery); err != nil {
		if ref := x.stop(side, refuseErr(reasonIndexDown, err)); ref != nil {
			return ref
		}
	}
	in := x.input(side, direction, r.Method)
	d, err := x.det.policy.engine.Decide(r.Context(), in)
	if direction == policy.Request {
		if ref := x.ungranted(d, err, r.Method); ref != nil {
			return ref
		}
	}
	if err != nil {
		return x.stop(side, refuseErr(reasonPolicyError, err))
	}
	var of *part
	if d, of, err = x.judge(r.Context(), side, in, d); err != nil {
		return x.stop(side, refuseErr(reasonPolicyError, err))
	}
	side.decision = d
	if d.Would != nil && !d.Would.Allow && side.would == "" {
		side.would = d.Would.Reason
	}
	if !d.Allow {
		ref := refuse(d.Reason)
		ref.needs, ref.rules = d.Needs, d.OwnRules()
		if of != nil {
			ref.inner, ref.innerOp = of.inner, of.op.Name
		}
		if ref.code == "" {
			ref.code = reasonPolicyDenied
		}
		return x.stop(side, ref)
	}
	if ref := x.look(side); ref != nil {
		return x.stop(side, ref)
	}
	blocked := x.tally(side)
	if blocked {
		return x.stop(side, refuse(reasonBlocked))
	}
	return nil
}

// input describes one half in the words that the rules know. It holds no data.
func (x *exchange) input(side *half, direction, method string) policy.Input {
	op := x.match.Op
	in := policy.Input{
		V: policy.InputVersion, Tenant: tenant, Route: x.h.Route, Direction: direction,
		Channel: x.h.ch.Name, Operation: op.Name, Mapped: x.match.Mapped,
		Effect: string(op.Effect), Scope: string(op.Scope), Mark: string(op.Mark),
		Method: policy.MethodClass(method), Actor: x.actor.Input(),
		Purpose: x.purpose, Network: x.network, Observe: x.observe(), Approvals: x.agreeing.agreed, Rollouts: x.rollouts,
		Networks: x.situation.Networks, Regions: x.situation.Regions, Hours: x.situation.Hours,
	}
	if x.h.Credential != nil {
		in.Credential = policy.CredentialAdded
	}
	in.Subject.Flags = side.flags
	if direction == policy.Request {
		in.Payment = x.inputPayment()
	}
	in.Records = x.touched(side)
	in.Findings = findingsOf(side, nil)
	return in
}

// findingsOf counts what was found in one half, by class and place, or in one of the calls
// inside it.
func findingsOf(side *half, within *innerCall) (rows []policy.Finding) {
	count := func(class redact.Class, place string, split int) {
		for i := range rows {
			if f := &rows[i]; f.Class == string(class) && f.Place == place {
				f.Count++
				f.Split += split
				return
			}
		}
		rows = append(rows, policy.Finding{Class: string(class), Place: place, Count: 1, Split: split})
	}
	for _, o := range side.found {
		if within == nil || o.call == within.Start {
			count(o.finding.Class, o.place, 0)
		}
	}
	if doc := side.body.doc; doc != nil {
		for i := range doc.Findings {
			f := &doc.Findings[i]
			if within != nil && (f.Start < within.Start || f.Start >= within.End) {
				continue
			}
			split := 0
			if f.Evidence&redact.EvidenceSplit != 0 {
				split = 1
			}
			count(f.Class, placeOf(f), split)
		}
	}
	return rows
}

// tenant is the one tenant of a deployment (design: one tenant until
// multi-tenancy is asked for).
const tenant = "default"

// placeOf names a finding's place for policy. A number or a key stays what it
// is; a text that must not be rewritten is told apart by whether words or
// grouping confirm the finding.
func placeOf(f *redact.Finding) string {
	switch {
	case f.Place == redact.PlaceKey:
		return policy.PlaceKey
	case f.Never && f.Strong:
		return policy.PlaceNeverStrong
	case f.Never:
		return policy.PlaceNever
	case f.Place == redact.PlaceNumber, f.Field == redact.FieldExact:
		return policy.PlaceNumber
	case f.Class == redact.PaymentReference && !f.Strong:
		return policy.PlaceMention
	}
	return policy.PlaceText
}

// action is what policy decided for one finding. What cannot be rewritten is
// blocked when policy wants it changed.
func (side *half) action(class redact.Class, place string) redact.Action {
	if side.decision == nil { // observing, and policy failed
		return redact.Report
	}
	a, err := redact.ParseAction(side.decision.Action(string(class), place))
	if err != nil {
		return redact.Block
	}
	if a.Rewrites() {
		switch place {
		case policy.PlaceKey, policy.PlaceNever, policy.PlaceNeverStrong, policy.PlacePath:
			return redact.Block
		}
	}
	return a
}

// tally counts what becomes of every finding, collects the values that are to be kept,
// and tells whether one of them stops the exchange.
func (x *exchange) tally(side *half) (blocked bool) {
	side.keeping = keeping{}
	add := func(class redact.Class, a redact.Action, i int) {
		x.h.app.metrics.finding(x.h.Route, class, a)
		c := countFor(&side.counts, string(class))
		switch a {
		case redact.Allow, redact.Report:
			c.Clear++
		case redact.Drop:
			c.Dropped++
		case redact.Block:
			blocked = true
		case redact.Tokenize:
			if i >= 0 && x.keep(side, i) {
				c.Tokenized++
			} else {
				c.Masked++ // as which it is carried out
			}
		default:
			c.Masked++
			x.keepOriginal(side, string(class), i)
		}
	}
	for _, o := range side.found {
		add(o.finding.Class, side.action(o.finding.Class, o.place), -1)
	}
	if doc := side.body.doc; doc != nil {
		for i := range doc.Findings {
			add(doc.Findings[i].Class, side.actionOf(&doc.Findings[i]), i)
		}
	}
	if side.body.unread != "" {
		countFor(&side.counts, notInspected).NotInspected++
		x.h.app.metrics.uninspected(x.h.Route, side.body.unread)
	}
	if side.body.partly != "" {
		for range side.body.doc.Unread {
			countFor(&side.counts, notInspected).NotInspected++
			x.h.app.metrics.uninspected(x.h.Route, side.body.partly)
		}
	}
	return blocked
}

// notInspected is the class under which the log counts bodies that nobody read.
const notInspected = "*"

func countFor(counts *[]audit.Count, class string) *audit.Count {
	for i := range *counts {
		if (*counts)[i].Class == class {
			return &(*counts)[i]
		}
	}
	*counts = append(*counts, audit.Count{Class: class})
	return &(*counts)[len(*counts)-1]
}
