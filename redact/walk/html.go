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
			p.scan(&p.rest, where{write: writeHTML})
			p.scan(&p.body, where{write: writeHTML})
			return nil
		case html.TextToken:
			switch raw {
			case "script", "style", "iframe", "noembed", "noframes", "xmp", "plaintext":
				p.rest.reset()
				p.rest.copy(p.raw, from, pos)
				p.scan(&p.rest, where{write: asText})
			default:
				p.text(from, pos)
			}
			continue // the end tag of raw is still to come
		case html.CommentToken, html.DoctypeToken:
			p.rest.reset()
			p.rest.copy(p.raw, from, pos)
			p.scan(&p.rest, where{write: asText})
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
			if r := p.attributes(name, from+1+len(name), pos); r != nil {
				return r
			}
		}
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
			i += p.body.entity(raw, i, to)
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
func (j *joined) entity(raw []byte, i, end int) int {
	var buf [utf8.UTFMax]byte
	size, text := reference(raw[i:end], buf[:0])
	if size == 0 {
		j.copy(raw, i, i+1)
		return 1
	}
	j.code(text, i, i+size)
	return size
}

// maxReference bounds the name of a character reference: the longest of the HTML
// standard has 32 characters with its semicolon.
const maxReference = 33

// reference reads the character reference at the begin of raw, which is an
// ampersand, and appends what it stands for. size is 0 when there is none.
func reference(raw, dst []byte) (size int, _ []byte) {
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
	switch string(raw[:n]) {
	case "&amp;":
		return n, append(dst, '&')
	case "&nbsp;":
		return n, append(dst, "\u00a0"...)
	}
	name := string(raw[:n])
	is := html.UnescapeString(name)
	if is == name {
		return 0, dst
	}
	// A name may end before the run does: "&nbsp4".
	k := 0
	for k < len(is) && k < n && is[len(is)-1-k] == name[n-1-k] {
		k++
	}
	return n - k, append(dst, is[:len(is)-k]...)
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

// attributes reads those of the tag whose name ends at i.
func (p *htmlReader) attributes(tag []byte, i, end int) *Refusal {
	type attribute struct {
		name     string
		from, to int
		quote    byte
	}
	var mem [16]attribute
	all, key := mem[:0], ""
	raw := p.raw[:end]
	for i < end {
		for i < end && (htmlSpace(raw[i]) || raw[i] == '/') {
			i++
		}
		if i >= end-1 {
			break // the bracket
		}
		begin := i
		for i++; i < end && !htmlSpace(raw[i]) && raw[i] != '/' && raw[i] != '>' && raw[i] != '='; i++ {
		}
		a := attribute{name: strings.ToLower(string(raw[begin:min(i, begin+keyTail)]))}
		for i < end && htmlSpace(raw[i]) {
			i++
		}
		if i == end || raw[i] != '=' {
			a.from, a.to = begin, begin
			if i-begin >= shortestFinding {
				p.hidden(begin, i)
			}
			continue
		}
		if i-begin >= shortestFinding {
			p.hidden(begin, i)
		}
		for i++; i < end && htmlSpace(raw[i]); i++ {
		}
		switch {
		case i == end:
		case raw[i] == '"' || raw[i] == '\'':
			a.quote = raw[i]
			a.from = i + 1
			n := bytes.IndexByte(raw[a.from:], a.quote)
			if n < 0 {
				return &Refusal{ReasonHTML, int64(i)}
			}
			a.to = a.from + n
			i = a.to + 1
		default:
			a.from = i
			for i < end && !htmlSpace(raw[i]) && raw[i] != '>' {
				i++
			}
			a.to = i
		}
		if r := p.count(begin); r != nil {
			return r
		}
		if a.name == "name" {
			key = string(raw[a.from:a.to])
		}
		all = append(all, a)
	}
	for _, a := range all {
		if a.to-a.from < 3 {
			continue
		}
		p.attr.reset()
		for k := a.from; k < a.to; {
			begin := k
			for k < a.to && raw[k] != '&' {
				k++
			}
			p.attr.copy(raw, begin, k)
			if k < a.to {
				k += p.attr.entity(raw, k, a.to)
			}
		}
		w := where{hint: detect.Hint{Key: strings.TrimPrefix(a.name, "data-")}, write: writeAttribute(a.quote)}
		switch a.name {
		case "value", "content":
			w.hint.Key = key
		case "alt", "title", "placeholder", "label", "summary", "href", "src", "action", "cite", "background", "poster", "longdesc", "srcdoc":
			w.hint.Key = ""
		case "id", "class", "style", "name", "for", "form", "headers", "width", "height", "srcset", "sizes", "integrity", "nonce", "usemap", "rel":
			w.hint.ID = true
		}
		p.scan(&p.attr, w)
	}
	return nil
}

// hidden looks at the name of an attribute, which nobody shows and nothing edits.
func (p *htmlReader) hidden(from, to int) {
	p.rest.reset()
	p.rest.copy(p.raw, from, to)
	p.scan(&p.rest, where{write: asText, place: redact.PlaceKey, never: true})
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

// writeAttribute returns the encoder of an attribute in the given quotes, 0 for
// none.
func writeAttribute(quote byte) encoder {
	return func(dst, text []byte) []byte {
		for _, b := range text {
			switch {
			case b == '"':
				dst = append(dst, "&#34;"...)
			case b == '\'':
				dst = append(dst, "&#39;"...)
			case b == '`' && quote == 0:
				dst = append(dst, "&#96;"...)
			case b == '=' && quote == 0:
				dst = append(dst, "&#61;"...)
			case b == ' ' && quote == 0:
				dst = append(dst, "&#32;"...)
			case b == '\t' && quote == 0:
				dst = append(dst, "&#9;"...)
			case b == '\n' && quote == 0:
				dst = append(dst, "&#10;"...)
			default:
				dst = writeHTML(dst, []byte{b})
			}
		}
		return dst
	}
}
