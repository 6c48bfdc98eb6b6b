package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
)

// replayTime bounds a replay inside the gateway. A log that takes longer is for the
// command line, on another machine if need be.
const replayTime = 10 * time.Minute

// replay asks a draft for what the log says was decided. It uses one processor and waits
// for those before it, so that calls are decided beside it.
func (c consoleMount) replay(ctx context.Context, d console.Draft) (console.Replayed, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, replayTime,
		fmt.Errorf("%w: the log has more than can be replayed beside the traffic in %s: name a shorter time, or use `caregate policy replay`", console.ErrInvalid, replayTime))
	defer cancel()
	draft, err := policy.Draft(ctx, d.Files)
	if err != nil {
		return console.Replayed{}, fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	select {
	case c.a.gen.data.replaying <- struct{}{}:
		defer func() { <-c.a.gen.data.replaying }()
	case <-ctx.Done():
		return console.Replayed{}, context.Cause(ctx)
	}
	r, err := policy.Replay(ctx, c.a.rules().engine, draft, Decisions(ctx, c.a.gen.data.Dir, d.From, d.To), 1)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, console.ErrInvalid) {
			err = cause
		}
		return console.Replayed{}, err
	}
	out := console.Replayed{
		Now: r.Now, Draft: r.Draft, Decisions: r.Decisions, Situations: r.Situations, Before: r.Before,
		Otherwise: r.Otherwise, Without: r.Without, Lost: r.Lost, Gained: r.Gained, Treated: r.Treated,
		Changes: make([]console.PolicyChange, len(r.Changes)),
	}
	if out.Gateways, err = c.a.gen.data.gateways.others(ctx); err != nil {
		return console.Replayed{}, err
	}
	for i, ch := range r.Changes {
		out.Changes[i] = console.PolicyChange(ch)
		if ch.Roles == nil {
			out.Changes[i].Roles = []string{}
		}
	}
	return out, nil
}
