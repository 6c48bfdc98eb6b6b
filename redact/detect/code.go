package detect

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// The shortest and longest run of digits that can be a verification code or PIN.
const (
	minCode = 3
	maxCode = 6
)

// codeReach is how far behind a card its verification code is looked for: an
// expiry date and separators fit between. Where letters of other scripts are among them, which
// have two or three bytes, it is so many characters and no more than wideReach bytes.
const (
	codeReach = 40
	wideReach = 64
)

// behindCard reports whether i is so close behind a card that its date or code may begin there.
func (s *scanner) behindCard(i int) bool {
	if s.card < 0 || i-s.card > wideReach {
		return false
	}
	return i-s.card <= codeReach || s.behindWide(i)
}

// behindWide is behindCard where the text between may be of another script.
func (s *scanner) behindWide(i int) bool {
	n := 0
	for _, b := range s.text[s.card:i] {
		if b&0xC0 != 0x80 { // not inside a character
			n++
		}
	}
	return n < i-s.card && n <= codeReach
}

// maxLost is how many digits a tax number has left after a spreadsheet or a
// number type took its leading zeros.
const maxLost = 8

// short looks at a lone run of fewer than nine digits.
func (s *scanner) short(dst *[]redact.Finding, i, end int) {
	if i == 0 && end == len(s.text) && s.hint.Key != "" {
		if n := end - i; n <= maxLost && s.byKey(dst, n) {
			return
		}
	}
	if end-i <= maxCode && s.expiry(dst, i) == i {
		s.code(dst, group{start: i, end: end})
	}
}

// shortGroups looks at the groups of a chain of fewer than nine digits.
func (s *scanner) shortGroups(dst *[]redact.Finding, i, last int) {
	g := group{start: i, end: runEnd(s.text, i)}
	for {
		if n := g.len(); n > maxCode {
			// neither a date nor a code
		} else if end := s.expiry(dst, g.start); end > g.start {
			g.end = end
		} else if n >= minCode {
			s.code(dst, g)
		}
		if g.end >= last {
			return
		}
		next, kind := gapAfter(s.text, g.end)
		g = group{start: next, end: runEnd(s.text, next), gap: kind, gapLen: next - g.end}
	}
}

// byKey reads a value that is nothing but n digits by its key.
func (s *scanner) byKey(dst *[]redact.Finding, n int) bool {
	f := redact.Finding{End: n, Confidence: 0.9, Strong: true, Evidence: redact.EvidenceKey}
	switch key := s.keySense(); {
	case key == keyCVV && (n == 3 || n == 4):
		f.Class, f.Rule = redact.CardVerificationCode, "code key"
	case key == keyPIN && n >= 4 && n <= maxCode:
		f.Class, f.Rule = redact.CardPIN, "pin key"
	case key == keySSN && n >= 7:
		v := 0
		for _, b := range s.text {
			v = v*10 + int(b-'0')
		}
		class, ok := taxNumber(v)
		if !ok || class != redact.USSSN {
			return false
		}
		f.Class, f.Confidence, f.Rule = class, 0.7, "tax number key, leading zeros lost"
	default:
		return false
	}
	f.Never = s.hint.ID
	s.add(dst, f)
	return true
}

