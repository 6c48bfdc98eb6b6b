package detect

import (
	"encoding/binary"
	"maps"
	"math/bits"
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
	senseLink     // may stand between a name and its number: "order number is"
	senseKind     // in front of "card" makes it another thing: gift card, sim card
	senseTail     // digits that stand behind such a word are a code: "digits on the back"
	senseSecurity // with a word for "code" beside it, names a verification code
	senseCode     // "code", as far as a word for security may stand beside it
	senseBack     // the back of a card

	senseFront  sense = 1 << 14 // a word of some phrase of two or three words, but not its last
	sensePhrase sense = 1 << 15 // the last word of such a phrase
	senseIDs    sense = 1 << 16 // and 31 above: national identifiers, banking, telephone, dates
	senseKeys   sense = 1 << 48 // and 7 above: secrets, passwords, addresses
	senseSpeech sense = 1 << 56 // and 7 above: spoken values
)

// wordWindow is how far words are looked for on both sides, in bytes.
const wordWindow = 64

// maxWord is the longest word looked up; longer ones say nothing.
const maxWord = 32

// maxScript is how much is read of a run of letters without spaces, sixteen characters.
const maxScript = 48

var wordTable = map[sense][]string{
	senseCard: {
		"card", "cards", "cardnumber", "cardno", "creditcard", "debitcard", "credit", "debit", "visa", "mastercard", "mc", "amex",
		"discover", "diners", "jcb", "unionpay", "maestro", "rupay", "troy", "elo", "verve", "hipercard", "uatp", "airplus", "cc", "ccn", "ccnum", "pan",
		"exp", "expiry", "expires", "expiration", "thru", "billing",
		"tarjeta", "tarjetas", "carte", "cb", "karte", "kreditkarte", "kreditkartennummer", "kartennummer", "ec-karte", "carta", "cartão", "cartao",
		"kaart", "kaartnummer", "creditcardnummer", "kort", "kortnummer", "kreditkort", "betalkort", "karta", "karty", "kartę", "kartı", "kart", "kártya", "cartela",
		"карта", "карты", "карту", "картой", "карте", "номеркарты", "بطاقة", "البطاقة",
		"cartes", "tarjetita", "girocard", "girokarte", "bankomatkarte", "bankkarte", "kreditkarten", "creditkaart", "bankkaart", "bankpas", "betaalpas", "debetkaart", "bankkort", "kredittkort", "kortet", "kortti", "kortin", "korttini", "korttia", "luottokortti", "luottokortin", "luottokorttini",
		"pankkikortti", "pankkikortin", "kaardi", "kaarti", "krediitkaart", "krediitkaardi", "pangakaart", "kortelė", "kortelės", "kortelę", "kortele", "karti", "kartes", "kredītkarte", "kredītkartes", "kartu", "kartou", "kartą", "karcie", "karet", "kartica", "kartice", "karticu", "karticom", "kartico", "kartici",
		"kártyám", "kártyát", "kártyaszám", "kártyaszámom", "bankkártya", "hitelkártya", "cardul", "cardului", "kartım", "kartımı", "kartımın", "kartın", "kartımdan", "kredi", "bancomat", "kartela", "kartën", "txartela", "cárta", "kadi", "thẻ", "κάρτα", "κάρτας", "κάρτες", "κάρτασ", "καρτα", "πιστωτική",
		"картка", "картки", "картку", "карткою", "картці", "картата", "картица", "картице", "картицу", "картичка", "картам", "карточка", "карточки", "карточку", "כרטיס", "הכרטיס", "כרטיסי", "אשראי", "بطاقتي", "بطاقه", "بطاقتى", "كارت", "کارت", "کارتم", "کارڈ",
		"कार्ड", "কার্ড", "கார்டு", "அட்டை", "కార్డు", "કાર્ડ", "ಕಾರ್ಡ್", "കാർഡ്", "ਕਾਰਡ", "ბარათი", "ბარათის", "քարտ", "քարտի",
	},
	senseSoft: {
		"order", "orders", "ref", "reference", "references", "ticket", "tickets", "case", "cases", "id", "ids", "account", "acct", "policy", "claim",
		"invoice", "inv", "confirmation", "conf", "transaction", "txn", "trans", "trace", "booking", "reservation", "customer", "member",
		"membership", "client", "contract", "request", "rma", "po", "quote", "ean-code", "product", "license", "licence", "licenses", "licences", "activation", "licensekey", "lizenz", "lizenzschlüssel",
		"produktschlüssel", "aktivierungscode", "aktivierungsschlüssel", "licencia", "licença", "licenza", "activación", "attivazione", "ativação", "item", "article", "artikel", "artikelnummer", "artículo",
		"bestellung", "bestellnummer", "auftrag", "auftragsnummer", "rechnung", "rechnungsnummer", "kundennummer", "vorgang", "vorgangsnummer",
		"commande", "facture", "dossier", "référence", "pedido", "factura", "referencia", "ordine", "fattura", "pratica", "bestelling",
		"bestelnummer", "klantnummer", "encomenda", "rrn", "arn", "stan", "sipariş", "siparişim", "siparis", "الطلب", "طلبي", "zamówienie", "zamówienia", "ordernummer", "заказ", "заказа", "счет",
		"orden", "órdenes", "užsakymo", "užsakymas", "užsakymą", "sąskaitos", "pasūtījuma", "pasūtījums", "orderno", "ordernr", "ordrenr", "ordreno", "orderid", "bestnr", "kundnr", "kundenr", "klantnr", "batch", "registration", "warranty", "protocol", "guía", "folio", "protocolo", "boleto", "contrato", "reserva", "reclamación", "socio", "abonado",
		"abonné", "contrat", "réservation", "adhérent", "retoure", "vertrag", "reklamation", "buchung", "buchungsnummer", "contratto", "prenotazione", "bolletta",
		"factuur", "contract", "reservering", "lidnummer", "umowy", "faktura", "faktury", "rezerwacji", "zgłoszenia", "reklamacji", "objednávka", "objednávky", "objednávku", "objednavka", "objednavky", "faktúry", "zmluvy", "smlouvy",
		"rendelés", "rendelésszám", "rendelési", "számla", "számlaszám", "comandă", "comanda", "comenzii", "comenzi", "facturii", "narudžba", "narudžbe", "narudžbine", "поръчка", "замовлення", "рахунок", "заказу", "заявка", "договор", "договора",
		"παραγγελία", "παραγγελίας", "παραγγελιας", "παραγγελία", "τιμολόγιο", "τιμολογίου", "הזמנה", "ההזמנה", "חשבונית", "fatura", "faturası", "rezervasyon", "abone", "sözleşme", "طلب", "فاتورة", "الفاتورة", "الحجز", "سفارش", "فاکتور",
		"ऑर्डर", "आर्डर", "अर्डर", "đơn", "pesanan", "faktur", "tilaus", "tilauksen", "tilausnumero", "laskun", "ordre", "ordrenummer", "beställning", "bestilling", "fakturanummer", "avtal",
		"facturas", "factures", "facturen", "facturi", "facturile", "facturilor", "fakturze", "fakturu", "számlám", "számlát", "narocilo", "narocila", "заказом", "заказе", "заказы", "заказов", "заказам", "заказами", "заказах",
		"package", "paquete", "pacote", "pakket", "serie", "série", "guia", "contador",
	},
	senseHard: {
		"imei", "imeisv", "iccid", "sim", "serial", "sn", "sku", "isbn", "ean", "gtin", "upc", "barcode", "tracking", "shipment", "parcel",
		"part", "waybill", "awb", "ups", "fedex", "usps", "dhl", "evri", "dpd", "gls", "yodel", "postnl", "inpost", "kenmerk", "betalingskenmerk", "pdl", "mpan", "mprn", "фн", "giftcard", "voucher", "coupon", "loyalty", "timestamp", "epoch", "build", "version", "phone", "tel",
		"telephone", "mobile", "cell", "fax", "whatsapp", "routing", "aba", "iban", "swift", "bic", "vin", "meter", "uuid", "guid", "hash", "ein", "duns", "npi",
		"sendungsnummer", "sendungsverfolgung", "seriennummer", "geschenkkarte", "gutschein", "gutscheincode", "gutscheinnummer", "geschenkcode", "gutscheinkarte", "guthabenkarte", "kundenkarte", "treuekarte", "bonuskarte", "cadeau", "cadeaukaart", "klantenkaart", "regalo", "fidélité", "fidelidad", "fidelidade", "fedeltà", "suivi", "colis", "seguimiento", "tracciamento", "telefon", "téléphone", "teléfono", "telefono",
		"clubcard", "boardingcard", "keycard", "postcard", "simcard", "boarding", "embarque", "embarquement", "imbarco", "pokładowa", "pokladowa", "boardingkort", "instapkaart", "fahrkarte", "monatskarte", "jahreskarte",
		"eintrittskarte", "bordkarte", "gepäckanhänger", "schließfach", "invoices",
		"seri", "serijos", "sériové", "sorozatszám", "seryjny", "rastreo", "rastreio", "spedizione", "verzending", "zending", "przesyłki", "paczki", "paczka", "zásilky", "zásilka",
		"sledování", "csomag", "csomagszám", "colet", "coletului", "kolli", "kollinummer", "pakke", "pakkenummer", "paketnummer", "försändelse", "seuranta", "seurantakoodi", "kargo", "takip", "трек", "трек-номер", "посылка", "посылки", "ттн", "накладная", "пратка",
		"αποστολής", "δέματος", "משלוח", "מעקב", "شحنة", "الشحنة", "تتبع", "resi", "meternumber", "zählernummer", "zähler", "compteur",
	},
	senseSSN: {
		"ssn", "ssns", "ss", "social", "soc", "itin", "tin", "taxpayer", "taxid", "w9", "w-9", "w2", "w-2", "seguro",
	},
	senseCVV: {"cryptogramme", "kartenprüfnummer", "prüfnummer", "kartenprüfziffer", "prüfziffer", "sicherheitscode", "sicherheitsnummer", "kartenprüfcode", "sikkerhetskode", "sikkerhedskode", "säkerhetskod", "säkerhetskoden", "turvakoodi", "turvaluku", "beveiligingscode", "veiligheidscode", "cvv", "cvv2", "ccv", "ccv2", "cvc", "cvc2", "cvn", "cvn2", "cvd", "cvd2", "cve", "cve2", "cvp2", "csc", "cid", "सीवीवी", "सीवीसी"},
	sensePIN: {"pin"},
	senseLink: {
		"number", "numbers", "no", "nr", "num", "nos", "is", "was", "are", "the", "my", "our", "your", "to", "a", "an", "of", "code", "codes", "key", "keys", "here", "as", "it", "s",
		"this", "that", "thats", "following", "full", "and", "und", "ist", "lautet", "die", "der", "das", "meine", "mein", "numéro", "numero", "número", "nummer", "nº", "n", "es",
		"mi", "el", "la", "le", "est", "ma", "mon", "è", "il", "lo", "номер", "номером", "номера", "de", "do", "da", "des", "del", "della", "du", "van", "av", "number's", "mã", "số", "hàng", "číslo", "čísla", "numer", "numeru", "numărul", "szám", "száma", "αριθμός", "αριθμος", "מספר", "numara", "nomor", "nro", "nombor", "numeris", "numurs", "numuri", "broj", "številka", "stevilka", "नंबर", "नम्बर", "संख्या", "번호", "หมายเลข", "شماره", "numre", "security", "value", "ending", "on", "back", "please", "bitte", "numaram", "numarası", "رقم",
	},
	senseKind: {
		"gift", "loyalty", "sim", "membership", "library", "id", "identity", "insurance", "punch", "graphics", "video", "memory", "sd", "student",
		"phone", "calling", "key", "oyster", "payback", "clubcard", "nectar", "octopus", "opal", "transit", "metro", "bus", "parking", "keycard", "subway", "tube", "tram", "train", "rail", "ferry", "boarding",
	},
	senseTail: {"digits", "digit", "chiffres", "cifras", "cifre", "ziffern", "zahlen", "stellen", "cijfers", "siffror", "siffrorna", "sifre", "dígitos", "digitos", "cyfry", "numerot"},
	senseSecurity: {
		"seguridad", "segurança", "seguranca", "sécurité", "securite", "sicurezza", "seguretat", "securitate", "bezpieczeństwa", "bezpieczenstwa", "zabezpieczający", "bezpečnostní",
		"bezpečnostný", "biztonsági", "güvenlik", "безопасности", "безпеки", "ασφαλείας", "keamanan", "keselamatan", "sigurnosni", "varnostna", "saugos", "drošības", "الأمان", "الامان", "أمان", "सुरक्षा",
	},
	senseCode: {"code", "codes", "cód", "código", "codigo", "codice", "cod", "codul", "codi", "kod", "kód", "kodu", "kode", "koden", "koodi", "koda", "kodas", "kods", "код", "κωδικός", "رمز", "ورمز", "الرمز", "والرمز", "कोड"},
	senseBack: {"back", "dos", "verso", "rückseite", "hinten", "reverso", "atrás", "detrás", "retro", "achterkant", "achterop", "baksidan", "bagsiden", "baksiden", "arka", "tyle", "odwrocie"},
}

