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
			// What stands behind the usual length belongs to the number. Three digits
			// may be the verification code all the same, and transform keeps none then.
			if n.shape == brandGroups && !r.usual {
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
	k, f, ok := c.take()
	if ok && f.Class == redact.CreditCard {
		c.extend(&k, &f)
	}
	return f, ok
}

// take decides which card or track begins at the head, if any.
func (c *chain) take() (candidate, redact.Finding, bool) {
	all := c.n
	k, f, ok := c.decide()
	c.n = all
	return k, f, ok
}

// decide is take, and leaves c.n at the groups that remained.
func (c *chain) decide() (candidate, redact.Finding, bool) {
	for {
		k, ok := c.reading()
		if !ok {
			return k, redact.Finding{}, false
		}
		if f, ok := c.track(&k); ok {
			return k, f, true
		}
		if n := c.better(&k); n > 0 {
			c.n = n
			continue
		}
		f, ok := c.judge(&k, c.joinedBefore(0))
		return k, f, ok
	}
}

// reading is best, less the groups that a tax number takes. It leaves c.n at
// those that remain.
func (c *chain) reading() (candidate, bool) {
	for {
		k, ok := c.best()
		if !ok {
			return k, false
		}
		n := c.cuts(&k)
		if n == 0 {
			return k, true
		}
		c.n = n
	}
}

// better returns with which group of k a candidate begins that reads better and
// is a card too, or 0: "4026 4111 1111 1111 1111" is a year, or the like, and a
// card. Then the card that begins at the head can only be what stands before, as
// it is once the other one is masked. Two readings as printed are equally good,
// and the first one wins. A candidate that loses in the same way against one
// behind k does not count, because it is not going to be masked.
func (c *chain) better(k *candidate) int {
	at, sub, best := 0, *c, *k
	for {
		j, next, n, ok := sub.inside(&best)
		if !ok {
			break
		}
		at, sub, best = at+j, next, n
	}
	if at == 0 || best.start >= k.end {
		return 0
	}
	return at
}

// inside returns the first candidate that begins inside k and reads better, with
// which group it begins, and the chain from there on.
func (c *chain) inside(k *candidate) (int, chain, candidate, bool) {
	if k.shape < brandGroups || k.brand.context {
		for j := 1; j < k.groups; j++ {
			sub := c.since(j)
			n, ok := sub.reading()
			if !ok || n.score <= k.score {
				continue
			}
			if _, ok := sub.judge(&n, true); ok {
				return j, sub, n, true
			}
		}
	}
	return 0, chain{}, candidate{}, false
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

// maxExtended is how often a finding is made longer. Three cards and the first
// stay within LookAhead.
const maxExtended = 3

// extend makes f longer for as long as the last four digits of k, which the
// mask leaves, would read as the begin of another card with what follows.
// Otherwise the masked text would hold a finding again.
func (c *chain) extend(k *candidate, f *redact.Finding) {
	from, last := *c, *k
	for range maxExtended {
		next, n, ok := from.follow(&last)
		if !ok {
			return
		}
		f.End = n.end
		from, last = next, n
	}
}

// follow returns the card that begins within the last four digits of k and ends
// behind it, and the chain from there on.
func (c *chain) follow(k *candidate) (chain, candidate, bool) {
	if c.n > k.groups {
		sub := c.since(k.groups)
		if _, _, ok := sub.take(); ok {
			return sub, candidate{}, false // the follower is masked by itself
		}
	}
	kept := 0
	for j := k.groups - 1; j > 0; j-- {
		if kept += c.at(j).len(); kept > 4 {
			break
		}
		sub := c.since(j)
		if n, _, ok := sub.take(); ok && n.end > k.end {
			return sub, n, true
		}
	}
	return chain{}, candidate{}, false
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
	// 4661.64381841490914 is a decimal fraction.
	if k.gaps == gapDot && k.groups == 2 && c.at(1).len() >= 9 && !near {
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

	f := redact.Finding{Class: redact.CreditCard, Start: k.start, End: k.end, Evidence: redact.EvidenceIssuer}
	if k.luhn {
		f.Evidence |= redact.EvidenceChecksum
	}
	if k.shape == brandGroups {
		f.Evidence |= redact.EvidenceGrouping
	}
	switch {
	case near && key == keyCard && !joined:
		f.Evidence |= redact.EvidenceKey
	case near:
		f.Evidence |= redact.EvidenceWord
	}
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
	w := c.words
	if !c.known {
		w = c.before(i, joined)
		// Not in front of the digit of "w2": for the groups behind, the word counts.
		if !digitWord(c.text[lo(i, maxWord):i], c.text[i]) && (i < 2 || c.text[i-1] != '-' || c.text[i-2]|0x20 != 'w') {
			c.words, c.known = w, true
		}
	}
	if joined {
		w.direct = 0
	}
	if beyond(i, w.nearAt) {
		w.near = 0
	}
	if beyond(i, w.cardAt) {
		w.cardAt = -1
	}
	if beyond(i, w.ssnAt) {
		w.ssnAt = -1
	}
	return w
}

// beyond reports whether wordBefore, asked for the words in front of i, would not
// return the one that begins at word.
func beyond(i, word int) bool { return i-word >= wordWindow && word > 0 || i-word > wordWindow }
