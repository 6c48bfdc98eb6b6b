package console

import (
	"net/http"
	"time"
)

// Observed is what GET /api/v1/observed answers: rows for the allow-list that the
// findings of observing routes speak for. Nothing of a value is in it.
type Observed struct {
	// Since is when the counting began: with the process.
	Since     time.Time  `json:"since"`
	Proposals []Proposal `json:"proposals"`
}

// Proposal is a row that a person may accept: a pattern, the field it counts in, the
// classes it takes away, how many findings it would have taken, and why.
type Proposal struct {
	Pattern  string   `json:"pattern"`
	Field    string   `json:"field,omitempty"`
	Classes  []string `json:"classes"`
	Findings int      `json:"findings"`
	Reason   string   `json:"reason"`
}

// readObserved answers GET /api/v1/observed.
func readObserved(a *api, c *callState) (answer, *Refusal) {
	o, err := a.Observed(c.ctx)
	if err != nil {
		return answer{}, refuse(reasonInternal, "", err)
	}
	if o.Proposals == nil {
		o.Proposals = []Proposal{}
	}
	return answer{status: http.StatusOK, body: o}, nil
}
