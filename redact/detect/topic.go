package detect

// Topic is what a text speaks of, as a set. It holds no part of the text.
type Topic uint8

const (
	// TopicCard means that words name a payment card.
	TopicCard Topic = 1 << iota
	// TopicSSN means that words name a tax number.
	TopicSSN
	// TopicCode means that words name a verification code.
	TopicCode
	// TopicPIN means that words name a PIN.
	TopicPIN
	// TopicOther means that words name some other number: an order, a telephone.
	TopicOther
)

// maxTopic is how much of a text Topics reads, from its end: a question stands
// there.
const maxTopic = 1 << 10

// Topics returns what the words of text name, as far as the detector's vocabulary
// knows them. It does not allocate.
func (d *Detector) Topics(text []byte) Topic {
	var t Topic
	from := lo(len(text), maxTopic)
	for from > 0 && from < len(text) && isWordByte(text[from-1]) {
		from++
	}
	s := scanner{d: d, text: text, final: true, card: -1}
	security, digits := false, false
	for at := from; ; {
		start, end, ok := wordAfter(text, at, len(text))
		if !ok {
			return t
		}
		w := text[start:end]
		sn := s.wordSense(start, end, from)
		switch {
		case sn&senseCVV != 0, security && foldEqual(w, "code"), digits && foldEqual(w, "back"):
			t |= TopicCode
		case sn&senseCard != 0:
			t |= TopicCard
		case sn&senseSSN != 0 && (!foldEqual(w, "social") || d.endsName(text, end)):
			t |= TopicSSN
		case sn&sensePIN != 0:
			t |= TopicPIN
		case sn&(senseSoft|senseHard) != 0 && (!foldEqual(w, "part") || d.numbers(text, end)):
			t |= TopicOther
		}
		security = foldEqual(w, "security") || foldEqual(w, "verification")
		digits = digits || sn&senseTail != 0
		at = end
	}
}

// endsName reports whether the word that ends at i has "security", "number" or digits
// behind it, or nothing: a social life is none of ours.
func (d *Detector) endsName(text []byte, i int) bool {
	start, end, ok := wordAfter(text, i, min(len(text), i+wordWindow/2))
	if !ok || start > i+1 {
		return true
	}
	w := text[start:end]
	return isDigit(w[0]) || foldEqual(w, "security") || foldEqual(w, "insurance") || d.vocab.sense(w)&senseLink != 0
}

// numbers reports whether the word that ends at i has "number" behind it: "part two" is one
// of a message.
func (d *Detector) numbers(text []byte, i int) bool {
	start, end, ok := wordAfter(text, i, min(len(text), i+wordWindow/2))
	if !ok {
		return false
	}
	var buf [2 * maxWord]byte
	return end-start <= maxWord && numberBehind[string(fold(buf[:0], text[start:end]))]
}
