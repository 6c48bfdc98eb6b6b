package detect

import (
	"slices"

	"github.com/caregate/caregate/redact"
)

// group is one run of digits in a chain.
type group struct {
	start, end int
	gap        gap // between the group before and this one
	gapLen     int
}

func (g group) len() int { return g.end - g.start }

// ahead is how many groups can belong to one value, and one more.
const ahead = maxCard + 1

// row is a chain of groups that may be as long as the text. It is read once, from
// left to right and as far as somebody asks; what cannot belong to a value any more
// is dropped.
type row struct {
	groups []group
	next   int // where the group behind them begins
	gap    gap // in front of that, none at the end of the chain
	gapLen int

	taken taken
}

// taken is what chain.take said last.
type taken struct {
	at int // where the head begins, -1 for none
	k  candidate
	f  redact.Finding
	ok bool
}

// maxDropped is how many groups a row keeps that nobody asks about any more, so that
// not all of it has to be moved for each.
const maxDropped = 64

// begin makes r the row whose first group begins at i. In a stream it may have begun
// in what was settled before.
func (r *row) begin(text []byte, i int) {
	r.groups, r.next, r.gap, r.gapLen = r.groups[:0], i, gapSpace, 0
	r.taken.at = -1
	if end, g := gapBefore(text, i, lo(i, LookBehind)); g != none {
		r.gap, r.gapLen = g, i-end
	}
}

// more reads one more group, and reports whether there is one.
func (r *row) more(text []byte) bool {
	if r.gap == none {
		return false
	}
	g := group{start: r.next, end: longRunEnd(text, r.next), gap: r.gap, gapLen: r.gapLen}
	r.groups = append(r.groups, g)
	r.next, r.gap = gapAfter(text, g.end)
	r.gapLen = r.next - g.end
	return true
}

// chain is a row from one of its groups on, the head, as far as a value that begins
// there, and one that begins inside it, may go.
type chain struct {
	*scanner
	head   int
	n      int // groups from the head on
	digits int // in these

	words words // what stands before the chain; see wordsBefore
	known bool

	told told // what longest said last
}

// told is an answer of chain.longest.
type told struct {
	at, limit int    // where the head begins, plus one, and what was asked
	groups    int    // of the longest number
	lengths   uint32 // a bit for each number of digits that a card may have here
	luhn      uint32 // those with a right check digit
}

func (c *chain) at(k int) *group { return &c.mem.row.groups[c.head+k] }

// fill reads groups until a value that begins at the head, and one that begins
// inside it, are there.
func (c *chain) fill() {
	for c.n < ahead && c.digits <= maxCard {
		if c.head+c.n == len(c.mem.row.groups) && !c.mem.row.more(c.text) {
			return
		}
		c.digits += c.at(c.n).len()
		c.n++
	}
}

// ends reports whether the row ends with the groups of the chain.
func (c *chain) ends() bool { return c.head+c.n == len(c.mem.row.groups) && c.mem.row.gap == none }

// drop takes the head group out.
func (c *chain) drop() {
	c.digits -= c.at(0).len()
	c.n--
	if c.head++; c.head == maxDropped {
		c.mem.row.groups = c.mem.row.groups[:copy(c.mem.row.groups, c.mem.row.groups[c.head:])]
		c.head = 0
	}
}

// since returns the chain as it is from its group j on.
func (c *chain) since(j int) chain {
	sub := *c
	sub.head += j
	sub.n -= j
	for k := range j {
		sub.digits -= c.at(k).len()
	}
	sub.fill()
	return sub
}

// expiry is scanner.expiry for the head. Most groups have no size that a month or a
// year has, nor has the group behind them.
func (c *chain) expiry(dst *[]redact.Finding) int {
	head := c.at(0)
	if n := head.len(); n != 4 && n != 6 {
		if c.n == 1 && !c.ends() {
			// the group behind was not read
		} else if c.n == 1 || n > 2 || n == 1 && c.at(1).gap&gapPath == 0 || c.at(1).len() != 2 && c.at(1).len() != 4 {
			return head.start
		}
	}
	return c.scanner.expiry(dst, head.start)
}

// lead is the chain whose head begins at i.
func (s *scanner) lead(i int) chain {
	if s.mem == nil {
		s.remember()
	}
	s.mem.row.begin(s.text, i)
	c := chain{scanner: s}
	c.fill()
	return c
}

// chain reads the chain of digit groups that begins at i. It returns where to
// go on, and false when the rest of the chain has to wait for more text.
func (s *scanner) chain(dst *[]redact.Finding, i int) (next int, settled bool) {
	c := s.lead(i)
	var f redact.Finding
	done := i // where the last value ended; a track goes on behind the chain
	for ; c.n > 0; c.fill() {
		head := c.at(0)
		if !s.final && head.start+LookAhead > len(s.text) {
			return head.start, false
		}
		end := head.end
		if head.len() <= maxCard {
			if c.ssn(&f) {
				s.add(dst, f)
				end = f.End
			} else if c.card(&f) {
				s.add(dst, f)
				end = f.End
				s.card = f.End
				if !s.final {
					s.mem.cards = append(s.mem.cards, span{f.Start, f.End})
				}
			} else if n := head.len(); n > maxCode {
				// neither a date nor a code
			} else if to := c.expiry(dst); to > head.start {
				end = to
			} else if n >= minCode {
				s.code(dst, *head)
			}
		}
		done = max(done, end)
		for c.n > 0 && c.at(0).start < end {
			done = max(done, c.at(0).end)
			c.drop()
			c.fill()
		}
	}
	return done, true
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
	if b := text[i-1]; b < 0x80 {
		return asciiGap[b], 1
	}
	return wideSeparatorBefore(text, i)
}

// wideSeparatorBefore is separatorBefore for characters outside ASCII.
func wideSeparatorBefore(text []byte, i int) (gap, int) {
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

// manyFound is from how many findings on there is room for as many as the rest of a text
// has if it is like what was read: append adds a quarter.
const manyFound = 256

// add appends f.
func (s *scanner) add(dst *[]redact.Finding, f redact.Finding) {
	if n := len(*dst); n == cap(*dst) && n >= manyFound {
		rest := len(s.text) - f.Start
		*dst = slices.Grow(*dst, max(n/4, min(7*n, n*rest/(f.Start+1), rest/minCode)))
	}
	*dst = append(*dst, f)
}
