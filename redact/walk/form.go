package walk

import (
	"bytes"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
)

// formReader reads application/x-www-form-urlencoded, strictly by the URL
// standard where parsers agree. Fields may repeat; each is looked at by itself.
type formReader struct {
	reader
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
			st := p.fields.member(root, name)
			if p.fields.flags(st)&Unit != 0 {
				p.Units++
				p.unit = p.Units
			}
			p.value(st, equals+1, end, end, text, redact.PlaceText, digits || len(text) >= shortestWords)
			p.unit = 0
		}
		comma = end
		i = end + 1
	}
	return nil
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
