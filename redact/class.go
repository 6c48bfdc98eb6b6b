package redact

// Class is the name of one kind of sensitive data. The names are part of the
// policy input, of audit leaves and of metrics: they never change meaning.
type Class string

// The closed list of data classes.
const (
	CreditCard           Class = "credit_card"
	CardVerificationCode Class = "card_verification_code"
	CardTrackData        Class = "card_track_data"
	CardPIN              Class = "card_pin"
	CardExpiry           Class = "card_expiry"
	PaymentReference     Class = "payment_reference"

	USSSN         Class = "us_ssn"
	USITIN        Class = "us_itin"
	USSSNLast4    Class = "us_ssn_last4"
	USBankRouting Class = "us_bank_routing"
	USBankAccount Class = "us_bank_account"
	USPassport    Class = "us_passport"
	USMBI         Class = "us_mbi"
	USNPI         Class = "us_npi"
	USDEA         Class = "us_dea"

	IBAN            Class = "iban"
	UKNINO          Class = "uk_nino"
	UKNHS           Class = "uk_nhs"
	CASIN           Class = "ca_sin"
	AUTFN           Class = "au_tfn"
	DETaxID         Class = "de_tax_id"
	FRNIR           Class = "fr_nir"
	ESDNI           Class = "es_dni"
	ESNIE           Class = "es_nie"
	ITCodiceFiscale Class = "it_codice_fiscale"
	NLBSN           Class = "nl_bsn"
	PLPESEL         Class = "pl_pesel"
	SEPersonnummer  Class = "se_personnummer"
	BRCPF           Class = "br_cpf"
	BRCNPJ          Class = "br_cnpj"
	INAadhaar       Class = "in_aadhaar"
	INPAN           Class = "in_pan"
	MXCURP          Class = "mx_curp"
	Email           Class = "email"
	Phone           Class = "phone"
	IPAddress       Class = "ip_address"
	DateOfBirth     Class = "date_of_birth"
	Secret          Class = "secret"
	Password        Class = "password"
	CryptoAddress   Class = "crypto_address"
	Blocklist       Class = "blocklist"
)

// ClassInfo is one row of the class table.
type ClassInfo struct {
	// Class is our name.
	Class Class
	// Title is for people, in a console or a report.
	Title string
	// Presidio and DLP are the names the same data has in Microsoft Presidio
	// and in Google Cloud DLP, empty where they have none.
	Presidio, DLP string
	// Default is what the built-in policy does when nobody says otherwise
	// (design: the treatment table). Policy decides; this is documentation and
	// the offline behaviour of the command line.
	Default Action
	// Checksum says in a few words what proves a value, empty when only its
	// shape and the words around it can.
	Checksum string
	// Detected is true when a detector for the class is built in today.
	Detected bool
}

