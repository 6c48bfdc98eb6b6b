package detect

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// piecesFamily finds cards whose groups stand farther apart than the groups of a chain
// may: "4111 uh 1111 um 1111 and 1111", as people read them out, and "4111 -- 1111 --
// 1111 -- 1111", with other or longer separators.
func piecesFamily() family {
	return family{name: "pieces", on: onFour, find: (*Detector).findPieces}
}

const (
	// maxPieces is how many groups the number has at most.
	maxPieces = 5
	// minPieced is how many digits it has at least where no word says that it is a card.
	minPieced = 14
	// piecesReach is how far behind its begin the number ends at the latest. With a
	// chain that its begin may be in, it is less than LookAhead.
	piecesReach = 600
	// maxSigns is how many bytes of separators may stand between two groups.
	maxSigns = 8
)

// pieces are the groups of a number that may be a card by its digits and by how long
// the groups are.
type pieces struct {
	groups [maxPieces]span
	n      int
	// behind is where the gap in front of each group begins: behind the group before, or
	// behind that as it was read back.
	behind [maxPieces]int
	// label is where the first of the numbered names begins that stand in front of the
	// groups, -1 when there are none; see numbered.
	label  int
	digits [maxCard]byte
	size   int // of digits
}

func (p *pieces) start() int { return p.groups[0].start }
func (p *pieces) end() int   { return p.groups[p.n-1].end }

// gap returns what stands in front of group k.
func (p *pieces) gap(text []byte, k int) []byte { return text[p.behind[k]:p.groups[k].start] }

// isPiece reports whether a card in pieces may begin with so many digits: a group as it is
// printed, or half of the number.
func isPiece(n int) bool { return n == 4 || n == 8 }

// findPieces tries each group of four or eight digits as the begin of a card.
func (d *Detector) findPieces(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	var near closeGroups
	var p pieces
	row := h.near.groupRow()
	if row == nil {
		row = new(groupRow)
	}
	for i := nextDigit(text[:to], from); i < to; {
		end := runEnd(text, i)
		if !near.from(text, i, end) && isPiece(end-i) {
			b, ok := d.pieceBegin(text, i, end, row)
			for way := 0; ok && way < pieceWays; way++ {
				if !p.take(d, text, b, way, row) {
					continue
				}
				if f, ok := d.pieced(&p, text, h); ok {
					dst = append(dst, f)
					break
				}
			}
		}
		i = digitAfter(text[:to], end)
	}
	return dst
}

// closeGroups knows how many groups stand as close as in a chain, which is not for
// pieces: each of a long row of groups is looked at once.
type closeGroups struct{ n, end int }

// from reports whether none of the groups that a number may have that begins with
// text[i:end] stands apart from the one before. It is asked for one group after the other.
func (c *closeGroups) from(text []byte, i, end int) bool {
	if c.n--; c.n <= 0 || c.end < end {
		c.n, c.end = 1, end
	}
	for c.n < maxPieces {
		next, g := gapAfter(text, c.end)
		if g == none {
			return false
		}
		c.n, c.end = c.n+1, runEnd(text, next)
	}
	return true
}

// The ways in which groups make a number: each read back by somebody, as they stand, with
// numbered names.
const (
	readBack = iota
	asTheyStand
	numberedNames
	pieceWays
)

// take takes the groups from text[i:end] on that make a card in one of the ways, and
// reports whether there are such.
func (p *pieces) take(d *Detector, text []byte, b pieceBegin, way int, row *groupRow) bool {
	switch way {
	case readBack:
		return b.repeated && !row.none16(d, text, b.lengths, true) && p.read(d, text, b, true, row)
	case numberedNames:
		return p.numbered(d, text, b.start, b.end)
	}
	return b.goes && !row.none16(d, text, b.lengths, false) && p.read(d, text, b, false, row)
}

// pieceBegin is a group with which a card in pieces may begin.
type pieceBegin struct {
	span
	lengths uint32 // of the cards that begin so
	// goes says that the next group may belong to the same number, repeated that it is
	// this one, read back.
	goes, repeated bool
}

