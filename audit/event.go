package audit

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ID is the name of an event or an exchange: 48 bits of Unix time in milliseconds and
// 80 random bits, so that it cannot be guessed and ids sort about as they were drawn,
// which lets an index of millions grow at its end. In receipts and leaves it is 32
// lower-case hexadecimal digits.
type ID [16]byte

// NewID draws an ID. It cannot fail: crypto/rand ends the process rather than return
// predictable bytes.
func NewID() ID {
	var id ID
	binary.BigEndian.PutUint64(id[:8], uint64(time.Now().UnixMilli())<<16)
	_, _ = rand.Read(id[6:])
	return id
}

// String prints the 32 lower-case hexadecimal digits of a receipt.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the ID was never drawn.
func (id ID) IsZero() bool { return id == ID{} }

// ParseID reads a receipt. It accepts exactly what String prints.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, errors.New("a receipt has 32 hexadecimal digits")
	}
	for i := range id {
		hi, lo := fromHex(s[2*i]), fromHex(s[2*i+1])
		if hi > 15 || lo > 15 {
			return ID{}, errors.New("a receipt has lower-case hexadecimal digits only")
		}
		id[i] = hi<<4 | lo
	}
	return id, nil
}

// Pseudonym is the keyed name of a person or a vendor's record inside one shard:
// an HMAC whose key the vault holds. The log cannot turn it back (invariant A13).
type Pseudonym [16]byte

// Event is what a caller records. Its strings must be ids, names and codes of
// closed or configured lists: nothing personal, nothing guessable, no digest of
// either (invariant A12). What may identify a person goes into Details, sealed.
//
// Zero values mean "not applicable" and leave the field out of the leaf.
type Event struct {
	// ID names the event; the zero ID makes Append draw one. It is the receipt.
	ID ID
	// Exchange ties the events of one request and its response together.
	Exchange ID
	// Class is the OCSF class number used for export, for example 4002 (HTTP
	// Activity) or 6003 (API Activity).
	Class int
	// Type is our verb: request.decided, response.decided, config.loaded ...
	// Required.
	Type string

	// Tenant and Route name the configured place the call came through.
	Tenant, Route string
	// Decision is "allow" or "deny"; DecisionDeny makes the event subject to
	// pacing, see Flood.
	Decision string
	// Reason is the catalogue's code for the decision.
	Reason string
	// Policy is the digest of the policy bundle which decided.
	Policy string
	// Input is the data-free policy input as JSON text, which a draft policy can
	// be replayed on. At most MaxInput bytes.
	Input string

	// Actor is the keyed pseudonym of who called.
	Actor Pseudonym
	// Mail is the keyed pseudonym of the e-mail address that the call named as its user,
	// or that a token vouched for; Identity says which. Behind one credential there may
	// be many.
	Mail Pseudonym
	// Identity is the strength of the actor's identity: credential, asserted or
	// proven; vendor for what a vendor's own log tells.
	Identity string
	// MFA says that the identity was proven with a second factor.
	MFA bool
	// Roles are the actor's roles, sorted and made unique by Append.
	Roles []string

	// Channel, Operation, Effect and Scope say what was called, in the words of
	// the channel file.
	Channel, Operation, Effect, Scope string
	// Purpose is the declared purpose; Network the class of the origin network.
	Purpose, Network string

	// Status is the HTTP status given to the caller.
	Status int
	// Forwarded says that the upstream saw the call.
	Forwarded bool
	// Outcome says what became of the bytes: OutcomeReleased,
	// OutcomeNotReleased, OutcomeCut ... (invariant A3).
	Outcome string

	// Released counts findings per class by what left the gateway.
	Released []Count
	// Subjects and Records are the persons and vendor records the call touched.
	// Together at most MaxRefs; over 256 they continue in further leaves of the
	// same commit.
	Subjects, Records []Ref
	// Tokens are ids of vault tokens used or issued (never the tokens). At most MaxRefs;
	// over 64 they continue like subjects and records.
	Tokens []string

	// Details are the sealed parts. They live outside the tree; the leaf holds
	// their digests only.
	Details []Sealed
	// Retention is the retention class of the details.
	Retention string

	// Attrs carries what only one type of event has, for example the digest of a
	// loaded configuration. Names and values follow the rule for strings above.
	Attrs map[string]string

	// Flood names the caller for pacing: when one caller causes more than
	// Config.DenyRate denials in a second, its further denials are counted
	// together in one leaf. It is held in memory only and never stored.
	Flood string
}

// Values of Event.Decision and Event.Outcome.
const (
	DecisionAllow = "allow"
	DecisionDeny  = "deny"

	OutcomeReleased    = "released"
	OutcomeNotReleased = "not_released"
	// OutcomeCut: a part was released, as its own events say, and no end.
	OutcomeCut = "cut"
)

// Types of the leaves that the log writes by itself.
const (
	TypeGenesis        = "log.genesis"  // the first of a log
	TypeShardOpened    = "shard.opened" // the first of each later shard
	TypeShardClosed    = "shard.closed" // the last of a shard
	TypeClockStepped   = "clock.stepped"
	TypeIndexSealed    = "index.sealed"
	TypeDenialsCounted = "denials.counted"
)

// Types of the leaves about a log that a vendor keeps. Such a leaf is no observation of
// ours: its Identity is IdentityVendor.
const (
	// TypeVendorEvent is one entry of the vendor's log.
	TypeVendorEvent = "vendor.event"
	// TypeVendorCovered says that the log was read between two instants.
	TypeVendorCovered = "vendor.covered"
	// TypeVendorGap says that it was not, or that it cannot be relied on there.
	TypeVendorGap = "vendor.gap"

	IdentityVendor = "vendor"
)

// Count is what became of the findings of one data class.
type Count struct {
	// Class is the data class; "*" stands for bytes that nobody inspected.
	Class string
	// How many left in the clear, masked, tokenized, dropped, or unread.
	Clear, Masked, Tokenized, Dropped, NotInspected int
}

// Ref is a subject or record with the data classes of it that were released in
// the clear. A masked value is not a release.
type Ref struct {
	ID      Pseudonym
	Classes []string
}

// Sealed is one part of an event's details, encrypted by the vault.
type Sealed struct {
	// Part is "subject" or "actor": the parts are sealed apart, so that erasing a
	// customer never erases who looked.
	Part string
	// Key names the key it is sealed under.
	Key string
	// Ciphertext is opaque here. Commitment binds it to one key; its digest stands
	// in the leaf.
	Ciphertext, Commitment []byte
}

// Limits of one event.
const (
	// MaxLeaf is the largest leaf in bytes. tlog-tiles ends entries at 65,535; a
	// quarter of it keeps a bundle of 256 within a few MiB.
	MaxLeaf = 16 << 10
	// MaxInput bounds Event.Input in bytes.
	MaxInput = 4 << 10
	// MaxRefs bounds subjects and records of one event together: a page of 1,000
	// tickets has about 2,000; a larger export is recorded page by page.
	MaxRefs = 16384
	// MaxDetail bounds the ciphertexts of one event together, in bytes.
	MaxDetail = 256 << 10
)

// ErrEvent is wrapped by errors about an event that cannot be written because of
// its own content: too long, not UTF-8, a count below zero. Nothing was stored
// and the log goes on.
var ErrEvent = errors.New("event cannot be recorded")

func eventError(field, what string) error {
	return fmt.Errorf("%w: %s %s", ErrEvent, field, what)
}

// fromHex gives the value of a lower-case hexadecimal digit, 255 for others.
func fromHex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}
