package transform

import "github.com/caregate/caregate/redact"

// AppendPiece is [Append] for one piece of a value that is spread over several
// messages. No digit of a piece stays, of a card neither: the pieces before it may
// have been delivered as they were, and the last four digits would complete them.
func AppendPiece(dst, value []byte, a redact.Action) []byte {
	if !a.Rewrites() {
		return append(dst, value...)
	}
	if said, ok := appendSpoken(dst, value, redact.CardPIN, redact.Drop); ok {
		return said
	}
	if !simple(value) {
		return maskWritten(dst, value, redact.CardVerificationCode, redact.Drop, 0, false)
	}
	return maskDigits(dst, value, 0)
}