// pieceBegin looks at the group text[i:end] and what stands between it and the next.
func (d *Detector) pieceBegin(text []byte, i, end int, row *groupRow) (b pieceBegin, ok bool) {
	if !isPiece(end-i) || i > 0 && isDigit(text[i-1]) {
		return b, false
	}
	b.span = span{i, end}
	if b.lengths = d.issuers.lengths[int(text[i]-'0')*100+int(text[i+1]-'0')*10+int(text[i+2]-'0')]; b.lengths == 0 {
		return b, false
	}
	row.begin(text, i, end)
	g := row.at(text, 1)
	if g == nil {
		return b, true
	}
	next := g.start
	same := g.same
	b.goes = true
	strange := text[end] >= utf8.RuneSelf // hardly any word outside ASCII is known, so that one is asked about first
	if !strange && (!same || g.words) {
		b.repeated = same
		if d.parted(text, end, next) {
			b.goes, b.repeated = false, false
		}
		return b, true
	}
	if _, gap := gapAfter(text, end); gap == none {
		said := d.talk.reader.MayBetween(text, end, next) && d.talk.reader.Between(text, end, next) != 0
		b.goes, b.repeated = said || signsBetween(text[end:next]) != apartNever, same && said
	}
	return b, true
}

// readBack reports whether the group next is the one again that ends at end, as somebody
// says it who was listening: with a word or the name of a speaker between. Whether words are such is
// left to gaps.
func (d *Detector) readBack(text []byte, end int, next *digitRun, gaps *wordGaps) bool {
	if !next.same {
		return false
	}
	if next.words {
		gaps.add(end, next.start)
		return true
	}
	return d.talk.reader.Between(text, end, next.start) != 0
}

// read takes the groups from b on that make a card, whatever stands between them: the usual
// length of an issuer first, then the longest. With back, groups that are read back are left
// out.
func (p *pieces) read(d *Detector, text []byte, b pieceBegin, back bool, row *groupRow) bool {
	i, end := b.start, b.end
	row.begin(text, i, end)
	k := 0 // which group of the row text[i:end] is
	limit := min(len(text), i+piecesReach)
	best, size := 0, 0 // groups and digits of the best number so far
	p.label = -1
	bounds, apart, behind := uint32(0), false, i
	var words wordGaps
	for p.n, p.size = 0, 0; end-i <= maxCard-p.size; {
		p.groups[p.n], p.behind[p.n] = span{i, end}, behind
		p.n++
		p.size += copy(p.digits[p.size:], text[i:end])
		if b.lengths>>p.size&1 != 0 && apart && shapeOf(p.size, bounds, false) >= evenGroups {
			if r := p.reading(d); r.ok {
				if !words.said(d, text) {
					break
				}
				if best, size = p.n, p.size; r.usual {
					break
				}
			}
		}
		bounds |= 1 << p.size
		if p.n == maxPieces || printedGaps>>p.size&1 == 0 {
			break
		}
		k++
		next := row.at(text, k)
		if next == nil || next.start >= limit {
			break
		}
		if !apart {
			if _, g := gapAfter(text[:next.start+1], end); g == none {
				// What stands between is the same for all longer numbers.
				if signsBetween(text[end:next.start]) == apartNever {
					if text[end] < utf8.RuneSelf {
						words.add(end, next.start)
					} else if p.n > 1 && d.talk.reader.Between(text, end, next.start) == 0 { // hardly any of those is known
						return false
					}
				}
				apart = true
			}
		}
		behind = end
		if back && (p.n == 1 || d.readBack(text, end, next, &words)) {
			behind = next.end
			k++
			if next = row.at(text, k); next == nil || next.start >= limit {
				break
			}
			apart = true
		}
		i, end = next.start, next.end
	}
	p.n, p.size = best, size
	return p.n > 0
}

// wordGaps are gaps with words in them about which nobody was asked yet: what is said there
// is the dearest question, and most digits are no card.
type wordGaps struct {
	gaps [maxPieces]span
	n    int
}

func (g *wordGaps) add(from, to int) { g.gaps[g.n], g.n = span{from, to}, g.n+1 }

// said reports whether all of them say what stands within a number, and forgets them.
func (g *wordGaps) said(d *Detector, text []byte) bool {
	for ; g.n > 0; g.n-- {
		if gap := g.gaps[g.n-1]; d.talk.reader.Between(text, gap.start, gap.end) == 0 {
			return false
		}
	}
	return true
}

// mayBePieces reports whether a card in pieces may begin with one of the groups of
// text[i:end]. What it finds out about groups behind is kept in row, unless that is nil.
func (d *Detector) mayBePieces(text []byte, i, end int, row *groupRow) bool {
	if row == nil {
		row = new(groupRow)
	}
	var p pieces
	for i < end {
		to := runEnd(text, i)
		b, ok := d.pieceBegin(text, i, to, row)
		for way := 0; ok && way < pieceWays; way++ {
			if p.take(d, text, b, way, row) {
				return true
			}
		}
		i = digitAfter(text[:end], to)
	}
	return false
}

