package detect

// Forms have a field for each group of a card: "cc1=4111&cc2=1111&cc3=1111&cc4=1111",
// "card[1]: 4111, card[2]: 1111". The names are alike but for a number that counts.

const (
	// maxNumbered is the longest name in front of a group, with the sign behind it.
	maxNumbered = 28
	// maxBesideNumbered is how many bytes of separators stand between a group and the
	// name behind it at most.
	maxBesideNumbered = 4
)

// numberedGap are the bytes that stand between a group and the name of the next.
var numberedGap = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, '&': true, ',': true, ';': true, '|': true, '"': true, '\'': true}

// numbered takes groups in front of which names stand that count from one, if
// text[i:end] is the first of them and they make a card.
func (p *pieces) numbered(d *Detector, text []byte, i, end int) bool {
	at := i
	if at > 2 && (text[at-1] == ' ' || text[at-1] == '"' || text[at-1] == '\'') {
		at--
	}
	if at < 2 || text[at-1] != '=' && text[at-1] != ':' {
		return false
	}
	one, low := -1, lo(at, maxNumbered)
	for at--; at > low && !numberedGap[text[at-1]] && text[at-1] != '?' && text[at-1] != '{'; at-- {
		if isDigit(text[at-1]) {
			if one >= 0 || text[at-1] != '1' {
				return false
			}
			one = at - 1
		}
	}
	if one < 0 || at == one {
		return false
	}
	*p = pieces{label: at}
	name, digit := text[at:i], one-at
	bounds := uint32(0)
	for {
		p.groups[p.n] = span{i, end}
		p.n++
		if p.size+end-i > maxCard {
			return false
		}
		p.size += copy(p.digits[p.size:], text[i:end])
		next := end
		for next < len(text) && next-end < maxBesideNumbered && numberedGap[text[next]] {
			next++
		}
		if p.n == maxPieces || next == end || !isNumbered(text[next:], name, digit, byte('1'+p.n)) {
			break
		}
		bounds |= 1 << p.size
		i = next + len(name)
		if end = runEnd(text, i); end == i {
			return false
		}
		p.behind[p.n] = i
	}
	return p.n > 1 && p.size >= minPieced && shapeOf(p.size, bounds, false) >= brandGroups && p.reading(d).ok
}

// isNumbered reports whether text begins with name, in which the byte at digit is count.
func isNumbered(text, name []byte, digit int, count byte) bool {
	return len(text) > len(name) && string(text[:digit]) == string(name[:digit]) && text[digit] == count && string(text[digit+1:len(name)]) == string(name[digit+1:])
}

// appendStem appends the letters of a numbered name as a word.
func appendStem(dst, name []byte) []byte {
	for _, b := range name {
		if isLetter(b) {
			dst = append(dst, b)
		} else if n := len(dst); n > 0 && dst[n-1] != ' ' {
			dst = append(dst, ' ')
		}
	}
	return append(dst, ' ')
}
