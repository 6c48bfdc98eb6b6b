package detect

import (
	"bytes"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sense is what a word says about the number beside it. The low sixteen bits are
// shared; each group of families has some of the rest for its own words.
type sense uint64

const (
	senseCard sense = 1 << iota // names a card, or something only a card has
	senseSoft                   // names another number people write: order, ticket, account
	senseHard                   // names a number that looks like a card but never is one: imei, tracking
	senseSSN                    // social security or taxpayer number
	senseCVV                    // verification code
	sensePIN
	senseLink // may stand between a name and its number: "order number is"
	senseKind // in front of "card" makes it another thing: gift card, sim card
	senseTail // digits that stand behind such a word are a code: "digits on the back"

	sensePhrase sense = 1 << 15 // the last word of some phrase of two or three words
	senseIDs    sense = 1 << 16 // and 31 above: national identifiers, banking, telephone, dates
	senseKeys   sense = 1 << 48 // and 7 above: secrets, passwords, addresses
	senseSpeech sense = 1 << 56 // and 7 above: spoken values
)

// wordWindow is how far words are looked for on both sides, in bytes.
const wordWindow = 64

// maxWord is the longest word looked up; longer ones say nothing.
const maxWord = 32

var wordTable = map[sense][]string{
	senseCard: {
		"card", "cards", "cardnumber", "cardno", "creditcard", "debitcard", "credit", "debit", "visa", "mastercard", "mc", "amex",
		"discover", "diners", "jcb", "unionpay", "maestro", "rupay", "troy", "elo", "verve", "hipercard", "uatp", "airplus", "cc", "ccn", "ccnum", "pan",
		"exp", "expiry", "expires", "expiration", "thru", "billing",
		"tarjeta", "tarjetas", "carte", "cb", "karte", "kreditkarte", "kreditkartennummer", "kartennummer", "ec-karte", "carta", "cartão", "cartao",
		"kaart", "kaartnummer", "creditcardnummer", "kort", "kortnummer", "kreditkort", "betalkort", "karta", "karty", "kartę", "kartı", "kart", "kártya", "cartela",
		"карта", "карты", "карту", "картой", "карте", "номеркарты", "بطاقة", "البطاقة",
	},
	senseSoft: {
		"order", "orders", "ref", "reference", "references", "ticket", "tickets", "case", "cases", "id", "ids", "account", "acct", "policy", "claim",
		"invoice", "inv", "confirmation", "conf", "transaction", "txn", "trans", "trace", "booking", "reservation", "customer", "member",
		"membership", "client", "contract", "request", "rma", "po", "quote", "ean-code", "product", "item", "article", "artikel", "artikelnummer", "artículo",
		"bestellung", "bestellnummer", "auftrag", "auftragsnummer", "rechnung", "rechnungsnummer", "kundennummer", "vorgang", "vorgangsnummer",
		"commande", "facture", "dossier", "référence", "pedido", "factura", "referencia", "ordine", "fattura", "pratica", "bestelling",
		"bestelnummer", "klantnummer", "encomenda", "zamówienie", "zamówienia", "ordernummer", "заказ", "заказа", "счет",
	},
	senseHard: {
		"imei", "imeisv", "iccid", "sim", "serial", "sn", "sku", "isbn", "ean", "gtin", "upc", "barcode", "tracking", "shipment", "parcel", "package",
		"waybill", "awb", "ups", "fedex", "usps", "dhl", "giftcard", "voucher", "coupon", "loyalty", "timestamp", "epoch", "build", "version", "phone", "tel",
		"telephone", "mobile", "cell", "fax", "whatsapp", "routing", "aba", "iban", "swift", "bic", "vin", "meter", "uuid", "guid", "hash", "ein", "duns", "npi",
		"sendungsnummer", "sendungsverfolgung", "seriennummer", "suivi", "colis", "seguimiento", "tracciamento", "telefon", "téléphone", "teléfono", "telefono",
	},
	senseSSN: {
		"ssn", "ssns", "ss", "social", "soc", "itin", "tin", "taxpayer", "taxid", "w9", "w-9", "w2", "w-2", "seguro",
	},
	senseCVV: {"cryptogramme", "kartenprüfnummer", "prüfnummer", "kartenprüfziffer", "prüfziffer", "cvv", "cvv2", "cvc", "cvc2", "cvn", "cvn2", "cve", "cvp2", "csc", "cid"},
	sensePIN: {"pin"},
	senseLink: {
		"number", "numbers", "no", "nr", "num", "nos", "is", "was", "are", "the", "my", "our", "your", "to", "a", "an", "of", "code", "codes", "here", "as", "it", "s",
		"this", "that", "thats", "following", "full", "and", "und", "ist", "lautet", "die", "der", "das", "meine", "mein", "numéro", "numero", "número", "nummer", "nº", "n", "es",
		"mi", "el", "la", "le", "est", "ma", "mon", "è", "il", "lo", "номер", "security", "value", "ending", "on", "back", "please", "bitte",
	},
	senseKind: {
		"gift", "loyalty", "sim", "membership", "library", "id", "identity", "insurance", "punch", "graphics", "video", "memory", "sd", "student",
		"phone", "calling",
	},
	senseTail: {"digits", "digit"},
}

// scriptWords are looked for inside a run of letters, because the scripts they
// belong to write no spaces.
var scriptWords = map[sense][]string{
	senseCard:             {"カード", "信用卡", "银行卡", "卡号", "卡號", "카드", "クレカ"},
	senseSoft:             {"订单", "訂單", "注文", "주문", "单号"},
	senseHard:             {"运单", "追跡番号", "快递"},
	senseHard | namePhone: {"电话", "電話", "手机", "手機", "携帯", "전화", "휴대폰", "핸드폰", "هاتف", "جوال", "फोन", "मोबाइल"},
	nameExpiry:            {"有效期", "有効期限", "期限", "유효기간"},
	nameBirth:             {"生年月日", "出生日期", "出生年月", "생년월일", "誕生日", "تاريخ", "ميلاد", "जन्म"},
}

// vocabulary is the compiled word table. It is never changed after New.
type vocabulary struct {
	words map[string]sense
	// pairs has a bit for the first two letters of each word, so that most other
	// words are not looked up.
	pairs  [32]uint32
	script []scriptWord
}

type scriptWord struct {
	text  []byte
	sense sense
}

func newVocabulary(c Config, families []family) vocabulary {
	v := vocabulary{words: make(map[string]sense, 512)}
	add := func(words []string, s sense) {
		for _, w := range words {
			v.words[w] |= s
			if len(w) > 1 {
				v.pairs[w[0]&31] |= 1 << (w[1] & 31)
			}
		}
	}
	for s, words := range maps.All(wordTable) {
		add(words, s)
	}
	for s, words := range maps.All(scriptWords) {
		for _, w := range words {
			v.script = append(v.script, scriptWord{[]byte(w), s})
		}
	}
	add(c.CardWords, senseCard)
	add(c.OtherWords, senseSoft)
	for _, f := range families {
		for s, words := range f.vocabulary {
			add(words, s)
			for _, w := range words {
				if i := strings.LastIndexByte(w, ' '); i >= 0 {
					add([]string{w[i+1:]}, sensePhrase)
				}
			}
		}
	}
	return v
}

// sense looks a word up, case folded.
func (v *vocabulary) sense(word []byte) sense {
	if len(word) > maxWord {
		return 0
	}
	if len(word) > 1 && word[0] < 0x80 && v.pairs[word[0]&31]>>(word[1]&31)&1 == 0 {
		return 0
	}
	var buf [2 * maxWord]byte
	if s, ok := v.words[string(fold(buf[:0], word))]; ok {
		return s
	}
	if word[0] >= 0x80 || bytes.IndexFunc(word, wide) >= 0 {
		for i := range v.script {
			if bytes.Contains(word, v.script[i].text) {
				return v.script[i].sense
			}
		}
	}
	return 0
}

func wide(r rune) bool { return r >= utf8.RuneSelf }

// fold appends word in lower case to dst, which has room for twice its size.
func fold(dst, word []byte) []byte {
	for i := 0; i < len(word); {
		b := word[i]
		if b < utf8.RuneSelf {
			if b-'A' < 26 {
				b |= 0x20
			}
			dst = append(dst, b)
			i++
			continue
		}
		r, size := utf8.DecodeRune(word[i:])
		if len(dst)+utf8.UTFMax > cap(dst) {
			return dst
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst
}

// byteKind sorts the bytes of words.
type byteKind uint8

const (
	otherByte  byteKind = iota
	letterByte          // ASCII
	digitByte
	wideByte // of a character outside ASCII, to be looked at
)

var byteKinds = func() (t [256]byteKind) {
	for b := range t {
		switch c := byte(b); {
		case c >= 0x80:
			t[b] = wideByte
		case isLetter(c):
			t[b] = letterByte
		case isDigit(c):
			t[b] = digitByte
		}
	}
	return t
}()

// isWordByte reports whether b belongs to a word. Bytes of characters outside
// ASCII do, until wordBefore and wordAfter look at the character.
func isWordByte(b byte) bool { return isLetter(b) || isDigit(b) || b >= 0x80 }

func isLetter(b byte) bool { return (b|0x20)-'a' < 26 }

// wordRune reports whether a character outside ASCII belongs to a word.
func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }

// wordBefore returns the last word that ends at or before i and begins at or
// after lo. ok is false when there is none. A word that begins right at lo may
// begin before it and is no word, whatever stands there: so a reader that begins
// closer by sees the same words at the same distance.
func wordBefore(text []byte, i, lo int) (start, end int, ok bool) {
	for n := 0; n < 3 && lo > 0 && lo < i && text[lo]&0xC0 == 0x80; n++ {
		lo-- // not inside a character
	}
	for i > lo {
		kind := byteKinds[text[i-1]]
		if kind == otherByte {
			i--
			continue
		}
		if kind != wideByte {
			break
		}
		size := runeBefore(text, i, lo)
		if size > 0 {
			break
		}
		i += size // negative: the size of what was skipped
	}
	if i <= lo {
		return 0, 0, false
	}
	end = i
	number := isDigit(text[i-1])
	for i > lo {
		if i < end && byteKinds[text[i-1]] == letterByte && !number && text[i-1] != 'X' && text[i] != 'X' {
			i-- // the usual case: one more letter
			continue
		}
		// Digits and letters side by side are two words, except in cvv2 and w9,
		// and a mask of ours is no part of a word, as the digits were not.
		if i < end && (text[i-1] == 'X' && maskEnds(text, i) || text[i] == 'X' && maskAt(text, i)) {
			break
		}
		if i < end && isDigit(text[i-1]) != number && text[i-1] != '-' {
			if !number || end-i > 1 || !digitWord(text[lo:i], text[i]) {
				break
			}
			number = false
		}
		size := runeBefore(text, i, lo)
		if size <= 0 {
			// w-9 and w-2 are words with a hyphen in them.
			if text[i-1] == '-' && end-i == 1 && isDigit(text[i]) && i-2 >= lo && text[i-2]|0x20 == 'w' {
				i--
				number = false
				continue
			}
			break
		}
		i -= size
	}
	if i == lo && lo > 0 {
		return 0, 0, false
	}
	return i, end, true
}

// digitWord reports whether the letters at the end of text take digit into the
// word: cvv2, cvc2, cvn2, cvp2, w2, w9.
func digitWord(text []byte, digit byte) bool {
	n := len(text)
	return digit == '2' && n >= 3 && foldEqual(text[n-3:n-1], "cv") ||
		(digit == '2' || digit == '9') && n >= 1 && text[n-1]|0x20 == 'w' && (n == 1 || !isWordByte(text[n-2]))
}

// runeBefore returns the size of the character before i when it belongs to a
// word, and minus its size when it does not.
func runeBefore(text []byte, i, lo int) int {
	b := text[i-1]
	if b < 0x80 {
		if isWordByte(b) {
			return 1
		}
		return -1
	}
	r, size := utf8.DecodeLastRune(text[lo:i])
	if wordRune(r) {
		return size
	}
	return -size
}

// wordAfter returns the first word at or after i that ends at or before hi.
func wordAfter(text []byte, i, hi int) (start, end int, ok bool) {
	for i < hi {
		size := runeAfter(text, i, hi)
		if size > 0 {
			break
		}
		i -= size
	}
	start = i
	for i < hi {
		if i > start && isDigit(text[i]) != isDigit(text[i-1]) && (!isDigit(text[i]) || i+1 < len(text) && isWordByte(text[i+1]) || !digitWord(text[start:i], text[i])) {
			break // see wordBefore
		}
		if i > start && maskAt(text, i) {
			break
		}
		size := runeAfter(text, i, hi)
		if size <= 0 {
			break
		}
		i += size
	}
	if i >= hi && hi < len(text) && isWordByte(text[hi]) || i == start {
		return 0, 0, false
	}
	return start, i, true
}

func runeAfter(text []byte, i, hi int) int {
	b := text[i]
	if b < 0x80 {
		if isWordByte(b) {
			return 1
		}
		return -1
	}
	r, size := utf8.DecodeRune(text[i:hi])
	if wordRune(r) {
		return size
	}
	return -size
}
