package detect

import (
	"encoding/binary"
	"math/bits"

	"github.com/caregate/caregate/redact/view"
)

// Text made to be slow is full of short words with digits in them: lists, paths, codes,
// escapes of signs. Each digit in them is a trigger, and for each trigger the chain, the
// marks, base64 and four families would look at the bytes around it, one after the other,
// to find that there is nothing. Here one pass over a token asks for each of its words what
// any of them needs at least: a length, a letter in front, a sign behind. What has none of
// it is passed over at once, and the scan goes on where the pass is not sure.

// dull returns up to where nothing begins in the token that holds the digit at i, beside
// a letter, or the underscore there; i when it cannot tell. It is asked in long texts only, and it is never sure
// beside a card, whose date and code may stand in any form.
func (s *scanner) dull(i int) int {
	text := s.text
	if i < s.loudTo || s.card >= 0 && i-s.card <= wideReach || !s.d.brief.whole {
		return i
	}
	start := wordStart(text, i, lo(i, maxBrief))
	// What is no short word anyway is told first.
	end := wordSpan(text, i, min(len(text), i+maxBrief+1))
	n := end - start
	if end == i { // at an underscore
		end = wordSpan(text, i+1, min(len(text), i+maxBrief+2))
		n = end - i - 1
	}
	if n == 0 || n > maxBrief || n >= view.MinNumber64-2 && s.says64(end-n) || end < len(text) && dullKinds[text[end]]&dullEnd != 0 {
		return i
	}
	low := s.tokenStart(i)
	if s.end64 > low {
		return i // what stands there may go on what base64 said
	}
	p := dullPass{scanner: s, plain: end - n, chain: -1, follows: -1, glued: -1}
	from := min(max(low, s.dulled), start)
	if from > 0 && charsets[text[from]]&setAlnum != 0 && charsets[text[from-1]]&setAlnum != 0 {
		return i
	}
	if s.passwordFrom(from) {
		return i
	}
	end = p.tokens(from, s.quietUpTo(i))
	if end <= i {
		s.loudTo = p.stopped // the next trigger would come no further
		return i
	}
	s.dulled = end
	b := &s.d.brief
	for _, family := range [...]int{b.tokens, b.passwords, b.lookalikes, b.ids} {
		s.asked[family] = max(s.asked[family], end)
	}
	return end
}

// quietUpTo is the next place behind i at which something is a trigger, as far as the text
// was looked at, other than a digit, an underscore and a letter of base64: those are looked
// at in dull.
// What lies up to it is asked about once.
func (s *scanner) quietUpTo(i int) int {
	if i < s.quietFrom || i >= s.quietTo {
		s.quietFrom, s.quietTo = i, s.nextOther(i)
	}
	return s.quietTo
}

// nextOther is quietUpTo without memory.
func (s *scanner) nextOther(i int) int {
	g := &s.signs
	end := min(g.to, len(s.text))
	if !s.final {
		end = min(end, len(s.text)-LookAhead)
	}
	if i < g.from {
		return i
	}
	shift := uint(i-g.from) % blockSize
	for at := i - int(shift); at < end; at += blockSize {
		for m := g.blocks[uint(at-g.from)/blockSize%maxBlocks].others >> shift << shift; m != 0; m &= m - 1 {
			k := at + bits.TrailingZeros64(m)
			if k >= end {
				return end
			}
			if s.text[k]&^3 != 'L' && s.text[k] != '_' {
				return k
			}
			if woken, _ := s.d.wake.at(s.text, k); woken != 0 {
				return k
			}
		}
		shift = 0
	}
	return end
}

// dullPass is the state of one pass over a token.
type dullPass struct {
	*scanner
	// Where the chain of digit groups begins in which the last word ended, -1 for none,
	// how many digits it has, and where the next group is.
	chain, total, follows int
	plain                 int // where a word begins that is known to be no base64
	// The last word in which digits stand beside letters, -1 for none: the families are
	// asked from there to the end of the token, so it is not passed when that is not.
	glued int
	// slashed says that the run of base64 that holds the word has slashes in it and is
	// none that says something.
	slashed bool
	// joined says that the run of base64 that holds the word, with hyphens and underscores in
	// it, says nothing from its begin on.
	joined  bool
	stopped int // where the pass ended
	small   int // up to where no capital letter stands; see says64
}

// tokens returns up to where text[at:limit) is dull, as far as the token goes that at is
// in, and those behind it, one blank apart, where digits stand close by: the rest is found
// without looking at every byte. No name of a password in front of those was passed over that
// has one behind it.
func (p *dullPass) tokens(at, limit int) int {
	for text := p.text; ; {
		end := p.token(at, limit)
		at = p.stopped + 1
		if at >= limit || text[at-1] > ' ' || dullKinds[text[at]]&dullWord == 0 || p.next(at)-at > maxBrief {
			return end
		}
		p.slashed, p.joined, p.glued = false, false, -1
	}
}

