package detect

import (
	"testing"

	"github.com/caregate/caregate/redact"
)

// The values are published examples or made with right check digits.

func TestNationalIdentifiers(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"NHS named", Hint{}, "My NHS number is uk_nhs<943 476 5919>, thanks"},
		{"NHS hyphens", Hint{}, "NHS no: uk_nhs<943-476-5919>"},
		{"NHS bare", Hint{}, "nhs uk_nhs<9434765919>."},
		{"NHS named behind", Hint{}, "uk_nhs<943 476 5919> is my NHS number"},
		{"NHS some words between", Hint{}, "the NHS number you asked me to send: uk_nhs<9434765919>"},
		{"NHS key", Hint{Key: "nhs_number"}, "uk_nhs<9434765919>"},
		{"NHS key in camel case", Hint{Key: "patientNhsNumber"}, "uk_nhs<943 476 5919>"},
		{"NHS wrong check digit", Hint{}, "My NHS number is 943 476 5918"},
		{"NHS no name", Hint{}, "the number is 9434765919 and 943 476 5919"},
		{"NHS order nearer", Hint{}, "NHS patient, about order 9434765919"},
		{"NHS in a longer number", Hint{}, "NHS 19434765919 and 943 476 5919 22"},
		{"NHS in a token", Hint{}, "NHS a9434765919 x 9434765919b 9434765919_1"},
		{"NHS a fraction", Hint{}, "NHS index 0.9434765919"},
		{"NHS id", Hint{Key: "id"}, "9434765919"},

		{"NINO compact", Hint{}, "National Insurance number uk_nino<AB123456C>"},
		{"NINO lower case", Hint{}, "my ni is uk_nino<ab123456c>"},
		{"NINO printed", Hint{}, "it's uk_nino<AB 12 34 56 C>."},
		{"NINO printed, hyphens, named", Hint{}, "NINO: uk_nino<AB-12-34-56-C>"},
		{"NINO key", Hint{Key: "nationalInsuranceNumber"}, "uk_nino<AB123456C>"},
		{"NINO no name", Hint{}, "part AB123456C"},
		{"NINO prefix never given out", Hint{}, "NINO BG123456C, QQ123456C, NINO DA 12 34 56 C"},
		{"NINO in a token", Hint{}, "NINO AB123456CD, ref-AB123456C"},

		{"SIN", Hint{}, "my social insurance number is ca_sin<675 749 113>"},
		{"SIN French", Hint{}, "mon numéro d'assurance sociale : ca_sin<675-749-113>"},
		{"SIN short name", Hint{}, "SIN: ca_sin<675749113>"},
		{"SIN bare, named in full", Hint{}, "Social Insurance Number: ca_sin<675749113>"},
		{"SIN wrong", Hint{}, "SIN: 675749114"},
		{"SIN no name", Hint{}, "675 749 113"},
		{"SIN key", Hint{Key: "socialInsuranceNumber"}, "ca_sin<675749113>"},

		{"TFN", Hint{}, "tax file number au_tfn<123 456 782>"},
		{"TFN short name", Hint{}, "TFN au_tfn<123456782>"},
		{"TFN key", Hint{Key: "tax_file_number"}, "au_tfn<123456782>"},
		{"TFN wrong", Hint{}, "TFN 123456781"},
		{"TFN of eight digits", Hint{}, "TFN au_tfn<37118629>"},

		{"Steuer-ID", Hint{}, "Meine Steuer-ID lautet de_tax_id<86095742719>"},
		{"Steuer-ID printed", Hint{}, "Steueridentifikationsnummer: de_tax_id<86 095 742 719>"},
		{"Steuer-ID printed, not named", Hint{}, "Hier ist sie: de_tax_id<86 095 742 719>"},
		{"Steuer-ID English", Hint{}, "my German tax ID is de_tax_id<86095742719>"},
		{"Steuer-ID wrong", Hint{}, "Steuer-ID 86095742718"},
		{"Steuer-ID no name", Hint{}, "86095742719"},
		{"Steuer-ID IdNr", Hint{}, "IdNr. de_tax_id<86 095 742 719>"},

		{"NIR printed", Hint{}, "fr_nir<2 95 10 99 126 111 93>"},
		{"NIR bare", Hint{}, "numéro de sécurité sociale fr_nir<295109912611193>"},
		{"NIR bare, without a name", Hint{}, "bonjour, 295109912611193 merci"},
		{"NIR bare, named by its key", Hint{Key: "numero_secu"}, "fr_nir<295109912611193>"},
		{"NIR with its key apart", Hint{}, "sécu : fr_nir<2951099126111 93>"},
		{"NIR of Corsica", Hint{}, "NIR fr_nir<2 53 07 2B 073 004 70>, fr_nir<253072B07300470>"},
		{"NIR wrong key", Hint{}, "sécu 2 95 10 99 126 111 94"},

		{"DNI", Hint{}, "mi DNI es es_dni<12345678Z>"},
		{"DNI with hyphen", Hint{}, "DNI: es_dni<12345678-Z>"},
		{"DNI printed", Hint{}, "es_dni<12.345.678-Z>"},
		{"DNI wrong letter", Hint{}, "DNI 12345678A"},
		{"DNI no name", Hint{}, "pieza 12345678Z"},
		{"NIE", Hint{}, "mi NIE: es_nie<X1234567L>"},
		{"NIE hyphens", Hint{}, "NIE es_nie<X-1234567-L>"},
		{"NIE wrong", Hint{}, "NIE X1234567M"},

		{"codice fiscale", Hint{}, "codice fiscale it_codice_fiscale<RSSMRA85T10A562S>"},
		{"codice fiscale, no name", Hint{}, "sono it_codice_fiscale<RSSMRA85T10A562S>, grazie"},
		{"codice fiscale, lower case", Hint{}, "cf it_codice_fiscale<rssmra85t10a562s>"},
		{"codice fiscale in groups", Hint{}, "CF: it_codice_fiscale<RSS MRA 85T10 A562S>"},
		{"codice fiscale wrong", Hint{}, "codice fiscale RSSMRA85T10A562T"},
		{"codice fiscale in a token", Hint{}, "XRSSMRA85T10A562S RSSMRA85T10A562S-1 id_RSSMRA85T10A562S"},

		{"BSN", Hint{}, "Mijn BSN is nl_bsn<111222333>"},
		{"BSN groups", Hint{}, "burgerservicenummer nl_bsn<1112.22.333>"},
		{"BSN English", Hint{}, "my BSN number: nl_bsn<111 222 333>"},
		{"BSN wrong", Hint{}, "BSN 111222334"},

		{"PESEL", Hint{}, "mój PESEL to pl_pesel<44051401359>"},
		{"PESEL key", Hint{Key: "pesel"}, "pl_pesel<44051401359>"},
		{"PESEL wrong", Hint{}, "PESEL 44051401358"},
		{"PESEL no name", Hint{}, "numer 44051401359"},

		{"personnummer", Hint{}, "se_personnummer<811218-9876>"},
		{"personnummer with the century", Hint{}, "Personnummer: se_personnummer<19811218-9876>"},
		{"personnummer of a hundred years", Hint{}, "personnummer se_personnummer<811218+9876>"},
		{"personnummer bare", Hint{}, "mitt personnummer är se_personnummer<8112189876> eller se_personnummer<198112189876>"},
		{"personnummer wrong", Hint{}, "personnummer 811218-9875, 811318-9874"},
		{"personnummer no name", Hint{}, "order 811218-9876 and 8112189876"},

		{"CPF printed", Hint{}, "br_cpf<529.982.247-25>"},
		{"CPF named", Hint{}, "meu CPF é br_cpf<52998224725>"},
		{"CPF half printed", Hint{}, "CPF br_cpf<529982247-25>"},
		{"CPF wrong", Hint{}, "CPF 529.982.247-24, 111.111.111-11"},
		{"CPF no name", Hint{}, "pedido 52998224725"},
		{"CNPJ printed", Hint{}, "CNPJ br_cnpj<11.222.333/0001-81>"},
		{"CNPJ printed, not named", Hint{}, "nota de br_cnpj<11.222.333/0001-81>."},
		{"CNPJ bare", Hint{}, "CNPJ br_cnpj<11222333000181>"},
		{"CNPJ with letters", Hint{}, "CNPJ br_cnpj<12ABC34501DE35> ou br_cnpj<12.ABC.345/01DE-35>"},
		{"CNPJ with letters that begin no month", Hint{}, "CNPJ br_cnpj<12.XYZ.345/01DE-02>"},
		{"CNPJ wrong", Hint{}, "CNPJ 11.222.333/0001-82, 12ABC34501DE36"},

		{"Aadhaar", Hint{}, "my Aadhaar is in_aadhaar<2341 2341 2346>"},
		{"Aadhaar bare", Hint{}, "aadhar no in_aadhaar<234123412346>"},
		{"Aadhaar Hindi", Hint{}, "मेरा आधार in_aadhaar<2341 2341 2346>"},
		{"Aadhaar wrong", Hint{}, "Aadhaar 2341 2341 2345"},
		{"Aadhaar no name", Hint{}, "2341 2341 2346"},
		{"Indian PAN", Hint{}, "PAN card number in_pan<ABCPE1234F>"},
		{"Indian PAN, fourth letter", Hint{}, "PAN ABCDE1234F"},
		{"Indian PAN no name", Hint{}, "model ABCPE1234F"},

		{"CURP", Hint{}, "CURP: mx_curp<HEGG560427MVZRRL04>"},
		{"CURP no name", Hint{}, "soy mx_curp<HEGG560427MVZRRL04>"},
		{"CURP wrong", Hint{}, "CURP HEGG560427MVZRRL05"},

		{"passport", Hint{}, "passport number us_passport<512345678>, passport us_passport<A12345678>"},
		{"passport key", Hint{Key: "passport_number"}, "us_passport<512345678>"},
		{"passport far away", Hint{}, "I lost my passport in the parcel you sent under 512345678"},
		{"MBI printed", Hint{}, "us_mbi<1EG4-TE5-MK73>"},
		{"MBI compact", Hint{}, "Medicare us_mbi<1EG4TE5MK73>, medicare id us_mbi<1eg4te5mk73>"},
		{"MBI wrong", Hint{}, "Medicare 1EG4-TE5-MK7S, 1SG4TE5MK73"},
		{"NPI", Hint{}, "NPI us_npi<1234567893>"},
		{"NPI wrong", Hint{}, "NPI 1234567890"}, {"NPI not named", Hint{}, "1234567893 items"},
		{"DEA", Hint{}, "DEA number us_dea<AV7990751>"},
		{"DEA wrong or not named", Hint{}, "DEA AV7990752; part AV7990751"},
	})
}

