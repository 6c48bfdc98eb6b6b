package walk

import (
	"bytes"
	"slices"
	"sort"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/transform"
)

// manner says how a piece of a joined text stands in the body.
type manner uint8

const (
	asIs    manner = iota // byte for byte
	section               // byte for byte too, and what is written there stands for itself: CDATA of XML
	coded                 // the raw bytes stand for the text as a whole: an entity, a doubled quote
	between               // markup; its text is a separator or nothing, and it is never edited
)

// piece is one run of a joined text. Its text ends where that of the next begins.
// A body is below 2 GiB, and there may be a piece for every few bytes of it.
type piece struct {
	at       int32 // offset in the text
	from, to int32 // raw offsets
	as       manner
}

// joined is a text as its reader sees it, collected from pieces of the body with
// the markup between them left out, so that a number is found whole.
type joined struct {
	text   []byte
	pieces []piece
}

func (j *joined) reset() { j.text, j.pieces = j.text[:0], j.pieces[:0] }

// copy adds raw[from:to] as it stands.
func (j *joined) copy(raw []byte, from, to int) { j.plain(raw, from, to, asIs) }

func (j *joined) plain(raw []byte, from, to int, as manner) {
	if from == to {
		return
	}
	if n := len(j.pieces); n == 0 || j.pieces[n-1].as != as || int(j.pieces[n-1].to) != from {
		j.pieces = append(j.pieces, piece{int32(len(j.text)), int32(from), int32(to), as})
	} else {
		j.pieces[n-1].to = int32(to)
	}
	j.text = append(j.text, raw[from:to]...)
}

// code adds text for which raw[from:to] stands.
func (j *joined) code(text []byte, from, to int) {
	j.pieces = append(j.pieces, piece{int32(len(j.text)), int32(from), int32(to), coded})
	j.text = append(j.text, text...)
}

// gap adds what a reader sees in place of the markup at raw[from:to], if anything.
func (j *joined) gap(text string, from, to int) {
	j.pieces = append(j.pieces, piece{int32(len(j.text)), int32(from), int32(to), between})
	j.text = append(j.text, text...)
}

// end returns where the text of piece i ends.
func (j *joined) end(i int) int {
	if i+1 < len(j.pieces) {
		return int(j.pieces[i+1].at)
	}
	return len(j.text)
}

// plain reports whether each byte of p's text is a byte of the body.
func (p *piece) plain() bool { return p.as == asIs || p.as == section }

// raw returns the raw offset of the text's byte at, which piece i holds; end asks
// for the place behind the byte before.
func (p *piece) raw(at int, end bool) int {
	switch {
	case p.plain():
		return int(p.from) + at - int(p.at)
	case end:
		return int(p.to)
	}
	return int(p.from)
}

// spot is a finding in a joined text: the pieces it touches, whole.
type spot struct {
	joined
	from, to int // the finding, in the text
	write    encoder
	recode   encoder
	share    bool // the finding is a share of a value, the rest of which is elsewhere
	tag      bool // the field takes tags; see transform.AppendTag
}

// encoder appends text in the notation of the place where it stands.
type encoder func(dst, text []byte) []byte

// spot cuts the finding at text[from:to] out. Of pieces that are there as they
// are, only what it touches is kept.
func (j *joined) spot(from, to int, a *arena) spot {
	first := j.holding(from)
	last := first
	for j.end(last) < to {
		last++
	}
	var s spot
	n := len(a.pieces)
	a.pieces = append(a.pieces, j.pieces[first:last+1]...)
	s.pieces = a.pieces[n:len(a.pieces):len(a.pieces)]
	base, limit := int(s.pieces[0].at), j.end(last)
	if c := &s.pieces[0]; c.plain() && from > base {
		c.from += int32(from - base)
		c.at, base = int32(from), from
	}
	if c := &s.pieces[last-first]; c.plain() && to < limit {
		c.to = int32(c.raw(to, true))
		limit = to
	}
	n = len(a.text)
	a.text = append(a.text, j.text[base:limit]...)
	s.text = a.text[n:len(a.text):len(a.text)]
	for i := range s.pieces {
		s.pieces[i].at -= int32(base)
	}
	s.from, s.to = from-base, to-base
	return s
}

