package walk

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// xmlReader reads one well-formed document of XML 1.0, with a tokenizer of its
// own: the library's does not say where an attribute stands. What is defined
// elsewhere is refused: a document type, entities of its own, XInclude. A text
// runs on through comments, CDATA sections and processing instructions.
//
// Each text is looked at with the name of its element, or with the attribute
// that names it, and then the document as a whole, in which one tag between two
// texts is nothing (mixed content) and several are a line break.
type xmlReader struct {
	collector
	open   []xmlElement
	run    joined // the text since the last tag
	attr   joined
	all    joined
	runs   []xmlRun // of all
	tags   int      // since the last text in all
	closed bool     // the root element has ended
	names  []span   // of the attributes of the tag being read
	attrs  []detail // among them

	inAttribute span // the name of the attribute being read
}

type span struct{ from, to int }

// xmlElement is an open element.
type xmlElement struct {
	name span
	key  span // what names its text

	st       int32    // of the rules
	outer    int      // the unit around it
	index    int      // among the elements beside it
	children int      // how many elements are in it
	shares   []detail // among these
	found    int      // the number of the first finding in it
}

// xmlRun is a text in the whole.
type xmlRun struct {
	at  int // in the text of the whole
	key span
}

func (p *xmlReader) document() *Refusal {
	raw := p.raw
	if at := invalidUTF8(raw); at >= 0 {
		return &Refusal{ReasonUTF8, int64(at)}
	}
	p.path, p.below = p.place, p.inGuarded
	i := 0
	if bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")) {
		i = 3
	}
	for start := i; i < len(raw); {
		next := bytes.IndexByte(raw[i:], '<')
		if next < 0 {
			next = len(raw) - i
		}
		if r := p.text(i, i+next); r != nil {
			return r
		}
		if i += next; i == len(raw) {
			break
		}
		var r *Refusal
		if i, r = p.markup(i, start); r != nil {
			return r
		}
	}
	if len(p.open) > 0 || !p.closed {
		return &Refusal{ReasonXML, int64(len(raw))}
	}
	p.whole()
	return nil
}

// text adds the character data raw[from:to].
func (p *xmlReader) text(from, to int) *Refusal {
	if from == to {
		return nil
	}
	if len(p.open) == 0 {
		if at := skipSpace(p.raw, from); at < to {
			return &Refusal{ReasonXML, int64(at)}
		}
		return nil
	}
	if at := bytes.Index(p.raw[from:to], []byte("]]>")); at >= 0 {
		return &Refusal{ReasonXML, int64(from + at)}
	}
	return p.chars(&p.run, from, to)
}

// chars adds raw[from:to] with its references resolved.
func (p *xmlReader) chars(j *joined, from, to int) *Refusal {
	for i := from; i < to; {
		n := bytes.IndexByte(p.raw[i:to], '&')
		if n < 0 {
			n = to - i
		}
		if r := p.allowed(i, i+n); r != nil {
			return r
		}
		j.copy(p.raw, i, i+n)
		if i += n; i == to {
			break
		}
		end := bytes.IndexByte(p.raw[i:min(to, i+maxReference)], ';')
		if end < 0 {
			return &Refusal{ReasonXML, int64(i)}
		}
		var buf [utf8.UTFMax]byte
		text := xmlReference(buf[:0], p.raw[i+1:i+end])
		if len(text) == 0 {
			return &Refusal{ReasonXML, int64(i)}
		}
		j.code(text, i, i+end+1)
		i += end + 1
	}
	return nil
}

// xmlReference appends what the reference called name stands for, nothing when
// it is none of XML's own.
func xmlReference(dst, name []byte) []byte {
	switch string(name) {
	case "amp":
		return append(dst, '&')
	case "lt":
		return append(dst, '<')
	case "gt":
		return append(dst, '>')
	case "quot":
		return append(dst, '"')
	case "apos":
		return append(dst, '\'')
	}
	if len(name) < 2 || name[0] != '#' {
		return dst
	}
	base, digits := rune(10), name[1:]
	if digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	r := rune(0)
	for _, b := range digits {
		v := hexValue(b)
		if v < 0 || rune(v) >= base || r > utf8.MaxRune {
			return dst
		}
		r = r*base + rune(v)
	}
	if len(digits) == 0 || !xmlChar(r) {
		return dst
	}
	return utf8.AppendRune(dst, r)
}

// xmlChar reports whether r may stand in a document (XML 1.0, production 2).
func xmlChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// allowed refuses characters that no document may have.
func (p *xmlReader) allowed(from, to int) *Refusal {
	for i, b := range p.raw[from:to] {
		if b < 0x20 && b != '\t' && b != '\n' && b != '\r' || b == 0xEF && !xmlChar(decodeRune(p.raw[from+i:])) {
			return &Refusal{ReasonXML, int64(from + i)}
		}
	}
	return nil
}

