package detect

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// Ways in which people write cards and social security numbers in chats, mails,
// tickets and transcripts, and what looks like them and is none.
func TestFormsOfPeople(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	only := map[redact.Class]bool{redact.CreditCard: true, redact.USSSN: true, redact.CardVerificationCode: true, redact.CardPIN: true}
	for name, want := range map[string]string{
		"first and second half":         "its ⟦credit_card|4111-1111 1111-1111⟧",
		"the last half glued":           "number ⟦credit_card|4111 1111 11111111⟧",
		"pairs":                         "here ⟦credit_card|41 11 11 11 11 11 11 11⟧ is my visa",
		"glued on both sides":           "CC:⟦credit_card|4111111111111111⟧exp12/27cvv⟦card_verification_code|123⟧",
		"brackets":                      "(⟦credit_card|4111) (1111) (1111) (1111⟧)",
		"blanks around hyphens":         "⟦credit_card|4111 - 1111 - 1111 - 1111⟧",
		"dots in a row":                 "⟦credit_card|4111...1111...1111...1111⟧ is the card",
		"one line each":                 "visa\n⟦credit_card|4111\n1111\n1111\n1111⟧",
		"a dump":                        "⟦credit_card|4111111111111111⟧|12|2027|⟦card_verification_code|123⟧",
		"date and code behind":          "⟦credit_card|4111111111111111⟧ 12/27 ⟦card_verification_code|123⟧ John Doe",
		"amex in even groups":           "amex ⟦credit_card|378 282 246 310 005⟧",
		"a maestro":                     "maestro ⟦credit_card|6759 6498 2643 8453⟧",
		"an address":                    "https://pay.example/?cc=⟦credit_card|4111111111111111⟧&exp=1227",
		"Markdown":                      "**⟦credit_card|4111111111111111⟧** and `⟦credit_card|5555555555554444⟧`",
		"plus signs":                    "card ⟦credit_card|4111+1111+1111+1111⟧",
		"thousands":                     "⟦credit_card|4,111,111,111,111,111⟧ is my card number",
		"two side by side":              "⟦credit_card|4111 1111 1111 1111⟧/⟦credit_card|5555 5555 5555 4444⟧",
		"single digits in groups":       "⟦credit_card|4-1-1-1 1-1-1-1 1-1-1-1 1-1-1-1⟧",
		"words among numerals":          "my number is ⟦credit_card|4111 one one one one 1111 1111⟧",
		"fillers between numerals":      "⟦credit_card|4111 uh 1111 um 1111 and 1111⟧",
		"said dashes":                   "its ⟦credit_card|4111 dash 1111 dash 1111 dash 1111⟧ ok?",
		"said in Spanish":               "el número es ⟦credit_card|4111 y luego 1111, después 1111 y 1111⟧",
		"said in German":                "⟦credit_card|4111 Strich 1111 ähm 1111 und dann 1111⟧",
		"said in French":                "c'est ⟦credit_card|4111, ensuite 1111 tiret 1111 et puis 1111⟧",
		"an amex, said":                 "⟦credit_card|3782 uh 822463 and then 10005⟧",
		"the last four, said":           "⟦credit_card|4111 1111 then 1111 and the last four digits are 1111⟧ exp 12/27",
		"in turns":                      "Customer: ⟦credit_card|4111 1111\nAgent: okay, go ahead\nCustomer: uh 1111\nAgent: yes\nCustomer: 1111⟧",
		"a quoted blank between two":    "⟦credit_card|5555-5555-5555-4444⟧=20⟦credit_card|5555-5555-5555-4444⟧",
		"an escaped escape, others by":  "card ⟦credit_card|&#61;34111 1111 1111 1111⟧ and =34 and ４",
		"other digits and escapes":      "card ⟦credit_card|４111 =31111 1111 1111⟧",
		"equals signs":                  "⟦credit_card|4111=1111=1111=1111⟧",
		"tildes and number signs":       "⟦credit_card|4111~1111~1111~1111⟧, ⟦credit_card|5555#5555#5555#4444⟧",
		"long hyphens":                  "⟦credit_card|4111 -- 1111 -- 1111 -- 1111⟧",
		"three dots":                    "⟦credit_card|4111 ... 1111 ... 1111 ... 1111⟧",
		"four spaces":                   "⟦credit_card|4111    1111    1111    1111⟧",
		"an amex, dots and blanks":      "⟦credit_card|3782 .. 822463 .. 10005⟧",
		"strings in brackets":           "[\"⟦credit_card|4111\",\"1111\",\"1111\",\"1111⟧\"]",
		"strings of a card":             "card: ⟦credit_card|4111', '1111', '1111', '1111⟧'",
		"semicolons, named":             "visa ⟦credit_card|4111;1111;1111;1111⟧",
		"numbered names":                "cc1=⟦credit_card|4111 cc2=1111 cc3=1111 cc4=1111⟧ exp=1227",
		"numbered names in an address":  "https://pay.example/new?n1=⟦credit_card|4111&n2=1111&n3=1111&n4=1111⟧&type=visa",
		"numbers in brackets":           "card[1]: ⟦credit_card|4111, card[2]: 1111, card[3]: 1111, card[4]: 1111⟧",
		"numbered names of others":      "q1=4111 q2=1111 q3=1111 q4=1112, week1: 4111 week3: 1111 week4: 1111 week5: 1111, order1=4111 order2=1111 order3=1111 order4=1111",
		"each group read back":          "so ⟦credit_card|4900 yep 4900 then 9221 yep 9221 then 4647 yep and 0941⟧ ok",
		"read back in turns":            "Customer: my card is ⟦credit_card|4111\nAgent: 4111\nCustomer: 1111\nAgent: 1111\nCustomer: 1111\nAgent: 1111\nCustomer: 1111⟧\nAgent: thanks",
		"a quoted line end":             "> my card is ⟦credit_card|4111 1111\n> 1111 1111⟧\n> exp 10/27",
		"escaped entities":              "&lt;p&gt;card ⟦credit_card|4111&amp;nbsp;1111&amp;nbsp;1111&amp;nbsp;1111⟧&lt;/p&gt;",
		"a link to a telephone":         "<tel:⟦credit_card|4111111111111111⟧|⟦credit_card|4111 1111 1111 1111⟧>",
		"an order in another sentence":  "Paid by card. Order number 4111111111111111, where is it",
		"orders in other languages":     "sipariş numaram 4111111111111111, رقم الطلب 4111111111111111",
		"a code with its name behind":   "amex ⟦credit_card|3782 822463 10005⟧, ⟦card_verification_code|7731⟧ cid",
		"a customer id":                 "my 4821 cid is wrong",
		"a retrieval number":            "pan=⟦credit_card|4111111111111111⟧ result=51 rrn=606012345674",
		"letters x, named":              "my card ⟦credit_card|4111x1111x1111x1111⟧",
		"unlike signs, named":           "card ⟦credit_card|4111 -- 1111 ~ 1111 = 1111⟧",
		"fillers, no check digit":       "4111 uh 1111 um 1111 and 1112",
		"fillers, other words":          "4111 people and 1111 then 1111 and 1111",
		"fillers, an order":             "orders 4111 and 1111 and 1111 and 1111",
		"fillers, more of them":         "4111 and 1111 and 1111 and 1111 and 2222",
		"semicolons":                    "4111;1111;1111;1111",
		"unlike signs":                  "4111 -- 1111 ~ 1111 = 1111",
		"a row of a table":              "4111    1111    1111    1111    2035    1877",
		"strings with a name":           "{\"codes\": [\"4111\",\"1111\",\"1111\",\"1111\"]}",
		"tracking, long hyphens":        "tracking 4111 -- 1111 -- 1111 -- 1111",
		"letters for digits":            "my card is ⟦credit_card|4OOO O566 5566 5556⟧",
		"ssn, words behind":             "⟦us_ssn|536 22 8145⟧ is my social",
		"ssn, hyphen and blank":         "my social: ⟦us_ssn|536-22 8145⟧",
		"ssn, blank and dot":            "ssn ⟦us_ssn|536 22.8145⟧",
		"ssn, bracket in front":         "ssn (⟦us_ssn|536) 22-8145⟧",
		"ssn, long dashes":              "ssn: ⟦us_ssn|536\u201322\u20138145⟧",
		"ssn, commas":                   "for SSN I have ⟦us_ssn|536, 22, 8145⟧",
		"ssn, five and four":            "my social ⟦us_ssn|5362 28145⟧",
		"ssn, underscores":              "ssn ⟦us_ssn|536_22_8145⟧",
		"ssn, in Spanish":               "numero de seguro social ⟦us_ssn|536228145⟧",
		"pin":                           "my pin number: ⟦card_pin|1234⟧",
		"unlike separators, not named":  "it was 536-22 8145",
		"unlike separators, far named":  "I have no ssn, the parcel is 536-22 8145",
		"a local number and a postcode": "zip 53622-8145, phone 536-228-145",
		"an order":                      "my order #4111111111111111 has not arrived",
		"an IMEI":                       "IMEI: 35-693803-564380-9",
		"an invoice":                    "invoice 2024-0001-0002-0003",
		"an address of an order":        "https://x.example/orders/4111111111111111",
		"nobody's number":               "1234 5678 9012 3456 and 0000 0000 0000 0000",
		"a UUID":                        "uuid 41111111-1111-1111-1111-111111111111",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// In a long text, more is known of what stands where.
			for _, want := range []string{want, want + "\n\n" + strings.Repeat("lorem ipsum ", 30)} {
				text := unmark(want)
				if got := mark(text, d.Text(nil, []byte(text), Hint{}), only); got != want {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			}
		})
	}
}
