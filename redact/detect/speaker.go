package detect

import (
	"bytes"
	"strings"
)

// spokenBy returns where the name of who speaks begins that stands right in front of i, at
// the begin of a line or turn, or -1: in "Customer: 4111..." it says whose words these
// are, not whose number.
func (s *scanner) spokenBy(i int) int {
	t, low := s.text, lo(i, wordWindow)
	at := blankBefore(t, i, low, true)
	if at > low && t[at-1] == ']' {
		start, end, ok := wordBefore(t, at-1, low)
		if !ok || end != at-1 || start == low || t[start-1] != '[' || !s.among(speakers, start, end) {
			return -1
		}
		return start // "[CUSTOMER] 4111..."
	}
	sign := speaksBefore(t, at, low, at < i)
	if sign == 0 {
		return -1
	}
	at = blankBefore(t, at-sign, low, false)
	start, end, ok := wordBefore(t, at, low)
	if !ok || end != at {
		return -1
	}
	if !s.among(speakers, start, end) {
		// Vietnamese writes each syllable for itself.
		last := start
		if start, end, ok = wordBefore(t, start, low); !ok || end != last-1 || !bytes.EqualFold(t[start:at], []byte("khách hàng")) {
			return -1
		}
	}
	if !s.beginsTurn(start, low) {
		return -1
	}
	return start
}

// speaksBefore returns the length of the sign that ends at i and stands between who speaks and
// what is said, 0 for none. blank says that blanks stand behind it, as they do beside a dash,
// which joins two words otherwise.
func speaksBefore(t []byte, i, low int, blank bool) int {
	if i == low {
		return 0
	}
	n := 1
	switch t[i-1] {
	case ':':
		return 1
	case '-', '|', '>':
	default:
		if i-3 < low {
			return 0
		}
		switch n = 3; string(t[i-3 : i]) {
		case "：":
			return 3
		case "–", "—":
		default:
			return 0
		}
	}
	if !blank || i-n == low || t[i-n-1] != ' ' && t[i-n-1] != '\t' {
		return 0
	}
	return n
}

// speakers are the names of those who have numbers, such as a customer's, and speak, with
// each that begins with one of roleStems; those in themselves would be the names of numbers,
// too.
var speakers = wordsOf(`customer user client member patient passenger cliente kunde kundin klant kund kunden asiakas klient klientka клиент клиентка müşteri musteri zákazník zákaznice
	zakaznik zakaznice zákazníčka ügyfél ugyfel kupac абонент абонентка покупатель клієнт клієнтка πελάτης πελάτισσα πελατης לקוח לקוחה הלקוח הלקוחה عميل عميلة العميل العميلة مشترك المشترك
	abonné abonnée abonado abonada abone adhérent adhérente socio socia sócio sócia assinante mitglied lid medlem medlemmen jäsen członek członkini czlonek czlonkini člen členka
	üye passagier passager passagère passageiro passageira pelanggan 客户 客戶 顾客 顧客 会员 會員 会員 お客様 お客さま 고객 고객님 회원`)

// beginsTurn reports whether a line begins at i, or what the next one says, with nothing in
// front but signs, a number of the line, or the time: "[12:03] Customer", "10:03 PM
// Customer", "2) Customer", "**Customer", "which number? Customer".
func (s *scanner) beginsTurn(i, low int) bool {
	t, at := s.text, i
	for at > low && (t[at-1] == ' ' || t[at-1] == '\t' || t[at-1] == '*' || t[at-1] == '_' || t[at-1] == '>' || t[at-1] == '-') {
		at--
	}
	if at == low {
		return low == 0
	}
	switch t[at-1] {
	case '\n', ']', ')':
		return true
	case '.', '!', '?':
		return at < i
	}
	if start, end, ok := wordBefore(t, at, low); ok && end == at && s.among(dayHalves, start, end) {
		at = blankBefore(t, start, low, false)
	}
	colon := false
	for ; at > low && (isDigit(t[at-1]) || t[at-1] == ':' || t[at-1] == '.'); at-- {
		colon = colon || t[at-1] != ':' && at-1 > low && isDigit(t[at-1]) && (t[at-2] == ':' || t[at-2] == '.')
	}
	return colon
}

// dayHalves stand behind a time.
var dayHalves = wordsOf("am pm uhr h")

// wordsOf makes a set of the words of a text.
func wordsOf(text string) map[string]bool {
	words := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		words[w] = true
	}
	return words
}

// among reports whether text[start:end] is one of the words, which are in lower case.
func (s *scanner) among(words map[string]bool, start, end int) bool {
	if end-start > maxWord {
		return false
	}
	var buf [2 * maxWord]byte
	return words[string(fold(buf[:0], s.text[start:end]))]
}

// blankBefore returns where the blanks and signs of emphasis end that stand in front of i;
// lines says that ends of lines are among them.
func blankBefore(t []byte, i, low int, lines bool) int {
	for i > low {
		switch b := t[i-1]; {
		case b == ' ' || b == '\t' || b == '*' || b == '_' || lines && (b == '\n' || b == '\r'):
			i--
		case b == 0xA0 && i-1 > low && t[i-2] == 0xC2: // U+00A0, as in French in front of a colon
			i -= 2
		case b == 0xAF && i-2 > low && t[i-2] == 0x80 && t[i-3] == 0xE2: // U+202F
			i -= 3
		default:
			return i
		}
	}
	return i
}
