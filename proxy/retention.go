package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/schedule"
)

// planRetention plans a purge by a schedule, one at a time: each reads the whole index.
func (c consoleMount) planRetention(ctx context.Context, q console.RetentionQuestion) (console.RetentionPlan, error) {
	d := c.a.gen.data
	s, err := schedule.Builtin()
	if q.Schedule != "" {
		own := make([]*channel.Channel, len(c.a.routes))
		for i, h := range c.a.routes {
			own[i] = h.ch
		}
		s, err = schedule.Parse("schedule", []byte(q.Schedule), own)
	}
	switch {
	case errors.Is(err, schedule.ErrSchedule):
		return console.RetentionPlan{}, fmt.Errorf("%w: %w", console.ErrInvalid, err)
	case err != nil:
		return console.RetentionPlan{}, err
	}
	select {
	case d.planning <- struct{}{}:
		defer func() { <-d.planning }()
	case <-ctx.Done():
		return console.RetentionPlan{}, ctx.Err()
	}
	checked, err := c.a.Details.clockChecked()
	if err != nil {
		return console.RetentionPlan{}, err
	}
	doubt, err := d.Log.ClockSuspect(ctx, checked)
	if err != nil {
		return console.RetentionPlan{}, err
	}
	p, err := schedule.NewPlan(ctx, s, schedule.Sources{DB: d.state, At: q.At, Doubt: doubt})
	if err != nil {
		return console.RetentionPlan{}, err
	}
	return consolePlan(p), nil
}

func consolePlan(p *schedule.Plan) console.RetentionPlan {
	out := console.RetentionPlan{
		Schedule: p.Schedule, Revision: p.Revision, Made: p.Made, At: p.At, Doubt: p.Doubt, Records: p.Records, Matched: p.Matched, Held: p.Held, Gone: p.Gone,
		Due: make([]console.RetentionDue, len(p.Due)), Samples: make([]console.RetentionSample, len(p.Samples)), Spared: make([]console.RetentionSpared, len(p.Spared)),
		Kept: make([]console.RetentionKept, len(p.Kept)), Uncovered: make([]console.RetentionNoRules, len(p.Uncovered)),
	}
	for i, v := range p.Due {
		out.Due[i] = console.RetentionDue(v)
	}
	for i, v := range p.Samples {
		out.Samples[i] = console.RetentionSample(v)
	}
	for i, v := range p.Spared {
		out.Spared[i] = console.RetentionSpared(v)
	}
	for i, v := range p.Kept {
		out.Kept[i] = console.RetentionKept(v)
	}
	for i, v := range p.Uncovered {
		out.Uncovered[i] = console.RetentionNoRules(v)
	}
	return out
}
