package detect

import "bytes"

// after says what the words right behind end name, with only link words between:
// "... is my visa", "... exp 12/26", "... is my order number". A word that digits
// follow names those, unless it is one that only stands behind a card.
func (s *scanner) after(end int) sense {
	if !s.hint.near.any(&s.d.vocab, s.text, end, end, namesCard) {
		return 0
	}
	to := min(len(s.text), end+wordWindow/2)
	for at, n := end, 0; n < 5; n++ {
		a, b, ok := wordAfter(s.text, at, to)
		if !ok {
			return 0
		}
		w := s.text[a:b]
		sn := s.d.vocab.sense(w)
		named := sn & (senseCard | senseCVV | senseSSN | senseSoft | senseHard)
		switch {
		case sn&senseCVV != 0 || len(w) >= 3 && foldEqual(w[:3], "exp"):
			return senseCard
		case named != 0:
			if numberSoon(s.text, b) || n == 0 && named&(senseSoft|senseHard) != 0 {
				return 0
			}
			return named
		case sn&senseLink == 0:
			return 0
		}
		at = b
	}
	return 0
}

// stated is what the words behind end say outright that the number is: "... is my visa",
// "..., that's my card", "... (SSN)". It counts though a word in front names another
// number, so what is only spoken of behind does not do: "... is on my card", "... and my
// card", "... was paid by card".
func (s *scanner) stated(end int) sense {
	if !s.hint.near.any(&s.d.vocab, s.text, end, end, namesCard) {
		return 0
	}
	t, to := s.text, min(len(s.text), end+wordWindow)
	said, bracket := false, false
	for at, n := end, 0; n < 6; n++ {
		a, b, ok := wordAfter(t, at, to)
		if !ok || isDigit(t[a]) || clauseEnds(t[at:a]) && (n > 0 || bytes.ContainsAny(t[at:a], ".;!?\n")) {
			return 0
		}
		if n == 0 {
			bracket = t[a-1] == '(' || t[a-1] == '['
		}
		sn := s.d.vocab.sense(t[a:b])
		named := sn & (senseCard | senseSSN | senseCVV | senseSoft | senseHard)
		switch {
		case named&^(senseCard|senseSSN) != 0:
			return 0
		case named != 0:
			if !said && !(bracket && s.closes(b)) && !bytes.HasPrefix(t[a:b], []byte("是")) || numberSoon(t, b) {
				return 0
			}
			return named
		default:
			role := s.role(a, b)
			switch {
			case said:
				if role&saysWhich == 0 && (sn&senseLink == 0 || role&saysWhere != 0) {
					return 0
				}
			case role&saysIs != 0:
				said = true
			case bracket && role&saysWhich != 0:
			case role&saysThat == 0:
				return 0
			}
		}
		at = b
	}
	return 0
}

// closes reports whether a bracket closes behind i, with nothing in it but more of the
// name: "(card number)".
func (s *scanner) closes(i int) bool {
	for to := min(len(s.text), i+wordWindow/2); i < to; {
		switch s.text[i] {
		case ')', ']':
			return true
		case ' ', '-':
			i++
			continue
		}
		a, b, ok := wordAfter(s.text, i, to)
		if !ok || a != i || s.d.vocab.sense(s.text[a:b])&(senseCard|senseSSN|senseLink) == 0 {
			return false
		}
		i = b
	}
	return false
}
