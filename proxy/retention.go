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
	s, err := c.a.schedule(q.Schedule)
	if err != nil {
		return console.RetentionPlan{}, err
	}
	done, err := d.planAlone(ctx)
	if err != nil {
		return console.RetentionPlan{}, err
	}
	defer done()
	doubt, err := c.a.clockDoubt(ctx)
	if err != nil {
		return console.RetentionPlan{}, err
	}
	p, err := schedule.NewPlan(ctx, s, schedule.Sources{DB: d.state, At: q.At, Doubt: doubt})
	if err != nil {
		return console.RetentionPlan{}, err
	}
	return consolePlan(p), nil
}

// schedule reads the text of a schedule, the built-in one where it is empty. ErrInvalid of
// console for one with mistakes.
func (a *App) schedule(text string) (*schedule.Schedule, error) {
	if text == "" {
		return schedule.Builtin()
	}
	own := make([]*channel.Channel, len(a.routes))
	for i, h := range a.routes {
		own[i] = h.ch
	}
	s, err := schedule.Parse("schedule", []byte(text), own)
	if errors.Is(err, schedule.ErrSchedule) {
		err = fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return s, err
}

// planAlone waits until nobody else plans; done lets the next one.
func (d *Data) planAlone(ctx context.Context) (done func(), err error) {
	select {
	case d.planning <- struct{}{}:
		return func() { <-d.planning }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// clockDoubt says why the clock is not to be believed, empty where it is.
func (a *App) clockDoubt(ctx context.Context) (string, error) {
	checked, err := a.Details.clockChecked()
	if err != nil {
		return "", err
	}
	return a.gen.data.Log.ClockSuspect(ctx, checked)
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
