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
// two with what stands beside them. A longer row is none.
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
		i += view.EscapeRest(text, i)
		n, ok := view.Lookalike(text[i:])
		if !ok {
			i = wordSpan(text, i+max(n, 1), to) // the rest of the word
			continue
		}
		if past := d.lookalikeEnd(text, i, i+n, h); past > 0 {
			dst = d.lookalike(dst, text, i, i+n, past, h)
		}
		i += n
	}
	return dst
}

// lookalikeEnd returns how far a card may go whose first word with letters for digits is
// text[i:end], or 0: its digits have the issuer, the length and the check digit of one,
// something may name it, and the row that it is in is not too long. It may be wrong on the side
// of yes.
func (d *Detector) lookalikeEnd(text []byte, i, end int, h Hint) int {
	m := h.near
	if m == nil {
		return d.readLookalikeEnd(text, i, end, h)
	}
	if m.alikeOf != i+1 {
		m.alikePast = d.readLookalikeEnd(text, i, end, h)
		m.alikeOf = i + 1
	}
	return m.alikePast
}

// readLookalikeEnd is lookalikeEnd without memory.
func (d *Detector) readLookalikeEnd(text []byte, i, end int, h Hint) (past int) {
	past = d.alikeFrom(text, i, i, &h)
	// It may begin with a group in front that has digits only, or looks as if.
	for at, total := i, 0; total < maxCard; {
		group := gapStart(text, at)
		if group == at || i-group >= lookalikeAhead {
			break
		}
		for at = group; at > 0 && group-at < maxCard && isDigit(text[at-1]); at-- {
		}
		if at == group {
			if at < 4 || !lettersAlike(text[at-4:at]) || at > 4 && isWordByte(text[at-5]) {
				break
			}
			at -= 4
		}
		glued := at > 0 && gapStart(text, at) == at // to letters
		if glued && endsAlike(text, at) {
			break
		}
		past = max(past, d.alikeFrom(text, at, i, &h))
		if total += group - at; glued {
			break
		}
	}
	if past == 0 || !d.lookalikeNamed(text, i, past, h) {
		return 0
	}
	for ; i < past; i = end {
		if row := view.LookalikeCount(text, i, end, lookalikeAhead); row >= minCard && row <= maxLookalikes {
			return past
		}
		// The next word with such letters.
		for ok := false; !ok; {
			for i = end; i < past && !isWordByte(text[i]); i++ {
			}
			if i >= past {
				return 0
			}
			var n int
			n, ok = view.Lookalike(text[i:])
			for end = i + max(n, 1); !ok && end < len(text) && isWordByte(text[end]); end++ {
			}
		}
	}
	return 0
}

// endsAlike reports whether the digits at i are the end of a word with letters for digits.
func endsAlike(text []byte, i int) bool {
	at := i
	for at > 0 && i-at < lookalikeAhead && isWordByte(text[at-1]) {
		at--
	}
	_, ok := view.Lookalike(text[at+view.EscapeRest(text, at):])
	return ok
}

// gapStart returns where the separators begin that end at i and may stand between two groups
// of digits.
func gapStart(text []byte, i int) int {
	for n := 0; n < maxGapChars && i > 0; n++ {
		g, size := separatorBefore(text, i)
		if g == none {
			break
		}
		i -= size
	}
	return i
}

// gapEnd returns where the separators end that begin at i.
func gapEnd(text []byte, i int) int {
	for n := 0; n < maxGapChars && i < len(text); n++ {
		g, size := separator(text, i)
		if g == none {
			break
		}
		i += size
	}
	return i
}

// longestAlike is how many bytes the number of a card has at most that is written so: nineteen
// characters of two bytes, with three separators of four bytes between any two.
const longestAlike = 2*maxCard + 4*maxGapChars*(maxCard-1)

