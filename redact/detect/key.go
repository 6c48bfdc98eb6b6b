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
	"parcel", "waybill", "booking", "token", "version", "build", "stamp", "position", "account", "customer", "user", "policy", "claim", "routing", "iban", "time").with(keyAny,
	"number", "no", "num", "nr", "code", "key").with(keyCard,
	"card", "cards", "cardno", "cardnum", "cardnumber", "cc", "ccn", "ccnum", "ccnumber", "creditcard", "creditcardnumber", "debitcard", "pan", "paymentcard").with(keySSN,
	"ssn", "ssnitin", "itin", "tin", "taxid", "taxpayer", "socialsecurity", "socialsecuritynumber", "socialsecurityno").with(keyCVV,
	"cvv", "cvv2", "cvc", "cvc2", "cvn", "csc", "securitycode", "cardcode").with(keyPIN,
	"pin", "cardpin", "pinblock").with(keyText,
	"text", "body", "message", "messages", "content", "comment", "comments", "description", "note", "notes", "subject", "transcript", "plain", "html", "details", "summary",
	"query", "prompt", "input", "q")

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
func senseOfKey(key string) keySense {
	if key == "" {
		return 0
	}
	if len(key) > maxKey {
		key = key[len(key)-maxKey:]
	}
	var buf [maxKey]byte
	var all, last, before keySense
	social, tax := false, false
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
		case "tax":
			tax = true
		case "file":
			tax = false // the tax file number is Australian
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
		if w == "code" && (last == keyCard || before == keyCard && last == 0 || hasSuffix(key[:start], "security_", "security ", "security-", "ecurity")) {
			s = keyCVV
		}
		all |= s
		before, last = last, s
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
	case last == keyNoun, last == keyAny && (before == keyNoun || before == keyID):
		return keyID
	case last == keyText:
		return keyText
	}
	return 0
}

// cueInKey reports whether key may be one under which short digits are a
// finding. It is quick, and may be wrong on the side of yes.
func cueInKey(key string) bool {
	for i := 1; i < len(key); i++ {
		switch b := key[i] | 0x20; key[i-1] | 0x20 {
		case 'c':
			if b == 'v' || b == 's' { // cvv, cvc, csc
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
