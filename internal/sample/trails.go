package sample

import (
	"net/http"
	"time"
)

// NoteAudit writes an entry into the account's audit log, as the vendor does when
// somebody exports or changes something on its screens. id, created_at and url are
// filled in.
func (h *Helpdesk) NoteAudit(at time.Time, entry map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := h.data.id("other")
	o := object{"id": id, "created_at": at.UTC().Format(time.RFC3339), "url": h.options.BaseURL + "/api/v2/audit_logs/" + text(id) + ".json"}
	for k, v := range entry {
		o[k] = v
	}
	h.data.auditLog = note(h.data.auditLog, o)
}

// NoteAccess writes an entry into the access log of agents and administrators. id and
// timestamp are filled in.
func (h *Helpdesk) NoteAccess(at time.Time, entry map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := object{"id": "01J5M2QGXR" + text(h.data.id("other")), "timestamp": at.UTC().Format(time.RFC3339)}
	for k, v := range entry {
		o[k] = v
	}
	h.data.accessLog = note(h.data.accessLog, o)
}

// Forget takes the newest n entries out of both logs, which the vendor never does.
func (h *Helpdesk) Forget(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.data.auditLog = h.data.auditLog[:max(0, len(h.data.auditLog)-n)]
	h.data.accessLog = h.data.accessLog[:max(0, len(h.data.accessLog)-n)]
}

func note(log []object, o object) []object {
	if log = append(log, o); len(log) > maxObjects {
		log = log[1:]
	}
	return log
}

// within keeps the entries of a log from one instant to another, bounds included.
func within(log []object, key, from, to string) []object {
	out := []object{}
	for _, o := range log {
		// All instants are written alike, in UTC.
		if at := text(o[key]); (from == "" || at >= from) && (to == "" || at <= to) {
			out = append(out, o)
		}
	}
	return out
}

// auditLogs lists the audit log, the newest first unless the caller sorts.
func (h *Helpdesk) auditLogs(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var from, to string
	if span := c.URL.Query()["filter[created_at][]"]; len(span) == 2 {
		from, to = span[0], span[1]
	}
	found := within(h.data.auditLog, "created_at", from, to)
	if c.URL.Query().Get("sort") != "created_at" {
		for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
			found[i], found[j] = found[j], found[i]
		}
	}
	writeJSON(w, http.StatusOK, page(c, "audit_logs", found))
}

// accessLogs lists the access log, the oldest first, by cursor only.
func (h *Helpdesk) accessLogs(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := c.URL.Query()
	writeJSON(w, http.StatusOK, cursorPage(c, "access_logs", within(h.data.accessLog, "timestamp", q.Get("filter[start]"), q.Get("filter[end]"))))
}
