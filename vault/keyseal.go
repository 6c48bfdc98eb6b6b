package vault

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	aead "github.com/tink-crypto/tink-go/v2/aead/subtle"
	"golang.org/x/crypto/argon2"
)

// KeySeal encrypts key files: each under a key of its own, which the KeySeal wraps. It
// is made by NewPassphrase, NewKeyFileSeal or package awskms. Calls may come concurrently.
type KeySeal interface {
	// Kind is the word that stands in the file: which seal it needs.
	Kind() string
	// Wrap encrypts the 32 bytes of the key of the file called name. What it returns is
	// a JSON object, stored beside the keyset, and holds all that Unwrap needs.
	Wrap(ctx context.Context, name string, key []byte) (json.RawMessage, error)
	// Unwrap is the reverse. Its error wraps ErrKeySeal when the seal is another one,
	// and repeats nothing of a passphrase or key.
	Unwrap(ctx context.Context, name string, wrapped json.RawMessage) ([]byte, error)
}

// Kinds of seals.
const (
	sealNone       = "none"
	sealPassphrase = "passphrase"
	sealKeyFile    = "key_file"
)

var (
	// ErrKeySeal is wrapped by the refusal of key files that the configured seal does
	// not open: a wrong passphrase, another key, files in clear where a seal is
	// configured, or the reverse.
	ErrKeySeal = errors.New("the key files do not open")
	// ErrWeakSeal is returned for a passphrase or key file that could be guessed.
	ErrWeakSeal = errors.New("this could be guessed")
)

// fileKeySize is the length of the key of a key file, in bytes.
const fileKeySize = 32

// shortestPassphrase is what a passphrase has at least, in bytes. With Argon2id as below
// twelve random letters take an attacker with a thousand machines longer than keys live.
const shortestPassphrase = 12

// Cost of a guess: the second of the recommended choices of RFC 9106 section 4, for
// machines that cannot spare 2 GiB at each start.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

// What a key file may ask for at most, so that a damaged one cannot take the machine.
const (
	argonMostTime    = 64
	argonMostMemory  = 2 << 20 // KiB
	argonMostThreads = 64
)

// passphrase seals with a key that is derived from words.
type passphrase struct {
	words []byte

	// All three files are made with one salt, so that a start derives once.
	mu   sync.Mutex // owns last and key
	last argonParams
	key  []byte
}

// argonParams say how a key was derived (RFC 9106).
type argonParams struct {
	Salt    string `json:"salt"` // random text, at least 128 bits
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory"` // KiB
	Threads uint8  `json:"threads"`
}

// wrappedByPassphrase is what stands in a key file.
type wrappedByPassphrase struct {
	KDF string `json:"kdf"`
	argonParams
	Key []byte `json:"key"`
}

// NewPassphrase is the seal of a passphrase: Argon2id (RFC 9106), 64 MiB, then AES-256-GCM.
// White space around it does not count, because files end with a newline. One of fewer
// than 12 bytes is ErrWeakSeal.
func NewPassphrase(words string) (KeySeal, error) {
	w := bytes.TrimSpace([]byte(words))
	if len(w) < shortestPassphrase {
		return nil, fmt.Errorf("the passphrase of the key files has fewer than %d characters: %w", shortestPassphrase, ErrWeakSeal)
	}
	return &passphrase{words: w}, nil
}

// Kind implements KeySeal.
func (*passphrase) Kind() string { return sealPassphrase }

// derive gives the key for some parameters, the newest from memory.
func (p *passphrase) derive(a argonParams) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == nil || p.last != a {
		p.key = argon2.IDKey(p.words, []byte(a.Salt), a.Time, a.Memory, a.Threads, fileKeySize)
		p.last = a
	}
	return p.key
}

// params are those of the files that were opened last, else new ones.
func (p *passphrase) params() argonParams {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key != nil {
		return p.last
	}
	return argonParams{Salt: rand.Text(), Time: argonTime, Memory: argonMemory, Threads: argonThreads}
}

// Wrap implements KeySeal.
func (p *passphrase) Wrap(_ context.Context, name string, key []byte) (json.RawMessage, error) {
	w := wrappedByPassphrase{KDF: "argon2id", argonParams: p.params()}
	var err error
	if w.Key, err = encryptUnder(p.derive(w.argonParams), key, sealAD(sealPassphrase, name)); err != nil {
		return nil, fmt.Errorf("sealing %s: %w", name, err)
	}
	return json.Marshal(w)
}

