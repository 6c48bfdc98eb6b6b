package policy

import (
	"errors"
	"slices"
	"strings"
)

// endings are the words that a pattern may end in.
var endings = [...]string{"read", "write", "delete", "admin", "bulk", "export"}

// errGrant says what a grant looks like.
var errGrant = errors.New(`a grant is CHANNEL:OPERATION as "zendesk:ticket.create", or with a pattern as "zendesk:ticket.*" or "zendesk:*", a pattern optionally followed by /read, /write, /delete, /admin, /bulk or /export`)

// ParseGrant checks the form of a grant: CHANNEL:OPERATION[/ENDING].
//
// CHANNEL is a channel's name or "*". OPERATION is an operation's name, which
// covers that operation whatever it does, or a pattern: "family.*" or "*". A bare
// pattern covers reads, writes and deletes of single records; with /read, /write
// or /delete only these; bulk, export and administrative calls are covered by a
// pattern only with /bulk, /export or /admin.
func ParseGrant(s string) error {
	channel, op, ok := strings.Cut(s, ":")
	if !ok || len(s) > maxName || !isName(channel, "*") {
		return errGrant
	}
	op, ending, ended := strings.Cut(op, "/")
	family, pattern := strings.CutSuffix(op, ".*")
	pattern = pattern || op == "*"
	switch {
	case ended && (!pattern || !slices.Contains(endings[:], ending)):
		return errGrant
	case op == "*":
		return nil
	case !isName(family, ""):
		return errGrant
	}
	return nil
}

// Covers tells whether a grant covers a call, as the rules have it (wanted in
// rego/access.rego). It is for telling how much a grant is used, and permits nothing.
func Covers(grant, channel, operation, effect, scope string) bool {
	of, op, ok := strings.Cut(grant, ":")
	if !ok || of != channel && of != "*" {
		return false
	}
	op, ending, ended := strings.Cut(op, "/")
	if !ended && op == operation {
		return true
	}
	family, _, _ := strings.Cut(operation, ".")
	if op != "*" && op != family+".*" {
		return false
	}
	switch {
	case effect == "admin":
		return scope == "one" && ending == "admin"
	case scope == "one":
		return !ended || ending == effect
	}
	return ending == scope
}

// isName tells whether s is a name of lower-case letters, digits and ._-, or the
// wildcard.
func isName(s, wildcard string) bool {
	if s == "" {
		return false
	}
	if s == wildcard {
		return true
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
