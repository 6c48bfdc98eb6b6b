package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/caregate/caregate/vault"
)

func TestSealOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	ann, bob := subject(t, v, "email", "ann@example.com"), subject(t, v, "email", "bob@example.com")
	actor, err := v.Actor(t.Context(), "key:1")
	must(t, err)
	ad := vault.AD("acme/audit/2026h2", [16]byte{1}, "subject")
	for _, s := range []vault.Subject{ann, bob, actor} {
		for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("long"), 5000)} {
			sealed, err := v.Seal(s, ad, plain)
			must(t, err)
			if len(plain) > 1 && bytes.Contains(sealed.Ciphertext, plain[:8]) {
				t.Error("the ciphertext holds the text")
			}
			got, err := v.Open(t.Context(), sealed, ad)
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("Open: got %d bytes, %v, want %d bytes", len(got), err, len(plain))
			}
		}
	}

	sealed, err := v.Seal(ann, ad, []byte("detail"))
	must(t, err)
	again, err := v.Seal(ann, ad, []byte("detail"))
	must(t, err)
	if bytes.Equal(sealed.Ciphertext, again.Ciphertext) || bytes.Equal(sealed.Commitment, again.Commitment) {
		t.Error("sealing is not random: equal details would show")
	}
	other, err := v.Seal(bob, ad, []byte("detail"))
	must(t, err)

	for _, tc := range []struct {
		name   string
		sealed vault.Sealed
		ad     []byte
		want   error
	}{
		{"other shard", sealed, vault.AD("acme/audit/2027h1", [16]byte{1}, "subject"), vault.ErrSealed},
		{"other event", sealed, vault.AD("acme/audit/2026h2", [16]byte{2}, "subject"), vault.ErrSealed},
		{"other class", sealed, vault.AD("acme/audit/2026h2", [16]byte{1}, "actor"), vault.ErrSealed},
		{"other person's key", vault.Sealed{Key: other.Key, Ciphertext: sealed.Ciphertext, Commitment: sealed.Commitment}, ad, vault.ErrSealed},
		{"other message's commitment", vault.Sealed{Key: sealed.Key, Ciphertext: sealed.Ciphertext, Commitment: again.Commitment}, ad, vault.ErrSealed},
		{"no commitment", vault.Sealed{Key: sealed.Key, Ciphertext: sealed.Ciphertext}, ad, vault.ErrSealed},
		{"cut short", vault.Sealed{Key: sealed.Key, Ciphertext: sealed.Ciphertext[:30], Commitment: sealed.Commitment}, ad, vault.ErrSealed},
		{"empty", vault.Sealed{}, ad, vault.ErrSealed},
		{"unknown version", vault.Sealed{Key: sealed.Key, Ciphertext: append([]byte{2}, sealed.Ciphertext[1:]...), Commitment: sealed.Commitment}, ad, vault.ErrSealed},
		{"unknown person", vault.Sealed{Key: "p1:00000000000000000000000000000000", Ciphertext: sealed.Ciphertext, Commitment: sealed.Commitment}, ad, vault.ErrNoKey},
		{"malformed key name", vault.Sealed{Key: "p1:zz", Ciphertext: sealed.Ciphertext, Commitment: sealed.Commitment}, ad, vault.ErrSealed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if plain, err := v.Open(t.Context(), tc.sealed, tc.ad); !errors.Is(err, tc.want) {
				t.Errorf("Open: got %d bytes, %v, want %v", len(plain), err, tc.want)
			}
		})
	}
	for i := range sealed.Ciphertext {
		bad := sealed
		bad.Ciphertext = bytes.Clone(sealed.Ciphertext)
		bad.Ciphertext[i] ^= 0x40
		if _, err := v.Open(t.Context(), bad, ad); !errors.Is(err, vault.ErrSealed) {
			t.Fatalf("byte %d flipped: got %v, want ErrSealed", i, err)
		}
	}

	// After a restart the key comes from the database.
	must(t, v.Close())
	w := open(t, dir)
	if got, err := w.Open(t.Context(), sealed, ad); err != nil || string(got) != "detail" {
		t.Errorf("Open after a restart: got %d bytes, %v", len(got), err)
	}
}

func TestADIsUnambiguous(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, shard := range []string{"", "a", "ab", "abc"} {
		for _, class := range []string{"", "a", "bc", "c"} {
			for _, event := range [][16]byte{{}, {'a'}} {
				ad, args := string(vault.AD(shard, event, class)), fmt.Sprint(shard, "|", event[0], "|", class)
				if other, ok := seen[ad]; ok {
					t.Errorf("%s and %s give the same associated data", args, other)
				}
				seen[ad] = args
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	v := open(f, f.TempDir())
	s := subject(f, v, "email", "ann@example.com")
	sealed, err := v.Seal(s, nil, []byte("detail"))
	must(f, err)
	f.Add(sealed.Key, sealed.Ciphertext, sealed.Commitment, []byte(nil))
	f.Add("p1:", []byte{1}, []byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, key string, ciphertext, commitment, ad []byte) {
		_, err := v.Open(t.Context(), vault.Sealed{Key: key, Ciphertext: ciphertext, Commitment: commitment}, ad)
		genuine := bytes.EqualFold([]byte(key), []byte(sealed.Key)) && bytes.Equal(ciphertext, sealed.Ciphertext) && bytes.Equal(commitment, sealed.Commitment) && len(ad) == 0
		if (err == nil) != genuine {
			t.Errorf("Open: got %v, genuine is %v", err, genuine)
		}
	})
}