// code decides whether a group of three to six digits is a verification code or
// a PIN.
func (s *scanner) code(dst *[]redact.Finding, g group) {
	// See standsAlone.
	if g.end < len(s.text) && isLetter(s.text[g.end]) || g.start > 0 && isLetter(s.text[g.start-1]) && !codeEnds[s.text[g.start-1]] {
		return
	}
	behind := s.behindCard(g.start)
	if !behind && !s.cued(g) {
		return
	}
	row, inRow := s.dumped(g.start)
	inRow = inRow && row.code == span{g.start, g.end}
	if !inRow && !s.standsAlone(g) {
		return
	}
	f := redact.Finding{Start: g.start, End: g.end, Confidence: 0.9, Strong: true, Never: s.hint.ID, Evidence: redact.EvidenceWord}
	n := g.len()
	switch {
	case behind && s.offAfter(g.end):
		return // "code 150 off", of a shop
	case n == 4 && bytes.HasPrefix(s.text[g.end:], yearSign) && (s.text[g.start] == '1' || s.text[g.start] == '2'):
		return // "CSC，2024年"
	case n <= 4 && s.codeWordBefore(g.start, n):
		f.Class, f.Rule = redact.CardVerificationCode, "code word"
	case inRow, n <= 4 && behind && s.expiryBetween(s.card, g.start):
		f.Class, f.Rule, f.Confidence = redact.CardVerificationCode, "behind card and expiry", 0.8
		f.Evidence = redact.EvidenceBeside
	case n <= 4 && s.codeWordAfter(g.start, g.end):
		f.Class, f.Rule = redact.CardVerificationCode, "code word behind"
	case n >= 4 && s.pinWordBefore(g.start, n):
		f.Class, f.Rule = redact.CardPIN, "pin word"
	default:
		return
	}
	s.add(dst, f)
}

// yearSign stands behind a year in Chinese and Japanese.
var yearSign = []byte("年")

// offAfter reports whether the word behind i says that the number is taken off a price.
func (s *scanner) offAfter(i int) bool {
	start, end, ok := wordAfter(s.text, i, min(len(s.text), i+wordWindow))
	if !ok || start > i+1 || !s.among(offWords, start, end) {
		return false
	}
	start, end, ok = wordAfter(s.text, end, min(len(s.text), end+wordWindow/2))
	return !ok || !foldEqual(s.text[start:end], "the") // "123 off the back"
}

var offWords = wordsOf("off discount rabatt remise descuento desconto sconto korting")

// cued reports whether a word may stand beside a group that names it a code.
func (s *scanner) cued(g group) bool {
	near := s.hint.near
	read := near != nil && near.to >= g.start // rows of numbers have no words at all, and somebody knows
	if read && !near.any(&s.d.vocab, s.text, g.start, g.end, anyWord) {
		return false
	}
	return near.cue(s.text, g.start) || questionBefore(s.text, g.start, lo(g.start, wordWindow)) >= 0 || (read || near.any(&s.d.vocab, s.text, g.start, g.end, anyWord)) && cueAfter(s.text, g.end)
}

// zeros has the high bit set in each byte of w that equals b.
func zeros(w uint64, b byte) uint64 {
	w ^= uint64(b) * ones
	return ^((w&^highs + 0x7F*ones) | w) & highs
}

// cue reports whether the bytes before i may hold a word that names a code: it
// looks for the letter pairs cv, cs, ci, cu, od, fz, gi, gn, gu, pi and yp, in any case, and for
// pairs of cueWide, and may be wrong on the side of yes.
func cue(text []byte, i int) bool {
	for range cueWindows {
		i -= cueStep
		if i < 1 {
			return i > -cueStep // too near the begin of the text for a whole word
		}
		if cueIn(binary.LittleEndian.Uint64(text[i-1:])) != 0 {
			return true
		}
	}
	return false
}

// How many windows of eight bytes cue looks at, and how far apart they are: they overlap
// by one, so that each pair is whole in one.
const (
	cueWindows = 5
	cueStep    = 7
)

// cueIn has the high bit set in each byte of w with which one of the pairs of cue begins.
func cueIn(w uint64) uint64 {
	wide := uint64(0)
	if w&highs != 0 {
		wide = cueWide(w)
	}
	w |= 0x20 * ones
	v, sx, id, d, u, px := zeros(w, 'v'), zeros(w, 's'), zeros(w, 'i'), zeros(w, 'd'), zeros(w, 'u'), zeros(w, 'p')
	return wide | zeros(w, 'c')&((v|sx|id|u)>>8) | zeros(w, 'o')&(d>>8) | zeros(w, 'g')&((id|u|zeros(w, 'n'))>>8) | px&(id>>8) | zeros(w, 'y')&(px>>8) | zeros(w, 'f')&(zeros(w, 'z')>>8) | zeros(w, 0xB3)&(d>>8) // the last is "ód"
}

