package detect

import "github.com/caregate/caregate/redact"

// idFamily finds national identifiers, bank accounts, telephone numbers and dates
// of birth. What most of them need is a name: one number in ten has the right
// check digit for some office. Only shapes that nothing else has stand alone.
func idFamily() family {
	return family{name: "ids", on: onDigits | onGlued, digits: 1, yields: true, vocabulary: idVocabulary(), find: (*Detector).findIDs}
}

// idLead is how far before its first digit, and the token that one is in, a
// finding of this family may begin: a month, or the letters of a code in groups.
const idLead = 16

// findIDs reads the groups of digits and the tokens of text[from:to).
func (d *Detector) findIDs(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	i := nextHopeful(h.near, text, nextDigit(text[:to], from), to)
	if i == to {
		return dst // as nearly always
	}
	if h.near == nil {
		var s idScan
		return s.all(d, dst, text, i, to, h)
	}
	return h.near.ids.all(d, dst, text, i, to, h)
}

// all is findIDs from the first run of digits on with which something may begin.
func (s *idScan) all(d *Detector, dst []redact.Finding, text []byte, i, to int, h Hint) []redact.Finding {
	s.d, s.text, s.hint = d, text, h
	s.said.begun, s.key.known, s.behindOf = false, false, 0
	s.key.set, s.key.id = 0, false
	for i < to {
		s.begin(i)
		found, next := s.spot(i, runEnd(text, i))
		if found {
			dst = append(dst, s.f)
		}
		if next >= to {
			break
		}
		i = nextHopeful(h.near, text, digitAfter(text[:to], next), to)
	}
	return dst
}

// nextHopeful returns the first run of digits in text[i:to) with which something may
// begin, or to. A digit stands at i, or i is to.
func nextHopeful(near *nearNames, text []byte, i, to int) int {
	for i < to {
		end := runEnd(text, i)
		if (i == 0 || !isDigit(text[i-1])) && hopeful(near, text, i, end) {
			return i
		}
		i = digitAfter(text[:to], min(end, to))
	}
	return to
}

// hopeful reports whether something may begin with the run of digits text[i:end],
// as far as the bytes right beside it tell. Most numbers that people and machines
// write are too short to be anything, or stand inside a longer one.
func hopeful(near *nearNames, text []byte, i, end int) bool {
	n := end - i
	before, second, after, next := byteBefore(text, i), byteBefore(text, i-1), byte(' '), byte(' ')
	if end < len(text) {
		after = text[end]
	}
	if end+1 < len(text) {
		next = text[end+1]
	}
	switch {
	case isLetter(before):
		return second != '_' && n <= longestToken
	case isLetter(after):
		// 12th, 5pm: letters that end the token at once.
		if n > 2 || end+2 < len(text) && isWordByte(text[end+2]) && isWordByte(next) || before == '(' {
			return n <= longestToken
		}
		return near.month(text, i, end) && monthNear(text, i, end)
	case n > maxAccount:
		return false // longer than all that has no letters
	}
	other := end + 1 // where the second group begins, if there is one
	grouped := asciiGap[after] != none && isDigit(next)
	wide := none
	if after >= 0xC2 {
		kind, size := separator(text, end)
		wide, other = kind, end+size
		grouped = kind&(gapSpace|gapDash|gapDot) != 0 && other < len(text) && isDigit(text[other])
	}
	if before >= 0x80 {
		switch kind, size := separatorBefore(text, i); kind {
		case gapSpace:
			before, second = ' ', byteBefore(text, i-size)
		case gapDash:
			before, second = '-', byteBefore(text, i-size)
		}
	}
	switch before { // see apartBefore
	case '_', '@', '%', '$', '\\', '~':
		return false
	case '/':
		if second > ' ' && second != '(' && second != ':' {
			return false
		}
	case '-':
		if second > ' ' && second != '(' && second != ':' && n != 2 && n != 7 { // AB-12-34-56-C, X-1234567-L
			return false
		}
	}
	if isDigit(second) || second == 'X' && n != 7 { // X-1234567-L is a NIE
		// Nothing but a bare number begins behind digits.
		switch before {
		case '-', '.', '/', ',', ':':
			return false
		case ' ':
			if grouped && n < minAccount && (after == ' ' || after >= 0xC2) {
				return false
			}
		}
	}
	switch {
	case n >= minAccount, before == '+', before == '(':
		return true
	case after == ':' || after == ',' || after == '\n' || after == '_':
		grouped = false
	case after == ' ' && (next == '(' || next == '-' && n > 1):
		return true
	case n == 2 && after == '.' && end+4 < len(text) && text[end+4] == '.': // 12.ABC.345/01DE-35
		return true
	}
	if grouped {
		// Five digits are the fewest, in a date of three groups.
		m := runEnd(text, other)
		if m-other+n > 5 || m+1 >= len(text) {
			return m-other+n > 5
		}
		gap, _ := separator(text, m)
		return gap != none && (text[m] >= 0xC2 || isDigit(text[m+1]))
	}
	return n <= 2 && near.month(text, i, end) && monthNear(text, i, end) || n == 4 && (wide != none || after >= 0x80 && ideographicDate(text, end) > 0)
}

