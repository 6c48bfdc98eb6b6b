package spoken

// How far the reader goes, in bytes.
const (
	// Reach is how far behind its begin a number may end. What a number is depends
	// on nothing farther away than this and the words between.
	Reach = 720
	// Lead is how far in front of a number the words and digits are looked at.
	Lead = 160
	// maxGap is how much may stand between two parts of a number: fillers, and what
	// another speaker says.
	maxGap     = 72
	maxTurnGap = 240
	// maxFillers is how many words may stand between two parts of a number.
	maxFillers = 9
	// before and after are how far in front of and behind a sample in a stretch of
	// number words a number may begin: its first words, and those of a short number,
	// may lie between the samples.
	before, after = 512, 128
	// leads is how far the numbers in front of a number are followed.
	leads = 96
)

// Judge says what a caller looks for. Its methods are called from Scan only.
type Judge interface {
	// Begins reports whether three digits may begin a number of minLong digits or
	// more that is wanted.
	Begins(first3 uint32) bool
	// Fits reports whether a number with these first eight digits and this many
	// digits, of which the Luhn sum is right or not, may be wanted.
	Fits(first8 uint32, digits int, luhn bool) bool
	// Named reports whether the words in front of the offset name such a number. The
	// offset is that of the number, of others in front of it, or of the name of the
	// speaker in front of these; so it is for Short.
	// Where digits stand right before or behind, it is not looked for otherwise.
	Named(at int) bool
	// Short reports whether a number of three to six, or of nine, digits that
	// begins at the offset may be wanted.
	Short(at, digits int) bool
	// Take is asked about each candidate in turn and reports whether it is a
	// finding. Then nothing else is looked for inside it.
	Take(n *Number) bool
}

// Lengths of the numbers that are looked for.
const (
	minLong  = 12
	minShort = 3
	maxShort = 6
	taxSize  = 9
)

// Number is a candidate. It is valid during the call it is given to.
type Number struct {
	// Start and End are the raw bytes from the first to the last word.
	Start, End int
	// Digits are ASCII, and From[i], To[i] are the raw bytes of the word that says
	// Digits[i].
	Digits   []byte
	From, To []int
	// Lead is where the words in front of the number begin to count: in front of
	// the digits that stand before it, if there are any.
	Lead int
	// Label is where the speaker's name begins that stands right in front of Lead,
	// or Lead when there is none.
	Label int
	// Joined and Joins report whether other digits stand right before it and right
	// behind it, with a blank or hyphen between.
	Joined, Joins bool
}

// mode says how an ambiguous place is read. The zero mode is the likely one.
type mode uint8

const (
	modeSplit  mode = 1 << iota // forty two is 40 2, not 42
	modeSounds                  // homophones are digits
	modeAll                     // what the other speaker says belongs to it
	modeKeep                    // a correction takes nothing back
	modeCounts                  // behind "the last" a number word counts, though digits follow
	modes      = 1 << iota
)

// scan is the working memory of one Scan.
type scan struct {
	*Reader
	text  []byte
	judge Judge

	toks []token
	head int  // the token that is tried as the begin of a number
	at   int  // how far the text is read into tokens
	stop int  // where the region ends at the latest; grows with every number word
	done bool // nothing more to read in this region
	lang int
	mask uint8
	// ahead is the first sample in a stretch that is at most after in front of the
	// head, or any behind it; len(text) for none.
	ahead, phase int
	spare        int // from where on it pays to look far ahead; see seen

	digits   [maxDigits + 8]byte
	from, to [maxDigits + 8]int
	n        int
	used     mode

	label int // see Number
	whole int // where a candidate has to end, 0 for anywhere

	best   Number
	found  bool
	spans  [2][maxDigits]int
	copied [maxDigits]byte

	// led is where the numbers that lead to the head begin; see lead.
	led struct {
		first, next int
		last        int // where the last of them ends, in bytes
		run, far    bool
	}
	named struct {
		at int
		is bool
	}
}

