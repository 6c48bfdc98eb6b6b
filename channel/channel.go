package channel

import (
	"slices"
	"strings"

	"github.com/caregate/caregate/redact/walk"
)

// Effect is what a call does to the vendor's data.
type Effect string

// The effects, weakest first. Admin means the call changes how the account
// works (triggers, fields, roles, tokens), whatever its HTTP method.
const (
	EffectRead   Effect = "read"
	EffectWrite  Effect = "write"
	EffectDelete Effect = "delete"
	EffectAdmin  Effect = "admin"
)

// Scope is how much one call reaches.
type Scope string

// One record (or one page of a list that people look at), many records named in
// one call, or a call made to take everything out.
const (
	ScopeOne    Scope = "one"
	ScopeBulk   Scope = "bulk"
	ScopeExport Scope = "export"
)

// Mark says that a call is allowed to come without a credential, or carries
// credentials in its body.
type Mark string

// The marks of design section 1. MarkNone is the normal case.
const (
	MarkNone      Mark = ""
	MarkAnonymous Mark = "anonymous" // the vendor lets anybody call it
	MarkPreflight Mark = "preflight" // a browser's CORS question
	MarkHandshake Mark = "handshake" // an endpoint's proof that it exists
	MarkSigned    Mark = "signed"    // proves itself by a signature over the body
	MarkAuth      Mark = "auth"      // carries credentials; they pass and are never stored
)

// Labels that the walker's captures carry. A record's label is LabelRecord
// followed by the record's type, for instance "record:ticket".
const (
	LabelSubjectEmail      = "subject:email"
	LabelSubjectContact    = "subject:contact" // an e-mail address when it holds "@", otherwise a phone number or handle
	LabelSubjectPhone      = "subject:phone"
	LabelSubjectID         = "subject:id"
	LabelSubjectExternalID = "subject:external_id"
	LabelRecord            = "record:"
	LabelAbout             = "about" // beside LabelRecord: the record is another one than the object that names it
	LabelTimeCreated       = "time:created"
	LabelTimeClosed        = "time:closed"
	LabelMessage           = "message:"  // what is said in a conversation, with the type of record that is one
	LabelSpeaker           = "speaker"   // who says it, beside the message
	LabelURL               = "url"       // an address that may be the upstream's: see Channel.RewriteURL
	LabelDelivery          = "delivery:" // what a webhook delivery calls itself: see Webhooks.DeliveryID
)

// Indexed reports whether the values of a label name people or records.
func Indexed(label string) bool {
	return strings.HasPrefix(label, LabelRecord) || strings.HasPrefix(label, "subject:")
}

// Channel is one upstream system. It is immutable; all methods are safe for
// concurrent use.
type Channel struct {
	// Name is the word of the Caddyfile (`govern zendesk ...`), Title is for people.
	Name, Title string
	// Version is the format of the file; 1 is the only one.
	Version int
	// Reach says what of the vendor passes the gateway and what does not.
	Reach Reach
	// Hosts are the vendor's usual hosts, "*." in front meaning any one label.
	// They serve messages and checks; no call is refused because of them.
	Hosts []string
	// PathPrefix is the folder of the API ("/api/v2"), without a slash at the end.
	PathPrefix string
	// Operations in the order of the file.
	Operations []*Operation
	// Whoami asks the vendor whom a bearer belongs to; nil when it cannot be asked.
	Whoami *Whoami
	// Asserted are the places where a caller claims a user, strongest claim first.
	Asserted []Asserted
	// Credentials are the shapes of the vendor's credentials, first match wins.
	Credentials []CredentialScheme
	// URLHeaders are response headers that hold addresses of the upstream.
	URLHeaders []string
	// Webhooks describes what the vendor sends to us; nil when it sends nothing.
	Webhooks *Webhooks
	// Trails are the logs that the vendor keeps, in the order of the file.
	Trails []*Trail
	// Budget says how many calls the vendor takes of an account; nil where the file does not.
	Budget *Budget
	// Imports are the lists by which the records are found that were there before the
	// gateway, in the order of the file, in which they are read.
	Imports []*Import
	// Actions are what can be done to records at their source, by name and type.
	Actions []*Action
	// Payments is set where the channel is a processor of payments.
	Payments *Payments

	root     *node
	mounts   []string // folders that a path may begin with
	trim     []string // suffixes such as ".json" that a path may carry
	unmapped map[string]*Operation
	names    map[string]*Operation

	recordTypes []string
}

