package vault

import (
	"bytes"
	"encoding/binary"

	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/prf/hmacprf"
)

// macSize is the length of every PRF output we store, in bytes.
const macSize = 32

// branch is one keyset of pseudo-random functions.
type branch struct {
	set     *prf.Set
	primary prf.PRF
	fast    *mac // primary's function, nil when that is not HMAC-SHA-256
}

func newBranch(h *keyset.Handle) (*branch, error) {
	set, err := prf.NewPRFSet(h)
	if err != nil {
		return nil, err
	}
	p := set.PRFs[set.PrimaryID]
	// One evaluation up front: a key that cannot give macSize bytes is refused at
	// start and compute never fails later.
	if _, err := p.ComputePRF(nil, macSize); err != nil {
		return nil, err
	}
	b := &branch{set: set, primary: p}
	entry, err := h.Primary()
	if err != nil {
		return nil, err
	}
	if k, ok := entry.Key().(*hmacprf.Key); ok && k.Parameters().(*hmacprf.Parameters).HashType() == hmacprf.SHA256 {
		b.fast = newMAC(k.KeyBytes().Data(insecuresecretdataaccess.Token{}))
	}
	return b, nil
}

// version names the key that compute uses.
func (b *branch) version() int64 { return int64(b.set.PrimaryID) }

// compute is the PRF of an input made by appendPart.
func (b *branch) compute(input []byte) [macSize]byte {
	if b.fast != nil {
		var out [macSize]byte
		b.fast.sum(out[:0], input)
		return out
	}
	out, err := b.primary.ComputePRF(bytes.Clone(input), macSize) // a copy: callers keep theirs off the heap
	if err != nil {
		// Output length was tried in newBranch and nothing else can fail.
		panic("vault: pseudo-random function failed: " + err.Error())
	}
	return [macSize]byte(out)
}

// appendPart appends a length-prefixed part, so that no two lists of parts give
// the same bytes.
func appendPart[T string | []byte](dst []byte, part T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(part)))
	return append(dst, part...)
}