// reading says what the brand table says about the digits.
func (p *pieces) reading(d *Detector) reading {
	prefix := uint32(0)
	for _, b := range p.digits[:8] {
		prefix = prefix*10 + uint32(b-'0')
	}
	return d.issuers.read(prefix, p.size, luhn(p.digits[:p.size]))
}

// apart is what stands between the groups, from what is found by itself to what is not
// found at all.
type apart uint8

const (
	apartWords apart = iota // people say that
	apartSigns              // the same separators everywhere, as they are used within numbers
	apartWeak               // other separators: only beside a word for a card
	apartNever
)

// pieced reports whether the groups are a card, by what stands between and around them.
// What the words and the key around them say is judged as for a card with blanks between
// its groups.
func (d *Detector) pieced(p *pieces, text []byte, h Hint) (f redact.Finding, ok bool) {
	how := p.between(d, text)
	if how == apartNever {
		return f, false
	}
	joined := p.joined(d, text)
	l, _ := d.talk.pool.Get().(*listener)
	if l == nil {
		l = new(listener)
	}
	l.d, l.text, l.hint = d, text, h
	front := p.start()
	if how == apartWords {
		front = max(l.heading(d.speaker(text, front)), lo(front, LookBehind))
	}
	if p.label >= 0 {
		front = p.label
	}
	l.buf = append(l.buf[:0], text[lo(p.start(), LookBehind):front]...)
	if p.label >= 0 {
		l.buf = appendStem(l.buf, text[front:p.start()])
	}
	start := len(l.buf)
	for k, g := range p.groups[:p.n] {
		if k > 0 {
			l.buf = append(l.buf, ' ')
		}
		l.buf = append(l.buf, text[g.start:g.end]...)
	}
	end := len(l.buf)
	l.buf = append(l.buf, text[p.end():min(len(text), p.end()+spokenAhead)]...)
	l.search(l.buf)
	l.sub.hint.near = nil // which knows another text
	l.found = l.found[:0]
	l.sub.chain(&l.found, start)
	for _, g := range l.found {
		if g.Start != start || g.End != end || g.Class != redact.CreditCard {
			continue
		}
		named := g.Rule == namedRules[brandGroups] || g.Rule == namedRules[evenGroups]
		if !named {
			if w := l.sub.before(start, false); how == apartWeak || joined || p.size < minPieced || w.near != 0 || w.direct != 0 {
				continue
			}
		}
		g.Start, g.End = p.start(), p.end()
		if g.Rule = "card in pieces"; named {
			g.Rule = "card in pieces, card word"
		}
		if how == apartWords {
			g.Evidence |= redact.EvidenceSpoken
		}
		f, ok = g, true
	}
	l.sub.forget()
	clear(l.buf)
	*l = listener{buf: l.buf[:0], found: l.found[:0], outline: l.outline}
	d.talk.pool.Put(l)
	return f, ok
}

// between says what stands between the groups.
func (p *pieces) between(d *Detector, text []byte) apart {
	if p.label >= 0 {
		return apartSigns
	}
	langs := uint8(0xFF)
	how, words, first := apartWords, false, []byte(nil)
	for k := 1; k < p.n; k++ {
		gap := p.gap(text, k)
		if _, g := gapAfter(text, p.behind[k]); g != none && g&^(gapSpace|gapDash|gapDot|gapLine) == 0 {
			if first == nil {
				first = gap
			} else if !bytes.Equal(first, gap) {
				how = max(how, apartWeak)
			}
			continue
		}
		if signs := signsBetween(gap); signs != apartNever {
			switch {
			case first == nil:
				first = gap
			case !bytes.Equal(first, gap):
				signs = apartWeak
			}
			how = max(how, signs)
			continue
		}
		words = true
		if langs &= d.talk.reader.Between(text, p.behind[k], p.groups[k].start); langs == 0 {
			return apartNever
		}
	}
	switch {
	case words:
		return apartWords // and whatever stands where there is none
	case how == apartWeak && p.array(text):
		return apartSigns
	}
	return how
}

// Signs that may stand between two groups.
const (
	signUsual = 1 + iota
	signWeak
)

// pieceSigns are all signs of ASCII: people separate groups with whatever is on the
// keyboard.
var pieceSigns = func() (t [128]uint8) {
	for b := range t {
		if b > ' ' && b < 0x7F && !isWordByte(byte(b)) && !opens[byte(b)] {
			t[b] = signWeak
		}
	}
	for _, b := range "x\\\r\n" {
		t[b] = signWeak
	}
	for _, b := range " \t-.~=#_" {
		t[b] = signUsual
	}
	return t
}()

