package detect

import "github.com/caregate/caregate/redact"

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
	text, on := s.text, spotKinds[s.text[i]]
	from, to := i, i+1
	switch {
	case on == onWide:
		// A word or a sentence at once: there are many such characters where there
		// are any.
		for to < len(text) && to-i < tokenReach && (text[to] >= 0x80 || isLetter(text[to])) {
			to++
		}
		s.wide(dst, i, to)
	case on != 0:
		from = s.tokenStart(i)
		for to < len(text) && to-i < tokenReach && text[to] == text[i] {
			to++
		}
	case text[i]&^3 == 'L':
		s.token64(dst, i)
	}
	woken := s.d.wake.at(text, i)
	if woken != 0 {
		// A family that is woken in the middle of a token has to see its begin, too:
		// it is not asked about what lies before again.
		// Nor does a word that woke one hold other triggers at this place.
		from, to = s.tokenStart(i), max(to, i+4)
	}
	*dst = s.ask(*dst, on&s.d.on, woken, 0, from, to)
	return to
}

// digits asks the families about the chain of digit groups text[i:end], in pieces
// of maxChain bytes.
func (s *scanner) digits(dst []redact.Finding, i, end int) []redact.Finding {
	for text := s.text; i < end; i = nextDigit(text[:end], i) {
		from := s.tokenStart(i)
		total, on := 0, onDigits
		for begin := i; i < end && i-begin < maxChain; i = nextDigit(text[:end], i) {
			if i > 0 && isLetter(text[i-1]) {
				on |= onGlued
			}
			n := i
			i = runEnd(text, i)
			total += i - n
			if i < len(text) && isLetter(text[i]) {
				on |= onGlued
			}
			if m := markAt(text, n, i); m != 0 {
				s.marked(&dst, n, m)
			}
			if on&onGlued != 0 {
				s.token64(&dst, n)
			}
		}
		dst = s.ask(dst, on, 0, total, from, min(i, end))
	}
	return dst
}

// earlier asks the families about the triggers in text[from:to), without looking
// for cards.
func (s *scanner) earlier(dst []redact.Finding, from, to int) []redact.Finding {
	for i := s.d.next(s.text, from); i < to; i = s.d.next(s.text, i) {
		if !isDigit(s.text[i]) {
			i = s.sign(&dst, i)
			continue
		}
		end := runEnd(s.text, i)
		for next, g := gapAfter(s.text, end); g != none && end-i < maxChain; next, g = gapAfter(s.text, end) {
			end = runEnd(s.text, next)
		}
		dst = s.digits(dst, i, end)
		i = end
	}
	return dst
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
// and those that a word has woken.
func (s *scanner) ask(dst []redact.Finding, on trigger, woken uint32, digits, from, to int) []redact.Finding {
	if on == 0 && woken == 0 {
		return dst
	}
	for i := range s.d.families {
		f := &s.d.families[i]
		hit := f.on & on
		if digits < f.digits {
			hit &^= onDigits
		}
		if from := max(from, s.asked[i]); (hit != 0 || woken>>i&1 != 0) && from < to {
			dst = f.find(s.d, dst, s.text, from, to, s.hint)
			s.asked[i] = to
		}
	}
	return dst
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
