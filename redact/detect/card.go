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

// printedGaps has a bit for each gap of printed: a number with another one is no card as
// printed, nor one with some groups joined.
var printedGaps = func() (gaps uint32) {
	for _, rows := range printed {
		for _, p := range rows {
			gaps |= p
		}
	}
	return gaps
}()

// doubled is a digit's part in the Luhn sum where it is doubled.
var doubled = [10]uint8{0, 2, 4, 6, 8, 1, 3, 5, 7, 9}

// longest returns how many groups, of limit at most, the longest number has that begins
// at the head, is as long as its issuer allows and has the check digit that it wants, or
// 0. Most chains end here.
func (c *chain) longest(limit int) (groups int) {
	if at := c.at(0).start + 1; c.told.at != at || c.told.limit != limit {
		c.told = told{at: at, limit: limit}
		c.readLongest(&c.told)
	}
	return c.told.groups
}

// readLongest is longest without memory.
func (c *chain) readLongest(t *told) {
	first3, read, row := uint32(0), 0, c.mem.row.groups[c.head:][:t.limit]
	for j := 0; read < 3; j++ {
		if j == len(row) {
			return
		}
		g := &row[j]
		for _, b := range c.text[g.start:min(g.end, g.start+3-read)] {
			first3 = first3*10 + uint32(b-'0')
			read++
		}
	}
	lengths := c.d.issuers.lengths[first3]
	if lengths == 0 {
		return
	}
	groups, total := 0, 0
	for j := range row {
		if total += row[j].len(); total > maxCard {
			break
		}
		if lengths>>total&1 != 0 {
			groups = j + 1
		}
	}
	row, total = row[:groups], 0
	once, twice := 0, 0 // Luhn sums with the last digit as it is, and doubled
	for j := range row {
		g := &row[j]
		for _, b := range c.text[g.start:g.end] {
			v := b - '0'
			once, twice = twice+int(v), once+int(doubled[v]) // every other digit is doubled, counted from the last
		}
		if total += g.len(); lengths>>total&1 == 0 {
			continue
		}
		if once%10 == 0 {
			t.luhn |= 1 << total
		} else if c.d.issuers.loose[first3]>>total&1 == 0 {
			continue
		}
		t.groups, t.lengths = j+1, t.lengths|1<<total
	}
}

