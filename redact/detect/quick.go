package detect

import (
	"bytes"
	"encoding/binary"

	"github.com/caregate/caregate/redact"
)

// What most short strings of records are is known at a glance: a number with the
// name of a ticket beside it, a time, the address of a record, a tag, a sentence with a
// price in it, an e-mail address and nothing else. Quick answers for these what Text would
// find, without asking the families one by one. Each shape below keeps to what no
// family can make anything of; a test compares it with Text on generated strings.

// Quick appends the findings of text, beside a key with the given traits, and
// reports true, when it can tell them at a glance. They are those of Text with that
// key and no identifier's place. It reports false, with dst as it was, when Text
// has to be asked.
func (d *Detector) Quick(dst []redact.Finding, text []byte, key KeyTraits) ([]redact.Finding, bool) {
	g := Glance{n: -1}
	return d.QuickAt(dst, text, key, &g)
}

// QuickAt is Quick for callers who have the glance of the text, or one that was told to
// forget. A caller who looks at many texts keeps one for all of them.
func (d *Detector) QuickAt(dst []redact.Finding, text []byte, key KeyTraits, g *Glance) ([]redact.Finding, bool) {
	n := len(text)
	if key&keyMayName != 0 || d.listed.searches() {
		return dst, false
	}
	if n < minCode {
		return dst, true
	}
	if isDigit(text[0]) {
		if plain, sure := d.plainNumber(text, key); sure {
			return dst, plain
		}
		if key&keyMayCue != 0 {
			return dst, false
		}
	}
	if n > maxQuick {
		return dst, d.Silent(text)
	}
	if g.n != n {
		d.Glance(text, g)
	}
	if i := g.next(0); i < n {
		switch {
		case bytes.IndexByte(text, '@') >= 0:
			if !d.plainMail(text, g, i) || d.Speaks(text) {
				return dst, false
			}
			return append(dst, Address(n)), true
		case n > len("https://") && string(text[:4]) == "http":
			if !d.plainURL(text, key, g, i) {
				return dst, false
			}
		default:
			if !d.plainProse(text, g, i) {
				return dst, false
			}
		}
	}
	return dst, !d.Speaks(text)
}

// Address is what Quick finds in a text of n bytes in which it finds anything: it is one
// e-mail address.
func Address(n int) redact.Finding {
	return redact.Finding{Class: redact.Email, End: n, Confidence: mailConfidence, Rule: mailRule, Evidence: redact.EvidenceShape}
}

// Plain reports whether no text is searched for what the operator listed, so that
// one without signs in it, in which nobody speaks a number, has no finding.
func (d *Detector) Plain() bool { return !d.listed.searches() }

// Speaks reports whether text may hold a number in words.
func (d *Detector) Speaks(text []byte) bool { return d.talk.reader.Next(text, 0, 0) < len(text) }

// Silent reports whether text holds nothing with which a finding may begin. It is
// Text's first question, for callers who have more to do where there is something.
func (d *Detector) Silent(text []byte) bool {
	return d.next(text, 0) == len(text) && d.Plain() && !d.Speaks(text)
}

// PlainNumber reports whether digits, and nothing else, beside a key with the given
// traits are no finding, as far as one can tell at a glance: they are no number of
// a card. It is Quick for callers who know that they have digits, three at least.
func (d *Detector) PlainNumber(digits []byte, key KeyTraits) bool {
	if key&keyMayName != 0 || d.listed.searches() {
		return false
	}
	n := len(digits)
	return n <= shortest && key&keyMayCue == 0 || n > shortest && n <= maxCard && !d.mayBeCard(digits, key)
}

// plainNumber knows the two shapes that most values with digits have, identifiers
// and times, by themselves. sure says that no other shape need be tried: then plain
// says that nothing is found.
func (d *Detector) plainNumber(text []byte, key KeyTraits) (plain, sure bool) {
	n := len(text)
	switch {
	case n >= len("2026-01-02T03:04:05") && text[4] == '-':
		plain = isTime(text)
		return plain, plain
	case n > maxCard:
		return false, false
	case n <= shortest:
		if runEnd(text, 1) < n {
			return false, false
		}
		return key&keyMayCue == 0, true
	case !allDigits(text):
		return false, false
	}
	return !d.mayBeCard(text, key), true
}

