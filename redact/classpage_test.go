package redact_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

var update = flag.Bool("update", false, "write docs/data-classes.md anew")

// classPage is what the page of data classes says beside the class table: what has to
// be there for a finding, and an example that is found. Values are published for
// tests or made up with right check digits; in examples the value stands in brackets.
var classPage = map[redact.Class]struct{ needs, example string }{
	redact.CreditCard: {"an issuer's range and length and, with few exceptions, a right check digit; odd groups and short lengths need a word for a card as well",
		"my card is [4111 1111 1111 1111]"},
	redact.CardVerificationCode: {"a word for it, or a card and its expiry date right in front", "cvv [123]"},
	redact.CardTrackData:        {"the marks of a stripe around a card number", "[;4111111111111111=27091010000000000?]"},
	redact.CardPIN:              {"a word for it", "my card pin is [1234]"},
	redact.CardExpiry:           {"a card beside it, in the text, the record or the row, or a key that names both", "4111 1111 1111 1111 exp [09/27]"},
	redact.PaymentReference:     {"the prefix of a processor, or a field that the channel file marks", "refund [ch_3MmlLrLkdIwHu7ix0snN0B15] please"},
	redact.USSSN:                {"three groups with the same separator twice, or nine digits and a word or key; numbers that were never given out are none", "SSN [536-22-8145]"},
	redact.USITIN:               {"as a social security number, in the ranges of taxpayer numbers", "ITIN [911-70-1234]"},
	redact.USSSNLast4:           {"words for both: the last four, and the number", "last four of my social: [6789]"},
	redact.USBankRouting:        {"prefix of the Federal Reserve, check digit, and a name", "routing number [021000021]"},
	redact.USBankAccount: {"6 to 17 digits that a word right in front or a key calls a bank account; \"account number\" alone only beside a bank or a routing number",
		"checking account [000123456789]"},
	redact.IBAN:            {"a country with its length, and check digits; nothing else", "[DE89 3704 0044 0532 0130 00]"},
	redact.UKNINO:          {"a prefix that is given out, and a name; printed in pairs it needs none", "NI number [AB123456C]"},
	redact.UKNHS:           {"check digit and name", "NHS number [943 476 5919]"},
	redact.CASIN:           {"check digit and name", "social insurance number [675-749-113]"},
	redact.AUTFN:           {"check digit and name", "tax file number [123 456 782]"},
	redact.DETaxID:         {"check digit, repetition of digits as issued, and a name; printed as 2-3-3-3 it needs none", "Steuer-ID [86 095 742 719]"},
	redact.FRNIR:           {"sex, month and key; in groups, or with a name", "[2 95 10 99 126 111 93]"},
	redact.ESDNI:           {"check letter and name; with dots and hyphen it needs none", "DNI [12345678Z]"},
	redact.ESNIE:           {"check letter", "[X1234567L]"},
	redact.ITCodiceFiscale: {"shape and check letter", "[RSSMRA85T10A562S]"},
	redact.NLBSN:           {"check digit and name", "BSN [111222333]"},
	redact.PLPESEL:         {"date, check digit and name", "PESEL [44051401359]"},
	redact.SEPersonnummer:  {"date and check digit; without the hyphen also a name", "[811218-9876]"},
	redact.BRCPF:           {"both check digits; without dots and hyphen also a name", "[529.982.247-25]"},
	redact.BRCNPJ:          {"both check digits; without dots, slash and hyphen also a name. Letters are read", "[12.ABC.345/01DE-35]"},
	redact.INAadhaar:       {"check digit and name", "Aadhaar [2341 2341 2346]"},
	redact.INPAN:           {"the letter for the kind of holder, and a name", "PAN card [ABCPE1234F]"},
	redact.MXCURP:          {"date, sex and check digit", "[HEGG560427MVZRRL04]"},
	redact.USPassport:      {"nine digits, or a letter and eight, that a word right in front or a key calls a passport", "passport number [512345678]"},
	redact.USMBI:           {"the shape, in capital letters; in small ones also a name", "[1EG4-TE5-MK73]"},
	redact.USNPI:           {"check digit and name", "NPI [1234567893]"},
	redact.USDEA:           {"check digit and name", "DEA number [AV7990751]"},
	redact.Email:           {"an address with a domain that can exist", "write to [jo@example.com]"},
	redact.Phone: {"a plus sign and a country code, a printed form that nothing else has, or a name and 7 to 15 digits",
		"call [(212) 555-0147]"},
	redact.IPAddress:     {"four numbers up to 255, or an IPv6 address, that are no version", "from [203.0.113.7]"},
	redact.DateOfBirth:   {"a date, in digits or with the month as a word, and a name", "born on [12 March 1985]"},
	redact.Secret:        {"the prefix, length and check of a service's keys, or a private key", "[AKIAIOSFODNN7EXAMPLE]"},
	redact.Password:      {"words that give one away, or the name of its field", "my password is [Tr0ub4dor&3]"},
	redact.CryptoAddress: {"prefix, length and check", "[1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2]"},
	redact.Blocklist:     {"a term of the operator's own list", ""},
}

// Every class that is detected has a row, every example is found, and docs tells
// what the code does: go test ./redact -run TestClassPage -update
func TestClassPage(t *testing.T) {
	t.Parallel()
	d, err := detect.New(detect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Data classes

<!-- Generated from redact/class.go by ` + "`go test ./redact -run TestClassPage -update`" + `. -->

What the gateway looks for. The default is what the built-in policy does with a finding in text; [policy](policy.md) says how to change it, and "report" means that
it is recorded and passes unchanged. A *name* is a word for the number in front of it ("NHS number", "Steuer-ID", "mi DNI es"), right behind it, or the key or column beside it,
in the languages of the country and in English: one number in ten has the right check digit for some office, so most identifiers count only when something names them.
A number under a key of an identifier or a time (` + "`id`, `*_id`, `created_at`" + `), inside a longer token, a URL's path, a UUID or a decimal fraction is none of these.
Where two readings overlap, what is enforced by default wins, then what has a check digit, then what is named, then the longer one.
What a word does that says the number is another one ("order number 536-22-8145", "license key 4111-1111-1111-1111"): [design 0016](design/0016-words-that-deny.md).

| class | what it is | in Presidio, in Google DLP | default | check | what has to be there | example |
| --- | --- | --- | --- | --- | --- | --- |
`)
	for _, c := range redact.Classes() {
		row, ok := classPage[c.Class]
		if !ok {
			t.Errorf("%s has no row", c.Class)
			continue
		}
		example := strings.NewReplacer("[", "", "]", "").Replace(row.example)
		if c.Detected {
			start := strings.Index(row.example, "[")
			end := strings.LastIndex(row.example, "]") - 1
			found := false
			for _, f := range d.Text(nil, []byte(example), detect.Hint{}) {
				found = found || f.Class == c.Class && f.Start == start && f.End == end
			}
			if !found {
				t.Errorf("%s: the example is not found", c.Class)
			}
		} else {
			row.needs += " (not detected yet)"
		}
		if example != "" {
			example = "`" + strings.ReplaceAll(example, "|", `\|`) + "`"
		}
		others := strings.Trim(c.Presidio+", "+c.DLP, ", ")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", c.Class, c.Title, others, c.Default, c.Checksum, row.needs, example)
	}
	const page = "../docs/data-classes.md"
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != b.String() {
		t.Errorf("%s is not current (%v): write it with -update", page, err)
	}
}
