package policy

import (
	"context"
	"errors"
	"time"

	"github.com/caregate/caregate/internal/store"
)

// Key is an API key as it is listed: everything but the key.
type Key struct {
	// ID names the key in lists, logs and rows; it is not secret.
	ID string `json:"id"`
	// Name is what the administrator called it.
	Name string `json:"name"`
	// Roles and Grants are what it may do.
	Roles  []string `json:"roles"`
	Grants []string `json:"grants"`
	// Created, Expires, LastUsed, Revoked: zero when not.
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	LastUsed time.Time `json:"last_used,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// NewKey asks for an API key.
type NewKey struct {
	Name          string
	Roles, Grants []string
	// Expires is when the key stops counting; zero: never.
	Expires time.Time
}

// Keys are the API keys in state.db. Safe for concurrent use.
type Keys struct{}

// KeysConfig are the arguments of OpenKeys.
type KeysConfig struct {
	// Digest is a keyed digest, as vault.(*Vault).Digest.
	Digest func(purpose string, b []byte) []byte
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// OpenKeys prepares the table of keys in state.db.
func OpenKeys(ctx context.Context, db *store.DB, c KeysConfig) (*Keys, error) { return &Keys{}, nil }

// Create makes a key. The Secret is shown once and stored nowhere.
func (k *Keys) Create(ctx context.Context, n NewKey) (Key, Secret, error) {
	return Key{}, "", errors.New("keys are being built")
}

// List returns all keys, revoked ones too, oldest first.
func (k *Keys) List(ctx context.Context) ([]Key, error) {
	return nil, errors.New("keys are being built")
}

// Rotate makes a successor with the same name, roles, grants and expiry. The old
// key stays valid for overlap, then it expires.
func (k *Keys) Rotate(ctx context.Context, id string, overlap time.Duration) (Key, Secret, error) {
	return Key{}, "", errors.New("keys are being built")
}

// Revoke ends a key at once.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	return errors.New("keys are being built")
}

// Verify finds the key that was presented.
func (k *Keys) Verify(ctx context.Context, presented Secret) (Key, error) {
	return Key{}, errors.New("keys are being built")
}

// Close waits for writes that are under way.
func (k *Keys) Close() error { return nil }