func TestBanking(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"IBAN", Hint{}, "iban<DE89370400440532013000>"},
		{"IBAN lower case, groups", Hint{}, "iban: iban<gb29 nwbk 6016 1331 9268 19>"},
		{"IBAN, words behind", Hint{}, "iban<DE89 3704 0044 0532 0130 00> BIC COBADEFF"},
		{"IBAN hyphens", Hint{}, "iban<DE89-3704-0044-0532-0130-00>"},
		{"IBAN no-break spaces", Hint{}, "iban<DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000>"},
		{"IBAN glued to its name", Hint{}, "IBAN:iban<NL91ABNA0417164300>"},
		{"IBAN wrong", Hint{}, "DE89370400440532013001"},
		{"IBAN wrong length", Hint{}, "DE8937040044053201300 DE893704004405320130000"},
		{"IBAN unknown country", Hint{}, "ZZ89370400440532013000"},
		{"IBAN in a token", Hint{}, "xDE89370400440532013000 DE89370400440532013000a /p/DE89370400440532013000/x"},
		{"IBAN with a card's digits inside", Hint{}, "iban<DE30411111111111111106>"},
		{"routing", Hint{}, "routing number us_bank_routing<021000021>"},
		{"routing ABA", Hint{}, "ABA us_bank_routing<021000021> and checking account us_bank_account<000123456789>"},
		{"routing as on a cheque", Hint{}, "routing us_bank_routing<0210 0002 1>"},
		{"routing key", Hint{Key: "routing_number"}, "us_bank_routing<021000021>"},
		{"routing wrong", Hint{}, "routing 021000022"},
		{"routing no name", Hint{}, "order 021000021, 021000021"},
		{"account beside a routing number", Hint{}, "Routing: us_bank_routing<021000021>, account: us_bank_account<1234567890>"},
		{"account named bank account", Hint{}, "my bank account number is us_bank_account<12345678>"},
		{"account key", Hint{Key: "bank_account_number"}, "us_bank_account<12345678>"},
		{"account named behind", Hint{}, "account no. us_bank_account<2349054348> (savings)"},
		{"account of a shop", Hint{}, "account number 1234567890"},
		{"account of seventeen digits", Hint{}, "bank account us_bank_account<12345678901234567>"},
		{"account of sixteen digits", Hint{}, "my bank account number is us_bank_account<1234567890123456>"},
		{"account like a card, wrong check digit", Hint{}, "bank account us_bank_account<4111111111111112>"},
		{"account key, card digits", Hint{Key: "bank_account_number"}, "C<4111111111111111>"},
		{"account key in one word, card digits", Hint{Key: "bankAccountNumber"}, "C<4111111111111111>"},
		{"account key, wrong check digit", Hint{Key: "bank_account_number"}, "us_bank_account<4111111111111112>"},
		{"account key, at a place of ids", Hint{Key: "bank_account_number", ID: true}, "4111111111111111"},
		{"account key, card as printed", Hint{Key: "bank_account_number"}, "C<4111 1111 1111 1111>"},
		{"account key, card with dashes", Hint{Key: "bank_account_number"}, "C<4111-1111-1111-1111>"},
		{"account key, card in even groups", Hint{Key: "bank_account_number"}, "C<41111111 11111111>"},
		{"account key, card of fifteen as printed", Hint{Key: "bank_account_number"}, "C<3782 822463 10005>"},
		{"account key, below another", Hint{Key: "bank_account.number"}, "C<4111 1111 1111 1111>"},
		{"account key in words", Hint{Key: "bank account number"}, "C<4111 1111 1111 1111>"},
		{"account key, the short word for number", Hint{Key: "bank_account_no"}, "C<4111 1111 1111 1111>"},
		{"account key, the short word for number, bare", Hint{Key: "bankAccountNo"}, "C<4111111111111111>"},
		{"account key, account twice", Hint{Key: "bank_account.account_number"}, "C<4111111111111111>"},
		{"account key, account twice, as printed", Hint{Key: "bank_account.account_number"}, "C<4111 1111 1111 1111>"},
		{"account key, as printed, wrong check digit", Hint{Key: "bank_account_number"}, "us_bank_account<4111 1111 1111 1112>"},
		{"account key with id", Hint{Key: "bank_account_id"}, "4111111111111111"},
		{"account key with id in front", Hint{Key: "id_bank_account"}, "4111111111111111"},
		{"account key with id in the middle", Hint{Key: "bank.id.bank_account_number"}, "4111111111111111"},
		{"account key of a key", Hint{Key: "bank_account_key"}, "4111111111111111"},
		{"account key of a shop", Hint{Key: "account.account_number"}, "4111111111111111"},
		{"account key, two cards", Hint{Key: "bank_account_number"}, "C<4111111111111111> C<4242424242424242>"},
		{"account key, three cards", Hint{Key: "bank_account_number"}, "C<4111111111111111> C<4242424242424242> C<5555555555554444>"},
		{"account key, two cards as printed", Hint{Key: "bank_account_number"}, "C<4111 1111 1111 1111> C<4242 4242 4242 4242>"},
		{"account key, a card as printed and one bare", Hint{Key: "bank_account_number"}, "C<4111 1111 1111 1111> C<4242424242424242>"},
		{"account key, two cards, comma", Hint{Key: "bank_account_number"}, "C<4111111111111111>,C<4242424242424242>"},
		{"account key, two cards, comma and blank", Hint{Key: "bank_account_number"}, "C<4111111111111111>, C<4242424242424242>"},
		{"account key, two cards, slash", Hint{Key: "bank_account_number"}, "C<4111111111111111>/C<4242424242424242>"},
		{"account key, two cards, semicolon", Hint{Key: "bank_account_number"}, "C<4111111111111111>; C<4242424242424242>"},
		{"account key, behind a mask", Hint{Key: "bank_account_number"}, "XXXXXXXXXXXX1111 C<4242424242424242>"},
		{"account key, behind a mask as printed", Hint{Key: "bank_account_number"}, "XXXX XXXX XXXX 1111 C<4242424242424242>"},
		{"accounts in text that are cards", Hint{}, "bank account number C<4111111111111111> C<4242424242424242>"},
		{"accounts in text that are cards, comma", Hint{}, "bank account number C<4111111111111111>, C<4242424242424242>"},
		{"accounts in text that are cards, comma alone", Hint{}, "bank account number C<4111111111111111>,C<4242424242424242>"},
		{"accounts in text that are cards, and", Hint{}, "bank accounts C<4111111111111111> and C<4242424242424242>"},
		{"accounts in text that are cards, behind a mask", Hint{}, "bank account number XXXXXXXXXXXX1111, C<4242424242424242>"},
		{"account key, part of a longer number", Hint{Key: "bank_account_number"}, "12 4111111111111111"},
		{"account that is a card by its digits", Hint{}, "bank account number C<4111111111111111>"},
		{"account of savings that is a card", Hint{}, "savings account: C<4242424242424242>"},
		{"account of a shop that is a card", Hint{}, "account number 4111111111111111"},
		{"account of eighteen digits", Hint{}, "bank account 123456789012345678"},
		{"account ending", Hint{}, "my bank account ending in 123456"},
		{"savings of money", Hint{}, "you get savings of $123456"},
	})
}

