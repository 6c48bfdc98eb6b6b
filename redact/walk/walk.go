package walk

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// Kind is the shape of a body.
type Kind uint8

const (
	// Auto is JSON when the text is one JSON object or array, otherwise Text.
	// Only [Any] takes it.
	Auto Kind = iota
	// JSON is one document of RFC 8259.
	JSON
	// Form is application/x-www-form-urlencoded; a query string is one too.
	Form
	// Text is plain text in UTF-8.
	Text
	// NDJSON is one JSON document in each line.
	NDJSON
	// HTML is a document or a fragment of the HTML standard.
	HTML
	// CSV is RFC 4180 with commas, semicolons or tabs.
	CSV
	// XML is one document of XML 1.0.
	XML
	// Multipart is multipart/form-data.
	Multipart
	// MIME is a mail, message/rfc822.
	MIME
	// SSE is a stream of server-sent events, text/event-stream.
	SSE
	// Transcript is JSON with the turns of a call, or Text; its document says which.
	Transcript

	// The texts of a mail; see mailTextReader.
	quotedText
	flowedText
	flowedTight
)

var kindNames = [...]string{"auto", "json", "form", "text", "ndjson", "html", "csv", "xml", "multipart", "mime", "sse", "transcript", "text of a mail", "flowed text", "flowed text without blanks"}

// String returns the name of the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Reasons of a [Refusal].
const (
	ReasonSyntax        = "json_syntax"
	ReasonDuplicate     = "json_duplicate_key"
	ReasonAmbiguous     = "json_ambiguous_key" // two names that differ in case only, and one of them is known
	ReasonSurrogate     = "json_lone_surrogate"
	ReasonTrailing      = "json_trailing_data"
	ReasonBOM           = "json_bom"
	ReasonNUL           = "json_nul"
	ReasonDepth         = "too_deep"
	ReasonValues        = "too_many_values"
	ReasonUTF8          = "invalid_utf8"
	ReasonFormSyntax    = "form_syntax"    // an escape that is none, a control character
	ReasonFormSemicolon = "form_semicolon" // some parsers split there, others do not
	ReasonFormCharset   = "form_charset"   // _charset_ names another charset than UTF-8
	ReasonLine          = "line_too_long"
	ReasonHTML          = "html_syntax" // a character that some readers leave out
	ReasonCSV           = "csv_syntax"
	ReasonXML           = "xml_syntax"
	// The version is not 1.0, or the encoding not UTF-8.
	ReasonXMLDeclaration = "xml_declaration"
	ReasonXMLExternal    = "xml_external" // a document type, an entity, an inclusion
	ReasonMultipart      = "multipart_syntax"
	ReasonCharset        = "charset_unsupported"
	ReasonMIME           = "mime_syntax"
	ReasonMIMEEncoding   = "mime_encoding" // broken base64 or quoted-printable
	ReasonSSE            = "sse_syntax"
)

// Refusal is the error of a strict reader.
type Refusal struct {
	// Reason is one of the Reason constants.
	Reason string
	// Offset is where in the raw input, in bytes.
	Offset int64
}

// Error says what was refused and where, and nothing of the content.
func (r *Refusal) Error() string { return fmt.Sprintf("%s at byte %d", r.Reason, r.Offset) }

// refusalOf returns the refusal that err is, nil when it is none.
func refusalOf(err error) *Refusal {
	var r *Refusal
	errors.As(err, &r)
	return r
}

// Limits bounds one document. Zero fields take the defaults.
type Limits struct {
	// Depth is how deep arrays and objects may nest: 128.
	Depth int
	// Values is how many values a document, or fields a form, may have: 100,000.
	Values int
	// Line is the longest line of NDJSON, or event of a stream, in bytes: 1 MiB.
	Line int
}

func (l *Limits) setDefaults() {
	if l.Depth <= 0 {
		l.Depth = 128
	}
	if l.Values <= 0 {
		l.Values = 100_000
	}
	if l.Line <= 0 {
		l.Line = 1 << 20
	}
}

// Capture is a value that a rule asked for.
type Capture struct {
	// Label and Flags are those of the rules that matched; labels of several
	// rules give several captures.
	Label string
	Flags Flags
	// Unit is the record unit it belongs to, 0 for the document.
	Unit int
	// Start and End are raw offsets: of a string without its quotes, of other
	// values whole.
	Start, End int
	// Path is the JSON Pointer of the value.
	Path string
	// Place is PlaceText for strings and PlaceNumber for all other values.
	Place redact.Place

	text   string // the value of an element, which may stand in pieces; else empty
	member member
	path   [2]int // where the path stands among all, until the reader is finished
}