// scriptWords are looked for inside a run of letters, because the scripts they
// belong to write no spaces.
var scriptWords = map[sense][]string{
	senseCard:             {"カード", "信用卡", "银行卡", "卡号", "卡號", "카드", "クレカ", "บัตร", "刷卡", "借记卡", "クレジット"},
	senseSoft:             {"订单", "訂單", "注文", "주문", "单号", "คำสั่งซื้อ", "ออเดอร์", "会员", "会員", "회원", "发票", "發票", "伝票", "予約", "合同", "合同号", "会员卡", "會員卡", "会員カード", "会員证", "회원카드", "멤버십카드", "ポイントカード"},
	senseHard:             {"运单", "追跡番号", "快递", "お問い合わせ番号", "운송장", "พัสดุ", "シリアル", "序列号", "일련번호", "串号", "礼品卡", "礼品卡卡号", "禮品卡", "购物卡", "ギフトカード", "搭乗券", "登机牌", "登機證", "탑승권", "기프트카드", "电话卡", "手机卡", "交通卡"},
	senseHard | namePhone: {"电话", "電話", "手机", "手機", "携帯", "전화", "휴대폰", "핸드폰", "هاتف", "جوال", "फोन", "मोबाइल"},
	senseCVV:              {"セキュリティコード", "安全码", "安全碼", "背面三位", "背面3位", "보안코드", "รหัสความปลอดภัย"},
	nameExpiry:            {"有效期", "有効期限", "期限", "유효기간"},
	nameBirth:             {"生年月日", "出生日期", "出生年月", "생년월일", "誕生日", "تاريخ", "ميلاد", "जन्म"},
}

