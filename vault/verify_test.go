package vault_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
)

// What is typed is compared with what the kind of value is known by, and a near miss is
// like any other.
func TestVerify(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	for name, tc := range map[string]struct {
		kind, text, typed string
		want              bool
	}{
		"a card":                          {"credit_card", "4111 1111 1111 1117", "1117", true},
		"one digit off":                   {"credit_card", "4111 1111 1111 1117", "1118", false},
		"the first digits":                {"credit_card", "4242111111111117", "4242", false},
		"a social security number":        {"us_ssn", "078-05-1120", "1120", true},
		"a taxpayer number":               {"us_itin", "912-70-1234", "1234", true},
		"a telephone number":              {"phone", "+1 (415) 555-0132", "0132", true},
		"its extension":                   {"phone", "+1 (415) 555-0132 ext. 9876", "9876", false},
		"without its extension":           {"phone", "+1 (415) 555-0132 ext. 9876", "0132", true},
		"a short number":                  {"phone", "411411", "1411", false},
		"an account":                      {"iban", "DE89 3704 0044 0532 0130 00", "3000", true},
		"three digits":                    {"us_ssn", "078-05-1120", "120", false},
		"all digits":                      {"us_ssn", "078-05-1120", "078051120", false},
		"nothing":                         {"us_ssn", "078-05-1120", "", false},
		"digits and a letter":             {"us_ssn", "078-05-1120", "112o", false},
		"an address":                      {"email", "Jane.Roe@example.com", "jane.roe@EXAMPLE.com", true},
		"another address":                 {"email", "Jane.Roe@example.com", "jane.ro@example.com", false},
		"the end of an address":           {"email", "jane1234@example.com", "1234", false},
		"digits of an address of digits":  {"email", "4155550132@example.com", "0132", false},
		"a reference of a payment":        {vault.KindPayment, "ch_3MqZlPLkdIwHu7ix0123", "0123", false},
		"an address for something else":   {"us_ssn", "078-05-1120", "a@b", false},
		"a date of birth":                 {"date_of_birth", "1990-01-02", "0102", false},
		"digits that are digits in other": {"us_ssn", "078-05-1120", "١١٢٠", false},
	} {
		is, err := v.Tokenize(t.Context(), "", 0, []vault.Value{{Kind: tc.kind, Text: []byte(tc.text)}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := v.Verify(t.Context(), is.Tokens[0].Text, tc.typed)
		if err != nil || got.Matches != tc.want || got.Kind != tc.kind || got.Subject.IsZero() {
			t.Errorf("%s: got %+v, %v, want %t", name, got, err, tc.want)
		}
	}
}

// V9: what is no token, one that has expired and one of another deployment have the error
// of every token that is not to be turned back.
func TestVerifyOfNoToken(t *testing.T) {
	t.Parallel()
	v, other := open(t, t.TempDir()), open(t, t.TempDir())
	issue := func(v *vault.Vault, life time.Duration) string {
		is, err := v.Tokenize(t.Context(), "", life, []vault.Value{{Kind: "us_ssn", Text: []byte("078051120")}})
		if err != nil {
			t.Fatal(err)
		}
		return is.Tokens[0].Text
	}
	for name, token := range map[string]string{
		"forged": "ptk1000000000000000000000000000000", "none": "hello", "foreign": issue(other, 0), "over": issue(v, time.Nanosecond),
	} {
		if got, err := v.Verify(t.Context(), token, "1120"); !errors.Is(err, vault.ErrToken) || got != (vault.Verified{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// What can be typed at all does not depend on any token.
func TestVerifiable(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]bool{
		"1120": true, "0000": true, "a@b": true, "": false, "112": false, "11200": false, "1 20": false, "112x": false, "@b": false, "a@": false, " a@b": false,
	} {
		if got := vault.Verifiable(typed); got != want {
			t.Errorf("%q: got %t, want %t", typed, got, want)
		}
	}
}
