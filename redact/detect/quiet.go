package detect

import "math/bits"

// What the bytes beside a quiet number may be.
const (
	quietLeft   = 1 << iota // right in front
	quietRight              // right behind
	quietSecond             // behind that
	quietLetter             // a letter of a word
)

var quietBytes = func() (t [256]uint8) {
	for b := range byte(0x80) {
		sign := opens[b] || b == '#' || b == ':' || b == '_' || b == '@'
		if !sign && !isLetter(b) && !isDigit(b) {
			t[b] |= quietRight
		}
		if !sign && b != '(' && b != '-' {
			t[b] |= quietSecond
		}
		if isLetter(b) {
			t[b] |= quietLetter
		}
	}
	for _, b := range " \n\"'$" {
		t[b] |= quietLeft
	}
	return t
}()

// quietPairs says which signs may stand between a number and two digits behind it: by
// what stands in front of the number, a bit for each count of its digits. Times have
// one or two in front of a colon, prices up to three behind a dollar.
var quietPairs = [256]uint8{':': 0b0110, '.': 0b1110 << 4}

// loud is the next place at or after i at which something may begin, but no quiet
// number, or len(text).
func (s *scanner) loud(i int) int {
	text, g := s.text, &s.signs
	known := len(text)
	if !s.final {
		known -= LookAhead // what stands behind is looked at when more of it is there
	}
	for i < len(text) {
		if i < g.from || i >= g.to {
			g.from = i
			g.to, g.some = s.d.wake.look(text, i, g.blocks[:])
		}
		at, shift := uint(i-g.from)/blockSize, uint(i-g.from)%blockSize
		b := &g.blocks[at%maxBlocks]
		first := (b.digits | b.others) >> shift
		if first == 0 {
			i = g.to
			if rest := g.some >> (at + 1); rest != 0 {
				i = g.from + (int(at+1)+bits.TrailingZeros64(rest))*blockSize
			}
			continue
		}
		n := bits.TrailingZeros64(first)
		i += n
		if shift += uint(n); b.others>>shift&1 != 0 || i == 0 || i+quietReach > g.to || i > known {
			return i
		}
		// The bits from there on, over the end of the block.
		c := &g.blocks[(at+1)%maxBlocks]
		end := s.quiet(i, b.digits>>shift|c.digits<<(blockSize-shift), b.others>>shift|c.others<<(blockSize-shift))
		if end == 0 {
			return i
		}
		i = end
	}
	return len(text)
}

// quietReach is how far quiet looks, in bytes.
const quietReach = 12

// quiet returns the end of the number that begins at i when it is a count of one or
// two digits, a price or a time, as most numbers in messages are, or six or seven
// digits that no word beside them names; otherwise 0. digits and others are the bits
// from i on. The shape alone of the first says that nothing begins with them, and it is
// told by the bits and a few bytes, without asking one by one those who would find
// that out, too: a chain, a code and the date of a card need more digits, or other
// signs between them; what else waits for so few digits is findIDs, which asks hopeful,
// and findLastFour.
func (s *scanner) quiet(i int, digits, others uint64) (end int) {
	text, n := s.text, bits.TrailingZeros64(^digits)
	if n > 7 {
		return 0
	}
	end = i + n
	left := text[i-1]
	switch next := digits >> n & 0x7F; {
	case next&0xF == 0 && others>>n&0xF == 0: // nothing goes on behind three separators of one byte
		switch {
		case n <= 2:
			if !s.longWord(end) && monthAhead(text, end) {
				return 0
			}
		case n < 6 || !s.unnamed(i, end):
			return 0
		}
	case next == 0b0000110 && others>>n&0x7F == 0: // two digits behind one sign, and nothing behind those
		shape := quietPairs[text[end]]
		if left == '$' {
			shape >>= 4
		}
		shape &= 0xF
		if shape>>n&1 == 0 || n == 2 && text[end] == '.' && two(text[i:end]) <= 12 { // $11.25 may be a date
			return 0
		}
		end += len(".00")
	default:
		return 0
	}
	if text[end+2] == '.' && (text[end+1] == '.' || text[end+3] == '.') {
		return 0 // three dots are one separator, and the number may go on behind them
	}
	if quietBytes[left]&quietLeft == 0 || quietBytes[text[end]]&quietRight == 0 || quietBytes[text[end+1]]&quietSecond == 0 {
		return 0
	}
	return end
}

// longWord reports whether a blank and a word of three letters or more, which is no
// month, stand behind end: then monthAhead need not be asked.
func (s *scanner) longWord(end int) bool {
	next := s.text[end : end+4]
	return next[0] == ' ' && quietBytes[next[1]]&quietBytes[next[3]]&quietLetter != 0 && monthPairs[next[1]&31]>>(next[2]&31)&1 == 0
}

// quietWords is how many words in front of a number are read to see what it is.
const quietWords = 4

// unnamed reports whether the words beside text[i:end], six or seven digits that stand
// alone, show that nothing names it. It is what idScan.named says for what has so
// many digits, a telephone number and a bank account, where that is quickly told: a
// word in front names it something else, or says nothing, and behind it a clause ends.
func (s *scanner) unnamed(i, end int) bool {
	text := s.text
	if end-i == maxCode && (s.card >= 0 && i-s.card <= wideReach || text[i+2] == '2' && text[i+3] == '0' || cue(text, i) || cueAfter(text, end)) {
		return false // a code, or the date of a card
	}
	if i < wordWindow || s.hint.Key != "" && s.keySense() != keyText {
		return false
	}
	for range quietWords {
		if text[i-1] != ' ' {
			return false
		}
		last := i - 1
		for i = last; isLetter(text[i-1]) && text[i-1] != 'X' && last-i < maxWord/2; {
			i--
		}
		if b := text[i-1]; i == last || b >= 0x80 || isLetter(b) || isDigit(b) {
			return false
		}
		switch set := s.d.vocab.sense(text[i:last]); {
		case set&(nameAny|sensePhrase) != 0:
			return false
		case set&(nameOther|nameElse|nameEnding) != 0:
			return true
		case set&nameFill == 0:
			b := text[end]
			return b == ',' || b == '.' || b == '\n' || b == ';'
		}
	}
	return false
}