// mayBeCard reports whether digits, ten to nineteen, by themselves and not in prose,
// may be the number of a card by issuer, length and check digit.
func (d *Detector) mayBeCard(digits []byte, key KeyTraits) bool {
	n := len(digits)
	if n <= maxOldCard && key&keyMayBeCard == 0 {
		return false
	}
	first3 := int(digits[0]-'0')*100 + int(digits[1]-'0')*10 + int(digits[2]-'0')
	return n >= minCard && d.issuers.lengths[first3]>>n&1 != 0 && d.issuers.read(eightDigits(binary.LittleEndian.Uint64(digits)), n, luhn(digits)).ok
}

// maxOldCard is how many digits a card has at most of which only its place tells that
// it is one; see chain.judge.
const maxOldCard = 13

// eightDigits is the number that eight ASCII digits write, the first of which is
// the lowest byte of w: pairs are put together, then pairs of those, and again.
func eightDigits(w uint64) uint32 {
	w = (w & (0x0F * ones)) * (10<<8 + 1) >> 8
	w = (w & 0x00FF00FF00FF00FF) * (100<<16 + 1) >> 16
	return uint32((w & 0x0000FFFF0000FFFF) * (10000<<32 + 1) >> 32)
}

// maxPlainDigits is how many digits a chain of groups may have to be plain: one
// more, and a card or a tax number may begin in it.
const maxPlainDigits = shortest - 1

// maxPlainToken is the longest token with an underscore that is plain: the shortest
// key behind a prefix with one has 24 characters.
const maxPlainToken = 23

// plainProse reports whether text, the first trigger of which is at i, is words
// with a few short numbers between, none of which is glued to a letter, and no word
// names what a number could be.
func (d *Detector) plainProse(text []byte, g *Glance, i int) bool {
	var row groupRow
	for i < len(text) {
		switch {
		case isDigit(text[i]):
			begin := i
			if i = plainChain(text, i); i < 0 || d.mayBePieces(text, begin, i, &row) {
				return false
			}
		case text[i] == '_':
			from, to := i, i
			for from > 0 && text[from-1] > ' ' {
				from--
			}
			for to < len(text) && text[to] > ' ' {
				to++
			}
			if to-from > maxPlainToken {
				return false
			}
			i++
		case d.falseAlarm(text, i):
			i++
		default:
			return false
		}
		i = g.next(i)
	}
	return !d.names(text, inText)
}

// falseAlarm reports whether the trigger at i is a letter at which nothing begins:
// words share letters with those that families wait for.
func (d *Detector) falseAlarm(text []byte, i int) bool {
	if !isLetter(text[i]) || text[i]&^3 == 'L' {
		return false
	}
	woken, _ := d.wake.at(text, i)
	return woken == 0
}

// plainChain returns where the chain of digit groups at i ends, -1 when it may be
// more than a short number that needs a name to be anything.
func plainChain(text []byte, i int) int {
	if i > 0 {
		switch text[i-1] {
		case ' ', '(', '$', '_', '\n', '\t':
			if i > 1 && (text[i-2] == 'X' || text[i-2] >= 0x80) {
				return -1
			}
		default:
			return -1
		}
	}
	end := runEnd(text, i)
	total, groups, blank := end-i, 1, false
	for next, g := gapAfter(text, end); g != none; next, g = gapAfter(text, end) {
		for _, b := range text[end:next] {
			if b >= 0x80 || b == ':' && next > end+1 { // 2001::7
				return -1
			}
			blank = blank || b == ' ' || b == '-'
		}
		from := next
		end = runEnd(text, from)
		total += end - from
		if groups++; total > maxPlainDigits || groups > 3 {
			return -1
		}
	}
	// A national insurance number has three groups of two, with letters around.
	if total > maxPlainDigits || blank && groups == 3 {
		return -1
	}
	if end == len(text) {
		return end
	}
	after := byte(' ')
	if end+1 < len(text) {
		after = text[end+1]
	}
	switch text[end] {
	case ' ', '\n', '\t':
		if after >= 0x80 || opens[after] || after == 'X' {
			return -1
		}
	case '.', ',', ':', ';', '!', '?', ')':
		if after != ' ' && after != '\n' && after != ')' && after != '.' {
			return -1
		}
	case '_':
		if !isLetter(after) || after == 'X' {
			return -1
		}
	default:
		return -1
	}
	return end
}

// maxPlainURL is the longest address that is plain, in bytes: of a longer one the
// begin is not seen from everywhere.
const maxPlainURL = tokenReach

