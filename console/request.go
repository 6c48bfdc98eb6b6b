package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Requests are what persons ask for by law. Errors wrap ErrNotFound for an id that is not
// known and ErrInvalid, with a text that may be shown, for what cannot be done. Records and
// Items fail so while nobody has found out who the person is.
type Requests interface {
	// List returns all, without names, items and history, those that are open first.
	List(ctx context.Context) ([]PrivacyRequest, error)
	// Get returns one, without who asks.
	Get(ctx context.Context, id string) (PrivacyRequest, error)
	Open(ctx context.Context, by Actor, n NewPrivacyRequest) (PrivacyRequest, error)
	Change(ctx context.Context, id string, by Actor, c RequestChange) (PrivacyRequest, error)
	// Requester says who asks.
	Requester(ctx context.Context, id string) (RequestRequester, error)
	// Records are those that the index knows of the person.
	Records(ctx context.Context, id string, q RecordQuestion) (RecordList, error)
	// Items say what became of each thing, behind after.
	Items(ctx context.Context, id, after string, limit int) (RequestItems, error)
}

// NewPrivacyRequest is a request that came in.
type NewPrivacyRequest struct {
	Kind, Place, Manner string
	// Subjects name the person: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID.
	Subjects []string
	// Received is zero for now.
	Received  time.Time
	Agent     bool
	Requester RequestRequester
}

// RequestRequester is who asks. It is sealed.
type RequestRequester struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
	Agent   string `json:"agent,omitempty"`
	Note    string `json:"note,omitempty"`
}

// RequestChange is a change of a request. Which members count depends on what is done.
type RequestChange struct {
	// Deed is one of acknowledge, verify, reauthenticate, pause, resume, restart, extend, note,
	// answer, refuse, withdraw and duplicate.
	Deed string
	// At is when it happened, From what a restart counts from; zero for now.
	At, From time.Time
	// Method, Proof, Authority and Names are of a check; Failed says that it did.
	Method, Proof, Authority string
	Names                    []int
	Failed                   bool
	// Cause is of the clock, Reason of an extension or a refusal, Notice names what the person
	// was told, Other is the request that answers a duplicate.
	Cause, Reason, Notice, Other string
	// Items are what is noted, Rest the result of all others.
	Items []RequestItem
	Rest  string
}

// RequestItem is what became of one thing.
type RequestItem struct {
	// Place is that of a record, CHANNEL/HOST/TYPE/ID, the code of another system, or * for
	// everything.
	Place  string `json:"place"`
	Result string `json:"result"`
	// Hold is the legal hold, Statute the law and Until the last day, where something is kept.
	Hold    string `json:"hold,omitempty"`
	Statute string `json:"statute,omitempty"`
	Until   string `json:"until,omitempty"`
	// At and By say who noted it and when.
	At time.Time `json:"at,omitzero"`
	By string    `json:"by,omitempty"`
}

// RequestItems is a page of items.
type RequestItems struct {
	Items []RequestItem `json:"items"`
	More  bool          `json:"more"`
}

