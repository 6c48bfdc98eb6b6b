package detect

import (
	"math/bits"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/view"
)

// spotKinds are the triggers that one byte is, beside digits.
var spotKinds = func() (t [256]trigger) {
	t['@'], t['_'] = onAt, onUnder
	for b := 0x80; b < len(t); b++ {
		t[b] = onWide
	}
	return t
}()

// sign asks the families about the trigger at i, which is no digit, and returns
// where to go on.
func (s *scanner) sign(dst *[]redact.Finding, i int) int {
	text, on, to := s.text, spotKinds[s.text[i]], i+1
	switch {
	case on == onWide:
		// A word or a sentence at once: there are many such characters where there
		// are any.
		for to < len(text) && to-i < tokenReach && (text[to] >= 0x80 || isLetter(text[to])) {
			to++
		}
		s.wide(dst, i, to)
	case on != 0:
		for to < len(text) && to-i < tokenReach && text[to] == text[i] {
			to++
		}
	case text[i]&^3 == 'L' && i >= letterPair && text[i-letterPair]&^3 == 'L':
		s.token64(dst, i)
	}
	// A family that is woken in the middle of a token has to see its begin, too: it is
	// not asked about what lies before again. Where in a word somebody stopped depends on
	// the processor, so the scan goes on in the word.
	next := to
	woken, begin := s.d.wake.at(text, i)
	if woken != 0 {
		to = min(max(to, i+4), len(text))
	}
	if on != 0 || woken != 0 {
		s.ask(dst, on&s.d.on, woken, 0, begin, to)
	}
	return next
}

// edge says what the byte beside a run of digits makes of it.
type edge uint8

const (
	edgeLetter edge = 1 << iota // the run is glued to it
	edgeColon                   // a dot or colon, as addresses of machines have
	edgeSign                    // something begins or ends that may have to be undone
	edgeGap                     // a separator: something like that may stand behind it
)

var edges = func() (t [256]edge) {
	for b := range t {
		switch c := byte(b); {
		case isLetter(c):
			t[b] = edgeLetter
		case c >= 0x80 || opens[c] || c == '#':
			t[b] = edgeSign
		case c == '.' || c == ':':
			t[b] = edgeColon | edgeGap
		case asciiGap[c] != none:
			t[b] = edgeGap
		}
	}
	return t
}()

// digits asks the families about the chain of digit groups text[i:end], in pieces
// of maxChain bytes.
func (s *scanner) digits(dst *[]redact.Finding, i, end int) {
	for text := s.text; i < end; i = nextDigit(text[:end], i) {
		if i > 0 && (text[i-1] == '/' || isLetter(text[i-1])) && s.pathSegment(i, end) {
			return
		}
		first, begin := i, i
		total, on := 0, onDigits
		var n int
		for {
			n = i
			if i++; i < end && isDigit(text[i]) {
				i = min(end, longRunEnd(text, i))
			}
			total += i - n
			if i-n == 4 {
				on |= onFour
			}
			if i-n >= 8 && inHex(text[n:i]) {
				s.hex(dst, n)
			}
			var left, right edge
			if n > 0 {
				left = edges[text[n-1]]
			}
			if i < len(text) {
				if right = edges[text[i]]; right&edgeGap != 0 && i+1 < len(text) {
					right |= edges[text[i+1]] & (edgeSign | edgeColon)
				}
			}
			if i-n == 8 && (left|right)&edgeLetter == 0 {
				on |= onFour // no hexadecimal text, which has many
			}
			if (left|right)&^edgeGap != 0 {
				on |= s.beside(dst, n, i, left, right)
			}
			if i >= end || i-begin >= maxChain {
				break
			}
			if i = digitAfter(text[:end], i); i >= end {
				break
			}
		}
		to := min(i, end)
		if on&onGlued != 0 && to > s.tokenTo {
			// All of a token at once: identifiers have many digits with letters beside
			// them. Later triggers in it find that the families have been asked.
			for limit := min(len(text), first+tokenReach); ; to++ {
				if to = wordSpan(text, to, limit); to >= limit || !inToken[text[to]] {
					break
				}
			}
			s.tokenTo = to
			if s.innerFrom, s.innerTo = n, 0; to-i > 1 { // otherwise there is no other run in it
				s.innerTo = s.within(n, to)
			}
		}
		if on == onDigits|onGlued {
			s.brief(first, to)
		}
		if on == onDigits && total < shortest && s.d.brief.whole && nextHopeful(s.hint.near, text, first, to) == to {
			// Who else waits for digits waits for more of them, or for something beside them.
			s.asked[s.d.brief.ids] = max(s.asked[s.d.brief.ids], to)
			continue
		}
		s.ask(dst, on&s.d.on, 0, total, first, to)
	}
}