// Unwrap implements KeySeal.
func (p *passphrase) Unwrap(_ context.Context, name string, wrapped json.RawMessage) ([]byte, error) {
	var w wrappedByPassphrase
	if err := json.Unmarshal(wrapped, &w); err != nil || w.KDF != "argon2id" || len(w.Salt) < 16 || len(w.Salt) > 256 ||
		w.Time == 0 || w.Time > argonMostTime || w.Memory == 0 || w.Memory > argonMostMemory || w.Threads == 0 || w.Threads > argonMostThreads {
		return nil, fmt.Errorf("%s is damaged where it says how it is sealed; restore it from the backup of your keys: %w", name, ErrKeyFile)
	}
	key, err := decryptUnder(p.derive(w.argonParams), w.Key, sealAD(sealPassphrase, name))
	if err != nil {
		return nil, fmt.Errorf("%w: the passphrase is not the one that %s was sealed with", ErrKeySeal, name)
	}
	return key, nil
}

// String shows nothing: it is a key.
func (*passphrase) String() string { return redacted }

// GoString shows nothing.
func (*passphrase) GoString() string { return redacted }

// keyFileSeal seals with the bytes of a file.
type keyFileSeal struct{ key secret }

// Sizes of a key file's content, in bytes.
const (
	sealFileMin = 32
	sealFileMax = 4096
)

// NewKeyFileSeal is the seal of a file of 32 to 4096 random bytes, in any encoding: the
// bytes count as they are, without white space around them. The file must be closed to
// others, as ErrLooseMode says, and is read once.
func NewKeyFileSeal(path string) (KeySeal, error) {
	if err := checkMode(path, keyFileMode); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key file of the seal: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, sealFileMax+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key file of the seal: %w", err)
	}
	defer clear(raw)
	body := bytes.TrimSpace(raw)
	if len(body) < sealFileMin || len(raw) > sealFileMax {
		return nil, fmt.Errorf("%s: want %d to %d random bytes, for example from: head -c 32 /dev/urandom | base64: %w", path, sealFileMin, sealFileMax, ErrWeakSeal)
	}
	key, err := hkdf.Key(sha256.New, body, nil, "caregate key file seal v1", fileKeySize)
	if err != nil {
		return nil, fmt.Errorf("reading the key file of the seal: %w", err)
	}
	defer clear(key)
	return &keyFileSeal{secret(key)}, nil
}

// Kind implements KeySeal.
func (*keyFileSeal) Kind() string { return sealKeyFile }

// wrappedByKeyFile is what stands in a key file.
type wrappedByKeyFile struct {
	Key []byte `json:"key"`
}

// Wrap implements KeySeal.
func (s *keyFileSeal) Wrap(_ context.Context, name string, key []byte) (json.RawMessage, error) {
	c, err := encryptUnder(s.key[:], key, sealAD(sealKeyFile, name))
	if err != nil {
		return nil, fmt.Errorf("sealing %s: %w", name, err)
	}
	return json.Marshal(wrappedByKeyFile{c})
}

// Unwrap implements KeySeal.
func (s *keyFileSeal) Unwrap(_ context.Context, name string, wrapped json.RawMessage) ([]byte, error) {
	var w wrappedByKeyFile
	if err := json.Unmarshal(wrapped, &w); err != nil {
		return nil, fmt.Errorf("%s is damaged where it says how it is sealed; restore it from the backup of your keys: %w", name, ErrKeyFile)
	}
	key, err := decryptUnder(s.key[:], w.Key, sealAD(sealKeyFile, name))
	if err != nil {
		return nil, fmt.Errorf("%w: the key file is not the one that %s was sealed with", ErrKeySeal, name)
	}
	return key, nil
}

// String shows nothing: it is a key.
func (*keyFileSeal) String() string { return redacted }

// GoString shows nothing.
func (*keyFileSeal) GoString() string { return redacted }

// sealAD binds a wrapped key to the file that it is for.
func sealAD(kind, name string) []byte {
	return appendPart(appendPart(appendPart(nil, "caregate key seal v1"), kind), name)
}

func encryptUnder(key, plain, ad []byte) ([]byte, error) {
	c, err := aead.NewAESGCM(key)
	if err != nil {
		return nil, err
	}
	return c.Encrypt(plain, ad)
}

func decryptUnder(key, sealed, ad []byte) ([]byte, error) {
	c, err := aead.NewAESGCM(key)
	if err != nil {
		return nil, err
	}
	return c.Decrypt(sealed, ad)
}

var (
	_ KeySeal = (*passphrase)(nil)
	_ KeySeal = (*keyFileSeal)(nil)
)
