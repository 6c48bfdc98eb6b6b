package spoken

// sum are the Luhn sums of the digits so far, with the digits at even and at odd
// places doubled.
type sum struct {
	even, odd int
	first8    uint32
}

// doubled is a digit's part in the Luhn sum where it is doubled.
var doubled = [10]uint8{0, 2, 4, 6, 8, 1, 3, 5, 7, 9}

func (l *sum) add(place int, b byte) {
	v := b - '0'
	if place&1 == 0 {
		l.even += int(doubled[v])
		l.odd += int(v)
	} else {
		l.even += int(v)
		l.odd += int(doubled[v])
	}
	if place < 8 {
		l.first8 = l.first8*10 + uint32(v)
	}
}

// right reports whether the digits so far, n of them, end in their check digit.
func (l *sum) right(n int) bool {
	if n&1 == 1 {
		return l.odd%10 == 0
	}
	return l.even%10 == 0
}

// walk reads from token i on in one mode and keeps the best candidate.
func (s *scan) walk(i int, m mode, lead int, joined bool) {
	s.n = 0
	var l sum
	start := s.toks[i].start
	words, last := 0, joinSoft
	var takenBack [8]int // how many digits each of the last phrases said
	phrases := 0
	for j := i; j >= 0; {
		before := s.n
		next := s.phrase(j, m)
		if next < 0 || s.n > maxDigits || s.toks[next-1].end-start > Reach {
			return
		}
		if s.toks[j].kind == kindWord {
			words++
		}
		for p := before; p < s.n; p++ {
			l.add(p, s.digits[p])
			if p == 2 && !s.judge.Begins(l.first8) && !s.shortOnly(i) {
				return
			}
		}
		takenBack[phrases&7] = s.n - before
		phrases++
		follow, how, corrects := s.link(next, m)
		clean := follow < 0 || how > joinComma || how == joinComma && last != joinComma
		last = how
		if corrects && m&modeKeep == 0 && s.n > 0 {
			s.used |= modeKeep
			// Taken back: the sums are made anew, which is rare.
			phrases--
			s.n -= takenBack[phrases&7]
			l = sum{}
			for p := range s.n {
				l.add(p, s.digits[p])
			}
		} else if words > 0 {
			s.consider(&l, start, s.toks[next-1].end, lead, joined, !clean, follow < 0)
		}
		j = follow
	}
}

// shortOnly reports whether a number that no long one begins with is still worth
// reading to the end: a short one.
func (s *scan) shortOnly(i int) bool {
	at := s.context(s.toks[i].start)
	return s.judge.Short(at, minShort) || s.judge.Short(at, taxSize)
}

// context returns where the words in front of the number at start end.
func (s *scan) context(start int) int {
	if s.label < start && s.led.run && s.toks[s.led.first].start == start {
		return s.label
	}
	return start
}

// consider keeps the digits read so far when they are a better candidate than
// the best until now: one that ends where no digits follow is better, then a
// longer one.
func (s *scan) consider(l *sum, start, end, lead int, joined, joins, last bool) {
	n := s.n
	switch {
	case s.whole > 0:
		if end != s.whole || n >= minLong && !s.judge.Fits(l.first8, n, l.right(n)) {
			return
		}
	case n >= minLong:
		if !s.judge.Fits(l.first8, n, l.right(n)) {
			return
		}
		if joins && !s.isNamed(lead) {
			return
		}
	case n == taxSize:
		if joined || joins || !s.judge.Short(s.context(start), n) {
			return
		}
	case n >= minShort && n <= maxShort:
		if joined || joins || !last || !s.judge.Short(s.context(start), n) {
			return
		}
	default:
		return
	}
	if s.found && (s.best.Joins == joins && n <= len(s.best.Digits) || joins && !s.best.Joins && len(s.best.Digits) >= minLong) {
		return
	}
	s.found = true
	copy(s.copied[:], s.digits[:n])
	copy(s.spans[0][:], s.from[:n])
	copy(s.spans[1][:], s.to[:n])
	s.best = Number{Start: start, End: end, Digits: s.copied[:n], From: s.spans[0][:n], To: s.spans[1][:n], Lead: lead, Label: s.label, Joined: joined, Joins: joins}
}

