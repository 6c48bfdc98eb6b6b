package console

import (
	"net/http"
	"strings"
)

// RotateKeys is a wish to rotate keys of the vault.
type RotateKeys struct {
	// Master has the master key rotated too, whose file every gateway needs.
	Master bool
}

// KeysRotated is the answer to it.
type KeysRotated struct {
	// Rotated are the keysets with a new key: data, master.
	Rotated []string `json:"rotated"`
}

// decodeRotateKeys reads {"master"}.
func decodeRotateKeys(body []byte) (any, *Refusal) {
	var k RotateKeys
	if ref := decodeObject(body, member{"master", &k.Master}); ref != nil {
		return nil, ref
	}
	return k, nil
}

// rotateKeys answers POST /api/v1/keys/rotate. A rotation whose event failed stays: it
// loses nothing, and the event before it stands.
func rotateKeys(a *api, c *callState) (answer, *Refusal) {
	done, err := a.RotateKeys(c.ctx, c.body.(RotateKeys))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return answer{status: http.StatusOK, body: done, attrs: map[string]string{"keys": strings.Join(done.Rotated, ",")}}, nil
}
