package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Incidents are suspicions of breaches, with the clocks of the notices that they owe. Errors
// wrap ErrNotFound for an id that is not known and ErrInvalid, with a text that may be shown,
// for what cannot be done.
type Incidents interface {
	// List returns all, without their history.
	List(ctx context.Context) (IncidentList, error)
	Get(ctx context.Context, id string) (Incident, error)
	Open(ctx context.Context, by Actor, n NewIncident) (Incident, error)
	// Aware notes the decision that it is a breach, and since when it was known.
	Aware(ctx context.Context, id string, by Actor, d IncidentDecision) (Incident, error)
	// Scope adds facts.
	Scope(ctx context.Context, id string, by Actor, f IncidentScope) (Incident, error)
	// Notice notes that notices were sent, Waive that they are not owed, Restore that those that
	// were waived, or noted as sent by mistake, are owed after all: all or none.
	Notice(ctx context.Context, id string, by Actor, n IncidentNotice) (Incident, error)
	Waive(ctx context.Context, id string, by Actor, n IncidentNotice) (Incident, error)
	Restore(ctx context.Context, id string, by Actor, n IncidentNotice) (Incident, error)
	// Ack acknowledges what was seen raised, RULE/PLACE/STAGE each.
	Ack(ctx context.Context, id string, by Actor, seen []string) (Incident, error)
	Close(ctx context.Context, id string, by Actor) (Incident, error)
	// Dismiss notes the decision that it was no breach.
	Dismiss(ctx context.Context, id string, by Actor, reason string) (Incident, error)
	// Affected says whose data was released in the incident's window of the log.
	Affected(ctx context.Context, id string, limit int) (ExposureList, error)
}

// Incident is a suspicion of a breach, or a drill of one.
type Incident struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Drill bool   `json:"drill"`
	// Phase is suspected, known or closed.
	Phase       string    `json:"phase"`
	OpenedAt    time.Time `json:"opened_at"`
	OpenedBy    string    `json:"opened_by"`
	SuspectedAt time.Time `json:"suspected_at"`
	// AwareAt is since when it was known, AwareBy what decided that: decision, or failsafe when
	// nobody decided in time.
	AwareAt time.Time `json:"aware_at,omitzero"`
	AwareBy string    `json:"aware_by,omitempty"`
	IncidentScope
	// WithoutNotice are the facts from which no notice follows as things are known: place:us,
	// sector:nis2, classified_at.
	WithoutNotice []string  `json:"without_notice,omitempty"`
	ClosedAt      time.Time `json:"closed_at,omitzero"`
	// Outcome is settled, no_breach or drill.
	Outcome string         `json:"outcome,omitempty"`
	Duties  []IncidentDuty `json:"duties"`
	// History is left out of lists.
	History []IncidentEvent `json:"history,omitempty"`
}

// IncidentScope are the facts that notices follow from, and where in the log it lies.
type IncidentScope struct {
	Places  []string `json:"places,omitempty"`
	Sectors []string `json:"sectors,omitempty"`
	// Role is controller, processor or both.
	Role         string    `json:"role,omitempty"`
	HighRiskAt   time.Time `json:"high_risk_at,omitzero"`
	MaterialAt   time.Time `json:"material_at,omitzero"`
	ClassifiedAt time.Time `json:"classified_at,omitzero"`
	FixAt        time.Time `json:"fix_at,omitzero"`
	// From and To are the window of the log; Class, Route and Receipt narrow it. Receipt is an
	// event whose caller is meant.
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Class   string    `json:"class,omitempty"`
	Route   string    `json:"route,omitempty"`
	Receipt string    `json:"receipt,omitempty"`
}

