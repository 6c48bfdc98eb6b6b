package vault

import (
	"bytes"
	"testing"
	"time"

	aead "github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// TestTokensOpenAsTinkSealed holds the values of tokens against Tink's AES-GCM, which sealed
// them before and reads them the same way, and against another person, row and version.
func TestTokensOpenAsTinkSealed(t *testing.T) {
	t.Parallel()
	p, err := newPerson([idSize]byte{1}, bytes.Repeat([]byte{7}, 32), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	other, err := newPerson([idSize]byte{2}, bytes.Repeat([]byte{8}, 32), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	ad, kept := []byte("a row"), []byte("a value")
	head := append([]byte{sealVersion}, bytes.Repeat([]byte{3}, saltSize)...)
	c, err := aead.NewAESGCM(p.derive(tokenLabel, head, ad)[:32])
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.Encrypt(kept, ad)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.openToken(append(head, body...), ad); err != nil || !bytes.Equal(got, kept) {
		t.Errorf("what Tink sealed: got %q, %v", got, err)
	}
	sealed, err := p.sealToken(ad, kept)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = aead.NewAESGCM(p.derive(tokenLabel, sealed[:1+saltSize], ad)[:32]); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decrypt(sealed[1+saltSize:], ad); err != nil || !bytes.Equal(got, kept) {
		t.Errorf("Tink reads what was sealed: got %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another row":     func() ([]byte, error) { return p.openToken(sealed, []byte("b row")) },
		"another person":  func() ([]byte, error) { return other.openToken(sealed, ad) },
		"another version": func() ([]byte, error) { return p.openToken(append([]byte{sealVersion + 1}, sealed[1:]...), ad) },
		"one byte less":   func() ([]byte, error) { return p.openToken(sealed[:len(sealed)-1], ad) },
		"the head alone":  func() ([]byte, error) { return p.openToken(sealed[:1+saltSize], ad) },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s opens", name)
		}
	}
}
