package detect

import (
	"bytes"

	"github.com/caregate/caregate/redact"
)

// The fewest and most digits of a telephone number with its country code (ITU-T
// E.164), and the fewest of one that a word names.
const (
	minPhone      = 8
	maxPhone      = 15
	minLocalPhone = 7
)

// longestPhone is how many digits numbers of a country have at most, country code
// included. It keeps a number from swallowing the digits behind it.
var longestPhone = map[int]int{
	1: 11, 7: 11, 20: 12, 27: 11, 30: 12, 31: 11, 32: 11, 33: 11, 34: 11, 36: 11, 39: 13, 40: 11, 41: 11, 43: 13, 44: 12, 45: 10, 46: 12, 47: 10, 48: 11, 49: 14,
	51: 11, 52: 13, 54: 13, 55: 13, 56: 11, 57: 12, 58: 12, 60: 12, 61: 12, 62: 15, 63: 12, 64: 12, 65: 10, 66: 11, 81: 12, 82: 12, 84: 12, 86: 13, 90: 12, 91: 12,
	92: 12, 94: 11, 98: 12, 212: 12, 234: 13, 254: 12, 351: 12, 352: 12, 353: 12, 354: 10, 356: 11, 357: 11, 358: 13, 370: 11, 371: 11, 372: 11, 380: 12, 385: 12,
	386: 11, 420: 12, 421: 12, 852: 11, 886: 12, 961: 11, 962: 12, 965: 11, 966: 12, 971: 12, 972: 12, 974: 11,
}

// countryCode returns the country code at the begin of digits, or 0 when there is
// none (ITU-T E.164, list of assigned codes; two digits where a zone has one).
func countryCode(digits []byte) int {
	if len(digits) < 3 {
		return 0
	}
	a, b := digits[0], digits[1]
	switch a {
	case '1', '7':
		return int(a - '0')
	case '0':
		return 0
	}
	ab := two(digits)
	switch a {
	case '2':
		if b == '0' || b == '7' {
			return ab
		}
	case '3':
		if b != '5' && b != '7' && b != '8' {
			return ab
		}
	case '4':
		if b != '2' {
			return ab
		}
	case '5':
		if b >= '1' && b <= '8' {
			return ab
		}
	case '6':
		if b <= '6' {
			return ab
		}
	case '8':
		switch b {
		case '1', '2', '4', '6':
			return ab
		case '3', '9':
			return 0
		}
	case '9':
		if b <= '5' || b == '8' {
			return ab
		}
	}
	if b == '8' && a == '2' {
		return 0
	}
	return ab*10 + int(digits[2]-'0')
}

// northAmerican checks ten digits as a number of the North American plan: area and
// exchange begin with 2 to 9, and are no service codes such as 911.
func northAmerican(digits []byte) bool {
	service := digits[1] == '1' && digits[2] == '1' || digits[4] == '1' && digits[5] == '1'
	return digits[0] >= '2' && digits[1] != '9' && digits[3] >= '2' && !service
}

// dialled is a telephone number as it is written.
type dialled struct {
	start, end int
	digits     [maxPhone + 1]byte
	n          int
	groups     int
	sizes      int  // one hexadecimal digit for each group
	sep        byte // between the groups, when it is the same everywhere
	mixed      bool
	parens     bool
	masked     bool // a mask of ours follows, as its digits did before they were masked
}

// phoneGap returns where the next group of a telephone number, or a mask of ours,
// begins behind i, or -1: behind one separator, or a bracket and what stands around it.
func phoneGap(text []byte, i int) (next int, sep byte, parens bool) {
	n, begin := 0, i
	for i < len(text) && n < 3 {
		b := text[i]
		if isDigit(b) || i > begin && maskAt(text, i) {
			return i, sep, parens
		}
		switch kind, size := separator(text, i); {
		case b == '(' || b == ')':
			parens = true
			i++
		case kind == gapSpace && b != '\t' && (n == 0 || parens || sep == '-'):
			if sep == 0 {
				sep = ' '
			}
			i += size
		case kind == gapDash && (sep == 0 || sep == ' ' || parens):
			sep = '-'
			i += size
		case kind == gapDot && n == 0:
			sep = '.'
			i += size
		case b == '/' && n == 0:
			sep = '/'
			i++
		default:
			return -1, 0, false
		}
		n++
	}
	if i < len(text) && (isDigit(text[i]) || maskAt(text, i)) {
		return i, sep, parens
	}
	return -1, 0, false
}

