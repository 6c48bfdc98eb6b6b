package walk

import (
	"bytes"
	"mime"
	"strings"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// multipartReader reads multipart/form-data (RFC 7578), strictly: nothing before
// the first boundary and behind the last, CRLF, no header twice or folded, no
// transfer encoding, no second spelling of a file name. A part is read by the
// walker of its own type; one without a type is a text.
type multipartReader struct {
	collector
	delimiter []byte // two hyphens and the boundary
	text      joined
	shares    []detail
}

// maxPartHeader bounds the headers of one part, in bytes: three lines, one of
// which holds a file name.
const maxPartHeader = 8 << 10

// ParseMultipart is [Parse] for a body of kind Multipart with the boundary that
// its Content-Type names.
func ParseMultipart(boundary string, raw []byte, d *detect.Detector, f *Fields, l Limits) (*Doc, error) {
	if len(raw) > 0 && firstBoundary(raw) != boundary {
		return nil, &Refusal{ReasonMultipart, 0}
	}
	return Parse(Multipart, raw, d, f, l)
}

// firstBoundary reads the boundary from the first line, which has nothing else.
// It is empty when there is none.
func firstBoundary(raw []byte) string {
	rest, ok := bytes.CutPrefix(raw, []byte("--"))
	if !ok {
		return ""
	}
	line, _, ok := bytes.Cut(rest[:min(len(rest), maxBoundary+4)], []byte("\r\n"))
	if !ok || len(line) == 0 {
		return ""
	}
	// A form without any part is only its end.
	if len(rest) == len(line)+2 || len(rest) == len(line) {
		line = bytes.TrimSuffix(line, []byte("--"))
	}
	if !validBoundary(string(line)) {
		return ""
	}
	return string(line)
}

// maxBoundary is the longest boundary of RFC 2046.
const maxBoundary = 70

func validBoundary(s string) bool {
	if s == "" || len(s) > maxBoundary || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if b := s[i]; b-'0' > 9 && (b|0x20)-'a' >= 26 && !strings.ContainsRune("'()+_,-./:=? ", rune(b)) {
			return false
		}
	}
	return true
}

func (p *multipartReader) document() *Refusal {
	boundary := firstBoundary(p.raw)
	if boundary == "" {
		return &Refusal{ReasonMultipart, 0}
	}
	p.delimiter = []byte("--" + boundary)
	i := len(p.delimiter)
	for {
		last, next, r := p.afterDelimiter(i)
		if last {
			p.details(p.shares, nil, 0, 0)
		}
		if r != nil || last {
			return r
		}
		if r := p.count(next); r != nil {
			return r
		}
		head, r := p.head(next)
		if r != nil {
			return r
		}
		end, r := p.contentEnd(head.content)
		if r != nil {
			return r
		}
		if r := p.part(head, end); r != nil {
			return r
		}
		i = end + len("\r\n") + len(p.delimiter)
	}
}

// afterDelimiter reads what follows a boundary: a line end and a part, or two
// hyphens and the end of the body.
func (p *multipartReader) afterDelimiter(i int) (last bool, next int, _ *Refusal) {
	rest := p.raw[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		return false, i + 2, nil
	case string(rest) == "--", string(rest) == "--\r\n":
		return true, len(p.raw), nil
	}
	return false, 0, &Refusal{ReasonMultipart, int64(i)}
}

// contentEnd finds the boundary behind the content at i.
func (p *multipartReader) contentEnd(i int) (int, *Refusal) {
	for at := i; ; {
		n := bytes.Index(p.raw[at:], p.delimiter)
		if n < 0 {
			return 0, &Refusal{ReasonMultipart, int64(len(p.raw))}
		}
		at += n
		switch {
		case at-2 >= i && p.raw[at-1] == '\n' && p.raw[at-2] == '\r':
			return at - 2, nil
		case at == i, p.raw[at-1] == '\n', p.raw[at-1] == '\r':
			// Right behind the headers, or on a line of its own for those who end
			// lines with one character.
			return 0, &Refusal{ReasonMultipart, int64(at)}
		}
		at++
	}
}

// partHead is what the headers of a part say.
type partHead struct {
	content  int    // where the content begins
	name     string // decoded as browsers encode it
	file     bool
	media    string
	boundary string
}

