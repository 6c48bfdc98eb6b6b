package sample

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Intercom is the part of Intercom's API that tells of its admins' activities: GET
// /admins/activity_logs, the newest first, by number of page. It is safe for
// concurrent use.
type Intercom struct {
	token string

	mu  sync.Mutex // owns log
	log []object   // the newest first
}

var _ http.Handler = (*Intercom)(nil)

// NewIntercom returns an Intercom that takes one access token.
func NewIntercom(token string) *Intercom { return &Intercom{token: token} }

// Note writes an entry into the activity log. id and created_at are filled in.
func (i *Intercom) Note(at time.Time, entry map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	o := object{"id": "fca05814-4b72-4dce-ad4f-" + strconv.Itoa(100_000_000_000+len(i.log)), "created_at": at.Unix()}
	for k, v := range entry {
		o[k] = v
	}
	if i.log = append([]object{o}, i.log...); len(i.log) > maxObjects {
		i.log = i.log[:maxObjects]
	}
}

// ServeHTTP answers one request.
func (i *Intercom) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code, message string) {
		writeJSON(w, status, object{"type": "error.list", "request_id": nil, "errors": []object{{"code": code, "message": message}}})
	}
	q := r.URL.Query()
	switch {
	case i.token == "" || r.Header.Get("Authorization") != "Bearer "+i.token:
		refuse(http.StatusUnauthorized, "unauthorized", "Access Token Invalid")
		return
	case r.Method != http.MethodGet || r.URL.Path != "/admins/activity_logs":
		refuse(http.StatusNotFound, "not_found", "Resource Not Found")
		return
	case q.Get("created_at_after") == "":
		refuse(http.StatusNotFound, "parameter_not_found", "Please provide the following parameters: created_at_after")
		return
	}
	after := between(q.Get("created_at_after"), 0, 0, 1<<40)
	before := between(q.Get("created_at_before"), 1<<40, 0, 1<<40)
	per := between(q.Get("per_page"), 20, 1, 250)
	number := between(q.Get("page"), 1, 1, 1<<20)
	i.mu.Lock()
	defer i.mu.Unlock()
	found := []object{}
	for _, o := range i.log {
		if at := int(o["created_at"].(int64)); at >= after && at <= before {
			found = append(found, o)
		}
	}
	from := min((number-1)*per, len(found))
	writeJSON(w, http.StatusOK, object{
		"type":          "activity_log.list",
		"pages":         object{"type": "pages", "next": nil, "page": number, "per_page": per, "total_pages": (len(found) + per - 1) / per},
		"activity_logs": found[from:min(from+per, len(found))],
	})
}
