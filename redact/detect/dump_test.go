package detect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// The code in a row of a dump is found with every separator that dumps have, in every
// order of month and year, of every card, and in every one of several rows.
func TestDumps(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	only := map[redact.Class]bool{redact.CreditCard: true, redact.CardVerificationCode: true}
	for _, card := range []string{"4111111111111111", "5555-5555-5555-4444", "3782 822463 10005"} {
		for _, sep := range []string{"|", ":", ";", ",", "/", "-", "_", ".", " ", "\t", "=", "~", "#", " | ", ", ", " : ", " / ", "--", "||"} {
			for _, date := range []string{"12{}27", "01{}2031", "12/27", "0931", "092031"} {
				code := "123"
				if strings.HasPrefix(card, "37") {
					code = "1234"
				}
				want := fmt.Sprintf("⟦credit_card|%s⟧%s%s%s⟦card_verification_code|%s⟧%sJohn", card, sep, strings.ReplaceAll(date, "{}", sep), sep, code, sep)
				want = strings.Repeat(want+"\n", 3)
				text := unmark(want)
				if got := mark(text, d.Text(nil, []byte(text), Hint{}), only); got != want {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			}
		}
	}
}

func TestNoDumps(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, text := range map[string]string{
		"no month":               "4111111111111111:13:27:123",
		"another separator":      "4111111111111111:12;27:123",
		"five digits":            "4111111111111111:12:27:12345",
		"letters behind":         "4111111111111111:12:27:123abc",
		"no century":             "4111111111111111:123027:123",
		"a part of a serial no.": "4111111111111111-12-27-1234567",
		"nothing":                "4111111111111111:12:27:",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range d.Text(nil, []byte(text), Hint{}) {
				if f.Class == redact.CardVerificationCode {
					t.Errorf("a code by rule %q", f.Rule)
				}
			}
		})
	}
}
