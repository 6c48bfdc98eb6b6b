package detect

import (
	"slices"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/view"
)

// lookalikeFamily finds cards with letters in the place of digits, as people type
// them to get by a filter and recognisers of print read them: 4O12 8888 8888 1881.
// Part numbers and coupons look the same, so a word must name the card.
func lookalikeFamily() family {
	return family{name: "lookalikes", on: onGlued, find: (*Detector).findLookalikes}
}

// lookalikeAhead is how far behind a word with such letters the rest of the number
// is read, in bytes.
const lookalikeAhead = 64

// maxLookalikes is up to how many digits in a row are looked at closely: a card or
// two with what stands beside them. A longer row is none, and would cost a look
// for each of its words.
const maxLookalikes = 48

func (d *Detector) findLookalikes(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	for i := from; i < to; {
		if !isWordByte(text[i]) {
			i++
			continue
		}
		if i > 0 && isWordByte(text[i-1]) {
			i = max(i+1, wordSpan(text, i, to)) // the rest of a word
			continue
		}
		n, ok := view.Lookalike(text[i:])
		if !ok {
			i = wordSpan(text, i+max(n, 1), to) // the rest of the word
			continue
		}
		if lookalikeRow(text, i, i+n) {
			dst = d.lookalike(dst, text, i, i+n, h)
		}
		i += n
	}
	return dst
}

// lookalikeRow reports whether the word text[i:end] is in a row of as many digits, and
// letters that look like them, as a card has.
func lookalikeRow(text []byte, i, end int) bool {
	row := view.LookalikeCount(text, i, end, lookalikeAhead)
	return row >= minCard && row <= maxLookalikes
}

// lookalike reads the text around the word text[i:end] with digits for letters.
func (d *Detector) lookalike(dst []redact.Finding, text []byte, i, end int, h Hint) []redact.Finding {
	s := scanner{d: d, text: text, hint: h, final: true, card: -1}
	p := d.passes.get()
	begin := lo(i, lookalikeAhead)
	base := len(dst)
	dst = s.through(dst, p, p.reader.Lookalikes(text, lo(begin, LookBehind), min(len(text), end+lookalikeAhead)), begin, end)
	d.passes.put(p)
	kept := dst[:base]
	for _, f := range dst[base:] {
		if f.Class == redact.CreditCard && slices.Contains(namedRules[:], f.Rule) && f.Start < end && f.End > i {
			f.Evidence = f.Evidence&^redact.EvidenceEncoded | redact.EvidenceScript
			kept = append(kept, f)
		}
	}
	return kept
}
