package detect

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

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
	// Ours appends where a text holds what stands in for values, start and end of
	// each, in order: tokens. What is found within them is no finding. It is called
	// from many goroutines at once, about texts with findings. nil means nowhere.
	Ours func(dst [][2]int, text []byte) [][2]int
}

// Detector finds cards, their codes, and US social security and taxpayer
// numbers. It is immutable and safe for concurrent use.
type Detector struct {
	issuers  issuers
	vocab    vocabulary
	families []family
	naming   *namingWords
	wake     wakeWords
	on       trigger // of all families
	listed   *listed // of the operator, nil when there is nothing
	ours     func([][2]int, []byte) [][2]int
	// Who is asked, a bit for each family: by triggers other than onDigits, by the
	// digits of a chain, and in any case.
	waiting  [onAlways]uint32
	counting [32]uint32
	constant uint32
	brief    briefFamilies
	talk     talk
	passes   passes
	memories memories
}

// New checks c and builds a Detector. An error names the brand row that is wrong.
func New(c Config) (*Detector, error) { return newDetectorOf(c, families()) }

// newDetectorOf is New with some of the families only.
func newDetectorOf(c Config, only []family) (*Detector, error) {
	d := &Detector{families: only, ours: c.Ours}
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
	d.naming = newNamingWords(&d.vocab)
	d.brief = newBriefFamilies(d.families)
	for i, f := range d.families {
		d.on |= f.on
		if f.on&onAlways != 0 {
			d.constant |= 1 << i
		}
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
	// near knows where names of numbers stand in the text, nil when nobody does.
	near *nearNames
}

// Text appends the findings of text to dst and returns the extended slice. They
// are sorted, do not overlap, and their offsets are bytes of text. Place, Path
// and Unit are left for the caller; Never is set where the key says that the
// value is an identifier. Text does not allocate unless it finds something.
func (d *Detector) Text(dst []redact.Finding, text []byte, h Hint) []redact.Finding {
	base := len(dst)
	if h.Key != "" && !h.ID && namesPassword(h.Key) {
		if f, ok := passwordByKey(text, h.Key); ok {
			dst = append(dst, f)
		}
	}
	i := d.next(text, 0)
	if i == len(text) {
		dst = d.always(dst, text, 0, len(text), h)
		return dst[:base+len(resolve(d.permitted(text, dst[base:], h)))]
	}
	if i == 0 && len(text) <= shortest && len(dst) == base && runEnd(text, 0) == len(text) && !cueInKey(h.Key) && !MayName(h.Key) && !d.listed.searches() {
		return dst
	}
	if i == 0 && len(dst) == base {
		if f, ok := d.whole(text, h); ok {
			dst = append(dst, f)
			return dst[:len(d.permitted(text, dst[base:], h))+base]
		}
	}
	s := scanner{d: d, text: text, hint: h, stop: len(text), final: true, card: -1}
	if len(text) >= longText {
		s.remember()
	}
	s.run(&dst, i)
	dst = s.always(dst, 0, len(text))
	s.forget()
	return dst[:base+len(resolve(d.permitted(text, dst[base:], h)))]
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
	stop  int // from here on nothing is looked for; what stands there is context
	final bool
	card  int // where the last card ended, -1 for none
	asked [maxFamilies]int
	// Where the token of the last trigger begins, and where the trigger stood.
	tokenFrom, tokenAt int
	tokenTo            int // how far the families were asked about the token of a glued digit
	dulled             int // up to where dull passed last
	loudTo             int // up to where it would pass nothing
	quietFrom, quietTo int // see quietUpTo
	// The stretch of a word in which short runs of digits are done; see scanner.within.
	innerFrom, innerTo int

	depth   int  // of views
	quoted  bool // the text is also searched with quoted-printable undone
	viewEnd int  // up to where marks were seen to
	looked  int  // up to where tokens were tried as base64
	end64   int  // up to where base64 or hexadecimal text was read; in a stream perhaps before text
	settled int  // in a stream, what stands before was read by earlier calls
	hexed   int  // up to where tokens were tried as hexadecimal text
	tried64 int  // where the run of base64 begins that was tried last, plus one
	// Where the run of base64 begins that was walked last, and from where.
	run64From, run64At int
	regions            []region
	stopped            bool // a region waits for more text

	key      keySense
	keyKnown bool
	mem      *memory // nil until there is need of it

	signs signs
}

// next is the next place at or after i at which something may begin.
func (s *scanner) next(i int) int { return s.signs.next(&s.d.wake, s.text, i) }

// shortest is the number of digits below which only codes are looked for.
const shortest = 9

// run reads the text from i on, asks the families about the triggers on the way,
// and returns how far the search for cards and tax numbers is settled.
func (s *scanner) run(dst *[]redact.Finding, i int) int {
	text := s.text
	if i < len(text) && i == s.from && i > 0 && isDigit(text[i]) && isDigit(text[i-1]) {
		i = runEnd(text, i) // only a run longer than any value is ever cut in two
	}
	for i = s.loud(i); i < s.stop; i = s.loud(i) {
		if !s.final && i+LookAhead > len(text) {
			if i = nextDigit(text, i); i < len(text) {
				return s.hold(i)
			}
			break
		}
		if !isDigit(text[i]) {
			if len(text) >= longText {
				to := i
				switch {
				case text[i] == '_':
					to = s.dull(i)
				case text[i] >= utf8.RuneSelf:
					to = s.dullWide(i)
				}
				if to > i {
					i = to
					continue
				}
			}
			i = s.sign(dst, i)
			continue
		}
		end := i + 1
		if end < len(text) && isDigit(text[end]) {
			end = longRunEnd(text, end)
		}
		if end < s.innerTo && i >= s.innerFrom && (end-i < minCode || end-i <= maxInner && text[end]|0x20 != 'c') {
			i = s.inner(end)
			continue
		}
		if i < s.viewEnd && s.escape(i, end) {
			i = end
			continue
		}
		if len(text) >= longText && end-i <= maxInner && i > 0 && end < len(text) && (isLetter(text[end]) || isLetter(text[i-1])) {
			to := s.dull(i)
			if to == i {
				to = s.printedIBAN(dst, i, end)
			}
			if to > i {
				i = to
				continue
			}
		}
		if !s.final && end == len(text) {
			return end // LookAhead digits in a row, and no value is that long
		}
		var settled bool
		if end, settled = s.number(dst, i, end); !settled {
			return s.hold(end)
		}
		i = end
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

// number looks at the chain of digit groups that begins at i, the first of which ends
// at end, and returns where it ends. settled is false when more text is needed to know
// what begins there.
func (s *scanner) number(dst *[]redact.Finding, i, end int) (last int, settled bool) {
	text := s.text
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
		before := len(*dst)
		if last, settled = s.chain(dst, i); !settled {
			s.digits(dst, i, last) // the next window begins behind these groups, or in them
			return last, false
		}
		if len(*dst) > before {
			s.owned((*dst)[before:], i, last)
		}
	case grouped:
		s.shortGroups(dst, i, last)
	case total >= minCode:
		s.short(dst, i, end)
	}
	s.digits(dst, i, last)
	return last, true
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
		if text[i] == ' ' && (isLetter(text[i-1]) && !maskAt(text, i-1) && !maskEnds(text, i) || text[i-1] >= 0x80 || text[i-1] == ',') {
			return true
		}
	}
	return false
}

// idPlace reports whether the text is an identifier by its place.
func (s *scanner) idPlace() bool { return s.hint.ID || s.keySense() == keyID }

// lo is the lowest offset at which context for a number at i is read.
func lo(i, window int) int { return max(0, i-window) }
