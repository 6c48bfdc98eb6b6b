package sample

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Ticket returns a ticket as JSON, with its comments under "comments", exactly
// as stored.
func (h *Helpdesk) Ticket(id int64) (json.RawMessage, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.data.tickets.byID[id]
	if t == nil {
		return nil, false
	}
	return h.withComments(t), true
}

// Tickets returns all tickets as Ticket does, oldest first.
func (h *Helpdesk) Tickets() []json.RawMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []json.RawMessage
	for _, id := range h.data.tickets.order {
		out = append(out, h.withComments(h.data.tickets.byID[id]))
	}
	return out
}

// withComments needs the lock.
func (h *Helpdesk) withComments(t object) json.RawMessage {
	whole := maps.Clone(t)
	whole["comments"] = h.data.comments[number(t["id"])]
	raw, err := json.Marshal(whole)
	if err != nil {
		return json.RawMessage("null") // plain values always encode
	}
	return raw
}

// writable are the members of a ticket that a caller sets by writing them.
var writable = []string{
	"subject", "raw_subject", "priority", "type", "status", "assignee_id", "group_id", "organization_id", "external_id", "due_at",
	"problem_id", "ticket_form_id", "brand_id", "custom_status_id", "is_public", "collaborator_ids", "follower_ids", "email_cc_ids", "recipient",
}

// newTicket stores a ticket and its first comment. It needs the lock.
func (h *Helpdesk) newTicket(in object, c *call, channel string) (ticket, audit object, problem string) {
	if problem := h.problem(in); problem != "" {
		return nil, nil, problem
	}
	comment, _ := in["comment"].(object)
	if comment == nil && in["description"] != nil {
		comment = object{"body": in["description"]}
	}
	comments := list(in["comments"])
	if comment == nil && len(comments) == 0 {
		return nil, nil, "Description: cannot be blank"
	}
	id := h.data.id("ticket")
	now := stamp(h.options.Clock())
	ticket = object{
		"id": id, "url": fmt.Sprintf("%s/api/v2/tickets/%d.json", c.base, id),
		"external_id": nil, "subject": nil, "raw_subject": nil, "description": nil,
		"status": "new", "priority": nil, "type": nil, "tags": []any{}, "custom_fields": []any{}, "fields": []any{},
		"requester_id": nil, "submitter_id": nil, "assignee_id": nil, "organization_id": nil, "group_id": nil,
		"collaborator_ids": []any{}, "follower_ids": []any{}, "email_cc_ids": []any{}, "sharing_agreement_ids": []any{},
		"is_public": true, "has_incidents": false, "satisfaction_rating": nil, "recipient": nil, "brand_id": nil,
		"via":        object{"channel": channel, "source": object{"from": object{}, "to": object{}, "rel": nil}},
		"created_at": now, "updated_at": now, "generated_timestamp": h.options.Clock().Unix(),
	}
	var caller any
	if c.user != nil {
		caller = c.user["id"]
	}
	ticket["requester_id"], ticket["submitter_id"] = caller, caller
	if in["requester_id"] != nil {
		ticket["requester_id"] = in["requester_id"]
	}
	if in["submitter_id"] != nil {
		ticket["submitter_id"] = in["submitter_id"]
	}
	if requester, ok := in["requester"].(object); ok {
		user := h.data.userByEmail(text(requester["email"]))
		if user == nil {
			person := maps.Clone(requester)
			person["role"] = "end-user"
			user = h.newUser(person, c.base)
		}
		ticket["requester_id"] = user["id"]
		if caller == nil {
			ticket["submitter_id"] = user["id"]
		}
	}
	apply(ticket, in)
	if ticket["raw_subject"] == nil {
		ticket["raw_subject"] = ticket["subject"]
	}
	if gone := h.data.tickets.put(id, ticket); gone != 0 {
		delete(h.data.comments, gone)
		delete(h.data.audits, gone)
	}
	for _, v := range comments {
		if o, ok := v.(object); ok {
			h.addComment(ticket, o, c)
		}
	}
	if comment != nil {
		if comment["author_id"] == nil && channel == "api" && ticket["submitter_id"] != nil {
			comment = maps.Clone(comment)
			comment["author_id"] = ticket["requester_id"]
		}
		audit = h.addComment(ticket, comment, c)
	}
	if all := h.data.comments[id]; len(all) > 0 {
		ticket["description"] = all[0]["body"]
	}
	return ticket, audit, ""
}

