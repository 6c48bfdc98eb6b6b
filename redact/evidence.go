package redact

import "strings"

// Evidence is what speaks for a finding, as a set: a console shows it, and a
// policy may ask for it. It names kinds of proof and never a part of the value.
type Evidence uint16

const (
	// EvidenceChecksum means that check digits or check letters are right.
	EvidenceChecksum Evidence = 1 << iota
	// EvidenceIssuer means that the value begins as some issuer's do: an issuer
	// range of cards, a country of the IBAN registry, a published key prefix.
	EvidenceIssuer
	// EvidenceGrouping means that the value is grouped as people print it.
	EvidenceGrouping
	// EvidenceShape means that length and alphabet fit, and nothing more.
	EvidenceShape
	// EvidenceWord means that a word beside the value names it.
	EvidenceWord
	// EvidenceKey means that the key, form name or column of the value names it.
	EvidenceKey
	// EvidenceBeside means that the value stands beside one that is certain, such
	// as an expiry date behind a card number.
	EvidenceBeside
	// EvidenceScript means that the value is written with digits of another
	// script, invisible characters, or letters in the place of digits.
	EvidenceScript
	// EvidenceEncoded means that an encoding had to be undone to read it: entities,
	// percent, JSON escapes, quoted-printable, base64.
	EvidenceEncoded
	// EvidenceSpoken means that the value is written in words.
	EvidenceSpoken
	// EvidenceSplit means that the value stands in pieces: in several messages, or
	// in several values of one document.
	EvidenceSplit
	// EvidenceListed means that the operator's own list names it.
	EvidenceListed
)

var evidenceNames = [...]string{
	"checksum", "issuer", "grouping", "shape", "word", "key", "beside", "script", "encoded", "spoken", "split", "listed",
}

// Names returns the names of e in a fixed order.
func (e Evidence) Names() []string {
	var names []string
	for i, n := range evidenceNames {
		if e>>i&1 != 0 {
			names = append(names, n)
		}
	}
	return names
}

// String is Names with commas between, empty for the empty set.
func (e Evidence) String() string { return strings.Join(e.Names(), ",") }
