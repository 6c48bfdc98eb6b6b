package policy

import (
	"errors"
	"fmt"
	"slices"
)

// InputVersion is the version of the Input document, its member "v".
const InputVersion = 1

// Directions of the half of an exchange that is being decided.
const (
	Request  = "request"
	Response = "response"
)

// Kinds of place at which something was found. A class is counted per place,
// because the same number may be masked in a text and must stop a call in a URL.
const (
	PlaceText        = "text"         // a string, a form value, a text part: can be rewritten
	PlaceMention     = "mention"      // a text that speaks of a payment reference; a field marked as one is PlaceText
	PlaceNumber      = "number"       // a JSON number literal, or a field that takes exact values only
	PlaceKey         = "key"          // a member name or form name
	PlaceQuery       = "query"        // a value in the URL's query
	PlacePath        = "path"         // a path segment that the operation does not name as an id
	PlaceHeader      = "header"       // a header field that is not a standard one
	PlaceNever       = "never"        // a place that must not be rewritten, with nothing that confirms the finding
	PlaceNeverStrong = "never_strong" // a place that must not be rewritten, with card words or grouping beside it
)

// places is the closed list of places, in the order in which they are documented.
var places = [...]string{PlaceText, PlaceMention, PlaceNumber, PlaceKey, PlaceQuery, PlacePath, PlaceHeader, PlaceNever, PlaceNeverStrong}

// CredentialAdded is the value of Input.Credential on a route that adds the vendor's
// credential to its calls.
const CredentialAdded = "added"

// Bounds of an Input. What is larger is not a call we know how to make and is
// refused, so that no caller can make the rules chew on megabytes.
const (
	maxName     = 128 // bytes of any one name: longer than any operation of a shipped channel
	maxRoles    = 32  // roles or grants would otherwise be a way to slow down decisions
	maxGrants   = 256
	maxFlags    = 32  // kinds of flags; there is a handful
	maxFindings = 256 // class and place pairs: about four times what the class table can produce
)

// Input is everything the rules can see of one half of an exchange. It is
// versioned, holds no personal data and nothing that a caller could fill with
// any: every string is one of a closed list or a name out of the configuration,
// and Purpose is checked by ParsePurpose.
//
// Counts are rounded down to 1, 2, 5, 10, 20, 50 ... by Decide, so that equal
// situations share one cached decision; see Round.
type Input struct {
	// V is InputVersion; zero is taken for it.
	V int `json:"v"`
	// Tenant is "default" in a deployment with one tenant.
	Tenant string `json:"tenant"`
	// Route is the name of the governed route, as enforcement rows name it.
	Route string `json:"route"`
	// Direction is Request or Response.
	Direction string `json:"direction"`
	// Channel is the channel's name; OwnChannel for the gateway's own API.
	Channel string `json:"channel"`
	// Operation is the operation's name, "unmapped.<method>" when the channel file
	// does not know the call.
	Operation string `json:"operation"`
	// Many is the operation on many records, where the question is about what it does to each
	// of them, which is Operation. It was permitted before this is asked, so what it takes to
	// make the call alone is not asked again; what speaks against the call is. Empty in every
	// other question.
	Many string `json:"many,omitempty"`
	// Mapped tells that the channel file knows the operation.
	Mapped bool `json:"mapped"`
	// Effect is read, write, delete or admin.
	Effect string `json:"effect"`
	// Scope is one, bulk or export.
	Scope string `json:"scope"`
	// Mark is empty, anonymous, preflight, handshake, signed or auth.
	Mark string `json:"mark"`
	// Method is the class of the HTTP method: safe, unsafe or options.
	Method string `json:"method"`
	// Actor is who calls.
	Actor InputActor `json:"actor"`
	// Purpose is what the caller declared, empty when nothing.
	Purpose string `json:"purpose"`
	// Network is the class of the caller's address: loopback, private, public or
	// unknown.
	Network string `json:"network"`
	// Networks, Regions and Hours are what [Engine.Situation] says, sorted: the operator's
	// names for where the caller is and for the time at which the call began.
	Networks []string `json:"networks,omitempty"`
	Regions  []string `json:"regions,omitempty"`
	Hours    []string `json:"hours,omitempty"`
	// Credential is CredentialAdded on a route where the gateway adds the vendor's
	// credential, and absent where callers bring it along.
	Credential string `json:"credential,omitempty"`
	// Payment is what the call wants of the token of a payment. It is absent from calls
	// that have none at a place where it would be turned back, and from answers.
	Payment InputPayment `json:"payment,omitzero"`
	// Subject is what is known of the persons whom the call is about. It is absent where
	// nothing of it speaks for or against a call.
	Subject InputSubject `json:"subject,omitzero"`
	// Findings has one row per class and place. Their order does not matter.
	Findings []Finding `json:"findings"`
	// Records is how many of the vendor's records the call touches: those in its body, or
	// those that its path and its query name. Of a body that streams it is those so far.
	Records int `json:"records"`
	// Approvals is how many others have agreed to this call: at most MostApprovers.
	Approvals int `json:"approvals"`
	// Rollouts are the names of the rollouts that have begun, have not gone back and
	// include the caller, sorted.
	Rollouts []string `json:"rollouts,omitempty"`
	// Observe tells that the route only watches: the rules are evaluated and the
	// answer is carried in Decision.Would.
	Observe bool `json:"observe"`
}