// vocabulary is the compiled word table. It is never changed after New.
type vocabulary struct {
	words []wordSense // 1 and up
	// slots are numbers of words by their hash, 0 for none; a word stands in the first
	// free one from there on.
	slots []uint32
	// pairs has a bit for the first two letters of each word that begins in ASCII, so that most other
	// words are not looked up.
	pairs [32]uint32
	// letters are the senses of single letters.
	letters [utf8.RuneSelf]sense
	// longestNumber is the length of the longest word that begins with a digit.
	longestNumber int
	script        []scriptWord
	scripts       [256][]uint16 // the numbers of script, by threeHash of how they begin
	// brief are the words of two to eight letters of ASCII; see briefKey.
	brief      []briefWord
	briefShift uint8
}

// briefWord is a word by its briefKey, 0 for none.
type briefWord struct {
	key   uint64
	sense sense
}

// briefKey is a word of two to eight letters of ASCII as one number, case folded, the
// first letter in the lowest byte; ok is false when it has anything else in it.
func briefKey(word []byte) (key uint64, ok bool) {
	switch n := len(word); {
	case n > 8:
		return 0, false
	case n == 8:
		key = binary.LittleEndian.Uint64(word)
	case n >= 4:
		key = uint64(binary.LittleEndian.Uint32(word)) | uint64(binary.LittleEndian.Uint32(word[n-4:]))<<(8*(n-4))
	case n == 3:
		key = uint64(binary.LittleEndian.Uint16(word)) | uint64(word[2])<<16
	case n == 2:
		key = uint64(binary.LittleEndian.Uint16(word))
	default:
		return 0, false
	}
	inside := ^uint64(0) >> (64 - 8*len(word))
	key |= 0x20 * ones & inside
	x := key & (0x7F * ones)
	letters := (x + (0x80-'a')*ones) &^ (x + (0x80-'z'-1)*ones) &^ key & highs
	return key, letters == highs&inside
}

