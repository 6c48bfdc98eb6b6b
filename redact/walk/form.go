package walk

import (
	"bytes"
	"sync"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// formReader reads application/x-www-form-urlencoded, strictly by the URL
// standard where parsers agree. Fields may repeat; each is looked at by itself.
type formReader struct {
	reader
	parts []detail
}

// formReaders recycles readers, as jsonReaders does.
var formReaders = sync.Pool{New: func() any { return new(formReader) }}

// begin readies the reader for d.
func (p *formReader) begin(d *Doc, masks *maskHits) {
	p.reader = reader{Doc: d, masks: masks, frames: p.frames[:0], scratch: p.scratch, decoded: p.decoded, paths: p.paths}
}

// end makes the reader forget its document.
func (p *formReader) end() {
	p.finish()
	p.reader = reader{frames: p.frames, scratch: wiped(p.scratch), decoded: wiped(p.decoded), paths: wiped(p.paths)}
	clear(p.parts)
	p.parts = p.parts[:0]
}

func (p *formReader) form() *Refusal {
	p.frames = append(p.frames, frame{comma: -1})
	root := p.fields.root()
	for i, n, comma := 0, 0, -1; i <= len(p.raw) && len(p.raw) > 0; n++ {
		end := i
		for end < len(p.raw) && p.raw[end] != '&' {
			end++
		}
		if r := p.count(i); r != nil {
			return r
		}
		equals := end
		if at := bytes.IndexByte(p.raw[i:end], '='); at >= 0 {
			equals = i + at
		}
		name, _, r := p.decode(p.decoded[:0], i, equals)
		if r != nil {
			return r
		}
		p.decoded = name
		f := &p.frames[0]
		f.index, f.name, f.member, f.comma = n, ref{to: len(name), decoded: true}, i, comma
		if len(name) >= shortestFinding {
			p.name(i, equals, name)
		}
		if equals < end {
			text, digits, r := p.decode(p.scratch[:0], equals+1, end)
			if r != nil {
				return r
			}
			p.scratch = text
			if bytes.EqualFold(name, []byte("_charset_")) && !bytes.EqualFold(text, []byte("utf-8")) {
				return &Refusal{ReasonFormCharset, int64(equals + 1)}
			}
			st := p.fields.formMember(root, name)
			if p.fields.flags(st)&Unit != 0 {
				p.Units++
				p.unit = p.Units
			}
			ends := detect.EndOf(name)
			p.secret = ends&detect.EndsPassword != 0
			is := nothing
			if digits || len(text) >= shortestWords || p.secret {
				is = unread
			}
			p.value(st, equals+1, end, end, text, redact.PlaceText, is)
			p.unit = 0
			if p.masks == nil && isDetail(text) && ends&detect.EndsPart != 0 {
				p.parts = append(p.parts, detail{name: string(name), text: string(text), value: span{equals + 1, end}, index: n})
			}
		}
		comma = end
		i = end + 1
	}
	p.details(p.parts, 0, root)
	return nil
}

// formMember steps into the field called name. Names in brackets are steps of their
// own, as the servers that document them read them: ticket[subject] is
// /ticket/subject, and tags[] the first element of /tags. A name that a rule spells
// out as it stands is that rule's.
func (f *Fields) formMember(root int32, name []byte) int32 {
	open := bytes.IndexByte(name, '[')
	if open <= 0 || name[len(name)-1] != ']' || root == 0 || f.knows(root, name) {
		return f.member(root, name)
	}
	st := f.member(root, name[:open])
	for rest := name[open:]; len(rest) > 0; {
		end := bytes.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 {
			return f.member(root, name) // no such list of steps
		}
		if step := rest[1:end]; len(step) > 0 {
			st = f.member(st, step)
		} else {
			st = f.element(st, 0)
		}
		rest = rest[end+1:]
	}
	return st
}

// decode appends the text of raw[begin:end], checked. digits says whether there
// are any.
func (p *formReader) decode(dst []byte, begin, end int) (_ []byte, digits bool, _ *Refusal) {
	raw := p.raw
	for i := begin; i < end; i++ {
		b := raw[i]
		switch {
		case b == '%':
			if i+2 >= end || hexValue(raw[i+1]) < 0 || hexValue(raw[i+2]) < 0 {
				return nil, false, &Refusal{ReasonFormSyntax, int64(i)}
			}
			b = byte(hexValue(raw[i+1])<<4 | hexValue(raw[i+2]))
			if b == 0 {
				return nil, false, &Refusal{ReasonFormSyntax, int64(i)}
			}
			i += 2
		case b == '+':
			b = ' '
		case b == ';':
			return nil, false, &Refusal{ReasonFormSemicolon, int64(i)}
		case b < 0x20 || b == 0x7f:
			return nil, false, &Refusal{ReasonFormSyntax, int64(i)}
		}
		digits = digits || b-'0' <= 9
		dst = append(dst, b)
	}
	if !utf8.Valid(dst) {
		return nil, false, &Refusal{ReasonUTF8, int64(begin)}
	}
	return dst, digits, nil
}
