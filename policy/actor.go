package policy

import "log/slog"

// OwnChannel is the channel name of the gateway's own API.
const OwnChannel = "caregate"

// Kinds of actor, by what was presented.
const (
	KindAnonymous   = "anonymous"   // nothing was presented
	KindKey         = "key"         // one of our API keys
	KindToken       = "token"       // a signed token of a configured issuer
	KindCertificate = "certificate" // a client certificate that a listener verified
	KindVendor      = "vendor"      // the vendor's own credential
	KindWebhook     = "webhook"     // a vendor's webhook whose signature was verified
	KindLocal       = "local"       // somebody who may open the gateway's unix socket
)

// Strengths of an identity.
const (
	StrengthNone       = "none"       // nobody is known
	StrengthCredential = "credential" // a credential is known, not the person
	StrengthAsserted   = "asserted"   // a credential is known, and it claims a person
	StrengthProven     = "proven"     // an issuer, certificate or signature proves who
)

// Actor is who calls. Asserted and Proven are personal and belong into sealed
// details only; String and LogValue leave them out.
type Actor struct {
	// ID is stable and not personal: key:<id>, user:<digest>, cert:<digest>, vendor:<digest>,
	// oauth:<digest>, webhook:<channel>, local or anonymous.
	ID string
	// Kind and Strength are constants of this package.
	Kind, Strength string
	// Roles and Grants are sorted.
	Roles, Grants []string
	// Regions are those of the person, as the issuer's claim says, sorted; nil where no claim
	// does.
	Regions []string
	// Asserted is the user the call claims; Proven the one an issuer vouches for.
	Asserted, Proven string
	// Mismatch tells that Asserted is not Proven.
	Mismatch bool
	// MFA tells that a second factor was proven.
	MFA bool
	// AMR are the methods of RFC 8176 by which they logged in, sorted, ACR the class of
	// the login where the issuer's configuration names it, Age its age in minutes as
	// RoundAge has it; 0 when nobody knows.
	AMR []string
	ACR string
	Age int
}

// Input is the part of an actor that rules may see.
func (a *Actor) Input() InputActor {
	return InputActor{Kind: a.Kind, Strength: a.Strength, Roles: a.Roles, Grants: a.Grants, Regions: a.Regions,
		Asserts: a.Asserted != "", Mismatch: a.Mismatch, MFA: a.MFA, AMR: a.AMR, ACR: a.ACR, Age: a.Age}
}

// String shows the ID only.
func (a Actor) String() string { return a.ID }

// GoString shows the ID only.
func (a Actor) GoString() string { return a.ID }

// LogValue leaves out who the person is.
func (a Actor) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", a.ID), slog.String("kind", a.Kind), slog.String("strength", a.Strength),
		slog.Any("roles", a.Roles), slog.Bool("mismatch", a.Mismatch), slog.Bool("mfa", a.MFA))
}
