package transform

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value  string
		class  redact.Class
		action redact.Action
		want   string
	}{
		"card as printed":         {"4111 1111 1111 1111", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"amex":                    {"3782-822463-10005", redact.CreditCard, redact.Mask, "XXXX-XXXXXX-X0005"},
		"bare":                    {"4111111111111111", redact.CreditCard, redact.Mask, "XXXXXXXXXXXX1111"},
		"iban":                    {"GB29 NWBK 6016 1331 9268 19", redact.IBAN, redact.Mask, "XXXX XXXX XXXX XXXX XXXX XX"},
		"insurance number":        {"AB 12 34 56 C", redact.UKNINO, redact.Mask, "XX XX XX XX X"},
		"company":                 {"12.ABC.345/01DE-35", redact.BRCNPJ, redact.Mask, "XX.XXX.XXX/XXXX-XX"},
		"telephone":               {"+1 (212) 555-0147", redact.Phone, redact.Mask, "XX (XXX) XXX-XXXX"},
		"date in words":           {"12. März 1985", redact.DateOfBirth, redact.Mask, "XX. XXXX XXXX"},
		"date in Japanese":        {"1985年3月12日", redact.DateOfBirth, redact.Mask, "XXXXXXXXXX"},
		"expiry date":             {"09/27", redact.CardExpiry, redact.Mask, "XX/XX"},
		"expiry date dropped":     {"09/27", redact.CardExpiry, redact.Drop, "[removed]"},
		"digit by digit":          {"4 1 1 1 1 1 1 1 1 1 1 1 1 2 3 4", redact.CreditCard, redact.Mask, "X X X X X X X X X X X X 1 2 3 4"},
		"wide separators":         {"4111\u00a01111\u20131111\u00a01111", redact.CreditCard, redact.Mask, "XXXX\u00a0XXXX\u2013XXXX\u00a01111"},
		"nineteen digits":         {"6212 3456 7890 0000 003", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXX0 003"},
		"nineteen, or a code":     {"4111 1111 1111 1111 110", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXXX XXX"},
		"nineteen in one run":     {"4111111111111111110", redact.CreditCard, redact.Mask, "XXXXXXXXXXXXXXX1110"},
		"card to be a token":      {"4111111111111111", redact.CreditCard, redact.Tokenize, "XXXXXXXXXXXX1111"},
		"card to be blocked":      {"4111111111111111", redact.CreditCard, redact.Block, "XXXXXXXXXXXX1111"},
		"card dropped":            {"4111 1111 1111 1111", redact.CreditCard, redact.Drop, "XXXX XXXX XXXX XXXX"},
		"card reported":           {"4111111111111111", redact.CreditCard, redact.Report, "4111111111111111"},
		"ssn":                     {"536 22 8145", redact.USSSN, redact.Mask, "XXX-XX-XXXX"},
		"bare ssn":                {"536228145", redact.USSSN, redact.Mask, "XXX-XX-XXXX"},
		"itin":                    {"911-70-1234", redact.USITIN, redact.Mask, "XXX-XX-XXXX"},
		"code":                    {"123", redact.CardVerificationCode, redact.Drop, "XXX"},
		"pin":                     {"4821", redact.CardPIN, redact.Drop, "XXXX"},
		"code masked":             {"123", redact.CardVerificationCode, redact.Mask, "XXX"},
		"track":                   {";4111111111111111=26121010000?", redact.CardTrackData, redact.Drop, ";XXXXXXXXXXXXXXXX=XXXXXXXXXXX?"},
		"secret":                  {"sk_live_abc", redact.Secret, redact.Drop, "[removed]"},
		"password masked":         {"pä55-w0rd", redact.Password, redact.Mask, "XXXX-XXXX"},
		"reference to be a token": {"ch_3Oabc", redact.PaymentReference, redact.Tokenize, "XX_XXXXX"},
		"entities":                {"4111 1111 1111 &#49;&#x31;11", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"no-break entities":       {"4111&nbsp;1111&nbsp;1111&nbsp;1111", redact.CreditCard, redact.Mask, "XXXX&nbsp;XXXX&nbsp;XXXX&nbsp;1111"},
		"tags":                    {"4111</b>1111<i>1111</i>1111", redact.CreditCard, redact.Mask, "XXXX</b>XXXX<i>XXXX</i>1111"},
		"full width":              {"４１１１ １１１１ １１１１ １１１１", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"keycaps":                 {"4\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e31 1111 1111 1111", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"hidden":                  {"4111\u200b1111\u200b1111\u200b1111", redact.CreditCard, redact.Mask, "XXXXXXXXXXXX1111"},
		"percent, twice":          {"%2534111%201111%201111%201111", redact.CreditCard, redact.Mask, "XXXX%20XXXX%20XXXX%201111"},
		"quoted-printable":        {"=34111=20111=\r\n1 1111 1111", redact.CreditCard, redact.Mask, "XXXX=20XXX=\r\nX XXXX 1111"},
		"json escapes":            {`\u0034111\n1111\n1111\n1111`, redact.CreditCard, redact.Mask, `XXXX\nXXXX\nXXXX\n1111`},
		"base64":                  {"NDExMTExMTExMTExMTExMQ==", redact.CreditCard, redact.Mask, "WFhYWFhYWFhYWFhYMTExMQ=="},
		"base64, words around":    {"IDQxMTEgMTExMSAxMTExIDExMTEg", redact.CreditCard, redact.Mask, "IFhYWFggWFhYWCBYWFhYIDExMTEg"},
		"ssn, full width":         {"５３６-２２-８１４５", redact.USSSN, redact.Mask, "XXX-XX-XXXX"},
		"ssn over tags":           {"536<b>22</b>8145", redact.USSSN, redact.Mask, "XXX<b>XX</b>XXXX"},
		"ssn in base64":           {"NTM2LTIyLTgxNDU=", redact.USSSN, redact.Mask, "WFhYLVhYLVhYWFg="},
		"card in words":           {"four one one one and so on", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXXX"},
		"code in words":           {"one two three", redact.CardVerificationCode, redact.Drop, "XXX"},
		"address, percent":        {"jo%40example.com", redact.Email, redact.Mask, "XXXXXXXXXX.XXX"},
		"letters for digits":      {"4O12 8888 8888 l88l", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1881"},
		"nothing":                 {"", redact.CreditCard, redact.Mask, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(Append([]byte("> "), []byte(c.value), c.class, c.action)); got != "> "+c.want {
				t.Errorf("got %q, want %q", got, "> "+c.want)
			}
		})
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"XXXX XXXX XXXX 1111":                        true,
		"my card XXXX-XXXXXX-X0005, thanks":          true,
		"XXXXXXXXXXXX1111":                           true,
		"XXXXXXXX1111":                               true, // twelve digits
		"XXXXXXXXXXXXXXX1111":                        true, // nineteen
		"X X X X X X X X X X X X 1 2 3 4":            true,
		"XXXX\u00a0XXXX\u00a0XXXX\u00a01111":         true,
		"XXXX XXXX XXXX 1111 12/26":                  true,
		"XXXX XXXX XXXX XXXX XXX":                    true, // nineteen, or sixteen and a code
		"XXXX XXXX XXXX XXXX XXX, thanks":            true,
		"XXXX XXXX XXXX XXXX XXXX":                   false,
		"XXXXXXXXXXXXXXXXXXX":                        false,
		"ssn XXX-XX-XXXX.":                           true,
		"[removed]":                                  true,
		"":                                           false,
		"XXXX":                                       false,
		"XXXXXXX1111":                                false, // too short
		"XXXXXXXXXXXXXXXX1111":                       false, // too long
		"XXXX XXXX XXXX 111":                         false,
		"XXXX XXXX XXXX 11112":                       false,
		"XXXX XXXX XXXX":                             false,
		"XXX-XX-1234":                                false, // a truncation of others
		"size XXL, XXXL and XXXXL, item 1111":        false,
		"4111 1111 1111 1111":                        false,
		"****1111":                                   false,
		strings.Repeat("X", 5000) + "1111":           false,
		"XXXXXXXX XXXX XXXX XXXX 1111 and XXXX XXXX": false,
	} {
		if got := Masked([]byte(text)); got != want {
			t.Errorf("%.40q: %v, want %v", text, got, want)
		}
	}
}

func TestMaskedDoesNotAllocate(t *testing.T) {
	text := []byte("hello XXXX XXXX XXXX 1111")
	if n := testing.AllocsPerRun(100, func() { Masked(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What Append writes for a card, Masked knows, and masking it again changes
// nothing but digits that Append left.
func FuzzAppend(f *testing.F) {
	f.Add([]byte("4111 1111 1111 1111"), uint8(redact.Mask))
	f.Add([]byte("536-22-8145"), uint8(redact.Drop))
	f.Fuzz(func(t *testing.T, value []byte, action uint8) {
		a := redact.Action(action % 6)
		for _, c := range redact.Classes() {
			once := Append(nil, value, c.Class, a)
			if a.Rewrites() && c.Class == redact.CreditCard && digitsIn(value) >= 12 {
				if _, n := normal(once); n > 4 {
					t.Errorf("%d digits left of a card", n)
				}
			}
			if !simple(value) {
				continue
			}
			twice := Append(nil, once, c.Class, a)
			if string(once) != string(twice) && !strings.Contains(string(once), "[removed]") {
				t.Errorf("%s, %s: masked again it is another text", c.Class, a)
			}
			if a.Rewrites() && c.Class == redact.CreditCard && len(once) != len(value) {
				t.Errorf("the length of a card changed")
			}
		}
		Masked(value)
	})
}

func BenchmarkMasked(b *testing.B) {
	text := []byte(strings.Repeat("Hello there, the parcel (size XL) has not arrived yet. ", 100))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		Masked(text)
	}
}

func BenchmarkAppend(b *testing.B) {
	value := []byte("4111 1111 1111 1111")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], value, redact.CreditCard, redact.Mask)
	}
}
