package sample

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits of what a Helpdesk keeps. They are far above what a demo or a test
// needs and keep a forgotten loop from filling the machine.
const (
	maxBody     = 64 << 20  // one request body
	maxObjects  = 20_000    // tickets, users, comments ... in all per kind
	maxReceived = 1_000     // requests kept for Received
	maxRecord   = 64 << 20  // bytes of request bodies kept for Received
	maxFiles    = 128 << 20 // bytes of uploaded files
)

// Options configures a Helpdesk. The zero value accepts no credential.
type Options struct {
	// APITokens are accepted as HTTP Basic "e-mail/token" with the token as
	// password, whatever the e-mail: the vendor does the same.
	APITokens []string
	// Bearers are accepted OAuth access tokens.
	Bearers []Bearer
	// BaseURL is the address it gives for itself in links ("http://127.0.0.1:9000").
	// Empty: the Host header of the request.
	BaseURL string
	// Seed fills it with tickets from before the gateway, with clear card numbers
	// and social security numbers in them. Without BaseURL their addresses are
	// relative.
	Seed bool
	// History is how many tickets it has besides from years before.
	History int
	// Rate is how many calls it takes a minute. What is more is answered 429 with Retry-After.
	// Zero: it says 700 and takes all.
	Rate int
	// Working is how many looks at the job of a permanent deletion find it working: the ticket is in
	// the trash until the job is done.
	Working int
	// Fields are the types of custom fields by their id. Where it is set, tags are
	// checked as well.
	Fields map[string]FieldType
	// Clock defaults to time.Now.
	Clock func() time.Time
}

// Bearer is one OAuth access token.
type Bearer struct {
	Token  string
	Email  string // the user it acts for
	Client int64  // the OAuth client it was given to
}

// Helpdesk is a Zendesk-shaped system in memory. It is safe for concurrent use.
type Helpdesk struct {
	options Options
	mux     *http.ServeMux

	mu       sync.Mutex // owns everything below
	data     *store
	received []Received
	recorded int // bytes of bodies in received
	spent    minute

	idempotent sync.Mutex // held by a request that carries an idempotency key; owns answers
	answers    map[string]answer
	answerKeys []string // oldest first
}

var _ http.Handler = (*Helpdesk)(nil)

// Received is one request as it arrived.
type Received struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
	Status              int // what it was answered
}

// NewHelpdesk returns a Helpdesk. Serve it on a loopback address; a request that
// comes in over any other is refused.
func NewHelpdesk(o Options) *Helpdesk {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	h := &Helpdesk{options: o, mux: http.NewServeMux(), data: newStore(), answers: make(map[string]answer)}
	h.routes()
	if o.Seed {
		h.seed()
	}
	h.history(o.History)
	return h
}

// Received returns the requests so far, oldest first; of a very long run, the
// last of them. The page at "/" is not counted.
func (h *Helpdesk) Received() []Received {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Received(nil), h.received...)
}

// ServeHTTP answers one request.
func (h *Helpdesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && !loopback(local) {
		http.Error(w, "the sample helpdesk answers loopback connections only", http.StatusForbidden)
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, "/attachments/") {
		h.mux.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, "PayloadTooLarge", "the body could not be read or is too large")
		return
	}
	c := &call{Request: r, body: body, base: h.options.BaseURL}
	if c.base == "" {
		c.base = "http://" + r.Host
	}
	buffer := &answer{header: make(http.Header), status: http.StatusOK}
	if h.spend(buffer.header) {
		h.exchange(buffer, c)
	} else {
		writeError(buffer, http.StatusTooManyRequests, "TooManyRequests", "Rate limit exceeded")
	}
	h.record(r, body, buffer.status)
	buffer.send(w, r)
}

// call is one request with its body read.
type call struct {
	*http.Request
	body []byte
	base string // address of this host, without a slash at the end
	user object // who calls; nil for nobody
	auth *Bearer
}

