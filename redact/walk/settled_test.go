package walk

import (
	"bytes"
	"strings"
	"testing"
)

// settledTexts are texts that random search found: each once held a finding
// again after its findings had been masked.
var settledTexts = map[string]string{
	"loses against a card that loses against one behind":   "カード81735555-55555555-4444 4111 111111111111",
	"the same in pairs of digits":                          "card81451234111 1111 11 11 1111911-701234",
	"the same, glued on both sides":                        "card815004125555-5555-5555-44444111 11111",
	"a shorter card in front of the better one":            "カード6260111111 1 1 11111 1911701242",
	"a shorter card, the better one behind a line break":   "カード6282463 10005_396242\n24141111",
	"a bare card in front of single digits":                "カード620000000000000512,4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
	"the better card is cut short by a tax number":         "exp64111 11111111 1111 911-70-1234",
	"last four digits that begin a card, twice":            "visa555555555555-4444–41111 1111 11111111234",
	"a digit glued to a code word":                         "561012343498 cvv4 111111111111111",
	"a code word with a digit of a card, behind a card":    "4111111111111111@cvv4 111111111111111",
	"a code word with its own digit and a grouped number":  "4111111111111111@cvv2 201 3828 2246 3100",
	"a tax number in the middle of a card in odd groups":   "カード8145411136-228145\u00a0454 1111111111111",
	"a card that ends where another as printed one begins": "カード815536 22 81450109\n3782822463 10005",
	"an X behind a card and in front of another":           "4111 1111 1111 1111 110X 378282246310005",
	"an X behind a card and in front of another, glued":    "card411111111111-1111-110X 620000000005",
	"an X behind odd groups and in front of a card":        "exp81459662536228 1 4 5X\u00a04111111111111111",
	"an X between a code and a card word":                  "cvv071*Xcard s4111111111111111",
	"a form's number glued to a code word":                 "visa cvv1099 6441001111111",
	"a form's number in the last four digits":              "card8197162952151099\u00a0536.22.8145",
	"a form's number between a card word and a card":       "card1099 41111 11111111111 472681111",
	"a form's number as a pin":                             "pin1099?3411111 11111111",
	"nineteen digits that may be sixteen and a code":       "4111 1111 1111 1111 110 4111 1111 1111 1111",
	"base64 behind a card in entities, other digits near":  "exp&#52;554111111111111111<br>NDExMTExMTExMTExMTExMQ== imei321234\uff11\uff11\uff11 075",
	"base64 behind a word glued to the last four":          "my card number is3782 822463 10005pinNDExMTExMTExMTExMTExMQ== is all",
	"a telephone number right in front of a card":          "+4242 4242\u00a05555-5555-5555-4444order",
	"a code in escapes glued to a tag and a tax number":    "cvv 15%EF%BC%911️⃣</b>536-22-8145 ",
	"a row of lookalikes with a card behind it":            "card number is809604 1 1 1 1 1 1 1 1 1 1 1 1 1 1 110225555;4111111111111111=26121010000012345?",
	"a card in what looks like an id of a payment":         "card_4111111111111111security code",
	"a card and its code in a tag within a card":           "1111\t\t\t\t4111\t\t\t\t card 5555 -- 1111*<tel:4111111111111111-1227-123 4111\n> 4242 dash",
	"base64 glued to an entity, another entity near":       "42&#52;NDExMTExMTExMTExMTExMQ==card number is&#52;41 11 11 11 11 11 11 11hello",
}

// What is masked is not found again, and a second rewriting changes nothing.
func TestSettled(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for name, in := range settledTexts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(Text, []byte(in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			out := doc.Rewrite(byDefault)
			again, err := Parse(Text, out, d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(doc.Findings) == 0 || len(again.Findings) != 0 || !bytes.Equal(again.Rewrite(byDefault), out) {
				t.Errorf("%d findings, then %+v", len(doc.Findings), again.Findings)
			}
		})
	}
}

// A stream that goes on inside a chain of groups knows the word in front of it,
// whose digit begins the chain.
func TestStreamWordWithDigit(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for _, front := range []string{"W2", "w-9", "cvv2"} {
		in := front + ", 461716141 11 11 11 11 11 11 11" + strings.Repeat(" lorem ipsum", 100)
		doc, err := Parse(Text, []byte(in), d, nil, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for cut := 1020; cut < 1050; cut++ {
			if got, found, err := streamed(t, d, Text, in, 0, cut); err != nil || got != string(doc.Rewrite(byDefault)) || !same(found, doc.Findings) {
				t.Errorf("%q cut at %d: %v, or the stream differs", front, cut, err)
			}
		}
	}
}

// Words that begin just inside or just outside the reach of the detector, and
// characters across its border: a stream that goes on inside a chain of groups
// reads the same words as one that began with it.
func TestStreamWordsAtTheBorder(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for _, front := range []string{"20911card number is", "93visa", "\u00e9card ", "\u200bcard ", "\u30c9visa", "1099 ", "ssn ", "w-9 ", "cvv2 "} {
		for fill := range 24 {
			in := front + "536228145 " + strings.Repeat("0", 26+fill) + ", 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 536 22 814526213782 822463 10005, 536-22-8145 536 228145"
			in += strings.Repeat(" lorem ipsum", 100)
			doc, err := Parse(Text, []byte(in), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var every []int
			for i := 1; i < len(in); i++ {
				every = append(every, i)
			}
			if got, found, err := streamed(t, d, Text, in, 0, every...); err != nil || got != string(doc.Rewrite(byDefault)) || !same(found, doc.Findings) {
				t.Errorf("%q and %d: %v, or the stream differs", front, fill, err)
			}
		}
	}
}

// A card in plain digits between marks whose regions are read ahead is found in a
// stream, wherever the stream is cut.
func TestStreamBetweenMarks(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	pad := strings.Repeat("lorem ipsum ", 120)
	for name, in := range map[string]string{
		"an encoded word behind": "&#49;4111 1111 1111 1111&#x31;11=?utf-8?Q?4111_1111_1111_1111?=|card2026&#52;\uff14 ",
		"a track in front":       "\r\norder &#52;0680 =31 13384242 4242visa%B4111111111111111^DOE/JANE^26121010000000000000?  446655440000%EF%BC%91",
		"base64 behind":          "４15 ) (6212345678900000003\nY2FyZCA0MTExIDExMTEgMTExMSAxMTEx4111111111111111order number%31%312026(",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := pad + in + pad
			doc, err := Parse(Text, []byte(text), d, nil, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for cut := len(pad) - 8; cut < len(text); cut++ {
				if got, found, err := streamed(t, d, Text, text, 0, cut); err != nil || got != string(doc.Rewrite(byDefault)) || !same(found, doc.Findings) {
					t.Fatalf("cut at %d: %v, or the stream differs", cut, err)
				}
			}
		})
	}
}
