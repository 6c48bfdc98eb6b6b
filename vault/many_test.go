package vault_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caregate/caregate/vault"
)

var manyValues = flag.Int("values", 4_000, "values that TestManyValues keeps and brings back; `make torture` has it do 100,000")

// valueOf is a value that follows from its number: any bytes, of any length that may be
// kept, now and then one that another number has too.
func valueOf(n int) (scope string, v vault.Value) {
	r := rand.New(rand.NewPCG(1, uint64(n-n%16*(n%3/2)))) // some numbers share a value
	text := make([]byte, 1+r.IntN(64))
	if r.IntN(50) == 0 {
		text = make([]byte, vault.MaxValue-r.IntN(3))
	}
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	kinds := [...]string{vault.KindPayment, "email_address", "phone_number", "bank_account"}
	return [...]string{"", "", "conversation 7"}[r.IntN(3)], vault.Value{Kind: kinds[r.IntN(len(kinds))], Text: text}
}

// VT4, V3, V12: many callers keep values and bring values back at the same time, in
// two vaults on one database, while keys are rotated. Every value comes back byte for
// byte, equal ones have one token and others never the same.
func TestManyValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vaults := []*vault.Vault{open(t, dir), open(t, dir)}
	tokens := make([]atomic.Pointer[string], *manyValues)
	var next, revealed atomic.Int64
	back := func(ctx context.Context, v *vault.Vault, n int) error {
		token := tokens[n].Load()
		if token == nil {
			return nil // somebody is at it
		}
		got, err := v.Reveal(ctx, *token)
		if err != nil {
			return fmt.Errorf("value %d: %w", n, err)
		}
		revealed.Add(1)
		if _, want := valueOf(n); !bytes.Equal(got.Text, want.Text) || got.Kind != want.Kind {
			return fmt.Errorf("value %d came back as another", n)
		}
		return nil
	}
	var callers, rotation sync.WaitGroup
	turns := make(chan *vault.Vault, 16) // to rotate the keys, eight times or nine
	rotation.Go(func() {
		for v := range turns {
			err := v.Rotate(context.Background())
			if err == nil {
				_, err = v.Rewrap(context.Background())
			}
			if err != nil {
				t.Error(err) // and goes on, for who waits for its turn
			}
		}
	})
	for c := range 64 {
		callers.Go(func() {
			ctx, v, r := context.Background(), vaults[c%2], rand.New(rand.NewPCG(2, uint64(c)))
			for {
				n := int(next.Add(1)) - 1
				if n >= len(tokens) {
					return
				}
				if n%(1+len(tokens)/8) == 0 {
					turns <- v
				}
				scope, value := valueOf(n)
				is, err := v.Tokenize(ctx, scope, 0, []vault.Value{value})
				if err == nil {
					err = is.Keep(ctx)
				}
				if err == nil {
					tokens[n].Store(&is.Tokens[0].Text)
					err = back(ctx, v, r.IntN(n+1))
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	close(turns)
	rotation.Wait()
	if t.Failed() {
		return
	}
	fresh := opened(t, dir, vault.Config{})
	byValue, byToken := make(map[string]string), make(map[string]string)
	for n := range tokens {
		must(t, back(t.Context(), fresh, n))
		scope, value := valueOf(n)
		name, token := scope+"/"+value.Kind+"/"+string(value.Text), *tokens[n].Load()
		if was, ok := byValue[name]; ok && was != token {
			t.Fatalf("value %d has two tokens", n)
		}
		if was, ok := byToken[token]; ok && was != name {
			t.Fatalf("value %d has the token of another", n)
		}
		byValue[name], byToken[token] = token, name
	}
	t.Logf("%d calls to keep %d values, %d brought back meanwhile and %d afterwards", len(tokens), len(byValue), revealed.Load()-int64(len(tokens)), len(tokens))
}