// head reads the headers at i.
func (p *multipartReader) head(i int) (partHead, *Refusal) {
	var h partHead
	end := bytes.Index(p.raw[i:min(len(p.raw), i+maxPartHeader)], []byte("\r\n\r\n"))
	if end < 0 {
		return h, &Refusal{ReasonMultipart, int64(i)}
	}
	end += i
	h.content = end + 4
	if at := invalidUTF8(p.raw[i:end]); at >= 0 {
		return h, &Refusal{ReasonUTF8, int64(i + at)}
	}
	var seen []string
	disposition := false
	for i < end {
		line := bytes.Index(p.raw[i:end+2], []byte("\r\n")) + i
		for at := i; at < line; at++ {
			if b := p.raw[at]; b < 0x20 && b != '\t' || b == 0x7f {
				return h, &Refusal{ReasonMultipart, int64(at)}
			}
		}
		colon := bytes.IndexByte(p.raw[i:line], ':')
		if colon <= 0 || !isToken(p.raw[i:i+colon]) {
			return h, &Refusal{ReasonMultipart, int64(i)} // a folded line, too
		}
		name := strings.ToLower(string(p.raw[i : i+colon]))
		for _, other := range seen {
			if other == name {
				return h, &Refusal{ReasonMultipart, int64(i)}
			}
		}
		seen = append(seen, name)
		value := span{i + colon + 1, line}
		var ok bool
		switch name {
		case "content-disposition":
			disposition = true
			ok = p.disposition(&h, value)
		case "content-type":
			var r *Refusal
			if ok, r = p.mediaType(&h, value); r != nil {
				return h, r
			}
		case "content-transfer-encoding":
			switch strings.ToLower(strings.TrimSpace(string(p.raw[value.from:value.to]))) {
			case "7bit", "8bit", "binary":
				ok = true
			}
		default:
			p.aside(value, detect.Hint{ID: true}, style{write: asText})
			ok = true
		}
		if !ok {
			return h, &Refusal{ReasonMultipart, int64(i)}
		}
		i = line + 2
	}
	if !disposition {
		return h, &Refusal{ReasonMultipart, int64(end)}
	}
	return h, nil
}

// isToken reports whether b is the name of a header (RFC 9110, section 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 && (c|0x20)-'a' >= 26 && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return len(b) > 0
}

// disposition reads form-data; name="..."; filename="...".
func (p *multipartReader) disposition(h *partHead, v span) bool {
	raw := p.raw
	i := skipBlanks(raw, v.from, v.to)
	first := i
	for i < v.to && raw[i] != ';' {
		i++
	}
	if !strings.EqualFold(strings.TrimRight(string(raw[first:i]), " \t"), "form-data") {
		return false
	}
	named := false
	for i < v.to {
		i = skipBlanks(raw, i+1, v.to) // behind the semicolon
		begin := i
		for i < v.to && raw[i] != '=' {
			i++
		}
		if i == v.to || !isToken(raw[begin:i]) {
			return false
		}
		param := strings.ToLower(string(raw[begin:i]))
		value := span{i + 1, i + 1}
		if i++; i < v.to && raw[i] == '"' {
			value.from++
			n := bytes.IndexByte(raw[value.from:v.to], '"')
			// Some take a backslash before a quotation mark for an escape, others
			// for the end of a Windows path.
			if n < 0 || n > 0 && raw[value.from+n-1] == '\\' {
				return false
			}
			value.to = value.from + n
			i = value.to + 1
		} else {
			for i < v.to && raw[i] != ';' && raw[i] != ' ' && raw[i] != '\t' {
				i++
			}
			value.to = i
			if !isToken(raw[value.from:value.to]) {
				return false
			}
		}
		if i = skipBlanks(raw, i, v.to); i < v.to && raw[i] != ';' {
			return false
		}
		switch {
		case param == "name" && !named:
			named = true
			h.name = unescapeName(string(raw[value.from:value.to]))
			p.aside(value, detect.Hint{}, style{place: redact.PlaceKey, never: true, write: asText})
		case param == "filename" && !h.file:
			h.file = true
			p.aside(value, detect.Hint{}, style{write: writeFileName})
		default: // twice, filename*, or something that only some know
			return false
		}
	}
	return named
}

func skipBlanks(raw []byte, i, end int) int {
	for i < end && (raw[i] == ' ' || raw[i] == '\t') {
		i++
	}
	return i
}

// unescapeName undoes what browsers do to names (HTML standard, section 4.10.21.8).
func unescapeName(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return strings.NewReplacer("%22", `"`, "%0D", "\r", "%0A", "\n").Replace(s)
}

