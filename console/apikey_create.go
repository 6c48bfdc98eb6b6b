package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Limits of a wish for a key. Policy has its own, equal or narrower.
const (
	maxKeyName = 128
	maxRole    = 128
	maxRoles   = 32
	maxGrants  = 256
)

// decodeNewKey reads {"name", "roles", "grants", "expires"}.
func decodeNewKey(body []byte) (any, *Refusal) {
	var n NewKey
	ref := decodeObject(body, member{"name", &n.Name}, member{"roles", &n.Roles}, member{"grants", &n.Grants}, member{"expires", &n.Expires})
	if ref != nil {
		return nil, ref
	}
	if !isText(n.Name, maxKeyName) {
		return nil, refuse(reasonInvalid, fmt.Sprintf("name: want 1 to %d bytes of printable text", maxKeyName), nil)
	}
	for _, list := range []struct {
		name string
		of   []string
		most int
	}{{"roles", n.Roles, maxRoles}, {"grants", n.Grants, maxGrants}} {
		if len(list.of) > list.most {
			return nil, refuse(reasonInvalid, fmt.Sprintf("%s: want at most %d", list.name, list.most), nil)
		}
		for _, s := range list.of {
			if !isText(s, maxRole) || strings.Contains(s, ",") {
				return nil, refuse(reasonInvalid, fmt.Sprintf("%s: want 1 to %d bytes of printable text without a comma", list.name, maxRole), nil)
			}
		}
	}
	if len(n.Roles) == 0 {
		return nil, refuse(reasonInvalid, "roles: want at least one", nil)
	}
	return n, nil
}

// createAPIKey answers POST /api/v1/apikeys.
func createAPIKey(a *api, c *callState) (answer, *Refusal) {
	key, secret, err := a.Keys.Create(c.ctx, c.body.(NewKey))
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return a.keyMade(key, secret, nil), nil
}

// keyMade is the answer of create and rotate. A key that the log does not know
// of is revoked, and its secret never shown.
func (a *api) keyMade(key Key, secret Secret, more map[string]string) answer {
	key = key.normal()
	attrs := map[string]string{
		"key":    key.ID,
		"roles":  strings.Join(key.Roles, ","),
		"grants": strings.Join(key.Grants, ","),
	}
	if !key.Expires.IsZero() {
		attrs["expires"] = key.Expires.UTC().Format(time.RFC3339)
	}
	for k, v := range more {
		attrs[k] = v
	}
	return answer{
		status:   http.StatusCreated,
		body:     apiKeyMade{Key: key, Secret: string(secret)},
		location: prefix + "/apikeys/" + key.ID,
		attrs:    attrs,
		undo:     func(ctx context.Context) error { return a.Keys.Revoke(ctx, key.ID) },
	}
}