// token returns up to where text[at:limit) is dull, as far as the token goes that at is
// in.
func (p *dullPass) token(at, limit int) int {
	text := p.text
	for at < limit && text[at] > ' ' {
		if k := dullKinds[text[at]]; k&dullWord == 0 {
			if k&dullHyphen != 0 && at+1 < len(text) && text[at+1] == '-' {
				break // perhaps a private key
			}
			p.slashed = p.slashed && k&dullSlash != 0
			p.joined = p.joined && k&(dullSlash|dullJoint) != 0
			if k&dullToken == 0 {
				p.glued = -1
			}
			at++
			continue
		}
		end := p.word(at, limit)
		if end == 0 {
			break
		}
		at = end
	}
	p.stopped = at
	if p.glued >= 0 && (at >= limit || text[at] > ' ') {
		at = p.glued
	}
	if p.chain >= 0 {
		at = min(at, p.chain) // which is read from its begin
	}
	return at
}

// word returns the end of the word that begins at i, 0 when something may begin in it.
func (p *dullPass) word(i, limit int) int {
	text := p.text
	first, run := -1, -1 // the first digit, and that of the run that the word ends with
	kinds := uint8(0)
	end := i
	for ; end < limit; end++ {
		k := dullKinds[text[end]]
		if k&dullWord == 0 {
			break
		}
		kinds |= k
		if k&dullDigit != 0 {
			if run < 0 {
				if run = end; first < 0 {
					first = end
				}
			}
			continue
		}
		if run >= 0 {
			// Only "exp1226c" goes on with a letter, under a key; see scanner.within.
			if n := end - run; n > maxInner || n >= minCode && text[end]|0x20 == 'c' && p.hint.Key != "" || n == 4 && p.d.mayBePieces(text, run, end, p.hint.near.groupRow()) {
				return 0
			}
			p.group(run, end, false)
			if p.total >= shortest {
				return 0
			}
			run = -1
		}
		if end+1 < len(text) && passwordBegins[text[end]&31]>>(text[end+1]&31)&1 != 0 {
			if p.passwordAt(end) {
				return 0
			}
		}
	}
	if end == limit || end+1 >= len(text) || end-i > maxBrief || run >= 0 && isPiece(end-run) && p.d.mayBePieces(text, run, end, p.hint.near.groupRow()) {
		return 0
	}
	left, right := byteBefore(text, i), text[end]
	beside := dullKinds[left] | dullKinds[right]
	if beside&dullEnd != 0 || beside&dullJoint != 0 && !p.plainJoined(i, first, run, end) || !p.plain64(i, end, left, right) {
		return 0
	}
	if end-i >= minPaid && p.mayBePaid(i, end) {
		return 0
	}
	if first < 0 {
		return end
	}
	if kinds&dullUnlike == 0 && kinds&dullLetter != 0 {
		at := i + view.EscapeRest(text, i)
		if n, ok := view.Lookalike(text[at:]); ok && p.d.lookalikeEnd(text, at, at+n, p.hint) > 0 {
			return 0
		}
	}
	if mayBeID(p.hint.near, text, i, first, end) {
		return 0
	}
	next := text[end+1]
	gap := asciiGap[right] != none
	if gap && next == ':' {
		return 0 // an address of a machine
	}
	special := opens[left] || left == '#' || opens[right] || gap && (opens[next] || next >= 0x80)
	if special && p.mark(first, end) {
		return 0
	}
	if kinds&dullLetter != 0 {
		p.glued = i
	}
	if run < 0 {
		return end
	}
	if n := end - run; n >= minCode {
		if n > maxInner || run == i || n != minCode && p.hint.Key != "" || p.codeGlued(run) {
			return 0
		}
	}
	p.group(run, end, gap)
	if p.total >= shortest || p.chain >= 0 && p.date(run) {
		return 0
	}
	return end
}

// group takes note of a run of digits. more says that the chain that it is in may go on
// behind it.
func (p *dullPass) group(run, end int, more bool) {
	if run != p.follows {
		p.chain, p.total = -1, 0
	}
	p.total += end - run
	if more {
		if next, g := gapAfter(p.text, end); g != none {
			if p.chain < 0 {
				p.chain = run
			}
			p.follows = next
			return
		}
	}
	if p.total < shortest {
		p.chain = -1
	}
	p.follows = -1
}

// date reports whether the date of a card may begin with the run of digits at i.
func (p *dullPass) date(i int) bool {
	end, bare := expiryDate(p.text, i)
	return end > 0 && (!bare || p.hint.Key != "") && p.datesAlone(i, end)
}

// codeGlued reports whether the letters in front of the digits at i may name a code; see
// standsAlone.
func (p *dullPass) codeGlued(i int) bool {
	text := p.text
	if !codeEnds[text[i-1]] {
		return false
	}
	a := i
	for a > 0 && i-a < 4 && isLetter(text[a-1]) {
		a--
	}
	return lettersBegin(text, a) && p.d.vocab.sense(text[a:i])&(senseCVV|sensePIN) != 0
}