// Below the key of a bank account a card is rewritten however it is written; below that of an id
// or a key of one, and where the channel says that an id is, nothing is.
func TestBankKeys(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	account := []string{"bank_account_number", "bankAccountNumber", "bank_account", "bank_account_no", "bank_account_nr", "bank_account_num", "bankAccountNo", "bank_account.number", "bank account number",
		"bank_account.account_number", "customer.bank_account.account_no", "savings_account_number", "checkingAccountNumber"}
	none := []string{"bank_account_id", "id_bank_account", "bank_account_key", "key_bank_account", "bank.id.bank_account_number", "account_number", "account.account_number",
		"bank_account.order_number", "order_number", "bank_account_uuid", "bank_account_code"}
	for _, text := range []string{"4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "41111111 11111111", "3782 822463 10005",
		"4111111111111111 4242424242424242", "4111 1111 1111 1111 4242 4242 4242 4242", "4111-1111-1111-1111,4242424242424242"} {
		for key, want := range bankKeys(account, none) {
			var spots []span
			for _, f := range d.Text(nil, []byte(text), Hint{Key: key}) {
				if !f.Never && f.Class == redact.CreditCard {
					spots = append(spots, span{f.Start, f.End})
				}
			}
			rewritten := len(spots) > 0 && spots[0].start == 0 && spots[len(spots)-1].end == len(text)
			if want != rewritten || !want && len(spots) > 0 {
				t.Errorf("key %q, %q: rewritten at %v, want all of it: %v", key, text, spots, want)
			}
		}
		for _, f := range d.Text(nil, []byte(text), Hint{Key: "bank_account_number", ID: true}) {
			if !f.Never {
				t.Errorf("at a place of ids, %q: %s is rewritten", text, f.Class)
			}
		}
	}
}