// Scan calls judge for the numbers of text that begin in [from, to), first to
// last. Numbers that begin before from were found by an earlier call, with at
// least [Lead] bytes of the same text in front. phase is as for [Reader.Next].
//
// Whether a number begins at an offset depends on the [Lead] bytes before and the
// [Reach] and 256 bytes behind it, and on nothing else but the judge: so a stream gives
// what the whole text gives.
func (r *Reader) Scan(text []byte, from, to, phase int, judge Judge) {
	hit := r.Next(text, max(0, from-after), phase)
	if hit == len(text) {
		return
	}
	s, _ := r.pool.Get().(*scan)
	if s == nil {
		s = new(scan)
	}
	s.Reader, s.text, s.phase, s.judge = r, text, phase, judge
	s.ahead, s.spare = hit, 0
	for done := from; s.ahead < len(text) && done < to; {
		done = s.region(done, to)
		if s.ahead < done {
			s.ahead = r.Next(text, max(done-after, s.ahead+1), phase)
		}
	}
	s.release()
}

// release gives the memory back, without what was read.
func (s *scan) release() {
	s.text, s.judge = nil, nil
	clear(s.copied[:])
	clear(s.digits[:])
	s.best.Digits = nil
	s.pool.Put(s)
}

// begin starts to read tokens at offset at.
func (s *scan) begin(at int) {
	s.toks, s.head, s.at, s.done = s.toks[:0], 0, at, false
	s.named.at = -1
	s.led.first, s.led.next, s.led.last, s.led.run, s.led.far = 0, 0, 0, false, false
}

// region reads the number words around the next sample, from done at the
// earliest, and returns how far.
func (s *scan) region(done, to int) int {
	begin := max(done-Lead, s.ahead-before-Lead, 0)
	for begin > 0 && begin < len(s.text) && sameToken(s.text[begin-1], s.text[begin]) {
		begin++ // not inside a word; one that is glued to digits begins behind them
	}
	s.begin(begin)
	hit := s.ahead // seen may go on to a sample behind the region, of which nothing is read here
	s.stop = hit + maxTurnGap
	for s.fill(); s.head < len(s.toks); s.fill() {
		t := &s.toks[s.head]
		if t.start >= to {
			return len(s.text)
		}
		end := 0
		if t.start >= done && s.begins(s.head) && s.seen(t.start) {
			end = s.try()
		}
		if end == 0 {
			s.head++
			continue
		}
		for s.head < len(s.toks) && s.toks[s.head].start < end {
			s.head++
		}
	}
	return min(max(s.at, hit+1, done), len(s.text))
}

// sameToken reports whether no token begins between two bytes that stand side by side:
// both are of a word, or both are digits.
func sameToken(a, b byte) bool {
	return wordByte(a) && wordByte(b) || a-'0' <= 9 && b-'0' <= 9
}

// seen reports whether a sample near a number that begins at i lies in a stretch
// of number words.
func (s *scan) seen(i int) bool {
	if s.ahead < i-after {
		// Any sample that is near will do, and one that is far ahead does for longer.
		if i >= s.spare {
			if far := s.within(s.text, i+before/2, i+before, s.phase); far < len(s.text) {
				s.ahead = far
				return true
			}
			s.spare = i + before/2
		}
		s.ahead = s.Next(s.text, i-after, s.phase)
	}
	return s.ahead < len(s.text) && s.ahead-i <= before
}

// fill reads tokens until all that a number beginning at the head can need are
// there, or the region ends.
func (s *scan) fill() {
	if s.head > 512 && s.head < len(s.toks) {
		// The tokens of Lead bytes stay. Behind a number with which the last of them
		// ended there is nothing yet to look back from.
		keep := s.head
		s.lead()
		for keep > 0 && s.toks[s.head-1].end-s.toks[keep-1].start < Lead+maxLabel {
			keep--
		}
		keep = min(keep, s.led.first)
		s.toks = s.toks[:copy(s.toks, s.toks[keep:])]
		s.head -= keep
		s.led.first -= keep
		s.led.next -= keep
	}
	for !s.done && (s.head >= len(s.toks) || s.at-s.toks[s.head].start < Reach+maxTurnGap) {
		t, ok := s.next(s.text, s.at)
		if !ok || t.start > s.stop {
			s.done = true
			s.at = min(s.stop, len(s.text))
			return
		}
		s.at = t.end
		if t.kind == kindDigits && t.end-t.start <= maxDigits || t.kind == kindWord && t.word != 0 && s.dict.langs[t.word] != 0 {
			s.stop = max(s.stop, t.end+maxTurnGap)
		}
		s.toks = append(s.toks, t)
	}
}