// briefSense is sense for what briefKey makes of a word.
func (v *vocabulary) briefSense(key uint64) sense {
	mask := uint64(len(v.brief) - 1)
	for i := v.briefAt(key); ; i = (i + 1) & mask {
		if w := &v.brief[i&mask]; w.key == key || w.key == 0 {
			return w.sense
		}
	}
}

func (v *vocabulary) briefAt(key uint64) uint64 { return key * 0x9E3779B97F4A7C15 >> v.briefShift }

type wordSense struct {
	word  string
	sense sense
}

type scriptWord struct {
	text  []byte
	sense sense
}

func newVocabulary(c Config, families []family) vocabulary {
	var v vocabulary
	all := make(map[string]sense, 4096)
	add := func(words []string, s sense) {
		for _, w := range words {
			all[w] |= s
			if len(w) > 1 && w[0] < utf8.RuneSelf { // others are not asked about
				v.pairs[w[0]&31] |= 1 << (w[1] & 31)
			}
			if isDigit(w[0]) {
				v.longestNumber = max(v.longestNumber, len(w))
			}
		}
	}
	for s, words := range maps.All(wordTable) {
		add(words, s)
	}
	for s, words := range maps.All(scriptWords) {
		for _, w := range words {
			at := threeHash([]byte(w))
			v.scripts[at] = append(v.scripts[at], uint16(len(v.script)))
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
					add(strings.Fields(w[:i]), senseFront)
				}
			}
		}
	}
	size := 1
	for size < 4*len(all) {
		size *= 2
	}
	v.words, v.slots = make([]wordSense, 1, len(all)+1), make([]uint32, size)
	v.brief, v.briefShift = make([]briefWord, size), uint8(64-bits.TrailingZeros(uint(size)))
	for w, s := range all {
		if key, ok := briefKey([]byte(w)); ok && w == strings.ToLower(w) {
			i := v.briefAt(key)
			for v.brief[i].key != 0 {
				i = (i + 1) & uint64(size-1)
			}
			v.brief[i] = briefWord{key, s}
		}
		h := uint32(hashSeed)
		for _, b := range []byte(w) {
			h = hashByte(h, b)
		}
		i := hashEnd(h) & uint32(size-1)
		for v.slots[i] != 0 {
			i = (i + 1) & uint32(size-1)
		}
		if len(w) == 1 && w[0] < utf8.RuneSelf {
			v.letters[w[0]] = s
		}
		v.slots[i] = uint32(len(v.words))
		v.words = append(v.words, wordSense{w, s})
	}
	return v
}

