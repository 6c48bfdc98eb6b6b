package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Search is a question about the audit log. What is set must hold together; the zero
// Search asks for everything. Subject and Actor may be personal: they stand in bodies
// only, never in an address, a log or an answer.
type Search struct {
	// From and To bound the time, To is excluded.
	From, To time.Time
	// Same names an event by its receipt: those of the same actor are asked for.
	Same string
	// Actor is the id of an actor (key:ID, local), or the e-mail address that a call named
	// or a token vouched for.
	Actor string
	// Subject is a person: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID.
	Subject string
	// Record is a vendor's object: CHANNEL:OBJECT:ID.
	Record string
	// Class is a data class that was released in the clear.
	Class string
	// The others are compared with the event's field of this name.
	Type, Route, Channel, Operation, Decision, Reason string
	// Limit bounds the answer. 1 to MaxFound; zero: 100.
	Limit int
}

// MaxFound is how many rows one answer may have.
const MaxFound = 10000

// Found is an event as the index knows it. Actor is a pseudonym.
type Found struct {
	Receipt   string    `json:"receipt"`
	Exchange  string    `json:"exchange,omitempty"`
	Time      time.Time `json:"time"`
	Type      string    `json:"type"`
	Route     string    `json:"route,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Effect    string    `json:"effect,omitempty"`
	Scope     string    `json:"scope,omitempty"`
	Decision  string    `json:"decision,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Actor     string    `json:"actor,omitempty"`
	Identity  string    `json:"identity,omitempty"`
	Status    int       `json:"status,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
	// Unread says that something passed which nobody had inspected.
	Unread bool `json:"unread"`
}

// FoundList answers a Search for events, the newest first. More says that there are
// further ones.
type FoundList struct {
	Events []Found `json:"events"`
	More   bool    `json:"more"`
	NotAsked
}

// NotAsked names the other gateways on the same database: each has a log of its own, and
// theirs were not asked. Whoever wants to know of all asks each of them.
type NotAsked struct {
	Gateways []string `json:"not_asked,omitempty"`
}

// Exposure is a data class of one person or record that one actor was given in the
// clear. Who and Actor are pseudonyms.
type Exposure struct {
	Kind     string    `json:"kind"` // subject or record
	Who      string    `json:"who"`
	Class    string    `json:"class"`
	Actor    string    `json:"actor,omitempty"`
	Identity string    `json:"identity,omitempty"`
	Route    string    `json:"route"`
	Channel  string    `json:"channel"`
	Times    int64     `json:"times"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Receipt  string    `json:"receipt"`
}

// Coverage is how many answers went out over a route, and how many of them held bytes
// that nobody inspected.
type Coverage struct {
	Route   string `json:"route"`
	Answers int64  `json:"answers"`
	Unread  int64  `json:"unread"`
}

// ExposureList answers a Search for exposures. Coverage is about all answers of the
// same actor and time: what the unread ones showed, no exposure tells.
type ExposureList struct {
	Exposures []Exposure `json:"exposures"`
	Coverage  []Coverage `json:"coverage"`
	More      bool       `json:"more"`
	NotAsked
}

// decodeSearch reads a Search.
func decodeSearch(body []byte) (any, *Refusal) {
	s := Search{Limit: 100}
	ref := decodeObject(body, member{"from", &s.From}, member{"to", &s.To}, member{"same", &s.Same}, member{"actor", &s.Actor},
		member{"subject", &s.Subject}, member{"record", &s.Record}, member{"class", &s.Class}, member{"type", &s.Type}, member{"route", &s.Route},
		member{"channel", &s.Channel}, member{"operation", &s.Operation}, member{"decision", &s.Decision}, member{"reason", &s.Reason}, member{"limit", &s.Limit})
	if ref != nil {
		return nil, ref
	}
	if s.Limit < 1 || s.Limit > MaxFound {
		return nil, refuse(reasonInvalid, "limit: want 1 to 10000", nil)
	}
	if s.Same != "" && s.Actor != "" {
		return nil, refuse(reasonInvalid, "want same or actor, not both", nil)
	}
	return s, nil
}

// searchEvents answers POST /api/v1/events/search.
func searchEvents(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Search(c.ctx, c.body.(Search))
	if ref := searchRefusal(err); ref != nil {
		return answer{}, ref
	}
	if list.Events == nil {
		list.Events = []Found{}
	}
	return answer{status: http.StatusOK, body: list, attrs: asked(c.body.(Search), len(list.Events))}, nil
}

// searchExposures answers POST /api/v1/exposures/search.
func searchExposures(a *api, c *callState) (answer, *Refusal) {
	list, err := a.Exposures(c.ctx, c.body.(Search))
	if ref := searchRefusal(err); ref != nil {
		return answer{}, ref
	}
	if list.Exposures == nil {
		list.Exposures = []Exposure{}
	}
	if list.Coverage == nil {
		list.Coverage = []Coverage{}
	}
	return answer{status: http.StatusOK, body: list, attrs: asked(c.body.(Search), len(list.Exposures))}, nil
}

// asked is what the log keeps of a search: by what it was, not by which value, and how
// much it found.
func asked(s Search, found int) map[string]string {
	var by []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"actor", s.Actor != "" || s.Same != ""}, {"subject", s.Subject != ""}, {"record", s.Record != ""}, {"class", s.Class != ""}} {
		if f.set {
			by = append(by, f.name)
		}
	}
	return map[string]string{"by": strings.Join(by, ","), "found": strconv.Itoa(found)}
}

func searchRefusal(err error) *Refusal {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound):
		return refuse(reasonNotFound, "the log holds no event of this receipt", err)
	case errors.Is(err, ErrInvalid):
		return refuse(reasonInvalid, "actor, subject or record has not the form it should have", err)
	}
	return refuse(reasonInternal, "", err)
}
