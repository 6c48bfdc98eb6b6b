package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Holds are legal holds. Errors wrap ErrNotFound for an id that is not known and ErrInvalid,
// with a text that may be shown, for what cannot be done.
type Holds interface {
	// List returns all holds without reasons and scopes, those in force first.
	List(ctx context.Context) ([]Hold, error)
	// Get returns one.
	Get(ctx context.Context, id string) (Hold, error)
	// Place places a hold, which is in force at once.
	Place(ctx context.Context, by Actor, n NewHold) (Hold, error)
	// Lift asks for one to be lifted, ApproveLift agrees to that. Nobody does both.
	Lift(ctx context.Context, id string, by Actor, reason string) (Hold, error)
	ApproveLift(ctx context.Context, id string, by Actor) (Hold, error)
}

// NewHold is a hold to be placed. It covers all that is named, not what it has in common.
type NewHold struct {
	Matter, Custodian, Reason string
	// Subjects name persons: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID. Records are places,
	// CHANNEL/HOST/TYPE/ID.
	Subjects, Records []string
	Queries           []HoldQuery
}

// HoldQuery covers records by where they stand and when they were there.
type HoldQuery struct {
	Channel string `json:"channel"`
	// Host and Type are empty for every account, every type.
	Host string `json:"host,omitempty"`
	Type string `json:"type,omitempty"`
	// Since and Until bound the time in which a record was there.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Hold is a legal hold. It names nobody whom it protects.
type Hold struct {
	ID        string    `json:"id"`
	Matter    string    `json:"matter"`
	Custodian string    `json:"custodian"`
	Reason    string    `json:"reason,omitempty"`
	State     string    `json:"state"`
	Placed    time.Time `json:"placed"`
	PlacedBy  string    `json:"placed_by"`
	// LiftAsked to LiftReason are who asked for it to be lifted, LiftApproved and
	// LiftApprovedBy who agreed.
	LiftAsked      time.Time `json:"lift_asked,omitzero"`
	LiftAskedBy    string    `json:"lift_asked_by,omitempty"`
	LiftReason     string    `json:"lift_reason,omitempty"`
	LiftApproved   time.Time `json:"lift_approved,omitzero"`
	LiftApprovedBy string    `json:"lift_approved_by,omitempty"`
	// Scope is absent in lists.
	Scope *HoldScope `json:"scope,omitempty"`
	// TooLate are erasures that could not be stopped any more.
	TooLate []LateHold `json:"too_late,omitempty"`
}

// HoldScope is what a hold covers. Persons are counted: by which names they were named is not
// kept.
type HoldScope struct {
	Subjects int         `json:"subjects"`
	Records  []string    `json:"records"`
	Queries  []HoldQuery `json:"queries"`
}

// LateHold is an erasure that a hold could not stop any more.
type LateHold struct {
	// Event is the id of the event that puts it on record.
	Event string    `json:"event"`
	Begun time.Time `json:"begun"`
}

// Limits of holds.
const (
	maxHoldBody     = 2 << 20
	maxHoldSubjects = 500
	maxHoldRecords  = 1000
	maxHoldQueries  = 16
	maxHoldReason   = 500
	maxHoldPlace    = 256
)

// decodeNewHold reads {"matter", "custodian", "reason", "subjects", "records", "queries"}.
func decodeNewHold(body []byte) (any, *Refusal) {
	var n NewHold
	var queries []json.RawMessage
	if ref := decodeObject(body, member{"matter", &n.Matter}, member{"custodian", &n.Custodian}, member{"reason", &n.Reason},
		member{"subjects", &n.Subjects}, member{"records", &n.Records}, member{"queries", &queries}); ref != nil {
		return nil, ref
	}
	switch {
	case !isWord(n.Matter):
		return nil, refuse(reasonInvalid, fmt.Sprintf("matter: want 1 to %d letters, digits, dashes and underscores", maxWord), nil)
	case !isWord(n.Custodian):
		return nil, refuse(reasonInvalid, fmt.Sprintf("custodian: want 1 to %d letters, digits, dashes and underscores", maxWord), nil)
	case !isText(n.Reason, maxHoldReason):
		return nil, refuse(reasonInvalid, fmt.Sprintf("reason: want 1 to %d bytes of printable text", maxHoldReason), nil)
	case len(n.Subjects)+len(n.Records)+len(queries) == 0:
		return nil, refuse(reasonInvalid, "want subjects, records or queries: a hold of everything is none", nil)
	case len(n.Subjects) > maxHoldSubjects || len(n.Records) > maxHoldRecords || len(queries) > maxHoldQueries:
		return nil, refuse(reasonInvalid, fmt.Sprintf("want at most %d subjects, %d records and %d queries; place more holds of one matter", maxHoldSubjects, maxHoldRecords, maxHoldQueries), nil)
	}
	for _, s := range n.Subjects {
		if !isText(s, maxSubject) {
			return nil, refuse(reasonInvalid, fmt.Sprintf("subjects: want 1 to %d bytes of printable text each", maxSubject), nil)
		}
	}
	for _, r := range n.Records {
		if !isText(r, maxRecord) {
			return nil, refuse(reasonInvalid, "records: want places, CHANNEL/HOST/TYPE/ID", nil)
		}
	}
	for _, raw := range queries {
		var q HoldQuery
		if ref := decodeObject(raw, member{"channel", &q.Channel}, member{"host", &q.Host}, member{"type", &q.Type}, member{"since", &q.Since}, member{"until", &q.Until}); ref != nil {
			ref.Cause = "queries: " + ref.Cause
			return nil, ref
		}
		if !isText(q.Channel, maxHoldPlace) || q.Host != "" && !isText(q.Host, maxHoldPlace) || q.Type != "" && !isText(q.Type, maxHoldPlace) {
			return nil, refuse(reasonInvalid, fmt.Sprintf("queries: want a channel, and host and type of at most %d bytes", maxHoldPlace), nil)
		}
		if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
			return nil, refuse(reasonInvalid, "queries: since lies behind until", nil)
		}
		n.Queries = append(n.Queries, q)
	}
	return n, nil
}

