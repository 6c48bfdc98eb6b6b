package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
)

// TestMACIsTheLibraries holds our use of kept states against crypto/hmac,
// crypto/hkdf and Tink, several times over the same state.
func TestMACIsTheLibraries(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	m := newMAC(key)
	h, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBranch(h)
	if err != nil {
		t.Fatal(err)
	}
	if b.fast == nil {
		t.Fatal("the key of our own template is not recognised")
	}
	for _, n := range []int{0, 1, 55, 64, 65, 255, 256, 257, 300, 700} {
		in := bytes.Repeat([]byte("x"), n)
		want := hmac.New(sha256.New, key)
		want.Write(in)
		if got := m.sum(nil, in[:n/2], in[n/2:]); !bytes.Equal(got, want.Sum(nil)) {
			t.Errorf("MAC of %d bytes differs from crypto/hmac", n)
		}
		okm, err := hkdf.Expand(sha256.New, key, string(in), 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.expand([]byte("head"), in, 64); !bytes.Equal(got[4:], okm) {
			t.Errorf("expansion of %d bytes differs from crypto/hkdf", n)
		}
		tinks, err := b.set.ComputePrimaryPRF(in, macSize)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.compute(in); !bytes.Equal(got[:], tinks) {
			t.Errorf("PRF of %d bytes differs from Tink's", n)
		}
	}
}
