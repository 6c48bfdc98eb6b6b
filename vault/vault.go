package vault

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// DefaultTenant is the tenant of a deployment that has one.
const DefaultTenant = "default"

// Config are the options of Create and Open; the zero value is usable.
type Config struct {
	// Keys is the directory of the key files; empty: "keys" in the data directory.
	Keys string
	// Tenant names the tenant; empty: DefaultTenant.
	Tenant string
	// Cache is how many people's keys are held in memory; zero: 16,384.
	Cache int
	// CacheTime is for how long; zero: 10 minutes.
	CacheTime time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger gets warnings; nil discards.
	Logger *slog.Logger
}

// Ident is one way to recognise a person. Its Value is personal: an Ident prints
// its kind only.
type Ident struct {
	// Kind is "email", "phone" or "<channel>:<kind>", as "zendesk:user".
	Kind string
	// Value is the value as it stands in the call.
	Value string
}

// Sealed is an encrypted detail with what is needed to open it.
type Sealed struct {
	// Key names the person's key in vault.db. It is random, not personal.
	Key string
	// Ciphertext is version, salt, nonce, ciphertext and tag.
	Ciphertext []byte
	// Commitment binds the ciphertext to one key and one associated data.
	Commitment []byte
}

// Subject is a person with a key; the zero Subject is nobody.
type Subject struct{ id string }

// IsZero tells that the Subject is nobody.
func (s Subject) IsZero() bool { return s.id == "" }

// Pseudonym is the person's name in the log shard called origin.
func (s Subject) Pseudonym(origin string) [16]byte { return [16]byte{} }

// Vault is an open vault. It is safe for concurrent use.
type Vault struct{}

var errBuilding = errors.New("vault is being built")

// Create makes the key files and vault.db in the data directory dir.
func Create(ctx context.Context, dir string, c Config) error { return errBuilding }

// Open opens the vault of the data directory dir.
func Open(ctx context.Context, dir string, c Config) (*Vault, error) { return nil, errBuilding }

// Close closes vault.db and forgets all keys.
func (v *Vault) Close() error { return nil }

// Ready tells whether the vault can serve: vault.db answers and the key files are
// in place.
func (v *Vault) Ready(ctx context.Context) error { return errBuilding }

// Subjects finds or creates the people behind idents, in their order. An ident
// with nothing in it gives the zero Subject.
func (v *Vault) Subjects(ctx context.Context, idents []Ident) ([]Subject, error) {
	return nil, errBuilding
}

// Actor finds or creates the key of an actor, by policy's Actor.ID.
func (v *Vault) Actor(ctx context.Context, id string) (Subject, error) { return Subject{}, errBuilding }

// Record is the keyed pseudonym of a vendor's object.
func (v *Vault) Record(kind, id string) [16]byte { return [16]byte{} }

// Digest is a keyed digest of 32 bytes; equal bytes under different purposes have
// unrelated digests.
func (v *Vault) Digest(purpose string, b []byte) []byte { return nil }

// AD encodes the associated data of a detail: the origin of its shard, the event
// and the part of the details.
func AD(shard string, event [16]byte, class string) []byte { return nil }

// Seal encrypts plaintext under the person's key.
func (v *Vault) Seal(s Subject, ad, plaintext []byte) (Sealed, error) { return Sealed{}, errBuilding }

// Open decrypts what Seal made with the same associated data.
func (v *Vault) Open(ctx context.Context, sealed Sealed, ad []byte) ([]byte, error) {
	return nil, errBuilding
}
