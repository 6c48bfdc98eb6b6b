package console

// refuseApproval answers POST /api/v1/approvals/{id}/refuse. A refusal whose event
// failed stays: it is the safe side, and the event before it stands.
func refuseApproval(a *api, c *callState) (answer, *Refusal) {
	ap, err := a.Approvals.Refuse(c.ctx, c.param, c.actor.ID)
	if err != nil {
		return answer{}, approvalRefusal(err)
	}
	return approvalDone(ap, "refused", nil), nil
}
