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
	case text[i]&^3 == 'L':
		s.token64(dst, i)
	}
	// A family that is woken in the middle of a token has to see its begin, too: it is
	// not asked about what lies before again. Nor does a word that woke one hold other
	// triggers at this place.
	woken, begin := s.d.wake.at(text, i)
	if woken != 0 {
		to = max(to, i+4)
	}
	if on != 0 || woken != 0 {
		s.ask(dst, on&s.d.on, woken, 0, begin, to)
	}
	return to
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
		if s.pathSegment(i, end) {
			return
		}
		first, begin := i, i
		total, on := 0, onDigits
		for {
			n := i
			for i++; i < end && isDigit(text[i]); i++ {
			}
			total += i - n
			var left, right edge
			if n > 0 {
				left = edges[text[n-1]]
			}
			if i < len(text) {
				if right = edges[text[i]]; right&edgeGap != 0 && i+1 < len(text) {
					right |= edges[text[i+1]] & (edgeSign | edgeColon)
				}
			}
			if (left|right)&^edgeGap != 0 {
				on |= s.beside(dst, n, i, left, right)
			}
			if i >= end || i-begin >= maxChain {
				break
			}
			if i = nextDigit(text[:end], i); i >= end {
				break
			}
		}
		to := min(i, end)
		if on&onGlued != 0 {
			// All of a token at once: identifiers have many digits with letters beside
			// them. Later triggers in it find that the families have been asked.
			for to < len(text) && to-first < tokenReach && inToken[text[to]] {
				to++
			}
		}
		s.ask(dst, on&s.d.on, 0, total, first, to)
	}
}

// inToken are the bytes of a token that is asked about at once.
var inToken = func() (t [256]bool) {
	for b := range t {
		c := byte(b)
		t[b] = isLetter(c) || isDigit(c) || c == '-' || c == '_'
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
		if _, ok := view.Lookalike(text[end:]); ok {
			on |= onGlued
		}
	}
	if left&right&edgeColon != 0 || left&edgeColon != 0 && i > 1 && text[i-2] == ':' || right&edgeColon != 0 && end+1 < len(text) && text[end+1] == ':' {
		on |= onDots
	}
	return on
}

// pathSegment reports whether the digits text[i:end] are, or are in, a segment of
// the path of an address, and the segment is nothing but digits or too short to
// be anything: the id of a record, the version of an API. Answers of vendors are
// full of them.
func (s *scanner) pathSegment(i, end int) bool {
	const scheme = len("https://")
	text := s.text
	if i < scheme+2 || text[i-1] != '/' && !isLetter(text[i-1]) {
		return false
	}
	from := s.tokenStart(i)
	if i-from < scheme+2 || string(text[from:from+4]) != "http" || runEnd(text, i) != end {
		return false
	}
	at, to := i, end
	for i-at < 4 && isLetter(text[at-1]) {
		at--
	}
	for to < len(text) && to-end < 4 && isLetter(text[to]) {
		to++
	}
	if text[at-1] != '/' || at-from <= scheme || text[at-2] == '/' || (at != i || to != end) && to-at >= 4 {
		return false
	}
	return to == len(text) || indexByte("/.?#\"", text[to])
}

// earlier asks the families about the triggers in text[from:to), without looking
// for cards.
func (s *scanner) earlier(dst *[]redact.Finding, from, to int) {
	for i := s.d.next(s.text, from); i < to; i = s.d.next(s.text, i) {
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
	if d.on&onAlways == 0 || from >= to {
		return dst
	}
	for i := range d.families {
		if f := &d.families[i]; f.on&onAlways != 0 {
			dst = f.find(d, dst, text, from, to, h)
		}
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
	if who == 0 {
		return
	}
	from := at
	if on != onWide || woken != 0 {
		from = s.tokenStart(at)
	}
	for ; who != 0; who &= who - 1 {
		i := bits.TrailingZeros32(who)
		if from := max(from, s.asked[i]); from < to {
			*dst = s.d.families[i].find(s.d, *dst, s.text, from, to, s.hint)
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
		if at--; at == s.tokenAt {
			at = max(s.tokenFrom, from)
			break
		}
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
