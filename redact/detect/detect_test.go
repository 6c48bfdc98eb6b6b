package detect

import (
	"fmt"
	"testing"

	"github.com/caregate/caregate/redact"
)

func newDetector(t testing.TB) *Detector {
	t.Helper()
	d, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// marked returns text with each finding in angle brackets and its class in front, a
// letter for those that are enforced: a way to write expectations that people can
// read.
func marked(text string, found []redact.Finding) string {
	out, at := "", 0
	for _, f := range found {
		if f.Never && !f.Strong || hasOwnCorpus(f.Class) {
			continue // counted only, or tested elsewhere
		}
		out += text[at:f.Start] + shortClass(f.Class) + "<" + text[f.Start:f.End] + ">"
		at = f.End
	}
	return out + text[at:]
}

// hasOwnCorpus names the classes of testdata/tokens.txt.
func hasOwnCorpus(c redact.Class) bool {
	switch c {
	case redact.Email, redact.IPAddress, redact.Secret, redact.Password, redact.CryptoAddress, redact.PaymentReference:
		return true
	}
	return false
}

func shortClass(c redact.Class) string {
	switch c {
	case redact.CreditCard:
		return "C"
	case redact.USSSN:
		return "S"
	case redact.USITIN:
		return "I"
	case redact.CardVerificationCode:
		return "V"
	case redact.CardTrackData:
		return "T"
	case redact.CardPIN:
		return "P"
	case redact.CardExpiry:
		return "E"
	}
	return string(c)
}

type textCase struct {
	name string
	hint Hint
	want string // with the findings marked; the input is this without the marks
}

func (c textCase) input() string {
	out := []byte{}
	for i := 0; i < len(c.want); i++ {
		switch b := c.want[i]; {
		case b == '<' && i > 0:
			// The letter or the name of a class stands in front.
			n := len(out) - 1
			if out[n] < 'A' || out[n] > 'Z' {
				for n > 0 && (out[n-1] >= 'a' && out[n-1] <= 'z' || out[n-1] == '_' || out[n-1] >= '0' && out[n-1] <= '9') {
					n--
				}
				if _, ok := redact.Lookup(string(out[n:])); !ok {
					out = append(out, b)
					continue
				}
			}
			out = out[:n]
		case b == '>':
		default:
			out = append(out, b)
		}
	}
	return string(out)
}

func runCases(t *testing.T, cases []textCase) {
	d := newDetector(t)
	for i, c := range cases {
		t.Run(fmt.Sprintf("%02d %s", i, c.name), func(t *testing.T) {
			t.Parallel()
			in := c.input()
			got := marked(in, d.Text(nil, []byte(in), c.hint))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// The numbers that card schemes and processors publish for tests. Buyers try a
// product with these, so they are cards like all others.
var testCards = []string{
	"4111111111111111", "4012888888881881", "4242424242424242", "4000056655665556", "5555555555554444", "5105105105105100", "2223003122003222",
	"378282246310005", "371449635398431", "6011111111111117", "6011000990139424", "30569309025904", "38520000023237", "36227206271667",
	"3530111333300000", "3566002020360505", "6200000000000005", "5019717010103742", "6759649826438453",
}

func TestPublishedTestCards(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for i, card := range testCards {
		for _, form := range []string{"%s", "please use %s for it", "Card: %s.", "(%s)", "%s\n", "my amex %s, thanks", "card\u00a0%s", "卡号%s"} {
			in := fmt.Sprintf(form, card)
			found := d.Text(nil, []byte(in), Hint{})
			if len(found) != 1 || found[0].Class != redact.CreditCard || in[found[0].Start:found[0].End] != card {
				t.Errorf("card %d in %q: got %+v", i, form, found)
			}
		}
	}
}

func TestCardsInText(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"as printed", Hint{}, "it is C<4111 1111 1111 1111> ok?"},
		{"hyphens", Hint{}, "C<4111-1111-1111-1111>"},
		{"dots", Hint{}, "C<4111.1111.1111.1111>"},
		{"double spaces", Hint{}, "C<4111  1111  1111  1111>"},
		{"tabs", Hint{}, "C<4111\t1111\t1111\t1111>"},
		{"hyphens with spaces", Hint{}, "C<4111 - 1111 - 1111 - 1111>"},
		{"no-break spaces", Hint{}, "C<4111\u00a01111\u00a01111\u00a01111>"},
		{"thin spaces", Hint{}, "C<4111\u20091111\u20091111\u20091111>"},
		{"en dashes", Hint{}, "C<4111\u20131111\u20131111\u20131111>"},
		{"narrow no-break spaces, ideographic space", Hint{}, "C<4111\u202f1111\u202f1111\u30001111>"},
		{"underscores", Hint{}, "C<4111_1111_1111_1111>"},
		{"slashes", Hint{}, "C<4111/1111/1111/1111>"},
		{"zero width spaces", Hint{}, "C<4111\u200b1111\u200b1111\u200b1111>"},
		{"a line break inside", Hint{}, "C<4111 1111\n1111 1111>"},
		{"CR LF between all groups", Hint{}, "C<4111\r\n1111\r\n1111\r\n1111>"},
		{"amex as printed", Hint{}, "C<3782 822463 10005>"},
		{"amex in fours", Hint{}, "C<3782 8224 6310 005>"},
		{"diners as printed", Hint{}, "C<3056 930902 5904>"},
		{"first group glued", Hint{}, "C<41111111 1111 1111>"},
		{"two halves", Hint{}, "C<41111111 11111111>"},
		{"pairs", Hint{}, "C<41 11 11 11 11 11 11 11>"},
		{"one digit at a time", Hint{}, "C<4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1>"},
		{"fives", Hint{}, "C<37828 22463 10005>"},
		{"nineteen digits in fours", Hint{}, "C<6212 3456 7890 0000 003>"},
		{"sixteen digits and a code, or nineteen digits", Hint{}, "C<4111 1111 1111 1111 110> or C<4111 1111 1111 1111> 111"},
		{"odd groups and no other word", Hint{}, "C<411 11111 11111 111> is what I have"},
		{"odd groups, card word", Hint{}, "card C<411 11111,11111 111> is what I have"},
		{"commas in a list need a card word", Hint{}, "paid 4111,1111,1111,1111,20 units; card C<4111,1111,1111,1111>"},
		{"commas in a sentence", Hint{}, "try C<4111,1111,1111,1111>, please"},
		{"commas in a value", Hint{}, "sizes=4111,1111,1111,1111"},
		{"a year before the card", Hint{}, "2026 C<4111 1111 1111 1111>"},
		{"expiry behind is not glued", Hint{}, "C<4111 1111 1111 1111> E<03/2015>"},
		{"expiry with blanks", Hint{}, "C<4111111111111111> E<12 26>"},
		{"glued to exp", Hint{}, "C<4111111111111111>expE<06/17>"},
		{"glued to a card word", Hint{}, "CREDIT CARDC<4111111111111111> and ccC<4111111111111111>"},
		{"a dump line", Hint{}, "C<4111111111111111>|E<12/26>|V<123>|DOE JANE|90210"},
		{"card in a query", Hint{}, "https://x.example/pay?card=C<4111111111111111>&a=1"},
		{"plus sign before sixteen digits", Hint{}, "+C<4111111111111111>"},
		{"two cards", Hint{}, "C<4111 1111 1111 1111> C<5555 5555 5555 4444>"},
		{"thirteen digits in prose", Hint{}, "use C<4222222222222> please"},
		{"thirteen digits, card word", Hint{Key: "value"}, "visa C<4222222222222>"},
		{"twelve digits, card word", Hint{}, "maestro C<501800000009>"},
		{"unionpay without check digit needs a card word", Hint{}, "6200000000000000 or card C<6200000000000000>"},
		{"broad maestro needs a card word", Hint{}, "5700000000000002 or card C<5700000000000002>"},
		{"uatp needs its word", Hint{}, "122000000000003 or UATP C<122000000000003>"},
		{"a grouped number after an order word", Hint{}, "order C<4111 1111 1111 1111>"},
		{"order far away", Hint{}, "I placed an order last week and you charged C<4111111111111111> twice"},
		{"card's account number", Hint{}, "card account number C<4111111111111111>"},
		{"key names a card", Hint{Key: "cardNumber"}, "C<4222222222222>"},
		{"json in text", Hint{}, `{"pan":"C<4111111111111111>","order_id":"4111111111111111"}`},
		{"full stop glued to the next sentence", Hint{}, "number.C<4111111111111111>.Thanks"},
		{"russian", Hint{}, "карта C<2200123456789019>"},
		{"japanese without spaces", Hint{}, "カード番号はC<3530111333300000>です"},
	})
}

func TestNotCards(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"one digit wrong", Hint{}, "4111111111111112 and 4012888888881882"},
		{"millisecond timestamps", Hint{}, "at 1717171717171 and 1500000000005"},
		{"microseconds, nanoseconds", Hint{}, "1717171717171717 1717171717171717171"},
		{"helpdesk id by key", Hint{Key: "audit_id"}, "4402126792468"},
		{"helpdesk id as the whole of an unknown field", Hint{Key: "value"}, "4402126792465"},
		{"order in front", Hint{}, "my card was declined, order 4111111111111111"},
		{"order number is", Hint{}, "Order number is: 4111111111111111"},
		{"is my order number", Hint{}, "4111111111111111 is my order number"},
		{"hash sign", Hint{}, "see #4111111111111111"},
		{"imei", Hint{}, "IMEI 352099001761481 and imei: 356938035643809"},
		{"tracking, grouped", Hint{}, "tracking no 4111 1111 1111 1111"},
		{"gift card", Hint{}, "gift card 6011111111111117"},
		{"decimal fraction", Hint{}, "0.5309136012499991, .4111111111111111, 0,4111111111111111"},
		{"geo", Hint{}, "52.4111111111111111 and 13.4012888888881881"},
		{"uuid of digits", Hint{}, "12345678-4111-1111-1111-111111111111 d3b07384-4111-4111-8111-411111111111"},
		{"hex run", Hint{}, "a4111111111111111b c0ffee4111111111111111 4111111111111111deadbeef"},
		{"stripe-like id", Hint{}, "cus_4111111111111111"},
		{"part number", Hint{}, "INV-4111111111111111 4111111111111111-A"},
		{"url path", Hint{}, "https://x.example/orders/4111111111111111/items"},
		{"iban", Hint{}, "iban<GB29 NWBK 6016 1331 9268 19>, iban<DE89 3704 0044 0532 0130 00>"},
		{"number before an address", Hint{}, "4111 111.111.111.111"},
		{"decimal fraction with four digits in front", Hint{}, "t*(4661.64381841490914+t2)"},
		{"telephone list", Hint{}, "phone<212-555-0147>, phone<212-555-0148>, phone<+1 212 555 0149>"},
		{"zeros", Hint{}, "0000 0000 0000 0000"},
		{"keyboard", Hint{}, "1234 5678 9012 3456"},
		{"longer run", Hint{}, "41111111111111114111111111111111"},
		{"money", Hint{}, "$4111111111111111"},
		{"amex-shaped phone", Hint{}, "phone<+378282246310005>"},
		{"masked", Hint{}, "XXXX XXXX XXXX 1111, XXXXXXXXXXXX1111, 411111******1111, ending 1111"},
		{"order id in a query", Hint{}, "https://x.example/a?order_id=4111111111111111"},
		{"ean", Hint{}, "EAN 4006381333931"},
		{"dates", Hint{}, "2026-11-22 04:56:21 2026-11-23 05:56:21"},
		{"amount list", Hint{}, "5100 200 300 4000 12 99"},
		{"chinese order", Hint{}, "订单号4111111111111111"},
	})
}