// Doc is one reading of a body. It keeps raw, which the caller must not change
// while the Doc is in use.
type Doc struct {
	// Kind is the kind it was read as.
	Kind Kind
	// Findings are sorted and do not overlap, but for a number that runs around a
	// tag with a finding of its own.
	Findings []redact.Finding
	// Captures are in document order.
	Captures []Capture
	// Units is how many record units the rules marked.
	Units int
	// Unread lists what of the body nobody looked at, in order.
	Unread []Unread

	raw    []byte
	det    *detect.Detector
	fields *Fields
	limits Limits

	// tokens are what findings become that are tokenized, by their number.
	tokens map[int]string

	// lines says that each line of raw is a JSON document of its own.
	lines bool

	// Of kinds made of pieces and parts: where each finding came from.
	sources []source
	parts   []part
	// nested is how deep in a mail this document is.
	nested int
}

// Parse reads raw as one document of the given kind, any but Auto. f may be nil:
// then every string is text. The error is a *[Refusal] when the body is
// refused.
func Parse(kind Kind, raw []byte, d *detect.Detector, f *Fields, l Limits) (*Doc, error) {
	doc := new(Doc)
	if err := doc.Read(kind, raw, d, f, l); err != nil {
		return nil, err
	}
	return doc, nil
}

// Read makes d what [Parse] returns, in memory of the caller: a clean document of JSON,
// a form or a text, of which no rule wants anything, then costs no allocation. What d was before is
// gone; what was taken from it, findings and captures, stays. After an error d is of no
// use but for another Read.
func (d *Doc) Read(kind Kind, raw []byte, det *detect.Detector, f *Fields, l Limits) error {
	l.setDefaults()
	*d = Doc{Kind: kind, raw: raw, det: det, fields: f, limits: l}
	return d.read(nil)
}

// read walks the document. With masks it looks for masks of ours instead of
// findings; see MaskedWrites.
func (d *Doc) read(masks *maskHits) error {
	var refused *Refusal
	if d.lines || d.Kind == NDJSON {
		return d.readLines(masks)
	}
	switch d.Kind {
	case JSON:
		p := jsonReaders.Get().(*jsonReader)
		p.begin(d, masks)
		refused = p.document()
		p.end()
		jsonReaders.Put(p)
	case Form:
		p := formReaders.Get().(*formReader)
		p.begin(d, masks)
		refused = p.form()
		p.end()
		formReaders.Put(p)
	case Text:
		if at := invalidUTF8(d.raw); at >= 0 {
			refused = &Refusal{ReasonUTF8, int64(at)}
		} else if masks == nil {
			d.Findings = d.det.Text(nil, d.raw, detect.Hint{})
		}
	default:
		if d.Kind == Auto || int(d.Kind) >= len(kindNames) {
			return fmt.Errorf("walk: there is no body of kind %s", d.Kind)
		}
		c := collector{Doc: d, masks: masks}
		if refused = c.read(); refused == nil {
			c.settle()
		}
	}
	if refused != nil {
		return refused
	}
	return nil
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// Value returns the decoded value of c: the text of a string, the literal of
// anything else. It is a copy only where something had to be decoded.
func (d *Doc) Value(c Capture) []byte {
	if c.text != "" {
		return []byte(c.text)
	}
	raw := d.raw[c.Start:c.End]
	if c.Place != redact.PlaceText {
		return raw
	}
	return decode(d.Kind, raw)
}

// Any finds in text of any kind, for callers that have a string and no content
// type: Auto takes JSON when the text is one object or array, and Text
// otherwise; text that is refused as the kind it was said to be is scanned as
// Text. It returns the findings, sorted, with byte offsets into text, and the
// kind that was taken. Weak findings at places that are never rewritten are left
// out, because they are identifiers.
func Any(kind Kind, text []byte, d *detect.Detector, f *Fields) ([]redact.Finding, Kind) {
	if kind == Auto {
		kind = Text
		for _, b := range text {
			if b == ' ' || b == '\t' || b == '\n' || b == '\r' {
				continue
			}
			if b == '{' || b == '[' {
				kind = JSON
			}
			break
		}
	}
	if kind == JSON || kind == Form {
		if doc, err := Parse(kind, text, d, f, Limits{}); err == nil {
			out := doc.Findings[:0]
			for _, x := range doc.Findings {
				if !x.Never || x.Strong {
					out = append(out, x)
				}
			}
			return out, kind
		}
	}
	return d.Text(nil, text, detect.Hint{}), Text
}
