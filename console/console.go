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
	// Sessions are the people who logged in with a browser.
	Sessions Sessions
	// RotateKeys gives keysets of the vault new keys. ErrInvalid when it cannot be done
	// now, with a text that may be shown.
	RotateKeys func(ctx context.Context, k RotateKeys) (KeysRotated, error)
	// Approvals are calls that wait for others to agree.
	Approvals Approvals
	// Reviews are reviews of who has access.
	Reviews Reviews
	// Imports reads what vendors have already into the index of records.
	Imports Imports
	// Holds are legal holds.
	Holds Holds
	// RevealRights are rights to see what stands behind tokens, which lapse unused.
	RevealRights RevealRights
	// Incidents are suspicions of breaches, and what they owe.
	Incidents Incidents
	// Requests are what persons ask for by law.
	Requests Requests
	// Duties are what the gateway carries out when it is due.
	Duties Duties
	// Approve finds out whether others have agreed to a call of this API, and asks them
	// otherwise. An approval that does not count is a *Refusal.
	Approve func(ctx context.Context, a Actor, op Operation, w Wanted) (Agreement, error)
	// Tokens opens what stands behind tokens.
	Tokens Tokens
	// Erase plans the erasure of persons, and carries a plan out. ErrInvalid, with a text
	// that may be shown, for a person that is named in no known form and a plan that
	// does not count; a *Refusal while a legal hold is in force.
	Erase func(ctx context.Context, e Erasure) (ErasureAnswer, error)
	// Records finds the records of vendors that name a person. ErrInvalid for a person or
	// record that is named in no known form, ErrNotFound for a record that ends no page.
	Records func(ctx context.Context, q RecordQuestion) (RecordList, error)
	// Flags are what persons want of whoever holds data of them.
	Flags Flags
	// Event finds a recorded event by its receipt. ErrNotFound when there is none.
	Event func(ctx context.Context, receipt string) (Event, error)
	// Search and Exposures answer questions about the log. ErrInvalid for a person or
	// record that is named in no known form, ErrNotFound for an unknown receipt.
	Search    func(ctx context.Context, s Search) (FoundList, error)
	Exposures func(ctx context.Context, s Search) (ExposureList, error)
	// Status describes the running gateway.
	Status func(ctx context.Context) (Status, error)
	// Observed proposes allow rows from what observing routes found.
	Observed func(ctx context.Context) (Observed, error)
	// Replay tries a draft of the policy on recorded decisions. ErrInvalid, with a text that
	// may be shown, for a draft that no gateway would take.
	Replay func(ctx context.Context, d Draft) (Replayed, error)
	// PlanRetention says what is due by a schedule. ErrInvalid, with a text that may be shown,
	// for a schedule with mistakes.
	PlanRetention func(ctx context.Context, q RetentionQuestion) (RetentionPlan, error)
	// Purges carry schedules out.
	Purges Purges
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
	// Cookie tells that a cookie said who it is. A browser sends one by itself, whatever
	// page makes it call, so a change needs to come from a page of our own.
	Cookie bool
}

// Operation is one kind of call of this API, in the words of a channel file.
type Operation struct {
	// Name is noun.verb: apikey.create.
	Name string
	// Effect is read, write or admin.
	Effect string
	// Mark is empty, or anonymous for what anybody may read.
	Mark string
	// Method is the HTTP method that was used.
	Method string
	// Scope is empty for one, or bulk. Approvals is how many others have agreed.
	Scope     string
	Approvals int
}

// Decision is policy's answer.
type Decision struct {
	Allow bool
	// Reason is the code of a denial.
	Reason string
	// Ticket tells that the call is refused without the number of a change ticket.
	Ticket bool
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
	// Tokens are the log's names of tokens. Detail is sealed under the caller's key. About
	// is what the deed returned for the Journal.
	Tokens []string
	Detail map[string]string
	About  any
	// Ticket is the number of the change ticket that the caller named, empty for none.
	Ticket string
	// Fresh tells that the event stands for something that only it says, and may not be
	// counted together with others.
	Fresh bool
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
	// Gateway is this one's name among several on a database, OtherGateways are theirs;
	// absent for one that is alone.
	Gateway       string   `json:"gateway,omitempty"`
	OtherGateways []string `json:"other_gateways,omitempty"`
	// Started is when this process started.
	Started time.Time `json:"started"`
	// Configured is when the configuration that runs was loaded.
	Configured time.Time    `json:"configured"`
	Log        LogStatus    `json:"log"`
	Policy     PolicyStatus `json:"policy"`
	Routes     []Route      `json:"routes"`
	// Trails are the vendors' own logs that are read into the audit log.
	Trails []Trail `json:"trails"`
	// Tokens are those with which the gateway calls vendors.
	Tokens []VendorToken `json:"tokens"`
	// Review says how reviews of who has access stand.
	Review ReviewStatus `json:"review"`
}

