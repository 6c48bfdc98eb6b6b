package detect

import "github.com/caregate/caregate/redact"

// The longest name and the longest tail of a track (ISO/IEC 7813: 79 characters
// on track 1, 40 on track 2).
const (
	maxTrackName = 30
	maxTrackTail = 48
	minTrackTail = 7 // YYMM and the service code
)

// track tries k, a run of digits, as the card number at the begin of a track:
// %B number ^ NAME ^ YYMM..., or ; number = YYMM..., or the chip's equivalent with
// D for =. The finding covers all of it, sentinels too, because everything on
// the track is authentication data. f is set to it.
func (c *chain) track(k *candidate, f *redact.Finding) bool {
	t := c.text
	if k.shape != withoutGroup || !k.luhn || k.end == len(t) {
		return false
	}
	*f = redact.Finding{Class: redact.CardTrackData, Start: k.start, Confidence: 0.99, Strong: true, Never: c.hint.ID, Evidence: redact.EvidenceChecksum | redact.EvidenceIssuer | redact.EvidenceGrouping}
	switch t[k.end] {
	case '^':
		i := k.end + 1
		for i < len(t) && i-k.end <= maxTrackName && t[i] != '^' && t[i] >= ' ' {
			i++
		}
		if i == len(t) || t[i] != '^' {
			return false
		}
		i++
		if end := runEnd(t, i); end-i < minTrackTail-3 {
			return false
		}
		f.End = trackEnd(t, i)
		f.Rule = "track 1"
		if k.start >= 1 && t[k.start-1]|0x20 == 'b' {
			f.Start--
			if f.Start > 0 && t[f.Start-1] == '%' {
				f.Start--
			}
		}
	case '=', 'D', 'd':
		i := k.end + 1
		end := runEnd(t, i)
		if end-i < minTrackTail {
			return false
		}
		if month := int(t[i+2]-'0')*10 + int(t[i+3]-'0'); month < 1 || month > 12 {
			return false
		}
		f.End = trackEnd(t, i)
		f.Rule = "track 2"
		if k.start >= 1 && t[k.start-1] == ';' {
			f.Start--
		}
	default:
		return false
	}
	f.Start = max(f.Start, c.from)
	return true
}

// trackEnd returns where the discretionary data that begins at i ends: behind
// the end sentinel, or behind the digits when there is none.
func trackEnd(t []byte, i int) int {
	digits := runEnd(t, i)
	for end := i; end < len(t) && end-i <= maxTrackTail && t[end] > ' '; end++ {
		if t[end] == '?' {
			return end + 1
		}
	}
	return digits
}
