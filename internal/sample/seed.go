package sample

import (
	"encoding/json"
	"net/http"
)

// seed stores tickets from before there was a gateway: card numbers and social
// security numbers in clear, as they stand in real helpdesks. All values are
// public test numbers or were never issued.
func (h *Helpdesk) seed() {
	c := &call{Request: &http.Request{Header: http.Header{"User-Agent": {"seed"}}}, base: h.options.BaseURL}
	h.mu.Lock()
	defer h.mu.Unlock()
	agent := h.newUser(object{"name": "Ana Agent", "email": "ana@helpdesk.example", "role": "agent"}, c.base)
	c.user = agent
	for _, t := range []struct{ name, email, subject, body, field string }{
		{"Maria Keller", "maria@customer.example", "Charged twice",
			"Hello, you charged my card 4111 1111 1111 1111 twice on Monday. Please refund one of them.", ""},
		{"John Doe", "john@customer.example", "Cannot pay",
			"The form refuses 5555-5555-5555-4444, exp 12/29. What is wrong?", ""},
		{"Lee Wong", "lee@customer.example", "Tax form",
			"You asked for my social security number for the refund: it is 536-22-8145.", "536-22-8145"},
		{"Priya Nair", "priya@customer.example", "Where is my parcel?",
			"Tracking number 9400110200881234567890, order 4025900000011. It should have come on Friday.", ""},
	} {
		in := object{
			"subject": t.subject, "comment": object{"body": t.body},
			"requester": object{"name": t.name, "email": t.email},
			"tags":      []any{"historic"},
		}
		if t.field != "" {
			in["custom_fields"] = []any{object{"id": json.Number("360001234567"), "value": t.field}}
		}
		h.newTicket(in, c, "email")
	}
}