// within returns up to where the word of letters and digits, in which the run of digits
// at i is, has nothing more to say with short runs of digits that have a letter on both
// sides: the families are asked about all of text up to to, base64 was tried, no code or
// date is glued to a letter behind it, other than that of "cvv", and an escape begins with
// a sign that stands in front of the word, and is no longer than reach. It is 0 for a word
// that may be an escape.
func (s *scanner) within(i, to int) int {
	const reach = len("x") + escapeReach // see markBefore
	text, from := s.text, i
	for from > 0 && i-from <= reach && charsets[text[from-1]]&setAlnum != 0 {
		from--
	}
	if i-from <= reach && from > 0 && (opens[text[from-1]] || text[from-1] == '#') {
		return 0
	}
	if s.depth < maxDepth {
		to = min(to, max(s.looked, s.end64, s.settled)) // see token64
	}
	return wordSpan(text, i, to)
}

// inner returns up to where nothing but letters and runs of one or two digits stands behind i,
// in the word that the scan is in, and no other trigger, as far as the bits of one block tell:
// within says that those have nothing more to say. A run that may be longer is left.
func (s *scanner) inner(i int) int {
	g := &s.signs
	if i < g.from || i >= g.to {
		return i
	}
	b, shift := &g.blocks[uint(i-g.from)/blockSize%maxBlocks], uint(i-g.from)%blockSize
	digits := b.digits >> shift
	end := min(i+bits.TrailingZeros64(b.others>>shift|digits&(digits>>1)&(digits>>2)|1<<(blockSize-1)>>shift), s.innerTo)
	for end > i && isDigit(s.text[end-1]) {
		end--
	}
	return max(i, end)
}

// maxInner is how many digits a run inside a word has at most that says nothing beside
// the word: more may be hexadecimal text, see inHex.
const maxInner = 7

// escape reports whether the run of digits text[i:end] is part of an escape and says
// nothing as it stands, so that only what the escape stands for counts, which was read:
// two digits that no month can go with, or those of \uNNNN in a token that the families
// were asked about.
func (s *scanner) escape(i, end int) bool {
	text := s.text
	if end+2 >= len(text) || i < 2 || !opens[text[end]] && text[end] != ';' {
		return false
	}
	switch text[i-1] {
	case '=', '%', '#':
		// A day has a month behind it, and no other number is so short.
		if end-i == 4 && text[i-1] == '%' && text[end] == '%' && text[i] == '2' && text[i+1] == '5' {
			// An escaped escape. The sign behind it says that it is no code.
			return !s.hint.near.any(&s.d.vocab, text, i, end, namesSSN)
		}
		if end-i != 2 || text[i-1] == '#' && text[i-2] != '&' {
			return false
		}
		next := text[end+1]
		return two(text[i:]) > 31 || opens[text[end]] && (isDigit(next) || next == '#' && isDigit(text[end+2]))
	case 'u':
		// No code or date has this letter in front of it.
		return end-i == 4 && text[i-2] == '\\' && text[end] != ';' && end <= s.tokenTo
	}
	return false
}

// inToken are the bytes of a token that is asked about at once.
var inToken = func() (t [256]bool) {
	for b := range t {
		c := byte(b)
		t[b] = isLetter(c) || isDigit(c) || c == '-' || c == '_' || opens[c] && c != '<' || c == '#' || c == ';' || c == '+'
	}
	return t
}()

// beside looks at what touches the run of digits text[i:end], and returns further
// triggers.
func (s *scanner) beside(dst *[]redact.Finding, i, end int, left, right edge) (on trigger) {
	text := s.text
	if (left|right)&(edgeSign|edgeLetter) != 0 && i >= s.viewEnd {
		if m := markAt(text, i, end); m != 0 {
			s.marked(dst, i, m)
		}
	}
	if left&edgeLetter != 0 || end < len(text) && isLetter(text[end]) {
		on |= onGlued
		s.token64(dst, i)
	} else if end < len(text) && text[end] >= 0x80 {
		if g, _ := separator(text, end); g == none {
			if _, ok := view.Lookalike(text[end:]); ok {
				on |= onGlued
			}
		}
	}
	if left&right&edgeColon != 0 || left&edgeColon != 0 && i > 1 && text[i-2] == ':' || right&edgeColon != 0 && end+1 < len(text) && text[end+1] == ':' {
		on |= onDots
	}
	return on
}