func decodeRune(b []byte) rune {
	r, _ := utf8.DecodeRune(b)
	return r
}

// markup reads what begins with the bracket at i. start is where the document
// begins.
func (p *xmlReader) markup(i, start int) (int, *Refusal) {
	rest := p.raw[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		end := bytes.Index(rest[4:], []byte("--"))
		if end < 0 || !bytes.HasPrefix(rest[4+end:], []byte("-->")) {
			return 0, &Refusal{ReasonXML, int64(i)}
		}
		return p.aside(i+4, i+4+end, i+4+end+3)
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		end := bytes.Index(rest, []byte("]]>"))
		if end < 0 || len(p.open) == 0 {
			return 0, &Refusal{ReasonXML, int64(i)}
		}
		from, to := i+len("<![CDATA["), i+end
		if r := p.allowed(from, to); r != nil {
			return 0, r
		}
		p.cdata(from, to)
		return to + len("]]>"), nil
	case bytes.HasPrefix(rest, []byte("<?")):
		end := bytes.Index(rest, []byte("?>"))
		if end < 0 {
			return 0, &Refusal{ReasonXML, int64(i)}
		}
		from, to := i+2, i+end
		name := p.name(from)
		switch {
		case name == from || name > to || name < to && !xmlSpace(p.raw[name]):
			return 0, &Refusal{ReasonXML, int64(i)}
		case bytes.EqualFold(p.raw[from:name], []byte("xml")):
			if i != start || !declaration(p.raw[name:to]) {
				return 0, &Refusal{ReasonXMLDeclaration, int64(i)}
			}
			return to + 2, nil
		}
		return p.aside(name, to, to+2)
	case bytes.HasPrefix(rest, []byte("<!")):
		return 0, &Refusal{ReasonXMLExternal, int64(i)}
	case bytes.HasPrefix(rest, []byte("</")):
		return p.endTag(i)
	}
	return p.startTag(i)
}

// aside looks at a comment or an instruction by itself.
func (p *xmlReader) aside(from, to, next int) (int, *Refusal) {
	if r := p.allowed(from, to); r != nil {
		return 0, r
	}
	p.attr.reset()
	p.attr.copy(p.raw, from, to)
	p.scan(&p.attr, detect.Hint{}, style{write: asText})
	return next, nil
}

// cdata adds a section. Its text knows no references: signs that a mask keeps of what
// it masks stand there for themselves.
func (p *xmlReader) cdata(from, to int) { p.run.plain(p.raw, from, to, section) }

// declaration checks what stands between <?xml and ?>: version 1.0, UTF-8.
func declaration(b []byte) bool {
	order := [...]string{"version", "encoding", "standalone"}
	n := 0
	for len(b) > 0 {
		rest := bytes.TrimLeft(b, " \t\r\n")
		if len(rest) == 0 {
			break
		}
		if len(rest) == len(b) {
			return false
		}
		name, value, ok := bytes.Cut(rest, []byte("="))
		name, value = bytes.TrimRight(name, " \t\r\n"), bytes.TrimLeft(value, " \t\r\n")
		if !ok || len(value) < 2 || value[0] != '"' && value[0] != '\'' {
			return false
		}
		end := bytes.IndexByte(value[1:], value[0])
		if end < 0 {
			return false
		}
		is := string(value[1 : 1+end])
		b = value[end+2:]
		for n < len(order) && order[n] != string(name) {
			if n == 0 {
				return false // version is a must
			}
			n++
		}
		if n == len(order) {
			return false
		}
		switch n {
		case 0:
			if is != "1.0" {
				return false
			}
		case 1:
			if !strings.EqualFold(is, "utf-8") && !strings.EqualFold(is, "us-ascii") {
				return false
			}
		case 2:
			if is != "yes" && is != "no" {
				return false
			}
		}
		n++
	}
	return n > 0
}

func xmlSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// name returns where the name at i ends, or i when there is none: letters and, but
// for the first, digits, hyphens and dots, with one colon in the middle at most
// (Namespaces in XML 1.0). Letters outside ASCII are taken as they come; a name
// is never edited.
func (p *xmlReader) name(i int) int {
	from, colon := i, -1
	for i < len(p.raw) {
		b := p.raw[i]
		first := i == from || i == colon+1
		switch {
		case b == ':' && !first && colon < 0:
			colon = i
		case (b|0x20)-'a' < 26, b == '_', b >= 0x80, !first && (b-'0' <= 9 || b == '-' || b == '.'):
		default:
			if first {
				return from
			}
			return i
		}
		i++
	}
	return from
}

