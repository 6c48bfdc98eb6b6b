package console

import "net/http"

// listAPIKeys answers GET /api/v1/apikeys.
func listAPIKeys(a *api, c *callState) (answer, *Refusal) {
	keys, err := a.Keys.List(c.ctx)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	list := make([]Key, len(keys))
	for i, k := range keys {
		list[i] = k.normal()
	}
	return answer{status: http.StatusOK, body: struct {
		Keys []Key `json:"keys"`
	}{list}}, nil
}
