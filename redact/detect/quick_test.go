package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sameAtAGlance checks that Quick, where it is sure, finds what Text finds.
func sameAtAGlance(tb testing.TB, d *Detector, text []byte, key string) bool {
	tb.Helper()
	got, sure := d.Quick(nil, text, TraitsOf([]byte(key)))
	if !sure {
		if len(got) > 0 {
			tb.Fatalf("%d findings and not sure", len(got))
		}
		return false
	}
	want := d.Text(nil, text, Hint{Key: key})
	if !slices.Equal(got, want) {
		tb.Fatalf("text of %d bytes beside a key of %d: at a glance %+v, by Text %+v", len(text), len(key), got, want)
	}
	return true
}

// What helpdesks are full of is known at a glance, and what may be more is not.
func TestQuick(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for _, c := range []struct {
		key, text string
		sure      bool
	}{
		{"status", "open", true},
		{"id", "4402126792469", true},
		{"value", "59901", true},
		{"value", "295109912611193", true}, // has the key of a French number, as one of three hundred identifiers has
		{"created_at", "2026-11-22T04:56:21Z", true},
		{"subject", "Delivery of order 48213377", true},
		{"subject", "Delivery is late again", true},
		{"tags", "order_48213", true},
		{"description", "I was charged for order 48213377, then 59.90 and then 61.40.", true},
		{"description", "Please look at it by 5 pm (version 12.4.1).", true},
		{"url", "https://acme.example/api/v2/tickets/4402126792469.json", true},
		{"address", "help@acme.example", true},
		{"address", "jo1234@example.com", true},

		{"value", "4111111111111111", false},                               // a card
		{"nhs_number", "9434765919", false},                                // named by its key
		{"pin", "1234", false},                                             // so is this
		{"numero_secu", "295109912611193", false},                          // the same, named by its key
		{"value", "536-22-8145", false},                                    // as tax numbers are printed
		{"text", "my pin is 1234", false},                                  // a word names it
		{"text", "last four 8145 of my ssn", false},                        // two words do
		{"text", "phone 5550147", false},                                   // a telephone number
		{"text", "call +49 1234 56", false},                                // with its country code
		{"text", "AB 12 34 56 C", false},                                   // printed like nothing else
		{"text", "12345678-Z", false},                                      // the same
		{"text", "12.ABC.345/01DE-35", false},                              // the same
		{"text", "10.0.0.1", false},                                        // a machine
		{"text", "4111 uh 1111 then 1111 and 1111", false},                 // a card in pieces
		{"text", "four one one one one one one one one one one", false},    // in words
		{"text", "my password is hunter", false},                           // a word that wakes a family
		{"text", "glpat-abcdefghij_klmnopqrst", false},                     // a key without digits
		{"url", "https://acme.example/v2/tickets/4111111111111111", false}, // a card in a path
		{"url", "https://acme.example/?id=12", false},                      // a query
		{"address", "jo@example.com, 12", false},                           // more than an address
		{"address", "Jo@Example.com", false},                               // capitals, which codes have
		{"address", "x1234567l@example.com", false},                        // a code of nine
	} {
		if got := sameAtAGlance(t, d, []byte(c.text), c.key); got != c.sure {
			t.Errorf("%s %q: known at a glance: %v, want %v", c.key, c.text, got, c.sure)
		}
	}
}

// glancePieces are what the generated texts are made of: words that name numbers
// and words that do not, numbers, the signs between, and begins of keys.
var glancePieces = func() []string {
	p := []string{
		" ", " ", " ", ". ", ", ", "-", "_", "/", ":", ": ", " (", ")", "$", "#", "\n", ".", ",", "@", "'", "+", "=", "X", "XX", "&", "%", "<", "\u00a0", "é", "４",
		"https://", "http://", "example.com", "acme.example", ".json", "/api/v2/", "@example.com", "@acme.example", "v2", "th", "pm", "x", "A", "AB", "C", "Z", "k", "l", "O", "II",
		"order", "delivery", "please", "look", "the", "is", "my", "of", "for", "on", "was", "charged", "twice", "incident", "version", "by", "at", "and", "March", "mar", "jan",
		"card", "visa", "exp", "expires", "cvv", "pin", "code", "security", "social", "ssn", "last", "four", "ending", "digits", "back", "phone", "call", "text", "me", "us", "account", "bank", "routing",
		"number", "no", "nr", "id", "born", "birth", "date", "dob", "nhs", "ni", "nino", "sin", "tfn", "passport", "iban", "dni", "bsn", "password", "pass", "pw", "pwd", "secret", "key",
		"braintree", "adyen", "paypal", "glpat-", "sk_live_", "ch_", "whsec_", "abcdefghijklmnop", "one", "two", "zero", "oh", "double", "4O12", "BB8",
	}
	return p
}()