// apply copies what a write may set. Custom fields are set one by one by their
// id; tags are replaced.
func apply(ticket, in object) {
	for _, key := range writable {
		if v, ok := in[key]; ok {
			ticket[key] = v
		}
	}
	if v, ok := in["subject"]; ok && in["raw_subject"] == nil {
		ticket["raw_subject"] = v
	}
	if v, ok := in["tags"]; ok {
		ticket["tags"] = list(v)
	}
	if v, ok := in["additional_tags"]; ok {
		ticket["tags"] = append(slices.Clone(list(ticket["tags"])), list(v)...)
	}
	for _, key := range []string{"custom_fields", "fields"} {
		incoming := list(in[key])
		if byID, ok := in[key].(object); ok {
			for id, value := range byID {
				incoming = append(incoming, object{"id": json.Number(id), "value": value})
			}
		}
		if len(incoming) == 0 {
			continue
		}
		fields := slices.Clone(list(ticket["custom_fields"]))
		for _, v := range incoming {
			field, ok := v.(object)
			if !ok {
				continue
			}
			same := func(other any) bool {
				o, _ := other.(object)
				return text(o["id"]) == text(field["id"])
			}
			if i := slices.IndexFunc(fields, same); i >= 0 {
				fields[i] = field
			} else {
				fields = append(fields, field)
			}
		}
		ticket["custom_fields"], ticket["fields"] = fields, fields
	}
}

// addComment stores a comment and the audit it makes. It needs the lock.
func (h *Helpdesk) addComment(ticket, in object, c *call) object {
	id, auditID := h.data.id("comment"), h.data.id("comment")
	ticketID := number(ticket["id"])
	author := in["author_id"]
	if author == nil && c.user != nil {
		author = c.user["id"]
	}
	if author == nil {
		author = ticket["requester_id"]
	}
	body, markup := text(in["body"]), text(in["html_body"])
	if body == "" && in["value"] != nil {
		body = text(in["value"])
	}
	if body == "" && markup != "" {
		body = tags.ReplaceAllString(markup, "")
	} else if markup == "" {
		markup = `<div class="zd-comment" dir="auto"><p dir="auto">` + html.EscapeString(body) + `</p></div>`
	}
	public := in["public"]
	if public == nil {
		public = true
	}
	var attachments []object
	for _, token := range list(in["uploads"]) {
		attachments = append(attachments, h.data.files.pick(h.data.tokens[text(token)])...)
	}
	if attachments == nil {
		attachments = []object{}
	}
	created := in["created_at"]
	if created == nil {
		created = stamp(h.options.Clock())
	}
	comment := object{
		"id": id, "type": "Comment", "author_id": author, "audit_id": auditID, "public": public,
		"body": body, "plain_body": body, "html_body": markup, "attachments": attachments, "created_at": created,
		"via":      object{"channel": "api", "source": object{"from": object{}, "to": object{}, "rel": nil}},
		"metadata": object{"system": object{"client": c.Header.Get("User-Agent"), "ip_address": "127.0.0.1"}, "custom": object{}},
	}
	audit := object{
		"id": auditID, "ticket_id": ticketID, "author_id": author, "created_at": created, "via": comment["via"], "metadata": comment["metadata"],
		"events": []any{object{"id": id, "type": "Comment", "author_id": author, "public": public, "body": body, "html_body": markup, "plain_body": body}},
	}
	h.data.comments[ticketID] = append(h.data.comments[ticketID], comment)
	h.data.audits[ticketID] = append(h.data.audits[ticketID], audit)
	return audit
}

// tags takes markup out, well enough for a sample.
var tags = regexp.MustCompile(`<[^>]*>`)

// change updates a ticket and returns the audit. It needs the lock.
func (h *Helpdesk) change(ticket, in object, c *call) object {
	apply(ticket, in)
	now := h.options.Clock()
	ticket["updated_at"], ticket["generated_timestamp"] = stamp(now), now.Unix()
	if comment, ok := in["comment"].(object); ok {
		return h.addComment(ticket, comment, c)
	}
	audit := object{"id": h.data.id("comment"), "ticket_id": ticket["id"], "created_at": stamp(now), "events": []any{}}
	if c.user != nil {
		audit["author_id"] = c.user["id"]
	}
	h.data.audits[number(ticket["id"])] = append(h.data.audits[number(ticket["id"])], audit)
	return audit
}

