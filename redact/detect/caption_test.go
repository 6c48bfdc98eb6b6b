package detect

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
)

// Labels whose words no table has are known by their form and by how the words begin, and
// what only looks like a label denies nothing.
func TestCaptions(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	const card, printed = "4111111111111111", "4111-1111-1111-1111"
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"a name in front of number":          {"docket number " + card, false},
		"a name in front of no.":             {"Dispensary no.: " + card, false},
		"the label on a line of its own":     {"Tally nr:\n" + card, false},
		"number of something":                {"número de remito " + card, false},
		"a number's own number of something": {"protocolo de atendimento " + card, false},
		"declined words":                     {"čekám na objednávkou č. " + card, false},
		"a word of another script":           {"பெயர் ஆர்டர் எண் " + card, false},
		"a script without spaces":            {"伝票番号" + card, false},
		"of any kind, without spaces":        {"管轄番号：" + card, false},
		"kept by somebody":                   {"Aktenzeichen bei Ihnen " + card, false},

		"a sign for number":           {"badge # " + card, false},
		"what is written on it":       {"the barcode says " + card, false},
		"a comma behind number":       {"thats the lot number, " + card, false},
		"a noun that is a verb, too":  {"medical record number " + card, false},
		"of two words":                {"bus pass " + card, false},
		"a credit note":               {"credit note " + card, false},
		"a loyalty card by its name":  {"Payback-Karte " + card, false},
		"a card of another kind":      {"key card " + card, false},
		"a chat by its colon":         {"chat: " + card, true},
		"a person who speaks":         {"Student: " + card, true},
		"what is paid for":            {"para pagar la multa " + card, true},
		"another thing behind a plus": {"order 4012888888881881 + " + card, true},
		"a verb that is a noun, too":  {"please record number " + card, true},
		"a verb of two words":         {"please note " + card, true},
		"a sign for number of nobody": {"the # " + card, true},
		"a sign behind a name":        {"Costco # " + card, true},
		"a name at the begin":         {"Costco number " + card, true},
		"a name of a person":          {"Maria number " + card + " works", true},
		"who says it":                 {"the customer says " + card, true},
		"a comma behind the name":     {"for my permit, " + card, true},
		"a comma in front of card":    {"I pay for parking, card " + printed, true},
		"a sentence ends before":      {"I missed the bus. Card " + card, true},
		"a line ends before":          {"Service: bus\nCard number: " + card, true},
		"by phone":                    {"by phone, card " + printed, true},
		"a lot":                       {"thanks a lot " + card, true},
		"in a list, but dated":        {"order 4012888888881881, " + card + " 12/27", true},
		"for a booking, in Romance":   {"segue o cartão novo para a reserva: " + card, true},

		"a role's number":           {"Kundennummer: " + card, false},
		"a role's number, in short": {"Kundennr: " + card, false},
		"membership":                {"Membership: " + card, false},

		"printed as a card":                  {"docket number " + printed, true},
		"a card spoken of":                   {"took my card, tally number " + card, true},
		"the date of a card behind":          {"tally number " + card + " 09/29", true},
		"nothing named":                      {"the full number " + card, true},
		"whose number it is":                 {"my wifes number " + card, true},
		"number of nothing":                  {"número de atrás " + card, true},
		"a card in Tamil":                    {"அட்டை எண் " + card, true},
		"on the, in Portuguese":              {"pode passar no " + card, true},
		"another sentence":                   {"Docket. Number " + card, true},
		"who speaks":                         {"Kunde: " + card, true},
		"who speaks, in the second line":     {"Berater: ja bitte\nKundin: " + card, true},
		"a number of this or that character": {"この番号" + card, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := false
			for _, f := range d.Text(nil, []byte(c.text), Hint{}) {
				found = found || f.Class == redact.CreditCard
			}
			if found != c.want {
				t.Errorf("found: %v, want %v", found, c.want)
			}
		})
	}
}

// Who has numbers, as the stems of roles say, is known to speak.
func TestSpeakers(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for stem := range roleStems {
		spoken := false
		for speaker := range speakers {
			spoken = spoken || strings.HasPrefix(speaker, stem)
		}
		if !spoken && stem != "khách" { // of two words
			t.Errorf("nobody who speaks begins with %s", stem)
		}
	}
	for speaker := range speakers {
		for _, sign := range []string{": ", " - ", " | "} {
			if len(d.Text(nil, []byte("Agent: ok\n"+speaker+sign+"4111111111111111"), Hint{})) != 1 {
				t.Errorf("nothing found behind %s%s", speaker, sign)
			}
		}
	}
}

// Keys that say "number of something" name identifiers, those that say "number of what is
// paid with" do not.
func TestNumberKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]keySense{
		"kart_no": 0, "Kart No": 0, "tarjeta_no": 0, "carteNo": 0, "karteNr": 0, "Kreditkarten-Nr": 0, "American Express Number": 0, "current_number": 0, "atmNumber": 0,
		"prepaidNumber": 0, "virtual_number": 0, "stored_number": 0, "entered_number": 0, "bankkortNr": 0, "testNumber": 0, "cart_no": keyID, "primaryAccountNumber": keyCard, "primary_account_number": keyCard, "primaryAccountId": keyID, "accountNumber": keyID, "check_number": keyID,
		"legacyNumber": keyID, "contract_no": keyID, "warranty no": keyID, "Reservation": keyID, "shipment": keyID,
		"number": 0, "payment_number": 0, "new number": 0, "cardNumber": keyCard, "social_security_number": keySSN, "cell": 0,
	} {
		if got := senseOfKey(key); got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
}
