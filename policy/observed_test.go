package policy_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/caregate/caregate/policy"
)

// seenAs is what an observing route recorded of a half.
func seenAs(t testing.TB, e *policy.Engine, in policy.Input, o policy.Observed) policy.Observed {
	t.Helper()
	in.Observe = true
	d, err := e.Decide(t.Context(), in)
	must(t, err)
	o.Input = d.Input()
	return o
}

func halves(list []policy.Observed) iter.Seq2[policy.Observed, error] {
	return func(yield func(policy.Observed, error) bool) {
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func TestWouldHave(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{})
	card := ticket()
	card.Findings = []policy.Finding{{Class: "credit_card", Place: policy.PlaceText, Count: 37}}
	number := card
	number.Findings = []policy.Finding{{Class: "credit_card", Place: policy.PlaceNumber, Count: 1}}
	answer := number
	answer.Direction, answer.Effect = policy.Response, "read"
	export := ticket()
	export.Scope, export.Effect, export.Findings = "export", "read", []policy.Finding{{Class: "email", Place: policy.PlaceText, Count: 9}, {Class: "iban", Place: policy.PlaceText, Count: 2}}
	unmapped := card
	unmapped.Mapped, unmapped.Operation = false, "unmapped.put"
	plain := ticket()
	plain.Findings = nil

	seen := []policy.Observed{
		seenAs(t, e, card, policy.Observed{Receipt: "a1", Caller: "x", Program: "python", Clear: map[string]int{"credit_card": 37}, Doubts: "credit_card checksum+issuer 3,garbage"}),
		seenAs(t, e, card, policy.Observed{Receipt: "a2", Caller: "y", Program: "python", Signed: true, Clear: map[string]int{"credit_card": 38}, Doubts: "credit_card checksum+issuer 2,credit_card shape+low 1"}),
		seenAs(t, e, card, policy.Observed{Receipt: "a3", Caller: "x", Program: "browser", Clear: map[string]int{"credit_card": 39}}),
		seenAs(t, e, number, policy.Observed{Receipt: "b", Caller: "x", Program: "python", Would: "finding_blocked"}),
		seenAs(t, e, answer, policy.Observed{Receipt: "c", Caller: "x", Program: "python"}),
		seenAs(t, e, export, policy.Observed{Receipt: "d1", Caller: "x", Program: "python", Would: "export_needs_grant"}),
		seenAs(t, e, export, policy.Observed{Receipt: "d2", Caller: "z", Program: "python", Would: "export_needs_grant"}),
		seenAs(t, e, unmapped, policy.Observed{Receipt: "e", Caller: "x", Program: "python", Replaces: true}),
		// What the policy refused once and does not refuse any more breaks nothing; what
		// something else refused does.
		seenAs(t, e, plain, policy.Observed{Receipt: "f", Caller: "x", Program: "curl", Would: "role_not_allowed"}),
		seenAs(t, e, plain, policy.Observed{Receipt: "g", Caller: "x", Program: "curl", Would: "unsupported_media_type"}),
		{Receipt: "without"}, {Receipt: "garbage", Input: "{"},
	}
	r, err := policy.WouldHave(t.Context(), e, halves(seen))
	must(t, err)
	if r.Policy != e.Digest() || r.Halves != 10 || r.Without != 2 || r.Situations != 6 {
		t.Errorf("got %+v", r)
	}
	var treated, breaks []string
	for _, c := range r.Treated {
		treated = append(treated, fmt.Sprintf("%d %s %s %s %s doubts %d %v", c.Findings, c.Class, c.Action, c.Direction, c.Program, c.Doubtful(), c.Receipts))
	}
	want := []string{
		// of the call with one number more at an unmapped place, as rules see them
		"95 credit_card mask request python doubts 6 [a1 a2 e]",
		"39 credit_card mask request browser doubts 0 [a3]",
		"1 credit_card block request python doubts 0 [b]",
		"1 credit_card mask response python doubts 0 [c]",
		"4 iban report request python doubts 0 [d1 d2]",
	}
	slices.Sort(treated[2:4])
	if !slices.Equal(treated, want) {
		t.Errorf("treated:\ngot  %q\nwant %q", treated, want)
	}
	for _, b := range r.Breaks {
		breaks = append(breaks, fmt.Sprintf("%d by %d: %s %s %s %s", b.Calls, b.Callers, b.Why, b.Needs, b.Direction, b.Program))
	}
	if len(breaks) != 6 || breaks[0] != "2 by 2: export_needs_grant zendesk:ticket.update request python" {
		t.Errorf("the most frequent break: got %q", breaks)
	}
	slices.Sort(breaks)
	want = []string{
		"1 by 1: finding_blocked  request python",
		"1 by 1: masked_write  request python",
		"1 by 1: number_nulled  response python",
		"1 by 1: signed_body  request python",
		"1 by 1: unsupported_media_type  request curl",
		"2 by 2: export_needs_grant zendesk:ticket.update request python",
	}
	if !slices.Equal(breaks, want) {
		t.Errorf("breaks:\ngot  %q\nwant %q", breaks, want)
	}
}

// What is rolled out is reported as it will be for everybody, whenever it begins: what was
// recorded does not say so.
func TestWouldHaveRolledOut(t *testing.T) {
	t.Parallel()
	in := ticket()
	in.Findings = []policy.Finding{{Class: "iban", Place: policy.PlaceText, Count: 2}}
	seen := []policy.Observed{seenAs(t, engine(t, policy.Config{}), in, policy.Observed{Receipt: "a", Caller: "x", Program: "python"})}
	r, err := policy.WouldHave(t.Context(), rolling(t, "{name: a, class: iban, action: mask, share: 10, "+window+"}"), halves(seen))
	must(t, err)
	if len(r.Treated) != 1 || r.Treated[0].Action != "mask" {
		t.Errorf("a class: got %+v", r.Treated)
	}
	e := engine(t, policy.Config{Dir: rules(t, "package caregate.operator\ndeny contains \"no_writes\" if input.effect == \"write\"\n"),
		Overlays: []*policy.Overlay{overlay(t, "version: 1\nrollout:\n- {name: w, rule: no_writes, "+window+"}\n")}})
	r, err = policy.WouldHave(t.Context(), e, halves(seen))
	must(t, err)
	if len(r.Breaks) != 1 || r.Breaks[0].Why != "policy_denied" {
		t.Errorf("a rule: got %+v", r.Breaks)
	}
}

func TestWouldHaveEnds(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{})
	broken := errors.New("broken")
	if _, err := policy.WouldHave(t.Context(), e, func(yield func(policy.Observed, error) bool) { yield(policy.Observed{}, broken) }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the log's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := policy.WouldHave(ctx, e, halves([]policy.Observed{{}})); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that of the context", err)
	}
}