// The hash of words is FNV-1a, with the high bits, which it mixes best, folded down.
const hashSeed uint32 = 0x811C9DC5

func hashByte(h uint32, b byte) uint32 { return (h ^ uint32(b)) * 0x01000193 }

func hashEnd(h uint32) uint32 { return h ^ h>>15 }

// find returns the sense of a word in lower case, whose hash is h.
func (v *vocabulary) find(word []byte, h uint32) (sense, bool) {
	mask := uint32(len(v.slots) - 1)
	for i := hashEnd(h) & mask; ; i = (i + 1) & mask {
		n := v.slots[i]
		if n == 0 {
			return 0, false
		}
		if w := &v.words[n]; w.word == string(word) {
			return w.sense, true
		}
	}
}

// sense looks a word up, case folded.
func (v *vocabulary) sense(word []byte) sense {
	if len(word) > maxWord {
		return v.scriptSense(word)
	}
	if len(word) > 0 && word[0] < 0x80 {
		if len(word) == 1 {
			return v.letters[lower(word[0])]
		}
		if v.pairs[word[0]&31]>>(word[1]&31)&1 == 0 && word[len(word)-1] < utf8.RuneSelf || len(word) > v.longestNumber && isDigit(word[0]) && isDigit(word[len(word)-1]) {
			return 0
		}
		if key, ok := briefKey(word); ok {
			return v.briefSense(key)
		}
	}
	var buf [2 * maxWord]byte
	h, n := hashSeed, 0
	for ; n < len(word) && word[n] < utf8.RuneSelf; n++ {
		buf[n] = lower(word[n])
		h = hashByte(h, buf[n])
	}
	if n == len(word) {
		s, ok := v.find(buf[:n], h)
		if !ok {
			s = compound(buf[:n])
		}
		return s
	}
	lowered := fold(buf[:0], word)
	if s, ok := v.folded(lowered); ok {
		return s
	}
	return compound(lowered) | v.scriptSense(word)
}

