package detect

import "github.com/caregate/caregate/redact"

// group is one run of digits in a chain.
type group struct {
	start, end int
	gap        gap // between the group before and this one
	gapLen     int
}

func (g group) len() int { return g.end - g.start }

// ahead is how many groups can belong to one value, and one more.
const ahead = maxCard + 1

// chain holds the groups that can still begin or continue a value: a ring over
// a chain of groups that may be as long as the text.
type chain struct {
	*scanner
	ring   [32]group
	head   int
	n      int
	digits int // in the groups of the ring
	next   int // where the next group begins
	gap    gap // between the last group of the ring and the next, none at the end
	gapLen int

	tail int // where the last group of the ring ends

	words words // what stands before the chain; see wordsBefore
	known bool
}

func (c *chain) at(k int) *group { return &c.ring[(c.head+k)&31] }

// fill reads groups until a value that begins at the head, and one that begins
// inside it, lie in the ring.
func (c *chain) fill() {
	for c.gap != none && c.n < ahead && c.digits <= maxCard {
		g := c.at(c.n)
		*g = group{start: c.next, end: runEnd(c.text, c.next), gap: c.gap, gapLen: c.gapLen}
		c.n++
		c.digits += g.len()
		c.tail = g.end
		c.next, c.gap = gapAfter(c.text, g.end)
		c.gapLen = c.next - g.end
	}
}

// drop takes the head group out.
func (c *chain) drop() {
	c.digits -= c.at(0).len()
	c.head = (c.head + 1) & 31
	c.n--
}

// chain reads the chain of digit groups that begins at i. It returns where to
// go on, and false when the rest of the chain has to wait for more text.
func (s *scanner) chain(dst *[]redact.Finding, i int) (next int, settled bool) {
	c := chain{scanner: s, next: i, gap: gapSpace}
	// In a stream the chain may have begun in what was settled before.
	if end, g := gapBefore(s.text, i, lo(i, LookBehind)); g != none {
		c.gap, c.gapLen = g, i-end
	}
	done := i // where the last value ended; a track goes on behind the chain
	for c.fill(); c.n > 0; c.fill() {
		head := c.at(0)
		if !s.final && head.start+LookAhead > len(s.text) {
			return head.start, false
		}
		end := head.end
		if head.len() <= maxCard {
			if f, ok := c.ssn(); ok {
				*dst = append(*dst, f)
				end = f.End
			} else if f, ok := c.card(); ok {
				*dst = append(*dst, f)
				end = f.End
				s.card = f.End
			} else if n := head.len(); n > maxCode {
				// neither a date nor a code
			} else if to := s.expiry(dst, head.start); to > head.start {
				end = to
			} else if n >= minCode {
				s.code(dst, *head)
			}
		}
		done = end
		for c.n > 0 && c.at(0).start < end {
			c.drop()
			c.fill()
		}
	}
	return max(c.tail, done), true
}

// joinedBefore reports whether digits, or a mask of ours, stand before group k
// with only separators between. A mask counts, so that masking one value does not
// turn its neighbour into another.
func (c *chain) joinedBefore(k int) bool {
	g := c.at(k)
	return g.gapLen > 0 || maskBefore(c.text, g.start)
}

// joinedAfter is joinedBefore for what follows end.
func joinedAfter(text []byte, end int) bool {
	_, g := numberGapAfter(text, end)
	return g != none
}

// numberGapAfter is gapAfter where a mask of ours counts as digits.
func numberGapAfter(text []byte, i int) (int, gap) {
	next, g := gapAfter(text, i)
	if g != none || next == i || !maskAt(text, next) {
		return next, g
	}
	for at := i; at < next; {
		kind, size := separator(text, at)
		g |= kind
		at += size
	}
	return next, g
}

// maskBefore reports whether a mask of ours stands before i with at most three
// separators between.
func maskBefore(text []byte, i int) bool {
	_, ok := maskGapBefore(text, i)
	return ok
}

// maskTail reports whether the group that begins at i belongs to the last four
// digits that a mask of ours left, which may stand in several groups.
func maskTail(text []byte, i int) bool {
	for kept := 0; kept < 4; {
		if maskBefore(text, i) {
			return true
		}
		end, g := gapBefore(text, i, 0)
		if g == none {
			return false
		}
		for i = end; i > 0 && isDigit(text[i-1]) && kept < 4; i-- {
			kept++
		}
	}
	return false
}

// maskGapBefore is maskBefore, and also says what the separators are.
func maskGapBefore(text []byte, i int) (kinds gap, ok bool) {
	for n := 0; n <= maxGapChars && i > 0; n++ {
		if text[i-1] == 'X' {
			return kinds, maskEnds(text, i)
		}
		g, size := separatorBefore(text, i)
		if g == none {
			break
		}
		kinds |= g
		i -= size
	}
	return none, false
}

// separatorBefore is separator for the character that ends at i.
func separatorBefore(text []byte, i int) (gap, int) {
	size := 1
	for size < 3 && i-size > 0 && text[i-size]&0xC0 == 0x80 {
		size++
	}
	g, length := separator(text[:i], i-size)
	if length != size {
		return none, 1
	}
	return g, size
}

// A mask of ours shows as two X, side by side or with separators between: masks
// of cards written digit by digit have those. A digit behind separators counts as
// an X, because it may become one: so an X beside a number reads the same before
// the number is masked and after.

// maskAt reports whether a mask begins, or goes on, at i.
func maskAt(text []byte, i int) bool {
	if i+1 >= len(text) || text[i] != 'X' {
		return false
	}
	for n := 0; n <= maxGapChars && i+1 < len(text); n++ {
		if text[i+1] == 'X' || n > 0 && isDigit(text[i+1]) {
			return true
		}
		g, size := separator(text, i+1)
		if g == none {
			break
		}
		i += size
	}
	return false
}

// maskEnds reports whether a mask ends, or pauses, at i.
func maskEnds(text []byte, i int) bool {
	if i < 2 || text[i-1] != 'X' {
		return false
	}
	i--
	for n := 0; n <= maxGapChars && i > 0; n++ {
		if text[i-1] == 'X' || n > 0 && isDigit(text[i-1]) {
			return true
		}
		g, size := separatorBefore(text, i)
		if g == none {
			break
		}
		i -= size
	}
	return false
}
