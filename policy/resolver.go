package policy

import (
	"context"
	"errors"
)

// Presented is what a call brought along to say who it is.
type Presented struct {
	// Key is the Caregate-Key header; Token the Caregate-Token header.
	Key, Token Secret
	// Channel is the channel's name; VendorKind and VendorSecret are what
	// channel.Credential found: "bearer" is resolved through Whoami.
	Channel, VendorKind string
	VendorSecret        Secret
	// Asserted is the user the call claims, as channel.AssertedUser found it.
	Asserted string
	// Signed tells that the webhook signature over the raw bytes was verified.
	Signed bool
	// Whoami asks the vendor whose bearer this is; nil when the channel cannot.
	Whoami Whoami
}

// Whoami asks the vendor who holds a bearer. It is called at most once per
// bearer and cache time, and has its own deadline.
type Whoami func(ctx context.Context, bearer Secret) (Account, error)

// Account is the vendor's answer.
type Account struct {
	// User and Client are the vendor's ids of the user and the OAuth client.
	User, Client string
}

// ErrRefused is wrapped by every error that means: what was presented does not
// count. RefusalReason has the code. Other errors mean that nobody could look.
var ErrRefused = errors.New("credential refused")

// Resolver turns what was presented into an Actor. It is safe for concurrent use.
type Resolver struct{}

// Resolve finds the actor. A call that presents nothing is an anonymous actor
// and no error; a call that presents something invalid is an error, whatever
// else it presents.
func (r *Resolver) Resolve(ctx context.Context, p Presented) (Actor, error) {
	return Actor{}, errors.New("resolver is being built")
}

// RefusalReason is the reason code of an error of Resolve: credential_refused,
// token_expired, credential_conflict; identity_unavailable when it is not a
// refusal.
func RefusalReason(err error) string { return "identity_unavailable" }