// exchange authenticates, honours idempotency keys and dispatches.
func (h *Helpdesk) exchange(w *answer, c *call) {
	ok := h.authenticate(c)
	if !ok && !(c.user == nil && public(c)) {
		w.header.Set("WWW-Authenticate", `Basic realm="Web Password"`)
		writeError(w, http.StatusUnauthorized, "Couldn't authenticate you", "")
		return
	}
	key := c.Header.Get("Idempotency-Key")
	if key == "" || c.Method != http.MethodPost {
		h.dispatch(w, c)
		return
	}
	h.idempotent.Lock()
	defer h.idempotent.Unlock()
	key = c.URL.Path + "\n" + key
	if first, seen := h.answers[key]; seen {
		if !bytes.Equal(first.request, c.body) {
			writeError(w, http.StatusBadRequest, "IdempotentRequestError", "the same key came with other parameters")
			return
		}
		first.copyTo(w)
		w.header.Set("X-Idempotency-Lookup", "hit")
		return
	}
	h.dispatch(w, c)
	w.header.Set("X-Idempotency-Lookup", "miss")
	if w.status < 300 {
		kept := answer{header: w.header.Clone(), status: w.status, request: bytes.Clone(c.body)}
		kept.body.Write(w.body.Bytes())
		h.answers[key] = kept
		h.answerKeys = append(h.answerKeys, key)
		if len(h.answerKeys) > maxReceived {
			delete(h.answers, h.answerKeys[0])
			h.answerKeys = h.answerKeys[1:]
		}
	}
}

// dispatch runs the handler of the path without its suffix.
func (h *Helpdesk) dispatch(w *answer, c *call) {
	path := strings.TrimSuffix(strings.TrimSuffix(c.URL.Path, "/"), ".json")
	plain := c.Request.Clone(withCall(c.Context(), c))
	plain.URL.Path, plain.URL.RawPath = path, ""
	if _, pattern := h.mux.Handler(plain); pattern == "" || pattern == "GET /{$}" {
		writeError(w, http.StatusNotFound, "InvalidEndpoint", "Not found")
		return
	}
	h.mux.ServeHTTP(w, plain)
}

// public tells which calls the vendor takes from anybody.
func public(c *call) bool {
	path := strings.TrimSuffix(c.URL.Path, ".json")
	return c.Header.Get("Authorization") == "" &&
		(c.Method == http.MethodPost && path == "/api/v2/requests" || strings.HasPrefix(path, "/attachments/token/"))
}

// authenticate finds the caller. It reports false for a wrong or missing
// credential.
func (h *Helpdesk) authenticate(c *call) bool {
	scheme, rest, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	email := ""
	switch strings.ToLower(scheme) {
	case "basic":
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil {
			return false
		}
		user, secret, _ := strings.Cut(string(raw), ":")
		name, isToken := strings.CutSuffix(user, "/token")
		if !isToken || !contains(h.options.APITokens, secret) {
			return false
		}
		email = name
	case "bearer":
		for i := range h.options.Bearers {
			if b := &h.options.Bearers[i]; b.Token != "" && b.Token == strings.TrimSpace(rest) {
				c.auth, email = b, b.Email
			}
		}
		if c.auth == nil {
			return false
		}
	default:
		return false
	}
	if other := c.Header.Get("X-On-Behalf-Of"); other != "" {
		email = other
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.user = h.data.userByEmail(email)
	if c.user == nil {
		c.user = h.newUser(object{"email": email, "name": email, "role": "agent"}, c.base)
	}
	return true
}

// record keeps the request for Received.
func (h *Helpdesk) record(r *http.Request, body []byte, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.received = append(h.received, Received{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body, Status: status,
	})
	h.recorded += len(body)
	for len(h.received) > maxReceived || h.recorded > maxRecord && len(h.received) > 1 {
		h.recorded -= len(h.received[0].Body)
		h.received[0] = Received{}
		h.received = h.received[1:]
	}
}

// loopback tells whether a is an address of this machine only.
func loopback(a net.Addr) bool {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.Network() == "unix"
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// contains compares secrets; this is a test system and needs no constant time.
func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s && s != "" {
			return true
		}
	}
	return false
}