// say appends digits that the raw bytes [from, to) say.
func (s *scan) say(v, size, from, to int) {
	if s.n+size > len(s.digits) {
		s.n = len(s.digits)
		return
	}
	if size == 1 { // as mostly
		s.digits[s.n] = byte('0' + v)
		s.from[s.n], s.to[s.n] = from, to
		s.n++
		return
	}
	for k := s.n + size - 1; k >= s.n; k-- {
		s.digits[k] = byte('0' + v%10)
		s.from[k], s.to[k] = from, to
		v /= 10
	}
	s.n += size
}

// phrase reads the number at token i and appends its digits. It returns the
// token behind it, or -1 when none begins there.
func (s *scan) phrase(i int, m mode) int {
	t := &s.toks[i]
	if t.kind == kindDigits {
		for k := t.start; k < t.end; k++ {
			s.say(int(s.text[k]-'0'), 1, k, k+1)
		}
		return i + 1
	}
	x := &s.dict.senses[t.word][s.lang]
	if s.dict.singles[t.word]>>s.lang&1 != 0 && (i+1 == len(s.toks) || s.dict.scales[s.toks[i+1].word]>>s.lang&1 == 0) {
		s.say(int(x.val), 1, t.start, t.end) // the usual case
		return i + 1
	}
	if x.repeat > 0 {
		return s.repeated(i, int(x.repeat))
	}
	if x.homophone > 0 && !x.number() {
		s.say(int(x.homophone-1), 1, t.start, t.end)
		return i + 1
	}
	v, size, next := s.upTo99(i, m)
	if size == 0 && x.hundreds == 0 && x.thousands == 0 {
		return -1
	}
	w := x
	if size == 0 {
		next = i
	} else {
		w = s.tight(next)
	}
	// "Four thousand one hundred and eleven", "forty-one hundred".
	total, large := v, false
	if w != nil && w.thousands > 0 && (size == 0 || w.thousands == 1) {
		if size == 0 {
			total = 1
		}
		total *= 1000 * int(w.thousands)
		large = true
		next++
		v, size = 0, 0
		if k, n, after := s.upTo99(next, m); n > 0 && s.toks[next].join <= joinTight {
			if h := s.tight(after); h != nil && h.hundreds == 1 {
				v, size, next = k, n, after
			}
		}
		if h := s.tight(next); size == 0 && (h == nil || h.hundreds == 0) {
			next = s.rest(next, &total, m)
			s.sayNumber(total, i, next)
			return next
		}
		w = s.tight(next)
	}
	if w != nil && w.hundreds > 0 && (size == 0 || w.hundreds == 1) {
		if large {
			if size == 0 {
				v = 1
			}
			total += v * 100 * int(w.hundreds)
		} else {
			if size == 0 {
				total = 1
			}
			total *= 100 * int(w.hundreds)
		}
		large = true
		next = s.rest(next+1, &total, m)
	}
	if large {
		s.sayNumber(total, i, next)
		return next
	}
	s.say(v, size, t.start, s.toks[next-1].end)
	return next
}

// rest adds what stands behind hundreds or thousands: "and eleven".
func (s *scan) rest(i int, total *int, m mode) int {
	j := i
	if w := s.tight(j); w != nil && w.roles&roleAnd != 0 {
		j++
	}
	if j < len(s.toks) && s.toks[j].join <= joinTight {
		if v, n, next := s.upTo99(j, m); n > 0 && v > 0 {
			*total += v
			return next
		}
	}
	return i
}

// sayNumber appends the digits of a number above 99.
func (s *scan) sayNumber(v, i, next int) {
	size := 0
	for k := v; k > 0; k /= 10 {
		size++
	}
	s.say(v, size, s.toks[i].start, s.toks[next-1].end)
}

// tight returns the sense of token i when it is a word that follows the one
// before with nothing but a blank or hyphen between, or nil.
func (s *scan) tight(i int) *sense {
	if i >= len(s.toks) || s.toks[i].kind != kindWord || s.toks[i].word == 0 || s.toks[i].join > joinTight {
		return nil
	}
	return &s.dict.senses[s.toks[i].word][s.lang]
}

// upTo99 reads a number of one or two digits at token i. size is 0 when none is
// there.
func (s *scan) upTo99(i int, m mode) (v, size, next int) {
	if i >= len(s.toks) || s.toks[i].kind != kindWord || s.toks[i].word == 0 {
		return 0, 0, 0
	}
	x := &s.dict.senses[s.toks[i].word][s.lang]
	v, size, next = int(x.val), int(x.size), i+1
	if size == 0 {
		next = 0
	}
	at := x.node
	for j := i + 1; at != 0 && j < len(s.toks); j++ {
		t := &s.toks[j]
		if t.kind != kindWord || t.join > joinTight {
			break
		}
		if at = s.dict.step(at, t.word); at == 0 {
			break
		}
		if p := &s.dict.nodes[at]; p.size > 0 {
			if t.join == joinTight && size > 0 && v >= 20 && v%10 == 0 {
				s.used |= modeSplit
				if m&modeSplit != 0 {
					break
				}
			}
			v, size, next = int(p.val), int(p.size), j+1
		}
	}
	return v, size, next
}

