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
type mac struct{ states sync.Pool } // of *macState

// macState has room for what goes in and out: a hash is an interface, and what a caller gives
// to one is on the heap, message by message.
type macState struct {
	hash hash.Hash
	in   [256]byte
	out  [macSize]byte
}

// newMAC takes the key over; the caller does not change it.
func newMAC(key []byte) *mac {
	return &mac{states: sync.Pool{New: func() any { return &macState{hash: hmac.New(sha256.New, key)} }}}
}

// sum appends the MAC of the parts, one behind the other, to dst.
func (m *mac) sum(dst []byte, parts ...[]byte) []byte {
	s := m.states.Get().(*macState)
	s.hash.Reset()
	n := 0
	for _, p := range parts {
		for len(p) > 0 {
			if n == len(s.in) {
				s.hash.Write(s.in[:]) // never fails (package hash)
				n = 0
			}
			some := copy(s.in[n:], p)
			p, n = p[some:], n+some
		}
	}
	s.hash.Write(s.in[:n])
	dst = append(dst, s.hash.Sum(s.out[:0])...)
	clear(s.in[:])
	clear(s.out[:]) // nobody's details wait here for the next message
	m.states.Put(s)
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
