package detect

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/view"
)

// How text around marks is read. A region is where findings of one view begin; it
// goes on for as long as the next mark is near, and its end depends on nothing
// but its begin and the text.
const (
	markReach = tokenReach // how far in front of its first mark a number begins
	markGap   = 256        // marks closer than this share a region
	maxRegion = 4096
	maxDepth  = 2 // views of views: base64 in base64, and what that says in other signs
)

// maxInView is how far behind the end of its region a view is searched: what begins
// there may overlap a finding of the region and win, or be the code behind a card.
const maxInView = 512

// pass is the memory of one search through a view.
type pass struct {
	reader  view.Reader
	scanner scanner
	found   []redact.Finding
	plain   []byte // what base64 says
	// quoted says that the same text is also searched with quoted-printable undone.
	quoted bool
}

// passes keeps the memory of passes between calls.
type passes struct{ pool sync.Pool }

func (p *passes) get() *pass {
	if v, ok := p.pool.Get().(*pass); ok {
		return v
	}
	return new(pass)
}

func (p *passes) put(v *pass) {
	if v.scanner.d != nil {
		v.scanner = scanner{} // it refers to text of the caller
	}
	p.pool.Put(v)
}

// region is one stretch of text that was read another way.
type region struct {
	before   int // where the region before ended
	before64 int // where the base64 before ended
	held     int // where its first finding may begin
	end      int
	found    bool
}

// marked reads the text around the mark at p another way, unless that is done.
func (s *scanner) marked(dst *[]redact.Finding, p int, m marks) {
	if s.quoted {
		m &^= markQuoted
	}
	if m == 0 || p < s.viewEnd || s.depth > maxDepth || s.stopped {
		return
	}
	begin := max(s.viewEnd, p-markReach, 0)
	limit := begin + maxRegion
	end, m := s.marksFrom(p, limit, m)
	if s.quoted {
		m &^= markQuoted
	}
	ahead := markGap
	if end >= limit-markGap { // the number may go on in escapes
		ahead = LookAhead
	}
	s.read(dst, begin, end, end+ahead, m)
}

// marksFrom returns the end of the row of marks that begins with p, none of them as far as
// markGap from the one before, up to limit at most, and what they ask for; p asks for m.
func (s *scanner) marksFrom(p, limit int, m marks) (end int, _ marks) {
	end = p + 1
	may, seen := marks(0), lo(p, escapeReach)
	for end < limit {
		to := min(end+markGap, limit, len(s.text))
		for _, b := range s.text[min(seen, len(s.text)):min(to+markLook, len(s.text))] {
			may |= markBytes[b]
		}
		seen = to + markLook
		next := s.nextMark
		if may&^m == 0 {
			next = s.lastMark // those between ask for nothing else
		}
		q, k := next(end, to)
		if k == 0 {
			break
		}
		end, m = q+1, m|k
	}
	return end, m
}

// read searches the text around a region in the ways m names, and takes note of the
// region. It reads from LookBehind bytes before begin to ahead; when that is beyond
// the text of a stream, the region has to wait.
func (s *scanner) read(dst *[]redact.Finding, begin, end, ahead int, m marks) {
	text, held := s.text, begin
	if !s.final {
		if ahead > len(text) {
			s.regions = append(s.regions, region{s.viewEnd, s.end64, held, len(text) + 1, true})
			s.stopped = true
			return
		}
	}
	n, from, to := len(*dst), lo(begin, LookBehind), min(ahead, len(text))
	if m != mark64 || s.worth64(begin, to) { // most base64 says nothing worth the view
		s.views(dst, from, begin, end, to, m)
	}
	for _, f := range (*dst)[n:] {
		end = max(end, f.End) // what stands behind its last card
	}
	if !s.final {
		s.regions = append(s.regions, region{s.viewEnd, s.end64, held, end, len(*dst) > n})
	}
	if s.viewEnd = max(s.viewEnd, end); m&(mark64|markHex) != 0 {
		s.end64 = end
	}
}