// dial reads a telephone number from the digit at i on: groups as long as there
// are no more than most digits. short is what was read when there were ten to twelve
// digits, because others may stand behind; n is 0 where there never were so many.
func (p *dialled) dial(text []byte, i, most int, short *[3]dialled) {
	*p = dialled{start: i, end: i}
	for k := range short {
		short[k].n = 0
	}
	for {
		end := runEnd(text, i)
		if p.n+end-i > most {
			return
		}
		p.n += copy(p.digits[p.n:], text[i:end])
		p.end = end
		p.groups++
		p.sizes = p.sizes<<4 | (end - i)
		if k := p.n - 10; k >= 0 && k < len(short) {
			short[k] = *p
		}
		next, sep, parens := phoneGap(text, end)
		if next < 0 {
			return
		}
		if !isDigit(text[next]) {
			p.masked = true
			return
		}
		if p.groups > 1 && sep != p.sep {
			p.mixed = true
		}
		p.sep, p.parens = sep, p.parens || parens
		i = next
	}
}

// phone looks for a telephone number whose first digit is at i, with before in
// front of it.
func (s *idScan) phone(i int, before byte) bool {
	t := s.text
	p, short := &s.dialled, &s.short
	lead := i
	if before == '(' {
		lead--
	}
	if lead > 0 && t[lead-1] == '+' {
		return s.international(p, i, lead-1)
	}
	size := s.runs.end[0] - i
	if size > 13 || s.runs.n == 1 && size < minLocalPhone && before != '(' && !phoneFollows(t, s.runs.end[0]) {
		return false
	}
	if before != '(' || s.runs.end[0] == len(t) || t[s.runs.end[0]] != ')' {
		lead = i
		if s.quiet() && !s.mayBePhone(size) {
			return false
		}
	}
	p.dial(t, i, maxPhone, short)
	if s.runs.n > 1 || before == '(' || size < minLocalPhone {
		for k := range short {
			q := &short[k]
			if q.n == 0 {
				continue
			}
			q.start = lead
			if s.unmistakable(q, i) {
				return true
			}
		}
	}
	p.start = lead
	if p.n < minLocalPhone || p.masked || s.quiet() {
		return false
	}
	return s.namedPhone(p)
}

// mayBePhone reports whether the groups read may begin a telephone number that is
// unmistakable by its groups; the first has size digits.
func (s *idScan) mayBePhone(size int) bool {
	a, b := s.text[s.runs.start[0]], byte(0)
	if size > 1 {
		b = s.text[s.runs.start[0]+1]
	}
	second := 3 // behind something else than one separator
	if s.runs.n > 1 {
		second = s.runs.end[1] - s.runs.start[1]
	}
	switch size {
	case 1:
		return a == '1' && second == 3
	case 2:
		return a == '0' && (second == 2 || s.runs.n == 1)
	case 3:
		return second == 3 && a >= '2' || second == 4 && a == '0' || s.runs.n == 1
	case 4, 5:
		return a == '0' && (b == '1' || b == '7')
	}
	return false
}

// phoneFollows reports whether a bracket may go on with a telephone number behind i.
func phoneFollows(t []byte, i int) bool {
	next, _, parens := phoneGap(t, i)
	return next >= 0 && parens
}

// international reads a number in the form of E.164, the plus sign of which is at
// plus.
func (s *idScan) international(p *dialled, i, plus int) bool {
	t := s.text
	if plus > 0 {
		if b := t[plus-1]; isWordByte(b) && (b < 0x80 || wideLetterBefore(t, plus)) || b == '+' || b == '_' || b == '/' && plus > 1 && isWordByte(t[plus-2]) {
			return false
		}
	}
	if i+3 > len(t) {
		return false
	}
	if runEnd(t, i)-i > maxPhone {
		return false
	}
	p.dial(t, i, maxPhone, &s.short)
	if p.n < 3 {
		return false
	}
	code := countryCode(p.digits[:p.n])
	if code == 0 {
		return false
	}
	most := longestPhone[code]
	if p.parens && bytes.Contains(t[i:p.end], []byte("(0)")) {
		most++ // the zero that is dialled only at home
	}
	if longestPhone[code] > 0 && p.n > most {
		p.dial(t, i, most, &s.short)
	}
	if p.n < minPhone || p.masked || dateSizes(p.sizes) || p.groups > 1 && p.sizes&15 == 1 || code == 1 && (p.n != 11 || !northAmerican(p.digits[1:])) || !s.ends(p.end) {
		return false
	}
	how, by := s.named(p.end, namePhone, true)
	proof := redact.EvidenceIssuer
	if p.groups > 1 {
		proof |= redact.EvidenceGrouping
	}
	f := s.found(redact.Phone, plus, p.end, how, by, proof, "country code")
	f.Confidence = max(f.Confidence, 0.85)
	return true
}

