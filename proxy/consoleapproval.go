package proxy

import (
	"context"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
)

// consoleApprovals gives policy's approvals in console's types.
type consoleApprovals struct {
	approvals *policy.Approvals
	metrics   *metrics
}

func consoleApproval(a policy.Approval) console.Approval {
	out := console.Approval{
		ID: a.ID, State: a.State, Requester: a.Requester, Route: a.Route, Channel: a.Channel, Operation: a.Operation, Effect: a.Effect, Scope: a.Scope,
		Purpose: a.Purpose, Records: a.Records, Findings: a.Counts, Inner: a.Inner, Needed: a.Needed, Agreed: a.Agreed, RefusedBy: a.RefusedBy,
		Asked: a.Asked, Expires: a.Expires, Settled: a.Settled, Rows: a.Rows,
	}
	if t := a.Terms; t != nil {
		out.Terms = &console.Terms{Filter: t.Filter, Rows: t.Rows, From: t.From, To: t.To, Until: t.Until}
	}
	return out
}

func (c consoleApprovals) List(ctx context.Context) ([]console.Approval, error) {
	list, err := c.approvals.List(ctx)
	out := make([]console.Approval, len(list))
	for i, a := range list {
		out[i] = consoleApproval(a)
	}
	return out, err
}

func (c consoleApprovals) Get(ctx context.Context, id string) (console.Approval, error) {
	a, err := c.approvals.Get(ctx, id)
	return consoleApproval(a), consoleError(err)
}

func (c consoleApprovals) Give(ctx context.Context, id, approver string, terms *console.Terms) (console.Approval, error) {
	var t *policy.Terms
	if terms != nil {
		t = &policy.Terms{Filter: terms.Filter, Rows: terms.Rows, From: terms.From, To: terms.To, Until: terms.Until}
	}
	a, err := c.approvals.Give(ctx, id, approver, t)
	if err == nil {
		c.metrics.approval(stepGiven)
	}
	return consoleApproval(a), consoleError(err)
}

func (c consoleApprovals) Refuse(ctx context.Context, id, approver string) (console.Approval, error) {
	a, err := c.approvals.Refuse(ctx, id, approver)
	if err == nil {
		c.metrics.approval(stepRefused)
	}
	return consoleApproval(a), consoleError(err)
}

var _ console.Approvals = consoleApprovals{}