// bankKeys says of each key whether a card below it is rewritten.
func bankKeys(account, none []string) map[string]bool {
	keys := make(map[string]bool)
	for _, key := range account {
		keys[key] = true
	}
	for _, key := range none {
		keys[key] = false
	}
	return keys
}

func TestPhones(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"E.164", Hint{}, "phone<+12125550147>"},
		{"E.164 with separators", Hint{}, "call phone<+1 (212) 555-0147> or phone<+44 20 7946 0018>"},
		{"E.164 German", Hint{}, "phone<+49 (0)30 1234567>"},
		{"E.164 Dutch", Hint{}, "phone<+31 (0)20 779 1846> or phone<+31 20 779 1846>"},
		{"bytes in hexadecimal", Hint{}, "06 03 55 04 03 13 02 47, 4e  06 62 66 25 60  b1 3f, 2b 06 01 05 05 07"},
		{"E.164 date behind", Hint{}, "phone<+44 20 7946 0018> 12/03/2026"},
		{"E.164 in a query", Hint{}, "From=phone<+12125550147>&To=phone<+12125550148>"},
		{"E.164 scheme", Hint{}, "tel:phone<+12125550147> whatsapp:phone<+12125550148>"},
		{"plus in front of a date, a decimal", Hint{}, "+2016-01-03 and +35236450.6"},
		{"no such country", Hint{}, "+0123456789 +999 no +28312345678"},
		{"North America, wrong", Hint{}, "+1 911 555 0147 12"},
		{"offset of a time", Hint{}, "2026-01-02T03:04:05+0200, GMT+05301234"},
		{"a sum", Hint{}, "a+12125550147 12+12125550147"},
		{"printed", Hint{}, "phone<(212) 555-0147> phone<212-555-0147>, phone<212.555.0147>; phone<1-800-555-0199>"},
		{"printed, extension", Hint{}, "phone<212-555-0147> x12 or phone<(212) 555-0147>x34"},
		{"blanks need a name", Hint{}, "212 555 0147"},
		{"blanks, named", Hint{}, "call phone<212 555 0147>, or mobile phone<212 555 0148>"},
		{"bare, named", Hint{}, "My phone number is phone<2125550147>"},
		{"bare, not named", Hint{}, "2125550147 and order 2125550147"},
		{"area that does not exist", Hint{}, "112-555-0147, 212-155-0147"},
		{"key", Hint{Key: "phone"}, "phone<2125550147>"},
		{"key of a requester", Hint{Key: "requesterMobilePhone"}, "phone<07700 900123>"},
		{"key of an id", Hint{Key: "phone_number_id"}, "105550147123456"},
		{"UK", Hint{}, "phone<020 7946 0018> or phone<07700 900123>"},
		{"UK bare, named", Hint{}, "mobile: phone<07700900123>"},
		{"French", Hint{}, "appelez le phone<06 12 34 56 78>, tél. phone<01.23.45.67.89>"},
		{"German", Hint{}, "Tel.: phone<030 1234567>, Handy phone<0151/23456789>"},
		{"German mobile, not named", Hint{}, "meine Nummer ist phone<0151 23456789>"},
		{"Spanish", Hint{}, "mi teléfono es phone<612 345 678>"},
		{"Chinese", Hint{}, "电话phone<13812345678>"},
		{"two numbers", Hint{}, "call phone<2125550147> or phone<2125550148>"},
		{"named behind", Hint{}, "phone<2125550147> is my cell"},
		{"price", Hint{}, "call 12 times, $1234567"},
		{"order after call", Hint{}, "you called about order 12345678"},
		{"a date", Hint{}, "called 12/03/2026 and 2026-03-12"},
		{"ip address", Hint{}, "call from 192.168.100.200"},
		{"url", Hint{}, "https://x.example/212-555-0147/a/2125550147"},
		{"uuid", Hint{}, "phone 12345678-1234-1234-1234-123456789012"},
		{"card under plus", Hint{}, "+C<4111111111111111>"},
	})
}

