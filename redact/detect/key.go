package detect

// keySense is what the name beside a value says about it.
type keySense uint8

const (
	keyID   keySense = 1 << iota // an identifier, a time, a counter
	keyCard                      // a card number
	keySSN
	keyCVV
	keyPIN
	keyText // prose: body, comment, message
	keyNoun // becomes an identifier when nothing follows, or "number" does: order, order_no
	keyAny  // adds nothing by itself: number, no, code
)

var keyTable = keyWords{}.with(keyID,
	"id", "ids", "uuid", "guid", "at", "ts", "timestamp", "timestamps", "created", "updated", "modified", "fingerprint", "sid", "seq", "sequence", "nonce", "epoch",
	"imei", "imeisv", "iccid", "sku", "isbn", "ean", "gtin", "upc", "barcode", "etag", "cursor", "hash", "sha", "md5", "digest", "signature", "revision",
	"offset", "locator", "oid", "gid", "pid", "uid", "rid", "tid", "cid", "aid", "fbid", "psid", "wamid", "msgid", "mid", "gclid", "fbclid", "phone", "fax", "tel",
	"mobile", "msisdn", "latitude", "longitude", "lat", "lng", "lon").with(keyNoun,
	"order", "orders", "tracking", "invoice", "invoices", "serial", "ref", "reference", "ticket", "case", "transaction", "txn", "trace", "span", "session", "correlation", "shipment",
	"parcel", "waybill", "booking", "token", "version", "build", "stamp", "position", "account", "customer", "user", "policy", "claim", "routing", "iban", "time", "reservation", "consignment", "contract",
	"membership", "registration", "warranty", "voucher", "coupon", "receipt", "quote", "batch", "giftcard", "giftcards", "loyaltycard", "simcard").with(keyAny,
	"number", "no", "num", "nr", "code", "key").with(keyCard,
	"card", "cards", "cardno", "cardnum", "cardnumber", "cc", "ccn", "ccnum", "ccnumber", "creditcard", "creditcardnumber", "debitcard", "pan", "dpan", "fpan", "paymentcard").with(keySSN,
	"ssn", "ssnitin", "itin", "tin", "taxid", "taxpayer", "socialsecurity", "socialsecuritynumber", "socialsecurityno").with(keyCVV,
	"cvv", "cvv2", "ccv", "ccv2", "cvc", "cvc2", "cvn", "cvn2", "cvd", "cvd2", "cve", "cvp2", "csc", "securitycode", "cardcode").with(keyPIN,
	"pin", "cardpin", "pinblock").with(keyText,
	"text", "body", "message", "messages", "content", "comment", "comments", "description", "note", "notes", "subject", "transcript", "plain", "html", "details", "summary",
	"query", "prompt", "input", "q")

// kindKeys make another thing of the card behind them.
var kindKeys = wordsOf("gift loyalty sim membership library punch phone")

// keyWords is the type of the key table; with builds it in one expression, so
// that the table is complete before anything can read it.
type keyWords map[string]keySense

func (m keyWords) with(s keySense, words ...string) keyWords {
	for _, w := range words {
		m[w] = s
	}
	return m
}

// maxKey is how much of a key is read, from its end.
const maxKey = 64

// senseOfKey reads a name such as order_id, createdAt, card[number] or
// "Social Security Number". The last word decides most: card_id is an
// identifier, order_note is prose.
func senseOfKey(key string) keySense { return readKey(key) &^ keyNoun }

