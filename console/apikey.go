package console

import (
	"errors"
	"log/slog"
	"strings"
	"time"
)

// Secret is a new API key. It is printed in one answer, by apiKeyMade.
type Secret string

// String, GoString, LogValue and MarshalJSON print a fixed word.
func (Secret) String() string { return "[secret]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[secret]" }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }

// NewKey asks for an API key.
type NewKey struct {
	Name          string
	Roles, Grants []string
	// Expires is when the key stops counting; zero: never.
	Expires time.Time
}

// Key is an API key as it is listed: everything but the key.
type Key struct {
	// ID names the key in lists, logs and paths; it is not secret.
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Roles  []string `json:"roles"`
	Grants []string `json:"grants"`
	// Created, Expires, LastUsed and Revoked are zero when they do not apply.
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	LastUsed time.Time `json:"last_used,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// normal makes lists of nobody empty lists, so that programs always find arrays.
func (k Key) normal() Key {
	if k.Roles == nil {
		k.Roles = []string{}
	}
	if k.Grants == nil {
		k.Grants = []string{}
	}
	return k
}

// apiKeyMade is the answer that shows a key, once.
type apiKeyMade struct {
	Key    Key    `json:"key"`
	Secret string `json:"secret"`
}

// keyRefusal turns an error of Keys into an answer.
func keyRefusal(err error) *Refusal {
	var ref *Refusal
	switch {
	case errors.As(err, &ref):
		return ref
	case errors.Is(err, ErrNotFound):
		return refuse(reasonNotFound, "", err)
	case errors.Is(err, ErrInvalid):
		return refuse(reasonInvalid, strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "), err)
	}
	return refuse(reasonInternal, "", err)
}
