package detect

import (
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// expiryReach is how far in front of a card its expiry date is looked for, in
// bytes. Behind a card see behindCard.
const expiryReach = 48

// expiry looks for the expiry date of a card at the group of digits that begins at
// i, and returns where it ends, or i. A date is one only beside a card: behind it
// with nothing but separators and words for it between, in front of it with such a
// word, or under a key that names both.
func (s *scanner) expiry(dst *[]redact.Finding, i int) int {
	near := i >= s.card && s.behindCard(i)
	if d, ok := s.dumped(i); ok && d.code.start == i {
		return i // four digits, which may read as a date
	} else if ok && d.date.start == i {
		*dst = append(*dst, redact.Finding{
			Class: redact.CardExpiry, Start: i, End: d.date.end, Confidence: 0.95, Strong: true, Never: s.hint.ID,
			Rule: "date behind a card", Evidence: redact.EvidenceBeside | redact.EvidenceGrouping,
		})
		return d.date.end
	}
	end, bare := expiryDate(s.text, i)
	if end == 0 || bare && !near && s.hint.Key == "" || !s.datesAlone(i, end) {
		return i
	}
	f := redact.Finding{Class: redact.CardExpiry, Start: i, End: end, Confidence: 0.95, Strong: true, Never: s.hint.ID}
	switch {
	case near && s.onlyExpiryWords(s.card, i, bare):
		f.Rule, f.Evidence = "date behind a card", redact.EvidenceBeside|redact.EvidenceGrouping
	case i == 0 && end == len(s.text) && s.expiryKey():
		f.Rule, f.Evidence = "date, key", redact.EvidenceKey|redact.EvidenceGrouping
	case s.expiryWord(i) && s.cardSoon(end):
		f.Rule, f.Evidence = "date in front of a card, named", redact.EvidenceBeside|redact.EvidenceWord|redact.EvidenceGrouping
	default:
		return i
	}
	*dst = append(*dst, f)
	return end
}

// expiryDate reads MM/YY, MM/YYYY, YYYY-MM and the like, or MMYY and MMYYYY, and
// returns where the date ends, 0 when there is none. bare says that nothing stands
// between month and year.
func expiryDate(t []byte, i int) (end int, bare bool) {
	end = runEnd(t, i)
	first := t[i:end]
	if n := len(first); n == 4 || n == 6 {
		if m := two(first); m >= 1 && m <= 12 && (n == 4 || t[i+2] == '2' && t[i+3] == '0') {
			if next, g := gapAfter(t, end); g&(gapDash|gapPath) == 0 || next-end > 1 {
				return end, true
			}
		}
		if n == 6 || first[0] != '2' || first[1] != '0' {
			return 0, false
		}
	}
	next, g := gapAfter(t, end)
	if g&^(gapSpace|gapDash|gapPath|gapDot) != 0 || g == none {
		return 0, false
	}
	last := runEnd(t, next)
	second := t[next:last]
	month, year := first, second
	if len(first) == 4 {
		month, year = second, first
	}
	if len(month) > 2 || len(year) != 2 && len(year) != 4 || len(month) == 1 && g&gapPath == 0 {
		return 0, false
	}
	if m := number(month); m < 1 || m > 12 || len(year) == 4 && (year[0] != '2' || year[1] != '0') {
		return 0, false
	}
	return last, false
}

// datesAlone reports whether text[start:end] is no part of a longer date or number.
func (s *scanner) datesAlone(start, end int) bool {
	t := s.text
	if start > 0 && (isDigit(t[start-1]) || isLetter(t[start-1]) && !expGlued(t, start) || maskEnds(t, start)) {
		return false
	}
	if end == len(t) {
		return true
	}
	if isLetter(t[end]) && t[end]|0x20 != 'c' {
		return false
	}
	next, g := numberGapAfter(t, end)
	return g == none || g&(gapPath|gapDash|gapDot) == 0 || next-end > 1
}

// expGlued reports whether "exp" stands right before i.
func expGlued(t []byte, i int) bool { return i >= 3 && foldEqual(t[i-3:i], "exp") }

// maxBesideExpiry is how many other words may stand beside the name of an expiry
// date: "and it runs out in".
const maxBesideExpiry = 3

// onlyExpiryWords reports whether text[from:to], between a card and a date, holds
// nothing but separators, words for an expiry date, and perhaps a verification
// code. A bare date needs such a word, or the bars of a dump, and is none where it is
// named a code.
func (s *scanner) onlyExpiryWords(from, to int, bare bool) bool {
	named, code, others := false, false, 0
	for i := from; i < to; {
		b := s.text[i]
		if b >= utf8.RuneSelf {
			if r, size := utf8.DecodeRune(s.text[i:to]); !wordRune(r) {
				i += size
				continue
			}
		}
		switch {
		case isDigit(b):
			end := runEnd(s.text, i)
			if end-i < minCode || end-i > 4 {
				return false
			}
			i, code = end, false
		case isLetter(b) || b >= utf8.RuneSelf:
			end := i
			for end < to && (isLetter(s.text[end]) || s.text[end] >= 0x80) {
				end++
			}
			w := s.text[i:end]
			set := s.d.vocab.phrase(s.text, i, end, from)
			code = set&senseCVV != 0 || code && set&senseLink != 0
			switch {
			case set&nameExpiry != 0:
				named = true
			case set&(senseCVV|senseLink|nameFill) == 0 && !beforeExpiry(w):
				others++
			}
			i = end
		default:
			named = named || b == '|'
			i++
		}
	}
	return (named || !bare) && (!code || !bare) && (others == 0 || named && !bare && others <= maxBesideExpiry)
}

// beforeExpiry reports whether a word begins a name for an expiry date: "valid thru",
// "good until", "gültig bis".
func beforeExpiry(w []byte) bool {
	for _, word := range [...]string{"valid", "date", "good", "until", "gueltig", "bis", "jusqu", "hasta", "fino", "tot", "til"} {
		if foldEqual(w, word) {
			return true
		}
	}
	return foldEqual(w, "geldig") || string(w) == "gültig" || string(w) == "Gültig"
}

// expiryWord reports whether a word right in front of i says expiry date.
func (s *scanner) expiryWord(i int) bool {
	for n, at := 0, i; n < 4; n++ {
		start, end, ok := wordBefore(s.text, at, lo(i, directReach))
		if !ok {
			return false
		}
		set := s.d.vocab.phrase(s.text, start, end, lo(i, directReach))
		if set&nameExpiry != 0 {
			return true
		}
		if set&(senseLink|nameFill) == 0 && !foldEqual(s.text[start:end], "date") {
			return false
		}
		at = start
	}
	return false
}

// cardSoon reports whether the next number behind i is a card.
func (s *scanner) cardSoon(i int) bool {
	next := nextDigit(s.text[:min(len(s.text), i+expiryReach)], i)
	if next >= i+expiryReach || next == len(s.text) {
		return false
	}
	other := *s // the date may stand in a row itself
	other.remember()
	c := other.lead(next)
	var f redact.Finding
	ok := c.card(&f)
	other.forget()
	return ok && f.Class == redact.CreditCard
}

// expiryKey reports whether the key names a card and its expiry date.
func (s *scanner) expiryKey() bool {
	var buf [2 * maxKey]byte
	key := wordsOfKey(buf[:0], s.hint.Key)
	card, expiry := false, false
	for at := len(key); ; {
		start, end, ok := wordBefore(key, at, 0)
		if !ok {
			return card && expiry
		}
		set := s.d.vocab.sense(key[start:end])
		expiry = expiry || set&nameExpiry != 0
		card = card || set&senseCard != 0 && set&nameExpiry == 0
		at = start
	}
}
