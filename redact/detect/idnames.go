package detect

import "strings"

// What words and keys say about numbers, beside the senses of words.go: one bit
// for each name.
const (
	nameRouting    sense = senseIDs << iota
	nameAccount          // of a bank
	nameAnyAccount       // a bank's only beside a routing number
	nameIBAN
	nameNINO
	nameNHS
	nameSIN
	nameTFN
	nameSteuerID
	nameNIR
	nameDNI // DNI, NIE or NIF
	nameFiscalCode
	nameBSN
	namePESEL
	namePersonnummer
	nameCPF
	nameCNPJ
	nameAadhaar
	nameIndianPAN
	nameCURP
	namePassport
	nameMBI
	nameNPI
	nameDEA
	namePhone
	nameBirth
	nameExpiry
	nameEnding // last, ending: the number is only the end of one
	nameOther  // something else: an amount, a ticket, a page
	nameFill   // may stand between a name and its number

	// nameAny are the names of what this file is about.
	nameAny = nameEnding - nameRouting
	// nameElse are the senses that name a number something else.
	nameElse = nameOther | senseSoft | senseHard | senseCard | senseCVV | sensePIN
)

// idNames lists what people call the identifiers, in the languages they write. A
// phrase is found word by word, and also written as one word (nhsNumber).
var idNames = map[sense][]string{
	nameRouting: {"routing", "routing no", "routing transit", "aba", "aba routing", "rtn", "transit number", "bank routing", "micr"},
	nameAccount: {"bank account", "bank acct", "checking account", "checking acct", "savings account", "savings acct", "deposit account", "direct deposit", "ach account",
		"dda", "checking", "savings", "bank accounts", "financial account", "cuenta bancaria"},
	nameAnyAccount: {"account", "acct", "acc", "account no", "a c"},
	nameIBAN:       {"iban", "ibans", "bankverbindung", "kontonummer", "rekeningnummer", "bank details"},
	nameNINO:       {"nino", "ni", "national insurance", "nat ins", "nat insurance", "n i", "nics"},
	nameNHS:        {"nhs", "n h s", "national health", "health service", "patient number", "chi"},
	nameSIN:        {"sin", "s i n", "social insurance", "nas", "assurance sociale", "canadian social"},
	nameTFN:        {"tfn", "t f n", "tax file", "tax file no", "australian tax"},
	nameSteuerID: {"steuer id", "steuerid", "steuer identifikationsnummer", "steueridentifikationsnummer", "steuerliche identifikationsnummer", "steuernummer", "idnr", "id nr",
		"steuer identnummer", "steueridentnummer", "identifikationsnummer", "tin", "tax id", "tax number", "tax identification", "german tax", "steuer idnr", "tax identifier"},
	nameNIR:        {"nir", "insee", "sécu", "secu", "sécurité sociale", "securite sociale", "numéro de sécu", "nss", "numéro ss", "social security", "carte vitale", "vitale"},
	nameDNI:        {"dni", "d n i", "nie", "nif", "n i f", "n i e", "documento nacional", "documento de identidad", "identidad", "documento", "cif", "extranjero", "extranjería"},
	nameFiscalCode: {"codice fiscale", "cod fiscale", "cod fisc", "fiscale", "cf", "c f", "fiscal code", "codice fisc"},
	nameBSN:        {"bsn", "burgerservicenummer", "burger service", "sofi", "sofinummer", "sofi nummer", "citizen service", "burgerservice", "burgerservicenr", "bsn nummer", "persoonsnummer"},
	namePESEL:      {"pesel", "peselu", "peselem", "numer pesel", "nr pesel"},
	namePersonnummer: {"personnummer", "personnumret", "personnr", "pnr", "person nr", "personal identity", "swedish id", "samordningsnummer", "coordination number", "personal number",
		"civic number", "födelsenummer", "swedish personal"},
	nameCPF:       {"cpf", "c p f", "cadastro de pessoas", "cadastro de pessoa", "pessoa física", "cpf mf", "cpf cnpj", "cnpj cpf"},
	nameCNPJ:      {"cnpj", "c n p j", "cadastro nacional", "pessoa jurídica", "cpf cnpj", "cnpj cpf"},
	nameAadhaar:   {"aadhaar", "aadhar", "adhaar", "adhar", "uidai", "aadhaar card", "aadhar card", "aadhaarno", "आधार", "आधार कार्ड"},
	nameIndianPAN: {"pan", "pan card", "permanent account", "pan no", "pancard", "income tax"},
	nameCURP:      {"curp", "clave única", "clave unica", "registro de población"},
	namePassport: {"passport", "passports", "us passport", "passport book", "passport card", "passeport", "pasaporte", "reisepass", "passaporto", "passaporte", "paspoort", "passnummer",
		"reisepassnummer", "paszport", "паспорт", "паспорта"},
	nameMBI: {"mbi", "medicare", "medicare id", "medicare beneficiary", "beneficiary", "hicn"},
	nameNPI: {"npi", "n p i", "national provider", "provider identifier"},
	nameDEA: {"dea", "d e a", "dea registration", "dea license"},
	namePhone: {"phone", "phones", "telephone", "telephones", "tel", "tele", "telno", "mobile", "mob", "cell", "cellphone", "cellular", "call", "called", "calling", "callback", "caller",
		"fax", "whatsapp", "sms", "dial", "dialed", "dialled", "ring", "msisdn", "landline", "hotline", "text me", "text us", "text him", "text her", "reach me", "reach us",
		"reach him", "reach her", "contact number", "contact no", "contact me", "daytime", "ph", "wa id", "signal", "viber", "phone no",
		"telefon", "telefonnummer", "telefonnr", "handy", "handynummer", "handynr", "rufnummer", "rückruf", "rückrufnummer", "mobil", "mobilnummer", "mobilnr", "mobiltelefon",
		"festnetz", "anrufen", "anruf", "erreichbar", "erreichen", "téléphone", "tél", "portable", "fixe", "appeler", "appelez", "rappeler", "rappelez", "joindre", "joignable",
		"teléfono", "telefono", "teléfonos", "tlf", "tfno", "móvil", "movil", "celular", "cel", "llamar", "llamen", "llame", "llamarme", "llámame", "llámeme",
		"cellulare", "chiamare", "chiamami", "chiamatemi", "recapito", "fisso", "telefone", "telemóvel", "telemovel", "ligar", "ligue", "fone",
		"telefoon", "telefoonnummer", "telefoonnr", "mobiel", "mobiele", "gsm", "bellen", "bereikbaar", "mobilen", "telefonu", "komórka", "komórkowy", "numer telefonu",
		"dzwonić", "zadzwoń", "puhelin", "puhelinnumero", "τηλέφωνο", "cep", "telefonum", "телефон", "телефону", "телефона", "тел", "моб", "звоните", "позвоните", "phone call"},
	nameBirth: {"dob", "d o b", "dobs", "birth", "born", "birthdate", "birthday", "birthdays", "date of birth", "day of birth", "bday", "birth day",
		"geburtsdatum", "geburtstag", "geboren", "geb", "geborene", "geborener", "naissance", "né", "née", "nacimiento", "nacido", "nacida", "nací", "naci", "fnac", "f nac", "cumpleaños",
		"nascita", "nato", "nata", "nascimento", "nasc", "nascido", "nascida", "nasci", "geboortedatum", "geboorte", "geb datum", "urodzenia", "urodzony", "urodzona", "urodzin", "ur",
		"född", "fødselsdato", "født", "födelsedatum", "födelsedag", "syntymäaika", "doğum", "doğum tarihi", "рождения", "родился", "родилась", "narození", "születési"},
	nameExpiry: {"exp", "expiry", "expires", "expiration", "expire", "expiring", "expdate", "exp date", "valid thru", "valid through", "valid until", "valid to", "thru", "good thru", "gültig bis",
		"caducidad", "caduca", "vencimiento", "vence", "validade", "scadenza", "expire fin", "expiration date", "vervaldatum", "ablaufdatum", "verfallsdatum", "geldig tot", "date d expiration",
		"runs out", "verloopt", "scade", "ważna do", "platnost", "udløber", "utløper", "son kullanma", "срок", "تنتهي", "expire le"},
	nameOther: {"since", "until", "amount", "total", "price", "usd", "eur", "gbp", "inr", "brl", "balance", "paid", "zip", "postcode", "postal", "plz", "cep",
		"extension", "model", "part", "asset", "user", "username", "handle", "created", "updated", "batch", "lot", "registration", "licence", "license", "vat", "ein", "duns", "charity",
		"company", "crn", "sort code", "device", "page", "version", "session", "error", "code", "job", "tag", "project", "task", "bug", "issue", "pr", "rev", "revision", "commit", "log", "line",
		"message id", "conversation", "conversation id", "thread", "article", "phone number id", "phone id", "caller id", "call id", "passport id", "uuid", "guid", "token"},
	nameEnding: {"last", "ending", "ends", "end", "final", "letzten", "letzte", "derniers", "últimos", "ultimos", "ultime", "laatste", "last4", "lastfour", "sista", "ostatnie"},
	nameFill: {"number", "numbers", "no", "nr", "num", "nos", "nbr", "is", "was", "are", "the", "my", "our", "your", "his", "her", "their", "to", "at", "on", "under", "of", "for", "me", "us", "him",
		"them", "new", "old", "here", "as", "it", "its", "s", "this", "that", "following", "full", "and", "or", "be", "reached", "please", "pls", "also", "current",
		"home", "work", "office", "personal", "primary", "secondary", "direct", "main", "best", "evening", "private", "business", "correct", "actual", "alternate", "alternative", "emergency", "either", "back",
		"id", "card", "in", "with", "via", "using", "by", "available", "should", "would", "will", "patient", "date", "m", "re", "i", "e", "g", "not", "now", "still", "just",
		"und", "ist", "lautet", "die", "der", "das", "meine", "mein", "meiner", "am", "unter", "mich", "uns", "ihre", "deine", "auf", "oder", "bitte", "neue", "vom", "von", "den", "dem",
		"numéro", "numero", "número", "nummer", "nº", "n", "es", "mi", "el", "la", "le", "les", "est", "ma", "mon", "son", "sa", "è", "il", "lo", "un", "una", "une", "al", "en", "em", "de", "del", "della", "di",
		"du", "au", "ao", "a", "o", "os", "meu", "minha", "sou", "é", "seu", "sua", "su", "tu", "mijn", "het", "op", "van", "ons", "numer", "moj", "mój", "moja", "jest", "mitt", "min", "är", "er", "номер",
		"мой", "мне", "по", "это", "day", "dia", "día", "jour", "nel", "y", "et", "ou", "e", "och", "thats", "below", "found", "digits", "digit", "four", "4"},
}

