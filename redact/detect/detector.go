package detect

import (
	"encoding/binary"
	"fmt"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/spoken"
)

// How far the detector looks around the digit group with which a value begins,
// in bytes. Nothing outside this window changes the answer.
const (
	// LookBehind covers the words in front, the token a number is glued to and
	// an IBAN around it.
	LookBehind = 160
	// LookAhead covers nineteen digits with three separators of four bytes
	// between any two, a second candidate that overlaps the first, a track, and the
	// words behind.
	LookAhead = 1024
)

// Config sets up a Detector. The zero value means the built-in tables.
type Config struct {
	// ExtraBrands are searched beside the built-in brands.
	ExtraBrands []Brand
	// CardWords are words that name a card, beside the built-in ones: whole
	// words, any case.
	CardWords []string
	// OtherWords are words that name another number (an order, a loyalty
	// account): a bare number right behind one is no card.
	OtherWords []string
	// Terms are words and phrases of the operator's blocklist: whole words, any
	// case, 2 to 120 bytes each.
	Terms []string
	// Find are the operator's own identifiers.
	Find []Find
	// Allow are rows that remove false alarms.
	Allow []Allow
}

// Detector finds cards, their codes, and US social security and taxpayer
// numbers. It is immutable and safe for concurrent use.
type Detector struct {
	issuers  issuers
	vocab    vocabulary
	families []family
	wake     wakeWords
	on       trigger // of all families
	listed   *listed // of the operator, nil when there is nothing
	// Who is asked, a bit for each family: by triggers other than onDigits, and by
	// the digits of a chain.
	waiting  [onAlways]uint32
	counting [32]uint32
	talk     talk
	passes   passes
}