// cueWide is cueIn for the names of codes in scripts without spaces ([scriptWords]): two bytes of
// 码, 碼, 位, 드 and ย, and the end of コ with another kana behind it.
func cueWide(w uint64) uint64 {
	return zeros(w, 0xA0)&(zeros(w, 0x81)>>8) | zeros(w, 0xA2)&(zeros(w, 0xBC)>>8) | zeros(w, 0xB3)&(zeros(w, 0xE3)>>8) | zeros(w, 0xBD)&(zeros(w, 0x8D)>>8) |
		zeros(w, 0x93)&(zeros(w, 0x9C)>>8) | zeros(w, 0xB8)&(zeros(w, 0xA2)>>8)
}

// cueAfter is cue for the words behind: the pairs cv and od.
func cueAfter(text []byte, i int) bool {
	if i == len(text) {
		return false
	}
	for range 4 {
		if i+8 > len(text) {
			return true
		}
		w := binary.LittleEndian.Uint64(text[i:]) | 0x20*ones
		if zeros(w, 'c')&(zeros(w, 'v')>>8)|zeros(w, 'o')&(zeros(w, 'd')>>8) != 0 {
			return true
		}
		i += cueStep
	}
	return false
}

// codeEnds are the last letters of the words that may be glued to a code.
var codeEnds = func() (t [256]bool) {
	for _, set := range [...]sense{senseCVV, sensePIN} {
		for _, w := range wordTable[set] {
			b := w[len(w)-1]
			t[b], t[capital(b)] = true, true
		}
	}
	return t
}()

// standsAlone reports whether no longer number, amount, date or id holds the
// group.
func (s *scanner) standsAlone(g group) bool {
	t := s.text
	// Behind a blank and a letter there is neither a number nor a mask.
	behindWord := g.start > 1 && t[g.start-1] == ' ' && isLetter(t[g.start-2]) && t[g.start-2] != 'X'
	if g.start > 0 && !behindWord {
		switch b := t[g.start-1]; {
		case isLetter(b):
			// cvv123
			a := g.start
			for a > 0 && g.start-a < 4 && isLetter(t[a-1]) {
				a--
			}
			dated := a > 0 && isDigit(t[a-1]) && s.card >= 0 && g.start-s.card <= codeReach // exp12/27cvv123
			if !lettersBegin(t, a) && !dated || s.d.vocab.sense(t[a:g.start])&(senseCVV|sensePIN) == 0 {
				return false
			}
		case b == '$' || b == '+' || b == '@':
			return false
		}
		// Read anew, because a stream may go on inside a chain.
		if end, kind := gapBefore(t, g.start, 0); kind&^(gapSpace|gapLine) != 0 && g.start-end == 1 && t[end] != '|' && t[end] != ',' {
			return false
		}
	}
	if !behindWord && maskTail(t, g.start) {
		return false
	}
	if g.end == len(t) {
		return true
	}
	b := t[g.end]
	if isLetter(b) || b == '%' || b == '@' || maskAt(t, g.end) {
		return false
	}
	next, kind := numberGapAfter(t, g.end)
	return kind == none || next-g.end > 1 || kind&(gapSpace|gapLine) != 0 || b == '|'
}

// maxGluedLink is how long a word may be that stands between a name with a digit and its code, in a
// script without spaces: two characters.
const maxGluedLink = 6

// lettersBegin reports whether the letters of ASCII at i begin a word: no other letter and no digit
// stands in front, or one of a script without spaces.
func lettersBegin(t []byte, i int) bool {
	if i == 0 || t[i-1] < utf8.RuneSelf {
		return i == 0 || !isWordByte(t[i-1])
	}
	r, _ := utf8.DecodeLastRune(t[:i])
	return !wordRune(r) || unspaced(r)
}

