package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// idSize is the length of a person's row id: random, so it says nothing.
const idSize = 16

// Sorts of person. They never share a key: erasing a customer must not erase who
// looked, and a colleague can be a customer.
const (
	sortSubject = "subject"
	sortActor   = "actor"
)

// Subject is a person with a key; the zero Subject is nobody. It may be copied
// and used concurrently, and is meant to live as long as one exchange.
type Subject struct{ p *person }

// IsZero tells that the Subject is nobody.
func (s Subject) IsZero() bool { return s.p == nil }

// Pseudonym is the person's name in the log shard called origin:
// HMAC-SHA-256 under a branch of the person's key, cut to 16 bytes. It cannot be
// computed, nor linked across shards, once the key is destroyed. Nobody's
// pseudonym is all zero.
func (s Subject) Pseudonym(origin string) [16]byte {
	if s.p == nil {
		return [16]byte{}
	}
	// One log has one open shard at a time, so remembering one answer is enough.
	if last := s.p.last.Load(); last != nil && last.origin == origin {
		return last.name
	}
	m := hmac.New(sha256.New, s.p.nameKey[:])
	m.Write([]byte(origin))
	n := &named{origin: origin, name: [16]byte(m.Sum(nil))}
	s.p.last.Store(n)
	return n.name
}

// String shows nothing: a Subject is a key.
func (s Subject) String() string { return redacted }

// GoString shows nothing.
func (s Subject) GoString() string { return redacted }

// MarshalJSON shows nothing.
func (s Subject) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue shows nothing.
func (s Subject) LogValue() slog.Value { return slog.StringValue(redacted) }

// redacted is what every printing of a key shows.
const redacted = "[key]"

// secret is a key in memory; however it is printed it shows a fixed word.
type secret [32]byte

func (secret) String() string               { return redacted }
func (secret) GoString() string             { return redacted }
func (secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (secret) LogValue() slog.Value         { return slog.StringValue(redacted) }

// named is the pseudonym that was computed last.
type named struct {
	origin string
	name   [16]byte
}

// person is a row of the table of that name with its key unwrapped. Everything
// but last is written once, before the person is shared.
type person struct {
	id      [idSize]byte
	keyName string
	seal    *mac // under the branch for sealing
	nameKey secret
	loaded  time.Time
	last    atomic.Pointer[named]
}

// newPerson derives the branches of a person's key.
func newPerson(id [idSize]byte, key []byte, now time.Time) (*person, error) {
	p := &person{id: id, keyName: keyPrefix + hex.EncodeToString(id[:]), loaded: now}
	var sealKey secret
	for _, b := range []struct {
		label string
		dst   *secret
	}{{"caregate person seal v1", &sealKey}, {"caregate person name v1", &p.nameKey}} {
		k, err := hkdf.Expand(sha256.New, key, b.label, len(b.dst))
		if err != nil {
			return nil, fmt.Errorf("deriving a person's keys: %w", err)
		}
		copy(b.dst[:], k)
		clear(k)
	}
	p.seal = newMAC(sealKey[:])
	return p, nil
}

// personAD is the associated data of a wrapped key: every other column of its row
// (V15).
func personAD(tenant, sort string, id [idSize]byte, created int64) []byte {
	b := appendPart(make([]byte, 0, 64), "caregate person v1")
	b = appendPart(b, tenant)
	b = appendPart(b, sort)
	b = append(b, id[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(created))
}
