package proxy

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/policy"
)

// Decisions are the entries of the audit log of a data directory that tell of a decision,
// for [policy.Replay]: those from from, and before to where to is set, by the gateway's
// clock. A gateway may run there.
func Decisions(ctx context.Context, dir string, from, to time.Time) iter.Seq2[policy.Recorded, error] {
	enough := errors.New("enough")
	return func(yield func(policy.Recorded, error) bool) {
		_, err := audit.Entries(ctx, dir, 0, func(e audit.Entry) error {
			at := time.UnixMilli(e.Leaf.Wall)
			if at.Before(from) || !to.IsZero() && !at.Before(to) {
				return nil
			}
			rec, times := recorded(&e.Leaf)
			for range times {
				if !yield(rec, nil) {
					return enough
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(policy.Recorded{}, err)
		}
	}
}

// recorded is what an entry of the log tells of decisions, and of how many.
func recorded(l *audit.Leaf) (rec policy.Recorded, times int) {
	if l.Decision == "" || l.Cont > 0 {
		return rec, 0
	}
	rec, times = policy.Recorded{Receipt: l.ID.String(), Input: l.Input, Policy: l.Policy}, 1
	switch l.Type {
	case "api.done":
		if l.Decision != audit.DecisionDeny {
			return rec, 0 // what stands behind a deed decides nothing
		}
	case "request.closed", "response.closed":
		if l.Decision != audit.DecisionDeny {
			return rec, 0 // nor does the end of a stream
		}
		rec.Input = "" // that of the window which was refused is not in the log
	case audit.TypeDenialsCounted:
		if n, err := strconv.Atoi(l.Attrs["count"]); err == nil && n > 1 {
			times = n
		}
		return rec, times // of several inputs, and for the reason of the first
	}
	if l.Decision == audit.DecisionDeny {
		rec.Reason = l.Reason
	}
	return rec, times
}
