package vault_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/vault"
)

// VT6, V2, V6, V7: somebody has vault.db and the file of the check keys, knows the first
// digits of a thousand cards, and tries twenty thousand numbers by every way in which a
// plain digest, or one under a key that is not secret, could have been made. Nothing is
// recovered. With the index key all are: so the trial can see, and so that key has to be
// guarded like the master key.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	const cards, tried = 1000, 20_000
	v := open(t, t.TempDir())
	r := rand.New(rand.NewPCG(3, 4))
	number := func(n int) []byte { return fmt.Appendf(nil, "4242420%09d", n) } // no check digit: it would only thin them out
	values := make([]vault.Value, cards)
	for i, n := range r.Perm(tried)[:cards] {
		values[i] = vault.Value{Kind: "credit_card", Text: number(n)}
	}
	is, err := v.Tokenize(t.Context(), "", 0, values)
	must(t, err)
	must(t, is.Keep(t.Context()))

	// What the tables show beside ciphertext: each column of each row, and its first half.
	shown := map[string]bool{}
	for _, column := range vault.ColumnsOfTokens(t.Context(), v) {
		shown[string(column)] = true
		if len(column) >= 32 {
			shown[string(column[:16])] = true
		}
	}
	if len(shown) < 3*cards {
		t.Fatalf("only %d columns to compare with", len(shown))
	}
	keyed := func(key []byte) func(b []byte) []byte {
		return func(b []byte) []byte {
			m := hmac.New(sha256.New, key)
			m.Write(b)
			return m.Sum(nil)
		}
	}
	digests := []func(b []byte) []byte{
		func(b []byte) []byte { s := md5.Sum(b); return s[:] },
		func(b []byte) []byte { s := sha1.Sum(b); return s[:16] },
		func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
		func(b []byte) []byte { s := sha256.Sum256(b); return s[:16] },
		func(b []byte) []byte { s := sha512.Sum512(b); return s[:32] },
		keyed(nil), keyed(make([]byte, 32)), keyed([]byte(vault.DefaultTenant)),
		func(b []byte) []byte { return vault.CheckMAC(v, b) },
	}
	recovered := func(digests ...func(b []byte) []byte) (n int) {
		for c := range tried {
			plain := number(c)
			if slices.ContainsFunc(digests, func(d func([]byte) []byte) bool {
				return shown[string(d(plain))] || shown[string(d(vault.BlindInput(v, "", "credit_card", plain)))]
			}) {
				n++
			}
		}
		return n
	}
	if n := recovered(digests...); n > 0 {
		t.Errorf("%d of %d cards were recovered without the index key", n, cards)
	}
	if n := recovered(func(b []byte) []byte { return vault.IndexMAC(v, b) }); n != cards {
		t.Errorf("%d of %d cards were recovered with the index key: the trial does not see", n, cards)
	}
}