// byteBefore is the byte before i, a blank at the begin of the text.
func byteBefore(text []byte, i int) byte {
	if i < 1 {
		return ' '
	}
	return text[i-1]
}

// idScan is the state of one call of findIDs.
type idScan struct {
	d    *Detector
	text []byte
	hint Hint

	f    redact.Finding // what was found last
	at   int            // where the value being looked at begins
	said said
	key  keyNames
	// first and last are where the number lies for who listens for names.
	first, last int
	heard       int8

	behindOf  int
	behindSet sense

	dialled dialled
	short   [3]dialled // what dialled was with ten to twelve digits
	runs    digitRuns
	buf     [maxCard]byte // the digits of the runs
}

// said is what the words in front of a number say.
type said struct {
	set    sense // of the nearest word that names a number
	direct bool  // only filling words stand between
	list   bool  // only filling words and other numbers
	part   bool  // "last" or "ending" stands between: the digits are the end of a number

	begun, done bool
	from        int // how far the words are read
}

// before reads the words in front of the value, as far as is asked for: all within
// reach, or only those that stand right in front, with numbers between at most.
func (s *idScan) before(all bool) *said {
	w := &s.said
	if !w.begun {
		*w = said{direct: true, list: true, begun: true, from: s.at}
	}
	from := lo(s.at, wordWindow)
	for !w.done && (all || w.direct || w.list) {
		if at := numberBefore(s.text, w.from, from); at >= 0 {
			w.from, w.direct = at, false
			continue
		}
		start, end, ok := wordBefore(s.text, w.from, from)
		if !ok {
			w.direct, w.list, w.done = false, false, true
			break
		}
		w.from = start
		switch set := s.sense(start, end, from); {
		case set&(nameAny|nameElse) != 0:
			w.set, w.done = set, true
		case set&nameEnding != 0:
			w.part = w.part || w.direct
		case set&nameFill == 0:
			w.direct, w.list = false, false
		}
	}
	return w
}

// numberBefore returns where the number begins that stands in front of i with no
// word between, or -1. Digits right behind letters belong to a word.
func numberBefore(text []byte, i, lo int) int {
	for i > lo && byteKinds[text[i-1]] == otherByte {
		i--
	}
	at := i
	for at > lo && isDigit(text[at-1]) {
		at--
	}
	if at == i || at > 0 && isWordByte(text[at-1]) {
		return -1
	}
	return at
}

// begin makes start the begin of the value, when letters in front belong to it.
func (s *idScan) begin(start int) {
	if s.at != start {
		s.at, s.said.begun = start, false
	}
}

// sense is what the word text[start:end] says, with the words in front of it.
func (s *idScan) sense(start, end, from int) sense {
	return idSense(s.d.vocab.phrase(s.text, start, end, from))
}