// idVocabulary is idNames with what follows from it: a phrase is also written as
// one word, and a name with "number" behind it as well.
func idVocabulary() map[sense][]string {
	out := make(map[sense][]string, len(idNames))
	for set, list := range idNames {
		words := append([]string(nil), list...)
		for _, p := range list {
			if set&nameAny == 0 || strings.Count(p, " ") > 1 {
				continue
			}
			joined := strings.ReplaceAll(p, " ", "")
			if len(joined) > 4 && joined != p {
				words = append(words, joined)
			}
			if len(joined) > 2 {
				for _, tail := range [...]string{"number", "no", "num", "nummer", "nr"} {
					words = append(words, joined+tail)
				}
			}
		}
		out[set] = words
	}
	return out
}

// keyCues has a bit for the first word of every name that a key may hold, and
// keyFirsts has the words: other words share their bits.
var keyCues, keyFirsts = func() (t [1 << 16 / 64]uint64, firsts map[string]bool) {
	firsts = map[string]bool{}
	for set, list := range idNames {
		if set&nameAny == 0 || set&nameAnyAccount != 0 {
			continue
		}
		for _, w := range list {
			if i := strings.IndexByte(w, ' '); i == 1 || i >= 0 && w[:i] == "id" {
				continue // single letters, and what every key has
			}
			c, end := keyCue(w, 0)
			t[c>>6] |= 1 << (c & 63)
			firsts[w[:end]] = true
		}
	}
	return t, firsts
}()