// endTag reads </name>.
func (p *xmlReader) endTag(i int) (int, *Refusal) {
	end := p.name(i + 2)
	close := skipSpace(p.raw, end)
	if close >= len(p.raw) || p.raw[close] != '>' || len(p.open) == 0 {
		return 0, &Refusal{ReasonXML, int64(i)}
	}
	top := p.open[len(p.open)-1]
	if !bytes.Equal(p.raw[i+2:end], p.raw[top.name.from:top.name.to]) {
		return 0, &Refusal{ReasonXML, int64(i)}
	}
	p.part(&p.run, style{write: writeHTML})
	p.flush(i, top.children == 0)
	p.together()
	p.leave()
	p.closed = len(p.open) == 0
	return close + 1, nil
}

// startTag reads <name a="b"> and <name/>.
func (p *xmlReader) startTag(i int) (int, *Refusal) {
	raw := p.raw
	end := p.name(i + 1)
	switch {
	case end == i+1 || p.closed && len(p.open) == 0:
		return 0, &Refusal{ReasonXML, int64(i)}
	case len(p.open) >= p.limits.Depth:
		return 0, &Refusal{ReasonDepth, int64(i)}
	}
	if r := p.count(i); r != nil {
		return 0, r
	}
	p.flush(i, false)
	e := xmlElement{name: span{i + 1, end}, key: span{i + 1, end}, found: len(p.Findings)}
	around := p.fields.root()
	if n := len(p.open); n > 0 {
		e.index, around = p.open[n-1].children, p.open[n-1].st
		p.open[n-1].children++
	}
	p.enter(&e, around)
	p.names, p.attrs = p.names[:0], p.attrs[:0]
	p.open = append(p.open, e)
	var value span // of the attribute value, which is looked at last
	for at := end; ; {
		next := skipSpace(raw, at)
		switch {
		case next >= len(raw):
			return 0, &Refusal{ReasonXML, int64(i)}
		case raw[next] == '>':
			return next + 1, p.valued(value)
		case raw[next] == '/' && next+1 < len(raw) && raw[next+1] == '>':
			r := p.valued(value)
			p.tags++
			p.leave()
			p.closed = len(p.open) == 0
			return next + 2, r
		case next == at:
			return 0, &Refusal{ReasonXML, int64(at)}
		}
		r := p.attribute(next, &at, &value)
		if r != nil {
			return 0, r
		}
	}
}

// attribute reads name="value" at i and sets at to where it ends.
func (p *xmlReader) attribute(i int, at *int, value *span) *Refusal {
	raw := p.raw
	if r := p.count(i); r != nil {
		return r
	}
	name := span{i, p.name(i)}
	equals := skipSpace(raw, name.to)
	if name.to == i || equals >= len(raw) || raw[equals] != '=' {
		return &Refusal{ReasonXML, int64(i)}
	}
	from := skipSpace(raw, equals+1)
	if from >= len(raw) || raw[from] != '"' && raw[from] != '\'' {
		return &Refusal{ReasonXML, int64(i)}
	}
	n := bytes.IndexByte(raw[from+1:], raw[from])
	if n < 0 || bytes.IndexByte(raw[from+1:from+1+n], '<') >= 0 {
		return &Refusal{ReasonXML, int64(i)}
	}
	from++
	*at = from + n + 1
	if len(p.names) > 0 {
		for _, other := range p.names[max(0, len(p.names)-maxAttributes):] {
			if bytes.Equal(raw[other.from:other.to], raw[i:name.to]) {
				return &Refusal{ReasonXML, int64(i)}
			}
		}
	}
	if p.names = append(p.names, name); len(p.names) > maxAttributes {
		return &Refusal{ReasonValues, int64(i)}
	}
	text := raw[from : from+n]
	if string(text) == "http://www.w3.org/2001/XInclude" {
		return &Refusal{ReasonXMLExternal, int64(from)}
	}
	switch string(raw[i:name.to]) {
	case "name", "key", "label":
		p.open[len(p.open)-1].key = span{from, from + n}
	case "value":
		*value = span{from, from + n}
		return nil
	}
	return p.attributeText(span{from, from + n}, name, true)
}

// maxAttributes bounds the attributes of one element, whose names are compared
// with each other.
const maxAttributes = 256

// valued looks at the attribute value, which the attribute name names.
func (p *xmlReader) valued(value span) *Refusal {
	e := p.open[len(p.open)-1]
	if value.to > 0 {
		if r := p.attributeText(value, e.key, false); r != nil {
			return r
		}
		p.part(&p.attr, style{write: writeAttribute})
	}
	p.details(p.attrs, p.local(e.name), e.found, e.name.from)
	return nil
}