// PrivacyRequest is a request of a person. It names nobody.
type PrivacyRequest struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Place     string    `json:"place"`
	Manner    string    `json:"manner"`
	Agent     bool      `json:"agent"`
	Authority string    `json:"authority,omitempty"`
	Received  time.Time `json:"received"`
	Opened    time.Time `json:"opened"`
	OpenedBy  string    `json:"opened_by"`
	// State is open, answered, refused, withdrawn or duplicate.
	State  string        `json:"state"`
	Duties []RequestDuty `json:"duties"`
	// RefuseBy is until when a refusal is told, where that is another moment.
	RefuseBy time.Time `json:"refuse_by,omitzero"`
	// Names are the names in their order, absent in lists: when each was found to be the
	// person's, and how.
	Names         []RequestName `json:"names,omitempty"`
	FailedChecks  int           `json:"failed_checks"`
	Authenticated time.Time     `json:"reauthenticated,omitzero"`
	// Items counts what is noted, by result. Duplicates are other open requests of the kind by
	// one of the names.
	Items      map[string]int `json:"items,omitempty"`
	Duplicates []string       `json:"duplicates,omitempty"`
	Closed     time.Time      `json:"closed,omitzero"`
	ClosedBy   string         `json:"closed_by,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Notice     string         `json:"notice,omitempty"`
	Other      string         `json:"other,omitempty"`
	History    []RequestEvent `json:"history,omitempty"`
}

// RequestName is one name of a request.
type RequestName struct {
	Verified time.Time `json:"verified,omitzero"`
	Method   string    `json:"method,omitempty"`
}

// RequestDuty is what a request makes due.
type RequestDuty struct {
	// What is acknowledge or respond.
	What string `json:"what"`
	Rule string `json:"rule"`
	// PlanBy is when it is to be done, LegalDue the first moment that is too late.
	PlanBy   time.Time `json:"plan_by"`
	LegalDue time.Time `json:"legal_due"`
	Done     time.Time `json:"done,omitzero"`
	// Urgency is soon, overdue or late, absent for neither.
	Urgency string `json:"urgency,omitempty"`
	// PausedSince and PauseCause say that the clock stands still.
	PausedSince time.Time `json:"paused_since,omitzero"`
	PauseCause  string    `json:"pause_cause,omitempty"`
	Extended    bool      `json:"extended,omitempty"`
	// NeedsHuman says that the gateway does not watch it any more.
	NeedsHuman bool `json:"needs_human,omitempty"`
	// Steps explain the dates.
	Steps []string `json:"steps,omitempty"`
}

// RequestEvent is one thing that happened to a request. Facts are codes.
type RequestEvent struct {
	At    time.Time         `json:"at"`
	Kind  string            `json:"kind"`
	Actor string            `json:"actor"`
	Facts map[string]string `json:"facts"`
}

// Limits of requests.
const (
	maxRequestBody  = 2 << 20
	maxRequestNames = 32
	maxRequestText  = 500
	maxRequestItems = 1000
	// maxRequestCode bounds each code, in bytes.
	maxRequestCode = 128
)

// decodeNewRequest reads {"kind", "place", "manner", "subjects", "received", "agent", "requester"}.
func decodeNewRequest(body []byte) (any, *Refusal) {
	var n NewPrivacyRequest
	var requester json.RawMessage
	if ref := decodeObject(body, member{"kind", &n.Kind}, member{"place", &n.Place}, member{"manner", &n.Manner}, member{"subjects", &n.Subjects}, member{"received", &n.Received},
		member{"agent", &n.Agent}, member{"requester", &requester}); ref != nil {
		return nil, ref
	}
	q := &n.Requester
	if ref := decodeObject(requester, member{"name", &q.Name}, member{"address", &q.Address}, member{"agent", &q.Agent}, member{"note", &q.Note}); ref != nil {
		ref.Cause = "requester: " + ref.Cause
		return nil, ref
	}
	for _, text := range []string{q.Name, q.Address, q.Agent, q.Note} {
		if text != "" && !isText(text, maxRequestText) {
			return nil, refuse(reasonInvalid, fmt.Sprintf("requester: want at most %d bytes of printable text each", maxRequestText), nil)
		}
	}
	if ref := requestCodes(n.Kind, n.Place, n.Manner); ref != nil {
		return nil, ref
	}
	if len(n.Subjects) == 0 || len(n.Subjects) > maxRequestNames {
		return nil, refuse(reasonInvalid, fmt.Sprintf("subjects: want 1 to %d", maxRequestNames), nil)
	}
	if ref := checkSubjects(n.Subjects); ref != nil {
		return nil, ref
	}
	return n, nil
}

// requestCodes refuses what is too long for a code.
func requestCodes(codes ...string) *Refusal {
	for _, c := range codes {
		if c != "" && !isText(c, maxRequestCode) {
			return refuse(reasonInvalid, fmt.Sprintf("want codes of at most %d bytes", maxRequestCode), nil)
		}
	}
	return nil
}

// decodeRequestChange reads the members that a change has.
func decodeRequestChange(deed string, names ...string) func([]byte) (any, *Refusal) {
	return func(body []byte) (any, *Refusal) {
		c := RequestChange{Deed: deed}
		var items []json.RawMessage
		all := []member{
			{"at", &c.At}, {"from", &c.From}, {"method", &c.Method}, {"proof", &c.Proof}, {"authority", &c.Authority}, {"names", &c.Names}, {"failed", &c.Failed},
			{"cause", &c.Cause}, {"reason", &c.Reason}, {"notice", &c.Notice}, {"other", &c.Other}, {"items", &items}, {"rest", &c.Rest},
		}
		var members []member
		for _, name := range names {
			for _, m := range all {
				if m.name == name {
					members = append(members, m)
				}
			}
		}
		if ref := decodeObject(body, members...); ref != nil {
			return nil, ref
		}
		if len(items) > maxRequestItems || len(c.Names) > maxRequestNames {
			return nil, refuse(reasonInvalid, fmt.Sprintf("want at most %d items and %d names in one call", maxRequestItems, maxRequestNames), nil)
		}
		if ref := requestCodes(c.Method, c.Proof, c.Authority, c.Cause, c.Reason, c.Notice, c.Other, c.Rest); ref != nil {
			return nil, ref
		}
		for _, raw := range items {
			var it RequestItem
			if ref := decodeObject(raw, member{"place", &it.Place}, member{"result", &it.Result}, member{"hold", &it.Hold}, member{"statute", &it.Statute}, member{"until", &it.Until}); ref != nil {
				ref.Cause = "items: " + ref.Cause
				return nil, ref
			}
			if !isText(it.Place, maxRecord) {
				return nil, refuse(reasonInvalid, "items: want a place", nil)
			}
			if ref := requestCodes(it.Result, it.Hold, it.Statute, it.Until); ref != nil {
				return nil, ref
			}
			c.Items = append(c.Items, it)
		}
		return c, nil
	}
}

// decodeRequestRecords reads {"linked", "after", "limit"}.
func decodeRequestRecords(body []byte) (any, *Refusal) {
	q := RecordQuestion{Limit: 100}
	if ref := decodeObject(body, member{"linked", &q.Linked}, member{"after", &q.After}, member{"limit", &q.Limit}); ref != nil {
		return nil, ref
	}
	return q, checkPage(q)
}

// decodeRequestItems reads {"after", "limit"}.
func decodeRequestItems(body []byte) (any, *Refusal) {
	q := RecordQuestion{Limit: 100}
	if ref := decodeObject(body, member{"after", &q.After}, member{"limit", &q.Limit}); ref != nil {
		return nil, ref
	}
	return q, checkPage(q)
}

func checkPage(q RecordQuestion) *Refusal {
	switch {
	case q.Limit < 1 || q.Limit > MaxFound:
		return refuse(reasonInvalid, fmt.Sprintf("limit: want 1 to %d", MaxFound), nil)
	case q.After != "" && !isText(q.After, maxRecord):
		return refuse(reasonInvalid, "after: want the last place of the page before", nil)
	}
	return nil
}

// listRequests answers GET /api/v1/requests.
func listRequests(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Requests.List(c.ctx)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: map[string]any{"requests": list}}, nil
}

// readRequest answers GET /api/v1/requests/{id}.
func readRequest(a *api, c *callState) (answer, *Refusal) {
	r, err := a.Requests.Get(c.ctx, c.param)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: r}, nil
}

// openRequest answers POST /api/v1/requests. A request whose event failed stays, with its
// clocks: what happened to it is put in the log by itself.
func openRequest(a *api, c *callState) (answer, *Refusal) {
	r, err := a.Requests.Open(c.ctx, c.actor, c.body.(NewPrivacyRequest))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusCreated, body: r, location: prefix + "/requests/" + r.ID, attrs: requestAttrs(r)}, nil
}

// changeRequest answers the changes of a request.
func changeRequest(a *api, c *callState) (answer, *Refusal) {
	r, err := a.Requests.Change(c.ctx, c.param, c.actor, c.body.(RequestChange))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: r, attrs: requestAttrs(r)}, nil
}

// readRequester answers POST /api/v1/requests/{id}/requester.
func readRequester(a *api, c *callState) (answer, *Refusal) {
	q, err := a.Requests.Requester(c.ctx, c.param)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: q, attrs: map[string]string{"request": c.param}}, nil
}

// requestRecords answers POST /api/v1/requests/{id}/records.
func requestRecords(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Requests.Records(c.ctx, c.param, c.body.(RecordQuestion))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	if list.Records == nil {
		list.Records = []KnownRecord{}
	}
	return answer{status: http.StatusOK, body: list, attrs: map[string]string{"request": c.param, "found": strconv.Itoa(len(list.Records))}}, nil
}

// requestItems answers POST /api/v1/requests/{id}/items.
func requestItems(a *api, c *callState) (answer, *Refusal) {
	q := c.body.(RecordQuestion)
	list, err := a.Requests.Items(c.ctx, c.param, q.After, q.Limit)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	if list.Items == nil {
		list.Items = []RequestItem{}
	}
	return answer{status: http.StatusOK, body: list, attrs: map[string]string{"request": c.param, "found": strconv.Itoa(len(list.Items))}}, nil
}

func requestAttrs(r PrivacyRequest) map[string]string {
	return map[string]string{"request": r.ID, "kind": r.Kind, "request_state": r.State}
}
