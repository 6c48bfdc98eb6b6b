package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// RevealRight is somebody's right to see what stands behind tokens.
type RevealRight struct {
	// Actor is the ID of who holds it; not personal.
	Actor string `json:"actor"`
	// FirstSeen is when the gateway first saw them with it; LastUsed when they last used it.
	FirstSeen time.Time `json:"first_seen"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	// Renewed is when RenewedBy renewed it.
	Renewed   time.Time `json:"renewed,omitzero"`
	RenewedBy string    `json:"renewed_by,omitempty"`
	// Lapses is when it lapses unless it is used before, or did; absent where rights do not
	// lapse. Lapsed tells that it did.
	Lapses time.Time `json:"lapses,omitzero"`
	Lapsed bool      `json:"lapsed"`
	// Event is the receipt of the event that tells of it, where there is one.
	Event string `json:"event,omitempty"`
}

// RevealRightList is the answer of a list.
type RevealRightList struct {
	// UnusedAfterDays is after how many days without use a right lapses; 0 for never.
	UnusedAfterDays int           `json:"unused_after_days"`
	Rights          []RevealRight `json:"rights"`
}

// RevealRights are rights to see what stands behind tokens. Errors wrap ErrNotFound for an
// actor whom nobody has seen with one and ErrInvalid, with a text that may be shown, for what
// cannot be done.
type RevealRights interface {
	// List returns those that the gateway has seen, by actor.
	List(ctx context.Context) (RevealRightList, error)
	// Renew lets the right of an actor count again or for longer. Nobody renews one's own.
	// undo takes it back.
	Renew(ctx context.Context, actor string, by Actor) (r RevealRight, undo func(context.Context) error, err error)
}

// maxActor bounds the ID of an actor: longer than any.
const maxActor = 128

// isActorID tells whether s has the form of an actor's ID: letters, digits, and .:_- between.
func isActorID(s string) bool {
	return s != "" && len(s) <= maxActor && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:._-") == ""
}

// decodeRenewal reads {"actor"}.
func decodeRenewal(body []byte) (any, *Refusal) {
	var actor string
	if ref := decodeObject(body, member{"actor", &actor}); ref != nil {
		return nil, ref
	}
	if !isActorID(actor) {
		return nil, refuse(reasonInvalid, fmt.Sprintf("actor: want an ID as access reveals lists it, at most %d bytes", maxActor), nil)
	}
	return actor, nil
}

// prepareRenewal describes the renewal of a right to those who may have to agree.
func prepareRenewal(_ *api, c *callState, rec *Record) *Refusal {
	holder, _ := c.body.(string)
	c.records, c.bound, rec.Attrs = 1, []string{"holder=" + holder}, map[string]string{"holder": holder}
	return nil
}

// listRevealRights answers GET /api/v1/access/reveals.
func listRevealRights(a *api, c *callState) (answer, *Refusal) {
	list, err := a.RevealRights.List(c.ctx)
	if err != nil {
		return answer{}, refuse(reasonInternal, "", err)
	}
	list.Rights = append([]RevealRight{}, list.Rights...)
	return answer{status: http.StatusOK, body: list}, nil
}

// renewRevealRight answers POST /api/v1/access/reveals/renew.
func renewRevealRight(a *api, c *callState) (answer, *Refusal) {
	holder, _ := c.body.(string)
	r, undo, err := a.RevealRights.Renew(c.ctx, holder, c.actor)
	switch {
	case errors.Is(err, ErrNotFound):
		return answer{}, refuse(reasonNotFound, "", err)
	case errors.Is(err, ErrInvalid):
		return answer{}, refuse(reasonInvalid, strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "), err)
	case err != nil:
		return answer{}, refuse(reasonInternal, "", err)
	}
	return answer{status: http.StatusOK, body: r, undo: undo, attrs: map[string]string{"holder": holder}}, nil
}