// glanceWords are what addresses of people and records are made of.
var glanceWords = []string{
	"jo", "doe", "help", "acme", "order", "tickets", "api", "v2", "v", "card", "visa", "pin", "cvv", "ssn", "pass", "pwd", "braintree", "nino", "ab", "c", "x", "l", "z", "o", "ll", "sos", "bob", "xoxb",
	"srs", "key", "example", "com", "json", "info", "12", "7", "1985", "481", "987654", "4111", "0", "1234567", "12345678", "one", "four", "twenty", "double", "ny", "march", "mar", "phone", "call", "secret",
}

// glanceAddress makes something like an e-mail address, or the address of a record.
func glanceAddress(r *rand.Rand) string {
	var b strings.Builder
	word := func() {
		for range 1 + r.IntN(2) {
			b.WriteString(glanceWords[r.IntN(len(glanceWords))])
		}
		switch r.IntN(12) {
		case 0:
			b.WriteString(glanceCard(r))
		case 1:
			fmt.Fprint(&b, r.IntN([]int{100, 10_000, 10_000_000_000, 10_000_000_000_000_000}[r.IntN(4)]))
		}
	}
	if r.IntN(2) == 0 {
		b.WriteString([]string{"https://", "http://", "https:", "http"}[r.IntN(4)])
		for range 2 + r.IntN(4) {
			word()
			b.WriteByte("///.-_:"[r.IntN(7)])
		}
		word()
		return b.String()
	}
	for range 1 + r.IntN(3) {
		word()
		b.WriteByte("..._-+"[r.IntN(6)])
	}
	word()
	b.WriteByte('@')
	for range 1 + r.IntN(2) {
		word()
		b.WriteByte("...-"[r.IntN(4)])
	}
	b.WriteString([]string{"com", "example", "json", "de", "c", "co.uk"}[r.IntN(6)])
	return b.String()
}

// glanceCard makes digits that begin and end like those of a card, of any length.
func glanceCard(r *rand.Rand) string {
	digits := []byte([]string{"4", "51", "37", "6304", "2223", "50", "9"}[r.IntN(7)])
	for n := 9 + r.IntN(11); len(digits) < n; {
		digits = append(digits, byte('0'+r.IntN(10)))
	}
	for last := byte('0'); last <= '9' && !luhn(digits); last++ {
		digits[len(digits)-1] = last
	}
	return string(digits)
}

func glanceText(r *rand.Rand) string {
	if r.IntN(20) == 0 {
		return glanceCard(r)
	}
	if r.IntN(3) == 0 {
		return glanceAddress(r)
	}
	var b strings.Builder
	for range 1 + r.IntN(9) {
		switch r.IntN(5) {
		case 0:
			b.WriteString(glanceCard(r))
		case 1:
			fmt.Fprint(&b, r.IntN([]int{10, 100, 1000, 10_000, 1_000_000, 100_000_000, 10_000_000_000}[r.IntN(7)]))
		case 2:
			b.WriteByte(' ')
			b.WriteString(glancePieces[r.IntN(len(glancePieces))])
			b.WriteByte(' ')
		default:
			b.WriteString(glancePieces[r.IntN(len(glancePieces))])
		}
	}
	return b.String()
}

var glanceKeys = []string{
	"", "value", "id", "subject", "tags", "text", "created_at", "order number", "pin", "cvv", "ssn", "ssn_last4", "card", "card_number", "exp_date", "expiry", "ip", "client_ip", "secret", "phone",
	"date_of_birth", "nhsNumber", "account", "braintree", "psp_reference", "address", "url", "payment_pin_code", "tax_id", "security_code",
}

