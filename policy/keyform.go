package policy

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"strings"
)

// The form of an API key: a prefix that secret scanners can look for, 128 random
// bits, and a keyed check, so that guesses and typing errors are refused without
// asking the database.
const (
	keyPrefix    = "cgk1"
	keyBodySize  = 26 // characters for 128 bits
	keyCheckSize = 4  // characters: 20 bits
	keySize      = len(keyPrefix) + keyBodySize + keyCheckSize
	keyIDSize    = 12 // characters of a key's name: 60 bits, enough never to meet twice
)

// crockford is Crockford's base 32 in lower case: no i, l, o, u.
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Purposes of the keyed digests of a key.
const (
	purposeKeyCheck = "api key check"
	purposeKey      = "api key"
)

// digestFunc is a keyed digest, as vault.(*Vault).Digest.
type digestFunc func(purpose string, b []byte) []byte

// newKeyText draws a key.
func newKeyText(digest digestFunc) Secret {
	var raw [16]byte
	rand.Read(raw[:]) // never fails: the runtime ends the process first
	body := crockford.EncodeToString(raw[:])
	return Secret(keyPrefix + body + keyCheck(digest, body))
}

// newKeyID draws the name of a key.
func newKeyID() string {
	var raw [8]byte
	rand.Read(raw[:])
	return crockford.EncodeToString(raw[:])[:keyIDSize]
}

func keyCheck(digest digestFunc, body string) string {
	return crockford.EncodeToString(digest(purposeKeyCheck, []byte(body))[:5])[:keyCheckSize]
}

// IsKey tells whether s has the form of an API key of the gateway, as far as everybody can
// see: only Keys.Verify knows whether it is one.
func IsKey(s string) bool {
	return len(s) == keySize && strings.HasPrefix(s, keyPrefix) && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') })
}

// parseKeyText gives the digest of a well-formed key whose check is right. Keys
// are compared by digest only, and the check in constant time, so neither the
// answer nor its time tells how much of a guess was right.
func parseKeyText(digest digestFunc, s Secret) (sum []byte, ok bool) {
	if len(s) != keySize || !strings.HasPrefix(string(s), keyPrefix) {
		return nil, false
	}
	body, check := string(s[len(keyPrefix):len(keyPrefix)+keyBodySize]), string(s[len(keyPrefix)+keyBodySize:])
	for i := range len(body) {
		if c := body[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return nil, false
		}
	}
	sum = digest(purposeKey, []byte(body))
	return sum, subtle.ConstantTimeCompare([]byte(check), []byte(keyCheck(digest, body))) == 1
}
