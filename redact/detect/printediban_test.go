package detect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestPrintedIBAN: where the check digits of an IBAN are read first, everything is found
// that is found otherwise, in it and beside it.
func TestPrintedIBAN(t *testing.T) {
	t.Parallel()
	d, slow := newDetector(t), asking(t)
	accounts := []string{
		"DE89 3704 0044 0532 0130 00", "de89 3704 0044 0532 0130 00", "NO93 8601 1117 947", "BE68 5390 0754 7034", "AT61 1904 3002 3457 3201", "PL61 1090 1014 0000 0712 1981 2874",
		"DE89 3704 0044 0532 0130 01", "DE893704 0044 0532 0130 00", "DE89 3704 0044 0532 013000", "GB29 NWBK 6016 1331 9268 19",
		// Its last groups begin a card.
		ibanOf("DE", "100000004111111111"), ibanOf("BE", "500000004111"), ibanOf("AT", "2030122030124111"),
	}
	others := []string{
		"iban", "my", "card", "exp", "valid until", "cvv", "is the cvv", "pin", "code", "codice de seguridad", "security code", "last four", "ssn", "account", "pw", "password is", "senha:", "12/27", "123", "1111", "4111 1111 1111 1111", "4111 1111 1111 1111 12/27", "4111 1111 1111 1111 12/27",
		"1111 1111 1111", "uh 1111 um 1111 and 1111", "-- 1111 -- 1111 -- 1111", "XXXX", "X", "4O12 8888 8888 1881", "+49 30 123456", "10.0.0.1", "a1", "b22", "&#x", "%", "https://a.example/", "é", "カード", "12 March 1985",
	}
	signs := []string{" ", " ", " ", " ", " ", "\n", ", ", ". ", ": ", "; ", " (", ") ", "-", ".", ":", "/", "\"", "^", "=", "", "%", "_", "#", "é"}
	r := rand.New(rand.NewPCG(8, 1))
	taken := 0
	for n := range 3000 {
		var b strings.Builder
		for b.Len() < longText+r.IntN(100) {
			if r.IntN(2) == 0 {
				b.WriteString(accounts[r.IntN(len(accounts))])
			} else {
				b.WriteString(others[r.IntN(len(others))])
			}
			b.WriteString(signs[r.IntN(len(signs))])
		}
		text := []byte(b.String())
		h := Hint{Key: []string{"", "", "", "card", "iban", "expiry", "order_id", "ssn"}[r.IntN(8)]}
		got, want := d.Text(nil, text, h), slow.Text(nil, text, h)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("text %d: findings differ\ngot  %s\nwant %s", n, fmt.Sprint(got), fmt.Sprint(want))
		}
		taken += len(got)
	}
	if taken < 3000 {
		t.Errorf("%d findings in all: the texts hold too few", taken)
	}
}

// ibanOf is an IBAN in groups of four, with the right check digits.
func ibanOf(country, account string) string {
	for check := 2; check < 99; check++ {
		iban := fmt.Sprintf("%s%02d%s", country, check, account)
		if ibanEnd([]byte(iban), 0, len(iban)) > 0 {
			var b strings.Builder
			for i := range len(iban) {
				if i > 0 && i%4 == 0 {
					b.WriteByte(' ')
				}
				b.WriteByte(iban[i])
			}
			return b.String()
		}
	}
	return ""
}
