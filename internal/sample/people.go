package sample

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// newUser stores a user. It needs the lock.
func (h *Helpdesk) newUser(in object, base string) object {
	id := h.data.id("user")
	now := stamp(h.options.Clock())
	user := object{
		"id": id, "url": fmt.Sprintf("%s/api/v2/users/%d.json", base, id), "name": "", "email": nil, "phone": nil, "external_id": nil,
		"alias": nil, "details": nil, "notes": nil, "signature": nil, "role": "end-user", "verified": false, "active": true, "suspended": false,
		"tags": []any{}, "user_fields": object{}, "organization_id": nil, "locale": "en-US", "time_zone": "UTC", "photo": nil,
		"created_at": now, "updated_at": now,
	}
	maps.Copy(user, in)
	user["id"] = id
	h.data.users.put(id, user)
	return user
}

// changeUser merges a write into a user. It needs the lock.
func (h *Helpdesk) changeUser(user, in object) {
	for key, v := range in {
		switch key {
		case "id", "url", "created_at":
		case "user_fields":
			fields, _ := user["user_fields"].(object)
			merged := maps.Clone(fields)
			if merged == nil {
				merged = object{}
			}
			given, _ := v.(object)
			maps.Copy(merged, given)
			user["user_fields"] = merged
		default:
			user[key] = v
		}
	}
	user["updated_at"] = stamp(h.options.Clock())
}

// knownUser finds the user that a create_or_update means. It needs the lock.
func (h *Helpdesk) knownUser(in object) object {
	if u := h.data.userByEmail(text(in["email"])); u != nil {
		return u
	}
	if external := text(in["external_id"]); external != "" {
		for _, u := range h.data.users.byID {
			if text(u["external_id"]) == external {
				return u
			}
		}
	}
	return nil
}

func (h *Helpdesk) createUser(w http.ResponseWriter, c *call) {
	in, ok := c.decode("user")
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !ok:
		invalid(w, "Parameter user is required")
	case text(in["name"]) == "":
		invalid(w, "Name: is too short (minimum one character)")
	case h.data.userByEmail(text(in["email"])) != nil:
		invalid(w, "Email: is already being used by another user")
	default:
		user := h.newUser(in, c.base)
		w.Header().Set("Location", text(user["url"]))
		writeJSON(w, http.StatusCreated, object{"user": user})
	}
}

func (h *Helpdesk) createOrUpdateUser(w http.ResponseWriter, c *call) {
	in, ok := c.decode("user")
	if !ok {
		invalid(w, "Parameter user is required")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if user := h.knownUser(in); user != nil {
		h.changeUser(user, in)
		writeJSON(w, http.StatusOK, object{"user": user})
		return
	}
	writeJSON(w, http.StatusCreated, object{"user": h.newUser(in, c.base)})
}

func (h *Helpdesk) createUsers(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var results []any
	for i, in := range c.decodeMany("users") {
		results = append(results, object{"index": i, "id": h.newUser(in, c.base)["id"], "status": "Created", "success": true})
	}
	writeJSON(w, http.StatusOK, object{"job_status": h.newJob(results, c)})
}

func (h *Helpdesk) showMe(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"user": c.user})
}

func (h *Helpdesk) updateUser(w http.ResponseWriter, c *call) {
	in, _ := c.decode("user")
	h.mu.Lock()
	defer h.mu.Unlock()
	user := h.data.users.byID[c.id()]
	if user == nil {
		notFound(w)
		return
	}
	h.changeUser(user, in)
	writeJSON(w, http.StatusOK, object{"user": user})
}

func (h *Helpdesk) deleteUser(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	user := h.data.users.byID[c.id()]
	if user == nil {
		notFound(w)
		return
	}
	h.data.users.remove(c.id())
	user["active"] = false
	writeJSON(w, http.StatusOK, object{"user": user})
}

func (h *Helpdesk) listUsers(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := h.data.users.all()
	if role := c.URL.Query().Get("role"); role != "" {
		found = slices.DeleteFunc(found, func(u object) bool { return text(u["role"]) != role })
	}
	writeJSON(w, http.StatusOK, page(c, "users", found))
}

func (h *Helpdesk) searchUsers(w http.ResponseWriter, c *call) {
	q := c.URL.Query()
	query, external := strings.ToLower(q.Get("query")), q.Get("external_id")
	query = strings.TrimPrefix(query, "email:")
	h.mu.Lock()
	defer h.mu.Unlock()
	found := slices.DeleteFunc(h.data.users.all(), func(u object) bool {
		if external != "" {
			return text(u["external_id"]) != external
		}
		return query == "" || !strings.Contains(strings.ToLower(text(u["name"])+"\n"+text(u["email"])+"\n"+text(u["notes"])+"\n"+text(u["phone"])), query)
	})
	writeJSON(w, http.StatusOK, page(c, "users", found))
}

func (h *Helpdesk) listIdentities(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	user := h.data.users.byID[c.id()]
	if user == nil {
		notFound(w)
		return
	}
	var found []object
	for kind, key := range map[string]string{"email": "email", "phone_number": "phone"} {
		if v := text(user[key]); v != "" {
			found = append(found, object{"id": number(user["id"]) + int64(len(kind)), "user_id": user["id"], "type": kind, "value": v, "verified": true, "primary": kind == "email"})
		}
	}
	writeJSON(w, http.StatusOK, page(c, "identities", found))
}

func (h *Helpdesk) currentToken(w http.ResponseWriter, c *call) {
	if c.auth == nil {
		notFound(w)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"token": object{
		"id": firstOther, "user_id": c.user["id"], "client_id": c.auth.Client, "scopes": []any{"read", "write"},
		"url": c.base + "/api/v2/oauth/tokens/current.json", "created_at": stamp(h.options.Clock()),
	}})
}

func (h *Helpdesk) listOrganizations(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	writeJSON(w, http.StatusOK, page(c, "organizations", h.data.orgs.all()))
}

func (h *Helpdesk) createOrganization(w http.ResponseWriter, c *call) {
	in, ok := c.decode("organization")
	if !ok || text(in["name"]) == "" {
		invalid(w, "Name: cannot be blank")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	id, now := h.data.id("other"), stamp(h.options.Clock())
	org := object{"details": nil, "notes": nil, "tags": []any{}, "domain_names": []any{}, "organization_fields": object{}, "external_id": nil}
	maps.Copy(org, in)
	org["id"], org["url"], org["created_at"], org["updated_at"] = id, fmt.Sprintf("%s/api/v2/organizations/%d.json", c.base, id), now, now
	h.data.orgs.put(id, org)
	w.Header().Set("Location", text(org["url"]))
	writeJSON(w, http.StatusCreated, object{"organization": org})
}

func (h *Helpdesk) updateOrganization(w http.ResponseWriter, c *call) {
	in, _ := c.decode("organization")
	h.mu.Lock()
	defer h.mu.Unlock()
	org := h.data.orgs.byID[c.id()]
	if org == nil {
		notFound(w)
		return
	}
	for key, v := range in {
		if key != "id" && key != "url" {
			org[key] = v
		}
	}
	org["updated_at"] = stamp(h.options.Clock())
	writeJSON(w, http.StatusOK, object{"organization": org})
}

func (h *Helpdesk) deleteOrganization(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.data.orgs.byID[c.id()] == nil {
		notFound(w)
		return
	}
	h.data.orgs.remove(c.id())
	w.WriteHeader(http.StatusNoContent)
}
