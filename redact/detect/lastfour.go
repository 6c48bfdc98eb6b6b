package detect

import "github.com/caregate/caregate/redact"

// lastFourFamily finds the last four digits of a social security number, which
// people give to prove who they are. It shows what a family looks like.
func lastFourFamily() family {
	return family{name: "last four", on: onDigits, digits: 4, find: (*Detector).findLastFour}
}

// lastFourWords is how many words back the digits may be named.
const lastFourWords = 10

// findLastFour takes a group of exactly four digits when the words in front say
// "last four" or "ending in", or the like, and name the social security number.
func (d *Detector) findLastFour(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	for i := nextDigit(text[:to], from); i < to; {
		end := runEnd(text, i)
		if end-i == 4 && (i == 0 || !isWordByte(text[i-1])) && (end == len(text) || !isWordByte(text[end])) && d.lastFourNamed(text, i) {
			dst = append(dst, redact.Finding{
				Class: redact.USSSNLast4, Start: i, End: end, Confidence: 0.9, Strong: true, Never: h.ID,
				Rule: "last four digits, named", Evidence: redact.EvidenceWord,
			})
		}
		i = nextDigit(text[:to], end)
	}
	return dst
}

// lastFourNamed reads the words in front of i.
func (d *Detector) lastFourNamed(text []byte, i int) bool {
	ssn, last := false, false
	for n, at := 0, i; n < lastFourWords; n++ {
		start, end, ok := wordBefore(text, at, lo(i, wordWindow))
		if !ok {
			return false
		}
		w := text[start:end]
		ssn = ssn || d.vocab.sense(w)&senseSSN != 0
		last = last || foldEqual(w, "last") || foldEqual(w, "final") || foldEqual(w, "ending") || foldEqual(w, "ends")
		if ssn && last {
			return true
		}
		at = start
	}
	return false
}
