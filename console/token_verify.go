package console

import (
	"errors"
	"fmt"
	"net/http"
)

// Limits of what is typed. The longest is an e-mail address.
const maxTyped = 254

// Verify asks whether what somebody typed is what a token's value ends with. Typed is
// personal: it is in no log, and however a Verify is printed it is not shown.
type Verify struct {
	// Token is one token, with punctuation around it at most, or the place of a mask that
	// can be undone.
	Token string
	// Typed is four digits, or an e-mail address.
	Typed string
}

// String shows neither.
func (Verify) String() string { return "verify:[personal]" }

// GoString shows neither.
func (v Verify) GoString() string { return v.String() }

// decodeVerify reads {"token", "typed"}.
func decodeVerify(body []byte) (any, *Refusal) {
	var v Verify
	if ref := decodeObject(body, member{"token", &v.Token}, member{"typed", &v.Typed}); ref != nil {
		return nil, ref
	}
	if v.Token == "" || len(v.Token) > maxToken {
		return nil, refuse(reasonInvalid, fmt.Sprintf("token: want 1 to %d bytes", maxToken), nil)
	}
	if v.Typed == "" || len(v.Typed) > maxTyped {
		return nil, refuse(reasonInvalid, "typed: want four digits, or an e-mail address", nil)
	}
	return v, nil
}

// prepareVerify names the token in the record.
func prepareVerify(a *api, c *callState, rec *Record) *Refusal {
	v := c.body.(Verify)
	rec.Tokens = a.Tokens.Names([]string{v.Token})
	rec.Attrs = map[string]string{"tokens": "1"}
	return nil
}

// verifyToken answers POST /api/v1/tokens/verify. The event before it is durable, and so
// is the one after it with the answer before anybody hears it.
func verifyToken(a *api, c *callState) (answer, *Refusal) {
	matches, about, err := a.Tokens.Verify(c.ctx, c.actor, c.operation, c.body.(Verify))
	if errors.Is(err, ErrInvalid) {
		return answer{}, refuse(reasonInvalid, "typed: want four digits, or an e-mail address", nil)
	}
	if ref := tokenRefusal(err); ref != nil {
		return answer{}, ref
	}
	said := "no"
	if matches {
		said = "yes"
	}
	return answer{
		status: http.StatusOK, about: about, attrs: map[string]string{"tokens": "1", "answer": said},
		body: struct {
			Matches bool `json:"matches"`
		}{matches},
	}, nil
}