// codeWordBefore reports whether a word for a verification code names the
// digits at i, with only link words between.
func (s *scanner) codeWordBefore(i, digits int) bool {
	from, at := lo(i, wordWindow), i
	back, front, says := false, false, false
	code, plain, strip := false, false, false
	if q := questionBefore(s.text, i, from); q >= 0 {
		at = q
	}
	for n := 0; n < 9; n++ {
		if plain && s.codeOfCard(at) {
			return true
		}
		start, end, ok := wordBefore(s.text, at, from)
		if !ok {
			return false
		}
		w := s.text[start:end]
		sn := s.d.vocab.sense(w)
		switch {
		case code && foldEqual(w, "security"):
			a, b, ok := wordBefore(s.text, start, lo(start, wordWindow/2))
			return !ok || s.d.vocab.sense(s.text[a:b])&senseSSN == 0 // social security number
		case sn&senseSecurity != 0:
			return code || s.codeOf(start)
		case foldEqual(w, "crypto"):
			return s.behindCard(start) // also a currency
		case back && (sn&senseCode != 0 || digits == 3 && three(w)):
			return true
		case code && foldEqual(w, "verification"):
			a, b, ok := wordBefore(s.text, start, lo(start, wordWindow/2))
			return ok && s.d.vocab.sense(s.text[a:b])&senseCard != 0
		case sn&senseCVV != 0:
			if foldEqual(w, "cid") { // also a customer's id
				return s.behindCard(start) || s.wordNames(start, senseCard) || s.answer(start, i+digits)
			}
			return true
		case sn&senseTail != 0:
			return back || digits == 3 && s.countedDigits(start, 3) || digits == 4 && (front || plain || n == 0 && s.behindCard(start)) && s.countedDigits(start, 4)
		case n == 0 && readWords[string(w)]: // "the back says 123"
		case n == 0 && start > 0 && s.text[start-1] == '2' && end-start <= maxGluedLink && w[0] >= utf8.RuneSelf && gluedTail(w): // "CVV2是123"
		case (n == 0 || says) && digits == 4 && s.among(frontWords, start, end):
			if s.behindCard(start) && start >= s.card {
				return true // "front: 1234", as on an American Express
			}
			front = true
		case sn&senseCard != 0 && n < 2: // "the code on the back of the card is 123"
		case sn&senseBack != 0 && (n == 0 || says) && digits == 3 && s.behindCard(start):
			return true // "Back: 123", behind a card and its date
		case strip && foldEqual(w, "signature"):
			return digits == 3 // "the number on the signature strip"
		case back && s.among(askWords, start, end): // "the code you need, the one on the back?"
		case n <= 1 && sn == 0 && (foldEqual(w, "strip") || foldEqual(w, "stripe") || foldEqual(w, "panel")):
			strip = true
			at = start
			continue
		case sn&(senseLink|senseCode|senseBack|nameFill) == 0 && (end-start > 1 || w[0] == 'X'):
			return false
		}
		plain = sn&senseCode != 0
		code = plain || foldEqual(w, "number") || foldEqual(w, "value")
		says = n == 0 && (readWords[string(w)] || s.role(start, end)&saysIs != 0)
		back = back || sn&senseBack != 0
		at = start
	}
	return false
}

// askWords may stand where somebody asks for a code and says where it is.
var askWords = wordsOf("one you need needs needed want wanted wants ask asked asking for i we they see find")

// maxAnswer is how much stands between a question and its answer at most: who answers.
const maxAnswer = 24

