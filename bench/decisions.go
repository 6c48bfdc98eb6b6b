package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/caregate/caregate/policy"
)

// ownRules is how many rules of a deployment stand beside the built-in ones.
const ownRules = 1000

// decisions measures one decision of policy with a thousand rules of a
// deployment: answered from the cache, and asked of the rules each time. Beside it
// stands OPA alone with the same thousand rules and the same input, as a program that
// embeds it asks: what the built-in rules and ours around them cost is the difference.
func (b bench) decisions(ctx context.Context, out *tabwriter.Writer) error {
	dir, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	src := []byte("package caregate.operator\n")
	for i := range ownRules {
		src = fmt.Appendf(src, "\ndeny contains \"rule_%d\" if {\n\tinput.operation == \"family.operation_%d\"\n\tinput.effect == \"delete\"\n}\n", i, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "own.rego"), src, 0o600); err != nil {
		return err
	}
	// Two inputs in turn: a cache of two entries has them, one of one entry never.
	fmt.Fprintf(out, "policy decision, %d rules\tp50\tp99\tbudget\n", ownRules)
	row := func(name, budget string, decide func(policy.Input) error) error {
		var s sample
		for began, i := time.Now(), 0; time.Since(began) < b.slice; i++ {
			in := anInput()
			in.Purpose = "p" + strconv.Itoa(i%2)
			start := time.Now()
			if err := decide(in); err != nil {
				return err
			}
			s.latency = append(s.latency, time.Since(start))
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", name, s.percentile(.5).Round(100*time.Nanosecond), s.percentile(.99).Round(100*time.Nanosecond), budget)
		return nil
	}
	for _, kind := range []struct {
		name   string
		cache  int
		budget string
	}{{"cached", 2, "5µs"}, {"asked of the rules", 1, "100µs"}} {
		e, err := policy.NewEngine(ctx, policy.Config{Dir: dir, Cache: kind.cache})
		if err != nil {
			return err
		}
		if err := row(kind.name, kind.budget, func(in policy.Input) error {
			_, err := e.Decide(ctx, in)
			return err
		}); err != nil {
			return err
		}
	}
	plain, err := rego.New(rego.Query("data.caregate.operator.deny"), rego.Module("own.rego", string(src))).PrepareForEval(ctx)
	if err != nil {
		return err
	}
	return row("rego.PreparedEvalQuery, the own rules alone", "", func(in policy.Input) error {
		_, err := plain.Eval(ctx, rego.EvalInput(in))
		return err
	})
}

// anInput is a call as most are: an agent writes a comment with a card number
// and addresses in it.
func anInput() policy.Input {
	return policy.Input{
		Tenant: "default", Route: "desk", Direction: policy.Request, Channel: "zendesk", Operation: "ticket.update",
		Mapped: true, Effect: "write", Scope: "one", Method: "unsafe", Network: "private", Records: 1,
		Actor:    policy.InputActor{Kind: policy.KindVendor, Strength: policy.StrengthAsserted, Roles: []string{"agent"}, Asserts: true},
		Findings: []policy.Finding{{Class: "credit_card", Place: policy.PlaceText, Count: 1}, {Class: "email", Place: policy.PlaceText, Count: 3}},
	}
}
