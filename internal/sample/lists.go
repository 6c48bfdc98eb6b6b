package sample

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page cuts a list the way the caller asked: by cursor (page[size],
// page[after]) or by offset (page, per_page). Addresses are absolute and on the
// host that was called.
func page(c *call, key string, all []object) object {
	if all == nil {
		all = []object{}
	}
	q := c.URL.Query()
	if q.Has("page[size]") || q.Has("page[after]") || q.Has("page[before]") {
		return cursorPage(c, key, all)
	}
	per := between(q.Get("per_page"), 100, 1, 100)
	number := between(q.Get("page"), 1, 1, 1<<20)
	from := min((number-1)*per, len(all))
	to := min(from+per, len(all))
	out := object{key: all[from:to], "count": len(all), "next_page": nil, "previous_page": nil}
	if to < len(all) {
		out["next_page"] = c.link(map[string]string{"page": strconv.Itoa(number + 1)})
	}
	if number > 1 {
		out["previous_page"] = c.link(map[string]string{"page": strconv.Itoa(number - 1)})
	}
	return out
}

// show answers with one record, under its kind.
func (h *Helpdesk) show(kind string, of *table) func(http.ResponseWriter, *call) {
	return func(w http.ResponseWriter, c *call) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if o := of.byID[c.id()]; o != nil {
			writeJSON(w, http.StatusOK, object{kind: o})
			return
		}
		notFound(w)
	}
}

// showMany answers with the records that the query names.
func (h *Helpdesk) showMany(kinds string, of *table) func(http.ResponseWriter, *call) {
	return func(w http.ResponseWriter, c *call) {
		h.mu.Lock()
		defer h.mu.Unlock()
		found := of.pick(c.ids())
		writeJSON(w, http.StatusOK, object{kinds: found, "count": len(found), "next_page": nil, "previous_page": nil})
	}
}

// cursorPage is page for callers that page by cursor.
func cursorPage(c *call, key string, all []object) object {
	q := c.URL.Query()
	size := between(q.Get("page[size]"), 100, 1, 1000)
	from := min(cursorOffset(q.Get("page[after]")), len(all))
	if before := q.Get("page[before]"); before != "" {
		from = max(0, min(cursorOffset(before), len(all))-size)
	}
	to := min(from+size, len(all))
	meta := object{"has_more": to < len(all), "after_cursor": nil, "before_cursor": nil}
	links := object{"next": nil, "prev": nil}
	if to < len(all) {
		meta["after_cursor"] = cursor(to)
		links["next"] = c.link(map[string]string{"page[after]": cursor(to), "page[before]": ""})
	}
	if from > 0 {
		meta["before_cursor"] = cursor(from)
		links["prev"] = c.link(map[string]string{"page[before]": cursor(from), "page[after]": ""})
	}
	return object{key: all[from:to], "meta": meta, "links": links}
}

// cursor hides an offset, as the vendor's cursors are opaque.
func cursor(offset int) string {
	return base64.StdEncoding.EncodeToString([]byte("o:" + strconv.Itoa(offset)))
}

// cursorOffset reads a cursor; a wrong one is the start.
func cursorOffset(s string) int {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return 0
	}
	digits, ok := strings.CutPrefix(string(raw), "o:")
	if !ok {
		return 0
	}
	return between(digits, 0, 0, 1<<30)
}

// between reads a decimal within limits.
func between(s string, normal, low, high int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return normal
	}
	return max(low, min(n, high))
}

// link is the address of this call with other query parameters; an empty value
// takes one away.
func (c *call) link(change map[string]string) string {
	q := c.URL.Query()
	for key, v := range change {
		if v == "" {
			q.Del(key)
		} else {
			q.Set(key, v)
		}
	}
	return c.base + c.URL.Path + ".json?" + q.Encode()
}

// matches applies the vendor's search words to a record: `type:`, `status:`,
// `requester:`, `email:` and free text over everything a person wrote.
func (h *Helpdesk) matches(kind string, o object, query string) bool {
	for _, word := range strings.Fields(query) {
		name, value, tagged := strings.Cut(word, ":")
		switch {
		case tagged && name == "type":
			if value != kind {
				return false
			}
		case tagged && name == "status":
			if text(o["status"]) != value {
				return false
			}
		case tagged && name == "requester":
			requester := h.data.users.byID[number(o["requester_id"])]
			if requester == nil || !strings.EqualFold(text(requester["email"]), value) && text(requester["id"]) != value {
				return false
			}
		case tagged && name == "email":
			if !strings.EqualFold(text(o["email"]), value) {
				return false
			}
		default:
			if !strings.Contains(strings.ToLower(h.words(kind, o)), strings.ToLower(strings.Trim(word, `"`))) {
				return false
			}
		}
	}
	return true
}

// words is what free text search looks at.
func (h *Helpdesk) words(kind string, o object) string {
	var b strings.Builder
	for _, key := range []string{"id", "subject", "description", "name", "email", "details", "notes", "phone"} {
		b.WriteString(text(o[key]) + "\n")
	}
	for _, v := range list(o["custom_fields"]) {
		if field, ok := v.(object); ok {
			b.WriteString(text(field["value"]) + "\n")
		}
	}
	for _, v := range list(o["tags"]) {
		b.WriteString(text(v) + "\n")
	}
	if kind == "ticket" {
		for _, comment := range h.data.comments[number(o["id"])] {
			b.WriteString(text(comment["body"]) + "\n")
		}
	}
	return b.String()
}