// InputSubject is the part of what is known of persons that rules may see. It names nobody
// and counts nobody: of several persons it is what one of them has.
type InputSubject struct {
	// Flags are the kinds of the flags that count, sorted: what the persons, or the law, want
	// of whoever holds their data.
	Flags []string `json:"flags,omitempty"`
}

// InputActor is the part of an Actor that rules may see.
type InputActor struct {
	// Kind is one of the Kind constants.
	Kind string `json:"kind"`
	// Strength is one of the Strength constants.
	Strength string `json:"strength"`
	// Roles are the names of roles, sorted.
	Roles []string `json:"roles"`
	// Grants are what was granted beyond the roles, sorted; ParseGrant has the form.
	Grants []string `json:"grants"`
	// Regions are names of the configuration for where the person belongs, as the issuer
	// says, sorted.
	Regions []string `json:"regions,omitempty"`
	// Asserts tells that the call claims a user, whoever that is.
	Asserts bool `json:"asserts"`
	// Mismatch tells that the claimed user is not the proven one.
	Mismatch bool `json:"mismatch"`
	// MFA tells that a second factor was proven.
	MFA bool `json:"mfa"`
	// AMR are methods of RFC 8176 by which the person logged in, sorted; ACR is the class
	// of the login, one of those that the configuration names.
	AMR []string `json:"amr,omitempty"`
	ACR string   `json:"acr,omitempty"`
	// Age is how many minutes ago that was, rounded up by RoundAge, at least 1; 0 when
	// nobody knows.
	Age int `json:"age,omitempty"`
	// RevealLapsed tells, in calls that reveal, that the actor has not used the right to for
	// as long as [Engine.RevealsUnusedFor] says, and nobody has renewed it.
	RevealLapsed bool `json:"reveal_lapsed,omitempty"`
}

// oldestLogin is what every age above it is rounded to, in minutes. A rule cannot tell it
// from older ones, so no row has it for a limit.
const oldestLogin = 30 * 24 * 60

// RoundAge rounds the age of a login in minutes up: to 5 minutes from 15 on, to half hours
// from two hours on, to days from one day on, and to 30 days beyond. A rule about ages must
// not let pass what is above its limit, and equal situations share one decision.
func RoundAge(minutes int) int {
	step := 1
	switch {
	case minutes <= 0:
		return 0
	case minutes > 24*60:
		step = 24 * 60
	case minutes > 2*60:
		step = 30
	case minutes > 15:
		step = 5
	}
	return min((minutes+step-1)/step*step, oldestLogin)
}

// MostApprovers is how many others a call can be made to wait for.
const MostApprovers = 5