// questionBefore returns where the question ends that stands right in front of i, with nothing
// but the name of who answers between: "and the three on the back? Caller: 123". Without one it
// is -1.
func questionBefore(t []byte, i, low int) int {
	at := blankBefore(t, i, max(low, lo(i, maxAnswer)), true)
	if at > low && t[at-1] == ':' {
		start, end, ok := wordBefore(t, blankBefore(t, at-1, low, false), max(low, lo(i, maxAnswer)))
		if !ok || at-end > 3 {
			return -1
		}
		at = blankBefore(t, start, low, true)
	}
	if at == low || t[at-1] != '?' {
		return -1
	}
	return at - 1
}

// answer reports whether nothing but text[start:end] is said, as an answer to the
// question for a code.
func (s *scanner) answer(start, end int) bool {
	for n := 0; n < 4 && end < len(s.text) && (s.text[end] == '.' || s.text[end] == '!' || s.text[end] <= ' '); n++ {
		end++
	}
	return start == 0 && end == len(s.text) && s.final && s.depth == 0
}

// codeOf reports whether "code of" stands in front of i, in the languages that say
// it so.
func (s *scanner) codeOf(i int) bool {
	for range 2 {
		a, b, ok := wordBefore(s.text, i, lo(i, wordWindow/2))
		if !ok {
			return false
		}
		if s.d.vocab.sense(s.text[a:b])&senseCode != 0 {
			return true
		}
		i = a
	}
	return false
}

// codeOfCard reports whether nothing but words that link stands between a card and the word
// for a code that begins at i: "4111 1111 1111 1111 and the code is 123".
func (s *scanner) codeOfCard(i int) bool {
	if !s.behindCard(i) || i < s.card {
		return false
	}
	for {
		start, end, ok := wordBefore(s.text, i, s.card)
		if !ok {
			return true
		}
		w := s.text[start:end]
		if isDigit(w[0]) || s.d.vocab.sense(w)&senseLink == 0 && !s.among(andWords, start, end) && !s.among(codeLinks, start, end) {
			return false
		}
		i = start
	}
}

// codeLinks may stand between a card and the word for its code, too.
var codeLinks = wordsOf("with its it's mit avec con com met")

// codeShort are short for the code of a card, where its date stands in front.
var codeShort = wordsOf("sec pz kpn kpz crypto verif")

// countedDigits reports whether the digits whose name begins at i are so many of a card, as
// the word in front of it says: three or four.
func (s *scanner) countedDigits(i, digits int) bool {
	a, b, ok := wordBefore(s.text, i, lo(i, wordWindow/2))
	if !ok {
		return false
	}
	if digits == 3 {
		return three(s.text[a:b]) && (s.behindCard(a) || s.wordNames(a, senseCard))
	}
	if !s.among(fourWords, a, b) || !s.behindCard(a) && !s.wordNames(a, senseCard) {
		return false
	}
	// The last four digits of a card are none of its code, nor are the first.
	a, b, ok = wordBefore(s.text, a, lo(a, wordWindow/2))
	return !ok || s.d.vocab.sense(s.text[a:b])&nameEnding == 0 && !s.among(firstWords, a, b)
}

// Words for four, for the first of some, and for the front of a card, on which the code of an
// American Express stands.
var (
	firstWords = wordsOf("first ersten premiers primeros primeras primeiros primi prime eerste middle next other")
	fourWords  = wordsOf("four 4 vier quatre cuatro quattro quatro fyra fire neljä cztery")
	frontWords = wordsOf("front vorne vorderseite enfrente frente delante devant recto davanti fronte voorkant voorzijde framsidan forsiden")
)

// three reports whether w is the number three.
func three(w []byte) bool {
	for _, x := range [...]string{"three", "3", "drei", "trois", "tres", "três", "tre", "drie"} {
		if string(w) == x || foldEqual(w, x) {
			return true
		}
	}
	return false
}