// begins reports whether a number may begin with token i, and notes with which
// languages it can be read.
func (s *scan) begins(i int) bool {
	t := &s.toks[i]
	switch t.kind {
	case kindDigits:
		s.mask = 0
		if w := s.wordNear(i); w != 0 {
			s.mask = s.dict.langs[w]
		}
	case kindWord:
		s.mask = s.dict.langs[t.word]
		if s.mask == 0 && s.dict.roles[t.word]&roleHomophone != 0 && i+1 < len(s.toks) && s.toks[i+1].kind == kindWord {
			s.mask = s.dict.langs[s.toks[i+1].word]
		}
	}
	return s.mask != 0
}

// wordNear returns a number word soon behind token i, or 0.
func (s *scan) wordNear(i int) uint16 {
	for j := i + 1; j < len(s.toks) && j < i+24; j++ {
		if t := &s.toks[j]; t.kind == kindWord && t.word != 0 && s.dict.langs[t.word] != 0 {
			return t.word
		}
	}
	return 0
}

// try looks for a number that begins at the head, and returns where it ends, or 0.
func (s *scan) try() int {
	i := s.head
	for lang := range s.langs {
		if s.mask>>lang&1 == 0 {
			continue
		}
		s.lang, s.found, s.used = lang, false, 0
		first := mode(0)
		switch {
		case !s.isNumber(i, lang):
			if s.toks[i].kind != kindWord || s.dict.senses[s.toks[i].word][lang].homophone == 0 || s.toks[i+1].join > joinTight {
				continue
			}
			first = modeSounds
		case s.counts(i, lang):
			continue
		}
		joined := s.joined(i)
		lead, far := s.lead()
		s.label = lead
		if j := s.led.first - 1; s.led.run && j >= 0 && !far && s.toks[j].kind == kindLabel {
			s.label = s.toks[j].start
		}
		if joined && (far || !s.isNamed(lead)) {
			continue
		}
		s.walk(i, first, lead, joined)
		for m, tried := first+1, s.used|first; m < modes && !s.found && tried != 0; m++ {
			if m&first == first && m&^tried == 0 {
				s.walk(i, m, lead, joined)
				tried |= s.used
			}
		}
		if s.found && s.judge.Take(&s.best) {
			return s.best.End
		}
	}
	return 0
}

func (s *scan) isNamed(at int) bool {
	if s.named.at != at {
		s.named.at, s.named.is = at, s.judge.Named(s.label)
	}
	return s.named.is
}

// isNumber reports whether a number phrase can begin with token i.
func (s *scan) isNumber(i, lang int) bool {
	t := &s.toks[i]
	return t.kind == kindDigits || t.kind == kindWord && s.dict.numbers[t.word]>>lang&1 != 0
}

// joined reports whether a number stands right before token i: with a blank or
// hyphen between, or with a comma when commas stand between all of them.
func (s *scan) joined(i int) bool {
	t := &s.toks[i]
	if i == 0 || s.apart(i) || t.join > joinComma || t.join == joinComma && (i+1 == len(s.toks) || s.toks[i+1].join != joinComma) {
		return false
	}
	return s.isNumber(i-1, s.lang) && !s.counts(i-1, s.lang)
}

// apart reports whether more stands between token i and the one before it than may
// stand between two parts of a number, be it nothing but blanks.
func (s *scan) apart(i int) bool { return i > 0 && s.toks[i].start-s.toks[i-1].end > maxGap }

