package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	aead "github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// Layout of a ciphertext: one byte of version, the salt, then what Tink's AES-GCM
// puts out (nonce, ciphertext, tag).
const (
	sealVersion = 1
	saltSize    = 16 // the nonce of AES-GCM is random too: together 224 bits
	sealedMin   = 1 + saltSize + aead.AESGCMIVSize + aead.AESGCMTagSize
	commitSize  = 32
)

// sealLabel separates this use of a person's key from others.
const sealLabel = "caregate seal v1"

// keyPrefix starts Sealed.Key; the number is the version of the form.
const keyPrefix = "p1:"

var (
	// ErrNoKey is returned by Open when the person's key does not exist: it was
	// destroyed, or never belonged to this vault.
	ErrNoKey = errors.New("the key of this detail does not exist")
	// ErrSealed is returned by Open for a ciphertext that was damaged, moved to
	// another place or sealed under another key; which of them is not told.
	ErrSealed = errors.New("the sealed detail does not open")
)

// Sealed is an encrypted detail with what is needed to open it.
type Sealed struct {
	// Key names the person's key in vault.db. It is random, not personal.
	Key string
	// Ciphertext is version, salt, nonce, ciphertext and tag.
	Ciphertext []byte
	// Commitment binds the ciphertext to one key and one associated data. The audit
	// leaf hashes it beside the ciphertext.
	Commitment []byte
}

// AD encodes the associated data of a detail: the origin of its shard, the event
// and the part of the details. Different arguments never give equal bytes.
func AD(shard string, event [16]byte, class string) []byte {
	b := make([]byte, 0, len(shard)+len(class)+len(event)+4)
	b = appendPart(b, shard)
	b = append(b, event[:]...)
	return appendPart(b, class)
}

// Seal encrypts plaintext under the person's key. The associated data must be
// given to Open again; make it with AD. The zero Subject is an error: there is no
// key for nobody, and a caller that has no subject seals under the actor.
func (v *Vault) Seal(s Subject, ad, plaintext []byte) (Sealed, error) {
	if err := v.usable(); err != nil {
		return Sealed{}, err
	}
	if s.p == nil {
		return Sealed{}, errors.New("sealing a detail for nobody")
	}
	head := make([]byte, 1+saltSize)
	head[0] = sealVersion
	rand.Read(head[1:]) // never fails: the runtime ends the process first
	okm := s.p.derive(sealLabel, head, ad)
	c, err := aead.NewAESGCM(okm[:32])
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing a detail: %w", err)
	}
	body, err := c.Encrypt(plaintext, ad)
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing a detail: %w", err)
	}
	return Sealed{Key: s.p.keyName, Ciphertext: append(head, body...), Commitment: okm[32:]}, nil
}

// Open decrypts what Seal made with the same associated data. The errors are
// ErrNoKey and ErrSealed, and those of the database.
func (v *Vault) Open(ctx context.Context, sealed Sealed, ad []byte) ([]byte, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	if len(sealed.Ciphertext) < sealedMin || len(sealed.Commitment) != commitSize {
		return nil, ErrSealed
	}
	if sealed.Ciphertext[0] == sealPeriodVersion {
		return v.openIn(ctx, sealed, ad)
	}
	if sealed.Ciphertext[0] != sealVersion {
		return nil, ErrSealed
	}
	id, err := parseKeyName(sealed.Key)
	if err != nil {
		return nil, err
	}
	p, err := v.byID(ctx, id)
	if err != nil {
		return nil, err
	}
	okm := p.derive(sealLabel, sealed.Ciphertext[:1+saltSize], ad)
	// The commitment first: without it a ciphertext could be made that opens under
	// two keys to two different texts.
	if subtle.ConstantTimeCompare(okm[32:], sealed.Commitment) != 1 {
		return nil, ErrSealed
	}
	c, err := aead.NewAESGCM(okm[:32])
	if err != nil {
		return nil, fmt.Errorf("opening a detail: %w", err)
	}
	plain, err := c.Decrypt(sealed.Ciphertext[1+saltSize:], ad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// derive gives 32 bytes of AES key and 32 bytes of commitment for one message.
// appendDerived gives as many of these bytes as are wanted, a multiple of 32.
// Version, salt and associated data are the context of the derivation, so the
// commitment covers them as well as the key. The label separates uses.
func (p *person) derive(label string, head, ad []byte) []byte {
	return p.appendDerived(make([]byte, 0, 32+commitSize), label, head, ad, 32+commitSize)
}

func (p *person) appendDerived(dst []byte, label string, head, ad []byte, size int) []byte {
	var buf [256]byte
	info := append(buf[:0], label...)
	info = appendPart(info, head)
	info = append(info, ad...)
	return p.seal.expand(dst, info, size)
}

func parseKeyName(name string) (id [idSize]byte, err error) {
	h, ok := strings.CutPrefix(name, keyPrefix)
	if !ok || len(h) != hex.EncodedLen(idSize) {
		return id, ErrSealed
	}
	if _, err := hex.Decode(id[:], []byte(h)); err != nil {
		return id, ErrSealed
	}
	return id, nil
}