// best sets k to the best reading as a card that begins at the head and has at most
// limit groups, and reports whether there is one.
func (c *chain) best(limit int, k *candidate) (ok bool) {
	longest := c.longest(limit)
	if longest == 0 {
		return false
	}
	var (
		prefix uint32
		bounds uint32
		gaps   gap
		same   = true          // all gaps alike
		equal  = true          // all groups but the last are of one size
		size   = c.at(0).len() // of the first group
	)
	total := 0
	row := c.mem.row.groups[c.head:][:longest]
	start := row[0].start
	for j := range row {
		g := &row[j]
		if j > 0 {
			bounds |= 1 << total
			gaps |= g.gap
			if f := &row[1]; g.gap != f.gap || g.gapLen != f.gapLen {
				same = false
			}
			if row[j-1].len() != size {
				equal = false
			}
		}
		for k := g.start; k < g.end && total+k-g.start < 8; k++ {
			prefix = prefix*10 + uint32(c.text[k]-'0')
		}
		if total += g.len(); c.told.lengths>>total&1 == 0 {
			continue
		}
		luhn := c.told.luhn>>total&1 != 0
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
		// A date behind nineteen digits is no part of any number.
		if !joinedAfter(c.text, g.end) || n.shape == brandGroups && total > 16 && c.datedBehind(g.end) {
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
		if !ok || n.score > k.score || n.score == k.score && r.long {
			*k, ok = n, true
		}
	}
	return ok
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
	if head.gapLen == 0 || c.ends() || printedFirst>>head.len()&1 != 0 {
		return false
	}
	if c.known {
		return c.words.near&senseCard == 0 || beyond(head.start, c.words.nearAt)
	}
	w := c.wordsBefore(head.start, true)
	return !w.says(senseCard)
}

// printedFirst has a bit for each length the first group of a card may have when
// it is printed, or bare, or printed with some groups joined.
const printedFirst = 1<<4 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<12 | 1<<13 | 1<<14 | 1<<15 | 1<<16 | 1<<17 | 1<<18 | 1<<19

// card tries the head of the chain as the begin of a card number, and sets f to what
// is found.
func (c *chain) card(f *redact.Finding) bool {
	if c.hopeless() {
		return false
	}
	if c.longest(c.n) == 0 {
		return false
	}
	var k candidate
	if t := &c.mem.row.taken; t.at == c.at(0).start {
		if !t.ok {
			return false
		}
		k, *f = t.k, t.f
	} else if !c.take(&k, f) {
		return false
	}
	if f.Class == redact.CreditCard {
		c.extend(&k, f)
	}
	return true
}

// take decides which card or track begins at the head, if any, and sets k and f to
// it.
func (c *chain) take(k *candidate, f *redact.Finding) bool {
	for limit := c.n; ; {
		if !c.reading(&limit, k) {
			return false
		}
		if c.track(k, f) {
			return true
		}
		if n := c.better(k); n > 0 {
			limit = n
			continue
		}
		return c.judge(k, f, c.joinedBefore(0))
	}
}

// reading is best, less the groups that a tax number takes. It sets limit to those
// that remain.
func (c *chain) reading(limit *int, k *candidate) bool {
	for c.best(*limit, k) {
		n := c.cuts(k, *limit)
		if n == 0 {
			return true
		}
		*limit = n
	}
	return false
}

// better returns with which group of k a candidate begins that reads better and
// is a card too, or 0: "4026 4111 1111 1111 1111" is a year, or the like, and a
// card. Then the card that begins at the head can only be what stands before, as
// it is once the other one is masked. Two readings as printed are equally good,
// and the first one wins. A candidate that loses in the same way against one
// behind k does not count, because it is not going to be masked.
func (c *chain) better(k *candidate) int {
	if k.settled() {
		return 0
	}
	at, sub, best := 0, *c, *k
	for !best.settled() {
		j := sub.inside(&best)
		if j == 0 {
			break
		}
		at += j
		sub = sub.since(j)
	}
	if at == 0 || best.start >= k.end {
		return 0
	}
	return at
}

// settled reports whether no candidate that begins inside k can read better.
func (k *candidate) settled() bool { return k.shape >= brandGroups && !k.brand.context }

// inside sets k to the first candidate that begins inside it and reads better, and
// returns with which group that begins, or 0.
func (c *chain) inside(k *candidate) int {
	var n candidate
	var f redact.Finding
	for j := 1; j < k.groups; j++ {
		sub := c.since(j)
		limit := sub.n
		if sub.reading(&limit, &n) && n.score > k.score && sub.judge(&n, &f, true) {
			*k = n
			return j
		}
	}
	return 0
}

// cuts returns with which group of k a tax number begins that ends behind k, or 0:
// then k is a coincidence, and the card can only be what stands before.
func (c *chain) cuts(k *candidate, limit int) int {
	if k.shape == withoutGroup || k.groups == limit {
		return 0
	}
	var f redact.Finding
	for j := max(1, k.groups-2); j < k.groups; j++ {
		if n := c.at(j).len(); n != 3 && n != 9 {
			continue // see ssn
		}
		sub := c.since(j)
		if sub.ssn(&f) && f.End > k.end {
			return j
		}
	}
	return 0
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
		j := from.follow(&last)
		if j == 0 {
			return
		}
		f.End = last.end
		from = from.since(j)
	}
}

// follow sets k to the card that begins within the last four digits of k and ends
// behind it, and returns with which group that begins, or 0.
func (c *chain) follow(k *candidate) int {
	if c.n > k.groups {
		// It is asked about again when the follower is the head.
		sub, t := c.since(k.groups), &c.mem.row.taken
		if at := sub.at(0).start; t.at != at {
			was := c.scanner.card
			c.scanner.card = k.end // as it is once the follower is the head
			t.ok = sub.take(&t.k, &t.f)
			c.scanner.card = was
			t.at = at
		}
		if t.ok {
			return 0 // the follower is masked by itself
		}
	}
	var n candidate
	var f redact.Finding
	kept := 0
	for j := k.groups - 1; j > 0; j-- {
		if kept += c.at(j).len(); kept > 4 {
			break
		}
		sub := c.since(j)
		if sub.take(&n, &f) && n.end > k.end {
			*k = n
			return j
		}
	}
	return 0
}