func writeFileName(dst, text []byte) []byte {
	for _, b := range text {
		switch {
		case b == '"' || b == '\\' || b < 0x20:
			dst = append(dst, '_')
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// mediaType reads the type of the part. ok is false when it cannot be read in one
// way.
func (p *multipartReader) mediaType(h *partHead, v span) (ok bool, _ *Refusal) {
	media, params, err := mime.ParseMediaType(string(p.raw[v.from:v.to]))
	if err != nil {
		return false, nil //nolint:nilerr // a type nobody can read is none of ours
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return false, &Refusal{ReasonCharset, int64(v.from)}
	}
	p.aside(v, detect.Hint{ID: true}, style{write: asText})
	h.media, h.boundary = media, params["boundary"]
	return true, nil
}

// aside looks at a part of a header.
func (p *multipartReader) aside(v span, h detect.Hint, st style) {
	p.text.reset()
	p.text.copy(p.raw, v.from, v.to)
	p.scan(&p.text, h, st)
}

// part reads the content of a part.
func (p *multipartReader) part(h partHead, end int) *Refusal {
	content := p.raw[h.content:end]
	path := "/" + escapePointer(h.name)
	if strings.EqualFold(h.name, "_charset_") && !strings.EqualFold(string(content), "utf-8") {
		return &Refusal{ReasonFormCharset, int64(h.content)}
	}
	kind, known := KindOf(h.media)
	switch {
	case h.media == "" && h.file && (bytes.IndexByte(content, 0) >= 0 || invalidUTF8(content) >= 0), !known && h.media != "", kind == Multipart:
		if len(content) > 0 {
			p.notRead(h.content, end, h.media)
		}
		return nil
	case h.media == "":
		kind = Text
	}
	if kind != Text {
		return p.inner(kind, h.content, end, path)
	}
	if len(bytes.TrimLeft(content, " \t\r\n")) > 0 && looksJSON(content) {
		doc, r := p.asJSON(content)
		if r != nil {
			r.Offset += int64(h.content)
			return r
		}
		if doc != nil {
			p.addPart(part{doc: doc, start: h.content, end: end, path: path})
			return nil
		}
	}
	if at := invalidUTF8(content); at >= 0 {
		return &Refusal{ReasonUTF8, int64(h.content + at)}
	}
	p.value(h, end, path)
	return nil
}

// asJSON reads a text as JSON, as those may who receive it. It is nil when the
// text is none, and refused when it is one that two readers differ about.
func (c *collector) asJSON(text []byte) (*Doc, *Refusal) {
	doc, err := Parse(JSON, text, c.det, nil, c.limits)
	if err == nil {
		return doc, nil
	}
	r := refusalOf(err)
	if r == nil || r.Reason == ReasonSyntax || r.Reason == ReasonTrailing {
		return nil, nil
	}
	return nil, r
}

// looksJSON reports whether text begins as an array or object does.
func looksJSON(text []byte) bool {
	i := skipSpace(text, 0)
	return i < len(text) && (text[i] == '{' || text[i] == '[')
}

// inner reads raw[from:to] as a document of its own.
func (c *collector) inner(kind Kind, from, to int, path string) *Refusal {
	doc, err := Parse(kind, c.raw[from:to], c.det, nil, c.limits)
	if err != nil {
		r := refusalOf(err)
		if r == nil {
			return &Refusal{ReasonMultipart, int64(from)}
		}
		return &Refusal{r.Reason, r.Offset + int64(from)}
	}
	c.addPart(part{doc: doc, start: from, end: to, path: path})
	return nil
}

// value reads the content of a field.
func (p *multipartReader) value(h partHead, end int, path string) {
	st := p.fields.member(p.fields.root(), []byte(h.name))
	flags := p.fields.flags(st)
	p.text.reset()
	p.text.copy(p.raw, h.content, end)
	first := len(p.Findings)
	w := style{never: flags&Never != 0, write: asText}
	p.path = func() string { return path }
	defer func() { p.path = nil }()
	p.scan(&p.text, detect.Hint{Key: h.name}, w)
	if d := p.detailOf(&p.text, []byte(h.name), p.values, w); d != nil {
		p.shares = append(p.shares, *d)
	}
	if p.masks != nil || flags == 0 {
		return
	}
	if flags&(Wanted|URL) != 0 {
		for _, n := range p.fields.states[st].rules {
			p.Captures = append(p.Captures, Capture{
				Label: p.fields.rules[n].Label, Flags: flags, Start: h.content, End: end, Path: path, Place: redact.PlaceText, member: member{container: -1},
			})
		}
	}
	if flags&PaymentReference != 0 && h.content < end && reference(p.Findings[first:]) && !standIn(p.det, p.raw[h.content:end]) {
		p.Findings, p.sources = p.Findings[:first], p.sources[:first]
		p.keep(&p.text, w, []redact.Finding{{Class: redact.PaymentReference, End: end - h.content, Confidence: 1, Strong: true, Rule: "payment field"}})
	}
	if flags&typed != 0 {
		for i := range p.Findings[first:] {
			f := &p.Findings[first+i]
			f.Field = fieldOf(p.fields.states[st].field, f.Class)
			p.sources[first+i].whole = span{h.content, end}
		}
	}
}
