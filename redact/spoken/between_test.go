package spoken

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestMayBetween: where Between says something, MayBetween does not say no.
func TestMayBetween(t *testing.T) {
	t.Parallel()
	r, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	words := append(slices.Clone(r.dict.names[1:]), "order", "Jo Doe", "card", "x", "ü", "カード")
	signs := []string{" ", "  ", ", ", ": ", "\n", "-", "\t", "\n\n", "\u00a0", "\u2009", " — ", "–"}
	rnd := rand.New(rand.NewPCG(5, 50))
	said := 0
	for n := range 40_000 {
		var b strings.Builder
		b.WriteString([]string{"", "4111", "4111\n"}[rnd.IntN(3)])
		from := b.Len()
		for range 1 + rnd.IntN(4) {
			b.WriteString(signs[rnd.IntN(len(signs))])
			b.WriteString(words[rnd.IntN(len(words))])
		}
		b.WriteString(signs[rnd.IntN(len(signs))])
		to := b.Len()
		text := []byte(b.String() + "1111")
		if r.Between(text, from, to) == 0 {
			continue
		}
		if said++; !r.MayBetween(text, from, to) {
			t.Fatalf("text %d: %q may stand within a number", n, text[from:to])
		}
	}
	if said < 1000 {
		t.Errorf("only %d texts say something", said)
	}
}
