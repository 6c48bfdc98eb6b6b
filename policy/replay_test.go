package policy_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
		r, err := policy.Replay(t.Context(), now, draft, all(log))
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
	r, err := policy.Replay(t.Context(), draft, now, all(log))
	must(t, err)
	if r.Lost != 0 || r.Gained != 4 || r.Before != 8 || len(r.Changes) == 0 || r.Changes[0].After != "allow" {
		t.Errorf("turned round: got %+v", r)
	}
	// A policy changes nothing beside itself.
	r, err = policy.Replay(t.Context(), now, now, all(log))
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
	r, err := policy.Replay(t.Context(), now, draft, all([]policy.Recorded{recordedAs(t, now, "r", ticket())}))
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
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the log's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = policy.Replay(ctx, e, e, func(yield func(policy.Recorded, error) bool) {
		for yield(rec, nil) { // without end
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want what ended it", err)
	}
}