// views searches text[begin:end) in the ways m names, in views of text[from:to).
func (s *scanner) views(dst *[]redact.Finding, from, begin, end, to int, m marks) {
	text, p := s.text, s.d.passes.get()
	if m&markNormal != 0 {
		v := p.reader.Normal(text, from, to, false)
		p.quoted = (s.quoted || m&markQuoted != 0) && sameQuoted(v)
		*dst = s.through(*dst, p, v, begin, end)
		p.quoted = false
	}
	if m&markQuoted != 0 {
		*dst = s.through(*dst, p, p.reader.Normal(text, from, to, true), begin, end)
	}
	if m&mark64 != 0 {
		if begin > 0 && isBase64(text[begin-1]) {
			from = begin // in the middle of a long one, what stands before is no text
		}
		if v := p.reader.Base64(text, from, begin, to); worth(v.Text()[v.At(begin):]) {
			*dst = s.through(*dst, p, v, begin, end)
		}
	}
	if m&markHex != 0 {
		if s.hexCard(text[begin:end]) {
			from = begin // nobody writes the number of a ticket so, whatever the words in front say
		}
		if v := p.reader.Hex(text, from, begin, to); worth(v.Text()[v.At(begin):]) {
			*dst = s.through(*dst, p, v, begin, end)
		}
	}
	s.d.passes.put(p)
}

// hexCard reports whether hexadecimal text says the number of a card and nothing else, one that
// needs no word beside it.
func (s *scanner) hexCard(text []byte) bool {
	var number [maxCard]byte
	n := len(text) / 2
	if len(text)%2 != 0 || n <= 13 || n > maxCard {
		return false
	}
	prefix := uint32(0)
	for i := range n {
		if text[2*i] != '3' || !isDigit(text[2*i+1]) {
			return false
		}
		if number[i] = text[2*i+1]; i < 8 {
			prefix = prefix*10 + uint32(number[i]-'0')
		}
	}
	r := s.d.issuers.read(prefix, n, luhn(number[:n]))
	return r.ok && !r.context
}

// sameQuoted reports whether all that reads as quoted-printable in a view stands for itself, so
// that a view of the same text in which it is undone says as much.
func sameQuoted(v *view.View) bool {
	text := v.Text()
	for i := 0; i+2 < len(text); i++ {
		n := bytes.IndexByte(text[i:len(text)-2], '=')
		if n < 0 {
			break
		}
		i += n
		size := 0
		switch a, b := text[i+1], text[i+2]; {
		case isHex(a) && isHex(b):
			size = 3
		case a <= ' ':
			size = 2 // perhaps a soft line break
		}
		if size > 0 {
			if from, to := v.Raw(i, i+size); to-from != size {
				return false
			}
		}
	}
	return true
}

// worth64 reports whether what the base64 text[begin:to) says is worth the view.
func (s *scanner) worth64(begin, to int) bool {
	b := s.text[begin:to]
	if len(b) <= shortBase64 {
		var room [shortBase64]byte
		plain, ok := view.Plain64(room[:0], b)
		return !ok || worth(plain)
	}
	p := s.d.passes.get()
	defer s.d.passes.put(p)
	plain, ok := view.Plain64(p.plain[:0], b)
	if ok {
		p.plain = plain
	}
	return !ok || worth(plain)
}

// shortBase64 is up to how many letters base64 is undone without memory from the pool, as
// most is.
const shortBase64 = 128

// worth reports whether the text of base64 may hold what is enforced: nine digits,
// however they are written, or base64 again.
func worth(text []byte) bool {
	digits, run := 0, 0
	for _, b := range text {
		run++
		switch {
		case isDigit(b):
			digits++
		case b == '&' || b == '\\' || b >= utf8.RuneSelf:
			return true
		case !isBase64(b):
			run = 0
		}
		if digits >= shortest || run >= view.MinBase64 {
			return true
		}
	}
	return false
}