func TestTaxNumbers(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"as printed", Hint{}, "it is S<536-22-8145> yes"},
		{"blanks", Hint{}, "mine: S<536 22 8145>"},
		{"dots", Hint{}, "S<536.22.8145>"},
		{"en dashes", Hint{}, "S<536\u201322\u20138145>"},
		{"no-break spaces", Hint{}, "S<536\u00a022\u00a08145>"},
		{"bare with context", Hint{}, "my ssn is S<536228145>"},
		{"bare with context behind", Hint{}, "S<536228145> is my social security number"},
		{"bare without context", Hint{}, "it is 536228145"},
		{"bare by key", Hint{Key: "social_security_number"}, "S<536228145>"},
		{"tax id key", Hint{Key: "taxId"}, "S<536228145>"},
		{"leading zero lost", Hint{Key: "ssn"}, "S<78051121>"},
		{"glued", Hint{}, "SSNS<536228145>"},
		{"3-6", Hint{}, "social security S<536 228145>"},
		{"itin", Hint{}, "I<911-70-1234> but 911-89-1234"},
		{"never issued", Hint{}, "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000"},
		{"famous", Hint{}, "123-45-6789 078-05-1120 219-09-9999 111-11-1111 987-65-4320"},
		{"famous in context", Hint{}, "SSN S<123-45-6789>, ssn S<078-05-1120>"},
		{"two separators", Hint{}, "536-22.8145 536 22-8145"},
		{"postal code", Hint{}, "12345-6789"},
		{"in a longer number", Hint{}, "536-22-8145-1 1-536-22-8145 AB-536-22-8145"},
		{"hex", Hint{}, "ssn a536228145b"},
		{"phone word, blanks", Hint{}, "phone phone<536 22 8145>"},
		{"routing nearer than ssn", Hint{}, "ssn on file, routing 536228145"},
		{"social media", Hint{}, "social media id 536228145"},
		{"masked", Hint{}, "XXX-XX-8145 XXX-XX-XXXX"},
		{"beside a card", Hint{}, "S<536-22-8145> C<4111 1111 1111 1111>"},
		{"digit by digit in context", Hint{}, "ssn S<5 3 6 2 2 8 1 4 5>"},
	})
}