func TestDatesOfBirth(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"slashes", Hint{}, "DOB date_of_birth<12/03/1985>"},
		{"dob with dots", Hint{}, "D.O.B.: date_of_birth<3.12.85>"},
		{"ISO", Hint{}, "date of birth: date_of_birth<1985-03-12>"},
		{"words", Hint{}, "I was born on date_of_birth<12 March 1985>"},
		{"month first", Hint{}, "my birthday is date_of_birth<March 12, 1985>, thanks"},
		{"ordinal", Hint{}, "born date_of_birth<12th of March 1985>"},
		{"short month", Hint{}, "dob date_of_birth<12-Mar-1985>"},
		{"born somewhere", Hint{}, "born in London on date_of_birth<12/03/1985>"},
		{"behind", Hint{}, "date_of_birth<12/03/1985> is my date of birth"},
		{"German", Hint{}, "Geburtsdatum: date_of_birth<12.03.1985>, geboren am date_of_birth<12. März 1985>"},
		{"French", Hint{}, "née le date_of_birth<12 mars 1985>, date de naissance date_of_birth<12/03/1985>"},
		{"Spanish", Hint{}, "fecha de nacimiento date_of_birth<12 de marzo de 1985>"},
		{"Italian", Hint{}, "nato il date_of_birth<12/03/1985>"},
		{"Portuguese", Hint{}, "data de nascimento: date_of_birth<12/03/1985>"},
		{"Dutch", Hint{}, "geboortedatum date_of_birth<12-03-1985>"},
		{"Polish", Hint{}, "data urodzenia date_of_birth<12.03.1985>"},
		{"Russian", Hint{}, "дата рождения date_of_birth<12.03.1985>"},
		{"Chinese", Hint{}, "出生日期：date_of_birth<1985年3月12日>"},
		{"Japanese", Hint{}, "生年月日date_of_birth<1985/03/12>"},
		{"key", Hint{Key: "date_of_birth"}, "date_of_birth<1985-03-12>"},
		{"key, bare", Hint{Key: "dob"}, "date_of_birth<19850312>"},
		{"key with time", Hint{Key: "birthDate"}, "date_of_birth<1985-03-12>T00:00:00Z"},
		{"no date", Hint{}, "dob 32/13/1985, born 1985"},
		{"too long ago", Hint{}, "born 12/03/1785"},
		{"other date", Hint{}, "order date 12/03/1985, 12 March 1985"},
		{"order behind", Hint{}, "born in the order of 12/03/2026"},
		{"key of a time", Hint{Key: "created_at"}, "1985-03-12"},
	})
}

