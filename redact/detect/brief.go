package detect

import (
	"encoding/binary"

	"github.com/caregate/caregate/redact/view"
)

// What families are asked about most in text full of digits is short words with a digit
// in them: "b2", "4th", the parts of an address, the codes of orders. One look at such a
// word tells which of them can make nothing of it, and they are not asked.

// maxBrief is how many letters and digits a short word has at most: secrets that are one
// word have more, see secretRules.
const maxBrief = 19

// briefFamilies are the numbers of the families that know short words, maxFamilies where
// a detector does not have one.
type briefFamilies struct {
	tokens, passwords, lookalikes, ids int
	lastFour, pieces                   int  // those that wait for four digits
	whole                              bool // all of them, and no other that waits for digits
}

func newBriefFamilies(families []family) briefFamilies {
	b := briefFamilies{maxFamilies, maxFamilies, maxFamilies, maxFamilies, maxFamilies, maxFamilies, false}
	others := trigger(0)
	for i, f := range families {
		switch f.name {
		case "tokens":
			b.tokens = i
		case "passwords":
			b.passwords = i
		case "lookalikes":
			b.lookalikes = i
		case "ids":
			b.ids = i
		case "last four":
			b.lastFour = i
		case "pieces":
			b.pieces = i
		default:
			others |= f.on
		}
	}
	b.whole = max(b.tokens, b.passwords, b.lookalikes, b.ids, b.lastFour, b.pieces) < maxFamilies && others&(onDigits|onGlued|onFour) == 0
	return b
}

// brief takes note of the families that need not be asked about the token of the run of
// digits that begins at i, up to to: what is not asked about of it is one short word, with
// nothing in front of it but signs.
func (s *scanner) brief(i, to int) {
	text := s.text
	start := i
	for start > 0 && i-start < maxBrief && isLetter(text[start-1]) {
		start--
	}
	if to-start > maxBrief || to == len(text) || start > 0 && isWordByte(text[start-1]) || briefEnds[text[to]] {
		return
	}
	run := longRunEnd(text, i)
	for _, b := range text[run:to] {
		if charsets[b]&setAlnum == 0 {
			return
		}
	}
	// The stretch begins for each family where it was asked up to.
	token, b := s.tokenStart(i), &s.d.brief
	for _, family := range [...]int{b.tokens, b.passwords, b.lookalikes, b.ids} {
		if family == maxFamilies {
			continue
		}
		from := max(token, s.asked[family])
		if from > start || !onlySigns(text[from:start]) {
			continue
		}
		says := true
		switch family {
		case b.tokens:
			says = charsets[text[to]]&setSlash != 0 && (slashFirsts[text[start]] || s.mayBeginBase64(from, start)) || s.mayBePaid(start, to)
		case b.passwords:
			says = mayBePassword(text, from, i, run, to)
		case b.lookalikes:
			from := start
			if start == i {
				from = run - 1 // of digits in front one says as much as all
			}
			_, says = view.Lookalike(text[from:])
		case b.ids:
			says = mayBeID(s.hint.near, text, start, i, to)
		}
		if !says {
			s.asked[family] = to
		}
	}
}

// briefEnds are the bytes with which a token goes on that is more than its first word.
var briefEnds = func() (t [256]bool) {
	for b := range t {
		t[b] = b >= 0x80 || b == '-' || b == '_' || b == '.' || b == ':'
	}
	return t
}()

// onlySigns reports whether text has nothing that belongs to a word or to a token.
func onlySigns(text []byte) bool {
	for _, b := range text {
		if b >= 0x80 || charsets[b]&(setBase64URL) != 0 {
			return false
		}
	}
	return true
}

// slashFirsts are the first letters of secrets that a slash may stand in.
var slashFirsts = func() (t [256]bool) {
	for i := range secretRules {
		if r := &secretRules[i]; r.set&setSlash != 0 {
			t[r.prefix[0]] = true
		}
	}
	return t
}()

