package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"sync"
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

// order is the permutation of a tenant. It is safe for concurrent use.
type order struct {
	block cipher.Block
	// rooms are *[idSize]byte: what is given to an interface is on the heap, id by id.
	rooms sync.Pool
}

func newOrder(check *branch, tenant string) (*order, error) {
	key := check.compute(appendPart(appendPart(nil, labelOrder), tenant))
	block, err := aes.NewCipher(key[:])
	return &order{block: block, rooms: sync.Pool{New: func() any { return new([idSize]byte) }}}, err
}

func (o *order) encipher(id [idSize]byte) [idSize]byte {
	room := o.rooms.Get().(*[idSize]byte)
	defer o.rooms.Put(room)
	*room = id
	o.block.Encrypt(room[:], room[:])
	return *room
}

func (o *order) decipher(said [idSize]byte) [idSize]byte {
	room := o.rooms.Get().(*[idSize]byte)
	defer o.rooms.Put(room)
	*room = said
	o.block.Decrypt(room[:], room[:])
	return *room
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
	return v.order.encipher(id)
}

// rowsOf are the ids under which the row of a token can be that says this, of which it
// has one at most.
func (v *Vault) rowsOf(said [idSize]byte) (ids [2][idSize]byte) {
	return [...][idSize]byte{v.order.decipher(said), said}
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