// InputPayment says how a call stands to the payment of its token. The words of all
// members but the last two are those of vault.Standing: known, same, other, unstated,
// within, over, new, again, used, missing, unknown, or empty where the question does not
// arise.
type InputPayment struct {
	// Tokens is how many tokens stand where one is turned back.
	Tokens int `json:"tokens"`
	// Token is known for one that can be turned back. Payment is known when a processor
	// has told of it.
	Token   string `json:"token"`
	Payment string `json:"payment"`
	// Place is about channel and route, Account about the merchant's.
	Place    string `json:"place"`
	Account  string `json:"account"`
	Order    string `json:"order"`
	Currency string `json:"currency"`
	// Balance is whether what is asked for is left, Key about the idempotency key.
	Balance string `json:"balance"`
	Key     string `json:"key"`
	// Amount is what is asked for in the smallest unit, rounded up by Decide to 1, 2, 5,
	// 10 ...; 0 is all that is left. Unit is the currency that the call names, empty
	// where it names none.
	Amount int    `json:"amount"`
	Unit   string `json:"unit"`
}

// Finding counts what was found of one class at one kind of place.
type Finding struct {
	// Class is a data class's name.
	Class string `json:"class"`
	// Place is one of the Place constants.
	Place string `json:"place"`
	// Count is how many; at least 1.
	Count int `json:"count"`
	// Split is how many of them are pieces of a value: the rest of it stands in
	// another message or another value.
	Split int `json:"split,omitempty"`
}

// Round rounds a count down to the series 0, 1, 2, 5, 10, 20, 50, 100 ... A
// negative count is 0. Rules see rounded counts only.
func Round(n int) int {
	if n <= 0 {
		return 0
	}
	step := 1
	for step <= n/10 {
		step *= 10
	}
	switch d := n / step; {
	case d >= 5:
		return 5 * step
	case d >= 2:
		return 2 * step
	default:
		return step
	}
}

// roundUp is the smallest number of the series 0, 1, 2, 5, 10 ... that is not below n: a
// rule about amounts must not let pass what is above its limit.
func roundUp(n int) int {
	if n <= 0 || n > 5e17 {
		return max(n, 0)
	}
	for step := 1; ; step *= 10 {
		for _, digit := range [...]int{1, 2, 5} {
			if up := digit * step; up >= n {
				return up
			}
		}
	}
}

// isCurrency tells whether s is empty or three capital letters.
func isCurrency(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return len(s) == 0 || len(s) == 3
}

// ErrInput is wrapped by the errors that Decide returns for an Input that is
// outside its bounds. The caller denies and looks for the defect in itself.
var ErrInput = errors.New("policy input is out of bounds")

// The closed lists of Input's members.
var (
	directions  = [...]string{Request, Response}
	effects     = [...]string{"read", "write", "delete", "admin"}
	scopes      = [...]string{"one", "bulk", "export"}
	credentials = [...]string{"", CredentialAdded}
	marks       = [...]string{"", "anonymous", "preflight", "handshake", "signed", "auth"}
)

