package detect

import "github.com/caregate/caregate/redact"

// lastFourFamily finds the last four digits of a social security number, which
// people give to prove who they are. It shows what a family looks like.
func lastFourFamily() family {
	return family{name: "last four", on: onFour, yields: true, find: (*Detector).findLastFour}
}

// lastFourWords is how many words may stand on either side and name the digits.
const lastFourWords = 10

// findLastFour takes a group of exactly four digits when the words in front, or right
// behind, or the key, say "last four" or "ending in", or the like, and name the social
// security number; or when the rest of the number stands there, masked.
func (d *Detector) findLastFour(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	for i := nextDigit(text[:to], from); i < to; {
		end := runEnd(text, i)
		if end-i == 4 && (i == 0 || !isWordByte(text[i-1]) || text[i-1] >= 0x80) && (end == len(text) || !isWordByte(text[end])) && h.near.any(&d.vocab, text, i, end, namesSSN) {
			f := redact.Finding{Class: redact.USSSNLast4, Start: i, End: end, Confidence: 0.9, Strong: true, Never: h.ID, Rule: "last four digits, named", Evidence: redact.EvidenceWord}
			switch {
			case d.maskedFront(text, i):
				f.Rule, f.Evidence = "last four digits, the others masked", redact.EvidenceWord|redact.EvidenceGrouping
			case d.lastFourNamed(text, i), d.lastFourBehind(text, end):
			case i == 0 && end == len(text) && h.Key != "" && d.lastFourKey(h.Key):
				f.Rule, f.Evidence = "last four digits, key", redact.EvidenceKey
			default:
				f.End = 0
			}
			if f.End > 0 {
				dst = append(dst, f)
			}
		}
		i = digitAfter(text[:to], end)
	}
	return dst
}

// maskedFront reports whether text before i is the front of a social security number
// that somebody masked, and a word names it: SSN XXX-XX-, SSN ***-**-.
func (d *Detector) maskedFront(text []byte, i int) bool {
	const front = len("XXX-XX-")
	if i < front || i > front && isWordByte(text[i-front-1]) {
		return false
	}
	for k, b := range text[i-front : i] {
		if k == 3 || k == 6 {
			if b != '-' && b != ' ' {
				return false
			}
		} else if b|0x20 != 'x' && b != '*' && b != '#' {
			return false
		}
	}
	if text[i-front+3] != text[i-1] {
		return false
	}
	var l lastFour
	for at := i - front; !l.ssn; {
		start, end, ok := wordBefore(text, at, lo(i, wordWindow))
		if !ok || !l.word(d, text[start:end]) {
			return false
		}
		at = start
	}
	return true
}

// lastFour is what words say so far: that digits are the last ones, and of which
// number.
type lastFour struct{ last, ssn bool }

// word takes one more word, and reports whether it belongs to such a name.
func (l *lastFour) word(d *Detector, w []byte) bool {
	set := d.vocab.sense(w)
	switch {
	case set&nameEnding != 0:
		l.last = true
	case set&senseSSN != 0:
		l.ssn = true
	default:
		return set&(senseLink|senseTail|nameFill) != 0 || len(w) == 1 || foldEqual(w, "security") || foldEqual(w, "cuatro")
	}
	return true
}

// lastFourNamed reads the words in front of i.
func (d *Detector) lastFourNamed(text []byte, i int) bool {
	var l lastFour
	at := i
	if q := questionBefore(text, i, lo(i, wordWindow)); q >= 0 {
		at = q
	}
	for n := 0; n < lastFourWords && (!l.last || !l.ssn); n++ {
		start, end, ok := wordBefore(text, at, lo(i, wordWindow))
		if !ok || !l.word(d, text[start:end]) {
			return false
		}
		at = start
	}
	return l.last && l.ssn
}

// lastFourBehind reads the words right behind end.
func (d *Detector) lastFourBehind(text []byte, end int) bool {
	if end+1 >= len(text) || text[end] != ' ' {
		return false
	}
	var l lastFour
	at := end
	for n := 0; n < lastFourWords && (!l.last || !l.ssn); n++ {
		a, b, ok := wordAfter(text, at, min(len(text), end+wordWindow))
		if !ok || !l.word(d, text[a:b]) {
			return false
		}
		at = b
	}
	return l.last && l.ssn && !numberSoon(text, at)
}

// lastFourKey reads a key: ssn_last4, lastFourOfSSN.
func (d *Detector) lastFourKey(key string) bool {
	var l lastFour
	var buf [2 * maxKey]byte
	words := wordsOfKey(buf[:0], key)
	for at := len(words); ; {
		start, end, ok := wordBefore(words, at, 0)
		if !ok {
			return l.last && l.ssn
		}
		l.word(d, words[start:end])
		at = start
	}
}
