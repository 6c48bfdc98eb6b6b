package detect

import "github.com/caregate/caregate/redact"

// How the digits of a candidate are grouped, worst first.
const (
	oddGroups    = 1 + iota // any other way
	evenGroups              // equal groups, or the brand's own with some joined
	brandGroups             // as printed on the card
	withoutGroup            // one run of digits
)

// candidate is a run of groups that the brand table and the check digit allow
// to be a card number.
type candidate struct {
	groups     int // from the head of the chain on
	start, end int
	digits     int
	luhn       bool
	brand      reading
	shape      int
	gaps       gap // all gaps inside
	uniform    bool
	score      int
}

// printed lists, for each number of digits, where cards have gaps: bit n is a
// gap after n digits.
var printed = [maxCard + 1][]uint32{
	12: {1<<4 | 1<<8},
	13: {1<<4 | 1<<7 | 1<<10, 1<<4 | 1<<8, 1<<4 | 1<<8 | 1<<12},
	14: {1<<4 | 1<<10, 1<<4 | 1<<8 | 1<<12},
	15: {1<<4 | 1<<10, 1<<4 | 1<<8 | 1<<12},
	16: {1<<4 | 1<<8 | 1<<12},
	17: {1<<4 | 1<<8 | 1<<12 | 1<<16},
	18: {1<<4 | 1<<8 | 1<<12 | 1<<16},
	19: {1<<4 | 1<<8 | 1<<12 | 1<<16, 1 << 6},
}

// doubled is a digit's part in the Luhn sum where it is doubled.
var doubled = [10]uint8{0, 2, 4, 6, 8, 1, 3, 5, 7, 9}

// best returns the best reading as a card that begins at the head.
func (c *chain) best() (best candidate, ok bool) {
	var (
		total     int
		even, odd int // Luhn sums with the digits at even, at odd places doubled
		prefix    uint32
		bounds    uint32
		gaps      gap
		same      = true // all gaps alike
		size      = 0    // of the first group
		equal     = true // all groups but the last are of that size
	)
	start := c.at(0).start
	for j := 0; j < c.n; j++ {
		g := c.at(j)
		if total+g.len() > maxCard {
			return best, ok
		}
		if j > 0 {
			bounds |= 1 << total
			gaps |= g.gap
			if f := c.at(1); g.gap != f.gap || g.gapLen != f.gapLen {
				same = false
			}
			if p := c.at(j - 1); p.len() != size {
				equal = false
			}
		} else {
			size = g.len()
		}
		for _, b := range c.text[g.start:g.end] {
			v := b - '0'
			if total&1 == 0 {
				even += int(doubled[v])
				odd += int(v)
			} else {
				even += int(v)
				odd += int(doubled[v])
			}
			if total < 8 {
				prefix = prefix*10 + uint32(v)
				if total == 2 && len(c.d.issuers.first3[prefix]) == 0 {
					return best, ok
				}
			}
			total++
		}
		if total < minCard {
			continue
		}
		sum := even // a number of even length doubles its first digit
		if total&1 == 1 {
			sum = odd
		}
		luhn := sum%10 == 0
		r := c.d.issuers.read(prefix, total, luhn)
		if !r.ok {
			continue
		}
		n := candidate{groups: j + 1, start: start, end: g.end, digits: total, luhn: luhn, brand: r, gaps: gaps, uniform: same}
		n.shape = shapeOf(total, bounds, equal && g.len() <= size)
		n.score = n.shape * 8
		if n.shape == withoutGroup || n.shape == brandGroups {
			n.score = brandGroups * 8
			if r.usual || r.long {
				n.score += 4
			}
		}
		if !joinedAfter(c.text, g.end) {
			n.score += 2
			// Three digits behind the usual length, after a blank, are rather the
			// verification code; other rests belong to the number.
			if n.shape == brandGroups && !r.usual && (g.len() != 3 || g.gap != gapSpace) {
				n.score += 4
			}
		}
		if r.usual {
			n.score++
		}
		if !r.context {
			n.score += 100
		}
		if !ok || n.score > best.score || n.score == best.score && r.long {
			best, ok = n, true
		}
	}
	return best, ok
}

