package walk

import (
	"bytes"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// mimeReader reads a mail (RFC 5322) with its parts (RFC 2045 to 2049). Texts are
// read in their transfer encoding and charset, and edited in them; a part in
// which nothing is found stays byte for byte. What two readers would take apart
// differently is refused: a header of the structure twice, a boundary that is not
// there, begins another or is continued, broken base64. A signature over a part
// that is edited, DKIM's among them, no longer holds.
type mimeReader struct {
	collector
	head       joined
	boundaries []string // of the multipart entities around
}

// maxMailDepth bounds parts in parts; each level is one more pass over what is
// in it.
const maxMailDepth = 16

func (p *mimeReader) document() *Refusal {
	if at := bytes.IndexByte(p.raw, 0); at >= 0 {
		return &Refusal{ReasonMIME, int64(at)}
	}
	return p.entity(0, len(p.raw), "", "text/plain")
}

// entity is what the headers say about a body.
type entity struct {
	media    string
	params   map[string]string
	transfer string // in lower case
	seen     map[string]bool
}

// entity reads the headers and the body in raw[from:to]. media is what a body
// without a type is.
func (p *mimeReader) entity(from, to int, path, media string) *Refusal {
	if p.nested+len(p.boundaries) > maxMailDepth {
		return &Refusal{ReasonDepth, int64(from)}
	}
	e := entity{media: media, seen: map[string]bool{}}
	body, r := p.headers(&e, from, to, path)
	if r != nil {
		return r
	}
	switch e.transfer {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
	default:
		p.unread(body, to, e.media)
		return nil
	}
	identity := e.transfer != "base64" && e.transfer != "quoted-printable"
	switch {
	case strings.HasPrefix(e.media, "multipart/"):
		if !identity {
			return &Refusal{ReasonMIME, int64(body)}
		}
		return p.multipart(&e, body, to, path)
	case e.media == "message/rfc822" && identity:
		p.boundaries = append(p.boundaries, "")
		r := p.entity(body, to, path, "text/plain")
		p.boundaries = p.boundaries[:len(p.boundaries)-1]
		return r
	}
	return p.leaf(&e, body, to, path)
}

func (p *mimeReader) unread(from, to int, media string) {
	if len(bytes.TrimSpace(p.raw[from:to])) > 0 {
		p.notRead(from, to, media)
	}
}

// multipart takes raw[from:to] apart.
func (p *mimeReader) multipart(e *entity, from, to int, path string) *Refusal {
	boundary := e.params["boundary"]
	if !validBoundary(boundary) {
		return &Refusal{ReasonMIME, int64(from)}
	}
	for _, outer := range p.boundaries {
		if outer != "" && (strings.HasPrefix(outer, boundary) || strings.HasPrefix(boundary, outer)) {
			return &Refusal{ReasonMIME, int64(from)}
		}
	}
	media := "text/plain"
	if e.media == "multipart/digest" {
		media = "message/rfc822"
	}
	p.boundaries = append(p.boundaries, boundary)
	defer func() { p.boundaries = p.boundaries[:len(p.boundaries)-1] }()
	delimiter := []byte("--" + boundary)
	begin, n := from, -1 // of the part being read; -1 is the preamble
	for at := from; ; {
		i := bytes.Index(p.raw[at:to], delimiter)
		if i < 0 {
			return &Refusal{ReasonMIME, int64(to)}
		}
		i += at
		at = i + len(delimiter)
		if i > from && p.raw[i-1] != '\n' {
			continue
		}
		last := bytes.HasPrefix(p.raw[at:to], []byte("--"))
		line := at
		if last {
			line += 2
		}
		next := skipBlanks(p.raw, line, to)
		switch {
		case next == to && last:
		case next < to && p.raw[next] == '\n':
			next++
		case next+1 < to && p.raw[next] == '\r' && p.raw[next+1] == '\n':
			next += 2
		default:
			return &Refusal{ReasonMIME, int64(i)}
		}
		if r := p.count(i); r != nil {
			return r
		}
		end := i
		if end > begin { // the line end in front belongs to the boundary
			end--
			if end > begin && p.raw[end-1] == '\r' {
				end--
			}
		}
		var r *Refusal
		if n < 0 {
			r = p.aside(begin, end)
		} else {
			r = p.entity(begin, end, path+"/"+strconv.Itoa(n), media)
		}
		if r != nil {
			return r
		}
		if n++; last {
			return p.aside(next, to)
		}
		begin, at = next, next
	}
}

// aside looks at text beside the parts, which some readers show.
func (p *mimeReader) aside(from, to int) *Refusal {
	if len(bytes.TrimSpace(p.raw[from:to])) == 0 {
		return nil
	}
	return p.inner(quotedText, from, to, "")
}

// leaf reads a body that is no container.
func (p *mimeReader) leaf(e *entity, from, to int, path string) *Refusal {
	if from == to {
		return nil
	}
	kind := p.kind(e)
	if kind == Auto {
		p.unread(from, to, e.media)
		return nil
	}
	pt := part{start: from, end: to, path: path}
	text := p.raw[from:to]
	switch e.transfer {
	case "quoted-printable":
		plain, bad := quotedPrintable{}.decode(text)
		if bad >= 0 {
			return &Refusal{ReasonMIMEEncoding, int64(from + bad)}
		}
		pt.layers, text = append(pt.layers, quotedPrintable{}), plain
	case "base64":
		plain, ok := base64Lines{}.decode(text)
		if !ok {
			return &Refusal{ReasonMIMEEncoding, int64(from)}
		}
		pt.layers, text = append(pt.layers, base64Lines{}), plain
	}
	c, ok := charsetOf(e.params["charset"])
	if !ok {
		return &Refusal{ReasonCharset, int64(from)}
	}
	if c == nil && !strings.HasPrefix(strings.ToLower(e.params["charset"]), "utf") && !utf8.Valid(text) {
		c = &charset{enc: charmap.Windows1252} // as every reader takes bytes that it was not told about
	}
	if c != nil && kind != MIME {
		plain, ok := c.decode(text)
		if !ok {
			return &Refusal{ReasonCharset, int64(from)}
		}
		if len(pt.layers) > 0 {
			pt.texts = append(pt.texts, text)
		}
		pt.layers, text = append(pt.layers, c), plain
	}
	doc := &Doc{Kind: kind, raw: text, det: p.det, limits: p.limits, nested: p.nested + len(p.boundaries) + 1}
	switch r := refusalOf(doc.read(nil)); {
	case r == nil:
		pt.doc = doc
		p.addPart(pt)
	case kind == quotedText || kind == flowedText || kind == MIME:
		return &Refusal{r.Reason, int64(from)}
	default:
		// An attachment that is not what it says: the mail can be read without it.
		p.unread(from, to, e.media)
	}
	return nil
}

// kind returns what a leaf is read as, Auto for nothing.
func (p *mimeReader) kind(e *entity) Kind {
	kind, ok := KindOf(e.media)
	switch {
	case e.media == "text/plain":
		if strings.EqualFold(e.params["format"], "flowed") {
			if strings.EqualFold(e.params["delsp"], "yes") {
				return flowedTight
			}
			return flowedText
		}
		return quotedText
	case ok && kind != Multipart && kind != NDJSON:
		return kind
	case strings.HasPrefix(e.media, "text/"), strings.HasPrefix(e.media, "message/"), e.media == "application/pgp-signature":
		return quotedText
	}
	return Auto
}

// mediaType reads a Content-Type.
func mediaType(value string) (media string, params map[string]string, ok bool) {
	media, params, err := mime.ParseMediaType(value)
	if err != nil || !strings.Contains(media, "/") {
		return "", nil, false
	}
	lower := strings.ToLower(value)
	// Only some readers put continued parameters together (RFC 2231).
	return media, params, !strings.Contains(lower, "boundary*") && !strings.Contains(lower, "charset*")
}