// validate checks bounds and closed lists. It names the member, never its value.
func (in *Input) validate() error {
	if in.V != 0 && in.V != InputVersion {
		return fmt.Errorf("%w: version %d, this engine knows %d", ErrInput, in.V, InputVersion)
	}
	for _, f := range [...]struct{ member, value string }{
		{"tenant", in.Tenant}, {"route", in.Route}, {"channel", in.Channel}, {"operation", in.Operation}, {"many", in.Many},
		{"method", in.Method}, {"purpose", in.Purpose}, {"network", in.Network},
		{"actor.kind", in.Actor.Kind}, {"actor.strength", in.Actor.Strength},
	} {
		if len(f.value) > maxName {
			return fmt.Errorf("%w: %s is longer than %d bytes", ErrInput, f.member, maxName)
		}
	}
	p := &in.Payment
	for _, word := range [...]string{p.Token, p.Payment, p.Place, p.Account, p.Order, p.Currency, p.Balance, p.Key} {
		if len(word) > maxName {
			return fmt.Errorf("%w: a word of payment is longer than %d bytes", ErrInput, maxName)
		}
	}
	if p.Tokens < 0 || p.Amount < 0 || !isCurrency(p.Unit) {
		return fmt.Errorf("%w: payment has a number below zero, or a unit that is no currency", ErrInput)
	}
	for _, f := range [...]struct {
		member, value string
		allowed       []string
	}{
		{"direction", in.Direction, directions[:]},
		{"effect", in.Effect, effects[:]},
		{"scope", in.Scope, scopes[:]},
		{"credential", in.Credential, credentials[:]},
		{"mark", in.Mark, marks[:]},
	} {
		if !slices.Contains(f.allowed, f.value) {
			return fmt.Errorf("%w: %s is none of its values", ErrInput, f.member)
		}
	}
	if len(in.Rollouts) > maxRollouts {
		return fmt.Errorf("%w: more than %d rollouts", ErrInput, maxRollouts)
	}
	for _, s := range in.Rollouts {
		if len(s) > maxName {
			return fmt.Errorf("%w: the name of a rollout is longer than %d bytes", ErrInput, maxName)
		}
	}
	if len(in.Actor.Roles) > maxRoles || len(in.Actor.Grants) > maxGrants {
		return fmt.Errorf("%w: more than %d roles or %d grants", ErrInput, maxRoles, maxGrants)
	}
	for _, list := range [...][]string{in.Actor.Roles, in.Actor.Grants} {
		for _, s := range list {
			if len(s) > maxName {
				return fmt.Errorf("%w: a role or grant is longer than %d bytes", ErrInput, maxName)
			}
		}
	}
	for _, list := range [...][]string{in.Networks, in.Regions, in.Hours, in.Actor.Regions} {
		if len(list) > maxNetworks {
			return fmt.Errorf("%w: more than %d names of networks, regions or hours", ErrInput, maxNetworks)
		}
		for _, s := range list {
			if !isWord(s) {
				return fmt.Errorf("%w: a network, a region or hours have a name that is none", ErrInput)
			}
		}
	}
	if len(in.Subject.Flags) > maxFlags {
		return fmt.Errorf("%w: more than %d flags", ErrInput, maxFlags)
	}
	for _, s := range in.Subject.Flags {
		if !isWord(s) {
			return fmt.Errorf("%w: a flag has a name that is none", ErrInput)
		}
	}
	if len(in.Actor.AMR) > len(factor)+1 || len(in.Actor.ACR) > maxName || in.Actor.Age < 0 {
		return fmt.Errorf("%w: the login has too many methods, a long class or an age below zero", ErrInput)
	}
	for _, method := range in.Actor.AMR {
		if !knownMethod(method) {
			return fmt.Errorf("%w: a method of the login is none of its values", ErrInput)
		}
	}
	if in.Approvals < 0 || in.Approvals > MostApprovers {
		return fmt.Errorf("%w: approvals is not between 0 and %d", ErrInput, MostApprovers)
	}
	if len(in.Findings) > maxFindings {
		return fmt.Errorf("%w: more than %d findings rows", ErrInput, maxFindings)
	}
	for _, f := range in.Findings {
		if f.Class == "" || len(f.Class) > maxName {
			return fmt.Errorf("%w: a finding's class is empty or longer than %d bytes", ErrInput, maxName)
		}
		if !slices.Contains(places[:], f.Place) {
			return fmt.Errorf("%w: a finding's place is none of its values", ErrInput)
		}
	}
	return nil
}

// ParsePurpose checks the purpose a caller declared: 1 to 64 of a-z, 0-9, dot,
// underscore and hyphen, starting with a letter. Free text is refused, because a
// purpose stands in the log and in the decision cache.
func ParsePurpose(s string) (string, bool) {
	if len(s) == 0 || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return "", false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return "", false
		}
	}
	return s, true
}

// MethodClass is the value of Input.Method for an HTTP method.
func MethodClass(method string) string {
	switch method {
	case "GET", "HEAD":
		return "safe"
	case "OPTIONS":
		return "options"
	}
	return "unsafe"
}