// folded is find for a word or phrase in lower case.
func (v *vocabulary) folded(word []byte) (sense, bool) {
	h := hashSeed
	for _, b := range word {
		h = hashByte(h, b)
	}
	return v.find(word, h)
}

// No letter of Chinese, Japanese and what stands between them in Unicode has a lower case.
const (
	firstCaseless = 0x2E80
	lastCaseless  = 0xA4CF
)

// fold appends word in lower case to dst, which has room for twice its size.
func fold(dst, word []byte) []byte {
	for i := 0; i < len(word); {
		b := word[i]
		if b < utf8.RuneSelf {
			dst = append(dst, lower(b))
			i++
			continue
		}
		r, size := utf8.DecodeRune(word[i:])
		if len(dst)+utf8.UTFMax > cap(dst) {
			return dst
		}
		switch {
		case r < rune(len(wideLetters)):
			r = wideLetters[r]
		case r < firstCaseless || r > lastCaseless:
			r = unicode.ToLower(r)
		}
		dst = utf8.AppendRune(dst, r)
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

// plainLetters are the letters of ASCII that are no part of a mask of ours.
var plainLetters = func() (t [256]bool) {
	for b := range t {
		t[b] = isLetter(byte(b)) && b != 'X'
	}
	return t
}()

// isWordByte reports whether b belongs to a word. Bytes of characters outside
// ASCII do, until wordBefore and wordAfter look at the character.
func isWordByte(b byte) bool { return isLetter(b) || isDigit(b) || b >= 0x80 }

func isLetter(b byte) bool { return (b|0x20)-'a' < 26 }

// wordRune reports whether a character outside ASCII belongs to a word.
func wordRune(r rune) bool {
	if uint32(r) < 1<<16 {
		return wordPlane[r>>6]>>(r&63)&1 != 0
	}
	return unicode.IsLetter(r) || unicode.IsMark(r)
}

// wordPlane is wordRune for the basic plane, a bit for each character.
var wordPlane = func() *[1 << 16 / 64]uint64 {
	plane := new([1 << 16 / 64]uint64)
	for _, table := range [...]*unicode.RangeTable{unicode.Letter, unicode.Mark} {
		for _, x := range table.R16 {
			for r := uint32(x.Lo); r <= uint32(x.Hi); r += uint32(x.Stride) {
				plane[r>>6] |= 1 << (r & 63)
			}
		}
	}
	return plane
}()

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
	if number {
		for i > lo && isDigit(text[i-1]) {
			i--
		}
	}
	for i > lo {
		if i < end && !number && plainLetters[text[i-1]] && text[i] != 'X' {
			for i--; i > lo && plainLetters[text[i-1]]; i-- { // the usual case: more letters
			}
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
// word: cvv2, cvc2, cvn2, cvp2, ccv2, w2, w9.
func digitWord(text []byte, digit byte) bool {
	n := len(text)
	return digit == '2' && n >= 3 && (foldEqual(text[n-3:n-1], "cv") || foldEqual(text[n-3:], "ccv")) ||
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
		if i > start && byteKinds[text[i-1]] == letterByte && plainLetters[text[i]] {
			for i++; i < hi && plainLetters[text[i]]; i++ { // the usual case: more letters
			}
			continue
		}
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