func TestCodesAndTracks(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"cvv", Hint{}, "cvv V<123> CVC2: V<9876>; the cvv is V<321>"},
		{"security code", Hint{}, "my security code is V<123>"},
		{"digits on the back", Hint{}, "the three digits on the back are V<123>"},
		{"word behind", Hint{}, "V<123> is the cvv"},
		{"glued", Hint{}, "cvvV<123>"},
		{"behind card and expiry", Hint{}, "C<4111 1111 1111 1111> E<12/26> V<123>"},
		{"behind card, exp word", Hint{}, "C<4111111111111111> exp E<12/2026> V<123>"},
		{"expiry is no code", Hint{}, "C<4111111111111111> 1226 cvv V<123>"},
		{"key", Hint{Key: "cvv"}, "V<123>"},
		{"key of payment libraries", Hint{Key: "verification_value"}, "V<123>"},
		{"key, verified", Hint{Key: "verified"}, "123"},
		{"names of the brands", Hint{}, "visa ccv V<123>, CVD: V<321>, ccv2 V<9876>"},
		{"behind a card in other digits", Hint{}, "C<\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11> E<12/27> V<123>"},
		{"behind a card in entities", Hint{}, "C<&#52;111 1111 1111 1111> E<12/27> V<123>"},
		{"cid alone", Hint{}, "CID V<277>."},
		{"cid beside a card", Hint{}, "C<378282246310005> cid V<2770>"},
		{"cid of the amex", Hint{}, "my amex, cid V<277>"},
		{"cid of a customer", Hint{}, "please look at cid 277 again"},
		{"cid of a customer, key", Hint{Key: "cid"}, "277"},
		{"security code key", Hint{Key: "security_code"}, "V<1234>"},
		{"amount, year, room", Hint{}, "the cvv page costs 1,234 in 2024, room 204"},
		{"two-factor code", Hint{}, "your verification code is 4821"},
		{"pin", Hint{}, "my pin is P<4821>, PIN: P<1234>"},
		{"postal pin", Hint{}, "pin code 560001"},
		{"pin key", Hint{Key: "card_pin"}, "P<4821>"},
		{"track 1", Hint{}, "T<%B4111111111111111^DOE/JANE^26121010000000000000?>"},
		{"track 2", Hint{}, "T<;4111111111111111=26121010000012345?>"},
		{"track 2 of a chip", Hint{}, "T<4111111111111111D2612101000001234>F"},
		{"base64 tail is no track", Hint{}, "C<4111111111111111>="},
		{"page number", Hint{}, "good morning, code review on page 123 of the security handbook"},
	})
}

