package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// mac is HMAC-SHA-256 (RFC 2104) under one key. Setting a key up costs more than
// one of our short messages, so states that have it are kept. It is safe for
// concurrent use.
type mac struct{ states sync.Pool }

// newMAC takes the key over; the caller does not change it.
func newMAC(key []byte) *mac {
	return &mac{states: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sum appends the MAC of the parts, one behind the other, to dst.
func (m *mac) sum(dst []byte, parts ...[]byte) []byte {
	h := m.states.Get().(hash.Hash)
	h.Reset()
	for _, p := range parts {
		h.Write(p) // never fails (package hash)
	}
	dst = h.Sum(dst)
	m.states.Put(h)
	return dst
}

// expand appends HKDF-Expand (RFC 5869 section 2.3) of info to dst: size bytes,
// a multiple of 32. It is crypto/hkdf's without a new key each time.
func (m *mac) expand(dst, info []byte, size int) []byte {
	var last []byte
	for n := byte(1); size > 0; n, size = n+1, size-macSize {
		at := len(dst)
		dst = m.sum(dst, last, info, []byte{n})
		last = dst[at:]
	}
	return dst
}