// evidence says how the value of the spot was put together.
func (s *spot) evidence() redact.Evidence {
	var e redact.Evidence
	for i := range s.pieces {
		switch p := &s.pieces[i]; {
		case p.as == coded && int(p.at) < s.to && s.end(i) > s.from:
			e |= redact.EvidenceEncoded
		case p.as == between && s.end(i) > int(p.at):
			e |= redact.EvidenceSplit
		}
	}
	return e
}

// arena is where spots keep their pieces and texts.
type arena struct {
	pieces []piece
	text   []byte
}

// raw returns the raw range of text[from:to], without gaps at its ends.
func (j *joined) raw(from, to int) (start, end int) {
	i := j.holding(from)
	start = j.pieces[i].raw(max(from, int(j.pieces[i].at)), false)
	end = start
	for ; i < len(j.pieces) && int(j.pieces[i].at) < to; i++ {
		if c := &j.pieces[i]; c.as != between {
			end = c.raw(min(to, j.end(i)), true)
		}
	}
	return start, end
}

// holding returns the piece with the first byte of text[from:] that is no gap.
func (j *joined) holding(from int) int {
	i := sort.Search(len(j.pieces), func(i int) bool { return int(j.pieces[i].at) > from }) - 1
	for j.end(i) <= from || j.pieces[i].as == between {
		i++
	}
	return i
}

// edits appends the edits that carry action a out. Each byte of a mask of the
// same length goes to where its original stood; of a mask of another length, what
// stands between two separators goes to the first piece between them, and the other
// pieces give up their share of the value.
// token, when it is not empty, is what the value becomes as a whole.
func (s *spot) edits(dst []Edit, mem *[]byte, c redact.Class, a redact.Action, token string) []Edit {
	value := s.text[s.from:s.to]
	b := *mem
	n := len(b)
	switch {
	case token != "":
		b = append(b, token...)
	case s.share:
		b = transform.AppendPiece(b, value, a)
	case s.tag:
		b = transform.AppendTag(b, value, c, a)
	default:
		b = transform.Append(b, value, c, a)
	}
	masked := b[n:len(b):len(b)]
	defer func() { *mem = b }()
	if bytes.Equal(masked, value) {
		return dst
	}
	spread := token == "" && s.spreads(masked)
	at, next := 0, 0 // in masked, and the piece from which on it is another stretch
	for i := range s.pieces {
		p := &s.pieces[i]
		begin, end := int(p.at), s.end(i)
		from, to := max(begin, s.from), min(end, s.to)
		if p.as == between || from >= to {
			continue
		}
		var is []byte
		write := s.write
		if p.as == section {
			write = asSection
		}
		if spread {
			is = masked[from-s.from : to-s.from]
		} else if i >= next {
			var stop int
			next, stop = s.stretch(i, masked, at)
			is, at = masked[at:stop], stop+s.separator(next)
		}
		was := s.text[from:to]
		e := Edit{Start: int(p.from), End: int(p.to)}
		n := len(b)
		switch {
		case bytes.Equal(is, was):
			continue
		case p.as == coded:
			b = s.recode(b, slices.Concat(s.text[begin:from], is, s.text[to:end]))
		case len(is) == len(was):
			// What did not change stays as it was written.
			e.Start, e.End = p.raw(from, false), p.raw(to, true)
			for k := range is {
				if is[k] == was[k] {
					b = append(b, is[k])
				} else {
					b = write(b, is[k:k+1])
				}
			}
		default:
			e.Start, e.End = p.raw(from, false), p.raw(to, true)
			b = write(b, is)
		}
		e.New = b[n:len(b):len(b)]
		dst = append(dst, e)
	}
	return dst
}

// spreads reports whether masked can be laid over the value byte by byte.
func (s *spot) spreads(masked []byte) bool {
	if len(masked) != s.to-s.from {
		return false
	}
	for i := range s.pieces {
		from, to := max(int(s.pieces[i].at), s.from), min(s.end(i), s.to)
		if s.pieces[i].as == between && from < to && !bytes.Equal(masked[from-s.from:to-s.from], s.text[from:to]) {
			return false
		}
	}
	return true
}

