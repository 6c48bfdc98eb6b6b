package proxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/channel"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention/index"
	"github.com/caregate/caregate/retention/purge"
	"github.com/caregate/caregate/retention/schedule"
)

// Events of runs: a call to a vendor with its answer, and the end.
const (
	eventPurgeCall  = "retention.call"
	eventPurgeEnded = "retention.ended"
)

// consolePurges carries schedules of retention out, a call to a vendor for each call of Next, as
// consoleImports reads pages: nothing runs that nobody looks at.
type consolePurges struct{ a *App }

var _ console.Purges = consolePurges{}

// purgeError gives errors the names under which console knows them.
func purgeError(err error) error {
	switch {
	case errors.Is(err, purge.ErrNone):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case errors.Is(err, purge.ErrState), errors.Is(err, purge.ErrDoubt):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}

func consolePurge(r *purge.Run) console.Purge {
	out := console.Purge{
		ID: r.ID, State: r.State, Schedule: r.Schedule, Revision: r.Revision, At: r.At, List: r.List, More: r.More,
		Prepared: r.Prepared, PreparedBy: r.PreparedBy, Started: r.Started, ApprovedBy: r.ApprovedBy, Ended: r.Ended, Outcomes: make([]console.PurgeOutcome, len(r.Outcomes)),
	}
	for i, o := range r.Outcomes {
		out.Outcomes[i] = console.PurgeOutcome(o)
	}
	return out
}

// Prepare implements console.Purges.
func (c consolePurges) Prepare(ctx context.Context, by console.Actor, text string) (console.PreparedPurge, error) {
	d := c.a.gen.data
	s, err := c.a.schedule(text)
	if err != nil {
		return console.PreparedPurge{}, err
	}
	done, err := d.planAlone(ctx)
	if err != nil {
		return console.PreparedPurge{}, err
	}
	defer done()
	doubt, err := c.a.clockDoubt(ctx)
	if err != nil {
		return console.PreparedPurge{}, err
	}
	r, plan, err := d.Purges.Prepare(ctx, s, text, by.ID, doubt)
	if err != nil {
		return console.PreparedPurge{}, purgeError(err)
	}
	return console.PreparedPurge{Run: consolePurge(r), Plan: consolePlan(plan)}, nil
}

// List implements console.Purges.
func (c consolePurges) List(ctx context.Context) ([]console.Purge, error) {
	all, err := c.a.gen.data.Purges.List(ctx)
	out := make([]console.Purge, len(all))
	for i, r := range all {
		out[i] = consolePurge(r)
	}
	return out, err
}

// Get implements console.Purges.
func (c consolePurges) Get(ctx context.Context, id string) (console.Purge, error) {
	return shown(c.a.gen.data.Purges.Get(ctx, id))
}

// Start implements console.Purges.
func (c consolePurges) Start(ctx context.Context, id, list string, agreed []string) (console.Purge, error) {
	return shown(c.a.gen.data.Purges.Start(ctx, id, list, strings.Join(agreed, ",")))
}

func shown(r *purge.Run, err error) (console.Purge, error) {
	if err != nil {
		return console.Purge{}, purgeError(err)
	}
	return consolePurge(r), nil
}

// Next implements console.Purges.
func (c consolePurges) Next(ctx context.Context, id string) (console.PurgeStep, error) {
	d := c.a.gen.data
	step, err := d.Purges.Next(ctx, id, connector(c))
	if err != nil {
		return console.PurgeStep{}, purgeError(err)
	}
	if step.Done {
		if err := d.recordPurge(ctx, id); err != nil {
			return console.PurgeStep{}, purgeError(err)
		}
	}
	return console.PurgeStep{Record: step.Record, Operation: step.Operation, Status: step.Status, Seen: string(step.Seen), Wait: step.Wait.Milliseconds(), Done: step.Done}, nil
}

// lookAgainEvery is the time between two looks for trashes that are over. They take days.
const lookAgainEvery = time.Hour

// lookAgain looks again, behind a vendor's trash, at what runs deleted, until this configuration is
// over.
func (a *App) lookAgain(wait *time.Timer) {
	ctx := a.running()
	defer wait.Stop()
	for {
		if !a.gen.acquire() { // so that the directory is not closed meanwhile
			return
		}
		next, err := a.lookOnce(ctx)
		err = errors.Join(err, a.gen.release())
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			next = lookAgainEvery
			a.logger.Error("what a run of retention deleted could not be looked at again; it is tried later", errField(err))
		}
		wait.Reset(next)
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookOnce looks at one record, and says how long to wait for the next. Ends that a crash kept from
// the log are put on record.
func (a *App) lookOnce(ctx context.Context) (wait time.Duration, err error) {
	d := a.gen.data
	run, step, err := d.Purges.Look(ctx, connector{a})
	if err != nil {
		return 0, err
	}
	ended, err := d.Purges.Untold(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range ended {
		if err := d.recordPurge(ctx, id); err != nil {
			return 0, err
		}
	}
	switch {
	case run != "":
		return 0, nil
	case step.Wait > 0:
		return min(step.Wait, lookAgainEvery), nil
	}
	return lookAgainEvery, nil
}

// recordPurge puts the end of a run on record, once, with the digest of its certificate.
func (d *Data) recordPurge(ctx context.Context, id string) error {
	document, err := d.Purges.Certificate(ctx, id)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte("retention run\n" + id))
	if err := d.recordOnce(ctx, audit.Event{ID: audit.ID(sum[:16]), Type: eventPurgeEnded, Attrs: map[string]string{"run": id, "certificate": fmt.Sprintf("%x", sha256.Sum256(document))}}, ""); err != nil {
		return err
	}
	return d.Purges.Told(ctx, id)
}

// Certificate implements console.Purges.
func (c consolePurges) Certificate(ctx context.Context, id string) (console.PurgeCertificate, error) {
	d := c.a.gen.data
	document, err := d.Purges.Certificate(ctx, id)
	if err != nil {
		return console.PurgeCertificate{}, purgeError(err)
	}
	_, text, err := purge.Statement(document)
	if err != nil {
		return console.PurgeCertificate{}, err
	}
	statement, err := d.Log.Sign(purge.CertificateKind, text)
	if err != nil {
		return console.PurgeCertificate{}, err
	}
	return console.PurgeCertificate{Certificate: string(document), Statement: statement}, nil
}

// connector makes the calls of runs: over the route of the account, with the route's credential
// and connections, within the gateway's share of the vendor's limit.
type connector struct{ a *App }

var _ purge.Gateway = connector{}

// Doubt implements purge.Gateway.
func (c connector) Doubt(ctx context.Context) (string, error) { return c.a.clockDoubt(ctx) }

// Schedule implements purge.Gateway.
func (c connector) Schedule(text string) (*schedule.Schedule, error) { return c.a.schedule(text) }

// route is the one by which the gateway reaches an account, nil for none.
func (c connector) route(of index.Record) *Handler {
	i := slices.IndexFunc(c.a.routes, func(h *Handler) bool {
		return !h.Webhooks && h.ch.Name == of.Channel && c.a.account(h) == of.Host && h.ch.Budget != nil && h.Credential != nil && c.a.transports[h.Route] != nil
	})
	if i < 0 {
		return nil
	}
	return c.a.routes[i]
}

// Take implements purge.Gateway.
func (c connector) Take(ctx context.Context, of index.Record, call *channel.ActionCall) (wait time.Duration, ok bool, err error) {
	h := c.route(of)
	if h == nil {
		return 0, false, nil
	}
	account := c.a.importAccount(h)
	buckets := []bucket{{account: account, rate: h.ch.Budget.Rate}}
	if !call.Limit.IsZero() {
		buckets = append(buckets, bucket{account: account + " " + call.Operation.Name, rate: call.Limit, fixed: true})
	}
	wait, err = c.a.gen.data.budgets.take(ctx, c.a.now(), buckets...)
	return wait, true, err
}

// Ask implements purge.Gateway. An answer that cannot be read has no body, and so proves nothing
// but by its status.
func (c connector) Ask(ctx context.Context, of index.Record, call *channel.ActionCall, path string, body []byte) (purge.Answer, error) {
	h := c.route(of)
	if h == nil {
		return purge.Answer{}, errors.New("the configuration has no route to the account any more")
	}
	x := c.a.ownExchange(h, call.Operation)
	res, trouble := c.a.ownCall(ctx, x, call.Method, path, body)
	if trouble != nil {
		return purge.Answer{}, trouble
	}
	defer res.Body.Close()
	wait, err := c.a.gen.data.budgets.answered(ctx, c.a.now(), c.a.importAccount(h), h.ch.Budget, res.StatusCode, res.Header)
	if err != nil {
		return purge.Answer{}, err
	}
	answer := purge.Answer{Status: res.StatusCode, Wait: wait}
	if ref := x.readResponse(res); ref == nil {
		answer.Body = x.response.body.plain
	}
	return answer, nil
}

// Tell implements purge.Gateway.
func (c connector) Tell(ctx context.Context, e purge.Event) error {
	return c.a.gen.data.recordOnce(ctx, audit.Event{ID: audit.ID(e.ID), Type: eventPurgeCall, Channel: e.Channel, Operation: e.Operation, Attrs: e.Attrs}, "")
}
