package proxy

import (
	"net/http"
	"strings"
	"sync"
)

// corsHeaders are what a browser needs to let a script read an answer (Fetch
// standard, section 3.3). Without them a refusal of ours looks like a network
// failure to an app inside a helpdesk.
var corsHeaders = []string{
	"Access-Control-Allow-Origin",
	"Access-Control-Allow-Credentials",
	"Access-Control-Expose-Headers",
	"Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods",
	"Access-Control-Max-Age",
}

// maxOrigins bounds what a route remembers; a desk has a handful of origins.
const maxOrigins = 64

// corsMemory remembers, per origin, what the upstream allowed that origin, so
// that refusals given without asking the upstream carry the same permission. It
// only repeats the upstream's own words and never grants anything by itself.
type corsMemory struct {
	mu      sync.Mutex
	origins map[string]http.Header
}

// learn keeps the CORS headers of an upstream's answer.
func (m *corsMemory) learn(origin string, from http.Header) {
	if origin == "" || from.Get("Access-Control-Allow-Origin") == "" {
		return
	}
	h := make(http.Header, len(corsHeaders))
	for _, name := range corsHeaders {
		if v := from.Values(name); len(v) > 0 {
			h[name] = append([]string(nil), v...)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.origins == nil {
		m.origins = make(map[string]http.Header)
	}
	if _, known := m.origins[origin]; !known && len(m.origins) >= maxOrigins {
		for k := range m.origins { // any: the one that is asked for again returns
			delete(m.origins, k)
			break
		}
	}
	m.origins[origin] = h
}

// apply puts on h what the upstream last allowed this origin.
func (m *corsMemory) apply(origin string, h http.Header) {
	if origin == "" {
		return
	}
	m.mu.Lock()
	known := m.origins[origin]
	m.mu.Unlock()
	for name, values := range known {
		h[name] = values
	}
	if known != nil {
		exposeOurs(h)
		h.Add("Vary", "Origin")
	}
}

// exposeOurs lets scripts read the receipt and the reason, next to what the
// upstream exposes.
func exposeOurs(h http.Header) {
	if h.Get("Access-Control-Allow-Origin") == "" {
		return
	}
	exposed := h.Get("Access-Control-Expose-Headers")
	if exposed == "*" || strings.Contains(exposed, headerReceipt) {
		return
	}
	if exposed != "" {
		exposed += ", "
	}
	h.Set("Access-Control-Expose-Headers", exposed+headerReceipt+", "+headerError+", "+headerGap)
}
