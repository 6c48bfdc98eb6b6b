package proxy

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of an assertion: PayPal's have some 150 bytes, signed ones a thousand.
const (
	maxAssertion = 8 << 10
	maxClaim     = 256
)

// assertedAccount reads whose account a JWT names (RFC 7519; PayPal-Auth-Assertion): the
// issuer, who calls, together with the merchant, by payer_id or by email. Equal claims are
// one account however they are encoded. ok is false for every form in which another reader
// could find another account, and for claims that are not known: nothing is guessed.
//
// A signature is not verified: the processor does that, and a call with a wrong one fails
// there.
func assertedAccount(s string) (account string, ok bool) {
	parts := strings.Split(s, ".")
	if len(s) > maxAssertion || len(parts) != 3 {
		return "", false
	}
	head, headOK := flatObject(parts[0], map[string]bool{"alg": true, "typ": true, "kid": true})
	claims, claimsOK := flatObject(parts[1], map[string]bool{"iss": true, "payer_id": true, "email": true, "aud": true, "jti": true, "iat": false, "exp": false, "nbf": false})
	signature, signatureOK := unbase64(parts[2])
	if !headOK || !claimsOK || !signatureOK || head["alg"] == "" || strings.EqualFold(head["alg"], "none") != (len(signature) == 0) {
		return "", false
	}
	iss, payer, email := claims["iss"], claims["payer_id"], claims["email"]
	switch {
	case iss == "" || (payer == "") == (email == ""):
		return "", false
	case payer != "":
		return "iss " + iss + " payer_id " + payer, true
	}
	return "iss " + iss + " email " + email, true
}

// flatObject reads an object of strings and numbers, encoded in base64, with no other
// members than those known, each once: true for a string of visible ASCII, false for a
// number.
func flatObject(part string, known map[string]bool) (members map[string]string, ok bool) {
	raw, ok := unbase64(part)
	if !ok || !utf8.Valid(raw) {
		return nil, false
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	members = make(map[string]string)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, false
		}
		name, _ := t.(string)
		text, is := known[name]
		if _, twice := members[name]; !is || twice {
			return nil, false
		}
		if t, err = dec.Token(); err != nil {
			return nil, false
		}
		switch v := t.(type) {
		case string:
			if !text || !visible(v) {
				return nil, false
			}
			members[name] = v
		case json.Number:
			if text {
				return nil, false
			}
			members[name] = v.String()
		default:
			return nil, false
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, false
	}
	_, err := dec.Token()
	return members, err == io.EOF
}

// visible reports whether s is 1 to maxClaim of visible ASCII.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxClaim
}

// unbase64 reads base64 in one of its two alphabets, padded or not: the standard wants
// base64url without padding (RFC 7515, section 2), and the processor's own examples have
// the other.
func unbase64(s string) ([]byte, bool) {
	enc := base64.RawURLEncoding
	switch standard, padded := strings.ContainsAny(s, "+/"), strings.HasSuffix(s, "="); {
	case standard && padded:
		enc = base64.StdEncoding
	case standard:
		enc = base64.RawStdEncoding
	case padded:
		enc = base64.URLEncoding
	}
	if strings.ContainsAny(s, "\r\n") { // which the decoder leaves out
		return nil, false
	}
	b, err := enc.Strict().DecodeString(s)
	return b, err == nil
}
