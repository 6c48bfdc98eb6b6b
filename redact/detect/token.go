package detect

import "github.com/caregate/caregate/redact"

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
		if end, rule := base64Secret(t, i, s.h); end > 0 {
			f := redact.Finding{Class: redact.Secret, Start: i, End: end, Confidence: 0.9, Rule: rule, Evidence: redact.EvidenceWord | redact.EvidenceShape}
			return s.add(f)
		}
		s.base64 = spanOf(t, i, setBase64, 90)
	}
	for i < to && charsets[t[i]]&(setBase64URL|setSlash) != 0 {
		if charsets[t[i]]&setSlash == 0 && wordEdge(t, i) {
			if end := s.token(i); end > 0 {
				return end
			}
		}
		// The next place where one can begin.
		for i++; i < to && charsets[t[i]]&(setAlnum|setUnderscore) != 0; i++ {
		}
		for i < to && charsets[t[i]]&(setDash|setSlash) != 0 {
			if t[i] == '-' && i+10 < len(t) && t[i+5] == 'B' && (i == 0 || t[i-1] != '-') {
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
	word := spanOf(t, i, setAlnum, 120)
	if word-i < minSecret && (word == len(t) || charsets[t[word]]&(setDash|setUnderscore|setDot) == 0 && t[word] != ':') && word-i < 6 {
		return 0
	}
	if end, rule := secretAt(t, i); end > 0 {
		f := redact.Finding{Class: redact.Secret, Start: i, End: end, Confidence: 0.97, Rule: rule, Evidence: redact.EvidenceIssuer | redact.EvidenceShape}
		if rule == "github token" || rule == "wallet private key" {
			f.Evidence |= redact.EvidenceChecksum
		}
		return s.add(f)
	}
	if end, rule := paymentReferenceAt(t, i); end > 0 {
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
	case n >= 6 && n <= 17:
		if rule := namedPaymentReference(t, i, word, s.h); rule != "" {
			return s.add(redact.Finding{
				Class: redact.PaymentReference, Start: i, End: word, Confidence: 0.8, Rule: rule, Evidence: redact.EvidenceWord | redact.EvidenceShape,
			})
		}
	}
	return 0
}

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
