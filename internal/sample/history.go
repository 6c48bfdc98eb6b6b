package sample

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// historyBegins is when the first of the old tickets was created; one came each hour.
var historyBegins = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// ticketsOfOne is how many of the old tickets a customer has.
const ticketsOfOne = 10

// history stores n tickets that are older than any gateway, of n/10 customers. Two of three
// were solved a day after they had come.
func (h *Helpdesk) history(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var customer object
	for i := range n {
		created := historyBegins.Add(time.Duration(i) * time.Hour)
		at := stamp(created)
		if i%ticketsOfOne == 0 {
			k := i / ticketsOfOne
			customer = h.newUser(object{"name": fmt.Sprintf("Customer %d", k), "email": fmt.Sprintf("customer%d@history.example", k)}, h.options.BaseURL)
			customer["created_at"], customer["updated_at"] = at, at
		}
		id := h.data.id("ticket")
		status, solved := "open", any(nil)
		if i%3 != 0 {
			status, solved = "closed", stamp(created.Add(24*time.Hour))
		}
		h.data.tickets.put(id, object{
			"id": id, "url": fmt.Sprintf("%s/api/v2/tickets/%d.json", h.options.BaseURL, id), "subject": "Ticket of old", "raw_subject": "Ticket of old",
			"description": "Where is my parcel?", "status": status, "tags": []any{"historic"}, "custom_fields": []any{}, "fields": []any{},
			"requester_id": customer["id"], "submitter_id": customer["id"], "created_at": at, "updated_at": at,
		})
		h.data.solved[id] = solved
	}
}

// metricSets are what the vendor puts beside a list of tickets for include=metric_sets.
func (h *Helpdesk) metricSets(tickets []object) []object {
	out := make([]object, len(tickets))
	for i, t := range tickets {
		id := number(t["id"])
		out[i] = object{"id": id + 1, "ticket_id": id, "created_at": t["created_at"], "updated_at": t["updated_at"], "solved_at": h.data.solved[id]}
	}
	return out
}

// included tells whether a call wants something beside the list.
func included(c *call, what string) bool {
	for list := range strings.SplitSeq(c.URL.Query().Get("include"), ",") {
		if list == what {
			return true
		}
	}
	return false
}

// minute counts the calls of one minute.
type minute struct {
	begun time.Time
	calls int
}

// defaultRate is what it says of its limit where it has none.
const defaultRate = 700

// spend takes a call from the minute's limit, says in the answer's header what is left, and
// reports whether there was one left.
func (h *Helpdesk) spend(header http.Header) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	limit, left, reset := defaultRate, defaultRate-1, 60
	ok := true
	if h.options.Rate > 0 {
		now := h.options.Clock()
		if age := now.Sub(h.spent.begun); age < 0 || age >= time.Minute {
			h.spent = minute{begun: now}
		}
		h.spent.calls++
		limit, left = h.options.Rate, h.options.Rate-h.spent.calls
		reset = max(1, int((time.Minute-now.Sub(h.spent.begun)+time.Second-1)/time.Second))
		if left < 0 {
			ok, left = false, 0
			header.Set("Retry-After", strconv.Itoa(reset))
		}
	}
	for name, n := range map[string]int{"X-Rate-Limit": limit, "X-Rate-Limit-Remaining": left, "Ratelimit-Limit": limit, "Ratelimit-Remaining": left} {
		header.Set(name, strconv.Itoa(n))
	}
	header.Set("Ratelimit-Reset", strconv.Itoa(reset))
	return ok
}
