package policy

import (
	"strings"
	"time"
)

// DecisionVersion is the version of the Decision document, its member "v".
const DecisionVersion = 1

// Decision is what the rules answered. It is shared between exchanges by the
// decision cache: do not change it.
type Decision struct {
	// V is DecisionVersion.
	V int `json:"v"`
	// Allow tells whether the call, or the release of its answer, is permitted.
	Allow bool `json:"allow"`
	// Reason is the code of the weightiest reason of a denial, empty when allowed.
	// Reasons lists every code with its sentence.
	Reason string `json:"reason"`
	// Reasons are all codes that speak against the call, sorted, Reason included.
	Reasons []string `json:"reasons"`
	// Needs is the grant that would lift the denial, as ParseGrant takes it; empty
	// when no grant would.
	Needs string `json:"needs"`
	// Approvers is how many others must agree to the call, whether they have or not.
	// The denial approval_required says that they have not, and nothing else is in the
	// way.
	Approvers int `json:"approvers"`
	// Actions has, for each class in the input's findings, the action for text:
	// allow, report, mask, tokenize, drop or block.
	Actions map[string]string `json:"actions"`
	// Places has the actions that differ from Actions, by place and class. Use
	// Action, which looks in both.
	Places map[string]map[string]string `json:"places"`
	// Undo has, for each class whose masks can be undone, for how many seconds the
	// original is kept. A class that is not in it is masked for good. It is empty for
	// answers, whose originals stay where they came from.
	Undo map[string]int `json:"undo"`
	// Rollouts are the rollouts that are about what is in this call: true for those that
	// decided something, false for those that would have if the caller were in them.
	Rollouts map[string]bool `json:"rollouts,omitempty"`
	// Limits are the limits of the operator's documents that are about the call, by name.
	// Counting is the gateway's work.
	Limits []RateLimit `json:"limits,omitempty"`
	// Views say how the caller sees fields of the answer, by field. Of several that reach
	// one value the strictest counts. Guarded are the fields that this caller is not shown
	// whole somewhere on the channel, in requests that write.
	Views   []FieldView `json:"views,omitempty"`
	Guarded []FieldView `json:"guarded,omitempty"`
	// Would is set on a route that observes: what would have been decided. Allow is
	// true then, and no action is stronger than report.
	Would *Would `json:"would,omitempty"`

	viewsDigest, guardedDigest string // see ViewsDigest and GuardedDigest
	input                      string
}

// ownPrefix is in front of the codes of a deployment's own rules among Reasons.
const ownPrefix = "operator."

// OwnRules are the codes of the deployment's own rules that deny, sorted.
func (d *Decision) OwnRules() (codes []string) {
	for _, r := range d.Reasons {
		if code, ok := strings.CutPrefix(r, ownPrefix); ok {
			codes = append(codes, code)
		}
	}
	return codes
}

// Input is what the rules saw, as JSON: the Input with its counts rounded, and of a call with
// parts each [Part]. It is made once for a cached decision.
func (d *Decision) Input() string { return d.input }

// Would is the decision that an observing route did not carry out.
type Would struct {
	Allow   bool     `json:"allow"`
	Reason  string   `json:"reason"`
	Reasons []string `json:"reasons"`
	Needs   string   `json:"needs"`
	// Approvers is how many others would have had to agree.
	Approvers int                          `json:"approvers"`
	Actions   map[string]string            `json:"actions"`
	Places    map[string]map[string]string `json:"places"`
	Undo      map[string]int               `json:"undo"`
	Rollouts  map[string]bool              `json:"rollouts,omitempty"`
	Limits    []RateLimit                  `json:"limits,omitempty"`
	Views     []FieldView                  `json:"views,omitempty"`
	Guarded   []FieldView                  `json:"guarded,omitempty"`
}

// Action is what happens to a finding of a class at a place. A pair that was not
// in the input is blocked: nobody decided about it.
func (d *Decision) Action(class, place string) string {
	if a, ok := d.Places[place][class]; ok {
		return a
	}
	if a, ok := d.Actions[class]; ok {
		return a
	}
	return "block"
}

// Bounds of how long a mask can be undone. Shorter than a minute nobody could; longer than
// a week it would be a second store of what was masked.
const (
	ShortestUndo = time.Minute
	LongestUndo  = 7 * 24 * time.Hour
)

// UndoFor is how long the original of a masked finding of a class is kept, zero where it is
// not.
func (d *Decision) UndoFor(class string) time.Duration {
	return time.Duration(d.Undo[class]) * time.Second
}

// NeedsApproval is the code of a denial that is lifted when others agree.
const NeedsApproval = "approval_required"

// Reason is one entry of the catalogue of codes.
type Reason struct {
	// Code is stable; programs may branch on it.
	Code string `json:"code" yaml:"code"`
	// Status is the HTTP status that fits: 401, 403 or 422.
	Status int `json:"status" yaml:"status"`
	// Who can mend it: caller or security.
	Who string `json:"who" yaml:"who"`
	// Text is one sentence for people: what was missing and what to do.
	Text string `json:"text" yaml:"text"`
}