// shapeOf names the grouping: bounds are its gaps, equal says that all groups
// have one size and the last is no longer.
func shapeOf(digits int, bounds uint32, equal bool) int {
	if bounds == 0 {
		return withoutGroup
	}
	shape := oddGroups
	if equal {
		shape = evenGroups
	}
	for _, p := range printed[digits] {
		switch {
		case bounds == p:
			return brandGroups
		case bounds&^p == 0:
			shape = evenGroups
		}
	}
	return shape
}

// hopeless reports whether no card can begin at the head, without reading it:
// inside a long chain, groups that no card is printed with need a card word, and
// none is near. It keeps long chains of single digits cheap.
func (c *chain) hopeless() bool {
	head := c.at(0)
	if head.gapLen == 0 || c.gap == none || printedFirst>>head.len()&1 != 0 {
		return false
	}
	w := c.wordsBefore(head.start, true)
	return !w.says(senseCard)
}

// printedFirst has a bit for each length the first group of a card may have when
// it is printed, or bare, or printed with some groups joined.
const printedFirst = 1<<4 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<12 | 1<<13 | 1<<14 | 1<<15 | 1<<16 | 1<<17 | 1<<18 | 1<<19

// card tries the head of the chain as the begin of a card number.
func (c *chain) card() (redact.Finding, bool) {
	if c.hopeless() {
		return redact.Finding{}, false
	}
	k, ok := c.best()
	if ok {
		if n := c.cuts(&k); n > 0 {
			all := c.n
			c.n = n
			k, ok = c.best()
			c.n = all
		}
	}
	if !ok {
		return redact.Finding{}, false
	}
	if f, ok := c.track(&k); ok {
		return f, true
	}
	f, ok := c.judge(&k, c.joinedBefore(0))
	if !ok {
		return f, false
	}
	if c.better(&k) {
		return redact.Finding{}, false
	}
	c.extend(&k, &f)
	return f, true
}

// better reports whether a candidate that begins inside k reads better and is a
// card too: "4026 4111 1111 1111 1111" is a year, or the like, and a card. Two
// readings as printed are equally good, and the first one wins.
func (c *chain) better(k *candidate) bool {
	if k.shape >= brandGroups && !k.brand.context {
		return false
	}
	for j := 1; j < k.groups; j++ {
		sub := c.since(j)
		if n, ok := sub.best(); ok && n.score > k.score {
			if _, ok := sub.judge(&n, true); ok {
				return true
			}
		}
	}
	return false
}

// cuts returns with which group of k a tax number begins that ends behind k, or 0:
// then k is a coincidence, and the card can only be what stands before.
func (c *chain) cuts(k *candidate) int {
	if k.shape == withoutGroup || k.groups == c.n {
		return 0
	}
	for j := max(1, k.groups-2); j < k.groups; j++ {
		sub := c.since(j)
		if f, ok := sub.ssn(); ok && f.End > k.end {
			return j
		}
	}
	return 0
}

// since returns the chain as it is from its group j on.
func (c *chain) since(j int) chain {
	g := c.at(j)
	sub := chain{scanner: c.scanner, next: g.start, gap: g.gap, gapLen: g.gapLen, words: c.words, known: c.known}
	sub.fill()
	return sub
}

// extend makes f longer for as long as the last four digits of k, which the
// mask leaves, would read as the begin of another card with what follows.
// Otherwise the masked text would hold a finding again.
func (c *chain) extend(k *candidate, f *redact.Finding) {
	if c.n > k.groups {
		sub := c.since(k.groups)
		if next, ok := sub.best(); ok {
			if _, ok := sub.judge(&next, true); ok {
				return // the follower is masked by itself
			}
		}
	}
	kept := 0
	for j := k.groups - 1; j > 0 && kept < 4; j-- {
		kept += c.at(j).len()
		if kept > 4 {
			return
		}
		sub := c.since(j)
		n, ok := sub.best()
		if !ok || n.end <= k.end {
			continue
		}
		if _, ok := sub.judge(&n, true); ok {
			f.End = n.end
			return
		}
	}
}