// attributeText looks at the value of an attribute. own says that key is its name.
func (p *xmlReader) attributeText(text, key span, own bool) *Refusal {
	p.attr.reset()
	if r := p.chars(&p.attr, text.from, text.to); r != nil {
		return r
	}
	if len(p.attr.text) >= 3 || p.masks != nil {
		p.inAttribute = span{}
		if own {
			p.inAttribute = key
		}
		p.scan(&p.attr, p.hint(key), style{write: writeAttribute})
	}
	if own {
		p.inAttribute = key
		if d := p.detailOf(&p.attr, p.local(key), len(p.names), style{write: writeAttribute}); d != nil && len(p.attrs) < maxParts {
			p.attrs = append(p.attrs, *d)
		}
	}
	p.inAttribute = span{}
	return nil
}

// hint hands a name over; only its end decides.
func (p *xmlReader) hint(key span) detect.Hint {
	return detect.Hint{Key: string(p.raw[max(key.from, key.to-keyTail):key.to])}
}

// place is a JSON Pointer over the names of the open elements, of which the middle is
// left out as in the paths of JSON.
func (p *xmlReader) place() string {
	var b strings.Builder
	long := 0
	for _, e := range p.open {
		long += 1 + e.name.to - e.name.from
	}
	if long > maxAround {
		b.WriteString(p.longPlace())
	} else {
		for _, e := range p.open {
			b.WriteByte('/')
			b.WriteString(escapePointer(string(p.raw[e.name.from:e.name.to])))
		}
	}
	if a := p.inAttribute; a.to > 0 {
		b.WriteString("/@")
		b.WriteString(escapePointer(string(p.raw[a.from:a.to])))
	}
	return b.String()
}

// inGuarded reports whether an open element has a guarded name, or an attribute that names
// what is in it.
func (p *xmlReader) inGuarded(g *Guard) bool {
	return slices.ContainsFunc(p.open, func(e xmlElement) bool {
		return g.names(string(p.raw[e.name.from:e.name.to])) || g.names(string(p.raw[e.key.from:e.key.to]))
	})
}

// longPlace reads no more of the names than stays.
func (p *xmlReader) longPlace() string {
	var head, tail string
	for i := 0; i < len(p.open) && len(head) < maxAround; i++ {
		n := p.open[i].name
		head += "/" + escapePointer(string(p.raw[n.from:min(n.to, n.from+maxAround)]))
	}
	for i := len(p.open) - 1; i >= 0 && len(tail) < maxAround; i-- {
		n := p.open[i].name
		name := escapePointer(string(p.raw[max(n.from, n.to-maxAround):n.to]))
		if n.to-n.from <= maxAround {
			name = "/" + name
		}
		tail = name + tail
	}
	return shortened(head + tail)
}

// escapePointer escapes one token of a JSON Pointer.
func escapePointer(token string) string {
	if !strings.ContainsAny(token, "~/") {
		return token
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}

// flush ends the text in front of the tag at i. leaf says that it is all that is in its
// element.
func (p *xmlReader) flush(i int, leaf bool) {
	blank := len(bytes.TrimLeft(p.run.text, " \t\r\n")) == 0
	if !blank && len(p.open) > 0 {
		key, first := p.open[len(p.open)-1].key, len(p.Findings)
		if len(p.run.text) >= 3 || p.masks != nil {
			p.scan(&p.run, p.hint(key), style{write: writeHTML})
		}
		if leaf {
			p.located(first)
		}
		if p.tags > 1 && len(p.all.text) > 0 {
			p.all.gap("\n", i, i)
		}
		base := len(p.all.text)
		p.runs = append(p.runs, xmlRun{base, key})
		for _, c := range p.run.pieces {
			c.at += int32(base)
			p.all.pieces = append(p.all.pieces, c)
		}
		p.all.text = append(p.all.text, p.run.text...)
		p.tags = 0
	}
	p.tags++
	p.run.reset()
}

// whole looks at the document as one text: for numbers that run over elements and
// for those that only words outside their element explain.
func (p *xmlReader) whole() {
	if p.masks != nil || len(p.runs) < 2 {
		return
	}
	p.found = p.det.Text(p.found[:0], p.all.text, detect.Hint{})
	if len(p.found) == 0 {
		return
	}
	known := slices.Clone(p.Findings)
	slices.SortFunc(known, func(a, b redact.Finding) int { return a.Start - b.Start })
	for i, f := range p.found {
		start, end := p.all.raw(f.Start, f.End)
		first, _ := slices.BinarySearchFunc(known, start, func(k redact.Finding, at int) int {
			if k.End <= at {
				return -1
			}
			return 1
		})
		if first < len(known) && known[first].Start < end {
			continue
		}
		run, same := slices.BinarySearchFunc(p.runs, f.Start, func(r xmlRun, at int) int { return r.at - at })
		if !same {
			run--
		}
		alone := run+1 == len(p.runs) || f.End <= p.runs[run+1].at
		if alone && detect.NamesID(p.hint(p.runs[run].key).Key) {
			continue
		}
		p.keep(&p.all, style{write: writeHTML}, p.found[i:i+1])
	}
}