func TestBrandRows(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]Brand{
		"no prefix":    {Name: "x", Lengths: []int{16}},
		"no length":    {Name: "x", Prefixes: []string{"4"}},
		"length":       {Name: "x", Prefixes: []string{"4"}, Lengths: []int{11}},
		"letters":      {Name: "x", Prefixes: []string{"4a"}, Lengths: []int{16}},
		"uneven range": {Name: "x", Prefixes: []string{"4-51"}, Lengths: []int{16}},
		"down":         {Name: "x", Prefixes: []string{"55-51"}, Lengths: []int{16}},
		"long":         {Name: "x", Prefixes: []string{"123456789"}, Lengths: []int{16}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(Config{ExtraBrands: []Brand{b}}); err == nil {
				t.Error("accepted")
			}
		})
	}
	d, err := New(Config{ExtraBrands: NationalBrands(), CardWords: []string{"plastic"}, OtherWords: []string{"locker"}})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]int{"uzcard card 8600123412341234": 1, "plastic 5700000000000002": 1, "locker 4111111111111111": 0} {
		if got := len(d.Text(nil, []byte(in), Hint{})); got != want {
			t.Errorf("%q: %d findings, want %d", in, got, want)
		}
	}
}

// Every range of the brand table is found at every length, at both of its edges,
// bare and as printed.
func TestEveryRangeAndLength(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	n := 0
	for _, b := range Brands() {
		for _, p := range b.Prefixes {
			from, to, ok := cutRange(p)
			if !ok {
				to = from
			}
			for _, prefix := range []string{from, to} {
				for _, length := range b.Lengths {
					n++
					card := complete(prefix, length)
					for _, in := range []string{"card " + card, "card " + inFours(card, " "), "card " + inFours(card, "-")} {
						found := d.Text(nil, []byte(in), Hint{})
						if len(found) != 1 || found[0].Start != 5 || found[0].End != len(in) {
							t.Errorf("%s %s length %d, form %q: got %+v", b.Name, prefix, length, mask(in), found)
						}
					}
				}
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d combinations", n)
	}
}

func cutRange(p string) (from, to string, ok bool) {
	for i := range p {
		if p[i] == '-' {
			return p[:i], p[i+1:], true
		}
	}
	return p, "", false
}

// complete fills a prefix with varied digits and a right check digit.
func complete(prefix string, length int) string {
	b := []byte(prefix)
	for i := 0; len(b) < length-1; i++ {
		b = append(b, "7301952846"[i%10])
	}
	sum := 0
	for i := range b {
		v := int(b[len(b)-1-i] - '0')
		if i%2 == 0 {
			v = int(doubled[v])
		}
		sum += v
	}
	return string(append(b, byte('0'+(10-sum%10)%10)))
}

func inFours(card, sep string) string {
	out := ""
	for i := range card {
		if i > 0 && i%4 == 0 {
			out += sep
		}
		out += card[i : i+1]
	}
	return out
}

func mask(s string) string {
	b := []byte(s)
	for i := range b {
		if isDigit(b[i]) {
			b[i] = '0'
		}
	}
	return string(b)
}

// A run of letters in a script without blanks may hold several words, and says what
// all of them say, in whatever order the tables are read.
func TestWordsWithoutBlanks(t *testing.T) {
	t.Parallel()
	for range 8 {
		d := newDetector(t)
		if got := d.vocab.sense([]byte("生年月日カード")); got&senseCard == 0 || got&nameBirth == 0 {
			t.Fatalf("says %b", got)
		}
	}
}