// routes registers the calls it knows. Everything else is "InvalidEndpoint".
func (h *Helpdesk) routes() {
	const v2 = " /api/v2/"
	for pattern, handler := range map[string]func(http.ResponseWriter, *call){
		"GET" + v2 + "tickets":                      h.listTickets,
		"POST" + v2 + "tickets":                     h.createTicket,
		"GET" + v2 + "tickets/count":                h.countTickets,
		"GET" + v2 + "tickets/recent":               h.listTickets,
		"GET" + v2 + "tickets/show_many":            h.showMany("tickets", h.data.tickets),
		"POST" + v2 + "tickets/create_many":         h.createTickets,
		"PUT" + v2 + "tickets/update_many":          h.updateTickets,
		"DELETE" + v2 + "tickets/destroy_many":      h.deleteTickets,
		"GET" + v2 + "tickets/{id}":                 h.showTicket,
		"PUT" + v2 + "tickets/{id}":                 h.updateTicket,
		"DELETE" + v2 + "tickets/{id}":              h.deleteTicket,
		"GET" + v2 + "tickets/{id}/comments":        h.listComments,
		"GET" + v2 + "tickets/{id}/audits":          h.listAudits,
		"GET" + v2 + "tickets/{id}/tags":            h.ticketTags,
		"POST" + v2 + "tickets/{id}/tags":           h.setTicketTags,
		"PUT" + v2 + "tickets/{id}/tags":            h.addTicketTags,
		"DELETE" + v2 + "tickets/{id}/tags":         h.removeTicketTags,
		"GET" + v2 + "users/{id}/tickets/requested": h.requestedTickets,
		"GET" + v2 + "tags":                         h.listTags,
		"GET" + v2 + "deleted_tickets":              h.listDeleted,
		"PUT" + v2 + "deleted_tickets/{id}/restore": h.restoreTicket,
		"DELETE" + v2 + "deleted_tickets/{id}":      h.purgeTicket,
		"GET" + v2 + "incremental/tickets":          h.incrementalTickets,
		"GET" + v2 + "incremental/tickets/cursor":   h.cursorTickets,
		"GET" + v2 + "incremental/users/cursor":     h.cursorUsers,
		"GET" + v2 + "requests":                     h.listRequests,
		"POST" + v2 + "requests":                    h.createRequest,
		"GET" + v2 + "requests/{id}":                h.showRequest,
		"PUT" + v2 + "requests/{id}":                h.updateRequest,
		"GET" + v2 + "requests/{id}/comments":       h.listComments,
		"GET" + v2 + "users":                        h.listUsers,
		"POST" + v2 + "users":                       h.createUser,
		"GET" + v2 + "users/me":                     h.showMe,
		"GET" + v2 + "users/search":                 h.searchUsers,
		"GET" + v2 + "users/show_many":              h.showMany("users", h.data.users),
		"POST" + v2 + "users/create_or_update":      h.createOrUpdateUser,
		"POST" + v2 + "users/create_many":           h.createUsers,
		"GET" + v2 + "users/{id}":                   h.show("user", h.data.users),
		"PUT" + v2 + "users/{id}":                   h.updateUser,
		"DELETE" + v2 + "users/{id}":                h.deleteUser,
		"GET" + v2 + "users/{id}/identities":        h.listIdentities,
		"GET" + v2 + "organizations":                h.listOrganizations,
		"POST" + v2 + "organizations":               h.createOrganization,
		"GET" + v2 + "organizations/{id}":           h.show("organization", h.data.orgs),
		"PUT" + v2 + "organizations/{id}":           h.updateOrganization,
		"DELETE" + v2 + "organizations/{id}":        h.deleteOrganization,
		"GET" + v2 + "search":                       h.search,
		"GET" + v2 + "search/count":                 h.searchCount,
		"GET" + v2 + "search/export":                h.searchExport,
		"POST" + v2 + "uploads":                     h.upload,
		"DELETE" + v2 + "uploads/{token}":           h.deleteUpload,
		"GET" + v2 + "attachments/{id}":             h.show("attachment", h.data.files),
		"GET /attachments/token/{token}":            h.attachmentContent,
		"GET" + v2 + "job_statuses/{id}":            h.showJob,
		"GET" + v2 + "job_statuses/show_many":       h.showJobs,
		"GET" + v2 + "oauth/tokens/current":         h.currentToken,
		"GET" + v2 + "audit_logs":                   h.auditLogs,
		"GET" + v2 + "access_logs":                  h.accessLogs,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c := callOf(r)
			if c == nil { // a path that the mux matched before it was taken apart here
				writeError(w, http.StatusNotFound, "InvalidEndpoint", "Not found")
				return
			}
			c.Request = r
			handler(w, c)
		})
	}
	h.mux.HandleFunc("GET /{$}", h.page)
}

// String keeps credentials out of formatted output.
func (o Options) String() string {
	return fmt.Sprintf("sample.Options{%d API tokens, %d bearers, seed %t}", len(o.APITokens), len(o.Bearers), o.Seed)
}