// classes is the table, in the order in which it is shown.
var classes = [...]ClassInfo{
	{CreditCard, "Payment card number", "CREDIT_CARD", "CREDIT_CARD_NUMBER", Mask, "Luhn, issuer range", true},
	{CardVerificationCode, "Card verification code", "", "CVV_NUMBER", Drop, "", true},
	{CardTrackData, "Magnetic stripe or chip track", "", "CREDIT_CARD_TRACK_NUMBER", Drop, "Luhn of the card number inside", true},
	{CardPIN, "Card PIN", "", "", Drop, "", true},
	{CardExpiry, "Card expiry date beside a card", "", "CREDIT_CARD_EXPIRATION_DATE", Report, "", true},
	{PaymentReference, "Payment processor reference", "", "", Tokenize, "", true},
	{USSSN, "US social security number", "US_SSN", "US_SOCIAL_SECURITY_NUMBER", Mask, "", true},
	{USITIN, "US individual taxpayer number", "US_ITIN", "US_INDIVIDUAL_TAXPAYER_IDENTIFICATION_NUMBER", Mask, "", true},
	{USSSNLast4, "Last four digits of a US social security number", "", "", Report, "", true},
	{USBankRouting, "US bank routing number", "ABA_ROUTING_NUMBER", "US_BANK_ROUTING_MICR", Report, "weights 3 7 1", true},
	{USBankAccount, "US bank account number", "US_BANK_NUMBER", "FINANCIAL_ACCOUNT_NUMBER", Report, "", true},
	{IBAN, "International bank account number", "IBAN_CODE", "IBAN_CODE", Report, "mod 97", true},
	{UKNINO, "UK national insurance number", "UK_NINO", "UK_NATIONAL_INSURANCE_NUMBER", Report, "", true},
	{UKNHS, "UK NHS number", "UK_NHS", "UK_NATIONAL_HEALTH_SERVICE_NUMBER", Report, "mod 11", true},
	{CASIN, "Canadian social insurance number", "CA_SIN", "CANADA_SOCIAL_INSURANCE_NUMBER", Report, "Luhn", true},
	{AUTFN, "Australian tax file number", "AU_TFN", "AUSTRALIA_TAX_FILE_NUMBER", Report, "mod 11", true},
	{DETaxID, "German tax id", "DE_TAX_ID", "GERMANY_TAXPAYER_IDENTIFICATION_NUMBER", Report, "ISO 7064 mod 11,10", true},
	{FRNIR, "French social security number", "", "FRANCE_NIR", Report, "97 complement", true},
	{ESDNI, "Spanish DNI", "ES_NIF", "SPAIN_DNI_NUMBER", Report, "mod 23 letter", true},
	{ESNIE, "Spanish NIE", "ES_NIE", "SPAIN_NIE_NUMBER", Report, "mod 23 letter", true},
	{ITCodiceFiscale, "Italian fiscal code", "IT_FISCAL_CODE", "ITALY_FISCAL_CODE", Report, "check letter", true},
	{NLBSN, "Dutch citizen service number", "", "NETHERLANDS_BSN_NUMBER", Report, "mod 11", true},
	{PLPESEL, "Polish PESEL", "PL_PESEL", "POLAND_PESEL_NUMBER", Report, "mod 10", true},
	{SEPersonnummer, "Swedish personal number", "SE_PERSONNUMMER", "SWEDEN_NATIONAL_ID_NUMBER", Report, "Luhn", true},
	{BRCPF, "Brazilian CPF", "BR_CPF", "BRAZIL_CPF_NUMBER", Report, "two mod 11 digits", true},
	{BRCNPJ, "Brazilian CNPJ", "BR_CNPJ", "", Report, "two mod 11 digits", true},
	{INAadhaar, "Indian Aadhaar number", "IN_AADHAAR", "INDIA_AADHAAR_INDIVIDUAL", Report, "Verhoeff", true},
	{INPAN, "Indian permanent account number", "IN_PAN", "INDIA_PAN_INDIVIDUAL", Report, "", true},
	{MXCURP, "Mexican CURP", "", "MEXICO_CURP_NUMBER", Report, "mod 10", true},
	{USPassport, "US passport number", "US_PASSPORT", "US_PASSPORT", Report, "", true},
	{USMBI, "US Medicare beneficiary id", "US_MBI", "US_MEDICARE_BENEFICIARY_ID_NUMBER", Report, "", true},
	{USNPI, "US national provider id", "US_NPI", "US_HEALTHCARE_NPI", Report, "Luhn with 80840", true},
	{USDEA, "US DEA number", "MEDICAL_LICENSE", "US_DEA_NUMBER", Report, "weighted sum", true},
	{Email, "E-mail address", "EMAIL_ADDRESS", "EMAIL_ADDRESS", Allow, "", true},
	{Phone, "Telephone number", "PHONE_NUMBER", "PHONE_NUMBER", Allow, "", true},
	{IPAddress, "IP address", "IP_ADDRESS", "IP_ADDRESS", Report, "", true},
	{DateOfBirth, "Date of birth", "DATE_TIME", "DATE_OF_BIRTH", Report, "", true},
	{Secret, "Key, token or other machine secret", "", "AUTH_TOKEN", Report, "", true},
	{Password, "Password in words", "", "PASSWORD", Report, "", true},
	{CryptoAddress, "Crypto-currency address", "CRYPTO", "", Report, "base58check, bech32", true},
	{Blocklist, "Term of the operator's list", "", "", Report, "", false},
}

// Classes returns the class table in display order. The slice is a copy.
func Classes() []ClassInfo {
	out := make([]ClassInfo, len(classes))
	copy(out, classes[:])
	return out
}

// Lookup returns the row of the class called name, and whether there is one.
// Names are compared exactly.
func Lookup(name string) (ClassInfo, bool) {
	for i := range classes {
		if string(classes[i].Class) == name {
			return classes[i], true
		}
	}
	return ClassInfo{}, false
}