// codeWordAfter reports whether the words behind the digits text[first:i] name them a
// verification code: "123 is the cvv". In "1226 cvv 123" the word belongs to the
// digits behind it.
func (s *scanner) codeWordAfter(first, i int) bool {
	digits := i - first
	if digits == 4 && s.expiryWord(first) {
		return false // "exp 1226 cvv", also where the card is masked already
	}
	to := min(len(s.text), i+wordWindow/2)
	behindCard := s.behindCard(i)
	security := false
	for n := 0; n < 5; n++ {
		start, end, ok := wordAfter(s.text, i, to)
		if !ok {
			return false
		}
		w := s.text[start:end]
		sn := s.d.vocab.sense(w)
		if sn&senseCVV != 0 && (behindCard || !foldEqual(w, "cid")) || security && foldEqual(w, "code") {
			return !s.numberSaid(end)
		}
		if sn&senseBack != 0 && n > 0 && digits == 3 && (behindCard || s.wordNames(first, senseCard)) {
			return !s.numberSaid(end) // "123 on the back"
		}
		if sn&senseLink == 0 {
			return false
		}
		security = foldEqual(w, "security")
		i = end
	}
	return false
}

// numberSaid is numberSoon for numbers in words, too: "1881, and the security code is one two three".
func (s *scanner) numberSaid(i int) bool {
	if numberSoon(s.text, i) {
		return true
	}
	l, _ := s.d.talk.pool.Get().(*listener)
	if l == nil {
		l = new(listener)
	}
	s.d.talk.reader.Outline(&l.outline, s.text[i:min(len(s.text), i+wordWindow/4)])
	said := len(l.outline.Digits) > 1
	l.outline.Clear()
	s.d.talk.pool.Put(l)
	return said
}

// pinWordBefore reports whether the word PIN names the digits at i. Six digits
// behind "pin" are an Indian postal code more often than not: five and six need
// a card word too.
func (s *scanner) pinWordBefore(i, digits int) bool {
	from, at := lo(i, directReach), i
	for n := 0; n < 7; n++ {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok {
			return false
		}
		sn := s.d.vocab.sense(s.text[start:end])
		if sn&sensePIN != 0 {
			return digits == 4 || s.wordNames(start, senseCard)
		}
		if sn&(senseLink|senseCard) == 0 && !foldEqual(s.text[start:end], "for") {
			return false
		}
		at = start
	}
	return false
}

// expiryBetween reports whether an expiry date, and nothing else but separators
// and a word or two, stands in text[from:to]: MM/YY, MM/YYYY, MMYY.
func (s *scanner) expiryBetween(from, to int) bool {
	var sizes [3]int
	n, month := 0, 0
	for i := from; i < to; {
		switch b := s.text[i]; {
		case isDigit(b):
			end := runEnd(s.text, i)
			if n == 2 || end > to {
				return false
			}
			sizes[n] = end - i
			switch {
			case n > 0:
			case end-i >= 2:
				month = int(s.text[i]-'0')*10 + int(s.text[i+1]-'0')
			case end < to && s.text[end] == '/':
				month = int(s.text[i] - '0') // 8/27
			}
			n++
			i = end
		case isLetter(b) && i > 0 && isLetter(s.text[i-1]):
			i++ // looked at already
		case isLetter(b) || b >= utf8.RuneSelf:
			end := i
			for end < to && (isLetter(s.text[end]) || s.text[end] >= utf8.RuneSelf) {
				end++
			}
			if isLetter(b) && !s.besideCode(i, end, from) {
				return false
			}
			i = end
		default:
			i++
		}
	}
	if month < 1 || month > 12 {
		return false
	}
	return n == 1 && sizes[0] == 4 || n == 2 && sizes[0] <= 2 && (sizes[1] == 2 || sizes[1] == 4)
}

// besideCode reports whether the word text[start:end] may stand between a card, which ends at
// from, and its code.
func (s *scanner) besideCode(start, end, from int) bool {
	w := s.text[start:end]
	return s.d.vocab.phrase(s.text, start, end, from)&(senseCard|senseCVV|senseLink|senseCode|nameExpiry) != 0 || beforeExpiry(w) || s.among(andWords, start, end) || s.among(codeLinks, start, end) || s.among(codeShort, start, end)
}
