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
	if ref := x.decide(r, &x.request, policy.Request); ref != nil {
		return ref
	}
	return x.maskedWrite(r)
}

// decide asks policy about one half of the exchange. Everything that goes wrong
// is a denial.
func (x *exchange) decide(r *http.Request, side *half, direction string) *refusal {
	in := x.input(side, direction, r.Method)
	d, err := x.h.app.engine.Decide(r.Context(), in)
	if err != nil {
		return x.stop(side, refuseErr(reasonPolicyError, err))
	}
	side.decision = d
	if d.Would != nil && !d.Would.Allow && side.would == "" {
		side.would = d.Would.Reason
	}
	if !d.Allow {
		ref := refuse(d.Reason)
		ref.needs = d.Needs
		if ref.code == "" {
			ref.code = reasonPolicyDenied
		}
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
		Purpose: x.purpose, Network: x.network, Observe: x.observe(),
	}
	count := func(class redact.Class, place string) {
		for i := range in.Findings {
			if f := &in.Findings[i]; f.Class == string(class) && f.Place == place {
				f.Count++
				return
			}
		}
		in.Findings = append(in.Findings, policy.Finding{Class: string(class), Place: place, Count: 1})
	}
	for _, o := range side.found {
		count(o.finding.Class, o.place)
	}
	if doc := side.body.doc; doc != nil {
		in.Records = doc.Units
		for i := range doc.Findings {
			count(doc.Findings[i].Class, placeOf(&doc.Findings[i]))
		}
	}
	return in
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
	case f.Place == redact.PlaceNumber:
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

// tally counts what becomes of every finding, and tells whether one of them
// stops the exchange.
func (x *exchange) tally(side *half) (blocked bool) {
	add := func(class redact.Class, place string) {
		a := side.action(class, place)
		x.h.app.metrics.finding(x.h.Route, class, a)
		c := countFor(&side.counts, string(class))
		switch a {
		case redact.Allow, redact.Report:
			c.Clear++
		case redact.Drop:
			c.Dropped++
		case redact.Block:
			blocked = true
		default:
			// A token is carried out as a mask until the vault issues tokens, and is
			// recorded as what it was.
			c.Masked++
		}
	}
	for _, o := range side.found {
		add(o.finding.Class, o.place)
	}
	if doc := side.body.doc; doc != nil {
		for i := range doc.Findings {
			add(doc.Findings[i].Class, placeOf(&doc.Findings[i]))
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

// maskedWrite keeps a value that we masked on its way out from replacing its
// original on its way back: tools that synchronise read a record and write it
// whole. Where the channel file names the field, it is taken out of the write;
// in a call that the file does not know the whole write is refused. A mask in
// text that is added, such as a comment, replaces nothing and passes.
func (x *exchange) maskedWrite(r *http.Request) *refusal {
	doc := x.request.body.doc
	if doc == nil || (r.Method != http.MethodPut && r.Method != http.MethodPatch && x.match.Mapped) {
		return nil
	}
	edits, elsewhere := doc.MaskedWrites()
	switch {
	case !x.match.Mapped && r.Method != http.MethodPost && (elsewhere > 0 || len(edits) > 0):
		return x.stop(&x.request, refuse(reasonMaskedWrite))
	case len(edits) > 0 && x.observe():
		x.request.would = reasonMaskedWrite
	case x.match.Mapped:
		x.request.edits = append(x.request.edits, edits...)
		x.request.withheld = len(edits)
	}
	return nil
}
