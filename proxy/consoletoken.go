package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/vault"
)

// Limits of reveals. A call counts against its person's minute and each token against the
// day of the person, of the token and of everybody; of a call that others agreed to, only
// against the token and everybody.
const (
	revealsPerMinute  = 5
	revealsPerDay     = 50
	revealsOfOneToken = 10
	revealsOfAll      = 1000
	// The breaker stops all reveals at five times the weekly norm, and never below this
	// many a day: a quiet week must not make one busy morning an attack.
	breakerNorm  = 5
	breakerFloor = 250
)

const (
	minute = time.Minute
	day    = 24 * time.Hour
)

// revealStep is the step of the time that a call which reveals takes. What a token is
// costs a few lookups more or less, all far below it (V9).
const revealStep = 50 * time.Millisecond

// consoleTokens opens tokens for console.
type consoleTokens struct{ a *App }

// told is what a call on tokens tells the log.
type told struct {
	subjects []audit.Ref
	released []audit.Count
}

// Names implements console.Tokens.
func (c consoleTokens) Names(tokens []string) []string {
	var names []string
	for _, t := range tokens {
		if name, ok := c.a.gen.data.Vault.TokenName(t); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// limitName is what a limit of a token is counted under: for all texts alike, so that
// whether a token exists changes nothing.
func (c consoleTokens) limitName(use, token string) string {
	v := c.a.gen.data.Vault
	name, ok := v.TokenName(token)
	if !ok {
		name = hex.EncodeToString(v.Digest("no token", []byte(token))[:16])
	}
	return use + ":" + name
}

// Reveal implements console.Tokens.
func (c consoleTokens) Reveal(ctx context.Context, a console.Actor, op console.Operation, r console.Reveal) ([]console.Revealed, any, error) {
	p, err := proofOf(a)
	if err != nil {
		return nil, nil, err
	}
	defer c.even()()
	if err := c.takeReveals(ctx, p, op, r.Tokens); err != nil {
		return nil, nil, err
	}
	out := make([]console.Revealed, len(r.Tokens))
	var t told
	for i, token := range r.Tokens {
		value, err := c.a.gen.data.Vault.Reveal(ctx, token)
		known := err == nil
		if err != nil && !errors.Is(err, vault.ErrToken) {
			return nil, nil, &console.Refusal{Code: reasonVaultUnavailable}
		}
		class := value.Kind
		if !known {
			class = string(unknownClass)
		}
		in := consoleInput(p, op)
		in.Findings = []policy.Finding{{Class: class, Place: policy.PlaceText, Count: 1}}
		if in.Subject.Flags, err = c.flagsOf(ctx, token); err != nil {
			clear(value.Text)
			return nil, nil, err
		}
		d, err := p.rules.engine.Decide(ctx, in)
		if err != nil || !d.Allow || !known {
			clear(value.Text)
			continue
		}
		c.noteUndone(ctx, &p, token, value.Kind)
		out[i] = console.Revealed{Found: true, Class: value.Kind, Value: value.Masked(), Masked: true}
		count := countFor(&t.released, value.Kind)
		if r.Full {
			out[i].Value, out[i].Masked = string(value.Text), false
			count.Clear++
			t.subjects = append(t.subjects, audit.Ref{ID: value.Subject.Pseudonym(c.a.gen.data.Log.Origin()), Classes: []string{value.Kind}})
		} else {
			count.Masked++
			t.subjects = append(t.subjects, audit.Ref{ID: value.Subject.Pseudonym(c.a.gen.data.Log.Origin())})
		}
		clear(value.Text)
	}
	if len(t.subjects) > 0 { // before anybody sees them
		if err := c.a.gen.data.RevealRights.Use(ctx, p.ID); err != nil {
			return nil, nil, err
		}
	}
	c.a.metrics.reveal("revealed", len(t.subjects))
	c.a.metrics.reveal("not_found", len(r.Tokens)-len(t.subjects))
	return out, t.joined(), nil
}

// flagsOf says which flags the persons of a token have.
func (c consoleTokens) flagsOf(ctx context.Context, token string) ([]string, error) {
	flags, err := c.a.gen.data.flagsOfToken(ctx, token, c.a.now())
	if err != nil {
		c.a.logger.Error("looking for flags of the persons of a token", errField(err))
		return nil, &console.Refusal{Code: reasonIndexDown}
	}
	return flags, nil
}

// joined names every person once.
func (t told) joined() told {
	at := make(map[[16]byte]int)
	var out []audit.Ref
	for _, s := range t.subjects {
		i, known := at[s.ID]
		if !known {
			i = len(out)
			at[s.ID] = i
			out = append(out, audit.Ref{ID: s.ID})
		}
		out[i].Classes = merge(out[i].Classes, s.Classes...)
		slices.Sort(out[i].Classes)
	}
	t.subjects = out
	return t
}

// unknownClass is what policy is asked about where there is no token, so that it is asked.
const unknownClass = "payment_reference"

// takeReveals counts a call before anything is looked up.
func (c consoleTokens) takeReveals(ctx context.Context, p consoleProof, op console.Operation, tokens []string) error {
	n, actor := len(tokens), p.ID
	d, err := p.rules.engine.Decide(ctx, consoleInput(p, op))
	if err != nil {
		return err
	}
	limits := []policy.Limit{
		{Name: "reveal.breaker", Most: breakerFloor, Window: day, Take: n, Norm: breakerNorm},
		{Name: "reveal.all", Most: revealsOfAll, Window: day, Take: n},
	}
	codes := []string{reasonRevealsStopped, reasonRevealLimit}
	if op.Approvals == 0 {
		limits = append(limits, policy.Limit{Name: "reveal.minute:" + actor, Most: revealsPerMinute, Window: minute, Take: 1},
			policy.Limit{Name: "reveal.day:" + actor, Most: revealsPerDay, Window: day, Take: n})
	}
	each := make(map[string]int)
	for _, t := range tokens {
		each[c.limitName("reveal.token", t)]++
	}
	for name, times := range each {
		limits = append(limits, policy.Limit{Name: name, Most: revealsOfOneToken, Window: day, Take: times})
	}
	own := len(limits) // those of the policy come behind
	var of []policy.RateLimit
	for _, l := range d.Limits {
		if l.Of == policy.LimitReveals {
			of = append(of, l)
			limits = append(limits, policy.Limit{Name: limitOf(c.a.gen.data.Vault, l, actor), Most: l.Most, Window: l.Period(), Norm: l.Norm, Take: n})
		}
	}
	over, err := c.a.gen.data.Limits.Take(ctx, limits...)
	switch {
	case err != nil:
		return err
	case over < 0:
		return nil
	case over >= own:
		return c.overLimit(ctx, p, of[over-own], limits[over])
	}
	code := reasonRevealLimit
	if over < len(codes) {
		code = codes[over]
	}
	c.a.metrics.reveal("limited", n)
	return &console.Refusal{Code: code}
}

// overLimit tells of a limit of the policy that somebody has reached.
func (c consoleTokens) overLimit(ctx context.Context, p consoleProof, of policy.RateLimit, l policy.Limit) error {
	c.a.metrics.reveal("limited", l.Take)
	c.a.metrics.limitReached(policy.OwnChannel, policy.LimitReveals)
	if c.a.gen.data.alarms.first(l.Name, c.a.now(), l.Window) {
		c.a.logger.Warn("a caller has reached a limit of the policy", zap.String("actor", p.ID), zap.String("limit", limitWords(&of)))
	}
	if of.Incident { // before the refusal, as in exchange.overLimit
		if _, err := openBreach(ctx, c.a.gen.data, c.a.logger, of, p.ID, ""); err != nil {
			return err
		}
	}
	return &console.Refusal{Code: reasonLimit}
}

// even returns what waits until the call has taken a whole number of steps since.
func (c consoleTokens) even() func() {
	began := time.Now()
	return func() {
		if over := time.Since(began) % revealStep; over > 0 {
			timer := time.NewTimer(revealStep - over)
			<-timer.C
		}
	}
}

// approve implements console.Config.Approve.
func (c consoleMount) approve(ctx context.Context, a console.Actor, op console.Operation, w console.Wanted) (console.Agreement, error) {
	p, err := proofOf(a)
	if err != nil {
		return console.Agreement{}, err
	}
	approvals := c.a.gen.data.Approvals
	scope := scopeOf(op)
	digest := c.a.gen.data.Vault.Digest("approval", boundParts(append([]string{tenant, policy.OwnChannel, op.Name, op.Effect, scope}, w.Bound...), w.Records))
	switch {
	case len(w.Presented) > 1 || len(w.Presented) == 1 && (w.Presented[0] == "" || len(w.Presented[0]) > maxApprovalID):
		return console.Agreement{}, &console.Refusal{Code: reasonApprovalInvalid}
	case len(w.Presented) == 1:
		agreed, err := approvals.Use(ctx, w.Presented[0], p.ID, digest)
		if errors.Is(err, policy.ErrApproval) {
			return console.Agreement{}, &console.Refusal{Code: reasonApprovalInvalid}
		}
		if err != nil {
			return console.Agreement{}, err
		}
		c.a.metrics.approval(stepUsed)
		used, err := approvals.Get(ctx, w.Presented[0])
		return console.Agreement{ID: w.Presented[0], Agreed: agreed, By: used.Agreed}, err
	}
	in := consoleInput(p, op)
	d, err := p.rules.engine.Decide(ctx, in)
	if err != nil {
		return console.Agreement{}, err
	}
	ap, fresh, err := approvals.Ask(ctx, policy.NewApproval{
		Requester: p.ID, Route: policy.OwnChannel, Channel: policy.OwnChannel, Operation: op.Name, Effect: op.Effect, Scope: scope,
		Records: w.Records, Counts: map[string]int{}, Digest: digest, Needed: d.Approvers,
	})
	if errors.Is(err, policy.ErrApprovalsFull) {
		return console.Agreement{}, &console.Refusal{Code: reasonApprovalsFull}
	}
	if fresh {
		c.a.metrics.approval(stepAsked)
	}
	return console.Agreement{ID: ap.ID, Until: ap.Expires, Fresh: fresh}, err
}

var _ console.Tokens = consoleTokens{}
