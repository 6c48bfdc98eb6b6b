package detect

import (
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// TestTokens runs testdata/tokens.txt: every line is exact.
func TestTokens(t *testing.T) {
	t.Parallel()
	testMarked(t, newDetector(t), "testdata/tokens.txt", 120, redact.Secret, redact.Password, redact.CryptoAddress, redact.PaymentReference, redact.Email, redact.IPAddress)
}

// The floor is that of BenchmarkHostile.
func BenchmarkHostileTokens(b *testing.B) {
	// What the other families cost is theirs to show.
	own := slices.DeleteFunc(families(), func(f family) bool {
		return !slices.Contains([]string{"tokens", "seeds", "passwords", "mail", "ip"}, f.name)
	})
	d, err := newDetectorOf(Config{}, own)
	if err != nil {
		b.Fatal(err)
	}
	for name, piece := range hostile(b, "tokens") {
		text := []byte(strings.Repeat(piece, 1<<18/len(piece)))
		b.Run(name, func(b *testing.B) {
			var found []redact.Finding
			b.SetBytes(int64(len(text)))
			done := cpuRate(b, len(text))
			for b.Loop() {
				found = d.Text(found[:0], text, Hint{})
			}
			done()
		})
	}
}
