package detect

import (
	"bytes"
	"sync"

	"github.com/caregate/caregate/redact"
	"github.com/caregate/caregate/redact/spoken"
)

// spokenFamily finds cards, tax numbers, codes and PINs that are written in words.
func spokenFamily() family {
	return family{name: "spoken", on: onAlways, find: (*Detector).findSpoken}
}

// talk is what the spoken family needs of a Detector: the reader, and memory for
// the texts in which the words are digits.
type talk struct {
	reader *spoken.Reader
	pool   sync.Pool // of *listener
}

// listener judges spoken numbers by the rules for written ones: it writes the
// digits in the place of the words, with the same words around them, and searches
// that. A stretch of raw text is looked at from LookBehind bytes before a number
// to spokenAhead bytes behind it.
type listener struct {
	d    *Detector
	dst  []redact.Finding
	text []byte
	hint Hint

	sub   scanner
	buf   []byte
	found []redact.Finding
	near  words // in front of at, less one
	at    int
	// What heading and short said last, each with the offset it was asked for, plus one.
	headingOf, headingIs int
	cueOf                int
	cueIs                bool
	outline              spoken.Outline
}

// spokenAhead is how much of the text behind a spoken number can say what it is.
const spokenAhead = 48

// maxUnspoken is up to how many bytes are looked at for letters before they are read.
const maxUnspoken = 512

// findSpoken appends the spoken numbers that begin in text[from:to).
func (d *Detector) findSpoken(dst []redact.Finding, text []byte, from, to int, h Hint) []redact.Finding {
	r, begin := d.talk.reader, max(0, from-spoken.Lead)
	if len(text)-begin <= maxUnspoken && !mayHoldLetters(text[begin:]) {
		return dst // as the values of tables and what encodings say
	}
	if r.Next(text, begin, h.phase) == len(text) {
		return dst
	}
	l, _ := d.talk.pool.Get().(*listener)
	if l == nil {
		l = new(listener)
	}
	l.d, l.dst, l.text, l.hint = d, dst, text, h
	r.Scan(text, from, to, h.phase, l)
	dst = l.dst
	l.sub.forget()
	clear(l.buf)
	*l = listener{buf: l.buf[:0], found: l.found[:0], outline: l.outline}
	d.talk.pool.Put(l)
	return dst
}

// Begins implements [spoken.Judge].
func (l *listener) Begins(first3 uint32) bool { return len(l.d.issuers.first3[first3]) > 0 }

// Fits implements [spoken.Judge].
func (l *listener) Fits(first8 uint32, digits int, luhn bool) bool {
	return l.d.issuers.read(first8, digits, luhn).ok
}

// Named implements [spoken.Judge].
func (l *listener) Named(at int) bool {
	w := l.words(l.heading(at))
	return w.says(senseCard)
}

// Short implements [spoken.Judge].
func (l *listener) Short(at, digits int) bool {
	at = l.heading(at)
	if digits <= maxCode {
		if l.cueOf != at+1 {
			l.cueOf, l.cueIs = at+1, cue(l.text, at) || questionBefore(l.text, at, lo(at, wordWindow)) >= 0
		}
		return l.cueIs
	}
	w := l.words(at)
	return w.says(senseSSN) || senseOfKey(l.hint.Key) == keySSN
}

// longestHeading is how far in front of a number the colon of its heading may stand.
const longestHeading = 32

// heading returns where the heading ends that begins at at, or at: "Social
// security:" stands where the name of a speaker may stand, and names the number.
func (l *listener) heading(at int) int {
	if l.headingOf != at+1 {
		l.headingOf, l.headingIs = at+1, l.readHeading(at)
	}
	return l.headingIs
}

// readHeading is heading without memory.
func (l *listener) readHeading(at int) int {
	if bytes.IndexByte(l.text[at:min(len(l.text), at+longestHeading)], ':') < 0 {
		return at // as mostly
	}
	for i, named := at, false; i < len(l.text) && i-at < longestHeading; i++ {
		switch b := l.text[i]; {
		case b == ':':
			if named {
				return i + 1
			}
			return at
		case b == '\n' || isDigit(b):
			return at
		case !named && isLetter(b) && (i == at || !isWordByte(l.text[i-1])):
			end := i
			for end < len(l.text) && end-i <= maxWord && isWordByte(l.text[end]) {
				end++
			}
			named = l.d.vocab.sense(l.text[i:end])&(senseCard|senseSSN|senseCVV|sensePIN) != 0
		}
	}
	return at
}

// words reads the words in front of at, which is asked for again and again.
func (l *listener) words(at int) *words {
	if l.at != at+1 {
		l.search(l.text)
		l.near, l.at = l.sub.before(at, false), at+1
	}
	return &l.near
}

// search makes the scanner ready for text.
func (l *listener) search(text []byte) {
	s := &l.sub
	s.d, s.text, s.hint, s.final, s.card, s.depth = l.d, text, l.hint, true, -1, maxDepth
	s.keyKnown = false
	s.signs.to = 0
}

// Take implements [spoken.Judge].
func (l *listener) Take(n *spoken.Number) bool {
	l.buf = append(l.buf[:0], l.text[lo(n.Start, LookBehind):max(l.heading(n.Label), lo(n.Start, LookBehind))]...)
	start := len(l.buf)
	l.buf = append(l.buf, n.Digits...)
	end := len(l.buf)
	l.buf = append(l.buf, l.text[n.End:min(len(l.text), n.End+spokenAhead)]...)
	l.search(l.buf)
	l.sub.hint.near = nil // which knows another text
	if len(n.Digits) <= 4 {
		l.sub.card = l.spokenCard(start)
	}
	l.found = l.found[:0]
	if len(n.Digits) >= shortest {
		l.sub.chain(&l.found, start)
	} else {
		l.sub.short(&l.found, start, end)
	}
	for _, f := range l.found {
		if f.Start != start || f.End != end {
			continue
		}
		f.Start, f.End = n.Start, n.End
		f.Evidence |= redact.EvidenceSpoken
		l.dst = append(l.dst, f)
		return true
	}
	return false
}

// leastSpoken is how many digits have to be said in front of a code, for it to be that of
// the card whose digits they are.
const leastSpoken = 8

// spokenCard returns where in the buffer the spoken digits end that stand in front of the
// words "and the code is", which end at i, or -1.
func (l *listener) spokenCard(i int) int {
	s, code, counted := &l.sub, false, false
	for at, n := i, 0; n < 8; n++ {
		start, end, ok := wordBefore(s.text, at, lo(i, wordWindow))
		if !ok {
			return -1
		}
		sn := s.d.vocab.sense(s.text[start:end])
		switch {
		case sn&senseCode != 0:
			code = true
		case !code && sn&senseTail != 0:
			counted = true // "the code of four digits"
		case counted && !code && (three(s.text[start:end]) || s.among(fourWords, start, end)):
		case sn&senseLink == 0 && !s.among(andWords, start, end) && !s.among(codeLinks, start, end) && s.role(start, end)&(saysIs|saysThat) == 0 || isDigit(s.text[start]):
			if !code {
				return -1
			}
			o := &l.outline
			l.d.talk.reader.Outline(o, s.text[:end])
			k := len(o.Groups)
			said := k > 0 && o.Groups[k-1].End == end && len(o.Digits) >= leastSpoken
			if o.Clear(); !said {
				return -1
			}
			return end
		}
		at = start
	}
	return -1
}