// through searches a view and appends what begins in the raw text[begin:end), with
// raw offsets. What the raw text says by itself is left out, but for what is found
// because of a card in front of it that the raw text does not say, and what stands
// close behind a value that the raw text does not say: words in front of that are
// nearer in the view, as they are once its mask stands there.
func (s *scanner) through(dst []redact.Finding, p *pass, v *view.View, begin, end int) []redact.Finding {
	if !v.Changed() {
		return dst
	}
	sub := &p.scanner
	start := v.At(begin)
	stop := min(v.Len(), v.At(end)+maxInView)
	*sub = scanner{} // not all at once, which would be copied
	sub.d, sub.text, sub.hint, sub.final, sub.card, sub.depth = s.d, v.Text(), s.hint, true, -1, s.depth+1
	sub.from, sub.stop, sub.viewEnd, sub.end64 = start, stop, start, start
	sub.hint.phase, sub.quoted = 0, p.quoted
	sub.remember()
	p.found = p.found[:0]
	sub.run(&p.found, start)
	p.found = sub.always(p.found, start, stop)
	sub.forget()
	card, shorter := -1, -1
	for _, f := range resolve(p.found) {
		from, to := v.Raw(f.Start, f.End)
		beside := f.Evidence&redact.EvidenceBeside != 0 && card >= 0 && from-card <= wideReach
		plain := v.Plain(s.text, f.Start, f.End)
		// The mark is in the digits in front, of which another reading was worse.
		beside = beside || from < end+maxCard+maxGapChars && (!plain || escapeEnds(v, s.text, f.Start, from))
		beside = beside || shorter >= 0 && f.Start-shorter <= wordWindow
		if from < begin || (from >= end || plain) && !beside {
			continue
		}
		if !plain {
			shorter = f.End
		}
		if f.Class == redact.CreditCard {
			card = to
		}
		f.Start, f.End = from, to+frameAfter(s.text[to:])
		f.Evidence |= written(s.text[from:to])
		dst = append(dst, f)
	}
	return dst
}

// escapeEnds reports whether an escape ends right in front of what the view says at at,
// which stands at from in the raw text, and its last sign reads as a part of that there:
// "=205555" is a blank and 5555, or 205555, and in "%3D5555" a letter is glued to it.
func escapeEnds(v *view.View, raw []byte, at, from int) bool {
	if at == 0 || from == 0 || !isHex(raw[from-1]) {
		return false
	}
	start, end := v.Raw(at-1, at)
	return end == from && end-start > 1
}

// frameAfter is the length of the keycap around the digit that ends before b: a
// variation selector, perhaps, and the frame. It belongs to the digit, and nobody
// can tell it from the digit in a region's view, where it is nothing.
func frameAfter(b []byte) int {
	n := 0
	if bytes.HasPrefix(b, []byte("\uFE0F")) {
		n = len("\uFE0F")
	}
	if bytes.HasPrefix(b[n:], []byte("\u20E3")) {
		return n + len("\u20E3")
	}
	return 0
}

// written says how a value is written that a view was needed for.
func written(raw []byte) redact.Evidence {
	for _, b := range raw {
		if b >= utf8.RuneSelf {
			return redact.EvidenceScript
		}
	}
	return redact.EvidenceEncoded
}

