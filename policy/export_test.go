package policy

import (
	"context"
	"time"
)

// CountSeen and LookSeen are the queries of limits on different ones, for tests of how the
// database goes about them.
const CountSeen = countSeen

var LookSeen = lookSeen

// Of vouchers.
const VoucherKept = voucherKept

var SameAddress = sameAddress

// Use is use.
func (v *Vouchers) Use(ctx context.Context, digest []byte, end time.Time) (bool, error) {
	return v.use(ctx, digest, end)
}