func (h *Helpdesk) createTicket(w http.ResponseWriter, c *call) {
	in, ok := c.decode("ticket")
	if !ok {
		invalid(w, "Parameter ticket is required")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ticket, audit, problem := h.newTicket(in, c, "api")
	if problem != "" {
		invalid(w, problem)
		return
	}
	w.Header().Set("Location", text(ticket["url"]))
	writeJSON(w, http.StatusCreated, object{"ticket": ticket, "audit": audit})
}

// invalid is the vendor's answer for a record it will not take.
func invalid(w http.ResponseWriter, problem string) {
	writeJSON(w, http.StatusUnprocessableEntity, object{
		"error": "RecordInvalid", "description": "Record validation errors",
		"details": object{"base": []any{object{"description": problem, "error": "BlankValue"}}},
	})
}

func (h *Helpdesk) createTickets(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var results []any
	for i, in := range c.decodeMany("tickets") {
		ticket, _, problem := h.newTicket(in, c, "api")
		if problem != "" {
			results = append(results, object{"index": i, "error": "RecordInvalid", "details": problem})
			continue
		}
		results = append(results, object{"index": i, "id": ticket["id"], "action": "create", "status": "Created", "success": true})
	}
	writeJSON(w, http.StatusOK, object{"job_status": h.newJob(results, c)})
}

func (h *Helpdesk) showTicket(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ticket := h.data.tickets.byID[c.id()]
	if ticket == nil {
		notFound(w)
		return
	}
	out := object{"ticket": ticket}
	if strings.Contains(c.URL.Query().Get("include"), "users") {
		out["users"] = h.data.users.pick([]int64{number(ticket["requester_id"])})
	}
	writeJSON(w, http.StatusOK, out)
}

func (h *Helpdesk) updateTicket(w http.ResponseWriter, c *call) {
	in, ok := c.decode("ticket")
	h.mu.Lock()
	defer h.mu.Unlock()
	ticket := h.data.tickets.byID[c.id()]
	switch {
	case ticket == nil:
		notFound(w)
	case !ok:
		invalid(w, "Parameter ticket is required")
	case in["safe_update"] == true && text(in["updated_stamp"]) != text(ticket["updated_at"]):
		writeError(w, http.StatusConflict, "UpdateConflict", "Safe Update prevented the update due to outdated ticket data")
	case h.problem(in) != "":
		invalid(w, h.problem(in))
	default:
		audit := h.change(ticket, in, c)
		writeJSON(w, http.StatusOK, object{"ticket": ticket, "audit": audit})
	}
}

func (h *Helpdesk) updateTickets(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var results []any
	update := func(i int, id int64, in object) {
		ticket := h.data.tickets.byID[id]
		if ticket == nil {
			results = append(results, object{"index": i, "id": id, "error": "TicketUpdateError", "details": "Not found"})
			return
		}
		h.change(ticket, in, c)
		results = append(results, object{"index": i, "id": id, "action": "update", "status": "Updated", "success": true})
	}
	if in, ok := c.decode("ticket"); ok {
		for i, id := range c.ids() {
			update(i, id, in)
		}
	}
	for i, in := range c.decodeMany("tickets") {
		update(i, number(in["id"]), in)
	}
	writeJSON(w, http.StatusOK, object{"job_status": h.newJob(results, c)})
}

// drop moves a ticket to the deleted ones. It needs the lock.
func (h *Helpdesk) drop(id int64) bool {
	ticket := h.data.tickets.byID[id]
	if ticket == nil {
		return false
	}
	h.data.tickets.remove(id)
	h.data.deleted.put(id, ticket)
	h.data.trashed[id] = h.options.Clock()
	return true
}

func (h *Helpdesk) deleteTicket(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.drop(c.id()) {
		notFound(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *Helpdesk) deleteTickets(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var results []any
	for i, id := range c.ids() {
		results = append(results, object{"index": i, "id": id, "action": "delete", "success": h.drop(id)})
	}
	writeJSON(w, http.StatusOK, object{"job_status": h.newJob(results, c)})
}

func (h *Helpdesk) listTickets(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := h.data.tickets.all()
	if external := c.URL.Query().Get("external_id"); external != "" {
		found = slices.DeleteFunc(found, func(t object) bool { return text(t["external_id"]) != external })
	}
	writeJSON(w, http.StatusOK, page(c, "tickets", found))
}

func (h *Helpdesk) requestedTickets(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := slices.DeleteFunc(h.data.tickets.all(), func(t object) bool { return number(t["requester_id"]) != c.id() })
	writeJSON(w, http.StatusOK, page(c, "tickets", found))
}

func (h *Helpdesk) countTickets(w http.ResponseWriter, _ *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"count": object{"value": len(h.data.tickets.order), "refreshed_at": stamp(h.options.Clock())}})
}

func (h *Helpdesk) listComments(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.data.tickets.byID[c.id()] == nil {
		notFound(w)
		return
	}
	writeJSON(w, http.StatusOK, page(c, "comments", slices.Clone(h.data.comments[c.id()])))
}

func (h *Helpdesk) listAudits(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.data.tickets.byID[c.id()] == nil {
		notFound(w)
		return
	}
	writeJSON(w, http.StatusOK, page(c, "audits", slices.Clone(h.data.audits[c.id()])))
}

// Tags of a ticket: the list itself is the record.

func (h *Helpdesk) ticketTags(w http.ResponseWriter, c *call) {
	h.editTags(w, c, func(have, _ []any) []any { return have })
}

func (h *Helpdesk) setTicketTags(w http.ResponseWriter, c *call) {
	h.editTags(w, c, func(_, given []any) []any { return given })
}

func (h *Helpdesk) addTicketTags(w http.ResponseWriter, c *call) {
	h.editTags(w, c, func(have, given []any) []any { return append(slices.Clone(have), given...) })
}

func (h *Helpdesk) removeTicketTags(w http.ResponseWriter, c *call) {
	h.editTags(w, c, func(have, given []any) []any {
		return slices.DeleteFunc(slices.Clone(have), func(v any) bool { return slices.Contains(given, v) })
	})
}

func (h *Helpdesk) editTags(w http.ResponseWriter, c *call, edit func(have, given []any) []any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ticket := h.data.tickets.byID[c.id()]
	if ticket == nil {
		notFound(w)
		return
	}
	ticket["tags"] = edit(list(ticket["tags"]), list(c.document()["tags"]))
	writeJSON(w, http.StatusOK, object{"tags": ticket["tags"]})
}

func (h *Helpdesk) listTags(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := make(map[string]int)
	for _, t := range h.data.tickets.byID {
		for _, tag := range list(t["tags"]) {
			count[text(tag)]++
		}
	}
	var found []object
	for _, name := range slices.Sorted(maps.Keys(count)) {
		found = append(found, object{"name": name, "count": count[name]})
	}
	writeJSON(w, http.StatusOK, page(c, "tags", found))
}

func (h *Helpdesk) listRequests(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, page(c, "requests", h.data.tickets.all()))
}

func (h *Helpdesk) createRequest(w http.ResponseWriter, c *call) {
	in, ok := c.decode("request")
	if !ok {
		invalid(w, "Parameter request is required")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ticket, _, problem := h.newTicket(in, c, "web")
	if problem != "" {
		invalid(w, problem)
		return
	}
	w.Header().Set("Location", fmt.Sprintf("%s/api/v2/requests/%d.json", c.base, number(ticket["id"])))
	writeJSON(w, http.StatusCreated, object{"request": ticket})
}

func (h *Helpdesk) showRequest(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ticket := h.data.tickets.byID[c.id()]
	if ticket == nil {
		notFound(w)
		return
	}
	writeJSON(w, http.StatusOK, object{"request": ticket})
}

func (h *Helpdesk) updateRequest(w http.ResponseWriter, c *call) {
	in, _ := c.decode("request")
	h.mu.Lock()
	defer h.mu.Unlock()
	ticket := h.data.tickets.byID[c.id()]
	if ticket == nil {
		notFound(w)
		return
	}
	h.change(ticket, in, c)
	writeJSON(w, http.StatusOK, object{"request": ticket})
}
