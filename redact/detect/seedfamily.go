package detect

import "github.com/caregate/caregate/redact"

// seedWakes are words that announce the recovery phrase of a wallet.
var seedWakes = []string{"mnemonic", "seed phrase", "recovery phrase", "recovery words", "secret phrase"}

// findSeeds finds recovery phrases behind the words that announce them.
func (d *Detector) findSeeds(dst []redact.Finding, t []byte, from, to int, h Hint) []redact.Finding {
	for ; !announced(t, from); from++ {
		if from == to {
			return dst
		}
	}
	limit := min(len(t), to+wakeReach)
	var row seedRun
	for i := from; i < limit; i++ {
		if !isLetter(t[i]) || i > 0 && isWordByte(t[i-1]) {
			continue
		}
		if i >= to && announced(t, i) {
			return dst // which wakes us again
		}
		end, next := row.phrase(t, i)
		if end > 0 {
			dst = append(dst, redact.Finding{
				Class: redact.Secret, Start: i, End: end, Confidence: 0.99, Rule: "wallet recovery phrase",
				Evidence: redact.EvidenceChecksum | redact.EvidenceWord, Never: h.ID,
			})
		}
		i = next - 1
	}
	return dst
}

// announced reports whether one of seedWakes stands at i.
func announced(t []byte, i int) bool {
	if i == len(t) {
		return false
	}
	switch lower(t[i]) {
	case 'm', 's', 'r':
		for _, w := range seedWakes {
			if hasPrefixFold(t[i:], w) {
				return true
			}
		}
	}
	return false
}