// pathSegment reports whether the digits text[i:end], behind a slash or a letter, are, or are in, a segment of
// the path of an address, and the segment is nothing but digits or too short to
// be anything: the id of a record, the version of an API. Answers of vendors are
// full of them.
func (s *scanner) pathSegment(i, end int) bool {
	const scheme = len("https://")
	text := s.text
	if i < scheme+2 || runEnd(text, i) != end {
		return false
	}
	at, to := i, end
	for i-at < 4 && isLetter(text[at-1]) {
		at--
	}
	if text[at-1] != '/' {
		return false
	}
	from := s.tokenStart(i)
	if i-from < scheme+2 || string(text[from:from+4]) != "http" {
		return false
	}
	for to < len(text) && to-end < 4 && isLetter(text[to]) {
		to++
	}
	if at-from <= scheme || text[at-2] == '/' || (at != i || to != end) && to-at >= 4 {
		return false
	}
	return to == len(text) || indexByte("/.?#\"", text[to])
}

// earlier asks the families about the triggers in text[from:to), without looking
// for cards.
func (s *scanner) earlier(dst *[]redact.Finding, from, to int) {
	for i := s.next(from); i < to; i = s.next(i) {
		if !isDigit(s.text[i]) {
			i = s.sign(dst, i)
			continue
		}
		end := runEnd(s.text, i)
		for next, g := gapAfter(s.text, end); g != none && end-i < maxChain; next, g = gapAfter(s.text, end) {
			end = runEnd(s.text, next)
		}
		s.digits(dst, i, end)
		i = end
	}
}

// always asks the families that look at all of a text, about text[from:to).
func (s *scanner) always(dst []redact.Finding, from, to int) []redact.Finding {
	return s.d.always(dst, s.text, from, to, s.hint)
}

func (d *Detector) always(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	if from >= to {
		return dst
	}
	for who := d.constant; who != 0; who &= who - 1 {
		dst = d.families[bits.TrailingZeros32(who)].find(d, dst, text, from, to, h)
	}
	return dst
}

// ask asks the families that wait for one of the triggers on, and so many digits,
// and those that a word has woken, about the token that holds text[at:to).
func (s *scanner) ask(dst *[]redact.Finding, on trigger, woken uint32, digits, at, to int) {
	who := woken
	if on&onDigits != 0 {
		who |= s.d.counting[min(digits, len(s.d.counting)-1)]
	}
	if on &^= onDigits; on != 0 {
		who |= s.d.waiting[on]
	}
	from := -1
	for ; who != 0; who &= who - 1 {
		i := bits.TrailingZeros32(who) % maxFamilies
		begin := s.asked[i]
		if begin >= to {
			continue
		}
		if from < 0 {
			if from = at; on != onWide || woken != 0 {
				from = s.tokenStart(at)
			}
		}
		if begin = max(begin, from); begin < to {
			*dst = s.d.families[i].find(s.d, *dst, s.text, begin, to, s.hint)
			s.asked[i] = to
		}
	}
}

// maxChain is how much of a chain of digit groups is one spot, in bytes.
const maxChain = 256

// tokenStart is tokenStart for triggers from left to right: it goes back no further
// than the trigger before, so that a long token costs no more than a short one.
func (s *scanner) tokenStart(i int) int {
	text, at, from := s.text, i, lo(i, tokenReach)
	for at > from && text[at-1] > ' ' {
		if at == s.tokenAt {
			at = max(s.tokenFrom, from)
			break
		}
		at--
	}
	for at > 0 && at < len(text) && text[at]&0xC0 == 0x80 {
		at--
	}
	s.tokenFrom, s.tokenAt = at, i
	return at
}

// tokenStart returns where the token begins that holds i: behind a blank, and
// about tokenReach bytes before i at most, with a whole character.
func tokenStart(text []byte, i int) int {
	for from := lo(i, tokenReach); i > from && text[i-1] > ' '; i-- {
	}
	for i > 0 && i < len(text) && text[i]&0xC0 == 0x80 {
		i--
	}
	return i
}
