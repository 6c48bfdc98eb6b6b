package policy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/policy"
)

// recordedAs is a decision as the log has it: e decided it.
func recordedAs(t testing.TB, e *policy.Engine, receipt string, in policy.Input) policy.Recorded {
	t.Helper()
	d, err := e.Decide(t.Context(), in)
	must(t, err)
	return policy.Recorded{Receipt: receipt, Input: d.Input(), Reason: d.Reason, Policy: e.Digest()}
}

func all(list []policy.Recorded) iter.Seq2[policy.Recorded, error] {
	return func(yield func(policy.Recorded, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// What a call does besides its own operation is asked of a draft as well: what it would refuse of
// a part it refuses of the call, and what passes is told once.
func TestReplayOfParts(t *testing.T) {
	t.Parallel()
	now := engine(t, policy.Config{})
	draft := engine(t, policy.Config{Dir: rules(t, "package caregate.operator\ndeny contains \"no_deletes\" if input.operation == \"ticket.delete\"\ndeny contains \"no_cards\" if {\n\tinput.operation == \"contact.create\"\n\tcount(input.findings) > 0\n}\n")})
	whole := ticket()
	whole.Actor = policy.InputActor{Kind: policy.KindKey, Strength: policy.StrengthCredential, Roles: []string{"service"}, Grants: []string{"zendesk:ticket.destroy_many"}}
	whole.Operation, whole.Effect, whole.Scope, whole.Findings, whole.Records = "ticket.destroy_many", "delete", "bulk", nil, 3
	each := whole
	each.Many, each.Operation, each.Scope = "ticket.destroy_many", "ticket.delete", "one"
	batch := ticket()
	batch.Operation = "batch.run"
	card, clean := batch, batch
	card.Operation, clean.Operation, clean.Findings = "contact.create", "contact.create", nil
	record := func(receipt string, in policy.Input, parts ...policy.Input) policy.Recorded {
		r := recordedAs(t, now, receipt, in)
		d, err := now.Decide(t.Context(), in)
		must(t, err)
		d, err = d.WithParts(in, parts)
		must(t, err)
		r.Input = d.Input()
		if first, err := policy.ReadInput(r.Input); err != nil || first.Operation != in.Operation {
			t.Errorf("%s reads as %+v, %v", receipt, first, err)
		}
		return r
	}
	log := []policy.Recorded{
		record("many", whole, each, each),
		record("card", batch, clean, card, clean),
		record("clean", batch, clean, clean),
		record("none", whole),
		{Receipt: "newer", Input: strings.Replace(record("", whole, each).Input, `"parts":[{`, `"parts":[{"moon":"full",`, 1)},
	}
	if n := strings.Count(log[1].Input, "contact.create"); n != 2 {
		t.Errorf("two different questions stand %d times in %s", n, log[1].Input)
	}
	r, err := policy.Replay(t.Context(), now, draft, all(log), 2)
	must(t, err)
	if r.Decisions != 4 || r.Without != 1 || r.Lost != 2 || r.Gained != 0 || r.Treated != 0 {
		t.Errorf("got %+v, want 2 of 4 lost and 1 unread", r)
	}
	var got []string
	for _, c := range r.Changes {
		got = append(got, fmt.Sprintf("%d %s: %s -> %s %v", c.Decisions, c.Operation, c.Before, c.After, c.Receipts))
	}
	slices.Sort(got)
	want := []string{"1 contact.create: allow -> deny policy_denied operator.no_cards [card]", "1 ticket.delete: allow -> deny policy_denied operator.no_deletes [many]"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	now := engine(t, policy.Config{Overlays: []*policy.Overlay{overlay(t, "version: 1\nenforcement:\n- {class: credit_card, action: mask, undo: 1h}\n")}})
	draft := engine(t, policy.Config{
		Overlays: []*policy.Overlay{overlay(t, "version: 1\nenforcement:\n- {class: credit_card, role: lead, action: block}\n- {class: email, action: drop}\n")},
		Dir:      rules(t, "package caregate.operator\ndeny contains \"no_deletes\" if input.effect == \"delete\"\n"),
	})
	writes := ticket()
	deletes, leads, exports, watched := ticket(), ticket(), ticket(), ticket()
	deletes.Effect, deletes.Findings = "delete", nil
	leads.Actor = policy.InputActor{Kind: policy.KindKey, Strength: policy.StrengthProven, Roles: []string{"lead"}, Grants: []string{}}
	exports.Scope, exports.Effect = "export", "read"
	watched.Observe, watched.Effect, watched.Findings = true, "delete", nil
	var log []policy.Recorded
	for i, in := range []policy.Input{writes, deletes, leads, exports, watched, writes, writes, deletes} {
		log = append(log, recordedAs(t, now, fmt.Sprintf("r%d", i), in))
	}
	log = append(log,
		policy.Recorded{Receipt: "large", Input: log[0].Input, Reason: "body_too_large"},
		policy.Recorded{Receipt: "none"},
		policy.Recorded{Receipt: "garbage", Input: "{"},
		policy.Recorded{Receipt: "newer", Input: strings.Replace(log[0].Input, "{", `{"moon":"full",`, 1)},
		policy.Recorded{Receipt: "bounds", Input: strings.Replace(log[0].Input, `"scope":"one"`, `"scope":"two"`, 1)},
	)
	for range 20 { // which input is asked for first is chance, the report is not
		r, err := policy.Replay(t.Context(), now, draft, all(log), 2)
		must(t, err)
		if r.Now != now.Digest() || r.Draft != draft.Digest() || r.Decisions != 8 || r.Situations != 5 || r.Before != 0 || r.Otherwise != 1 || r.Without != 4 {
			t.Errorf("got %+v", r)
		}
		if r.Lost != 4 || r.Gained != 0 || r.Treated != 3 {
			t.Errorf("got %d lost, %d gained, %d treated, want 4, 0, 3", r.Lost, r.Gained, r.Treated)
		}
		var got []string
		for _, c := range r.Changes {
			got = append(got, fmt.Sprintf("%d %v %s/%s: %s -> %s %v %v", c.Decisions, c.Roles, c.Class, c.Place, c.Before, c.After, c.Observed, c.Receipts))
		}
		want := []string{
			"2 [agent] /: allow -> deny policy_denied operator.no_deletes false [r1 r7]",
			"1 [lead] /: allow -> deny finding_blocked false [r2]",
			"1 [agent] /: allow -> deny policy_denied operator.no_deletes true [r4]",
			"3 [agent] credit_card/text: mask, undone within 1h0m0s -> mask false [r0 r5 r6]",
			"3 [agent] email/text: allow -> drop false [r0 r5 r6]",
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	// The other way round, what was lost is gained.
	r, err := policy.Replay(t.Context(), draft, now, all(log), 2)
	must(t, err)
	if r.Lost != 0 || r.Gained != 4 || r.Before != 8 || len(r.Changes) == 0 || r.Changes[0].After != "allow" {
		t.Errorf("turned round: got %+v", r)
	}
	// A policy changes nothing beside itself.
	r, err = policy.Replay(t.Context(), now, now, all(log), 2)
	must(t, err)
	if r.Lost+r.Gained+r.Treated+len(r.Changes) != 0 || r.Decisions != 8 {
		t.Errorf("the same: got %+v", r)
	}
}

// A draft that gives no decision denies, as it would in the gateway.
func TestReplayOfABrokenDraft(t *testing.T) {
	t.Parallel()
	now := engine(t, policy.Config{})
	draft := engine(t, policy.Config{Dir: rules(t, `package caregate.operator

deny contains "never" if {
	input.operation != ""
	to_number(input.operation) == 1
}
`)})
	r, err := policy.Replay(t.Context(), now, draft, all([]policy.Recorded{recordedAs(t, now, "r", ticket())}), 2)
	must(t, err)
	if r.Lost != 1 || len(r.Changes) != 1 || r.Changes[0].After != "deny policy_error" {
		t.Errorf("got %+v", r)
	}
}

func TestReplayEnds(t *testing.T) {
	t.Parallel()
	e := engine(t, policy.Config{})
	rec := recordedAs(t, e, "r", ticket())
	broken := errors.New("the log ends here")
	_, err := policy.Replay(t.Context(), e, e, func(yield func(policy.Recorded, error) bool) {
		_ = yield(rec, nil) && yield(policy.Recorded{}, broken)
	}, 2)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the log's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = policy.Replay(ctx, e, e, func(yield func(policy.Recorded, error) bool) {
		for yield(rec, nil) { // without end
			cancel()
		}
	}, 2)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want what ended it", err)
	}
}

// What is asked while a policy is in force is in neither its cache nor its log.
func TestReplayStandsAside(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	loud := engine(t, policy.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Dir: rules(t, `package caregate.operator

deny contains "never" if {
	input.operation == "ticket.broken"
	to_number(input.operation) == 1
}
`)})
	in := ticket()
	in.Operation = "ticket.broken"
	r, err := policy.Replay(t.Context(), loud, loud, all([]policy.Recorded{{Receipt: "r", Input: recordedAs(t, engine(t, policy.Config{}), "r", in).Input}}), 1)
	must(t, err)
	if r.Decisions != 1 || len(r.Changes) != 0 {
		t.Errorf("got %+v", r)
	}
	if log.Len() > 0 {
		t.Errorf("the policy in force logged %s", &log)
	}
	if _, err := loud.Decide(t.Context(), in); err == nil || log.Len() == 0 {
		t.Error("the rule did not fail: the test shows nothing")
	}
}

// A draft has what a bundle has, and nothing else.
func TestDraft(t *testing.T) {
	t.Parallel()
	const rule = "package caregate.operator\n\ndeny contains \"never\" if input.operation == \"ticket.delete\"\n"
	e, err := policy.Draft(t.Context(), map[string]string{"rules/deny.rego": rule, "data.yaml": "version: 1\nenforcement:\n  - {class: email, action: mask}\n"})
	must(t, err)
	in := ticket()
	in.Operation = "ticket.delete"
	if d, err := e.Decide(t.Context(), in); err != nil || d.Allow {
		t.Errorf("got %+v, %v", d, err)
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a rule that is none":     {map[string]string{"deny.rego": rule + "deny contains"}, "deny.rego:4"},
		"a document that is none": {map[string]string{"data.yaml": "version: 1\nenforcement:\n  - {class: moon, action: mask}\n"}, "data.yaml:3"},
		"a name outside":          {map[string]string{"../deny.rego": rule}, "no name in a bundle"},
		"no rules":                {map[string]string{"notes.txt": "hello"}, "no place in a bundle"},
		"the same twice":          {map[string]string{"a.rego": rule, "./a.rego": rule}, "twice"},
		"too large":               {map[string]string{"a.rego": strings.Repeat("#", 2<<20)}, "larger than"},
	} {
		if _, err := policy.Draft(t.Context(), tc.files); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