// signsBetween says what a gap is that has no words in it.
func signsBetween(gap []byte) apart {
	if len(gap) == 0 || len(gap) > maxSigns {
		return apartNever
	}
	how := apartSigns
	for i := 0; i < len(gap); {
		if gap[i] >= utf8.RuneSelf {
			kind, size := separator(gap, i)
			if kind&(gapSpace|gapDash) == 0 {
				var r rune
				if r, size = utf8.DecodeRune(gap[i:]); r == utf8.RuneError || wordRune(r) || unicode.IsNumber(r) {
					return apartNever
				}
				how = apartWeak
			}
			i += size
			continue
		}
		switch pieceSigns[gap[i]] {
		case 0:
			if gap[i] == '<' && i > 0 && gap[0] == '>' {
				how = apartWeak // <4111><1111>
				break
			}
			return apartNever
		case signWeak:
			how = apartWeak
		}
		i++
	}
	return how
}

// array reports whether the groups are all strings of an array, which nothing names:
// ["4111","1111","1111","1111"].
func (p *pieces) array(text []byte) bool {
	i, end := p.start(), p.end()
	if i < 2 || end+2 > len(text) {
		return false
	}
	quote := text[i-1]
	if quote != '"' && quote != '\'' || text[i-2] != '[' || text[end] != quote || text[end+1] != ']' {
		return false
	}
	for i -= 2; i > 0 && text[i-1] == ' '; i-- {
	}
	if i > 0 && (text[i-1] == ':' || text[i-1] == '=') {
		return false
	}
	for k := 1; k < p.n; k++ {
		gap := p.gap(text, k)
		if len(gap) < 3 || gap[0] != quote || gap[1] != ',' || gap[len(gap)-1] != quote {
			return false
		}
	}
	return true
}

// joined reports whether more digits, or a mask of ours, stand beside the groups with
// the same between as within: then they are some of a longer row of numbers.
func (p *pieces) joined(d *Detector, text []byte) bool {
	if p.label >= 0 {
		return false // see numbered
	}
	gap := p.gap(text, 1)
	if before := text[:p.start()]; bytes.HasSuffix(before, gap) && len(before) > len(gap) {
		if b := before[len(before)-len(gap)-1]; isDigit(b) || b == 'X' {
			return true
		}
	}
	if behind := text[p.end():]; bytes.HasPrefix(behind, gap) && len(behind) > len(gap) {
		if b := behind[len(gap)]; isDigit(b) || b == 'X' {
			return true
		}
	}
	return d.fillersJoin(text, p.start(), false) || d.fillersJoin(text, p.end(), true)
}

// longestSpeaker is how far in front of a number the name of who says it is looked for.
const longestSpeaker = 32

// speaker returns where the name of a speaker begins that stands right in front of i,
// with a colon behind it, or i. What names a card is no name.
func (d *Detector) speaker(text []byte, i int) int {
	colon := i
	for colon > 0 && (text[colon-1] == ' ' || text[colon-1] == '\t') {
		colon--
	}
	if colon == 0 || text[colon-1] != ':' {
		return i
	}
	at, low := colon-1, lo(colon, longestSpeaker)
	for at > low && text[at-1] != '\n' {
		at--
	}
	if at == low && low > 0 && text[at-1] != '\n' || d.talk.reader.Between(text, at, i) == 0 {
		return i
	}
	for end := colon - 1; ; {
		start, to, ok := wordBefore(text, end, at)
		if !ok {
			return at
		}
		if d.vocab.sense(text[start:to])&senseCard != 0 {
			return i // "cvv 123 card: 4111"
		}
		end = start
	}
}

// joinWords is how many fillers are looked over for a number beside the groups.
const joinWords = 3

// fillersJoin reports whether a number of four digits, or a mask of ours, stands beside
// i with nothing but one to three fillers between. The date of a card may stand behind
// it.
func (d *Detector) fillersJoin(text []byte, i int, behind bool) bool {
	for n, at := 0, i; n <= joinWords; n++ {
		var start, end int
		var ok bool
		if behind {
			start, end, ok = wordAfter(text, at, min(len(text), i+wordWindow))
		} else {
			start, end, ok = wordBefore(text, at, lo(i, wordWindow))
		}
		if !ok {
			return false
		}
		switch {
		case isDigit(text[start]):
			if !behind {
				return n > 0
			}
			return n > 0 && end-start == 4 && two(text[start:]) > 12
		case text[start] == 'X' && (maskAt(text, start) || maskEnds(text, end)):
			return n > 0
		case d.talk.reader.Between(text, start, end) == 0:
			return false
		}
		if at = start; behind {
			at = end
		}
	}
	return false
}