// Operation returns the operation called name, or nil.
func (c *Channel) Operation(name string) *Operation { return c.names[name] }

// Reach is the honest sentence about coverage: design, "Reach, said honestly".
type Reach struct {
	Governed    []string
	NotGoverned []string
}

// Operation is one kind of call.
type Operation struct {
	// Name is unique in the channel: "ticket.create".
	Name string
	// Methods in upper case; a GET operation also answers HEAD.
	Methods []string
	// Pattern is the path with its parameters, base path included:
	// "/api/v2/tickets/{ticket_id}".
	Pattern string
	Effect  Effect
	Scope   Scope
	Mark    Mark
	// Request and Response are the places of the bodies, ready for the walker.
	Request, Response *walk.Fields
	// RequestRules and ResponseRules are what they were compiled from, for
	// listings and checks. Read only.
	RequestRules, ResponseRules []walk.Rule
	// Composite says where the body holds calls of its own, nil in a call that holds none.
	Composite *Composite
	// Each are the operations on one record of which this one does one to each of many: it is
	// decided as they are, too. Empty in operations that are about one record, or do what no
	// other does.
	Each []*Operation

	query  map[string]Query
	params []param
}

// RecordTypes are the types of records that the channel's calls name, sorted.
func (c *Channel) RecordTypes() []string { return slices.Clone(c.recordTypes) }

// Query says how to treat one query parameter.
type Query struct {
	// ID: identifiers, cursors and times, never a finding. Lists are separated by commas.
	ID bool
	// Label is a capture label ("record:ticket", "subject:external_id") or empty.
	Label string
}

// Query returns the treatment of the query parameter name. A parameter the file
// does not name is text and is inspected.
func (o *Operation) Query(name string) Query { return o.query[name] }

// Match is the answer to "what is this call?".
type Match struct {
	// Op is never nil.
	Op *Operation
	// Mapped is false for a call the file does not know.
	Mapped bool
	// Params are the values of the pattern's parameters in order, decoded once.
	Params []Param
}

// Param is one path parameter.
type Param struct {
	Name, Value string
	// ID: the pattern names this segment as an identifier; it is never a finding.
	ID bool
	// Label is a capture label ("record:ticket", "subject:id") or empty.
	Label string
}

// Whoami is the call that tells whom a credential belongs to. User, Client and
// Role are JSON Pointers into the answer; an empty one is not offered.
type Whoami struct {
	Method, Path       string
	User, Client, Role string
}

// Asserted is one place where a caller names the user it speaks for. Exactly
// one of Header and Basic is set.
type Asserted struct {
	// Header is the header that holds the user.
	Header string
	// Basic: the user half of HTTP Basic authentication names the user.
	Basic bool
	// UserSuffix must end the user half and is not part of the name ("/token").
	// Empty: any user half counts.
	UserSuffix string
}

// CredentialScheme is one shape of a vendor credential.
type CredentialScheme struct {
	// Kind names the shape in logs and keys: "api_token", "oauth_bearer".
	Kind string
	// Scheme is "basic", "bearer" or "header".
	Scheme string
	// Header is the header of scheme "header".
	Header string
	// UserSuffix must end the user half of scheme "basic"; empty matches any.
	UserSuffix string
	// Secret says which half of scheme "basic" is the secret: "user",
	// "password", or "both" where the password alone does not tell callers apart.
	Secret string
}
