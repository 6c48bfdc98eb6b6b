package sample

import (
	"net/http"
	"time"
)

// trashDays is for how long a deleted ticket can be brought back.
const trashDays = 30

// purging is a job that takes a ticket out of the trash.
type purging struct {
	ticket int64
	left   int // looks that find it working
}

// empty takes tickets out of the trash that were in it long enough. It needs the lock.
func (h *Helpdesk) empty() {
	for id, at := range h.data.trashed {
		if h.options.Clock().Sub(at) > trashDays*24*time.Hour {
			h.purge(id)
		}
	}
}

// purge removes a deleted ticket for good. It needs the lock.
func (h *Helpdesk) purge(id int64) {
	h.data.deleted.remove(id)
	delete(h.data.trashed, id)
	delete(h.data.comments, id)
	delete(h.data.audits, id)
}

// work goes on with a job that somebody looks at, and reports whether it is done. It needs the
// lock.
func (h *Helpdesk) work(job string) bool {
	p := h.data.purging[job]
	switch {
	case p == nil:
		return true
	case p.left > 0:
		p.left--
		return false
	}
	delete(h.data.purging, job)
	if h.data.deleted.byID[p.ticket] != nil { // and nobody brought it back
		h.purge(p.ticket)
	}
	return true
}

func (h *Helpdesk) listDeleted(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.empty()
	var found []object
	for _, t := range h.data.deleted.all() {
		found = append(found, object{"id": t["id"], "subject": t["subject"], "description": t["description"], "previous_state": t["status"], "deleted_at": t["updated_at"]})
	}
	writeJSON(w, http.StatusOK, page(c, "deleted_tickets", found))
}

func (h *Helpdesk) restoreTicket(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.empty()
	ticket := h.data.deleted.byID[c.id()]
	if ticket == nil {
		notFound(w)
		return
	}
	h.data.deleted.remove(c.id())
	delete(h.data.trashed, c.id())
	h.data.tickets.put(c.id(), ticket)
	writeJSON(w, http.StatusOK, object{})
}

func (h *Helpdesk) purgeTicket(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.empty()
	id := c.id()
	if h.data.deleted.byID[id] == nil {
		notFound(w)
		return
	}
	job := h.newJob([]any{object{"id": id, "success": true}}, c)
	h.data.purging[text(job["id"])] = &purging{ticket: id, left: h.options.Working}
	if h.options.Working == 0 {
		h.purge(id)
	}
	writeJSON(w, http.StatusOK, object{"job_status": job})
}

// Requests are tickets as their requester sees them.