// stretch returns up to which piece the text from piece i on has no separator
// between its pieces, and where behind begin in masked, the mask of the value, the
// same separator stands. A mask of other separators than the value has is one stretch.
func (s *spot) stretch(i int, masked []byte, begin int) (piece, stop int) {
	value := s.text[s.from:s.to]
	for i++; i < len(s.pieces); i++ {
		if s.separator(i) == 0 {
			continue
		}
		from := int(s.pieces[i].at) - s.from
		sep := value[from : from+s.separator(i)]
		if bytes.Count(value, sep) != bytes.Count(masked, sep) {
			continue
		}
		at := 0
		for range bytes.Count(value[:from], sep) {
			at += bytes.Index(masked[at:], sep) + len(sep)
		}
		if n := bytes.Index(masked[at:], sep); n >= 0 && at+n >= begin {
			return i, at + n
		}
	}
	return len(s.pieces), len(masked)
}

// separator is how long the text is of piece i, when it is markup that separates.
func (s *spot) separator(i int) int {
	if i == len(s.pieces) || s.pieces[i].as != between || int(s.pieces[i].at) < s.from || s.end(i) > s.to {
		return 0
	}
	return s.end(i) - int(s.pieces[i].at)
}

// asText is the encoder of places without a notation of their own.
func asText(dst, text []byte) []byte { return append(dst, text...) }

// asSection is the encoder of CDATA: what would end the section is written in two.
func asSection(dst, text []byte) []byte {
	return append(dst, bytes.ReplaceAll(text, []byte("]]>"), []byte("]]]]><![CDATA[>"))...)
}

// source says where a finding of a body made of pieces came from: a spot, or the
// finding number n of the part number part.
type source struct {
	spot    spot
	part, n int  // part is -1 for a spot
	whole   span // of a spot in a typed field: the field
}

// collector is what the readers of bodies made of pieces share.
type collector struct {
	*Doc
	masks  *maskHits // nil while finding
	values int
	found  []redact.Finding
	mem    arena
	path   func() string // of the text being read; nil for none
	// below reports whether the text being read stands in something of a guarded name; nil
	// where names are not in one another.
	below func(*Guard) bool
	unit  int // of the record being read; 0 for none
}

// count takes note of one more value.
func (c *collector) count(at int) *Refusal {
	if c.values++; c.values > c.limits.Values {
		return &Refusal{ReasonValues, int64(at)}
	}
	return nil
}

// style says how a text is written, and what may be done with it.
type style struct {
	write encoder
	// recode is for what is encoded as a whole; nil means write.
	recode encoder
	place  redact.Place
	never  bool
}

// scan looks for findings in a joined text.
func (c *collector) scan(j *joined, h detect.Hint, st style) {
	if c.masks != nil {
		switch {
		case c.masks.holds(j.text) && (c.masks.guard.names(h.Key) || c.below != nil && c.below(c.masks.guard)):
			c.masks.stuck++
		case !c.masks.only && standIn(c.det, j.text):
			c.masks.blocked++
		}
		return
	}
	c.found = c.det.Text(c.found[:0], j.text, h)
	if len(c.found) > 0 {
		c.keep(j, st, c.found)
	}
}

// keep turns findings in a joined text into findings of the document.
func (c *collector) keep(j *joined, st style, found []redact.Finding) {
	path := ""
	if c.path != nil {
		path = c.path()
	}
	if st.recode == nil {
		st.recode = st.write
	}
	for _, f := range found {
		s := j.spot(f.Start, f.End, &c.mem)
		s.write, s.recode = st.write, st.recode
		f.Start, f.End = j.raw(f.Start, f.End)
		f.Place, f.Never, f.Unit = st.place, f.Never || st.never, c.unit
		f.Evidence |= s.evidence()
		if !f.Never || f.Strong {
			f.Path = path
		}
		c.Findings = append(c.Findings, f)
		c.sources = append(c.sources, source{spot: s, part: -1})
	}
}

// settle puts the findings in order. One may enclose another only where a
// number runs around a tag that has one of its own.
func (c *collector) settle() {
	if c.sources == nil || sort.IsSorted(bySpan{c.Doc}) {
		return
	}
	sort.Stable(bySpan{c.Doc})
}

// bySpan sorts findings and their sources alike.
type bySpan struct{ *Doc }

func (s bySpan) Len() int { return len(s.Findings) }
func (s bySpan) Less(i, j int) bool {
	a, b := &s.Findings[i], &s.Findings[j]
	return a.Start < b.Start || a.Start == b.Start && a.End > b.End
}
func (s bySpan) Swap(i, j int) {
	s.Findings[i], s.Findings[j] = s.Findings[j], s.Findings[i]
	s.sources[i], s.sources[j] = s.sources[j], s.sources[i]
}