// repeated reads "double five", "triple zero" and "double 4".
func (s *scan) repeated(i, times int) int {
	j := i + 1
	if j >= len(s.toks) || s.toks[j].join > joinTight {
		return -1
	}
	t := &s.toks[j]
	v, size, next := 0, 0, j+1
	if t.kind == kindDigits {
		if t.end-t.start > 2 {
			return -1
		}
		for _, b := range s.text[t.start:t.end] {
			v, size = v*10+int(b-'0'), size+1
		}
	} else {
		v, size, next = s.upTo99(j, 0)
	}
	if size == 0 {
		return -1
	}
	for range times {
		s.say(v, size, s.toks[i].start, s.toks[next-1].end)
	}
	return next
}

// link looks for the next part of the number from token i on. It returns -1 when
// there is none; how says what stands between, joinSoft for words; corrects that
// one of them took back what was said.
func (s *scan) link(i int, m mode) (next int, how join, corrects bool) {
	if i >= len(s.toks) {
		return -1, joinSoft, false
	}
	if t := &s.toks[i]; t.join <= joinTight && s.isNumber(i, s.lang) {
		return i, t.join, false // the usual case: one more digit
	}
	first := i
	from := s.toks[i-1].end
	limit, fillers := maxGap, 0
	var speaker, foreign uint32
	labels := 0
	for ; i < len(s.toks); i++ {
		t := &s.toks[i]
		if t.start-from > limit {
			return -1, joinSoft, corrects
		}
		if t.kind == kindLabel {
			who := s.who(t)
			if who == 0 {
				continue // a time
			}
			if labels++; labels == 1 {
				speaker = s.speaker(first - 1)
			}
			s.used |= modeAll
			limit = maxTurnGap
			switch {
			case m&modeAll != 0, who == speaker, speaker == 0 && foreign != 0 && who != foreign:
				foreign = 0
			default:
				foreign = who
			}
			continue
		}
		if foreign != 0 {
			continue
		}
		if t.kind == kindOther {
			return -1, joinSoft, corrects
		}
		if s.isNumber(i, s.lang) && !s.counts(i, s.lang) {
			if i > first && s.ordinal(i, s.lang) {
				s.used |= modeCounts
				if m&modeCounts != 0 {
					continue
				}
			}
			return i, s.between(first, i), corrects
		}
		if t.kind == kindDigits {
			continue
		}
		x := &s.dict.senses[t.word][s.lang]
		switch {
		case t.word == 0:
			return -1, joinSoft, corrects
		case x.homophone > 0 && m&modeSounds != 0:
			return i, s.between(first, i), corrects
		case x.roles&roleCorrection != 0:
			corrects = true
		case x.homophone > 0, x.roles&roleFiller != 0, s.isNumber(i, s.lang):
		default:
			return -1, joinSoft, corrects
		}
		if x.homophone > 0 {
			s.used |= modeSounds
		}
		if fillers++; fillers > maxFillers {
			return -1, joinSoft, corrects
		}
	}
	return -1, joinSoft, corrects
}

// between returns what stands between token i and the part of a number that ends
// in front of token first.
func (s *scan) between(first, i int) join {
	if i > first {
		return joinSoft
	}
	return s.toks[i].join
}

// speaker returns who says token i, 0 when no name stands before it.
func (s *scan) speaker(i int) uint32 {
	for j := i; j >= 0 && s.toks[i].start-s.toks[j].start < leads; j-- {
		if s.toks[j].kind == kindLabel {
			if who := s.who(&s.toks[j]); who != 0 {
				return who
			}
		}
	}
	return 0
}

// who tells speakers apart by the words in front of the colon; 0 is a time.
func (s *scan) who(t *token) uint32 {
	h, letters := uint32(hashSeed), false
	for _, b := range s.text[t.start:t.end] {
		if b != ' ' {
			h = (h ^ uint32(lower[b])) * hashPrime
		}
		letters = letters || wordByte(b)
	}
	if !letters {
		return 0
	}
	return h | 1
}