// IncidentDuty is a notice that is owed.
type IncidentDuty struct {
	// Rule is a rule of the register, Place where it is owed, or all.
	Rule  string `json:"rule"`
	Place string `json:"place"`
	// State is open, sent, waived, restored, rebased or dismissed.
	State string `json:"state"`
	// CountsFrom is where its clock begins. PlanBy is when it is to be done, LegalDue the first moment
	// that is too late; absent where the law has no number.
	CountsFrom time.Time `json:"counts_from"`
	PlanBy     time.Time `json:"plan_by"`
	LegalDue   time.Time `json:"legal_due,omitzero"`
	// Urgency of an open one is empty, soon or overdue. Raised is the stage in which it was
	// raised last: soon, overdue, or doubt when the clock had jumped; Acknowledged the stage that
	// somebody has acknowledged.
	Urgency      string    `json:"urgency,omitempty"`
	Raised       string    `json:"raised,omitempty"`
	Acknowledged string    `json:"acknowledged,omitempty"`
	EndedAt      time.Time `json:"ended_at,omitzero"`
	SentAt       time.Time `json:"sent_at,omitzero"`
	Reason       string    `json:"reason,omitempty"`
	Proof        string    `json:"proof,omitempty"`
}

// IncidentEvent is one thing that happened.
type IncidentEvent struct {
	At    time.Time `json:"at"`
	Kind  string    `json:"kind"`
	Actor string    `json:"actor"`
	// Facts are codes.
	Facts map[string]string `json:"facts"`
	// Receipt is its event in the log, absent while it is not there yet.
	Receipt string `json:"receipt,omitempty"`
}

// IncidentList is the answer of a list.
type IncidentList struct {
	Incidents []Incident `json:"incidents"`
}

// NewIncident asks for one.
type NewIncident struct {
	Title       string
	Drill       bool
	SuspectedAt time.Time
	Scope       IncidentScope
}

// IncidentDecision is a person's decision. The four moments are corrected with it; zero leaves
// one as it is.
type IncidentDecision struct {
	AwareAt                                     time.Time
	Reason                                      string
	HighRiskAt, MaterialAt, ClassifiedAt, FixAt time.Time
}

// IncidentNotice says of notices that they were sent, are not owed, or are owed after all.
type IncidentNotice struct {
	// Notices are RULE or RULE/PLACE.
	Notices []string
	// SentAt and Proof are those of what was sent.
	SentAt        time.Time
	Reason, Proof string
}

// Limits of incidents.
const (
	maxIncidentTitle = 200
	maxIncidentList  = 64
	maxIncidentCode  = 128
	// maxIncidentDuties is more than the notices that every place and sector come to.
	maxIncidentDuties = 1024
	// defaultAffected is how many rows an answer has where nobody says otherwise.
	defaultAffected = 100
)

func scopeMembers(f *IncidentScope) []member {
	return []member{{"places", &f.Places}, {"sectors", &f.Sectors}, {"role", &f.Role}, {"high_risk_at", &f.HighRiskAt}, {"material_at", &f.MaterialAt},
		{"classified_at", &f.ClassifiedAt}, {"fix_at", &f.FixAt}, {"from", &f.From}, {"to", &f.To}, {"class", &f.Class}, {"route", &f.Route}, {"receipt", &f.Receipt}}
}

func checkScope(f IncidentScope) *Refusal {
	if len(f.Places) > maxIncidentList || len(f.Sectors) > maxIncidentList {
		return refuse(reasonInvalid, fmt.Sprintf("places and sectors: want at most %d", maxIncidentList), nil)
	}
	return nil
}

// decodeNewIncident reads {"title", "drill", "suspected_at"} and the members of a scope.
func decodeNewIncident(body []byte) (any, *Refusal) {
	var n NewIncident
	if ref := decodeObject(body, append(scopeMembers(&n.Scope), member{"title", &n.Title}, member{"drill", &n.Drill}, member{"suspected_at", &n.SuspectedAt})...); ref != nil {
		return nil, ref
	}
	if !isText(n.Title, maxIncidentTitle) {
		return nil, refuse(reasonInvalid, fmt.Sprintf("title: want 1 to %d bytes of printable text", maxIncidentTitle), nil)
	}
	return n, checkScope(n.Scope)
}

// decodeIncidentScope reads the members of a scope.
func decodeIncidentScope(body []byte) (any, *Refusal) {
	var f IncidentScope
	if ref := decodeObject(body, scopeMembers(&f)...); ref != nil {
		return nil, ref
	}
	return f, checkScope(f)
}

