package detect

import "github.com/caregate/caregate/redact"

// An IBAN is printed in groups of four, and each group is a trigger: the chain would try
// it as the begin of a card, a tax number, a date and a code, and six families would look
// at it, to find the account that its letters began. Here its check digits are read first.

// printedIBAN adds the IBAN whose check digits are text[i:end], when it is all digits
// behind its country, printed in groups with one blank between, and stands by itself, and
// returns where it ends; i when there is none, or when something else may begin in it.
// What the others would say is known: a card within an IBAN is none, its groups are not
// those of a tax number, and a date or a code needs a word that names it. It is asked in
// long texts only.
func (s *scanner) printedIBAN(dst *[]redact.Finding, i, end int) int {
	const group = len(" 0000")
	text, start, b := s.text, i-2, &s.d.brief
	if end-i != 2 || start < 0 || text[end] != ' ' || !isLetter(text[start]) || !isLetter(text[i-1]) || start > 0 && text[start-1] > ' ' {
		return i
	}
	size := int(ibanSizes[text[start]&31][text[i-1]&31])
	if size == 0 || !b.whole || s.asked[b.ids] > start || s.end64 > start || s.card >= 0 && i-s.card <= wideReach {
		return i
	}
	to := end
	for rest := size - len("DE89"); rest > 0; rest -= 4 {
		from := to + 1
		if to = from + min(4, rest); to+1 >= len(text) || text[from-1] != ' ' || runEnd(text[:to+1], from) != to {
			return i
		}
	}
	if !s.final && to+LookAhead > len(text) || !ibanEnds[text[to]] || !ibanEnds[text[to+1]] && !isLetter(text[to+1]) || joinedAfter(text, to) || ibanEnd(text, start, size) != to {
		return i
	}
	if s.hint.near.any(&s.d.vocab, text, start, to, namesValue) {
		return i
	}
	// A card in pieces may begin with one of the last four groups, and go on behind.
	for at := end + 1; at+4 <= to; at += group {
		if to-at < 4*group && s.d.mayBePieces(text, at, at+4, s.hint.near.groupRow()) {
			return i
		}
	}
	if at, end, name := nameBefore(text, start); at >= 0 {
		if _, ok := passwordBehind(text, at, end, name); ok {
			return i
		}
	}
	n := len(*dst)
	*dst = s.d.findIDs(*dst, text, start, to, s.hint)
	if len(*dst) != n+1 || (*dst)[n].Start != start || (*dst)[n].End != to {
		*dst = (*dst)[:n]
		return i
	}
	for _, family := range [...]int{b.tokens, b.passwords, b.lookalikes, b.ids, b.lastFour, b.pieces} {
		s.asked[family] = max(s.asked[family], to)
	}
	s.tokenTo = max(s.tokenTo, to)
	return to
}

// ibanEnds are the bytes that may stand behind an IBAN that stands by itself, and behind
// that one.
var ibanEnds = [256]bool{' ': true, '\n': true, '\r': true, '\t': true, ',': true, '.': true, ';': true, '"': true, '\'': true, ')': true}