// passwordAt reports whether the name of a password begins at i, with a password behind it.
func (s *scanner) passwordAt(i int) bool {
	end, name := passwordWord(s.text, i)
	if end == 0 {
		return false
	}
	_, ok := passwordBehind(s.text, i, end, name)
	return ok
}

// passwordFrom reports whether a password may begin with the token at i, behind its name.
func (s *scanner) passwordFrom(i int) bool {
	if i < 2 || s.text[i-1] > ' ' {
		return false
	}
	at, end, name := nameBefore(s.text, i)
	if at < 0 {
		return false
	}
	_, ok := passwordBehind(s.text, at, end, name)
	return ok
}

// mark reports whether a run of digits of text[i:end), the first of which begins at i, has
// to be read in another way, and was not yet.
func (p *dullPass) mark(i, end int) bool {
	for i < end {
		to := runEnd(p.text, i)
		if i >= p.viewEnd && markAt(p.text, i, to) != 0 {
			return true
		}
		for i = to; i < end && !isDigit(p.text[i]); i++ {
		}
	}
	return false
}

// plain64 reports whether the word text[i:end], between left and right, is not in base64
// that is read, nor in a secret that is base64; see token64 and tokenScan.run.
func (p *dullPass) plain64(i, end int, left, right byte) bool {
	text := p.text
	slashes := charsets[right]&setSlash != 0 || charsets[left]&setSlash != 0
	if !slashes {
		p.slashed = false
		return end-i < view.MinNumber64-2 || i == p.plain || !p.says64(i)
	}
	if end-i >= minPaid && slashFirsts[text[i]] || p.says64(i) {
		return false
	}
	if p.slashed {
		return true
	}
	p.slashed = true
	begin := i
	for begin > 0 && i-begin < tokenReach && charsets[text[begin-1]]&setBase64 != 0 {
		begin--
	}
	if i-begin == tokenReach {
		return true // not its begin
	}
	if begin > 0 && (text[begin-1] == '-' || text[begin-1] == '_') || p.says64(begin) {
		return false
	}
	switch spanOfWords(text, begin, setBase64, 90) - begin {
	case 40, 43, 86: // see base64Secret
		return false
	}
	return true
}

// says64 is scanner.says64 for places from left to right: base64 that says something has
// capital letters, and most text that is asked about has none for long.
func (p *dullPass) says64(i int) bool {
	for p.small = max(p.small, i); p.small < i+view.MinBase64; p.small += 8 {
		if p.small+8 > len(p.text) || capitals(binary.LittleEndian.Uint64(p.text[p.small:])) != 0 {
			return p.scanner.says64(i)
		}
	}
	return false
}

// plainJoined reports whether nothing begins with the word text[i:end] because of the hyphen
// or the underscore beside it: no secret, no base64, and no number that is printed in groups.
// Its first digit is at first, and the digits with which it ends at run, -1 for none.
func (p *dullPass) plainJoined(i, first, run, end int) bool {
	text := p.text
	if run == i || first == i && end-i == 4 && text[end] == '-' { // a Medicare id
		return false
	}
	if wordEdge(text, i) && tokenBegins[text[i]]>>(text[i+1]&31)&1 != 0 {
		if at, _ := secretAt(text, i); at > 0 {
			return false
		}
		if at, _ := paymentReferenceAt(text, i, end); at > 0 {
			return false
		}
	}
	if p.says64(i) {
		return false
	}
	if p.joined {
		return true
	}
	p.joined = true
	begin, low := i, lo(i, tokenReach)
	for begin > low && isBase64(text[begin-1]) {
		begin--
	}
	return begin == i || begin == low && low > 0 || !p.scanner.says64(begin)
}

// What dullPass.word knows of a byte.
const (
	dullDigit  = 1 << iota
	dullLetter // of ASCII
	dullUnlike // a letter that looks like no digit
	dullSlash  // of base64
	dullHyphen
	dullJoint // a hyphen or an underscore, which join the words of a token
	dullToken // a sign that may stand in a token
	dullEnd   // of those of briefEnds, where dull cannot tell what the word beside is

	dullWord = dullDigit | dullLetter
)

var dullKinds = func() (t [256]uint8) {
	for b := range t {
		switch c := byte(b); {
		case isDigit(c):
			t[b] = dullDigit
		case isLetter(c):
			t[b] = dullLetter
			if _, ok := view.Lookalike([]byte{c, '0'}); !ok {
				t[b] |= dullUnlike
			}
		case c == '-':
			t[b] = dullHyphen | dullJoint
		case c == '_':
			t[b] = dullJoint
		case charsets[c]&setSlash != 0:
			t[b] = dullSlash
		case briefEnds[c]:
			t[b] = dullEnd
		}
		if inToken[b] {
			t[b] |= dullToken
		}
	}
	return t
}()