// idSense keeps of a word's senses the one that counts: something else, a name,
// a filling word.
func idSense(set sense) sense {
	switch {
	case set&nameOther != 0:
		return nameOther
	case set&nameAny != 0:
		return set & nameAny
	case set&nameEnding != 0:
		return nameEnding
	case set&nameFill != 0:
		return nameFill
	}
	return set & nameElse
}

// keyNames is what the key beside a text says: a name, and whether it is the key of
// an identifier or a time.
type keyNames struct {
	set       sense
	id, known bool
}

// keyNames reads the key, once.
func (s *idScan) keyNames() (sense, bool) {
	k := &s.key
	if !k.known {
		k.known = true
		if s.hint.Key != "" {
			k.read(s.d, s.hint.Key, s.text)
		}
		k.id = k.id || s.hint.ID
	}
	return k.set, k.id
}

func (k *keyNames) read(d *Detector, name string, text []byte) {
	var buf [2 * maxKey]byte
	key := wordsOfKey(buf[:0], name)
	for at := len(key); ; {
		start, end, ok := wordBefore(key, at, 0)
		if !ok {
			break
		}
		set := idSense(d.vocab.phrase(key, start, end, 0))
		if set&(nameAny|nameElse) != 0 {
			k.set = set
			break
		}
		switch kind := keyTable[string(key[start:end])]; {
		case kind&keyID != 0:
			k.id = true
		case kind&keyText != 0 && at == len(key):
			return
		}
		at = start
	}
	if k.set&nameAny == 0 && senseOfKey(name) == keyID {
		k.id = true
	}
	switch {
	case k.id && prose(text):
		k.set, k.id = 0, false
	case k.id:
		k.set = nameOther
	}
}

// wordsOfKey appends the words of a key to dst, which has room for twice its size, in
// lower case with blanks between: nhsNumber, NHS_NUMBER.
func wordsOfKey(dst []byte, key string) []byte {
	if len(key) > maxKey {
		key = key[len(key)-maxKey:]
	}
	for i := range len(key) {
		b := key[i]
		upper := b-'A' < 26
		if upper && i > 0 && isLetter(key[i-1]) && (key[i-1]-'A' >= 26 || i+1 < len(key) && key[i+1]-'a' < 26) {
			dst = append(dst, ' ')
		}
		switch {
		case upper:
			b |= 0x20
		case b == '-' || b == '_' || b == '.':
			b = ' '
		}
		dst = append(dst, b)
	}
	return dst
}

// How a number is named.
const (
	unnamed  = iota
	nearby   // a word within reach says so, and none between says otherwise
	directly // right in front, with only filling words between, or right behind, or by the key
)

// named says how text[s.at:end] is named one of want, and by what. far says that a
// name within reach is enough.
func (s *idScan) named(end int, want sense, far bool) (int, redact.Evidence) {
	if s.quiet() {
		return unnamed, 0
	}
	w := s.before(far)
	if w.part {
		return unnamed, 0
	}
	if w.set&want != 0 {
		if w.direct {
			return directly, redact.EvidenceWord
		}
		return nearby, redact.EvidenceWord
	}
	if w.set != 0 && w.direct {
		return unnamed, 0
	}
	if key, _ := s.keyNames(); key&want != 0 {
		return directly, redact.EvidenceKey
	}
	if s.behind(end)&want != 0 {
		return directly, redact.EvidenceWord
	}
	return unnamed, 0
}

// behind is what the words right behind end name it: "... is my NHS number",
// "... (NHS)". It remembers its last answer.
func (s *idScan) behind(end int) sense {
	if s.behindOf != end {
		s.behindOf, s.behindSet = end, s.readBehind(end)
	}
	return s.behindSet
}

