package detect

import "github.com/caregate/caregate/redact"

// idFamily finds national identifiers, bank accounts, telephone numbers and dates
// of birth. What most of them need is a name: one number in ten has the right
// check digit for some office. Only shapes that nothing else has stand alone.
func idFamily() family {
	return family{name: "ids", on: onDigits | onGlued, digits: 1, vocabulary: idVocabulary(), find: (*Detector).findIDs}
}

// idLead is how far before its first digit, and the token that one is in, a
// finding of this family may begin: a month, or the letters of a code in groups.
const idLead = 16

// findIDs reads the groups of digits and the tokens of text[from:to).
func (d *Detector) findIDs(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	s := idScan{d: d, text: text, hint: h}
	for i := nextDigit(text[:to], from); i < to; {
		if i > 0 && isDigit(text[i-1]) {
			i = nextDigit(text[:to], runEnd(text, i)) // begun before
			continue
		}
		s.at, s.saidKnown = i, false
		f, next := s.spot(i)
		if f.End > 0 {
			dst = append(dst, f)
		}
		if next >= to {
			break
		}
		i = nextDigit(text[:to], next)
	}
	return dst
}

// idScan is the state of one call of findIDs.
type idScan struct {
	d    *Detector
	text []byte
	hint Hint

	at        int // the digit being looked at
	said      said
	saidKnown bool
	key       sense
	keyID     bool
	keyKnown  bool
	runs      digitRuns
	buf       [maxCard]byte // the digits of the runs
}

// said is what the words in front of a number say.
type said struct {
	set    sense // of the nearest word that names a number
	direct bool  // only filling words stand between
	list   bool  // only filling words and other numbers
	part   bool  // "last" or "ending" stands between: the digits are the end of a number
}