// keyCue is the hash of the word that begins at i, and where the word ends: at
// what is no letter, or at the next word of a name such as nhsNumber, NHSNumber.
func keyCue[T []byte | string](key T, i int) (c uint32, end int) {
	for end = i; end < len(key) && isLetter(key[end]); end++ {
		if end > i && upper(key[end]) && (!upper(key[end-1]) || end+1 < len(key) && key[end+1]-'a' < 26) {
			break
		}
		c = c*33 + uint32(key[end]&31)
	}
	return c * 0x9E3779B1 >> 16, end
}

// MayName reports whether a number may be an identifier because of its key, however
// plain it looks: [Detector.Quick] leaves it to Text then. It is quick, and may be wrong on the side of yes.
func MayName[T []byte | string](key T) bool {
	for i := 0; i < len(key); {
		if key[i] >= 0x80 {
			return true
		}
		if !isLetter(key[i]) {
			i++
			continue
		}
		from := i
		var c uint32
		if c, i = keyCue(key, i); keyCues[c>>6]>>(c&63)&1 != 0 && isKeyFirst(key[from:i]) {
			return true
		}
	}
	return false
}

// isKeyFirst reports whether word is the first of a name.
func isKeyFirst[T []byte | string](word T) bool {
	var buf [maxWord]byte
	if len(word) > len(buf) {
		return false
	}
	for i := range len(word) {
		buf[i] = lower(word[i])
	}
	return keyFirsts[string(buf[:len(word)])]
}
