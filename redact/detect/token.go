package detect

import (
	"encoding/binary"

	"github.com/caregate/caregate/redact"
)

// findTokens finds machine secrets, crypto-currency addresses, and ids of payment
// processors: everything that is one run of letters and digits with a begin, a
// length or a check of its own.
func (d *Detector) findTokens(dst []redact.Finding, t []byte, from, to int, h Hint) []redact.Finding {
	s := tokenScan{d: d, t: t, h: h, base64: from, dst: dst}
	for i := from; i < to; {
		if charsets[t[i]]&(setBase64URL|setSlash) == 0 {
			i++
			continue
		}
		i = s.run(i, to)
	}
	return s.dst
}

// tokenScan is one pass over a stretch of text.
type tokenScan struct {
	d      *Detector
	t      []byte
	h      Hint
	base64 int // how far runs of base 64 were looked at
	dst    []redact.Finding
}

// run looks at the run of token characters that begins at i, or goes on there,
// and returns where to go on. A token may begin with the run, or behind a hyphen or
// a slash in it.
func (s *tokenScan) run(i, to int) int {
	t := s.t
	if i >= s.base64 && (i == 0 || charsets[t[i-1]]&(setBase64|setEqual|setUnderscore|setDash) == 0 || t[i-1] == '=') {
		run := spanOfWords(t, i, setBase64, 90)
		if end, rule := base64Secret(t, i, run, s.h); end > 0 {
			f := redact.Finding{Class: redact.Secret, Start: i, End: end, Confidence: 0.9, Rule: rule, Evidence: redact.EvidenceWord | redact.EvidenceShape}
			return s.add(f)
		}
		s.base64 = run
	}
	for i < to && charsets[t[i]]&(setBase64URL|setSlash) != 0 {
		if charsets[t[i]]&setSlash == 0 && wordEdge(t, i) {
			if end := s.token(i); end > 0 {
				return end
			}
		}
		// The next place where one can begin.
		at := i
		if i < to {
			i = spanOfWords(t, i, setAlnum|setUnderscore, to-i)
		}
		for i < to && charsets[t[i]]&(setDash|setSlash) != 0 {
			if i > at && t[i] == '-' && i+10 < len(t) && t[i+5] == 'B' && t[i-1] != '-' {
				break // the five hyphens before a key
			}
			i++
		}
	}
	return i
}

// token tries what can begin at i, and returns where it ends.
func (s *tokenScan) token(i int) int {
	t := s.t
	word := wordSpan(t, i, min(len(t), i+120))
	if word-i < minSecret && (word == len(t) || charsets[t[word]]&(setDash|setUnderscore|setDot) == 0 && t[word] != ':') && word-i < 6 {
		return 0
	}
	if i+1 < len(t) && tokenBegins[t[i]]>>(t[i+1]&31)&1 == 0 {
		// neither a secret nor a reference with a prefix
	} else if end, rule := secretAt(t, i); end > 0 {
		f := redact.Finding{Class: redact.Secret, Start: i, End: end, Confidence: 0.97, Rule: rule, Evidence: redact.EvidenceIssuer | redact.EvidenceShape}
		if rule == "github token" || rule == "wallet private key" {
			f.Evidence |= redact.EvidenceChecksum
		}
		return s.add(f)
	} else if end, rule := paymentReferenceAt(t, i, word); end > 0 {
		return s.add(redact.Finding{
			Class: redact.PaymentReference, Start: i, End: end, Confidence: 0.95, Rule: rule, Evidence: redact.EvidenceIssuer | redact.EvidenceShape,
		})
	}
	if !edgeAfter(t, word) {
		return 0
	}
	n := word - i
	switch {
	case n >= 25 && n <= 66:
		return s.crypto(i, word)
	case n >= minPaid && n <= maxPaid:
		if rule := namedPaymentReference(t, i, word, s.h); rule != "" {
			return s.add(redact.Finding{
				Class: redact.PaymentReference, Start: i, End: word, Confidence: 0.8, Rule: rule, Evidence: redact.EvidenceWord | redact.EvidenceShape,
			})
		}
	}
	return 0
}

