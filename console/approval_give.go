package console

import "context"

// decodeTerms reads {"standing", "filter", "rows", "from", "to", "until"}, or nothing for an approval that counts once.
func decodeTerms(body []byte) (any, *Refusal) {
	var t Terms
	standing := false
	ref := decodeObject(body, member{"standing", &standing}, member{"filter", &t.Filter}, member{"rows", &t.Rows},
		member{"from", &t.From}, member{"to", &t.To}, member{"until", &t.Until})
	switch {
	case ref != nil:
		return nil, ref
	case standing:
		return &t, nil
	case t != Terms{}:
		return nil, refuse(reasonInvalid, "filter, rows, from, to and until belong to a standing approval", nil)
	}
	return (*Terms)(nil), nil
}

// giveApproval answers POST /api/v1/approvals/{id}/give. One that the log does not
// know of is refused.
func giveApproval(a *api, c *callState) (answer, *Refusal) {
	ap, err := a.Approvals.Give(c.ctx, c.param, c.actor.ID, c.body.(*Terms))
	if err != nil {
		return answer{}, approvalRefusal(err)
	}
	return approvalDone(ap, "given", func(ctx context.Context) error {
		_, err := a.Approvals.Refuse(ctx, ap.ID, c.actor.ID)
		return err
	}), nil
}
