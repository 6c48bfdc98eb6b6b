package console

import (
	"net/http"
	"strconv"
	"time"
)

// maxSchedule bounds the body with a schedule, in bytes: the text of one, escaped.
const maxSchedule = 1 << 20

// RetentionQuestion asks what is due.
type RetentionQuestion struct {
	// Schedule is the text of the file; empty for the built-in schedule.
	Schedule string
	// At is the time for which it is asked; zero for now.
	At time.Time
}

// RetentionPlan says what is due by a schedule, and what is not. It names no person.
type RetentionPlan struct {
	// Schedule is the SHA-256 of the schedule, Revision what its author calls it.
	Schedule string    `json:"schedule"`
	Revision string    `json:"revision"`
	Made     time.Time `json:"made"`
	At       time.Time `json:"at"`
	// Doubt says why the clock is not to be believed, empty where it is.
	Doubt string `json:"clock_in_doubt,omitempty"`
	// Records are those of the index; Matched are due by a rule at least, Held of these are
	// spared by a hold.
	Records   int64              `json:"records"`
	Matched   int64              `json:"matched"`
	Held      int64              `json:"held"`
	Due       []RetentionDue     `json:"due"`
	Samples   []RetentionSample  `json:"samples"`
	Spared    []RetentionSpared  `json:"spared"`
	Kept      []RetentionKept    `json:"kept"`
	Gone      int64              `json:"gone"`
	Uncovered []RetentionNoRules `json:"uncovered"`
}

// RetentionDue is what a rule lets go of.
type RetentionDue struct {
	Rule   string `json:"rule"`
	Action string `json:"action"`
	// Carried is how the action is carried out: connector, by_hand or not_yet.
	Carried  string           `json:"carried_out"`
	Channel  string           `json:"channel"`
	Type     string           `json:"type"`
	Records  int64            `json:"records"`
	Reopened int64            `json:"reopened"`
	Classes  map[string]int64 `json:"classes"`
}

// RetentionSample are some places of records of a rule.
type RetentionSample struct {
	Rule    string   `json:"rule"`
	Records []string `json:"records"`
}

// RetentionSpared is what a hold keeps.
type RetentionSpared struct {
	Hold    string `json:"hold"`
	Matter  string `json:"matter"`
	Records int64  `json:"records"`
}

// RetentionKept is what a rule is about and is not due, with why.
type RetentionKept struct {
	Rule    string `json:"rule"`
	Why     string `json:"why"`
	Records int64  `json:"records"`
}

// RetentionNoRules are records of which no rule says when they end at their source.
type RetentionNoRules struct {
	Channel string `json:"channel"`
	Type    string `json:"type"`
	Records int64  `json:"records"`
}

// decodeRetentionQuestion reads {"schedule", "at"}.
func decodeRetentionQuestion(body []byte) (any, *Refusal) {
	var q RetentionQuestion
	if ref := decodeObject(body, member{"schedule", &q.Schedule}, member{"at", &q.At}); ref != nil {
		return nil, ref
	}
	return q, nil
}

// planRetention answers POST /api/v1/retention/plan. It changes nothing, so it ends when nobody
// waits for it. On record is by which schedule it was asked, and how much is due.
func planRetention(a *api, c *callState) (answer, *Refusal) {
	p, err := a.PlanRetention(c.caller, c.body.(RetentionQuestion))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	attrs := map[string]string{"schedule": p.Schedule, "at": p.At.UTC().Format(time.RFC3339), "matched": strconv.FormatInt(p.Matched, 10), "held": strconv.FormatInt(p.Held, 10)}
	return answer{status: http.StatusOK, body: p, attrs: attrs}, nil
}