// mayBeginBase64 reports whether a run of base64 begins in text[from:start], with the
// word at start or with slashes in front of it; see tokenScan.run.
func (s *scanner) mayBeginBase64(from, start int) bool {
	text := s.text
	for start > from && charsets[text[start-1]]&setSlash != 0 {
		start--
	}
	return start == 0 || text[start-1] == '=' || charsets[text[start-1]]&(setBase64|setEqual) == 0
}

// mayBePassword reports whether text[from:to), of which text[digits:run) is digits, may
// hold the name of a password, or be one behind its name; see findPasswords.
func mayBePassword(text []byte, from, digits, run, to int) bool {
	if from > 1 && text[from-1] <= ' ' {
		i := from
		for i > 0 && (text[i-1] <= ' ' || text[i-1] == ':' || text[i-1] == '=' || text[i-1] == '"' || text[i-1] == '\'') {
			i--
		}
		if mayEndName(text, i) || mayEndCopula(text, i) {
			return true
		}
	}
	for at := from; at < to; at++ {
		if at == digits {
			if at = run; at == to {
				break
			}
		}
		if passwordBegins[text[at]&31]>>(text[at+1]&31)&1 != 0 {
			return true
		}
	}
	return false
}

// mayBeID reports whether an identifier or a date may begin with the word text[start:end],
// of maxBrief bytes at most, the first digit of which is at i; see idScan.token.
func mayBeID(near *nearNames, text []byte, start, i, end int) bool {
	digits := runEnd(text, i)
	if digits == end && start == i {
		return hopeful(near, text, i, end)
	}
	n, letters := digits-i, i-start
	switch {
	case letters == 2 && n > 1, letters == 6: // an IBAN
		return true
	case letters == 0 && (n == 7 || n == 8): // a DNI, a date
		return true
	case n <= 2 && near.month(text, i, digits) && (monthBehind(text, digits) || yearBehind(text, digits) && monthFront(text, i)): // see wordDate
		return true
	}
	switch w := text[start:end]; len(w) { // see idScan.code
	case 5:
		return start >= 8 && text[start-1] == ' ' && text[start-5] == ' ' && text[end] == ' ' && isLetter(text[start-2])
	case 9:
		return letters <= 2
	case 10:
		return letters == 5 && validIndianPAN(w)
	case 11:
		return letters == 0 && validMBI(w)
	case 15:
		return letters == 0 && validNIR(w)
	case 14:
		return validCNPJ(w)
	case 16:
		return letters > 5 && validFiscalCode(w)
	case 18:
		return letters == 4 && validCURP(w)
	}
	return false
}

// mayBePaid reports whether the word text[start:end] may be the id of a payment processor;
// see namedPaymentReference.
func (s *scanner) mayBePaid(start, end int) bool {
	switch n := end - start; {
	case n < minPaid || n > maxPaid:
		return false
	case s.hint.Key != "" || s.hint.near == nil:
		return true
	}
	return s.hint.near.processor(s.text, start)
}

// processor reports whether the name of a payment processor may stand within
// processorNameReach in front of i: one of the pairs of letters of processors.
func (m *nearNames) processor(text []byte, i int) bool {
	from := lo(i, processorNameReach)
	if m.paidTo < from || m.paidTo > i {
		m.paidTo, m.paidAt = from, -1
	}
	if i < 8 {
		return true
	}
	for m.paidTo < i {
		at := min(max(from, m.paidTo-1), i-8) // a pair may begin with the last byte that was read
		w := binary.LittleEndian.Uint64(text[at:]) | 0x20*ones
		y, p := zeros(w, 'y'), zeros(w, 'p')
		if zeros(w, 'd')&(y>>8)|p&(zeros(w, 's')>>8)|y&(p>>8)|zeros(w, 't')&(zeros(w, 'r')>>8) != 0 {
			m.paidAt = at + 6
		}
		m.paidTo = at + 8
	}
	return m.paidAt >= from
}
