package detect

import "github.com/caregate/caregate/redact"

// spots asks the families about the stretches of text around triggers in
// text[from:to), and appends what they find.
func (s *scanner) spots(dst []redact.Finding, from, to int) []redact.Finding {
	for i := s.d.nextSpot(s.text, from, to); i < to; i = s.d.nextSpot(s.text, i, to) {
		b := s.text[i]
		if !isDigit(b) {
			on := spotKinds[b]
			if s.d.wake.at(s.text, i) {
				on |= onWords
			}
			dst = s.ask(dst, on, 0, tokenStart(s.text, i), i+1)
			i++
			continue
		}
		end := runEnd(s.text, i)
		total, on := end-i, onDigits
		if i > 0 && isLetter(s.text[i-1]) || end < len(s.text) && isLetter(s.text[end]) {
			on |= onGlued
		}
		for next, g := gapAfter(s.text, end); g != none && end-i < maxChain; next, g = gapAfter(s.text, end) {
			end = runEnd(s.text, next)
			total += end - next
			if end < len(s.text) && isLetter(s.text[end]) {
				on |= onGlued
			}
		}
		dst = s.ask(dst, on, total, tokenStart(s.text, i), min(end, to))
		i = end
	}
	return dst
}

// spotKinds are the triggers that one byte is.
var spotKinds = func() (t [256]trigger) {
	t['@'], t['_'] = onAt, onUnder
	for b := 0x80; b < len(t); b++ {
		t[b] = onWide
	}
	return t
}()

// nextSpot returns the offset of the next byte at or after i that is a trigger, or
// with which a word may begin that is one; to when there is none before to.
func (d *Detector) nextSpot(text []byte, i, to int) int {
	for ; i < to; i++ {
		if isDigit(text[i]) || spotKinds[text[i]] != 0 || d.wake.at(text, i) {
			return i
		}
	}
	return to
}

// ask asks the families that wait for one of the triggers on.
func (s *scanner) ask(dst []redact.Finding, on trigger, digits, from, to int) []redact.Finding {
	for i := range s.d.families {
		f := &s.d.families[i]
		hit := f.on & on
		if hit == onDigits && digits < f.digits {
			hit = 0
		}
		if from := max(from, s.asked[i]); hit != 0 && from < to {
			dst = f.find(s.d, dst, s.text, from, to, s.hint)
			s.asked[i] = to
		}
	}
	return dst
}

// maxChain is how much of a chain of digit groups is one spot, in bytes.
const maxChain = 256

// tokenStart returns where the token begins that holds i: behind a blank, and at
// most tokenReach bytes before i.
func tokenStart(text []byte, i int) int {
	for from := lo(i, tokenReach); i > from && text[i-1] > ' '; i-- {
	}
	return i
}