// ends reports whether a telephone number can end at end.
func (s *idScan) ends(end int) bool {
	t := s.text
	if end == len(t) {
		return true
	}
	b, next := t[end], byte(' ')
	if end+1 < len(t) {
		next = t[end+1]
	}
	switch {
	case isDigit(b), b == '_', b == '@', b == '%':
		return false
	case isLetter(b):
		return b|0x20 == 'x' && isDigit(next) // an extension
	case b == '-' || b == '/' || b == ':' || b == '.' || b == ',':
		return !isDigit(next) && (b != '-' || !isLetter(next))
	}
	return true
}

// unmistakable takes numbers that are printed as nothing else is: (212) 555-0147,
// 212-555-0147, 1-800-555-0199, 020 7946 0018, 07700 900123, 0151 23456789, 06 12 34
// 56 78.
func (s *idScan) unmistakable(p *dialled, i int) bool {
	digits := p.digits[:p.n]
	shape := false
	switch {
	case p.sizes == 0x334 && p.start < i:
		shape = northAmerican(digits)
	case p.sizes == 0x334 && !p.mixed && (p.sep == '-' || p.sep == '.'):
		shape = northAmerican(digits)
	case p.sizes == 0x1334 && digits[0] == '1' && (p.parens || !p.mixed && p.sep != '/' && p.sep != ' '):
		shape = northAmerican(digits[1:])
	case p.sizes == 0x344 && !p.mixed && p.sep == ' ' && digits[0] == '0' && digits[1] == '2' && digits[3] >= '3',
		(p.sizes == 0x47 || p.sizes == 0x48) && (p.sep == ' ' || p.sep == '/') && digits[0] == '0' && digits[1] == '1' && digits[2] >= '5' && digits[2] <= '7',
		p.sizes == 0x56 && p.sep == ' ' && digits[0] == '0' && digits[1] == '7' && digits[2] >= '3',
		p.sizes == 0x22222 && !p.mixed && (p.sep == ' ' || p.sep == '.') && digits[0] == '0' && (digits[1] == '6' || digits[1] == '7'):
		shape = true
	}
	if !shape || !s.apartBefore(p.start, p.sep) || !s.ends(p.end) || p.sep == ' ' && !s.apartAfter(p.end, ' ') || p.sizes == 0x22222 && hexBeside(s.text, p.start, p.end) {
		return false
	}
	how, by := s.named(p.end, namePhone, true)
	if how == unnamed && s.other() {
		return false
	}
	f := s.found(redact.Phone, p.start, p.end, how, by, redact.EvidenceGrouping, "telephone number as printed")
	f.Confidence = max(f.Confidence, 0.8)
	return true
}

// hexBeside reports whether the pairs of digits text[start:end] stand in a dump of
// bytes: the pair before or behind is hexadecimal, and two blanks may stand between.
func hexBeside(t []byte, start, end int) bool {
	pair := func(i int) bool {
		return i >= 0 && i+2 <= len(t) && isHex(t[i]) && isHex(t[i+1]) && (isDigit(t[i]) || isDigit(t[i+1])) &&
			(i == 0 || !isWordByte(t[i-1])) && (i+2 == len(t) || !isWordByte(t[i+2]))
	}
	for n := 0; n < 2 && start > 0 && t[start-1] == ' '; n++ {
		start--
	}
	for n := 0; n < 2 && end < len(t) && t[end] == ' '; n++ {
		end++
	}
	return pair(start-2) || pair(end)
}

// namedPhone takes seven to fifteen digits that a word right in front, or the key,
// calls a telephone number.
func (s *idScan) namedPhone(p *dialled) bool {
	digits := p.digits[:p.n]
	if p.groups == 1 && p.n > 13 && digits[0] != '0' || p.groups > 6 || dateSizes(p.sizes) && !p.parens || p.sizes == 0x1111 || repeated(digits) {
		return false
	}
	how, by := s.named(p.end, namePhone, false)
	if how != directly && !(how == nearby && s.before(false).list) || !s.apartBefore(p.start, p.sep) || !s.ends(p.end) {
		return false
	}
	proof := redact.EvidenceShape
	if p.groups > 1 {
		proof = redact.EvidenceGrouping
	}
	s.found(redact.Phone, p.start, p.end, how, by, proof, "telephone number, named")
	return true
}

// dateSizes reports whether groups of these sizes are more likely a date.
func dateSizes(sizes int) bool {
	switch sizes {
	case 0x224, 0x422, 0x222, 0x214, 0x124, 0x412, 0x421, 0x114, 0x411:
		return true
	}
	return false
}