// judge decides about a candidate by its grouping and by what stands around it.
func (c *chain) judge(k *candidate, joined bool) (redact.Finding, bool) {
	no := redact.Finding{}
	text := c.text
	joinedRight := joinedAfter(text, k.end)
	w := c.wordsBefore(k.start, joined)
	near := w.says(senseCard)
	key := c.keySense()
	id := c.idPlace()
	if !joined && key == keyCard && !id && w.other() == 0 {
		near = true
	}
	if !near && !joinedRight && w.other() == 0 {
		switch c.after(k.end) {
		case senseCard:
			near, w.direct = true, senseCard
		case senseSoft:
			w.direct = senseSoft
		case senseHard:
			w.direct = senseHard
		}
	}
	bare := k.shape == withoutGroup
	if k.brand.context && !near || k.gaps&gapWeak != 0 && !near {
		return no, false
	}
	if k.gaps&gapPath != 0 && !near && (!k.uniform || k.shape != brandGroups) {
		return no, false
	}
	sym, ok := c.edges(k, near)
	if !ok {
		return no, false
	}
	if other := w.other(); sym > other && !near {
		w.direct = sym
	}

	f := redact.Finding{Class: redact.CreditCard, Start: k.start, End: k.end}
	strong := near || k.shape == brandGroups || k.shape == evenGroups
	if id {
		f.Never = true
		switch {
		case strong:
			f.Strong, f.Confidence, f.Rule = true, 0.6, "card in an id"
		case bare && k.digits >= 14 && !k.brand.context:
			f.Confidence, f.Rule = 0.2, "card shape in an id"
		default:
			return no, false
		}
		return f, c.plain(k)
	}
	named := w.other() != 0 && !near
	switch k.shape {
	case withoutGroup:
		if named || k.digits == 12 && !near || k.digits == 13 && !near && !c.loose(k) {
			return no, false
		}
		f.Confidence, f.Rule = 0.9, "card digits"
		if k.digits == 13 {
			f.Confidence = 0.5
		}
	case brandGroups:
		if named && w.other()&senseHard != 0 || k.gaps&gapLine != 0 && !near && (joined || joinedRight) {
			return no, false
		}
		f.Confidence, f.Rule = 0.97, "card as printed"
		if named {
			f.Confidence = 0.7
		}
	case evenGroups:
		if named || (joined || joinedRight) && !near {
			return no, false
		}
		f.Confidence, f.Rule = 0.85, "card in groups"
	default:
		if !near && (named || w.near != 0 || joined || joinedRight || !k.uniform || k.gaps&(gapDot|gapLine|gapPath|gapMark) != 0) {
			return no, false
		}
		f.Confidence, f.Rule = 0.6, "card in odd groups"
		strong = near
	}
	if near {
		f.Confidence = min(0.99, f.Confidence+0.2)
		f.Rule = namedRules[k.shape]
		if !k.luhn {
			f.Confidence = 0.6
		}
	}
	f.Strong = strong
	return f, c.plain(k)
}

// namedRules are the rules by grouping where a card word stands beside.
var namedRules = [...]string{
	oddGroups: "card in odd groups, card word", evenGroups: "card in groups, card word",
	brandGroups: "card as printed, card word", withoutGroup: "card digits, card word",
}

// loose reports whether thirteen bare digits may stand alone: in prose, not as
// the whole of some field.
func (c *chain) loose(k *candidate) bool {
	if c.hint.Key == "" || c.keySense()&keyText != 0 {
		return true
	}
	return prose(c.text)
}

// wordsBefore is before for the group that begins at i. Inside a chain the
// words are the same for every group, only farther away, so they are read once.
func (c *chain) wordsBefore(i int, joined bool) words {
	if !c.known {
		c.words = c.before(i, joined)
		c.known = true
	}
	w := c.words
	if joined {
		w.direct = 0
	}
	if i-w.nearAt > wordWindow {
		w.near = 0
	}
	if i-w.cardAt > wordWindow {
		w.cardAt = -1
	}
	if i-w.ssnAt > wordWindow {
		w.ssnAt = -1
	}
	return w
}
