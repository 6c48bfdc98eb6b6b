package redact

import "testing"

func TestEvidence(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]Evidence{
		"":                  0,
		"checksum":          EvidenceChecksum,
		"checksum,word":     EvidenceWord | EvidenceChecksum,
		"key,encoded,split": EvidenceKey | EvidenceEncoded | EvidenceSplit,
		"listed":            EvidenceListed,
	} {
		if got := e.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := len(evidenceNames); EvidenceListed != 1<<(n-1) {
		t.Errorf("%d names do not fit the bits", n)
	}
}