func (s *idScan) readBehind(end int) sense {
	to := min(len(s.text), end+wordWindow/2)
	strange := -1 // the first words of a phrase say nothing by themselves
	for at := end; ; {
		a, b, ok := wordAfter(s.text, at, to)
		if !ok || isDigit(s.text[a]) {
			return 0
		}
		for _, c := range s.text[at:a] {
			if c == '\n' || c == ';' || c == ',' || c == '"' || c == '.' {
				return 0
			}
		}
		switch set := s.sense(a, b, end); {
		case set&nameAny != 0:
			if numberSoon(s.text, b) {
				return 0
			}
			return set
		case set&nameElse != 0:
			return 0
		case set&nameFill != 0:
			strange = max(strange, 0)
		case strange < 0 || strange == 2:
			return 0
		default:
			strange++
		}
		at = b
	}
}

// other reports whether a word right in front, or the key, names the number
// something else, so that its shape alone says nothing.
func (s *idScan) other() bool {
	w := s.before(false)
	if w.part || w.direct && w.set != 0 {
		return true
	}
	key, id := s.keyNames()
	return id || key != 0 && w.set == 0
}

// found makes a finding, which is s.f. proof is what is known beside how it is named.
func (s *idScan) found(c redact.Class, start, end, how int, by, proof redact.Evidence, rule string) *redact.Finding {
	f := &s.f
	*f = redact.Finding{Class: c, Start: start, End: end, Rule: rule, Evidence: by | proof, Strong: how != unnamed || proof&redact.EvidenceGrouping != 0}
	switch {
	case how == directly && proof&redact.EvidenceChecksum != 0:
		f.Confidence = 0.98
	case how == directly, how == nearby && proof&redact.EvidenceChecksum != 0:
		f.Confidence = 0.9
	case proof&redact.EvidenceChecksum != 0 && proof&redact.EvidenceGrouping != 0:
		f.Confidence = 0.9
	case proof&redact.EvidenceChecksum != 0:
		f.Confidence = 0.85
	default:
		f.Confidence = 0.6
	}
	if _, id := s.keyNames(); id && by&redact.EvidenceKey == 0 {
		f.Never, f.Confidence = true, f.Confidence/2
	}
	return f
}

// spot looks at the run of digits text[i:end], and returns what begins there and where to go on. A finding with End 0 is none.
func (s *idScan) spot(i, end int) (found bool, next int) {
	before, after := byte(0), byte(0)
	if i > 0 {
		before = s.text[i-1]
	}
	if end < len(s.text) {
		after = s.text[end]
	}
	s.first, s.last, s.heard = i, end+maxIBAN, unheard
	if isLetter(before) || isLetter(after) {
		return s.token(i)
	}
	s.read(i)
	if s.digits(i, end, before) {
		return true, max(s.f.End, end)
	}
	return false, end
}

// quiet reports whether nothing near the number, nor the key, names numbers.
func (s *idScan) quiet() bool {
	if s.heard == unheard {
		s.heard = heardName
		if !s.hint.near.any(&s.d.vocab, s.text, s.first, s.last, namesID) {
			key := sense(0)
			if s.hint.Key != "" {
				key, _ = s.keyNames()
			}
			if key&nameAny == 0 {
				s.heard = heardNothing
			}
		}
	}
	return s.heard == heardNothing
}

// What idScan.quiet knows.
const (
	unheard = iota
	heardName
	heardNothing
)

// maxRuns is how many groups of digits a value of this family can have.
const maxRuns = 9

// digitRuns are groups of digits with one separator between any two.
type digitRuns struct {
	n          int
	start, end [maxRuns]int
	sep        [maxRuns]byte // in front of each group: blank, hyphen, dot, slash; 0 for the first
}

// read reads the groups from the digit at i on, as far as they can belong to one
// value.
func (s *idScan) read(i int) {
	r := &s.runs
	r.n, r.sep = 0, [maxRuns]byte{}
	total := 0
	sep := byte(0)
	for {
		end := runEnd(s.text, i)
		r.start[r.n], r.end[r.n], r.sep[r.n] = i, end, sep
		r.n++
		total += end - i
		if r.n == maxRuns || total > maxCard {
			return
		}
		if sep, i = oneSeparator(s.text, end); sep == 0 {
			return
		}
	}
}
