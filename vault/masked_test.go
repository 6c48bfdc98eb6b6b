package vault_test

import (
	"testing"

	"github.com/caregate/caregate/vault"
)

// A masked value shows four characters at most, and nothing of a short one.
func TestMasked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"a card":               {"4111111111111111", "XXXXXXXXXXXX1111"},
		"a number in groups":   {"078-05-1120", "XXX-XX-1120"},
		"a reference":          {"PAYREF-00-77-alpha", "XXXXXX-XX-XX-Xlpha"},
		"eight characters":     {"12345678", "XXXXXXXX"},
		"nothing":              {"", ""},
		"an address":           {"jane.longname@example.com", "XXXX.XXXXXXXX@XXXXXXX.XXX"},
		"letters of two bytes": {"Jörg-12345678", "XXXXX-XXXX5678"},
		"a last one of two":    {"123456789é", "XXXXXXX89XX"},
	} {
		if got := (vault.Value{Kind: "x", Text: []byte(tc.text)}).Masked(); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

// V9: a name says nothing about whether a token exists, and no forged text has one.
func TestTokenName(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{{Kind: "iban", Text: []byte("DE89370400440532013000")}})
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := v.TokenName("<" + is.Tokens[0].Text + ">"); !ok || name != is.Tokens[0].Name {
		t.Error("a token's name is not the one of its issue")
	}
	for _, text := range []string{"", "hello", "ptk1000000000000000000000000000000", is.Tokens[0].Text[:33]} {
		if name, ok := v.TokenName(text); ok || name != "" {
			t.Error("what is no token has a name")
		}
	}
}