// Quick never says anything else than Text. The texts are of the shapes it knows,
// and of shapes that are nearly those.
func TestQuickEqualsText(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	r := rand.New(rand.NewPCG(3, 11))
	known := 0
	rounds := 300_000
	if testing.Short() || raced {
		rounds = 20_000
	}
	for range rounds {
		text := []byte(glanceText(r))
		if sameAtAGlance(t, d, text, glanceKeys[r.IntN(len(glanceKeys))]) {
			known++
		}
	}
	if known < rounds/20 {
		t.Errorf("only %d of %d texts were known at a glance: the test shows little", known, rounds)
	}
}

func FuzzQuick(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 50 {
		f.Add([]byte(glanceText(r)), glanceKeys[r.IntN(len(glanceKeys))])
	}
	d := newDetector(f)
	f.Fuzz(func(t *testing.T, text []byte, key string) {
		if len(key) <= 32 {
			sameAtAGlance(t, d, text, key)
		}
	})
}

// What a string costs that is known at a glance, and what the same costs Text.
func BenchmarkQuick(b *testing.B) {
	d := newDetector(b)
	for _, c := range []struct{ name, text string }{
		{"word", "incident"},
		{"words", "Delivery is late again"},
		{"order", "Delivery of order 48213377"},
		{"url", "https://acme.zendesk.com/api/v2/tickets/2402126792468.json"},
		{"mail", "jo1234@example.com"},
		{"tag", "order_48213"},
		{"time", "2026-11-22T04:56:21Z"},
		{"id", "2402126792468"},
	} {
		b.Run(c.name, func(b *testing.B) {
			raw, key := []byte(c.text), TraitsOf([]byte("subject"))
			found, sure := d.Quick(nil, raw, key)
			if !sure {
				b.Fatal("not known at a glance")
			}
			b.ReportAllocs()
			for b.Loop() {
				found, _ = d.Quick(found[:0], raw, key)
			}
		})
	}
}

// What traits say about a key is what the rules say that read it, or more.
func TestTraits(t *testing.T) {
	t.Parallel()
	keys := append([]string{"", "body", "card_number", "creditCardNumber", "PAN", "html_body", "commentText", "cc", "Q", "order_note", "message.text"}, glanceKeys...)
	for w := range keyTable {
		keys = append(keys, w, "x_"+w, "my"+string(capital(w[0]))+w[1:], w+"_2")
	}
	for _, key := range keys {
		s, traits := senseOfKey(key), TraitsOf([]byte(key))
		if (key == "" || s&(keyCard|keyText) != 0) && traits&keyMayBeCard == 0 {
			t.Errorf("%q may be that of a card", key)
		}
		if (MayName(key) || namesPassword(key)) && traits.Silent() || cueInKey(key) && traits&keyMayCue == 0 {
			t.Errorf("%q names more than %b", key, traits)
		}
	}
	for _, key := range []string{"id", "requester_id", "url", "created_at", "tags", "priority", "value"} {
		if traits := TraitsOf([]byte(key)); traits&(keyMayName|keyMayBeCard) != 0 {
			t.Errorf("%q says %b", key, traits)
		}
	}
}

// What Quick says of a text it says of all that differ in digits only, but for runs of
// ten and more, which may be cards: walkers rely on it.
func TestQuickSeesShapes(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	r := rand.New(rand.NewPCG(5, 3))
	rounds, known := 100_000, 0
	if testing.Short() || raced {
		rounds = 10_000
	}
	for range rounds {
		text, key := []byte(glanceText(r)), TraitsOf([]byte(glanceKeys[r.IntN(len(glanceKeys))]))
		want, sure := d.Quick(nil, text, key)
		if !sure {
			continue
		}
		known++
		for i := 0; i < len(text); i++ {
			if !isDigit(text[i]) {
				continue
			}
			end := runEnd(text, i)
			for k := i; k < end; k++ {
				text[k] = byte('0' + r.IntN(10))
			}
			for end-i > shortest && !d.PlainNumber(text[i:end], key) {
				text[i+r.IntN(end-i)] = byte('0' + r.IntN(10))
			}
			i = end
		}
		// The portable look takes some digits for the begin of a word, and asks Text.
		if got, sure := d.Quick(nil, text, key); !sure && hasProbe || sure && !slices.Equal(got, want) {
			t.Fatalf("with other digits: %+v, sure %v, want %+v", got, sure, want)
		}
	}
	if known < rounds/20 {
		t.Errorf("only %d of %d texts were known at a glance: the test shows little", known, rounds)
	}
}