// tokenBegins has a bit for the second byte of what secretAt and paymentReferenceAt know by
// its begin, by the first.
var tokenBegins = func() (t [256]uint32) {
	begin := func(prefix string) { t[prefix[0]] |= 1 << (prefix[1] & 31) }
	for _, r := range secretRules {
		begin(r.prefix)
	}
	for _, kind := range stripeKinds {
		begin(kind)
	}
	for _, prefix := range [...]string{"--", jwtBegin, "A3", slackHost, walletBegin, payPalBegin} {
		begin(prefix)
	}
	for b := byte('0'); b <= '9'; b++ {
		t[b] = 0x3FF << ('0' & 31) // the number of a bot
	}
	return t
}()

// crypto tries a word of letters and digits as an address or as the key of a
// wallet.
func (s *tokenScan) crypto(i, end int) int {
	word := s.t[i:end]
	f := redact.Finding{Class: redact.CryptoAddress, Start: i, End: end, Confidence: 0.99, Evidence: redact.EvidenceChecksum | redact.EvidenceIssuer}
	switch n := len(word); {
	case n == 42 && word[0] == '0':
		ok, checked := ethereumAddress(word)
		if !ok {
			return 0
		}
		f.Rule = "ethereum address"
		if !checked {
			f.Confidence, f.Evidence = 0.8, redact.EvidenceIssuer|redact.EvidenceShape
		}
	case n <= 35:
		f.Rule = base58Address(word)
	case n == 51 || n == 52:
		if walletKey(s.t, i) == end {
			f.Class, f.Rule = redact.Secret, "wallet private key"
		}
	case n == 64 && allHex(word) || n == 66 && word[0] == '0' && word[1] == 'x' && allHex(word[2:]):
		if varied(word[2:], 8) && (namedFold(s.t, i, "private key") || namedFold(s.t, i, "privatekey") || namedFold(s.t, i, "private_key") || namedFold(s.t, i, "privkey")) {
			f.Class, f.Rule, f.Confidence, f.Evidence = redact.Secret, "private key in hexadecimal, named", 0.9, redact.EvidenceWord|redact.EvidenceShape
		}
	}
	if f.Rule == "" {
		f.Rule = bech32Address(word)
	}
	if f.Rule == "" && len(word) <= 44 && len(word) >= 32 && s.solana(i) && solanaAddress(word) {
		f.Rule, f.Confidence, f.Evidence = "solana address, named", 0.8, redact.EvidenceWord|redact.EvidenceShape
	}
	if f.Rule == "" {
		return 0
	}
	return s.add(f)
}

// solana reports whether the words before i speak of Solana.
func (s *tokenScan) solana(i int) bool {
	near := s.t[lo(i, wordWindow):i]
	if !mayHold(near, 's', 'o', 'p', 'h') {
		return false
	}
	if containsFold(near, "solana") || containsFold(near, "phantom") {
		return true
	}
	for at, n := i, 0; n < 4; n++ {
		a, b, ok := wordBefore(s.t, at, lo(i, wordWindow))
		if !ok {
			return false
		}
		if foldEqual(s.t[a:b], "sol") {
			return true
		}
		at = a
	}
	return false
}

// mayHold reports whether text may hold one of the pairs of letters ab and cd, in any
// case. It is quick, and may be wrong on the side of yes.
func mayHold(text []byte, a, b, c, d byte) bool {
	const step = 7 // windows of eight overlap by one, so that each pair is whole in one
	for len(text) >= 8 {
		w := binary.LittleEndian.Uint64(text) | 0x20*ones
		if zeros(w, a)&(zeros(w, b)>>8)|zeros(w, c)&(zeros(w, d)>>8) != 0 {
			return true
		}
		text = text[step:]
	}
	for i := 1; i < len(text); i++ {
		if x, y := text[i-1]|0x20, text[i]|0x20; x == a && y == b || x == c && y == d {
			return true
		}
	}
	return false
}

// add appends f and returns where it ends.
func (s *tokenScan) add(f redact.Finding) int {
	if f.Class == redact.Secret {
		f.Never = secretPlace(s.t, f.Start, f.End, s.h)
	} else {
		f.Never = s.h.ID || s.h.Key != "" && senseOfKey(s.h.Key) == keyID && !prose(s.t)
	}
	s.dst = append(s.dst, f)
	return f.End
}
