package console

import (
	"fmt"
	"net/http"
	"strconv"
)

// Limits of one erasure. A person has a few names; whoever erases many makes many calls.
const (
	maxErased        = 32
	maxSubject       = 512
	maxErasureTicket = 64
)

// Erasure is a wish to erase persons.
type Erasure struct {
	// Subjects name them: email:ADDRESS, phone:NUMBER, CHANNEL:OBJECT:ID. All names of a
	// person are given, because each is one to the vault.
	Subjects []string
	// Plan is what the plan was called that is to be carried out; empty for a plan.
	Plan string
	// Ticket says under which number it was asked for; it stands in the log.
	Ticket string
}

// ErasureAnswer is a plan, or what became of it.
type ErasureAnswer struct {
	// Plan is to be given back to carry it out, within 15 minutes; empty when nobody is
	// known, and after the deed.
	Plan   string         `json:"plan,omitempty"`
	People []ErasedPerson `json:"people"`
	// Erased tells that it was carried out, Event is the one that proves it.
	Erased bool   `json:"erased"`
	Event  string `json:"event,omitempty"`
}

// ErasedPerson is what is known by one of the names, in their order.
type ErasedPerson struct {
	Kind  string `json:"kind"`
	Known bool   `json:"known"`
	// Tokens is how many values are kept under the person's key.
	Tokens int64 `json:"tokens"`
}

// decodeErasure reads {"subjects", "plan", "ticket"}.
func decodeErasure(body []byte) (any, *Refusal) {
	var e Erasure
	if ref := decodeObject(body, member{"subjects", &e.Subjects}, member{"plan", &e.Plan}, member{"ticket", &e.Ticket}); ref != nil {
		return nil, ref
	}
	if ref := checkSubjects(e.Subjects); ref != nil {
		return nil, ref
	}
	if e.Plan != "" && !isWord(e.Plan) {
		return nil, refuse(reasonInvalid, "plan: want what the plan was called", nil)
	}
	if e.Ticket != "" && (!isWord(e.Ticket) || len(e.Ticket) > maxErasureTicket) {
		return nil, refuse(reasonInvalid, fmt.Sprintf("ticket: want 1 to %d letters, digits, dashes and underscores", maxErasureTicket), nil)
	}
	return e, nil
}

// eraseSubjects answers POST /api/v1/subjects/erase.
func eraseSubjects(a *api, c *callState) (answer, *Refusal) {
	wish := c.body.(Erasure)
	done, err := a.Erase(c.ctx, wish)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	known := 0
	for _, p := range done.People {
		if p.Known {
			known++
		}
	}
	attrs := map[string]string{"known": strconv.Itoa(known), "erased": strconv.FormatBool(done.Erased)}
	if wish.Ticket != "" {
		attrs["ticket"] = wish.Ticket
	}
	if done.Event != "" {
		attrs["event"] = done.Event
	}
	return answer{status: http.StatusOK, body: done, attrs: attrs}, nil
}
