package channel

import (
	"crypto/hmac"
	"crypto/sha1" // some vendors sign with HMAC-SHA1, whose strength does not rest on collisions
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SignatureFault says why a delivery does not count as the vendor's. It is an
// error and holds nothing of the delivery.
type SignatureFault string

// The faults.
const (
	// SignatureMissing: the signature, or the time that it covers, was not sent.
	SignatureMissing SignatureFault = "missing"
	// SignatureMalformed: it was sent twice, or is not in the vendor's form.
	SignatureMalformed SignatureFault = "malformed"
	// SignatureInvalid: it is not the signature of these bytes under any secret.
	SignatureInvalid SignatureFault = "invalid"
	// SignatureStale and SignatureFuture: the time of sending is further from now
	// than the tolerance.
	SignatureStale  SignatureFault = "stale"
	SignatureFuture SignatureFault = "future"
)

// Error implements error.
func (f SignatureFault) Error() string { return "the webhook signature is " + string(f) }

// Bounds of what a signature header may hold: while a secret is rotated a vendor
// signs with two, and lists also carry signatures of older schemes.
const (
	maxSignatures = 8
	maxSigned     = 4 << 10 // bytes of one header
)

// Signature is a delivery's signature as its headers say, not verified.
type Signature struct {
	// Stamp is the time as it was sent, "" when the scheme has none; Time is what it
	// means.
	Stamp string
	Time  time.Time

	macs [][]byte
}

// ParseSignature reads the headers. Its errors are SignatureMissing and
// SignatureMalformed.
func (w *Webhooks) ParseSignature(h http.Header) (Signature, error) {
	var s Signature
	value, err := single(h, w.Signature)
	if err != nil {
		return s, err
	}
	if w.Timestamp != "" {
		if s.Stamp, err = single(h, w.Timestamp); err != nil {
			return s, err
		}
	}
	if w.SignaturePart == "" {
		err = s.add(w, value)
	} else {
		err = s.list(w, value)
	}
	if err != nil || w.TimeFormat == "" {
		return s, err
	}
	s.Time, err = parseStamp(w.TimeFormat, s.Stamp)
	return s, err
}

// single gives the only value of a header.
func single(h http.Header, name string) (string, error) {
	switch v := h.Values(name); {
	case len(v) == 0, len(v) == 1 && v[0] == "":
		return "", SignatureMissing
	case len(v) > 1, len(v[0]) > maxSigned:
		return "", SignatureMalformed
	default:
		return v[0], nil
	}
}

// list reads a header that is a list of name=value. Names that the scheme does
// not know are signatures of other schemes and are passed over.
func (s *Signature) list(w *Webhooks, value string) error {
	stamps := 0
	for part := range strings.SplitSeq(value, ",") {
		name, value, ok := strings.Cut(strings.Trim(part, " "), "=")
		switch {
		case !ok:
			return SignatureMalformed
		case name == w.SignaturePart:
			if err := s.add(w, value); err != nil {
				return err
			}
		case name == w.TimestampPart:
			s.Stamp = value
			stamps++
		}
	}
	switch {
	case len(s.macs) == 0, w.TimestampPart != "" && stamps == 0:
		return SignatureMissing
	case stamps > 1:
		return SignatureMalformed
	}
	return nil
}

// add decodes one signature, strictly: two texts never mean the same one, except
// for the case of hexadecimal digits.
func (s *Signature) add(w *Webhooks, text string) error {
	text, ok := strings.CutPrefix(text, w.SignaturePrefix)
	if !ok || len(s.macs) == maxSignatures {
		return SignatureMalformed
	}
	var mac []byte
	var err error
	if w.Encoding == "hex" {
		mac, err = hex.DecodeString(text)
	} else if strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return SignatureMalformed
	} else {
		mac, err = base64.StdEncoding.Strict().DecodeString(text)
	}
	if err != nil || len(mac) != w.hash()().Size() {
		return SignatureMalformed
	}
	s.macs = append(s.macs, mac)
	return nil
}

// parseStamp reads a time of sending.
func parseStamp(format, stamp string) (time.Time, error) {
	if format == "rfc3339" {
		t, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			return time.Time{}, SignatureMalformed
		}
		return t, nil
	}
	// ParseUint takes no sign and no space; eleven digits are the year 5138.
	seconds, err := strconv.ParseUint(stamp, 10, 63)
	if err != nil || len(stamp) > 11 {
		return time.Time{}, SignatureMalformed
	}
	return time.Unix(int64(seconds), 0), nil
}

// Current compares the time of sending with now; further away than tolerance is
// SignatureStale or SignatureFuture. A scheme without a time has no fault here.
func (w *Webhooks) Current(s Signature, now time.Time, tolerance time.Duration) error {
	switch age := now.Sub(s.Time); {
	case w.TimeFormat == "":
		return nil
	case age > tolerance:
		return SignatureStale
	case age < -tolerance:
		return SignatureFuture
	}
	return nil
}

// Verify compares the signature with the one that the bytes of the body, as they
// came, have under each of the secrets. It returns which secret fits and the
// signature's own bytes, which are the same for the same delivery however its
// header is written, or SignatureInvalid. Comparisons take the same time whatever
// is wrong.
func (w *Webhooks) Verify(s Signature, body []byte, secrets [][]byte) (which int, mac []byte, err error) {
	for i, secret := range secrets {
		want := w.mac(s.Stamp, body, secret)
		for _, got := range s.macs {
			if hmac.Equal(got, want) {
				return i, want, nil
			}
		}
	}
	return 0, nil, SignatureInvalid
}

// Sign puts the signature of other bytes under a secret into the headers, in the
// vendor's form and with the time of sending that s has. It is for the system
// behind the gateway, which verifies what the gateway changed.
func (w *Webhooks) Sign(h http.Header, s Signature, body, secret []byte) {
	mac := w.mac(s.Stamp, body, secret)
	text := base64.StdEncoding.EncodeToString(mac)
	if w.Encoding == "hex" {
		text = hex.EncodeToString(mac)
	}
	text = w.SignaturePrefix + text
	if w.SignaturePart != "" {
		text = w.SignaturePart + "=" + text
		if w.TimestampPart != "" {
			text = w.TimestampPart + "=" + s.Stamp + "," + text
		}
	}
	h.Set(w.Signature, text)
	if w.Timestamp != "" {
		h.Set(w.Timestamp, s.Stamp)
	}
}

// mac computes what a signature should be.
func (w *Webhooks) mac(stamp string, body, secret []byte) []byte {
	m := hmac.New(w.hash(), secret)
	for _, part := range w.Signed {
		switch part.Word {
		case "timestamp":
			m.Write([]byte(stamp))
		case "body":
			m.Write(body)
		default:
			m.Write([]byte(part.Text))
		}
	}
	return m.Sum(nil)
}

func (w *Webhooks) hash() func() hash.Hash {
	if w.Algorithm == "hmac-sha1" {
		return sha1.New
	}
	return sha256.New
}