// before reads the words in front of the spot, once.
func (s *idScan) before() *said {
	if s.saidKnown {
		return &s.said
	}
	s.saidKnown = true
	s.said = said{direct: true, list: true}
	from := lo(s.at, wordWindow)
	for at := s.at; ; {
		start, end, ok := wordBefore(s.text, at, from)
		if !ok {
			s.said.direct, s.said.list = false, false
			return &s.said
		}
		switch set := s.sense(start, end, from); {
		case set&(nameAny|nameElse) != 0:
			s.said.set = set
			return &s.said
		case set&nameEnding != 0:
			s.said.part = s.said.part || s.said.direct
		case isDigit(s.text[start]):
			s.said.direct = false
		case set&nameFill == 0:
			s.said.direct, s.said.list = false, false
		}
		at = start
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

// keyNames is what the key beside the text says, and whether it is the key of an
// identifier or a time.
func (s *idScan) keyNames() (sense, bool) {
	if s.keyKnown || s.hint.Key == "" {
		return s.key, s.keyID || s.hint.ID
	}
	s.keyKnown = true
	var buf [2 * maxKey]byte
	key := wordsOfKey(buf[:0], s.hint.Key)
	for at := len(key); ; {
		start, end, ok := wordBefore(key, at, 0)
		if !ok {
			break
		}
		set := idSense(s.d.vocab.phrase(key, start, end, 0))
		if set&(nameAny|nameElse) != 0 {
			s.key = set
			break
		}
		switch kind := keyTable[string(key[start:end])]; {
		case kind&keyID != 0:
			s.keyID = true
		case kind&keyText != 0 && at == len(key):
			return 0, s.hint.ID
		}
		at = start
	}
	if s.key&nameAny == 0 && senseOfKey(s.hint.Key) == keyID {
		s.keyID = true
	}
	if s.keyID && !prose(s.text) {
		s.key = nameOther
	} else if s.keyID {
		s.key, s.keyID = 0, false
	}
	return s.key, s.keyID || s.hint.ID
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

// named says how text[s.at:end] is named one of want, and by what.
func (s *idScan) named(end int, want sense) (int, redact.Evidence) {
	w := s.before()
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
// "... (NHS)".
func (s *idScan) behind(end int) sense {
	to := min(len(s.text), end+wordWindow/2)
	strange := 0 // the first words of a phrase say nothing by themselves
	for at := end; ; {
		a, b, ok := wordAfter(s.text, at, to)
		if !ok || isDigit(s.text[a]) {
			return 0
		}
		for _, c := range s.text[at:a] {
			if c == '\n' || c == ';' || c == ',' || c == '"' {
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
		case set&nameFill == 0:
			if strange++; strange > 2 {
				return 0
			}
		}
		at = b
	}
}

// other reports whether a word right in front, or the key, names the number
// something else, so that its shape alone says nothing.
func (s *idScan) other() bool {
	w := s.before()
	if w.part || w.direct && w.set != 0 {
		return true
	}
	key, id := s.keyNames()
	return id || key != 0 && w.set == 0
}

// found makes a finding. proof is what is known beside how it is named.
func (s *idScan) found(c redact.Class, start, end, how int, by, proof redact.Evidence, rule string) redact.Finding {
	f := redact.Finding{Class: c, Start: start, End: end, Rule: rule, Evidence: by | proof, Strong: how != unnamed || proof&redact.EvidenceGrouping != 0}
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

// spot looks at the digit at i, the first of its run, and returns what begins
// there and where to go on. A finding with End 0 is none.
func (s *idScan) spot(i int) (redact.Finding, int) {
	end := runEnd(s.text, i)
	before, after := byte(0), byte(0)
	if i > 0 {
		before = s.text[i-1]
	}
	if end < len(s.text) {
		after = s.text[end]
	}
	if isLetter(before) || isLetter(after) {
		return s.token(i)
	}
	s.read(i)
	if f, ok := s.digits(i, end, before); ok {
		return f, max(f.End, end)
	}
	return redact.Finding{}, end
}

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
	r.n = 0
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

// oneSeparator returns what the one separator between the digits before i and
// those behind is, and where those begin, or 0.
func oneSeparator(text []byte, i int) (byte, int) {
	if i >= len(text) {
		return 0, 0
	}
	kind, size := separator(text, i)
	if i += size; kind == none || i >= len(text) || !isDigit(text[i]) {
		return 0, 0
	}
	switch kind {
	case gapSpace:
		return ' ', i
	case gapDash:
		return '-', i
	case gapDot:
		return '.', i
	case gapPath:
		if text[i-1] == '/' {
			return '/', i
		}
	}
	return 0, 0
}

// apart reports whether text[start:end] stands by itself, and is no part of a
// longer number, token, path or fraction. inner is the separator inside it, 0 for
// none. An X reads as a digit, which it may have been before it was masked.
func (s *idScan) apart(start, end int, inner byte) bool {
	return s.apartBefore(start, inner) && s.apartAfter(end, inner)
}

// apartBefore is apart for what stands in front.
func (s *idScan) apartBefore(start int, inner byte) bool {
	t := s.text
	if start > 0 {
		b := t[start-1]
		if isWordByte(b) && (b < 0x80 || wideLetterBefore(t, start)) {
			return false
		}
		second := byte(' ')
		if start > 1 {
			second = t[start-2]
		}
		switch b {
		case '_', '@', '%', '$', '+', '\\', '~':
			return false
		case '-', '.', '/':
			if second > ' ' && second != '(' && second != ':' {
				return false
			}
		case ',', ':':
			if isDigit(second) || second == 'X' {
				return false
			}
		case '#', '&':
			if isWordByte(second) || second == '&' {
				return false
			}
		case inner:
			if isDigit(second) || second == 'X' {
				return false
			}
		}
		if inner == ' ' && b == 0xA0 && start > 2 && isDigit(t[start-3]) {
			return false
		}
	}
	return true
}

// apartAfter is apart for what stands behind.
func (s *idScan) apartAfter(end int, inner byte) bool {
	t := s.text
	if end < len(t) {
		b := t[end]
		if isLetter(b) || isDigit(b) {
			return false
		}
		next := byte(' ')
		if end+1 < len(t) {
			next = t[end+1]
		}
		switch b {
		case '_', '@', '%', '~':
			return false
		case '-', '/', '=', '&', '+', '\\':
			if isLetter(next) && b != '&' && b != '\\' || isDigit(next) || next == '/' {
				return false
			}
		case '.', ':', ',':
			if isDigit(next) || next == 'X' || b == '.' && isLetter(next) && inner != ' ' && !upper(next) {
				return false
			}
		case inner:
			if isDigit(next) || next == 'X' {
				return false
			}
		}
	}
	return true
}

func upper(b byte) bool { return b-'A' < 26 }

// wideLetterBefore reports whether the character outside ASCII before i is a
// letter of a script that writes spaces: of two bytes, in UTF-8.
func wideLetterBefore(text []byte, i int) bool { return runeBefore(text, i, lo(i, 4)) == 2 }
