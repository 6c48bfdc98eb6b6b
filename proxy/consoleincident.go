package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caregate/caregate/console"
	"github.com/caregate/caregate/retention"
	"github.com/caregate/caregate/retention/incident"
)

// consoleIncidents gives incidents in console's types.
type consoleIncidents struct{ a *App }

func scopeFacts(f console.IncidentScope) incident.Facts {
	return incident.Facts{
		Places: f.Places, Sectors: f.Sectors, Role: f.Role, HighRisk: f.HighRiskAt, Material: f.MaterialAt, Classified: f.ClassifiedAt, Fix: f.FixAt,
		From: f.From, To: f.To, Class: f.Class, Route: f.Route, Receipt: f.Receipt,
	}
}

func consoleIncident(i incident.Incident, now time.Time) console.Incident {
	f := i.Facts
	out := console.Incident{
		ID: i.ID, Title: i.Title, Drill: i.Drill, Phase: "suspected", OpenedAt: i.Opened, OpenedBy: i.OpenedBy, SuspectedAt: i.Suspected, AwareAt: i.Aware, AwareBy: i.Basis,
		IncidentScope: console.IncidentScope{
			Places: f.Places, Sectors: f.Sectors, Role: f.Role, HighRiskAt: f.HighRisk, MaterialAt: f.Material, ClassifiedAt: f.Classified, FixAt: f.Fix,
			From: f.From, To: f.To, Class: f.Class, Route: f.Route, Receipt: f.Receipt,
		},
		WithoutNotice: i.Idle(), ClosedAt: i.Closed, Outcome: i.Outcome, Duties: []console.IncidentDuty{},
	}
	switch {
	case i.State == incident.Closed:
		out.Phase = "closed"
	case !i.Aware.IsZero():
		out.Phase = "known"
	}
	for _, d := range i.Duties {
		out.Duties = append(out.Duties, console.IncidentDuty{
			Rule: d.Rule, Place: d.Place, State: d.State, CountsFrom: d.Anchor, PlanBy: d.PlanBy, LegalDue: d.LegalDue, Urgency: d.StageAt(now), Raised: d.Stage, Acknowledged: d.Acked,
			EndedAt: d.Ended, SentAt: d.Sent, Reason: d.Reason, Proof: d.Proof,
		})
	}
	for _, e := range i.Events {
		out.History = append(out.History, console.IncidentEvent{At: e.At, Kind: e.Kind, Actor: e.Actor, Facts: e.Body, Receipt: e.Leaf})
	}
	return out
}

// incidentError gives incident's errors the names under which console knows them.
func incidentError(err error) error {
	switch {
	case errors.Is(err, incident.ErrNone):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case errors.Is(err, incident.ErrWish):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	}
	return err
}

// changed is what a change comes to; what it made due is looked at at once.
func (c consoleIncidents) changed(i incident.Incident, err error) (console.Incident, error) {
	if err != nil {
		return console.Incident{}, incidentError(err)
	}
	c.a.gen.data.dutiesSoon()
	return consoleIncident(i, time.Now()), nil
}

// List implements console.Incidents.
func (c consoleIncidents) List(ctx context.Context) (out console.IncidentList, err error) {
	out.Incidents = []console.Incident{}
	list, err := c.a.gen.data.Incidents.List(ctx)
	for _, i := range list {
		out.Incidents = append(out.Incidents, consoleIncident(i, time.Now()))
	}
	return out, err
}

// Get implements console.Incidents.
func (c consoleIncidents) Get(ctx context.Context, id string) (console.Incident, error) {
	i, err := c.a.gen.data.Incidents.Get(ctx, id)
	if err != nil {
		return console.Incident{}, incidentError(err)
	}
	return consoleIncident(i, time.Now()), nil
}

// Open implements console.Incidents.
func (c consoleIncidents) Open(ctx context.Context, by console.Actor, n console.NewIncident) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Open(ctx, incident.NewIncident{Title: n.Title, Drill: n.Drill, By: by.ID, Suspected: n.SuspectedAt, Facts: scopeFacts(n.Scope)}))
}

// Aware implements console.Incidents.
func (c consoleIncidents) Aware(ctx context.Context, id string, by console.Actor, d console.IncidentDecision) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Aware(ctx, id, by.ID, incident.Decision{At: d.AwareAt, Reason: d.Reason, HighRisk: d.HighRiskAt, Material: d.MaterialAt, Classified: d.ClassifiedAt, Fix: d.FixAt}))
}

// Scope implements console.Incidents.
func (c consoleIncidents) Scope(ctx context.Context, id string, by console.Actor, f console.IncidentScope) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Scope(ctx, id, by.ID, scopeFacts(f)))
}