// ReviewStatus says when the next review of who has access is due.
type ReviewStatus struct {
	Due time.Time `json:"due"`
	// Open is the id of one that is open or being carried out.
	Open string `json:"open,omitempty"`
}

// VendorToken says how the token of a `credential oauth` stands. It holds nothing of it.
type VendorToken struct {
	Name string `json:"name"`
	// Version counts the tokens there were; 0 before the first.
	Version int64 `json:"version"`
	// Expires is when the one in use ends; absent when nobody knows.
	Expires time.Time `json:"expires,omitzero"`
	// Lost says why the vendor gives no more until the gateway is authorised again: revoked,
	// unanswered or no_seed. Trouble is what was in the way of the last question.
	Lost    string `json:"lost,omitempty"`
	Trouble string `json:"trouble,omitempty"`
}

// Trail is a vendor's log that is read into ours.
type Trail struct {
	// Name is "<channel>/<log>".
	Name     string `json:"name"`
	Upstream string `json:"upstream"`
	// Until is up to when it has been read; zero before the first reading.
	Until time.Time `json:"until,omitzero"`
	// Trouble is the code of what keeps it from being read, empty while nothing does;
	// Status the vendor's answer where there was one.
	Trouble string `json:"trouble,omitempty"`
	Status  int    `json:"status,omitempty"`
	// Gaps counts the gaps that were recorded since this process started.
	Gaps int64 `json:"gaps"`
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
	// Trouble says why what was changed since is not in force, with file and line where
	// there are some; empty while it is.
	Trouble string `json:"trouble,omitempty"`
	// Bundle is the signed bundle that it comes from; absent for files on the machine.
	Bundle *BundleStatus `json:"bundle,omitempty"`
	// Rollouts are rows and rules that count for a share of the callers first.
	Rollouts []RolloutStatus `json:"rollouts,omitempty"`
}

// RolloutStatus describes a rollout of the policy.
type RolloutStatus struct {
	// Name and ID name it; ID is 32 hexadecimal digits over all that it says.
	Name string `json:"name"`
	ID   string `json:"id"`
	// Rule is the code of the deployment's own rule that it rolls out; empty for a class.
	Rule string `json:"rule,omitempty"`
	// State is waiting, running, over (its window is: it stays) or reverted.
	State string `json:"state"`
	// Share is for how many callers of a hundred it counts, From and Until its window.
	Share int       `json:"share"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Stays tells that it does not go back, whatever its rates: it is about something that
	// was enforced before.
	Stays bool `json:"stays,omitempty"`
	// All tells that it counts for everybody, whatever its share, state and window: it is
	// about a rule that was enforced before.
	All bool `json:"all,omitempty"`
	// Reverted is when it went back by itself, Why the reason, Event the receipt of the
	// event that tells of it.
	Reverted time.Time `json:"reverted,omitzero"`
	Why      string    `json:"why,omitempty"`
	Event    string    `json:"event,omitempty"`
}

// BundleStatus describes the policy bundle in force.
type BundleStatus struct {
	// Source is where it is followed, without what could be a credential.
	Source string `json:"source"`
	// Revision orders bundles; Digest is over the content, 64 hexadecimal digits.
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
	// Key is the id of the key that signed, Scope the scope that it was signed for.
	Key   string `json:"key"`
	Scope string `json:"scope,omitempty"`
	// Checked is when the source was last seen to offer it; zero: not since the start.
	Checked time.Time `json:"checked,omitzero"`
}

// Route is one governed route.
type Route struct {
	Name     string `json:"name"`
	Channel  string `json:"channel"`
	Upstream string `json:"upstream"`
	// Exceptions are the settings that let bytes pass which would otherwise be
	// refused: observe, uninspected pass, audit_down pass, vault_down mask.
	Exceptions []string `json:"exceptions"`
}

// api is the handler that New returns.
type api struct {
	Config
	hosts  map[string]bool
	logger *slog.Logger
}

// New returns the handler for /livez, /readyz, /api/v1 and the page of drafts. It panics when a
// required field of c is missing, because a gateway without it would deny all.
func New(c Config) http.Handler {
	if c.Identify == nil || c.Authorize == nil || c.Journal == nil || c.Keys == nil || c.Sessions == nil || c.RotateKeys == nil || c.Erase == nil || c.Approvals == nil || c.Reviews == nil || c.Holds == nil || c.Imports == nil || c.Requests == nil || c.RevealRights == nil || c.Approve == nil || c.Tokens == nil ||
		c.Records == nil || c.Flags == nil || c.Event == nil || c.Search == nil || c.Exposures == nil || c.Status == nil || c.Replay == nil || c.PlanRetention == nil || c.Purges == nil || c.Checks == nil {
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
	case replayPagePath:
		a.replayDraft(w, r)
	default:
		a.call(w, r)
	}
}