// decodeIncidentDecision reads {"aware_at", "reason"} and the moments of a scope.
func decodeIncidentDecision(body []byte) (any, *Refusal) {
	var d IncidentDecision
	if ref := decodeObject(body, member{"aware_at", &d.AwareAt}, member{"reason", &d.Reason},
		member{"high_risk_at", &d.HighRiskAt}, member{"material_at", &d.MaterialAt}, member{"classified_at", &d.ClassifiedAt}, member{"fix_at", &d.FixAt}); ref != nil {
		return nil, ref
	}
	if d.AwareAt.IsZero() {
		return nil, refuse(reasonInvalid, "aware_at: want the moment since when it was known", nil)
	}
	return d, checkIncidentReason(d.Reason)
}

// decodeDismissal reads {"reason"}.
func decodeDismissal(body []byte) (any, *Refusal) {
	var reason string
	if ref := decodeObject(body, member{"reason", &reason}); ref != nil {
		return nil, ref
	}
	return reason, checkIncidentReason(reason)
}

// checkIncidentReason: words would be a place for names.
func checkIncidentReason(s string) *Refusal {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || s == "" || s[0] == '_' || len(s) > maxIncidentCode {
		return refuse(reasonInvalid, "reason: want a code, as risk_unlikely", nil)
	}
	return nil
}

// decodeIncidentNotice reads {"notices", "sent_at", "reason", "proof"}.
func decodeIncidentNotice(body []byte) (any, *Refusal) {
	var n IncidentNotice
	if ref := decodeObject(body, member{"notices", &n.Notices}, member{"sent_at", &n.SentAt}, member{"reason", &n.Reason}, member{"proof", &n.Proof}); ref != nil {
		return nil, ref
	}
	if n.SentAt.IsZero() {
		return nil, refuse(reasonInvalid, "sent_at: want when they were sent", nil)
	}
	if n.Reason != "" {
		if ref := checkIncidentReason(n.Reason); ref != nil {
			return nil, ref
		}
	}
	return n, checkNotices(n.Notices)
}

// prepareIncidentNotice tells a notice of which something else says that it was sent from one
// that ends by the caller's word alone.
func prepareIncidentNotice(_ *api, c *callState, rec *Record) *Refusal {
	rec.Attrs = map[string]string{}
	if c.body.(IncidentNotice).Proof == "" {
		rec.Operation.Name = operationUnproven
	}
	return nil
}

func checkNotices(list []string) *Refusal {
	if len(list) == 0 || len(list) > maxIncidentList {
		return refuse(reasonInvalid, fmt.Sprintf("notices: want 1 to %d, as eu.breach.authority/de", maxIncidentList), nil)
	}
	return nil
}

// decodeIncidentWaiver reads {"notices", "reason"}.
func decodeIncidentWaiver(body []byte) (any, *Refusal) {
	var n IncidentNotice
	if ref := decodeObject(body, member{"notices", &n.Notices}, member{"reason", &n.Reason}); ref != nil {
		return nil, ref
	}
	if ref := checkIncidentReason(n.Reason); ref != nil {
		return nil, ref
	}
	return n, checkNotices(n.Notices)
}

// decodeIncidentAck reads {"seen"}.
func decodeIncidentAck(body []byte) (any, *Refusal) {
	var seen []string
	if ref := decodeObject(body, member{"seen", &seen}); ref != nil {
		return nil, ref
	}
	if len(seen) == 0 || len(seen) > maxIncidentDuties {
		return nil, refuse(reasonInvalid, fmt.Sprintf("seen: want 1 to %d notices as they were raised: int.escalate/all/soon", maxIncidentDuties), nil)
	}
	return seen, nil
}

// decodeAffected reads {"limit"}.
func decodeAffected(body []byte) (any, *Refusal) {
	n := defaultAffected
	if ref := decodeObject(body, member{"limit", &n}); ref != nil {
		return nil, ref
	}
	if n < 1 || n > MaxFound {
		return nil, refuse(reasonInvalid, fmt.Sprintf("limit: want 1 to %d", MaxFound), nil)
	}
	return n, nil
}

