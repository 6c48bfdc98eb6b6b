package detect

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

// TestTokens runs testdata/tokens.txt: every line is exact.
func TestTokens(t *testing.T) {
	t.Parallel()
	testMarked(t, newDetector(t), "testdata/tokens.txt", 120, redact.Secret, redact.Password, redact.CryptoAddress, redact.PaymentReference, redact.Email, redact.IPAddress)
}
