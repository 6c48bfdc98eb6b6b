package walk

import "strings"

// KindOf returns the kind that bodies of a media type are read as, and whether
// there is one. media is in lower case and without parameters.
func KindOf(media string) (Kind, bool) {
	switch media {
	case "application/x-www-form-urlencoded":
		return Form, true
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		return NDJSON, true
	case "text/plain":
		return Text, true
	case "text/html", "application/xhtml+xml":
		return HTML, true
	case "text/csv", "text/tab-separated-values":
		return CSV, true
	case "multipart/form-data":
		return Multipart, true
	case "text/event-stream":
		return SSE, true
	case "message/rfc822":
		return MIME, true
	case "application/json":
		return JSON, true
	case "application/xml", "text/xml":
		return XML, true
	}
	switch {
	case strings.HasSuffix(media, "+json"):
		return JSON, true
	case strings.HasSuffix(media, "+xml"):
		return XML, true
	}
	return Auto, false
}

// read reads a body made of pieces or parts.
func (c *collector) read() *Refusal {
	switch c.Kind {
	case HTML:
		p := htmlReader{collector: *c, known: references{}}
		return p.document()
	case CSV:
		p := csvReader{collector: *c}
		return p.document()
	case XML:
		p := xmlReader{collector: *c}
		return p.document()
	case Multipart:
		p := multipartReader{collector: *c}
		return p.document()
	case MIME:
		p := mimeReader{collector: *c}
		return p.document()
	case SSE:
		p := sseReader{collector: *c}
		return p.document()
	case Transcript:
		p := transcriptReader{collector: *c}
		return p.document()
	case quotedText, flowedText, flowedTight:
		p := mailTextReader{collector: *c}
		return p.document()
	}
	return nil
}
