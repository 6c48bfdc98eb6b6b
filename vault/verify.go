package vault

import (
	"context"
	"crypto/subtle"
	"strings"
)

// typedDigits is how many last digits of a number are compared: what people are used to
// be asked for, and one of ten thousand.
const typedDigits = 4

// fewestVerified is how many digits a number must have for its last four to be compared:
// of fewer, they would be most of it.
const fewestVerified = 7

// maxAddress is the length of the longest e-mail address (RFC 5321, 4.5.3.1.3, without the
// angle brackets).
const maxAddress = 254

// Verified is what Verify finds out. It says nothing of how near a wrong answer was.
type Verified struct {
	// Kind is the data class of the value, Subject the person whose key it is under.
	Kind    string
	Subject Subject
	// Matches is whether what was typed is what the value ends with.
	Matches bool
}

// Verifiable reports whether a text can be typed to be compared at all: exactly four
// digits, or what may be an e-mail address. It does not depend on any token.
func Verifiable(typed string) bool {
	if at := strings.IndexByte(typed, '@'); at > 0 && at < len(typed)-1 {
		return len(typed) <= maxAddress && strings.TrimSpace(typed) == typed
	}
	_, ok := lastDigits([]byte(typed), typedDigits)
	return ok && len(typed) == typedDigits
}

// Verify compares what somebody typed with the value behind a token: the last four digits
// of a card, of a social security, taxpayer, account or telephone number (without its
// extension); the whole of an e-mail address, in any case. Values of other kinds, and
// shorter numbers, match nothing. The value does not leave this call, and the comparison
// takes as long whatever differs.
//
// The caller has counted the try, waited for its event (V8) and asks policy about the kind
// before it tells anybody. The error is ErrToken for every token that is not to be turned
// back (V9).
func (v *Vault) Verify(ctx context.Context, text, typed string) (Verified, error) {
	val, err := v.Reveal(ctx, text)
	if err != nil {
		return Verified{}, err
	}
	defer clear(val.Text)
	kept, ok := comparedBy(val.Kind, val.Text)
	said := []byte(typed)
	if val.Kind == kindEmail {
		said = appendCanonical(nil, kindEmail, typed)
	}
	// Digests under a key are compared, so that neither length nor place of a difference
	// shows in the time.
	same := subtle.ConstantTimeCompare(v.Digest(labelVerify, kept), v.Digest(labelVerify, said))
	return Verified{Kind: val.Kind, Subject: val.Subject, Matches: ok && Verifiable(typed) && same == 1}, nil
}

// labelVerify separates these digests from all others.
const labelVerify = "token verify"

// kindEmail is the data class of e-mail addresses, in the words of package redact.
const kindEmail = "email"

// comparedBy is what a value of a kind is compared by; ok is false when by nothing.
func comparedBy(kind string, text []byte) (part []byte, ok bool) {
	switch kind {
	case kindEmail:
		return appendCanonical(nil, kindEmail, string(text)), true
	case "phone":
		text = appendPhone(nil, string(text))
	case "credit_card", "us_ssn", "us_itin", "us_bank_account", "iban":
	default:
		return nil, false
	}
	return lastDigits(text, fewestVerified)
}

// lastDigits are the last four digits of a text that has at least so many.
func lastDigits(text []byte, fewest int) (last []byte, ok bool) {
	last = make([]byte, 0, len(text))
	for _, b := range text {
		if b-'0' <= 9 {
			last = append(last, b)
		}
	}
	if len(last) < fewest {
		return nil, false
	}
	return last[len(last)-typedDigits:], true
}