// What vendors number their things with, and what machines write.
func TestNoIdentifiers(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for _, c := range []struct{ key, text string }{
		{"id", "4402126792468"}, {"requester_id", "360001234567"}, {"author_id", "1234567893"}, {"id", "021000021"}, {"ticket_id", "943476591"},
		{"created_at", "1772323205"}, {"updated_at", "2026-03-01T10:20:30Z"}, {"timestamp", "1772323205123"}, {"ts", "1772323205.123456"},
		{"id", "5f3c9b1e2a4d6c8e0f1a2b3c"}, {"id", "0031t00000abcdeAAA"}, {"id", "5003000000D8cuI"}, {"sid", "SM1234567890abcdef1234567890abcdef"},
		{"wamid", "wamid.HBgLMTIxMjU1NTAxNDcVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"}, {"mid", "m_1772323205"}, {"phone_number_id", "106540352242922"}, {"waba_id", "102290129340398"},
		{"uuid", "12345678-1234-4234-8234-123456789012"}, {"", "12345678-1234-4234-8234-123456789012"}, {"sha", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"url", "https://acme.zendesk.com/api/v2/tickets/9434765919/comments/4402126792468.json"}, {"", "https://x.example/a/12345678Z/AB123456C"},
		{"", "Order 9434765919 shipped with tracking 1Z999AA10123456784"}, {"", "tracking 9400111899560000000000"}, {"", "JD014600003828392837"},
		{"", "ticket #12345678, case 00123456, ref AB123456C"}, {"", "invoice INV-2026-000123456"}, {"", "SKU 12345678Z, model AV7990751"}, {"", "IMEI 490154203237518"},
		{"", "version 1.2.3.4, build 20260301.1"}, {"", "2026-11-22 08:14:14,123 INFO 12345678"}, {"", "0.529982247, 123456.782 and 1,234,567,893"},
		{"", "lat 52.5200066, lng 13.404954"}, {"", "192.168.100.200 10.0.0.1:8080"}, {"", "+/- 12345678"}, {"", "Mon, 22 Nov 2026 08:14:14 +0000"}, {"", "GMT+0200"},
		{"", "<20261122081414.123456789@mail.example>"}, {"", "GA1.2.1234567893.1772323205"}, {"", "fbclid=IwAR0123456789abcdefAB123456C"}, {"cursor", "eyJpZCI6MTIzNDU2Nzg5M30="},
		{"", "U+200B U+1F600"}, {"", "aspect 16:9, 1920x1080, 2026/03/12"}, {"", "page 12 of 345, lines 100-200"}, {"amount", "123456782"}, {"total", "9434765919"},
		{"", "XXX-XX-XXXX and XXXX XXXX XXXX 1111"}, {"", "call XXX-XXX-XXXX"}, {"from", "105550147123456"}, {"account_number", "123456789"}, {"number", "9434765919"},
		{"", "DHL 1234567893 and FedEx 123456789012"}, {"", "EAN 4006381333931"}, {"", "a 10 digit id: 1234567893"}, {"", "My order number is 675749113"},
	} {
		for _, f := range d.Text(nil, []byte(c.text), Hint{Key: c.key}) {
			if (!f.Never || f.Strong) && !hasOwnCorpus(f.Class) {
				t.Errorf("key %q: %q holds %s (%s)", c.key, c.text[f.Start:f.End], f.Class, f.Rule)
			}
		}
	}
}

