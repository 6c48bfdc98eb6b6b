package transform

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/view"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value  string
		class  redact.Class
		action redact.Action
		want   string
	}{
		"card as printed":                  {"4111 1111 1111 1111", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"amex":                             {"3782-822463-10005", redact.CreditCard, redact.Mask, "XXXX-XXXXXX-X0005"},
		"bare":                             {"4111111111111111", redact.CreditCard, redact.Mask, "XXXXXXXXXXXX1111"},
		"iban":                             {"GB29 NWBK 6016 1331 9268 19", redact.IBAN, redact.Mask, "XXXX XXXX XXXX XXXX XXXX XX"},
		"insurance number":                 {"AB 12 34 56 C", redact.UKNINO, redact.Mask, "XX XX XX XX X"},
		"company":                          {"12.ABC.345/01DE-35", redact.BRCNPJ, redact.Mask, "XX.XXX.XXX/XXXX-XX"},
		"telephone":                        {"+1 (212) 555-0147", redact.Phone, redact.Mask, "XX (XXX) XXX-XXXX"},
		"date in words":                    {"12. März 1985", redact.DateOfBirth, redact.Mask, "XX. XXXX XXXX"},
		"date in Japanese":                 {"1985年3月12日", redact.DateOfBirth, redact.Mask, "XXXXXXXXXX"},
		"expiry date":                      {"09/27", redact.CardExpiry, redact.Mask, "XX/XX"},
		"expiry date dropped":              {"09/27", redact.CardExpiry, redact.Drop, "[removed]"},
		"digit by digit":                   {"4 1 1 1 1 1 1 1 1 1 1 1 1 2 3 4", redact.CreditCard, redact.Mask, "X X X X X X X X X X X X 1 2 3 4"},
		"wide separators":                  {"4111\u00a01111\u20131111\u00a01111", redact.CreditCard, redact.Mask, "XXXX\u00a0XXXX\u2013XXXX\u00a01111"},
		"nineteen digits":                  {"6212 3456 7890 0000 003", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXX0 003"},
		"nineteen, or a code":              {"4111 1111 1111 1111 110", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXXX XXX"},
		"nineteen in one run":              {"4111111111111111110", redact.CreditCard, redact.Mask, "XXXXXXXXXXXXXXX1110"},
		"card to be a token":               {"4111111111111111", redact.CreditCard, redact.Tokenize, "XXXXXXXXXXXX1111"},
		"card to be blocked":               {"4111111111111111", redact.CreditCard, redact.Block, "XXXXXXXXXXXX1111"},
		"card dropped":                     {"4111 1111 1111 1111", redact.CreditCard, redact.Drop, "XXXX XXXX XXXX XXXX"},
		"card reported":                    {"4111111111111111", redact.CreditCard, redact.Report, "4111111111111111"},
		"ssn":                              {"536 22 8145", redact.USSSN, redact.Mask, "XXX-XX-XXXX"},
		"bare ssn":                         {"536228145", redact.USSSN, redact.Mask, "XXX-XX-XXXX"},
		"itin":                             {"911-70-1234", redact.USITIN, redact.Mask, "XXX-XX-XXXX"},
		"code":                             {"123", redact.CardVerificationCode, redact.Drop, "XXX"},
		"pin":                              {"4821", redact.CardPIN, redact.Drop, "XXXX"},
		"code masked":                      {"123", redact.CardVerificationCode, redact.Mask, "XXX"},
		"track":                            {";4111111111111111=26121010000?", redact.CardTrackData, redact.Drop, ";XXXXXXXXXXXXXXXX=XXXXXXXXXXX?"},
		"track, magnetic stripe":           {"%B4111111111111111^DOE/JO^2612101?", redact.CardTrackData, redact.Drop, "%BXXXXXXXXXXXXXXXX^DOE/JO^XXXXXXX?"},
		"track, other scripts":             {";4111111111111111=２６१&#xAEF;00?", redact.CardTrackData, redact.Drop, ";XXXXXXXXXXXXXXXX=XXXXXX?"},
		"secret":                           {"sk_live_abc", redact.Secret, redact.Drop, "[removed]"},
		"password masked":                  {"pä55-w0rd", redact.Password, redact.Mask, "XXXX-XXXX"},
		"reference to be a token":          {"ch_3Oabc", redact.PaymentReference, redact.Tokenize, "XX_XXXXX"},
		"entities":                         {"4111 1111 1111 &#49;&#x31;11", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"no-break entities":                {"4111&nbsp;1111&nbsp;1111&nbsp;1111", redact.CreditCard, redact.Mask, "XXXX&nbsp;XXXX&nbsp;XXXX&nbsp;1111"},
		"number in a tag, in other digits": {"4111<a title=４１１１１１１１１１１１１１１１>1111 1111</a> 1111", redact.CreditCard, redact.Mask, "XXXX<a title=XXXXXXXXXXXXXXXX>XXXX XXXX</a> 1111"},
		"few other digits in a tag":        {"4111<a title=４１>1111 1111</a> 1111", redact.CreditCard, redact.Mask, "XXXX<a title=４１>XXXX XXXX</a> 1111"},
		"digits of both kinds in a tag":    {"4111<a title=5362２２8145>1111 1111</a> 1111", redact.CreditCard, redact.Mask, "XXXX<a title=XXXXXXXXXX>XXXX XXXX</a> 1111"},
		"address in a tag":                 {`4111<a href="mailto:jo.doe+1@mail.example.com?subject=x">1111 1111</a> 1111`, redact.CreditCard, redact.Mask, `XXXX<a href="mailto:XX.XXX+X@XXXX.XXXXXXX.XXX?subject=x">XXXX XXXX</a> 1111`},
		"address outside ASCII in a tag":   {`4111<a title="jö@exämple.de">1111 1111</a> 1111`, redact.CreditCard, redact.Mask, `XXXX<a title="XX@XXXXXXX.XX">XXXX XXXX</a> 1111`},
		"at sign in a tag":                 {`4111<a title="@home @ 5">1111 1111</a> 1111`, redact.CreditCard, redact.Mask, `XXXX<a title="@home @ 5">XXXX XXXX</a> 1111`},
		"tags":                             {"4111</b>1111<i>1111</i>1111", redact.CreditCard, redact.Mask, "XXXX</b>XXXX<i>XXXX</i>1111"},
		"full width":                       {"４１１１ １１１１ １１１１ １１１１", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"keycaps":                          {"4\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e31 1111 1111 1111", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1111"},
		"hidden":                           {"4111\u200b1111\u200b1111\u200b1111", redact.CreditCard, redact.Mask, "XXXXXXXXXXXX1111"},
		"percent, twice":                   {"%2534111%201111%201111%201111", redact.CreditCard, redact.Mask, "XXXX%20XXXX%20XXXX%201111"},
		"quoted-printable":                 {"=34111=20111=\r\n1 1111 1111", redact.CreditCard, redact.Mask, "XXXX=20XXX=\r\nX XXXX 1111"},
		"json escapes":                     {`\u0034111\n1111\n1111\n1111`, redact.CreditCard, redact.Mask, `XXXX\nXXXX\nXXXX\n1111`},
		"numbered names":                   {"4111 cc2=1111 cc3=1111 cc4=1111", redact.CreditCard, redact.Mask, "XXXX cc2=XXXX cc3=XXXX cc4=1111"},
		"numbers in brackets":              {"4111, card[2]: 1111, card[3]: 1111, card[4]: 1111", redact.CreditCard, redact.Mask, "XXXX, card[2]: XXXX, card[3]: XXXX, card[4]: 1111"},
		"read back":                        {"4900 yep 4900 then 9221 yep 9221 then 4647 yep and 0941", redact.CreditCard, redact.Mask, "XXXX yep XXXX then XXXX yep XXXX then XXXX yep and 0941"},
		"base64":                           {"NDExMTExMTExMTExMTExMQ==", redact.CreditCard, redact.Mask, "WFhYWFhYWFhYWFhYMTExMQ=="},
		"base64, words around":             {"IDQxMTEgMTExMSAxMTExIDExMTEg", redact.CreditCard, redact.Mask, "IFhYWFggWFhYWCBYWFhYIDExMTEg"},
		"base64, or a code":                {"NDExMSAxMTExIDExMTEgMTExMSAxMTAK", redact.CreditCard, redact.Mask, "WFhYWCBYWFhYIFhYWFggWFhYWCBYWFgK"},
		"hexadecimal":                      {"34313131313131313131313131313131", redact.CreditCard, redact.Mask, "58585858585858585858585831313131"},
		"hexadecimal, hyphens":             {"343131312d313131312d313131312d31313131", redact.CreditCard, redact.Mask, "585858582d585858582d585858582d31313131"},
		"ssn in hexadecimal":               {"353336323238313435", redact.USSSN, redact.Mask, "585858585858585858"},
		"ssn, full width":                  {"５３６-２２-８１４５", redact.USSSN, redact.Mask, "XXX-XX-XXXX"},
		"ssn over tags":                    {"536<b>22</b>8145", redact.USSSN, redact.Mask, "XXX<b>XX</b>XXXX"},
		"ssn in base64":                    {"NTM2LTIyLTgxNDU=", redact.USSSN, redact.Mask, "WFhYLVhYLVhYWFg="},
		"card in words":                    {"four one one one and so on", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX XXXX"},
		"code in words":                    {"one two three", redact.CardVerificationCode, redact.Drop, "XXX"},
		"address, percent":                 {"jo%40example.com", redact.Email, redact.Mask, "XXXXXXXXXX.XXX"},
		"letters for digits":               {"4O12 8888 8888 l88l", redact.CreditCard, redact.Mask, "XXXX XXXX XXXX 1881"},
		"nothing":                          {"", redact.CreditCard, redact.Mask, ""},
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
		"XXXX XXXX XXXX 1111":                                  true,
		"my card XXXX-XXXXXX-X0005, thanks":                    true,
		"XXXXXXXXXXXX1111":                                     true,
		"XXXXXXXX1111":                                         true, // twelve digits
		"XXXXXXXXXXXXXXX1111":                                  true, // nineteen
		"X X X X X X X X X X X X 1 2 3 4":                      true,
		"XXXX\u00a0XXXX\u00a0XXXX\u00a01111":                   true,
		"XXXX XXXX XXXX 1111 12/26":                            true,
		"XXXX XXXX XXXX XXXX XXX":                              true, // nineteen, or sixteen and a code
		"XXXX XXXX XXXX XXXX XXX, thanks":                      true,
		"sk_test_XXXXXXXXXXXXXXXXXXXXXXXX":                     false,
		"XXXX XXXX XXXX XXXX XXXX":                             true, // an account of Austria
		"XXXX XXXX XXXX XXX":                                   true, // of Norway, the shortest
		"XXXX XXXX XXXX XXXX XXXX XXXX XXXX XXXX X":            true, // of Russia, the longest
		"pay to XXXX XXXX XXXX XXXX XXXX XX, thanks":           true,
		"XXXXXXXXXXXXXXXXXXXXXX":                               true, // of Germany
		"XXXX XXXX XXXX XXXX":                                  true, // a card that was dropped
		"XXXX-XXXX-XXXX-XXXX-XXXX":                             false,
		"XXXX  XXXX  XXXX  XXXX":                               false,
		"XXXX XXXX XXXX XX":                                    false,
		"XX XXXX XXXX XXXX XXXX XXXX":                          true, // an account behind another mask
		"XXXX XXXX XXXX XXXX XXXXX":                            false,
		"XXXXXXXXXXXXXXXXXXXXXXx":                              false,
		"aXXXX XXXX XXXX XXXX XXXX":                            false,
		"IBAN:\u00a0XXXX XXXX XXXX XXXX XXXX XX":               true,
		"für XXXX XXXX XXXX XXXX XXXX XX\u00a0€":               true,
		"口座XXXXXXXXXXXXXXXXXXXXXXです":                           true,
		"cvv XXX, XXXX XXXX XXXX XXXX XXXX XX":                 true, // behind the mask of a code
		"XX/XX/XXXX XXXX XXXX XXXX XXXX XXXX XX":               true, // of a date
		"tel XXX XXX XXXXX, XXXXXXXXXXXXXXXXXXXXXX":            true,
		"FEDEX XXXX XXXX XXXX XXXX XXXX XX":                    true, // behind a word that ends in X
		"AMEX XXXX XXXX XXXX XXXX":                             true,
		"TX XXXXXXXXXXXXXXXXXXXXXX":                            true,
		"AMEXXXX XXXX XXXX XXXX XXXX":                          false,
		"aXXXX XXXX XXXX XXXX XXXX FEDEX XXXX XXXX XXXX XXXX":  true,
		strings.Repeat("XXXX ", 10) + "XX":                     true,  // as many as an account has with what may stand between
		strings.Repeat("XXXX ", 10) + "XXX":                    false, // and one more
		strings.Repeat("XXXX ", 12):                            false,
		"AMEX " + strings.Repeat("XXXX ", 12):                  false,
		strings.Repeat("XXXX ", 5000):                          false,
		strings.Repeat("XXXX ", 12) + "to XXXX XXXX XXXX XXXX": true,
		"XXXX XXXXXXXXXXXXXXXX":                                true, // a bare one behind another mask
		strings.Repeat("XXXX ", 12) + "XXXXXXXXXXXXXXXX":       true,
		"ssn XXX-XX-XXXX.":                                     true,
		"[removed]":                                            true,
		"":                                                     false,
		"XXXX":                                                 false,
		"XXXXXXX1111":                                          false, // too short
		"XXXXXXXXXXXXXXXX1111":                                 false, // too long
		"XXXX XXXX XXXX 111":                                   false,
		"XXXX XXXX XXXX 11112":                                 false,
		"XXXX XXXX XXXX":                                       false,
		"XXX-XX-1234":                                          false, // a truncation of others
		"size XXL, XXXL and XXXXL, item 1111":                  false,
		"4111 1111 1111 1111":                                  false,
		"****1111":                                             false,
		strings.Repeat("X", 5000) + "1111":                     false,
		"XXXXXXXX XXXX XXXX XXXX 1111 and XXXX XXXX":           false,
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

// Whatever the bytes are, what Append writes has no more digits of a protected class than
// its mask keeps, a value in plain digits keeps its length as a card, and masking it
// again changes nothing.
func FuzzAppend(f *testing.F) {
	for _, value := range []string{
		"4111 1111 1111 1111", "536-22-8145", "4111 1111 1111 1111 110", "%B4111111111111111^DOE/JO^2612101?", "4111</b>1111&#49;1\u00a01111",
		"%2534111%201111=20111=\r\n1", `\u0034111\n1111`, "4111 cc2=1111 card[3]: 1111 1111", "four one 1111 double one", "4O12 8888 l88l",
		"NDExMTExMTExMTExMTExMQ==", "IDQxMTEgMTExMSAxMTExIDExMTEg", "Sm8gRG9lIDxqbzEyMzQ1QGV4YW1wbGUuY29tPg==", "343131312d313131312d313131312d31313131",
	} {
		f.Add([]byte(value), uint8(redact.Mask))
		f.Add([]byte(value), uint8(redact.Drop))
	}
	// Those with a mask of their own, and two of the others.
	classes := []redact.Class{redact.CreditCard, redact.USSSN, redact.USITIN, redact.CardVerificationCode, redact.CardTrackData, redact.CardPIN, redact.IBAN, redact.Secret}
	f.Fuzz(func(t *testing.T, value []byte, action uint8) {
		a := redact.Action(action % 6)
		for _, c := range classes {
			once := Append(nil, value, c, a)
			if n, most := digitsLeft(value, once, c, a); a.Rewrites() && n > most {
				t.Errorf("%s, %s: %d digits left, and %d may stay", c, a, n, most)
			}
			if _, hexadecimal := maskHex(nil, value, c, a); hexadecimal || !simple(value) {
				continue // an X in hexadecimal is 58, which is digits
			}
			twice := Append(nil, once, c, a)
			if string(once) != string(twice) && !strings.Contains(string(once), "[removed]") {
				t.Errorf("%s, %s: masked again it is another text", c, a)
			}
			if a.Rewrites() && c == redact.CreditCard && len(once) != len(value) {
				t.Errorf("the length of a card changed")
			}
		}
		Masked(value)
	})
}

// digitsLeft counts the digits in masked, which Append made of value, and says how many
// may be there. Hexadecimal text and base64 were masked inside, and are counted there:
// their own letters are digits, an X is 58 and WFhY.
func digitsLeft(value, masked []byte, c redact.Class, a redact.Action) (n, most int) {
	if _, ok := maskHex(nil, value, c, a); ok {
		return digitsLeft(undo(hex.DecodeString, value), undo(hex.DecodeString, masked), c, a)
	}
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(value, "-_") {
		enc = base64.RawURLEncoding
	}
	letters := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("="), nil) }
	was, now := undo(enc.DecodeString, letters(value)), undo(enc.DecodeString, letters(masked))
	switch {
	case c == redact.IBAN || c == redact.Secret: // letters are masked as well
		if len(value) >= view.MinBase64 && view.Readable(value) && !bytes.Equal(was, value) {
			return digitsLeft(was, now, c, a)
		}
	case digitsOf(value) < fewest(c) && digitsOf(was) >= fewest(c):
		_, most = digitsLeft(nil, nil, c, a)
		return digitsOf(now), most
	}
	if c == redact.CreditCard {
		most, _ = countersIn(value) // the numbers of names such as cc2= are none of a card
		if a != redact.Drop {
			most += 4
		}
	}
	return digitsOf(masked), most
}

// digitsOf counts the digits of text as it reads.
func digitsOf(text []byte) int {
	_, n := normal(text)
	return n
}

// undo is text decoded, and text itself when it is not in that encoding.
func undo(decode func(string) ([]byte, error), text []byte) []byte {
	out, err := decode(string(text))
	if err != nil {
		return text
	}
	return out
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
