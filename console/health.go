package console

import (
	"net/http"
	"slices"
)

// health is the body of /livez and /readyz.
type health struct {
	Status string  `json:"status"` // ok or failing
	Checks []Check `json:"checks"`
}

// live answers as long as the process can answer at all. Whoever restarts
// processes asks it; it looks at nothing, because a restart mends no full disk.
func (a *api) live(w http.ResponseWriter, r *http.Request) {
	if !a.isRead(w, r) {
		return
	}
	writeJSON(w, r, http.StatusOK, "application/json", health{Status: "ok", Checks: []Check{}})
}

// ready answers 503 while one check fails. Whoever distributes calls asks it.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	if !a.isRead(w, r) {
		return
	}
	checks := a.Checks(r.Context())
	if checks == nil {
		checks = []Check{}
	}
	if slices.ContainsFunc(checks, func(c Check) bool { return !c.OK }) {
		writeJSON(w, r, http.StatusServiceUnavailable, "application/json", health{"failing", checks})
		return
	}
	writeJSON(w, r, http.StatusOK, "application/json", health{"ok", checks})
}

func (a *api) isRead(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET")
	a.writeProblem(w, r, refuse(reasonMethod, "", nil), "")
	return false
}