// decodeLift reads {"reason"}.
func decodeLift(body []byte) (any, *Refusal) {
	var reason string
	if ref := decodeObject(body, member{"reason", &reason}); ref != nil {
		return nil, ref
	}
	if !isText(reason, maxHoldReason) {
		return nil, refuse(reasonInvalid, fmt.Sprintf("reason: want 1 to %d bytes of printable text", maxHoldReason), nil)
	}
	return reason, nil
}

// listHolds answers GET /api/v1/holds.
func listHolds(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Holds.List(c.ctx)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: map[string]any{"holds": list}}, nil
}

// readHold answers GET /api/v1/holds/{id}.
func readHold(a *api, c *callState) (answer, *Refusal) {
	h, err := a.Holds.Get(c.ctx, c.param)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: h}, nil
}

// placeHold answers POST /api/v1/holds. A hold whose event failed stays: it only preserves.
func placeHold(a *api, c *callState) (answer, *Refusal) {
	h, err := a.Holds.Place(c.ctx, c.actor, c.body.(NewHold))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	ans := answer{status: http.StatusCreated, body: h, location: prefix + "/holds/" + h.ID, attrs: holdAttrs(h)}
	ans.attrs["too_late"] = strconv.Itoa(len(h.TooLate))
	return ans, nil
}

// liftHold answers POST /api/v1/holds/{id}/lift.
func liftHold(a *api, c *callState) (answer, *Refusal) {
	h, err := a.Holds.Lift(c.ctx, c.param, c.actor, c.body.(string))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: h, attrs: holdAttrs(h)}, nil
}

// approveLift answers POST /api/v1/holds/{id}/approve-lift. What two persons agreed to stays
// when this event failed: the hold has one of its own, and is in force until the log has it.
func approveLift(a *api, c *callState) (answer, *Refusal) {
	h, err := a.Holds.ApproveLift(c.ctx, c.param, c.actor)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: h, attrs: holdAttrs(h)}, nil
}

func holdAttrs(h Hold) map[string]string {
	return map[string]string{"hold": h.ID, "matter": h.Matter, "hold_state": h.State}
}
