package walk

import "bytes"

// Guess returns the kind that text looks like, for callers that have no content
// type. It may be wrong, and text of the kind may still be refused: then it is
// Text. It reads the begin, and the whole only where a kind shows by all of its
// lines.
func Guess(text []byte) Kind {
	begin := text[skipSpace(text, 0):]
	switch {
	case len(begin) == 0:
		return Text
	case begin[0] == '{' || begin[0] == '[':
		if severalDocuments(begin) {
			return NDJSON
		}
		if looksTranscript(begin) {
			return Transcript
		}
		return JSON
	case begin[0] == '<':
		return guessMarkup(begin)
	case bytes.HasPrefix(begin, []byte("--")) && firstBoundary(text) != "":
		return Multipart
	case looksEvents(text):
		return SSE
	case looksMail(text):
		return MIME
	case looksForm(text):
		return Form
	case looksCSV(text):
		return CSV
	case hasTags(text):
		return HTML
	}
	return Text
}

// severalDocuments reports whether the first line is a document that the second
// does not go on with.
func severalDocuments(text []byte) bool {
	line, rest, ok := bytes.Cut(text, []byte("\n"))
	if line = bytes.TrimRight(line, " \t\r"); !ok || len(line) < 2 {
		return false
	}
	rest = rest[skipSpace(rest, 0):]
	return (line[len(line)-1] == '}' || line[len(line)-1] == ']') && len(rest) > 0 && (rest[0] == '{' || rest[0] == '[')
}

// looksTranscript reports whether a JSON text has the names of a transcript.
func looksTranscript(text []byte) bool {
	has := func(name string) bool { return bytes.Contains(text, []byte(name)) }
	return has(`"Transcript"`) && has(`"Content"`) || has(`"sentences"`) && has(`"transcript"`) || has(`"utterances"`)
}

// guessMarkup tells XML from HTML by how it begins.
func guessMarkup(text []byte) Kind {
	switch {
	case bytes.HasPrefix(text, []byte("<?xml")):
		return XML
	case len(text) > 1 && (text[1] == '!' || text[1] == '/'):
		return HTML
	}
	name := text[1:]
	n := 0
	for n < len(name) && n < 16 && (name[n]|0x20)-'a' < 26 {
		n++
	}
	switch {
	case n == 0:
		return Text
	case htmlElement(name[:n]):
		return HTML
	}
	return XML
}

// htmlElement reports whether name is one of the elements that messages have.
func htmlElement(name []byte) bool {
	switch string(bytes.ToLower(name)) {
	case "html", "head", "body", "p", "div", "span", "br", "b", "i", "u", "a", "em", "strong", "font", "table", "tr", "td", "th", "ul", "ol", "li", "h", "img", "hr",
		"pre", "code", "blockquote", "style", "script", "input", "form", "wbr", "center", "section", "article", "sup", "sub", "small", "label":
		return true
	}
	return false
}

// hasTags reports whether text has a tag of HTML in it.
func hasTags(text []byte) bool {
	for tries := 0; tries < 1000; tries++ {
		i := bytes.IndexByte(text, '<')
		if i < 0 {
			return false
		}
		text = text[i+1:]
		name := bytes.TrimPrefix(text[:min(len(text), 16)], []byte("/"))
		n := 0
		for n < len(name) && (name[n]|0x20)-'a' < 26 {
			n++
		}
		if n < len(name) && (name[n] == '>' || name[n] == '/' || htmlSpace(name[n])) && htmlElement(name[:n]) {
			return true
		}
	}
	return false
}

// looksEvents reports whether the first lines are fields of an event stream, with
// data among them.
func looksEvents(text []byte) bool {
	data := false
	for i, n := 0, 0; i < len(text) && n < 50; n++ {
		end, next := sseLine(text, i)
		name, _, ok := bytes.Cut(text[i:end], []byte(":"))
		switch i = next; string(name) {
		case "data":
			data = data || ok
		case "":
			if !ok && end < next && n == 0 {
				return false
			}
		case "event", "id", "retry":
		default:
			return false
		}
	}
	return data
}

// looksMail reports whether text begins with headers, two of which every mail may
// have.
func looksMail(text []byte) bool {
	known := 0
	for n := 0; n < 200; n++ {
		line, rest, ok := bytes.Cut(text, []byte("\n"))
		text = rest
		switch line = bytes.TrimRight(line, "\r"); {
		case !ok:
			return false
		case len(line) == 0:
			return known >= 2
		case line[0] == ' ' || line[0] == '\t' || n == 0 && bytes.HasPrefix(line, []byte("From ")):
			continue
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isToken(name) {
			return false
		}
		switch string(bytes.ToLower(name)) {
		case "from", "to", "subject", "date", "message-id", "received", "return-path", "delivered-to", "mime-version", "content-type", "content-transfer-encoding", "reply-to", "dkim-signature":
			known++
		}
	}
	return false
}

// looksForm reports whether text is pairs without white space, at least two of
// them or one with an escape.
func looksForm(text []byte) bool {
	if len(text) > 1<<20 || bytes.ContainsAny(text, " \t\r\n<>\"{};") {
		return false
	}
	pairs := 0
	for pair := range bytes.SplitSeq(text, []byte("&")) {
		name, value, ok := bytes.Cut(pair, []byte("="))
		if !ok || len(name) == 0 || len(name) > 128 || bytes.HasPrefix(name, []byte("http")) {
			return false
		}
		pairs++
		if bytes.ContainsAny(value, "%+") {
			pairs++
		}
	}
	return pairs >= 2
}

// looksCSV reports whether text is a table: names of columns, and records of as
// many cells. People write a blank behind a comma, programs do not.
func looksCSV(text []byte) bool {
	p := csvReader{collector: collector{Doc: &Doc{raw: text, limits: Limits{Values: 1000}}}}
	start := 0
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		start = 3
	}
	p.separator = separatorOf(text[start:])
	columns := 0
	for i := start; i < len(text); p.row++ {
		next, r := p.record(i)
		switch {
		case r != nil:
			return false
		case p.row == 0:
			columns = len(p.cells)
			if p.header(); columns < 2 || len(p.names) != columns {
				return false
			}
			for _, name := range p.names {
				if name != "" && name[0] == ' ' {
					return false
				}
			}
		case len(p.cells) != columns:
			return false
		}
		i = next
	}
	return p.row >= 2
}
