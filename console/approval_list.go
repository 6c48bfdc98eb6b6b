package console

import "net/http"

// listApprovals answers GET /api/v1/approvals.
func listApprovals(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Approvals.List(c.ctx)
	if err != nil {
		return answer{}, approvalRefusal(err)
	}
	out := make([]Approval, len(list))
	for i, ap := range list {
		out[i] = ap.normal()
	}
	return answer{status: http.StatusOK, body: struct {
		Approvals []Approval `json:"approvals"`
	}{out}}, nil
}

// readApproval answers GET /api/v1/approvals/{id}.
func readApproval(a *api, c *callState) (answer, *Refusal) {
	ap, err := a.Approvals.Get(c.ctx, c.param)
	if err != nil {
		return answer{}, approvalRefusal(err)
	}
	return answer{status: http.StatusOK, body: ap.normal()}, nil
}
