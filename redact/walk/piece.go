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
func (j *joined) copy(raw []byte, from, to int) {
	if from == to {
		return
	}
	if n := len(j.pieces); n == 0 || j.pieces[n-1].as != asIs || int(j.pieces[n-1].to) != from {
		j.pieces = append(j.pieces, piece{at: int32(len(j.text)), from: int32(from), to: int32(to)})
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

// raw returns the raw offset of the text's byte at, which piece i holds; end asks
// for the place behind the byte before.
func (p *piece) raw(at int, end bool) int {
	switch {
	case p.as == asIs:
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
}

// encoder appends text in the notation of the place where it stands.
type encoder func(dst, text []byte) []byte

// spot cuts the finding at text[from:to] out, with the raw range it covers.
func (j *joined) spot(from, to int) (s spot, start, end int) {
	first := sort.Search(len(j.pieces), func(i int) bool { return int(j.pieces[i].at) > from }) - 1
	for j.end(first) <= from || j.pieces[first].as == between {
		first++
	}
	last := first
	for j.end(last) < to {
		last++
	}
	base := j.pieces[first].at
	s = spot{from: from - int(base), to: to - int(base)}
	s.pieces = slices.Clone(j.pieces[first : last+1])
	for i := range s.pieces {
		s.pieces[i].at -= base
	}
	s.text = bytes.Clone(j.text[base:j.end(last)])
	for j.pieces[last].as == between && last > first {
		last--
	}
	from = max(from, int(j.pieces[first].at))
	return s, j.pieces[first].raw(from, false), j.pieces[last].raw(min(to, j.end(last)), true)
}

// edits appends the edits that carry action a out. Each byte of a mask of the
// same length goes to where its original stood; a mask of another length goes to
// the first piece, and the other pieces give up their share of the value.
func (s *spot) edits(dst []Edit, c redact.Class, a redact.Action) []Edit {
	value := s.text[s.from:s.to]
	masked := transform.Append(nil, value, c, a)
	if bytes.Equal(masked, value) {
		return dst
	}
	spread := s.spreads(masked)
	for i := range s.pieces {
		p := &s.pieces[i]
		begin, end := int(p.at), s.end(i)
		from, to := max(begin, s.from), min(end, s.to)
		if p.as == between || from >= to {
			continue
		}
		var is []byte
		if spread {
			is = masked[from-s.from : to-s.from]
		} else {
			is, masked = masked, nil
		}
		was := s.text[from:to]
		switch {
		case bytes.Equal(is, was):
		case p.as == coded:
			text := slices.Concat(s.text[begin:from], is, s.text[to:end])
			dst = append(dst, Edit{int(p.from), int(p.to), s.recode(nil, text)})
		case len(is) == len(was):
			// What did not change stays as it was written.
			b := make([]byte, 0, len(is))
			for k := range is {
				if is[k] == was[k] {
					b = append(b, is[k])
				} else {
					b = s.write(b, is[k:k+1])
				}
			}
			dst = append(dst, Edit{p.raw(from, false), p.raw(to, true), b})
		default:
			dst = append(dst, Edit{p.raw(from, false), p.raw(to, true), s.write(nil, is)})
		}
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

// asText is the encoder of places without a notation of their own.
func asText(dst, text []byte) []byte { return append(dst, text...) }

// source says where a finding of a body made of pieces came from: a spot, or the
// finding number n of the part number part.
type source struct {
	spot    spot
	part, n int // part is -1 for a spot
}

// collector is what the readers of bodies made of pieces share.
type collector struct {
	*Doc
	masks  *maskHits // nil while finding
	values int
	found  []redact.Finding
}

// count takes note of one more value.
func (c *collector) count(at int) *Refusal {
	if c.values++; c.values > c.limits.Values {
		return &Refusal{ReasonValues, int64(at)}
	}
	return nil
}

// where is what a reader knows about a text.
type where struct {
	hint  detect.Hint
	path  func() string // nil for none
	place redact.Place
	never bool
	write encoder
	// recode is for what is encoded as a whole; nil means write.
	recode encoder
}

// scan looks for findings in a joined text.
func (c *collector) scan(j *joined, w where) {
	if c.masks != nil {
		if transform.Masked(j.text) {
			c.masks.blocked++
		}
		return
	}
	c.found = c.det.Text(c.found[:0], j.text, w.hint)
	if len(c.found) > 0 {
		c.keep(j, w, c.found)
	}
}

// keep turns findings in a joined text into findings of the document.
func (c *collector) keep(j *joined, w where, found []redact.Finding) {
	path := ""
	if w.path != nil {
		path = w.path()
	}
	for _, f := range found {
		s, start, end := j.spot(f.Start, f.End)
		if s.write, s.recode = w.write, w.recode; s.recode == nil {
			s.recode = w.write
		}
		f.Start, f.End = start, end
		f.Place, f.Never = w.place, f.Never || w.never
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
