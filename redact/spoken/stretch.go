package spoken

import (
	"encoding/binary"
	"math/bits"
)

// mayStretch reports whether the word at p may be part of a number, which is the first
// that stretch asks. It looks at the bits of letters in the 24 bytes around p and not
// at one byte after the other, because most samples end here; where it cannot tell it
// says yes.
func (r *Reader) mayStretch(text []byte, p int) bool {
	if p < 8 || p+16 > len(text) {
		return true
	}
	around := text[p-8 : p+16]
	a, b, c := binary.LittleEndian.Uint64(around), binary.LittleEndian.Uint64(around[8:]), binary.LittleEndian.Uint64(around[16:])
	if (a|b|c)&highs != 0 {
		return true // letters that are none in ASCII
	}
	words := letters(a) | letters(b)<<8 | letters(c)<<16
	start := 8 + bits.TrailingZeros32(words>>8)
	end := start + bits.TrailingZeros32(^(words >> start))
	if start == 8 {
		start -= bits.LeadingZeros32(^(words << 24))
	}
	switch {
	case start > 8+window:
		return false // no word is near
	case start == 0 || end == len(around):
		return true // a longer word
	}
	return r.dict.mayPart(around[start:end])
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// letters has a bit for each of eight ASCII bytes that is a letter.
func letters(w uint64) uint32 {
	w |= 0x20 * ones
	m := (w + (0x80-'a')*ones) &^ (w + (0x7F-'z')*ones) & highs
	return uint32(m >> 7 * 0x0102040810204080 >> 56)
}

// stretch reports whether a run of number words that says at least three digits
// lies around p.
func (r *Reader) stretch(text []byte, p int) bool {
	for i := 0; i < window && !wordByte(text[p]); i++ {
		if p++; p == len(text) {
			return false
		}
	}
	start, end := around(text, p)
	langs, digits := r.part(text[start:end])
	for langs != 0 && start > 0 && digits < minDigits {
		a, b := partBefore(text, start)
		l, n := r.part(text[a:b])
		if l&langs == 0 {
			break
		}
		langs, digits, start = langs&l, digits+n, a
	}
	for langs != 0 && end < len(text) && digits < minDigits {
		a, b := partAfter(text, end)
		l, n := r.part(text[a:b])
		if l&langs == 0 {
			break
		}
		langs, digits, end = langs&l, digits+n, b
	}
	return langs != 0 && digits >= minDigits
}

// part returns in which languages a word, or a few digits, may be a part of a
// spoken number, and how many digits it adds, about.
func (r *Reader) part(text []byte) (langs uint8, digits int) {
	if len(text) > 0 && text[0]-'0' <= 9 {
		return 0xFF, len(text)
	}
	if !r.dict.mayPart(text) {
		return 0, 0
	}
	w := r.dict.find(text)
	return r.dict.parts[w], int(r.dict.weights[w])
}

// mayPart reports whether some part of a number has the first two bytes and the
// length of text. Few other words do, and they need not be looked up.
func (d *dictionary) mayPart(text []byte) bool {
	if len(text) < 2 || len(text) > maxWord {
		return len(text) == 1
	}
	return d.begins[text[0]&31][text[1]&31]>>len(text)&1 != 0
}

// minDigits is how many digits a stretch says at least.
const minDigits = 3

// weigh notes how many digits each word adds to a stretch, about, how the parts of
// numbers begin, and what else is asked about words most.
func (d *dictionary) weigh() {
	n := len(d.names)
	d.weights, d.numbers, d.singles, d.scales = make([]uint8, n), make([]uint8, n), make([]uint8, n), make([]uint8, n)
	d.fills = make([]fill, n)
	for w, name := range d.names {
		if d.parts[w] != 0 && len(name) > 1 {
			d.begins[name[0]&31][name[1]&31] |= 1 << len(name)
		}
		for lang, s := range d.senses[w] {
			if s.number() {
				d.numbers[w] |= 1 << lang
			}
			if s.hundreds > 0 || s.thousands > 0 {
				d.scales[w] |= 1 << lang
			} else if s.size == 1 && s.node == 0 && s.repeat == 0 {
				d.singles[w] |= 1 << lang
			}
			d.weights[w] = max(d.weights[w], s.size, s.repeat-min(s.repeat, 1))
			f := &d.fills[w]
			f.number = d.numbers[w]
			f.filler |= s.has(roleFiller) << lang
			f.ordinal |= s.has(roleOrdinal) << lang
			f.counted |= s.has(roleCounted) << lang
		}
		if f := &d.fills[w]; len(name) > 1 && (f.number|f.filler != 0 || d.roles[w]&roleSpeaker != 0) {
			d.fillBegins[name[0]&31][name[1]&31] |= 1 << len(name)
		}
	}
}

// wordByte reports whether b belongs to a word: a letter, or a byte of a
// character outside ASCII that may be one.
func wordByte(b byte) bool { return wordBytes[b] }

var wordBytes = func() (t [256]bool) {
	for b := range t {
		t[b] = (b|0x20) >= 'a' && (b|0x20) <= 'z' || b >= 0x80 && b != 0xA0 && b != 0xC2 && b != 0xE2
	}
	return t
}()

// maxRun is how many digits in a row may stand in a stretch.
const maxRun = 4

// around returns the bounds of the word at p, cut at maxWord on both sides.
func around(text []byte, p int) (start, end int) {
	start, end = p, p
	for start > 0 && p-start < maxWord && wordByte(text[start-1]) && (text[start-1] != 0xA0 || start < 2 || text[start-2] != 0xC2) {
		start--
	}
	for end < len(text) && end-p < maxWord && wordByte(text[end]) {
		end++
	}
	return start, end
}

// partBefore returns the bounds of the word or of the few digits in front of i,
// with a blank, a hyphen or punctuation between; empty when something else stands
// there.
func partBefore(text []byte, i int) (start, end int) {
	end = i
	for n := 0; n < 2 && end > 0 && between(text[end-1]); n++ {
		end--
	}
	if end == i || end == 0 {
		return end, end
	}
	for start = end; start > 0 && end-start <= maxRun && text[start-1]-'0' <= 9; start-- {
	}
	if start < end {
		if end-start > maxRun {
			return end, end
		}
		return start, end
	}
	start, _ = around(text[:end], end-1)
	return start, end
}

// partAfter is partBefore for what stands behind i.
func partAfter(text []byte, i int) (start, end int) {
	start = i
	for n := 0; n < 2 && start < len(text) && between(text[start]); n++ {
		start++
	}
	if start == i || start == len(text) {
		return start, start
	}
	for end = start; end < len(text) && end-start <= maxRun && text[end]-'0' <= 9; end++ {
	}
	if end > start {
		if end-start > maxRun {
			return start, start
		}
		return start, end
	}
	_, end = around(text, start)
	return start, end
}

// between reports whether b may stand between the parts of a stretch. The bytes
// of a no-break space are among them.
func between(b byte) bool {
	switch b {
	case ' ', '-', ',', '.', '\n', '\r', '\t', 0xC2, 0xA0:
		return true
	}
	return false
}