// results searches all kinds. It needs the lock.
func (h *Helpdesk) results(query, only string) []object {
	var found []object
	for _, kind := range []struct {
		name  string
		table *table
	}{{"ticket", h.data.tickets}, {"user", h.data.users}, {"organization", h.data.orgs}} {
		if only != "" && only != kind.name {
			continue
		}
		for _, o := range kind.table.all() {
			if h.matches(kind.name, o, query) {
				o["result_type"] = kind.name
				found = append(found, o)
			}
		}
	}
	return found
}

func (h *Helpdesk) search(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := page(c, "results", h.results(c.URL.Query().Get("query"), ""))
	out["facets"] = nil
	writeJSON(w, http.StatusOK, out)
}

func (h *Helpdesk) searchCount(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"count": len(h.results(c.URL.Query().Get("query"), ""))})
}

func (h *Helpdesk) searchExport(w http.ResponseWriter, c *call) {
	q := c.URL.Query()
	kind := q.Get("filter[type]")
	if kind == "" {
		writeError(w, http.StatusUnprocessableEntity, "RecordInvalid", "filter[type] is required")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, cursorPage(c, "results", h.results(q.Get("query"), kind)))
}

// since is the incremental export's start.
func since(c *call) time.Time {
	return time.Unix(int64(between(c.URL.Query().Get("start_time"), 0, 0, 1<<40)), 0)
}

// changedSince keeps what changed at or after t.
func changedSince(all []object, t time.Time) []object {
	return slices.DeleteFunc(all, func(o object) bool {
		changed, err := time.Parse(time.RFC3339, text(o["updated_at"]))
		return err == nil && changed.Before(t.Truncate(time.Second))
	})
}

func (h *Helpdesk) incrementalTickets(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := changedSince(h.data.tickets.all(), since(c))
	writeJSON(w, http.StatusOK, object{
		"tickets": found, "count": len(found), "end_of_stream": true, "end_time": h.options.Clock().Unix(),
		"next_page": c.link(map[string]string{"start_time": strconv.FormatInt(h.options.Clock().Unix(), 10)}),
	})
}

func (h *Helpdesk) cursorTickets(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := incremental(c, "tickets", h.data.tickets.all())
	if included(c, "metric_sets") {
		out["metric_sets"] = h.metricSets(out["tickets"].([]object))
	}
	writeJSON(w, http.StatusOK, out)
}

func (h *Helpdesk) cursorUsers(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, incremental(c, "users", h.data.users.all()))
}

// incremental is one step of a cursor-based export.
func incremental(c *call, key string, all []object) object {
	q := c.URL.Query()
	from := 0
	if given := q.Get("cursor"); given != "" {
		from = min(cursorOffset(given), len(all))
	} else {
		all = changedSince(all, since(c))
	}
	to := min(from+between(q.Get("per_page"), 1000, 1, 1000), len(all))
	return object{
		key: all[from:to], "end_of_stream": to == len(all), "before_cursor": nil, "before_url": nil, "after_cursor": cursor(to),
		"after_url": c.base + c.URL.Path + ".json?" + url.Values{"cursor": {cursor(to)}, "per_page": q["per_page"]}.Encode(),
	}
}

// newJob stores a finished job and returns it as it was while queued. It needs
// the lock.
func (h *Helpdesk) newJob(results []any, c *call) object {
	id := fmt.Sprintf("%032x", h.data.id("other"))
	address := c.base + "/api/v2/job_statuses/" + id + ".json"
	if results == nil {
		results = []any{}
	}
	h.data.jobs[id] = object{"id": id, "url": address, "status": "completed", "total": len(results), "progress": len(results), "message": "Completed", "results": results}
	h.data.jobOrder = append(h.data.jobOrder, id)
	if len(h.data.jobOrder) > maxObjects {
		delete(h.data.jobs, h.data.jobOrder[0])
		h.data.jobOrder = h.data.jobOrder[1:]
	}
	return object{"id": id, "url": address, "status": "queued", "total": len(results), "progress": nil, "message": nil, "results": nil}
}

func (h *Helpdesk) showJob(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if job := h.data.jobs[c.PathValue("id")]; job != nil {
		if !h.work(c.PathValue("id")) {
			job = object{"id": job["id"], "url": job["url"], "status": "working", "total": job["total"], "progress": 0, "message": nil, "results": nil}
		}
		writeJSON(w, http.StatusOK, object{"job_status": job})
		return
	}
	notFound(w)
}

func (h *Helpdesk) showJobs(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := []object{}
	for id := range strings.SplitSeq(c.URL.Query().Get("ids"), ",") {
		if job := h.data.jobs[id]; job != nil {
			found = append(found, job)
		}
	}
	writeJSON(w, http.StatusOK, object{"job_statuses": found})
}