// alikeFrom returns where the longest row of digits, and letters like them, ends that
// begins at i and behind past, where the first word with such letters begins, and could be the
// number of a card; 0 when there is none, and mostly when nothing names one.
func (d *Detector) alikeFrom(text []byte, i, past int, h *Hint) (end int) {
	var (
		prefix        uint32 // the first digits, eight at most
		lengths       uint32 // of cards that begin with the first three
		total         int
		sum, otherSum int // Luhn sums with the last digit as it is, and doubled
	)
	fits := func() bool {
		return lengths>>total&1 != 0 && d.issuers.read(prefix, total, sum%10 == 0).ok
	}
	for {
		n, ok := view.Lookalike(text[i:])
		plain := runEnd(text, i) - i
		if !ok && plain > 0 {
			n = plain // the rest may be a letter, or a separator outside ASCII
		}
		word := text[i : i+n]
		if plain == 0 && !ok && (n != 4 || !lettersAlike(word)) {
			return end
		}
		for k := 0; k < len(word); {
			digit, size := word[k], 1
			if !isDigit(digit) {
				if k == plain && plain > 0 && i+plain > past && fits() {
					end = i + plain // perhaps the letters are not read as digits
				}
				digit, size = view.Alike(word[k:])
			}
			v := digit - '0'
			sum, otherSum = otherSum+int(v), sum+int(doubled[v])
			if total++; total <= 8 {
				prefix = prefix*10 + uint32(v)
			}
			if total == 3 {
				lengths = d.issuers.lengths[prefix]
			}
			if total > maxCard || total >= 3 && lengths == 0 {
				return end
			}
			if total == 5 && h.near != nil && !d.lookalikeNamed(text, past, past+longestAlike, *h) {
				return 0 // wherever the number ends, which takes longer to tell
			}
			k += size
		}
		if i += n; i > past && fits() {
			end = i
		}
		gap := i
		if i = gapEnd(text, i); i == gap || i == len(text) {
			return end
		}
	}
}

// lettersAlike reports whether all of word is letters of ASCII that look like digits.
func lettersAlike(word []byte) bool {
	for i, b := range word {
		if d, _ := view.Alike(word[i:]); d == 0 || !isLetter(b) {
			return false
		}
	}
	return true
}

// lookalikeNamed reports whether a word may name a card near text[i:past], or a key does.
func (d *Detector) lookalikeNamed(text []byte, i, past int, h Hint) bool {
	from, to := lo(i, lookalikeAhead), min(len(text), past+lookalikeAhead)
	if h.Key != "" || h.near.any(&d.vocab, text, from, to, namesCard) {
		return true
	}
	return h.near.keySign(text, lo(from, wordWindow), to)
}

// lookalike reads the text around the word text[i:end], the first with letters for digits in
// a number that ends at past at the latest, with digits for letters. Cards of chains are all
// that is looked for there.
func (d *Detector) lookalike(dst []redact.Finding, text []byte, i, end, past int, h Hint) []redact.Finding {
	p := d.passes.get()
	begin := lo(i, lookalikeAhead)
	v := p.reader.Lookalikes(text, lo(begin, LookBehind), min(len(text), past+lookalikeAhead))
	s := &p.scanner
	*s = scanner{}
	s.d, s.text, s.hint, s.final, s.card, s.depth = d, v.Text(), h, true, -1, maxDepth
	s.hint.phase, s.from, s.stop = 0, v.At(begin), v.At(end)
	s.remember()
	p.found = p.found[:0]
	for at := s.chainStart(v.At(i)); at < s.stop; at = nextDigit(s.text, at) {
		at, _ = s.chain(&p.found, at)
	}
	s.forget()
	for _, f := range p.found {
		if f.Class == redact.CreditCard && slices.Contains(namedRules[:], f.Rule) && !v.Plain(text, f.Start, f.End) {
			if f.Start, f.End = v.Raw(f.Start, f.End); f.Start < end && f.End > i {
				f.Evidence |= redact.EvidenceScript
				dst = append(dst, f)
			}
		}
	}
	d.passes.put(p)
	return dst
}

// chainStart returns where the first group of digits begins of the chain that goes on with the
// one at i.
func (s *scanner) chainStart(i int) int {
	for {
		end, g := gapBefore(s.text, i, s.from)
		if g == none {
			return i
		}
		at := end
		for at > s.from && isDigit(s.text[at-1]) {
			at--
		}
		if at == s.from && at > 0 && isDigit(s.text[at-1]) {
			return i // in the middle of a number
		}
		i = at
	}
}