func TestExpiryDates(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"behind a card", Hint{}, "C<4111111111111111> E<09/27> and C<4111 1111 1111 1111>, exp. E<09-2027>"},
		{"blanks around the slash", Hint{}, "C<4111111111111111> exp E<09 / 27>"},
		{"year first", Hint{}, "C<4111111111111111> valid until E<2027-09>"},
		{"bare, named", Hint{}, "C<4111111111111111> exp E<0927>"},
		{"bare, not named", Hint{}, "C<4111111111111111> 0927"},
		{"a dump", Hint{}, "C<4111111111111111>|E<0927>|V<123>|JO DOE"},
		{"behind the code", Hint{}, "C<4111111111111111> cvv V<123> exp E<09/27>"},
		{"in front", Hint{}, "exp E<09/27>, card C<4111 1111 1111 1111>"},
		{"German", Hint{}, "Karte C<4111 1111 1111 1111> gültig bis E<09/27>"},
		{"no card", Hint{}, "exp 09/27, valid thru 09/27"},
		{"far behind", Hint{}, "C<4111111111111111> was declined when I tried it on 09/27"},
		{"a whole date", Hint{}, "C<4111111111111111> 12/09/2027"},
		{"no month", Hint{}, "C<4111111111111111> exp 19/27 00/27"},
		{"key", Hint{Key: "card_expiry"}, "E<09/27>"},
		{"key in camel case", Hint{Key: "cardExpirationDate"}, "E<2027-09>"},
		{"key of a coupon", Hint{Key: "coupon_expiry"}, "09/27"},
		{"key bare", Hint{Key: "cc_exp"}, "E<0927>"},
	})
}

func TestLastFour(t *testing.T) {
	t.Parallel()
	runCases(t, []textCase{
		{"named", Hint{}, "the last four of my social: us_ssn_last4<6789>, last 4 ssn us_ssn_last4<6789>"},
		{"ending", Hint{}, "ssn ending in us_ssn_last4<6789>"},
		{"behind", Hint{}, "us_ssn_last4<6789> are the last four digits of my ssn"},
		{"the rest masked", Hint{}, "SSN: XXX-XX-us_ssn_last4<6789>, social ***-**-us_ssn_last4<6789>; xxx-xx-6789"},
		{"key", Hint{Key: "ssn_last4"}, "us_ssn_last4<6789>"},
		{"key in camel case", Hint{Key: "lastFourOfSSN"}, "us_ssn_last4<6789>"},
		{"Spanish", Hint{}, "los últimos cuatro de mi seguro social son us_ssn_last4<6789>"},
		{"of a card", Hint{}, "card ending in 6789, the last four are 6789"},
		{"a year", Hint{}, "I lost my SSN card last summer 2024"},
		{"masked by us", Hint{}, "ssn XXX-XX-XXXX 2024, xxx-xx-67890"},
		{"key of a card", Hint{Key: "card_last4"}, "6789"},
	})
}
