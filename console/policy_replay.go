package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxDraft bounds the body with a draft of the policy, in bytes.
const maxDraft = 4 << 20

// Draft is a policy that is not in force, and the recorded decisions it is to be tried on.
type Draft struct {
	// Files are what would become a bundle: its document (data.yaml or data.json) and
	// rules (*.rego), by their names in it.
	Files map[string]string
	// From and To bound the time of the decisions, To is excluded. Zero: no bound.
	From, To time.Time
}

// Replayed says what a draft would have decided otherwise.
type Replayed struct {
	// Now and Draft are the digests of both policies.
	Now   string `json:"now"`
	Draft string `json:"draft"`
	// Decisions is how many recorded decisions were asked for again, Situations how many
	// different ones, Before how many had been decided by another policy than Now.
	Decisions  int `json:"decisions"`
	Situations int `json:"situations"`
	Before     int `json:"before"`
	// Otherwise and Without were left out: refusals that no policy decides, and what was
	// recorded without what the rules saw.
	Otherwise int `json:"otherwise"`
	Without   int `json:"without"`
	// Lost are permissions now and denials in the draft, Gained the reverse, Treated what
	// changes otherwise.
	Lost    int `json:"lost"`
	Gained  int `json:"gained"`
	Treated int `json:"treated"`
	// Changes begin with what is lost; the most frequent of a kind come first.
	Changes []PolicyChange `json:"changes"`
	NotAsked
}

// PolicyChange is one difference between two policies for one kind of caller and call.
type PolicyChange struct {
	Kind      string   `json:"kind"`
	Roles     []string `json:"roles"`
	Route     string   `json:"route"`
	Channel   string   `json:"channel"`
	Operation string   `json:"operation"`
	Direction string   `json:"direction"`
	// Class and Place are set where a finding is treated otherwise.
	Class string `json:"class,omitempty"`
	Place string `json:"place,omitempty"`
	// Observed tells that the route observes: nothing was carried out.
	Observed bool   `json:"observed"`
	Before   string `json:"before"`
	After    string `json:"after"`
	// Decisions is how many recorded ones are so, Receipts some of them.
	Decisions int      `json:"decisions"`
	Receipts  []string `json:"receipts"`
}

// draftFiles are texts by name. A name that is given twice is an error: two readers could
// take one text each.
type draftFiles map[string]string

// UnmarshalJSON implements json.Unmarshaler.
func (f *draftFiles) UnmarshalJSON(src []byte) error {
	dec := json.NewDecoder(bytes.NewReader(src))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("want an object")
	}
	*f = make(draftFiles)
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return errors.New("want a name")
		}
		var text *string
		if err := dec.Decode(&text); err != nil || text == nil {
			return errors.New("want a text")
		}
		if _, ok := (*f)[name]; ok {
			return errors.New("a name is given twice")
		}
		(*f)[name] = *text
	}
	return nil
}

// decodeDraft reads {"files": {NAME: TEXT, ...}, "from", "to"}.
func decodeDraft(body []byte) (any, *Refusal) {
	var d Draft
	if ref := decodeObject(body, member{"files", (*draftFiles)(&d.Files)}, member{"from", &d.From}, member{"to", &d.To}); ref != nil {
		return nil, ref
	}
	if len(d.Files) == 0 {
		return nil, refuse(reasonInvalid, "files is missing: the draft's document and rules, by name", nil)
	}
	return d, nil
}

// replayPolicy answers POST /api/v1/policy/replay. It changes nothing, so it ends when nobody
// waits for it. On record is which draft was tried, and what it came to.
func replayPolicy(a *api, c *callState) (answer, *Refusal) {
	r, err := a.Replay(c.caller, c.body.(Draft))
	switch {
	case errors.Is(err, ErrInvalid):
		return answer{}, refuse(reasonInvalid, strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "), err)
	case err != nil:
		return answer{}, refuse(reasonInternal, "", err)
	}
	if r.Changes == nil {
		r.Changes = []PolicyChange{}
	}
	attrs := map[string]string{"draft": r.Draft, "lost": strconv.Itoa(r.Lost), "gained": strconv.Itoa(r.Gained), "treated": strconv.Itoa(r.Treated)}
	return answer{status: http.StatusOK, body: r, attrs: attrs}, nil
}