// readKey is senseOfKey, which with keyNoun tells that the name is that of a thing that
// has an identifier, and of its number only as people shorten: order, customer.
func readKey(key string) keySense {
	if key == "" {
		return 0
	}
	if len(key) > maxKey {
		key = key[len(key)-maxKey:]
	}
	var buf [maxKey]byte
	var all, last, before keySense
	social, tax := false, false
	var front [maxKey]byte
	name := 0       // how long the word before is, in front, if the table does not have it
	number := false // the last word says that it is the number of what that one names
	for i := 0; i < len(key); {
		for i < len(key) && !isLetter(key[i]) && !isDigit(key[i]) {
			i++
		}
		start, n := i, 0
		for i < len(key) && (isLetter(key[i]) || isDigit(key[i])) {
			upper := key[i]-'A' < 26
			// A new word begins at Id in orderId, and at N in SSNNumber.
			if upper && i > start && (key[i-1]-'A' >= 26 || i+1 < len(key) && key[i+1]-'a' < 26) {
				break
			}
			buf[n] = key[i] | 0x20
			n++
			i++
		}
		if n == 0 {
			continue
		}
		w := string(buf[:n])
		s := keyTable[w]
		switch w {
		case "social":
			social = true
		case "card", "cards":
			if kindKeys[string(front[:name])] {
				s = keyNoun // a gift card is paid with, and is none of an issuer's
			}
		case "tax":
			tax = true
		case "file":
			tax = false // the tax file number is Australian
		case "account":
			if hasSuffix(key[:start], "rimary_", "rimary ", "rimary-", "rimary") {
				s = keyCard // what PAN is short for
			}
		case "security":
			if social {
				s = keySSN
			}
		case "identification":
			if tax {
				s = keySSN
			}
		}
		if tax && (w == "id" || w == "number") {
			s = keySSN
		}
		if w == "code" && (last == keyCard || before == keyCard && last == 0 || hasSuffix(key[:start], "ecurity_", "ecurity ", "ecurity-", "ecurity")) {
			s = keyCVV
		}
		if w == "value" && hasSuffix(key[:start], "erification_", "erification ", "erification-", "erification[", "erification") {
			s = keyCVV // as payment libraries call it
		}
		all |= s
		before, last = last, s
		number = name > 2 && (w == "number" || w == "no" || w == "num" || w == "nr") && !plainName(front[:name]) && !cardName(front[:name])
		name = 0
		if s == 0 {
			name = copy(front[:], buf[:n])
		}
	}
	switch {
	case all&keySSN != 0:
		return keySSN
	case all&keyCVV != 0:
		return keyCVV
	case last == keyID:
		return keyID
	case last == keyPIN:
		return keyPIN
	case all&keyCard != 0 && last != keyText:
		return keyCard
	case last == keyNoun:
		return keyID | keyNoun
	case last == keyAny && (before == keyNoun || before == keyID), number:
		return keyID
	case last == keyText:
		return keyText
	}
	return 0
}

// Tell is what a name says by itself about the value beside it; see [TellOf].
type Tell uint8

const (
	// TellsNothing: what the value is, its own signs say.
	TellsNothing Tell = iota
	// TellsThing: something that has an identifier, which may be the value: an order, a
	// customer.
	TellsThing
	// TellsID: an identifier, a time or a counter, which is never rewritten.
	TellsID
	// TellsData: a card, a code of one, a PIN, or a social security number.
	TellsData
)

// TellOf returns what a name of a value tells, for callers that know several names of
// one value and have to choose.
func TellOf(key []byte) Tell {
	switch readKey(string(key)) {
	case keyID | keyNoun:
		return TellsThing
	case keyID:
		return TellsID
	case keyCard, keySSN, keyCVV, keyPIN:
		return TellsData
	}
	return TellsNothing
}

// cueInKey reports whether key may be one under which short digits are a
// finding. It is quick, and may be wrong on the side of yes.
func cueInKey[T []byte | string](key T) bool {
	for i := 1; i < len(key); i++ {
		switch b := key[i] | 0x20; key[i-1] | 0x20 {
		case 'c':
			if b == 'v' || b == 's' { // cvv, cvc, csc
				return true
			}
		case 'v':
			if b == 'e' { // verification value
				return true
			}
		case 'p', 't':
			if b == 'i' || b == 'a' { // pin, tin, tax
				return true
			}
		case 's':
			if b == 's' || b == 'o' { // ssn, social
				return true
			}
		case 'o':
			if b == 'd' { // security code
				return true
			}
		}
	}
	return false
}

func hasSuffix(s string, suffixes ...string) bool {
	for _, x := range suffixes {
		if len(s) >= len(x) && s[len(s)-len(x):] == x {
			return true
		}
	}
	return false
}
