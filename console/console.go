package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Config is what New needs. All functions are called concurrently.
type Config struct {
	// Local tells that only people who may open the gateway's unix socket reach the
	// handler. The check of the Host header is left out then.
	Local bool
	// Hosts are further names that the API answers to over plain HTTP, lower case,
	// without a port. Over TLS, and for addresses and localhost, no name is needed;
	// see origin.go.
	Hosts []string

	// Identify finds who calls. A credential that does not count is a *Refusal; any
	// other error means that nobody could look, and the call is refused too.
	Identify func(r *http.Request) (Actor, error)
	// Authorize asks policy. An error is a denial with the reason policy_error.
	Authorize func(ctx context.Context, a Actor, op Operation) (Decision, error)
	// Journal records changes and denials. Required.
	Journal Journal
	// Reason looks a code up in the gateway's catalogue.
	Reason func(code string) (Reason, bool)

	// Keys are the API keys.
	Keys Keys
	// Event finds a recorded event by its receipt. ErrNotFound when there is none.
	Event func(ctx context.Context, receipt string) (Event, error)
	// Status describes the running gateway.
	Status func(ctx context.Context) (Status, error)
	// Checks looks at everything the gateway needs before it can take a call. It is
	// asked by /readyz, without authorisation: a failing check's text names no
	// person and no secret.
	Checks func(ctx context.Context) []Check

	// Logger takes one line per change and per failure; nil discards.
	Logger *slog.Logger
}

// Actor is who calls.
type Actor struct {
	// ID is stable and not personal; it stands in log lines.
	ID string
	// Proof is whatever Identify wants to see again in Authorize and Journal.
	Proof any
}

// Operation is one kind of call of this API, in the words of a channel file.
type Operation struct {
	// Name is noun.verb: apikey.create.
	Name string
	// Effect is read or admin.
	Effect string
	// Mark is empty, or anonymous for what anybody may read.
	Mark string
	// Method is the HTTP method that was used.
	Method string
}

// Decision is policy's answer.
type Decision struct {
	Allow bool
	// Reason is the code of a denial.
	Reason string
	// Proof is whatever Authorize wants to see again in Journal.
	Proof any
}

// Journal is the audit log.
type Journal interface {
	// Begin reserves room for the events of one call. An error means that nothing
	// may be done.
	Begin(ctx context.Context) (Entry, error)
}

// Entry is the room of one call: at most two events.
type Entry interface {
	// Record returns when the event is durable, with its receipt. After an error the
	// event may or may not stand in the log, and the caller denies.
	Record(ctx context.Context, rec Record) (receipt string, err error)
	// End gives unused room back. It may be called twice.
	End()
}

// Record is one event of a call.
type Record struct {
	Actor     Actor
	Operation Operation
	Decision  Decision
	// Done is false for the event before the deed and true for the one after it.
	Done bool
	// Status is the HTTP status that the caller gets; zero before the deed.
	Status int
	// Reason is the code of a refusal, empty when there is none.
	Reason string
	// Attrs say what the deed was about: ids and names of roles and grants.
	Attrs map[string]string
}

// Keys makes and ends API keys. Errors wrap ErrNotFound for an id that is not
// known and ErrInvalid, with a text that may be shown, for a wish that cannot be
// granted.
type Keys interface {
	// Create returns the key with its secret, which is stored nowhere.
	Create(ctx context.Context, n NewKey) (Key, Secret, error)
	// List returns all keys, revoked ones too, oldest first.
	List(ctx context.Context) ([]Key, error)
	// Rotate makes a successor; the old key stays valid for overlap.
	Rotate(ctx context.Context, id string, overlap time.Duration) (Key, Secret, error)
	// Revoke ends a key at once. Revoking a revoked key is no error.
	Revoke(ctx context.Context, id string) error
}

// Check is one line of /readyz.
type Check struct {
	// Name is a word: audit, vault, policy ...
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Text says what is wrong, empty when nothing is.
	Text string `json:"text,omitempty"`
}

// Status is what GET /api/v1/status answers.
type Status struct {
	// Version of the gateway, Name of the deployment.
	Version string `json:"version"`
	Name    string `json:"name"`
	// Started is when this process started.
	Started time.Time    `json:"started"`
	Log     LogStatus    `json:"log"`
	Policy  PolicyStatus `json:"policy"`
	Routes  []Route      `json:"routes"`
}

// LogStatus describes the audit log.
type LogStatus struct {
	// Origin names the shard, PublicKey is what its checkpoints verify under.
	Origin    string `json:"origin"`
	PublicKey string `json:"public_key"`
	// Size is the number of entries; -1 when it is not known.
	Size int64 `json:"size"`
}

// PolicyStatus describes the policy in force.
type PolicyStatus struct {
	// Digest is over rules and documents, 64 hexadecimal digits.
	Digest string `json:"digest"`
}

// Route is one governed route.
type Route struct {
	Name     string `json:"name"`
	Channel  string `json:"channel"`
	Upstream string `json:"upstream"`
	// Exceptions are the settings that let bytes pass which would otherwise be
	// refused: observe, uninspected pass, audit_down pass.
	Exceptions []string `json:"exceptions"`
}

// api is the handler that New returns.
type api struct {
	Config
	hosts  map[string]bool
	logger *slog.Logger
}

// New returns the handler for /livez, /readyz and /api/v1. It panics when a
// required field of c is missing, because a gateway without it would deny all.
func New(c Config) http.Handler {
	if c.Identify == nil || c.Authorize == nil || c.Journal == nil || c.Keys == nil ||
		c.Event == nil || c.Status == nil || c.Checks == nil {
		panic("console: Config lacks a required field")
	}
	a := &api{Config: c, hosts: make(map[string]bool, len(c.Hosts)), logger: c.Logger}
	for _, h := range c.Hosts {
		a.hosts[h] = true
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	return a
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch r.URL.Path {
	case "/livez":
		a.live(w, r)
	case "/readyz":
		a.ready(w, r)
	default:
		a.call(w, r)
	}
}
