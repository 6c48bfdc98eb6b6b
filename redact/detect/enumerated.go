package detect

import "bytes"

// maxEnumerated is how many numbers of an enumeration may stand in front of one that is
// what they are, and enumeratedReach how far back the first of them may begin, in bytes.
const (
	maxEnumerated   = 4
	enumeratedReach = LookBehind - wordWindow - maxCard
)

// andWords stand in front of the last number of an enumeration.
var andWords = wordsOf("and or und oder y e o ou et en of og eller och ja tai i oraz lub a nebo и или та або и ve veya dan atau és vagy și sau")

// enumerated reports whether k, bare digits near which nothing is said of a card, follows
// another number of as many digits with a comma or "and" between, which the words in front
// of that name something else: "orders 4254825739193154 and 5248728041829901".
func (c *chain) enumerated(k *candidate) bool {
	t, at := c.text, k.start
	for range maxEnumerated {
		from := max(0, k.start-enumeratedReach)
		end := listGap(t, at, from)
		if end == at {
			return false
		}
		start := end
		for start > from && isDigit(t[start-1]) {
			start--
		}
		if end-start != k.digits || start > 0 && (isDigit(t[start-1]) || isLetter(t[start-1])) {
			return false
		}
		at = start
		w := c.before(at, false)
		if w.says(senseCard) {
			return false
		}
		if w.other() != 0 || c.caption(at) {
			return true
		}
	}
	return false
}

// listGap returns where the number ends that stands in front of i with a comma, a sign for
// "and" or such a word between, or i. What stands behind a semicolon, a slash or a plus
// sign is another thing as often as one more.
func listGap(t []byte, i, from int) int {
	at, signs, words := i, 0, 0
	for at > from && !isDigit(t[at-1]) {
		switch b := t[at-1]; {
		case b == ' ' || b == '\n':
			at--
		case (b == ',' || b == '&') && signs == 0:
			at, signs = at-1, 1
		default:
			start, end, ok := wordBefore(t, at, from)
			var buf [2 * maxWord]byte
			if !ok || end != at || words > 0 || end-start > maxWord || !andWords[string(fold(buf[:0], t[start:end]))] {
				return i
			}
			at, words = start, 1
		}
	}
	if at == from || signs+words == 0 || i-at > wordWindow/4 {
		return i
	}
	return at
}

// calledBehind reports whether words behind end say outright that the number is one that
// looks like a card and is none, or the number of another thing: "... is lost, that's the
// tracking", "..., that is my order number". Nothing in between speaks of a card.
func (s *scanner) calledBehind(end int) bool {
	t, to := s.text, min(len(s.text), end+wordWindow)
	that, soft := false, false
	for at := end; ; {
		a, b, ok := wordAfter(t, at, to)
		if !ok || isDigit(t[a]) || bytes.IndexByte(t[at:a], '\n') >= 0 || bytes.ContainsAny(t[at:a], ".;!?") {
			return false
		}
		sn := s.d.vocab.sense(t[a:b])
		role := s.role(a, b)
		switch {
		case sn&(senseCard|senseCVV|senseSSN) != 0:
			return false
		case that && (sn&senseHard != 0 || soft && sn&senseSoft != 0): // "the booking reference"
			return !numberSoon(t, b)
		case that && sn&senseSoft != 0:
			soft = true
		case soft && role&saysNumber != 0:
			return !numberSoon(t, b)
		case !that:
			that = role&saysThat != 0 && clauseEnds(t[at:a])
		case soft || role&(saysIs|saysWhich|saysNumber|saysThat) == 0:
			return false
		}
		at = b
	}
}
