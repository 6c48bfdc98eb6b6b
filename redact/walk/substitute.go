package walk

import (
	"bytes"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/detect"
	"github.com/caregate/caregate/redact/transform"
)

// Original returns the value of the finding number i as its reader sees it, for a
// caller who keeps it and gives it a token. ok is false where no token can stand: at a
// place that is not rewritten, in a number, in a field that takes values of its own
// form, and where the finding is a piece of a value that goes on elsewhere.
func (d *Doc) Original(i int) (text []byte, ok bool) {
	f := &d.Findings[i]
	if f.Never || f.Place != redact.PlaceText || f.Field == redact.FieldExact || f.Field == redact.FieldCard {
		return nil, false
	}
	if d.sources == nil {
		return decode(d.Kind, d.raw[f.Start:f.End]), f.Evidence&redact.EvidenceSplit == 0
	}
	s := &d.sources[i]
	if s.part >= 0 {
		return d.parts[s.part].doc.Original(s.n)
	}
	return s.spot.text[s.spot.from:s.spot.to], !s.spot.share
}

// Substitute says what the finding number i, for which Original was ok, becomes when its
// action is Tokenize. token has lower-case letters and digits only, which no kind of
// body writes in another way.
func (d *Doc) Substitute(i int, token string) {
	if d.sources != nil {
		if s := &d.sources[i]; s.part >= 0 {
			d.parts[s.part].doc.Substitute(s.n, token)
			return
		}
	}
	if d.tokens == nil {
		d.tokens = make(map[int]string)
	}
	d.tokens[i] = token
}

// token is what the finding number i becomes under an action, "" where the action does
// not say so.
func (d *Doc) token(i int, a redact.Action) string {
	if a != redact.Tokenize {
		return ""
	}
	return d.tokens[i]
}

// standIn reports whether text holds a mask or a token: something that a write must not
// put in the place of the value it stands for.
func standIn(det *detect.Detector, text []byte) bool {
	return transform.Masked(text) || det.Ours(text) != nil
}

// mayHoldToken reports whether a token can stand in raw. Its first letters may be in
// either case; what only wraps lines is not looked for within them.
func mayHoldToken(raw []byte) bool {
	return bytes.Contains(raw, []byte("tk1")) || bytes.Contains(raw, []byte("TK1"))
}
