package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/caregate/caregate/policy"
)

// ownRules is how many rules of a deployment stand beside the built-in ones.
const ownRules = 1000

// decisions measures one decision of policy with a thousand rules of a
// deployment: answered from the cache, and asked of the rules each time.
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
	// A cache of one entry and two inputs in turn: nothing is ever found in it.
	fmt.Fprintf(out, "policy decision, %d rules\tp50\tp99\tbudget\n", ownRules)
	for _, row := range []struct {
		name   string
		inputs int
		budget string
	}{{"cached", 1, "5µs"}, {"asked of the rules", 2, "100µs"}} {
		e, err := policy.NewEngine(ctx, policy.Config{Dir: dir, Cache: 1})
		if err != nil {
			return err
		}
		var s sample
		for began, i := time.Now(), 0; time.Since(began) < b.slice; i++ {
			in := anInput()
			in.Purpose = "p" + strconv.Itoa(i%row.inputs)
			start := time.Now()
			if _, err := e.Decide(ctx, in); err != nil {
				return err
			}
			s.latency = append(s.latency, time.Since(start))
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", row.name, s.percentile(.5).Round(100*time.Nanosecond), s.percentile(.99).Round(100*time.Nanosecond), row.budget)
	}
	return nil
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
