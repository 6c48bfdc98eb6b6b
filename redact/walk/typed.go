package walk

import (
	"bytes"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/transform"
)

// maxChosen is how much of an object is looked through for the member that says what
// the object is, in bytes. In {"id": ..., "value": ...} it is one of the first.
const maxChosen = 4 << 10

// mark says of the findings from number at on, which stand in the value being read,
// what the system takes there.
func (r *reader) mark(st int32, at int) {
	s := &r.fields.states[st]
	field := s.field
	for i := range s.chosen {
		c := &s.chosen[i]
		if n := len(r.frames) - c.up; n >= 0 && n < len(r.frames) && !r.frames[n].array && string(memberOf(r.raw, r.frames[n].begin, c.name)) == c.value {
			field = max(field, c.field)
		}
	}
	for i := range r.Findings[at:] {
		f := &r.Findings[at+i]
		f.Field = fieldOf(field, f.Class)
	}
}

// fieldOf is what a field takes in the place of a finding of class c.
func fieldOf(field redact.Field, c redact.Class) redact.Field {
	if field == redact.FieldCard && c != redact.CreditCard {
		return redact.FieldExact // a card is all that such a field can be masked to
	}
	return field
}

// memberOf returns the raw scalar of the member called name of the object at begin,
// without quotes, nil when it is not among the first. It looks ahead of the reader,
// which refuses what is no JSON.
func memberOf(raw []byte, begin int, name string) []byte {
	raw = raw[:min(len(raw), begin+maxChosen)]
	depth := 0
	for i := begin; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return nil
			}
		case '"':
			end := stringEnd(raw, i+1)
			if end < 0 {
				return nil
			}
			text := raw[i+1 : end]
			i = end
			colon := skipSpace(raw, end+1)
			if depth != 1 || colon == len(raw) || raw[colon] != ':' {
				continue
			}
			i = colon
			if string(text) != name {
				continue
			}
			from := skipSpace(raw, colon+1)
			if from < len(raw) && raw[from] == '"' {
				if end := stringEnd(raw, from+1); end >= 0 {
					return raw[from+1 : end]
				}
				return nil
			}
			if n := bytes.IndexAny(raw[from:], ",}] \t\r\n"); n >= 0 {
				return raw[from : from+n]
			}
			return nil
		}
	}
	return nil
}

// stringEnd returns where the string ends whose content begins at i, -1 when it
// does not.
func stringEnd(raw []byte, i int) int {
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// editWhole appends the edit that replaces the whole value in which f stands, unless
// it is replaced already.
func (d *Doc) editWhole(edits []Edit, f redact.Finding, a redact.Action) []Edit {
	e := d.valueOf(f)
	if f.Field == redact.FieldExact {
		if d.Kind == JSON {
			e.Start, e.End = e.Start-1, e.End+1
			e.New = []byte("null")
		}
	} else {
		e.New = appendEncoded(d.Kind, nil, transform.AppendCardField(nil, decode(d.Kind, d.raw[f.Start:f.End]), a))
	}
	if n := len(edits); n > 0 && e.Start < edits[n-1].End {
		if e.End > edits[n-1].End {
			edits[n-1] = e
		}
		return edits
	}
	return append(edits, e)
}

// editWhole is Doc.editWhole for a value made of pieces: the whole of it is replaced, by
// nothing when the field takes no mask.
func (s *source) editWhole(edits []Edit, f *redact.Finding, a redact.Action) []Edit {
	if n := len(edits); n > 0 && s.whole.from < edits[n-1].End {
		return edits // by another finding in it
	}
	e := Edit{Start: s.whole.from, End: s.whole.to}
	if f.Field == redact.FieldCard {
		e.New = transform.AppendCardField(nil, s.spot.text[s.spot.from:s.spot.to], a)
	}
	return append(edits, e)
}

// valueOf returns the range of the string in which f stands, without quotes, or of
// the form's value.
func (d *Doc) valueOf(f redact.Finding) Edit {
	raw := d.raw
	if d.Kind == Form {
		end := len(raw)
		if n := bytes.IndexByte(raw[f.End:], '&'); n >= 0 {
			end = f.End + n
		}
		return Edit{Start: bytes.LastIndexByte(raw[:f.Start], '=') + 1, End: end}
	}
	start := f.Start
	for {
		start = bytes.LastIndexByte(raw[:start], '"')
		slashes := 0
		for start-slashes > 0 && raw[start-1-slashes] == '\\' {
			slashes++
		}
		if start <= 0 || slashes%2 == 0 {
			break
		}
	}
	return Edit{Start: start + 1, End: stringEnd(raw, f.End)}
}
