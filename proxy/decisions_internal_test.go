package proxy

import (
	"testing"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/policy"
)

// Only what was decided is asked for again, and what was decided without an entry of its own
// is counted.
func TestRecordedDecisions(t *testing.T) {
	t.Parallel()
	id := audit.NewID()
	const allow, deny, in = audit.DecisionAllow, audit.DecisionDeny, `{"v":1}`
	counted := map[string]string{"count": "12"}
	for name, tc := range map[string]struct {
		event                         audit.Event
		times                         int
		withInput, withReason, stands bool
	}{
		"a request":              {audit.Event{Type: "request.decided", Decision: allow, Input: in}, 1, true, false, true},
		"a refusal":              {audit.Event{Type: "exchange.refused", Decision: deny, Reason: "finding_blocked", Input: in}, 1, true, true, true},
		"a window":               {audit.Event{Type: "request.window", Decision: allow, Input: in}, 1, true, false, true},
		"the end of a stream":    {audit.Event{Type: "request.closed", Decision: allow, Input: in}, 0, false, false, false},
		"a caller who hung up":   {audit.Event{Type: "response.closed", Decision: allow, Reason: "client_gone", Input: in}, 0, false, false, false},
		"a window refused":       {audit.Event{Type: "response.closed", Decision: deny, Reason: "finding_blocked", Input: in}, 1, false, true, true},
		"a call of our own":      {audit.Event{Type: "api.decided", Channel: policy.OwnChannel, Decision: allow, Input: in}, 1, true, false, true},
		"one of an older log":    {audit.Event{Type: "api.decided", Channel: policy.OwnChannel, Decision: allow}, 1, false, false, true},
		"what was done":          {audit.Event{Type: "api.done", Channel: policy.OwnChannel, Decision: allow}, 0, false, false, false},
		"one of our own refused": {audit.Event{Type: "api.done", Channel: policy.OwnChannel, Decision: deny, Reason: "mfa_required", Input: in}, 1, true, true, true},
		"refusals counted":       {audit.Event{Type: audit.TypeDenialsCounted, Channel: policy.OwnChannel, Decision: deny, Reason: "finding_blocked", Attrs: counted}, 12, false, false, true},
		"no decision":            {audit.Event{Type: "config.loaded"}, 0, false, false, false},
	} {
		tc.event.ID = id
		rec, times := recorded(&audit.Leaf{Event: tc.event})
		if times != tc.times {
			t.Errorf("%s: counts %d times, want %d", name, times, tc.times)
		}
		if tc.stands && ((rec.Input != "") != tc.withInput || (rec.Reason != "") != tc.withReason || rec.Receipt != id.String()) {
			t.Errorf("%s: got %+v", name, rec)
		}
	}
	if _, times := recorded(&audit.Leaf{Event: audit.Event{Type: "request.decided", Decision: allow, Input: in}, Cont: 1}); times != 0 {
		t.Errorf("a continuation counts %d times", times)
	}
}
