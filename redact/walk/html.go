package walk

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// htmlReader reads HTML as a browser shows it: the text of the whole document is
// one, tags inside a line leave nothing, ends of blocks leave a line break, cells
// a tab, runs of white space a blank. Attributes, comments, scripts and styles
// are texts of their own. Broken HTML is not refused, because every browser
// agrees on how it is read (HTML standard, section 13.2.5); bytes that one leaves
// out and another shows are.
type htmlReader struct {
	collector
	body joined // what is shown
	attr joined
	rest joined // a comment or script

	all   []htmlAttribute
	known references

	tab htmlTable
	ids []span // cells of the body that hold identifiers, by their column
}

func (p *htmlReader) document() *Refusal {
	if at := invalidUTF8(p.raw); at >= 0 {
		return &Refusal{ReasonUTF8, int64(at)}
	}
	// NUL vanishes or not; ESC begins full-width digits for those who believe a
	// charset in the document.
	if at := bytes.IndexAny(p.raw, "\x00\x1b"); at >= 0 {
		return &Refusal{ReasonHTML, int64(at)}
	}
	p.body.text = make([]byte, 0, len(p.raw))
	p.tab.cell = -1
	z := html.NewTokenizer(bytes.NewReader(p.raw))
	var raw string // the element whose content is no markup
	pos := 0
	for {
		kind := z.Next()
		from := pos
		pos += len(z.Raw())
		switch kind {
		case html.ErrorToken:
			// A tag that nobody closed: left out by browsers, shown by others.
			p.rest.reset()
			p.rest.copy(p.raw, from, len(p.raw))
			p.scan(&p.rest, detect.Hint{}, style{write: writeHTML})
			p.shown()
			return nil
		case html.TextToken:
			switch raw {
			case "script", "style", "iframe", "noembed", "noframes", "xmp", "plaintext":
				p.rest.reset()
				p.rest.copy(p.raw, from, pos)
				p.scan(&p.rest, detect.Hint{}, style{write: asText})
			default:
				p.text(from, pos)
			}
			continue // the end tag of raw is still to come
		case html.CommentToken, html.DoctypeToken:
			p.rest.reset()
			p.rest.copy(p.raw, from, pos)
			p.scan(&p.rest, detect.Hint{}, style{write: asText})
			continue
		}
		if r := p.count(from); r != nil {
			return r
		}
		name, _ := z.TagName()
		raw = ""
		if kind == html.StartTagToken {
			raw = rawElement(name)
		}
		p.break_(shownAs(name), from, pos)
		if kind != html.EndTagToken {
			if r := p.attributes(from+1+len(name), pos); r != nil {
				return r
			}
		}
		p.table(name, kind == html.EndTagToken)
	}
}

// rawElement names the elements in which the tokenizer sees no tags.
func rawElement(name []byte) string {
	switch s := string(name); s {
	case "script", "style", "iframe", "noembed", "noframes", "xmp", "plaintext":
		return s
	}
	return ""
}

// shownAs returns what the border of an element looks like to a reader.
func shownAs(name []byte) string {
	switch string(name) {
	case "td", "th":
		return "\t"
	case "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "label", "mark", "nobr", "o:p",
		"q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "img", "script", "style", "template", "noscript", "link", "meta":
		return ""
	}
	return "\n"
}

// break_ adds the border of an element. Borders and white space beside it are one.
func (p *htmlReader) break_(as string, from, to int) {
	if as == "" || len(p.body.text) == 0 {
		return
	}
	if b := p.body.text[len(p.body.text)-1]; b == '\n' || b == '\t' {
		return
	}
	p.body.gap(as, from, to)
}

// text adds raw[from:to] to what is shown.
func (p *htmlReader) text(from, to int) {
	raw := p.raw
	for i := from; i < to; {
		begin := i
		for i < to && raw[i] != '&' && !htmlSpace(raw[i]) {
			i++
		}
		p.body.copy(raw, begin, i)
		if i == to {
			return
		}
		if raw[i] == '&' {
			i += p.entity(&p.body, i, to)
			continue
		}
		begin = i
		for i < to && htmlSpace(raw[i]) {
			i++
		}
		n := len(p.body.text)
		switch {
		case n == 0 || htmlSpace(p.body.text[n-1]): // nothing more is shown
		case i == begin+1 && raw[begin] == ' ':
			p.body.copy(raw, begin, i)
		default:
			p.body.code([]byte(" "), begin, i)
		}
	}
}

func htmlSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' || b == '\f' }

// entity adds the character reference at raw[i], or the ampersand that begins
// none, and returns how many bytes it takes.
func (p *htmlReader) entity(j *joined, i, end int) int {
	var buf [utf8.UTFMax]byte
	size, text := p.known.reference(p.raw[i:end], buf[:0])
	if size == 0 {
		j.copy(p.raw, i, i+1)
		return 1
	}
	j.code(text, i, i+size)
	return size
}

// references are names that were looked up before.
type references map[string]resolved

type resolved struct {
	size int // 0 where the name is none
	text string
}

// maxReferences bounds how many names are remembered.
const maxReferences = 512

// maxReference bounds the name of a character reference: the longest of the HTML
// standard has 32 characters with its semicolon.
const maxReference = 33

// reference reads the character reference at the begin of raw, which is an
// ampersand, and appends what it stands for. size is 0 when there is none.
func (known references) reference(raw, dst []byte) (size int, _ []byte) {
	if len(raw) < 3 {
		return 0, dst
	}
	if raw[1] == '#' {
		return numeric(raw, dst)
	}
	n := 1
	for n < len(raw) && n < maxReference && (raw[n]-'0' <= 9 || (raw[n]|0x20)-'a' < 26) {
		n++
	}
	if n < 3 {
		return 0, dst
	}
	if n < len(raw) && raw[n] == ';' {
		n++
	}
	is, ok := known[string(raw[:n])]
	if !ok {
		is = resolve(string(raw[:n]))
		if len(known) < maxReferences {
			known[string(raw[:n])] = is
		}
	}
	return is.size, append(dst, is.text...)
}

// resolve asks the library what a name stands for.
func resolve(name string) resolved {
	is := html.UnescapeString(name)
	if is == name {
		return resolved{}
	}
	// A name may end before the run does: "&nbsp4".
	k := 0
	for k < len(is) && k < len(name) && is[len(is)-1-k] == name[len(name)-1-k] {
		k++
	}
	return resolved{len(name) - k, is[:len(is)-k]}
}

// numeric reads &#52; and &#x34;, with any number of leading zeros and with or
// without the semicolon.
func numeric(raw, dst []byte) (size int, _ []byte) {
	n, base := 2, rune(10)
	if raw[2]|0x20 == 'x' {
		n, base = 3, 16
	}
	first, value := n, rune(0)
	for ; n < len(raw); n++ {
		v := hexValue(raw[n])
		if v < 0 || rune(v) >= base {
			break
		}
		if value <= utf8.MaxRune {
			value = value*base + rune(v)
		}
	}
	if n == first {
		return 0, dst
	}
	if n < len(raw) && raw[n] == ';' {
		n++
	}
	switch {
	case value >= 0x80 && value < 0xA0:
		// Read as windows-1252 (HTML standard, section 13.2.5.80).
		return n, append(dst, html.UnescapeString("&#"+strconv.Itoa(int(value))+";")...)
	case value == 0 || value > utf8.MaxRune || value >= 0xD800 && value < 0xE000:
		value = utf8.RuneError
	}
	return n, utf8.AppendRune(dst, value)
}

// htmlAttribute is an attribute of the tag being read.
type htmlAttribute struct {
	name, value span
	quote       byte
}