// judge decides about a candidate by its grouping and by what stands around it, and
// sets f to the finding.
func (c *chain) judge(k *candidate, f *redact.Finding, joined bool) bool {
	text := c.text
	joinedRight := joinedAfter(text, k.end)
	w := c.wordsBefore(k.start, joined)
	if w.other() != 0 && k.digits >= maxDialled && isDial(text[:k.start]) {
		w.direct = 0 // made a link by somebody's mail program; no telephone number is as long
	}
	near := w.says(senseCard)
	key := c.keySense()
	id := c.idPlace()
	if !joined && key == keyCard && !id && w.other() == 0 {
		near = true
	}
	switch {
	case near || joinedRight:
	case w.other() != 0:
		if c.stated(k.end)&senseCard != 0 {
			near, w.direct = true, senseCard
		}
	default:
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
	if k.brand.context && !near || k.gaps&gapWeak != 0 && !near && !c.barred(k, joined || joinedRight) && !(w.other() == 0 && c.commas(k, joined || joinedRight)) {
		return false
	}
	// 4661.64381841490914 is a decimal fraction.
	if k.gaps == gapDot && k.groups == 2 && c.at(1).len() >= 9 && !near {
		return false
	}
	if k.gaps&gapPath != 0 && !near && (!k.uniform || k.shape != brandGroups) {
		return false
	}
	sym, ok := c.edges(k, near)
	if !ok {
		return false
	}
	if other := w.other(); sym > other && !near {
		if other == 0 && c.fileOfCard(k.end) {
			near = true
		} else {
			w.direct = sym
		}
	}

	if k.shape != brandGroups && w.direct == 0 && !near && !joined && !id && c.caption(k.start) && !c.datedBehind(k.end) {
		w.direct = senseSoft
	}
	if bare && w.direct == 0 && !near && !id && !c.datedBehind(k.end) && (c.enumerated(k) || c.calledBehind(k.end)) {
		w.direct = senseSoft
	}

	*f = redact.Finding{Class: redact.CreditCard, Start: k.start, End: k.end, Evidence: redact.EvidenceIssuer}
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
		case (strong || bare) && k.bankCard() && (!joined || c.apart()) && !c.hint.ID && c.bankKey():
			f.Never, f.Strong, f.Confidence, f.Rule = false, strong, 0.5, "card digits, named a bank account"
			if strong {
				f.Confidence = 0.6
			}
		case strong:
			f.Strong, f.Confidence, f.Rule = true, 0.6, "card in an id"
		case bare && k.digits >= 14 && !k.brand.context:
			f.Confidence, f.Rule = 0.2, "card shape in an id"
		default:
			return false
		}
		return c.plain(k)
	}
	named := w.other() != 0 && !near
	switch k.shape {
	case withoutGroup:
		if named && w.other() == senseSoft && k.bankCard() && (!joined || c.apart()) && c.bankBefore(k.start) {
			f.Confidence, f.Rule = 0.5, "card digits, named a bank account"
			break
		}
		if named || k.digits == 12 && !near || k.digits == 13 && !near && !c.loose(k) {
			return false
		}
		f.Confidence, f.Rule = 0.9, "card digits"
		if k.digits == 13 {
			f.Confidence = 0.5
		}
	case brandGroups:
		if named && w.other()&senseHard != 0 || k.gaps&gapLine != 0 && !near && (joined || joinedRight) {
			return false
		}
		f.Confidence, f.Rule = 0.97, "card as printed"
		if named {
			f.Confidence = 0.7
		}
	case evenGroups:
		if named || (joined || joinedRight) && !near {
			return false
		}
		f.Confidence, f.Rule = 0.85, "card in groups"
	default:
		if !near && (named || w.near != 0 || joined || joinedRight || !k.uniform || k.gaps&(gapDot|gapLine|gapPath|gapMark) != 0) {
			return false
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
	return c.plain(k)
}

// barred reports whether k is written as it is printed, with one bar or star between the
// groups, and no other digits beside it: not a row of a table, nor a product.
func (c *chain) barred(k *candidate, beside bool) bool {
	sign := c.text[c.at(0).end]
	return k.gaps == gapWeak && k.uniform && k.shape == brandGroups && !beside && (sign == '|' || sign == '*') && c.at(1).gapLen == 1
}

// commas reports whether k is written as it is printed, with one comma between the groups, as a word
// of a sentence and no more: "try 4111,1111,1111,1111 now", and not a list of years or amounts.
func (c *chain) commas(k *candidate, beside bool) bool {
	if k.gaps != gapWeak || !k.uniform || k.shape != brandGroups || beside || c.at(1).gapLen != 1 || c.text[c.at(0).end] != ',' {
		return false
	}
	front := k.start == 0 || c.text[k.start-1] == ' '
	behind := k.end == len(c.text) || c.text[k.end] <= ' ' || (c.text[k.end] == '.' || c.text[k.end] == ',') && (k.end+1 == len(c.text) || c.text[k.end+1] <= ' ')
	return front && behind
}

// maxDialled is how many digits a telephone number has at most, with its country (E.164).
// One of fifteen that begins like a card of that length is none: those countries have
// shorter ones.
const maxDialled = 15

// isDial reports whether text ends in the scheme of a link to a telephone number.
func isDial(text []byte) bool {
	const scheme = "tel:"
	n := len(text) - len(scheme)
	return n >= 0 && string(text[n:]) == scheme && (n == 0 || !isWordByte(text[n-1]))
}

// bankCard reports whether k is the number of a card though it is called the account of a bank.
// Those who write that mean a card at times, and the number of a card can be nothing else by its
// issuer, length and check digit but one account number in thirty.
func (k *candidate) bankCard() bool { return k.digits >= 14 && k.luhn && k.brand.usual }

// bankKey reports whether the key beside the text names the account of a bank, and not an id or
// a key of it, nor what is said of it: bank_account_no, but not id_bank_account.
func (s *scanner) bankKey() bool {
	var buf [2 * maxKey]byte
	key := wordsOfKey(buf[:0], s.hint.Key)
	bank := false
	for at := len(key); ; {
		start, end, ok := wordBefore(key, at, 0)
		if !ok {
			return bank
		}
		kind := keyTable[string(key[start:end])]
		switch set := idSense(s.d.vocab.phrase(key, start, end, 0)); {
		case noBankWords[string(key[start:end])]:
			return false
		case bank:
			// of the words in front only those are asked for
		case kind&keyID != 0:
			return false
		case set&nameAccount != 0:
			bank = true
		case set&nameAnyAccount == 0 && set&(nameAny|nameElse) != 0:
			return false // another name is nearer
		}
		at = start
	}
}

// noBankWords make a name that of what points to an account, wherever they stand in it.
var noBankWords = wordsOf("id ids key keys")

// apart reports whether what joins the head to digits in front is a whole number of its own: a
// card that was found, one that is masked, or a run as long as a card.
func (c *chain) apart() bool {
	head := c.at(0)
	if head.gapLen == 0 {
		return false
	}
	end := head.start - head.gapLen
	if end == c.scanner.card {
		return true
	}
	start := end
	for start > 0 && end-start < minCard && isDigit(c.text[start-1]) {
		start--
	}
	return end-start >= minCard || end-start <= 4 && maskTail(c.text, start)
}

// bankBefore reports whether the words right in front of i, or of a list of numbers that ends there,
// name the account of a bank.
func (s *scanner) bankBefore(i int) bool {
	first := lo(i, enumeratedReach)
	for range maxEnumerated {
		end := listGap(s.text, i, first)
		start := end
		for start > first && isDigit(s.text[start-1]) {
			start--
		}
		if end == i || end-start < minCard {
			break
		}
		i = start
	}
	from := lo(i, directReach)
	for at := i; ; {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok || clauseEnds(s.text[end:at]) {
			return false
		}
		switch sn := s.d.vocab.phrase(s.text, start, end, from); {
		case sn&nameAccount != 0:
			return true
		case sn&(senseLink|nameFill) == 0:
			return false
		}
		at = start
	}
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
	return w
}

// beyond reports whether wordBefore, asked for the words in front of i, would not
// return the one that begins at word.
func beyond(i, word int) bool { return i-word >= wordWindow && word > 0 || i-word > wordWindow }
