package detect

import (
	"unicode/utf8"

	"github.com/caregate/caregate/redact/view"
)

// dullWide is dull for scripts other than Latin: it returns up to where nothing begins in
// the letters outside ASCII at i, and in the short runs of digits that stand between such
// letters with nothing between, or right behind them at the end of a word; i when it cannot tell.
// Chinese and Japanese write so: every letter is a trigger there, and every number has letters on
// both sides. The last letter in
// front of ASCII letters is left, because the name of a password may go on in them.
func (s *scanner) dullWide(i int) int {
	text, near := s.text, s.hint.near
	if near == nil || s.card >= 0 && i-s.card <= wideReach || !s.d.brief.whole || i > 0 && isLetter(text[i-1]) {
		return i
	}
	limit := min(len(text)-utf8.UTFMax, s.stop)
	if !s.final {
		limit = min(limit, len(text)-LookAhead)
	}
	at, last := i, i // last is the letter in front of at
	first := i       // where the first letters end
	for word := false; at < limit; {
		if b := text[at]; b >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(text[at:])
			if view.SignOf(r) != view.None || digitsAt(text, at, r) || passwordWides[b] && s.passwordAt(at) {
				break
			}
			word = wordRune(r)
			if first == at {
				first += size
			}
			last, at = at, at+size
			continue
		}
		if !word || !isDigit(text[at]) {
			break
		}
		end := runEnd(text, at)
		if end < limit && text[end] == ' ' && s.dullLast(at, end) {
			at = end
			break
		}
		if end >= limit || text[end] < utf8.RuneSelf || !s.dullBetween(at, end) {
			break
		}
		at, word = end, false
	}
	switch {
	case at < len(text) && isLetter(text[at]):
		at = last
	case first-i <= maxWideCopula && i > 0 && text[i-1] <= ' ' && isCopula(text[i:first]) && s.passwordFrom(i):
		return i
	}
	s.asked[s.d.brief.passwords] = max(s.asked[s.d.brief.passwords], at)
	return at
}

// dullBetween reports whether nothing begins with the run of digits text[i:end] between two
// characters outside ASCII, the first of which is a letter.
func (s *scanner) dullBetween(i, end int) bool {
	text, n := s.text, end-i
	switch r, _ := utf8.DecodeRune(text[end:]); {
	case n > maxInner, !wordRune(r), view.SignOf(r) != view.None:
		return false
	case n > maxCode || n < minCode: // neither a code nor a date
	case s.hint.Key != "" || s.hint.near.cue(text, i) || cueAfter(text, end):
		return false
	}
	if hopeful(s.hint.near, text, i, end) {
		return false
	}
	if _, ok := view.Lookalike(text[end:]); ok {
		return false
	}
	return !isPiece(n) || s.dullPieces(i, end)
}

// dullPieces reports whether no card in pieces begins with the four or eight digits text[i:end],
// nor with a group in front of them that the family was not asked about for itself.
func (s *scanner) dullPieces(i, end int) bool {
	asked := &s.asked[s.d.brief.pieces]
	from := max(*asked, lo(i, tokenReach))
	if s.d.mayBePieces(s.text, nextDigit(s.text[:end], from), end, s.hint.near.groupRow()) {
		return false
	}
	*asked = max(*asked, end)
	return true
}

// dullLast reports whether nothing begins with the run of digits text[i:end] between a letter
// outside ASCII and a blank: they are too few for a code, and a word goes on behind the blank.
func (s *scanner) dullLast(i, end int) bool {
	text := s.text
	if end-i >= minCode || hopeful(s.hint.near, text, i, end) {
		return false
	}
	r, _ := utf8.DecodeRune(text[end+1:])
	return r < utf8.RuneSelf && isLetter(byte(r)) || r >= utf8.RuneSelf && wordRune(r) && view.SignOf(r) == view.None
}