// attributes reads those of the tag that ends at end, whose name ends at i.
func (p *htmlReader) attributes(i, end int) *Refusal {
	p.all = p.all[:0]
	raw := p.raw[:end]
	var key span // the value of the attribute name
	for i < end {
		for i < end && (htmlSpace(raw[i]) || raw[i] == '/') {
			i++
		}
		if i >= end-1 {
			break // the bracket
		}
		a := htmlAttribute{name: span{i, i}}
		for i++; i < end && !htmlSpace(raw[i]) && raw[i] != '/' && raw[i] != '>' && raw[i] != '='; i++ {
		}
		a.name.to = i
		if r := p.count(a.name.from); r != nil {
			return r
		}
		if i-a.name.from >= shortestFinding {
			p.hidden(a.name.from, i)
		}
		for i < end && htmlSpace(raw[i]) {
			i++
		}
		if i == end || raw[i] != '=' {
			continue
		}
		for i++; i < end && htmlSpace(raw[i]); i++ {
		}
		a.value = span{i, i}
		switch {
		case i == end:
		case raw[i] == '"' || raw[i] == '\'':
			a.quote = raw[i]
			n := bytes.IndexByte(raw[i+1:], a.quote)
			if n < 0 {
				return &Refusal{ReasonHTML, int64(i)}
			}
			a.value = span{i + 1, i + 1 + n}
			i = a.value.to + 1
		default:
			for i < end && !htmlSpace(raw[i]) && raw[i] != '>' {
				i++
			}
			a.value.to = i
		}
		if p.isName(a.name, "name") {
			key = a.value
		}
		p.all = append(p.all, a)
	}
	for _, a := range p.all {
		if a.value.to-a.value.from >= 3 {
			p.attribute(a, key)
		}
	}
	return nil
}

// isName compares a name without regard to case.
func (p *htmlReader) isName(name span, is string) bool {
	return name.to-name.from == len(is) && strings.EqualFold(string(p.raw[name.from:name.to]), is)
}

// attribute looks at the value of an attribute. Key is what the tag calls it.
func (p *htmlReader) attribute(a htmlAttribute, key span) {
	raw := p.raw
	p.attr.reset()
	for k := a.value.from; k < a.value.to; {
		n := bytes.IndexByte(raw[k:a.value.to], '&')
		if n < 0 {
			n = a.value.to - k
		}
		p.attr.copy(raw, k, k+n)
		if k += n; k < a.value.to {
			k += p.entity(&p.attr, k, a.value.to)
		}
	}
	var buf [keyTail]byte
	name := buf[:copy(buf[:], raw[a.name.from:a.name.to])]
	for i, b := range name {
		if b-'A' < 26 {
			name[i] = b | 0x20
		}
	}
	st := style{write: writeAttribute}
	if a.quote == 0 {
		st.write = writeUnquoted
	}
	name = bytes.TrimPrefix(name, []byte("data-"))
	id := false
	switch string(name) {
	case "value", "content":
		name = raw[max(key.from, key.to-keyTail):key.to]
	case "alt", "title", "placeholder", "label", "summary", "href", "src", "action", "cite", "background", "poster", "longdesc", "srcdoc":
		name = nil
	case "id", "class", "style", "name", "for", "form", "headers", "width", "height", "srcset", "sizes", "integrity", "nonce", "usemap", "rel":
		id = true
	}
	p.scan(&p.attr, detect.Hint{Key: string(name), ID: id}, st)
}

// hidden looks at the name of an attribute, which nobody shows and nothing edits.
func (p *htmlReader) hidden(from, to int) {
	p.rest.reset()
	p.rest.copy(p.raw, from, to)
	p.scan(&p.rest, detect.Hint{}, style{write: asText, place: redact.PlaceKey, never: true})
}

// writeHTML is the encoder of text between tags.
func writeHTML(dst, text []byte) []byte {
	for _, b := range text {
		switch b {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// writeAttribute is the encoder of attributes in quotation marks.
func writeAttribute(dst, text []byte) []byte {
	for i, b := range text {
		switch b {
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = writeHTML(dst, text[i:i+1])
		}
	}
	return dst
}

// writeUnquoted is the encoder of attributes without.
func writeUnquoted(dst, text []byte) []byte {
	for i, b := range text {
		switch b {
		case '`', '=', ' ', '\t', '\n', '\r', '\f', '/':
			dst = append(strconv.AppendInt(append(dst, "&#"...), int64(b), 10), ';')
		default:
			dst = writeAttribute(dst, text[i:i+1])
		}
	}
	return dst
}