// New checks c and builds a Detector. An error names the brand row that is wrong.
func New(c Config) (*Detector, error) {
	d := &Detector{families: families()}
	var err error
	if d.talk.reader, err = spoken.Default(); err != nil {
		return nil, fmt.Errorf("reading the tables of spoken numbers: %w", err)
	}
	if d.listed, err = newListed(c); err != nil {
		return nil, err
	}
	if d.listed.searches() {
		d.families = append(d.families, listedFamily())
	}
	d.vocab = newVocabulary(c, d.families)
	for i, f := range d.families {
		d.on |= f.on
		for on := range d.waiting {
			if f.on&trigger(on)&^onDigits != 0 {
				d.waiting[on] |= 1 << i
			}
		}
		for n := range d.counting {
			if f.on&onDigits != 0 && n >= f.digits {
				d.counting[n] |= 1 << i
			}
		}
	}
	if d.wake, err = newWakeWords(d.families); err != nil {
		return nil, err
	}
	for _, rows := range [][]Brand{builtinBrands, c.ExtraBrands} {
		for _, b := range rows {
			if err := d.issuers.add(b); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// Hint is what is known about the place of a text beyond the text.
type Hint struct {
	// Key is the name beside the value: a JSON key, a form name, a column. It
	// decides about identifiers (order_id, createdAt, tracking) and about digits
	// that mean nothing without it (ssn, cvv).
	Key string
	// ID says that the place holds an identifier, whatever its key is called.
	ID bool

	// phase is the offset of the text in its stream, for families that sample.
	phase int
}

// Text appends the findings of text to dst and returns the extended slice. They
// are sorted, do not overlap, and their offsets are bytes of text. Place, Path
// and Unit are left for the caller; Never is set where the key says that the
// value is an identifier. Text does not allocate unless it finds something.
func (d *Detector) Text(dst []redact.Finding, text []byte, h Hint) []redact.Finding {
	i := d.next(text, 0)
	if i == len(text) {
		base := len(dst)
		dst = d.always(dst, text, 0, len(text), h)
		return dst[:base+len(resolve(d.permitted(text, dst[base:], h)))]
	}
	if i == 0 && len(text) <= shortest && runEnd(text, 0) == len(text) && !cueInKey(h.Key) && !MayName(h.Key) && !d.listed.searches() {
		return dst
	}
	base := len(dst)
	s := scanner{d: d, text: text, hint: h, final: true, card: -1}
	s.run(&dst, i)
	dst = s.always(dst, 0, len(text))
	return dst[:base+len(resolve(d.permitted(text, dst[base:], h)))]
}

// Nothing reports whether text can hold no finding, unless its key names it (see
// [MayName]). It knows
// the two shapes that most values with digits have, identifiers and times, and is
// much quicker than Text on them; false means that Text has to be asked.
func (d *Detector) Nothing(text []byte) bool {
	n := len(text)
	if n < minCode {
		return true
	}
	if !isDigit(text[0]) || d.listed.searches() {
		return false
	}
	if n >= len("2026-01-02T03:04:05") && text[4] == '-' {
		return isTime(text)
	}
	if n > maxCard || n <= shortest || !allDigits(text) {
		return false
	}
	prefix := uint32(0)
	for _, b := range text[:8] {
		prefix = prefix*10 + uint32(b-'0')
	}
	if n < minCard || d.issuers.lengths[prefix/1e5]>>n&1 == 0 {
		return true
	}
	return !d.issuers.read(prefix, n, luhn(text)).ok
}

// Silent reports whether text holds nothing with which a finding may begin. It is
// Text's first question, for callers to whom a hint costs something.
func (d *Detector) Silent(text []byte) bool {
	return d.next(text, 0) == len(text) && !d.listed.searches() && d.talk.reader.Next(text, 0, 0) == len(text)
}

// allDigits reports whether text, of 8 to 24 bytes, is digits only.
func allDigits(text []byte) bool {
	n := len(text)
	return nonDigits(binary.LittleEndian.Uint64(text))|nonDigits(binary.LittleEndian.Uint64(text[n-8:]))|
		nonDigits(binary.LittleEndian.Uint64(text[(n-8)/2:])) == 0
}

// isTime reports whether text is a time in the form of RFC 3339, with a T.
func isTime(text []byte) bool {
	const form = "0000-00-00T00:00:00"
	if len(text) > len("2026-01-02T03:04:05.123456+07:00") {
		return false
	}
	for i := range len(form) {
		if form[i] == '0' {
			if !isDigit(text[i]) {
				return false
			}
		} else if text[i] != form[i] {
			return false
		}
	}
	for i, b := range text[len(form):] {
		if !isDigit(b) && b != ':' && (b != '.' || i > 0) && b != '+' && b != '-' && b != 'Z' {
			return false
		}
	}
	return true
}

// luhn reports whether the last digit of a run of digits is its check digit.
func luhn(text []byte) bool {
	sum, i := 0, len(text)
	for ; i >= 2; i -= 2 {
		sum += int(text[i-1]-'0') + int(doubled[text[i-2]-'0'])
	}
	if i == 1 {
		sum += int(text[0] - '0')
	}
	return sum%10 == 0
}

// scanner is the state of one scan over one text.
type scanner struct {
	d     *Detector
	text  []byte
	hint  Hint
	from  int
	final bool
	card  int // where the last card ended, -1 for none
	asked [maxFamilies]int
	// Where the token of the last trigger begins, and where the trigger stood.
	tokenFrom, tokenAt int

	depth   int // of views
	viewEnd int // up to where marks were seen to
	looked  int // up to where tokens were tried as base64
	regions []region
	stopped bool // a region waits for more text

	key      keySense
	keyKnown bool
}

// shortest is the number of digits below which only codes are looked for.
const shortest = 9

// run reads the text from i on, asks the families about the triggers on the way,
// and returns how far the search for cards and tax numbers is settled.
func (s *scanner) run(dst *[]redact.Finding, i int) int {
	text := s.text
	if i < len(text) && i == s.from && i > 0 && isDigit(text[i]) && isDigit(text[i-1]) {
		i = runEnd(text, i) // only a run longer than any value is ever cut in two
	}
	for i = s.d.next(text, i); i < len(text); i = s.d.next(text, i) {
		if !s.final && i+LookAhead > len(text) {
			if i = nextDigit(text, i); i < len(text) {
				return s.hold(i)
			}
			break
		}
		if !isDigit(text[i]) {
			i = s.sign(dst, i)
			continue
		}
		end := i + 1
		for end < len(text) && isDigit(text[end]) {
			end++
		}
		if !s.final && end == len(text) {
			return end // LookAhead digits in a row, and no value is that long
		}
		total, last := end-i, end
		grouped := false
		if last < len(text) && (asciiGap[text[last]] != none || text[last] >= 0xC2) {
			for next, g := gapAfter(text, last); g != none; next, g = gapAfter(text, last) {
				grouped = true
				last = runEnd(text, next)
				total += last - next
				if total >= shortest {
					break
				}
			}
		}
		switch {
		case total >= shortest:
			next, settled := s.chain(dst, i)
			if !settled {
				return s.hold(next)
			}
			last = next
		case grouped:
			s.shortGroups(dst, i, last)
		case total >= minCode:
			s.short(dst, i, end)
		}
		s.digits(dst, i, last)
		i = last
	}
	if s.final {
		return len(text)
	}
	// See hold for the two bytes; a character is not cut.
	end := max(s.from, len(text)-2)
	for end > s.from && text[end]&0xC0 == 0x80 {
		end--
	}
	return end
}

// hold returns where to stop so that the sentinel of a track in front of the
// digits at i stays with them.
func (s *scanner) hold(i int) int {
	switch {
	case i-1 >= s.from && s.text[i-1] == ';':
		return i - 1
	case i-2 >= s.from && s.text[i-1]|0x20 == 'b' && s.text[i-2] == '%':
		return i - 2
	case i-1 >= s.from && s.text[i-1]|0x20 == 'b':
		return i - 1
	}
	return i
}

// keySense classifies the key beside the text, once.
func (s *scanner) keySense() keySense {
	if !s.keyKnown {
		s.keyKnown = true
		s.key = senseOfKey(s.hint.Key)
		if s.key == keyID && prose(s.text) {
			s.key = 0
		}
	}
	return s.key
}

// prose reports whether text has words in it, which no identifier has: a
// letter, and a blank behind a letter or a comma. A mask of ours is no word: it
// says as much as the digits did that it stands for.
func prose(text []byte) bool {
	for i := 1; i < len(text); i++ {
		if text[i] == ' ' && (isLetter(text[i-1]) && (text[i-1] != 'X' || !maskEnds(text, i)) || text[i-1] >= 0x80 || text[i-1] == ',') {
			return true
		}
	}
	return false
}

// idPlace reports whether the text is an identifier by its place.
func (s *scanner) idPlace() bool { return s.hint.ID || s.keySense() == keyID }

// lo is the lowest offset at which context for a number at i is read.
func lo(i, window int) int { return max(0, i-window) }
