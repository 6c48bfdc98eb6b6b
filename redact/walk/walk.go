package walk

import (
	"errors"
	"fmt"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
)

// Kind is the shape of a body.
type Kind uint8

// The kinds.
const (
	// Auto is JSON when the text is one JSON object or array, otherwise Text. Only Any takes it.
	Auto Kind = iota
	JSON
	Form
	Text
	// NDJSON is one JSON document per line. Only NewStream takes it.
	NDJSON
)

// Refusal is the error of every strict reader.
type Refusal struct {
	// Reason is a stable code.
	Reason string
	// Offset is the byte offset in the raw input.
	Offset int64
}

// Error says what was refused and where.
func (r *Refusal) Error() string { return fmt.Sprintf("%s at byte %d", r.Reason, r.Offset) }

// Limits bounds one document.
type Limits struct {
	Depth  int // default 128
	Values int // default 100000
	Line   int // longest NDJSON line in bytes, default 1 MiB
}

// Flags say what a place is for.
type Flags uint16

// The flags of a Rule.
const (
	Never Flags = 1 << iota
	URL
	HTML
	PaymentReference
	Unit
	Wanted // the value becomes a Capture
	Overwrite
)

// Rule marks places.
type Rule struct {
	Pointer string
	Label   string
	Flags   Flags
}

// Fields is a compiled set of rules.
type Fields struct{}

// Compile compiles rules.
func Compile(rules []Rule) (*Fields, error) { return &Fields{}, nil }

// Capture is a value that a rule wanted.
type Capture struct {
	Label      string
	Flags      Flags
	Unit       int
	Start, End int
	Path       string
	Place      redact.Place
}

// Edit replaces raw[Start:End] by New.
type Edit struct {
	Start, End int
	New        []byte
}

// Doc is one reading of a body.
type Doc struct {
	Kind     Kind
	Findings []redact.Finding
	Captures []Capture
	Units    int
	raw      []byte
}

// Parse reads raw.
func Parse(kind Kind, raw []byte, d *detect.Detector, f *Fields, l Limits) (*Doc, error) {
	if d == nil {
		return nil, errors.New("walk: no detector")
	}
	return &Doc{Kind: kind, raw: raw}, nil
}

// Rewrite edits in place.
func (d *Doc) Rewrite(act func(redact.Finding) redact.Action, more ...Edit) []byte { return d.raw }

// Value returns the decoded value of c.
func (d *Doc) Value(c Capture) []byte { return d.raw[c.Start:c.End] }

// SetString returns the edit that gives c the value.
func (d *Doc) SetString(c Capture, value string) Edit { return Edit{} }

// Remove takes the members or elements of the captures out.
func (d *Doc) Remove(captures ...Capture) []Edit { return nil }

// MaskedWrites finds masks that come back.
func (d *Doc) MaskedWrites() (removable []Edit, blocked int) { return nil, 0 }

// Any finds in a text of any kind.
func Any(kind Kind, text []byte, d *detect.Detector, f *Fields) ([]redact.Finding, Kind) {
	return nil, kind
}

// Sink takes output bytes and the findings that were in them, before they are released.
type Sink func(out []byte, found []redact.Finding) error

// Stream is a streaming redactor for Text and NDJSON.
type Stream struct{}

// NewStream returns a Stream.
func NewStream(kind Kind, sink Sink, d *detect.Detector, f *Fields, l Limits, act func(redact.Finding) redact.Action) (*Stream, error) {
	return &Stream{}, nil
}

// Write takes the next bytes.
func (s *Stream) Write(p []byte) (int, error) { return len(p), nil }

// Close flushes what is held back.
func (s *Stream) Close() error { return nil }
