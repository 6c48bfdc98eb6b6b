package proxy

import (
	"encoding/binary"
	"flag"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/vault"
)

var tokenCount = flag.Int("tokens", 20_000, "tokens to show to the detector; `make torture` shows it 1,000,000")

// VT1, V4: a detector that knows nothing of tokens finds nothing in them that counts as
// data of a person or a card, by themselves and beside words that ask for it.
func TestTokensLookLikeNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := vault.Create(t.Context(), dir, vault.Config{}); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), dir, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	det, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	const batch = 1000
	for n := 0; n < *tokenCount; n += batch {
		values := make([]vault.Value, batch)
		for i := range values {
			values[i] = vault.Value{Kind: "iban", Text: binary.BigEndian.AppendUint32(nil, uint32(n+i)|1<<31)}
		}
		issue, err := v.Tokenize(t.Context(), "", 0, values)
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range issue.Tokens {
			for _, text := range []string{tok.Text, "card number " + tok.Text + " exp", "ssn: " + tok.Text + ", phone " + tok.Text + " IBAN " + tok.Text} {
				for _, f := range det.Text(nil, []byte(text), detect.Hint{Key: "card_number"}) {
					t.Fatalf("%s by the rule %q in %s", f.Class, f.Rule, text)
				}
			}
		}
		// And with the vault's knowledge beside words of any other class.
		knowing, err := detect.New(detect.Config{Ours: v.Spans})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"password", "cvv", "pin", "ssn", "api_key", "seed_phrase", "account_number"} {
			for _, tok := range issue.Tokens[:50] {
				var found []redact.Finding
				if found = knowing.Text(found, []byte(tok.Text), detect.Hint{Key: key}); len(found) > 0 {
					t.Fatalf("beside %s: found as %s", key, found[0].Class)
				}
			}
		}
	}
}
