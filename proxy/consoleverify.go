package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/policy"
	"github.com/caregate/caregate/vault"
)

// Limits of tries to verify, of one token whoever tries and of one person whatever they
// try. Four digits are one of ten thousand: three tries an hour and twelve a day leave a
// guesser a thousandth a day, and a person who goes from token to token sixty tries.
const (
	triesPerHour       = 3
	triesPerDay        = 12
	triesPerPersonHour = 60
)

// Verify implements console.Tokens.
func (c consoleTokens) Verify(ctx context.Context, a console.Actor, op console.Operation, w console.Verify) (bool, any, error) {
	p, err := proofOf(a)
	if err != nil {
		return false, nil, err
	}
	defer c.even()()
	if !vault.Verifiable(w.Typed) {
		return false, nil, fmt.Errorf("%w: neither four digits nor an address", console.ErrInvalid)
	}
	over, err := c.a.gen.data.Limits.Take(ctx,
		policy.Limit{Name: c.limitName("verify.token", w.Token), Most: triesPerHour, Window: time.Hour, Take: 1},
		policy.Limit{Name: c.limitName("verify.token.day", w.Token), Most: triesPerDay, Window: day, Take: 1},
		policy.Limit{Name: "verify.person:" + p.ID, Most: triesPerPersonHour, Window: time.Hour, Take: 1})
	switch {
	case err != nil:
		return false, nil, err
	case over >= 0:
		c.a.metrics.verification("limited")
		return false, nil, &console.Refusal{Code: reasonVerifyLimit}
	}
	found, err := c.a.gen.data.Vault.Verify(ctx, w.Token, w.Typed)
	known := err == nil
	if err != nil && !errors.Is(err, vault.ErrToken) {
		return false, nil, &console.Refusal{Code: reasonVaultUnavailable}
	}
	class := found.Kind
	if !known {
		class = unknownClass
	}
	in := consoleInput(p, op)
	in.Findings = []policy.Finding{{Class: class, Place: policy.PlaceText, Count: 1}}
	if in.Subject.Flags, err = c.flagsOf(ctx, w.Token); err != nil {
		return false, nil, err
	}
	d, err := p.rules.engine.Decide(ctx, in)
	if err != nil || !d.Allow || !known {
		c.a.metrics.verification("no")
		return false, told{}, nil
	}
	// The person is named whatever the answer: somebody tried to know about them. A yes
	// tells what a masked value shows, and is counted as one.
	t := told{subjects: []audit.Ref{{ID: found.Subject.Pseudonym(c.a.gen.data.Log.Origin())}}}
	if !found.Matches {
		c.a.metrics.verification("no")
		return false, t, nil
	}
	countFor(&t.released, class).Masked++
	c.a.metrics.verification("yes")
	return true, t, nil
}
