package policy

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
	// Actions has, for each class in the input's findings, the action for text:
	// allow, report, mask, tokenize, drop or block.
	Actions map[string]string `json:"actions"`
	// Places has the actions that differ from Actions, by place and class. Use
	// Action, which looks in both.
	Places map[string]map[string]string `json:"places"`
	// Would is set on a route that observes: what would have been decided. Allow is
	// true then, and no action is stronger than report.
	Would *Would `json:"would,omitempty"`

	input string
}

// Input is what the rules saw, as JSON: the Input with its counts rounded. It is
// made once for a cached decision.
func (d *Decision) Input() string { return d.input }

// Would is the decision that an observing route did not carry out.
type Would struct {
	Allow   bool                         `json:"allow"`
	Reason  string                       `json:"reason"`
	Reasons []string                     `json:"reasons"`
	Needs   string                       `json:"needs"`
	Actions map[string]string            `json:"actions"`
	Places  map[string]map[string]string `json:"places"`
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
