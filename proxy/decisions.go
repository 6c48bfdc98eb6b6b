package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/policy"
)

// Decisions are the entries of the audit log of a data directory that tell of a decision,
// for [policy.Replay]: those from from, and before to where to is set, by the gateway's
// clock. A gateway may run there.
func Decisions(ctx context.Context, dir string, from, to time.Time) iter.Seq2[policy.Recorded, error] {
	return func(yield func(policy.Recorded, error) bool) {
		visit(ctx, dir, from, to, func(l *audit.Leaf, err error) bool {
			if err != nil {
				return yield(policy.Recorded{}, err)
			}
			rec, times := recorded(l)
			for range times {
				if !yield(rec, nil) {
					return false
				}
			}
			return true
		})
	}
}

// Observations are the entries of the audit log of a data directory that tell what an
// observing route saw, for [policy.WouldHave], as Decisions are those of a decision.
func Observations(ctx context.Context, dir string, from, to time.Time) iter.Seq2[policy.Observed, error] {
	return func(yield func(policy.Observed, error) bool) {
		visit(ctx, dir, from, to, func(l *audit.Leaf, err error) bool {
			if err != nil {
				return yield(policy.Observed{}, err)
			}
			o, ok := observation(l)
			return !ok || yield(o, nil)
		})
	}
}

// visit shows the entries of a window until yield has enough, or the error that ended it.
func visit(ctx context.Context, dir string, from, to time.Time, yield func(*audit.Leaf, error) bool) {
	enough := errors.New("enough")
	_, err := audit.Entries(ctx, dir, 0, func(e audit.Entry) error {
		at := time.UnixMilli(e.Leaf.Wall)
		if at.Before(from) || !to.IsZero() && !at.Before(to) {
			return nil
		}
		if !yield(&e.Leaf, nil) {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		yield(nil, err)
	}
}

// observation is what an entry tells of one half of an observed call.
func observation(l *audit.Leaf) (o policy.Observed, ok bool) {
	if l.Attrs["observe"] == "" || l.Decision != audit.DecisionAllow || l.Cont > 0 || l.Type == eventRequestClosed || l.Type == eventResponseClosed {
		return o, false // the end of a stream has nothing that its windows do not have
	}
	o = policy.Observed{
		Receipt: l.ID.String(), Input: l.Input, Would: l.Attrs["would"], Program: l.Attrs[attrProgram], Signed: l.Attrs[attrSigned] != "", Doubts: l.Attrs[attrDoubts],
		Replaces: l.Attrs["method"] == http.MethodPut || l.Attrs["method"] == http.MethodPatch, Clear: make(map[string]int),
	}
	if l.Actor != (audit.Pseudonym{}) {
		o.Caller = hex.EncodeToString(l.Actor[:])
	}
	for _, c := range l.Released {
		o.Clear[c.Class] = c.Clear
	}
	return o, true
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
