package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
)

// The id of a token's row is the time at which it was drawn and 80 random bits, so that
// the index of ids goes on growing at its end: a page of it takes the ids of many tokens, where
// ids drawn at random alone change one page each. What the token says is the id enciphered by one
// block of AES under a key of the deployment, a permutation of all ids: who has not
// the key sees 128 random bits (V2), no two tokens meet, and one look-up leads from either
// to the other's row.
//
// Rows from before have random ids, which are what their tokens say, and so have originals
// of masks, whose ids follow from their place. A row tells by its time of creation which it
// is, and both are looked for.

// labelOrder separates the key of this permutation from other uses of the check key.
const labelOrder = "token order"

// newOrder is the permutation of a tenant.
func newOrder(check *branch, tenant string) (cipher.Block, error) {
	key := check.compute(appendPart(appendPart(nil, labelOrder), tenant))
	return aes.NewCipher(key[:])
}

// timed puts the lower 48 bits of a time in milliseconds in front of what was drawn.
func timed(id *[idSize]byte, at int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(at)<<16)
	copy(id[:6], b[:6])
}

// saidBy is what the token of a row says.
func (v *Vault) saidBy(id [idSize]byte, created int64) (said [idSize]byte) {
	drawn := id
	if timed(&drawn, created); drawn != id {
		return id
	}
	v.order.Encrypt(said[:], id[:])
	return said
}

// rowsOf are the ids under which the row of a token can be that says this, of which it
// has one at most.
func (v *Vault) rowsOf(said [idSize]byte) (ids [2][idSize]byte) {
	v.order.Decrypt(ids[0][:], said[:])
	ids[1] = said
	return ids
}

// drawID draws the id of a token's row, until its token is one that may be issued.
func (v *Vault) drawID(created int64) (id [idSize]byte) {
	var buf [TokenSize]byte
	for {
		rand.Read(id[:]) // never fails: the runtime ends the process first
		timed(&id, created)
		said := v.saidBy(id, created)
		if issuable(appendForm(buf[:0], tokenForm{said, v.checkOf(said)})) {
			return id
		}
	}
}
