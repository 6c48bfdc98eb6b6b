package walk

import (
	"bytes"
	"slices"
	"strings"
	"unsafe"

	"github.com/caregate/caregate/redact"
)

// part is a document inside the body: a line, an event, an attachment. It was
// read by the walker of its own kind, from bytes that the layers undid.
type part struct {
	doc        *Doc
	start, end int     // raw range of what stands for it
	layers     []layer // from the outermost on; none when it stands there as it is
	texts      [][]byte
	path       string // in front of the paths of its findings
}

// layer is one encoding around a part: a transfer encoding, a charset.
type layer interface {
	// outward turns sorted offsets in the decoded bytes into offsets in raw, of
	// which it was decoded.
	outward(raw []byte, offsets []int)
	// rewrite turns sorted edits of the decoded bytes into edits of raw.
	rewrite(raw, decoded []byte, edits []Edit) []Edit
}

// addPart makes the findings of p findings of the document. Its offsets and
// values count as the document's.
func (c *collector) addPart(p part) {
	if c.masks != nil {
		edits, blocked, stuck := p.doc.ComeBack(!c.masks.only, c.masks.guard.within())
		if stuck += len(edits); c.masks.guard == nil {
			blocked += stuck
			stuck = 0
		}
		if blocked > 0 {
			c.masks.blocked++
		}
		c.masks.stuck += stuck
		return
	}
	for _, u := range p.doc.Unread {
		c.Unread = append(c.Unread, Unread{p.start, p.end, u.Media})
	}
	if len(p.doc.Findings) == 0 {
		return
	}
	n := len(c.parts)
	c.parts = append(c.parts, p)
	var offsets []int
	for i := range p.doc.Findings {
		offsets = append(offsets, p.doc.Findings[i].Start, p.doc.Findings[i].End)
	}
	slices.Sort(offsets)
	offsets = slices.Compact(offsets)
	raws := slices.Clone(offsets)
	for i := len(p.layers) - 1; i >= 0; i-- {
		p.layers[i].outward(p.under(c.raw, i), raws)
	}
	at := func(offset int) int {
		i, _ := slices.BinarySearch(offsets, offset)
		return p.start + raws[i]
	}
	for i, f := range p.doc.Findings {
		f.Start, f.End = at(f.Start), at(f.End)
		if !f.Never || f.Strong {
			f.Path = p.path + f.Path
		}
		c.Findings = append(c.Findings, f)
		c.sources = append(c.sources, source{part: n, n: i})
	}
}

// under returns the bytes that layer i was decoded from.
func (p *part) under(raw []byte, i int) []byte {
	if i == 0 {
		return raw[p.start:p.end]
	}
	return p.texts[i-1]
}

// edits returns the edits of the body that carry the actions for the findings of
// the part out.
func (p *part) edits(raw []byte, actions []redact.Action) []Edit {
	edits := p.doc.edits(func(i int) redact.Action { return actions[i] })
	if len(edits) == 0 {
		return nil
	}
	for i := len(p.layers) - 1; i >= 0; i-- {
		decoded := p.doc.raw
		if i < len(p.layers)-1 {
			decoded = p.texts[i]
		}
		edits = p.layers[i].rewrite(p.under(raw, i), decoded, edits)
	}
	for i := range edits {
		edits[i].Start += p.start
		edits[i].End += p.start
	}
	return edits
}

// partEdits returns the edits of a document made of pieces and parts.
func (d *Doc) partEdits(act func(i int) redact.Action) []Edit {
	var out []Edit
	var mem []byte
	actions := make([][]redact.Action, len(d.parts))
	for i, f := range d.Findings {
		if f.Never {
			continue
		}
		a := act(i)
		if !a.Rewrites() {
			continue
		}
		s := &d.sources[i]
		if s.part < 0 {
			switch {
			case s.whole.to > 0 && (f.Field == redact.FieldExact || f.Field == redact.FieldCard):
				out = s.editWhole(out, &f, a)
			case s.whole.to > 0 && f.Field == redact.FieldTag:
				s.spot.tag = true
				fallthrough
			default:
				out = s.spot.edits(out, &mem, f.Class, a, d.token(i, a))
			}
			continue
		}
		if actions[s.part] == nil {
			actions[s.part] = make([]redact.Action, len(d.parts[s.part].doc.Findings))
		}
		actions[s.part][s.n] = a
	}
	for i := range d.parts {
		if actions[i] != nil {
			out = append(out, d.parts[i].edits(d.raw, actions[i])...)
		}
	}
	slices.SortFunc(out, func(a, b Edit) int { return a.Start - b.Start })
	return out
}

// apply carries sorted edits out.
func apply(raw []byte, edits []Edit) []byte {
	grow := 0
	for _, e := range edits {
		grow += len(e.New) - (e.End - e.Start)
	}
	var out writer
	out.Grow(len(raw) + grow)
	at := 0
	for _, e := range edits {
		out.Write(raw[at:e.Start])
		out.Write(e.New)
		at = e.End
	}
	out.Write(raw[at:])
	return out.bytes()
}

// writer puts a document together. The memory of a Builder is not cleared before it is
// written, which would take as long as writing it.
type writer struct{ strings.Builder }

// bytes returns what was written. Nobody else has the string.
func (w *writer) bytes() []byte {
	s := w.String()
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// Unread is a part of a body that no walker reads. Whoever lets the body pass
// records that.
type Unread struct {
	// Start and End are the raw range of the part's content.
	Start, End int
	// Media is the first half of the part's media type when it is one of the
	// registered ones (image, audio, video, application, text, ...), otherwise
	// "other": no part of a body reaches a log.
	Media string
}

// notRead records content that no walker reads.
func (c *collector) notRead(start, end int, media string) {
	if c.masks != nil {
		return
	}
	top, _, _ := bytes.Cut([]byte(media), []byte("/"))
	u := Unread{start, end, "other"}
	for _, known := range [...]string{"application", "audio", "font", "haptics", "image", "message", "model", "multipart", "text", "video"} {
		if string(top) == known {
			u.Media = known
		}
	}
	c.Unread = append(c.Unread, u)
}
