package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Part is what the log keeps of a question about a part of a call: a call inside a composite
// one, or what a call does to each of many records. All else is as in the Input of the whole.
type Part struct {
	// Operation to Method are those of the part, as in Input.
	Operation string `json:"operation"`
	Effect    string `json:"effect"`
	Scope     string `json:"scope"`
	Mapped    bool   `json:"mapped"`
	Method    string `json:"method"`
	// Many is as in Input.
	Many string `json:"many,omitempty"`
	// Findings are those of the part, nil where they are those of the whole.
	Findings *[]Finding `json:"findings,omitempty"`
}

// recordedInput is the document that the log has of a decision.
type recordedInput struct {
	Input
	Parts []Part `json:"parts,omitempty"`
}

// WithParts is d as it is recorded of a call of which more was asked than its own operation:
// its [Decision.Input] has each of parts that differs from the others, in their order. Whole is
// the input of d. A replay asks about all of them.
func (d *Decision) WithParts(whole Input, parts []Input) (*Decision, error) {
	whole.normalise()
	doc := recordedInput{Input: whole}
	for _, in := range parts {
		in.normalise()
		p := Part{Operation: in.Operation, Effect: in.Effect, Scope: in.Scope, Mapped: in.Mapped, Method: in.Method, Many: in.Many}
		if !slices.Equal(in.Findings, whole.Findings) {
			p.Findings = &in.Findings
		}
		if !slices.ContainsFunc(doc.Parts, func(o Part) bool { return p.same(&o) }) {
			doc.Parts = append(doc.Parts, p)
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("writing what is recorded of a decision: %w", err)
	}
	out := *d
	out.input = string(text)
	return &out, nil
}

// same tells whether two parts are one question.
func (p *Part) same(o *Part) bool {
	a, b := *p, *o
	a.Findings, b.Findings = nil, nil
	if a != b || (p.Findings == nil) != (o.Findings == nil) {
		return false
	}
	return p.Findings == nil || slices.Equal(*p.Findings, *o.Findings)
}

// of is the part's question, where that about the whole is known.
func (p *Part) of(whole Input) Input {
	whole.Operation, whole.Effect, whole.Scope, whole.Mapped, whole.Method, whole.Many = p.Operation, p.Effect, p.Scope, p.Mapped, p.Method, p.Many
	if p.Findings != nil {
		whole.Findings = *p.Findings
	}
	return whole
}

// readQuestions reads what was asked of a call, as the log has it: about the whole first, then
// about each part. The error wraps ErrInput.
func readQuestions(doc string) ([]Input, error) {
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.DisallowUnknownFields()
	var r recordedInput
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: it cannot be read", ErrInput)
	}
	asked := append(make([]Input, 0, 1+len(r.Parts)), r.Input)
	for i := range r.Parts {
		asked = append(asked, r.Parts[i].of(r.Input))
	}
	return asked, nil
}

// ReadInput reads the Input of the whole of a call as [Decision.Input] wrote it, and the log
// holds it. One with a member that this version does not know cannot be read: it may have
// decided. The error wraps ErrInput.
func ReadInput(doc string) (Input, error) {
	asked, err := readQuestions(doc)
	if err != nil {
		return Input{}, err
	}
	return asked[0], nil
}