func namedNotices(n console.IncidentNotice) (list []incident.Notice) {
	for _, name := range n.Notices {
		rule, place, _ := strings.Cut(name, "/")
		list = append(list, incident.Notice{Rule: rule, Place: place, Sent: n.SentAt, Reason: n.Reason, Proof: n.Proof})
	}
	return list
}

// Notice implements console.Incidents.
func (c consoleIncidents) Notice(ctx context.Context, id string, by console.Actor, n console.IncidentNotice) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Notice(ctx, id, by.ID, namedNotices(n)...))
}

// Waive implements console.Incidents.
func (c consoleIncidents) Waive(ctx context.Context, id string, by console.Actor, n console.IncidentNotice) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Waive(ctx, id, by.ID, namedNotices(n)...))
}

// Restore implements console.Incidents.
func (c consoleIncidents) Restore(ctx context.Context, id string, by console.Actor, n console.IncidentNotice) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Restore(ctx, id, by.ID, namedNotices(n)...))
}

// Ack implements console.Incidents.
func (c consoleIncidents) Ack(ctx context.Context, id string, by console.Actor, seen []string) (console.Incident, error) {
	var list []incident.Seen
	for _, name := range seen {
		rule, rest, _ := strings.Cut(name, "/")
		place, stage, _ := strings.Cut(rest, "/")
		list = append(list, incident.Seen{Rule: rule, Place: place, Stage: stage})
	}
	return c.changed(c.a.gen.data.Incidents.Ack(ctx, id, by.ID, list...))
}

// Close implements console.Incidents.
func (c consoleIncidents) Close(ctx context.Context, id string, by console.Actor) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Close(ctx, id, by.ID))
}

// Dismiss implements console.Incidents.
func (c consoleIncidents) Dismiss(ctx context.Context, id string, by console.Actor, reason string) (console.Incident, error) {
	return c.changed(c.a.gen.data.Incidents.Dismiss(ctx, id, by.ID, reason))
}

// Affected implements console.Incidents.
func (c consoleIncidents) Affected(ctx context.Context, id string, limit int) (console.ExposureList, error) {
	i, err := c.a.gen.data.Incidents.Get(ctx, id)
	if err != nil {
		return console.ExposureList{}, incidentError(err)
	}
	f := i.Facts
	if f.From.IsZero() {
		return console.ExposureList{}, fmt.Errorf("%w: nobody has said in which time it happened: add from (and to) to its scope", console.ErrInvalid)
	}
	return consoleMount(c).search().exposures(ctx, console.Search{From: f.From, To: f.To, Class: f.Class, Route: f.Route, Same: f.Receipt, Limit: limit})
}

// consoleDuties gives duties in console's types.
type consoleDuties struct{ a *App }

// maxWaiting bounds a list of duties that wait.
const maxWaiting = 1000

// Waiting implements console.Duties.
func (c consoleDuties) Waiting(ctx context.Context) (out console.DutyList, err error) {
	duties := c.a.gen.data.Duties
	out.Duties = []console.Duty{}
	if out.Waiting, err = duties.CountWaiting(ctx); err != nil {
		return out, err
	}
	list, err := duties.Waiting(ctx, maxWaiting)
	for _, o := range list {
		out.Duties = append(out.Duties, console.Duty{ID: o.ID, Kind: o.Kind, Due: o.Due})
	}
	return out, err
}

// Retry implements console.Duties.
func (c consoleDuties) Retry(ctx context.Context, by console.Actor, id, reason string) error {
	who, err := c.named(ctx, by)
	if err != nil {
		return err
	}
	err = c.a.gen.data.Duties.Retry(ctx, id, who, reason)
	if errors.Is(err, retention.ErrNone) {
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	}
	if err == nil {
		c.a.gen.data.dutiesSoon()
	}
	return err
}

// TrustClock implements console.Duties.
func (c consoleDuties) TrustClock(ctx context.Context, by console.Actor, reason string) error {
	who, err := c.named(ctx, by)
	if err != nil {
		return err
	}
	return c.a.gen.data.Duties.TrustClock(ctx, who, reason)
}

// named is the name that the log gives to an actor: what is noted of duties goes into the log
// as it is.
func (c consoleDuties) named(ctx context.Context, by console.Actor) (string, error) {
	name, err := c.a.gen.data.pseudonym(ctx, by.ID)
	return hex.EncodeToString(name[:]), err
}

var (
	_ console.Incidents = consoleIncidents{}
	_ console.Duties    = consoleDuties{}
)
