package sample

import (
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
)

//go:embed page.html
var pageSource string

// pageTemplate is parsed at start, so that a mistake in it is found there.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"text": text}).Parse(pageSource))

// maxShown bounds the page; the newest tickets are shown.
const maxShown = 100

// shown is one ticket as the page shows it.
type shown struct {
	ID, Subject, Status, Requester, Created string
	Tags                                    []any
	Fields                                  []object
	Comments                                []comment
}

// comment is one comment as the page shows it.
type comment struct {
	Author, Body, Created string
	Public                bool
	Files                 []string
}

// page shows what is stored, as it is stored.
func (h *Helpdesk) page(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	header.Set("Cache-Control", "no-store")
	if err := pageTemplate.Execute(w, h.shown()); err != nil {
		return // the client hung up: everything else was checked at start
	}
}

// shown copies what the page needs under the lock, newest ticket first.
func (h *Helpdesk) shown() []shown {
	h.mu.Lock()
	defer h.mu.Unlock()
	who := func(id any) string {
		u := h.data.users.byID[number(id)]
		if u == nil {
			return "unknown"
		}
		if email := text(u["email"]); email != "" && email != text(u["name"]) {
			return text(u["name"]) + " <" + email + ">"
		}
		return text(u["name"])
	}
	var out []shown
	for _, id := range slices.Backward(h.data.tickets.order) {
		if len(out) == maxShown {
			break
		}
		t := h.data.tickets.byID[id]
		s := shown{
			ID: text(t["id"]), Subject: text(t["subject"]), Status: text(t["status"]),
			Requester: who(t["requester_id"]), Created: text(t["created_at"]), Tags: list(t["tags"]),
		}
		for _, v := range list(t["custom_fields"]) {
			if field, ok := v.(object); ok {
				s.Fields = append(s.Fields, maps.Clone(field))
			}
		}
		for _, c := range h.data.comments[id] {
			shown := comment{Author: who(c["author_id"]), Body: text(c["body"]), Created: text(c["created_at"]), Public: c["public"] == true}
			for _, file := range c["attachments"].([]object) {
				shown.Files = append(shown.Files, text(file["file_name"]))
			}
			s.Comments = append(s.Comments, shown)
		}
		out = append(out, s)
	}
	return out
}
