package sample

import (
	"fmt"
	"net/http"
	"net/url"
)

func (h *Helpdesk) upload(w http.ResponseWriter, c *call) {
	name := c.URL.Query().Get("filename")
	if name == "" {
		writeError(w, http.StatusUnprocessableEntity, "RecordInvalid", "filename is required")
		return
	}
	kind := c.Header.Get("Content-Type")
	if kind == "" {
		kind = "application/octet-stream"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	id := h.data.id("other")
	token := c.URL.Query().Get("token")
	if len(h.data.tokens[token]) == 0 {
		token = fmt.Sprintf("tok%020x", id)
	}
	file := object{
		"id": id, "file_name": name, "content_type": kind, "size": len(c.body), "inline": false, "deleted": false, "thumbnails": []any{},
		"url":                c.base + fmt.Sprintf("/api/v2/attachments/%d.json", id),
		"content_url":        c.base + fmt.Sprintf("/attachments/token/%s-%d/?name=%s", token, id, url.QueryEscape(name)),
		"mapped_content_url": c.base + fmt.Sprintf("/attachments/token/%s-%d/?name=%s", token, id, url.QueryEscape(name)),
	}
	h.data.files.put(id, file)
	h.data.bytes[id] = c.body
	h.data.fileSize += len(c.body)
	for i := 0; h.data.fileSize > maxFiles && i < len(h.data.files.order)-1; i++ {
		old := h.data.files.order[i]
		h.data.fileSize -= len(h.data.bytes[old])
		delete(h.data.bytes, old)
	}
	h.data.tokens[token] = append(h.data.tokens[token], id)
	writeJSON(w, http.StatusCreated, object{"upload": object{
		"token": token, "attachment": file, "attachments": h.data.files.pick(h.data.tokens[token]),
	}})
}

func (h *Helpdesk) deleteUpload(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	token := c.PathValue("token")
	ids := h.data.tokens[token]
	if len(ids) == 0 {
		notFound(w)
		return
	}
	for _, id := range ids {
		h.data.fileSize -= len(h.data.bytes[id])
		delete(h.data.bytes, id)
		h.data.files.remove(id)
	}
	delete(h.data.tokens, token)
	w.WriteHeader(http.StatusNoContent)
}

// attachmentContent serves the bytes as they were uploaded. The path's token
// ends in the file's id, so that one upload token can hold several files.
func (h *Helpdesk) attachmentContent(w http.ResponseWriter, c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for token, ids := range h.data.tokens {
		for _, id := range ids {
			if c.PathValue("token") == fmt.Sprintf("%s-%d", token, id) {
				w.Header().Set("Content-Type", text(h.data.files.byID[id]["content_type"]))
				w.Write(h.data.bytes[id]) // into a buffer
				return
			}
		}
	}
	notFound(w)
}