// lead returns where the words and digits that lead to the head begin: the begin
// of the numbers that stand before it, with fillers between. far means that these
// go on more than leads bytes before the head, which nobody looks at.
func (s *scan) lead() (at int, far bool) {
	for ; s.led.next <= s.head; s.led.next++ {
		j := s.led.next
		t := &s.toks[j]
		if t.start-s.led.last > maxGap {
			s.led.run = false // whatever stands between, no number goes on behind so much
		}
		number := t.kind == kindDigits || t.kind == kindWord && s.dict.langs[t.word] != 0
		if number {
			s.led.last = t.end
		}
		if number && s.led.run {
			continue
		}
		switch {
		case number:
			s.led.first, s.led.run, s.led.far = j, true, false
		case t.kind != kindWord || s.dict.roles[t.word]&roleFiller == 0:
			s.led.run = false
		}
	}
	i := &s.toks[s.head]
	if !s.led.run {
		return i.start, false
	}
	for s.led.first < s.head && i.start-s.toks[s.led.first].start >= leads {
		s.led.first++
		s.led.far = true
	}
	return s.toks[s.led.first].start, s.led.far
}

// counts reports whether the number word at token i counts something and says no
// digit: "the next four", "three digits", "one second". Among other numbers no
// word counts.
func (s *scan) counts(i, lang int) bool {
	t := &s.toks[i]
	if t.kind == kindDigits && t.end-t.start > 1 || i > 0 && t.join <= joinTight && s.isNumber(i-1, lang) {
		return false
	}
	if next := i + 1; next < len(s.toks) && s.toks[next].join <= joinTight {
		if n := &s.toks[next]; n.kind == kindDigits && n.end-n.start == s.value(t, lang) && s.ordinal(i, lang) {
			return !s.wholeFrom(i, lang) // "first 4 4111", "the other eight 41111111"
		} else if t.kind == kindWord && n.kind == kindDigits && n.end-n.start >= minCounted && s.ordinal(i, lang) {
			return !s.wholeFrom(i, lang) // "part two 41111111"
		} else if t.kind == kindDigits && n.kind == kindDigits && n.end-n.start >= minCounted && s.value(t, lang) <= maxParts && s.ordinal(i, lang) {
			return !s.wholeFrom(i, lang) // "line 1 4111 1111"
		}
		if s.isNumber(next, lang) {
			return false
		}
		if s.hasRole(next, lang, roleCounted) {
			return true
		}
	}
	return s.ordinal(i, lang)
}

// wholeFrom reports whether the digit that token i says and the digits behind it are a
// number that is wanted, to the last: "use the other four 1111 1111 1111 111".
func (s *scan) wholeFrom(i, lang int) bool {
	var l sum
	first := s.value(&s.toks[i], lang)
	if first > 9 {
		return false
	}
	l.add(0, byte('0'+first))
	n := 1
	for j := i + 1; j < len(s.toks) && s.toks[j].kind == kindDigits && s.toks[j].join <= joinTight; j++ {
		for _, b := range s.text[s.toks[j].start:s.toks[j].end] {
			if n == maxDigits {
				return false
			}
			l.add(n, b)
			n++
		}
	}
	return n >= minLong && l.right(n) && s.judge.Fits(l.first8, n, true)
}

// minCounted is how many digits stand behind the number of a part at least.
const minCounted = 4

// maxParts is up to which number the parts of a number are counted.
const maxParts = 5

// value is what a single digit says, in a numeral or in words.
func (s *scan) value(t *token, lang int) int {
	if t.kind == kindDigits {
		return int(s.text[t.start] - '0')
	}
	return int(s.dict.senses[t.word][lang].val)
}

// ordinal reports whether the number word at token i stands behind "the last" or
// the like.
func (s *scan) ordinal(i, lang int) bool {
	return i > 0 && s.toks[i].join <= joinTight && s.hasRole(i-1, lang, roleOrdinal)
}

func (s *scan) hasRole(i, lang int, r role) bool {
	t := &s.toks[i]
	return t.kind == kindWord && s.dict.senses[t.word][lang].roles&r != 0
}
