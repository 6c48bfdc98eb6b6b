package redact

import "fmt"

// Place is the kind of spot in a document where a finding stands. It decides
// how the spot can be rewritten at all.
type Place uint8

const (
	// PlaceText is text: a string value, a form value, plain text.
	PlaceText Place = iota
	// PlaceNumber is a JSON number literal. It cannot hold a mask: a masked
	// number becomes null, and policy may refuse it instead.
	PlaceNumber
	// PlaceKey is the name of a member or of a form field. Names are never
	// rewritten, because renaming one changes what the document means.
	PlaceKey
)

var placeNames = [...]string{"text", "number", "key"}

// String returns the name of the place.
func (p Place) String() string {
	if int(p) < len(placeNames) {
		return placeNames[p]
	}
	return fmt.Sprintf("place(%d)", uint8(p))
}

// MarshalText writes the name of the place.
func (p Place) MarshalText() ([]byte, error) {
	if int(p) >= len(placeNames) {
		return nil, fmt.Errorf("unknown place %d", uint8(p))
	}
	return []byte(placeNames[p]), nil
}

// Field is what the system behind accepts at the place of a finding. A mask that it
// does not accept would have the whole call refused.
type Field uint8

const (
	// FieldAny takes any text.
	FieldAny Field = iota
	// FieldTag takes a word of letters, digits, hyphens and underscores.
	FieldTag
	// FieldCard takes a masked card number as a whole: nine to fifteen X and the last
	// four digits.
	FieldCard
	// FieldExact takes values of a form of its own, none of which is a mask: numbers,
	// dates, choices, what fits a pattern.
	FieldExact
)

// Finding is one detected span. It holds no part of the value.
type Finding struct {
	// Class is the data class.
	Class Class
	// Start and End are byte offsets, half open, into the text given to the
	// detector or into the raw bytes given to a walker.
	Start, End int
	// Confidence is between 0 and 1. It orders findings and explains them; the
	// decision that the span is a finding is already taken.
	Confidence float64
	// Path is where in the document: a JSON Pointer, also for form fields
	// ("/name"), empty in plain text. Of a very long one the middle is left out,
	// with an ellipsis in its place. It may repeat names from the document,
	// so it belongs into sealed details and never into a log. Findings that
	// are only counted (Never and not Strong) carry none.
	Path string
	// Unit is the record of the document the finding belongs to (walk: the
	// Unit flag), counted from 1 in document order; 0 is the document itself.
	Unit int
	// Rule is the short name of the rule that fired, for explanations.
	Rule string
	// Evidence is what spoke for the finding.
	Evidence Evidence
	// Place says what kind of spot it is.
	Place Place
	// Never means that the spot must not be rewritten: the channel marks it,
	// its key says that it is an identifier, or it is a name.
	Never bool
	// Field is what may stand at the spot.
	Field Field
	// Strong means that words or a grouping say what the digits are. A strong
	// finding at a Never place is a reason to refuse; a weak one is counted.
	Strong bool
}
