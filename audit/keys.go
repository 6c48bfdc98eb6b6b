package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// keyFile is where the signing key of a shard lies.
func keyFile(dir, shard string) string { return filepath.Join(dir, "audit-"+shard+".key") }

// newKey makes an Ed25519 note key for an origin: the private key's text and the
// verifier key.
func newKey(origin string) (private, verifier string, err error) {
	private, verifier, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", "", fmt.Errorf("making the log's key: %w", err)
	}
	return private, verifier, nil
}

// loadKey reads a signing key and derives its verifier key. Errors never quote
// the file.
func loadKey(path, origin string) (note.Signer, string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, "", fmt.Errorf("reading the log's key: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, "", fmt.Errorf("the log's key %s can be read by others: run chmod 600 on it", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("reading the log's key: %w", err)
	}
	signer, verifier, err := parseKey(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, "", fmt.Errorf("reading the log's key %s: %w", path, err)
	}
	if signer.Name() != origin {
		return nil, "", fmt.Errorf("the log's key %s belongs to another origin than %s", path, origin)
	}
	return signer, verifier, nil
}

// parseKey reads a signing key's text, PRIVATE+KEY+name+hash+data, where data,
// which may hold '+' itself, is one algorithm byte and the seed
// (c2sp.org/signed-note).
func parseKey(text string) (note.Signer, string, error) {
	bad := errors.New("not a note signing key")
	signer, err := note.NewSigner(text)
	if err != nil {
		return nil, "", bad
	}
	fields := strings.SplitN(text, "+", 5)
	if len(fields) != 5 {
		return nil, "", bad
	}
	raw, err := base64.StdEncoding.DecodeString(fields[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, "", bad
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return nil, "", bad
	}
	verifier, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return nil, "", bad
	}
	return signer, verifier, nil
}

// verifiers parses verifier keys for note.Open.
func verifiers(keys []string) (note.Verifiers, error) {
	var list []note.Verifier
	for _, k := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(k))
		if err != nil {
			return nil, errors.New("not a verifier key")
		}
		list = append(list, v)
	}
	return note.VerifierList(list...), nil
}
