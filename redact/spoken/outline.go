package spoken

// Group is a run of digits in a text, in numerals or words, with nothing but a
// blank, a hyphen or a comma between its parts.
type Group struct {
	// Start and End are bytes of the text, From and To of Outline.Digits.
	Start, End, From, To int
	// Spoken says that some of it is in words.
	Spoken bool
}

// Outline is what a short message consists of: digits, and words. It may be used
// again, and then keeps its memory; Clear wipes it.
type Outline struct {
	Digits []byte
	Groups []Group
	// Words counts the words that do not usually stand within a number. Fillers
	// counts those that do.
	Words, Fillers int
	// Speaker is different for different names in front of a colon at the begin of
	// the message, 0 when there is none. Body is where the text behind it begins.
	Speaker uint32
	Body    int
}

// Clear wipes what o holds.
func (o *Outline) Clear() {
	clear(o.Digits)
	*o = Outline{Digits: o.Digits[:0], Groups: o.Groups[:0]}
}

// Outline reads all of text, which should be short: its time is linear, without
// the trigger that makes Scan quick. Words are read as numbers in the language of
// the first number word, in their likely reading.
func (r *Reader) Outline(o *Outline, text []byte) {
	o.Clear()
	s, _ := r.pool.Get().(*scan)
	if s == nil {
		s = new(scan)
	}
	s.Reader, s.text = r, text
	s.begin(0)
	for {
		t, ok := s.next(text, s.at)
		if !ok {
			break
		}
		s.at = t.end
		s.toks = append(s.toks, t)
	}
	s.lang = -1
	for i := 0; i < len(s.toks); {
		i = s.outline(o, i)
	}
	s.release()
}

// outline takes token i, or the group that begins with it, into o and returns
// where to go on.
func (s *scan) outline(o *Outline, i int) int {
	t := &s.toks[i]
	if t.kind == kindLabel {
		if who := s.who(t); who != 0 && len(o.Groups) == 0 && o.Words+o.Fillers == 0 {
			o.Speaker, o.Body = who, t.end
		}
		return i + 1
	}
	if t.kind == kindOther {
		if t.end-t.start <= 2 {
			o.Fillers++ // of a date
		} else {
			o.Words++
		}
		return i + 1
	}
	if s.lang < 0 && t.kind == kindWord {
		s.lang = s.language(i)
	}
	lang := max(s.lang, 0)
	if !s.isNumber(i, lang) || s.counts(i, lang) || s.lang < 0 && t.kind == kindDigits && s.countsInAny(i) {
		if t.kind == kindWord && s.dict.roles[t.word]&(roleFiller|roleHomophone|roleCorrection) == 0 {
			o.Words++
		} else {
			o.Fillers++
		}
		return i + 1
	}
	was := s.lang
	s.lang = lang
	defer func() { s.lang = was }()
	g := Group{Start: t.start, From: len(o.Digits)}
	for first := i; i < len(s.toks) && s.isNumber(i, lang) && (i == first || s.toks[i].join <= joinComma); {
		s.n = 0
		next := s.phrase(i, 0)
		if next < 0 || s.n > maxDigits {
			break
		}
		g.Spoken = g.Spoken || s.toks[i].kind == kindWord
		o.Digits = append(o.Digits, s.digits[:s.n]...)
		i = next
	}
	if len(o.Digits) == g.From {
		o.Words++
		return i + 1
	}
	g.End, g.To = s.toks[i-1].end, len(o.Digits)
	o.Groups = append(o.Groups, g)
	return i
}

// countsInAny is counts in any language, for numerals in front of which no number word tells
// which language it is.
func (s *scan) countsInAny(i int) bool {
	for lang := range s.langs {
		if s.counts(i, lang) {
			return true
		}
	}
	return false
}

// language returns the language in which token i is a number, of several the one in which
// most tokens from there on are, or -1.
func (s *scan) language(i int) int {
	best, most := -1, 0
	for lang := range s.langs {
		if s.dict.langs[s.toks[i].word]>>lang&1 == 0 || !s.isNumber(i, lang) {
			continue
		}
		n := 0
		for j := i; j < len(s.toks); j++ {
			if s.toks[j].kind == kindWord && s.isNumber(j, lang) {
				n++
			}
		}
		if n > most {
			best, most = lang, n
		}
	}
	return best
}
