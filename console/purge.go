package console

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Purges carry schedules of retention out at vendors. Errors wrap ErrNotFound for a run that
// there is not, and ErrInvalid, with a text that may be shown, for what cannot be done.
type Purges interface {
	// Prepare lists what is due by a schedule, for others to agree to.
	Prepare(ctx context.Context, by Actor, schedule string) (PreparedPurge, error)
	// List are the latest 100 runs, the latest first.
	List(ctx context.Context) ([]Purge, error)
	Get(ctx context.Context, id string) (Purge, error)
	// Start begins a run to which others have agreed, as it is by its list.
	Start(ctx context.Context, id, list string, agreed []string) (Purge, error)
	// Next does what is next: one call to a vendor, or it says how long to wait.
	Next(ctx context.Context, id string) (PurgeStep, error)
	// Certificate is what a run that has ended came to, signed.
	Certificate(ctx context.Context, id string) (PurgeCertificate, error)
}

// Purge is a run and how far it is.
type Purge struct {
	ID    string `json:"id"`
	State string `json:"state"`
	// Schedule is the SHA-256 of the schedule, Revision what its author calls it, At for when it
	// was asked what is due. List is the SHA-256 of what others agree to.
	Schedule string    `json:"schedule"`
	Revision string    `json:"revision"`
	At       time.Time `json:"at"`
	List     string    `json:"list"`
	// More tells that more is due than a run has: it is for the next one.
	More       bool           `json:"more"`
	Prepared   time.Time      `json:"prepared"`
	PreparedBy string         `json:"prepared_by"`
	Started    time.Time      `json:"started,omitzero"`
	ApprovedBy string         `json:"approved_by,omitempty"`
	Ended      time.Time      `json:"ended,omitzero"`
	Outcomes   []PurgeOutcome `json:"outcomes"`
}

// PurgeOutcome is how many records of a rule are in a state.
type PurgeOutcome struct {
	Rule    string `json:"rule"`
	Action  string `json:"action"`
	Channel string `json:"channel"`
	Type    string `json:"type"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Records int64  `json:"records"`
}

// PreparedPurge is a run that waits for others, with the plan of the same moment.
type PreparedPurge struct {
	Run  Purge         `json:"run"`
	Plan RetentionPlan `json:"plan"`
}

// PurgeStep is what was done: one call to a vendor, or none.
type PurgeStep struct {
	// Record is the name of the record in events and the certificate, Operation the call, Seen
	// what its answer says; empty where none was made.
	Record    string `json:"record,omitempty"`
	Operation string `json:"operation,omitempty"`
	Status    int    `json:"status,omitempty"`
	Seen      string `json:"seen,omitempty"`
	// Wait is how many milliseconds there is nothing to do.
	Wait int64 `json:"wait_ms"`
	Done bool  `json:"done"`
}

// PurgeCertificate is a certificate with the statement that the log's key signed.
type PurgeCertificate struct {
	Certificate string `json:"certificate"`
	Statement   string `json:"statement"`
}

// decodePurge reads {"schedule"}.
func decodePurge(body []byte) (any, *Refusal) {
	var schedule string
	if ref := decodeObject(body, member{"schedule", &schedule}); ref != nil {
		return nil, ref
	}
	return schedule, nil
}

// purgeAttrs are what is on record of a run: counts by state, and no record.
func purgeAttrs(p Purge) map[string]string {
	counts := make(map[string]int64)
	for _, o := range p.Outcomes {
		counts[o.State] += o.Records
	}
	attrs := map[string]string{"run": p.ID, "schedule": p.Schedule, "list": p.List}
	for state, n := range counts {
		attrs["records_"+state] = strconv.FormatInt(n, 10)
	}
	return attrs
}

// preparePurge answers POST /api/v1/retention/runs.
func preparePurge(a *api, c *callState) (answer, *Refusal) {
	p, err := a.Purges.Prepare(c.ctx, c.actor, c.body.(string))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusCreated, body: p, location: prefix + "/retention/runs/" + p.Run.ID, attrs: purgeAttrs(p.Run)}, nil
}

// PurgeList are the latest runs.
type PurgeList struct {
	Runs []Purge `json:"runs"`
}

// listPurges answers GET /api/v1/retention/runs.
func listPurges(a *api, c *callState) (answer, *Refusal) {
	all, err := a.Purges.List(c.ctx)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: PurgeList{Runs: all}}, nil
}

// readPurge answers GET /api/v1/retention/runs/{id}.
func readPurge(a *api, c *callState) (answer, *Refusal) {
	p, err := a.Purges.Get(c.ctx, c.param)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: p}, nil
}

// preparePurgeStart has others agree to a run by its list.
func preparePurgeStart(a *api, c *callState, rec *Record) *Refusal {
	p, err := a.Purges.Get(c.ctx, c.param)
	if err != nil { // others would agree to nothing in particular
		return keyRefusal(err)
	}
	for _, o := range p.Outcomes {
		c.records += int(o.Records)
	}
	c.bound, rec.Attrs = []string{"run=" + p.ID, purgeList + p.List}, purgeAttrs(p)
	return nil
}

const purgeList = "list="

// startPurge answers POST /api/v1/retention/runs/{id}/start.
func startPurge(a *api, c *callState) (answer, *Refusal) {
	p, err := a.Purges.Start(c.ctx, c.param, c.bound[1][len(purgeList):], c.agreed)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: p, attrs: purgeAttrs(p)}, nil
}

// nextPurge answers POST /api/v1/retention/runs/{id}/next.
func nextPurge(a *api, c *callState) (answer, *Refusal) {
	s, err := a.Purges.Next(c.ctx, c.param)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	attrs := map[string]string{"run": c.param}
	if s.Record != "" {
		attrs["record"], attrs["call"], attrs["seen"] = s.Record, s.Operation, s.Seen
	}
	return answer{status: http.StatusOK, body: s, attrs: attrs}, nil
}

// certifyPurge answers GET /api/v1/retention/runs/{id}/certificate.
func certifyPurge(a *api, c *callState) (answer, *Refusal) {
	p, err := a.Purges.Certificate(c.ctx, c.param)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: p}, nil
}