// plainURL reports whether text, the first trigger of which is at i, is an address
// whose digits are segments of its path; see scanner.pathSegment.
func (d *Detector) plainURL(text []byte, key KeyTraits, g *Glance, i int) bool {
	if len(text) > maxPlainURL {
		return false
	}
	for i < len(text) {
		if !isDigit(text[i]) {
			if !d.falseAlarm(text, i) {
				return false
			}
			i = g.next(i + 1)
			continue
		}
		end := runEnd(text, i)
		if _, gap := gapAfter(text, end); gap != none || !wholeSegment(text, i, end) {
			return false
		}
		if n := end - i; n >= shortest && (n == shortest || n > maxCard || d.mayBeCard(text[i:end], key)) {
			return false
		}
		i = g.next(end)
	}
	return !d.names(text, inURL)
}

// wholeSegment reports whether the digits text[i:end], perhaps with a few letters,
// are a segment of the path of the address text.
func wholeSegment(text []byte, i, end int) bool {
	const scheme = len("https://")
	at, to := i, end
	for at > 0 && i-at < 4 && isLetter(text[at-1]) {
		at--
	}
	for to < len(text) && to-end < 4 && isLetter(text[to]) {
		to++
	}
	if at <= scheme+1 || text[at-1] != '/' || text[at-2] == '/' || (at != i || to != end) && to-at >= 4 {
		return false
	}
	return to == len(text) || text[to] == '/' || text[to] == '.'
}

// What an ASCII byte may stand in.
const (
	inURL      = 1 << iota // a plain address of a record
	inLocal                // a plain e-mail address, in front of its sign
	inDomain               // behind it
	inMailWord             // a word of it
	inText                 // a plain sentence
)

var addressBytes = func() (t [256]uint8) {
	for b := range byte(0x80) {
		if b != 'X' { // perhaps a mask of ours, which is no part of a word
			t[b] = inText
		}
		switch {
		case b-'a' < 26:
			t[b] |= inURL | inLocal | inDomain | inMailWord
		case isDigit(b):
			t[b] |= inURL | inLocal | inMailWord
		case b == '.':
			t[b] |= inURL | inLocal | inDomain
		case b == '-':
			t[b] |= inURL | inDomain
		case b == '_':
			t[b] |= inLocal
		case b == '/' || b == ':':
			t[b] |= inURL
		}
	}
	return t
}()

// maxPlainMailDigits is how many characters the word with digits may have in a plain
// e-mail address: references of payment processors have six, codes of persons nine.
const maxPlainMailDigits = 8

// plainMail reports whether text is one e-mail address in lower case, with no more
// than one short number in front of its sign; i is the first trigger.
func (d *Detector) plainMail(text []byte, g *Glance, i int) bool {
	at := 0
	digits, word, numbers := 0, 0, 0
	for ; ; at++ {
		if at == len(text) || at > maxPlainToken {
			return false
		}
		b := text[at]
		if b == '@' {
			break
		}
		if addressBytes[b]&inLocal == 0 {
			return false
		}
		if addressBytes[b]&inMailWord == 0 {
			word = 0
			continue
		}
		word++
		if isDigit(b) {
			if at == 0 || !isDigit(text[at-1]) {
				numbers++
			}
			digits++
		}
		if word > maxPlainMailDigits && digits > 0 {
			return false
		}
	}
	if at == 0 || digits > maxCode || numbers > 1 || addressBytes[text[0]]&addressBytes[text[at-1]]&inMailWord == 0 || d.listed != nil && d.listed.allow != nil {
		return false
	}
	if !plainDomain(text[at+1:]) {
		return false
	}
	for i < len(text) {
		switch b := text[i]; {
		case isDigit(b):
			i = runEnd(text, i)
		case b == '_' || i == at || d.falseAlarm(text, i):
			i++
		default:
			return false
		}
		i = g.next(i)
	}
	return !d.names(text[:at], inLocal) && (digits == 0 || !bytes.Contains(text[:at], []byte("raintree")))
}

// plainDomain reports whether domain is labels of letters and hyphens with dots
// between, of which the last can be a top-level domain; see domainEnd.
func plainDomain(domain []byte) bool {
	from := 0 // where the label begins
	for k, b := range domain {
		if addressBytes[b]&inDomain == 0 {
			return false
		}
		if b == '.' || b == '-' {
			if k == from || domain[k-1] == '-' && b == '.' {
				return false
			}
			if b == '.' {
				from = k + 1
			}
		}
	}
	return from > 0 && len(domain) <= maxDomain && topLevel(domain[from:], true)
}