// nextMark returns the first mark in text[i:to), and what it asks for, or 0.
func (s *scanner) nextMark(i, to int) (int, marks) {
	text := s.text
	to = min(to, len(text))
	for i < to {
		for i < to && !isDigit(text[i]) && text[i] < 0x80 {
			i++
		}
		if i >= to {
			break
		}
		if isDigit(text[i]) {
			end := runEnd(text, i)
			if i > 0 && isDigit(text[i-1]) {
				i = end // began before
				continue
			}
			if m := markAt(text, i, end); m != 0 {
				return i, m
			}
			i = end
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if digitsAt(text, i, r) {
			return i, markNormal
		}
		i += size
	}
	return to, 0
}

// lastMark returns the last mark in text[i:to), and what it asks for, or 0.
func (s *scanner) lastMark(i, to int) (int, marks) {
	text := s.text
	for at := to - 1; at >= i; at-- {
		switch b := text[at]; {
		case isDigit(b):
			if at > 0 && isDigit(text[at-1]) {
				continue // began before
			}
			if m := markAt(text, at, runEnd(text, at)); m != 0 {
				return at, m
			}
		case b >= utf8.RuneSelf && utf8.RuneStart(b):
			if r, _ := utf8.DecodeRune(text[at:]); digitsAt(text, at, r) {
				return at, markNormal
			}
		}
	}
	return to, 0
}

// wide looks for digits of other scripts in text[i:to).
func (s *scanner) wide(dst *[]redact.Finding, i, to int) {
	for i < to {
		if s.text[i] < 0x80 {
			i++
			continue
		}
		r, size := utf8.DecodeRune(s.text[i:])
		if digitsAt(s.text, i, r) {
			s.marked(dst, i, markNormal)
			return
		}
		i += size
	}
}

// digitsAt reports whether the character r at i is a digit of another script, or the first of
// a row of numerals.
func digitsAt(text []byte, i int, r rune) bool {
	return view.SignOf(r) >= 0 || view.Numerals(text[i:]) > 0
}

// token64 looks at the token that holds i: base64 that says something is read. A
// token is tried from its begin, and each part of it between other signs than
// letters and digits once, from the first trigger in it on. It is also read in a
// region whose view was searched: there it may be glued to what an escape stands for.
func (s *scanner) token64(dst *[]redact.Finding, i int) {
	if i < s.looked || i < max(s.end64, s.settled) || s.depth >= maxDepth || s.stopped {
		return
	}
	text := s.text
	low := max(s.end64, 0)
	part := wordStart(text, i, max(low, i-tokenReach))
	from := s.run64(part, max(low, i-tokenReach))
	s.looked = wordSpan(text, i+1, min(len(text), i+tokenReach))
	if s.looked-from < view.MinNumber64-2 && (s.looked == len(text) || !isBase64(text[s.looked])) && s.looked-i < tokenReach {
		return // too short, whatever it says; padding is two signs at most
	}
	for _, begin := range [...]int{from, part} {
		if i-begin == tokenReach && begin != s.end64 {
			continue // not its begin
		}
		if begin == s.tried64-1 {
			continue // whatever it says depends on its begin alone
		}
		if begin == from {
			s.tried64 = begin + 1
		}
		if !s.says64(begin) {
			continue
		}
		end, ahead := view.Base64Ends(text, begin, begin+maxRegion, (LookAhead+2)/3*4)
		if end-begin <= maxRegion-len("A\r\n") {
			ahead = end // otherwise it may go on, behind a line end perhaps
		}
		if !s.final && ahead+1 > len(text) {
			ahead = len(text) + 1 // more of it may come
		}
		s.read(dst, begin, end, ahead, mark64)
		return
	}
}

// says64 reports whether base64 that says something may begin at i.
func (s *scanner) says64(i int) bool {
	text := s.text
	if !mixed(text, i) || text[i] == 'X' && i+1 < len(text) && (text[i+1] == 'X' || isDigit(text[i+1])) {
		return false // perhaps a mask of ours, and glued to it what was read with the digits before
	}
	if n := view.Base64End(text, i, i+view.MinBase64); n-i < view.MinBase64 {
		return n-i >= view.MinNumber64 && s.number64(i, n)
	}
	return view.Readable(text[i:min(len(text), i+maxReadable)])
}

// run64 returns where the run of letters of base64 begins that holds i, no farther back
// than low. Triggers come from left to right, so it goes back to the last one at most.
func (s *scanner) run64(i, low int) int {
	from := i
	for from > low && isBase64(s.text[from-1]) {
		if from == s.run64At {
			from = max(s.run64From, low)
			break
		}
		from--
	}
	s.run64From, s.run64At = from, i
	return from
}

// number64 reports whether the base64 text[i:end], which is short, says the number of
// a card, or one that may be a tax number and is grouped or named like one.
func (s *scanner) number64(i, end int) bool {
	var buf [view.MinBase64]byte
	number, grouped := view.Number64(buf[:0], s.text[i:end])
	switch n := len(number); {
	case n == shortest:
		return grouped || s.keySense() == keySSN || s.hint.near.any(&s.d.vocab, s.text, i, i, namesSSN) && cueInKey(s.text[lo(i, directReach):i]) && s.wordNames(i, senseSSN)
	case n < minCard:
		return false
	default:
		prefix := uint32(0)
		for _, b := range number[:8] {
			prefix = prefix*10 + uint32(b-'0')
		}
		return s.d.issuers.read(prefix, n, luhn(number)).ok
	}
}

// inHex reports whether a run of digits may be part of the hexadecimal writing of
// more digits: longer than any value, or with four pairs that begin with a 3 at its
// begin or its end.
func inHex(run []byte) bool {
	threes := func(i int) bool { return run[i] == '3' && run[i+2] == '3' && run[i+4] == '3' && run[i+6] == '3' }
	n := len(run)
	return n > maxCard || n >= 8 && (threes(0) || threes(n-8)) || n >= 9 && (threes(1) || threes(n-9))
}

// hex reads the hexadecimal text that holds i, if there is one.
func (s *scanner) hex(dst *[]redact.Finding, i int) {
	text := s.text
	if i < max(s.end64, s.settled) || i < s.hexed || s.depth >= maxDepth || s.stopped {
		return
	}
	begin, end := i, i
	for begin > max(s.end64, 0) && i-begin < tokenReach && isHex(text[begin-1]) {
		begin--
	}
	for end < len(text) && end-begin < maxRegion && isHex(text[end]) {
		end++
	}
	s.hexed = end
	if begin > 0 && begin != s.end64 && isWordByte(text[begin-1]) && !hexPrefix(text[:begin]) ||
		end < len(text) && end-begin < maxRegion && isWordByte(text[end]) || !view.HexText(text[begin:end]) {
		return
	}
	ahead := end
	for ahead < len(text) && ahead-end < 2*LookAhead && isHex(text[ahead]) {
		ahead++
	}
	if (ahead-end)%2 != 0 {
		ahead--
	}
	if !s.final && ahead+2 > len(text) {
		ahead = len(text) + 1 // more of it may come
	}
	s.read(dst, begin, end, ahead, markHex)
}

// hexPrefix reports whether text ends in 0x or \x.
func hexPrefix(text []byte) bool {
	n := len(text)
	return text[n-1]|0x20 == 'x' && (n == 1 || text[n-2] == '0' || !isWordByte(text[n-2]))
}

// mixed reports whether capital letters stand in the first letters of base64, as
// they do when it says something; hexadecimal numbers and words have none.
func mixed(text []byte, i int) bool {
	n, end := 0, min(len(text), i+view.MinBase64)
	for ; i+8 <= end; i += 8 {
		n += bits.OnesCount64(capitals(binary.LittleEndian.Uint64(text[i:])))
	}
	for ; i < end; i++ {
		if upper(text[i]) {
			n++
		}
	}
	return n >= 2
}

// capitals has the high bit set in each byte of w that is a capital letter of ASCII.
func capitals(w uint64) uint64 {
	x := w & (0x7F * ones)
	return (x + (0x80-'A')*ones) &^ (x + (0x80-'Z'-1)*ones) &^ w & highs
}

// maxReadable is how much of a token view.Readable looks at, line ends included.
const maxReadable = 40

// isBase64 reports whether b stands in base64, of either alphabet.
func isBase64(b byte) bool {
	return charsets[b]&(setBase64|setDash|setUnderscore) != 0
}