// listIncidents answers GET /api/v1/incidents.
func listIncidents(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Incidents.List(c.ctx)
	if err != nil {
		return answer{}, incidentRefusal(err)
	}
	return answer{status: http.StatusOK, body: list}, nil
}

// readIncident answers GET /api/v1/incidents/{id}.
func readIncident(a *api, c *callState) (answer, *Refusal) {
	i, err := a.Incidents.Get(c.ctx, c.param)
	if err != nil {
		return answer{}, incidentRefusal(err)
	}
	return answer{status: http.StatusOK, body: i}, nil
}

// openIncident answers POST /api/v1/incidents. An incident whose event failed stays, with its
// clocks: what happened to it is put in the log by itself.
func openIncident(a *api, c *callState) (answer, *Refusal) {
	i, err := a.Incidents.Open(c.ctx, c.actor, c.body.(NewIncident))
	if err != nil {
		return answer{}, incidentRefusal(err)
	}
	ans, ref := incidentAnswer(i, nil)
	ans.status, ans.location = http.StatusCreated, prefix+"/incidents/"+i.ID
	return ans, ref
}

// decideIncident answers POST /api/v1/incidents/{id}/aware.
func decideIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Aware(c.ctx, c.param, c.actor, c.body.(IncidentDecision)))
}

// scopeIncident answers POST /api/v1/incidents/{id}/scope.
func scopeIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Scope(c.ctx, c.param, c.actor, c.body.(IncidentScope)))
}

// noticeIncident answers POST /api/v1/incidents/{id}/notices.
func noticeIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Notice(c.ctx, c.param, c.actor, c.body.(IncidentNotice)))
}

// waiveIncident answers POST /api/v1/incidents/{id}/waive.
func waiveIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Waive(c.ctx, c.param, c.actor, c.body.(IncidentNotice)))
}

// restoreIncident answers POST /api/v1/incidents/{id}/restore.
func restoreIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Restore(c.ctx, c.param, c.actor, c.body.(IncidentNotice)))
}

// ackIncident answers POST /api/v1/incidents/{id}/ack.
func ackIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Ack(c.ctx, c.param, c.actor, c.body.([]string)))
}

// closeIncident answers POST /api/v1/incidents/{id}/close.
func closeIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Close(c.ctx, c.param, c.actor))
}

// dismissIncident answers POST /api/v1/incidents/{id}/dismiss.
func dismissIncident(a *api, c *callState) (answer, *Refusal) {
	return incidentAnswer(a.Incidents.Dismiss(c.ctx, c.param, c.actor, c.body.(string)))
}

// affectedByIncident answers POST /api/v1/incidents/{id}/affected.
func affectedByIncident(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Incidents.Affected(c.ctx, c.param, c.body.(int))
	if err != nil {
		return answer{}, incidentRefusal(err)
	}
	if list.Exposures == nil {
		list.Exposures = []Exposure{}
	}
	if list.Coverage == nil {
		list.Coverage = []Coverage{}
	}
	return answer{status: http.StatusOK, body: list, attrs: map[string]string{"incident": c.param, "found": fmt.Sprint(len(list.Exposures))}}, nil
}

// incidentAnswer answers a change with the incident after it.
func incidentAnswer(i Incident, err error) (answer, *Refusal) {
	if err != nil {
		return answer{}, incidentRefusal(err)
	}
	return answer{status: http.StatusOK, body: i, attrs: map[string]string{"incident": i.ID, "phase": i.Phase}}, nil
}

// incidentRefusal turns an error of Incidents into an answer.
func incidentRefusal(err error) *Refusal {
	switch {
	case errors.Is(err, ErrNotFound):
		return refuse(reasonNotFound, "", err)
	case errors.Is(err, ErrInvalid):
		return refuse(reasonInvalid, strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "), err)
	}
	return refuse(reasonInternal, "", err)
}
