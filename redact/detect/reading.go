package detect

import (
	"bytes"
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

// pass is the memory of one search through a view.
type pass struct {
	reader  view.Reader
	scanner scanner
	found   []redact.Finding
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
	v.scanner = scanner{} // it refers to text of the caller
	p.pool.Put(v)
}

// region is one stretch of text that was read another way.
type region struct {
	before int // where the region before ended
	held   int // where its first finding may begin
	end    int
	found  bool
}

// marked reads the text around the mark at p another way, unless that is done.
func (s *scanner) marked(dst *[]redact.Finding, p int, m marks) {
	if p < s.viewEnd || s.depth > maxDepth || s.stopped {
		return
	}
	begin := max(s.viewEnd, p-markReach, 0)
	end, limit := p+1, begin+maxRegion
	for end < limit {
		q, k := s.nextMark(end, min(end+markGap, limit))
		if k == 0 {
			break
		}
		end, m = q+1, m|k
	}
	ahead := markGap
	if end >= limit-markGap { // the number may go on in escapes
		ahead = LookAhead
	}
	s.read(dst, begin, end, end+ahead, m)
}

// read searches the text around a region in the ways m names, and takes note of the
// region. It reads from LookBehind bytes before begin to ahead; when that is beyond
// the text of a stream, the region has to wait.
func (s *scanner) read(dst *[]redact.Finding, begin, end, ahead int, m marks) {
	text, held := s.text, begin
	if !s.final {
		held = tokenStart(text, s.d.next(text, begin))
		if ahead > len(text) {
			s.regions = append(s.regions, region{before: s.viewEnd, held: held, end: len(text) + 1, found: true})
			s.stopped = true
			return
		}
	}
	n, from, to := len(*dst), lo(begin, LookBehind), min(ahead, len(text))
	p := s.d.passes.get()
	if m&markNormal != 0 {
		*dst = s.through(*dst, p, p.reader.Normal(text, from, to, false), begin, end)
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
	s.d.passes.put(p)
	if !s.final {
		s.regions = append(s.regions, region{before: s.viewEnd, held: held, end: end, found: len(*dst) > n})
	}
	s.viewEnd = end
}

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
// raw offsets. What the raw text says by itself is left out.
func (s *scanner) through(dst []redact.Finding, p *pass, v *view.View, begin, end int) []redact.Finding {
	if !v.Changed() {
		return dst
	}
	sub := &p.scanner
	start := v.At(begin)
	*sub = scanner{d: s.d, text: v.Text(), hint: s.hint, from: start, final: true, card: -1, depth: s.depth + 1, viewEnd: start}
	sub.hint.phase = 0
	p.found = p.found[:0]
	sub.run(&p.found, start)
	p.found = sub.always(p.found, start, len(sub.text))
	for _, f := range resolve(p.found) {
		if v.Plain(s.text, f.Start, f.End) {
			continue
		}
		from, to := v.Raw(f.Start, f.End)
		if from < begin || from >= end {
			continue
		}
		f.Start, f.End = from, to+frameAfter(s.text[to:])
		f.Evidence |= written(s.text[from:to])
		dst = append(dst, f)
	}
	return dst
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
		if view.SignOf(r) >= 0 {
			return i, markNormal
		}
		i += size
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
		if view.SignOf(r) >= 0 {
			s.marked(dst, i, markNormal)
			return
		}
		i += size
	}
}

// token64 looks at the token that holds i: base64 that says something is read. A
// token is tried from its begin, and each part of it between other signs than
// letters and digits once, from the first trigger in it on.
func (s *scanner) token64(dst *[]redact.Finding, i int) {
	if i < s.looked || i < s.viewEnd || s.depth >= maxDepth || s.stopped {
		return
	}
	text := s.text
	part := i
	for part > s.viewEnd && i-part < tokenReach && (isLetter(text[part-1]) || isDigit(text[part-1])) {
		part--
	}
	from := part
	for from > s.viewEnd && i-from < tokenReach && isBase64(text[from-1]) {
		from--
	}
	s.looked = i + 1
	for s.looked < len(text) && s.looked-i < tokenReach && (isLetter(text[s.looked]) || isDigit(text[s.looked])) {
		s.looked++
	}
	for _, begin := range [...]int{from, part} {
		if i-begin == tokenReach && begin != s.viewEnd {
			continue // not its begin
		}
		if !mixed(text, begin) || view.Base64End(text, begin, begin+view.MinBase64)-begin < view.MinBase64 || !view.Readable(text[begin:min(len(text), begin+maxReadable)]) {
			continue
		}
		end := view.Base64End(text, begin, begin+maxRegion)
		ahead := view.Base64End(text, begin, end+(LookAhead+2)/3*4)
		if !s.final && ahead+1 > len(text) {
			ahead = len(text) + 1 // more of it may come
		}
		s.read(dst, begin, end, ahead, mark64)
		return
	}
}

// mixed reports whether capital letters stand in the first letters of base64, as
// they do when it says something; hexadecimal numbers and words have none.
func mixed(text []byte, i int) bool {
	n := 0
	for _, b := range text[i:min(len(text), i+view.MinBase64)] {
		if b-'A' < 26 {
			n++
		}
	}
	return n >= 2
}

// maxReadable is how much of a token view.Readable looks at, line ends included.
const maxReadable = 40

// isBase64 reports whether b stands in base64, of either alphabet.
func isBase64(b byte) bool {
	return isLetter(b) || isDigit(b) || bytes.IndexByte([]byte("+/-_"), b) >= 0
}
